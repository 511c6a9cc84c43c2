// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// publisher writes files where they differ, and has Prometheus read its configuration again.
type publisher struct {
	options
	client   http.Client
	written  map[string][]byte
	verdicts map[[sha256.Size]byte]error
	said     map[string]string
	stale    bool
	lock     sync.Mutex
	failure  string
}

func newPublisher(given options) (*publisher, error) {
	for _, folder := range []string{"rules", "targets/endpointslice", "targets/pod", "check"} {
		if err := os.MkdirAll(filepath.Join(given.folder, folder), 0o755); err != nil {
			return nil, err
		}
	}
	made := &publisher{
		options:  given,
		client:   http.Client{Timeout: 10 * time.Second},
		written:  map[string][]byte{},
		verdicts: map[[sha256.Size]byte]error{},
		said:     map[string]string{},
		stale:    true,
		failure:  "nothing is published yet",
	}
	// What a predecessor left is known, so that what nobody wants any more goes away.
	for _, pattern := range []string{"rules/*.yaml", "targets/*/*.json"} {
		left, err := filepath.Glob(filepath.Join(given.folder, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range left {
			name, _ := filepath.Rel(given.folder, path)
			made.written[name], _ = os.ReadFile(path)
		}
	}
	return made, nil
}

// problem says what keeps Prometheus from what the cluster says, or is empty.
func (p *publisher) problem() string {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.failure
}

// publish brings files and Prometheus up to date. What failed is tried again by the next call.
func (p *publisher) publish(found objects, targets map[string][]byte) {
	err := p.write(p.files(found), targets)
	if err == nil && p.stale {
		err = p.reload()
		p.stale = err != nil
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	before := p.failure
	p.failure = ""
	if err != nil {
		p.failure = err.Error()
		if before != p.failure {
			log.Print(p.failure)
		}
	}
}

// files returns configuration and rules. What promtool refuses is left out and named: one bad object must not stop
// the others.
func (p *publisher) files(found objects) map[string][]byte {
	jobs := []job{}
	refused := map[string]string{}
	collect := func(kind string, monitors map[string][]byte, translate func(string, []byte, string) ([]job, error)) {
		for _, id := range sorted(monitors) {
			translated, err := translate(id, monitors[id], p.folder)
			if err == nil {
				err = p.judge("config", encode(map[string]any{"scrape_configs": translated}))
			}
			if err != nil {
				refused[kind+" "+id] = err.Error()
				continue
			}
			jobs = append(jobs, translated...)
		}
	}
	collect("ServiceMonitor", found.serviceMonitors, serviceJobs)
	collect("PodMonitor", found.podMonitors, podJobs)
	files := map[string][]byte{}
	for _, id := range sorted(found.rules) {
		if err := p.judge("rules", found.rules[id]); err != nil {
			refused["PrometheusRule "+id] = err.Error()
			continue
		}
		files["rules/"+strings.Replace(id, "/", "_", 1)+".yaml"] = found.rules[id]
	}
	for _, object := range sorted(refused) {
		if before, known := p.said[object]; !known || before != refused[object] {
			log.Printf("%s is left out: %s", object, refused[object])
		}
	}
	p.said = refused
	files["prometheus.yml"] = encode(map[string]any{
		// The operator's defaults, for monitors that name none.
		"global":         map[string]any{"scrape_interval": "30s", "evaluation_interval": "30s"},
		"rule_files":     []string{p.folder + "/rules/*.yaml"},
		"scrape_configs": jobs,
	})
	return files
}

// judge asks promtool, once for each text.
func (p *publisher) judge(kind string, text []byte) error {
	key := sha256.Sum256(append([]byte(kind), text...))
	if verdict, known := p.verdicts[key]; known {
		return verdict
	}
	file := filepath.Join(p.folder, "check", kind+".yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	arguments := []string{"check", kind, file}
	if kind == "config" {
		arguments = []string{"check", kind, "--syntax-only", file}
	}
	said, err := exec.Command(p.promtool, arguments...).CombinedOutput()
	var refusal *exec.ExitError
	if err != nil && !errors.As(err, &refusal) {
		return err
	}
	if err != nil {
		err = errors.New(strings.Join(strings.Fields(string(said)), " "))
	}
	p.verdicts[key] = err
	return err
}

func (p *publisher) write(files, targets map[string][]byte) error {
	for _, name := range sorted(p.written) {
		if files[name] == nil && targets[name] == nil {
			if err := os.Remove(filepath.Join(p.folder, name)); err != nil && !os.IsNotExist(err) {
				return err
			}
			delete(p.written, name)
			p.stale = p.stale || strings.HasPrefix(name, "rules/")
		}
	}
	// The configuration comes last: it names the others. Prometheus sees by itself where targets change.
	for _, set := range []map[string][]byte{targets, files} {
		for _, name := range sorted(set) {
			if bytes.Equal(p.written[name], set[name]) {
				continue
			}
			path := filepath.Join(p.folder, name)
			if err := os.WriteFile(path+".new", set[name], 0o644); err != nil {
				return err
			}
			if err := os.Rename(path+".new", path); err != nil {
				return err
			}
			p.written[name] = set[name]
			p.stale = p.stale || !strings.HasPrefix(name, "targets/")
		}
	}
	return nil
}

func (p *publisher) reload() error {
	answer, err := p.client.Post(p.prometheus+"/-/reload", "", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said := new(bytes.Buffer)
		_, _ = said.ReadFrom(answer.Body)
		return fmt.Errorf("Prometheus refuses its configuration: %s", strings.TrimSpace(said.String()))
	}
	return nil
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

const namespaceLabel = model.LabelName("__meta_kubernetes_namespace")

// targets are what Prometheus' own discovery sees, by its role and the name it gives to each group.
type targets struct {
	lock   sync.Mutex
	groups map[string]map[string]*targetgroup.Group
}

// fileTarget is one target in a file that Prometheus reads, with the labels that its discovery would give it.
type fileTarget struct {
	Targets []string       `json:"targets"`
	Labels  model.LabelSet `json:"labels"`
}

func discover(ctx context.Context, kubeconfig string, notify func()) (*targets, error) {
	found := &targets{groups: map[string]map[string]*targetgroup.Group{}}
	for _, role := range []kubernetes.Role{kubernetes.RoleEndpointSlice, kubernetes.RolePod} {
		configuration := kubernetes.DefaultSDConfig
		configuration.Role = role
		configuration.KubeConfig = kubeconfig
		registry := prometheus.NewRegistry()
		metrics := configuration.NewDiscovererMetrics(registry, discovery.NewRefreshMetrics(registry))
		discoverer, err := kubernetes.New(slog.Default(), metrics, &configuration)
		if err != nil {
			return nil, err
		}
		found.groups[role.String()] = map[string]*targetgroup.Group{}
		updates := make(chan []*targetgroup.Group)
		go discoverer.Run(ctx, updates)
		go func() {
			for groups := range updates {
				found.take(role.String(), groups)
				notify()
			}
		}()
	}
	return found, nil
}

func (t *targets) take(role string, groups []*targetgroup.Group) {
	t.lock.Lock()
	defer t.lock.Unlock()
	for _, group := range groups {
		if len(group.Targets) == 0 {
			delete(t.groups[role], group.Source)
		} else {
			t.groups[role][group.Source] = group
		}
	}
}

// files returns the content of each file: one for each role and namespace, so that a monitor reads only its own.
func (t *targets) files() map[string][]byte {
	t.lock.Lock()
	defer t.lock.Unlock()
	collected := map[string][]fileTarget{}
	for role, groups := range t.groups {
		for _, source := range sorted(groups) {
			group := groups[source]
			file := targetFile(role, string(group.Labels[namespaceLabel]))
			for _, target := range group.Targets {
				labels := group.Labels.Merge(target)
				address := string(labels[model.AddressLabel])
				delete(labels, model.AddressLabel)
				collected[file] = append(collected[file], fileTarget{[]string{address}, labels})
			}
		}
	}
	files := map[string][]byte{}
	for file, content := range collected {
		files[file] = encode(content)
	}
	return files
}

func targetFile(role, namespace string) string {
	return "targets/" + role + "/" + namespace + ".json"
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

type adapter struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// adapters are the LoRA adapters that are loaded. They change rarely and are read for requests that do not
// name the base model, so a plain lock is enough.
type adapters struct {
	mu       sync.RWMutex
	byName   map[string]adapter
	enabled  bool
	maxLoRAs int
}

func newAdapters(enabled bool, maxLoRAs int, modules []adapter) *adapters {
	a := &adapters{byName: map[string]adapter{}, enabled: enabled, maxLoRAs: maxLoRAs}
	for _, module := range modules {
		a.byName[module.Name] = module
	}
	return a
}

func (a *adapters) has(name string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	_, ok := a.byName[name]
	return ok
}

// list returns the adapters in the order of their names.
func (a *adapters) list() []adapter {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.SortedFunc(maps.Values(a.byName), func(x, y adapter) int { return strings.Compare(x.Name, y.Name) })
}

// writeInfo writes vllm:lora_requests_info, whose value is the time and whose labels are the message.
func (a *adapters) writeInfo(e *exposition) {
	if !a.enabled {
		return
	}
	const name = "vllm:lora_requests_info"
	var names []string
	for _, loaded := range a.list() {
		names = append(names, loaded.Name)
	}
	e.head(name, "gauge", "Running stats on lora requests.")
	e.text = append(e.text, name+`{max_lora="`+strconv.Itoa(a.maxLoRAs)+`",running_lora_adapters="`+
		escapeLabel(strings.Join(names, ","))+`",waiting_lora_adapters=""} `+
		formatFloat(float64(time.Now().UnixMilli())/1000)+"\n"...)
}

type loadRequest struct {
	Name        string `json:"lora_name"`
	Path        string `json:"lora_path"`
	LoadInplace bool   `json:"load_inplace"`
}

// handleLoadLoRA serves POST /v1/load_lora_adapter.
func (s *server) handleLoadLoRA(w http.ResponseWriter, r *http.Request) int {
	var body loadRequest
	if err := decodeBody(r, &body); err != nil {
		return err.write(w)
	}
	if body.Name == "" || body.Path == "" {
		return badRequest("Both 'lora_name' and 'lora_path' must be provided.").write(w)
	}
	if !s.lora.enabled {
		return badRequest("LoRA is not enabled. Use --enable-lora to enable LoRA.").write(w)
	}
	s.lora.mu.Lock()
	defer s.lora.mu.Unlock()
	if _, loaded := s.lora.byName[body.Name]; loaded && !body.LoadInplace {
		return badRequest(fmt.Sprintf("The lora adapter '%s' has already been loaded. If you want to load the adapter "+
			"in place, set 'load_inplace' to True.", body.Name)).write(w)
	}
	s.lora.byName[body.Name] = adapter{Name: body.Name, Path: body.Path}
	s.log.info("serving.py:200", "Loaded new LoRA adapter: name '%s', path '%s'", body.Name, body.Path)
	return writeText(w, http.StatusOK, fmt.Sprintf("Success: LoRA adapter '%s' added successfully.", body.Name))
}

// handleUnloadLoRA serves POST /v1/unload_lora_adapter.
func (s *server) handleUnloadLoRA(w http.ResponseWriter, r *http.Request) int {
	var body loadRequest
	if err := decodeBody(r, &body); err != nil {
		return err.write(w)
	}
	if body.Name == "" {
		return badRequest("'lora_name' needs to be provided to unload a LoRA adapter.").write(w)
	}
	s.lora.mu.Lock()
	defer s.lora.mu.Unlock()
	if _, loaded := s.lora.byName[body.Name]; !loaded {
		return writeError(w, http.StatusNotFound, fmt.Sprintf("The lora adapter '%s' cannot be found.", body.Name), nil)
	}
	delete(s.lora.byName, body.Name)
	s.log.info("serving.py:230", "Removed LoRA adapter: name '%s'", body.Name)
	return writeText(w, http.StatusOK, fmt.Sprintf("Success: LoRA adapter '%s' removed successfully.", body.Name))
}

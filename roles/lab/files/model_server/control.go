// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"net/http"
)

// The control endpoint lets a test change the server's behaviour while it runs. It is off unless
// MODEL_SERVER_CONTROL=1, and has no key.

type controlState struct {
	behaviour
	Running    int64 `json:"running"`
	Waiting    int64 `json:"waiting"`
	EngineDead bool  `json:"engine_dead"`
}

func (s *server) handleControlGet(w http.ResponseWriter, _ *http.Request) int {
	return writeJSON(w, http.StatusOK, controlState{
		behaviour:  *s.faults.present.Load(),
		Running:    s.engine.metrics.running.Load(),
		Waiting:    s.engine.metrics.waiting.Load(),
		EngineDead: s.faults.engineDead.Load(),
	})
}

// handleControlPost changes the members that the body names and keeps the others.
func (s *server) handleControlPost(w http.ResponseWriter, r *http.Request) int {
	changed := *s.faults.present.Load()
	before := changed.Fault
	var given map[string]json.RawMessage
	if err := decodeBody(r, &given); err != nil {
		return err.write(w)
	}
	for name, value := range given {
		target, known := changed.member(name)
		if !known {
			return badParameter(name, "unknown setting "+name).write(w)
		}
		if err := json.Unmarshal(value, target); err != nil {
			return badParameter(name, err.Error()).write(w)
		}
	}
	if _, explicit := given["fault_seconds"]; !explicit && changed.Fault != before {
		changed.FaultSeconds = defaultFaultSeconds(changed.Fault)
	}
	if err := changed.complete(); err != nil {
		return badRequest(err.Error()).write(w)
	}
	if changed.Fault != before && changed.isStartFault() {
		return badParameter("fault", "fault "+changed.Fault+" only exists before the port opens").write(w)
	}
	s.faults.set(changed)
	s.startFault(&changed)
	return s.handleControlGet(w, r)
}

// member returns where a setting is kept.
func (b *behaviour) member(name string) (target any, known bool) {
	members := map[string]any{
		"fault": &b.Fault, "fault_after": &b.FaultAfter, "fault_every": &b.FaultEvery, "fault_seconds": &b.FaultSeconds,
		"ttft_ms": &b.TTFTMs, "itl_ms": &b.ITLMs, "output_tokens": &b.OutputTokens, "oom_mb_per_s": &b.OOMMBPerS,
	}
	target, known = members[name]
	return target, known
}

// startFault begins faults that need no request.
func (s *server) startFault(b *behaviour) {
	if b.Fault == faultOOM && s.growing.CompareAndSwap(false, true) {
		go s.growMemory(b.OOMMBPerS, s.config.OOMLimit)
	}
}

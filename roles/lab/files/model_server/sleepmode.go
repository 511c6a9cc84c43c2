// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/http"
)

// Sleep mode: POST /sleep?level=1|2, POST /wake_up, GET /is_sleeping, in dev mode only.

func (s *server) handleSleep(w http.ResponseWriter, r *http.Request) int {
	level := int64(1)
	switch r.URL.Query().Get("level") {
	case "", "1":
	case "2":
		level = 2
	default:
		return badParameter("level", "level must be 1 or 2").write(w)
	}
	s.sleeping.Store(level)
	w.WriteHeader(http.StatusOK)
	return http.StatusOK
}

func (s *server) handleWakeUp(w http.ResponseWriter, _ *http.Request) int {
	s.sleeping.Store(0)
	w.WriteHeader(http.StatusOK)
	return http.StatusOK
}

func (s *server) handleIsSleeping(w http.ResponseWriter, _ *http.Request) int {
	return writeJSON(w, http.StatusOK, map[string]bool{"is_sleeping": s.sleeping.Load() > 0})
}

// writeSleepState writes vllm:engine_sleep_state, one sample a state.
func (s *server) writeSleepState(e *exposition) {
	const name = "vllm:engine_sleep_state"
	e.head(name, "gauge", "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake.")
	level := s.sleeping.Load()
	for value, state := range []string{"awake", "weights_offloaded", "discard_all"} {
		sample := 0.0
		if level == int64(value) {
			sample = 1
		}
		e.sample(name, sample, "sleep_state", state)
	}
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The ways this server fails. Each is one that real model servers show.
const (
	faultNone           = ""
	faultSlowLoad       = "slow-load"        // the port opens late
	faultSlowFirstToken = "slow-first-token" // every answer starts late
	faultHang           = "hang"             // /health is 200, completions never end
	faultHTTP500        = "http-500"
	faultError200       = "error-200"    // HTTP 200 with an error body
	faultEmpty200       = "empty-200"    // HTTP 200 with an empty answer
	faultEmptyStream    = "empty-stream" // a stream that ends without any content
	faultStreamError    = "stream-error" // a stream that breaks off with an error event, then ends as usual
	faultWrongName      = "wrong-name"   // another model id is served
	faultCrashAtStart   = "crash-at-start"
	faultCrashUnderLoad = "crash-under-load"
	faultEngineDead     = "engine-dead" // /health is 503
	faultOOM            = "oom"         // memory grows until the kernel kills the process
)

var faultNames = []string{faultNone, faultSlowLoad, faultSlowFirstToken, faultHang, faultHTTP500, faultError200,
	faultEmpty200, faultEmptyStream, faultStreamError, faultWrongName, faultCrashAtStart, faultCrashUnderLoad,
	faultEngineDead, faultOOM}

// startFaults only make sense before the port opens.
var startFaults = []string{faultSlowLoad, faultCrashAtStart}

// behaviour is what may be changed while the server runs. A value is never modified after it is published.
type behaviour struct {
	Fault         string  `json:"fault"`
	FaultAfter    int64   `json:"fault_after"`   // completions that succeed before the fault begins
	FaultEvery    int64   `json:"fault_every"`   // from then on, one completion in so many fails
	FaultSeconds  float64 `json:"fault_seconds"` // load time, delay of the crash, or delay of the first token
	TTFTMs        float64 `json:"ttft_ms"`
	ITLMs         float64 `json:"itl_ms"`
	OutputTokens  int     `json:"output_tokens"` // natural length of an answer
	OOMMBPerS     float64 `json:"oom_mb_per_s"`
	firstToken    time.Duration
	betweenTokens time.Duration
}

func (b *behaviour) isStartFault() bool { return slices.Contains(startFaults, b.Fault) }

func loadBehaviour(env *environment) (behaviour, error) {
	b := behaviour{
		Fault:        env.text("MODEL_SERVER_FAULT", faultNone),
		FaultAfter:   int64(env.whole("MODEL_SERVER_FAULT_AFTER", 0)),
		FaultEvery:   int64(env.whole("MODEL_SERVER_FAULT_EVERY", 1)),
		TTFTMs:       env.float("MODEL_SERVER_TTFT_MS", 0),
		ITLMs:        env.float("MODEL_SERVER_ITL_MS", 0),
		OutputTokens: env.whole("MODEL_SERVER_OUTPUT_TOKENS", 16),
		OOMMBPerS:    env.float("MODEL_SERVER_OOM_MB_PER_S", 256),
	}
	b.FaultSeconds = env.float("MODEL_SERVER_FAULT_SECONDS", defaultFaultSeconds(b.Fault))
	if env.err != nil {
		return b, env.err
	}
	err := b.complete()
	return b, err
}

func defaultFaultSeconds(fault string) float64 {
	switch fault {
	case faultSlowLoad:
		return 120
	case faultSlowFirstToken:
		return 10
	}
	return 0
}

// maxSetting keeps durations far from overflow: as seconds it is over a month.
const maxSetting = 1e7

// complete checks the settings and works out the durations.
func (b *behaviour) complete() error {
	if !slices.Contains(faultNames, b.Fault) {
		return fmt.Errorf("unknown fault %q; choose from %s", b.Fault, strings.Join(faultNames[1:], ", "))
	}
	if b.FaultEvery < 1 || b.FaultAfter < 0 || b.OutputTokens < 1 {
		return fmt.Errorf("fault_every and output_tokens must be at least 1, fault_after at least 0")
	}
	for _, value := range []float64{b.TTFTMs, b.ITLMs, b.FaultSeconds, b.OOMMBPerS} {
		if value < 0 || value > maxSetting {
			return fmt.Errorf("times and rates must be from 0 to %v", float64(maxSetting))
		}
	}
	b.firstToken = milliseconds(b.TTFTMs)
	b.betweenTokens = milliseconds(b.ITLMs)
	return nil
}

// faults holds the present behaviour and decides for each completion whether it fails.
type faults struct {
	present     atomic.Pointer[behaviour]
	completions atomic.Int64 // since the behaviour was last set
	engineDead  atomic.Bool
}

func newFaults(start behaviour) *faults {
	f := &faults{}
	f.set(start)
	return f
}

func (f *faults) set(b behaviour) {
	f.completions.Store(0)
	f.engineDead.Store(b.Fault == faultEngineDead && b.FaultAfter == 0)
	f.present.Store(&b)
}

// next returns the behaviour and the fault of one completion, usually none.
func (f *faults) next() (*behaviour, string) {
	b := f.present.Load()
	if b.Fault == faultNone {
		return b, faultNone
	}
	position := f.completions.Add(1) - b.FaultAfter
	if position <= 0 || (position-1)%b.FaultEvery != 0 {
		return b, faultNone
	}
	if b.Fault == faultEngineDead {
		f.engineDead.Store(true)
	}
	return b, b.Fault
}

// applyFault ends a request in the way of its fault. Faults that change how an answer is generated or
// streamed are left to the caller: handled is false for them.
func (s *server) applyFault(w http.ResponseWriter, fault string) (status int, handled bool) {
	switch fault {
	case faultHTTP500:
		return writeError(w, http.StatusInternalServerError, "Internal Server Error", nil), true
	case faultError200:
		body := errorBody(http.StatusInternalServerError, "EngineCore encountered an issue.", nil)
		return writeJSON(w, http.StatusOK, body), true
	case faultCrashUnderLoad:
		s.log.error("async_llm.py:480", "AsyncLLM output_handler failed.\n%s", engineDeadTrace)
		os.Exit(1)
	}
	if s.faults.engineDead.Load() {
		return writeError(w, http.StatusInternalServerError,
			"EngineCore encountered an issue. See stack trace (above) for the root cause.", nil), true
	}
	return 0, false
}

// growMemory takes and touches memory until the kernel ends the process, or up to limit bytes. Without a
// limit it refuses: an unlimited process would take the whole machine down instead of its container.
func (s *server) growMemory(megabytesPerSecond float64, limit int64) {
	if limit == 0 && memoryLimit() == 0 {
		s.log.error("faults.go", "fault oom: no memory limit on this container and no MODEL_SERVER_OOM_LIMIT_MB; not growing")
		return
	}
	const tick = 20 * time.Millisecond
	step := max(int(megabytesPerSecond*(1<<20)*tick.Seconds()), 1<<20)
	var held [][]byte
	for total := int64(0); limit == 0 || total < limit; total += int64(step) {
		block := make([]byte, step)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		held = append(held, block)
		time.Sleep(tick)
	}
	s.log.warning("faults.go", "fault oom: holding %d MiB", limit>>20)
	for range time.Tick(time.Hour) {
		held[0][0]++ // keeps the memory reachable
	}
}

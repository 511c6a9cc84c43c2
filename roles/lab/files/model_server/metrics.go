// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"math"
	"strconv"
	"sync/atomic"
)

// histogram counts observations of whole numbers in a unit, for example nanoseconds. Buckets are not
// cumulative inside, so that one observation is one addition; write accumulates them.
type histogram struct {
	name, help string
	bounds     []int64   // upper bounds in units, ascending
	labels     []string  // the same bounds as Prometheus writes them
	perUnit    float64   // exposed value of one unit
	counts     []counter // one more than bounds: the last is +Inf
	sum        counter
}

type counter struct{ atomic.Int64 }

const nanosecond = 1e-9

// newHistogram makes a histogram whose bounds are given in the exposed unit (seconds or a plain count).
func newHistogram(name, help string, perUnit float64, bounds []float64) *histogram {
	h := &histogram{name: name, help: help, perUnit: perUnit, counts: make([]counter, len(bounds)+1)}
	for _, bound := range bounds {
		h.bounds = append(h.bounds, int64(math.Round(bound/perUnit)))
		h.labels = append(h.labels, formatFloat(bound))
	}
	return h
}

// observe records the same value times times.
func (h *histogram) observe(value int64, times int) {
	if times <= 0 {
		return
	}
	bucket := 0
	for bucket < len(h.bounds) && value > h.bounds[bucket] {
		bucket++
	}
	h.counts[bucket].Add(int64(times))
	h.sum.Add(value * int64(times))
}

var (
	firstTokenBounds = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
		160, 640, 2560}
	tokenBounds = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	timeBounds  = []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	stepBounds  = []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
	countBounds = []float64{1, 2, 5, 10, 20}
)

// oneTwoFive returns 1, 2, 5, 10, 20, 50 ... up to limit: vLLM's buckets for lengths in tokens.
func oneTwoFive(limit int) []float64 {
	var bounds []float64
	for power := 1; ; power *= 10 {
		for _, step := range []int{1, 2, 5} {
			if step*power > limit {
				return bounds
			}
			bounds = append(bounds, float64(step*power))
		}
	}
}

// finishReasons are the values of the label finished_reason, in the order of the constants below.
var finishReasons = []string{"stop", "length", "abort", "error", "repetition"}

const (
	finishStop = iota
	finishLength
	finishAbort
	finishError
)

// metrics are what the engine measures of the requests that it really served.
type metrics struct {
	running, waiting, kvTokens counter // gauges
	promptTokens               counter
	generationTokens           counter
	preemptions                counter
	prefixQueries, prefixHits  counter
	success                    [5]counter // by finishReasons

	firstToken, interToken, perOutputToken  *histogram
	endToEnd, queue, inference              *histogram
	prefill, decode                         *histogram
	requestPrompt, requestGeneration        *histogram
	requestMaxTokens, requestN, maxGenerate *histogram
	step                                    *histogram
	histograms                              []*histogram
}

func newMetrics(maxModelLen int) *metrics {
	m := &metrics{}
	add := func(name, help string, perUnit float64, bounds []float64) *histogram {
		h := newHistogram("vllm:"+name, help, perUnit, bounds)
		m.histograms = append(m.histograms, h)
		return h
	}
	lengths := oneTwoFive(maxModelLen)
	m.requestPrompt = add("request_prompt_tokens", "Number of prefill tokens processed.", 1, lengths)
	m.requestGeneration = add("request_generation_tokens", "Number of generation tokens processed.", 1, lengths)
	m.step = add("iteration_tokens_total", "Histogram of number of tokens per engine_step.", 1, stepBounds)
	m.maxGenerate = add("request_max_num_generation_tokens",
		"Histogram of maximum number of requested generation tokens.", 1, lengths)
	m.requestN = add("request_params_n", "Histogram of the n request parameter.", 1, countBounds)
	m.requestMaxTokens = add("request_params_max_tokens", "Histogram of the max_tokens request parameter.", 1, lengths)
	m.firstToken = add("time_to_first_token_seconds", "Histogram of time to first token in seconds.",
		nanosecond, firstTokenBounds)
	m.interToken = add("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.",
		nanosecond, tokenBounds)
	m.perOutputToken = add("request_time_per_output_token_seconds",
		"Histogram of time_per_output_token_seconds per request.", nanosecond, tokenBounds)
	m.endToEnd = add("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", nanosecond, timeBounds)
	m.queue = add("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.",
		nanosecond, timeBounds)
	m.inference = add("request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.",
		nanosecond, timeBounds)
	m.prefill = add("request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.",
		nanosecond, timeBounds)
	m.decode = add("request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.",
		nanosecond, timeBounds)
	return m
}

// formatFloat writes a number as Python's Prometheus client does: whole numbers carry ".0".
func formatFloat(value float64) string {
	text := strconv.FormatFloat(value, 'g', -1, 64)
	for _, c := range text {
		if c == '.' || c == 'e' || c == 'I' || c == 'N' {
			return text
		}
	}
	return text + ".0"
}

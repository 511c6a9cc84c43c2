// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// exposition writes metrics in Prometheus' text format 0.0.4. Labels are sorted by name, as vLLM's are.
type exposition struct {
	text []byte
	// engine and model are the labels that every vLLM metric carries.
	model string
}

func (e *exposition) head(name, kind, help string) {
	e.text = append(e.text, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// sample writes one line; extra is a list of label names and values in turn.
func (e *exposition) sample(name string, value float64, extra ...string) {
	labels := []string{`engine="0"`, `model_name="` + escapeLabel(e.model) + `"`}
	for i := 0; i+1 < len(extra); i += 2 {
		labels = append(labels, extra[i]+`="`+escapeLabel(extra[i+1])+`"`)
	}
	slices.Sort(labels)
	e.text = append(e.text, name+"{"+strings.Join(labels, ",")+"} "+formatFloat(value)+"\n"...)
}

func (e *exposition) gauge(name, help string, value float64) {
	e.head(name, "gauge", help)
	e.sample(name, value)
}

func (e *exposition) counter(name, help string, value int64) {
	e.head(name+"_total", "counter", help)
	e.sample(name+"_total", float64(value))
}

func (e *exposition) histogram(h *histogram) {
	e.head(h.name, "histogram", h.help)
	total := int64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
		bound := "+Inf"
		if i < len(h.labels) {
			bound = h.labels[i]
		}
		e.sample(h.name+"_bucket", float64(total), "le", bound)
	}
	e.sample(h.name+"_count", float64(total))
	e.sample(h.name+"_sum", float64(h.sum.Load())*h.perUnit)
}

func escapeLabel(value string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value)
}

// handleMetrics serves GET /metrics.
func (s *server) handleMetrics(w http.ResponseWriter, _ *http.Request) int {
	m := s.engine.metrics
	e := &exposition{text: make([]byte, 0, 64<<10), model: s.config.ServedNames[0]}
	e.gauge("vllm:num_requests_running", "Number of requests in model execution batches.", float64(m.running.Load()))
	e.gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", float64(m.waiting.Load()))
	const byReason = "vllm:num_requests_waiting_by_reason"
	e.head(byReason, "gauge", "Number of waiting requests by reason.")
	e.sample(byReason, float64(m.waiting.Load()), "reason", "capacity")
	e.sample(byReason, 0, "reason", "deferred")
	e.gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", s.engine.cacheUsage())
	s.writeSleepState(e)
	e.counter("vllm:prompt_tokens", "Number of prefill tokens processed.", m.promptTokens.Load())
	e.counter("vllm:generation_tokens", "Number of generation tokens processed.", m.generationTokens.Load())
	e.counter("vllm:num_preemptions", "Cumulative number of preemption from the engine.", m.preemptions.Load())
	e.counter("vllm:prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.",
		m.prefixQueries.Load())
	e.counter("vllm:prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.", m.prefixHits.Load())
	e.counter("vllm:external_prefix_cache_queries", "External prefix cache queries, in number of queried tokens.", 0)
	e.counter("vllm:external_prefix_cache_hits", "External prefix cache hits, in number of cached tokens.", 0)
	e.head("vllm:request_success_total", "counter", "Count of successfully processed requests.")
	for i, reason := range finishReasons {
		e.sample("vllm:request_success_total", float64(m.success[i].Load()), "finished_reason", reason)
	}
	for _, h := range m.histograms {
		e.histogram(h)
	}
	s.writeConfigInfo(e)
	s.lora.writeInfo(e)
	s.writeHTTPMetrics(e)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(e.text)
	return http.StatusOK
}

// writeConfigInfo writes the configuration of the KV cache as labels of a constant.
func (s *server) writeConfigInfo(e *exposition) {
	const name = "vllm:cache_config_info"
	e.head(name, "gauge", "Information of the LLMEngine CacheConfig")
	e.text = append(e.text, name+`{block_size="`+strconv.Itoa(prefixBlockToken)+
		`",cache_dtype="auto",enable_prefix_caching="True",engine="0",gpu_memory_utilization="`+
		formatFloat(s.config.GPUMemoryUtilization)+`",num_gpu_blocks="`+
		strconv.Itoa(s.config.CacheTokens/prefixBlockToken)+"\"} 1.0\n"...)
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// commandLine is what `vllm serve` was given: the model and the values of each option. A switch has the
// value "true" or "false".
type commandLine struct {
	model  string
	values map[string][]string
}

// kind says how an option takes values, in argparse's terms.
type kind int

const (
	isSwitch kind = iota // --x and --no-x
	isText
	isInt
	isFloat
	isLength // an integer, or "auto", -1, 4k, 4K
	isList   // one or more values
)

// options are the options of `vllm serve` that people set. An option that is not here stops the start, as in
// the real server: a typing error in a chart must not pass the lab.
var options = map[string]kind{
	"served-model-name": isList, "api-key": isList, "lora-modules": isList, "middleware": isList,
	"cudagraph-capture-sizes": isList, "allowed-media-domains": isList, "load-format": isText,

	"model": isText, "host": isText, "uds": isText, "uvicorn-log-level": isText, "tokenizer": isText,
	"tokenizer-mode": isText, "revision": isText, "tokenizer-revision": isText, "code-revision": isText,
	"dtype": isText, "quantization": isText, "kv-cache-dtype": isText, "download-dir": isText, "task": isText,
	"runner": isText, "convert": isText, "chat-template": isText, "chat-template-content-format": isText,
	"response-role": isText, "tool-call-parser": isText, "reasoning-parser": isText, "tool-parser-plugin": isText,
	"ssl-keyfile": isText, "ssl-certfile": isText, "ssl-ca-certs": isText, "ssl-cert-reqs": isText, "root-path": isText,
	"distributed-executor-backend": isText, "attention-backend": isText, "scheduling-policy": isText,
	"compilation-config": isText, "speculative-config": isText, "kv-transfer-config": isText,
	"kv-events-config": isText, "structured-outputs-config": isText, "override-generation-config": isText,
	"hf-overrides": isText, "hf-config-path": isText, "hf-token": isText, "generation-config": isText,
	"limit-mm-per-prompt": isText, "mm-processor-kwargs": isText, "model-loader-extra-config": isText,
	"additional-config": isText, "otlp-traces-endpoint": isText, "collect-detailed-traces": isText,
	"allowed-origins": isText, "allowed-methods": isText, "allowed-headers": isText, "lora-dtype": isText,
	"model-impl": isText, "guided-decoding-backend": isText, "show-hidden-metrics-for-version": isText,
	"data-parallel-address": isText, "data-parallel-backend": isText, "prefix-caching-hash-algo": isText,
	"disable-access-log-for-endpoints": isText, "served-model-revision": isText, "logits-processors": isText,
	"optimization-level": isText, "kv-offloading-backend": isText, "allowed-local-media-path": isText,
	"log-config-file": isText, "master-addr": isText,

	"port": isInt, "tensor-parallel-size": isInt, "pipeline-parallel-size": isInt, "data-parallel-size": isInt,
	"data-parallel-size-local": isInt, "data-parallel-start-rank": isInt, "data-parallel-rpc-port": isInt,
	"decode-context-parallel-size": isInt, "max-num-seqs": isInt, "block-size": isInt, "seed": isInt,
	"max-num-partial-prefills": isInt, "max-loras": isInt, "max-lora-rank": isInt, "max-cpu-loras": isInt,
	"max-logprobs": isInt, "api-server-count": isInt, "num-gpu-blocks-override": isInt, "max-log-len": isInt,
	"shutdown-timeout": isInt, "max-parallel-loading-workers": isInt, "h11-max-header-count": isInt,
	"h11-max-incomplete-event-size": isInt, "nnodes": isInt, "node-rank": isInt, "master-port": isInt,
	"stream-interval": isInt,

	"gpu-memory-utilization": isFloat, "swap-space": isFloat, "cpu-offload-gb": isFloat, "kv-offloading-size": isFloat,

	"max-model-len": isLength, "max-num-batched-tokens": isLength, "long-prefill-token-threshold": isLength,
	"kv-cache-memory-bytes": isLength, "max-seq-len-to-capture": isLength,

	"enable-lora": isSwitch, "enable-prefix-caching": isSwitch, "enable-chunked-prefill": isSwitch,
	"enable-sleep-mode": isSwitch, "enable-auto-tool-choice": isSwitch, "enable-expert-parallel": isSwitch,
	"enable-eplb": isSwitch, "enable-log-requests": isSwitch, "enable-log-outputs": isSwitch,
	"enable-request-id-headers": isSwitch, "enable-server-load-tracking": isSwitch, "enable-tokenizer-info-endpoint": isSwitch,
	"enable-prompt-tokens-details": isSwitch, "enable-force-include-usage": isSwitch, "enable-ssl-refresh": isSwitch,
	"enable-log-deltas": isSwitch, "enable-prompt-embeds": isSwitch, "enable-offline-docs": isSwitch,
	"enable-dbo": isSwitch, "enable-return-routed-experts": isSwitch, "enable-per-request-metrics": isSwitch,
	"enforce-eager": isSwitch, "trust-remote-code": isSwitch, "disable-log-stats": isSwitch, "disable-log-requests": isSwitch,
	"disable-uvicorn-access-log": isSwitch, "disable-fastapi-docs": isSwitch, "disable-custom-all-reduce": isSwitch,
	"disable-sliding-window": isSwitch, "disable-cascade-attn": isSwitch, "disable-hybrid-kv-cache-manager": isSwitch,
	"disable-frontend-multiprocessing": isSwitch, "disable-chunked-mm-input": isSwitch, "allow-credentials": isSwitch,
	"async-scheduling": isSwitch, "calculate-kv-scales": isSwitch, "skip-tokenizer-init": isSwitch,
	"use-tqdm-on-load": isSwitch, "language-model-only": isSwitch, "return-tokens-as-token-ids": isSwitch,
	"kv-cache-metrics": isSwitch, "cudagraph-metrics": isSwitch, "enable-layerwise-nvtx-tracing": isSwitch,
	"headless": isSwitch, "data-parallel-hybrid-lb": isSwitch, "data-parallel-external-lb": isSwitch,
	"fully-sharded-loras": isSwitch, "log-error-stack": isSwitch, "trust-request-chat-template": isSwitch,
}

var shortOptions = map[string]string{
	"tp": "tensor-parallel-size", "pp": "pipeline-parallel-size", "dp": "data-parallel-size",
	"q": "quantization", "O": "optimization-level", "asc": "api-server-count",
}

// addedIn are the versions that brought an option; an older server refuses it.
var addedIn = map[string]string{
	"disable-access-log-for-endpoints": "0.16.0",
	"shutdown-timeout":                 "0.18.0",
}

// parseCommandLine reads the arguments behind `serve`. The error's text is what argparse would say.
func parseCommandLine(args []string, reportedVersion string) (commandLine, error) {
	line := commandLine{values: map[string][]string{}}
	var unknown []string
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--help" || word == "-h" {
			return line, errHelp
		}
		if !isOption(word) {
			if line.model == "" {
				line.model = word
			} else {
				unknown = append(unknown, word)
			}
			continue
		}
		if strings.HasPrefix(word, "-O") && len(word) == 3 {
			word = "-O=" + word[2:] // -O3 is written without a space
		}
		name, value, inline := strings.Cut(word, "=")
		name, negated := canonical(name)
		takes, known := options[name]
		if since := addedIn[name]; !known || (since != "" && olderThan(reportedVersion, since)) ||
			(negated && takes != isSwitch) {
			unknown = append(unknown, word)
			continue
		}
		var values []string
		switch {
		case takes == isSwitch && inline:
			return line, fmt.Errorf("argument --%s: ignored explicit argument '%s'", name, value)
		case takes == isSwitch:
			values = []string{strconv.FormatBool(!negated)}
		case inline:
			values = []string{value}
		default:
			for len(args) > 0 && !isOption(args[0]) && (takes == isList || len(values) == 0) {
				values = append(values, args[0])
				args = args[1:]
			}
		}
		if len(values) == 0 {
			expected := "one argument"
			if takes == isList {
				expected = "at least one argument"
			}
			return line, fmt.Errorf("argument --%s: expected %s", name, expected)
		}
		if err := checkValue(name, takes, values[0]); err != nil {
			return line, err
		}
		line.values[name] = values
	}
	if len(unknown) > 0 {
		return line, fmt.Errorf("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	return line, nil
}

// isOption says whether a word starts an option; a negative number does not.
func isOption(word string) bool {
	if len(word) < 2 || word[0] != '-' {
		return false
	}
	_, err := strconv.ParseFloat(word, 64)
	return err != nil
}

// canonical turns --tensor_parallel_size, -tp, -O3, --no-enable-lora and --compilation-config.mode into the
// option's name, and says whether it was negated.
func canonical(word string) (name string, negated bool) {
	if !strings.HasPrefix(word, "--") {
		if long, ok := shortOptions[word[1:]]; ok {
			return long, false
		}
		return word, false
	}
	name = strings.ReplaceAll(strings.TrimPrefix(word, "--"), "_", "-")
	name, _, _ = strings.Cut(name, ".")
	if _, known := options[name]; !known && strings.HasPrefix(name, "no-") {
		return strings.TrimPrefix(name, "no-"), true
	}
	return name, false
}

func checkValue(name string, takes kind, value string) error {
	var err error
	var typeName string
	switch takes {
	case isInt:
		typeName = "int"
		_, err = strconv.Atoi(value)
	case isFloat:
		typeName = "float"
		_, err = strconv.ParseFloat(value, 64)
	case isLength:
		typeName = "human_readable_int_or_auto"
		_, err = parseLength(value)
	}
	if err != nil {
		return fmt.Errorf("argument --%s: invalid %s value: '%s'", name, typeName, value)
	}
	return nil
}

// parseLength reads 4096, 4k (4000), 4K (4096), auto and -1; the last two give 0.
func parseLength(value string) (int, error) {
	if value == "auto" || value == "-1" {
		return 0, nil
	}
	factor := 1.0
	suffixes := map[byte]float64{'k': 1e3, 'm': 1e6, 'g': 1e9, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
	if value != "" && suffixes[value[len(value)-1]] != 0 {
		factor = suffixes[value[len(value)-1]]
		value = value[:len(value)-1]
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil || number <= 0 {
		return 0, fmt.Errorf("invalid length %q", value)
	}
	return int(number * factor), nil
}

// olderThan compares versions such as 0.18.0 by their numbers.
func olderThan(version, other string) bool {
	return slices.Compare(numbers(version), numbers(other)) < 0
}

func numbers(version string) []int {
	var result []int
	for _, part := range strings.Split(strings.TrimPrefix(version, "v"), ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		result = append(result, number)
	}
	return result
}

// last returns the value of an option, or fallback where it was not given.
func (c commandLine) last(name, fallback string) string {
	if values := c.values[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return fallback
}

func (c commandLine) number(name string, fallback int) int {
	number, err := strconv.Atoi(c.last(name, ""))
	if err != nil {
		return fallback
	}
	return number
}

func (c commandLine) enabled(name string) bool {
	return c.last(name, "false") == "true"
}

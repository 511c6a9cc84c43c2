// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestCommandLineAcceptsWhatChartsWrite(t *testing.T) {
	line, err := parseCommandLine(strings.Fields("meta/Llama --served-model-name a b --port=9000 -tp 2 --enable_lora "+
		"--no-enable-prefix-caching --max-model-len 4k -O3 --compilation-config.mode 3 --seed -1 "+
		"--lora-modules x=/x y=/y --shutdown-timeout 45 --disable-access-log-for-endpoints /health,/metrics"), "0.18.0")
	if err != nil {
		t.Fatal(err)
	}
	if line.model != "meta/Llama" {
		t.Errorf("model %q", line.model)
	}
	want := map[string][]string{
		"served-model-name": {"a", "b"}, "port": {"9000"}, "tensor-parallel-size": {"2"}, "enable-lora": {"true"},
		"enable-prefix-caching": {"false"}, "max-model-len": {"4k"}, "compilation-config": {"3"}, "seed": {"-1"},
		"lora-modules": {"x=/x", "y=/y"}, "shutdown-timeout": {"45"},
		"disable-access-log-for-endpoints": {"/health,/metrics"},
	}
	for name, values := range want {
		if !reflect.DeepEqual(line.values[name], values) {
			t.Errorf("%s: %q, want %q", name, line.values[name], values)
		}
	}
}

func TestCommandLineRefuses(t *testing.T) {
	cases := []struct{ args, version, message string }{
		{"m --bogus", "0.18.0", "unrecognized arguments: --bogus"},
		{"m --bogus=1 other", "0.18.0", "unrecognized arguments: --bogus=1 other"},
		{"m --port x", "0.18.0", "argument --port: invalid int value: 'x'"},
		{"m --port", "0.18.0", "argument --port: expected one argument"},
		{"m --served-model-name", "0.18.0", "argument --served-model-name: expected at least one argument"},
		{"m --enable-lora=true", "0.18.0", "argument --enable-lora: ignored explicit argument 'true'"},
		{"m --no-port 1", "0.18.0", "unrecognized arguments: --no-port 1"},
		{"m --shutdown-timeout 5", "0.17.1", "unrecognized arguments: --shutdown-timeout 5"},
		{"m --max-model-len -5", "0.18.0", "argument --max-model-len: invalid human_readable_int_or_auto value: '-5'"},
	}
	for _, c := range cases {
		_, err := parseCommandLine(strings.Fields(c.args), c.version)
		if err == nil || err.Error() != c.message {
			t.Errorf("%q: %v, want %q", c.args, err, c.message)
		}
	}
	if _, err := parseCommandLine([]string{"--help"}, "0.18.0"); !errors.Is(err, errHelp) {
		t.Errorf("--help: %v", err)
	}
}

func TestOptionsAreNamedOnce(t *testing.T) {
	total := 0
	for _, names := range optionNames {
		total += len(strings.Fields(names))
	}
	if total != len(options) {
		t.Errorf("%d names, %d options", total, len(options))
	}
}

func TestLengths(t *testing.T) {
	for text, want := range map[string]int{"4096": 4096, "4k": 4000, "4K": 4096, "1.5k": 1500, "auto": 0, "-1": 0} {
		if got, err := parseLength(text); err != nil || got != want {
			t.Errorf("%s: %d %v", text, got, err)
		}
	}
}

func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestConfig(t *testing.T) {
	c, err := loadConfig([]string{"m", "--host", "::1"}, environ("VLLM_API_KEY", "k", "MODEL_SERVER_FAULT", "slow-load"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Address != "[::1]:8000" || c.APIKeys[0] != "k" || c.ServedNames[0] != "m" || c.LoadTime != seconds(120) {
		t.Errorf("%+v", c)
	}
	if c, err = loadConfig([]string{"m", "--api-key", "x", "y"}, environ("VLLM_API_KEY", "k")); err != nil ||
		!reflect.DeepEqual(c.APIKeys, []string{"x", "y"}) {
		t.Errorf("the flag goes before the environment: %q %v", c.APIKeys, err)
	}
	for _, wrong := range [][]string{
		{"MODEL_SERVER_FAULT", "nonsense"}, {"MODEL_SERVER_TTFT_MS", "-1"}, {"MODEL_SERVER_LOAD_SECONDS", "soon"},
		{"MODEL_SERVER_FAULT_EVERY", "0"}, {"MODEL_SERVER_FAULT_AFTER", "1.5"}, {"MODEL_SERVER_ITL_MS", "1e300"},
		{"MODEL_SERVER_KIND", "image"},
	} {
		if _, err := loadConfig([]string{"m"}, environ(wrong...)); err == nil {
			t.Errorf("%v was accepted", wrong)
		}
	}
	if _, err := loadConfig([]string{"m", "--lora-modules", "a=/a"}, environ()); err == nil {
		t.Error("adapters without --enable-lora were accepted")
	}
}

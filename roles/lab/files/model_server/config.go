// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultModel       = "Qwen/Qwen3-0.6B"
	defaultModelLength = 8192
)

// The kinds of models. An embedding model has no completions at all.
const (
	kindChat      = "chat"
	kindBase      = "base" // completes text, but has no chat template
	kindEmbedding = "embedding"
)

var kinds = []string{kindChat, kindBase, kindEmbedding}

// config is everything that is fixed while the server runs. What may change is in behaviour.
type config struct {
	Model       string
	ServedNames []string
	LoRAModules []adapter
	EnableLoRA  bool
	MaxLoRAs    int

	Address         string
	APIKeys         []string
	TLSKey, TLSCert string
	ShutdownTimeout time.Duration

	MaxModelLen          int // tokens
	MaxNumSeqs           int
	GPUMemoryUtilization float64
	CacheTokens          int // size of the KV cache

	RuntimeLoRA       bool
	DevMode           bool
	SleepMode         bool
	LoadTracking      bool
	RequestIDHeaders  bool
	PromptDetails     bool
	ForceIncludeUsage bool
	AccessLog         bool
	QuietPaths        []string

	Kind            string // of model: what the server can be asked for
	ReportedVersion string
	LoadTime        time.Duration
	Control         bool
	CrashLog        string
	WrongName       string
	OOMLimit        int64 // bytes; 0 means the limit of the container's memory cgroup

	Start behaviour
}

// environment reads settings and remembers the first that is wrong.
type environment struct {
	get func(string) string
	err error
}

func (e *environment) text(name, fallback string) string {
	if value := e.get(name); value != "" {
		return value
	}
	return fallback
}

func (e *environment) float(name string, fallback float64) float64 {
	text := e.get(name)
	if text == "" {
		return fallback
	}
	value, err := strconv.ParseFloat(text, 64)
	if (err != nil || value < 0 || math.IsInf(value, 0) || math.IsNaN(value)) && e.err == nil {
		e.err = fmt.Errorf("%s must be a number from 0, not %q", name, text)
	}
	return value
}

func (e *environment) whole(name string, fallback int) int {
	text := e.get(name)
	if text == "" {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if (err != nil || value < 0) && e.err == nil {
		e.err = fmt.Errorf("%s must be a whole number from 0, not %q", name, text)
	}
	return value
}

func (e *environment) flag(name string, fallback bool) bool {
	switch strings.ToLower(e.get(name)) {
	case "":
		return fallback
	case "1", "true", "yes", "on":
		return true
	}
	return false
}

func seconds(value float64) time.Duration {
	return time.Duration(value * float64(time.Second))
}

func milliseconds(value float64) time.Duration {
	return time.Duration(value * float64(time.Millisecond))
}

// reportedVersion is the version of vLLM that the server claims to be.
func reportedVersion(getenv func(string) string) string {
	if set := getenv("MODEL_SERVER_REPORTED_VERSION"); set != "" {
		return set
	}
	return "0.18.0"
}

// loadConfig merges the command line with the environment.
func loadConfig(args []string, getenv func(string) string) (config, error) {
	env := &environment{get: getenv}
	reported := reportedVersion(getenv)
	line, err := parseCommandLine(args, reported)
	if err != nil {
		return config{}, err
	}
	c := config{
		Model:       line.last("model", line.model),
		ServedNames: line.values["served-model-name"],
		EnableLoRA:  line.enabled("enable-lora"),
		MaxLoRAs:    line.number("max-loras", 1),
		Address:     net.JoinHostPort(line.last("host", ""), line.last("port", "8000")),
		APIKeys:     line.values["api-key"],
		TLSKey:      line.last("ssl-keyfile", ""),
		TLSCert:     line.last("ssl-certfile", ""),

		ShutdownTimeout: time.Duration(line.number("shutdown-timeout", 0)) * time.Second,
		MaxNumSeqs:      line.number("max-num-seqs", 256),

		SleepMode:         line.enabled("enable-sleep-mode"),
		LoadTracking:      line.enabled("enable-server-load-tracking"),
		RequestIDHeaders:  line.enabled("enable-request-id-headers"),
		PromptDetails:     line.enabled("enable-prompt-tokens-details"),
		ForceIncludeUsage: line.enabled("enable-force-include-usage"),

		RuntimeLoRA: env.flag("VLLM_ALLOW_RUNTIME_LORA_UPDATING", false),
		DevMode:     env.flag("VLLM_SERVER_DEV_MODE", false),

		AccessLog:       env.flag("MODEL_SERVER_ACCESS_LOG", !line.enabled("disable-uvicorn-access-log")),
		Kind:            env.text("MODEL_SERVER_KIND", kindChat),
		ReportedVersion: reported,
		Control:         env.flag("MODEL_SERVER_CONTROL", false),
		CrashLog:        env.text("MODEL_SERVER_CRASH_LOG", "cuda-oom"),
		WrongName:       env.text("MODEL_SERVER_WRONG_NAME", "some-other-model"),
		OOMLimit:        int64(env.float("MODEL_SERVER_OOM_LIMIT_MB", 0) * (1 << 20)),
	}
	if !slices.Contains(kinds, c.Kind) {
		return c, fmt.Errorf("unknown kind of model %q; choose from %s", c.Kind, strings.Join(kinds, ", "))
	}
	if c.Model == "" {
		c.Model = defaultModel
	}
	if len(c.ServedNames) == 0 {
		c.ServedNames = []string{c.Model}
	}
	if key := getenv("VLLM_API_KEY"); len(c.APIKeys) == 0 && key != "" {
		c.APIKeys = []string{key}
	}
	if paths := line.last("disable-access-log-for-endpoints", ""); paths != "" {
		c.QuietPaths = strings.Split(paths, ",")
	}
	if c.MaxModelLen, _ = parseLength(line.last("max-model-len", "auto")); c.MaxModelLen == 0 {
		c.MaxModelLen = env.whole("MODEL_SERVER_MODEL_LEN", defaultModelLength)
	}
	c.GPUMemoryUtilization, _ = strconv.ParseFloat(line.last("gpu-memory-utilization", "0.9"), 64)
	if c.GPUMemoryUtilization <= 0 || c.GPUMemoryUtilization > 1 {
		return c, fmt.Errorf("GPU memory utilization must be in (0, 1], got %v", c.GPUMemoryUtilization)
	}
	if c.MaxNumSeqs < 1 {
		return c, fmt.Errorf("max_num_seqs must be at least 1, got %d", c.MaxNumSeqs)
	}
	c.CacheTokens = env.whole("MODEL_SERVER_KV_TOKENS", 64*c.MaxModelLen)
	for _, module := range line.values["lora-modules"] {
		parsed, err := parseAdapter(module)
		if err != nil {
			return c, err
		}
		c.LoRAModules = append(c.LoRAModules, parsed)
	}
	if len(c.LoRAModules) > 0 && !c.EnableLoRA {
		return c, fmt.Errorf("--lora-modules needs --enable-lora")
	}
	if c.Start, err = loadBehaviour(env); err != nil {
		return c, err
	}
	load := 0.0
	if c.Start.Fault == faultSlowLoad {
		load = c.Start.FaultSeconds
	}
	c.LoadTime = seconds(env.float("MODEL_SERVER_LOAD_SECONDS", load))
	return c, env.err
}

// parseAdapter reads name=path, or the JSON object that newer versions take.
func parseAdapter(text string) (adapter, error) {
	var parsed adapter
	if strings.HasPrefix(text, "{") {
		if err := json.Unmarshal([]byte(text), &parsed); err != nil {
			return parsed, fmt.Errorf("argument --lora-modules: invalid JSON: '%s'", text)
		}
	} else {
		parsed.Name, parsed.Path, _ = strings.Cut(text, "=")
	}
	if parsed.Name == "" || parsed.Path == "" {
		return parsed, fmt.Errorf("argument --lora-modules: expected name=path, got '%s'", text)
	}
	return parsed, nil
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

type server struct {
	config   config
	log      *logger
	engine   *engine
	faults   *faults
	keys     keyring
	lora     *adapters
	routes   map[string]route
	inFlight atomic.Int64
	sleeping atomic.Int64 // sleep level, 0 is awake
	growing  atomic.Bool
	http     httpCounts
}

// handler answers a request and returns the status that it sent, for the log and the metrics.
type handler func(w http.ResponseWriter, r *http.Request) int

type route struct {
	methods map[string]handler
	counts  *routeCounts
}

func newServer(c config, log *logger) *server {
	s := &server{
		config: c,
		log:    log,
		engine: newEngine(c.MaxNumSeqs, c.CacheTokens, c.MaxModelLen),
		faults: newFaults(c.Start),
		keys:   newKeyring(c.APIKeys),
		lora:   newAdapters(c.EnableLoRA, c.MaxLoRAs, c.LoRAModules),
		routes: map[string]route{},
	}
	s.addRoutes()
	return s
}

func (s *server) addRoutes() {
	get := func(path string, h handler) { s.addRoute(http.MethodGet, path, h) }
	post := func(path string, h handler) { s.addRoute(http.MethodPost, path, h) }
	get("/health", s.handleHealth)
	get("/ping", s.handleHealth)
	post("/ping", s.handleHealth)
	get("/version", s.handleVersion)
	get("/load", s.handleLoad)
	get("/metrics", s.handleMetrics)
	get("/v1/models", s.handleModels)
	if s.config.Kind == kindEmbedding {
		post("/v1/embeddings", s.handleEmbeddings)
	} else {
		post("/v1/chat/completions", s.handleChat)
		post("/v1/completions", s.handleCompletions)
		post("/invocations", s.handleInvocations)
	}
	post("/tokenize", s.handleTokenize)
	post("/detokenize", s.handleDetokenize)
	if s.config.RuntimeLoRA {
		post("/v1/load_lora_adapter", s.handleLoadLoRA)
		post("/v1/unload_lora_adapter", s.handleUnloadLoRA)
	}
	if s.config.DevMode && s.config.SleepMode {
		post("/sleep", s.handleSleep)
		post("/wake_up", s.handleWakeUp)
		get("/is_sleeping", s.handleIsSleeping)
	}
	if s.config.Control {
		get("/control", s.handleControlGet)
		post("/control", s.handleControlPost)
	}
}

func (s *server) addRoute(method, path string, h handler) {
	known, ok := s.routes[path]
	if !ok {
		known = route{methods: map[string]handler{}, counts: s.http.add(path)}
		s.routes[path] = known
	}
	known.methods[method] = h
	if method == http.MethodGet {
		known.methods[http.MethodHead] = h
	}
}

// ServeHTTP checks the key, finds the handler, and counts and logs the request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get("X-Request-Id"); id != "" {
		w.Header().Set("X-Request-Id", id)
	} else if s.config.RequestIDHeaders {
		w.Header().Set("X-Request-Id", randomHex())
	}
	status := s.dispatch(w, r)
	s.log.request(r, status)
}

func (s *server) dispatch(w http.ResponseWriter, r *http.Request) int {
	if !s.keys.allows(r) {
		return writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "Unauthorized"})
	}
	found, ok := s.routes[r.URL.Path]
	if !ok {
		return writeDetail(w, http.StatusNotFound)
	}
	handle, ok := found.methods[r.Method]
	if !ok {
		return writeDetail(w, http.StatusMethodNotAllowed)
	}
	status := handle(w, r)
	found.counts.count(r.Method, status)
	return status
}

// serveCommand runs the server until it is told to stop and returns the exit status.
func serveCommand(args []string, getenv func(string) string) int {
	c, err := loadConfig(args, getenv)
	if errors.Is(err, errHelp) {
		printServeHelp(os.Stdout)
		return 0
	}
	if err != nil {
		printUsageError(os.Stderr, err)
		return 2
	}
	log := newLogger(os.Stdout, c.AccessLog, c.QuietPaths)
	if getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a small heap: collecting it often costs more than it saves
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	log.info("api_server.py:1351", "vLLM API server version %s (llmops.platform lab model server %s)",
		c.ReportedVersion, version)
	log.info("core.py:90", "Initializing a V1 LLM engine (v%s) with config: model='%s', served_model_name=%s, "+
		"max_seq_len=%d", c.ReportedVersion, c.Model, c.ServedNames[0], c.MaxModelLen)
	s := newServer(c, log)
	if status, stop := s.load(signals); stop {
		return status
	}
	return s.listenAndServe(signals)
}

// load takes the time that a real server needs before it opens its port, or fails as one that does not get there.
func (s *server) load(signals <-chan os.Signal) (status int, stop bool) {
	delay := s.config.LoadTime
	crash := s.config.Start.Fault == faultCrashAtStart
	if crash {
		delay = seconds(s.config.Start.FaultSeconds)
	}
	if delay > 0 {
		s.log.info("gpu_model_runner.py:2602", "Starting to load model %s...", s.config.Model)
		select {
		case <-time.After(delay):
		case <-signals:
			return 0, true
		}
	}
	if crash {
		s.log.error("core.py:708", "EngineCore failed to start.\n%s", crashLog(s.config.CrashLog, s.config.Model))
		return 1, true
	}
	return 0, false
}

// listenAndServe opens the port and serves until a signal, then drains.
func (s *server) listenAndServe(signals <-chan os.Signal) int {
	listener, err := net.Listen("tcp", s.config.Address)
	if err != nil {
		s.log.error("api_server.py:1400", "[Errno 98] error while attempting to bind on address %s: %v",
			s.config.Address, err)
		return 1
	}
	base, abort := context.WithCancel(context.Background())
	defer abort()
	web := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	s.log.info("api_server.py:1425", "Starting vLLM API server 0 on http://%s", listener.Addr())
	s.log.info("api_server.py:1430", "Application startup complete.")
	s.startFault(s.faults.present.Load())
	ended := make(chan error, 1)
	go func() {
		if s.config.TLSCert != "" {
			ended <- web.ServeTLS(listener, s.config.TLSCert, s.config.TLSKey)
		} else {
			ended <- web.Serve(listener)
		}
	}()
	select {
	case err := <-ended:
		s.log.error("api_server.py:1440", "%v", err)
		return 1
	case received := <-signals:
		s.log.info("launcher.py:120", "Received %v: shutting down, shutdown timeout %s, %d requests running",
			received, s.config.ShutdownTimeout, s.inFlight.Load())
	}
	s.drain(web, signals)
	abort()
	_ = web.Close()
	s.log.info("launcher.py:140", "Application shutdown complete.")
	return 0
}

// drain closes the port and waits for running requests, up to the shutdown timeout or a second signal.
func (s *server) drain(web *http.Server, signals <-chan os.Signal) {
	limit, stop := context.WithTimeout(context.Background(), s.config.ShutdownTimeout)
	defer stop()
	go func() {
		select {
		case <-signals:
			stop()
		case <-limit.Done():
		}
	}()
	if err := web.Shutdown(limit); err != nil {
		s.log.warning("launcher.py:130", "Aborting %d running requests", s.inFlight.Load())
	}
}

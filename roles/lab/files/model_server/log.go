// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// logger writes lines shaped like those of vLLM and of uvicorn, so that whoever greps logs of the real
// server finds the same here.
type logger struct {
	mu      sync.Mutex
	out     io.Writer
	prefix  string
	access  bool
	muted   map[string]bool // paths without access log lines
	scratch []byte
}

func newLogger(out io.Writer, access bool, muted []string) *logger {
	l := &logger{out: out, prefix: fmt.Sprintf("(APIServer pid=%d) ", os.Getpid()), access: access}
	l.muted = make(map[string]bool, len(muted))
	for _, path := range muted {
		l.muted[path] = true
	}
	return l
}

func (l *logger) line(level, source, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stamp := time.Now().Format("01-02 15:04:05")
	// Every line of a traceback carries the prefix, as vLLM's do.
	for _, text := range strings.Split(fmt.Sprintf(format, args...), "\n") {
		fmt.Fprintf(l.out, "%s%s %s [%s] %s\n", l.prefix, level, stamp, source, text)
	}
}

func (l *logger) info(source, format string, args ...any) {
	l.line("INFO", source, format, args...)
}

func (l *logger) warning(source, format string, args ...any) {
	l.line("WARNING", source, format, args...)
}

func (l *logger) error(source, format string, args ...any) {
	l.line("ERROR", source, format, args...)
}

// request writes one access log line; it reuses a buffer since it runs for every request.
func (l *logger) request(r *http.Request, status int) {
	if !l.access || l.muted[r.URL.Path] {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scratch = fmt.Appendf(l.scratch[:0], "%sINFO:     %s - \"%s %s %s\" %d %s\n",
		l.prefix, r.RemoteAddr, r.Method, r.URL.RequestURI(), r.Proto, status, http.StatusText(status))
	_, _ = l.out.Write(l.scratch) // a log that cannot be written must not stop serving
}

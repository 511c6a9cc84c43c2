// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program itself, so that tests can start real processes of it.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_MODEL_SERVER") == "1" {
		os.Exit(run(append([]string{"model-server"}, os.Args[1:]...)))
	}
	os.Exit(m.Run())
}

// command prepares a process of this program.
func command(env []string, args ...string) *exec.Cmd {
	process := exec.Command(os.Args[0], args...)
	process.Env = append(append(os.Environ(), "RUN_AS_MODEL_SERVER=1"), env...)
	return process
}

// freePort asks the kernel for a port that nobody uses.
func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// startProcess runs `serve` and waits until its port is open.
func startProcess(t testing.TB, env []string, args ...string) (process *exec.Cmd, address string) {
	t.Helper()
	port := freePort(t)
	address = "127.0.0.1:" + port
	process = command(env, append([]string{"serve", "lab/model", "--host", "127.0.0.1", "--port", port}, args...)...)
	process.Stdout, process.Stderr = io.Discard, os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
			return process, address
		}
		if time.Now().After(deadline) {
			t.Fatal("the port did not open")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

const benchMembers = `"model":"lab/model","max_tokens":16,` +
	`"messages":[{"role":"user","content":"Say something about the fox and the dog."}]`

func rawRequest(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: lab\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, len(body), body)
}

// BenchmarkChat measures requests a second over loopback connections against a process of its own, and the
// requests that one core of that process could serve: requests divided by the CPU time that it used.
func BenchmarkChat(b *testing.B) {
	benchmark(b, "{"+benchMembers+"}")
}

// BenchmarkStream is the same with a stream of 16 tokens.
func BenchmarkStream(b *testing.B) {
	benchmark(b, `{"stream":true,`+benchMembers+"}")
}

func benchmark(b *testing.B, body string) {
	process, address := startProcess(b, nil, "--disable-uvicorn-access-log")
	const connections = 32
	request := rawRequest("/v1/chat/completions", body)
	before := cpuTime(b, process.Process.Pid)
	b.ResetTimer()
	var clients sync.WaitGroup
	for client := range connections {
		clients.Add(1)
		go func() {
			defer clients.Done()
			connection, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer connection.Close()
			reader := bufio.NewReader(connection)
			for i := client; i < b.N; i += connections {
				if _, err := io.WriteString(connection, request); err != nil {
					b.Error(err)
					return
				}
				response, err := http.ReadResponse(reader, nil)
				if err != nil || response.StatusCode != http.StatusOK {
					b.Errorf("%v %v", response, err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
			}
		}()
	}
	clients.Wait()
	b.StopTimer()
	used := cpuTime(b, process.Process.Pid) - before
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(b.N)/used.Seconds(), "req/s/core")
}

// cpuTime returns the CPU time of a process so far, from its clock in /proc (100 ticks a second).
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func TestPauseStopsOnSIGTERM(t *testing.T) {
	process := command(nil, "pause")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Fatalf("pause must end with 0 on SIGTERM: %v", err)
	}
}

func TestReapChildren(t *testing.T) {
	child := command(nil, "version")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	stat := fmt.Sprintf("/proc/%d/stat", child.Process.Pid)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		reapChildren()
		if _, err := os.Stat(stat); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the child that ended is still there")
		}
	}
}

func TestStartIsImmediate(t *testing.T) {
	began := time.Now()
	startProcess(t, nil)
	// The aim is 20 ms; the bound leaves room for a busy machine and for the test binary's own start.
	if took := time.Since(began); took > time.Second {
		t.Errorf("the port opened after %v", took)
	}
}

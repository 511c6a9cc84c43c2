// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// load_generator keeps a number of connections busy with one request after the other, and writes down how
// long each took. It sends prepared bytes and does as little as it can: what it costs is taken from those
// whom it measures. The last line of its output is one JSON object.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// report is the result. Times are microseconds; stream times are those of the first event.
type report struct {
	Seconds     float64        `json:"seconds"`
	CPUSeconds  float64        `json:"cpu_s"`
	LatenciesUs []int64        `json:"latencies_us"`
	FirstUs     []int64        `json:"first_us"`
	Failures    map[string]int `json:"failures"`
}

func main() {
	target := flag.String("url", "", "where to send requests")
	bodyFile := flag.String("body", "", "file with the request's body")
	key := flag.String("key", "", "bearer token")
	connections := flag.Int("connections", 1, "requests under way at a time")
	warmUp := flag.Duration("warm-up", 500*time.Millisecond, "time before anything is counted")
	duration := flag.Duration("duration", 2*time.Second, "time in which requests are begun and counted")
	events := flag.Int("events", 0, "events that a stream must have, [DONE] among them; 0 for a plain answer")
	timeout := flag.Duration("timeout", 30*time.Second, "longest time of one request")
	flag.Parse()
	if err := run(*target, *bodyFile, *key, *connections, *warmUp, *duration, *events, *timeout); err != nil {
		fmt.Fprintf(os.Stderr, "load_generator: %v\n", err)
		os.Exit(1)
	}
}

func run(
	target, bodyFile, key string, connections int, warmUp, duration time.Duration, events int, timeout time.Duration,
) error {
	body, err := os.ReadFile(bodyFile)
	if err != nil {
		return err
	}
	parsed, err := url.Parse(target)
	if err != nil {
		return err
	}
	job := job{
		address: parsed.Host,
		request: prepared(parsed, key, body),
		events:  events,
		timeout: timeout,
		begin:   time.Now().Add(warmUp),
	}
	job.end = job.begin.Add(duration)
	tallies := make([]tally, connections)
	var running sync.WaitGroup
	for index := range tallies {
		running.Add(1)
		go func() {
			defer running.Done()
			tallies[index] = job.work()
		}()
	}
	time.Sleep(time.Until(job.begin))
	used := cpuSeconds()
	time.Sleep(time.Until(job.end))
	result := report{Seconds: duration.Seconds(), CPUSeconds: cpuSeconds() - used, Failures: map[string]int{}}
	running.Wait()
	for _, one := range tallies {
		result.LatenciesUs = append(result.LatenciesUs, one.latencies...)
		result.FirstUs = append(result.FirstUs, one.first...)
		for reason, count := range one.failures {
			result.Failures[reason] += count
		}
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// prepared is the whole request as it goes over the wire.
func prepared(target *url.URL, key string, body []byte) []byte {
	var head strings.Builder
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\n", target.RequestURI(), target.Host)
	fmt.Fprintf(&head, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	if key != "" {
		fmt.Fprintf(&head, "Authorization: Bearer %s\r\n", key)
	}
	head.WriteString("\r\n")
	return append([]byte(head.String()), body...)
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A target that refuses connections must not be asked as fast as the machine can.
const pauseAfterFailure = 10 * time.Millisecond

var dataMark = []byte("data:")

// job is what every connection does.
type job struct {
	address    string
	request    []byte
	events     int
	timeout    time.Duration
	begin, end time.Time
}

// tally is what one connection saw.
type tally struct {
	latencies []int64
	first     []int64
	failures  map[string]int
}

// work sends requests until the end. Counted is what ended within the time; what was under way at its begin
// stands for what is under way at its end.
func (j *job) work() tally {
	seen := tally{failures: map[string]int{}}
	line := &line{job: j}
	defer line.close()
	for {
		started := time.Now()
		if !started.Before(j.end) {
			return seen
		}
		first, err := line.ask()
		ended := time.Now()
		counted := !ended.Before(j.begin) && ended.Before(j.end)
		switch {
		case err != nil:
			line.close()
			if counted {
				seen.failures[err.Error()]++
			}
			time.Sleep(pauseAfterFailure)
		case counted:
			seen.latencies = append(seen.latencies, ended.Sub(started).Microseconds())
			if j.events > 0 {
				seen.first = append(seen.first, first.Sub(started).Microseconds())
			}
		}
	}
}

// line is a connection that is kept as long as the server keeps it.
type line struct {
	job    *job
	conn   net.Conn
	reader *bufio.Reader
}

func (l *line) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// ask sends one request, reads the whole answer and checks it; first is when its first event came.
func (l *line) ask() (first time.Time, err error) {
	if l.conn == nil {
		if l.conn, err = net.DialTimeout("tcp", l.job.address, l.job.timeout); err != nil {
			return first, errors.New("no connection")
		}
		l.reader = bufio.NewReaderSize(l.conn, 16<<10)
	}
	l.conn.SetDeadline(time.Now().Add(l.job.timeout))
	if _, err = l.conn.Write(l.job.request); err != nil {
		return first, errors.New("connection lost while writing")
	}
	response, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return first, errors.New("no answer")
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		io.Copy(io.Discard, response.Body)
		return first, fmt.Errorf("status %d", response.StatusCode)
	}
	events := 0
	if first, events, err = readBody(response.Body); err != nil {
		return first, errors.New("answer cut off")
	}
	if l.job.events > 0 && events != l.job.events {
		return first, fmt.Errorf("%d events", events)
	}
	if response.Close {
		l.close()
	}
	return first, nil
}

// readBody reads to the end, counts server-sent events and notes when the first bytes came.
func readBody(body io.Reader) (first time.Time, events int, err error) {
	buffer := make([]byte, 16<<10)
	// The end of the previous part: a mark may be cut in two.
	kept := 0
	for {
		count, failure := body.Read(buffer[kept:])
		if count > 0 {
			if first.IsZero() {
				first = time.Now()
			}
			part := buffer[:kept+count]
			events += bytes.Count(part, dataMark)
			kept = min(len(dataMark)-1, len(part))
			copy(buffer, part[len(part)-kept:])
		}
		if failure == io.EOF {
			return first, events, nil
		}
		if failure != nil {
			return first, events, failure
		}
	}
}

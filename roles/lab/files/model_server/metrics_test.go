// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"math"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestHistogramBuckets(t *testing.T) {
	h := newHistogram("x", "", nanosecond, []float64{.3, 1})
	h.observe(0, 2)
	h.observe(300_000_000, 1) // exactly on a bound: inside
	h.observe(300_000_001, 1)
	h.observe(5e9, 3)
	h.observe(1, 0)
	e := &exposition{model: `m"1`}
	e.histogram(h)
	want := []string{
		`x_bucket{engine="0",le="0.3",model_name="m\"1"} 3.0`,
		`x_bucket{engine="0",le="1.0",model_name="m\"1"} 4.0`,
		`x_bucket{engine="0",le="+Inf",model_name="m\"1"} 7.0`,
		`x_count{engine="0",model_name="m\"1"} 7.0`,
	}
	lines := strings.Split(string(e.text), "\n")
	if !reflect.DeepEqual(lines[2:6], want) {
		t.Errorf("%s", strings.Join(lines[2:6], "\n"))
	}
	if math.Abs(float64(h.sum.Load())*nanosecond-15.6) > 1e-6 {
		t.Errorf("sum %v", h.sum.Load())
	}
}

func TestOneTwoFive(t *testing.T) {
	if got := oneTwoFive(120); !reflect.DeepEqual(got, []float64{1, 2, 5, 10, 20, 50, 100}) {
		t.Errorf("%v", got)
	}
}

func TestFormatFloat(t *testing.T) {
	for want, value := range map[string]float64{"1.0": 1, "0.001": .001, "2560.0": 2560, "+Inf": math.Inf(1)} {
		if got := formatFloat(value); got != want {
			t.Errorf("%v: %s", value, got)
		}
	}
}

func TestKeyring(t *testing.T) {
	keys := newKeyring([]string{"one", "", "two"})
	cases := []struct {
		path, header string
		allowed      bool
	}{
		{"/v1/models", "", false}, {"/v1/models", "Bearer one", true}, {"/v1/models", "bearer two", true},
		{"/v1/models", "Bearer ", false}, {"/v1/models", "Basic one", false}, {"/v1/models", "one", false},
		{"/v1x", "", false}, {"/v2/anything", "", false}, {"/inference/v1", "", false},
		{"/invocations", "", true}, {"/health", "", true}, {"/metrics", "", true}, {"/tokenize", "", true},
	}
	for _, c := range cases {
		r := httptest.NewRequest("GET", c.path, nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		if keys.allows(r) != c.allowed {
			t.Errorf("%s with %q: want %v", c.path, c.header, c.allowed)
		}
	}
	if !newKeyring(nil).allows(httptest.NewRequest("GET", "/v1/models", nil)) {
		t.Error("without keys all is open")
	}
}

func TestFaultSchedule(t *testing.T) {
	f := newFaults(behaviour{Fault: faultHTTP500, FaultAfter: 2, FaultEvery: 3})
	var failed []int
	for i := range 10 {
		if _, fault := f.next(); fault != faultNone {
			failed = append(failed, i)
		}
	}
	if !reflect.DeepEqual(failed, []int{2, 5, 8}) {
		t.Errorf("%v", failed)
	}
}

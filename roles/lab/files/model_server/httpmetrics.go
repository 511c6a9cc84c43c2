// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/http"
	"sort"
)

// httpCounts are the counters that the web framework of vLLM adds: http_requests_total by handler.
type httpCounts struct{ routes []*routeCounts }

// routeCounts counts the answers of one path by method (GET or HEAD, and POST) and class of status.
type routeCounts struct {
	path   string
	counts [2][6]counter
}

func (h *httpCounts) add(path string) *routeCounts {
	added := &routeCounts{path: path}
	h.routes = append(h.routes, added)
	return added
}

func (c *routeCounts) count(method string, status int) {
	row := 0
	if method == http.MethodPost {
		row = 1
	}
	c.counts[row][min(status/100, 5)].Add(1)
}

func (s *server) writeHTTPMetrics(e *exposition) {
	const name = "http_requests_total"
	e.head(name, "counter", "Total number of requests by method, status and handler.")
	routes := append([]*routeCounts(nil), s.http.routes...)
	sort.Slice(routes, func(i, j int) bool { return routes[i].path < routes[j].path })
	for _, route := range routes {
		for row, method := range []string{http.MethodGet, http.MethodPost} {
			for class := range route.counts[row] {
				if value := route.counts[row][class].Load(); value > 0 {
					e.text = append(e.text, name+`{handler="`+route.path+`",method="`+method+`",status="`+
						string(rune('0'+class))+`xx"} `+formatFloat(float64(value))+"\n"...)
				}
			}
		}
	}
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryLimit returns the bytes that the process's memory cgroup allows, 0 for no limit.
func memoryLimit() int64 {
	for _, path := range limitFiles(readText("/proc/self/cgroup")) {
		limit, err := strconv.ParseInt(strings.TrimSpace(readText(path)), 10, 64)
		// cgroup v1 says "no limit" with a number near 2^63, v2 with the word max.
		if err == nil && limit < 1<<60 {
			return limit
		}
	}
	return 0
}

// limitFiles lists where the limit may be, given /proc/self/cgroup. Inside a container the process's own
// group is usually mounted as the root, outside it lies below.
func limitFiles(membership string) []string {
	const root = "/sys/fs/cgroup"
	var files []string
	for _, line := range strings.Split(membership, "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch parts[1] {
		case "":
			files = append(files, filepath.Join(root, parts[2], "memory.max"))
		case "memory":
			files = append(files, filepath.Join(root, "memory", parts[2], "memory.limit_in_bytes"))
		}
	}
	return append(files, root+"/memory.max", root+"/memory/memory.limit_in_bytes")
}

// readText returns a file's text, "" if it cannot be read.
func readText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

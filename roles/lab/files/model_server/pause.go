// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// pauseCommand is the sandbox process of a pod: it sleeps, reaps orphans that the kernel hands to it as
// process 1 of a shared PID namespace, and leaves on SIGTERM or SIGINT.
func pauseCommand() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return 0
		}
		reapChildren()
	}
	return 0
}

// reapChildren collects every child that has ended; signals coalesce, so one SIGCHLD may stand for many.
func reapChildren() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
	}
}

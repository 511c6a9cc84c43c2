// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command model-server is the lab's stand-in for a GPU model server: it speaks vLLM's HTTP API, command
// line and metrics without a GPU or a model, and fails on request in the ways real servers fail.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// version is this program's own version; what /version reports is a setting.
const version = "0.1.0"

const usage = `usage: model-server <command> [arguments]

  serve <model> [vLLM options]        serve the OpenAI-compatible API
  pause                               hold a pod's namespaces open until SIGTERM
  get <url> [--fail]                  print the body of a URL
  chat <base-url> <model> [prompt]    ask for one chat completion and print its text
  version                             print the version

Called by the name "vllm" it stands in for vLLM's own command.
`

func main() {
	os.Exit(run(os.Args))
}

// run dispatches to a subcommand and returns the exit status of the process.
func run(argv []string) int {
	if len(argv) < 2 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	args := argv[2:]
	switch argv[1] {
	case "serve":
		return serveCommand(args, os.Getenv)
	case "pause":
		return pauseCommand()
	case "get":
		return getCommand(args, os.Stdout, os.Stderr)
	case "chat":
		return chatCommand(args, os.Stdout, os.Stderr)
	case "version", "--version", "-v":
		shown := version
		if filepath.Base(argv[0]) == "vllm" {
			shown = reportedVersion(os.Getenv)
		}
		fmt.Println(shown)
		return 0
	case "help", "--help", "-h":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "%smodel-server: error: invalid command: %q\n", usage, argv[1])
	return 2
}

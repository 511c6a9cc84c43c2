// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

var errHelp = errors.New("help was asked for")

// printUsageError says what argparse says about wrong arguments.
func printUsageError(out io.Writer, err error) {
	fmt.Fprintf(out, "usage: vllm serve [model_tag] [options]\nvllm: error: %v\n", err)
}

// printServeHelp lists the options that serve understands.
func printServeHelp(out io.Writer) {
	fmt.Fprint(out, "usage: vllm serve [model_tag] [options]\n\noptions:\n")
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if options[name] == isSwitch {
			fmt.Fprintf(out, "  --%[1]s, --no-%[1]s\n", name)
		} else {
			fmt.Fprintf(out, "  --%s VALUE\n", name)
		}
	}
	fmt.Fprint(out, "\nThe environment variables MODEL_SERVER_* set how the lab's server behaves: see README.md.\n")
}

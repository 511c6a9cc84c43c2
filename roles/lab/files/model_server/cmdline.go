// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// commandLine is what `vllm serve` was given: the model and the values of each option. A switch has the
// value "true" or "false".
type commandLine struct {
	model  string
	values map[string][]string
}

// parseCommandLine reads the arguments behind `serve`. The error's text is what argparse would say.
func parseCommandLine(args []string, reportedVersion string) (commandLine, error) {
	line := commandLine{values: map[string][]string{}}
	var unknown []string
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--help" || word == "-h" {
			return line, errHelp
		}
		if !isOption(word) {
			if line.model == "" {
				line.model = word
			} else {
				unknown = append(unknown, word)
			}
			continue
		}
		if strings.HasPrefix(word, "-O") && len(word) == 3 {
			word = "-O=" + word[2:] // -O3 is written without a space
		}
		name, value, inline := strings.Cut(word, "=")
		name, negated := canonical(name)
		takes, known := options[name]
		if since := addedIn[name]; !known || (since != "" && olderThan(reportedVersion, since)) ||
			(negated && takes != isSwitch) {
			unknown = append(unknown, word)
			continue
		}
		var values []string
		switch {
		case takes == isSwitch && inline:
			return line, fmt.Errorf("argument --%s: ignored explicit argument '%s'", name, value)
		case takes == isSwitch:
			values = []string{strconv.FormatBool(!negated)}
		case inline:
			values = []string{value}
		default:
			for len(args) > 0 && !isOption(args[0]) && (takes == isList || len(values) == 0) {
				values = append(values, args[0])
				args = args[1:]
			}
		}
		if len(values) == 0 {
			expected := "one argument"
			if takes == isList {
				expected = "at least one argument"
			}
			return line, fmt.Errorf("argument --%s: expected %s", name, expected)
		}
		if err := checkValue(name, takes, values[0]); err != nil {
			return line, err
		}
		line.values[name] = values
	}
	if len(unknown) > 0 {
		return line, fmt.Errorf("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	return line, nil
}

// isOption says whether a word starts an option; a negative number does not.
func isOption(word string) bool {
	if len(word) < 2 || word[0] != '-' {
		return false
	}
	_, err := strconv.ParseFloat(word, 64)
	return err != nil
}

// canonical turns --tensor_parallel_size, -tp, -O3, --no-enable-lora and --compilation-config.mode into the
// option's name, and says whether it was negated.
func canonical(word string) (name string, negated bool) {
	if !strings.HasPrefix(word, "--") {
		if long, ok := shortOptions[word[1:]]; ok {
			return long, false
		}
		return word, false
	}
	name = strings.ReplaceAll(strings.TrimPrefix(word, "--"), "_", "-")
	name, _, _ = strings.Cut(name, ".")
	if _, known := options[name]; !known && strings.HasPrefix(name, "no-") {
		return strings.TrimPrefix(name, "no-"), true
	}
	return name, false
}

func checkValue(name string, takes kind, value string) error {
	var err error
	var typeName string
	switch takes {
	case isInt:
		typeName = "int"
		_, err = strconv.Atoi(value)
	case isFloat:
		typeName = "float"
		_, err = strconv.ParseFloat(value, 64)
	case isLength:
		typeName = "human_readable_int_or_auto"
		_, err = parseLength(value)
	}
	if err != nil {
		return fmt.Errorf("argument --%s: invalid %s value: '%s'", name, typeName, value)
	}
	return nil
}

// parseLength reads 4096, 4k (4000), 4K (4096), auto and -1; the last two give 0.
func parseLength(value string) (int, error) {
	if value == "auto" || value == "-1" {
		return 0, nil
	}
	factor := 1.0
	suffixes := map[byte]float64{'k': 1e3, 'm': 1e6, 'g': 1e9, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
	if value != "" && suffixes[value[len(value)-1]] != 0 {
		factor = suffixes[value[len(value)-1]]
		value = value[:len(value)-1]
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil || number <= 0 {
		return 0, fmt.Errorf("invalid length %q", value)
	}
	return int(number * factor), nil
}

// olderThan compares versions such as 0.18.0 by their numbers.
func olderThan(version, other string) bool {
	return slices.Compare(numbers(version), numbers(other)) < 0
}

func numbers(version string) []int {
	var result []int
	for _, part := range strings.Split(strings.TrimPrefix(version, "v"), ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		result = append(result, number)
	}
	return result
}

// last returns the value of an option, or fallback where it was not given.
func (c commandLine) last(name, fallback string) string {
	if values := c.values[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return fallback
}

func (c commandLine) number(name string, fallback int) int {
	number, err := strconv.Atoi(c.last(name, ""))
	if err != nil {
		return fallback
	}
	return number
}

func (c commandLine) enabled(name string) bool {
	return c.last(name, "false") == "true"
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// clientTimeout bounds the client commands; a probe that hangs must end on its own.
const clientTimeout = 30 * time.Second

// getCommand prints the body of a URL. With --fail a status of 400 or more makes it return 1.
func getCommand(args []string, out, errOut io.Writer) int {
	var url string
	fail := false
	for _, arg := range args {
		switch {
		case arg == "--fail":
			fail = true
		case url == "" && !strings.HasPrefix(arg, "-"):
			url = arg
		default:
			url = ""
		}
	}
	if url == "" {
		fmt.Fprintln(errOut, "usage: model-server get <url> [--fail]")
		return 2
	}
	status, body, err := fetch(http.MethodGet, url, nil)
	if err != nil {
		fmt.Fprintf(errOut, "get: %v\n", err)
		return 1
	}
	_, _ = out.Write(body)
	if fail && status >= http.StatusBadRequest {
		fmt.Fprintf(errOut, "get: %s answered %d\n", url, status)
		return 1
	}
	return 0
}

// chatCommand asks for one short chat completion. It returns 0 only for an answer with content: a status of
// 200 with an error body or without choices is a failure.
func chatCommand(args []string, out, errOut io.Writer) int {
	if len(args) < 2 || len(args) > 3 {
		fmt.Fprintln(errOut, "usage: model-server chat <base-url> <model> [prompt]")
		return 2
	}
	prompt := "Say hello."
	if len(args) == 3 {
		prompt = args[2]
	}
	request, err := json.Marshal(map[string]any{
		"model": args[1], "max_tokens": 16,
		"messages": []map[string]string{{"role": "user", "content": prompt}},
	})
	if err != nil {
		fmt.Fprintf(errOut, "chat: %v\n", err)
		return 1
	}
	url := strings.TrimSuffix(args[0], "/") + "/v1/chat/completions"
	status, body, err := fetch(http.MethodPost, url, request)
	if err != nil {
		fmt.Fprintf(errOut, "chat: %v\n", err)
		return 1
	}
	var answer struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if json.Unmarshal(body, &answer) != nil || status != http.StatusOK || len(answer.Choices) == 0 ||
		answer.Choices[0].Message.Content == "" {
		fmt.Fprintf(errOut, "chat: %s answered %d without content: %s\n", url, status, body)
		return 1
	}
	fmt.Fprintln(out, answer.Choices[0].Message.Content)
	return 0
}

// fetch sends one request; the API key comes from VLLM_API_KEY.
func fetch(method, url string, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if key := os.Getenv("VLLM_API_KEY"); key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	client := &http.Client{Timeout: clientTimeout}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

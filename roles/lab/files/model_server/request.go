// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const maxBodyBytes = 32 << 20

// completionRequest is the body of both completion endpoints, as far as this server heeds it.
type completionRequest struct {
	Model               string         `json:"model"`
	Messages            []message      `json:"messages"`
	Prompt              *promptField   `json:"prompt"`
	MaxTokens           *int           `json:"max_tokens"`
	MaxCompletionTokens *int           `json:"max_completion_tokens"`
	MinTokens           int            `json:"min_tokens"`
	IgnoreEOS           bool           `json:"ignore_eos"`
	N                   *int           `json:"n"`
	Stop                stringList     `json:"stop"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options"`
	Temperature         *float64       `json:"temperature"`
	TopP                *float64       `json:"top_p"`
}

type streamOptions struct {
	IncludeUsage         bool `json:"include_usage"`
	ContinuousUsageStats bool `json:"continuous_usage_stats"`
}

type message struct {
	Role    string      `json:"role"`
	Content messageText `json:"content"`
}

// messageText is a string, null, or a list of parts of which the texts count.
type messageText string

func (t *messageText) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		var parts []struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(data, &parts); err != nil {
			return err
		}
		var text strings.Builder
		for _, part := range parts {
			text.WriteString(part.Text)
		}
		*t = messageText(text.String())
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// stringList is null, a string or a list of strings.
type stringList []string

func (l *stringList) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var one string
		err := json.Unmarshal(data, &one)
		*l = stringList{one}
		return err
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// promptField is a text, a list of texts, a list of token ids, or a list of lists of token ids.
type promptField []string

func (p *promptField) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*p = promptField{one}
		return nil
	}
	var many []string
	if json.Unmarshal(data, &many) == nil {
		*p = many
		return nil
	}
	var ids []int64
	if json.Unmarshal(data, &ids) == nil {
		*p = promptField{decodeTokens(ids)}
		return nil
	}
	var lists [][]int64
	if err := json.Unmarshal(data, &lists); err != nil {
		return errors.New("prompt must be a string, a list of strings, or token ids")
	}
	for _, ids := range lists {
		*p = append(*p, decodeTokens(ids))
	}
	return nil
}

// decodeBody reads a JSON body into target; the error is ready to be sent.
func decodeBody(r *http.Request, target any) *requestError {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if kind != "application/json" {
		return badRequest("Unsupported Media Type: Only 'application/json' is allowed")
	}
	var body []byte
	var err error
	if length := r.ContentLength; length >= 0 && length <= maxBodyBytes {
		body = make([]byte, length)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBodyBytes+1))
	}
	if err != nil {
		return badRequest("cannot read the body: " + err.Error())
	}
	if len(body) > maxBodyBytes {
		return &requestError{status: http.StatusRequestEntityTooLarge, message: "the body is too large"}
	}
	if err := json.Unmarshal(body, target); err != nil {
		return badRequest("JSON decode error: " + err.Error())
	}
	return nil
}

// checkSampling refuses sampling parameters that no model accepts.
func (q *completionRequest) checkSampling() *requestError {
	switch {
	case q.N != nil && *q.N < 1:
		return badParameter("n", fmt.Sprintf("n must be at least 1, got %d.", *q.N))
	case q.N != nil && *q.N > maxChoices:
		return badParameter("n", fmt.Sprintf("n must be at most %d, got %d.", maxChoices, *q.N))
	case q.Temperature != nil && *q.Temperature < 0:
		return badParameter("temperature", fmt.Sprintf("temperature must be non-negative, got %v.", *q.Temperature))
	case q.TopP != nil && (*q.TopP <= 0 || *q.TopP > 1):
		return badParameter("top_p", fmt.Sprintf("top_p must be in (0, 1], got %v.", *q.TopP))
	case q.StreamOptions != nil && !q.Stream:
		return badParameter("stream_options", "Stream options can only be defined when `stream=True`.")
	}
	return nil
}

const maxChoices = 128

// limit returns the greatest number of tokens the request lets the model generate, within the context.
func (q *completionRequest) limit(chat bool, promptTokens, maxModelLen int) (int, *requestError) {
	if promptTokens >= maxModelLen {
		return 0, badParameter("input_tokens", fmt.Sprintf("This model's maximum context length is %d tokens. However, your "+
			"request has %d input tokens. Please reduce the length of the input messages.", maxModelLen, promptTokens))
	}
	wanted := q.MaxTokens
	if chat && q.MaxCompletionTokens != nil {
		wanted = q.MaxCompletionTokens
	}
	room := maxModelLen - promptTokens
	switch {
	case wanted == nil && chat:
		return room, nil
	case wanted == nil:
		return min(16, room), nil // the default of the older endpoint
	case *wanted < 1:
		return 0, badParameter("max_tokens", fmt.Sprintf("max_tokens must be at least 1, got %d.", *wanted))
	case *wanted > room:
		return 0, badParameter("max_tokens", fmt.Sprintf("'max_tokens' or 'max_completion_tokens' is too large: %d. This "+
			"model's maximum context length is %d tokens and your request has %d input tokens (%d > %d - %d).",
			*wanted, maxModelLen, promptTokens, *wanted, maxModelLen, promptTokens))
	}
	return *wanted, nil
}

// chatTemplate renders messages into the prompt that the model sees.
func chatTemplate(messages []message) string {
	var text strings.Builder
	for _, m := range messages {
		text.WriteString("<|")
		text.WriteString(m.Role)
		text.WriteString("|>\n")
		text.WriteString(string(m.Content))
		text.WriteByte('\n')
	}
	text.WriteString("<|assistant|>\n")
	return text.String()
}

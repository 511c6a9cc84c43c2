// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// choice is one answer, worked out before it is "generated": its text, and why it ends.
type choice struct {
	text       string
	finish     int    // index in finishReasons
	stopReason string // the stop string that ended it
}

func (c *choice) tokens() int { return countTokens(len(c.text)) }

// piece returns the text of the tokens in [from, to), "" behind the end.
func (c *choice) piece(from, to int) string {
	start := min(from*tokenBytes, len(c.text))
	return c.text[start:min(to*tokenBytes, len(c.text))]
}

// completion is one request on its way to an answer.
type completion struct {
	chat    bool
	request completionRequest
	model   string
	id      string
	created int64
	choices []choice
	job     work
	fault   string
}

func (s *server) handleChat(w http.ResponseWriter, r *http.Request) int {
	return s.complete(w, r, true)
}

func (s *server) handleCompletions(w http.ResponseWriter, r *http.Request) int {
	return s.complete(w, r, false)
}

// handleInvocations serves POST /invocations, which is open without a key: full inference of either kind.
func (s *server) handleInvocations(w http.ResponseWriter, r *http.Request) int {
	c := &completion{job: work{arrival: time.Now()}}
	if err := decodeBody(r, &c.request); err != nil {
		return err.write(w)
	}
	c.chat = c.request.Prompt == nil
	return s.answerRequest(w, r, c)
}

// complete answers both completion endpoints.
func (s *server) complete(w http.ResponseWriter, r *http.Request, chat bool) int {
	c := &completion{chat: chat, job: work{arrival: time.Now()}}
	if err := decodeBody(r, &c.request); err != nil {
		return err.write(w)
	}
	return s.answerRequest(w, r, c)
}

// answerRequest plans and runs a completion whose body is read, unless a fault answers first.
func (s *server) answerRequest(w http.ResponseWriter, r *http.Request, c *completion) int {
	behaviour, fault := s.faults.next()
	c.fault = fault
	if status, handled := s.applyFault(w, fault); handled {
		return status
	}
	if err := s.plan(c, behaviour); err != nil {
		return err.write(w)
	}
	c.id = requestID(r, c.chat)
	c.created = c.job.arrival.Unix()
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	if c.request.Stream {
		return s.stream(w, r, c)
	}
	ignore := func(int, int) error { return nil }
	if err := s.engine.generate(r.Context(), &c.job, false, ignore); err != nil {
		return statusClientClosed
	}
	buffer := replyBuffers.Get().(*[]byte)
	*buffer = c.appendReply((*buffer)[:0], s.config.PromptDetails)
	writeRaw(w, http.StatusOK, *buffer)
	replyBuffers.Put(buffer)
	return http.StatusOK
}

// statusClientClosed is what the access log shows for a client that left.
const statusClientClosed = 499

var replyBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

const noChatTemplate = "As of transformers v4.44, default chat template is no longer allowed, so you must provide a " +
	"chat template if the tokenizer does not define one."

// plan checks the request and works out the answers.
func (s *server) plan(c *completion, b *behaviour) *requestError {
	q := &c.request
	model, err := s.findModel(q.Model)
	if err != nil {
		return err
	}
	c.model = model
	if err := q.checkSampling(); err != nil {
		return err
	}
	if c.chat {
		if s.config.Kind == kindBase {
			return badRequest(noChatTemplate)
		}
		if len(q.Messages) == 0 {
			return badParameter("messages", "messages must not be empty.")
		}
		c.job.prompts = []string{chatTemplate(q.Messages)}
	} else {
		if q.Prompt == nil || len(*q.Prompt) == 0 {
			return badParameter("prompt", "Either prompt or prompt_embeds must be provided and non-empty.")
		}
		c.job.prompts = *q.Prompt
	}
	longest := 0
	for _, prompt := range c.job.prompts {
		tokens := countTokens(len(prompt))
		c.job.promptTokens += tokens
		longest = max(longest, tokens)
	}
	limit, err := q.limit(c.chat, longest, s.config.MaxModelLen)
	if err != nil {
		return err
	}
	c.job.n = 1
	if q.N != nil {
		c.job.n = *q.N
	}
	c.job.maxTokens = limit
	c.job.choices = c.job.n * len(c.job.prompts)
	c.job.firstToken = b.firstToken
	c.job.betweenToken = b.betweenTokens
	if c.fault == faultSlowFirstToken {
		c.job.firstToken += seconds(b.FaultSeconds)
	}
	c.job.hang = c.fault == faultHang
	c.answer(limit, b.OutputTokens)
	return nil
}

// answer writes the text of every choice: natural tokens, unless the request asks for more or fewer.
func (c *completion) answer(limit, natural int) {
	natural = max(natural, c.request.MinTokens)
	count, complete, finish := natural, true, finishStop
	if c.request.IgnoreEOS || natural > limit {
		count, complete, finish = limit, false, finishLength
	}
	if c.fault == faultEmpty200 || c.fault == faultEmptyStream {
		count = 0
	}
	c.choices = make([]choice, c.job.choices)
	c.job.finish = make([]int, c.job.choices)
	for i := range c.choices {
		seed := textSeed(c.job.prompts[i/c.job.n]) + uint64(i%c.job.n)*37
		answer := choice{text: answerText(seed, count, complete), finish: finish}
		for _, stop := range c.request.Stop {
			if at := strings.Index(answer.text, stop); stop != "" && at >= 0 {
				answer = choice{text: answer.text[:at], finish: finishStop, stopReason: stop}
			}
		}
		c.choices[i] = answer
		c.job.finish[i] = answer.finish
		c.job.tokens = max(c.job.tokens, answer.tokens())
	}
}

// requestID takes the client's id, as vLLM does, or makes one.
func requestID(r *http.Request, chat bool) string {
	prefix := "cmpl-"
	if chat {
		prefix = "chatcmpl-"
	}
	if id := r.Header.Get("X-Request-Id"); id != "" {
		return prefix + id
	}
	return prefix + randomHex()
}

func randomHex() string {
	const digits = "0123456789abcdef"
	var text [32]byte
	for half := 0; half < 2; half++ {
		bits := rand.Uint64()
		for i := 0; i < 16; i++ {
			text[half*16+i] = digits[bits&15]
			bits >>= 4
		}
	}
	return string(text[:])
}

// appendHead appends the members that replies and chunks share, up to "choices".
func (c *completion) appendHead(to []byte, object string) []byte {
	to = append(to, `{"id":`...)
	to = appendString(to, c.id)
	to = append(to, `,"object":"`...)
	to = append(to, object...)
	to = append(to, `","created":`...)
	to = strconv.AppendInt(to, c.created, 10)
	to = append(to, `,"model":`...)
	to = appendString(to, c.model)
	return append(to, `,"choices":[`...)
}

// appendReply appends the body of an answer that is not streamed.
func (c *completion) appendReply(to []byte, details bool) []byte {
	object := "text_completion"
	if c.chat {
		object = "chat.completion"
	}
	to = c.appendHead(to, object)
	shown := c.choices
	if c.fault == faultEmpty200 {
		shown = nil
	}
	for i := range shown {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(to, `{"index":`...)
		to = strconv.AppendInt(to, int64(i), 10)
		if c.chat {
			to = append(to, `,"message":{"role":"assistant","content":`...)
			to = appendString(to, shown[i].text)
			to = append(to, `,"refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],`+
				`"reasoning_content":null}`...)
		} else {
			to = append(to, `,"text":`...)
			to = appendString(to, shown[i].text)
		}
		to = append(to, `,"logprobs":null,`...)
		to = shown[i].appendFinish(to)
		to = append(to, `,"token_ids":null}`...)
	}
	to = append(to, `],"service_tier":null,"system_fingerprint":null,"usage":`...)
	to = c.appendUsage(to, c.generated(), details)
	return append(to, `,"kv_transfer_params":null}`...)
}

func (c *choice) appendFinish(to []byte) []byte {
	to = append(to, `"finish_reason":"`...)
	to = append(to, finishReasons[c.finish]...)
	to = append(to, `","stop_reason":`...)
	if c.stopReason == "" {
		return append(to, "null"...)
	}
	return appendString(to, c.stopReason)
}

// generated is the number of tokens in all answers together.
func (c *completion) generated() int {
	total := 0
	for i := range c.choices {
		total += c.choices[i].tokens()
	}
	return total
}

func (c *completion) appendUsage(to []byte, generated int, details bool) []byte {
	to = append(to, `{"prompt_tokens":`...)
	to = strconv.AppendInt(to, int64(c.job.promptTokens), 10)
	to = append(to, `,"total_tokens":`...)
	to = strconv.AppendInt(to, int64(c.job.promptTokens+generated), 10)
	to = append(to, `,"completion_tokens":`...)
	to = strconv.AppendInt(to, int64(generated), 10)
	to = append(to, `,"prompt_tokens_details":`...)
	if !details {
		return append(to, `null}`...)
	}
	to = append(to, `{"audio_tokens":null,"cached_tokens":`...)
	to = strconv.AppendInt(to, int64(c.job.cachedTokens), 10)
	return append(to, `}}`...)
}

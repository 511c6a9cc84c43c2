// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/http"
	"strconv"
)

// eventWriter sends server-sent events of one completion. It collects them and writes when the next token
// is not ready yet, so that a server without delays does not pay one system call a token.
type eventWriter struct {
	out    http.ResponseWriter
	flush  *http.ResponseController
	buffer []byte
	c      *completion
	object string
	usage  bool // continuous usage in every chunk
}

var (
	streamType = []string{"text/event-stream; charset=utf-8"}
	noCache    = []string{"no-cache"}
)

// bufferedBytes bounds what is collected before it is written.
const bufferedBytes = 16 << 10

// stream answers with server-sent events.
func (s *server) stream(w http.ResponseWriter, r *http.Request, c *completion) int {
	header := w.Header()
	header["Content-Type"] = streamType
	header["Cache-Control"] = noCache
	w.WriteHeader(http.StatusOK)
	options := c.request.StreamOptions
	events := &eventWriter{out: w, flush: http.NewResponseController(w), c: c, object: "text_completion"}
	events.usage = options != nil && options.ContinuousUsageStats
	if c.job.firstToken > 0 || c.job.betweenToken > 0 || c.job.hang {
		_ = events.flush.Flush() // the status comes before the first token; a failure shows at the next write
	}
	buffer := replyBuffers.Get().(*[]byte)
	defer replyBuffers.Put(buffer)
	events.buffer = (*buffer)[:0]
	if c.chat {
		events.object = "chat.completion.chunk"
	}
	if c.fault == faultEmptyStream {
		events.raw("[DONE]")
		_ = events.send()
		return http.StatusOK
	}
	opened := false
	err := s.engine.generate(r.Context(), &c.job, true, func(from, to int) error {
		if !opened {
			opened = true
			events.open()
		}
		if c.fault == faultStreamError && from == 0 {
			to = min(to, 1)
		}
		for token := from; token < to; token++ {
			if err := events.token(token); err != nil {
				return err
			}
		}
		if c.fault == faultStreamError {
			return errStreamFault
		}
		if c.job.betweenToken > 0 {
			return events.send()
		}
		return nil
	})
	switch {
	case err == errStreamFault:
		events.raw(`{"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError",` +
			`"param":null,"code":500}}`)
	case err != nil:
		return statusClientClosed
	default:
		if !opened {
			events.open()
		}
		events.finish()
		if s.config.ForceIncludeUsage || (options != nil && options.IncludeUsage) {
			events.final(s.config.PromptDetails)
		}
	}
	events.raw("[DONE]")
	_ = events.send() // the answer is complete; a client that left now missed nothing that can be repaired
	*buffer = events.buffer
	return http.StatusOK
}

type streamFault struct{}

func (streamFault) Error() string { return "the stream fails by setting" }

var errStreamFault = streamFault{}

// open announces the role of each chat answer.
func (e *eventWriter) open() {
	if !e.c.chat {
		return
	}
	for i := range e.c.choices {
		e.begin(i)
		e.buffer = append(e.buffer, `"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`...)
		e.end(0)
	}
}

// token sends the token at a position of every answer that is that long.
func (e *eventWriter) token(position int) error {
	for i := range e.c.choices {
		text := e.c.choices[i].piece(position, position+1)
		if text == "" {
			continue
		}
		e.begin(i)
		if e.c.chat {
			e.buffer = append(e.buffer, `"delta":{"content":`...)
			e.buffer = appendString(e.buffer, text)
			e.buffer = append(e.buffer, `},"logprobs":null,"finish_reason":null}`...)
		} else {
			e.buffer = append(e.buffer, `"text":`...)
			e.buffer = appendString(e.buffer, text)
			e.buffer = append(e.buffer, `,"logprobs":null,"finish_reason":null,"stop_reason":null}`...)
		}
		e.end(position + 1)
	}
	if len(e.buffer) > bufferedBytes {
		return e.send()
	}
	return nil
}

// finish sends the reason each answer ended for.
func (e *eventWriter) finish() {
	for i := range e.c.choices {
		e.begin(i)
		if e.c.chat {
			e.buffer = append(e.buffer, `"delta":{"content":""},"logprobs":null,`...)
		} else {
			e.buffer = append(e.buffer, `"text":"","logprobs":null,`...)
		}
		e.buffer = e.c.choices[i].appendFinish(e.buffer)
		e.buffer = append(e.buffer, '}')
		e.end(e.c.job.tokens)
	}
}

// final sends the chunk that has usage but no choices.
func (e *eventWriter) final(details bool) {
	e.buffer = append(e.buffer, "data: "...)
	e.buffer = e.c.appendHead(e.buffer, e.object)
	e.buffer = append(e.buffer, `],"usage":`...)
	e.buffer = e.c.appendUsage(e.buffer, e.c.generated(), details)
	e.buffer = append(e.buffer, "}\n\n"...)
}

func (e *eventWriter) begin(index int) {
	e.buffer = append(e.buffer, "data: "...)
	e.buffer = e.c.appendHead(e.buffer, e.object)
	e.buffer = append(e.buffer, `{"index":`...)
	e.buffer = strconv.AppendInt(e.buffer, int64(index), 10)
	e.buffer = append(e.buffer, ',')
}

// end closes a chunk; generated is the number of tokens each answer has so far.
func (e *eventWriter) end(generated int) {
	e.buffer = append(e.buffer, ']')
	if e.usage {
		e.buffer = append(e.buffer, `,"usage":`...)
		e.buffer = e.c.appendUsage(e.buffer, generated*len(e.c.choices), false)
	}
	e.buffer = append(e.buffer, "}\n\n"...)
}

func (e *eventWriter) raw(data string) {
	e.buffer = append(append(append(e.buffer, "data: "...), data...), "\n\n"...)
}

// send writes what was collected through to the client.
func (e *eventWriter) send() error {
	_, err := e.out.Write(e.buffer)
	e.buffer = e.buffer[:0]
	if err != nil {
		return err
	}
	return e.flush.Flush()
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"hash/maphash"
	"time"
)

// engine stands for the GPU: it runs a limited number of requests at a time, lets the others wait, takes the
// configured time for each token and keeps the metrics.
type engine struct {
	slots       chan struct{}
	cacheTokens int
	prefixes    prefixCache
	metrics     *metrics
}

// work is one request as the engine sees it.
type work struct {
	arrival      time.Time
	promptTokens int
	prompts      []string
	tokens       int   // to generate for each choice
	choices      int   // answers to generate, all in step
	n            int   // the request's parameter n
	maxTokens    int   // the request's limit
	finish       []int // finish reason of each choice
	firstToken   time.Duration
	betweenToken time.Duration
	hang         bool

	cachedTokens int // found in the prefix cache; known once generation has begun
}

// pace bounds how long generation sleeps before it updates metrics, when nobody waits for single tokens.
const pace = 50 * time.Millisecond

func newEngine(maxNumSeqs, cacheTokens, maxModelLen int) *engine {
	return &engine{
		slots:       make(chan struct{}, maxNumSeqs),
		cacheTokens: cacheTokens,
		prefixes:    prefixCache{seed: maphash.MakeSeed()},
		metrics:     newMetrics(maxModelLen),
	}
}

// cacheUsage is the share of the KV cache that running requests hold, 0 to 1.
func (e *engine) cacheUsage() float64 {
	return min(float64(e.metrics.kvTokens.Load())/float64(max(e.cacheTokens, 1)), 1)
}

// generate runs one request. It calls emit(from, to) whenever the tokens in [from, to) of every choice are
// ready: one by one if stepwise, in larger steps otherwise. It ends early, counting the request as aborted,
// when ctx ends (the client left, or the server stops) or emit fails.
func (e *engine) generate(ctx context.Context, job *work, stepwise bool, emit func(from, to int) error) error {
	m := e.metrics
	if err := e.admit(ctx); err != nil {
		m.success[finishAbort].Add(1)
		return err
	}
	held := int64(job.promptTokens)
	m.kvTokens.Add(held)
	defer func() {
		m.kvTokens.Add(-held)
		m.running.Add(-1)
		<-e.slots
	}()
	started := time.Now()
	m.queue.observe(int64(started.Sub(job.arrival)), 1)
	e.prefill(job)

	var clock ticker
	err := clock.sleepUntil(ctx, started.Add(job.firstToken), job.firstToken)
	if err == nil && job.hang {
		<-ctx.Done()
		err = ctx.Err()
	}
	if err != nil {
		m.success[finishAbort].Add(1)
		return err
	}
	first := time.Now()
	m.firstToken.observe(int64(first.Sub(job.arrival)), 1)
	m.prefill.observe(int64(first.Sub(started)), 1)

	step := job.tokens
	if job.betweenToken > 0 {
		step = 1
		if !stepwise {
			step = max(int(pace/job.betweenToken), 1)
		}
	}
	for done := 0; done < job.tokens; {
		count := min(step, job.tokens-done)
		if done == 0 && step < job.tokens {
			count = 1 // the first token comes at the end of the prefill
		}
		if done > 0 {
			ready := first.Add(time.Duration(done+count-1) * job.betweenToken)
			err = clock.sleepUntil(ctx, ready, job.betweenToken)
		}
		if err == nil {
			err = emit(done, done+count)
		}
		if err == errStreamFault {
			m.success[finishError].Add(1)
			return err
		}
		if err != nil {
			m.success[finishAbort].Add(1)
			return err
		}
		e.countStep(job, done, count)
		held += int64(count * job.choices)
		m.kvTokens.Add(int64(count * job.choices))
		done += count
	}
	e.countFinished(job, started, first)
	return nil
}

// admit takes a slot, waiting for one if all are in use.
func (e *engine) admit(ctx context.Context) error {
	select {
	case e.slots <- struct{}{}:
	default:
		e.metrics.waiting.Add(1)
		defer e.metrics.waiting.Add(-1)
		select {
		case e.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.metrics.running.Add(1)
	return nil
}

func (e *engine) prefill(job *work) {
	for _, prompt := range job.prompts {
		job.cachedTokens += e.prefixes.lookup(prompt)
	}
	e.metrics.promptTokens.Add(int64(job.promptTokens))
	e.metrics.prefixQueries.Add(int64(job.promptTokens))
	e.metrics.prefixHits.Add(int64(job.cachedTokens))
}

// countStep records count engine steps, each giving one token to every choice; the first also did the prefill.
func (e *engine) countStep(job *work, done, count int) {
	m := e.metrics
	m.generationTokens.Add(int64(count * job.choices))
	later := count
	if done == 0 {
		m.step.observe(int64(job.promptTokens+job.choices), 1)
		later--
	}
	m.step.observe(int64(job.choices), later)
	m.interToken.observe(int64(job.betweenToken), later*job.choices)
}

func (e *engine) countFinished(job *work, started, first time.Time) {
	m := e.metrics
	ended := time.Now()
	m.decode.observe(int64(ended.Sub(first)), 1)
	m.inference.observe(int64(ended.Sub(started)), 1)
	m.endToEnd.observe(int64(ended.Sub(job.arrival)), 1)
	if job.tokens > 1 {
		m.perOutputToken.observe(int64(ended.Sub(first))/int64(job.tokens-1), 1)
	}
	m.requestPrompt.observe(int64(job.promptTokens), 1)
	m.requestGeneration.observe(int64(job.tokens*job.choices), 1)
	m.maxGenerate.observe(int64(job.tokens), 1)
	m.requestMaxTokens.observe(int64(job.maxTokens), 1)
	m.requestN.observe(int64(job.n), 1)
	for _, reason := range job.finish {
		m.success[reason].Add(1)
	}
}

// ticker sleeps with one timer that it makes when it is first needed.
type ticker struct{ timer *time.Timer }

// sleepUntil waits for a moment, or for ctx to end. A zero delay costs nothing: no clock is read.
func (t *ticker) sleepUntil(ctx context.Context, moment time.Time, delay time.Duration) error {
	if delay == 0 {
		return nil
	}
	left := time.Until(moment)
	if left <= 0 {
		return ctx.Err()
	}
	if t.timer == nil {
		t.timer = time.NewTimer(left)
	} else {
		t.timer.Reset(left)
	}
	select {
	case <-t.timer.C:
		return nil
	case <-ctx.Done():
		t.timer.Stop()
		return ctx.Err()
	}
}

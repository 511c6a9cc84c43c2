// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// A token of this server is four bytes of text: the usual rule of thumb for English, countable without
// reading the text, and reversible. The generated words are three letters and a space, so the tokens that
// were generated and the tokens that /tokenize counts in the answer are the same.
const tokenBytes = 4

const (
	vocabulary = "the cat sat and saw one red fox run far off now she has not yet met any dog who can fly " +
		"you may ask why but few men say how old oak and elm are all cut for new big box kit set his own way out "
	closing = "end."
	// ringTokens is the number of distinct starting points of an answer.
	ringTokens = 4096
)

// ring holds the text all answers are cut from, twice in a row so that most cuts need no copy.
var ring = buildRing()

func buildRing() string {
	words := len(vocabulary) / tokenBytes
	var text strings.Builder
	text.Grow(2 * ringTokens * tokenBytes)
	for position, state := 0, uint32(1); position < ringTokens; position++ {
		state = state*1664525 + 1013904223
		word := int(state>>16) % words
		text.WriteString(vocabulary[word*tokenBytes : (word+1)*tokenBytes])
	}
	return text.String() + text.String()
}

// answerText returns count tokens of text that depend only on start; a complete answer ends with a full stop.
func answerText(start uint64, count int, complete bool) string {
	if count <= 0 {
		return ""
	}
	offset := int(start%ringTokens) * tokenBytes
	body := count
	if complete {
		body--
	}
	var text string
	if offset+body*tokenBytes <= len(ring) {
		text = ring[offset : offset+body*tokenBytes]
	} else {
		half := ring[:len(ring)/2]
		turns := (offset+body*tokenBytes)/len(half) + 1
		text = strings.Repeat(half, turns)[offset : offset+body*tokenBytes]
	}
	if complete {
		return text + closing
	}
	return text
}

// textSeed is FNV-1a: the same prompt gives the same answer in every process.
func textSeed(text string) uint64 {
	hash := uint64(14695981039346656037)
	for i := 0; i < len(text); i++ {
		hash = (hash ^ uint64(text[i])) * 1099511628211
	}
	return hash ^ hash>>32
}

// countTokens returns the number of tokens in a text of so many bytes.
func countTokens(length int) int {
	return (length + tokenBytes - 1) / tokenBytes
}

// encode turns text into token ids. An id is the bijective base-256 number of the token's bytes, so that
// tokens of different lengths never share an id.
func encode(text string) []int64 {
	ids := make([]int64, 0, countTokens(len(text)))
	for start := 0; start < len(text); start += tokenBytes {
		id := int64(0)
		for _, b := range []byte(text[start:min(start+tokenBytes, len(text))]) {
			id = id<<8 + int64(b) + 1
		}
		ids = append(ids, id)
	}
	return ids
}

// decodeTokens turns token ids back into text; ids that no token has are left out.
func decodeTokens(ids []int64) string {
	var text []byte
	for _, id := range ids {
		var token [tokenBytes]byte
		start := tokenBytes
		for id > 0 && start > 0 {
			start--
			id--
			token[start] = byte(id)
			id >>= 8
		}
		text = append(text, token[start:]...)
	}
	return strings.ToValidUTF8(string(text), string(utf8.RuneError))
}

// prefixCache remembers which 16-token blocks it has seen, as vLLM's prefix cache does: a block is found only
// together with all blocks before it. It is a fixed table; new blocks overwrite old ones.
type prefixCache struct {
	seed  maphash.Seed
	slots [prefixSlots]atomic.Uint64
}

const (
	prefixSlots      = 1 << 14
	prefixBlockToken = 16
)

// lookup returns how many tokens at the start of the prompt were seen before, and remembers the prompt.
func (c *prefixCache) lookup(prompt string) int {
	const blockBytes = prefixBlockToken * tokenBytes
	hits, missed, chain := 0, false, uint64(0)
	for start := 0; start+blockBytes <= len(prompt); start += blockBytes {
		chain = chain*31 + maphash.String(c.seed, prompt[start:start+blockBytes]) | 1
		slot := &c.slots[chain>>1%prefixSlots]
		if slot.Load() != chain {
			slot.Store(chain)
			missed = true
		} else if !missed {
			hits += prefixBlockToken
		}
	}
	return hits
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"
)

func TestVocabularyIsWholeTokens(t *testing.T) {
	if len(vocabulary)%tokenBytes != 0 || len(closing) != tokenBytes {
		t.Fatal("words must be as long as a token")
	}
	for _, word := range strings.SplitAfter(vocabulary, " ") {
		if len(word) != tokenBytes && word != "" {
			t.Errorf("%q is not a token", word)
		}
	}
}

func TestTokensAreReversible(t *testing.T) {
	roundTrip := func(text string) bool {
		ids := encode(text)
		if len(ids) != countTokens(len(text)) {
			return false
		}
		return !utf8.ValidString(text) || decodeTokens(ids) == text
	}
	if err := quick.Check(roundTrip, nil); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "a", "\x00a", "a\x00", "größer als 3 €"} {
		if !roundTrip(text) {
			t.Errorf("%q does not come back", text)
		}
	}
	_ = decodeTokens([]int64{0, -5, 1 << 60}) // ids that no token has must do no harm
}

func TestAnswersAreDeterministicAndCounted(t *testing.T) {
	for _, count := range []int{0, 1, 2, 16, ringTokens, ringTokens*2 + 5} {
		for _, complete := range []bool{true, false} {
			text := answerText(textSeed("hello"), count, complete)
			if countTokens(len(text)) != count || text != answerText(textSeed("hello"), count, complete) {
				t.Errorf("%d tokens, complete %v: got %d", count, complete, countTokens(len(text)))
			}
			if count > 0 && strings.HasSuffix(text, closing) != complete {
				t.Errorf("%d tokens, complete %v: ends in %q", count, complete, text[len(text)-4:])
			}
		}
	}
	if answerText(textSeed("a"), 16, true) == answerText(textSeed("b"), 16, true) {
		t.Error("other prompts should get other answers")
	}
}

func TestPrefixCache(t *testing.T) {
	cache := &newEngine(1, 1, 1).prefixes
	long := strings.Repeat("0123456789abcdef", 16) // 256 bytes, four blocks
	if hits := cache.lookup(long); hits != 0 {
		t.Errorf("first look: %d", hits)
	}
	if hits := cache.lookup(long + "more"); hits != 64 {
		t.Errorf("second look: %d", hits)
	}
	if hits := cache.lookup("x" + long); hits != 0 {
		t.Errorf("another beginning: %d", hits)
	}
}

func TestAppendString(t *testing.T) {
	for text, want := range map[string]string{"plain": `"plain"`, `a"b\`: `"a\"b\\"`, "é\n": `"é\n"`} {
		if got := string(appendString(nil, text)); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

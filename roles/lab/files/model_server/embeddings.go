// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/http"
	"time"
)

// dimensions is the length of a vector: enough to be one.
const dimensions = 8

type embeddingRequest struct {
	Model string       `json:"model"`
	Input *promptField `json:"input"`
}

type embedding struct {
	Index     int                 `json:"index"`
	Object    string              `json:"object"`
	Embedding [dimensions]float64 `json:"embedding"`
}

// handleEmbeddings serves POST /v1/embeddings. It takes no time and no slot of the engine, but fails as
// completions do.
func (s *server) handleEmbeddings(w http.ResponseWriter, r *http.Request) int {
	var body embeddingRequest
	if err := decodeBody(r, &body); err != nil {
		return err.write(w)
	}
	_, fault := s.faults.next()
	if status, handled := s.applyFault(w, fault); handled {
		return status
	}
	model, err := s.findModel(body.Model)
	if err != nil {
		return err.write(w)
	}
	if body.Input == nil || len(*body.Input) == 0 {
		return badParameter("input", "input must be provided and non-empty.").write(w)
	}
	if fault == faultHang {
		<-r.Context().Done()
		return statusClientClosed
	}
	vectors := []embedding{}
	tokens := 0
	for i, text := range *body.Input {
		tokens += countTokens(len(text))
		if fault != faultEmpty200 {
			vectors = append(vectors, embedding{i, "embedding", vector(text)})
		}
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"id": "embd-" + randomHex(), "object": "list", "created": time.Now().Unix(), "model": model, "data": vectors,
		"usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0,
			"prompt_tokens_details": nil},
	})
}

// vector depends on the text alone; its members are from -1 to 1.
func vector(text string) (v [dimensions]float64) {
	bits := textSeed(text)
	for i := range v {
		v[i] = float64(int8(bits>>(8*i))) / 128
	}
	return v
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// handleHealth serves /health and /ping: 200 until the engine is dead.
func (s *server) handleHealth(w http.ResponseWriter, _ *http.Request) int {
	status := http.StatusOK
	if s.faults.engineDead.Load() {
		status = http.StatusServiceUnavailable
	}
	w.WriteHeader(status)
	return status
}

func (s *server) handleVersion(w http.ResponseWriter, _ *http.Request) int {
	return writeJSON(w, http.StatusOK, map[string]string{"version": s.config.ReportedVersion})
}

// handleLoad serves GET /load, which is 0 unless the server was told to track it, as in vLLM.
func (s *server) handleLoad(w http.ResponseWriter, _ *http.Request) int {
	load := int64(0)
	if s.config.LoadTracking {
		load = s.inFlight.Load()
	}
	return writeJSON(w, http.StatusOK, map[string]int64{"server_load": load})
}

// servedNames are the ids that clients may ask for.
func (s *server) servedNames() []string {
	if s.faults.present.Load().Fault == faultWrongName {
		return []string{s.config.WrongName}
	}
	return s.config.ServedNames
}

// findModel returns the id to answer with: as in vLLM that is an adapter's own name, or the first served name,
// whichever of them was asked for. A request without a model means the first one.
func (s *server) findModel(name string) (string, *requestError) {
	names := s.servedNames()
	if name == "" || slices.Contains(names, name) {
		return names[0], nil
	}
	if s.lora.has(name) {
		return name, nil
	}
	param := "model"
	return "", &requestError{http.StatusNotFound, fmt.Sprintf("The model `%s` does not exist.", name), &param}
}

type modelCard struct {
	ID          string       `json:"id"`
	Object      string       `json:"object"`
	Created     int64        `json:"created"`
	OwnedBy     string       `json:"owned_by"`
	Root        string       `json:"root"`
	Parent      *string      `json:"parent"`
	MaxModelLen *int         `json:"max_model_len"`
	Permission  []permission `json:"permission"`
}

type permission struct {
	ID                 string  `json:"id"`
	Object             string  `json:"object"`
	Created            int64   `json:"created"`
	AllowCreateEngine  bool    `json:"allow_create_engine"`
	AllowSampling      bool    `json:"allow_sampling"`
	AllowLogprobs      bool    `json:"allow_logprobs"`
	AllowSearchIndices bool    `json:"allow_search_indices"`
	AllowView          bool    `json:"allow_view"`
	AllowFineTuning    bool    `json:"allow_fine_tuning"`
	Organization       string  `json:"organization"`
	Group              *string `json:"group"`
	IsBlocking         bool    `json:"is_blocking"`
}

// handleModels serves GET /v1/models: one entry for each served name, then one for each LoRA adapter.
func (s *server) handleModels(w http.ResponseWriter, _ *http.Request) int {
	now := time.Now().Unix()
	card := func(id, root string) modelCard {
		return modelCard{ID: id, Object: "model", Created: now, OwnedBy: "vllm", Root: root,
			Permission: []permission{{ID: "modelperm-" + randomHex(), Object: "model_permission", Created: now,
				AllowSampling: true, AllowLogprobs: true, AllowView: true, Organization: "*"}}}
	}
	var cards []modelCard
	names := s.servedNames()
	for _, name := range names {
		base := card(name, s.config.Model)
		base.MaxModelLen = &s.config.MaxModelLen
		cards = append(cards, base)
	}
	for _, loaded := range s.lora.list() {
		derived := card(loaded.Name, loaded.Path)
		derived.Parent = &names[0]
		cards = append(cards, derived)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": cards})
}

type tokenizeRequest struct {
	Model    string    `json:"model"`
	Prompt   *string   `json:"prompt"`
	Messages []message `json:"messages"`
	Tokens   []int64   `json:"tokens"`
}

// handleTokenize serves POST /tokenize for a prompt or for messages.
func (s *server) handleTokenize(w http.ResponseWriter, r *http.Request) int {
	var body tokenizeRequest
	if err := decodeBody(r, &body); err != nil {
		return err.write(w)
	}
	if _, err := s.findModel(body.Model); err != nil {
		return err.write(w)
	}
	var text string
	switch {
	case body.Prompt != nil:
		text = *body.Prompt
	case len(body.Messages) > 0:
		text = chatTemplate(body.Messages)
	default:
		return badParameter("prompt", "Either prompt or messages must be provided.").write(w)
	}
	tokens := encode(text)
	return writeJSON(w, http.StatusOK, map[string]any{
		"count": len(tokens), "max_model_len": s.config.MaxModelLen, "tokens": tokens, "token_strs": nil})
}

// handleDetokenize serves POST /detokenize.
func (s *server) handleDetokenize(w http.ResponseWriter, r *http.Request) int {
	var body tokenizeRequest
	if err := decodeBody(r, &body); err != nil {
		return err.write(w)
	}
	if _, err := s.findModel(body.Model); err != nil {
		return err.write(w)
	}
	if body.Tokens == nil {
		return badParameter("tokens", "tokens must be provided.").write(w)
	}
	return writeJSON(w, http.StatusOK, map[string]string{"prompt": decodeTokens(body.Tokens)})
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// startServer returns a server with these arguments and settings, as serve would make it.
func startServer(t *testing.T, args []string, settings ...string) *server {
	t.Helper()
	c, err := loadConfig(args, environ(settings...))
	if err != nil {
		t.Fatal(err)
	}
	return newServer(c, newLogger(io.Discard, false, nil))
}

// post sends a JSON body and returns the status and the body of the answer.
func post(s *server, path, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestAnswersCarryTheFirstServedName(t *testing.T) {
	s := startServer(t, strings.Fields("m --served-model-name short org/full --enable-lora --lora-modules tuned=/tuned"))
	for asked, answered := range map[string]string{"short": "short", "org/full": "short", "": "short", "tuned": "tuned"} {
		for path, question := range map[string]string{
			"/v1/chat/completions": `"messages":[{"role":"user","content":"x"}]`, "/v1/completions": `"prompt":"x"`,
		} {
			for _, stream := range []string{"false", "true"} {
				status, body := post(s, path, `{"model":"`+asked+`","stream":`+stream+`,`+question+`}`)
				named := strings.Count(body, `"model":"`+answered+`"`)
				if status != http.StatusOK || named == 0 || named != strings.Count(body, `"model":`) {
					t.Errorf("%s, asked for %q, stream %s: %d %s", path, asked, stream, status, body)
				}
			}
		}
	}
	status, body := post(s, "/v1/completions", `{"model":"m","prompt":"x"}`)
	if status != http.StatusNotFound || !strings.Contains(body, "The model `m` does not exist.") {
		t.Errorf("a name that is not served: %d %s", status, body)
	}
}

func TestKindsOfModelsOfferWhatTheyCan(t *testing.T) {
	questions := map[string]string{
		"/v1/chat/completions": `{"messages":[{"role":"user","content":"x"}]}`, "/v1/completions": `{"prompt":"x"}`,
		"/v1/embeddings": `{"input":["x","y"]}`,
	}
	answers := map[string]map[string]int{
		kindChat:      {"/v1/chat/completions": 200, "/v1/completions": 200, "/v1/embeddings": 404},
		kindBase:      {"/v1/chat/completions": 400, "/v1/completions": 200, "/v1/embeddings": 404},
		kindEmbedding: {"/v1/chat/completions": 404, "/v1/completions": 404, "/v1/embeddings": 200},
	}
	for kind, expected := range answers {
		s := startServer(t, []string{"m"}, "MODEL_SERVER_KIND", kind)
		for path, want := range expected {
			if status, body := post(s, path, questions[path]); status != want {
				t.Errorf("%s, %s: %d %s", kind, path, status, body)
			}
		}
	}
}

func TestEmbeddings(t *testing.T) {
	s := startServer(t, []string{"m", "--served-model-name", "a", "b"}, "MODEL_SERVER_KIND", kindEmbedding)
	_, body := post(s, "/v1/embeddings", `{"model":"b","input":["x","y"]}`)
	if strings.Count(body, `"embedding":[`) != 2 || !strings.Contains(body, `"model":"a"`) {
		t.Error(body)
	}
	if status, body := post(s, "/v1/embeddings", `{"input":[]}`); status != http.StatusBadRequest {
		t.Errorf("no input: %d %s", status, body)
	}
	if vector("x") == vector("y") || vector("x") != vector("x") {
		t.Error("a vector has to depend on the text, and on nothing else")
	}
	for fault, told := range map[string]string{faultEmpty200: `"data":[]`, faultError200: "EngineCore"} {
		s := startServer(t, []string{"m"}, "MODEL_SERVER_KIND", kindEmbedding, "MODEL_SERVER_FAULT", fault)
		if status, body := post(s, "/v1/embeddings", `{"input":"x"}`); status != http.StatusOK ||
			!strings.Contains(body, told) {
			t.Errorf("%s: %d %s", fault, status, body)
		}
	}
}

// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// requestError is a refusal before the engine: an HTTP status, vLLM's message, and the parameter at fault.
type requestError struct {
	status  int
	message string
	param   *string
}

func badRequest(message string) *requestError {
	return &requestError{status: http.StatusBadRequest, message: message}
}

func badParameter(name, message string) *requestError {
	return &requestError{status: http.StatusBadRequest, message: message, param: &name}
}

var errorTypes = map[int]string{
	http.StatusBadRequest:            "BadRequestError",
	http.StatusNotFound:              "NotFoundError",
	http.StatusRequestEntityTooLarge: "BadRequestError",
	http.StatusInternalServerError:   "InternalServerError",
	http.StatusServiceUnavailable:    "ServiceUnavailableError",
}

type errorDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    int     `json:"code"`
}

func errorBody(status int, message string, param *string) map[string]errorDetail {
	return map[string]errorDetail{"error": {message, errorTypes[status], param, status}}
}

func writeError(w http.ResponseWriter, status int, message string, param *string) int {
	return writeJSON(w, status, errorBody(status, message, param))
}

func (e *requestError) write(w http.ResponseWriter) int {
	return writeError(w, e.status, e.message, e.param)
}

// writeDetail writes FastAPI's own errors: unknown path, wrong method.
func writeDetail(w http.ResponseWriter, status int) int {
	return writeJSON(w, status, map[string]string{"detail": http.StatusText(status)})
}

func writeJSON(w http.ResponseWriter, status int, body any) int {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return http.StatusInternalServerError
	}
	writeRaw(w, status, text)
	return status
}

// writeRaw sends a body that is JSON already. A client that has gone is no error of ours.
func writeRaw(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

var jsonType = []string{"application/json"}

func writeText(w http.ResponseWriter, status int, text string) int {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
	return status
}

// appendString appends a JSON string; plain ASCII, the usual case, is copied as it is.
func appendString(to []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				return append(to, `""`...) // strings always marshal
			}
			return append(to, quoted...)
		}
	}
	return append(append(append(to, '"'), text...), '"')
}

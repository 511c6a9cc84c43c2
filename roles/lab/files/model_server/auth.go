// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// keyring holds the digests of the API keys: comparing digests takes the same time for every key.
type keyring [][sha256.Size]byte

func newKeyring(keys []string) keyring {
	var ring keyring
	for _, key := range keys {
		if key != "" {
			ring = append(ring, sha256.Sum256([]byte(key)))
		}
	}
	return ring
}

// allows says whether a request may pass. As in vLLM the key guards only /v1, /v2 and /inference; all other
// paths, /invocations among them, are open.
func (k keyring) allows(r *http.Request) bool {
	if len(k) == 0 || r.Method == http.MethodOptions || !guarded(r.URL.Path) {
		return true
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return false
	}
	digest := sha256.Sum256([]byte(key))
	match := 0
	for i := range k {
		match |= subtle.ConstantTimeCompare(digest[:], k[i][:])
	}
	return match == 1
}

func guarded(path string) bool {
	return strings.HasPrefix(path, "/v1") || strings.HasPrefix(path, "/v2") || strings.HasPrefix(path, "/inference")
}

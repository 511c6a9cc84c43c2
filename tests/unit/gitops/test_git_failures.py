# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What git's and servers' words mean."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.git_failures import failure

SAID = [
    ("fatal: Authentication failed for 'https://h/a'", "auth"),
    ("fatal: could not read Username for 'https://h': terminal prompts disabled", "auth"),
    ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", "auth"),
    ("Host key verification failed.\nfatal: Could not read from remote repository.", "auth"),
    ("fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate", "auth"),
    ("error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403", "auth"),
    ("fatal: unable to access 'https://h/a/': The requested URL returned error: 403", "auth"),
    ("remote: GitLab: You are not allowed to push code to protected branches on this project.", "auth"),
    (
        "error: unable to create temporary object directory\n!\tx:y\t[remote rejected] (unpacker error)",
        "auth",
    ),
    ("fatal: unable to create temporary file: No space left on device", "infrastructure"),
    ("fatal: detected dubious ownership in repository at '/srv/a'", "auth"),
    ("fatal: '/srv/a' does not appear to be a git repository\nfatal: Could not read from remote", "invalid"),
    ("fatal: repository 'https://h/a/' not found", "invalid"),
    ("remote: no\n!\tx:y\t[remote rejected] (pre-receive hook declined)", "invalid"),
    ("fatal: transport 'ext' not allowed", "invalid"),
    ("fatal: unable to access 'http://h/': The requested URL returned error: 302", "invalid"),
    ("fatal: unable to access 'https://h/': Could not resolve host: h", "infrastructure"),
    ("fatal: unable to access 'https://h/': Failed to connect to h port 443", "infrastructure"),
    ("fatal: unable to access 'https://h/': The requested URL returned error: 503", "infrastructure"),
    (
        "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote",
        "infrastructure",
    ),
    ("fatal: the remote end hung up unexpectedly", "infrastructure"),
    ("fatal: write error: No space left on device", "infrastructure"),
    ("something else", "invalid"),
    ("", "invalid"),
]


@pytest.mark.parametrize(("said", "error_class"), SAID)
def test_class_and_advice(said: str, error_class: str) -> None:
    error = failure("fetch", said)
    assert error.error_class.value == error_class
    assert error.resolution
    assert error.message.startswith("git fetch: ")


def test_no_secret_is_shown() -> None:
    said = "fatal: https://user:c4n4ry@h/a\nc4n4ry-2\nAuthorization: Basic YzRuNHJ5; you said Z2l0OmM0bjRyeQ"
    shown = str(failure("push", said, ("c4n4ry-2", "Z2l0OmM0bjRyeQ", "")))
    assert "c4n4ry" not in shown
    assert "YzRuNHJ5" not in shown
    assert "Z2l0OmM0bjRyeQ" not in shown

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logins: by HTTP against git's own server, by SSH against a program that says how it was called."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from tests.services.gitops.conftest import Write
from tests.support.git_server import Bare, GitHttp, git_http

TOKEN = "c4n4ry-7f3a9c"


@pytest.fixture
def http(bare: Bare) -> Iterator[GitHttp]:
    """Return a server that has the repository."""
    bare.git("config", "http.receivepack", "true")
    bare.commit("README.md", "mine")
    with git_http(bare.path.parent, "bot", TOKEN) as server:
        yield server


def test_a_token_opens_the_repository_and_is_in_no_process_list(
    bare: Bare, write: Write, http: GitHttp
) -> None:
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(entry.read_text(errors="replace"))
                except OSError:
                    continue
            time.sleep(0.005)

    watcher = threading.Thread(target=look)
    watcher.start()
    done = write(repository=f"{http.url}/models.git", username="bot", token=TOKEN)
    over.set()
    watcher.join()
    assert done.result["commit"] == bare.head()
    assert any("push" in line.split("\0") for line in seen)
    assert not any(TOKEN in line or "Authorization" in line for line in seen)


@pytest.mark.parametrize(("user", "token"), [("bot", "wrong-c4n4ry"), ("other", TOKEN), ("bot", None)])
def test_a_wrong_login_is_told_at_once(write: Write, http: GitHttp, user: str, token: str | None) -> None:
    with pytest.raises(PlatformError) as caught:
        write(repository=f"{http.url}/models.git", username=user, token=token)
    assert caught.value.error_class.value == "auth"
    assert "c4n4ry" not in str(caught.value)
    assert len(http.seen) <= 2


def test_a_server_that_sends_us_elsewhere_does_not_get_the_token_there(
    write: Write, http: GitHttp, tmp_path: Path
) -> None:
    with git_http(tmp_path, "bot", TOKEN) as other:
        http.redirect = other.url
        with pytest.raises(PlatformError) as caught:
            write(repository=f"{http.url}/models.git", username="bot", token=TOKEN)
        assert other.seen == []
    assert caught.value.error_class.value == "invalid"


def test_a_server_in_trouble_is_asked_again(bare: Bare, write: Write, http: GitHttp) -> None:
    http.status = 503

    def recover(line: str) -> None:
        assert "503" in line
        http.status = 0

    done = write(repository=f"{http.url}/models.git", username="bot", token=TOKEN, progress=recover)
    assert done.result["commit"] == bare.head()


def test_a_server_that_is_away_is_told_in_time(write: Write) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PlatformError, match="Last seen: git fetch: ") as caught:
        write(repository=f"http://127.0.0.1:{port}/a.git", timeout=3.0)
    assert caught.value.error_class.value == "timeout"


SSH = """#!{python}
import os, sys
with open({log!r}, "a") as log:
    log.write("\\0".join(sys.argv[1:]) + "\\n")
if {message!r}:
    sys.stderr.write({message!r})
    sys.exit(255)
os.execvp("sh", ["sh", "-c", sys.argv[-1]])
"""


@pytest.fixture
def ssh_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in ssh's place that runs the command here; return where it says how it was called."""
    return _ssh(tmp_path, monkeypatch, "")


def _ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str) -> Path:
    folder, log = tmp_path / "bin", tmp_path / "ssh.log"
    folder.mkdir(exist_ok=True)
    (folder / "ssh").write_text(SSH.format(python=sys.executable, log=str(log), message=message))
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return log


def test_ssh_gets_key_and_known_hosts(bare: Bare, write: Write, ssh_log: Path, tmp_path: Path) -> None:
    key, hosts = tmp_path / "a key", tmp_path / "known'hosts"
    key.write_text("key")
    hosts.write_text("hosts")
    done = write(repository=f"git@git.example.com:{bare.path}", ssh_key=str(key), known_hosts=str(hosts))
    assert done.result["commit"] == bare.head()
    for line in ssh_log.read_text().splitlines():
        arguments = line.split("\0")
        assert arguments[:2] == ["-F", "none"]
        assert arguments[arguments.index("-i") + 1].endswith("/key")
        assert "StrictHostKeyChecking=yes" in arguments
        assert "git@git.example.com" in arguments


@pytest.mark.parametrize(
    ("message", "error_class"),
    [
        ("Host key verification failed.\r\n", "auth"),
        ("git@git.example.com: Permission denied (publickey).\r\n", "auth"),
        ("ssh: Could not resolve hostname git.example.com: Name or service not known\r\n", "timeout"),
    ],
)
def test_what_ssh_says_is_understood(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, error_class: str
) -> None:
    _ssh(tmp_path, monkeypatch, message)
    with pytest.raises(PlatformError) as caught:
        write(repository="git@git.example.com:a.git", timeout=3.0)
    assert caught.value.error_class.value == error_class
    assert message.strip() in str(caught.value)

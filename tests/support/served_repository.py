# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Git repository that is served over HTTP by Git's own ``http-backend``."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.support.git_backend import GitBackendHandler

_IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "tests"), ("EMAIL", "tests@localhost"))
}


@dataclass(frozen=True)
class Repository:
    """A bare repository, where it is served, and a work tree of its branch ``main``."""

    url: str
    folder: Path

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        """Write files, commit and push them; return the commit."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)
        return self._push()

    def revert(self, commit: str) -> str:
        """Undo a commit by another one; return that."""
        self._git("revert", "--no-edit", commit)
        return self._push()

    def _push(self) -> str:
        self._git("push", "--quiet", "origin", "HEAD:main")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        return _git("-C", str(self.folder), *arguments)


@dataclass(frozen=True)
class Answer:
    """What git said."""

    code: int
    output: bytes


@dataclass
class Clone:
    """A clone, and what git was asked there."""

    folder: Path
    asked: list[str] = field(default_factory=list)

    def ask(self, *arguments: str) -> Answer:
        """Run git."""
        self.asked.append(arguments[0])
        done = subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, check=False)
        return Answer(done.returncode, done.stdout)


@contextmanager
def git_repository(folder: Path) -> Iterator[Repository]:
    """Make an empty repository in a folder, and serve it until the end."""
    _git("init", "--quiet", "--bare", "--initial-branch", "main", str(folder / "served/site.git"))
    _git("clone", "--quiet", str(folder / "served/site.git"), str(folder / "work"))
    _git("-C", str(folder / "work"), "checkout", "--quiet", "-B", "main")
    handler = type("Handler", (_Handler,), {"root": folder / "served"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Repository(f"http://127.0.0.1:{server.server_port}/site.git", folder / "work")
        finally:
            server.shutdown()
            thread.join(10)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "advice.detachedHead=false", *arguments],
        env={**os.environ, **_IDENTITY, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout


class _Handler(GitBackendHandler):
    """Answers whoever asks."""

    root: Path

    def answer(self, body: bytes) -> None:
        self.serve(self.root, body)

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real bare repositories, other people's commits to them, and git's own HTTP server behind a login."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.support.git_backend import GitBackendHandler

_IDENTITY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
_SETTINGS = ("-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false")


@dataclass(frozen=True)
class Bare:
    """A bare repository, and what happens to it from outside."""

    path: Path

    @classmethod
    def empty(cls, path: Path) -> Bare:
        """Make a repository without a commit."""
        subprocess.run(["git", *_SETTINGS, "init", "--quiet", "--bare", str(path)], check=True)
        return cls(path)

    @property
    def url(self) -> str:
        """Address of the repository."""
        return f"file://{self.path}"

    def git(self, *arguments: str) -> str:
        """Return what git says in the repository."""
        command = ["git", *_SETTINGS, "-C", str(self.path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def head(self, branch: str = "main") -> str:
        """Return the commit of a branch, empty for none."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def files(self, branch: str = "main") -> list[str]:
        """Return the paths of all files."""
        return self.git("ls-tree", "-r", "--name-only", branch).splitlines()

    def subjects(self, branch: str = "main") -> list[str]:
        """Return the first lines of all commits, newest first."""
        return self.git("log", "--format=%s", branch).splitlines()

    def commit(self, name: str, content: str = "", *, link: str = "") -> str:
        """Commit a file, or a link, as somebody else; return the commit."""
        folder = self.path.with_name(f"{self.path.name}-checkout")
        if not folder.exists():
            self._run("clone", "--quiet", str(self.path), str(folder))
        else:
            self._run("-C", str(folder), "fetch", "--quiet", "origin", "main")
            self._run("-C", str(folder), "reset", "--quiet", "--hard", "origin/main")
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if link:
            file.symlink_to(link)
        else:
            file.write_text(content)
        self._run("-C", str(folder), "add", "--all")
        self._run("-C", str(folder), *_IDENTITY, "commit", "--quiet", "-m", f"add {name}")
        self._run("-C", str(folder), "push", "--quiet", "origin", "HEAD:refs/heads/main")
        return self.head()

    def hook(self, name: str, script: str) -> None:
        """Have the server run a script at each push."""
        file = self.path / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def race(self, times: int) -> None:
        """Have somebody else's commit win against the next pushes.

        The commit is made in between, when the server has looked at ours and not yet moved the branch.
        """
        rival = """tree=$(git rev-parse 'refs/heads/main^{tree}')
commit=$(git commit-tree -p refs/heads/main -m rival "$tree")"""
        self._meanwhile(times, f"{rival}\ngit update-ref refs/heads/main $commit")

    def rewrite(self, commit: str) -> None:
        """Have somebody set the branch back by force in the middle of the next push."""
        self._meanwhile(1, f"git update-ref refs/heads/main {commit}")

    def _meanwhile(self, times: int, script: str) -> None:
        """Run a script in the middle of the next pushes, as another process would."""
        (self.path / "left").write_text("x" * times)
        self.hook(
            "pre-receive",
            f"""
cd {self.path}
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_AUTHOR_NAME=Rival GIT_AUTHOR_EMAIL=rival@example.com
export GIT_COMMITTER_NAME=Rival GIT_COMMITTER_EMAIL=rival@example.com
[ -s left ] || exit 0
printf %s "$(tail -c +2 left)" > left
{script}
""",
        )

    def _run(self, *arguments: str) -> None:
        subprocess.run(["git", *_SETTINGS, *arguments], check=True, capture_output=True)


@dataclass
class GitHttp:
    """A server of repositories by HTTP that asks for a login, and what it was told."""

    url: str
    seen: list[str] = field(default_factory=list)  #: the Authorization headers
    redirect: str = ""  #: where requests are sent, if anywhere
    status: int = 0  #: answered to all, if not 0


class _Server(ThreadingHTTPServer):
    def __init__(self, folder: Path, login: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.login = folder, login
        self.state = GitHttp(f"http://127.0.0.1:{self.server_port}")


class _Handler(GitBackendHandler):
    """Answers as the state of its server says."""

    server: _Server

    def answer(self, body: bytes) -> None:
        given = self.headers.get("Authorization", "")
        state = self.server.state
        state.seen.append(given)
        if state.redirect:
            self._refuse(302, "Location", state.redirect + self.path)
        elif state.status:
            self._refuse(state.status, "X", "y")
        elif given != self.server.login:
            self._refuse(401, "WWW-Authenticate", 'Basic realm="git"')
        else:
            self.serve(self.server.folder, body, "somebody")

    def _refuse(self, status: int, name: str, value: str) -> None:
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def git_http(folder: Path, user: str, password: str) -> Iterator[GitHttp]:
    """Serve the repositories of a folder by ``git http-backend``."""
    login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    with _Server(folder, login) as server:
        state = server.state
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()

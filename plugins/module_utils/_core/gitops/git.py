# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The git binary, apart from whatever is configured around it: by argument lists, and never past a deadline.

No hook, no file of configuration and no helper of the machine or the user takes part.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..common.errors import PlatformError, invalid
from ..common.orphans import die_with_parent
from .address import Address
from .credentials import Credentials, git_settings, secrets, ssh_command
from .git_failures import failure, words

#: What git and its helpers may know of the environment.
_PASSED = ("PATH", "SSH_AUTH_SOCK", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.askPass": "",
    "credential.helper": "",
    "protocol.ext.allow": "never",
    # A login is not carried to where a server sends us.
    "http.followRedirects": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "init.defaultBranch": "main",
    "push.gpgSign": "false",
    "advice.detachedHead": "false",
}
_END_S = 3.0


@dataclass(frozen=True)
class Answer:
    """What git printed, and its exit status."""

    code: int
    output: bytes
    errors: str


class Git:
    """Runs git in a bare repository of its own, in a private folder."""

    def __init__(
        self, binary: str, folder: Path, address: Address, credentials: Credentials, deadline: Deadline
    ) -> None:
        found = shutil.which(binary)
        if found is None:
            raise invalid(
                "git_binary",
                binary,
                "is not an executable on this machine",
                "Install Git 2.32 or later, or give the path of its binary.",
            )
        self._binary, self._folder, self._deadline = found, folder, deadline
        self._secrets = secrets(credentials)
        self._environment = _environment(folder, address, credentials)
        self.run("init", "--quiet", "--bare", "--template=", "--", str(folder / "repository"))

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what git printed; raises what its failure means."""
        answer = self.ask(*arguments, stdin=stdin)
        if answer.code != 0:
            raise self.failure(arguments[0], answer)
        return answer.output

    def failure(self, command: str, answer: Answer) -> PlatformError:
        """Return what a failure means."""
        return failure(command, answer.errors, self._secrets)

    def words(self, answer: Answer) -> str:
        """Return what an answer says, without a secret."""
        return words(f"{answer.errors}\n{answer.output.decode(errors='replace')}".strip(), self._secrets)

    def ask(self, *arguments: str, stdin: bytes = b"") -> Answer:
        """Return git's answer, whatever it is."""
        command = arguments[0]
        if self._deadline.expired():
            raise self._too_late(command, "no time was left to start it")
        with self._started(arguments) as process:
            try:
                output, errors = process.communicate(stdin, timeout=self._deadline.remaining())
            except BaseException as error:
                _stop(process)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise self._too_late(command, "it still ran when it was stopped") from None
        return Answer(process.returncode, output, errors.decode(errors="replace"))

    def _started(self, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        parent = os.getpid()
        try:
            # run_command has no process groups, and an action plugin has no module to call it on.
            return subprocess.Popen(  # pylint: disable=ansible-bad-function
                [self._binary, *arguments],
                cwd=self._folder / "repository" if arguments[0] != "init" else self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - system calls only
            )
        except OSError as error:
            raise invalid(
                "git_binary",
                self._binary,
                f"cannot be started ({error.strerror or error})",
                "Install Git 2.32 or later, or give the path of its binary.",
            ) from error

    def _too_late(self, command: str, why: str) -> PlatformError:
        return self._deadline.timeout_error(
            f"git {command}",
            why,
            "Check that the repository can be reached, then run again: what has arrived is found and kept.",
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End git and everything that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_END_S)
            return


def _environment(folder: Path, address: Address, credentials: Credentials) -> Mapping[str, str]:
    home = folder / "home"
    home.mkdir(mode=0o700)
    names = [*_PASSED, *_PROXIES, *(name.upper() for name in _PROXIES)]
    environment = {name: os.environ[name] for name in names if name in os.environ}
    environment |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        # Messages are read to tell what happened.
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": address.protocol,
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_VARIANT": "ssh",
    }
    if address.protocol == "ssh":
        environment["GIT_SSH_COMMAND"] = ssh_command(credentials, folder)
    settings = {**_SETTINGS, **git_settings(credentials, address)}
    environment["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (name, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return environment

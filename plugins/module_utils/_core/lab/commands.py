# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run other programs: argument lists only, bounded in time, failures with what the program said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..common.errors import ErrorClass, PlatformError


def run(
    argv: Sequence[str | Path],
    timeout: float = 60.0,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its output; ``environment`` is added to ours.

    With ``check`` a non-zero exit status is an ``infrastructure`` error that shows the last lines.
    """
    words = [str(word) for word in argv]
    try:
        # run_command has no process groups, and an action plugin has no module to call it on.
        finished = subprocess.run(  # pylint: disable=ansible-bad-function
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"{words[0]} is not installed.",
            "Install it, or let the lab install its packages (Debian and Ubuntu).",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PlatformError(
            ErrorClass.TIMEOUT,
            f"{' '.join(words[:4])} did not end within {timeout:g} s. "
            f"Last seen: {tail(_text(error.stderr) or _text(error.stdout), 3) or 'no output'}",
            "Run it by hand to see where it hangs.",
        ) from error
    if check and finished.returncode != 0:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"{' '.join(words[:6])} ended with status {finished.returncode}: "
            f"{tail(finished.stderr or finished.stdout)}",
            "The message above is the program's own; put right what it names, then run again.",
        )
    return finished


def _text(output: object) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else str(output or "")


def tail(text: str, lines: int = 12) -> str:
    """Return the last lines of a program's output."""
    return "\n".join(text.strip().splitlines()[-lines:])


def tail_of_file(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log file, or an empty string if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 16384))
            return tail(log.read().decode(errors="replace"), lines)
    except OSError:
        return ""

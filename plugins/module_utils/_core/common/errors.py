# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one exception family: what was seen, what to do, and a class that playbooks can branch on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class ErrorClass(StrEnum):
    """Kind of failure. Callers branch on this, never on the text of a message."""

    INVALID = "invalid"  #: the input cannot be right; nothing was tried
    LOCKED = "locked"  #: somebody else changes the same target
    CAPACITY = "capacity"  #: no room on the cluster (yet)
    WORKLOAD = "workload"  #: the model server cannot start or keep running
    VERIFICATION = "verification"  #: it runs but does not serve correctly
    FENCED = "fenced"  #: our right to write was lost meanwhile
    INFRASTRUCTURE = "infrastructure"  #: API server, database, network; the only class worth a retry
    AUTH = "auth"  #: credentials refused or missing
    TIMEOUT = "timeout"  #: the deadline passed; the message ends with the last reason seen


class PlatformError(Exception):
    """A failure with its class, message, resolution and JSON-serialisable details."""

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        resolution: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.message = message
        self.resolution = resolution
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        return sentences(self.message, self.resolution)


def sentences(message: str, resolution: str) -> str:
    """Return both as one text in which each is a sentence of its own.

    A message may end with somebody else's words, without a full stop and over several lines.
    """
    message = message.rstrip()
    if not resolution or not message:
        return message or resolution
    if "\n" in message:
        return f"{message}\n{resolution}"
    return f"{message}{'' if message[-1] in '.!?:;' else '.'} {resolution}"


def invalid(field: str, value: object, problem: str, resolution: str) -> PlatformError:
    """Build the error for bad input: it names the field, the value, and what to do."""
    shown = repr(value)
    if len(shown) > 120:
        shown = f"{shown[:100]}... ({len(str(value))} characters)"
    return PlatformError(ErrorClass.INVALID, f"{field}: {shown} {problem}.", resolution, {"field": field})


def missing_library(name: str, cause: ImportError) -> PlatformError:
    """Build the error for a Python library that is absent from the interpreter in use."""
    return PlatformError(
        ErrorClass.INFRASTRUCTURE,
        f"The Python library {name} cannot be imported: {cause}.",
        f"Install it for the interpreter that runs this task: python -m pip install {name}",
    )

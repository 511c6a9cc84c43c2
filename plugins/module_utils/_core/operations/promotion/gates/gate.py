# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a gate says: what was measured, against which limit, from how much, and what follows."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Any, TypeVar

from ....common.errors import ErrorClass, PlatformError
from ....registry.entry_fields import rfc3339

Answer = TypeVar("Answer")


class GateVerdict(StrEnum):
    """What follows from what was measured."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"  #: there is not enough to tell; never as good as a pass
    ERROR = "error"  #: it could not be asked, which is no fault of the model


@dataclass(frozen=True)
class Gate:
    """One gate after it was asked. Times in ``window_s`` in seconds; ``unit`` is that of value and limit."""

    name: str
    verdict: GateVerdict
    reason: str  #: what was seen, in one line for people
    value: float | str | None = None
    limit: float | str | None = None
    unit: str = ""
    samples: int | None = None
    window_s: float | None = None
    source: str = ""  #: who was asked: registry, prometheus, router, endpoint, cluster, clock
    query: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    overridden: str | None = None  #: why it does not stop anything, though it has not passed

    @property
    def open(self) -> bool:
        """Tell whether it lets pass."""
        return self.verdict is GateVerdict.PASS or self.overridden is not None

    @property
    def line(self) -> str:
        """The gate in one line for people."""
        measured = f" {self.value:g}" if isinstance(self.value, float | int) else ""
        limit = f" of {self.limit:g}" if measured and isinstance(self.limit, float | int) else ""
        unit = f" {self.unit}" if measured and self.unit else ""
        skipped = f" (overridden: {self.overridden})" if self.overridden is not None else ""
        return f"gate {self.name}: {self.verdict.value}{measured}{limit}{unit}{skipped}; {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """Return it as module vllm_gate_info documents it."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "value": self.value,
            "limit": self.limit,
            "unit": self.unit,
            "samples": self.samples,
            "window_s": self.window_s,
            "source": self.source,
            "query": self.query,
            "since": rfc3339(self.since) if self.since is not None else None,
            "until": rfc3339(self.until) if self.until is not None else None,
            "overridden": self.overridden,
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Gate:
        """Return one that was written as JSON, as far as another one is compared with it."""
        kept = {key: given.get(key) for key in ("value", "limit", "samples", "window_s", "query")}
        return cls(
            str(given["name"]),
            GateVerdict(given["verdict"]),
            str(given["reason"]),
            unit=str(given.get("unit") or ""),
            source=str(given.get("source") or ""),
            **kept,
        )


def asked(name: str, source: str, ask: Callable[[], Gate]) -> Gate:
    """Ask a gate; one that cannot be asked is an error, and not a failure of the model."""
    gate = attempt(ask)
    if isinstance(gate, PlatformError):
        return Gate(name, GateVerdict.ERROR, gate.message, source=source)
    return gate


def attempt(ask: Callable[[], Answer]) -> Answer | PlatformError:
    """Return what is answered, or why nothing is.

    A reading that nobody foresaw is an error like others: raised, it would end the watch over a release that
    is there already.
    """
    try:
        return ask()
    except PlatformError as error:
        return error
    except Exception as error:  # noqa: BLE001 - see above
        return unforeseen(error)


def unforeseen(error: Exception) -> PlatformError:
    """Return an error of ours that says where it is; its text may hold what was read, secrets too."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{PurePath(last.filename).name}:{last.lineno}"
    return PlatformError(
        ErrorClass.INFRASTRUCTURE,
        f"what was read cannot be made sense of ({type(error).__name__}, {where})",
        "This is a defect: please report it.",
    )


def closed(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that let nothing pass."""
    return [gate for gate in gates if not gate.open]


def overruled(gate: Gate, reason: str) -> Gate:
    """Return a gate that somebody takes on himself; one that has passed needs nobody."""
    return gate if gate.verdict is GateVerdict.PASS else replace(gate, overridden=reason)

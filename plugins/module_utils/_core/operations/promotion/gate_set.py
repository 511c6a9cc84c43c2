# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which gates a promotion has to pass, and their limits: what an approval is given for, too."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...common.digests import digest
from ...common.errors import invalid
from .gates.limits import BOUNDS

#: In the order in which they are asked: first what costs nothing.
GATES = (
    "verified",
    "soak",
    "idle",
    "freeze",
    "capacity",
    "completions",
    "errors",
    "latency",
    "queue",
    "approval",
)

#: What nobody takes on himself: without the first there is nothing that was proven, and who overrides the
#: second would approve it for himself.
NEVER_OVERRIDDEN = ("verified", "approval")

#: What is measured, by the names that the limits have where they are compared.
_MEASURED = {
    "max_latency_s": "latency_s",
    "error_ratio": "error_ratio",
    "queue_waiting": "queue_waiting",
    "min_samples": "min_samples",
    "window_s": "window_s",
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "production": {"soak_s": 900.0, "metrics": "auto", "approval": True},
    "staging": {"soak_s": 0.0, "metrics": "none", "approval": False},
    "development": {"soak_s": 0.0, "metrics": "none", "approval": False},
}


@dataclass(frozen=True)
class GateSet:
    """The limits. Times in seconds; zero, ``none`` and False ask nothing.

    A window of None is the source's to choose.
    """

    soak_s: float = 900.0
    completions: int = 10
    max_latency_s: float = 3.0
    metrics: str = "auto"  #: auto, prometheus, router or none
    error_ratio: float = 0.01
    queue_waiting: float = 10.0
    min_samples: int = 50
    window_s: float | None = None
    approval: bool = True
    approval_by_other_login: bool = False  #: who asked and who approved are two users of the database, too
    freeze: Sequence[Mapping[str, Any]] = ()
    capacity: bool = True
    overridden: Sequence[str] = ()  #: gates that somebody takes on himself
    watch_s: float = 300.0
    environment_keys: Sequence[str] = ()
    prometheus: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any], tier: str, *, capacity: bool = True) -> GateSet:
        """Return the gates of a target, by what is given and else by its tier. Raises ``invalid``."""
        said = {name: value for name, value in given.items() if value is not None}
        found = cls(**{**_DEFAULTS[tier], **said, "capacity": capacity})
        _check(found)
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of all that says how strict a promotion is: an approval does not hold for another one."""
        # YAML makes dates of what is written without quotes.
        freeze = json.loads(json.dumps([dict(window) for window in self.freeze], default=str))
        return digest({**asdict(self), "freeze": freeze})


@dataclass(frozen=True)
class Override:
    """A gate that somebody takes on himself, and why."""

    gate: str
    reason: str


def check_overrides(given: Sequence[Mapping[str, Any]]) -> dict[str, Override]:
    """Return the overrides by the name of their gate. Raises ``invalid``."""
    found = {}
    for item in given:
        name, reason = item["gate"], (item["reason"] or "").strip()
        if name not in GATES:
            raise invalid("overrides.gate", name, "is no gate", f"Give one of {', '.join(GATES)}.")
        if name in NEVER_OVERRIDDEN:
            advice = "Verify the model in the source, or have it approved by somebody else."
            raise invalid("overrides.gate", name, "is never overridden", advice)
        if not reason:
            raise invalid("overrides.reason", reason, f"says nothing for {name}", "Say why; it is on record.")
        found[name] = Override(name, reason)
    return found


def _check(gates: GateSet) -> None:
    # Written so that NaN is refused as well.
    if not 0 <= gates.soak_s < math.inf:
        raise invalid("gates.soak_s", gates.soak_s, "is no time", "Give seconds, zero or more.")
    for name, limit in _MEASURED.items():
        value, (low, high) = getattr(gates, name), BOUNDS[limit]
        if value is not None and not low <= value <= high:
            raise invalid(
                f"gates.{name}", value, f"is not between {low:g} and {high:g}", "Give such a number."
            )
    if not 0 <= gates.completions <= 1000:
        raise invalid("gates.completions", gates.completions, "is no number of them", "Give 0 to 1000.")

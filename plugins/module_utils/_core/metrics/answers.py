# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a router counts of its answers, and which of them failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor

#: Codes of errors that a router tells with a status of 502 or 504, if it is not too late for a status.
LATE_CODES = (
    "endpoint_not_allowed",
    "upstream_broken",
    "upstream_invalid",
    "upstream_timeout",
    "upstream_unauthorized",
    "upstream_unreachable",
)
LATE_STATUSES = ("502", "504")
_STATUS = re.compile(r"[1-5][0-9][0-9]")


@dataclass(frozen=True)
class Answers:
    """Answers of one router to one model's requests, by status, and the errors of its own, by code."""

    statuses: Mapping[str, float] = field(default_factory=dict)
    codes: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> float:
        """How many failed: a status of 500 or more, or an answer that broke off after its status was sent."""
        return sum(count for status, count in self.statuses.items() if status[:1] == "5") + self.broken_off

    @property
    def broken_off(self) -> float:
        """How many broke off: their status says 200, and only the error's code tells of them."""
        told = sum(self.statuses.get(status, 0.0) for status in LATE_STATUSES)
        late = sum(self.codes.get(code, 0.0) for code in LATE_CODES)
        # Prometheus extrapolates counts: a part of an answer is none.
        return max(0.0, float(floor(late - told + 1e-6)))

    @property
    def judged(self) -> float:
        """How many say something of the model server: a status of 4xx is the client's mistake."""
        counted = sum(count for status, count in self.statuses.items() if status[:1] in ("2", "3", "5"))
        return max(counted, self.failed)


def strange_statuses(pods: Mapping[str, Answers]) -> list[str]:
    """Say what pods count as a status that is none: nobody knows which of these failed."""
    return [
        f"{pod} counts answers of the status {status!r}"
        for pod, answers in sorted(pods.items())
        for status in sorted(answers.statuses)
        if not _STATUS.fullmatch(status)
    ]

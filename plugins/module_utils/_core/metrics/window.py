# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was counted of one model in a window of time, wherever it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from .answers import Answers
from .histogram import Histogram

Figures = TypeVar("Figures")
Mark = TypeVar("Mark")


@dataclass(frozen=True)
class Subject:
    """Whose metrics are meant. ``port`` is that of the release's Service."""

    model: str
    environment: str
    namespace: str
    release: str
    router_namespace: str
    port: int = 8000


@dataclass(frozen=True)
class Waiting:
    """Requests that wait in one model server: the mean of some readings."""

    mean: float
    readings: int


@dataclass(frozen=True)
class Seen(Generic[Figures]):
    """Figures by pod, how they were asked for, and what is missing."""

    pods: Mapping[str, Figures]
    query: str
    #: What should have been seen and was not: with a gap nothing is known to be well.
    gaps: tuple[str, ...] = ()
    #: What a reader should know beside.
    notes: tuple[str, ...] = ()
    #: Why there is nothing, where there is nothing.
    absent: str = ""


class Window(Protocol):
    """One window of time. Each method may raise ``PlatformError``: then it could not be asked."""

    @property
    def since(self) -> datetime:
        """When it began."""

    @property
    def until(self) -> datetime:
        """When it ended."""

    def answers(self) -> Seen[Answers]:
        """Return the answers of each router."""

    def durations(self) -> Seen[Histogram]:
        """Return how long requests took at each router."""

    def waiting(self) -> Seen[Waiting]:
        """Return the queue of each model server."""


class MetricsSource(Protocol[Mark]):
    """Who can be asked. ``name`` is what a gate calls its source.

    One that ``remembers`` knows of a window that is over; with another one it has to be waited for.
    """

    @property
    def name(self) -> str:
        """What a gate calls its source."""

    @property
    def remembers(self) -> bool:
        """Whether it knows of a window that is over."""

    def begin(self, subject: Subject) -> Mark:
        """Begin a window now; keep what is returned for :meth:`end`."""

    def end(self, mark: Mark) -> Window:
        """Return the window from its beginning until now; one beginning may have several ends."""

    def recent(self, subject: Subject, window_s: float) -> Window:
        """Return a window of this length: the last one, or one that is waited for."""

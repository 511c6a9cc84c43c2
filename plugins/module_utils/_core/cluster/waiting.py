# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What long waits have in common: news of objects by a watch, and a line about each reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..common.deadline import Deadline
from ..common.errors import ErrorClass, PlatformError
from .client import APIError, ClusterClient

_REPEAT_LINE_S = 30.0
_TOGETHER_S = 0.25
#: Answers after which a watch is not asked for again: it is not allowed, or there is none.
_NO_WATCH = (403, 404, 405)
_DIGITS = re.compile(r"\d+")


class News:
    """Waits for news of some objects: by a watch, or where that is not allowed, for a time."""

    def __init__(
        self, client: ClusterClient, path: str, query: Mapping[str, Any], deadline: Deadline
    ) -> None:
        self._client = client
        self._path = path
        self._query = query
        self._deadline = deadline
        self.watched = True

    def changed(self, version: str, seconds: float, *, watch_s: float = 0.0) -> bool:
        """Return at the first change after a version, or after so many seconds; tell whether there was one.

        No server can be asked to watch for less than a second; such a time is slept through. With ``watch_s``
        a watch lasts at least so long, and what cannot be watched is slept for ``seconds``.
        """
        whole = int(min(max(seconds, watch_s), self._deadline.remaining()))
        if not (self.watched and version and whole):
            self._deadline.pause(seconds)
            return False
        try:
            changed = self._client.wait_for_change(self._path, self._query, version, whole)
        except PlatformError as error:
            if error.error_class is ErrorClass.FENCED:
                raise
            # Reading goes on, and says what is wrong where it fails too.
            self.watched = not (isinstance(error, APIError) and error.status in _NO_WATCH)
            self._deadline.pause(seconds)
            return False
        if changed:
            # More than one change comes at a time.
            self._deadline.pause(_TOGETHER_S)
        return changed


class Reasons:
    """Tells what is waited for: each reason once, and again now and then."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._reason, self._shown_at = "", 0.0

    def tell(self, reason: str, line: str, elapsed: float) -> bool:
        """Show the line if it is time to; return whether the reason is news."""
        # Counts within a reason go up and down; only another reason is news.
        news = _DIGITS.sub("", reason) != _DIGITS.sub("", self._reason)
        if news or elapsed - self._shown_at >= _REPEAT_LINE_S:
            self._progress(line)
            self._reason, self._shown_at = reason, elapsed
        return news

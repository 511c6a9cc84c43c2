# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines at the end of a terminal that are drawn anew, below all else. Private to this collection.

Nothing but two sequences of ECMA-48 is used (up, and erase below), the cursor stays visible, and no mode is
changed: a run that is killed leaves the terminal as it was.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TextIO

#: Returns the lines for so many columns and rows.
Draw = Callable[[int, int], list[str]]


def can_be_drawn_on(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether a person at a terminal sees what is written, and the terminal obeys the sequences.

    ansible-runner, and so AWX, gives its jobs a terminal too, and keeps every line that comes from it.
    """
    if "AWX_ISOLATED_DATA_DIR" in environment or environment.get("TERM", "") in ("", "dumb"):
        return False
    return stream.isatty()


class _Above:
    """A stream whose text appears above the region."""

    def __init__(self, stream: TextIO, region: LiveRegion) -> None:
        self._stream = stream
        self._region = region

    def write(self, text: str) -> int:
        return self._region.write_above(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class LiveRegion:
    """What ``draw`` returns, kept at the end of the terminal from ``open`` to ``close``."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._lock = threading.RLock()
        self._drawn = 0
        self._line_ended = True
        self._owner = os.getpid()
        self._streams: tuple[TextIO, TextIO] | None = None

    def open(self) -> None:
        """Take the place of the standard streams, so that what others print does not fall into the lines."""
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout = _Above(sys.stdout, self)
        if sys.stderr.isatty():
            sys.stderr = _Above(sys.stderr, self)

    def close(self) -> None:
        """Take the lines away and give the streams back."""
        if self._streams is None or os.getpid() != self._owner:
            return
        with self._lock:
            self._erase()
            sys.stdout, sys.stderr = self._streams
            self._streams = None

    def redraw(self) -> None:
        """Draw the lines as they are now."""
        with self._lock:
            self._erase()
            self._paint()

    def write_above(self, stream: TextIO, text: str) -> int:
        """Write text to one of the streams, above the lines."""
        # A worker of Ansible is a copy of this process, which may have been drawing when it was made.
        if os.getpid() != self._owner:
            return stream.write(text)
        with self._lock:
            self._erase()
            written = stream.write(text)
            stream.flush()
            if text:
                self._line_ended = text.endswith("\n")
            self._paint()
            return written

    def _erase(self) -> None:
        if self._drawn:
            self._put(f"\r\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _paint(self) -> None:
        # Until its line ends, the place below belongs to the text above, such as a question.
        if self._streams is None or not self._line_ended:
            return
        columns, rows = self._size(self._streams[0])
        # A line that fills the last column may go on in the next; and the cursor needs a row.
        lines = self._draw(columns - 1, rows - 1)
        self._put("".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)

    @staticmethod
    def _size(stream: TextIO) -> tuple[int, int]:
        # shutil's function believes COLUMNS and LINES first, which may be of another terminal.
        columns, rows = os.get_terminal_size(stream.fileno())
        return (columns, rows) if columns and rows else shutil.get_terminal_size()

    def _put(self, text: str) -> None:
        # Not by the stream: Ansible has given it a lock, which a thread may hold that waits for ours.
        stream = self._streams[0] if self._streams is not None else None
        content = text.encode(stream.encoding, "replace") if stream is not None else b""
        while stream is not None and content:
            content = content[os.write(stream.fileno(), content) :]

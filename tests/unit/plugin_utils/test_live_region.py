# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines at the end of a terminal: which stream is one, how wide it is, and what is left in peace."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import struct
import sys
import termios
from collections.abc import Iterator

import pyte
import pytest

from ansible_collections.llmops.platform.plugins.plugin_utils._live_region import LiveRegion, can_be_drawn_on

ROWS, COLUMNS = 8, 40


class Screen:
    """A terminal, whose end that programs write to is ``stream``."""

    def __init__(self) -> None:
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.stream = os.fdopen(side, "w", encoding="utf-8")
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._emulator = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """The lines on it that are not empty."""
        self.stream.flush()
        while select.select([self._main], [], [], 0.05)[0]:
            self._emulator.feed(os.read(self._main, 65536))
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def close(self) -> None:
        """Close both ends."""
        self.stream.close()
        os.close(self._main)


@pytest.fixture
def screen() -> Iterator[Screen]:
    """Return a terminal."""
    made = Screen()
    yield made
    made.close()


def test_a_line_that_has_not_ended_stays(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen.stream)
    region = LiveRegion(lambda _columns, _rows: ["one", "two"])
    region.open()
    sys.stdout.write("above\n")
    assert screen.lines == ["above", "one", "two"]
    sys.stdout.write("Go on? ")
    region.redraw()
    region.redraw()
    assert screen.lines == ["above", "Go on?"]
    sys.stdout.write("")
    sys.stdout.write("yes\n")
    assert screen.lines == ["above", "Go on? yes", "one", "two"]
    region.close()
    assert screen.lines == ["above", "Go on? yes"]


def test_the_size_is_that_of_the_terminal(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person may have exported COLUMNS for other programs, or long before the window got its size."""
    monkeypatch.setattr(sys, "stdout", screen.stream)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LINES", "100")
    sizes = []

    def draw(columns: int, rows: int) -> list[str]:
        sizes.append((columns, rows))
        return ["x" * columns]

    region = LiveRegion(draw)
    region.open()
    for _ in range(3):
        region.redraw()
    assert set(sizes) == {(COLUMNS - 1, ROWS - 1)}
    assert screen.lines == ["x" * (COLUMNS - 1)]
    region.close()
    assert screen.lines == []


@pytest.mark.parametrize(
    ("environment", "drawn"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({}, False),
        # ansible-runner, and so AWX, gives its jobs a terminal and keeps each line of it as an event.
        ({"TERM": "xterm", "AWX_ISOLATED_DATA_DIR": "/runner/artifacts/7"}, False),
    ],
)
def test_which_terminals_are_drawn_on(screen: Screen, environment: dict[str, str], drawn: bool) -> None:
    assert can_be_drawn_on(screen.stream, environment) is drawn
    assert not can_be_drawn_on(io.StringIO(), environment)

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text that a program shows to Prometheus (format 0.0.4), as samples. What is no such text is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|Inf|NaN)"
_TEXT = r'"(?:[^"\\]|\\[\\"n])*"'
_LABEL = re.compile(rf"\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*(?P<text>{_TEXT})\s*(?:,|(?=\}}))")
_START = re.compile(rf"\s*(?P<name>{_NAME})\s*(?P<open>\{{)?")
_END = re.compile(rf"\s*(?P<value>{_NUMBER})(?:\s+-?[0-9]+)?\s*")
_CLOSE = re.compile(r"\s*\}")
_ESCAPED = re.compile(r"\\(.)")


class ExpositionError(ValueError):
    """The text is no exposition."""


@dataclass(frozen=True)
class Sample:
    """One number with its name and labels."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse_exposition(text: str) -> list[Sample]:
    """Return all samples of a text; raises :class:`ExpositionError`. Times of samples are left out.

    A series that comes twice is refused: nobody knows which of its numbers holds.
    """
    samples = []
    seen = set()
    # Not splitlines: a label may hold what Unicode takes for the end of a line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            sample = _sample(line, number)
            series = (sample.name, frozenset(sample.labels.items()))
            if series in seen:
                raise ExpositionError(f"line {number} repeats a series: {line[:100]!r}")
            seen.add(series)
            samples.append(sample)
    return samples


def _sample(line: str, number: int) -> Sample:
    start = _START.match(line)
    if start is None:
        raise _refused(line, number)
    labels: dict[str, str] = {}
    position = start.end()
    if start["open"]:
        while (label := _LABEL.match(line, position)) is not None:
            if label["name"] in labels:
                raise _refused(line, number)
            labels[label["name"]] = _ESCAPED.sub(_unescaped, label["text"][1:-1])
            position = label.end()
        close = _CLOSE.match(line, position)
        if close is None:
            raise _refused(line, number)
        position = close.end()
    elif not line[position:][:1].isspace() and not line[position - 1].isspace():
        raise _refused(line, number)
    end = _END.fullmatch(line, position)
    if end is None:
        raise _refused(line, number)
    return Sample(start["name"], labels, float(end["value"]))


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _refused(line: str, number: int) -> ExpositionError:
    return ExpositionError(f"line {number} is no sample of Prometheus' text format: {line[:100]!r}")

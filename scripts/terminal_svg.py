#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw what a terminal shows as a picture for the documentation.

tmux capture-pane -e -p | scripts/terminal_svg.py >docs/images/deployments.svg
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator, Sequence

#: Of the colours of ECMA-48 those that Ansible uses, on a dark ground.
COLOURS = {
    "31": "#ff7b72",
    "32": "#7ee787",
    "33": "#e3b341",
    "34": "#79c0ff",
    "36": "#76e3ea",
    "37": "#f0f6fc",
}
_RESETS = ("", "0", "39")
CHARACTER, LINE, MARGIN = 8.4, 18, 14
_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)m")


def spans(line: str, colour: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a line with their colours, from the colour that the line before left on."""
    for index, part in enumerate(_SEQUENCE.split(line)):
        if index % 2:
            for code in part.split(";"):
                colour = COLOURS.get(code, "" if code in _RESETS else colour)
        yield "" if index % 2 else part, colour


def svg(lines: Sequence[str]) -> str:
    """Return the picture of these lines."""
    width = round(max(len(_SEQUENCE.sub("", line)) for line in lines) * CHARACTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    texts, colour = [], ""
    for index, line in enumerate(lines):
        parts = ""
        for text, now in spans(line, colour):
            colour = now
            fill = f' fill="{colour}"' if colour else ""
            parts += f"<tspan{fill}>{html.escape(text)}</tspan>" if text else ""
        place = f'x="{MARGIN}" y="{MARGIN + 13 + index * LINE}"'
        texts.append(f'<text {place} xml:space="preserve">{parts}</text>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            "<title>A terminal with a line for each model that is being deployed</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
            '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#c9d1d9">',
            *texts,
            "</g>",
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(svg([line.rstrip() for line in sys.stdin if _SEQUENCE.sub("", line).strip()]))

#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the table of values into the chart's README.md, from the comments of its values.yaml.

A comment that starts with ``# -- `` documents the key below it, together with everything under that key
unless a key there has a comment of its own. Every value must be covered: an undocumented one is an error.
Run with ``--check`` to write nothing and exit with 1 if the README is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from readme_tables import cell, default_cell, is_current

CHART = Path(__file__).resolve().parent.parent / "roles/vllm/files/chart/vllm-deployment"
BEGIN, END = "<!-- values: begin (made by scripts/chart_readme.py) -->", "<!-- values: end -->"
_KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(.*)$")


def descriptions(text: str) -> dict[str, str]:
    """Return description by dotted path, in the order of the file."""
    found: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = [stripped.removeprefix("# -- ")]
        elif stripped.startswith("#"):
            if comment:
                comment.append(stripped.removeprefix("#").strip())
        elif match := _KEY.match(line):
            indent, key = len(match[1]), match[2]
            while parents and parents[-1][0] >= indent:
                parents.pop()
            parents.append((indent, key))
            if comment:
                found[".".join(name for _, name in parents)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def leaves(values: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted path of each value that is no mapping, or an empty one."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path


def lookup(values: Any, path: str) -> Any:
    """Return the value at a dotted path."""
    for key in path.split("."):
        values = values[key]
    return values


def table(text: str) -> str:
    """Return the Markdown table of a values.yaml; raise ValueError when a value is undocumented."""
    documented = descriptions(text)
    values = yaml.safe_load(text)
    missing = [
        leaf
        for leaf in leaves(values)
        if not any(leaf == path or leaf.startswith(f"{path}.") for path in documented)
    ]
    if missing:
        raise ValueError(f"values without a description: {', '.join(missing)}")
    rows = ["| Value | Default | Meaning |", "| --- | --- | --- |"]
    for path, description in documented.items():
        shown = default_cell(lookup(values, path), 90, "see values.yaml")
        rows.append(f"| `{path}` | {shown} | {cell(description)} |")
    return "\n".join(rows)


def with_table(readme: str, rows: str) -> str:
    """Return the README with the part between the markers replaced."""
    before, rest = readme.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n{rows}\n\n{END}{after}"


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Write the table of values into the chart's README.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if out of date")
    parser.add_argument("--chart", type=Path, default=CHART, help="folder of the chart")
    arguments = parser.parse_args()
    readme = arguments.chart / "README.md"
    present = readme.read_text(encoding="utf-8")
    try:
        rows = table((arguments.chart / "values.yaml").read_text(encoding="utf-8"))
    except ValueError as error:
        sys.stderr.write(f"values.yaml: {error}\n")
        return 1
    wanted = with_table(present, rows)
    if not is_current(readme, wanted, check=arguments.check):
        sys.stderr.write("the chart's README.md is out of date: run scripts/chart_readme.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

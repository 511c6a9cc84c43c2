#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write each role's README.md from its meta/argument_specs.yml, which ansible-doc shows too.

Run with ``--check`` to write nothing and exit with 1 if one is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from readme_tables import cell, default_cell, is_current

ROLES = Path(__file__).resolve().parent.parent / "roles"
# What Ansible's documentation marks: O(option), V(value), E(variable), M(module), P(plugin#type), C(code).
_MARKED = re.compile(r"\b[OVECMP]\(((?:[^()\\]|\\.)+)\)")


def markdown(text: str) -> str:
    """Return a sentence with Ansible's marks as code."""

    def code(match: re.Match[str]) -> str:
        kind, marked = match[0][0], match[1].replace("\\", "")
        if kind in "MP":
            return f"`{marked.split('#')[0]}`"
        # An option of another role: llmops.platform.vllm#role:main:vllm_state=absent
        return f"`{re.sub(r'^[^=]*#.*:', '', marked)}`"

    return _MARKED.sub(code, text)


def sentences(description: str | list[str]) -> list[str]:
    """Return a description, which is a text or a list of texts, as a list."""
    return [markdown(text) for text in ([description] if isinstance(description, str) else description)]


def rows(options: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    """Yield the rows of the table of options, suboptions after their option."""
    for name, option in options.items():
        kind = option.get("type", "str")
        if "elements" in option:
            kind += f" of {option['elements']}"
        default = (
            "required"
            if option.get("required")
            else default_cell(option.get("default"), 60, "see `defaults/main.yml`")
        )
        meaning = " ".join(sentences(option["description"]))
        if "choices" in option:
            choices = (f"`{choice}`" if choice else "nothing" for choice in option["choices"])
            meaning += f" One of {', '.join(choices)}."
        yield f"| `{parent}{name}` | {kind} | {default} | {cell(meaning)} |"
        yield from rows(option.get("options") or {}, f"{parent}{name}.")


def entry_point(name: str, spec: Mapping[str, Any]) -> str:
    """Return what a README says about one entry point."""
    told = "\n".join(f"- {sentence}" for sentence in sentences(spec["description"]))
    table = "\n".join(
        ["| Variable | Type | Default | Meaning |", "| --- | --- | --- | --- |", *rows(spec["options"])]
    )
    return "\n\n".join(
        [
            f"## `{name}`",
            f"{spec['short_description']}.",
            told,
            f"```yaml\n{spec['examples'].strip()}\n```",
            table,
        ]
    )


def readme(role: str, specs: Mapping[str, Any]) -> str:
    """Return the README of a role."""
    return (
        "\n\n".join(
            [
                f"# llmops.platform.{role}",
                "<!-- Made by scripts/role_readme.py from meta/argument_specs.yml: change that. -->",
                f"`ansible-doc -t role llmops.platform.{role}` shows the same.",
                "The collection's [README](../../README.md#requirements) says what it needs.",
                *(entry_point(name, spec) for name, spec in specs.items()),
                "GPL-3.0-or-later, see [LICENSE](../../LICENSE).",
            ]
        )
        + "\n"
    )


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Write each role's README.md from its argument specs.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if one is out of date"
    )
    parser.add_argument("--roles", type=Path, default=ROLES, help="folder of the roles")
    arguments = parser.parse_args()
    outdated = []
    for path in sorted(arguments.roles.glob("*/meta/argument_specs.yml")):
        role = path.parent.parent
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        if not is_current(role / "README.md", readme(role.name, specs), check=arguments.check):
            outdated.append(role.name)
    if outdated:
        sys.stderr.write(f"README.md of {', '.join(outdated)} is out of date: run scripts/role_readme.py\n")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())

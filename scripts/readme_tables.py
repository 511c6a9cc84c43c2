# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the README.md files have in common that scripts make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def cell(text: str) -> str:
    """Return text that is safe inside a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def default_cell(value: Any, longest: int, instead: str) -> str:
    """Return a default as code; ``instead`` where it is too long for a cell."""
    shown = json.dumps(value, ensure_ascii=False)
    return instead if len(shown) > longest else f"`{cell(shown)}`"


def is_current(readme: Path, wanted: str, *, check: bool) -> bool:
    """Write the file if it differs; with ``check`` only say so."""
    if readme.exists() and readme.read_text(encoding="utf-8") == wanted:
        return True
    if not check:
        readme.write_text(wanted, encoding="utf-8")
    return not check

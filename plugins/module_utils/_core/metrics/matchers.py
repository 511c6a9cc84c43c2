# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels of the user's by which one Prometheus tells several clusters apart, checked for use in questions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..common.errors import invalid

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: What the questions select by themselves, or tell series apart by: a narrower choice would hide failures.
OURS = ("namespace", "job", "pod", "model", "status", "code", "le", "engine")


def checked_matchers(given: Mapping[Any, Any] | None) -> dict[str, str]:
    """Return the labels that every series has to have. Raises ``invalid``."""
    found = {}
    for name, value in (given or {}).items():
        field = "prometheus.labels"
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.startswith("__"):
            raise invalid(field, name, "is no name of a label", "Give such as cluster: eu-1.")
        if name in OURS:
            raise invalid(field, name, "is selected already", "Give what tells clusters apart.")
        # YAML reads 1 as a number.
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not text:
            raise invalid(f"{field}.{name}", value, "is no text", "Give the value that its series have.")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise invalid(f"{field}.{name}", value, "is no Unicode", "Give another.") from None
        # Plain: Ansible gives subclasses of str.
        found[str(name)] = str(text)
    return found

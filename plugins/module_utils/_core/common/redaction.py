# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep secrets out of whatever is shown, and keep what is shown short and printable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"

_SECRET_KEY = re.compile(
    r"(pass(word|wd)?|secret|token|api[-_]?key|credential|private[-_]?key)$", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]{0,30}://[^:/@\s]*:)[^@\s]+(?=@)", re.IGNORECASE)
_DSN_PASSWORD = re.compile(r"(?P<head>\bpassword\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)
_BEARER = re.compile(r"(?P<head>\bBearer\s+)[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
# C0 and C1 controls except tab and newline: a log of a container may hold terminal escapes.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_MARGIN = 4096


def redact_text(text: str) -> str:
    """Return the text without passwords of URLs and DSNs and without bearer tokens."""
    for pattern in (_URL_PASSWORD, _DSN_PASSWORD, _BEARER):
        text = pattern.sub(lambda match: match.group("head") + HIDDEN, text)
    return text


def redact(value: Any) -> Any:
    """Return a copy of JSON data in which values under secret-looking keys are hidden.

    A mapping or list below such a key stays visible (``secrets: {existingSecret: name}`` is a reference);
    Kubernetes Secrets lose their ``data`` and ``stringData`` whole.
    """
    if isinstance(value, Mapping):
        is_secret = value.get("kind") == "Secret"
        shown: dict[str, Any] = {}
        for key, item in value.items():
            if is_secret and key in ("data", "stringData") and isinstance(item, Mapping):
                shown[key] = dict.fromkeys(item, HIDDEN)
            elif isinstance(item, str) and item and _SECRET_KEY.search(str(key)):
                shown[key] = HIDDEN
            else:
                shown[key] = redact(item)
        return shown
    if isinstance(value, list):
        return [redact(item) for item in value]
    if isinstance(value, str):
        return redact_text(value)
    return value


def excerpt(text: str, limit: int = 4096) -> str:
    """Return printable text of at most about ``limit`` characters: its head and, mostly, its tail."""
    head, tail = limit // 4, limit - limit // 4
    # Megabytes are cut before the patterns see them, with a margin so that no secret is cut from its mark.
    if len(text) > limit + 2 * _MARGIN:
        left_out = len(text) - limit
        first = redact_text(_CONTROL.sub("", text[: head + _MARGIN]))[:head]
        last = redact_text(_CONTROL.sub("", text[-(tail + _MARGIN) :]))[-tail:]
    else:
        clean = redact_text(_CONTROL.sub("", text)).strip()
        if len(clean) <= limit:
            return clean
        left_out, first, last = len(clean) - limit, clean[:head], clean[-tail:]
    return f"{first}\n[... {left_out} characters left out ...]\n{last}".strip()

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
    r"((?<!by)(?<!com)pass|pass(word|wd|phrase)s?|[-_]pwd|secrets?|token|(api|private|access)[-_]?keys?|credentials?|authorization)([-_]?\d+)?$",
    re.IGNORECASE,
)
# What a tokenizer or a limit is called.
_TOKEN_OF_TEXT = re.compile(r"(^|[-_])(eos|bos|pad|unk|max)[-_]?tokens?$", re.IGNORECASE)
# Names of Secrets, as charts and specs call them: a reference, which a reader needs.
_REFERENCE_KEY = re.compile(r"(existing|tls|pull)[-_]?secrets?$", re.IGNORECASE)
# Up to the last "@" before the path: a password may hold an "@" that somebody forgot to encode.
_URL_PASSWORD = re.compile(
    r"(?P<head>[a-z][a-z0-9+.-]{0,30}://[^:/@\s]*:)(?:[^/\s]+|[^@\s]+)(?=@)", re.IGNORECASE
)
_DSN_PASSWORD = re.compile(r"(?P<head>\b(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)
# "invalid bearer token" is a message, not a header.
_BEARER = re.compile(r"(?P<head>\bBearer\s+)(?!token\b)[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_BASIC = re.compile(r"(?P<head>\bAuthorization\W{1,5}Basic\s+)[A-Za-z0-9+/=]+", re.IGNORECASE)
# In a text, what follows an option's name after a blank may be the next word of a sentence, so that is hidden
# only in arguments.
_OPTION = re.compile(r"(?P<head>--[a-z0-9-]*(?:api[-_]key|token|password|secret)=)[^\s'\"]+", re.IGNORECASE)
_IN_SCRIPT = re.compile(
    r"(?P<head>--[a-z0-9-]*(?:api[-_]key|token|password|secret)[ =]+)(?!-)[^\s'\"]+", re.IGNORECASE
)
# A number is no secret, but a limit of tokens.
_ASSIGNED = re.compile(
    r"(?P<head>(?<![a-z])(?P<name>(?:[a-z0-9]+[-_])*(?:password|secret|token|api[-_]?key)s?)[\"']?\s*[:=]\s*[\"']?)"
    r"(?!\d+\b)[^\s\"',;&}]+",
    re.IGNORECASE,
)
_OPTION_NAME = re.compile(r"--[a-z0-9-]*(api[-_]key|token|password|secret)", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"(?P<head>\bhf_)[A-Za-z0-9]{16,}")
# C0 and C1 controls except tab and newline, because a log may hold terminal escapes; marks that reverse the
# direction of text; and half characters, which nothing can print.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_MARGIN = 4096


def redact_text(text: str) -> str:
    """Return the text without passwords of URLs and DSNs, authorization headers and Hugging Face tokens."""
    for pattern in (_URL_PASSWORD, _DSN_PASSWORD, _BEARER, _BASIC, _OPTION, _HUB_TOKEN):
        text = pattern.sub(lambda match: match.group("head") + HIDDEN, text)
    return text


def redact_free_text(text: str) -> str:
    """Return a text of somebody else's, such as a log, without what it sets by a name of a secret, either."""
    return str(_redact_free_text(redact_text(text)))


def redact(value: Any) -> Any:
    """Return a copy of JSON data in which values under secret-looking keys are hidden.

    References stay visible: ``existingSecret: name``, or a mapping such as ``secretKeyRef: {name, key}``.
    Kubernetes Secrets lose their ``data`` and ``stringData`` whole, and entries such as
    ``{name: HF_TOKEN, value: ...}`` of a container's ``env`` their value. So do arguments of a command after
    an option such as ``--api-key``.
    """
    if isinstance(value, Mapping):
        is_secret, is_settings = value.get("kind") == "Secret", value.get("kind") == "ConfigMap"
        named_secret = _is_secret_key(value.get("name"))
        shown: dict[str, Any] = {}
        for key, item in value.items():
            if is_secret and key in ("data", "stringData") and isinstance(item, Mapping):
                shown[key] = dict.fromkeys(item, HIDDEN)
            elif _is_secret_key(key) or (named_secret and key == "value"):
                shown[key] = _hide(item)
            elif is_settings and key == "data" and isinstance(item, Mapping):
                shown[key] = {name: _redact_free_text(part) for name, part in redact(item).items()}
            elif key == "value" and "name" in value:
                shown[key] = _redact_free_text(redact(item))
            else:
                shown[key] = redact(item)
        return shown
    if isinstance(value, list):
        return _redact_list(value)
    if isinstance(value, str):
        return redact_text(value)
    return value


def _redact_list(values: list[Any]) -> list[Any]:
    """Hide what follows an option such as ``--api-key``, which may take several values."""
    shown: list[Any] = []
    follows = False
    for item in values:
        if isinstance(item, str) and item.startswith("-"):
            follows = _OPTION_NAME.fullmatch(item) is not None
            shown.append(redact(item))
        else:
            shown.append(HIDDEN if follows else _redact_free_text(redact(item)))
    return shown


def _redact_free_text(value: Any) -> Any:
    """Hide what a script, a file or headers in a text set by a name of a secret."""
    if not isinstance(value, str):
        return value
    value = _IN_SCRIPT.sub(lambda match: match.group("head") + HIDDEN, value)
    return _ASSIGNED.sub(_without_assigned, value)


def _without_assigned(match: re.Match[str]) -> str:
    return match[0] if _TOKEN_OF_TEXT.search(match["name"]) else match["head"] + HIDDEN


def _is_secret_key(key: object) -> bool:
    text = str(key)
    if _SECRET_KEY.search(text) is None:
        return False
    return _REFERENCE_KEY.search(text) is None and _TOKEN_OF_TEXT.search(text) is None


def _hide(item: Any) -> Any:
    """Hide a scalar, or the scalars of a list; an empty value or a switch is no secret."""
    if isinstance(item, list):
        return [_hide(element) for element in item]
    if isinstance(item, Mapping):
        # A reference has a name and a key; a value that stands in its place is the secret itself.
        return {key: _hide(part) if key == "value" else part for key, part in redact(item).items()}
    return item if item is None or item == "" or isinstance(item, bool) else HIDDEN


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

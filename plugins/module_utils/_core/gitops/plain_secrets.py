# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in plain text have no place in a repository: whoever may read it has them, for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import HIDDEN, redact, redact_free_text

# What many issuers' secrets look like, wherever they stand; and a login in an address.
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|"
    r"\bglpat-[\w-]{16,}|\bxox[a-z]-[\w-]{10,}|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bsk-[A-Za-z0-9_-]{20,}|"
    r"hooks\.slack\.com/services/\S+|[?&]sig=[^&\s]+|\bhttps?://[^/\s@]+@"
)
# Here a false alarm costs less than a key that everybody has, so these names count, too.
_KEY_NAME = re.compile(r"(?<!public)_key$", re.IGNORECASE)
_VALUES_ADVICE = (
    "Put it into a Secret of the namespace and refer to that: existingSecret in the chart's secrets, "
    "or valueFrom.secretKeyRef in model.extraEnv."
)


def refuse_secrets(
    values: Mapping[str, Any], field: str = "chart_values", advice: str = _VALUES_ADVICE
) -> None:
    """Raise ``invalid`` where values hold what looks like a secret, by its place and never by its value.

    It is a net with holes: what has neither the name nor the look of a secret goes through.
    """
    found = sorted(_hidden(values, redact(values), field))
    if found:
        raise PlatformError(
            ErrorClass.INVALID,
            f"{', '.join(found)}: looks like a secret in plain text, which must not be written to Git.",
            advice,
            {"field": found[0]},
        )


def without_secrets(text: str) -> str:
    """Return a text for everybody who may read the repository."""
    return _SECRET.sub(HIDDEN, redact_free_text(text))


def _hidden(value: Any, shown: Any, path: str) -> Iterator[str]:
    """Yield the paths of what is not shown as it is."""
    if isinstance(value, Mapping) and isinstance(shown, Mapping):
        is_key = _KEY_NAME.search(str(value.get("name"))) is not None
        for key, item in value.items():
            if (_KEY_NAME.search(str(key)) or (is_key and key == "value")) and _may_be_a_key(item):
                yield f"{path}.{key}"
                continue
            yield from _hidden(item, shown[key], f"{path}.{key}")
    elif isinstance(value, list | tuple) and isinstance(shown, list) and len(value) == len(shown):
        for index, (item, other) in enumerate(zip(value, shown, strict=True)):
            yield from _hidden(item, other, f"{path}[{index}]")
    elif value != shown or (isinstance(value, str) and _SECRET.search(value)):
        yield path


def _may_be_a_key(value: Any) -> bool:
    """Tell whether a text may be one: the path of a file is none."""
    return isinstance(value, str) and value != "" and not value.startswith("/")

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in plain text have no place in a repository: whoever may read it has them, for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import redact


def refuse_secrets(values: Mapping[str, Any], field: str = "chart_values") -> None:
    """Raise ``invalid`` where values hold a secret, by the name of its key and never by its value."""
    found = sorted(_hidden(values, redact(values), field))
    if found:
        raise PlatformError(
            ErrorClass.INVALID,
            f"{', '.join(found)}: looks like a secret in plain text, which must not be written to Git.",
            "Put it into a Secret of the namespace and refer to that: existingSecret in the chart's secrets, "
            "or valueFrom.secretKeyRef in model.extraEnv.",
            {"field": found[0]},
        )


def _hidden(value: Any, shown: Any, path: str) -> Iterator[str]:
    """Yield the paths of what is not shown as it is."""
    if isinstance(value, Mapping) and isinstance(shown, Mapping):
        for key, item in value.items():
            yield from _hidden(item, shown[key], f"{path}.{key}")
    elif isinstance(value, list | tuple) and isinstance(shown, list) and len(value) == len(shown):
        for index, (item, other) in enumerate(zip(value, shown, strict=True)):
            yield from _hidden(item, other, f"{path}[{index}]")
    elif value != shown:
        yield path

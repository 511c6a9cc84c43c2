# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API keys of the engines, from a file that a Secret may replace while this process runs."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class UpstreamKeys:
    """Keys by model name; ``*`` is the key of every model without one of its own."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read_at_ns = 0
        self._keys: dict[str, str] = {}

    def of(self, model: str) -> str | None:
        """Return the key of a model, or ``None`` if it takes none."""
        self._reload()
        return self._keys.get(model) or self._keys.get("*")

    def _reload(self) -> None:
        """Read the file again if it changed. One that cannot be read leaves the keys as they were."""
        if self._path is None:
            return
        try:
            changed_at_ns = self._path.stat().st_mtime_ns
            if changed_at_ns == self._read_at_ns:
                return
            keys = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(keys, dict) or not all(map(_is_key, keys.values())):
                raise ValueError("it has to be a JSON object of model name, or '*', to key")
        except (OSError, ValueError) as error:
            # The message of a JSON error shows no content; that of any other one would not either.
            log.warning("upstream keys: %s cannot be used: %s", self._path, error)
            return
        self._keys = {model: key.strip() for model, key in keys.items()}
        self._read_at_ns = changed_at_ns


def _is_key(value: Any) -> bool:
    """Tell whether a value can be sent in a header."""
    return isinstance(value, str) and value.isascii() and value.strip().isprintable() and value.strip() != ""

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One JSON object a line on standard error. Bodies, keys and DSNs are never logged."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import orjson

_log = logging.getLogger("llmops_router")
# The same failure again within this time is counted, not written: an outage must not fill the disk.
_QUIET_S = 1.0
_last: dict[tuple[str, ...], tuple[float, int]] = {}
_LAST_LIMIT = 1000


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def set_up(level: str) -> None:
    """Send all log lines of the process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _log.setLevel(level.upper())
    # An answer that broke off is told once, by us, with its cause; what clients get wrong is not told.
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.setLevel(logging.ERROR)
    uvicorn.addFilter(lambda record: "without completing" not in record.getMessage())


def write(level: int, message: str, **fields: Any) -> None:
    """Write one line."""
    if _log.isEnabledFor(level):
        _log.log(level, message, extra={"fields": fields})


def info(message: str, **fields: Any) -> None:
    """Write what an operator wants to know."""
    write(logging.INFO, message, **fields)


def warning(message: str, **fields: Any) -> None:
    """Write what an operator should look at."""
    write(logging.WARNING, message, **fields)


def failure(message: str, *about: str, **fields: Any) -> None:
    """Write a warning, at most once a second for the same message about the same things."""
    now = time.monotonic()
    key = (message, *about)
    written, suppressed = _last.get(key, (-_QUIET_S, 0))
    if now - written < _QUIET_S:
        _last[key] = (written, suppressed + 1)
        return
    if len(_last) >= _LAST_LIMIT:
        _last.clear()
    _last[key] = (now, 0)
    if suppressed:
        fields["suppressed"] = suppressed
    write(logging.WARNING, message, **fields)

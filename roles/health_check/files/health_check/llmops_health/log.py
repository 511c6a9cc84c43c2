# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One JSON object a line on standard error. Keys and DSNs are never logged."""

from __future__ import annotations

import json
import logging
import sys
import time

#: The same message again within this time is counted, not written: an outage must not fill the disk.
_QUIET_S = 1.0


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if getattr(record, "suppressed", 0):
            line["suppressed"] = record.__dict__["suppressed"]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Quiet(logging.Filter):
    """Lets one message of a kind pass within a while; the next one says how many it stands for."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        written, suppressed = self._last.get(record.msg, (-_QUIET_S, 0))
        if now - written < _QUIET_S:
            self._last[record.msg] = (written, suppressed + 1)
            return False
        self._last[record.msg] = (now, 0)
        record.suppressed = suppressed
        return True


def set_up(level: str) -> None:
    """Send all log lines of the process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    handler.addFilter(_Quiet())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("llmops_health").setLevel(level.upper())

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Health checks over HTTP: an empty string when all is well, otherwise what was seen."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path


def http_check(port: int, path: str, address: str = "127.0.0.1", ca: Path | None = None) -> str:
    """GET a path; with ``ca`` over TLS. Anything but a status of 200 is a reason."""
    connection: http.client.HTTPConnection
    try:
        if ca is None:
            connection = http.client.HTTPConnection(address, port, timeout=3)
        else:
            context = ssl.create_default_context(cafile=str(ca))
            connection = http.client.HTTPSConnection(address, port, timeout=3, context=context)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(2000).decode(errors="replace").strip()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return f"port {port}: {error}"
    if answer.status == 200:
        return ""
    failed = [line for line in body.splitlines() if line.startswith("[-]")]
    return f"port {port}{path}: HTTP {answer.status}: {'; '.join(failed) or body[:200]}"

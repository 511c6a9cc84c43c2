# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release was made of, for the record of its revision: chart, image and values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cluster.client import JSONObject
from ..common.redaction import redact
from ..registry.revisions import digest


def chart_digest(chart: Path) -> str:
    """Return the SHA-256 over names and contents of a chart's files; hidden files do not count."""
    total = hashlib.sha256()
    for path in sorted(chart.rglob("*")):
        name = path.relative_to(chart)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{content}  {name.as_posix()}\n".encode())
    return f"sha256:{total.hexdigest()}"


def running_image(pods: Sequence[JSONObject]) -> str | None:
    """Return the digest of the image that all pods of a release run; None where they do not say or differ."""
    found = {
        str(status.get("imageID", "")).rpartition("@")[2]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        for status in (pod.get("status", {}).get("containerStatuses") or [])[:1]
    }
    image = found.pop() if len(found) == 1 else ""
    return image if image.startswith("sha256:") else None


def shown_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that Helm was given, as a result may show them, and the SHA-256 of them as they were.

    ``values_redacted`` tells whether secrets were hidden.
    """
    shown = redact(values)
    return {"values": shown, "values_digest": digest(values), "values_redacted": shown != values}

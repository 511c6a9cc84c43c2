# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What awx.awx does not compare or take away by itself. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: The kind of template behind a node, as AWX names it, that waits for somebody who agrees.
_APPROVAL = "workflow_approval"


def surplus_nodes(existing: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the identifiers of a workflow's nodes that have to go.

    Those too that wait for somebody and shall start a job, or the other way round: the module would rename
    the job template behind such a node, and not replace it.
    """
    waits = {node["identifier"]: "approval_node" in node for node in wanted}
    return [
        str(node["identifier"])
        for node in existing
        if waits.get(node["identifier"]) is not (_kind(node) == _APPROVAL)
    ]


def _kind(node: Mapping[str, Any]) -> str:
    behind = (node.get("summary_fields") or {}).get("unified_job_template") or {}
    return str(behind.get("unified_job_type", ""))


def surplus(existing: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of objects that are there and not wanted."""
    names = {item["name"] for item in wanted}
    return sorted({str(item["name"]) for item in existing} - names)

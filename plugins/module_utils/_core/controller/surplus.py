# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What awx.awx does not compare or take away by itself. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .place import Place

#: What teams are given, and on what: arguments of ``awx.awx.role``.
_RIGHTS = ("execute", "approval")
_TEMPLATES = ("job_templates", "workflows")
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


def surplus(
    existing: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]], environments: Iterable[str]
) -> list[str]:
    """Return the names of these environments' templates that are there and not wanted.

    Whatever is named otherwise is another site's, or of an environment that this run says nothing of.
    """
    names = {item["name"] for item in wanted}
    endings = tuple(Place(name).titled("") for name in environments)
    return sorted({name for item in existing if (name := str(item["name"])).endswith(endings)} - names)


def rights(
    existing: Mapping[str, Iterable[Mapping[str, Any]]], wanted: Mapping[str, Iterable[Mapping[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Yield each right on the templates that are wanted, with the teams that shall have it."""
    for kind in _TEMPLATES:
        names = {item["name"] for item in wanted[kind]}
        for template in existing[kind]:
            if template["name"] in names:
                yield from _rights_on(template, kind, [*wanted["roles"]])


def _rights_on(
    template: Mapping[str, Any], kind: str, granted: Iterable[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    there = template["summary_fields"]["object_roles"]
    for right in _RIGHTS:
        if f"{right}_role" in there:
            given = [
                item for item in granted if item["role"] == right and template["name"] in item.get(kind, ())
            ]
            yield {
                "role": right,
                "role_id": there[f"{right}_role"]["id"],
                kind: [str(template["id"])],
                "teams": [team for item in given for team in item["teams"]],
            }

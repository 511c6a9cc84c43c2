# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has set which fields of an object, as the API server keeps the account (``metadata.managedFields``)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from .client import JSONObject

#: What keeps its own account and is nobody's change: status and its like, and the cluster's own controllers.
_CONTROLLERS = ("kube-controller-manager", "kubelet", "kube-scheduler")


def additions(item: JSONObject, own: Collection[str]) -> list[str]:
    """Return what others than ``own`` managers have set below ``spec``, one line each, with their names.

    Fields that a manager of ``own`` has set too are left out: they are no additions.
    """
    entries = item["metadata"].get("managedFields") or []
    ours = {
        path
        for entry in entries
        if entry.get("manager") in own
        for path in _paths(entry.get("fieldsV1") or {})
    }
    lines = []
    for entry in entries:
        manager = str(entry.get("manager", ""))
        if manager in own or manager in _CONTROLLERS or entry.get("subresource") == "status":
            continue
        theirs = [path for path in _paths(entry.get("fieldsV1") or {}) if path.startswith("spec.")]
        added = sorted(set(theirs) - ours)
        if added:
            since = f" since {entry['time']}" if entry.get("time") else ""
            lines.append(f"{', '.join(added)} (set by {manager}{since})")
    return lines


def without_additions(item: JSONObject, own: Collection[str], wanted: JSONObject) -> JSONObject:
    """Return a copy without what others than ``own`` managers have put into the pods' template.

    What ``wanted`` has stays, whoever set it last: it is a value that differs, not an addition.
    """
    copy: JSONObject = json.loads(json.dumps(item))
    for entry in item["metadata"].get("managedFields") or []:
        manager = str(entry.get("manager", ""))
        if manager in own or manager in _CONTROLLERS or entry.get("subresource") == "status":
            continue
        template = entry.get("fieldsV1") or {}
        for key in _TEMPLATE:
            template = template.get(key) or {}
        _drop(copy["spec"]["template"]["spec"], template, wanted["spec"]["template"]["spec"])
    return copy


_TEMPLATE = ("f:spec", "f:template", "f:spec")


def _drop(value: Any, fields: Mapping[str, Any], wanted: Any) -> None:
    """Take the fields out of a value, but for those that are wanted."""
    for key, inner in fields.items():
        if key == ".":
            continue
        place, kept = _place(value, key), _place(wanted, key)
        if place is None:
            continue
        if kept is None:
            del value[place]
        elif any(name != "." for name in inner):
            _drop(value[place], inner, wanted[kept])


def _place(value: Any, key: str) -> Any:
    """Return where a field is in a mapping or a list; None where it is not."""
    kind, _sep, name = key.partition(":")
    if kind == "f" and isinstance(value, dict):
        return name if name in value else None
    if kind in ("k", "v") and isinstance(value, list):
        sought = json.loads(name)
        for index, item in enumerate(value):
            if kind == "v" and item == sought:
                return index
            if kind == "k" and isinstance(item, dict) and sought.items() <= {**_DEFAULTS, **item}.items():
                return index
    return None


#: What the API server fills in before it tells the items of a list apart.
_DEFAULTS = {"protocol": "TCP"}


def _paths(fields: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the leaves of a set of fields, as ``spec.template.spec.containers[vllm].env[A]``."""
    inner = {key: value for key, value in fields.items() if key != "."}
    if path and (not inner or ("." in fields and path.endswith("]"))):
        yield path
        return
    for key, value in inner.items():
        yield from _paths(value, _join(path, key))


def _join(path: str, key: str) -> str:
    kind, name = key.split(":", 1) if ":" in key else (key, "")
    if kind == "f":
        return f"{path}.{name}" if path else name
    if kind == "k":
        # {"name":"A"}: an item of a list, by what tells it apart.
        with suppress(ValueError, AttributeError):
            name = ",".join(str(value) for value in json.loads(name).values())
    return f"{path}[{name}]"

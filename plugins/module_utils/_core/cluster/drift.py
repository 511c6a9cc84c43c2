# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drift: where the cluster differs from what was installed there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.errors import PlatformError
from ..common.quantity import parse_quantity
from ..common.redaction import redact, redact_text
from .client import ClusterClient, JSONObject
from .manifests import object_path

# What tells the items of a list apart, the most telling first: one volume may be mounted twice.
_IDENTITY_KEYS = ("mountPath", "name", "key", "type", "ip")


# Where a value may be anything, a secret among it, whatever it is called: told by its place only.
_FREE_TEXT = re.compile(r"(^|\.)(args|command|env|data|binaryData|annotations)(\[|\.|$)")


@dataclass(frozen=True)
class Difference:
    """A field that is not as wanted. ``wanted`` is None where nothing is."""

    field: str  #: such as ``spec.template.spec.containers[vllm].image``
    found: Any
    wanted: Any

    def __str__(self) -> str:
        wanted = "nothing" if self.wanted is None else repr(self.wanted)
        return f"{self.field} is {self.found!r} instead of {wanted}"


@dataclass(frozen=True)
class Drift:
    """A change on the cluster: an object that is missing, or a field of one that differs."""

    target: str  #: ``Kind/name``
    field: str = ""  #: empty where the object is missing
    shown: str = ""  #: what is there instead of what; empty where it is a secret

    @property
    def place(self) -> str:
        """Return what differs, without what is there: a value may be a secret."""
        return f"{self.target}: {self.field} differs" if self.field else f"{self.target}: is missing"

    def __str__(self) -> str:
        return f"{self.target}: {self.shown}" if self.shown else self.place


def find_drift(client: ClusterClient, objects: list[JSONObject], namespace: str) -> list[Drift]:
    """Return what differs on the cluster from what was installed, a field each, empty if nothing does.

    Only what the manifest says is compared: defaults and fields of other managers are not drift.
    """
    found: list[Drift] = []
    for item in objects:
        path = object_path(item, namespace)
        if path is None:
            continue
        live = client.find(path)
        name = f"{item['kind']}/{item['metadata']['name']}"
        found.extend([Drift(name)] if live is None else _fields(name, item, live))
    return found


def _fields(name: str, wanted: JSONObject, live: JSONObject) -> Iterator[Drift]:
    """Yield the differences as they may be shown: what is a secret differs, and is not told."""
    found = list(differences(wanted, live))
    if not found:
        return
    shown = {item.field: redact_text(str(item)) for item in differences(redact(wanted), redact(live))}
    for item in found:
        free_text = _FREE_TEXT.search(item.field) is not None
        yield Drift(name, redact_text(item.field), "" if free_text else shown.get(item.field, ""))


def differences(wanted: Any, live: Any, path: str = "") -> Iterator[Difference]:
    """Yield the fields of ``wanted`` that ``live`` lacks or holds with another value."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            live = {}
        for key, item in wanted.items():
            yield from differences(item, live.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(wanted, list):
        yield from _list_differences(wanted, live if isinstance(live, list) else [], path)
    elif not _same(wanted, live):
        yield Difference(path, live, wanted)


def _list_differences(wanted: list[Any], live: list[Any], path: str) -> Iterator[Difference]:
    key = _identity_key(wanted)
    if key is not None:
        # Others may add items of their own here, such as a variable. An upgrade keeps them: no drift.
        by_key = {str(item.get(key)): item for item in live if isinstance(item, Mapping)}
        for item in wanted:
            yield from differences(item, by_key.get(str(item[key])), f"{path}[{item[key]}]")
        return
    for index, item in enumerate(wanted):
        yield from differences(item, live[index] if index < len(live) else None, f"{path}[{index}]")
    for index in range(len(wanted), len(live)):
        yield Difference(f"{path}[{index}]", live[index], None)


def _identity_key(items: list[Any]) -> str | None:
    """Return the key by which all items of a list can be told apart, if there is one."""
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for key in _IDENTITY_KEYS:
        if len({str(item[key]) for item in items if key in item}) == len(items):
            return key
    return None


def _same(wanted: Any, live: Any) -> bool:
    if wanted is None or (live is None and wanted in ("", False, 0)):
        return True
    if isinstance(wanted, bool) or isinstance(live, bool):
        return wanted is live
    if wanted == live:
        return True
    if isinstance(wanted, (str, int, float)) and isinstance(live, (str, int, float)):
        try:
            return parse_quantity(str(wanted)) == parse_quantity(str(live))
        except PlatformError:
            return False
    return False

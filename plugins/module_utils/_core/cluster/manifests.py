# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rendered manifests as data: read them, find them on the cluster, and see where the cluster differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..common.errors import ErrorClass, PlatformError, missing_library
from ..common.quantity import parse_quantity
from ..common.redaction import redact, redact_text
from .client import ClusterClient, JSONObject, segment

try:
    import yaml

    LIBRARY_ERROR: ImportError | None = None
except ImportError as error:
    LIBRARY_ERROR = error

# Plural names of the kinds that charts for model servers render. A kind that is not listed is left to Helm.
_PLURALS = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "Ingress": "ingresses",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PrometheusRule": "prometheusrules",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "ServiceMonitor": "servicemonitors",
}
# What tells the items of a list apart, the most telling first: one volume may be mounted twice.
_IDENTITY_KEYS = ("mountPath", "name", "key", "type", "ip")


def parse_manifest(manifest: str) -> list[JSONObject]:
    """Return the objects of a multi-document manifest; raises ``invalid`` where it is no YAML."""
    if LIBRARY_ERROR is not None:
        raise missing_library("PyYAML", LIBRARY_ERROR)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        objects = [item for item in yaml.load_all(manifest, loader) if item]
    except yaml.YAMLError as error:
        raise _no_manifest(str(error)) from error
    if not all(isinstance(item, dict) for item in objects):
        raise _no_manifest(f"it holds {next(item for item in objects if not isinstance(item, dict))!r:.80}")
    return objects


def _no_manifest(why: str) -> PlatformError:
    return PlatformError(
        ErrorClass.INVALID, f"Not a YAML manifest: {why}.", "Correct the chart, then run again."
    )


def dump_manifest(objects: list[JSONObject]) -> str:
    """Return objects as one multi-document manifest with sorted keys."""
    return str(yaml.safe_dump_all(objects, explicit_start=True, sort_keys=True)) if objects else ""


def digest_objects(objects: list[JSONObject]) -> str:
    """Return the SHA-256 of objects as ``sha256:<hex>``.

    Comments, order and layout do not count: Helm 3 and 4 write the same objects differently.
    """
    ordered = sorted(objects, key=lambda item: (item["apiVersion"], item["kind"], item["metadata"]["name"]))
    canonical = json.dumps(ordered, sort_keys=True, separators=(",", ":"), default=str)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def find_object(objects: list[JSONObject], kind: str) -> JSONObject | None:
    """Return the first object of a kind."""
    return next((item for item in objects if item.get("kind") == kind), None)


def object_path(item: JSONObject, namespace: str) -> str | None:
    """Return the API path of a namespaced object, or ``None`` for a kind that is not known here."""
    plural = _PLURALS.get(item["kind"])
    if plural is None:
        return None
    version = item["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{segment(namespace)}/{plural}/{segment(item['metadata']['name'])}"


def find_drift(client: ClusterClient, objects: list[JSONObject], namespace: str) -> list[str]:
    """Return what differs on the cluster from what was installed, one line a field, empty if nothing does.

    Only what the manifest says is compared: defaults and fields of other managers are not drift.
    """
    lines: list[str] = []
    for item in objects:
        path = object_path(item, namespace)
        if path is None:
            continue
        live = client.find(path)
        name = f"{item['kind']}/{item['metadata']['name']}"
        if live is None:
            lines.append(f"{name}: is missing")
        else:
            lines.extend(f"{name}: {line}" for line in _shown_differences(item, live))
    return lines


def _shown_differences(wanted: JSONObject, live: JSONObject) -> Iterator[str]:
    """Yield the differences as they may be shown: what is a secret differs, and is not told."""
    found = list(differences(wanted, live))
    if not found:
        return
    shown = {_place(line): redact_text(line) for line in differences(redact(wanted), redact(live))}
    for line in found:
        yield shown.get(_place(line), f"{_place(line)} differs")


def _place(line: str) -> str:
    return line.partition(" is ")[0]


def differences(wanted: Any, live: Any, path: str = "") -> Iterator[str]:
    """Yield the fields of ``wanted`` that ``live`` lacks or holds with another value."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            live = {}
        for key, item in wanted.items():
            yield from differences(item, live.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(wanted, list):
        yield from _list_differences(wanted, live if isinstance(live, list) else [], path)
    elif not _same(wanted, live):
        yield f"{path} is {live!r} instead of {wanted!r}"


def _list_differences(wanted: list[Any], live: list[Any], path: str) -> Iterator[str]:
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
        yield f"{path}[{index}] is {live[index]!r} instead of nothing"


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

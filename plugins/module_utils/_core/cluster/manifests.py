# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rendered manifests as data: read and write them, tell them apart, and find them on the cluster."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from typing import Any

from ..common.errors import ErrorClass, PlatformError, missing_library
from .client import JSONObject, segment

try:
    import yaml

    LIBRARY_ERROR: ImportError | None = None
except ImportError as error:
    LIBRARY_ERROR = error

# What PyYAML raises for a value that does not fit its tag, or deep nesting.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
# Plural names of the kinds that charts for model servers render. A kind that is not listed is left to Helm.
_PLURALS = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "HTTPRoute": "httproutes",
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


def parse_manifest(manifest: str) -> list[JSONObject]:
    """Return the objects of a multi-document manifest; raises ``invalid`` where it is no YAML."""
    if LIBRARY_ERROR is not None:
        raise missing_library("PyYAML", LIBRARY_ERROR)
    try:
        objects = [item for item in yaml.load_all(manifest, _loader()) if item]
    except (yaml.YAMLError, *_UNREADABLE) as error:
        raise _no_manifest(str(error)) from error
    if not all(isinstance(item, dict) for item in objects):
        raise _no_manifest(f"it holds {next(item for item in objects if not isinstance(item, dict))!r:.80}")
    return objects


def parse_foreign_manifest(manifest: str) -> list[JSONObject]:
    """Return the objects of a manifest that anybody may have written; raises ``invalid`` for aliases, too.

    A few lines with aliases can stand for more than any memory holds, or for themselves.
    """
    if LIBRARY_ERROR is not None:
        raise missing_library("PyYAML", LIBRARY_ERROR)
    try:
        has_aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(manifest, _loader()))
    except (yaml.YAMLError, *_UNREADABLE) as error:
        raise _no_manifest(str(error)) from error
    if has_aliases:
        raise _no_manifest("it has aliases")
    return parse_manifest(manifest)


@cache
def _loader() -> Any:
    """Return a reader that takes for text what Kubernetes does: dates, ``=``, ``<<`` where it is no key."""
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("ManifestLoader", (base,), {})
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _ONLY_PYTHONS]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    loader.add_constructor("tag:yaml.org,2002:merge", base.construct_yaml_str)
    return loader


_ONLY_PYTHONS = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")


def _no_manifest(why: str) -> PlatformError:
    return PlatformError(
        ErrorClass.INVALID, f"Not a YAML manifest: {why}.", "Correct the chart, then run again."
    )


def dump_manifest(objects: list[JSONObject]) -> str:
    """Return objects as one multi-document manifest with sorted keys."""
    return str(yaml.safe_dump_all(objects, explicit_start=True, sort_keys=True)) if objects else ""


def dump_json(value: Any) -> str:
    """Return data as JSON that every reader of YAML understands alike.

    YAML knows no surrogate pairs, so characters outside the BMP stay as they are; those that YAML refuses are
    escaped.
    """
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def digest_objects(objects: list[JSONObject]) -> str:
    """Return the SHA-256 of objects as ``sha256:<hex>``.

    Comments, order and layout do not count: Helm 3 and 4 write the same objects differently.
    """
    ordered = sorted(objects, key=lambda item: (item["apiVersion"], item["kind"], item["metadata"]["name"]))
    canonical = json.dumps(ordered, sort_keys=True, separators=(",", ":"), default=str)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def find_object(objects: list[JSONObject], kind: str, name: str | None = None) -> JSONObject | None:
    """Return the first object of a kind, with this name where one is given."""
    found = (item for item in objects if item.get("kind") == kind)
    return next((item for item in found if name is None or item["metadata"]["name"] == name), None)


def object_path(item: JSONObject, namespace: str) -> str | None:
    """Return the API path of a namespaced object, or ``None`` for a kind that is not known here."""
    plural = _PLURALS.get(item["kind"])
    if plural is None:
        return None
    version = item["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{segment(namespace)}/{plural}/{segment(item['metadata']['name'])}"

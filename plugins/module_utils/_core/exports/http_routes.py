# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes of the Gateway API for registry entries. No I/O.

A Gateway looks at headers and paths, not into bodies. So the client, or something before the Gateway, puts
the model's name into a header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..common.names import release_name

MODEL_HEADER = "x-llmops-model"
#: The paths that the collection's router passes on; no others reach an engine.
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
_DEFAULT_PORT = {"http": 80}
_ANNOTATION = "llmops.platform/model"


def routes(
    entries: Iterable[Mapping[str, Any]],
    namespace: str,
    parents: Sequence[Mapping[str, Any]],
    *,
    header: str = MODEL_HEADER,
    hostnames: Sequence[str] = (),
    timeout: str = "600s",
) -> list[dict[str, Any]]:
    """Return an HTTPRoute for each ready entry whose server is a Service of the namespace."""
    return [
        _route(entry, namespace, service, parents, header, hostnames, timeout)
        for entry in entries
        if entry["status"] == "ready" and (service := backend(entry["endpoint"], namespace))
    ]


def left_out(entries: Iterable[Mapping[str, Any]], namespace: str) -> list[str]:
    """Return the names of ready models that a route in this namespace cannot lead to."""
    return [
        str(entry["model"])
        for entry in entries
        if entry["status"] == "ready" and backend(entry["endpoint"], namespace) is None
    ]


def backend(endpoint: str | None, namespace: str) -> tuple[str, int] | None:
    """Return Service and port of an endpoint; None where it is no plain Service of the namespace."""
    try:
        parts = urlsplit(endpoint or "")
        port = parts.port or _DEFAULT_PORT.get(parts.scheme)
    except ValueError:
        return None
    labels = (parts.hostname or "").split(".")
    if port is None or parts.path.strip("/") or len(labels) < 3 or labels[1:3] != [namespace, "svc"]:
        return None
    return labels[0], port


def _route(
    entry: Mapping[str, Any],
    namespace: str,
    service: tuple[str, int],
    parents: Sequence[Mapping[str, Any]],
    header: str,
    hostnames: Sequence[str],
    timeout: str,
) -> dict[str, Any]:
    model, environment = str(entry["model"]), str(entry["environment"])
    named = [{"type": "Exact", "name": header, "value": model}]
    matches = [
        {"path": {"type": "Exact", "value": path}, "method": "POST", "headers": named} for path in PATHS
    ]
    spec: dict[str, Any] = {
        "parentRefs": [dict(parent) for parent in parents],
        "rules": [
            {
                "matches": matches,
                "backendRefs": [{"name": service[0], "port": service[1]}],
                # An answer takes as long as its tokens; a Gateway's own limit is often 15 seconds.
                "timeouts": {"request": timeout},
            }
        ],
    }
    if hostnames:
        spec["hostnames"] = list(hostnames)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": release_name(model, environment),
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/part-of": "llmops-platform",
                "llmops.platform/environment": environment,
            },
            "annotations": {_ANNOTATION: model},
        },
        "spec": spec,
    }

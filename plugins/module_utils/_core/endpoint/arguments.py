# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arguments of a verification: checked before anybody is asked, and what they name on the cluster."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ..cluster.access import (
    Route,
    ServicePort,
    choose_route,
    route_by_dns,
    route_by_port_forward,
    route_by_proxy,
)
from ..cluster.client import ClusterClient, segment
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.names import check_model, check_namespace, check_release_name

#: What is taken for arguments that a deployment does not give.
DEFAULTS: dict[str, Any] = {
    "url": None,
    "port": 8000,
    "root": None,
    "endpoint_api_key": None,
    "api": "chat",
    "prompt": "Say hello.",
    "health_path": "/health",
    "stream": True,
    "max_tokens": 16,
    "max_first_token_s": None,
    "warmup_s": 30.0,
    "successes": 1,
}


def named_secret(given: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the reference to a Secret with its default key, or None where no Secret is named."""
    name, key = (given or {}).get("name"), (given or {}).get("key")
    if name:
        return {"name": name, "key": key or "api-key"}
    if key:
        advice = "Name the Secret, or leave its key out too."
        raise invalid("api_key_secret.name", name, "is missing", advice)
    return None


def check_planned(
    client: ClusterClient, given: Mapping[str, Any], *, model: str, service: str, namespace: str
) -> dict[str, Any]:
    """Check a verification that comes after a change, and its Secret, before anything is changed.

    Returns all its arguments.

    ``given`` has ``access``, ``api_key_secret`` (none without a name), ``max_latency_s`` and ``timeout``.
    Raises what the verification itself would: ``invalid``, or ``auth`` where the Secret may not be read.
    """
    arguments: dict[str, Any] = {
        **DEFAULTS,
        **given,
        "model": model,
        "service": service,
        "namespace": namespace,
    }
    try:
        arguments["api_key_secret"] = named_secret(given["api_key_secret"])
        check_arguments(arguments)
        read_api_key(client, arguments)
    except PlatformError as error:
        if error.error_class is not ErrorClass.INVALID:
            raise
        # The field as whoever asked for the change knows it.
        raise PlatformError(
            ErrorClass.INVALID, f"verification.{error.message}", error.resolution, error.details
        ) from error
    return arguments


def find_route(client: ClusterClient | None, params: Mapping[str, Any]) -> Route:
    """Return the way to the Service, as ``access`` says."""
    access, service, namespace, port = (params[name] for name in ("access", "service", "namespace", "port"))
    if access == "dns" or client is None:
        return route_by_dns(service, namespace, port)
    target = ServicePort.find(client, service, namespace, port)
    if access == "proxy":
        return route_by_proxy(client, target)
    if access == "port_forward":
        return route_by_port_forward(client, target)
    return choose_route(client, target)


def check_arguments(params: Mapping[str, Any]) -> None:
    """Raise ``invalid`` for an argument that no verification can be made with."""
    check_model(params["model"])
    if params["access"] == "url" and not params["url"]:
        raise invalid("url", params["url"], "is missing", "Give the URL, or another access than url.")
    if params["url"]:
        if params["access"] not in ("auto", "url"):
            raise invalid("access", params["access"], "does not go with a url", "Leave one of them out.")
    else:
        _check_service(params)
    _check_numbers(params)
    path = params["health_path"]
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise invalid("health_path", path, "is not a path", "Give a path such as /health.")
    if params["max_first_token_s"] is not None and not params["stream"]:
        raise invalid("max_first_token_s", params["max_first_token_s"], "needs a stream", "Set stream: true.")


def _check_service(params: Mapping[str, Any]) -> None:
    for name in ("service", "namespace"):
        if not params[name]:
            raise invalid(name, params[name], "is missing", "Give service and namespace, or url.")
    check_release_name(params["service"], "service")
    check_namespace(params["namespace"])
    if params["access"] == "proxy" and (params["api_key_secret"] or params["endpoint_api_key"]):
        raise invalid("access", "proxy", "cannot carry an API key", "Use access: port_forward, dns, or auto.")


def _check_numbers(params: Mapping[str, Any]) -> None:
    for name, low, high in (
        ("port", 1, 65535),
        ("max_tokens", 1, 4096),
        ("successes", 1, 1000),
        ("max_latency_s", 0.001, 3600),
        ("max_first_token_s", 0.001, 3600),
        ("warmup_s", 0, 3600),
        ("timeout", 0.1, 86400),
    ):
        value = params[name]
        # Written so that NaN is refused as well.
        if value is not None and not low <= value <= high:
            raise invalid(name, value, f"is not between {low} and {high}", "Give a number in this range.")


def read_api_key(client: ClusterClient | None, params: Mapping[str, Any]) -> str:
    """Return the server's API key from its Secret or as it was given; empty if there is none."""
    reference = params["api_key_secret"]
    if params["endpoint_api_key"]:
        return _usable("endpoint_api_key", params["endpoint_api_key"])
    if not reference or client is None:
        return ""
    if not params["namespace"]:
        raise invalid("namespace", None, "is missing", "Give the namespace of that Secret.")
    name, key, namespace = reference["name"], reference["key"], params["namespace"]
    secret = client.find(f"/api/v1/namespaces/{segment(namespace)}/secrets/{segment(name)}")
    if secret is None:
        raise invalid(
            "api_key_secret",
            name,
            f"is not a Secret in namespace {namespace!r}",
            "Create it, or check the name.",
        )
    data = secret.get("data") or {}
    if key not in data:
        raise invalid("api_key_secret", key, f"is not a key of Secret {name!r}", f"It has {sorted(data)}.")
    try:
        return _usable("api_key_secret", base64.b64decode(data[key]).decode().strip())
    except (binascii.Error, UnicodeDecodeError):
        return _usable("api_key_secret", "")


def _usable(field: str, key: str) -> str:
    """Return the key if it can be sent in a header; the error never shows it."""
    if key and key.isascii() and key.isprintable():
        return key
    raise invalid(field, "(hidden)", "holds no usable API key", "A key is printable ASCII text in one line.")

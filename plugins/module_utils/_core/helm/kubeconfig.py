# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy for helm. It has no option for one, and a proxy of the environment would be that of everything.

So a kubeconfig goes before those that there are, with the one cluster and the proxy on the way to it. Users
stay where they are: no credential is copied.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..cluster.client import Authentication
from ..cluster.kubeconfig import find_cluster, named_files
from ..cluster.proxy import proxy_for
from ..common.errors import ErrorClass, PlatformError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

_NAME = "llmops"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@contextmanager
def environment_with_proxy(
    environment: Mapping[str, str], authentication: Authentication
) -> Iterator[Mapping[str, str]]:
    """Give the environment in which helm takes the way that the options say, as long as the block lasts.

    Without such an option helm does what the client does: it reads the same kubeconfig and environment.
    """
    if not authentication.proxy and not authentication.no_proxy:
        yield environment
        return
    document, others = _addressed(authentication)
    cluster = document["clusters"][0]["cluster"]
    server = authentication.host or str(cluster.get("server") or "")
    proxy = proxy_for(server, authentication.proxy, authentication.no_proxy, cluster.pop("proxy-url", None))
    changed = dict(environment)
    if proxy:
        cluster["proxy-url"] = proxy
    else:
        # What is in neither kubeconfig would be taken from the environment.
        for name in ("NO_PROXY", "no_proxy"):
            changed[name] = "*"
    with _readable_file(json.dumps({"apiVersion": "v1", "kind": "Config", **document})) as path:
        changed["KUBECONFIG"] = os.pathsep.join([path, *others])
        yield changed


@contextmanager
def _readable_file(content: str) -> Iterator[str]:
    """Give the path of a file that a child can read. On Linux it is gone with us, even if we are killed.

    The URL of a proxy may hold a password.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("llmops-kubeconfig", os.MFD_CLOEXEC)
        file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8")
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
    else:
        file = tempfile.NamedTemporaryFile("w", prefix="llmops-kubeconfig-", encoding="utf-8")  # noqa: SIM115
        path = file.name
    try:
        file.write(content)
        file.flush()
        yield path
    finally:
        file.close()


def _addressed(given: Authentication) -> tuple[dict[str, Any], list[str]]:
    """Return a kubeconfig's content with the cluster as its only one, and the files that come after it."""
    if given.host and not given.kubeconfig:
        return _alone({"server": given.host}, {}), []
    named = given.kubeconfig or os.environ.get("KUBECONFIG")
    paths = named_files(given.kubeconfig)
    there = [path for path in paths if Path(path).exists()]
    if not named and not there and os.environ.get("KUBERNETES_SERVICE_HOST"):
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        address = f"[{host}]" if ":" in host else host
        cluster = {"server": f"https://{address}:{port}", "certificate-authority": str(_ACCOUNT / "ca.crt")}
        return _alone(cluster, {"tokenFile": str(_ACCOUNT / "token")}), []
    try:
        name, cluster = find_cluster(there, given.context)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
        raise PlatformError(
            ErrorClass.INVALID,
            f"kubeconfig: {named or paths[0]!r} names no cluster that a proxy could be put before.",
            "Give a kubeconfig (argument kubeconfig, K8S_AUTH_KUBECONFIG or KUBECONFIG) and a context of it.",
            {"field": "kubeconfig"},
        ) from error
    return {"clusters": [{"name": name, "cluster": cluster}]}, paths


def _alone(cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "current-context": _NAME,
    }

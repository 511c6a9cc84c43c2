# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that the lab keeps in its cluster, applied on the server side and only where they differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..cluster.client import Authentication, ClusterClient
from ..common.deadline import Deadline
from ..common.errors import missing_library
from .settings import DNS_SERVICE_ADDRESS, Settings
from .steps import Progress, Step, wait_for

try:
    import yaml

    LIBRARY_ERROR: ImportError | None = None
except ImportError as error:
    LIBRARY_ERROR = error

FIELD_MANAGER = "llmops-lab"
HASH_ANNOTATION = "llmops.platform/lab-hash"
JSONObject = dict[str, Any]

_PATHS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Service": "/api/v1/namespaces/kube-system/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices",
    "Node": "/api/v1/nodes",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


class LabClient:
    """Opens the connection when it is first used: the kubeconfig may not exist before."""

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        self._authentication = Authentication(kubeconfig=str(kubeconfig), context=context)
        self._client: ClusterClient | None = None

    def __call__(self) -> ClusterClient:
        """Return the connected client."""
        if self._client is None:
            self._client = ClusterClient(self._authentication)
        return self._client


def with_hash(manifest: JSONObject) -> JSONObject:
    """Return the object with an annotation that identifies this very version of it."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), HASH_ANNOTATION: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def path_of(manifest: JSONObject) -> str:
    """Return the object's path in the API."""
    return f"{_PATHS[manifest['kind']]}/{manifest['metadata']['name']}"


def apply(client: ClusterClient, manifest: JSONObject, subresource: str = "") -> None:
    """Apply one object on the server side; the lab owns its fields."""
    client.apply(path_of(manifest) + subresource, manifest, FIELD_MANAGER, force=True)


class ObjectsStep(Step):
    """Custom resource definitions, the cluster's DNS Service and the rights of the lab's own programs."""

    needs_api = True

    def __init__(self, name: str, client: LabClient, manifests: Callable[[], Iterable[JSONObject]]) -> None:
        self.name = name
        self._client = client
        self._manifests = manifests

    def pending(self) -> str:
        """Name the objects that are missing or differ."""
        names = [manifest["metadata"]["name"] for manifest in self._different()]
        return f"missing or different: {', '.join(names)}" if names else ""

    def apply(self, progress: Progress, deadline: Deadline) -> None:
        """Apply them, and wait until custom resources can be used."""
        client = self._client()
        different = self._different()
        for manifest in different:
            apply(client, manifest)
        for manifest in different:
            if manifest["kind"] == "CustomResourceDefinition":
                wait_for(
                    manifest["metadata"]["name"],
                    lambda manifest=manifest: established(client.get(path_of(manifest))),  # type: ignore[misc]
                    deadline.share(60),
                    progress,
                )

    def _different(self) -> list[JSONObject]:
        client = self._client()
        return [
            wanted
            for wanted in map(with_hash, self._manifests())
            if hash_of(client.find(path_of(wanted))) != hash_of(wanted)
        ]


def definitions(files: Iterable[Path]) -> Iterable[JSONObject]:
    """Yield custom resource definitions from YAML files."""
    if LIBRARY_ERROR is not None:
        raise missing_library("PyYAML", LIBRARY_ERROR)
    for file in files:
        # The C parser where it is there: these files have twenty thousand lines.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        yield yaml.load(file.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both are safe


def dns_objects(settings: Settings, address: str) -> Iterable[JSONObject]:
    """Yield the DNS Service and where it leads: CoreDNS runs on the machine, outside of any pod."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": settings.ports.dns},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": settings.ports.dns},
    ]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"},
        },
        "spec": {"clusterIP": DNS_SERVICE_ADDRESS, "clusterIPs": [DNS_SERVICE_ADDRESS], "ports": ports},
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns-lab",
            "namespace": "kube-system",
            "labels": {
                "kubernetes.io/service-name": "kube-dns",
                "endpointslice.kubernetes.io/managed-by": FIELD_MANAGER,
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [
            {"name": port["name"], "port": settings.ports.dns, "protocol": port["protocol"]} for port in ports
        ],
    }


def hash_of(found: JSONObject | None) -> str | None:
    """Return which version of it the lab applied; ``None`` for a missing or foreign object."""
    value = (found or {}).get("metadata", {}).get("annotations", {}).get(HASH_ANNOTATION)
    return None if value is None else str(value)


def established(definition: JSONObject) -> str:
    """Say why a custom resource's definition cannot be used yet, or return an empty string."""
    # Of a definition that is a moment old they are null.
    conditions = definition.get("status", {}).get("conditions") or []
    done = any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
    return "" if done else "it is not established yet"

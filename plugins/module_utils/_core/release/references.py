# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pods need that a release does not bring: Secrets, ConfigMaps, claims, an account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..cluster.client import APIError, JSONObject, segment

_PLURALS = {
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "ServiceAccount": "serviceaccounts",
}


@dataclass(frozen=True)
class Reference:
    """An object, or a key of one, that a pod cannot start without."""

    kind: str
    name: str
    key: str | None = None


def references(template: JSONObject) -> Iterator[Reference]:
    """Yield what a pod template cannot do without."""
    spec = template["spec"]
    if spec.get("serviceAccountName"):
        yield Reference("ServiceAccount", spec["serviceAccountName"])
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            yield from _named("Secret", source.get("secretKeyRef"), "name")
            yield from _named("ConfigMap", source.get("configMapKeyRef"), "name")
        for source in container.get("envFrom") or ():
            yield from _named("Secret", source.get("secretRef"), "name")
            yield from _named("ConfigMap", source.get("configMapRef"), "name")
    for volume in spec.get("volumes") or ():
        yield from _named("Secret", volume.get("secret"), "secretName")
        yield from _named("PersistentVolumeClaim", volume.get("persistentVolumeClaim"), "claimName")
        yield from _named("Secret", (volume.get("csi") or {}).get("nodePublishSecretRef"), "name")
        for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
            yield from _named("ConfigMap", source.get("configMap"), "name")
            if source is not volume:
                yield from _named("Secret", source.get("secret"), "name")


def pull_secrets(template: JSONObject) -> Iterator[Reference]:
    """Yield the Secrets for pulling images, which pods start without where the image is there or public."""
    for secret in template["spec"].get("imagePullSecrets") or ():
        yield Reference("Secret", secret["name"])


def _named(kind: str, source: Mapping[str, Any] | None, name: str) -> Iterator[Reference]:
    if not source or source.get("optional") or not source.get(name):
        return
    keys = [source["key"]] if source.get("key") else [item["key"] for item in source.get("items") or ()]
    for key in keys or [None]:
        yield Reference(kind, source[name], key)


class Finder(Protocol):
    """Reads objects, as ``ClusterClient`` does."""

    def find(self, path: str) -> JSONObject | None:
        """Read one object; ``None`` if it does not exist."""


def missing(
    client: Finder,
    objects: list[JSONObject],
    namespace: str,
    needed: Callable[[JSONObject], Iterator[Reference]] = references,
) -> list[str]:
    """Return what the pods of Deployments need and is not there, each in words for people.

    What the objects bring themselves is not looked for. What may not be read is not known to be missing.
    """
    brought = {(item["kind"], item["metadata"]["name"]) for item in objects}
    wanted = {
        reference
        for item in objects
        if item["kind"] == "Deployment"
        for reference in needed(item["spec"]["template"])
        if (reference.kind, reference.name) not in brought
    }
    found: dict[tuple[str, str], JSONObject | None] = {}
    lines = set()
    for reference in wanted:
        place = (reference.kind, reference.name)
        try:
            if place not in found:
                path = f"/api/v1/namespaces/{segment(namespace)}/{_PLURALS[reference.kind]}/"
                found[place] = client.find(f"{path}{segment(reference.name)}")
        except APIError as error:
            if error.status != 403:
                raise
            continue
        there = found[place]
        if there is None:
            lines.add(f"{reference.kind} {reference.name} is missing")
        elif reference.key is not None and not _has(there, reference.key):
            lines.add(f"{reference.kind} {reference.name} has no key {reference.key}")
    return sorted(lines)


def _has(item: JSONObject, key: str) -> bool:
    return any(key in (item.get(part) or {}) for part in ("data", "stringData", "binaryData"))

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where devices come from (device plugin or dynamic resource allocation) and whether they are whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..cluster.client import ClusterClient
from ..cluster.reading import list_or_unknown, read_or_unknown
from .scheduling import Misfit, Node, PodShape, unknown

_SHARED_PRODUCT = re.compile(r"-SHARED$")
_DRA = "/apis/resource.k8s.io/v1"
DEFAULT_SCHEDULER = "default-scheduler"
#: A container may ask for devices of a DeviceClass under this name, without a claim.
_IMPLICIT_RESOURCE = "deviceclass.resource.kubernetes.io/"
_OTHER_DEVICES = "or ask for devices of a device plugin (such as nvidia.com/gpu)"


def sharing(node: Node) -> str | None:
    """Return how the node shares one GPU among pods (time-slicing, MPS), ``None`` if it does not."""
    labels = node.labels
    strategy = labels.get("nvidia.com/gpu.sharing-strategy", "none")
    if strategy not in ("none", ""):
        return strategy
    replicas = labels.get("nvidia.com/gpu.replicas", "1")
    if replicas.isdigit() and int(replicas) > 1:
        return f"{replicas} replicas a GPU"
    if _SHARED_PRODUCT.search(labels.get("nvidia.com/gpu.product", "")):
        return "shared product"
    return None


def whole_device_misfit(shape: PodShape, node: Node) -> Misfit | None:
    """Return why the node's GPUs are no whole ones: several "GPUs" of it may be one card."""
    resource = shape.device_resource() or ""
    product = node.labels.get("nvidia.com/gpu.product", "")
    if resource.startswith("nvidia.com/mig-") or (resource == "nvidia.com/gpu" and "-MIG-" in product):
        has = resource if resource != "nvidia.com/gpu" else product
        reason = f"offers MIG slices ({has}), of which one process can use only one"
        return Misfit("shared_gpu", reason, False, resource=resource, has=has, needs="whole GPUs")
    if not resource.startswith("nvidia.com/gpu"):
        return None
    how = sharing(node)
    if how is None and not resource.endswith(".shared"):
        return None
    reason = f"shares its GPUs ({how or resource}), so that several of them may be one card"
    return Misfit("shared_gpu", reason, False, resource=resource, has=how or resource, needs="whole GPUs")


def check_countable(shape: PodShape) -> None:
    """Refuse shapes that this check cannot judge: "unknown" must look like neither "fits" nor "no room"."""
    if shape.resource_claims:
        names = ", ".join(shape.resource_claims)
        raise unknown(f"the pod asks for devices through resource claims ({names})", _OTHER_DEVICES)
    if mapped := [name for name in shape.needs() if name.startswith(_IMPLICIT_RESOURCE)]:
        raise unknown(f"{mapped[0]} is served by dynamic resource allocation", _OTHER_DEVICES)
    spec = shape.template.get("spec") or {}
    if gates := [str(gate.get("name")) for gate in spec.get("schedulingGates") or ()]:
        raise unknown(f"no pod is placed before its scheduling gates are gone ({', '.join(gates)})")
    if (scheduler := spec.get("schedulerName") or DEFAULT_SCHEDULER) != DEFAULT_SCHEDULER:
        raise unknown(f"scheduler {scheduler} places the pods, by rules of its own")


def device_source(client: ClusterClient, resource: str | None, nodes: Iterable[Node]) -> dict[str, Any]:
    """Say which API the number of devices was read from.

    Raise an error where only dynamic resource allocation serves the resource: allocatable says nothing then.
    """
    if resource is None:
        return {"resource": None, "source": "none", "detail": "the pod asks for no devices"}
    listed = sum(1 for node in nodes if node.capacity.get(resource) or node.allocatable.get(resource))
    if listed:
        detail = f"status.allocatable of {listed} nodes lists {resource}"
        return {"resource": resource, "source": "device-plugin", "detail": detail}
    if read_or_unknown(client, _DRA, "deviceclasses", what="the API group resource.k8s.io") is None:
        return _nothing(resource, "the cluster has no dynamic resource allocation API")
    classes = list_or_unknown(client, f"{_DRA}/deviceclasses", "deviceclasses", what="the DeviceClasses")
    mapped = [item for item in classes if item["spec"].get("extendedResourceName") == resource]
    if mapped:
        name = mapped[0]["metadata"]["name"]
        text = f"{resource} is served by dynamic resource allocation (DeviceClass {name})"
        raise unknown(text, _OTHER_DEVICES)
    slices = list_or_unknown(client, f"{_DRA}/resourceslices", "resourceslices", what="the ResourceSlices")
    devices: dict[str, int] = {}
    for item in slices:
        spec = item["spec"]
        devices[spec["driver"]] = devices.get(spec["driver"], 0) + len(spec.get("devices") or ())
    if not devices:
        return _nothing(resource, "no ResourceSlice publishes devices either")
    shown = ", ".join(f"{count} of {driver}" for driver, count in sorted(devices.items()))
    detail = f"ResourceSlices publish {shown}: such devices are asked for with resource claims"
    return {"resource": resource, "source": "dra", "detail": detail}


def _nothing(resource: str, rest: str) -> dict[str, Any]:
    return {"resource": resource, "source": "none", "detail": f"no node lists {resource}, and {rest}"}

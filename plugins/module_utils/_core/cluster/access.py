# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to reach a Service of the cluster from where we run: its DNS name, the API server, a port-forward."""

from __future__ import annotations

import random
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.names import endpoint_url
from .client import ClusterClient, segment
from .port_forward import ForwardedConnection

# A name that is not served in time is as good as none: the other ways need no DNS.
_RESOLVE_TIMEOUT_S = 1.0
_REACH_TIMEOUT_S = 1.0


class Connection(Protocol):
    """An open connection to the server: a socket, or something like one."""

    def settimeout(self, seconds: float) -> None:
        """Bound what each call below may take."""

    def sendall(self, data: bytes) -> None:
        """Send all of it."""

    def recv_into(self, buffer: memoryview) -> int:
        """Fill the buffer as far as bytes are there; return their number, 0 at the end."""

    def close(self) -> None:
        """Give the connection up."""


class NotReadyError(Exception):
    """Nothing serves there at the moment; the text says what was seen. It may heal."""


@dataclass(frozen=True)
class Route:
    """How requests reach the server.

    ``dial(timeout)`` opens a connection (``OSError``, ``NotReadyError`` or ``PlatformError`` if it cannot),
    ``prefix`` goes before each path, ``headers`` go with each request, ``via_api_server`` tells that an
    answer may be the API server's own.
    """

    access: str
    host: str
    dial: Callable[[float], Connection]
    prefix: str = ""
    headers: Sequence[tuple[str, str]] = ()
    via_api_server: bool = False


def route_to_url(url: str) -> Route:
    """Return the route to a URL (``http`` or ``https``, with an optional path before ``/v1``)."""
    advice = "Give the server's base URL, such as http://10.0.0.7:8000 (without /v1)."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise invalid("url", url, f"is not a URL: {error}", advice) from error
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable():
        raise invalid("url", url, "is not an http or https URL", advice)
    if " " in url or parts.query or parts.fragment or parts.username is not None:
        raise invalid("url", url, "holds a space, a query, a fragment or a user name", advice)
    secure = parts.scheme == "https"
    dial = dialler(host, port or (443 if secure else 80), ssl.create_default_context if secure else None)
    return Route("url", parts.netloc, dial, prefix=parts.path.rstrip("/").removesuffix("/v1"))


def dialler(host: str, port: int, tls: Callable[[], ssl.SSLContext] | None) -> Callable[[float], Connection]:
    """Return what opens connections to a server, with TLS where a context is given."""

    def dial(timeout: float) -> Connection:
        bare = socket.create_connection((host, port), timeout)
        # Header and body are two writes: without this the second waits 40 ms for an acknowledgement.
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return bare
        try:
            return tls().wrap_socket(bare, server_hostname=host)
        except BaseException:
            bare.close()
            raise

    return dial


def route_by_dns(service: str, namespace: str, port: int) -> Route:
    """Return the route to a Service by its name; it works inside the cluster's network."""
    route = route_to_url(endpoint_url(service, namespace, port))
    return Route("dns", route.host, route.dial)


@dataclass(frozen=True)
class ServicePort:
    """One port of a Service that exists: where it is and how the pods' port is named in its endpoints."""

    service: str
    namespace: str
    port: int
    port_name: str
    address: str

    @classmethod
    def find(cls, client: ClusterClient, service: str, namespace: str, port: int) -> ServicePort:
        """Read the Service; an ``invalid`` error if it or its port does not exist: waiting would not help."""
        path = f"/api/v1/namespaces/{segment(namespace)}/services/{segment(service)}"
        found = client.find(path)
        if found is None:
            raise PlatformError(
                ErrorClass.INVALID,
                f"service: there is no Service {service!r} in namespace {namespace!r}.",
                "Deploy the model first, or check the names and the cluster that the kubeconfig points to.",
                {"field": "service"},
            )
        spec: dict[str, Any] = found.get("spec") or {}
        names = {entry.get("port"): entry.get("name") or "" for entry in spec.get("ports") or []}
        if port not in names:
            raise invalid(
                "port", port, f"is not a port of Service {service!r}", f"Its ports are {sorted(names)}."
            )
        return cls(service, namespace, port, names[port], spec.get("clusterIP") or "")


def route_by_proxy(client: ClusterClient, target: ServicePort) -> Route:
    """Return the route through the API server's proxy. It drops ``Authorization``: no API key passes."""
    server = urlsplit(client.server)
    name = f"http:{segment(target.service)}:{target.port}"
    path = f"/api/v1/namespaces/{segment(target.namespace)}/services/{name}/proxy"
    return Route(
        "proxy",
        server.netloc,
        client.open_socket,
        prefix=server.path.rstrip("/") + path,
        headers=client.credentials(),
        via_api_server=True,
    )


def route_by_port_forward(client: ClusterClient, target: ServicePort) -> Route:
    """Return the route to a ready pod of the Service, found again for each connection."""

    def dial(timeout: float) -> Connection:
        pod = _ready_pod(client, target)
        return ForwardedConnection.open(client, target.namespace, pod.name, pod.port, timeout)

    return Route("port_forward", "localhost", dial)


def choose_route(client: ClusterClient, target: ServicePort) -> Route:
    """Pick the way that works from here: DNS, else a port-forward.

    Not the API server's proxy: it costs as much, but drops API keys, and a network policy that admits only
    routers keeps it out.

    DNS counts only where the name leads to the Service's own address and something answers there: some
    resolvers have an answer for every name, and whoever is there must not get the key.
    """
    name = f"{target.service}.{target.namespace}.svc.cluster.local"
    if _resolves_to(name, target.address) and _reachable(target.address, target.port):
        return route_by_dns(target.service, target.namespace, target.port)
    return route_by_port_forward(client, target)


@dataclass(frozen=True)
class ServicePod:
    """A pod behind a Service, and the pod's own port."""

    name: str
    port: int
    ready: bool


def pods_behind(client: ClusterClient, target: ServicePort) -> list[ServicePod]:
    """Return the pods of a Service, ready or not, in the order of their names."""
    slices = client.get(
        f"/apis/discovery.k8s.io/v1/namespaces/{segment(target.namespace)}/endpointslices",
        {"labelSelector": f"kubernetes.io/service-name={target.service}"},
    )
    found: dict[str, ServicePod] = {}
    for part in slices.get("items") or []:
        ports = [
            entry["port"]
            for entry in part.get("ports") or []
            if (entry.get("name") or "") == target.port_name and entry.get("port")
        ]
        for endpoint in part.get("endpoints") or []:
            reference = endpoint.get("targetRef") or {}
            if reference.get("kind") == "Pod" and ports:
                ready = (endpoint.get("conditions") or {}).get("ready") is not False
                found[reference["name"]] = ServicePod(reference["name"], ports[0], ready)
    return [found[name] for name in sorted(found)]


def route_to_pod(client: ClusterClient, namespace: str, pod: ServicePod) -> Route:
    """Return the route to one pod, by a port-forward: the only way that a network policy never stops."""

    def dial(timeout: float) -> Connection:
        return ForwardedConnection.open(client, namespace, pod.name, pod.port, timeout)

    return Route("port_forward", "localhost", dial)


def _ready_pod(client: ClusterClient, target: ServicePort) -> ServicePod:
    """Return a ready pod of the Service."""
    pods = pods_behind(client, target)
    ready = [pod for pod in pods if pod.ready]
    if not ready:
        which = f" (not ready: {', '.join([pod.name for pod in pods][:3])})" if pods else ""
        raise NotReadyError(f"Service {target.service} has no ready pod{which}")
    # Not a security matter: several runs need not all use the same pod.
    return random.choice(ready)  # noqa: S311


def _resolves_to(name: str, address: str) -> bool:
    """Tell whether the name resolves to the address within a second; a resolver may take far longer."""
    found: list[str] = []

    def look_up() -> None:
        try:
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(name + ".", None))
        except OSError:
            return

    # A resolver cannot be interrupted: the thread ends with its own time-out and holds nothing.
    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(_RESOLVE_TIMEOUT_S)
    return address in found


def _reachable(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), _REACH_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True  # The cluster's network is here; the server is not ready yet.
    except OSError:
        return False
    return True

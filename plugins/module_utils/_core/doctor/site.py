# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is examined: an environment, its cluster, its database, and the models of the inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ..cluster.client import Authentication, ClusterClient, JSONObject, segment
from ..common.deadline import Deadline
from ..common.errors import PlatformError
from ..placement.scheduling import PodShape
from ..registry.connection import Database, Session, settings
from ..release.rendering import Rendered
from .finding import Finding, Verdict

T = TypeVar("T")


def unprotected(tier: str) -> Verdict:
    """Return what it means in a tier that others can listen or write; an unknown one is guarded, too."""
    return Verdict.WARN if tier in ("development", "staging") else Verdict.FAIL


@dataclass(frozen=True)
class Wanted:
    """A model as the inventory asks for it; ``error`` is why its variables cannot be told."""

    host: str
    model: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    environment: str = ""  #: empty for that of the site
    elsewhere: str = ""  #: its namespace or cluster, empty for that of the site


@dataclass(frozen=True)
class Model:
    """A model of the inventory, as the chart renders it."""

    host: str
    rendered: Rendered

    @property
    def pod(self) -> JSONObject:
        """The spec of its pods."""
        return dict(self.rendered.deployment["spec"]["template"]["spec"])

    @property
    def shape(self) -> PodShape:
        """What its pods ask of a node."""
        template = self.rendered.deployment["spec"]["template"]
        return PodShape.from_pod_template(template, self.rendered.spec.namespace)


@dataclass
class Site:
    """All that checks look at. Each check reads what it needs."""

    environment: str
    namespace: str
    tier: str | None
    #: Arguments of ``KUBERNETES_SPEC`` and ``POSTGRES_SPEC``.
    params: Mapping[str, Any]
    wanted: Sequence[Wanted]
    chart: str
    migrations: str
    #: Rules of the account that deploys, as role environment makes them, by kind: Role, ClusterRole.
    deployer: Sequence[JSONObject]
    helm_binary: str
    redis_url: str
    redis_ca_cert: str
    ansible_version: str
    limit_s: float
    models: list[Model] = field(default_factory=list)

    @property
    def known_tier(self) -> str:
        """The tier, or else the environment's name, which says it then."""
        return self.tier or self.environment

    @cached_property
    def authentication(self) -> Authentication:
        """Who asks the cluster. Raises ``invalid``."""
        return Authentication.from_params(self.params)

    @property
    def identity(self) -> Authentication:
        """Who asks, or nobody: rendering needs no cluster."""
        try:
            return self.authentication
        except PlatformError:
            return Authentication()

    def without_models(self, check: str) -> Finding:
        """Say that a check of models has none to look at."""
        if self.wanted:
            return Finding(check, Verdict.UNKNOWN, "not looked at, for there is no model left: see values.")
        return Finding(check, Verdict.SKIPPED, "the inventory has no models.")

    def deadline(self) -> Deadline:
        """Begin the time of one exchange, which ends before that of the check does: it says more."""
        return Deadline(self.limit_s * 0.8)


class Cluster:
    """The cluster of a site. Nothing is asked twice: several checks and models want to know the same."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client = ClusterClient(site.authentication)
        self._lists: dict[tuple[str, str], list[JSONObject]] = {}
        self._found: dict[str, JSONObject | None] = {}
        self._reviews: dict[tuple[str, str], JSONObject] = {}

    def list_pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[JSONObject]:
        """Yield the items of a list, as ``ClusterClient.list_pages`` does."""
        asked = (path, repr(sorted((query or {}).items())))
        if asked not in self._lists:
            self._lists[asked] = list(self.client.list_pages(path, query))
        yield from self._lists[asked]

    def find(self, path: str) -> JSONObject | None:
        """Read one object, as ``ClusterClient.find`` does."""
        if path not in self._found:
            self._found[path] = self.client.find(path)
        return self._found[path]

    def review(self, kind: str, spec: JSONObject) -> JSONObject:
        """Return the status of a review of our own rights, of a kind such as ``selfsubjectaccessreviews``."""
        asked = (kind, repr(spec))
        if asked not in self._reviews:
            told = self.client.create(f"/apis/authorization.k8s.io/v1/{kind}", {"spec": spec})
            self._reviews[asked] = dict(told["status"])
        return self._reviews[asked]

    @property
    def nodes(self) -> list[JSONObject]:
        """All nodes."""
        return list(self.list_pages("/api/v1/nodes"))

    @property
    def path(self) -> str:
        """Path of the environment's namespace."""
        return f"/api/v1/namespaces/{segment(self.site.namespace)}"

    def listed(self, resource: str, group: str = "") -> list[JSONObject]:
        """Return what is in the environment's namespace; ``group`` has its version, as ``apps/v1``."""
        base = f"/apis/{group}" if group else "/api/v1"
        return list(self.list_pages(f"{base}/namespaces/{segment(self.site.namespace)}/{resource}"))


class Registry:
    """The registry's database of a site. Each question has a time and a connection of its own.

    One that hangs is left alone, and the next one must not wait for it.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._settings = settings(site.params)

    @property
    def where(self) -> str:
        """Name of the database for messages."""
        return self._settings.where

    def asked(self) -> Database:
        """Return the database, whose time begins now; to be used as a context manager."""
        return Database(self._settings, self.site.deadline())

    def read(self, work: Callable[[Session], T]) -> T:
        """Run a transaction that only reads."""
        with self.asked() as database:
            return database.transaction(work, read_only=True)

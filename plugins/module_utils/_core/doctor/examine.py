# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Examine a site: look at everything, change nothing, and let no check hide another."""

from __future__ import annotations

from collections.abc import Callable

from ..common.errors import PlatformError
from .checks import cluster as access
from .checks import (
    database,
    dns,
    gpu_nodes,
    images,
    kinds,
    namespace,
    placement,
    policies,
    quota,
    redis,
    rights,
    secrets,
    storage,
    tools,
    values,
)
from .finding import Finding, broken, several
from .site import Cluster, Registry, Site
from .walk import Step, guarded, walk_side_by_side

#: Those that ask the API server.
CLUSTER_CHECKS = (
    *("rights", "namespace", "gpu nodes", "placement", "quota", "secrets", "policies", "storage", "kinds"),
    *("images", "dns"),
)
#: The checks, in the order in which they are shown.
CHECKS = ("tools", "values", "cluster", *CLUSTER_CHECKS, "database", "redis")


def examine(site: Site, progress: Callable[[str], None]) -> list[Finding]:
    """Return what all checks say, in their order."""
    progress(f"looking at {site.environment} and {several(len(site.wanted), 'model')}")
    # Programs end with the thread that started them, so they do not run in one that may be left alone.
    found = [*guarded(Step("tools", lambda: tools.look(site)))]
    found += guarded(Step("values", lambda: values.look(site)))
    lanes = [cluster_lane(site), database_lane(site), [Step("redis", lambda: redis.look(site))]]
    found += walk_side_by_side(lanes, site.limit_s)
    return sorted(found, key=lambda item: CHECKS.index(item.check))


def cluster_lane(site: Site) -> list[Step]:
    """Return the checks that ask the API server."""
    try:
        cluster = Cluster(site)
    except PlatformError as error:
        # The lambda outlives the name of an exception.
        failed = broken("cluster", access.with_role(site, error), "access")
        gate = Step("cluster", lambda: [failed], subject="access", gate=True)
        return [gate, *(Step(name, list) for name in CLUSTER_CHECKS)]
    return [
        Step("cluster", lambda: access.look(cluster), subject="access", gate=True),
        # Registries of images are asked, too, by a client of its own: one is not shared between threads.
        Step("images", lambda: images.look(Cluster(site)), 3.0, aside=True),
        Step("rights", lambda: rights.look(cluster), 3.0),
        Step("namespace", lambda: namespace.look(cluster)),
        Step("gpu nodes", lambda: gpu_nodes.look(cluster)),
        Step("placement", lambda: placement.look(cluster), 3.0),
        Step("quota", lambda: quota.look(cluster)),
        Step("secrets", lambda: secrets.look(cluster), 3.0),
        Step("policies", lambda: policies.look(cluster)),
        Step("storage", lambda: storage.look(cluster)),
        Step("kinds", lambda: kinds.look(cluster)),
        Step("dns", lambda: dns.look(cluster)),
    ]


def database_lane(site: Site) -> list[Step]:
    """Return the checks that ask the registry's database."""
    try:
        registry = Registry(site)
    except PlatformError as error:
        failed = broken("database", database.with_role(error), "access")
        return [Step("database", lambda: [failed], subject="access", gate=True)]
    return [
        Step("database", lambda: database.connect(registry), subject="access", gate=True),
        Step("database", lambda: database.look_at_schema(registry), subject="schema"),
        Step("database", lambda: database.look_at_login(registry), subject="login"),
        Step("database", lambda: database.look_at_isolation(registry), subject="isolation"),
    ]

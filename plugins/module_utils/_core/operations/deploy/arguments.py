# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run from the arguments that modules share (``RELEASE_SPEC``, ``OPERATION_SPEC``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...cluster.client import Authentication, ClusterClient
from ...cluster.shared_lists import SharedLists
from ...common.actor import actor, reason_for_the_record
from ...common.deadline import Deadline, check_seconds
from ...common.errors import invalid
from ...common.permit import Permit
from ...gitops.arguments import checked_delivery
from ...helm.binary import Helm
from ...placement.document import read_document
from ...registry.connection import Database, settings
from ...registry.holder import Holder
from ...release.delivery import Delivery
from ...release.helm_delivery import HelmDelivery
from ...release.request import ReleaseRequest, ReleaseTarget
from ...release.tools import Tools, Waits
from .run import Registry


def checked_target(params: Mapping[str, Any]) -> ReleaseTarget:
    """Return what is to be there, or only its names where it is to be absent. Raises ``invalid``."""
    names = {key: params[key] for key in ("model", "environment", "namespace", "name")}
    if params["state"] == "absent":
        return ReleaseTarget.named(**names)
    if not params["chart_path"]:
        raise invalid("chart_path", params["chart_path"], "is missing", "Give the folder of the chart.")
    return ReleaseRequest.build(
        **names,
        chart=params["chart_path"],
        values=params["chart_values"],
        tier=params["tier"],
        strategy=params["strategy"],
        create_namespace=params["create_namespace"],
        force_conflicts=params["force_conflicts"],
    )


def checked_waits(params: Mapping[str, Any]) -> Waits:
    """Return how long each part may take, and start the deadline of the whole. Raises ``invalid``."""
    check_times(params, ("timeout", "capacity_timeout", "rollout_timeout", "takeover_after"))
    check_seconds(params, 1, 86400, "helm_timeout")
    return Waits(
        Deadline(params["timeout"] or math.inf),
        capacity_s=params["capacity_timeout"],
        helm_s=params["helm_timeout"],
        rollout_s=params["rollout_timeout"] or None,
        takeover_s=params["takeover_after"],
    )


def checked_model_config(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the model's configuration, None where none is given. Raises ``invalid`` for what is none."""
    if not params["model_config"]:
        return None
    return read_document(params["model_config"], "model_config")


def check_operation(params: Mapping[str, Any]) -> None:
    """Check how the registry is to be used. Raises ``invalid``."""
    check_times(params, ("lock_timeout", "routers_timeout", "drain_timeout"))
    check_seconds(params, 1, 3600, "lock_ttl")
    check_seconds(params, 0.1, 86400, "database_timeout")


@contextmanager
def opened_registry(
    params: Mapping[str, Any], progress: Callable[[str], None], run_pid: int | None
) -> Iterator[Registry]:
    """Return the registry for the time of a run; ``run_pid`` lives as long as the run of the playbook."""
    with Database(settings(params), Deadline(params["database_timeout"]), progress) as database:
        yield Registry(
            database,
            Holder.here(params["actor"] or actor(), run_pid),
            lock_timeout_s=params["lock_timeout"],
            lock_ttl_s=params["lock_ttl"],
            timeout_s=params["database_timeout"],
            routers_timeout_s=params["routers_timeout"],
            drain_timeout_s=params["drain_timeout"],
            reason=reason_for_the_record(params["reason"]),
        )


def check_times(params: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise ``invalid`` for a number that is no time; None is left to its default."""
    for name in names:
        # Written so that NaN is refused as well.
        if params[name] is not None and not 0 <= params[name] < math.inf:
            raise invalid(name, params[name], "is not a time", "Give seconds, zero or more.")


def make_delivery(params: Mapping[str, Any]) -> Delivery:
    """Return what brings the release to the cluster. Raises ``invalid``."""
    if params["delivery"] == "argocd":
        return checked_delivery(params, Authentication.from_params(params))
    return HelmDelivery()


def make_tools(
    params: Mapping[str, Any],
    progress: Callable[[str], None],
    permit: Permit | None = None,
    run_folder: Path | None = None,
    phase: Callable[[str, float | None], None] = lambda name, expected_s: None,
) -> Tools:
    """Return what the release is changed with. ``phase`` as in ``Tools``."""
    authentication = Authentication.from_params(params)
    given = permit or Permit()
    helm = Helm(params["helm_binary"], authentication, given, run_folder)
    client = ClusterClient(authentication, given)
    lists = SharedLists(client, run_folder)
    reason = reason_for_the_record(params.get("reason"))
    return Tools(client, helm, progress, given, lists, run_folder, phase, reason)

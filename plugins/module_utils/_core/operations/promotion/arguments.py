# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A promotion from the arguments of the modules that make one or only ask its gates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...cluster.client import Authentication, ClusterClient
from ...common.errors import ErrorClass, PlatformError, invalid
from ...common.names import tier_of
from ...endpoint.arguments import check_planned
from ...metrics.window import Subject
from ...registry.revisions import Origin
from ...registry.verifications import REJECTED
from ...release.request import ReleaseTarget
from ..deploy.arguments import (
    check_operation,
    checked_model_config,
    checked_waits,
    make_delivery,
    make_tools,
    opened_registry,
)
from ..deploy.run import Run
from ..deploy.state import Wanted
from .carried import check_keys
from .carry import Wish, carry
from .clients import Clients
from .gate_set import GateSet, check_overrides
from .metrics_source import metric_limits, metrics_source
from .promotion import Promotion
from .questions import Questions
from .source import read_source
from .source_access import SourceAccess, image_to_pin
from .watch import Watch
from .windows import freeze_windows

_SOURCE_CONNECTION = ("kubeconfig", "context", "host", "api_key", "ca_cert", "validate_certs")


@contextmanager
def prepared(
    params: Mapping[str, Any],
    progress: Callable[[str], None],
    *,
    check_mode: bool,
    run_pid: int | None,
    run_folder: Path | None,
    phase: Callable[[str, float | None], None] = lambda name, expected_s: None,
) -> Iterator[Promotion]:
    """Return the promotion that arguments ask for, while its registry is open. Raises as named there.

    Nothing was written so far; the source was read, and what it runs was proven to be what is carried.
    """
    names = {key: params[key] for key in ("model", "environment", "namespace", "name")}
    target = ReleaseTarget.named(**names)
    tier = tier_of(target.environment, params["tier"])
    origin = _source_environment(params, target)
    waits = checked_waits(params)
    check_operation(params)
    gates = GateSet.of(params["gates"], tier, capacity=params["check_capacity"])
    freeze = freeze_windows(gates.freeze, "gates.freeze")
    overrides = check_overrides(params.get("overrides") or ())
    watch = _watch(params.get("watch") or {}, tier)
    gates = replace(
        gates,
        overridden=tuple(sorted(overrides)),
        watch_s=watch.period_s,
        environment_keys=tuple(sorted(params["environment_keys"])),
        prometheus=_prometheus_url(params) or "",
    )
    wish = Wish(
        params["chart_path"],
        params["chart_values"],
        params["tier"],
        check_keys(params["environment_keys"]),
        params["strategy"],
        params["create_namespace"],
        params["force_conflicts"],
    )
    tools = make_tools(params, progress, None, run_folder, phase)
    verification = check_planned(
        tools.client,
        params["verification"],
        model=target.model,
        service=target.name,
        namespace=target.namespace,
    )
    with opened_registry(params, progress, run_pid) as registry:
        source = registry.read(lambda session: read_source(session, target.model, origin))
        access = SourceAccess(_source_client(params, tools.client), source, params["source"]["access"])
        carried = carry(source, target, wish, tools, waits, _pin(access, progress))
        run = Run(
            carried.request,
            Wanted(),
            tools,
            waits,
            registry,
            make_delivery(params),
            check_capacity=params["check_capacity"],
            model_config=checked_model_config(params),
            verification=verification,
            check_mode=check_mode,
            rollback_on_failure=True,
            refuses=() if params.get("retry_rejected") else REJECTED,
            kind="promote",
            origin=Origin(source.environment, source.digest),
        )
        there, here = _clients(params, gates, access, run)
        if not watch.wanted or check_mode:
            here = None
        questions = Questions(source, access, gates, freeze, run, there, here)
        yield Promotion(
            source,
            carried,
            gates,
            run,
            questions.decide,
            questions.ask_more,
            replace(watch, clients=here, complete=questions.complete),
            overrides,
            questions.request_approval,
        )


def _clients(
    params: Mapping[str, Any], gates: GateSet, access: SourceAccess, run: Run
) -> tuple[Clients | None, Clients | None]:
    """Return who is asked what clients get in the source and in the target."""
    entry, target = access.source.entry, run.target
    there = Subject(
        entry.model,
        entry.environment,
        entry.namespace or "",
        entry.release_name or "",
        params["source"]["router_namespace"] or entry.namespace or "",
    )
    here = Subject(
        target.model,
        target.environment,
        target.namespace,
        target.name,
        params["router_namespace"] or target.namespace,
    )
    given = params["source"]["prometheus"] or params["prometheus"]
    return (
        _client(gates, given, access.client, there, run),
        _client(gates, params["prometheus"], run.tools.client, here, run),
    )


def _client(
    gates: GateSet, prometheus: Mapping[str, Any] | None, client: ClusterClient, subject: Subject, run: Run
) -> Clients | None:
    def warn_once(line: str) -> None:
        if line not in run.warnings:
            run.warn(line)

    source = metrics_source(gates.metrics, prometheus, client, run.waits.total, warn_once)
    return None if source is None else Clients(source, subject, metric_limits(gates, source), run.say)


def _source_environment(params: Mapping[str, Any], target: ReleaseTarget) -> str:
    found = str(params["source"]["environment"])
    if found == target.environment:
        raise invalid(
            "source.environment",
            found,
            "is the environment to promote to",
            "Name the one where the model was proven (promote_from).",
        )
    return found


def _source_client(params: Mapping[str, Any], target: ClusterClient) -> ClusterClient:
    """Return a client for the source's cluster: the target's, unless it is said to be another.

    Nothing of who logs in to the target is sent to another cluster, and nothing of it hides what is said.
    """
    source = params["source"]
    given = {key: source[key] for key in _SOURCE_CONNECTION if source[key] is not None}
    proxies = {key: params[key] for key in ("proxy", "no_proxy")}
    if source["kubeconfig"] or source["host"]:
        return ClusterClient(Authentication.from_params({**proxies, **given}))
    others = sorted(given.keys() - {"context"})
    if others or (given and params["host"]):
        raise invalid(
            "source.kubeconfig",
            None,
            f"is missing, but {', '.join(others or ['context'])} is given",
            "Give the kubeconfig or the host of the source's cluster as well.",
        )
    return ClusterClient(Authentication.from_params({**params, **given})) if given else target


def _pin(access: SourceAccess, progress: Callable[[str], None]) -> str | None:
    """Return the digest to carry; without access to the source the image is compared after it was started."""
    try:
        return image_to_pin(access)
    except PlatformError as error:
        if error.error_class is ErrorClass.VERIFICATION:
            raise
        progress(f"what {access.source.environment} runs cannot be looked at: {error.message}")
        return None


def _prometheus_url(params: Mapping[str, Any]) -> str | None:
    """Return where the gates are asked, which is a part of what is approved."""
    given = params["source"]["prometheus"] or params["prometheus"] or {}
    return given.get("url")


def _watch(given: Mapping[str, Any], tier: str) -> Watch:
    interval = given.get("interval_s", Watch.interval_s)
    period = given.get("period_s")
    if period is None:
        period = 300.0 if tier == "production" else 0.0
    for name, value, least in (("period_s", period, 0.0), ("interval_s", interval, 0.1)):
        if not least <= value < math.inf:
            raise invalid(f"watch.{name}", value, "is not a time", f"Give seconds, {least:g} or more.")
    return Watch(period, interval)

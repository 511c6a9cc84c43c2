# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict of the capacity check against an independent judge: what kube-scheduler then does."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.shared_lists import SharedLists
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.capacity import Verdict, assess
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import PodShape
from tests.support.lab import fresh_namespace
from tests.support.scheduler_cases import SHARES, Case, kinds, make_case
from tests.support.scheduler_stage import SnapshotClient, Stage, seed_of_run, sweep

_BATCH = 50


@pytest.fixture
def run(api: ClusterClient) -> Iterator[str]:
    """Make the cluster-wide classes that the cases use."""
    sweep(api)
    name = uuid.uuid4().hex[:6]
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    runtimes = "/apis/node.k8s.io/v1/runtimeclasses"
    api.create(classes, {"metadata": {"name": f"capacity-low-{name}"}, "value": -100})
    api.create(classes, {"metadata": {"name": f"capacity-high-{name}"}, "value": 1000})
    quiet = {"metadata": {"name": f"capacity-quiet-{name}"}, "value": 1000, "preemptionPolicy": "Never"}
    api.create(classes, quiet)
    overhead = {"podFixed": {"cpu": "300m", "memory": "200Mi"}}
    api.create(runtimes, {"metadata": {"name": f"capacity-{name}"}, "handler": "runc", "overhead": overhead})
    yield name
    for kind in ("low", "high", "quiet"):
        api.delete(f"{classes}/capacity-{kind}-{name}")
    api.delete(f"{runtimes}/capacity-{name}")


@pytest.mark.parametrize(
    "count", [200, pytest.param(2000, marks=pytest.mark.full)], ids=["200 cases", "2000 cases"]
)
def test_verdict_equals_what_the_scheduler_does(
    count: int, run: str, api: ClusterClient, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    seed = seed_of_run()
    print(f"seed {seed} (CAPACITY_SEED={seed} runs the same cases again)")
    words: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    inexact = 0
    with fresh_namespace(api, "capacity") as namespace:
        for start in range(0, count, _BATCH):
            batch = [
                make_case(Random(f"{seed}-{number}"), run, number, namespace)  # noqa: S311
                for number in range(start, min(start + _BATCH, count))
            ]
            verdicts, placed = _play(kubeconfig, run, batch, tmp_path_factory.mktemp("run"))
            differing = [
                text
                for case in batch
                if (text := _disagreement(case, verdicts[case.name], placed[case.name]))
            ]
            assert not differing, f"seed {seed}: {len(differing)} disagreements:\n" + "\n".join(differing)
            print(f"{start + len(batch)} cases agree")
            seen.update(kind for case in batch for kind in kinds(case))
            known = [verdict for verdict in verdicts.values() if verdict is not None]
            words.update(verdict.verdict for verdict in known)
            words["unknown"] += len(batch) - len(known)
            inexact += sum(not verdict.exact for verdict in known)
    print(f"verdicts: {dict(words)}; {inexact} of {count} depend on the scheduler's preference")
    print(f"cases with {dict(seen)}")
    # A generator that asks easy questions only would prove nothing.
    assert min(words["fits"], words["no_room"], words["never_fits"]) >= count // 20
    assert inexact <= count // 10
    assert set(seen) == {"resized", *SHARES}


def _play(
    kubeconfig: str, run: str, batch: list[Case], folder: Path
) -> tuple[dict[str, Verdict | None], dict[str, list[str | None]]]:
    with Stage(kubeconfig, run, batch) as stage:
        stage.create()
        client = SnapshotClient(stage.authentication)
        # As in a run, whose workers share lists: what is left out there decides nothing.
        verdicts = {case.name: _verdict(client, case, folder) for case in batch}
        stage.release()
        return verdicts, stage.ask()


def _verdict(client: SnapshotClient, case: Case, folder: Path) -> Verdict | None:
    """Return the answer, ``None`` where it is that nobody can know."""
    try:
        return assess(
            client,
            PodShape.from_pod_template(case.template, case.namespace),
            case.replicas,
            case.namespace,
            releasing=case.releasing,
            whole_devices=False,
            lists=SharedLists(client, folder),
        )
    except PlatformError as error:
        if error.details.get("verdict") != "unknown":
            raise
        return None


def _disagreement(case: Case, verdict: Verdict | None, nodes: list[str | None]) -> str | None:
    """Return what differs between the verdict and what happened, if anything does."""
    bound = [node for node in nodes if node is not None]
    unknowable = {"gated", "foreign", "devices"} & kinds(case)
    if verdict is None or unknowable:
        agrees = verdict is None and (unknowable == {"devices"} or (bool(unknowable) and not bound))
        return None if agrees else f"{case.name}: {unknowable}, {verdict and verdict.verdict}, {bound}"
    complete = len(bound) == case.replicas
    if verdict.verdict == "fits_by_preemption":
        agrees = complete
    elif verdict.preemption:
        # Some of the replicas may have found a place by evicting others.
        agrees = not complete and len(bound) >= verdict.placeable
    elif verdict.exact:
        agrees = len(bound) == verdict.placeable
    else:
        # A promise has to be kept; more may turn out to be possible.
        agrees = len(bound) >= verdict.placeable
    overlooked = "nominated" in kinds(case) and not verdict.exact
    if verdict.fits and not overlooked and "topologySpreadConstraints" not in case.template["spec"]:
        # Spread lets a node in later, when others have got their pods.
        agrees = agrees and set(bound) <= {item["node"] for item in verdict.nodes_fit}
    if agrees:
        return None
    own = {node["metadata"]["name"] for node in case.nodes}
    excluded = [item for item in verdict.nodes_excluded if item["node"] in own]
    return (
        f"{case.name}: {verdict.verdict}, {verdict.placeable} of {case.replicas} placeable, but "
        f"the scheduler placed {len(bound)} ({bound}). {kinds(case)} {verdict.message} excluded: {excluded}"
    )

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several who change one release: at once, one after a death, or without knowing of each other."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg2.errors
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import ReleaseSpec
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import (
    read_release,
    revision_labels,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
from tests.support.chart import CHART
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import PlayResult, PlayRunner, RunningPlay
from tests.support.processes import paused, processes_of
from tests.support.site import Site

RELEASE = release_name("model", "development")
TAKEOVER_S = 8


@pytest.fixture
def site(lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, tmp_path: Path) -> Site:
    """Return a site with one model."""
    site = Site(lab, api, namespace, registry_dsn, PlayRunner(tmp_path))
    site.models = {"model": {}}
    site.variables = {"vllm_takeover_after": TAKEOVER_S}
    return site


class HandMade:
    """Somebody who uses helm by hand, with our chart."""

    def __init__(self, site: Site, model: str = "model", together: Callable[[], object] = int) -> None:
        self.site = site
        self.together = together
        self.model = model
        self.release = release_name(model, "development")
        self.environment = {**os.environ, "KUBECONFIG": str(site.lab.kubeconfig)}
        self.binary = str(site.lab.binary("helm"))

    def spec(self, **model: Any) -> ReleaseSpec:
        """Return the specification of the release."""
        request = ReleaseRequest.build(
            model=self.model,
            environment="development",
            namespace=self.site.namespace,
            chart=str(CHART),
            values={**QUICK_VALUES, "model": model},
        )
        return request.spec(None)

    def upgrade(self, *options: str, **model: Any) -> subprocess.Popen[bytes]:
        """Start ``helm upgrade --install``."""
        spec = self.spec(**model)
        process = self._start("upgrade", "--install", *options, *spec.arguments())
        assert process.stdin is not None
        process.stdin.write(spec.stdin())
        process.stdin.close()
        return process

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start another command."""
        return self._start(arguments[0], "--namespace", self.site.namespace, *arguments[1:])

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.binary, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.environment,
        )

    def kill_when(self, process: subprocess.Popen[bytes], status: str) -> None:
        """Kill helm with SIGKILL as soon as the release has a status."""
        deadline = time.monotonic() + 30
        while self.site.revisions(self.model)[-1:] != [status]:
            assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
            assert time.monotonic() < deadline, self.site.revisions(self.model)
            time.sleep(0.05)
        process.kill()
        process.wait()
        assert self.site.revisions(self.model)[-1] == status


SLOW = {"extraEnv": [{"name": "MODEL_SERVER_LOAD_SECONDS", "value": "60"}]}


def _install(hand: HandMade) -> None:
    hand.together()
    hand.kill_when(hand.upgrade("--wait", "--timeout=120s", **SLOW), "pending-install")


def _upgrade(hand: HandMade) -> None:
    assert hand.upgrade().wait() == 0
    hand.together()
    hand.kill_when(hand.upgrade("--wait", "--timeout=120s", **SLOW), "pending-upgrade")


def _rollback(hand: HandMade) -> None:
    assert hand.upgrade(**SLOW).wait() == 0
    assert hand.upgrade().wait() == 0
    hand.together()
    hand.kill_when(hand.run("rollback", "--wait", "--timeout=120s", hand.release, "1"), "pending-rollback")


def _uninstall(hand: HandMade) -> None:
    assert hand.upgrade().wait() == 0
    _leave_uninstalling(hand)


def _leave_uninstalling(hand: HandMade) -> None:
    service = f"/api/v1/namespaces/{hand.site.namespace}/services/{hand.release}"
    hand.site.api.patch(service, {"metadata": {"finalizers": ["tests.llmops.platform/hold"]}})
    hand.together()
    hand.kill_when(hand.run("uninstall", "--wait", "--timeout=120s", hand.release), "uninstalling")
    hand.site.api.patch(service, {"metadata": {"finalizers": None}})


LEAVE = {"install": _install, "upgrade": _upgrade, "rollback": _rollback, "uninstall": _uninstall}


@pytest.mark.full
def test_what_a_killed_helm_left_is_recovered_in_time_and_not_before(site: Site) -> None:
    site.models = {model: {} for model in LEAVE}
    # Room for a busy machine: the run has to look before the first of them is due.
    takeover_s = 2 * TAKEOVER_S
    site.variables = {"vllm_takeover_after": takeover_s}
    # A client is for one thread only.
    clients = {model: ClusterClient(Authentication(kubeconfig=str(site.lab.kubeconfig))) for model in LEAVE}
    # The last helm of each begins, and dies, at the same time.
    together = Barrier(len(LEAVE), timeout=60)
    hands = {
        model: HandMade(Site(site.lab, client, site.namespace, site.dsn, site.runner), model, together.wait)
        for model, client in clients.items()
    }
    with ThreadPoolExecutor(len(LEAVE)) as pool:
        list(pool.map(lambda model: LEAVE[model](hands[model]), LEAVE))
    left = {model: read_release(site.api, hands[model].release, site.namespace) for model in LEAVE}
    running = site.start("--forks", str(len(LEAVE)))
    waited: dict[str, float] = {}
    while len(waited) < len(LEAVE):
        assert running.process.poll() is None, running.output()
        for model in LEAVE.keys() - waited.keys():
            what = "finishing an uninstall" if model == "uninstall" else "recovering revision"
            if f"{hands[model].release}: {what}" in running.output():
                record = left[model]
                assert record is not None
                waited[model] = (datetime.now(UTC) - record.modified_at).total_seconds()
        time.sleep(0.05)
    assert running.output().count("taken over if it stays so") == len(LEAVE)
    assert min(waited.values()) >= takeover_s, waited
    running.wait(120).check()
    assert {model: site.revisions(model)[-1] for model in LEAVE} == dict.fromkeys(LEAVE, "deployed")
    rows = site.rows()
    assert {model: rows[model]["deployment_status"] for model in LEAVE} == dict.fromkeys(LEAVE, "ready")
    assert site.deploy().check().changed == []


@pytest.mark.parametrize("binary", ["helm", pytest.param("helm3", marks=pytest.mark.full)])
def test_what_an_operation_left_is_recovered_at_once_and_helm_by_hand_is_waited_for(
    site: Site, binary: str
) -> None:
    site.variables = {"vllm_takeover_after": TAKEOVER_S, "vllm_helm_binary": str(site.lab.binary(binary))}
    site.deploy().check()
    ((operation, fence),) = site.query("SELECT id::text, fence FROM operations")
    record = read_release(site.api, RELEASE, site.namespace)
    assert record is not None
    assert record.fence == fence
    assert record.secret["metadata"]["labels"]["llmops.platform/operation"] == operation
    assert operation in record.description

    # helm by hand carries the labels on to a revision that no operation has made.
    hand = HandMade(site)
    hand.kill_when(hand.upgrade("--wait", "--timeout=120s", **SLOW), "pending-upgrade")
    died = time.monotonic()
    running = site.start()
    running.wait_for("taken over if it stays so")
    running.wait_for("recovering revision 2")
    assert time.monotonic() - died > TAKEOVER_S - 2
    running.wait(120).check()

    # What a run of fence 1 looks like that was killed on another machine in the middle of an upgrade: whoever
    # has the lock now knows that nobody works on it.
    marks = revision_labels(4, "", "00000000-0000-4000-8000-000000000000", fence=1)
    labels = ",".join(f"{name}={value}" for name, value in marks.items())
    hand.kill_when(hand.upgrade("--wait", "--timeout=120s", f"--labels={labels}", **SLOW), "pending-upgrade")
    resumed = site.deploy(vllm_takeover_after=600).check()
    assert "recovering revision 4" in resumed.output
    assert "taken over if it stays so" not in resumed.output
    _converged(site)


def test_plan_of_a_pending_release_does_not_wait(site: Site) -> None:
    _install(HandMade(site))
    planned = site.deploy("--check").check()
    assert "taken over" not in planned.output
    assert site.revisions("model") == ["pending-install"]


def test_no_row_says_ready_while_the_run_knows_that_nothing_serves(site: Site) -> None:
    site.models = {"leaving": {}, "gone": {}}
    site.deploy().check()
    _leave_uninstalling(HandMade(site, "leaving"))
    gone = release_name("gone", "development")
    site.api.delete(f"/apis/apps/v1/namespaces/{site.namespace}/deployments/{gone}")
    # Whoever asks the API server about a pod has to know that the account comes with the release.
    site.api.delete(f"/api/v1/namespaces/{site.namespace}/serviceaccounts/{gone}")
    planned = site.deploy("--check").check()
    assert f"{release_name('leaving', 'development')}: needs an install" in planned.output
    assert f"{gone}: needs an upgrade" in planned.output
    running = site.start()
    running.wait_for("finishing an uninstall")
    running.wait_for("helm upgrade")
    states = "SELECT model_name, after->>'deployment_status' FROM model_registry_history ORDER BY seq"
    running.wait(120).check()
    history = site.query(states)
    for model in site.models:
        assert [state for name, state in history if name == model] == ["deploying", "ready"] * 2, history


def _failure(result: PlayResult) -> dict[str, Any]:
    return next(task for task in result.tasks if task.status == "failed").result


def _converged(site: Site) -> None:
    """Check that all is as one run alone would have left it."""
    assert site.deploy().check().changed == []
    assert site.revisions("model")[-1] == "deployed"
    assert site.revisions("model").count("deployed") == 1
    row = site.rows()["model"]
    assert row["deployment_status"] == "ready"
    assert row["release_revision"] == len(site.revisions("model"))


def _holder(site: Site, runs: list[RunningPlay]) -> RunningPlay:
    """Wait until one of the runs holds the lock, and return it."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with suppress(psycopg2.errors.UndefinedTable):
            for (pid,) in site.query("SELECT pid FROM operation_locks WHERE operation_id IS NOT NULL"):
                return next(run for run in runs if run.process.pid == pid)
        time.sleep(0.1)
    raise AssertionError("\n".join(run.output() for run in runs))


def test_eight_deploy_at_once_one_runs_and_seven_are_told_who(site: Site) -> None:
    # Long enough for the slowest machine; what is tested does not depend on it.
    site.variables["vllm_lock_ttl"] = 600
    runs = [site.start() for _ in range(8)]
    winner = _holder(site, runs)
    # Not in a transaction, whose time would be over when it goes on.
    winner.wait_for("helm install")
    with paused(winner):
        others = [run.wait(240) for run in runs if run is not winner]
    winner.wait(240).check()
    ((operation_id, pid, outcome, fence),) = site.query(
        "SELECT id::text, pid, outcome, fence FROM operations"
    )
    assert (pid, outcome, fence) == (winner.process.pid, "succeeded", 1)
    for result in others:
        failed = _failure(result)
        assert failed["error_class"] == "locked", result.output
        told = failed["locked_by"]
        assert (told["operation_id"], told["pid"]) == (operation_id, winner.process.pid)
        for part in (told["holder"], told["since"], told["expires_at"], operation_id):
            assert part in failed["msg"]
        assert failed["resolution"]
    assert site.revisions("model") == ["deployed"]
    _converged(site)


def test_second_operator_may_wait_for_the_first(site: Site) -> None:
    site.variables["vllm_lock_ttl"] = 600
    first = site.start()
    first.wait_for("helm install")
    site.models["model"] = {"vllm_values": {"model": {"maxModelLen": 2048}}}
    with paused(first):
        second = site.start(vllm_lock_timeout=120)
        second.wait_for("is locked by")
    first.wait(240).check()
    second.wait(240).check()
    assert site.revisions("model") == ["superseded", "deployed"]
    _converged(site)


@pytest.mark.parametrize("taken", [True, pytest.param(False, marks=pytest.mark.full)])
def test_holder_paused_past_its_lock_writes_nothing_when_it_wakes(site: Site, taken: bool) -> None:
    site.variables["vllm_lock_ttl"] = 3
    site.models["model"] = {"vllm_values": {"model": SLOW}}

    def seen() -> tuple[Any, ...]:
        return site.revisions("model"), site.rows(), site.query("SELECT max(seq) FROM model_registry_history")

    first = site.start()
    first.wait_for("waiting for")
    with paused(first):
        if taken:
            site.models["model"] = {}
            site.deploy(vllm_lock_timeout=60).check()
        else:
            time.sleep(4)
        before = seen()
    woken = first.wait(60)
    failed = _failure(woken)
    assert failed["error_class"] == "fenced", woken.output
    assert seen() == before
    operations = site.query("SELECT outcome, error_class, id, resumes FROM operations ORDER BY fence")
    if taken:
        assert operations[0][:2] == ("interrupted", None)
        assert operations[1] == ("succeeded", None, operations[1][2], operations[0][2])
    else:
        assert [operation[:2] for operation in operations] == [("failed", "fenced")]
        site.models["model"] = {}
        site.deploy().check()
    _converged(site)


def test_helm_of_a_holder_that_lost_its_lock_is_stopped(site: Site, tmp_path: Path) -> None:
    site.variables["vllm_lock_ttl"] = 3
    # A helm that takes its time before it writes anything.
    started, slow_helm = tmp_path / "started", tmp_path / "slow-helm"
    helm = site.lab.binary("helm")
    slow_helm.write_text(
        f'#!/bin/sh\n[ "$1" != upgrade ] || {{ echo $$ > {started}; sleep 600; }}\nexec {helm} "$@"\n'
    )
    slow_helm.chmod(0o755)
    first = site.start(vllm_helm_binary=str(slow_helm))
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()):
        assert time.monotonic() < deadline, first.output()
        time.sleep(0.05)
    helm_process = int(started.read_text())
    with paused(first):
        site.deploy(vllm_lock_timeout=60).check()
        assert Path(f"/proc/{helm_process}").exists()
    woken = first.wait(60)
    failed = _failure(woken)
    assert failed["error_class"] == "fenced", woken.output
    assert not Path(f"/proc/{helm_process}").exists()
    assert site.revisions("model") == ["deployed"]
    _converged(site)


@pytest.mark.full
def test_eight_install_at_once_without_a_registry(site: Site) -> None:
    # So many are slow, but none of them is dead.
    site.variables["vllm_takeover_after"] = 60
    results = [run.wait(240) for run in [site.start(vllm_register=False) for _ in range(8)]]
    for result in results:
        if result.rc != 0:
            assert _failure(result).get("error_class") == "locked", result.output
    assert any(result.rc == 0 for result in results)
    site.deploy().check()
    _converged(site)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_release_of_another_chart_is_not_touched(site: Site, tmp_path: Path, state: str) -> None:
    chart = tmp_path / "theirs"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: theirs\nversion: 1.2.3\n")
    (chart / "templates" / "object.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\n"
    )
    assert HandMade(site).run("install", RELEASE, str(chart)).wait() == 0
    result = site.deploy(vllm_state=state, deploy_all=True)
    failed = next(task for task in result.find(action="vllm_deployment") if task.status == "failed").result
    assert failed["error_class"] == "invalid"
    assert "another chart, theirs" in failed["msg"]
    assert site.revisions("model") == ["deployed"]
    assert site.rows() == {}


def test_kill_leaves_no_helm_no_worker_and_no_key(site: Site, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    site.runner.environment = {"TMPDIR": str(temporary), "ANSIBLE_HOME": str(temporary / "ansible")}
    site.models["model"] = {"vllm_values": {"model": SLOW}}
    shared_before = set(Path("/dev/shm").iterdir())
    for phase in ("taking the lock", "needs an install", "waiting for"):
        running = site.start()
        running.wait_for(phase)
        assert processes_of(running)
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        deadline = time.monotonic() + 5
        while processes_of(running):
            assert time.monotonic() < deadline, processes_of(running)
            time.sleep(0.1)
    for path in [*temporary.rglob("*"), *(set(Path("/dev/shm").iterdir()) - shared_before)]:
        if path.is_file():
            # One in /dev/shm may be somebody else's and vanish.
            with suppress(FileNotFoundError):
                content = path.read_bytes()
                assert b"PRIVATE KEY" not in content, path
                assert b"client-key-data" not in content, path

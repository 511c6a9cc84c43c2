# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Promotions that are killed, meet others, or find the ground changed under them, while somebody watches."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from tests.support.lab import Lab
from tests.support.playbooks import PlayRunner, RunningPlay
from tests.support.processes import paused
from tests.support.promotion_site import Production, failure, report, two_places, version

pytestmark = pytest.mark.full

#: Lets a version be broken while it runs.
CONTROLLED = {"extraEnv": [{"name": "MODEL_SERVER_CONTROL", "value": "1"}]}
#: A pod that goes is still sent requests for a moment.
DRAIN = {"drain": {"preStopSeconds": 2, "shutdownTimeoutSeconds": 1, "marginSeconds": 1}}


#: So many models need more GPUs than the lab has for everybody.
NO_GPU = {"gpu": {"count": 0}}


@contextmanager
def second_waits(
    lab: Lab, folder: Path, prefix: str, models: dict[str, dict[str, Any]]
) -> Iterator[Production]:
    """Make a production that runs version 1 of all models, with the second in staging.

    Each model's mapping holds the variables that it has in production. Nothing of a dead run has to be
    waited for: it is seen that it is dead.
    """
    api = ClusterClient(Authentication(kubeconfig=str(lab.kubeconfig)))
    with two_places(lab, api, PlayRunner(folder), prefix) as site:
        site.variables |= {"vllm_takeover_after": 600, "vllm_lock_ttl": 600}
        site.models = {name: version("1", **NO_GPU, **DRAIN) for name in models}
        site.staging.models = {name: version("2", model=CONTROLLED, **NO_GPU, **DRAIN) for name in models}
        first = site.start("--forks", "4")
        first.wait_for("taking the lock")
        # By now the registry's schema is there.
        site.staging.start("--forks", "4").wait(600).check()
        first.wait(600).check()
        for name, own in models.items():
            site.models[name] |= own
        yield site


# Killed.


@dataclass(frozen=True)
class Kill:
    """When a run is killed: what it has printed by then. The step that follows was taken in part, or not."""

    name: str
    phase: str
    variables: dict[str, Any] = field(default_factory=dict)


WATCHED = {"promotion_watch": {"period_s": 4, "interval_s": 0.5}}
KILLS = [
    Kill("asked", "gate verified"),
    Kill("all-asked", "gate completions"),
    Kill("locking", "taking the lock"),
    Kill("planned", "needs an upgrade"),
    Kill("helm", "helm upgrade"),
    Kill("rollout", "waiting for"),
    Kill("verifying", "verifying a completion"),
    Kill("registering", "registering what"),
    Kill("watching", "watching for", WATCHED),
]
#: The same for one whose version is found bad by the watch.
UNDONE = [
    Kill("breached", "a completion was not answered"),
    Kill("undo", "does not serve, so it goes back"),
    Kill("undo-planned", "clients: "),
    Kill("undo-helm", "(sha256:"),
    Kill("undo-verifying", "verifying a completion"),
    Kill("undo-registering", "registering what"),
]


@pytest.fixture(scope="module")
def killed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """Return the cases while they are played, two at a time: each waits more than it computes."""
    models = {kill.name: kill.variables for kill in KILLS} | {
        kill.name: {"promotion_watch": {"period_s": 60, "interval_s": 0.5}} for kill in UNDONE
    }
    with second_waits(lab, tmp_path_factory.mktemp("killed"), "killed", models) as site:
        pool = ThreadPoolExecutor(2)
        try:
            yield {kill.name: pool.submit(_kill_and_resume, site, kill) for kill in KILLS} | {
                kill.name: pool.submit(_kill_the_undo, site, kill) for kill in UNDONE
            }
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.name)
def test_a_promotion_that_was_killed_is_gone_on_with_by_the_same_command(
    killed: dict[str, Future[None]], kill: Kill
) -> None:
    killed[kill.name].result()


@pytest.mark.parametrize("kill", UNDONE, ids=lambda kill: kill.name)
def test_an_undo_that_was_killed_is_gone_on_with_by_the_same_command(
    killed: dict[str, Future[None]], kill: Kill
) -> None:
    killed[kill.name].result()


def _kill_and_resume(site: Production, kill: Kill) -> None:
    model = kill.name
    with site.watch(model) as watch:
        running = site.begin(model)
        running.wait_for(kill.phase)
        running.kill()
        resumed = site.promote(model).check()
    assert "taken over if it stays so" not in resumed.output
    assert (site.version(model), site.status(model)) == ("2", "ready"), resumed.output
    assert watch.lies == []
    assert len(watch.seen) > 20
    assert all(outcome in ("succeeded", "interrupted") for _, outcome in site.outcomes(model))
    if kill.variables:
        # It is watched to its end, from the beginning.
        assert "watching for 4 s" in resumed.output
        assert report(resumed, model)["watch"] == []
    again = site.promote(model).check()
    assert again.changed == []
    assert "watching for" not in again.output
    held = "SELECT operation_id FROM operation_locks WHERE model_name = %s"
    assert set(site.query(held, (model,))) == {(None,)}


def _kill_the_undo(site: Production, kill: Kill) -> None:
    model = kill.name
    with site.watch(model) as watch:
        running = site.begin(model)
        running.wait_for("watching for", 120)
        site.break_pods(model)
        wait_after(running, UNDONE[0].phase, kill.phase)
        running.kill()
        killed_at = time.monotonic()
        resumed = site.promote(model)
    assert resumed.rc != 0, resumed.output
    assert (site.version(model), site.status(model)) == ("1", "ready"), resumed.output
    assert watch.seen[-1].answered
    # Who died cannot correct the row; whoever comes next does before all else.
    noticed = next((one.at for one in watch.seen if one.at > killed_at and one.before != "ready"), None)
    if noticed is not None:
        assert [one for one in watch.lies if one.at > noticed] == []
    assert site.verdicts(model)[-1] == "failed"


def wait_after(run: RunningPlay, mark: str, text: str) -> None:
    """Wait until a run has printed a text, from a mark on."""
    deadline = time.monotonic() + 90
    while text not in "".join(run.output().partition(mark)[1:]):
        assert run.process.poll() is None, run.output()
        assert time.monotonic() < deadline, run.output()
        time.sleep(0.02)


# Others, and what changes meanwhile: between the gates and the write somebody else holds the target's lock.

RACES = ("twice", "against", "back", "moved", "expires", "elsewhere", "ahead")


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Return a production that runs version 1 of some models, with version 2 in staging."""
    models: dict[str, dict[str, Any]] = {name: {} for name in RACES}
    with second_waits(lab, tmp_path_factory.mktemp("races"), "races", models) as site:
        for name in ("expires", "elsewhere", "ahead"):
            site.models[name] |= {
                "promotion_gates": {**site.variables["promotion_gates"], "approval": True},
                "promotion_actor": "alice",
            }
        yield site


def test_of_two_promotions_at_once_one_is_told_who_is_at_work_or_waits(site: Production) -> None:
    first = site.begin("twice")
    wait_after(first, "taking the lock", "needs an upgrade")
    with paused(first):
        told = failure(site.promote("twice"), "twice")
        assert told["closed"] == ["idle"]
        assert "somebody is at work in production" in told["msg"]
        waits = site.begin("twice", vllm_lock_timeout=120)
        waits.wait_for("next try in")
    assert report(first.wait(120).check(), "twice")["changed"] is True
    second = report(waits.wait(120).check(), "twice")
    assert second["changed"] is False, second
    assert len(site.revisions("twice", "production")) == 2
    assert (site.version("twice"), site.status("twice")) == ("2", "ready")


def test_a_rollback_does_not_meet_a_promotion_nor_the_other_way_round(site: Production) -> None:
    going = site.begin("against")
    going.wait_for("helm upgrade")
    with paused(going):
        told = failure(site.begin_rollback("against").wait(120), "against")
        assert told["error_class"] == "locked"
    going.wait(120).check()
    assert site.version("against") == "2"

    back = site.begin_rollback("against", reason="answers badly")
    back.wait_for("helm upgrade")
    with paused(back):
        told = failure(site.promote("against"), "against")
        # What is promoted was there when it looked, or somebody was seen to be at work.
        assert told["error_class"] in ("verification", "locked"), told["msg"]
    back.wait(120).check()
    assert (site.version("against"), site.status("against")) == ("1", "ready")
    # It was given up, and does not come again by itself.
    refused = failure(site.promote("against"), "against")
    assert (refused["error_class"], refused["failed_step"]) == ("verification", "plan")
    site.promote("against", promotion_retry_rejected=True).check()
    assert (site.version("against"), site.status("against")) == ("2", "ready")


def test_what_staging_runs_no_more_is_not_promoted(site: Production) -> None:
    before = site.written("moved")
    with site.locked("moved"):
        running = site.begin("moved", vllm_lock_timeout=120)
        running.wait_for("taking the lock")
        site.staging.models["moved"] = version("3", **NO_GPU, **DRAIN)
        site.staging.deploy("--limit", "moved").check()
    told = failure(running.wait(120), "moved")
    assert told["error_class"] == "locked"
    assert "staging runs revision 2" in told["msg"]
    assert site.written("moved")[:3] == before[:3]
    assert site.version("moved") == "1"


def approve(site: Production, model: str, **extra_vars: Any) -> None:
    """Ask for an approval by a promotion, and have somebody else give it."""
    assert failure(site.promote(model), model)["closed"] == ["approval"]
    site.approve(model, promotion_actor="bob", **extra_vars).check()


def test_an_approval_that_expires_between_gate_and_write_lets_nothing_pass(site: Production) -> None:
    approve(site, "expires", promotion_approval_expires_in=20)
    before = site.written("expires")
    with site.locked("expires"):
        running = site.begin("expires", vllm_lock_timeout=120)
        running.wait_for("taking the lock")
        over = (
            "SELECT max(expires_at) < clock_timestamp() FROM promotion_approvals WHERE model_name = 'expires'"
        )
        while site.query(over) != [(True,)]:
            time.sleep(0.2)
    told = failure(running.wait(120), "expires")
    assert (told["error_class"], told["closed"]) == ("verification", ["approval"]), told["msg"]
    assert "expired" in told["msg"]
    assert site.written("expires")[:3] == before[:3]
    assert failure(site.promote("expires"), "expires")["closed"] == ["approval"]


def test_an_approval_for_another_digest_or_other_gates_lets_nothing_pass(site: Production) -> None:
    approve(site, "elsewhere")
    looser = {**site.models["elsewhere"]["promotion_gates"], "max_latency_s": 60}
    told = failure(site.promote("elsewhere", promotion_gates=looser), "elsewhere")
    assert told["closed"] == ["approval"]
    assert "approved something else (gates" in told["msg"]
    site.staging.models["elsewhere"] = version("3", **NO_GPU, **DRAIN)
    site.staging.deploy("--limit", "elsewhere").check()
    told = failure(site.promote("elsewhere"), "elsewhere")
    assert told["closed"] == ["approval"]
    assert "approved something else (manifest" in told["msg"]
    assert site.version("elsewhere") == "1"


#: Makes Python's clock run a day ahead, as on a machine that nobody set.
_A_DAY_AHEAD = """
import datetime, time

real = datetime.datetime

class AnyDatetime(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real)

class Ahead(real, metaclass=AnyDatetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(days=1)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)

now = time.time
time.time = lambda: now() + 86400
datetime.datetime = Ahead
"""


def test_on_a_machine_that_is_a_day_ahead_the_clock_of_the_database_decides(
    site: Production, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_A_DAY_AHEAD)
    ahead = subprocess.run(
        [sys.executable, "-c", "import datetime; print(datetime.datetime.now().timestamp())"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert float(ahead.stdout) > time.time() + 86000
    [(today, tomorrow)] = site.query(
        "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'dy'),"
        " to_char(clock_timestamp() AT TIME ZONE 'UTC' + interval '1 day', 'dy')"
    )

    def freeze(day: str) -> dict[str, Any]:
        window = {"name": "all day", "days": [day], "from": "00:00", "to": "24:00", "timezone": "UTC"}
        return {**site.models["ahead"]["promotion_gates"], "freeze": [window]}

    site.runner.environment["PYTHONPATH"] = str(tmp_path)
    try:
        closed = failure(site.promote("ahead", promotion_gates=freeze(today)), "ahead")["closed"]
        assert sorted(closed) == ["approval", "freeze"]
        site.models["ahead"]["promotion_gates"] = freeze(tomorrow)
        approve(site, "ahead", promotion_approval_expires_in=600)
        done = report(site.promote("ahead").check(), "ahead")
    finally:
        del site.runner.environment["PYTHONPATH"]
    assert {gate["name"]: gate["verdict"] for gate in done["gates"]}["freeze"] == "pass"
    assert site.version("ahead") == "2"
    [(skew,)] = site.query("SELECT max(started_at) < clock_timestamp() FROM operations")
    assert skew


# Side by side.


def test_ten_models_at_once_then_some_at_a_time_and_one_that_is_not_let_pass(
    lab: Lab, api: ClusterClient, tmp_path: Path
) -> None:
    names = [f"model-{number}" for number in range(10)]
    with two_places(lab, api, PlayRunner(tmp_path), "ten") as site:
        site.staging.models = {name: version("1", **NO_GPU) for name in names}
        site.models = {name: version("1", **NO_GPU) for name in names}
        site.staging.deploy("--forks", "10").check()
        site.staging.give_verdict("model-3", "revoked")
        result = site.promote("all", "--forks", "10")
        assert failure(result, "model-3")["closed"] == ["verified"]
        served = [name for name in names if site.status(name) == "ready"]
        assert served == [name for name in names if name != "model-3"], result.output
        assert site.status("model-3") == "absent"

        site.staging.models = {name: version("2", **NO_GPU) for name in names}
        site.staging.deploy("--forks", "10").check()
        serial = [
            {
                "name": "Promote some at a time",
                "hosts": "models",
                "gather_facts": False,
                "serial": 4,
                "tasks": [
                    {
                        "name": "Promote",
                        "ansible.builtin.import_role": {"name": "llmops.platform.promotion"},
                    }
                ],
            }
        ]
        site.runner.run(serial, inventory=site.inventory(), arguments=["--forks", "10"]).check()
        assert {(site.version(name), site.status(name)) for name in names} == {("2", "ready")}
        assert site.promote("all", "--forks", "10").check().changed == []

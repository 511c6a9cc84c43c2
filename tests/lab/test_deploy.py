# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job, played as a user plays it: deploy on a real cluster, again, in check mode, after damage."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.workload import (
    CONFIGURATION_GRACE_S,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.models import fault
from tests.support.playbooks import ROOT, PlayResult, PlayRunner
from tests.support.site import Site

MUTATING = {"create", "update", "patch", "delete", "deletecollection"}


@pytest.fixture
def site(lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, tmp_path: Path) -> Site:
    """Return an empty site; what was deployed goes away with its namespace."""
    return Site(lab, api, namespace, registry_dsn, PlayRunner(tmp_path))


@pytest.fixture
def mutations(lab: Lab) -> Iterator[Callable[[str], list[str]]]:
    """Return a function that lists what was written to a namespace since the fixture was made."""
    log = lab.folder / "logs" / "audit.log"

    def read(namespace: str) -> list[str]:
        # The API server writes its audit log in batches.
        time.sleep(2)
        current.seek(start)
        lines = current.readlines()
        # A full log is renamed, and another one begun.
        if not os.path.samestat(log.stat(), os.fstat(current.fileno())):
            lines += log.read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in events
            if event["verb"] in MUTATING
            and event.get("objectRef", {}).get("namespace") == namespace
            and event["user"]["username"] == "kubernetes-admin"
            and "dryRun=All" not in event["requestURI"]
        ]

    with log.open(encoding="utf-8") as current:
        start = current.seek(0, os.SEEK_END)
        yield read


def slots(result: PlayResult, host: str) -> int:
    """Return how many tasks of the deployment itself were run for a host that is not the first one."""
    tasks = [task for task in result.find(host=host) if task.task not in OTHERS]
    assert "skipped" not in {task.status for task in tasks}
    return len(tasks)


#: What is done once a run, on its first host, and what the strategy itself does without a worker.
OTHERS = {
    "Leave those that are as wanted",
    "See that somebody named what is to be removed",
    "See that each model is deployed by one host",
    "Validating arguments against arg spec 'main' - Create or update the schema of the model registry",
    "Create or update the schema of the registry",
    "One line a model",
}


def documented_slots() -> tuple[int, int]:
    """Return what the documentation says: task slots on the straight path, and how many more on a failure."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    found = re.search(r"(\d+) task slots? a model, and (\d+) more\s+when it fails", text)
    assert found is not None
    straight, more = int(found[1]), int(found[2])
    assert straight <= 4
    assert more <= 2
    return straight, more


def test_first_run_deploys_second_changes_nothing(site: Site, mutations: Callable[[str], list[str]]) -> None:
    site.models = {
        "llama": {"vllm_model": "meta-llama/Llama-3.1-8B-Instruct"},
        # An environment has any name, and a tier that says what it is like.
        "mistral": {
            "vllm_environment": "qa-eu",
            "vllm_tier": "staging",
            "vllm_values": {"gpu": {"count": 2}},
        },
    }
    first = site.deploy().check()
    assert "2 of 2 models are as wanted" in first.output
    assert slots(first, "mistral") == documented_slots()[0]
    assert first.output.count("revision 1 installed;") == 2
    rows = site.rows()
    assert {row["deployment_status"] for row in rows.values()} == {"ready"}
    llama = rows["meta-llama/Llama-3.1-8B-Instruct"]
    assert llama["deployment_endpoint"].startswith("http://llama-3-1-8b-instruct-")
    assert rows["mistral"]["deployment_environment"] == "qa-eu"
    assert rows["mistral"]["release_name"] == "mistral-qa-eu"
    assert llama["release_revision"] == 1
    assert llama["manifest_digest"].startswith("sha256:")
    assert llama["last_health_check_at"] is not None

    before = len(mutations(site.namespace))
    second = site.deploy().check()
    assert second.changed == []
    assert len(mutations(site.namespace)) == before
    assert site.revisions("mistral", "qa-eu") == ["deployed"]
    assert site.rows() == rows
    # One operation a model: a run that finds nothing to do is none.
    assert site.query("SELECT kind, outcome, fence FROM operations") == [("deploy", "succeeded", 1)] * 2
    assert site.query("SELECT count(*) FROM operation_locks WHERE operation_id IS NOT NULL") == [(0,)]
    steps = site.query(
        "SELECT s.name, s.outcome FROM operation_steps AS s JOIN operations AS o ON o.id = s.operation_id"
        " WHERE o.model_name = 'mistral' ORDER BY s.number"
    )
    assert steps == [(name, "succeeded") for name in ("helm install", "rollout", "verify the endpoint")]
    ((chart, image, values, redacted),) = site.query(
        "SELECT chart_digest, image_digest, values, values_redacted FROM deployment_manifests"
        " WHERE model_name = 'mistral' AND release_revision = 1"
    )
    assert chart.startswith("sha256:")
    assert image is None or image.startswith("sha256:")
    assert values["gpu"]["count"] == 2
    assert redacted is False
    # Verified is a record: one for each manifest, however often it passes.
    verified = "SELECT model_name, manifest_digest, verdict FROM manifest_verifications ORDER BY 1"
    assert site.query(verified) == [
        (name, row["manifest_digest"], "passed") for name, row in sorted(rows.items())
    ]


def test_check_mode_tells_the_truth_and_writes_nothing(
    site: Site, mutations: Callable[[str], list[str]]
) -> None:
    site.models = {"mistral": {}}
    planned = site.deploy("--check", "--diff").check()
    assert any("Deploy, verify" in line for line in planned.changed)
    assert "+kind: Deployment" in planned.output.replace("+  ", "+")
    assert mutations(site.namespace) == []
    with psycopg2.connect(site.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)

    site.deploy().check()
    row = site.rows()
    unchanged = site.deploy("--check", "--diff").check()
    assert unchanged.changed == []
    site.models["mistral"] = {"vllm_values": {"model": {"maxModelLen": 2048}}}
    changed = site.deploy("--check", "--diff").check()
    assert "2048" in changed.output
    assert site.revisions("mistral") == ["deployed"]
    assert site.rows() == row


def test_tags_preflight_only_checks_and_limit_picks(
    site: Site, mutations: Callable[[str], list[str]]
) -> None:
    site.models = {"one": {"vllm_register": False}, "two": {}, "three": {}}
    preflight = site.deploy("--tags", "preflight").check()
    assert preflight.changed == []
    assert preflight.output.count("needs an install") == 3
    assert mutations(site.namespace) == []
    # A survey's 0 is a text.
    site.deploy("--limit", "one,two", "-e", "vllm_rollout_timeout=0").check()
    assert [site.revisions(model) for model in site.models] == [["deployed"], ["deployed"], []]
    assert set(site.rows()) == {"two"}


def test_a_failed_preflight_fails_the_run(site: Site) -> None:
    site.models = {"huge": {"vllm_values": {"gpu": {"count": 64}}}, "good": {}}
    result = site.deploy("--tags", "preflight")
    assert result.rc != 0
    assert "huge is not as wanted (capacity): failed at 'plan'" in result.output
    assert "1 of 2 models can be as wanted" in result.output
    assert {task.host for task in result.tasks if task.status == "failed"} == {"huge"}


def test_the_report_names_every_model_though_all_failed_and_some_before_they_began(site: Site) -> None:
    site.models = {
        "huge": {"vllm_values": {"gpu": {"count": 64}}},
        "misspelt": {"vllm_strategy": "nonsense"},
        # What an earlier play of the same run has left says nothing about this one.
        "stale": {"vllm_strategy": "nonsense", "vllm_report": {"ok": True, "line": "stale: fine"}},
        "unset": {"vllm_values": {"replicas": "{{ nowhere }}"}},
    }
    result = site.deploy()
    assert result.rc == 2
    report = result.output.rpartition("TASK [One line a model]")[2]
    assert "0 of 4 models are as wanted" in report
    for line in (
        "huge: FAILED at 'plan': ",
        "misspelt: FAILED at 'Deploy, verify and register the model': value of strategy must be one of",
        "unset: FAILED at 'Deploy, verify and register the model': Task failed: Finalization of task args",
    ):
        assert line in report, report
    last = {task.host: task.result["msg"] for task in result.tasks if task.status == "failed"}
    assert {host: message.partition(":")[0] for host, message in last.items()} == {
        "huge": "huge is not as wanted (capacity)",
        "misspelt": "misspelt is not as wanted (invalid)",
        "stale": "stale is not as wanted (invalid)",
        "unset": "unset is not as wanted (unknown)",
    }


def test_two_hosts_of_one_model_are_refused_by_name_before_anything(site: Site) -> None:
    site.models = {"one": {"vllm_model": "org/model"}, "two": {"vllm_model": "org/model"}, "good": {}}
    for arguments in ((), ("--tags", "preflight"), ("--check",)):
        result = site.deploy(*arguments)
        assert result.rc != 0
        assert "hosts one and two are the same model 'org/model' in development" in result.output
        assert result.find(action="vllm_deployment") == []
    assert site.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_pod_that_no_node_can_take_fails_at_once(site: Site) -> None:
    site.models = {"huge": {"vllm_values": {"gpu": {"count": 64}}}}
    result = site.deploy()
    assert result.rc != 0
    failure = result.find(action="vllm_deployment")[0].result
    assert failure["error_class"] == "capacity"
    assert failure["capacity"]["permanent"] is True
    assert result.wall_s < 30
    assert site.rows() == {}
    assert site.objects("apis/apps/v1/deployments") == []


@pytest.mark.full
def test_without_the_capacity_check_the_scheduler_decides(site: Site) -> None:
    pool = {"scheduling": {"nodeSelector": {"pool": "scaled-to-zero"}}}
    site.models = {"model": {"vllm_values": pool}}
    refused = next(task for task in site.deploy().tasks if task.status == "failed").result
    assert refused["capacity"]["permanent"] is True
    assert "vllm_check_capacity" in refused["resolution"]
    # Longer than a pod that no node may take is waited for otherwise.
    site.variables = {"vllm_check_capacity": False, "vllm_rollout_timeout": CONFIGURATION_GRACE_S + 4}
    waited = next(task for task in site.deploy().tasks if task.status == "failed").result
    assert waited["error_class"] == "timeout"
    assert "a node for" in waited["msg"]


def test_waits_for_capacity_until_the_timeout_then_changes_nothing(site: Site) -> None:
    # Both fit the node alone, but not together.
    site.models = {"big": {"vllm_values": {"gpu": {"count": 20}}}}
    site.deploy().check()
    site.models = {"late": {"vllm_values": {"gpu": {"count": 20}}, "vllm_capacity_timeout": 6}}
    result = site.deploy()
    assert result.rc != 0
    assert "waiting for capacity" in result.output
    failed = next(task for task in result.find(action="vllm_deployment") if task.status == "failed").result
    assert failed["error_class"] == "capacity"
    assert failed["waited_s"] >= 6
    assert site.revisions("late") == []


def test_update_surges_with_a_free_slot_and_never_deadlocks_without(site: Site) -> None:
    site.models = {"mid": {"vllm_values": {"gpu": {"count": 8}}}}
    site.deploy().check()
    site.models["mid"]["vllm_values"]["model"] = {"maxModelLen": 1024}
    surged = site.deploy().check()
    assert _released(surged)["strategy"] == "surge"
    site.models["mid"]["vllm_values"]["gpu"] = {"count": 20}
    site.deploy().check()
    site.models["mid"]["vllm_values"]["model"] = {"maxModelLen": 2048}
    replaced = site.deploy().check()
    assert _released(replaced)["strategy"] == "unavailable-first"
    assert _released(replaced)["interrupts"] is True
    assert site.deploy().check().changed == []


@dataclass(frozen=True)
class Failure:
    """A model that starts wrong: its values, and what the run has to say of it."""

    name: str
    values: dict[str, Any]
    error_class: str
    said: str = ""


FAILURES = [
    Failure("missing-image", {"image": {"tag": "9.9.9"}}, "workload", "ErrImageNeverPull"),
    Failure("crash-at-start", fault("crash-at-start"), "workload", "CrashLoopBackOff"),
    Failure(
        "out-of-memory",
        # Its port is open for a moment, in which it must not count as ready.
        fault("oom", MODEL_SERVER_OOM_MB_PER_S="4096")
        | {"probes": {"readiness": {"initialDelaySeconds": 3}}},
        "workload",
        "OOMKilled",
    ),
    Failure(
        "missing-secret",
        {"secrets": {"hfToken": {"existingSecret": "nowhere"}}},
        "workload",
        "CreateContainerConfigError",
    ),
    Failure("hang", fault("hang"), "verification", "completion"),
    Failure("http-500", fault("http-500"), "verification", "500"),
    Failure("error-200", fault("error-200"), "verification"),
    Failure("empty-200", fault("empty-200"), "verification"),
    Failure("wrong-name", fault("wrong-name"), "verification"),
]


@pytest.fixture(scope="module")
def broken(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site whose models all start wrong."""
    with fresh_namespace(api, "broken") as namespace, fresh_database(lab) as dsn:
        site = Site(lab, api, namespace, dsn, PlayRunner(tmp_path_factory.mktemp("broken")))
        site.models = {case.name: {"vllm_values": case.values} for case in FAILURES}
        yield site


@pytest.fixture(scope="module")
def failed(broken: Site) -> PlayResult:
    """Return the run that deploys them, side by side."""
    return broken.deploy("--forks", str(len(FAILURES)), vllm_verify_timeout=8)


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.name)
def test_failure_mode_is_explained_and_not_registered_as_ready(
    broken: Site, failed: PlayResult, case: Failure
) -> None:
    assert failed.rc != 0
    failure = next(task for task in failed.find(host=case.name) if task.status == "failed").result
    assert failure["error_class"] == case.error_class, failure["msg"]
    assert case.said in failure["msg"]
    assert failure["resolution"]
    assert f"{case.name}: FAILED at" in failed.output
    assert broken.rows()[case.name]["deployment_status"] == "failed"
    operations = "SELECT outcome, error_class FROM operations WHERE model_name = %s"
    assert broken.query(operations, (case.name,)) == [("failed", case.error_class)]
    # What did not serve is not gone back to; what never came to start is not known to serve badly.
    verdicts = "SELECT verdict FROM manifest_verifications WHERE model_name = %s"
    assert broken.query(verdicts, (case.name,)) == [("failed",)]
    locks = "SELECT operation_id FROM operation_locks WHERE model_name = %s"
    assert broken.query(locks, (case.name,)) == [(None,)]
    assert failed.wall_s < 90
    assert slots(failed, case.name) == sum(documented_slots())


WRONG_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "latency": ({"vllm_max_latency_s": 0}, "verification.max_latency_s: 0.0 is not between"),
    "no-number": ({"vllm_max_latency_s": float("nan")}, "verification.max_latency_s: nan is not between"),
    "timeout": ({"vllm_verify_timeout": 0}, "verification.timeout: 0.0 is not between"),
    "secret": (
        {"vllm_api_key_secret": {"name": "nowhere"}},
        "verification.api_key_secret: 'nowhere' is",
    ),
    "secret-key": ({"vllm_api_key_secret": {"key": "token"}}, "verification.api_key_secret.name"),
    "secret-text": ({"vllm_api_key_secret": "token"}, "verification.api_key_secret: dictionary requested"),
    "takeover": ({"vllm_takeover_after": -1}, "takeover_after: -1.0 is not a time"),
    "type": ({"vllm_check_capacity": "maybe"}, "argument 'check_capacity' is of type str"),
}


@pytest.mark.full
def test_a_mistake_of_the_run_is_found_before_the_lock_and_not_held_against_the_model(site: Site) -> None:
    site.models = {name: {} for name in WRONG_ARGUMENTS}
    site.deploy().check()
    rows = site.rows()
    assert {row["deployment_status"] for row in rows.values()} == {"ready"}
    changed = {"model": {"extraEnv": [{"name": "CHANGED", "value": "yes"}]}}
    site.models = {name: {"vllm_values": changed, **wrong} for name, (wrong, _) in WRONG_ARGUMENTS.items()}
    site.models["new"] = {"vllm_values": changed, "vllm_max_latency_s": 0}
    count = "SELECT count(*) FROM operations"
    operations = site.query(count)
    for arguments in (("--check",), ()):
        result = site.deploy(*arguments)
        assert result.rc != 0
        for name, (_, said) in WRONG_ARGUMENTS.items():
            failure = next(task for task in result.find(host=name) if task.status == "failed").result
            assert (failure["error_class"], said in failure["msg"]) == ("invalid", True), failure["msg"]
        assert site.rows() == rows
        assert site.query(count) == operations
        assert {name: site.revisions(name) for name in rows} == {name: ["deployed"] for name in rows}


@pytest.mark.full
def test_mended_cause_then_the_same_command_again_converges(site: Site) -> None:
    site.models = {"gated": {"vllm_values": {"secrets": {"hfToken": {"existingSecret": "hugging-face"}}}}}
    assert site.deploy().rc != 0
    path = f"/api/v1/namespaces/{site.namespace}/secrets"
    site.api.create(path, {"metadata": {"name": "hugging-face"}, "stringData": {"token": "canary-4711"}})
    result = site.deploy("-vvvv").check()
    assert "canary-4711" not in result.output
    assert site.rows()["gated"]["deployment_status"] == "ready"
    assert site.deploy().check().changed == []


def test_failed_update_keeps_the_route_to_the_revision_that_serves(site: Site) -> None:
    site.models = {"model": {}}
    site.deploy().check()
    site.models["model"] = {"vllm_values": fault("crash-at-start")}
    result = site.deploy()
    assert result.rc != 0
    row = site.rows()["model"]
    assert row["deployment_status"] == "ready"
    assert row["release_revision"] == 1
    site.models["model"] = {}
    site.deploy().check()
    assert site.rows()["model"]["deployment_status"] == "ready"


def test_who_cannot_ask_takes_no_model_from_clients(site: Site) -> None:
    site.models = {"model": {}}
    site.deploy().check()
    before = site.rows()
    result = site.deploy(vllm_api_key_secret={"name": "nowhere", "key": "key"})
    assert result.rc != 0
    failed = next(task for task in result.tasks if task.status == "failed")
    # Before the verification itself, and so before the lock.
    assert failed.action.endswith("vllm_deployment")
    assert "nowhere" in failed.result["msg"]
    assert site.rows() == before


def test_hand_made_change_is_shown_and_mended(site: Site) -> None:
    site.models = {"model": {}}
    site.deploy().check()
    name = release_name("model", "development")
    site.api.delete(f"/api/v1/namespaces/{site.namespace}/services/{name}")
    planned = site.deploy("--check", "--diff").check()
    assert f"Service/{name}: is missing" in planned.output
    mended = site.deploy().check()
    assert _released(mended)["drift"] == [f"Service/{name}: is missing"]
    assert site.deploy().check().changed == []


def test_fields_of_others_are_named_before_anything_is_changed(site: Site) -> None:
    site.models = {"model": {}}
    site.deploy().check()
    rows = site.rows()
    name = release_name("model", "development")
    path = f"/apis/apps/v1/namespaces/{site.namespace}/deployments/{name}"

    def scale(replicas: int) -> None:
        site.api.patch(f"{path}/scale", {"spec": {"replicas": replicas}}, {"fieldManager": "by-hand"})

    env = [{"name": "BY_HAND", "value": "1"}]
    added = {"spec": {"template": {"spec": {"containers": [{"name": "vllm", "env": env}]}}}}
    merge = "application/strategic-merge-patch+json"
    site.api.patch(path, added, {"fieldManager": "by-hand"}, merge)
    told = site.deploy().check()
    assert told.changed == []
    assert "added by others: spec.template.spec.containers[vllm].env[BY_HAND] (set by by-hand" in told.output

    scale(2)
    for arguments in (("--check",), ()):
        refused = site.deploy(*arguments)
        failed = next(task for task in refused.tasks if task.status == "failed").result
        assert (failed["error_class"], failed["failed_step"]) == ("invalid", "plan")
        assert f".spec.replicas of Deployment/{name} is managed by by-hand" in failed["msg"]
        assert "vllm_force_conflicts" in failed["msg"]
        assert "replicas to null" in failed["msg"]
        assert site.revisions("model") == ["deployed"]
        assert site.rows() == rows
    site.deploy(vllm_force_conflicts=True).check()
    assert site.api.get(path)["spec"]["replicas"] == 1
    assert site.deploy().check().changed == []

    # Left to whoever scales it, an autoscaler say.
    scale(2)
    site.models = {"model": {"vllm_values": {"replicas": None}}}
    site.deploy().check()
    assert site.api.get(path)["spec"]["replicas"] == 2
    scale(3)
    assert site.deploy().check().changed == []
    assert site.api.get(path)["spec"]["replicas"] == 3


def test_ten_models_at_once_two_of_them_broken(site: Site) -> None:
    site.models = {f"model-{number}": {} for number in range(8)}
    site.models["model-8"] = {"vllm_values": fault("crash-at-start")}
    site.models["model-9"] = {"vllm_values": {"image": {"tag": "9.9.9"}}}
    result = site.deploy("--forks", "10")
    assert result.rc != 0
    rows = site.rows()
    assert {name for name, row in rows.items() if row["deployment_status"] == "ready"} == {
        f"model-{number}" for number in range(8)
    }
    assert "model-8: FAILED at" in result.output
    assert "CrashLoopBackOff" in result.output
    assert "model-9: FAILED at" in result.output
    assert "ErrImageNeverPull" in result.output


@dataclass(frozen=True)
class Kill:
    """When a run is killed: what it has printed by then, the model's variables, how operations then end."""

    phase: str
    variables: dict[str, Any] = field(default_factory=dict)
    outcomes: Sequence[str] = ("interrupted", "succeeded")
    slow_ready: bool = False  #: it takes the database a while to write that the model is ready


KILLS = [
    Kill("needs an install"),
    Kill("telling routers"),
    Kill("helm install"),
    Kill(
        "waiting for",
        {"vllm_values": {"model": {"extraEnv": [{"name": "MODEL_SERVER_LOAD_SECONDS", "value": "4"}]}}},
    ),
    # What is left to do then needs no operation of its own: the next one says how this one ended.
    Kill("verifying a completion"),
    Kill("registering what", slow_ready=True),
]


@pytest.fixture(scope="module")
def killed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """Return the cases while they are played, some at a time: each waits more than it computes."""

    def play(case: Kill) -> None:
        client = clients[case.phase]
        with fresh_namespace(client, "killed") as namespace, fresh_database(lab) as dsn:
            _kill_and_resume(Site(lab, client, namespace, dsn, PlayRunner(folders[case.phase])), case)

    folders = {case.phase: tmp_path_factory.mktemp("killed") for case in KILLS}
    # One for each thread, made one after the other: making one removes the temporary files of all.
    clients = {case.phase: ClusterClient(Authentication(kubeconfig=str(lab.kubeconfig))) for case in KILLS}
    pool = ThreadPoolExecutor(3)
    try:
        yield {case.phase: pool.submit(play, case) for case in KILLS}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", KILLS, ids=lambda case: case.phase)
def test_killed_run_then_the_same_command_resumes_at_once(
    killed: dict[str, Future[None]], case: Kill
) -> None:
    killed[case.phase].result()


_SLOW_READY = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON model_registry_entries
FOR EACH ROW WHEN (NEW.deployment_status = 'ready') EXECUTE FUNCTION slow();
SELECT 1
"""


def _kill_and_resume(site: Site, case: Kill) -> None:
    outcomes = list(case.outcomes)
    site.models = {"model": dict(case.variables)}
    # Nothing of this has to be waited for: it is seen that the run is dead.
    site.variables = {"vllm_takeover_after": 600, "vllm_lock_ttl": 600}
    if case.slow_ready:
        # Nothing is removed; the schema is there then.
        site.deploy(vllm_state="absent", deploy_all=True).check()
        site.query(_SLOW_READY)
    running = site.start()
    running.wait_for(case.phase)
    running.kill()
    resumed = site.deploy().check()
    assert "taken over if it stays so" not in resumed.output
    assert resumed.wall_s < 60
    assert site.rows()["model"]["deployment_status"] == "ready"
    assert site.revisions("model")[-1] == "deployed"
    [(count,)] = site.query("SELECT count(*) FROM operations")
    if case.phase == "needs an install" and count == 2:
        # The run had begun its operation in the moment before it died.
        outcomes = ["interrupted", "succeeded"]
    if count != len(outcomes):
        site.models["model"] = {"vllm_values": {"model": {"maxModelLen": 2048}}}
        site.deploy().check()
    found = site.query("SELECT outcome, id, resumes FROM operations ORDER BY fence")
    assert [outcome for outcome, _, _ in found] == outcomes
    assert [resumes for _, _, resumes in found[1:]] == [operation for _, operation, _ in found[:-1]]
    assert site.query("SELECT operation_id FROM operation_locks") == [(None,)]
    assert site.deploy().check().changed == []


def test_removal_deregisters_first_and_is_idempotent(site: Site) -> None:
    site.models = {"model": {}}
    site.deploy().check()
    # What a failed `helm test` leaves belongs to the release, but is no model server that has to end.
    labels = {
        "app.kubernetes.io/name": "vllm-test",
        "app.kubernetes.io/instance": release_name("model", "development"),
    }
    site.api.create(
        f"/api/v1/namespaces/{site.namespace}/pods",
        {
            "metadata": {"name": "left-by-a-test", "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "nowhere.invalid/x", "imagePullPolicy": "Never"}]},
        },
    )
    assert site.deploy().check().changed == []
    removed = site.deploy(vllm_state="absent", deploy_all=True).check()
    assert removed.wall_s < 60
    (done,) = [task.result for task in removed.tasks if task.changed]
    assert [step["name"] for step in done["steps"]] == ["withdraw", "helm uninstall"]
    assert site.rows() == {}
    assert site.objects("apis/apps/v1/deployments") == []
    assert site.deploy(vllm_state="absent", deploy_all=True).check().changed == []


HOSTILE_NAMES = [
    "org/Name.With-DOTS_and-Capitals",
    "日本語/モデル-7b",
    "o" * 300,
    "$(touch /tmp/owned); `id` 'quoted' \"twice\" --help",
]


def test_hostile_names_are_served_under_exactly_those_names(site: Site) -> None:
    site.models = {f"host-{number}": {"vllm_model": name} for number, name in enumerate(HOSTILE_NAMES)}
    site.deploy().check()
    statuses = {name: row["deployment_status"] for name, row in site.rows().items()}
    assert statuses == dict.fromkeys(HOSTILE_NAMES, "ready")
    assert site.deploy().check().changed == []


def _released(result: PlayResult) -> dict[str, Any]:
    done: dict[str, Any] = result.find(action="vllm_deployment")[-1].result["release"]
    return done

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Going back, played as a user plays it: from every odd place, twice, under load, and by itself."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import (
    failed_copy,
    read_release,
)
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.models import fault
from tests.support.playbooks import PlayResult, PlayRunner, RunningPlay
from tests.support.processes import paused
from tests.support.site import Site
from tests.support.watch import Watch

ROLLBACK = "playbooks/rollback.yml"


class RollbackSite(Site):
    """A site that goes back, too."""

    def begin_rollback(self, limit: str, *arguments: str, **extra_vars: Any) -> RunningPlay:
        """Start rollback.yml."""
        return self.runner.start(
            ROLLBACK,
            inventory=self.inventory(),
            arguments=["--limit", limit, *arguments],
            extra_vars=extra_vars,
        )

    def roll_back(self, limit: str, *arguments: str, **extra_vars: Any) -> PlayResult:
        """Play rollback.yml to its end."""
        return self.begin_rollback(limit, *arguments, **extra_vars).wait(240)

    def release(self, model: str) -> str:
        """Return the name of a model's release."""
        return release_name(model, "development")

    def deployment(self, model: str) -> dict[str, Any]:
        """Return the Deployment of a model."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.release(model)}"
        return self.api.get(path)

    def variant(self, model: str) -> str:
        """Return which variant of a model its Deployment is of."""
        return str(self.variables_of(model).get("VARIANT"))

    def variables_of(self, model: str) -> dict[str, Any]:
        """Return the variables of a model server."""
        env = self.deployment(model)["spec"]["template"]["spec"]["containers"][0]["env"]
        return {item["name"]: item.get("value") for item in env}

    def outcomes(self, model: str) -> list[tuple[str, str]]:
        """Return kind and outcome of each operation, oldest first."""
        found = self.query(
            "SELECT kind, outcome FROM operations WHERE model_name = %s ORDER BY fence", (model,)
        )
        return [(kind, outcome) for kind, outcome in found]

    def status(self, model: str) -> str:
        """Return what the row says."""
        return str(self.rows()[model]["deployment_status"])


def variant(name: str, **values: Any) -> dict[str, Any]:
    """Return host variables of a model that is told from others by a variable of its server."""
    extra = [{"name": "VARIANT", "value": name}]
    model = values.pop("model", {})
    extra += model.get("extraEnv", [])
    return {"vllm_values": {**values, "model": {**model, "extraEnv": extra}}}


def broken(name: str, kind: str, **settings: str) -> dict[str, Any]:
    """Return host variables of a variant that does not serve."""
    return variant(name, **fault(kind, **settings))


def failure(result: PlayResult, model: str) -> dict[str, Any]:
    return next(task.result for task in result.find(host=model) if task.status == "failed")


def report(result: PlayResult, model: str) -> dict[str, Any]:
    return result.find(action="vllm_rollback", host=model)[-1].result


@pytest.fixture
def site(lab: Lab, api: ClusterClient, namespace: str, registry_dsn: str, tmp_path: Path) -> RollbackSite:
    """Return an empty site; what was deployed goes away with its namespace."""
    return RollbackSite(lab, api, namespace, registry_dsn, PlayRunner(tmp_path))


# What is done to each model after its two deployments, and what going back has to make of it.


def prune(site: RollbackSite, model: str) -> None:
    """Have Helm forget the revision."""
    name = f"sh.helm.release.v1.{site.release(model)}.v1"
    site.api.delete(f"/api/v1/namespaces/{site.namespace}/secrets/{name}")


def edit(site: RollbackSite, model: str) -> None:
    """Change a variable and add one, as ``kubectl edit`` does."""
    env = [{"name": "VARIANT", "value": "by hand"}, {"name": "ADDED", "value": "by hand"}]
    body = {"spec": {"template": {"spec": {"containers": [{"name": "vllm", "env": env}]}}}}
    path = f"/apis/apps/v1/namespaces/{site.namespace}/deployments/{site.release(model)}"
    site.api.patch(path, body, {"fieldManager": "kubectl-edit"}, "application/strategic-merge-patch+json")


def forget_secret(site: RollbackSite, model: str) -> None:
    """Remove the Secret that the first variant needs."""
    site.api.delete(f"/api/v1/namespaces/{site.namespace}/secrets/hub-{model}")


def leave_pending(site: RollbackSite, model: str) -> None:
    """Leave the release as a helm does that was killed on another machine."""
    record = read_release(site.api, site.release(model), site.namespace)
    assert record is not None
    secret = failed_copy(record, "", record.modified_at)
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    release["info"]["status"] = secret["metadata"]["labels"]["status"] = "pending-upgrade"
    packed = gzip.compress(json.dumps(release).encode())
    secret["data"]["release"] = base64.b64encode(base64.b64encode(packed)).decode()
    site.api.replace(f"/api/v1/namespaces/{site.namespace}/secrets/{secret['metadata']['name']}", secret)


def nothing(site: RollbackSite, model: str) -> None:
    """Leave all as it is."""


def ctr(lab: Lab, *arguments: str) -> None:
    """Call the client of the node's containerd."""
    socket = lab.folder / "containerd" / "containerd.sock"
    subprocess.run(["ctr", "--address", str(socket), "--namespace", "k8s.io", *arguments], check=True)


#: Another name of the lab's image, which goes away again.
REPOSITORY, GONE = "llmops.local/model-server", "rollback-gone"


def forget_image(site: RollbackSite, model: str) -> None:
    """Take the image of the first variant from the node."""
    del model
    ctr(site.lab, "images", "rm", f"{REPOSITORY}:{GONE}")


@dataclass(frozen=True)
class Case:
    """A model, its first variant, and what is done to it; where going back fails at, and what it says."""

    name: str
    first: dict[str, Any] = field(default_factory=lambda: variant("a"))
    then: Callable[[RollbackSite, str], None] = nothing
    fails_at: str = ""
    says: str = ""


HUB = {"secrets": {"hfToken": {"existingSecret": "hub-secret-gone"}}}
CASES = [
    Case("plain"),
    Case("history-pruned", then=prune),
    Case("edited-by-hand", then=edit),
    Case("left-pending", then=leave_pending),
    Case("secret-gone", variant("a", **HUB), forget_secret, "plan", "Secret hub-secret-gone is missing"),
    Case("image-gone", variant("a", image={"tag": GONE}), forget_image, "rollout", "ErrImageNeverPull"),
]
GOOD = [case.name for case in CASES if not case.fails_at]


@pytest.fixture(scope="module")
def journey(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RollbackSite]:
    """Return a site whose models were deployed as a, then as b; then something was done to each."""
    with fresh_namespace(api, "back") as namespace, fresh_database(lab) as dsn:
        site = RollbackSite(lab, api, namespace, dsn, PlayRunner(tmp_path_factory.mktemp("back")))
        secret = {"metadata": {"name": "hub-secret-gone"}, "stringData": {"token": "x"}}
        api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
        ctr(lab, "images", "tag", "--force", f"{REPOSITORY}:0.1.0", f"{REPOSITORY}:{GONE}")
        site.models = {case.name: case.first for case in CASES} | {"first": variant("a")}
        site.deploy("--forks", "7").check()
        site.models = {case.name: variant("b") for case in CASES} | {"first": variant("a")}
        site.variables = {"vllm_takeover_after": 1}
        site.deploy("--forks", "7", "--limit", "all:!first").check()
        for case in CASES:
            case.then(site, case.name)
        yield site


@pytest.fixture(scope="module")
def watch(journey: RollbackSite) -> Watch:
    """Return who watches the model that cannot go back."""
    return Watch(journey, "image-gone", journey.release("image-gone"))


@pytest.fixture(scope="module")
def played(journey: RollbackSite, watch: Watch) -> PlayResult:
    """Return the run in which all of them go back."""
    with watch:
        return journey.roll_back("all", "--forks", "7", reason="b answers badly")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_odd_place_is_gone_back_from_or_left_alone(
    journey: RollbackSite, played: PlayResult, case: Case
) -> None:
    site = journey
    assert site.status(case.name) == "ready"
    row, verdicts = site.rows()[case.name], "SELECT verdict, reason FROM manifest_verifications"
    newest = site.query(f"{verdicts} WHERE model_name = %s ORDER BY id DESC LIMIT 1", (case.name,))
    if case.fails_at:
        failed = failure(played, case.name)
        assert (failed["error_class"], failed["failed_step"]) == ("workload", case.fails_at), failed["msg"]
        assert case.says in failed["msg"]
        assert failed["entry_status"] == "ready"
        assert row["release_revision"] == 2
        assert site.outcomes(case.name)[-1] == ("rollback", "failed")
        return
    done = report(played, case.name)
    assert done["changed"], played.output
    assert done["plan"]["after"]["revision"] == 1
    # Something of it was known before: the deployment of a.
    assert done["plan"]["based_on"] >= 1
    assert done["plan"]["expected_s"] > 0
    assert (site.variant(case.name), row["release_revision"]) == ("a", 3)
    assert "ADDED" not in site.variables_of(case.name)
    first = "SELECT manifest_digest FROM deployment_manifests WHERE model_name = %s ORDER BY id LIMIT 1"
    assert [(row["manifest_digest"],)] == site.query(first, (case.name,))
    assert newest == [("revoked", "rolled back: b answers badly")]
    assert site.outcomes(case.name)[-1] == ("rollback", "succeeded")


def test_what_still_serves_goes_on_serving(journey: RollbackSite, played: PlayResult, watch: Watch) -> None:
    """The image is nowhere, which nobody can know before; the old pod stays until a new one is ready."""
    failed = failure(played, "image-gone")
    assert "clients keep it" in failed["msg"]
    assert len(watch.seen) > 20
    assert [one for one in watch.seen if not one.answered or one.before != "ready"] == []
    # The image may come again, so it is tried again; no verdict is given on what has served. Or forward.
    again = failure(journey.roll_back("image-gone"), "image-gone")
    assert (again["error_class"], again["entry_status"]) == ("workload", "ready")
    journey.deploy("--limit", "image-gone", "-e", "vllm_retry_rejected=true").check()
    assert (journey.variant("image-gone"), journey.status("image-gone")) == ("b", "ready")


def test_a_first_revision_goes_nowhere_by_itself(journey: RollbackSite, played: PlayResult) -> None:
    failed = failure(played, "first")
    assert (failed["error_class"], failed["changed"]) == ("invalid", False)
    assert "rollback_first_revision" in failed["resolution"]
    assert journey.status("first") == "ready"


def test_played_twice_is_as_good_as_once(journey: RollbackSite, played: PlayResult) -> None:
    again = journey.roll_back(",".join(GOOD), "--forks", "6").check()
    assert again.changed == []
    assert {journey.variant(model) for model in GOOD} == {"a"}
    assert all("already, as revision 3" in report(again, model)["line"] for model in GOOD)
    assert [report(again, model)["plan"]["way"] for model in GOOD] == ["none"] * len(GOOD)
    assert all(len(journey.revisions(model)) <= 3 for model in GOOD)


def test_a_first_revision_is_taken_away_when_asked_and_from_then_on_the_plan_names_a_third(
    journey: RollbackSite, played: PlayResult
) -> None:
    """One goes away; the other was a, b, a, becomes c, and goes back to a, never to b."""
    site = journey
    site.models["plain"] = variant("c")
    site.deploy("--limit", "plain").check()
    back = site.roll_back("plain,first", "--forks", "2", rollback_first_revision="remove").check()
    plan = report(back, "plain")["plan"]
    assert (plan["before"]["revision"], plan["after"]["revision"]) == (4, 3)
    assert (site.variant("plain"), site.rows()["plain"]["release_revision"]) == ("a", 5)
    assert plan["same"] is True
    removed = report(back, "first")
    assert (removed["changed"], removed["plan"]["way"]) == (True, "remove")
    assert [step["name"] for step in removed["steps"]] == [
        "revoke what is given up",
        "withdraw",
        "helm uninstall",
    ]
    assert "first" not in site.rows()
    assert site.revisions("first") == []
    again = site.roll_back("plain,first", "--forks", "2", rollback_first_revision="remove").check()
    assert again.changed == []
    assert site.variant("plain") == "a"


# By itself.


@dataclass(frozen=True)
class Bad:
    """A version that does not serve: how it fails, and the class of that."""

    name: str
    values: dict[str, Any]
    error_class: str


BAD = [
    Bad("crashes", broken("b", "crash-at-start"), "workload"),
    # It is ready, so clients get to it, and it takes a real completion to find out.
    Bad("answers-500", broken("b", "http-500"), "verification"),
    # It is ready, and then is not while the old one drains.
    Bad(
        "dies-when-ready",
        variant("b", model={"extraEnv": [{"name": "MODEL_SERVER_CONTROL", "value": "1"}]}),
        "timeout",
    ),
]
#: The new version takes a while to be ready, so whoever goes back has to wait for the old one too.
LOADING = {"name": "MODEL_SERVER_LOAD_SECONDS", "value": "3"}


@pytest.fixture(scope="module")
def guarded(
    lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RollbackSite, PlayResult, dict[str, Watch]]]:
    """Return a guarded site after bad versions were deployed there, and what was seen meanwhile."""
    with fresh_namespace(api, "guarded") as namespace, fresh_database(lab) as dsn:
        site = RollbackSite(lab, api, namespace, dsn, PlayRunner(tmp_path_factory.mktemp("guarded")))
        site.variables = {"vllm_rollback_on_failure": True, "vllm_retry_rejected": False}
        site.variables["vllm_verify_timeout"] = 8
        good = variant("a", model={"extraEnv": [LOADING]}, drain={"preStopSeconds": 5})
        site.models = {bad.name: good for bad in BAD} | {"late": good, "never": broken("a", "http-500")}
        site.deploy("--forks", "5")
        watches = {bad.name: Watch(site, bad.name, site.release(bad.name)) for bad in BAD}
        site.models = {bad.name: bad.values for bad in BAD} | {"never": broken("b", "crash-at-start")}
        # What fails for want of time is no reason to go back.
        slow = [{"name": "MODEL_SERVER_LOAD_SECONDS", "value": "60"}]
        site.models["late"] = variant("b", model={"extraEnv": slow}) | {"vllm_rollout_timeout": 4}
        with ExitStack() as stack:
            for watch in watches.values():
                stack.enter_context(watch)
            running = site.start("--forks", "5")
            killer = threading.Thread(target=break_when_ready, args=(site, "dies-when-ready", running))
            killer.start()
            result = running.wait(240)
            killer.join()
        yield site, result, watches


def break_when_ready(site: RollbackSite, model: str, running: RunningPlay) -> None:
    """Make the engine of the new pod die as soon as the pod is ready."""
    client = ClusterClient(Authentication(kubeconfig=str(site.lab.kubeconfig)))
    pods = f"/api/v1/namespaces/{site.namespace}/pods"
    query = {"labelSelector": f"app.kubernetes.io/instance={site.release(model)}"}
    while running.process.poll() is None:
        for pod in client.list_pages(pods, query):
            variables = [item["name"] for item in pod["spec"]["containers"][0]["env"]]
            ready = [item for item in pod["status"].get("conditions", ()) if item["type"] == "Ready"]
            if "MODEL_SERVER_CONTROL" in variables and ready and ready[0]["status"] == "True":
                path = f"{pods}/{pod['metadata']['name']}:8000/proxy/control"
                client.create(path, {"fault": "engine-dead"})
                return
        time.sleep(0.02)


Guarded = tuple[RollbackSite, PlayResult, dict[str, Watch]]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_version_rolls_itself_back(guarded: Guarded, bad: Bad) -> None:
    site, result, watches = guarded
    failed = failure(result, bad.name)
    assert failed["error_class"] == bad.error_class, failed["msg"]
    assert "It was rolled back" in failed["msg"]
    assert failed["rolled_back"]["of_revision"] == 1
    assert failed["rolled_back"]["revision"] == 3
    row = site.rows()[bad.name]
    assert (row["deployment_status"], row["release_revision"], site.variant(bad.name)) == ("ready", 3, "a")
    assert site.outcomes(bad.name) == [("deploy", "succeeded"), ("deploy", "rolled_back")]
    verdicts = "SELECT verdict FROM manifest_verifications WHERE model_name = %s ORDER BY id"
    assert site.query(verdicts, (bad.name,)) == [("passed",), ("failed",)]
    assert watches[bad.name].seen[-1].answered


def test_clients_never_notice_a_version_that_does_not_start(guarded: Guarded) -> None:
    _site, _result, watches = guarded
    seen = watches["crashes"].seen
    assert len(seen) > 50
    assert [one for one in seen if not one.answered or one.before != "ready"] == []


@pytest.mark.parametrize("name", ["answers-500", "dies-when-ready"])
def test_no_row_says_ready_for_what_was_found_not_to_serve(guarded: Guarded, name: str) -> None:
    """A pod that is ready and answers wrong gets requests until that is found out, and no longer."""
    _site, _result, watches = guarded
    seen = watches[name].seen
    found_out = next(one.at for one in seen if one.before != "ready")
    assert any(not one.answered for one in seen)
    assert [one for one in watches[name].lies if one.at > found_out] == []
    if name == "answers-500":
        # It comes back for good, and loading alone takes three seconds.
        back = next(one.at for one in seen if one.at > found_out and one.before == "ready")
        assert back - found_out > 2
        assert all(one.answered and one.before == "ready" for one in seen if one.at > back + 0.1)


def test_what_fails_for_want_of_time_is_not_undone(guarded: Guarded) -> None:
    site, result, _watches = guarded
    failed = failure(result, "late")
    assert (failed["error_class"], "rolled_back" in failed) == ("timeout", False)
    assert site.variant("late") == "b"
    assert site.outcomes("late")[-1] == ("deploy", "failed")


def test_what_never_served_has_nothing_to_go_back_to(guarded: Guarded) -> None:
    site, result, _watches = guarded
    failed = failure(result, "never")
    assert failed["error_class"] == "workload"
    assert "rolled_back" not in failed
    assert "names nothing" in failed["rollback_error"]
    assert site.outcomes("never") == [("deploy", "failed")] * 2
    assert site.status("never") == "failed"
    # One failure is one verdict.
    verdicts = "SELECT count(*) FROM manifest_verifications WHERE model_name = 'never'"
    assert site.query(verdicts) == [(2,)]


@pytest.mark.full
def test_the_same_bad_version_is_refused_then_by_consent_stays(guarded: Guarded) -> None:
    site, _result, _watches = guarded
    site.models = {bad.name: bad.values for bad in BAD}
    again = site.deploy("--forks", "2")
    for bad in BAD:
        failed = failure(again, bad.name)
        assert (failed["error_class"], failed["failed_step"]) == ("verification", "plan"), failed
        assert site.revisions(bad.name)[-1] == "deployed"
        assert site.rows()[bad.name]["deployment_status"] == "ready"
    site.models = {"crashes": BAD[0].values}
    insisted = failure(site.deploy(vllm_retry_rejected=True), "crashes")
    # It was undone once. Twice the same would go on for ever.
    assert "rolled_back" not in insisted
    assert site.variant("crashes") == "b"
    # The old pods serve on; by hand it is gone back from all the same.
    assert site.status("crashes") == "ready"
    site.roll_back("crashes").check()
    assert site.variant("crashes") == "a"


# Under load.


class Streams:
    """Keeps so many streams open at a Service, each begun anew when it ended; a context manager."""

    def __init__(self, url: str, model: str, count: int = 64) -> None:
        self._url, self._model, self._count = url, model, count
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.whole = 0
        self.open = 0
        self.failed: list[str] = []

    def __enter__(self) -> Streams:
        self._thread.start()
        deadline = time.monotonic() + 20
        while self.open < self._count:
            assert time.monotonic() < deadline, (self.open, self.failed[:3])
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._stream(session) for _ in range(self._count)))

    async def _stream(self, session: aiohttp.ClientSession) -> None:
        message = {"role": "user", "content": "Hello"}
        body = {"model": self._model, "messages": [message], "max_tokens": 16, "stream": True}
        while not self._ended.is_set():
            text = b""
            try:
                async with session.post(f"{self._url}/v1/chat/completions", json=body) as response:
                    async for chunk in response.content.iter_any():
                        self.open += not text
                        text += chunk
                    if response.status != 200 or not text.endswith(b"data: [DONE]\n\n"):
                        self.failed.append(f"{response.status}: {text[-100:]!r}")
                    self.whole += 1
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.failed.append(f"{type(error).__name__}: {error}")
            finally:
                self.open -= bool(text)


#: A stream takes about two seconds; a pod that goes gives them time to end.
STREAMING = {
    "drain": {"preStopSeconds": 3, "shutdownTimeoutSeconds": 6, "marginSeconds": 1},
    "model": {"extraEnv": [{"name": "MODEL_SERVER_ITL_MS", "value": "120"}]},
}


@pytest.mark.full
def test_sixty_four_streams_do_not_notice(site: RollbackSite) -> None:
    site.models = {"busy": variant("a", **STREAMING)}
    site.deploy().check()
    site.models = {"busy": variant("b", **STREAMING)}
    site.deploy().check()
    service = site.api.get(f"/api/v1/namespaces/{site.namespace}/services/{site.release('busy')}")
    with Streams(f"http://{service['spec']['clusterIP']}:8000", "busy") as streams:
        result = site.roll_back("busy").check()
        plan = report(result, "busy")["plan"]
        before = streams.whole
        time.sleep(4)
        assert streams.whole > before
    assert (plan["strategy"], plan["interrupts"], plan["away_s"]) == ("surge", False, 0.0)
    assert streams.failed == []
    assert streams.whole > 64
    assert site.variant("busy") == "a"


# Several at once, and in the middle of something.


@contextmanager
def stopped_at(site: RollbackSite, run: RunningPlay, text: str) -> Iterator[None]:
    """Hold a run where it has printed a text."""
    run.wait_for(text)
    with paused(run):
        yield


@pytest.fixture
def two(site: RollbackSite) -> RollbackSite:
    """Return a site with one model, a and then b."""
    site.variables = {"vllm_lock_ttl": 600, "vllm_takeover_after": 600}
    # A pod that goes is still sent requests for a moment.
    drain = {"preStopSeconds": 2}
    site.models = {"model": variant("a", drain=drain)}
    site.deploy().check()
    site.models = {"model": variant("b", drain=drain)}
    site.deploy().check()
    return site


@pytest.mark.full
def test_asked_for_twice_at_once_it_goes_back_once(two: RollbackSite) -> None:
    first = two.begin_rollback("model")
    with stopped_at(two, first, "helm upgrade"):
        told = failure(two.roll_back("model"), "model")
        assert told["error_class"] == "locked"
        waits = two.begin_rollback("model", vllm_lock_timeout=120)
        waits.wait_for("next try in")
    assert report(first.wait(120).check(), "model")["changed"] is True
    second = report(waits.wait(120).check(), "model")
    assert second["changed"] is False
    assert second["plan"]["way"] == "none"
    # What it says is what it found when its turn came.
    assert second["plan"]["before"]["revision"] == 3
    assert (two.variant("model"), len(two.revisions("model"))) == ("a", 3)
    assert two.status("model") == "ready"


@pytest.mark.full
def test_a_rollout_that_runs_is_waited_for_or_after_its_death_undone_in_place(two: RollbackSite) -> None:
    slow = [{"name": "MODEL_SERVER_LOAD_SECONDS", "value": "60"}]
    two.models = {"model": variant("c", model={"extraEnv": slow})}
    deploying = two.start()
    deploying.wait_for("waiting for")
    assert failure(two.roll_back("model"), "model")["error_class"] == "locked"
    deploying.kill()
    with Watch(two, "model", two.release("model")) as watch:
        back = report(two.roll_back("model").check(), "model")
    # b was never left, so its pod is the one that was there all the time.
    assert back["plan"]["after"]["revision"] == 2
    assert (back["plan"]["way"], back["plan"]["interrupts"]) == ("in_place", False)
    assert two.variant("model") == "b"
    assert [one for one in watch.seen if not one.answered or one.before != "ready"] == []
    assert two.roll_back("model").check().changed == []


#: What a run has printed when it is killed; the step that follows was not taken then, or only in part.
KILLS = [
    "taking the lock",
    "needs an upgrade",
    "clients: ",
    "helm upgrade",
    "waiting for",
    "verifying a completion",
    "registering what",
]


@pytest.mark.full
@pytest.mark.parametrize("phase", KILLS)
def test_a_rollback_that_was_killed_and_the_same_command_again_converges(
    two: RollbackSite, phase: str
) -> None:
    with Watch(two, "model", two.release("model")) as watch:
        running = two.begin_rollback("model")
        running.wait_for(phase)
        running.kill()
        resumed = two.roll_back("model").check()
    assert "taken over if it stays so" not in resumed.output
    assert (two.variant("model"), two.status("model")) == ("a", "ready")
    assert watch.lies == []
    assert two.roll_back("model").check().changed == []
    assert two.query("SELECT operation_id FROM operation_locks") == [(None,)]


def wait_after(run: RunningPlay, mark: str, text: str) -> None:
    """Wait until a run has printed a text, from a mark on."""
    deadline = time.monotonic() + 90
    while text not in "".join(run.output().partition(mark)[1:]):
        assert run.process.poll() is None, run.output()
        assert time.monotonic() < deadline, run.output()
        time.sleep(0.02)


#: The same for a deployment that undoes itself.
UNDONE = ["it goes back", "clients: ", "(sha256:", "verifying a completion", "registering"]


@pytest.mark.full
@pytest.mark.parametrize("phase", UNDONE)
def test_an_undo_that_was_killed_is_gone_on_with_by_the_same_command(site: RollbackSite, phase: str) -> None:
    site.variables = {"vllm_rollback_on_failure": True, "vllm_retry_rejected": False}
    site.variables |= {"vllm_lock_ttl": 600, "vllm_takeover_after": 600}
    site.models = {"model": variant("a")}
    site.deploy().check()
    site.models = {"model": broken("b", "http-500")}
    running = site.start()
    wait_after(running, UNDONE[0], phase)
    running.kill()
    resumed = site.deploy()
    assert resumed.rc != 0
    assert (site.variant("model"), site.status("model")) == ("a", "ready"), resumed.output
    site.models = {"model": variant("a")}
    site.deploy().check()
    assert site.status("model") == "ready"


@pytest.mark.full
def test_a_removal_of_a_first_revision_that_was_killed_goes_on(site: RollbackSite) -> None:
    for phase in ("taking the lock", "taking it from clients", "helm uninstall"):
        name = f"model-{len(phase)}"
        site.models = {name: variant("a")}
        site.deploy().check()
        running = site.begin_rollback(name, rollback_first_revision="remove")
        running.wait_for(phase)
        running.kill()
        site.roll_back(name, rollback_first_revision="remove").check()
        assert site.revisions(name) == []
        assert name not in site.rows()
        again = site.roll_back(name, rollback_first_revision="remove").check()
        assert again.changed == []

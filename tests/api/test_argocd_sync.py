# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``argocd_sync`` on an API server with Argo CD's own definition; the test writes for its controller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops import application_status, wait
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.lineage import (
    Relation,
    only,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.wait import (
    ApplicationName,
    Delivered,
    wait_for_commit,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules.argocd_sync import ARGUMENT_SPEC, run
from tests.support.applications import REFRESH, Controller, application, applications, compared, operation
from tests.support.argocd import argocd_definitions
from tests.support.lab import Lab
from tests.support.model_server import wait_until
from tests.support.module_arguments import with_defaults
from tests.support.rights import token_with_rights

OURS, OLD, REVERT = "a" * 40, "0" * 40, "f" * 40
NAME = "vllm-llama-staging"
DONE = {**operation("Succeeded", OURS, finished=5), **compared(OURS, at=6)}
BEFORE = {**operation("Succeeded", OLD, finished=1), **compared(OLD, at=2)}

Sync = Callable[..., Outcome]


@pytest.fixture(scope="module")
def definitions(api: ClusterClient) -> Iterator[None]:
    """Install Argo CD's definitions."""
    with argocd_definitions(api):
        yield


@pytest.fixture
def make(definitions: None, api: ClusterClient, namespace: str) -> Callable[..., None]:
    """Return a function that makes the Application."""

    def create(status: dict[str, Any], *, automated: bool = True) -> None:
        api.create(applications(namespace), application(NAME, automated=automated, status=status))

    return create


@pytest.fixture
def controller(api: ClusterClient, namespace: str) -> Iterator[Controller]:
    """Return the controller of the Application, running."""
    made = Controller(api, namespace, NAME)
    with made.running():
        yield made


@pytest.fixture
def said() -> list[str]:
    """Return the lines of progress."""
    return []


@pytest.fixture
def sync(kubeconfig: str, namespace: str, said: list[str]) -> Sync:
    """Return a function that runs the module."""

    def call(*, check: bool = False, **given: Any) -> Outcome:
        defaults = {"name": NAME, "namespace": namespace, "revision": OURS, "timeout": 30.0}
        login = {} if "host" in given else {"kubeconfig": kubeconfig}
        params = with_defaults(ARGUMENT_SPEC, **{**defaults, **login, **given})
        return run(params, Context(check_mode=check, diff=True, progress=said.append))

    return call


def test_a_cluster_without_argo_cd_is_told_at_once(api: ClusterClient, sync: Sync) -> None:
    wait_until(lambda: api.find("/apis/argoproj.io/v1alpha1") is None)
    with pytest.raises(PlatformError, match="Argo CD is not installed there") as caught:
        sync()
    assert caught.value.error_class is ErrorClass.INVALID


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"revision": "main"}, "revision"),
        ({"name": "../x"}, "name"),
        ({"namespace": "A"}, "namespace"),
        ({"timeout": float("nan")}, "timeout"),
    ],
)
def test_wrong_arguments(sync: Sync, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(PlatformError) as caught:
        sync(**arguments)
    assert (caught.value.error_class, caught.value.details["field"]) == (ErrorClass.INVALID, field)


def test_what_was_synced_before_we_look_needs_nothing(
    api: ClusterClient, namespace: str, make: Callable[..., None], sync: Sync, said: list[str]
) -> None:
    make(DONE)
    version = _version(api, namespace)
    done = sync()
    assert (done.changed, done.result["next"], said) == (False, "done", [])
    assert done.result["application"] == {
        "revisions": [OURS],
        "sync": "Synced",
        "health": "Healthy",
        "automated": True,
    }
    assert done.diff is not None
    assert done.diff["before"] == done.diff["after"]
    assert _version(api, namespace) == version


def test_the_commit_comes_while_we_wait(
    make: Callable[..., None],
    controller: Controller,
    sync: Sync,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wait, "_FIRST_REFRESH_S", 1.0)
    make(BEFORE)
    # Git is late; then Argo CD syncs by itself, and its health is that of before for a moment.
    controller.refreshes = [
        compared(OLD, at=3),
        {**operation("Running", OURS, started=4), **compared(OURS, "OutOfSync", at=4)},
        compared(OURS, health="Degraded", at=8),
    ]
    later = [
        threading.Timer(3.0, controller.write, [operation("Succeeded", OURS, started=4, finished=8)]),
        threading.Timer(5.0, controller.write, [compared(OURS, at=9)]),
    ]
    for timer in later:
        timer.start()
    done = sync()
    assert not done.changed
    assert controller.refreshed == 3, "at the beginning, as Git was late, and after the sync"
    assert 4.5 < done.result["waited_s"] < 8
    assert any("it has compared 000000000000 of main" in line for line in said)
    assert any("Argo CD to end a sync" in line for line in said)
    assert any("Degraded" in line for line in said)


def test_an_application_that_comes_late_is_seen_at_once(make: Callable[..., None], sync: Sync) -> None:
    later = threading.Timer(3.0, make, [DONE])
    later.start()
    done = sync()
    later.join()
    assert 2.5 < done.result["waited_s"] < 6


def test_a_stale_status_is_refreshed_before_it_counts(
    make: Callable[..., None], controller: Controller, sync: Sync
) -> None:
    """Healthy, but of before the sync: what comes after it was not healthy at all."""
    make({**operation("Succeeded", OURS, finished=5), **compared(OURS, at=4)})
    controller.refreshes = [compared(OURS, health="Degraded", at=6)]
    with pytest.raises(PlatformError, match="it is Degraded") as caught:
        sync(timeout=3.0)
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert controller.refreshed == 1


def test_the_parent_brings_the_chart_of_the_commit_later(
    api: ClusterClient, namespace: str, make: Callable[..., None], controller: Controller, sync: Sync
) -> None:
    """All is well with the commit, but by the spec of before."""
    make(DONE)
    controller.refreshes = [compared(OURS, at=8, path="new")]
    with pytest.raises(PlatformError, match="parent to bring") as caught:
        sync(chart_path="new", timeout=1.0)
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert sync(check=True, chart_path="new").result["next"] == "wait"
    path = f"{applications(namespace)}/{NAME}"
    later = threading.Timer(1.0, api.patch, [path, {"spec": {"source": {"path": "new"}}}])
    later.start()
    done = sync(chart_path="new")
    later.join()
    assert (done.result["next"], controller.refreshed) == ("done", 1)


def test_what_stays_degraded_has_failed(
    make: Callable[..., None], sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application_status, "_DEGRADED_S", 2.0)
    make({**DONE, **compared(OURS, health="Degraded", at=6)})
    with pytest.raises(PlatformError, match="has been Degraded for") as caught:
        sync()
    assert caught.value.error_class is ErrorClass.WORKLOAD


def test_a_manual_policy_is_synced_once_by_two_who_wait(
    api: ClusterClient, namespace: str, make: Callable[..., None], controller: Controller, sync: Sync
) -> None:
    make({**BEFORE, **compared(OLD)}, automated=False)
    controller.refreshes = [compared(OURS, "OutOfSync", at=3)]

    def begin(asked: dict[str, Any]) -> dict[str, Any]:
        controller.refreshes = [compared(OURS, at=6)]
        synced = operation("Succeeded", asked["sync"]["revision"], started=4, finished=5)
        return {**synced, **compared(OURS, at=5)}

    controller.sync = begin
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _number: _wait(api, namespace, only(OURS), may_sync=True), range(2)))
    assert sorted(delivered.synced for delivered in done) == [False, True]
    (asked,) = controller.asked
    assert asked["operation"]["sync"] == {"revision": OURS, "prune": True}
    assert "@" in asked["operation"]["initiatedBy"]["username"]
    assert "operationState" not in asked["status"]
    assert not sync().changed


def test_a_failed_sync_is_tried_again_by_the_next_run_only(
    make: Callable[..., None], controller: Controller, sync: Sync
) -> None:
    message = "admission webhook denied the request"
    make({**operation("Failed", OURS, finished=1, message=message), **compared(OURS, "OutOfSync", at=2)})
    controller.refreshes = [compared(OURS, "OutOfSync", at=3)]
    with pytest.raises(PlatformError, match="denied the request") as caught:
        sync(sync=False)
    assert (caught.value.error_class, controller.asked) == (ErrorClass.WORKLOAD, [])

    controller.sync = lambda _asked: operation("Failed", OURS, started=4, finished=5, message=message)
    with pytest.raises(PlatformError, match="denied the request"):
        sync()
    assert len(controller.asked) == 1


def test_who_reverts_the_commit_is_told(
    api: ClusterClient, namespace: str, make: Callable[..., None], controller: Controller
) -> None:
    relations = {OURS: Relation.WANTED, OLD: Relation.EARLIER, REVERT: Relation.AGAINST}
    make({**operation("Running", OURS), **compared(OURS, "OutOfSync", at=3)})
    # The sync ends before the controller looks at Git.
    later = threading.Timer(1.0, controller.write, [operation("Succeeded", OURS, finished=4)])
    controller.refreshes = [compared(REVERT, "OutOfSync", at=5)]
    later.start()
    with pytest.raises(PlatformError, match="Git has gone on") as caught:
        _wait(api, namespace, relations.__getitem__)
    later.join()
    assert (caught.value.error_class, caught.value.details["next"]) == (ErrorClass.LOCKED, "superseded")


def test_the_workload_s_own_cause_ends_the_wait(
    api: ClusterClient, namespace: str, make: Callable[..., None]
) -> None:
    make({**DONE, **compared(OURS, health="Progressing", at=6)})
    cause = PlatformError(ErrorClass.WORKLOAD, "It cannot start: ImagePullBackOff.", "")
    with pytest.raises(PlatformError, match="ImagePullBackOff"):
        _wait(api, namespace, {OURS: Relation.WANTED}.__getitem__, workload_cause=lambda: cause)


def test_an_application_that_is_deleted_meanwhile(
    api: ClusterClient, namespace: str, make: Callable[..., None], sync: Sync
) -> None:
    make({**DONE, **compared(OURS, health="Progressing", at=6)})
    path = f"{applications(namespace)}/{NAME}"
    api.patch(path, {"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}})
    later = threading.Timer(1.0, api.delete, [path])
    later.start()
    try:
        with pytest.raises(PlatformError, match="being deleted") as caught:
            sync()
    finally:
        later.join()
        api.patch(path, {"metadata": {"finalizers": None}})
    assert caught.value.error_class is ErrorClass.LOCKED


def test_nobody_refreshes(make: Callable[..., None], sync: Sync) -> None:
    make(BEFORE)
    with pytest.raises(PlatformError, match="controller to refresh it") as caught:
        sync(timeout=2.0)
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert "has compared 000000000000" in caught.value.details["last_reason"]


def test_git_that_stays_late_is_not_asked_for_all_the_time(
    make: Callable[..., None], controller: Controller, sync: Sync
) -> None:
    make(BEFORE)
    controller.refreshes = [compared(OLD, at=3)]
    with pytest.raises(PlatformError, match="Argo CD to see the commit"):
        sync(timeout=2.0)
    assert controller.refreshed == 1


def test_who_may_not_patch_is_told_and_who_may_not_watch_waits_all_the_same(
    lab: Lab, api: ClusterClient, namespace: str, make: Callable[..., None], sync: Sync
) -> None:
    make(BEFORE)
    rules = [{"apiGroups": ["argoproj.io"], "resources": ["applications"], "verbs": ["get", "list"]}]
    token = token_with_rights(api, namespace, "reader", rules)
    reader = {"host": api.server, "api_key": token, "ca_cert": str(lab.folder / "pki/ca.crt")}
    with pytest.raises(PlatformError, match="cannot patch resource") as caught:
        sync(**reader)
    assert caught.value.error_class is ErrorClass.AUTH

    # A Role for this Application alone is enough.
    verbs = ["get", "list", "watch", "patch"]
    rules = [{**rules[0], "resourceNames": [NAME], "verbs": verbs}]
    one = {**reader, "api_key": token_with_rights(api, namespace, "one", rules)}
    with pytest.raises(PlatformError, match="controller to refresh it"):
        sync(**one, timeout=2.0)
    with pytest.raises(PlatformError, match="forbidden") as caught:
        sync(**one, name="another")
    assert caught.value.error_class is ErrorClass.AUTH

    path = f"{applications(namespace)}/{NAME}"
    api.patch(path, {"status": {**DONE, **compared(OURS, health="Progressing", at=6)}})
    later = threading.Timer(2.0, api.patch, [path, {"status": compared(OURS, at=7)}])
    later.start()
    assert not sync(**reader).changed
    later.join()


@pytest.mark.parametrize(
    ("status", "automated", "verdict", "changed"),
    [
        (DONE, True, "done", False),
        (BEFORE, True, "refresh", False),
        (BEFORE, False, "refresh", True),
        ({**BEFORE, **compared(OURS, "OutOfSync", at=3)}, False, "sync", True),
    ],
)
def test_check_mode_writes_nothing(
    api: ClusterClient,
    namespace: str,
    make: Callable[..., None],
    sync: Sync,
    status: dict[str, Any],
    automated: bool,
    verdict: str,
    changed: bool,
) -> None:
    make(status, automated=automated)
    version = _version(api, namespace)
    told = sync(check=True)
    assert (told.result["next"], told.changed) == (verdict, changed)
    assert told.diff is not None
    assert (told.diff["before"] != told.diff["after"]) is changed
    assert _version(api, namespace) == version


def test_check_mode_while_a_refresh_is_on_its_way(
    api: ClusterClient, namespace: str, make: Callable[..., None], sync: Sync
) -> None:
    make(BEFORE, automated=False)
    asked = {"metadata": {"annotations": {REFRESH: "normal"}}}
    api.patch(f"{applications(namespace)}/{NAME}", asked)
    told = sync(check=True)
    assert (told.result["next"], told.changed) == ("wait", True)


def test_check_mode_of_nothing_and_of_a_failure(make: Callable[..., None], sync: Sync) -> None:
    told = sync(check=True)
    assert (told.result["next"], told.result["application"]) == ("wait", None)
    make({**operation("Failed", OURS, finished=1, message="refused"), **compared(OURS, "OutOfSync", at=2)})
    assert sync(check=True).changed
    with pytest.raises(PlatformError, match="refused"):
        sync(check=True, sync=False)


def _version(api: ClusterClient, namespace: str) -> str:
    return str(api.get(f"{applications(namespace)}/{NAME}")["metadata"]["resourceVersion"])


def _wait(api: ClusterClient, namespace: str, lineage: Callable[[str], Relation], **more: Any) -> Delivered:
    which = ApplicationName(NAME, namespace)
    return wait_for_commit(api, which, lineage, Deadline(30), lambda _line: None, **more)

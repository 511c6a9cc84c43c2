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
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.helm import ReleaseSpec
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import release_name
from ansible_collections.llmops.platform.plugins.module_utils._core.serving.release_plan import ReleaseRequest
from tests.support.chart import CHART
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import PlayRunner
from tests.support.processes import processes_of
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

    def __init__(self, site: Site) -> None:
        self.site = site
        self.environment = {**os.environ, "KUBECONFIG": str(site.lab.kubeconfig)}
        self.binary = str(site.lab.binary("helm"))

    def spec(self, **model: Any) -> ReleaseSpec:
        """Return the specification of the release."""
        request = ReleaseRequest.build(
            model="model",
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
        while self.site.revisions("model")[-1:] != [status]:
            assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
            assert time.monotonic() < deadline, self.site.revisions("model")
            time.sleep(0.05)
        process.kill()
        process.wait()
        assert self.site.revisions("model")[-1] == status


SLOW = {"extraEnv": [{"name": "MODEL_SERVER_LOAD_SECONDS", "value": "60"}]}


def _install(hand: HandMade) -> None:
    hand.kill_when(hand.upgrade("--wait", "--timeout=120s", **SLOW), "pending-install")


def _upgrade(hand: HandMade) -> None:
    assert hand.upgrade().wait() == 0
    hand.kill_when(hand.upgrade("--wait", "--timeout=120s", **SLOW), "pending-upgrade")


def _rollback(hand: HandMade) -> None:
    assert hand.upgrade(**SLOW).wait() == 0
    assert hand.upgrade().wait() == 0
    hand.kill_when(hand.run("rollback", "--wait", "--timeout=120s", RELEASE, "1"), "pending-rollback")


def _uninstall(hand: HandMade) -> None:
    assert hand.upgrade().wait() == 0
    service = f"/api/v1/namespaces/{hand.site.namespace}/services/{RELEASE}"
    hand.site.api.patch(service, {"metadata": {"finalizers": ["tests.llmops.platform/hold"]}})
    hand.kill_when(hand.run("uninstall", "--wait", "--timeout=120s", RELEASE), "uninstalling")
    hand.site.api.patch(service, {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("leave", [_install, _upgrade, _rollback, _uninstall], ids=lambda way: way.__name__)
def test_what_a_killed_helm_left_is_recovered_in_time_and_not_before(
    site: Site, leave: Callable[[HandMade], None]
) -> None:
    leave(HandMade(site))
    died = time.monotonic()
    running = site.start()
    running.wait_for("finishing an uninstall" if leave is _uninstall else "recovering revision")
    # Helm's clock counts whole seconds, and its mark is a little older than its death.
    assert time.monotonic() - died > TAKEOVER_S - 2
    running.wait(120).check()
    assert site.revisions("model")[-1] == "deployed"
    assert site.rows()["model"]["deployment_status"] == "ready"
    assert site.deploy().check().changed == []


def test_plan_of_a_pending_release_does_not_wait(site: Site) -> None:
    _install(HandMade(site))
    planned = site.deploy("--check").check()
    assert "taken over" not in planned.output
    assert site.revisions("model") == ["pending-install"]


def test_three_operators_upgrade_at_once(site: Site) -> None:
    site.deploy().check()
    site.models["model"] = {"vllm_values": {"model": {"maxModelLen": 2048}}}
    results = [run.wait(240) for run in [site.start() for _ in range(3)]]
    for result in results:
        if result.rc != 0:
            failed = next(task for task in result.tasks if task.status == "failed").result
            assert failed.get("error_class") in {"locked", "fenced"}, failed
            assert failed["resolution"]
    assert any(result.rc == 0 for result in results)
    revisions = site.revisions("model")
    assert revisions[-1] == "deployed"
    assert revisions.count("deployed") == 1
    again = site.deploy().check()
    assert again.changed == []
    row = site.rows()["model"]
    assert row["deployment_status"] == "ready"
    assert row["release_revision"] == len(revisions)


def test_eight_operators_install_at_once(site: Site) -> None:
    results = [run.wait(240) for run in [site.start() for _ in range(8)]]
    for result in results:
        if result.rc != 0:
            failed = next(task for task in result.tasks if task.status == "failed").result
            assert failed.get("error_class") in {"locked", "fenced"}, failed
    assert any(result.rc == 0 for result in results)
    site.deploy().check()
    assert site.deploy().check().changed == []
    assert site.revisions("model")[-1] == "deployed"
    row = site.rows()["model"]
    assert row["deployment_status"] == "ready"
    assert row["release_revision"] == len(site.revisions("model"))


@pytest.mark.parametrize("state", ["present", "absent"])
def test_release_of_another_chart_is_not_touched(site: Site, tmp_path: Path, state: str) -> None:
    chart = tmp_path / "theirs"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: theirs\nversion: 1.2.3\n")
    (chart / "templates" / "object.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\n"
    )
    assert HandMade(site).run("install", RELEASE, str(chart)).wait() == 0
    result = site.deploy(vllm_state=state)
    failed = next(task for task in result.find(action="vllm_release") if task.status == "failed").result
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
    for phase in ("Check the model", "needs an install", "waiting for"):
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
            content = path.read_bytes()
            assert b"PRIVATE KEY" not in content, path
            assert b"client-key-data" not in content, path

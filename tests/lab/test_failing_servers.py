# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Model servers that start but do not serve, all in one run; and logs that look like templates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.lab import Lab, fresh_database, fresh_namespace
from tests.support.models import fault
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.site import Site

# The product is long enough not to be a part of a time or a hash beside it in the log.
TEMPLATES = "{{ 7654321*7 }} {% raw %} {# x #}"


@dataclass(frozen=True)
class Case:
    """A way to fail, its class, and what the message says."""

    name: str
    error_class: str
    words: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)


CASES = [
    Case("slow-load", "timeout", ("rollout", "6 s", "ready")),
    # The first completion, which may take long, and a second one have to fit into the time for verifying.
    Case(
        "slow-first-token",
        "verification",
        ("completion", "no complete answer within 3.0 s"),
        {"MODEL_SERVER_FAULT_SECONDS": "6"},
    ),
    Case("stream-error", "verification", ("error",)),
    Case("empty-stream", "verification", ("completion",)),
    Case("engine-dead", "timeout", ("rollout", "ready"), {"MODEL_SERVER_FAULT_AFTER": "0"}),
    Case("crash-under-load", "verification", ("during a completion",)),
    Case("crash-at-start", "workload", ("CrashLoopBackOff",)),
]


@pytest.fixture(scope="module")
def site(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with a model for each way to fail."""
    with ExitStack() as stack:
        namespace = stack.enter_context(fresh_namespace(api, "failing"))
        dsn = stack.enter_context(fresh_database(lab))
        site = Site(lab, api, namespace, dsn, PlayRunner(tmp_path_factory.mktemp("failing")))
        for case in CASES:
            own = {"vllm_values": fault(case.name, **case.settings)}
            site.models[case.name] = own | (
                {"vllm_rollout_timeout": 6} if case.error_class == "timeout" else {}
            )
        # By a ConfigMap, because as a value of the inventory it would be the user's own template.
        data = {"metadata": {"name": "last-words"}, "data": {"log": TEMPLATES}}
        api.create(f"/api/v1/namespaces/{namespace}/configmaps", data)
        last_words = {"configMapKeyRef": {"name": "last-words", "key": "log"}}
        site.models["crash-at-start"]["vllm_values"]["model"]["extraEnv"].append(
            {"name": "MODEL_SERVER_CRASH_LOG", "valueFrom": last_words}
        )
        yield site


@pytest.fixture(scope="module")
def played(site: Site) -> PlayResult:
    """Return the result of one deploy of all of them at once."""
    return site.deploy("--forks", str(len(CASES)), "-vv", vllm_verify_timeout=15)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_failure_has_its_class_and_no_row_says_ready(played: PlayResult, site: Site, case: Case) -> None:
    failed = next(task for task in played.find(host=case.name) if task.status == "failed").result
    assert failed.get("error_class") == case.error_class, failed
    for word in case.words:
        assert word in failed["msg"]
    assert failed["resolution"]
    assert f"{case.name}: FAILED at" in played.output
    assert site.rows()[case.name]["deployment_status"] == "failed"


def test_log_that_looks_like_a_template_comes_back_literally(played: PlayResult) -> None:
    failed = next(task for task in played.find(host="crash-at-start") if task.status == "failed").result
    assert TEMPLATES in failed["log_tail"]
    assert str(7654321 * 7) not in failed["log_tail"]


def test_they_fail_side_by_side(played: PlayResult) -> None:
    assert played.rc != 0
    assert played.wall_s < 90

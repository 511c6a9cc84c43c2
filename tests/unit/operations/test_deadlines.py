# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One deadline, shares of it for the parts: no time is hidden in the code of a deployment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT

CORE = ROOT / "plugins/module_utils/_core"
FILES = [path for room in ("operations", "release") for path in sorted((CORE / room).rglob("*.py"))]

#: Deadlines that are begun anew, by the text of their length, and why they are no shares.
ALLOWED = {
    'params["timeout"] or math.inf': "the whole itself",
    "math.inf": "the whole, where none is given",
    "self.timeout_s": "the option database_timeout, also for what is left to do when the whole is over",
    "registry.timeout_s + patience": "the same, and a share for the wait",
    "patience": "database_timeout, routers_timeout and drain_timeout",
    'params["database_timeout"]': "the option, for the first transaction",
    "run.waits.total.seconds": "going back has as much time as the change that failed",
    'max(_ASK_S, verification["max_latency_s"] + 1)': "asks once after a failure; the whole may be over",
    "run.used_registry.routers_timeout_s": "tells routers after a failure; the whole may be over",
}


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_every_deadline_is_a_share_or_has_a_reason(path: Path) -> None:
    begun = [
        ast.unparse(call.args[0])
        for call in _calls(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call.func, ast.Name) and call.func.id == "Deadline"
    ]
    allowed = {ast.unparse(ast.parse(text)) for text in ALLOWED}
    assert set(begun) <= allowed


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_nobody_sleeps_past_a_deadline(path: Path) -> None:
    called = {ast.unparse(call.func) for call in _calls(ast.parse(path.read_text(encoding="utf-8")))}
    assert "time.sleep" not in called


def test_every_reason_is_still_needed() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert [length for length in ALLOWED if f"Deadline({length})" not in text] == []


#: Every other time that is fixed in the rooms that a deployment goes through, and what it is. Beyond
#: the deadline nothing is waited for but the end of one exchange: a request or process that does not answer.
FIXED = {
    "cluster/access.py": {"_RESOLVE_TIMEOUT_S": "one exchange", "_REACH_TIMEOUT_S": "one exchange"},
    "cluster/bound_token.py": {
        "SHORTEST_S": "what may be asked for: the lifetime of a token",
        "LONGEST_S": "what may be asked for: the lifetime of a token",
    },
    "cluster/client.py": {
        "_CONNECT_TIMEOUT_S": "one exchange",
        "_READ_TIMEOUT_S": "one exchange",
        "_RETRY_WINDOW_S": "one exchange: after it nothing is sent again",
    },
    "cluster/rollout.py": {"_LOG_TIMEOUT_S": "one exchange"},
    "cluster/shared_lists.py": {
        "FRESH_S": "age",
        "SETTLE_S": "age",
        "_PATIENCE_S": "wait for another reader, who has one exchange",
    },
    "cluster/workload.py": {
        "REPLICA_FAILURE_GRACE_S": "how long a symptom has to last",
        "CONFIGURATION_GRACE_S": "how long a symptom has to last",
        "FAILED_MOUNT_GRACE_S": "how long a symptom has to last",
        "OUTDATED_GRACE_S": "how long a symptom has to last",
    },
    "cluster/waiting.py": {"_REPEAT_LINE_S": "pace of lines", "_TOGETHER_S": "pace of looks"},
    "common/run_folder.py": {"_PAUSE_S": "pace of looks"},
    "endpoint/exchange.py": {"_CONNECT_LIMIT_S": "one exchange"},
    "endpoint/probe.py": {
        "_HEALTH_LIMIT_S": "one exchange",
        "_MODELS_LIMIT_S": "one exchange",
        "_LAST_CHANCE_S": "what is left of a deadline for one more try",
    },
    "gitops/application_status.py": {"_DEGRADED_S": "ends a wait early, never late"},
    "gitops/credentials.py": {"_CONNECT_S": "one exchange, less where less is left"},
    "gitops/git.py": {"_END_S": "how long a process that was told to end may take"},
    "gitops/repository.py": {"_WORTH_TELLING_S": "how long a wait is told from"},
    "gitops/wait.py": {
        "_FIRST_REFRESH_S": "pace of looks",
        "_LONGEST_REFRESH_S": "pace of looks",
    },
    "helm/binary.py": {
        "_VERSION_S": "one exchange",
        "_PATIENCE_S": "wait for another who asks",
        "_LOOK_EVERY_S": "pace of looks",
    },
    "metrics/from_prometheus.py": {
        "_SKEW_TOLD_S": "difference of clocks",
        "_SKEW_MOST_S": "difference of clocks",
    },
    "metrics/pages.py": {"_PAGE_LIMIT_S": "one exchange"},
    "metrics/promql.py": {"_LOOK_BACK_S": "age"},
    "metrics/prometheus.py": {"TIMEOUT_S": "default of the option for one exchange"},
    "operations/deploy/failure.py": {"_ASK_S": "one exchange after a failure"},
    "operations/promotion/clients.py": {"_SHORTEST_S": "bound of the option gates.window_s"},
    "operations/promotion/metrics_source.py": {
        "_REMEMBERED_S": "default of the option gates.window_s",
        "_WAITED_S": "default of the option gates.window_s",
    },
    "operations/promotion/watch.py": {"_LAST_PAUSE_S": "pace of looks"},
    "registry/approving.py": {"MOST_S": "what may be asked for: how long an approval holds"},
    "registry/connection.py": {
        "LOCK_TIMEOUT_S": "one exchange, less where less is left",
        "_UNREACHABLE_S": "one exchange",
        "_GRACE_S": "one exchange: the answer of a server that was told when to end",
    },
    "registry/lease.py": {"_FRESH_S": "age", "_SLOWEST_ANSWER_S": "one exchange"},
    "registry/lock.py": {"TTL_S": "default of the option lock_ttl"},
    "registry/operations.py": {"_FIRST_WAIT_S": "pace of looks", "_LONGEST_WAIT_S": "pace of looks"},
    "registry/routers.py": {"LIVE_S": "age", "_REMEMBERED_S": "age"},
    "release/comparison.py": {"_AWAY_S": "how long a symptom has to last"},
    "release/tools.py": {"_DEFAULT_ROLLOUT_MARGIN_S": "default of the option rollout_timeout"},
}
ROOMS = (
    "cluster",
    "common",
    "endpoint",
    "gitops",
    "helm",
    "metrics",
    "operations",
    "placement",
    "registry",
    "release",
)


def _fixed(path: Path) -> set[str]:
    """Return the names of a file's own times."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        for name in (item for target in targets for item in ast.walk(target)):
            if isinstance(name, ast.Name) and name.id.endswith("_S") and name.id.isupper():
                found.add(name.id)
    return found


def test_every_fixed_time_of_the_core_is_known() -> None:
    files = [path for room in ROOMS for path in sorted((CORE / room).rglob("*.py"))]
    found = {str(path.relative_to(CORE)): _fixed(path) for path in files}
    assert {name: names for name, names in found.items() if names} == {
        name: set(reasons) for name, reasons in FIXED.items()
    }


def test_nothing_else_is_slept_for() -> None:
    """A sleep that no deadline cuts short is bounded by a window of its own."""
    sleeping = {
        str(path.relative_to(CORE))
        for room in ROOMS
        for path in (CORE / room).rglob("*.py")
        if "time.sleep(" in path.read_text(encoding="utf-8")
    }
    assert sleeping == {"cluster/client.py", "common/run_folder.py"}

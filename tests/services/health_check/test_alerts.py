# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerts of the role fire when they should and only then: promtool judges, the service names the metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from llmops_health.metrics import Metrics

from tests.chart.test_alerts import firing
from tests.support.model_server import parse_metrics
from tests.support.role_rules import rule_groups

LEADER = 'namespace="llm-staging",container="health-checker",pod="one"'
STANDBY = 'namespace="llm-staging",container="health-checker",pod="two"'
ELSEWHERE = 'namespace="other",container="health-checker",pod="three"'

# One leader whose checks are in time, one standby. One sample a minute.
HEALTHY = {
    f"llmops_health_leader{{{LEADER}}}": "1+0x60",
    f"llmops_health_leader{{{STANDBY}}}": "0+0x60",
    f"llmops_health_blind{{{LEADER}}}": "0+0x60",
    f'llmops_health_entries{{{LEADER},status="ready"}}': "10+0x60",
    f'llmops_health_entries{{{LEADER},status="degraded"}}': "0+0x60",
    f'llmops_health_records_total{{{LEADER},outcome="ready"}}': "0+600x60",
    f'llmops_health_records_total{{{LEADER},outcome="held_back"}}': "3+0x60",
    f'llmops_health_schedule_lag_seconds_bucket{{{LEADER},le="0.1"}}': "0+100x60",
    f'llmops_health_schedule_lag_seconds_bucket{{{LEADER},le="30.0"}}': "0+100x60",
    f'llmops_health_schedule_lag_seconds_bucket{{{LEADER},le="+Inf"}}': "0+100x60",
}
CASES: list[tuple[set[str], dict[str, str]]] = [
    (set(), {}),
    ({"LLMOpsHealthCheckerWithoutLeader"}, {f"llmops_health_leader{{{LEADER}}}": "0+0x60"}),
    (
        {"LLMOpsHealthCheckerWithoutLeader"},
        {f"llmops_health_leader{{{LEADER}}}": "_x60", f"llmops_health_leader{{{STANDBY}}}": "_x60"},
    ),
    # A takeover, and a leader of another environment, are nobody's trouble.
    (
        set(),
        {
            f"llmops_health_leader{{{LEADER}}}": "1+0x48 0+0x12",
            f"llmops_health_leader{{{STANDBY}}}": "0+0x48 1+0x12",
            f"llmops_health_leader{{{ELSEWHERE}}}": "1+0x60",
            f"llmops_health_blind{{{ELSEWHERE}}}": "1+0x60",
        },
    ),
    ({"LLMOpsHealthCheckerTwoLeaders"}, {f"llmops_health_leader{{{STANDBY}}}": "1+0x60"}),
    ({"LLMOpsHealthCheckerBlind"}, {f"llmops_health_blind{{{LEADER}}}": "1+0x60"}),
    # Who is blind gives way to the other one, which is blind too.
    (
        {"LLMOpsHealthCheckerBlind"},
        {
            f"llmops_health_blind{{{LEADER}}}": "0+0x30 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1",
            f"llmops_health_blind{{{STANDBY}}}": "0+0x60",
        },
    ),
    (
        {"LLMOpsHealthCheckHeldBack"},
        {f'llmops_health_records_total{{{LEADER},outcome="held_back"}}': "0+30x60"},
    ),
    ({"LLMOpsModelDegraded"}, {f'llmops_health_entries{{{LEADER},status="degraded"}}': "2+0x60"}),
    (
        {"LLMOpsHealthChecksLate"},
        {f'llmops_health_schedule_lag_seconds_bucket{{{LEADER},le="0.1"}}': "0+50x60"},
    ),
]


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the rule groups as the role renders them."""
    folder = tmp_path_factory.mktemp("rules")
    return rule_groups("health_check", folder, health_check_environment="staging")


@pytest.mark.parametrize(("alerts", "changed"), CASES)
def test_alerts_fire_when_they_should(
    groups: list[dict[str, Any]], alerts: set[str], changed: dict[str, str], tmp_path: Path
) -> None:
    assert firing(groups, {**HEALTHY, **changed}, tmp_path) == alerts


def test_alerts_use_metrics_that_there_are(groups: list[dict[str, Any]]) -> None:
    metrics = Metrics()
    metrics.lag_seconds.observe(0.1)
    metrics.entries.labels("degraded").set(0)
    metrics.records.labels("held_back").inc()
    exposed = {sample.name for sample in parse_metrics(metrics.render().decode())}
    used = set(
        re.findall(r"llmops_\w+", " ".join(rule["expr"] for group in groups for rule in group["rules"]))
    )
    assert used
    assert used <= exposed

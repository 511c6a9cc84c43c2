# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerts fire when they should and only then: promtool is the judge, the model server names the metrics."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import NAMESPACE, RELEASE, HelmChart
from tests.support.model_server import ModelServer, build_model_server
from tests.support.promtool import promtool

SERVICE = f"{RELEASE}-production"
POD = f"{SERVICE}-6d5f9c7b8d-abcde"
OWN = f'namespace="{NAMESPACE}",job="{SERVICE}",pod="{POD}"'
OTHER = f'namespace="{NAMESPACE}",job="other-production",pod="other"'
STATE = f'namespace="{NAMESPACE}",container="vllm",pod="{POD}"'

# A healthy server: it steps, is fast, and rarely fails. Each case changes some of it. One sample a minute.
HEALTHY = {
    f"up{{{OWN}}}": "1+0x60",
    f'vllm:e2e_request_latency_seconds_bucket{{{OWN},le="2.5"}}': "0+99x60",
    f'vllm:e2e_request_latency_seconds_bucket{{{OWN},le="5.0"}}': "0+100x60",
    f"vllm:e2e_request_latency_seconds_count{{{OWN}}}": "0+100x60",
    f'vllm:request_success_total{{{OWN},finished_reason="stop"}}': "0+100x60",
    f'vllm:request_success_total{{{OWN},finished_reason="error"}}': "0+1x60",
    f"vllm:kv_cache_usage_perc{{{OWN}}}": "0.5+0x60",
    f"vllm:num_requests_waiting{{{OWN}}}": "2+0x60",
    f"vllm:num_requests_running{{{OWN}}}": "4+0x60",
    f"vllm:iteration_tokens_total_count{{{OWN}}}": "0+50x60",
    f"kube_pod_container_status_restarts_total{{{STATE}}}": "1+0x60",
    f'kube_pod_container_status_last_terminated_reason{{{STATE},reason="OOMKilled"}}': "1+0x60",
}

# Alert, and the series that differ from the healthy server.
FIRES: list[tuple[str, dict[str, str]]] = [
    ("VLLMEndpointDown", {f"up{{{OWN}}}": "0+0x60"}),
    ("VLLMEndpointDown", {f"up{{{OWN}}}": "_x60"}),
    ("VLLMLatencyHigh", {f'vllm:e2e_request_latency_seconds_bucket{{{OWN},le="2.5"}}': "0+90x60"}),
    ("VLLMRequestErrors", {f'vllm:request_success_total{{{OWN},finished_reason="error"}}': "0+10x60"}),
    ("VLLMKVCacheNearlyFull", {f"vllm:kv_cache_usage_perc{{{OWN}}}": "0.99+0x60"}),
    ("VLLMRequestsWaiting", {f"vllm:num_requests_waiting{{{OWN}}}": "30+0x60"}),
    ("VLLMEngineHung", {f"vllm:iteration_tokens_total_count{{{OWN}}}": "50+0x60"}),
    (
        "VLLMPodRestarting",
        {
            f"kube_pod_container_status_restarts_total{{{STATE}}}": "1+0x40 2 3+0x19",
            f'kube_pod_container_status_last_terminated_reason{{{STATE},reason="OOMKilled"}}': "_x60",
        },
    ),
    ("VLLMOutOfMemory", {f"kube_pod_container_status_restarts_total{{{STATE}}}": "1+0x40 2+0x20"}),
]

# Looks bad, but must not fire: another model's trouble, an idle engine, no requests at all.
QUIET: list[dict[str, str]] = [
    {},
    {f"up{{{OTHER}}}": "0+0x60", f"vllm:num_requests_waiting{{{OTHER}}}": "99+0x60"},
    {
        f"vllm:iteration_tokens_total_count{{{OWN}}}": "50+0x60",
        f"vllm:num_requests_running{{{OWN}}}": "0+0x60",
    },
    {series: "7+0x60" for series in HEALTHY if "latency" in series or "request_success" in series},
]


@pytest.fixture(scope="module")
def groups(chart: HelmChart) -> list[dict[str, Any]]:
    """Return the rule groups of a release in production."""
    found: list[dict[str, Any]] = chart.render(environment="production").one("PrometheusRule")["spec"][
        "groups"
    ]
    return found


def firing(groups: list[dict[str, Any]], series: dict[str, str], folder: Path) -> set[str]:
    """Return the alerts that fire 50 minutes into the series, as Prometheus evaluates them."""
    (folder / "rules.json").write_text(json.dumps({"groups": groups}), encoding="utf-8")
    names = [rule["alert"] for group in groups for rule in group["rules"]]
    # promtool compares; expecting nothing for each alert, it fails for those that fire and names them.
    test = {
        "rule_files": ["rules.json"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": value} for key, value in series.items()],
                "alert_rule_test": [
                    {"alertname": name, "eval_time": "50m", "exp_alerts": []} for name in names
                ],
            }
        ],
    }
    (folder / "test.json").write_text(json.dumps(test), encoding="utf-8")
    finished = subprocess.run(
        [str(promtool()), "test", "rules", str(folder / "test.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    report = finished.stdout + finished.stderr
    fired = set(re.findall(r"alertname: ?(\w+), time: 50m", report))
    assert fired or finished.returncode == 0, report
    assert fired <= set(names)
    return fired


def test_rules_are_valid(groups: list[dict[str, Any]], tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    checked = subprocess.run(
        [str(promtool()), "check", "rules", str(rules)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("alert", "change"), FIRES, ids=[name for name, _ in FIRES])
def test_alert_fires_and_no_other(
    groups: list[dict[str, Any]], tmp_path: Path, alert: str, change: dict[str, str]
) -> None:
    assert firing(groups, HEALTHY | change, tmp_path) == {alert}


@pytest.mark.parametrize("change", QUIET, ids=["healthy", "another-model", "idle", "no-requests"])
def test_no_alert_without_cause(groups: list[dict[str, Any]], tmp_path: Path, change: dict[str, str]) -> None:
    assert firing(groups, HEALTHY | change, tmp_path) == set()


def test_every_alert_has_a_case(groups: list[dict[str, Any]]) -> None:
    assert {rule["alert"] for group in groups for rule in group["rules"]} == {name for name, _ in FIRES}


def test_a_whole_bound_matches_both_spellings(chart: HelmChart, tmp_path: Path) -> None:
    values = {"alerts": {"latency": {"boundSeconds": 5}}}
    rules = chart.render(values, environment="production").one("PrometheusRule")["spec"]["groups"]
    for spelling in ("5", "5.0"):
        series = {key: value for key, value in HEALTHY.items() if 'le="5.0"' not in key}
        series[f'vllm:e2e_request_latency_seconds_bucket{{{OWN},le="{spelling}"}}'] = "0+90x60"
        assert firing(rules, series, tmp_path) == {"VLLMLatencyHigh"}


def test_every_metric_is_one_that_the_server_exports(groups: list[dict[str, Any]], tmp_path: Path) -> None:
    expressions = " ".join(rule["expr"] for group in groups for rule in group["rules"])
    used = set(re.findall(r"vllm:\w+", expressions))
    assert used
    with ModelServer(build_model_server(tmp_path), tmp_path / "server.log") as server:
        server.wait_open().chat()
        samples = server.samples()
    assert used <= {sample.name for sample in samples}
    bounds = {s.labels["le"] for s in samples if s.name == "vllm:e2e_request_latency_seconds_bucket"}
    assert set(re.findall(r'le="([^"]*)"', expressions)) <= bounds

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's Prometheus sees what the chart's own monitor selects, and nothing where that selects nothing."""

from __future__ import annotations

import copy
import json
import re
import urllib.parse
from typing import Any

import urllib3

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.chart import HelmChart, Rendered
from tests.support.kubectl import Kubectl
from tests.support.lab import Lab
from tests.support.lab_runs import wait
from tests.support.models import QUICK_VALUES

RELEASE = "watched"
MONITORS = "/apis/monitoring.coreos.com/v1/namespaces/{}/{}"


def test_the_charts_monitor_is_followed_and_a_wrong_label_is_no_data(
    lab: Lab, api: ClusterClient, kubectl: Kubectl, namespace: str
) -> None:
    values = {
        **QUICK_VALUES,
        "serviceMonitor": {"enabled": True, "interval": "1s", "scrapeTimeout": "1s"},
        "alerts": {"enabled": True},
    }
    rendered = HelmChart(lab.binary("helm")).render(values, release=RELEASE, namespace=namespace)
    # The chart's policy admits nobody who is there; the machine passes it.
    assert "NetworkPolicy" in rendered.kinds
    applied = kubectl.run("apply", "--namespace", namespace, "-f", "-", stdin=_without_hooks(rendered))
    assert applied.returncode == 0, applied.stderr

    def up(**labels: str) -> list[dict[str, str]]:
        chosen = ",".join(f'{name}="{value}"' for name, value in {"namespace": namespace, **labels}.items())
        return [series["metric"] for series in _query(lab, f"up{{{chosen}}} == 1")]

    (seen,) = wait("the chart's target", up)
    (pod,) = api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    labels = {"job": RELEASE, "service": RELEASE, "endpoint": "http", "container": "vllm"}
    assert labels.items() <= seen.items()
    assert seen["pod"] == pod["metadata"]["name"]
    assert seen["llmops_platform_environment"] == "development"
    own = wait("a metric of its own", lambda: _query(lab, f'vllm:num_requests_running{{job="{RELEASE}"}}'))
    assert own[0]["metric"]["namespace"] == namespace
    assert f"{namespace}.{RELEASE}.vllm" in _rule_groups(lab)

    monitor = copy.deepcopy(rendered.one("ServiceMonitor"))
    path = MONITORS.format(namespace, "servicemonitors")
    monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] = "somebody-else"
    api.patch(f"{path}/{RELEASE}", {"spec": monitor["spec"]})
    wait("no data", lambda: not up())

    # Refused and left out, one way and the other: neither keeps a good one from being followed.
    for name, change in (("wrong", {"relabelings": [{"regex": "("}]}), ("beyond", {"enableHttp2": True})):
        monitor["metadata"] = {"name": name, "namespace": namespace}
        monitor["spec"]["endpoints"] = [{"port": "http", **change}]
        api.create(path, monitor)
    selector = rendered.one("Deployment")["spec"]["selector"]["matchLabels"]
    endpoint = {"port": "http", "path": "/metrics", "interval": "1s"}
    api.create(
        MONITORS.format(namespace, "podmonitors"),
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": {"name": "pods"},
            "spec": {"selector": {"matchLabels": selector}, "podMetricsEndpoints": [endpoint]},
        },
    )
    (by_pod,) = wait("the PodMonitor's target", lambda: up(job=f"{namespace}/pods"))
    assert by_pod["pod"] == pod["metadata"]["name"]
    log = (lab.folder / "logs/monitors.log").read_text()
    assert f"ServiceMonitor {namespace}/wrong is left out" in log
    assert re.search(rf"ServiceMonitor {namespace}/beyond is left out: .*enableHttp2", log)


def _without_hooks(rendered: Rendered) -> str:
    items = [item for item in rendered.objects if "helm.sh/hook" not in json.dumps(item["metadata"])]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _ask(lab: Lab, path: str) -> Any:
    answer = urllib3.request("GET", f"{lab.facts['prometheus_url']}/api/v1/{path}", timeout=10)
    return answer.json()["data"]


def _query(lab: Lab, expression: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _ask(lab, f"query?query={urllib.parse.quote(expression)}")["result"]
    return found


def _rule_groups(lab: Lab) -> list[str]:
    return [group["name"] for group in _ask(lab, "rules")["groups"]]

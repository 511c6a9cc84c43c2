# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the chart renders: asserted on the objects, for the versions of Helm that are supported."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import server_labels
from tests.support.chart import (
    CHART,
    ENVIRONMENTS,
    MODEL,
    NAMESPACE,
    RELEASE,
    HelmChart,
    RenderError,
    option,
    started_arguments,
)
from tests.support.playbooks import ROOT

ALL_ON: dict[str, Any] = {
    "replicas": 2,
    "persistence": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "alerts": {"enabled": True},
    "podDisruptionBudget": {"enabled": True},
    "ingress": {"enabled": True, "host": "model.example.org"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["model.example.org"]},
    "networkPolicy": {
        "ingress": {
            "ingressController": {"podLabels": {"app.kubernetes.io/name": "ingress"}},
            "gateway": {"namespaceLabels": {"kubernetes.io/metadata.name": "gateways"}},
        }
    },
    "serviceAccount": {"automountToken": True},
    "rbac": {
        "create": True,
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    },
}
EVERY_KIND = {
    "ConfigMap", "Deployment", "HTTPRoute", "Ingress", "NetworkPolicy", "PersistentVolumeClaim", "Pod",
    "PodDisruptionBudget", "PrometheusRule", "Role", "RoleBinding", "Service", "ServiceAccount",
    "ServiceMonitor",
}  # fmt: skip


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_lint(each_helm: HelmChart, environment: str) -> None:
    assert "0 chart(s) failed" in each_helm.lint(environment)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_same_values_always_give_the_same_manifest(each_helm: HelmChart, environment: str) -> None:
    assert each_helm.render(environment=environment).text == each_helm.render(environment=environment).text


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_both_versions_of_helm_render_the_same_objects(
    chart: HelmChart, each_helm: HelmChart, environment: str
) -> None:
    def by_name(helm: HelmChart) -> dict[tuple[str, str], Any]:
        objects = helm.render(ALL_ON, environment=environment).objects
        return {(item["kind"], item["metadata"]["name"]): item for item in objects}

    assert by_name(each_helm) == by_name(chart)


@pytest.mark.parametrize(
    ("environment", "kinds"),
    [
        ("development", set()),
        ("staging", {"ServiceMonitor", "PrometheusRule"}),
        (
            "production",
            {"ServiceMonitor", "PrometheusRule", "PersistentVolumeClaim", "PodDisruptionBudget"},
        ),
    ],
)
def test_each_environment_has_its_own_objects(chart: HelmChart, environment: str, kinds: set[str]) -> None:
    always = {"ConfigMap", "Deployment", "NetworkPolicy", "Pod", "Service", "ServiceAccount"}
    rendered = chart.render(environment=environment)
    assert rendered.kinds == always | kinds
    assert rendered.one("Deployment")["spec"]["replicas"] == (2 if environment == "production" else 1)


def test_every_object_tells_whose_it_is(chart: HelmChart) -> None:
    rendered = chart.render({**ALL_ON, "commonLabels": {"team": "search"}}, environment="staging")
    assert rendered.kinds == EVERY_KIND
    expected = {
        "app.kubernetes.io/name": "vllm",
        "app.kubernetes.io/instance": f"{RELEASE}-staging",
        "app.kubernetes.io/version": "0.33.0",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/component": "model-server",
        "app.kubernetes.io/part-of": "llmops-platform",
        "llmops.platform/environment": "staging",
        "llmops.platform/model": RELEASE,
        "team": "search",
    }
    # The test pod is no server: the Service and the network policy must not select it.
    test_pod = {"app.kubernetes.io/name": "vllm-test", "app.kubernetes.io/component": "verifier"}
    template = rendered.one("Deployment")["spec"]["template"]
    for item in [*rendered.objects, {"kind": "template", **template}]:
        metadata = item["metadata"]
        assert metadata["labels"] == (expected | test_pod if item["kind"] == "Pod" else expected), item[
            "kind"
        ]
        assert metadata["annotations"]["llmops.platform/model-name"] == MODEL, item["kind"]
        assert metadata.get("namespace", NAMESPACE) == NAMESPACE


def test_selectors_are_stable_and_select_the_pods(chart: HelmChart) -> None:
    rendered = chart.render(ALL_ON)
    stable = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": f"{RELEASE}-development"}
    assert rendered.one("Deployment")["spec"]["selector"]["matchLabels"] == stable
    assert rendered.one("Service")["spec"]["selector"] == stable
    assert rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == stable
    assert rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == stable
    assert rendered.one("ServiceMonitor")["spec"]["selector"]["matchLabels"] == stable
    # By the same labels the module finds the pods, and not the one of `helm test`.
    assert server_labels(f"{RELEASE}-development") == stable
    assert not stable.items() <= rendered.one("Pod")["metadata"]["labels"].items()


def test_service_is_named_after_the_release(chart: HelmChart) -> None:
    service = chart.render(release="my-model-production", environment="production").one("Service")
    assert service["metadata"]["name"] == "my-model-production"
    assert service["metadata"]["labels"]["llmops.platform/model"] == "my-model"
    assert service["spec"]["ports"] == [
        {"name": "http", "port": 8000, "protocol": "TCP", "targetPort": "http"}
    ]


@pytest.mark.parametrize(
    ("billions", "failures"),
    [(0.5, 20), (7, 20), (8, 20), (13, 20), (34, 28), (70, 40), (405, 158), (2000, 360)],
)
def test_startup_budget_follows_the_size(chart: HelmChart, billions: float, failures: int) -> None:
    rendered = chart.render({"model": {"sizeBillions": billions}})
    probe = rendered.container["startupProbe"]
    assert probe["failureThreshold"] == failures
    assert (probe["periodSeconds"], probe["timeoutSeconds"]) == (30, 10)
    assert probe["httpGet"] == {"path": "/health", "port": "http"}
    deployment = rendered.one("Deployment")
    assert deployment["spec"]["progressDeadlineSeconds"] == failures * 30 + 600
    budget = deployment["metadata"]["annotations"]["llmops.platform/startup-budget-seconds"]
    assert budget == str(failures * 30)


def test_liveness_and_readiness(chart: HelmChart) -> None:
    container = chart.render({"probes": {"readiness": {"path": "/ready"}}}).container
    assert container["livenessProbe"] == {
        "httpGet": {"path": "/health", "port": "http"},
        "initialDelaySeconds": 60, "periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 6,
    }  # fmt: skip
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/ready", "port": "http"},
        "initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("billions", "cpu", "memory", "shm"),
    [
        (7, ("8", "16"), ("32Gi", "48Gi"), "2Gi"),
        (10, ("8", "16"), ("32Gi", "48Gi"), "2Gi"),
        (13, ("8", "16"), ("48Gi", "64Gi"), "4Gi"),
        (34, ("12", "24"), ("96Gi", "128Gi"), "8Gi"),
        (70, ("16", "32"), ("160Gi", "224Gi"), "16Gi"),
        (405, ("32", "64"), ("512Gi", "768Gi"), "32Gi"),
        (5000, ("32", "64"), ("512Gi", "768Gi"), "32Gi"),
    ],
)
def test_resources_follow_the_size(
    chart: HelmChart, billions: float, cpu: tuple[str, str], memory: tuple[str, str], shm: str
) -> None:
    rendered = chart.render({"model": {"sizeBillions": billions}, "gpu": {"count": 4}}, environment="staging")
    assert rendered.container["resources"] == {
        "requests": {"cpu": cpu[0], "memory": memory[0], "nvidia.com/gpu": "4"},
        "limits": {"cpu": cpu[1], "memory": memory[1], "nvidia.com/gpu": "4"},
    }
    (volume,) = [volume for volume in rendered.pod["volumes"] if volume["name"] == "shm"]
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": shm}
    assert option(rendered, "--tensor-parallel-size") == "4"


def test_resources_can_be_overridden_one_by_one(chart: HelmChart) -> None:
    override = {"requests": {"memory": "20Gi"}, "limits": {"ephemeral-storage": "10Gi"}}
    gpu = {"resource": "nvidia.com/mig-3g.40gb", "resources": override, "shmSize": "1Gi"}
    rendered = chart.render({"gpu": gpu}, environment="staging")
    assert rendered.container["resources"] == {
        "requests": {"cpu": "8", "memory": "20Gi", "nvidia.com/mig-3g.40gb": "1"},
        "limits": {
            "cpu": "16", "memory": "48Gi", "ephemeral-storage": "10Gi", "nvidia.com/mig-3g.40gb": "1",
        },
    }  # fmt: skip
    assert option(rendered, "--tensor-parallel-size") is None


def test_no_gpu(chart: HelmChart) -> None:
    resources = chart.render({"gpu": {"count": 0}}, environment="staging").container["resources"]
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}


def test_scheduling(chart: HelmChart) -> None:
    default = chart.render().pod
    common = [{"key": key, "operator": "Exists"} for key in ("nvidia.com/gpu", "amd.com/gpu")]
    common.append({"key": "sku", "operator": "Equal", "value": "gpu"})
    assert default["tolerations"] == [{**taint, "effect": "NoSchedule"} for taint in common]
    assert not {"nodeSelector", "affinity", "priorityClassName", "runtimeClassName", "schedulerName"} & set(
        default
    )

    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    scheduling = {
        "nodeSelector": {"pool": "a100"},
        "priorityClassName": "high", "runtimeClassName": "nvidia", "schedulerName": "other",
        "topologySpreadConstraints": [constraint],
    }  # fmt: skip
    changed = chart.render({"scheduling": scheduling})
    assert changed.pod["nodeSelector"] == {"pool": "a100"}
    assert changed.pod["priorityClassName"] == "high"
    assert changed.pod["runtimeClassName"] == "nvidia"
    assert changed.pod["schedulerName"] == "other"
    selector = changed.one("Deployment")["spec"]["selector"]
    assert changed.pod["topologySpreadConstraints"] == [{**constraint, "labelSelector": selector}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("surge", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        (
            "unavailable-first",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        ),
        ("recreate", {"type": "Recreate"}),
    ],
)
def test_strategy(chart: HelmChart, name: str, expected: dict[str, Any]) -> None:
    assert chart.render({"strategy": name}).one("Deployment")["spec"]["strategy"] == expected


def test_budget_never_holds_the_only_pod(chart: HelmChart) -> None:
    assert "PodDisruptionBudget" not in chart.render({"replicas": 1}, environment="production").kinds
    budget = chart.render({"replicas": 3}, environment="production").one("PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_pod_is_restricted(chart: HelmChart) -> None:
    rendered = chart.render()
    assert rendered.pod["automountServiceAccountToken"] is False
    assert rendered.pod["enableServiceLinks"] is False
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert rendered.pod["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 2000, "runAsGroup": 0, "fsGroup": 0,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert rendered.container["securityContext"] == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": False,
    }  # fmt: skip
    assert not {"Role", "RoleBinding"} & rendered.kinds


def test_drain_is_shorter_than_the_grace_period(chart: HelmChart) -> None:
    rendered = chart.render({"drain": {"preStopSeconds": 20, "shutdownTimeoutSeconds": 100}})
    assert rendered.container["lifecycle"] == {"preStop": {"sleep": {"seconds": 20}}}
    assert option(rendered, "--shutdown-timeout") == "100"
    assert rendered.pod["terminationGracePeriodSeconds"] == 135
    assert "lifecycle" not in chart.render({"drain": {"preStopSeconds": 0}}).container


@pytest.mark.parametrize(
    ("values", "access_log", "shutdown"),
    [
        ({"image": {"tag": "v0.15.1"}}, False, False),
        ({"image": {"tag": "v0.16.0"}}, True, False),
        ({"image": {"tag": "v0.18.0-cu129"}}, True, True),
        ({"image": {"tag": "custom"}}, False, False),
        ({"image": {"tag": "custom"}, "engineVersion": "0.18.0"}, True, True),
        ({"image": {"tag": "v0.33.0"}, "engineVersion": "0.9.2"}, False, False),
        ({"image": {"tag": None, "digest": "sha256:" + "a" * 64}}, False, False),
    ],
)
def test_flags_that_an_older_engine_refuses(
    chart: HelmChart, values: dict[str, Any], access_log: bool, shutdown: bool
) -> None:
    arguments = started_arguments(chart.render(values))
    assert ("--disable-access-log-for-endpoints" in arguments) is access_log
    assert ("--shutdown-timeout" in arguments) is shutdown


def test_digest_wins_over_the_tag(chart: HelmChart) -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    rendered = chart.render({"image": {"digest": digest, "pullSecrets": ["registry"]}})
    assert rendered.container["image"] == f"vllm/vllm-openai@{digest}"
    assert rendered.pod["imagePullSecrets"] == [{"name": "registry"}]
    assert rendered.one("Deployment")["metadata"]["labels"]["app.kubernetes.io/version"] == "0.33.0"


def test_chart_and_image_agree_on_the_version() -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    assert (
        yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["image"]["tag"] == f"v{version}"
    )


def test_arguments(chart: HelmChart) -> None:
    model = {
        "name": "org/model", "servedName": "short", "source": "/models/m", "revision": "abc123",
        "maxModelLen": 131072, "dtype": "bfloat16", "quantization": "fp8", "gpuMemoryUtilization": 0.85,
        "extraArgs": ["--enable-lora", "--chat-template={{ $(HOME) }}"],
    }  # fmt: skip
    rendered = chart.render({"model": model, "image": {"tag": "v0.15.0"}, "service": {"host": "::"}})
    assert rendered.container["command"] == ["vllm"]
    assert started_arguments(rendered) == [
        "serve", "/models/m", "--served-model-name", "short", "org/model", "--host", "::", "--port", "8000",
        "--revision", "abc123", "--tokenizer-revision", "abc123", "--max-model-len", "131072",
        "--dtype", "bfloat16", "--quantization", "fp8", "--gpu-memory-utilization", "0.85",
        "--enable-lora", "--chat-template={{ $(HOME) }}",
    ]  # fmt: skip


def test_secrets_are_references(chart: HelmChart) -> None:
    secrets = {"hfToken": {"existingSecret": "hub"}, "apiKey": {"existingSecret": "keys", "key": "main"}}
    extra = [{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}]
    rendered = chart.render({"secrets": secrets, "model": {"extraEnv": extra}})

    def reference(name: str, secret: str, key: str) -> dict[str, Any]:
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}

    key = reference("VLLM_API_KEY", "keys", "main")
    assert rendered.container["env"] == [reference("HF_TOKEN", "hub", "token"), key, *extra]
    assert key in rendered.one("Pod")["spec"]["containers"][0]["env"]
    assert "Secret" not in rendered.kinds
    assert "env" not in chart.render().container


def test_configuration(chart: HelmChart) -> None:
    rendered = chart.render()
    assert rendered.container["envFrom"] == [{"configMapRef": {"name": f"{RELEASE}-development"}}]
    data = rendered.one("ConfigMap")["data"]
    assert (data["MODEL_PATH"], data["SERVER_PORT"]) == (MODEL, "8000")
    assert data["SERVER_HOST"] == "0.0.0.0"  # noqa: S104 - the network policy is the fence
    assert (data["VLLM_NO_USAGE_STATS"], data["DO_NOT_TRACK"]) == ("1", "1")
    assert all(isinstance(value, str) for value in data.values())
    mounts = [mount["mountPath"] for mount in rendered.container["volumeMounts"]]
    for folder in (data["HF_HOME"], data["VLLM_CACHE_ROOT"]):
        assert any(folder.startswith(mount) and mount.endswith(".cache") for mount in mounts)


def test_only_changed_configuration_changes_the_checksum(chart: HelmChart) -> None:
    def checksum(values: dict[str, Any]) -> str:
        template = chart.render(values).one("Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["llmops.platform/config-checksum"])

    same = checksum({})
    assert checksum({"commonLabels": {"team": "a"}, "replicas": 3, "image": {"tag": "v0.32.0"}}) == same
    assert checksum({"model": {"source": "/models/m"}}) != same
    assert checksum({"service": {"host": "::"}}) != same


@pytest.mark.parametrize(
    ("persistence", "volume"),
    [
        ({"enabled": False}, {"emptyDir": {}}),
        ({"enabled": True}, {"persistentVolumeClaim": {"claimName": f"{RELEASE}-development-cache"}}),
        ({"enabled": True, "existingClaim": "weights"}, {"persistentVolumeClaim": {"claimName": "weights"}}),
    ],
)
def test_cache_volume(chart: HelmChart, persistence: dict[str, Any], volume: dict[str, Any]) -> None:
    rendered = chart.render({"persistence": persistence})
    assert {"name": "cache", **volume} in rendered.pod["volumes"]
    created = persistence["enabled"] and "existingClaim" not in persistence
    assert ("PersistentVolumeClaim" in rendered.kinds) is created
    if created:
        annotations = rendered.one("PersistentVolumeClaim")["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false"
        assert annotations["argocd.argoproj.io/compare-options"] == "IgnoreExtraneous"


def test_network_policy_admits_the_platforms_own_pods_and_prometheus_only(chart: HelmChart) -> None:
    policy = chart.render().one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert rule["from"] == [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "router"}}},
        {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "health-checker"}}},
        {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
        },
        {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "verifier"}}},
    ]
    exposed = {name: ALL_ON[name] for name in ("ingress", "httpRoute", "networkPolicy")}
    (open_rule,) = chart.render(exposed).one("NetworkPolicy")["spec"]["ingress"]
    assert open_rule["from"] == [
        *rule["from"],
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "ingress"}}},
        {
            "podSelector": {},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}},
        },
    ]
    closed = {name: {"enabled": False} for name in ("router", "healthChecker", "prometheus", "verifier")}
    nobody = chart.render({"networkPolicy": {"ingress": closed}}).one("NetworkPolicy")["spec"]
    assert nobody["ingress"] == []


@pytest.mark.parametrize(
    ("model", "downloads"), [({}, True), ({"offline": True}, False), ({"source": "/models/m"}, False)]
)
def test_egress_is_dns_and_a_model_source_only_where_one_is_needed(
    chart: HelmChart, model: dict[str, Any], downloads: bool
) -> None:
    rendered = chart.render({"model": model})
    dns, *sources = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert dns["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert bool(sources) is downloads
    assert rendered.one("ConfigMap")["data"].get("HF_HUB_OFFLINE") == (None if downloads else "1")
    if downloads:
        blocks = [peer["ipBlock"] for peer in sources[0]["to"]]
        assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "::/0"]
        assert "169.254.0.0/16" in blocks[0]["except"]
        assert sources[0]["ports"] == [{"port": 443, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("cidr", "cut"),
    [
        ("10.20.0.5/32", []),
        ("10.0.0.0/8", []),
        ("100.64.0.0/10", ["100.100.100.200/32"]),
        ("100.0.0.0/8", ["100.64.0.0/10", "100.100.100.200/32"]),
        ("169.0.0.0/8", ["169.254.0.0/16"]),
        ("169.253.0.0/16", []),
        ("168.0.0.0/8", ["168.63.129.16/32"]),
        (
            "128.0.0.0/1",
            ["169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "168.63.129.16/32", "192.0.0.192/32"],
        ),
        ("2001:db8::/32", []),
    ],
)
def test_metadata_services_are_cut_out_of_any_source(chart: HelmChart, cidr: str, cut: list[str]) -> None:
    values = {"networkPolicy": {"egress": {"modelSource": {"cidrs": [cidr]}}}}
    (block,) = chart.render(values).one("NetworkPolicy")["spec"]["egress"][1]["to"]
    assert block["ipBlock"] == {"cidr": cidr, **({"except": cut} if cut else {})}
    # Whatever a user cuts out, these are.
    mine = {"networkPolicy": {"egress": {"modelSource": {"cidrs": ["0.0.0.0/0", "::/0"], "except": []}}}}
    blocks = chart.render(mine).one("NetworkPolicy")["spec"]["egress"][1]["to"]
    assert "169.254.0.0/16" in blocks[0]["ipBlock"]["except"]
    assert "fd00:ec2::254/128" in blocks[1]["ipBlock"]["except"]


@pytest.mark.parametrize(
    "cidr",
    [
        "169.254.0.0/16",
        "169.254.169.254/32",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "fe80::/10",
        "FE80::1/128",
        "fd00:ec2::254/128",
        "fd00:0ec2::/32",
        "fd20:ce::/48",
        "fd00::/16",
        "fd00::/8",
        "fc00::/7",
        "::/1",
        "64:ff9b::/96",
        "::ffff:169.254.169.254/128",
    ],
)
def test_a_metadata_service_is_no_model_source(chart: HelmChart, cidr: str) -> None:
    with pytest.raises(RenderError, match=r"modelSource\.cidrs"):
        chart.render({"networkPolicy": {"egress": {"modelSource": {"cidrs": [cidr]}}}})


def test_readme_is_up_to_date() -> None:
    script = [sys.executable, str(ROOT / "scripts/chart_readme.py"), "--check"]
    finished = subprocess.run(script, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_documented_sizes_are_the_rendered_ones(chart: HelmChart) -> None:
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| (\d+) s \| (\d+) s \| (\d+) / (\d+) \| (\w+) / (\w+) \|$",
        (ROOT / "docs/model-initialization.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert len(rows) >= 5
    for billions, failures, budget, deadline, *resources in rows:
        rendered = chart.render({"model": {"sizeBillions": int(billions)}}, environment="staging")
        deployment = rendered.one("Deployment")
        requests, limits = (rendered.container["resources"][kind] for kind in ("requests", "limits"))
        assert rendered.container["startupProbe"]["failureThreshold"] == int(failures)
        annotations = deployment["metadata"]["annotations"]
        assert annotations["llmops.platform/startup-budget-seconds"] == budget
        assert deployment["spec"]["progressDeadlineSeconds"] == int(deadline)
        assert resources == [requests["cpu"], limits["cpu"], requests["memory"], limits["memory"]]

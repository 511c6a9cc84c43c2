# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users add to a release: it arrives, and it never takes the place of a part of the server."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import parse_manifest
from ansible_collections.llmops.platform.plugins.module_utils._core.placement.scheduling import PodShape
from tests.support.chart import CHART, EVERYTHING, NAMESPACE, RELEASE, HelmChart, RenderError

Values = dict[str, Any]
NAME = f"{RELEASE}-development"
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
IMAGE = "busybox:1.37"


def test_containers_stand_beside_the_server(chart: HelmChart) -> None:
    pod = chart.render(EVERYTHING).pod
    assert [item["name"] for item in pod["initContainers"]] == ["fetch", "proxy"]
    assert pod["initContainers"][1]["restartPolicy"] == "Always"
    # Who looks at the first container finds the server.
    assert [item["name"] for item in pod["containers"]] == ["vllm", "log"]
    beside = [*pod["initContainers"], pod["containers"][1]]
    assert all(item["securityContext"] == RESTRICTED for item in beside)


def test_containers_mount_the_pods_volumes(chart: HelmChart) -> None:
    values: Values = {
        "extraVolumes": [{"name": "a", "emptyDir": {}}],
        "persistence": {"extraClaims": [{"name": "w", "mountPath": "/w"}]},
    }
    for name in ("a", "w", "cache", "home", "tmp", "shm"):
        mounts = [{"name": name, "mountPath": "/tmp"}]
        beside = chart.render({**values, "sidecars": [container(volumeMounts=mounts)]}).pod["containers"][1]
        assert beside["volumeMounts"] == mounts


@pytest.mark.parametrize("text", ["\x7f", "say \x80\x99", "\x85", "\ufffe"])
@pytest.mark.parametrize(
    "values",
    [
        {"sidecars": [{"name": "log", "image": IMAGE, "args": ["TEXT"]}]},
        {"initContainers": [{"name": "log", "image": IMAGE, "args": ["TEXT"]}]},
        {"model": {"extraEnv": [{"name": "A", "value": "TEXT"}]}},
        {"extraVolumes": [{"name": "a", "nfs": {"path": "TEXT", "server": "a"}}]},
        {"scheduling": {"tolerations": [{"key": "TEXT"}]}},
        {"scheduling": {"affinity": {"podAffinity": {"a": "TEXT"}}}},
        {
            "extraObjects": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "TEXT"}}
            ]
        },
        {"test": {"command": ["TEXT"]}},
    ],
    ids=str,
)
def test_nothing_is_left_out_for_what_no_yaml_holds(chart: HelmChart, values: Values, text: str) -> None:
    """Helm's own function makes nothing of the whole list then, and says nothing."""
    given = json.loads(json.dumps(values).replace("TEXT", json.dumps(text)[1:-1]))
    with pytest.raises(RenderError, match="a text holds a character that YAML cannot hold"):
        chart.render(given)


def test_what_is_added_reads_the_same_here_as_there(chart: HelmChart) -> None:
    words = ["[", "$A", "=", "<<", "2024-13-45", "y", "on", "12:30:45", "1_000", "0o17", "1e3", "~", "é\t😀"]
    added = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
        "data": dict(zip("abcdefghijklm", words, strict=True)),
    }  # fmt: skip
    values: Values = {"initContainers": [container(command=words)], "extraObjects": [added]}
    objects = parse_manifest(chart.render(values).text)
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["command"] == words
    assert added["data"] in [item.get("data") for item in objects]


def test_containers_may_bring_their_own_security_context(chart: HelmChart) -> None:
    own = {"runAsUser": 1, "readOnlyRootFilesystem": True, "capabilities": {"add": ["NET_BIND_SERVICE"]}}
    sidecar = {"name": "log", "image": IMAGE, "securityContext": own}
    found = chart.render({"sidecars": [sidecar]}).pod["containers"][1]["securityContext"]
    capabilities = {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}
    assert found == {**RESTRICTED, **own, "capabilities": capabilities}


def test_the_servers_security_context(chart: HelmChart) -> None:
    own = {"readOnlyRootFilesystem": True, "capabilities": {"add": ["IPC_LOCK"]}, "runAsUser": 3000}
    pods = {"runAsUser": None, "fsGroup": 1000680000, "supplementalGroups": [44]}
    rendered = chart.render({"securityContext": own, "podSecurityContext": pods})
    capabilities = {"add": ["IPC_LOCK"], "drop": ["ALL"]}
    assert rendered.container["securityContext"] == {**RESTRICTED, **own, "capabilities": capabilities}
    # What the cluster is to choose is left out, and no whole number becomes another one.
    assert rendered.pod["securityContext"] == {
        "runAsNonRoot": True, "runAsGroup": 0, "fsGroup": 1000680000, "supplementalGroups": [44],
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def test_claims_are_made_or_found_and_mounted(chart: HelmChart) -> None:
    values = {"persistence": {**EVERYTHING["persistence"], "enabled": False, "storageClass": "fast"}}
    rendered = chart.render(values)
    claim = rendered.one("PersistentVolumeClaim")
    assert claim["metadata"]["name"] == f"{NAME}-adapters"
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "5Gi"}},
    }
    volumes = {item["name"]: item.get("persistentVolumeClaim") for item in rendered.pod["volumes"]}
    assert volumes["adapters"] == {"claimName": f"{NAME}-adapters"}
    assert volumes["weights"] == {"claimName": "shared", "readOnly": True}
    assert rendered.container["volumeMounts"][-2:] == [
        {"name": "adapters", "mountPath": "/adapters"},
        {"name": "weights", "mountPath": "/weights", "readOnly": True},
    ]
    assert PodShape.from_pod_template({"spec": rendered.pod}, NAMESPACE).claims == (
        f"{NAME}-adapters",
        "shared",
    )


def test_a_claim_says_for_itself_whether_it_is_kept(chart: HelmChart) -> None:
    claims = [{"name": "scratch", "mountPath": "/scratch", "retain": False}]
    made = chart.render({"persistence": {"extraClaims": claims}}).one("PersistentVolumeClaim")
    assert "helm.sh/resource-policy" not in made["metadata"]["annotations"]
    assert made["spec"]["resources"]["requests"]["storage"] == "100Gi"


def test_what_is_added_counts_where_room_is_looked_for(chart: HelmChart) -> None:
    def asks(name: str, cpu: str, **more: Any) -> Values:
        resources = {"requests": {"cpu": cpu}, "limits": {"nvidia.com/gpu": 1}}
        return {"name": name, "image": IMAGE, "resources": resources, **more}

    values = {
        "gpu": {"count": 2, "extraResources": {"rdma/ib": 1}, "resources": {"requests": {"cpu": "4"}}},
        "initContainers": [asks("fetch", "9"), asks("proxy", "1", restartPolicy="Always")],
        "sidecars": [asks("log", "2")],
    }
    shape = PodShape.from_pod_template({"spec": chart.render(values).pod}, NAMESPACE)
    # As kube-scheduler counts: server, sidecar and what stays beside them; or the largest that starts before.
    found = {name: shape.requests[name] for name in ("nvidia.com/gpu", "rdma/ib", "cpu")}
    assert found == {"nvidia.com/gpu": 4, "rdma/ib": 1, "cpu": 9000}


def test_the_network_of_the_node(chart: HelmChart) -> None:
    values: Values = {"hostNetwork": True, "networkPolicy": {"enabled": False}}
    pod = chart.render(values).pod
    assert (pod["hostNetwork"], pod["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    shape = PodShape.from_pod_template({"spec": pod}, NAMESPACE)
    assert {port for _, _, port in shape.host_ports} == {8000}
    assert not {"hostNetwork", "dnsPolicy"} & set(chart.render().pod)


def test_a_route(chart: HelmChart) -> None:
    rendered = chart.render(EVERYTHING)
    route = rendered.one("HTTPRoute")
    assert route["spec"] == {
        "parentRefs": EVERYTHING["httpRoute"]["parentRefs"],
        "hostnames": ["model.example.org"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}],
                "timeouts": {"request": "600s"},
                "backendRefs": [{"name": NAME, "port": 8000}],
            }
        ],
    }
    unbound = {**EVERYTHING["httpRoute"], "timeouts": {"request": None}}
    route = chart.render({**EVERYTHING, "httpRoute": unbound}).one("HTTPRoute")
    assert "timeouts" not in route["spec"]["rules"][0]


def test_nothing_is_said_about_the_ingress_class_by_default(chart: HelmChart) -> None:
    controller = {"ingressController": {"podLabels": {"app": "ingress"}}}
    ingress = {"enabled": True, "host": "model.example.org"}
    rendered = chart.render({"ingress": ingress, "networkPolicy": {"ingress": controller}})
    assert "ingressClassName" not in rendered.one("Ingress")["spec"]


def test_objects_are_templates_in_the_releases_namespace(each_helm: HelmChart) -> None:
    text = """
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata: {name: {{ .Release.Name }}, labels: {team: mine}}
        spec: {maxReplicas: {{ add .Values.replicas 3 }}}
        """
    template = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"},
        "data": {"a": "{{ .Values.environment }}"},
    }  # fmt: skip
    rendered = each_helm.render({"extraObjects": [text, template], "commonLabels": {"team": "all"}})
    scaler = rendered.one("HorizontalPodAutoscaler")
    assert (scaler["metadata"]["name"], scaler["spec"]) == (NAME, {"maxReplicas": 4})
    assert scaler["metadata"]["namespace"] == NAMESPACE
    assert scaler["metadata"]["labels"]["team"] == "mine"
    (added,) = [item for item in rendered.objects if item["metadata"]["name"] == f"{NAME}-a"]
    assert added["data"] == {"a": "development"}
    assert added["metadata"]["labels"]["llmops.platform/environment"] == "development"
    # It is no part of the server, which selectors look for.
    assert "app.kubernetes.io/name" not in added["metadata"]["labels"]


EMPTIED: list[Values] = [
    {"persistence": {"extraClaims": None}},
    {"securityContext": None, "podSecurityContext": None, "initContainers": None, "sidecars": None},
    {"extraVolumes": None, "extraVolumeMounts": None, "extraObjects": None, "gpu": {"extraResources": None}},
    {
        "httpRoute": {
            "enabled": True,
            "parentRefs": [{"name": "public"}],
            "hostnames": ["a.example.org"],
            "timeouts": None,
            "annotations": None,
        },
        "networkPolicy": {"ingress": {"gateway": {"podLabels": {"app": "gateway"}}}},
    },
]


@pytest.mark.parametrize("values", EMPTIED, ids=str)
def test_what_an_inventory_leaves_empty_adds_nothing(chart: HelmChart, values: Values) -> None:
    assert chart.render(values).container["securityContext"]["allowPrivilegeEscalation"] is False


def test_a_container_of_the_users_may_be_privileged(chart: HelmChart) -> None:
    """The API server refuses one that is privileged and may not escalate."""
    beside = [container("a", securityContext={"privileged": True}), container("b")]
    found = [item["securityContext"] for item in chart.render({"sidecars": beside}).pod["containers"][1:]]
    assert found == [{"privileged": True, "capabilities": {"drop": ["ALL"]}}, RESTRICTED]


def test_a_claim_may_be_called_like_a_value_of_yaml(chart: HelmChart) -> None:
    assert "on" in [item["name"] for item in chart.render(claim("/a", "on")).pod["volumes"]]


def test_a_text_may_hold_several_objects(chart: HelmChart) -> None:
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    a, b, d = (one.replace("{name: a}", f"{{name: {name}}}") for name in "abd")
    c = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {x: '---'}}\n"
    texts = [f"---\n{a}--- # the next\n{b}...\n---\n# nothing\n---\r\n", f"--- {c}---\n{d}"]
    rendered = chart.render({"extraObjects": texts})
    names = [item["metadata"]["name"] for item in rendered.objects if item["kind"] == "ConfigMap"]
    assert sorted(names) == ["a", "b", "c", "d", NAME]
    # Each of them is looked at.
    with pytest.raises(RenderError, match="Secret b would be kept"):
        chart.render({"extraObjects": [f"{a}---\n{b.replace('ConfigMap', 'Secret')}"]})


def test_the_readmes_example(chart: HelmChart) -> None:
    section = (CHART / "README.md").read_text(encoding="utf-8").split("## What you can add")[1]
    rendered = chart.render(yaml.safe_load(section.split("```yaml\n")[1].split("```")[0]))
    (added,) = [item for item in rendered.objects if item["metadata"]["name"] == "chat-templates"]
    # What is a template of the engine's arrives as such.
    assert "{{ message.content }}" in added["data"]["mistral.jinja"]
    assert "`" not in added["data"]["mistral.jinja"]


def claim(path: str, name: str = "a", **more: Any) -> Values:
    return {"persistence": {"extraClaims": [{"name": name, "mountPath": path, **more}]}}


def item(kind: str, name: str = "x", **metadata: Any) -> Values:
    return {"extraObjects": [{"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **metadata}}]}


def container(name: str = "log", image: str = IMAGE, **more: Any) -> Values:
    return {"name": name, "image": image, **more}


VOLUME = {"name": "a", "emptyDir": {}}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["a.example.org"]}

REFUSED: list[tuple[Values, str]] = [
    ({"sidecars": [container("vllm")]}, "sidecars: vllm is the model server's name"),
    ({"initContainers": [container("vllm")]}, "initContainers: vllm is the model server's name"),
    (
        {"initContainers": [container()], "sidecars": [container()]},
        "sidecars: log is the name of two containers",
    ),
    ({"sidecars": [container(image="busybox")]}, "the image busybox is another one tomorrow"),
    ({"sidecars": [container(image="r:5000/b:latest")]}, "the image r:5000/b:latest is another one"),
    (
        {"sidecars": [container(ports=[{"name": "http", "containerPort": 80}])]},
        'sidecars: log: the port "http" (80) is the model server\'s',
    ),
    ({"initContainers": [container(ports=[{"containerPort": 8000}])]}, '"" (8000) is the model server\'s'),
    (
        {"sidecars": [container(env=[{"name": "DB_PASSWORD", "value": "hush"}])]},
        "sidecars: log: env.DB_PASSWORD looks like a secret",
    ),
    ({"extraVolumes": [{"name": "cache", "emptyDir": {}}]}, "extraVolumes: cache is the name of another"),
    ({"extraVolumes": [VOLUME, VOLUME]}, "extraVolumes: a is the name of another volume"),
    (claim("/a", "shm"), "persistence.extraClaims: shm is the name of another volume"),
    ({**claim("/a"), "extraVolumes": [VOLUME]}, "a is the name of another volume of the pod"),
    (
        {"extraVolumeMounts": [{"name": "a", "mountPath": "/a"}]},
        "a at /a mounts a volume that the pod has not",
    ),
    *(
        (
            {field: [container(volumeMounts=[{"name": "a", "mountPath": "/a"}])]},
            f"{field}: log: a at /a mounts a volume that the pod has not",
        )
        for field in ("initContainers", "sidecars")
    ),
    *(
        (claim(path), f"a at {path} hides the server's own {own} (volume")
        for path, own in (
            ("/tmp", "/tmp"),
            ("/tmp/", "/tmp"),
            ("/x/../dev/shm", "/dev/shm"),
            ("/home", "/home/vllm"),
            ("/dev", "/dev/shm"),
            ("/", "/dev/shm"),
        )
    ),
    (
        {**claim("/a"), "extraVolumeMounts": [{"name": "tmp", "mountPath": "/a/"}]},
        "at /a takes the place of tmp",
    ),
    (
        {"replicas": 2, **claim("/a", accessModes=["ReadWriteOncePod"])},
        "persistence.accessModes ReadWriteOncePod",
    ),
    ({"hostNetwork": True}, "hostNetwork: no network policy reaches a pod in the network of its node"),
    ({"httpRoute": {**ROUTE, "parentRefs": []}}, "httpRoute.enabled needs httpRoute.parentRefs"),
    ({"httpRoute": {**ROUTE, "hostnames": []}}, "httpRoute.enabled needs httpRoute.hostnames"),
    (
        {"httpRoute": ROUTE},
        "httpRoute.enabled needs networkPolicy.ingress.gateway.namespaceLabels or podLabels",
    ),
    (
        {"ingress": {"enabled": True, "host": "a.example.org"}},
        "ingress.enabled needs networkPolicy.ingress.ingressController.namespaceLabels or podLabels",
    ),
    ({"extraObjects": ["a: b: c"]}, "extraObjects[0] is no object in YAML"),
    ({"extraObjects": ["{{ if false }}a: b{{ end }}"]}, "extraObjects[0] needs apiVersion, kind and"),
    (
        {"extraObjects": ["apiVersion: v1\nkind: X\nmetadata: a"]},
        "extraObjects[0] needs apiVersion, kind and",
    ),
    (
        {"extraObjects": ["kind: ConfigMap"]},
        "extraObjects[0] needs apiVersion, kind and metadata.name, each a text",
    ),
    (item("Secret"), "extraObjects[0]: Secret x would be kept in the release's history"),
    (item("Job"), "extraObjects[0]: Job x is a workload"),
    (item("Deployment"), "extraObjects[0]: Deployment x is a workload"),
    (item("ClusterRole"), "extraObjects[0]: ClusterRole x belongs to the whole cluster"),
    (item("VolumeSnapshotClass"), "VolumeSnapshotClass x belongs to the whole cluster"),
    (item("Namespace"), "extraObjects[0]: Namespace x belongs to the whole cluster"),
    (
        {"extraObjects": [{**item("List")["extraObjects"][0], "items": item("Secret")["extraObjects"]}]},
        "extraObjects[0]: List x holds other objects",
    ),
    (
        item("ConfigMap", annotations={"helm.sh/hook": "pre-install"}),
        "extraObjects[0]: ConfigMap x is a hook of Helm's",
    ),
    (item("ConfigMap", namespace="kube-system"), "ConfigMap x is for the namespace kube-system"),
    (item("ConfigMap", NAME), f"ConfigMap {NAME} has the name of an object of the chart"),
    (item("ConfigMap", "{{ .Release.Name }}"), f"ConfigMap {NAME} has the name of an object of the chart"),
    (item("PersistentVolumeClaim", f"{NAME}-cache"), "has the name of an object of the chart"),
    (
        {"extraObjects": 2 * item("ConfigMap")["extraObjects"]},
        "extraObjects[1]: ConfigMap x stands there twice",
    ),
]


def test_a_class_of_a_namespace_is_no_object_of_the_cluster(chart: HelmChart) -> None:
    extra = item("SecretProviderClass")["extraObjects"][0]
    extra["apiVersion"] = "secrets-store.csi.x-k8s.io/v1"
    assert chart.render({"extraObjects": [extra]}).one("SecretProviderClass")["metadata"]["name"] == "x"


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=str)
def test_what_would_harm_a_release_is_refused(chart: HelmChart, values: Values, words: str) -> None:
    with pytest.raises(RenderError) as refusal:
        chart.render(values)
    assert words in str(refusal.value)
    assert "hush" not in str(refusal.value)


def test_no_label_of_a_pod_changes_what_selects_it(chart: HelmChart) -> None:
    with pytest.raises(RenderError, match="/podLabels"):
        chart.render({"podLabels": {"app.kubernetes.io/instance": "other"}})

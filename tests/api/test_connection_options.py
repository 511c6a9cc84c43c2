# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to the API server, and on whose behalf: a real proxy, and the real server's word for who asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.access import (
    ServicePort,
    route_by_proxy,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.port_forward import (
    ForwardedConnection,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.exchange import Conversation
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm, ReleaseSpec
from tests.support.connect_proxy import ConnectProxy
from tests.support.lab import Lab
from tests.support.listeners import closed_port
from tests.support.playbooks import PlayRunner, module_play
from tests.support.rights import token_with_rights

MEMBER = "cn=team, ou=models"
USER = "jörg@example.com"


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    """Return a proxy that anybody may use."""
    with ConnectProxy() as running:
        yield running


def ask(path: str, **options: Any) -> None:
    """Ask the API server something."""
    ClusterClient(Authentication.from_params({"kubeconfig": path, **options})).get("/version")


def ask_by_helm(binary: str, namespace: str, path: str, **options: Any) -> None:
    """Have helm ask the API server something."""
    authentication = Authentication.from_params({"kubeconfig": path, **options})
    Helm(binary, authentication).uninstall("none", namespace, Deadline(60))


def install_by_helm(binary: str, namespace: str, folder: Path, **options: Any) -> None:
    """Have helm install a chart of one ConfigMap. An uninstall takes a refusal for a release that is gone."""
    (folder / "chart/templates").mkdir(parents=True, exist_ok=True)
    (folder / "chart/Chart.yaml").write_text("{apiVersion: v2, name: chart, version: 0.1.0}", "utf-8")
    one = "{apiVersion: v1, kind: ConfigMap, metadata: {name: one}}"
    (folder / "chart/templates/one.yaml").write_text(one, "utf-8")
    spec = ReleaseSpec("one", namespace, folder / "chart", (), {})
    Helm(binary, Authentication.from_params(options)).upgrade(spec, Deadline(60), "")


def with_proxy_url(kubeconfig: str, path: Path, url: str) -> str:
    """Write the administrator's kubeconfig with a proxy, and return its path."""
    content = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    content["clusters"][0]["cluster"]["proxy-url"] = url
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def test_requests_watches_and_helm_go_through_the_proxy_and_no_proxy_goes_around_it(
    api: ClusterClient, kubeconfig: str, helm_binary: str, namespace: str, proxy: ConnectProxy
) -> None:
    server = api.server.removeprefix("https://")
    host = server.split(":")[0]
    client = ClusterClient(Authentication.from_params({"kubeconfig": kubeconfig, "proxy": proxy.url}))
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    _items, version = client.list_at(path)
    assert set(proxy.targets) == {server}
    before = len(proxy.targets)
    client._connect()
    assert client.wait_for_change(path, {}, version, 1) in (False, True)
    assert len(proxy.targets) == before + 1

    ask_by_helm(helm_binary, namespace, kubeconfig, proxy=proxy.url)
    assert len(proxy.targets) > before + 1
    assert set(proxy.targets) == {server}

    before = len(proxy.targets)
    for exceptions in (f"{host}/24", f"example.com, {host}", "*", server):
        ask(kubeconfig, proxy=proxy.url, no_proxy=exceptions)
        ask_by_helm(helm_binary, namespace, kubeconfig, proxy=proxy.url, no_proxy=exceptions)
    assert len(proxy.targets) == before
    for exceptions in ("10.0.0.0/8", ".example.com", f"{host}:1"):
        ask(kubeconfig, proxy=proxy.url, no_proxy=exceptions)
        ask_by_helm(helm_binary, namespace, kubeconfig, proxy=proxy.url, no_proxy=exceptions)
    assert len(proxy.targets) >= before + 6


def test_a_host_without_a_kubeconfig(
    api: ClusterClient, lab: Lab, helm_binary: str, namespace: str, proxy: ConnectProxy, tmp_path: Path
) -> None:
    # Not the account "default", which the cluster makes some time after the namespace.
    token = token_with_rights(api, namespace, "nobody", [])
    authority = str(lab.folder / "pki/ca.crt")
    given = {"host": api.server, "api_key": token, "ca_cert": authority, "proxy": proxy.url}
    ClusterClient(Authentication.from_params(given)).get("/version")
    before = len(proxy.targets)
    with pytest.raises(PlatformError, match="system:serviceaccount:") as caught:
        install_by_helm(helm_binary, namespace, tmp_path, **given)
    assert caught.value.error_class is ErrorClass.AUTH
    assert len(proxy.targets) > before


def test_the_proxy_of_a_kubeconfig(
    kubeconfig: str, helm_binary: str, namespace: str, proxy: ConnectProxy, tmp_path: Path
) -> None:
    configured = with_proxy_url(kubeconfig, tmp_path / "proxied", proxy.url)
    ask(configured)
    assert len(proxy.targets) == 1
    ask_by_helm(helm_binary, namespace, configured)
    before = len(proxy.targets)
    assert before > 1
    ask(configured, no_proxy="*")
    ask_by_helm(helm_binary, namespace, configured, no_proxy="*")
    assert len(proxy.targets) == before
    # The option replaces it.
    nowhere = with_proxy_url(kubeconfig, tmp_path / "nowhere", f"http://127.0.0.1:{closed_port()}")
    ask(nowhere, proxy=proxy.url)
    ask_by_helm(helm_binary, namespace, nowhere, proxy=proxy.url)
    assert len(proxy.targets) > before + 1
    socks = with_proxy_url(kubeconfig, tmp_path / "socks", "socks5://127.0.0.1:1")
    with pytest.raises(
        PlatformError, match=r"proxy-url of the kubeconfig: 'socks5://127\.0\.0\.1:1'"
    ) as caught:
        ask(socks)
    assert caught.value.error_class is ErrorClass.INVALID


def test_the_proxy_of_the_environment(
    kubeconfig: str,
    helm_binary: str,
    namespace: str,
    proxy: ConnectProxy,
    api: ClusterClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As kubectl takes it, so that the client and helm go the same way."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    ask(kubeconfig)
    assert len(proxy.targets) == 1
    ask_by_helm(helm_binary, namespace, kubeconfig)
    before = len(proxy.targets)
    assert before > 1
    host = api.server.removeprefix("https://").split(":")[0]
    for name in ("no_proxy option", "NO_PROXY"):
        options = {"no_proxy": host} if name == "no_proxy option" else {}
        if not options:
            monkeypatch.setenv("NO_PROXY", f"localhost,{host}")
        ask(kubeconfig, **options)
        ask_by_helm(helm_binary, namespace, kubeconfig, **options)
    assert len(proxy.targets) == before


def test_several_kubeconfigs_with_paths_of_their_own(
    lab: Lab,
    api: ClusterClient,
    helm_binary: str,
    namespace: str,
    proxy: ConnectProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cluster is in one file, with a relative path, and user and context are in another."""
    pki = lab.folder / "pki"
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/ca.crt").write_bytes((pki / "ca.crt").read_bytes())
    cluster = {"server": api.server, "certificate-authority": "ca.crt"}
    user = {"client-certificate": str(pki / "admin.crt"), "client-key": str(pki / "admin.key")}
    head = {"apiVersion": "v1", "kind": "Config"}
    first = {**head, "clusters": [{"name": "here", "cluster": cluster}]}
    context = {"name": "me", "context": {"cluster": "here", "user": "admin"}}
    second = {**head, "contexts": [context], "users": [{"name": "admin", "user": user}]}
    (tmp_path / "clusters/config").write_text(yaml.safe_dump(first), "utf-8")
    (tmp_path / "me").write_text(yaml.safe_dump(second), "utf-8")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'clusters/config'}:{tmp_path / 'me'}")
    given: dict[str, Any] = {"context": "me", "proxy": proxy.url}
    ClusterClient(Authentication.from_params(given)).get("/version")
    before = len(proxy.targets)
    Helm(helm_binary, Authentication.from_params(given)).uninstall("none", namespace, Deadline(60))
    assert len(proxy.targets) > before
    assert list(Path("/tmp").glob("llmops-kubeconfig-*")) == []


def test_a_proxy_that_wants_a_password(kubeconfig: str, helm_binary: str, namespace: str) -> None:
    with ConnectProxy("user:p@ss/ w") as guarded:
        right = guarded.url.replace("http://", "http://user:p%40ss%2F%20w@")
        ask(kubeconfig, proxy=right)
        ask_by_helm(helm_binary, namespace, kubeconfig, proxy=right)
        assert (guarded.refused, len(guarded.targets) > 1) == (0, True)
        wrong = guarded.url.replace("http://", "http://user:c4n4ry@")
        ways: list[Callable[..., None]] = [ask, partial(ask_by_helm, helm_binary, namespace)]
        for ask_wrong in ways:
            with pytest.raises(PlatformError, match="Proxy Authentication Required") as caught:
                ask_wrong(kubeconfig, proxy=wrong)
            assert caught.value.error_class is ErrorClass.INFRASTRUCTURE
            assert "c4n4ry" not in str(caught.value)


def test_a_proxy_that_is_not_there_is_told(kubeconfig: str, helm_binary: str, namespace: str) -> None:
    nowhere = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(PlatformError, match="cannot be reached") as caught:
        ask(kubeconfig, proxy=nowhere)
    assert "proxy" in caught.value.resolution
    with pytest.raises(PlatformError, match="proxyconnect") as caught:
        ask_by_helm(helm_binary, namespace, kubeconfig, proxy=nowhere)
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


def test_a_bare_connection_goes_through_the_proxy_as_the_impersonated_user(
    kubeconfig: str, namespace: str, proxy: ConnectProxy
) -> None:
    """As a port-forward and a request to a Service do; there is no kubelet here, so a refusal has to do."""
    options = {"kubeconfig": kubeconfig, "proxy": proxy.url, "impersonate_user": USER}
    client = ClusterClient(Authentication.from_params(options))
    with pytest.raises(PlatformError, match="portforward") as caught:
        ForwardedConnection.open(client, namespace, "pod", 80, 10)
    assert caught.value.error_class is ErrorClass.AUTH
    with Conversation(route_by_proxy(client, ServicePort("server", namespace, 80, "", ""))) as conversation:
        answer = conversation.request("GET", "/health", 10)
    assert f'User "{USER}" cannot get resource "services/proxy"' in json.loads(answer.body)["message"]
    assert len(proxy.targets) == 2
    client = ClusterClient(Authentication.from_params({**options, "no_proxy": "*"}))
    client.open_socket(5).close()
    assert len(proxy.targets) == 2
    guarded = Authentication.from_params({**options, "proxy": "https://127.0.0.1:1"})
    with pytest.raises(PlatformError, match=r"proxy: 'https://127\.0\.0\.1:1'"):
        ClusterClient(guarded).open_socket(5)


def test_the_server_says_who_asks(kubeconfig: str) -> None:
    options = {"kubeconfig": kubeconfig, "impersonate_user": USER, "impersonate_groups": [MEMBER, "readers"]}
    client = ClusterClient(Authentication.from_params(options))
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    who = answer["status"]["userInfo"]
    assert who["username"] == USER
    assert set(who["groups"]) == {MEMBER, "readers", "system:authenticated"}


def test_rights_are_those_of_the_impersonated_user_and_group(
    api: ClusterClient, kubeconfig: str, helm_binary: str, namespace: str, tmp_path: Path
) -> None:
    nobody = {"kubeconfig": kubeconfig, "impersonate_user": USER}
    path = f"/api/v1/namespaces/{namespace}/secrets"
    with pytest.raises(PlatformError, match=f'User "{USER}" cannot list resource "secrets"') as caught:
        ClusterClient(Authentication.from_params(nobody)).get(path)
    assert caught.value.error_class is ErrorClass.AUTH
    with pytest.raises(PlatformError, match=f'User "{USER}" cannot') as caught:
        install_by_helm(helm_binary, namespace, tmp_path, **nobody)
    assert caught.value.error_class is ErrorClass.AUTH

    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["*"]}]
    api.create(f"{rbac}/roles", {"metadata": {"name": "team"}, "rules": rules})
    group = {"kind": "Group", "name": MEMBER, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "Role", "name": "team", "apiGroup": "rbac.authorization.k8s.io"}
    api.create(f"{rbac}/rolebindings", {"metadata": {"name": "team"}, "roleRef": role, "subjects": [group]})
    member = {**nobody, "impersonate_groups": ["others", MEMBER]}
    ClusterClient(Authentication.from_params(member)).get(path)
    install_by_helm(helm_binary, namespace, tmp_path, **member)


@pytest.mark.parametrize("in_process", [True, False])
def test_modules_take_the_environment_variables_of_kubernetes_core(
    kubeconfig: str, namespace: str, proxy: ConnectProxy, tmp_path: Path, in_process: bool
) -> None:
    """With AWX and with tasks of kubernetes.core beside, one setting is for all."""
    environment = {
        "K8S_AUTH_PROXY": proxy.url,
        "K8S_AUTH_NO_PROXY": "example.com",
        "K8S_AUTH_IMPERSONATE_USER": "jane",
        "K8S_AUTH_IMPERSONATE_GROUPS": "readers,writers",
    }
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    arguments = {"set_name": "one", "namespace": namespace, "objects": [one], "kubeconfig": kubeconfig}
    play = module_play("kubernetes_objects", arguments, in_process=in_process, ignore_errors=True)
    (task,) = PlayRunner(tmp_path).run(play, environment=environment).tasks
    assert task.result["error_class"] == "auth"
    assert 'User "jane" cannot' in task.result["msg"]
    assert proxy.targets
    shown = task.result["invocation"]["module_args"]
    assert shown["impersonate_groups"] == ["readers", "writers"]

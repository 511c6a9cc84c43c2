# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubeconfigs with bound tokens of a real API server, used by kubectl and by our own client."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster import account_file
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.bound_token import request_token
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import service_account_kubeconfig
from tests.support.connect_proxy import ConnectProxy
from tests.support.kubectl import Kubectl
from tests.support.lab import Lab
from tests.support.module_arguments import with_defaults
from tests.support.run_module import RunModule

ACCOUNT = "deployer"
Write = Callable[..., Outcome]


def make_account(api: ClusterClient, namespace: str, name: str = ACCOUNT) -> None:
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "of/mine/deployer.yaml"


@pytest.fixture
def write(kubeconfig: str, api: ClusterClient, namespace: str, path: Path) -> Write:
    """Return a function that runs the module for an account that exists."""
    make_account(api, namespace)

    def run(*, check: bool = False, **changes: Any) -> Outcome:
        given = {"kubeconfig": kubeconfig, "path": str(path), "namespace": namespace, **changes}
        arguments = with_defaults(
            service_account_kubeconfig.ARGUMENT_SPEC, **{"service_account": ACCOUNT, **given}
        )
        return service_account_kubeconfig.run(arguments, Context(check_mode=check))

    return run


def token_of(path: Path) -> str:
    return str(yaml.safe_load(path.read_text("utf-8"))["users"][0]["user"]["token"])


def who(lab: Lab, path: Path) -> str:
    """Return whom kubectl is with this file alone."""
    answer = Kubectl(lab.binary("kubectl"), str(path)).run("auth", "whoami", "-o", "json")
    assert answer.returncode == 0, answer.stderr
    return str(json.loads(answer.stdout)["status"]["userInfo"]["username"])


def test_kubectl_is_the_account_with_the_file_alone(
    lab: Lab, write: Write, path: Path, namespace: str, kubeconfig: str
) -> None:
    done = write()
    assert done.changed
    assert done.warnings == []
    assert done.result == {
        "path": str(path),
        "reason": "there is no file",
        "user": f"system:serviceaccount:{namespace}:{ACCOUNT}",
        "expires_at": done.result["expires_at"],
    }
    assert who(lab, path) == done.result["user"]
    assert path.stat().st_mode & 0o7777 == 0o600
    assert [folder.stat().st_mode & 0o7777 for folder in path.parents[:2]] == [0o700, 0o700]
    assert [item.name for item in path.parent.iterdir()] == [path.name]

    made = yaml.safe_load(path.read_text("utf-8"))
    ours = yaml.safe_load(Path(kubeconfig).read_text("utf-8"))["clusters"][0]["cluster"]
    cluster = made["clusters"][0]["cluster"]
    assert cluster["server"] == ours["server"]
    authority = ours.get("certificate-authority-data") or base64.b64encode(
        Path(ours["certificate-authority"]).read_bytes()
    )
    assert base64.b64decode(cluster["certificate-authority-data"]).split() == (
        base64.b64decode(authority).split()
    )
    assert made["contexts"][0]["context"]["namespace"] == namespace

    again = write()
    assert not again.changed
    assert again.result == {**done.result, "reason": ""}


def test_a_token_ends_when_it_was_asked_to(write: Write, path: Path, api: ClusterClient) -> None:
    write(expiration_seconds=600)
    payload = token_of(path).split(".")[1]
    read = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert read["exp"] - read["iat"] == 600
    # Asking for another lifetime is asking for another token.
    assert write(expiration_seconds=1200).result["reason"].startswith("lifetime, proxy")


def test_a_token_is_renewed_in_time(write: Write, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(expiration_seconds=1000)
    first = token_of(path)
    clock = time.time
    for passed, share, reason in [
        (0, 0.5, ""),
        (450, 0.5, ""),
        (550, 0.5, "the token ends soon"),
        (550, 0.25, ""),
        (1100, 0.0, "the token has ended"),
        (0, 1.0, "the token ends soon"),
    ]:
        monkeypatch.setattr(time, "time", lambda late=passed: clock() + late)
        planned = write(expiration_seconds=1000, renew_share=share, check=True)
        assert planned.result["reason"] == reason, (passed, share)
        assert token_of(path) == first
    assert write(expiration_seconds=1000, renew_share=1.0).changed
    assert token_of(path) != first


def test_a_server_that_grants_less_is_told_and_not_asked_again(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        account_file,
        "request_token",
        lambda client, namespace, name, seconds: request_token(client, namespace, name, 600),
    )
    (warning,) = write(expiration_seconds=86400).warnings
    assert "a token of 600 s where 86400 s were asked for" in warning
    assert not write(expiration_seconds=86400).changed


def test_an_account_that_was_made_anew_is_seen(
    lab: Lab, write: Write, path: Path, api: ClusterClient, namespace: str
) -> None:
    write()
    first = token_of(path)
    # For some seconds the API server goes on taking a token that it has judged.
    assert who(lab, path).endswith(f":{ACCOUNT}")
    api.delete(f"/api/v1/namespaces/{namespace}/serviceaccounts/{ACCOUNT}")
    make_account(api, namespace)
    planned = write(check=True)
    assert planned.result["reason"] == "the account of the token is gone"
    assert token_of(path) == first
    assert write().changed
    assert who(lab, path).endswith(f":{ACCOUNT}")
    assert not write().changed


def test_check_mode_and_diff_show_no_token(write: Write, path: Path) -> None:
    planned = write(check=True)
    assert planned.changed
    assert planned.diff is not None
    assert planned.diff["before"] == ""
    assert "[hidden] (for 86400 s)" in planned.diff["after"]
    assert not path.parent.exists()

    first = write()
    second = write(expiration_seconds=3600)
    for done in (first, second):
        told = json.dumps([done.result, done.diff, done.warnings])
        assert token_of(path) not in told
        assert "eyJ" not in told
        assert "[hidden] (until " in told


def test_an_account_that_is_missing_is_told(write: Write, path: Path) -> None:
    planned = write(service_account="nobody", check=True)
    assert planned.changed
    assert [warning.split(" ", 3)[3].split("/")[1] for warning in planned.warnings] == ["nobody yet."]
    with pytest.raises(PlatformError, match="service_account: 'nobody' does not exist in namespace") as told:
        write(service_account="nobody")
    assert told.value.details == {"field": "service_account"}
    assert not path.exists()


def test_another_file_is_left_alone(write: Write, path: Path, kubeconfig: str, namespace: str) -> None:
    path.parent.mkdir(parents=True)
    of_another = path.with_name("another.yaml")
    write(path=str(of_another), service_account="default")
    ours = path.with_name("ours.yaml")
    write(path=str(ours))
    merged = yaml.safe_load(ours.read_text("utf-8"))
    merged["users"].append({"name": "more", "user": {"token": "x"}})
    texts = [
        "not: [yaml",
        "just text",
        Path(kubeconfig).read_text("utf-8"),
        of_another.read_text("utf-8"),
        yaml.safe_dump(merged),
        "[]",
        "kind: Config",
    ]
    for text in texts:
        path.write_text(text, "utf-8")
        for state in ("present", "absent"):
            for check in (True, False):
                with pytest.raises(PlatformError, match="is left as it is") as told:
                    write(state=state, check=check)
                assert told.value.details == {"field": "path"}
                assert path.read_text("utf-8") == text
    forced = write(force=True)
    assert forced.result["reason"] == "another file is replaced"
    assert forced.diff is not None
    assert forced.diff["before"] == "(another file, which is not shown)\n"
    path.write_text("just text", "utf-8")
    assert write(state="absent", force=True).changed
    assert not path.exists()


@pytest.mark.parametrize("change", ["server", "certificate-authority-data"])
def test_the_file_of_another_cluster_is_left_alone(
    write: Write, path: Path, kubeconfig: str, change: str
) -> None:
    """Environments of one name in two clusters have accounts of one name."""
    write()
    content = yaml.safe_load(path.read_text("utf-8"))
    another = {"server": "https://another:6443", "certificate-authority-data": "YW5vdGhlcg=="}[change]
    content["clusters"][0]["cluster"][change] = another
    path.write_text(yaml.safe_dump(content), "utf-8")
    for state in ("present", "absent"):
        for check in (True, False):
            with pytest.raises(PlatformError, match="for another API server or with another certificate"):
                write(state=state, check=check)
    assert yaml.safe_load(path.read_text("utf-8")) == content
    assert write(force=True).result["reason"] == "another file is replaced"
    assert not write().changed


def test_an_empty_file_is_nobodys(write: Write, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    assert write().result["reason"] == "there is no file"
    assert token_of(path)


def test_a_file_that_others_may_read_is_taken_from_them(write: Write, path: Path) -> None:
    write()
    first = path.read_text("utf-8")
    path.chmod(0o644)
    planned = write(check=True)
    assert planned.changed
    assert path.stat().st_mode & 0o777 == 0o644
    done = write()
    assert done.result["reason"] == "the mode is 0644"
    assert "delete it and run again" in done.warnings[0]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text("utf-8") == first
    assert not write().changed


def test_it_is_removed(write: Write, path: Path) -> None:
    assert not write(state="absent").changed
    write()
    assert write(state="absent", check=True).changed
    assert path.exists()
    # For that no cluster has to answer.
    assert write(state="absent", kubeconfig="/nonexistent").changed
    assert not path.exists()
    assert not write(state="absent").changed


@pytest.mark.parametrize("change", ["option", "kubeconfig"])
def test_a_connection_that_trusts_anybody_is_not_handed_on(
    write: Write, path: Path, kubeconfig: str, tmp_path: Path, change: str
) -> None:
    given: dict[str, Any] = {"validate_certs": False}
    if change == "kubeconfig":
        content = yaml.safe_load(Path(kubeconfig).read_text("utf-8"))
        cluster = content["clusters"][0]["cluster"]
        cluster.pop("certificate-authority-data", None)
        cluster.pop("certificate-authority", None)
        cluster["insecure-skip-tls-verify"] = True
        lax = tmp_path / "lax"
        lax.write_text(yaml.safe_dump(content), "utf-8")
        given = {"kubeconfig": str(lax)}
    with pytest.raises(PlatformError, match=r"validate_certs: .* is not checked") as told:
        write(**given)
    assert "ca_cert" in told.value.resolution
    assert not path.exists()


def test_a_proxy_on_the_way_goes_along_and_its_password_is_not_shown(
    lab: Lab, write: Write, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ConnectProxy("user:canary") as proxy:
        done = write(proxy=proxy.url.replace("//", "//user:canary@"))
        passed = len(proxy.targets)
        assert passed > 0
        assert who(lab, path) == done.result["user"]
        assert len(proxy.targets) > passed
        assert not write(proxy=proxy.url.replace("//", "//user:canary@")).changed
    told = json.dumps([done.result, done.diff])
    assert "canary" not in told
    assert f"[hidden]@127.0.0.1:{proxy.port}" in told


def test_an_exec_plugin_of_the_administrator_does_not_go_along(
    lab: Lab, write: Write, path: Path, kubeconfig: str, namespace: str, tmp_path: Path, api: ClusterClient
) -> None:
    """The administrator logs in by a program; the file holds server, authority and token alone."""
    admin = yaml.safe_load(Path(kubeconfig).read_text("utf-8"))
    user = admin["users"][0]["user"]
    data = {
        key: (
            base64.b64decode(user[f"client-{source}-data"]).decode()
            if f"client-{source}-data" in user
            else Path(user[f"client-{source}"]).read_text("utf-8")
        )
        for key, source in (("clientCertificateData", "certificate"), ("clientKeyData", "key"))
    }
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": data,
    }
    answer = tmp_path / "credential.json"
    answer.write_text(json.dumps(credential), "utf-8")
    admin["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "cat",
            "args": [str(answer)],
            "interactiveMode": "Never",
        }
    }
    by_program = tmp_path / "admin.yaml"
    by_program.write_text(yaml.safe_dump(admin), "utf-8")
    write(kubeconfig=str(by_program))
    assert "exec" not in path.read_text("utf-8")
    assert who(lab, path) == f"system:serviceaccount:{namespace}:{ACCOUNT}"
    # By another way to the same server it is the same file.
    assert not write().changed


@pytest.mark.parametrize("mode", ["action", "module"])
def test_both_ways_of_running_show_no_token(
    run_module: RunModule, api: ClusterClient, kubeconfig: str, namespace: str, path: Path, mode: str
) -> None:
    make_account(api, namespace)
    arguments = {
        "kubeconfig": kubeconfig,
        "path": str(path),
        "namespace": namespace,
        "service_account": ACCOUNT,
    }
    done = run_module("service_account_kubeconfig", arguments, mode=mode, diff=True)
    assert done.changed, done.result
    assert "eyJ" not in json.dumps(done.result)
    assert not run_module("service_account_kubeconfig", arguments, mode=mode).changed
    refused = run_module("service_account_kubeconfig", {**arguments, "path": str(path.parent)}, mode=mode)
    assert refused.status == "failed"
    assert refused.result["error_class"] == "invalid"
    assert refused.result["field"] == "path"
    assert "is a folder" in refused.result["msg"]


def test_who_may_not_is_told_the_right(write: Write, path: Path, tmp_path: Path) -> None:
    write()
    with pytest.raises(PlatformError, match="cannot create resource") as told:
        write(kubeconfig=str(path), path=str(tmp_path / "another.yaml"))
    assert told.value.error_class == "auth"


def test_helm_takes_the_file(lab: Lab, helm_binary: str, write: Write, path: Path) -> None:
    write()
    answer = subprocess.run(
        [helm_binary, "list", "--kubeconfig", str(path)], capture_output=True, text=True, check=False
    )
    # It is known, and has no rights.
    assert "secrets is forbidden" in answer.stderr

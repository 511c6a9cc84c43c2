# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot work is refused by name, with what to do, in the right class, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.batch import Call, run_batch
from tests.support.chart import CHART
from tests.support.lab import Lab, fresh_namespace
from tests.support.listeners import closed_port, silent_port, tls_port
from tests.support.models import QUICK_VALUES
from tests.support.playbooks import PlayRunner, TaskResult
from tests.support.tls import Pair, write_kubeconfig

CANARY = "canary-6f1d"


@dataclass(frozen=True)
class Place:
    """What the cases refer to: the lab, files that are no good, ports that are no good."""

    lab: Lab
    namespace: str
    folder: Path
    silent: int
    expired: int
    stranger: int
    own_ca: Pair

    @property
    def server(self) -> str:
        """URL of the lab's API server."""
        return str(self.lab.facts["server"])

    @property
    def ca(self) -> bytes:
        """Certificate of the lab's authority."""
        return (self.lab.folder / "pki" / "ca.crt").read_bytes()

    def file(self, name: str, content: str = "", mode: int = 0o644) -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
        return str(path)

    def kubeconfig(self, name: str, server: str, **options: Any) -> str:
        """Write a kubeconfig and return its path."""
        return str(write_kubeconfig(self.folder / name, server, **options))

    def expired_client(self) -> str:
        """Write a kubeconfig whose client certificate is the cluster's own and has expired."""
        pki = self.lab.folder / "pki"
        authority = Pair.load(pki / "ca.crt", pki / "ca.key")
        client = Pair.issue("kubernetes-admin", authority, group="system:masters", days=-1)
        return self.kubeconfig("expired.kubeconfig", self.server, ca=self.ca, client=client)

    def release(self, **arguments: Any) -> dict[str, Any]:
        """Return good arguments of vllm_release, with these in their place."""
        return {
            "model": "org/good-7b",
            "environment": "development",
            "namespace": self.namespace,
            "chart_path": str(CHART),
            "chart_values": QUICK_VALUES,
            "kubeconfig": str(self.lab.kubeconfig),
            "helm_binary": str(self.lab.binary("helm")),
            "capacity_timeout": 0,
            **arguments,
        }


@dataclass(frozen=True)
class Case:
    """One bad argument: the class of its error, and words that the message must hold."""

    name: str
    arguments: Callable[[Place], dict[str, Any]]
    error_class: str
    words: tuple[str, ...]
    environment: dict[str, str] | None = None


def _values(**changes: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {**QUICK_VALUES}
    for key, value in changes.items():
        known = merged.get(key)
        merged[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return {"chart_values": merged}


def given(
    name: str, error_class: str, /, *words: str, environment: dict[str, str] | None = None, **arguments: Any
) -> Case:
    """Return a case whose arguments need nothing of the place."""
    return Case(name, lambda place: arguments, error_class, words, environment)


def value(name: str, /, *words: str, **changes: Any) -> Case:
    """Return a case of a bad value of the chart."""
    return Case(name, lambda place: _values(**changes), "invalid", words)


def _env(name: str, text: str = CANARY) -> dict[str, Any]:
    return {"extraEnv": [{"name": name, "value": text}]}


NAMES = [
    given("name-like-an-option", "invalid", "model: '-rf'", "hyphen", model="-rf"),
    given("name-empty", "invalid", "model: ''", "empty", model=""),
    given("name-white", "invalid", "model:", "empty", model=" \t "),
    given("name-missing", "invalid", "model:", model=None),
    given("name-513", "invalid", "model: 'xxx", "(513 characters)", "512", model="x" * 513),
    given("name-newline", "invalid", r"'a\nb'", "control", model="a\nb"),
    given("name-nul", "invalid", r"'a\x00b'", "control", model="a\x00b"),
    given("name-escape", "invalid", r"\x1b", "control", model="a\x1b[31mb"),
    given("name-reversed", "invalid", r"\u202e", "unprintable", model="a\u202eb"),
    given("name-template", "invalid", "'{{ 7*7 }}'", "template", model="{{ 7*7 }}"),
    given("name-block", "invalid", "template delimiter '{%'", model="a{% raw %}"),
    given("name-list", "invalid", "['a', 'b']", "list", model=["a", "b"]),
    given("name-mapping", "invalid", "{'a': 1}", "mapping", model={"a": 1}),
    given("namespace-capitals", "invalid", "namespace: 'Not_Valid'", namespace="Not_Valid"),
    given("namespace-empty", "invalid", "namespace: ''", namespace=""),
    given("namespace-64", "invalid", "namespace: 'aaa", "63", namespace="a" * 64),
    given("namespace-path", "invalid", "namespace: 'a/../b'", namespace="a/../b"),
    Case(
        "environment-unknown",
        lambda place: {"environment": "prod"},
        "invalid",
        ("environment", "production", "prod"),
    ),
    given("release-name", "invalid", "name: 'Bad_Name'", "53", name="Bad_Name"),
    given("release-name-54", "invalid", "name: 'aaa", "53", name="a" * 54),
    given("release-name-option", "invalid", "name: '-x'", name="-x"),
    given("argument-unknown", "invalid", "Unsupported", "colour", colour="red"),
    given("strategy-unknown", "invalid", "strategy", "surge", "fast", strategy="fast"),
]

NUMBERS = [
    given("timeout-negative", "invalid", "capacity_timeout: -1", "zero or more", capacity_timeout=-1),
    given("timeout-word", "invalid", "'capacity_timeout'", "float", capacity_timeout="soon"),
    given("timeout-nan", "invalid", "capacity_timeout: nan", capacity_timeout="nan"),
    given("timeout-endless", "invalid", "rollout_timeout: inf", rollout_timeout="inf"),
    given("takeover-negative", "invalid", "takeover_after: -3", takeover_after=-3),
    given("values-list", "invalid", "'chart_values'", "list", "dict", chart_values=[1]),
    given("values-text", "invalid", "'chart_values'", "dict", chart_values="hello"),
    value("gpu-negative", "/gpu/count", "-1", gpu={"count": -1}),
    value("gpu-word", "/gpu/count", "string", gpu={"count": "two"}),
    value("gpu-fraction", "/gpu/count", "integer", gpu={"count": 1.5}),
    value("gpu-text", "/gpu'", "string", gpu="1"),
    value("replicas-negative", "/replicas", "-1", replicas=-1),
    value("replicas-word", "/replicas", "integer", replicas="1"),
    value("size-negative", "/model/sizeBillions", "-7", model={"sizeBillions": -7}),
    value("size-zero", "/model/sizeBillions", "0", model={"sizeBillions": 0}),
    value("size-word", "/model/sizeBillions", "number", model={"sizeBillions": "big"}),
    value("size-huge", "/model/sizeBillions", "10,000", model={"sizeBillions": 10**9}),
    value("length-negative", "/model/maxModelLen", "-5", model={"maxModelLen": -5}),
    value("typo", "/gpu", "'cuont'", "not allowed", gpu={"cuont": 1}),
    value("typo-at-the-top", "'modle'", "not allowed", modle={"sizeBillions": 7}),
    value("name-twice", "chart_values.model.name", "'other'", "org/good-7b", model={"name": "other"}),
    value("environment-twice", "chart_values.environment", "'production'", environment="production"),
]

SECRETS = [
    value("secret-token", "/secrets/hfToken", "object", secrets={"hfToken": CANARY}),
    value("secret-value", "/secrets/hfToken", "'value'", secrets={"hfToken": {"value": CANARY}}),
    value("secret-in-env", "HF_TOKEN", "secrets.hfToken", model=_env("HF_TOKEN")),
    value("secret-key-in-env", "VLLM_API_KEY", "secrets.apiKey", model=_env("VLLM_API_KEY")),
    value("secret-other-env", "AWS_SECRET_ACCESS_KEY", "secretKeyRef", model=_env("AWS_SECRET_ACCESS_KEY")),
    value("secret-argument", "--api-key", "secrets.apiKey", model={"extraArgs": ["--api-key", CANARY]}),
    value("secret-equals", "--api-key", "secrets.apiKey", model={"extraArgs": [f"--api-key={CANARY}"]}),
    value("secret-top", "'apiKey'", apiKey=CANARY),
    value("secret-model", "'hfToken'", model={"hfToken": CANARY}),
    given("token-of-two-lines", "invalid", "api_key", "not shown", api_key=f"{CANARY}\nmore"),
    given(
        "token-in-environment",
        "invalid",
        "api_key",
        "not shown",
        environment={"K8S_AUTH_API_KEY": f"{CANARY} two"},
    ),
]

TOOLS = [
    given("helm-missing", "invalid", "helm_binary: 'helm-nope'", "Install", helm_binary="helm-nope"),
    Case(
        "helm-not-executable",
        lambda place: {"helm_binary": place.file("helm-plain", "#!/bin/sh\n")},
        "invalid",
        ("helm_binary", "helm-plain", "executable"),
    ),
    Case(
        "helm-too-old",
        lambda place: {"helm_binary": place.file("helm-old", "#!/bin/sh\necho v3.14.0+gc309b6f\n", 0o755)},
        "invalid",
        ("helm_binary", "3.14.0", "3.20.2"),
    ),
    Case(
        "helm-something-else",
        lambda place: {"helm_binary": place.file("helm-else", "#!/bin/sh\necho hello\n", 0o755)},
        "invalid",
        ("helm_binary", "helm-else"),
    ),
    given("chart-missing", "invalid", "chart_path: '/nowhere'", "No such file", chart_path="/nowhere"),
    given("chart-not-given", "invalid", "chart_path", chart_path=None),
    Case(
        "chart-is-no-chart",
        lambda place: {"chart_path": str(Path(place.file("no-chart/values.yaml")).parent)},
        "invalid",
        ("chart_path", "no-chart", "not a Helm chart"),
    ),
    Case(
        "chart-damaged",
        lambda place: {"chart_path": str(Path(place.file("broken/Chart.yaml", "a: [")).parent)},
        "invalid",
        ("chart_path", "broken", "Chart.yaml"),
    ),
    Case(
        "chart-of-something-else",
        lambda place: {
            "chart_path": str(
                Path(place.file("other/Chart.yaml", "apiVersion: v2\nname: other\nversion: 0.1.0\n")).parent
            )
        },
        "invalid",
        ("chart_path", "other", "no Deployment"),
    ),
    given("kubeconfig-missing", "invalid", "kubeconfig: '/nowhere'", kubeconfig="/nowhere"),
    Case(
        "kubeconfig-garbage",
        lambda place: {"kubeconfig": place.file("garbage", "{[")},
        "invalid",
        ("kubeconfig", "garbage"),
    ),
    Case(
        "kubeconfig-text",
        lambda place: {"kubeconfig": place.file("text", "hello")},
        "invalid",
        ("kubeconfig", "text", "not a kubeconfig"),
    ),
    Case(
        "kubeconfig-empty",
        lambda place: {"kubeconfig": place.file("empty")},
        "invalid",
        ("kubeconfig", "empty"),
    ),
    given("context-unknown", "invalid", "kubeconfig", "elsewhere", context="elsewhere"),
]

CLUSTERS = [
    given("host-without-scheme", "invalid", "host: '127.0.0.1:6443'", "https://", host="127.0.0.1:6443"),
    given("host-of-another-kind", "invalid", "host: 'ftp://127.0.0.1'", "https://", host="ftp://127.0.0.1"),
    given("host-unknown", "infrastructure", "nowhere.invalid", "resolve", host="https://nowhere.invalid"),
    Case(
        "nobody-listens",
        lambda place: {"host": f"https://127.0.0.1:{closed_port()}"},
        "infrastructure",
        ("127.0.0.1", "refused", "check that the API server runs"),
    ),
    Case(
        "server-certificate-expired",
        lambda place: {
            "kubeconfig": place.kubeconfig(
                "old-server", f"https://127.0.0.1:{place.expired}", ca=place.own_ca.certificate_pem
            )
        },
        "auth",
        ("TLS", "expired"),
    ),
    Case(
        "server-of-a-stranger",
        lambda place: {
            "kubeconfig": place.kubeconfig("wrong-ca", f"https://127.0.0.1:{place.stranger}", ca=place.ca)
        },
        "auth",
        ("TLS", "certificate", "authority"),
    ),
    Case(
        "client-certificate-expired",
        lambda place: {"kubeconfig": place.expired_client()},
        "auth",
        ("401", "expired"),
    ),
    Case(
        "token-refused",
        lambda place: {
            "kubeconfig": place.kubeconfig("no-token", place.server, ca=place.ca, user={"token": CANARY})
        },
        "auth",
        ("401", "credentials"),
    ),
    given("authority-missing", "invalid", "ca_cert: '/nowhere'", ca_cert="/nowhere"),
]


CASES = [*NAMES, *NUMBERS, *SECRETS, *TOOLS, *CLUSTERS]


@pytest.fixture(scope="module")
def place(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Return a place whose bad servers listen."""
    folder = tmp_path_factory.mktemp("bad-input")
    authority = Pair.issue("tests")
    stale = Pair.issue("127.0.0.1", authority, days=-1).write(folder, "stale")
    stranger = Pair.issue("127.0.0.1", authority).write(folder, "stranger")
    with ExitStack() as stack:
        yield Place(
            lab,
            stack.enter_context(fresh_namespace(api, "bad")),
            folder,
            stack.enter_context(silent_port()),
            stack.enter_context(tls_port(stale)),
            stack.enter_context(tls_port(stranger)),
            authority,
        )


@pytest.fixture(scope="module")
def answers(place: Place) -> dict[str, TaskResult]:
    """Return the results of all cases by name."""
    # Arguments of a test are data, and hostile ones have to arrive as they are.
    runner = PlayRunner(place.folder, {"_ANSIBLE_TEMPLAR_UNTRUSTED_TEMPLATE_BEHAVIOR": "ignore"})
    calls = [
        Call(
            case.name,
            "vllm_release",
            place.release(**case.arguments(place)),
            {"environment": case.environment} if case.environment else {},
        )
        for case in CASES
    ]
    return run_batch(runner, calls)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_argument_is_named_with_what_to_do(answers: dict[str, TaskResult], case: Case) -> None:
    answer = answers[case.name]
    assert answer.status == "failed"
    assert answer.result.get("error_class") == case.error_class, answer.result
    for word in case.words:
        assert word in answer.result["msg"]
    if "argument '" not in answer.result["msg"] and "must be one of" not in answer.result["msg"]:
        # What Ansible itself refuses says what is right in its message.
        told = ("Supported parameters", "are missing: ")
        assert answer.result["resolution"] or any(words in answer.result["msg"] for words in told)
    assert CANARY not in yaml.safe_dump(answer.result)


def test_nothing_was_written(answers: dict[str, TaskResult], api: ClusterClient, place: Place) -> None:
    assert len(answers) == len(CASES)
    for path in ("api/v1/{}/secrets", "apis/apps/v1/{}/deployments", "api/v1/{}/services"):
        found = api.get("/" + path.format(f"namespaces/{place.namespace}"))["items"]
        assert found == []

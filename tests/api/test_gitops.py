# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API server is the judge of what is written for Argo CD: by its own definition, and object by object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.application import (
    ApplicationOptions,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.commit import Note
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.layout import Layout
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.writing import (
    opened_place,
    write_target,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import Helm
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import asked_strategy
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
from tests.support.argocd import argocd_definitions
from tests.support.argocd_rendering import read_application, rendered
from tests.support.chart import ENVIRONMENTS, EVERYTHING
from tests.support.gateway_api import gateway_api
from tests.support.git_files import OPTIONS, request
from tests.support.kubectl import Kubectl

CREATE = ("create", "--dry-run=server", "--validate=strict", "--output=name", "--filename=-")


@pytest.fixture(scope="module", autouse=True)
def definition(api: ClusterClient) -> Iterator[None]:
    """Install Argo CD's own definition of Applications."""
    with argocd_definitions(api):
        yield


def write(root: Path, wanted: ReleaseRequest, options: ApplicationOptions) -> tuple[str, dict[str, Any]]:
    """Return the text of the Application that is written, and what it says."""
    with opened_place(root, Layout(), Deadline(30), print) as place:
        written = write_target(place, wanted, options, Note("test"))
    path = written.application_path
    return (root / path).read_text(encoding="utf-8"), read_application(root, path)


@pytest.mark.parametrize("values", [{}, {"replicas": None}], ids=["defaults", "autoscaled"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_argo_cd_s_definition_takes_every_application(
    kubectl: Kubectl, namespace: str, tmp_path: Path, environment: str, values: dict[str, Any]
) -> None:
    options = replace(
        OPTIONS,
        namespace=namespace,
        destination_name="eu" if environment == "production" else "",
        labels={"team": "search"},
        annotations={"notifications.argoproj.io/subscribe.on-sync-failed.slack": "models"},
    )
    model = 'org/Modell "x": ä #1'
    text, item = write(tmp_path, request(environment, model=model, values=values), options)
    answer = kubectl.run(*CREATE, stdin=text)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    assert answer.stdout.split() == [f"application.argoproj.io/{item['metadata']['name']}"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("    helm:", "    heml:"),
        ("      skipTests: true", "      skipTest: true"),
        ("      prune: true", "      prune: often"),
        ("      selfHeal: true", "      selfheal: true"),
        ("        factor: 2", "        factr: 2"),
        ("  project: default\n", ""),
    ],
)
def test_the_definition_really_judges(
    kubectl: Kubectl, namespace: str, tmp_path: Path, right: str, wrong: str
) -> None:
    text, _ = write(tmp_path, request(), replace(OPTIONS, namespace=namespace))
    assert right in text
    answer = kubectl.run(*CREATE, stdin=text.replace(right, wrong))
    assert answer.returncode != 0


def diff(kubectl: Kubectl, manifest: str) -> str:
    """Return what a server-side apply by Argo CD would change, empty for nothing."""
    options = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--filename=-")
    answer = kubectl.run("diff", *options, stdin=manifest)
    assert answer.returncode in (0, 1), answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def routes(api: ClusterClient) -> Iterator[None]:
    """Teach the API server the kinds of the Gateway API."""
    with gateway_api(api):
        yield


@pytest.mark.usefixtures("routes")
@pytest.mark.parametrize(
    ("environment", "values"),
    [("development", {}), ("staging", EVERYTHING), ("production", {"replicas": None})],
    ids=["defaults", "everything", "autoscaled"],
)
def test_argo_cd_has_nothing_to_change_about_what_helm_installed(
    helm_binary: str,
    kubeconfig: str,
    kubectl: Kubectl,
    make_namespace: Callable[[str], str],
    tmp_path: Path,
    environment: str,
    values: dict[str, Any],
) -> None:
    namespace = make_namespace("gitops")
    wanted = request(environment, namespace=namespace, values=values)
    helm = Helm(helm_binary, Authentication(kubeconfig=kubeconfig))
    helm.upgrade(wanted.spec(asked_strategy(wanted)), Deadline(60), "as vllm_release does")
    _, item = write(tmp_path, wanted, OPTIONS)
    manifest = rendered(Path(helm_binary), tmp_path, item)
    assert diff(kubectl, manifest) == ""
    # And it would be seen.
    assert "preStop" in manifest
    other = manifest.replace("revisionHistoryLimit: ", "revisionHistoryLimit: 1")
    assert "revisionHistoryLimit" in diff(kubectl, other)

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``argocd_sync`` against a real Argo CD: a sync, a self-heal, a rollback by revert, and what goes wrong.

The chart is of objects that need no node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules.argocd_sync import ARGUMENT_SPEC, run
from tests.support.argocd import argocd_definitions
from tests.support.argocd_server import ArgoCD, running_argocd
from tests.support.lab import Lab, fresh_namespace
from tests.support.module_arguments import with_defaults
from tests.support.served_repository import Repository, git_repository

pytestmark = [pytest.mark.full]

CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: server\nversion: 0.1.0\n",
    "chart/templates/settings.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
        'data:\n  image: {{ required "image is missing" .Values.image | quote }}\n'
    ),
    "chart/values.yaml": "image: first\n",
}
AUTOMATED = {"automated": {"prune": True, "selfHeal": True}}


@pytest.fixture(scope="module")
def argocd(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoCD]:
    """Return a running Argo CD in a namespace of its own."""
    with (
        argocd_definitions(api),
        fresh_namespace(api, "argocd") as namespace,
        running_argocd(lab, api, namespace, tmp_path_factory.mktemp("argocd")) as running,
    ):
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """Return a repository with the chart in its first commit."""
    with git_repository(tmp_path) as made:
        made.commit(CHART)
        yield made


class Site:
    """An Application that follows the repository into a namespace."""

    def __init__(
        self, lab: Lab, api: ClusterClient, argocd: ArgoCD, repository: Repository, namespace: str
    ) -> None:
        self._lab, self._api, self._argocd = lab, api, argocd
        self.repository, self.namespace = repository, namespace
        self.said: list[str] = []

    @property
    def path(self) -> str:
        """Return the API path of the Application."""
        return f"{self._applications}/{self.namespace}"

    @property
    def _applications(self) -> str:
        return f"/apis/argoproj.io/v1alpha1/namespaces/{self._argocd.namespace}/applications"

    def follow(self, policy: dict[str, Any], **spec: Any) -> None:
        """Make the Application."""
        source = {"repoURL": self.repository.url, "path": "chart", "targetRevision": "main"}
        destination = {"server": "https://kubernetes.default.svc", "namespace": self.namespace}
        self._api.create(
            self._applications,
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": self.namespace},
                "spec": {
                    "project": "default",
                    "source": source,
                    "destination": destination,
                    "syncPolicy": policy,
                    **spec,
                },
            },
        )

    def sync(self, commit: str, *, timeout: float = 120.0, check: bool = False, **given: Any) -> Outcome:
        """Run the module."""
        params = with_defaults(
            ARGUMENT_SPEC,
            kubeconfig=str(self._lab.kubeconfig),
            name=self.namespace,
            namespace=self._argocd.namespace,
            revision=commit,
            timeout=timeout,
            **given,
        )
        return run(params, Context(check_mode=check, progress=self.said.append))

    def image(self) -> str:
        """Return what the object of the chart says."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/{self.namespace}"
        return str((self._api.find(path) or {"data": {"image": "none"}})["data"]["image"])

    def deploy(self, image: str) -> str:
        """Commit another image."""
        return self.repository.commit({"chart/values.yaml": f"image: {image}\n"}, image)

    def spoil(self) -> None:
        """Change the object by hand."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/{self.namespace}"
        self._api.patch(path, {"data": {"image": "by hand"}})


@pytest.fixture
def site(
    lab: Lab, api: ClusterClient, argocd: ArgoCD, repository: Repository, namespace: str
) -> Iterator[Site]:
    """Return a site; its Application goes away with the test."""
    made = Site(lab, api, argocd, repository, namespace)
    yield made
    api.delete(made.path)


def test_a_sync_a_self_heal_and_a_rollback_by_revert(site: Site) -> None:
    second = site.deploy("second")
    site.follow(AUTOMATED)
    first_time = site.sync(second)
    assert first_time.result["application"] == {
        "revisions": [second],
        "sync": "Synced",
        "health": "Healthy",
        "automated": True,
    }
    assert (site.image(), first_time.changed) == ("second", False)

    third = site.deploy("third")
    site.sync(third)
    assert site.image() == "third"
    again = site.sync(third)
    assert (again.changed, again.result["waited_s"] < 2) == (False, True)

    site.spoil()
    eventually(lambda: site.image() == "third")
    site.sync(third)

    back = site.repository.revert(third)
    site.sync(back)
    assert site.image() == "second"


def test_a_manual_policy_is_synced_by_us_and_once(site: Site) -> None:
    commit = site.deploy("second")
    site.follow({})
    assert site.sync(commit, check=True).changed
    with pytest.raises(PlatformError, match="somebody to sync") as caught:
        site.sync(commit, sync=False, timeout=8)
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert site.image() == "none"

    assert site.sync(commit).changed
    assert site.image() == "second"
    assert not site.sync(commit).changed
    assert not site.sync(commit, check=True).changed


def test_a_commit_that_changes_no_object_is_there_at_once(site: Site) -> None:
    first = site.deploy("second")
    site.follow(AUTOMATED)
    site.sync(first)
    nothing = site.repository.commit({"README.md": "words\n"})
    site.sync(nothing)
    manual = site.repository.commit({"README.md": "more words\n"})
    assert not site.sync(manual).changed


def test_files_that_cannot_be_rendered_end_the_wait(site: Site) -> None:
    good = site.deploy("second")
    site.follow(AUTOMATED)
    site.sync(good)
    bad = site.repository.commit({"chart/values.yaml": "other: {}\n"})
    with pytest.raises(PlatformError, match="image is missing") as caught:
        site.sync(bad)
    assert caught.value.error_class is ErrorClass.INVALID
    # What is mended is not taken for broken, though the old error stands in the status at first.
    site.sync(site.deploy("third"))
    assert site.image() == "third"


def test_an_object_that_is_refused_ends_the_wait_and_can_be_tried_again(site: Site) -> None:
    wrong = site.repository.commit({"chart/templates/wrong.yaml": WRONG})
    site.follow({**AUTOMATED, "retry": {"limit": 0}})
    with pytest.raises(PlatformError, match="the sync failed") as caught:
        site.sync(wrong)
    assert caught.value.error_class is ErrorClass.WORKLOAD


def test_a_repository_that_is_not_there(site: Site) -> None:
    commit = site.deploy("second")
    wrong = {"repoURL": site.repository.url.replace("site.git", "none.git"), "path": "chart"}
    site.follow(AUTOMATED, source=wrong)
    with pytest.raises(PlatformError, match="ComparisonError") as caught:
        site.sync(commit)
    assert caught.value.error_class in (ErrorClass.AUTH, ErrorClass.INVALID)


def test_a_project_that_is_not_there(site: Site) -> None:
    commit = site.deploy("second")
    site.follow(AUTOMATED, project="nobody")
    with pytest.raises(PlatformError, match=r"InvalidSpecError.*nobody") as caught:
        site.sync(commit)
    assert caught.value.error_class is ErrorClass.INVALID


WRONG = "apiVersion: v1\nkind: Service\nmetadata:\n  name: wrong\nspec:\n  ports: [{port: 99999}]\n"


def eventually(true: Callable[[], bool], within_s: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)

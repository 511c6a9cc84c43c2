# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``argocd_sync`` against a real Argo CD: a sync, a self-heal, a rollback by revert, and what goes wrong.

The chart is of objects that need no node.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.git_lineage import git_lineage
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.wait import (
    ApplicationName,
    wait_for_commit,
)
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules.argocd_sync import ARGUMENT_SPEC, run
from tests.support.argocd import argocd_definitions
from tests.support.argocd_server import ArgoCD, running_argocd
from tests.support.control_plane import OPEN_NODE
from tests.support.lab import Lab, fresh_namespace
from tests.support.module_arguments import with_defaults
from tests.support.served_repository import Clone, Repository, git_repository

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

    def wait(self, commit: str) -> None:
        """Wait as a delivery does, which has the repository at hand."""
        clone = Clone(self.repository.folder)
        lineage = git_lineage(clone, self.repository.url, "main", commit, ["chart"])
        which = ApplicationName(self.namespace, self._argocd.namespace)
        wait_for_commit(self._api, which, lineage, Deadline(120), self.said.append)

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
        site.sync(commit, sync=False, timeout=20)
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


def test_an_object_that_is_refused_ends_the_wait_and_is_tried_again_by_the_next_run(
    site: Site, api: ClusterClient
) -> None:
    """Argo CD itself does not try a commit again that failed."""
    elsewhere = f"{site.namespace}-2"
    commit = site.repository.commit({"chart/templates/elsewhere.yaml": ELSEWHERE.format(elsewhere)})
    site.follow({**AUTOMATED, "retry": {"limit": 0}})
    with pytest.raises(PlatformError, match=r"the sync failed.*not found") as caught:
        site.sync(commit)
    assert caught.value.error_class is ErrorClass.WORKLOAD

    api.create("/api/v1/namespaces", {"metadata": {"name": elsewhere}})
    try:
        assert site.sync(commit).changed
        assert not site.sync(commit).changed
    finally:
        api.delete(f"/api/v1/namespaces/{elsewhere}")


def test_a_sync_window_is_waited_for_and_told(site: Site, api: ClusterClient, argocd: ArgoCD) -> None:
    project = f"/apis/argoproj.io/v1alpha1/namespaces/{argocd.namespace}/appprojects/default"
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    commit = site.deploy("second")
    api.patch(project, {"spec": {"syncWindows": [window]}})
    try:
        site.follow({})
        with pytest.raises(PlatformError, match="blocked by sync window") as caught:
            site.sync(commit, timeout=20)
        assert caught.value.error_class is ErrorClass.TIMEOUT
    finally:
        api.patch(project, {"spec": {"syncWindows": None}})
    # The controller looks again as soon as it is asked to.
    site.sync(commit)
    assert site.image() == "second"


def test_the_end_is_when_the_pods_are_ready_and_not_when_it_is_written(
    site: Site, api: ClusterClient
) -> None:
    before = site.deploy("second")
    site.follow(AUTOMATED)
    site.sync(before)
    commit = site.repository.commit({"chart/templates/server.yaml": SERVER})
    with pytest.raises(PlatformError, match="it is Progressing") as caught:
        site.sync(commit, timeout=12)
    assert caught.value.error_class is ErrorClass.TIMEOUT

    node = f"/api/v1/nodes/{OPEN_NODE}"
    later = threading.Timer(3, api.patch, [node, {"metadata": {"labels": {"argocd": site.namespace}}}])
    later.start()
    try:
        done = site.sync(commit)
    finally:
        later.join()
        api.patch(node, {"metadata": {"labels": {"argocd": None}}})
    assert done.result["application"]["health"] == "Healthy"
    assert done.result["waited_s"] > 2.5
    server = api.get(f"/apis/apps/v1/namespaces/{site.namespace}/deployments/server")
    assert server["status"]["availableReplicas"] == 1


def test_another_target_s_commit_may_come_first(site: Site) -> None:
    commit = site.deploy("second")
    site.repository.commit({"others/values.yaml": "image: x\n"})
    site.follow(AUTOMATED)
    site.wait(commit)
    assert site.image() == "second"


def test_a_revert_by_somebody_else_is_told(site: Site) -> None:
    first = site.deploy("second")
    site.follow(AUTOMATED)
    site.sync(first)
    commit = site.deploy("third")
    site.repository.revert(commit)
    with pytest.raises(PlatformError, match="Git has gone on") as caught:
        site.wait(commit)
    assert caught.value.error_class is ErrorClass.LOCKED
    assert site.image() == "second"


def test_the_spec_of_another_chart_comes_later(site: Site, api: ClusterClient) -> None:
    """As the parent brings it: the commit is there and well by the old spec before."""
    first = site.deploy("first")
    site.follow(AUTOMATED)
    site.sync(first, chart_path="chart")
    files = {path.replace("chart/", "chart-2/", 1): text for path, text in CHART.items()}
    commit = site.repository.commit({**files, "chart-2/values.yaml": "image: second\n"})
    with pytest.raises(PlatformError, match=r"parent to bring .* it has chart, not chart-2") as caught:
        site.sync(commit, timeout=10, chart_path="chart-2")
    assert caught.value.error_class is ErrorClass.TIMEOUT

    api.patch(site.path, {"spec": {"source": {"path": "chart-2"}}})
    site.sync(commit, chart_path="chart-2")
    assert site.image() == "second"


def test_a_volume_that_is_kept_is_no_difference_for_ever(site: Site, api: ClusterClient) -> None:
    claim = f"/api/v1/namespaces/{site.namespace}/persistentvolumeclaims/cache"
    site.repository.commit({"chart/templates/volume.yaml": KEPT})
    kept = site.deploy("second\nkept: true")
    site.follow(AUTOMATED)
    site.sync(kept)

    without = site.deploy("third\nkept: false")
    site.sync(without, timeout=40)
    assert site.image() == "third"
    assert api.find(claim) is not None


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


# No fake node takes it before it has the label.
SERVER = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: server
spec:
  selector:
    matchLabels: {app: server}
  template:
    metadata:
      labels: {app: server}
    spec:
      automountServiceAccountToken: false
      nodeSelector:
        argocd: {{ .Release.Namespace }}
      containers:
        - name: server
          image: none
"""
#: Annotated as the chart does it; and nobody binds it here, which Argo CD would wait for.
KEPT = """\
{{- if .Values.kept }}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: cache
  annotations:
    argocd.argoproj.io/sync-options: Prune=false
    argocd.argoproj.io/compare-options: IgnoreExtraneous
    argocd.argoproj.io/ignore-healthcheck: "true"
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 1Gi
{{- end }}
"""
ELSEWHERE = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: elsewhere\n  namespace: {}\n"


def eventually(true: Callable[[], bool], within_s: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)

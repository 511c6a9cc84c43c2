# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Delivery by Git and Argo CD: the branch is the record, a commit is the change, Argo CD makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from ..cluster.apply import FIELD_MANAGER
from ..cluster.client import APIError, ClusterClient
from ..cluster.drift import Drift, differences
from ..cluster.manifests import parse_manifest
from ..common.deadline import Deadline
from ..common.errors import invalid
from ..common.names import tier_of
from ..helm.binary import ReleaseSpec
from ..helm.chart import chart_files, chart_metadata, digest_of_files
from ..helm.storage import ReleaseRecord, read_release, revision_labels
from ..release.delivery import Change
from ..release.removal import wait_for_pods_to_end
from ..release.rendering import manifest_digest, source_of
from ..release.request import ReleaseTarget
from ..release.tools import Tools, Waits
from .application import ApplicationOptions, application
from .application_object import (
    bring_application,
    check_application,
    refuse_to_leave_objects,
    remove_application,
    require_argo_cd,
    wait_until_gone,
)
from .commit import Note
from .count import REVISION
from .delivered import status_of, takes_objects_along
from .layout import Layout
from .plain_secrets import refuse_secrets
from .repository import GitRepository, RepositoryOptions, opened_repository
from .target_files import TargetFiles, read_target
from .tree import Tree
from .wait import ApplicationName, wait_for_commit
from .wanted import Chart, Wanted
from .writing import Place, Written, remove_target, write_wanted

#: Who sets the fields of a release: Argo CD, and this.
_MANAGERS = ("argocd-controller", FIELD_MANAGER)
_NO_RIGHTS = 403


@dataclass
class GitDelivery:
    """Delivery by a commit. Times are in seconds: for Git, and for Argo CD to bring it to the cluster."""

    where: RepositoryOptions
    layout: Layout
    options: ApplicationOptions
    note: Note
    client: ClusterClient  #: of the cluster on which Argo CD runs
    timeout_s: float = 120.0
    sync_timeout_s: float = 600.0
    applies: bool = False  #: the Application is applied, where nothing else brings it
    #: Manifests, by what they are made of.
    _rendered: dict[str, str] = field(default_factory=dict, repr=False)
    _drift: dict[str, list[Drift]] = field(default_factory=dict, repr=False)  #: as the last look found it

    name = "argocd"

    def read(self, tools: Tools, target: ReleaseTarget) -> ReleaseRecord | None:
        """Return what the branch has, and whether Argo CD has brought it to the cluster."""
        deadline = Deadline(self.timeout_s)
        self.client.obey(tools.permit)
        _refuse_helm(tools, target)
        item = require_argo_cd(self.client, self._which(target))
        with self._opened(tools, deadline) as repository:
            tree = repository.head()
            found = read_target(tree, target, self.layout)
            if found is not None:
                lineage = repository.lineage(tree.commit or "", self._paths(target, found))
                status = status_of(item, found.application, lineage)
        if found is None:
            check_application(item, target, self.options.writer)
            return None if item is None else _going(target)
        self._drift[target.name] = self._application_drift(target, found)
        return self._record(tools, target, found, status, deadline)

    def drift(self, target: ReleaseTarget) -> list[Drift]:
        """Return what the Application in Git says otherwise than it is to say."""
        return self._drift.get(target.name, [])

    def managers(self, record: ReleaseRecord) -> tuple[str, ...]:
        """Return whose fields are the release's own."""
        return _MANAGERS

    def refuse(self, tools: Tools, change: Change) -> None:
        """Raise ``invalid`` for what cannot be written to Git."""
        self._write(tools, change, Deadline(self.timeout_s), check_mode=True)

    def refuse_removal(self, tools: Tools, target: ReleaseTarget, record: ReleaseRecord | None) -> None:
        """Raise ``invalid`` where the objects would stay."""
        if record is None or self.applies:
            return
        item = self.client.find(self._which(target).path)
        if item is not None:
            refuse_to_leave_objects(item)

    def recover(self, tools: Tools, target: ReleaseTarget, waits: Waits, *, chart_name: str) -> None:
        """See an Application go that is on its way. What was half done otherwise, an upgrade goes on with."""
        with tools.permit.step("argocd uninstall"):
            self._see_it_go(tools, target, waits.total.share(waits.removal_s))

    def upgrade(self, tools: Tools, change: Change, waits: Waits) -> ReleaseRecord | None:
        """Commit and push what is wanted, and see Argo CD bring it to the cluster."""
        request, plan = change.request, change.plan
        with tools.permit.step(f"argocd {plan.action}") as detail:
            tools.progress(
                f"{request.name}: {plan.action} by Git ({plan.wanted.digest[:19]}, strategy {plan.strategy})"
            )
            written = self._write(tools, change, waits.total.share(self.timeout_s))
            detail["commit"] = written.commit
            says = "committed as" if written.changed else "is in Git already, by"
            tools.progress(f"{request.name}: {says} {(written.commit or '')[:12]}")
            deadline = waits.total.share(self.sync_timeout_s)
            self._bring(tools, request, deadline, drifted=bool(plan.comparison.drift))
        return self.read(tools, request)

    def uninstall(self, tools: Tools, target: ReleaseTarget, waits: Waits) -> None:
        """Remove the target's files, and see the Application and its pods go."""
        deadline = waits.total.share(waits.removal_s)
        with tools.permit.step("argocd uninstall") as detail:
            self.refuse_removal(tools, target, self.read(tools, target))
            with self._opened(tools, deadline.share(self.timeout_s), writes=True) as repository:
                tools.permit.check()
                place = Place(repository, self.layout)
                detail["commit"] = remove_target(place, target, self.options.writer, self.note).commit
            tools.progress(f"{target.name}: removed from Git")
            self._see_it_go(tools, target, deadline)

    def _write(
        self, tools: Tools, change: Change, deadline: Deadline, *, check_mode: bool = False
    ) -> Written:
        spec, recorded = change.plan.wanted.spec, change.recorded
        refuse_secrets(spec.values)
        if recorded is None:
            name, version = chart_metadata(spec.chart)
            files = chart_files(spec.chart)
            chart = Chart(name, version, digest_of_files(files), files)
        else:
            # The repository has it, by its digest.
            chart = Chart(recorded.chart_name, recorded.chart_version, recorded.chart_digest)
        wanted = Wanted(change.request, change.request.tier, spec.values, chart)
        note = self.note.of(tools.permit.operation_id)
        subject = f"write {wanted.target.name}"
        if recorded is not None:
            subject = f"restore {wanted.target.name} to revision {recorded.revision}"
        with self._opened(tools, deadline, writes=not check_mode) as repository:
            return write_wanted(
                Place(repository, self.layout),
                wanted,
                self.options,
                note,
                subject,
                left=change.left,
                check_mode=check_mode,
                check=partial(self._check, tools, change, deadline),
            )

    def _check(self, tools: Tools, change: Change, deadline: Deadline, tree: Tree) -> None:
        """Raise just before a commit: the lock is lost, or it would not be what was recorded."""
        tools.permit.check()
        recorded = change.recorded
        if recorded is None:
            return
        found = read_target(tree, change.request, self.layout)
        if found is None:
            return
        with found.spec(change.request, tools.run_folder) as spec:
            objects = parse_manifest(self._manifest(tools, spec, found.chart_digest, deadline))
        if manifest_digest(objects) != recorded.digest:
            raise invalid(
                "to",
                f"revision {recorded.revision}",
                f"does not come again of its chart and values, which make {manifest_digest(objects)[:19]}",
                "Another Helm has made it, or what the cluster can do has changed. Deploy it from values.",
            )

    def _bring(self, tools: Tools, target: ReleaseTarget, deadline: Deadline, *, drifted: bool) -> None:
        """See Argo CD bring the branch's files to the cluster; pods are for the rollout to watch."""
        which = self._which(target)
        with self._opened(tools, deadline) as repository:
            tree = repository.head()
            found = read_target(tree, target, self.layout)
            if found is None:
                raise invalid(
                    "repository",
                    self.where.address.url,
                    f"does not have {target.name} any more: somebody has removed it meanwhile",
                    "See in the repository who did, then deploy it again.",
                )
            bring_application(
                self.client, which, found.application, deadline, tools.progress, applies=self.applies
            )
            wait_for_commit(
                self.client,
                which,
                repository.lineage(tree.commit or "", self._paths(target, found)),
                deadline,
                tools.progress,
                may_sync=True,
                prune=self.options.prune,
                healthy=False,
                fresh=drifted,
            )

    def _see_it_go(self, tools: Tools, target: ReleaseTarget, deadline: Deadline) -> None:
        which = self._which(target)
        item = self.client.find(which.path)
        if item is not None:
            with self._opened(tools, deadline.share(self.timeout_s)) as repository:
                in_git = read_target(repository.head(), target, self.layout) is not None
            along = takes_objects_along(item) or self.applies
            if self.applies and not in_git:
                remove_application(self.client, which)
            wait_until_gone(self.client, which, deadline, tools.progress)
            if not along:
                return
        wait_for_pods_to_end(tools.client, target.name, target.namespace, deadline)

    def _application_drift(self, target: ReleaseTarget, found: TargetFiles) -> list[Drift]:
        values, tier_file = found.values, next(iter(found.tier_files), None)
        chart = Chart("", "", found.chart_digest)
        wanted = Wanted(target, tier_of(target.environment, values.get("tier")), values, chart)
        item = application(wanted, self.options, found.chart_path, tier_file, found.count)
        if item == found.application:
            return []
        first = [*differences(item, found.application), *differences(found.application, item)]
        return [Drift(f"Application/{target.name} in Git", one.field) for one in first[:1]]

    def _record(
        self, tools: Tools, target: ReleaseTarget, found: TargetFiles, status: str, deadline: Deadline
    ) -> ReleaseRecord:
        with found.spec(target, tools.run_folder) as spec:
            name, version = chart_metadata(spec.chart)
            source = source_of(found.chart_digest, spec)
            manifest = self._manifest(tools, spec, found.chart_digest, deadline)
        count = found.count
        # As on Helm's records; of a revision that did not go back it says nothing.
        labels = revision_labels(1, source, None, 0, count.left or None) | {REVISION: str(count.known)}
        return _record_of(count.known, status, manifest, found.all_values, (name, version), labels)

    def _manifest(self, tools: Tools, spec: ReleaseSpec, chart_digest: str, deadline: Deadline) -> str:
        source = source_of(chart_digest, spec)
        if source not in self._rendered:
            self._rendered[source] = tools.helm.template(spec, deadline)
        return self._rendered[source]

    def _paths(self, target: ReleaseTarget, found: TargetFiles) -> tuple[str, ...]:
        return self.layout.application(target.name), self.layout.values(target.name), found.chart_path

    def _which(self, target: ReleaseTarget) -> ApplicationName:
        return ApplicationName(target.name, self.options.namespace)

    @contextmanager
    def _opened(self, tools: Tools, deadline: Deadline, *, writes: bool = False) -> Iterator[GitRepository]:
        with opened_repository(
            self.where, deadline, tools.progress, tools.run_folder, takes_turns=writes
        ) as repository:
            yield repository


def _record_of(
    revision: int,
    status: str,
    manifest: str,
    values: dict[str, object],
    chart: tuple[str, str],
    labels: Mapping[str, str],
) -> ReleaseRecord:
    return ReleaseRecord(
        revision=revision,
        status=status,
        modified_at=datetime.now(UTC),
        manifest=manifest,
        config=values,
        chart_name=chart[0],
        chart_version=chart[1],
        description="in Git",
        secret={"metadata": {"labels": dict(labels)}},
    )


def _going(target: ReleaseTarget) -> ReleaseRecord:
    """Return the record of what is in Git no more, but still on the cluster."""
    return _record_of(1, "uninstalling", "", {"model": {"name": target.model}}, ("", ""), {})


def _refuse_helm(tools: Tools, target: ReleaseTarget) -> None:
    """Raise ``invalid`` for a target that is Helm's: two who deliver would undo each other's changes."""
    try:
        record = read_release(tools.client, target.name, target.namespace)
    except APIError as error:
        # Who delivers by Git alone needs no right to see Helm's Secrets.
        if error.status != _NO_RIGHTS:
            raise
        return
    if record is None or record.status == "uninstalled":
        return
    raise invalid(
        "delivery",
        "argocd",
        f"meets {target.name} as a release of Helm, revision {record.revision}",
        "To have Argo CD take its objects over as they are, remove Helm's record, which leaves them alone: "
        f"kubectl -n {target.namespace} delete secret -l owner=helm,name={target.name}. "
        "Or remove the model with delivery=helm first.",
    )

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Application's status means: a row for each trap that others fell into.

Each row is the good status, changed in what the row is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import ErrorClass
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.application_status import (
    Next,
    Seen,
    judge,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.lineage import (
    Relation,
    check_commit,
    only,
    together,
)

OURS, LATER, OLD, REVERT, STRANGER = "a" * 40, "b" * 40, "0" * 40, "f" * 40, "5" * 40
KNOWN = {
    OURS: Relation.WANTED,
    LATER: Relation.WANTED,
    OLD: Relation.EARLIER,
    REVERT: Relation.AGAINST,
}

EARLY, FINISHED, RECONCILED = "2026-05-04T10:00:00Z", "2026-05-04T10:00:09Z", "2026-05-04T10:00:10Z"
LOOKED = Seen(refreshed=True)
MAY_SYNC = Seen(refreshed=True, may_sync=True)
SOURCE: dict[str, Any] = {"repoURL": "http://git", "path": "charts/new", "targetRevision": "main"}
DESTINATION: dict[str, Any] = {"server": "https://kubernetes.default.svc", "namespace": "llm"}
AUTOMATED: dict[str, Any] = {"automated": {"prune": True, "selfHeal": True}}


def lineage(revision: str) -> Relation:
    """Tell what the table knows of a commit."""
    return KNOWN.get(revision, Relation.UNKNOWN)


def operation(phase: str = "Succeeded", revision: str = OURS, **changes: Any) -> dict[str, Any]:
    """Return the state of a sync."""
    ended = {} if phase in ("Running", "Terminating") else {"finishedAt": FINISHED}
    return {
        "operation": {"sync": {"revision": revision}},
        "phase": phase,
        "startedAt": EARLY,
        "syncResult": {"revision": revision},
        **ended,
        **changes,
    }


def comparison(status: str = "Synced", revision: str = OURS, **source: Any) -> dict[str, Any]:
    """Return the result of a comparison."""
    compared_to = {"source": {**SOURCE, **source}, "destination": DESTINATION}
    return {"status": status, "revision": revision, "comparedTo": compared_to}


def condition(kind: str, message: str) -> dict[str, Any]:
    """Return the conditions of a status."""
    return {"conditions": [{"type": kind, "message": message}]}


def application(policy: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """Return an Application that has our commit and is healthy, but for what is given; None removes."""
    good = {
        "sync": comparison(),
        "health": {"status": "Healthy"},
        "reconciledAt": RECONCILED,
        "operationState": operation(),
    }
    changed = {**good, **status}
    return {
        "metadata": {"name": "vllm-llama-staging", "resourceVersion": "7"},
        "spec": {
            "project": "models",
            "source": SOURCE,
            "destination": DESTINATION,
            "syncPolicy": AUTOMATED if policy is None else policy,
        },
        "status": {name: value for name, value in changed.items() if value is not None},
    }


def manual(**status: Any) -> dict[str, Any]:
    """Return the same with a manual sync policy."""
    return application({}, **status)


def refreshing(item: dict[str, Any]) -> dict[str, Any]:
    """Return the Application with a refresh that was asked for."""
    annotations = {"argocd.argoproj.io/refresh": "hard"}
    return {**item, "metadata": {**item["metadata"], "annotations": annotations}}


def several(*revisions: str, **status: Any) -> dict[str, Any]:
    """Return an Application of several sources, compared and synced at these commits."""
    sources = [{"targetRevision": "0.1.0", "chart": "vllm"}, {"targetRevision": "main"}]
    # As Argo CD writes it, whose empty source is not left out.
    compared_to = {"source": {"repoURL": ""}, "sources": sources, "destination": DESTINATION}
    item = application(
        sync={"status": "Synced", "revisions": list(revisions), "comparedTo": compared_to},
        operationState=operation(syncResult={"revision": "", "revisions": list(revisions)}),
        **status,
    )
    item["spec"]["sources"] = sources
    return item


def specified(item: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return the Application with another spec than that which its status is about."""
    return {**item, "spec": {**item["spec"], **spec}}


def ill(*resources: dict[str, Any]) -> dict[str, Any]:
    """Return a Degraded Application with objects that say why."""
    return application(health={"status": "Degraded"}, resources=list(resources))


@dataclass(frozen=True)
class Row:
    """A status, and what is to be done."""

    case: str
    item: dict[str, Any] | None
    next: Next
    reason: str = ""
    seen: Seen = LOOKED
    error_class: ErrorClass | None = None


OUT = comparison("OutOfSync")
OLD_OPERATION = operation(revision=OLD)
DENIED = "Sync operation blocked by sync window"
RETRIES = "one or more objects failed to apply. Retrying attempt #2 at 10:05AM."
SERVER_DOWN = "Failed to load target state: rpc error: code = Unavailable desc = connection refused"
NO_LOGIN = "Failed to load target state: authentication required: Repository not found."
BROKEN = "Failed to load target state: failed to generate manifest: helm template: invalid value"
REJECTED = operation(
    "Failed",
    message="one or more objects failed to apply",
    syncResult={
        "revision": OURS,
        "resources": [
            {"kind": "Service", "name": "good", "status": "Synced"},
            {"kind": "Deployment", "name": "llama", "status": "SyncFailed", "message": "spec is immutable"},
        ],
    },
)
NEW_CHART = Seen(refreshed=True, chart_path="charts/new")
OLD_CHART = specified(
    application(sync=comparison(path="charts/old")), source={**SOURCE, "path": "charts/old"}
)
KEPT = {
    "kind": "PersistentVolumeClaim",
    "name": "llama-cache",
    "status": "OutOfSync",
    "requiresPruning": True,
}


def failed_with(source: dict[str, Any]) -> dict[str, Any]:
    """Return a sync of our commit that failed with a source."""
    return operation("Failed", message="refused", syncResult={"revision": OURS, "source": source})


ROWS = [
    # What is done, also before anybody looked.
    Row("synced by itself before we look", application(), Next.DONE, "aaaaaaaaaaaa", Seen()),
    Row("synced and looked at again", application(), Next.DONE),
    Row("reconciled in the second of its end", application(reconciledAt=FINISHED), Next.DONE),
    Row("a later commit of another target", application(sync=comparison(revision=LATER)), Next.DONE),
    Row(
        "a later commit was synced at once",
        application(sync=comparison(revision=LATER), operationState=operation(revision=LATER)),
        Next.DONE,
    ),
    Row("our commit changes no object", application(operationState=OLD_OPERATION), Next.DONE),
    Row("it was as in Git from the start", application(operationState=None), Next.DONE),
    Row("synced by hand under a manual policy", manual(), Next.DONE),
    Row(
        "a dry run failed",
        application(operationState=operation("Failed", operation={"sync": {"dryRun": True}})),
        Next.DONE,
    ),
    Row("several sources, one of them ours", several("0.1.0", OURS), Next.DONE),
    # What Argo CD has not seen yet.
    Row("no Application", None, Next.WAIT, "to be there", Seen()),
    Row(
        "never reconciled",
        application(sync=None, operationState=None, reconciledAt=None),
        Next.REFRESH,
        "first",
        Seen(),
    ),
    Row(
        "healthy with the commit before",
        application(sync=comparison(revision=OLD), operationState=OLD_OPERATION),
        Next.REFRESH,
        "has compared 000000000000 of main",
        Seen(),
    ),
    Row("the same after a look: Git is late", application(sync=comparison(revision=OLD)), Next.REFRESH),
    Row("a commit nobody knows", application(sync=comparison(revision=STRANGER)), Next.REFRESH, "5555"),
    Row("several sources, ours before", several("0.1.0", OLD), Next.REFRESH),
    Row(
        "a refresh is on its way",
        refreshing(application(sync=comparison(revision=OLD))),
        Next.WAIT,
        "controller to refresh it",
        Seen(),
    ),
    # A spec that came after the status.
    Row(
        "the spec has another chart than was compared",
        application(sync=comparison(path="charts/old")),
        Next.REFRESH,
        "new spec",
    ),
    Row(
        "another namespace than was compared",
        specified(application(), destination={**DESTINATION, "namespace": "other"}),
        Next.REFRESH,
        "new spec",
    ),
    Row(
        "nothing tells what was compared",
        application(sync={"status": "Synced", "revision": OURS}),
        Next.REFRESH,
    ),
    Row(
        "what says nothing is left out by Argo CD",
        specified(application(), source={**SOURCE, "helm": {"skipTests": False}, "directory": {}}),
        Next.DONE,
    ),
    Row(
        "but not in a chart's values",
        specified(
            application(sync=comparison(helm={"valuesObject": {}})),
            source={**SOURCE, "helm": {"valuesObject": {"metrics": False}}},
        ),
        Next.REFRESH,
    ),
    Row("another of several sources", specified(several("0.1.0", OURS), sources=[SOURCE]), Next.REFRESH),
    Row(
        "hydrated: the source is put together",
        specified(
            application(sync=comparison(targetRevision="env/staging")),
            source=None,
            sourceHydrator={
                "drySource": {"repoURL": "http://git", "path": "dry", "targetRevision": "main"},
                "syncSource": {"targetBranch": "env/staging", "path": "charts/new"},
            },
        ),
        Next.DONE,
    ),
    Row("the chart is where it was delivered", application(), Next.DONE, "", NEW_CHART),
    Row("named in another way", application(), Next.DONE, "", Seen(chart_path="./charts/new/")),
    Row(
        "the parent has not brought the spec yet",
        OLD_CHART,
        Next.WAIT,
        "the parent to bring the Application's new spec: it has charts/old, not charts/new",
        NEW_CHART,
    ),
    Row("nobody says where the chart is", OLD_CHART, Next.DONE),
    Row(
        "the new values failed with the old chart",
        specified(application(operationState=REJECTED), source={**SOURCE, "path": "charts/old"}),
        Next.WAIT,
        "the parent",
        NEW_CHART,
    ),
    Row(
        "the new values cannot be rendered by the old chart, and the spec comes now",
        application(sync=comparison("Unknown", path="charts/old"), **condition("ComparisonError", BROKEN)),
        Next.REFRESH,
        "new spec",
        NEW_CHART,
    ),
    Row(
        "a sync failed by an older spec",
        application(sync=OUT, operationState=failed_with({**SOURCE, "path": "charts/old"})),
        Next.REFRESH,
        "by itself",
        NEW_CHART,
    ),
    Row("a sync failed by this spec", application(sync=OUT, operationState=failed_with(SOURCE)), Next.FAILED),
    Row(
        "a sync failed before it had a source",
        application(sync=OUT, operationState=failed_with({"repoURL": ""})),
        Next.FAILED,
    ),
    # A status older than the sync.
    Row("synced, and not compared since", application(reconciledAt=EARLY), Next.REFRESH, "after the sync"),
    Row(
        "the same while out of sync by the old look", application(sync=OUT, reconciledAt=EARLY), Next.REFRESH
    ),
    Row("no time of a comparison", application(reconciledAt=None), Next.REFRESH),
    Row("synced, and the comparison failed to tell", application(sync=comparison("Unknown")), Next.REFRESH),
    # A sync under way.
    Row("a sync of ours runs", application(operationState=operation("Running")), Next.WAIT, "end a sync"),
    Row(
        "it runs, and all looks well",
        application(operationState=operation("Running", message="waiting for x")),
        Next.WAIT,
        "waiting for x",
    ),
    Row(
        "it failed, and is tried again",
        application(operationState=operation("Running", message=RETRIES, finishedAt=FINISHED)),
        Next.WAIT,
        "Retrying attempt #2",
    ),
    Row("it is being ended", application(operationState=operation("Terminating")), Next.WAIT),
    Row(
        "a sync of the commit before runs",
        manual(sync=OUT, operationState=operation("Running", OLD)),
        Next.WAIT,
        "of another commit",
        MAY_SYNC,
    ),
    Row(
        "the project's window forbids it",
        application(operationState=operation("Running", message=DENIED)),
        Next.REFRESH,
        "blocked by sync window",
    ),
    # Health.
    Row("progressing", application(health={"status": "Progressing"}), Next.WAIT, "Progressing"),
    Row(
        "degraded right after the sync",
        application(health={"status": "Degraded", "message": "exceeded deadline"}),
        Next.WAIT,
        "Degraded: exceeded deadline",
    ),
    Row("missing", application(health={"status": "Missing"}), Next.WAIT, "Missing"),
    Row("no health at all", application(health=None), Next.WAIT, "Unknown"),
    Row(
        "degraded for a while",
        ill({"kind": "Service", "name": "a"}),
        Next.WAIT,
        "Degraded",
        Seen(refreshed=True, degraded_s=59),
    ),
    Row(
        "it stays degraded",
        ill(
            {"kind": "Service", "name": "a", "health": {"status": "Healthy", "message": "fine"}},
            {"kind": "Deployment", "name": "b", "health": {"status": "Degraded", "message": "exceeded"}},
        ),
        Next.FAILED,
        "has been Degraded for 61 s: Deployment/b: exceeded",
        Seen(refreshed=True, degraded_s=61.0),
        ErrorClass.WORKLOAD,
    ),
    Row(
        "it was degraded, and is better",
        application(health={"status": "Progressing"}),
        Next.WAIT,
        "Progressing",
        Seen(refreshed=True, degraded_s=61.0),
    ),
    # What nobody wrote who knows Argo CD.
    Row("a time that is none", application(reconciledAt="soon"), Next.REFRESH, "after the sync"),
    Row("a time without a zone", application(reconciledAt=RECONCILED[:-1]), Next.DONE),
    Row("objects that are texts", application(sync=OUT, resources=["x"]), Next.WAIT, "something"),
    Row(
        "conditions, results and sources of another kind",
        specified(
            application(conditions=["x"], operationState=operation(syncResult={"resources": "x"})),
            sources="x",
        ),
        Next.DONE,
    ),
    Row(
        "revisions that are a text",
        application(sync={**comparison(), "revisions": "x"}, operationState=operation(syncResult=["x"])),
        Next.DONE,
    ),
    # What is not as in Git.
    Row(
        "automated, not begun",
        application(sync=OUT, operationState=OLD_OPERATION),
        Next.REFRESH,
        "a sync window of project models may forbid it",
        MAY_SYNC,
    ),
    Row(
        "automated, switched off",
        application({"automated": {"enabled": False}}, sync=OUT, operationState=None),
        Next.SYNC,
        "manual",
        MAY_SYNC,
    ),
    Row("manual, and we may", manual(sync=OUT, operationState=OLD_OPERATION), Next.SYNC, "manual", MAY_SYNC),
    Row(
        "manual, and we may not",
        manual(sync=OUT, operationState=OLD_OPERATION),
        Next.WAIT,
        "somebody to sync",
    ),
    Row(
        "manual, and the look at Git is older",
        manual(sync=comparison("OutOfSync", OLD)),
        Next.REFRESH,
        "",
        MAY_SYNC,
    ),
    Row(
        "changed by hand after the sync",
        application(sync=OUT, resources=[{"kind": "Service", "name": "llama", "status": "OutOfSync"}]),
        Next.WAIT,
        "Service/llama to be as in Git",
    ),
    Row(
        "gone from Git, and kept by the last sync",
        application(sync=OUT, resources=[KEPT]),
        Next.WAIT,
        "PersistentVolumeClaim/llama-cache (in Git no more, not pruned) to be as in Git",
    ),
    Row(
        "gone from Git, and self-healed for ever, object by object",
        application(
            sync=OUT,
            resources=[KEPT],
            operationState=operation(operation={"sync": {"resources": [{"name": "llama-cache"}]}}),
        ),
        Next.REFRESH,
        "to sync PersistentVolumeClaim/llama-cache (in Git no more, not pruned) by itself",
    ),
    Row("changed by hand, manual", manual(sync=OUT), Next.SYNC, "", MAY_SYNC),
    Row(
        "written by us, and still not so",
        manual(sync=OUT),
        Next.WAIT,
        "was written",
        Seen(refreshed=True, may_sync=True, has_synced=True),
    ),
    Row(
        "only a part of it was synced",
        manual(sync=OUT, operationState=operation(operation={"sync": {"resources": [{"kind": "Service"}]}})),
        Next.WAIT,
        "somebody to sync",
    ),
    # Failures.
    Row(
        "our sync failed",
        application(sync=OUT, operationState=REJECTED),
        Next.FAILED,
        "Deployment/llama: spec is immutable",
        error_class=ErrorClass.WORKLOAD,
    ),
    Row(
        "it failed before any result",
        application(sync=OUT, operationState=operation("Error", message="no cluster", syncResult=None)),
        Next.FAILED,
        "no cluster",
        error_class=ErrorClass.WORKLOAD,
    ),
    Row(
        "it was not allowed",
        application(sync=OUT, operationState=operation("Failed", message="x is forbidden: y")),
        Next.FAILED,
        "is forbidden",
        error_class=ErrorClass.AUTH,
    ),
    Row("it failed, then all looks well", application(operationState=REJECTED), Next.FAILED),
    Row(
        "it failed before this run, and we may sync",
        application(sync=OUT, operationState=REJECTED),
        Next.SYNC,
        "failed before",
        Seen(refreshed=True, before=EARLY, may_sync=True),
    ),
    Row(
        "it failed in this run, though we may sync",
        application(sync=OUT, operationState=REJECTED),
        Next.FAILED,
        "",
        MAY_SYNC,
    ),
    Row(
        "it failed before this run, and again",
        application(sync=OUT, operationState={**REJECTED, "startedAt": FINISHED}),
        Next.FAILED,
        "",
        Seen(refreshed=True, before=EARLY, may_sync=True, has_synced=True),
    ),
    Row(
        "the sync of the commit before failed",
        application(sync=OUT, operationState=operation("Failed", OLD)),
        Next.REFRESH,
        "by itself",
    ),
    Row(
        "its files cannot be rendered",
        application(sync=comparison("Unknown"), **condition("ComparisonError", BROKEN)),
        Next.FAILED,
        "invalid value",
        error_class=ErrorClass.INVALID,
    ),
    Row(
        "the same as long as nobody looked again",
        application(sync=comparison("Unknown", OLD), **condition("ComparisonError", BROKEN)),
        Next.REFRESH,
        "",
        Seen(),
    ),
    Row("healthy, but not comparable", application(**condition("ComparisonError", BROKEN)), Next.FAILED),
    Row(
        "the repository's login is wrong",
        application(**condition("ComparisonError", NO_LOGIN)),
        Next.FAILED,
        "authentication required",
        error_class=ErrorClass.AUTH,
    ),
    Row(
        "the repo server is down",
        application(**condition("ComparisonError", SERVER_DOWN)),
        Next.REFRESH,
        "code = Unavailable",
    ),
    Row(
        "the Application is wrong",
        application(**condition("InvalidSpecError", "project x does not exist")),
        Next.FAILED,
        "project x",
        error_class=ErrorClass.INVALID,
    ),
    Row(
        "it refuses to wipe out everything",
        application(
            sync=OUT, operationState=OLD_OPERATION, **condition("SyncError", "will wipe out all resources")
        ),
        Next.FAILED,
        "wipe out",
        error_class=ErrorClass.WORKLOAD,
    ),
    Row(
        "an old sync error stays in a window",
        application(**condition("SyncError", "Failed last sync")),
        Next.DONE,
    ),
    Row("a warning", application(**condition("OrphanedResourceWarning", "3 orphans")), Next.DONE),
    # Somebody else.
    Row(
        "reverted while we wait",
        application(sync=comparison("OutOfSync", REVERT)),
        Next.SUPERSEDED,
        "ffffffffffff of main",
        error_class=ErrorClass.LOCKED,
    ),
    Row(
        "reverted and synced",
        application(sync=comparison("Synced", REVERT), operationState=operation(revision=REVERT)),
        Next.SUPERSEDED,
    ),
    Row(
        "reverted while our sync runs",
        application(sync=comparison("OutOfSync", REVERT), operationState=operation("Running")),
        Next.SUPERSEDED,
    ),
    Row(
        "an old look at what was pushed over",
        application(sync=comparison("Synced", REVERT)),
        Next.REFRESH,
        "",
        Seen(),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_what_is_to_be_done(row: Row) -> None:
    verdict = judge(row.item, lineage, row.seen)
    assert verdict.next is row.next, verdict
    assert row.reason in verdict.reason
    if row.error_class is not None:
        assert verdict.error_class is row.error_class
        assert verdict.advice


def test_an_application_that_goes_away_is_no_success() -> None:
    item = application()
    item["metadata"]["deletionTimestamp"] = EARLY
    verdict = judge(item, lineage, LOOKED)
    assert (verdict.next, verdict.error_class) == (Next.FAILED, ErrorClass.LOCKED)


def test_a_sync_that_was_asked_for_has_not_ended() -> None:
    """Argo CD's server takes the old state away, somebody with kubectl does not."""
    item = {**application(), "operation": {"sync": {"revision": OURS}}}
    verdict = judge(item, lineage, MAY_SYNC)
    assert (verdict.next, verdict.reason) == (Next.WAIT, "Argo CD to begin a sync that was asked for")


def test_only_missing_health_is_the_workload_s() -> None:
    told = {row.case for row in ROWS if judge(row.item, lineage, row.seen).of_workload}
    assert told == {
        "progressing",
        "degraded right after the sync",
        "missing",
        "no health at all",
        "degraded for a while",
        "it was degraded, and is better",
    }


def test_words_of_others_come_without_secrets() -> None:
    message = f"Failed to load target state: https://deployer:{'s3cr' + 'et'}@git.example.com/x not found"
    verdict = judge(application(**condition("ComparisonError", message)), lineage, LOOKED)
    assert "git.example.com" in verdict.reason
    assert "s3cret" not in verdict.reason


@pytest.mark.parametrize(
    ("relations", "whole"),
    [
        ([], Relation.UNKNOWN),
        ([Relation.UNKNOWN, Relation.WANTED], Relation.WANTED),
        ([Relation.WANTED, Relation.EARLIER], Relation.EARLIER),
        ([Relation.EARLIER, Relation.AGAINST], Relation.AGAINST),
    ],
)
def test_sources_together(relations: list[Relation], whole: Relation) -> None:
    assert together(relations) is whole


def test_who_knows_one_commit_knows_no_other() -> None:
    assert [only(OURS)(revision) for revision in (OURS, OLD)] == [Relation.WANTED, Relation.UNKNOWN]


@pytest.mark.parametrize("commit", ["main", "a" * 12, "A" * 40, "a" * 41, ""])
def test_a_commit_is_its_full_hash(commit: str) -> None:
    with pytest.raises(Exception, match="full hash"):
        check_commit(commit)


def test_full_hashes_of_both_lengths() -> None:
    assert check_commit("a" * 64) == "a" * 64

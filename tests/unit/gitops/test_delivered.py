# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Application's status says of what is in Git, as a table."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.delivered import (
    as_written,
    status_of,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.lineage import Relation
from tests.support.applications import application, compared, operation

OURS, BEFORE = "a" * 40, "b" * 40
WANTED = application("model")
SOURCE = WANTED["spec"]["source"]


def lineage(commit: str) -> Relation:
    return Relation.WANTED if commit == OURS else Relation.EARLIER


def live(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return the Application on the cluster, with a source that differs in some fields."""
    item = copy.deepcopy(application("model", status=status))
    item["spec"]["source"] |= spec
    return item


def going(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-05-04T10:00:00Z"}}


def of_another_source(status: dict[str, Any]) -> dict[str, Any]:
    status["sync"]["comparedTo"] = {"source": {**SOURCE, "path": "charts/old"}}
    return status


SYNCED = operation("Succeeded", OURS, 1, 2)


@pytest.mark.parametrize(
    ("item", "status"),
    [
        (None, "failed"),
        (live(), "failed"),
        (going(live({**compared(OURS, at=3), **SYNCED})), "uninstalling"),
        (live({**compared(OURS, at=3), **SYNCED}), "deployed"),
        # It was synced, and what somebody does on the cluster is drift.
        (live({**compared(OURS, "OutOfSync", at=3), **SYNCED}), "deployed"),
        # What it compared is that of before the sync; the sync itself counts.
        (live({**compared(BEFORE, at=1), **SYNCED}), "deployed"),
        (live({**compared(BEFORE, at=3), **operation("Succeeded", BEFORE, 1, 2)}), "failed"),
        (live({**compared(OURS, "OutOfSync", at=3), **operation("Failed", OURS, 1, 2)}), "failed"),
        (live({**compared(OURS, "OutOfSync", at=3), **operation("Running", OURS, 1)}), "failed"),
        # Only another file of the repository was changed, so nothing had to be synced.
        (live({**compared(OURS, at=3), **operation("Succeeded", BEFORE, 1, 2)}), "deployed"),
        (live(compared(OURS)), "deployed"),
        (live({**compared(OURS, at=1), **operation("Succeeded", BEFORE, 1, 2)}), "failed"),
        # The Application names another chart by now, here or there.
        (live({**compared(OURS, at=3), **SYNCED}, path="charts/old"), "failed"),
        (live({**of_another_source(compared(OURS, at=3)), **SYNCED}), "failed"),
    ],
)
def test_status(item: dict[str, Any] | None, status: str) -> None:
    assert status_of(item, WANTED, lineage) == status


def test_how_it_is_synced_is_compared_both_ways_and_its_source_one_way() -> None:
    manual = application("model", automated=False)
    assert not as_written(WANTED, manual)
    assert not as_written(manual, WANTED)
    ignoring = {**manual, "spec": {**manual["spec"], "ignoreDifferences": [{"kind": "Service"}]}}
    assert not as_written(ignoring, manual)
    assert as_written(live(helm={"parameters": [{"name": "image.tag", "value": "2"}]}), WANTED)


def test_marks_are_compared_but_for_what_is_counted() -> None:
    def marked(**metadata: Any) -> dict[str, Any]:
        return {**WANTED, "metadata": {**WANTED["metadata"], **metadata}}

    finalizers = ["resources-finalizer.argocd.argoproj.io/foreground"]
    assert not as_written(WANTED, marked(finalizers=finalizers))
    assert not as_written(marked(finalizers=finalizers), WANTED)
    assert as_written(marked(finalizers=finalizers), marked(finalizers=finalizers))
    assert not as_written(WANTED, marked(labels={"team": "search"}))
    assert as_written(marked(labels={"team": "search"}), WANTED)
    assert as_written(WANTED, marked(annotations={"llmops.platform/revision": "2"}))


def test_a_sync_of_the_source_that_it_named_before_says_nothing() -> None:
    state = operation(
        "Succeeded", OURS, 1, 2, syncResult={"revision": OURS, "source": {**SOURCE, "path": "old"}}
    )
    assert status_of(live({**compared(OURS, "OutOfSync", at=3), **state}), WANTED, lineage) == "failed"

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others call: write a target's files, bring back what a revision had, take a target away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..common.deadline import Deadline
from ..release.recorded import Recorded
from ..release.request import ReleaseRequest, ReleaseTarget
from .application import ApplicationOptions
from .changes import changes_for, chart_path, removal_of
from .commit import Note, message
from .directory import Directory
from .layout import Layout
from .repository import RepositoryOptions, opened_repository
from .tree import Changed, Changes, Store, Tree
from .wanted import Wanted, wanted_again, wanted_by


@dataclass(frozen=True)
class Place:
    """A store that is open, and where in it the files of targets are."""

    store: Store
    layout: Layout


@dataclass(frozen=True)
class Written:
    """What is in Git now, or in check mode would be."""

    application: str  #: name of the Application
    application_path: str
    values_path: str
    chart_path: str | None  #: None for a target that was taken away
    changes: Changes
    commit: str | None = None  #: the branch's; None in a directory, and in check mode for a change

    @property
    def changed(self) -> bool:
        """Tell whether something is other than it was."""
        return bool(self.changes)


@contextmanager
def opened_place(
    where: RepositoryOptions | Path,
    layout: Layout,
    deadline: Deadline,
    progress: Callable[[str], None],
    run_folder: Path | None = None,
) -> Iterator[Place]:
    """Open a branch of a repository, or a directory, for one change after the other."""
    if isinstance(where, Path):
        yield Place(Directory(where), layout)
        return
    with opened_repository(where, deadline, progress, run_folder) as repository:
        yield Place(repository, layout)


def write_target(
    place: Place,
    request: ReleaseRequest,
    options: ApplicationOptions,
    note: Note,
    *,
    check_mode: bool = False,
) -> Written:
    """Write the files of a target as a request wants them. Raises ``invalid`` for secrets in plain text."""
    wanted = wanted_by(request)
    return write_wanted(place, wanted, options, note, f"write {request.name}", check_mode=check_mode)


def restore(
    place: Place,
    target: ReleaseTarget,
    recorded: Recorded,
    options: ApplicationOptions,
    note: Note,
    *,
    check_mode: bool = False,
) -> Written:
    """Write the values and the chart of a recorded revision; the repository has that chart, or it is refused.

    It is a new commit, whatever came in between, and touches no other target.
    """
    wanted = wanted_again(recorded, target)
    subject = f"restore {target.name} to revision {recorded.revision}"
    return write_wanted(place, wanted, options, note, subject, check_mode=check_mode)


def remove_target(
    place: Place, target: ReleaseTarget, writer: str, note: Note, *, check_mode: bool = False
) -> Written:
    """Remove the two files of a target."""
    layout = place.layout
    subject = f"chore({target.environment}): remove {target.name}"
    stored = place.store.change(
        lambda tree: removal_of(target, writer, layout, tree),
        message(subject, {"Model": target.model}, note),
        check_mode=check_mode,
    )
    return _written(target, layout, None, stored.changes, stored.commit)


def write_wanted(
    place: Place,
    wanted: Wanted,
    options: ApplicationOptions,
    note: Note,
    subject: str,
    *,
    left: str | None = None,
    check_mode: bool = False,
    check: Callable[[Tree], None] = lambda _tree: None,
) -> Written:
    """Write what is wanted. ``check`` is called with the files as they would be, and refuses by raising."""
    target, layout, chart = wanted.target, place.layout, wanted.chart
    facts = {"Model": target.model, "Chart": f"{chart.name} {chart.version} {chart.digest}"}

    def planned(tree: Tree) -> Changes:
        changes = changes_for(wanted, options, layout, tree, left)
        check(Changed(tree, changes))
        return changes

    stored = place.store.change(
        planned,
        message(f"chore({target.environment}): {subject}", facts, note),
        check_mode=check_mode,
    )
    return _written(target, layout, chart_path(wanted, layout), stored.changes, stored.commit)


def _written(
    target: ReleaseTarget, layout: Layout, chart: str | None, changes: Changes, commit: str | None
) -> Written:
    application, values = layout.application(target.name), layout.values(target.name)
    return Written(target.name, application, values, chart, changes, commit)

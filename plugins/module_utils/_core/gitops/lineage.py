# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a commit that Argo CD names is to the one that was delivered."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum

from ..common.errors import invalid

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Relation(StrEnum):
    """How a commit stands to the delivered one. Targets share a repository, so equality is not enough."""

    WANTED = "wanted"  #: it is the one, or a later one that leaves the target's files as they are
    EARLIER = "earlier"  #: one from before it
    AGAINST = "against"  #: a later one, or one beside it, in which the target's files are others
    UNKNOWN = "unknown"  #: nobody knows


#: Tells the relation of a commit; whoever has the repository at hand answers for later commits too.
Lineage = Callable[[str], Relation]


def only(commit: str) -> Lineage:
    """Return the lineage of somebody who knows nothing but the commit itself."""
    return lambda named: Relation.WANTED if named == commit else Relation.UNKNOWN


def together(relations: Sequence[Relation]) -> Relation:
    """Return the relation of an Application's sources together.

    One of several sources may be a chart or another repository, which says nothing.
    """
    for decisive in (Relation.AGAINST, Relation.EARLIER, Relation.WANTED):
        if decisive in relations:
            return decisive
    return Relation.UNKNOWN


def is_commit(text: str) -> bool:
    """Tell whether a text is the full hash of a commit."""
    return _COMMIT.fullmatch(text) is not None


def check_commit(commit: str, field: str = "revision") -> str:
    """Return a commit as Argo CD names it; raises ``invalid`` for a branch, a tag or a shortened one."""
    if not is_commit(commit):
        raise invalid(
            field,
            commit,
            "is not the full hash of a commit, and Argo CD names no other",
            "Give what git rev-parse HEAD says.",
        )
    return commit

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Application's status says of the revision that is in Git, in Helm's words. No I/O."""

from __future__ import annotations

from ..cluster.client import JSONObject
from ..cluster.drift import differences
from .count import COUNTED
from .lineage import Lineage, Relation, together
from .observed_application import ObservedApplication

#: What Argo CD calls its finalizers, by which an Application takes its objects along.
FINALIZER = "resources-finalizer.argocd.argoproj.io"
_OURS_ALONE = ("syncPolicy", "ignoreDifferences")


def takes_objects_along(item: JSONObject) -> bool:
    """Tell whether the objects go with an Application."""
    return any(str(one).startswith(FINALIZER) for one in item["metadata"].get("finalizers") or [])


def as_written(item: JSONObject, wanted: JSONObject) -> bool:
    """Tell whether an Application on the cluster says what the one in Git says.

    Others may add to its source, such as parameters. Nobody else says how it is synced.
    """
    there, spec = item.get("spec") or {}, wanted["spec"]
    metadata, found = wanted["metadata"], item["metadata"]
    marks = {
        name: {key: value for key, value in (metadata.get(name) or {}).items() if key not in COUNTED}
        for name in ("labels", "annotations")
    }
    if takes_objects_along(item) != takes_objects_along(wanted) or any(differences(marks, found)):
        return False
    said_here_only = ({name: there[name]} for name in _OURS_ALONE if there.get(name))
    return not any(differences(spec, there)) and not any(
        any(differences(one, spec)) for one in said_here_only
    )


def status_of(item: JSONObject | None, wanted: JSONObject, lineage: Lineage) -> str:
    """Return ``deployed`` for what Argo CD has brought to the cluster, ``failed`` for what it has not (yet).

    Nobody is ever in the middle of it but Argo CD, and whoever goes on waits for that.
    """
    if item is None:
        return "failed"
    found = ObservedApplication.of(item)
    if found.going_away:
        return "uninstalling"
    if not (as_written(item, wanted) and found.as_specified):
        return "failed"
    if found.reconciled and found.sync == "Synced" and _is_wanted(found.compared, lineage):
        return "deployed"
    last = found.operation
    wrote = last is not None and last.phase == "Succeeded" and not (last.dry_run or last.partial)
    if last is not None and wrote and last.as_specified and _is_wanted(last.revisions, lineage):
        return "deployed"
    return "failed"


def _is_wanted(revisions: tuple[str, ...], lineage: Lineage) -> bool:
    return together([lineage(revision) for revision in revisions]) is Relation.WANTED

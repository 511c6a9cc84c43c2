# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was promoted is not deployed over by accident: its values are the source's, not an inventory's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...common.errors import ErrorClass, PlatformError, invalid
from ...registry import entries
from ...registry.connection import Session
from ...registry.failures import is_without_schema
from ...registry.manifests import Content, Manifest, read_content, read_manifests
from ...registry.revisions import Origin
from ...release.request import ReleaseRequest, ReleaseTarget
from ..deploy.run import Registry
from ..differences import value_differences
from .carried import check_keys, divide, merged


def kept(
    registry: Registry | None, target: ReleaseTarget, promoted: str, keys: Sequence[str] = ()
) -> tuple[ReleaseTarget, Origin | None]:
    """Return what is to be deployed over something that may have been promoted, and where that came from.

    ``promoted`` is ``refuse``, ``keep`` or ``replace``, and ``keys`` are those that the environment owns
    beside the usual ones. Raises ``invalid`` for a deployment that would make
    another model server of it.
    """
    if registry is None or promoted == "replace" or not isinstance(target, ReleaseRequest):
        return target, None
    found = _promoted(registry, target)
    if found is None:
        return target, None
    manifest, content = found
    if content.values_redacted:
        raise invalid(
            "promoted",
            promoted,
            f"needs the values of {manifest}, which was promoted with secrets that are not on record",
            "Promote again, or deploy all of the values with promoted=replace (vllm_promoted).",
        )
    owned = check_keys(keys)
    carried = divide(content.values, owned).carried
    if promoted == "keep":
        values = merged(carried, divide(target.values, owned).owned)
        return replace(target, values=values), Origin.of(manifest)
    wanted = divide(target.values, owned).carried
    differences = list(value_differences(_unnamed(carried), _unnamed(wanted)))
    if differences:
        shown = "; ".join(differences[:3]) + (
            f"; {len(differences) - 3} more" if len(differences) > 3 else ""
        )
        raise PlatformError(
            ErrorClass.INVALID,
            f"These values would undo the promotion from {manifest.source_environment} ({manifest}): {shown}",
            "Promote again, or write what was promoted into the inventory. promoted=keep (vllm_promoted) "
            "deploys only what the environment owns, promoted=replace all of the values.",
            {"promotion_differences": differences},
        )
    return target, Origin.of(manifest)


def _promoted(registry: Registry, target: ReleaseTarget) -> tuple[Manifest, Content] | None:
    """Return the manifest that the target's row names, if that was promoted."""

    def look(session: Session) -> tuple[Manifest, Content] | None:
        row = entries.read(session, target.model, target.environment)
        if row is None or row.manifest_digest is None:
            return None
        model, environment, digest = target.model, target.environment, row.manifest_digest
        found = read_manifests(session, model, environment, target.name, digest=digest, limit=1)
        return (found[0], read_content(session, found[0])) if found and found[0].source_environment else None

    try:
        return registry.read(look)
    except Exception as error:
        # In check mode an earlier task did not really create the tables.
        if not is_without_schema(error):
            raise
        return None


def _unnamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without the model's name, which is set for each release."""
    model = {key: value for key, value in (values.get("model") or {}).items() if key != "name"}
    return {**values, "model": model}

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether Argo CD's controller worked with what an Application says now: its sources, its destination.

The spec can be changed after a comparison or a sync, for example by an Application that brings this one. What
the status says is about the spec of then.
"""

from __future__ import annotations

from typing import Any

from ..cluster.client import JSONObject
from .parts import items, part

#: Below it are a chart's values, where false and nothing are not the same.
_VERBATIM = "valuesObject"


def sources_of(spec: JSONObject) -> list[dict[str, Any]]:
    """Return the sources that the controller follows."""
    hydrated = part(spec, "sourceHydrator")
    if hydrated:
        written = part(hydrated, "syncSource")
        return [
            {
                "repoURL": part(hydrated, "drySource").get("repoURL"),
                "path": written.get("path"),
                "targetRevision": written.get("targetBranch"),
            }
        ]
    only = part(spec, "source")
    # Where there are several, Argo CD writes an empty one beside them.
    return items(spec, "sources") or ([only] if _spoken(only) else [])


def has_sources_of(spec: JSONObject, used: JSONObject) -> bool:
    """Tell whether a comparison or a sync used the sources that the spec has."""
    return _same(sources_of(spec), sources_of(used))


def is_compared(spec: JSONObject, compared_to: JSONObject) -> bool:
    """Tell whether a comparison was one of this spec. One that does not say so was not."""
    return has_sources_of(spec, compared_to) and _same(
        part(spec, "destination"), part(compared_to, "destination")
    )


def _same(one: Any, other: Any) -> bool:
    return bool(_spoken(one) == _spoken(other))


def _spoken(value: Any) -> Any:
    """Return a value without what says nothing, which Argo CD leaves out when it writes."""
    if isinstance(value, dict):
        plain = {name: each if name == _VERBATIM else _spoken(each) for name, each in value.items()}
        return {name: each for name, each in plain.items() if name == _VERBATIM or each}
    if isinstance(value, list):
        return [_spoken(each) for each in value]
    return value

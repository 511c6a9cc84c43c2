# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label selectors, node selectors, and tolerations: pure matching with Kubernetes' own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Labels = Mapping[str, str]

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
BLOCKING_EFFECTS = ("NoSchedule", "NoExecute")


def requirement_matches(labels: Labels, key: str, operator: str, values: Sequence[str]) -> bool:
    """Apply one requirement of a label or node selector. ``NotIn`` holds where the label is absent."""
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    if operator in ("Gt", "Lt"):
        own = labels.get(key, "")
        if len(values) != 1 or not _INTEGER.fullmatch(own) or not _INTEGER.fullmatch(values[0]):
            return False
        return int(own) > int(values[0]) if operator == "Gt" else int(own) < int(values[0])
    return False


def _all_match(labels: Labels, requirements: Sequence[Mapping[str, Any]]) -> bool:
    return all(
        requirement_matches(labels, item["key"], item["operator"], item.get("values") or ())
        for item in requirements
    )


def label_selector_matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Apply a ``LabelSelector``: none matches nothing, an empty one everything."""
    if selector is None:
        return False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and _all_match(
        labels, selector.get("matchExpressions") or ()
    )


def node_term_matches(term: Mapping[str, Any], labels: Labels, name: str) -> bool:
    """Apply one term of a ``NodeSelector``: all its requirements hold; an empty term matches nothing."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return _all_match(labels, expressions) and _all_match({"metadata.name": name}, fields)


def node_selector_matches(selector: Mapping[str, Any], labels: Labels, name: str) -> bool:
    """Apply a ``NodeSelector``: one of its terms matches."""
    return any(node_term_matches(term, labels, name) for term in selector.get("nodeSelectorTerms") or ())


def tolerates(tolerations: Sequence[Mapping[str, Any]], taint: Mapping[str, Any]) -> bool:
    """Tell whether one of the tolerations covers the taint."""
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    effect = toleration.get("effect")
    if effect and effect != taint["effect"]:
        return False
    key = toleration.get("key")
    if key and key != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    if operator != "Equal":
        return False
    return bool((toleration.get("value") or "") == (taint.get("value") or ""))


def describe_requirement(requirement: Mapping[str, Any]) -> str:
    """Write a requirement for people: ``gpu in (a, b)``."""
    key, operator = requirement["key"], requirement["operator"]
    values = ", ".join(requirement.get("values") or ())
    if operator in ("In", "NotIn"):
        return f"{key} {'in' if operator == 'In' else 'not in'} ({values})"
    if operator in ("Gt", "Lt"):
        return f"{key} {'>' if operator == 'Gt' else '<'} {values}"
    return f"{key} {'exists' if operator == 'Exists' else 'does not exist'}"


def describe_node_selector(selector: Mapping[str, Any]) -> str:
    """Write a ``NodeSelector`` for people."""
    terms = [
        " and ".join(
            describe_requirement(item)
            for item in [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]
        )
        for term in selector.get("nodeSelectorTerms") or ()
    ]
    return " or ".join(terms) or "nothing"


def describe_taint(taint: Mapping[str, Any]) -> str:
    """Write a taint as kubectl does: ``key=value:Effect``."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a promotion carries, and what belongs to the environment: a pure division of the chart's values.

Whatever could change what a model answers is carried. What says where and how many, and what the cluster
around it is told, is each environment's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...common.errors import invalid
from ..differences import value_differences

#: The keys of the chart's values that an environment owns, each with all that is below it.
ENVIRONMENT_KEYS = (
    # which environment it is: set by the promotion itself
    "environment",
    "tier",
    "slug",
    # how many pods, and how they are replaced
    "replicas",
    "strategy",
    "progressDeadlineSeconds",
    "revisionHistoryLimit",
    # on which nodes, and what is asked of them; what a container may use at most is carried
    "scheduling",
    "gpu.resources.requests",
    # what lies in the namespace: Secrets, volumes, accounts
    "image.pullPolicy",
    "image.pullSecrets",
    "secrets",
    "persistence",
    "serviceAccount",
    # who reaches it, who watches it, what it is marked with
    "service.annotations",
    "service.labels",
    "hostNetwork",
    "networkPolicy",
    "ingress",
    "httpRoute",
    "podDisruptionBudget",
    "serviceMonitor",
    "alerts",
    "test",
    "annotations",
    "commonLabels",
    "podAnnotations",
    "podLabels",
)

#: What no environment may own: it is what was proven.
PROVEN_KEYS = ("model", "image.tag", "image.digest", "engineVersion", "command")


@dataclass(frozen=True)
class Division:
    """Values in two parts."""

    carried: dict[str, Any]
    owned: dict[str, Any]


def check_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Return all keys that the environment owns, those added by hand included. Raises ``invalid``."""
    for key in keys:
        if not key or not all(key.split(".")):
            raise invalid("environment_keys", key, "is no key", "Give keys such as image.repository.")
        if any(_is_within(key, proven) or _is_within(proven, key) for proven in PROVEN_KEYS):
            raise invalid(
                "environment_keys",
                key,
                "is a part of what is proven in one environment and carried to the next",
                f"These are never an environment's own: {', '.join(PROVEN_KEYS)}.",
            )
    return (*ENVIRONMENT_KEYS, *keys)


def divide(values: Mapping[str, Any], keys: Sequence[str] = ENVIRONMENT_KEYS) -> Division:
    """Return what is carried and what the environment owns."""
    return Division(_part(values, keys, owned=False), _part(values, keys, owned=True))


def merged(carried: Mapping[str, Any], owned: Mapping[str, Any]) -> dict[str, Any]:
    """Return both parts as one; they have no value in common."""
    both = dict(carried)
    for name, value in owned.items():
        there = both.get(name)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            both[name] = merged(there, value)
        elif value is not None or name not in both:
            both[name] = value
    return both


def contradictions(
    carried: Mapping[str, Any], inventory: Mapping[str, Any], keys: Sequence[str] = ENVIRONMENT_KEYS
) -> list[str]:
    """Return what an inventory says otherwise than what is carried, a line each.

    What it does not say is no contradiction.
    """
    said = divide(inventory, keys).carried
    return list(value_differences(said, _like(carried, said)))


def _part(values: Mapping[str, Any], keys: Sequence[str], *, owned: bool, path: str = "") -> dict[str, Any]:
    return dict(_parts(values, keys, owned, path))


def _parts(
    values: Mapping[str, Any], keys: Sequence[str], owned: bool, path: str
) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        here = f"{path}.{name}" if path else str(name)
        if any(_is_within(here, key) for key in keys):
            if owned:
                yield name, value
        elif isinstance(value, Mapping) and any(_is_within(key, here) for key in keys):
            below = _part(value, keys, owned=owned, path=here)
            if below or not (value or owned):
                yield name, below
        elif not owned:
            yield name, value


def _is_within(key: str, of: str) -> bool:
    return key == of or key.startswith(f"{of}.")


def _like(values: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return of the values what the other ones say something of."""
    found: dict[str, Any] = {}
    for name, of in shape.items():
        value = values.get(name)
        found[name] = _like(value, of) if isinstance(value, Mapping) and isinstance(of, Mapping) else value
    return found

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site is made for: environments with their tiers, and the cloud that they are in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..common.errors import invalid
from ..common.names import TIERS, check_environment, tier_of

#: Where the GPUs are: each has a file of pools.
CLOUDS = ("bare-metal", "eks", "gke", "lke", "local")

# Folders of the site itself, what its .gitignore leaves out, and the group of everybody.
_TAKEN = ("all", "collections", "common", "context", "roles")


@dataclass(frozen=True)
class Environment:
    """One folder of the site's inventories."""

    name: str
    tier: str

    @property
    def variable(self) -> str:
        """The name as it ends names of environment variables."""
        return self.name.upper().replace("-", "_")

    @property
    def login(self) -> str:
        """The name as it ends names of database users."""
        return self.name.replace("-", "_")


def environments_of(given: object, tiers: Mapping[str, object]) -> tuple[Environment, ...]:
    """Return the environments by their names: a list, or one as text (``[staging,production]``)."""
    names = _names(given)
    if not names:
        raise invalid("environments", given, "names none", "Give at least one, such as [staging,production].")
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise invalid("environments", double[0], "is named twice", "Name each environment once.")
    unknown = sorted(set(tiers) - set(names))
    if unknown:
        raise invalid(
            "tiers",
            unknown[0],
            "is none of the environments",
            f"Give tiers of those alone: {', '.join(names)}.",
        )
    return tuple(Environment(_checked(name), _tier(name, tiers)) for name in names)


def lowest(environments: Sequence[Environment]) -> Environment:
    """Return the one in which models are tried first."""
    return min(environments, key=lambda one: TIERS.index(one.tier))


def source_of(environment: Environment, environments: Sequence[Environment]) -> str:
    """Return the environment from which models are promoted to this one, or nothing.

    It is of the nearest tier below. Production has one even if none of these is, as it may be added later.
    """
    rank = TIERS.index(environment.tier)
    below = [other for other in environments if TIERS.index(other.tier) < rank]
    if below:
        return max(below, key=lambda other: TIERS.index(other.tier)).name
    return "staging" if environment.tier == "production" else ""


def _names(given: object) -> list[str]:
    """Return the names. ``-e name=[a,b]`` gives text, and of one with a space only its beginning."""
    if isinstance(given, str):
        text = given.strip()
        if text.startswith("[") != text.endswith("]") or text.endswith(","):
            raise invalid(
                "environments", given, "is cut off", "Give it without spaces, as [staging,production]."
            )
        return [name for name in re.split(r"[\s,]+", text.strip("[]")) if name]
    if not isinstance(given, Sequence):
        raise invalid("environments", given, "is no list", "Give one, such as [staging,production].")
    return [str(name) for name in given]


def _checked(name: str) -> str:
    check_environment(name, "environments")
    if name in _TAKEN:
        raise invalid("environments", name, "is a name that a site needs itself", "Choose another one.")
    return name


def _tier(name: str, tiers: Mapping[str, object]) -> str:
    if name not in tiers and name not in TIERS:
        raise invalid(
            "environments",
            name,
            "does not tell what it is like",
            f"Say it by tiers, such as {name}=production; the others are development and staging.",
        )
    return tier_of(name, str(tiers.get(name, name)), "tiers")

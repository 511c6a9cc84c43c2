# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment as AWX is told about it: credentials of its jobs, teams that start them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..common.errors import invalid
from ..common.names import check_environment, tier_of
from .verbs import VERBS

_FIELD = "controller_environments"


@dataclass(frozen=True)
class Place:
    """One environment. Lists name objects of AWX."""

    name: str
    tier: str = ""
    source_path: str = ""
    inventory_credential: str = ""
    credentials: Sequence[str] = ()
    administrator_credentials: Sequence[str] = ()
    approver_credentials: Sequence[str] = ()
    source_credentials: Sequence[str] = ()
    instance_groups: Sequence[str] = ()
    promote_from: str = ""
    verbs: Sequence[str] = ()
    operators: Sequence[str] = ()
    approvers: Sequence[str] = ()
    administrators: Sequence[str] = ()
    notify_started: Sequence[str] = ()
    notify_success: Sequence[str] = ()
    notify_error: Sequence[str] = ()
    notify_approvals: Sequence[str] = ()

    @classmethod
    def build(cls, given: Mapping[str, Any]) -> Place:
        """Check what a caller gave; raises ``invalid`` naming the variable of the role."""
        known = {field.name: field.type for field in fields(cls)}
        for key, value in given.items():
            if key not in known:
                raise invalid(
                    _FIELD, key, "is no setting of an environment", f"Known are {', '.join(known)}."
                )
            wanted = str if known[key] == "str" else list
            if not isinstance(value, wanted):
                raise invalid(
                    f"{_FIELD}.{key}", value, f"is no {wanted.__name__}", "See the role's documentation."
                )
        name = check_environment(given.get("name", ""), _FIELD)
        unknown = [verb for verb in given.get("verbs", ()) if verb not in VERBS]
        if unknown:
            raise invalid(f"{_FIELD}.verbs", unknown[0], "is no verb", f"Choose of {', '.join(VERBS)}.")
        tier = tier_of(name, given.get("tier", ""), f"{_FIELD}.tier")
        usual = [verb for verb, row in VERBS.items() if row.in_production or tier != "production"]
        return cls(
            **{
                **given,
                "name": name,
                "tier": tier,
                "source_path": given.get("source_path") or name,
                "verbs": given.get("verbs") or usual,
            }
        )

    def titled(self, title: str) -> str:
        """Return the name of an object of this environment."""
        return f"{title} ({self.name})"

    @property
    def inventory(self) -> str:
        """Return the name of its inventory."""
        return self.titled("Models")

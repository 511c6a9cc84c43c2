# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Delivery by Helm: its storage is the record, and its commands make the changes."""

from __future__ import annotations

from ..cluster.client import segment
from ..cluster.drift import Drift
from ..common.errors import invalid
from ..helm.storage import ReleaseRecord, read_release
from .delivery import Change
from .handover import OWN_MANAGERS, gives_up_replicas, hold_replicas, remove_additions
from .recovery import settle
from .removal import uninstall
from .request import ReleaseTarget
from .tools import Tools, Waits
from .tryout import refuse_conflicts
from .upgrade import upgrade

#: Argo CD marks with it what it has made.
_TRACKED = "argocd.argoproj.io/tracking-id"


class HelmDelivery:
    """Delivery by Helm."""

    name = "helm"

    def read(self, tools: Tools, target: ReleaseTarget) -> ReleaseRecord | None:
        """Return Helm's newest record. Raises ``invalid`` for what Argo CD delivers."""
        record = read_release(tools.client, target.name, target.namespace)
        if record is None:
            _refuse_argo_cd(tools, target)
        return record

    def drift(self, target: ReleaseTarget) -> list[Drift]:
        """Helm has nothing beside the objects."""
        return []

    def managers(self, record: ReleaseRecord) -> tuple[str, ...]:
        """Return whose fields are the release's own. Where Helm merges by itself, nobody can tell."""
        return OWN_MANAGERS if record.server_side else ()

    def refuse(self, tools: Tools, change: Change) -> None:
        """Raise ``invalid`` for fields that others manage, and for objects that the API server refuses."""
        force = change.request.force_conflicts
        refuse_conflicts(tools.client, change.plan, tools.helm.check_version(), force=force)

    def refuse_removal(self, tools: Tools, target: ReleaseTarget, record: ReleaseRecord | None) -> None:
        """Nothing that is Helm's stays."""

    def recover(self, tools: Tools, target: ReleaseTarget, waits: Waits, *, chart_name: str) -> None:
        """Wait until no helm works on the release any more, and recover what was left."""
        settle(tools, target, waits, chart_name=chart_name)

    def upgrade(self, tools: Tools, change: Change, waits: Waits) -> ReleaseRecord | None:
        """Install or upgrade, after what Helm cannot do by itself."""
        plan = change.plan
        if gives_up_replicas(plan):
            hold_replicas(tools.client, plan)
        if plan.comparison.additions:
            with tools.permit.step("take out what others have added"):
                remove_additions(tools.client, plan)
        return upgrade(tools, change.request, plan, waits, change.left)

    def uninstall(self, tools: Tools, target: ReleaseTarget, waits: Waits) -> None:
        """Uninstall the release and see its pods go."""
        uninstall(tools, target.name, target.namespace, waits)


def _refuse_argo_cd(tools: Tools, target: ReleaseTarget) -> None:
    """Raise ``invalid`` for a target that Argo CD delivers: two would undo each other's changes."""
    deployments = f"/apis/apps/v1/namespaces/{segment(target.namespace)}/deployments"
    live = tools.client.find(f"{deployments}/{segment(target.name)}")
    mark = ((live or {}).get("metadata", {}).get("annotations") or {}).get(_TRACKED)
    if mark:
        raise invalid(
            "delivery",
            "helm",
            f"meets {target.name} as delivered by Argo CD ({_TRACKED}: {mark})",
            "Go on with delivery=argocd (vllm_delivery), or remove the model with it first.",
        )

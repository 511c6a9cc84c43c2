# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a LiteLLM proxy serve what the registry calls routable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ..common.deadline import Deadline, patiently
from ..registry.connection import Database, Settings
from ..registry.entries import Filter, find
from .litellm_api import ModelAPI
from .litellm_models import ModelOfProxy, Plan, plan

ROUTABLE = "ready"
_PATIENCE_S = 10.0


def routable(database: Settings, environment: str, deadline: Deadline) -> dict[str, str]:
    """Return model name → endpoint of all models of the environment that clients may reach."""
    wanted = Filter(environment=environment, statuses=(ROUTABLE,))
    with Database(database, deadline) as registry:
        entries, _next = registry.transaction(partial(find, wanted=wanted), read_only=True)
    return {entry.model: entry.endpoint for entry in entries if entry.endpoint}


def export(
    api: ModelAPI,
    wanted: Iterable[ModelOfProxy],
    environment: str,
    deadline: Deadline,
    progress: Callable[[str], None],
    *,
    check_mode: bool = False,
) -> Plan:
    """Create what is missing, then delete what is too much; return what was (or would be) done.

    Raises ``auth``, ``invalid``, ``infrastructure`` or ``timeout``; running again goes on where it stopped.
    """
    # A proxy that restarts gets some of the time; what is left is for the work.
    patience = deadline.share(min(_PATIENCE_S, deadline.remaining() / 2))
    planned = plan(wanted, patiently(api.models, patience, progress), environment)
    if check_mode:
        return planned
    for model in planned.create:
        progress(f"{model.name}: creating {model.id}")
        api.create(model)
    for model in planned.delete:
        progress(f"{model.name}: deleting {model.id}")
        api.delete(model)
    return planned

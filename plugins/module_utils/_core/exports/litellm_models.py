# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which models a LiteLLM proxy should have for an environment, and what to do about the difference.

A model's id holds a digest of all that it consists of. So a changed model is a new id, which is created
before the old one is deleted: clients never find neither. And who creates what somebody else has just
created gets an error that says so, instead of a second copy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.names import slug

MANAGER = "llmops.platform"
_DIGITS = 12
# Spelled out, as a digest of a short key could be guessed.
_KEY_ROUNDS = 200_000


@dataclass(frozen=True)
class ModelOfProxy:
    """One model of a proxy. ``params`` may hold a key, which must never be shown."""

    id: str
    name: str
    endpoint: str
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    info: Mapping[str, Any] = field(default_factory=dict)

    def as_body(self) -> dict[str, Any]:
        """Return the body of ``/model/new``."""
        return {
            "model_name": self.name,
            "litellm_params": dict(self.params),
            "model_info": {**self.info, "id": self.id},
        }

    def shown(self) -> dict[str, str]:
        """Return what people see of it."""
        return {"model": self.name, "endpoint": self.endpoint, "id": self.id}


@dataclass(frozen=True)
class Plan:
    """What is missing, what is too much, and what somebody else keeps there under the same names."""

    create: tuple[ModelOfProxy, ...]
    delete: tuple[ModelOfProxy, ...]
    unchanged: tuple[ModelOfProxy, ...]
    foreign: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Tell whether anything is to be done."""
        return bool(self.create or self.delete)

    def actions(self) -> list[dict[str, str]]:
        """Return a line a model: created, updated, deleted or unchanged."""
        kept = {model.name for model in self.create}
        replaced = {model.name for model in self.delete}
        done = [
            {**model.shown(), "action": "update" if model.name in replaced else "create"}
            for model in self.create
        ]
        done += [{**model.shown(), "action": "delete"} for model in self.delete if model.name not in kept]
        done += [{**model.shown(), "action": "none"} for model in self.unchanged]
        return sorted(done, key=lambda line: (line["model"], line["id"]))


def wanted_models(
    routes: Mapping[str, str],
    environment: str,
    provider: str,
    api_key: str | None,
    extra: Mapping[str, Any],
) -> list[ModelOfProxy]:
    """Return the models for ``routes`` (model name → base URL of its server).

    ``api_key`` is what the model servers ask for; ``extra`` are further parameters of LiteLLM's, which win.
    """
    key_mark = _key_mark(api_key, environment) if api_key else None
    found = []
    for name, endpoint in routes.items():
        params = {
            "model": f"{provider}/{name}",
            "api_base": f"{endpoint.rstrip('/')}/v1",
            # Its client wants a key even where the server does not.
            "api_key": api_key or "none",
            **extra,
        }
        content = {**params, "api_key": key_mark, "name": name, "environment": environment}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]
        found.append(
            ModelOfProxy(
                id=f"{environment}-{slug(name)}-{digest}",
                name=name,
                endpoint=endpoint,
                params=params,
                info={"managed_by": MANAGER, "llmops_environment": environment},
            )
        )
    return found


def _key_mark(api_key: str, environment: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", api_key.encode(), environment.encode(), _KEY_ROUNDS).hex()


def plan(wanted: Iterable[ModelOfProxy], listed: Sequence[Mapping[str, Any]], environment: str) -> Plan:
    """Compare with what ``/model/info`` lists."""
    by_id = {model.id: model for model in wanted}
    names = {model.name for model in by_id.values()}
    present: set[str] = set()
    delete: list[ModelOfProxy] = []
    foreign: set[str] = set()
    for item in listed:
        info = item.get("model_info") or {}
        name, model_id = str(item.get("model_name")), str(info.get("id"))
        if info.get("managed_by") != MANAGER or info.get("llmops_environment") != environment:
            foreign |= {name} & names
        elif model_id in by_id:
            present.add(model_id)
        else:
            base = str((item.get("litellm_params") or {}).get("api_base") or "")
            delete.append(ModelOfProxy(model_id, name, base.removesuffix("/v1")))
    return Plan(
        create=tuple(model for model in by_id.values() if model.id not in present),
        delete=tuple(delete),
        unchanged=tuple(by_id[model_id] for model_id in sorted(present)),
        foreign=tuple(sorted(foreign)),
    )

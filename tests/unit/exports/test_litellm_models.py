# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a LiteLLM proxy should have, and the difference to what it has."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.exports.litellm_models import (
    ModelOfProxy,
    plan,
    wanted_models,
)

ENDPOINT = "http://llama.models.svc.cluster.local:8000"


def one(**changes: Any) -> ModelOfProxy:
    """Return the model that is wanted for one route."""
    given = {
        "routes": {"org/llama": ENDPOINT},
        "environment": "staging",
        "provider": "hosted_vllm",
        "api_key": None,
        "extra": {},
        **changes,
    }
    (model,) = wanted_models(**given)
    return model


def listed(model: ModelOfProxy) -> dict[str, Any]:
    """Return a model as the proxy lists it: with fields of its own, without its key."""
    body = model.as_body()
    return {
        "model_name": body["model_name"],
        "litellm_params": {**body["litellm_params"], "api_key": None, "use_in_pass_through": False},
        "model_info": {**body["model_info"], "db_model": True},
    }


def test_what_is_there_as_wanted_needs_nothing() -> None:
    found = plan([one()], [listed(one())], "staging")
    assert not found.changed
    assert [line["action"] for line in found.actions()] == ["none"]


@pytest.mark.parametrize(
    "changes",
    [
        {"routes": {"org/llama": "http://other:8000"}},
        {"provider": "openai"},
        {"api_key": "sk-new"},
        {"extra": {"rpm": 5}},
    ],
)
def test_every_part_of_a_model_counts(changes: dict[str, Any]) -> None:
    found = plan([one(**changes)], [listed(one())], "staging")
    assert [line["action"] for line in found.actions()] == ["update"]
    assert (len(found.create), len(found.delete)) == (1, 1)


def test_a_key_is_in_no_id_and_in_no_repr() -> None:
    assert one(api_key="sk-canary").id != one(api_key="sk-other").id
    assert "canary" not in repr(one(api_key="sk-canary"))


def test_environments_do_not_touch_each_other() -> None:
    production = one(environment="production")
    found = plan([], [listed(production), listed(one())], "staging")
    assert [model.id for model in found.delete] == [one().id]


@pytest.mark.parametrize("info", [{}, {"id": "x"}, {"id": one().id, "llmops_environment": "staging"}])
def test_models_of_others_are_named_and_left(info: dict[str, Any]) -> None:
    foreign = {"model_name": "org/llama", "litellm_params": {}, "model_info": info}
    found = plan([one()], [foreign], "staging")
    assert found.foreign == ("org/llama",)
    assert not found.delete
    assert len(found.create) == 1

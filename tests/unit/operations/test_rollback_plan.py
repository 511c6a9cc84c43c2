# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a rollback will go, said before it starts: ways, seconds, differences, and no secret in any of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.plan import (
    Observed,
    RollbackPlan,
    Side,
    Way,
    lines,
    plan_rollback,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.rollback.report import (
    plan_as_json,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.durations import (
    Estimate,
    Took,
    estimate,
)

VALUES: dict[str, Any] = {"model": {"maxModelLen": 1024}, "strategy": "surge"}
BAD = Side(4, f"sha256:{'b' * 64}", "0.2.0", "vllm:0.33", "main", VALUES)
GOOD = Side(3, f"sha256:{'a' * 64}", "0.1.0", "vllm:0.32", "main", VALUES)
STAYS = Observed(changed=False, new_pods=False, interrupts=False)
IN_PLACE = Observed(changed=True, new_pods=False, interrupts=False)
SURGE = Observed(changed=True, new_pods=True, interrupts=False, strategy="surge")
FIRST_DOWN = Observed(changed=True, new_pods=True, interrupts=True, strategy="unavailable-first")
FETCHES = replace(FIRST_DOWN, fetches=("the image", "the weights"))
DOWN_IN_PLACE = replace(IN_PLACE, interrupts=True)
KNOWN = Estimate(41.5, 2, same=True)

#: What is seen, what is known of earlier operations; the way, the strategy said, seconds, seconds away.
PLANS = [
    (STAYS, KNOWN, Way.NONE, "", None, 0.0),
    (STAYS, None, Way.NONE, "", None, 0.0),
    (IN_PLACE, KNOWN, Way.IN_PLACE, "", None, 0.0),
    (DOWN_IN_PLACE, KNOWN, Way.IN_PLACE, "", None, None),
    (SURGE, KNOWN, Way.WARM, "surge", 41.5, 0.0),
    (SURGE, None, Way.WARM, "surge", None, 0.0),
    (FIRST_DOWN, KNOWN, Way.WARM, "unavailable-first", 41.5, 41.5),
    (FIRST_DOWN, None, Way.WARM, "unavailable-first", None, None),
    (FETCHES, KNOWN, Way.COLD, "unavailable-first", 41.5, 41.5),
    (replace(FETCHES, interrupts=False), None, Way.COLD, "unavailable-first", None, 0.0),
]


@pytest.mark.parametrize(("seen", "known", "way", "strategy", "expected_s", "away_s"), PLANS)
def test_which_way_it_goes_and_for_how_long(
    seen: Observed,
    known: Estimate | None,
    way: Way,
    strategy: str,
    expected_s: float | None,
    away_s: float | None,
) -> None:
    plan = plan_rollback(BAD, GOOD, seen, known)
    assert (plan.way, plan.strategy, plan.expected_s, plan.away_s) == (way, strategy, expected_s, away_s)
    assert plan.interrupts is (seen.interrupts and way is not Way.NONE)
    assert plan.fetches == (seen.fetches if way is Way.COLD else ())
    assert plan.based_on == (2 if expected_s else 0)


def test_a_removal_names_no_seconds() -> None:
    plan = plan_rollback(BAD, None, Observed(changed=True, new_pods=False, interrupts=True), KNOWN)
    assert (plan.way, plan.interrupts, plan.expected_s, plan.away_s) == (Way.REMOVE, True, None, None)
    assert (plan.differences, plan.based_on) == ((), 0)
    assert lines(plan) == [
        "from revision 4 (bbbbbbbbbbbb) to nothing",
        "way: the first revision is taken away, nothing is left",
    ]


#: What is seen and known, and what people read.
SAID = [
    (STAYS, KNOWN, ["stays at revision 3 (aaaaaaaaaaaa)"]),
    (
        SURGE,
        KNOWN,
        [
            "way: warm: new pods, image and weights are there (strategy surge)",
            "expected: 41.5 s, by 2 operation(s) that made this very manifest",
            "clients: served all the time",
        ],
    ),
    (
        FETCHES,
        Estimate(90, 3, same=False),
        [
            "way: cold: new pods, which fetch the image and the weights (strategy unavailable-first)",
            "expected: 90 s, by 3 operation(s) of this model",
            "clients: without the model for about 90 s",
        ],
    ),
    (
        FIRST_DOWN,
        None,
        [
            "way: warm: new pods, image and weights are there (strategy unavailable-first)",
            "expected: unknown, no operation of this model is on record",
            "clients: without the model",
        ],
    ),
    (
        IN_PLACE,
        KNOWN,
        [
            "  model_revision: main -> v2",
            "way: in place: no pod is replaced",
            "clients: served all the time",
        ],
    ),
]


@pytest.mark.parametrize(("seen", "known", "said"), SAID)
def test_people_read_it_before_it_begins(seen: Observed, known: Estimate | None, said: list[str]) -> None:
    before = BAD if seen.changed else GOOD
    assert lines(plan_rollback(before, replace(GOOD, model_revision="v2"), seen, known))[-3:] == said


#: Values before and after, and the differences that are said.
DIFFERENCES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {}, []),
    ({"a": {"b": 1}}, {"a": {"b": 2}}, ["values.a.b: 1 -> 2"]),
    ({"a": {"b": 1}}, {}, ["values.a.b: 1 -> nothing"]),
    ({}, {"a": {"b": None}}, []),
    ({"a": [1, 2]}, {"a": [2, 1]}, ["values.a: [1, 2] -> [2, 1]"]),
    ({"a": {"strategy": 1}}, {"a": {"strategy": 2}}, ["values.a.strategy: 1 -> 2"]),
    # How pods are replaced is chosen anew.
    ({"strategy": "surge"}, {"strategy": "recreate"}, []),
    ({"a": "x" * 200}, {"a": ""}, [f"values.a: {'x' * 97}... -> "]),
    # That it changed is said, and what it was is not.
    ({"apiKey": "c4n4ry-a"}, {"apiKey": "c4n4ry-b"}, ["values.apiKey: changed (not shown)"]),
    ({"b": 0, "a": 1}, {"b": 1, "a": 0}, ["values.a: 1 -> 0", "values.b: 0 -> 1"]),
]


@pytest.mark.parametrize(("before", "after", "said"), DIFFERENCES)
def test_what_differs_is_said(before: dict[str, Any], after: dict[str, Any], said: list[str]) -> None:
    plan = plan_rollback(replace(GOOD, values=before), replace(GOOD, values=after), SURGE, None)
    assert list(plan.differences) == said


def test_chart_image_and_model_revision_are_compared_by_name() -> None:
    plan = plan_rollback(replace(BAD, model_revision=None), GOOD, SURGE, None)
    assert plan.differences == (
        "chart_version: 0.2.0 -> 0.1.0",
        "image: vllm:0.33 -> vllm:0.32",
        "model_revision: nothing -> main",
    )


CANARY = "c4n4ry-4711-c4n4ry"
SECRETS: list[dict[str, Any]] = [
    {"apiKey": CANARY},
    {"secrets": {"hfToken": {"value": CANARY}}},
    {"model": {"extraEnv": [{"name": "HF_TOKEN", "value": CANARY}]}},
    {"model": {"extraArgs": ["--api-key", CANARY]}},
    {"model": {"extraArgs": [f"--api-key={CANARY}"]}},
    {"model": {"source": f"https://user:{CANARY}@models.example.org/llama"}},
    {"note": f"Authorization: Bearer {CANARY}"},
]


@pytest.mark.parametrize("values", SECRETS)
def test_no_secret_is_said_or_returned(values: dict[str, Any]) -> None:
    for before, after in ((values, {}), ({}, values), (values, {**values, "other": 1})):
        plan = plan_rollback(replace(BAD, values=before), replace(GOOD, values=after), SURGE, KNOWN)
        assert CANARY not in "\n".join(lines(plan))
        assert CANARY not in json.dumps(plan_as_json(plan))


def test_a_plan_is_json_with_documented_keys() -> None:
    found = json.loads(json.dumps(plan_as_json(plan_rollback(BAD, GOOD, FETCHES, KNOWN))))
    side = {"revision", "digest", "chart_version", "image", "model_revision"}
    assert set(found["before"]) == set(found["after"]) == side
    assert found.keys() == RollbackPlan.__dataclass_fields__.keys()
    assert found["way"] == "cold"
    assert found["fetches"] == ["the image", "the weights"]
    assert plan_as_json(plan_rollback(BAD, None, IN_PLACE, None))["after"] is None


def took(*, same: bool, **steps: float) -> Took:
    return Took({name.replace("_", " "): seconds for name, seconds in steps.items()}, same)


#: What operations took; seconds, how many of them count, and whether they made this very manifest.
ESTIMATES: list[tuple[list[Took], Estimate | None]] = [
    ([], None),
    ([took(same=False, rollout=10)], Estimate(10, 1, same=False)),
    ([took(same=False, rollout=10), took(same=True, rollout=30)], Estimate(30, 1, same=True)),
    ([took(same=True, rollout=seconds) for seconds in (1, 2, 300)], Estimate(2, 3, same=True)),
    ([took(same=True, rollout=seconds) for seconds in (1, 2)], Estimate(1.5, 2, same=True)),
    # All steps count but the wait for room, which is of that day.
    ([took(same=True, helm_upgrade=2.04, rollout=10, verify_the_endpoint=0.3)], Estimate(12.3, 1, same=True)),
    ([took(same=True, wait_for_capacity=900, rollout=10)], Estimate(10, 1, same=True)),
]


@pytest.mark.parametrize(("operations", "expected"), ESTIMATES)
def test_seconds_come_from_this_models_own_operations(
    operations: list[Took], expected: Estimate | None
) -> None:
    assert estimate(operations) == expected

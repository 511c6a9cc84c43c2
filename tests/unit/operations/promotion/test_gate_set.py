# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of the gates by tier, what an approval of them is bound to, and who is allowed to skip which."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gate_set import (
    GATES,
    NEVER_OVERRIDDEN,
    GateSet,
    Override,
    check_overrides,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.limits import (
    BOUNDS,
    MetricLimits,
)


@pytest.mark.parametrize(
    ("tier", "soak_s", "metrics", "approval"),
    [
        ("production", 900, "auto", True),
        ("staging", 0, "none", False),
        ("development", 0, "none", False),
    ],
)
def test_a_tier_has_its_gates(tier: str, soak_s: float, metrics: str, approval: bool) -> None:
    gates = GateSet.of({}, tier)
    assert (gates.soak_s, gates.metrics, gates.approval) == (soak_s, metrics, approval)
    assert (gates.completions, gates.capacity, gates.freeze) == (10, True, ())


def test_what_is_given_counts_and_none_is_not_given() -> None:
    gates = GateSet.of({"soak_s": 0.0, "approval": False, "metrics": None}, "production", capacity=False)
    assert (gates.soak_s, gates.approval, gates.metrics, gates.capacity) == (0, False, "auto", False)
    assert GateSet.of({"approval": True}, "staging").approval


#: Another value of each field; a new field needs one here.
OTHERS: dict[str, Any] = {
    "soak_s": 901.0,
    "completions": 11,
    "max_latency_s": 3.5,
    "metrics": "router",
    "error_ratio": 0.02,
    "queue_waiting": 11.0,
    "min_samples": 51,
    "window_s": 60.0,
    "approval": False,
    "approval_by_other_login": True,
    "freeze": [{"name": "holidays", "from": "2026-12-20", "to": "2027-01-02", "timezone": "UTC"}],
    "capacity": False,
    "overridden": ("soak",),
    "watch_s": 0.0,
    "environment_keys": ("image.repository",),
    "prometheus": "https://prometheus.example.com",
}


def test_an_approval_holds_for_these_very_limits() -> None:
    gates = GateSet()
    assert set(OTHERS) == {field.name for field in fields(GateSet)}
    digests = [replace(gates, **{name: value}).digest for name, value in OTHERS.items()]
    assert len({gates.digest, *digests}) == 1 + len(OTHERS)
    assert GateSet().digest == gates.digest


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("soak_s", -1.0),
        ("soak_s", math.nan),
        ("soak_s", math.inf),
        ("error_ratio", -0.1),
        ("error_ratio", 1.01),
        ("error_ratio", math.nan),
        ("queue_waiting", -1.0),
        ("queue_waiting", math.inf),
        ("max_latency_s", 0.0),
        ("max_latency_s", math.nan),
        ("max_latency_s", 0.0001),
        ("max_latency_s", 3601.0),
        ("queue_waiting", 1e7),
        ("min_samples", 2_000_000_000),
        ("window_s", 0.0),
        ("window_s", 0.5),
        ("window_s", 8 * 86400.0),
        ("window_s", math.inf),
        ("completions", -1),
        ("completions", 1001),
        ("min_samples", 0),
    ],
)
def test_a_limit_that_cannot_be_meant_is_named(field: str, value: float) -> None:
    with pytest.raises(PlatformError, match=rf"gates\.{field}: ") as caught:
        GateSet.of({field: value}, "production")
    assert caught.value.error_class is ErrorClass.INVALID


@pytest.mark.parametrize(
    "field", ["max_latency_s", "error_ratio", "queue_waiting", "min_samples", "window_s"]
)
def test_what_is_taken_is_never_refused_where_it_is_compared(field: str) -> None:
    """Under a name that nobody has given."""
    compared = {"max_latency_s": "latency_s"}.get(field, field)
    for bound in BOUNDS[compared]:
        given = GateSet.of({field: int(bound) if field == "min_samples" else bound}, "production")
        MetricLimits(**{compared: getattr(given, field)})
        beyond = bound * 2 + 1 if bound == BOUNDS[compared][1] else bound - 1
        with pytest.raises(PlatformError, match=rf"^gates\.{field}: "):
            GateSet.of({field: beyond}, "production")


@pytest.mark.parametrize(
    "given",
    [{"soak_s": 0.0}, {"completions": 0}, {"error_ratio": 0.0}, {"error_ratio": 1.0}, {"window_s": 86400.0}],
)
def test_limits_at_the_edge_are_taken(given: dict[str, Any]) -> None:
    GateSet.of(given, "production")


def test_an_override_names_its_gate_and_says_why() -> None:
    found = check_overrides([{"gate": "soak", "reason": " hotfix "}, {"gate": "queue", "reason": "x"}])
    assert found == {"soak": Override("soak", "hotfix"), "queue": Override("queue", "x")}


@pytest.mark.parametrize("gate", NEVER_OVERRIDDEN)
def test_nobody_takes_these_on_himself(gate: str) -> None:
    with pytest.raises(PlatformError, match=f"overrides.gate: .*{gate}.* is never overridden"):
        check_overrides([{"gate": gate, "reason": "I know better"}])


@pytest.mark.parametrize(
    ("gate", "reason", "field"),
    [("soaked", "x", "gate"), ("soak", "", "reason"), ("soak", "  ", "reason"), ("soak", None, "reason")],
)
def test_overrides_that_say_nothing(gate: str, reason: str | None, field: str) -> None:
    with pytest.raises(PlatformError, match=rf"overrides\.{field}: ") as caught:
        check_overrides([{"gate": gate, "reason": reason}])
    assert caught.value.error_class is ErrorClass.INVALID


def test_what_is_never_overridden_is_a_gate() -> None:
    assert set(NEVER_OVERRIDDEN) == {"verified", "approval"} <= set(GATES)

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that mean the same target."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import StrictUndefined

from ansible_collections.llmops.platform.plugins.filter.shared_targets import shared_targets


def host(name: str, **variables: str) -> dict[str, str]:
    return {"inventory_hostname": name, **variables}


def test_hosts_of_one_target_are_named_and_no_others() -> None:
    hosts = [
        host("a", vllm_model="org/model", vllm_environment="staging"),
        host("b", vllm_model="org/model", vllm_environment="production"),
        host("c", vllm_model="org/model", vllm_environment="staging"),
        host("d"),
        # What the role takes where nothing is said.
        host("e", vllm_model="d", vllm_environment="development"),
        host("f", vllm_model="org/model", vllm_environment="staging"),
    ]
    assert shared_targets(hosts) == [
        "hosts a, c and f are the same model 'org/model' in staging",
        "hosts d and e are the same model 'd' in development",
    ]
    assert shared_targets(hosts[:2]) == []


def test_other_places_are_other_targets_and_who_cannot_be_told_is_left_out() -> None:
    def one(name: str, **variables: str | bool) -> dict[str, str | bool]:
        return {"inventory_hostname": name, "vllm_model": "m", **variables}

    eu, us = {"vllm_context": "eu", "registry_dsn": "eu"}, {"vllm_context": "us", "registry_dsn": "us"}
    assert shared_targets([one("a", **eu), one("b", **us)]) == []
    apart = [
        one("a", vllm_register=False, vllm_context="eu"),
        one("b", vllm_register="no", vllm_context="us"),
    ]
    assert shared_targets(apart) == []
    assert len(shared_targets([one("a", vllm_register=False), one("b", vllm_register="no")])) == 1
    # One row, or one release: the one is enough.
    assert len(shared_targets([one("a", **eu), one("b", **{**us, "registry_dsn": "eu"})])) == 1
    assert len(shared_targets([one("a", **eu), one("b", **{**eu, "registry_dsn": "us"})])) == 1
    assert len(shared_targets([one("a"), one("b", vllm_register=False)])) == 1
    untold = one("c", vllm_environment="{{ nowhere }}")
    assert shared_targets([untold, {**untold, "inventory_hostname": "d"}]) == []


@pytest.mark.parametrize("variable", ["vllm_model", "vllm_environment", "vllm_register", "registry_dsn"])
def test_a_host_with_what_is_not_defined_does_not_stop_the_others(variable: str) -> None:
    """As ansible-core has it since 2.19: reading it fails, and by jinja2's error."""
    broken: dict[str, Any] = {**host("c", vllm_model="m"), variable: StrictUndefined(name="nobody")}
    assert shared_targets([host("a", vllm_model="m"), broken, host("b", vllm_model="m")]) == [
        "hosts a and b are the same model 'm' in development"
    ]

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A verification that is planned is checked by the arguments that it will be made with."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.endpoint.arguments import (
    DEFAULTS,
    check_planned,
)
from ansible_collections.llmops.platform.plugins.modules import vllm_deployment, vllm_endpoint_info
from tests.support.kubernetes_objects import Cluster

GIVEN = {"access": "auto", "api_key_secret": {}, "max_latency_s": 3.0, "timeout": 60.0}


def check(**given: Any) -> None:
    key = base64.b64encode(b"sk-key").decode()
    secrets = [
        {"metadata": {"name": "keys"}, "data": {"api-key": key, "other": key}},
        {"metadata": {"name": "empty"}, "data": {}},
    ]
    cluster = Cluster(others={"/api/v1/namespaces/llm/secrets": secrets})
    check_planned(cluster, {**GIVEN, **given}, model="org/model", service="model-staging", namespace="llm")


def test_defaults_are_those_of_the_module_that_verifies() -> None:
    spec = vllm_endpoint_info.ARGUMENT_SPEC
    assert {name: spec[name].get("default") for name in DEFAULTS} == DEFAULTS
    options = vllm_deployment.ARGUMENT_SPEC["verification"]["options"]
    for name in ("max_latency_s", "access"):
        assert options[name]["default"] == spec[name]["default"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"api_key_secret": None},
        {"api_key_secret": {"name": "", "key": None}},
        {"api_key_secret": {"name": "keys", "key": None}},
        {"api_key_secret": {"name": "keys", "key": "other"}, "access": "dns"},
    ],
)
def test_what_can_be_made_passes(given: dict[str, Any]) -> None:
    check(**given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"max_latency_s": 0.0}, "verification.max_latency_s"),
        ({"max_latency_s": float("nan")}, "verification.max_latency_s"),
        ({"timeout": -1.0}, "verification.timeout"),
        ({"api_key_secret": {"name": "nowhere"}}, "verification.api_key_secret: 'nowhere'"),
        ({"api_key_secret": {"name": "empty"}}, "verification.api_key_secret: 'api-key' is not a key"),
        ({"api_key_secret": {"key": "x", "name": ""}}, "verification.api_key_secret.name"),
        ({"api_key_secret": {"name": "keys"}, "access": "proxy"}, "verification.access"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(PlatformError) as refusal:
        check(**given)
    assert refusal.value.error_class is ErrorClass.INVALID
    assert refusal.value.message.startswith(field)

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in plain text are refused by the name of their key; references are no secrets."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.plain_secrets import refuse_secrets
from tests.support.chart import EVERYTHING
from tests.support.models import QUICK_VALUES

CANARY = "c4n4ry-7f3a9c"


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"secrets": {"hfToken": CANARY}}, "chart_values.secrets.hfToken"),
        ({"secrets": {"apiKey": {"value": CANARY}}}, "chart_values.secrets.apiKey.value"),
        ({"password": CANARY}, "chart_values.password"),
        (
            {"model": {"extraEnv": [{"name": "A", "value": "b"}, {"name": "HF_TOKEN", "value": CANARY}]}},
            "chart_values.model.extraEnv[1].value",
        ),
        ({"model": {"extraArgs": ["--api-key", CANARY]}}, "chart_values.model.extraArgs[1]"),
        ({"model": {"extraArgs": [f"--api-key={CANARY}"]}}, "chart_values.model.extraArgs[0]"),
        ({"model": {"source": f"https://user:{CANARY}@example.com/m"}}, "chart_values.model.source"),
    ],
)
def test_a_secret_is_refused_by_its_key(values: dict[str, Any], key: str) -> None:
    with pytest.raises(PlatformError) as caught:
        refuse_secrets(values)
    assert str(caught.value).startswith(f"{key}: looks like a secret")
    assert "existingSecret" in caught.value.resolution
    assert CANARY not in str(caught.value) + repr(caught.value.details)


@pytest.mark.parametrize(
    "values",
    [
        EVERYTHING,
        QUICK_VALUES,
        {"model": {"extraArgs": ["--max-num-batched-tokens=8192", "--enable-lora"]}},
        {"serviceAccount": {"automountToken": True}},
        {
            "model": {
                "extraEnv": [
                    {"name": "T_TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "token"}}}
                ]
            }
        },
    ],
)
def test_a_reference_is_none(values: dict[str, Any]) -> None:
    refuse_secrets(values)

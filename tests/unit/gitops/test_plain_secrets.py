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
        (
            {"model": {"extraEnv": [{"name": "WANDB_KEY", "value": CANARY}]}},
            "chart_values.model.extraEnv[0].value",
        ),
        (
            {"model": {"extraEnv": [{"name": "DB_PWD", "value": CANARY}]}},
            "chart_values.model.extraEnv[0].value",
        ),
        ({"keyfile_passphrase": CANARY}, "chart_values.keyfile_passphrase"),
        ({"dbPass": CANARY}, "chart_values.dbPass"),
        ({"a": f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}"}, "chart_values.a"),
        ({"a": ["b", f"see ghp_{'a1B2' * 9} {CANARY}"]}, "chart_values.a[1]"),
        ({"a": f"glpat-{'a1B2' * 5} {CANARY}"}, "chart_values.a"),
        ({"a": f"xoxb-{'1' * 12}-{CANARY}"}, "chart_values.a"),
        ({"a": f"AKIA{'A1B2' * 4} {CANARY}"}, "chart_values.a"),
        ({"a": f"https://hooks.slack.com/services/T0/B0/{CANARY}"}, "chart_values.a"),
        ({"a": f"https://blob.example.com/c?sv=1&sig={CANARY}"}, "chart_values.a"),
        ({"a": f"https://{CANARY}@git.example.com/x"}, "chart_values.a"),
        ({"a": f"redis://:{CANARY}@redis/0"}, "chart_values.a"),
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
        {"model": {"extraEnv": [{"name": "VLLM_MAX_TOKEN", "value": "4096"}]}},
        {"model": {"extraEnv": [{"name": "SSH_KEY", "value": "/etc/ssh/key"}]}},
        {"model": {"extraEnv": [{"name": "EMPTY_KEY", "value": ""}]}},
        {"model": {"extraArgs": ["--override-generation-config", '{"eos_token": "</s>"}']}},
        {"podAnnotations": {"proxy-bypass": "on", "compass": "north", "mail": "mailto:a@example.com"}},
        {"model": {"source": "git+ssh://git@git.example.com/x"}},
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

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets are shown nowhere; references to them are."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.redaction import (
    HIDDEN,
    excerpt,
    redact,
    redact_text,
)

CANARY = "Canary7Xq9ZpL2vWm4Tn"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://llmops:{CANARY}@db.example:5432/registry",
        f"could not connect to postgres://u:{CANARY}@h/db, giving up",
        f"postgres://u:p@{CANARY}@h/db",
        f"postgres://u:p/{CANARY}@h/db",
        f"https://:{CANARY}@proxy:3128",
        f"host=db user=u password={CANARY} dbname=r",
        f"host=db password = '{CANARY} with \\'quotes\\'' user=u",
        f"postgresql://h/db?user=u&password={CANARY}",
        f"sslkey=/k sslpassword={CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"authorization: bearer {CANARY}.abc-_~+/=",
        f"{{'Authorization': 'Basic {CANARY}='}}",
        f"401 for hf_{CANARY}",
    ],
)
def test_no_text_shows_a_secret(text: str) -> None:
    for shown in (
        redact_text(text),
        excerpt(text),
        excerpt("x\n" * 9000 + text),
        excerpt(text + "\nx" * 9000),
    ):
        assert CANARY not in shown
    assert HIDDEN in redact_text(text)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=40))
def test_no_password_of_a_url_is_shown(password: str) -> None:
    url = f"postgresql://user:{quote(password, safe='')}@host:5432/db"
    assert redact_text(f"connecting to {url} failed") == (
        f"connecting to postgresql://user:{HIDDEN}@host:5432/db failed"
    )


@pytest.mark.parametrize(
    "text",
    [
        "http://llama-staging.llm.svc.cluster.local:8000/v1/models answered 503",
        "postgresql://user@host/db",
        "Kubernetes says: invalid bearer token",
        "the password was refused",
        "couldn't find key token in Secret llm-staging/hugging-face",
        "mail ops@example.org about http://a/b",
    ],
)
def test_text_without_a_secret_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "key",
    [
        "password", "passwd", "PGPASSWORD", "client_secret", "clientSecret", "token", "hf-token", "HF_TOKEN",
        "api_key", "apiKey", "VLLM_API_KEY", "AWS_SECRET_ACCESS_KEY", "credential", "credentials",
        "private-key", "Authorization",
    ],
)  # fmt: skip
def test_values_under_secret_keys_are_hidden_at_any_depth(key: str) -> None:
    data = {
        "a": [{"b": {key: CANARY, "other": 1}}],
        "list": {key: [CANARY, CANARY]},
        "number": {key: 12345678},
        "env": [{"name": key, "value": CANARY}, {"name": "PLAIN", "value": "shown"}],
    }
    shown = redact(data)
    assert CANARY not in json.dumps(shown)
    assert "12345678" not in json.dumps(shown)
    assert shown["a"][0]["b"]["other"] == 1
    assert shown["env"][1] == {"name": "PLAIN", "value": "shown"}


def test_secrets_of_kubernetes_lose_their_data() -> None:
    secret = {
        "kind": "Secret",
        "metadata": {"name": "x"},
        "data": {"a": CANARY},
        "stringData": {"b": CANARY},
    }
    assert redact([secret]) == [
        {"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": HIDDEN}, "stringData": {"b": HIDDEN}}
    ]


@pytest.mark.parametrize(
    "reference",
    [
        {"secrets": {"hfToken": {"existingSecret": "hugging-face", "key": "token"}}},
        {"valueFrom": {"secretKeyRef": {"name": "hugging-face", "key": "token"}}, "name": "HF_TOKEN"},
        {"imagePullSecrets": [{"name": "registry"}]},
        {"image": {"pullSecrets": ["registry"]}},
        {"volumes": [{"name": "tls", "secret": {"secretName": "certificate"}}]},
        {"ingress": {"tlsSecret": "certificate"}},
        {"automountServiceAccountToken": False},
        {"token": "", "password": None},
        {"max_tokens": 16, "completion_tokens": 3, "apiVersion": "v1", "keys": ["a"]},
    ],
)
def test_references_and_switches_stay_visible(reference: dict[str, Any]) -> None:
    assert redact(reference) == reference


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(_JSON)
def test_redaction_keeps_the_shape_and_leaves_the_input_alone(data: Any) -> None:
    before = json.dumps(data)
    once = redact(data)
    assert json.dumps(data) == before
    assert redact(once) == once


@given(st.text(max_size=3000), st.integers(min_value=1, max_value=500))
def test_an_excerpt_is_short_and_printable(text: str, limit: int) -> None:
    shown = excerpt(text, limit)
    assert len(shown) <= limit + 60
    assert not _CONTROL.search(shown)
    shown.encode()


@given(st.integers(min_value=0, max_value=40_000), st.sampled_from(["log line\n", "\x1b[0m", "日本", "x"]))
def test_a_secret_is_hidden_wherever_an_excerpt_cuts(position: int, filling: str) -> None:
    text = (
        (filling * 40_000)[:position] + f" postgres://u:{CANARY}@h/db " + (filling * 40_000)[position:40_000]
    )
    shown = excerpt(text, 2000)
    assert not any(CANARY[start : start + 8] in shown for start in range(len(CANARY) - 7))


def test_an_excerpt_keeps_the_end_of_a_long_text() -> None:
    shown = excerpt("first\n" + "middle\n" * 5000 + "the cause", 400)
    assert shown.startswith("first\n")
    assert shown.endswith("the cause")
    assert re.search(r"\[\.\.\. \d+ characters left out \.\.\.\]", shown)


def test_megabytes_take_no_time() -> None:
    """Each pattern scans a bounded piece, whatever the text looks like."""
    for piece in ("a://b:", "password=", "Bearer ", "x"):
        assert len(excerpt(piece * 300_000, 1000)) < 1100


def test_secret_after_an_option_of_a_command_is_hidden() -> None:
    given = {"extraArgs": ["--max-num-seqs", "8", "--api-key", "canary", "--hf-token=canary", "--seed", "1"]}
    shown = redact(given)["extraArgs"]
    assert shown == ["--max-num-seqs", "8", "--api-key", HIDDEN, f"--hf-token={HIDDEN}", "--seed", "1"]
    # What a message says about an option is no secret.
    assert redact_text("--api-key belongs to secrets.apiKey") == "--api-key belongs to secrets.apiKey"


def test_value_in_the_place_of_a_reference_is_hidden() -> None:
    assert redact({"hfToken": {"value": "canary", "key": "token"}}) == {
        "hfToken": {"value": HIDDEN, "key": "token"}
    }


@pytest.mark.parametrize(
    "value",
    [
        ["serve", "--api-key", "first", CANARY, "--port", "8000"],
        ["sh", "-c", f"vllm serve m --api-key {CANARY} --port 8000"],
        {"name": "HF_TOKEN_2", "value": CANARY},
        {"name": "VLLM_API_KEYS", "value": CANARY},
        {"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": f"api-key={CANARY}"},
        {"kind": "ConfigMap", "data": {"config.yaml": f"host: x\napi_key: {CANARY}\n"}},
        {"kind": "ConfigMap", "data": {"config.json": f'{{"password": "{CANARY}", "host": "x"}}'}},
    ],
)
def test_secrets_in_free_text_of_manifests_are_hidden(value: Any) -> None:
    assert CANARY not in str(redact(value))
    assert HIDDEN in str(redact(value))


def test_limits_of_tokens_are_no_secrets() -> None:
    for value in (
        ["--max-num-batched-tokens", "8192", "--port", "8000"],
        ["sh", "-c", "vllm serve m --max-tokens 5 && echo token"],
        {"kind": "ConfigMap", "data": {"c": "max_tokens: 100\ntokenizer: llama"}},
        {"name": "MODE", "value": "tokenizer=llama"},
    ):
        assert redact(value) == value

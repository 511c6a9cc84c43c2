# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names on the cluster: always valid, never shared, the same in every version."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.names import (
    MODEL_MAX_LENGTH,
    SLUG_MAX_LENGTH,
    TIERS,
    check_environment,
    check_model,
    check_namespace,
    check_release_name,
    endpoint_url,
    release_name,
    slug,
    tier_of,
)

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

# Names as people write them, in which near-collisions are likely, beside any text at all.
_PARTS = st.sampled_from(
    [
        "a",
        "A",
        "7b",
        "7B",
        "-",
        "--",
        ".",
        "_",
        "/",
        "llama",
        "Llama",
        "é",
        "模",
        "m-",
        "0",
        "3.1",
        "00000000",
    ]
)
_WRITTEN = st.lists(_PARTS, min_size=1, max_size=12).map("".join)
_ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
NAMES = st.one_of(_WRITTEN, _ANY)
ENVIRONMENT = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True)


@given(NAMES)
def test_slug_is_a_short_dns_label(model: str) -> None:
    name = slug(model)
    assert DNS_1035.fullmatch(name)
    assert len(name) <= SLUG_MAX_LENGTH


@given(NAMES, st.sampled_from(TIERS) | ENVIRONMENT)
def test_release_name_is_one_that_helm_and_a_service_accept(model: str, environment: str) -> None:
    assert check_release_name(release_name(model, environment)).endswith(f"-{environment}")


@given(st.lists(NAMES, min_size=2, max_size=6, unique=True), ENVIRONMENT)
def test_two_models_never_share_a_release(models: list[str], environment: str) -> None:
    assert len({release_name(model, check_environment(environment)) for model in models}) == len(models)


@pytest.mark.parametrize(
    "name", ["", "Prod", "prod_eu", "-eu", "eu-", "a" * 31, "prod eu", "prod.eu", "prod\n"]
)
def test_what_is_no_name_of_an_environment_is_refused(name: str) -> None:
    with pytest.raises(PlatformError, match="environment: ") as caught:
        check_environment(name)
    assert caught.value.error_class is ErrorClass.INVALID


def test_a_tier_is_given_or_the_name_of_the_environment() -> None:
    assert [tier_of(name) for name in TIERS] == list(TIERS)
    assert tier_of("qa", "staging") == tier_of("development", "staging") == "staging"
    for environment, tier in (("prod-eu", None), ("prod-eu", ""), ("staging", "prod")):
        with pytest.raises(PlatformError, match="tier: ") as caught:
            tier_of(environment, tier)
        assert caught.value.error_class is ErrorClass.INVALID


@given(st.lists(NAMES, min_size=2, max_size=6, unique=True))
def test_two_models_never_share_a_slug(models: list[str]) -> None:
    assert len({slug(model) for model in models}) == len(models)


@given(NAMES)
def test_no_model_can_take_the_slug_of_another_by_being_named_like_it(model: str) -> None:
    taken = slug(model)
    if taken != model:
        assert slug(taken) != taken
        assert slug(f"other/{taken}") != taken


@given(NAMES, st.text("abcdefghijklmnopqrstuvwxyz0123456789-./_ ", min_size=1, max_size=50))
def test_one_more_part_makes_another_slug(model: str, part: str) -> None:
    assert slug(f"{part}/{model}") != slug(model)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("qwen3-8b", "qwen3-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3-1-8b-instruct-08a20b29"),
        ("Qwen3-8B", "qwen3-8b-39aa6615"),
        ("7b", "m-7b-925a7bf1"),
        ("模型", "m-c98e118e"),
        ("model-0123abcd", "model-0123abcd-99cba1e3"),
        ("a" * 41, "a" * 41),
        ("a" * 42, f"{'a' * 32}-7a538607"),
    ],
)
def test_slug_stays_the_same_for_ever(model: str, expected: str) -> None:
    """A release is found again by its name, so these values must never change."""
    assert slug(model) == expected


@pytest.mark.parametrize(
    "model",
    [
        "meta-llama/Llama-3.1-8B-Instruct",
        "UPPER",
        "dots.and_underscores",
        "org/模型-é-😀",
        "x" * 300,
        "x" * MODEL_MAX_LENGTH,
        "$(touch /tmp/x); `reboot` | sh && true",
        "quote\"s and 'others'",
        "../../etc/passwd",
        "two words",
        "/",
    ],
)
def test_unusual_names_are_served(model: str) -> None:
    assert check_model(model) == model
    assert DNS_1035.fullmatch(slug(model))


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (" padded", "white space"),
        ("padded\n", "white space"),
        ("x" * 513, "more than 512 characters"),
        ("--option=value", "hyphen"),
        ("line\nbreak", "control"),
        ("nul\x00byte", "control"),
        ("escape\x1b[31m", "control"),
        ("half\ud800", "control"),
        ("turned\u202eround", "control"),
        ("{{ lookup('pipe', 'id') }}", "template delimiter"),
        ("{% raw %}", "template delimiter"),
        ("{# comment", "template delimiter"),
        ("True", "what YAML makes of"),
    ],
)
def test_impossible_names_are_refused_with_what_to_do(model: str, problem: str) -> None:
    with pytest.raises(PlatformError, match=problem) as caught:
        check_model(model)
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.details == {"field": "model"}
    assert "org/name-7b-instruct" in caught.value.resolution
    # Whatever was given, the message can be printed and is short.
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_release_name, "Upper"),
        (check_release_name, "1st"),
        (check_release_name, "dots.in.it"),
        (check_release_name, "ends-"),
        (check_release_name, "newline\n"),
        (check_release_name, "a" * 54),
        (check_release_name, "--kubeconfig=x"),
        (check_release_name, ""),
        (check_namespace, "a" * 64),
        (check_namespace, "../kube-system"),
        (check_namespace, "-x"),
        (check_namespace, "x\n"),
        (check_namespace, ""),
    ],
)
def test_names_that_kubernetes_refuses_are_refused_here(check: Callable[[str], str], value: str) -> None:
    with pytest.raises(PlatformError) as caught:
        check(value)
    assert caught.value.error_class is ErrorClass.INVALID
    assert repr(value)[:50] in caught.value.message


def test_valid_names_pass() -> None:
    assert check_release_name("a" * 53) == "a" * 53
    assert check_namespace("1" + "a" * 62) == "1" + "a" * 62
    assert endpoint_url("llama-staging", "llm") == "http://llama-staging.llm.svc.cluster.local:8000"

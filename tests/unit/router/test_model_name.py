# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model that a body names, read without building the body: as a parser that builds it would say."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_router.errors import ApiError
from llmops_router.model_name import model_of

_NAMES = st.sampled_from(["model", "mod\u00e9l", "x", ""])
_DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=10,
)
_BODIES = st.one_of(
    _DOCUMENTS.map(orjson.dumps),
    _DOCUMENTS.map(lambda document: json.dumps(document).encode("utf-8", "surrogatepass")),
    st.tuples(_DOCUMENTS, _DOCUMENTS).map(
        lambda pair: b'{"model": %b, "mod\\u0065l": %b}' % (orjson.dumps(pair[0]), orjson.dumps(pair[1]))
    ),
    st.binary(max_size=50),
)
_DAMAGE = st.tuples(st.integers(0, 60), st.integers(0, 3), st.binary(max_size=3))


def outcome(body: bytes) -> str:
    """Return the name, or the code of the error."""
    try:
        return model_of(body)
    except ApiError as error:
        return f"-{error.code}"


def expected(body: bytes) -> str:
    """Return the same by way of a parser that builds everything."""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "-invalid_json"
    if not isinstance(document, dict):
        return "-invalid_json"
    model = document.get("model")
    if model is None:
        return "-missing_model"
    if not isinstance(model, str) or not model or len(model) > 512:
        return "-invalid_model"
    return model


@given(_BODIES, _DAMAGE)
def test_it_says_what_a_whole_parser_says(body: bytes, damage: tuple[int, int, bytes]) -> None:
    start, length, instead = damage
    for tried in (body, body[:start] + instead + body[start + length :]):
        # Numbers that are too large for a machine are still JSON, and the model server's business.
        if outcome(tried) != expected(tried):
            with pytest.raises(orjson.JSONDecodeError, match="infinity"):
                orjson.loads(tried)


@pytest.mark.parametrize("character", ["m", "\u00e9", "\U0001f600"])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_name_may_be_long_in_any_script(character: str, ascii_only: bool) -> None:
    for length, told in ((512, character * 512), (513, "-invalid_model"), (100_000, "-invalid_model")):
        body = json.dumps({"model": character * length}, ensure_ascii=ascii_only).encode()
        assert outcome(body) == told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"model": "org/chat", "x": [%b]}' % b",".join([b"[]"] * 1_400_000), "org/chat"),
        (b'{"model": [%b]}' % b",".join([b"[]"] * 1_400_000), "-invalid_model"),
        ('{"model": "org/chat", "x": "%s\U0001f600"}' % ("x" * (4 << 20)), "org/chat"),
        (b'{"model": "%b"}' % (b"x" * (4 << 20)), "-invalid_model"),
    ],
    ids=["lists", "lists as name", "text", "text as name"],
)
def test_a_large_body_costs_no_memory_of_its_own(body: bytes | str, told: str) -> None:
    sent = body.encode() if isinstance(body, str) else body
    tracemalloc.start()
    try:
        assert outcome(sent) == told
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_depth_is_bounded() -> None:
    for depth in (100_000, 1_000_000):
        assert outcome(b'{"x": ' + b"[" * depth + b"]" * depth + b"}") == "-invalid_json"

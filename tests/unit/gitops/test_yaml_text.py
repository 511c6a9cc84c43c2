# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written is read back as it was, by PyYAML here and by Helm in tests/chart."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.yaml_text import yaml_text

#: What readers of YAML 1.1 or 1.2 take for something else than a text.
MISTAKEN = [
    "1e3",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "null",
    "~",
    "012",
    "0x1f",
    "0o17",
    "1_000",
    ".inf",
    "1:30",
    "",
    " ",
]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(st.dictionaries(TEXTS, DATA))
def test_data_is_read_back(data: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml_text({"data": data})) == {"data": data}


@pytest.mark.parametrize("text", MISTAKEN)
def test_a_word_that_could_be_mistaken_is_in_quotes(text: str) -> None:
    assert yaml_text({text or "empty": text}).endswith(f': "{text}"\n')


def test_it_is_read_by_people() -> None:
    data = {"a": {"b": [1, {"c": "d", "e": []}, [True, None]]}, "f": {}, "g": "two words"}
    assert yaml_text(data) == (
        'a:\n  b:\n    - 1\n    - c: d\n      e: []\n    - - true\n      - null\nf: {}\ng: "two words"\n'
    )

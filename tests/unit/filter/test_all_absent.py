# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removals of everything are told from those that an inventory itself names."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest
from jinja2.exceptions import UndefinedError

from ansible_collections.llmops.platform.plugins.filter.all_absent import all_absent

GONE, STAYS = {"vllm_state": "absent"}, {"vllm_state": "present"}
BOTH = ("gitops_state", "vllm_state")


class Broken(UserDict[str, Any]):
    """Variables of a host, one of which names another that is not defined."""

    def __getitem__(self, name: str) -> Any:
        raise UndefinedError(f"{name} is undefined")


@pytest.mark.parametrize(
    ("hosts", "variables", "expected"),
    [
        ([GONE, GONE], ("vllm_state",), True),
        ([GONE, STAYS], ("vllm_state",), False),
        ([GONE, {}], ("vllm_state",), False),
        ([GONE, {"vllm_state": ""}], ("vllm_state",), False),
        ([GONE], ("vllm_state",), False),
        ([], ("vllm_state",), False),
        # The one says it before the other does, on whichever host.
        ([{"gitops_state": "absent", **STAYS}] * 2, BOTH, True),
        ([{"gitops_state": "absent"}, STAYS], BOTH, False),
        ([STAYS, {"gitops_state": "absent"}], BOTH, False),
        ([{"gitops_state": "present", **GONE}] * 2, BOTH, False),
        ([{"gitops_state": "", **GONE}] * 2, BOTH, True),
        # What cannot be told speaks for nobody.
        ([GONE, Broken()], ("vllm_state",), True),
        ([Broken(), STAYS], ("vllm_state",), False),
        ([Broken(), Broken()], ("vllm_state",), False),
        ([GONE, {"vllm_state": "{{ undefined }}"}], ("vllm_state",), True),
    ],
)
def test_who_is_to_go(hosts: list[Any], variables: tuple[str, ...], expected: bool) -> None:
    assert all_absent(hosts, variables) is expected

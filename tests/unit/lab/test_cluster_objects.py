# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab puts on its cluster."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.lab.cluster_objects import established

_NAMES = {"type": "NamesAccepted", "status": "True"}


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({}, False),
        # What the API server says in the first moment: seen in one start of six.
        ({"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}, False),
        ({"conditions": [_NAMES]}, False),
        ({"conditions": [_NAMES, {"type": "Established", "status": "False"}]}, False),
        ({"conditions": [_NAMES, {"type": "Established", "status": "True"}]}, True),
    ],
)
def test_a_definition_is_waited_for_until_it_is_established(status: dict[str, Any], done: bool) -> None:
    assert (established({"status": status}) == "") is done
    assert established({})

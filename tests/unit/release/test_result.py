# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a result shows of a release."""

from __future__ import annotations

from ansible_collections.llmops.platform.plugins.module_utils._core.release.result import shown_values


def test_secrets_are_hidden_and_still_part_of_the_digest() -> None:
    plain = shown_values({"gpu": {"count": 2}})
    assert plain["chart_values"] == {"gpu": {"count": 2}}
    assert plain["values_redacted"] is False
    one, other = (shown_values({"apiKey": key}) for key in ("canary-1", "canary-2"))
    assert "canary" not in str(one)
    assert one["chart_values"] == other["chart_values"]
    assert one["values_digest"] != other["values_digest"]
    assert one["values_redacted"] is True

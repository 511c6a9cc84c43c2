# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a manifest that does not serve from coming again: by the tier, unless it is said."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.platform.plugins.modules.vllm_deployment import _or, _refused

GIVEN = [
    # the option, whether the target is guarded, and the verdicts that keep a manifest away
    (None, True, ("failed", "revoked")),
    (None, False, ("revoked",)),
    (True, True, ()),
    (True, False, ()),
    (False, True, ("failed", "revoked")),
    (False, False, ("failed", "revoked")),
]


@pytest.mark.parametrize(("retry", "guarded", "refused"), GIVEN)
def test_what_a_person_gave_up_does_not_come_again_by_accident(
    retry: bool | None, guarded: bool, refused: tuple[str, ...]
) -> None:
    assert _refused(retry, guarded) == refused


@pytest.mark.parametrize("otherwise", [True, False])
def test_an_option_that_is_given_wins(otherwise: bool) -> None:
    assert _or(None, otherwise) is otherwise
    assert _or(True, otherwise) is True
    assert _or(False, otherwise) is False

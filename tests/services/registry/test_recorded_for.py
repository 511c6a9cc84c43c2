# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a manifest has been on record is told by the clock of the database alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.source import (
    recorded_for_s,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.connection import Database
from tests.unit.operations.promotion.cases import MANIFEST, SOURCE


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_the_age_of_a_record(database: Database, query: Callable[..., Any], zone: str) -> None:
    ((recorded,),) = query(
        "SELECT (clock_timestamp() - interval '40 s') AT TIME ZONE %s AT TIME ZONE %s", (zone, zone)
    )
    source = replace(SOURCE, manifest=replace(MANIFEST, recorded_at=recorded))
    age = database.transaction(lambda session: recorded_for_s(session, source))
    assert 40 <= age < 60

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alert of the router's own certificate: promtool judges it, 50 minutes after 1970 began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chart.test_alerts import firing
from tests.support.role_rules import rule_groups

END = 'llmops_router_certificate_end_timestamp_seconds{namespace="llm-staging",job="router",pod="%s"}'
UP = {'up{namespace="llm-staging",job="router",pod="one"}': "1+0x60"}
DAY = 86400


def rendered(folder: Path, tls_secret: str) -> list[dict[str, Any]]:
    """Return the rule groups of a router with or without a certificate."""
    return rule_groups("router", folder, router_environment="staging", router_tls_secret=tls_secret)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return rendered(tmp_path_factory.mktemp("rules"), "router-tls")


@pytest.mark.parametrize(
    ("ends", "fires"),
    [([3 * DAY, 2 * DAY], False), ([3 * DAY, DAY], True), ([10], True), (["NaN"], False), ([], False)],
)
def test_it_fires_a_day_before_the_first_ends(
    groups: list[dict[str, Any]], ends: list[float | str], fires: bool, tmp_path: Path
) -> None:
    series = {END % f"pod-{number}": f"{end}+0x60" for number, end in enumerate(ends)}
    expected = {"LLMOpsRouterCertificateEnds"} if fires else set()
    assert firing(groups, {**UP, **series}, tmp_path) == expected


def test_without_a_certificate_there_is_none(tmp_path: Path) -> None:
    assert "CertificateEnds" not in str(rendered(tmp_path, ""))

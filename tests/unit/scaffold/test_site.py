# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which environments a site is made for, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.scaffold.site import (
    Environment,
    environments_of,
    source_of,
)

BOTH = (Environment("staging", "staging"), Environment("production", "production"))


@pytest.mark.parametrize(
    ("given", "tiers", "wanted"),
    [
        (["staging", "production"], {}, BOTH),
        # What -e makes of a list.
        ("[staging,production]", {}, BOTH),
        ("[staging, production]", {}, BOTH),
        ("[staging,production,]", {}, BOTH),
        ("staging,production", {}, BOTH),
        ("staging", {}, BOTH[:1]),
        (["prod-eu"], {"prod-eu": "production"}, (Environment("prod-eu", "production"),)),
        # A name of a tier may mean another one.
        (["staging"], {"staging": "production"}, (Environment("staging", "production"),)),
    ],
)
def test_environments_have_their_tiers(
    given: Any, tiers: dict[str, str], wanted: tuple[Environment, ...]
) -> None:
    assert environments_of(given, tiers) == wanted


@pytest.mark.parametrize(
    ("given", "tiers", "told"),
    [
        ([], {}, "names none"),
        ("[]", {}, "names none"),
        (["Staging"], {}, "'Staging' is no name"),
        (["eu_prod"], {"eu_prod": "production"}, "'eu_prod' is no name"),
        (["../staging"], {"../staging": "staging"}, "is no name"),
        (["x" * 31], {}, "is no name"),
        ([None], {}, "'None' is no name"),
        (["staging", "staging"], {}, "'staging' is named twice"),
        (["common"], {"common": "staging"}, "needs itself"),
        # In the site's .gitignore.
        (["context"], {"context": "staging"}, "needs itself"),
        # What Ansible makes of -e 'environments=[staging, production]', and of another space.
        ("[staging,", {}, "is cut off"),
        ("[staging", {}, "is cut off"),
        ("staging,", {}, "is cut off"),
        (5, {}, "is no list"),
        (True, {}, "is no list"),
        ({"staging": {}}, {}, "is no list"),
        (["qa"], {}, "'qa' does not tell what it is like"),
        (["qa"], {"qa": "test"}, "'test' is unknown"),
        (["qa"], {"qa": None}, "'None' is unknown"),
        (["staging"], {"stagin": "staging"}, "'stagin' is none of the environments"),
    ],
)
def test_what_cannot_be_an_environment_is_told(given: Any, tiers: dict[str, Any], told: str) -> None:
    with pytest.raises(PlatformError, match=told):
        environments_of(given, tiers)


def test_names_as_others_need_them() -> None:
    environment = Environment("prod-eu", "production")
    assert (environment.variable, environment.login) == ("PROD_EU", "prod_eu")


@pytest.mark.parametrize(
    ("tiers", "wanted"),
    [
        ({"staging": "staging", "production": "production"}, {"staging": "", "production": "staging"}),
        # By what they are, not by who is named first.
        ({"production": "production", "staging": "staging"}, {"production": "staging", "staging": ""}),
        # The nearest below.
        (
            {"dev": "development", "qa": "staging", "prod": "production"},
            {"dev": "", "qa": "dev", "prod": "qa"},
        ),
        # One that is added later to a site with others, of which nothing is known here.
        ({"production": "production"}, {"production": "staging"}),
        ({"eu": "production", "us": "production"}, {"eu": "staging", "us": "staging"}),
        ({"staging": "staging"}, {"staging": ""}),
        ({"development": "development"}, {"development": ""}),
    ],
)
def test_models_are_promoted_from_the_tier_below(tiers: dict[str, str], wanted: dict[str, str]) -> None:
    environments = environments_of(list(tiers), tiers)
    assert {one.name: source_of(one, environments) for one in environments} == wanted

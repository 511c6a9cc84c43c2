# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who logs in to the source: never the target's user at another cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion import arguments

NOTHING = dict.fromkeys(("kubeconfig", "context", "host", "api_key", "ca_cert", "validate_certs"))
TARGET: dict[str, Any] = {
    **NOTHING,
    "validate_certs": True,
    "client_cert": None,
    "client_key": None,
    "proxy": "http://proxy.example.com:3128",
    "no_proxy": None,
    "impersonate_user": "production-deployer",
    "impersonate_groups": None,
}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of whom clients are made for."""
    found: list[Any] = []
    monkeypatch.setattr(arguments, "ClusterClient", found.append)
    return found


def ask(target: dict[str, Any], source: dict[str, Any]) -> ClusterClient:
    params = {**TARGET, **target, "source": {**NOTHING, **source}}
    return arguments._source_client(params, "the target's")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target", [{"host": "https://production", "api_key": "PRODUCTION"}, {"context": "production"}]
)
def test_a_kubeconfig_of_the_source_says_all_of_it(
    made: list[Any], tmp_path: Path, target: dict[str, Any]
) -> None:
    ask(target, {"kubeconfig": str(tmp_path / "staging.kubeconfig")})
    (given,) = made
    assert given.kubeconfig == str(tmp_path / "staging.kubeconfig")
    assert (given.host, given.api_key, given.context, given.impersonate_user) == (None, None, None, None)
    assert given.proxy == TARGET["proxy"]


def test_a_host_of_the_source_has_a_token_of_its_own(made: list[Any]) -> None:
    ask({"host": "https://production", "api_key": "PRODUCTION"}, {"host": "https://s", "api_key": "STAGING"})
    (given,) = made
    assert (given.host, given.api_key, given.impersonate_user) == ("https://s", "STAGING", None)


def test_another_context_is_of_the_targets_kubeconfig(made: list[Any]) -> None:
    ask({"kubeconfig": "both.kubeconfig"}, {"context": "staging"})
    (given,) = made
    assert (given.kubeconfig, given.context) == ("both.kubeconfig", "staging")


def test_without_a_word_it_is_the_target(made: list[Any]) -> None:
    assert ask({}, {}) == "the target's"  # type: ignore[comparison-overlap]
    assert made == []


@pytest.mark.parametrize(
    ("target", "source"),
    [({}, {"api_key": "STAGING"}), ({"host": "https://production"}, {"context": "staging"})],
)
def test_what_belongs_to_no_cluster_is_refused(target: dict[str, Any], source: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match=r"source\.kubeconfig"):
        ask(target, source)

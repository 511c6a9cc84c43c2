# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In a job of AWX its credential says which cluster it is, not a file of somebody's laptop."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.plugin_utils._action import without_other_login

HOST = {"K8S_AUTH_HOST": "https://cluster.example.com"}
LAPTOP = {"kubeconfig": "/nowhere/llmops-staging.yaml", "context": "llm-staging"}


@pytest.mark.parametrize("environment", [HOST, {"K8S_AUTH_KUBECONFIG": "/tmp/credential"}])
def test_credential_counts(environment: dict[str, str]) -> None:
    assert without_other_login({**LAPTOP, "model": "m"}, environment) == {"model": "m"}
    assert without_other_login({"context": "llm-staging"}, environment) == {}


def test_without_a_credential_nothing_is_guessed() -> None:
    assert without_other_login(LAPTOP, {}) == LAPTOP
    assert without_other_login(LAPTOP, {"K8S_AUTH_HOST": "", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == LAPTOP


def test_what_is_there_is_used(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.touch()
    given = {"kubeconfig": str(file), "context": "llm-staging"}
    assert without_other_login(given, HOST) == given
    told = {**LAPTOP, "host": "https://other.example.com"}
    assert without_other_login(told, HOST) == told

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a kubeconfig impersonates: client and helm have to be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import (
    Authentication,
    ClusterClient,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.kubeconfig import impersonation
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)


def written(path: Path, **user: Any) -> str:
    """Write a kubeconfig with a user and return its path."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "there", "context": {"cluster": "c", "user": "plain"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [
            {"name": "u", "user": {"token": "t", **user}},
            {"name": "plain", "user": {"token": "t"}},
        ],
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def headers(authentication: Authentication) -> list[tuple[str, str]]:
    """Return what a client says of whom it acts as."""
    found = ClusterClient(authentication).credentials()
    return [(name, value) for name, value in found if name.startswith("Impersonate-")]


def test_a_client_acts_as_whom_the_kubeconfig_says(tmp_path: Path) -> None:
    path = written(tmp_path / "config", **{"as": "deployer", "as-groups": ["a,b", "c"]})
    assert headers(Authentication(kubeconfig=path)) == [
        ("Impersonate-User", "deployer"),
        ("Impersonate-Group", "a,b"),
        ("Impersonate-Group", "c"),
    ]
    assert headers(Authentication(kubeconfig=path, context="there")) == []
    assert headers(Authentication(kubeconfig=path, context="there", impersonate_user="me")) == [
        ("Impersonate-User", "me")
    ]


def test_option_and_kubeconfig_do_not_mix(tmp_path: Path) -> None:
    """Helm would keep the groups of the kubeconfig, which may be those of an administrator."""
    path = written(tmp_path / "config", **{"as": "other", "as-groups": ["system:masters"]})
    with pytest.raises(PlatformError, match="impersonate_user: 'me' meets a kubeconfig") as caught:
        ClusterClient(Authentication(kubeconfig=path, impersonate_user="me"))
    assert caught.value.error_class is ErrorClass.INVALID


@pytest.mark.parametrize(
    "user", [{"as": "x", "as-uid": "1"}, {"as-groups": ["g"]}, {"as": "x", "as-user-extra": {"a": ["b"]}}]
)
def test_what_cannot_be_followed_is_refused(tmp_path: Path, user: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="the user 'u' impersonates"):
        impersonation([written(tmp_path / "config", **user)], None)


@pytest.mark.parametrize("content", ["{as: x", "as: x\nusers: 5", "users: [{name: u, user: {as: x}}]", ""])
def test_what_is_no_kubeconfig_says_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content, encoding="utf-8")
    assert impersonation([str(path)], None) == ("", ())
    assert impersonation([str(tmp_path / "nowhere")], None) == ("", ())

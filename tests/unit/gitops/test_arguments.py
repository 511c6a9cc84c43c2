# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Application could not be made of is refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.gitops.arguments import (
    checked_application,
)
from ansible_collections.llmops.platform.plugins.modules.gitops_files import ARGUMENT_SPEC
from tests.support.module_arguments import with_defaults

CANARY = "c4n4ry"


def check(**given: Any) -> None:
    checked_application(with_defaults(ARGUMENT_SPEC, repository="/srv/models.git", **given))


@pytest.mark.parametrize(
    "given",
    [
        {"labels": {"team": "search", "example.com/cost_centre": "a.B-1", "empty": ""}},
        {"annotations": {"notifications.argoproj.io/subscribe.on-sync-failed.slack": "any text: #ops"}},
        {"annotations": {"UPPER.example.com/a": "x"}},
        {"project": "models.eu"},
        {"destination_server": "https://10.0.0.1:6443"},
        {"destination_server": "https://rancher.example.com/k8s/clusters/c-1"},
        {"destination_name": "eu 1"},
    ],
)
def test_what_kubernetes_takes_is_taken(given: dict[str, Any]) -> None:
    check(**given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"labels": {"team": "not a label!"}}, "labels.team"),
        ({"labels": {"team": "a" * 64}}, "labels.team"),
        ({"labels": {"a/b/c": "x"}}, "labels.a/b/c"),
        ({"labels": {"team": True}}, "labels.team"),
        ({"annotations": {"not a key !": "x"}}, "annotations.not a key !"),
        ({"labels": {"UPPER.example.com/a": "x"}}, "labels.UPPER.example.com/a"),
        ({"annotations": {"a": "b\udcff"}}, "annotations.a"),
        ({"annotations": {"llmops.platform/writer": "x"}}, "annotations.llmops.platform/writer"),
        ({"project": "No Such!"}, "project"),
        ({"application_namespace": "UPPER/.."}, "application_namespace"),
        ({"destination_server": "nonsense"}, "destination_server"),
        ({"destination_server": "https://"}, "destination_server"),
        ({"destination_server": "https://h:port"}, "destination_server"),
        ({"destination_server": "https://h/\n"}, "destination_server"),
        ({"destination_server": f"https://user:{CANARY}@h"}, "destination_server"),
        ({"destination_server": f"https://{CANARY}@h"}, "destination_server"),
        (
            {"annotations": {"notifications.argoproj.io/webhook-token": CANARY}},
            "annotations.notifications.argoproj.io/webhook-token",
        ),
        ({"annotations": {"a": f"https://u:{CANARY}@h/"}}, "annotations.a"),
        ({"labels": {"password": CANARY}}, "labels.password"),
        ({"destination_name": "a\nb"}, "destination_name"),
        ({"branch": "refs/heads/x"}, "source_revision"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_by_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(PlatformError) as caught:
        check(**given)
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.details["field"] == field
    assert CANARY not in str(caught.value)

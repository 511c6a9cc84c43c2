# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which entries get a route of the Gateway API, and where it leads."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.exports.http_routes import (
    backend,
    left_out,
    routes,
)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://llama.models.svc.cluster.local:8000", ("llama", 8000)),
        ("http://llama.models.svc:8000/", ("llama", 8000)),
        ("http://llama.models.svc.cluster.local", ("llama", 80)),
        # A Gateway does not speak TLS to a plain backend.
        ("https://llama.models.svc.cluster.local", None),
        ("http://llama.other.svc.cluster.local:8000", None),
        ("http://pod.llama.models.svc.cluster.local:8000", None),
        ("http://models.svc.example.com:8000", None),
        ("http://10.0.0.7:8000", None),
        ("http://llama.models.svc:8000/prefix", None),
        ("http://llama.models.svc:port", None),
        ("", None),
        (None, None),
    ],
)
def test_backend(endpoint: str | None, expected: tuple[str, int] | None) -> None:
    assert backend(endpoint, "models") == expected


def entry(model: str, status: str = "ready", service: str = "llama") -> dict[str, Any]:
    """Return an entry as ``registry_info`` does."""
    endpoint = f"http://{service}.models.svc.cluster.local:8000"
    return {"model": model, "environment": "staging", "status": status, "endpoint": endpoint}


def test_only_what_is_ready_has_a_route() -> None:
    statuses = ["pending", "deploying", "ready", "degraded", "draining", "disabled", "failed"]
    found = routes([entry(status, status) for status in statuses], "models", [{"name": "gateway"}])
    assert [item["metadata"]["annotations"]["llmops.platform/model"] for item in found] == ["ready"]


def test_no_two_models_share_a_route() -> None:
    found = routes([entry("a/model"), entry("b/model"), entry("model")], "models", [{"name": "gateway"}])
    assert len({item["metadata"]["name"] for item in found}) == 3


def test_what_cannot_have_a_route_is_named() -> None:
    elsewhere = {**entry("far/away"), "endpoint": "https://models.example.com"}
    entries = [entry("near"), elsewhere, {**elsewhere, "model": "not/ready", "status": "failed"}]
    assert left_out(entries, "models") == ["far/away"]
    assert len(routes(entries, "models", [{"name": "gateway"}])) == 1


def test_host_names_and_header_are_as_wanted() -> None:
    (route,) = routes(
        [entry("model")], "models", [{"name": "gateway"}], header="x-model", hostnames=["llm.example.com"]
    )
    assert route["spec"]["hostnames"] == ["llm.example.com"]
    headers = [match["headers"] for match in route["spec"]["rules"][0]["matches"]]
    assert headers == [[{"type": "Exact", "name": "x-model", "value": "model"}]] * 3

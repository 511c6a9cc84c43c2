# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is asked for metrics, by what is given."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._arguments import GATES_SPEC
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.from_prometheus import (
    PrometheusSource,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.window import (
    MetricsSource,
    Subject,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion import metrics_source
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import metrics
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.limits import (
    MetricLimits,
)
from tests.support.told_prometheus import ToldPrometheus

#: Every option, as Ansible fills it in.
OPTIONS = {name: spec.get("default") for name, spec in GATES_SPEC["prometheus"]["options"].items()}


def source(total: Deadline, **given: Any) -> tuple[MetricsSource[Any] | None, list[str]]:
    """Return who is asked, and the warnings."""
    warned = list[str]()
    client: Any = None
    return metrics_source.metrics_source(
        "prometheus", {**OPTIONS, **given}, client, total, warned.append
    ), warned


def test_labels_that_are_given_are_in_each_question() -> None:
    with ToldPrometheus() as server:
        found, _warned = source(Deadline(20), url=server.url, labels={"cluster": "eu-1"})
        assert isinstance(found, PrometheusSource)
        metrics.metric_gates(found, Subject("m", "staging", "llm", "r", "routers"), MetricLimits())
        asked = [form["query"] for form in server.asked if "time()" not in form["query"]]
    assert len(asked) == 7
    assert all('cluster="eu-1"' in question for question in asked)


def test_a_label_that_is_none_is_refused() -> None:
    with pytest.raises(PlatformError, match=r"prometheus\.labels"):
        source(Deadline(20), url="http://host", labels={"a-b": "c"})


def test_a_secret_over_plain_http_is_warned_of_and_not_shown() -> None:
    found, (line,) = source(Deadline(20), url="http://prometheus.monitoring:9090", token="s3cret")
    assert found is not None
    assert "http://prometheus.monitoring:9090" in line
    assert "s3cret" not in line
    assert source(Deadline(20), url="https://prometheus.monitoring:9090", token="s3cret")[1] == []


def test_questions_end_with_the_whole() -> None:
    with ToldPrometheus() as server:
        found, _warned = source(Deadline(0.0), url=server.url)
        assert found is not None
        gates = metrics.metric_gates(found, Subject("m", "staging", "llm", "r", "routers"), MetricLimits())
        assert server.asked == []
    assert "did not finish within 0 s" in gates[0].reason

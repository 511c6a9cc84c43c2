# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who asks for metrics says an error of what nobody foresaw, and looks no further back than the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.answers import Answers
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.histogram import Histogram
from ansible_collections.llmops.platform.plugins.module_utils._core.metrics.window import (
    Seen,
    Subject,
    Waiting,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.clients import (
    Clients,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gate_set import (
    GateSet,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates import gate
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    GateVerdict,
    unforeseen,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.limits import (
    MetricLimits,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.questions import (
    Questions,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from tests.unit.operations.promotion.cases import MANIFEST, SOURCE, NoRegistry, make_run

SUBJECT = Subject("m", "staging", "llm", "m-staging", "llm")
PASS, ERROR = GateVerdict.PASS, GateVerdict.ERROR
PARTS = ("begin", "end", "recent", "answers", "durations", "waiting")


class Source:
    """All is well, but where it breaks: there it raises what no reading should raise."""

    def __init__(self, breaks: str = "", name: str = "prometheus") -> None:
        self.breaks, self.name = breaks, name
        self.remembers = name == "prometheus"
        self.windows: list[float] = []
        self.since = self.until = datetime.now(UTC)

    def _part(self, name: str) -> None:
        if name == self.breaks:
            raise KeyError("s3cret")

    def begin(self, _subject: Subject) -> int:
        self._part("begin")
        return 1

    def end(self, _mark: int) -> Source:
        self._part("end")
        return self

    def recent(self, _subject: Subject, window_s: float) -> Source:
        self._part("recent")
        self.windows.append(window_s)
        self.since = self.until - timedelta(seconds=window_s)
        return self

    def answers(self) -> Seen[Answers]:
        self._part("answers")
        return Seen({"r": Answers({"200": 100})}, "q")

    def durations(self) -> Seen[Histogram]:
        self._part("durations")
        return Seen({"r": Histogram.of({1: 100, float("inf"): 100})}, "q")

    def waiting(self) -> Seen[Waiting]:
        self._part("waiting")
        return Seen({"s": Waiting(0, 20)}, "q")


def clients(source: Source, said: list[str] | None = None) -> Clients:
    """Return who asks this source."""
    return Clients(source, SUBJECT, MetricLimits(), (said if said is not None else []).append)


@pytest.fixture
def in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do with what nobody foresaw what is done outside of tests."""
    monkeypatch.setattr(gate, "unforeseen", unforeseen)


@pytest.mark.usefixtures("in_production")
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["prometheus", "router"])
def test_what_nobody_foresaw_is_an_error_that_is_named_and_ends_nothing(part: str, name: str) -> None:
    source, said = Source(part, name), list[str]()
    asking = clients(source, said)
    asking.look_before()
    asking.note_before()
    asking.begin()
    found = [*asking.ask(), *asking.so_far(lambda: 1000.0), *asking.before]
    wrong = [gate for gate in found if gate.verdict is not PASS]
    assert wrong
    for each in wrong:
        assert each.verdict is ERROR
        assert "(KeyError, test_clients.py:" in each.reason
        assert "s3cret" not in each.reason
    assert [line for line in said if "s3cret" in line] == []


@pytest.mark.parametrize("part", PARTS)
def test_a_mistake_of_ours_is_not_hidden_in_tests(part: str) -> None:
    asking = clients(Source(part))

    def ask_all() -> None:
        asking.begin()
        asking.ask()
        asking.so_far(lambda: 1000.0)

    with pytest.raises(KeyError):
        ask_all()


@pytest.mark.parametrize(
    ("age_s", "window_s", "told"),
    [
        (10_000.0, 300.0, ""),
        (300.0, 300.0, ""),
        (40.0, 40.0, "only the 40 s since the manifest was recorded are looked at, of 300 s"),
        # The database's clock was set back.
        (-5.0, 1.0, "only the 1 s since"),
    ],
)
def test_a_window_begins_no_earlier_than_the_manifest_was_recorded(
    age_s: float, window_s: float, told: str
) -> None:
    source = Source()
    gates = clients(source).so_far(lambda: age_s)
    assert source.windows == [window_s]
    assert {each.window_s for each in gates} == {window_s}
    assert all(told in each.reason if told else "recorded" not in each.reason for each in gates)


def test_who_remembers_nothing_looks_at_what_comes() -> None:
    source = Source(name="router")

    def never() -> float:
        raise AssertionError("its window begins now")

    age: Callable[[], Any] = never
    clients(source).so_far(age)
    assert source.windows == [300.0]


def test_the_age_is_that_of_the_source_by_the_clock_of_the_database() -> None:
    asked = []

    class OldSession:
        def row(self, _statement: str, values: Any) -> tuple[float]:
            asked.append(values)
            return (40.0,)

    class Database(NoRegistry):
        def read(self, work: Callable[[Any], Any]) -> Any:
            return work(OldSession())

    run, _permit, _said = make_run()
    run = replace(run, registry=Database(None, Holder("ann@desk")))  # type: ignore[arg-type]
    source = Source()
    access: Any = None
    gates = GateSet(completions=0)
    Questions(SOURCE, access, gates, (), run, clients(source), None).ask_more()
    assert (source.windows, asked) == ([40.0], [(MANIFEST.recorded_at,)])

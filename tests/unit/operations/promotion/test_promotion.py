# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gates are asked before anything is written, and again before the release: what is closed lets nothing pass.

The questions, the look at the cluster and the steps of a deployment are doubles here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.drift import Drift
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.storage import ReleaseRecord
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.next_step import Step
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import Run
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.steps import (
    announce,
    plan,
    register,
    release,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion import promotion
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.carry import Carried
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gate_set import (
    GateSet,
    Override,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.gates.gate import (
    Gate,
    GateVerdict,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.promotion import (
    Promotion,
    ask,
    consider,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.report import (
    gates_result,
    line,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.watch import Watch
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.entry_fields import Entry
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.lock import OperationRef
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.verifications import Newest
from ansible_collections.llmops.platform.plugins.module_utils._core.release.plan import Plan
from tests.unit.operations.promotion.cases import MODEL, SOURCE, NoRegistry, make_run, rendered
from tests.unit.operations.test_run import record

PASS, FAIL, INCONCLUSIVE, ERROR = (
    GateVerdict.PASS,
    GateVerdict.FAIL,
    GateVerdict.INCONCLUSIVE,
    GateVerdict.ERROR,
)


def gate(name: str, verdict: GateVerdict = PASS) -> Gate:
    return Gate(name, verdict, f"{name} is seen")


VERIFIED, SOAKED, IDLE, COMPLETIONS = (gate(name) for name in ("verified", "soak", "idle", "completions"))
UNAPPROVED = gate("approval", INCONCLUSIVE)
ALL = (VERIFIED, SOAKED, IDLE)


@dataclass
class Asked:
    """A promotion, what its questions answer, and what was done."""

    decides: list[Sequence[Gate]]
    more: Sequence[Gate] = ()
    overrides: Mapping[str, Override] = field(default_factory=dict)
    requests: int = 0
    released: int = 0
    announced: int = 0
    costly: int = 0

    def __post_init__(self) -> None:
        self.run, self.permit, self.said = make_run()
        carried = Carried(None, rendered(), ("environment: staging -> production",), ("values.x: 1 -> 2",))  # type: ignore[arg-type]
        self.going = Promotion(
            SOURCE,
            carried,
            GateSet(),
            self.run,
            self._decide,
            self._ask_more,
            Watch(),
            self.overrides,
            self._request,
        )

    def _decide(self, _session: object) -> Sequence[Gate]:
        return self.decides.pop(0) if len(self.decides) > 1 else self.decides[0]

    def _ask_more(self) -> Sequence[Gate]:
        self.costly += 1
        return self.more

    def _request(self) -> None:
        self.requests += 1

    def take(self, step: Step) -> None:
        """Take one of the promotion's own steps."""
        function, _phase = self.going.steps[step]
        function(self.run)


Ask = Callable[..., Asked]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return what makes a promotion whose target runs something else, ``there`` or not."""

    def make(
        *decides: Sequence[Gate],
        there: bool = False,
        row: str = "ready",
        noted: dict[str, Any] | None = None,
        verdict: Newest | None = None,
        **more: Any,
    ) -> Asked:
        made = Asked(list(decides), **more)
        if there and row:
            made.run.row = Entry(
                MODEL, "production", row, manifest_digest=made.run.compared().rendered.digest
            )
        monkeypatch.setattr(made.run, "verdict_on", lambda _digest: verdict)
        monkeypatch.setattr(promotion, "passed_gates", lambda _run: noted)

        def look(run: Run) -> None:
            found: ReleaseRecord | None = record(rendered().manifest) if there else None
            run.comparison = replace(run.compared(), record=found)

        def make_plan(run: Run) -> None:
            action = "none" if run.compared().in_sync else "install"
            run.plan = Plan(action, run.compared(), "surge")

        def do_release(_run: Run) -> None:
            made.released += 1

        def do_announce(_run: Run) -> None:
            made.announced += 1

        monkeypatch.setattr(promotion, "first_look", look)
        monkeypatch.setattr(plan, "take", make_plan)
        monkeypatch.setattr(release, "take", do_release)
        monkeypatch.setattr(announce, "take", do_announce)
        return made

    return make


def stopped(made: Asked) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        consider(made.going)
    return caught.value


def test_open_gates_let_pass_and_are_in_their_order(asked: Ask) -> None:
    made = asked((IDLE, VERIFIED, SOAKED), more=[gate("queue"), COMPLETIONS])
    consider(made.going)
    assert [each.name for each in made.going.asked] == ["verified", "soak", "idle", "completions", "queue"]
    assert "m-production: environment: staging -> production" in made.said
    assert "m-production: the inventory says otherwise: values.x: 1 -> 2" in made.said
    assert "m-production: gate verified: pass; verified is seen" in made.said
    assert made.requests == 0


@pytest.mark.parametrize("verdict", [FAIL, INCONCLUSIVE, ERROR])
@pytest.mark.parametrize("name", ["verified", "soak", "idle", "completions", "errors"])
def test_one_that_has_not_passed_stops_it(asked: Ask, name: str, verdict: GateVerdict) -> None:
    others = [each for each in (*ALL, COMPLETIONS) if each.name != name]
    made = asked([*others, gate(name, verdict)])
    error = stopped(made)
    assert error.details["closed"] == [name]
    assert [each["name"] for each in error.details["gates"]] == [each.name for each in made.going.asked]
    assert (
        f"1 of {len(others) + 1} gates are closed: {name} ({verdict.value}): {name} is seen" in error.message
    )
    assert error.resolution.startswith("Nothing was written.")
    assert (made.requests, made.released, made.permit.steps) == (0, 0, [])
    assert gates_result(made.going)["open"] is False


@pytest.mark.parametrize(
    ("verdicts", "error_class"),
    [
        ([ERROR], ErrorClass.INFRASTRUCTURE),
        ([ERROR, ERROR], ErrorClass.INFRASTRUCTURE),
        ([ERROR, FAIL], ErrorClass.VERIFICATION),
        ([ERROR, INCONCLUSIVE], ErrorClass.VERIFICATION),
        ([INCONCLUSIVE], ErrorClass.VERIFICATION),
        ([FAIL], ErrorClass.VERIFICATION),
    ],
)
def test_only_what_could_not_be_asked_is_worth_a_retry(
    asked: Ask, verdicts: list[GateVerdict], error_class: ErrorClass
) -> None:
    gates = [gate(name, each) for name, each in zip(("errors", "latency"), verdicts, strict=False)]
    assert stopped(asked(ALL, more=gates)).error_class is error_class


# One that fails may be for another manifest; whether somebody has answered is for the questions to know.
@pytest.mark.parametrize("approval", [UNAPPROVED, gate("approval", FAIL)])
def test_where_only_an_approval_is_missing_it_is_asked_for_once(asked: Ask, approval: Gate) -> None:
    made = asked((*ALL, approval))
    assert stopped(made).details["closed"] == ["approval"]
    assert made.requests == 1


@pytest.mark.parametrize("name", ["soak", "idle", "freeze", "capacity"])
def test_somebody_may_approve_while_others_open_by_themselves(asked: Ask, name: str) -> None:
    made = asked((VERIFIED, gate(name, FAIL), UNAPPROVED))
    stopped(made)
    assert made.requests == 1


@pytest.mark.parametrize(
    "gates",
    [
        (VERIFIED, gate("errors", INCONCLUSIVE), UNAPPROVED),
        (gate("verified", ERROR), SOAKED, UNAPPROVED),
        (*ALL, gate("approval", ERROR)),
    ],
)
def test_nobody_is_asked_to_approve_what_may_not_pass_or_was_answered(
    asked: Ask, gates: Sequence[Gate]
) -> None:
    made = asked(gates)
    stopped(made)
    assert made.requests == 0


def test_check_mode_asks_for_no_approval(asked: Ask) -> None:
    made = asked((*ALL, UNAPPROVED))
    made.run.check_mode = True
    stopped(made)
    assert made.requests == 0


def test_a_gate_that_somebody_takes_on_himself_lets_pass_and_is_on_record(asked: Ask) -> None:
    hotfix = {"soak": Override("soak", "hotfix"), "idle": Override("idle", "mine")}
    made = asked((VERIFIED, gate("soak", INCONCLUSIVE), IDLE), overrides=hotfix)
    consider(made.going)
    made.take(Step.RELEASE)
    ((name, outcome, detail),) = made.permit.steps
    assert (name, outcome, made.released) == ("pass the gates", "succeeded", 1)
    assert {each["name"]: each["overridden"] for each in detail["gates"]} == {
        "verified": None, "soak": "hotfix", "idle": None,
    }  # fmt: skip
    assert detail["source"] == {"environment": "staging", "manifest_digest": SOURCE.digest}
    assert audited(made) == 1


def test_an_override_opens_no_other_gate(asked: Ask) -> None:
    gates = (VERIFIED, gate("soak", FAIL), gate("idle", FAIL))
    made = asked(gates, overrides={"soak": Override("soak", "hotfix")})
    assert stopped(made).details["closed"] == ["idle"]


def test_what_is_there_already_passes_no_gates(asked: Ask) -> None:
    made = asked([gate("verified", FAIL)], there=True)
    consider(made.going)
    assert (made.going.asked, made.costly) == ([], 0)
    assert gates_result(made.going)["there"] is True


def test_what_came_there_otherwise_passes_them(asked: Ask) -> None:
    """Such as by hand, or what clients do not have, or not any more."""
    for row in ("", "degraded", "failed", "disabled"):
        made = asked([gate("verified", FAIL)], there=True, row=row)
        assert stopped(made).details["closed"] == ["verified"]


def test_what_passed_them_in_a_run_that_died_does_not_pass_them_again(asked: Ask) -> None:
    noted = {"gate_set_digest": GateSet().digest, "before": []}
    made = asked([gate("verified", FAIL)], there=True, row="deploying", noted=noted)
    consider(made.going)
    assert made.going.asked == []


def test_what_passed_other_gates_passes_these(asked: Ask) -> None:
    noted = {"gate_set_digest": "sha256:0"}
    made = asked([gate("verified", FAIL)], there=True, row="deploying", noted=noted)
    assert stopped(made).details["closed"] == ["verified"]


@pytest.mark.parametrize("there", [True, False])
def test_what_was_found_not_to_serve_is_not_promoted_though_it_is_there(asked: Ask, there: bool) -> None:
    found = Newest("failed", "the watch was breached", datetime(2026, 11, 30, tzinfo=UTC), "ann@desk")
    made = asked(ALL, there=there, verdict=found)
    made.run.refuses = ("failed", "revoked")
    error = stopped(made)
    assert (error.error_class, made.run.refused) == (ErrorClass.VERIFICATION, True)
    assert "promotion_retry_rejected" in error.resolution
    made.run.refuses = ()
    consider(made.going)


def test_what_is_there_and_passes_gates_is_given_to_clients_under_the_lock(
    asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asked(ALL, there=True, row="")
    consider(made.going)
    made.take(Step.REGISTER)
    assert made.run.needs_lock
    made.run.operation = OperationRef("0" * 8, 1)
    registered: list[Run] = []
    monkeypatch.setattr(register, "take", registered.append)
    made.take(Step.REGISTER)
    assert [name for name, *_ in made.permit.steps] == ["pass the gates"]
    assert registered == [made.run]


WRITING = [Step.ANNOUNCE, Step.RELEASE]


@pytest.mark.parametrize("step", WRITING)
def test_a_gate_that_closes_before_the_write_stops_it(asked: Ask, step: Step) -> None:
    made = asked(ALL, (VERIFIED, SOAKED, gate("idle", FAIL)), more=[COMPLETIONS])
    consider(made.going)
    with pytest.raises(PlatformError) as caught:
        made.take(step)
    assert caught.value.error_class is ErrorClass.VERIFICATION
    assert caught.value.details["closed"] == ["idle"]
    # What was asked at first stands beside it.
    assert [each["name"] for each in caught.value.details["gates"]] == [
        "verified", "soak", "idle", "completions",
    ]  # fmt: skip
    assert (made.released, made.announced, made.costly) == (0, 0, 1)
    assert caught.value.resolution.startswith("Nothing was written.")


def test_after_it_was_announced_it_is_not_said_that_nothing_was_written(asked: Ask) -> None:
    made = asked(ALL, (gate("verified", FAIL),))
    consider(made.going)
    made.run.touched = True
    with pytest.raises(PlatformError) as caught:
        made.take(Step.RELEASE)
    assert caught.value.resolution.startswith("The release was not changed.")


def test_the_journal_has_the_gates_as_they_were_at_the_write(asked: Ask) -> None:
    made = asked(ALL, (VERIFIED, gate("soak", FAIL), IDLE), overrides={"soak": Override("soak", "hotfix")})
    consider(made.going)
    made.take(Step.RELEASE)
    ((_name, _outcome, detail),) = made.permit.steps
    soaked = detail["gates"][1]
    assert (soaked["name"], soaked["verdict"], soaked["overridden"]) == ("soak", "fail", "hotfix")
    assert audited(made) == 1


def audited(made: Asked) -> int:
    """Return how often something was written to the registry: nothing but the audit is."""
    assert isinstance(made.run.registry, NoRegistry)
    return len(made.run.registry.wrote)


@pytest.mark.parametrize("step", WRITING)
def test_nothing_is_written_over_what_changed_since_no_gate_was_asked(asked: Ask, step: Step) -> None:
    made = asked(ALL, there=True)
    consider(made.going)
    # Somebody went back from it before the lock was taken.
    made.run.comparison = replace(made.run.compared(), record=None)
    with pytest.raises(PlatformError, match="was changed by somebody else") as caught:
        made.take(step)
    assert caught.value.error_class is ErrorClass.LOCKED
    assert (made.released, made.announced) == (0, 0)


def test_nor_over_what_somebody_changed_by_hand(asked: Ask) -> None:
    made = asked(ALL, there=True)
    consider(made.going)
    drift = [Drift("Deployment/m", "spec.replicas")]
    made.run.comparison = replace(made.run.compared(), drift=drift)
    with pytest.raises(PlatformError, match="was changed by somebody else"):
        made.take(Step.RELEASE)


def test_a_rollout_that_was_cut_off_is_announced_without_gates(asked: Ask) -> None:
    made = asked(ALL, there=True)
    consider(made.going)
    made.take(Step.ANNOUNCE)
    assert made.announced == 1


def test_other_steps_are_those_of_a_deployment(asked: Ask) -> None:
    made = asked(ALL)
    assert set(made.going.steps) >= {Step.LOCK, Step.CAPACITY, Step.ROLLOUT, Step.VERIFY, Step.FINISH}


WITHOUT_ROOM = PlatformError(ErrorClass.CAPACITY, "no node has 8 GPUs", "")


@pytest.mark.parametrize(
    ("error", "shown"),
    [(WITHOUT_ROOM, "capacity"), (PlatformError(ErrorClass.INVALID, "no namespace", ""), None)],
)
def test_where_there_can_be_no_room_that_is_a_gate(
    asked: Ask, monkeypatch: pytest.MonkeyPatch, error: PlatformError, shown: str | None
) -> None:
    made = asked(ALL)

    def make_plan(run: Run) -> None:
        run.plan = Plan("install", run.compared(), "surge")
        raise error

    monkeypatch.setattr(plan, "take", make_plan)
    found = stopped(made)
    assert found.details.get("closed") == ([shown] if shown else None)
    assert shown is not None or (found is error and found.details["failed_step"] == "plan")


LINES = [
    ({}, "is what staging proved (revision 3 (aaaaaaaaaaaa)), as revision 0, after 12.5 s (3 gates passed)"),
    (
        {"overridden": True},
        "after 12.5 s (2 gates passed, overridden: soak)",
    ),
    (
        {"watched": True},
        "after 12.5 s (3 gates passed, watched 300 s)",
    ),
    (
        {"check_mode": True},
        "would become what staging proved (revision 3 (aaaaaaaaaaaa)); 3 gates passed",
    ),
    (
        {"there": True},
        "is what staging proved (revision 3 (aaaaaaaaaaaa)) already, as revision 0",
    ),
    # A watch that was cut off was gone on with.
    (
        {"there": True, "watched": True},
        "is what staging proved (revision 3 (aaaaaaaaaaaa)), as revision 0, after 12.5 s (watched 300 s)",
    ),
    (
        {"verified": {"completion": {"latency_s": 0.2}}},
        "after 12.5 s (3 gates passed, completion 0.2 s)",
    ),
]


@pytest.mark.parametrize(("how", "said"), LINES)
def test_how_it_went_in_one_line(asked: Ask, how: dict[str, Any], said: str) -> None:
    soak = gate("soak", FAIL) if how.get("overridden") else SOAKED
    made = asked(
        (VERIFIED, soak, IDLE), there=how.get("there", False), overrides={"soak": Override("soak", "hotfix")}
    )
    ask(made.going)
    made.run.record = None
    made.run.check_mode = how.get("check_mode", False)
    made.run.verified = how.get("verified")
    made.run.phases = {"plan_s": 2.5, "helm_s": 10.0, "total_s": 99.0}
    made.going.watch = Watch(300.0)
    made.going.watched = [] if how.get("watched") else None
    told = line(made.going)
    assert told.startswith("http://m-production.llm.svc.cluster.local:8000 ")
    assert told.endswith(said)

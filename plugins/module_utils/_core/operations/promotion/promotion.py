# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring what was proven in one environment to another, by the steps of a deployment, through gates.

What differs from a deployment: what is deployed is carried from the source and not the inventory's to say,
gates are asked before anything is written and once more just before the release, and a watch follows. Running
it again is the resume: what is there already passes no gates, and a watch that was cut off begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ...common.errors import ErrorClass, PlatformError
from ...registry.audit_notes import note
from ...registry.connection import Session
from ..deploy import failure
from ..deploy.deploy import undone
from ..deploy.next_step import Step
from ..deploy.observe import first_look
from ..deploy.preview import preview
from ..deploy.run import Run
from ..deploy.steps import announce, finish, lock, plan, register, release, verify
from ..deploy.walk import STEPS, Steps, walk
from ..proven_image import require_image
from .carry import Carried, require_same_server
from .gate_set import GATES, NEVER_OVERRIDDEN, GateSet, Override
from .gates.gate import Gate, GateVerdict, closed, overruled
from .journal import GATES_STEP, is_watched, passed_gates
from .source import Source, read_source
from .watch import Watch, keep_watch

#: Asks the gates that cost something: they are not asked again before the release.
AskMore = Callable[[], Sequence[Gate]]
#: Asks those that are cheap and decide: by what the registry says at the moment.
Decide = Callable[[Session], Sequence[Gate]]


@dataclass
class Promotion:
    """One promotion: what is carried, which gates it has to pass, and the run that carries it out."""

    source: Source
    carried: Carried
    gates: GateSet
    run: Run
    decide: Decide
    ask_more: AskMore
    watch: Watch
    overrides: Mapping[str, Override] = field(default_factory=dict)
    #: Called where nothing but the approval is closed: it is asked for, unless somebody has refused it.
    request_approval: Callable[[], None] | None = None

    # ---
    asked: list[Gate] = field(default_factory=list)  #: none where what is promoted is there already
    passed: bool = False  #: that the gates let pass is in the journal
    watched: list[Gate] | None = None  #: what the watch saw last; None where nothing was watched

    @property
    def steps(self) -> Steps:
        """The steps of a deployment, some of them with what is a promotion's own."""
        return {
            **STEPS,
            Step.LOCK: (partial(_lock, self), "lock_s"),
            Step.PLAN: (partial(_plan, self), "plan_s"),
            Step.ANNOUNCE: (partial(_announce, self), "registry_s"),
            Step.RELEASE: (partial(_release, self), "helm_s"),
            Step.VERIFY: (partial(_verify, self), "verify_s"),
            Step.REGISTER: (partial(_register, self), "registry_s"),
            Step.FINISH: (partial(_finish, self), "watch_s"),
        }


def promote(going: Promotion) -> None:
    """Bring the target to what was proven; what was done stands in the run. Raises as a deployment does.

    Raises ``verification`` with the gates where one lets nothing pass, and ``infrastructure`` where all of
    those could not be asked. Nothing was written then.
    """
    run = going.run
    with run.stack:
        try:
            consider(going)
            walk(run, going.steps)
        except Exception as error:
            failure.name_step(run, error)
            if not (isinstance(error, PlatformError) and undone(run, error)):
                _settle(run, error)
            raise


def _settle(run: Run, error: Exception) -> None:
    """Leave the registry in the truth, but for what nobody was to touch: closed gates take no model away."""
    untouched = run.operation is None and not run.touched and run.step is Step.PLAN
    stopped = isinstance(error, PlatformError) and "closed" in error.details
    announced = run.row is not None and run.row.status == "deploying"
    if (untouched or stopped) and not announced:
        failure.give_back(run, error)
        return
    failure.settle(run, error)
    failure.say_what_serves(run, error)


def preview_promotion(going: Promotion) -> None:
    """Say what a promotion would do, and ask the gates. Nothing is written."""
    consider(going)
    preview(going.run)


def consider(going: Promotion) -> None:
    """Look at both sides and ask the gates, unless what is promoted is there already. Writes nothing."""
    stopped = closed(ask(going))
    if not stopped:
        return
    if _waits_for_approval(stopped) and going.request_approval is not None and not going.run.check_mode:
        going.request_approval()
    raise _stopped(going, stopped)


#: What may open by itself while somebody else looks at the request.
_OPENS_IN_TIME = {"soak", "idle", "freeze", "capacity"}


def _waits_for_approval(stopped: Sequence[Gate]) -> bool:
    """Tell whether an approval is missing, and nothing that has to be mended first."""
    by_name = {gate.name: gate.verdict for gate in stopped}
    approval = by_name.pop("approval", GateVerdict.ERROR)
    return approval is not GateVerdict.ERROR and by_name.keys() <= _OPENS_IN_TIME


def ask(going: Promotion) -> list[Gate]:
    """Return the gates as they are now; none where what is promoted is there already."""
    run = going.run
    first_look(run)
    run.step = Step.PLAN
    for line in (*going.carried.differences, *_contradicted(going)):
        run.say(line)
    capacity = _room(going)
    if run.plan is not None and not run.planned().changed and _was_let_pass(going):
        return []
    gates = [*_decide(going), *capacity, *going.ask_more()]
    going.asked = _in_order(_overruled(going, gates))
    for gate in going.asked:
        run.say(gate.line)
    return going.asked


def _was_let_pass(going: Promotion) -> bool:
    """Tell whether what is there needs no gates: clients have it, or it passed them in a run that died.

    What came there otherwise, such as by hand, or was taken from clients since, has to pass them.
    """
    run = going.run
    noted = passed_gates(run)
    if noted is not None and noted.get("gate_set_digest") == going.gates.digest:
        if going.watch.clients is not None:
            going.watch.clients.before = [Gate.from_json(one) for one in noted.get("before") or ()]
        return True
    row, digest = run.row, run.compared().rendered.digest
    return row is not None and row.status == "ready" and row.manifest_digest == digest


def _contradicted(going: Promotion) -> list[str]:
    """Say what the inventory says otherwise: who deploys by it would undo the promotion."""
    return [f"the inventory says otherwise: {line}" for line in going.carried.contradictions]


def _room(going: Promotion) -> list[Gate]:
    """Plan the change, and ask whether there is room for it with the strategy's surge."""
    run = going.run
    try:
        with run.timed("plan_s"):
            _plan(going, run)
    except PlatformError as error:
        if error.error_class is not ErrorClass.CAPACITY:
            failure.name_step(run, error)
            raise
        return [Gate("capacity", GateVerdict.FAIL, error.message, source="cluster")]
    verdict = run.planned().verdict
    if not going.gates.capacity or verdict is None:
        return []
    passes = GateVerdict.PASS if verdict.fits else GateVerdict.FAIL
    return [
        Gate(
            "capacity",
            passes,
            verdict.message,
            verdict.placeable,
            verdict.replicas,
            "pods",
            source="cluster",
        )
    ]


def _in_order(gates: list[Gate]) -> list[Gate]:
    return sorted(gates, key=lambda gate: GATES.index(gate.name))


def _overruled(going: Promotion, gates: Sequence[Gate]) -> list[Gate]:
    overrides = going.overrides
    return [
        overruled(gate, overrides[gate.name].reason) if gate.name in overrides else gate for gate in gates
    ]


def _decide(going: Promotion) -> Sequence[Gate]:
    return going.run.used_registry.read(going.decide)


def _stopped(going: Promotion, gates: Sequence[Gate]) -> PlatformError:
    """Return the error of gates that let nothing pass."""
    only_errors = all(gate.verdict is GateVerdict.ERROR for gate in gates)
    told = "; ".join(f"{gate.name} ({gate.verdict.value}): {gate.reason}" for gate in gates)
    written = "The release was not changed" if going.run.touched else "Nothing was written"
    return PlatformError(
        ErrorClass.INFRASTRUCTURE if only_errors else ErrorClass.VERIFICATION,
        f"{going.run.target.name} is not promoted, {len(gates)} of {len(going.asked)} gates are closed: "
        f"{told}",
        f"{written}. See to what the gates say, then run again{_or_override(gates)}.",
        {
            "gates": [gate.as_json() for gate in going.asked],
            "closed": [gate.name for gate in gates],
            "gate_set_digest": going.gates.digest,
        },
    )


def _or_override(gates: Sequence[Gate]) -> str:
    """Say how a gate is taken on oneself, where that would help."""
    if any(gate.name in NEVER_OVERRIDDEN for gate in gates):
        return ""
    return "; or take a gate on yourself with overrides (promotion_overrides), which names it and says why"


def _lock(going: Promotion, run: Run) -> None:
    """Take the lock. What is carried has to be what the source runs still."""
    lock.take(run)
    source = going.source
    again = run.used_registry.read(lambda session: read_source(session, source.model, source.environment))
    if (again.digest, again.manifest.id) != (source.digest, source.manifest.id):
        raise PlatformError(
            ErrorClass.LOCKED,
            f"{run.target.name}: {source.environment} runs {again.manifest} by now, not {source.manifest}",
            "Nothing was written. Look at what is there, then run again.",
        )


def _plan(going: Promotion, run: Run) -> None:
    wanted = run.compared().rendered
    require_same_server(going.carried.original, wanted)
    # Also where it is there already, or nothing is registered.
    plan.refuse_rejected(run, wanted.digest, _OTHER_VERSION)
    plan.take(run)


_OTHER_VERSION = (
    "Promote another version. Where the cause lay elsewhere and is gone, promote it with retry_rejected "
    "(promotion_retry_rejected)."
)


def _decide_again(going: Promotion, run: Run) -> None:
    """Ask the gates that may have closed meanwhile, before a step that writes. Raises where one has."""
    if going.asked:
        gates = _overruled(going, _decide(going))
        known = {gate.name: gate for gate in (*going.asked, *gates)}
        going.asked = _in_order(list(known.values()))
        if stopped := closed(gates):
            raise _stopped(going, stopped)
    elif not run.compared().in_sync:
        # It was there when the gates were to be asked, so that none of them was.
        raise PlatformError(
            ErrorClass.LOCKED,
            f"{run.target.name} was changed by somebody else since this run first looked",
            "Nothing was written. Look at what is there, then run again: the gates are asked then.",
        )


def _announce(going: Promotion, run: Run) -> None:
    _decide_again(going, run)
    announce.take(run)


def _release(going: Promotion, run: Run) -> None:
    _pass_gates(going, run)
    release.take(run)


def _pass_gates(going: Promotion, run: Run) -> None:
    """Note that the gates let pass, once more asked, before clients can get what they let pass."""
    clients = going.watch.clients
    if going.watch.wanted and clients is not None:
        clients.note_before()
    _decide_again(going, run)
    with run.tools.permit.step(GATES_STEP) as detail:
        detail["source"] = {"environment": going.source.environment, "manifest_digest": going.source.digest}
        detail["manifest_digest"] = run.compared().rendered.digest
        detail["gate_set_digest"] = going.gates.digest
        detail["gates"] = [gate.as_json() for gate in going.asked]
        detail["before"] = [gate.as_json() for gate in clients.before] if clients is not None else []
        _audit_overrides(going)
    going.passed = True


def _audit_overrides(going: Promotion) -> None:
    """Note each gate that somebody took on himself, where nobody can take it back."""
    run = going.run
    skipped = [gate for gate in going.asked if gate.overridden is not None]
    if not skipped:
        return

    def work(session: Session) -> None:
        for gate in skipped:
            note(
                session,
                "gate.overridden",
                (run.target.model, run.target.environment),
                {
                    "gate": gate.name,
                    "verdict": gate.verdict.value,
                    "why": gate.overridden,
                    "seen": gate.reason,
                },
                operation_id=run.operation.id if run.operation is not None else None,
                by=run.used_registry.holder.name,
            )

    run.used_registry.write(work)


def _verify(going: Promotion, run: Run) -> None:
    """See that the model answers, and that it is the image that was proven."""
    run.on_trial = _was_cut_off(going, run)
    verify.take(run)
    run.on_trial = False
    manifest = going.source.manifest
    require_image(run, manifest.image_digest, manifest.image)


def _was_cut_off(going: Promotion, run: Run) -> bool:
    """Tell whether a watch was killed before it found anything out: what fails is taken back as in it."""
    if run.released or not going.watch.wanted or is_watched(run):
        return False
    known = run.verdict_on(run.compared().rendered.digest)
    return known is None or not known.rejected


def _register(going: Promotion, run: Run) -> None:
    """Give the model to clients. What passes gates, or is watched once more, is for who holds the lock."""
    passes = bool(going.asked) and not going.passed
    if run.operation is None and (passes or (going.watch.wanted and not is_watched(run))):
        run.needs_lock = True
        return
    if passes:
        _pass_gates(going, run)
    register.take(run)


def _finish(going: Promotion, run: Run) -> None:
    if going.watch.wanted and not is_watched(run):
        going.watched = keep_watch(run, going.watch)
    finish.take(run)

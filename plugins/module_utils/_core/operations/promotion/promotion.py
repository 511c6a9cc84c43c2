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
from .gate_set import GATES, GateSet, Override
from .gates.gate import Gate, GateVerdict, closed, overruled
from .source import Source, read_source
from .watch import Watch, is_watched, keep_watch

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
    #: Called where nothing but an approval is missing: it is asked for.
    request_approval: Callable[[], None] | None = None

    # ---
    asked: list[Gate] = field(default_factory=list)  #: none where what is promoted is there already
    watched: list[Gate] | None = None  #: what the watch saw last; None where nothing was watched

    @property
    def steps(self) -> Steps:
        """The steps of a deployment, some of them with what is a promotion's own."""
        return {
            **STEPS,
            Step.LOCK: (partial(_lock, self), "lock_s"),
            Step.PLAN: (partial(_plan, self), "plan_s"),
            Step.ANNOUNCE: (partial(_decided, self, announce.take), "registry_s"),
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
                failure.settle(run, error)
            raise


def preview_promotion(going: Promotion) -> None:
    """Say what a promotion would do, and ask the gates. Nothing is written."""
    consider(going)
    preview(going.run)


def consider(going: Promotion) -> None:
    """Look at both sides and ask the gates, unless what is promoted is there already. Writes nothing."""
    stopped = closed(ask(going))
    if not stopped:
        return
    only_missing = [(gate.name, gate.verdict) for gate in stopped] == [("approval", GateVerdict.INCONCLUSIVE)]
    if only_missing and going.request_approval is not None and not going.run.check_mode:
        going.request_approval()
    raise _stopped(going, stopped)


def ask(going: Promotion) -> list[Gate]:
    """Return the gates as they are now; none where what is promoted is there already."""
    run = going.run
    first_look(run)
    run.step = Step.PLAN
    for line in (*going.carried.differences, *_contradicted(going)):
        run.say(line)
    capacity = _room(going)
    if run.plan is not None and not run.planned().changed:
        return []
    gates = [*_decide(going), *capacity, *going.ask_more()]
    going.asked = _in_order(_overruled(going, gates))
    for gate in going.asked:
        run.say(gate.line)
    return going.asked


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
    return PlatformError(
        ErrorClass.INFRASTRUCTURE if only_errors else ErrorClass.VERIFICATION,
        f"{going.run.target.name} is not promoted, {len(gates)} of {len(going.asked)} gates are closed: "
        f"{told}",
        "Nothing was written. See to what the gates say, then run again; or take a gate on yourself with "
        "overrides (promotion_overrides), which names it and says why.",
        {"gates": [gate.as_json() for gate in going.asked], "closed": [gate.name for gate in gates]},
    )


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
    require_same_server(going.carried.original, run.compared().rendered)
    plan.take(run)


def _decided(going: Promotion, take: Callable[[Run], None], run: Run) -> None:
    """Take a step that writes, after the gates that may have closed meanwhile were asked again."""
    if going.asked:
        gates = _overruled(going, _decide(going))
        if stopped := closed(gates):
            known = {gate.name: gate for gate in (*going.asked, *gates)}
            going.asked = _in_order(list(known.values()))
            raise _stopped(going, stopped)
    take(run)


def _release(going: Promotion, run: Run) -> None:
    _decided(going, lambda _run: None, run)
    if going.watch.wanted and going.watch.clients is not None:
        going.watch.clients.note_before()
    with run.tools.permit.step("pass the gates") as detail:
        detail["source"] = {"environment": going.source.environment, "manifest_digest": going.source.digest}
        detail["gates"] = [gate.as_json() for gate in going.asked]
        _audit_overrides(going)
    release.take(run)


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
    """Give the model to clients. A watch that was cut off is for who holds the lock."""
    if run.operation is None and going.watch.wanted and not is_watched(run):
        run.needs_lock = True
        return
    register.take(run)


def _finish(going: Promotion, run: Run) -> None:
    if going.watch.wanted and not is_watched(run):
        going.watched = keep_watch(run, going.watch)
    finish.take(run)

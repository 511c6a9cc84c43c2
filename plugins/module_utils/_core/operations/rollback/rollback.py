# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Go back to what was proven: Helm, registry and route together, by the steps of a deployment.

What differs from a deployment: a recorded manifest stands in the place of the chart, it is chosen, and the
plan is said before anything is changed. Running it again is the resume, and changes nothing once it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...common.errors import ErrorClass, PlatformError
from ...helm.storage import ReleaseRecord
from ...registry import verifications
from ...registry.connection import Session
from ...registry.manifests import Manifest
from ...registry.revisions import Origin
from ...release.recorded import request_of, write_chart
from ...release.references import missing, pull_secrets
from ...release.request import CHART, check_owner
from ..deploy import failure
from ..deploy.expected import expected
from ..deploy.next_step import Step
from ..deploy.preview import preview
from ..deploy.run import Run
from ..deploy.state import Wanted
from ..deploy.steps import lock, plan, release, uninstall, verify, withdraw
from ..deploy.walk import STEPS, Steps, walk
from ..proven_image import require_image
from . import look
from .choice import Choice, Wish, choose
from .plan import Observed, RollbackPlan, Side, lines, plan_rollback


@dataclass
class Rollback:
    """One rollback: what is asked for, what was chosen, and the run that carries it out."""

    wish: Wish
    choice: Choice
    run: Run
    before: Side
    reason: str = ""
    rejects: bool = True  #: what is left is marked, so that nobody goes there again
    plan: RollbackPlan | None = None
    rejected: bool = False  #: what is left is marked

    @property
    def steps(self) -> Steps:
        """The steps of a deployment, some of them with what is a rollback's own."""
        return {
            **STEPS,
            Step.LOCK: (partial(_lock, self), "lock_s"),
            Step.PLAN: (partial(_plan, self), "plan_s"),
            Step.RELEASE: (partial(_rejecting, self, release.take), "helm_s"),
            Step.WITHDRAW: (partial(_rejecting, self, withdraw.take), "registry_s"),
            Step.UNINSTALL: (partial(_rejecting, self, uninstall.take), "helm_s"),
            Step.VERIFY: (_verify, "verify_s"),
        }


@contextmanager
def prepared(
    run: Run, wish: Wish, *, strategy: str, force_conflicts: bool, **more: Any
) -> Iterator[Rollback]:
    """Choose where to go, and give the run what it needs for that. ``run`` has the target's names only.

    Raises ``invalid`` where there is nothing to go back to.
    """
    registry, target, client = run.used_registry, run.target, run.tools.client
    record = run.delivery.read(run.tools, target)
    # A chart of one's own has another name; whose model it is has to be right.
    chart_name = (record.chart_name if record is not None else "") or CHART
    check_owner(record, target.name, target.model, chart_name)
    choice = choose(look.standing(registry, target, record), wish)
    before = look.side_of_record(record)
    if choice.to is None:
        run.wanted = Wanted(False)
        yield Rollback(wish, choice, run, before, **more)
        return
    content = look.recorded(registry, target, choice.to, client, chart_name)
    with _folder(run) as folder:
        chart = write_chart(content, Path(folder))
        run.target = request_of(content, target, chart, strategy=strategy, force_conflicts=force_conflicts)
        run.recorded, run.removes_additions = content, force_conflicts
        run.origin = Origin.of(choice.to)
        _know_keys(run, record)
        run.left = _left_by(choice, record)
        yield Rollback(wish, choice, run, before, **more)


def _folder(run: Run) -> TemporaryDirectory[str]:
    """Make a folder in that of the run, which Ansible removes also after this process was killed."""
    try:
        return TemporaryDirectory(prefix="rollback-", dir=run.tools.run_folder)
    except OSError as error:
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"No folder can be made for the manifest: {error}.",
            "Make room on this machine, or set TMPDIR or ANSIBLE_LOCAL_TEMP to where there is some.",
        ) from error


def _know_keys(run: Run, record: ReleaseRecord | None) -> None:
    """Ask each server with its own API key: its manifest names the Secret, whatever is given by now."""
    given = run.verification
    if run.recorded is not None and (secret := look.api_key_secret(run.recorded.objects)):
        run.verification = {**given, "api_key_secret": secret}
    if record is not None:
        secret = look.api_key_secret(record.objects)
        run.earlier_verification = {**given, "api_key_secret": secret or given["api_key_secret"]}


def _left_by(choice: Choice, record: ReleaseRecord | None) -> str | None:
    """Return what the release goes back from; one that has gone back already keeps that."""
    return choice.leaves or (record.left if record is not None else None)


def roll_back(going: Rollback) -> None:
    """Bring the target back; what was done stands in the run. Raises as a deployment does."""
    run = going.run
    with run.stack:
        try:
            walk(run, going.steps)
        except Exception as error:
            failure.settle(run, error)
            failure.say_what_serves(run, error)
            raise
    if going.plan is None:
        describe(going)


def preview_rollback(going: Rollback) -> None:
    """Say what a rollback would do. Nothing is written, and nothing waited for."""
    run = going.run
    preview(run)
    if going.choice.to is not None:
        run.step = Step.PLAN
        try:
            _refuse_missing(run)
        except PlatformError as error:
            failure.name_step(run, error)
            raise
    describe(going)


def _lock(going: Rollback, run: Run) -> None:
    """Take the lock. What was chosen before it has to be what would be chosen now.

    That somebody else has gone there meanwhile is fine: then there is nothing left to give up.
    """
    lock.take(run)
    again = choose(look.standing(run.used_registry, run.target, run.record), going.wish)
    if _digest(again.to) != _digest(going.choice.to) or again.leaves not in (None, going.choice.leaves):
        raise PlatformError(
            ErrorClass.LOCKED,
            f"{run.target.name} was changed by somebody else meanwhile: revision "
            f"{run.record.revision if run.record else 0} is there now",
            "Look at what is there, then run again.",
        )
    # Somebody may have done the same meanwhile, or failed to do something else.
    going.choice, going.before = Choice(going.choice.to, again.leaves), look.side_of_record(run.record)
    run.left = _left_by(going.choice, run.record) if going.choice.to is not None else None


def _digest(manifest: Manifest | None) -> str | None:
    return manifest.digest if manifest is not None else None


def _plan(going: Rollback, run: Run) -> None:
    """Decide how it goes, see that the target can run, and say both before anything is changed."""
    plan.take(run)
    _refuse_missing(run)
    describe(going)


def _refuse_missing(run: Run) -> None:
    if not run.planned().changed:
        return
    client, objects, namespace = run.tools.client, run.planned().wanted.objects, run.target.namespace
    for line in missing(client, objects, namespace, pull_secrets):
        run.warn(f"{run.target.name}: {line}, so the image may not be had")
    lacks = missing(client, objects, namespace)
    if lacks:
        raise PlatformError(
            ErrorClass.WORKLOAD,
            f"{run.target.name}: its pods could not start: {'; '.join(lacks)}",
            "Bring back what is missing, or name another revision (rollback_to). Nothing was changed.",
            {"cause": "Missing", "events": [], "log_tail": ""},
        )


def describe(going: Rollback) -> None:
    """Make the plan and show it. What cannot be found out for it is no reason to stop."""
    run, manifest, content = going.run, going.choice.to, going.run.recorded
    if manifest is None or content is None:
        nothing = Observed(True, False, True)
        going.plan = plan_rollback(going.before, None, nothing, None)
    else:
        going.plan = plan_rollback(
            going.before,
            look.side_of_manifest(manifest, content),
            look.observed(run, content),
            expected(run, manifest.digest),
        )
    for line in lines(going.plan):
        run.say(line)


def _rejecting(going: Rollback, take: Any, run: Run) -> None:
    """Note that what is left is given up, then take the step."""
    _reject(going, run)
    take(run)


def _reject(going: Rollback, run: Run) -> None:
    left, target = going.choice.leaves, run.target
    if left is None or not going.rejects or going.rejected:
        return
    verdict = verifications.Verdict(left, "revoked", f"rolled back: {going.reason or 'no reason was given'}")

    def work(session: Session) -> None:
        known = verifications.newest(session, target.model, target.environment, left)
        if known is None or not known.rejected:
            verifications.record(
                session,
                target.model,
                target.environment,
                verdict,
                operation=run.operation,
                by=run.used_registry.holder.name,
            )

    with run.tools.permit.step("revoke what is given up"):
        run.used_registry.write(work)
    going.rejected = True


def _verify(run: Run) -> None:
    """See that the model answers, and that it is the image that was proven."""
    verify.take(run)
    if run.recorded is not None:
        require_image(run, run.recorded.image_digest, look.image_of(run.recorded.objects))

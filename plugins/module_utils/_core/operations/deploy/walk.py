# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take one step after another until nothing is left to do.

Each round maps what is there to the next step by its name (:mod:`next_step`) and takes it. A run that was
killed leaves nothing that the next one cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext

from .next_step import Step, next_step
from .observe import first_look
from .run import Run
from .steps import (
    announce,
    capacity,
    finish,
    lock,
    plan,
    recover,
    register,
    release,
    rollout,
    uninstall,
    verify,
    withdraw,
)

#: Steps that may take long, so that no connection to the database is kept for them but the lease's.
_LONG = (Step.CAPACITY, Step.ROLLOUT)

#: Steps after which nodes are not filled as they were.
_CHANGES_PODS = (Step.RECOVER, Step.RELEASE, Step.UNINSTALL)

#: Each step, and the phase that its time counts for.
Steps = Mapping[Step, tuple[Callable[[Run], None], str]]
STEPS: Steps = {
    Step.LOCK: (lock.take, "lock_s"),
    Step.RECOVER: (recover.take, "plan_s"),
    Step.PLAN: (plan.take, "plan_s"),
    Step.ANNOUNCE: (announce.take, "registry_s"),
    Step.CAPACITY: (capacity.take, "capacity_s"),
    Step.RELEASE: (release.take, "helm_s"),
    Step.ROLLOUT: (rollout.take, "rollout_s"),
    Step.VERIFY: (verify.take, "verify_s"),
    Step.REGISTER: (register.take, "registry_s"),
    Step.WITHDRAW: (withdraw.take, "registry_s"),
    Step.UNINSTALL: (uninstall.take, "helm_s"),
    Step.FINISH: (finish.take, "registry_s"),
}


def walk(run: Run, steps: Steps | None = None) -> None:
    """Bring the target to the wanted state; what was done stands in the run.

    Raises ``capacity`` when there is no room in time (or never will be), ``workload`` when the server cannot
    start, ``verification`` when it does not serve, ``locked`` when somebody else is at work, ``fenced`` when
    the lock is lost, ``timeout`` when a deadline passed, ``invalid``, ``auth`` and ``infrastructure`` as
    named.
    """
    first_look(run)
    while (step := next_step(run.state(), run.wanted)) is not Step.DONE:
        run.step = step
        run.tools.phase(step.value, run.expected_s)
        if run.waits.total.expired() and step is not Step.FINISH:
            raise run.waits.total.timeout_error(
                f"The {run.kind} of {run.target.name}",
                f"{step.value} is next",
                "Run again: it goes on from what is there. Or give a longer timeout (vllm_timeout).",
            )
        if run.registry is not None and step in _LONG:
            run.registry.database.close()
        take, phase = (steps or STEPS)[step]
        with run.timed(phase), run.tools.changing() if step in _CHANGES_PODS else nullcontext():
            take(run)

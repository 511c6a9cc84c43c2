# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of a deployment: what it works with, what it has seen, and what it has done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ...cluster.workload import Observed
from ...common.deadline import Deadline
from ...common.permit import Permit
from ...helm.storage import ReleaseRecord
from ...placement.model_memory import ModelMemory
from ...placement.verdict import Verdict
from ...registry.connection import Database, Session
from ...registry.entry_fields import Entry
from ...registry.holder import Holder
from ...registry.lock import Lock, OperationRef
from ...registry.publication import Published
from ...registry.revisions import Origin
from ...registry.verifications import Newest, newest
from ...release.capacity import assess_room
from ...release.comparison import Comparison
from ...release.delivery import Change, Delivery
from ...release.helm_delivery import HelmDelivery
from ...release.plan import Plan, Room
from ...release.recorded import Recorded, RecordedRenderer
from ...release.rendering import Renderer
from ...release.request import ReleaseRequest, ReleaseTarget
from ...release.tools import Tools, Waits
from .next_step import Step
from .state import NO_ROW, LockIs, ReleaseIs, State, Wanted

T = TypeVar("T")


@dataclass(frozen=True)
class Registry:
    """The registry that a run uses: who takes its lock, and for how long is waited. Times in seconds."""

    database: Database
    holder: Holder
    lock_timeout_s: float = 0.0
    lock_ttl_s: float = 60.0
    timeout_s: float = 30.0
    routers_timeout_s: float = 15.0
    drain_timeout_s: float = 30.0
    reason: str = ""  #: why it is changed, for the journal

    def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a transaction that only reads, with the time that each has."""
        self.database.begin_anew(Deadline(self.timeout_s))
        return self.database.transaction(work, read_only=True)

    def write(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a transaction, with the time that each has."""
        self.database.begin_anew(Deadline(self.timeout_s))
        return self.database.transaction(work)


@dataclass
class Run:
    """What a step is given. Steps read and change what is below the line."""

    target: ReleaseTarget
    wanted: Wanted
    tools: Tools
    waits: Waits = field(default_factory=Waits)
    registry: Registry | None = None
    delivery: Delivery = field(default_factory=HelmDelivery)
    check_capacity: bool = True
    #: The arguments of the verification, see ``endpoint.verification``.
    verification: Mapping[str, Any] = field(default_factory=dict)
    #: What is asked instead, after a failure, of a server that was there before, where that differs.
    earlier_verification: Mapping[str, Any] | None = None
    #: The model's config.json, where it is known.
    model_config: Mapping[str, Any] | None = None
    check_mode: bool = False
    rollback_on_failure: bool = False
    #: Whether what others have added to the pods is to go.
    removes_additions: bool = False
    #: Manifests whose newest verdict is one of these are not deployed.
    refuses: tuple[str, ...] = ()
    kind: str = "deploy"  #: of the operation, as the journal calls it
    #: What the release is brought back to, in the place of a chart.
    recorded: Recorded | None = None
    #: The digest of the manifest that it goes back from, or what a label holds of it.
    left: str | None = None
    #: Where it was proven, for a promotion.
    origin: Origin | None = None

    # ---
    step: Step = Step.OBSERVE
    expected_s: float | None = None  #: seconds that it may take, by this model's own operations
    lock: Lock | None = None
    operation: OperationRef | None = None
    row: Entry | None = None
    had_release: bool = False  #: as the first look found it
    row_before: Entry | None = None  #: as the first look found it
    record: ReleaseRecord | None = None
    comparison: Comparison | None = None
    plan: Plan | None = None
    observed: Observed | None = None
    rolled_out: bool = False
    announced: bool = False
    needs_lock: bool = False  #: a write was refused because somebody else is at work
    refused: bool = False  #: what is wanted was given up before, and is not to be deployed again
    released: bool = False  #: Helm has made the revision that is wanted
    on_trial: bool = False  #: what is there was made for a promotion, and is still watched
    room: bool = False
    rejected: bool = False  #: that the manifest does not serve is on record
    verified: dict[str, Any] | None = None
    published: Published | None = None
    changed: bool = False  #: anything that a user would call a change
    touched: bool = False  #: anything that clients depend on
    steps: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def request(self) -> ReleaseRequest:
        """What is wanted of the release; only where it is to be present."""
        return _there(self.target if isinstance(self.target, ReleaseRequest) else None, "a chart")

    @property
    def used_registry(self) -> Registry:
        """The registry; only for steps that are not taken without one."""
        return _there(self.registry, "a registry")

    @cached_property
    def renderer(self) -> Renderer:
        """Renders the request, each way once."""
        if self.recorded is not None:
            return RecordedRenderer(self.recorded, self.request, self.waits.helm)
        return Renderer(self.tools.helm.template, self.request, self.waits.helm)

    def assess(self, room: Room) -> Verdict:
        """Tell whether there is room now, on nodes whose GPUs the model fits into."""
        model = self.request.values.get("model") or {}
        memory = ModelMemory.of(model, self.model_config, room.shape)
        return assess_room(self.tools.client, memory, room, self.tools.lists)

    def verdict_on(self, digest: str) -> Newest | None:
        """Return the verdict on a manifest that counts; None where nobody gave one."""
        target = self.target
        return self.used_registry.read(
            lambda session: newest(session, target.model, target.environment, digest)
        )

    def compared(self) -> Comparison:
        """Return the comparison, after it was made."""
        return _there(self.comparison, "a look")

    def planned(self) -> Plan:
        """Return the plan; where none had to be made, there is nothing to do."""
        found = self.compared()
        return self.plan or Plan("none", found, found.rendered.strategy)

    def change(self) -> Change:
        """Return the planned change, as a delivery takes it."""
        return Change(self.request, self.planned(), self.left, self.recorded)

    def say(self, line: str) -> None:
        """Show a line to the person who waits."""
        self.tools.progress(f"{self.target.name}: {line}")

    def warn(self, line: str) -> None:
        """Tell a person at once what they should know, and once more with the result."""
        self.tools.progress(f"warning: {line}")
        self.warnings.append(line)

    def routers(self) -> Deadline:
        """Start the share of the whole that routers have to confirm a change."""
        return self.waits.total.share(self.used_registry.routers_timeout_s)

    def end_lease(self) -> None:
        """Stop renewing the lock; nothing is written any more that needs it."""
        self.stack.close()
        self.tools.obey(Permit())

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Measure the block, also where it raises."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.phases[phase] = round(self.phases.get(phase, 0.0) + time.monotonic() - start, 3)

    def state(self) -> State:
        """Return where the target stands, as the tables read it."""
        found = self.comparison
        return State(
            lock=self._lock_is(),
            release=self._release_is(),
            # What Helm has just made is what is wanted, whatever it is compared with: it is made once.
            on_record=self.released or (found is not None and found.on_record),
            drifted=found is not None and bool(found.drift or found.additions) and not self.released,
            serves=found is not None and found.serves,
            rolled_out=self.rolled_out,
            row=self.row.status if self.row is not None else NO_ROW,
            announced=self.announced,
            planned=self.plan is not None,
            room=self.room,
            interrupts=self.plan is not None and self.plan.interrupts,
            verified=self.verified is not None,
            registered=self.published is not None,
            needs_lock=self.needs_lock,
        )

    def _lock_is(self) -> LockIs:
        if self.registry is None:
            return LockIs.UNUSED
        if self.operation is not None:
            return LockIs.OURS
        return LockIs.THEIRS if self.lock is not None and self.lock.alive else LockIs.FREE

    def _release_is(self) -> ReleaseIs:
        if self.record is None:
            return ReleaseIs.ABSENT
        if self.record.pending:
            return ReleaseIs.PENDING
        if self.record.status == "uninstalling":
            return ReleaseIs.UNINSTALLING
        return ReleaseIs.DEPLOYED if self.record.status == "deployed" else ReleaseIs.FAILED


def _there(value: T | None, what: str) -> T:
    """Return what a step cannot be without; the tables see to it that it is there."""
    if value is None:
        raise RuntimeError(f"this step needs {what}")
    return value

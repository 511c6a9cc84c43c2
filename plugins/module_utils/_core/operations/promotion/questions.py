# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a promotion asks of the registry, of the source's server and of its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...endpoint.verification import verify_service
from ...registry import approvals, approving
from ...registry.connection import Session
from ..deploy.run import Run
from .clients import Clients
from .gate_set import GateSet
from .gates.approval import approval_gate
from .gates.completions import completions
from .gates.freeze import freeze_gate
from .gates.gate import Gate
from .gates.registry import idle, soak, verified
from .source import Source, read_standing, recorded_for_s
from .source_access import PATIENCE, SourceAccess
from .windows import FreezeWindow


@dataclass(frozen=True)
class Questions:
    """Asks the gates of one promotion. ``there`` are the source's metrics, ``here`` those of the target."""

    source: Source
    access: SourceAccess
    gates: GateSet
    freeze: Sequence[FreezeWindow]
    run: Run
    there: Clients | None
    here: Clients | None

    def decide(self, session: Session) -> list[Gate]:
        """Return the gates that the registry decides, all of them at one moment."""
        return list(self._decisive(session))

    def _decisive(self, session: Session) -> Iterator[Gate]:
        source, gates, target = self.source, self.gates, self.run.target.environment
        seen = read_standing(session, source, target)
        yield verified(source, seen)
        if gates.soak_s > 0:
            yield soak(source, seen, gates.soak_s)
        # After it was taken, the target's lock is the promotion's own.
        ours = self.run.operation is not None
        yield idle(source, seen, target, self.run.used_registry.lock_timeout_s, ours=ours)
        if self.freeze:
            yield freeze_gate(self.freeze, seen.now)
        if gates.approval:
            yield approval_gate(session, self._subject, other_login=gates.approval_by_other_login)

    def ask_more(self) -> list[Gate]:
        """Return the gates for which the source's server and its metrics are asked."""
        if self.here is not None:
            self.here.look_before()
        return [*self._completions(), *self._metrics()]

    def _completions(self) -> Iterator[Gate]:
        gates = self.gates
        if gates.completions > 0:
            ask = self.access.asker(gates.max_latency_s, self.run.waits.total)
            yield completions(ask, gates.completions, gates.max_latency_s)

    def _metrics(self) -> list[Gate]:
        if self.there is None:
            return []
        registry = self.run.used_registry
        return self.there.so_far(lambda: registry.read(lambda session: recorded_for_s(session, self.source)))

    def complete(self) -> None:
        """Ask what was promoted for one completion. Raises where it is not answered."""
        run = self.run
        patience = min(run.verification["timeout"], PATIENCE * run.verification["max_latency_s"])
        deadline = run.waits.total.share(patience)
        verify_service(run.tools.client, run.verification, deadline, lambda _line: None)

    def request_approval(self) -> None:
        """Ask for an approval, on behalf of who runs this."""
        registry, subject = self.run.used_registry, self._subject

        def work(session: Session) -> bool:
            known = approvals.newest(session, subject)
            # Whoever refused it is not asked again by the next run.
            if known is not None and known.kind == approvals.WITHDRAWN:
                return False
            return approving.request(session, subject, by=registry.holder.name).changed

        if registry.write(work):
            self.run.say(f"an approval was asked for by {registry.holder.name}; somebody else gives it")

    @property
    def _subject(self) -> approvals.Subject:
        target, source = self.run.target, self.source
        return approvals.subject_of(
            target.model, target.environment, source.environment, source.digest, self.gates.digest
        )

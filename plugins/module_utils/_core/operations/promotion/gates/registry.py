# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates that the registry answers: verified, soak, idle. Pure functions of what it says."""

from __future__ import annotations

from ....registry.lock import Lock
from ..source import Source, Standing
from .gate import Gate, GateVerdict

_SOURCE = "registry"


def verified(source: Source, seen: Standing) -> Gate:
    """Tell whether the manifest still runs there, served well, and nothing was said against it since."""

    def gate(verdict: GateVerdict, reason: str) -> Gate:
        value = seen.verdict.verdict if seen.verdict is not None else None
        since = seen.verdict.at if seen.verdict is not None else None
        return Gate("verified", verdict, reason, value, "passed", source=_SOURCE, since=since)

    entry, place = seen.entry, source.environment
    if entry is None:
        return gate(GateVerdict.FAIL, f"{place} has the model no more")
    if (entry.manifest_digest, entry.release_revision) != (source.digest, source.manifest.revision):
        other = f"revision {entry.release_revision} ({(entry.manifest_digest or '')[:19]})"
        return gate(GateVerdict.FAIL, f"{place} runs something else by now, {other}")
    if entry.status != "ready":
        return gate(GateVerdict.FAIL, f"the model is {entry.status} in {place}")
    if seen.verdict is None:
        return gate(GateVerdict.INCONCLUSIVE, f"nobody has verified {source.manifest} in {place}")
    if seen.verdict.verdict != "passed":
        return gate(GateVerdict.FAIL, f"{source.manifest} {seen.verdict}")
    return gate(GateVerdict.PASS, f"{source.manifest} serves in {place}, {seen.verdict}")


def soak(source: Source, seen: Standing, limit_s: float) -> Gate:
    """Tell whether the manifest was ready for long enough, as the health checker saw it."""
    value, place = seen.soaked_s, source.environment

    def gate(verdict: GateVerdict, reason: str) -> Gate:
        shown = round(value, 1) if value is not None else None
        return Gate("soak", verdict, reason, shown, limit_s, "s", window_s=limit_s, source=_SOURCE)

    if value is None:
        return gate(GateVerdict.INCONCLUSIVE, f"no health checker has looked at it in {place}")
    told = f"{value:.0f} s without a fall in {place}"
    if not value >= limit_s:  # also what is no number
        return gate(GateVerdict.INCONCLUSIVE, f"{told}, {limit_s - value:.0f} s are still to come")
    return gate(GateVerdict.PASS, told)


def idle(source: Source, seen: Standing, target: str, patience_s: float, *, ours: bool = False) -> Gate:
    """Tell whether nobody else is at work on either side.

    Who waits for the target's lock does not mind it. ``ours`` says that this run has it.
    """

    def gate(verdict: GateVerdict, reason: str, running: int) -> Gate:
        return Gate("idle", verdict, reason, running, 0, "operations", source=_SOURCE)

    if (lock := _alive(seen.source_lock)) is not None:
        return gate(GateVerdict.FAIL, f"somebody is at work in {source.environment}: {lock}", 1)
    if not ours and (lock := _alive(seen.target_lock)) is not None:
        told = f"somebody is at work in {target}: {lock}"
        if patience_s > 0:
            return gate(GateVerdict.PASS, f"{told}, who is waited for, at most {patience_s:g} s", 1)
        return gate(GateVerdict.FAIL, told, 1)
    return gate(GateVerdict.PASS, f"nobody is at work in {source.environment} or {target}", 0)


def _alive(lock: Lock | None) -> Lock | None:
    return lock if lock is not None and lock.alive else None

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for routers: until each of them knows of a change, and until none holds a request of a model.

Every router reports with its heartbeat the epoch of the registry that it routes by and how many requests of
each model are in flight (``router_instances``). All ages are taken by the database's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..common.deadline import Backoff, Deadline
from .connection import Database, Session

Seen = TypeVar("Seen")

#: A router that was not heard of for so long is taken for lost.
LIVE_S = 15.0
# One that vanished without a word is remembered for a day: cut off from the database, it may still serve.
_REMEMBERED_S = 86_400.0

_ROUTERS = """
    SELECT r.instance, r.seen_at >= now() - make_interval(secs => %(live)s),
           CASE WHEN r.registry_id = e.registry_id THEN coalesce(r.epoch, 0) ELSE 0 END,
           coalesce(r.in_flight, '{}'::jsonb)
      FROM router_instances r CROSS JOIN registry_epoch e
     WHERE r.environment = %(environment)s AND r.seen_at >= now() - make_interval(secs => %(remembered)s)
     ORDER BY r.instance
"""
# The target's last change that took an endpoint away from routers.
_WITHDRAWAL = """
    SELECT epoch FROM model_registry_history
     WHERE model_name = %(model)s AND deployment_environment = %(environment)s
       AND before ->> 'deployment_status' = 'ready'
       AND (after ->> 'deployment_status' IS DISTINCT FROM 'ready'
            OR after ->> 'deployment_endpoint' IS DISTINCT FROM before ->> 'deployment_endpoint')
     ORDER BY seq DESC LIMIT 1
"""


@dataclass(frozen=True)
class Router:
    """What one router last said. ``epoch`` is 0 if it has loaded nothing of this registry."""

    instance: str
    live: bool
    epoch: int
    in_flight: Mapping[str, int]


def read_routers(session: Session, environment: str) -> list[Router]:
    """Return the routers of an environment that were heard of within a day."""
    values = {"environment": environment, "live": LIVE_S, "remembered": _REMEMBERED_S}
    return [Router(*row) for row in session.rows(_ROUTERS, values)]


def withdrawal_epoch(session: Session, model: str, environment: str) -> int | None:
    """Return the epoch that a router needs to have reached to no longer use an endpoint that was withdrawn.

    None if the target never lost a route. In the transaction that withdraws it, this is its own epoch.
    """
    row = session.row(_WITHDRAWAL, {"model": model, "environment": environment})
    return int(row[0]) if row else None


def wait_for_routers(
    database: Database,
    environment: str,
    epoch: int,
    deadline: Deadline,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Wait until every live router of the environment reports ``epoch`` or a later one, or the deadline.

    Returns ``{epoch, confirmed, unconfirmed, lost, waited_s}``; the lists hold names of instances. Lost are
    those that were not heard of for 15 s and had not confirmed before.
    """

    def look() -> dict[str, Any]:
        routers = database.transaction(lambda session: read_routers(session, environment), read_only=True)
        behind = [router for router in routers if router.epoch < epoch]
        return {
            "epoch": epoch,
            "confirmed": [router.instance for router in routers if router.epoch >= epoch],
            "unconfirmed": [router.instance for router in behind if router.live],
            "lost": [router.instance for router in behind if not router.live],
        }

    def waiting_for(seen: dict[str, Any]) -> str:
        return f"Waiting for {names(seen['unconfirmed'])} to take over epoch {epoch} of the registry."

    seen = _poll(look, lambda seen: not seen["unconfirmed"], waiting_for, deadline, progress)
    return {**seen, "waited_s": round(deadline.elapsed(), 3)}


def wait_until_drained(
    database: Database,
    model: str,
    environment: str,
    deadline: Deadline,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Wait until no live router has a request of the model in flight, or the deadline.

    Routers have to have confirmed before that they send no new ones. Returns ``{in_flight, waited_s}``.
    """

    def look() -> int:
        routers = database.transaction(lambda session: read_routers(session, environment), read_only=True)
        return sum(int(router.in_flight.get(model, 0)) for router in routers if router.live)

    def waiting_for(count: int) -> str:
        return f"Waiting for {count} requests of {model} that are in flight."

    count = _poll(look, lambda count: count == 0, waiting_for, deadline, progress)
    return {"in_flight": count, "waited_s": round(deadline.elapsed(), 3)}


def names(instances: Sequence[str], most: int = 5) -> str:
    """Return names for a message, shortened where a fleet would make it unreadable."""
    shown = ", ".join(instances[:most])
    return shown if len(instances) <= most else f"{shown} and {len(instances) - most} more"


def _poll(
    look: Callable[[], Seen],
    done: Callable[[Seen], bool],
    describe: Callable[[Seen], str],
    deadline: Deadline,
    progress: Callable[[str], None],
) -> Seen:
    """Look until it is done or the deadline, say now and then what for, and return what was seen last."""
    backoff = Backoff(0.02, 0.25)
    next_word = 1.0
    while True:
        seen = look()
        if done(seen) or deadline.expired():
            return seen
        if deadline.elapsed() >= next_word:
            progress(describe(seen))
            next_word += 5.0
        deadline.pause(backoff.next())

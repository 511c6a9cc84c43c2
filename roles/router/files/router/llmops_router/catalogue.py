# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the router believes: the newest snapshot, what may be sent where, and which names are unknown."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .endpoints import AllowedEndpoints, Target
from .snapshot import Entry, Snapshot, Version

#: How long a name that the registry does not route is answered from memory, and how many are remembered.
NEGATIVE_TTL_S = 2.0
NEGATIVE_LIMIT = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One model: where it is if requests may go there, else ``None`` and why not."""

    entry: Entry
    target: Target | None
    refusal: str = ""


class Catalogue:
    """The current routes. Everything happens on the event loop, so nothing is locked."""

    def __init__(self, allowed: AllowedEndpoints, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._routes: dict[str, Route] = {}
        self._entries: Mapping[str, Entry] = {}
        self._absent: dict[str, float] = {}
        self.version: Version | None = None
        self.snapshot: Snapshot | None = None
        self.applied_at = 0.0

    @property
    def is_loaded(self) -> bool:
        """Say whether there ever was a snapshot."""
        return self.version is not None

    @property
    def routes(self) -> Mapping[str, Route]:
        """Return all models by name."""
        return self._routes

    def find(self, model: str) -> Route | None:
        """Return a model's route; ``None`` means that the registry has no such model."""
        return self._routes.get(model)

    def is_newer(self, version: Version) -> bool:
        """Say whether a version of the registry is ahead of this picture, or of another registry."""
        current = self.version
        return current is None or version.registry_id != current.registry_id or version.epoch > current.epoch

    def advance(self, snapshot: Snapshot, *, by_registry: bool = True) -> bool:
        """Take a snapshot; return whether it was taken. An older one of the same registry never is.

        One of the same version is taken from the registry itself where it differs: a failover lost changes,
        and others took their place.
        """
        differs = snapshot.version == self.version and snapshot.entries != self._entries
        if not self.is_newer(snapshot.version) and not (by_registry and differs):
            return False
        old = self._routes
        routes = {}
        for name, entry in snapshot.entries.items():
            known = old.get(name)
            # Unchanged rows keep their route: with thousands of models, a change touches one.
            routes[name] = known if known is not None and known.entry == entry else self._route(entry)
        self._routes = routes
        self._absent.clear()
        self._entries = snapshot.entries
        self.snapshot = snapshot
        self.version = snapshot.version
        self.applied_at = self._clock()
        return True

    def is_current(self, route: Route) -> bool:
        """Say whether a route that was found a moment ago still holds."""
        now = self._routes.get(route.entry.model)
        return now is route or (now is not None and now.target is not None and now.target == route.target)

    def is_known_absent(self, model: str) -> bool:
        """Say whether the registry was asked a moment ago and routes no such model."""
        until = self._absent.get(model)
        return until is not None and until > self._clock()

    def remember_absent(self, model: str) -> None:
        """Answer for this name from memory for a moment; the oldest name makes room."""
        self._absent.pop(model, None)
        while len(self._absent) >= NEGATIVE_LIMIT:
            del self._absent[next(iter(self._absent))]
        self._absent[model] = self._clock() + NEGATIVE_TTL_S

    def _route(self, entry: Entry) -> Route:
        if not entry.is_routable or entry.endpoint is None:
            return Route(entry, None)
        try:
            return Route(entry, self._allowed.target(entry.endpoint))
        except ValueError as error:
            return Route(entry, None, str(error))

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The router's own pages: models that a client may use, health, metrics, the API's description."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from .access import Access, ApiKey
from .catalogue import Catalogue, Route
from .errors import ApiError, quoted, retry_after
from .exchange import Headers
from .listener import Listener
from .metrics import Metrics
from .synchroniser import Synchroniser

_JSON = (b"content-type", b"application/json")
_METRICS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


@dataclass(frozen=True)
class Page:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


def _json(status: int, content: Any, *headers: tuple[bytes, bytes]) -> Page:
    return Page(status, [_JSON, *headers], orjson.dumps(content))


class Pages:
    """Makes the pages from what the other parts know."""

    def __init__(
        self,
        catalogue: Catalogue,
        synchroniser: Synchroniser,
        listener: Listener,
        access: Access,
        metrics: Metrics,
        cache_state: Callable[[], str],
        retry_after_s: int,
    ) -> None:
        self._catalogue = catalogue
        self._synchroniser = synchroniser
        self._listener = listener
        self._access = access
        self._metrics = metrics
        self._cache_state = cache_state
        self._retry_after_s = retry_after_s
        self._openapi = (Path(__file__).parent / "openapi.json").read_bytes()
        self.is_draining = False
        self._pages: dict[str, Callable[[], Page]] = {
            "/healthz": lambda: _json(200, {"status": "ok"}),
            "/readyz": self.ready,
            "/metrics": lambda: Page(200, [_METRICS], self._metrics.render()),
            "/openapi.json": lambda: Page(200, [_JSON], self._openapi),
        }

    def find(self, path: str) -> Callable[[], Page] | None:
        """Return the page at a path."""
        return self._pages.get(path)

    def ready(self) -> Page:
        """Say whether requests should come here. A registry that is down does not change that."""
        version = self._catalogue.version
        state = self._synchroniser.state
        if self.is_draining:
            status = "draining"
        elif version is None:
            status = "loading"
        else:
            status = "degraded" if self._synchroniser.is_away else "ready"
        content = {
            "status": status,
            "epoch": version.epoch if version else None,
            "registry_id": version.registry_id if version else None,
            "snapshot_age_s": self._age(),
            # Whoever may send requests may read this: why it is so is in the log.
            "registry": {"state": state.value},
            "listening": {"ok": self._listener.is_listening, "problem": self._listener.problem},
            "cache": self._cache_state(),
        }
        return _json(200 if status in ("ready", "degraded") else 503, content)

    def _age(self) -> float | None:
        """Return the time since the registry last confirmed the picture."""
        confirmed = self._synchroniser.last_ok_at
        return round(time.monotonic() - confirmed, 3) if confirmed else None

    def models(self, authorization: bytes | None) -> Page:
        """List the models that requests may go to now and that the key opens."""
        key = self._identified(authorization)
        routes = sorted(self._catalogue.routes.items())
        data = [_model(route) for name, route in routes if route.target is not None and key.may_use(name)]
        return _json(200, {"object": "list", "data": data})

    def model(self, authorization: bytes | None, name: str) -> Page:
        """Return one of them."""
        key = self._identified(authorization)
        route = self._catalogue.find(name)
        if route is None or route.target is None or not key.may_use(name):
            raise ApiError(
                404,
                "model_not_found",
                f"The model {quoted(name)} does not exist or takes no requests now. GET /v1/models lists "
                "those that do.",
                param="model",
            )
        return _json(200, _model(route))

    def _identified(self, authorization: bytes | None) -> ApiKey:
        key = self._access.identify(authorization)
        if not self._catalogue.is_loaded:
            raise not_loaded(self._retry_after_s)
        return key


def _model(route: Route) -> dict[str, Any]:
    # OpenAI's clients want a time; the registry's views have none.
    return {"id": route.entry.model, "object": "model", "created": 0, "owned_by": "llmops"}


def not_loaded(retry_after_s: int) -> ApiError:
    """Return the error while nothing is known yet."""
    return ApiError(
        503,
        "registry_unavailable",
        f"The router has not read the registry yet. Try again in {retry_after_s} s.",
        headers=retry_after(retry_after_s),
    )

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process's own HTTP endpoint: /healthz, /readyz, /metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from .metrics import Metrics
from .registry import Registry

#: A main loop that stands still for so long does not come back by itself.
_STUCK_S = 60.0


def application(metrics: Metrics, registry: Registry) -> web.Application:
    """Return the three pages."""

    async def healthz(_request: web.Request) -> web.Response:
        if metrics.loop_age_s > _STUCK_S:
            return web.Response(
                status=503, text=f"the main loop stands still since {metrics.loop_age_s:.0f} s\n"
            )
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        # Once is enough: a restart would not bring a registry back.
        if not registry.was_reached:
            return web.Response(status=503, text="the registry has not answered yet\n")
        return web.Response(text="ok\n")

    async def exposition(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", exposition)]
    )
    return app

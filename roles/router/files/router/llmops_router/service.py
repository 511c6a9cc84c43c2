# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the parts together, runs them, and ends them so that no request is lost."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import cast

import uvicorn

from . import __version__, log
from .access import Access, UpstreamKeys
from .app import App
from .catalogue import Catalogue
from .certificate import Certificate
from .forward import Forwarder
from .incoming import ClientConnection
from .listener import Listener
from .metrics import Metrics, in_flight, observe_catalogue
from .pages import Pages
from .registry import Registry, RegistryError, parameters
from .settings import PREFIX, Settings, SettingsError, public
from .shared_cache import SharedCache
from .snapshot import Version
from .synchroniser import Sync, Synchroniser
from .upstream import Upstream
from .wire import notice_vanished_peers

# Mounted Secrets change about once a minute at most.
_RELOAD_S = 2.0
# A change that the poll found and that was not announced by then was lost on the way.
_ANNOUNCEMENT_S = 1.0
_RESTART_PAUSE_S = 1.0
_HANDSHAKE_S = 10.0
# For the rest of an answer and the client's word that it is the end; many never give it.
_FAREWELL_S = 10.0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the end begins with a delay that only we know of.

    ``patience_s`` is how long a client may take nothing of what it is sent. With a certificate there is a
    second port, ``tls_port``: probes, Prometheus and the platform's own programs stay at the first.
    """

    def __init__(
        self, config: uvicorn.Config, patience_s: float, certificate: Certificate | None, tls_port: int
    ) -> None:
        super().__init__(config)
        self._patience_s = patience_s
        self._certificate = certificate
        self._tls_port = tls_port

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._certificate:
            self.servers.append(await self._listen_by_tls(self._certificate))
        for server in self.servers:
            for listener in server.sockets:
                # Accepted connections inherit it.
                notice_vanished_peers(listener, self._patience_s)
                log.info("serving", address=str(listener.getsockname()[0]), port=listener.getsockname()[1])

    async def _listen_by_tls(self, certificate: Certificate) -> asyncio.base_events.Server:
        config = self.config

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = cast("Callable[..., asyncio.Protocol]", config.http_protocol_class)(
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        try:
            return await asyncio.get_running_loop().create_server(
                protocol,
                host=config.host,
                port=self._tls_port,
                ssl=certificate.context,
                ssl_handshake_timeout=_HANDSHAKE_S,
                ssl_shutdown_timeout=_FAREWELL_S,
                backlog=config.backlog,
            )
        except OSError as error:
            raise SettingsError(
                f"{PREFIX}TLS_PORT: nothing can listen on port {self._tls_port}: {error.strerror}."
            ) from None


class Service:
    """One router process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        try:
            access = Access(settings.api_keys_file)
            upstream_keys = UpstreamKeys(settings.upstream_keys_file)
            self._certificate = Certificate(*settings.tls_files) if settings.tls_files else None
            conninfo = parameters(settings.dsn, "llmops-router")
            listen_conninfo = parameters(settings.listen_dsn, "llmops-router-listen")
            self.metrics = Metrics()
            self.catalogue = Catalogue(settings.allowed_endpoints)
            self.cache = SharedCache(settings, self.catalogue, self.metrics)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        # What is read again, and what the log says of it.
        self._reloaded: list[tuple[Access | UpstreamKeys | Certificate, str, str]] = [
            (keys, "keys were read again", "the old keys stay") for keys in (access, upstream_keys)
        ]
        if self._certificate:
            self._reloaded.append(
                (self._certificate, "the certificate was read again", "the old certificate stays")
            )
        self.registry = Registry(
            conninfo, settings.environment, settings.instance, settings.registry_timeout_s
        )
        self.synchroniser = Synchroniser(
            self.registry,
            self.catalogue,
            lambda: in_flight(self.metrics),
            self.cache.recall,
            settings.poll_interval_s,
        )
        self.listener = Listener(listen_conninfo, self.registry.notify, self.synchroniser.wake)
        self.upstream = Upstream(settings.connect_timeout_s, settings.upstream_keepalive_s)
        forwarder = Forwarder(
            settings, self.catalogue, self.synchroniser, self.upstream, access, upstream_keys, self.metrics
        )
        self.pages = Pages(
            self.catalogue,
            self.synchroniser,
            self.listener,
            access,
            self.metrics,
            lambda: self.cache.state,
            settings.retry_after_s,
        )
        self.app = App(forwarder, self.pages, self.metrics, access_log=settings.access_log)
        self.synchroniser.on_applied.append(lambda _snapshot: self.cache.keep())
        self.synchroniser.on_change_of_state = self.cache.keep
        self.synchroniser.on_unannounced = self._expect_announcement
        self.cache.on_announcement = self.synchroniser.wake
        self.cache.registry_is_down = lambda: self.synchroniser.is_away
        self._observe()

    def _observe(self) -> None:
        observe_catalogue(self.metrics, self.catalogue)
        self.metrics.gauge(
            "snapshot_age_seconds", "Time since the registry confirmed the picture"
        ).set_function(
            lambda: time.monotonic() - self.synchroniser.last_ok_at if self.synchroniser.last_ok_at else -1.0
        )
        self.metrics.gauge("registry_up", "1 while the registry answers").set_function(
            lambda: float(self.synchroniser.state is Sync.OK)
        )
        self.metrics.gauge("listening", "1 while changes of the registry are announced").set_function(
            lambda: float(self.listener.is_listening)
        )
        self.metrics.gauge("cache_up", "1 while the shared cache answers").set_function(
            lambda: float(self.cache.state == "ok")
        )
        if certificate := self._certificate:
            self.metrics.gauge(
                "certificate_end_timestamp_seconds", "When the router's own certificate ends"
            ).set_function(lambda: certificate.ends_at)

    def _expect_announcement(self, version: Version) -> None:
        def look() -> None:
            if self.listener.heard_epoch < version.epoch:
                self.listener.suspect()

        asyncio.get_running_loop().call_later(_ANNOUNCEMENT_S, look)

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit status."""
        settings = self.settings
        server = _Server(
            uvicorn.Config(
                self.app,
                host=settings.host,
                port=settings.port,
                loop="none",
                http=cast(
                    "type[asyncio.Protocol]",
                    partial(ClientConnection, head_timeout_s=settings.body_timeout_s),
                ),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=4096,
                timeout_keep_alive=int(settings.client_keepalive_s),
                timeout_graceful_shutdown=int(settings.drain_timeout_s),
            ),
            settings.idle_timeout_s,
            self._certificate,
            settings.tls_port,
        )
        tasks = [
            asyncio.create_task(_supervise(name, part))
            for name, part in (
                ("registry", self.synchroniser.run),
                ("listener", self.listener.run),
                ("cache", self.cache.run),
                ("files", self._reload_files),
            )
        ]
        drain = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, drain.set)
        draining = asyncio.create_task(self._drain(drain, server))
        log.info("starting", version=__version__, port=settings.port, **public(settings))
        try:
            await server.serve()
        finally:
            for task in (*tasks, draining):
                task.cancel()
            await asyncio.gather(*tasks, draining, return_exceptions=True)
            await self._goodbye()
        return 0

    async def _drain(self, drain: asyncio.Event, server: uvicorn.Server) -> None:
        """Say that we leave, serve on until everybody knows it, then close the port."""
        await drain.wait()
        self.pages.is_draining = True
        self.app.is_draining = True
        log.info("draining", delay_s=self.settings.drain_delay_s, in_flight=in_flight(self.metrics))
        await asyncio.sleep(self.settings.drain_delay_s)
        server.should_exit = True

    async def _goodbye(self) -> None:
        with suppress(RegistryError):
            await self.registry.goodbye()
        await self.registry.close()
        await self.upstream.close()
        await self.cache.close()
        log.info("ended")

    async def _reload_files(self) -> None:
        while True:
            await asyncio.sleep(_RELOAD_S)
            for content, read, kept in self._reloaded:
                try:
                    if content.reload():
                        log.info(read)
                except ValueError as error:
                    log.failure(kept, reason=str(error))


async def _supervise(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run a part for ever: a mistake in it must not end what still serves requests."""
    while True:
        try:
            await part()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the part starts again
            log.write(logging.ERROR, "a part failed and starts again", part=name, error=repr(error))
        await asyncio.sleep(_RESTART_PAUSE_S)


async def serve(settings: Settings) -> int:
    """Run a router with these settings."""
    return await Service(settings).run()

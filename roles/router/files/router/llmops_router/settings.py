# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings come from environment variables; every mistake is told with the variable's name and what to do."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .endpoints import AllowedEndpoints

PREFIX = "LLMOPS_ROUTER_"
T = TypeVar("T")

# Kubernetes sets such variables where there is a Service called llmops-router, unless a pod has
# enableServiceLinks: false.
_ENVIRONMENT = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")
_OF_A_SERVICE = re.compile(r"SERVICE_(HOST|PORT(_.*)?)$|PORT_\d+_(TCP|UDP)(_.*)?$")


class SettingsError(ValueError):
    """A setting is missing or wrong. The text never holds a secret's value."""


@dataclass(frozen=True)
class Option:
    """How one environment variable is read, for the reader and for ``--help``."""

    name: str
    meaning: str
    default: str = ""


OPTIONS = {
    option.name: option
    for option in (
        Option("ENVIRONMENT", "name of the environment whose models are routed"),
        Option("DSN", "registry's database, as libpq takes it; instead of the file below"),
        Option("DSN_FILE", "file that holds the DSN, such as a mounted Secret"),
        Option(
            "LISTEN_DSN",
            "database without a pooler between, for LISTEN; the same as the DSN where not given",
        ),
        Option("LISTEN_DSN_FILE", "file that holds it"),
        Option("REDIS_URL", "shared cache, such as redis://:password@redis:6379/0; without it there is none"),
        Option("REDIS_URL_FILE", "file that holds it"),
        Option("REDIS_CA_FILE", "authorities of its certificate, for rediss://; without it the system's"),
        Option("REDIS_PREFIX", "how the cache's keys and channels begin", "llmops"),
        Option("CACHE_TTL_S", "how long a cached picture lives", "120"),
        Option("HOST", "address to listen on", "0.0.0.0"),  # noqa: S104 - a service of a pod
        Option("PORT", "port to listen on; 0 takes a free one, which the log names", "8080"),
        Option(
            "TLS_CERTIFICATE_FILE",
            "PEM file with the router's certificate chain: clients are served by TLS, too",
        ),
        Option("TLS_KEY_FILE", "PEM file with its key"),
        Option("TLS_PORT", "port to listen on by TLS; 0 takes a free one, which the log names", "8443"),
        Option("INSTANCE", "name of this process in the registry", "<host name>-<random>"),
        Option(
            "ALLOWED_ENDPOINTS",
            "where requests may be sent, separated by commas: .suffix, host name, address or network",
            ".svc.cluster.local",
        ),
        Option("API_KEYS_FILE", "JSON list of {name, sha256, models}; without it no key is asked for"),
        Option("UPSTREAM_KEYS_FILE", 'JSON object of model name or "*" to the key that its server wants'),
        Option(
            "FORWARD_AUTHORIZATION", "send the client's Authorization header to the model server", "false"
        ),
        Option("FORWARD_HEADERS", "more request headers to send on, separated by commas"),
        Option("MAX_BODY_BYTES", "longest request body", "33554432"),
        Option("MAX_BODIES_BYTES", "most bytes of request bodies held at once, all together", "134217728"),
        Option("BODY_TIMEOUT_S", "longest time to receive a request's headers, and then its body", "60"),
        Option("CONNECT_TIMEOUT_S", "longest time to connect to a model server", "5"),
        Option("FIRST_BYTE_TIMEOUT_S", "longest time until an answer begins", "600"),
        Option("IDLE_TIMEOUT_S", "longest silence within an answer", "120"),
        Option(
            "UPSTREAM_KEEPALIVE_S",
            "how long an idle connection to a model server is kept; keep it below the server's own (vLLM: 5)",
            "4",
        ),
        Option("CLIENT_KEEPALIVE_S", "how long an idle connection of a client is kept", "120"),
        Option("POLL_INTERVAL_S", "time between two questions whether the registry changed", "1"),
        Option("REGISTRY_TIMEOUT_S", "longest time for one question to the registry", "2"),
        Option("RETRY_AFTER_S", "what Retry-After says where a model is not ready", "5"),
        Option("DRAIN_DELAY_S", "time between SIGTERM and the closing of the port", "5"),
        Option("DRAIN_TIMEOUT_S", "longest time for requests in flight after that", "120"),
        Option("ACCESS_LOG", "log a line for each request", "false"),
        Option("LOG_LEVEL", "debug, info, warning or error", "info"),
    )
}


@dataclass(frozen=True)
class Settings:
    """What the router was told. Times are seconds, sizes bytes."""

    environment: str
    instance: str
    dsn: str = field(repr=False)
    listen_dsn: str = field(repr=False)
    redis_url: str | None = field(repr=False)
    redis_ca_file: Path | None
    redis_prefix: str
    cache_ttl_s: float
    host: str
    port: int
    tls_files: tuple[Path, Path] | None
    tls_port: int
    allowed_endpoints: AllowedEndpoints
    api_keys_file: Path | None
    upstream_keys_file: Path | None
    forward_authorization: bool
    forward_headers: frozenset[bytes]
    max_body_bytes: int
    max_bodies_bytes: int
    body_timeout_s: float
    connect_timeout_s: float
    first_byte_timeout_s: float
    idle_timeout_s: float
    upstream_keepalive_s: float
    client_keepalive_s: float
    poll_interval_s: float
    registry_timeout_s: float
    retry_after_s: int
    drain_delay_s: float
    drain_timeout_s: float
    access_log: bool
    log_level: str


class _Reader:
    """Reads variables one by one and names the one that is wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str:
        return self._environ.get(PREFIX + name, "").strip() or OPTIONS[name].default

    def convert(self, name: str, wanted: str, convert: Callable[[str], T]) -> T:
        value = self.text(name)
        try:
            return convert(value)
        except ValueError as error:
            detail = f" ({error})" if str(error) else ""
            raise SettingsError(f"{PREFIX}{name} is {value!r}, but must be {wanted}{detail}.") from None

    def number(self, name: str, low: float, high: float) -> float:
        def convert(value: str) -> float:
            number = float(value)
            if not low <= number <= high:
                raise ValueError
            return number

        return self.convert(name, f"a number from {low:g} to {high:g}", convert)

    def whole(self, name: str, low: int, high: int) -> int:
        def convert(value: str) -> int:
            number = int(value)
            if not low <= number <= high:
                raise ValueError
            return number

        return self.convert(name, f"a whole number from {low} to {high}", convert)

    def flag(self, name: str) -> bool:
        def convert(value: str) -> bool:
            if value.lower() not in ("true", "false"):
                raise ValueError
            return value.lower() == "true"

        return self.convert(name, "true or false", convert)

    def secret(self, name: str) -> str | None:
        """Return a variable or the content of the file that its companion names."""
        file = self.text(f"{name}_FILE")
        value = self.text(name)
        if file and value:
            raise SettingsError(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set; set one of them.")
        if not file:
            return value or None
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise SettingsError(f"{PREFIX}{name}_FILE: {file} cannot be read: {reason}.") from None
        if not value:
            raise SettingsError(f"{PREFIX}{name}_FILE: {file} is empty.")
        return value

    def file(self, name: str) -> Path | None:
        value = self.text(name)
        return Path(value) if value else None


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment.

    :raises SettingsError: where a variable is unknown, missing or wrong.
    """
    names = sorted(name.removeprefix(PREFIX) for name in environ if name.startswith(PREFIX))
    unknown = [PREFIX + name for name in names if name not in OPTIONS and not _OF_A_SERVICE.match(name)]
    if unknown:
        raise SettingsError(f"{', '.join(unknown)}: there is no such setting; see --help.")
    reader = _Reader(environ)
    if reader.text("PORT").startswith("tcp://"):
        raise SettingsError(
            f"{PREFIX}PORT is {reader.text('PORT')!r}, which Kubernetes sets for a Service of this name: "
            "set the port, or enableServiceLinks: false in the pod."
        )
    environment = reader.text("ENVIRONMENT")
    if not _ENVIRONMENT.fullmatch(environment):
        raise SettingsError(
            f"{PREFIX}ENVIRONMENT is {environment!r}, but must be the name of an environment: "
            "at most 30 lower-case letters, digits and hyphens."
        )
    dsn = reader.secret("DSN")
    if dsn is None:
        raise SettingsError(f"No registry is given: set {PREFIX}DSN_FILE or {PREFIX}DSN.")
    max_body_bytes = reader.whole("MAX_BODY_BYTES", 1024, 1 << 30)
    return Settings(
        environment=environment,
        instance=_instance(environ.get(f"{PREFIX}INSTANCE", "").strip()),
        dsn=dsn,
        listen_dsn=reader.secret("LISTEN_DSN") or dsn,
        redis_url=reader.secret("REDIS_URL"),
        redis_ca_file=reader.file("REDIS_CA_FILE"),
        redis_prefix=reader.text("REDIS_PREFIX"),
        cache_ttl_s=reader.number("CACHE_TTL_S", 1, 86400),
        host=reader.text("HOST"),
        port=reader.whole("PORT", 0, 65535),
        tls_files=_tls_files(reader),
        tls_port=reader.whole("TLS_PORT", 0, 65535),
        allowed_endpoints=reader.convert("ALLOWED_ENDPOINTS", "a list of places", AllowedEndpoints.parse),
        api_keys_file=reader.file("API_KEYS_FILE"),
        upstream_keys_file=reader.file("UPSTREAM_KEYS_FILE"),
        forward_authorization=reader.flag("FORWARD_AUTHORIZATION"),
        forward_headers=reader.convert("FORWARD_HEADERS", "a list of header names", _header_names),
        max_body_bytes=max_body_bytes,
        # Less would refuse a body that is allowed, however often it is sent again.
        max_bodies_bytes=reader.whole("MAX_BODIES_BYTES", max_body_bytes, 1 << 40),
        body_timeout_s=reader.number("BODY_TIMEOUT_S", 0.1, 3600),
        connect_timeout_s=reader.number("CONNECT_TIMEOUT_S", 0.05, 60),
        first_byte_timeout_s=reader.number("FIRST_BYTE_TIMEOUT_S", 0.1, 86400),
        idle_timeout_s=reader.number("IDLE_TIMEOUT_S", 0.1, 86400),
        upstream_keepalive_s=reader.number("UPSTREAM_KEEPALIVE_S", 0, 3600),
        client_keepalive_s=reader.number("CLIENT_KEEPALIVE_S", 1, 3600),
        poll_interval_s=reader.number("POLL_INTERVAL_S", 0.1, 60),
        registry_timeout_s=reader.number("REGISTRY_TIMEOUT_S", 0.1, 60),
        retry_after_s=reader.whole("RETRY_AFTER_S", 1, 3600),
        drain_delay_s=reader.number("DRAIN_DELAY_S", 0, 600),
        drain_timeout_s=reader.number("DRAIN_TIMEOUT_S", 0, 86400),
        access_log=reader.flag("ACCESS_LOG"),
        log_level=reader.convert("LOG_LEVEL", "debug, info, warning or error", _log_level),
    )


def usage() -> str:
    """Return what ``--help`` prints."""
    lines = [
        "usage: python -m llmops_router [--help | --version]",
        "",
        "Routes OpenAI-style requests to the model servers that the registry calls ready.",
        "All settings are environment variables:",
        "",
    ]
    for option in OPTIONS.values():
        default = f" [{option.default}]" if option.default else ""
        lines += [f"  {PREFIX}{option.name}{default}", f"      {option.meaning}"]
    return "\n".join(lines)


def _instance(given: str) -> str:
    """Return a name that no other process has: a restarted container keeps its host name."""
    return given or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


def _tls_files(reader: _Reader) -> tuple[Path, Path] | None:
    certificate, key = reader.file("TLS_CERTIFICATE_FILE"), reader.file("TLS_KEY_FILE")
    if certificate and key:
        return certificate, key
    if certificate or key:
        given, missing = ("CERTIFICATE", "KEY") if certificate else ("KEY", "CERTIFICATE")
        raise SettingsError(f"{PREFIX}TLS_{given}_FILE is set: set {PREFIX}TLS_{missing}_FILE as well.")
    return None


def _header_names(value: str) -> frozenset[bytes]:
    names = [name.strip().lower() for name in value.split(",") if name.strip()]
    for name in names:
        if not re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError(f"{name!r} is no header name")
    return frozenset(name.encode() for name in names)


def _log_level(value: str) -> str:
    if value.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError
    return value.lower()


def public(settings: Settings) -> dict[str, Any]:
    """Return what the log may say about the settings at start."""
    return {
        "environment": settings.environment,
        "instance": settings.instance,
        "redis": settings.redis_url is not None,
        "tls": settings.tls_files is not None,
        "api_keys": settings.api_keys_file is not None,
        "allowed_endpoints": str(settings.allowed_endpoints),
    }

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the process: environment variables LLMOPS_HEALTH_*, all checked before anything starts."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import psycopg
from psycopg.conninfo import conninfo_to_dict

from .endpoints import AllowedEndpoints, host_of

PREFIX = "LLMOPS_HEALTH_"
_ENVIRONMENT = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")
# Kubernetes adds variables for each Service of the namespace, whatever it is called.
_SERVICE_LINK = re.compile(r"_(SERVICE_(HOST|PORT)(_.+)?|PORT(_\d+_(TCP|UDP).*)?)$")
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """Settings that cannot work; the text names each variable, its value and what to do."""


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 86_400:
        raise ValueError("give seconds above 0 and up to 86400")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("give a number") from None


def _fraction(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 0.5:
        raise ValueError("give a number from 0 to 0.5")
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise ValueError("give a whole number from 1 to 100000")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise ValueError("give a TCP port; 0 lets the system choose one")
    return int(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"choose one of {', '.join(choices)}")
        return text

    return read


def _environment(text: str) -> str:
    if not _ENVIRONMENT.fullmatch(text):
        raise ValueError("give the name of an environment: at most 30 lower-case letters, digits and hyphens")
    return text


def _url(text: str) -> str:
    if text and host_of(text) is None:
        raise ValueError(
            "give a URL such as http://router.llm-router.svc.cluster.local:8000/healthz, or nothing"
        )
    return text


def _file(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise ValueError("there is no such file; mount the Secret there, or leave it empty")
    return Path(text) if text else None


def _dsn(text: str) -> str:
    """Return the DSN. What it says is never repeated: it may hold a password."""
    try:
        conninfo_to_dict(text)
    except psycopg.Error:
        raise ValueError("it is no libpq URI or list of keyword=value pairs") from None
    return text.strip()


def _own_name() -> str:
    """Return a name that no other process has, also after a restart in the same pod."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Option:
    """How the text of a variable becomes a setting. Without a default it has to be set."""

    meaning: str
    read: Callable[[str], Any]
    default: str | None = None
    is_secret: bool = False


@dataclass(frozen=True)
class Settings:
    """All settings. Times in seconds."""

    dsn: Annotated[
        str,
        Option(
            "libpq DSN of the registry, for a member of the database role llmops_health_checker",
            _dsn,
            "",
            is_secret=True,
        ),
    ] = field(repr=False)
    dsn_file: Annotated[
        Path | None,
        Option(
            "file that holds the DSN instead; read again for each connection, so that it may change",
            _file,
            "",
        ),
    ]
    environment: Annotated[str, Option("environment whose entries are checked", _environment)]
    instance: Annotated[str, Option("name of this process; empty: host name and a random part", str, "")]
    interval_s: Annotated[float, Option("between two checks of an entry", _seconds, "10")]
    jitter: Annotated[float, Option("part of the interval by which each pause varies", _fraction, "0.1")]
    completion_interval_s: Annotated[
        float, Option("between two real completions of an entry", _seconds, "60")
    ]
    concurrency: Annotated[int, Option("checks of each kind that may run at a time", _count, "50")]
    connect_timeout_s: Annotated[
        float, Option("to resolve a name, within half of it, and connect", _seconds, "3")
    ]
    health_timeout_s: Annotated[float, Option("for /health in all", _seconds, "5")]
    completion_timeout_s: Annotated[float, Option("for a completion in all", _seconds, "30")]
    max_tokens: Annotated[int, Option("tokens that a completion asks for", _count, "16")]
    refresh_s: Annotated[float, Option("between two readings of the registry", _seconds, "2")]
    registry_timeout_s: Annotated[float, Option("for one statement of the registry", _seconds, "5")]
    lease_ttl_s: Annotated[
        float, Option("after which a standby takes over from a dead leader", _seconds, "15")
    ]
    lease_renew_s: Annotated[float, Option("between two renewals of the lease", _seconds, "5")]
    allowed_endpoints: Annotated[
        AllowedEndpoints,
        Option(
            "hosts that may be asked: names, suffixes that begin with a dot, networks; separated by commas",
            AllowedEndpoints.parse,
            ".svc.cluster.local",
        ),
    ]
    canary_url: Annotated[
        str, Option("URL that answers if this process has a network; asked when no model answers", _url, "")
    ]
    upstream_keys_file: Annotated[
        Path | None,
        Option("JSON file with the engines' API keys by model name; '*' is for all others", _file, ""),
    ]
    host: Annotated[str, Option("address of /healthz, /readyz and /metrics", str, "0.0.0.0")]  # noqa: S104
    port: Annotated[int, Option("port of /healthz, /readyz and /metrics", _port, "8080")]
    log_level: Annotated[str, Option("least level that is logged", _one_of(*LOG_LEVELS), "info")]

    def current_dsn(self) -> str:
        """Return the DSN as it is now; raise ``ValueError`` if its file cannot be used."""
        if self.dsn_file is None:
            return self.dsn
        try:
            dsn = _dsn(self.dsn_file.read_text(encoding="utf-8"))
            if not dsn:
                raise ValueError("it is empty")
            return dsn
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.dsn_file} cannot be used: {error}") from None

    @property
    def lease_name(self) -> str:
        """Name of the lease: one leader for each environment."""
        return f"health-check/{self.environment}"


def _options() -> dict[str, Option]:
    """Return the options by the names of their fields."""
    hints = get_type_hints(Settings, include_extras=True)
    return {item.name: hints[item.name].__metadata__[0] for item in fields(Settings)}


def from_environment(variables: Mapping[str, str]) -> Settings:
    """Return the settings; raise ``SettingsError`` that lists everything that is wrong."""
    options = _options()
    values: dict[str, Any] = {}
    problems = _unknown(variables, options)
    for name, option in options.items():
        variable = PREFIX + name.upper()
        text = variables.get(variable, "").strip() or option.default
        if text is None:
            problems.append(f"{variable} is not set: {option.meaning}")
            continue
        try:
            values[name] = option.read(text)
        except ValueError as error:
            problems.append(f"{variable}{'' if option.is_secret else f' is {text!r}'}: {error}")
    if not problems:
        problems += _contradictions(values)
    if problems:
        raise SettingsError("\n".join(problems))
    values["instance"] = values["instance"] or _own_name()
    settings = Settings(**values)
    try:
        settings.current_dsn()
    except ValueError as error:
        raise SettingsError(f"{PREFIX}DSN_FILE: {error}") from None
    return settings


def _unknown(variables: Mapping[str, str], options: Mapping[str, Option]) -> list[str]:
    """Return a problem for each variable that means nothing: most likely a slip of the pen."""
    known = {PREFIX + name.upper() for name in options}
    return [
        f"{variable}: there is no such setting; see --help"
        for variable in sorted(variables)
        if variable.startswith(PREFIX) and variable not in known and not _SERVICE_LINK.search(variable)
    ]


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong between settings that are right by themselves."""
    if bool(values["dsn"]) == bool(values["dsn_file"]):
        return [f"set either {PREFIX}DSN or {PREFIX}DSN_FILE: where the registry is"]
    rules = [
        ("lease_renew_s", 2, "lease_ttl_s", "at most half of"),
        ("connect_timeout_s", 1.1, "health_timeout_s", "clearly less than"),
        ("health_timeout_s", 1, "completion_timeout_s", "at most"),
        ("interval_s", 1, "completion_interval_s", "at most"),
    ]
    return [
        f"{PREFIX}{left.upper()} is {values[left]:g}: "
        f"it has to be {relation} {PREFIX}{right.upper()}, which is {values[right]:g}"
        for left, times, right, relation in rules
        if values[left] * times > values[right]
    ]


def explanation() -> str:
    """Return the settings as text for ``--help``."""
    lines = []
    for name, option in _options().items():
        unit = "seconds " if name.endswith("_s") else ""
        told = "required" if option.default is None else f"default {option.default or 'empty'}"
        lines += [f"  {PREFIX}{name.upper()}", f"      {unit}{option.meaning} ({told})"]
    return "\n".join(lines)

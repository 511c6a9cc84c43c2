# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs and libraries of this machine, each within the range that is supported."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator

from ...cluster.client import Authentication
from ...common.errors import PlatformError
from ...helm.binary import Helm
from ..finding import Finding, Verdict, broken
from ..site import Site

CHECK = "tools"
#: The oldest version that is supported, as README and requirements.txt say.
OLDEST = {"Python": "3.11", "ansible-core": "2.18", "kubernetes": "29.0.0", "psycopg2": "2.9.6"}
_DISTRIBUTIONS = {"kubernetes": ("kubernetes",), "psycopg2": ("psycopg2-binary", "psycopg2")}


def look(site: Site) -> Iterator[Finding]:
    """Say the version of each."""
    yield judge("Python", ".".join(map(str, sys.version_info[:3])))
    yield judge("ansible-core", site.ansible_version)
    for name, distributions in _DISTRIBUTIONS.items():
        yield judge(name, _installed(distributions))
    try:
        # The binary's own answer: who asks the cluster is none of its business yet.
        told = Helm(site.helm_binary, Authentication()).check_version()
    except PlatformError as error:
        yield broken(CHECK, error, "helm")
    else:
        yield Finding(CHECK, Verdict.PASS, f"{'.'.join(map(str, told))}.", subject="helm")


def _installed(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def judge(name: str, version: str | None) -> Finding:
    """Judge one of them; None where it is not there."""
    oldest = OLDEST[name]
    advice = f"Install {name} {oldest} or newer for the interpreter that runs Ansible ({sys.executable})."
    if version is None:
        return Finding(CHECK, Verdict.FAIL, "is not installed.", advice, name)
    if _numbers(version) < _numbers(oldest):
        return Finding(CHECK, Verdict.FAIL, f"{version} is too old.", advice, name)
    return Finding(CHECK, Verdict.PASS, f"{version}.", subject=name)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))

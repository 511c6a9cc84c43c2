# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose the provider of a lab."""

from __future__ import annotations

import shutil

from ..common.errors import invalid
from .existing import ExistingProvider
from .filesystem import read_json
from .kind import KindProvider, docker_problem
from .native import NativeProvider
from .provider import Provider
from .settings import Settings

PROVIDERS: dict[str, type[Provider]] = {
    "native": NativeProvider,
    "kind": KindProvider,
    "existing": ExistingProvider,
}


def choose(wanted: str, settings: Settings) -> str:
    """Return the provider's name for ``auto``: what is there already, else what this machine can have."""
    if wanted != "auto":
        return wanted
    if settings.kubeconfig is not None:
        return "existing"
    before = recorded(settings)
    if before in PROVIDERS:
        return before
    return "kind" if shutil.which("kind") and not docker_problem() else "native"


def recorded(settings: Settings) -> str:
    """Return the provider that last started a lab in this folder, or an empty string."""
    return str(read_json(settings.path("facts.json")).get("provider", ""))


def provider(wanted: str, settings: Settings) -> Provider:
    """Return the provider; refuse to start one kind of lab over another that runs in the same folder."""
    name = choose(wanted, settings)
    before = recorded(settings)
    if before in PROVIDERS and before != name:
        running = PROVIDERS[before](settings).running()
        if running:
            raise invalid(
                "provider",
                name,
                f"does not fit: a lab of provider {before} runs in {settings.folder}",
                "Stop that one first (state: absent), or give another lab_dir.",
            )
    return PROVIDERS[name](settings)

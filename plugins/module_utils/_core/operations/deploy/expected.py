# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long an operation may take, by what this model's own ones took."""

from __future__ import annotations

from ...common.errors import PlatformError
from ...registry.durations import Estimate, estimate, read_durations
from .run import Run


def expected(run: Run, digest: str) -> Estimate | None:
    """Return how long it may take to make the manifest of this digest; None where nobody can tell."""
    target = run.target
    try:
        took = run.used_registry.read(
            lambda session: read_durations(session, target.model, target.environment, digest)
        )
    except PlatformError as error:
        run.say(f"how long it takes is not known: {error.message}")
        return None
    found = estimate(took)
    run.expected_s = found.seconds if found is not None else None
    return found

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploy one model: look, decide, act, until nothing is left to do. Running it again is the resume.

One that failed says what became of the row, and may have gone back to what served before.
"""

from __future__ import annotations

from ...common.errors import PlatformError
from ..rollback import automatic
from . import failure
from .run import Run
from .walk import walk


def deploy(run: Run) -> None:
    """Bring the target to the wanted state; what was done stands in the run.

    Raises as :func:`.walk.walk` does. The error's details name the step as ``failed_step``.
    """
    with run.stack:
        try:
            walk(run)
        except Exception as error:
            failure.name_step(run, error)
            if not (isinstance(error, PlatformError) and undone(run, error)):
                failure.settle(run, error)
            raise


def undone(run: Run, error: PlatformError) -> bool:
    """Go back to what served before, if that is to be; tell whether nothing is left to do."""
    try:
        return automatic.undo(run, error)
    except Exception as second:  # noqa: BLE001
        # The failure itself matters more.
        run.say(f"it was not gone back: {second}")
        return False

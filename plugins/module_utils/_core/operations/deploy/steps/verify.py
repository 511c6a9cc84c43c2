# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""See that the model answers a real completion."""

from __future__ import annotations

from ....endpoint.verification import verify_service
from ..run import Run


def take(run: Run) -> None:
    """Ask for a completion, as a client would."""
    run.say("verifying a completion")
    deadline = run.waits.total.share(run.verification["timeout"])
    with run.tools.permit.step("verify the endpoint"):
        run.verified = verify_service(run.tools.client, run.verification, deadline, run.tools.progress)

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which numbers can be counts or queues of a program at all."""

from __future__ import annotations

#: Beyond it a float loses single requests, and no program has counted so many.
MOST = 1e15


def plausible(value: float) -> bool:
    """Tell whether so many can be; what is no number cannot."""
    return 0 <= value <= MOST

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No test here may take a mistake of ours for an error of who was asked."""

from __future__ import annotations

from tests.support.defects import defects_are_raised

__all__ = ["defects_are_raised"]

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes OpenAI-style requests to the model servers that the registry calls ready."""

from __future__ import annotations

__version__ = "0.4.0"

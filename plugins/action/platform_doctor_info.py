# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin platform_doctor_info: the module's contract, run in process."""

from __future__ import annotations

from ansible_collections.llmops.platform.plugins.modules import platform_doctor_info
from ansible_collections.llmops.platform.plugins.plugin_utils._action import CoreActionBase


class ActionModule(CoreActionBase):
    contract = platform_doctor_info.CONTRACT
    variable_prefix = "doctor_"

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In-process twin of the module ``registry_approval``."""

from __future__ import annotations

from ansible_collections.llmops.platform.plugins.modules import registry_approval
from ansible_collections.llmops.platform.plugins.plugin_utils._action import CoreActionBase


class ActionModule(CoreActionBase):
    contract = registry_approval.CONTRACT

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Gateway API's own definitions (standard channel), installed in the lab for as long as a test needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from tests.support.definitions import go_module, installed

MODULE = "sigs.k8s.io/gateway-api@v1.6.3"
_KINDS = ("gatewayclasses", "gateways", "httproutes")


@contextmanager
def gateway_api(api: ClusterClient) -> Iterator[None]:
    """Install the definitions that the cluster lacks, and remove these again."""
    folder = go_module(MODULE) / "config/crd/standard"
    with installed(api, [folder / f"gateway.networking.k8s.io_{kind}.yaml" for kind in _KINDS]):
        yield

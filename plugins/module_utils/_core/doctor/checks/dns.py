# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's DNS, by its servers: routers find models by the names of their Services."""

from __future__ import annotations

from collections.abc import Sequence

from ...cluster.client import APIError
from ...cluster.workload import is_ready
from ..finding import Finding, Verdict, several
from ..site import Cluster

CHECK = "dns"
_PODS = {"labelSelector": "k8s-app=kube-dns"}
_SLICES = {"labelSelector": "kubernetes.io/service-name=kube-dns"}
_SYSTEM = "namespaces/kube-system"
_TRY = "Try in a pod: nslookup kubernetes.default."


def look(cluster: Cluster) -> list[Finding]:
    """Look at who answers. Whether a name resolves, only a pod could try."""
    pods = list(cluster.list_pages(f"/api/v1/{_SYSTEM}/pods", _PODS))
    if pods:
        return [judge([is_ready(pod) for pod in pods])]
    # It may run elsewhere; an account that deploys may not read that.
    try:
        slices = list(cluster.list_pages(f"/apis/discovery.k8s.io/v1/{_SYSTEM}/endpointslices", _SLICES))
    except APIError as error:
        if error.status != 403:
            raise
        seen = "no pod in kube-system is labelled k8s-app=kube-dns, and who else answers may not be read."
        return [Finding(CHECK, Verdict.UNKNOWN, seen, _TRY)]
    endpoints = [item for found in slices for item in found.get("endpoints") or ()]
    return [judge([(item.get("conditions") or {}).get("ready") is not False for item in endpoints])]


def judge(servers: Sequence[bool]) -> Finding:
    """Judge the servers of the Service ``kube-dns``, each of which is ready or not."""
    if not servers:
        seen = "there is no Service kube-dns in kube-system: who resolves names here is not known."
        return Finding(CHECK, Verdict.UNKNOWN, seen, _TRY)
    ready = sum(servers)
    seen = f"{ready} of {several(len(servers), 'server')} ready."
    if ready == len(servers):
        return Finding(CHECK, Verdict.PASS, seen)
    advice = "See kubectl -n kube-system describe pods -l k8s-app=kube-dns."
    return Finding(CHECK, Verdict.WARN if ready else Verdict.FAIL, seen, advice)

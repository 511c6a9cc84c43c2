# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment's namespace: whether it is there, whose it is, and what its pods may be."""

from __future__ import annotations

from ...cluster.client import JSONObject
from ..finding import Finding, Verdict
from ..site import Cluster

CHECK = "namespace"
_ENVIRONMENT = "llmops.platform/environment"
_LEVEL = "pod-security.kubernetes.io/enforce"
_PLAY = "Let an administrator play llmops.platform.environment."


def look(cluster: Cluster) -> list[Finding]:
    """Read it."""
    site = cluster.site
    return [judge(site.namespace, site.environment, site.known_tier, cluster.client.find(cluster.path))]


def judge(name: str, environment: str, tier: str, found: JSONObject | None) -> Finding:
    """Judge the namespace; None where there is none."""
    if found is None:
        return Finding(CHECK, Verdict.FAIL, f"{name} does not exist.", _PLAY)
    if (found.get("status") or {}).get("phase") == "Terminating":
        return Finding(CHECK, Verdict.FAIL, f"{name} is being deleted.", "Wait until it is gone.")
    labels = found["metadata"].get("labels") or {}
    owner, level = labels.get(_ENVIRONMENT), labels.get(_LEVEL)
    if owner and owner != environment:
        advice = "Give each environment a namespace of its own (vllm_namespace)."
        return Finding(CHECK, Verdict.FAIL, f"{name} is that of environment {owner}.", advice)
    seen = f"{name}, with Pod Security level {level or 'of the cluster'}"
    if not owner:
        return Finding(CHECK, Verdict.WARN, f"{seen}, is not set apart for an environment.", _PLAY)
    if level is None:
        return Finding(CHECK, Verdict.WARN, f"{seen}.", _PLAY)
    if level == "privileged" and tier != "development":
        advice = f"{_PLAY[:-1]} with environment_pod_security restricted: models need no more."
        return Finding(CHECK, Verdict.WARN, f"{seen}: its pods may take over their nodes.", advice)
    return Finding(CHECK, Verdict.PASS, f"{seen}.")

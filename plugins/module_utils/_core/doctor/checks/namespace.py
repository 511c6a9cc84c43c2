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
    return [judge(site.namespace, site.environment, cluster.client.find(cluster.path))]


def judge(name: str, environment: str, found: JSONObject | None) -> Finding:
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
    return Finding(CHECK, Verdict.PASS, f"{seen}.")

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the API server can be reached, is who it should be, and is new enough; and whether clocks agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from ...common.errors import PlatformError, invalid
from ..finding import Finding, Verdict, broken
from ..site import Cluster, Site

CHECK = "cluster"
#: ValidatingAdmissionPolicy, by which role environment guards the deployer's rights.
OLDEST = (1, 30)
#: Tokens and certificates that were just made are refused, or seem to have ended, beyond some seconds.
SKEW_WARN_S, SKEW_FAIL_S = 5.0, 60.0


def with_role(site: Site, error: PlatformError) -> PlatformError:
    """Say who writes a kubeconfig that is not there."""
    path = site.params.get("kubeconfig")
    if not path or Path(path).exists():
        return error
    advice = (
        "Let an administrator play llmops.platform.environment with environment_deployer_kubeconfig, which "
        "writes it, or give another one (vllm_kubeconfig)."
    )
    return invalid("kubeconfig", path, "does not exist", advice)


def look(cluster: Cluster) -> Iterator[Finding]:
    """Reach it, ask its version, and compare its clock with ours."""
    try:
        # Once, without the patience of a deployment.
        cluster.client.open_socket(cluster.site.limit_s / 2).close()
        began = datetime.now(UTC)
        answer = cluster.client.request("GET", "/version", read_timeout=cluster.site.limit_s / 2)
        ended = datetime.now(UTC)
        # What everybody may ask says nothing of who we are.
        who = who_asks(cluster)
    except PlatformError as error:
        yield broken(CHECK, error, "access")
        return
    server = cluster.client.server
    verified = cluster.client.address.verified
    yield Finding(
        CHECK,
        Verdict.PASS if verified else Verdict.WARN,
        f"{server} answers{who}" + ("." if verified else ", and its certificate is not checked."),
        "" if verified else "Give its authority (ca_cert, or the kubeconfig's), and validate_certs true.",
        "access",
    )
    yield judge_version(str(json.loads(answer.data).get("gitVersion", "")))
    yield judge_clock(answer.headers.get("Date", ""), began, ended)


def who_asks(cluster: Cluster) -> str:
    """Return as whom the API server knows us. A server of before 1.28 has no word for that."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        told = cluster.client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    except PlatformError as error:
        if error.details.get("status") == 404:
            return ""
        raise
    return f" to {told['status']['userInfo'].get('username', 'somebody')}"


def judge_version(version: str) -> Finding:
    """Judge the API server's version, such as ``v1.34.2``."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found is None:
        return Finding(CHECK, Verdict.UNKNOWN, f"it calls its version {version!r}.", subject="version")
    if (int(found[1]), int(found[2])) < OLDEST:
        advice = "Update it, or set environment_admission_policy: false, which takes a guard away."
        return Finding(CHECK, Verdict.FAIL, f"{version} is older than 1.30.", advice, "version")
    return Finding(CHECK, Verdict.PASS, f"{version}.", subject="version")


def judge_clock(date: str, began: datetime, ended: datetime) -> Finding:
    """Judge the header ``Date`` of an answer to a request that took from one moment of ours to another."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return Finding(
            CHECK, Verdict.UNKNOWN, "the API server does not say what time it is.", subject="clock"
        )
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    # The header has whole seconds, and was written somewhere between both moments.
    early = (began - theirs).total_seconds() - 1
    late = (theirs - ended).total_seconds()
    skew = max(early, late, 0.0)
    if skew < SKEW_WARN_S:
        return Finding(CHECK, Verdict.PASS, "within seconds of this machine's.", subject="clock")
    verdict = Verdict.FAIL if skew >= SKEW_FAIL_S else Verdict.WARN
    side = "behind" if early > late else "ahead of"
    return Finding(
        CHECK,
        verdict,
        f"the API server is {skew:.0f} s {side} this machine.",
        "Set both clocks by NTP: tokens, certificates and locks depend on them.",
        "clock",
    )

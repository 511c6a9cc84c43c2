# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens of ServiceAccounts by the TokenRequest API: they end by themselves, and with their account."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..common.errors import ErrorClass, PlatformError
from .client import APIError, ClusterClient, segment

#: What an API server grants at least, and at most.
SHORTEST_S, LONGEST_S = 600, 2**32


@dataclass(frozen=True)
class BoundToken:
    """A token, with what it says of itself. Times are seconds since 1970.

    ``account_uid`` tells an account from one that was made anew under its name.
    """

    text: str = field(repr=False)
    subject: str
    issued_at: float
    ends_at: float
    account_uid: str = ""

    @property
    def lifetime_s(self) -> float:
        """How long it was to hold."""
        return self.ends_at - self.issued_at

    @property
    def expires_at(self) -> str:
        """Its end, as RFC 3339."""
        return datetime.fromtimestamp(self.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_token(text: str) -> BoundToken | None:
    """Return what a token says of itself, None for what is no bound token. Nothing is verified here."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        payload: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        account = (payload.get("kubernetes.io") or {}).get("serviceaccount") or {}
        read = BoundToken(
            text,
            str(payload["sub"]),
            float(payload["iat"]),
            float(payload["exp"]),
            str(account.get("uid") or ""),
        )
        # A time that no calendar has.
        return read if read.expires_at else None
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        return None


def subject_of(namespace: str, account: str) -> str:
    """Return the name of a ServiceAccount as a user."""
    return f"system:serviceaccount:{namespace}:{account}"


def account_uid(client: ClusterClient, namespace: str, account: str) -> str | None:
    """Return the UID of a ServiceAccount, None where there is none."""
    found = client.find(_path(namespace, account))
    return None if found is None else str(found["metadata"]["uid"])


def request_token(client: ClusterClient, namespace: str, account: str, seconds: int) -> BoundToken:
    """Ask for a token of a ServiceAccount; raises ``invalid`` where there is no such account."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }
    try:
        answer = client.create(f"{_path(namespace, account)}/token", request)
    except APIError as error:
        if error.status != 404:
            raise
        raise PlatformError(
            ErrorClass.INVALID,
            f"service_account: {account!r} does not exist in namespace {namespace!r}.",
            "Make it first; the role environment makes llmops-deployer.",
            {"field": "service_account"},
        ) from error
    read = read_token(str((answer.get("status") or {}).get("token") or ""))
    if read is None or read.subject != subject_of(namespace, account):
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"{client.server} answered the request for a token with something that is none of this account.",
            "Check that this is a Kubernetes API server and that no proxy answers for it.",
        )
    return read


def is_accepted(client: ClusterClient, subject: str) -> bool:
    """Tell whether the API server takes what the client logs in with for that user.

    A token of an account that was made anew, or that a server with other keys signed, is refused.
    """
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    except APIError as error:
        if error.status == 401:
            return False
        if error.status in (403, 404):
            # Who is not known is told 401 before anything else: Kubernetes before 1.28 has no such review.
            return True
        raise
    return bool(((answer.get("status") or {}).get("userInfo") or {}).get("username") == subject)


def _path(namespace: str, account: str) -> str:
    return f"/api/v1/namespaces/{segment(namespace)}/serviceaccounts/{segment(account)}"

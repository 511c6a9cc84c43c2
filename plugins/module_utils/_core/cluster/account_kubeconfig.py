# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a kubeconfig that logs in as one ServiceAccount by a token. No I/O."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from ..common.errors import ErrorClass, PlatformError
from ..common.redaction import HIDDEN
from .bound_token import BoundToken, read_token, subject_of
from .client import ServerAddress
from .proxy import without_login

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

# Under this name a kubeconfig holds what kubectl does not know.
_EXTENSION = "llmops.platform"


@dataclass(frozen=True)
class Account:
    """A ServiceAccount at its API server, and the seconds that a token of it is asked for."""

    address: ServerAddress
    namespace: str
    name: str
    seconds: int

    @property
    def subject(self) -> str:
        """Its name as a user."""
        return subject_of(self.namespace, self.name)

    @property
    def context(self) -> str:
        """Name of the context. It tells files apart where several are used as one."""
        return f"{self.name}@{self.namespace}"


def check_address(address: ServerAddress) -> None:
    """Raise ``invalid`` where a token would go to somebody who was not asked for a certificate."""
    if not address.verified:
        raise PlatformError(
            ErrorClass.INVALID,
            f"validate_certs: the certificate of {address.server} is not checked, and a kubeconfig of such a "
            "connection would give its token to whoever answers there.",
            "Connect by https with certificates checked: give ca_cert, or a kubeconfig with "
            "certificate-authority-data and without insecure-skip-tls-verify.",
            {"field": "validate_certs"},
        )


def _authority(address: ServerAddress) -> str | None:
    return base64.b64encode(address.authority.encode()).decode() if address.authority else None


def document(account: Account, token: str) -> dict[str, Any]:
    """Return the kubeconfig's content."""
    address, name = account.address, account.context
    cluster: dict[str, Any] = {"server": address.server}
    authority = _authority(address)
    if authority:
        cluster["certificate-authority-data"] = authority
    if address.tls_server_name:
        cluster["tls-server-name"] = address.tls_server_name
    if address.proxy:
        cluster["proxy-url"] = address.proxy
    # Whoever wants another lifetime gets another token, whatever the API server grants.
    asked = {"name": _EXTENSION, "extension": {"expirationSeconds": account.seconds}}
    context = {"cluster": name, "user": name, "namespace": account.namespace, "extensions": [asked]}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def parse(text: str) -> Any:
    """Return the data of a file, None for what is no YAML."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def token_in(content: Any, subject: str) -> BoundToken | None:
    """Return the token of a kubeconfig that is for this user and nothing else, None for any other file."""
    try:
        sole = all(len(content[kind]) == 1 for kind in ("clusters", "users", "contexts"))
        user = content["users"][0]["user"]
        if content["kind"] != "Config" or not sole or set(user) != {"token"}:
            return None
        if not content["clusters"][0]["cluster"]["server"]:
            return None
        token = read_token(str(user["token"]))
    except (KeyError, TypeError, IndexError, AttributeError):
        return None
    return token if token is not None and token.subject == subject else None


def is_for(content: Any, address: ServerAddress) -> bool:
    """Tell whether a kubeconfig leads to this server, and trusts the same authority."""
    cluster = content["clusters"][0]["cluster"]
    return bool(
        cluster["server"] == address.server
        and cluster.get("certificate-authority-data") == _authority(address)
    )


def dump(content: Any) -> str:
    """Return the content as YAML."""
    return str(yaml.safe_dump(content, sort_keys=False, width=2**31))


def shown(content: dict[str, Any], note: str) -> str:
    """Return one of ours for a diff: its token hidden, with a note in its place."""
    cluster, user = content["clusters"][0], content["users"][0]
    address = dict(cluster["cluster"])
    if "proxy-url" in address:
        address["proxy-url"] = without_login(str(address["proxy-url"]))
    hidden = {"token": f"{HIDDEN} {note}"}
    return dump(
        {**content, "clusters": [{**cluster, "cluster": address}], "users": [{**user, "user": hidden}]}
    )

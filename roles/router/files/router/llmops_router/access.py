# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may ask for which model. Keys are kept as SHA-256 only, in a file that may change while we run."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ApiError, quoted


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A client's key; ``models`` of ``None`` means every model."""

    name: str
    sha256: str
    models: frozenset[str] | None

    def may_use(self, model: str) -> bool:
        """Say whether the key opens a model."""
        return self.models is None or model in self.models


EVERYBODY = ApiKey("everybody", "", None)


class WatchedFile:
    """A file of JSON that is read again when it changed, as mounted Secrets do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> Any:
        """Return the content as JSON.

        :raises ValueError: naming the file, where it cannot be read or is no JSON.
        """
        try:
            status = self.path.stat()
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise ValueError(f"{self.path} is no JSON") from None
        self._seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        return content

    def has_changed(self) -> bool:
        """Say whether it is another one than was read last."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_mtime_ns, status.st_ino, status.st_size) != self._seen


class Access:
    """The clients' keys. Without a file everybody may use everything."""

    def __init__(self, path: Path | None) -> None:
        self._file = WatchedFile(path) if path else None
        self._keys: Mapping[str, ApiKey] = {}
        if self._file:
            self._keys = parse_api_keys(self._file.read(), self._file.path)

    @property
    def is_open(self) -> bool:
        """Say whether no key is asked for."""
        return self._file is None

    def reload(self) -> bool:
        """Read the file again if it changed; return whether it did. A bad one leaves the old keys.

        :raises ValueError: where the new file is not right.
        """
        if self._file is None or not self._file.has_changed():
            return False
        self._keys = parse_api_keys(self._file.read(), self._file.path)
        return True

    def identify(self, authorization: bytes | None) -> ApiKey:
        """Return whose key an Authorization header holds.

        :raises ApiError: 401 where it holds none that is known.
        """
        if self._file is None:
            return EVERYBODY
        if authorization is None:
            raise _unauthorized("missing_api_key", "No API key was sent. Send 'Authorization: Bearer <key>'.")
        scheme, _space, token = authorization.partition(b" ")
        digest = hashlib.sha256(token.strip()).hexdigest()
        # Finding by digest tells nothing about a key: who does not know it cannot choose its digest's digits.
        found = self._keys.get(digest)
        if scheme.lower() != b"bearer" or found is None or not hmac.compare_digest(found.sha256, digest):
            raise _unauthorized(
                "invalid_api_key", "The API key is not known. Check it, or ask for a new one."
            )
        return found


def check(key: ApiKey, model: str) -> None:
    """Refuse a model that the key does not open, whether or not there is such a model.

    :raises ApiError: 403.
    """
    if not key.may_use(model):
        raise ApiError(
            403,
            "model_not_allowed",
            f"This API key may not use the model {quoted(model)}. GET /v1/models lists what it may use.",
            param="model",
        )


def parse_api_keys(content: Any, path: Path) -> dict[str, ApiKey]:
    """Return keys by digest.

    :raises ValueError: naming the file and the entry that is wrong.
    """
    if not isinstance(content, list):
        raise ValueError(f"{path} must hold a JSON list of keys")  # noqa: TRY004 - one class for a wrong file
    keys: dict[str, ApiKey] = {}
    for number, item in enumerate(content):
        where = f"{path}: key {number}"
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
            raise ValueError(f"{where} has no name")
        digest = item.get("sha256")
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest.lower()):
            raise ValueError(f"{where} ({item['name']}): sha256 must be 64 hexadecimal digits")
        models = item.get("models")
        if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
            raise ValueError(f'{where} ({item["name"]}): models must be a list of names, or ["*"] for all')
        keys[digest.lower()] = ApiKey(
            item["name"], digest.lower(), None if "*" in models else frozenset(models)
        )
    return keys


class UpstreamKeys:
    """The keys that model servers want: one a model, or ``*`` for all others."""

    def __init__(self, path: Path | None) -> None:
        self._file = WatchedFile(path) if path else None
        self._keys: Mapping[str, bytes] = {}
        if self._file:
            self._keys = parse_upstream_keys(self._file.read(), self._file.path)

    def reload(self) -> bool:
        """Read the file again if it changed; return whether it did. A bad one leaves the old keys.

        :raises ValueError: where the new file is not right.
        """
        if self._file is None or not self._file.has_changed():
            return False
        self._keys = parse_upstream_keys(self._file.read(), self._file.path)
        return True

    def header(self, model: str) -> bytes | None:
        """Return the Authorization header for a model's server."""
        if not self._keys:
            return None
        return self._keys.get(model) or self._keys.get("*")


def parse_upstream_keys(content: Any, path: Path) -> dict[str, bytes]:
    """Return headers by model name.

    :raises ValueError: naming the file, never a key.
    """
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and key.isascii() and key.isprintable() and key.strip()
        for key in content.values()
    ):
        raise ValueError(f'{path} must hold a JSON object of model name, or "*", to key')
    return {model: f"Bearer {key.strip()}".encode() for model, key in content.items()}


def _unauthorized(code: str, message: str) -> ApiError:
    return ApiError(401, code, message, headers=((b"www-authenticate", b"Bearer"),))

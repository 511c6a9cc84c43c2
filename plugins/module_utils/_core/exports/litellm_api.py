# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model API of a LiteLLM proxy: list, create, delete."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from ..common.deadline import Backoff, Deadline
from ..common.errors import ErrorClass, PlatformError, invalid
from ..common.redaction import HIDDEN, excerpt
from .litellm_models import ModelOfProxy

_MAX_BODY_BYTES = 64 * 1024 * 1024
_ATTEMPT_S = 30.0
_APPEARS_WITHIN_S = 3.0
_DATABASE_ADVICE = (
    "The model API needs a database: start the proxy with DATABASE_URL and STORE_MODEL_IN_DB=True."
)


class ModelAPI:
    """Requests to one proxy, all within one deadline; a context manager."""

    def __init__(
        self,
        url: str,
        api_key: str,
        deadline: Deadline,
        *,
        ca_cert: str | None = None,
        validate_certs: bool = True,
        secrets: tuple[str, ...] = (),
    ) -> None:
        """Check the URL; nothing is sent yet. ``secrets`` are hidden in errors, as ``api_key`` is."""
        self._url = _checked(url)
        self._deadline = deadline
        self._secrets = tuple(secret for secret in (api_key, *secrets) if secret)
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "llmops.platform",
            # An idle connection that the server closes meanwhile would look like an error.
            "Connection": "close",
        }
        self._connection = self._new_connection(ca_cert, validate_certs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def models(self) -> list[dict[str, Any]]:
        """Return all models that the proxy knows, with ``model_name``, ``litellm_params``, ``model_info``."""
        status, answer = self._request("GET", "/model/info")
        if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise self._refused("List the models", status, answer)
        return [item for item in answer["data"] if isinstance(item, dict)]

    def create(self, model: ModelOfProxy) -> None:
        """Create a model; it is no error if it is there already, since its id says what it is."""
        status, answer = self._request("POST", "/model/new", model.as_body())
        if status != 200 and not self._appears(model.id):
            raise self._refused(f"Create model {model.name!r}", status, answer)

    def delete(self, model: ModelOfProxy) -> None:
        """Delete a model; it is no error if it is gone already."""
        status, answer = self._request("POST", "/model/delete", {"id": model.id})
        if status != 200 and "not found in db" not in _message(answer):
            raise self._refused(f"Delete model {model.name!r}", status, answer)

    def _appears(self, model_id: str) -> bool:
        """Tell whether the model is there, or comes: a run beside this one may be creating it just now."""
        patience, backoff = self._deadline.share(_APPEARS_WITHIN_S), Backoff(0.1, 1.0)
        while True:
            if any((item.get("model_info") or {}).get("id") == model_id for item in self.models()):
                return True
            if patience.expired():
                return False
            patience.pause(backoff.next())

    def _new_connection(self, ca_cert: str | None, validate_certs: bool) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port)
        try:
            context = ssl.create_default_context(cafile=ca_cert)
        except (OSError, ssl.SSLError) as error:
            raise invalid(
                "ca_cert", ca_cert, f"cannot be used ({error})", "Give a file with PEM certificates."
            ) from None
        if not validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, port, context=context)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        limit = min(_ATTEMPT_S, self._deadline.remaining())
        if limit <= 0:
            raise self._deadline.timeout_error(
                f"The export to {self._where}", f"{path} was not asked yet", "Raise timeout."
            )
        payload = None if body is None else json.dumps(body).encode()
        self._connection.timeout = limit
        try:
            self._connection.request(method, self._url.path.rstrip("/") + path, payload, self._headers)
            response = self._connection.getresponse()
            content = response.read(_MAX_BODY_BYTES)
        except TimeoutError:
            self._connection.close()
            raise PlatformError(
                ErrorClass.TIMEOUT,
                f"The LiteLLM proxy at {self._where} did not answer {path} within {limit:.1f} s.",
                "Look at its log; raise timeout where it is only slow.",
            ) from None
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise PlatformError(
                ErrorClass.AUTH,
                f"The certificate of the LiteLLM proxy at {self._where} cannot be trusted:"
                f" {error.verify_message}.",
                "Give the authority's certificate with ca_cert.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise PlatformError(
                ErrorClass.INFRASTRUCTURE,
                f"The LiteLLM proxy at {self._where} cannot be asked {path}: {self._clean(str(error))}.",
                "Check url, and whether the proxy runs.",
            ) from None
        try:
            return response.status, json.loads(content) if content else None
        except ValueError:
            return response.status, content.decode(errors="replace")

    @property
    def _where(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc}{self._url.path}"

    def _refused(self, what: str, status: int, answer: Any) -> PlatformError:
        text = self._clean(_message(answer))
        message = f"{what}: the LiteLLM proxy at {self._where} answered {status}: {text}"
        if status in (401, 403):
            return PlatformError(
                ErrorClass.AUTH, message, "Give the key of an administrator of the proxy as api_key."
            )
        if "No DB Connected" in text or "STORE_MODEL_IN_DB" in text:
            return PlatformError(ErrorClass.INVALID, message, _DATABASE_ADVICE)
        if status in (404, 405):
            return PlatformError(ErrorClass.INVALID, message, "Check url: this is no LiteLLM proxy.")
        kind = ErrorClass.INFRASTRUCTURE if status >= 500 else ErrorClass.INVALID
        return PlatformError(kind, message, "The proxy's log says more.")

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return " ".join(excerpt(text, 500).split())


def _checked(url: str) -> SplitResult:
    advice = "Give the proxy's address, such as https://litellm.example.com:4000."
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise invalid("url", url, "is no address of an HTTP server", advice)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise invalid("url", parts.hostname, "comes with a user, a password or a query", advice)
    return parts


def _message(answer: Any) -> str:
    """Return the text of an error in the proxy's form, or whatever came instead."""
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        return str(answer["error"].get("message"))
    return str(answer)

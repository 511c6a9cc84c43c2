# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What clients are told, in the shape that OpenAI's clients understand."""

from __future__ import annotations

import orjson

#: Longest part of a model's name that a message quotes.
_QUOTED = 100


class ApiError(Exception):
    """An answer that is no success. ``code`` is stable: programs branch on it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = headers

    @property
    def kind(self) -> str:
        """Return OpenAI's ``type`` for the status."""
        if self.status == 401:
            return "authentication_error"
        if self.status == 403:
            return "permission_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def body(self) -> bytes:
        """Return the answer's body."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})


def quoted(model: str) -> str:
    """Return a model's name for a message, bounded and printable."""
    text = "".join(character if character.isprintable() else "?" for character in model)
    return f"'{text[:_QUOTED]}...'" if len(text) > _QUOTED else f"'{text}'"


def retry_after(seconds: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header that says when to come back."""
    return ((b"retry-after", str(seconds).encode()),)


def bad_request(code: str, message: str, param: str | None = None) -> ApiError:
    """Return the error for a request that cannot be right."""
    return ApiError(400, code, message, param=param)


def model_not_found(model: str) -> ApiError:
    """Return the error for a model that the registry does not have."""
    return ApiError(
        404,
        "model_not_found",
        f"The model {quoted(model)} does not exist. GET /v1/models lists the models there are.",
        param="model",
    )


def not_routed(model: str, status: str, desired_state: str, retry_after_s: int) -> ApiError:
    """Return the error for a model that the registry knows and does not route."""
    name = quoted(model)
    later = retry_after(retry_after_s)
    if desired_state == "disabled" or status == "disabled":
        return ApiError(
            404,
            "model_disabled",
            f"The model {name} is disabled. Choose one that GET /v1/models lists, or ask its operator.",
            param="model",
        )
    if status == "draining":
        return ApiError(
            503,
            "model_draining",
            f"The model {name} is being withdrawn and takes no new requests. Choose another one.",
            param="model",
            headers=later,
        )
    if status == "degraded":
        return ApiError(
            503,
            "model_degraded",
            f"The model {name} fails its health checks. Try again in {retry_after_s} s.",
            param="model",
            headers=later,
        )
    return ApiError(
        503,
        "model_not_ready",
        f"The model {name} is not ready (status: {status}). Try again in {retry_after_s} s.",
        param="model",
        headers=later,
    )

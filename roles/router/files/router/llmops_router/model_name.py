# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the router reads of a request's body: the model that it names. The rest is checked, but not built.

As objects, a hostile body takes thirty times its size, and the loop stands still while they are made.
"""

from __future__ import annotations

import codecs

import msgspec

from .errors import ApiError, bad_request

_LONGEST_MODEL_NAME = 512
# The same as escapes: two of six characters each for one beyond the first plane.
_LONGEST_MODEL_TEXT = 12 * _LONGEST_MODEL_NAME + len('""')
_PIECE = 64 << 10


class _Request(msgspec.Struct):
    # Not decoded yet: of a name given twice the last one counts, whatever the first one was.
    model: msgspec.Raw = msgspec.Raw(b"null")


_request = msgspec.json.Decoder(_Request)
_name: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)
_utf8 = codecs.getincrementaldecoder("utf-8")


def model_of(body: bytes) -> str:
    """Return the model that a request names.

    :raises ApiError: 400 where the body is no JSON object or names none.
    """
    try:
        _check_text(body)
        raw = memoryview(_request.decode(body).model)
    except msgspec.ValidationError:
        raise bad_request("invalid_json", "The request body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request("invalid_json", f"The request body is no JSON: {error}.") from None
    if len(raw) > _LONGEST_MODEL_TEXT and raw[0] == ord('"'):
        raise _too_long()
    try:
        model = _name.decode(raw)
    except msgspec.ValidationError:
        model = ""
    if model is None:
        raise bad_request("missing_model", "The request names no model: set 'model'.", "model")
    if not model:
        raise bad_request("invalid_model", "'model' must be a text that is not empty.", "model")
    if len(model) > _LONGEST_MODEL_NAME:
        raise _too_long()
    return model


def _check_text(body: bytes) -> None:
    """Check that the body is UTF-8, which is not looked at in what is passed over."""
    if body.isascii():
        return
    decoder = _utf8()
    view = memoryview(body)
    for start in range(0, len(body), _PIECE):
        decoder.decode(view[start : start + _PIECE])
    decoder.decode(b"", final=True)


def _too_long() -> ApiError:
    return bad_request("invalid_model", f"'model' is longer than {_LONGEST_MODEL_NAME} characters.", "model")

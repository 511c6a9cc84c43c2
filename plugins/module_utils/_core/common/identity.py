# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which person an actor is, however the name is spelled: for rules that two people have to keep.

``Alice@HOST``, ``alice@other ``, ``CORP\\alice`` and full-width letters are one person. So are two people of
the same user name in two domains: they are refused what one person is, and not the other way round.

Letters beyond ASCII are refused, since one that only looks like a Latin letter would make another person of
the same name. What is not noticed: an actor is what the program was told, so somebody who gives another
person's name is that person here. Who was logged in to the database is on record beside it.
"""

from __future__ import annotations

import re
import unicodedata

from .errors import invalid

#: What ``actor()`` says in a job of AWX without a user, and where a container's user has no name.
NOBODY = "unknown"

_SPACE = re.compile(r"[ \t\n\r\f\v]")
_DOMAIN = re.compile(r"^.*\\")
_PLAIN = re.compile(r"[!-~]+")


def identity(actor: str) -> str | None:
    """Return the canonical name of a person; None where the actor names nobody for sure.

    The schema has the same as ``registry_identity()``.
    """
    text = _SPACE.sub("", unicodedata.normalize("NFKC", actor))
    name = _DOMAIN.sub("", text.split("@", 1)[0]).strip(".")
    if not _PLAIN.fullmatch(name) or name.lower() == NOBODY:
        return None
    return name.lower()


def check_identity(actor: str, field: str = "actor") -> str:
    """Return the canonical name of a person, or raise an ``invalid`` error."""
    name = identity(actor)
    if name is None:
        raise invalid(
            field,
            actor,
            "does not say which person acts",
            "Give the user's name in plain letters, digits and signs, such as alice.",
        )
    return name


def same_person(one: str, other: str) -> bool:
    """Tell whether two actors are, or may be, one person."""
    name = identity(one)
    return name is None or name == identity(other)

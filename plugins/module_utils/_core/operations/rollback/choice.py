# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which manifest a rollback goes to: a pure function of what is on record and what is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...common.errors import PlatformError, invalid
from ...helm.storage import short_digest
from ...registry.manifests import Manifest

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{8,64}")


@dataclass(frozen=True)
class Standing:
    """Where a target stands."""

    manifests: Sequence[Manifest] = ()  #: its recorded revisions, newest first
    revision: int | None = None  #: Helm's newest revision; None without a release
    digest: str | None = None  #: and the digest of its manifest
    left: str = ""  #: what that revision went back from, shortened; empty if it did not go back


@dataclass(frozen=True)
class Wish:
    """What is asked for: a revision or a digest, else the last one that is known to serve."""

    to: str = ""
    allow_rejected: bool = False
    remove_first: bool = False


@dataclass(frozen=True)
class Choice:
    """Where to go. ``to`` is None where the first revision is to be taken away."""

    to: Manifest | None
    leaves: str | None  #: digest of what is given up; None where nothing is


def choose(standing: Standing, wish: Wish) -> Choice:
    """Return the manifest to go to. Raises ``invalid`` where there is none, and says why.

    By default it is the newest one that served well and is not the one that is there. Asking twice is as good
    as once: a release that has just gone back, if by a run that was killed, stays where it is, and a first
    revision that was taken away stays away.
    """
    if wish.to:
        to = _named(standing.manifests, wish.to)
        if to.rejected and not wish.allow_rejected:
            raise _rejected(wish.to, to)
        return Choice(to, standing.digest if standing.digest != to.digest else None)
    stays = _gone_back_to(standing)
    if stays is not None:
        return Choice(stays, None)
    if wish.remove_first and len(_known(standing)) < 2:
        return Choice(None, standing.digest)
    for manifest in standing.manifests:
        if manifest.passed and not _is_left(manifest, standing):
            return Choice(manifest, standing.digest)
    raise _nowhere(standing)


def _gone_back_to(standing: Standing) -> Manifest | None:
    """Return the manifest of a release that has gone back already, as long as nothing speaks against it."""
    if not standing.left:
        return None
    return next(
        (one for one in standing.manifests if one.digest == standing.digest and not one.rejected), None
    )


def _is_left(manifest: Manifest, standing: Standing) -> bool:
    return manifest.digest == standing.digest or short_digest(manifest.digest) == standing.left


def _known(standing: Standing) -> set[str]:
    """Return the digests of all that was ever there: after a removal, which is asked for again, too."""
    there = {standing.digest} if standing.digest is not None else set()
    return {one.digest for one in standing.manifests} | there


def _others(standing: Standing) -> list[Manifest]:
    return [one for one in standing.manifests if one.digest != standing.digest]


def _named(manifests: Sequence[Manifest], to: str) -> Manifest:
    wanted = to.strip().lower()
    # Eight figures and more are the beginning of a digest.
    by_revision = wanted.isdecimal() and len(wanted) < 8
    if by_revision:
        found = [one for one in manifests if one.revision == int(wanted)]
    elif _DIGEST.fullmatch(wanted):
        start = wanted.removeprefix("sha256:")
        found = [one for one in manifests if one.digest.removeprefix("sha256:").startswith(start)]
    else:
        raise invalid(
            "to", to, "is neither a revision nor a digest", "Give a number, or 8 or more hex digits."
        )
    if not found:
        known = ", ".join(dict.fromkeys(str(one.revision) for one in manifests[:10])) or "none"
        problem = f"is not on record (last revisions: {known})"
        raise invalid("to", to, problem, "The module registry_info lists them (manifests).")
    if len({one.digest for one in found}) > 1 and not by_revision:
        raise invalid("to", to, "is the beginning of several digests", "Give more of it.")
    # Revisions count from 1 again after an uninstall: the newest of that number.
    return found[0]


def _rejected(to: str, manifest: Manifest) -> PlatformError:
    why = f": {manifest.reason}" if manifest.reason else ""
    return invalid(
        "to",
        to,
        f"is {manifest}, which {'did not serve' if manifest.verdict == 'failed' else 'was given up'}{why}",
        "Name another one, or go there all the same with allow_rejected (rollback_allow_rejected).",
    )


def _nowhere(standing: Standing) -> PlatformError:
    others = _others(standing)
    if others:
        shown = "; ".join(f"{one}: {one.verdict or 'never verified'}" for one in others[:5])
        return invalid(
            "to",
            "",
            f"names nothing, and no other revision is known to serve ({shown})",
            "Name one (rollback_to), or deploy what is wanted.",
        )
    if standing.digest is None:
        return invalid("to", "", "names nothing, and no revision is on record", "Deploy the model.")
    return invalid(
        "to",
        "",
        f"names nothing, and revision {standing.revision} is the first that there is",
        "Deploy what is wanted, or take the model away with first_revision=remove (rollback_first_revision).",
    )

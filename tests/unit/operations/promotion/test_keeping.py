# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment over something that was promoted: refused, or with what was promoted, or without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.deploy.run import Registry
from ansible_collections.llmops.platform.plugins.module_utils._core.operations.promotion.keeping import kept
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.holder import Holder
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.manifests import (
    Content,
    Manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.registry.revisions import Origin
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseRequest
from tests.unit.operations.promotion.cases import DIGEST, MANIFEST
from tests.unit.release.test_plan import MODEL, request

Values = dict[str, Any]
PROMOTED = replace(MANIFEST, source_environment="staging", source_digest=DIGEST)
ORIGIN = Origin("staging", DIGEST)
#: As a promotion leaves them: with the names of its release.
VALUES: Values = {
    "model": {"name": MODEL, "revision": "abc"},
    "image": {"tag": "v1", "digest": DIGEST},
    "replicas": 2,
    "environment": "production",
    "tier": "production",
    "slug": "m",
    "strategy": "surge",
}


@dataclass(frozen=True)
class Remembers(Registry):
    """Says what the target's row names; fails as it is told to."""

    found: tuple[Manifest, Content] | None = None
    error: Exception | None = None

    def read(self, work: object) -> Any:
        del work
        if self.error is not None:
            raise self.error
        return self.found


def remembers(manifest: Manifest | None = PROMOTED, **more: Any) -> Remembers:
    content = Content(more.pop("values", VALUES), values_redacted=more.pop("redacted", False))
    found = (manifest, content) if manifest is not None else None
    return Remembers(None, Holder("ann@desk"), found=found, **more)  # type: ignore[arg-type]


def wanted(values: Values) -> ReleaseRequest:
    return request(environment="production", values=values)


SAME: list[Values] = [
    {"model": {"revision": "abc"}, "image": {"tag": "v1", "digest": DIGEST}},
    # What the environment owns may be anything.
    {"model": {"revision": "abc"}, "image": {"tag": "v1", "digest": DIGEST, "pullPolicy": "Always"}},
    {"model": {"name": MODEL, "revision": "abc"}, "image": {"tag": "v1", "digest": DIGEST}, "secrets": {}},
]  # fmt: skip

OTHERS: list[tuple[Values, str]] = [
    ({"model": {"revision": "main"}, "image": {"tag": "v1", "digest": DIGEST}}, "revision: abc -> main"),
    ({"model": {}, "image": {"tag": "v1", "digest": DIGEST}}, "values.model.revision: abc -> nothing"),
    # Who does not name the image's digest would get what its tag is by then.
    ({"model": {"revision": "abc"}, "image": {"tag": "v1"}}, "values.image.digest: "),
    ({"model": {"revision": "abc"}, "image": {"tag": "v1", "digest": DIGEST}, "drain": {"x": 1}}, "drain.x"),
    ({}, "values.image.digest: "),
]  # fmt: skip


@pytest.mark.parametrize("values", SAME)
def test_the_same_server_is_deployed_and_stays_promoted(values: Values) -> None:
    asked = wanted(values)
    assert kept(remembers(), asked, "refuse") == (asked, ORIGIN)


@pytest.mark.parametrize(("values", "said"), OTHERS)
def test_another_server_is_refused_with_what_differs(values: Values, said: str) -> None:
    with pytest.raises(PlatformError, match="would undo the promotion from staging") as caught:
        kept(remembers(), wanted(values), "refuse")
    assert caught.value.error_class is ErrorClass.INVALID
    assert said in caught.value.message
    assert "vllm_promoted" in caught.value.resolution


@pytest.mark.parametrize("values", [*SAME, *(values for values, _said in OTHERS)])
def test_what_was_promoted_is_kept_with_what_the_environment_owns(values: Values) -> None:
    asked, origin = kept(remembers(), wanted({**values, "replicas": 3}), "keep")
    assert isinstance(asked, ReleaseRequest)
    pull_policy = (values.get("image") or {}).get("pullPolicy")
    assert asked.values == {
        "model": {"name": MODEL, "revision": "abc"},
        "image": {"tag": "v1", "digest": DIGEST, **({"pullPolicy": pull_policy} if pull_policy else {})},
        "replicas": 3,
        **({"secrets": {}} if "secrets" in values else {}),
    }
    assert origin == ORIGIN


def test_what_is_replaced_is_promoted_no_more() -> None:
    asked = wanted({"model": {"revision": "main"}})
    assert kept(remembers(), asked, "replace") == (asked, None)


@pytest.mark.parametrize(
    "registry",
    [None, remembers(None)],
    ids=["no registry", "not promoted"],
)
@pytest.mark.parametrize("promoted", ["refuse", "keep", "replace"])
def test_where_nothing_was_promoted_the_inventory_counts(registry: Registry | None, promoted: str) -> None:
    asked = wanted({"model": {"revision": "main"}})
    assert kept(registry, asked, promoted) == (asked, None)


def test_what_cannot_be_read_is_not_taken_for_nothing() -> None:
    error = PlatformError(ErrorClass.INFRASTRUCTURE, "the database is down", "")
    with pytest.raises(PlatformError, match="is down"):
        kept(remembers(error=error), wanted({}), "refuse")

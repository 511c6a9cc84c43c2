# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A manifest from its record, or from Helm's own; and what its digest is of."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.manifests import (
    digest_objects,
    dump_manifest,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.recorded import (
    Recorded,
    complete,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.rendering import (
    manifest_digest,
    rendered_strategy,
    with_strategy,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.release.request import ReleaseTarget
from tests.support.kubernetes_objects import Cluster

Object = dict[str, Any]
TARGET = ReleaseTarget("model", "staging", "llm", "model-staging")
SECRETS = "/api/v1/namespaces/llm/secrets"


def objects(image: str = "vllm:1", **spec: Any) -> list[Object]:
    containers = [{"name": "vllm", "image": image}]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "m"}, "spec": {"strategy": "is ours"}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "m"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": containers}}, **spec},
        },
    ]


STRATEGIES = ("surge", "unavailable-first", "recreate")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_is_written_in_the_charts_words_and_does_not_count_for_the_digest(strategy: str) -> None:
    before = objects()
    changed = with_strategy(before, strategy)
    assert rendered_strategy(changed[1]) == strategy
    assert manifest_digest(changed) == manifest_digest(before)
    assert digest_objects(changed) != digest_objects(before)
    # What was given is left as it was, and a Service's word of that name means something else.
    assert before == objects()
    assert changed[0] == before[0]
    assert with_strategy(changed, None) == before


def test_whatever_else_is_different_counts_for_the_digest() -> None:
    one = manifest_digest(objects())
    assert manifest_digest(objects("vllm:2")) != one
    assert manifest_digest(objects(replicas=2)) != one
    assert manifest_digest(objects()[:1]) != one
    assert manifest_digest(objects()[::-1]) == one
    other = objects()
    other[0]["spec"]["strategy"] = "is not"
    assert manifest_digest(other) != one


def helm_secret(revision: int, items: list[Object], config: Object) -> Object:
    """Return what Helm keeps of a revision."""
    release = {
        "version": revision,
        "info": {"status": "superseded"},
        "chart": {"metadata": {"name": "vllm-deployment", "version": "0.1.0"}},
        "manifest": dump_manifest(items),
        "config": config,
    }
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    name = f"sh.helm.release.v1.model-staging.v{revision}"
    metadata = {"name": name, "namespace": "llm", "creationTimestamp": "2026-11-30T00:00:00Z"}
    return {"metadata": metadata, "data": {"release": packed}}


def cluster(*secrets: Object) -> Cluster:
    return Cluster(others={SECRETS: list(secrets)})


def completed(there: Cluster, **more: Any) -> Recorded:
    """Return revision 3 from what is on record and on the cluster."""
    given: dict[str, Any] = {
        "objects": objects(),
        "values": {"a": 1},
        "values_redacted": False,
        "chart_version": "0.1.0",
        "chart_digest": "sha256:c",
        "image_digest": None,
        "digest": manifest_digest(objects()),
        "chart_name": "vllm-deployment",
        **more,
    }
    return complete(there, TARGET, revision=3, **given)


WHOLE = {"a": 1, "apiKey": "c4n4ry"}


def test_a_whole_record_is_taken_without_asking_helm() -> None:
    there = cluster(helm_secret(3, objects("vllm:other"), WHOLE))
    found = completed(there)
    assert (found.objects, found.values, found.values_redacted) == (objects(), {"a": 1}, False)
    assert there.reads == []


def test_where_the_record_leaves_secrets_out_helm_has_them() -> None:
    there = cluster(helm_secret(3, objects(), WHOLE))
    for given in ({"objects": None}, {"values_redacted": True}, {"objects": None, "values_redacted": True}):
        found = completed(there, **given)
        assert (found.objects, found.values, found.values_redacted) == (objects(), WHOLE, False)


def test_a_record_without_values_only_does_where_helm_has_none() -> None:
    """Revisions count from 1 again after an uninstall, so Helm's may be another one."""
    for there in (cluster(), cluster(helm_secret(3, objects("vllm:other"), WHOLE))):
        found = completed(there, values={"a": 1, "apiKey": "[hidden]"}, values_redacted=True)
        assert (found.objects, found.values_redacted) == (objects(), True)
        assert "c4n4ry" not in str(found.values)


def test_what_nobody_has_any_more_is_refused() -> None:
    for there in (cluster(), cluster(helm_secret(3, objects("vllm:other"), WHOLE))):
        with pytest.raises(PlatformError, match="holds secrets, so its manifest is not on record") as caught:
            completed(there, objects=None, values_redacted=True)
        assert caught.value.error_class is ErrorClass.INVALID


def test_what_is_not_what_was_recorded_is_refused() -> None:
    with pytest.raises(PlatformError, match="Somebody changed the database") as caught:
        completed(cluster(), objects=objects("vllm:forged"))
    assert caught.value.error_class is ErrorClass.INVALID


def test_a_manifest_of_another_namespace_is_refused() -> None:
    """Helm would make it there, and take away what serves here."""
    elsewhere = objects()
    elsewhere[1]["metadata"]["namespace"] = "llm-old"
    with pytest.raises(PlatformError, match="is of another namespace, llm-old") as caught:
        completed(cluster(), objects=elsewhere, digest=manifest_digest(elsewhere))
    assert caught.value.error_class is ErrorClass.INVALID
    here = objects()
    here[1]["metadata"]["namespace"] = "llm"
    assert completed(cluster(), objects=here, digest=manifest_digest(here)).objects == here


def test_a_strategy_of_that_day_is_no_other_manifest() -> None:
    assert completed(cluster(), objects=with_strategy(objects(), "recreate")).digest


def test_an_old_record_says_less() -> None:
    found = completed(cluster(), chart_version=None, chart_digest=None)
    assert (found.chart_version, found.chart_digest) == ("0.0.0", "")


def test_values_that_hide_a_secret_stay_incomplete() -> None:
    """A rollback before has given Helm the hidden ones: they are not whole because Helm has them."""
    there = cluster(helm_secret(3, objects(), {"apiKey": "[hidden]"}))
    assert completed(there, values_redacted=True).values_redacted is True

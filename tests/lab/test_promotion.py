# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Promotion, played as a user plays it: from staging to production, and each way in which it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._module import Context
from ansible_collections.llmops.platform.plugins.modules import registry_approval
from tests.support.lab import Lab
from tests.support.playbooks import PlayResult, PlayRunner
from tests.support.promotion_site import Production, failure, report, two_places, version
from tests.support.watch import Watch

#: Lets the second version be broken while it runs.
CONTROLLED = {"extraEnv": [{"name": "MODEL_SERVER_CONTROL", "value": "1"}]}
#: A pod that goes is still sent requests for a moment.
DRAIN = {"drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 1, "marginSeconds": 1}}
SOAKED = '{"soak": {"duration_s": 120}}'


@pytest.fixture(scope="module")
def site(lab: Lab, api: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Return a production to which nothing was promoted yet, of three models that run in staging."""
    with two_places(lab, api, PlayRunner(tmp_path_factory.mktemp("promotion")), "promotion") as site:
        names = ("good", "revoked", "watched")
        site.staging.models = {name: version("1", **DRAIN) for name in names}
        site.models = {name: version("1", **DRAIN) for name in names}
        strict = {**site.variables["promotion_gates"], "soak_s": 60, "approval": True}
        site.models["good"] |= {"promotion_gates": strict, "promotion_actor": "alice@laptop"}
        site.staging.deploy("--forks", "3").check()
        yield site


def verdicts(result: dict[str, Any]) -> dict[str, str]:
    """Return what each gate said."""
    return {gate["name"]: gate["verdict"] for gate in result["gates"]}


@pytest.fixture(scope="module")
def asked(site: Production) -> PlayResult:
    """Return the run that found an approval missing and asked for it."""
    before = site.everything()
    checked = failure(site.promote("good", "--check", "--diff"), "good")
    assert site.everything() == before
    assert sorted(checked["closed"]) == ["approval", "soak"]
    assert verdicts(checked)["soak"] == "inconclusive"
    site.staging.give_verdict("good", "passed", SOAKED)
    return site.promote("good")


def test_a_promotion_asks_for_its_approval_and_writes_nothing_else(
    site: Production, asked: PlayResult
) -> None:
    told = failure(asked, "good")
    assert (told["error_class"], told["closed"]) == ("verification", ["approval"])
    assert verdicts(told) | {"approval": ""} == {
        "verified": "pass",
        "soak": "pass",
        "idle": "pass",
        "capacity": "pass",
        "completions": "pass",
        "approval": "",
    }
    assert site.written("good") == (None, [], [], [])
    requests = site.query("SELECT kind, actor FROM promotion_approvals")
    assert requests == [("requested", "alice@laptop")]


@pytest.fixture(scope="module")
def promoted(site: Production, asked: PlayResult) -> PlayResult:
    """Return the run that promoted all three, after somebody else had approved one of them."""
    arguments = {"dsn": site.dsn, "model": "good", "environment": "production"}
    defaults = {name: option.get("default") for name, option in registry_approval.ARGUMENT_SPEC.items()}
    with pytest.raises(PlatformError, match="may not approve it"):
        registry_approval.run({**defaults, **arguments, "actor": "CORP\\Alice@elsewhere"}, Context())
    site.approve("good", promotion_actor="bob", reason="evaluated").check()
    return site.promote("all", "--forks", "3")


def test_what_was_proven_and_approved_is_in_production(site: Production, promoted: PlayResult) -> None:
    done = report(promoted.check(), "good")
    assert set(verdicts(done).values()) == {"pass"}
    assert done["changed"], promoted.output
    source, row = site.staging.row("good"), site.row("good")
    assert source is not None
    assert row is not None
    assert (row["deployment_status"], done["source"]["manifest_digest"]) == (
        "ready",
        source["manifest_digest"],
    )
    lineage = site.query(
        "SELECT source_environment, source_digest FROM deployment_manifests"
        " WHERE deployment_environment = 'production' AND model_name = 'good'"
    )
    assert lineage == [("staging", source["manifest_digest"])]
    assert done["steps"][0]["name"] == "pass the gates"
    assert site.outcomes("good") == [("promote", "succeeded")]
    assert {site.version(model) for model in site.models} == {"1"}


@dataclass(frozen=True)
class Second:
    """What became of second versions: one revoked between gate and write, one broken in its watch."""

    result: PlayResult
    revoked_before: tuple[Any, ...]
    watch: Watch


@pytest.fixture(scope="module")
def second(site: Production, promoted: PlayResult) -> Second:
    """Return the run that promoted second versions."""
    promoted.check()
    bad = ("revoked", "watched")
    site.staging.models = {name: version("2", model=CONTROLLED, **DRAIN) for name in bad}
    site.staging.deploy("--forks", "2").check()
    site.models["revoked"]["vllm_lock_timeout"] = 60
    site.models["watched"]["promotion_watch"] = {"period_s": 30, "interval_s": 0.5}
    before, watch = site.written("revoked"), site.watch("watched")
    with watch:
        with site.locked("revoked"):
            running = site.begin("revoked,watched", "--forks", "2")
            running.wait_for(f"{site.release('revoked')}: taking the lock")
            site.staging.give_verdict("revoked", "revoked")
        running.wait_for(f"{site.release('watched')}: watching for")
        site.break_pods("watched")
        result = running.wait(120)
    return Second(result, before, watch)


def test_what_is_revoked_between_gate_and_write_is_not_written(site: Production, second: Second) -> None:
    told = failure(second.result, "revoked")
    assert (told["error_class"], told["closed"]) == ("verification", ["verified"]), told["msg"]
    assert "answers badly" in told["msg"]
    *stands, journal = site.written("revoked")
    *stood, _ = second.revoked_before
    assert stands == stood
    assert journal == [("promote", "succeeded"), ("promote", "failed")]
    assert site.version("revoked") == "1"


def test_the_watch_takes_back_what_clients_get_no_answer_from(site: Production, second: Second) -> None:
    told = failure(second.result, "watched")
    assert told["error_class"] == "verification", told["msg"]
    assert "2 completions in a row were not answered" in told["msg"]
    assert (told["rolled_back"]["of_revision"], told["rolled_back"]["revision"]) == (1, 3)
    assert (site.status("watched"), site.version("watched")) == ("ready", "1")
    assert site.outcomes("watched")[-1] == ("promote", "rolled_back")
    assert site.verdicts("watched")[-2:] == ["passed", "failed"]
    seen = second.watch.seen
    assert seen[-1].answered
    found_out = next(one.at for one in seen if one.before != "ready")
    assert [one for one in second.watch.lies if one.at > found_out] == []


def test_again_what_is_there_changes_nothing_and_what_failed_is_refused(
    site: Production, second: Second
) -> None:
    before = site.written("good"), site.written("watched")[:3]
    again = site.promote("good,watched", "--forks", "2")
    assert again.changed == []
    assert report(again, "good")["gates"] == []
    assert "already, as revision 1" in report(again, "good")["line"]
    refused = failure(again, "watched")
    assert (refused["error_class"], refused["failed_step"]) == ("verification", "plan"), refused["msg"]
    assert (site.written("good"), site.written("watched")[:3]) == before


def test_a_deployment_does_not_undo_a_promotion_by_accident(site: Production, second: Second) -> None:
    site.models = {
        "good": version("by hand", **DRAIN),
        "watched": version("by hand", replicas=2, **DRAIN) | {"vllm_promoted": "keep"},
    }
    before = site.written("good")
    result = site.deploy("--forks", "2")
    refused = failure(result, "good")
    assert refused["error_class"] == "invalid"
    assert "would undo the promotion from staging" in refused["msg"]
    assert site.written("good") == before
    assert site.deployment("watched")["spec"]["replicas"] == 2
    assert (site.status("watched"), site.version("watched")) == ("ready", "1")

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small parts: allowed endpoints, keys, the lease's clock, the log."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest
from llmops_health import log
from llmops_health.endpoints import AllowedEndpoints
from llmops_health.keys import UpstreamKeys
from llmops_health.lease import Lease, LeaseLostError

ALLOWED = AllowedEndpoints.parse(".svc.cluster.local, models.example.com, 10.1.0.0/16, fd00::/8")


@pytest.mark.parametrize(
    "url",
    [
        "http://llama.llm.svc.cluster.local:8000",
        "https://MODELS.example.com/base",
        "http://10.1.2.3:8000",
        "http://[fd00::1]:8000",
        "http://llama.llm.svc.cluster.local.:8000",
    ],
)
def test_allowed(url: str) -> None:
    assert ALLOWED.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://svc.cluster.local",
        "http://evilsvc.cluster.local",
        "http://x.models.example.com",
        "http://10.2.0.1:8000",
        "http://169.254.169.254/latest",
        "http://user@llama.llm.svc.cluster.local",
        "http://llama.llm.svc.cluster.local@evil.example.com",
        "http://llama.llm.svc.cluster.local?x=.svc.cluster.local",
        "ftp://models.example.com",
        "http://models.example.com:port",
        "models.example.com",
        "",
    ],
)
def test_not_allowed(url: str) -> None:
    assert not ALLOWED.allows(url)


def test_nothing_is_allowed_by_an_empty_list() -> None:
    assert not AllowedEndpoints.parse("").allows("http://localhost")


def test_keys_change_with_their_file_and_survive_a_bad_one(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"org/a": "key-a\n", "*": "key-of-all"}), encoding="utf-8")
    keys = UpstreamKeys(file)
    assert (keys.of("org/a"), keys.of("org/b")) == ("key-a", "key-of-all")
    for moment, bad in enumerate(("{", "[]", '{"org/a": 1}', '{"org/a": "a\\nb"}', '{"org/a": ""}')):
        file.write_text(bad, encoding="utf-8")
        os.utime(file, (moment, moment))
        assert keys.of("org/a") == "key-a"
    file.write_text("{}", encoding="utf-8")
    assert keys.of("org/a") is None
    assert UpstreamKeys(None).of("org/a") is None


def test_a_lease_counts_from_when_it_was_asked_for() -> None:
    asked_at = time.monotonic() - 14
    lease = Lease(1, asked_at, 15.0)
    assert 0 < lease.remaining_s <= 1
    lease.check()
    lease.renewed(asked_at + 2)
    assert 2 < lease.remaining_s <= 3
    # An answer that comes late does not shorten what a later one gave.
    lease.renewed(asked_at)
    assert lease.remaining_s > 2
    with pytest.raises(LeaseLostError):
        Lease(1, time.monotonic() - 15, 15.0).check()


def test_the_log_is_json_and_does_not_repeat_itself(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        log.set_up("info")
        logger = logging.getLogger("llmops_health.test")
        for number in range(100):
            logger.warning("entry %s failed", number)
        logger.info("something else")
        logger.debug("not wanted")
    finally:
        logging.getLogger().handlers[:] = before
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == ["entry 0 failed", "something else"]
    assert lines[0]["level"] == "warning"

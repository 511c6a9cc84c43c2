# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load generator counts what a real model server answers, and nothing else as a success."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.load import Sample, build, percentile, put_load
from tests.support.model_server import MODEL, ModelServer, build_model_server
from tests.support.ports import free_port


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder."""
    return tmp_path_factory.mktemp("load")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[ModelServer]:
    """Return a server whose answers begin after 50 ms, and go on every 10 ms."""
    settings = {"MODEL_SERVER_TTFT_MS": "50", "MODEL_SERVER_ITL_MS": "10"}
    with ModelServer(build_model_server(folder), folder / "engine.log", **settings) as running:
        yield running.wait_open()


def load(folder: Path, url: str, events: int = 0, **members: Any) -> Sample:
    """Put four connections on the server for 0.4 s."""
    body = folder / "body.json"
    message = {"role": "user", "content": "Hello there"}
    content = {"model": MODEL, "messages": [message], "max_tokens": 5, "ignore_eos": True, **members}
    body.write_text(json.dumps(content), encoding="utf-8")
    return put_load(build(folder), url, body, 4, 0.4, events=events, warm_up_s=0.1)


def test_times_are_those_of_the_server(folder: Path, engine: ModelServer) -> None:
    found = load(folder, f"{engine.url}/v1/chat/completions")
    assert not found.failures
    # One request takes 50 ms or more, so that four connections end at most 32 in 0.4 s.
    assert 4 <= len(found.latencies_s) <= 32
    assert min(found.latencies_s) >= 0.05
    assert not found.first_event_s


def test_a_stream_tells_its_first_event_and_its_end(folder: Path, engine: ModelServer) -> None:
    url = f"{engine.url}/v1/chat/completions"
    whole = engine.chat(stream=True, max_tokens=5, ignore_eos=True)
    found = load(folder, url, len(whole.events), stream=True)
    assert not found.failures
    assert len(found.first_event_s) == len(found.latencies_s) > 0
    assert max(found.first_event_s) < max(found.latencies_s)
    assert set(load(folder, url, len(whole.events) + 1, stream=True).failures) == {
        f"{len(whole.events)} events"
    }


def test_failures_are_no_requests_served(folder: Path, engine: ModelServer) -> None:
    refused = load(folder, f"{engine.url}/v1/chat/completions", model="unknown")
    assert (set(refused.failures), refused.latencies_s) == ({"status 404"}, [])
    nobody = load(folder, f"http://127.0.0.1:{free_port()}/v1/chat/completions")
    assert (set(nobody.failures), nobody.latencies_s) == ({"no connection"}, [])


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's model server speaks vLLM's API: each endpoint of a real process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.model_server import MODEL, ModelServer, chunks, wait_until

ALIAS = "tiny"

# What vLLM's V1 engine exposes, written out so that a renamed metric fails here and not in a dashboard.
GAUGES = {
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:num_requests_waiting_by_reason",
    "vllm:kv_cache_usage_perc",
    "vllm:engine_sleep_state",
    "vllm:lora_requests_info",
    "vllm:cache_config_info",
}
COUNTERS = {
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:num_preemptions_total",
    "vllm:request_success_total",
    "vllm:prefix_cache_queries_total",
    "vllm:prefix_cache_hits_total",
    "vllm:external_prefix_cache_queries_total",
    "vllm:external_prefix_cache_hits_total",
    "http_requests_total",
}
HISTOGRAMS = {
    "vllm:e2e_request_latency_seconds",
    "vllm:time_to_first_token_seconds",
    "vllm:inter_token_latency_seconds",
    "vllm:request_time_per_output_token_seconds",
    "vllm:request_queue_time_seconds",
    "vllm:request_inference_time_seconds",
    "vllm:request_prefill_time_seconds",
    "vllm:request_decode_time_seconds",
    "vllm:request_prompt_tokens",
    "vllm:request_generation_tokens",
    "vllm:request_max_num_generation_tokens",
    "vllm:request_params_n",
    "vllm:request_params_max_tokens",
    "vllm:iteration_tokens_total",
}
REMOVED = (
    "vllm:gpu_cache_usage_perc",
    "vllm:gpu_prefix_cache",
    "vllm:cpu_",
    "vllm:num_requests_swapped",
    "vllm:time_per_output_token_seconds",
)
LATENCY_BUCKETS = [
    0.3,
    0.5,
    0.8,
    1,
    1.5,
    2,
    2.5,
    5,
    10,
    15,
    20,
    30,
    40,
    50,
    60,
    120,
    240,
    480,
    960,
    1920,
    7680,
]


@pytest.fixture(scope="module")
def server(model_server_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """Return a server that most tests share; it has two names and one adapter."""
    log = tmp_path_factory.mktemp("logs") / "shared.log"
    arguments = ["--served-model-name", MODEL, ALIAS, "--max-model-len", "1024", "--enable-lora"]
    arguments += ["--lora-modules", "tuned=/adapters/tuned", "--enable-prompt-tokens-details"]
    arguments += ["--disable-access-log-for-endpoints", "/health,/metrics"]
    with ModelServer(model_server_binary, log, *arguments) as started:
        yield started.wait_open()


@pytest.fixture
def client(server: ModelServer) -> openai.OpenAI:
    """Return an unmodified OpenAI client of the shared server."""
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=10)


HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]


def test_openai_client_chats(client: openai.OpenAI) -> None:
    models = client.models.list().data
    assert [model.id for model in models] == [MODEL, ALIAS, "tuned"]
    answer = client.chat.completions.create(model=ALIAS, messages=HELLO, max_tokens=5)
    assert answer.model == MODEL, "vLLM answers with its first name, whichever it was asked by"
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 5
    again = client.chat.completions.create(model=ALIAS, messages=HELLO, max_tokens=5)
    assert again.choices[0].message.content == answer.choices[0].message.content
    assert again.id != answer.id


def test_openai_client_streams(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert whole.choices[0].finish_reason == "stop"
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    received = list(stream)
    assert received[0].choices[0].delta.role == "assistant"
    assert received[-1].choices == []
    assert received[-1].usage is not None
    assert whole.usage is not None
    assert received[-1].usage.completion_tokens == whole.usage.completion_tokens == 16
    assert received[-2].choices[0].finish_reason == "stop"
    assert all(chunk.choices[0].finish_reason is None for chunk in received[:-2])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in received[:-1])
    assert text == whole.choices[0].message.content
    assert len({chunk.id for chunk in received}) == 1


def test_openai_client_completes_text(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt=["one", "two"], n=2, max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len({choice.text for choice in answer.choices}) == 4
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 16
    stream = client.completions.create(model=MODEL, prompt="one", max_tokens=4, stream=True)
    pieces = list(stream)
    assert "".join(piece.choices[0].text for piece in pieces) == answer.choices[0].text
    assert pieces[-1].choices[0].finish_reason == "length"


def test_openai_client_embeds_text(model_server_binary: Path, tmp_path: Path) -> None:
    settings = {"MODEL_SERVER_KIND": "embedding"}
    with ModelServer(model_server_binary, tmp_path / "log", **settings) as server:
        server.wait_open()
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=10)
        answer = client.embeddings.create(model=MODEL, input=["one", "two"], encoding_format="float")
        assert [item.index for item in answer.data] == [0, 1]
        assert answer.data[0].embedding != answer.data[1].embedding
        # As in vLLM: an embedding model has no path for completions.
        assert server.chat().json == {"detail": "Not Found"}


def test_openai_client_understands_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="The model `nobody` does not exist"):
        client.chat.completions.create(model="nobody", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="maximum context length is 1024 tokens"):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "long " * 2000}])
    with pytest.raises(openai.BadRequestError, match="max_completion_tokens"):
        client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1024)


def test_stream_framing(server: ModelServer) -> None:
    reply = server.chat(stream=True, max_tokens=2)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")
    parts = list(chunks(reply))
    assert [part["object"] for part in parts] == ["chat.completion.chunk"] * 4
    assert parts[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert parts[3]["choices"][0]["finish_reason"] == "length"
    assert all("usage" not in part for part in parts)


def test_stop_and_length_settings(server: ModelServer) -> None:
    text = server.content(server.chat())
    third = text.split()[2]
    stopped = server.chat(stop=[third]).json["choices"][0]
    assert stopped["message"]["content"] == text[: text.index(third)]
    assert (stopped["finish_reason"], stopped["stop_reason"]) == ("stop", third)
    long = server.chat(ignore_eos=True, max_completion_tokens=300).json
    assert (long["usage"]["completion_tokens"], long["choices"][0]["finish_reason"]) == (300, "length")
    tokens = server.post(
        "/tokenize", {"model": MODEL, "prompt": long["choices"][0]["message"]["content"]}
    ).json
    assert tokens["count"] == 300


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/chat/completions", b"{", 400, "JSON decode error"),
        ("/v1/chat/completions", b"[]", 400, "JSON decode error"),
        ("/v1/chat/completions", {"model": MODEL}, 400, "messages must not be empty"),
        ("/v1/chat/completions", {"model": MODEL, "messages": "text"}, 400, "JSON decode error"),
        (
            "/v1/chat/completions",
            {"model": MODEL, "messages": HELLO, "max_tokens": 0},
            400,
            "at least 1, got 0",
        ),
        ("/v1/chat/completions", {"model": MODEL, "messages": HELLO, "n": 0}, 400, "n must be at least 1"),
        ("/v1/chat/completions", {"model": MODEL, "messages": HELLO, "temperature": -1}, 400, "non-negative"),
        ("/v1/chat/completions", {"model": MODEL, "messages": HELLO, "top_p": 2}, 400, "top_p must be in"),
        ("/v1/completions", {"model": MODEL}, 400, "prompt"),
        ("/v1/completions", {"model": MODEL, "prompt": {"a": 1}}, 400, "prompt must be a string"),
        ("/v1/completions", {"model": "../etc", "prompt": "x"}, 404, "The model `../etc` does not exist."),
        ("/tokenize", {"model": MODEL}, 400, "Either prompt or messages"),
        ("/detokenize", {"model": MODEL}, 400, "tokens must be provided"),
    ],
)
def test_bad_requests(server: ModelServer, path: str, body: Any, status: int, message: str) -> None:
    reply = server.post(path, body)
    error = reply.json["error"]
    assert (reply.status, error["code"]) == (status, status)
    assert error["type"] == {400: "BadRequestError", 404: "NotFoundError"}[status]
    assert message in error["message"]


def test_other_requests_are_refused(server: ModelServer) -> None:
    assert server.get("/ready").status == 404
    assert server.get("/nothing").json == {"detail": "Not Found"}
    assert server.get("/v1/completions").status == 405
    typed = server.post("/v1/completions", b"{}", **{"Content-Type": "text/plain"})
    assert (typed.status, "application/json" in typed.text) == (400, True)
    for closed in ("/control", "/sleep", "/v1/load_lora_adapter"):
        assert server.post(closed, {}).status == 404


def test_small_endpoints(server: ModelServer) -> None:
    assert (server.get("/health").status, server.get("/health").text) == (200, "")
    assert server.get("/ping").status == server.post("/ping", {}).status == 200
    assert server.get("/version").json == {"version": "0.18.0"}
    assert server.get("/load").json == {"server_load": 0}
    base, alias, adapter = server.get("/v1/models").json["data"]
    assert (base["id"], base["root"], base["max_model_len"], base["parent"]) == (MODEL, MODEL, 1024, None)
    assert (alias["id"], alias["root"]) == (ALIAS, MODEL)
    assert (adapter["id"], adapter["root"], adapter["parent"]) == ("tuned", "/adapters/tuned", MODEL)
    assert server.chat(model="tuned").json["model"] == "tuned"


def test_tokens_come_back(server: ModelServer) -> None:
    for text in ("", "a", "größer als 3 €, \x00 und 🙂"):
        tokens = server.post("/tokenize", {"model": MODEL, "prompt": text}).json
        assert tokens["count"] == len(tokens["tokens"])
        assert tokens["max_model_len"] == 1024
        assert server.post("/detokenize", {"tokens": tokens["tokens"]}).json == {"prompt": text}
    counted = server.post("/tokenize", {"messages": HELLO}).json["count"]
    assert counted == server.chat(max_tokens=1).json["usage"]["prompt_tokens"]


def test_request_id(server: ModelServer) -> None:
    body = {"model": MODEL, "messages": HELLO}
    reply = server.post("/v1/chat/completions", body, **{"X-Request-Id": 'odd"id'})
    assert reply.headers["x-request-id"] == 'odd"id'
    assert reply.json["id"] == 'chatcmpl-odd"id'
    assert "x-request-id" not in server.chat().headers


def test_metric_names_and_types(server: ModelServer) -> None:
    server.chat()
    text = server.get("/metrics").text
    types = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    expected = dict.fromkeys(GAUGES, "gauge") | dict.fromkeys(COUNTERS, "counter")
    assert types == expected | dict.fromkeys(HISTOGRAMS, "histogram")
    assert not any(name in text for name in REMOVED)
    for sample in server.samples():
        if sample.name.startswith("vllm:") and sample.name not in (
            "vllm:cache_config_info",
            "vllm:lora_requests_info",
        ):
            assert (sample.labels["engine"], sample.labels["model_name"]) == ("0", MODEL)


def test_histograms_are_consistent(server: ModelServer) -> None:
    server.chat(max_tokens=10)
    samples = server.samples()
    for name in HISTOGRAMS:
        buckets = [sample for sample in samples if sample.name == f"{name}_bucket"]
        count = next(sample.value for sample in samples if sample.name == f"{name}_count")
        assert all(low.value <= high.value for low, high in pairwise(buckets)), name
        assert buckets[-1].labels["le"] == "+Inf"
        assert buckets[-1].value == count > 0, name
    bounds = [s.labels["le"] for s in samples if s.name == "vllm:e2e_request_latency_seconds_bucket"]
    assert bounds == [*map(str, map(float, LATENCY_BUCKETS)), "+Inf"]


def test_metrics_count_what_was_served(server: ModelServer) -> None:
    def read() -> dict[str, float]:
        return {
            "prompt": server.metric("vllm:prompt_tokens_total"),
            "generated": server.metric("vllm:generation_tokens_total"),
            "length": server.metric("vllm:request_success_total", finished_reason="length"),
            "stop": server.metric("vllm:request_success_total", finished_reason="stop"),
            "steps": server.metric("vllm:iteration_tokens_total_count"),
            "step_tokens": server.metric("vllm:iteration_tokens_total_sum"),
            "first": server.metric("vllm:time_to_first_token_seconds_count"),
            "inter": server.metric("vllm:inter_token_latency_seconds_count"),
            "e2e": server.metric("vllm:e2e_request_latency_seconds_count"),
            "refused": server.metric("http_requests_total", handler="/v1/chat/completions", status="4xx"),
        }

    server.chat(model="nobody")
    before = read()
    prompt = server.chat(max_tokens=7).json["usage"]["prompt_tokens"]
    list(chunks(server.chat(stream=True)))
    server.chat(model="nobody")
    after = read()
    assert {name: after[name] - before[name] for name in after} == {
        "prompt": 2 * prompt,
        "generated": 7 + 16,
        "length": 1,
        "stop": 1,
        "steps": 7 + 16,
        "step_tokens": 2 * prompt + 7 + 16,
        "first": 2,
        "inter": 6 + 15,
        "e2e": 2,
        "refused": 1,
    }


def test_prefix_cache_is_measured(server: ModelServer) -> None:
    messages = [{"role": "user", "content": "A system prompt of this test alone. " * 20}]
    first = server.chat(messages=messages).json["usage"]
    second = server.chat(messages=messages).json["usage"]
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    cached = second["prompt_tokens_details"]["cached_tokens"]
    assert 0 < second["prompt_tokens"] - cached <= 16
    assert server.metric("vllm:prefix_cache_hits_total") >= cached


def test_access_log(server: ModelServer) -> None:
    server.get("/health")
    server.get("/version")
    wait_until(lambda: '"GET /version HTTP/1.1" 200 OK' in server.log.read_text())
    assert "GET /health" not in server.log.read_text()


def test_key_guards_v1_and_nothing_else(model_server_binary: Path, tmp_path: Path) -> None:
    with ModelServer(model_server_binary, tmp_path / "log", VLLM_API_KEY="secret") as server:
        server.wait_open()
        assert server.get("/v1/models").status == 401
        assert server.get("/v1/models").json == {"error": "Unauthorized"}
        assert server.get("/v1/models", Authorization="Bearer wrong").status == 401
        assert server.get("/v1/models", Authorization="Bearer secret").status == 200
        assert server.chat().status == 401
        assert server.get("/v2/x").status == server.get("/inference/x").status == 401
        assert all(
            server.get(path).status == 200 for path in ("/health", "/ping", "/version", "/load", "/metrics")
        )
        assert server.post("/tokenize", {"prompt": "x"}).status == 200
        assert server.post("/invocations", {"messages": HELLO}).json["object"] == "chat.completion"
        assert "secret" not in server.log.read_text()
    with ModelServer(
        model_server_binary, tmp_path / "log", "--api-key", "one", "two", VLLM_API_KEY="env"
    ) as server:
        server.wait_open()
        codes = [
            server.get("/v1/models", Authorization=f"Bearer {key}").status for key in ("one", "two", "env")
        ]
        assert codes == [200, 200, 401]


def test_lora_adapters_come_and_go(model_server_binary: Path, tmp_path: Path) -> None:
    settings = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
    adapter = {"lora_name": "a1", "lora_path": "/adapters/a1"}
    with ModelServer(model_server_binary, tmp_path / "log", "--enable-lora", **settings) as server:
        server.wait_open()
        assert server.chat(model="a1").status == 404
        loaded = server.post("/v1/load_lora_adapter", adapter)
        assert (loaded.status, loaded.text) == (200, "Success: LoRA adapter 'a1' added successfully.")
        assert "already been loaded" in server.post("/v1/load_lora_adapter", adapter).json["error"]["message"]
        assert server.post("/v1/load_lora_adapter", {"lora_name": "a1"}).status == 400
        assert server.chat(model="a1").json["model"] == "a1"
        assert [model["id"] for model in server.get("/v1/models").json["data"]] == [MODEL, "a1"]
        info = next(sample for sample in server.samples() if sample.name == "vllm:lora_requests_info")
        assert info.labels["running_lora_adapters"] == "a1"
        assert server.post("/v1/unload_lora_adapter", {"lora_name": "a1"}).status == 200
        assert server.post("/v1/unload_lora_adapter", {"lora_name": "a1"}).status == 404
        assert server.chat(model="a1").status == 404
    with ModelServer(model_server_binary, tmp_path / "log", **settings) as server:
        server.wait_open()
        assert "--enable-lora" in server.post("/v1/load_lora_adapter", adapter).json["error"]["message"]


def test_sleep_mode_exists_in_dev_mode_only(model_server_binary: Path, tmp_path: Path) -> None:
    with ModelServer(
        model_server_binary, tmp_path / "log", "--enable-sleep-mode", VLLM_SERVER_DEV_MODE="1"
    ) as server:
        server.wait_open()
        assert server.get("/is_sleeping").json == {"is_sleeping": False}
        assert server.request("POST", "/sleep?level=2").status == 200
        assert server.get("/is_sleeping").json == {"is_sleeping": True}
        assert server.metric("vllm:engine_sleep_state", sleep_state="discard_all") == 1
        assert server.request("POST", "/wake_up").status == 200
        assert server.metric("vllm:engine_sleep_state", sleep_state="awake") == 1


def test_continuous_usage(server: ModelServer) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    parts = list(chunks(server.chat(stream=True, max_tokens=3, stream_options=options)))
    assert [part["usage"]["completion_tokens"] for part in parts] == [0, 1, 2, 3, 3, 3]
    assert json.dumps(parts[-1]["choices"]) == "[]"

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``litellm_models`` against a real LiteLLM proxy that keeps its models in PostgreSQL."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import PlatformError
from ansible_collections.llmops.platform.plugins.module_utils._module import Context, Outcome
from ansible_collections.llmops.platform.plugins.modules import litellm_models
from tests.support.export_registry import Registry
from tests.support.litellm_proxy import MASTER_KEY, LiteLLMProxy
from tests.support.model_server import MODEL, ModelServer
from tests.support.ports import free_port
from tests.support.tls import Pair

#: The first of them installs what it runs, which the cache then keeps.
pytestmark = pytest.mark.timeout(900)

SECOND = "meta-llama/Llama-3.1-8B-Instruct"
NOWHERE = "http://second.models.svc.cluster.local:8000"
FOREIGN = {
    "model_name": MODEL,
    "litellm_params": {"model": "openai/other", "api_base": "http://127.0.0.1:9/v1", "api_key": "none"},
    "model_info": {"id": "somebody-elses"},
}

Export = Callable[..., Outcome]


@pytest.fixture
def export(registry: Registry, proxy: LiteLLMProxy) -> Iterator[Export]:
    """Return a function that runs the module; the proxy has no model of ours before and after."""

    def run(check: bool = False, **changes: Any) -> Outcome:
        arguments = {"dsn": registry.dsn, "environment": "staging", "url": proxy.url, "api_key": MASTER_KEY}
        given = ArgumentSpecValidator(dict(litellm_models.ARGUMENT_SPEC)).validate({**arguments, **changes})
        assert not given.error_messages
        return litellm_models.run(given.validated_parameters, Context(check_mode=check, diff=True))

    yield run
    run(state="absent")
    assert proxy.call("/model/info") == (200, {"data": []})


def actions(outcome: Outcome) -> dict[str, str]:
    """Return the actions by model."""
    return {line["model"]: line["action"] for line in outcome.result["models"]}


def ask(proxy: LiteLLMProxy, model: str) -> int:
    """Ask for a completion; return the status."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 4}
    return proxy.call("/v1/chat/completions", body)[0]


def test_the_proxy_follows_the_registry(
    export: Export, registry: Registry, proxy: LiteLLMProxy, engine: ModelServer
) -> None:
    registry.put(MODEL, engine.url)
    registry.put(SECOND, NOWHERE)
    registry.put("not/ready", NOWHERE, status="degraded")
    registry.put("other/environment", NOWHERE, environment="production")
    everything = {MODEL: "create", SECOND: "create"}

    planned = export(check=True)
    assert (planned.changed, actions(planned)) == (True, everything)
    assert proxy.call("/model/info") == (200, {"data": []})

    done = export()
    assert (done.changed, actions(done)) == (True, everything)
    assert planned.diff == done.diff
    assert ask(proxy, MODEL) == 200

    again = export()
    assert (again.changed, actions(again)) == (False, {MODEL: "none", SECOND: "none"})

    # A disabled model is gone from the proxy when the module returns; one that moved is reached anew.
    registry.put(MODEL, engine.url, status="draining")
    registry.put(SECOND, engine.url)
    moved = export()
    assert actions(moved) == {MODEL: "delete", SECOND: "update"}
    assert ask(proxy, MODEL) == 400
    listed = [(item["model_name"], item["litellm_params"]["api_base"]) for item in models(proxy)]
    assert listed == [(SECOND, f"{engine.url}/v1")]

    assert actions(export(litellm_params={"rpm": 7})) == {SECOND: "update"}
    assert [item["litellm_params"]["rpm"] for item in models(proxy)] == [7]
    assert actions(export(litellm_params={"rpm": 7}, upstream_api_key="sk-engine")) == {SECOND: "update"}
    assert actions(export()) == {SECOND: "update"}
    assert "rpm" not in models(proxy)[0]["litellm_params"]


def models(proxy: LiteLLMProxy) -> list[dict[str, Any]]:
    """Return what the proxy has."""
    listed: list[dict[str, Any]] = proxy.call("/model/info")[1]["data"]
    return listed


def test_models_of_others_are_left_alone(
    export: Export, registry: Registry, proxy: LiteLLMProxy, engine: ModelServer
) -> None:
    registry.put(MODEL, engine.url)
    registry.put(SECOND, NOWHERE, environment="production")
    export(environment="production")
    assert proxy.call("/model/new", FOREIGN)[0] == 200
    try:
        done = export()
        assert done.result["foreign"] == [MODEL]
        assert [MODEL in warning for warning in done.warnings] == [True]
        assert actions(export(state="absent")) == {MODEL: "delete"}
        ids = {item["model_info"]["id"] for item in models(proxy)}
        assert "somebody-elses" in ids
        assert len(ids) == 2
    finally:
        proxy.call("/model/delete", {"id": "somebody-elses"})
        export(environment="production", state="absent")


def test_a_model_that_another_run_made_or_deleted_meanwhile_is_no_error(
    export: Export, registry: Registry, proxy: LiteLLMProxy, engine: ModelServer
) -> None:
    registry.put(MODEL, engine.url)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            export()
        except PlatformError as error:
            failures.append(error)

    for _ in range(3):
        runs = [threading.Thread(target=run) for _ in range(4)]
        for thread in runs:
            thread.start()
        for thread in runs:
            thread.join()
        assert not failures
        assert [item["model_name"] for item in models(proxy)] == [MODEL]
        export(state="absent")


def test_a_registry_that_does_not_answer_deletes_nothing(
    export: Export, registry: Registry, proxy: LiteLLMProxy, engine: ModelServer
) -> None:
    registry.put(MODEL, engine.url)
    export()
    with pytest.raises(PlatformError) as caught:
        export(dsn=f"postgresql://nobody@127.0.0.1:{free_port()}/none", timeout=2)
    assert caught.value.error_class == "infrastructure"
    assert [item["model_name"] for item in models(proxy)] == [MODEL]


def test_a_wrong_key_is_told_and_not_shown(export: Export, registry: Registry) -> None:
    registry.put(SECOND, NOWHERE)
    with pytest.raises(PlatformError) as caught:
        export(api_key="sk-wr0ng-canary")
    assert caught.value.error_class == "auth"
    assert "api_key" in caught.value.resolution
    assert "canary" not in str(caught.value)


def test_keys_of_servers_are_neither_shown_nor_listed(
    export: Export, registry: Registry, proxy: LiteLLMProxy
) -> None:
    registry.put(SECOND, NOWHERE)
    done = export(upstream_api_key="sk-engine-canary")
    assert "canary" not in repr(done)
    assert "canary" not in str(models(proxy))


@pytest.mark.parametrize(
    ("url", "error_class"),
    [
        ("litellm.example.com", "invalid"),
        ("http://user:canary@127.0.0.1:1", "invalid"),
        ("http://127.0.0.1:1", "infrastructure"),
    ],
)
def test_wrong_addresses(export: Export, registry: Registry, url: str, error_class: str) -> None:
    registry.put(SECOND, NOWHERE)
    with pytest.raises(PlatformError) as caught:
        export(url=url, timeout=1)
    assert caught.value.error_class == error_class
    assert "canary" not in str(caught.value)


def test_another_server_is_not_taken_for_a_proxy(export: Export, engine: ModelServer) -> None:
    with pytest.raises(PlatformError) as caught:
        export(url=engine.url)
    assert caught.value.error_class == "invalid"
    assert "no LiteLLM proxy" in str(caught.value)


class _Silent(BaseHTTPRequestHandler):
    """Answers nothing until the test is over."""

    over = threading.Event()

    def do_GET(self) -> None:
        """Wait."""
        self.over.wait(20)


@contextmanager
def silent_server(certificate: Path | None = None) -> Iterator[int]:
    """Run a server that accepts requests and does not answer; yield its port."""
    server = HTTPServer(("127.0.0.1", 0), _Silent)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    _Silent.over.clear()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        _Silent.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_proxy_that_hangs_is_left_in_time(export: Export) -> None:
    with silent_server() as port, pytest.raises(PlatformError) as caught:
        export(url=f"http://127.0.0.1:{port}", timeout=1)
    assert caught.value.error_class == "timeout"


def test_a_certificate_has_to_be_trusted(export: Export, tmp_path: Path) -> None:
    certificate = Pair.issue("proxy").write(tmp_path, "proxy")
    with silent_server(certificate) as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(PlatformError) as caught:
            export(url=url, timeout=1)
        assert caught.value.error_class == "auth"
        # With the authority known, the server is asked; it does not answer.
        for trust in ({"ca_cert": str(certificate)}, {"validate_certs": False}):
            with pytest.raises(PlatformError) as caught:
                export(url=url, timeout=1, **trust)
            assert caught.value.error_class == "timeout"

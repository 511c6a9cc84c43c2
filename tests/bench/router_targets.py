# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways to one model server that are compared: direct, through our router, and through others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.litellm_proxy import MASTER_KEY, Installation, LiteLLMProxy
from tests.support.model_server import MODEL, ModelServer
from tests.support.playbooks import ROOT
from tests.support.ports import free_port
from tests.support.router_process import RouterProcess

DIRECT, OURS, PASSTHROUGH = "direct", "our router", "bare pass-through"
LITELLM, VLLM_ROUTER = "LiteLLM proxy", "vllm-router"
_START_TIMEOUT_S = 30


@dataclass(frozen=True)
class Target:
    """Where requests are sent, and the key that they carry."""

    name: str
    url: str
    key: str = ""


@contextmanager
def all_targets(
    engine: ModelServer, folder: Path, dsn: str, redis_url: str, litellm: Installation | None
) -> Iterator[list[Target]]:
    """Start everything, one process each; without ``litellm`` only ours and the pass-through."""
    with ExitStack() as running:
        settings = {"redis_url": redis_url, "redis_prefix": folder.name, "environment": "development"}
        router = running.enter_context(RouterProcess("bench", folder, dsn, **settings))
        targets = [Target(DIRECT, engine.url), Target(OURS, router.url)]
        targets.append(running.enter_context(_passthrough(engine, folder)))
        if litellm is not None:
            targets.append(running.enter_context(_vllm_router(litellm, engine, folder)))
            served = {"model": f"hosted_vllm/{MODEL}", "api_base": f"{engine.url}/v1", "api_key": "none"}
            models = [{"model_name": MODEL, "litellm_params": served}]
            # Its best case: without a database there is nothing to write about each request.
            proxy = running.enter_context(LiteLLMProxy(litellm, folder, models=models))
            targets.append(Target(LITELLM, proxy.url, MASTER_KEY))
        router.wait_ready()
        yield targets


@contextmanager
def _passthrough(engine: ModelServer, folder: Path) -> Iterator[Target]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.bench.passthrough:app", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    with _process(command, folder / "passthrough.log", {"PASSTHROUGH_UPSTREAM": engine.url}, port):
        yield Target(PASSTHROUGH, f"http://127.0.0.1:{port}")


@contextmanager
def _vllm_router(installation: Installation, engine: ModelServer, folder: Path) -> Iterator[Target]:
    port = free_port()
    command = [str(installation.folder / "bin/vllm-router"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--worker-urls", engine.url, "--policy", "round_robin", "--log-level", "error"]
    command += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
    command += ["--max-concurrent-requests", "1024"]
    with _process(command, folder / "vllm-router.log", {}, port):
        yield Target(VLLM_ROUTER, f"http://127.0.0.1:{port}")


@contextmanager
def _process(command: Sequence[str], log: Path, environment: Mapping[str, str], port: int) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"{command[0]} does not serve:\n{log.read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    """Tell whether a chat completion comes through."""
    body = f'{{"model": "{MODEL}", "max_tokens": 1, "messages": [{{"role": "user", "content": "x"}}]}}'
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        data=body.encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            status: int = answer.status
            return status == 200
    except OSError:
        return False

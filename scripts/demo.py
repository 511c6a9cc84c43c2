#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how a version comes from staging to production, and how a bad one takes itself back."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psycopg2
import yaml

STAGING, PRODUCTION = "staging", "production"
INVENTORY = "inventories/local"
#: The model that is promoted: host in the inventory, and its name.
HOST, MODEL = "llama-3-8b", "meta-llama/Llama-3.1-8B-Instruct"
#: Another one in each demo: what is there needs no promotion, and what failed once is not promoted twice.
VERSION = {"sizeBillions": 8, "maxModelLen": 1024 + int(time.time()) % 100000}
QUESTION = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}


def run(lab: Path, *command: str) -> str:
    """Run a program as production's deployer, whose kubeconfig the environment's playbook has written."""
    environment = {**os.environ, "KUBECONFIG": str(lab / "deployer-production.kubeconfig")}
    arguments = [str(lab / "bin" / command[0]), *command[1:]]
    return subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout


class Clients:
    """Asks the router for the model again and again while something else goes on; a context manager."""

    def __init__(self, router: str) -> None:
        """Take the router's address; nothing is asked yet."""
        self._router = router
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._answers: list[str] = []

    def __enter__(self) -> Clients:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def __str__(self) -> str:
        good = sum(answer.startswith("200") for answer in self._answers)
        return f"meanwhile {good} of {len(self._answers)} requests through the router were answered"

    def _ask(self) -> None:
        while not self._over.wait(0.05):
            self._answers.append(ask(self._router, MODEL))


def play(playbook: str, where: str, *arguments: str, status: int = 0, since: str | None = None) -> None:
    """Run a playbook for the one model; show the command, its steps from one on, its end and its seconds."""
    chosen = ["-e", f"lab_environment={where}", "--limit", HOST, *arguments]
    command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", INVENTORY, *chosen]
    title(f"$ {shlex.join(command)}")
    began = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    took = time.monotonic() - began
    if done.returncode != status:
        sys.exit(done.stdout + done.stderr)
    # Each line of progress begins with the host and the release.
    steps = "\n".join(re.findall(rf"^{HOST}: \S+: (.*)$", done.stderr, re.MULTILINE))
    if since is not None:
        print(steps[max(0, steps.find(since)) :])
    print(f"{report(done)}\n({took:.1f} s)", flush=True)


def report(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a playbook reports at its end, or why it failed."""
    said = done.stdout + done.stderr
    failed = re.search(r"^\[ERROR\]: Task failed: Action failed: (.*)$", said, re.MULTILINE)
    if failed:
        return failed[1]
    found = re.search(r"^ok: [^\n]*=> ?\n(    msg: .*?)(?=\n\n)", done.stdout, re.DOTALL | re.MULTILINE)
    return str(yaml.safe_load(found[1])["msg"]).rstrip() if found else done.stdout


def as_person(name: str) -> list[str]:
    """Return arguments that act for somebody, as AWX does for who is logged in."""
    return ["-e", f"promotion_actor={name}"]


def with_values(values: Mapping[str, object]) -> list[str]:
    """Return arguments that deploy the model with other values of the chart than those of the inventory."""
    return ["-e", json.dumps({"vllm_values": values})]


def title(text: str) -> None:
    """Print the title of a section."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(name: str, text: str) -> None:
    """Print one section."""
    title(name)
    print(text.rstrip(), flush=True)


def address(lab: Path, service: str) -> str:
    """Return the address of a Service in production, which the lab's node can reach."""
    return run(
        lab, "kubectl", "-n", "llm-production", "get", "service", service, "-o", "jsonpath={.spec.clusterIP}"
    )


def ask(router: str, model: str) -> str:
    """Ask for a completion by the model's name; return the status and what was answered."""
    request = urllib.request.Request(
        f"{router}/v1/chat/completions",
        json.dumps({"model": model, **QUESTION}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return f"{answer.status}  {model}: {json.load(answer)['choices'][0]['message']['content']}"
    except urllib.error.HTTPError as refused:
        return f"{refused.code}  {json.dumps(json.load(refused)['error'])}"
    except OSError as error:
        return f"no answer: {error}"


def first_promotion(lab: Path, router: str) -> None:
    """Bring what staging runs to production, once somebody else has approved it."""
    play("deploy", STAGING, *with_values({"model": VERSION}))
    play("promote", PRODUCTION, *as_person("alice"), status=2)
    play("approve", PRODUCTION, *as_person("bob"), "-e", "reason=OPS-7")
    play("promote", PRODUCTION, *as_person("alice"), since="gate ")
    show("$ kubectl get pods", run(lab, "kubectl", "get", "pods", "-n", "llm-production", "-o", "wide"))
    answer = ask(router, MODEL)
    show(f"POST {router}/v1/chat/completions", answer)
    if not answer.startswith("200"):
        sys.exit("The router did not follow the registry.")


def bad_version(router: str) -> None:
    """Promote a version that serves in staging, and fails under the load of production."""
    # What failed once is not promoted twice, so each demo has its own.
    env = {
        "MODEL_SERVER_FAULT": "http-500",
        "MODEL_SERVER_FAULT_AFTER": "30",
    }
    extra = [{"name": name, "value": value} for name, value in env.items()]
    play("deploy", STAGING, *with_values({"model": {**VERSION, "extraEnv": extra}}))
    with Clients(router) as clients:
        # One pod, and time for clients to come to it: the router keeps its connections to the old ones
        # until these close, 15 s after they were told to end.
        watched = {"vllm_values": {"replicas": 1}, "promotion_watch": {"period_s": 40, "interval_s": 1}}
        given = ["-e", json.dumps(watched), "-e", "lab_approval=false"]
        play("promote", PRODUCTION, *given, status=2, since="watching")
    print(clients, flush=True)


def main() -> None:
    """Promote, ask, and promote what takes itself back; show each with its seconds."""
    lab = Path(sys.argv[1] if len(sys.argv) > 1 else "/var/lib/llmops-lab")
    router = f"http://{address(lab, 'router')}"
    first_promotion(lab, router)
    bad_version(router)
    show("Registry (model_registry_entries)", registry_rows(lab))


def registry_rows(lab: Path) -> str:
    """Return what the registry says of the model."""
    with psycopg2.connect((lab / "registry.dsn").read_text().strip()) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT deployment_environment, deployment_status, deployment_endpoint, release_revision"
            " FROM model_registry_entries WHERE model_name = %s ORDER BY deployment_environment DESC",
            (MODEL,),
        )
        rows = cursor.fetchall()
    return "\n".join(
        f"{place}: {status}  {url}  revision {revision}" for place, status, url, revision in rows
    )


if __name__ == "__main__":
    main()

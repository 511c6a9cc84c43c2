#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show what ``make demo`` made, as anybody would look at it, and how a model goes back."""

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

NAMESPACE = "llm-development"
INVENTORY = "inventories/local"
#: The model that is taken from clients, given back and changed: host in the inventory, and its name.
HOST, MODEL = "llama-3-8b", "meta-llama/Llama-3.1-8B-Instruct"
QUESTION = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}


def run(lab: Path, *command: str) -> str:
    """Run a program of the lab as the deployer, whose kubeconfig the environment's playbook has written."""
    environment = {**os.environ, "KUBECONFIG": str(lab / "deployer.kubeconfig")}
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
        while not self._over.wait(0.1):
            self._answers.append(ask(self._router, MODEL))


def run_playbook(playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook for the one model, and show the command."""
    command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", INVENTORY, "--limit", HOST, *arguments]
    title(f"$ {shlex.join(command)}")
    return subprocess.run(command, check=False, capture_output=True, text=True)


def play(playbook: str, *arguments: str) -> None:
    """Run a playbook and show its report."""
    began = time.monotonic()
    done = run_playbook(playbook, *arguments)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    print(f"{report(done)}\n({time.monotonic() - began:.1f} s)", flush=True)


def change(router: str, playbook: str, *arguments: str, since: str, status: int = 0) -> None:
    """Run a playbook that changes the model while clients ask for it; show how it went from a step on."""
    began = time.monotonic()
    with Clients(router) as clients:
        done = run_playbook(playbook, *arguments)
    took = time.monotonic() - began
    if done.returncode != status:
        sys.exit(done.stdout + done.stderr)
    # Each line of progress begins with the host and the release.
    steps = "\n".join(re.findall(rf"^{HOST}: \S+: (.*)$", done.stderr, re.MULTILINE))
    print(f"{steps[max(0, steps.find(since)) :]}\n{report(done)}\n({took:.1f} s; {clients})", flush=True)


def report(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a playbook reports at its end."""
    found = re.search(r"^ok: [^\n]*=> ?\n(    msg: .*?)(?=\n\n)", done.stdout, re.DOTALL | re.MULTILINE)
    return str(yaml.safe_load(found[1])["msg"]).rstrip() if found else done.stdout


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
    """Return the address of a Service, which the lab's node can reach."""
    return run(lab, "kubectl", "-n", NAMESPACE, "get", "service", service, "-o", "jsonpath={.spec.clusterIP}")


def models(router: str) -> list[str]:
    """Return the models that the router offers."""
    with urllib.request.urlopen(f"{router}/v1/models", timeout=10) as answer:
        return [entry["id"] for entry in json.load(answer)["data"]]


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


def go_back(router: str) -> None:
    """Show a version that does not serve, which is undone, and one that serves, which is gone back from."""
    size = {"sizeBillions": 8}
    # An image that nobody has built. What failed once is not undone twice, so each demo has its own.
    bad = with_values({"model": size, "image": {"tag": time.strftime("nightly-%Y%m%d-%H%M%S")}})
    undo = ["-e", "vllm_rollback_on_failure=true"]
    change(router, "deploy", *undo, *bad, since="does not serve", status=2)
    # Nor is what a rollback gave up deployed again by accident.
    longer = 1024 + int(time.time()) % 4096
    play("deploy", *with_values({"model": {**size, "maxModelLen": longer}}))
    change(router, "rollback", "-e", "reason=answers are cut off", since="from revision")


def main() -> None:
    """Show releases, pods, registry, and answers, then how a model is disabled, and how it goes back."""
    lab = Path(sys.argv[1] if len(sys.argv) > 1 else "/var/lib/llmops-lab")
    router = f"http://{address(lab, 'router')}"
    reason = ["-e", "reason=demo"]
    if MODEL not in models(router):
        # A demo that was interrupted left it so, and no deployment gives back what a person took away.
        play("enable", *reason)
    show("$ helm list", run(lab, "helm", "-n", NAMESPACE, "list"))
    show("$ kubectl get pods", run(lab, "kubectl", "-n", NAMESPACE, "get", "pods", "-o", "wide"))
    with psycopg2.connect((lab / "registry.dsn").read_text().strip()) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT model_name, deployment_status, deployment_endpoint, release_revision"
            " FROM model_registry_entries WHERE deployment_namespace = %s ORDER BY model_name",
            (NAMESPACE,),
        )
        rows = cursor.fetchall()
    show(
        "Registry (model_registry_entries)",
        "\n".join(f"{model}  {status}  {url}  revision {revision}" for model, status, url, revision in rows),
    )
    post = f"POST {router}/v1/chat/completions"
    show(f"{post}, by name", "\n".join(ask(router, model) for model in models(router)))
    play("disable", *reason)
    refused = ask(router, MODEL)
    show(post, refused)
    play("enable", *reason)
    answered = ask(router, MODEL)
    show(post, answered)
    if not (refused.startswith("404") and answered.startswith("200")):
        sys.exit("The router did not follow the registry.")
    go_back(router)


if __name__ == "__main__":
    main()

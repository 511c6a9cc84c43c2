#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show what ``make demo`` made, with the commands that anybody would use to look."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg2
import yaml

NAMESPACE = "llm-development"
INVENTORY = "inventories/local"
#: The model that is taken from clients and given back: host in the inventory, and its name.
HOST, MODEL = "llama-3-8b", "meta-llama/Llama-3.1-8B-Instruct"
QUESTION = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}


def run(lab: Path, *command: str) -> str:
    """Run a program of the lab as the deployer, whose kubeconfig the environment's playbook has written."""
    environment = {**os.environ, "KUBECONFIG": str(lab / "deployer.kubeconfig")}
    arguments = [str(lab / "bin" / command[0]), *command[1:]]
    return subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout


def play(playbook: str) -> str:
    """Run a playbook for the one model and return its report."""
    command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", INVENTORY, "--limit", HOST]
    command += ["-e", "reason=demo"]
    began = time.monotonic()
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode != 0:
        sys.exit(finished.stdout + finished.stderr)
    report = re.search(r"^    msg: .*?(?=\n\n)", finished.stdout, re.DOTALL | re.MULTILINE)
    told = yaml.safe_load(report[0])["msg"] if report else finished.stdout
    show(f"$ {' '.join(command)}", f"{told}\n({time.monotonic() - began:.1f} s)")
    return str(told)


def show(title: str, text: str) -> None:
    """Print one section."""
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}")
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


def main() -> None:
    """Show releases, pods, registry, and answers through the router, before and after a model is disabled."""
    lab = Path(sys.argv[1] if len(sys.argv) > 1 else "/var/lib/llmops-lab")
    router = f"http://{address(lab, 'router')}"
    if MODEL not in models(router):
        # A demo that was interrupted left it so, and no deployment gives back what a person took away.
        play("enable")
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
    title = f"POST {router}/v1/chat/completions"
    show(f"{title}, by name", "\n".join(ask(router, model) for model in models(router)))
    play("disable")
    refused = ask(router, MODEL)
    show(title, refused)
    play("enable")
    answered = ask(router, MODEL)
    show(title, answered)
    if not (refused.startswith("404") and answered.startswith("200")):
        sys.exit("The router did not follow the registry.")


if __name__ == "__main__":
    main()

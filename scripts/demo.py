#!/usr/bin/env python3
# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show what ``make demo`` made, with the commands that anybody would use to look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import psycopg2

NAMESPACE = "llm-development"
QUESTION = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}


def run(lab: Path, *command: str) -> str:
    """Run a program of the lab against its cluster and return what it prints."""
    environment = {**os.environ, "KUBECONFIG": str(lab / "kubeconfig")}
    arguments = [str(lab / "bin" / command[0]), *command[1:]]
    return subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout


def show(title: str, text: str) -> None:
    """Print one section."""
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}")
    print(text.rstrip())


def ask(lab: Path, service: str, model: str) -> str:
    """Ask a model for a completion at its Service's address, which the lab's node can reach."""
    address = run(
        lab, "kubectl", "-n", NAMESPACE, "get", "service", service, "-o", "jsonpath={.spec.clusterIP}"
    )
    request = urllib.request.Request(
        f"http://{address}:8000/v1/chat/completions",
        json.dumps({"model": model, **QUESTION}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        message = json.load(answer)["choices"][0]["message"]["content"]
    return f"{model}: {message}"


def main() -> None:
    """Show releases, pods, registry and an answer of each model."""
    lab = Path(sys.argv[1] if len(sys.argv) > 1 else "/var/lib/llmops-lab")
    show("$ helm list", run(lab, "helm", "-n", NAMESPACE, "list"))
    show("$ kubectl get pods", run(lab, "kubectl", "-n", NAMESPACE, "get", "pods", "-o", "wide"))
    with psycopg2.connect((lab / "registry.dsn").read_text().strip()) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT model_name, deployment_status, deployment_endpoint, release_name, release_revision"
            " FROM model_registry_entries WHERE deployment_namespace = %s ORDER BY model_name",
            (NAMESPACE,),
        )
        rows = cursor.fetchall()
    show(
        "Registry (model_registry_entries)",
        "\n".join(
            f"{model}  {status}  {url}  revision {revision}" for model, status, url, _, revision in rows
        ),
    )
    show("Completions", "\n".join(ask(lab, service, model) for model, _, _, service, _ in rows))


if __name__ == "__main__":
    main()

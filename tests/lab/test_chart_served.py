# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the chart renders is installed by plain helm, and the model answers by its name."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.chart import CHART, as_yaml
from tests.support.kubectl import Kubectl
from tests.support.lab import Lab
from tests.support.models import QUICK_VALUES


@pytest.mark.parametrize("helm", ["helm", pytest.param("helm3", marks=pytest.mark.full)])
def test_a_hostile_name_is_served_after_install_and_update(
    lab: Lab, kubectl: Kubectl, restricted: str, helm: str
) -> None:
    """Install by plain helm, let ``helm test`` ask by that name, then update without a spare GPU."""
    name = "org/$(HOME) $$(X) {{ .Values }} \"q\" 'r' 模型 😀"
    values = {
        **QUICK_VALUES,
        "model": {"name": name},
        "drain": {"preStopSeconds": 1, "shutdownTimeoutSeconds": 1, "marginSeconds": 1},
        "test": {
            "image": "llmops.local/model-server:0.1.0",
            "command": ["/model-server"],
            "args": ["chat", "$(SERVICE_URL)", "$(SERVED_MODEL)"],
        },
    }  # fmt: skip
    release = "hostile-development"
    binary = str(lab.binary(helm))
    environment = {**os.environ, "KUBECONFIG": kubectl.kubeconfig}

    def run_helm(*arguments: str, stdin: str = "") -> str:
        finished = subprocess.run(
            [binary, *arguments, "--namespace", restricted],
            input=stdin,
            env=environment,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=180,
        )
        assert finished.returncode == 0, finished.stderr
        assert "would violate PodSecurity" not in finished.stderr
        return finished.stdout

    for annotation in ("first", "second"):
        given = as_yaml({**values, "podAnnotations": {"example.org/change": annotation}})
        run_helm("upgrade", "--install", release, str(CHART), "--values", "-", stdin=given)
        status = kubectl.run(
            "rollout", "status", f"deployment/{release}", "--namespace", restricted, "--timeout=90s"
        )
        assert status.returncode == 0, status.stdout + status.stderr
        assert "Phase:          Succeeded" in run_helm("test", release, "--timeout", "60s")
    run_helm("uninstall", release)

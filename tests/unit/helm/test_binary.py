# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How helm is called, what its words mean, and that nothing of it outlives us.

The messages were written by real helm binaries; small scripts stand in where a helm has to hang or to be old.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import Authentication
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.common.permit import Permit
from ansible_collections.llmops.platform.plugins.module_utils._core.helm.binary import (
    Helm,
    ReleaseSpec,
    _failure,
)
from tests.support.playbooks import ROOT

CANARY = "Canary7Xq9ZpL2vWm4Tn"


def script(folder: Path, body: str, version: str = "v4.3.1") -> Path:
    """Write a program that tells a version and otherwise does what the body says."""
    path = folder / "helm"
    path.write_text(f'#!/bin/sh\nif [ "$1" = version ]; then echo "{version}"; exit; fi\n{body}\n', "utf-8")
    path.chmod(0o755)
    return path


def helm(binary: Path | str, host: str | None = None) -> Helm:
    return Helm(str(binary), Authentication(kubeconfig=os.devnull, host=host))


def spec(tmp_path: Path, **changes: object) -> ReleaseSpec:
    fields = {
        "name": "llama-staging",
        "namespace": "llm",
        "chart": tmp_path / "chart",
        "values_files": (tmp_path / "values.yaml",),
        "values": {"model": {"name": CANARY}},
        **changes,
    }
    return ReleaseSpec(**fields)  # type: ignore[arg-type]


def recorded(tmp_path: Path) -> list[str]:
    return (tmp_path / "argv").read_text("utf-8").split("\0")[:-1]


RECORD = 'cd "$(dirname "$0")"; printf "%s\\0" "$@" > argv; cat > stdin; env > env'


def test_values_travel_on_standard_input_only(tmp_path: Path) -> None:
    helm(script(tmp_path, RECORD)).upgrade(spec(tmp_path), Deadline(60), "by hand")
    arguments = recorded(tmp_path)
    assert CANARY not in " ".join(arguments)
    assert json.loads((tmp_path / "stdin").read_text("utf-8")) == {"model": {"name": CANARY}}
    assert arguments[:3] == ["upgrade", "--install", "--history-max"]
    assert arguments[arguments.index("--description") + 1] == "by hand"
    assert arguments[-4:] == ["-", "--", "llama-staging", str(tmp_path / "chart")]
    assert arguments[-7:-4] == ["--values", str(tmp_path / "values.yaml"), "--values"]


@pytest.mark.parametrize(
    ("version", "flags"),
    [("v4.1.4", ["--wait=hookOnly", "--disable-openapi-validation"]), ("v3.20.2", [])],
)
def test_flags_fit_the_version(tmp_path: Path, version: str, flags: list[str]) -> None:
    helm(script(tmp_path, RECORD, version)).upgrade(spec(tmp_path, create_namespace=True), Deadline(60), "x")
    arguments = recorded(tmp_path)
    assert [item for item in arguments if item.startswith(("--wait", "--disable"))] == flags
    assert "--create-namespace" in arguments
    # Their undo removes the evidence, and a good release after a passing fault.
    assert not {"--atomic", "--rollback-on-failure", "--force", "--force-replace", "--set"} & set(arguments)


def test_positional_arguments_cannot_be_read_as_options(tmp_path: Path) -> None:
    runner = helm(script(tmp_path, RECORD))
    for call in (
        lambda: runner.upgrade(spec(tmp_path, name="--post-renderer=x", chart=Path("-x")), Deadline(9), ""),
        lambda: runner.template(spec(tmp_path, name="--post-renderer=x", chart=Path("-x")), Deadline(9)),
        lambda: runner.uninstall("--post-renderer=x", "llm", Deadline(9)),
    ):
        call()
        arguments = recorded(tmp_path)
        assert arguments.index("--") < arguments.index("--post-renderer=x")


def test_environment_is_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELM_KUBETOKEN", "HELM_KUBECONTEXT", "HELM_KUBEASUSER"):
        monkeypatch.setenv(name, "stray")
    monkeypatch.setenv("HELM_DRIVER", "configmap")
    monkeypatch.setenv("KUBECONFIG", "/stray")
    given = Authentication(host="https://h:1", api_key=CANARY, ca_cert="/ca", validate_certs=False)
    Helm(str(script(tmp_path, RECORD)), given).uninstall("x", "llm", Deadline(60))
    environment = dict(
        line.split("=", 1) for line in (tmp_path / "env").read_text("utf-8").splitlines() if "=" in line
    )
    assert {name: value for name, value in environment.items() if name.startswith(("HELM_", "KUBE"))} == {
        "HELM_DRIVER": "secret",
        "HELM_KUBEAPISERVER": "https://h:1",
        "HELM_KUBETOKEN": CANARY,
        "HELM_KUBECAFILE": "/ca",
        "HELM_KUBEINSECURE_SKIP_TLS_VERIFY": "true",
        # A kubeconfig that is around must not add its certificates to this address.
        "KUBECONFIG": os.devnull,
    }
    assert CANARY not in " ".join(recorded(tmp_path))


def test_groups_with_commas_stay_whole(tmp_path: Path) -> None:
    """In the environment, where helm takes them too, a comma would make two of one."""
    given = Authentication(host="https://h", impersonate_user="-x", impersonate_groups=("cn=a,ou=b", "c"))
    Helm(str(script(tmp_path, RECORD)), given).uninstall("x", "llm", Deadline(60))
    assert recorded(tmp_path)[:4] == [
        "uninstall",
        "--kube-as-user=-x",
        "--kube-as-group=cn=a,ou=b",
        "--kube-as-group=c",
    ]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v4.3.1", (4, 3, 1)),
        ("v4.1.4+g05fa379", (4, 1, 4)),
        ("v3.20.2+gabcdef0", (3, 20, 2)),
        ('version.BuildInfo{Version:"v3.22.0", GitCommit:"x"}', (3, 22, 0)),
    ],
)
def test_versions_are_understood(tmp_path: Path, text: str, version: tuple[int, int, int]) -> None:
    path = script(tmp_path, "exit 1")
    path.write_text(f"#!/bin/sh\necho '{text}'\n", "utf-8")
    assert helm(path).check_version() == version


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("v3.20.1", "is Helm 3.20.1, which is not supported"),
        ("v4.1.3", "is Helm 4.1.3, which is not supported"),
        ("v2.17.0", "is Helm 2.17.0, which is not supported"),
        ("v5.0.0", "is Helm 5.0.0, which is not supported"),
        ("hello", "does not tell a Helm version"),
    ],
)
def test_unsupported_binaries_are_refused(tmp_path: Path, version: str, problem: str) -> None:
    with pytest.raises(PlatformError, match=problem) as caught:
        helm(script(tmp_path, "exit 1", version)).check_version()
    assert caught.value.error_class is ErrorClass.INVALID
    assert caught.value.details["field"] == "helm_binary"


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="is not an executable"):
        helm(tmp_path / "missing")
    path = tmp_path / "text"
    path.write_text("no program\n", "utf-8")
    path.chmod(0o755)
    path.write_bytes(b"\x7fELFbroken")
    with pytest.raises(PlatformError, match="cannot be run"):
        helm(path).check_version()


def test_certificates_without_a_kubeconfig_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="client_cert"):
        Helm(str(script(tmp_path, "")), Authentication(host="https://h", client_cert="/c", client_key="/k"))


UNREACHABLE = 'kubernetes cluster unreachable: Get "https://h:6443/version": '


FOREIGN = 'x" in namespace "llm" exists and cannot be imported into the current release: invalid ownership'
CONFLICT = 'Apply failed with 1 conflict: conflict with "kubectl-patch" using v1: .data.a'
MESSAGES: tuple[tuple[ErrorClass, str], ...] = (
    (
        ErrorClass.INVALID,
        """values don't meet the specifications of the schema(s) in the following chart(s):
vllm-deployment:
- at '/replicas': got string, want integer""",
    ),
    (ErrorClass.INVALID, "execution error at (vllm-deployment/templates/deployment.yaml:1:4): no way"),
    (ErrorClass.INVALID, "parse error at (tiny/templates/a.yaml:5): unexpected EOF"),
    (ErrorClass.INVALID, "YAML parse error on tiny/a.yaml: error converting YAML to JSON: yaml: line 4: x"),
    (ErrorClass.INVALID, "release name is invalid: Bad_Name"),
    (ErrorClass.INVALID, 'path "/nonexistent" not found'),
    (ErrorClass.INVALID, 'create: failed to create: namespaces "llm" not found'),
    (ErrorClass.INVALID, 'kubernetes cluster unreachable: context "nope" does not exist'),
    (ErrorClass.INVALID, f"unable to continue with install: ConfigMap {FOREIGN}"),
    (ErrorClass.INVALID, f"UPGRADE FAILED: conflict occurred while applying object llm/x: {CONFLICT}"),
    (ErrorClass.INVALID, '1 error occurred:\n\t* admission webhook "p" denied the request: no'),
    (ErrorClass.LOCKED, "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress"),
    # Somebody else's first revision came between helm's two looks.
    (ErrorClass.LOCKED, "Error: release name check failed: cannot reuse a name that is still in use"),
    (ErrorClass.LOCKED, "INSTALLATION FAILED: cannot re-use a name that is still in use"),
    (ErrorClass.LOCKED, 'create: failed to create: secrets "sh.helm.release.v1.x.v1" already exists'),
    (ErrorClass.INFRASTRUCTURE, f"{UNREACHABLE}dial tcp 127.0.0.1:1: connect: connection refused"),
    (ErrorClass.INFRASTRUCTURE, f"{UNREACHABLE}dial tcp: lookup nope.invalid on 10.0.0.5:53: no such host"),
    (ErrorClass.INFRASTRUCTURE, f"{UNREACHABLE}net/http: TLS handshake timeout"),
    (ErrorClass.INFRASTRUCTURE, f"{UNREACHABLE}EOF"),
    (ErrorClass.INFRASTRUCTURE, f"{UNREACHABLE}unexpected EOF"),
    (ErrorClass.INFRASTRUCTURE, "etcdserver: leader changed"),
    (ErrorClass.INFRASTRUCTURE, "the server is currently unable to handle the request"),
    (ErrorClass.INFRASTRUCTURE, 'failed calling webhook "w.example": Post "https://w:443/x": EOF'),
    (ErrorClass.INFRASTRUCTURE, 'Operation cannot be fulfilled on pods "x": the object has been modified'),
    (ErrorClass.AUTH, f"{UNREACHABLE}tls: failed to verify certificate: x509: unknown authority"),
    (ErrorClass.AUTH, f"{UNREACHABLE}remote error: tls: expired certificate"),
    (ErrorClass.AUTH, "cluster unreachable: the server has asked for the client to provide credentials"),
    (ErrorClass.AUTH, f"{UNREACHABLE}getting credentials: exec: executable aws not found"),
    (ErrorClass.AUTH, 'query: secrets is forbidden: User "nobody" cannot list resource "secrets"'),
    (ErrorClass.CAPACITY, 'services "x" is forbidden: exceeded quota: q, requested: services=1'),
)  # fmt: skip


@pytest.mark.parametrize(("expected", "message"), MESSAGES)
def test_what_helm_says_has_a_class(expected: ErrorClass, message: str) -> None:
    error = _failure("upgrade", f"Error: {message}\n")
    assert error.error_class is expected
    assert message.splitlines()[0] in error.message
    assert error.resolution


def test_a_bound_that_is_left_out_is_told_so() -> None:
    said = "- at '/model/sizeBillions': exclusiveMinimum: got 0, want 0"
    error = _failure("template", f"Error: values\n{said}\n")
    assert "at '/model/sizeBillions': got 0, want more than 0" in error.message


def test_messages_are_short_and_without_log_lines() -> None:
    noise = 'level=WARN msg="x"\nWARNING: Kubernetes configuration file is group-readable\n'
    error = _failure("upgrade", f"{noise}Error: {'long ' * 100_000}\x1b[0m")
    assert error.message.startswith("helm upgrade: Error: long")
    assert len(error.message) < 3200
    assert "\x1b" not in error.message


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(path: Path) -> int:
    for _ in range(500):
        if path.exists() and path.read_text("utf-8").endswith("\n"):
            return int(path.read_text("utf-8"))
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def wait_until_gone(pid: int) -> None:
    for _ in range(500):
        if not alive(pid):
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} still runs")


STUBBORN = """
cd "$(dirname "$0")"
(trap '' TERM; exec sleep 60) >/dev/null 2>&1 &
echo $! > child
echo $$ > parent
sleep 60
"""


def test_at_the_deadline_helm_and_its_children_are_gone(tmp_path: Path) -> None:
    """Also a child that ignores SIGTERM and holds none of our pipes."""
    runner = helm(script(tmp_path, STUBBORN))
    start = time.monotonic()
    with pytest.raises(PlatformError, match=r"helm template did not finish within 0\.5 s") as caught:
        runner.template(spec(tmp_path), Deadline(0.5))
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - start < 5
    for name in ("parent", "child"):
        wait_until_gone(wait_for(tmp_path / name))


def test_no_helm_is_started_after_the_deadline(tmp_path: Path) -> None:
    runner = helm(script(tmp_path, RECORD))
    with pytest.raises(PlatformError) as caught:
        runner.upgrade(spec(tmp_path), Deadline(0), "late")
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert not (tmp_path / "argv").exists()


class LostAfter(Permit):
    """Leave that is lost after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def watch(self) -> None:
        if time.monotonic() > self.end:
            raise PlatformError(ErrorClass.FENCED, "the lock is lost", "")

    check = watch


def test_helm_without_leave_is_gone_at_once_and_writes_no_farewell(tmp_path: Path) -> None:
    """On SIGTERM helm would write how its command ended."""
    body = 'cd "$(dirname "$0")"; trap "echo x > farewell" TERM; echo $$ > parent; sleep 60 & wait; sleep 60'
    runner = Helm(str(script(tmp_path, body)), Authentication(kubeconfig=os.devnull), LostAfter(0.5))
    start = time.monotonic()
    with pytest.raises(PlatformError, match="the lock is lost") as caught:
        runner.upgrade(spec(tmp_path), Deadline(60), "by hand")
    assert caught.value.error_class is ErrorClass.FENCED
    assert time.monotonic() - start < 3
    wait_until_gone(wait_for(tmp_path / "parent"))
    assert not (tmp_path / "farewell").exists()


def test_no_helm_is_started_without_leave(tmp_path: Path) -> None:
    runner = Helm(str(script(tmp_path, RECORD)), Authentication(kubeconfig=os.devnull), LostAfter(-1))
    with pytest.raises(PlatformError, match="the lock is lost"):
        runner.upgrade(spec(tmp_path), Deadline(60), "by hand")
    with pytest.raises(PlatformError, match="the lock is lost"):
        runner.uninstall("llama-staging", "llm", Deadline(60))
    assert not (tmp_path / "argv").exists()


def test_marks_are_labels_of_the_record(tmp_path: Path) -> None:
    labels = {"llmops.platform/fence": "7", "llmops.platform/revision": "3"}
    helm(script(tmp_path, RECORD)).upgrade(spec(tmp_path), Deadline(60), "by hand", labels)
    arguments = recorded(tmp_path)
    wanted = "llmops.platform/fence=7,llmops.platform/revision=3"
    assert arguments[arguments.index("--labels") + 1] == wanted


def test_helm_that_is_killed_is_an_infrastructure_failure(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="was ended by SIGKILL") as caught:
        helm(script(tmp_path, "kill -9 $$")).template(spec(tmp_path), Deadline(60))
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no parent-death signal")
def test_helm_does_not_outlive_a_killed_run(tmp_path: Path) -> None:
    binary = script(tmp_path, STUBBORN)
    program = f"""
import sys
from pathlib import Path
from {Helm.__module__} import Authentication, Deadline, Helm, ReleaseSpec
Helm(sys.argv[1], Authentication()).template(ReleaseSpec("x", "y", Path("/c"), (), {{}}), Deadline(60))
"""
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(binary)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "build/collections")},
    )
    pid = wait_for(tmp_path / "parent")
    assert alive(pid)
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until_gone(pid)
    os.kill(wait_for(tmp_path / "child"), signal.SIGKILL)

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argo CD's own definitions, and its programs, which are built once from its Go module."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.llmops.platform.plugins.module_utils._core.cluster.client import ClusterClient
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.go import (
    BUILD_FLAGS,
    build,
    go_version,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.locking import locked
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import cache_folder
from tests.support.definitions import go_module, installed
from tests.support.playbooks import ROOT

#: v3.2.12, as it was published, does not compile: its controller calls settings.ValidateExternalURL, which is
#: nowhere. From v3.3 on, a part of Argo CD is a Go module that no proxy has.
VERSION = "3.2.11"
PROGRAMS = ("argocd-repo-server", "argocd-application-controller")
_PATH = "github.com/argoproj/argo-cd/v3"
_MODULE = f"{_PATH}@v{VERSION}"
_MAIN = ROOT / "tests/support/argocd_programs/main.go"
_LIMIT_S = 3000


@contextmanager
def argocd_definitions(api: ClusterClient) -> Iterator[None]:
    """Install the definitions that the cluster lacks, and remove these again."""
    kinds = ("application", "appproject")
    with installed(api, _MODULE, [f"manifests/crds/{kind}-crd.yaml" for kind in kinds]):
        yield


def argocd_programs(progress: Callable[[str], None]) -> Path:
    """Return a folder with the programs; the first time on a machine they are built for minutes."""
    key = hashlib.sha256(f"{VERSION} {go_version()} {BUILD_FLAGS}".encode() + _MAIN.read_bytes()).hexdigest()
    root = cache_folder() / "bin"
    folder = root / f"argocd-{key[:16]}"
    root.mkdir(parents=True, exist_ok=True)
    deadline = Deadline(_LIMIT_S)
    what = "building Argo CD"
    with locked(root / ".argocd.lock", f"is {what}", f"has been {what}", progress, deadline) as lock:
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix=".argocd-", dir=root) as scratch:
                _build(Path(scratch), progress, deadline, lock.fileno()).replace(folder)
    return folder


def _build(scratch: Path, progress: Callable[[str], None], deadline: Deadline, lock: int) -> Path:
    """Build in a copy of the module: only there do its own versions and replacements hold."""
    sources, built = scratch / "sources", scratch / "built"
    shutil.copytree(go_module(_MODULE), sources)
    # The copy of what nobody may write has the same rights.
    for path in (sources, *sources.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    (sources / "cmd/tests").mkdir()
    shutil.copyfile(_MAIN, sources / "cmd/tests/main.go")
    built.mkdir()
    variables = {f"{_PATH}/common.version": f"v{VERSION}"}
    packages = {"argocd": f"{_PATH}/cmd/tests"}
    build("building Argo CD", sources, packages, built, variables, progress, deadline, lock)
    for name in PROGRAMS:
        (built / name).symlink_to("argocd")
    return built

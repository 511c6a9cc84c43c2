# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of the cache, and downloads that are kept only if the published checksum agrees."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import http.server
import io
import os
import re
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.common.errors import (
    ErrorClass,
    PlatformError,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.addons import corefile_content
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.binaries import (
    BinariesStep,
    BinaryCache,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.components import (
    CRDS,
    DAEMONS,
    HELM,
    HELM3,
    KUBERNETES,
    MONITORS,
    NETWORK_POLICIES,
    TOOLS,
    Component,
    Release,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.daemons import start_time
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.downloads import (
    Downloader,
    DownloadError,
    find_checksum,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.go import building, default_name
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.settings import Settings
from tests.support.model_server import wait_until

DIGEST = hashlib.sha256(b"program").hexdigest()


ALL = (*TOOLS, HELM3, *DAEMONS, NETWORK_POLICIES, MONITORS)


def _modules(root: Path) -> Path:
    for name in ("cluster", "crds"):
        (root / name).mkdir(parents=True)
        (root / name / "go.mod").write_text(f"module {name}\n")
        (root / name / "go.sum").write_text("")
    return root


def test_the_key_covers_module_files_and_definition(tmp_path: Path) -> None:
    modules = _modules(tmp_path / "go")
    cache = BinaryCache(tmp_path / "cache", modules)
    helm, definitions = cache.folder(HELM), cache.folder(CRDS)
    assert cache.folder(HELM) == helm
    assert cache.folder(replace(HELM, variables={"version": "other"})) != helm
    (modules / "cluster" / "go.sum").write_text("changed")
    changed = cache.folder(HELM)
    assert changed != helm
    assert cache.folder(CRDS) == definitions, "another module's programs are kept"
    (modules / "cluster" / "coredns").mkdir()
    (modules / "cluster" / "coredns" / "main.go").write_text("package main\n")
    assert cache.folder(HELM) != changed, "a program of our own is part of the module"


def test_links_lead_to_the_programs_of_the_present_key(tmp_path: Path) -> None:
    modules = _modules(tmp_path / "go")
    cache = BinaryCache(tmp_path / "cache", modules)
    cache.folder(HELM).mkdir(parents=True)
    cache.program(HELM, "helm").write_text("")
    step = BinariesStep(cache, [HELM], [HELM], tmp_path / "bin")
    assert step.pending() == "not linked: helm"
    step.apply(lambda line: None, Deadline(5))
    assert step.pending() == ""
    assert (tmp_path / "bin" / "helm").readlink() == cache.program(HELM, "helm")
    (modules / "cluster" / "go.mod").write_text("module changed\n")
    outdated = BinariesStep(BinaryCache(tmp_path / "cache", modules), [HELM], [HELM], tmp_path / "bin")
    assert outdated.pending() == "not in the cache: helm"


OWN = re.compile(r"llmops\.platform/lab/\w+/")
#: What a program of our own is named after.
OWN_IS = {
    "coredns": "github.com/coredns/coredns",
    "enforcer": "sigs.k8s.io/kube-network-policies",
    "translator": "github.com/prometheus/prometheus",
}


def test_every_component_has_its_module_files(root: Path) -> None:
    for component in ALL:
        folder = root / "roles/lab/files/go" / component.module
        assert (folder / "go.mod").is_file(), component.name
        assert (folder / "go.sum").is_file(), component.name
        tools = (folder / "go.mod").read_text()
        for package in component.packages.values():
            if OWN.match(package):
                assert (folder / OWN.sub("", package) / "main.go").is_file(), package
            else:
                assert package in tools, f"{package} is not pinned by {folder}/go.mod"


def test_the_named_versions_are_the_pinned_ones(root: Path) -> None:
    """What is downloaded and what is built is the same version, and says so."""
    for component in ALL:
        text = (root / "roles/lab/files/go" / component.module / "go.mod").read_text()
        for package in component.packages.values():
            source = OWN_IS[OWN.sub("", package)] if OWN.match(package) else package
            (pinned,) = {
                version
                for module, version in re.findall(r"^(?:require)?\s+(\S+) v(\S+)", text, re.MULTILINE)
                if source == module or source.startswith(f"{module}/")
            }
            named = [*component.variables.values(), *(r.url for r in component.releases.values())]
            assert any(pinned in name for name in named), f"{package} is pinned at {pinned}"


def test_the_parts_of_kubernetes_have_one_version(root: Path) -> None:
    text = (root / "roles/lab/files/go/cluster/go.mod").read_text()
    parts = set(re.findall(r"^replace (?:k8s.io/\S+) => (?:k8s.io/\S+) (\S+)$", text, re.MULTILINE))
    assert parts == {f"v0.{KUBERNETES.split('.', 1)[1]}"}


def test_the_corefile_names_the_plugins_that_are_compiled(root: Path) -> None:
    source = (root / "roles/lab/files/go/cluster/coredns/main.go").read_text()
    compiled = set(re.findall(r"coredns/plugin/(\w+)", source))
    content = corefile_content(Settings(Path("/lab"), root / "roles/lab/files"), "192.0.2.1")
    used = set(re.findall(r"^    (\w+)", content, re.MULTILINE))
    assert used == compiled


PROGRAMS = {"one": "example.org/lab/a/tool", "two": "example.org/lab/b/tool", "three": "example.org/lab/c/v2"}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Return a Go module of three programs, two of which Go gives the same name."""
    folder = tmp_path / "modules" / "cluster"
    for package in PROGRAMS.values():
        source = folder / package.removeprefix("example.org/lab/") / "main.go"
        source.parent.mkdir(parents=True)
        source.write_text('package main\n\nvar version = "none"\n\nfunc main() { println(version) }\n')
    (folder / "go.mod").write_text("module example.org/lab\n\ngo 1.21\n")
    (folder / "go.sum").write_text("")
    return folder


COMPONENTS = [
    Component(name, "cluster", {name: package}, {"main.version": "1.2.3"})
    for name, package in PROGRAMS.items()
]


def test_components_of_a_module_are_built_together_and_told_how_far_it_is(
    module: Path, tmp_path: Path
) -> None:
    cache = BinaryCache(tmp_path / "cache", module.parent)
    told: list[str] = []
    cache.provide(COMPONENTS, told.append, Deadline(300))
    for component in COMPONENTS:
        program = cache.program(component, component.name)
        said = subprocess.run([str(program)], capture_output=True, text=True, check=True).stderr
        assert said == "1.2.3\n"
    assert told[0] == "getting one, two, three"
    assert told[1] == "building one, two, three: getting the sources"
    assert re.fullmatch(r"the lab's programs were made in \d+ s", told[-1])
    assert cache.missing(COMPONENTS) == []
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "cache/bin").glob("*")) == [
        ".lock",
        "one",
        "three",
        "two",
    ]


def test_a_build_that_fails_or_is_killed_leaves_nothing_to_trust(module: Path, tmp_path: Path) -> None:
    (module / "c/v2/main.go").write_text("package main\n\nfunc main() { nonsense }\n")
    cache = BinaryCache(tmp_path / "cache", module.parent)
    remains = tmp_path / "cache/bin/.unfinished-of-a-killed-run"
    (remains / "one").mkdir(parents=True)
    (remains / "one" / "one").write_text("half of a program")
    with pytest.raises(PlatformError, match=r"Building one, two, three failed(?s:.*)nonsense"):
        cache.provide(COMPONENTS, lambda line: None, Deadline(300))
    assert [path.name for path in (tmp_path / "cache/bin").iterdir()] == [".lock"]
    assert cache.missing(COMPONENTS) == COMPONENTS


def test_what_was_built_from_other_sources_is_not_kept(module: Path, tmp_path: Path) -> None:
    cache = BinaryCache(tmp_path / "cache", module.parent)

    def pull(line: str) -> None:
        if "getting the sources" in line:
            (module / "a/tool/main.go").write_text("package main\n\nfunc main() {}\n")

    with pytest.raises(PlatformError, match="changed while one was made"):
        cache.provide(COMPONENTS, pull, Deadline(300))
    assert cache.missing(COMPONENTS) == COMPONENTS


def test_what_is_complete_is_kept_when_another_fails(module: Path, tmp_path: Path) -> None:
    (module.parent / "other" / "cmd").mkdir(parents=True)
    (module.parent / "other" / "cmd" / "main.go").write_text("package main\n\nfunc main() {}\n")
    (module.parent / "other" / "go.mod").write_text("module example.org/other\n\ngo 1.21\n")
    (module.parent / "other" / "go.sum").write_text("")
    (module / "a/tool/main.go").write_text("package main\n\nfunc main() { nonsense }\n")
    other = Component("other", "other", {"cmd": "example.org/other/cmd"})
    cache = BinaryCache(tmp_path / "cache", module.parent)
    with pytest.raises(PlatformError, match="nonsense"):
        cache.provide([other, *COMPONENTS], lambda line: None, Deadline(300))
    assert cache.missing([other, *COMPONENTS]) == COMPONENTS


def test_a_run_that_waits_for_another_heeds_its_deadline(module: Path, tmp_path: Path) -> None:
    cache = BinaryCache(tmp_path / "cache", module.parent)
    (tmp_path / "cache/bin").mkdir(parents=True)
    told: list[str] = []
    with (tmp_path / "cache/bin/.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(PlatformError, match="has been making the lab's programs") as caught:
            cache.provide(COMPONENTS, told.append, Deadline(0.2))
    assert caught.value.error_class is ErrorClass.LOCKED
    assert told == ["another run is making the lab's programs; waiting for it"]


def test_a_cache_that_cannot_be_written_is_said_in_a_sentence(module: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(PlatformError, match="cannot be kept in") as caught:
        BinaryCache(tmp_path / "cache", module.parent).provide(COMPONENTS, lambda line: None, Deadline(5))
    assert caught.value.error_class is ErrorClass.INFRASTRUCTURE


SLOW_GO = """#!/bin/sh
case "$1" in
    version) echo "go version slow" ;;
    list) echo one ;;
    build) echo $$ >"$SLOW_GO_PID"; exec sleep 600 ;;
esac
"""

PROVIDE = """
import sys
from pathlib import Path
from ansible_collections.llmops.platform.plugins.module_utils._core.common.deadline import Deadline
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.binaries import BinaryCache
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.components import Component
component = Component("one", "cluster", {"one": "example.org/lab/a/tool"})
BinaryCache(Path(sys.argv[1]), Path(sys.argv[2])).provide([component], print, Deadline(300))
"""


def test_a_build_ends_with_the_run_that_is_killed(module: Path, tmp_path: Path, root: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").write_text(SLOW_GO)
    (tmp_path / "bin/go").chmod(0o755)
    pid_file = tmp_path / "pid"
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(root / "build/collections"),
        "SLOW_GO_PID": str(pid_file),
    }
    command = [sys.executable, "-c", PROVIDE, str(tmp_path / "cache"), str(module.parent)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as run:
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip() != "", 30)
        run.kill()
    pid = int(pid_file.read_text())
    wait_until(lambda: start_time(pid) == 0)
    with (tmp_path / "cache/bin/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("compiled", "total", "elapsed_s", "told"),
    [
        (0, 3306, 20, "0 of 3306 packages compiled after 20 s"),
        (1000, 3306, 100, "1000 of 3306 packages compiled after 100 s"),
        (1653, 3306, 290, "1653 of 3306 packages compiled after 290 s, some 5 min left"),
        (3300, 3306, 590, "3300 of 3306 packages compiled after 590 s, some 1 min left"),
        (3306, 3306, 600, "linking after 600 s"),
    ],
)
def test_progress_says_how_much_is_left(compiled: int, total: int, elapsed_s: float, told: str) -> None:
    assert building(compiled, total, elapsed_s) == told


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("helm.sh/helm/v4/cmd/helm", "helm"),
        ("example.org/v1", "v1"),
        ("example.org/tool/v12", "tool"),
    ],
)
def test_names_that_go_gives_to_programs(package: str, name: str) -> None:
    assert default_name(package) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DIGEST, DIGEST),
        (f"{DIGEST.upper()}\n", DIGEST),
        (f"{DIGEST}  tool.tar.gz\n", DIGEST),
        (f"{'0' * 64}  other\n{DIGEST} *tool.tar.gz\n", DIGEST),
        (f"{DIGEST}  ./release/tool.tar.gz\n", DIGEST),
    ],
)
def test_published_checksums(text: str, expected: str) -> None:
    assert find_checksum(text, "tool.tar.gz") == expected


@pytest.mark.parametrize("text", ["", "<html>not found</html>", f"{DIGEST}  other\n", "abc  tool.tar.gz"])
def test_without_a_checksum_nothing_is_downloaded(text: str) -> None:
    with pytest.raises(DownloadError, match=r"no SHA-256 is published for tool\.tar\.gz"):
        find_checksum(text, "tool.tar.gz")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """Serve a folder over TLS with a certificate that this process trusts."""
    folder = tmp_path / "site"
    folder.mkdir()
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_address[1]}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_with_the_published_checksum_is_kept(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    (folder / "tool").write_bytes(b"program")
    (folder / "tool.sha256").write_text(DIGEST)
    target = tmp_path / "tool"
    Downloader().fetch(Release(f"{url}/tool", f"{url}/tool.sha256"), target, Deadline(10))
    assert target.read_bytes() == b"program"
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_program_is_taken_out_of_its_archive(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    with tarfile.open(folder / "tool.tgz", "w:gz") as archive:
        entry = tarfile.TarInfo("./linux/tool")
        entry.size = 7
        archive.addfile(entry, io.BytesIO(b"program"))
    digest = hashlib.sha256((folder / "tool.tgz").read_bytes()).hexdigest()
    (folder / "SUMS").write_text(f"{digest}  tool.tgz\n")
    Downloader().fetch(
        Release(f"{url}/tool.tgz", f"{url}/SUMS", "linux/tool"), tmp_path / "tool", Deadline(10)
    )
    assert (tmp_path / "tool").read_bytes() == b"program"


def test_a_file_with_another_checksum_is_thrown_away(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    (folder / "tool").write_bytes(b"tampered with")
    (folder / "tool.sha256").write_text(DIGEST)
    with pytest.raises(DownloadError, match=f"published is {DIGEST}"):
        Downloader().fetch(Release(f"{url}/tool", f"{url}/tool.sha256"), tmp_path / "tool", Deadline(10))
    assert [path.name for path in tmp_path.glob("tool*")] == []


def test_a_host_that_refuses_is_asked_once(tmp_path: Path) -> None:
    downloader = Downloader()
    release = Release("https://127.0.0.1:9/tool", "https://127.0.0.1:9/tool.sha256")
    with pytest.raises(DownloadError, match="refused"):
        downloader.fetch(release, tmp_path / "tool", Deadline(5))
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached"):
        downloader.fetch(release, tmp_path / "tool", Deadline(5))


def test_no_download_without_tls(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="not fetched over TLS"):
        Downloader().fetch(Release("http://localhost/a", "http://localhost/b"), tmp_path / "a", Deadline(5))


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path

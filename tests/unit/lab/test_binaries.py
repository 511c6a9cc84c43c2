# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of the cache, and downloads that are kept only if the published checksum agrees."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.server
import io
import re
import ssl
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
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.binaries import (
    BinariesStep,
    BinaryCache,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.components import (
    HELM,
    KUBECTL,
    NATIVE,
    Release,
)
from ansible_collections.llmops.platform.plugins.module_utils._core.lab.downloads import (
    Downloader,
    DownloadError,
    find_checksum,
)

DIGEST = hashlib.sha256(b"program").hexdigest()


def _modules(root: Path) -> Path:
    for name in ("helm", "kubernetes"):
        (root / name).mkdir(parents=True)
        (root / name / "go.mod").write_text(f"module {name}\n")
        (root / name / "go.sum").write_text("")
    return root


def test_the_key_covers_module_files_and_definition(tmp_path: Path) -> None:
    modules = _modules(tmp_path / "go")
    cache = BinaryCache(tmp_path / "cache", modules)
    helm, kubectl = cache.folder(HELM), cache.folder(KUBECTL)
    assert cache.folder(HELM) == helm
    assert cache.folder(replace(HELM, variables={"version": "other"})) != helm
    (modules / "helm" / "go.sum").write_text("changed")
    assert cache.folder(HELM) != helm
    assert cache.folder(KUBECTL) == kubectl, "another module's programs are kept"


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
    (modules / "helm" / "go.mod").write_text("module changed\n")
    outdated = BinariesStep(BinaryCache(tmp_path / "cache", modules), [HELM], [HELM], tmp_path / "bin")
    assert outdated.pending() == "not in the cache: helm"


def test_every_component_has_its_module_files(root: Path) -> None:
    for component in NATIVE:
        folder = root / "roles/lab/files/go" / component.module
        assert (folder / "go.mod").is_file(), component.name
        assert (folder / "go.sum").is_file(), component.name
        tools = (folder / "go.mod").read_text()
        for package in component.packages.values():
            assert package in tools, f"{package} is not pinned by {folder}/go.mod"


def test_the_named_versions_are_the_pinned_ones(root: Path) -> None:
    """What is downloaded and what is built is the same version, and says so."""
    for component in NATIVE:
        text = (root / "roles/lab/files/go" / component.module / "go.mod").read_text()
        for package in component.packages.values():
            (pinned,) = {
                version
                for module, version in re.findall(r"^\s+(\S+) v(\S+)", text, re.MULTILINE)
                if package == module or package.startswith(f"{module}/")
            }
            named = [*component.variables.values(), *(r.url for r in component.releases.values())]
            assert any(pinned in name for name in named), f"{package} is pinned at {pinned}"


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

# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release says of itself: what it is made of (CycloneDX), and how it was made (in-toto, SLSA v1)."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

# What the images hold. The collection itself needs ranges, of which constraints.txt says what is tested.
LOCKS = {
    "llmops-router": "roles/router/files/router/requirements.lock",
    "llmops-health-checker": "roles/health_check/files/health_check/requirements.lock",
}
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
_MODULE = re.compile(r"^\t?(?:require )?([a-z0-9.-]+\.[a-z]+/\S+) (v\S+)", re.MULTILINE)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, str]:
    """Return the versions in a lock or constraints file, by the packages' normal names."""
    return {_normal(name): version for name, version in _PINNED.findall(text)}


def go_modules(text: str) -> dict[str, str]:
    """Return the versions that a go.mod requires, by the modules' paths."""
    return dict(_MODULE.findall(text))


def _package(kind: str, name: str, version: str, group: str | None = None) -> Component:
    purl = PackageURL(kind, group, name, version)
    # One module may be needed in two versions; the URL tells them apart.
    return Component(
        type=ComponentType.LIBRARY, name=name, group=group, version=version, purl=purl, bom_ref=str(purl)
    )


def _python(versions: Mapping[str, str]) -> Iterator[Component]:
    for name, version in versions.items():
        yield _package("pypi", name, version)


def _go(root: Path) -> Iterator[Component]:
    for file in sorted(root.glob("roles/*/files/**/go.mod")):
        for path, version in go_modules(file.read_text(encoding="utf-8")).items():
            group, name = path.rsplit("/", 1)
            yield _package("golang", name, version, group)


def bill_of_materials(root: Path, about: Mapping[str, Any], artefact: Path, epoch: int) -> str:
    """Return the bill of materials as JSON: the collection, its images, and what each of them needs."""
    bom = Bom()
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    name = f"{about['namespace']}.{about['name']}"
    collection = Component(
        type=ComponentType.APPLICATION,
        name=name,
        version=about["version"],
        bom_ref=name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum(artefact))],
    )
    bom.metadata.component = collection
    # The same commit gives the same bytes.
    bom.serial_number = uuid5(NAMESPACE_URL, f"{name}:{checksum(artefact)}")
    needed: dict[str, Component] = {}

    def known(components: Iterator[Component]) -> list[Component]:
        return [needed.setdefault(str(one.bom_ref), one) for one in components]

    tested = pinned((root / "constraints.txt").read_text(encoding="utf-8"))
    wanted = re.findall(r"^[\w-]+", (root / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    of_collection = known(_python({one: tested[one] for one in map(_normal, [*wanted, "ansible-core"])}))
    images = []
    for image, lock in LOCKS.items():
        service = Component(type=ComponentType.CONTAINER, name=image, version=about["version"], bom_ref=image)
        bom.components.add(service)
        bom.register_dependency(service, known(_python(pinned((root / lock).read_text(encoding="utf-8")))))
        images.append(service)
    bom.register_dependency(collection, [*of_collection, *images, *known(_go(root))])
    for component in needed.values():
        bom.components.add(component)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def provenance(
    root: Path, about: Mapping[str, Any], commit: str, subjects: Sequence[Path], epoch: int
) -> str:
    """Return how these files were made, as an in-toto statement with a predicate of SLSA v1."""
    made = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    source = f"git+{about['repository']}"
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": path.name, "digest": {"sha256": checksum(path)}} for path in subjects],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": f"{about['repository']}/blob/main/docs/releasing.md#make-release",
                "externalParameters": {"source": source, "command": "make release"},
                "internalParameters": {"SOURCE_DATE_EPOCH": epoch},
                "resolvedDependencies": [
                    {"uri": source, "digest": {"gitCommit": commit}},
                    {"uri": "constraints.txt", "digest": {"sha256": checksum(root / "constraints.txt")}},
                ],
            },
            "runDetails": {
                "builder": {
                    "id": f"{about['repository']}/blob/main/scripts/release.py",
                    "version": {
                        "python": platform.python_version(),
                        "ansible-core": version_of("ansible-core"),
                    },
                },
                "metadata": {"startedOn": made},
            },
        },
    }
    return json.dumps(statement, indent=2) + "\n"

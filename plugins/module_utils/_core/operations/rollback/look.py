# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""See where a target stands: its recorded revisions, and what Helm and the nodes have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...cluster.client import ClusterClient, JSONObject, segment
from ...cluster.manifests import find_object
from ...common.errors import PlatformError
from ...endpoint.arguments import named_secret
from ...helm.storage import ReleaseRecord
from ...registry.manifests import Manifest, read_content, read_manifests
from ...release.recorded import Recorded, complete
from ...release.references import references
from ...release.rendering import manifest_digest, server_container
from ...release.request import ReleaseTarget
from ..deploy.run import Registry, Run
from .choice import Standing
from .plan import Observed, Side


def standing(registry: Registry, target: ReleaseTarget, record: ReleaseRecord | None) -> Standing:
    """Return where a target stands; ``record`` is Helm's newest."""
    found = registry.read(
        lambda session: read_manifests(session, target.model, target.environment, target.name)
    )
    manifests = [one for one in found if one.namespace in (None, target.namespace)]
    if record is None:
        return Standing(manifests)
    return Standing(manifests, record.revision, manifest_digest(record.objects), record.left)


def recorded(
    registry: Registry, target: ReleaseTarget, manifest: Manifest, client: ClusterClient, chart_name: str
) -> Recorded:
    """Return the whole of a manifest. Raises ``invalid`` where it is not to be had."""
    content = registry.read(lambda session: read_content(session, manifest))
    return complete(
        client,
        target,
        revision=manifest.revision,
        digest=manifest.digest,
        objects=list(content.objects) if content.objects is not None else None,
        values=content.values,
        values_redacted=content.values_redacted,
        chart_name=chart_name,
        chart_version=manifest.chart_version,
        chart_digest=manifest.chart_digest,
        image_digest=manifest.image_digest,
    )


def side_of_record(record: ReleaseRecord | None) -> Side:
    """Return what is there, as it is compared."""
    if record is None:
        return Side(None, None)
    model = record.config.get("model") or {}
    return Side(
        record.revision,
        manifest_digest(record.objects),
        record.chart_version,
        image_of(record.objects),
        model.get("revision"),
        record.config,
    )


def side_of_manifest(manifest: Manifest, content: Recorded) -> Side:
    """Return what will be there, as it is compared."""
    return Side(
        manifest.revision,
        manifest.digest,
        content.chart_version,
        image_of(content.objects),
        (content.values.get("model") or {}).get("revision"),
        content.values,
    )


def image_of(objects: list[JSONObject]) -> str | None:
    """Return the image of the model server; None without a Deployment."""
    server = _server(objects)
    return server["image"] if server is not None else None


def api_key_secret(objects: list[JSONObject]) -> dict[str, str] | None:
    """Return the reference to the Secret with the server's API key; None for a server without one."""
    for variable in (_server(objects) or {}).get("env") or ():
        if variable["name"] == "VLLM_API_KEY":
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef") or {}
            return named_secret(reference)
    return None


def _server(objects: list[JSONObject]) -> JSONObject | None:
    """Return the container of the model server."""
    deployment = find_object(objects, "Deployment")
    return None if deployment is None else server_container(deployment)


def observed(run: Run, content: Recorded) -> Observed:
    """Return what decides how it goes, once the change is planned."""
    change = run.planned()
    changed = change.changed
    new_pods = changed and change.comparison.replaces_pods
    return Observed(
        changed,
        new_pods,
        change.interrupts,
        tuple(_fetches(run, content)) if new_pods else (),
        change.strategy if new_pods else "",
    )


def _fetches(run: Run, content: Recorded) -> Iterator[str]:
    """Yield what new pods may have to fetch, as far as anybody can tell."""
    if not _known(run, lambda: _image_there(run.tools.client, image_of(content.objects))):
        yield "the image"
    if not _known(run, lambda: _weights_there(run.tools.client, content.objects, run.target.namespace)):
        yield "the weights"


def _known(run: Run, ask: Callable[[], bool]) -> bool:
    """Return what is known to be there; what cannot be asked for is not."""
    try:
        return ask()
    except PlatformError as error:
        run.say(f"what has to be fetched is not known: {error.message}")
        return False


def _image_there(client: ClusterClient, image: str | None) -> bool:
    """Tell whether a node says that it has an image."""
    names = {
        _whole(name)
        for node in client.list_pages("/api/v1/nodes")
        for there in (node.get("status") or {}).get("images") or ()
        for name in there.get("names") or ()
    }
    return image is not None and _whole(image) in names


def _whole(image: str) -> str:
    """Return the name of an image with its registry and tag, as nodes write it."""
    first, slash, rest = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{first}/{rest}"
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def _weights_there(client: ClusterClient, objects: list[JSONObject], namespace: str) -> bool:
    """Tell whether the pods' volumes, which keep weights, are on the cluster."""
    claims = list(_claims(objects))
    path = f"/api/v1/namespaces/{segment(namespace)}/persistentvolumeclaims"
    return bool(claims) and all(client.find(f"{path}/{segment(claim)}") is not None for claim in claims)


def _claims(objects: Iterable[JSONObject]) -> Iterator[str]:
    for item in objects:
        if item["kind"] == "Deployment":
            for reference in references(item["spec"]["template"]):
                if reference.kind == "PersistentVolumeClaim":
                    yield reference.name

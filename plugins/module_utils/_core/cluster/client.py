# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small client of the Kubernetes API: raw JSON in and out, typed errors, retries within a bound.

Credentials come from the ``kubernetes`` package, which knows every way a kubeconfig can say them. Objects
stay plain dictionaries: the generated models cost more time than the requests do.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..common.deadline import Backoff
from ..common.errors import ErrorClass, PlatformError, invalid, missing_library
from ..common.permit import Permit
from ..common.redaction import excerpt
from .kubeconfig import impersonation, named_files
from .proxy import check_exceptions, check_proxy, credentials_of, proxy_for, without_login

try:
    import kubernetes.client
    import kubernetes.config
    import urllib3
    import yaml

    LIBRARY_ERROR: ImportError | None = None
except ImportError as error:
    LIBRARY_ERROR = error

JSONObject = dict[str, Any]

_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
# The same request cannot succeed, another run may: somebody else wrote, or a list changed for too long.
_NEXT_TIME = frozenset({409, 410})
_ATTEMPTS = 5
_EVENT = re.compile(rb'\s*\{\s*"type"\s*:\s*"(ADDED|MODIFIED|DELETED)"')
_EVENT_BYTES = 40
_CONFLICT = re.compile(r'conflict with "(?P<manager>[^"]*)"')
_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 30.0
# Nothing is sent again later than this: who waits wants to know.
_RETRY_WINDOW_S = 15.0
# How the API server tells, by status 500, that a field of an applied object does not exist.
_WRONG_FIELD = b"failed to create typed patch object"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_POOL_NAME = re.compile(r"^HTTPS?Connection(Pool)?\(host='[^']*', port=\d+\): ")


@dataclass(frozen=True)
class Authentication:
    """Where the API server is and who we are; every field is optional.

    Without ``host`` the kubeconfig is read (``kubeconfig``, else ``$KUBECONFIG``, else ``~/.kube/config``);
    where there is none, the service account of the pod we run in is used. Other fields replace what it says.
    """

    kubeconfig: str | None = None
    context: str | None = None
    host: str | None = None
    api_key: str | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    validate_certs: bool = True
    proxy: str | None = None
    no_proxy: str | None = None
    impersonate_user: str | None = None
    impersonate_groups: tuple[str, ...] = ()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Authentication:
        """Read the arguments of ``KUBERNETES_SPEC``; raises ``invalid`` for what nothing could use."""
        given = {name: params[name] for name in cls.__dataclass_fields__ if params.get(name) is not None}
        host = given.get("host")
        if host and not host.lower().startswith(("https://", "http://")):
            raise invalid("host", host, "is not a URL", "Give https://name:port.")
        if given.get("api_key"):
            given["api_key"] = _usable_token(given["api_key"])
        for name in ("ca_cert", "client_cert", "client_key"):
            if given.get(name) and not os.access(given[name], os.R_OK):
                raise invalid(
                    name, given[name], "is not a file that can be read", "Give the path of a PEM file."
                )
        if given.get("proxy"):
            check_proxy("proxy", given["proxy"])
        if given.get("no_proxy"):
            check_exceptions("no_proxy", given["no_proxy"])
        return cls(**{**given, **_checked_identity(given)})


def _checked_identity(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return whom to impersonate, as fields of :class:`Authentication`; raises ``invalid``."""
    user = given.get("impersonate_user") or None
    # An environment variable that is set to nothing is a list of one empty text.
    groups = tuple(given.get("impersonate_groups") or ())
    groups = () if groups == ("",) else groups
    if groups and not user:
        raise invalid(
            "impersonate_groups",
            list(groups),
            "is given without a user",
            "Give impersonate_user too: nobody is impersonated by a group alone.",
        )
    for name, values in (("impersonate_user", [user] if user else []), ("impersonate_groups", groups)):
        for value in values:
            # A header's value: line ends would begin another one, and blanks around it are lost.
            if not value or not value.isprintable() or value != value.strip():
                raise invalid(name, value, "is no name", "Give printable text without blanks around it.")
    return {"impersonate_user": user, "impersonate_groups": groups}


def _usable_token(token: str) -> str:
    """Return the token without the line end that a file adds; the error never shows it."""
    token = token.strip()
    if token and token.isascii() and token.isprintable() and " " not in token:
        return token
    raise PlatformError(
        ErrorClass.INVALID,
        "api_key: the value is no bearer token (it is not shown).",
        "Give the token alone: printable ASCII text without spaces.",
        {"field": "api_key"},
    )


@dataclass(frozen=True)
class ServerAddress:
    """Where the API server is, for somebody else to connect there in the same way.

    ``authority`` are the certificates that are trusted, as PEM; empty where those of the system are.
    ``proxy`` is the one that options or kubeconfig name: what the environment says is for each to find there.
    """

    server: str
    authority: str
    tls_server_name: str | None
    proxy: str | None
    verified: bool


class APIError(PlatformError):
    """The API server's refusal: ``status`` is the HTTP code, ``reason`` its word for it.

    ``causes`` are the single findings behind it, each with ``reason``, ``message`` and ``field``.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        resolution: str,
        status: int,
        reason: str,
        causes: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(error_class, message, resolution, {"status": status, "reason": reason})
        self.status = status
        self.reason = reason
        self.causes = causes

    @property
    def conflicts(self) -> list[tuple[str, str]]:
        """The fields that somebody else manages, each with its manager, where an apply met any."""
        return [
            (str(cause.get("field", "")), found["manager"])
            for cause in self.causes
            if cause.get("reason") == "FieldManagerConflict"
            and (found := _CONFLICT.search(str(cause.get("message", ""))))
        ]


class ClusterClient:
    """Requests to one API server. Not shared between processes or threads.

    ``permit`` is asked just before each request that writes, and stops the reading too once it is lost.
    """

    def __init__(self, authentication: Authentication, permit: Permit | None = None) -> None:
        if LIBRARY_ERROR is not None:
            raise missing_library("kubernetes", LIBRARY_ERROR)
        self.authentication = authentication
        self._permit = permit or Permit()
        self._acts_as = _impersonated(authentication)
        self._connect()

    def obey(self, permit: Permit) -> None:
        """Ask this permission from now on."""
        self._permit = permit

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> ClusterClient:
        """Build a client from the arguments of ``KUBERNETES_SPEC``."""
        return cls(Authentication.from_params(params))

    def _connect(self) -> None:
        self._configuration, self._named_proxy = _load_configuration(self.authentication)
        self._authority = _authority(self._configuration)
        self._ssl_context = _ssl_context(self._configuration)
        self._pool = _connection_pool(self._configuration, self._ssl_context)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self._configuration.host)

    @property
    def address(self) -> ServerAddress:
        """Where the API server is, without who we are."""
        return ServerAddress(
            self.server,
            self._authority,
            self._configuration.tls_server_name or None,
            self._named_proxy,
            self._ssl_context is not None and bool(self._configuration.verify_ssl),
        )

    def credentials(self) -> list[tuple[str, str]]:
        """Return the request headers that say who we are (none where a certificate does), and as whom.

        Each group has a header of its own, so that one name may occur several times.
        """
        token = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        headers = [("Authorization", str(token))] if token else []
        user, groups = self._acts_as
        if user:
            headers.append(("Impersonate-User", user))
        return headers + [("Impersonate-Group", name) for name in groups]

    def _headers(self, *others: tuple[str, str]) -> urllib3.HTTPHeaderDict:
        headers = urllib3.HTTPHeaderDict()
        for name, value in [("Accept", "application/json"), *others, *self.credentials()]:
            # As the API server reads them; http.client knows Latin-1 only.
            headers.add(name, value.encode().decode("latin-1"))
        return headers

    def open_socket(self, timeout: float) -> socket.socket:
        """Connect to the API server, through proxy and TLS where set, for what needs a bare connection."""
        configuration = self._configuration
        server = urlsplit(self.server)
        name = str(server.hostname)
        address = (name, server.port or (80 if self._ssl_context is None else 443))
        try:
            if configuration.proxy:
                proxy = urlsplit(str(configuration.proxy))
                if proxy.scheme != "http":
                    raise invalid(
                        "proxy",
                        without_login(str(configuration.proxy)),
                        "is a proxy that speaks TLS, through which there is no way for this",
                        "Use access: dns, or a proxy at http://name:port.",
                    )
                tunnel = http.client.HTTPConnection(str(proxy.hostname), proxy.port or 80, timeout=timeout)
                tunnel.set_tunnel(*address, headers=configuration.proxy_headers)
                tunnel.connect()
                bare = tunnel.sock
            else:
                bare = socket.create_connection(address, timeout)
            # Header and body are two writes: without this the second waits 40 ms for an acknowledgement.
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._ssl_context is None:
                return bare
            try:
                return self._ssl_context.wrap_socket(
                    bare, server_hostname=configuration.tls_server_name or name
                )
            except BaseException:
                bare.close()
                raise
        except ssl.SSLError as error:
            raise _transport_error(urllib3.exceptions.SSLError(error), self.server) from error
        except (OSError, http.client.HTTPException) as error:
            raise _transport_error(error, self.server) from error

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> JSONObject:
        """Read one object or one list."""
        return self._json("GET", path, query)

    def find(self, path: str, query: Mapping[str, Any] | None = None) -> JSONObject | None:
        """Read one object; ``None`` if it does not exist."""
        try:
            return self.get(path, query)
        except APIError as error:
            if error.status == 404:
                return None
            raise

    def list_pages(
        self, path: str, query: Mapping[str, Any] | None = None, limit: int = 500
    ) -> Iterator[JSONObject]:
        """Yield the items of a list, one page in memory at a time.

        A list that changes for longer than the server keeps its history (410) is an ``infrastructure``
        error: what was yielded so far is not one consistent picture.
        """
        for page in self._pages(path, query, limit):
            yield from page.get("items") or []

    def list_at(
        self, path: str, query: Mapping[str, Any] | None = None, limit: int = 500
    ) -> tuple[list[JSONObject], str]:
        """Return the items of a list, and the version from which a watch goes on."""
        items: list[JSONObject] = []
        version = ""
        for page in self._pages(path, query, limit):
            items += page.get("items") or []
            version = str(page.get("metadata", {}).get("resourceVersion") or "")
        return items, version

    def _pages(self, path: str, query: Mapping[str, Any] | None, limit: int) -> Iterator[JSONObject]:
        token = ""
        while True:
            page = self.get(path, {**(query or {}), "limit": limit, **({"continue": token} if token else {})})
            yield page
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return

    def wait_for_change(self, path: str, query: Mapping[str, Any], version: str, seconds: int) -> bool:
        """Watch a list until it is not that of a version any more; tell whether it changed within the time.

        Nothing is tried again: where watching fails, reading again says why.
        """
        self._permit.watch()
        asked = {**query, "watch": "true", "resourceVersion": version, "timeoutSeconds": seconds}
        try:
            answer = self._pool.request(
                "GET",
                self._url(path, asked),
                headers=self._headers(),
                # The server ends the watch; only one that hangs does not.
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=seconds + _CONNECT_TIMEOUT_S),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise _transport_error(error, self.server) from error
        try:
            if answer.status != 200:
                raise _status_error(answer, "GET", path)
            return self._is_event(answer)
        except urllib3.exceptions.HTTPError as error:
            raise _transport_error(error, self.server) from error
        finally:
            # Nobody reads the rest of the events.
            answer.close()

    def _url(self, path: str, query: Mapping[str, Any] | None) -> str:
        return self.server.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")

    def _is_event(self, answer: urllib3.BaseHTTPResponse) -> bool:
        """Read the beginning of a watch; False where it ends without an event."""
        begin = b""
        for chunk in answer.stream(1024):
            begin += chunk
            if len(begin) >= _EVENT_BYTES:
                break
        if not begin:
            return False
        if _EVENT.match(begin):
            return True
        # An error event, as for a version that the server has forgotten, or a proxy that does not watch.
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"{self.server} answered a watch with {excerpt(begin[:200].decode(errors='replace'), 200)}",
            "Nothing has to be done: it is read again.",
        )

    def create(
        self, path: str, body: Mapping[str, Any], query: Mapping[str, Any] | None = None
    ) -> JSONObject:
        """POST an object."""
        return self._json("POST", path, query, body)

    def replace(
        self, path: str, body: Mapping[str, Any], query: Mapping[str, Any] | None = None
    ) -> JSONObject:
        """PUT an object; its ``resourceVersion`` makes this fail (409) if somebody else wrote meanwhile."""
        return self._json("PUT", path, query, body)

    def patch(
        self,
        path: str,
        body: Mapping[str, Any] | list[Any],
        query: Mapping[str, Any] | None = None,
        content_type: str = "application/merge-patch+json",
    ) -> JSONObject:
        """PATCH an object."""
        return self._json("PATCH", path, query, body, content_type)

    def apply(
        self,
        path: str,
        item: Mapping[str, Any],
        manager: str,
        *,
        force: bool = False,
        dry_run: bool = False,
        strict: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Apply an object on the server's side. ``strict`` refuses fields that the server does not know.

        The error of fields that others manage has them as ``conflicts``.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if strict:
            query["fieldValidation"] = "Strict"
        if dry_run:
            query["dryRun"] = "All"
        # JSON is YAML, and the type's name is the only one that old servers know.
        payload = json.dumps(item).encode()
        return self.request("PATCH", path, query, payload, "application/apply-patch+yaml")

    def delete(self, path: str, query: Mapping[str, Any] | None = None) -> bool:
        """DELETE an object; tell whether it was there."""
        try:
            self._json("DELETE", path, query)
        except APIError as error:
            if error.status == 404:
                return False
            raise
        return True

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool = False,
        lines: int = 40,
        timeout_s: float = _READ_TIMEOUT_S,
    ) -> str:
        """Return the tail of a container's log, or an empty string if it has none."""
        path = f"/api/v1/namespaces/{segment(namespace)}/pods/{segment(pod)}/log"
        query = {"container": container, "tailLines": lines, "limitBytes": 65536}
        if previous:
            query["previous"] = "true"
        try:
            answer = self.request("GET", path, query, read_timeout=timeout_s)
            text = answer.data.decode(errors="replace")
        except APIError:
            return ""
        # So says the kubelet, with status 200, of a container that was removed meanwhile.
        return "" if text.startswith("unable to retrieve container logs for ") else text

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | list[Any] | None = None,
        content_type: str = "application/json",
    ) -> JSONObject:
        payload = None if body is None else json.dumps(body).encode()
        answer = self.request(method, path, query, payload, content_type)
        return parse_answer(answer.data, self.server)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        payload: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        read_timeout: float = _READ_TIMEOUT_S,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the answer; retry what may heal, raise a typed error for the rest.

        A POST is sent again only where the server cannot have acted on it (refused connection, 429).
        Raises ``fenced`` where the permit is lost.
        """
        if method == "GET":
            self._permit.watch()
        else:
            self._permit.check()
        url = self._url(path, query)
        backoff = Backoff(0.2, 5.0)
        reloaded = False
        start = time.monotonic()
        for attempt in range(1, _ATTEMPTS + 1):
            sent = self._headers(*(headers or {}).items())
            if payload is not None:
                sent["Content-Type"] = content_type
            try:
                answer = self._pool.request(
                    method,
                    url,
                    body=payload,
                    headers=sent,
                    timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=read_timeout),
                    retries=False,
                    redirect=False,
                )
            except urllib3.exceptions.HTTPError as error:
                failed = _transport_error(error, self.server)
                unsent = isinstance(error, urllib3.exceptions.NewConnectionError)
                heals = failed.error_class is ErrorClass.INFRASTRUCTURE and (unsent or method != "POST")
                last = attempt == _ATTEMPTS or time.monotonic() - start > _RETRY_WINDOW_S
                if last or not heals:
                    raise failed from error
                time.sleep(backoff.next())
                continue
            if answer.status < 300:
                return answer
            last = attempt == _ATTEMPTS or time.monotonic() - start > _RETRY_WINDOW_S
            if answer.status == 401 and not reloaded and not last:
                # A token may have been rotated since the kubeconfig was read.
                reloaded = True
                self._connect()
                continue
            if _may_heal(answer) and not last and (method != "POST" or answer.status == 429):
                time.sleep(max(backoff.next(), _retry_after(answer)))
                continue
            raise _status_error(answer, method, path)
        raise AssertionError("unreachable: the last attempt returns or raises")


def parse_answer(data: bytes, server: str) -> JSONObject:
    """Return the JSON object of an answer; raises ``infrastructure`` where something else answered."""
    try:
        parsed = json.loads(data)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        text = excerpt(data[:2000].decode(errors="replace"), 200)
        raise PlatformError(
            ErrorClass.INFRASTRUCTURE,
            f"{server} did not answer with a JSON object: {text}",
            "Check that this is the address of a Kubernetes API server and that no proxy answers for it.",
        )
    return parsed


def segment(name: str) -> str:
    """Quote one segment of an API path: a hostile name must not reach another resource."""
    return quote(name, safe="")


def _impersonated(given: Authentication) -> tuple[str, tuple[str, ...]]:
    """Return whom to impersonate: by the options, else by the kubeconfig, as helm does."""
    user, groups = "", tuple[str, ...]()
    if given.kubeconfig or not given.host:
        user, groups = impersonation(named_files(given.kubeconfig), given.context)
    if user and given.impersonate_user:
        raise invalid(
            "impersonate_user",
            given.impersonate_user,
            f"meets a kubeconfig that impersonates {user!r} itself, and helm would take the groups of both",
            "Use one of them.",
        )
    return (user, groups) if user else (given.impersonate_user or "", given.impersonate_groups)


def _load_configuration(
    authentication: Authentication,
) -> tuple[kubernetes.client.Configuration, str | None]:
    """Return how to connect, and the proxy as far as it is not the environment that names it."""
    configuration = kubernetes.client.Configuration()
    # The package takes it from the environment, by rules that differ from release to release.
    configuration.proxy = None
    given = authentication
    if given.kubeconfig or not given.host:
        _load_kubeconfig(given, configuration)
    if given.host:
        configuration.host = given.host
    if given.api_key:
        configuration.api_key = {"BearerToken": f"Bearer {given.api_key}"}
        configuration.refresh_api_key_hook = None
    if given.ca_cert:
        configuration.ssl_ca_cert = given.ca_cert
    if given.client_cert:
        configuration.cert_file, configuration.key_file = given.client_cert, given.client_key
    if not given.validate_certs:
        configuration.verify_ssl = False
    return configuration, _set_proxy(given, configuration)


def _set_proxy(given: Authentication, configuration: kubernetes.client.Configuration) -> str | None:
    # What is set by now is the kubeconfig's proxy-url.
    configured = configuration.proxy
    try:
        found = proxy_for(str(configuration.host), given.proxy, given.no_proxy, configured)
    except ValueError:
        # The host is no URL, which its first use says.
        found = None
    configuration.proxy = found
    if found and found != given.proxy:
        check_proxy("proxy-url of the kubeconfig" if found == configured else "HTTPS_PROXY", found)
    secret = credentials_of(found) if found else None
    configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=secret) if secret else None
    return found if found in (given.proxy, configured) else None


def _authority(configuration: kubernetes.client.Configuration) -> str:
    """Read the certificates while the package still has its copy of them."""
    if not configuration.ssl_ca_cert:
        return ""
    try:
        read = Path(configuration.ssl_ca_cert).read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Whoever loads them tells.
        return ""
    # Such a file may hold keys as well.
    return "".join(f"{certificate}\n" for certificate in _CERTIFICATE.findall(read))


def _load_kubeconfig(given: Authentication, configuration: kubernetes.client.Configuration) -> None:
    named = given.kubeconfig or os.environ.get("KUBECONFIG")
    path = Path(named or "~/.kube/config").expanduser()
    try:
        if not named and not path.exists() and os.environ.get("KUBERNETES_SERVICE_HOST"):
            kubernetes.config.load_incluster_config(client_configuration=configuration)
        else:
            kubernetes.config.load_kube_config(
                str(path), context=given.context, client_configuration=configuration, persist_config=False
            )
    except kubernetes.config.ConfigException as error:
        raise PlatformError(
            ErrorClass.INVALID,
            f"kubeconfig: {str(path)!r} cannot be used: {str(error).rstrip('.')}.",
            "Give a kubeconfig (argument kubeconfig, K8S_AUTH_KUBECONFIG or KUBECONFIG) "
            "and a context that is in it, or host and api_key.",
            {"field": "kubeconfig"},
        ) from error
    except (OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
        told = isinstance(error, OSError | yaml.YAMLError)
        raise PlatformError(
            ErrorClass.INVALID,
            f"kubeconfig: {str(path)!r} cannot be read: {error if told else 'it is not a kubeconfig'}.",
            "Check that the file exists, is readable and is a kubeconfig.",
            {"field": "kubeconfig"},
        ) from error


def _ssl_context(configuration: kubernetes.client.Configuration) -> ssl.SSLContext | None:
    context = None
    if str(configuration.host).startswith("https"):
        try:
            context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
            if configuration.cert_file:
                context.load_cert_chain(configuration.cert_file, configuration.key_file)
        except (OSError, ssl.SSLError) as error:
            raise PlatformError(
                ErrorClass.AUTH,
                f"The certificates for {configuration.host} cannot be loaded: {error}.",
                "Check ca_cert, client_cert and client_key, or the certificate data of the kubeconfig.",
            ) from error
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    # The context holds the keys now. The package removes its copies of them only at a regular exit, which
    # the workers of Ansible never have: private keys would pile up in the temporary folder.
    kubernetes.config.kube_config._cleanup_temp_files()
    return context


def _connection_pool(
    configuration: kubernetes.client.Configuration, context: ssl.SSLContext | None
) -> urllib3.PoolManager:
    options: dict[str, Any] = {"ssl_context": context, "maxsize": 4}
    if configuration.tls_server_name:
        options["server_hostname"] = configuration.tls_server_name
    if configuration.proxy:
        return urllib3.ProxyManager(configuration.proxy, proxy_headers=configuration.proxy_headers, **options)
    return urllib3.PoolManager(**options)


def _may_heal(answer: urllib3.BaseHTTPResponse) -> bool:
    return answer.status in _RETRIED_STATUS and _WRONG_FIELD not in answer.data


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float:
    value = answer.headers.get("Retry-After", "")
    return min(float(value), _READ_TIMEOUT_S) if value.isdigit() else 0.0


def _transport_error(error: Exception, server: str) -> PlatformError:
    text = _POOL_NAME.sub("", excerpt(str(error), 300)).rstrip(".")
    if isinstance(error, urllib3.exceptions.SSLError):
        return PlatformError(
            ErrorClass.AUTH,
            f"TLS to {server} failed: {text}.",
            "Check that the certificate authority in the kubeconfig (or ca_cert) is the cluster's and that "
            "neither certificate has expired. Verification is never skipped unless validate_certs is false.",
        )
    if isinstance(error, urllib3.exceptions.LocationValueError):
        return PlatformError(ErrorClass.INVALID, f"host: {server!r} is not a URL.", "Give https://name:port.")
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        advice = "The name does not resolve: check host, or the server in the kubeconfig, and DNS."
    elif isinstance(error, urllib3.exceptions.ReadTimeoutError):
        text = "it takes connections but does not answer"
        advice = "See whether the API server or a balancer before it hangs, then run again."
    elif isinstance(error, urllib3.exceptions.ProxyError):
        advice = "Check proxy (or proxy-url of the kubeconfig, or HTTPS_PROXY), and that it lets us through."
    elif isinstance(error, urllib3.exceptions.NewConnectionError):
        advice = "Nothing answers there: check that the API server runs and that address and port are right."
    else:
        advice = "Check the network between here and the API server, then run again."
    return PlatformError(
        ErrorClass.INFRASTRUCTURE, f"The API server {server} cannot be reached: {text}.", advice
    )


def _status_error(answer: urllib3.BaseHTTPResponse, method: str, path: str) -> APIError:
    try:
        status = json.loads(answer.data)
    except ValueError:
        status = {}
    if not isinstance(status, dict):
        status = {}
    text = excerpt(str(status.get("message") or answer.data[:2000].decode(errors="replace")), 1000)
    reason = str(status.get("reason") or answer.reason or "")
    message = f"The API server answered {answer.status} to {method} {path}: {text}"
    if answer.status == 401:
        error_class, advice = ErrorClass.AUTH, "Log in again: the credentials are missing, wrong or expired."
    elif answer.status == 403:
        error_class, advice = (
            ErrorClass.AUTH,
            "Ask for the right that the message names (Role or ClusterRole).",
        )
    elif _may_heal(answer) or answer.status in _NEXT_TIME:
        error_class, advice = ErrorClass.INFRASTRUCTURE, "Run again."
    else:
        error_class, advice = ErrorClass.INVALID, "Check that name, namespace and object are right."
    details = status.get("details")
    causes = (details.get("causes") or []) if isinstance(details, dict) else []
    return APIError(error_class, message, advice, answer.status, reason, causes)

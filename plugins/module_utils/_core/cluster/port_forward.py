# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TCP connection into a pod, through the API server and the kubelet (what ``kubectl port-forward`` does).

One WebSocket is one connection; it is driven by its caller, so that there is no thread or listening port
that could be left behind.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ..common.errors import ErrorClass, PlatformError, missing_library
from ..common.redaction import excerpt
from .client import ClusterClient, segment

try:
    import websocket

    LIBRARY_ERROR: ImportError | None = None
except ImportError as error:
    LIBRARY_ERROR = error

# Frames start with the number of their channel; the first frame of each channel repeats the port.
_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1


class ForwardedConnection:
    """The part of a socket's interface that an HTTP connection needs.

    Raises ``ConnectionRefusedError`` where nothing listens on the pod's port, ``ConnectionError`` for other
    ends of the connection and ``TimeoutError`` when the time set by :meth:`settimeout` passes.
    """

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._received = bytearray()
        self._greeted: set[int] = set()
        self._ended = False

    @classmethod
    def open(
        cls, client: ClusterClient, namespace: str, pod: str, port: int, timeout: float
    ) -> ForwardedConnection:
        """Connect to a port of a pod; raise a typed error where the API server refuses."""
        if LIBRARY_ERROR is not None:
            raise missing_library("websocket-client", LIBRARY_ERROR)
        path = f"/api/v1/namespaces/{segment(namespace)}/pods/{segment(pod)}/portforward?ports={port}"
        server = urlsplit(client.server)
        bare = client.open_socket(timeout)
        bare.settimeout(timeout)
        connection = websocket.WebSocket()
        try:
            connection.connect(  # type: ignore[no-untyped-call]
                f"ws://{server.netloc}{server.path.rstrip('/')}{path}",
                socket=bare,
                timeout=timeout,
                header=[f"{name}: {value}" for name, value in client.credentials()],
                subprotocols=[_PROTOCOL],
                suppress_origin=True,
                redirect_limit=0,
            )
        except websocket.WebSocketBadStatusException as error:
            raise _refusal(error, pod) from error
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError(f"port-forward to pod {pod} was not set up within {timeout:.1f} s") from error
        except (websocket.WebSocketException, OSError) as error:
            raise ConnectionError(f"port-forward to pod {pod} failed: {error}") from error
        return cls(connection)

    def settimeout(self, seconds: float) -> None:
        """Set how long one send or receive may take."""
        self._socket.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        """Send bytes to the pod."""
        try:
            self._socket.send_binary(bytes((_DATA,)) + data)
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError("sending to the pod took too long") from error
        except websocket.WebSocketException as error:
            raise ConnectionError(f"the port-forward was closed: {error}") from error

    def recv_into(self, buffer: memoryview) -> int:
        """Receive up to ``len(buffer)`` bytes; 0 at the end of the connection."""
        while not self._received and not self._ended:
            self._receive_frame()
        count = min(len(buffer), len(self._received))
        buffer[:count] = self._received[:count]
        del self._received[:count]
        return count

    def close(self) -> None:
        """Close the connection at once, without waiting for the other side's farewell."""
        self._ended = True
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def _receive_frame(self) -> None:
        try:
            opcode, data = self._socket.recv_data()
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError("the pod sent nothing in time") from error
        except websocket.WebSocketConnectionClosedException:
            self._ended = True
            return
        except websocket.WebSocketException as error:
            raise ConnectionError(f"the port-forward broke: {error}") from error
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self._ended = True
            return
        if opcode != websocket.ABNF.OPCODE_BINARY or not data:
            return
        channel, content = data[0], data[1:]
        if channel not in self._greeted:
            self._greeted.add(channel)
        elif channel == _DATA:
            self._received += content
        elif channel == _ERROR:
            self._ended = True
            text = excerpt(content.decode(errors="replace"), 300)
            if "refused" in text:
                raise ConnectionRefusedError(text)
            raise ConnectionError(text)


def _refusal(error: websocket.WebSocketBadStatusException, pod: str) -> PlatformError | ConnectionError:
    body = error.resp_body or b""
    text = excerpt(body.decode(errors="replace") if isinstance(body, bytes) else str(body), 500)
    seen = f"The API server answered {error.status_code} to a port-forward to pod {pod}: {text}"
    if error.status_code in (401, 403):
        return PlatformError(
            ErrorClass.AUTH,
            seen,
            "Ask for the right to create pods/portforward in the namespace, or use access: dns or proxy.",
        )
    # 404 and 5xx: the pod went away, or its kubelet is not reachable now; another pod may serve.
    return ConnectionError(seen)

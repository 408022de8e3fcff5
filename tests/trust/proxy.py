"""A TCP proxy between a client and the service that does to a request what its `X-Fault` header says.

| Fault | What the client sees | What the service sees |
|---|---|---|
| `cut before` | a closed connection | nothing |
| `cut half` | a closed connection | the beginning of a request, then a closed connection |
| `cut after` | a closed connection | a request, answered to nobody |
| `half open` | nothing, until it gives up | a request |
| `slow` | its answer, late | a request that comes byte by byte, for its body |
| `twice` | one answer | the same request at once on two connections |
| `again` | one answer | the same request once more, after it was answered |
| `5xx` | 502 with a page of the proxy's | a request, answered with something else |
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections import Counter
from typing import Final

__all__ = ["FAULTS", "Proxy"]

FAULTS: Final = ("cut before", "cut half", "cut after", "half open", "slow", "twice", "again", "5xx")
UPSTREAM_SECONDS: Final = 30.0
SLOW_SECONDS: Final = 0.002
_PAGE: Final = b"<html>502 Bad Gateway</html>"
_BAD_GATEWAY: Final = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    % len(_PAGE)
    + _PAGE
)


def _message(stream: socket.socket) -> bytes:
    """One HTTP message with its body; empty where the other side closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65_536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        more = stream.recv(65_536)
        if not more:
            return b""
        body += more
    return head + b"\r\n\r\n" + body


def _header(message: bytes, wanted: bytes) -> str:
    for line in message.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == wanted:
            return value.strip().decode()
    return ""


class Proxy:
    """Listens on `port` and passes on to the service's. `done` counts what it did to whom, by path's last word."""

    def __init__(self, upstream: int) -> None:
        self.done: Counter[tuple[str, str]] = Counter()
        proxy = self

        class Passing(socketserver.BaseRequestHandler):
            def handle(this) -> None:
                with contextlib.suppress(OSError):
                    while proxy._pass(this.request):
                        pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._upstream = upstream
        self._server = Server(("127.0.0.1", 0), Passing)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _pass(self, client: socket.socket) -> bool:
        """One request; whether there may be another on this connection."""
        request = _message(client)
        if not request:
            return False
        fault = _header(request, b"x-fault")
        if fault:
            call = request.split(b" ", 2)[1].partition(b"?")[0].rpartition(b"/")[2].decode()
            self.done[fault, call] += 1
        if fault == "cut before":
            return False
        if fault == "cut half":
            with self._service() as service:
                service.sendall(request[: len(request) * 2 // 3])
            return False
        if fault == "twice":
            other = threading.Thread(target=self._ask, args=(request,))
            other.start()
            answer = self._ask(request)
            other.join()
        else:
            answer = self._ask(request, slowly=fault == "slow")
        if fault == "again":
            self._ask(request)
        if fault == "cut after":
            return False
        if fault == "half open":
            # The client has to give up by itself; then it closes.
            client.settimeout(UPSTREAM_SECONDS)
            client.recv(1)
            return False
        client.sendall(_BAD_GATEWAY if fault == "5xx" else answer)
        return fault != "5xx"

    def _service(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._upstream), timeout=UPSTREAM_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _ask(self, request: bytes, *, slowly: bool = False) -> bytes:
        with self._service() as service:
            if slowly:
                body = len(request.partition(b"\r\n\r\n")[0]) + 4
                service.sendall(request[:body])
                for at in range(body, len(request), 8):
                    service.sendall(request[at : at + 8])
                    time.sleep(SLOW_SECONDS)
            else:
                service.sendall(request)
            return _message(service)

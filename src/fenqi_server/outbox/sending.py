"""One POST to one checked address: no redirects, little time, and no more of the answer than its status."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from fenqi_server.outbox.addresses import Destination

__all__ = ["SendFailed", "post"]

CONNECT_SECONDS: Final = 3.0
TOTAL_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 64_000


class SendFailed(Exception):
    """No answer that counts: the cause, in a few words without the answer's text."""


class _CheckedConnection(http.client.HTTPConnection):
    """Connects to the address that was checked, whatever the name points to by now."""

    def __init__(self, to: Destination) -> None:
        super().__init__(to.host, to.port, timeout=CONNECT_SECONDS)
        self._to = to

    def connect(self) -> None:
        self.sock = socket.create_connection((self._to.address, self._to.port), CONNECT_SECONDS)
        if self._to.scheme == "https":
            context = ssl.create_default_context()
            # The handshake only once the socket is ours to shut: it too may be dripped.
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self._to.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()


@contextmanager
def _ended_in_time(connection: _CheckedConnection) -> Iterator[threading.Event]:
    """Shut the connection when the time is up, wherever it stands; the event given says that this was done.

    A timeout is for one read, and an endpoint that drips bytes gives each read one: a worker would wait for ever.
    """

    ended = threading.Event()

    def shut() -> None:
        # First said, then done: whoever sees the connection end knows why.
        ended.set()
        if connection.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(TOTAL_SECONDS, shut)
    timer.daemon = True
    timer.start()
    try:
        yield ended
    finally:
        timer.cancel()


def post(to: Destination, body: bytes, headers: Mapping[str, str]) -> int:
    """The status that the endpoint answered. Raises `SendFailed`."""
    connection = _CheckedConnection(to)
    with _ended_in_time(connection) as ended:
        try:
            status = _answered(connection, to, body, headers)
        except TimeoutError:
            raise SendFailed("no answer in time") from None
        except ssl.SSLError as error:
            raise SendFailed(f"TLS: {error.reason or 'failed'}") from None
        except (OSError, http.client.HTTPException) as error:
            raise SendFailed(type(error).__name__) from None
        finally:
            connection.close()
    if ended.is_set():
        raise SendFailed(f"no whole answer within {TOTAL_SECONDS:.0f} s")
    return status


def _answered(
    connection: _CheckedConnection, to: Destination, body: bytes, headers: Mapping[str, str]
) -> int:
    default_port = 443 if to.scheme == "https" else 80
    host = to.host if to.port == default_port else f"{to.host}:{to.port}"
    connection.connect()
    connection.sock.settimeout(TOTAL_SECONDS)
    connection.putrequest("POST", to.path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": host, "Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    read = 0
    while read < MAX_ANSWER_BYTES:
        chunk = answer.read1(8192)
        if not chunk:
            break
        read += len(chunk)
    return answer.status

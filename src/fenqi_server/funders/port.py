"""The port through which a funder is spoken to: three calls, and two ways in which a call can fail.

| Call | Asks |
|---|---|
| `probe()` | whether its service works; nothing of any customer |
| `start(application)` | to take an application in; answers with its page. The same reference again is the same application |
| `inquire(reference)` | what became of an application; moves nothing |

`Refusing` means that the call certainly did nothing: nobody was reached, or the service said that it takes none.
`NoAnswer` means that nothing is known: the call may have been carried out. It is never made again to find out; it is
inquired about.

An adapter never runs inside a transaction that holds a customer: a funder that hangs would keep the customer, and a
rollback could not take its call back.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote, urlsplit

import msgspec
from django.conf import settings

from fenqi_server.outbox.addresses import Destination, RefusedAddress, resolve
from fenqi_server.shops.models import Shop

__all__ = [
    "Answer",
    "Application",
    "HttpFunder",
    "NoAnswer",
    "Port",
    "Refusing",
    "Settings",
    "Status",
    "funder_settings",
    "is_configured",
    "port_of",
    "shops_with_ports",
]

Answer = Literal["approved", "declined"]

MAX_ANSWER_BYTES: Final = 64_000


class Refusing(Exception):
    """The funder's service takes nothing now, and did nothing. The cause, in a few words of ours."""


class NoAnswer(Exception):
    """It is not known what the funder did with the call. The cause, in a few words of ours."""


class Application(msgspec.Struct, frozen=True):
    """What a funder is told: the order and its amount. Who the customer is, it asks them on its own page."""

    reference: str
    plan: str
    amount_minor: int
    currency: str
    order_ref: str
    return_to: str
    at: datetime


class Status(msgspec.Struct, frozen=True):
    """What the funder knows of a reference: nothing (`known` false), or its page and its answer, if it has one."""

    known: bool
    answer: Answer | None = None
    page_url: str = ""


class Port(Protocol):
    """An adapter to one funder. Every call raises `Refusing` or `NoAnswer` where it fails."""

    def probe(self) -> None: ...

    def start(self, application: Application) -> str: ...

    def inquire(self, reference: str) -> Status: ...


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one funder is reached. `private` allows an address inside the own network; without it, only the open one."""

    url: str
    key: str
    timeout_seconds: float = 5.0
    private: bool = False
    probe_seconds: int = 60


_settings: Final = msgspec.json.Decoder(Settings).decode  # made with the module: see fenqi.policy.snapshot


class HttpFunder:
    """A funder that speaks the small protocol of docs/causes.md over HTTP.

    Each call has one time for everything: connecting, the handshake, and every byte of the answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def probe(self) -> None:
        status, _ = self._call("GET", "/health", None)
        if status != 200:
            raise Refusing(f"health answers {status}")

    def start(self, application: Application) -> str:
        body = {
            "plan": application.plan,
            "amount_minor": application.amount_minor,
            "currency": application.currency,
            "order_ref": application.order_ref,
            "return_to": application.return_to,
            "at": application.at.isoformat(),
        }
        path = f"/applications/{quote(application.reference, safe='')}"
        status, said = self._call("PUT", path, body)
        if status in (200, 201):
            page = _page(said.get("page_url"))
            if not page:
                # It has the application, and we cannot send the customer there: inquiring will tell.
                raise NoAnswer("it names no page to go on to")
            return page
        raise _failure(status)

    def inquire(self, reference: str) -> Status:
        status, said = self._call("GET", f"/applications/{quote(reference, safe='')}", None)
        if status == 404 and said.get("code") == "unknown_reference":
            # Its own words that it never had it. A bare 404 may come from any server on the way.
            return Status(known=False)
        if status != 200:
            raise _failure(status)
        answer = said.get("answer")
        if answer not in (None, "approved", "declined"):
            raise NoAnswer("an answer that is none of ours")
        return Status(True, answer, _page(said.get("page_url")))

    def _call(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        to = self._destination(path)
        seconds = self._settings.timeout_seconds
        deadline = time.monotonic() + seconds
        try:
            open_socket = socket.create_connection((to.address, to.port), seconds)
        except OSError as error:
            # Nobody was reached, so nobody did anything.
            raise Refusing(f"cannot be reached: {type(error).__name__}") from None
        link = http.client.HTTPConnection(to.host, to.port)
        link.sock = open_socket
        with _shut_at(deadline, link):
            try:
                if to.scheme == "https":
                    context = ssl.create_default_context()
                    link.sock = context.wrap_socket(
                        open_socket, server_hostname=to.host, do_handshake_on_connect=False
                    )
                    link.sock.do_handshake()
            except (OSError, ValueError) as error:
                open_socket.close()
                link.close()
                raise Refusing(f"no TLS: {type(error).__name__}") from None
            try:
                return self._exchange(link, to, method, body, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise NoAnswer(f"no whole answer: {type(error).__name__}") from None
            finally:
                with suppress(OSError):
                    link.close()

    def _exchange(
        self, link: http.client.HTTPConnection, to: Destination, method: str, body: Any, deadline: float
    ) -> tuple[int, dict[str, Any]]:
        written = b"" if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._settings.key}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        link.request(method, to.path, body=written or None, headers=headers)
        answer = link.getresponse()
        read = bytearray()
        while len(read) < MAX_ANSWER_BYTES:
            chunk = answer.read1(8192)
            if not chunk:
                break
            read += chunk
        if time.monotonic() >= deadline:
            # Cut off by us, it would look like an answer that is whole.
            raise TimeoutError("the time for the whole call is over")
        said = json.loads(read) if read and "json" in (answer.getheader("Content-Type") or "") else {}
        return answer.status, said if isinstance(said, dict) else {}

    def _destination(self, path: str) -> Destination:
        url = self._settings.url.rstrip("/") + path
        if self._settings.private:
            parts = urlsplit(url)
            host = parts.hostname or ""
            port = parts.port or (443 if parts.scheme == "https" else 80)
            return Destination(parts.scheme, host, port, parts.path, host)
        try:
            return resolve(url)
        except RefusedAddress as refused:
            raise Refusing(str(refused)) from None


def _failure(status: int) -> Exception:
    # 429 and 503 say that nothing was done, and so does a request refused for what it says. After any other 5xx
    # nobody knows how far it got.
    # 408, 409 and 425 may be about a call of which a part, or an earlier one, has arrived.
    if status in (429, 503) or (300 <= status < 500 and status not in (408, 409, 425)):
        return Refusing(f"answers {status}")
    return NoAnswer(f"answers {status}")


def _page(url: object) -> str:
    if not isinstance(url, str) or len(url) > 1_000 or urlsplit(url).scheme not in ("http", "https"):
        return ""
    return url


@contextmanager
def _shut_at(deadline: float, link: http.client.HTTPConnection) -> Iterator[None]:
    """Shut the connection at the deadline, wherever it stands: a service that drips gives each read a byte in time."""

    def shut() -> None:
        if link.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(link.sock, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def funder_settings(shop: Shop, funder: str) -> Settings | None:
    """How this shop's funder is reached; None where no address is set up for it."""
    found = settings.FENQI_FUNDERS.get(shop.code, {}).get(funder)
    return None if found is None else _settings(json.dumps(found))


def is_configured(shop: Shop, funder: str) -> bool:
    """Whether an address is set up for this shop's funder."""
    return funder in settings.FENQI_FUNDERS.get(shop.code, {})


def port_of(shop: Shop, funder: str) -> Port | None:
    """The adapter to this shop's funder; None where it has none of its own.

    A funder without one is played by the pretend funder, in a shop that is not live.
    """
    found = funder_settings(shop, funder)
    return None if found is None else HttpFunder(found)


def shops_with_ports() -> dict[str, tuple[str, ...]]:
    """The codes of the shops that have adapters, with their funders."""
    return {code: tuple(sorted(funders)) for code, funders in settings.FENQI_FUNDERS.items()}

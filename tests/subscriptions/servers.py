"""A real mail server on this machine, that does as it is told and keeps what it gets."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from fenqi_server.processes import free_port

__all__ = ["Post", "PostBox"]


@dataclass
class PostBox:
    """What a server of ours got, and what it is to answer. `lose` counts answers that never reach the sender."""

    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    rcpt: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    lose: int = 0
    hang_up_before: int = 0
    connections: int = 0
    tls: list[bool] = field(default_factory=list)

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.hang_up_before:
            self.hang_up_before -= 1
            server.transport.abort()
        answer = self.rcpt.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.data.pop(0) if self.data else "250 OK"
        if answer.startswith("250"):
            self.raw.append(envelope.content)
            self.tls.append(session.ssl is not None)
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.mails.append((envelope.rcpt_tos[0], mail))  # type: ignore[arg-type]
        if self.lose:
            self.lose -= 1
            server.transport.abort()
        return answer

    @property
    def to(self) -> list[str]:
        return [address for address, _ in self.mails]

    @property
    def ids(self) -> list[str]:
        return [mail["Message-ID"] for _, mail in self.mails]

    def text(self, index: int = -1) -> str:
        """The plain text of one mail."""
        body = self.mails[index][1].get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    def html(self, index: int = -1) -> str:
        body = self.mails[index][1].get_body(("html",))
        assert body is not None
        return str(body.get_content())

    def link(self, view: str, index: int = -1) -> str:
        """The path and query of the mail's link to one of our pages."""
        line = next(line for line in self.text(index).splitlines() if f"/notify/{view}/" in line)
        return "/" + line.split("/", 3)[3]


class Post:
    """The server, started on a free port of this machine."""

    def __init__(self, **more: Any) -> None:
        self.box = PostBox()
        # aiosmtpd wants a port by number: it looks whether it answers there.
        self.port = free_port()
        self._controller = Controller(
            self.box, hostname="127.0.0.1", port=self.port, ready_timeout=10, **more
        )

    def __enter__(self) -> Post:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

"""Answers by mail: through a real mail server, once, to the address on file, and back to the case's own address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.db import connection
from django.test import override_settings
from tests.api.world import AT
from tests.support.test_mail import written

from fenqi_server.customers import service as customers
from fenqi_server.processes import free_port
from fenqi_server.support import cases, mail, mailing


class Inbox:
    """What a mail server took, and what it answers."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.taken.append(
                (envelope.rcpt_tos[0], message_from_bytes(envelope.content, policy=policy.default))
            )
        return self.answer


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()
    port = free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    with override_settings(
        FENQI_SMTP_URL=f"smtp://127.0.0.1:{port}",
        FENQI_SUPPORT_MAIL="support@mall.example",
        FENQI_MAIL_FROM="no-reply@mall.example",
    ):
        yield box
    server.stop()


def asked(mall: Any) -> cases.Case:
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li", "li.hua@example.com"), AT)
    received = mail.receive(mall.shop, written(), AT)
    return cases.get(mall.shop, received.case or "")[0]


def outcomes() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome FROM support_mail_outcome ORDER BY at, attempt")
        return [row[0] for row in cursor.fetchall()]


def test_a_question_by_mail_is_answered_by_mail_and_the_answer_to_it_comes_back(mall, inbox):
    case = asked(mall)
    cases.write(mall.shop, case.public_id, "agent", "Until Friday.\n\nThen it is back.", AT, actor="staff:li")
    assert mailing.send_due(AT) == 1
    assert mailing.send_due(AT) == 0
    ((to, sent),) = inbox.taken
    assert to == "li.hua@example.com"
    assert sent["Subject"] == f"Re: My instalments [#{case.number}]"
    text = sent.get_body(("plain",)).get_content()
    assert "Until Friday." in text
    assert case.number in text
    assert sent["List-Unsubscribe"] is None
    quoted = "Thanks!\n" + "\n".join(f"> {line}" for line in text.splitlines())
    back = mail.receive(mall.shop, written(quoted, To=sent["Reply-To"], Message_ID="<2@x.example>"), AT)
    assert (back.outcome, back.case) == ("added", case.public_id)
    assert cases.get(mall.shop, case.public_id)[1][-1].body == "Thanks!"
    assert outcomes() == ["delivered"]


def test_a_mail_server_that_is_busy_is_asked_again_with_the_same_name(mall, inbox):
    case = asked(mall)
    cases.write(mall.shop, case.public_id, "agent", "Until Friday.", AT, actor="staff:li")
    inbox.answer = "451 try later"
    assert mailing.send_due(AT) == 0
    assert mailing.send_due(AT + timedelta(seconds=59)) == 0
    inbox.answer = "250 OK"
    assert mailing.send_due(AT + timedelta(seconds=61)) == 1
    assert outcomes() == ["retry", "delivered"]
    assert len(inbox.taken) == 1


def test_nothing_is_mailed_to_whoever_asked_on_a_page_or_was_forgotten(mall, inbox):
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li", "li.hua@example.com"), AT)
    page = cases.open_case(mall.shop, mall.customer_id, "Why?", AT, locale="en")
    cases.write(mall.shop, page.public_id, "agent", "So.", AT, actor="staff:li")
    case = asked(mall)
    cases.write(mall.shop, case.public_id, "agent", "Until Friday.", AT, actor="staff:li")
    customers.erase_private(mall.shop, mall.customer_id)
    assert mailing.send_due(AT) == 0
    assert inbox.taken == []
    assert outcomes() == ["no_address"]


def test_a_note_is_never_mailed(mall, inbox):
    case = asked(mall)
    cases.note(mall.shop, case.public_id, "staff:li", "a secret of the desk", AT)
    cases.write(mall.shop, case.public_id, "agent", "Until Friday.", AT, actor="staff:li")
    mailing.send_due(AT)
    assert "secret" not in str(inbox.taken[0][1])


def test_an_installation_without_a_mail_server_queues_nothing_and_says_so(mall):
    case = asked(mall)
    cases.write(mall.shop, case.public_id, "agent", "Until Friday.", AT, actor="staff:li")
    _, messages = cases.get(mall.shop, case.public_id)
    assert mailing.by_mail(mall.shop, case, messages) == ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM support_mail")
        assert cursor.fetchone() == (0,)

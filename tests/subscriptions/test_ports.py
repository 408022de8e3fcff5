"""Webhooks, and ports of one's own for text messages and pushes."""

from __future__ import annotations

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from django.db import connection
from django.test import Client, override_settings
from tests.api.world import AT
from tests.pages.page import parse
from tests.subscriptions.test_subscription import _move

from fenqi_server.subscriptions.ports import Outcome


def _rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _run(at=AT):
    from fenqi_server.subscriptions import fanout, queue

    fanout.expand_due(at)
    return queue.deliver_due(at)


@pytest.fixture
def receiver():
    """A program that listens on this machine, which only a demo or a test may send to."""
    got: list[tuple[dict[str, str], bytes]] = []
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(answers.pop(0) if answers else 204)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with override_settings(FENQI_WEBHOOK_ALLOW_LOOPBACK=True):
        yield type(
            "Receiver",
            (),
            {"got": got, "answers": answers, "url": f"http://127.0.0.1:{server.server_port}/x"},
        )
    server.shutdown()
    server.server_close()


@pytest.fixture
def hooked(mall, post, settled, receiver):
    """A webhook that was asked for on the page and confirmed by the link that it got; with its secret."""
    browser = Client(headers={"accept-language": "en"})
    page = browser.post(
        "/notify/subscribe/",
        {"channel": "webhook", "address": receiver.url, "family": ["beichen"], "locale": "en"},
    )
    secret = parse(page.content).one("code").text
    _run()
    (_, body) = receiver.got.pop()
    said = msgspec.json.decode(body)
    assert said["type"] == "subscription.confirm"
    link = "/" + said["data"]["confirm"].split("/", 3)[3]
    assert "Confirmed" in browser.post(link).content.decode()
    return secret


def test_a_webhook_gets_every_revision_signed_with_the_secret_that_was_shown_once(mall, receiver, hooked):
    from fenqi_server.clock import system_now
    from fenqi_server.outbox.signing import verify

    _move(mall, 98)
    _move(mall, 99, AT + timedelta(seconds=1))
    assert _run(AT + timedelta(seconds=2)) == 2
    assert len(receiver.got) == 2, "a program is not spared: no revision takes another's place"
    numbers = []
    for headers, body in receiver.got:
        assert verify(hooked, headers, body, system_now())
        said = msgspec.json.decode(body)
        assert said["type"] == "announcement.updated"
        assert said["data"]["title"].keys() == {"zh-CN", "en"}
        assert "/notify/off/" in said["data"]["unsubscribe"]
        numbers.append(said["data"]["number"])
    assert sorted(numbers) == [2, 3]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    assert _rows("SELECT count(*) FROM subscriptions_subscription WHERE sealed_secret LIKE '%%whsec%%'") == [
        (0,)
    ]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 429, 500, 503])
def test_a_redirect_or_a_failure_is_no_success_and_is_tried_again_with_the_same_id(
    mall, receiver, hooked, status
):
    _move(mall, 98)
    receiver.answers.append(status)
    assert _run() == 0
    assert _rows("SELECT outcome, code FROM subscriptions_delivery WHERE kind = 'revision'") == [
        ("retry", status)
    ]
    assert _run(AT + timedelta(seconds=61)) == 1
    assert len(receiver.got) == 2, "the redirect was not followed"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_slow_programs_keep_no_mail_waiting(mall, receiver, hooked, follow, post, monkeypatch):
    from fenqi_server.subscriptions import queue

    follow("ann@example.com")
    receiver.got.clear()
    # Many revisions for the program, and a round that is over after its first batch.
    for number in range(8):
        _move(mall, 50 + number, AT + timedelta(seconds=number))
    monkeypatch.setattr(queue, "ROUND_SECONDS", 0)
    from fenqi_server.subscriptions import fanout

    fanout.expand_due(AT + timedelta(seconds=9))
    queue.deliver_due(AT + timedelta(seconds=9))
    assert post.to == ["ann@example.com"]
    assert 0 < len(receiver.got) <= queue.PROGRAM_ROWS


def test_gone_ends_it(mall, receiver, hooked):
    _move(mall, 98)
    receiver.answers.append(410)
    _run()
    assert _rows("SELECT state, address, sealed_secret FROM subscriptions_subscription") == [
        ("suspended", "", None)
    ]


def test_a_name_that_points_inside_later_on_is_not_called(mall, receiver, hooked):
    """What was checked when it was asked for is checked again whenever something is sent."""
    _move(mall, 98)
    with override_settings(FENQI_WEBHOOK_ALLOW_LOOPBACK=False):
        assert _run() == 0
    assert receiver.got == []
    assert _rows("SELECT outcome FROM subscriptions_delivery WHERE kind = 'revision'") == [("retry",)]


class TextMessages:
    """A port as an installation would write it."""

    sent: list[tuple[str, str, str]] = []

    def deliver(self, message):
        TextMessages.sent.append((message.message_id, message.address, message.letter.text))
        return Outcome("delivered")

    def close(self):
        pass


def test_a_port_of_ones_own_is_offered_and_used(mall, post, settled):
    TextMessages.sent.clear()
    browser = Client(headers={"accept-language": "en"})
    with override_settings(FENQI_SMS_PORT=f"{__name__}.TextMessages"):
        answer = browser.post(
            "/notify/subscribe/", {"channel": "sms", "address": "+8613800000000", "locale": "en"}
        )
        assert answer.status_code == 302
        assert _run() == 1
        (name, address, text) = TextMessages.sent[0]
        assert address == "+8613800000000"
        assert name.startswith("<")
        link = next(line for line in text.splitlines() if "/notify/confirm/" in line)
        assert browser.post("/" + link.split("/", 3)[3]).status_code == 200
        _move(mall, 98)
        assert _run() == 1
        assert "next news moves" in TextMessages.sent[1][2]
    assert post.mails == []


def test_a_port_that_breaks_keeps_nothing_else_from_being_sent(mall, post, settled, follow):
    from fenqi_server.policies import service as policies
    from fenqi_server.subscriptions import subscription

    follow("ann@example.com")
    with override_settings(FENQI_SMS_PORT=f"{__name__}.Broken"):
        subscription.subscribe(
            mall.shop,
            policies.current(mall.shop.id, AT),
            "sms",
            "+8613800000000",
            "en",
            subscription.Scope(),
            AT,
        )
        _move(mall, 98)
        assert _run() == 1
    assert post.to == ["ann@example.com"]
    assert _rows("SELECT outcome FROM subscriptions_delivery WHERE channel = 'sms'") == [("retry",)]


class Broken:
    def deliver(self, message):
        raise RuntimeError("no such gateway")

    def close(self):
        pass

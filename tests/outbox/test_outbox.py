"""Webhooks: what is sent, how it is signed, where it may go, and what happens when nobody answers."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE, decoded


class _Receiver:
    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks?shop=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver():
    from django.test import override_settings

    made = _Receiver()
    with override_settings(FENQI_WEBHOOK_ALLOW_LOOPBACK=True):
        yield made
    made.server.shutdown()


@pytest.fixture
def endpoint(mall, call, receiver):
    body = {"url": receiver.url, "events": ["contract.opened", "hand_off.started", "hand_off.approved"]}
    response = call("POST", "/v1/webhook-endpoints", body, key=mall.key)
    assert response.status_code == 201, response.content
    return decoded(response)


def _opened(mall, plan="mall_12"):
    from fenqi_server.decisions import service as decisions

    shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    return agree(mall.shop, mall.customer_id, shown.quotes[plan].token, "o-1", AT)


def test_the_signature_is_that_of_the_standard_webhooks_specification():
    from fenqi_server.outbox.signing import sign

    # The example of the specification's reference libraries.
    assert (
        sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_the_published_library_takes_what_we_send_and_signs_alike(mall, endpoint, receiver):
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError

    from fenqi_server.outbox import service as outbox
    from fenqi_server.outbox.signing import sign

    done = _opened(mall)
    assert outbox.deliver_due(AT) == 1
    headers, body = receiver.got[0]
    theirs = Webhook(endpoint["secret"])
    # `verify` looks at the system's clock, as a receiver does; a message is sent now.
    assert theirs.verify(body, headers)["data"]["contract_id"] == done.contract_id
    with pytest.raises(WebhookVerificationError):
        theirs.verify(body.replace(b"contract", b"contrast", 1), headers)
    # The library takes any instant for one of UTC, whatever its zone: it is given none but UTC's.
    for instant in (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)):
        for text in ("{}", '{"name":"分期"}'):
            ours = sign(endpoint["secret"], "msg_1", int(instant.timestamp()), text.encode())
            assert ours == theirs.sign("msg_1", instant, text)


def test_an_opened_contract_is_told_signed_once_and_the_row_is_gone(mall, endpoint, receiver):
    from fenqi_server.clock import system_now
    from fenqi_server.outbox import service as outbox
    from fenqi_server.outbox.signing import verify

    done = _opened(mall)
    assert outbox.deliver_due(AT) == 1
    headers, body = receiver.got[0]
    assert verify(endpoint["secret"], headers, body, system_now())
    assert not verify(endpoint["secret"], headers, body + b" ", system_now())
    assert not verify(endpoint["secret"], headers, body, system_now() + timedelta(seconds=301))
    told = msgspec.json.decode(body)
    assert (told["type"], told["data"]["contract_id"]) == ("contract.opened", done.contract_id)
    assert outbox.deliver_due(AT) == 0
    assert [d["outcome"] for d in outbox.deliveries(mall.shop)] == ["delivered"]


def test_the_secret_is_shown_once_and_lies_encrypted(mall, call, endpoint):
    from django.db import connection

    listed = decoded(call("GET", "/v1/webhook-endpoints", key=mall.key))["endpoints"][0]
    assert "secret" not in listed
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed_secret FROM outbox_endpoint")
        sealed = cursor.fetchone()[0]
    assert endpoint["secret"].removeprefix("whsec_") not in sealed
    from fenqi_server.outbox.signing import open_secret

    assert open_secret(sealed) == endpoint["secret"]


def test_nothing_is_told_of_what_was_rolled_back(mall, endpoint, receiver):
    from django.db import transaction

    from fenqi_server.outbox import service as outbox

    with transaction.atomic():
        outbox.enqueue(mall.shop, mall.customer_id, "contract.opened", {}, AT)
        transaction.set_rollback(True)
    assert outbox.deliver_due(AT) == 0


def test_a_failure_is_tried_again_later_and_later_with_the_same_id(mall, endpoint, receiver):
    from fenqi_server.outbox import service as outbox

    receiver.answers = [500, 302, 200]
    _opened(mall)
    assert outbox.deliver_due(AT) == 1
    assert outbox.deliver_due(AT + timedelta(seconds=4)) == 0
    assert outbox.deliver_due(AT + timedelta(seconds=5)) == 1
    assert outbox.deliver_due(AT + timedelta(seconds=304)) == 0
    assert outbox.deliver_due(AT + timedelta(seconds=305)) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert sorted((d["attempt"], d["outcome"], d["status"]) for d in outbox.deliveries(mall.shop)) == [
        (1, "retry", 500),
        (2, "retry", 302),
        (3, "delivered", 200),
    ]


def test_a_message_is_given_up_after_the_last_attempt_and_says_so(mall, endpoint, receiver):
    from fenqi_server.outbox import service as outbox

    receiver.answers = [500] * 20
    _opened(mall)
    now, tried = AT, 0
    for _ in range(30):
        tried += outbox.deliver_due(now)
        now += timedelta(days=1, seconds=1)
    assert tried == len(outbox.RETRY_SECONDS) + 1
    assert outbox.deliveries(mall.shop)[0]["outcome"] == "given_up"


def test_a_killed_workers_rows_come_back_when_their_lease_ends(mall, endpoint, receiver):
    from fenqi_server.outbox import service as outbox

    _opened(mall)
    assert len(outbox._lease(mall.shop, AT)) == 1
    assert outbox.deliver_due(AT + timedelta(seconds=59)) == 0
    assert outbox.deliver_due(AT + timedelta(seconds=60)) == 1


def test_a_removed_endpoint_gets_nothing_more(mall, call, endpoint, receiver):
    from fenqi_server.outbox import service as outbox

    _opened(mall)
    assert call("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}", key=mall.key).status_code == 204
    assert outbox.deliver_due(AT) == 0
    assert call("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}", key=mall.key).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "https://user:secret@hooks.example/",
        "https://hooks.example:22/",
        "https://169.254.169.254/latest/",
        "https://[::ffff:10.0.0.1]/",
        "https://hooks.example/#part",
        "https://",
        "https://hooks.example/ x",
        "https://hööks.example/",
        "hooks.example",
    ],
)
def test_an_address_of_the_wrong_form_is_refused_at_once(mall, call, url):
    response = call(
        "POST", "/v1/webhook-endpoints", {"url": url, "events": ["contract.opened"]}, key=mall.key
    )
    assert (response.status_code, decoded(response)["errors"][0]["pointer"]) == (422, "/url")


def test_an_event_that_is_none_is_named(mall, call):
    body = {"url": "https://hooks.example/", "events": ["contract.opened", "contract.lost"]}
    error = decoded(call("POST", "/v1/webhook-endpoints", body, key=mall.key))["errors"][0]
    assert (error["pointer"], error["value"]) == ("/events/1", "contract.lost")


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_inside_is_never_called_however_it_is_written(address, monkeypatch):
    import socket

    from fenqi_server.outbox.addresses import RefusedAddress, is_public, resolve

    assert not is_public(address)

    def looked_up(*_, **__):
        # One good address beside the bad one: all are checked, not only the first.
        return [(0, 0, 0, "", ("1.1.1.1", 443)), (0, 0, 0, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(RefusedAddress, match="open internet"):
        resolve("https://hooks.example/")


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_an_address_of_the_open_internet_is(address):
    from fenqi_server.outbox.addresses import is_public

    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    ["https://2130706433/", "https://0x7f.1/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/"],
)
def test_other_spellings_of_loopback_are_refused(url):
    from fenqi_server.outbox.addresses import RefusedAddress, resolve

    with pytest.raises(RefusedAddress):
        resolve(url)


def test_the_connection_goes_to_the_checked_address_whatever_the_name_says_by_then(receiver):
    from fenqi_server.outbox.addresses import Destination
    from fenqi_server.outbox.sending import post

    port = receiver.server.server_port
    assert post(Destination("http", "rebound.example", port, "/x", "127.0.0.1"), b"{}", {}) == 204
    assert receiver.got[0][0]["host"] == f"rebound.example:{port}"


def test_an_endpoint_that_drips_is_left_in_time(monkeypatch):
    import socket
    import time

    from fenqi_server.outbox import sending
    from fenqi_server.outbox.addresses import Destination

    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = listener.accept()
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(50):
            try:
                peer.sendall(b"x")
            except OSError:
                return
            time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(sending.SendFailed):
        sending.post(Destination("http", "slow", listener.getsockname()[1], "/", "127.0.0.1"), b"", {})
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_endpoint_that_drips_its_head_or_its_handshake_is_left_in_time(monkeypatch, scheme):
    import socket
    import time

    from fenqi_server.outbox import sending
    from fenqi_server.outbox.addresses import Destination

    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))
    # A handshake that announces 16,000 bytes, and a head that never ends.
    said = b"\x16\x03\x03\x3e\x80" if scheme == "https" else b"HTTP/1.1 200 OK\r\nX: "

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            for byte in said + b"\x02" * 40:
                try:
                    peer.sendall(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(sending.SendFailed):
        sending.post(Destination(scheme, "slow", listener.getsockname()[1], "/", "127.0.0.1"), b"", {})
    assert time.monotonic() - began < 2


def test_a_secret_whose_key_was_retired_keeps_no_other_message_from_being_sent(
    mall, call, endpoint, receiver
):
    from django.conf import settings
    from django.test import override_settings

    from fenqi_server.outbox import service as outbox

    keys = {"new": b"n" * 32, **settings.FENQI_SIGNING_KEYS}
    with override_settings(FENQI_SIGNING_KEYS=keys, FENQI_SIGNING_KEY_ID="new"):
        outbox.add_endpoint(mall.shop, receiver.url, ("contract.opened",), AT)
    _opened(mall)
    with override_settings(FENQI_SIGNING_KEYS={"new": b"n" * 32}, FENQI_SIGNING_KEY_ID="new"):
        assert outbox.deliver_due(AT) == 2
    assert len(receiver.got) == 1
    waiting = next(d for d in outbox.deliveries(mall.shop) if d["outcome"] == "retry")
    assert "not in use" in waiting["error"]
    # The key is listed again: nothing was lost.
    assert outbox.deliver_due(AT + timedelta(seconds=5)) == 1
    assert len(receiver.got) == 2


def test_a_shop_with_slow_receivers_takes_its_share_of_a_round_and_no_more(mall, endpoint, monkeypatch):
    import time

    from fenqi_server.outbox import service as outbox

    monkeypatch.setattr(outbox, "ROUND_SECONDS", 0.2)
    monkeypatch.setattr(outbox, "post", lambda *_: time.sleep(0.1) or 204)
    for _ in range(30):
        outbox.enqueue(mall.shop, mall.customer_id, "contract.opened", {}, AT)
    assert outbox.deliver_due(AT) == outbox.LEASED_ROWS
    monkeypatch.setattr(outbox, "post", lambda *_: 204)
    # However slow the machine is: the next round ends with what waits, not with its time.
    monkeypatch.setattr(outbox, "ROUND_SECONDS", 120.0)
    assert outbox.deliver_due(AT) == 30 - outbox.LEASED_ROWS


def test_utc_whatever_offset_an_instant_carries(mall, endpoint):
    from zoneinfo import ZoneInfo

    from fenqi_server.outbox.signing import headers_for

    there = datetime(2026, 11, 24, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
    here = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    assert headers_for(endpoint["secret"], "m", there, b"") == headers_for(endpoint["secret"], "m", here, b"")


@pytest.fixture
def again(mall, call):
    numbers = iter(range(1, 1_000))

    def send(delivery: str, key: str | None = None):
        headers = {"Idempotency-Key": key or f"r-{next(numbers)}"}
        return call("POST", f"/v1/webhook-deliveries/{delivery}/replay", key=mall.key, headers=headers)

    return send


def _log(mall, call, query: str = ""):
    response = call("GET", f"/v1/webhook-deliveries?{query}", key=mall.key)
    assert response.status_code == 200, response.content
    return decoded(response)


def test_what_was_delivered_is_sent_again_as_it_was_once_for_each_request(
    mall, call, endpoint, receiver, again
):
    from fenqi_server.outbox import service as outbox

    _opened(mall)
    outbox.deliver_due(AT)
    (attempt,) = _log(mall, call)["attempts"]
    assert (attempt["outcome"], attempt["status"], attempt["endpoint_id"]) == (
        "delivered",
        204,
        endpoint["id"],
    )
    first = again(attempt["delivery_id"], "key")
    assert first.status_code == 201, first.content
    assert again(attempt["delivery_id"], "key").headers["Idempotent-Replayed"] == "true"
    assert outbox.deliver_due(AT + timedelta(minutes=1)) == 1
    (headers, body), (headers_again, body_again) = receiver.got
    assert body == body_again
    assert headers["webhook-id"] == headers_again["webhook-id"] == attempt["webhook_id"]
    newest = _log(mall, call)["attempts"][0]
    assert (newest["delivery_id"], newest["outcome"]) == (decoded(first)["delivery_id"], "delivered")
    # What was sent again may be sent once more.
    assert again(newest["delivery_id"]).status_code == 201


def test_what_waits_is_sent_now_and_not_twice(mall, call, endpoint, receiver, again):
    from fenqi_server.outbox import service as outbox

    receiver.answers = [500, 500]
    _opened(mall)
    outbox.deliver_due(AT)
    outbox.deliver_due(AT + timedelta(seconds=5))  # the next attempt is in five minutes
    soon = AT + timedelta(seconds=10)
    assert outbox.deliver_due(soon) == 0
    waiting = _log(mall, call, "outcome=retry")["attempts"][0]
    assert decoded(again(waiting["delivery_id"]))["delivery_id"] == waiting["delivery_id"]
    assert outbox.deliver_due(soon) == 1
    assert [each["attempt"] for each in _log(mall, call)["attempts"]] == [3, 2, 1]
    assert len(receiver.got) == 3


def test_a_message_whose_endpoint_is_gone_or_that_is_anothers_is_not_sent(mall, call, endpoint, again):
    from tests.api.world import make_world

    from fenqi_server.outbox import service as outbox

    _opened(mall)
    outbox.deliver_due(AT)
    (attempt,) = _log(mall, call)["attempts"]
    other = make_world("other")
    assert _log(other, call)["attempts"] == []
    foreign = call(
        "POST",
        f"/v1/webhook-deliveries/{attempt['delivery_id']}/replay",
        key=other.key,
        headers={"Idempotency-Key": "k"},
    )
    assert foreign.status_code == 404
    call("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}", key=mall.key)
    refused = again(attempt["delivery_id"])
    assert (refused.status_code, decoded(refused)["code"]) == (409, "endpoint_removed")
    assert again("wd_nothing").status_code == 404


def test_pages_of_attempts_hold_each_once_while_others_are_made(mall, call, endpoint, receiver):
    from fenqi_server.outbox import service as outbox

    receiver.answers = [500] * 4
    _opened(mall)
    for seconds in (0, 5, 305, 2_105):
        outbox.deliver_due(AT + timedelta(seconds=seconds))
    page, seen = _log(mall, call, "limit=1"), []
    while True:
        seen += [each["attempt"] for each in page["attempts"]]
        outbox.deliver_due(AT + timedelta(days=len(seen)))
        if page["after"] is None:
            break
        page = _log(mall, call, f"limit=1&after={page['after']}")
    assert seen == [4, 3, 2, 1]
    for query, pointer in (("after=x", "/after"), ("outcome=lost", "/outcome"), ("limit=0", "/limit")):
        response = call("GET", f"/v1/webhook-deliveries?{query}", key=mall.key)
        assert decoded(response)["errors"][0]["pointer"] == pointer

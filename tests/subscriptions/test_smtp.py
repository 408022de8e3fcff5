"""Mail, against a real mail server: its headers, its words, and what each answer of the server means."""

from __future__ import annotations

import datetime as dt
import email
import email.utils
import ssl
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from tests.api.world import AT
from tests.subscriptions.servers import Post

HOSTILE = 'A<script>alert("x")</script>&\r\nBcc: eve@example.com\r\n\r\n.\r\nhidden\x00\u202e'


def _outgoing(**changes):
    from fenqi_server.subscriptions.ports import Letter, Outgoing

    said = {
        "message_id": "<one@pay.example.com>",
        "kind": "revision",
        "address": "ann@example.com",
        "locale": "en",
        "letter": Letter(
            "Changed: terms", ("First.", ".a line with a dot first"), (("Notice", "https://x/"),)
        ),
        "sender": "The mall",
        "unsubscribe": "https://pay.example.com/notify/off/sb_x/?t=abc",
        "at": AT,
        "payload": {},
    }
    return Outgoing(**{**said, **changes})


def _subscribe(mall, address, locale="en", **scope):
    from fenqi_server.policies import service as policies
    from fenqi_server.subscriptions import subscription

    return subscription.subscribe(
        mall.shop,
        policies.current(mall.shop.id, AT),
        "email",
        address,
        locale,
        subscription.Scope(**scope),
        AT,
    ).subscription


def _rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _deliver(at=AT):
    from fenqi_server.subscriptions import queue

    return queue.deliver_due(at)


# ------------------------------------------------------------------------------------------------- what a mail is


@pytest.mark.parametrize(("locale", "word"), [("en", "Please confirm"), ("zh-CN", "请确认")])
def test_a_mail_has_the_headers_that_it_needs_and_says_the_same_twice(mall, post, locale, word):
    _subscribe(mall, "ann@example.com", locale)
    assert _deliver() == 1
    (to, mail) = post.mails[0]
    assert to == "ann@example.com"
    assert mail["To"] == "ann@example.com"
    assert mail["Message-ID"].endswith("@pay.example.com>")
    assert email.utils.parsedate_to_datetime(mail["Date"]) == AT.astimezone(dt.UTC)
    assert mail["From"].addresses[0].addr_spec == "no-reply@pay.example.com"
    assert mail["From"].addresses[0].display_name == ("The mall" if locale == "en" else "商城")
    assert mail["Content-Language"] == locale
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    unsubscribe = mail["List-Unsubscribe"]
    assert unsubscribe.startswith("<https://pay.example.com/notify/off/sb_")
    assert "mailto" not in unsubscribe
    assert word in mail["Subject"]
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    for line in post.text().split("\n\n"):
        assert (
            "\n" in line
            or line.strip() in post.html().replace("&quot;", '"').replace("&#x27;", "'")
            or "--" in line
        )
    assert f'<html lang="{locale}">' in post.html()
    assert "style=" not in post.html()
    assert "<script" not in post.html()
    # No line is longer than a mail server has to take.
    assert max(map(len, post.raw[0].split(b"\r\n"))) <= 998


def test_what_operators_wrote_is_text_and_no_markup_and_begins_no_header(mall):
    from fenqi.texts import Text
    from fenqi_server.subscriptions import letters
    from fenqi_server.subscriptions.said import Said
    from fenqi_server.subscriptions.smtp import mail_of

    hostile = Text(HOSTILE, HOSTILE)
    said = Said(
        announcement="x",
        number=1,
        kind="published",
        state="published",
        title=hostile,
        reason=hostile,
        affected=hostile,
        unaffected=hostile,
        since=0,
    )
    for locale in ("en", "zh-CN"):
        letter = letters.revision(mall.shop, said, locale, AT, "https://m/", "https://l/")
        with Post() as server:
            from fenqi_server.subscriptions.smtp import SmtpPort, read_url

            port = SmtpPort(read_url(server.url))
            assert port.deliver(_outgoing(letter=letter, sender=HOSTILE, locale=locale)).state == "delivered"
            port.close()
            (_, mail) = server.box.mails[0]
            assert set(mail.keys()) == set(email.message_from_bytes(mail_of(_outgoing())).keys()), (
                "no header but ours"
            )
            assert mail["Bcc"] is None
            assert "\n" not in mail["Subject"]
            html = server.box.html()
            assert "<script" not in html
            assert "&lt;script&gt;" in html
            # Its lines stay inside its own paragraph: none passes for one of ours.
            assert "hidden" in server.box.text()
            assert not [line for line in server.box.text().splitlines() if line.startswith(("Bcc", "hidden"))]
            assert "\x00" not in server.box.text()
            assert "\u202e" not in server.box.text()


def test_a_line_that_begins_with_a_dot_arrives_as_it_was():
    from fenqi_server.subscriptions.smtp import SmtpPort, read_url

    with Post() as server:
        port = SmtpPort(read_url(server.url))
        port.deliver(_outgoing())
        assert ".a line with a dot first" in server.box.text().splitlines()
        port.close()


def test_several_mails_go_over_one_connection():
    from fenqi_server.subscriptions.smtp import SmtpPort, read_url

    with Post() as server:
        port = SmtpPort(read_url(server.url))
        for number in range(5):
            assert port.deliver(_outgoing(message_id=f"<{number}@x>")).state == "delivered"
        port.close()
        assert len(server.box.mails) == 5
        assert server.box.connections == 1


# --------------------------------------------------------------------------------------------- the server's answers


def test_taken_over_is_done_and_the_row_is_gone(mall, post):
    found = _subscribe(mall, "ann@example.com")
    _deliver()
    assert _rows("SELECT count(*) FROM subscriptions_message") == [(0,)]
    assert _rows("SELECT outcome, code, attempt, target FROM subscriptions_delivery") == [
        ("delivered", 250, 1, found.id)
    ]
    assert _deliver() == 0
    assert len(post.mails) == 1


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_passing_trouble_is_tried_again_later_and_later(mall, post, where):
    _subscribe(mall, "ann@example.com")
    if where == "rcpt":
        post.rcpt["ann@example.com"] = "451 try later"
    else:
        post.data = ["452 too busy", "452 too busy"]
    assert _deliver() == 0
    assert _rows("SELECT outcome, code FROM subscriptions_delivery")[0][0] == "retry"
    assert _rows("SELECT due_at - %s FROM subscriptions_message", AT)[0][0] >= timedelta(seconds=59)
    assert _deliver(AT + timedelta(seconds=30)) == 0, "not before its time"
    assert _deliver(AT + timedelta(seconds=70)) == 0
    assert _rows("SELECT due_at - %s FROM subscriptions_message", AT)[0][0] >= timedelta(seconds=360)
    post.rcpt.clear()
    post.data.clear()
    assert _deliver(AT + timedelta(seconds=400)) == 1
    assert _rows("SELECT outcome FROM subscriptions_delivery ORDER BY attempt") == [
        ("retry",),
        ("retry",),
        ("delivered",),
    ]


def test_trouble_that_does_not_pass_is_given_up_after_three_days(mall, post, follow):
    _subscribe(mall, "ann@example.com")
    post.rcpt["ann@example.com"] = "451 try later"
    at = AT
    for _ in range(60):
        at += timedelta(hours=8)
        _deliver(at)
    outcomes = [row[0] for row in _rows("SELECT outcome FROM subscriptions_delivery ORDER BY attempt")]
    assert outcomes[-1] == "given_up"
    assert len(outcomes) < 15
    assert _rows("SELECT count(*) FROM subscriptions_message") == [(0,)]
    assert _rows("SELECT address, state FROM subscriptions_subscription") == [("", "suspended")]


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_refusal_for_good_is_recorded_and_the_address_suspended_everywhere(mall, post, where):
    from fenqi_server.subscriptions.addresses import BadAddress

    _subscribe(mall, "ann@example.com")
    if where == "rcpt":
        post.rcpt["ann@example.com"] = "550 nobody here"
    else:
        post.data = ["554 no"]
    _deliver()
    code = 550 if where == "rcpt" else 554
    assert _rows("SELECT outcome, code FROM subscriptions_delivery") == [("refused", code)]
    assert _rows("SELECT state, address, ended_why FROM subscriptions_subscription") == [
        ("suspended", "", "refused")
    ]
    assert _rows("SELECT code FROM subscriptions_suspension") == [(code,)]
    for spelled in ("ann@example.com", "ANN@example.com"):
        with pytest.raises(BadAddress) as caught:
            _subscribe(mall, spelled)
        assert caught.value.code == "suspended"
    post.rcpt.clear()
    _subscribe(mall, "eve@example.com")
    assert _deliver() == 1, "nobody else is suspended"


@pytest.mark.parametrize("answer", ["530 5.7.0 Authentication required", "503 bad sequence"])
def test_a_server_that_takes_nothing_from_us_is_no_refusal_of_anybodys_address(mall, post, answer):
    _subscribe(mall, "ann@example.com")
    post.rcpt["ann@example.com"] = answer
    assert _deliver() == 0
    assert _rows("SELECT count(*) FROM subscriptions_suspension") == [(0,)]
    assert _rows("SELECT attempt FROM subscriptions_message") == [(0,)]
    post.rcpt.clear()
    assert _deliver(AT + timedelta(seconds=61)) == 1


def test_a_refusal_by_policy_is_tried_again_and_suspends_nobody(mall, post):
    _subscribe(mall, "ann@example.com")
    post.rcpt["ann@example.com"] = "550 5.7.1 relaying denied"
    assert _deliver() == 0
    assert _rows("SELECT outcome, code FROM subscriptions_delivery") == [("retry", 550)]
    assert _rows("SELECT count(*) FROM subscriptions_suspension") == [(0,)]


def test_one_refused_recipient_keeps_no_other_from_their_mail(mall, post):
    for name in ("ann", "bob", "eve"):
        _subscribe(mall, f"{name}@example.com")
    post.rcpt["bob@example.com"] = "550 nobody here"
    assert _deliver() == 2
    assert sorted(post.to) == ["ann@example.com", "eve@example.com"]
    assert post.connections == 1


def test_an_answer_that_is_lost_is_unknown_and_goes_out_again_under_the_same_id(mall, post):
    _subscribe(mall, "ann@example.com")
    post.lose = 1
    assert _deliver() == 0
    assert _rows("SELECT outcome, code FROM subscriptions_delivery") == [("unknown", None)]
    assert _deliver(AT + timedelta(seconds=70)) == 1
    assert len(post.ids) == 2, "it did arrive the first time, which nobody here could know"
    assert len(set(post.ids)) == 1


def test_a_connection_that_ends_before_the_text_counts_as_not_tried(mall, post):
    _subscribe(mall, "ann@example.com")
    post.hang_up_before = 1
    assert _deliver() == 0
    assert _rows("SELECT count(*) FROM subscriptions_delivery") == [(0,)]
    assert _rows("SELECT attempt, leased_until FROM subscriptions_message") == [(0, None)]
    assert _deliver(AT + timedelta(seconds=70)) == 1


def test_a_mail_server_that_is_away_loses_nothing_and_uses_up_no_attempt(mall, post, caplog):
    from django.test import override_settings

    from fenqi_server.processes import free_port

    _subscribe(mall, "ann@example.com")
    with override_settings(FENQI_SMTP_URL=f"smtp://user:pw@127.0.0.1:{free_port()}"):
        for minute in range(5):
            assert _deliver(AT + timedelta(minutes=minute * 2)) == 0
    assert _rows("SELECT attempt FROM subscriptions_message") == [(0,)]
    assert "nothing can be sent by email" in caplog.text
    assert "ann@example.com" not in caplog.text
    assert "pw" not in caplog.text
    assert _deliver(AT + timedelta(minutes=20)) == 1


def test_the_name_of_a_message_is_the_same_whenever_it_is_computed_and_no_other_has_it(mall, post):
    from uuid import uuid4

    from fenqi_server.subscriptions.messages import NAME_SQL, name_of

    target = uuid4()
    names = {
        name_of(target, "confirm"),
        name_of(target, "back"),
        name_of(target, "revision", "a", 1),
        name_of(target, "revision", "a", 2),
        name_of(target, "over", "a", 1),
        name_of(uuid4(), "revision", "a", 1),
    }
    assert len(names) == 6
    sql = NAME_SQL.format(text="%s::text || ':revision:a:2'")
    assert _rows(f"SELECT {sql}", str(target)) == [(name_of(target, "revision", "a", 2),)]


def test_a_lease_that_ran_out_is_taken_again_and_its_old_holder_decides_nothing(mall, post):
    from fenqi_server.subscriptions import queue

    _subscribe(mall, "ann@example.com")
    slow = queue._Round(mall.shop, AT, __import__("time").monotonic())
    held = slow._questions()
    assert len(held) == 1
    assert _deliver(AT + timedelta(seconds=60)) == 0, "it is held"
    assert _deliver(AT + timedelta(seconds=130)) == 1
    slow._send(held)
    assert len(set(post.ids)) == 1
    assert _rows("SELECT attempt, outcome FROM subscriptions_delivery ORDER BY attempt") == [
        (1, "withdrawn") if len(post.ids) == 1 else (1, "delivered"),
        (2, "delivered"),
    ]


# -------------------------------------------------------------------------------------------------- its address


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://mail.example.com", "begin with smtp"),
        ("smtp://", "needs a host"),
        ("smtp://mail.example.com/path", "no path"),
        ("smtp://mail.example.com:notaport", "cannot be read"),
        ("smtp://mail.example.com?tls=maybe", "knows only"),
        ("smtp://mail.example.com?starttls=maybe", "neither yes nor no"),
        ("smtp://user:hunter2@mail.example.com?starttls=no", "without TLS"),
    ],
)
def test_a_mail_servers_address_that_is_wrong_is_said_to_be_without_its_password(url, said):
    from fenqi_server.subscriptions.smtp import read_url

    with pytest.raises(ImproperlyConfigured, match=said) as caught:
        read_url(url)
    assert "hunter2" not in str(caught.value)


def test_a_mail_servers_address_is_read():
    from fenqi_server.subscriptions.smtp import MailServer, read_url

    assert read_url("smtp://a%40b:p%3Aw@mail.example.com") == MailServer(
        "mail.example.com", 587, "starttls", "a@b", "p:w"
    )
    assert read_url("smtps://mail.example.com").port == 465
    assert read_url("smtp://127.0.0.1").tls == "none"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody but whoever has its file trusts."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder


def _context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def test_starttls_is_required_and_its_certificate_is_checked(certificate):
    from fenqi_server.subscriptions.ports import PortDown
    from fenqi_server.subscriptions.smtp import SmtpPort, read_url

    with Post(tls_context=_context(certificate), require_starttls=True) as server:
        trusted = SmtpPort(read_url(f"{server.url}?ca={certificate / 'ca.pem'}"))
        assert trusted.deliver(_outgoing()).state == "delivered"
        trusted.close()
        assert server.box.tls == [True]
        stranger = SmtpPort(read_url(f"{server.url}?starttls=yes"))
        with pytest.raises(PortDown, match="SSL"):
            stranger.deliver(_outgoing())
    with Post() as plain:
        asked = SmtpPort(read_url(f"{plain.url}?starttls=yes"))
        with pytest.raises(PortDown):
            asked.deliver(_outgoing())
        assert plain.box.mails == [], "nothing goes in the clear where TLS was asked for"


def test_the_user_and_the_password_are_given_to_the_server(certificate):
    from aiosmtpd.smtp import AuthResult, LoginPassword

    from fenqi_server.subscriptions.ports import PortDown
    from fenqi_server.subscriptions.smtp import SmtpPort, read_url

    def check(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"mall", b"s:cret")
        return AuthResult(success=right)

    with Post(tls_context=_context(certificate), authenticator=check, auth_required=True) as server:
        ca = certificate / "ca.pem"
        right = SmtpPort(read_url(server.url.replace("//", "//mall:s%3Acret@") + f"?ca={ca}"))
        assert right.deliver(_outgoing()).state == "delivered"
        right.close()
        wrong = SmtpPort(read_url(server.url.replace("//", "//mall:no@") + f"?ca={ca}"))
        with pytest.raises(PortDown):
            wrong.deliver(_outgoing())

"""Cases by e-mail: the text of a mail becomes a case or a message in one; a forged sender learns nothing."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from tests.api.world import AT, make_world

from fenqi_server.customers import service as customers
from fenqi_server.support import cases, mail

pytestmark = pytest.mark.usefixtures("support_address")


@pytest.fixture
def support_address() -> Any:
    with override_settings(FENQI_SUPPORT_MAIL="support@mall.example"):
        yield


def written(body: str = "Why is the bank's instalment gone?", **headers: str) -> bytes:
    message = EmailMessage()
    for name, value in {
        "From": "Li Hua <li.hua@example.com>",
        "To": "support@mall.example",
        "Subject": "My instalments",
        "Message-ID": "<one@example.com>",
    }.items():
        message[name] = headers.pop(name.replace("-", "_"), value)
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    return message.as_bytes()


def messages(mall: Any, received: mail.Received) -> list[str]:
    return [message.body for message in cases.get(mall.shop, received.case or "")[1]]


def known(mall: Any, email: str = "Li.Hua@example.com") -> None:
    customers.set_private(mall.shop, mall.customer_id, customers.Private("Li Hua", email), AT)


def test_a_mail_opens_a_case_of_the_customer_with_that_address(mall):
    known(mall)
    received = mail.receive(mall.shop, written(), AT)
    case, _ = cases.get(mall.shop, received.case or "")
    assert (received.outcome, case.customer_id, case.came_from, case.subject, case.locale) == (
        "opened",
        mall.customer_id,
        "email",
        "My instalments",
        "en",
    )
    assert messages(mall, received) == ["Why is the bank's instalment gone?"]


def test_a_sender_whom_nobody_knows_is_a_customer_of_their_own_and_can_be_forgotten(mall):
    first = mail.receive(mall.shop, written(), AT)
    second = mail.receive(mall.shop, written(Message_ID="<two@example.com>"), AT)
    owners = {cases.get(mall.shop, received.case or "")[0].customer_id for received in (first, second)}
    (owner,) = owners
    assert owner != mall.customer_id
    assert customers.private(mall.shop, owner).email == "li.hua@example.com"
    assert customers.erase_private(mall.shop, owner)


def test_the_same_mail_twice_is_one_message(mall):
    first = mail.receive(mall.shop, written(), AT)
    again = mail.receive(mall.shop, written(), AT)
    assert (again.outcome, again.case) == ("repeated", first.case)
    assert len(messages(mall, first)) == 1


def test_an_answer_to_the_signed_address_finds_its_case_from_whichever_address(mall):
    known(mall)
    opened = mail.receive(mall.shop, written(), AT)
    case, _ = cases.get(mall.shop, opened.case or "")
    address = mail.reply_address(mall.shop, case)
    assert len(address.partition("@")[0]) <= 64
    body = f"And tomorrow?\n\nOn Tuesday support wrote:\n> {mail.MARK}\n> Because of an upgrade."
    for number, (sender, to) in enumerate(
        (("li.hua@example.com", address), ("lihua@work.example", address.upper()))
    ):
        answer = mail.receive(
            mall.shop, written(body, From=sender, To=to, Message_ID=f"<{number}@x.example>"), AT
        )
        assert (answer.outcome, answer.case) == ("added", opened.case)
    assert messages(mall, opened)[1] == "And tomorrow?\n\nOn Tuesday support wrote:"


def test_a_made_up_address_or_another_shops_finds_nothing(mall):
    other = make_world("other")
    opened = mail.receive(mall.shop, written(), AT)
    case, _ = cases.get(mall.shop, opened.case or "")
    token = mail.reply_token(mall.shop, case)
    forged = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert mail.read_token(mall.shop, token) == case.id
    for shop, wrong in ((mall.shop, forged), (other.shop, token), (mall.shop, ""), (mall.shop, token[:-2])):
        assert mail.read_token(shop, wrong) is None
    answer = mail.receive(
        mall.shop, written(To=f"support+{forged}@mall.example", Message_ID="<2@x.example>"), AT
    )
    assert answer.outcome == "opened"


def test_a_case_number_in_the_subject_counts_for_its_own_customer_alone(mall):
    known(mall)
    opened = mail.receive(mall.shop, written(), AT)
    case, _ = cases.get(mall.shop, opened.case or "")
    subject = f"Re: [#{case.number}] My instalments"
    own = mail.receive(mall.shop, written("More", Subject=subject, Message_ID="<2@x.example>"), AT)
    assert (own.outcome, own.case) == ("added", opened.case)
    stranger = mail.receive(
        mall.shop, written("Me", Subject=subject, From="eve@example.com", Message_ID="<3@x.example>"), AT
    )
    assert stranger.outcome == "opened"
    assert stranger.case != opened.case


def test_only_the_plain_text_is_kept(mall):
    message = EmailMessage()
    message["From"], message["Subject"] = "li.hua@example.com", "A picture"
    message.set_content("See the picture.")
    message.add_alternative("<p>See <script>alert(1)</script></p>", subtype="html")
    message.add_attachment(b"\x89PNG" + b"x" * 1000, maintype="image", subtype="png", filename="a.png")
    message.add_attachment("secret", filename="a.txt")
    received = mail.receive(mall.shop, message.as_bytes(), AT)
    assert messages(mall, received) == ["See the picture."]


def test_chinese_in_gb18030_is_read(mall):
    message = EmailMessage()
    message["From"], message["Subject"] = "li.hua@example.com", "分期没有了"
    message.set_content("为什么分期没有了？", charset="gb18030")
    received = mail.receive(mall.shop, message.as_bytes(), AT)
    case, _ = cases.get(mall.shop, received.case or "")
    assert (messages(mall, received), case.locale, case.subject) == (
        ["为什么分期没有了？"],
        "zh-CN",
        "分期没有了",
    )


@pytest.mark.parametrize(
    ("header", "value", "why"),
    [
        ("Auto_Submitted", "auto-replied", "auto_submitted"),
        ("Precedence", "bulk", "bulk"),
        ("Return_Path", "<>", "bounce"),
    ],
)
def test_a_machines_mail_opens_nothing(mall, header, value, why):
    received = mail.receive(mall.shop, written(**{header: value}), AT)
    assert (received.outcome, received.case, received.why) == ("ignored", None, why)
    assert cases.desk(mall.shop) == ()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "0 bytes"),
        (b"x" * 256_001, "256001 bytes"),
        (b"Subject: no sender\n\nHello", "From is ''"),
        (b"From: nobody\n\nHello", "From is 'nobody'"),
        (b"From: a@b.example\nContent-Type: text/html\n\n<p>Hello</p>", "no text"),
        (b"From: a@b.example\n\n   \n", "no text"),
    ],
)
def test_what_is_no_mail_of_a_person_is_refused_saying_what_was_expected(mall, raw, said):
    with pytest.raises(mail.BadMail, match="expected") as refused:
        mail.receive(mall.shop, raw, AT)
    assert said in str(refused.value)
    assert cases.desk(mall.shop) == ()


FORGED = b"=?utf-8?Q?a=0D=0ABcc:_x@y?= <a@b.example>"


@pytest.mark.parametrize("header", [b"From", b"To", b"Cc"])
def test_a_line_break_that_was_encoded_into_a_name_is_refused(mall, header):
    raw = b"From: a@b.example\n\nHello"
    raw = raw.replace(b"a@b.example", FORGED) if header == b"From" else header + b": " + FORGED + b"\n" + raw
    with pytest.raises(mail.BadMail, match=f"header {header.decode()} cannot be read"):
        mail.receive(mall.shop, raw, AT)
    assert cases.desk(mall.shop) == ()


def test_half_a_surrogate_pair_and_a_nul_are_stored_as_what_they_can_be(mall):
    raw = b"From: a@b.example\nSubject: =?utf-8?Q?a=00b?=\nMessage-ID: <a=00@b>\n"
    received = mail.receive(mall.shop, raw + b"Content-Type: text/plain; charset=utf-7\n\n+2AA-\0!", AT)
    case, _ = cases.get(mall.shop, received.case or "")
    assert (case.subject, messages(mall, received)) == ("ab", ["?!"])


PIECES = [
    *(b"=?utf-8?Q?", b"?=", b"=0D=0A", b"=?utf-7?Q?+2AA-?=", b"=?x?B?/?=", b"=00", b"utf-8''%"),
    *(b"a", b"@", b"<", b">", b"(", b")", b'"', b";", b",", b"=", b":", b"[", b"]", b"*0*", b" ", b".", b"\0"),
    *(b"\xff", b"text/plain", b"charset", b"boundary=", b"multipart/mixed", b"attachment", b"filename", b"(" * 1_500),
]  # fmt: skip
HEADERS = [
    *(b"From", b"To", b"Subject", b"Message-ID", b"Content-Type", b"Content-Disposition", b"Auto-Submitted"),
    *(b"Return-Path", b"Content-Transfer-Encoding"),
]


@pytest.mark.no_db
@given(
    st.lists(st.tuples(st.sampled_from(HEADERS), st.lists(st.sampled_from(PIECES), max_size=8)), max_size=9)
)
def test_whatever_stands_in_a_header_it_is_read_or_refused(headers):
    raw = b"".join(name + b": " + b"".join(value) + b"\n" for name, value in headers) + b"\nhello\n"
    try:
        read = mail._parsed(raw)
        mail._automatic(read)
        texts = [mail._text_of(read), *(mail._header(read, name.decode()) for name in HEADERS)]
    except mail.BadMail:
        return
    for text in texts:
        text.encode()


def test_a_long_mail_is_cut_and_says_so_and_a_card_number_is_struck_out(mall):
    received = mail.receive(mall.shop, written("4111 1111 1111 1111 " + "x" * 3000), AT)
    (body,) = messages(mall, received)
    assert body.startswith("[card number removed]")
    assert body.endswith("[…]")
    assert len(body) <= cases.MAX_MESSAGE

"""Automatic payment on the customer's pages: seen, and turned off by one button."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from tests.pages.page import parse
from tests.portal.shop import AT, RealShop, real_shop
from tests.servicing.opened import after, open_one

from fenqi_server import clock
from fenqi_server.autopay import attempts, mandates
from fenqi_server.autopay.mandates import Tool
from fenqi_server.customers import service as customers
from fenqi_server.servicing import closing, service

CARD = Tool("tok_1", "UnionPay", "4242")


@pytest.fixture(autouse=True)
def collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who would be asked to collect."""
    monkeypatch.setattr(
        "django.conf.settings.FENQI_AUTOPAY_COLLECTOR", "fenqi_server.autopay.pretend.PretendCollector"
    )


@pytest.fixture
def mall(db: Any, at: Any) -> RealShop:
    return real_shop()


def give(mall: RealShop, customer: Any = None, tool: Tool = CARD) -> str:
    made = mandates.give(mall.shop, customer or mall.owner, tool, 80_000, "v1", AT)
    return made.mandate_id


@pytest.mark.parametrize(("language", "off", "on"), [("en", "off", "on"), ("zh", "已关闭", "已开启")])
def test_whether_it_is_on_is_said_on_both_pages(mall: RealShop, language: str, off: str, on: str) -> None:
    client = mall.signed_in(language=language)
    state = parse(client.get("/account/autopay/").content).one("span", data_fq_part="state")
    assert state.text == off
    give(mall)
    page = parse(client.get("/account/autopay/").content)
    assert page.one("span", data_fq_part="state").text == on
    assert "4242" in page.one("main").text
    assert "¥800.00" in page.one("main").text
    assert "tok_1" not in client.get("/account/autopay/").content.decode()
    assert on in parse(client.get("/account/").content).one("main").text


def test_it_is_turned_off_after_one_question(mall: RealShop) -> None:
    name = give(mall)
    client = mall.signed_in()
    asked = client.get("/account/autopay/", {"act": "off", "mandate": name})
    assert "Turn it off?" in asked.content.decode()
    assert mandates.mandate(mall.shop, name).stands
    done = client.post("/account/autopay/", {"act": "off", "mandate": name}, follow=True)
    assert "Automatic payment is off." in done.content.decode()
    assert mandates.mandate(mall.shop, name).withdrawn_by == "customer"


def test_nobody_turns_off_another_customer_s(mall: RealShop) -> None:
    theirs = give(mall, customers.ensure(mall.shop, "c-2", AT))
    client = mall.signed_in()
    for answer in (
        client.get("/account/autopay/", {"act": "off", "mandate": theirs}),
        client.post("/account/autopay/", {"act": "off", "mandate": theirs}),
    ):
        assert answer.status_code == 404
    assert mandates.mandate(mall.shop, theirs).stands


def test_a_real_shop_turns_it_on_in_its_own_pages(mall: RealShop) -> None:
    client = mall.signed_in(return_url="https://mall.example/cards")
    page = parse(client.get("/account/autopay/").content)
    assert "You turn it on in the shop’s own account pages" in page.one("main").text
    answer = client.post("/account/autopay/", {"act": "on", "card": "steady", "most": "100"})
    assert answer.status_code == 404
    assert mandates.mandates_of(mall.shop, mall.owner) == []


def words(answer: Any) -> str:
    return str(parse(answer.content).one("main").text)


@pytest.fixture
def demo(mall: RealShop, demo_site: None) -> None:
    """Only in a demo a card is named on these pages; the mall is real all the same."""


# The contract of the mall is 12 rows of 536.00, the first on 24 December: 6,432.00 in all.
SHORT = {
    "en": "¥536.00 will be due at once, and only ¥100.00 of it is taken.",
    "zh": "届时一次应还¥536.00，而自动扣款只扣¥100.00。",
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_most_below_what_is_due_at_once_is_warned_of_before_it_is_allowed(
    mall: RealShop, demo: None, language: str
) -> None:
    client = mall.signed_in(language=language)
    form = parse(client.get("/account/autopay/").content)
    assert form.one("input", id="most")["value"] == "536.00"
    asked = {"act": "on", "card": "steady", "most": "100"}
    assert SHORT[language] in words(client.get("/account/autopay/", asked))
    enough = client.get("/account/autopay/", asked | {"most": "536"})
    assert parse(enough.content).all("p", data_fq_part="short") == []


def test_a_most_that_nothing_could_come_to_is_refused(mall: RealShop, demo: None) -> None:
    client = mall.signed_in()
    for act in (client.get, client.post):
        answer = act("/account/autopay/", {"act": "on", "card": "steady", "most": "10000.01"})
        assert answer.status_code == 422
        assert "Write ¥10,000.00 at most." in words(answer)
    assert mandates.mandates_of(mall.shop, mall.owner) == []
    # Whoever owes more than that may allow all of it.
    open_one(mall.shop, mall.owner, amount_minor=900_000, order_ref="order-2", at=AT)
    answer = client.get("/account/autopay/", {"act": "on", "card": "steady", "most": "10000.01"})
    assert answer.status_code == 200


def test_what_is_due_at_once_is_said_on_the_contract_when_the_most_does_not_reach(mall: RealShop) -> None:
    mandates.give(mall.shop, mall.owner, CARD, 10_000, "v1", AT)
    said = words(mall.signed_in().get(f"/contracts/{mall.contract}/"))
    assert "On 24 Dec, ¥100.00 of it is taken: no more is allowed. ¥436.00 you pay yourself." in said


@pytest.mark.parametrize("language", ["en", "zh"])
def test_another_card_takes_the_place_of_those_that_stood(mall: RealShop, demo: None, language: str) -> None:
    own = mandates.give(mall.shop, mall.owner, CARD, 80_000, "v1", AT, contract=mall.contract)
    general = give(mall)
    client = mall.signed_in(language=language)
    asked = {"act": "on", "card": "steady", "most": "600"}
    preview = parse(client.get("/account/autopay/", asked).content)
    assert preview.one("dd", data_fq_part="instead").text.count("4242") == 2
    named = [each["value"] for each in preview.all("input", name="instead")]
    assert sorted(named) == sorted([own.mandate_id, general])
    # What was not shown is not taken back: it is shown.
    assert client.post("/account/autopay/", asked | {"instead": named[:1]}).status_code == 200
    assert mandates.mandate(mall.shop, general).stands
    client.post("/account/autopay/", asked | {"instead": named})
    new, *old = mandates.mandates_of(mall.shop, mall.owner)
    assert new.tool.brand == "Pretend Bank"
    assert [each.stands for each in (new, *old)] == [True, False, False]
    assert mandates.paying([new, *old], mall.contract) == new


def test_a_card_is_not_given_in_place_of_somebody_else_s(mall: RealShop) -> None:
    theirs = give(mall, customers.ensure(mall.shop, "c-2", AT))
    with pytest.raises(mandates.NoMandate):
        mandates.give(mall.shop, mall.owner, CARD, 1, "v1", AT, instead_of=[theirs])
    assert mandates.mandate(mall.shop, theirs).stands


@pytest.mark.parametrize(
    ("language", "by_own", "by_general", "idle"),
    [
        (
            "en",
            "UnionPay, ending in 4242, up to ¥800.00",
            "Visa, ending in 1111, up to ¥600.00",
            "It pays nothing now",
        ),
        ("zh", "UnionPay，尾号4242", "Visa，尾号1111", "目前不用它扣款"),
    ],
)
def test_which_card_pays_which_contract_is_said_of_each(
    mall: RealShop, language: str, by_own: str, by_general: str, idle: str
) -> None:
    client = mall.signed_in(language=language)
    mandates.give(mall.shop, mall.owner, CARD, 80_000, "v1", AT, contract=mall.contract)
    # It is the newer, but the contract's own comes before it.
    mandates.give(mall.shop, mall.owner, Tool("tok_2", "Visa", "1111"), 60_000, "v1", AT)
    said = words(client.get("/account/"))
    assert by_own in said
    assert by_general not in said
    assert idle in words(client.get("/account/autopay/"))
    open_one(mall.shop, mall.owner, order_ref="order-2", at=AT)
    said = words(client.get("/account/"))
    assert by_own in said
    assert by_general in said
    assert idle not in words(client.get("/account/autopay/"))


@pytest.mark.parametrize(
    ("language", "on", "yourself", "plain", "by_itself"),
    [
        (
            "en",
            "On 24 Dec, ¥536.00 is taken.",
            "Pay this instalment yourself, now",
            "Pay this instalment",
            "automatic payment",
        ),
        ("zh", "12月24日将自动扣款¥536.00", "现在自行支付本期", "支付本期", "自动还款"),
    ],
)
def test_the_contract_says_that_it_is_paid_by_itself_and_what_was(
    mall: RealShop,
    language: str,
    on: str,
    yourself: str,
    plain: str,
    by_itself: str,
) -> None:
    client, page = mall.signed_in(language=language), f"/contracts/{mall.contract}/"
    said = words(client.get(page))
    assert plain in said
    assert yourself not in said
    give(mall)
    said = words(client.get(page))
    assert on in said
    assert yourself in said
    closing.run_due(after(31))
    attempts.act_due(after(31))
    (asked,) = attempts.attempts_of(mall.shop, mall.contract)
    service.pay(mall.shop, mall.contract, 100, "received", "bank-7", after(31))
    with clock.pinned(after(31)):
        client = mall.signed_in(language=language)
        paid = parse(client.get(page).content).one("table", data_fq_part="payments").text
    assert by_itself in paid
    assert asked.attempt_id not in paid
    assert "bank-7" in paid


@pytest.mark.parametrize(
    ("language", "failed"),
    [
        ("en", "24 Dec: ¥536.00 could not be collected (not enough money)."),
        ("zh", "12月24日：扣款¥536.00未成功（余额不足）。"),
    ],
)
def test_an_automatic_payment_that_did_not_work_stands_on_the_contract_s_page(
    mall: RealShop, language: str, failed: str
) -> None:
    give(mall, tool=Tool("pretend:insufficient,ok", "Pretend Bank", "0002"))
    page = f"/contracts/{mall.contract}/"
    assert parse(mall.signed_in().get(page).content).all("section", data_fq_part="failures") == []
    closing.run_due(after(31))
    attempts.act_due(after(31))
    with clock.pinned(after(31)):
        client = mall.signed_in(language=language)
        assert failed in parse(client.get(page).content).one("section", data_fq_part="failures").text
        why = parse(client.get("/account/autopay/").content).one("small", data_fq_part="why").text
        assert why in failed
    # It is tried again on the next day, and works then.
    closing.run_due(after(32))
    attempts.act_due(after(32))
    with clock.pinned(after(32)):
        client = mall.signed_in(language=language)
        shown = parse(client.get(page).content)
    assert failed in shown.one("section", data_fq_part="failures").text
    assert "¥536.00" in shown.one("table", data_fq_part="payments").text


@pytest.mark.parametrize(
    ("language", "asks"),
    [("en", "Please refund the ¥68.00 that I paid"), ("zh", "我多付了¥68.00，请退还给我。")],
)
def test_what_was_paid_too_much_is_asked_back_by_a_question_that_is_written_already(
    mall: RealShop, language: str, asks: str
) -> None:
    client, page = mall.signed_in(language=language), f"/contracts/{mall.contract}/"
    assert parse(client.get(page).content).all("a", data_fq_part="refund") == []
    # 6,432.00 are owed.
    service.pay(mall.shop, mall.contract, 650_000, "received", "p-1", AT)
    way = parse(client.get(page).content).one("a", data_fq_part="refund")["href"]
    written = parse(client.get(way).content).one("textarea", id="message").text
    assert written.startswith(asks)
    assert "order-1" in written
    assert mall.contract in written
    assert mall.signed_in("c-2").get(way).status_code == 404


@pytest.mark.parametrize(
    ("language", "nobody", "promise"),
    [
        ("en", "The shop does not collect automatically at present", "You need not pay it yourself."),
        ("zh", "商城目前没有办理自动扣款", "您不必自行还款"),
    ],
)
def test_where_nobody_would_be_asked_to_collect_nothing_is_promised(
    mall: RealShop, monkeypatch: pytest.MonkeyPatch, language: str, nobody: str, promise: str
) -> None:
    give(mall)
    client, page = mall.signed_in(language=language), f"/contracts/{mall.contract}/"
    pages = (page, "/account/", "/account/autopay/")
    assert not [each for each in pages if nobody in words(client.get(each))]
    monkeypatch.setattr("django.conf.settings.FENQI_AUTOPAY_COLLECTOR", "")
    assert [each for each in pages if nobody in words(client.get(each))] == [*pages]
    assert promise not in words(client.get(page))
    assert (
        "primary" in parse(client.get(page).content).one("form", action=f"{page}pay/").one("button")["class"]
    )
    # A server of the shop's that listens is asked, and it is promised again.
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_endpoint (shop_id, id, url, events, sealed_secret, created_at)"
            " VALUES (%s, gen_random_uuid(), 'https://mall.example/hooks', %s, '', %s)",
            [mall.shop.id, ["autopay.collect_requested"], AT],
        )
    assert not [each for each in pages if nobody in words(client.get(each))]


@pytest.mark.parametrize(
    ("language", "under_way"),
    [
        ("en", "¥536.00 was asked for on 24 Dec and may still be taken: you need not pay it yourself."),
        ("zh", "12月24日已发起扣款¥536.00，可能仍会扣款成功，您不必自行还款。"),
    ],
)
def test_what_was_asked_for_and_not_collected_yet_is_said_to_be_under_way(
    mall: RealShop, language: str, under_way: str
) -> None:
    give(mall)
    closing.run_due(after(31))
    with clock.pinned(after(31)):
        page = mall.signed_in(language=language).get(f"/contracts/{mall.contract}/")
    assert under_way in words(page)

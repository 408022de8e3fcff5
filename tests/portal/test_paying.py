"""Paying at the shop's own cashier: what an amount pays is said first, and the slip says the same to the shop's server."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.pages.page import parse
from tests.portal.shop import AT, CASHIER, RealShop, real_shop, token
from tests.servicing.opened import make_shop

from fenqi.terms.agreed import PayoffTerms
from fenqi_server import clock
from fenqi_server.portal import slips
from fenqi_server.servicing import service as servicing
from fenqi_server.shops import service as shops


@pytest.fixture
def mall(db: Any, at: Any) -> RealShop:
    return real_shop()


def previewed(mall: RealShop, client: Any, **asked: str) -> Any:
    return parse(client.get(f"/contracts/{mall.contract}/pay/", asked).content)


def slip_of(page: Any) -> str:
    address = page.one("a", data_fq_part="cashier")["href"]
    assert address.startswith(CASHIER.partition("{")[0])
    return parse_qs(urlsplit(address).query)["slip"][0]


def read(mall: RealShop, slip: str) -> Any:
    return json.loads(mall.api("/v1/payment-slips", {"slip": slip}).content)


def test_what_an_amount_pays_is_said_before_anything_moves(mall: RealShop) -> None:
    # Rows of 500.00 price and 36.00 fee; 600.00 pays the first and begins the second with its fee.
    page = previewed(mall, mall.signed_in(), choice="other", other="600")
    parts = page.one("ul", data_fq_part="parts").text
    assert parts == "instalment 1: price ¥500.00, fee ¥36.00 instalment 2: price ¥28.00, fee ¥36.00"
    assert page.one("dd", data_figure="left").text == "¥5,832.00"
    assert servicing.get(mall.shop, mall.contract, at=AT).state.balance_minor == 643_200


def test_a_payment_may_be_called_preview_like_any_other(mall: RealShop) -> None:
    servicing.pay(mall.shop, mall.contract, 53_600, "received", "preview", AT)
    page = previewed(mall, mall.signed_in(), choice="other", other="536")
    assert page.one("ul", data_fq_part="parts").text == "instalment 2: price ¥500.00, fee ¥36.00"


def test_the_slip_says_to_the_shop_s_server_what_the_page_said(mall: RealShop) -> None:
    slip = slip_of(previewed(mall, mall.signed_in(), choice="next"))
    said = read(mall, slip)
    assert (said["contract_id"], said["order_ref"], said["amount_minor"]) == (
        mall.contract,
        "order-1",
        53_600,
    )
    assert (said["currency"], said["owed_minor"], said["booked"], said["settles"]) == (
        "CNY",
        643_200,
        False,
        "",
    )
    assert urlsplit(said["return_url"]).path == f"/contracts/{mall.contract}/"


def test_the_whole_way_from_the_page_to_the_cashier_and_back(mall: RealShop) -> None:
    client = mall.signed_in()
    said = read(mall, slip_of(previewed(mall, client, choice="all")))
    back = urlsplit(said["return_url"])
    waiting = client.get(f"{back.path}?{back.query}").content.decode()
    assert "Your payment is on its way." in waiting
    paid = {
        "kind": "received",
        "amount_minor": said["amount_minor"],
        "currency": said["currency"],
        "payment_ref": said["payment_ref"],
    }
    for key in ("first", "again"):
        answer = mall.api(f"/v1/contracts/{said['contract_id']}/payments", paid, **{"Idempotency-Key": key})
        assert answer.status_code == 201
    arrived = parse(client.get(f"{back.path}?{back.query}").content)
    assert "¥6,432.00 received." in arrived.one("main").text
    assert arrived.one("p", data_figure="balance").text == "¥0.00"
    slip = read(mall, slip_of_contract(mall, said))
    assert slip["booked"] is True


def slip_of_contract(mall: RealShop, said: dict[str, Any]) -> str:
    """The same slip once more, as somebody who presses the cashier's button twice brings it."""
    from fenqi_server.decisions.quotes import seal_token

    raw = slips.Slip(
        mall.shop.id.bytes,
        said["contract_id"],
        said["amount_minor"],
        said["payment_ref"],
        int((AT + slips.STANDS).timestamp()),
    )
    return seal_token("ps1", slips._encode(raw))


def test_more_than_is_owed_is_refused_with_what_is_owed(mall: RealShop) -> None:
    client = mall.signed_in()
    answer = client.get(f"/contracts/{mall.contract}/pay/", {"choice": "other", "other": "6432.01"})
    assert answer.status_code == 422
    assert "¥6,432.00 is owed, so ¥6,432.01 cannot be asked for." in answer.content.decode()


@pytest.mark.parametrize("written", ["", "ten", "-5", "1.005", "0", "$10", "9" * 40])
def test_what_is_no_amount_is_said_to_be_none(mall: RealShop, written: str) -> None:
    answer = mall.signed_in().get(f"/contracts/{mall.contract}/pay/", {"choice": "other", "other": written})
    assert answer.status_code == 422
    page = parse(answer.content)
    assert page.one("input", id="other")["aria-invalid"] == "true"
    assert not page.all("a", data_fq_part="cashier")


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Paying here is not possible."), ("zh", "暂时无法在此还款。")]
)
def test_a_shop_without_a_cashier_says_so_and_begins_nothing(
    mall: RealShop, language: str, words: str
) -> None:
    shops.say(mall.shop, pay_url="")
    client = mall.signed_in(language=language)
    answer = client.get(f"/contracts/{mall.contract}/pay/", {"choice": "next"})
    assert answer.status_code == 409
    assert words in answer.content.decode()
    assert "400-000" in answer.content.decode()
    assert not parse(answer.content).all("a", data_fq_part="cashier")


def test_a_changed_slip_or_another_shop_s_says_nothing(mall: RealShop) -> None:
    slip = slip_of(previewed(mall, mall.signed_in(), choice="next"))
    corner = shops.create_key(make_shop("corner"), "server", at=AT)
    assert mall.api("/v1/payment-slips", {"slip": slip}, key=corner).status_code == 422
    for wrong in (slip[:-3], slip.replace("ps1.", "pl1."), "x"):
        answer = mall.api("/v1/payment-slips", {"slip": wrong})
        assert answer.status_code == 422
        assert json.loads(answer.content)["errors"][0]["pointer"] == "/slip"


def test_a_slip_runs_out_after_an_hour(mall: RealShop) -> None:
    slip = slip_of(previewed(mall, mall.signed_in(), choice="next"))
    with clock.pinned(AT + slips.STANDS):
        answer = mall.api("/v1/payment-slips", {"slip": slip})
    assert answer.status_code == 409
    assert json.loads(answer.content)["code"] == "slip_expired"
    with clock.pinned(AT + slips.STANDS - timedelta(seconds=1)):
        assert mall.api("/v1/payment-slips", {"slip": slip}).status_code == 200


def test_without_a_script_the_contract_s_button_leads_to_the_same_preview(mall: RealShop) -> None:
    client = mall.signed_in()
    answer = client.post(f"/contracts/{mall.contract}/pay/", {"amount": "53600"}, follow=True)
    assert answer.redirect_chain == [(f"/contracts/{mall.contract}/pay/?choice=other&other=536.00", 302)]
    assert slip_of(parse(answer.content))


def test_a_real_shop_has_no_pretend_bank(mall: RealShop) -> None:
    assert mall.signed_in().get("/bank/", {"t": "x"}).status_code == 404


# ------------------------------------------------------------------------------------------------ the pretend bank


@pytest.fixture
def sparing(db: Any, at: Any) -> RealShop:
    """The same shop, whose contract spares the fees of months that have not begun when it is paid off."""
    return real_shop(payoff=PayoffTerms("to_period_end"))


@pytest.fixture
def demo(sparing: RealShop, demo_site: None) -> RealShop:
    """That shop's money is paid at the pretend bank."""
    return sparing


def to_the_bank(demo: RealShop, client: Any, what: str = "pay", **sent: str) -> str:
    """A slip in the bank's address."""
    address = client.post(f"/contracts/{demo.contract}/{what}/", sent).headers["Location"]
    assert address.startswith("/bank/?"), address
    return str(address)


def pay_there(client: Any, address: str, **more: str) -> Any:
    return client.post("/bank/", {"token": token(address), "answer": "pay", **more})


def quoted(demo: RealShop, client: Any) -> dict[str, str]:
    url = client.post(f"/contracts/{demo.contract}/pay-off/", {"act": "quote"}).headers["Location"]
    return {"act": "pay", "quote": parse_qs(urlsplit(url).query)["quote"][0]}


@pytest.mark.parametrize(
    ("language", "words", "costs"),
    [
        (
            "en",
            "The quote that this payment was for does not stand any more.",
            "Paying off costs ¥6,036.00 today.",
        ),
        ("zh", "这笔付款所依据的结清报价已失效。", "今天结清需支付¥6,036.00。"),
    ],
)
def test_by_a_quote_that_ran_out_no_money_is_taken(
    demo: RealShop, language: str, words: str, costs: str
) -> None:
    client = demo.signed_in(language=language)
    address = to_the_bank(demo, client, "pay-off", **quoted(demo, client))
    # On 24 November no month had begun to cost anything: 6,000.00, for that day. By 14 December the first one's 36.00 is owed.
    with clock.pinned(AT + timedelta(days=20)):
        client = demo.signed_in(language=language)
        for answer in (client.get(address), pay_there(client, address)):
            assert answer.status_code == 409
            said = parse(answer.content).one("main").text
            assert words in said
            assert costs in said
        state = servicing.get(demo.shop, demo.contract, at=clock.now()).state
    assert state.payments == ()
    assert state.balance_minor == 643_200


def test_by_a_quote_that_was_overtaken_no_money_is_taken(demo: RealShop) -> None:
    client = demo.signed_in()
    address = to_the_bank(demo, client, "pay-off", **quoted(demo, client))
    servicing.pay(demo.shop, demo.contract, 10_000, "received", "other", AT)
    answer = pay_there(client, address)
    assert answer.status_code == 409
    assert "does not stand any more" in answer.content.decode()
    assert servicing.get(demo.shop, demo.contract, at=AT).state.paid_minor == 10_000


def test_by_a_quote_that_stands_the_pretend_bank_pays_everything_off(demo: RealShop) -> None:
    client = demo.signed_in()
    address = to_the_bank(demo, client, "pay-off", **quoted(demo, client))
    assert "paying off early" in client.get(address).content.decode()
    assert pay_there(client, address).status_code == 302
    assert servicing.get(demo.shop, demo.contract, at=AT).state.status == "closed"


def test_money_that_came_too_late_for_its_quote_is_not_said_to_have_paid_off(sparing: RealShop) -> None:
    client = sparing.signed_in()
    quote = quoted(sparing, client)["quote"]
    late = AT + timedelta(days=20)
    with clock.pinned(late):
        servicing.pay(sparing.shop, sparing.contract, 600_000, "received", "late", late, settles=quote)
        page = sparing.signed_in().get(f"/contracts/{sparing.contract}/").content.decode()
        off = parse(sparing.signed_in().get(f"/contracts/{sparing.contract}/pay-off/?quote={quote}").content)
    assert "paid off early" not in page
    assert "came too late for your quote" in page
    assert "You have paid this off" not in off.one("main").text
    assert "This quote has run out." in off.one("main").text


def test_the_pretend_bank_says_which_instalment_and_takes_a_payment_once(demo: RealShop) -> None:
    client = demo.signed_in()
    address = to_the_bank(demo, client, amount="53600")
    page = parse(client.get(address).content)
    assert "order order-1" in page.one("main").text
    assert page.one("dd", data_fq_part="pays").text == "instalment 1: price ¥500.00, fee ¥36.00"
    assert pay_there(client, address).status_code == 302
    again = parse(client.get(address).content)
    assert "This payment is paid already." in again.one("main").text
    assert not [button for button in again.all("button") if button.attributes.get("value") == "pay"]
    assert pay_there(client, address).status_code == 302
    assert servicing.get(demo.shop, demo.contract, at=AT).state.paid_minor == 53_600


def test_a_second_tab_does_not_pay_the_next_instalment_unread(demo: RealShop) -> None:
    client = demo.signed_in()
    first, second = (to_the_bank(demo, client, amount="53600") for _ in range(2))
    owed = parse(client.get(second).content).all("input", name="owed")[0]["value"]
    assert pay_there(client, first, owed=owed).status_code == 302
    answer = pay_there(client, second, owed=owed)
    assert answer.status_code == 409
    page = parse(answer.content)
    assert "Nothing was paid." in page.one("main").text
    assert page.one("dd", data_fq_part="pays").text == "instalment 2: price ¥500.00, fee ¥36.00"
    assert servicing.get(demo.shop, demo.contract, at=AT).state.paid_minor == 53_600
    # Read, it may be paid.
    assert pay_there(client, second, owed=page.one("input", name="owed")["value"]).status_code == 302


def test_the_pretend_bank_takes_nothing_on_a_slip_that_ran_out(demo: RealShop) -> None:
    client = demo.signed_in()
    address = to_the_bank(demo, client, amount="53600")
    with clock.pinned(AT + slips.STANDS):
        answer = pay_there(demo.signed_in(), address)
    assert answer.status_code == 409
    assert "Begin it again." in answer.content.decode()
    assert servicing.get(demo.shop, demo.contract, at=AT).state.payments == ()


def test_a_slip_of_a_quote_that_was_overtaken_is_not_to_be_charged(mall: RealShop) -> None:
    client = mall.signed_in()
    url = client.post(f"/contracts/{mall.contract}/pay-off/", {"act": "quote"}).headers["Location"]
    slip = slip_of(parse(client.get(url).content))
    assert read(mall, slip)["settles"].startswith("pq_")
    servicing.pay(mall.shop, mall.contract, 10_000, "received", "other", AT)
    answer = mall.api("/v1/payment-slips", {"slip": slip})
    assert (answer.status_code, json.loads(answer.content)["code"]) == (409, "quote_outdated")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Paying off early costs ¥6,000.00 today: ¥432.00 less than all instalments that are left."),
        ("zh", "今天提前结清只需¥6,000.00，比付清剩余各期少¥432.00。"),
    ],
)
def test_whoever_would_pay_all_that_is_left_reads_that_paying_off_is_cheaper(
    sparing: RealShop, language: str, words: str
) -> None:
    # 6,000.00 of price on the first day; twelve fees of 36.00 are spared: 432.00.
    for asked in ({}, {"choice": "all"}):
        note = previewed(sparing, sparing.signed_in(language=language), **asked).one(
            "p", data_fq_part="cheaper"
        )
        assert words in note.text
        assert note.one("a")["href"] == f"/contracts/{sparing.contract}/pay-off/"


def test_another_amount_is_no_amount_that_does_not_match(mall: RealShop) -> None:
    page = previewed(mall, mall.signed_in(language="zh"))
    assert "其他金额" in page.one("main").text
    assert "金额不符" not in page.one("main").text


@pytest.mark.parametrize(
    ("address", "live"),
    [
        ("https://mall.example/cashier", True),
        ("https://mall.example/{slip}/{slip}", True),
        ("https://{slip}.example/", True),
        ("https://mall.example/{slip}?{other}", True),
        ("http://mall.example/?s={slip}", False),
        ("http://localhost/?s={slip}", True),
        ("javascript:alert({slip})", False),
        ("https://a@mall.example/?s={slip}", True),
        ("/cashier?s={slip}", False),
    ],
)
def test_a_cashier_s_address_that_cannot_be_right_is_refused(address: str, live: bool) -> None:
    with pytest.raises(ValueError, match="it has to"):
        slips.check_cashier(address, live=live)


def test_a_test_shop_s_cashier_may_be_on_the_same_machine() -> None:
    assert slips.check_cashier("http://localhost:9000/?s={slip}", live=False)


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Everything is paid; nothing is owed."), ("zh", "已全部还清")]
)
def test_where_nothing_is_owed_no_amount_is_asked_for(mall: RealShop, language: str, said: str) -> None:
    servicing.pay(mall.shop, mall.contract, 643_200, "received", "all", AT)
    answer = mall.signed_in(language=language).get(f"/contracts/{mall.contract}/pay/")
    assert answer.status_code == 422
    page = parse(answer.content)
    assert said in page.one("main").text
    assert page.all("input", name="choice") == []


def test_an_amount_may_be_written_in_full_width(mall: RealShop) -> None:
    said = previewed(mall, mall.signed_in(), choice="other", other="１００．５０")
    assert "¥100.50" in said.one("main").text

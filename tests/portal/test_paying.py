"""Paying at the shop's own cashier: what an amount pays is said first, and the slip says the same to the shop's server."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.pages.page import parse
from tests.portal.shop import AT, CASHIER, RealShop, real_shop
from tests.servicing.opened import make_shop

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

"""A lease on the customer's own pages: its rents and its deposit by their names, and nothing that only a sale can do."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from tests.engine.contracts.test_leases import DESK, PHONE
from tests.portal.shop import AT, RealShop, real_shop
from tests.servicing.opened import after, open_one

from fenqi.terms.plan import Plan
from fenqi_server import clock
from fenqi_server.papers.addresses import token_of
from fenqi_server.servicing import acts, leases, requests, service


@pytest.fixture
def mall(db: Any, at: Any) -> RealShop:
    return real_shop()


@pytest.fixture
def phone(mall: RealShop) -> str:
    """12 rents of 400.00 in arrears, deposit 1,000.00 paid, handed over."""
    plan = Plan("rent_12", "rent", "mall", "operating_lease", 12, PHONE)
    made = open_one(mall.shop, mall.owner, plan, 490_000, at=AT, order_ref="order-2")
    service.pay(mall.shop, made, 100_000, "received", "deposit", AT)
    leases.hand_over(mall.shop, made, AT)
    return made


def words(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_a_lease_is_told_by_its_own_words_and_offers_nothing_that_only_a_sale_can_do(
    mall: RealShop, phone: str
) -> None:
    browser = mall.signed_in()
    page = browser.get(f"/contracts/{phone}/")
    said = words(page)
    assert "Rent 12" in said
    # The deposit, which is paid, is no rent.
    assert "0 of 12 instalments paid" in said
    assert "Rent 1, due on" in said
    assert "Deposit" in said
    for way in ("pay-off", "return", "due-day"):
        assert f"/contracts/{phone}/{way}/" not in page.content.decode(), way
        assert browser.get(f"/contracts/{phone}/{way}/").status_code < 500, way
    for act in (browser.get, browser.post):
        back = act(f"/contracts/{phone}/return/", {"amount": "100", "act": "confirm"})
        assert back["Location"] == f"/contracts/{phone}/rented/", "what is rented goes back by the lease"
    assert requests.of_contract(mall.shop, phone) == []
    words(browser.get(f"/contracts/{phone}/pay/", {"choice": "next"}))
    words(browser.get("/account/"))
    with clock.pinned(after(400)):
        late = mall.signed_in()
        assert "The term is over" in words(late.get(f"/contracts/{phone}/"))
        leases.take_back(mall.shop, phone, after(400))
        assert "the lease ended" in words(late.get(f"/contracts/{phone}/"))


@pytest.mark.parametrize(
    ("language", "ends"), [("en", "Your rental ends on 24 Nov."), ("zh", "租期至11月24日结束。")]
)
def test_in_its_last_fortnight_a_rental_says_that_it_ends(
    mall: RealShop, phone: str, language: str, ends: str
) -> None:
    page = f"/contracts/{phone}/"
    # Twelve months from 24 November 2026, the first day: 366 days.
    for days, told in ((351, False), (352, True), (366, True), (367, False)):
        with clock.pinned(after(days)):
            assert (ends in words(mall.signed_in(language=language).get(page))) is told, days
    leases.renew(mall.shop, phone, 1, "click-1", after(353))
    with clock.pinned(after(353)):
        assert ends not in words(mall.signed_in(language=language).get(page))


def costs(browser: Client, contract: str) -> dict[str, str]:
    page = (
        browser.get(f"/contracts/{contract}/").content.decode().split('id="costs"')[1].split("</section>")[0]
    )
    return dict(re.findall(r'data-figure="([a-z-]+)">([^<]+)<', page))


def test_what_renting_costs_is_its_rents_and_the_price_of_buying_and_no_deposit_that_comes_back(
    mall: RealShop, phone: str
) -> None:
    # Twelve rents of 400; the goods are not the customer's, and the deposit of 1,000 is.
    told = costs(mall.signed_in(), phone)
    assert told == {"rents": "¥4,800.00", "cost": "¥4,800.00", "deposit": "¥1,000.00"}
    with clock.pinned(after(200)):
        offer = leases.preview_buyout(mall.shop, phone, after(200))
        leases.buy_out(mall.shop, phone, offer.price_minor, "agreed", after(200))
        # Bought early by price less paid: six rents of 400 and the rest of 4,900, of which the deposit pays 1,000.
        told = costs(mall.signed_in(), phone)
        assert (told["rents"], told["buyout"], told["cost"]) == ("¥2,400.00", "¥2,500.00", "¥4,900.00")
        assert "deposit" not in told


@pytest.mark.parametrize(
    ("language", "paid_by", "not_so", "new"),
    [
        ("en", "from the deposit", "granted by the shop", "¥1,000.00 of it came from your deposit."),
        ("zh", "押金抵付", "商城减免", "其中¥1,000.00由押金支付。"),
    ],
)
def test_what_the_deposit_paid_is_not_said_to_be_granted_by_the_shop(
    mall: RealShop, phone: str, language: str, paid_by: str, not_so: str, new: str
) -> None:
    with clock.pinned(after(200)):
        offer = leases.preview_buyout(mall.shop, phone, after(200))
        leases.buy_out(mall.shop, phone, offer.price_minor, "agreed", after(200))
        token = f"/papers/{token_of(mall.shop.id, phone)}"
        lang = "en" if language == "en" else "zh-CN"
        page = words(mall.signed_in(language=language).get(f"/contracts/{phone}/"))
        file = Client().get(f"{token}/statement.csv?lang={lang}").content.decode("utf-8-sig")
        for said in (page, words(Client().get(f"{token}/?lang={lang}")), file):
            assert paid_by in said
            assert not_so not in said
            # It has no number that anybody gave.
            assert not re.search(r"deposit \d", said)
        assert new in page


def test_a_customer_buys_what_is_rented_by_a_button_under_what_it_comes_to(
    mall: RealShop, phone: str
) -> None:
    with clock.pinned(after(200)):
        browser = mall.signed_in()
        page = browser.get(f"/contracts/{phone}/rented/")
        said = words(page)
        # Six rents of 400 are due by then, and counted as paid: 4,900 - 2,400 = 2,500, less the deposit of 1,000.
        assert "Price of buying today ¥2,500.00 Paid by your deposit -¥1,000.00" in said
        assert "Rents and charges that are due ¥2,400.00 Left to pay then ¥3,900.00" in said
        assert "Each further period costs ¥320.00" in said
        assert service.get(mall.shop, phone, at=after(200)).state.lease.outcome is None
        form = {"act": "buy", "number": "249999"}
        assert browser.post(f"/contracts/{phone}/rented/", form).status_code == 409
        form = {"act": "buy", "number": "250000"}
        for _ in range(2):
            assert browser.post(f"/contracts/{phone}/rented/", form).status_code == 302
        state = service.get(mall.shop, phone, at=after(200)).state
        assert (state.lease.outcome, state.balance_minor) == ("bought_out", 390_000)
        assert browser.get(f"/contracts/{mall.contract}/rented/").status_code == 404


def test_a_customer_rents_on_by_a_button_and_never_after_the_term(mall: RealShop, phone: str) -> None:
    with clock.pinned(after(360)):
        browser = mall.signed_in(language="zh")
        form = {"act": "renew", "number": "2"}
        for _ in range(2):
            assert browser.post(f"/contracts/{phone}/rented/", form).status_code == 302
        assert service.get(mall.shop, phone, at=after(360)).state.lease.renewed_periods == 2
        assert "每期320" in words(browser.get(f"/contracts/{phone}/rented/")).replace("¥", "").replace(
            " ", ""
        )
        for wrong in ({"act": "renew", "number": "99"}, {"act": "sell", "number": "1"}, {"act": "buy"}):
            assert browser.post(f"/contracts/{phone}/rented/", wrong).status_code == 404
    with clock.pinned(after(460)):
        late = mall.signed_in()
        assert late.post(f"/contracts/{phone}/rented/", {"act": "renew", "number": "1"}).status_code == 409


def test_the_papers_of_a_lease_and_of_a_pledge_name_what_is_paid(mall: RealShop, phone: str) -> None:
    with clock.pinned(AT + timedelta(days=40)):
        token = token_of(mall.shop.id, phone)
        said = words(Client().get(f"/papers/{token}/?lang=en"))
        assert "Rent" in said
        assert "¥1,000.00" in said
        for paper in ("statement.pdf", "statement.csv", "due-dates.ics"):
            assert Client().get(f"/papers/{token}/{paper}").status_code == 200, paper
        plan = Plan("desk", "desk", "mall", "pledge", 1, DESK.pricing)
        pledge = open_one(mall.shop, mall.owner, plan, 59_900, at=AT, order_ref="order-3")
        words(Client().get(f"/papers/{token_of(mall.shop.id, pledge)}/"))
        words(mall.signed_in().get(f"/contracts/{pledge}/"))


@pytest.mark.parametrize(
    ("language", "said"), [("en", "¥770.00 lapsed"), ("zh", "¥770.00已失效：没有欠款可抵")]
)
def test_what_of_a_grant_found_nothing_to_pay_is_said(
    mall: RealShop, phone: str, language: str, said: str
) -> None:
    # Nine rents of 400 are granted; the goods go back in the seventh month, and sending them back costs 30: 3,600 - 2,800 - 30.
    who = {"actor": "lin", "reason": "the phone was late"}
    with clock.pinned(after(200)):
        acts.goodwill(mall.shop, phone, "g-1", 360_000, after(200), **who)
        leases.take_back(mall.shop, phone, after(200))
        token = f"/papers/{token_of(mall.shop.id, phone)}"
        lang = "en" if language == "en" else "zh-CN"
        assert said in words(mall.signed_in(language=language).get(f"/contracts/{phone}/"))
        assert said in words(Client().get(f"{token}/?lang={lang}"))
        shown = Client().get(f"/v1/contracts/{phone}", headers={"Authorization": f"Bearer {mall.key}"})
        granted = next(each for each in json.loads(shown.content)["payments"] if not each["money"])
        assert (granted["lapsed_minor"], granted["unapplied_minor"]) == (77_000, 0)

"""A year in the mall: every figure below is worked by hand from what was agreed, and none is read off the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

Visit = Callable[..., Any]
COLLECTOR = override_settings(FENQI_AUTOPAY_COLLECTOR="fenqi_server.autopay.pretend.PretendCollector")

# ¥4,999.00 in 12 at 0.6 % a period: a fee of 35,993 fen (7.2 %, rounded), 12 x 41,658 and 12 x 2,999 with what does not
# divide in the first row: 41,662 + 3,004.
PHONE, FEE, ROW, ROW_FEE = 499_900, 35_993, 41_658, 2_999


def _view(ref: str) -> Any:
    from fenqi_server.demo import clock, year
    from fenqi_server.servicing import service as servicing
    from fenqi_server.shops.service import only_shop

    shop = only_shop()
    contract = year.contract_of(shop, ref)
    assert contract is not None
    return servicing.get(shop, contract, at=clock.now())


def _came(view: Any) -> int:
    return sum(each.amount_minor for each in view.state.payments if each.money)


def _on(client: Any, months: int) -> None:
    for _ in range(months):
        assert client.post("/demo/year/on", {"to": "month"}).status_code == 302


@COLLECTOR
def test_a_year_from_the_first_instalment_to_the_last(visit: Visit) -> None:
    from fenqi_server.books.proof import prove_shop
    from fenqi_server.shops.service import only_shop

    client = visit("good", "en")
    assert client.post("/demo/year/begin").status_code == 302
    _on(client, 3)
    late = _view("year_late")
    # The third instalment was due today and did not come.
    assert (late.state.days_past_due, late.state.overdue_minor) == (0, 0)
    # One of two phones of 199,900 went back after two of twelve: the last six rows are settled (6 x 33,316, and 4 fen of the
    # sixth), their fee of 6 x 2,398 is let go, and half of the fee that was paid comes back: (2,408 + 2,398) / 2 = 2,403.
    two = _view("year_return")
    assert two.state.returned_minor == 199_900
    assert [row.outstanding_minor for row in two.state.rows[6:]] == [0] * 6
    _on(client, 1)
    late = _view("year_late")
    assert (late.state.days_past_due, late.state.overdue) == (28, True)
    assert client.post("/demo/year/on", {"to": "end"}).status_code == 302

    paid = _view("year_autopay")
    assert (paid.state.status, _came(paid)) == ("closed", PHONE + FEE)
    assert [str(each.occurred_on) for each in paid.state.failures] == ["2027-03-23", "2027-03-24"]
    assert {str(each.occurred_on) for each in paid.state.payments} >= {"2027-03-26"}

    two = _view("year_return")
    # 199,900 of price, and the fees of six rows: 2,408 + 5 x 2,398.
    assert (two.state.status, _came(two)) == ("closed", 199_900 + 2_408 + 5 * 2_398)
    assert sum(each.amount_minor for each in two.state.movements if each.kind == "refunded") == 2_403

    off = _view("year_payoff")
    # Paid off ten days into the fifth period, whose fee is owed; those of the seven after it are not.
    assert (off.state.status, _came(off)) == ("closed", PHONE + FEE - 7 * ROW_FEE)
    assert str(off.state.closed_on) == "2027-04-02"

    late = _view("year_late")
    # The third and fourth came on 12 April: 45 and 17 days after their three free ones, at 0.03 % a day of the principal:
    # 41,658 x 62 x 0.0003 = 774.84.
    assert (late.state.status, _came(late)) == ("closed", PHONE + FEE + 775)

    # Twelve rents of 329, and 1,300 to own it: 5,248, of which the deposit of 1,000 was paid on the first day.
    rented = _view("year_rent")
    assert (rented.state.status, _came(rented)) == ("closed", 12 * 32_900 + 130_000)
    kinds = dict.fromkeys(("rent_earned", "bought_out", "deposit_held", "deposit_applied", "depreciated"), 0)
    for each in rented.state.movements:
        if each.kind in kinds:
            kinds[each.kind] += each.amount_minor
    # The phone cost 4,200 and was to be worth 1,300: it lost 2,900 in the year.
    assert kinds == {
        "rent_earned": 394_800,
        "bought_out": 130_000,
        "deposit_held": 100_000,
        "deposit_applied": 100_000,
        "depreciated": 290_000,
    }
    assert prove_shop(only_shop()).ok


@COLLECTOR
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_of_the_year_leads_to_each_contract(visit: Visit, language: str) -> None:
    client = visit("good", language)
    begin = {"en": "Begin the year", "zh": "开始这一年"}[language]
    assert begin in client.get("/demo/year/").content.decode()
    assert client.post("/demo/year/on", {"to": "month"}).status_code == 422
    assert client.post("/demo/year/begin").status_code == 302
    # Begun again, it is the same year.
    assert client.post("/demo/year/begin").status_code == 302
    _on(client, 1)
    page = client.get("/demo/year/").content.decode()
    assert begin not in page
    for ref in ("year_autopay", "year_return", "year_payoff", "year_late", "year_rent"):
        answer = client.post("/demo/year/contract", {"person": ref})
        assert answer.status_code == 302
        shown = client.get(answer["Location"])
        assert shown.status_code == 200
        assert "2026-12-23" in shown.content.decode()
    assert client.post("/demo/year/contract", {"person": "good"}).status_code == 404


@COLLECTOR
def test_moving_the_clock_by_hand_lets_the_year_happen_too(visit: Visit) -> None:
    client = visit("good", "en")
    client.post("/demo/year/begin")
    assert client.post("/demo/clock", {"instant": "2027-04-01T09:00"}).status_code == 302
    assert [str(each.occurred_on) for each in _view("year_autopay").state.failures] == [
        "2027-03-23",
        "2027-03-24",
    ]
    assert len(_view("year_payoff").state.payments) == 4


@COLLECTOR
@pytest.mark.parametrize("price", ["3000", "3999.99"])
def test_a_phone_that_is_rented_at_one_price_is_not_called_unlawful_at_another(
    visit: Visit, price: str
) -> None:
    from tests.pages.page import parse

    client = visit("good", "en")
    client.post("/demo/year/begin")
    page = parse(client.get("/account/ways/", {"amount": price}).content)
    (rented,) = [
        each for each in page.all("li", data_fq_part="family") if each["data-family"] == "phone_rent"
    ]
    codes = [each["data-code"] for each in rented.all("li") if "data-code" in each.attributes]
    assert codes == ["AMOUNT_LOW"]

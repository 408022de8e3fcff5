"""Rent or buy, by hand: what each way costs, from which month buying is cheaper, and one sentence that says so."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.calendars import add_months
from fenqi.terms.comparison import (
    Comparison,
    ComparisonError,
    Resale,
    Use,
    Way,
    compare,
    lease_ways,
    outright,
    way_of,
)
from fenqi.terms.plan import FlatFee, Plan, ZeroInterest
from fenqi.terms.rent import Buyout, Deposit, Lease, Renewal, Rent
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

ON = date(2026, 11, 23)
NAME = Text("租手机", "Renting the phone")


def lease(periods: int = 12, *, unit: str = "month", every: int = 1, **terms: object) -> Plan:
    fields: dict[str, object] = {"rent": Rent(49_900), "paid": "in_advance", "goods": "new"} | terms
    return Plan(
        "phone", "phone", "lessor", "operating_lease", periods, Lease(**fields), unit=unit, every=every
    )  # type: ignore[arg-type]


def rent_or_buy(plan: Plan, price: int, months: int, *resale: Resale) -> Comparison:
    ways = [outright(price, ON), *lease_ways(plan, price, "CNY", ON, months, NAME)]
    return compare(ways, price_minor=price, currency="CNY", start_on=ON, months=months, resale=resale)


def way(found: Comparison, kind: str) -> object:
    return next(one for one in found.ways if one.kind == kind)


def figures(sentence: str) -> list[Decimal]:
    """Every number of a sentence, in its order."""
    return [Decimal(found.replace(",", "")) for found in re.findall(r"[0-9][0-9,]*(?:\.[0-9]+)?", sentence)]


def test_a_phone_of_6999_at_499_a_month_is_cheaper_to_buy_from_the_fifth_month() -> None:
    # Bought: 6999 - 3000 = 3999. Rented: 12 x 499 = 5988, the deposit of 1000 comes back. 5988 - 3999 = 1989.
    # Worth 5500 after a month and 3000 after twelve: 2500 / 11 = 227.27 a month less. Loss of value at the end of month
    # 4: 6999 - (5500 - 3 x 227.27) = 2180.82 against 4 x 499 = 1996; of month 5: 2408.09 against 2495.
    terms = lease(deposit=Deposit(amount_minor=100_000, at_end="returned", release_days=3))
    found = rent_or_buy(terms, 699_900, 12, Resale(1, 550_000), Resale(12, 300_000))
    rented, bought = way(found, "rent_return"), way(found, "buy")
    assert (rented.paid_minor, rented.returned_minor, rented.cost_minor) == (698_800, 100_000, 598_800)
    assert (bought.paid_minor, bought.value_left_minor, bought.cost_minor) == (699_900, 300_000, 399_900)
    assert found.break_even_month == 5
    said = found.sentence.in_("en", "CNY")
    assert said == (
        "For 12-month use, buying it for ¥6,999.00 with ¥3,000.00 of its value left costs ¥3,999.00, ¥1,989.00 less than "
        "renting and giving it back; renting is cheaper only if it is given back before the end of month 5."
    )
    assert figures(said) == [12, 6999, 3000, 3999, 1989, 5]
    assert figures(found.sentence.in_("zh-CN", "CNY")) == [12, 6999, 3000, 3999, 1989, 5]


def test_a_camera_for_a_week_is_cheaper_to_rent_by_the_day() -> None:
    # 7 x 60 = 420, sending back 30: 450. Bought for 4000 and sold after a month for 3200: 800. 800 - 450 = 350.
    terms = lease(7, unit="day", rent=Rent(6_000), return_shipping_minor=3_000)
    found = rent_or_buy(terms, 400_000, 1, Resale(1, 320_000))
    assert way(found, "rent_return").cost_minor == 45_000
    assert found.break_even_month is None
    said = found.sentence.in_("en", "CNY")
    assert said == (
        "For 1-month use, renting and giving it back costs ¥450.00, ¥350.00 less than buying it for ¥4,000.00 with ¥3,200.00 "
        "of its value left; renting stays cheaper all that time."
    )
    assert figures(said) == [1, 450, 350, 4000, 3200]


def test_a_laptop_by_the_year_is_cheaper_to_rent_for_two_years_though_buying_wins_in_between() -> None:
    # Two rents of 3000 in arrears: 6000. Bought for 9000, worth 7000 after 6 months, 6500 after 12, 1000 after 24: 8000.
    # 8000 - 6000 = 2000 less by renting. At the end of month 12 the first rent is used: 3000 against 9000 - 6500 = 2500.
    # Before that no rent's period is over: 0 against a loss of value, so month 12 is the first.
    terms = lease(2, every=12, rent=Rent(300_000), paid="in_arrears")
    found = rent_or_buy(terms, 900_000, 24, Resale(6, 700_000), Resale(12, 650_000), Resale(24, 100_000))
    assert found.break_even_month == 12
    assert [one.kind for one in found.ways] == ["rent_return", "buy"]
    said = found.sentence.in_("en", "CNY")
    assert said.endswith("given back at the end of month 12, it would have cost no less than buying.")
    assert figures(said) == [24, 6000, 2000, 9000, 1000, 12]


def test_owning_by_renting_costs_what_borrowing_at_18_94_percent_does() -> None:
    # 12 x 499 in advance, deposit 1000 credited against a buyout of 1600: 7588, 589 over 6999 (true-cost: 18.94 %).
    terms = lease(
        deposit=Deposit(amount_minor=100_000, at_end="credited", release_days=3), buyout=Buyout(160_000)
    )
    owned = way(rent_or_buy(terms, 699_900, 12), "rent_own")
    assert (owned.cost_minor, owned.over_price_minor) == (758_800, 58_900)
    assert round(Decimal(owned.simple_e12).scaleb(-10), 10) == Decimal("18.9426713644")
    said = owned.sentence.in_("en", "CNY")
    assert figures(said) == [7588, 589, 6999, Decimal("18.94")]
    assert said.startswith("Renting the phone, bought out: it ends up yours for ¥7,588.00")


def test_renting_on_costs_the_renewals_share() -> None:
    # 12 x 499 + 12 x 399.20 (80 %) = 5988 + 4790.40
    terms = lease(renewal=Renewal(coefficient=Decimal("0.8")))
    assert way(rent_or_buy(terms, 699_900, 24), "rent_return").cost_minor == 1_077_840


def test_a_rent_that_ends_before_the_time_compared_is_no_price_for_all_of_it() -> None:
    # 12 x 499 = 5988 is less than 6999, and pays for one of the two years.
    said = rent_or_buy(lease(), 699_900, 24).sentence
    assert said.in_("en", "CNY") == (
        "Renting and giving it back costs ¥5,988.00 but ends on 23 Nov 2027, before the 24 months are over; buying it for "
        "¥6,999.00 with ¥0.00 of its value left costs ¥6,999.00 for all of them."
    )
    assert "2027年11月23日，不足 24 个月" in said.in_("zh-CN", "CNY")
    # A month of 30 days is one, for a rent by the day: nothing is said of its end.
    by_day = rent_or_buy(lease(30, unit="day", rent=Rent(2_000)), 699_900, 1)
    assert "ends on" not in by_day.sentence.in_("en", "CNY")


def test_a_deposit_that_is_kept_counts_in_the_month_from_which_buying_is_cheaper() -> None:
    # Month 11: 11 x 499 + 1000 = 6489; month 12: 6988 against 6500.
    kept = lease(deposit=Deposit(amount_minor=100_000, at_end="lost", release_days=0))
    found = rent_or_buy(kept, 650_000, 12)
    assert found.break_even_month == 12
    assert figures(found.sentence.in_("en", "CNY")) == [12, 6500, 0, 6500, 488, 12]


def test_a_rent_that_is_due_beyond_the_time_compared_does_not_make_buying_cheaper_at_once() -> None:
    # 400 days at 20: 8000 are due, 1001 more than 6999. In the first 6 months 182 days at 20 are 3640: no month says so.
    found = rent_or_buy(lease(400, unit="day", rent=Rent(2_000)), 699_900, 6)
    assert found.break_even_month is None
    said = found.sentence.in_("en", "CNY")
    assert said.endswith("¥1,001.00 less than renting and giving it back.")


def test_a_lease_that_gives_nothing_to_own_has_no_yearly_cost() -> None:
    rented = way(rent_or_buy(lease(), 699_900, 12), "rent_return")
    assert (rented.simple_e12, rented.undefined, rented.over_price_minor) == (None, "no_ownership", None)


@pytest.mark.parametrize(("cash", "percent"), [(580_000, "6.31"), (570_000, "9.58")])
def test_interest_free_is_not_free_where_cash_is_cheaper(cash: int, percent: str) -> None:
    # 12 x 500 on a list price of 6000 (true-cost, pitfall 5)
    plan = Plan("zero", "zero", "shop", "instalment_sale", 12, ZeroInterest("shop"))
    over_time = way_of(
        build_schedule(plan, 600_000, "CNY", ON), "zero", Text("免息 12 期", "12 free of interest")
    )
    found = compare([outright(cash, ON), over_time], price_minor=cash, currency="CNY", start_on=ON, months=12)
    cost = way(found, "instalments")
    assert cost.over_price_minor == 600_000 - cash
    assert round(Decimal(cost.simple_e12).scaleb(-10), 2) == Decimal(percent)


def test_interest_free_at_the_same_price_costs_exactly_nothing() -> None:
    plan = Plan("zero", "zero", "shop", "instalment_sale", 3, ZeroInterest("shop"))
    over_time = way_of(build_schedule(plan, 100_000, "CNY", ON), "zero", Text("免息", "Free"))
    found = compare([over_time], price_minor=100_000, currency="CNY", start_on=ON, months=3)
    assert (found.ways[0].simple_e12, found.ways[0].compounded_e12) == (0, 0)
    assert found.sentence.in_("en", "CNY") == (
        "Free: it ends up yours for ¥1,000.00, the same as its price today."
    )


def test_the_value_of_a_month_between_two_points_lies_on_their_line() -> None:
    # 1000 now, 400 after 6 months: 100 a month. Rent 100 a month: at the end of month 1, 100 >= 1000 - 900.
    terms = lease(6, rent=Rent(10_000))
    assert rent_or_buy(terms, 100_000, 6, Resale(6, 40_000)).break_even_month == 1
    # One fen less each month and it is cheaper throughout.
    terms = lease(6, rent=Rent(9_999))
    assert rent_or_buy(terms, 100_000, 6, Resale(6, 40_000)).break_even_month is None


@given(
    price=st.integers(10_000, 10**9),
    rent=st.integers(1, 10**7),
    months=st.integers(1, 36),
    worth=st.integers(0, 10**9),
    deposit=st.integers(1, 10**7),
)
def test_the_figures_hang_together(price: int, rent: int, months: int, worth: int, deposit: int) -> None:
    terms = lease(
        months,
        rent=Rent(rent),
        deposit=Deposit(amount_minor=deposit, at_end="returned", release_days=3),
        buyout=Buyout(rent),
    )
    found = rent_or_buy(terms, price, months, Resale(months, worth))
    costs = [one.cost_minor for one in found.ways]
    assert costs == sorted(costs)
    for one in found.ways:
        assert one.cost_minor == one.paid_minor - one.returned_minor - one.value_left_minor
        assert one.value_left_minor == (worth if one.owns else 0)
    rented = way(found, "rent_return").cost_minor
    # A deposit that goes back is no cost.
    assert rented == months * rent
    if found.break_even_month is not None:
        # It is the first: in no month before had the rents reached the loss of value.
        lost = [price - price - (worth - price) * month // months for month in range(months + 1)]
        assert found.break_even_month * rent >= lost[found.break_even_month] - 1
        assert all(month * rent <= lost[month] + 1 for month in range(1, found.break_even_month))
    elif rented >= price - worth:
        pytest.fail("renting costs as much at the end, and no month was found")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"months": 0}, "months"),
        ({"months": 601}, "months"),
        ({"price_minor": 0}, "price_minor"),
        ({"resale": [Resale(6, 1), Resale(6, 1)]}, "resale[1].months"),
        ({"resale": [Resale(6, -1)]}, "resale[0].value_minor"),
        ({"ways": []}, "ways"),
        ({"ways": [outright(1, ON), outright(1, ON)]}, "ways"),
        ({"ways": [outright(1, date(2026, 11, 22))]}, "buy.flows[0]"),
        ({"ways": [Way(id="w", kind="rent_return", name=NAME, flows=(), owns=False)]}, "w.flows"),
    ],
)
def test_nonsense_is_told_where(change: dict[str, object], place: str) -> None:
    given_: dict[str, object] = {
        "ways": [outright(1_000, ON)],
        "price_minor": 1_000,
        "currency": "CNY",
        "start_on": ON,
        "months": 12,
    } | change
    with pytest.raises(ComparisonError) as error:
        compare(given_.pop("ways"), **given_)  # type: ignore[arg-type]
    assert error.value.problem.place == place


def test_a_rent_belongs_to_the_period_that_it_is_for() -> None:
    back = lease_ways(lease(2), 699_900, "CNY", ON, 2, NAME)[0]
    assert back.flows == ((ON, 49_900), (add_months(ON, 1), 49_900))
    assert back.uses == (Use(add_months(ON, 1), 49_900), Use(add_months(ON, 2), 49_900))


def test_a_fee_makes_instalments_dearer_by_their_own_rate() -> None:
    plan = Plan("mall", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    over_time = way_of(build_schedule(plan, 600_000, "CNY", ON), "mall", Text("分期", "Instalments"))
    found = compare([over_time], price_minor=600_000, currency="CNY", start_on=ON, months=12)
    assert figures(found.sentence.in_("en", "CNY")) == [6432, 432, 6000, Decimal("13.03")]

"""Leases, worked by hand: what is paid when, what becomes of the deposit, and what owning costs in a year.

The amounts and dates stand in the comments as they were worked out; a yearly cost is found here with mpmath from flows
written by hand, or in closed form where two payments allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from fenqi.terms.cost import cost_of
from fenqi.terms.lease import (
    Ending,
    build_lease,
    early_buyout_from,
    flows_over_time,
)
from fenqi.terms.plan import PROFILES, Bearer, Fee, Plan, TermsError, check_plan
from fenqi.terms.rent import (
    Buyout,
    Deposit,
    EarlyBuyout,
    EarlyFormula,
    Lease,
    LeaseFigures,
    Pledge,
    Renewal,
    Rent,
    traps_of,
)
from fenqi.terms.schedule import Schedule, build_schedule
from fenqi.texts import Text

START = date(2026, 11, 23)
Number = int | mpf


def yearly(flows: Sequence[tuple[Number | tuple[int, str], Number]], periods: Number) -> int:
    """The rate of a period that balances the flows (negative: got), times the periods of a year, in 1e-12.

    A time (t, f) is t whole periods and the part f of one, which bears simple interest as the simple rate has it.
    """
    with mp.workdps(50):

        def value(rate: mpf) -> mpf:
            total = mpf(0)
            for at, amount in flows:
                whole, part = at if isinstance(at, tuple) else (at, "0")
                total += mpf(amount) / ((1 + mpf(part) * rate) * (1 + rate) ** whole)
            return total

        rate = mp.findroot(value, (mpf("-0.02"), mpf("0.2")), solver="anderson", tol=1e-70, maxsteps=500)
        return round(rate * mpf(periods) * 10**12)


def leased(terms: Lease, periods: int, unit: str = "month", every: int = 1, **more: object) -> Plan:
    return Plan("p", "f", "lessor", "operating_lease", periods, terms, unit=unit, every=every, **more)  # type: ignore[arg-type]


def paid(schedule: Schedule) -> list[tuple[str, str, int]]:
    """The rows as (kind, day, what is paid)."""
    return [(row.kind, row.due_on.isoformat(), row.total_minor) for row in schedule.rows]


def figures(schedule: Schedule) -> LeaseFigures:
    assert schedule.lease is not None
    return schedule.lease


# --- by the day, the week, the month, the year --------------------------------------------------------------------


def test_a_camera_by_the_day_goes_back_and_so_does_its_deposit() -> None:
    # ¥5,000 camera, 7 days at ¥80 in advance: 560. Deposit 20 % of 5000 = 1000. Sending back ¥25.
    # Ends 23 + 7 = 30 November; inspected in 2 days, released 3 days after: 5 December.
    deposit = Deposit(share=Decimal("0.2"), at_end="returned", inspection_days=2, release_days=3)
    terms = Lease(
        rent=Rent(8_000), paid="in_advance", goods="new", deposit=deposit, return_shipping_minor=2_500
    )
    plan = leased(terms, 7, "day")
    schedule = build_schedule(plan, 500_000, "CNY", START)
    assert paid(schedule) == [
        ("deposit", "2026-11-23", 100_000),
        ("rent", "2026-11-23", 8_000),
        ("rent", "2026-11-24", 8_000),
        ("rent", "2026-11-25", 8_000),
        ("rent", "2026-11-26", 8_000),
        ("rent", "2026-11-27", 8_000),
        ("rent", "2026-11-28", 8_000),
        ("rent", "2026-11-29", 8_000),
        ("goods_return", "2026-11-30", 2_500),
        ("deposit_return", "2026-12-05", -100_000),
    ]
    assert schedule.total_minor == 56_000 + 2_500
    assert not figures(schedule).owns
    # Nothing is owned, so nothing is financed, and there is no yearly cost: not 0.
    assert schedule.financed_minor == 0
    cost = cost_of(schedule, plan)
    assert (cost.simple_e12, cost.compounded_e12, cost.undefined) == (None, None, "no_ownership")


def test_a_console_by_the_week_with_a_frozen_deposit_pays_nothing_for_it() -> None:
    # ¥2,000, 4 weeks at ¥120 in arrears: 480; ¥1,600 at the end. ¥500 frozen and released: nothing is paid.
    deposit = Deposit(amount_minor=50_000, form="frozen", at_end="returned", release_days=1)
    terms = Lease(rent=Rent(12_000), paid="in_arrears", goods="new", deposit=deposit, buyout=Buyout(160_000))
    plan = leased(terms, 4, "week")
    schedule = build_schedule(plan, 200_000, "CNY", START)
    assert paid(schedule) == [
        ("rent", "2026-11-30", 12_000),
        ("rent", "2026-12-07", 12_000),
        ("rent", "2026-12-14", 12_000),
        ("rent", "2026-12-21", 12_000),
        ("buyout", "2026-12-21", 160_000),
    ]
    assert schedule.total_minor == 208_000
    assert schedule.fee_minor == 8_000  # 2080 - 2000
    found = figures(schedule)
    assert (found.deposit_form, found.deposit_minor, found.returned_minor) == ("frozen", 50_000, 50_000)
    assert found.deposit_back_on == date(2026, 12, 22)
    by_hand = yearly([(0, -2000), (1, 120), (2, 120), (3, 120), (4, 1720)], mpf(365) / 7)
    assert cost_of(schedule, plan).simple_e12 == by_hand


def phone(at_end: str | None, early: EarlyBuyout | None = None, **more: object) -> Plan:
    """¥6,999, 12 x ¥499 in advance, ¥1,600 at the end, with a deposit of ¥1,000 or none."""
    deposit = None
    if at_end is not None:
        deposit = Deposit(amount_minor=100_000, at_end=at_end, release_days=0)  # type: ignore[arg-type]
    buyout = Buyout(160_000, early=early)
    terms = Lease(rent=Rent(49_900), paid="in_advance", goods="new", deposit=deposit, buyout=buyout, **more)  # type: ignore[arg-type]
    return leased(terms, 12)


@pytest.mark.parametrize(
    ("at_end", "at_the_start", "last", "percent"),
    [
        # Net advance 6999 - 1000 - 499 = 5500, then 11 x 499, then 1600 - 1000 = 600.
        ("credited", 550_000, 60_000, "18.9426713644"),
        ("returned", 550_000, 60_000, "18.9426713644"),
        # Without the deposit: 6999 - 499 = 6500, and 1600 at the end.
        (None, 650_000, 160_000, "14.4030732319"),
        # Kept by the lessor: 5500 as with it, and the whole 1600 at the end.
        ("lost", 550_000, 160_000, "43.6606826849"),
    ],
)
def test_what_becomes_of_the_deposit_decides_the_cost_of_a_phone_by_the_month(
    at_end: str | None, at_the_start: int, last: int, percent: str
) -> None:
    plan = phone(at_end)
    schedule = build_schedule(plan, 699_900, "CNY", START)
    by_hand = yearly([(0, -at_the_start), *((month, 49_900) for month in range(1, 12)), (12, last)], 12)
    found = cost_of(schedule, plan).simple_e12
    assert found == by_hand
    assert f"{found / 10**10:.10f}" == percent
    # Fees 0, rents 12 x 499 = 5988, buyout 1600: 7588, and a lost deposit is paid beside it.
    assert schedule.total_minor == (858_800 if at_end == "lost" else 758_800)


def test_a_deposit_released_three_days_later_costs_a_little_more() -> None:
    # Back on 26 November 2027: 12 months and 3 days, a tenth of a month of 30 days.
    deposit = Deposit(amount_minor=100_000, at_end="returned", release_days=3)
    terms = Lease(rent=Rent(49_900), paid="in_advance", goods="new", deposit=deposit, buyout=Buyout(160_000))
    plan = leased(terms, 12)
    schedule = build_schedule(plan, 699_900, "CNY", START)
    assert paid(schedule)[-2:] == [
        ("buyout", "2027-11-23", 160_000),
        ("deposit_return", "2027-11-26", -100_000),
    ]
    by_hand = yearly(
        [(0, -5500), *((month, 499) for month in range(1, 12)), (12, 1600), ((12, "0.1"), -1000)], 12
    )
    found = cost_of(schedule, plan).simple_e12
    assert found == by_hand
    assert found is not None
    assert found > 189_426_713_644


def test_a_laptop_by_the_year_with_its_deposit_waived() -> None:
    # ¥12,000, 2 years at ¥5,000 in arrears, 25 % of 12000 = 3000 at the end: 13,000. The ¥3,000 deposit is not asked for.
    # 12000 x² = 5000 x + 8000 with x = 1 + r: x = (5000 + √(5000² + 4·12000·8000)) / 24000 = 1.050989...
    deposit = Deposit(amount_minor=300_000, waivable=True, at_end="returned", release_days=3)
    buyout = Buyout(share=Decimal("0.25"))
    terms = Lease(rent=Rent(500_000), paid="in_arrears", goods="new", deposit=deposit, buyout=buyout)
    plan = leased(terms, 2, "month", 12)
    schedule = build_schedule(plan, 1_200_000, "CNY", START, deposit_waived=True)
    assert paid(schedule) == [
        ("rent", "2027-11-23", 500_000),
        ("rent", "2028-11-23", 500_000),
        ("buyout", "2028-11-23", 300_000),
    ]
    found = figures(schedule)
    assert (found.deposit_form, found.deposit_minor, found.waived_minor) == ("waived", 0, 300_000)
    with mp.workdps(40):
        rate = (5000 + mp.sqrt(mpf(5000) ** 2 + 4 * 12000 * 8000)) / 24000 - 1
    assert cost_of(schedule, plan).simple_e12 == round(rate * 10**12)
    assert f"{rate * 100}".startswith("5.09895")
    # Not waived, ¥3,000 are paid first, and come back three days after the end.
    asked = build_schedule(plan, 1_200_000, "CNY", START)
    assert paid(asked)[0] == ("deposit", "2026-11-23", 300_000)
    assert paid(asked)[-1] == ("deposit_return", "2028-11-26", -300_000)
    assert asked.total_minor == schedule.total_minor == 1_300_000


def test_a_frozen_deposit_that_is_lost_is_paid_at_the_end() -> None:
    # ¥3,333.33 at 9 % a month: 299.9997, which is 300.00 to the fen. 6 x 300 = 1800, buyout 1000, deposit 500 kept.
    deposit = Deposit(amount_minor=50_000, form="frozen", at_end="lost", release_days=0)
    terms = Lease(
        rent=Rent(share=Decimal("0.09")),
        paid="in_arrears",
        goods="used",
        statement=Text("九成新，屏幕有轻微划痕", "Used: light scratches on the screen"),
        deposit=deposit,
        buyout=Buyout(100_000),
    )
    plan = leased(terms, 6)
    schedule = build_schedule(plan, 333_333, "CNY", START)
    assert [row.rent_minor for row in schedule.rows[:-1]] == [30_000] * 6
    assert paid(schedule)[-1] == ("buyout", "2027-05-23", 150_000)
    assert schedule.total_minor == 180_000 + 100_000 + 50_000
    found = figures(schedule)
    assert (found.lost_minor, found.returned_minor, found.credited_minor) == (50_000, 0, 0)
    by_hand = yearly([(0, -333_333), *((month, 30_000) for month in range(1, 6)), (6, 30_000 + 150_000)], 12)
    assert cost_of(schedule, plan).simple_e12 == by_hand


# --- buying early ---------------------------------------------------------------------------------------------------


def test_an_early_buyout_at_the_maturity_price_and_all_unpaid_rents_saves_nothing() -> None:
    # On 23 May 2027 the rents of 23 November to 23 May are paid: 7 x 499 = 3493; 5 x 499 = 2495 are not.
    # 1600 + 2495 = 4095, less the deposit 1000: 3095. In all 3493 + 4095 = 7588, as at the end.
    plan = phone("credited", EarlyBuyout("maturity_plus_unpaid_rent"))
    schedule = build_lease(plan, 699_900, "CNY", START, Ending("early_buy_out", date(2027, 5, 23)))
    assert paid(schedule)[-2:] == [("rent", "2027-05-23", 49_900), ("buyout", "2027-05-23", 309_500)]
    found = figures(schedule)
    assert (found.rents, found.buyout_minor, found.credited_minor) == (7, 409_500, 100_000)
    assert schedule.total_minor == 758_800
    # Paying the same sooner costs more in a year.
    flows = [(0, -5500), *((month, 499) for month in range(1, 6)), (6, 499 + 3095)]
    assert cost_of(schedule, plan).simple_e12 == yearly(flows, 12)
    assert yearly(flows, 12) > 189_426_713_644


def test_an_early_buyout_at_the_price_less_what_was_paid_costs_exactly_nothing() -> None:
    # 6999 - 7 x 499 = 3506, less the deposit 1000: 2506. In all 6999, the price: the integer 0.
    plan = phone("credited", EarlyBuyout("price_less_paid"))
    schedule = build_lease(plan, 699_900, "CNY", START, Ending("early_buy_out", date(2027, 5, 23)))
    assert paid(schedule)[-1] == ("buyout", "2027-05-23", 250_600)
    assert figures(schedule).buyout_minor == 350_600
    assert schedule.total_minor == 699_900
    assert cost_of(schedule, plan).simple_e12 == 0
    # At the end of the term its own price stands.
    assert build_schedule(plan, 699_900, "CNY", START).total_minor == 758_800


def test_an_early_buyout_is_never_below_nothing_and_the_deposit_comes_back() -> None:
    # ¥3,000, 300 a month in arrears: on 23 October 2027 11 x 300 = 3300 are paid, more than the price.
    deposit = Deposit(amount_minor=50_000, at_end="credited", release_days=3)
    buyout = Buyout(early=EarlyBuyout("price_less_paid"))
    terms = Lease(rent=Rent(30_000), paid="in_arrears", goods="new", deposit=deposit, buyout=buyout)
    plan = leased(terms, 12)
    schedule = build_lease(plan, 300_000, "CNY", START, Ending("early_buy_out", date(2027, 10, 23)))
    assert paid(schedule)[-2:] == [("buyout", "2027-10-23", 0), ("deposit_return", "2027-10-26", -50_000)]
    # After 4 months 1200 are paid: 3000 - 1200 - 500 = 1300.
    sooner = build_lease(plan, 300_000, "CNY", START, Ending("early_buy_out", date(2027, 3, 23)))
    assert paid(sooner)[-1] == ("buyout", "2027-03-23", 130_000)


def test_buying_early_only_in_the_last_ten_days() -> None:
    # 10 days before 23 November 2027: 13 November. 1600, and in advance no rent is open any more.
    plan = phone(None, EarlyBuyout("maturity_plus_unpaid_rent", last_days=10))
    assert early_buyout_from(plan, START) == date(2027, 11, 13)
    with pytest.raises(TermsError, match="2027-11-13 or later"):
        build_lease(plan, 699_900, "CNY", START, Ending("early_buy_out", date(2027, 11, 12)))
    schedule = build_lease(plan, 699_900, "CNY", START, Ending("early_buy_out", date(2027, 11, 13)))
    assert paid(schedule)[-1] == ("buyout", "2027-11-13", 160_000)
    # In arrears the last rent is still open, and is paid with it: 1600 + 499.
    terms = Lease(
        rent=Rent(49_900),
        paid="in_arrears",
        goods="new",
        buyout=Buyout(160_000, early=EarlyBuyout("maturity_plus_unpaid_rent", last_days=10)),
    )
    later = build_lease(leased(terms, 12), 699_900, "CNY", START, Ending("early_buy_out", date(2027, 11, 20)))
    assert paid(later)[-1] == ("buyout", "2027-11-20", 209_900)


# --- renewing, giving back, fees --------------------------------------------------------------------------------------


def test_a_renewal_costs_its_coefficient_of_the_rent() -> None:
    # 3 x 200 in advance, then 2 at 80 %: 160. Ends on 23 April 2027 instead of 23 February.
    terms = Lease(
        rent=Rent(20_000),
        paid="in_advance",
        goods="new",
        renewal=Renewal(Decimal("0.8")),
        buyout=Buyout(90_000),
    )
    plan = leased(terms, 3)
    back = build_lease(plan, 150_000, "CNY", START, Ending("return", renewed_periods=2))
    assert paid(back) == [
        ("rent", "2026-11-23", 20_000),
        ("rent", "2026-12-23", 20_000),
        ("rent", "2027-01-23", 20_000),
        ("rent", "2027-02-23", 16_000),
        ("rent", "2027-03-23", 16_000),
    ]
    assert figures(back).ends_on == date(2027, 4, 23)
    assert back.total_minor == 92_000
    bought = build_lease(plan, 150_000, "CNY", START, Ending("buy_out", renewed_periods=2))
    assert paid(bought)[-1] == ("buyout", "2027-04-23", 90_000)


def test_paid_off_and_given_for_nothing_after_two_years_is_dearer_than_it_looks() -> None:
    # 租满即送: 24 x 350 = 8400 for goods of 6000. A year's rent is 70 % of the price, all of it 140 %.
    terms = Lease(rent=Rent(35_000), paid="in_advance", goods="new", buyout=Buyout(0))
    plan = leased(terms, 24)
    schedule = build_schedule(plan, 600_000, "CNY", START)
    assert paid(schedule)[-1] == ("buyout", "2028-11-23", 0)
    assert schedule.total_minor == 840_000
    assert figures(schedule).own_ratio_e12 == 1_400_000_000_000
    assert figures(schedule).yearly_ratio_e12 == 700_000_000_000
    flows = [(0, -5650), *((month, 350) for month in range(1, 24))]
    assert cost_of(schedule, plan).simple_e12 == yearly(flows, 12)


def test_the_ratio_of_a_year_counts_the_weeks_of_a_year_and_never_rounds_down() -> None:
    # 365 days have 365/7 weeks: 100 x 365/7 = 5214.2857... and 1000 over 7000: 88.775510204081632...%.
    terms = Lease(rent=Rent(10_000), paid="in_advance", goods="new", buyout=Buyout(100_000))
    year = figures(build_schedule(leased(terms, 80, "week"), 700_000, "CNY", START))
    assert year.yearly_ratio_e12 == 887_755_102_041
    assert year.own_ratio_e12 == 1_285_714_285_715  # (8000 + 1000) / 7000 = 1.2857142857142857...
    # 30 weeks have 30 rents: 4000 / 7000 = 0.571428571428...
    short = figures(build_schedule(leased(terms, 30, "week"), 700_000, "CNY", START))
    assert short.yearly_ratio_e12 == short.own_ratio_e12 == 571_428_571_429


def test_a_lease_at_the_markets_ceiling_may_cost_more_than_half_its_price_in_a_year() -> None:
    # 12 x 9.5 % = 114 %, and 16 %: 130 % of the price, the most that 租享规范 allows.
    terms = Lease(
        rent=Rent(share=Decimal("0.095")),
        paid="in_advance",
        goods="new",
        buyout=Buyout(share=Decimal("0.16")),
    )
    plan = leased(terms, 12)
    schedule = build_schedule(plan, 1_000_000, "CNY", START)
    assert figures(schedule).yearly_ratio_e12 == 1_300_000_000_000
    found = cost_of(schedule, plan).simple_e12
    assert found == yearly([(0, -905), *((month, 95) for month in range(1, 12)), (12, 160)], 12)
    assert found is not None
    assert f"{found / 10**10:.2f}" == "53.91"


def test_giving_back_early_pays_for_the_period_that_has_begun() -> None:
    # At least 3 of 12 months. On 8 April 2027 (the fifth month, since 23 March) 5 rents are owed.
    terms = Lease(
        rent=Rent(20_000), paid="in_arrears", goods="new", minimum_periods=3, return_shipping_minor=1_500
    )
    plan = leased(terms, 12)
    schedule = build_lease(plan, 400_000, "CNY", START, Ending("return", date(2027, 4, 8)))
    assert paid(schedule)[-3:] == [
        ("rent", "2027-03-23", 20_000),
        ("rent", "2027-04-08", 20_000),
        ("goods_return", "2027-04-08", 1_500),
    ]
    assert schedule.total_minor == 5 * 20_000 + 1_500
    with pytest.raises(TermsError, match="2027-02-23 or later, when the minimum term is over"):
        build_lease(plan, 400_000, "CNY", START, Ending("return", date(2027, 2, 22)))


def test_a_deposit_lost_when_the_goods_come_back_broken() -> None:
    # 585 as rented, and the deposit of 1000 beside it.
    deposit = Deposit(amount_minor=100_000, at_end="returned", release_days=3)
    terms = Lease(
        rent=Rent(8_000), paid="in_advance", goods="new", deposit=deposit, return_shipping_minor=2_500
    )
    plan = leased(terms, 7, "day")
    schedule = build_lease(plan, 500_000, "CNY", START, Ending("return", deposit="lost"))
    assert schedule.total_minor == 158_500
    assert all(row.kind != "deposit_return" for row in schedule.rows)
    assert figures(schedule).deposit_back_on is None


def test_fees_beside_the_rent_are_paid_when_they_are_agreed() -> None:
    # ¥99 at the start; insurance of 1 % of 1200 = 12 in all, 4 with each of 3 rents; ¥30 with the buyout.
    fees = (
        Fee(
            code="setup", name=Text("开通费", "Set-up"), payee="lessor", amount_minor=9_900, timing="up_front"
        ),
        Fee(code="cover", name=Text("保险", "Insurance"), payee="insurer", total_rate=Decimal("0.01")),
        Fee(
            code="deed", name=Text("过户费", "Transfer"), payee="lessor", amount_minor=3_000, timing="at_end"
        ),
    )
    terms = Lease(
        rent=Rent(20_000),
        paid="in_arrears",
        goods="new",
        buyout=Buyout(70_000),
        deposit=Deposit(amount_minor=10_000, at_end="credited", release_days=0),
    )
    plan = leased(terms, 3, fees=fees)
    schedule = build_schedule(plan, 120_000, "CNY", START)
    assert paid(schedule) == [
        ("deposit", "2026-11-23", 19_900),
        ("rent", "2026-12-23", 20_400),
        ("rent", "2027-01-23", 20_400),
        ("rent", "2027-02-23", 20_400),
        ("buyout", "2027-02-23", 63_000),  # 700 - 100 + 30
    ]
    assert [(charge.code, charge.payee, charge.total_minor) for charge in schedule.charges] == [
        ("setup", "lessor", 9_900),
        ("cover", "insurer", 1_200),
        ("deed", "lessor", 3_000),
    ]
    # own = 99 + 600 + 12 + 30 + 700 = 1441
    assert schedule.total_minor == 144_100
    assert schedule.fee_minor == 24_100


def test_rents_below_the_price_cost_less_than_nothing() -> None:
    # 3 x 100 and 600 for goods of 1000: 900. The rate is negative, not 0 and not missing.
    terms = Lease(rent=Rent(10_000), paid="in_arrears", goods="new", buyout=Buyout(60_000))
    plan = leased(terms, 3)
    cost = cost_of(build_schedule(plan, 100_000, "CNY", START), plan)
    assert cost.fee_minor == -10_000
    assert cost.simple_e12 == yearly([(0, -1000), (1, 100), (2, 100), (3, 700)], 12)
    assert cost.simple_e12 < 0


@given(
    st.integers(100, 3_000_000),
    st.integers(1, 300_000),
    st.integers(0, 2_000_000),
    st.integers(1, 99),
    st.integers(0, 40),
    st.integers(2, 24),
)
@settings(deadline=None)
def test_a_deposit_that_comes_back_later_is_costed_to_twelve_digits(
    price: int, rent: int, buyout: int, share: int, wait: int, periods: int
) -> None:
    deposit = Deposit(share=Decimal(share) / 100, at_end="returned", release_days=wait)
    terms = Lease(rent=Rent(rent), paid="in_arrears", goods="new", deposit=deposit, buyout=Buyout(buyout))
    plan = leased(terms, periods, "day")
    schedule = build_schedule(plan, price, "CNY", START)
    held = figures(schedule).deposit_minor
    cost = cost_of(schedule, plan)
    over = periods * rent + buyout - price
    last = buyout if wait else buyout - held
    if over <= 0 or held == 0 or rent + last <= 0 or held >= price:
        return  # what is below the price, and what has no deposit, is tested by itself
    with mp.workdps(40):

        def value(rate: mpf) -> mpf:
            flows = [(0, held - price), *((day, rent) for day in range(1, periods)), (periods, rent + last)]
            if wait:
                flows.append((periods + wait, -held))
            return sum((mpf(amount) * (1 + rate) ** -at for at, amount in flows), mpf(0))

        if value(mpf(10)) >= 0:
            return  # above 1000 % a day
        # One change of sign above 0: the flows have two at most, and their sum is positive.
        low, high = mpf(0), mpf(10)
        for _ in range(110):
            middle = (low + high) / 2
            low, high = (middle, high) if value(middle) > 0 else (low, middle)
        expected = low * 365 * 10**12
    assert cost.simple_e12 is not None
    assert abs(cost.simple_e12 - expected) <= max(1, abs(expected) * mpf("1e-12"))


def test_what_is_below_the_price_has_no_rate_where_the_deposit_comes_back() -> None:
    # 12 x 499 + 600 = 6588 for 6999, with 1000 coming back at the end: no rate balances that, or two do.
    deposit = Deposit(amount_minor=100_000, at_end="returned", release_days=3)
    terms = Lease(rent=Rent(49_900), paid="in_advance", goods="new", deposit=deposit, buyout=Buyout(60_000))
    plan = leased(terms, 12)
    cost = cost_of(build_schedule(plan, 699_900, "CNY", START), plan)
    assert (cost.fee_minor, cost.simple_e12, cost.undefined) == (-41_100, None, "below_price")


def test_a_deposit_above_the_price_leaves_nothing_to_be_lent() -> None:
    deposit = Deposit(amount_minor=120_000, at_end="returned", release_days=0)
    terms = Lease(rent=Rent(10_000), paid="in_arrears", goods="new", deposit=deposit, buyout=Buyout(80_000))
    plan = leased(terms, 3)
    cost = cost_of(build_schedule(plan, 100_000, "CNY", START), plan)
    assert (cost.simple_e12, cost.undefined) == (None, "nothing_advanced")


# --- cases from the market (data/market_cases.json of the vectors) ----------------------------------------------------


@pytest.mark.parametrize(
    ("price", "rent", "periods", "advance", "buyout", "nominal", "effective"),
    [
        # rent-cashout: a phone "leased" and sold at once for ¥5,450.56 against 9 x ¥1,083.15.
        (545_056, 108_315, 9, False, 0, "162.3575", "358.4777"),
        # rent-liu: rents of 9374 in all and 5444 at the end, for 9000. Six of them, so that a rent is whole fen: 4687.00.
        (5_400_000, 468_700, 12, False, 3_266_400, "76.6847", "110.2950"),
        # rent-student: 12 x 599 for 6000, in arrears, then in advance.
        (600_000, 59_900, 12, False, 0, "34.7398", "40.8414"),
        (600_000, 59_900, 12, True, 0, "41.6311", "50.5692"),
    ],
    ids=["rent-cashout", "rent-liu", "rent-student-arrears", "rent-student-advance"],
)
def test_leases_of_the_market(
    price: int, rent: int, periods: int, advance: bool, buyout: int, nominal: str, effective: str
) -> None:
    terms = Lease(
        rent=Rent(rent),
        paid="in_advance" if advance else "in_arrears",
        goods="new",
        buyout=Buyout(buyout),
    )
    plan = leased(terms, periods)
    cost = cost_of(build_schedule(plan, price, "CNY", START), plan)
    assert cost.simple_e12 is not None
    assert cost.compounded_e12 is not None
    assert round(Decimal(cost.simple_e12).scaleb(-10), 4) == Decimal(nominal)
    assert round(Decimal(cost.compounded_e12).scaleb(-10), 4) == Decimal(effective)


# --- what makes no sense ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        (Lease(rent=Rent(), paid="in_advance", goods="new"), "pricing.rent"),
        (Lease(rent=Rent(1, Decimal("0.1")), paid="in_advance", goods="new"), "pricing.rent"),
        (Lease(rent=Rent(0), paid="in_advance", goods="new"), "pricing.rent.amount_minor"),
        (Lease(rent=Rent(share=Decimal("NaN")), paid="in_advance", goods="new"), "pricing.rent.share"),
        (Lease(rent=Rent(1), paid="in_advance", goods="used"), "pricing.statement"),
        (Lease(rent=Rent(1), paid="in_advance", goods="new", minimum_periods=13), "pricing.minimum_periods"),
        (Lease(rent=Rent(1), paid="in_advance", goods="new", buyout=Buyout()), "pricing.buyout"),
        (
            Lease(
                rent=Rent(1),
                paid="in_advance",
                goods="new",
                buyout=Buyout(early=EarlyBuyout("maturity_plus_unpaid_rent")),
            ),
            "pricing.buyout",
        ),
        (
            Lease(
                rent=Rent(1),
                paid="in_advance",
                goods="new",
                deposit=Deposit(amount_minor=5, at_end="lost", release_days=0),
                buyout=Buyout(1, early=EarlyBuyout("price_less_paid")),
            ),
            "pricing.deposit.at_end",
        ),
        (
            Lease(
                rent=Rent(1),
                paid="in_advance",
                goods="new",
                deposit=Deposit(at_end="returned", release_days=-1, amount_minor=5),
            ),
            "pricing.deposit.release_days",
        ),
        (
            Lease(rent=Rent(1), paid="in_advance", goods="new", renewal=Renewal(Decimal(0))),
            "pricing.renewal.coefficient",
        ),
    ],
)
def test_terms_that_make_no_sense_are_named_by_their_place(terms: Lease, place: str) -> None:
    plan = leased(terms, 12)
    assert [problem.place for problem in check_plan(plan)] == [place]
    with pytest.raises(TermsError, match=place.replace(".", r"\.")):
        build_schedule(plan, 100_000, "CNY", START)


@pytest.mark.parametrize(
    "more",
    [
        {"defer_periods": 1},
        {"due_day": 5},
        {"grace_principal": 1},
        {"interest_free_periods": 1},
        {"deferral_interest": "capitalised"},
        {"holiday": "following", "calendar": "cn"},
        {"conventions": PROFILES["fineract-progressive"]},
        {"bearers": (Bearer("shop", Decimal(1)),)},
    ],
)
def test_a_lease_takes_no_terms_of_a_loan(more: dict[str, object]) -> None:
    terms = Lease(rent=Rent(1), paid="in_advance", goods="new")
    assert next(iter(more)) in {problem.place for problem in check_plan(leased(terms, 12, **more))}


def test_a_lease_is_a_lease_in_law_and_a_pledge_a_pledge() -> None:
    terms = Lease(rent=Rent(1), paid="in_advance", goods="new")
    assert check_plan(Plan("p", "f", "l", "loan", 12, terms))[0].place == "legal_form"
    assert check_plan(Plan("p", "f", "l", "finance_lease", 12, terms)) == []
    pledge = Pledge(success_on=date(2027, 1, 31))
    assert check_plan(Plan("p", "f", "l", "loan", 1, pledge))[0].place == "legal_form"
    assert check_plan(Plan("p", "f", "l", "pledge", 3, pledge))[0].place == "periods"


@pytest.mark.parametrize(
    ("plan", "ending", "found"),
    [
        (
            leased(Lease(rent=Rent(1), paid="in_advance", goods="new"), 3),
            Ending("buy_out"),
            "cannot be bought",
        ),
        (phone(None), Ending("early_buy_out", date(2027, 1, 1)), "no early buyout"),
        (phone(None), Ending("return", renewed_periods=1), "no renewal"),
        (phone("credited"), Ending("return", deposit="credited"), "there is no buyout to credit"),
        (phone(None), Ending("return", date(2027, 1, 1)), "when the minimum term is over"),
        (phone(None), Ending("return", date(2028, 1, 1)), "when the term ends"),
        (
            phone("returned", EarlyBuyout("price_less_paid")),
            Ending("early_buy_out", date(2027, 1, 1), deposit="lost"),
            "takes it off",
        ),
    ],
)
def test_paths_that_a_lease_does_not_have_are_refused(plan: Plan, ending: Ending, found: str) -> None:
    with pytest.raises(TermsError, match=found):
        build_lease(plan, 699_900, "CNY", START, ending)


def test_what_no_lease_of_ours_may_say_is_a_trap_of_its_own() -> None:
    fair = Lease(rent=Rent(1), paid="in_advance", goods="new", renewal=Renewal(Decimal("0.8")))
    assert list(traps_of(fair)) == []
    trap = Lease(
        rent=Rent(1),
        paid="in_advance",
        goods="new",
        renewal=Renewal(Decimal("0.8"), consent="silent"),
        overdue="becomes_sale",
    )
    assert [problem.place for problem in traps_of(trap)] == ["renewal.consent", "overdue"]


# --- pledges ------------------------------------------------------------------------------------------------------------


def test_a_pledge_is_paid_once_on_the_day_of_success() -> None:
    plan = Plan("desk", "desk", "card", "pledge", 1, Pledge(success_on=date(2027, 1, 31), hold_days=90))
    schedule = build_schedule(plan, 59_900, "CNY", START)
    assert paid(schedule) == [("payment", "2027-01-31", 59_900)]
    cost = cost_of(schedule, plan)
    assert (cost.fee_minor, cost.simple_e12) == (0, 0)
    # 31 January is 69 days after 23 November.
    with pytest.raises(TermsError, match="at most 60 days before"):
        build_schedule(
            Plan("desk", "desk", "card", "pledge", 1, Pledge(success_on=date(2027, 1, 31), hold_days=60)),
            59_900,
            "CNY",
            START,
        )
    with pytest.raises(TermsError, match="when the campaign ends"):
        build_schedule(plan, 59_900, "CNY", date(2027, 2, 1))


# --- any lease ----------------------------------------------------------------------------------------------------------


formulas: st.SearchStrategy[EarlyFormula] = st.sampled_from(["maturity_plus_unpaid_rent", "price_less_paid"])
deposits = st.builds(
    Deposit,
    amount_minor=st.integers(1, 2_000_000),
    at_end=st.sampled_from(["credited", "returned"]),
    form=st.sampled_from(["cash", "frozen"]),
    release_days=st.integers(0, 40),
    inspection_days=st.integers(0, 40),
    waivable=st.just(True),
)
buyouts = st.builds(
    Buyout, amount_minor=st.integers(0, 2_000_000), early=st.none() | st.builds(EarlyBuyout, formulas)
)


@st.composite
def leases(draw: st.DrawFn) -> tuple[Plan, int, date]:
    terms = Lease(
        rent=Rent(draw(st.integers(1, 300_000))),
        paid=draw(st.sampled_from(["in_advance", "in_arrears"])),
        goods="new",
        deposit=draw(st.none() | deposits),
        buyout=draw(buyouts),
        renewal=Renewal(Decimal(draw(st.integers(1, 30))) / 10),
        minimum_periods=draw(st.integers(1, 3)),
        return_shipping_minor=draw(st.integers(0, 9_000)),
    )
    unit, every = draw(
        st.sampled_from([("day", 1), ("week", 2), ("half_month", 1), ("month", 1), ("month", 12)])
    )
    plan = leased(terms, draw(st.integers(3, 36)), unit, every)
    return plan, draw(st.integers(100, 3_000_000)), draw(st.dates(date(2020, 1, 1), date(2040, 12, 31)))


def endings(draw: st.DrawFn, plan: Plan, start_on: date) -> Ending:
    terms = plan.pricing
    assert isinstance(terms, Lease)
    assert terms.buyout is not None
    kinds = ["return", "buy_out", "renew"]
    if terms.buyout.early is not None:
        kinds.append("early")
    kind = draw(st.sampled_from(kinds))
    if kind == "early":
        matures_on = figures(build_schedule(plan, 100_000, "CNY", start_on)).ends_on
        day = draw(st.integers(0, (matures_on - start_on).days))
        return Ending("early_buy_out", start_on + timedelta(days=day))
    if kind == "renew":
        return Ending(draw(st.sampled_from(["return", "buy_out"])), renewed_periods=draw(st.integers(1, 12)))
    lost = None
    if terms.deposit is not None and terms.buyout.early is None:
        lost = draw(st.sampled_from([None, "lost"]))
    return Ending(kind, deposit=lost)  # type: ignore[arg-type]


@st.composite
def ended(draw: st.DrawFn) -> tuple[Plan, int, date, Ending]:
    plan, price, start_on = draw(leases())
    return plan, price, start_on, endings(draw, plan, start_on)


@given(ended())
def test_every_deposit_is_accounted_for_and_every_path_adds_up(case: tuple[Plan, int, date, Ending]) -> None:
    plan, price, start_on, ending = case
    schedule = build_lease(plan, price, "CNY", start_on, ending)
    found = figures(schedule)
    assert found.deposit_minor == found.credited_minor + found.returned_minor + found.lost_minor
    assert min(found.credited_minor, found.returned_minor, found.lost_minor, found.buyout_minor) >= 0
    assert found.credited_minor <= found.buyout_minor
    rows = schedule.rows
    assert schedule.total_minor == sum(row.total_minor for row in rows) == found.cost_minor
    assert found.cost_minor == (
        found.rent_total_minor + found.fee_minor + found.buyout_minor + found.lost_minor
    )
    assert schedule.total_minor == schedule.financed_minor + schedule.fee_minor
    assert sum(row.rent_minor for row in rows) == found.rent_total_minor
    assert sum(row.principal_minor for row in rows) == found.buyout_minor
    assert sum(row.fee_minor for row in rows) == found.fee_minor
    assert list(rows) == sorted(rows, key=lambda row: (row.due_on, row.number))
    assert len({row.number for row in rows}) == len(rows)
    assert all(row.total_minor >= 0 for row in rows if row.kind != "deposit_return")


@given(leases())
def test_rent_in_advance_is_due_one_period_before_rent_in_arrears(case: tuple[Plan, int, date]) -> None:
    plan, price, start_on = case
    terms = plan.pricing
    assert isinstance(terms, Lease)

    def due(how: str) -> list[date]:
        other = Lease(rent=terms.rent, paid=how, goods="new")  # type: ignore[arg-type]
        made = build_schedule(leased(other, plan.periods, plan.unit, plan.every), price, "CNY", start_on)
        return [row.due_on for row in made.rows]

    advance, arrears = due("in_advance"), due("in_arrears")
    assert advance[0] == start_on
    assert advance[1:] == arrears[:-1]


@given(leases())
def test_rents_lie_whole_periods_apart_for_the_cost(case: tuple[Plan, int, date]) -> None:
    plan, price, start_on = case
    terms = plan.pricing
    assert isinstance(terms, Lease)
    plain = Lease(rent=terms.rent, paid="in_arrears", goods="new", buyout=Buyout(0))
    plan = leased(plain, plan.periods, plan.unit, plan.every)
    flows = flows_over_time(build_schedule(plan, price, "CNY", start_on), plan)
    assert [at for at, _ in flows] == list(range(plan.periods + 1))


@given(leases(), st.data())
def test_an_early_buyout_by_what_was_paid_never_costs_more_than_the_price_or_the_rents(
    case: tuple[Plan, int, date], data: st.DataObject
) -> None:
    plan, price, start_on = case
    terms = plan.pricing
    assert isinstance(terms, Lease)
    by_paid = Lease(
        rent=terms.rent,
        paid=terms.paid,
        goods="new",
        deposit=terms.deposit,
        buyout=Buyout(early=EarlyBuyout("price_less_paid")),
    )
    plan = leased(by_paid, plan.periods, plan.unit, plan.every)
    last = figures(build_schedule(plan, price, "CNY", start_on)).ends_on
    on = start_on + timedelta(days=data.draw(st.integers(0, (last - start_on).days)))
    schedule = build_lease(plan, price, "CNY", start_on, Ending("early_buy_out", on))
    found = figures(schedule)
    assert found.buyout_minor == max(0, price - found.rent_total_minor)
    assert schedule.total_minor == max(price, found.rent_total_minor)


@given(leases())
def test_buying_costs_what_giving_back_costs_and_the_buyout(case: tuple[Plan, int, date]) -> None:
    plan, price, start_on = case
    terms = plan.pricing
    assert isinstance(terms, Lease)
    own = build_lease(plan, price, "CNY", start_on, Ending("buy_out"))
    back = build_lease(plan, price, "CNY", start_on, Ending("return"))
    assert own.total_minor - figures(own).buyout_minor == back.total_minor - terms.return_shipping_minor
    waived = build_schedule(plan, price, "CNY", start_on, deposit_waived=terms.deposit is not None)
    assert waived.total_minor == own.total_minor
    assert all(row.deposit_minor == 0 for row in waived.rows)

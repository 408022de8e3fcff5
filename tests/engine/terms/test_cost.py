"""Annual cost: right by hand, by 40 digits, and where naive solvers fail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import mpmath
import msgspec
import pytest
import pyxirr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engine.terms.plans import AT_ONCE, LOAN_12, MALL_3, MALL_12, START, Case, cases, wide_cases

from fenqi.calendars import add_months
from fenqi.money import MAX_MINOR
from fenqi.terms.cost import (
    ACT365,
    COMPOUNDED,
    METHODS,
    SIMPLE,
    CashFlow,
    CashFlows,
    Cost,
    CostError,
    DatedFlow,
    DatedFlows,
    annual_cost,
    cost_of,
    counted,
    dated_flows_of,
    flows_of,
    internal_rate,
    max_flat_fee,
    periods_per_year,
    row_times,
)
from fenqi.terms.disclosure import percent
from fenqi.terms.intervals import UnitPeriod, odd_periods
from fenqi.terms.plan import Annuity, DownPayment, FlatFee, Plan, ZeroInterest
from fenqi.terms.rates import MAX_AMOUNT
from fenqi.terms.schedule import build_schedule

Net = Sequence[tuple[int | Fraction, int]]


def cost(plan: Plan, amount_minor: int = 600_000) -> Cost:
    return cost_of(build_schedule(plan, amount_minor, "CNY", START), plan)


def flat(periods: int, total: str) -> Plan:
    return Plan("flat", "flat", "shop", "loan", periods, FlatFee(total_rate=Decimal(total)))


def sides(net: Net) -> tuple[list[CashFlow], list[CashFlow]]:
    advances = [CashFlow(at, -amount) for at, amount in net if amount < 0]
    return advances, [CashFlow(at, amount) for at, amount in net if amount > 0]


def simple_percent(net: Net) -> str:
    advances, payments = sides(net)
    found = annual_cost(SIMPLE, CashFlows(tuple(advances), tuple(payments)))
    assert found.rate_e12 is not None
    return percent(found.rate_e12)


def level(price: int, payment: int, times: int) -> list[tuple[int | Fraction, int]]:
    return [(0, -price), *((month, payment) for month in range(1, times + 1))]


# By hand, and as the market publishes it.


def test_12_times_0_6_percent_of_6000_is_13_03_simple_and_13_84_compounded() -> None:
    found = cost(MALL_12)
    assert found.simple_e12 is not None
    assert found.compounded_e12 is not None
    assert (percent(found.simple_e12), percent(found.compounded_e12)) == ("13.03", "13.84")
    assert (found.fee_minor, found.total_minor) == (43_200, 643_200)
    assert (found.method, found.compounded_method) == (SIMPLE, COMPOUNDED)


def test_two_payments_solve_as_a_quadratic() -> None:
    # 100 now; 60, then 55: 100 v^-2 - 60 v^-1 - 55 = 0, so 1+i = (60 + sqrt(3600 + 22000)) / 200 = 1.1.
    found = internal_rate([CashFlow(0, 100)], [CashFlow(1, 60), CashFlow(2, 55)])
    assert found.periodic is not None
    assert float(found.periodic) == pytest.approx(0.1, rel=1e-15)


def test_an_annuity_costs_its_own_rate() -> None:
    found = cost(LOAN_12, MAX_MINOR // 2)
    assert found.simple_e12 is not None
    assert abs(found.simple_e12 - 72_000_000_000) <= 5


def test_when_a_fee_is_paid_changes_what_it_costs() -> None:
    base = level(600_000, 50_000, 12)
    at_first, at_end = list(base), list(base)
    at_first[1] = (1, 93_200)
    at_end[12] = (12, 93_200)
    up_front = [(0, -600_000 + 43_200), *base[1:]]
    assert [simple_percent(flows) for flows in (at_first, up_front, at_end)] == ["13.86", "14.02", "12.33"]


def test_the_residue_matters_on_ten_yuan_and_hardly_on_five_hundred() -> None:
    first, last = MALL_12, msgspec.structs.replace(MALL_12, residue="last")
    small = [percent(cost(plan, 1_000).simple_e12 or 0) for plan in (last, first)]
    assert small == ["12.99", "13.08"]
    for amount in (50_000, 50_003, 59_999):
        apart = (cost(first, amount).simple_e12 or 0) - (cost(last, amount).simple_e12 or 0)
        assert abs(apart) < 50_000_000  # 0.005 percentage points


def test_a_deferral_without_interest_makes_a_plan_cheaper() -> None:
    found = cost(msgspec.structs.replace(MALL_12, defer_periods=2))
    assert percent(found.simple_e12 or 0) == "9.91"


def test_a_lease_with_deposit_and_buyout() -> None:
    # Price 6,999, deposit 1,000, 12 rents of 499 in advance, buyout 1,600: the first rent and the deposit lower the advance.
    rents = [(month, 49_900) for month in range(1, 12)]
    credited = [(0, -550_000), *rents, (12, 60_000)]
    unseen = [(0, -650_000), *rents, (12, 160_000)]
    lost = [(0, -550_000), *rents, (12, 160_000)]
    assert [simple_percent(flows) for flows in (credited, unseen, lost)] == ["18.94", "14.40", "43.66"]


def test_what_is_charged_a_month_is_what_it_costs_where_it_is_charged_on_what_is_owed() -> None:
    # Interest alone at 0.6 % a month; equal principal with 1 % a month of what is still owed: "flat x 1.8" is no rule.
    interest_only = [(0, -600_000), *((month, 3_600) for month in range(1, 12)), (12, 603_600)]
    equal_principal = [(0, -600_000), *((month, 50_000 + (13 - month) * 500) for month in range(1, 13))]
    assert [simple_percent(flows) for flows in (interest_only, equal_principal)] == ["7.20", "12.00"]


def test_every_residue_rounded_up_overcharges() -> None:
    # 10.00 in 12 with 0.72: 0.84 + 0.06 each month is 10.80, 8 fen more than 10.72.
    assert 12 * (84 + 6) - 1_072 == 8
    assert simple_percent(level(1_000, 90, 12)) == "14.45"


@pytest.mark.parametrize(("days", "effective"), [(10, "15.6"), (30, "13.9"), (50, "12.5")])
def test_the_days_to_the_first_instalment_matter_to_the_effective_rate_alone(
    days: int, effective: str
) -> None:
    first = START + timedelta(days=days)
    payments = tuple(DatedFlow(add_months(first, number), 53_600) for number in range(12))
    found = annual_cost(ACT365, DatedFlows((DatedFlow(START, 600_000),), payments))
    assert percent(found.rate_e12 or 0, 1) == effective
    assert simple_percent(level(600_000, 53_600, 12)) == "13.03"


def test_one_fee_of_1_5_percent_for_30_days_has_three_names() -> None:
    by_month = CashFlows((CashFlow(0, 10_000),), (CashFlow(1, 10_150),))
    by_days = CashFlows(by_month.advances, by_month.payments, Fraction(365, 30))
    found = [annual_cost(SIMPLE, by_month), annual_cost(SIMPLE, by_days), annual_cost(COMPOUNDED, by_days)]
    assert [percent(cost.rate_e12 or 0) for cost in found] == ["18.00", "18.25", "19.86"]


def test_the_published_ladder_of_0_6_percent_a_month() -> None:
    # Halved in 50 decimals from 1 = (1 + 0.006 n)/n · (v + ... + v^n); the page on true cost has them.
    for periods, shown in (
        (3, "10.77"),
        (6, "12.24"),
        (9, "12.78"),
        (12, "13.03"),
        (24, "13.27"),
        (36, "13.17"),
    ):
        assert percent(cost(flat(periods, str(Decimal("0.006") * periods)), 10**12).simple_e12 or 0) == shown


def test_weeks_and_days_have_their_own_year() -> None:
    weekly = msgspec.structs.replace(flat(4, "0.02"), unit="week", every=2)
    found = cost(weekly)
    advances, payments = sides(level(600_000, 153_000, 4))
    assert (
        found.simple_e12
        == annual_cost(SIMPLE, CashFlows(tuple(advances), tuple(payments), Fraction(365, 14))).rate_e12
    )
    once = msgspec.structs.replace(flat(1, "0.015"), unit="day", every=30)
    assert percent(cost(once).simple_e12 or 0) == "18.25"
    assert percent(cost(once).compounded_e12 or 0) == "19.86"
    assert periods_per_year("month", 3) == 4


def test_the_largest_fee_under_a_ceiling_reaches_it_exactly() -> None:
    for periods in (3, 6, 12, 24, 36):
        fee = max_flat_fee(Fraction(24, 100), periods)
        below = Decimal(math.floor(fee * 10**15)).scaleb(-15)
        found = cost(flat(periods, str(below)), MAX_MINOR // 4)
        assert found.simple_e12 is not None
        assert abs(found.simple_e12 - 240_000_000_000) <= 1000
    assert max_flat_fee(Fraction(0), 12) == 0
    assert max_flat_fee(Fraction(12, 100), 1) == Fraction(1, 100)
    with pytest.raises(CostError, match="cap"):
        max_flat_fee(Fraction(-1), 12)


# Zero is decided in integers; what is charged is never shown as free.


@pytest.mark.parametrize(
    "plan", [MALL_3, AT_ONCE, flat(12, "0"), Plan("a", "a", "a", "loan", 7, Annuity(Decimal(0)))]
)
@pytest.mark.parametrize("amount", [1, 99_999, 100_000, MAX_MINOR])
def test_nothing_charged_costs_exactly_nothing(plan: Plan, amount: int) -> None:
    found = cost(plan, amount)
    assert (found.fee_minor, found.simple_e12, found.compounded_e12) == (0, 0, 0)
    assert type(found.simple_e12) is int
    assert found.undefined is None


@given(cases())
def test_cost_is_zero_exactly_where_the_fee_is(case: Case) -> None:
    schedule = build_schedule(case.plan, case.amount_minor, "CNY", case.start_on)
    found = cost_of(schedule, case.plan)
    assert found.fee_minor == schedule.fee_minor
    assert (found.simple_e12 == 0) is (schedule.fee_minor == 0)
    assert found.compounded_e12 is None or (found.compounded_e12 == 0) is (schedule.fee_minor == 0)
    free = msgspec.structs.replace(case.plan, pricing=ZeroInterest("shop"))
    assert cost_of(build_schedule(free, case.amount_minor, "CNY", case.start_on), free).simple_e12 == 0


def test_one_fen_on_ten_trillion_is_not_free() -> None:
    found = annual_cost(SIMPLE, CashFlows((CashFlow(0, MAX_MINOR),), (CashFlow(360, MAX_MINOR + 1),)))
    assert found.rate_e12 == 1


# The checkout's fast way and the general way are one.


@given(st.one_of(cases(), wide_cases()))
@settings(max_examples=300, deadline=None)
def test_the_schedules_cost_is_that_of_its_cash_flows(case: Case) -> None:
    schedule = build_schedule(case.plan, case.amount_minor, "CNY", case.start_on)
    found, flows = cost_of(schedule, case.plan), flows_of(schedule, case.plan)
    for method, quick in ((SIMPLE, found.simple_e12), (COMPOUNDED, found.compounded_e12)):
        general = annual_cost(method, flows).rate_e12
        if quick is None or general is None:
            assert quick is general
        else:
            # Compounding multiplies what the last bit of the rate is worth.
            assert abs(quick - general) <= 2 + abs(quick) * 1e-10


@given(wide_cases())
@settings(max_examples=200, deadline=None)
def test_a_rows_period_is_the_time_that_its_date_tells(case: Case) -> None:
    """Whether a row's time comes from its number or from its date: where no holiday moves anything, it is one."""
    plan = msgspec.structs.replace(case.plan, calendar=None, holiday="none")
    schedule = build_schedule(plan, case.amount_minor, "CNY", case.start_on)
    unit = UnitPeriod(plan.unit, plan.every)
    told = [odd_periods(case.start_on, row.due_on, unit) for row in schedule.rows]
    assert list(row_times(schedule, plan)) == told
    dated = dated_flows_of(schedule)
    assert (
        sum(flow.amount_minor for flow in dated.payments)
        == schedule.total_minor - schedule.down_payment_minor
    )
    assert counted(SIMPLE, dated, unit).payments == flows_of(schedule, plan).payments


def test_a_down_payment_does_not_change_what_the_rest_costs() -> None:
    with_down = msgspec.structs.replace(MALL_12, down_payment=DownPayment(amount_minor=600_000))
    assert cost(with_down, 1_200_000).simple_e12 == cost(MALL_12).simple_e12


# Against 40 digits.


def has_12_digits(net: Net) -> bool:
    """Whether the true rate lies within 1e-12 of ours: the balance, in 40 digits and more, changes sign there."""
    found = internal_rate(*sides(net))
    assert found.undefined is None
    assert found.periodic is not None
    with mpmath.workdps(60):
        rate = mpmath.mpf(found.periodic.numerator) / found.periodic.denominator

        def balance(rate: mpmath.mpf) -> mpmath.mpf:
            x = mpmath.log1p(rate)
            return mpmath.fsum(amount * mpmath.exp(-x * at.numerator / at.denominator) for at, amount in net)

        width = abs(rate) * mpmath.mpf(10) ** -12
        # Below -100 % there is nothing; close above it the last payment outweighs all.
        return bool((rate - width <= -1 or balance(rate - width) > 0) and balance(rate + width) < 0)


amounts = st.one_of(st.integers(1, 1000), st.integers(1, 10**7), st.integers(1, MAX_MINOR))


@st.composite
def ordinary(draw: st.DrawFn) -> Net:
    """One advance, then 1 to 60 payments that come to between a twentieth and twenty times of it."""
    payments = draw(st.lists(amounts, min_size=1, max_size=60))
    first = draw(st.integers(1, 6))
    advance = max(1, int(sum(payments) * draw(st.fractions(Fraction(1, 20), 20))))
    assume(advance != sum(payments))
    return [(0, -advance), *((first + number, paid) for number, paid in enumerate(payments))]


@st.composite
def near_zero(draw: st.DrawFn) -> Net:
    """A charge between a thousandth and a trillionth of what is advanced."""
    payments = draw(st.lists(st.integers(10**3, MAX_MINOR), min_size=1, max_size=60))
    total = sum(payments)
    charge = max(1, total // 10 ** draw(st.integers(3, 15))) * draw(st.sampled_from([1, -1]))
    return [(0, charge - total), *enumerate(payments, 1)]


@st.composite
def several_advances(draw: st.DrawFn) -> Net:
    """Advances in parts, then payments, at fractions of a period."""
    lent = draw(st.lists(amounts, min_size=1, max_size=6))
    paid = draw(st.lists(amounts, min_size=1, max_size=24))
    assume(sum(lent) != sum(paid))
    gaps = draw(
        st.lists(
            st.fractions(Fraction(1, 31), 12, max_denominator=366),
            min_size=len(lent) + len(paid),
            max_size=len(lent) + len(paid),
        )
    )
    at, flows = Fraction(0), []
    for gap, amount in zip(gaps, [*(-amount for amount in lent), *paid], strict=True):
        flows.append((at, amount))
        at += gap
    return flows


@given(ordinary())
@settings(max_examples=300, deadline=None)
def test_an_ordinary_rate_has_12_digits(net: Net) -> None:
    assert has_12_digits(net)


@given(near_zero())
@settings(max_examples=300, deadline=None)
def test_a_rate_near_zero_has_12_digits(net: Net) -> None:
    assert has_12_digits(net)


@given(several_advances())
@settings(max_examples=200, deadline=None)
def test_a_rate_of_several_advances_has_12_digits(net: Net) -> None:
    assume(internal_rate(*sides(net)).undefined != "beyond_measure")
    assert has_12_digits(net)


@pytest.mark.parametrize(
    "net",
    [
        [(0, -1), (Fraction(1, 31), 631), (Fraction(2, 31), 1)],
        [(0, -1), (1, 10**15)],
        [(0, -(10**15)), (100_000, 1)],
        [(0, -(10**15)), (1, 1), (360, 10**14)],
        [(0, -1), (50_000, -1), (100_000, 10**24)],
        [(0, -(10**24)), (99_999, -1), (100_000, 1)],
        [(0, -(10**15)), *((month, 10**15 // 360) for month in range(1, 361)), (361, 281)],
    ],
)
def test_extreme_flows_have_12_digits_too(net: Net) -> None:
    assert has_12_digits(net)


@given(st.one_of(ordinary(), near_zero()), st.integers(2, 10**9))
@settings(deadline=None)
def test_scale_plays_no_part(net: Net, factor: int) -> None:
    assume(all(abs(amount) * factor <= MAX_AMOUNT for _, amount in net))  # beyond it both are refused
    small = internal_rate(*sides(net)).periodic
    large = internal_rate(*sides([(at, amount * factor) for at, amount in net])).periodic
    assert small is not None
    assert large is not None
    assert abs(small - large) <= abs(small) * Fraction(1, 10**13)


@given(ordinary())
@settings(max_examples=200, deadline=None)
def test_pyxirr_agrees_where_it_answers(net: Net) -> None:
    first = int(net[1][0])
    series = [float(net[0][1]), *[0.0] * (first - 1), *(float(amount) for _, amount in net[1:])]
    theirs = pyxirr.irr([amount / -net[0][1] for amount in series])  # it is not scale-invariant
    ours = internal_rate(*sides(net)).periodic
    assert ours is not None
    assume(theirs is not None and abs(ours) > Fraction(1, 10**4))
    assert float(ours) == pytest.approx(theirs, rel=1e-6)


# Several roots, none, and what is no question.


def test_two_rates_are_no_rate() -> None:
    found = internal_rate([CashFlow(0, 100), CashFlow(2, 132)], [CashFlow(1, 230)])
    assert found.periodic is None
    assert found.undefined == "ambiguous"
    assert [round(float(root), 12) for root in found.roots] == [0.1, 0.2]
    assert (
        annual_cost(SIMPLE, CashFlows((CashFlow(0, 100), CashFlow(2, 132)), (CashFlow(1, 230),))).rate_e12
        is None
    )


def test_of_several_rates_the_only_one_that_is_not_negative_counts() -> None:
    # (v - 1/0.5)(v - 1/1.1) up to scale: rates of -50 % and 10 %.
    found = internal_rate([CashFlow(0, 100), CashFlow(2, 55)], [CashFlow(1, 160)])
    assert found.periodic is not None
    assert float(found.periodic) == pytest.approx(0.1, rel=1e-12)
    assert [round(float(root), 12) for root in found.roots] == [-0.5, 0.1]


def test_a_rate_that_the_curve_only_touches_is_found() -> None:
    found = internal_rate([CashFlow(0, 10_000), CashFlow(2, 12_100)], [CashFlow(1, 22_000)])
    assert [round(float(root), 9) for root in found.roots] == [0.1]


def test_zero_among_several_roots_is_exact() -> None:
    found = internal_rate([CashFlow(0, 100), CashFlow(2, 110)], [CashFlow(1, 210)])
    assert found.roots[0] == 0
    assert float(found.roots[1]) == pytest.approx(0.1, rel=1e-12)


def test_flows_that_no_rate_balances_have_none() -> None:
    found = internal_rate([CashFlow(0, 100), CashFlow(2, 100)], [CashFlow(1, 150)])
    assert (found.periodic, found.undefined, found.roots) == (None, "no_root", ())


@given(st.lists(st.integers(-40, 80), min_size=2, max_size=4, unique=True), st.integers(1, 50))
def test_every_root_is_found(hundredths: list[int], scale: int) -> None:
    """Flows made from their roots: the product of (1 - (1+i) v), in integers."""
    flows = [-scale]
    for root in hundredths:
        flows = [100 * a - (100 + root) * b for a, b in zip([*flows, 0], [0, *flows], strict=True)]
    assume(len({amount > 0 for amount in flows if amount}) == 2)
    wanted = sorted(hundredths)
    assume(all(b - a >= 5 for a, b in pairwise(wanted)))
    found = internal_rate(*sides([(at, amount) for at, amount in enumerate(flows) if amount]))
    assert [round(float(root) * 100, 6) for root in found.roots] == wanted


@pytest.mark.parametrize(
    ("low", "high"),
    [("0.1", "0.2"), ("-0.5", "4"), ("0.1", "0.1001"), ("0.0300", "0.03001"), ("0", "0.05")],
)
def test_every_root_is_found_with_simple_interest_in_parts_of_periods(low: str, high: str) -> None:
    # -A + B/((1+i/2)(1+i)) - C/(1+i)^3 with B and C solved so that both rates balance it, in integers.
    rates = Fraction(low), Fraction(high)
    middle = [1 / ((1 + rate / 2) * (1 + rate)) for rate in rates]
    end = [1 / (1 + rate) ** 3 for rate in rates]
    determinant = end[0] * middle[1] - end[1] * middle[0]
    paid, back = (end[0] - end[1]) / determinant, (middle[0] - middle[1]) / determinant
    scale = min(paid.denominator * back.denominator, 10**22)
    advances = [CashFlow(0, scale), CashFlow(3, round(back * scale))]
    payments = [CashFlow(Fraction(3, 2), round(paid * scale))]
    found = internal_rate(advances, payments, odd="simple")
    assert [float(root) for root in found.roots] == pytest.approx([float(low), float(high)], abs=1e-9)
    assert (found.roots[0] == 0) is (low == "0")
    assert found.undefined == (None if low == "-0.5" else "ambiguous")
    compound = internal_rate(advances, payments)
    assert [float(root) for root in compound.roots] != pytest.approx([float(low), float(high)], abs=1e-9)


def test_the_only_rate_may_lie_beyond_the_range_of_roots() -> None:
    found = internal_rate([CashFlow(0, 1)], [CashFlow(1, 20)])
    assert found.periodic is not None
    assert float(found.periodic) == pytest.approx(19, rel=1e-15)
    assert found.roots == ()


def test_one_sided_flows_have_no_rate_and_say_so() -> None:
    for advances, payments in (([CashFlow(0, 100)], []), ([], [CashFlow(1, 100)])):
        found = internal_rate(advances, payments)
        assert (found.periodic, found.undefined) == (None, "one_signed")
    shown = annual_cost(COMPOUNDED, CashFlows((CashFlow(0, 100),), ()))
    assert (shown.rate_e12, shown.undefined) == (None, "one_signed")


def test_a_rate_beyond_measure_is_undefined_not_an_error() -> None:
    flows = CashFlows((CashFlow(0, 1),), (CashFlow(1, 10**9),), 365)
    assert annual_cost(COMPOUNDED, flows).undefined == "beyond_measure"
    assert annual_cost(SIMPLE, flows).rate_e12 is not None
    at_once = internal_rate([CashFlow(0, 1)], [CashFlow(Fraction(1, 1000), 10**9)])
    assert (at_once.periodic, at_once.undefined) == (None, "beyond_measure")
    nearly_all_lost = CashFlows((CashFlow(0, 10**20),), (CashFlow(Fraction(1, 31), 1),))
    assert annual_cost("periodic_irr_compounded@1", nearly_all_lost).rate_e12 == -(10**12)
    # With simple interest 1/31 of a period would have to lose 31 times the advance.
    assert annual_cost(SIMPLE, nearly_all_lost).undefined == "no_root"
    half_lost = CashFlows((CashFlow(0, 100),), (CashFlow(Fraction(9, 10), 50),))
    # 50 = 100 (1 + 0.9 i): i = -5/9, twelve times it -20/3.
    assert annual_cost(SIMPLE, half_lost).rate_e12 == round(Fraction(-20, 3) * 10**12)
    daily = Plan("p", "p", "p", "loan", 1, FlatFee(total_rate=Decimal(100)), unit="day")
    assert cost(daily).compounded_e12 is None


@pytest.mark.parametrize(
    ("advances", "payments", "place"),
    [
        ([], [], "flows"),
        ([CashFlow(1, 100)], [CashFlow(1, 100)], "flows"),
        ([CashFlow(1, 100)], [CashFlow(0, 50), CashFlow(2, 60)], "payments"),
        ([CashFlow(0, 0)], [CashFlow(1, 5)], "advances[0].amount_minor"),
        ([CashFlow(0, -5)], [CashFlow(1, 5)], "advances[0].amount_minor"),
        ([CashFlow(0, 10**25)], [CashFlow(1, 5)], "advances[0].amount_minor"),
        ([CashFlow(0, True)], [CashFlow(1, 5)], "advances[0].amount_minor"),
        ([CashFlow(0, 5)], [CashFlow(-1, 5)], "payments[0].at"),
        ([CashFlow(0, 5)], [CashFlow(10**6, 5)], "payments[0].at"),
        ([CashFlow(0, 5)], [CashFlow(0.5, 5)], "payments[0].at"),  # type: ignore[arg-type]
        ([CashFlow(0, 5)], [CashFlow(k, 1) for k in range(1, 10_001)], "flows"),
        ([CashFlow(2 * k, 5) for k in range(60)], [CashFlow(2 * k + 1, 6) for k in range(60)], "flows"),
    ],
)
def test_flows_of_which_nothing_can_be_asked_are_refused(
    advances: list[CashFlow], payments: list[CashFlow], place: str
) -> None:
    with pytest.raises(CostError) as refused:
        internal_rate(advances, payments)
    assert refused.value.problem.place == place


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    with pytest.raises(CostError, match="cn_irr_x12_simple@1") as refused:
        annual_cost("irr", CashFlows((CashFlow(0, 1),), (CashFlow(1, 1),)))
    assert refused.value.problem.place == "method"
    assert all(name == method.id and name.rpartition("@")[2].isdigit() for name, method in METHODS.items())


def test_a_cost_keeps_whose_figures_they_are() -> None:
    plan = msgspec.structs.replace(MALL_12, authority="funder", indicative_basis=None)
    schedule = build_schedule(MALL_12, 600_000, "CNY", date(2026, 11, 23))
    assert cost_of(schedule, plan).authority == "funder"

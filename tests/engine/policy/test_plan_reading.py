"""Plans and calendars as people write them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from fenqi.business_days import SHIPPED
from fenqi.calendars import is_business_day
from fenqi.policy.compile import compile_policy
from fenqi.policy.document import read_policy
from fenqi.policy.snapshot import Snapshot, decode, digest, encode
from fenqi.terms.plan import (
    PROFILES,
    Annuity,
    Balloon,
    Bearer,
    Conventions,
    DownPayment,
    EqualPrincipal,
    Fee,
    FlatFee,
    FlatInterest,
    InterestOnly,
    Plan,
)
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

SHOP = """\
format: fenqi/policy@1
shop: {id: mall, name: {zh-CN: 商城, en: Mall}, time_zone: Asia/Shanghai, currency: CNY}
funders: [{id: mall, name: {zh-CN: 商城, en: Mall}, kind: shop}]
families: [{id: mall, funder: mall, name: {zh-CN: 分期, en: Instalments}, legal_form: loan}]
"""
HEAD = "{id: p, family: mall, periods: 12, pricing: "
YEARLY = HEAD + "{kind: annuity, annual_rate: 15%}"


def read(plan: str, more: str = "") -> Snapshot:
    result = read_policy({"shop.yaml": f"{SHOP}{more}plans:\n- {plan}\n"})
    assert result.problems == ()
    assert result.snapshot is not None
    return result.snapshot


def plan_of(plan: str, more: str = "") -> Plan:
    return read(plan, more).plans[0]


def problem(plan: str, more: str = "") -> tuple[str, str]:
    """The one problem of a policy, and what stands where it points."""
    text = f"{SHOP}{more}plans:\n- {plan}\n"
    result = read_policy({"shop.yaml": text})
    assert result.snapshot is None
    (found,) = result.problems
    said = f"{found.message}; {found.suggestion}" if found.suggestion else found.message
    return text.splitlines()[found.line - 1][found.column - 1 :], said


@pytest.mark.parametrize(
    ("written", "pricing"),
    [
        (
            "{kind: flat_fee, rate_per_period: 0.6%, minimum: ¥5, timing: first_bill}",
            FlatFee(Decimal("0.006"), None, 500, "first_bill"),
        ),
        (
            "{kind: annuity, annual_rate: 15%, balloon: {share: 30%}}",
            Annuity(Decimal("0.15"), Balloon(Decimal("0.3"))),
        ),
        (
            "{kind: equal_principal, annual_rate: 7.2%, balloon: {amount: ¥1000}}",
            EqualPrincipal(Decimal("0.072"), Balloon(None, 100_000)),
        ),
        ("{kind: interest_only, annual_rate: 7.2%}", InterestOnly(Decimal("0.072"))),
        ("{kind: flat_interest, annual_rate: 7.2%}", FlatInterest(Decimal("0.072"))),
    ],
)
def test_every_pricing_reads_as_what_it_says(written: str, pricing: object) -> None:
    assert plan_of(HEAD + written + "}").pricing == pricing


def test_every_axis_reads_as_what_it_says() -> None:
    plan = plan_of(
        """id: p
  family: mall
  periods: 24
  pricing: {kind: annuity, annual_rate: 15%}
  unit: half_month
  every: 2
  down_payment: {amount: ¥500}
  defer_periods: 2
  deferral_interest: capitalised
  due_day: 31
  min_first_days: 20
  odd_first: by_days
  grace_principal: 3
  grace_interest: 2
  interest_free_periods: 1
  holiday: modified_following
  calendar: cn
  residue: spread
  bearers: {shop: 30%, customer: 50%, brand: 20%}
  fees:
  - {code: guarantee, name: {zh-CN: 担保费, en: Guarantee}, payee: g, payee_name: {zh-CN: 担保, en: G}, total_rate: 2%, minimum: ¥10, timing: up_front}
  - {code: stamp, name: {zh-CN: 工本费, en: Stamp}, payee: mall, amount: ¥1}
  profile: fineract-progressive
  day_count: act/365
  rounding: half_up
  instalment_multiple: ¥1
  smoothing: no
"""
    )
    assert (plan.unit, plan.every, plan.periods, plan.residue) == ("half_month", 2, 24, "spread")
    assert plan.down_payment == DownPayment(amount_minor=50_000)
    assert (plan.defer_periods, plan.deferral_interest) == (2, "capitalised")
    assert (plan.due_day, plan.min_first_days, plan.odd_first) == (31, 20, "by_days")
    assert (plan.grace_principal, plan.grace_interest, plan.interest_free_periods) == (3, 2, 1)
    assert (plan.holiday, plan.calendar) == ("modified_following", "cn")
    assert set(plan.bearers) == {
        Bearer("shop", Decimal("0.3")),
        Bearer("customer", Decimal("0.5")),
        Bearer("brand", Decimal("0.2")),
    }
    assert plan.fees == (
        Fee(
            code="guarantee",
            name=Text("担保费", "Guarantee"),
            payee="g",
            payee_name=Text("担保", "G"),
            total_rate=Decimal("0.02"),
            minimum_minor=1_000,
            timing="up_front",
        ),
        Fee(code="stamp", name=Text("工本费", "Stamp"), payee="mall", amount_minor=100),
    )
    assert plan.conventions == Conventions(
        profile="fineract-progressive",
        day_count="act/365",
        rounding="half_up",
        digits=19,
        instalment_multiple_minor=100,
    )


def test_a_profile_is_taken_as_it_is() -> None:
    assert plan_of(YEARLY + ", profile: fineract-cumulative}").conventions == PROFILES["fineract-cumulative"]
    assert plan_of(YEARLY + "}").conventions == Conventions()


@pytest.mark.parametrize(
    ("plan", "at", "said"),
    [
        (YEARLY + ", profile: fineract}", "fineract}", "profile is fineract: not one of fenqi, wallet-fee-split, fineract-progressive, fineract-cumulative"),
        (YEARLY + ", day_count: act/356}", "act/356", "day_count is act/356: not one of period, 30/360, 30/364, 30/365, 30/act, act/360, act/364, act/365, act/act; did you mean act/365?"),
        (YEARLY + ", due_day: 32}", "32}", "due_day is 32: expected 1 to 31 (31 is a month's last day)"),
        (YEARLY + ", due_day: 10, unit: week}", "10,", "due_day is 10: expected none, since periods are weeks; use it with months"),
        (YEARLY + ", holiday: following}", "{id: p", "calendar is missing: expected the calendar of the business days; name one, such as cn"),
        (YEARLY + ", holiday: following, calendar: cm}", "cm}", "calendar is cm: there is no such calendar; calendars are cn"),
        (YEARLY + ", bearers: {shop: 50%, customer: 49%}}", "{shop", "bearers is 0.49 + 0.5: expected shares that come to exactly 1; write who bears the rest, the customer too"),
        (YEARLY + ", bearers: {state: 100%}}", "state", "state is not a key of bearers; keys are customer, shop, brand, funder"),
        (YEARLY + ", fees: [{code: a, name: {zh-CN: 费, en: Fee}, payee: x, amount: ¥1, minimum: ¥2}]}", "¥2", "fees[0].minimum_minor is 200: expected 0, since the fee is an amount"),
        (YEARLY + ", fees: [{code: a, payee: x}]}", "{code", "a fee has no name; write name:"),
        (YEARLY + ", grace_principal: 12}", "12}", "grace_principal is 12: expected 0 to 11, of 12 periods"),
        (HEAD + "{kind: annuity, annual_rate: 15%, balloon: {share: 100%}}}", "100%", "pricing.balloon.share is 1: expected more than 0 and less than 1, with at most 18 digits and decimals"),
        (HEAD + "{kind: interest_only, annual_rate: 15%, balloon: {share: 10%}}}", "{share", "balloon has no meaning in interest_only pricing"),
        (HEAD + "{kind: flat_interest}}", "{kind", "pricing has no annual_rate; write annual_rate: 15%"),
        (HEAD + "{kind: flat_fee, total_rate: 5%, timing: monthly}}", "monthly", "timing is monthly: not one of per_period, first_bill, up_front, at_end"),
        (HEAD + "{kind: flat_fee, total_rate: 5%}, instalment_multiple: 10}", "10}", "instalment_multiple is 10: an amount needs its currency; write 10 CNY"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(plan: str, at: str, said: str) -> None:
    there, told = problem(plan)
    assert told == said
    assert there.startswith(at)


@pytest.mark.parametrize(
    ("terms", "at", "said"),
    [
        ("fee_payee: wallet", "wallet", "fee_payee is wallet: expected mall, in whose own book the contract is kept: a fee for others is not booked; let the other party charge it itself"),
        ("bearers: {customer: 50%, brand: 50%}", "{customer", "bearers[1].party is brand: expected customer, shop or funder in an own book: what a brand owes for it is not booked; give its share to the shop"),
        ("fees: [{code: a, name: {zh-CN: 费, en: Fee}, payee: guarantor, amount: ¥1}]", "guarantor", "fees[0].payee is guarantor: expected mall, in whose own book the contract is kept: a fee for others is not booked; let the other party charge it itself"),
    ],
)  # fmt: skip
def test_what_the_shops_own_book_cannot_keep_is_told_before_anything_is_sold(
    terms: str, at: str, said: str
) -> None:
    plan = f"{YEARLY}, {terms}}}"
    assert plan_of(plan)
    text = f"{SHOP}plans:\n- {plan}\n".replace("kind: shop}", "kind: shop, own_book: yes}")
    (found,) = read_policy({"shop.yaml": text}).problems
    assert f"{found.message}; {found.suggestion}".removesuffix("; ") == said
    assert text.splitlines()[found.line - 1][found.column - 1 :].startswith(at)


CALENDAR = """\
calendars:
- id: cn
  version: "2027"
  extends: cn
  from: 2027-01-01
  confirmed_through: 2027-12-31
  holidays: [2027-01-01..2027-01-03, 2027-10-01]
  workdays: [2027-10-09]
"""
MOVES = HEAD + "{kind: zero_interest, borne_by: shop}, holiday: following, calendar: cn}"


def test_a_new_years_calendar_goes_on_where_the_shipped_one_ends() -> None:
    (calendar,) = read(MOVES, CALENDAR).calendars
    assert calendar.name == "cn@2027"
    days = {
        "2026-10-01": False,  # a holiday of the shipped year
        "2026-10-10": True,  # a Saturday that is worked
        "2027-01-03": False,
        "2027-10-01": False,
        "2027-10-04": True,
        "2027-10-09": True,
        "2027-10-10": False,
    }
    assert {on: is_business_day(date.fromisoformat(on), calendar) for on in days} == days


def test_a_policy_takes_its_calendar_in_by_value_and_only_if_a_plan_names_it() -> None:
    assert read(MOVES).calendars == (SHIPPED["cn"],)
    assert read(YEARLY + "}").calendars == ()
    snapshot = read(MOVES, CALENDAR)
    again = decode(encode(snapshot))
    assert again == snapshot
    assert digest(again) == digest(snapshot)
    policy = compile_policy(again)
    bill = build_schedule(policy.plans[0], 120_000, "CNY", date(2026, 9, 1), policy.calendars)
    assert (bill.rows[0].due_on, bill.calendar) == (date(2026, 10, 8), "cn@2027")


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("from: 2027-01-01", "from: 2027-02-01", "2027-02-01", "from is 2027-02-01: cn@2026 is known to 2026-12-31, so that days would be missing between the two; begin at 2027-01-01 or before"),
        ("[2027-10-09]", "[2027-10-08]", "[2027-10-08]", "workdays is 2027-10-08: expected a day of the weekend: any other is worked anyway"),
        ("[2027-10-09]", "[2028-01-01]", "[2028-01-01]", "workdays is 2028-01-01: expected a day from 2027-01-01 to 2027-12-31; confirm the year that it lies in"),
        ("2027-10-01]", "2027-10-01..2027-09-01]", "2027-10-01..", "holidays has 2027-10-01..2027-09-01: not a stretch of days within a year"),
        ("2027-10-01]", "10-01]", "10-01]", "holidays has 10-01: not a date; write 2027-01-01 or 2027-02-05..2027-02-11"),
        ("extends: cn", "extends: de", "de", "extends is de: not one of cn"),
        ("from: 2027-01-01\n", "from: soon\n", "soon", "from is soon: not a date; write it like 2026-11-25"),
        ('  version: "2027"\n', "", "id: cn", "a calendar has no version; write version:"),
    ],
)  # fmt: skip
def test_a_wrong_calendar_is_told_where_it_stands(old: str, new: str, at: str, said: str) -> None:
    assert old in CALENDAR
    changed = CALENDAR.replace(old, new)
    if "from: 2027-02-01" in changed:
        changed = changed.replace("2027-01-01..2027-01-03, ", "")
    there, told = problem(MOVES, changed)
    assert told == said
    assert there.startswith(at)

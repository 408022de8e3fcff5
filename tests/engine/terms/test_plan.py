"""Plans: what is wrong with one is said completely, and before anything is built from it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fenqi.terms.plan import (
    PROFILES,
    Annuity,
    Balloon,
    Bearer,
    ContingentCost,
    Conventions,
    DownPayment,
    EqualPrincipal,
    Fee,
    FlatFee,
    FlatInterest,
    InterestOnly,
    PayInFull,
    Plan,
    ZeroInterest,
    check_plan,
)
from fenqi.texts import Text


def plan(**changes: object) -> Plan:
    fields = {
        "id": "mall-12",
        "family": "mall",
        "funder": "shop",
        "legal_form": "instalment_sale",
        "periods": 12,
        "pricing": FlatFee(rate_per_period=Decimal("0.006")),
    }
    return Plan(**{**fields, **changes})  # type: ignore[arg-type]


def fee(**changes: Any) -> Fee:
    fields = {
        "code": "guarantee",
        "name": Text("担保费", "Guarantee fee"),
        "payee": "guarantor",
        "total_rate": Decimal("0.02"),
    }
    return Fee(**{**fields, **changes})


YEARLY = Annuity(Decimal("0.15"))
HALF = Decimal("0.5")
BOTH = (Bearer("shop", HALF), Bearer("customer", HALF))
LATE = ContingentCost("late", Text("逾期利息", "Late interest"), Text("每日0.05%", "0.05% a day"), "shop")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pricing": FlatFee(total_rate=Decimal("0.072"))},
        {"pricing": Annuity(Decimal(0))},
        {"pricing": ZeroInterest("funder"), "residue": "last"},
        {"pricing": PayInFull(), "periods": 1, "legal_form": "full_payment"},
        {"down_payment": DownPayment(share=Decimal("0.3")), "defer_periods": 2},
        {"down_payment": DownPayment(amount_minor=50_000), "unit": "week", "every": 2},
        {"authority": "funder", "indicative_basis": Text("按标准费率", "at the standard rate")},
        {"contingent": (LATE,), "fee_payee": "wallet"},
        {"pricing": FlatFee(HALF, timing="up_front", minimum_minor=500)},
        {"pricing": Annuity(HALF, Balloon(share=Decimal("0.3")))},
        {"pricing": EqualPrincipal(HALF, Balloon(amount_minor=100_000)), "grace_principal": 11},
        {"pricing": InterestOnly(HALF), "interest_free_periods": 12},
        {"pricing": FlatInterest(HALF), "defer_periods": 2, "deferral_interest": "first_bill"},
        {"pricing": YEARLY, "defer_periods": 1, "deferral_interest": "capitalised", "grace_interest": 3},
        {"due_day": 31, "min_first_days": 20},
        {"pricing": YEARLY, "due_day": 10, "odd_first": "by_days", "unit": "half_month"},
        {"holiday": "following", "calendar": "cn"},
        {"bearers": BOTH},
        {"bearers": (Bearer("brand", Decimal(1)),), "pricing": YEARLY},
        {"fees": (fee(), fee(code="stamp", total_rate=None, amount_minor=500))},
        {"fees": (fee(minimum_minor=100),), "pricing": ZeroInterest("shop")},
        *({"conventions": conventions, "pricing": YEARLY} for conventions in PROFILES.values()),
    ],
)
def test_a_sound_plan_has_no_problem(changes: dict[str, object]) -> None:
    assert check_plan(plan(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"id": ""}, "id"),
        ({"funder": ""}, "funder"),
        ({"fee_payee": ""}, "fee_payee"),
        ({"legal_form": "gift"}, "legal_form"),
        ({"periods": 0}, "periods"),
        ({"periods": 601}, "periods"),
        ({"unit": "year"}, "unit"),
        ({"every": 0}, "every"),
        ({"defer_periods": -1}, "defer_periods"),
        ({"residue": "evenly"}, "residue"),
        ({"pricing": FlatFee()}, "pricing"),
        ({"pricing": FlatFee(Decimal("0.1"), Decimal("0.1"))}, "pricing"),
        ({"pricing": FlatFee(Decimal("-0.1"))}, "pricing.rate_per_period"),
        ({"pricing": FlatFee(total_rate=Decimal("Infinity"))}, "pricing.total_rate"),
        ({"pricing": Annuity(Decimal("NaN"))}, "pricing.annual_rate"),
        ({"pricing": Annuity(Decimal("0.1234567890123456789"))}, "pricing.annual_rate"),
        ({"pricing": ZeroInterest("nobody")}, "pricing.borne_by"),  # type: ignore[arg-type]
        ({"pricing": PayInFull()}, "periods"),
        ({"pricing": PayInFull(), "periods": 1, "defer_periods": 1}, "defer_periods"),
        ({"pricing": PayInFull(), "periods": 1, "down_payment": DownPayment(Decimal("0.1"))}, "down_payment"),
        ({"legal_form": "full_payment"}, "pricing.kind"),
        ({"down_payment": DownPayment()}, "down_payment"),
        ({"down_payment": DownPayment(Decimal("0.1"), 5)}, "down_payment"),
        ({"down_payment": DownPayment(share=Decimal(1))}, "down_payment.share"),
        ({"down_payment": DownPayment(share=Decimal("NaN"))}, "down_payment.share"),
        ({"down_payment": DownPayment(amount_minor=0)}, "down_payment.amount_minor"),
        ({"authority": "bank"}, "authority"),
        ({"authority": "funder"}, "indicative_basis"),
        ({"contingent": (LATE, LATE)}, "contingent[1].code"),
        ({"contingent": (LATE,), "fee_code": "late"}, "contingent[0].code"),
        ({"contingent": (LATE,), "fees": (fee(code="late"),)}, "contingent[0].code"),
        ({"pricing": FlatFee(HALF, minimum_minor=-1)}, "pricing.minimum_minor"),
        ({"pricing": FlatFee(HALF, timing="monthly")}, "pricing.timing"),  # type: ignore[arg-type]
        ({"pricing": Annuity(HALF, Balloon())}, "pricing.balloon"),
        ({"pricing": Annuity(HALF, Balloon(HALF, 5))}, "pricing.balloon"),
        ({"pricing": Annuity(HALF, Balloon(Decimal(1)))}, "pricing.balloon.share"),
        ({"pricing": EqualPrincipal(HALF, Balloon(amount_minor=0))}, "pricing.balloon.amount_minor"),
        ({"pricing": Annuity(HALF, Balloon(HALF)), "periods": 1}, "pricing.balloon"),
        ({"pricing": EqualPrincipal(Decimal(-1))}, "pricing.annual_rate"),
        ({"grace_principal": 1}, "grace_principal"),
        ({"grace_principal": 1, "pricing": InterestOnly(HALF)}, "grace_principal"),
        ({"grace_principal": 12, "pricing": YEARLY}, "grace_principal"),
        ({"grace_principal": -1, "pricing": YEARLY}, "grace_principal"),
        ({"grace_interest": 1}, "grace_interest"),
        ({"grace_interest": 12, "pricing": YEARLY}, "grace_interest"),
        ({"interest_free_periods": 1, "pricing": ZeroInterest("shop")}, "interest_free_periods"),
        ({"interest_free_periods": 13, "pricing": YEARLY}, "interest_free_periods"),
        ({"deferral_interest": "first_bill", "defer_periods": 2}, "deferral_interest"),
        ({"deferral_interest": "capitalised", "pricing": YEARLY}, "deferral_interest"),
        ({"deferral_interest": "some", "pricing": YEARLY}, "deferral_interest"),
        ({"due_day": 0}, "due_day"),
        ({"due_day": 32}, "due_day"),
        ({"due_day": 10, "unit": "week"}, "due_day"),
        ({"due_day": 10, "pricing": PayInFull(), "periods": 1}, "due_day"),
        ({"min_first_days": 10}, "min_first_days"),
        ({"due_day": 10, "min_first_days": 367}, "min_first_days"),
        ({"odd_first": "by_days", "pricing": YEARLY}, "odd_first"),
        ({"odd_first": "by_days", "due_day": 10}, "odd_first"),
        ({"odd_first": "never"}, "odd_first"),
        ({"holiday": "following"}, "calendar"),
        ({"holiday": "later", "calendar": "cn"}, "holiday"),
        ({"calendar": "cn"}, "holiday"),
        ({"holiday": "following", "calendar": "cn", "pricing": PayInFull(), "periods": 1}, "holiday"),
        ({"bearers": BOTH, "pricing": ZeroInterest("shop")}, "bearers"),
        ({"bearers": BOTH[:1]}, "bearers"),
        ({"bearers": (Bearer("shop", Decimal("0.500000000000000001")), BOTH[1])}, "bearers"),
        ({"bearers": (*BOTH, Bearer("brand", Decimal(0)))}, "bearers[2].share"),
        ({"bearers": (BOTH[0], BOTH[0])}, "bearers[1].party"),
        ({"bearers": (Bearer("state", HALF), BOTH[1])}, "bearers[0].party"),  # type: ignore[arg-type]
        ({"bearers": (Bearer("shop", Decimal("NaN")), BOTH[1])}, "bearers[0].share"),
        ({"fees": (fee(), fee())}, "fees[1].code"),
        ({"fees": (fee(code="instalment_fee"),)}, "fees[0].code"),
        ({"fees": (fee(payee=""),)}, "fees[0].payee"),
        ({"fees": (fee(total_rate=None),)}, "fees[0]"),
        ({"fees": (fee(amount_minor=5),)}, "fees[0]"),
        ({"fees": (fee(total_rate=Decimal("1e-30")),)}, "fees[0].total_rate"),
        ({"fees": (fee(total_rate=None, amount_minor=-5),)}, "fees[0].amount_minor"),
        ({"fees": (fee(total_rate=None, amount_minor=5, minimum_minor=9),)}, "fees[0].minimum_minor"),
        ({"fees": (fee(timing="later"),)}, "fees[0].timing"),
        ({"fees": (fee(),), "pricing": PayInFull(), "periods": 1}, "fees"),
        ({"conventions": Conventions(profile="")}, "conventions.profile"),
        ({"conventions": Conventions(day_count="act/367")}, "conventions.day_count"),  # type: ignore[arg-type]
        ({"conventions": Conventions(digits=3)}, "conventions.digits"),
        (
            {"conventions": Conventions(instalment_multiple_minor=0)},
            "conventions.instalment_multiple_minor",
        ),
    ],
)
def test_a_wrong_plan_is_told_where(changes: dict[str, object], place: str) -> None:
    assert place in [problem.place for problem in check_plan(plan(**changes))]


def test_all_problems_are_told_at_once() -> None:
    places = {problem.place for problem in check_plan(plan(periods=0, every=0, authority="funder"))}
    assert places == {"periods", "every", "indicative_basis"}


def test_a_plan_is_written_and_read_with_its_exact_rates() -> None:
    known = plan(down_payment=DownPayment(share=Decimal("0.30")), contingent=(LATE,))
    text = msgspec.json.encode(known)
    assert b'"kind":"flat_fee","rate_per_period":"0.006"' in text
    assert msgspec.json.decode(text, type=Plan) == known


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"pricing": FlatFee(total_rate=Decimal("1e-300"))}, "pricing.total_rate"),
        ({"pricing": Annuity(Decimal("1e-300000"))}, "pricing.annual_rate"),
        ({"down_payment": DownPayment(share=Decimal("1e-300000"))}, "down_payment.share"),
        ({"every": 3}, "periods"),
        ({"every": 2, "defer_periods": 1}, "periods"),
        ({"unit": "week", "every": 10}, "periods"),
    ],
)
def test_terms_without_measure_are_refused_and_not_worked_out(changes: dict[str, Any], place: str) -> None:
    terms: dict[str, Any] = {"periods": 600, "pricing": ZeroInterest("shop"), **changes}
    plan = Plan("a", "a", "shop", "instalment_sale", **terms)
    assert [problem.place for problem in check_plan(plan)] == [place]

"""Plans: what is wrong with one is said completely, and before anything is built from it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fenqi.terms.plan import (
    Annuity,
    ContingentCost,
    DownPayment,
    FlatFee,
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

"""Vectors of schedules: the terms of another engine, in its own words, as a plan of ours, compared row by row.

A word that is not here fails its vector by name; C1 to C15 are the conventions in the file's `meta`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal, TypeVar, get_args

import msgspec
import pytest

from fenqi.calendars import Unit
from fenqi.terms.plan import PROFILES, Annuity, DayCount, DownPayment, FlatInterest, Plan
from fenqi.terms.schedule import Row, build_schedule

Vector = Mapping[str, Any]
Meaning = TypeVar("Meaning")

UNITS: Mapping[str, Unit] = {"DAYS": "day", "WEEKS": "week", "MONTHS": "month"}
MONTH_DAYS = {"30": "30", "ACTUAL": "act"}
YEAR_DAYS = {"360": "360", "364": "364", "365": "365", "ACTUAL": "act"}
YEAR_SPLITS: Mapping[str, Literal["dec31", "jan1"]] = {"DEC31": "dec31", "JAN1": "jan1"}
LEAP_RULES: Mapping[str | None, Literal["actual", "feb29_period"]] = {
    None: "actual",
    "FEB_29_PERIOD_ONLY": "feb29_period",
}
RESTS = {"DAILY": None, "SAME_AS_REPAYMENT": None}
"""C11 runs to the business date under both: the origin's own table of a period's rest (P011) has it so."""
YEARLY = {"YEAR": 1, "MONTH": 12}
CURRENCIES = {2: "USD"}
PROFILE_KINDS = {"fineract-progressive": "PROGRESSIVE", "fineract-cumulative": "CUMULATIVE"}
UNIT_TERMS = {
    # What a unit vector leaves out.
    "currency_decimals": 2,
    "amortization": "EQUAL_INSTALLMENTS",
    "interest_calc_period": "DAILY",
    "year_split_at": "DEC31",
    "schedule_starts_on": "DISBURSED",
}


def check_schedule(vector: Vector) -> None:
    terms = {**UNIT_TERMS, **vector["terms"]} if vector["family"] == "schedule-unit" else vector["terms"]
    plan = plan_of(terms)
    currency = known("currency_decimals", CURRENCIES, terms["currency_decimals"])
    clocks, lent, expected = _first_disbursement(vector["events"])
    lent_on = date.fromisoformat(lent["date"])
    started = {"DISBURSED": None, "SUBMITTED": "submitted_on"}
    anchor = known("schedule_starts_on", started, terms["schedule_starts_on"])
    unpaid_on = None
    if terms.get("interest_recalculation") and clocks:
        unpaid_on = clocks[-1]
        known("recalc_rest", RESTS, terms["recalc_rest"])
    columns = expected.get("columns", SCHEDULE_COLUMNS)
    named = [dict(zip(columns, row, strict=True)) for row in expected["rows"]]
    counted_from = date.fromisoformat(terms[anchor]) if anchor else lent_on
    if vector["family"] == "schedule-unit":
        # A unit vector's terms do not say where its first period begins.
        counted_from = min(lent_on, date.fromisoformat(named[0]["from"]))
    amount_minor = to_minor(lent["amount"])
    schedule = build_schedule(
        plan,
        amount_minor,
        currency,
        lent_on,
        dates_from=counted_from,
        unpaid_on=unpaid_on,
    )
    rows = list(schedule.rows)
    if plan.down_payment is not None and not schedule.down_payment_minor:
        # A down payment that comes to nothing has its row there too.
        rows.insert(0, Row(0, "down_payment", lent_on, 0, 0))
    found = []
    from_on = counted_from
    balance = amount_minor
    for row in rows:
        balance -= row.principal_minor
        found.append((from_on, row.due_on, row.principal_minor, row.fee_minor, balance))
        if row.number:
            from_on = row.due_on
    assert found == [
        (
            date.fromisoformat(row["from"]) if "from" in row else ours[0],
            date.fromisoformat(row["due"]),
            to_minor(row["principal"]),
            to_minor(row["interest"]),
            to_minor(row["balance"]),
        )
        for row, ours in zip(named, found, strict=True)
    ]


SCHEDULE_COLUMNS = (
    "due",
    "principal",
    "interest",
    "fees",
    "penalties",
    "total",
    "paid",
    "in_advance",
    "late",
    "outstanding",
    "balance",
    "paid_on",
)


def _first_disbursement(events: Sequence[Vector]) -> tuple[list[date], Vector, Vector]:
    """The business dates until then, the first disbursement, and the first schedule expected after it."""
    clocks: list[date] = []
    lent = None
    for event in events:
        if event.get("op") == "clock":
            clocks.append(date.fromisoformat(event["date"]))
        elif event.get("op") == "disburse" and lent is None:
            lent = event
        elif lent is not None and event.get("expect") == "schedule":
            return clocks, lent, event
        elif lent is not None and event.get("op") not in (None, "close_of_business"):
            pytest.fail(f"{event['op']} comes before the schedule after the disbursement")
    pytest.fail("no schedule is expected after a disbursement")


def plan_of(terms: Vector) -> Plan:
    """The plan that a vector's terms describe."""
    profile = terms["profile"]
    conventions = PROFILES[known("profile", dict.fromkeys(PROFILE_KINDS, profile), profile)]
    assert terms.get("schedule_kind", PROFILE_KINDS[profile]) == PROFILE_KINDS[profile]
    known("rounding", {"HALF_EVEN": None}, terms["rounding"])
    known("amortization", {"EQUAL_INSTALLMENTS": None}, terms["amortization"])
    known("fixed_length_days", {None: None}, terms.get("fixed_length_days"))
    unit = known("unit", UNITS, terms["unit"])
    year = known("days_in_year", YEAR_DAYS, terms["days_in_year"])
    if profile == "fineract-cumulative" and year == "act":
        year = "365"  # C9
    day_count = f"{known('days_in_month', MONTH_DAYS, terms['days_in_month'])}/{year}"
    calculated = {"DAILY": False, "SAME_AS_REPAYMENT_PERIOD": True}
    whole_periods = known("interest_calc_period", calculated, terms["interest_calc_period"])
    if whole_periods:
        # C6: twelfths and 52nds (7 days of 364); a period in days counts its days in the year's.
        day_count = {"month": "period", "week": "act/364"}.get(unit, day_count)
    elif profile == "fineract-cumulative" and terms["interest_method"] == "FLAT":
        # C8's total is that of the whole term's days.
        day_count = f"act/{year}"
    whole = known("currency_decimals", dict.fromkeys(CURRENCIES, 100), terms["currency_decimals"])
    conventions = msgspec.structs.replace(
        conventions,
        digits=terms["arithmetic_digits"],
        day_count=known("day_count", {count: count for count in get_args(DayCount)}, day_count),
        year_split=known("year_split_at", YEAR_SPLITS, terms["year_split_at"]),
        leap_rule=known("leap_rule", LEAP_RULES, terms["leap_rule"]),
        instalment_multiple_minor=whole * (terms["installment_multiple"] or 0) or 1,
    )
    yearly = Decimal(terms["rate_pct"]) * known("rate_period", YEARLY, terms["rate_period"]) / 100
    pricings = {"DECLINING_BALANCE": Annuity, "FLAT": FlatInterest}
    share = Decimal(terms.get("down_payment_pct") or 0) / 100
    return Plan(
        "vector",
        "vector",
        "lender",
        "loan",
        terms["periods"],
        known("interest_method", pricings, terms["interest_method"])(yearly),
        unit=unit,
        every=terms["every"],
        down_payment=DownPayment(share=share) if share else None,
        residue="last",
        conventions=conventions,
        grace_principal=terms.get("grace_principal") or 0,
        grace_interest=terms.get("grace_interest") or 0,
        interest_free_periods=terms.get("interest_free_periods") or 0,
    )


def known(name: str, meanings: Mapping[Any, Meaning], word: object) -> Meaning:
    if word not in meanings:
        pytest.fail(f"{name} is {word!r}: expected one of {', '.join(map(str, meanings))}")
    return meanings[word]


def to_minor(amount: str | Decimal | int) -> int:
    minor = Decimal(amount) * 100
    assert minor == int(minor), f"{amount} has parts of a cent"
    return int(minor)

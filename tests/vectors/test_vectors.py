"""Figures from outside, one test each; data/README.md says what they are and how to run other folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import gcd
from pathlib import Path
from typing import Any

import pytest
from tests.vectors.schedules import check_schedule
from tests.vectors.servicing import check_servicing

from fenqi.terms.cost import (
    COMPOUNDED,
    SIMPLE,
    CashFlow,
    CashFlows,
    CostError,
    DatedFlow,
    DatedFlows,
    annual_cost,
    cost_of,
    counted,
    internal_rate,
    max_flat_fee,
)
from fenqi.terms.disclosure import percent
from fenqi.terms.intervals import UnitPeriod, check_unit, eu_years
from fenqi.terms.plan import FlatFee, Plan
from fenqi.terms.schedule import build_schedule

OURS = Path(__file__).parent / "data"
Vector = Mapping[str, Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector" not in metafunc.fixturenames:
        return
    given = metafunc.config.getoption("--vectors", default=None)
    folder = Path(given) if given else OURS
    if not folder.is_dir():
        raise pytest.UsageError(f"--vectors is {folder}: expected a folder with vector files")
    metafunc.parametrize(("check", "vector"), list(_vectors(folder)))


def test_vector(
    check: Callable[[Vector], None] | None, vector: Vector, record_property: Callable[[str, object], None]
) -> None:
    if check is None:
        what = {name: vector[name] for name in ("kind", "family", "method") if name in vector}
        pytest.fail(f"{vector['id']}: the engine has nothing for {what or 'this kind of vector'}")
    if vector.get("verified") is not False:
        check(vector)
        return
    try:
        check(vector)
    except AssertionError as differs:
        record_property("unverified", f"{vector['id']} differs:\n{differs}")
        raise
    record_property("unverified", f"{vector['id']} agrees")


def _vectors(folder: Path) -> Iterator[Any]:
    for name, read in (
        ("true_cost.json", _of_true_cost),
        ("market_cases.json", _of_market_cases),
        ("servicing.json", _of_servicing),
    ):
        if (folder / name).is_file():
            content = json.loads((folder / name).read_text(encoding="utf-8"), parse_float=Decimal)
            for check, vector in read(content):
                marks = [pytest.mark.ahead] if check is None else []
                if vector.get("verified") is False:
                    # Its figures may hold a quirk of their origin: run, and expected to differ. A word that nobody
                    # knows is no such difference.
                    marks.append(pytest.mark.xfail(raises=AssertionError, reason="unverified", strict=False))
                yield pytest.param(check, vector, id=vector["id"], marks=marks)


Checked = Iterator[tuple[Callable[[Vector], None] | None, Vector]]


def _of_true_cost(content: Mapping[str, Any]) -> Checked:
    for section, vectors in content.items():
        for vector in vectors:
            if section == "apr":
                yield (check_rate if vector.get("method") in METHODS else None), vector
            else:
                yield SECTIONS.get(section), vector


def _of_market_cases(content: Mapping[str, Any]) -> Checked:
    for vector in content["cases"]:
        if vector.get("kind") != "worked":
            yield KINDS.get(vector.get("kind", "")), vector


def _of_servicing(content: Mapping[str, Any]) -> Checked:
    for vector in content["vectors"]:
        yield FAMILIES.get(vector.get("family", "")), vector


# true_cost.json

METHODS = {
    "us_regz_actuarial": "us_regz_actuarial@1",
    "eu_annual": "eu_annual@1",
    "uk_conc_app_1_2": "uk_conc_app_1_2@1",
    "act365_annual": "act365_annual@1",
    "annual_from_months": "annual_from_months@1",
    "periodic_irr": "periodic_irr@1",
    "periodic_irr_x12": "periodic_irr_x12@1",
    "periodic_irr_compounded": "periodic_irr_compounded@1",
    "cn_irr_x12_simple": "cn_irr_x12_simple@1",
}


def check_rate(vector: Vector) -> None:
    method, unit = METHODS[vector["method"]], _unit(vector)
    moves = _moves(vector)
    dated, timed = _dated(moves), _timed(moves, unit)
    if dated is not None:
        by_date = counted(method, dated, unit)
        if timed is not None:
            _agree_in_time(by_date, timed)
        timed = by_date
        assert annual_cost(method, dated, unit) == annual_cost(method, by_date)
    assert timed is not None, "neither dates nor times"
    found = annual_cost(method, timed)
    assert found.rate_e12 is not None, found.undefined
    shown = _percent(found.rate_e12)
    assert abs(shown - Decimal(vector["expected_pct"])) <= Decimal(vector["tolerance_pp"])
    if vector.get("reference_pct") is not None:
        # 15 digits are written.
        reference = Decimal(vector["reference_pct"])
        assert abs(shown - reference) <= max(Decimal("1e-9"), abs(reference) * Decimal("1e-11"))


Move = tuple[bool, int, Mapping[str, Any]]
"""Whether the customer pays, how much (in units of all amounts' smallest digit), and when."""


def _moves(vector: Vector) -> list[Move]:
    entries = [(False, entry) for entry in vector["advances"]] + [
        (True, entry) for entry in vector["payments"]
    ]
    amounts = _in_whole_units([Decimal(entry["amount"]) for _, entry in entries])
    # A negative advance is a charge kept back from it: paid on that day.
    return [
        (paid != (amount < 0), abs(amount), entry)
        for (paid, entry), amount in zip(entries, amounts, strict=True)
        if amount
    ]


def _unit(vector: Vector) -> UnitPeriod | None:
    given = vector.get("unit_period")
    if given is None:
        return None
    kind = {"semimonth": "half_month"}.get(given["kind"], given["kind"])
    unit = check_unit(UnitPeriod(kind, int(given.get("n", 1))))
    if "per_year" in given:
        assert abs(unit.per_year - Fraction(given["per_year"])) <= Fraction(1, 10**6)
    return unit


def _dated(moves: Sequence[Move]) -> DatedFlows | None:
    if not all("date" in entry for _, _, entry in moves):
        return None
    flows = [(paid, DatedFlow(date.fromisoformat(entry["date"]), amount)) for paid, amount, entry in moves]
    return DatedFlows(
        tuple(flow for paid, flow in flows if not paid), tuple(flow for paid, flow in flows if paid)
    )


def _timed(moves: Sequence[Move], unit: UnitPeriod | None) -> CashFlows | None:
    if all("t_years" in entry for _, _, entry in moves):
        per_year = Fraction(1)
        times = [Fraction(entry["t_years"]) for _, _, entry in moves]
    elif all("t" in entry for _, _, entry in moves):
        per_year = Fraction(12) if unit is None else unit.per_year
        times = [Fraction(entry["t"]) + Fraction(entry.get("f", 0)) for _, _, entry in moves]
    else:
        return None
    flows = [(paid, CashFlow(at, amount)) for at, (paid, amount, _) in zip(times, moves, strict=True)]
    return CashFlows(
        tuple(flow for paid, flow in flows if not paid),
        tuple(flow for paid, flow in flows if paid),
        per_year,
    )


def _agree_in_time(ours: CashFlows, theirs: CashFlows) -> None:
    """Twelve digits of a fraction are written."""
    assert abs(Fraction(ours.periods_per_year) - theirs.periods_per_year) <= Fraction(1, 10**6)
    for side, other in ((ours.advances, theirs.advances), (ours.payments, theirs.payments)):
        for flow, wanted in zip(side, other, strict=True):
            assert abs(flow.at - wanted.at) <= Fraction(1, 10**10), (flow, wanted)


def check_day_count(vector: Vector) -> None:
    if vector["method"] != "eu_interval":
        pytest.fail(f"{vector['id']}: the engine has no intervals {vector['method']}")
    start, end = date.fromisoformat(vector["start"]), date.fromisoformat(vector["end"])
    found = eu_years(start, end, vector["unit"])
    if "expected" in vector:
        assert found == sum(Fraction(part.strip()) for part in vector["expected"].split("+"))
    if "expected_years" in vector:
        assert abs(found - Fraction(vector["expected_years"])) <= Fraction(1, 10**13)


def check_display(vector: Vector) -> None:
    rate_e12 = Decimal(vector["value"]).scaleb(10)
    assert rate_e12 == int(rate_e12)
    assert percent(int(rate_e12), vector["decimals"]) == vector["expected"]


def check_edge(vector: Vector) -> None:
    if vector["unit"] not in YEARLY:
        pytest.fail(f"{vector['id']}: the engine has no unit {vector['unit']}")
    times = [Fraction(at) for at, _ in vector["flows"]]
    moves = list(zip(times, _in_whole_units([Decimal(amount) for _, amount in vector["flows"]]), strict=True))
    # A simple rate by days is that of the period between the payments: 1.5 % for 30 days is 18.25 %.
    between = gcd(*(int(at) for at in times)) or 1
    for figure, expected in vector["expected"].items():
        if figure == "roots_pct":
            _agree_in_roots(moves, expected)
            continue
        if figure not in FIGURES:
            pytest.fail(f"{vector['id']}: the engine has no figure {figure}")
        method, in_percent = FIGURES[figure]
        period = between if figure == "simple_x365_pct" else 1
        flows = _sides(moves, YEARLY[vector["unit"]], period)
        if expected is None:
            assert _undefined(method, flows)
            continue
        cost = annual_cost(method, flows)
        assert cost.rate_e12 is not None, cost.undefined
        if Decimal(expected) == 0:
            assert type(cost.rate_e12) is int
            assert cost.rate_e12 == 0
        else:
            _agree(_percent(cost.rate_e12) if in_percent else _ratio(cost.rate_e12), Decimal(expected))


def _undefined(method: str, flows: CashFlows) -> str | None:
    """Why the flows have no rate, or are refused as no question at all."""
    try:
        return annual_cost(method, flows).undefined
    except CostError as refused:
        return str(refused)


def _sides(moves: Sequence[tuple[Fraction, int]], per_year: int, period: int = 1) -> CashFlows:
    """Signed moves as flows, with a period of so many units."""
    return CashFlows(
        tuple(CashFlow(at / period, -amount) for at, amount in moves if amount < 0),
        tuple(CashFlow(at / period, amount) for at, amount in moves if amount > 0),
        Fraction(per_year, period),
    )


YEARLY = {"day": 365, "week": 52, "half_month": 24, "semimonth": 24, "month": 12, "quarter": 4, "year": 1}

FIGURES = {
    "monthly": ("periodic_irr@1", False),
    "x12_pct": (SIMPLE, True),
    "simple_x365_pct": (SIMPLE, True),
    "compound_pct": (COMPOUNDED, True),
    "annual_effective_pct": (COMPOUNDED, True),
}


def _agree_in_roots(moves: Sequence[tuple[Fraction, int]], expected: Sequence[str]) -> None:
    # The same rates balance the flows seen from the other side; the engine asks for an advance first.
    first = min((at, amount) for at, amount in moves if amount)[1]
    flows = _sides([(at, amount if first < 0 else -amount) for at, amount in moves], 12)
    found = internal_rate(flows.advances, flows.payments)
    assert len(found.roots) == len(expected)
    for root, wanted in zip(found.roots, map(Decimal, expected), strict=True):
        places = max(9, -_exponent(wanted))
        assert abs(root * 100 - Fraction(wanted)) <= Fraction(1, 10 ** min(places, 9))
    standing = [root for root in found.roots if root >= 0]
    if len(found.roots) > 1 and len(standing) != 1:
        assert (found.periodic, found.undefined) == (None, "ambiguous")


SECTIONS: dict[str, Callable[[Vector], None]] = {
    "day_count": check_day_count,
    "rounding": check_display,
    "edge": check_edge,
}


# market_cases.json


def check_fee_split(vector: Vector) -> None:
    terms, expected = vector["input"], vector["expect"]
    pricing = FlatFee(total_rate=Decimal(terms["rate"]))
    plan = Plan("split", "split", "wallet", "loan", terms["n"], pricing)
    schedule = build_schedule(plan, terms["principal_cents"], "CNY", date(2026, 1, 31))
    cost = cost_of(schedule, plan)
    assert schedule.fee_minor == expected["fee_cents"]
    assert schedule.rows[0].total_minor == expected["first"]
    assert {row.total_minor for row in schedule.rows[1:]} <= {expected["rest"]}
    assert schedule.total_minor == expected["total"]
    assert sum(row.total_minor for row in schedule.rows) == expected["total"]
    assert cost.simple_e12 is not None
    assert cost.compounded_e12 is not None
    _agree(_percent(cost.simple_e12), expected["nominal_pct"], 4)
    _agree(_percent(cost.compounded_e12), expected["effective_pct"], 4)


def check_max_flat_fee(vector: Vector) -> None:
    terms = vector["input"]
    fee = max_flat_fee(Fraction(terms["cap"]), terms["n"])
    _agree(Decimal((fee * 100 * 10**12).__round__()).scaleb(-12), vector["expect"]["max_fee_pct"], 4)


def check_monthly_irr(vector: Vector) -> None:
    terms, expected = vector["input"], vector["expect"]
    months = [month for month, _ in terms["flows"]]
    lent, *paid = _in_whole_units([Decimal(terms["pv"]), *(Decimal(amount) for _, amount in terms["flows"])])
    flows = CashFlows(
        (CashFlow(0, lent),),
        tuple(CashFlow(month, amount) for month, amount in zip(months, paid, strict=True)),
    )
    for figure, method, places in (
        ("monthly", "periodic_irr@1", 8),
        ("nominal_pct", SIMPLE, 4),
        ("effective_pct", COMPOUNDED, 4),
    ):
        rate_e12 = annual_cost(method, flows).rate_e12
        assert rate_e12 is not None
        _agree(_ratio(rate_e12) if places == 8 else _percent(rate_e12), expected[figure], places)


KINDS: dict[str, Callable[[Vector], None]] = {
    "fee_split": check_fee_split,
    "max_flat_fee": check_max_flat_fee,
    "monthly_irr": check_monthly_irr,
}


# servicing.json

FAMILIES: dict[str, Callable[[Vector], None]] = {
    "schedule": check_schedule,
    "schedule-unit": check_schedule,
    "allocation-zero-interest": check_servicing,
    "servicing-interest": check_servicing,
}


def _in_whole_units(amounts: Sequence[Decimal]) -> list[int]:
    """The same amounts as integers: a rate does not depend on their scale."""
    smallest = min(min(_exponent(amount) for amount in amounts), 0)
    return [int(amount.scaleb(-smallest)) for amount in amounts]


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), f"{amount} is no amount"
    return exponent


def _ratio(rate_e12: int) -> Decimal:
    return Decimal(rate_e12).scaleb(-12)


def _percent(rate_e12: int) -> Decimal:
    return Decimal(rate_e12).scaleb(-10)


def _agree(actual: Decimal, expected: Decimal | int, places: int | None = None) -> None:
    """Equal at `places` decimals, or at as many as are written; our own figures are rounded at the 12th of a rate."""
    if places is None:
        places = -_exponent(Decimal(expected))
    apart = abs(actual - Decimal(expected))
    assert apart <= Decimal(5).scaleb(-places - 1) + Decimal("1e-10"), f"{actual} is not {expected}"

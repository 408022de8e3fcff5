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

from fenqi.terms.cost import (
    COMPOUNDED,
    SIMPLE,
    CashFlow,
    CashFlows,
    InternalRate,
    annual_cost,
    cost_of,
    internal_rate,
    max_flat_fee,
)
from fenqi.terms.disclosure import percent
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


def test_vector(check: Callable[[Vector], None] | None, vector: Vector) -> None:
    if check is None:
        what = {name: vector[name] for name in ("kind", "family", "method") if name in vector}
        pytest.fail(f"{vector['id']}: the engine has nothing for {what or 'this kind of vector'}")
    check(vector)


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
        yield None, vector


# true_cost.json

METHODS = {
    "periodic_irr": "periodic_irr@1",
    "periodic_irr_x12": "periodic_irr_x12@1",
    "periodic_irr_compounded": "periodic_irr_compounded@1",
    "cn_irr_x12_simple": "cn_irr_x12_simple@1",
}


def check_rate(vector: Vector) -> None:
    amounts = [Decimal(flow["amount"]) for flow in (*vector["advances"], *vector["payments"])]
    whole = _in_whole_units(amounts)
    times = [Fraction(flow["t"]) for flow in (*vector["advances"], *vector["payments"])]
    flows = [CashFlow(at, amount) for at, amount in zip(times, whole, strict=True)]
    count = len(vector["advances"])
    found = annual_cost(METHODS[vector["method"]], CashFlows(tuple(flows[:count]), tuple(flows[count:])))
    assert found.rate_e12 is not None
    shown = _percent(found.rate_e12)
    assert abs(shown - vector["expected_pct"]) <= Decimal(vector["tolerance_pp"])
    if vector.get("reference_pct") is not None:
        assert abs(shown - Decimal(vector["reference_pct"])) <= Decimal("1e-9")


def check_display(vector: Vector) -> None:
    rate_e12 = Decimal(vector["value"]).scaleb(10)
    assert rate_e12 == int(rate_e12)
    assert percent(int(rate_e12), vector["decimals"]) == vector["expected"]


def check_edge(vector: Vector) -> None:
    times = [Fraction(at) for at, _ in vector["flows"]]
    whole = _in_whole_units([Decimal(amount) for _, amount in vector["flows"]])
    moves = list(zip(times, whole, strict=True))
    advances = tuple(CashFlow(at, -amount) for at, amount in moves if amount < 0)
    payments = tuple(CashFlow(at, amount) for at, amount in moves if amount > 0)
    yearly = {"month": 12, "day": 365}[vector["unit"]]
    flows = CashFlows(advances, payments, yearly)
    # A simple rate by days is that of the period between the payments: 1.5 % for 30 days is 18.25 %.
    between = gcd(*(int(at) for at in times)) or 1
    found = internal_rate(advances, payments)
    for figure, expected in vector["expected"].items():
        if figure == "roots_pct":
            _agree_in_roots(found, expected)
            continue
        method, in_percent = FIGURES[figure]
        counted = _in_periods(flows, between) if figure == "simple_x365_pct" else flows
        cost = annual_cost(method, counted)
        if expected is None:
            assert cost.rate_e12 is None
            assert cost.undefined
        elif Decimal(expected) == 0:
            assert type(cost.rate_e12) is int
            assert cost.rate_e12 == 0
        else:
            assert cost.rate_e12 is not None
            shown = _percent(cost.rate_e12) if in_percent else _ratio(cost.rate_e12)
            _agree(shown, Decimal(expected))


def _in_periods(flows: CashFlows, units: int) -> CashFlows:
    """The same flows with a period of so many of their units."""
    return CashFlows(
        tuple(CashFlow(Fraction(flow.at, units), flow.amount_minor) for flow in flows.advances),
        tuple(CashFlow(Fraction(flow.at, units), flow.amount_minor) for flow in flows.payments),
        Fraction(flows.periods_per_year, units),
    )


FIGURES = {
    "monthly": ("periodic_irr@1", False),
    "x12_pct": (SIMPLE, True),
    "simple_x365_pct": (SIMPLE, True),
    "compound_pct": (COMPOUNDED, True),
    "annual_effective_pct": (COMPOUNDED, True),
}


def _agree_in_roots(found: InternalRate, expected: Sequence[str]) -> None:
    assert len(found.roots) == len(expected)
    for root, wanted in zip(found.roots, map(Decimal, expected), strict=True):
        assert abs(root * 100 - Fraction(wanted)) <= Fraction(1, 10**9)
    if len([root for root in found.roots if root >= 0]) != 1 and len(found.roots) != 1:
        assert found.periodic is None
        assert found.undefined in ("ambiguous", "no_root")


SECTIONS: dict[str, Callable[[Vector], None]] = {"rounding": check_display, "edge": check_edge}


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

"""Money: whole minor units in, whole minor units out."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.money import (
    CURRENCIES,
    MAX_MINOR,
    Money,
    MoneyError,
    apply_rate,
    check_minor,
    format_money,
    format_rate,
    parse_money,
    round_half_even,
    split_evenly,
)

amounts = st.integers(0, MAX_MINOR)
currencies = st.sampled_from(sorted(CURRENCIES))


@pytest.mark.parametrize(
    ("written", "currency", "minor"),
    [
        ("300", "CNY", 30_000),
        ("¥5,000", "CNY", 500_000),
        ("￥5,000.00", "CNY", 500_000),
        ("5000.00 CNY", "CNY", 500_000),
        ("cny 5000", "CNY", 500_000),
        ("5000元", "CNY", 500_000),
        (" 0.05 ", "CNY", 5),
        ("３００", "CNY", 30_000),
        ("￥５，０００．５０　元", "CNY", 500_050),
        ("0.50000", "CNY", 50),
        ("¥1,200", "JPY", 1_200),
        ("€1,234,567.89", "EUR", 123_456_789),
        ("10000000000000.00", "CNY", MAX_MINOR),
    ],
)
def test_an_amount_is_read_as_people_write_it(written: str, currency: str, minor: int) -> None:
    assert parse_money(written, currency) == minor


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12.345", "at most 2 decimals"),
        ("-5", "0 or more"),
        ("10000000000000.01", "at most ¥10,000,000,000,000.00"),
        ("9" * 5000, "at most ¥10,000,000,000,000.00"),
        ("－５", "0 or more"),
        ("１２．３４５", "at most 2 decimals"),
        ("５，００", "an amount such as"),
        ("$5", "an amount in CNY"),
        ("5 EUR", "an amount in CNY"),
        ("USD 5 CNY", "an amount in CNY"),
        ("5,00", "an amount such as"),
        ("1.000,00", "an amount such as"),
        ("1e5", "an amount such as"),
        ("٣", "an amount such as"),
        ("", "an amount such as"),
        ("NaN", "an amount such as"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_by_name_value_and_expectation(
    written: str, expected: str
) -> None:
    with pytest.raises(MoneyError) as refused:
        parse_money(written, "CNY", place="/order/lines/0/price")
    problem = refused.value.problem
    assert problem.place == "/order/lines/0/price"
    assert problem.value.startswith(written[:20] or "empty")
    assert expected in problem.expected
    assert len(str(refused.value)) < 500


@given(amounts, currencies)
def test_what_is_formatted_is_read_back(minor: int, currency: str) -> None:
    assert parse_money(format_money(minor, currency), currency) == minor


@pytest.mark.parametrize("value", [True, 1.0, "5", None, Decimal(5), -1, MAX_MINOR + 1])
def test_minor_units_are_whole_unsigned_and_bounded(value: object) -> None:
    with pytest.raises(MoneyError, match="financed_minor"):
        check_minor(value, "CNY", place="financed_minor")


def test_a_signed_amount_is_taken_where_said() -> None:
    assert check_minor(-5, "CNY", signed=True) == -5
    with pytest.raises(MoneyError):
        check_minor(-MAX_MINOR - 1, "CNY", signed=True)


def test_an_unknown_currency_is_refused_everywhere() -> None:
    for attempt in (
        lambda: check_minor(5, "ABC"),
        lambda: parse_money("5", "ABC"),
        lambda: format_money(5, "ABC"),
    ):
        with pytest.raises(MoneyError, match="ABC"):
            attempt()


def test_money_at_an_edge_shows_itself() -> None:
    assert str(Money(123_456_789, "CNY")) == "¥1,234,567.89"
    assert format_money(-123_456, "USD") == "-$1,234.56"
    assert format_money(100, "CHF") == "CHF 1.00"


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**9))
def test_halves_go_to_the_even_neighbour(numerator: int, denominator: int) -> None:
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(amounts, st.decimals(0, 10, places=6))
def test_a_rate_is_applied_exactly(minor: int, rate: Decimal) -> None:
    assert apply_rate(minor, rate) == apply_rate(minor, Fraction(rate)) == round(minor * Fraction(rate))


@given(st.integers(0, MAX_MINOR), st.integers(1, 600), st.sampled_from(["first", "last"]))
def test_parts_sum_to_the_whole_and_one_part_takes_the_remainder(total: int, n: int, residue: str) -> None:
    parts = split_evenly(total, n, residue)  # type: ignore[arg-type]
    assert sum(parts) == total
    assert len(parts) == n
    regular = parts[1:] if residue == "first" else parts[:-1]
    assert set(regular) <= {total // n}


def test_nothing_is_split_into_no_parts() -> None:
    with pytest.raises(MoneyError):
        split_evenly(5, 0)


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        ("0.24", "24%"),
        ("0.006", "0.6%"),
        ("0.00575", "0.575%"),
        ("0.1303", "13.03%"),
        ("0.130342242811", "13.03%"),
        ("0.00000001", "0.00%"),
        ("0", "0%"),
        ("-0.0185139", "-1.85%"),
        ("1", "100%"),
        ("12.3456789", "1234.57%"),
    ],
)
def test_a_rate_is_shown_exactly_if_short_and_half_up_otherwise(rate: str, shown: str) -> None:
    assert format_rate(Decimal(rate)) == format_rate(Fraction(rate)) == shown


def test_zeros_before_an_amount_are_no_digits_of_it() -> None:
    assert parse_money("0" * 5000 + "1", "CNY") == 100
    assert parse_money("0" * 5000, "JPY") == 0
    assert parse_money("0", "JPY") == 0

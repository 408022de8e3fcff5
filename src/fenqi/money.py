"""Money as whole minor units (fen, cents, yen), exactly.

An amount inside the engine is an `int` of minor units with its currency beside it; `Money` joins the
two at the edges. Nothing here is ever a float: a rate is a `Fraction` or a `Decimal`, and the one place
where a product is rounded (`round_half_even`) rounds half to even, as contracts and funders do.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

import msgspec

from fenqi.problems import BadInput

__all__ = [
    "CURRENCIES",
    "MAX_MINOR",
    "Money",
    "MoneyError",
    "Residue",
    "Rounding",
    "apply_rate",
    "check_currency",
    "check_minor",
    "decimal_text",
    "format_money",
    "format_rate",
    "parse_money",
    "round_half_even",
    "round_ratio",
    "round_to_multiple",
    "split_evenly",
]

Residue = Literal["first", "last", "spread"]
"""Which part takes what does not divide: the first, the last, or one unit each from the first on."""

Rounding = Literal["half_even", "half_up", "up"]
"""Where a half goes: to the even unit, or up; `up` takes every fraction up."""

CURRENCIES: Final[dict[str, int]] = {
    "AUD": 2,
    "CAD": 2,
    "CHF": 2,
    "CNY": 2,
    "EUR": 2,
    "GBP": 2,
    "HKD": 2,
    "JPY": 0,
    "KRW": 0,
    "SGD": 2,
    "TWD": 2,
    "USD": 2,
}
"""Known currencies and the number of decimals of their minor unit (ISO 4217)."""

MAX_MINOR: Final = 10**15
"""Largest amount accepted anywhere, in minor units: far above any order, far below 2**63, so that sums of
thousands of amounts still fit PostgreSQL's bigint."""

_SYMBOLS: Final = {
    "CNY": "¥",
    "EUR": "€",
    "GBP": "£",
    "HKD": "HK$",
    "JPY": "JP¥",
    "KRW": "₩",
    "TWD": "NT$",
    "USD": "$",
}
_PREFIXES: Final = {code: _SYMBOLS.get(code, f"{code} ") for code in CURRENCIES}

# What people write for a currency; "¥" alone is the yen's sign too, so it fits either.
_WRITTEN: Final[dict[str, frozenset[str]]] = {
    "¥": frozenset({"CNY", "JPY"}),
    "￥": frozenset({"CNY", "JPY"}),
    "元": frozenset({"CNY"}),
    "円": frozenset({"JPY"}),
    **{symbol: frozenset({code}) for code, symbol in _SYMBOLS.items() if code != "CNY"},
}

_HALF_WIDTH: Final = str.maketrans({0xFEE0 + ord(one): one for one in "0123456789,.-"} | {"\u3000": " "})
"""A Chinese keyboard may write digits, point and comma as wide as a character: they are the same number."""
_AMOUNT = re.compile(
    r"\s*(?P<sign>-)?\s*(?P<before>[^\d\s.,+-]{1,3})?\s*"
    r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?P<part>[0-9]+))?"
    r"\s*(?P<after>[^\d\s.,+-]{1,3})?\s*"
)


class MoneyError(BadInput):
    """An amount, rate or currency that cannot be used."""


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount at an edge: `minor` units of `currency`.

    >>> str(Money(500_000, "CNY"))
    '¥5,000.00'
    """

    minor: int
    currency: str

    def __str__(self) -> str:
        return format_money(self.minor, self.currency)


def check_currency(currency: str, *, place: str = "currency") -> str:
    """Return `currency` if it is known; raise `MoneyError` naming `place` otherwise."""
    if currency not in CURRENCIES:
        raise MoneyError(place, currency, "one of " + ", ".join(CURRENCIES))
    return currency


def check_minor(value: object, currency: str, *, place: str = "amount_minor", signed: bool = False) -> int:
    """Return `value` if it is an amount of minor units within `MAX_MINOR`.

    Zero is an amount. Refuses anything that is not an int (`True` included), and a negative one
    unless `signed`. Raises `MoneyError` naming `place`.

    >>> check_minor(600_000, "CNY")
    600000
    """
    if currency not in CURRENCIES:
        check_currency(currency, place=place)
    if type(value) is not int:
        raise MoneyError(place, value, "a whole number of minor units", "write ¥12.34 as the integer 1234")
    if value < 0 and not signed:
        raise MoneyError(place, value, "an amount of 0 or more")
    if not -MAX_MINOR <= value <= MAX_MINOR:
        raise MoneyError(place, value, f"at most {MAX_MINOR} minor units")
    return value


def parse_money(text: str, currency: str, *, place: str = "amount") -> int:
    """Read an amount that a person wrote, in major units, and return minor units of `currency`.

    A currency sign or code may stand before or after; it has to be `currency`'s. Full-width digits, points and
    commas are read as the others. Refuses fractions of the minor unit, negative amounts, overflow and another currency with a `MoneyError`.

    >>> parse_money("¥5,000", "CNY"), parse_money("5000.00 CNY", "CNY"), parse_money("300", "CNY")
    (500000, 500000, 30000)
    """
    check_currency(currency)
    if not isinstance(text, str):
        raise MoneyError(place, text, "an amount as text, such as '5000.00'")
    found = _AMOUNT.fullmatch(text.translate(_HALF_WIDTH))
    if found is None:
        raise MoneyError(place, text, f"an amount such as {format_money(500_000, currency)}")
    for written in (found["before"], found["after"]):
        if written is None:
            continue
        fits = _WRITTEN.get(written, frozenset({written.upper()}))
        if currency not in fits:
            raise MoneyError(place, text, f"an amount in {currency}", "amounts are never converted")
    if found["sign"]:
        raise MoneyError(place, text, "an amount of 0 or more")
    exponent = CURRENCIES[currency]
    part = (found["part"] or "").rstrip("0")
    if len(part) > exponent:
        raise MoneyError(place, text, f"at most {exponent} decimals in {currency}")
    digits = found["whole"].replace(",", "").lstrip("0")
    if len(digits) > len(str(MAX_MINOR)):
        raise MoneyError(place, text, f"at most {format_money(MAX_MINOR, currency)}")
    minor = int(digits + part.ljust(exponent, "0") or "0")
    if minor > MAX_MINOR:
        raise MoneyError(place, text, f"at most {format_money(MAX_MINOR, currency)}")
    return minor


def format_money(minor: int, currency: str) -> str:
    """Write an amount for people; the same in every locale of ours.

    >>> format_money(500_000, "CNY"), format_money(-5, "EUR"), format_money(1200, "JPY")
    ('¥5,000.00', '-€0.05', 'JP¥1,200')
    """
    prefix = _PREFIXES.get(currency)
    if prefix is None:
        check_currency(currency)
        raise AssertionError("a known currency has a prefix")
    sign = "-" if minor < 0 else ""
    exponent = CURRENCIES[currency]
    if exponent == 2:
        whole, part = divmod(abs(minor), 100)
        return f"{sign}{prefix}{whole:,}.{part:02d}"
    if exponent == 0:
        return f"{sign}{prefix}{abs(minor):,}"
    whole, part = divmod(abs(minor), 10**exponent)
    return f"{sign}{prefix}{whole:,}.{part:0{exponent}d}"


def decimal_text(minor: int, currency: str) -> str:
    """An amount for another program: digits, a point, a minus where it is below zero, and nothing else.

    >>> decimal_text(-1_234_506, "CNY"), decimal_text(5, "CNY"), decimal_text(120, "JPY")
    ('-12345.06', '0.05', '120')
    """
    exponent = CURRENCIES[check_currency(currency)]
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}" if exponent else f"{sign}{digits}"


def round_half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator/denominator (denominator > 0), a half going to the even one.

    >>> round_half_even(5, 2), round_half_even(7, 2), round_half_even(-5, 2)
    (2, 4, -2)
    """
    whole, rest = divmod(numerator, denominator)
    twice = rest * 2
    if twice > denominator or (twice == denominator and whole & 1):
        return whole + 1
    return whole


def round_ratio(numerator: int, denominator: int, rounding: Rounding) -> int:
    """The integer next to numerator/denominator (denominator > 0) by `rounding`.

    >>> [round_ratio(5, 2, mode) for mode in ("half_even", "half_up", "up")], round_ratio(9, 4, "up")
    ([2, 3, 3], 3)
    """
    if rounding == "half_even":
        return round_half_even(numerator, denominator)
    if rounding == "half_up":
        return (2 * numerator + denominator) // (2 * denominator)
    return -(-numerator // denominator)


def round_to_multiple(minor: int, multiple: int, rounding: Rounding = "half_even") -> int:
    """The multiple of `multiple` next to an amount; the amount itself where that would be nothing.

    >>> round_to_multiple(31_250, 100), round_to_multiple(31_350, 100), round_to_multiple(30, 100)
    (31200, 31400, 30)
    """
    if multiple == 1:
        return minor
    return round_ratio(minor, multiple, rounding) * multiple or minor


def apply_rate(amount_minor: int, rate: Fraction | Decimal) -> int:
    """amount × rate in whole minor units, half to even, exactly.

    >>> apply_rate(111_111, Decimal("0.023"))
    2556
    """
    numerator, denominator = rate.as_integer_ratio()
    return round_half_even(amount_minor * numerator, denominator)


def split_evenly(total: int, n: int, residue: Residue = "first") -> tuple[int, ...]:
    """Split `total` into `n` parts that sum to it: each the floor, the remainder in the first or last, or spread.

    >>> split_evenly(1000, 3, "first"), split_evenly(1000, 3, "last"), split_evenly(1001, 3, "spread")
    ((334, 333, 333), (333, 333, 334), (334, 334, 333))
    """
    if n < 1:
        raise MoneyError("n", n, "at least 1 part")
    each, rest = divmod(total, n)
    if residue == "first":
        return (each + rest,) + (each,) * (n - 1)
    if residue == "spread":
        return (each + 1,) * rest + (each,) * (n - rest)
    return (each,) * (n - 1) + (each + rest,)


def format_rate(rate: Fraction | Decimal) -> str:
    """Write a rate as a percentage: exactly where four decimals suffice, else two, half up.

    >>> format_rate(Decimal("0.24")), format_rate(Decimal("0.00575"))
    ('24%', '0.575%')
    >>> format_rate(Decimal("0.130341612345"))
    '13.03%'
    """
    numerator, denominator = rate.as_integer_ratio()
    scaled, rest = divmod(abs(numerator) * 10**6, denominator)
    if rest:
        scaled = (abs(numerator) * 2 * 10**4 + denominator) // (2 * denominator) * 100
    whole, part = divmod(scaled, 10**4)
    shown = f"{whole}.{part:04d}"
    shown = shown.rstrip("0").rstrip(".") if not rest else shown[:-2]
    sign = "-" if numerator < 0 and scaled else ""
    return f"{sign}{shown}%"

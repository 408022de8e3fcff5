"""What people read: one text in two languages, with named, typed gaps.

A sentence is written whole in each language, never assembled in one language's word order. Its gaps name
what they hold and how it is written: `{min:money}`, `{until:instant}`, `{when:time}`, `{on:date}`,
`{cap:rate}`, or plain `{n}`. A literal brace is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import Final

import msgspec

from fenqi.calendars import format_date, format_instant, format_minute
from fenqi.money import format_money, format_rate
from fenqi.problems import BadInput

__all__ = ["LOCALES", "Param", "Text", "TextError", "fill", "placeholders"]

LOCALES: Final = ("zh-CN", "en")


class TextError(BadInput):
    """A text whose gaps are malformed, or that cannot be filled with the parameters given."""


class Text(msgspec.Struct, frozen=True, rename={"zh_cn": "zh-CN"}):
    """One text in Chinese and English.

    >>> Text("分期", "Instalments").in_("en")
    'Instalments'
    """

    zh_cn: str
    en: str

    def in_(self, locale: str) -> str:
        """The text in `locale`, which is "zh-CN" or "en"."""
        if locale == "zh-CN":
            return self.zh_cn
        if locale == "en":
            return self.en
        raise TextError("locale", locale, "zh-CN or en")


Param = int | str | Decimal | Fraction | date | Text
"""What may fill a gap: minor units for money, epoch seconds (or an aware datetime) for an instant, minutes
of the day for a time, a ratio (0.24, or its decimal string) for a rate; anything for a plain gap."""

_GAP = re.compile(r"\{\{|\}\}|\{(\w+)(?::(\w+))?\}|[{}]")


def fill(
    text: Text,
    params: Mapping[str, Param],
    locale: str,
    *,
    currency: str,
    zone: str,
    year: int | None = None,
) -> str:
    """Write `text` in `locale` with its gaps filled.

    `year` is the reader's current one: dates and instants in it are written without their year. Raises
    `TextError` naming the gap that has no parameter, or one that does not fit.

    >>> low = Text("满{min:money}可用", "From {min:money}")
    >>> fill(low, {"min": 500_000}, "zh-CN", currency="CNY", zone="Asia/Shanghai")
    '满¥5,000.00可用'
    """
    first, *gaps = _compiled(text.in_(locale))
    if not gaps:
        return first.tail
    parts = [first.tail]
    for gap in gaps:
        if gap.name not in params:
            raise TextError(f"{{{gap.name}}}", "missing", f"a parameter for the text {text.in_(locale)!r}")
        value = params[gap.name]
        if gap.kind == "money":
            if type(value) is not int:
                raise _misfit(gap, value, "an amount in minor units")
            parts.append(format_money(value, currency))
        elif gap.kind == "instant":
            if type(value) is not int and not isinstance(value, datetime):
                raise _misfit(gap, value, "epoch seconds")
            parts.append(format_instant(value, zone, locale, year=year))
        else:
            parts.append(_WRITERS[gap.kind](gap, value, locale, year))
        parts.append(gap.tail)
    return "".join(parts)


@lru_cache(maxsize=4096)
def placeholders(template: str) -> Mapping[str, str]:
    """The gaps of a template: name to kind ("plain" where none is written).

    >>> dict(placeholders("From {min:money}, {n} times"))
    {'min': 'money', 'n': 'plain'}
    """
    return {gap.name: gap.kind for gap in _compiled(template)[1:]}


class _Gap(msgspec.Struct, frozen=True, gc=False):
    """A gap and the literal text after it; the first of a template has no name."""

    name: str
    kind: str
    tail: str


@lru_cache(maxsize=4096)
def _compiled(template: str) -> tuple[_Gap, ...]:
    gaps: list[_Gap] = []
    name = kind = ""
    tail: list[str] = []
    at = 0
    for found in _GAP.finditer(template):
        tail.append(template[at : found.start()])
        at = found.end()
        if found[1] is None:
            if found[0] not in ("{{", "}}"):
                raise TextError("text", template, "gaps like {min:money}", "write a brace twice")
            tail.append(found[0][0])
            continue
        gaps.append(_Gap(name, kind, "".join(tail)))
        name, kind, tail = found[1], found[2] or "plain", []
        if kind not in _KINDS:
            raise TextError(f"{{{name}:{kind}}}", kind, "one of " + ", ".join(_KINDS))
    tail.append(template[at:])
    gaps.append(_Gap(name, kind, "".join(tail)))
    return tuple(gaps)


def _misfit(gap: _Gap, value: object, expected: str) -> TextError:
    return TextError(f"{{{gap.name}:{gap.kind}}}", value, expected)


def _write_time(gap: _Gap, value: Param, locale: str, year: int | None) -> str:
    if type(value) is not int or not 0 <= value <= 1440:
        raise _misfit(gap, value, "minutes of the day, 0 to 1440")
    return format_minute(value)


def _write_date(gap: _Gap, value: Param, locale: str, year: int | None) -> str:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise _misfit(gap, value, "a date like 2026-11-23") from None
    if not isinstance(value, date):
        raise _misfit(gap, value, "a date")
    return format_date(value, locale, year=year)


def _write_rate(gap: _Gap, value: Param, locale: str, year: int | None) -> str:
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise _misfit(gap, value, "a ratio like 0.24") from None
    if isinstance(value, (Decimal, Fraction)):
        if isinstance(value, Fraction) or value.is_finite():
            return format_rate(value)
    elif type(value) is int:
        return format_rate(Fraction(value))
    raise _misfit(gap, value, "a ratio like 0.24")


def _write_plain(gap: _Gap, value: Param, locale: str, year: int | None) -> str:
    if isinstance(value, Text):
        return value.in_(locale)
    if isinstance(value, date):
        return format_date(value, locale, year=year)
    return str(value)


_WRITERS: Final[dict[str, Callable[[_Gap, Param, str, int | None], str]]] = {
    "time": _write_time,
    "date": _write_date,
    "rate": _write_rate,
    "plain": _write_plain,
}
_KINDS: Final = ("money", "instant", *_WRITERS)

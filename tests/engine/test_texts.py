"""Texts: one sentence whole in each language, its gaps typed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest

from fenqi.calendars import at_local, from_epoch
from fenqi.texts import Param, Text, TextError, fill, placeholders

SHANGHAI = "Asia/Shanghai"


def filled(template: str, locale: str = "en", **params: Param) -> str:
    return fill(Text(template, template), params, locale, currency="CNY", zone=SHANGHAI, year=2026)


def test_a_text_is_called_by_its_locale_in_json() -> None:
    text = Text("额度不足", "Line too low")
    assert msgspec.json.encode(text) == '{"zh-CN":"额度不足","en":"Line too low"}'.encode()
    assert msgspec.json.decode(msgspec.json.encode(text), type=Text) == text
    assert (text.in_("zh-CN"), text.in_("en")) == ("额度不足", "Line too low")
    with pytest.raises(TextError, match="zh-CN or en"):
        text.in_("fr")


def test_gaps_are_written_by_their_kind() -> None:
    until = at_local(date(2026, 11, 23), 120, SHANGHAI)
    assert filled("from {min:money}", min=500_000) == "from ¥5,000.00"
    assert filled("至{until:instant}", "zh-CN", until=until) == "至11月23日 02:00"
    assert filled("until {until:instant}", until=from_epoch(until, "UTC")) == "until 23 Nov 02:00"
    assert filled("daily at {when:time}", when=125) == "daily at 02:05"
    assert filled("on {on:date}", on=date(2027, 1, 2)) == "on 2 Jan 2027"
    assert filled("on {on:date}", on="2026-01-02") == "on 2 Jan"
    for cap in (Decimal("0.24"), Fraction(24, 100), "0.24"):
        assert filled("at most {cap:rate}", cap=cap) == "at most 24%"
    assert filled("{n} of {n}: {bank}", n=3, bank=Text("招行", "CMB")) == "3 of 3: CMB"


def test_each_language_has_its_own_word_order() -> None:
    text = Text("满{min:money}可分{n}期", "{n} instalments from {min:money}")
    said = {
        locale: fill(text, {"min": 30_000, "n": 3}, locale, currency="CNY", zone=SHANGHAI)
        for locale in ("zh-CN", "en")
    }
    assert said == {"zh-CN": "满¥300.00可分3期", "en": "3 instalments from ¥300.00"}


def test_a_brace_is_written_twice_and_values_are_never_templates() -> None:
    assert filled("{{{n}}}", n=1) == "{1}"
    assert filled("{name}", name="{n:money}") == "{n:money}"


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(TextError, match=r"\{until\} is missing"):
        filled("至{until:instant}可用", min=5)


@pytest.mark.parametrize("template", ["{", "}", "{}", "{a b}", "{a!r}", "{a.b}", "{a:colour}", "{{{"])
def test_a_malformed_gap_is_refused(template: str) -> None:
    with pytest.raises(TextError):
        filled(template, a=1)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("money", "5000"),
        ("money", True),
        ("money", Decimal(5)),
        ("instant", "tomorrow"),
        ("time", 1441),
        ("time", "02:00"),
        ("date", "23.11."),
        ("date", 5),
        ("rate", "much"),
        ("rate", "NaN"),
        ("rate", Text("", "")),
    ],
)
def test_a_parameter_that_does_not_fit_its_gap_is_refused(kind: str, value: Param) -> None:
    with pytest.raises(TextError, match=rf"\{{x:{kind}\}}"):
        filled(f"{{x:{kind}}}", x=value)


def test_placeholders_are_known_before_a_text_is_used() -> None:
    assert placeholders("{n} from {min:money}") == {"n": "plain", "min": "money"}
    assert placeholders("none") == {}

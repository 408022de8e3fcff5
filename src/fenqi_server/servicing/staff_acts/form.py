"""What a form of an act asks for, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from django.utils.translation import gettext

from fenqi.calendars import local_date
from fenqi.money import MoneyError, decimal_text, parse_money
from fenqi_server.days import read_day
from fenqi_server.ids import uuid7
from fenqi_server.servicing import acts, service
from fenqi_server.servicing.service import ContractView
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = ["Field", "WrongField", "amount_field", "day_field", "key_field", "no_fields", "read"]

MAX_WORDS: Final = acts.MAX_REASON
Kind = Literal["money", "text", "words", "date", "whole", "choice"]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a form asks for. `value` stands in it at first."""

    name: str
    label: str
    kind: Kind
    hint: str = ""
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    required: bool = True
    hidden: bool = False


class WrongField(ValueError):
    """A field that cannot be read; `said` says how to write it."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(said)
        self.name = name
        self.said = said


def read(fields: tuple[Field, ...], sent: Mapping[str, str], currency: str) -> dict[str, Any]:
    """The fields of a form. Raises `WrongField` of the first that cannot be read."""
    given: dict[str, Any] = {}
    for field in fields:
        text = sent.get(field.name, "").strip()
        if not text:
            if field.required:
                raise WrongField(field.name, gettext("Fill in “%(field)s”.") % {"field": field.label})
            given[field.name] = None
            continue
        given[field.name] = _read(field, text, currency)
    return given


def _read(field: Field, text: str, currency: str) -> Any:
    if field.kind == "money":
        try:
            return parse_money(text, currency, place=field.name)
        except MoneyError:
            raise WrongField(field.name, gettext("Write an amount such as 500.00.")) from None
    if field.kind == "date":
        try:
            return read_day(text)
        except ValueError:
            raise WrongField(field.name, gettext("Write a day like 2026-12-31.")) from None
    if field.kind == "whole":
        if not text.isdecimal() or len(text) > 4:
            raise WrongField(field.name, gettext("Write a whole number, such as 3."))
        return int(text)
    if field.kind == "choice" and text not in {value for value, _ in field.choices}:
        raise WrongField(field.name, gettext("Choose one of those shown."))
    longest = MAX_WORDS if field.kind == "words" else service.MAX_REFERENCE
    if len(text) > longest:
        raise WrongField(field.name, gettext("At most %(n)s characters.") % {"n": longest})
    return text


def amount_field(minor: int, found: ContractView, hint: str = "") -> Field:
    """An amount; `minor` stands in it at first, where it is more than 0."""
    shown = decimal_text(minor, found.terms.currency) if minor else ""
    return Field(name="amount", label=gettext("Amount"), kind="money", hint=hint, value=shown)


def day_field(at: datetime, found: ContractView) -> Field:
    """The day on which it happened: today at first."""
    return Field(
        name="on",
        label=gettext("When it happened"),
        kind="date",
        value=local_date(at, found.terms.zone).isoformat(),
    )


def key_field(at: datetime) -> Field:
    """A number of our own, made with the form: sent twice, it is done once."""
    return Field(name="key", label="", kind="text", value=uuid7(at).hex, hidden=True)


def no_fields(_shop: Shop, _found: ContractView, _voice: Voice, _at: datetime) -> tuple[Field, ...]:
    """An act that asks for nothing but the reason."""
    return ()

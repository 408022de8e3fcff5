"""How this shop speaks to this reader: amounts, dates and rates in the page's language and the shop's zone.

Every figure on a page goes through here, so that no template formats money and no script computes it.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

import msgspec
from django.utils.translation import get_language, gettext, ngettext, pgettext

from fenqi.calendars import format_date, format_instant, from_epoch
from fenqi.money import format_money
from fenqi.terms.disclosure import percent
from fenqi.texts import Text

__all__ = ["Voice", "locale_now"]

_DJANGO_TO_OURS: Final = {"zh-hans": "zh-CN", "en": "en"}


def locale_now() -> str:
    """The page's language, as the engine names it."""
    return _DJANGO_TO_OURS.get(get_language() or "", "zh-CN")


class Voice(msgspec.Struct, frozen=True):
    """The reader's language, with the shop's currency, zone and present instant (epoch seconds)."""

    locale: str
    currency: str
    zone: str
    at: int

    @property
    def year(self) -> int:
        return from_epoch(self.at, self.zone).year

    def text(self, text: Text) -> str:
        return text.in_(self.locale)

    def money(self, minor: int) -> str:
        return format_money(minor, self.currency)

    def day(self, on: date) -> str:
        return format_date(on, self.locale, year=self.year)

    def instant(self, at: int | datetime) -> str:
        return format_instant(at, self.zone, self.locale, year=self.year)

    def rate(self, rate_e12: int | None) -> str:
        """A yearly cost to two decimals; a word where there is none, for an undefined cost is not 0."""
        if rate_e12 is None:
            return gettext("not defined")
        return "0%" if rate_e12 == 0 else percent(rate_e12) + "%"

    def terms(self, periods: list[int]) -> str:
        """The terms of one family in a row: "3 / 6 / 12 instalments"."""
        shown = " / ".join(str(n) for n in periods)
        return ngettext("%(n)s instalment", "%(n)s instalments", max(periods)) % {"n": shown}

    def named(self, family: str, periods: int, *, at_once: bool = False) -> str:
        """One way to pay with its term: "Mall instalments × 12"."""
        if at_once:
            return family
        return pgettext("a way to pay with its number of instalments", "%(family)s × %(n)s") % {
            "family": family,
            "n": periods,
        }

    def difference(self, minor: int | None) -> str:
        """What another way costs in total, against the one that is missing."""
        if minor is None:
            return gettext("difference not known")
        if minor == 0:
            return gettext("same total")
        if minor > 0:
            return gettext("%(amount)s more in total") % {"amount": self.money(minor)}
        return gettext("%(amount)s less in total") % {"amount": self.money(-minor)}

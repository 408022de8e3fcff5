"""The time line of availability: families by days, drawn here as SVG, with the same in a table beside it.

A state has a shape and a letter; its colour is only the third sign. Where the end is not known, what lies past now is
drawn dotted: it may be over any moment.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec
from django.utils.translation import gettext, pgettext

from fenqi.calendars import at_local, local_date, to_epoch
from fenqi.policy.snapshot import Layer
from fenqi_server.console import availability
from fenqi_server.console.availability import Stretch, Way
from fenqi_server.console.home import (
    NoticeLink,
    family_name,
    layer_name,
    notice_link,
    often,
    plans_text,
    reason_line,
)
from fenqi_server.days import read_day
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = ["DAYS", "Picture", "Row", "letter_of", "picture_of", "rows_of"]

DAYS: Final = 14
LABEL, DAY, ROW, HEAD = 176, 54, 40, 44
BAR: Final = 22
LABEL_EMS: Final = 12.5
LEAST: Final = 3
"""The least width of what is off for an hour: a line one can still see."""
_LETTER_FROM: Final = 14


class Bar(msgspec.Struct, frozen=True):
    """A rectangle of the drawing. `kind` is its class and `fill` its pattern."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    fill: str
    letter: str
    letter_x: float
    letter_y: float
    title: str


class Tick(msgspec.Struct, frozen=True):
    x: float
    label_x: float
    label: str
    weekday: str
    today: bool


class Line(msgspec.Struct, frozen=True):
    """One family's row."""

    name: tuple[tuple[str, float], ...]
    y: float
    bars: tuple[Bar, ...]


class Picture(msgspec.Struct, frozen=True):
    """The whole drawing, in its own units."""

    width: int
    height: int
    label: int
    bottom: int
    ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    now_x: float | None


class Row(msgspec.Struct, frozen=True):
    """One line of the table: what was, is or will be off, and why."""

    family: str
    plans: str
    letter: str
    layer: str
    title: str
    start: str
    end: str
    often: str
    notice: NoticeLink | None


def letter_of(layer: Layer) -> str:
    """The letter that stands for a layer in the drawing."""
    return {
        "law": pgettext("letter of a layer", "L"),
        "compliance": pgettext("letter of a layer", "L"),
        "agreement": pgettext("letter of a layer", "A"),
        "maintenance": pgettext("letter of a layer", "M"),
        "health": pgettext("letter of a layer", "H"),
        "strategy": pgettext("letter of a layer", "B"),
    }.get(layer, "?")


def bounds(shop: Shop, first: date) -> tuple[int, int]:
    """The instants at which the drawing begins and ends."""
    return at_local(first, 0, shop.time_zone), at_local(first + timedelta(days=DAYS), 0, shop.time_zone)


def picture_of(shop: Shop, ways: tuple[Way, ...], first: date, now: datetime, voice: Voice) -> Picture:
    """The drawing of `DAYS` days from `first` on. Days have one width each, also where a clock is turned."""
    days = [first + timedelta(days=number) for number in range(DAYS)]
    edges = [at_local(day, 0, shop.time_zone) for day in [*days, days[-1] + timedelta(days=1)]]

    def x_of(at: int) -> float:
        for number, (begins, ends) in enumerate(pairwise(edges)):
            if at < ends:
                return round(LABEL + DAY * (number + max(0.0, (at - begins) / (ends - begins))), 1)
        return float(LABEL + DAY * DAYS)

    today = local_date(now, shop.time_zone)
    ticks = tuple(
        Tick(
            LABEL + DAY * number,
            LABEL + DAY * number + DAY / 2,
            f"{day.month}-{day.day}" if voice.locale == "en" else f"{day.month}/{day.day}",
            _weekday(day),
            day == today,
        )
        for number, day in enumerate(days)
    )
    lines = []
    for index, way in enumerate(ways):
        top = HEAD + ROW * index
        bars = tuple(_bar(stretch, x_of, top, voice) for stretch in way.stretches)
        name = family_name(way.stretches[-1].policy, way.family, voice)
        lines.append(Line(_in_two_lines(name, top + ROW / 2), top, bars))
    height = HEAD + ROW * len(ways)
    present = to_epoch(now)
    inside = edges[0] <= present < edges[-1]
    return Picture(
        LABEL + DAY * DAYS,
        height + 4,
        LABEL,
        height,
        ticks,
        tuple(lines),
        x_of(present) if inside else None,
    )


def _in_two_lines(name: str, middle: float) -> tuple[tuple[str, float], ...]:
    """A family's name beside its row, each line with where it stands; what does not fit in two is cut."""
    lines = [""]
    for word in name.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _ems(longer) > LABEL_EMS:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) == 1 and _ems(name) > LABEL_EMS:  # Chinese has no spaces to break at
        cut = next(index for index in range(len(name)) if _ems(name[: index + 1]) > LABEL_EMS)
        lines = [name[:cut], name[cut:]]
    if len(lines) > 2 or _ems(lines[-1]) > LABEL_EMS:
        lines = [lines[0], lines[1][: int(LABEL_EMS)] + "…"]
    first = middle + 4.5 - 7.5 * (len(lines) - 1)
    return tuple((line, first + 15 * number) for number, line in enumerate(lines))


def _ems(text: str) -> float:
    """About how wide a text is: a Chinese letter is one em, a Latin one a little more than half."""
    return sum(1.0 if ord(letter) > 0x2E7F else 0.56 for letter in text)


def _weekday(day: date) -> str:
    return (
        pgettext("weekday", "Mo"),
        pgettext("weekday", "Tu"),
        pgettext("weekday", "We"),
        pgettext("weekday", "Th"),
        pgettext("weekday", "Fr"),
        pgettext("weekday", "Sa"),
        pgettext("weekday", "Su"),
    )[day.weekday()]


def _bar(stretch: Stretch, x_of: object, top: float, voice: Voice) -> Bar:
    assert callable(x_of)
    x, end = x_of(stretch.start), x_of(stretch.end)
    width = round(max(end - x, 0 if stretch.state == "open" else LEAST), 1)
    y = top + (ROW - BAR) / 2
    height = float(BAR)
    if stretch.state == "open":
        y, height = top + ROW / 2 - 2, 4.0
    elif stretch.state == "partly":
        y, height = top + ROW / 2 - BAR / 4, BAR / 2
    letters = "".join(dict.fromkeys(letter_of(layer) for layer in stretch.layers))
    mark = letters + ("?" if stretch.unsure else "")
    shown = mark if width >= _LETTER_FROM + 8 * (len(mark) - 1) else ""
    return Bar(
        x,
        y,
        width,
        height,
        f"span {stretch.state}" + (" unsure" if stretch.unsure else ""),
        "" if stretch.state == "open" else "url(#dots)" if stretch.unsure else "url(#hatch)",
        shown,
        round(x + min(width, DAY) / 2, 1),
        top + ROW / 2 + 4.5,
        _title(stretch, voice),
    )


def _title(stretch: Stretch, voice: Voice) -> str:
    when = f"{voice.instant(stretch.start)} – {voice.instant(stretch.end)}"
    if stretch.state == "open":
        return f"{when}: {gettext('open')}"
    state = gettext("off") if stretch.state == "off" else gettext("off in part")
    layers = ", ".join(dict.fromkeys(layer_name(layer) for layer in stretch.layers))
    return f"{when}: {state} ({layers})"


def rows_of(ways: tuple[Way, ...], start: int, end: int, voice: Voice) -> tuple[Row, ...]:
    """The table: every reason of every family within the drawing, from when until when, and how often."""
    rows = []
    for way in ways:
        for happening in availability.happenings(way):
            policy, reason = happening.policy, happening.reason
            said = reason_line(policy, way.family, reason, happening.plans, happening.whole, voice)
            rows.append(
                Row(
                    family=said.family,
                    plans=plans_text(policy, happening.plans, happening.whole, voice),
                    letter=letter_of(reason.layer),
                    layer=said.layer,
                    title=said.title,
                    start=voice.instant(happening.start) if happening.start > start else said.since,
                    end=voice.instant(happening.end) if happening.end < end else said.until,
                    often=often(happening, end, voice),
                    notice=notice_link(policy, reason.notice, voice),
                )
            )
    return tuple(rows)


def first_day(shop: Shop, asked: str, now: datetime) -> date:
    """The first day of the drawing: six days back, or as asked for. Raises `ValueError` where that is no day near."""
    today = local_date(now, shop.time_zone)
    if not asked:
        return today - timedelta(days=6)
    day = read_day(asked)
    if abs(day - today) > timedelta(days=400):
        raise ValueError(f"{day}: the time line goes 400 days back and ahead")
    return day

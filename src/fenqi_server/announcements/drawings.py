"""Pictures drawn here, as SVG: the badge, the card of a revision, and a way to pay's last ninety days.

Everything an operator wrote is put in as text of an XML tree, never as a string of markup. Colours are attributes, for a
picture stands alone; a state has a shape or a word beside its colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

import msgspec
from django.utils.translation import gettext, ngettext

from fenqi_server.announcements.document import clean
from fenqi_server.announcements.lifecycle import Revision
from fenqi_server.announcements.wording import change_lines, kind_word, state_word, when_line
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = ["badge", "card", "wrapped"]

SVG: Final = "http://www.w3.org/2000/svg"
_FONT: Final = "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
CARD_WIDTH, CARD_HEIGHT = 1200, 630


class _Pen:
    """A drawing in the making."""

    def __init__(self, width: int, height: int, title: str, locale: str) -> None:
        self.root = ET.Element(
            "svg",
            {
                "xmlns": SVG,
                "width": str(width),
                "height": str(height),
                "viewBox": f"0 0 {width} {height}",
                "role": "img",
                "aria-labelledby": "t",
                "xml:lang": locale,
            },
        )
        self.add("title", clean(title), id="t")

    def add(self, tag: str, text: str | None = None, **attributes: object) -> ET.Element:
        made = ET.SubElement(
            self.root,
            tag,
            {name.replace("_", "-"): str(value) for name, value in attributes.items()},
        )
        made.text = text
        return made

    def write(self, text: str, x: int, y: int, size: int, fill: str, **more: object) -> None:
        self.add("text", clean(text), x=x, y=y, font_size=size, fill=fill, font_family=_FONT, **more)

    def done(self) -> bytes:
        return ET.tostring(self.root, encoding="utf-8")


def width_of(text: str) -> float:
    """About how wide a text is, in ems: a Chinese letter is one, a Latin one a little more than half."""
    return sum(1.0 if ord(letter) > 0x2E7F else 0.58 for letter in text)


def wrapped(text: str, ems: float, lines: int) -> tuple[str, ...]:
    """A text in at most so many lines; what does not fit ends in an ellipsis.

    >>> wrapped("24 instalments with Beichen Bank are paused", 12, 2)
    ('24 instalments with', 'Beichen Bank are…')
    """
    words: list[str] = []
    for word in text.split():
        if word.isascii() or width_of(word) <= ems / 3:
            words.append(word + " ")
        else:
            words += [*word, " "]
    found: list[str] = [""]
    for word in words:
        if width_of(found[-1] + word.rstrip()) > ems and found[-1]:
            if len(found) == lines:
                kept = found[-1].rstrip()
                while width_of(kept) > ems - 1:
                    kept = kept[:-1]
                found[-1] = kept + "…"
                break
            found.append("")
        found[-1] += word if found[-1] or word != " " else ""
    return tuple(line.rstrip() for line in found if line.strip())


def badge(shop: Shop, now: tuple[Revision, ...], locale: str) -> bytes:
    """How many things are off now: a word and a number, and a colour beside them."""
    label = gettext("Ways to pay")
    count = len(
        [
            each
            for each in now
            if any(impact.effect in ("paused", "limited") for impact in each.document.impacts)
            or not each.document.impacts
        ]
    )
    value = (
        ngettext("%(n)s notice in force", "%(n)s notices in force", count) % {"n": count}
        if count
        else gettext("nothing reported")
    )
    left, right = (int(width_of(text) * 11) + 16 for text in (label, value))
    pen = _Pen(left + right, 20, f"{shop.name.in_(locale)} · {label}{gettext(': ')}{value}", locale)
    pen.add("rect", width=left + right, height=20, rx=3, fill="#8a5a00" if count else "#12603a")
    pen.add("rect", width=left, height=20, rx=3, fill="#33383c")
    pen.write(label, left // 2, 14, 11, "#ffffff", text_anchor="middle")
    pen.write(value, left + right // 2, 14, 11, "#ffffff", text_anchor="middle")
    return pen.done()


class _Tone(msgspec.Struct, frozen=True):
    band: str
    mark: str


_TONES: Final = {
    "published": _Tone("#8a5a00", "!"),
    "updated": _Tone("#8a5a00", "↻"),
    "resolved": _Tone("#12603a", "✓"),
    "restored": _Tone("#12603a", "✓"),
    "retracted": _Tone("#4d545c", "×"),
}


def card(shop: Shop, revision: Revision, voice: Voice, address: str) -> bytes:
    """One revision as a picture to share: what, since and until when (old and new), and where to read the rest."""
    document = revision.document
    locale, tone = voice.locale, _TONES[revision.kind]
    title = document.title.in_(locale)
    pen = _Pen(CARD_WIDTH, CARD_HEIGHT, f"{kind_word(revision.kind)}{gettext(': ')}{title}", locale)
    pen.add("rect", width=CARD_WIDTH, height=CARD_HEIGHT, fill="#ffffff")
    pen.add("rect", width=24, height=CARD_HEIGHT, fill=tone.band)
    pen.add("circle", cx=108, cy=104, r=36, fill=tone.band)
    pen.write(tone.mark, 108, 120, 44, "#ffffff", text_anchor="middle", font_weight=700)
    state, _ = state_word(revision, voice.at)
    pen.write(f"{kind_word(revision.kind)} · {state}", 164, 116, 34, "#33383c", font_weight=600)
    y = 210
    for line in wrapped(title, 17, 2):
        pen.write(line, 72, y, 60, "#16191c", font_weight=700)
        y += 76
    for line in (*_when(revision, voice), *wrapped(document.reason.in_(locale), 31, 3)):
        pen.write(line, 72, y, 32, "#4d545c")
        y += 46
    pen.add("rect", x=72, y=562, width=CARD_WIDTH - 144, height=1, fill="#dddcd4")
    pen.write(shop.name.in_(locale), 72, 604, 28, "#16191c", font_weight=600)
    pen.write(address, CARD_WIDTH - 72, 604, 24, "#4d545c", text_anchor="end")
    return pen.done()


def _when(revision: Revision, voice: Voice) -> Iterator[str]:
    dated = {change.field for change in revision.document.changes} & {"since", "until"}
    if dated:
        yield from (
            gettext("%(name)s: %(before)s → %(after)s")
            % {"name": line.name, "before": line.before, "after": line.after}
            for line, change in zip(
                change_lines(revision.document, voice), revision.document.changes, strict=True
            )
            if change.field in dated
        )
    else:
        yield when_line(revision.document, voice)

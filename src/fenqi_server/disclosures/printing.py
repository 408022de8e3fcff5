"""A table of costs as a PDF: the same words as its page, on A4.

Chinese is set in STSong-Light, one of the fonts that a PDF may name without bringing it along: the file stays small, and its
reader has the font or replaces it. `FENQI_PDF_FONT` names a TrueType font with Chinese glyphs that is embedded instead, for
both languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, Final
from xml.sax.saxutils import escape

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext, pgettext

from fenqi_server.storefront.disclosed import TableView

__all__ = ["Setter", "check_font", "page_width", "printed", "put_together"]

_CHINESE: Final = "STSong-Light"
_LATIN: Final = "Helvetica"
_BOLD: Final = "Helvetica-Bold"
_OWN: Final = "FenqiText"
_MARGIN_MM: Final = 18


def printed(table: TableView, name: str, shop: str, locale: str, title: str) -> bytes:
    """The table as a PDF in the language that is active, which `locale` names. The same table is the same bytes."""
    from reportlab.lib.units import mm
    from reportlab.platypus import Spacer

    setter = Setter(locale)
    width = page_width()

    def gap() -> Any:
        return Spacer(0, 4 * mm)

    story: list[Any] = [
        setter.paragraph(table.heading, "title"),
        setter.paragraph(f"{title}\n{shop}", "plain"),
        gap(),
    ]
    if table.basis:
        said = pgettext("a cost and how it is reckoned", "%(name)s: %(basis)s") % {
            "name": gettext("Indicative figures"),
            "basis": table.basis,
        }
        story += [setter.paragraph(said, "plain"), gap()]
    story += [
        setter.grid(
            [[fact.name, fact.value] for fact in table.facts]
            + [[rate.label, rate.value] for rate in table.rates],
            (0.7, 0.3),
            width,
        ),
        gap(),
        setter.paragraph(gettext("What you pay when all goes as agreed"), "heading"),
        setter.grid(
            [
                [item.name, _timing(item), item.basis, item.rate, item.payee, item.amount]
                for item in table.items
            ]
            or [[gettext("None."), "", "", "", "", ""]],
            (0.15, 0.19, 0.25, 0.11, 0.16, 0.14),
            width,
            head=[
                gettext("Item"),
                gettext("When and how"),
                gettext("On what basis"),
                gettext("Annual level"),
                gettext("Received by"),
                gettext("Amount"),
            ],
        ),
        gap(),
        setter.paragraph(gettext("Only if something goes otherwise (not in the figures above)"), "heading"),
        setter.grid(
            [[item.name, item.basis, item.payee] for item in table.contingent]
            or [[gettext("None."), "", ""]],
            (0.3, 0.45, 0.25),
            width,
            head=[gettext("Item"), gettext("On what basis"), gettext("Received by")],
        ),
        gap(),
        setter.paragraph(table.nothing_else, "heading"),
        setter.paragraph(gettext("A charge that is not listed here cannot be booked."), "plain"),
        gap(),
        setter.paragraph(gettext("Layout %(version)s.") % {"version": table.version}, "small"),
        setter.paragraph(name, "small"),
    ]
    return put_together(story, title=f"{table.heading} {title}", author=shop, subject=name, locale=locale)


def page_width() -> float:
    """What a page has between its margins, in points."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm

    return float(A4[0] - 2 * _MARGIN_MM * mm)


def put_together(story: list[Any], *, title: str, author: str, subject: str, locale: str) -> bytes:
    """The paragraphs and grids of a `Setter` as a PDF on A4. The same story is the same bytes."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    out = BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN_MM * mm,
        rightMargin=_MARGIN_MM * mm,
        topMargin=_MARGIN_MM * mm,
        bottomMargin=_MARGIN_MM * mm,
        title=title,
        author=author,
        subject=subject,
        lang=locale,
        invariant=1,  # no instant of printing in it: the same story is the same file
    )
    document.build(story)
    return out.getvalue()


def _timing(item: Any) -> str:
    return f"{item.timing}\n{item.terms}" if item.terms else str(item.timing)


class Setter:
    """Sets text in one language's font."""

    def __init__(self, locale: str) -> None:
        from reportlab.lib.styles import ParagraphStyle

        own = _fonts()
        text = own or (_CHINESE if locale == "zh-CN" else _LATIN)
        strong = own or (_CHINESE if locale == "zh-CN" else _BOLD)
        self.latin = text == _LATIN
        # Chinese breaks between any two characters, English between words.
        wrap = "CJK" if locale == "zh-CN" else None
        self.styles = {
            name: ParagraphStyle(name, fontName=font, fontSize=size, leading=size * 1.4, wordWrap=wrap)
            for name, font, size in (
                ("title", strong, 16),
                ("heading", strong, 10.5),
                ("plain", text, 9.5),
                ("cell", text, 8.5),
                ("head", strong, 8.5),
                ("small", text, 7.5),
            )
        }

    def paragraph(self, text: str, style: str) -> Any:
        from reportlab.platypus import Paragraph

        marked = escape(text).replace("\n", "<br/>")
        if self.latin:
            # What the Latin font has no glyph for, such as a party's Chinese name, is set in the Chinese one.
            marked = _BEYOND_LATIN.sub(rf'<font name="{_CHINESE}">\g<0></font>', marked)
        return Paragraph(marked, self.styles[style])

    def grid(
        self,
        rows: Iterable[Sequence[str]],
        shares: Sequence[float],
        width: float,
        *,
        head: Sequence[str] | None = None,
    ) -> Any:
        from reportlab.lib import colors
        from reportlab.platypus import Table, TableStyle

        cells = [[self.paragraph(cell, "cell") for cell in row] for row in rows]
        if head is not None:
            cells.insert(0, [self.paragraph(cell, "head") for cell in head])
        look = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#bbbbbb")),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ]
        if head is not None:
            look.append(("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#f0f0f0")))
        return Table(
            cells,
            colWidths=[share * width for share in shares],
            style=TableStyle(look),
            repeatRows=0 if head is None else 1,
        )


_BEYOND_LATIN: Final = re.compile(r"[^\x00-\xff‘’“”–—…•€]+")


@lru_cache(maxsize=1)
def _fonts() -> str:
    """Make the fonts known, once; the name of the installation's own, where it has one."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))
    if not settings.FENQI_PDF_FONT:
        return ""
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    try:
        pdfmetrics.registerFont(TTFont(_OWN, settings.FENQI_PDF_FONT))
    except (TTFError, OSError) as error:
        raise ImproperlyConfigured(
            f"FENQI_PDF_FONT is {settings.FENQI_PDF_FONT}: {error}. It names a TrueType font (.ttf, or .ttc) with "
            "Chinese glyphs; fonts with PostScript outlines (most .otf) cannot be embedded."
        ) from None
    return _OWN


def check_font() -> None:
    """At the start, not at the first print: a font that cannot be used stops it. Raises `ImproperlyConfigured`."""
    if settings.FENQI_PDF_FONT:
        _fonts()

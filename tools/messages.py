"""The pages' words in Chinese: collect them, and compile what is translated.

    python tools/messages.py          write every message of the sources into the catalogue, then compile it
    python tools/messages.py --check  say what is missing, fuzzy, left over or not compiled; exit 1 if anything is

English is what the sources say; the catalogue is src/fenqi_server/locale/zh_Hans/LC_MESSAGES/django.po.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "fenqi_server"
CATALOGUE = SOURCES / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
COMPILED = CATALOGUE.with_suffix(".mo")
KEYWORDS = {
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "_": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}


def collect() -> Catalog:
    """Every message of the service's Python files and templates."""
    from django.utils.translation.template import templatize

    catalog = Catalog(charset="utf-8")
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix not in (".py", ".html", ".txt") or "migrations" in path.parts:
            continue
        text = path.read_text()
        if path.suffix != ".py":
            # A page's indentation is no Python's: the reader of Python must not stumble over it.
            text = "\n".join(line.lstrip() for line in templatize(text, origin=str(path)).split("\n"))
        where = path.relative_to(ROOT).as_posix()
        for _line, message, comments, context in extract(
            "python", io.BytesIO(text.encode()), KEYWORDS, options={"encoding": "utf-8"}
        ):
            # Without line numbers: a moved line must not change the catalogue.
            catalog.add(message, None, [(where, None)], auto_comments=comments, context=context)
    return catalog


def translated() -> Catalog:
    """The catalogue as it is."""
    if not CATALOGUE.exists():
        return Catalog(locale="zh_Hans", charset="utf-8")
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh_Hans")


def merge(found: Catalog, known: Catalog) -> Catalog:
    """The messages of the sources with their translations; nothing is guessed, nothing is kept that is not used."""
    merged = Catalog(
        locale="zh_Hans",
        charset="utf-8",
        project="Fenqi",
        fuzzy=False,
        header_comment="# The words of Fenqi's pages in Chinese. Written by tools/messages.py.",
        creation_date=datetime(2026, 11, 23, tzinfo=UTC),
        revision_date=datetime(2026, 11, 23, tzinfo=UTC),
        last_translator="Fenqi",
        language_team="Fenqi",
    )
    for message in sorted((m for m in found if m.id), key=lambda m: (m.locations[0][0], _first(m))):
        old = known.get(message.id, message.context)
        merged.add(
            message.id,
            old.string if old is not None else None,
            sorted(set(message.locations)),
            flags=message.flags - {"fuzzy"},
            context=message.context,
        )
    return merged


def problems() -> list[str]:
    """What keeps the catalogue from being complete and compiled."""
    found, known = collect(), translated()
    wrong = []
    for message in found:
        if not message.id:
            continue
        old = known.get(message.id, message.context)
        if old is None or not _complete(old):
            wrong.append(f"missing: {_first(message)!r}")
        elif old.fuzzy:
            wrong.append(f"fuzzy: {_first(message)!r}")
        elif list(old.check()):
            wrong.append(f"placeholders differ: {_first(message)!r}")
    wrong += [
        f"left over: {_first(message)!r}"
        for message in known
        if message.id and found.get(message.id, message.context) is None
    ]
    if not COMPILED.exists() or COMPILED.read_bytes() != compiled(known):
        wrong.append(f"not compiled: {COMPILED.relative_to(ROOT)}")
    return wrong


def compiled(catalog: Catalog) -> bytes:
    """The catalogue as gettext reads it."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def _complete(message: Message) -> bool:
    strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return bool(strings) and all(strings)


def _first(message: Message) -> str:
    return message.id[0] if isinstance(message.id, (tuple, list)) else message.id


def main() -> int:
    if "--check" in sys.argv[1:]:
        wrong = problems()
        print("\n".join(wrong))
        return 1 if wrong else 0
    CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
    merged = merge(collect(), translated())
    file = io.BytesIO()
    write_po(file, merged, width=110, omit_header=False)
    CATALOGUE.write_bytes(file.getvalue())
    with CATALOGUE.open("rb") as written:
        COMPILED.write_bytes(compiled(read_po(written, locale="zh_Hans")))
    missing = [_first(message) for message in merged if message.id and not _complete(message)]
    for text in missing:
        print(f"not translated: {text!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

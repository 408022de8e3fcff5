"""The console's menu: one line a page, shown to whoever may open the page.

A room that adds a page adds its line to `ENTRIES`. `roles` are those of the view's own `@allowed`; an empty tuple is
everybody who works here. The test of roles and addresses holds the two together.
"""

from __future__ import annotations

from typing import Final

import msgspec
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from fenqi_server.console.access import Staff

__all__ = ["ENTRIES", "Entry", "MenuGroup", "MenuLine", "menu_of"]


class Entry(msgspec.Struct, frozen=True):
    """One line of the menu. `label` is English, marked with `gettext_noop`; `url` is the name of an address."""

    group: str
    label: str
    url: str
    roles: tuple[str, ...] = ()


_NOW: Final = gettext_noop("Now")
_OFFER: Final = gettext_noop("What is offered")
_PEOPLE: Final = gettext_noop("Customers")
_RECORDS: Final = gettext_noop("Records")
GROUPS: Final = (_NOW, _OFFER, _PEOPLE, _RECORDS)

ENTRIES: Final[tuple[Entry, ...]] = (
    Entry(_NOW, gettext_noop("Home"), "console:home"),
    Entry(_NOW, gettext_noop("Time line"), "console:timeline"),
    Entry(_OFFER, gettext_noop("Drafts"), "console:drafts", ("author", "reviewer", "publisher", "auditor")),
    Entry(
        _OFFER,
        gettext_noop("Publications"),
        "console:history",
        ("author", "reviewer", "publisher", "auditor"),
    ),
    Entry(
        _OFFER,
        gettext_noop("Stop, pause, windows"),
        "console:acts",
        ("author", "reviewer", "publisher", "auditor"),
    ),
    Entry(_OFFER, gettext_noop("Announcements"), "console:announcements"),
    Entry(_OFFER, gettext_noop("Calendar"), "console:calendar"),
    Entry(_OFFER, gettext_noop("Funders’ health"), "console:health"),
    Entry(
        _OFFER,
        gettext_noop("Agreements"),
        "console:agreements",
        ("author", "reviewer", "publisher", "finance", "auditor"),
    ),
    Entry(
        _OFFER,
        gettext_noop("Quotas and budgets"),
        "console:budgets",
        ("author", "reviewer", "publisher", "finance", "auditor"),
    ),
    Entry(_OFFER, gettext_noop("Pilots"), "console:pilots", ("author", "reviewer", "publisher", "auditor")),
    Entry(
        _PEOPLE,
        gettext_noop("Contracts"),
        "console:contracts",
        ("support", "supervisor", "finance", "auditor"),
    ),
    Entry(
        _PEOPLE,
        gettext_noop("Requests"),
        "console:requests",
        ("support", "supervisor", "finance", "auditor"),
    ),
    Entry(
        _PEOPLE,
        gettext_noop("Unapplied cash"),
        "console:unapplied",
        ("support", "supervisor", "finance", "auditor"),
    ),
    Entry(_PEOPLE, gettext_noop("Tills"), "console:tills", ("supervisor", "finance", "auditor")),
    Entry(_PEOPLE, gettext_noop("Cases"), "console:cases", ("support", "supervisor")),
    Entry(
        _PEOPLE,
        gettext_noop("Find a check"),
        "console:find",
        ("support", "supervisor", "reviewer", "auditor"),
    ),
    Entry(_PEOPLE, gettext_noop("Special cases"), "console:overrides", ("support", "supervisor", "auditor")),
    Entry(_PEOPLE, gettext_noop("Reply templates"), "console:templates", ("support", "supervisor")),
    Entry(_RECORDS, gettext_noop("Audit log"), "console:audit", ("auditor", "admin")),
    Entry(_RECORDS, gettext_noop("Books"), "console:books", ("finance", "auditor")),
    Entry(_RECORDS, gettext_noop("Months of the book"), "console:books_months", ("finance", "auditor")),
    Entry(_RECORDS, gettext_noop("Proofs of the book"), "console:books_proofs", ("finance", "auditor")),
    Entry(_RECORDS, gettext_noop("Reconciliation"), "console:reconciliation", ("finance", "auditor")),
    Entry(_RECORDS, gettext_noop("Closed days"), "console:closings", ("finance", "auditor")),
)


class MenuLine(msgspec.Struct, frozen=True):
    label: str
    url: str
    current: bool


class MenuGroup(msgspec.Struct, frozen=True):
    label: str
    lines: tuple[MenuLine, ...]


def menu_of(staff: Staff, path: str) -> tuple[MenuGroup, ...]:
    """The menu for this person, with the line of the page at `path` marked: the longest address that leads there.

    Every page's address begins as the home's does, which is marked only when it is the page.
    """
    home = reverse("console:home")
    shown = [(entry, reverse(entry.url)) for entry in ENTRIES if not entry.roles or staff.may(*entry.roles)]
    here = max(
        (url for _, url in shown if path == url or (url != home and path.startswith(url))),
        key=len,
        default="",
    )
    groups = []
    for group in GROUPS:
        lines = tuple(
            MenuLine(gettext(entry.label), url, url == here) for entry, url in shown if entry.group == group
        )
        if lines:
            groups.append(MenuGroup(gettext(group), lines))
    return tuple(groups)

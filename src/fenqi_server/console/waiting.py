"""What waits for whom: one line a kind of work, shown to whoever may do it.

A room that has work waiting adds its source to `SOURCES`: the roles that may do it, and a function of the person and the
instant that says how much there is and where it is done. What nobody waits for is not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
from django.urls import reverse
from django.utils.translation import gettext

from fenqi.calendars import to_epoch
from fenqi_server.announcements import alarms
from fenqi_server.books import proofs
from fenqi_server.console.access import Staff
from fenqi_server.funders import agreements
from fenqi_server.policies import drafts
from fenqi_server.policies import service as policies
from fenqi_server.reconciliation import clearing
from fenqi_server.servicing import requests, unapplied
from fenqi_server.support import cases, overrides

__all__ = ["SOURCES", "Waiting", "waiting_for"]


class Waiting(msgspec.Struct, frozen=True):
    """Work that waits. `late`: it should have been done by now."""

    label: str
    count: int
    url: str
    late: bool = False


def _cases(staff: Staff, at: datetime) -> Waiting:
    return Waiting(
        gettext("Questions of customers without an answer"),
        cases.waiting(staff.shop),
        reverse("console:cases"),
    )


def _special_cases(staff: Staff, at: datetime) -> Waiting:
    """Special cases that somebody else asked for: nobody decides on their own."""
    waiting = sum(
        each.state(at) == "asked" and each.asked_by != staff.actor for each in overrides.listed(staff.shop)
    )
    return Waiting(gettext("Special cases to decide"), waiting, reverse("console:overrides"))


def _reviews(staff: Staff, at: datetime) -> Waiting:
    """Drafts that wait for one of this reviewer's layers, and that somebody else wrote."""
    waiting = sum(
        each.state == "waiting"
        and each.draft.author != staff.actor
        and not staff.layers.isdisjoint(each.missing)
        for each in drafts.listed(staff.shop, at)
    )
    return Waiting(gettext("Drafts to review"), waiting, reverse("console:drafts"))


def _to_publish(staff: Staff, at: datetime) -> Waiting:
    ready = sum(each.state == "ready" for each in drafts.listed(staff.shop, at))
    return Waiting(gettext("Drafts ready to publish"), ready, reverse("console:drafts"))


def _overdue_news(staff: Staff, at: datetime) -> Waiting:
    """Notices that promised news by an instant that has passed, and still stand."""
    now = to_epoch(at)
    try:
        notices = policies.current(staff.shop.id, at).notices.values()
    except policies.NoPolicy:
        notices = ()
    late = sum(
        notice.next_update is not None
        and notice.next_update <= now
        and (notice.until is None or notice.until > now)
        for notice in notices
    )
    return Waiting(
        gettext("Notices whose next news is overdue"), late, reverse("console:announcements"), True
    )


def _not_back(staff: Staff, at: datetime) -> Waiting:
    """Ends that came without the engine offering what was to be back."""
    late = sum(alarm.kind == "not_back" for alarm in alarms.alarms(staff.shop))
    return Waiting(
        gettext("Ways that should be back and are not"), late, reverse("console:announcements"), True
    )


def _renewals(staff: Staff, at: datetime) -> Waiting:
    """Agreements that end soon, or have ended, with nothing after them, of which nobody has taken note."""
    open_ = agreements.open_warnings(staff.shop, at)
    late = any(each.ends_at <= at for each in open_)
    return Waiting(gettext("Agreements to renew"), len(open_), reverse("console:agreements"), late)


def _breaks(staff: Staff, at: datetime) -> Waiting:
    """Breaks of statements that nobody has looked into, or that somebody else asked to clear."""
    waiting = clearing.count_for(staff.shop, staff.actor, at)
    return Waiting(gettext("Breaks of statements to clear"), waiting, reverse("console:reconciliation"))


def _requests(staff: Staff, at: datetime) -> Waiting:
    """Requests of customers, and of colleagues for more than one person may give away; one's own do not count."""
    waiting = requests.count_open(staff.shop, at, staff.actor)
    return Waiting(gettext("Requests to decide"), waiting, reverse("console:requests"))


def _unapplied(staff: Staff, at: datetime) -> Waiting:
    """Money that named no contract and waits for one."""
    return Waiting(
        gettext("Money to match to its contract"),
        unapplied.count_unmatched(staff.shop),
        reverse("console:unapplied"),
    )


def _broken_book(staff: Staff, at: datetime) -> Waiting:
    """What the newest proof of the book found, until a later one finds nothing."""
    found = proofs.standing_problems(staff.shop)
    return Waiting(
        gettext("Problems that the proof of the book found"),
        len(found),
        reverse("console:books_proofs"),
        True,
    )


Source = tuple[tuple[str, ...], Callable[[Staff, datetime], Waiting]]
SOURCES: Final[tuple[Source, ...]] = (
    (("support", "supervisor"), _cases),
    (("supervisor",), _special_cases),
    (("reviewer",), _reviews),
    (("publisher",), _to_publish),
    (("author", "publisher"), _overdue_news),
    (("author", "publisher"), _not_back),
    (("author", "publisher"), _renewals),
    (("supervisor", "finance"), _requests),
    (("supervisor", "finance"), _unapplied),
    (("finance",), _breaks),
    (("finance", "auditor"), _broken_book),
)


def waiting_for(staff: Staff, at: datetime) -> tuple[Waiting, ...]:
    """What waits for this person, the late first."""
    found = [source(staff, at) for roles, source in SOURCES if staff.may(*roles)]
    return tuple(sorted((each for each in found if each.count), key=lambda each: not each.late))

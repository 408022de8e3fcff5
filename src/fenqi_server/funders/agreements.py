"""The register of agreements: every funder's dated versions, which one is in force, and which end needs somebody.

A version is what the policy says of it; its state follows from the instant. What is kept here is only the warning: an
end that comes near without a version after it is raised once, days before, and stays until a person says that they have
seen it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
from django.db import connection, transaction

from fenqi.calendars import local_date, to_epoch
from fenqi.policy.compile import Policy
from fenqi.policy.snapshot import Agreement, Funder, versions_of
from fenqi.texts import Text
from fenqi_server.db import use_shop
from fenqi_server.policies import audit
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop

__all__ = ["State", "Version", "Warning", "open_warnings", "register", "see", "warn_due"]

State = Literal["coming", "in_force", "ending", "over"]

_log = logging.getLogger(__name__)
_DAY: Final = 86_400


class Version(msgspec.Struct, frozen=True):
    """One version of one funder's terms at an instant. `replaced`: a later one takes its place by its end."""

    funder: str
    funder_name: Text
    agreement: Agreement
    state: State
    days_left: int | None
    replaced: bool


class Warning(msgspec.Struct, frozen=True):
    """An end that somebody has to see to."""

    funder: str
    version: str
    ends_at: datetime
    raised_at: datetime
    seen_by: str | None = None
    seen_at: datetime | None = None


def register(policy: Policy, at: datetime) -> tuple[Version, ...]:
    """Every version of every funder, funder by funder in the order of the policy.

    `days_left` counts the shop's days until the first on which the version is over.
    """
    now = to_epoch(at)
    found = []
    for funder in policy.snapshot.funders:
        for version in versions_of(funder):
            left = None
            if version.valid_to is not None and version.valid_to > now:
                left = (local_date(version.valid_to, policy.zone) - local_date(now, policy.zone)).days
            state = _state(version, now, left)
            found.append(Version(funder.id, funder.name, version, state, left, _is_replaced(funder, version)))
    return tuple(found)


def _state(version: Agreement, now: int, left: int | None) -> State:
    if version.valid_from is not None and now < version.valid_from:
        return "coming"
    if version.valid_to is not None and version.valid_to <= now:
        return "over"
    return "ending" if left is not None and left <= version.renewal_warning_days else "in_force"


def _is_replaced(funder: Funder, version: Agreement) -> bool:
    """Whether another version goes on where this one ends, for everybody or for the same customers."""
    end = version.valid_to
    return end is not None and any(
        other is not version
        and (other.audience is None or other.audience == version.audience)
        and (other.valid_from is None or other.valid_from <= end)
        and (other.valid_to is None or other.valid_to > end)
        for other in versions_of(funder)
    )


def warn_due(now: datetime) -> int:
    """The worker's job: raise every end that is near and has nothing after it, each once. Returns how many are new."""
    raised = 0
    for shop in Shop.objects.order_by("created_at"):
        try:
            policy = policies.current(shop.id, now)
        except policies.NoPolicy:
            continue
        ending = [each for each in register(policy, now) if each.state == "ending" and not each.replaced]
        if not ending:
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            use_shop(shop.id)
            for each in ending:
                assert each.agreement.valid_to is not None, "what ends has an end"
                cursor.execute(
                    "INSERT INTO funders_agreement_warning (shop_id, funder, version, ends_at, raised_at)"
                    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    [
                        shop.id,
                        each.funder,
                        each.agreement.version,
                        datetime.fromtimestamp(each.agreement.valid_to, UTC),
                        now,
                    ],
                )
                if cursor.rowcount:
                    raised += 1
                    _log.warning(
                        "%s: agreement %s with %s ends in %s days and nothing follows it",
                        shop.code,
                        each.agreement.version,
                        each.funder,
                        each.days_left,
                    )
    return raised


def open_warnings(shop: Shop, at: datetime) -> tuple[Warning, ...]:
    """The warnings that nobody has seen and that still hold: the end is as it was, and nothing follows it."""
    try:
        policy = policies.current(shop.id, at)
    except policies.NoPolicy:
        return ()
    holds = {
        (each.funder, each.agreement.version, each.agreement.valid_to)
        for each in register(policy, at)
        if each.state in ("ending", "over") and not each.replaced
    }
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT funder, version, ends_at, raised_at, seen_by, seen_at FROM funders_agreement_warning"
            " WHERE shop_id = %s AND seen_at IS NULL ORDER BY ends_at, funder",
            [shop.id],
        )
        rows = [Warning(*row) for row in cursor.fetchall()]
    return tuple(row for row in rows if (row.funder, row.version, to_epoch(row.ends_at)) in holds)


def see(shop: Shop, funder: str, version: str, actor: str, at: datetime) -> bool:
    """A person takes note of a warning; False where there is none to take note of."""
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE funders_agreement_warning SET seen_by = %s, seen_at = %s"
                " WHERE shop_id = %s AND funder = %s AND version = %s AND seen_at IS NULL",
                [actor, at, shop.id, funder, version],
            )
            if not cursor.rowcount:
                return False
        audit.record(shop, actor, "agreement.warning_seen", f"agreement:{funder}/{version}", at)
    return True


def ends_within(policy: Policy, at: datetime, span: timedelta) -> tuple[Version, ...]:
    """The versions that end within a span of time, the first end first."""
    last = to_epoch(at + span)
    ending = [
        each
        for each in register(policy, at)
        if each.agreement.valid_to is not None and to_epoch(at) < each.agreement.valid_to <= last
    ]
    return tuple(sorted(ending, key=lambda each: each.agreement.valid_to or 0))

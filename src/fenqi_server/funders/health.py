"""How each funder's service is: observed, kept, overridden by a person, and told to decisions.

Every call to a funder ends in one outcome: success, refusal or unknown, with its time. An outcome is a line of the
record, and an observation of the funder's breaker (`fenqi_server.funders.breaker`). A breaker of which there is nothing
bad to remember is not written, so that a healthy funder's calls never wait for each other.

What a decision is told follows from the kept breaker and the instant alone. The worker probes a funder that is in
trouble, and one that nobody has called for a while; were it dead, deadlines would still pass, and nothing would
come back by itself: a funder counts as recovered only when a probe says so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import to_epoch
from fenqi.policy.compile import Policy
from fenqi.policy.facts import FactValue
from fenqi.problems import BadInput
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.funders.breaker import (
    FRESH,
    HEALTHS,
    Breaker,
    Kind,
    Observation,
    Override,
    Terms,
    Told,
    admit,
    advance,
    record,
    tell,
)
from fenqi_server.funders.port import (
    NoAnswer,
    Refusing,
    funder_settings,
    is_configured,
    port_of,
    shops_with_ports,
)
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.shops.models import Shop

__all__ = [
    "LONGEST_OVERRIDE",
    "TERMS",
    "BadOverride",
    "Line",
    "Standing",
    "Transition",
    "call",
    "connected",
    "end_override",
    "facts",
    "forget_caches",
    "history",
    "may_call",
    "outcomes",
    "override",
    "probe_due",
    "report",
    "standing",
]

TERMS: Final = Terms()
"""The stated thresholds and times of every funder's breaker; docs/causes.md lists them."""
LONGEST_OVERRIDE: Final = timedelta(days=14)
CACHE_SECONDS: Final = 1.0
REPORTED_MAX_AGE: Final = timedelta(days=7)
"""How long a report that no adapter renews is believed: the pretend funders report only changes."""
PROBED_MAX_AGE: Final = timedelta(minutes=5)
"""How long a probed funder counts as up without a newer outcome; then it is unknown."""
MAX_REASON: Final = 500

_log = logging.getLogger(__name__)
T = TypeVar("T")


class BadOverride(BadInput):
    """An override that cannot be: no such state, no end, no reason."""


class _Row(msgspec.Struct, frozen=True):
    """A funder's health as it is kept. Without a breaker, `state` was reported and stays as reported."""

    funder: str
    state: str
    as_of: datetime
    since: datetime | None = None
    breaker: Breaker | None = None
    override: Override | None = None
    override_by: str = ""
    override_reason: str = ""


class Standing(msgspec.Struct, frozen=True):
    """A funder as its operators see it. `machine` is what is told without the override."""

    funder: str
    told: Told | None
    machine: Told | None
    breaker: Breaker | None
    as_of: datetime | None
    override: Override | None = None
    override_by: str = ""
    override_reason: str = ""
    connected: bool = False


class Line(msgspec.Struct, frozen=True):
    """One call's end."""

    funder: str
    act: str
    kind: str
    latency_ms: int
    note: str
    recorded_at: datetime


class Transition(msgspec.Struct, frozen=True):
    """One change of what decisions are told."""

    funder: str
    state: str
    since: datetime
    until: datetime | None
    actor: str
    reason: str
    recorded_at: datetime


_COLUMNS: Final = (
    "funder, state, as_of, since, breaker::text, override_state, override_since, override_until,"
    " override_by, override_reason"
)
_cached: dict[UUID, tuple[float, tuple[_Row, ...]]] = {}
_breaker: Final[msgspec.json.Decoder[Breaker]] = msgspec.json.Decoder(Breaker)


def facts(
    shop: Shop, policy: Policy, at: datetime, *, fresh: bool = False, as_of: dict[str, int] | None = None
) -> dict[str, FactValue]:
    """What decisions are told of every funder's service at an instant; what is not there is unknown.

    Up to `CACHE_SECONDS` old, except where `fresh`. Our own book is up: it is what is answering. Into `as_of` goes when a
    service was found to be up, where the policy lets that count for a time only; trouble holds until something says otherwise.
    """
    told: dict[str, FactValue] = {}
    epoch = to_epoch(at)
    for row in _rows(shop.id, fresh):
        funder = policy.funders.get(row.funder)
        if funder is None or funder.own_book:
            continue
        found = _told(shop, row, epoch, at)
        if found is None:
            continue
        told[f"funder.{row.funder}.health"] = found.health
        if as_of is not None and found.health == "up" and f"funder.{row.funder}.health" in policy.max_ages:
            as_of[f"funder.{row.funder}.health"] = to_epoch(row.as_of)
        if found.since is not None:
            told[f"funder.{row.funder}.health_since"] = found.since
        if found.deadline is not None:
            told[f"funder.{row.funder}.health_deadline"] = found.deadline
    for funder in policy.funders.values():
        if funder.own_book:
            told[f"funder.{funder.id}.health"] = "up"
        elif not connected(shop, funder.id):
            # Told where it is not so: everywhere else it would be one more line in every record.
            told[f"funder.{funder.id}.connected"] = False
    return told


def connected(shop: Shop, funder: str) -> bool:
    """Whether there is anybody to hand a customer over to: an adapter, or in a shop that is not live a pretend funder.

    A pretend funder's page lets whoever opens it decide: a live shop would ship goods that nobody pays for.
    """
    return not shop.live or is_configured(shop, funder)


def _told(shop: Shop, row: _Row, epoch: int, at: datetime, *, overridden: bool = True) -> Told | None:
    override = row.override if overridden else None
    if override is not None and override.since <= epoch < override.until:
        return tell(FRESH, TERMS, epoch, override)
    if row.breaker is not None:
        found = tell(row.breaker, TERMS, epoch)
        # Trouble holds until a probe says otherwise; that all is well has to be fresh.
        if found.health == "up" and at - row.as_of > _max_age(shop, row.funder):
            return None
        return found
    if row.state == "unknown" or at - row.as_of > _max_age(shop, row.funder):
        return None
    since = row.since or row.as_of
    state: Any = row.state
    return Told(state, None if state == "up" else to_epoch(since))


def _max_age(shop: Shop, funder: str) -> timedelta:
    return PROBED_MAX_AGE if is_configured(shop, funder) else REPORTED_MAX_AGE


def _rows(shop_id: UUID, fresh: bool = False) -> tuple[_Row, ...]:
    known = _cached.get(shop_id)
    now = time.monotonic()
    if fresh or known is None or known[0] <= now:
        use_shop(shop_id)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM funders_health WHERE shop_id = %s", [shop_id])
            known = (now + CACHE_SECONDS, tuple(_row(found) for found in cursor.fetchall()))
        if not fresh:
            _cached[shop_id] = known
    return known[1]


def _row(found: tuple[Any, ...]) -> _Row:
    override = None
    if found[5] is not None:
        override = Override(found[5], to_epoch(found[6]), to_epoch(found[7]))
    breaker = None if found[4] is None else _breaker.decode(found[4])
    return _Row(*found[:4], breaker, override, found[8] or "", found[9] or "")


def call(shop: Shop, funder: str, act: str, at: datetime, make: Callable[[], T]) -> T:
    """Make one call to a funder and record how it ended. `Refusing` and `NoAnswer` go on to the caller."""
    kind: Kind = "success"
    note = ""
    began = time.monotonic()
    try:
        return make()
    except Refusing as refusing:
        kind, note = "refusal", str(refusing)
        raise
    except NoAnswer as silent:
        kind, note = "unknown", str(silent)
        raise
    finally:
        latency = int((time.monotonic() - began) * 1000)
        _observe(shop, funder, act, Observation(to_epoch(at), kind, latency), note, at)


def _observe(shop: Shop, funder: str, act: str, seen: Observation, note: str, at: datetime) -> None:
    def act_() -> None:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO funders_outcome (shop_id, id, funder, act, kind, latency_ms, note, recorded_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [shop.id, uuid7(at), funder, act, seen.kind, seen.latency_ms, note[:200], at],
            )
        row = _kept(shop, funder)
        known = FRESH if row is None or row.breaker is None else row.breaker
        # A report of another source gives way to what is seen.
        reported = row is not None and row.breaker is None
        stale = row is None or reported or at - row.as_of >= PROBED_MAX_AGE / 5
        if record(known, TERMS, seen) == known and not stale:
            return
        row = _kept(shop, funder, hold=True)
        known = FRESH if row is None or row.breaker is None else row.breaker
        became = record(known, TERMS, seen)
        _keep(shop, funder, row, became, at, "engine", note)

    in_transaction(act_)


def _kept(shop: Shop, funder: str, *, hold: bool = False) -> _Row | None:
    with connection.cursor() as cursor:
        if hold:
            cursor.execute(
                "INSERT INTO funders_health (shop_id, funder, state, as_of) VALUES (%s, %s, 'unknown', 'epoch')"
                " ON CONFLICT DO NOTHING",
                [shop.id, funder],
            )
        cursor.execute(
            f"SELECT {_COLUMNS} FROM funders_health WHERE shop_id = %s AND funder = %s"
            f"{' FOR UPDATE' if hold else ''}",
            [shop.id, funder],
        )
        found = cursor.fetchone()
    return None if found is None else _row(found)


def _keep(
    shop: Shop, funder: str, before: _Row | None, became: Breaker, at: datetime, actor: str, reason: str
) -> None:
    told = tell(became, TERMS, to_epoch(at))
    until = None if became.until is None else datetime.fromtimestamp(became.until, UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE funders_health SET state = %s, since = to_timestamp(%s), as_of = %s, breaker = %s"
            " WHERE shop_id = %s AND funder = %s",
            [told.health, told.since, at, msgspec.json.encode(became).decode(), shop.id, funder],
        )
    if before is None or before.state != told.health:
        since = datetime.fromtimestamp(told.since if told.since is not None else to_epoch(at), UTC)
        _note(shop, funder, told.health, since, until, actor, reason, at)
    _cached.pop(shop.id, None)


def _note(
    shop: Shop,
    funder: str,
    state: str,
    since: datetime,
    until: datetime | None,
    actor: str,
    reason: str,
    at: datetime,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO funders_transition (shop_id, id, funder, state, since, until, actor, reason, recorded_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [shop.id, uuid7(at), funder, state, since, until, actor, reason[:MAX_REASON], at],
        )


def may_call(shop: Shop, funder: str, at: datetime) -> bool:
    """Whether a customer's call may go to the funder now: not while it rests, nor while the allowed probes try it."""
    row = next((one for one in _rows(shop.id, fresh=True) if one.funder == funder), None)
    if row is None or row.breaker is None:
        return True
    return advance(row.breaker, TERMS, to_epoch(at)).state in ("closed", "checking")


def report(shop_id: UUID, funder: str, state: str, as_of: datetime) -> None:
    """A funder without an adapter says how it is: `up`, `degraded` or `down`, until it says something else."""
    use_shop(shop_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO funders_health AS h (shop_id, funder, state, as_of, since) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (shop_id, funder) DO UPDATE SET state = excluded.state, as_of = excluded.as_of,"
            " breaker = NULL, since = CASE WHEN h.state = excluded.state AND h.since IS NOT NULL THEN h.since"
            " ELSE excluded.since END",
            [shop_id, funder, state, as_of, as_of],
        )
    _cached.pop(shop_id, None)


def override(
    shop: Shop, funder: str, state: str, until: datetime, actor: str, reason: str, at: datetime
) -> Standing:
    """A person knows better than the machine, until an instant. Raises `BadOverride`.

    What the machine observes meanwhile is kept, and counts again from that instant on.
    """
    if state not in HEALTHS:
        raise BadOverride("state", state, "one of " + ", ".join(HEALTHS))
    if until <= at or until > at + LONGEST_OVERRIDE:
        raise BadOverride(
            "until",
            until.isoformat(),
            f"an instant after now, at most {LONGEST_OVERRIDE.days} days ahead",
            "an override without an end would outlive the one who remembers it",
        )
    if not reason.strip() or len(reason) > MAX_REASON:
        raise BadOverride("reason", reason[:40], f"1 to {MAX_REASON} characters", "say why, for the record")

    def act() -> None:
        use_shop(shop.id)
        _kept(shop, funder, hold=True)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE funders_health SET override_state = %s, override_since = %s, override_until = %s,"
                " override_by = %s, override_reason = %s WHERE shop_id = %s AND funder = %s",
                [state, at, until, actor, reason.strip(), shop.id, funder],
            )
        _note(shop, funder, state, at, until, actor, reason.strip(), at)
        audit.record(
            shop,
            actor,
            "health.override",
            f"funder:{funder}",
            at,
            reason=reason.strip(),
            after={"state": state, "until": until.isoformat()},
        )

    in_transaction(act)
    _cached.pop(shop.id, None)
    return standing(shop, funder, at)


def end_override(shop: Shop, funder: str, actor: str, reason: str, at: datetime) -> Standing:
    """The machine's word counts again, now."""

    def act() -> None:
        use_shop(shop.id)
        row = _kept(shop, funder, hold=True)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE funders_health SET override_state = NULL, override_since = NULL, override_until = NULL,"
                " override_by = NULL, override_reason = NULL WHERE shop_id = %s AND funder = %s",
                [shop.id, funder],
            )
        told = None if row is None else _told(shop, row, to_epoch(at), at, overridden=False)
        _note(shop, funder, "unknown" if told is None else told.health, at, None, actor, reason.strip(), at)
        audit.record(shop, actor, "health.override_end", f"funder:{funder}", at, reason=reason.strip())

    in_transaction(act)
    _cached.pop(shop.id, None)
    return standing(shop, funder, at)


def standing(shop: Shop, funder: str, at: datetime) -> Standing:
    """One funder as it stands now, with and without the override."""
    connected = is_configured(shop, funder)
    row = next((one for one in _rows(shop.id, fresh=True) if one.funder == funder), None)
    if row is None:
        return Standing(funder, None, None, None, None, connected=connected)
    epoch = to_epoch(at)
    live = row.override is not None and row.override.since <= epoch < row.override.until
    return Standing(
        funder,
        _told(shop, row, epoch, at),
        _told(shop, row, epoch, at, overridden=False),
        None if row.breaker is None else advance(row.breaker, TERMS, epoch),
        row.as_of,
        row.override if live else None,
        row.override_by if live else "",
        row.override_reason if live else "",
        connected,
    )


def history(shop: Shop, since: datetime, *, funder: str | None = None) -> tuple[Transition, ...]:
    """What changed since an instant, oldest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT funder, state, since, until, actor, reason, recorded_at FROM funders_transition"
            " WHERE shop_id = %s AND recorded_at >= %s AND (%s::text IS NULL OR funder = %s)"
            " ORDER BY recorded_at, id LIMIT 1000",
            [shop.id, since, funder, funder],
        )
        return tuple(Transition(*row) for row in cursor.fetchall())


def outcomes(shop: Shop, funder: str, *, limit: int = 20) -> tuple[Line, ...]:
    """How the latest calls to a funder ended, newest first."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT funder, act, kind, latency_ms, note, recorded_at FROM funders_outcome"
            " WHERE shop_id = %s AND funder = %s ORDER BY recorded_at DESC, id DESC LIMIT %s",
            [shop.id, funder, limit],
        )
        return tuple(Line(*row) for row in cursor.fetchall())


def probe_due(now: datetime) -> int:
    """The worker's job: probe each funder with an adapter that is in trouble, or that was not heard of for a while.

    A funder is leased before it is called, so that of several workers one probes it. Returns how many were probed.
    """
    probed, began = 0, time.monotonic()
    for code, funders in shops_with_ports().items():
        shop = Shop.objects.filter(code=code).first()
        for funder in funders if shop is not None else ():
            assert shop is not None
            port = port_of(shop, funder)
            if time.monotonic() - began >= ROUND_SECONDS:
                return probed  # the others' turn comes next: those probed now are not due again so soon
            if port is None or not _lease_probe(shop, funder, now):
                continue
            try:
                call(shop, funder, "probe", now, port.probe)
            except (Refusing, NoAnswer) as failed:
                _log.info("%s: the probe of %s failed: %s", shop.code, funder, failed)
            probed += 1
    return probed


ROUND_SECONDS: Final = 10.0
"""What hanging funders get of a round of the worker: its other jobs wait no longer for them."""
CHECK_AGAIN_SECONDS: Final = 5
"""How often a funder whose option is pending, or that is being let back in, is probed."""


def _lease_probe(shop: Shop, funder: str, now: datetime) -> bool:
    found = funder_settings(shop, funder)
    assert found is not None, "only a funder with an adapter is probed"

    def act() -> bool:
        use_shop(shop.id)
        row = _kept(shop, funder, hold=True)
        assert row is not None, "the row was made just now"
        known = FRESH if row.breaker is None else row.breaker
        breaker = advance(known, TERMS, to_epoch(now))
        every = CHECK_AGAIN_SECONDS if breaker.state != "closed" else found.probe_seconds
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT probe_at IS NULL OR probe_at <= %s FROM funders_health WHERE shop_id = %s AND funder = %s",
                [now, shop.id, funder],
            )
            due = bool(cursor.fetchone()[0])
            if not due and breaker.state != known.state:
                due = True  # what time alone has changed is worth asking about at once
            if not due:
                return False
            breaker, let = admit(breaker, TERMS, to_epoch(now))
            if row.breaker is not None or breaker != FRESH:
                # Written even where nothing may go: time alone has changed what people are told.
                _keep_quietly(shop, funder, row, breaker, now)
            if let:
                cursor.execute(
                    "UPDATE funders_health SET probe_at = %s WHERE shop_id = %s AND funder = %s",
                    [now + timedelta(seconds=every), shop.id, funder],
                )
            return let

    return in_transaction(act)


def _keep_quietly(shop: Shop, funder: str, row: _Row, breaker: Breaker, now: datetime) -> None:
    """Keep what time and the admission changed; `as_of` stays, for nothing was heard of the funder."""
    if breaker == row.breaker:
        return
    told = tell(breaker, TERMS, to_epoch(now))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE funders_health SET state = %s, since = to_timestamp(%s), breaker = %s"
            " WHERE shop_id = %s AND funder = %s",
            [told.health, told.since, msgspec.json.encode(breaker).decode(), shop.id, funder],
        )
    if row.state != told.health:
        since = datetime.fromtimestamp(breaker.since, UTC)
        until = None if breaker.until is None else datetime.fromtimestamp(breaker.until, UTC)
        _note(shop, funder, told.health, since, until, "engine", "", now)
    _cached.pop(shop.id, None)


def forget_caches() -> None:
    """Read every funder's health anew."""
    _cached.clear()

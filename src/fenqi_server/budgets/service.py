"""Spending a purse exactly once: slices leased by each process, taken from in the transaction that confirms.

Each thread of each process keeps a slice of the purse, one row that nobody else writes while there is plenty, so that
confirmations do not queue. What a slice has is decided by its row, never by what a process remembers: an amount is
taken by an UPDATE that only matches where enough is there, and CHECKs stand behind it. So the sum taken can never pass
the total (overshoot 0), whoever is killed when.

When the free money is gone, what lies unused in others' slices is called back under their locks: an order that
the purse could pay is never refused because the money is spread. A killed process's slice comes back the same way, and
at the latest when its lease is over (`reclaim_due`).

Locks go period first, then slices in order; the quick path takes its own slice alone. Purses are taken in order of
their ids.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import msgspec
from django.db import connection, transaction

from fenqi.policy.compile import Policy
from fenqi.policy.facts import FactValue
from fenqi.terms.plan import Plan
from fenqi_server.budgets.purses import Purse, purses_of, purses_of_plan
from fenqi_server.clock import system_now
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.shops.models import Shop

__all__ = [
    "LEASE_SECONDS",
    "Spent",
    "Standing",
    "facts",
    "forget_caches",
    "give_back",
    "reclaim",
    "reclaim_due",
    "reserve",
    "standings",
]

LEASE_SECONDS: Final = 60
"""How long an unused slice stays with its process; every use renews it."""
SLICES: Final = 64
"""A slice is this fraction of the whole, or the amount asked for where that is more."""
CACHE_SECONDS: Final = 1.0

_Known = dict[tuple[str, int], int]
_left: dict[UUID, tuple[float, _Known]] = {}
_process: tuple[int, UUID] | None = None


class Spent(Exception):
    """The purse does not hold what was asked of it. The caller's transaction has written nothing of it."""

    def __init__(self, purse: Purse, asked_minor: int) -> None:
        super().__init__(f"{purse.id} does not hold {asked_minor}")
        self.purse = purse
        self.asked_minor = asked_minor


class Standing(msgspec.Struct, frozen=True):
    """A purse as it stands: `used_minor` taken, `leased_minor` in slices and unused, `free_minor` in none."""

    purse: Purse
    used_minor: int
    leased_minor: int
    free_minor: int

    @property
    def left_minor(self) -> int:
        return self.leased_minor + self.free_minor


def facts(shop: Shop, policy: Policy, at: datetime, *, fresh: bool = False) -> dict[str, FactValue]:
    """What is left of each purse, as the volume that it still covers, and when it is full again.

    Up to `CACHE_SECONDS` old, except where `fresh`: a confirmation asks anew.
    """
    purses = purses_of(policy, at)
    if not purses:
        return {}
    known = _known(shop.id, at, fresh)
    told: dict[str, FactValue] = {}
    for purse in purses:
        left = known.get((purse.id, purse.starts))
        # Without a row nothing was taken yet. A total that the policy has lowered counts at once.
        used = 0 if left is None else left
        told[purse.fact] = purse.volume_minor(max(0, purse.total_minor - used))
        if purse.renews is not None:
            told[purse.renews_fact] = purse.renews
    return told


def _known(shop_id: UUID, at: datetime, fresh: bool) -> _Known:
    known = _left.get(shop_id)
    now = time.monotonic()
    if fresh or known is None or known[0] <= now:
        use_shop(shop_id)
        with connection.cursor() as cursor:
            cursor.execute(_USED, [shop_id, at])
            used = {(purse, int(starts)): int(minor) for purse, starts, minor in cursor.fetchall()}
        known = (now + CACHE_SECONDS, used)
        if not fresh:
            _left[shop_id] = known
    return known[1]


_USED: Final = """
SELECT p.purse, extract(epoch FROM p.starts_at)::bigint, coalesce(sum(s.used_minor), 0)::bigint
  FROM budgets_budget_period AS p LEFT JOIN budgets_slice AS s USING (shop_id, purse, starts_at)
 WHERE p.shop_id = %s AND (p.ends_at IS NULL OR p.ends_at > %s)
 GROUP BY p.purse, p.starts_at
"""


def reserve(
    shop: Shop,
    customer_id: UUID,
    subject: str,
    policy: Policy,
    plan: Plan,
    amount_minor: int,
    at: datetime,
    *,
    lifted: frozenset[str] = frozenset(),
) -> None:
    """Take what this confirmation costs out of every purse that its plan draws on, in the caller's transaction.

    `subject` (the confirming decision's public id) names it for `give_back`. Where a special case has `lifted` a purse's
    rule, it is granted on top: the purse pays nothing. Raises `Spent`.
    """
    assert connection.in_atomic_block, "what is taken must share the fate of what it was taken for"
    purses = purses_of_plan(policy, plan, at)
    if not purses:
        return
    use_shop(shop.id)
    transaction.on_commit(lambda: _left.pop(shop.id, None))
    for purse in purses:
        cost = purse.cost_minor(amount_minor)
        if cost == 0 or any(purse.is_of(rule) for rule in lifted):
            continue
        slice_id = _take(shop.id, purse, cost)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO budgets_consumption (shop_id, customer_id, id, subject, purse, starts_at, slice_id,"
                " amount_minor, taken_at) VALUES (%s, %s, %s, %s, %s, to_timestamp(%s), %s, %s, %s)",
                [shop.id, customer_id, uuid7(at), subject, purse.id, purse.starts, slice_id, cost, at],
            )


def _take(shop_id: UUID, purse: Purse, cost: int) -> UUID:
    name, now = _slice_name(shop_id, purse), system_now()
    until = now + timedelta(seconds=LEASE_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_slice AS s SET used_minor = s.used_minor + %(cost)s, leased_until = %(until)s"
            "  FROM budgets_budget_period AS p"
            " WHERE s.shop_id = %(shop)s AND s.id = %(id)s AND s.granted_minor - s.used_minor >= %(cost)s"
            "   AND p.shop_id = s.shop_id AND p.purse = s.purse AND p.starts_at = s.starts_at"
            "   AND p.total_minor = %(total)s",
            {"cost": cost, "until": until, "shop": shop_id, "id": name, "total": purse.total_minor},
        )
        if cursor.rowcount:
            return name
        free = _held_free(shop_id, purse)
        if free < cost:
            _call_back(shop_id, purse.id, purse.starts)
            free = _settle(shop_id, purse.id, purse.starts)
        if free < cost:
            raise Spent(purse, cost)
        grant = min(free, max(cost, purse.total_minor // SLICES))
        cursor.execute(
            "UPDATE budgets_budget_period SET free_minor = %s"
            " WHERE shop_id = %s AND purse = %s AND starts_at = to_timestamp(%s)",
            [free - grant, shop_id, purse.id, purse.starts],
        )
        cursor.execute(
            "INSERT INTO budgets_slice AS s (shop_id, id, purse, starts_at, owner, granted_minor, used_minor,"
            " leased_until) VALUES (%s, %s, %s, to_timestamp(%s), %s, %s, %s, %s)"
            " ON CONFLICT (shop_id, id) DO UPDATE SET granted_minor = s.granted_minor + excluded.granted_minor,"
            " used_minor = s.used_minor + excluded.used_minor, leased_until = excluded.leased_until",
            [shop_id, name, purse.id, purse.starts, _owner(), grant, cost, until],
        )
    return name


def _held_free(shop_id: UUID, purse: Purse) -> int:
    """The period's free money, with its row held, made now if this is the first to ask.

    A total that the policy has changed since takes effect here: what was spent stays spent.
    """
    key = [shop_id, purse.id, purse.starts]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_budget_period (shop_id, purse, starts_at, ends_at, total_minor, free_minor)"
            " VALUES (%s, %s, to_timestamp(%s), to_timestamp(%s), %s, %s) ON CONFLICT DO NOTHING",
            [*key, purse.ends, purse.total_minor, purse.total_minor],
        )
        cursor.execute(
            "SELECT total_minor, free_minor FROM budgets_budget_period"
            " WHERE shop_id = %s AND purse = %s AND starts_at = to_timestamp(%s) FOR UPDATE",
            key,
        )
        total, free = cursor.fetchone()
        if total != purse.total_minor:
            _call_back(shop_id, purse.id, purse.starts)
            cursor.execute(
                "UPDATE budgets_budget_period SET total_minor = %s"
                " WHERE shop_id = %s AND purse = %s AND starts_at = to_timestamp(%s)",
                [purse.total_minor, *key],
            )
            free = _settle(shop_id, purse.id, purse.starts)
    return int(free)


def _settle(shop_id: UUID, purse: str, starts: int) -> int:
    """Work out anew what is free: the total without what slices hold. The period is held, and so is every grant."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE budgets_budget_period AS p SET free_minor = greatest(0, p.total_minor - ("
            "  SELECT coalesce(sum(granted_minor), 0) FROM budgets_slice AS s WHERE s.shop_id = p.shop_id"
            "     AND s.purse = p.purse AND s.starts_at = p.starts_at))"
            " WHERE shop_id = %s AND purse = %s AND starts_at = to_timestamp(%s) RETURNING free_minor",
            [shop_id, purse, starts],
        )
        return int(cursor.fetchone()[0])


def _call_back(shop_id: UUID, purse: str, starts: int, *, leased_before: datetime | None = None) -> int:
    """Take back what lies unused in slices, each under its lock; the period is held. Returns from how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM budgets_slice WHERE shop_id = %s AND purse = %s AND starts_at = to_timestamp(%s)"
            " AND (%s::timestamptz IS NULL OR leased_until <= %s) ORDER BY id FOR UPDATE",
            [shop_id, purse, starts, leased_before, leased_before],
        )
        names = [row[0] for row in cursor.fetchall()]
        # A statement of its own: this one sees what those we waited for have taken.
        cursor.execute(
            "UPDATE budgets_slice SET granted_minor = used_minor"
            " WHERE shop_id = %s AND id = ANY(%s) AND granted_minor > used_minor",
            [shop_id, names],
        )
        return int(cursor.rowcount)


def give_back(shop: Shop, customer_id: UUID, subject: str, at: datetime) -> int:
    """What was taken for this subject goes back, once: the order came to nothing. Returns how much that was.

    It goes back to the period it came from. One that is over stays over: the funder's quota of yesterday is no use today.
    """

    def act() -> int:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE budgets_consumption SET given_back_at = %s WHERE customer_id = %s AND subject = %s"
                " AND given_back_at IS NULL RETURNING purse, extract(epoch FROM starts_at)::bigint, slice_id, amount_minor",
                [at, customer_id, subject],
            )
            taken = sorted(
                (purse, int(starts), name, int(minor)) for purse, starts, name, minor in cursor.fetchall()
            )
            for purse, starts, slice_id, minor in taken:
                _hold(shop.id, purse, starts)
                cursor.execute(
                    "UPDATE budgets_slice SET used_minor = used_minor - %s, granted_minor = granted_minor - %s"
                    " WHERE shop_id = %s AND id = %s",
                    [minor, minor, shop.id, slice_id],
                )
                _settle(shop.id, purse, starts)
        _left.pop(shop.id, None)
        return sum(row[3] for row in taken)

    return in_transaction(act)


def reclaim_due(now: datetime) -> int:
    """The worker's job: slices whose lease is over give back what they did not use. Returns how many did.

    Leases run by the machine's clock, whatever the demo's says.
    """
    return sum(reclaim(shop, system_now()) for shop in Shop.objects.order_by("created_at"))


def reclaim(shop: Shop, now: datetime) -> int:
    """The slices of one shop whose lease was over at `now`."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT purse, extract(epoch FROM starts_at)::bigint FROM budgets_slice"
            " WHERE shop_id = %s AND granted_minor > used_minor AND leased_until <= %s"
            " GROUP BY purse, starts_at ORDER BY purse, starts_at LIMIT 200",
            [shop.id, now],
        )
        due = cursor.fetchall()
    done = 0
    for purse, starts in due:
        with transaction.atomic():
            use_shop(shop.id)
            _hold(shop.id, purse, int(starts))
            done += _call_back(shop.id, purse, int(starts), leased_before=now)
            _settle(shop.id, purse, int(starts))
    return done


def _hold(shop_id: UUID, purse: str, starts: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM budgets_budget_period"
            " WHERE shop_id = %s AND purse = %s AND starts_at = to_timestamp(%s) FOR UPDATE",
            [shop_id, purse, starts],
        )


def standings(shop: Shop, policy: Policy, at: datetime) -> tuple[Standing, ...]:
    """Each purse of the policy as it stands now, for those who run the shop."""
    use_shop(shop.id)
    rows: dict[tuple[str, int], tuple[int, int, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.purse, extract(epoch FROM p.starts_at)::bigint, p.free_minor,"
            " coalesce(sum(s.used_minor), 0)::bigint, coalesce(sum(s.granted_minor - s.used_minor), 0)::bigint"
            " FROM budgets_budget_period AS p LEFT JOIN budgets_slice AS s USING (shop_id, purse, starts_at)"
            " WHERE p.shop_id = %s AND (p.ends_at IS NULL OR p.ends_at > %s)"
            " GROUP BY p.purse, p.starts_at, p.free_minor",
            [shop.id, at],
        )
        for purse, starts, free, used, leased in cursor.fetchall():
            rows[purse, int(starts)] = (int(used), int(leased), int(free))
    return tuple(_standing(purse, rows) for purse in purses_of(policy, at))


def _standing(purse: Purse, rows: dict[tuple[str, int], tuple[int, int, int]]) -> Standing:
    used, leased, free = rows.get((purse.id, purse.starts), (0, 0, purse.total_minor))
    return Standing(purse, used, leased, free)


def _slice_name(shop_id: UUID, purse: Purse) -> UUID:
    global _process
    if _process is None or _process[0] != os.getpid():
        # A forked process is another one: it must not go on with its parent's slices.
        _process = (os.getpid(), uuid7(system_now()))
    return uuid5(_process[1], f"{shop_id}/{purse.id}/{purse.starts}/{threading.get_ident()}")


def _owner() -> str:
    assert _process is not None, "a slice is named before it is owned"
    return f"{_process[0]}/{threading.get_ident()}"


def forget_caches() -> None:
    """Read what is left anew."""
    _left.clear()

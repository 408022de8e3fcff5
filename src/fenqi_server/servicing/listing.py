"""A shop's contracts, a page at a time, from the cached rows: no contract is replayed to be listed."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.ledger.accounts import REFUND_PAYABLE, UNAPPLIED_CASH
from fenqi.problems import BadInput
from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id, public_id
from fenqi_server.shops.models import Shop

__all__ = ["MAX_PAGE", "Asked", "Listed", "Page", "list_contracts"]

MAX_PAGE: Final = 100

Status = Literal["unconfirmed", "active", "closed"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which contracts: every condition that is set has to hold.

    `overdue`: something is past its due date on the day asked about, or nothing is. `due_before`: something not paid is
    due before that day. `unapplied`: it holds money that nothing was owed for, or none. `refund_due`: something is to be paid out to
    its customer, or nothing.
    """

    status: Status | None = None
    customer: str | None = None
    order_ref: str | None = None
    overdue: bool | None = None
    due_before: date | None = None
    unapplied: bool | None = None
    refund_due: bool | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A contract in a list. `next_*` is the oldest row not paid; `overdue_*` what is past its due date on the day.

    `unapplied_minor` is money that it holds and nothing was owed for, `refund_due_minor` what is to be paid out to its customer.
    """

    contract_id: str
    order_ref: str
    plan: str
    policy_digest: str
    status: Status
    currency: str
    created_at: datetime
    principal_outstanding_minor: int
    balance_minor: int
    overdue_minor: int
    overdue_since: date | None
    next_due_on: date | None
    next_due_minor: int
    unapplied_minor: int
    refund_due_minor: int = 0


class Page(msgspec.Struct, frozen=True):
    """Contracts, newest first. `after` is where the next page begins; None at the end."""

    contracts: tuple[Listed, ...]
    after: str | None


_LIST: Final = """
SELECT c.customer_id, c.contract_id, c.order_ref, c.terms -> 'plan' ->> 'id', c.terms ->> 'policy_digest', s.status, c.currency, c.created_at,
       s.principal_outstanding_minor, s.balance_minor, coalesce(late.minor, 0)::bigint, late.since,
       s.open_due_on[1], coalesce(s.open_minor[1], 0), held.minor, refund.minor
  FROM servicing_contract AS c
  JOIN servicing_state AS s USING (customer_id, contract_id)
  LEFT JOIN LATERAL (
       SELECT sum(o.minor) AS minor, min(o.due_on) AS since
         FROM unnest(s.open_due_on, s.open_minor) AS o (due_on, minor)
        WHERE o.due_on < %(on)s) AS late ON true
  LEFT JOIN LATERAL (
       SELECT -coalesce(sum(b.minor), 0)::bigint AS minor
         FROM unnest(s.booked_accounts, s.booked_amounts) AS b (account, minor)
        WHERE b.account = %(unapplied)s) AS held ON true
  LEFT JOIN LATERAL (
       SELECT -coalesce(sum(b.minor), 0)::bigint AS minor
         FROM unnest(s.booked_accounts, s.booked_amounts) AS b (account, minor)
        WHERE b.account = %(refund)s) AS refund ON true
"""


def list_contracts(shop: Shop, asked: Asked, on: date, *, after: str = "", limit: int = 25) -> Page:
    """The contracts asked for, newest first, from behind `after`: the last contract of the page before.

    A contract made meanwhile is newer than every page given out, and moves nothing in them. `on` is the shop's day, for
    what is overdue. Raises `fenqi.problems.BadInput` where `after` or `limit` cannot be used.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput("limit", limit, f"1 to {MAX_PAGE}")
    where = ["c.shop_id = %(shop)s"]
    values: dict[str, Any] = {
        "shop": shop.id,
        "on": on,
        "limit": limit + 1,
        "unapplied": UNAPPLIED_CASH,
        "refund": REFUND_PAYABLE,
    }
    if after:
        try:
            _, values["after"] = parse_public_id(after, "ct")
        except ValueError:
            raise BadInput("after", after[:80], "the `after` of the page before, as it was given") from None
        where.append("c.contract_id < %(after)s")
    if asked.customer is not None:
        customer_id = customers.find(shop, asked.customer)
        if customer_id is None:
            return Page((), None)
        values["customer"] = customer_id
        where.append("c.customer_id = %(customer)s")
    for name, value, condition in (
        ("status", asked.status, "s.status = %(status)s"),
        ("order_ref", asked.order_ref, "c.order_ref = %(order_ref)s"),
        ("due_before", asked.due_before, "%(due_before)s > ANY (s.open_due_on)"),
    ):
        if value is not None:
            values[name] = value
            where.append(condition)
    if asked.overdue is not None:
        where.append(f"late.since IS {'NOT ' if asked.overdue else ''}NULL")
    if asked.unapplied is not None:
        where.append(f"held.minor {'<>' if asked.unapplied else '='} 0")
    if asked.refund_due is not None:
        where.append(f"refund.minor {'<>' if asked.refund_due else '='} 0")
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_LIST} WHERE {' AND '.join(where)} ORDER BY c.contract_id DESC LIMIT %(limit)s", values
        )
        rows = cursor.fetchall()
    found = tuple([_listed(row) for row in rows[:limit]])
    return Page(found, found[-1].contract_id if len(rows) > limit else None)


def _listed(row: tuple[Any, ...]) -> Listed:
    customer_id: UUID = row[0]
    return Listed(
        contract_id=public_id("ct", customer_id, row[1]),
        order_ref=row[2],
        plan=row[3],
        policy_digest=row[4],
        status=row[5],
        currency=row[6],
        created_at=row[7],
        principal_outstanding_minor=row[8],
        balance_minor=row[9],
        overdue_minor=row[10],
        overdue_since=row[11],
        next_due_on=row[12],
        next_due_minor=row[13],
        unapplied_minor=row[14],
        refund_due_minor=row[15],
    )

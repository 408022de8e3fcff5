"""Clearing what is broken, and booking what arrived.

| Action | For | Books |
|---|---|---|
| `link` | a line of theirs and a transaction of ours, of one amount, that are one payment after all | out of suspense, out of the transit that ours was booked to |
| `suspend` | a transaction of ours that they do not have | out of transit, to suspense |
| `release` | a line of theirs that is wrong | out of suspense, out of transit |
| `accept` | a difference that stays: in suspense until somebody claims it; a date: nothing | nothing |
| `absorb` | a difference that nobody will claim | out of suspense, to the cost of providers or to other income |

What is asked for up to the break's limit is done at once; above it somebody else has to agree, and the database refuses the
row of whoever agrees with themselves. A shop run by one person alone (`single_operator`) has nobody else: there the asker may agree once
it has waited a day, visibly, as with what it gives away and sends out (`fenqi_server.servicing.requests`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid5

import msgspec
from django.db import connection

from fenqi.calendars import local_date
from fenqi.ledger.accounts import BANK, IN_TRANSIT, OTHER_INCOME, PROVIDER_FEES, SUSPENSE
from fenqi.ledger.entries import posting
from fenqi.texts import Text
from fenqi_server.books.posting import post
from fenqi_server.books.settlement import StillAdding, wait_for_earlier
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.reconciliation.importing import EVENT_KIND, hold, move, settle_down
from fenqi_server.shops.models import ALONE_WAITS, Shop

__all__ = [
    "PAGE",
    "Action",
    "BreakRow",
    "NoBreak",
    "Refusal",
    "SettlementRow",
    "actions_for",
    "arrive",
    "ask",
    "break_of",
    "breaks",
    "count_for",
    "decide",
    "partners_of",
    "settlements",
]

Action = Literal["accept", "absorb", "link", "suspend", "release"]
MAX_REASON: Final = 2000
PAGE: Final = 50


class NoBreak(LookupError):
    """No break of this shop has the id."""


class Refusal(Exception):
    """It cannot be cleared so, and nothing was written. `code`: bad_reason, bad_action, bad_partner, not_open, not_asked,
    own_request, unknown_settlement, breaks_open, nothing_arrived."""

    def __init__(self, code: str, text: Text) -> None:
        super().__init__(f"{code}: {text.en}")
        self.code = code
        self.text = text


class BreakRow(msgspec.Struct, frozen=True, kw_only=True):
    """A break with the last that was asked about it, and the lines that it is about."""

    id: UUID
    settlement: str
    kind: str
    state: str
    statement_id: UUID | None
    number: int | None
    customer_id: UUID | None
    transaction_id: UUID | None
    ours_minor: int
    theirs_minor: int
    at_stake_minor: int
    limit_minor: int
    currency: str
    opened_at: datetime
    closed_at: datetime | None
    cleared_break_id: UUID | None
    their_reference: str | None
    their_on: date | None
    our_reference: str | None
    our_on: date | None
    ask_number: int | None
    action: str | None
    other_id: UUID | None
    reason: str | None
    asked_by: str | None
    asked_at: datetime | None
    alone: bool | None
    verdict: str | None
    decided_by: str | None
    note: str | None

    @property
    def difference_minor(self) -> int:
        return self.theirs_minor - self.ours_minor

    @property
    def needs_second(self) -> bool:
        """Whether one person is not enough."""
        return self.at_stake_minor > self.limit_minor

    @property
    def waits_until(self) -> datetime | None:
        """From when on whoever asked may agree themselves; None where only somebody else may, or nobody asked."""
        return self.asked_at + ALONE_WAITS if self.asked_at and self.alone and self.needs_second else None

    def may_agree(self, actor: str, at: datetime) -> bool:
        """Whether this person may agree to what was asked now."""
        if not self.needs_second or actor.lower() != (self.asked_by or "").lower():
            return True
        return self.waits_until is not None and at >= self.waits_until

    @property
    def lone(self) -> bool:
        """Whether it has a line on one side only."""
        return self.statement_id is None or self.transaction_id is None


class SettlementRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that has a statement. `in_transit_minor` is what of it has not arrived, `fee_minor` what of that is a fee."""

    settlement: str
    statements: int
    lines: int
    matched: int
    open_breaks: int
    amount_minor: int
    fee_minor: int
    in_transit_minor: int
    currency: str
    arrived: bool


_BREAKS: Final = """
SELECT b.id, b.settlement, b.kind, b.state, b.statement_id, b.number, b.customer_id, b.transaction_id, b.ours_minor,
       b.theirs_minor, b.at_stake_minor, b.limit_minor, b.currency, b.opened_at, b.closed_at, b.cleared_break_id,
       l.reference AS their_reference, l.happened_on AS their_on, t.reference AS our_reference, t.occurred_on AS our_on,
       c.number AS ask_number, c.action, c.other_id, c.reason, c.asked_by, c.asked_at, c.alone, d.verdict, d.decided_by, d.note
  FROM reconciliation_break AS b
  LEFT JOIN reconciliation_line AS l ON l.shop_id = b.shop_id AND l.statement_id = b.statement_id AND l.number = b.number
  LEFT JOIN books_transaction AS t ON t.customer_id = b.customer_id AND t.transaction_id = b.transaction_id
  LEFT JOIN LATERAL (SELECT * FROM reconciliation_clearing AS x WHERE x.shop_id = b.shop_id AND x.break_id = b.id
                      ORDER BY x.number DESC LIMIT 1) AS c ON true
  LEFT JOIN reconciliation_decision AS d ON d.shop_id = b.shop_id AND d.break_id = b.id AND d.number = c.number
 WHERE b.shop_id = %s
"""


def _rows(sql: str, values: list[Any]) -> list[BreakRow]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [
            BreakRow(**dict(zip(BreakRow.__struct_fields__, row, strict=True))) for row in cursor.fetchall()
        ]


def breaks(
    shop: Shop, *, waiting: bool = True, settlement: str = "", after: UUID | None = None
) -> list[BreakRow]:
    """Breaks, the oldest first: those that wait for somebody, or those that are done; `PAGE` and one more, from `after` on."""
    use_shop(shop.id)
    sql, values = _BREAKS, [shop.id]
    sql += " AND b.state IN ('open', 'asked')" if waiting else " AND b.state IN ('cleared', 'resolved')"
    if settlement:
        sql += " AND b.settlement = %s"
        values.append(settlement)
    if after is not None:
        sql += " AND b.id > %s"
        values.append(after)
    return _rows(f"{sql} ORDER BY b.id LIMIT %s", [*values, PAGE + 1])


def break_of(shop: Shop, break_id: UUID) -> BreakRow:
    """One break. Raises `NoBreak`."""
    use_shop(shop.id)
    found = _rows(f"{_BREAKS} AND b.id = %s", [shop.id, break_id])
    if not found:
        raise NoBreak(f"shop {shop.code} has no break {break_id}")
    return found[0]


def partners_of(shop: Shop, each: BreakRow) -> list[BreakRow]:
    """Open breaks on the other side, of the same money: what it may be linked with."""
    if not each.lone:
        return []
    side = "transaction_id" if each.statement_id else "statement_id"
    other = "statement_id" if each.statement_id else "transaction_id"
    minor = each.theirs_minor + each.ours_minor
    sql = (
        f"{_BREAKS} AND b.state = 'open' AND b.{side} IS NOT NULL AND b.{other} IS NULL"
        " AND b.ours_minor + b.theirs_minor = %s AND b.currency = %s ORDER BY b.id LIMIT 50"
    )
    return _rows(sql, [shop.id, minor, each.currency])


def count_for(shop: Shop, actor: str, at: datetime) -> int:
    """How many breaks wait for this person: those nobody has asked about, and those that somebody else asked to clear, or they alone
    a day ago."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM reconciliation_break AS b WHERE b.shop_id = %s AND (b.state = 'open' OR (b.state = 'asked'"
            " AND (SELECT lower(c.asked_by) <> lower(%s) OR (c.alone AND c.asked_at <= %s) FROM reconciliation_clearing AS c"
            " WHERE c.shop_id = b.shop_id AND c.break_id = b.id ORDER BY c.number DESC LIMIT 1)))",
            [shop.id, actor, at - ALONE_WAITS],
        )
        return int(cursor.fetchone()[0])


def actions_for(each: BreakRow) -> tuple[Action, ...]:
    """What can be asked for."""
    if each.statement_id is None:
        return ("link", "suspend")
    if each.transaction_id is None:
        return ("link", "accept", "release")
    return ("absorb", "accept", "release") if each.difference_minor else ("accept",)


def ask(
    shop: Shop,
    break_id: UUID,
    action: str,
    reason: str,
    *,
    actor: str,
    at: datetime,
    other: UUID | None = None,
) -> BreakRow:
    """Ask to clear a break; up to its limit, it is cleared with that. Raises `NoBreak`, `Refusal`."""
    why = reason.strip()
    if not 1 <= len(why) <= MAX_REASON:
        raise Refusal(
            "bad_reason",
            Text(
                f"请写明理由（1 至 {MAX_REASON} 个字）。", f"Give a reason of 1 to {MAX_REASON} characters."
            ),
        )

    def act() -> BreakRow:
        hold(shop, at)
        each = break_of(shop, break_id)
        if each.state != "open":
            raise Refusal(
                "not_open",
                Text(
                    "这条差异已有人处理。", "Somebody has asked to clear this break already, or it is closed."
                ),
            )
        if action not in actions_for(each):
            raise Refusal(
                "bad_action",
                Text("这类差异不能这样处理。", "A break of this kind is not cleared in this way."),
            )
        partner = None
        if action == "link":
            partner = next((row for row in partners_of(shop, each) if row.id == other), None)
            if partner is None:
                raise Refusal(
                    "bad_partner",
                    Text(
                        "请选择对方一侧金额相同、尚未处理的一条差异。",
                        "Choose an open break of the other side with the same amount.",
                    ),
                )
        number = (each.ask_number or 0) + 1
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO reconciliation_clearing (shop_id, break_id, number, action, other_id, reason, at_stake_minor,"
                " limit_minor, asked_by, asked_at, alone) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    shop.id,
                    each.id,
                    number,
                    action,
                    partner.id if partner else None,
                    why,
                    each.at_stake_minor,
                    each.limit_minor,
                    actor,
                    at,
                    shop.single_operator,
                ],
            )
            cursor.execute(
                "UPDATE reconciliation_break SET state = 'asked' WHERE shop_id = %s AND id = %s",
                [shop.id, each.id],
            )
        audit.record(
            shop,
            actor,
            "break.ask",
            f"break:{each.id}",
            at,
            reason=why,
            after={"action": action, "kind": each.kind, "at_stake_minor": each.at_stake_minor},
        )
        if not each.needs_second:
            return _decide(shop, break_id, "approve", "", actor, at)
        return break_of(shop, break_id)

    return in_transaction(act)


def decide(
    shop: Shop,
    break_id: UUID,
    verdict: Literal["approve", "refuse"],
    *,
    actor: str,
    at: datetime,
    note: str = "",
) -> BreakRow:
    """Agree with what was asked, which is done with it, or refuse it. Raises `NoBreak`, `Refusal`."""
    said = note.strip()
    if len(said) > MAX_REASON or (verdict == "refuse" and not said):
        raise Refusal(
            "bad_reason",
            Text(
                f"请写明理由（1 至 {MAX_REASON} 个字）。", f"Give a reason of 1 to {MAX_REASON} characters."
            ),
        )

    def act() -> BreakRow:
        hold(shop, at)
        return _decide(shop, break_id, verdict, said, actor, at)

    return in_transaction(act)


def _decide(shop: Shop, break_id: UUID, verdict: str, note: str, actor: str, at: datetime) -> BreakRow:
    each = break_of(shop, break_id)
    if each.state != "asked" or each.ask_number is None or each.asked_by is None:
        raise Refusal("not_asked", Text("没有等待审批的处理申请。", "Nothing is asked about this break."))
    if verdict == "approve" and not each.may_agree(actor, at):
        raise Refusal(
            "own_request",
            Text(
                "金额超过限额，须由另一人审批；只有一名员工的店铺须等待24小时。",
                "The amount is above the limit: somebody else has to agree, or, in a shop of one person, a day has to go by.",
            )
            if each.alone
            else Text(
                "金额超过限额，须由另一人审批。", "The amount is above the limit: somebody else has to agree."
            ),
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reconciliation_decision (shop_id, break_id, number, asked_by, asked_at, alone, at_stake_minor, limit_minor,"
            " verdict, decided_by, decided_at, note) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                shop.id,
                each.id,
                each.ask_number,
                each.asked_by,
                each.asked_at,
                each.alone,
                each.at_stake_minor,
                each.limit_minor,
                verdict,
                actor,
                at,
                note,
            ],
        )
        if verdict == "refuse":
            cursor.execute(
                "UPDATE reconciliation_break SET state = 'open' WHERE shop_id = %s AND id = %s",
                [shop.id, each.id],
            )
        else:
            _clear(cursor, shop, each, at)
    audit.record(
        shop,
        actor,
        f"break.{verdict}",
        f"break:{each.id}",
        at,
        reason=note,
        before={"state": each.state, "asked_by": each.asked_by, "action": each.action},
        after={"at_stake_minor": each.at_stake_minor},
    )
    return break_of(shop, break_id)


def _clear(cursor: Any, shop: Shop, each: BreakRow, at: datetime) -> None:
    closed = [each.id]
    name, said = uuid5(each.id, "cleared"), f"break {each.id}"
    if each.action == "suspend":
        move(shop, each.settlement, -each.ours_minor, name, said, at)
    elif each.action == "release":
        move(shop, each.settlement, -each.difference_minor, name, said, at)
    elif each.action == "absorb":
        _absorb(shop, each, name, said, at)
    elif each.action == "link":
        assert each.other_id is not None
        partner = break_of(shop, each.other_id)
        if partner.state != "open":
            raise Refusal(
                "bad_partner",
                Text("所选的另一条差异已被处理。", "The break to link with is not open any more."),
            )
        closed.append(partner.id)
        theirs, ours = (each, partner) if each.statement_id else (partner, each)
        cursor.execute(
            "INSERT INTO reconciliation_match (shop_id, statement_id, number, customer_id, transaction_id, matched_by,"
            " matched_at) VALUES (%s, %s, %s, %s, %s, 'person', %s)",
            [shop.id, theirs.statement_id, theirs.number, ours.customer_id, ours.transaction_id, at],
        )
        # Their line put the money in transit against suspense: it is the money that ours has in transit.
        move(shop, ours.settlement, -ours.ours_minor, name, said, at)
    cursor.execute(
        "UPDATE reconciliation_break SET state = 'cleared', closed_at = %s, cleared_break_id = %s, cleared_by_number = %s"
        " WHERE shop_id = %s AND id = ANY (%s)",
        [at, each.id, each.ask_number, shop.id, closed],
    )


def _absorb(shop: Shop, each: BreakRow, event_id: UUID, reference: str, at: datetime) -> None:
    """Take a difference out of suspense: less than was booked is a cost, more is income."""
    more = each.difference_minor
    entries = posting({SUSPENSE: more, OTHER_INCOME if more > 0 else PROVIDER_FEES: -more}, {})
    assert entries is not None, "a break without a difference is not absorbed"
    today = local_date(at, shop.time_zone)
    post(
        shop_id=shop.id,
        customer_id=customers.house(shop, "suspense", at),
        event_id=event_id,
        event_kind=EVENT_KIND,
        entries=entries,
        currency=each.currency,
        occurred_on=today,
        recorded_at=at,
        booked_on=today,
        settlement=each.settlement,
        reference=reference,
    )


_SETTLEMENTS: Final = """
SELECT s.settlement, count(*)::int, sum(s.lines)::int,
       (SELECT count(*)::int FROM reconciliation_match AS m JOIN reconciliation_statement AS x
            ON x.shop_id = m.shop_id AND x.id = m.statement_id WHERE x.shop_id = %(shop)s AND x.settlement = s.settlement),
       (SELECT count(*)::int FROM reconciliation_break AS b WHERE b.shop_id = %(shop)s AND b.settlement = s.settlement
           AND b.state IN ('open', 'asked')),
       sum(s.amount_minor)::bigint, coalesce(sum(s.fee_minor) FILTER (WHERE s.arrived_at IS NULL), 0)::bigint,
       (SELECT coalesce(sum(e.amount_minor), 0)::bigint FROM books_entry AS e WHERE e.shop_id = %(shop)s
           AND e.settlement = s.settlement AND e.account = 1020 AND e.currency = s.currency),
       s.currency, bool_and(s.arrived_at IS NOT NULL)
  FROM reconciliation_statement AS s
 WHERE s.shop_id = %(shop)s AND (%(named)s = '' OR s.settlement = %(named)s)
 GROUP BY s.settlement, s.currency
 ORDER BY max(s.imported_at) DESC, s.settlement
 LIMIT 60
"""


def settlements(shop: Shop, *, named: str = "") -> list[SettlementRow]:
    """Batches that have a statement, the newest first; `named` is one of them."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(_SETTLEMENTS, {"shop": shop.id, "named": named})
        return [
            SettlementRow(**dict(zip(SettlementRow.__struct_fields__, row, strict=True)))
            for row in cursor.fetchall()
        ]


def arrive(shop: Shop, settlement: str, *, actor: str, at: datetime) -> int:
    """The batch arrived at the bank: book it, and return what the bank got.

    All of it leaves transit: what the provider kept is its fee, and the bank's balance is what the bank holds. Raises `Refusal`.
    """

    if not settlement or not settlements(shop, named=settlement):
        raise Refusal(
            "unknown_settlement",
            Text("没有这个结算批次的对账单。", "No statement of this settlement was imported."),
        )

    def look() -> None:
        hold(shop, at)
        settle_down(shop, settlement, at)

    # Something may have been booked since the last look. What that breaks stays open, also where it stops the arrival.
    in_transaction(look)

    def act() -> int:
        try:
            wait_for_earlier()
        except StillAdding:
            raise Refusal(
                "still_adding",
                Text(
                    "仍有交易正在入账，请稍后重试。",
                    "Something is still being booked: try again in a moment.",
                ),
            ) from None
        hold(shop, at)
        # Once more: nothing that was booked in between is let through.
        settle_down(shop, settlement, at)
        row = settlements(shop, named=settlement)[0]
        if row.open_breaks:
            raise Refusal(
                "breaks_open",
                Text(
                    f"还有 {row.open_breaks} 条差异没有处理，全部处理后才能入账。",
                    f"Breaks open: {row.open_breaks}. Clear them all first.",
                ),
            )
        if row.arrived and not row.in_transit_minor:
            raise Refusal("nothing_arrived", Text("这个批次已经入账。", "This settlement is booked already."))
        net = row.in_transit_minor - row.fee_minor
        after = {BANK: net, IN_TRANSIT: -row.in_transit_minor, PROVIDER_FEES: row.fee_minor}
        entries = posting(after, {})
        today = local_date(at, shop.time_zone)
        if entries is not None:
            post(
                shop_id=shop.id,
                customer_id=customers.house(shop, "settlement", at),
                event_id=uuid7(at),
                event_kind="settlement",
                entries=entries,
                currency=row.currency,
                occurred_on=today,
                recorded_at=at,
                booked_on=today,
                settlement=settlement,
                reference=settlement,
            )
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE reconciliation_statement SET arrived_at = %s"
                " WHERE shop_id = %s AND settlement = %s AND arrived_at IS NULL",
                [at, shop.id, settlement],
            )
        audit.record(
            shop,
            actor,
            "settlement.arrive",
            f"settlement:{settlement}",
            at,
            after={"bank_minor": net, "fee_minor": row.fee_minor, "currency": row.currency},
        )
        return net

    return in_transaction(act)

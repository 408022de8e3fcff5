"""Goods that go back, and what is paid out for them.

What a return does to each row is shown first (`preview_return`) and done then (`confirm_return`), by one reckoning. What it
settles, whether a paid fee comes back, and what becomes of the fee that is not paid is agreed in the contract
(`fenqi.terms.agreed.ReturnTerms`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec

from fenqi.calendars import local_date, to_epoch
from fenqi.contracts.contract import ContractState, RowState
from fenqi.contracts.events import Event, GoodsReturned, RefundPaid
from fenqi.contracts.explanation import RowChange, explain
from fenqi.problems import BadInput
from fenqi_server.servicing import acts
from fenqi_server.servicing.acts import Acted
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = ["Returned", "act_of_return", "confirm_return", "of", "preview_return", "refund_paid"]


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What a return does: rows before and after, and where its price goes.

    `amount_minor` = `settled_minor` (comes off what is owed) + what was paid of it, of which only money is paid out. `fee_let_go_minor` is fee that was not paid and is
    not asked for any more, `fee_returned_minor` fee that was paid and comes back. `refund_minor` is what is paid out for this
    return, `refund_due_minor` everything that is to be paid out then. `view` is None for what was only asked about.
    """

    contract_id: str
    return_id: str
    amount_minor: int
    settled_minor: int
    fee_let_go_minor: int
    fee_returned_minor: int
    refund_minor: int
    refund_due_minor: int
    balance_before_minor: int
    balance_after_minor: int
    rows_before: tuple[RowState, ...]
    rows_after: tuple[RowState, ...]
    changes: tuple[RowChange, ...]
    currency: str
    view: ContractView | None = None
    repeated: bool = False


def preview_return(
    shop: Shop,
    contract: str,
    amount_minor: int,
    at: datetime,
    *,
    for_other_sellers_minor: int = 0,
    on: date | None = None,
) -> Returned:
    """What returning goods of this price would do. Nothing is written. Raises `NoContract`, `Refusal`, `BadInput`."""
    today = local_date(at, shop.time_zone)
    _check(shop, amount_minor, for_other_sellers_minor)
    stored = acts.seen(shop, contract)
    event = GoodsReturned(
        seq=len(stored.events) + 1,
        occurred_on=on or today,
        recorded_at=to_epoch(at),
        return_id=acts.NOBODYS,
        amount_minor=amount_minor,
        for_other_sellers_minor=for_other_sellers_minor,
        goodwill="taken_back",
    )
    before = stored.latest(today)
    return _returned(stored.public_id, event, before, acts.foretold(stored, event, today), return_id="")


def confirm_return(
    shop: Shop,
    contract: str,
    return_id: str,
    amount_minor: int,
    at: datetime,
    *,
    for_other_sellers_minor: int = 0,
    on: date | None = None,
    actor: str = "",
    reason: str = "",
) -> Returned:
    """Goods came back: book it. `return_id` is the shop's number of the return, and is booked once.

    Raises `NoContract`, `Refusal` (more than was bought; the number used for another return), `BadInput`.
    """
    done = act_of_return(
        shop,
        contract,
        return_id,
        amount_minor,
        at,
        for_other_sellers_minor=for_other_sellers_minor,
        on=on,
        actor=actor,
        reason=reason,
    )
    return of(done)


def act_of_return(
    shop: Shop,
    contract: str,
    return_id: str,
    amount_minor: int,
    at: datetime,
    *,
    for_other_sellers_minor: int = 0,
    on: date | None = None,
    actor: str = "",
    reason: str = "",
) -> Acted:
    """As `confirm_return`, told as an act."""
    acts.named(return_id, "return_id")
    _check(shop, amount_minor, for_other_sellers_minor)

    def make(_: Stored, dates: dict[str, Any]) -> Event:
        return GoodsReturned(
            **dates,
            return_id=return_id,
            amount_minor=amount_minor,
            for_other_sellers_minor=for_other_sellers_minor,
            goodwill="taken_back",
        )

    return acts.perform(shop, contract, at, make, on=on, actor=actor, reason=reason)


def of(done: Acted) -> Returned:
    """What a return that was done came to."""
    event = done.event
    assert isinstance(event, GoodsReturned)
    found = _returned(done.view.contract_id, event, done.before, done.after, return_id=event.return_id)
    return msgspec.structs.replace(found, view=done.view, repeated=done.repeated)


def refund_paid(
    shop: Shop,
    contract: str,
    refund_id: str,
    amount_minor: int,
    at: datetime,
    *,
    settlement: str | None = None,
    channel: str = "bank",
    on: date | None = None,
    actor: str = "",
    reason: str = "",
) -> Acted:
    """What the customer had to get back was paid out. `settlement` is the batch that it leaves with.

    Raises `NoContract`, `Refusal` where more than is due is to be refunded, `BadInput`.
    """
    acts.named(refund_id, "refund_id")
    acts.money(amount_minor, shop.currency)
    today = local_date(at, shop.time_zone)

    def make(_: Stored, dates: dict[str, Any]) -> Event:
        return RefundPaid(
            **dates,
            refund_id=refund_id,
            amount_minor=amount_minor,
            settlement=settlement or f"{channel}:{today}",
        )

    return acts.perform(shop, contract, at, make, on=on, actor=actor, reason=reason)


def _check(shop: Shop, amount_minor: int, others_minor: int) -> None:
    acts.money(amount_minor, shop.currency)
    if not 0 <= others_minor <= amount_minor:
        raise BadInput("for_other_sellers_minor", others_minor, f"0 to {amount_minor}")


def _returned(
    contract_id: str, event: GoodsReturned, before: ContractState, after: ContractState, *, return_id: str
) -> Returned:
    sums: dict[str, int] = {}
    for each in after.movements:
        if each.event_seq == event.seq:
            sums[each.kind] = sums.get(each.kind, 0) + each.amount_minor
    return Returned(
        contract_id=contract_id,
        return_id=return_id,
        amount_minor=event.amount_minor,
        settled_minor=sums.get("returned", 0) + sums.get("returned_for_others", 0) + sums.get("goodwill", 0),
        fee_let_go_minor=_costs(before.rows) - _costs(after.rows),
        fee_returned_minor=sums.get("fee_returned", 0) + sums.get("interest_returned", 0),
        refund_minor=after.refund_due_minor - before.refund_due_minor,
        refund_due_minor=after.refund_due_minor,
        balance_before_minor=before.balance_minor,
        balance_after_minor=after.balance_minor,
        rows_before=before.rows,
        rows_after=after.rows,
        changes=explain(before, after).rows,
        currency=after.currency,
    )


def _costs(rows: tuple[RowState, ...]) -> int:
    return sum(row.fee_minor + row.interest_minor for row in rows)

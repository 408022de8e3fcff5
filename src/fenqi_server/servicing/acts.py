"""What is done to a contract besides being paid: shipped, cancelled, moved to another due day, charged, forgiven, given up.

Every act is one event in one transaction (`perform`): the customer and the contract are held, the event is added, what it comes to
is booked, the shop is told. An act with a number of its own (a refund, a charge) is done once whatever is asked how often; one
without is done once a day. What the core refuses comes out as a `Refusal` with state, rule and way out in both languages.

What is given away, charged or called due is done by somebody and for a reason: both go into the audit log with the act.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from fenqi.calendars import format_date, local_date, to_epoch
from fenqi.contracts.acts.dates import check_days
from fenqi.contracts.contract import ContractState, RowState
from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    BoughtOut,
    Cancelled,
    Charged,
    DepositReleased,
    DueDayChanged,
    Event,
    EventRefused,
    GoodsReturned,
    GoodwillGranted,
    HandedOver,
    Inspected,
    Instruction,
    LeaseReturned,
    PaidBack,
    Paused,
    PledgeReleased,
    ReAged,
    ReAmortised,
    Recovered,
    Shipped,
    Waived,
    WrittenOff,
    encode_event,
)
from fenqi.money import check_minor, format_money
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.customers import service as customers
from fenqi_server.days import FIRST
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.outbox.service import enqueue
from fenqi_server.policies import audit
from fenqi_server.reminders import ending
from fenqi_server.servicing import service, storage
from fenqi_server.servicing.refusals import refusal_of
from fenqi_server.servicing.service import MAX_REFERENCE, ContractView, NoContract, Refusal
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = [
    "DAYS_BETWEEN_DUE_DAYS",
    "LATE_CHARGE",
    "MAX_REASON",
    "NOBODYS",
    "PAID_BACK",
    "Acted",
    "DueDayPreview",
    "MovedRow",
    "accelerate",
    "cancel",
    "change_due_day",
    "charge",
    "goodwill",
    "hold",
    "instruct",
    "pause",
    "pay_back",
    "perform",
    "preview_due_day",
    "re_age",
    "re_amortise",
    "recover",
    "ship",
    "waive",
    "write_off",
]

MAX_REASON: Final = 2000
PAID_BACK: Final = "back:"
"""Before the number of a transfer by which money that had paid rows went back."""
DAYS_BETWEEN_DUE_DAYS: Final = 180
"""A customer moves the due day at most this often: each move may put one instalment off by up to a month."""
NOBODYS: Final = "\x00"
"""The number of what is only looked at: with U+0000, which nobody can send and nothing can store, it is never a real one's."""
TOLD_AS: Final[dict[str, str]] = {
    "shipped": "contract.shipped",
    "cancelled": "contract.cancelled",
    "goods_returned": "contract.goods_returned",
    "refund_paid": "contract.refund_paid",
    "paid_back": "contract.paid_back",
    "payoff_quoted": "contract.payoff_quoted",
    "due_day_changed": "contract.due_day_changed",
    "allocated_by_instruction": "contract.reallocated",
    "goodwill": "contract.goodwill_granted",
    "charged": "contract.charged",
    "waived": "contract.waived",
    "paused": "contract.paused",
    "re_aged": "contract.re_aged",
    "re_amortised": "contract.re_amortised",
    "accelerated": "contract.accelerated",
    "written_off": "contract.written_off",
    "recovered": "contract.recovered",
    "unapplied_refunded": "contract.unapplied_refunded",
    "handed_over": "contract.handed_over",
    "deposit_held": "contract.deposit_held",
    "deposit_applied": "contract.deposit_applied",
    "deposit_released": "contract.deposit_released",
    "lease_returned": "contract.lease_returned",
    "inspected": "contract.inspected",
    "bought_out": "contract.bought_out",
    "renewed": "contract.renewed",
    "pledged": "contract.pledged",
    "captured": "contract.captured",
    "pledge_released": "contract.pledge_released",
}
"""The message to the shop for each kind of event that an act adds."""

_ONCE: Final = (Cancelled, WrittenOff)
_SAID_ONCE: Final = (HandedOver, LeaseReturned, Inspected, BoughtOut, DepositReleased, PledgeReleased)
"""What happens once to a contract: told again in the same words it is that time, and in others it cannot follow."""
_BY_DAY: Final = (DueDayChanged, Paused, ReAged, ReAmortised, Accelerated, AllocatedByInstruction)


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """An act and what came of it: the contract as it was `before` and `after`, and as it stands now (`view`).

    `repeated` says that it was done before and nothing was done now; before and after are those of the first time.
    """

    event: Event
    before: ContractState
    after: ContractState
    view: ContractView
    repeated: bool = False

    def moved(self, *kinds: str) -> int:
        """What the act moved of these kinds, in minor units."""
        return sum(
            each.amount_minor
            for each in self.after.movements
            if each.event_seq == self.event.seq and each.kind in kinds
        )


def hold(shop: Shop, contract: str) -> Stored:
    """Hold the customer and the contract until the caller's transaction ends. Raises `NoContract`."""
    customer_id, contract_id = service.parsed(contract)
    use_shop(shop.id)
    try:
        customers.lock(shop, customer_id)
    except customers.NoCustomer:
        raise NoContract(contract) from None
    stored = storage.load_for_update(customer_id, contract_id)
    if stored is None or stored.shop_id != shop.id:
        raise NoContract(contract)
    return stored


def perform(
    shop: Shop,
    contract: str,
    at: datetime,
    make: Callable[[Stored, dict[str, Any]], Event],
    *,
    on: date | None = None,
    check: Callable[[Stored, ContractState, Event], None] | None = None,
    actor: str = "",
    reason: str = "",
) -> Acted:
    """Do one act in one transaction. `make` makes its event from the dates that it is given.

    `on` is the day on which it happened, today if left out. `check` may raise `Refusal` before anything is written; a
    repetition is not checked. With `actor` the act goes into the audit log. Raises `NoContract`, `Refusal`, `BadInput`.
    """
    today = local_date(at, shop.time_zone)
    if on is not None and not FIRST <= on <= today:
        raise BadInput("occurred_on", on.isoformat(), f"{FIRST} to {today}", "tell it when the day has come")

    def act() -> Acted:
        stored = hold(shop, contract)
        dates = {"seq": len(stored.events) + 1, "occurred_on": on or today, "recorded_at": to_epoch(at)}
        event = make(stored, dates)
        before = stored.latest(today)
        done = _done_before(stored, before, event)
        if done is not None:
            return _repeated(shop, stored, done, today)
        _check_number(stored, event)
        if check is not None:
            check(stored, before, event)
        kind = _kind(event)
        try:
            after = storage.append(stored, [event], at, today)
        except EventRefused as problem:
            raise refusal_of(problem, kind, stored.terms.currency) from None
        tell(shop, stored, event, after, at)
        if after.lease is not None:
            ending.note(shop, stored.customer_id, stored.contract_id, after.lease, today)
        if actor:
            audit.record(
                shop,
                actor,
                f"contract.{kind}",
                f"contract:{stored.public_id}",
                at,
                reason=reason,
                before=_figures(before),
                after={**_figures(after), "event": _body(event)},
            )
        return Acted(event=event, before=before, after=after, view=service.view_of(stored, after))

    return in_transaction(act)


def _check_number(stored: Stored, event: Event) -> None:
    """Where interest runs daily, goods and waivers are noted as what paid: a payment of their number would be lost behind them."""
    interest = stored.terms.interest
    noted = isinstance(event, GoodsReturned | Waived) and interest is not None and interest.daily
    if noted and storage.amount_of(stored, event.reference) is not None:
        raise reference_used(event.reference, stored.terms.currency)


def tell(shop: Shop, stored: Stored, event: Event, after: ContractState, at: datetime) -> None:
    """Tell the shop of an event, in the caller's transaction."""
    enqueue(
        shop,
        stored.customer_id,
        TOLD_AS[_kind(event)],
        {
            "contract_id": stored.public_id,
            "order_ref": stored.order_ref,
            "event": _body(event),
            "balance_minor": after.balance_minor,
            "refund_due_minor": after.refund_due_minor,
            "unapplied_minor": after.unapplied_minor,
            "currency": stored.terms.currency,
            "status": after.status,
        },
        at,
    )


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)


def _body(event: Event) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(encode_event(event))
    return {name: value for name, value in body.items() if name not in ("seq", "recorded_at")}


def _figures(state: ContractState) -> dict[str, Any]:
    return {
        "status": state.status,
        "balance_minor": state.balance_minor,
        "overdue_minor": state.overdue_minor,
        "refund_due_minor": state.refund_due_minor,
    }


def _done_before(stored: Stored, before: ContractState, event: Event) -> Event | None:
    """The same act, if it was done. Raises `Refusal` where its number stands for another."""
    same = [each for each in stored.events if type(each) is type(event)]
    if isinstance(event, WrittenOff) and before.balance_minor:
        return None  # what is owed again is given up anew
    if isinstance(event, _ONCE):
        return same[-1] if same else None
    if isinstance(event, _SAID_ONCE):
        return next((each for each in same if _said(each) == _said(event)), None)
    if isinstance(event, _BY_DAY):
        last = same[-1] if same else None
        return (
            last
            if last is not None and _said(last) == _said(event) and last.occurred_on == event.occurred_on
            else None
        )
    for each in same:
        if each.reference == event.reference:
            if _said(each) != _said(event):
                raise reference_used(event.reference, stored.terms.currency)
            return each
    return None


_WHEN: Final = ("seq", "recorded_at", "occurred_on", "settlement", "not_held", "goodwill", "unused")


def _said(event: Event) -> dict[str, Any]:
    """What an event says, apart from when it was told, which batch it left with and by which of our rules."""
    return {name: value for name, value in _body(event).items() if name not in _WHEN}


def _repeated(shop: Shop, stored: Stored, event: Event, today: date) -> Acted:
    """What came of an act when it was done, and the contract now."""
    told_on = local_date(datetime.fromtimestamp(event.recorded_at, UTC), shop.time_zone)
    until = msgspec.structs.replace(stored, events=[each for each in stored.events if each.seq <= event.seq])
    earlier = msgspec.structs.replace(stored, events=[each for each in stored.events if each.seq < event.seq])
    return Acted(
        event=event,
        before=earlier.latest(told_on),
        after=until.latest(told_on),
        view=service.view_of(stored, stored.latest(today)),
        repeated=True,
    )


def reference_used(reference: str, currency: str) -> Refusal:
    """The answer to an act whose number stands for another act already."""
    return Refusal(
        "reference_reused",
        Text("编号已使用", "The number was used"),
        Text(
            f"编号{reference}已用于内容不同的操作。请换一个编号。",
            f"Number {reference} stands for something else already. Give it another number.",
        ),
        currency=currency,
    )


def named(reference: str, place: str) -> str:
    """A number of an act. Raises `BadInput`."""
    if not 1 <= len(reference) <= MAX_REFERENCE:
        raise BadInput(place, reference, f"1 to {MAX_REFERENCE} characters")
    return reference


def money(minor: int, currency: str, place: str = "amount_minor") -> int:
    """An amount of an act. Raises `BadInput`."""
    check_minor(minor, currency, place=place)
    if minor <= 0:
        raise BadInput(place, minor, "more than 0")
    return minor


def by_whom(actor: str, reason: str) -> None:
    """That somebody answers for an act and says why. Raises `BadInput`."""
    if not actor:
        raise BadInput("actor", actor, "who does it")
    if not 1 <= len(reason.strip()) <= MAX_REASON:
        raise BadInput("reason", reason[:80], f"why, in 1 to {MAX_REASON} characters")


# --------------------------------------------------------------------------------------------------- delivering


def ship(
    shop: Shop, contract: str, at: datetime, *, shipment_id: str = "", on: date | None = None, actor: str = ""
) -> Acted:
    """Goods, or a part of them, went out: from here on the sale is not cancelled, goods are returned."""
    return perform(
        shop, contract, at, lambda _, dates: Shipped(**dates, shipment_id=shipment_id), on=on, actor=actor
    )


def cancel(shop: Shop, contract: str, at: datetime, *, reason: str = "", actor: str = "") -> Acted:
    """Call the sale off before anything was shipped: nothing is owed, and what was paid goes back (`returns.refund_paid`)."""
    return perform(
        shop,
        contract,
        at,
        lambda _, dates: Cancelled(**dates, reason=reason[:MAX_REASON], goodwill="taken_back"),
        actor=actor,
        reason=reason,
    )


# --------------------------------------------------------------------------------------------------- the due day


class MovedRow(msgspec.Struct, frozen=True):
    """A row that falls due on another day."""

    number: int
    before: date
    after: date
    outstanding_minor: int


class DueDayPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What another due day does. `cost_minor` is how much more there is to pay: 0 where interest does not run by the day."""

    contract_id: str
    day: int
    from_row: int
    rows: tuple[MovedRow, ...]
    cost_minor: int
    currency: str


def preview_due_day(
    shop: Shop, contract: str, day: int, at: datetime, *, from_row: int | None = None, staff: bool = False
) -> DueDayPreview:
    """Which rows another due day moves to when, and what it costs. Nothing is written. Raises `NoContract`, `Refusal`."""
    today = local_date(at, shop.time_zone)
    stored = seen(shop, contract)
    before = stored.latest(today)
    event = _due_day(stored, before, day, from_row, today, _next_dates(stored, today, at))
    if not staff:
        _may_move(stored, before, event)
    after = foretold(stored, event, today)
    return _due_day_preview(stored, event, before, after)


def change_due_day(
    shop: Shop,
    contract: str,
    day: int,
    at: datetime,
    *,
    from_row: int | None = None,
    actor: str = "",
    reason: str = "",
) -> tuple[Acted, DueDayPreview]:
    """Let the rows from `from_row` on (the next that is to come, if left out) fall due on another day of the month.

    31 is a month's last day. A customer may do so while nothing is late, and once in `DAYS_BETWEEN_DUE_DAYS`; staff (`actor`) whenever
    it is needed. Raises `NoContract`, `Refusal`.
    """
    today = local_date(at, shop.time_zone)

    def make(stored: Stored, dates: dict[str, Any]) -> Event:
        return _due_day(stored, stored.latest(today), day, from_row, today, dates)

    def check(stored: Stored, state: ContractState, event: Event) -> None:
        if not actor:
            _may_move(stored, state, event)

    done = perform(shop, contract, at, make, check=check, actor=actor, reason=reason)
    assert isinstance(done.event, DueDayChanged)
    stored = seen(shop, contract)
    return done, _due_day_preview(stored, done.event, done.before, done.after)


def _due_day(
    stored: Stored, state: ContractState, day: int, from_row: int | None, today: date, dates: dict[str, Any]
) -> DueDayChanged:
    if from_row is None:
        coming = [row for row in state.rows if row.due_on > today and row.outstanding_minor]
        if not coming:
            raise Refusal(
                "cannot_follow",
                Text("不能更改还款日", "The due day cannot be changed"),
                Text(
                    "各期均已到期或还清，没有可以改期的期次。",
                    "Every row has fallen due or is paid: there is none to move.",
                ),
                currency=stored.terms.currency,
                state=Text("各期均已到期或还清", "every row has fallen due or is paid"),
                rule=Text("须有未到期的期次", "a row has to be still to come"),
            )
        from_row = coming[0].number
    return DueDayChanged(**dates, day=day, from_row=from_row)


def _may_move(stored: Stored, state: ContractState, event: Event) -> None:
    """That a customer may move the due day now. Raises `Refusal`."""
    currency = stored.terms.currency
    title = Text("不能更改还款日", "The due day cannot be changed")
    if state.overdue_minor:
        amount = format_money(state.overdue_minor, currency)
        raise Refusal(
            "overdue",
            title,
            Text(
                f"有{amount}已逾期。请先还清逾期部分；如有困难，可以申请延期。",
                f"{amount} is past due. Pay that first, or ask for help if that is hard.",
            ),
            owed_minor=state.overdue_minor,
            currency=currency,
            state=Text(f"有{amount}已逾期", f"{amount} is past due"),
            rule=Text("须没有逾期", "nothing may be past due"),
            way_out=Text("先还清逾期部分", "pay what is past due first"),
        )
    last = next((each for each in reversed(stored.events) if isinstance(each, DueDayChanged)), None)
    if last is not None:
        again_on = last.occurred_on + timedelta(days=DAYS_BETWEEN_DUE_DAYS)
        if event.occurred_on < again_on:
            zh, en = format_date(again_on, "zh-CN"), format_date(again_on, "en")
            raise Refusal(
                "due_day_changed_lately",
                title,
                Text(
                    f"近期已更改过还款日，{zh}起可以再次更改；急需时请联系客服。",
                    f"It was changed lately, and can be again from {en}. If it cannot wait, ask us.",
                ),
                currency=currency,
                state=Text("近期已更改过还款日", "it was changed lately"),
                rule=Text(
                    f"{DAYS_BETWEEN_DUE_DAYS}天内只能更改一次",
                    f"it changes once in {DAYS_BETWEEN_DUE_DAYS} days",
                ),
                way_out=Text(f"{zh}起再更改，或联系客服", f"change it from {en} on, or ask us"),
            )


def _due_day_preview(
    stored: Stored, event: DueDayChanged, before: ContractState, after: ContractState
) -> DueDayPreview:
    was = {row.number: row for row in before.rows}
    rows = tuple(
        [
            MovedRow(row.number, was[row.number].due_on, row.due_on, row.outstanding_minor)
            for row in after.rows
            if row.number in was and was[row.number].due_on != row.due_on
        ]
    )
    return DueDayPreview(
        contract_id=stored.public_id,
        day=event.day,
        from_row=event.from_row,
        rows=rows,
        cost_minor=_in_all(after.rows) - _in_all(before.rows),
        currency=stored.terms.currency,
    )


def _in_all(rows: Sequence[RowState]) -> int:
    return sum(row.total_minor for row in rows)


def seen(shop: Shop, contract: str) -> Stored:
    """A contract to look at, not held. Raises `NoContract`."""
    use_shop(shop.id)
    stored = storage.load(*service.parsed(contract))
    if stored is None or stored.shop_id != shop.id:
        raise NoContract(contract)
    return stored


def _next_dates(stored: Stored, on: date, at: datetime) -> dict[str, Any]:
    return {"seq": len(stored.events) + 1, "occurred_on": on, "recorded_at": to_epoch(at)}


def foretold(stored: Stored, event: Event, today: date) -> ContractState:
    """The contract as it would be with one more event; nothing is written. Raises `Refusal`."""
    grown = msgspec.structs.replace(stored, events=[*stored.events, event])
    try:
        check_days(event)
        return grown.latest(today)
    except EventRefused as problem:
        raise refusal_of(problem, _kind(event), stored.terms.currency) from None


# --------------------------------------------------------------------------------------------------- staff


def goodwill(
    shop: Shop, contract: str, goodwill_id: str, amount_minor: int, at: datetime, *, actor: str, reason: str
) -> Acted:
    """Take a part of what is owed on ourselves: it pays as money would, and is none."""
    by_whom(actor, reason)
    named(goodwill_id, "goodwill_id")
    money(amount_minor, shop.currency)

    def make(_: Stored, dates: dict[str, Any]) -> Event:
        # Numbers of payments come from outside: ours must not be one that a payer may have.
        return GoodwillGranted(
            **dates,
            payment_id=f"goodwill:{goodwill_id}",
            amount_minor=amount_minor,
            reason=reason,
            unused="lapses",
        )

    def check(stored: Stored, state: ContractState, _: Event) -> None:
        if amount_minor > state.balance_minor:
            raise more_than_owed(amount_minor, state.balance_minor, stored.terms.currency)

    return perform(shop, contract, at, make, check=check, actor=actor, reason=reason)


def pay_back(
    shop: Shop,
    contract: str,
    refund_id: str,
    amount_minor: int,
    at: datetime,
    *,
    settlement: str | None = None,
    channel: str = "bank",
    actor: str,
    reason: str,
) -> Acted:
    """Money that had paid instalments went back to the customer: what was paid last, and in advance, is owed again first.

    `settlement` is the batch that it leaves with. Raises `NoContract`, `Refusal` (more than was paid, but for what is or was to be refunded;
    a lease; interest that runs daily), `BadInput`. What is to be refunded for goods is `returns.refund_paid`; what nothing is owed for, `unapplied.refund_held`.
    """
    by_whom(actor, reason)
    named(refund_id, "refund_id")
    money(amount_minor, shop.currency)
    today = local_date(at, shop.time_zone)

    def make(_: Stored, dates: dict[str, Any]) -> Event:
        # Numbers of payments come from outside: ours must not be one that a payer may have.
        return PaidBack(
            **dates,
            payment_id=f"{PAID_BACK}{refund_id}",
            amount_minor=amount_minor,
            settlement=settlement or f"{channel}:{today}",
        )

    def check(stored: Stored, state: ContractState, event: Event) -> None:
        # What goodwill paid was never the customer's money; what goes back for goods, or went, goes back once.
        paid = sum(part.total_minor for each in state.payments if each.money for part in each.parts)
        free = max(min(paid, paid + state.recovered_minor - state.refunded_minor), 0)
        if amount_minor > free:
            said = f"{paid} paid" if free == paid else f"{free} paid that does not go back otherwise"
            more = EventRefused(_kind(event), said, f"no more than that, not {amount_minor}", "pay that back")
            refusal = refusal_of(more, _kind(event), stored.terms.currency)
            refusal.code = "above_paid"
            raise refusal

    return perform(shop, contract, at, make, check=check, actor=actor, reason=reason)


LATE_CHARGE: Final = "late:"
"""How the number of what is charged for being late begins, as days are closed: nobody else's begins so."""


def more_than_owed(asked_minor: int, owed_minor: int, currency: str) -> Refusal:
    """The answer to giving away more than is owed."""
    asked, owed = format_money(asked_minor, currency), format_money(owed_minor, currency)
    return Refusal(
        "above_debt",
        Text("超过应还金额", "More than is owed"),
        Text(f"应还{owed}，不能减免{asked}。", f"{owed} is owed, so {asked} cannot be granted."),
        asked_minor=asked_minor,
        owed_minor=owed_minor,
        currency=currency,
    )


def charge(
    shop: Shop,
    contract: str,
    charge_id: str,
    part: Literal["fee", "penalty"],
    amount_minor: int,
    code: str,
    at: datetime,
    *,
    due_on: date | None = None,
    actor: str,
    reason: str,
) -> Acted:
    """Charge a cost that the disclosure named as one that may arise. Penalties stay within the law's most."""
    by_whom(actor, reason)
    named(charge_id, "charge_id")
    if charge_id.startswith(LATE_CHARGE):
        raise BadInput(
            "charge_id",
            charge_id,
            f"a number that does not begin with {LATE_CHARGE}",
            "choose another number",
        )
    money(amount_minor, shop.currency)

    def make(_: Stored, dates: dict[str, Any]) -> Event:
        return Charged(
            **dates,
            charge_id=charge_id,
            part=part,
            amount_minor=amount_minor,
            due_on=due_on or dates["occurred_on"],
            code=code,
        )

    return perform(shop, contract, at, make, actor=actor, reason=reason)


def waive(
    shop: Shop,
    contract: str,
    waiver_id: str,
    part: Literal["fee", "penalty", "interest", "rent"],
    amount_minor: int,
    at: datetime,
    *,
    row: int | None = None,
    actor: str,
    reason: str,
) -> Acted:
    """Let a part of what is owed besides the price go: of one row, or of the oldest that owe it."""
    by_whom(actor, reason)
    named(waiver_id, "waiver_id")
    money(amount_minor, shop.currency)
    return perform(
        shop,
        contract,
        at,
        lambda _, dates: Waived(
            **dates, waiver_id=waiver_id, part=part, amount_minor=amount_minor, row=row, reason=reason
        ),
        actor=actor,
        reason=reason,
    )


def instruct(
    shop: Shop,
    contract: str,
    payment_ref: str,
    parts: Sequence[Instruction],
    at: datetime,
    *,
    actor: str,
    reason: str,
) -> Acted:
    """Put a payment where the customer said that it belongs; the rest of it goes by the usual order."""
    by_whom(actor, reason)
    if not parts:
        raise BadInput("parts", "none", "at least one")
    return perform(
        shop,
        contract,
        at,
        lambda _, dates: AllocatedByInstruction(**dates, payment_id=payment_ref, parts=tuple(parts)),
        actor=actor,
        reason=reason,
    )


def pause(
    shop: Shop,
    contract: str,
    periods: int,
    at: datetime,
    *,
    interest: Literal["stops", "runs"] = "runs",
    actor: str,
    reason: str,
) -> Acted:
    """Hardship: what falls due later is due so many periods later still, and meanwhile nothing is charged for being late."""
    by_whom(actor, reason)
    return perform(
        shop,
        contract,
        at,
        lambda _, dates: Paused(**dates, periods=periods, interest=interest, reason=reason),
        actor=actor,
        reason=reason,
    )


def re_age(
    shop: Shop,
    contract: str,
    periods: int,
    first_due_on: date,
    at: datetime,
    *,
    actor: str,
    reason: str,
) -> Acted:
    """Spread everything that is owed over new rows."""
    by_whom(actor, reason)
    return perform(
        shop,
        contract,
        at,
        lambda _, dates: ReAged(**dates, periods=periods, first_due_on=first_due_on),
        actor=actor,
        reason=reason,
    )


def re_amortise(shop: Shop, contract: str, at: datetime, *, actor: str, reason: str) -> Acted:
    """Spread what is past due over the rows that are still to come."""
    by_whom(actor, reason)
    return perform(shop, contract, at, lambda _, dates: ReAmortised(**dates), actor=actor, reason=reason)


def accelerate(
    shop: Shop, contract: str, demanded_on: date, at: datetime, *, actor: str, reason: str
) -> Acted:
    """Call everything due at once. Refused unless the arrears are enough, were demanded, and not paid in the time given."""
    by_whom(actor, reason)

    def make(stored: Stored, dates: dict[str, Any]) -> Event:
        return Accelerated(**dates, demanded_on=demanded_on, basis=stored.terms.acceleration.basis)

    return perform(shop, contract, at, make, actor=actor, reason=reason)


def write_off(shop: Shop, contract: str, at: datetime, *, actor: str, reason: str) -> Acted:
    """Give up in the book what is owed. The claim stays: what still comes is recovered."""
    by_whom(actor, reason)
    return perform(
        shop, contract, at, lambda _, dates: WrittenOff(**dates, reason=reason), actor=actor, reason=reason
    )


def recover(
    shop: Shop,
    contract: str,
    payment_ref: str,
    amount_minor: int,
    at: datetime,
    *,
    cost_minor: int = 0,
    settlement: str | None = None,
    channel: str = "bank",
    on: date | None = None,
    actor: str = "",
    reason: str = "",
) -> Acted:
    """Something came of a claim that was written off; `cost_minor` of it stayed with whoever collected it."""
    named(payment_ref, "payment_ref")
    money(amount_minor, shop.currency)
    check_minor(cost_minor, shop.currency, place="cost_minor")
    today = local_date(at, shop.time_zone)
    return perform(
        shop,
        contract,
        at,
        lambda _, dates: Recovered(
            **dates,
            payment_id=payment_ref,
            amount_minor=amount_minor,
            settlement=settlement or f"{channel}:{today}",
            cost_minor=cost_minor,
        ),
        on=on,
        actor=actor,
        reason=reason,
    )

"""How each kind of event of the simulation is asked for over HTTP, as a shop would ask, and what the core is told with it.

A call makes of the event that was made up the one that the service makes: of today, with the batches and numbers that it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fenqi.contracts.events import (
    Accelerated,
    AllocatedByInstruction,
    BoughtOut,
    Cancelled,
    Captured,
    Charged,
    DepositApplied,
    DepositHeld,
    DepositReleased,
    DueDayChanged,
    DueMoved,
    Event,
    GoodsReturned,
    GoodwillGranted,
    HandedOver,
    Inspected,
    LeaseReturned,
    PaidBack,
    Paused,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    Pledged,
    PledgeReleased,
    ReAged,
    ReAmortised,
    Recovered,
    RefundPaid,
    Renewed,
    Shipped,
    UnappliedRefunded,
    Waived,
    WrittenOff,
)

if TYPE_CHECKING:
    from tests.trust.postgres import Lived, Play

__all__ = ["CALLS", "TOLD_AGAIN", "payment_body"]

REASON: Final = "as agreed"


def payment_body(event: PaymentReceived, *, more: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = {
        "amount_minor": event.amount_minor + more,
        "currency": "CNY",
        "kind": "received",
        "payment_ref": event.payment_id,
        "occurred_on": event.occurred_on.isoformat(),
        "settles": event.settles,
    }
    if event.channel == "cash":
        body["cash"] = {"till": "front", "operator": "ann"}
    else:
        body["channel"] = event.channel
    return body


def _pay(play: Play, lived: Lived, event: PaymentReceived) -> None:
    life = lived.life
    channel = event.channel
    event = PaymentReceived(
        **life.dates(min(event.occurred_on, life.today)),
        payment_id=event.payment_id,
        amount_minor=event.amount_minor,
        settlement=f"cash:front:{life.today}" if channel == "cash" else f"{channel}:{life.today}",
        channel=channel,
        operator="ann" if channel == "cash" else "",
        settles=event.settles,
    )
    taken = play.tell(lived, event)
    status, said = play.post(lived, "payments", payment_body(event))
    play.expect(lived, taken, status == 201, said)


def _take_back(play: Play, lived: Lived, event: PaymentReversed) -> None:
    life = lived.life
    paid = [e for e in life.told if isinstance(e, PaymentReceived) and e.payment_id == event.payment_id]
    channel = paid[0].channel if paid else "bank"
    event = PaymentReversed(
        **life.dates(),
        payment_id=event.payment_id,
        # Cash goes back out of the till that it went into.
        settlement=f"cash:front:{life.today}" if channel == "cash" else f"{channel}:{life.today}",
        reason=event.reason,
    )
    # Only money is taken back as a payment: goodwill stays granted.
    granted = any(isinstance(e, GoodwillGranted) and e.payment_id == event.payment_id for e in life.told)
    taken = not granted and play.tell(lived, event)
    status, said = play.post(lived, "reversals", {"payment_ref": event.payment_id, "reason": event.reason})
    play.expect(lived, taken, status == 201, said)


def _put_off(play: Play, lived: Lived, event: DueMoved) -> None:
    """An outage over the days of one row: what is open of the rows that are due then is put off, or nothing of it."""
    from fenqi_server.servicing import service as servicing

    life = lived.life
    assert life.stands is not None
    days = {row[0]: row[1] for row in life.stands.rows}
    first = days.get(event.row)
    if first is None or event.to <= first or event.to < life.today - timedelta(days=360):
        return  # an outage is not told more than a year late
    moved = [
        row[0]
        for row in life.stands.rows
        if row[1] == first
        and sum(row[-2].values()) > sum(row[-1].values())
        and life.stands.status == "active"
    ]
    told = []
    for number in reversed(moved):
        told.append(
            DueMoved(
                seq=len(life.told) + 1 + len(told),
                occurred_on=life.today,
                recorded_at=life.clock,
                row=number,
                to=event.to,
                basis=event.basis,
                announcement=event.basis,
            )
        )
    report = servicing.put_off(
        play.shop,
        first,
        first,
        event.to,
        event.basis,
        event.basis,
        play.now(),
        plans=frozenset([life.terms.plan.id]),
    )
    if report.failed:
        if len(told) > 1:
            return  # one of several rows stands in the way: none is moved
        play.expect(lived, play.tell(lived, told[0]), False, report)
        return
    if report.rows != len(told):
        raise play.differs(lived, f"{report} for {told}")
    for each in told:
        play.expect(lived, play.tell(lived, each), True, report)


_CONCEDED: Final = ("above_debt", "request_open", "cannot_follow")


def _grant(play: Play, lived: Lived, event: GoodwillGranted) -> None:
    dates = lived.life.dates()
    # More than is owed is not given, and nothing where nothing is owed.
    play.act(
        lived,
        "goodwill",
        {
            "reference": f"{event.payment_id}-{lived.asked}",
            "amount_minor": event.amount_minor,
            "reason": REASON,
        },
        lambda said: GoodwillGranted(
            **dates,
            payment_id=f"goodwill:{said.get('request_id')}",
            amount_minor=event.amount_minor,
            reason=REASON,
            unused="lapses",
        ),
        only=_CONCEDED,
    )


def _waive(play: Play, lived: Lived, event: Waived) -> None:
    dates = lived.life.dates()
    body = {
        "reference": f"{event.waiver_id}-{lived.asked}",
        "part": event.part,
        "amount_minor": event.amount_minor,
        "reason": REASON,
    }
    play.act(
        lived,
        "waivers",
        body if event.row is None else {**body, "row": event.row},
        lambda said: Waived(
            **dates,
            waiver_id=said.get("request_id", "none"),
            part=event.part,
            amount_minor=event.amount_minor,
            row=event.row,
            reason=REASON,
        ),
        only=("above_debt", "request_open"),
    )


def _write_off(play: Play, lived: Lived, event: WrittenOff) -> None:
    dates = lived.life.dates()
    play.act(
        lived,
        "write-off",
        {"reference": f"off-{lived.asked}", "reason": REASON},
        lambda _: WrittenOff(**dates, reason=REASON),
        only=("request_open",),
    )


def _charge(play: Play, lived: Lived, event: Charged) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(
        lived,
        "charges",
        {
            "charge_id": event.charge_id,
            "part": event.part,
            "amount_minor": event.amount_minor,
            "code": event.code,
            "due_on": event.due_on.isoformat(),
            "reason": REASON,
        },
        lambda _: told,
    )


def _refund_held(play: Play, lived: Lived, event: UnappliedRefunded) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates(), settlement="bank:out", goodwill="taken_back")
    play.act(
        lived,
        "unapplied-refunds",
        {"refund_id": event.refund_id, "amount_minor": event.amount_minor, "settlement": "bank:out"},
        lambda _: told,
    )


def _pay_back(play: Play, lived: Lived, event: PaidBack) -> None:
    number = event.payment_id
    told = PaidBack(
        **lived.life.dates(),
        payment_id=f"back:{number}",
        amount_minor=event.amount_minor,
        settlement="bank:out",
    )
    play.act(
        lived,
        "pay-backs",
        {
            "refund_id": number,
            "amount_minor": event.amount_minor,
            "settlement": "bank:out",
            "reason": REASON,
        },
        lambda _: told,
        # What goodwill paid is not paid back as money.
        only=("above_paid",),
    )


def _ship(play: Play, lived: Lived, event: Shipped) -> None:
    life = lived.life
    on = min(event.occurred_on, life.today)
    told = Shipped(**life.dates(on), shipment_id=event.shipment_id)
    play.act(
        lived,
        "shipments",
        {"shipment_id": event.shipment_id, "occurred_on": on.isoformat()},
        lambda _: told,
    )


def _cancel(play: Play, lived: Lived, event: Cancelled) -> None:
    told = Cancelled(**lived.life.dates(), reason=REASON, goodwill="taken_back")
    play.act(lived, "cancellation", {"reason": REASON}, lambda _: told)


def _return_goods(play: Play, lived: Lived, event: GoodsReturned) -> None:
    life = lived.life
    on = min(event.occurred_on, life.today)
    told = msgspec.structs.replace(event, **life.dates(on), goodwill="taken_back")
    play.act(
        lived,
        "returns",
        {
            "return_id": event.return_id,
            "amount_minor": event.amount_minor,
            "for_other_sellers_minor": event.for_other_sellers_minor,
            "occurred_on": on.isoformat(),
        },
        lambda _: told,
    )


def _pay_refund(play: Play, lived: Lived, event: RefundPaid) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates(), settlement="bank:out")
    play.act(
        lived,
        "refunds",
        {
            "refund_id": event.refund_id,
            "amount_minor": event.amount_minor,
            "currency": "CNY",
            "settlement": "bank:out",
        },
        lambda _: told,
    )


def _quote(play: Play, lived: Lived, event: PayoffQuoted) -> None:
    life = lived.life
    dates = life.dates()
    known = {each.quote_id for each in life.told if isinstance(each, PayoffQuoted)}

    def quoted(said: Any) -> PayoffQuoted:
        return PayoffQuoted(
            **dates,
            quote_id=said.get("quote_id", "none"),
            amount_minor=said.get("amount_minor", event.amount_minor),
            valid_until=date.fromisoformat(said.get("valid_until", event.valid_until.isoformat())),
            charge_minor=said.get("charge_minor", event.charge_minor),
        )

    status, said = play.post(lived, "payoff-quotes", {})
    if status == 201 and said["quote_id"] in known:
        return  # an equal one stands
    play.expect(lived, play.tell(lived, quoted(said if status == 201 else {})), status == 201, said)


def _change_day(play: Play, lived: Lived, event: DueDayChanged) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    # By the customer: while nothing is late, and not often.
    play.act(
        lived,
        "due-day",
        {"day": event.day, "from_row": event.from_row},
        lambda _: told,
        only=("overdue", "due_day_changed_lately"),
    )


def _relief(play: Play, lived: Lived, event: Paused | ReAged | ReAmortised) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    act: dict[str, Any] = {"type": "re_amortise"}
    if isinstance(event, Paused):
        told = msgspec.structs.replace(told, reason=REASON)
        act = {"type": "pause", "periods": event.periods, "interest": event.interest}
    elif isinstance(event, ReAged):
        act = {"type": "re_age", "periods": event.periods, "first_due_on": event.first_due_on.isoformat()}
    play.act(lived, "relief", {"act": act, "reason": REASON}, lambda _: told)


def _instruct(play: Play, lived: Lived, event: AllocatedByInstruction) -> None:
    if not event.parts:
        return
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(
        lived,
        "instructions",
        {
            "payment_ref": event.payment_id,
            "parts": [msgspec.to_builtins(part) for part in event.parts],
            "reason": REASON,
        },
        lambda _: told,
    )


def _accelerate(play: Play, lived: Lived, event: Accelerated) -> None:
    life = lived.life
    demanded_on = life.today - (event.occurred_on - event.demanded_on)
    told = Accelerated(**life.dates(), demanded_on=demanded_on, basis=life.terms.acceleration.basis)
    play.act(
        lived,
        "acceleration",
        {"demanded_on": demanded_on.isoformat(), "reason": REASON},
        lambda _: told,
    )


def _recover(play: Play, lived: Lived, event: Recovered) -> None:
    life = lived.life
    on = min(event.occurred_on, life.today)
    told = msgspec.structs.replace(event, **life.dates(on), settlement="bank:agency")
    play.act(
        lived,
        "recoveries",
        {
            "payment_ref": event.payment_id,
            "amount_minor": event.amount_minor,
            "cost_minor": event.cost_minor,
            "settlement": "bank:agency",
            "occurred_on": on.isoformat(),
        },
        lambda _: told,
    )


# ----------------------------------------------------------------------------------------------------- leases


def _hand_over(play: Play, lived: Lived, event: HandedOver) -> None:
    told = msgspec.structs.replace(event, **_dates(lived, event))
    play.act(
        lived,
        "lease/hand-over",
        {
            "cost_minor": event.cost_minor,
            "residual_minor": event.residual_minor,
            "occurred_on": told.occurred_on.isoformat(),
        },
        lambda _: told,
    )


def _hold_deposit(play: Play, lived: Lived, event: DepositHeld) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(
        lived,
        "lease/deposit-hold",
        {"authorisation": event.authorisation, "amount_minor": event.amount_minor},
        lambda _: told,
    )


def _apply_deposit(play: Play, lived: Lived, event: DepositApplied) -> None:
    number = event.application_id.removeprefix("deposit:")
    told = msgspec.structs.replace(
        event,
        **lived.life.dates(),
        application_id=f"deposit:{number}",
        settlement=_batch(lived, event.settlement),
    )
    play.act(
        lived,
        "lease/deposit-application",
        {
            "application_id": number,
            "amount_minor": event.amount_minor,
            "reason": REASON,
            "settlement": event.settlement,
        },
        lambda _: told,
    )


def _release_deposit(play: Play, lived: Lived, event: DepositReleased) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(lived, "lease/deposit-release", {}, lambda _: told)


def _give_back(play: Play, lived: Lived, event: LeaseReturned) -> None:
    told = msgspec.structs.replace(event, **_dates(lived, event), settlement=_batch(lived, event.settlement))
    play.act(
        lived,
        "lease/return",
        {"occurred_on": told.occurred_on.isoformat(), "settlement": event.settlement},
        lambda _: told,
    )


def _inspect(play: Play, lived: Lived, event: Inspected) -> None:
    # What is deducted beyond what is held is owed, by the service's rule.
    told = msgspec.structs.replace(
        event, **lived.life.dates(), settlement=_batch(lived, event.settlement), not_held="owed"
    )
    play.act(
        lived,
        "lease/inspection",
        {
            "finding": event.finding,
            "deduction_minor": event.deduction_minor,
            "reason": event.reason,
            "evidence": event.evidence,
            "settlement": event.settlement,
        },
        lambda _: told,
    )


def _buy(play: Play, lived: Lived, event: BoughtOut) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates(), settlement=_batch(lived, event.settlement))
    play.act(
        lived,
        "lease/buyout",
        {"price_minor": event.price_minor, "consent": event.consent, "settlement": event.settlement},
        lambda _: told,
    )


def _renew(play: Play, lived: Lived, event: Renewed) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(lived, "lease/renewal", {"periods": event.periods, "consent": event.consent}, lambda _: told)


# ----------------------------------------------------------------------------------------------------- pledges


def _pledge(play: Play, lived: Lived, event: Pledged) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    body = {"authorisation": event.authorisation, "amount_minor": event.amount_minor}
    if event.until is not None:
        body["until"] = event.until.isoformat()
    play.act(lived, "pledge/authorisation", body, lambda _: told)


def _capture(play: Play, lived: Lived, event: Captured) -> None:
    told = msgspec.structs.replace(event, **_dates(lived, event))
    play.act(
        lived,
        "pledge/capture",
        {
            "payment_ref": event.payment_id,
            "occurred_on": told.occurred_on.isoformat(),
            "settlement": event.settlement,
        },
        lambda _: told,
    )


def _let_go(play: Play, lived: Lived, event: PledgeReleased) -> None:
    told = msgspec.structs.replace(event, **lived.life.dates())
    play.act(lived, "pledge/release", {"reason": event.reason}, lambda _: told)


def _dates(lived: Lived, event: Event) -> dict[str, Any]:
    """Its own day, which has come."""
    return lived.life.dates(min(event.occurred_on, lived.life.today))


def _batch(lived: Lived, settlement: str) -> str:
    """What comes of a frozen deposit comes with a batch: the wallet's of today, where none is named."""
    return settlement or f"wallet:{lived.life.today}"


CALLS: Final[dict[type, Callable[[Play, Lived, Any], None]]] = {
    PaymentReceived: _pay,
    PaymentReversed: _take_back,
    DueMoved: _put_off,
    GoodwillGranted: _grant,
    Waived: _waive,
    WrittenOff: _write_off,
    Recovered: _recover,
    Charged: _charge,
    UnappliedRefunded: _refund_held,
    PaidBack: _pay_back,
    Shipped: _ship,
    Cancelled: _cancel,
    GoodsReturned: _return_goods,
    RefundPaid: _pay_refund,
    PayoffQuoted: _quote,
    DueDayChanged: _change_day,
    Paused: _relief,
    ReAged: _relief,
    ReAmortised: _relief,
    Accelerated: _accelerate,
    AllocatedByInstruction: _instruct,
    HandedOver: _hand_over,
    DepositHeld: _hold_deposit,
    DepositApplied: _apply_deposit,
    DepositReleased: _release_deposit,
    LeaseReturned: _give_back,
    Inspected: _inspect,
    BoughtOut: _buy,
    Renewed: _renew,
    Pledged: _pledge,
    Captured: _capture,
    PledgeReleased: _let_go,
}
"""How each kind of event is asked for. Due dates come by closing days, and a contract is confirmed as it is opened."""
TOLD_AGAIN: Final = (
    Pledged,
    HandedOver,
    DepositHeld,
    DepositApplied,
    DepositReleased,
    LeaseReturned,
    Inspected,
    BoughtOut,
    Renewed,
    Captured,
    PledgeReleased,
)
"""What is done once, however often it is asked for, with whatever key."""

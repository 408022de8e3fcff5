"""Leases and pledges of the shop's own: goods handed over and back, deposits, renewals, buyouts, captures.

Each is one act in one transaction (`fenqi_server.servicing.acts`), done once however often it is asked for. What buying comes to is shown
first (`preview_buyout`) and agreed to then (`buy_out`), at the price that was shown or not at all. A renewal and a buyout name the
customer's own act: `consent` is the shop's reference to it.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from fenqi.calendars import local_date
from fenqi.contracts.buyout import buyout_quote
from fenqi.contracts.events import (
    BoughtOut,
    Captured,
    DepositApplied,
    DepositHeld,
    DepositReleased,
    Event,
    EventRefused,
    HandedOver,
    Inspected,
    LeaseReturned,
    Pledged,
    PledgeReleased,
    Renewed,
)
from fenqi.money import apply_rate, check_minor, format_money
from fenqi.problems import BadInput
from fenqi.terms.rent import Lease
from fenqi.texts import Text
from fenqi_server.servicing import acts
from fenqi_server.servicing.acts import MAX_REASON, Acted
from fenqi_server.servicing.refusals import refusal_of
from fenqi_server.servicing.service import MAX_REFERENCE, ContractView, Refusal
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = [
    "BuyoutOffer",
    "apply_deposit",
    "buy_out",
    "capture",
    "hand_over",
    "hold_deposit",
    "inspect",
    "pledge",
    "preview_buyout",
    "release_deposit",
    "release_pledge",
    "renew",
    "renewal_rent_minor",
    "take_back",
]


class BuyoutOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What buying the goods on `on` comes to: `price_minor`, of which the deposit pays `deposit_credited_minor`.

    `to_pay_minor` is everything that is owed then, late rents too; `spared_minor` rents and fees to come that are not owed any more;
    `deposit_back_minor` goes back to the customer besides.
    """

    contract_id: str
    on: date
    price_minor: int
    deposit_credited_minor: int
    to_pay_minor: int
    spared_minor: int
    deposit_back_minor: int
    currency: str


def _text(said: str, place: str, most: int = MAX_REASON) -> str:
    if not 1 <= len(said.strip()) <= most:
        raise BadInput(place, said[:80], f"1 to {most} characters")
    return said


def _batch(settlement: str | None, channel: str, on: date) -> str:
    return settlement or f"{channel}:{on}"


# --------------------------------------------------------------------------------------------------- the goods


def hand_over(
    shop: Shop,
    contract: str,
    at: datetime,
    *,
    cost_minor: int = 0,
    residual_minor: int = 0,
    on: date | None = None,
    actor: str = "",
) -> Acted:
    """The goods of a lease go out, at their cost in the shop's books; the deposit is held by then. Raises `NoContract`, `Refusal`."""
    check_minor(cost_minor, shop.currency, place="cost_minor")
    check_minor(residual_minor, shop.currency, place="residual_minor")
    if residual_minor > cost_minor:
        raise BadInput("residual_minor", residual_minor, f"0 to {cost_minor}, what they cost")
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: HandedOver(**dates, cost_minor=cost_minor, residual_minor=residual_minor),
        on=on,
        actor=actor,
    )


def take_back(
    shop: Shop,
    contract: str,
    at: datetime,
    *,
    on: date | None = None,
    settlement: str | None = None,
    channel: str = "wallet",
    actor: str = "",
) -> Acted:
    """The goods of a lease came back: it ends. Raises `NoContract`, `Refusal` (before the minimum term is over)."""
    today = local_date(at, shop.time_zone)
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: LeaseReturned(**dates, settlement=_batch(settlement, channel, today)),
        on=on,
        actor=actor,
    )


def inspect(
    shop: Shop,
    contract: str,
    finding: str,
    at: datetime,
    *,
    deduction_minor: int = 0,
    reason: str = "",
    evidence: str = "",
    settlement: str | None = None,
    channel: str = "wallet",
    actor: str,
) -> Acted:
    """The goods were looked at. What is deducted from the deposit has a reason and the reference of what shows it.

    What is deducted of a frozen deposit is taken by it, and comes with `settlement`. What is deducted beyond what is held, since the deposit was
    charged back, is owed. Raises `NoContract`, `Refusal`, `BadInput`.
    """
    acts.by_whom(actor, finding)
    check_minor(deduction_minor, shop.currency, place="deduction_minor")
    if deduction_minor:
        _text(reason, "reason")
        _text(evidence, "evidence", MAX_REFERENCE)
    today = local_date(at, shop.time_zone)
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: Inspected(
            **dates,
            finding=finding,
            deduction_minor=deduction_minor,
            reason=reason,
            evidence=evidence,
            settlement=_batch(settlement, channel, today),
            not_held="owed",
        ),
        actor=actor,
        reason=reason or finding,
    )


def renew(shop: Shop, contract: str, periods: int, consent: str, at: datetime, *, actor: str = "") -> Acted:
    """Rent on for `periods` more, at the agreed coefficient. Never without the customer's consent to this time."""
    acts.named(consent, "consent")
    return acts.perform(
        shop, contract, at, lambda _, dates: Renewed(**dates, periods=periods, consent=consent), actor=actor
    )


def renewal_rent_minor(view: ContractView) -> int | None:
    """What renting on costs for each further period; None where that was not agreed, or cannot be any more."""
    lease, terms, pricing = view.state.lease, view.terms.lease, view.plan.pricing
    if lease is None or terms is None or not isinstance(pricing, Lease) or pricing.renewal is None:
        return None
    if lease.outcome is not None or lease.handed_over_on is None or view.state.as_of > lease.term_ends_on:
        return None
    rent = pricing.rent.amount_minor
    if rent is None:
        rent = apply_rate(terms.price_minor, pricing.rent.share or Decimal(0))
    return apply_rate(rent, pricing.renewal.coefficient)


def preview_buyout(shop: Shop, contract: str, at: datetime, *, on: date | None = None) -> BuyoutOffer:
    """What buying the goods comes to, today or on a later day if all is paid until then as it is now. Nothing is written.

    Raises `NoContract`, `Refusal` where they cannot be bought on the day.
    """
    stored = acts.seen(shop, contract)
    return _offer(stored, _day(shop, at, on))


def buy_out(
    shop: Shop,
    contract: str,
    price_minor: int,
    consent: str,
    at: datetime,
    *,
    settlement: str | None = None,
    channel: str = "wallet",
    actor: str = "",
) -> tuple[Acted, BuyoutOffer]:
    """The customer buys the goods today, at the price that was shown (`preview_buyout`). Raises `NoContract`, `Refusal`.

    `price_changed` where the formula comes to another price by now: nothing is sold at a price that nobody agreed to.
    """
    acts.named(consent, "consent")
    check_minor(price_minor, shop.currency, place="price_minor")
    today = local_date(at, shop.time_zone)
    offers: list[BuyoutOffer] = []

    def make(_: Stored, dates: dict[str, Any]) -> Event:
        return BoughtOut(
            **dates,
            price_minor=price_minor,
            consent=consent,
            settlement=_batch(settlement, channel, today),
        )

    def check(stored: Stored, _: object, __: Event) -> None:
        offer = _offer(stored, today)
        if offer.price_minor != price_minor:
            raise _price_changed(price_minor, offer)
        offers.append(offer)

    done = acts.perform(shop, contract, at, make, check=check, actor=actor, reason=consent)
    if not offers:
        offers.append(_offer_as_it_was(acts.seen(shop, contract), done))
    return done, offers[0]


def _day(shop: Shop, at: datetime, on: date | None) -> date:
    today = local_date(at, shop.time_zone)
    if on is not None and on < today:
        raise BadInput("on", on.isoformat(), f"{today} or later")
    return on or today


def _offer(stored: Stored, on: date) -> BuyoutOffer:
    try:
        found = buyout_quote(stored.terms, stored.events, on)
    except EventRefused as problem:
        raise refusal_of(problem, "bought_out", stored.terms.currency) from None
    return BuyoutOffer(
        contract_id=stored.public_id,
        on=found.on,
        price_minor=found.price_minor,
        deposit_credited_minor=found.deposit_credited_minor,
        to_pay_minor=found.to_pay_minor,
        spared_minor=found.spared_minor,
        deposit_back_minor=found.deposit_back_minor,
        currency=stored.terms.currency,
    )


def _offer_as_it_was(stored: Stored, done: Acted) -> BuyoutOffer:
    """What buying came to when it was done."""
    before = msgspec.structs.replace(
        stored, events=[event for event in stored.events if event.seq < done.event.seq]
    )
    return _offer(before, done.event.occurred_on)


def _price_changed(shown_minor: int, offer: BuyoutOffer) -> Refusal:
    shown, price = (format_money(minor, offer.currency) for minor in (shown_minor, offer.price_minor))
    return Refusal(
        "price_changed",
        Text("买断价已变化", "The price of buying has changed"),
        Text(
            f"今天的买断价为{price}，不是{shown}。请重新确认。",
            f"Buying costs {price} today, not {shown}. Show it, and ask again.",
        ),
        asked_minor=shown_minor,
        owed_minor=offer.price_minor,
        currency=offer.currency,
        way_out=Text("按今天的价格重新确认", "confirm at today's price"),
    )


# --------------------------------------------------------------------------------------------------- the deposit


def hold_deposit(shop: Shop, contract: str, authorisation: str, amount_minor: int, at: datetime) -> Acted:
    """The deposit was frozen on the customer's own account. One in cash is held by being paid (`service.pay`)."""
    acts.named(authorisation, "authorisation")
    acts.money(amount_minor, shop.currency)
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: DepositHeld(**dates, authorisation=authorisation, amount_minor=amount_minor),
    )


def apply_deposit(
    shop: Shop,
    contract: str,
    application_id: str,
    amount_minor: int,
    at: datetime,
    *,
    settlement: str | None = None,
    channel: str = "wallet",
    actor: str,
    reason: str,
) -> Acted:
    """Let the deposit pay rents that are due, where the plan says that it covers them. Raises `NoContract`, `Refusal`."""
    acts.by_whom(actor, reason)
    acts.named(application_id, "application_id")
    acts.money(amount_minor, shop.currency)
    today = local_date(at, shop.time_zone)
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: DepositApplied(
            **dates,
            # Numbers of payments come from outside: ours must not be one that a payer may have.
            application_id=f"deposit:{application_id}",
            amount_minor=amount_minor,
            settlement=_batch(settlement, channel, today),
        ),
        actor=actor,
        reason=reason,
    )


def release_deposit(shop: Shop, contract: str, at: datetime, *, actor: str = "") -> Acted:
    """What is left of the deposit goes back: one in cash is to be refunded then (`returns.refund_paid`)."""
    return acts.perform(shop, contract, at, lambda _, dates: DepositReleased(**dates), actor=actor)


# --------------------------------------------------------------------------------------------------- pledges


def pledge(
    shop: Shop,
    contract: str,
    authorisation: str,
    amount_minor: int,
    at: datetime,
    *,
    until: date | None = None,
) -> Acted:
    """The whole price was authorised on the customer's account. Nothing is booked."""
    acts.named(authorisation, "authorisation")
    acts.money(amount_minor, shop.currency)
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: Pledged(
            **dates, authorisation=authorisation, amount_minor=amount_minor, until=until
        ),
    )


def capture(
    shop: Shop,
    contract: str,
    payment_ref: str,
    at: datetime,
    *,
    on: date | None = None,
    settlement: str | None = None,
    channel: str = "wallet",
    actor: str = "",
) -> Acted:
    """The campaign succeeded, and what was authorised was taken: the sale is made and paid. Raises `NoContract`, `Refusal`."""
    acts.named(payment_ref, "payment_ref")
    today = local_date(at, shop.time_zone)
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: Captured(
            **dates, payment_id=payment_ref, settlement=_batch(settlement, channel, today)
        ),
        on=on,
        actor=actor,
    )


def release_pledge(shop: Shop, contract: str, at: datetime, *, reason: str = "", actor: str = "") -> Acted:
    """The campaign failed: the authorisation is void, and nothing was ever owed."""
    return acts.perform(
        shop,
        contract,
        at,
        lambda _, dates: PledgeReleased(**dates, reason=reason[:MAX_REASON]),
        actor=actor,
        reason=reason,
    )

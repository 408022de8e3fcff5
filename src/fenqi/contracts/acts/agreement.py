"""Agreeing, shipping, lending more, and calling it off before anything was shipped."""

from __future__ import annotations

from fenqi.contracts.account import EARNED, Account, refused
from fenqi.contracts.acts.goods import give_back_price
from fenqi.contracts.acts.leasing import call_off
from fenqi.contracts.allocation import FEE, INTEREST, PENALTY, PRINCIPAL
from fenqi.contracts.events import Cancelled, Confirmed, Disbursed, Event, EventRefused, Shipped

__all__ = ["cancel", "check_running", "confirm", "disburse", "ship"]


def check_running(account: Account, event: Event) -> None:
    """That the contract was confirmed, and neither cancelled nor written off."""
    if account.confirmed_on is None:
        raise refused(event, "not confirmed", "a contract that is confirmed", "confirm it first")
    if account.cancelled_on is not None:
        raise refused(
            event,
            f"cancelled on {account.cancelled_on}",
            "a contract that was not cancelled",
            "make a contract of its own",
        )
    if account.written_off_on is not None:
        raise refused(
            event,
            f"written off on {account.written_off_on}",
            "a contract that was not written off",
            "book what still comes as recovered",
        )


def confirm(account: Account, event: Confirmed) -> None:
    """What was sold is owed from here on. By a lease nothing is sold, and by a pledge not before it is captured."""
    if account.confirmed_on is not None:
        raise EventRefused("event", event.seq, "a contract that is not confirmed yet")
    account.confirmed_on = event.occurred_on
    terms = account.terms
    others = terms.for_other_sellers_minor
    principal = sum(row.principal_minor for row in terms.rows)
    if account.leased is None and account.pledge is None:
        account.move(event.seq, "sold", principal - others)
        account.move(event.seq, "sold_for_others", others)
    if terms.interest is not None:
        at_start = sum(row.principal_minor for row in terms.rows if row.kind in ("down_payment", "up_front"))
        account.lend(terms.interest.begins_on, principal - at_start, replan=False)
    if account.credits:
        # Money came before the agreement: now there is something to pay with it.
        account.apply_held(event.seq, event.occurred_on)


def ship(account: Account, event: Shipped) -> None:
    """Goods went out."""
    check_running(account, event)
    if account.shipped_on is None:
        account.shipped_on = event.occurred_on


def cancel(account: Account, event: Cancelled) -> None:
    """Nothing is owed any more, and what was paid goes back: the price, fees, interest and penalties.

    What we took on ourselves is not paid out: it was never the customer's money.
    """
    check_running(account, event)
    if account.shipped_on is not None:
        raise refused(
            event,
            f"shipped on {account.shipped_on}",
            "a contract of which nothing was shipped",
            "take the goods back instead",
        )
    if account.returned:
        raise refused(
            event, "goods were returned", "a contract with nothing returned", "take the rest back too"
        )
    if account.leased is not None:
        out_on = account.leased.handed_over_on
        if out_on is not None:
            raise refused(
                event,
                f"handed over on {out_on}",
                "a lease whose goods did not go out",
                "take the goods back instead",
            )
        account.cancelled_on = event.occurred_on
        if event.goodwill == "taken_back":
            account.withdraw_goodwill(event.seq, event.occurred_on)
        call_off(account, event.occurred_on, event.seq)
        return
    account.cancelled_on = event.occurred_on
    seq = event.seq
    account.stop_interest(event.occurred_on)
    start = len(account.movements)
    if event.goodwill == "taken_back":
        account.withdraw_goodwill(seq, event.occurred_on)
    give_back_price(account, seq)
    for row in account.sequence:
        at = 4 * row
        for part in (PENALTY, FEE, INTEREST):
            account.lessen(seq, row, part, account.left[at + part], EARNED)
        fee, interest, penalty = (account.owed[at + part] for part in (FEE, INTEREST, PENALTY))
        charged = account.fees_charged.get(row, 0)
        account.move(seq, "fee_returned", fee - charged, row)
        account.move(seq, "charge_returned", charged, row)
        account.move(seq, "interest_returned", interest, row)
        account.move(seq, "penalty_returned", penalty, row)
        account.refund_due += fee + interest + penalty
    account.gather(seq, start)


def disburse(account: Account, event: Disbursed) -> None:
    """More was lent: the rows that are open take it up, and its down payment is due on the day."""
    check_running(account, event)
    if account.accrual is None:
        raise EventRefused(
            "event",
            event.seq,
            "a contract with interest",
            "make a contract of its own for what is bought besides",
        )
    if not 0 <= event.down_payment_minor <= event.amount_minor or not event.amount_minor:
        raise EventRefused("down_payment_minor", event.down_payment_minor, f"0 to {event.amount_minor}")
    account.come_to(event.occurred_on)
    account.move(event.seq, "sold", event.amount_minor)
    account.lent_since += event.amount_minor
    if event.down_payment_minor:
        row = account.add_row("down_payment", event.occurred_on)
        account.owe(row, PRINCIPAL, event.down_payment_minor)
    account.lend(event.occurred_on, event.amount_minor - event.down_payment_minor, replan=True)
    account.apply_held(event.seq, event.occurred_on, "repayment")

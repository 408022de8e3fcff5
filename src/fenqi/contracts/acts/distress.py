"""When a contract cannot go on as agreed: spread anew, called due at once, given up, and what still comes of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from fenqi.contracts.account import WRITTEN_OFF, Account, Credit, refused
from fenqi.contracts.acts.agreement import check_running
from fenqi.contracts.acts.dates import later
from fenqi.contracts.acts.leasing import give_up
from fenqi.contracts.allocation import FEE, INTEREST, PENALTY, PRINCIPAL
from fenqi.contracts.events import (
    Accelerated,
    Event,
    EventRefused,
    ReAged,
    ReAmortised,
    Recovered,
    WrittenOff,
)
from fenqi.money import split_evenly
from fenqi.terms.interest import Period

__all__ = ["accelerate", "re_age", "re_amortise", "recover", "write_off"]


def _something_owed(account: Account, event: Event) -> bool:
    """Whether there is anything to do: money told late may have paid it all before."""
    check_running(account, event)
    if account.outstanding:
        return True
    if event.seq == account.newest:
        raise refused(event, "closed", "a contract with something owed", "nothing is to be done")
    return False


def re_age(account: Account, event: ReAged) -> None:
    """Old rows keep what was paid of them; everything else is owed with new ones, in equal parts."""
    if not _something_owed(account, event):
        return
    if not 1 <= event.periods <= 120:
        raise EventRefused("periods", event.periods, "1 to 120")
    if event.first_due_on <= event.occurred_on:
        raise EventRefused("first_due_on", event.first_due_on.isoformat(), f"a day after {event.occurred_on}")
    account.come_to(event.occurred_on)
    old = [row for row in account.sequence if account.is_open(row)]
    account.closed.update(account.sequence)
    account.spread_on = event.occurred_on
    due = [event.first_due_on]
    for number in range(1, event.periods):
        due.append(later(account, event.first_due_on, number))
    new = [account.add_row("instalment", on, reached=False) for on in due]
    if account.daily and account.accrual is not None:
        spans = [Period(event.occurred_on, due[0], later(account, due[0], -1))]
        spans += [Period(since, until) for since, until in pairwise(due)]
        account.start_anew(event.occurred_on, new, spans)
    parts = (PENALTY, FEE) if account.daily else (PENALTY, FEE, INTEREST, PRINCIPAL)
    _spread(account, event.seq, old, new, parts)


def _spread(
    account: Account, seq: int, sources: list[int], targets: list[int], parts: tuple[int, ...]
) -> None:
    """Move what is open of some rows to others, each part in equal shares; the remainder lies where the plan puts it."""
    for part in parts:
        whole = sum(account.left[4 * row + part] for row in sources)
        shares = list(split_evenly(whole, len(targets), account.terms.plan.residue))
        at = 0
        for source in sources:
            rest = account.left[4 * source + part]
            while rest:
                minor = min(rest, shares[at])
                account.shift(seq, source, targets[at], part, minor)
                rest -= minor
                shares[at] -= minor
                while at < len(shares) - 1 and not shares[at]:
                    at += 1


def re_amortise(account: Account, event: ReAmortised) -> None:
    """What is past due is owed with the rows to come, in equal parts."""
    if not _something_owed(account, event):
        return
    on = event.occurred_on
    account.come_to(on)
    late = [row for row in account.sequence if account.due_on(row) <= on and account.is_open(row)]
    to_come = [row for row in account.rows_later(on) if account.kinds[row] == "instalment"]
    if not late or not to_come:
        if event.seq != account.newest:
            return
        state = "nothing past due" if not late else "no row to come"
        raise refused(event, state, "rows past due and rows to come", "spread everything over new rows")
    if account.daily and account.accrual is not None:
        account.spread_arrears(on)
    _spread(
        account,
        event.seq,
        late,
        to_come,
        (PENALTY, FEE) if account.daily else (PENALTY, FEE, INTEREST, PRINCIPAL),
    )


def accelerate(account: Account, event: Accelerated) -> None:
    """Everything is due on the day; fees of a time that has not come are not owed, and no more interest runs."""
    if not _something_owed(account, event):
        return
    agreed, on = account.terms.acceleration, event.occurred_on
    if account.accelerated_on is not None:
        if event.seq != account.newest:
            return
        raise refused(
            event, f"due at once since {account.accelerated_on}", "a contract that is not", "collect"
        )
    account.come_to(on)
    late = sum(
        sum(account.left[4 * row : 4 * row + 4]) for row in account.sequence if account.due_on(row) < on
    )
    price = sum(row.principal_minor for row in account.terms.rows) + account.lent_since
    if event.seq == account.newest:
        if event.demanded_on > on:
            raise EventRefused("demanded_on", event.demanded_on.isoformat(), f"{on} or before")
        if late * agreed.part_of_price < price:
            raise refused(
                event,
                f"{late} past due of a price of {price}",
                f"arrears of 1/{agreed.part_of_price} of the price or more ({agreed.basis})",
                "collect what is past due",
            )
        earliest = event.demanded_on + timedelta(days=agreed.days_after_demand)
        if on <= earliest:
            raise refused(
                event,
                f"demanded on {event.demanded_on}",
                f"a demand that was not met within {agreed.days_after_demand} days: after {earliest} ({agreed.basis})",
                "wait for the time that was given",
            )
    account.accelerated_on = on
    account.stop_interest(on)
    for row in account.sequence:
        if account.due_on(row) <= on:
            continue
        if account.terms.interest is None or account.accrual is None:
            account.lessen(event.seq, row, FEE, account.open_fee(row), WRITTEN_OFF, charges=False)
        elif not account.terms.interest.daily:
            account.lessen(event.seq, row, INTEREST, account.left[4 * row + INTEREST], WRITTEN_OFF)
        account.due[row] = on
        account.moved.pop(row, None)


def write_off(account: Account, event: WrittenOff) -> None:
    """What is owed is given up in the book; the claim stays. What is owed again later is given up again."""
    if account.leased is not None and account.leased.ended_on is None:
        check_running(account, event)
        give_up(account, event)
    elif account.confirmed_on is None:
        raise refused(event, "not confirmed", "a contract that is confirmed", "confirm it first")
    elif not account.outstanding and event.seq == account.newest:
        raise refused(event, "closed", "a contract with something owed", "nothing is to be done")
    account.come_to(event.occurred_on)
    account.stop_interest(event.occurred_on)
    account.written_off_on = event.occurred_on
    account.written_off += account.outstanding
    for row in account.sequence:
        account.claim_principal += account.left[4 * row + PRINCIPAL]
        account.claim_fee += account.open_fee(row) + account.left[4 * row + INTEREST]
        for part in (PENALTY, FEE, INTEREST, PRINCIPAL):
            account.lessen(event.seq, row, part, account.left[4 * row + part], WRITTEN_OFF)


def recover(account: Account, event: Recovered) -> None:
    """Something came of a claim that was written off."""
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if not 0 <= event.cost_minor <= event.amount_minor:
        raise EventRefused("cost_minor", event.cost_minor, f"0 to {event.amount_minor}")
    if account.written_off_on is None:
        raise refused(event, "not written off", "a contract that was written off", "book it as a payment")
    if event.payment_id in account.credits:
        raise EventRefused("payment_id", event.payment_id, "a payment that is not booked yet")
    credit = Credit(event.payment_id, event.seq, event.occurred_on, event.amount_minor, "repayment", True)
    account.take(credit)
    if event.payment_id not in account.void:
        account.move(event.seq, "collection_cost", event.cost_minor)

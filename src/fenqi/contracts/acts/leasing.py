"""Leases: handed over, rented, renewed with consent, and ended by a return or by the customer's own buyout.

What is owed on an end is asked of `fenqi.terms.lease.build_lease` for that way and day: rents of a later time are not owed, and money
that had paid them pays what is owed now. Being late ends nothing and sells nothing.
"""

from __future__ import annotations

from datetime import date

from fenqi.contracts.account import EARNED, Account, refused
from fenqi.contracts.allocation import FEE, INTEREST, PENALTY, PRINCIPAL
from fenqi.contracts.events import (
    BoughtOut,
    DepositApplied,
    DepositHeld,
    DepositReleased,
    DueReached,
    Event,
    EventRefused,
    HandedOver,
    Inspected,
    LeaseReturned,
    Renewed,
    WrittenOff,
)
from fenqi.contracts.lease import Leased, Outcome
from fenqi.terms.lease import RETURN_SHIPPING, Ending, build_lease
from fenqi.terms.plan import TermsError
from fenqi.terms.schedule import RowKind, Schedule

__all__ = [
    "apply_deposit",
    "buy_out",
    "buyout_schedule",
    "call_off",
    "fall_due",
    "give_up",
    "hand_over",
    "hold_deposit",
    "inspect",
    "release_deposit",
    "renew",
    "take_back",
]


def _lease_of(account: Account, event: Event) -> Leased:
    leased = account.leased
    if leased is None:
        raise refused(event, "no lease", "a contract of a lease", "check the contract")
    if account.confirmed_on is None:
        raise refused(event, "not confirmed", "a contract that is confirmed", "confirm it first")
    return leased


def _running(account: Account, event: Event) -> Leased:
    """A lease that was not ended yet."""
    leased = _lease_of(account, event)
    if leased.ended_on is not None:
        raise refused(
            event,
            f"{(leased.outcome or '').replace('_', ' ')} on {leased.ended_on}",
            "a lease that has not ended",
            "make a contract of its own",
        )
    return leased


def _out(account: Account, event: Event) -> Leased:
    """A lease whose goods are with the customer."""
    leased = _running(account, event)
    if leased.handed_over_on is None:
        raise refused(event, "not handed over", "goods that were handed over", "hand them over first")
    return leased


def _made(account: Account, event: Event, ending: Ending) -> Schedule:
    """What is paid on a way to end. Raises `EventRefused` where the terms do not have it."""
    lease = account.terms.lease
    assert lease is not None, "a lease is pinned with its terms"
    try:
        return build_lease(
            account.terms.plan,
            lease.price_minor,
            account.terms.currency,
            lease.start_on,
            ending,
            deposit_waived=lease.deposit_waived,
        )
    except TermsError as wrong:
        on_a_day = wrong.problem.place == "ending.on"
        raise refused(
            event,
            f"{event.occurred_on}, before the end of the term" if on_a_day else "an end that was not agreed",
            wrong.problem.expected,
            "end it as was agreed, or at the end of its term",
        ) from None


# ---------------------------------------------------------------------------------------------- while it runs


def hand_over(account: Account, event: HandedOver) -> None:
    """The goods are out: they leave the inventory at their cost. The deposit that was agreed is held by then."""
    leased = _running(account, event)
    if leased.handed_over_on is not None:
        raise refused(
            event,
            f"handed over on {leased.handed_over_on}",
            "goods that are still here",
            "nothing is to be done",
        )
    if not 0 <= event.residual_minor <= event.cost_minor:
        raise EventRefused("residual_minor", event.residual_minor, f"0 to {event.cost_minor}, what they cost")
    wanted = 0 if leased.form == "waived" else leased.whole_deposit
    held = account.deposit_left
    if event.seq == account.newest and held < wanted:
        raise refused(
            event,
            f"{held} of the deposit of {wanted} held",
            "a deposit that is held before the goods go out",
            "have it frozen first" if leased.form == "frozen" else "let it be paid first",
        )
    leased.handed_over_on = event.occurred_on
    leased.asset, leased.residual = event.cost_minor, event.residual_minor
    account.move(event.seq, "leased", event.cost_minor)
    _depreciate(account, event.seq)


def _depreciate(account: Account, seq: int, row: int | None = None) -> None:
    """The goods lose value with each rent that fell due."""
    leased = account.leased
    assert leased is not None
    if leased.handed_over_on is None:
        return
    rents = sum(account.reached[each] and each not in account.closed for each in leased.rents)
    minor = leased.depreciation(rents) - leased.depreciated
    leased.depreciated += minor
    account.move(seq, "depreciated", minor, row)


def fall_due(account: Account, event: DueReached) -> None:
    """A rent is earned, paid or not. After the end of a lease nothing falls due that did not then."""
    leased = account.leased
    assert leased is not None
    row = account.place_of(event.row, event)
    if row is None:
        return
    first = account.reached_by.get(row)
    if first is not None or (account.reached[row] and leased.ended_on is None):
        if account.newest in (event.seq, first):
            raise EventRefused("event", event.seq, f"row {event.row} to be reached once")
        return
    account.reached_by[row] = event.seq
    if leased.ended_on is not None:
        return
    _reach(account, event.seq, row)
    if row in leased.rents:
        _depreciate(account, event.seq, row)


def _reach(account: Account, seq: int, row: int) -> None:
    account.reached[row] = True
    at = 4 * row
    account.earn(seq, row, FEE, account.owed[at + FEE] - account.earned[row])
    account.earn(seq, row, INTEREST, account.owed[at + INTEREST] - account.interest_earned[row])


def renew(account: Account, event: Renewed) -> None:
    """So many periods more, at the agreed coefficient of the rent: never without the customer's consent to this time."""
    leased = _out(account, event)
    if not event.consent.strip():
        raise refused(
            event,
            "no consent",
            "a renewal that the customer agreed to, this time (网络交易监督管理办法 18)",
            "ask for it, and name what was said",
        )
    first = leased.consents.get(event.consent)
    if first is not None and account.newest in (event.seq, first):
        # Of what is told now. Renewals that were stored before this was asked stay.
        raise refused(
            event,
            f"consent {event.consent}, by which it was renewed before",
            "a renewal that the customer agreed to, this time (网络交易监督管理办法 18)",
            "ask for it, and name what was said",
        )
    if leased.pricing.renewal is None:
        raise refused(event, "no renewal agreed", "a lease that can be renewed", "make a contract of its own")
    if event.periods < 1:
        raise EventRefused("periods", event.periods, "1 or more")
    if event.occurred_on > leased.term_ends_on:
        raise refused(
            event,
            f"a term that ended on {leased.term_ends_on}",
            "consent by the last day of the term",
            "take the goods back, sell them, or make a contract of its own",
        )
    before = leased.plan.periods + leased.renewed
    leased.renewed += event.periods
    leased.consents.setdefault(event.consent, event.seq)
    made = _made(account, event, Ending("return", renewed_periods=leased.renewed))
    for each in made.rows:
        if each.kind != "rent" or each.number <= before:
            continue
        row = account.add_row("rent", each.due_on, reached=False)
        leased.rents.append(row)
        leased.later_rows.add(row)
        account.owe(row, INTEREST, each.rent_minor)
        account.owe(row, FEE, each.fee_minor)
    leased.term_ends_on = leased.term_end(leased.renewed)
    account.apply_held(event.seq, event.occurred_on)


# ---------------------------------------------------------------------------------------------- the deposit


def hold_deposit(account: Account, event: DepositHeld) -> None:
    """A deposit is frozen on the customer's own account: nothing is booked."""
    leased = _running(account, event)
    if leased.form != "frozen":
        state = "no deposit" if leased.form is None else f"a deposit {leased.form}"
        raise refused(
            event,
            state,
            "a deposit that is frozen",
            "one in cash is held by being paid, a waived one not at all",
        )
    if leased.frozen:
        raise refused(
            event, f"{leased.frozen} frozen", "a deposit that is not held yet", "nothing is to be done"
        )
    if not event.authorisation:
        raise EventRefused("authorisation", event.authorisation, "the reference of what was frozen")
    if event.amount_minor != leased.whole_deposit:
        raise EventRefused("amount_minor", event.amount_minor, f"{leased.whole_deposit}, the agreed deposit")
    leased.frozen = event.amount_minor


def _take(account: Account, event: Event, settlement: str, minor: int) -> None:
    """What is taken of a frozen deposit is money of ours from now on, on its way in a settlement."""
    leased = account.leased
    if not minor or leased is None or leased.form != "frozen":
        return
    if not settlement and event.seq == account.newest:
        # What was taken before named none where nothing was to be taken: news that came late is not refused for that.
        raise EventRefused("settlement", settlement, "the batch that what is taken of the deposit comes with")
    account.move(event.seq, "deposit_held", minor)


def apply_deposit(account: Account, event: DepositApplied) -> None:
    """A deposit pays rents that are due, only where that was agreed."""
    leased = _lease_of(account, event)
    deposit = leased.pricing.deposit
    if deposit is None or not deposit.covers_rent:
        raise refused(
            event,
            "a deposit for the goods" if deposit is not None else "no deposit",
            "a deposit that was agreed to pay rents too (covers_rent)",
            "collect the rent; the deposit stays where it is",
        )
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.application_id in account.credits:
        raise EventRefused("application_id", event.application_id, "a number that is not booked yet")
    on, seq = event.occurred_on, event.seq
    rows = [row for row in leased.rents if account.due_on(row) <= on and account.left[4 * row + INTEREST]]
    most = min(sum(account.left[4 * row + INTEREST] for row in rows), account.deposit_left)
    if seq == account.newest and event.amount_minor > most:
        raise refused(
            event,
            f"{most} due of rents that the deposit could pay",
            f"no more than that, not {event.amount_minor}",
            "apply that much",
        )
    rest = min(event.amount_minor, most)
    _take(account, event, event.settlement, rest)
    leased.applied += rest
    paid: list[tuple[int, int]] = []
    for row in rows:
        minor = account.pay(row, INTEREST, rest, on, False, paid)
        rest -= minor
        if not account.reached[row]:
            account.earn(
                seq,
                row,
                INTEREST,
                account.owed[4 * row + INTEREST]
                - account.left[4 * row + INTEREST]
                - account.interest_earned[row],
            )
        account.move(seq, "deposit_applied_rent", minor, row)
    account.note(seq, on, event.application_id, "deposit", paid)


def release_deposit(account: Account, event: DepositReleased) -> None:
    """What is left of it goes back, after the end and what had to be looked at."""
    leased = _lease_of(account, event)
    if leased.ended_on is None:
        raise refused(event, "a lease that runs", "one that has ended", "take the goods back first")
    held = account.deposit_left
    awaited = leased.awaits(event.occurred_on, held)
    if awaited == "inspection":
        raise refused(
            event,
            "goods that were not looked at",
            "a deposit whose goods were inspected",
            "inspect them first",
        )
    if event.seq == account.newest and not held:
        raise refused(event, "no deposit held", "a deposit that is held", "nothing is to be done")
    leased.released += held
    if leased.form == "cash":
        account.refund_due += held
        account.move(event.seq, "deposit_released", held)


def _keep(account: Account, event: Event, settlement: str, minor: int) -> None:
    """So much of the deposit is ours for good."""
    leased = account.leased
    assert leased is not None
    _take(account, event, settlement, minor)
    leased.lost += minor
    account.move(event.seq, "deposit_forfeited", minor)


# ---------------------------------------------------------------------------------------------- how it ends


def take_back(account: Account, event: LeaseReturned) -> None:
    """The goods are back in the inventory, at what they are worth in our books by now."""
    leased = _out(account, event)
    on = event.occurred_on
    early = on < leased.term_ends_on
    made = _made(account, event, Ending("return", on if early else None, leased.renewed))
    start = len(account.movements)
    _end(account, event, "returned", made)
    account.move(event.seq, "leased", leased.depreciated - leased.asset)
    account.move(event.seq, "depreciation_cleared", leased.depreciated)
    leased.asset = leased.residual = leased.depreciated = 0
    if made.lease is not None and made.lease.lost_minor:
        _keep(account, event, event.settlement, account.deposit_left)
    account.apply_held(event.seq, on)
    account.gather(event.seq, start)


def buyout_schedule(account: Account, event: Event) -> Schedule:
    """What is paid where the goods are bought on an event's day. Raises `EventRefused`."""
    leased = _out(account, event)
    on = event.occurred_on
    if on < leased.term_ends_on:
        return _made(account, event, Ending("early_buy_out", on, leased.renewed))
    return _made(account, event, Ending("buy_out", None, leased.renewed))


def buy_out(account: Account, event: BoughtOut) -> None:
    """The sale is made: its price is owed, the deposit pays of it what was agreed, and the goods leave our books."""
    leased = _out(account, event)
    if not event.consent.strip():
        raise refused(
            event,
            "no act of the customer",
            "a lease becomes a sale only by the customer's own act, never by being late",
            "ask the customer, and name what was said",
        )
    made = buyout_schedule(account, event)
    figures = made.lease
    assert figures is not None
    if event.price_minor != figures.buyout_minor:
        raise EventRefused(
            "price_minor", event.price_minor, f"{figures.buyout_minor}, what the agreed formula comes to"
        )
    seq, on, start = event.seq, event.occurred_on, len(account.movements)
    row = _end(account, event, "bought_out", made)
    leased.buyout = event.price_minor
    account.owe(row, PRINCIPAL, event.price_minor)
    account.move(seq, "bought_out", event.price_minor, row)
    account.move(seq, "cost_of_sale", leased.asset - leased.depreciated)
    account.move(seq, "depreciation_cleared", leased.depreciated)
    leased.asset = leased.residual = leased.depreciated = 0
    credited = min(account.deposit_left, figures.credited_minor)
    if credited:
        _take(account, event, event.settlement, credited)
        paid: list[tuple[int, int]] = []
        account.pay(row, PRINCIPAL, credited, on, False, paid)
        account.note(seq, on, f"deposit {seq}", "deposit", paid)
        leased.applied += credited
        account.move(seq, "deposit_applied", credited, row)
    if figures.lost_minor:
        _keep(account, event, event.settlement, account.deposit_left)
    account.apply_held(seq, on)
    account.gather(seq, start)


def _end(account: Account, event: Event, outcome: Outcome, made: Schedule) -> int:
    """Rents up to the end are owed and earned, later ones not at all; what the end itself costs is due with a row of its own."""
    leased = account.leased
    assert leased is not None
    seq = event.seq
    kept = {row.number: row for row in made.rows if row.kind == "rent"}
    for number, row in enumerate(leased.rents, 1):
        if number in kept:
            if kept[number].due_on < account.due[row]:
                account.due[row] = kept[number].due_on
                account.moved.pop(row, None)
        else:
            _drop(account, seq, row)
    _close_rows(account, event, outcome)
    kind: RowKind = "buyout" if outcome == "bought_out" else "goods_return"
    row = account.add_row(kind, event.occurred_on)
    for index, each in enumerate(made.rows):
        if each.kind != kind:
            continue
        for charge in made.charges:
            minor = charge.by_row_minor[index]
            if not minor:
                continue
            account.owe(row, FEE, minor)
            if charge.code == RETURN_SHIPPING:
                # Sending back was no fee of the way in which the lease was offered.
                account.earned[row] += minor
                account.fees_charged[row] = account.fees_charged.get(row, 0) + minor
                account.move(seq, "fee_charged", minor, row)
            else:
                account.earn(seq, row, FEE, minor)
    return row


def _drop(account: Account, seq: int, row: int) -> None:
    """A rent, with its agreed fee, is not owed: what had paid it is free. What was charged beside was no rent, and stays."""
    account.set_free(seq, row, FEE, account.paid_fee(row))
    account.lessen(seq, row, FEE, account.open_fee(row), EARNED, charges=False)
    account.set_free(seq, row, INTEREST)
    account.lessen(seq, row, INTEREST, account.left[4 * row + INTEREST], EARNED)
    account.reached[row] = True
    account.closed.add(row)


def _close_rows(account: Account, event: Event, outcome: Outcome) -> None:
    """Everything that is still owed is earned, and no more of the deposit is asked for."""
    leased = account.leased
    assert leased is not None
    for row in account.sequence:
        if not account.reached[row]:
            _reach(account, event.seq, row)
    deposit = leased.deposit_row
    if deposit is not None:
        account.owe(deposit, PRINCIPAL, -account.left[4 * deposit + PRINCIPAL])
    _depreciate(account, event.seq)
    leased.ended_on, leased.outcome = event.occurred_on, outcome


def inspect(account: Account, event: Inspected) -> None:
    """The goods were looked at; a deduction has a reason, evidence, and the deposit as its most: what was agreed of it, held or not."""
    leased = _lease_of(account, event)
    if leased.outcome not in ("returned", "lost") or leased.inspected_on is not None:
        state = (
            f"inspected on {leased.inspected_on}"
            if leased.inspected_on
            else "goods that are not back"
            if leased.outcome is None
            else leased.outcome.replace("_", " ")
        )
        raise refused(event, state, "goods that came back, inspected once", "take the goods back first")
    minor = event.deduction_minor
    if minor < 0:
        raise EventRefused("deduction_minor", minor, "0 or more")
    if not event.finding.strip():
        raise EventRefused("finding", event.finding, "what was found")
    if minor and not (event.reason.strip() and event.evidence.strip()):
        raise refused(
            event,
            "a deduction without reason or evidence",
            "a reason, and the reference of what shows it (电子商务法 21)",
            "name both, or deduct nothing",
        )
    most = leased.whole_deposit if leased.form == "waived" else account.deposit_left
    if event.not_held == "owed" and leased.form != "waived":
        most = max(leased.whole_deposit - leased.applied - leased.released - leased.lost, 0)
    if minor > most:
        if event.seq == account.newest:
            raise refused(
                event,
                f"{most} of the deposit",
                f"a deduction of no more than that, not {minor}",
                "deduct less",
            )
        minor = most
    leased.inspected_on, leased.finding = event.occurred_on, event.finding
    if not minor:
        return
    if leased.form == "waived":
        # Nothing was held, so that it is owed.
        account.charge(event.seq, f"inspection {event.seq}", FEE, minor, event.occurred_on)
        account.apply_held(event.seq)
        return
    kept = min(minor, account.deposit_left)
    _keep(account, event, event.settlement, kept)
    if minor > kept:
        # Whoever took the deposit back owes what was kept of it, as one does who did not have to pay it.
        account.charge(event.seq, f"inspection {event.seq}", FEE, minor - kept, event.occurred_on)
        account.apply_held(event.seq)


def call_off(account: Account, on: date, seq: int) -> None:
    """Before the goods go out nothing was rented: nothing is owed, and everything paid is free.

    Money that went out and is owed again was never rent: it stays owed.
    """
    leased = account.leased
    assert leased is not None
    start = len(account.movements)
    leased.ended_on, leased.outcome = on, "cancelled"
    for row in account.sequence:
        parts = (PENALTY, FEE, INTEREST, PRINCIPAL) if row == leased.deposit_row else (PENALTY, FEE, INTEREST)
        for part in parts:
            account.set_free(seq, row, part)
            account.lessen(seq, row, part, account.left[4 * row + part], EARNED)
        account.reached[row] = True
    account.apply_held(seq, on)
    account.gather(seq, start)


def give_up(account: Account, event: WrittenOff) -> None:
    """The goods do not come back: rents end with the day, and what they stand at in our books is lost. Nothing is sold by it."""
    leased = account.leased
    assert leased is not None
    for row in leased.rents:
        if account.due_on(row) > event.occurred_on:
            _drop(account, event.seq, row)
    _close_rows(account, event, "lost")
    account.move(event.seq, "asset_lost", leased.asset - leased.depreciated)
    account.move(event.seq, "depreciation_cleared", leased.depreciated)
    leased.asset = leased.residual = leased.depreciated = 0
    account.apply_held(event.seq, event.occurred_on)

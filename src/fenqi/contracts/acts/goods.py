"""Goods that go back: what they settle of the price, what happens to the fee, and what is paid out."""

from __future__ import annotations

from collections.abc import Sequence

from fenqi.contracts.account import WRITTEN_OFF, Account, refused
from fenqi.contracts.allocation import FEE, INTEREST, PRINCIPAL
from fenqi.contracts.events import EventRefused, GoodsReturned, RefundPaid
from fenqi.money import round_half_even

__all__ = ["give_back_price", "pay_refund", "take_back"]


def _bought(account: Account) -> tuple[int, int]:
    """The price of what is still with the customer: in all, and of other sellers."""
    terms = account.terms
    whole = sum(row.principal_minor for row in terms.rows) + account.lent_since
    returned = sum(minor for _, minor, _ in account.returned)
    others = sum(minor for _, _, minor in account.returned)
    return whole - returned, terms.for_other_sellers_minor - others


def take_back(account: Account, event: GoodsReturned) -> None:
    """Goods go back: principal that is not paid is settled first, and what was paid for them is owed to the customer."""
    if account.confirmed_on is None or account.cancelled_on is not None:
        state = "not confirmed" if account.confirmed_on is None else f"cancelled on {account.cancelled_on}"
        raise refused(event, state, "a contract that was confirmed and not cancelled", "check the contract")
    if any(name == event.return_id for name, _, _ in account.returned):
        raise EventRefused("return_id", event.return_id, "a return that is not booked yet")
    bought, bought_of_others = _bought(account)
    minor, others = event.amount_minor, event.for_other_sellers_minor
    if not 0 <= others <= minor or not minor:
        raise EventRefused("for_other_sellers_minor", others, f"0 to {minor}, the price of what went back")
    if minor > bought or others > bought_of_others or minor - others > bought - bought_of_others:
        if event.seq == account.newest:
            raise refused(
                event,
                f"goods of {minor} ({others} of them of other sellers)",
                f"no more than was bought and not returned yet: {bought} ({bought_of_others} of other sellers)",
                "return what was bought, at the price it was bought for",
            )
        mine = minor - others
        others = min(others, bought_of_others)
        minor = others + min(mine, bought - bought_of_others)
    account.returned.append((event.return_id, minor, others))
    if not minor:
        return
    seq, start = event.seq, len(account.movements)
    account.come_to(event.occurred_on)
    paid_fee = -account.fee_back + sum(
        account.paid_fee(row) + account.owed[4 * row + INTEREST] - account.left[4 * row + INTEREST]
        for row in account.sequence
    )
    if event.goodwill == "taken_back":
        paid_fee -= sum(
            credit.paid_of(FEE, INTEREST) for credit in account.credits.values() if credit.is_goodwill
        )
    settled: list[tuple[int | None, int]] = []
    if account.daily:
        settled += _settle_running(account, event, minor)
    else:
        settled += _settle_rows(account, seq, minor)
    claimed = _settle_claim(account, seq, minor - sum(part for _, part in settled))
    if claimed:
        settled.append((None, claimed))
    due = minor - sum(part for _, part in settled)
    granted = _paid_by_goodwill(account, due) if event.goodwill == "taken_back" else 0
    _book(account, seq, minor, others, settled, granted)
    if account.terms.returns.paid_fee == "returned" and paid_fee > 0:
        back = round_half_even(paid_fee * minor, bought)
        account.fee_back += back
        fee = account.terms.interest is None
        account.move(seq, "fee_returned" if fee else "interest_returned", back)
        account.refund_due += back
    account.gather(seq, start)


def _paid_by_goodwill(account: Account, due: int) -> int:
    """What is not refunded of so much that was paid: money goes back first, and no more than came of it."""
    money, granted = account.recovered - account.price_back, -account.goodwill_back
    for credit in account.credits.values():
        if credit.money:
            money += credit.paid_of(PRINCIPAL)
        elif credit.is_goodwill:
            granted += credit.paid_of(PRINCIPAL)
    return max(min(due - max(money, 0), granted), 0)


def _settle_claim(account: Account, seq: int, minor: int) -> int:
    """What was written off for goods is not lost where they come back: the claim is less, with its fee in proportion."""
    claim = account.written_off - account.recovered
    settled = min(minor, account.claim_principal, claim)
    if settled:
        fee = round_half_even(account.claim_fee * settled, account.claim_principal)
        fee = min(fee, claim - settled)
        account.claim_principal -= settled
        account.claim_fee -= fee
        account.written_off -= settled + fee
        account.move(seq, "written_off_principal", -settled)
    return settled


def _book(
    account: Account,
    seq: int,
    minor: int,
    others: int,
    settled: Sequence[tuple[int | None, int]],
    granted: int = 0,
) -> None:
    """`settled` came off the rows; the rest was paid and goes back, but for what was `granted` of it. Each is the other sellers' in
    proportion.
    """
    off = sum(part for _, part in settled)
    off_others = round_half_even(off * others, minor)
    left_others = off_others
    for index, (row, part) in enumerate(settled):
        share = left_others if index == len(settled) - 1 else min(part * off_others // off, left_others)
        left_others -= share
        account.move(seq, "returned_for_others", share, row)
        account.move(seq, "returned", part - share, row)
    due, due_others = minor - off, others - off_others
    granted_others = round_half_even(granted * due_others, due) if granted else 0
    account.move(seq, "returned_for_others", granted_others)
    account.move(seq, "returned", granted - granted_others)
    account.move(seq, "goodwill", -granted)
    account.goodwill_back += granted
    due, due_others = due - granted, due_others - granted_others
    account.move(seq, "refund_due_for_others", due_others)
    account.move(seq, "refund_due", due - due_others)
    account.refund_due += due
    account.price_back += due


def _settle_rows(account: Account, seq: int, minor: int) -> list[tuple[int, int]]:
    """Take principal off rows that are open, with the same part of their open fee; say how much of which."""
    settles = account.terms.returns.settles
    rows = [row for row in account.sequence if account.left[4 * row + PRINCIPAL]]
    parts = _parts([account.left[4 * row + PRINCIPAL] for row in rows], minor, settles)
    settled: list[tuple[int, int]] = []
    for row, part in zip(rows, parts, strict=True):
        if not part:
            continue
        open_principal = account.left[4 * row + PRINCIPAL]
        for fee in (FEE, INTEREST):
            left = account.open_fee(row) if fee == FEE else account.left[4 * row + fee]
            off = round_half_even(left * part, open_principal)
            account.lessen(seq, row, fee, off, WRITTEN_OFF, charges=False)
        account.owe(row, PRINCIPAL, -part)
        settled.append((row, part))
    return settled


def _parts(open_principal: Sequence[int], minor: int, settles: str) -> list[int]:
    """How much comes off each row: from the last, from the next, or in proportion (the last row takes what is left over)."""
    parts = [0] * len(open_principal)
    whole = sum(open_principal)
    minor = min(minor, whole)
    if settles == "proportional":
        rest = minor
        for index, each in enumerate(open_principal):
            parts[index] = min(round_half_even(minor * each, whole), rest, each)
            rest -= parts[index]
        for index in reversed(range(len(parts))):
            more = min(rest, open_principal[index] - parts[index])
            parts[index] += more
            rest -= more
        return parts
    order = range(len(parts)) if settles == "from_next" else reversed(range(len(parts)))
    for index in order:
        parts[index] = min(minor, open_principal[index])
        minor -= parts[index]
    return parts


def _settle_running(account: Account, event: GoodsReturned, minor: int) -> list[tuple[int, int]]:
    """Where interest runs, what goes back is principal paid on the day: it bears none from then on."""
    settles = account.terms.returns.settles
    paid: list[tuple[int, int]] = []
    while minor:
        rows = [row for row in account.sequence if account.left[4 * row + PRINCIPAL]]
        if not rows:
            break
        if settles == "proportional":
            parts = _parts([account.left[4 * row + PRINCIPAL] for row in rows], minor, settles)
            row, most = next((row, part) for row, part in zip(rows, parts, strict=True) if part)
        else:
            row, most = rows[0 if settles == "from_next" else -1], minor
        early = account.due_on(row) > event.occurred_on
        done = account.pay(row, PRINCIPAL, most, event.occurred_on, early, paid) or account.pay(
            row, PRINCIPAL, most, event.occurred_on, False, paid
        )
        if not done:
            break
        minor -= done
    sums: dict[int, int] = {}
    for slot, part in paid:
        sums[slot >> 2] = sums.get(slot >> 2, 0) + part
    if paid:
        account.note(event.seq, event.occurred_on, event.return_id, "goods_returned", paid)
    return list(sums.items())


def give_back_price(account: Account, seq: int) -> None:
    """Everything goes back: what is open of the price is not owed, what was paid of it is owed to the customer.

    Money that went out and is owed again is no price: what is open beyond the price stays owed.
    """
    bought, others = _bought(account)
    rest = bought
    settled: list[tuple[int | None, int]] = []
    for row in account.sequence:
        part = min(account.left[4 * row + PRINCIPAL], rest)
        if part:
            settled.append((row, part))
            account.owe(row, PRINCIPAL, -part)
            rest -= part
    _book(account, seq, bought, others, settled)


def pay_refund(account: Account, event: RefundPaid) -> None:
    """What was owed to the customer is paid out."""
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.seq == account.newest and event.amount_minor > account.refund_due:
        raise refused(
            event,
            f"{account.refund_due} to be refunded",
            f"no more than that, not {event.amount_minor}",
            "refund what is due",
        )
    due = min(event.amount_minor, account.refund_due)
    account.refund_due -= due
    account.move(event.seq, "refunded", due)
    if event.amount_minor > due:
        # What it was paid for was undone: the rest of it is owed again.
        account.send_out(event.seq, event.occurred_on, event.amount_minor - due)

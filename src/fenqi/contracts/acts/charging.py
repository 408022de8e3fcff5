"""What is charged beside the agreed rows, and what of it is let go."""

from __future__ import annotations

from fenqi.contracts.account import Account, Kinds, refused
from fenqi.contracts.acts.agreement import check_running
from fenqi.contracts.allocation import FEE, INTEREST, PARTS, PENALTY
from fenqi.contracts.events import Charged, EventRefused, Waived

__all__ = ["charge", "waive"]

_WAIVED: Kinds = ("penalty_waived", "fee_waived", "interest_waived", "goodwill")


def charge(account: Account, event: Charged) -> None:
    """A fee or a penalty is owed with the row in whose time its day lies. Penalties stay within the law's most."""
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    if event.charge_id in account.charges:
        raise EventRefused("charge_id", event.charge_id, "a charge that is not booked yet")
    if account.confirmed_on is not None:
        check_running(account, event)
    if all(cost.code != event.code for cost in account.terms.plan.contingent):
        raise EventRefused("code", event.code, "a cost that the disclosure named as one that may arise")
    if event.part == "penalty" and event.seq == account.newest:
        most = account.penalty_most(event.occurred_on)
        if most is not None and account.penalties + event.amount_minor > most:
            raise refused(
                event,
                f"penalties of {account.penalties} so far",
                f"no more than {most} in all by then, as the law has it: {account.cap_basis}",
                f"charge {max(most - account.penalties, 0)}",
            )
    part = PENALTY if event.part == "penalty" else FEE
    account.charge(event.seq, event.charge_id, part, event.amount_minor, event.due_on)
    account.apply_held(event.seq)


def waive(account: Account, event: Waived) -> None:
    """So much is not asked for: of one row, or of the oldest that owe it."""
    if event.amount_minor <= 0:
        raise EventRefused("amount_minor", event.amount_minor, "more than 0")
    check_running(account, event)
    if (event.part == "rent") is (account.leased is None) and event.part in ("rent", "interest"):
        owed_part = "interest" if event.part == "rent" else "rent"
        raise EventRefused(
            "part", event.part, f"{owed_part}, fee or penalty, of which such a contract consists"
        )
    # A rent lies where interest does in other contracts.
    part = INTEREST if event.part == "rent" else PARTS.index(event.part)
    rows = account.sequence
    if event.row is not None:
        row = account.place_of(event.row, event)
        rows = [] if row is None else [row]
    account.come_to(event.occurred_on)
    owed = sum(account.left[4 * row + part] for row in rows)
    if event.seq == account.newest and event.amount_minor > owed:
        raise refused(
            event,
            f"{event.part} of {owed} owed",
            f"no more than that, not {event.amount_minor}",
            "waive what is owed",
        )
    rest = event.amount_minor
    paid: list[tuple[int, int]] = []
    for row in rows:
        minor = min(rest, account.left[4 * row + part])
        if not minor:
            continue
        rest -= minor
        if part == INTEREST and account.daily:
            account.pay(row, part, minor, event.occurred_on, False, paid)
        else:
            account.lessen(event.seq, row, part, minor, _WAIVED)
    if paid:
        # Interest that runs is let go as if it were paid.
        account.book(event.seq, paid, _WAIVED)
        account.note(event.seq, event.occurred_on, event.waiver_id, "interest_waiver", paid)

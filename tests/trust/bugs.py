"""Money bugs, put into the engine one at a time: what the simulation has to find.

A `Bug` changes the text of one function, or one line of the table of postings. The changed text must be there exactly once, so
that a bug whose place has gone fails by name instead of changing nothing.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from fenqi.contracts import contract, settling
from fenqi.contracts.account import Account
from fenqi.contracts.acts import agreement, charging, dates, money
from fenqi.ledger import closure, entries

__all__ = ["BUGS", "Bug", "put_in"]


@dataclass(frozen=True)
class Bug:
    """`where` is changed from `right` to `wrong`; without `where`, the postings of the movement `right` become `wrong`."""

    name: str
    where: Callable[..., Any] | None
    right: str
    wrong: str | tuple[int, int]


@contextmanager
def put_in(bug: Bug) -> Iterator[None]:
    """The engine with a bug in it, put right again at the end."""
    if bug.where is None:
        kept = entries.POSTINGS[bug.right]
        assert isinstance(bug.wrong, tuple)
        assert kept != bug.wrong
        entries.POSTINGS[bug.right] = bug.wrong
        try:
            yield
        finally:
            entries.POSTINGS[bug.right] = kept
        return
    assert isinstance(bug.wrong, str)
    function: Any = bug.where
    text = textwrap.dedent(inspect.getsource(function))
    assert text.count(bug.right) == 1, f"{bug.name}: {bug.right!r} is there {text.count(bug.right)} times"
    changed: dict[str, Any] = dict(function.__globals__)
    flags = __future__.annotations.compiler_flag
    exec(compile(text.replace(bug.right, bug.wrong), f"<bug: {bug.name}>", "exec", flags, True), changed)
    kept_code = function.__code__
    function.__code__ = changed[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = kept_code


BUGS: Final = (
    # Wrong account, wrong sign.
    Bug("principal paid is booked as in the bank", None, "principal_paid", (1010, 1110)),
    Bug("principal paid turns to the other side", None, "principal_paid", (1110, 1020)),
    Bug("a fee paid clears principal", None, "fee_paid", (1020, 1110)),
    Bug("a fee earned is a sale", None, "fee_earned", (1120, 4010)),
    Bug("another seller's goods are our sale", None, "sold_for_others", (1110, 4010)),
    Bug("a penalty is fee income", None, "penalty_charged", (1140, 4110)),
    Bug("a waived penalty comes as money", None, "penalty_waived", (1020, 1140)),
    Bug("goodwill comes as money", None, "goodwill", (1020, 1110)),
    Bug("interest paid clears fees", None, "interest_paid", (1020, 1120)),
    Bug("unapplied money is income", None, "unapplied", (1020, 4190)),
    Bug("a refund comes in instead of going out", None, "unapplied_refunded", (1020, 2110)),
    Bug("money lent again is a sale", None, "reclaimed", (1110, 4010)),
    # One fen.
    Bug("a sale is a fen short", agreement.confirm, '"sold", principal - others)', '"sold", principal - others - 1)'),
    Bug("a payment is booked a fen over", Account.book, "kinds[part], minor, numbers", "kinds[part], minor + 1, numbers"),
    Bug("a fen is left when a row is paid in part", Account._walk, "left[slot] = owed - money\n", "left[slot] = owed - money + 1\n"),
    Bug("a fen of what is left over is lost", Account._walk, "credit.unapplied = money\n", "credit.unapplied = max(money - 1, 0)\n"),
    Bug("a penalty is a fen more than was said", Account.charge, "self.owe(row, part, minor)", "self.owe(row, part, minor + part // 3 + 1)"),
    Bug("a refund takes a fen too little", Account.give_back, "credit.unapplied -= part", "credit.unapplied -= max(part - 1, 0)"),
    Bug("an agreed price loses its last fen", Account.__init__, "(0, row.fee_minor, 0, row.principal_minor)", "(0, row.fee_minor, 0, row.principal_minor - (row.number == 3))"),
    # Dropped.
    Bug("a fee is never earned when its day comes", dates.reach, "if rest:", "if rest < 0:"),
    Bug("a fee paid early is not earned", Account.book, "if more > 0:", "if more > 10**9:"),
    Bug("other sellers' goods are not booked", agreement.confirm, 'account.move(event.seq, "sold_for_others", others)', "pass"),
    Bug("what is left over is not booked", Account.take, "if credit.unapplied:", "if credit.unapplied < 0:"),
    Bug("a reversal undoes nothing in the book", money._again, "before + after + undone", "before"),
    Bug("a reversal forgets what came before", money.reverse, "{**account.void, event.payment_id: event.occurred_on}", "{event.payment_id: event.occurred_on}"),
    Bug("a refund leaves no trace", money._out, 'account.move(event.seq, "unapplied_refunded", minor)', "pass"),
    Bug("a refund of what was owed is not owed again", money._out, "if short:", "if short < 0:"),
    Bug("held money stays when the agreement comes", agreement.confirm, "if account.credits:", "if not account.credits:"),
    Bug("held money does not pay a new charge", charging.charge, "account.apply_held(event.seq)", "pass"),
    Bug("agreed interest is earned only on its day", contract.step, "account.terms.interest is not None", "account.daily"),
    Bug("money of before is used for a charge of before", Account.apply_held, "self.confirmed_on is None", "False"),
    Bug("money that went out twice is forgotten", money.pay_back, "if short:", "if False:"),
    Bug("money that went out is not taken from what is held", money._out, "minor - account.give_back(minor)", "minor"),
    Bug("money that came back from being paid back is forgotten", money.pay_back, "event.payment_id in account.void", "False"),
    # Twice.
    Bug("a payment may come twice", money._credit, "event.payment_id in account.credits", "False"),
    Bug("a payment may be taken back twice", money.reverse, "credit.reversed_on is not None", "False"),
    Bug("a due date comes twice", dates.reach, "if account.reached[row]:", "if False:"),
    Bug("a contract is confirmed twice", agreement.confirm, "account.confirmed_on is not None", "False"),
    Bug("a fee paid early is earned again on its day", dates.reach, "account.owed[4 * row + FEE] - account.earned[row]", "account.owed[4 * row + FEE]"),
    Bug("an early fee is earned by each of its payments whole", Account.book, "self.owed[slot] - self.left[slot] - earned[row]", "self.owed[slot] - self.left[slot]"),
    Bug("a reversal is undone twice", money._again, "before + after + undone", "before + after + undone + undone"),
    Bug("a charge counts twice", charging.charge, "event.charge_id in account.charges", "False"),
    Bug("the same part is posted twice", entries.position, "balances.get(debit, 0) + amount", "balances.get(debit, 0) + 2 * amount"),
    # Order, and what is closed or late.
    Bug("the newest row is paid first", Account._line_up, "owed, sequence = self.owed, self.sequence", "owed, sequence = self.owed, self.sequence[::-1]"),
    Bug("rows are finished where parts were agreed", Account._line_up, 'allocation.along == "rows"', "True"),
    Bug("principal goes before fees", Account._line_up, "PARTS.index(part) for part in parts_in_full(allocation.parts)", "PARTS.index(part) for part in PARTS[::-1]"),
    Bug("events count in the order in which they came", contract._order, "event.occurred_on, event.recorded_at, event.seq", "event.recorded_at, event.seq"),
    Bug("what is learnt late is known at once", contract.account_of, "event.recorded_at <= known_at", "True"),
    Bug("a day's own events are left out", contract.account_of, "event.occurred_on <= as_of", "event.occurred_on < as_of"),
    Bug("what is paid back comes from the oldest row", Account.pay_back, "backwards(rule)", "rule"),
    Bug("a due date is moved to an earlier day", dates.put_off, "event.to <= due_on", "False"),
    Bug("a moved due date is late all the same", contract._state, "if row in account.moved:", "if False:"),
    Bug("a row is late on its day", contract._state, "due_on == as_of", "False"),
    Bug("a closed contract stays closed when a payment bounces", contract.step, "account.closed_on = None", "pass"),
    Bug("a contract with a fen open is closed", contract._state, "elif not account.outstanding:", "elif account.outstanding <= 1:"),
    Bug("a paid row is the next to pay", contract._state, "if next_row is None:", "if next_row is None or open_minor > 1:"),
    Bug("a due date is moved past the next row", dates.put_off, "event.to > following", "event.to > following.replace(year=2039)"),
    Bug("an extra row counts as one that comes", Account.add_row, "self.reached.append(reached)", "self.reached.append(False)"),
    Bug("a charge falls to the row before its time", Account.row_for, "if on <= self.due[row]:", "if True:"),
    Bug("what is paid back is paid once more", settling.Backwards.pay, "(slot, -minor)", "(slot, minor)"),
    Bug("what is paid back in advance comes from the next row", settling._future, "return rows[-1:]", "return rows[:1]"),
    # The checks themselves.
    Bug("a close is ignored", closure.closure_problems, 'state.status == "closed" and minor', "False"),
    Bug("a receivable below zero is ignored", closure.closure_problems, "elif minor and (minor < 0)", "elif False and (minor < 0)"),
    Bug("a sum that is not zero is ignored", closure.closure_problems, "if total:", "if False:"),
    Bug("an open contract is held to zero", closure.closure_problems, 'state.status == "closed" and minor', "minor"),
    Bug("entries that do not balance pass", entries.posting, "sum(minor for _, minor in legs) or any", "any"),
    Bug("a fee beyond the listed passes", entries._check_listed, "if minor > total:", "if False:"),
    Bug("interest beyond the listed passes", entries.position, 'capped = ("fee_earned", "interest_earned")', 'capped = ("fee_earned",)'),
    Bug("a posting forgets what is booked", entries.posting, "after.get(account, 0) - booked.get(account, 0)", "after.get(account, 0)"),
)  # fmt: skip


def main() -> None:
    """Put each bug in, and print which oracle caught it, and after how many events of one contract."""
    from tests.trust.simulation import Break, simulate

    for bug in BUGS:
        caught = "MISSED"
        try:
            with put_in(bug):
                simulate("bugs", 6_000)
        except Break as broken:
            caught = f"{broken.oracle}, by {len(broken.told)} events"
        print(f"{bug.name}: {caught}")


if __name__ == "__main__":
    main()

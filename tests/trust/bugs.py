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

from fenqi.contracts import allocation, contract, settling
from fenqi.contracts.account import Account
from fenqi.contracts.acts import agreement, charging, dates, distress, goods, leasing, money, pledging
from fenqi.contracts.lease import Leased
from fenqi.ledger import closure, entries

__all__ = ["BUGS", "STEPS", "Bug", "put_in"]

STEPS: Final = {"sale": 20_000, "ruled sale": 6_000, "dated sale": 8_000, "lease": 9_000, "pledge": 3_000}
"""Within so many steps of contracts of its form a bug has to be found; nearly all are found within a few hundred."""


@dataclass(frozen=True)
class Bug:
    """`where` is changed from `right` to `wrong`; without `where`, the postings of the movement `right` become `wrong`.

    `form`: the form of contract whose lives show it.
    """

    name: str
    where: Callable[..., Any] | None
    right: str
    wrong: str | tuple[int, int]
    form: str = "sale"


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
    made = changed[function.__name__]
    kept_code = function.__code__
    function.__code__ = (made.fget if isinstance(made, property) else made).__code__
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
    Bug("a refund leaves no trace", Account.send_out, 'self.move(seq, "unapplied_refunded", minor)', "pass"),
    Bug("a refund of what was owed is not owed again", Account.send_out, "if short:", "if short < 0:"),
    Bug("held money stays when the agreement comes", agreement.confirm, "if account.credits:", "if not account.credits:"),
    Bug("held money does not pay a new charge", charging.charge, "account.apply_held(event.seq)", "pass"),
    Bug("agreed interest is earned only on its day", contract.step, "account.terms.interest is not None", "account.daily"),
    Bug("money of before is used for a charge of before", Account.apply_held, "self.confirmed_on is None", "False"),
    Bug("money that went out twice is forgotten", money.pay_back, "if short:", "if False:"),
    Bug("money that went out is not taken from what is held", Account.send_out, "minor - self.give_back(minor, only_money=only_money)", "minor"),
    Bug("money that came back from being paid back is forgotten", money.pay_back, "event.payment_id in account.void", "False"),
    # Twice.
    Bug("a payment may come twice", money._credit, "event.payment_id in account.credits", "False"),
    Bug("a payment may be taken back twice", money.reverse, "event.payment_id in account.void", "False"),
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
    Bug("principal goes before fees", Account.__init__, "PARTS.index(part) for part in parts_in_full(terms.allocation.parts)", "PARTS.index(part) for part in PARTS[::-1]"),
    Bug("events count in the order in which they came", contract._order, "event.occurred_on, event.recorded_at, event.seq", "event.recorded_at, event.seq"),
    Bug("what is learnt late is known at once", contract.account_of, "event.recorded_at <= known_at", "True"),
    Bug("a day's own events are left out", contract.account_of, "event.occurred_on <= as_of", "event.occurred_on < as_of"),
    Bug("what is paid back comes from the oldest row", Account.pay_back, "backwards(rule)", "rule"),
    Bug("a due date is moved to an earlier day", dates.put_off, '"" if event.to > due_on', '"" if True'),
    Bug("a moved due date is late all the same", contract._state, "if row in account.moved:", "if False:"),
    Bug("a row is late on its day", contract._state, "due_on == as_of", "False"),
    Bug("a closed contract stays closed when a payment bounces", contract.step, "account.closed_on = None", "pass"),
    Bug("a contract with a fen open is closed", contract._state, "elif not account.outstanding and", "elif account.outstanding <= 1 and"),
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
    # Giving up, and what still comes.
    Bug("a loss is goodwill", None, "written_off_principal", (5120, 1110)),
    Bug("a fee that is given up takes other income away", None, "written_off_fee", (4190, 1120)),
    Bug("a charge that is given up takes fee income away", None, "written_off_charge", (4110, 1120)),
    Bug("a penalty that is given up is a loss", None, "written_off_penalty", (5110, 1140)),
    Bug("interest that is given up is a loss", None, "written_off_interest", (5110, 1130)),
    Bug("what is recovered is other income", None, "recovered", (1020, 4190)),
    Bug("what collecting costs comes in", None, "collection_cost", (1020, 5210)),
    Bug("what is given up again forgets the first claim", distress.write_off, "account.written_off += account.outstanding", "account.written_off = account.outstanding"),
    Bug("penalties are not given up", distress.write_off, "(PENALTY, FEE, INTEREST, PRINCIPAL)", "(FEE, INTEREST, PRINCIPAL)"),
    Bug("more is recovered than was claimed", Account.take, "min(self.written_off - self.recovered, credit.unapplied)", "credit.unapplied"),
    Bug("a claim is recovered again and again", Account.take, "self.recovered += credit.recovered", "pass"),
    Bug("what collecting costs is not booked", distress.recover, 'account.move(event.seq, "collection_cost", event.cost_minor)', "pass"),
    Bug("a recovery is taken before anything was given up", distress.recover, "account.written_off_on is None", "False"),
    Bug("a payment that was taken back is held", Account.take, "credit.unapplied = 0", "pass"),
    Bug("goods settle a claim and the loss stays", goods._settle_claim, 'account.move(seq, "written_off_principal", -settled)', "pass"),
    Bug("goods settle what was recovered", goods._settle_claim, "claim = account.written_off - account.recovered", "claim = account.written_off"),
    Bug("goods settle the same claim twice", goods._settle_claim, "account.claim_principal -= settled", "pass"),
    Bug("goods that come back after a write-off are refunded whole", goods.take_back, "if claimed:", "if claimed < 0:"),
    Bug("the fee stays in the claim when the goods come back", goods._settle_claim, "account.written_off -= settled + fee", "account.written_off -= settled"),
    # Goods, refunds, calling off.
    Bug("goods that come back undo the sale", None, "returned", (4010, 1110)),
    Bug("another seller's goods come back to us", None, "returned_for_others", (4020, 1110)),
    Bug("what goes back undoes the sale", None, "refund_due", (4010, 2120)),
    Bug("what goes back for another seller is ours", None, "refund_due_for_others", (4020, 2120)),
    Bug("a refund that is paid comes in", None, "refunded", (1020, 2120)),
    Bug("a fee that goes back was other income", None, "fee_returned", (4190, 2120)),
    Bug("interest that goes back was a fee", None, "interest_returned", (4110, 2120)),
    Bug("interest that is let go never was income", None, "interest_waived", (4120, 1130)),
    Bug("a fee that is let go never was income", None, "fee_waived", (4110, 1120)),
    Bug("a charge is fee income", None, "fee_charged", (1120, 4110)),
    Bug("goodwill that is left over came as money", None, "goodwill_unapplied", (1020, 2110)),
    Bug("goodwill that is left over stays", contract.step, "if account.may_lapse:", "if False:"),
    Bug("goodwill that is left over goes out as money", Account.give_back, "only_money and not credit.money", "False"),
    Bug("goodwill of before stays when money goes out", money.give_back, "every=True", "every=False"),
    Bug("a paid fee goes back with each part of the goods", goods.take_back, "paid_fee = -account.fee_back + sum(", "paid_fee = sum("),
    Bug("a fee that goes back is not owed to the customer", goods.take_back, "account.refund_due += back", "pass"),
    Bug("a fee that goes back is rounded down", goods.take_back, "round_half_even(paid_fee * minor, bought)", "paid_fee * minor // bought"),
    Bug("a return comes twice", goods.take_back, "any(name == event.return_id for name, _, _ in account.returned)", "False"),
    Bug("goods come back that came back before", goods._bought, "whole - returned", "whole"),
    Bug("goods settle from the wrong end", goods._parts, 'settles == "from_next" else', 'settles != "from_next" else'),
    Bug("a part of each row is rounded down", goods._parts, "round_half_even(minor * each, whole)", "minor * each // whole"),
    Bug("goods that come back take the whole fee of their row", goods._settle_rows, "off = round_half_even(left * part, open_principal)", "off = left"),
    Bug("goods that come back take the charges of their row", goods._settle_rows, "account.open_fee(row) if fee == FEE else", ""),
    Bug("what was paid for goods is not refunded", goods._book, "account.refund_due += due", "pass"),
    Bug("what goodwill paid of goods is paid out", goods.take_back, "_paid_by_goodwill(account, due) if", "0 if"),
    Bug("goodwill goes back before money does", goods._paid_by_goodwill, "due - max(money, 0)", "due"),
    Bug("goodwill is paid out when a sale is called off", agreement.cancel, "account.withdraw_goodwill(seq, event.occurred_on)", "pass"),
    Bug("a refund stays due when it is paid", goods.pay_refund, "account.refund_due -= due", "pass"),
    Bug("more is refunded than is due", goods.pay_refund, "event.amount_minor > account.refund_due", "False"),
    Bug("penalties stay when a sale is called off", agreement.cancel, "for part in (PENALTY, FEE, INTEREST):", "for part in (FEE, INTEREST):"),
    Bug("a sale is called off after it was shipped", agreement.cancel, "account.shipped_on is not None", "False"),
    # Paying off.
    Bug("too little pays everything off", money.settle_by, "event.amount_minor + account.held < asked.amount_minor", "False"),
    Bug("paying off costs nothing", money.settle_by, "if asked.charge_minor:", "if False:"),
    # Dates and pauses.
    Bug("what was late goes on ageing in a pause", dates.pause, "account.pauses.append((on, until))", "pass"),
    Bug("a pause puts off for a period more", dates.pause, "later(account, account.due[row], event.periods)", "later(account, account.due[row], event.periods + 1)"),
    Bug("the last of a month is lost for good", dates.later, "if on.day < day and", "if False and"),
    Bug("a row that was put off keeps that day", Account.redate, "self.moved.pop(row, None)", "pass"),
    Bug("rows that were spread anew fall due again", Account.rows_later, "and row not in self.closed", ""),
    Bug("another due day comes before the row before it", dates.change_day, "if new[0] <= max(account.begins_on(first), event.occurred_on):", "if False:"),
    Bug("another due day holds for rows that were spread anew", dates.change_day, " if row not in account.closed]", "]"),
    Bug("another due day holds for a row that is due", dates.change_day, "if account.due_on(first) <= event.occurred_on:", "if False:"),
    Bug("a row is reached twice when told the other way round", dates.reach, "(event.seq, account.reached_by.get(row))", "(event.seq,)"),
    # Spread anew, called due.
    Bug("old rows run on beside the new ones", distress.re_age, "account.closed.update(account.sequence)", "pass"),
    Bug("the oldest row is not spread", distress.re_age, "if account.is_open(row)]", "if account.is_open(row)][1:]"),
    Bug("what does not divide lies elsewhere than agreed", distress._spread, "account.terms.plan.residue", '"last"'),
    Bug("what was earned is lost when it is spread anew", Account.shift, "earned[target] += over", "pass"),
    Bug("a charge is a fee once it is spread anew", Account.shift, "self.fees_charged[target] = self.fees_charged.get(target, 0) + charged", "pass"),
    Bug("interest is not earned any more once it is spread anew", Account.shift, "self.interest_kept[target] = self.interest_kept.get(target, 0) + over", "pass"),
    Bug("earned interest is forgotten by the rows", Account.recognise, "max(earned, min(self.interest_kept[row], owed[slot]))", "earned"),
    Bug("everything is called due for any arrears", distress.accelerate, "late * agreed.part_of_price < price", "False"),
    Bug("everything is called due a day early", distress.accelerate, "if on <= earliest:", "if on < earliest:"),
    Bug("everything is called due twice", distress.accelerate, "account.accelerated_on is not None", "False"),
    Bug("what is called due stays due later", distress.accelerate, "account.due[row] = on", "pass"),
    Bug("calling due lets charges go", distress.accelerate, "account.open_fee(row), WRITTEN_OFF, charges=False", "account.left[4 * row + FEE], WRITTEN_OFF"),
    Bug("calling due lets the fee of today's row go", distress.accelerate, "if account.due_on(row) <= on:", "if account.due_on(row) < on:"),
    # Charges, and what is let go; what a payment is for.
    Bug("a penalty does not know the law", Account.penalty_due, "min(rate, Fraction(late.cap_rate))", "rate"),
    Bug("what is paid today never was late", Account.penalty_at, "since < day <= on", "since < day < on"),
    Bug("days of grace cost", Account.penalty_at, " + timedelta(days=late.grace_days)", ""),
    Bug("the same is let go of every row", charging.waive, "rest -= minor", "pass"),
    Bug("more is let go than is owed", charging.waive, "event.amount_minor > owed", "False"),
    Bug("what the customer said is not done", money.instruct, "{**account.instructions, event.payment_id: event.parts}", "account.instructions"),
    Bug("more is said of a payment than it was", money.instruct, "meant > credit.amount", "False"),
    Bug("an attempt fails twice", money.fail, "if any(", "if False and any("),
    Bug("a quote is given twice", money.quote, "event.quote_id in account.quotes", "False"),
    Bug("what is owed again is not booked", Account.reclaim, 'self.move(seq, "reclaimed", minor, row)', "pass"),
    Bug("a recovery that bounced costs all the same", distress.recover, "event.payment_id not in account.void", "True"),
    Bug("a charge that goes back was a fee", None, "charge_returned", (4110, 2120)),
    Bug("a penalty that goes back was other income", None, "penalty_returned", (4190, 2120)),
    Bug("a refund of nothing is not owed again", goods.pay_refund, "if event.amount_minor > due:", "if False:"),
    Bug("penalties do not go back when a sale is called off", agreement.cancel, "account.refund_due += fee + interest + penalty", "account.refund_due += fee + interest"),
    Bug("a charge goes back as a fee too", agreement.cancel, "fee - charged", "fee"),
    Bug("money lent again is called off with the sale", goods.give_back_price, "min(account.left[4 * row + PRINCIPAL], rest)", "account.left[4 * row + PRINCIPAL]"),
    Bug("a payoff is charged each time it is paid", money.settle_by, "or asked.quote_id in account.settled", ""),
    Bug("a quote never runs out", money.receive, "event.occurred_on <= asked.valid_until", "True"),
    Bug("rows that were spread anew are the running ones", Account.spare_fees, "if due_on <= on or row in self.closed:", "if due_on <= on:"),
    Bug("a payoff owes a day more", Account.spare_fees, "(on - begins_on).days, (due_on", "(on - begins_on).days + 1, (due_on"),
    Bug("a day in two pauses is paused twice", Account.paused_days, "since = max(since, stop)", "pass"),
    Bug("what falls due today is not spread", distress.re_amortise, "account.due_on(row) <= on and", "account.due_on(row) < on and"),
    Bug("a charge that is paid is given up", Account.lessen, "min(minor, self.open_charge(row))", "min(minor, self.fees_charged.get(row, 0))"),
    Bug("the law's most holds for each penalty alone", charging.charge, "account.penalties + event.amount_minor > most", "event.amount_minor > most"),
    Bug("a pause costs penalties", Account.penalty_at, " - self.paused_days(since, day)", ""),
    Bug("a posting forgets what is booked", entries.posting, "after.get(account, 0) - booked.get(account, 0)", "after.get(account, 0)"),
    # Rules of twelve buckets.
    Bug("a row that is due today is past due", settling._rows, "due_on < on", "due_on <= on", "ruled sale"),
    Bug("the buckets come in another order", settling.settle, "for bucket in rule.order]", "for bucket in rule.order[::-1]]", "ruled sale"),
    Bug("a rule's parts are taken row by row", settling.settle, 'rule.along == "parts"', "False", "ruled sale"),
    Bug("the next row is paid where the last was agreed", settling._future, "return rows[-1:]", "return rows[:1]", "ruled sale"),
    Bug("all rows to come are paid where the next was agreed", settling._future, "return rows[:1]", "return rows", "ruled sale"),
    Bug("the row that runs is passed over", settling._future, "if running:", "if False:", "ruled sale"),
    Bug("equal shares lose what does not divide", settling._shares, "[money - each * (count - 1)]", "[each]", "ruled sale"),
    Bug("a purpose has no rule of its own", allocation.rule_for, "if rule.purpose == purpose:", "if False:", "ruled sale"),
    Bug("a charge whose day has come waits for its row", settling._in_advance, "if rule.charges_by_own_date:", "if False:", "dated sale"),
    Bug("fees are taken by their own day before penalties", settling._in_advance, "for part in (PENALTY, FEE):", "for part in (FEE, PENALTY):", "dated sale"),
    Bug("a charge is paid by its own day whether or not it has come", Account.matured, "if due_on <= on else 0", "", "dated sale"),
    Bug("what was paid of a charge is paid by its own day again", Account.matured, "due - gone", "due", "dated sale"),
    Bug("what is paid back by a rule comes from its first bucket", allocation.backwards, "rule.order[::-1]", "rule.order", "ruled sale"),
    Bug("what is paid back by a rule comes from the row paid last", allocation.backwards, "futures.get(rule.future, rule.future)", "rule.future", "ruled sale"),
    # Leases: what is booked where.
    Bug("a deposit is income", None, "deposit_held", (1020, 4190), "lease"),
    Bug("a deposit that goes back is held still", None, "deposit_released", (4190, 2120), "lease"),
    Bug("what a deposit pays of the price came as money", None, "deposit_applied", (1020, 1110), "lease"),
    Bug("what a deposit pays of a rent came as money", None, "deposit_applied_rent", (1020, 1150), "lease"),
    Bug("a deposit that is kept is lease income", None, "deposit_forfeited", (2130, 4140), "lease"),
    Bug("a rent is a sale", None, "rent_earned", (1150, 4010), "lease"),
    Bug("a rent that is paid clears principal", None, "rent_paid", (1020, 1110), "lease"),
    Bug("a rent that is waived never was income", None, "rent_waived", (4140, 1150), "lease"),
    Bug("a rent that is given up is a loss", None, "written_off_rent", (5110, 1150), "lease"),
    Bug("goods that go out are sold", None, "leased", (5010, 1210), "lease"),
    Bug("wear takes the goods themselves away", None, "depreciated", (5020, 1220), "lease"),
    Bug("goods that are lost are sold", None, "asset_lost", (5010, 1220), "lease"),
    Bug("goods that are bought are lost", None, "cost_of_sale", (5110, 1220), "lease"),
    Bug("the price of a buyout is lease income", None, "bought_out", (1110, 4140), "lease"),
    Bug("what had worn off stays when the goods go", None, "depreciation_cleared", (5020, 1220), "lease"),
    # Leases: rents and goods.
    Bug("a rent falls due twice", leasing.fall_due, "if account.newest in (event.seq, first):", "if False:", "lease"),
    Bug("a rent that falls due wears nothing off", leasing.fall_due, "_depreciate(account, event.seq, row)", "pass", "lease"),
    Bug("goods wear off down to nothing", Leased.depreciation, "self.asset - self.residual", "self.asset", "lease"),
    Bug("goods wear off in a renewal too", Leased.depreciation, "sum(parts[: min(rents, periods)])", "sum(parts[:rents]) + parts[-1] * max(rents - periods, 0)", "lease"),
    Bug("goods wear off a period late", Leased.depreciation, "min(rents, periods)", "min(max(rents - 1, 0), periods)", "lease"),
    Bug("goods go out without a deposit", leasing.hand_over, "held < wanted", "False", "lease"),
    Bug("goods go out twice", leasing.hand_over, "leased.handed_over_on is not None", "False", "lease"),
    Bug("goods are worth more at the end than they cost", leasing.hand_over, "if not 0 <= event.residual_minor <= event.cost_minor:", "if False:", "lease"),
    Bug("what fell due before the goods went out wears nothing off", leasing.hand_over, "_depreciate(account, event.seq)", "pass", "lease"),
    Bug("a rent that is paid ahead is not earned", Account._book_of_lease, "if part in (FEE, INTEREST) and", "if part == FEE and", "lease"),
    Bug("the rents of a renewal are whole ones", leasing.renew, "account.owe(row, INTEREST, each.rent_minor)", "account.owe(row, INTEREST, made.rows[1].rent_minor)", "lease"),
    Bug("a renewal bears no fees", leasing.renew, "account.owe(row, FEE, each.fee_minor)", "pass", "lease"),
    Bug("a fee of a renewal is an agreed one", leasing.renew, "leased.later_rows.add(row)", "pass", "lease"),
    Bug("a renewal needs no consent", leasing.renew, "if not event.consent.strip():", "if False:", "lease"),
    Bug("a consent renews again and again", leasing.renew, "if first is not None and account.newest in (event.seq, first):", "if False:", "lease"),
    Bug("a lease is renewed after its term", leasing.renew, "event.occurred_on > leased.term_ends_on", "False", "lease"),
    Bug("a renewal does not move the end of the term", leasing.renew, "leased.term_ends_on = leased.term_end(leased.renewed)", "pass", "lease"),
    # Leases: the deposit.
    Bug("a deposit is frozen twice", leasing.hold_deposit, "if leased.frozen:", "if False:", "lease"),
    Bug("any amount is a deposit", leasing.hold_deposit, "event.amount_minor != leased.whole_deposit", "False", "lease"),
    Bug("what is taken of a frozen deposit never comes", leasing._take, 'account.move(event.seq, "deposit_held", minor)', "pass", "lease"),
    Bug("any deposit pays rents", leasing.apply_deposit, "not deposit.covers_rent", "False", "lease"),
    Bug("a deposit pays rents that are not due", leasing.apply_deposit, "account.due_on(row) <= on and ", "", "lease"),
    Bug("a deposit pays more than there is of it", leasing.apply_deposit, ", account.deposit_left)", ", 10**12)", "lease"),
    Bug("a deposit that paid a rent is there still", leasing.apply_deposit, "leased.applied += rest", "pass", "lease"),
    Bug("a rent that a deposit pays before its day is not earned", leasing.apply_deposit, "if not account.reached[row]:", "if False:", "lease"),
    Bug("a deposit goes back before anybody looked", leasing.release_deposit, 'awaited == "inspection"', "False", "lease"),
    Bug("a deposit goes back again and again", leasing.release_deposit, "leased.released += held", "pass", "lease"),
    Bug("a deposit that goes back is owed to nobody", leasing.release_deposit, "account.refund_due += held", "pass", "lease"),
    Bug("a frozen deposit goes back as money", leasing.release_deposit, 'leased.form == "cash"', "True", "lease"),
    Bug("what is kept of a deposit goes back as well", leasing._keep, "leased.lost += minor", "pass", "lease"),
    Bug("more than the deposit is kept", leasing.inspect, "if minor > most:", "if False:", "lease"),
    Bug("goods are looked at twice", leasing.inspect, "or leased.inspected_on is not None", "", "lease"),
    Bug("a deduction needs no evidence", leasing.inspect, "event.reason.strip() and event.evidence.strip()", "event.reason.strip()", "lease"),
    Bug("what is no money fills a deposit", Account.allocate, "self.leased is None or credit.money", "True", "lease"),
    Bug("what was charged back is not owed for the damage", leasing.inspect, "if minor > kept:", "if False:", "lease"),
    Bug("a deposit that paid rents pays for the damage again", leasing.inspect, "leased.whole_deposit - leased.applied", "leased.whole_deposit", "lease"),
    # Leases: how they end.
    Bug("rents of a later time stay owed", leasing._end, "_drop(account, seq, row)", "pass", "lease"),
    Bug("a rent that is not owed is paid all the same", leasing._drop, "account.set_free(seq, row, INTEREST)", "pass", "lease"),
    Bug("a fee that is not owed is paid all the same", leasing._drop, "account.set_free(seq, row, FEE, account.paid_fee(row))", "pass", "lease"),
    Bug("a charge goes with the rent", leasing._drop, "account.lessen(seq, row, FEE, account.open_fee(row), EARNED, charges=False)", "account.lessen(seq, row, FEE, account.left[4 * row + FEE], EARNED)", "lease"),
    Bug("a rent that has begun stays due when it was", leasing._end, "account.due[row] = kept[number].due_on", "pass", "lease"),
    Bug("sending back is an agreed fee", leasing._end, "if charge.code == RETURN_SHIPPING:", "if False:", "lease"),
    Bug("a deposit that was not paid is asked for after the end", leasing._close_rows, "-account.left[4 * deposit + PRINCIPAL]", "0", "lease"),
    Bug("what was rented to the end is not earned", leasing._close_rows, "_reach(account, event.seq, row)", "account.reached[row] = True", "lease"),
    Bug("goods come back as new", leasing.take_back, "leased.depreciated - leased.asset", "-leased.asset", "lease"),
    Bug("money that is free by a return pays nothing", leasing.take_back, "account.apply_held(event.seq, on)", "pass", "lease"),
    Bug("a deposit that is lost by the terms goes back", leasing.take_back, "made.lease.lost_minor", "False", "lease"),
    Bug("goods are bought for any price", leasing.buy_out, "event.price_minor != figures.buyout_minor", "False", "lease"),
    Bug("goods are bought by nobody's act", leasing.buy_out, "if not event.consent.strip():", "if False:", "lease"),
    Bug("goods that were bought cost what they cost new", leasing.buy_out, "leased.asset - leased.depreciated", "leased.asset", "lease"),
    Bug("a deposit pays the price, and is there still", leasing.buy_out, "leased.applied += credited", "pass", "lease"),
    Bug("the whole deposit pays of the price", leasing.buy_out, "min(account.deposit_left, figures.credited_minor)", "min(account.deposit_left, event.price_minor)", "lease"),
    Bug("goods that do not come back are worth what they were", leasing.give_up, 'account.move(event.seq, "asset_lost", leased.asset - leased.depreciated)', "pass", "lease"),
    Bug("rents go on after the goods are lost", leasing.give_up, "account.due_on(row) > event.occurred_on", "False", "lease"),
    Bug("a lease is called off once the goods are out", agreement.cancel, "if out_on is not None:", "if False:", "lease"),
    Bug("a deposit is kept when a lease is called off", leasing.call_off, "account.set_free(seq, row, part)", "part != PRINCIPAL and account.set_free(seq, row, part)", "lease"),
    Bug("a lease is over while its deposit is held", Account.over.fget, "leased.awaits(date.max, self.deposit_left) is None", "True", "lease"),  # type: ignore[attr-defined]
    Bug("a late rent costs nothing", Account.penalty_at, "(PRINCIPAL,) if self.leased is None else (INTEREST, PRINCIPAL)", "(PRINCIPAL,)", "lease"),
    Bug("a late deposit costs penalties", Account.penalty_at, "if self.leased is not None and row == self.leased.deposit_row:", "if False:", "lease"),
    Bug("what a deposit paid is taken back", money.reverse, "or credit.noted", "", "lease"),
    # Pledges.
    Bug("a pledge is sold when it is agreed", agreement.confirm, "account.leased is None and account.pledge is None", "account.leased is None", "pledge"),
    Bug("a pledge of any amount", pledging.pledge, "event.amount_minor != price", "False", "pledge"),
    Bug("a pledge is authorised twice", pledging.pledge, "if held.authorisation and stands and event.seq == account.newest:", "if False:", "pledge"),
    Bug("a pledge is captured that nobody authorised", pledging.capture, "if not held.authorisation:", "if False:", "pledge"),
    Bug("an authorisation never lapses", pledging.capture, "on > held.until", "False", "pledge"),
    Bug("an authorisation lapses a day early", pledging.capture, "on > held.until", "on >= held.until", "pledge"),
    Bug("a pledge is captured before its success", pledging.capture, "if on < success_on:", "if False:", "pledge"),
    Bug("a released pledge is captured", pledging._pledge_of, "held.released_on is not None", "False", "pledge"),
    Bug("a pledge is captured twice", pledging._pledge_of, "held.captured_on is not None", "False", "pledge"),
    Bug("goods of others that were pledged are ours", pledging.capture, 'account.move(event.seq, "sold_for_others", others)', 'account.move(event.seq, "sold", others)', "pledge"),
    Bug("a captured pledge is owed and not paid", pledging.capture, 'account.take(Credit(event.payment_id, event.seq, on, price, "repayment", True))', "pass", "pledge"),
    Bug("money that waited for a pledge pays nothing", pledging.capture, "account.apply_held(event.seq)", "pass", "pledge"),
    Bug("a pledge is over before anything came of it", Account.over.fget, "pledge is None or", "True or", "pledge"),  # type: ignore[attr-defined]
    Bug("a pledge is charged before it is captured", contract._check_kind, "way_out = _NOT_BEFORE_CAPTURE.get(type(event))", 'way_out = ""', "pledge"),
)  # fmt: skip


def main() -> None:
    """Put each bug in, and print which oracle caught it, and after how many events of one contract."""
    from tests.trust.simulation import Break, simulate

    for bug in BUGS:
        caught = "MISSED"
        try:
            with put_in(bug):
                simulate("bugs", STEPS[bug.form], (bug.form,))
        except Break as broken:
            caught = f"{broken.oracle}, by {len(broken.told)} events"
        print(f"{bug.name}: {caught}")


if __name__ == "__main__":
    main()

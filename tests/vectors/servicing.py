"""Vectors of servicing: what another engine's contracts owe after payments, refunds, charges and undone payments.

Each vector is told to `fenqi.contracts` as dated events and asked again at every `expect`. A word that is not here fails its
vector by name. `DiffersError` says which figures differ and by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, get_args

import msgspec
import pytest
from tests.vectors.schedules import CURRENCIES, RESTS, SCHEDULE_COLUMNS, Vector, known, plan_of, to_minor

from fenqi.contracts.allocation import Allocation, Bucket, Future, Part, Purpose, Rule
from fenqi.contracts.contract import ContractState, replay
from fenqi.contracts.events import (
    Charged,
    Confirmed,
    Disbursed,
    Event,
    GoodwillGranted,
    PaidBack,
    PaymentReceived,
    PaymentReversed,
    UnappliedRefunded,
)
from fenqi.contracts.payoff import settling_minor
from fenqi.contracts.refund import interest_refund_minor
from fenqi.contracts.terms import ContractTerms, Interest
from fenqi.money import apply_rate, round_to_multiple
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import digest, disclose
from fenqi.terms.plan import ContingentCost
from fenqi.terms.schedule import Row, build_schedule
from fenqi.texts import Text

PURPOSES: Final[Mapping[str, Purpose]] = {
    "REPAYMENT": "repayment",
    "DOWN_PAYMENT": "down_payment",
    "MERCHANT_ISSUED_REFUND": "merchant_refund",
    "PAYOUT_REFUND": "payout_refund",
    "GOODWILL_CREDIT": "goodwill",
    "INTEREST_REFUND": "interest_refund",
    "INTEREST_PAYMENT_WAIVER": "interest_waiver",
    "REFUND_BY_CASH": "paid_back",
}
NAMES: Final = {"REFUND_BY_CASH": "Refund"}
GRANTED: Final = ("goodwill", "interest_refund", "interest_waiver")
FUTURES: Final[Mapping[str, Future]] = {
    "NEXT_INSTALLMENT": "next",
    "LAST_INSTALLMENT": "last",
    "NEXT_LAST_INSTALLMENT": "next_last",
    "REAMORTIZATION": "re_amortise",
}
DIRECTIONS: Final = {"HORIZONTAL": "rows", "VERTICAL": "parts"}
PAYOFFS: Final = {None: "to_date", "TO_PAYOFF_DATE": "to_date", "TO_PERIOD_END": "to_period_end"}
REST_WORDS: Final = {None: "day", "DAILY": "day", "SAME_AS_REPAYMENT": "period"}
NOT_COMPARED: Final = ("totals", "status", "charges", "closed_all_met", "summary", "paid_on")
ACCRUALS: Final = ("Accrual", "Accrual Activity", "Accrual Adjustment")
COST: Final = Text("费用", "A charge")


class DiffersError(AssertionError):
    """Figures that are not the expected ones: what, ours, theirs."""


class Told:
    """One vector as it is told: the terms, and the events so far."""

    def __init__(self, vector: Vector) -> None:
        self.words = vector["terms"]
        self.family = vector["family"]
        known("recalc_rest", {**RESTS, None: None}, self.words.get("recalc_rest"))
        self.contingent = sorted({e["kind"] for e in vector["events"] if e.get("op") == "charge"})
        self.plan = plan_of(self.words)
        self.currency = known("currency_decimals", CURRENCIES, self.words["currency_decimals"])
        self.allocation = _allocation(self.words)
        self.down_share = Decimal(self.words.get("down_payment_pct") or 0) / 100
        self.refunds_interest = [
            known("interest_refund_on", PURPOSES, kind) for kind in self.words.get("interest_refund_on") or ()
        ]
        self.terms: ContractTerms | None = None
        self.events: list[Event] = []
        self.names: list[tuple[str, str, date]] = []
        """Of every transaction: its name here, its kind there, and its day."""
        self.refund_of: dict[str, str] = {}
        self.today: date | None = None

    def state(self) -> ContractState:
        if self.terms is None:
            self._planned()
        assert self.terms is not None
        return replay(self.terms, self.events, self.as_of())

    def as_of(self) -> date:
        days = [event.occurred_on for event in self.events]
        return max([*days, self.today] if self.today else days)

    def _dates(self, on: date) -> dict[str, Any]:
        seq = len(self.events) + 1
        return {"seq": seq, "occurred_on": on, "recorded_at": seq}

    # ------------------------------------------------------------------------------------------ what happens

    def happens(self, event: Vector) -> None:
        ops = {
            "clock": self.clock,
            "disburse": self.disburse,
            "pay": self.pay,
            "payoff": self.payoff,
            "charge": self.charge,
            "undo": self.undo,
            "credit_balance_refund": self.give_back,
            "close_of_business": lambda _: None,
        }
        known("op", ops, event["op"])(event)

    def clock(self, event: Vector) -> None:
        self.today = date.fromisoformat(event["date"])

    def _planned(self) -> None:
        """Before anything was lent, the schedule is that of the amount asked for."""
        on = date.fromisoformat(self.words["submitted_on"]) if self.words.get("submitted_on") else self.today
        assert on is not None
        self._make(to_minor(self.words["principal_requested"]), on)

    def _down(self, minor: int) -> int:
        """C10: a share in whole cents, then in whole multiples, unless that leaves nothing of it."""
        multiple = self.plan.conventions.instalment_multiple_minor
        return round_to_multiple(apply_rate(minor, self.down_share), multiple) if self.down_share else 0

    def _make(self, minor: int, on: date) -> None:
        words = self.words
        started = {
            "DISBURSED": on,
            "SUBMITTED": date.fromisoformat(words.get("submitted_on") or on.isoformat()),
        }
        counted_from = known("schedule_starts_on", started, words["schedule_starts_on"])
        down = self._down(minor)
        bill = build_schedule(self.plan, minor, self.currency, on, dates_from=counted_from)
        rows = bill.rows
        if self.down_share and not down:
            # A down payment that comes to nothing has its row there too.
            rows = (Row(0, "down_payment", on, 0, 0), *rows)
        plan = msgspec.structs.replace(
            self.plan,
            contingent=tuple(ContingentCost(code, COST, COST, "lender") for code in self.contingent),
        )
        table = disclose(plan, bill, cost_of(bill, plan), Text("放款人", "The lender"))
        self.terms = ContractTerms(
            plan=plan,
            currency=self.currency,
            zone="UTC",
            rows=rows,
            disclosure=table,
            disclosure_digest=digest(table),
            policy_digest="",
            allocation=self.allocation,
            interest=Interest(
                counted_from=counted_from,
                begins_on=on,
                daily=bool(words["interest_recalculation"]),
                payoff=known("payoff_interest", PAYOFFS, words.get("payoff_interest")),
                rest=known("recalc_rest", REST_WORDS, words.get("recalc_rest")),
            ),
        )

    def disburse(self, event: Vector) -> None:
        on, minor = date.fromisoformat(event["date"]), to_minor(event["amount"])
        if not self.events:
            self._make(minor, on)
            self.events.append(Confirmed(**self._dates(on)))
            down = self._down(minor)
        else:
            down = self._down(minor)
            self.events.append(Disbursed(**self._dates(on), amount_minor=minor, down_payment_minor=down))
        name = f"d{len(self.events)}"
        self.names.append((name, "Disbursement", on))
        if self.words.get("down_payment_auto_paid") and down:
            state = self.state()
            owed = next(
                (row.outstanding_minor for row in reversed(state.rows) if row.kind == "down_payment"), 0
            )
            if owed:
                self._pay("DOWN_PAYMENT", on, owed)

    def _pay(self, kind: str, on: date, minor: int) -> str:
        purpose = known("kind", PURPOSES, kind)
        name = f"t{len(self.events) + 1}"
        dates = self._dates(on)
        if purpose in GRANTED:
            new: Event = GoodwillGranted(**dates, payment_id=name, amount_minor=minor, purpose=purpose)
        elif purpose == "paid_back":
            new = PaidBack(**dates, payment_id=name, amount_minor=minor, settlement="s")
        else:
            new = PaymentReceived(
                **dates, payment_id=name, amount_minor=minor, settlement="s", purpose=purpose
            )
        self.events.append(new)
        self.names.append((name, NAMES.get(kind) or kind.replace("_", " ").title(), on))
        return name

    def pay(self, event: Vector) -> None:
        on = date.fromisoformat(event["date"])
        name = self._pay(event["kind"], on, to_minor(event["amount"]))
        purpose = PURPOSES[event["kind"]]
        if purpose in self.refunds_interest and event.get("interest_refund", True):
            assert self.terms is not None
            refund = interest_refund_minor(self.terms, self.events, name)
            if refund:
                self.refund_of[name] = self._pay("INTEREST_REFUND", on, refund)

    def payoff(self, event: Vector) -> None:
        on = date.fromisoformat(event["date"])
        assert self.terms is not None
        given = event.get("amount")
        owed = to_minor(given) if given is not None else settling_minor(self.terms, self.events, on)
        self._pay("REPAYMENT", on, owed)

    def charge(self, event: Vector) -> None:
        due_on = date.fromisoformat(event["due"]) if event.get("due") else self.today
        assert due_on is not None
        assert self.today is not None
        self.events.append(
            Charged(
                **self._dates(min(due_on, self.today)),
                charge_id=f"c{len(self.events) + 1}",
                part="penalty" if "NSF" in event["kind"] else "fee",
                amount_minor=to_minor(event["amount"]),
                due_on=due_on,
                code=event["kind"],
            )
        )

    def undo(self, event: Vector) -> None:
        kind = event.get("kind")
        on = date.fromisoformat(event["date"]) if event.get("date") else None
        if kind is not None:
            kind = kind.replace("_", " ").title()
        found = [
            (name, day)
            for name, what, day in sorted(self.names, key=lambda each: each[2])
            if (kind is None or what == kind) and (on is None or day == on)
        ]
        number = int(event["nr"])
        if not 1 <= number <= len(found):
            pytest.fail(f"undo of number {number} of {kind} on {on}: there are {len(found)}")
        name, day = found[number - 1]
        if name.startswith("d"):
            pytest.fail("undo of a disbursement")
        self._reverse(name, day)
        refund = self.refund_of.pop(name, None)
        if refund is not None and not any(
            isinstance(each, PaymentReversed) and each.payment_id == refund for each in self.events
        ):
            self._reverse(refund, day)

    def _reverse(self, name: str, day: date) -> None:
        last = max([event.occurred_on for event in self.events] + ([self.today] if self.today else [day]))
        self.events.append(
            PaymentReversed(
                **self._dates(last),
                payment_id=name,
                settlement="s",
                reason="booked_in_error",
            )
        )

    def give_back(self, event: Vector) -> None:
        on = date.fromisoformat(event["date"])
        name = f"r{len(self.events) + 1}"
        self.events.append(
            UnappliedRefunded(
                **self._dates(on), amount_minor=to_minor(event["amount"]), settlement="s", refund_id=name
            )
        )
        self.names.append((name, "Credit Balance Refund", on))

    # ------------------------------------------------------------------------------------------ what is expected

    def expected(self, event: Vector, differences: list[str]) -> None:
        what = event["expect"]
        if what in NOT_COMPARED:
            return
        checks = {
            "schedule": self.rows,
            "transactions": self.transactions,
            "outstanding": self.outstanding,
            "overpaid": self.overpaid,
        }
        known("expect", checks, what)(event, differences)

    def outstanding(self, event: Vector, differences: list[str]) -> None:
        _compare("outstanding", self.state().balance_minor, event["value"], differences)

    def overpaid(self, event: Vector, differences: list[str]) -> None:
        _compare("overpaid", self.state().unapplied_minor, event["value"], differences)

    def rows(self, event: Vector, differences: list[str]) -> None:
        columns = event.get("columns", SCHEDULE_COLUMNS)
        theirs = [dict(zip(columns, row, strict=True)) for row in event["rows"]]
        ours = self.state().rows
        if len(ours) != len(theirs):
            differences.append(f"rows: {len(ours)}, not {len(theirs)}")
        for number, (row, wanted) in enumerate(zip(ours, theirs, strict=False)):
            if row.due_on.isoformat() != wanted["due"]:
                differences.append(f"row {number}: due {row.due_on}, not {wanted['due']}")
            figures = {
                "principal": row.principal_minor,
                "total": row.total_minor,
                "paid": row.paid_minor,
                "in_advance": row.paid_early_minor,
                "late": row.paid_late_minor,
                "outstanding": row.outstanding_minor,
            }
            if self.family == "servicing-interest":
                figures["interest"] = row.interest_minor
            else:
                figures |= {"fees": row.fee_minor, "penalties": row.penalty_minor}
            for name, minor in figures.items():
                _compare(f"row {number}, {wanted['due']}: {name}", minor, wanted[name], differences)

    def transactions(self, event: Vector, differences: list[str]) -> None:
        columns = event.get("columns", TRANSACTION_COLUMNS)
        theirs = [dict(zip(columns, row, strict=True)) for row in event["rows"]]
        theirs = [row for row in theirs if row["type"] not in ACCRUALS]
        left = _transactions(self)
        for wanted in theirs:
            names = ["amount", "principal"]
            names += ["interest"] if self.family == "servicing-interest" else ["fees", "penalties"]
            names = [name for name in (*names, "balance") if wanted.get(name) is not None]
            same = [
                row
                for row in left
                if row["date"] == wanted["date"]
                and row["type"] == wanted["type"]
                and (wanted.get("reverted") is None or row["reverted"] == wanted["reverted"])
            ]
            where = f"transaction {wanted['date']} {wanted['type']}"
            if not same:
                differences.append(f"{where}: none of ours")
                continue
            best = min(same, key=lambda row: _apart(row, wanted, names))
            left.remove(best)
            for name in names:
                _compare(f"{where}: {name}", best[name], wanted[name], differences)
        differences += [f"transaction {row['date']} {row['type']} of ours: none of theirs" for row in left]


TRANSACTION_COLUMNS = (
    "date",
    "type",
    "amount",
    "principal",
    "interest",
    "fees",
    "penalties",
    "balance",
    "reverted",
)


def check_servicing(vector: Vector) -> None:
    differences: list[str] = []
    told = Told(vector)
    for number, event in enumerate(vector["events"]):
        if "op" in event:
            told.happens(event)
            continue
        before = len(differences)
        told.expected(event, differences)
        differences[before:] = [f"[{number}] {each}" for each in differences[before:]]
    if differences:
        raise DiffersError("\n".join(differences))


def _compare(what: str, ours: int, theirs: str, differences: list[str]) -> None:
    apart = ours - to_minor(theirs)
    if apart:
        differences.append(f"{what} is {Decimal(ours).scaleb(-2)}, not {theirs} ({apart:+d})")


def _apart(row: Mapping[str, Any], wanted: Vector, names: Sequence[str]) -> int:
    return sum(abs(row[name] - to_minor(wanted[name])) for name in names)


def _transactions(told: Told) -> list[dict[str, Any]]:
    """Every transaction in the order of the days, with the principal that is owed after it.

    One that was undone keeps the figures of before, and changes no balance.
    """
    rows = _standing(told, told.events)
    for event in told.events:
        if isinstance(event, PaymentReversed):
            until = told.events[: event.seq - 1]
            before = next(row for row in _standing(told, until) if row["name"] == event.payment_id)
            row = next(row for row in rows if row["name"] == event.payment_id)
            row.update(before, reverted="true")
    return rows


def _standing(told: Told, events: Sequence[Event]) -> list[dict[str, Any]]:
    assert told.terms is not None
    state = replay(told.terms, events, told.as_of())
    payments = {payment.payment_id: payment for payment in state.payments}
    by_name = {_name_of(event): event for event in events}
    disbursed = {event.seq for event in events if isinstance(event, Disbursed)}
    again = sum(move.amount_minor for move in state.movements if move.kind == "reclaimed")
    rows: list[dict[str, Any]] = []
    balance = 0
    for name, kind, on in sorted(told.names, key=lambda each: each[2]):
        event = by_name.get(name)
        if event is None:
            continue
        figures = dict.fromkeys(("principal", "interest", "fees", "penalties"), 0)
        sign = 1
        if isinstance(event, (Confirmed, Disbursed)):
            if isinstance(event, Disbursed):
                amount = event.amount_minor
            else:
                amount = sum(row.principal_minor for row in told.terms.rows)
            balance += amount - sum(
                part.principal_minor
                for payment in state.payments
                for part in payment.parts
                if part.applied_by == event.seq
            )
        elif isinstance(event, UnappliedRefunded):
            # What it took beyond what was overpaid is owed again.
            amount = event.amount_minor
            figures["principal"], again = min(again, amount), max(again - amount, 0)
            balance += figures["principal"]
        else:
            payment = payments[name]
            amount = abs(payment.amount_minor)
            sign = -1 if payment.amount_minor < 0 else 1
            for part in payment.parts:
                if part.applied_by in disbursed:
                    continue
                figures["principal"] += part.principal_minor * sign
                figures["interest"] += part.interest_minor * sign
                figures["fees"] += part.fee_minor * sign
                figures["penalties"] += part.penalty_minor * sign
            balance -= figures["principal"] * sign
        rows.append(
            {
                "name": name,
                "date": on.isoformat(),
                "type": kind,
                "amount": amount,
                **figures,
                "balance": balance,
                "reverted": "false",
            }
        )
    return rows


def _name_of(event: Event) -> str:
    if isinstance(event, (Confirmed, Disbursed)):
        return f"d{event.seq}"
    if isinstance(event, UnappliedRefunded):
        return event.refund_id
    return getattr(event, "payment_id", "") if not isinstance(event, PaymentReversed) else ""


def _allocation(words: Vector) -> Allocation:
    strategy = words["strategy"]
    along = known("allocation_direction", DIRECTIONS, words.get("allocation_direction") or "HORIZONTAL")
    if strategy != "ADVANCED_PAYMENT_ALLOCATION":
        return _by_name(strategy)
    rules = []
    for kind, rule in words["allocation"].items():
        purpose = None if kind == "DEFAULT" else known("allocation", PURPOSES, kind)
        buckets = {bucket.upper(): bucket for bucket in get_args(Bucket)}
        rules.append(
            Rule(
                tuple(known("order", buckets, word) for word in rule["order"]),
                purpose,
                known("future", FUTURES, rule["future"]),
                along,  # type: ignore[arg-type]
            )
        )
    return Allocation(rules=tuple(rules))


def _by_name(strategy: str) -> Allocation:
    """DUE_<parts>_IN_ADVANCE_<parts>, or <parts>_ORDER: the name says in which order the parts are paid."""
    name = strategy.removesuffix("_STRATEGY")
    if name.startswith("DUE_") and "_IN_ADVANCE_" in name:
        due, _, advance = name.removeprefix("DUE_").partition("_IN_ADVANCE_")
    elif name.endswith("_ORDER"):
        due = advance = name.removesuffix("_ORDER")
    else:
        pytest.fail(
            f"strategy is {strategy!r}: expected ADVANCED_PAYMENT_ALLOCATION, DUE_.._IN_ADVANCE_.. or .._ORDER"
        )
    order: list[Bucket] = []
    for timing, parts in (("past_due", due), ("due", due), ("in_advance", advance)):
        order += [f"{timing}_{part}" for part in _parts(strategy, parts)]  # type: ignore[misc]
    return Allocation(rules=(Rule(tuple(order), charges_by_own_date=True),))


def _parts(strategy: str, words: str) -> list[Part]:
    names: dict[str, Part] = {
        "PENALTY": "penalty",
        "PENALTIES": "penalty",
        "FEE": "fee",
        "FEES": "fee",
        "INTEREST": "interest",
        "PRINCIPAL": "principal",
    }
    parts = [known(f"strategy {strategy}", names, word) for word in words.split("_")]
    if sorted(parts) != sorted({"penalty", "fee", "interest", "principal"}):
        pytest.fail(f"strategy is {strategy!r}: expected each part once")
    return parts

"""Leases and pledges, reckoned a second time: from docs/leases.md and docs/ledger.md, as `tests.trust.model` reckons sales.

Where a lease ends, what is owed is worked out here from its terms (how many periods had begun, what buying comes to, what becomes of
the deposit), not taken from the schedule of that ending. The goods' value, the deposit and every account are read off what stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

from tests.trust.model import (
    PARTS,
    RULES,
    Book,
    Line,
    Purse,
    Refused,
    even_shares,
    live_through,
    months_after,
)

from fenqi.contracts.events import (
    BoughtOut,
    Cancelled,
    Captured,
    Charged,
    Confirmed,
    DepositApplied,
    DepositHeld,
    DepositReleased,
    DueDayChanged,
    DueMoved,
    DueReached,
    Event,
    GoodsReturned,
    GoodwillGranted,
    HandedOver,
    Inspected,
    LeaseReturned,
    Paused,
    PaymentFailed,
    PaymentReceived,
    PayoffQuoted,
    Pledged,
    PledgeReleased,
    Recovered,
    RefundPaid,
    Renewed,
    Shipped,
    UnappliedRefunded,
    Waived,
    WrittenOff,
)
from fenqi.contracts.terms import ContractTerms
from fenqi.terms.plan import Fee
from fenqi.terms.rent import Lease

__all__ = ["LeaseBook", "PledgeBook", "buyout"]


def _of(amount: int | None, share: Decimal | None, price: int) -> int:
    return amount if amount is not None else round(price * Fraction(share or 0))


@dataclass(slots=True)
class OfDeposit(Purse):
    """What a deposit paid."""


class LeaseBook(Book):
    """A lease: goods that are with the customer, a deposit, and rents."""

    parts_of_a_row: ClassVar[tuple[str, ...]] = (*PARTS, "rent", "deposit")
    bearing: ClassVar[tuple[str, ...]] = ("rent", "principal")
    waivable: ClassVar[tuple[str, ...]] = ("fee", "penalty", "rent")
    agreed_income: ClassVar[str] = "rent"

    def __init__(
        self, terms: ContractTerms, gone: dict[str, date], meant: dict[str, tuple[Any, ...]], newest: int
    ) -> None:
        assert terms.lease is not None
        assert isinstance(terms.plan.pricing, Lease)
        self.lease = terms.plan.pricing
        self.price = terms.lease.price_minor
        self.start = terms.lease.start_on
        self.rents: list[Line] = []
        self.deposit_line: Line | None = None
        super().__init__(terms, gone, meant, newest)
        goods, use = ["deposit", "principal"], ["fee", "rent"]
        self.parts = ["penalty", *(use + goods if terms.allocation.parts[0] == "fee" else goods + use)]
        self.rent = _of(self.lease.rent.amount_minor, self.lease.rent.share, self.price)
        deposit = self.lease.deposit
        self.form = None if deposit is None else "waived" if terms.lease.deposit_waived else deposit.form
        self.whole_deposit = 0 if deposit is None else _of(deposit.amount_minor, deposit.share, self.price)
        self.frozen = self.applied = self.kept = self.released = 0
        self.renewed = 0
        self.lines_of_renewals: set[int] = set()
        self.consents: set[str] = set()
        self.handed_over_on: date | None = None
        self.ended_on: date | None = None
        self.outcome: str | None = None
        self.inspected = False
        self.finding = ""
        # What the goods cost and will be worth, while they are out; what became of their value.
        self.cost_of_goods = self.residual = 0
        self.inventory = self.worn_off = self.cost_of_sale = 0
        self.sold_for: int | None = None

    def agreed_lines(self) -> list[Line]:
        """What is owed however it ends: the deposit and the rents, each with its fees."""
        lines = []
        for row in self.terms.rows:
            if row.kind not in ("up_front", "deposit", "rent"):
                continue
            owed = self.nothing()
            owed["fee"], owed["rent"], owed["deposit"] = row.fee_minor, row.rent_minor, row.deposit_minor
            line = Line(row.number, row.kind, row.due_on, owed, self.nothing())
            lines.append(line)
            if row.kind == "rent":
                self.rents.append(line)
            elif row.kind == "deposit":
                self.deposit_line = line
        return lines

    def rules(self) -> Mapping[type, Callable[[Any, Any], None]]:
        return LEASE_RULES

    def is_payment(self, name: str) -> bool:
        """What a deposit paid is none that could be taken back."""
        return super().is_payment(name) and not isinstance(self.purses[name], OfDeposit)

    def income_of(self, line: Line, part: str) -> str:
        return "fee of a renewal" if part == "fee" and line.number in self.lines_of_renewals else part

    def part_meant(self, line: Line, part: str) -> str:
        if part == "interest":
            return "rent"
        return "deposit" if part == "principal" and line is self.deposit_line else part

    # ------------------------------------------------------------------------------------------- what is agreed

    def bound(self, number: int) -> date:
        """When so many periods are over."""
        plan = self.terms.plan
        steps = plan.every * number
        if plan.unit == "month":
            return months_after(self.start, steps)
        return self.start + timedelta(days=steps * (7 if plan.unit == "week" else 1))

    def due_of(self, number: int) -> date:
        return self.bound(number - 1 if self.lease.paid == "in_advance" else number)

    @property
    def periods(self) -> int:
        return self.terms.plan.periods

    @property
    def term_end(self) -> date:
        return self.bound(self.periods + self.renewed)

    def whole_fee(self, fee: Fee) -> int:
        rate = Fraction(fee.total_rate or 0)
        if fee.rate_per_period is not None:
            rate = Fraction(fee.rate_per_period) * self.periods
        whole = fee.amount_minor if fee.amount_minor is not None else round(self.price * rate)
        return max(whole, fee.minimum_minor)

    # ------------------------------------------------------------------------------------------- what it obeys

    def rented(self) -> None:
        if self.confirmed_on is None or self.ended_on is not None:
            raise Refused("not a lease that runs")

    def out(self) -> None:
        self.rented()
        if self.handed_over_on is None:
            raise Refused("the goods are here")

    @property
    def sold(self) -> bool:
        return False

    @property
    def not_sold_yet(self) -> int:
        return 0

    @property
    def over(self) -> bool:
        return self.ended_on is not None and self.awaits(date.max) is None

    def awaits(self, on: date) -> str | None:
        if self.ended_on is None:
            if self.handed_over_on is None:
                return "hand_over"
            return "return_or_buyout" if on >= self.term_end else None
        deposit = self.lease.deposit
        looked_at = self.inspected or deposit is None or deposit.at_end == "lost"
        if self.outcome == "returned" and not looked_at:
            return "inspection"
        return "deposit_release" if self.deposit_held else None

    # ------------------------------------------------------------------------------------------- while it runs

    def hand_over(self, event: HandedOver) -> None:
        self.rented()
        if self.handed_over_on is not None or not 0 <= event.residual_minor <= event.cost_minor:
            raise Refused("handed over")
        if self.form in ("cash", "frozen") and self.deposit_held < self.whole_deposit:
            self.cannot(event, "the deposit is not held")
        self.handed_over_on = event.occurred_on
        self.cost_of_goods, self.residual = event.cost_minor, event.residual_minor
        self.inventory -= event.cost_minor

    @property
    def worn(self) -> int:
        """What the goods lost in value while they are out: an equal part with each rent that fell due, none in a renewal."""
        if self.handed_over_on is None or self.ended_on is not None:
            return 0
        return self.worn_by(sum(line.reached and line.runs for line in self.rents))

    def worn_by(self, rents: int) -> int:
        shares = even_shares(self.cost_of_goods - self.residual, self.periods, self.terms.plan.residue)
        return sum(shares[:rents])

    def reach(self, event: DueReached) -> None:
        """After the end nothing falls due that did not then."""
        line = self.line(event.row)
        if self.ended_on is None or line is None or line.reached_by:
            super().reach(event)
        else:
            line.reached_by = event.seq

    def renew(self, event: Renewed) -> None:
        """Never without the customer's consent to this time."""
        self.out()
        if not event.consent.strip() or event.consent in self.consents:
            raise Refused("no consent to this time")
        if self.lease.renewal is None or event.periods < 1 or self.renewed + event.periods > 600:
            raise Refused("no such renewal")
        if event.occurred_on > self.term_end:
            raise Refused("the term is over")
        self.consents.add(event.consent)
        plan = self.terms.plan
        fee = sum(
            min(even_shares(self.whole_fee(each), self.periods, plan.residue))
            for each in plan.fees
            if each.timing == "per_period"
        )
        for _ in range(event.periods):
            self.renewed += 1
            line = self.add("rent", self.due_of(self.periods + self.renewed), reached=False)
            line.owed["rent"] = round(self.rent * Fraction(self.lease.renewal.coefficient))
            line.owed["fee"] = fee
            self.rents.append(line)
            self.lines_of_renewals.add(line.number)
        self.use_what_is_held(event.occurred_on)

    # ------------------------------------------------------------------------------------------- the deposit

    @property
    def deposit_held(self) -> int:
        paid = 0 if self.deposit_line is None else self.deposit_line.paid["deposit"]
        whole = self.frozen if self.form == "frozen" else paid
        return whole - self.applied - self.kept - self.released

    def fill(self, purse: Purse, line: Line, part: str, most: int, on: date) -> None:
        """What is no money never fills a deposit: it would go back as money."""
        if part != "deposit" or purse.is_money:
            super().fill(purse, line, part, most, on)

    def freeze(self, event: DepositHeld) -> None:
        self.rented()
        if self.form != "frozen" or self.frozen or not event.authorisation:
            raise Refused("no deposit to be frozen")
        if event.amount_minor != self.whole_deposit:
            raise Refused("another amount than agreed")
        self.frozen = event.amount_minor

    def take(self, event: Any, minor: int) -> None:
        """What is taken of a frozen deposit comes with a batch."""
        if minor and self.form == "frozen":
            if not event.settlement:
                self.cannot(event, "no batch")
            self.transit += minor

    def pay_by_deposit(self, event: DepositApplied) -> None:
        deposit = self.lease.deposit
        if self.confirmed_on is None or deposit is None or not deposit.covers_rent:
            raise Refused("it pays no rents")
        if event.amount_minor <= 0 or event.application_id in self.purses:
            raise Refused("application")
        late = [line for line in self.rents if line.day <= event.occurred_on]
        most = min(sum(line.left("rent") for line in late), self.deposit_held)
        if event.amount_minor > most:
            self.cannot(event, "more than is due, or held")
        minor = min(event.amount_minor, most)
        self.take(event, minor)
        self.spend_deposit(event.application_id, event.occurred_on, minor, late, "rent")

    def spend_deposit(self, name: str, on: date, minor: int, lines: Iterable[Line], part: str) -> None:
        purse = OfDeposit(name, on, minor, False, minor)
        self.purses[name] = purse
        self.applied += minor
        for line in lines:
            self.fill(purse, line, part, purse.unused, on)

    def release(self, event: DepositReleased) -> None:
        if self.confirmed_on is None or self.ended_on is None:
            raise Refused("it runs")
        if self.awaits(event.occurred_on) == "inspection":
            raise Refused("not inspected")
        held = self.deposit_held
        if not held:
            self.cannot(event, "nothing is held")
        self.released += held
        if self.form == "cash":
            self.refund_due += held

    def keep(self, event: Any, minor: int) -> None:
        self.take(event, minor)
        self.kept += minor

    # ------------------------------------------------------------------------------------------- how it ends

    def give_back(self, event: LeaseReturned) -> None:
        """Periods that had begun are paid, and sending back."""
        self.out()
        on = event.occurred_on
        begun = len(self.rents)
        if on < self.term_end:
            least = self.lease.minimum_periods
            if self.renewed or on < self.bound(self.periods if least is None else least):
                raise Refused("too early")
            begun = sum(self.bound(number) < on for number in range(self.periods))
        shipping = self.lease.return_shipping_minor
        self.end(on, "returned", begun, "goods_return", shipping)
        worn = self.worn_by(begun)
        self.inventory += self.cost_of_goods - worn
        self.worn_off += worn
        self.cost_of_goods = 0
        deposit = self.lease.deposit
        if deposit is not None and deposit.at_end == "lost":
            self.keep(event, self.deposit_held)
        self.use_what_is_held(on)

    def asked_for_goods(self, on: date) -> tuple[int, int, bool]:
        """What the goods can be bought for on a day, how many rents are due by then, and whether the formula takes the deposit off."""
        agreed, rents = self.lease.buyout, len(self.rents)
        if agreed is None:
            raise Refused("not to be bought")
        if on < self.term_end:
            if agreed.early is None or self.renewed or on < self.start:
                raise Refused("not before the end")
            days = agreed.early.last_days
            if days is not None and on < self.term_end - timedelta(days=days):
                raise Refused("not yet")
            rents = sum(self.due_of(number) <= on for number in range(1, self.periods + 1))
        price, takes_deposit = self.formula(on, rents)
        return price, rents, takes_deposit

    def formula(self, on: date, rents: int) -> tuple[int, bool]:
        """What the goods cost where so many rents are due, and whether the deposit is taken off by that."""
        agreed = self.lease.buyout
        assert agreed is not None
        at_end = None
        if agreed.amount_minor is not None or agreed.share is not None:
            at_end = _of(agreed.amount_minor, agreed.share, self.price)
            if on >= self.term_end:
                return at_end, False
        paid = sum(self.agreed_rents()[:rents])
        if at_end is None or (agreed.early is not None and agreed.early.formula == "price_less_paid"):
            return max(self.price - paid, 0), True
        return at_end + self.rent * self.periods - paid, False

    def agreed_rents(self) -> list[int]:
        """The rents as agreed, whatever was let go of them since."""
        renewal = self.lease.renewal
        more = 0 if renewal is None else round(self.rent * Fraction(renewal.coefficient))
        return [self.rent] * self.periods + [more] * self.renewed

    def buy(self, event: BoughtOut) -> None:
        self.out()
        if not event.consent.strip():
            raise Refused("not the customer's own act")
        on = event.occurred_on
        price, rents, takes_deposit = self.asked_for_goods(on)
        if event.price_minor != price:
            raise Refused("another price than the formula's")
        line = self.end(on, "bought_out", rents, "buyout", 0)
        line.owed["principal"] += price
        self.sold_for = price
        worn = self.worn_by(rents)
        self.worn_off += worn
        self.cost_of_sale += self.cost_of_goods - worn
        self.cost_of_goods = 0
        deposit = self.lease.deposit
        if deposit is not None and self.form != "waived":
            if takes_deposit or deposit.at_end == "credited":
                minor = min(self.deposit_held, price)
                self.take(event, minor)
                if minor:
                    self.spend_deposit(f"deposit {event.seq}", on, minor, [line], "principal")
            elif deposit.at_end == "lost":
                self.keep(event, self.deposit_held)
        self.use_what_is_held(on)

    def end(self, on: date, outcome: str, rents: int, kind: str, shipping: int) -> Line:
        """So many rents are owed, and what the end costs."""
        for number, line in enumerate(self.rents, 1):
            if number > rents:
                self.drop(line)
            elif line.due > on:
                line.due, line.put_off_to = on, None
        self.finish(on, outcome)
        last = self.add(kind, on, reached=True)
        for fee in self.terms.plan.fees:
            if fee.timing == "at_end" or (fee.timing == "first_bill" and not rents):
                last.owed["fee"] += self.whole_fee(fee)
        last.fee_earned = last.owed["fee"]
        last.owed["fee"] += shipping
        last.charged += shipping
        self.charged += shipping
        return last

    def drop(self, line: Line) -> None:
        """A rent of a later time is not owed, nor its fee; what was charged beside stays. Money that had paid it is free."""
        self.set_free(line, "rent", line.paid["rent"])
        self.set_free(line, "fee", line.fee_paid)
        line.pieces = [piece for piece in line.pieces if piece[1] != "rent"]
        line.owed["rent"] = 0
        line.owed["fee"] = line.charged
        line.fee_earned = 0
        line.reached, line.runs = True, False

    def set_free(self, line: Line, part: str, minor: int) -> None:
        """The newest money first. What a frozen deposit had paid is money by now, and goes back as money."""
        line.paid[part] -= minor
        for purse in reversed(self.purses.values()):
            off = min(purse.used.get((line.number, part), 0), minor)
            if not off:
                continue
            minor -= off
            purse.used[line.number, part] -= off
            if not purse.used[line.number, part]:
                del purse.used[line.number, part]
            if not isinstance(purse, OfDeposit):
                purse.unused += off
                continue
            purse.amount -= off
            self.applied -= off
            if self.form == "frozen":
                self.released += off
                self.refund_due += off

    def finish(self, on: date, outcome: str) -> None:
        """What is still owed is earned; the rest of a deposit is not asked for."""
        for line in self.lines:
            line.reached = True
            line.fee_earned = line.owed["fee"] - line.charged
        if self.deposit_line is not None:
            self.deposit_line.owed["deposit"] = self.deposit_line.paid["deposit"]
        self.ended_on, self.outcome = on, outcome

    def inspect(self, event: Inspected) -> None:
        if self.outcome not in ("returned", "lost") or self.inspected:
            raise Refused("nothing to look at")
        minor = event.deduction_minor
        if minor < 0 or not event.finding.strip():
            raise Refused("finding")
        if minor and not (event.reason.strip() and event.evidence.strip()):
            raise Refused("without reason and evidence")
        held = most = 0 if self.form == "waived" else self.deposit_held
        if self.form == "waived" or event.not_held == "owed":
            # Whatever was agreed, held or not, but what paid rents, went back, or was kept by the terms.
            most = self.whole_deposit - self.applied - self.released - self.kept
        if minor > most:
            self.cannot(event, "above the deposit")
            minor = most
        self.inspected, self.finding = True, event.finding
        self.keep(event, min(minor, held))
        if minor > held:
            self.add_charge("fee", minor - held, event.occurred_on)
            self.use_what_is_held()

    def cancel(self, event: Cancelled) -> None:
        """Nothing was rented, and everything paid is free. What went out again and is owed again stays owed."""
        self.running()
        if self.handed_over_on is not None:
            raise Refused("the goods are out")
        self.cancelled_on = event.occurred_on
        if event.goodwill == "taken_back":
            self.take_grants_back(event.occurred_on)
        for line in self.lines:
            self.charges_dropped += line.charged
            self.penalties_dropped += line.owed["penalty"]
            for part in ("penalty", "fee", "rent", "deposit"):
                self.set_free(line, part, line.paid[part])
                line.owed[part] = 0
            line.charged = 0
            line.pieces = [piece for piece in line.pieces if piece[1] != "rent"]
        self.finish(event.occurred_on, "cancelled")
        self.use_what_is_held(event.occurred_on)

    def write_off(self, event: WrittenOff) -> None:
        """Where the goods are out, they do not come back: what they stand at is lost, and rents end with the day."""
        on = event.occurred_on
        if self.ended_on is not None:
            super().write_off(event)
            return
        self.running()
        for line in self.rents:
            if line.day > on:
                self.drop(line)
        self.finish(on, "lost")
        worn = self.worn_by(sum(line.runs for line in self.rents)) if self.handed_over_on is not None else 0
        self.worn_off += worn
        self.lost_principal += self.cost_of_goods - worn
        self.cost_of_goods = 0
        self.use_what_is_held(on)
        self.give_up_what_is_owed(on)

    # ------------------------------------------------------------------------------------------- what stands

    def more(self, as_of: date) -> tuple[Any, ...]:
        return (
            self.term_end,
            self.awaits(as_of),
            self.outcome,
            self.ended_on,
            self.handed_over_on,
            self.renewed,
            self.form,
            (self.whole_deposit, self.deposit_held, self.applied, self.kept, self.released),
            (self.cost_of_goods, self.worn),
            self.sold_for,
            self.finding,
        )

    def accounts(self, held: int) -> dict[int, int]:
        balances = super().accounts(held)
        earned = sum(line.rent_earned for line in self.lines)
        of_renewals = sum(line.fee_earned for line in self.lines if line.number in self.lines_of_renewals)
        for code, minor in {
            1150: earned - sum(line.paid["rent"] for line in self.lines),
            1210: self.inventory,
            1220: self.cost_of_goods,
            1230: -self.worn,
            2130: -self.deposit_held if self.form == "cash" else 0,
            4010: -(self.sold_for or 0),
            4110: of_renewals,
            4140: -earned - self.let_go["rent"],
            4190: -of_renewals - self.let_go["fee of a renewal"] - self.kept,
            5010: self.cost_of_sale,
            5020: self.worn_off + self.worn,
        }.items():
            balances[code] = balances.get(code, 0) + minor
        return {code: minor for code, minor in balances.items() if minor}


def buyout(terms: ContractTerms, events: Iterable[Event], on: date) -> tuple[int, int, int, int, int] | None:
    """What buying comes to on a day: price, deposit credited, what is to be paid, rents and fees spared, deposit back. None: it cannot be."""
    told = list(events)
    before = live_through(terms, told, on, book=LeaseBook)
    assert isinstance(before, LeaseBook)
    seq = max([event.seq for event in told], default=0) + 1
    learnt = max([event.recorded_at for event in told], default=0)
    try:
        before.out()
        price, _, _ = before.asked_for_goods(on)
        bought = BoughtOut(
            seq=seq,
            occurred_on=on,
            recorded_at=learnt,
            price_minor=price,
            consent="asked",
            settlement="asked",
        )
        after = live_through(terms, [*told, bought], on, book=LeaseBook)
    except Refused:
        return None
    assert isinstance(after, LeaseBook)
    rents = [sum(sum(line.owed.values()) for line in book.rents) for book in (before, after)]
    return price, after.applied - before.applied, after.owed, rents[0] - rents[1], after.deposit_held


class PledgeBook(Book):
    """A pledge: nothing is owed before it is captured, and then it is a sale that is paid."""

    def __init__(
        self, terms: ContractTerms, gone: dict[str, date], meant: dict[str, tuple[Any, ...]], newest: int
    ) -> None:
        self.authorised: tuple[str, date | None] | None = None
        self.captured_on: date | None = None
        self.released_on: date | None = None
        super().__init__(terms, gone, meant, newest)

    def agreed_lines(self) -> list[Line]:
        rows = self.terms.rows
        return [Line(row.number, row.kind, row.due_on, self.nothing(), self.nothing()) for row in rows]

    def rules(self) -> Mapping[type, Callable[[Any, Any], None]]:
        return PLEDGE_RULES

    def happen(self, event: Event) -> None:
        if self.captured_on is None and isinstance(event, NOT_BEFORE):
            raise Refused("not captured")
        super().happen(event)

    @property
    def sold(self) -> bool:
        return self.captured_on is not None

    @property
    def not_sold_yet(self) -> int:
        return 0

    @property
    def over(self) -> bool:
        return self.captured_on is not None or self.released_on is not None

    def open_still(self) -> None:
        if self.confirmed_on is None or self.over:
            raise Refused("not open")

    def pledge(self, event: Pledged) -> None:
        self.open_still()
        if event.amount_minor != sum(row.principal_minor for row in self.terms.rows):
            raise Refused("not the price")
        if not event.authorisation or (event.until is not None and event.until < event.occurred_on):
            raise Refused("authorisation")
        if self.authorised is not None and (self.authorised[1] or date.max) >= event.occurred_on:
            self.cannot(event, "one stands")
        self.authorised = event.authorisation, event.until

    def capture(self, event: Captured) -> None:
        self.open_still()
        on = event.occurred_on
        if self.authorised is None or (self.authorised[1] is not None and self.authorised[1] < on):
            raise Refused("nothing authorised that stands")
        promised = self.line(self.terms.rows[0].number)
        if promised is None or on < promised.day or event.payment_id in self.purses:
            raise Refused("before its success, or twice")
        self.captured_on = on
        price = 0
        for row in self.terms.rows:
            line = self.line(row.number)
            assert line is not None
            line.owed["principal"] += row.principal_minor
            price += row.principal_minor
        purse = Purse(event.payment_id, on, price, True, price)
        self.purses[purse.name] = purse
        if purse.name in self.gone:
            purse.taken_back, purse.unused = self.gone[purse.name], 0
        else:
            self.transit += price
            self.use(purse, on)
        self.use_what_is_held()

    def let_it_go(self, event: PledgeReleased) -> None:
        self.open_still()
        self.released_on = event.occurred_on

    def more(self, as_of: date) -> tuple[Any, ...]:
        stage = "pledged" if self.authorised else "agreed"
        if self.over:
            stage = "captured" if self.captured_on else "released"
        return (stage, *(self.authorised or ("", None)), self.captured_on, self.released_on)


NOT_BEFORE = (
    Cancelled,
    GoodsReturned,
    Shipped,
    PayoffQuoted,
    DueDayChanged,
    Paused,
    Charged,
    WrittenOff,
)
"""What a pledge cannot know before it is captured."""

PLEDGE_RULES: dict[type, Callable[[Any, Any], None]] = {
    **RULES,
    Pledged: PledgeBook.pledge,
    Captured: PledgeBook.capture,
    PledgeReleased: PledgeBook.let_it_go,
}
LEASE_RULES: dict[type, Callable[[Any, Any], None]] = {
    Confirmed: LeaseBook.confirm,
    Cancelled: LeaseBook.cancel,
    DueReached: LeaseBook.reach,
    DueMoved: LeaseBook.put_off,
    PaymentReceived: LeaseBook.receive,
    GoodwillGranted: LeaseBook.receive,
    Recovered: LeaseBook.receive,
    PaymentFailed: LeaseBook.fail,
    RefundPaid: LeaseBook.pay_refund,
    UnappliedRefunded: LeaseBook.refund,
    Charged: LeaseBook.charge,
    Waived: LeaseBook.waive,
    WrittenOff: LeaseBook.write_off,
    HandedOver: LeaseBook.hand_over,
    DepositHeld: LeaseBook.freeze,
    DepositApplied: LeaseBook.pay_by_deposit,
    DepositReleased: LeaseBook.release,
    LeaseReturned: LeaseBook.give_back,
    Inspected: LeaseBook.inspect,
    BoughtOut: LeaseBook.buy,
    Renewed: LeaseBook.renew,
}
"""What else there is is of contracts that pay a price back, and refused."""

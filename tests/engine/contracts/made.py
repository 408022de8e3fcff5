"""Contracts to test with: terms made the way a confirmation makes them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from fenqi.contracts.events import Confirmed, DueMoved, DueReached, Event, PaymentReceived, PaymentReversed
from fenqi.contracts.terms import Allocation, ContractTerms, pin
from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import Disclosure, disclose
from fenqi.terms.plan import Annuity, DownPayment, FlatFee, Plan, ZeroInterest
from fenqi.terms.schedule import Schedule, build_schedule
from fenqi.texts import Text

START = date(2026, 11, 23)
THE_MALL = Text("商城", "The mall")

FLAT_12 = Plan("mall_12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
FREE_3 = Plan("mall_3", "mall", "shop", "instalment_sale", 3, ZeroInterest("shop"))
ANNUITY_6 = Plan("mall_6", "mall", "shop", "instalment_sale", 6, Annuity(Decimal("0.072")))
DOWN_6 = Plan(
    "mall_6_down",
    "mall",
    "shop",
    "instalment_sale",
    6,
    FlatFee(total_rate=Decimal("0.05")),
    down_payment=DownPayment(share=Decimal("0.2")),
)


def offer(plan: Plan, amount_minor: int, start_on: date = START) -> tuple[Schedule, Disclosure]:
    bill = build_schedule(plan, amount_minor, "CNY", start_on)
    return bill, disclose(plan, bill, cost_of(bill, plan), THE_MALL)


def terms_of(
    plan: Plan = FLAT_12,
    amount_minor: int = 600_000,
    *,
    for_other_sellers_minor: int = 0,
    allocation: Allocation | None = None,
) -> ContractTerms:
    bill, table = offer(plan, amount_minor)
    return pin(
        plan,
        bill,
        table,
        zone="Asia/Shanghai",
        policy_digest="sha256:" + "0" * 64,
        for_other_sellers_minor=for_other_sellers_minor,
        allocation=allocation,
    )


class Story:
    """Events written one after another: the day is given, what is recorded follows the order of telling."""

    def __init__(self, terms: ContractTerms) -> None:
        self.terms = terms
        self.events: list[Event] = []
        self.confirm()

    def _dates(self, on: date, recorded_at: int | None) -> dict[str, object]:
        seq = len(self.events) + 1
        return {"seq": seq, "occurred_on": on, "recorded_at": seq if recorded_at is None else recorded_at}

    def confirm(self) -> None:
        self.events.append(Confirmed(**self._dates(START, None)))  # type: ignore[arg-type]

    def pay(self, on: date, minor: int, name: str | None = None, *, recorded_at: int | None = None) -> Story:
        self.events.append(
            PaymentReceived(
                **self._dates(on, recorded_at),  # type: ignore[arg-type]
                payment_id=name or f"p{len(self.events)}",
                amount_minor=minor,
                settlement="bank:1",
            )
        )
        return self

    def due(self, number: int) -> Story:
        row = next(row for row in self.terms.rows if row.number == number)
        self.events.append(DueReached(**self._dates(row.due_on, None), row=number))  # type: ignore[arg-type]
        return self

    def put_off(self, number: int, to: date, *, on: date = START) -> Story:
        self.events.append(
            DueMoved(**self._dates(on, None), row=number, to=to, basis="outage", announcement="night")  # type: ignore[arg-type]
        )
        return self

    def reverse(self, on: date, name: str) -> Story:
        self.events.append(
            PaymentReversed(
                **self._dates(on, None),  # type: ignore[arg-type]
                payment_id=name,
                settlement="bank:2",
                reason="bounced",
            )
        )
        return self


def days(count: int) -> date:
    return START + timedelta(days=count)

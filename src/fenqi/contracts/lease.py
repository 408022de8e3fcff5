"""A lease while its events are replayed: where the goods and the deposit are, and how far the goods have lost value.

A lease sells the use of a thing, so that nothing is sold when it is agreed. Its rows are a deposit and rents; what is owed at its
end depends on how it ends, and is added by the event that ends it. After its term rents do not go on by themselves, and being late
makes nothing a sale: it awaits a return or a buyout.

A deposit in cash is held by being paid; one that is frozen is the customer's own money until it is taken. The goods lose value in
equal parts, one with each rent that falls due.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from fenqi.calendars import due_dates
from fenqi.contracts.terms import LeaseTerms
from fenqi.money import apply_rate, split_evenly
from fenqi.terms.plan import Plan
from fenqi.terms.rent import DepositForm, Lease

__all__ = ["Awaited", "LeaseState", "Leased", "Outcome"]

Outcome = Literal["returned", "bought_out", "lost", "cancelled"]
Awaited = Literal["hand_over", "return_or_buyout", "inspection", "deposit_release"]


class LeaseState(msgspec.Struct, frozen=True, kw_only=True):
    """A lease on a day. deposit = held + applied + lost + released, once it is held.

    `awaits` is what has to happen next beside payments; None while it runs, and when all is done. `outcome` is how it ended, on
    `ended_on`. The term, renewals included, ends on `term_ends_on`. `asset_minor` is what the goods cost in our books
    while they are out or lost, `depreciated_minor` what of it is gone.
    """

    term_ends_on: date
    awaits: Awaited | None
    outcome: Outcome | None
    ended_on: date | None
    handed_over_on: date | None
    renewed_periods: int
    deposit_form: DepositForm | None
    deposit_minor: int
    deposit_held_minor: int
    deposit_applied_minor: int
    deposit_lost_minor: int
    deposit_released_minor: int
    asset_minor: int
    depreciated_minor: int
    buyout_minor: int | None
    finding: str


class Leased:
    """Goods that are rented. `rents` are the places of their rows, the first period's first."""

    __slots__ = (
        "applied",
        "asset",
        "buyout",
        "consents",
        "deposit_row",
        "depreciated",
        "ended_on",
        "finding",
        "form",
        "frozen",
        "handed_over_on",
        "inspected_on",
        "later_rows",
        "lost",
        "outcome",
        "plan",
        "released",
        "renewed",
        "rents",
        "residual",
        "term_ends_on",
        "terms",
        "whole_deposit",
    )

    def __init__(self, plan: Plan, terms: LeaseTerms) -> None:
        self.plan = plan
        self.terms = terms
        deposit = self.pricing.deposit
        self.whole_deposit = 0
        self.form: DepositForm | None = None
        if deposit is not None:
            amount = deposit.amount_minor
            self.whole_deposit = (
                amount if amount is not None else apply_rate(terms.price_minor, deposit.share or Decimal(0))
            )
            self.form = "waived" if terms.deposit_waived else deposit.form
        self.rents: list[int] = []
        self.deposit_row: int | None = None
        self.later_rows: set[int] = set()
        self.renewed = 0
        self.consents: dict[str, int] = {}
        self.term_ends_on = self.term_end(0)
        self.handed_over_on: date | None = None
        self.ended_on: date | None = None
        self.inspected_on: date | None = None
        self.outcome: Outcome | None = None
        self.finding = ""
        self.frozen = 0
        self.applied = self.lost = self.released = 0
        self.asset = self.residual = self.depreciated = 0
        self.buyout: int | None = None

    def copy(self) -> Leased:
        twin = Leased.__new__(Leased)
        for name in Leased.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.rents, twin.later_rows = self.rents.copy(), self.later_rows.copy()
        twin.consents = self.consents.copy()
        return twin

    @property
    def pricing(self) -> Lease:
        pricing = self.plan.pricing
        assert isinstance(pricing, Lease), "pinned as a lease"
        return pricing

    def term_end(self, renewed: int) -> date:
        """The last day of the term, so many periods renewed."""
        plan = self.plan
        return due_dates(self.terms.start_on, plan.unit, plan.every, plan.periods + renewed)[-1]

    def depreciation(self, rents: int) -> int:
        """What the goods lost in value with so many rents: equal parts of the term, and nothing more in a renewal."""
        periods = self.plan.periods
        parts = split_evenly(self.asset - self.residual, periods, self.plan.residue)
        return sum(parts[: min(rents, periods)])

    def held(self, paid: int) -> int:
        """What is held of the deposit, where so much of its row is paid: ours in cash, or frozen."""
        whole = self.frozen if self.form == "frozen" else paid
        return max(whole - self.applied - self.lost - self.released, 0)

    def inspects(self) -> bool:
        """Whether goods that come back are looked at before all is done: where a deposit was agreed that could be kept in part."""
        deposit = self.pricing.deposit
        return deposit is not None and deposit.at_end != "lost"

    def awaits(self, on: date, held: int) -> Awaited | None:
        """What has to happen next beside payments."""
        if self.outcome in ("lost", "cancelled"):
            return "deposit_release" if held else None
        if self.ended_on is None:
            if self.handed_over_on is None:
                return "hand_over"
            return "return_or_buyout" if on >= self.term_ends_on else None
        if self.outcome == "returned" and self.inspected_on is None and self.inspects():
            return "inspection"
        return "deposit_release" if held else None

    def state(self, on: date, held: int) -> LeaseState:
        return LeaseState(
            term_ends_on=self.term_ends_on,
            awaits=self.awaits(on, held),
            outcome=self.outcome,
            ended_on=self.ended_on,
            handed_over_on=self.handed_over_on,
            renewed_periods=self.renewed,
            deposit_form=self.form,
            deposit_minor=self.whole_deposit,
            deposit_held_minor=held,
            deposit_applied_minor=self.applied,
            deposit_lost_minor=self.lost,
            deposit_released_minor=self.released,
            asset_minor=self.asset,
            depreciated_minor=self.depreciated,
            buyout_minor=self.buyout,
            finding=self.finding,
        )

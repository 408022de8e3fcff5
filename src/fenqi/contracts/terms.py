"""What was agreed, pinned by value.

A running contract never looks anything up. Its rows, its fees and the table of costs that the customer was shown are
copied into it when it is made, with the digests of what they came from; whatever changes later reaches it only as an
event.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final, Literal

import msgspec

from fenqi.calendars import zone_of
from fenqi.contracts.accrual import accrues_daily
from fenqi.contracts.allocation import Allocation, Part, check_allocation
from fenqi.money import check_currency, check_minor
from fenqi.problems import BadInput
from fenqi.terms.agreed import (
    AccelerationTerms,
    LateTerms,
    PayoffTerms,
    ReturnTerms,
    ServicingTerms,
    check_agreed,
)
from fenqi.terms.disclosure import Disclosure, digest
from fenqi.terms.lease import build_lease
from fenqi.terms.plan import Annuity, EqualPrincipal, FlatInterest, InterestOnly, Plan, check_own_book
from fenqi.terms.rent import Lease, Pledge
from fenqi.terms.schedule import Charge, Row, Schedule

__all__ = [
    "SEMANTICS",
    "Allocation",
    "ContractTerms",
    "Interest",
    "LeaseTerms",
    "Part",
    "TermsMismatch",
    "charged_codes",
    "listed_fees",
    "pin",
]

GREGORIAN: Final = "gregorian@1"
"""The calendar of due dates that no holiday moves."""
SEMANTICS: Final = 1
"""The version of these rules. A contract keeps the number under which it was made, and is replayed by it."""


class TermsMismatch(BadInput):
    """Plan, schedule and disclosure that do not tell the same story: such a contract is never made."""


class LeaseTerms(msgspec.Struct, frozen=True):
    """What the payments of a lease follow from, beside its plan: the price of the goods, its first day, and whether its deposit
    was waived. However it ends, `fenqi.terms.lease.build_lease` says from them what is paid.
    """

    price_minor: int
    start_on: date
    deposit_waived: bool = False


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """How interest runs: its periods are counted from `counted_from`, and it bears from `begins_on`, when the money went out.

    `daily`: it is reckoned anew, day by day, on what is really outstanding. `payoff`: whoever settles early owes it up to the
    day, or to the end of the period that runs. `rest`: `period` reckons what is paid in advance to the end of its period too.
    """

    counted_from: date
    begins_on: date
    daily: bool = False
    payoff: Literal["to_date", "to_period_end"] = "to_date"
    rest: Literal["day", "period"] = "day"


class ContractTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed, by value.

    `rows` may begin with what is paid at the start (number 0), due on the day of confirmation. `for_other_sellers_minor` is the
    part of the price that belongs to sellers other than the lender. `charges` divide the rows' fees where several were
    agreed (empty: all of them are the plan's `fee_code`). With `interest`, the rows' fees are interest.
    `payoff`, `late`, `returns` and `acceleration` say what was agreed for when things go otherwise. With `lease`, the rows are
    those of the way in which it was offered to end; how it does end, events say.
    """

    plan: Plan
    currency: str
    zone: str
    rows: tuple[Row, ...]
    disclosure: Disclosure
    disclosure_digest: str
    policy_digest: str
    calendar: str = GREGORIAN
    for_other_sellers_minor: int = 0
    allocation: Allocation = Allocation()
    semantics: int = SEMANTICS
    charges: tuple[Charge, ...] = ()
    interest: Interest | None = None
    payoff: PayoffTerms = PayoffTerms()
    late: LateTerms | None = None
    returns: ReturnTerms = ReturnTerms()
    acceleration: AccelerationTerms = AccelerationTerms()
    lease: LeaseTerms | None = None


def pin(
    plan: Plan,
    schedule: Schedule,
    disclosure: Disclosure,
    *,
    zone: str,
    policy_digest: str,
    for_other_sellers_minor: int = 0,
    allocation: Allocation | None = None,
    interest: Interest | None = None,
    payoff: PayoffTerms | None = None,
    late: LateTerms | None = None,
    returns: ReturnTerms | None = None,
    acceleration: AccelerationTerms | None = None,
) -> ContractTerms:
    """The terms of a contract, from the offer that was accepted. The calendar by which its dates moved is kept by name.

    Raises `TermsMismatch` where the schedule's figures are not the disclosed ones to the fen, where a fee is not among the
    disclosed, where the figures are a funder's (only what the shop itself lends is a contract of ours), or where the
    plan is one that cannot be kept in an own book (`fenqi.terms.plan.check_own_book`).

    >>> from datetime import date
    >>> from decimal import Decimal
    >>> from fenqi.terms.cost import cost_of
    >>> from fenqi.terms.disclosure import disclose
    >>> from fenqi.terms.plan import FlatFee
    >>> from fenqi.terms.schedule import build_schedule
    >>> from fenqi.texts import Text
    >>> plan = Plan("mall-12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    >>> bill = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    >>> table = disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall"))
    >>> terms = pin(plan, bill, table, zone="Asia/Shanghai", policy_digest="sha256:00")
    >>> len(terms.rows), listed_fees(terms)
    (12, {'instalment_fee': 43200})
    """
    check_currency(schedule.currency)
    zone_of(zone)
    if disclosure.authority != "shop":
        raise TermsMismatch(
            "authority", disclosure.authority, "shop: a funder's contract is kept by the funder"
        )
    if disclosure.plan_id != plan.id:
        raise TermsMismatch("disclosure.plan_id", disclosure.plan_id, plan.id)
    if disclosure.currency != schedule.currency:
        raise TermsMismatch("disclosure.currency", disclosure.currency, schedule.currency)
    for wrong in check_own_book(plan):
        raise TermsMismatch(f"plan {plan.id}: {wrong.place}", wrong.value, wrong.expected, wrong.way_out)
    rows = schedule.rows
    lease = _lease_of(plan, schedule)
    rows_say: tuple[tuple[str, int, int], ...] = (
        ("rows' total", sum(row.total_minor for row in rows), schedule.total_minor),
    )
    if lease is None:
        rows_say = (
            ("rows' principal", sum(row.principal_minor for row in rows), schedule.amount_minor),
            ("rows' fees", sum(row.fee_minor for row in rows), schedule.fee_minor),
        )
    for place, number, expected in (
        *rows_say,
        ("disclosure.total_cost_minor", disclosure.total_cost_minor, schedule.fee_minor),
        ("disclosure.items", sum(item.amount_minor for item in disclosure.items), schedule.fee_minor),
        ("disclosure.principal_minor", disclosure.principal_minor, schedule.financed_minor),
    ):
        if number != expected:
            raise TermsMismatch(place, number, f"{expected}: shown, agreed and booked are the same")
    _check_charges(plan.fee_code, schedule, disclosure)
    for row in rows:
        check_minor(row.principal_minor, schedule.currency, place=f"rows[{row.number}].principal_minor")
        check_minor(row.fee_minor, schedule.currency, place=f"rows[{row.number}].fee_minor")
    if len({row.number for row in rows}) != len(rows) or not rows:
        raise TermsMismatch("rows", len(rows), "at least one, each with a number of its own")
    if list(rows) != sorted(rows, key=lambda row: (row.due_on, row.number)):
        raise TermsMismatch("rows", "out of order", "rows in the order of their due dates")
    if lease is not None and for_other_sellers_minor:
        raise TermsMismatch(
            "for_other_sellers_minor", for_other_sellers_minor, "0: goods of a lease are the lessor's own"
        )
    if not 0 <= for_other_sellers_minor <= schedule.amount_minor:
        raise TermsMismatch("for_other_sellers_minor", for_other_sellers_minor, "no more than the price")
    allocation = allocation or Allocation()
    for wrong in check_allocation(allocation):
        raise TermsMismatch(wrong.place, wrong.value, wrong.expected, wrong.way_out)
    if isinstance(plan.pricing, (Lease, Pledge)) and allocation.rules:
        raise TermsMismatch("allocation.rules", len(allocation.rules), "none: the oldest row is paid first")
    if interest is not None:
        _check_interest(plan, interest, schedule)
    said = plan.servicing or ServicingTerms()
    payoff, late = payoff or said.payoff, late or said.late
    returns, acceleration = returns or said.returns, acceleration or said.acceleration
    for wrong in check_agreed(payoff, late, acceleration, {cost.code for cost in plan.contingent}):
        raise TermsMismatch(wrong.place, wrong.value, wrong.expected, wrong.way_out)
    return ContractTerms(
        plan=plan,
        currency=schedule.currency,
        zone=zone,
        rows=rows,
        disclosure=disclosure,
        disclosure_digest=digest(disclosure),
        policy_digest=policy_digest,
        calendar=schedule.calendar or GREGORIAN,
        for_other_sellers_minor=for_other_sellers_minor,
        allocation=allocation,
        charges=schedule.charges,
        interest=interest,
        payoff=payoff,
        late=late,
        returns=returns,
        acceleration=acceleration,
        lease=lease,
    )


def _lease_of(plan: Plan, schedule: Schedule) -> LeaseTerms | None:
    """What a lease's payments follow from. Raises `TermsMismatch` where the schedule is not what they come to."""
    figures = schedule.lease
    if figures is None or schedule.start_on is None:
        if isinstance(plan.pricing, Lease):
            raise TermsMismatch("schedule", "no lease", "the schedule of a lease, with its first day")
        return None
    lease = LeaseTerms(schedule.amount_minor, schedule.start_on, figures.deposit_form == "waived")
    made = build_lease(
        plan, lease.price_minor, schedule.currency, lease.start_on, deposit_waived=lease.deposit_waived
    )
    if made.rows != schedule.rows:
        raise TermsMismatch("schedule.rows", len(schedule.rows), "the payments that the plan comes to")
    return lease


def _check_interest(plan: Plan, interest: Interest, schedule: Schedule) -> None:
    """That there is interest to run, and that nothing but interest is charged in the rows."""
    if not isinstance(plan.pricing, (Annuity, EqualPrincipal, InterestOnly, FlatInterest)):
        raise TermsMismatch("interest", type(plan.pricing).__name__, "a pricing with interest")
    if schedule.charges or plan.bearers:
        raise TermsMismatch("interest", "other charges", "rows that charge interest alone")
    if interest.daily and not accrues_daily(plan):
        raise TermsMismatch(
            "interest.daily", plan.id, "an annuity or flat interest by period, nothing deferred or put off"
        )
    if not interest.counted_from <= interest.begins_on:
        raise TermsMismatch(
            "interest.begins_on", interest.begins_on.isoformat(), f"{interest.counted_from} or later"
        )


def _check_charges(fee_code: str, schedule: Schedule, disclosure: Disclosure) -> None:
    """That each cost is charged as it was listed, and that together they are the rows' fees."""
    if not schedule.charges:
        if schedule.fee_minor and all(item.code != fee_code for item in disclosure.items):
            raise TermsMismatch("fee_code", fee_code, "a cost that the disclosure lists")
        return
    listed = _sums((item.code, item.amount_minor) for item in disclosure.items)
    for charge in schedule.charges:
        if charge.code not in listed:
            raise TermsMismatch("charges", charge.code, "a cost that the disclosure lists")
        if charge.total_minor != listed[charge.code]:
            raise TermsMismatch(
                f"charges.{charge.code}",
                charge.total_minor,
                f"{listed[charge.code]}, as the disclosure lists it",
            )
        if len(charge.by_row_minor) != len(schedule.rows):
            raise TermsMismatch(
                f"charges.{charge.code}",
                len(charge.by_row_minor),
                f"a part for each of {len(schedule.rows)} rows",
            )
    for index, row in enumerate(schedule.rows):
        parts = sum(charge.by_row_minor[index] for charge in schedule.charges)
        if parts != row.fee_minor:
            raise TermsMismatch(f"charges, row {row.number}", parts, f"{row.fee_minor}, the row's fee")


def charged_codes(terms: ContractTerms) -> tuple[str, ...]:
    """The codes of the fees that the contract's rows consist of."""
    return tuple([charge.code for charge in terms.charges]) or (terms.plan.fee_code,)


def listed_fees(terms: ContractTerms) -> dict[str, int]:
    """Every fee that the disclosure lists, with its amount: no other may ever be booked."""
    return _sums((item.code, item.amount_minor) for item in terms.disclosure.items)


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for code, minor in pairs:
        sums[code] = sums.get(code, 0) + minor
    return sums

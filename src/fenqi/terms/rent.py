"""What a lease and a pledge agree on, as values: rent, deposit, buyout, renewal; authorise, then capture.

A lease sells the use of a thing. What it truly costs depends on how it ends, so that how it may end is agreed data: which
formula prices an early buyout, what becomes of the deposit, by when it is released. Nothing here is assumed: the market has
several of each (`fenqi.terms.lease` says what they come to).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final, Literal, get_args

import msgspec

from fenqi.money import MAX_MINOR
from fenqi.problems import Problem
from fenqi.texts import Text

__all__ = [
    "Buyout",
    "Deposit",
    "DepositEnd",
    "DepositForm",
    "EarlyBuyout",
    "EarlyFormula",
    "Lease",
    "LeaseFigures",
    "LeasePath",
    "Pledge",
    "Renewal",
    "Rent",
    "check_lease",
    "check_pledge",
    "traps_of",
]

DepositForm = Literal["cash", "frozen", "waived"]
"""How a deposit is held: paid, frozen on the customer's own account (nothing is paid unless it is lost or used), or not asked for."""
DepositEnd = Literal["credited", "returned", "lost"]
"""What becomes of a deposit: it pays part of the buyout, it goes back, or it is kept."""
EarlyFormula = Literal["maturity_plus_unpaid_rent", "price_less_paid"]
"""What buying out early costs: the price at maturity and all rents not yet due; or the price of the goods, less the rents
paid and the deposit. The market has both."""
LeasePath = Literal["return", "buy_out", "early_buy_out"]
"""How a lease ends."""

MAX_RELEASE_DAYS: Final = 365
_MAX_SHARE: Final = Decimal(100)
_DIGITS: Final = 18


class Rent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rent of one period: an amount, or a share of the price of the goods (exactly one of them)."""

    amount_minor: int | None = None
    share: Decimal | None = None


class Deposit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What secures the goods: an amount, or a share of their price (exactly one of them).

    `waivable`: it is not asked for from those whom no rule about the waiver stands in the way of. `at_end` is what
    becomes of it when all goes as agreed: `credited` goes against the buyout, and back where there is none. It is
    released within `release_days` of the inspection, which is within `inspection_days` of the goods' return; where the
    goods are bought there is none. `lost_when` says in which cases it is kept. Late rents are taken from it only where it `covers_rent`.
    """

    release_days: int
    at_end: DepositEnd
    amount_minor: int | None = None
    share: Decimal | None = None
    form: Literal["cash", "frozen"] = "cash"
    waivable: bool = False
    inspection_days: int = 0
    lost_when: Text | None = None
    covers_rent: bool = False


class EarlyBuyout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Buying before the end of the term, by `formula`; only in its `last_days` where they are given."""

    formula: EarlyFormula
    last_days: int | None = None


class Buyout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The price at which the goods become the customer's at the end of the term: an amount, or a share of their price.

    Neither: on its last day too it is priced by the early formula `price_less_paid`. An amount of 0 makes the goods the
    customer's once the rents are paid (租满即送). Without `early` there is no buying before.
    """

    amount_minor: int | None = None
    share: Decimal | None = None
    early: EarlyBuyout | None = None


class Renewal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Renting on after the term: `coefficient` (续租系数) of the rent for each period more.

    `consent`: it is asked for each time, `asked_days_before` the end. `silent` says what somebody else's contract may say; no
    plan of ours may be offered with it (网络交易监督管理办法 art. 18).
    """

    coefficient: Decimal
    consent: Literal["asked", "silent"] = "asked"
    asked_days_before: int = 5


class Lease(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="lease"
):
    """The use of goods for the plan's periods, against rent, with an end that is agreed beforehand.

    `paid`: each rent at the beginning or at the end of its period. `minimum_periods` have to be rented (None: all of them);
    after them the goods may be given back before the end. Sending them back costs `return_shipping_minor`. `goods`: new
    or used, with a `statement` of their condition. `overdue`: what a lease in arrears stays or becomes; no plan of ours may
    be offered where it becomes a sale by itself.
    """

    rent: Rent
    paid: Literal["in_advance", "in_arrears"]
    goods: Literal["new", "used"]
    statement: Text | None = None
    minimum_periods: int | None = None
    deposit: Deposit | None = None
    buyout: Buyout | None = None
    renewal: Renewal | None = None
    return_shipping_minor: int = 0
    overdue: Literal["stays_lease", "becomes_sale"] = "stays_lease"


class Pledge(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="pledge"
):
    """The whole price authorised now; captured if the campaign succeeds by `success_on`, released in full if it fails.

    There is no credit: nothing is owed before success, and everything is paid on it. `hold_days`: how long an authorisation
    stands; None where it stands until it is captured or released.
    """

    success_on: date
    hold_days: int | None = None


class LeaseFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a lease of `terms` comes to on one of its paths. deposit = credited + returned + lost.

    `owns`: whether the goods are the customer's at its end, on `ends_on`. `rent_minor` is one period's. `buyout_minor` is the
    whole price, before a deposit is credited against it. `fee_minor`: fees and the cost of sending back. `cost_minor`: rents, fees, buyout
    and a deposit lost, which is what the path costs in all. `waived_minor` is a deposit that was not asked for. `deposit_back_on`: by when what goes back is back.

    `own_ratio_e12`: rents and buyout over the price of the goods. `yearly_ratio_e12`: the rents of a year and the buyout over it
    (租享规范: 年租金 + 转让价); a lease shorter than a year counts the rents that it has. Both are rounded up: a ceiling is
    never met by rounding.
    """

    terms: Lease
    path: LeasePath
    owns: bool
    ends_on: date
    rent_minor: int
    rents: int
    rent_total_minor: int
    buyout_minor: int
    fee_minor: int
    cost_minor: int
    deposit_minor: int = 0
    deposit_form: DepositForm | None = None
    waived_minor: int = 0
    credited_minor: int = 0
    returned_minor: int = 0
    lost_minor: int = 0
    deposit_back_on: date | None = None
    own_ratio_e12: int = 0
    yearly_ratio_e12: int = 0


def check_lease(lease: Lease, periods: int) -> Iterator[Problem]:
    """Everything wrong with a lease's terms, by place; a schedule can be built where there is nothing.

    >>> [problem.place for problem in check_lease(Lease(rent=Rent(), paid="in_advance", goods="new"), 12)]
    ['rent']
    """
    yield from _one_of("rent", lease.rent.amount_minor, lease.rent.share, least=1)
    if lease.paid not in ("in_advance", "in_arrears"):
        yield _problem("paid", lease.paid, "in_advance or in_arrears")
    if lease.goods not in ("new", "used"):
        yield _problem("goods", lease.goods, "new or used")
    elif lease.goods == "used" and lease.statement is None:
        yield _problem("statement", "missing", "a text on the condition of used goods, in both languages")
    least = lease.minimum_periods
    if least is not None and not 1 <= least <= periods:
        yield _problem("minimum_periods", least, f"1 to the {periods} periods of the plan")
    if not 0 <= lease.return_shipping_minor <= MAX_MINOR:
        yield _problem("return_shipping_minor", lease.return_shipping_minor, f"0 to {MAX_MINOR}")
    if lease.overdue not in ("stays_lease", "becomes_sale"):
        yield _problem("overdue", lease.overdue, "stays_lease or becomes_sale")
    if lease.deposit is not None:
        yield from _check_deposit(lease.deposit)
    if lease.buyout is not None:
        yield from _check_buyout(lease.buyout, lease.deposit)
    renewal = lease.renewal
    if renewal is not None:
        if not _is_share(renewal.coefficient) or not 0 < renewal.coefficient <= 10:
            yield _problem(
                "renewal.coefficient", renewal.coefficient, "more than 0 and at most 10", "write 80 % as 0.8"
            )
        if renewal.consent not in ("asked", "silent"):
            yield _problem("renewal.consent", renewal.consent, "asked or silent")
        if not 0 <= renewal.asked_days_before <= MAX_RELEASE_DAYS:
            yield _problem(
                "renewal.asked_days_before", renewal.asked_days_before, f"0 to {MAX_RELEASE_DAYS} days"
            )


def _check_deposit(deposit: Deposit) -> Iterator[Problem]:
    yield from _one_of("deposit", deposit.amount_minor, deposit.share, least=1)
    if deposit.form not in ("cash", "frozen"):
        yield _problem("deposit.form", deposit.form, "cash or frozen")
    if deposit.at_end not in get_args(DepositEnd):
        yield _problem("deposit.at_end", deposit.at_end, "credited, returned or lost")
    for name, days in (("release_days", deposit.release_days), ("inspection_days", deposit.inspection_days)):
        if not 0 <= days <= MAX_RELEASE_DAYS:
            yield _problem(f"deposit.{name}", days, f"0 to {MAX_RELEASE_DAYS} days")


def _check_buyout(buyout: Buyout, deposit: Deposit | None) -> Iterator[Problem]:
    early = buyout.early
    if early is not None:
        if early.formula not in get_args(EarlyFormula):
            yield _problem(
                "buyout.early.formula", early.formula, "one of " + ", ".join(get_args(EarlyFormula))
            )
        if early.last_days is not None and not 1 <= early.last_days <= 36_600:
            yield _problem("buyout.early.last_days", early.last_days, "1 day or more")
        if early.formula == "price_less_paid" and deposit is not None and deposit.at_end == "lost":
            yield _problem(
                "deposit.at_end", "lost", "credited or returned, since price_less_paid takes the deposit off"
            )
    if buyout.amount_minor is None and buyout.share is None:
        if early is None or early.formula != "price_less_paid":
            yield _problem(
                "buyout",
                "neither amount_minor nor share",
                "the price at the end of the term",
                "or an early formula that gives it: price_less_paid",
            )
    else:
        yield from _one_of("buyout", buyout.amount_minor, buyout.share, least=0)


def check_pledge(pledge: Pledge) -> Iterator[Problem]:
    """Everything wrong with a pledge's terms, by place."""
    if pledge.hold_days is not None and not 1 <= pledge.hold_days <= 3660:
        yield _problem("hold_days", pledge.hold_days, "1 to 3660 days")


def traps_of(lease: Lease) -> Iterator[Problem]:
    """What a lease may say somewhere, and no lease of ours: a renewal nobody agreed to, arrears that turn into a sale.

    >>> lease = Lease(rent=Rent(49_900), paid="in_advance", goods="new", overdue="becomes_sale")
    >>> [problem.place for problem in traps_of(lease)]
    ['overdue']
    """
    if lease.renewal is not None and lease.renewal.consent == "silent":
        yield _problem(
            "renewal.consent",
            "silent",
            "asked: a lease is renewed only with the customer's consent, each time",
            "leave it out",
        )
    if lease.overdue == "becomes_sale":
        yield _problem(
            "overdue",
            "becomes_sale",
            "stays_lease: being late never turns a lease into a sale",
            "leave it out",
        )


def _problem(place: str, value: object, expected: str, way_out: str = "") -> Problem:
    return Problem(place, str(value), expected, way_out)


def _one_of(place: str, amount_minor: int | None, share: Decimal | None, *, least: int) -> Iterator[Problem]:
    if (amount_minor is None) == (share is None):
        yield _problem(place, "amount_minor and share", "exactly one of the two")
        return
    if amount_minor is not None and not least <= amount_minor <= MAX_MINOR:
        yield _problem(f"{place}.amount_minor", amount_minor, f"{least} to {MAX_MINOR}")
    if share is not None and not (_is_share(share) and share > 0):
        yield _problem(
            f"{place}.share",
            share,
            "more than 0, with at most 18 digits and decimals",
            "write 7.5 % as 0.075",
        )


def _is_share(share: Decimal) -> bool:
    if not (share.is_finite() and 0 <= share <= _MAX_SHARE):
        return False
    _, digits, exponent = share.as_tuple()
    return len(digits) <= _DIGITS and isinstance(exponent, int) and exponent >= -_DIGITS

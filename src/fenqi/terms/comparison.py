"""Buy, pay over time, rent and give back, rent and buy out: the same thing over the same time, side by side.

Each way is what changes hands on which day, and whether the thing is the customer's at the end. Three figures make them
comparable, and none of them alone does: what is paid in all; what that comes to once the value of what is left is taken off;
and, where the thing ends up owned, the yearly rate at which paying so is the same as having borrowed today's price. For renting
against buying there is one more: the month from which renting has cost more than buying and selling again would have.

What a thing will be worth is nobody's to know. It is an assumption given from outside, straight between the points given, and
nothing where none is given: then a thing bought is worth nothing afterwards, which is the most that can be said for renting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, Literal

import msgspec

from fenqi.calendars import add_months, due_dates
from fenqi.money import MAX_MINOR, check_currency, check_minor, round_half_even
from fenqi.problems import BadInput
from fenqi.terms.cost import COMPOUNDED, SIMPLE, DatedFlow, DatedFlows, annual_cost
from fenqi.terms.intervals import UnitPeriod
from fenqi.terms.lease import Ending, build_lease
from fenqi.terms.plan import Plan
from fenqi.terms.rent import Lease
from fenqi.terms.schedule import Schedule
from fenqi.texts import Text, fill

__all__ = [
    "Compared",
    "Comparison",
    "ComparisonError",
    "Kind",
    "Resale",
    "Sentence",
    "Use",
    "Way",
    "compare",
    "lease_ways",
    "outright",
    "way_of",
]

Kind = Literal["buy", "instalments", "rent_return", "rent_own"]
MAX_MONTHS: Final = 600


class ComparisonError(BadInput):
    """Ways that cannot be compared, or a time over which they cannot."""


class Use(msgspec.Struct, frozen=True):
    """What the use of the thing costs up to a day: a rent belongs to the end of its period, whenever it is paid."""

    to: date
    amount_minor: int


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to have the thing. `flows` are (date, amount): what the customer pays, negative where it comes back.

    `owns`: it is the customer's at the end. `uses` and `leaving_minor` (sending it back, a deposit kept) are a rent's.
    """

    id: str
    kind: Kind
    name: Text
    flows: tuple[tuple[date, int], ...]
    owns: bool
    uses: tuple[Use, ...] = ()
    leaving_minor: int = 0


class Resale(msgspec.Struct, frozen=True):
    """What the thing is taken to be worth, `months` after the start."""

    months: int
    value_minor: int


class Sentence(msgspec.Struct, frozen=True):
    """One sentence with its figures: `text` is whole in each language."""

    text: Text
    params: dict[str, int | str | Decimal | Text | date]

    def in_(self, locale: str, currency: str, zone: str = "UTC") -> str:
        """The sentence with its figures written in."""
        return fill(self.text, self.params, locale, currency=currency, zone=zone)


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One way's figures. cost = paid - returned - value left, over the time compared; `over_price` is set where it ends owned.

    `simple_e12` and `compounded_e12`: the yearly rate at which paying so equals borrowing the price today, both exactly 0 where
    nothing is paid beyond it; None with a reason in `undefined` where there is none (`no_ownership` for a thing given back).
    """

    id: str
    kind: Kind
    name: Text
    owns: bool
    paid_minor: int
    returned_minor: int
    value_left_minor: int
    cost_minor: int
    over_price_minor: int | None
    simple_e12: int | None
    compounded_e12: int | None
    undefined: str | None
    last_on: date
    sentence: Sentence | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All ways over one time, the cheapest first (of equal ones the one that ends owned). `sentence` says which of renting and
    buying is cheaper where something is rented, else what owning over time comes to.

    `break_even_month`: the first month at whose end having rented so far costs as much as having bought and selling, or more; None
    where renting stays cheaper throughout, or where nothing is rented.
    """

    currency: str
    price_minor: int
    start_on: date
    months: int
    resale: tuple[Resale, ...]
    ways: tuple[Compared, ...]
    break_even_month: int | None
    sentence: Sentence


def outright(price_minor: int, start_on: date, name: Text | None = None) -> Way:
    """Buying the thing today for its price, the lowest that can be had for cash."""
    return Way(
        id="buy",
        kind="buy",
        name=name or Text("一次付清", "Buying outright"),
        flows=((start_on, price_minor),),
        owns=True,
    )


def way_of(schedule: Schedule, way_id: str, name: Text) -> Way:
    """A schedule that pays a price over time, as a way: every payment on its day."""
    return Way(id=way_id, kind="instalments", name=name, flows=_flows(schedule), owns=True)


def lease_ways(
    plan: Plan, price_minor: int, currency: str, start_on: date, months: int, name: Text
) -> tuple[Way, ...]:
    """The ways that a lease is: rented and given back (rented on until `months` are over, where it can be renewed), and bought out
    at the end of its term, where it can be bought.

    Raises `TermsError` where the lease cannot be applied to the price.
    """
    found = []
    lease = plan.pricing
    assert isinstance(lease, Lease), "the caller has looked"
    renewed = 0
    if lease.renewal is not None:
        until = add_months(start_on, months)
        while due_dates(start_on, plan.unit, plan.every, plan.periods + renewed)[-1] < until:
            renewed += 1
    back = build_lease(plan, price_minor, currency, start_on, Ending("return", renewed_periods=renewed))
    rents = [row for row in back.rows if row.kind == "rent"]
    ends = due_dates(start_on, plan.unit, plan.every, len(rents))
    # What is paid at the start and does not come back is a price of the first period already.
    uses = [Use(ends[0], row.fee_minor) for row in back.rows if row.number == 0 and row.fee_minor]
    uses += [Use(end, row.rent_minor + row.fee_minor) for end, row in zip(ends, rents, strict=True)]
    found.append(
        Way(
            id=f"{plan.id}:return",
            kind="rent_return",
            name=Text(f"{name.zh_cn}，租用后归还", f"{name.en}, given back"),
            flows=_flows(back),
            owns=False,
            uses=tuple(uses),
            leaving_minor=_leaving(back),
        )
    )
    if lease.buyout is not None:
        own = build_lease(plan, price_minor, currency, start_on, Ending("buy_out"))
        found.append(
            Way(
                id=f"{plan.id}:buy_out",
                kind="rent_own",
                name=Text(f"{name.zh_cn}，租满买断", f"{name.en}, bought out"),
                flows=_flows(own),
                owns=True,
            )
        )
    return tuple(found)


def _leaving(back: Schedule) -> int:
    lost = 0 if back.lease is None else back.lease.lost_minor
    return lost + sum(row.fee_minor for row in back.rows if row.kind == "goods_return")


def _flows(schedule: Schedule) -> tuple[tuple[date, int], ...]:
    return tuple((row.due_on, row.total_minor) for row in schedule.rows if row.total_minor)


def compare(
    ways: Sequence[Way],
    *,
    price_minor: int,
    currency: str,
    start_on: date,
    months: int,
    resale: Sequence[Resale] = (),
) -> Comparison:
    """Put ways side by side over `months` from `start_on`. Raises `ComparisonError` where that makes no sense.

    >>> on = date(2026, 11, 23)
    >>> rent = Way(
    ...     id="rent", kind="rent_return", name=Text("租用后归还", "Renting"), owns=False,
    ...     flows=tuple((add_months(on, k), 49_900) for k in range(12)),
    ...     uses=tuple(Use(add_months(on, k + 1), 49_900) for k in range(12)),
    ... )
    >>> both = compare(
    ...     [outright(699_900, on), rent], price_minor=699_900, currency="CNY", start_on=on, months=12,
    ...     resale=[Resale(1, 550_000), Resale(12, 300_000)],
    ... )
    >>> both.break_even_month, [(way.id, way.cost_minor) for way in both.ways]
    (5, [('buy', 399900), ('rent', 598800)])
    """
    check_currency(currency)
    check_minor(price_minor, currency, place="price_minor")
    if price_minor == 0:
        raise ComparisonError(
            "price_minor", 0, "more than 0", "the lowest price for which it can be bought today"
        )
    if not 1 <= months <= MAX_MONTHS:
        raise ComparisonError("months", months, f"1 to {MAX_MONTHS} months")
    if not ways:
        raise ComparisonError("ways", "none", "at least one way to have the thing")
    if len({way.id for way in ways}) != len(ways):
        raise ComparisonError("ways", "one id stands twice", "ids of their own")
    values = _values(resale, price_minor, months)
    compared = [_compared(way, price_minor, currency, start_on, values[months]) for way in ways]
    ordered = tuple(sorted(compared, key=lambda one: (one.cost_minor, not one.owns)))
    rent = next((way for way in ways if way.kind == "rent_return"), None)
    even = None if rent is None else _break_even(rent, price_minor, start_on, months, values)
    return Comparison(
        currency=currency,
        price_minor=price_minor,
        start_on=start_on,
        months=months,
        resale=tuple(resale),
        ways=ordered,
        break_even_month=even,
        sentence=_sentence(ordered, rent, price_minor, start_on, months, values[months], even),
    )


def _values(resale: Sequence[Resale], price_minor: int, months: int) -> list[int]:
    """What the thing is worth at the end of each month: straight lines between the points, level after the last."""
    points = [(0, price_minor)]
    for number, point in enumerate(resale):
        place = f"resale[{number}]"
        if not points[-1][0] < point.months <= MAX_MONTHS:
            raise ComparisonError(f"{place}.months", point.months, "later than the point before it")
        if not 0 <= point.value_minor <= MAX_MINOR:
            raise ComparisonError(f"{place}.value_minor", point.value_minor, f"0 to {MAX_MINOR}")
        points.append((point.months, point.value_minor))
    if len(points) == 1:
        return [price_minor] + [0] * months
    values = []
    for month in range(months + 1):
        after = next((number for number, (at, _) in enumerate(points) if at >= month), None)
        if after is None:
            values.append(points[-1][1])
        elif points[after][0] == month:
            values.append(points[after][1])
        else:
            (left, before), (right, then) = points[after - 1], points[after]
            values.append(before + round_half_even((then - before) * (month - left), right - left))
    return values


def _compared(way: Way, price_minor: int, currency: str, start_on: date, value_minor: int) -> Compared:
    if not way.flows:
        raise ComparisonError(f"{way.id}.flows", "none", "at least one payment")
    for number, (on, amount) in enumerate(way.flows):
        if on < start_on:
            raise ComparisonError(f"{way.id}.flows[{number}]", on.isoformat(), f"a day from {start_on} on")
        check_minor(amount, currency, place=f"{way.id}.flows[{number}]", signed=True)
    paid = sum(amount for _, amount in way.flows if amount > 0)
    returned = -sum(amount for _, amount in way.flows if amount < 0)
    left = value_minor if way.owns else 0
    over = paid - returned - price_minor
    rates: tuple[int | None, int | None, str | None] = (None, None, "no_ownership")
    if way.owns:
        rates = _rates(way, price_minor, start_on, over)
    return Compared(
        id=way.id,
        kind=way.kind,
        name=way.name,
        owns=way.owns,
        paid_minor=paid,
        returned_minor=returned,
        value_left_minor=left,
        cost_minor=paid - returned - left,
        over_price_minor=over if way.owns else None,
        simple_e12=rates[0],
        compounded_e12=rates[1],
        undefined=rates[2],
        last_on=max(on for on, _ in way.flows),
        sentence=_owning(way, price_minor, over, rates[0]) if way.owns and way.kind != "buy" else None,
    )


def _rates(
    way: Way, price_minor: int, start_on: date, over: int
) -> tuple[int | None, int | None, str | None]:
    """The yearly rates of having the price today and paying so: what is paid at once lessens what is had."""
    by_day: dict[date, int] = {start_on: -price_minor}
    for on, amount in way.flows:
        by_day[on] = by_day.get(on, 0) + amount
    if all(amount == 0 for amount in by_day.values()):
        return 0, 0, None
    flows = DatedFlows(
        tuple(DatedFlow(on, -amount) for on, amount in sorted(by_day.items()) if amount < 0),
        tuple(DatedFlow(on, amount) for on, amount in sorted(by_day.items()) if amount > 0),
    )
    if not flows.advances or by_day[start_on] >= 0:
        return None, None, "paid_at_once"
    if over == 0 and len(flows.advances) == 1:
        return 0, 0, None
    simple = annual_cost(SIMPLE, flows, UnitPeriod("month"))
    compounded = annual_cost(COMPOUNDED, flows, UnitPeriod("month"))
    return simple.rate_e12, compounded.rate_e12, simple.undefined


def _break_even(
    rent: Way, price_minor: int, start_on: date, months: int, values: Sequence[int]
) -> int | None:
    for month in range(1, months + 1):
        end = add_months(start_on, month)
        used = sum(use.amount_minor for use in rent.uses if use.to <= end) + rent.leaving_minor
        if used >= price_minor - values[month]:
            return month
    return None


# Whole sentences, one for each case, so that neither language's order of words is the other's.
_TEXTS: Final[Mapping[str, Text]] = {
    "rent_though": Text(
        "用 {n} 个月，租用后归还共花费 {rent:money}，比以 {price:money} 买下、期末还值 {value:money} 少花 {less:money}；"
        "但若在第 {even} 个月末归还，买下并不更贵。",
        "For {n}-month use, renting and giving it back costs {rent:money}, {less:money} less than buying it for {price:money} "
        "with {value:money} of its value left; given back at the end of month {even}, it would have cost no less than buying.",
    ),
    "rent": Text(
        "用 {n} 个月，租用后归还共花费 {rent:money}，比以 {price:money} 买下、期末还值 {value:money} 少花 {less:money}；"
        "这段时间里租始终更省。",
        "For {n}-month use, renting and giving it back costs {rent:money}, {less:money} less than buying it for {price:money} "
        "with {value:money} of its value left; renting stays cheaper all that time.",
    ),
    "buy_after": Text(
        "用 {n} 个月，以 {price:money} 买下、期末还值 {value:money}，净花费 {buy:money}，比租用后归还少花 {less:money}；"
        "在第 {even} 个月末之前归还，租才更省。",
        "For {n}-month use, buying it for {price:money} with {value:money} of its value left costs {buy:money}, {less:money} less than "
        "renting and giving it back; renting is cheaper only if it is given back before the end of month {even}.",
    ),
    "buy": Text(
        "用 {n} 个月，以 {price:money} 买下、期末还值 {value:money}，净花费 {buy:money}，比租用后归还少花 {less:money}；"
        "从第一个月起就是买更省。",
        "For {n}-month use, buying it for {price:money} with {value:money} of its value left costs {buy:money}, {less:money} less than "
        "renting and giving it back; buying is cheaper from the first month.",
    ),
    "buy_in_all": Text(
        "用 {n} 个月，以 {price:money} 买下、期末还值 {value:money}，净花费 {buy:money}，比租用后归还少花 {less:money}。",
        "For {n}-month use, buying it for {price:money} with {value:money} of its value left costs {buy:money}, {less:money} less than "
        "renting and giving it back.",
    ),
    "rent_too_short": Text(
        "租用后归还共花费 {rent:money}，但只能用到 {until:date}，不足 {n} 个月；以 {price:money} 买下、{n} 个月后还值 {value:money}，"
        "净花费 {buy:money}，可用满 {n} 个月。",
        "Renting and giving it back costs {rent:money} but ends on {until:date}, before the {n} months are over; buying it for "
        "{price:money} with {value:money} of its value left costs {buy:money} for all of them.",
    ),
    "same": Text(
        "用 {n} 个月，租用后归还与以 {price:money} 买下、期末还值 {value:money} 花费相同，都是 {buy:money}。",
        "For {n}-month use, renting and giving it back costs the same as buying it for {price:money} with {value:money} "
        "of its value left: {buy:money}.",
    ),
    "own_dearer": Text(
        "{way}：最后归您，共付 {total:money}，比现价 {price:money} 多 {more:money}，相当于按年化 {rate:rate}（单利）借款。",
        "{way}: it ends up yours for {total:money}, {more:money} more than its price of {price:money}, which is like "
        "borrowing at {rate:rate} a year (simple).",
    ),
    "own_dearer_no_rate": Text(
        "{way}：最后归您，共付 {total:money}，比现价 {price:money} 多 {more:money}。",
        "{way}: it ends up yours for {total:money}, {more:money} more than its price of {price:money}.",
    ),
    "own_same": Text(
        "{way}：最后归您，共付 {total:money}，与现价相同。",
        "{way}: it ends up yours for {total:money}, the same as its price today.",
    ),
    "own_cheaper": Text(
        "{way}：最后归您，共付 {total:money}，比现价 {price:money} 少 {less:money}。",
        "{way}: it ends up yours for {total:money}, {less:money} less than its price of {price:money}.",
    ),
    "cheapest": Text(
        "用 {n} 个月，花费最少的方式：{way}，净花费 {cost:money}。",
        "Costing least in {n}-month use: {way}, {cost:money} in all.",
    ),
}


def _owning(way: Way, price_minor: int, over: int, simple_e12: int | None) -> Sentence:
    """What a way that ends in owning comes to against the price today."""
    params: dict[str, int | str | Decimal | Text | date] = {
        "way": way.name,
        "total": price_minor + over,
        "price": price_minor,
    }
    if over == 0:
        return Sentence(_TEXTS["own_same"], params)
    if over < 0:
        return Sentence(_TEXTS["own_cheaper"], params | {"less": -over})
    if simple_e12 is None:
        return Sentence(_TEXTS["own_dearer_no_rate"], params | {"more": over})
    rate = Decimal(simple_e12).scaleb(-12)
    return Sentence(_TEXTS["own_dearer"], params | {"more": over, "rate": rate})


def _sentence(
    ordered: Sequence[Compared],
    rent: Way | None,
    price_minor: int,
    start_on: date,
    months: int,
    value_minor: int,
    even: int | None,
) -> Sentence:
    """The one sentence: rent or buy, where there is something to rent; else what owning over time comes to."""
    by_id = {one.id: one for one in ordered}
    if rent is not None:
        rented = by_id[rent.id].cost_minor
        bought = price_minor - value_minor
        params: dict[str, int | str | Decimal | Text | date] = {
            "n": months,
            "price": price_minor,
            "value": value_minor,
            "rent": rented,
            "buy": bought,
            "less": abs(bought - rented),
        }
        until = rent.uses[-1].to if rent.uses else None
        if until is not None and until <= add_months(start_on, months - 1):
            # Rent for a part of the time is no price for all of it.
            return Sentence(_TEXTS["rent_too_short"], params | {"until": until})
        if rented == bought:
            return Sentence(_TEXTS["same"], params)
        if rented < bought:
            if even is None:
                return Sentence(_TEXTS["rent"], params)
            return Sentence(_TEXTS["rent_though"], params | {"even": even})
        if even is None:
            # A rent that runs for longer than the time compared is due all the same.
            return Sentence(_TEXTS["buy_in_all"], params)
        if even > 1:
            return Sentence(_TEXTS["buy_after"], params | {"even": even})
        return Sentence(_TEXTS["buy"], params)
    over_time = [one.sentence for one in ordered if one.sentence is not None]
    if len(over_time) == 1:
        return over_time[0]
    best = ordered[0]
    return Sentence(_TEXTS["cheapest"], {"n": months, "way": best.name, "cost": best.cost_minor})

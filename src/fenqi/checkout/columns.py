"""Whole answers in columns: what `evaluate` decides and prices for one cart, for very many recorded ones.

The two passes of the one decision, over columns: rules over facts (`fenqi.policy.columns`), then each plan priced for
every cart (`fenqi.terms.columns`) and its rules over prices. What the columns do not price, `build_schedule` prices, each
distinct amount of a day once, and `PlanOffers.by_rows` says how often that was.

Needs the extra `simulate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cached_property, reduce
from operator import or_
from typing import Final

from fenqi.calendars import CalendarError, local_date
from fenqi.checkout.evaluation import is_dated, priced_facts
from fenqi.money import MAX_MINOR, MoneyError
from fenqi.policy.columns import (
    Checkouts,
    ColumnsError,
    Outcomes,
    local_days,
    rule_outcomes,
    state_expr,
    states_of,
)
from fenqi.policy.compile import Policy, is_priced
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import selects
from fenqi.terms.columns import Ints, Prices, in_columns, price_columns
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import Plan, TermsError
from fenqi.terms.schedule import build_schedule

# The two above have said what to install where these are missing.
import numpy as np  # isort: skip
import polars as pl  # isort: skip

__all__ = ["Decided", "PlanOffers", "RowPrices", "decide_columns", "price_offers", "same_terms"]

RowPrices = dict[tuple[Plan, int, date, bool], "dict[str, FactValue] | None"]
"""What `build_schedule` has priced already, by plan, amount, day, and whether the deposit is waived; None where the terms cannot be applied."""


@dataclasses.dataclass(frozen=True, eq=False)
class PlanOffers:
    """A plan's offer in every row: the facts of `offer.*` as columns (null where it cannot be priced or is unknown).

    Beside them stand `first`, `rest` and `last`: the first instalment, those between, and the last one, in minor units.
    `by_rows` counts the amounts that its schedule had to price.
    """

    plan: Plan
    frame: pl.DataFrame
    priced: pl.Series
    by_rows: int = 0


_INT_FACTS: Final = {
    "offer.financed": "financed_minor",
    "offer.instalment_min": "smallest_minor",
    "offer.instalment_max": "largest_minor",
    "offer.fee": "fee_minor",
    "offer.total": "total_minor",
    "offer.paid_at_start": "down_minor",
    "offer.annual_cost": "simple_e12",
    "offer.annual_cost_compounded": "compounded_e12",
    "first": "first_minor",
    "rest": "rest_minor",
    "last": "last_minor",
}


def price_offers(
    policy: Policy,
    plan: Plan,
    checkouts: Checkouts,
    *,
    known: RowPrices | None = None,
    progress: Callable[[int], None] | None = None,
) -> PlanOffers:
    """The plan applied to the amount of every cart, exactly.

    `known` keeps what `build_schedule` priced from one call to the next. Raises `TermsError` where the plan is wrong.
    """
    if "cart.amount" not in checkouts.frame.columns:
        raise ColumnsError("column cart.amount", "missing", "the amount of every cart, to price it")
    amounts = checkouts.frame["cart.amount"].fill_null(0).to_numpy()
    prices = price_columns(plan, amounts, progress=progress)
    columns = {name: getattr(prices, field) for name, field in _INT_FACTS.items()}
    for name, value in (("offer.periods", plan.periods), ("offer.fee_at_start", 0)):
        columns[name] = np.full(len(amounts), value, dtype=np.int64)
    known = {} if known is None else known
    careful = prices.careful
    if in_columns(plan) and not _tells_all(policy, plan, prices, checkouts, set(columns)):
        careful = prices.priced
    rows = np.flatnonzero(careful)
    if not len(rows):
        frame = pl.DataFrame(columns)
        if not prices.priced.all():
            frame = frame.select(pl.when(pl.Series(prices.priced)).then(pl.all()).name.keep())
        return PlanOffers(plan, frame, pl.Series(prices.priced))
    # Each distinct amount once, and once a day only where days count: else any day will do.
    waived = _waived(policy, plan, checkouts)[rows]
    days = local_days(checkouts)[rows] if is_dated(plan) else np.zeros_like(rows)
    asked = np.stack([amounts[rows], days, waived])
    priced_before = len(known)
    pairs, which = np.unique(asked, axis=1, return_inverse=True)
    answers = []
    for done, (amount, day, free) in enumerate(pairs.T.tolist()):
        start_on = _EPOCH + timedelta(days=day)
        answers.append(_priced_row(policy, plan, amount, start_on, known, deposit_waived=bool(free)))
        if progress is not None and done % 1_000 == 0:
            progress(done * len(rows) // len(answers))
    priced = prices.priced.copy()
    priced[rows] = np.array([answer is not None for answer in answers])[which]
    # A lease may have facts that no other plan has, and an undefined cost is unknown.
    filled: list[pl.Series] = []
    for name in dict.fromkeys([*columns, *(name for answer in answers if answer for name in answer)]):
        told = [None if answer is None else answer.get(name) for answer in answers]
        there = priced.copy() if name in columns else np.zeros(len(amounts), dtype=np.bool_)
        there[rows] = np.array([value is not None for value in told])[which]
        whole = columns[name].copy() if name in columns else np.zeros(len(amounts), dtype=np.int64)
        # A compounded rate can have a hundred digits: what no column holds is more than any bound, and stays so.
        values = [min(value, _MOST) if isinstance(value, int) else 0 for value in told]
        whole[rows] = np.array(values, dtype=np.int64)[which]
        column = pl.Series(whole)
        if name in policy.vocabulary and policy.vocabulary[name].type == "bool":
            column = column.cast(pl.Boolean)
        filled.append(pl.select(pl.when(pl.Series(there)).then(column).alias(name)).to_series())
    return PlanOffers(plan, pl.DataFrame(filled), pl.Series(priced), len(known) - priced_before)


_EPOCH: Final = date(1970, 1, 1)
_MOST: Final = 2**63 - 1


def _tells_all(policy: Policy, plan: Plan, prices: Prices, checkouts: Checkouts, known: set[str]) -> bool:
    """Whether the columns tell every fact that an offer of the plan has: a later version may add one."""
    if not prices.priced.any():
        return True
    row = int(prices.priced.argmax())
    amount, now = checkouts.frame["cart.amount"][row], checkouts.frame["clock.now"][row]
    answer = _priced_row(policy, plan, amount, local_date(now, policy.zone), {})
    return answer is None or set(answer) <= known


def _waived(policy: Policy, plan: Plan, checkouts: Checkouts) -> Ints:
    """1 in every row whose deposit is waived (`fenqi.policy.verdict.decide_deposits`), else 0."""
    waivers = policy.waivers
    if waivers is None or plan.id not in waivers.plan_index:
        return np.zeros(len(checkouts.frame), dtype=np.int64)
    states = states_of(waivers, rule_outcomes(waivers, checkouts))[plan.id]
    return (states == "available").cast(pl.Int64).to_numpy()


def _priced_row(
    policy: Policy,
    plan: Plan,
    amount: int,
    start_on: date,
    known: RowPrices,
    *,
    deposit_waived: bool = False,
) -> dict[str, FactValue] | None:
    key = (plan, amount, start_on, deposit_waived)
    if key not in known:
        known[key] = None
        if 0 < amount <= MAX_MINOR:
            try:
                bill = build_schedule(
                    plan, amount, policy.currency, start_on, policy.calendars, deposit_waived=deposit_waived
                )
            except (TermsError, MoneyError, CalendarError):
                return None
            totals = [row.total_minor for row in bill.rows if row.number]
            known[key] = {
                **priced_facts(bill, cost_of(bill, plan), plan.periods),
                "first": totals[0],
                "rest": totals[min(1, len(totals) - 1)],
                "last": totals[-1],
            }
    return known[key]


# --- the decision ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Decided:
    """Every plan's verdict in every row, by both passes of the decision."""

    policy: Policy
    first: Outcomes
    second: Mapping[str, Outcomes]
    """By plan: its rules over prices, where it has any."""
    unpriced: Mapping[str, pl.Series]
    """By plan: where its terms cannot be applied to the amount, so that it is not offered; where that is anywhere."""
    by_rows: Mapping[str, int]
    """By plan: how many amounts its schedule priced, one by one."""

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def states(self) -> pl.DataFrame:
        """Each plan's state, an Enum column named by the plan's id."""
        return pl.DataFrame([self._state(plan) for plan in self.policy.plans])

    def _state(self, plan: Plan) -> pl.Series:
        frame = self.first.frame
        violated, pending = self.first.trouble(plan.id, self._rules(plan.id))
        second = self.second.get(plan.id)
        if second is not None:
            more_violated, more_pending = second.trouble(plan.id, second.rules)
            found = second.frame.select("rows", v=more_violated, p=more_pending)
            violated, pending = violated | pl.lit(found["v"]), pending | pl.lit(found["p"])
        if plan.id in self.unpriced:
            violated |= pl.lit(self.unpriced[plan.id])
        states = frame.select("rows", state=state_expr(self.policy, plan.id, violated, pending))
        return states["state"].alias(plan.id)

    def _rules(self, plan: str) -> list[int]:
        mask = self.policy.masks[self.policy.plan_index[plan]]
        return [index for index in self.first.rules if mask >> index & 1]

    def in_the_way(self, plan: str) -> dict[str, pl.Series]:
        """By rule: where it is in the plan's way, as `fenqi.policy.verdict.in_the_way` tells it for one checkout.

        Under the empty name stands where the plan's terms cannot be applied.
        """
        found: dict[str, pl.Series] = {}
        for outcomes, rules in (
            (self.first, self._rules(plan)),
            (self.second.get(plan), None),
        ):
            if outcomes is None:
                continue
            # What cannot be priced is asked of its price only where nothing else is in the way.
            asked = pl.lit(True)
            if rules is None and plan in self.unpriced and found:
                others = reduce(or_, found.values())
                asked = ~pl.lit(self.unpriced[plan] & others)
            exprs: list[pl.Expr] = []
            for index in outcomes.rules if rules is None else rules:
                expr, pending = outcomes.violated(plan, index), outcomes.pending(plan, index)
                stands = expr if pending is None else expr | pending
                exprs.append((stands & asked).alias(self.policy.rules[index].id))
            answers = outcomes.frame.select("rows", *exprs).drop("rows")
            found |= {series.name: series for series in answers}
        if plan in self.unpriced:
            found[""] = self.unpriced[plan]
        return found


def decide_columns(
    policy: Policy,
    checkouts: Checkouts,
    *,
    known: Outcomes | None = None,
    before: Decided | None = None,
    prices: Callable[[Plan], PlanOffers] | None = None,
) -> Decided:
    """Decide every checkout, as `evaluate` does one: rules over facts, prices, rules over prices.

    `known` are outcomes of rules over facts of the same checkouts, under this policy or another (see `rule_outcomes`).
    `before` is what another policy decided of them: its outcomes are known too, and of a plan whose terms are the same also
    those over prices. `prices` gives a plan's offers where they are at hand already.
    """
    if known is None and before is not None:
        known = before.first
    first = rule_outcomes(policy, checkouts, known=known)
    priced_rules = [index for index, rule in enumerate(policy.rules) if is_priced(rule)]
    second: dict[str, Outcomes] = {}
    unpriced: dict[str, pl.Series] = {}
    by_rows: dict[str, int] = {}
    known_prices: RowPrices = {}
    for plan in policy.plans:
        about = [index for index in priced_rules if selects(policy.rules[index].applies, plan)]
        if prices is not None:
            offers = prices(plan)
        else:
            offers = price_offers(policy, plan, checkouts, known=known_prices)
        by_rows[plan.id] = offers.by_rows
        if not offers.priced.all():
            unpriced[plan.id] = ~offers.priced
        if not about:
            continue
        same = before is not None and same_terms(before.policy, policy, plan.id)
        asked = before.second.get(plan.id) if before is not None and same else None
        facts = [series for series in offers.frame if series.name.startswith("offer.")]
        with_offer = dataclasses.replace(checkouts, frame=checkouts.frame.hstack(facts))
        second[plan.id] = rule_outcomes(policy, with_offer, about, known=asked)
    return Decided(policy, first, second, unpriced, by_rows)


def same_terms(one: Policy, other: Policy, plan: str) -> bool:
    """Whether both policies have the plan, at the same terms: every cart then has the same price under both."""
    if plan not in one.plan_index or plan not in other.plan_index:
        return False
    mine, theirs = one.plan(plan), other.plan(plan)
    if mine != theirs or one.currency != other.currency:
        return False
    if mine.calendar is not None and one.calendars[mine.calendar] != other.calendars[mine.calendar]:
        return False
    waivable = [by for by in (one, other) if by.waivers is not None and plan in by.waivers.plan_index]
    # Whether a deposit is waived is a verdict of its own, over facts that each policy lets count or not.
    return not waivable or (
        one.snapshot.waivers == other.snapshot.waivers
        and one.max_ages == other.max_ages
        and one.rollouts == other.rollouts
        and one.sets == other.sets
    )

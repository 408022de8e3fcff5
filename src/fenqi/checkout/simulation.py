"""A change of policy over recorded checkouts: who would gain a way to pay, who would lose it, and what it would cost.

Both policies decide every recorded checkout (`fenqi.checkout.columns`); what differs is counted by plan, with amounts,
segments, the rules that are responsible, and a few of the checkouts themselves. A rule that says the same in both is asked
once, a plan of the same terms priced once.

This is no forecast. Only what was recorded is known: customers who left are not in it, limits that would have been used up
are not, and nobody is asked what they would have chosen instead. What is not known stays unknown.

Needs the extra `simulate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Final

import msgspec

from fenqi.checkout.columns import (
    Decided,
    PlanOffers,
    RowPrices,
    decide_columns,
    price_offers,
    same_terms,
)
from fenqi.money import round_half_even
from fenqi.policy.columns import STATES, Checkouts, ColumnsError, Outcomes
from fenqi.policy.compile import Policy
from fenqi.policy.verdict import State
from fenqi.terms.plan import Plan

# What is imported above has said what to install where this is missing.
import polars as pl  # isort: skip

__all__ = [
    "SEGMENTS",
    "CostChange",
    "PlanDifference",
    "RuleCount",
    "Segment",
    "SegmentSize",
    "Simulation",
    "Tally",
    "Turn",
    "Witness",
    "simulate",
]

SEGMENTS: Final = ("channel.kind", "region.ship_to", "customer.tier")
"""By what a difference is told apart where nothing else is asked for."""
MAX_SEGMENT_VALUES: Final = 200
WITNESSES: Final = 3
SLICE_ROWS: Final = 131_072
"""Checkouts at a time: what is worked out on the way takes some 150 MB for ten plans, however many there are in all."""


class Tally(msgspec.Struct, frozen=True):
    """Carts, and what they come to in minor units."""

    carts: int = 0
    amount_minor: int = 0


class RuleCount(msgspec.Struct, frozen=True):
    """A rule that stands in the way of so many carts; of `alone` nothing else does. The empty name: no price fits."""

    rule: str
    carts: int
    amount_minor: int
    alone: int


class Segment(msgspec.Struct, frozen=True):
    """Of the carts where `fact` is `value` (None: unknown): those that gain a plan, lose it, and get it otherwise."""

    fact: str
    value: str | None
    gained: Tally
    lost: Tally
    changed: Tally


class SegmentSize(msgspec.Struct, frozen=True):
    """How many carts there are in all where `fact` is `value`."""

    fact: str
    value: str | None
    carts: int
    amount_minor: int


class CostChange(msgspec.Struct, frozen=True):
    """How the offers changed that are there before and after: of the total to pay, and of the yearly cost (1e-12).

    After less before, so that a rise is positive. `dearer` and `cheaper` count carts by their total. The yearly figures
    are over the carts whose cost is known both times; None where it is of none.
    """

    dearer: int
    cheaper: int
    total_mean_minor: int
    total_least_minor: int
    total_most_minor: int
    annual_mean_e12: int | None = None
    annual_least_e12: int | None = None
    annual_most_e12: int | None = None


class Witness(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recorded checkout that a change hits: its name, and what it gets under each policy.

    `rules` are in its way under the policy that does not offer it. Totals in minor units, yearly costs in 1e-12.
    """

    decision: str
    amount_minor: int
    before: State | None
    after: State | None
    rules: tuple[str, ...] = ()
    total_before_minor: int | None = None
    total_after_minor: int | None = None
    annual_before_e12: int | None = None
    annual_after_e12: int | None = None


class Turn(msgspec.Struct, frozen=True):
    """So many carts are in another state; None: the policy has no such plan."""

    before: State | None
    after: State | None
    carts: int


class PlanDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One plan. Every cart is in one of four: it `gained` the plan, `lost` it, has it at `changed` figures, or is `unchanged`.

    `freed_from` tells what stood in the way of those that gain it, `blocked_by` what stands in the way of those that lose it.
    """

    plan: str
    gained: Tally
    lost: Tally
    changed: Tally
    unchanged: Tally
    offered_before: Tally
    offered_after: Tally
    turns: tuple[Turn, ...] = ()
    freed_from: tuple[RuleCount, ...] = ()
    blocked_by: tuple[RuleCount, ...] = ()
    segments: tuple[Segment, ...] = ()
    cost: CostChange | None = None
    gained_witnesses: tuple[Witness, ...] = ()
    lost_witnesses: tuple[Witness, ...] = ()
    changed_witnesses: tuple[Witness, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether it comes out otherwise for any cart."""
        return bool(self.turns or self.changed.carts)


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What policy `after` changes for recorded checkouts against policy `before` (both by digest).

    `at`: the instant as of which all were decided; None: each at its own. `without_before` and `without_after` count the
    carts that get no plan of more than one payment. `rules_asked` of all `rules` had to be worked out for `after`.
    `priced_by_rows`: the plans whose prices the columns do not know, with how many amounts their schedules priced.
    `unknown_made`: the recorded values outside the vocabulary that count as unknown, by fact.
    """

    before: str
    after: str
    currency: str
    at: int | None
    carts: Tally
    plans: tuple[PlanDifference, ...]
    segments: tuple[SegmentSize, ...]
    without_before: Tally
    without_after: Tally
    rules: int
    rules_asked: int
    priced_by_rows: dict[str, int] = {}
    unknown_made: dict[str, int] = {}

    @property
    def differs(self) -> bool:
        """Whether anything comes out otherwise for any cart."""
        return any(plan.differs for plan in self.plans)


def simulate(
    before: Policy,
    after: Policy,
    checkouts: Checkouts,
    *,
    at: int | None = None,
    segments: Sequence[str] | None = None,
    recorded: Outcomes | None = None,
    slice_rows: int = SLICE_ROWS,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Decide every checkout under both policies and tell what differs.

    The checkouts are to be read by both vocabularies (`both_vocabularies`). `at` (epoch seconds) asks all of them at one
    instant, such as the one from which the change is to hold; else each is asked at its own. `segments` name facts of few
    values; `SEGMENTS` that were recorded where it is left out. `recorded` are the outcomes of `before`'s rules over facts,
    kept from an earlier run: only rules that changed are asked again then. `progress` is told rows done, and of how many.

    Raises `ColumnsError` for a segment that is none, and for policies of two currencies or zones.
    """
    for what, one, other in (
        ("currency", before.currency, after.currency),
        ("time zone", before.zone, after.zone),
    ):
        if one != other:
            raise ColumnsError(what, f"{one} before, {other} after", "the same of both policies")
    if at is not None:
        checkouts = checkouts.at(at)
        recorded = None
    told = _segments(checkouts, segments)
    counts = {plan: _Count(plan) for plan in dict.fromkeys(p.id for p in (*after.plans, *before.plans))}
    totals = _Totals(told)
    known_before: RowPrices = {}
    known_after: RowPrices = {}
    asked: set[int] = set()
    by_rows: Counter[str] = Counter()
    for start in range(0, len(checkouts), slice_rows):
        part = checkouts.slice(start, slice_rows)
        offers: dict[tuple[bool, str], PlanOffers] = {}

        def priced(
            policy: Policy,
            plan: Plan,
            part: Checkouts = part,
            offers: dict[tuple[bool, str], PlanOffers] = offers,
        ) -> PlanOffers:
            later = policy is after and not same_terms(before, after, plan.id)
            if (later, plan.id) not in offers:
                known = known_after if later else known_before
                offers[later, plan.id] = price_offers(policy, plan, part, known=known)
            return offers[later, plan.id]

        kept = None if recorded is None else recorded.slice(start, slice_rows)
        was = decide_columns(before, part, known=kept, prices=lambda plan: priced(before, plan))
        will = decide_columns(after, part, before=was, prices=lambda plan: priced(after, plan))
        asked.update(will.first.asked, *(more.asked for more in will.second.values()))
        for (_, plan_id), offer in offers.items():
            by_rows[plan_id] += offer.by_rows
        totals.add(part, was, will)
        for plan_id, count in counts.items():
            count.add(
                part,
                was,
                will,
                offers.get((False, plan_id)),
                offers.get((True, plan_id), offers.get((False, plan_id))),
                told,
            )
        if progress is not None:
            progress(min(start + slice_rows, len(checkouts)), len(checkouts))
    return Simulation(
        before=before.digest,
        after=after.digest,
        currency=after.currency,
        at=at,
        carts=totals.carts,
        plans=tuple(count.told(told) for count in counts.values()),
        segments=totals.sizes(),
        without_before=totals.without_before,
        without_after=totals.without_after,
        rules=len(after.rules),
        rules_asked=len(asked),
        priced_by_rows={plan: rows for plan, rows in by_rows.items() if rows},
        unknown_made=dict(checkouts.unknown_made),
    )


def _segments(checkouts: Checkouts, asked: Sequence[str] | None) -> tuple[str, ...]:
    columns = checkouts.frame.columns
    if asked is None:
        return tuple(
            name
            for name in SEGMENTS
            if name in columns and checkouts.frame[name].n_unique() <= MAX_SEGMENT_VALUES
        )
    for name in asked:
        fact = checkouts.vocabulary.get(name)
        if fact is None or name not in columns:
            there = ", ".join(sorted(column for column in columns if column in checkouts.vocabulary))
            raise ColumnsError("segment", name, "a fact that was recorded", f"there are {there}")
        if fact.type not in ("enum", "bool", "text", "int"):
            raise ColumnsError(
                "segment", f"{name}, a {fact.type}", "an enum, a text, a whole number, or yes or no"
            )
        if checkouts.frame[name].n_unique() > MAX_SEGMENT_VALUES:
            raise ColumnsError(
                "segment",
                f"{name}, of {checkouts.frame[name].n_unique()} values",
                f"a fact of at most {MAX_SEGMENT_VALUES} values",
            )
    return tuple(dict.fromkeys(asked))


def _tally(amounts: pl.Series, where: pl.Series) -> Tally:
    carts = int(where.sum() or 0)
    return Tally(carts, int(amounts.filter(where).sum() or 0)) if carts else Tally()


def _plus(one: Tally, other: Tally) -> Tally:
    return Tally(one.carts + other.carts, one.amount_minor + other.amount_minor)


def _by_value(
    part: Checkouts, fact: str, amounts: pl.Series, where: pl.Series | None
) -> dict[str | None, Tally]:
    """Carts and amounts by the value of a fact, as it is shown."""
    table = pl.DataFrame({"value": part.frame[fact], "amount": amounts})
    if where is not None:
        table = table.filter(where)
    found = table.group_by("value").agg(carts=pl.len(), amount=pl.col("amount").sum())
    return {_shown(value): Tally(carts, amount) for value, carts, amount in found.iter_rows()}


def _shown(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)


def _amounts(part: Checkouts) -> pl.Series:
    """What each cart comes to, in a type that holds the sum of all of them."""
    amounts = part.frame["cart.amount"].fill_null(0)
    most = amounts.max()
    fits = most is None or int(most) * len(amounts) < 2**63  # type: ignore[arg-type]
    return amounts if fits else amounts.cast(pl.Int128)


class _Totals:
    """What is counted of the checkouts themselves."""

    def __init__(self, segments: tuple[str, ...]) -> None:
        self.segments = segments
        self.carts = self.without_before = self.without_after = Tally()
        self.values: dict[tuple[str, str | None], Tally] = {}

    def add(self, part: Checkouts, was: Decided, will: Decided) -> None:
        amounts = _amounts(part)
        self.carts = _plus(self.carts, Tally(len(part), int(amounts.sum() or 0)))
        self.without_before = _plus(self.without_before, _tally(amounts, ~_instalments(was, len(part))))
        self.without_after = _plus(self.without_after, _tally(amounts, ~_instalments(will, len(part))))
        for fact in self.segments:
            for value, tally in _by_value(part, fact, amounts, None).items():
                self.values[fact, value] = _plus(self.values.get((fact, value), Tally()), tally)

    def sizes(self) -> tuple[SegmentSize, ...]:
        return tuple(
            SegmentSize(fact, value, tally.carts, tally.amount_minor)
            for (fact, value), tally in sorted(
                self.values.items(),
                key=lambda item: (self.segments.index(item[0][0]), -item[1].carts, item[0][1] or ""),
            )
        )


def _instalments(decided: Decided, rows: int) -> pl.Series:
    """Where any plan of more than one payment is offered."""
    some = [_offered(decided, plan.id, rows) for plan in decided.policy.plans if plan.periods > 1]
    return reduce(or_, some, pl.Series([False]).new_from_index(0, rows))


def _offered(decided: Decided, plan: str, rows: int) -> pl.Series:
    if plan not in decided.policy.plan_index:
        return pl.Series([False]).new_from_index(0, rows)
    # The first two of STATES.
    return decided.states[plan].to_physical() < 2


class _Count:
    """What is counted of one plan, over all slices."""

    def __init__(self, plan: str) -> None:
        self.plan = plan
        self.tallies = dict.fromkeys(("gained", "lost", "changed", "all", "before", "after"), Tally())
        self.turns: Counter[tuple[int, int]] = Counter()
        self.rules: dict[str, dict[str, list[int]]] = {"gained": {}, "lost": {}}
        self.values: dict[str, dict[tuple[str, str | None], Tally]] = {
            "gained": {},
            "lost": {},
            "changed": {},
        }
        self.witnesses: dict[str, list[Witness]] = {"gained": [], "lost": [], "changed": []}
        self.cost = _CostCount()

    def add(
        self,
        part: Checkouts,
        was: Decided,
        will: Decided,
        old: PlanOffers | None,
        new: PlanOffers | None,
        segments: Iterable[str],
    ) -> None:
        rows = len(part)
        amounts = _amounts(part)
        before, after = _offered(was, self.plan, rows), _offered(will, self.plan, rows)
        changed = pl.Series([False]).new_from_index(0, rows)
        if old is not None and new is not None and old is not new:
            changed = before & after & _figures_differ(old, new)
        hit = {"gained": after & ~before, "lost": before & ~after, "changed": changed}
        everybody = pl.Series([True]).new_from_index(0, rows)
        for name, where in (*hit.items(), ("all", everybody), ("before", before), ("after", after)):
            self.tallies[name] = _plus(self.tallies[name], _tally(amounts, where))
        self._turn(was, will, rows)
        for name, where in hit.items():
            if not where.any():
                continue
            for fact in segments:
                for value, tally in _by_value(part, fact, amounts, where).items():
                    sums = self.values[name]
                    sums[fact, value] = _plus(sums.get((fact, value), Tally()), tally)
            ways: dict[str, pl.Series] = {}
            if name != "changed":
                blocking = was if name == "gained" else will
                if self.plan in blocking.policy.plan_index:
                    ways = blocking.in_the_way(self.plan)
                self._blame(name, where, amounts, ways)
            self._witness(name, where, part, was, will, old, new, ways)
        if changed.any() and old is not None and new is not None:
            self.cost.add(old.frame.filter(changed), new.frame.filter(changed))

    def _turn(self, was: Decided, will: Decided, rows: int) -> None:
        codes = []
        for decided in (was, will):
            if self.plan in decided.policy.plan_index:
                codes.append(decided.states[self.plan].to_physical().cast(pl.UInt8))
            else:
                codes.append(pl.Series([_NO_PLAN], dtype=pl.UInt8).new_from_index(0, rows))
        turned = (codes[0] * 8 + codes[1]).filter(codes[0] != codes[1])
        for code, carts in turned.value_counts().iter_rows():
            self.turns[code // 8, code % 8] += carts

    def _blame(self, name: str, where: pl.Series, amounts: pl.Series, ways: dict[str, pl.Series]) -> None:
        here = {rule: stands.filter(where) for rule, stands in ways.items()}
        here = {rule: stands for rule, stands in here.items() if stands.any()}
        if not here:
            return
        money = amounts.filter(where)
        together = reduce(lambda one, other: one + other, [s.cast(pl.UInt16) for s in here.values()])
        for rule, stands in here.items():
            sums = self.rules[name].setdefault(rule, [0, 0, 0])
            tally = _tally(money, stands)
            sums[0] += tally.carts
            sums[1] += tally.amount_minor
            sums[2] += int((stands & (together == 1)).sum() or 0)

    def _witness(
        self,
        name: str,
        where: pl.Series,
        part: Checkouts,
        was: Decided,
        will: Decided,
        old: PlanOffers | None,
        new: PlanOffers | None,
        ways: dict[str, pl.Series],
    ) -> None:
        found = self.witnesses[name]
        for row in where.arg_true().head(WITNESSES - len(found)).to_list():
            found.append(
                Witness(
                    decision=part.row_name(row),
                    amount_minor=_amounts(part)[row],
                    before=_state(was, self.plan, row),
                    after=_state(will, self.plan, row),
                    rules=tuple(rule for rule, stands in ways.items() if stands[row]),
                    total_before_minor=_figure(old, "offer.total", row),
                    total_after_minor=_figure(new, "offer.total", row),
                    annual_before_e12=_figure(old, "offer.annual_cost", row),
                    annual_after_e12=_figure(new, "offer.annual_cost", row),
                )
            )

    def told(self, segments: tuple[str, ...]) -> PlanDifference:
        tallies = self.tallies
        everybody = tallies.pop("all")
        rest = [tallies["gained"], tallies["lost"], tallies["changed"]]
        values = sorted(
            {key for sums in self.values.values() for key in sums},
            key=lambda key: (
                segments.index(key[0]),
                -sum(sums.get(key, Tally()).carts for sums in self.values.values()),
                key[1] or "",
            ),
        )
        return PlanDifference(
            plan=self.plan,
            gained=tallies["gained"],
            lost=tallies["lost"],
            changed=tallies["changed"],
            unchanged=Tally(
                everybody.carts - sum(tally.carts for tally in rest),
                everybody.amount_minor - sum(tally.amount_minor for tally in rest),
            ),
            offered_before=tallies["before"],
            offered_after=tallies["after"],
            turns=tuple(
                Turn(_STATE_OF[old], _STATE_OF[new], carts)
                for (old, new), carts in sorted(self.turns.items())
            ),
            freed_from=_ranked(self.rules["gained"]),
            blocked_by=_ranked(self.rules["lost"]),
            segments=tuple(
                Segment(
                    fact,
                    value,
                    *(
                        self.values[name].get((fact, value), Tally())
                        for name in ("gained", "lost", "changed")
                    ),
                )
                for fact, value in values
            ),
            cost=self.cost.told(),
            gained_witnesses=tuple(self.witnesses["gained"]),
            lost_witnesses=tuple(self.witnesses["lost"]),
            changed_witnesses=tuple(self.witnesses["changed"]),
        )


_NO_PLAN: Final = len(STATES)
_STATE_OF: Final[tuple[State | None, ...]] = (*STATES, None)


def _ranked(rules: dict[str, list[int]]) -> tuple[RuleCount, ...]:
    found = [RuleCount(rule, carts, amount, alone) for rule, (carts, amount, alone) in rules.items()]
    return tuple(sorted(found, key=lambda count: (-count.carts, count.rule)))


def _state(decided: Decided, plan: str, row: int) -> State | None:
    if plan not in decided.policy.plan_index:
        return None
    state: State = decided.states[plan][row]
    return state


def _figure(offers: PlanOffers | None, name: str, row: int) -> int | None:
    if offers is None or name not in offers.frame.columns:
        return None
    figure: int | None = offers.frame[name][row]
    return figure


_FIGURES: Final = (
    "first",
    "rest",
    "last",
    "offer.total",
    "offer.fee",
    "offer.annual_cost",
    "offer.paid_at_start",
)


def _figures_differ(old: PlanOffers, new: PlanOffers) -> pl.Series:
    """Where any figure is another one; unknown both times is the same."""
    return reduce(or_, [old.frame[name].ne_missing(new.frame[name]) for name in _FIGURES])


class _CostCount:
    """Changed totals and yearly costs, over all slices."""

    def __init__(self) -> None:
        self.dearer = self.cheaper = 0
        self.sums: dict[str, list[int]] = {}
        """By figure: how many, their sum, the least and the most."""

    def add(self, old: pl.DataFrame, new: pl.DataFrame) -> None:
        for name in ("offer.total", "offer.annual_cost"):
            deltas = (new[name].cast(pl.Int128) - old[name].cast(pl.Int128)).drop_nulls()
            if not len(deltas):
                continue
            if name == "offer.total":
                self.dearer += int((deltas > 0).sum() or 0)
                self.cheaper += int((deltas < 0).sum() or 0)
            least, most = int(deltas.min() or 0), int(deltas.max() or 0)  # type: ignore[arg-type]
            told = [len(deltas), int(deltas.sum() or 0), least, most]
            known = self.sums.get(name)
            if known is not None:
                told = [known[0] + told[0], known[1] + told[1], min(known[2], least), max(known[3], most)]
            self.sums[name] = told

    def told(self) -> CostChange | None:
        total = self.sums.get("offer.total")
        if total is None:
            return None
        annual = self.sums.get("offer.annual_cost")
        return CostChange(
            self.dearer,
            self.cheaper,
            round_half_even(total[1], total[0]),
            total[2],
            total[3],
            *(() if annual is None else (round_half_even(annual[1], annual[0]), annual[2], annual[3])),
        )

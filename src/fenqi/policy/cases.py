"""Cases: every checkout that could be, as one formula that a solver can be asked about.

A fact becomes a flag (is it known?) and a value in its domain; a condition becomes two formulas, when it is known to be
true and when it is known to be false, so that Kleene's third outcome is kept exactly. A rule becomes what the generated
function of `fenqi.policy.compile` answers for it. What the solver finds is read back as facts, for the row engine to confirm.

A case is what `fenqi.checkout` can bring: the clock's facts and the cart's are always known and belong together, every
other fact may be unknown, and an offer's figures are free. What is not to be had in any such case is not to be had.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from fenqi.calendars import zone_of
from fenqi.money import MAX_MINOR
from fenqi.policy.conditions import All, Clause, Condition, Not, Range, clauses_of, facts_of
from fenqi.policy.facts import (
    CLOCK_FACTS,
    EARLIEST,
    LATEST,
    MAX_NAMES,
    MAX_WHOLE,
    FactType,
    FactValue,
    clock_facts,
)
from fenqi.policy.rollout import BUCKETS, PREFIX
from fenqi.policy.snapshot import Rule
from fenqi.problems import BadInput

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "ALWAYS_KNOWN",
    "Answer",
    "Case",
    "Formula",
    "NoSolver",
    "Outcome",
    "Space",
    "View",
    "reads_of",
    "trees_of",
]

Formula = Any
"""A formula of z3, which has no types of its own."""

Answer = Literal["yes", "no", "unknown"]
"""Whether there is such a case; `unknown` where the time was up first."""

MAX_LINES: Final = 200

ALWAYS_KNOWN: Final = frozenset(
    {
        *CLOCK_FACTS,
        "cart.amount",
        "cart.currency",
        "cart.categories",
        "cart.kinds",
        "cart.sellers",
        "cart.skus",
        "cart.has_coupon",
        "cart.line_count",
        "channel.kind",
    }
)
"""What every request brings (`fenqi.checkout.request.facts_of`)."""

_FULL_SETS: Final = frozenset({"cart.categories", "cart.kinds", "cart.sellers", "cart.skus"})
"""A cart has a line, and so one of each of these at least, and no more of them than lines."""


class NoSolver(BadInput):
    """The solver is not installed."""


def solver_module() -> Any:
    """The module z3. Raises `NoSolver` where it is not installed."""
    try:
        import z3  # type: ignore[import-untyped]
    except ImportError as error:
        raise NoSolver("z3", "not installed", "the solver of proofs", "pip install 'fenqi[check]'") from error
    return z3


class Case(msgspec.Struct, frozen=True):
    """One checkout: its facts, and by plan the figures of its offer. A fact that is not there is unknown."""

    facts: dict[str, FactValue]
    offers: dict[str, dict[str, FactValue]] = {}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One rule as formulas. `asked`: it is in force and its `when` is true. Of the last three at most one holds.

    `met` is its `require`, known to be true; None where it has none.
    """

    in_force: Formula
    asked: Formula
    met: Formula | None
    violated: Formula
    unknown: Formula
    pending: Formula
    blocked: Formula
    """Any of the three: the plan is not offered."""


@dataclasses.dataclass(frozen=True)
class _Variable:
    """A fact: whether it is known, and its value; of a set, one flag for each name that matters."""

    name: str
    kind: str
    known: Formula
    value: Formula
    members: Mapping[str, Formula]


def trees_of(rule: Rule) -> Iterator[Condition]:
    """The conditions of a rule."""
    for tree in (rule.when, rule.require, rule.pending.when if rule.pending else None):
        if tree is not None:
            yield tree


def reads_of(rule: Rule) -> frozenset[str]:
    """The facts that the rule's outcome rests on, the clock's for its windows among them."""
    names = {name for tree in trees_of(rule) for name in facts_of(tree)}
    if rule.valid is not None or rule.blocked is not None:
        names.add("clock.now")
    if rule.daily is not None:
        names.add("clock.time")
    if rule.pending is not None:
        names |= {rule.pending.deadline, "clock.now"}
    return frozenset(names)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400


def _offset(zone: str, at: int) -> int:
    turned = (_EPOCH + timedelta(seconds=at)).astimezone(zone_of(zone)).utcoffset()
    assert turned is not None, "a zone has an offset"
    return turned.days * _DAY + turned.seconds


@lru_cache(maxsize=64)
def _stretches(zone: str, start: int, end: int) -> tuple[tuple[int, int, int], ...]:
    """The stretches of time with one offset from UTC each: from, to, offset. Clocks are not turned twice in a day."""
    found: list[tuple[int, int, int]] = []
    began, offset = start, _offset(zone, start)
    at = start
    while at < end:
        following = min(at + _DAY, end)
        there = _offset(zone, following)
        if there != offset:
            low, high = at, following
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            found.append((began, high, offset))
            began, offset = high, there
        at = following
    found.append((began, end, offset))
    return tuple(found)


class Space:
    """All cases under some policies, from an instant up to another: a solver, and what its variables mean.

    `limit_ms` bounds each question. `going` is asked before each; once it says no, every answer is `unknown`. `near` is an
    instant about which a witness is best placed.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        *,
        start: int = EARLIEST,
        end: int = LATEST,
        near: int | None = None,
        limit_ms: int = 1_000,
        going: Callable[[], bool] = lambda: True,
    ) -> None:
        self.z3 = solver_module()
        self.start, self.end, self.near = start, end, near
        self.limit_ms, self.going = limit_ms, going
        self.questions = 0
        self.named = 0
        self.literals: dict[int, tuple[Formula, Formula]] = {}
        # A context of its own: two threads may prove at once, and a proof does not depend on the one before.
        self.ctx = self.z3.Context()
        self.solver = self.z3.SimpleSolver(ctx=self.ctx)
        if limit_ms > 0:
            self.solver.set("timeout", limit_ms)
        self.true = self.z3.BoolVal(True, self.ctx)
        self.false = self.z3.BoolVal(False, self.ctx)
        self.likely = self.z3.Bool("likely", self.ctx)
        """Assumed where a case is to be shown: no negative numbers, and a time near the present."""
        self.variables: dict[tuple[str, ...], _Variable] = {}
        self.types: dict[str, list[FactType]] = {}
        self.names_of_sets: dict[str, set[str]] = {}
        self.offsets: dict[str, Formula] = {}
        self.days: dict[str, Formula] = {}
        self.corrected: set[tuple[str, int]] = set()
        self.told_by = {PREFIX + each.salt: each.by for policy in policies for each in policy.rollouts}
        self.whole: dict[str, list[tuple[frozenset[str], frozenset[str]]]] = {}
        """By fact: the names that stand for many, and those many, where a rule asks for all of them."""
        self.names = self._names(policies)
        self.codes = {name: code for code, name in enumerate(self.names)}
        self.views = tuple(View(self, policy, str(number)) for number, policy in enumerate(policies))

    def _names(self, policies: Sequence[Policy]) -> list[str]:
        """The names that matter. Of a set's many members that nothing tells apart a few stand for all."""
        names: set[str] = set()
        texts = 0
        asked: list[Clause] = []
        for policy in policies:
            names.add(policy.currency)
            for fact in policy.vocabulary.values():
                self.types.setdefault(fact.name, []).append(fact)
                names.update(fact.values)
                texts += fact.type == "text"
                if fact.type == "set":
                    self.names_of_sets.setdefault(fact.name, set()).update(fact.values)
            asked += [c for rule in policy.resolved for tree in trees_of(rule) for c in clauses_of(tree)]
        bulks = {c.members.digest: _words(c.value) for c in asked if c.members is not None}
        for clause in asked:
            if clause.members is None:
                names.update(_words(clause.value))
        alike: dict[str, tuple[str, ...]] = {}
        for digest, members in bulks.items():
            for member in members:
                alike[member] = (*alike.get(member, ()), digest)
        groups: dict[tuple[str, ...], list[str]] = {}
        for name, digests in alike.items():
            if name not in names:
                groups.setdefault(digests, []).append(name)
        # One that is in the cart and one that is not; and each text may be another one.
        stand = {digests: frozenset(nsmallest(texts + 2, group)) for digests, group in groups.items()}
        names = names.union(*stand.values())
        for clause in asked:
            if clause.fact in self.names_of_sets:
                self.names_of_sets[clause.fact].update(_words(clause.value) & names)
                if clause.members is not None and clause.op in ("has all of", "lacks some of"):
                    self.whole.setdefault(clause.fact, []).extend(
                        (few, frozenset(groups[digests]))
                        for digests, few in stand.items()
                        if clause.members.digest in digests
                    )
        return sorted(names)

    # --- asking ----------------------------------------------------------------------------------------------

    def ask(self, *assumed: Formula) -> Answer:
        """Whether there is a case of which all of these are true."""
        while True:
            if self.limit_ms <= 0 or not self.going():
                return "unknown"
            self.questions += 1
            answer = self.solver.check(*[self._literal(formula) for formula in assumed])
            if answer == self.z3.unsat:
                return "no"
            if answer != self.z3.sat:
                return "unknown"
            if not self._correct_the_clock():
                return "yes"

    def show(self, *assumed: Formula) -> Answer:
        """As `ask`; what is found is a likely case, if there is one."""
        if self.ask(self.likely, *assumed) == "yes":
            return "yes"
        return self.ask(*assumed)

    def core(self, assumed: Sequence[Formula]) -> list[Formula] | None:
        """After a "no": a smallest selection of what was assumed that is enough for it, none of which can be left out.

        None where the time was up.
        """
        named = {self._literal(formula).get_id(): number for number, formula in enumerate(assumed)}
        core = sorted(named[each.get_id()] for each in self.solver.unsat_core() if each.get_id() in named)
        kept = list(core)
        for number in core:
            fewer = [each for each in kept if each != number]
            answer = self.ask(*(assumed[each] for each in fewer))
            if answer == "unknown":
                return None
            if answer == "no":
                kept = fewer
        return [assumed[number] for number in kept]

    def _literal(self, formula: Formula) -> Formula:
        """What the solver can assume: a name or its opposite. What is neither gets a name, once."""
        known = self.literals.get(formula.get_id())
        if known is None:
            z3 = self.z3
            bare = formula.arg(0) if z3.is_not(formula) else formula
            plain = z3.is_const(bare) and not z3.is_true(bare) and not z3.is_false(bare)
            # The formula is kept: once it were gone another one could get its id.
            known = (formula, formula if plain else self.literal("formula", formula))
            self.literals[formula.get_id()] = known
        return known[1]

    def literal(self, name: str, formula: Formula) -> Formula:
        """A name for a formula, to be assumed. Two formulas never share one."""
        self.named += 1
        named = self.z3.Bool(f"{name} #{self.named}", self.ctx)
        self.solver.add(named == formula)
        return named

    def both(self, parts: Iterable[Formula]) -> Formula:
        """All of these."""
        parts = [part for part in parts if part is not self.true]
        if any(part is self.false for part in parts):
            return self.false
        return self.z3.And(*parts) if len(parts) > 1 else parts[0] if parts else self.true

    def either(self, parts: Iterable[Formula]) -> Formula:
        """Any of these."""
        parts = [part for part in parts if part is not self.false]
        if any(part is self.true for part in parts):
            return self.true
        return self.z3.Or(*parts) if len(parts) > 1 else parts[0] if parts else self.false

    def no(self, formula: Formula) -> Formula:
        """Not this."""
        if formula is self.true or formula is self.false:
            return self.false if formula is self.true else self.true
        return self.z3.Not(formula)

    # --- facts -----------------------------------------------------------------------------------------------

    def variable(self, key: tuple[str, ...], name: str, zone: str, currency: str) -> _Variable:
        """The fact's variable, made with its domain when it is first asked for."""
        known = self.variables.get(key)
        if known is None:
            known = self.variables[key] = self._made("/".join(key), name, zone, currency)
            self._belong_together(key, name)
            if name in self.told_by:
                # Whose key is known has a place; which one, the solver may choose.
                who = self.variable((self.told_by[name],), self.told_by[name], zone, currency)
                self.solver.add(self.z3.Implies(who.known, known.known))
        return known

    def _made(self, label: str, name: str, zone: str, currency: str) -> _Variable:
        z3, ctx = self.z3, self.ctx
        facts = self.types[name]
        kind = facts[0].type
        always = name in ALWAYS_KNOWN
        known = self.true if always else z3.Bool(f"known {label}", ctx)
        if kind == "set":
            members = {word: z3.Bool(f"{label} has {word}", ctx) for word in sorted(self.names_of_sets[name])}
            closed = all(fact.values for fact in facts)
            allowed = {word for fact in facts for word in fact.values}
            if closed:
                self.solver.add(*(z3.Not(flag) for word, flag in members.items() if word not in allowed))
                if name in _FULL_SETS:
                    self.solver.add(self.either(members.values()))
            return _Variable(name, kind, known, None, members)
        if kind == "bool":
            return _Variable(name, kind, known, z3.Bool(label, ctx), {})
        value = z3.Int(label, ctx)
        self.solver.add(*(z3.Implies(known, each) for each in self._domain(facts, value, currency)))
        if kind in ("int", "rate"):
            self.solver.add(z3.Implies(self.likely, value >= 0))
        if name in CLOCK_FACTS:
            self._tie_clock(name, value, zone)
        return _Variable(name, kind, known, value, {})

    def _domain(self, facts: list[FactType], value: Formula, currency: str) -> list[Formula]:
        """What `fenqi.policy.facts.check_facts` lets through, and what follows for a cart."""
        name, kind = facts[0].name, facts[0].type
        if kind == "enum":
            words = {word for fact in facts for word in fact.values}
            return [self.either([value == self.codes[word] for word in sorted(words)])]
        if kind == "text":
            if name == "cart.currency":
                return [value == self.codes[currency]]
            return [value >= 0]
        low, high = {
            "money": (0, MAX_MINOR),
            "instant": (EARLIEST, LATEST - 1),
            "time": (0, 1439),
        }.get(kind, (-MAX_WHOLE, MAX_WHOLE))
        if name == "cart.amount":
            low = 1
        elif name == "cart.line_count":
            low, high = 1, MAX_LINES
        elif name.startswith(PREFIX):
            low, high = 0, BUCKETS - 1
        elif name == "clock.now":
            low, high = self.start, self.end - 1
        elif name.startswith(PREFIX):
            low, high = 0, BUCKETS - 1
        return [value >= low, value <= high]

    def _belong_together(self, key: tuple[str, ...], name: str) -> None:
        """A cart has no more kinds, categories or sellers than lines."""
        if name == "cart.line_count":
            sets = [each for (other, *_), each in self.variables.items() if other in _FULL_SETS]
        elif name in _FULL_SETS:
            sets = [self.variables[key]]
        else:
            return
        lines = self.variables.get(("cart.line_count",))
        if lines is not None:
            for each in sets:
                if len(each.members) > 1:
                    held = [self.z3.If(flag, 1, 0) for flag in each.members.values()]
                    self.solver.add(self.z3.Sum(*held) <= lines.value)

    # --- the clock -------------------------------------------------------------------------------------------

    def now(self) -> Formula:
        """The instant of the case."""
        return self.variable(("clock.now",), "clock.now", "", "").value

    def _tie_clock(self, name: str, value: Formula, zone: str) -> None:
        z3, ctx = self.z3, self.ctx
        if name == "clock.now":
            if self.near is not None:
                # A year is as far as people plan.
                self.solver.add(
                    z3.Implies(self.likely, z3.And(value >= self.near, value < self.near + 366 * _DAY))
                )
            return
        now = self.now()
        if zone not in self.days:
            day, minute, second, offset = (
                z3.Int(f"{part} of {zone}", ctx) for part in ("day", "minute", "second", "offset")
            )
            self.days[zone], self.offsets[zone] = day, offset
            possible = sorted({each for _, _, each in _stretches(zone, self.start, self.end)})
            self.solver.add(
                now + offset == day * _DAY + minute * 60 + second,
                minute >= 0,
                minute < 1440,
                second >= 0,
                second < 60,
                self.either([offset == each for each in possible]),
            )
        if name == "clock.time":
            self.solver.add(value == z3.Int(f"minute of {zone}", ctx))
        else:
            week = z3.Int(f"week of {zone}", ctx)
            # 1970-01-01, the day 0, was a Thursday.
            self.solver.add(self.days[zone] + 3 == week * 7 + value - 1, value >= 1, value <= 7)

    def _correct_the_clock(self) -> bool:
        """Where a zone turns its clocks the solver may have guessed the wrong offset: then it is told the right one."""
        wrong = False
        for zone, offset in self.offsets.items():
            stretches = _stretches(zone, self.start, self.end)
            if len(stretches) == 1:
                continue
            model = self.solver.model()
            at = model.eval(self.now(), model_completion=True).as_long()
            guessed = model.eval(offset, model_completion=True).as_long()
            start, end, right = next(each for each in stretches if each[0] <= at < each[1])
            if guessed != right:
                assert (zone, start) not in self.corrected, "it has been told"
                self.corrected.add((zone, start))
                now = self.now()
                self.solver.add(self.z3.Implies(self.z3.And(now >= start, now < end), offset == right))
                wrong = True
        return wrong

    # --- reading back ----------------------------------------------------------------------------------------

    def case(self, facts: Iterable[str], zone: str, offers: Mapping[str, str] | None = None) -> Case:
        """After a "yes": the case found, in these facts (the clock's are always among them).

        `offers` names, by plan, the view whose variables hold the figures of its offer.
        """
        model = self.solver.model()
        names = {name for name in facts if name not in CLOCK_FACTS}
        found: dict[str, FactValue] = {}
        for key, variable in sorted(self.variables.items()):
            if len(key) == 1 and key[0] in names:
                value = self._read(model, variable)
                if value is not None:
                    found[variable.name] = value
        found.update(clock_facts(model.eval(self.now(), model_completion=True).as_long(), zone))
        priced: dict[str, dict[str, FactValue]] = {}
        for plan, side in (offers or {}).items():
            figures: dict[str, FactValue] = {}
            for key, variable in sorted(self.variables.items()):
                if key[1:] == (side, plan):
                    value = self._read(model, variable)
                    if value is not None:
                        figures[variable.name] = value
            priced[plan] = figures
        return Case(found, priced)

    def _read(self, model: Any, variable: _Variable) -> FactValue | None:
        def of(formula: Formula) -> Any:
            return model.eval(formula, model_completion=True)

        if not self.z3.is_true(of(variable.known)):
            return None
        if variable.kind == "set":
            held = frozenset(word for word, flag in variable.members.items() if self.z3.is_true(of(flag)))
            for few, many in self.whole.get(variable.name, ()):
                if few <= held:
                    held |= many
            if not held and variable.name in _FULL_SETS:
                held = frozenset({self._stranger(len(self.names))})
            return held
        if variable.kind == "bool":
            return bool(self.z3.is_true(of(variable.value)))
        number = int(of(variable.value).as_long())
        if variable.kind in ("enum", "text"):
            return self.names[number] if number < len(self.names) else self._stranger(number)
        return number

    def _stranger(self, code: int) -> str:
        """A name that the policy does not mention."""
        number = code - len(self.names)
        name = f"another{number or ''}"
        while name in self.codes:
            name += "_"
        return name


class View:
    """One policy's conditions and rules as formulas over a space's variables."""

    def __init__(self, space: Space, policy: Policy, side: str) -> None:
        self.space, self.policy, self.side = space, policy, side
        self.shared: dict[str, str] = {}
        """By plan: the view whose figures its offer has, where its terms are the same."""
        self.outcomes: dict[tuple[str, str], Outcome] = {}

    def figures(self, plan: str) -> str:
        """The side whose variables hold the figures of the plan's offer."""
        return self.shared.get(plan, self.side)

    def fact(self, name: str, plan: str) -> _Variable:
        """The variable of a fact; the figures of an offer are each plan's own, and the time of day each zone's."""
        key: tuple[str, ...] = (name,)
        if name.startswith("offer."):
            key = (name, self.figures(plan), plan)
        elif name in CLOCK_FACTS and name != "clock.now":
            key = (name, self.policy.zone)
        return self.space.variable(key, name, self.policy.zone, self.policy.currency)

    def holds(self, condition: Condition, plan: str = "") -> tuple[Formula, Formula]:
        """When the condition is known to be true, and when it is known to be false."""
        space = self.space
        if isinstance(condition, Clause):
            return self._clause(condition, plan)
        if isinstance(condition, Not):
            true, false = self.holds(condition.part, plan)
            return false, true
        parts = [self.holds(part, plan) for part in condition.parts]
        trues, falses = [true for true, _ in parts], [false for _, false in parts]
        if isinstance(condition, All):
            return space.both(trues), space.either(falses)
        return space.either(trues), space.both(falses)

    def _clause(self, clause: Clause, plan: str) -> tuple[Formula, Formula]:
        space = self.space
        fact = self.fact(clause.fact, plan)
        known = [fact.known]
        other = None
        if clause.other is not None:
            other = self.fact(clause.other, plan)
            known.append(other.known)
        test = self._test(clause, fact, other)
        return space.both([*known, test]), space.both([*known, space.no(test)])

    def _test(self, clause: Clause, fact: _Variable, other: _Variable | None) -> Formula:
        space, op, bound = self.space, clause.op, clause.value
        if op in ("has any of", "has none of", "has all of", "lacks some of"):
            if not isinstance(bound, frozenset):
                raise TypeError(f"{clause.fact} {op} {bound!r}: expected a set of names")
            flags = [fact.members[word] for word in sorted(bound & fact.members.keys())]
            if op in ("has any of", "has none of"):
                test = space.either(flags)
                return test if op == "has any of" else space.no(test)
            # A set fact has a limit, too.
            test = space.both(flags) if len(bound) <= MAX_NAMES else space.false
            return test if op == "has all of" else space.no(test)
        if op in ("in", "not in"):
            if isinstance(bound, Range):
                test = self._inside(fact.value, bound, clause.open_end)
            elif isinstance(bound, frozenset):
                known = sorted(bound & space.codes.keys())
                test = space.either([fact.value == space.codes[word] for word in known])
            else:
                raise TypeError(f"{clause.fact} {op} {bound!r}: expected a list or a range")
            return test if op == "in" else space.no(test)
        against: Formula
        if other is not None:
            against = other.value
        elif isinstance(bound, bool):
            against = space.z3.BoolVal(bound, space.ctx)
        elif isinstance(bound, str):
            against = space.codes[bound]
        else:
            against = bound
        if op == "is":
            return fact.value == against
        if op == "is not":
            return fact.value != against
        if op == "<":
            return fact.value < against
        if op == "<=":
            return fact.value <= against
        if op == ">":
            return fact.value > against
        return fact.value >= against

    def _inside(self, value: Formula, bound: Range, open_end: bool) -> Formula:
        space = self.space
        if not open_end:
            return space.both([value >= bound.low, value <= bound.high])
        if bound.low <= bound.high:
            return space.both([value >= bound.low, value < bound.high])
        return space.either([value >= bound.low, value < bound.high])

    def in_force(self, rule: Rule) -> list[tuple[str, Formula]]:
        """The windows inside which the rule counts: what each is called, and its formula."""
        space = self.space
        found: list[tuple[str, Formula]] = []
        for name, window in (("valid", rule.valid), ("blocked", rule.blocked)):
            if window is not None:
                now = space.now()
                edges = [] if window.start is None else [now >= window.start]
                edges += [] if window.end is None else [now < window.end]
                found.append((name, space.both(edges)))
        if rule.daily is not None:
            span = Range(rule.daily.start, rule.daily.end)
            minute = self.fact("clock.time", "").value
            found.append(("daily", self._daily(minute, span)))
        return found

    def _daily(self, minute: Formula, span: Range) -> Formula:
        # As DailyWindow.holds has it: what begins and ends at one minute is the whole day.
        if span.low < span.high:
            return self.space.both([minute >= span.low, minute < span.high])
        return self.space.either([minute >= span.low, minute < span.high])

    def rule(self, rule: Rule, plan: str = "") -> Outcome:
        """What the compiled rule answers: see `fenqi.policy.compile`. `plan` is the one whose offer a priced rule looks at."""
        known = self.outcomes.get((rule.id, plan))
        if known is None:
            if plan and not any(
                name.startswith("offer.") for tree in trees_of(rule) for name in facts_of(tree)
            ):
                known = self.rule(rule)  # whichever plan is asked about
            else:
                known = self._outcome(rule, plan)
            self.outcomes[rule.id, plan] = known
        return known

    def _outcome(self, rule: Rule, plan: str) -> Outcome:
        space = self.space
        in_force = space.both(formula for _, formula in self.in_force(rule))
        when, unless = (space.true, space.false) if rule.when is None else self.holds(rule.when, plan)
        met, missed = (space.false, space.true) if rule.require is None else self.holds(rule.require, plan)
        pending: Formula = space.false
        undecided: Formula = space.false
        waiting: Formula = space.false
        if rule.pending is not None:
            waiting, _ = self.holds(rule.pending.when, plan)
            waiting = space.both([in_force, space.no(unless), waiting])
            deadline = self.fact(rule.pending.deadline, plan)
            early = space.both([deadline.known, space.now() < deadline.value])
            pending = space.both([waiting, early])
            undecided = space.both([waiting, space.no(early)])
        asked = space.both([in_force, space.no(waiting)])
        violated = space.both([asked, when, missed])
        unknown: Formula = space.false
        if rule.unknown != "allow":
            decided = space.either([unless, met, space.both([when, missed])])
            unknown = space.either([undecided, space.both([asked, space.no(decided)])])
        blocked = space.either([violated, unknown, pending])
        return Outcome(
            in_force=in_force,
            asked=space.both([in_force, when]),
            met=None if rule.require is None else met,
            violated=violated,
            unknown=unknown,
            pending=pending,
            blocked=space.literal(f"blocked {self.side}/{rule.id}/{plan}", blocked),
        )


def _words(value: object) -> frozenset[str]:
    if isinstance(value, frozenset):
        return value
    return frozenset({value}) if isinstance(value, str) else frozenset()

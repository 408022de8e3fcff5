"""Proofs: what holds of a policy in every case that can be, and not only in those that somebody thought of.

Rules that never or always block, rules that another one makes needless, rules that cannot both be met, plans that nobody
can ever be offered, amounts between two offers that have none, and what one policy takes from or gives to anybody against
another. Each finding comes with a case, and the row engine has confirmed each case before it is reported: the solver
(z3, `pip install 'fenqi[check]'`) finds, `fenqi.policy.compile` decides. What the time limit leaves open is reported as
`not_proven`, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from fenqi.money import MAX_MINOR
from fenqi.policy.cases import Answer, Case, Formula, NoSolver, Outcome, Space, View, reads_of, trees_of
from fenqi.policy.conditions import All, Clause, Condition, Not, Range, clauses_of
from fenqi.policy.facts import CLOCK_FACTS, EARLIEST, LATEST, Facts, FactValue, clock_facts
from fenqi.policy.impacts import condition_text
from fenqi.policy.snapshot import Family, Rule, selects
from fenqi.policy.verdict import decide, in_the_way
from fenqi.terms.plan import Plan
from fenqi.texts import LOCALES, Param, Text, fill

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "DEFECTS",
    "Finding",
    "Kind",
    "NoSolver",
    "PlanDifference",
    "Price",
    "Proof",
    "ProofError",
    "Watch",
    "Witness",
    "differences",
    "prove",
]

Kind = Literal[
    "never_violated",
    "only_unknown",
    "always_violated",
    "shadowed",
    "contradiction",
    "no_plan",
    "dead_plan",
    "ended_plan",
    "gap",
    "overlap",
    "not_proven",
]
"""`only_unknown`: a rule that blocks only while something is not known yet. `no_plan`: a rule about no plan. `ended_plan`: one that was
offered once and is not from now on. The others are what they are called."""

DEFECTS: Final[frozenset[Kind]] = frozenset(
    {"never_violated", "always_violated", "shadowed", "contradiction", "dead_plan", "gap"}
)
"""What is wrong with a policy, whoever wrote it. The rest is to be known."""

Price = Callable[["Policy", Plan, int, int], "Facts | None"]
"""The figures of a plan's offer (`offer.*`) for an amount at an instant; None where its terms do not fit the amount."""

Watch = Callable[[int, int], bool]
"""Told how many steps of how many are done; False to stop, and all that is left is `not_proven`."""


class ProofError(RuntimeError):
    """The solver and the row engine disagree about a case: a defect of Fenqi, never of a policy."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A case, and what the row engine says of it: which of the finding's rules block, which of its plans it offers."""

    facts: dict[str, FactValue]
    offers: dict[str, dict[str, FactValue]] = {}
    blocking: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is so in every case, said in one sentence, with cases that show it.

    `because`: the parts that together are the reason. `low_minor` and `high_minor` bound the amounts of a gap or an overlap,
    `start` and `end` (epoch seconds) the time of it, where it is not always so. `defect`: it is to be mended.
    """

    kind: Kind
    sentence: Text
    rules: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    family: str | None = None
    because: tuple[Text, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    low_minor: int | None = None
    high_minor: int | None = None
    start: int | None = None
    end: int | None = None
    defect: bool = False


class Proof(msgspec.Struct, frozen=True):
    """All findings, defects first, and how many questions the solver was asked."""

    findings: tuple[Finding, ...]
    questions: int

    @property
    def defects(self) -> tuple[Finding, ...]:
        """What is to be mended."""
        return tuple(finding for finding in self.findings if finding.defect)

    @property
    def open(self) -> tuple[Finding, ...]:
        """What could not be proven in the time given."""
        return tuple(finding for finding in self.findings if finding.kind == "not_proven")


class PlanDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy takes from a plan, and gives to it, against another: whether there is a case, and one such case."""

    plan: str
    loses: Answer
    gains: Answer
    sentences: tuple[Text, ...]
    lost: Witness | None = None
    gained: Witness | None = None


_SAYS: Final[dict[str, Text]] = {
    "never_violated": Text(
        "规则“{rule}”永远不会被违反：无论什么情况都不起作用。",
        "The rule {rule} is never violated: it does nothing in any case.",
    ),
    "only_unknown": Text(
        "规则“{rule}”只在信息未知或等待答复时才拦下：信息齐全时从不违反。",
        "The rule {rule} blocks only while something is not known yet: where everything is, it is never violated.",
    ),
    "always_violated": Text(
        "规则“{rule}”在生效期间总是拦下：没有任何情况能满足它。",
        "The rule {rule} always blocks while it is in force: nothing can meet it.",
    ),
    "shadowed": Text(
        "规则“{rule}”不单独起作用：凡是它拦下的，规则“{wider}”都已拦下。",
        "The rule {rule} decides nothing: wherever it blocks, {wider} blocks already.",
    ),
    "same": Text(
        "规则“{rule}”与“{wider}”总是同时拦下：留一条即可。",
        "The rules {rule} and {wider} always block together: one of them is enough.",
    ),
    "contradiction": Text(
        "规则“{rule}”与“{wider}”的要求不能同时满足，对象：{plans}。",
        "What the rules {rule} and {wider} require cannot both be met, of {plans}.",
    ),
    "no_plan": Text("规则“{rule}”不涉及任何方式。", "The rule {rule} is about no plan."),
    "dead_plan": Text(
        "“{plan}”在任何情况下都不会提供：{rules}不能同时满足。",
        "{plan} is never offered, in any case at any time: {rules} cannot all be met.",
    ),
    "blocked_plan": Text(
        "“{plan}”在任何情况下都不会提供：规则{rules}总是拦下。",
        "{plan} is never offered, in any case at any time: {rules} always blocks.",
    ),
    "ended_plan": Text(
        "“{plan}”从此不再提供：{rules}。", "{plan} is no longer offered from now on: {rules}."
    ),
    "gap": Text(
        "“{family}”在{low:money}至{high:money}之间没有任何期数可用，而低于和高于它的订单有。",
        "{family} offers nothing for orders from {low:money} to {high:money}, though it does below and above.",
    ),
    "overlap": Text(
        "“{family}”的两个方式（{plans}）在{low:money}至{high:money}之间重叠。",
        "Two plans of {family} ({plans}) overlap for orders from {low:money} to {high:money}.",
    ),
}
_OPEN: Final[dict[str, Text]] = {
    "never_violated": Text(
        "规则“{rule}”会不会被违反，未能证明。", "Not proven: whether the rule {rule} is ever violated."
    ),
    "always_violated": Text(
        "规则“{rule}”能不能满足，未能证明。", "Not proven: whether the rule {rule} can be met."
    ),
    "shadowed": Text(
        "规则“{rule}”是否已被其他规则包含，未能证明。",
        "Not proven: whether another rule makes {rule} needless.",
    ),
    "contradiction": Text(
        "规则“{rule}”与“{wider}”的要求能否同时满足，未能证明。",
        "Not proven: whether what {rule} and {wider} require can both be met.",
    ),
    "dead_plan": Text("“{plan}”是否会提供，未能证明。", "Not proven: whether {plan} is ever offered."),
    "priced": Text(
        "“{plan}”按其实际费用是否会提供，未能证明：试过的{count}种金额都不提供。",
        "Not proven: whether {plan} is ever offered at its own price; it is not for the {count} amounts tried.",
    ),
    "gap": Text(
        "“{family}”的可用金额之间有无空档，未能证明。",
        "Not proven: whether the amounts of {family} have a gap.",
    ),
}
_LOSES: Final[dict[tuple[str, Answer], Text]] = {
    ("loses", "yes"): Text(
        "“{plan}”：有此前可用、此后不可用的情况。", "{plan}: there are cases that lose it."
    ),
    ("loses", "no"): Text("“{plan}”：已证明没有任何情况会失去它。", "{plan}: proven: no case loses it."),
    ("loses", "unknown"): Text(
        "“{plan}”：是否有情况会失去它，未能证明。", "{plan}: not proven: whether any case loses it."
    ),
    ("gains", "yes"): Text(
        "“{plan}”：有此前不可用、此后可用的情况。", "{plan}: there are cases that gain it."
    ),
    ("gains", "no"): Text("“{plan}”：已证明没有任何情况会新得到它。", "{plan}: proven: no case gains it."),
    ("gains", "unknown"): Text(
        "“{plan}”：是否有情况会新得到它，未能证明。", "{plan}: not proven: whether any case gains it."
    ),
}
_JOIN: Final = Text("、", ", ")
_AND: Final = Text("与", " and ")
_WINDOW: Final[dict[str, Text]] = {
    "valid": Text("生效期", "its time of validity"),
    "blocked": Text("停用期", "its time of blocking"),
    "daily": Text("每日时段", "its hours of the day"),
}
_ALWAYS: Final = Text("没有条件", "it asks nothing")
_TRIES: Final = 8
_ORDER: Final[tuple[Kind, ...]] = (
    "dead_plan",
    "contradiction",
    "always_violated",
    "never_violated",
    "gap",
    "shadowed",
    "only_unknown",
    "ended_plan",
    "overlap",
    "no_plan",
    "not_proven",
)
"""So many amounts are tried at their own price before whether a plan is offered at it is left open."""


def prove(
    policy: Policy,
    *,
    start: int = EARLIEST,
    end: int = LATEST,
    near: int | None = None,
    limit_ms: int = 1_000,
    price: Price | None = None,
    watch: Watch | None = None,
) -> Proof:
    """Everything that is so of the policy in every case from `start` up to `end` (epoch seconds).

    `limit_ms` bounds each question to the solver. `near` is an instant about which cases are shown best. With `price` a plan
    counts as offered only at the price that its own terms come to. Raises `NoSolver` where z3 is not installed.
    """
    return _Prover(policy, start, end, near, limit_ms, price, watch).run()


def differences(
    before: Policy,
    after: Policy,
    *,
    start: int = EARLIEST,
    end: int = LATEST,
    near: int | None = None,
    limit_ms: int = 1_000,
    price: Price | None = None,
    watch: Watch | None = None,
) -> tuple[PlanDifference, ...]:
    """Plan by plan: is there a case from `start` up to `end` that `after` takes the plan from, or gives it to?

    "no" is proven of all cases; "yes" comes with one. Raises `NoSolver` where z3 is not installed.
    """
    return _Comparer(before, after, start, end, near, limit_ms, price, watch).run()


# ------------------------------------------------------------------------------------------------- the row engine


def _engine_bits(policy: Policy, case: Case, plan: str | None = None) -> tuple[int, int]:
    """The rules that block in a case, and those of them that are violated (not for want of a fact, not pending).

    Of priced rules those that are about `plan`; without one, those of any plan, all at the figures filed under "".
    """
    first, unknown, pending = policy.first(case.facts)
    blocked, violated = first | pending, first & ~unknown
    for index, priced in enumerate(policy.second):
        name = policy.plans[index].id
        if priced is None or (plan is not None and plan != name):
            continue
        more, open_, later = priced(case.facts, case.offers.get(name) or case.offers.get("", {}))
        blocked |= more | later
        violated |= more & ~open_
    return blocked, violated


def _ids(policy: Policy, bits: int, among: Iterable[str]) -> tuple[str, ...]:
    return tuple(rule for rule in among if bits >> policy.rule_index[rule] & 1)


def _offered(policy: Policy, case: Case, plan: str) -> bool:
    offers = {plan: case.offers.get(plan, {})}
    return decide(policy, case.facts, offers)[plan].offered


# --------------------------------------------------------------------------------------------------- the prover


class _Steps:
    """How far it is, told to whoever watches; and whether to go on."""

    def __init__(self, watch: Watch | None) -> None:
        self.watch, self.done, self.total, self.open = watch, 0, 0, True

    def __call__(self, count: int = 1) -> None:
        self.done += count
        self.going()

    def going(self) -> bool:
        if self.open and self.watch is not None:
            self.open = self.watch(self.done, self.total)
        return self.open


class _Prover:
    def __init__(
        self,
        policy: Policy,
        start: int,
        end: int,
        near: int | None,
        limit_ms: int,
        price: Price | None,
        watch: Watch | None,
    ) -> None:
        self.policy, self.start, self.end, self.price = policy, start, end, price
        self.steps = _Steps(watch)
        self.space = Space(
            [policy], start=start, end=end, near=near, limit_ms=limit_ms, going=self.steps.going
        )
        self.view: View = self.space.views[0]
        self.findings: list[Finding] = []
        self.about: dict[str, tuple[str, ...]] = {
            rule.id: tuple(plan.id for plan in policy.plans if selects(rule.applies, plan))
            for rule in policy.resolved
        }
        self.reads = {rule.id: reads_of(rule) for rule in policy.resolved}
        self.generated = frozenset(rule.id for rule in policy.resolved) - {
            rule.id for rule in policy.snapshot.rules
        }
        self.cases: list[tuple[int, int, Case]] = []
        """What was found so far, with the rules that block and are violated there: many a question is answered by them."""
        self.never: set[str] = set()
        self.plan_literals: dict[str, Formula] = {}

    def run(self) -> Proof:
        policy = self.policy
        rules = [rule for rule in policy.resolved if self.about[rule.id]]
        for rule in rules:
            self.view.rule(rule)  # so that a case found for one rule is one of all facts
        self.steps.total = 3 * len(rules) + 2 * len(policy.plans) + len(policy.families)
        for rule in policy.resolved:
            if not self.about[rule.id]:
                self._find("no_plan", "no_plan", rules=(rule.id,))
        for rule in rules:
            self._never(rule)
            self.steps()
        for rule in rules:
            self._always(rule)
            self.steps()
        for rule in rules:
            self._shadowed(rule, rules)
            self.steps()
        self._contradictions(rules)
        for plan in policy.plans:
            self._dead(plan)
            self.steps()
        for family in policy.families.values():
            self._bands(family)
            self.steps()
        self.steps.done = self.steps.total
        self.steps.going()
        order: dict[Kind, int] = {kind: number for number, kind in enumerate(_ORDER)}
        found = sorted(self.findings, key=lambda finding: (not finding.defect, order[finding.kind]))
        return Proof(tuple(found), self.space.questions)

    # --- saying --------------------------------------------------------------------------------------------

    def _find(self, kind: Kind, says: str, *, defect: bool | None = None, **parts: object) -> None:
        finding = Finding(
            kind=kind,
            sentence=self._say(_SAYS[says], parts),
            defect=kind in DEFECTS if defect is None else defect,
            **parts,  # type: ignore[arg-type]  # the fields of a finding, by their names
        )
        self.findings.append(finding)

    def _leave_open(self, what: str, **parts: object) -> None:
        count = parts.pop("count", 0)
        sentence = self._say(_OPEN[what], {**parts, "count": count})
        self.findings.append(Finding(kind="not_proven", sentence=sentence, **parts))  # type: ignore[arg-type]

    def _say(self, text: Text, parts: Mapping[str, object]) -> Text:
        return _said(self.policy, text, parts)

    # --- cases ---------------------------------------------------------------------------------------------

    def _witness(self, rules: Sequence[str], extra: Iterable[str] = ()) -> tuple[Witness, int, int]:
        """The case just found, in the facts that the rules read, and what the row engine says of it."""
        names = {name for rule in rules for name in self.reads[rule]} | set(extra)
        case = self.space.case(names, self.policy.zone, {"": self.view.side})
        figures = case.offers.get("", {})
        plan = next((plan for rule in rules for plan in self.about[rule]), None)
        read = {name: value for name, value in figures.items() if name in names}
        case = Case(case.facts, {plan: read} if plan is not None and read else {})
        blocked, violated = _engine_bits(self.policy, Case(case.facts, {"": figures}))
        witness = Witness(facts=case.facts, offers=case.offers, blocking=_ids(self.policy, blocked, rules))
        return witness, blocked, violated

    def _confirm(self, true: bool, what: str, witness: Witness) -> None:
        if not true:
            raise ProofError(f"{what}: the row engine does not agree in the case {witness.facts}")

    def _remember(self, rules: Iterable[Rule]) -> None:
        """Keep the case just found as one that answers later questions too."""
        names = {name for rule in rules for name in self.reads[rule.id]}
        case = self.space.case(names, self.policy.zone, {"": self.view.side})
        self.cases.append((*_engine_bits(self.policy, case), case))

    def _bit(self, rule: str) -> int:
        return 1 << self.policy.rule_index[rule]

    # --- rules ---------------------------------------------------------------------------------------------

    def _never(self, rule: Rule) -> None:
        """Is there a case in which it is violated?"""
        outcome = self.view.rule(rule)
        bit = self._bit(rule.id)
        if any(violated & bit for _, violated, _ in self.cases):
            return
        answer = self.space.ask(outcome.violated)
        if answer == "yes":
            self._remember(self.policy.resolved)
            if not self.cases[-1][1] & bit:
                raise ProofError(
                    f"{rule.id}: the row engine does not violate it in {self.cases[-1][2].facts}"
                )
            return
        if answer == "unknown":
            self._leave_open("never_violated", rules=(rule.id,))
            return
        if self._is_over(rule):
            self.never.add(rule.id)
            return
        because = self._because(rule)
        answer = self.space.show(outcome.blocked)
        if answer == "yes":
            witness, blocked, violated = self._witness([rule.id])
            self._confirm(bool(blocked & bit and not violated & bit), f"{rule.id} is only unknown", witness)
            self._find(
                "only_unknown", "only_unknown", rules=(rule.id,), because=because, witnesses=(witness,)
            )
            return
        if answer == "unknown":
            self._leave_open("never_violated", rules=(rule.id,))
            return
        self.never.add(rule.id)
        witnesses: tuple[Witness, ...] = ()
        # A case in which it is asked, and lets through; one at all, where it is never asked.
        for assumed in ([outcome.asked], [outcome.in_force], []):
            if self.space.show(*assumed) == "yes":
                witness, blocked, _ = self._witness([rule.id])
                self._confirm(not blocked & bit, f"{rule.id} is never violated", witness)
                witnesses = (witness,)
                break
        self._find("never_violated", "never_violated", rules=(rule.id,), because=because, witnesses=witnesses)

    def _is_over(self, rule: Rule) -> bool:
        """Whether its windows end before the time that is asked about begins: then it did its work."""
        windows = [window for window in (rule.valid, rule.blocked) if window is not None]
        starts = [window.start for window in windows if window.start is not None]
        ends = [window.end for window in windows if window.end is not None]
        if not ends or (starts and max(starts) >= min(ends)):
            return False
        return min(ends) <= self.start or (bool(starts) and max(starts) >= self.end)

    def _because(self, rule: Rule) -> tuple[Text, ...]:
        """The parts of the rule that cannot hold together, so that it is never violated."""
        parts: list[tuple[Text, Formula]] = [
            (_WINDOW[name], formula) for name, formula in self.view.in_force(rule)
        ]
        if rule.when is not None:
            for part in _conjuncts(rule.when, True):
                parts.append((self._condition(part), self.view.holds(part)[0]))
        if rule.require is not None:
            for part in _conjuncts(rule.require, False):
                parts.append((self._condition(part), self.view.holds(part)[0]))
        return self._core_of(rule, parts)

    def _core_of(self, rule: Rule, parts: list[tuple[Text, Formula]]) -> tuple[Text, ...]:
        literals = [
            self.space.literal(f"part {number} of {rule.id}", formula)
            for number, (_, formula) in enumerate(parts)
        ]
        if self.space.ask(*literals) != "no":
            return ()  # what is on its way keeps it from being violated, or the time is up
        core = self.space.core(literals) or literals
        named = {literal.get_id(): text for literal, (text, _) in zip(literals, parts, strict=True)}
        return tuple(named[literal.get_id()] for literal in core)

    def _condition(self, condition: Condition) -> Text:
        return Text(*(condition_text(self.policy, condition, locale) for locale in LOCALES))

    def _always(self, rule: Rule) -> None:
        """Is there a case in which it is in force and lets through?"""
        if rule.when is None and rule.require is None:
            return  # It says that it blocks; `_dead` asks whether that leaves anything.
        outcome = self.view.rule(rule)
        no = self.space.no
        answer = self.space.ask(outcome.in_force, no(outcome.blocked))
        if answer == "yes":
            return
        if answer == "unknown":
            self._leave_open("always_violated", rules=(rule.id,))
            return
        answer = self.space.show(outcome.in_force, outcome.blocked)
        if answer != "yes":
            if answer == "unknown":
                self._leave_open("always_violated", rules=(rule.id,))
            return  # It is never in force, which has been said.
        if (
            self.space.show(outcome.in_force, outcome.violated) != "yes"
            and self.space.show(outcome.in_force, outcome.blocked) != "yes"
        ):
            self._leave_open("always_violated", rules=(rule.id,))
            return
        witness, blocked, _ = self._witness([rule.id])
        self._confirm(bool(blocked & self._bit(rule.id)), f"{rule.id} always blocks", witness)
        self._find(
            "always_violated",
            "always_violated",
            rules=(rule.id,),
            plans=self.about[rule.id],
            because=self._unmet(rule),
            witnesses=(witness,),
        )

    def _unmet(self, rule: Rule) -> tuple[Text, ...]:
        """The parts of what it requires that cannot hold together."""
        if rule.require is None:
            return ()
        parts = [(self._condition(part), self.view.holds(part)[0]) for part in _conjuncts(rule.require, True)]
        return self._core_of(rule, parts)

    def _shadowed(self, rule: Rule, rules: Sequence[Rule]) -> None:
        """Is there another rule that blocks wherever this one does, of all its plans?"""
        if rule.id in self.never or (rule.when is None and rule.require is None):
            return
        plans = set(self.about[rule.id])
        bit = self._bit(rule.id)
        seen = [blocked for blocked, _, _ in self.cases if blocked & bit]
        wider = [
            other
            for other in rules
            if other is not rule
            # What stops a plan for a time stops it over everything else: that is its purpose.
            and (other.when is not None or other.require is not None)
            and plans <= set(self.about[other.id])
            and all(blocked & self._bit(other.id) for blocked in seen)
        ]
        mine = self.view.rule(rule).blocked
        while wider:
            passing = {other.id: self.space.no(self.view.rule(other).blocked) for other in wider}
            answer = self.space.ask(mine, *passing.values())
            if answer == "yes":
                return
            if answer == "unknown":
                self._leave_open("shadowed", rules=(rule.id,))
                return
            core = self.space.core([mine, *passing.values()])
            if core is None:
                self._leave_open("shadowed", rules=(rule.id,))
                return
            in_core = {literal.get_id() for literal in core}
            named = [other for other in wider if passing[other.id].get_id() in in_core]
            if not named:
                return  # It blocks nothing at all.
            if len(named) == 1:
                self._shadows(rule, named[0])
                return
            # Together they leave nothing to it, which is no fault of any: is one of them enough?
            alone = self._alone(mine, named)
            if alone is not None:
                self._shadows(rule, alone)
                return
            wider = [other for other in wider if other not in named]

    def _alone(self, mine: Formula, others: Sequence[Rule]) -> Rule | None:
        for other in others:
            if self.space.ask(mine, self.space.no(self.view.rule(other).blocked)) == "no":
                return other
        return None

    def _shadows(self, rule: Rule, wider: Rule) -> None:
        mine, theirs = self.view.rule(rule).blocked, self.view.rule(wider).blocked
        no = self.space.no
        both = [rule.id, wider.id]
        same = set(self.about[rule.id]) == set(self.about[wider.id])
        answer = self.space.show(theirs, no(mine))
        if answer == "unknown":
            self._leave_open("shadowed", rules=(rule.id,))
            return
        witnesses: list[Witness] = []
        if answer == "yes":
            same = False
            witness, blocked, _ = self._witness(both)
            self._confirm(_ids(self.policy, blocked, both) == (wider.id,), f"{wider.id} is wider", witness)
            witnesses.append(witness)
        if same and any(
            finding.kind == "shadowed" and set(finding.rules) == set(both) for finding in self.findings
        ):
            return
        # Rather one who does not meet it than one of whom it is not known.
        violated = self.view.rule(rule).violated
        if self.space.show(violated) == "yes" or self.space.show(mine) == "yes":
            witness, blocked, _ = self._witness(both)
            self._confirm(_ids(self.policy, blocked, both) == tuple(both), f"{rule.id} is shadowed", witness)
            witnesses.append(witness)
        self._find(
            "shadowed",
            "same" if same else "shadowed",
            rules=(rule.id, wider.id),
            plans=self.about[rule.id],
            witnesses=tuple(witnesses),
            # A limit of an agreement, and the law, stay on record whatever the shop itself asks beside them.
            defect=rule.id not in self.generated and (rule.layer != "law" or wider.layer == "law"),
        )

    def _contradictions(self, rules: Sequence[Rule]) -> None:
        """Two rules about one plan whose requirements nothing meets, though each alone can be met."""
        asking = [rule for rule in rules if rule.require is not None and rule.id not in self.never]
        for one, other in combinations(asking, 2):
            plans = tuple(plan for plan in self.about[one.id] if plan in self.about[other.id])
            if not plans or not _linked(self.reads[one.id], self.reads[other.id]):
                continue
            self._contradiction(one, other, plans)

    def _contradiction(self, one: Rule, other: Rule, plans: tuple[str, ...]) -> None:
        mine, theirs = self.view.rule(one), self.view.rule(other)
        asked = [mine.asked, theirs.asked]
        answer = self.space.ask(*asked, mine.met, theirs.met)
        if answer == "yes":
            return
        witnesses: list[Witness] = []
        if answer == "no":
            both = [one.id, other.id]
            for meets, fails, failing in ((mine, theirs, other.id), (theirs, mine, one.id)):
                answer = self.space.show(*asked, meets.met, fails.blocked)
                if answer == "no":
                    return  # One of them cannot be met by itself, or is not even asked beside the other.
                if answer == "unknown":
                    break
                witness, blocked, _ = self._witness(both)
                self._confirm(failing in _ids(self.policy, blocked, both), "a contradiction", witness)
                witnesses.append(witness)
        if answer == "unknown":
            self._leave_open("contradiction", rules=(one.id, other.id))
            return
        self._find(
            "contradiction",
            "contradiction",
            rules=(one.id, other.id),
            plans=plans,
            witnesses=tuple(witnesses),
        )

    # --- plans ---------------------------------------------------------------------------------------------

    def _rules_of(self, plan: str) -> list[Rule]:
        return [rule for rule in self.policy.resolved if plan in self.about[rule.id]]

    def _outcomes(self, plan: Plan) -> dict[str, Outcome]:
        """What each rule about the plan says at the plan's own offer, whose number of instalments is known."""
        outcomes = {rule.id: self.view.rule(rule, plan.id) for rule in self._rules_of(plan.id)}
        if "offer.periods" in {name for rule in outcomes for name in self.reads[rule]}:
            periods = self.view.fact("offer.periods", plan.id)
            self.space.solver.add(periods.value == plan.periods)
        return outcomes

    def _dead(self, plan: Plan) -> None:
        """Is there a case in which it is offered?"""
        outcomes = self._outcomes(plan)
        passing = {rule: self.space.no(outcome.blocked) for rule, outcome in outcomes.items()}
        reached = self._reached(plan, list(passing.values()))
        if reached != "no":
            return
        core = self.space.core(list(passing.values()))
        if core is None:
            self._leave_open("dead_plan", plans=(plan.id,))
            return
        in_core = {literal.get_id() for literal in core}
        rules = [rule for rule in passing if passing[rule].get_id() in in_core]
        witnesses = tuple(self._but_one(plan, outcomes, rules, left) for left in rules)
        found = tuple(witness for witness in witnesses if witness is not None)
        if self._was_alive(plan):
            self._find("ended_plan", "ended_plan", plans=(plan.id,), rules=tuple(rules), witnesses=found)
            return
        self._find(
            "dead_plan",
            "blocked_plan" if len(rules) == 1 else "dead_plan",
            plans=(plan.id,),
            rules=tuple(rules),
            witnesses=found,
        )

    def _reached(self, plan: Plan, passing: Sequence[Formula]) -> Answer:
        """Whether a case is offered the plan; with `price`, at what the plan really costs. Says itself what it leaves open."""
        names = {name for rule in self._rules_of(plan.id) for name in self.reads[rule.id]}
        priced = self.price is not None and any(name.startswith("offer.") for name in names)
        tries = _Tries(self.space, passing)
        while len(tries.amounts) < _TRIES:
            answer = tries.ask()
            if answer == "no":
                return answer
            if answer == "unknown":
                break
            case = self.space.case({*names, "cart.amount"}, self.policy.zone, {plan.id: self.view.side})
            if not _offered(self.policy, case, plan.id):
                raise ProofError(f"{plan.id}: the row engine does not offer it in {case.facts}")
            if not priced:
                return answer
            figures = _real(self.price, self.policy, plan.id, case.facts)
            if figures is not None and _offered(self.policy, Case(case.facts, {plan.id: figures}), plan.id):
                return answer
            tries.avoid(case.facts)
        if tries.amounts:
            self._leave_open("priced", plans=(plan.id,), count=len(tries.amounts))
        else:
            self._leave_open("dead_plan", plans=(plan.id,))
        return "unknown"

    def _but_one(
        self, plan: Plan, outcomes: Mapping[str, Outcome], core: Sequence[str], left: str
    ) -> Witness | None:
        """A case that these rules but one, and if possible all others, let through: that one stands in the way, always."""
        no = self.space.no
        for others in (outcomes, core):
            passing = [no(outcomes[rule].blocked) for rule in others if rule != left]
            if self.space.show(outcomes[left].blocked, *passing) == "yes":
                break
        else:
            return None
        names = {name for rule in outcomes for name in self.reads[rule]}
        case = self.space.case(names, self.policy.zone, {plan.id: self.view.side})
        blocked, _ = _engine_bits(self.policy, case, plan.id)
        blocking = _ids(self.policy, blocked, core)
        witness = Witness(facts=case.facts, offers=_figures(case), blocking=blocking)
        self._confirm(
            blocking == (left,) and not _offered(self.policy, case, plan.id),
            f"{plan.id} is never offered",
            witness,
        )
        return witness

    def _was_alive(self, plan: Plan) -> bool:
        """Whether it was offered at some time before that which is asked about."""
        if self.start <= EARLIEST:
            return False
        space = Space([self.policy], limit_ms=self.space.limit_ms, going=self.space.going)
        view = space.views[0]
        return space.ask(*(space.no(view.rule(r, plan.id).blocked) for r in self._rules_of(plan.id))) == "yes"

    # --- amounts -------------------------------------------------------------------------------------------

    def _bands(self, family: Family) -> None:
        """Between which amounts, that are offered something, is nothing offered? Looked at in each stretch of time."""
        plans = [plan for plan in self.policy.plans if plan.family == family.id]
        rules = list({rule.id: rule for plan in plans for rule in self._rules_of(plan.id)}.values())
        if not any("cart.amount" in self.reads[rule.id] for rule in rules):
            return
        bands = _Bands(self, family, plans, rules)
        for start, end in self._stretches(rules):
            if not bands.look(start, end):
                self._leave_open("gap", family=family.id, plans=tuple(plan.id for plan in plans))
                return
        bands.tell()

    def _stretches(self, rules: Sequence[Rule]) -> list[tuple[int, int]]:
        """The times between the dated instants of these rules."""
        edges = {
            edge
            for rule in rules
            for edge in self.policy.timings[self.policy.rule_index[rule.id]].dated
            if self.start < edge < self.end
        }
        marks = [self.start, *sorted(edges), self.end]
        return list(pairwise(marks))


class _Bands:
    """The amounts for which a family's plans are offered, as pieces within which no rule changes its mind."""

    def __init__(self, prover: _Prover, family: Family, plans: Sequence[Plan], rules: Sequence[Rule]) -> None:
        self.prover, self.family, self.plans, self.rules = prover, family, plans, rules
        self.policy, self.space = prover.policy, prover.space
        self.names = {name for rule in rules for name in prover.reads[rule.id]} | {"cart.amount"}
        self.pieces = _pieces(rules)
        self.amount = self.space.variable(("cart.amount",), "cart.amount", "", "").value
        no = self.space.no
        self.offered = {
            plan.id: self.space.literal(
                f"offered {plan.id}",
                self.space.both(no(outcome.blocked) for outcome in prover._outcomes(plan).values()),
            )
            for plan in plans
        }
        self.anything = self.space.literal(
            f"anything of {family.id}", self.space.either(self.offered.values())
        )
        self.gaps: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self.overlaps: dict[tuple[str, str, int, int], tuple[int, int]] = {}
        self.alive: list[tuple[int, int]] = []

    def look(self, start: int, end: int) -> bool:
        """Find what is offered from `start` up to `end`; False where the time was up."""
        now = self.space.now()
        then = self.space.literal("then", self.space.both([now >= start, now < end]))
        of_plan: dict[str, set[int]] = {}
        for plan in self.plans:
            found = self._offered(plan, then)
            if found is None:
                return False
            of_plan[plan.id] = found
        somewhere = sorted(set[int]().union(*of_plan.values()))
        if not somewhere:
            return True
        self.alive.append((start, end))
        for below, above in pairwise(somewhere):
            if above > below + 1:
                gap = (self.pieces[below][1] + 1, self.pieces[above][0] - 1)
                self.gaps.setdefault(gap, []).append((start, end))
        for one, other in combinations(sorted(of_plan, key=lambda plan: min(of_plan[plan], default=0)), 2):
            mine, theirs = of_plan[one], of_plan[other]
            if mine and theirs and min(mine) < min(theirs) <= max(mine) < max(theirs):
                low, high = self.pieces[min(theirs)][0], self.pieces[max(mine)][1]
                self.overlaps.setdefault((one, other, low, high), (start, end))
        return True

    def _offered(self, plan: Plan, then: Formula) -> set[int] | None:
        """The pieces for which the plan is offered to somebody."""
        left = set(range(len(self.pieces)))
        found: set[int] = set()
        while left:
            inside = self.space.literal("inside", self._within(left))
            answer = self.space.ask(self.offered[plan.id], then, inside)
            if answer == "no":
                return found
            if answer == "unknown":
                return None
            case = self._case()
            at = case.facts["cart.amount"]
            assert type(at) is int, "an amount is always known"
            if not self._is_offered(case, plan.id, at):
                raise ProofError(f"{plan.id}: the row engine does not offer it in {case.facts}")
            # What holds of one amount of a piece holds of all. The same facts may do for other pieces too.
            here = {
                number
                for number in left
                if self.pieces[number][0] <= at <= self.pieces[number][1]
                or self._is_offered(case, plan.id, self.pieces[number][0])
            }
            found |= here
            left -= here
        return found

    def _within(self, pieces: Iterable[int]) -> Formula:
        """The amount is in one of these pieces, those side by side as one."""
        runs: list[list[int]] = []
        for number in sorted(pieces):
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        return self.space.either(
            self.space.both([self.amount >= self.pieces[first][0], self.amount <= self.pieces[last][1]])
            for first, last in runs
        )

    def _case(self) -> Case:
        side = self.prover.view.side
        return self.space.case(self.names, self.policy.zone, {plan.id: side for plan in self.plans})

    def _is_offered(self, case: Case, plan: str, amount: int) -> bool:
        blocked, _ = _engine_bits(self.policy, Case({**case.facts, "cart.amount": amount}, case.offers), plan)
        rules = (rule.id for rule in self.rules if plan in self.prover.about[rule.id])
        return not any(blocked >> self.policy.rule_index[rule] & 1 for rule in rules)

    def tell(self) -> None:
        """Report the gaps and the overlaps, each with cases."""
        for (low, high), times in self.gaps.items():
            always = times == self.alive
            self.prover._find(
                "gap",
                "gap",
                family=self.family.id,
                plans=tuple(plan.id for plan in self.plans),
                low_minor=low,
                high_minor=high,
                start=None if always or times[0][0] == self.prover.start else times[0][0],
                end=None if always or times[-1][1] == self.prover.end else times[-1][1],
                witnesses=self._around(low, high, *times[0]),
            )
        for (one, other, low, high), (start, end) in self.overlaps.items():
            now = self.space.now()
            both = self.space.literal(
                "both",
                self.space.both([self.amount >= low, self.amount <= high, now >= start, now < end]),
            )
            if self.space.show(self.offered[one], self.offered[other], both) == "yes":
                witness = self._said(self._case())
                self.prover._confirm({one, other} <= set(witness.offered), "an overlap", witness)
                self.prover._find(
                    "overlap",
                    "overlap",
                    family=self.family.id,
                    plans=(one, other),
                    low_minor=low,
                    high_minor=high,
                    witnesses=(witness,),
                )

    def _around(self, low: int, high: int, start: int, end: int) -> tuple[Witness, ...]:
        """A case just below the gap, the same inside it, and one just above."""
        now = self.space.now()
        found: list[Witness] = []
        for amount in (low - 1, high + 1):
            there = self.space.literal(
                "there", self.space.both([self.amount == amount, now >= start, now < end])
            )
            if self.space.show(self.anything, there) != "yes":
                continue
            case = self._case()
            witness = self._said(case)
            self.prover._confirm(bool(witness.offered), "an amount beside a gap", witness)
            found.append(witness)
            if amount < low:
                inside = self._said(Case({**case.facts, "cart.amount": low}, case.offers))
                self.prover._confirm(not inside.offered, "a gap", inside)
                found.append(inside)
        return tuple(found)

    def _said(self, case: Case) -> Witness:
        """What the row engine says of a case; at what the plans really cost, where that is the same answer."""
        shown = self._answer(case)
        real = {
            plan.id: _real(self.prover.price, self.policy, plan.id, case.facts)
            for plan in self.plans
            if case.offers.get(plan.id)
        }
        if real and all(real.values()):
            told = self._answer(
                Case(
                    case.facts,
                    {
                        plan: {name: value for name, value in figures.items() if name in self.names}
                        for plan, figures in real.items()
                        if figures is not None
                    },
                )
            )
            if told.offered == shown.offered:
                return told
        return shown

    def _answer(self, case: Case) -> Witness:
        blocked = 0
        for plan in self.plans:
            about = sum(1 << self.policy.rule_index[rule.id] for rule in self.prover._rules_of(plan.id))
            blocked |= _engine_bits(self.policy, case, plan.id)[0] & about
        return Witness(
            facts=case.facts,
            offers=_figures(case),
            blocking=_ids(self.policy, blocked, [rule.id for rule in self.rules]),
            offered=tuple(plan.id for plan in self.plans if _offered(self.policy, case, plan.id)),
        )


def _pieces(rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """Amounts in stretches within which every rule says the same, whatever the facts are that it is compared with."""
    clauses = [clause for rule in rules for tree in trees_of(rule) for clause in clauses_of(tree)]
    together, grown = {"cart.amount"}, True
    while grown:
        grown = False
        for clause in clauses:
            pair = {clause.fact, clause.other or clause.fact}
            if not pair.isdisjoint(together) and not pair <= together:
                together |= pair
                grown = True
    edges = {0, MAX_MINOR}
    for clause in clauses:
        if clause.fact in together:
            if isinstance(clause.value, Range):
                edges |= {clause.value.low, clause.value.high}
            elif type(clause.value) is int:
                edges.add(clause.value)
    # So many whole numbers beside an edge may be needed to keep that many facts apart from each other.
    room = len(together) + 1
    marks = sorted(
        {at for edge in edges for at in range(edge - room, edge + room + 1) if 1 <= at <= MAX_MINOR}
    )
    found: list[tuple[int, int]] = []
    for mark in marks:
        if found and mark > found[-1][1] + 1:
            found.append((found[-1][1] + 1, mark - 1))
        found.append((mark, mark))
    return found


def _figures(case: Case) -> dict[str, dict[str, FactValue]]:
    return {plan: figures for plan, figures in case.offers.items() if figures}


_TIED: Final[dict[str, str]] = {
    **dict.fromkeys(CLOCK_FACTS, "clock.now"),
    **dict.fromkeys(("cart.kinds", "cart.categories", "cart.sellers", "cart.skus"), "cart.line_count"),
}
"""What belongs together without being the same fact."""


def _linked(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether the rules that read these facts can have to do with each other at all."""
    return not {_TIED.get(name, name) for name in one}.isdisjoint(_TIED.get(name, name) for name in other)


def _conjuncts(condition: Condition, wanted: bool) -> list[Condition]:
    """Conditions that all have to be true for this one to be `wanted`."""
    if isinstance(condition, Not):
        return _conjuncts(condition.part, not wanted)
    if not isinstance(condition, Clause) and isinstance(condition, All) is wanted:
        return [each for part in condition.parts for each in _conjuncts(part, wanted)]
    return [condition if wanted else Not(condition)]


def _said(policy: Policy, text: Text, parts: Mapping[str, object]) -> Text:
    """The text in both languages, with the rules, plans, family and amounts of a finding in its gaps."""
    rules, plans = parts.get("rules", ()), parts.get("plans", ())
    assert isinstance(rules, tuple), "a finding's rules"
    assert isinstance(plans, tuple), "a finding's plans"
    family = parts.get("family")
    said: list[str] = []
    for locale in LOCALES:
        join = _JOIN.in_(locale)
        listed = [f"“{rule}”" if locale == "zh-CN" else rule for rule in rules]
        params: dict[str, Param] = {
            "rule": rules[0] if rules else "",
            "wider": rules[-1] if rules else "",
            "rules": join.join(listed),
            "plan": plans[0] if plans else "",
            "plans": join.join(plans),
        }
        if isinstance(family, str):
            params["family"] = policy.families[family].name
        for gap, name in (("low", "low_minor"), ("high", "high_minor"), ("count", "count")):
            value = parts.get(name)
            if type(value) is int:
                params[gap] = value
        said.append(fill(text, params, locale, currency=policy.currency, zone=policy.zone))
    return Text(*said)


# --------------------------------------------------------------------------------------------------- two policies


class _Comparer:
    """Two policies over the same cases; each plan's offer has figures of its own under each."""

    def __init__(
        self,
        before: Policy,
        after: Policy,
        start: int,
        end: int,
        near: int | None,
        limit_ms: int,
        price: Price | None,
        watch: Watch | None,
    ) -> None:
        self.before, self.after, self.price = before, after, price
        self.steps = _Steps(watch)
        self.differing = {
            name
            for name, fact in before.vocabulary.items()
            if name in after.vocabulary and after.vocabulary[name].type != fact.type
        }
        self.space = Space(
            [before, after], start=start, end=end, near=near, limit_ms=limit_ms, going=self.steps.going
        )
        same = (before.zone, before.currency, before.calendars) == (
            after.zone,
            after.currency,
            after.calendars,
        )
        if same:
            for plan in before.plans:
                # The same terms come to the same price.
                if plan.id in after.plan_index and after.plan(plan.id) == plan:
                    self.space.views[1].shared[plan.id] = self.space.views[0].side

    def run(self) -> tuple[PlanDifference, ...]:
        plans = list(dict.fromkeys(plan.id for policy in (self.before, self.after) for plan in policy.plans))
        self.steps.total = 2 * len(plans)
        found: list[PlanDifference] = []
        for plan in plans:
            loses, lost = self._moves(plan, 0, 1)
            self.steps()
            gains, gained = self._moves(plan, 1, 0)
            self.steps()
            sentences = tuple(
                _said(self.after, _LOSES[which, answer], {"plans": (plan,)})
                for which, answer in (("loses", loses), ("gains", gains))
            )
            found.append(
                PlanDifference(
                    plan=plan, loses=loses, gains=gains, sentences=sentences, lost=lost, gained=gained
                )
            )
        return tuple(found)

    def _moves(self, plan: str, had: int, has: int) -> tuple[Answer, Witness | None]:
        """Is there a case in which the one policy offers the plan and the other does not?"""
        policies = (self.before, self.after)
        if plan not in policies[had].plan_index:
            return "no", None
        names: set[str] = set()
        assumed: list[Formula] = []
        blocked: list[Formula] = []
        for side in (had, has):
            policy, view = policies[side], self.space.views[side]
            if plan not in policy.plan_index:
                continue
            rules = [rule for rule in policy.resolved if selects(rule.applies, policy.plan(plan))]
            names |= {name for rule in rules for name in reads_of(rule)}
            if names & self.differing:
                return "unknown", None
            outcomes = [view.rule(rule, plan).blocked for rule in rules]
            if side == had:
                assumed += [self.space.no(each) for each in outcomes]
            else:
                blocked = outcomes
            if "offer.periods" in names:
                self.space.solver.add(view.fact("offer.periods", plan).value == policy.plan(plan).periods)
        if plan in policies[has].plan_index:
            if not blocked:
                return "no", None
            assumed.append(self.space.literal("blocked by any", self.space.either(blocked)))
        return self._shown(plan, had, has, names, assumed)

    def _shown(
        self, plan: str, had: int, has: int, names: set[str], assumed: list[Formula]
    ) -> tuple[Answer, Witness | None]:
        policies = (self.before, self.after)
        priced = self.price is not None and any(name.startswith("offer.") for name in names)
        tries = _Tries(self.space, assumed)
        while len(tries.amounts) < _TRIES:
            answer = tries.ask()
            if answer != "yes":
                return answer, None
            facts = self.space.case({*names, "cart.amount"}, policies[had].zone).facts
            figures: list[dict[str, FactValue] | None] = [
                self.space.case((), view.policy.zone, {plan: view.figures(plan)}).offers[plan]
                for view in self.space.views
            ]
            if not self._differs(plan, had, has, facts, figures):
                raise ProofError(f"{plan}: the row engine does not agree in {facts} at {figures}")
            if priced:
                figures = [_real(self.price, policy, plan, facts) for policy in policies]
                if not self._differs(plan, had, has, facts, figures):
                    tries.avoid(facts)
                    continue
            return "yes", self._witness(plan, had, has, facts, figures, names)
        return "unknown", None

    def _differs(
        self,
        plan: str,
        had: int,
        has: int,
        facts: Mapping[str, FactValue],
        offers: Sequence[dict[str, FactValue] | None],
    ) -> bool:
        """What the row engine says: offered by the one, and not by the other."""
        return self._offers(plan, had, facts, offers[had]) and not self._offers(plan, has, facts, offers[has])

    def _offers(
        self, plan: str, side: int, facts: Mapping[str, FactValue], offer: dict[str, FactValue] | None
    ) -> bool:
        policy = (self.before, self.after)[side]
        if plan not in policy.plan_index or offer is None:
            return False
        return _offered(policy, Case(_in_zone(facts, policy), {plan: offer}), plan)

    def _witness(
        self,
        plan: str,
        had: int,
        has: int,
        facts: dict[str, FactValue],
        figures: Sequence[dict[str, FactValue] | None],
        names: set[str],
    ) -> Witness:
        policy = (self.before, self.after)[has]
        blocking: tuple[str, ...] = ()
        if plan in policy.plan_index:
            rules = in_the_way(policy, _in_zone(facts, policy), plan, figures[has] or {})
            blocking = tuple(rule.id for rule in rules)
        offer = {name: value for name, value in (figures[had] or {}).items() if name in names}
        shown = {name: value for name, value in facts.items() if name in names or name in CLOCK_FACTS}
        return Witness(facts=shown, offers={plan: offer} if offer else {}, blocking=blocking)


def _in_zone(facts: Mapping[str, FactValue], policy: Policy) -> dict[str, FactValue]:
    """The same facts at the same instant, with the time of day of the policy's own zone."""
    now = facts["clock.now"]
    assert type(now) is int, "a case has an instant"
    return {**facts, **clock_facts(now, policy.zone)}


def _real(
    price: Price | None, policy: Policy, plan: str, facts: Mapping[str, FactValue]
) -> dict[str, FactValue] | None:
    """The figures that the plan's own terms come to in a case; None where it is not there, or cannot be priced."""
    amount, now = facts["cart.amount"], facts["clock.now"]
    assert type(amount) is int, "a case has an amount"
    assert type(now) is int, "a case has an instant"
    if price is None or plan not in policy.plan_index:
        return None
    figures = price(policy, policy.plan(plan), amount, now)
    return None if figures is None else dict(figures)


class _Tries:
    """One question over and over, each time at another amount, because at some the price may be an odd one."""

    def __init__(self, space: Space, assumed: Sequence[Formula]) -> None:
        self.space, self.assumed = space, list(assumed)
        self.amount = space.variable(("cart.amount",), "cart.amount", "", "").value
        self.amounts: list[int] = []

    def ask(self) -> Answer:
        """Only the first answer can be "no": later ones are about what is left."""
        if not self.amounts:
            return self.space.show(*self.assumed)
        # Of an ordinary size, each twice the one before.
        hoped = self.space.literal("hoped", self.amount >= 10_000 << len(self.amounts))
        for more in ([hoped], []):
            if self.space.show(*self.assumed, *more) == "yes":
                return "yes"
        return "unknown"

    def avoid(self, facts: Mapping[str, FactValue]) -> None:
        """Not at this amount again."""
        at = facts["cart.amount"]
        assert type(at) is int, "a case has an amount"
        self.amounts.append(at)
        self.assumed.append(self.space.literal(f"not {at}", self.amount != at))

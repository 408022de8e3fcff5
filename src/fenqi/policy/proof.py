"""Proofs: what holds of a policy in every case that can be, and not only in those that somebody thought of.

Rules that never or always block, rules that another one makes needless, rules that cannot both be met, plans that nobody
can ever be offered, amounts between two offers that have none, and what one policy takes from or gives to anybody against
another. Each finding comes with a case, and the row engine has confirmed each case before it is reported: the solver
(z3, `pip install 'fenqi[check]'`) finds, `fenqi.policy.compile` decides. What the time limit leaves open is reported as
`not_proven`, never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from fenqi.policy.bands import Band, Bands
from fenqi.policy.cases import Answer, Case, Formula, NoSolver, Outcome, Space, View, reads_of
from fenqi.policy.conditions import All, Clause, Condition, Not, evaluate_plain
from fenqi.policy.facts import CLOCK_FACTS, EARLIEST, LATEST, Facts
from fenqi.policy.impacts import condition_text
from fenqi.policy.snapshot import Family, Rule, selects
from fenqi.policy.witness import (
    TRIES,
    Price,
    ProofError,
    Steps,
    Tries,
    Watch,
    Witness,
    answer_text,
    bits_in,
    blocking_in,
    facts_text,
    figures_of,
    is_offered,
    real_figures,
    said_of,
)
from fenqi.terms.plan import Plan
from fenqi.texts import LOCALES, Text

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "DEFECTS",
    "Finding",
    "Kind",
    "NoSolver",
    "Price",
    "Proof",
    "ProofError",
    "Watch",
    "Witness",
    "case_text",
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
        "规则“{rule}”的要求能否与其他规则（如“{wider}”）的同时满足，未能证明。",
        "Not proven: whether what {rule} requires can be met beside other rules, such as {wider}.",
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


_WINDOW: Final[dict[str, Text]] = {
    "valid": Text("生效期", "its time of validity"),
    "blocked": Text("停用期", "its time of blocking"),
    "daily": Text("每日时段", "its hours of the day"),
}
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


def case_text(policy: Policy, finding: Finding, witness: Witness, locale: str) -> str:
    """A case of a finding in one line: the facts that its rules look at, and what the row engine said."""
    rules = {*finding.rules, *witness.blocking}
    names = {name for rule in rules for name in reads_of(policy.resolved[policy.rule_index[rule]])}
    if finding.low_minor is not None:
        names = {"cart.amount"}
    said = facts_text(policy, witness.facts, names, locale)
    for plan, figures in witness.offers.items():
        said += [f"{plan}: {each}" for each in facts_text(policy, figures, names & figures.keys(), locale)]
    return f"{', '.join(said) or '-'}: {answer_text(policy, witness, locale)}"


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
        self.steps = Steps(watch)
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
        self.of_plan: dict[str, int] = {}
        """By plan: the rules about it, as bits."""
        for rule in policy.resolved:
            for plan in self.about[rule.id]:
                self.of_plan[plan] = self.of_plan.get(plan, 0) | self._bit(rule.id)

    def run(self) -> Proof:
        policy = self.policy
        rules = [rule for rule in policy.resolved if self.about[rule.id]]
        for rule in rules:
            self.view.rule(rule)  # so that a case found for one rule is one of all facts
        self.steps.total = 4 * len(rules) + len(policy.plans) + len(policy.families)
        for rule in policy.resolved:
            if not self.about[rule.id]:
                self._find("no_plan", "no_plan", rules=(rule.id,))
        for rule in rules:
            self._never(rule)
            self.steps()
        for rule in rules:
            self._always(rule)
            self.steps()
        # What stops a plan for a time stops it over everything else: that is its purpose, and shadows nothing.
        conditional = sum(
            self._bit(rule.id) for rule in rules if rule.when is not None or rule.require is not None
        )
        for rule in rules:
            self._shadowed(rule, conditional)
            self.steps()
        asking = [rule for rule in rules if rule.require is not None and rule.id not in self.never]
        together = _Together(self, asking)
        for rule in asking:
            self._contradictions(rule, together)
        self.steps(len(rules))
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
        return said_of(self.policy, text, parts)

    # --- cases ---------------------------------------------------------------------------------------------

    def _witness(self, rules: Sequence[str], extra: Iterable[str] = ()) -> tuple[Witness, int, int]:
        """The case just found, in the facts that the rules read, and what the row engine says of it."""
        names = {name for rule in rules for name in self.reads[rule]} | set(extra)
        case = self.space.case(names, self.policy.zone, {"": self.view.side})
        figures = case.offers.get("", {})
        plan = next((plan for rule in rules for plan in self.about[rule]), None)
        read = {name: value for name, value in figures.items() if name in names}
        case = Case(case.facts, {plan: read} if plan is not None and read else {})
        blocked, violated = bits_in(self.policy, Case(case.facts, {"": figures}))
        witness = Witness(
            facts=case.facts, offers=case.offers, blocking=blocking_in(self.policy, blocked, rules)
        )
        return witness, blocked, violated

    def _confirm(self, true: bool, what: str, witness: Witness) -> None:
        if not true:
            raise ProofError(f"{what}: the row engine does not agree in the case {witness.facts}")

    def _remember(self) -> None:
        """Keep the case just found, in all facts, as one that answers later questions too."""
        case = self._whole_case()
        self.cases.append((*bits_in(self.policy, case), case))

    def _whole_case(self) -> Case:
        names = frozenset[str]().union(*self.reads.values())
        return self.space.case(names, self.policy.zone, {"": self.view.side})

    def _rules_in(self, bits: int) -> list[Rule]:
        found = []
        while bits:
            bit = bits & -bits
            bits ^= bit
            found.append(self.policy.resolved[bit.bit_length() - 1])
        return found

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
            self._remember()
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

    def _shadowed(self, rule: Rule, conditional: int) -> None:
        """Is there another rule, out of these, that blocks wherever this one does, of all its plans?"""
        if rule.id in self.never or (rule.when is None and rule.require is None):
            return
        bit = self._bit(rule.id)
        bits = conditional & ~bit
        for plan in self.about[rule.id]:
            bits &= self.of_plan[plan]
        for blocked, _, _ in self.cases:
            if blocked & bit:
                bits &= blocked
        wider = self._rules_in(bits)
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
            self._confirm(
                blocking_in(self.policy, blocked, both) == (wider.id,), f"{wider.id} is wider", witness
            )
            witnesses.append(witness)
        if same and any(
            finding.kind == "shadowed" and set(finding.rules) == set(both) for finding in self.findings
        ):
            return
        # Rather one who does not meet it than one of whom it is not known.
        violated = self.view.rule(rule).violated
        if self.space.show(violated) == "yes" or self.space.show(mine) == "yes":
            witness, blocked, _ = self._witness(both)
            self._confirm(
                blocking_in(self.policy, blocked, both) == tuple(both), f"{rule.id} is shadowed", witness
            )
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

    def _contradictions(self, rule: Rule, together: _Together) -> None:
        """Which later rules about the same plans cannot be met with this one, though each alone can be?"""
        left_open: tuple[str, ...] = ()
        mine = self.view.rule(rule)
        for other in together.unseen(rule):
            if together.known(rule, other):
                continue
            theirs = self.view.rule(other)
            answer = self.space.ask(mine.asked, theirs.asked, mine.met, theirs.met)
            if answer == "yes":
                together.learn(self._whole_case())
            elif answer == "unknown" or not self._contradict(rule, other):
                left_open = (rule.id, other.id)
        if left_open:
            # One is enough to say that it is open.
            self._leave_open("contradiction", rules=left_open)

    def _contradict(self, one: Rule, other: Rule) -> bool:
        """They cannot both be met where both are asked: report it, if each alone can be. False where the time was up."""
        mine, theirs = self.view.rule(one), self.view.rule(other)
        both = [one.id, other.id]
        witnesses: list[Witness] = []
        for meets, fails, failing in ((mine, theirs, other.id), (theirs, mine, one.id)):
            answer = self.space.show(mine.asked, theirs.asked, meets.met, fails.blocked)
            if answer != "yes":
                # Where there is none, one of them cannot be met by itself, or is not even asked beside the other.
                return answer == "no"
            witness, blocked, _ = self._witness(both)
            self._confirm(failing in blocking_in(self.policy, blocked, both), "a contradiction", witness)
            witnesses.append(witness)
        self._find(
            "contradiction",
            "contradiction",
            rules=(one.id, other.id),
            plans=tuple(plan for plan in self.about[one.id] if plan in self.about[other.id]),
            witnesses=tuple(witnesses),
        )
        return True

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
        tries = Tries(self.space, passing)
        while len(tries.amounts) < TRIES:
            answer = tries.ask()
            if answer == "no":
                return answer
            if answer == "unknown":
                break
            case = self.space.case({*names, "cart.amount"}, self.policy.zone, {plan.id: self.view.side})
            if not is_offered(self.policy, case, plan.id):
                raise ProofError(f"{plan.id}: the row engine does not offer it in {case.facts}")
            if not priced:
                return answer
            figures = real_figures(self.price, self.policy, plan.id, case.facts)
            if figures is not None and is_offered(self.policy, Case(case.facts, {plan.id: figures}), plan.id):
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
        blocked, _ = bits_in(self.policy, case, plan.id)
        blocking = blocking_in(self.policy, blocked, core)
        witness = Witness(facts=case.facts, offers=figures_of(case), blocking=blocking)
        self._confirm(
            blocking == (left,) and not is_offered(self.policy, case, plan.id),
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
        """Between which amounts, that are offered something, is nothing offered?"""
        plans = [plan for plan in self.policy.plans if plan.family == family.id]
        outcomes = {plan.id: self._outcomes(plan) for plan in plans}
        rules = {rule for of_plan in outcomes.values() for rule in of_plan}
        if not any("cart.amount" in self.reads[rule] for rule in rules):
            return
        bands = Bands(self.view, plans, outcomes, self.price).found()
        if bands is None:
            self._leave_open("gap", family=family.id, plans=tuple(outcomes))
            return
        for band in bands:
            self._find(
                band.kind,
                band.kind,
                family=family.id,
                plans=band.plans,
                low_minor=band.low_minor,
                high_minor=band.high_minor,
                start=band.start,
                end=band.end,
                witnesses=band.witnesses,
                defect=band.kind in DEFECTS and not self._in_a_table(band),
            )

    def _in_a_table(self, band: Band) -> bool:
        """Whether a band table leaves out all plans of a gap: then a line of it says so, and somebody wrote that."""
        left_out = {
            plan
            for witness in band.witnesses
            if not witness.offered
            for rule in witness.blocking
            if rule.startswith("table.")
            for plan in self.about[rule]
        }
        return left_out >= set(band.plans)


_TIED: Final[dict[str, str]] = {
    **dict.fromkeys(CLOCK_FACTS, "clock.now"),
    **dict.fromkeys(("cart.kinds", "cart.categories", "cart.sellers", "cart.skus"), "cart.line_count"),
}
"""What belongs together without being the same fact."""


class _Together:
    """Which rules have been seen asked and met in one and the same case, so that nobody has to ask about them."""

    def __init__(self, prover: _Prover, asking: Sequence[Rule]) -> None:
        self.prover, self.asking = prover, asking
        self.bits = {rule.id: prover._bit(rule.id) for rule in asking}
        self.seen: dict[str, int] = dict.fromkeys(self.bits, 0)
        self.reading: dict[str, int] = {}
        for rule in asking:
            for name in prover.reads[rule.id]:
                tied = _TIED.get(name, name)
                # A place in a rollout goes with the key of whoever has it.
                tied = prover.space.told_by.get(tied, tied)
                self.reading[tied] = self.reading.get(tied, 0) | self.bits[rule.id]
        for _, _, case in prover.cases:
            self.learn(case)

    def learn(self, case: Case) -> None:
        """Take note of the rules that are asked and met in a case."""
        facts = {**case.facts, **case.offers.get("", {})}
        met = [rule for rule in self.asking if _is_met(rule, facts)]
        bits = sum(self.bits[rule.id] for rule in met)
        for rule in met:
            self.seen[rule.id] |= bits

    def known(self, one: Rule, other: Rule) -> bool:
        """Whether both have been seen met in one case."""
        return bool(self.seen[one.id] & self.bits[other.id])

    def unseen(self, rule: Rule) -> list[Rule]:
        """The later rules that share a plan and a fact with this one, and have not been seen met with it."""
        shared = linked = 0
        for plan in self.prover.about[rule.id]:
            shared |= self.prover.of_plan[plan]
        for name in self.prover.reads[rule.id]:
            tied = _TIED.get(name, name)
            # Without a fact in common the one can have nothing to do with the other.
            linked |= self.reading[self.prover.space.told_by.get(tied, tied)]
        later = -(self.bits[rule.id] << 1)
        return self.prover._rules_in(shared & linked & later & ~self.seen[rule.id])


def _is_met(rule: Rule, facts: Facts) -> bool:
    now, minute = facts["clock.now"], facts["clock.time"]
    assert type(now) is int, "a case has an instant"
    assert type(minute) is int, "a case has a time of day"
    return (
        all(window is None or window.holds(now) for window in (rule.valid, rule.blocked))
        and (rule.daily is None or rule.daily.holds(minute))
        and (rule.when is None or evaluate_plain(rule.when, facts) is True)
        and rule.require is not None
        and evaluate_plain(rule.require, facts) is True
    )


def _conjuncts(condition: Condition, wanted: bool) -> list[Condition]:
    """Conditions that all have to be true for this one to be `wanted`."""
    if isinstance(condition, Not):
        return _conjuncts(condition.part, not wanted)
    if not isinstance(condition, Clause) and isinstance(condition, All) is wanted:
        return [each for part in condition.parts for each in _conjuncts(part, wanted)]
    return [condition if wanted else Not(condition)]

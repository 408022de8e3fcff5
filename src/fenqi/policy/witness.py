"""Witnesses: a case that shows a finding, and what the row engine says of it.

The solver's word is never enough: what it found is asked of the compiled rules (`fenqi.policy.compile`) before it is
reported, and where a price is asked about, at what the plan's own terms come to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from fenqi.policy.cases import Answer, Case, Formula, Space
from fenqi.policy.facts import CLOCK_FACTS, Facts, FactValue
from fenqi.policy.reasons import value_text
from fenqi.policy.verdict import decide
from fenqi.terms.plan import Plan
from fenqi.texts import LOCALES, Param, Text, fill

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "Price",
    "ProofError",
    "Steps",
    "Tries",
    "Watch",
    "Witness",
    "answer_text",
    "bits_in",
    "blocking_in",
    "facts_text",
    "figures_of",
    "is_offered",
    "real_figures",
    "said_of",
]

Price = Callable[["Policy", Plan, int, int], "Facts | None"]
"""The figures of a plan's offer (`offer.*`) for an amount at an instant; None where its terms do not fit the amount."""

Watch = Callable[[int, int], bool]
"""Told how many steps of how many are done; False to stop, and all that is left is `not_proven`."""

TRIES: Final = 8
"""So many amounts are tried at their own price before whether a plan is offered at it is left open."""


class ProofError(RuntimeError):
    """The solver and the row engine disagree about a case: a defect of Fenqi, never of a policy."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A case, and what the row engine says of it: which of the finding's rules block, which of its plans it offers."""

    facts: dict[str, FactValue]
    offers: dict[str, dict[str, FactValue]] = {}
    blocking: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()


def bits_in(policy: Policy, case: Case, plan: str | None = None) -> tuple[int, int]:
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


def blocking_in(policy: Policy, bits: int, among: Iterable[str]) -> tuple[str, ...]:
    return tuple(rule for rule in among if bits >> policy.rule_index[rule] & 1)


def figures_of(case: Case) -> dict[str, dict[str, FactValue]]:
    return {plan: figures for plan, figures in case.offers.items() if figures}


def is_offered(policy: Policy, case: Case, plan: str) -> bool:
    offers = {plan: case.offers.get(plan, {})}
    return decide(policy, case.facts, offers)[plan].offered


def real_figures(
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


class Steps:
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


class Tries:
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


_JOIN: Final = Text("、", ", ")


def said_of(policy: Policy, text: Text, parts: Mapping[str, object]) -> Text:
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


# --- in words ---------------------------------------------------------------------------------------------------


def facts_text(
    policy: Policy, facts: Mapping[str, FactValue], names: Iterable[str], locale: str
) -> list[str]:
    """Some of a case's facts as a policy's files write them: `customer.age is 16`. What is not known is said too."""
    chosen = policy.vocabulary.keys() & set(names)
    found = []
    for name in sorted(chosen):
        if name in CLOCK_FACTS and name != "clock.now" and "clock.now" in chosen:
            continue
        if name in facts:
            found.append(f"{name} is {_written(policy, name, facts[name], locale)}")
        elif not name.startswith("offer."):  # the figures of an offer are each plan's own
            found.append(f"{name} {_UNKNOWN.in_(locale)}")
    return found


def _written(policy: Policy, name: str, value: FactValue, locale: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return f"[{', '.join(sorted(value))}]"
    if isinstance(value, str):
        return value
    return value_text(policy, policy.vocabulary[name], value, locale, None)


_UNKNOWN: Final = Text("未知", "unknown")
_OFFERED: Final = Text("可用 {names}", "{names} offered")
_PASSES: Final = Text("规则放行", "lets through")
_BLOCKS: Final = Text("{names} 拦下", "{names} blocks")
_BLOCK: Final = Text("{names} 拦下", "{names} block")


def answer_text(policy: Policy, witness: Witness, locale: str) -> str:
    """What the row engine said of a case, in a few words."""
    names = witness.offered or witness.blocking
    text = _OFFERED if witness.offered else _PASSES if not names else _BLOCKS if len(names) == 1 else _BLOCK
    return fill(text, {"names": ", ".join(names)}, locale, currency=policy.currency, zone=policy.zone)

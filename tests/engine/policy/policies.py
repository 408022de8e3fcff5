"""A small mall's policy for the tests of this folder, and strategies for random rules and facts."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any as Anything

from hypothesis import strategies as st

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import All, Any, Clause, Condition, Dialect, Not, Range, parse
from fenqi.policy.facts import FactType, FactValue, vocabulary_for
from fenqi.policy.snapshot import (
    LAYERS,
    Agreement,
    DailyWindow,
    Family,
    Funder,
    Pending,
    Rule,
    Selector,
    ShopTerms,
    Snapshot,
    Window,
)
from fenqi.terms.plan import FlatFee, PayInFull, Plan, ZeroInterest
from fenqi.texts import Text

ZONE = "Asia/Shanghai"
NOON = 1795406400  # 2026-11-23 12:00 in Shanghai, a Monday
MINUTE, HOUR, DAY = 60, 3600, 86_400


def words(text: str) -> Text:
    return Text(text, text)


FUNDERS = (
    Funder(id="mall", name=words("Mall"), kind="shop", own_book=True),
    Funder(
        id="ccb",
        name=words("CCB"),
        kind="bank",
        decides="on_its_page",
        agreement=Agreement(
            version="2026-1",
            valid_from=NOON - 100 * DAY,
            valid_to=NOON + 100 * DAY,
            min_amount_minor=50_000,
            max_amount_minor=5_000_000,
            terms=(6,),
            cost_ceiling=Decimal("0.24"),
        ),
    ),
    Funder(id="card", name=words("Card"), kind="acquirer", decides="on_its_page"),
)
FAMILIES = (
    Family(id="mall", funder="mall", name=words("Mall instalments"), legal_form="instalment_sale"),
    Family(id="ccb", funder="ccb", name=words("CCB instalments"), legal_form="card_instalment"),
    Family(id="card", funder="card", name=words("Card"), legal_form="full_payment"),
)
PLANS = (
    Plan("mall_3", "mall", "mall", "instalment_sale", 3, ZeroInterest("shop")),
    Plan("mall_12", "mall", "mall", "instalment_sale", 12, FlatFee(Decimal("0.006"))),
    Plan("ccb_6", "ccb", "ccb", "card_instalment", 6, FlatFee(Decimal("0.005"))),
    Plan("ccb_24", "ccb", "ccb", "card_instalment", 24, FlatFee(Decimal("0.005"))),
    Plan("card", "card", "card", "full_payment", 1, PayInFull()),
)
VOCABULARY = vocabulary_for((funder.id, funder.name) for funder in FUNDERS)
DIALECT = Dialect(VOCABULARY, "CNY", ZONE)


def clause(text: str) -> Condition:
    return parse(text, DIALECT)


def rule(rule_id: str, layer: str = "strategy", *, zone: str = ZONE, **fields: Anything) -> Rule:
    for name in ("when", "require"):
        if isinstance(fields.get(name), str):
            fields[name] = parse(fields[name], Dialect(VOCABULARY, "CNY", zone))
    fields.setdefault("reason", "STRATEGY_PAUSE")
    fields.setdefault("applies", Selector(all=True))
    return Rule(id=rule_id, layer=layer, owner="test", **fields)


def snapshot_of(*rules: Rule, zone: str = ZONE, **fields: Anything) -> Snapshot:
    return Snapshot(
        shop=ShopTerms("mall", words("Mall"), zone, "CNY"),
        funders=FUNDERS,
        families=FAMILIES,
        plans=PLANS,
        rules=rules,
        **fields,
    )


def policy_of(*rules: Rule, zone: str = ZONE, **fields: Anything) -> Policy:
    return compile_policy(snapshot_of(*rules, zone=zone, **fields))


def mall_policy(*rules: Rule, zone: str = ZONE) -> Policy:
    """The mall's own plan of three instalments alone: one plan, without an agreement's rules."""
    return compile_policy(
        Snapshot(
            shop=ShopTerms("mall", words("Mall"), zone, "CNY"),
            funders=FUNDERS[:1],
            families=FAMILIES[:1],
            plans=PLANS[:1],
            rules=rules,
        )
    )


# --- random ------------------------------------------------------------------------------------------------------

_ORDERED = ("int", "money", "rate", "instant", "time")
_NAMES = ("gold", "drug", "phone")


def _low_high(kind: str) -> tuple[int, int]:
    if kind == "instant":
        return NOON - 2 * DAY, NOON + 2 * DAY
    return {"time": (0, 1439), "int": (0, 8), "money": (0, 8), "rate": (0, 8)}[kind]


def _names_of(fact: FactType) -> tuple[str, ...]:
    return fact.values or _NAMES


def values(fact: FactType) -> st.SearchStrategy[FactValue]:
    if fact.type == "bool":
        return st.booleans()
    if fact.type in ("enum", "text"):
        return st.sampled_from(_names_of(fact))
    if fact.type == "set":
        return st.frozensets(st.sampled_from(_names_of(fact)))
    return st.integers(*_low_high(fact.type))


@st.composite
def clauses(draw: st.DrawFn, *, offers: bool = True) -> Clause:
    names = [name for name in VOCABULARY if offers or not name.startswith("offer.")]
    fact = VOCABULARY[draw(st.sampled_from(names))]
    if fact.type == "set":
        op = draw(st.sampled_from(("has any of", "has all of", "has none of")))
        return Clause(fact.name, op, draw(st.frozensets(st.sampled_from(_names_of(fact)), min_size=1)))
    if fact.type not in _ORDERED:
        if fact.type in ("enum", "text") and draw(st.booleans()):
            op = draw(st.sampled_from(("in", "not in")))
            return Clause(fact.name, op, draw(st.frozensets(st.sampled_from(_names_of(fact)), min_size=1)))
        return Clause(fact.name, draw(st.sampled_from(("is", "is not"))), draw(values(fact)))
    shape = draw(st.sampled_from(("constant", "range", "other")))
    if shape == "range":
        low, high = draw(st.lists(values(fact), min_size=2, max_size=2, unique=True))
        if fact.type != "time":
            low, high = sorted((low, high))
        op = draw(st.sampled_from(("in", "not in")))
        return Clause(fact.name, op, Range(low, high), open_end=fact.type in ("time", "instant"))
    op = draw(st.sampled_from(("is", "is not", "<", "<=", ">", ">=")))
    others = [name for name in names if VOCABULARY[name].type == fact.type and name != fact.name]
    if shape == "other" and others:
        return Clause(fact.name, op, None, draw(st.sampled_from(others)))
    return Clause(fact.name, op, draw(values(fact)))


def conditions(*, offers: bool = True) -> st.SearchStrategy[Condition]:
    return st.recursive(
        clauses(offers=offers),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: All(tuple(parts))),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: Any(tuple(parts))),
            inner.map(Not),
        ),
        max_leaves=6,
    )


def instants() -> st.SearchStrategy[int]:
    return st.integers(-48, 48).map(lambda hours: NOON + hours * HOUR)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start, end = draw(st.none() | instants()), draw(st.none() | instants())
    if start is not None and end is not None:
        start, end = min(start, end), max(start, end) + HOUR
    return Window(start, end)


@st.composite
def dailies(draw: st.DrawFn) -> DailyWindow:
    start = draw(st.integers(0, 1439))
    end = draw(st.integers(0, 1440).filter(lambda minute: minute % 1440 != start))
    return DailyWindow(start, end)


@st.composite
def rules(draw: st.DrawFn, rule_id: str, *, offers: bool = True) -> Rule:
    pending = st.builds(
        Pending,
        conditions(offers=False),
        st.sampled_from(["funder.mall.prequal_deadline", "funder.ccb.prequal_deadline"]),
    )
    return Rule(
        id=rule_id,
        layer=draw(st.sampled_from(LAYERS)),
        owner="test",
        reason="STRATEGY_PAUSE",
        applies=draw(
            st.sampled_from(
                [Selector(all=True), Selector(plans=("mall_3",)), Selector(legal_forms=("card_instalment",))]
            )
        ),
        when=draw(st.none() | conditions(offers=offers)),
        require=draw(st.none() | conditions(offers=offers)),
        blocked=draw(st.none() | st.none() | windows()),
        daily=draw(st.none() | st.none() | dailies()),
        valid=draw(st.none() | st.none() | windows()),
        unknown=draw(st.sampled_from(("block", "allow", "ask"))),
        pending=draw(st.none() | st.none() | pending),
        change=draw(st.sampled_from(("customer", "time", "funder"))),
    )


@st.composite
def some_facts(draw: st.DrawFn, prefix: str = "") -> dict[str, FactValue]:
    """Facts of which about a third is unknown."""
    facts: dict[str, FactValue] = {}
    for name, fact in VOCABULARY.items():
        is_offer = name.startswith("offer.")
        if fact.source != "clock" and is_offer == (prefix == "offer.") and draw(st.integers(0, 2)):
            facts[name] = draw(values(fact))
    return facts


def random_value(fact: FactType, chance: Random) -> FactValue:
    if fact.type == "bool":
        return chance.random() < 0.5
    names = _names_of(fact)
    if fact.type in ("enum", "text"):
        return chance.choice(names)
    if fact.type == "set":
        return frozenset(name for name in names if chance.random() < 0.5)
    return chance.randint(*_low_high(fact.type))


def random_facts(chance: Random, *, offer: bool = False) -> dict[str, FactValue]:
    """As `some_facts`, from a seed: drawing each fact by itself is what takes the time."""
    return {
        name: random_value(fact, chance)
        for name, fact in VOCABULARY.items()
        if fact.source != "clock" and name.startswith("offer.") == offer and chance.random() < 0.67
    }

"""The column engine means what the row engine means: bit for bit, over random checkouts and random conditions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any as Anything
from typing import get_args

import msgspec
import numpy as np
import polars as pl
import pytest
from benchmarks.engine import FACTS

from fenqi.policy.columns import (
    WORD_BITS,
    Checkouts,
    ColumnsError,
    Outcomes,
    checkouts_of,
    columns_of,
    condition_expr,
    facts_at,
    rule_outcomes,
    states_of,
)
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import All, Any, Clause, Condition, Not, Op, Range, evaluate_plain
from fenqi.policy.document import load_policy
from fenqi.policy.facts import Facts, FactType, FactValue, clock_facts, vocabulary_for
from fenqi.policy.snapshot import LAYERS, DailyWindow, Pending, Rule, Selector, Window
from fenqi.policy.verdict import decide

from .policies import (
    DAY,
    FUNDERS,
    HOUR,
    NOON,
    VOCABULARY,
    ZONE,
    clause,
    mall_policy,
    policy_of,
    random_value,
    rule,
    snapshot_of,
    words,
)

BENCH = Path(__file__).parents[3] / "benchmarks" / "policy"

# --- random, from a seed ---------------------------------------------------------------------------------------

WIDE = tuple(f"brand_{number}" for number in range(200))
OWN = tuple(
    FactType(name=name, type=kind, source="cart", label=words(name), values=values)  # type: ignore[arg-type]
    for name, kind, values in (
        ("own.grade", "enum", ("a", "b", "c", "d", "e", "f", "g")),
        ("own.other_grade", "enum", ("a", "b", "c", "d", "e", "f", "g")),
        ("own.third_grade", "enum", ("c", "b", "z")),
        ("own.word", "text", ()),
        ("own.flag", "bool", ()),
        ("own.tags", "set", ("new", "used", "sealed")),
        ("own.more_tags", "set", ("sealed", "new", "gift")),
        ("own.brands", "set", WIDE),
        ("own.open_brands", "set", ()),
        ("own.rate", "rate", ()),
        ("own.other_rate", "rate", ()),
        ("own.opens", "time", ()),
    )
)
EVERY_FACT = vocabulary_for(((funder.id, funder.name) for funder in FUNDERS), OWN)
_ORDERED = ("int", "money", "rate", "instant", "time")


def value_of(fact: FactType, chance: Random) -> FactValue:
    if fact.name in ("own.brands", "own.open_brands"):
        return frozenset(chance.sample(WIDE, chance.randint(0, 3)))
    if fact.type == "instant":
        return instant_of(chance)
    return random_value(fact, chance)


def instant_of(chance: Random) -> int:
    """Most of them on the hour, so that a window's very first and last second occur."""
    return NOON + (
        chance.randint(-48, 48) * HOUR if chance.random() < 0.7 else chance.randint(-2 * DAY, 2 * DAY)
    )


def rows_of(count: int, chance: Random, *, unknown: float = 0.3) -> list[dict[str, FactValue]]:
    """Checkouts at random instants of four days, each fact unknown with the probability given."""
    facts = [fact for name, fact in EVERY_FACT.items() if fact.source not in ("clock", "offer")]
    return [
        {
            **{fact.name: value_of(fact, chance) for fact in facts if chance.random() >= unknown},
            **clock_facts(instant_of(chance), ZONE),
        }
        for _ in range(count)
    ]


def clause_of(chance: Random) -> Clause:
    """A clause of any kind: each fact, each operator that its type has, a constant, a range or another fact."""
    fact = chance.choice([fact for fact in EVERY_FACT.values() if fact.source != "offer"])
    others = [
        other.name
        for other in EVERY_FACT.values()
        if other.type == fact.type and other.name != fact.name and other.source != "offer"
    ]
    compared = bool(others) and chance.random() < 0.3
    if fact.type == "set":
        op = chance.choice(("has any of", "has all of", "has none of", "lacks some of"))
        if compared:
            return Clause(fact.name, op, None, chance.choice(others))
        return Clause(fact.name, op, value_of(fact, chance) or frozenset({"brand_1"}))
    if fact.type not in _ORDERED:
        if compared:
            return Clause(fact.name, chance.choice(("is", "is not")), None, chance.choice(others))
        if fact.type in ("enum", "text") and chance.random() < 0.5:
            some = frozenset(str(value_of(fact, chance)) for _ in range(chance.randint(1, 6)))
            # A name that no checkout has, as a text may be compared with one.
            return Clause(fact.name, chance.choice(("in", "not in")), some | {"nobody"})
        return Clause(fact.name, chance.choice(("is", "is not")), value_of(fact, chance))
    if compared:
        return Clause(
            fact.name, chance.choice(("is", "is not", "<", "<=", ">", ">=")), None, chance.choice(others)
        )
    bound = instant_of(chance) if fact.name == "clock.now" else None
    if chance.random() < 0.4:
        low, high = (
            bound if bound is not None else int(value_of(fact, chance)),  # type: ignore[arg-type]
            bound + HOUR if bound is not None else int(value_of(fact, chance)),  # type: ignore[arg-type]
        )
        if fact.type != "time":
            low, high = sorted((low, high))
        op = chance.choice(("in", "not in"))
        return Clause(fact.name, op, Range(low, high), open_end=fact.type in ("time", "instant"))
    value = bound if bound is not None else value_of(fact, chance)
    return Clause(fact.name, chance.choice(("is", "is not", "<", "<=", ">", ">=")), value)


def tree_of(chance: Random, depth: int = 4) -> Condition:
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return clause_of(chance)
    if kind < 0.45:
        return Not(tree_of(chance, depth - 1))
    parts = tuple(tree_of(chance, depth - 1) for _ in range(chance.randint(0 if kind > 0.97 else 1, 4)))
    return All(parts) if chance.random() < 0.5 else Any(parts)


def rule_of(number: int, chance: Random) -> Rule:
    """A whole rule: windows, a daily rest, conditions, an answer on its way, and what an unknown does."""

    def sometimes(share: float, make: Anything) -> Anything:
        return make() if chance.random() < share else None

    def window() -> Window:
        start, end = sorted((chance.randint(-48, 48), chance.randint(-48, 48)))
        return chance.choice(
            (
                Window(NOON + start * HOUR, None),
                Window(None, NOON + end * HOUR),
                Window(NOON + start * HOUR, NOON + end * HOUR),
            )
        )

    return Rule(
        id=f"r{number}",
        layer=chance.choice(LAYERS),
        owner="test",
        reason="STRATEGY_PAUSE",
        applies=chance.choice((Selector(all=True), Selector(plans=("mall_3",)), Selector(funders=("ccb",)))),
        when=sometimes(0.6, lambda: tree_of(chance, 2)),
        require=sometimes(0.7, lambda: tree_of(chance, 2)),
        blocked=sometimes(0.2, window),
        valid=sometimes(0.2, window),
        daily=sometimes(0.2, lambda: DailyWindow(chance.randint(0, 1439), chance.randint(0, 1440))),
        pending=sometimes(
            0.3,
            lambda: Pending(tree_of(chance, 1), f"funder.{chance.choice(('mall', 'ccb'))}.prequal_deadline"),
        ),
        unknown=chance.choice(("block", "allow", "ask")),
    )


# --- comparing -------------------------------------------------------------------------------------------------


def bits_of(policy: Policy, rows: Iterable[Facts]) -> dict[str, list[np.ndarray[Anything, Anything]]]:
    """The row engine's bit sets, as the words that the columns have."""
    answers = [policy.first(facts) for facts in rows]
    full = (1 << WORD_BITS) - 1
    return {
        which: [
            np.array([bits[part] >> at & full for bits in answers], dtype=np.int64)
            for at in range(0, len(policy.rules), WORD_BITS)
        ]
        for part, which in enumerate(("violated", "unknown", "pending"))
    }


def differing(policy: Policy, rows: Sequence[Facts], outcomes: Outcomes) -> int:
    """How many cells (a row's answer of one rule) differ between the engines, over all three bit sets."""
    count = 0
    for which, expected in bits_of(policy, rows).items():
        found = outcomes.words(which)  # type: ignore[arg-type]
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            count += sum(int(word).bit_count() for word in one ^ other)
    return count


def tree_differences(seed: int, *, trees: int, rows: int) -> int:
    chance = Random(seed)
    table = rows_of(rows, chance)
    checkouts = columns_of(table, EVERY_FACT, ZONE)
    count = 0
    for first in range(0, trees, 100):
        some = [
            rule(f"t{number}", require=tree_of(chance)) for number in range(first, min(first + 100, trees))
        ]
        policy = compile_policy(snapshot_of(*some, facts=OWN))
        count += differing(policy, table, rule_outcomes(policy, checkouts))
    return count


def bench_policy() -> Policy:
    loaded = load_policy(BENCH)
    assert loaded.snapshot is not None
    return compile_policy(loaded.snapshot)


def bench_rows(policy: Policy, count: int, chance: Random, *, unknown: float) -> list[dict[str, FactValue]]:
    """Checkouts of the bench's shop around its maintenance, by values that its rules tell apart."""
    names = {
        "cart.categories": ("gift_cards", "gold", "medicine", "phones", "books"),
        "cart.sellers": ("seller_wallet_a", "seller_east_b", "seller_north_a", "seller_lender_b", "mall"),
        "customer.consents": ("lender", "wallet"),
        "region.ship_to": ("SH", "XZ", "overseas"),
    }
    spans = {
        "cart.amount": (5_000, 6_000_000),
        "cart.line_count": (1, 130),
        "customer.age": (14, 30),
        "customer.tier": (-1, 4),
        "customer.account_days": (0, 800),
        "limit.mall": (0, 3),
        "limit.mall_available": (0, 6_000_000),
    }

    def value(fact: FactType) -> FactValue:
        if fact.name in spans:
            return chance.randint(*spans[fact.name])
        if fact.name in names:
            some = names[fact.name]
            return (
                chance.choice(some)
                if fact.type == "text"
                else frozenset(chance.sample(some, chance.randint(0, 2)))
            )
        if fact.type == "money":
            return chance.randint(0, 6_000_000)
        return random_value(fact, chance)

    asked = [
        fact
        for name, fact in policy.vocabulary.items()
        if fact.source not in ("clock", "offer") and fact.name != "cart.currency"
    ]
    return [
        {
            **{fact.name: value(fact) for fact in asked if chance.random() >= unknown},
            **clock_facts(NOON + chance.randint(-20 * DAY, 20 * DAY), ZONE),
        }
        for _ in range(count)
    ]


# --- one meaning -----------------------------------------------------------------------------------------------


def test_three_million_cells_with_nulls_are_the_same_in_rows_and_in_columns() -> None:
    policy = bench_policy()
    assert len(policy.rules) > WORD_BITS  # several words
    rows = bench_rows(policy, 50_000, Random(20261123), unknown=0.03)
    outcomes = rule_outcomes(policy, columns_of(rows, policy.vocabulary, policy.zone))
    assert len(outcomes.rules) * len(rows) >= 3_000_000
    assert differing(policy, rows, outcomes) == 0
    # The comparison has something to compare: every bit set has bits, of many rules.
    fired = {
        which: reduce_or(outcomes.words(which))
        for which in ("violated", "unknown", "pending")  # type: ignore[arg-type]
    }
    assert fired["violated"].bit_count() > 55
    assert fired["unknown"].bit_count() > 25
    assert fired["pending"].bit_count() == 1


def reduce_or(found: list[np.ndarray[Anything, Anything]]) -> int:
    return sum(int(np.bitwise_or.reduce(word)) << WORD_BITS * number for number, word in enumerate(found))


def test_four_hundred_random_trees_over_five_thousand_rows_are_the_same_in_rows_and_in_columns() -> None:
    assert tree_differences(4, trees=400, rows=5_000) == 0


def test_every_operator_and_every_type_of_fact_occurs_in_the_random_trees() -> None:
    chance = Random(4)
    some = [clause_of(chance) for _ in range(3_000)]
    assert {one.op for one in some} == set(get_args(Op))
    assert {EVERY_FACT[one.fact].type for one in some} == {fact.type for fact in EVERY_FACT.values()}
    assert {EVERY_FACT[one.fact].type for one in some if one.other} == {
        "int", "money", "rate", "enum", "set", "bool", "text", "instant", "time",
    }  # fmt: skip
    assert any(isinstance(one.value, Range) and one.value.high < one.value.low for one in some)


def test_whole_rules_with_windows_and_answers_on_their_way_are_the_same_in_rows_and_in_columns() -> None:
    chance = Random(5)
    rows = rows_of(4_000, chance)
    checkouts = columns_of(rows, EVERY_FACT, ZONE)
    policy = compile_policy(snapshot_of(*(rule_of(number, chance) for number in range(150)), facts=OWN))
    outcomes = rule_outcomes(policy, checkouts)
    assert differing(policy, rows, outcomes) == 0
    assert all(reduce_or(outcomes.words(which)) for which in ("violated", "unknown", "pending"))  # type: ignore[arg-type]


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100))
def test_a_million_random_trees_cells_and_more(seed: int) -> None:
    assert tree_differences(1_000 + seed, trees=2_000, rows=5_000) == 0


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(50))
def test_many_random_rules_are_the_same_in_rows_and_in_columns(seed: int) -> None:
    chance = Random(2_000 + seed)
    rows = rows_of(20_000, chance, unknown=chance.choice((0.03, 0.3, 0.6)))
    checkouts = columns_of(rows, EVERY_FACT, ZONE)
    policy = compile_policy(snapshot_of(*(rule_of(number, chance) for number in range(300)), facts=OWN))
    assert differing(policy, rows, rule_outcomes(policy, checkouts)) == 0


def test_states_are_those_that_decide_gives() -> None:
    policy = bench_policy()
    rows = bench_rows(policy, 3_000, Random(7), unknown=0.03)
    for row in rows[:1_000]:  # some carts that nothing stands in the way of
        row |= {"cart.kinds": frozenset({"goods"}), "cart.categories": frozenset(), "customer.age": 30}
        row |= {"cart.amount": 500_000, "funder.lender.prequal": "pending"}
    for row in rows[:20]:  # and some for which a funder's answer is all that is waited for
        row |= {**FACTS, "cart.sellers": frozenset({"mall"}), "channel.kind": "web", "cart.line_count": 2}
        row |= {
            "funder.lender.prequal": "pending",
            "funder.lender.prequal_deadline": row["clock.now"] + 3_600,
        }
        row["funder.lender.connected"] = True
    states = states_of(policy, rule_outcomes(policy, columns_of(rows, policy.vocabulary, policy.zone)))
    expected = [{plan: verdict.state for plan, verdict in decide(policy, row).items()} for row in rows]
    assert states.to_dicts() == expected
    assert {state for row in expected for state in row.values()} == {
        "available", "funder_decides", "pending", "unavailable",
    }  # fmt: skip


def test_a_policy_without_a_rule_of_facts_offers_everything() -> None:
    policy = mall_policy()
    states = states_of(
        policy, rule_outcomes(policy, columns_of([{"clock.now": NOON}] * 3, policy.vocabulary, ZONE))
    )
    assert states["mall_3"].to_list() == ["available"] * 3


def test_a_fact_that_no_checkout_recorded_is_unknown_in_all_of_them() -> None:
    policy = policy_of(
        rule("a", require="customer.age >= 18"), rule("b", require="customer.age >= 18", unknown="allow")
    )
    outcomes = rule_outcomes(policy, columns_of([{"clock.now": NOON}], policy.vocabulary, ZONE))
    at = policy.rule_index
    assert outcomes.frame[f"v{at['a']}"].to_list() == [None]
    assert outcomes.frame[f"v{at['b']}"].to_list() == [False]


def test_one_changed_rule_is_asked_and_the_others_are_not_asked_again() -> None:
    chance = Random(9)
    rows = rows_of(500, chance)
    some = [rule_of(number, chance) for number in range(30)]
    checkouts = columns_of(rows, EVERY_FACT, ZONE)
    before = compile_policy(snapshot_of(*some, facts=OWN))
    known = rule_outcomes(before, checkouts)
    changed = msgspec.structs.replace(some[3], when=None, require=clause("customer.age >= 5"), pending=None)
    after = compile_policy(
        snapshot_of(*some[:3], changed, *some[4:20], rule("new", require="cart.amount >= ¥3"), facts=OWN)
    )
    again = rule_outcomes(after, checkouts, known=known)
    assert len(again.asked) == 2
    assert differing(after, rows, again) == 0


def test_numbers_beyond_any_column_compare_as_python_does() -> None:
    rows: list[Facts] = [{"clock.now": NOON, "customer.tier": 3}, {"clock.now": NOON}]
    checkouts = columns_of(rows, VOCABULARY, ZONE)
    for op in ("is", "is not", "<", "<=", ">", ">="):
        for bound in (10**30, -(10**30)):
            one = Clause("customer.tier", op, bound)
            found = checkouts.frame.select(answer=condition_expr(one, checkouts))["answer"].to_list()
            assert found == [evaluate_plain(one, row) for row in rows]
    wide = Clause("customer.tier", "in", Range(-(10**30), 10**30))
    assert checkouts.frame.select(answer=condition_expr(wide, checkouts))["answer"].to_list() == [True, None]


# --- reading ---------------------------------------------------------------------------------------------------


def test_rows_come_back_as_the_facts_that_they_were() -> None:
    rows = rows_of(300, Random(11))
    checkouts = columns_of(rows, EVERY_FACT, ZONE)
    assert [facts_at(checkouts, number) for number in range(len(rows))] == rows
    assert checkouts.frame.schema["own.tags"] == pl.Int64
    assert checkouts.frame.schema["own.brands"] == pl.List(pl.UInt32)


def test_the_clock_follows_from_the_instant_on_days_when_clocks_are_turned() -> None:
    for zone, day in (
        ("America/New_York", 1_793_491_200),  # 2026-11-01, clocks go back
        ("Australia/Lord_Howe", 1_790_985_600),  # 2026-10-03, by half an hour
        ("Asia/Kathmandu", 1_795_370_400),
        (ZONE, 1_795_370_400),
    ):
        rows: list[Facts] = [clock_facts(day + 211 * step, zone) for step in range(-400, 800)]
        given: list[Facts] = [{"clock.now": row["clock.now"]} for row in rows]
        checkouts = columns_of(given, VOCABULARY, zone)
        assert [facts_at(checkouts, number) for number in range(len(rows))] == rows


def test_a_table_of_text_is_read_by_the_types_of_its_facts() -> None:
    table = pl.DataFrame(
        {
            "decision": ["d1", "d2", "d3"],
            "_note": ["x", "y", "z"],
            "clock.now": ["1795370400", "2026-11-23T02:00:00+08:00", "2026-11-22T18:00:00Z"],
            "cart.amount": ["120000", "", "5"],
            "cart.has_coupon": ["yes", "false", ""],
            "cart.kinds": ["goods|blind_box", "[]", ""],
            "card.kind": ["credit", "", "debit"],
            "region.ship_to": ["SH", "", "北京"],
        }
    )
    checkouts = checkouts_of(table, VOCABULARY, ZONE)
    clock = clock_facts(1795370400, ZONE)
    assert [facts_at(checkouts, row) for row in range(3)] == [
        {
            "cart.amount": 120_000,
            "cart.has_coupon": True,
            "cart.kinds": frozenset({"goods", "blind_box"}),
            "card.kind": "credit",
            "region.ship_to": "SH",
            **clock,
        },
        {"cart.has_coupon": False, "cart.kinds": frozenset(), "region.ship_to": "", **clock},
        {"cart.amount": 5, "card.kind": "debit", "region.ship_to": "北京", **clock},
    ]
    assert checkouts.row_name(1) == "d2"


def with_column(**columns: Anything) -> pl.DataFrame:
    named = {name.replace("__", "."): value for name, value in columns.items()}
    rows = max(len(value) for value in named.values())
    return pl.DataFrame({"clock.now": [NOON] * rows, **named})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (with_column(cart__amont=[1]), "column is cart.amont: expected a fact of the policy's vocabulary; did you mean cart.amount?"),
        (with_column(cart__amount=[1.5]), "column cart.amount is Float64: expected whole numbers of minor units from 0 to 1000000000000000; give whole numbers a whole type (Int64)"),
        (with_column(cart__amount=["7", "¥7"]), "column cart.amount, row 2 is ¥7: expected whole numbers of minor units from 0 to 1000000000000000; write ¥12.34 as the integer 1234"),
        (with_column(cart__amount=[5, -1]), "column cart.amount, row 2 is -1: expected whole numbers of minor units from 0 to 1000000000000000"),
        (with_column(card__kind=["credit", "credti"]), "column card.kind, row 2 is credti: expected one of debit, credit; did you mean credit?"),
        (with_column(customer__student=["no", "maybe"]), "column customer.student, row 2 is maybe: expected true or false"),
        (with_column(customer__student=[0]), "column customer.student is Int64: expected true or false"),
        (with_column(cart__kinds=[["goods"], ["goods", "box"]]), "column cart.kinds, row 2 is shape: (2,)"),
        (with_column(cart__kinds=["goods", "goods|box"]), "expected names out of goods, blind_box, pledge, recurring"),
        (with_column(cart__categories=[[None]]), "expected names, none of them empty"),
        (with_column(customer__age=[10**18 + 1]), "column customer.age, row 1 is 1000000000000000001: expected whole numbers"),
        (with_column(region__ship_to=["x" * 101]), "expected texts of at most 100 characters"),
        (pl.DataFrame({"cart.amount": [1]}), "column clock.now is missing: expected the instant of every checkout"),
        (pl.DataFrame({"clock.now": [NOON, None]}), "column clock.now, row 2 is empty: expected the instant of the checkout"),
        (pl.DataFrame({"clock.now": [NOON * 1000]}), "column clock.now, row 1 is 1795406400000: expected instants"),
        (pl.DataFrame({"clock.now": ["2026-11-23T99:00"]}), "column clock.now, row 1 is 2026-11-23T99:00: expected instants"),
    ],
)  # fmt: skip
def test_a_wrong_column_or_value_is_named(table: pl.DataFrame, sentence: str) -> None:
    with pytest.raises(ColumnsError) as refused:
        checkouts_of(table, VOCABULARY, ZONE)
    assert sentence in str(refused.value)


def test_a_value_outside_the_vocabulary_is_unknown_where_that_is_asked_for_and_counted() -> None:
    table = with_column(card__kind=["credit", "prepaid", None], cart__kinds=["goods", "goods|pawn", "[]"])
    checkouts = checkouts_of(table, VOCABULARY, ZONE, lenient=True)
    assert checkouts.unknown_made == {"card.kind": 1, "cart.kinds": 1}
    assert checkouts.frame["card.kind"].to_list() == ["credit", None, None]
    assert checkouts.frame["cart.kinds"].to_list() == [1, None, 0]


def test_all_checkouts_can_be_asked_at_another_instant() -> None:
    policy = policy_of(rule("a", blocked=Window(NOON, NOON + HOUR)))
    checkouts = columns_of(
        [{"clock.now": NOON - DAY}, {"clock.now": NOON - 2 * DAY}], policy.vocabulary, ZONE
    )

    def blocked(some: Checkouts) -> list[bool | None]:
        return rule_outcomes(policy, some).frame[f"v{policy.rule_index['a']}"].to_list()

    assert blocked(checkouts) == [False, False]
    assert blocked(checkouts.at(NOON)) == [True, True]
    assert facts_at(checkouts.at(NOON), 1) == clock_facts(NOON, ZONE)


def test_a_comparison_that_a_type_does_not_have_is_refused() -> None:
    checkouts = columns_of([{"clock.now": NOON, "card.kind": "debit", "customer.tier": 1}], VOCABULARY, ZONE)
    for wrong in (
        Clause("card.kind", "<", "debit"),
        Clause("card.kind", "is", None, "customer.tier"),
        Clause("customer.tier", "has any of", frozenset({"x"})),
        Clause("customer.tier", "is", "three"),
    ):
        with pytest.raises(ColumnsError, match="expected a comparison that"):
            condition_expr(wrong, checkouts)


def without_extra(code: str) -> subprocess.CompletedProcess[str]:
    hidden = "import sys; sys.modules['polars'] = None; "
    return subprocess.run([sys.executable, "-c", hidden + code], capture_output=True, text=True)


def test_the_engine_needs_no_polars_and_columns_say_what_to_install() -> None:
    assert without_extra("import fenqi, fenqi.policy.compile, fenqi.checkout.evaluation").returncode == 0
    refused = without_extra("import fenqi.policy.columns")
    assert refused.returncode == 1
    assert "pip install 'fenqi[simulate]'" in refused.stderr

"""What no rule can say, and what its author is told: what is wrong, where, and the way out."""

from __future__ import annotations

import pytest

from fenqi.policy.compile import compile_policy
from fenqi.policy.document import read_policy
from fenqi.policy.snapshot import SnapshotError

from .policies import rule, snapshot_of
from .test_document import SHOP

RULE = """\
rules:
- id: first
  layer: strategy
  owner: me
  reason: STRATEGY_PAUSE
  applies: {plan: mall_3}
  require: %s
- {id: second, layer: strategy, owner: me, reason: STRATEGY_PAUSE, applies: all, when: cart.amount > ¥1}
"""


def told(clause: str, more: dict[str, str] | None = None) -> list[str]:
    files = {"shop.yaml": SHOP, "r.yaml": RULE % clause, **(more or {})}
    return [str(problem) for problem in read_policy(files).problems]


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        # A fact that there is not.
        ("customer.aeg >= 18", "r.yaml:7:12: customer.aeg is not a fact; did you mean customer.age?"),
        ("weather.sunny is yes", "r.yaml:7:12: weather.sunny is not a fact"),
        # Money and a number.
        (
            "cart.amount >= 500",
            "r.yaml:7:27: cart.amount is money and 500 is a number: they cannot be compared; write ¥500.00",
        ),
        (
            "customer.age >= ¥18",
            "r.yaml:7:28: customer.age is a number and ¥18 is money: they cannot be compared",
        ),
        (
            "customer.age >= cart.amount",
            "r.yaml:7:28: customer.age is a whole number and cart.amount is an amount of money: they cannot be compared",
        ),
        # Whatever calculates.
        (
            "cart.amount / 2 >= ¥100",
            "r.yaml:7:24: cart.amount / 2 >= ¥100: conditions do not calculate; whatever is calculated is a fact of its own",
        ),
        (
            "cart.amount/2 >= ¥100",
            "r.yaml:7:12: cart.amount/2 >= ¥100: conditions do not calculate; whatever is calculated is a fact of its own",
        ),
        (
            "cart.amount >= ¥100 * 2",
            "r.yaml:7:32: cart.amount >= ¥100 * 2: conditions do not calculate; whatever is calculated is a fact of its own",
        ),
        # Whatever refers to a rule, itself included.
        (
            "first is no",
            "r.yaml:7:12: first is a rule: a condition asks about facts, never about rules, tables or itself; write out what that "
            "asks",
        ),
        (
            "second is no",
            "r.yaml:7:12: second is a rule: a condition asks about facts, never about rules, tables or itself; write out what that "
            "asks",
        ),
        (
            "mall_3 is no",
            "r.yaml:7:12: mall_3 is a plan: a condition asks about facts, never about rules, tables or itself; write out what that "
            "asks",
        ),
        (
            "cart.amount >= cart.amount",
            "r.yaml:7:27: cart.amount is compared with itself; compare it with a value or with another fact",
        ),
    ],
)
def test_a_clause_that_cannot_be(clause: str, expected: str) -> None:
    assert told(clause) == [expected]


def test_a_table_that_answers_for_itself_and_a_set_that_holds_a_set() -> None:
    table = """\
tables:
- {id: bands, layer: strategy, owner: me, reason: AMOUNT_LOW, applies: all, over: {cart.amount: ">= ¥0"}}
"""
    csv = "cart.amount,cart.amount >=\n*,¥1\n"
    assert told("customer.age >= 18", {"t.yaml": table, "tables/bands.csv": csv}) == [
        "tables/bands.csv:1:1: cart.amount is asked for by itself: the table goes round in a circle; a line says what holds of "
        "another fact"
    ]
    assert told("bands is yes", {"t.yaml": table, "tables/bands.csv": "cart.amount,plans\n*,*\n"}) == [
        "r.yaml:7:12: bands is a table: a condition asks about facts, never about rules, tables or itself; write out what that asks"
    ]
    assert told("customer.age >= 18", {"sets/a.txt": "set a\n"}) == [
        "sets/a.txt:1:1: set a: a set holds values, not other sets, nor itself; write its values out"
    ]


def test_a_snapshot_made_by_a_program_is_checked_too() -> None:
    from fenqi.policy.conditions import Clause

    strange = rule("strange", require=Clause("customer.income", ">=", 1))
    with pytest.raises(
        SnapshotError, match=r"rules\.strange is customer\.income: expected a fact of the vocabulary"
    ):
        compile_policy(snapshot_of(strange))

"""Allocation as data: orders of parts and buckets, and where one payment goes by each, by figures worked by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.contracts.allocation import (
    FEE,
    INTEREST,
    PARTS,
    PENALTY,
    PRINCIPAL,
    Allocation,
    Bucket,
    Rule,
    backwards,
    check_allocation,
    order_of,
    parts_in_full,
    rule_for,
    split_bucket,
)
from fenqi.contracts.settling import settle

ON = date(2027, 2, 10)
USUAL = order_of(("fee", "principal"))


@dataclass
class Rows:
    """Four rows of 10 fee and 100 principal: late, due on the day, and two to come, of which the first one's time has begun."""

    sequence: list[int] = field(default_factory=lambda: [0, 1, 2, 3])
    left: list[int] = field(default_factory=lambda: [0, 10, 0, 100] * 4)
    days: tuple[date, ...] = (date(2027, 1, 10), ON, date(2027, 3, 10), date(2027, 4, 10))

    def due_on(self, row: int) -> date:
        return self.days[row]

    def begins_on(self, row: int) -> date:
        return self.days[row - 1] if row else date(2026, 12, 10)

    def is_open(self, row: int) -> bool:
        return any(self.left[4 * row : 4 * row + 4])

    def emptied(self, row: int) -> bool:
        return False

    def matured(self, row: int, part: int, on: date) -> int:
        return 0

    def pay(self, row: int, part: int, most: int, on: date, in_advance: bool, paid: Any) -> int:
        minor = min(self.left[4 * row + part], most)
        self.left[4 * row + part] -= minor
        if minor:
            paid.append((4 * row + part, minor))
        return minor


def paid_by(rule: Rule, money: int) -> tuple[list[tuple[int, int, int]], int]:
    """What a payment pays: row, part, amount; and what is left of it."""
    paid: list[tuple[int, int]] = []
    left = settle(Rows(), rule, money, ON, paid)
    return [(slot // 4, slot % 4, minor) for slot, minor in paid], left


def test_the_oldest_row_comes_first_and_its_fee_before_its_principal() -> None:
    # 150: 10 + 100 late, 10 + 30 of what is due today.
    assert paid_by(Rule(USUAL), 150)[0] == [
        (0, FEE, 10),
        (0, PRINCIPAL, 100),
        (1, FEE, 10),
        (1, PRINCIPAL, 30),
    ]


def test_along_parts_every_bucket_is_emptied_before_the_next() -> None:
    # Fees of what is late, due and to come before any principal: 4 x 10, and 60 of the late 100.
    fees = tuple(bucket for bucket in USUAL if bucket.endswith("fee"))
    rule = Rule(fees + tuple(bucket for bucket in USUAL if bucket not in fees), along="parts")
    assert paid_by(rule, 100)[0] == [
        (0, FEE, 10),
        (1, FEE, 10),
        (2, FEE, 10),
        (3, FEE, 10),
        (0, PRINCIPAL, 60),
    ]


@pytest.mark.parametrize(
    ("future", "in_advance"),
    [
        # 220 pay what is late and due; of 60 more, each rule lets another row have them.
        ("next", [(2, FEE, 10), (2, PRINCIPAL, 50)]),
        ("last", [(3, FEE, 10), (3, PRINCIPAL, 50)]),
        # The time of row 2 runs since 10 February.
        ("next_last", [(2, FEE, 10), (2, PRINCIPAL, 50)]),
        # 30 to each: the fees take 10 of each, then 20 of each are principal.
        ("re_amortise", [(2, FEE, 10), (3, FEE, 10), (2, PRINCIPAL, 20), (3, PRINCIPAL, 20)]),
    ],
)
def test_what_is_paid_in_advance_goes_where_the_rule_says(future: Any, in_advance: list[Any]) -> None:
    paid, left = paid_by(Rule(USUAL, future=future), 280)
    assert (paid[4:], left) == (in_advance, 0)


def test_the_running_row_and_then_the_last() -> None:
    # 220, then 110 for the row that runs, and 5 for the last one's fee.
    assert paid_by(Rule(USUAL, future="next_last"), 335)[0][4:] == [
        (2, FEE, 10),
        (2, PRINCIPAL, 100),
        (3, FEE, 5),
    ]


def test_more_than_everything_is_left_over() -> None:
    paid, left = paid_by(Rule(USUAL), 441)
    assert (sum(minor for *_, minor in paid), left) == (440, 1)


@given(
    st.permutations(get_args(Bucket)),
    st.sampled_from(["next", "last", "next_last", "re_amortise"]),
    st.sampled_from(["rows", "parts"]),
    st.integers(0, 600),
)
def test_no_fen_is_lost_by_any_rule(order: Any, future: Any, along: Any, money: int) -> None:
    paid, left = paid_by(Rule(tuple(order), future=future, along=along), money)
    assert sum(minor for *_, minor in paid) == money - left == min(money, 440)


def test_parts_that_are_not_named_have_their_place() -> None:
    assert parts_in_full(("fee", "principal")) == ("penalty", "fee", "interest", "principal")
    assert parts_in_full(("interest", "principal", "fee", "penalty")) == (
        "interest",
        "principal",
        "fee",
        "penalty",
    )


def test_a_bucket_is_a_time_and_a_part() -> None:
    assert [
        split_bucket(bucket) for bucket in ("past_due_penalty", "due_interest", "in_advance_principal")
    ] == [
        ("past_due", PENALTY),
        ("due", INTEREST),
        ("in_advance", PRINCIPAL),
    ]
    assert [PARTS[place] for place in (PENALTY, FEE, INTEREST, PRINCIPAL)] == list(PARTS)


def test_a_purpose_has_its_own_rule_or_the_general_one_or_none() -> None:
    general, refund = Rule(USUAL), Rule(USUAL, purpose="merchant_refund", future="last")
    assert rule_for(Allocation(rules=(general, refund)), "merchant_refund") is refund
    assert rule_for(Allocation(rules=(refund, general)), "repayment") is general
    assert rule_for(Allocation(rules=(refund,)), "repayment") is None


def test_what_is_given_back_goes_the_other_way() -> None:
    rule = backwards(Rule(USUAL, future="next"))
    assert (rule.order, rule.future) == (USUAL[::-1], "last")
    assert backwards(rule) == Rule(USUAL, future="next")


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (Allocation(("fee",)), "allocation.parts"),
        (Allocation(("fee", "fee", "principal")), "allocation.parts"),
        (Allocation(along="columns"), "allocation.along"),  # type: ignore[arg-type]
        (Allocation(rules=(Rule(USUAL[1:]),)), "allocation.rules[0].order"),
        (Allocation(rules=(Rule((*USUAL[1:], USUAL[1])),)), "allocation.rules[0].order"),
        (Allocation(rules=(Rule(USUAL), Rule(USUAL))), "allocation.rules[1].purpose"),
        (Allocation(rules=(Rule(USUAL, purpose="gift"),)), "allocation.rules[0].purpose"),  # type: ignore[arg-type]
        (Allocation(rules=(Rule(USUAL, future="never"),)), "allocation.rules[0].future"),  # type: ignore[arg-type]
        (Allocation(rules=(Rule(USUAL, along="columns"),)), "allocation.rules[0].along"),  # type: ignore[arg-type]
    ],
)
def test_an_allocation_that_leaves_something_unsaid_is_named(wrong: Allocation, place: str) -> None:
    assert [problem.place for problem in check_allocation(wrong)] == [place]


def test_a_whole_allocation_has_nothing_wrong() -> None:
    assert check_allocation(Allocation(rules=(Rule(USUAL), Rule(USUAL, purpose="goodwill")))) == []

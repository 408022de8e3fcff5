"""Allocation: in which order money pays what is owed, as data.

What is owed of a row has four parts; a payment finds each row past due, due on its day, or not due yet. That makes twelve
*buckets*, and a rule is an order of them for one kind of payment, with two choices more: whether a row is finished before
the next (`along="rows"`), or a part in every row before the next part; and which of the rows that are not due yet come
first (`future`).

>>> order_of(("fee", "principal"))[:4]
('past_due_penalty', 'past_due_fee', 'past_due_interest', 'past_due_principal')
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from fenqi.problems import Problem

__all__ = [
    "FEE",
    "INTEREST",
    "PARTS",
    "PENALTY",
    "PRINCIPAL",
    "Allocation",
    "Bucket",
    "Future",
    "Part",
    "Purpose",
    "Rule",
    "Timing",
    "backwards",
    "check_allocation",
    "order_of",
    "parts_in_full",
    "rule_for",
    "split_bucket",
]

Part = Literal["penalty", "fee", "interest", "principal"]
PARTS: Final[tuple[Part, ...]] = ("penalty", "fee", "interest", "principal")
PENALTY: Final = 0
FEE: Final = 1
INTEREST: Final = 2
PRINCIPAL: Final = 3

Timing = Literal["past_due", "due", "in_advance"]
Bucket = Literal[
    "past_due_penalty",
    "past_due_fee",
    "past_due_interest",
    "past_due_principal",
    "due_penalty",
    "due_fee",
    "due_interest",
    "due_principal",
    "in_advance_penalty",
    "in_advance_fee",
    "in_advance_interest",
    "in_advance_principal",
]
Future = Literal["next", "last", "next_last", "re_amortise"]
"""Which row that is not due yet is paid: the next, the last, the running one and then the last, or all in equal shares."""

Purpose = Literal[
    "repayment",
    "down_payment",
    "merchant_refund",
    "payout_refund",
    "goodwill",
    "interest_refund",
    "interest_waiver",
    "paid_back",
    "goods_returned",
    "deposit",
]
"""What a payment or a credit is: from the customer, from the seller for goods that went back, or from ourselves."""


class Rule(msgspec.Struct, frozen=True):
    """How payments of one `purpose` are allocated (None: every purpose that has no rule of its own).

    `charges_by_own_date`, along rows: when a row that is not due yet is paid, its charges whose own date has come are paid first,
    penalties before fees, as due ones. What was paid or waived of a row's charges was of the oldest.
    """

    order: tuple[Bucket, ...]
    purpose: Purpose | None = None
    future: Future = "next"
    along: Literal["rows", "parts"] = "rows"
    charges_by_own_date: bool = False


class Allocation(msgspec.Struct, frozen=True):
    """In which order money pays what is owed.

    Without `rules`, the oldest row comes first whatever the day: `parts` is the order within a row (penalties before all,
    interest after fees, where they are not named), and `along` says which way to go: `rows` finishes the oldest row before
    the next, `parts` finishes the first part of every row before the second. `rules` stand for the purposes that they name.
    """

    parts: tuple[Part, ...] = ("fee", "principal")
    along: Literal["rows", "parts"] = "rows"
    rules: tuple[Rule, ...] = ()


def parts_in_full(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """All four parts: penalties first and interest after fees, where they were not named.

    >>> parts_in_full(("principal", "fee"))
    ('penalty', 'principal', 'fee', 'interest')
    """
    full: list[Part] = []
    if "penalty" not in parts:
        full.append("penalty")
    for part in parts:
        full.append(part)
        if part == "fee" and "interest" not in parts:
            full.append("interest")
    return tuple(full)


def order_of(parts: tuple[Part, ...]) -> tuple[Bucket, ...]:
    """The buckets of an order of parts that is the same whenever something is due."""
    return tuple([f"{timing}_{part}" for timing in get_args(Timing) for part in parts_in_full(parts)])  # type: ignore[misc]


def split_bucket(bucket: Bucket) -> tuple[Timing, int]:
    """When, and which part: its place in `PARTS`.

    >>> split_bucket("in_advance_principal")
    ('in_advance', 3)
    """
    timing, _, part = bucket.rpartition("_")
    return timing, PARTS.index(part)  # type: ignore[return-value]


def rule_for(allocation: Allocation, purpose: Purpose) -> Rule | None:
    """The rule by which payments of a purpose are allocated; None where `parts` and `along` say it."""
    fallback: Rule | None = None
    for rule in allocation.rules:
        if rule.purpose == purpose:
            return rule
        if rule.purpose is None:
            fallback = rule
    return fallback


def backwards(rule: Rule) -> Rule:
    """The rule by which what was paid is given back: the last bucket first, and the last of the rows where the next was first."""
    futures: dict[Future, Future] = {"next": "last", "last": "next"}
    return msgspec.structs.replace(rule, order=rule.order[::-1], future=futures.get(rule.future, rule.future))


def check_allocation(allocation: Allocation) -> list[Problem]:
    """Everything wrong with an allocation; an empty list means that any amount can be allocated by it."""
    found: list[Problem] = []
    parts = allocation.parts
    if len(set(parts)) != len(parts) or not {"fee", "principal"} <= set(parts) <= set(PARTS):
        found.append(
            Problem(
                "allocation.parts", repr(parts), "fee and principal, each once; also penalty and interest"
            )
        )
    if allocation.along not in ("rows", "parts"):
        found.append(Problem("allocation.along", repr(allocation.along), "rows or parts"))
    seen: set[Purpose | None] = set()
    for number, rule in enumerate(allocation.rules):
        place = f"allocation.rules[{number}]"
        if rule.purpose in seen:
            found.append(Problem(f"{place}.purpose", str(rule.purpose), "a purpose that has no rule yet"))
        seen.add(rule.purpose)
        if rule.purpose is not None and rule.purpose not in get_args(Purpose):
            found.append(Problem(f"{place}.purpose", rule.purpose, "one of " + ", ".join(get_args(Purpose))))
        if sorted(rule.order) != sorted(get_args(Bucket)):
            found.append(Problem(f"{place}.order", repr(rule.order), "the twelve buckets, each once"))
        if rule.future not in get_args(Future):
            found.append(Problem(f"{place}.future", rule.future, "one of " + ", ".join(get_args(Future))))
        if rule.along not in ("rows", "parts"):
            found.append(Problem(f"{place}.along", rule.along, "rows or parts"))
    return found

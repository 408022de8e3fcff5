from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.policy.conditions import (
    All,
    Any,
    Clause,
    ConditionError,
    Dialect,
    Not,
    Range,
    ValueTrouble,
    clauses_of,
    compare,
    evaluate_plain,
    facts_of,
    negated,
    parse,
    parse_instant,
    parse_minute,
    parse_ratio,
)

from .policies import DIALECT, NOON, VOCABULARY, clauses, some_facts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("customer.age >= 18", Clause("customer.age", ">=", 18)),
        ("customer.age == 18", Clause("customer.age", "is", 18)),
        ("cart.amount >= ¥300", Clause("cart.amount", ">=", 30_000)),
        ("cart.amount >= 5,000元", Clause("cart.amount", ">=", 500_000)),
        ("cart.amount in ¥300..¥5,000.50", Clause("cart.amount", "in", Range(30_000, 500_050))),
        ("limit.mall_available >= cart.amount", Clause("limit.mall_available", ">=", None, "cart.amount")),
        ("card.bank in [cmb, ccb]", Clause("card.bank", "in", frozenset({"cmb", "ccb"}))),
        ("card.bank is not icbc", Clause("card.bank", "is not", "icbc")),
        ("customer.student is no", Clause("customer.student", "is", False)),
        (
            "cart.kinds has none of [blind_box, pledge]",
            Clause("cart.kinds", "has none of", frozenset({"blind_box", "pledge"})),
        ),
        ("clock.time in 22:00..02:00", Clause("clock.time", "in", Range(1320, 120), open_end=True)),
        ("clock.time not in 07:00..24:00", Clause("clock.time", "not in", Range(420, 1440), open_end=True)),
        ("clock.now >= 2026-11-23T12:00", Clause("clock.now", ">=", NOON)),
        ("clock.now < 2026-11-23T04:00Z", Clause("clock.now", "<", NOON)),
        ("offer.annual_cost <= 15.5%", Clause("offer.annual_cost", "<=", 155_000_000_000)),
        (
            "region.ship_to not in [上海, 北京]",
            Clause("region.ship_to", "not in", frozenset({"上海", "北京"})),
        ),
        ("region.ship_to is 'Hong Kong'", Clause("region.ship_to", "is", "Hong Kong")),
        ("funder.ccb.health is not down", Clause("funder.ccb.health", "is not", "down")),
    ],
)
def test_a_clause_reads_as_its_fact_types_it(text: str, expected: Clause) -> None:
    assert parse(text, DIALECT) == expected


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("card.bank is cbc", 13, "card.bank is cbc: not one of cmb, ccb, icbc; did you mean icbc?"),
        ("customer.agee >= 18", 0, "customer.agee is not a fact; did you mean customer.age?"),
        (
            "cart.amount >= 500",
            15,
            "cart.amount is money and 500 is a number: they cannot be compared; write ¥500.00",
        ),
        (
            "cart.amount >= $500",
            15,
            "cart.amount is $500: expected an amount in CNY; amounts are never converted",
        ),
        ("cart.amount >= ¥1.001", 15, "cart.amount is ¥1.001: expected at most 2 decimals in CNY"),
        (
            "cart.amount >= customer.age",
            15,
            "cart.amount is an amount of money and customer.age is a whole number: they cannot be compared",
        ),
        ("customer.age >= ¥18", 16, "customer.age is a number and ¥18 is money: they cannot be compared"),
        ("customer.age >= old", 16, "customer.age is old: not a whole number"),
        ("customer.age >= customer.agee", 16, "customer.agee is not a fact; did you mean customer.age?"),
        (
            "cart.amount / 2 > ¥5",
            12,
            "cart.amount / 2 > ¥5: conditions do not calculate; whatever is calculated is a fact of its own",
        ),
        (
            "cart.amount > ¥5 + ¥5",
            17,
            "cart.amount > ¥5 + ¥5: conditions do not calculate; whatever is calculated is a fact of its own",
        ),
        (
            "cart.amount > ¥5 and card.kind is debit",
            17,
            "and has no place inside a clause; write the clauses as a list under all:",
        ),
        (
            "cart.amount > ¥5 or card.kind is debit",
            17,
            "or has no place inside a clause; write the clauses as a list under any:",
        ),
        ("customer.student > yes", 17, "customer.student is yes or no, which has no order; use is or in"),
        ("customer.student is maybe", 20, "customer.student is maybe: not yes or no"),
        (
            "cart.kinds is goods",
            11,
            "cart.kinds is a set of names; use has any of, has all of or has none of",
        ),
        ("card.bank has any of [cmb]", 10, "card.bank is a name out of a list, not a set; use is or in"),
        (
            "cart.kinds has some of [goods]",
            15,
            "has some is not an operator; has any of, has all of or has none of",
        ),
        ("cart.kinds has any of goods", 22, "goods is not a list; write [goods]"),
        ("cart.kinds has any of []", 0, "cart.kinds has any of []: the list is empty"),
        ("card.bank in [cmb, cmb]", 19, "cmb is in the list twice"),
        ("card.bank in cmb", 13, "cmb is not a list; write [cmb]"),
        (
            "customer.age in [17, 18]",
            16,
            "customer.age is a whole number, which a list cannot hold; write a range as low..high",
        ),
        ("cart.amount in ¥5..¥3", 19, "¥5..¥3 holds nothing; write ¥3..¥5"),
        ("clock.time in 07:00..07:00", 21, "07:00..07:00 holds nothing"),
        ("clock.time in 7..9", 14, "7 is not a time of day; write it like 07:30"),
        (
            "offer.annual_cost <= 0.24",
            21,
            "offer.annual_cost is 0.24: not a rate; write it like 24% or 15.5%",
        ),
        ("clock.now >= 2026-13-01", 13, "2026-13-01 is not in the calendar"),
        (
            "clock.now >= soon",
            13,
            "soon is not a date or a time; write it like 2026-11-23 or 2026-11-23T02:00",
        ),
        (
            "customer.age",
            12,
            "customer.age: ends where an operator such as is, >=, in, has any of is expected",
        ),
        ("customer.age >=", 15, "customer.age >=: ends where a whole number is expected"),
        (
            "customer.age ~ 3",
            13,
            "~ is not an operator; operators are is, is not, <, <=, >, >=, in, not in, has any of, has all of, has none of",
        ),
        ("customer.age >= 18 19", 19, "19 is more than one comparison holds; one clause a line"),
        ("", 0, "nothing: ends where a fact's name is expected"),
    ],
)
def test_an_error_says_where_what_and_what_was_perhaps_meant(text: str, offset: int, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text, DIALECT)
    assert str(caught.value) == message
    assert caught.value.offset == offset


@given(st.text(max_size=60))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for line in (text, f"customer.age {text}", f"cart.amount >= {text}", f"clock.now in {text}"):
        try:
            parse(line, DIALECT)
        except ConditionError as error:
            offset = error.offset
        else:
            continue
        assert 0 <= offset <= len(line)


T, F, U = {"cart.has_coupon": True}, {"cart.has_coupon": False}, {}


def test_kleene_logic_keeps_unknown_apart_from_false() -> None:
    coupon, adult = Clause("cart.has_coupon", "is", True), Clause("customer.age", ">=", 18)
    assert evaluate_plain(Any((coupon, adult)), {"cart.has_coupon": True}) is True
    assert evaluate_plain(Any((coupon, adult)), {"cart.has_coupon": False}) is None
    assert evaluate_plain(All((coupon, adult)), {"cart.has_coupon": False}) is False
    assert evaluate_plain(All((coupon, adult)), {"cart.has_coupon": True}) is None
    assert evaluate_plain(Not(adult), {}) is None
    assert evaluate_plain(Not(adult), {"customer.age": 17}) is True


@given(clauses(), some_facts(), some_facts("offer."))
def test_a_negated_operator_is_true_exactly_where_the_operator_is_false(
    one: Clause, facts: dict[str, object], offer: dict[str, object]
) -> None:
    known = {**facts, **offer, "clock.now": NOON, "clock.time": 720, "clock.weekday": 1}
    other = Clause(one.fact, negated(one.op), one.value, one.other, one.open_end)
    outcome, opposite = evaluate_plain(one, known), evaluate_plain(other, known)
    assert (opposite is None) if outcome is None else (opposite is not outcome)


def test_ranges_of_amounts_hold_both_ends_and_ranges_of_time_only_the_low_one() -> None:
    amounts, hours = parse("cart.amount in ¥3..¥5", DIALECT), parse("clock.time in 07:00..23:00", DIALECT)
    assert [evaluate_plain(amounts, {"cart.amount": fen}) for fen in (299, 300, 500, 501)] == [
        False,
        True,
        True,
        False,
    ]
    assert [evaluate_plain(hours, {"clock.time": m}) for m in (419, 420, 1379, 1380)] == [
        False,
        True,
        True,
        False,
    ]


def test_values_out_of_order_are_a_programming_error() -> None:
    with pytest.raises(TypeError):
        compare("<", "a", "b")
    with pytest.raises(TypeError):
        compare("has any of", 1, frozenset({"a"}))


def test_the_tree_gives_its_clauses_and_facts() -> None:
    tree = All((Clause("a.b", "is", 1), Not(Any((Clause("c.d", "<", None, "e.f"),)))))
    assert [clause.fact for clause in clauses_of(tree)] == ["a.b", "c.d"]
    assert facts_of(tree) == {"a.b", "c.d", "e.f"}


def test_a_bare_date_is_its_beginning_and_as_an_end_its_end() -> None:
    assert parse_instant("2026-11-23", "Asia/Shanghai") == NOON - 12 * 3600
    assert parse_instant("2026-11-23", "Asia/Shanghai", end=True) == NOON + 12 * 3600
    assert parse_instant("2026-11-23T12:00:30", "Asia/Shanghai") == NOON + 30
    assert parse_instant("2026-11-23 12:00+08:00", "Europe/Berlin") == NOON


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-03-29T02:30", "does not come in Europe/Berlin"),
        ("2026-10-25T02:30", "comes twice in Europe/Berlin"),
    ],
)
def test_a_wall_time_that_is_skipped_or_comes_twice_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueTrouble, match=said) as caught:
        parse_instant(text, "Europe/Berlin")
    assert caught.value.suggestion.startswith("write the offset, such as 2026-")


def test_rates_and_minutes() -> None:
    assert [str(parse_ratio(text)) for text in ("24%", "0.6 %", "15.50%", "0%")] == [
        "0.24",
        "0.006",
        "0.155",
        "0",
    ]
    assert [parse_ratio(text) for text in ("0.24", "24", "-1%", "1e3%", "%")] == [None] * 5
    assert [parse_minute(text) for text in ("00:00", "07:05", "24:00")] == [0, 425, 1440]
    for text in ("7:00", "24:01", "25:00", "07:60", ""):
        with pytest.raises(ValueTrouble):
            parse_minute(text)


def test_the_dialect_reads_money_in_the_shops_currency() -> None:
    yen = Dialect(VOCABULARY, "JPY", "Asia/Tokyo")
    assert parse("cart.amount >= JP¥5000", yen) == Clause("cart.amount", ">=", 5000)

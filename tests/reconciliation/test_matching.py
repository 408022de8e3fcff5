"""Two sides, and what breaks between them: whatever is put wrong is found, called by its name, and nothing else is."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fenqi_server.reconciliation.matching import Break, Matching, Ours, Theirs, match

DAY = date(2026, 11, 23)


def ours(
    key: str, amount: int = 500, *, reference: str | None = None, days: int = 0, party: str = ""
) -> Ours:
    return Ours(key, key if reference is None else reference, amount, "CNY", DAY + timedelta(days), party)


def theirs(
    key: str, amount: int = 500, *, reference: str | None = None, days: int = 0, party: str = ""
) -> Theirs:
    return Theirs(key, key if reference is None else reference, amount, "CNY", DAY + timedelta(days), party)


def kinds(found: Matching) -> list[str]:
    return [each.kind for each in found.breaks]


def test_among_2000_lines_every_injected_break_is_found_and_rightly_named() -> None:
    """`key` of ours and theirs is the number of the payment, so that each break says which injection it is."""
    draw = random.Random(20261123)
    mine = [
        Ours(
            f"o{n:04}",
            f"pay-{n:04}",
            draw.randrange(100, 2_000_000),
            "CNY",
            DAY + timedelta(n % 28),
            f"c-{n % 700}",
        )
        for n in range(2_000)
    ]
    told = [
        Theirs(
            f"t{n:04}",
            line.reference,
            line.amount_minor,
            "CNY",
            line.on + timedelta(draw.choice((0, 0, 1))),
            line.party,
        )
        for n, line in enumerate(mine)
    ]
    # Some providers leave the reference out, and still say who paid.
    for n in draw.sample(range(2_000), 200):
        told[n] = msgspec.structs.replace(told[n], reference="")
    plain = [n for n in range(2_000) if told[n].reference]
    wrong = draw.sample(plain, 180)
    expected: set[tuple[str, str, str]] = set()
    dropped_mine, dropped_told = set(), set()
    extra: list[Theirs] = []
    for place, n in enumerate(wrong):
        line, o, t = told[n], f"o{n:04}", f"t{n:04}"
        if place < 30:
            dropped_mine.add(n)
            expected.add(("missing_ours", "", t))
        elif place < 60:
            dropped_told.add(n)
            expected.add(("missing_theirs", o, ""))
        elif place < 90:
            by = draw.choice((-1, 1)) * draw.randrange(2, 5_000)
            told[n] = msgspec.structs.replace(line, amount_minor=max(1, line.amount_minor + by))
            expected.add(("amount", o, t))
        elif place < 120:
            told[n] = msgspec.structs.replace(line, amount_minor=line.amount_minor + draw.choice((-1, 1)))
            expected.add(("one_fen", o, t))
        elif place < 150:
            told[n] = msgspec.structs.replace(line, on=line.on + timedelta(draw.randrange(4, 20)))
            expected.add(("date", o, t))
        else:
            extra.append(msgspec.structs.replace(line, key=f"x{n:04}"))
            expected.add(("duplicate", "", f"x{n:04}"))
    left = [line for n, line in enumerate(mine) if n not in dropped_mine]
    right = [line for n, line in enumerate(told) if n not in dropped_told] + extra
    draw.shuffle(left)
    draw.shuffle(right)
    found = match(left, right)
    named = {
        (each.kind, each.ours.key if each.ours else "", each.theirs.key if each.theirs else "")
        for each in found.breaks
    }
    assert named == expected
    assert Counter(kind for kind, _, _ in named) == dict.fromkeys(
        ("missing_ours", "missing_theirs", "amount", "one_fen", "date", "duplicate"), 30
    )
    assert len(found.matches) == 2_000 - 150
    assert all(each.ours.key[1:] == each.theirs.key[1:] for each in found.matches)


def test_a_date_may_be_two_days_off_and_no_more() -> None:
    assert kinds(match([ours("p")], [theirs("p", days=2)])) == []
    assert kinds(match([ours("p")], [theirs("p", days=3)])) == ["date"]
    assert kinds(match([ours("p")], [theirs("p", days=3)], days=3)) == []


def test_without_a_reference_amount_and_date_are_enough_only_where_one_payment_can_be_meant() -> None:
    assert match([ours("p")], [theirs("t", reference="")]).matches[0].by == "amount"
    assert kinds(match([ours("p"), ours("q")], [theirs("t", reference="")])) == [
        "missing_theirs",
        "missing_theirs",
        "missing_ours",
    ]
    assert kinds(match([ours("p", days=9)], [theirs("t", reference="")])) == [
        "missing_theirs",
        "missing_ours",
    ]


def test_two_payments_of_one_amount_are_told_apart_by_who_paid() -> None:
    found = match([ours("p", party="ann"), ours("q", party="bo")], [theirs("t", reference="", party="bo")])
    assert [(each.ours.key, each.by) for each in found.matches] == [("q", "amount")]
    assert kinds(found) == ["missing_theirs"]


def test_another_reference_is_another_payment_unless_the_payer_is_the_same() -> None:
    assert kinds(match([ours("p")], [theirs("t")])) == ["missing_theirs", "missing_ours"]
    assert kinds(match([ours("p", party="ann")], [theirs("t", party="ann")])) == []
    assert kinds(match([ours("p", party="ann")], [theirs("t", 501, party="ann")])) == ["one_fen"]


def test_of_two_lines_with_one_reference_the_nearer_is_meant_and_the_other_is_one_too_many() -> None:
    found = match([ours("p", 500)], [theirs("t", 400, reference="p"), theirs("u", 500, reference="p")])
    assert [each.theirs.key for each in found.matches] == ["u"]
    assert found.breaks == (Break("duplicate", None, theirs("t", 400, reference="p")),)
    assert kinds(match([ours("o1", reference="p"), ours("o2", reference="p")], [theirs("p")])) == [
        "duplicate"
    ]


def test_another_currency_is_never_the_same_money() -> None:
    yen = msgspec.structs.replace(theirs("p"), currency="JPY")
    assert kinds(match([ours("p")], [yen])) == ["missing_theirs", "missing_ours"]


_LINES = st.tuples(
    st.sampled_from(["", "a", "b", "c"]),
    st.integers(1, 4),
    st.integers(0, 5),
    st.sampled_from(["", "x", "y"]),
)


@given(st.lists(_LINES, max_size=8), st.lists(_LINES, max_size=8), st.randoms(use_true_random=False))
def test_each_line_ends_in_one_place_and_order_does_not_matter(
    left: list[tuple[str, int, int, str]], right: list[tuple[str, int, int, str]], draw: random.Random
) -> None:
    mine = [ours(f"o{n}", a, reference=r, days=d, party=p) for n, (r, a, d, p) in enumerate(left)]
    told = [theirs(f"t{n}", a, reference=r, days=d, party=p) for n, (r, a, d, p) in enumerate(right)]
    found = match(mine, told)
    used = [each.ours.key for each in found.matches] + [each.ours.key for each in found.breaks if each.ours]
    assert sorted(used) == sorted(line.key for line in mine)
    used = [each.theirs.key for each in found.matches] + [
        each.theirs.key for each in found.breaks if each.theirs
    ]
    assert sorted(used) == sorted(line.key for line in told)
    # What matched and what differs accounts for the whole difference.
    assert sum(each.difference_minor for each in found.breaks) == sum(t.amount_minor for t in told) - sum(
        o.amount_minor for o in mine
    )
    draw.shuffle(mine)
    draw.shuffle(told)
    assert match(mine, told) == found


def test_a_line_that_was_paired_before_is_one_too_many_when_it_comes_again() -> None:
    found = match([], [theirs("p"), theirs("q")], settled={("p", "CNY", True)})
    assert [(each.kind, each.theirs.key) for each in found.breaks if each.theirs] == [
        ("duplicate", "p"),
        ("missing_ours", "q"),
    ]


def test_money_back_is_not_paired_with_the_payment_whose_reference_it_bears() -> None:
    found = match(
        [ours("o1", 500, reference="p"), ours("o2", -500, reference="p")], [theirs("t", 500, reference="p")]
    )
    assert [each.ours.key for each in found.matches] == ["o1"]
    assert found.breaks == (Break("missing_theirs", ours("o2", -500, reference="p"), None),)


def test_one_fen_is_one_and_two_are_another_amount() -> None:
    assert kinds(match([ours("p", 500)], [theirs("p", 501)])) == ["one_fen"]
    assert kinds(match([ours("p", 500)], [theirs("p", 502)])) == ["amount"]

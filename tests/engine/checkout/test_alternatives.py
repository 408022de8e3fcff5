"""What to use instead, in which order, at which difference."""

from __future__ import annotations

from fenqi.checkout.alternatives import Candidate, alternatives_to

FULL = Candidate("card", "payment", 1, 600_000, 600_000, 0)
THREE = Candidate("bank_3", "instalment", 3, 610_000, 203_334, 1)
TWELVE = Candidate("bank_12", "instalment", 12, 639_600, 53_300, 2)
CHEAP_TWELVE = Candidate("wallet_12", "instalment", 12, 630_000, 52_500, 3)
SIX = Candidate("bank_6", "instalment", 6, 620_000, 103_334, 4)


def plans(*found: object) -> list[str]:
    return [other.plan for other in found]  # type: ignore[attr-defined]


def test_the_same_term_comes_first_and_the_cheaper_one_before_the_other() -> None:
    found = alternatives_to("instalment", 12, 643_200, (), [FULL, THREE, TWELVE, CHEAP_TWELVE, SIX])
    assert plans(*found) == ["wallet_12", "bank_12", "bank_6"]
    assert [other.difference_minor for other in found] == [-13_200, -3_600, -23_200]


def test_what_the_rule_names_comes_before_what_is_alike_if_it_is_an_offer() -> None:
    found = alternatives_to("instalment", 12, 643_200, ("bank_3", "gone", "bank_3"), [FULL, THREE, TWELVE])
    assert plans(*found) == ["bank_3", "bank_12", "card"]


def test_no_more_than_three_even_if_a_rule_names_more() -> None:
    instead = ("card", "bank_3", "bank_6", "bank_12")
    assert plans(*alternatives_to("instalment", 12, 1, instead, [FULL, THREE, TWELVE, SIX])) == [
        "card",
        "bank_3",
        "bank_6",
    ]


def test_the_last_place_goes_to_a_way_without_extra_cost_where_the_others_all_have_some() -> None:
    found = alternatives_to("instalment", 12, 600_000, (), [FULL, THREE, TWELVE, CHEAP_TWELVE, SIX])
    assert plans(*found) == ["wallet_12", "bank_12", "card"]
    assert found[-1].difference_minor == 0


def test_no_offers_is_an_explicit_none() -> None:
    assert alternatives_to("instalment", 12, 600_000, ("bank_12",), []) == ()


def test_a_missing_way_without_a_price_has_no_difference() -> None:
    (other,) = alternatives_to("instalment", 12, None, (), [TWELVE])
    assert (other.difference_minor, other.total_minor, other.instalment_minor) == (None, 639_600, 53_300)


def test_renting_and_giving_back_is_not_instead_of_owning_unless_it_is_named() -> None:
    rent = Candidate("rent_12", "instalment", 12, 240_000, 20_000, 6, owns=False)
    to_own = Candidate("own_12", "instalment", 12, 700_000, 45_000, 7)
    offers = [THREE, TWELVE, SIX, rent, to_own]
    # Not even as the way without extra cost: it does not buy the thing.
    found = alternatives_to("instalment", 12, 600_000, (), offers)
    assert plans(*found) == ["bank_12", "own_12", "bank_6"]
    named = alternatives_to("instalment", 12, 600_000, ("rent_12",), offers)
    assert (named[0].plan, named[0].difference_minor) == ("rent_12", None)
    # Instead of renting: another rent, then what owns, without a difference.
    other = Candidate("rent_6", "instalment", 6, 130_000, 22_000, 8, owns=False)
    found = alternatives_to("instalment", 12, 240_000, (), [*offers, other], owns=False)
    assert [(one.plan, one.difference_minor) for one in found] == [
        ("rent_12", 0),
        ("rent_6", -110_000),
        ("bank_12", None),
    ]


def test_a_payment_tool_is_replaced_by_a_payment_tool_first() -> None:
    other_tool = Candidate("balance", "payment", 1, 600_000, 600_000, 5)
    found = alternatives_to("payment", 1, 600_000, (), [THREE, SIX, other_tool])
    assert plans(*found) == ["balance", "bank_3", "bank_6"]

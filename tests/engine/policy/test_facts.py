from __future__ import annotations

from fenqi.policy.facts import CLOCK_FACTS, VOCABULARY, check_facts, clock_facts, freeze_facts, vocabulary_for
from fenqi.texts import Text

from .policies import NOON


def test_every_fact_has_a_label_in_both_languages_and_enums_have_labelled_values() -> None:
    for fact in vocabulary_for([("ccb", Text("建行", "CCB"))]).values():
        assert fact.label.zh_cn
        assert fact.label.en
        assert set(fact.value_labels) == set(fact.values)
        if fact.type == "enum":
            assert fact.values


def test_each_funder_brings_its_live_facts() -> None:
    names = set(vocabulary_for([("ccb", Text("建行", "CCB"))])) - set(VOCABULARY)
    assert names == {
        "funder.ccb.connected",
        "funder.ccb.health",
        "funder.ccb.health_since",
        "funder.ccb.health_deadline",
        "funder.ccb.quota_left",
        "funder.ccb.quota_renews",
        "funder.ccb.prequal",
        "funder.ccb.prequal_deadline",
    }


def test_what_the_customer_cannot_change_or_others_must_not_see_is_marked() -> None:
    assert not VOCABULARY["customer.age"].changeable
    assert VOCABULARY["customer.age"].personal
    assert VOCABULARY["cart.amount"].changeable
    assert not VOCABULARY["cart.amount"].personal


def test_the_clock_is_the_shops_wall_clock() -> None:
    assert clock_facts(NOON, "Asia/Shanghai") == {"clock.now": NOON, "clock.time": 720, "clock.weekday": 1}
    assert clock_facts(NOON + 59, "Europe/Berlin") == {
        "clock.now": NOON + 59,
        "clock.time": 300,
        "clock.weekday": 1,
    }
    assert tuple(clock_facts(NOON, "UTC")) == CLOCK_FACTS


def test_facts_from_json_become_sets_and_lose_their_nulls() -> None:
    raw = {"cart.kinds": ["goods"], "customer.age": None, "cart.amount": 1}
    assert freeze_facts(raw) == {"cart.kinds": frozenset({"goods"}), "cart.amount": 1}


def test_each_misfit_names_the_fact_the_value_and_what_was_expected() -> None:
    wrong = {
        "cart.amount": -1,
        "cart.kinds": frozenset({"goods", "boxes"}),
        "card.bank": "cbc",
        "customer.student": 1,
        "customer.age": True,
        "clock.time": 1440,
        "region.ship_to": 5,
        "customer.agee": 18,
    }
    assert [problem.sentence.split("; did")[0] for problem in check_facts(VOCABULARY, wrong)] == [
        "cart.amount is -1: expected 0 to 1000000000000000 minor units",
        "cart.kinds is boxes, goods: expected names out of goods, blind_box, pledge, recurring",
        "card.bank is cbc: expected one of cmb, ccb, icbc",
        "customer.student is 1: expected true or false",
        "customer.age is True: expected a whole number",
        "clock.time is 1440: expected 0 to 1439",
        "region.ship_to is 5: expected a text",
        "customer.agee is 18: expected a fact of the policy's vocabulary",
    ]
    assert check_facts(VOCABULARY, {"customer.agee": 18})[0].way_out == "did you mean customer.age?"
    assert check_facts(VOCABULARY, {"cart.amount": 0, "card.bank": "ccb", "customer.student": False}) == []


def test_a_list_that_holds_no_names_is_refused_as_it_was_written() -> None:
    for value in ([["hean"]], [{"a": 1}], [1], [None]):
        facts = freeze_facts({"customer.consents": value})
        (problem,) = check_facts(VOCABULARY, facts)
        assert (problem.value, problem.expected) == (str(value), "a set of names")
    (problem,) = check_facts(VOCABULARY, freeze_facts({"card.bank": ["icbc", "ccb", "cmb"]}))
    assert problem.value == "ccb, cmb, icbc"


def test_a_fact_has_a_limit_of_its_kind() -> None:
    vocabulary = vocabulary_for([("ccb", Text("建行", "CCB"))])
    beyond = {
        "customer.last_used_family": "x" * 101,
        "customer.consents": frozenset({"x" * 101}),
        "cart.sellers": frozenset(map(str, range(501))),
        "customer.age": 10**19,
        "customer.tier": -(10**19),
        "funder.ccb.prequal_deadline": 1795399200_000,
    }
    assert [problem.place for problem in check_facts(vocabulary, beyond)] == list(beyond)
    assert check_facts(vocabulary, {"funder.ccb.prequal_deadline": NOON, "customer.tier": -1}) == []

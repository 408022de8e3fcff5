"""Cases: a thread that the customer reads, notes that no customer reads, and who looks after it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.api.world import AT, GROWN_UP, PHONE, make_world

from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.support import cases


def opened(mall: Any, **changes: Any) -> cases.Case:
    wanted: dict[str, Any] = {"locale": "en"} | changes
    return cases.open_case(
        mall.shop,
        wanted.pop("customer", mall.customer_id),
        wanted.pop("message", "Why is it gone?"),
        wanted.pop("at", AT),
        **wanted,
    )


def test_a_reply_answers_and_a_question_opens_again_even_a_closed_one(mall):
    case = opened(mall)
    name = case.public_id
    cases.write(mall.shop, name, "agent", "Because of the upgrade.", AT, actor="staff:li")
    assert cases.get(mall.shop, name)[0].state == "answered"
    cases.close(mall.shop, name, "staff:li", AT)
    assert cases.get(mall.shop, name)[0].state == "closed"
    cases.write(mall.shop, name, "customer", "And tomorrow?", AT)
    found, messages = cases.get(mall.shop, name)
    assert found.state == "open"
    assert [(message.author, message.actor) for message in messages] == [
        ("customer", ""),
        ("agent", "staff:li"),
        ("customer", ""),
    ]


def test_a_note_is_not_in_the_thread(mall):
    case = opened(mall)
    cases.note(mall.shop, case.public_id, "staff:li", "Called twice already", AT)
    _, messages = cases.get(mall.shop, case.public_id)
    assert [message.body for message in messages] == ["Why is it gone?"]
    assert [note.body for note in cases.notes(mall.shop, case)] == ["Called twice already"]


def test_who_waits_longest_stands_first_and_what_is_closed_last(mall):
    late = opened(mall, at=AT + timedelta(minutes=5))
    early = opened(mall, at=AT)
    answered = opened(mall, at=AT)
    closed = opened(mall, at=AT)
    cases.write(mall.shop, answered.public_id, "agent", "So.", AT, actor="staff:li")
    cases.close(mall.shop, closed.public_id, "staff:li", AT)
    assert [case.id for case in cases.desk(mall.shop)] == [early.id, late.id, answered.id, closed.id]
    assert cases.waiting(mall.shop) == 2
    cases.assign(mall.shop, late.public_id, "wang", "staff:li", AT)
    assert [case.id for case in cases.desk(mall.shop, assignee="wang")] == [late.id]


def test_a_number_of_a_payment_card_is_not_kept(mall):
    case = opened(mall, message="It took my card 4111 1111 1111 1111, why?")
    (message,) = cases.get(mall.shop, case.public_id)[1]
    assert message.body == "It took my card [card number removed], why?"


def test_similar_cases_are_those_of_the_same_plan_and_reason(mall):
    def asks(ref: str, limit: int, plan: str = "mall_12") -> cases.Case:
        who = customers.ensure(mall.shop, ref, AT, limit_minor=limit)
        decision = decisions.evaluate(mall.shop, who, [PHONE], "web", GROWN_UP, AT)
        return opened(mall, customer=who, decision=decision.public_id, plan=plan)

    mine = asks("a", 300_000)
    same = asks("b", 200_000)
    asks("c", 9_000_000)
    asks("d", 300_000, "mall_6")
    assert [case.id for case in cases.similar(mall.shop, mine, ("LINE_INSUFFICIENT",), AT)] == [same.id]
    assert cases.similar(mall.shop, mine, ("UNDERAGE",), AT) == ()


def test_what_is_another_customers_or_shops_is_refused(mall):
    other = make_world("other")
    decision = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    somebody = customers.ensure(mall.shop, "u-2", AT)
    with pytest.raises(ValueError, match="another customer"):
        opened(mall, customer=somebody, decision=decision.public_id)
    case = opened(mall)
    for act in (
        lambda: cases.get(other.shop, case.public_id),
        lambda: cases.write(other.shop, case.public_id, "customer", "hello", AT),
        lambda: cases.note(other.shop, case.public_id, "staff:x", "hello", AT),
        lambda: cases.assign(other.shop, case.public_id, "x", "staff:x", AT),
        lambda: cases.close(other.shop, case.public_id, "staff:x", AT),
    ):
        with pytest.raises(cases.NoCase):
            act()
    assert cases.by_name(other.shop, case.id) is None


@pytest.mark.parametrize("message", ["", "  \n", "x" * 2001, "\x00"])
def test_an_empty_message_or_a_long_one_is_refused(mall, message):
    with pytest.raises(ValueError, match="1 to 2000"):
        opened(mall, message=message)

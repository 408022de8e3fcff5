"""What a checkout may ask, and how a wrong question is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import fenqi_server.demo
from fenqi.checkout.request import (
    MAX_LINES,
    CheckoutRequest,
    Line,
    RequestError,
    cart_facts,
    checked_amount,
    facts_of,
    read_request,
)
from fenqi.money import MAX_MINOR
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import load_policy

PHONE = Line("cg-15", "Phone", "phones", "goods", 1, 499_900, "mall")
AT = 1795399200


@pytest.fixture(scope="module")
def policy() -> Policy:
    loaded = load_policy(Path(fenqi_server.demo.__file__ or "").parent / "policy")
    assert loaded.snapshot is not None
    return compile_policy(loaded.snapshot)


def ask(*lines: Line, **changes: Any) -> CheckoutRequest:
    given: dict[str, Any] = {"currency": "CNY", "channel": "web", "at": AT} | changes
    return CheckoutRequest(lines, **given)


def written(**changes: Any) -> dict[str, Any]:
    line = msgspec.to_builtins(PHONE) | changes.pop("line", {})
    request = {"lines": [line], "currency": "CNY", "channel": "web", "at": "2026-11-23T10:00:00+08:00"}
    return {key: value for key, value in (request | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("request_", "pointer", "value"),
    [
        (ask(), "/lines", "empty"),
        (ask(*[PHONE] * (MAX_LINES + 1)), "/lines", "201 lines"),
        (ask(PHONE, currency="RMB"), "/currency", "RMB"),
        (ask(PHONE, channel="phone"), "/channel", "phone"),
        (ask(PHONE, at=AT * 1000), "/at", str(AT * 1000)),
        (ask(PHONE, at=True), "/at", "True"),
        (ask(PHONE, ship_to="x" * 101), "/ship_to", "x" * 101),
        (ask(PHONE, coupon=""), "/coupon", "empty"),
        (ask(PHONE, last_used_family="x" * 101), "/last_used_family", "x" * 101),
        (ask(PHONE, msgspec.structs.replace(PHONE, quantity=0)), "/lines/1/quantity", "0"),
        (ask(msgspec.structs.replace(PHONE, quantity=-1)), "/lines/0/quantity", "-1"),
        (ask(msgspec.structs.replace(PHONE, quantity=10_001)), "/lines/0/quantity", "10001"),
        (ask(msgspec.structs.replace(PHONE, unit_price_minor=-1)), "/lines/0/unit_price_minor", "-1"),
        (ask(msgspec.structs.replace(PHONE, unit_price_minor=10.5)), "/lines/0/unit_price_minor", "10.5"),
        (
            ask(msgspec.structs.replace(PHONE, unit_price_minor=MAX_MINOR + 1)),
            "/lines/0/unit_price_minor",
            str(MAX_MINOR + 1),
        ),
        (ask(msgspec.structs.replace(PHONE, currency="EUR")), "/lines/0/currency", "EUR"),
        (ask(msgspec.structs.replace(PHONE, kind="mystery")), "/lines/0/kind", "mystery"),
        (ask(msgspec.structs.replace(PHONE, sku="")), "/lines/0/sku", "empty"),
        (
            ask(msgspec.structs.replace(PHONE, unit_price_minor=MAX_MINOR, quantity=2)),
            "/lines",
            f"{2 * MAX_MINOR} minor units in all",
        ),
        (ask(msgspec.structs.replace(PHONE, unit_price_minor=0)), "/lines", "0 minor units in all"),
    ],
)
def test_a_wrong_request_names_field_value_and_expectation(
    request_: CheckoutRequest, pointer: str, value: str
) -> None:
    with pytest.raises(RequestError) as refused:
        checked_amount(request_)
    assert (refused.value.pointer, refused.value.value) == (pointer, value)
    assert refused.value.expected


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (written(line={"quantity": "1"}), "/lines/0/quantity"),
        (written(line={"unit_price_minor": 4999.5}), "/lines/0/unit_price_minor"),
        (written(line={"unit_price_minor": 10**30}), "/lines/0/unit_price_minor"),
        (written(line={"colour": "red"}), "/lines/0/colour"),
        (written(lines=[]), "/lines"),
        (written(lines=...), "/lines"),
        (written(basket=1), "/basket"),
        (written(at="2026-11-23T10:00:00"), "/at"),
        (written(at="tomorrow"), "/at"),
        (written(facts={"customer.age": "34"}), "/facts/customer.age"),
        (written(facts={"customer.agee": 34}), "/facts/customer.agee"),
        (written(facts={"card.bank": "atlantis"}), "/facts/card.bank"),
        (written(facts={"cart.amount": 1}), "/facts/cart.amount"),
        (written(facts={"clock.now": 1}), "/facts/clock.now"),
        ([], ""),
    ],
)
def test_json_that_does_not_fit_is_refused_at_its_pointer(
    policy: Policy, document: Any, pointer: str
) -> None:
    with pytest.raises(RequestError) as refused:
        read_request(json.dumps(document).encode(), policy)
    assert refused.value.pointer == pointer


def test_what_is_not_json_is_refused(policy: Policy) -> None:
    with pytest.raises(RequestError, match="JSON"):
        read_request(b"{", policy)
    with pytest.raises(RequestError):
        read_request(b'{"lines": "\xff"}', policy)


def test_a_request_is_read_with_its_sets_and_its_instant(policy: Policy) -> None:
    request = read_request(written(facts={"customer.consents": ["hean"], "customer.age": None}), policy)
    assert request.at == AT
    assert request.facts == {"customer.consents": frozenset({"hean"})}


def test_the_cart_speaks_for_itself_whatever_was_asserted() -> None:
    request = ask(PHONE, facts={"cart.amount": 1, "customer.age": 34})
    facts = facts_of(request, checked_amount(request), "Asia/Shanghai")
    assert (facts["cart.amount"], facts["customer.age"]) == (499_900, 34)
    assert (facts["clock.time"], facts["clock.weekday"]) == (600, 1)


def test_a_cart_tells_its_kinds_categories_and_sellers() -> None:
    box = Line("b", "Box", "toys", "blind_box", 2, 5_900, "vista")
    request = ask(PHONE, box, coupon="NOV", ship_to="SH", last_used_family="mall")
    facts = cart_facts(request, checked_amount(request))
    assert facts["cart.kinds"] == {"goods", "blind_box"}
    assert facts["cart.sellers"] == {"mall", "vista"}
    assert facts["cart.categories"] == {"phones", "toys"}
    assert (facts["cart.amount"], facts["cart.line_count"], facts["cart.has_coupon"]) == (511_700, 2, True)
    assert (facts["region.ship_to"], facts["customer.last_used_family"]) == ("SH", "mall")


def test_nobody_grants_themselves_a_special_case(policy: Policy) -> None:
    granted = [{"id": "so-1", "rule": "customer.line", "until": AT + 60}]
    with pytest.raises(RequestError) as refused:
        read_request(json.dumps(written(overrides=granted)).encode(), policy)
    assert (refused.value.pointer, refused.value.expected) == ("/overrides", "no such field")


def test_a_request_recorded_before_there_were_special_cases_is_one_without() -> None:
    recorded = msgspec.to_builtins(ask(PHONE))
    del recorded["overrides"]
    assert msgspec.convert(recorded, CheckoutRequest) == ask(PHONE)

"""What comes in from the edge of what can be: U+0000, which nothing stores, and days of another age. Refused, never a crash."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from tests.api.world import AT, decoded
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import make_customer, open_one

import fenqi_server
from fenqi_server.api.problems import ApiProblem
from fenqi_server.api.reading import read_body

SERVER = Path(fenqi_server.__file__).parent


@pytest.fixture
def contract(mall: Any) -> str:
    return open_one(mall.shop, make_customer(mall.shop, "u-9"), plan=FREE_3, at=AT - timedelta(days=1))


@pytest.mark.parametrize(
    ("address", "pointer"),
    [
        ("/v1/overrides?customer=%00", "/customer"),
        ("/v1/compensations?customer=a%00b", "/customer"),
        ("/v1/contracts?order_ref=1&customer=%00", "/customer"),
        ("/v1/contracts?%00=1", ""),
        ("/v1/disclosures/%00", ""),
        ("/v1/contracts/%00", ""),
    ],
)
def test_u0000_in_an_address_is_a_problem_that_says_where(
    mall: Any, call: Any, address: str, pointer: str
) -> None:
    answer = call("GET", address, key=mall.key)
    assert (answer.status_code, decoded(answer)["code"]) == (400, "request_unreadable")
    (error,) = decoded(answer)["errors"]
    assert (error["pointer"], error["in"]) == (pointer, "query" if "?" in address else "path")


def test_a_percent_sign_that_is_a_percent_sign_is_none(mall: Any, call: Any) -> None:
    assert call("GET", "/v1/contracts?customer=%2500", key=mall.key).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        *(f"/console/contracts/?{name}=%00" for name in ("customer", "order", "due_before")),
        *("/papers/%00/", "/contracts/%00/", "/announcements/?shop=%00", "/console/tills/?day=%00"),
    ],
)
def test_u0000_in_a_page_s_address_is_a_page_that_says_so(mall: Any, as_staff: Any, address: str) -> None:
    answer = as_staff("finance", "support", shop=mall.shop).get(address)
    assert answer.status_code == 400
    assert "U+0000" in answer.content.decode()
    assert "Content-Security-Policy" in answer.headers


def test_u0000_in_a_form_or_a_cookie_changes_nothing(mall: Any, as_staff: Any, contract: str) -> None:
    finance = as_staff("finance", shop=mall.shop)
    told = {"settlement": "s", "layout": "own", "reason": "be\x00cause"}
    for form in (
        {"data": told},  # multipart
        {"data": "reason=be%00cause", "content_type": "application/x-www-form-urlencoded"},
    ):
        answer = finance.post(f"/console/contracts/{contract}/goodwill/", **form)
        assert (answer.status_code, "U+0000" in answer.content.decode()) == (400, True)
    finance.cookies["sessionid"] = "abcdefgh\x00"
    assert finance.get("/console/").status_code == 400


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1969-12-31", "2200-01-01"])
def test_a_day_of_another_age_is_no_day(mall: Any, call: Any, as_staff: Any, contract: str, day: str) -> None:
    staff = as_staff("finance", "supervisor", "support", shop=mall.shop)
    for address in (
        f"/console/tills/?day={day}",
        f"/console/contracts/?due_before={day}",
        f"/console/contracts/{contract}/?as_of={day}",
        f"/console/contracts/{contract}/?known_at={day}T00:00",
    ):
        assert staff.get(address).status_code == 400, address
    for address in (f"/console/books/balance/?{said}" for said in (f"as_of={day}", f"known_at={day}T00:00")):
        assert "Write a day like" in staff.get(address).content.decode(), address
    for address in (f"/console/closings/?before={day}", f"/console/timeline/?from={day}"):
        assert staff.get(address).status_code < 500, address
    answer = call("GET", f"/v1/contracts/{contract}?as_of={day}", key=mall.key)
    assert (answer.status_code, decoded(answer)["errors"][0]["pointer"]) == (422, "/as_of")
    answer = call("GET", f"/v1/contracts/{contract}?known_at={day}T00:00:00%2B14:00", key=mall.key)
    assert (answer.status_code, decoded(answer)["errors"][0]["pointer"]) == (422, "/known_at")


@pytest.mark.parametrize("month", ["0001-01", "9999-12"])
def test_a_month_of_another_age_has_no_file(mall: Any, as_staff: Any, month: str) -> None:
    finance = as_staff("finance", shop=mall.shop)
    assert finance.get(f"/console/books/months/{month}.csv").status_code == 404


def test_the_ends_of_our_age_are_days(mall: Any, as_staff: Any) -> None:
    staff = as_staff("finance", shop=mall.shop)
    for day in ("1970-01-01", "2199-12-31"):
        assert staff.get(f"/console/tills/?day={day}").status_code == 200


@pytest.mark.parametrize(("address", "name"), [("mandates", "customer"), ("autopay-attempts", "contract_id")])
def test_what_an_address_has_to_name_is_told_by_its_name(
    mall: Any, call: Any, address: str, name: str
) -> None:
    answer = call("GET", f"/v1/{address}", key=mall.key)
    assert (answer.status_code, decoded(answer)["code"]) == (422, "request_invalid")
    assert decoded(answer)["errors"] == [
        {"pointer": f"/{name}", "value": "missing", "expected": "a value", "in": "query"}
    ]


class Part(msgspec.Struct):
    part: Literal["fee", "penalty"]


class Body(msgspec.Struct):
    kind: Literal["", "request", "received"] = ""
    parts: tuple[Part, ...] = ()
    named: dict[str, Part | None] = {}


@pytest.mark.parametrize(
    ("body", "pointer", "known"),
    [
        ({"kind": "frob"}, "/kind", "one of received, request"),
        ({"parts": [{"part": "fee"}, {"part": "frob"}]}, "/parts/1/part", "one of fee, penalty"),
        ({"named": {"a": {"part": "frob"}}}, "/named/.../part", "one of fee, penalty"),
    ],
)
def test_a_word_that_is_none_of_those_known_is_told_with_those_known(
    body: dict[str, Any], pointer: str, known: str
) -> None:
    with pytest.raises(ApiProblem) as told:
        read_body(msgspec.json.encode(body), Body)
    (error,) = told.value.body.errors
    assert (error.pointer, error.expected) == (pointer, known)


def test_a_link_in_no_language_of_ours_is_told_which_there_are(mall: Any, call: Any) -> None:
    body = {"customer": {"ref": "u-9"}, "locale": "fr"}
    answer = decoded(call("POST", "/v1/portal-links", body, key=mall.key))
    assert answer["detail"] == "/locale is fr: expected one of en, zh-CN."


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("/v1/announcements?phase=frob", "one of now, coming, past"),
        ("/v1/cases?state=frob", "one of open, answered, closed"),
    ],
)
def test_a_word_in_an_address_that_is_none_of_those_known_is_no_unreadable_body(
    mall: Any, call: Any, address: str, known: str
) -> None:
    answer = call("GET", address, key=mall.key)
    assert (answer.status_code, decoded(answer)["code"]) == (422, "request_invalid")
    (error,) = decoded(answer)["errors"]
    assert (error["value"], error["expected"], error["in"]) == ("frob", known, "query")
    for kept in ("", address.partition("?")[0] + "?" + address.partition("?")[2].partition("=")[0] + "="):
        assert call("GET", kept or address.partition("?")[0], key=mall.key).status_code == 200


@pytest.mark.parametrize("name", ["cursor", "as_of", "名字"])
def test_an_unknown_parameter_in_an_address_is_named_not_ignored(mall: Any, call: Any, name: str) -> None:
    """A client that asks for the next page by another name than `after` would have the first one for ever."""
    answer = call("GET", f"/v1/contracts?limit=3&{name}=2026-12-01", key=mall.key)
    assert (answer.status_code, decoded(answer)["code"]) == (422, "request_invalid")
    (error,) = decoded(answer)["errors"]
    assert (error["pointer"], error["value"], error["in"]) == (f"/{name}", "an unknown parameter", "query")


def test_a_card_number_that_is_an_unknown_parameter_is_not_told_back(mall: Any, call: Any) -> None:
    answer = call("GET", "/v1/contracts?4111-1111-1111-1111=1", key=mall.key)
    assert answer.status_code == 422
    assert b"4111" not in answer.content


def test_every_list_that_takes_parameters_refuses_others_and_says_so_in_its_document(
    mall: Any, call: Any
) -> None:
    document = decoded(call("GET", "/v1/openapi.json", key=mall.key))
    asked, said = 0, list[str]()
    for path, methods in document["paths"].items():
        taken = methods.get("get", {})
        if not any(each.get("in") == "query" for each in taken.get("parameters", ())):
            continue
        asked += 1
        address = re.sub(r"\{[^}]+\}", "ct_x", path)
        answer = call("GET", f"{address}?frob=1", key=mall.key)
        assert answer.status_code == 422, (path, answer.content)
        assert decoded(answer)["errors"][0]["pointer"] == "/frob", path
        said = [*said, path] if "422" not in taken["responses"] else said
    assert asked >= 10
    assert said == []


# What the program itself wrote: cursors, documents that were checked, and a constant.
ITS_OWN = {"days.py", "reading.py", "refusals.py", "overrides.py", "announcements.py", "quotes.py"}


def test_whatever_people_write_as_a_day_is_read_in_one_place() -> None:
    rooms = (
        "api",
        "books",
        "console",
        "funders",
        "papers",
        "policies",
        "portal",
        "reconciliation",
        "servicing",
    )
    found = [
        str(file.relative_to(SERVER))
        for room in rooms
        for file in (SERVER / room).rglob("*.py")
        if "fromisoformat(" in file.read_text() and file.name not in ITS_OWN
    ]
    assert found == [], "read it with fenqi_server.days"

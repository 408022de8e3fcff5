"""Every address of the service against everybody who may ask for it: deny by default, and no address without a row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern
from tests.console.access_table import TABLE, Row
from tests.servicing.opened import AT, make_shop

from fenqi_server import clock
from fenqi_server.console import access, people
from fenqi_server.console.access import ROLES
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

STAFF = {route: row for route, row in TABLE.items() if row.kind == "staff"}
API = {route: row for route, row in TABLE.items() if row.kind == "api"}


@pytest.fixture
def shop(db: object) -> Iterator[Shop]:
    with clock.pinned(AT):
        yield make_shop()
    shops.forget_caches()


def _routes(patterns: Any, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        else:
            yield from _routes(pattern.url_patterns, route)


def _all() -> dict[str, URLPattern]:
    import fenqi_server.urls

    return dict(_routes(fenqi_server.urls.urlpatterns))


def _address(route: str) -> str:
    """An address of the route; what it names is not there."""
    filled = re.sub(r"<int:\w+>", "999999", route)
    filled = re.sub(r"<uuid:\w+>", str(uuid4()), filled)
    return "/" + re.sub(r"<[^>]+>", "nothing", filled)


class Asked:
    """What the guard said, request by request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.granted: bool | None = None
        refusal = access._refusal

        def watched(*args: Any) -> Any:
            self.granted = False
            answer = refusal(*args)
            self.granted = answer is None
            return answer

        monkeypatch.setattr(access, "_refusal", watched)

    def ask(self, client: Client, address: str) -> tuple[int, bool | None]:
        """The status, and whether the guard let the request through; None where it was never asked."""
        self.granted = None
        client.raise_request_exception = False
        answer = client.get(address)
        if answer.status_code == 405:
            self.granted = None
            answer = client.post(address)
        return answer.status_code, self.granted


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.mark.usefixtures("demo_site")
def test_every_address_has_a_row_and_every_row_an_address() -> None:
    found = set(_all())
    assert sorted(found - set(TABLE)) == [], "say in tests/console/access_table.py who may open these"
    assert sorted(set(TABLE) - found) == [], "no such address any more"


@pytest.mark.usefixtures("demo_site")
def test_under_the_console_s_address_every_view_says_whom_it_opens_to() -> None:
    for route, pattern in _all().items():
        if not route.startswith("console/"):
            continue
        row, view = TABLE[route], pattern.callback
        if row.kind == "staff":
            assert view.console_roles == row.roles, route
        else:
            assert row.kind in ("entrance", "own"), route
            assert view.console_entrance is True, route


@pytest.mark.parametrize("route", STAFF)
def test_each_role_gets_what_its_row_says_and_nothing_else(
    shop: Shop, as_staff: Callable[..., Client], asked: Asked, route: str
) -> None:
    row, address = STAFF[route], _address(route)
    for role in ROLES:
        status, granted = asked.ask(as_staff(role, shop=shop, username=role), address)
        may = not row.roles or role in row.roles
        assert granted is may, f"{role} at {address}"
        assert (status not in (401, 403)) if may else (status == 403), f"{role} at {address}: {status}"
        assert status < 500, f"{role} at {address}: {status}"


@pytest.mark.parametrize("route", STAFF)
def test_nobody_a_password_alone_and_a_stranger_get_nothing(
    shop: Shop, as_staff: Callable[..., Client], asked: Asked, route: str
) -> None:
    address = _address(route)
    status, granted = asked.ask(Client(), address)
    assert (status, granted) == (302, False)
    assert Client().get(address).headers.get("Location", "/console/sign-in/").startswith("/console/sign-in/")
    assert asked.ask(as_staff(shop=shop, username="stranger"), address) == (404, False)
    half = Client()
    user = people.add("half")
    people.grant(shop, user, "admin", AT, "cli:tests")
    half.force_login(user)
    assert asked.ask(half, address) == (302, False)


def test_what_names_nothing_of_this_shop_is_not_there(
    shop: Shop, as_staff: Callable[..., Client], asked: Asked
) -> None:
    stranger = as_staff(*ROLES, shop=make_shop("corner"), username="elsewhere")
    for route in STAFF:
        if "<" in route:
            assert asked.ask(stranger, _address(route)) == (404, True), route


@pytest.mark.parametrize("route", [route for route, row in TABLE.items() if row.kind == "own"])
def test_one_s_own_account_is_for_whoever_signed_in(
    shop: Shop, as_staff: Callable[..., Client], route: str
) -> None:
    address = _address(route)
    answer = Client().get(address)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/console/sign-in/?next=")
    assert as_staff("author", shop=shop).get(address).status_code < 500


@pytest.mark.parametrize("route", [route for route, row in TABLE.items() if row.kind in ("shopper", "demo")])
def test_what_is_the_demo_s_is_nowhere_else(shop: Shop, route: str) -> None:
    for client in (Client(), Client(headers={"authorization": "Bearer x"})):
        for answer in (client.get(_address(route)), client.post(_address(route))):
            assert answer.status_code in (404, 405), route


@pytest.mark.parametrize("route", [route for route, row in TABLE.items() if row.kind == "customer"])
def test_a_customer_s_page_says_to_a_stranger_how_to_come_and_shows_nothing(shop: Shop, route: str) -> None:
    for client in (Client(), Client(headers={"authorization": "Bearer x"})):
        for answer in (client.get(_address(route)), client.post(_address(route))):
            assert answer.status_code in (403, 405), route
            assert answer.status_code == 405 or "no-store" in answer.headers["Cache-Control"], route


@pytest.mark.usefixtures("demo_site")
def test_a_customer_s_page_and_no_other_is_opened_by_the_customer_s_guard() -> None:
    views = {route: getattr(pattern.callback, "portal_customer", False) for route, pattern in _all().items()}
    assert {route for route, guarded in views.items() if guarded} == {
        route for route, row in TABLE.items() if row.kind == "customer"
    }


# ------------------------------------------------------------------------------------------------------- the API


_CART = {
    "currency": "CNY",
    "lines": [
        {
            "sku": "p1",
            "title": "Phone",
            "category": "phones",
            "kind": "goods",
            "quantity": 1,
            "unit_price_minor": 299900,
            "seller": "mall",
        }
    ],
}
BODIES: dict[str, Any] = {
    "v1/evaluations": _CART,
    "v1/checkout-sessions": _CART | {"origin": "https://mall.example"},
    "v1/contracts/<str:contract_id>/payments": {
        "amount_minor": 100,
        "currency": "CNY",
        "kind": "received",
        "payment_ref": "p-1",
    },
}
"""Where a schema says less than what is read: a body that gets as far as the key."""


def _document() -> Any:
    return json.loads(Client().get("/v1/openapi.json").content)


def _example(schema: Any, document: Any) -> Any:
    """The least that a schema takes."""
    if "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _example(found, document)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _example(next(each for each in schema[several] if each.get("type") != "null"), document)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object")
    if kind == "object":
        known = schema.get("properties", {})
        return {name: _example(known[name], document) for name in schema.get("required", ()) if name in known}
    if kind == "array":
        return [_example(schema["items"], document)] if schema.get("items") else []
    if schema.get("format") == "date":
        return "2026-11-23"
    return {"string": "x" * schema.get("minLength", 1), "integer": 1, "number": 1, "boolean": True}[kind]


def _calls() -> list[tuple[str, str, str]]:
    return [(route, method, scope) for route, row in API.items() for method, scope in row.scopes.items()]


@pytest.fixture
def call(shop: Shop) -> Callable[..., int]:
    document = _document()

    def send(route: str, method: str, key: str | None) -> int:
        path = "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)
        operation = document["paths"][path][method.lower()]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        headers = {"Idempotency-Key": uuid4().hex} | ({"Authorization": f"Bearer {key}"} if key else {})
        client = Client(raise_request_exception=False, headers=headers)
        sent = json.dumps(BODIES.get(route) or _example(body, document)) if body else ""
        query = {
            each["name"]: _example(each["schema"], document)
            for each in operation.get("parameters", ())
            if each["in"] == "query" and each.get("required")
        }
        address = _address(route) + (f"?{urlencode(query)}" if query else "")
        return client.generic(method, address, sent, content_type="application/json").status_code

    return send


@pytest.mark.parametrize(("route", "method", "scope"), _calls())
def test_the_api_opens_to_a_key_with_the_scope_and_to_no_other(
    shop: Shop, call: Callable[..., int], route: str, method: str, scope: str
) -> None:
    others = tuple(each for each in shops.SCOPES if each != scope)
    assert call(route, method, None) == 401
    assert call(route, method, "fq_test_guessed") == 401
    assert call(route, method, shops.create_key(shop, "others", at=AT, scopes=others)) == 403
    assert call(route, method, shops.create_key(shop, "this", at=AT, scopes=(scope,))) not in (401, 403, 405)


SPOILT = {
    "nothing": ("", "application/json"),
    "no JSON": ("{", "application/json"),
    "another shape": ("[1]", "application/json"),
    "unknown fields": ('{"surprise": true}', "application/json"),
    "a card's number": ('{"note": "4111 1111 1111 1111"}', "application/json"),
    "another type": ("a=b", "application/x-www-form-urlencoded"),
    "too much": (" " * 70_000 + "{}", "application/json"),
}
"""What no address of the API takes, each for another reason."""


def test_every_address_of_the_document_has_its_scope_in_the_table() -> None:
    said = {
        (re.sub(r"{(\w+)}", r"<str:\1>", path).removeprefix("/"), method.upper())
        for path, item in _document()["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }
    kept = {(route, method) for route, method, _ in _calls()}
    assert kept <= said
    assert {route for route, _ in said - kept} == {
        "v1/announcements",
        "v1/announcements/<str:announcement_id>",
    }


def test_who_may_not_is_told_so_before_anything_that_was_sent_is_read(shop: Shop) -> None:
    # Each key lacks one scope.
    keys = {
        scope: shops.create_key(shop, scope, at=AT, scopes=tuple({*shops.SCOPES} - {scope}))
        for scope in shops.SCOPES
    }
    for route, method, scope in _calls():
        address = _address(route) + "?surprise=1&limit=x&lang=xx"
        for what, (body, kind) in SPOILT.items():
            for key, status in ((None, 401), (keys[scope], 403)):
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                client = Client(raise_request_exception=False, headers={**headers, "Accept": "text/csv"})
                answer = client.generic(method, address, body, content_type=kind)
                assert answer.status_code == status, f"{what} to {method} {route} with {key}"
                problem = json.loads(answer.content)
                assert problem["code"] == {401: "unauthorized", 403: "scope_missing"}[status]
                assert not problem.get("errors")


@pytest.mark.parametrize("route", API)
def test_the_api_s_other_methods_are_refused(shop: Shop, route: str) -> None:
    key = shops.create_key(shop, "all", at=AT)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(API[route].scopes):
        client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {key}"})
        answer = client.generic(method, _address(route), "{}", content_type="application/json")
        assert answer.status_code == 405, f"{method} {route}"


def test_every_scope_of_the_table_is_one_and_every_scope_opens_something() -> None:
    used = {scope for row in API.values() for scope in row.scopes.values()}
    # It opens nothing by itself: it shows more of what another scope opens.
    assert used == set(shops.SCOPES) - {"diagnosis:risk"}


def test_the_table_s_roles_are_roles() -> None:
    rows: list[Row] = list(TABLE.values())
    assert all(row.roles <= set(ROLES) for row in rows)

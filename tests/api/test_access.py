"""Who is let in: keys, scopes, client tokens, origins; and what another shop's ids get."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.agreed import agree, agreed_to
from tests.api.world import AT, PHONE, decoded, line_json, make_world

EVALUATIONS = "/v1/evaluations"
ORIGIN = "https://mall.example"


def test_without_a_key_nobody_is_let_in_and_told_how(mall, call):
    response = call("POST", EVALUATIONS, mall.body())
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["fq_test_wrong", "fq_live_wrong", "nonsense", "x" * 5_000, "é"])
def test_a_wrong_key_is_refused(mall, call, key):
    assert (
        call("POST", EVALUATIONS, mall.body(), headers={"Authorization": f"Bearer {key}"}).status_code == 401
    )


def test_only_the_hash_of_a_key_is_kept(mall):
    from hashlib import sha256

    from fenqi_server.shops.models import ApiKey

    row = ApiKey.objects.get(shop=mall.shop)
    assert bytes(row.key_hash) == sha256(mall.key.encode()).digest()
    assert mall.key not in str({field.name: getattr(row, field.name) for field in row._meta.fields})
    assert mall.key.startswith(f"{row.hint}")
    assert len(row.hint) <= 12


def test_a_key_without_the_scope_is_told_which_it_lacks(mall, call):
    from fenqi_server.shops import service as shops

    key = shops.create_key(mall.shop, "reader", at=AT, scopes=("contracts:read",))
    response = call("POST", EVALUATIONS, mall.body(), key=key)
    assert response.status_code == 403
    assert "evaluations:write" in decoded(response)["detail"]


def test_an_expired_and_a_revoked_key_open_nothing_and_use_is_noted(mall, call):
    from fenqi_server.shops import service as shops
    from fenqi_server.shops.models import ApiKey

    old = shops.create_key(mall.shop, "old", at=AT, expires_at=AT - timedelta(seconds=1))
    assert call("POST", EVALUATIONS, mall.body(), key=old).status_code == 401
    assert call("POST", EVALUATIONS, mall.body(), key=mall.key).status_code == 200
    row = ApiKey.objects.get(label="test")
    assert row.last_used_at == AT
    shops.revoke_key(row.id, AT)
    assert call("POST", EVALUATIONS, mall.body(), key=mall.key).status_code == 401


def test_a_test_key_does_not_open_a_live_shop(mall, call):
    from fenqi_server.shops import service as shops
    from fenqi_server.shops.models import Shop

    Shop.objects.filter(id=mall.shop.id).update(live=True)
    shops.forget_caches()
    assert call("POST", EVALUATIONS, mall.body(), key=mall.key).status_code == 401
    live = shops.create_key(Shop.objects.get(id=mall.shop.id), "live", at=AT)
    assert live.startswith("fq_live_")
    assert call("POST", EVALUATIONS, mall.body(), key=live).status_code == 200


# ------------------------------------------------------------------------------------------------- browsers


@pytest.fixture
def token(mall, call):
    from fenqi_server.shops import service as shops

    shops.allow_origin(mall.shop, ORIGIN, AT)
    response = call("POST", "/v1/checkout-sessions", mall.body(origin=ORIGIN), key=mall.key)
    assert response.status_code == 201, response.content
    return decoded(response)["client_token"]


def _browser(token: str, origin: str = ORIGIN, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Origin": origin, **more}


CART = {"lines": [line_json(PHONE)], "currency": "CNY"}


def test_a_browser_asks_for_its_cart_from_its_origin_with_the_facts_that_the_server_gave(mall, call, token):
    response = call("POST", EVALUATIONS, CART, headers=_browser(token))
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "mall_12" in {offer["plan"] for offer in decoded(response)["offers"]}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://mall.example.evil.example", "http://mall.example", "null", ""]
)
def test_a_client_token_is_worth_nothing_from_another_origin(mall, call, token, origin):
    response = call("POST", EVALUATIONS, CART, headers=_browser(token, origin))
    assert response.status_code == 403
    assert response.headers.get("Access-Control-Allow-Origin") is None


def test_a_client_token_is_bound_to_its_cart(mall, call, token):
    other = {"lines": [line_json(PHONE, unit_price_minor=1_000)], "currency": "CNY"}
    assert decoded(call("POST", EVALUATIONS, other, headers=_browser(token)))["code"] == "cart_differs"


def test_a_client_token_confirms_no_quote_of_another_cart(mall, call, token):
    dear = mall.body(lines=[line_json(PHONE, unit_price_minor=600_000)])
    offers = decoded(call("POST", EVALUATIONS, dear, key=mall.key))["offers"]
    quote = next(offer["quote"]["token"] for offer in offers if offer["plan"] == "mall_12")
    body = {"quote": quote, "order_ref": "o-1"}
    headers = _browser(token, **{"Idempotency-Key": "k"})
    response = call("POST", "/v1/contracts", body, headers=headers)
    assert (response.status_code, decoded(response)["code"]) == (403, "cart_differs")
    offers = decoded(call("POST", EVALUATIONS, CART, headers=_browser(token)))["offers"]
    quote = next(offer["quote"]["token"] for offer in offers if offer["plan"] == "mall_12")
    taken = body | {"quote": quote} | agreed_to(quote, AT)
    assert call("POST", "/v1/contracts", taken, headers=headers).status_code == 201
    spoilt = call("POST", "/v1/contracts", body | {"quote": "x"}, headers=headers | {"Idempotency-Key": "l"})
    assert decoded(spoilt)["code"] == "quote_malformed"


def test_a_session_that_is_opened_can_be_used_however_much_it_was_told(mall, call, monkeypatch):
    """A token longer than is ever read would open nothing, and only the customer would find out."""
    from fenqi_server.api import controllers
    from fenqi_server.shops import service as shops

    origin = f"https://{'mall.' * 36}example"
    shops.allow_origin(mall.shop, origin, AT)
    names = {"coupon": "券" * 100, "ship_to": "区" * 100, "last_used_family": "类" * 100}
    opened = call("POST", "/v1/checkout-sessions", mall.body(origin=origin, **names), key=mall.key)
    assert opened.status_code == 201
    token = decoded(opened)["client_token"]
    assert call("POST", EVALUATIONS, CART, headers=_browser(token, origin)).status_code == 200
    monkeypatch.setattr(controllers, "MAX_TOKEN_LENGTH", 400)
    problem = decoded(call("POST", "/v1/checkout-sessions", mall.body(origin=origin), key=mall.key))
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/facts")


@pytest.mark.parametrize(
    ("facts", "status"),
    [({"card.bank": "beichen"}, 200), ({"customer.age": 40}, 422), ({"customer.tier": 9}, 422)],
)
def test_a_browser_tells_only_what_its_customer_chooses(mall, call, token, facts, status):
    assert call("POST", EVALUATIONS, {**CART, "facts": facts}, headers=_browser(token)).status_code == status


def test_a_browser_cannot_name_another_customer(mall, call, token):
    body = {**CART, "customer": {"ref": "u-2"}}
    assert (
        decoded(call("POST", EVALUATIONS, body, headers=_browser(token)))["errors"][0]["pointer"]
        == "/customer"
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/webhook-endpoints", None),
        ("POST", "/v1/checkout-sessions", CART | {"origin": ORIGIN}),
        (
            "POST",
            "/v1/contracts/ct_x/payments",
            {"amount_minor": 1, "currency": "CNY", "kind": "received", "payment_ref": "p"},
        ),
    ],
)
def test_a_browser_can_do_nothing_else(mall, call, token, method, path, body):
    assert call(method, path, body, headers=_browser(token, **{"Idempotency-Key": "k"})).status_code == 403


def test_a_client_token_ends(mall, call, token):
    from fenqi_server import clock

    with clock.pinned(AT + timedelta(seconds=901)):
        assert call("POST", EVALUATIONS, CART, headers=_browser(token)).status_code == 401


def test_a_changed_client_token_is_refused(mall, call, token):
    broken = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    assert call("POST", EVALUATIONS, CART, headers=_browser(broken)).status_code == 401


def test_a_quote_is_no_client_token_and_no_key(mall, call):
    answer = decoded(call("POST", EVALUATIONS, mall.body(), key=mall.key))
    quote = answer["offers"][0]["quote"]["token"]
    assert call("POST", EVALUATIONS, CART, headers=_browser(quote)).status_code == 401
    assert call("POST", EVALUATIONS, CART, headers=_browser("fc1" + quote[3:])).status_code == 401


def test_a_session_is_opened_only_for_a_listed_origin(mall, call):
    response = call("POST", "/v1/checkout-sessions", mall.body(origin="https://evil.example"), key=mall.key)
    assert response.status_code == 422
    assert decoded(response)["errors"][0]["pointer"] == "/origin"


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("https://evil.example", False)])
def test_a_preflight_is_answered_for_listed_origins_alone(mall, call, token, origin, allowed):
    response = call(
        "OPTIONS", EVALUATIONS, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert response.status_code == 204
    assert (response.headers.get("Access-Control-Allow-Origin") == origin) is allowed
    assert response.headers.get("Access-Control-Allow-Credentials") is None


@pytest.mark.parametrize(
    "origin",
    [
        "mall.example",
        "https://mall.example/",
        "https://*.mall.example",
        "https://MALL.example",
        "https://a@b",
        "null",
    ],
)
def test_what_is_no_origin_cannot_be_listed(mall, origin):
    from fenqi_server.shops import service as shops

    with pytest.raises(ValueError, match="origin"):
        shops.allow_origin(mall.shop, origin, AT)


# ------------------------------------------------------------------------------------------------- other shops


@pytest.fixture
def other(mall):
    return make_world("other")


def test_another_shops_contract_hand_off_and_endpoint_are_not_there(mall, other, call):
    from tests.api.world import GROWN_UP

    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents

    shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    contract = agree(mall.shop, mall.customer_id, shown.quotes["mall_12"].token, "o-1", AT).contract_id
    consents.record(mall.shop, mall.customer_id, "acquirer", AT)
    hand_off = agree(mall.shop, mall.customer_id, shown.quotes["card_full"].token, "o-2", AT).hand_off_id
    endpoint = decoded(
        call(
            "POST",
            "/v1/webhook-endpoints",
            {"url": "https://hooks.example/x", "events": ["contract.opened"]},
            key=mall.key,
        )
    )["id"]
    payment = {"amount_minor": 100, "currency": "CNY", "kind": "request", "payment_ref": "p-1"}
    for key, status in ((mall.key, 200), (other.key, 404)):
        assert call("GET", f"/v1/contracts/{contract}", key=key).status_code == status
        assert call("GET", f"/v1/hand-offs/{hand_off}", key=key).status_code == status
        assert call("POST", f"/v1/hand-offs/{hand_off}/query", key=key).status_code == status
    paid = call(
        "POST", f"/v1/contracts/{contract}/payments", payment, key=other.key, headers={"Idempotency-Key": "k"}
    )
    assert paid.status_code == 404
    assert call("DELETE", f"/v1/webhook-endpoints/{endpoint}", key=other.key).status_code == 404
    assert call("DELETE", f"/v1/webhook-endpoints/{endpoint}", key=mall.key).status_code == 204
    with pytest.raises(decisions.NoDecision):
        decisions.load(shown.public_id, shop=other.shop)


def test_row_level_security_holds_where_the_shops_filter_is_left_out(mall, other):
    from django.db import connection
    from tests.api.world import GROWN_UP

    from fenqi_server.db import use_shop
    from fenqi_server.decisions import service as decisions

    decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    tables = ("decisions_decision", "customers_customer", "funders_health")
    for shop, seen in ((mall.shop, True), (other.shop, False)):
        use_shop(shop.id)
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"SELECT count(*) FROM {table} WHERE shop_id = %s", [mall.shop.id])
                assert (cursor.fetchone()[0] > 0) is seen, table
            cursor.execute("SELECT count(*) FROM decisions_decision")
            assert (cursor.fetchone()[0] > 0) is seen

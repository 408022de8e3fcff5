"""POST /v1/contracts and what follows: confirming, idempotency, 409 with what changed, reading, paying."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.agreed import agreed_to, read_of
from tests.api.world import AT, GROWN_UP, PHONE, decoded, demo_snapshot, line_json

URL = "/v1/contracts"


@pytest.fixture
def mall(committed_mall):
    """Whether a refusal leaves nothing shows only where a rollback is a rollback."""
    return committed_mall


@pytest.fixture
def shown(mall, call):
    """The quotes of a customer's phone, by plan."""
    answer = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
    return {offer["plan"]: offer for offer in answer["offers"]}


@pytest.fixture
def confirm(mall, call):
    from fenqi_server import clock

    numbers = iter(range(1, 1_000))

    def send(quote: str, key: str | None = None, **changes):
        body = (
            {"quote": quote, "order_ref": "o-1", "customer": {"ref": "u-1"}}
            | agreed_to(quote, clock.now())
            | changes
        )
        headers = {"Idempotency-Key": key or f"k-{next(numbers)}"}
        return call("POST", URL, body, key=mall.key, headers=headers)

    return send


def _counts() -> dict[str, int]:
    """How many rows there are of everything that a confirmation writes, but for the decision log."""
    from django.db import connection

    tables = (
        "servicing_contract",
        "servicing_event",
        "servicing_idempotency",
        "books_transaction",
        "decisions_quote_use",
        "funders_hand_off",
        "funders_consent",
        "outbox_message",
    )
    with connection.cursor() as cursor:
        found = {}
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")
            found[table] = cursor.fetchone()[0]
    return found


def test_an_offer_becomes_a_contract_whose_every_figure_is_the_offers(mall, call, shown, confirm):
    offer = shown["mall_12"]
    response = confirm(offer["quote"]["token"], lines=[line_json(PHONE)], **read_of(offer, AT))
    assert response.status_code == 201, response.content
    done = decoded(response)
    assert done["result"] == "contract"
    contract = decoded(call("GET", f"{URL}/{done['contract_id']}", key=mall.key))
    assert contract["balance_minor"] == offer["total_minor"]
    assert [(row["due_on"], row["principal_minor"], row["fee_minor"]) for row in contract["rows"]] == [
        (row["due_on"], row["principal_minor"], row["fee_minor"]) for row in offer["schedule"]
    ]
    assert contract["disclosure_digest"] == offer["disclosure"]["digest"]
    counts = _counts()
    assert counts["servicing_contract"] == counts["decisions_quote_use"] == 1
    assert counts["books_transaction"] >= 1


def test_its_exposure_counts_at_once(mall, call, shown, confirm):
    assert confirm(shown["mall_12"]["quote"]["token"]).status_code == 201
    body = mall.body(lines=[line_json(PHONE, quantity=4)])
    answer = decoded(call("POST", "/v1/evaluations", body, key=mall.key))
    codes = {way["plan"]: [r["code"] for r in way["reasons"]] for way in answer["unavailable"]}
    assert "LINE_INSUFFICIENT" in codes["mall_12"]


# --------------------------------------------------------------------------------------------- quotes refused


def _claims_of(token: str):
    from fenqi_server.decisions.quotes import read_quote

    return read_quote(token)


def _resealed(token: str, **changes) -> str:
    from fenqi_server.decisions.quotes import sign_quote

    return sign_quote(msgspec.structs.replace(_claims_of(token), **changes)).token


def _flip(token: str, at: int) -> str:
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        (lambda token: _flip(token, 40), 422, "quote_tampered"),
        (lambda token: _flip(token, len(token) - 10), 422, "quote_tampered"),
        (lambda token: token[:-1], 422, "quote_tampered"),
        (lambda token: token.replace("fq1.test.", "fq1.gone."), 422, "quote_unknown_key"),
        (lambda token: "fq2" + token[3:], 422, "quote_malformed"),
        (lambda token: "nonsense", 422, "quote_malformed"),
        (lambda token: _resealed(token, customer=bytes(16)), 422, "quote_foreign"),
        (lambda token: _resealed(token, shop=bytes(16)), 422, "quote_foreign"),
        (lambda token: _resealed(token, expires=int(AT.timestamp())), 409, "quote_expired"),
        (lambda token: _resealed(token, figures=bytes(32)), 409, "figures_changed"),
        (lambda token: _resealed(token, decision=bytes(16)), 409, "decision_unknown"),
    ],
)
def test_a_spoilt_quote_is_refused_says_how_and_leaves_nothing(mall, shown, confirm, spoil, status, code):
    before = _counts()
    response = confirm(spoil(shown["mall_12"]["quote"]["token"]))
    problem = decoded(response)
    assert (response.status_code, problem["code"]) == (status, code)
    assert problem["errors"][0]["pointer"] == "/quote"
    assert _counts() == before


def test_a_quote_is_used_once(mall, shown, confirm):
    token = shown["mall_3"]["quote"]["token"]
    assert confirm(token).status_code == 201
    before = _counts()
    again = confirm(token, order_ref="o-2")
    assert (again.status_code, decoded(again)["code"]) == (409, "quote_reused")
    assert _counts() == before


def test_a_quote_of_another_cart_is_refused(mall, shown, confirm):
    dearer = line_json(PHONE, quantity=2)
    problem = decoded(confirm(shown["mall_3"]["quote"]["token"], lines=[dearer]))
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("quote_foreign", "/lines")


def test_another_table_of_costs_cannot_be_acknowledged(mall, shown, confirm):
    wrong = shown["mall_12"]["disclosure"]["digest"]
    response = confirm(shown["mall_3"]["quote"]["token"], acknowledged_disclosure=wrong)
    assert (response.status_code, decoded(response)["code"]) == (422, "disclosure_differs")


def test_a_retired_key_still_verifies_while_it_is_listed(mall, shown, confirm, settings_with_new_key):
    assert confirm(shown["mall_3"]["quote"]["token"]).status_code == 201


@pytest.fixture
def settings_with_new_key():
    from django.test import override_settings

    def listed():
        from django.conf import settings

        return {"new": b"n" * 32, **settings.FENQI_SIGNING_KEYS}

    with override_settings(FENQI_SIGNING_KEYS=listed(), FENQI_SIGNING_KEY_ID="new"):
        yield


# ----------------------------------------------------------------------------------------------- what changed


def _publish(mall, **changes) -> None:
    from fenqi_server.policies import service as policies

    policies.publish(
        mall.shop, msgspec.structs.replace(demo_snapshot(), **changes), AT, "test", silent_reason="a test"
    )


def _rule(layer: str, reason: str, funder: str = "mall"):
    from fenqi.policy.snapshot import Rule, Selector, Window

    return Rule(
        id=f"test.{layer}",
        layer=layer,
        owner="test",
        reason=reason,
        applies=Selector(funders=(funder,)),
        blocked=Window(int(AT.timestamp()) - 60, None),
        change="shop",
    )


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("law", "RULE_CHANGE"),
        ("compliance", "DISCLOSURE_MISSING"),
        ("agreement", "AGREEMENT_ADJUST"),
        ("risk", "ACCOUNT_RISK"),
        ("maintenance", "MAINTENANCE"),
        ("health", "FUNDER_OUTAGE"),
    ],
)
def test_a_new_reason_between_quote_and_agreement_is_a_409_with_what_changed(
    mall, shown, confirm, layer, reason
):
    _publish(mall, rules=(*demo_snapshot().rules, _rule(layer, reason)))
    before = _counts()
    response = confirm(shown["mall_12"]["quote"]["token"])
    problem = decoded(response)
    assert (response.status_code, problem["code"]) == (409, "verdict_changed")
    changed = problem["changed"]
    assert (changed["plan"], changed["was"], changed["now"]) == ("mall_12", "available", "unavailable")
    assert [r["code"] for r in changed["reasons"]] == [reason]
    assert changed["alternatives"]
    assert {"support", "notify"} <= set(changed["ways_on"])
    assert _counts() == before


def test_a_strategy_pause_published_meanwhile_is_honoured(mall, call, shown, confirm):
    _publish(mall, rules=(*demo_snapshot().rules, _rule("strategy", "STRATEGY_PAUSE")))
    new = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
    assert "mall_12" not in {offer["plan"] for offer in new["offers"]}
    assert confirm(shown["mall_12"]["quote"]["token"]).status_code == 201


def test_a_dearer_price_published_meanwhile_is_honoured_at_the_quoted_figures(mall, call, shown, confirm):
    from decimal import Decimal

    from fenqi.terms.plan import FlatFee

    plans = tuple(
        msgspec.structs.replace(plan, pricing=FlatFee(rate_per_period=Decimal("0.009")))
        if plan.id == "mall_12"
        else plan
        for plan in demo_snapshot().plans
    )
    _publish(mall, plans=plans)
    offer = shown["mall_12"]
    new = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
    dearer = next((o for o in new["offers"] if o["plan"] == "mall_12"), None)
    assert dearer is None or dearer["total_minor"] > offer["total_minor"]
    done = decoded(confirm(offer["quote"]["token"]))
    contract = decoded(call("GET", f"{URL}/{done['contract_id']}", key=mall.key))
    assert contract["balance_minor"] == offer["total_minor"]


def test_a_plan_taken_off_the_shelf_is_honoured(mall, shown, confirm):
    snapshot = demo_snapshot()
    fewer = tuple(plan for plan in snapshot.plans if plan.id != "mall_12")
    rules = tuple(r for r in snapshot.rules if "mall_12" not in (*r.instead, *r.applies.plans))
    _publish(mall, plans=fewer, rules=rules)
    assert confirm(shown["mall_12"]["quote"]["token"]).status_code == 201


def test_a_plan_whose_funder_left_is_not_honoured(mall, shown, confirm):
    snapshot = demo_snapshot()
    gone = {plan.id for plan in snapshot.plans if plan.funder == "tingchao"}
    kept = []
    for rule in snapshot.rules:
        applies = msgspec.structs.replace(
            rule.applies,
            funders=tuple(f for f in rule.applies.funders if f != "tingchao"),
            families=tuple(f for f in rule.applies.families if "tingchao" not in f),
            plans=tuple(p for p in rule.applies.plans if p not in gone),
        )
        if applies == type(applies)():
            continue
        instead = tuple(p for p in rule.instead if p not in gone)
        if not rule.id.startswith("health.tingchao"):
            kept.append(msgspec.structs.replace(rule, applies=applies, instead=instead))
    _publish(
        mall,
        funders=tuple(f for f in snapshot.funders if f.id != "tingchao"),
        families=tuple(f for f in snapshot.families if f.funder != "tingchao"),
        plans=tuple(p for p in snapshot.plans if p.id not in gone),
        rules=tuple(kept),
        placements=(),
        notices=tuple(
            msgspec.structs.replace(n, plans=tuple(p for p in n.plans if p not in gone), rules=())
            for n in snapshot.notices
        ),
    )
    response = confirm(shown["tingchao_12"]["quote"]["token"])
    assert (response.status_code, decoded(response)["code"]) == (409, "plan_withdrawn")


def test_a_lower_limit_between_quote_and_agreement_is_a_409(mall, shown, confirm):
    from fenqi_server.customers import service as customers

    customers.set_limit(mall.shop, mall.customer_id, 100_000)
    problem = decoded(confirm(shown["mall_12"]["quote"]["token"]))
    assert [r["code"] for r in problem["changed"]["reasons"]] == ["LINE_INSUFFICIENT"]
    assert all(a["plan"].startswith("mall") is False for a in problem["changed"]["alternatives"])


def test_the_second_of_two_quotes_that_do_not_fit_the_limit_together_is_a_409(mall, call, shown, confirm):
    from fenqi_server.customers import service as customers

    customers.set_limit(mall.shop, mall.customer_id, 700_000)
    assert confirm(shown["mall_12"]["quote"]["token"]).status_code == 201
    assert decoded(confirm(shown["mall_6"]["quote"]["token"]))["code"] == "verdict_changed"


def test_maintenance_that_began_since_the_quote_is_a_409_with_its_end(mall, call, confirm):
    from datetime import UTC, datetime

    from fenqi_server import clock

    begins = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai
    with clock.pinned(begins - timedelta(minutes=5)):
        answer = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
        token = next(o["quote"]["token"] for o in answer["offers"] if o["plan"] == "mall_12")
    with clock.pinned(begins + timedelta(minutes=1)):
        changed = decoded(confirm(token))["changed"]
    assert [r["code"] for r in changed["reasons"]] == ["MAINTENANCE"]
    assert changed["until"] == {"kind": "instant", "at": "2026-11-24T02:00:00+08:00"}
    assert changed["reasons"][0]["notice"]["id"] == "mall-maintenance-2026-11-23"


def test_facts_told_at_confirmation_count(mall, shown, confirm):
    problem = decoded(confirm(shown["mall_12"]["quote"]["token"], facts=GROWN_UP | {"customer.age": 17}))
    assert problem["changed"]["reasons"][0]["code"] == "UNDERAGE"


# -------------------------------------------------------------------------------------------------- hand-offs


def test_another_funders_offer_needs_consent_and_becomes_a_hand_off(mall, call, shown, confirm):
    token = shown["tingchao_12"]["quote"]["token"]
    before = _counts()
    refused = confirm(token)
    assert (refused.status_code, decoded(refused)["code"]) == (409, "consent_missing")
    assert _counts() == before
    response = confirm(token, consents=[{"recipient": "tingchao", "purpose": "apply", "version": "2026-09"}])
    done = decoded(response)
    assert (response.status_code, done["result"], done["contract_id"]) == (201, "hand_off", None)
    hand_off = done["hand_off"]
    assert hand_off["state"] == "started"
    assert hand_off["url"] == f"/funders/pretend/{hand_off['id']}/"
    assert decoded(call("GET", f"/v1/hand-offs/{hand_off['id']}", key=mall.key)) == hand_off
    assert _counts()["servicing_contract"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://mall.example@evil",
    ],
)
def test_the_way_back_is_no_open_redirect(mall, shown, confirm, url):
    response = confirm(shown["card_full"]["quote"]["token"], return_url=url)
    assert (response.status_code, decoded(response)["errors"][0]["pointer"]) == (422, "/return_url")


# ------------------------------------------------------------------------------------------------ idempotency


def test_without_an_idempotency_key_nothing_is_done(mall, call, shown):
    body = {"quote": shown["mall_3"]["quote"]["token"], "order_ref": "o", "customer": {"ref": "u-1"}}
    response = call("POST", URL, body, key=mall.key)
    assert (response.status_code, decoded(response)["code"]) == (400, "idempotency_key_missing")


def test_the_same_request_again_gets_the_first_answer_and_says_so(mall, shown, confirm):
    token = shown["mall_3"]["quote"]["token"]
    first = confirm(token, key="same")
    again = confirm(token, key="same")
    assert first.content == again.content
    assert first.headers.get("Idempotent-Replayed") is None
    assert again.headers["Idempotent-Replayed"] == "true"
    assert _counts()["servicing_contract"] == 1


def test_the_same_key_with_another_body_is_refused(mall, shown, confirm):
    token = shown["mall_3"]["quote"]["token"]
    assert confirm(token, key="same").status_code == 201
    other = confirm(token, key="same", order_ref="o-2")
    assert (other.status_code, decoded(other)["code"]) == (422, "idempotency_key_reused")


def test_a_refusal_frees_its_key(mall, shown, confirm):
    token = shown["tingchao_12"]["quote"]["token"]
    assert confirm(token, key="k").status_code == 409
    from fenqi_server.funders import consents

    consents.record(mall.shop, mall.customer_id, "tingchao", AT)
    assert confirm(token, key="k").status_code == 201


# --------------------------------------------------------------------------------------------------- payments


@pytest.fixture
def contract(shown, confirm):
    return decoded(confirm(shown["mall_12"]["quote"]["token"]))["contract_id"]


@pytest.fixture
def pay(mall, call, contract):
    numbers = iter(range(1, 1_000))

    def send(amount_minor, kind="request", *, to=None, key=None, **changes):
        number = next(numbers)
        body = {"amount_minor": amount_minor, "currency": "CNY", "kind": kind, "payment_ref": f"p-{number}"}
        return call(
            "POST",
            f"{URL}/{to or contract}/payments",
            body | changes,
            key=mall.key,
            headers={"Idempotency-Key": key or f"pay-{number}"},
        )

    return send


def test_an_instalment_is_paid_and_read_back_as_of_any_day(mall, call, contract, pay):
    view = decoded(call("GET", f"{URL}/{contract}", key=mall.key))
    response = pay(view["next_due_minor"])
    assert response.status_code == 201, response.content
    done = decoded(response)
    assert done["applied_minor"] == view["next_due_minor"]
    after = decoded(call("GET", f"{URL}/{contract}", key=mall.key))
    assert after["balance_minor"] == view["balance_minor"] - view["next_due_minor"]
    assert after["rows"][0]["status"] == "paid"
    late = decoded(call("GET", f"{URL}/{contract}?as_of=2027-03-01", key=mall.key))
    assert late["days_past_due"] > 0


def test_a_request_above_the_debt_is_refused_with_the_amount_owed(mall, call, contract, pay):
    owed = decoded(call("GET", f"{URL}/{contract}", key=mall.key))["balance_minor"]
    problem = decoded(pay(owed + 1))
    assert (problem["status"], problem["code"], problem["owed_minor"]) == (409, "above_debt", owed)
    assert problem["errors"][0] == {
        "pointer": "/amount_minor",
        "value": str(owed + 1),
        "expected": f"at most {owed}",
    }


def test_money_that_has_arrived_is_booked_whatever_is_owed(mall, call, contract, pay):
    owed = decoded(call("GET", f"{URL}/{contract}", key=mall.key))["balance_minor"]
    done = decoded(pay(owed + 700, "received"))
    assert (done["applied_minor"], done["unapplied_minor"]) == (owed, 700)
    later = decoded(pay(500, "received"))
    assert later["unapplied_minor"] == 500


def test_money_for_a_contract_nobody_knows_is_kept_and_a_request_for_one_is_not_found(pay):
    assert decoded(pay(900, "received", to="ct_unknown"))["unapplied_minor"] == 900
    assert pay(900, "request", to="ct_unknown").status_code == 404


@pytest.mark.parametrize("written", ["张三 手机第2期", "x" * 300, "a:b;c", "ct_" + "é" * 52])
def test_whatever_a_payer_wrote_the_money_is_kept_and_a_request_for_it_is_not_found(pay, written):
    from urllib.parse import quote

    assert decoded(pay(900, "received", to=quote(written)))["unapplied_minor"] == 900
    assert pay(900, "request", to=quote(written)).status_code == 404


def test_a_card_number_in_the_address_is_refused_and_not_kept(pay):
    response = pay(900, "received", to="4111111111111111")
    assert (response.status_code, decoded(response)["code"]) == (422, "card_number")
    assert pay(900, "received", to="%00").status_code == 400


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"amount_minor": 0}, "/amount_minor"),
        ({"amount_minor": -5}, "/amount_minor"),
        ({"amount_minor": 1.5}, "/amount_minor"),
        ({"amount_minor": 10**15 + 1}, "/amount_minor"),
        ({"currency": "USD"}, "/currency"),
        ({"kind": "gift"}, "/kind"),
        ({"payment_ref": ""}, "/payment_ref"),
        ({"payment_ref": "é"}, "/payment_ref"),
    ],
)
def test_a_payment_that_makes_no_sense_names_its_field(pay, changes, pointer):
    response = pay(**({"amount_minor": 100} | changes))
    assert (response.status_code, decoded(response)["errors"][0]["pointer"]) == (422, pointer)


def test_a_day_that_is_none_is_named(mall, call, contract):
    response = call("GET", f"{URL}/{contract}?as_of=tomorrow", key=mall.key)
    error = decoded(response)["errors"][0]
    assert (response.status_code, error["pointer"], error["in"]) == (422, "/as_of", "query")

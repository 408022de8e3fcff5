"""Showing the table of costs, waiting for its reading time by the server's clock, and agreeing to that table and no other."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec
import pytest
from tests.agreed import agreed_to, read_of
from tests.api.world import AT, PHONE, decoded, demo_snapshot, line_json

URL = "/v1/contracts"


@pytest.fixture
def mall(committed_mall):
    """Whether a refusal leaves nothing shows only where a rollback is a rollback."""
    return committed_mall


@pytest.fixture
def shown(mall, call):
    answer = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
    return {offer["plan"]: offer for offer in answer["offers"]}


@pytest.fixture
def begin(mall, call):
    def send(offer, customer="u-1"):
        body = {"quote": offer["quote"]["token"], "customer": {"ref": customer}}
        return call("POST", "/v1/readings", body, key=mall.key)

    return send


@pytest.fixture
def confirm(mall, call):
    def send(offer, **more):
        key = more.pop("key", "k-1")
        body = {"quote": offer["quote"]["token"], "order_ref": "o-1", "customer": {"ref": "u-1"}} | more
        return call("POST", URL, body, key=mall.key, headers={"Idempotency-Key": key})

    return send


@contextmanager
def later(**delta):
    from fenqi_server import clock

    with clock.pinned(AT + timedelta(**delta)):
        yield


def written() -> list[int]:
    from django.db import connection

    tables = (
        "servicing_contract",
        "servicing_event",
        "books_transaction",
        "decisions_quote_use",
        "disclosures_acknowledgement",
        "funders_hand_off",
        "outbox_message",
    )
    with connection.cursor() as cursor:
        found = []
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")
            found.append(cursor.fetchone()[0])
    return found


def test_a_reading_begins_when_the_table_is_shown_by_the_servers_clock(mall, call, shown, begin):
    offer = shown["mall_12"]
    assert offer["disclosure"]["reading_seconds"] == 10
    with later(seconds=7):
        response = begin(offer)
    assert response.status_code == 201, response.content
    said = decoded(response)
    assert said["disclosure"] == offer["disclosure"]["digest"]
    assert datetime.fromisoformat(said["shown_at"]) == AT + timedelta(seconds=7)
    assert datetime.fromisoformat(said["confirm_from"]) == AT + timedelta(seconds=17)
    assert said["reading_seconds"] == 10
    assert said["pages"]["zh-CN"] == f"/disclosures/{said['disclosure']}/zh-CN/"


def test_too_early_is_refused_with_what_is_left_and_on_time_it_counts(mall, call, shown, begin, confirm):
    offer = shown["mall_12"]
    said = decoded(begin(offer))
    agreed = {"acknowledged_disclosure": said["disclosure"], "reading": said["reading"]}
    before = written()
    for passed, left in ((0, 10), (1, 9), (9, 1)):
        with later(seconds=passed):
            early = confirm(offer, **agreed)
        problem = decoded(early)
        assert (early.status_code, problem["code"]) == (409, "reading_too_short")
        assert (problem["seconds_left"], early.headers["Retry-After"]) == (left, str(left))
        assert problem["errors"][0]["pointer"] == "/reading"
        assert f"{left} are left" in problem["detail"]
    with later(seconds=9, milliseconds=999):
        assert decoded(confirm(offer, **agreed))["seconds_left"] == 1
    assert written() == before
    # The same request again, with the same key, now that the time has passed.
    with later(seconds=10):
        done = confirm(offer, **agreed)
    assert done.status_code == 201, done.content
    contract = decoded(call("GET", f"{URL}/{decoded(done)['contract_id']}", key=mall.key))
    kept = contract["acknowledgement"]
    assert kept["disclosure"] == contract["disclosure_digest"] == said["disclosure"]
    assert datetime.fromisoformat(kept["shown_at"]) == AT
    assert datetime.fromisoformat(kept["confirmed_at"]) == AT + timedelta(seconds=10)
    assert (kept["read_seconds"], kept["asked_seconds"]) == (10, 10)


def test_a_clock_that_goes_back_never_shortens_the_reading(mall, shown, begin, confirm):
    with later(seconds=60):
        said = decoded(begin(shown["mall_12"]))
    agreed = {"acknowledged_disclosure": said["disclosure"], "reading": said["reading"]}
    assert decoded(confirm(shown["mall_12"], **agreed))["seconds_left"] == 70


@pytest.mark.parametrize("plan", ["mall_3", "mall_12", "tingchao_12"])
def test_nothing_owed_over_time_is_confirmed_without_its_table(mall, shown, confirm, plan):
    offer = shown[plan]
    agreed = read_of(offer, AT)
    before = written()
    for missing, code in (
        ("acknowledged_disclosure", "disclosure_not_acknowledged"),
        ("reading", "disclosure_not_shown"),
    ):
        response = confirm(offer, **{name: value for name, value in agreed.items() if name != missing})
        problem = decoded(response)
        assert (response.status_code, problem["code"]) == (422, code)
        assert problem["errors"][0]["pointer"] == f"/{missing}"
    assert written() == before


def test_what_is_paid_at_once_needs_no_reading(mall, shown, confirm):
    offer = shown["card_full"]
    assert offer["disclosure"]["reading_seconds"] == 0
    consent = [{"recipient": "acquirer", "purpose": "apply", "version": "1"}]
    response = confirm(offer, consents=consent)
    assert response.status_code == 201, response.content
    assert decoded(response)["hand_off"]["acknowledgement"] is None


def test_a_hand_off_keeps_what_was_read_too(mall, call, shown, confirm):
    consent = [{"recipient": "tingchao", "purpose": "apply", "version": "1"}]
    offer = shown["tingchao_12"]
    done = decoded(confirm(offer, consents=consent, **read_of(offer, AT, read_seconds=25)))
    kept = done["hand_off"]["acknowledgement"]
    assert (kept["read_seconds"], kept["asked_seconds"]) == (25, 10)
    again = decoded(call("GET", f"/v1/hand-offs/{done['hand_off']['id']}", key=mall.key))
    assert again["acknowledgement"] == kept


def test_the_reading_of_one_quote_serves_no_other(mall, call, shown, begin, confirm):
    offer = shown["mall_12"]
    table = offer["disclosure"]["digest"]
    other_plan = read_of(shown["mall_3"], AT)["reading"]
    fresh = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
    same_plan = next(o for o in fresh["offers"] if o["plan"] == "mall_12")
    assert same_plan["disclosure"]["digest"] == table, "the same table, of another quote"
    before = written()
    for reading in (other_plan, read_of(same_plan, AT)["reading"]):
        response = confirm(offer, acknowledged_disclosure=table, reading=reading)
        assert (response.status_code, decoded(response)["code"]) == (422, "reading_foreign")
    # Nor does anybody begin the reading of another customer's quote.
    foreign = begin(offer, customer="u-2")
    assert (foreign.status_code, decoded(foreign)["code"]) == (422, "quote_foreign")
    assert written() == before


def test_a_note_that_was_not_signed_here_is_none(mall, shown, confirm):
    offer = shown["mall_12"]
    agreed = read_of(offer, AT)
    spoilt = agreed["reading"][:-1] + ("A" if agreed["reading"][-1] != "A" else "B")
    for reading, code in (
        (spoilt, "reading_tampered"),
        (agreed["reading"].replace("rd1.test.", "rd1.gone."), "reading_unknown_key"),
        (offer["quote"]["token"], "reading_malformed"),
        ("nonsense", "reading_malformed"),
    ):
        response = confirm(offer, acknowledged_disclosure=agreed["acknowledged_disclosure"], reading=reading)
        assert (response.status_code, decoded(response)["code"]) == (422, code)


def test_an_offer_that_has_run_out_is_not_read_any_more(mall, shown, begin):
    with later(seconds=900):
        response = begin(shown["mall_12"])
    assert (response.status_code, decoded(response)["code"]) == (409, "quote_expired")


def test_a_browser_begins_the_reading_with_its_own_token(mall, call):
    from fenqi_server.shops import service as shops

    origin = "https://mall.example"
    shops.allow_origin(mall.shop, origin, AT)
    session = decoded(call("POST", "/v1/checkout-sessions", mall.body(origin=origin), key=mall.key))
    headers = {"Authorization": f"Bearer {session['client_token']}", "Origin": origin}
    cart = {"lines": [line_json(PHONE)], "currency": "CNY"}
    offers = decoded(call("POST", "/v1/evaluations", cart, headers=headers))["offers"]
    quote = next(offer["quote"]["token"] for offer in offers if offer["plan"] == "mall_12")
    response = call("POST", "/v1/readings", {"quote": quote}, headers=headers)
    assert response.status_code == 201, response.content
    named = call("POST", "/v1/readings", {"quote": quote, "customer": {"ref": "u-1"}}, headers=headers)
    assert named.status_code == 422


@pytest.mark.parametrize(("seconds", "passed", "status"), [(3, 2, 409), (3, 3, 201), (0, 0, 201)])
def test_how_long_is_the_shops_policy(mall, call, begin, confirm, seconds, passed, status):
    from fenqi_server.policies import service as policies

    snapshot = demo_snapshot()
    policies.publish(
        mall.shop,
        msgspec.structs.replace(
            snapshot, shop=msgspec.structs.replace(snapshot.shop, reading_seconds=seconds)
        ),
        AT,
        "test",
        silent_reason="a test",
    )
    answer = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
    offer = next(offer for offer in answer["offers"] if offer["plan"] == "mall_12")
    said = decoded(begin(offer))
    assert said["reading_seconds"] == offer["disclosure"]["reading_seconds"] == seconds
    with later(seconds=passed):
        response = confirm(offer, acknowledged_disclosure=said["disclosure"], reading=said["reading"])
    assert response.status_code == status, response.content


def test_the_database_refuses_a_reading_that_was_too_short(mall):
    from uuid import uuid4

    from django.db import IntegrityError, ProgrammingError, connection, transaction

    from fenqi_server.db import use_shop

    use_shop(mall.shop.id)
    row = [
        mall.customer_id,
        uuid4(),
        mall.shop.id,
        "sha256:" + "0" * 64,
        AT,
        9,
        10,
        AT + timedelta(seconds=9),
    ]
    insert = f"INSERT INTO disclosures_acknowledgement VALUES ({', '.join(['%s'] * 8)})"
    with connection.cursor() as cursor:
        with pytest.raises(IntegrityError, match="disclosures_acknowledgement_read"), transaction.atomic():
            cursor.execute(insert, row)
        row[5] = 10
        row[7] = AT - timedelta(seconds=1)
        with pytest.raises(IntegrityError, match="disclosures_acknowledgement_read"), transaction.atomic():
            cursor.execute(insert, row)
        for change in (
            "UPDATE disclosures_acknowledgement SET read_seconds = 99",
            "DELETE FROM disclosures_table",
            "UPDATE disclosures_table SET body = '{}'",
        ):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                cursor.execute(change)


# --------------------------------------------------------------------------------------------- a table by its name


def test_a_table_that_was_shown_is_kept_under_its_name(mall, call, shown, begin):
    from fenqi.terms.disclosure import Disclosure, digest

    offer = shown["mall_12"]
    name = offer["disclosure"]["digest"]
    assert call("GET", f"/v1/disclosures/{name}", key=mall.key).status_code == 404, "nobody was shown it yet"
    begin(offer)
    said = decoded(call("GET", f"/v1/disclosures/{name}", key=mall.key))
    table = msgspec.convert(said["disclosure"], Disclosure)
    assert digest(table) == name == said["digest"]
    assert table.total_cost_minor == offer["fee_minor"]
    assert said["loan_cost"]["zh-CN"]["cost_rate"] == format_rate(table.annual_cost.simple_e12)
    assert said["loan_cost"]["en"]["overdue_penalty_interest_text"] == (
        "0.03% a day of the principal that is late; the first 3 days are free"
    )
    assert call("GET", "/v1/disclosures/sha256:" + "0" * 64, key=mall.key).status_code == 404


def format_rate(rate_e12: int | None) -> str:
    assert rate_e12 is not None
    return f"0.{rate_e12:012d}".rstrip("0")


def test_another_shop_does_not_find_it(mall, call, shown, begin):
    from tests.api.world import make_world

    other = make_world("other")
    begin(shown["mall_12"])
    name = shown["mall_12"]["disclosure"]["digest"]
    assert call("GET", f"/v1/disclosures/{name}", key=mall.key).status_code == 200
    assert call("GET", f"/v1/disclosures/{name}", key=other.key).status_code == 404


def test_agreeing_needs_both_words_of_the_same_table(mall, shown, confirm):
    both = agreed_to(shown["mall_12"]["quote"]["token"], AT)
    wrong = both | {"acknowledged_disclosure": shown["mall_3"]["disclosure"]["digest"]}
    assert decoded(confirm(shown["mall_12"], **wrong))["code"] == "disclosure_differs"

"""Many at once, and killed in the middle: one effect or none."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from tests.agreed import agreed_to, read_of
from tests.api.test_contracts import _counts
from tests.api.world import AT, GROWN_UP, PHONE


def _in_threads(act, many):
    from django.db import connection

    barrier = threading.Barrier(many)

    def run(number):
        barrier.wait()
        try:
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(run, range(many)))


def _shown(mall):
    from fenqi_server.decisions import service as decisions

    return decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)


def test_twenty_with_the_same_key_make_one_contract(committed_mall, call):
    mall = committed_mall
    token = _shown(mall).quotes["mall_12"].token
    body = {"quote": token, "order_ref": "o-1", "customer": {"ref": "u-1"}} | agreed_to(token, AT)

    def once(_):
        return call("POST", "/v1/contracts", body, key=mall.key, headers={"Idempotency-Key": "one"})

    answers = _in_threads(once, 20)
    assert {a.status_code for a in answers} <= {201, 409}
    done = {a.content for a in answers if a.status_code == 201}
    assert len(done) == 1
    for waiting in (a for a in answers if a.status_code == 409):
        assert json.loads(waiting.content)["code"] == "idempotency_key_in_flight"
        assert waiting.headers["Retry-After"] == "1"
    assert _counts()["servicing_contract"] == 1


def test_twenty_keys_for_one_quote_make_one_contract(committed_mall, call):
    mall = committed_mall
    token = _shown(mall).quotes["mall_12"].token
    read = agreed_to(token, AT)

    def own(number):
        body = {"quote": token, "order_ref": f"o-{number}", "customer": {"ref": "u-1"}} | read
        return call("POST", "/v1/contracts", body, key=mall.key, headers={"Idempotency-Key": f"k{number}"})

    codes = [json.loads(a.content).get("code", a.status_code) for a in _in_threads(own, 20)]
    assert sorted(map(str, codes)) == ["201"] + ["quote_reused"] * 19
    counts = _counts()
    assert counts["servicing_contract"] == counts["decisions_quote_use"] == 1


def test_quotes_racing_for_one_limit_never_exceed_it(committed_mall, call):
    from fenqi_server.customers import service as customers

    mall = committed_mall
    customers.set_limit(mall.shop, mall.customer_id, 600_000)
    tokens = [_shown(mall).quotes["mall_12"].token for _ in range(8)]
    read = [agreed_to(token, AT) for token in tokens]

    def own(number):
        body = {"quote": tokens[number], "order_ref": f"o-{number}", "customer": {"ref": "u-1"}} | read[
            number
        ]
        return call("POST", "/v1/contracts", body, key=mall.key, headers={"Idempotency-Key": f"k{number}"})

    codes = [json.loads(a.content).get("code", a.status_code) for a in _in_threads(own, 8)]
    assert sorted(map(str, codes)) == ["201"] + ["verdict_changed"] * 7
    assert _counts()["servicing_contract"] == 1


_WHOLE = """
SELECT (SELECT count(*) FROM servicing_contract),
       (SELECT count(DISTINCT contract_id) FROM servicing_event WHERE kind = 'confirmed'),
       (SELECT count(*) FROM servicing_state),
       (SELECT count(*) FROM decisions_quote_use),
       (SELECT count(*) FROM servicing_idempotency WHERE status = 201),
       (SELECT count(*) FROM servicing_idempotency),
       (SELECT count(*) FROM decisions_decision WHERE source = 'confirm')
"""


def test_a_server_killed_in_the_middle_leaves_each_confirmation_whole_or_absent(
    committed_mall, serve, as_owner
):
    from fenqi_server import clock

    mall = committed_mall
    for round_number in range(3):
        server = serve()
        with clock.pinned(clock.system_now()):
            sent: list[tuple[str, dict]] = []
            acknowledged: list[str] = []

            def confirm(number, server=server, round_number=round_number, acknowledged=acknowledged):
                try:
                    headers = mall.headers()
                    body = mall.body(customer={"ref": f"r{round_number}-{number}"})
                    asked = urllib.request.Request(
                        server.url + "/v1/evaluations", json.dumps(body).encode(), headers
                    )
                    with urllib.request.urlopen(asked, timeout=5) as response:
                        answer = json.loads(response.read())
                    offer = next(o for o in answer["offers"] if o["plan"] == "mall_12")
                    taken = {
                        "quote": offer["quote"]["token"],
                        "order_ref": f"o-{round_number}-{number}",
                        "customer": {"ref": f"r{round_number}-{number}"},
                    } | read_of(offer, clock.system_now())
                    asked = urllib.request.Request(
                        server.url + "/v1/contracts",
                        json.dumps(taken).encode(),
                        headers | {"Idempotency-Key": f"k-{round_number}-{number}"},
                    )
                    with urllib.request.urlopen(asked, timeout=5) as response:
                        acknowledged.append(json.loads(response.read())["contract_id"])
                except (OSError, urllib.error.URLError, ValueError, StopIteration):
                    return

            from fenqi_server.customers import service as customers

            for number in range(60):
                customers.ensure(mall.shop, f"r{round_number}-{number}", AT, limit_minor=2_000_000)
            with ThreadPoolExecutor(8) as pool:
                for number in range(60):
                    pool.submit(confirm, number)
                time.sleep(0.4 + 0.3 * round_number)
                server.kill()
            assert sent == []
        contracts, events, states, uses, answered, keys, decided = as_owner.execute(_WHOLE).fetchone()
        assert contracts == events == states == uses == answered == keys == decided
        unbalanced = as_owner.execute(
            "SELECT count(*) FROM books_transaction WHERE (SELECT sum(a) FROM unnest(amounts) AS a) <> 0"
        ).fetchone()[0]
        assert unbalanced == 0
        there = {row[0] for row in as_owner.execute("SELECT contract_id FROM servicing_contract")}
        from fenqi_server.ids import parse_public_id

        assert {parse_public_id(name, "ct")[1] for name in acknowledged} <= there
    assert contracts > 0

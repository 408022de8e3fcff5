"""The decision log: written within a second, off the request's path; on SIGTERM nothing is lost; replays exactly."""

from __future__ import annotations

import json
import signal
import time
import urllib.request

import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE


def _evaluate(mall, **changes):
    from fenqi_server.decisions import service as decisions

    return decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP | changes, AT)


def _written(as_owner) -> int:
    return as_owner.execute("SELECT count(*) FROM decisions_decision").fetchone()[0]


def test_a_decision_is_written_within_a_second_and_decides_the_same_again(committed_mall, as_owner):
    from fenqi_server.decisions import service as decisions

    decision = _evaluate(committed_mall)
    began = time.monotonic()
    while not _written(as_owner):
        assert time.monotonic() - began < 1, "later than a second"
        time.sleep(0.02)
    again = decisions.load(decision.public_id, shop=committed_mall.shop)
    assert again.evaluation == decision.evaluation
    assert again.facts == decision.facts
    assert again.policy is decision.policy


def test_it_can_be_read_while_it_still_waits(committed_mall):
    from fenqi_server.decisions import service as decisions

    decision = _evaluate(committed_mall)
    assert decisions.load(decision.public_id, shop=committed_mall.shop).evaluation == decision.evaluation


def test_it_lands_in_the_partition_of_its_month_and_outside_all_in_the_default(committed_mall, as_owner):
    from datetime import UTC, datetime

    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions

    for at in (datetime.now(UTC), datetime(2199, 1, 1, tzinfo=UTC)):
        decisions.evaluate(committed_mall.shop, None, [PHONE], "web", {}, at)
    log.flush()
    found = [
        row[0]
        for row in as_owner.execute("SELECT tableoid::regclass::text FROM decisions_decision ORDER BY 1")
    ]
    assert found == [f"decisions_decision_{datetime.now(UTC):%Y_%m}", "decisions_decision_default"]


def test_a_full_queue_makes_the_asker_write_and_wait(committed_mall, as_owner, monkeypatch):
    from fenqi_server.decisions import log

    monkeypatch.setattr(log, "QUEUE_ROWS", 0)
    _evaluate(committed_mall)
    assert _written(as_owner) == 1


def test_what_could_not_be_written_stays_and_is_written_later(committed_mall, as_owner, monkeypatch):
    from fenqi_server.decisions import log

    real, calls = log.insert, []

    def failing(records):
        calls.append(len(records))
        if len(calls) == 1:
            raise RuntimeError("the database is away")
        real(records)

    monkeypatch.setattr(log, "insert", failing)
    _evaluate(committed_mall)
    began = time.monotonic()
    while not _written(as_owner):
        assert time.monotonic() - began < 5
        time.sleep(0.05)
    assert len(calls) >= 2


def test_a_row_that_the_database_refuses_holds_up_no_other_and_is_not_told_to_the_log(
    committed_mall, as_owner, caplog
):
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions

    spoilt = decisions.evaluate(
        committed_mall.shop, committed_mall.customer_id, [PHONE], "web", GROWN_UP, AT, coupon="se\x00cret"
    )
    good = [_evaluate(committed_mall) for _ in range(3)]
    log.stop()
    assert log.waiting() == 0
    assert _written(as_owner) == 3
    assert decisions.load(good[0].public_id, shop=committed_mall.shop).evaluation == good[0].evaluation
    with pytest.raises(decisions.NoDecision):
        decisions.load(spoilt.public_id, shop=committed_mall.shop)
    assert str(spoilt.id) in caplog.text


def test_a_thousand_decisions_are_all_there_once(committed_mall, as_owner):
    from fenqi_server.decisions import log

    for _ in range(200):
        _evaluate(committed_mall)
    log.stop()
    assert _written(as_owner) == 200
    assert log.waiting() == 0


@pytest.mark.parametrize("statement", ["UPDATE {} SET source = ''", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["decisions_decision", "decisions_decision_default"])
def test_the_service_cannot_change_the_log(mall, statement, table):
    from django.db import ProgrammingError, connection, transaction

    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(statement.format(table))


def test_the_service_cannot_read_a_partition_past_row_level_security(mall):
    from datetime import UTC, datetime

    from django.db import ProgrammingError, connection, transaction

    for table in ("decisions_decision_default", f"decisions_decision_{datetime.now(UTC):%Y_%m}"):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(f"SELECT * FROM {table}")


def _post(server, mall, path="/v1/evaluations", body=None, **headers):
    request = urllib.request.Request(
        server.url + path, data=json.dumps(body or mall.body()).encode(), headers=mall.headers(**headers)
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, json.loads(response.read())


def test_on_sigterm_the_real_server_writes_what_waits(committed_mall, serve, as_owner):
    server = serve()
    asked = 0
    for _ in range(40):
        assert _post(server, committed_mall)[0] == 200
        asked += 1
    # The last of these are younger than the writer's rest when the signal comes.
    server._processes["service"].send_signal(signal.SIGTERM)
    server._processes["service"].wait(15)
    assert _written(as_owner) == asked


def test_a_quote_is_confirmed_though_another_process_still_holds_its_record(committed_mall, monkeypatch):
    import threading
    from datetime import timedelta

    from django.db import connection

    from fenqi_server.decisions import log

    # The other process: its queue is not ours, and it writes half a second later.
    held = []
    monkeypatch.setattr(log, "append", held.append)
    shown = _evaluate(committed_mall)

    def write_later() -> None:
        time.sleep(0.5)
        log.insert(held)
        connection.close()

    other = threading.Thread(target=write_later)
    other.start()
    done = agree(
        committed_mall.shop,
        committed_mall.customer_id,
        shown.quotes["mall_3"].token,
        "o",
        AT + timedelta(seconds=1),
    )
    other.join()
    assert done.contract_id.startswith("ct_")


def test_what_arrives_while_a_batch_is_written_waits_for_the_next(committed_mall, monkeypatch):
    from fenqi_server.decisions import log

    write, batches = log.insert, []

    def write_while_more_arrive(records):
        batches.append(len(records))
        assert len(batches) < 5, "each new row became a batch of its own"
        log._queue.append(records[0])
        write(records)

    log.stop()
    monkeypatch.setattr(log, "_start", lambda: None)
    for _ in range(3):
        _evaluate(committed_mall)
    monkeypatch.setattr(log, "insert", write_while_more_arrive)
    assert log.flush() == 3
    assert batches == [3]
    assert log.waiting() == 1
    monkeypatch.setattr(log, "insert", write)
    assert log.flush() == 1

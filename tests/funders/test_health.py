"""A funder that refuses, hangs and recovers, over real HTTP: pending, away with its reason, and back, in stated times."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from tests.api.world import AT, GROWN_UP, PHONE
from tests.funders.scripted import scripted_funder


@pytest.fixture
def funder(mall):
    from django.conf import settings

    with scripted_funder() as script:
        before = settings.FENQI_FUNDERS
        settings.FENQI_FUNDERS = {
            "mall": {"tingchao": {"url": script.url, "key": "k-1", "timeout_seconds": 0.3, "private": True}}
        }
        try:
            yield script
        finally:
            settings.FENQI_FUNDERS = before


def _verdicts(mall, at):
    """Every plan's verdict, through the one way in which shoppers get theirs."""
    from fenqi_server import facts
    from fenqi_server.decisions import service as decisions

    facts.forget_caches()
    shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, at)
    return {option.plan: option.verdict for option in shown.evaluation.options}


def _others(verdicts):
    return {
        plan: (verdict.state, tuple(reason.code for reason in verdict.reasons), verdict.until)
        for plan, verdict in verdicts.items()
        if not plan.startswith("tingchao")
    }


def _probe(at, times=1, every=0):
    from fenqi_server.funders import health

    for number in range(times):
        health.probe_due(at + timedelta(seconds=number * every))
    return at + timedelta(seconds=(times - 1) * every)


def _epoch(at):
    return int(at.timestamp())


def test_hangs_then_away_then_back_within_the_stated_times_and_no_other_funder_moves(mall, funder):
    from fenqi_server.funders import health

    terms = health.TERMS
    at = _probe(AT)
    before = _verdicts(mall, at)
    assert before["tingchao_12"].state == "funder_decides"

    funder.mode = "hangs"
    hung = at + timedelta(seconds=60)
    _probe(hung)
    assert _verdicts(mall, hung)["tingchao_12"].state == "funder_decides", "one call is not yet trouble"
    second = hung + timedelta(seconds=59)
    with pytest.raises(health.NoAnswer):
        health.call(mall.shop, "tingchao", "probe", second, health.port_of(mall.shop, "tingchao").probe)
    pending = _verdicts(mall, second)
    verdict = pending["tingchao_12"]
    deadline = _epoch(second) + terms.checking_seconds
    assert (verdict.state, verdict.deadline) == ("pending", deadline)
    (reason,) = verdict.reasons
    assert (reason.code, reason.since, reason.layer) == ("FUNDER_OUTAGE", _epoch(second), "health")
    assert _others(pending) == _others(before)

    # Nobody probes: the deadline passes by itself, and the reason keeps its beginning.
    away_at = datetime.fromtimestamp(deadline, UTC)
    assert _verdicts(mall, away_at - timedelta(seconds=1))["tingchao_12"].state == "pending"
    away = _verdicts(mall, away_at)
    (reason,) = away["tingchao_12"].reasons
    assert (away["tingchao_12"].state, reason.code, reason.since) == (
        "unavailable",
        "FUNDER_OUTAGE",
        _epoch(second),
    )
    assert _others(away) == _others(before)

    # While it rests it is left alone, whatever the worker does.
    calls = funder.calls["probe"]
    _probe(away_at, times=5, every=5)
    assert funder.calls["probe"] == calls

    funder.mode = "works"
    rested = away_at + timedelta(seconds=terms.rest_seconds)
    assert _probe(rested, times=1)
    assert _verdicts(mall, rested)["tingchao_12"].state == "unavailable", "one probe is not yet a recovery"
    back_at = _probe(rested + timedelta(seconds=health.CHECK_AGAIN_SECONDS))
    back = _verdicts(mall, back_at)
    assert funder.calls["probe"] == calls + terms.probes
    assert back["tingchao_12"].state == "funder_decides"
    assert not back["tingchao_12"].reasons
    assert _others(back) == _others(before)
    longest = 2 * 60 + terms.checking_seconds + terms.rest_seconds + health.CHECK_AGAIN_SECONDS
    assert back_at - hung <= timedelta(seconds=longest)


def test_refusing_takes_the_option_away_at_the_threshold_and_a_failed_probe_doubles_the_rest(mall, funder):
    from fenqi_server.funders import health

    terms = health.TERMS
    before = _verdicts(mall, AT)
    funder.mode = "refuses"
    for second in range(terms.refusals):
        with pytest.raises(health.Refusing):
            health.call(
                mall.shop,
                "tingchao",
                "inquire",
                AT + timedelta(seconds=second),
                lambda: health.port_of(mall.shop, "tingchao").inquire("ho_x"),
            )
        wanted = "funder_decides" if second < terms.refusals - 1 else "unavailable"
        assert _verdicts(mall, AT + timedelta(seconds=second))["tingchao_3"].state == wanted
    opened = AT + timedelta(seconds=terms.refusals - 1)
    (reason,) = _verdicts(mall, opened)["tingchao_3"].reasons
    assert (reason.code, reason.since) == ("FUNDER_OUTAGE", _epoch(opened))
    rested = opened + timedelta(seconds=terms.rest_seconds)
    _probe(rested)
    again = health.standing(mall.shop, "tingchao", rested)
    assert (again.breaker.state, again.breaker.until) == ("open", _epoch(rested) + 2 * terms.rest_seconds)
    assert again.told.since == _epoch(opened), "it is one disturbance"
    assert _others(_verdicts(mall, rested)) == _others(before)
    states = [change.state for change in health.history(mall.shop, AT - timedelta(days=1))]
    assert states == ["down"]


def test_a_recovery_while_the_option_is_pending_brings_it_back_at_the_next_probe(mall, funder):
    from fenqi_server.funders import health

    funder.mode = "hangs"
    at = AT
    for _ in range(health.TERMS.unknowns):
        with pytest.raises(health.NoAnswer):
            health.call(mall.shop, "tingchao", "probe", at, health.port_of(mall.shop, "tingchao").probe)
    assert _verdicts(mall, at)["tingchao_6"].state == "pending"
    funder.mode = "works"
    _probe(at + timedelta(seconds=health.CHECK_AGAIN_SECONDS))
    assert _verdicts(mall, at + timedelta(seconds=health.CHECK_AGAIN_SECONDS))["tingchao_6"].offered
    assert [change.state for change in health.history(mall.shop, AT)] == ["checking", "up"]


def test_every_call_leaves_its_outcome(mall, funder):
    from fenqi_server.funders import health

    port = health.port_of(mall.shop, "tingchao")
    for second, (mode, kind) in enumerate(
        (
            ("works", "success"),
            ("refuses", "refusal"),
            ("hangs", "unknown"),
            ("breaks", "unknown"),
            ("drips", "unknown"),
            ("drips_head", "unknown"),
        )
    ):
        funder.mode = mode
        at = AT + timedelta(seconds=second)
        with suppress(health.Refusing, health.NoAnswer):
            health.call(mall.shop, "tingchao", "inquire", at, lambda: port.inquire("ho_x"))
        (line,) = health.outcomes(mall.shop, "tingchao", limit=1)
        assert (line.act, line.kind) == ("inquire", kind), mode
        assert line.latency_ms < 1_500, "one time for the whole call, however it is stretched"
    assert funder.authorizations == {"Bearer k-1"}


def test_of_many_workers_one_probes_and_half_open_lets_exactly_the_allowed_through(committed_mall):
    from concurrent.futures import ThreadPoolExecutor

    from django.conf import settings
    from django.db import connection

    from fenqi_server.funders import health

    def probe(at):
        try:
            return health.probe_due(at)
        finally:
            connection.close()

    shop = committed_mall.shop
    with scripted_funder() as script:
        before = settings.FENQI_FUNDERS
        settings.FENQI_FUNDERS = {"mall": {"tingchao": {"url": script.url, "key": "k", "private": True}}}
        try:
            script.mode = "refuses"
            port = health.port_of(shop, "tingchao")
            for _ in range(health.TERMS.refusals):
                with pytest.raises(health.Refusing):
                    health.call(shop, "tingchao", "probe", AT, port.probe)
            script.mode = "works"
            calls = script.calls["probe"]
            rested = AT + timedelta(seconds=health.TERMS.rest_seconds)
            with ThreadPoolExecutor(8) as pool:
                assert sum(pool.map(probe, [rested] * 8)) == 1
                assert script.calls["probe"] == calls + 1
                later = rested + timedelta(seconds=health.CHECK_AGAIN_SECONDS)
                assert sum(pool.map(probe, [later] * 8)) == 1
            assert script.calls["probe"] == calls + health.TERMS.probes
            assert health.standing(shop, "tingchao", later).told.health == "up"
        finally:
            settings.FENQI_FUNDERS = before


def test_a_healthy_funders_calls_do_not_write_its_row(mall, funder):
    from django.db import connection

    from fenqi_server.funders import health

    def version():
        with connection.cursor() as cursor:
            cursor.execute("SELECT xmin::text, ctid::text FROM funders_health WHERE funder = 'tingchao'")
            return cursor.fetchone()

    _probe(AT)
    first = version()
    port = health.port_of(mall.shop, "tingchao")
    for second in range(1, 30):
        health.call(mall.shop, "tingchao", "probe", AT + timedelta(seconds=second), port.probe)
    assert version() == first


def test_an_override_beats_what_is_observed_until_its_expiry(mall, funder):
    from fenqi_server.funders import health

    _probe(AT)
    until = AT + timedelta(minutes=2)
    health.override(mall.shop, "tingchao", "down", until, "staff:ann", "they called us", AT)
    (reason,) = _verdicts(mall, AT)["tingchao_12"].reasons
    assert (reason.code, reason.since) == ("FUNDER_OUTAGE", _epoch(AT))
    assert _verdicts(mall, until - timedelta(seconds=1))["tingchao_12"].state == "unavailable"
    assert _verdicts(mall, until)["tingchao_12"].offered
    funder.mode = "refuses"
    for _ in range(3):
        with pytest.raises(health.Refusing):
            health.call(mall.shop, "tingchao", "probe", AT, health.port_of(mall.shop, "tingchao").probe)
    health.override(mall.shop, "tingchao", "up", until, "staff:ann", "a false alarm", AT)
    assert _verdicts(mall, AT)["tingchao_12"].offered
    health.end_override(mall.shop, "tingchao", "staff:ann", "no false alarm", AT)
    assert _verdicts(mall, AT)["tingchao_12"].state == "unavailable"


@pytest.mark.parametrize(
    ("state", "minutes", "reason", "place"),
    [
        ("broken", 5, "why", "state"),
        ("down", 0, "why", "until"),
        ("down", -5, "why", "until"),
        ("down", 60 * 24 * 15, "why", "until"),
        ("down", 5, "  ", "reason"),
    ],
)
def test_an_override_without_end_or_reason_is_refused_and_names_the_field(
    mall, state, minutes, reason, place
):
    from fenqi_server.funders import health

    with pytest.raises(health.BadOverride) as bad:
        health.override(
            mall.shop, "tingchao", state, AT + timedelta(minutes=minutes), "staff:ann", reason, AT
        )
    assert bad.value.problem.place == place
    assert not health.history(mall.shop, AT - timedelta(days=1))


def test_the_database_refuses_an_override_without_its_end(mall):
    from django.db import IntegrityError, connection, transaction

    for change in ("override_state = 'down'", "override_state = 'down', override_since = now()"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE funders_health SET {change}")


def test_a_probed_funder_that_nobody_hears_of_is_unknown_and_not_up(mall, funder):
    from fenqi_server import facts
    from fenqi_server.funders import health
    from fenqi_server.policies import service as policies

    _probe(AT)
    policy = policies.current(mall.shop.id, AT)
    for after, known in ((timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False)):
        facts.forget_caches()
        told = health.facts(mall.shop, policy, AT + after)
        assert ("funder.tingchao.health" in told) is known


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
    ],
)
def test_a_private_address_is_refused_unless_it_is_configured(url):
    from fenqi_server.funders.port import HttpFunder, Refusing, Settings

    with pytest.raises(Refusing, match=r"open internet|https"):
        HttpFunder(Settings(url, "k")).probe()

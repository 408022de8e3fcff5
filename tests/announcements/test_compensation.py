"""What is promised is issued to exactly those whose recorded checkout linked the notice in its time, and redeemed once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.announcements.changes import CHANGES, snapshot_with
from tests.api.world import AT, GROWN_UP, PHONE

from fenqi.policy.snapshot import CompensationTerms
from fenqi.texts import Text

START = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
"""12:00 in the shop, when the changes begin."""
END = START + timedelta(hours=8)
TERMS = (
    CompensationTerms(
        id="price", kind="price_protection", hours=48, name=Text("48小时保价", "The price kept for 48 hours")
    ),
    CompensationTerms(id="voucher", kind="voucher", amount_minor=2_000, name=Text("20元券", "A voucher")),
)
APP_ONLY = next(change for change in CHANGES if change.id == "app-only")


def _publish(mall, folder, terms=TERMS, at=AT):
    from fenqi_server.policies import service as policies

    snapshot = snapshot_with(APP_ONLY, folder)
    notices = tuple(
        msgspec.structs.replace(each, compensation=terms) if each.id == APP_ONLY.id else each
        for each in snapshot.notices
    )
    policies.publish(
        mall.shop, msgspec.structs.replace(snapshot, notices=notices), at, "staff:ann", silent_reason="a test"
    )


def _ask(mall, ref: str | None, channel: str, at: datetime):
    """One customer's checkout, recorded as it is in the service."""
    from fenqi_server.customers import service as customers
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions

    customer = None if ref is None else customers.ensure(mall.shop, ref, AT)
    made = decisions.evaluate(mall.shop, customer, (PHONE,), channel, dict(GROWN_UP), at)
    log.flush()
    return made


def _issue(at: datetime) -> int:
    from fenqi_server.announcements import compensation

    total = 0
    while issued := compensation.issue_due(at):
        total += issued
    return total


def _granted(mall):
    from fenqi_server.announcements import compensation

    return compensation.of_announcement(mall.shop, APP_ONLY.id)


@pytest.fixture
def asked(mall, tmp_path):
    """Checkouts inside and outside of the notice's time, channel and customers; returns those that it hit."""
    from fenqi_server.customers import service as customers

    _publish(mall, tmp_path)
    hit = {"app-first", "app-last", "app-twice"}
    _ask(mall, "app-first", "app", START)
    _ask(mall, "app-last", "app", END - timedelta(seconds=1))
    _ask(mall, "app-twice", "app", START + timedelta(hours=1))
    _ask(mall, "app-twice", "app", START + timedelta(hours=2))
    _ask(mall, "web", "web", START + timedelta(hours=1))
    _ask(mall, "too-early", "app", START - timedelta(seconds=1))
    _ask(mall, "too-late", "app", END)
    _ask(mall, None, "app", START + timedelta(hours=1))
    return {customers.ensure(mall.shop, ref, AT): ref for ref in hit}


def test_exactly_those_whose_recorded_checkout_linked_the_notice_get_each_compensation_once(mall, asked):
    from fenqi_server.announcements.affected import links_of
    from fenqi_server.decisions import service as decisions

    assert _issue(END + timedelta(minutes=1)) == 2 * len(asked)
    found = _granted(mall)
    assert {(grant.customer_id, grant.terms) for grant in found} == {
        (customer, terms.id) for customer in asked for terms in TERMS
    }
    for grant in found:
        decision = decisions.load(grant.decision, shop=mall.shop)
        assert any(link.notice == APP_ONLY.id for link in links_of(decision.evaluation))
        assert grant.affected_at == decision.at


def test_reading_the_log_again_grants_nothing_again(mall, asked):
    from django.db import connection

    _issue(END + timedelta(minutes=1))
    before = _granted(mall)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE announcements_scan SET reached = '00000000-0000-0000-0000-000000000000'")
    assert _issue(END + timedelta(hours=1)) == 0
    assert _granted(mall) == before


def test_what_is_promised_later_reaches_those_who_were_hit_before(mall, tmp_path):
    _publish(mall, tmp_path, terms=TERMS[:1])
    _ask(mall, "early", "app", START + timedelta(minutes=1))
    assert _issue(START + timedelta(minutes=5)) == 1
    _publish(mall, tmp_path, at=START + timedelta(minutes=10))
    assert _issue(START + timedelta(minutes=15)) == 1
    assert [grant.terms for grant in _granted(mall)] == ["price", "voucher"]


def test_a_kept_price_is_the_price_of_that_checkout_and_its_hours_count_from_the_end(mall, asked):
    _issue(END + timedelta(minutes=1))
    price = next(grant for grant in _granted(mall) if grant.terms == "price")
    assert (price.kind, price.amount_minor) == ("price_protection", PHONE.unit_price_minor)
    assert price.expires_at == END + timedelta(hours=48)
    voucher = next(grant for grant in _granted(mall) if grant.terms == "voucher")
    assert (voucher.amount_minor, voucher.expires_at) == (2_000, None)


def test_a_grant_is_redeemed_once_and_a_repeated_request_is_one_request(mall, asked):
    from fenqi_server.announcements import compensation

    _issue(END + timedelta(minutes=1))
    grant = _granted(mall)[0]
    used = compensation.redeem(mall.shop, grant.public_id, "order-1", END)
    assert (used.redeemed_for, used.state(END)) == ("order-1", "redeemed")
    assert compensation.redeem(mall.shop, grant.public_id, "order-1", END) == used
    with pytest.raises(compensation.Spent) as spent:
        compensation.redeem(mall.shop, grant.public_id, "order-2", END)
    assert spent.value.code == "redeemed"


def test_an_expired_grant_and_one_of_another_shop_are_not_redeemed(mall, asked):
    from tests.api.world import make_world

    from fenqi_server.announcements import compensation

    _issue(END + timedelta(minutes=1))
    price = next(grant for grant in _granted(mall) if grant.terms == "price")
    with pytest.raises(compensation.Spent) as spent:
        compensation.redeem(mall.shop, price.public_id, "order-1", END + timedelta(hours=48))
    assert spent.value.code == "expired"
    other = make_world("other")
    for unknown in (price.public_id, "cg_nothing", ""):
        with pytest.raises(compensation.NoGrant):
            compensation.redeem(other.shop, unknown, "order-1", END)


def test_of_many_redemptions_at_once_one_succeeds(committed_mall, tmp_path):
    from django.db import connection

    from fenqi_server.announcements import compensation

    _publish(committed_mall, tmp_path)
    _ask(committed_mall, "app", "app", START)
    _issue(START + timedelta(minutes=5))
    grant = _granted(committed_mall)[0]
    outcomes: list[str] = []
    gate = threading.Barrier(6)

    def redeem(number: int) -> None:
        gate.wait()
        try:
            compensation.redeem(committed_mall.shop, grant.public_id, f"order-{number}", START)
            outcomes.append("redeemed")
        except compensation.Spent:
            outcomes.append("spent")
        finally:
            connection.close()

    threads = [threading.Thread(target=redeem, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["redeemed"] + ["spent"] * 5


def test_two_workers_at_once_issue_each_compensation_once(committed_mall, tmp_path):
    from django.db import connection

    from fenqi_server.announcements import compensation

    _publish(committed_mall, tmp_path)
    for number in range(8):
        _ask(committed_mall, f"c-{number}", "app", START + timedelta(minutes=number))
    gate = threading.Barrier(2)

    def issue() -> None:
        gate.wait()
        try:
            compensation.issue_due(START + timedelta(hours=1))
        finally:
            connection.close()

    threads = [threading.Thread(target=issue) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = _granted(committed_mall)
    assert len(found) == len({(grant.customer_id, grant.terms) for grant in found}) == 16


def test_what_was_granted_cannot_be_changed_but_for_its_use(mall, asked):
    from django.db import ProgrammingError, connection, transaction

    for statement in (
        "UPDATE announcements_grant SET amount_minor = 1",
        "DELETE FROM announcements_grant",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(statement)


def test_a_grant_stands_on_its_customers_notice_and_checkout_and_on_nobody_elses(db, demo_site):
    """In the mall: whoever was kept from paying in the app sees their own price kept."""
    from datetime import timedelta

    from django.test import Client

    from fenqi_server import clock
    from fenqi_server.customers import service as customers
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions
    from fenqi_server.demo.seed import seed
    from fenqi_server.policies import service as policies
    from fenqi_server.shops.service import only_shop

    policies.forget_caches()
    seed()
    shop, at = only_shop(), clock.now()
    name = "beichen-24-pause"
    snapshot = policies.current(shop.id, at).snapshot
    notices = tuple(
        msgspec.structs.replace(each, compensation=TERMS) if each.id == name else each
        for each in snapshot.notices
    )
    policies.publish(shop, msgspec.structs.replace(snapshot, notices=notices), at, "staff:ann")
    good = customers.ensure(shop, "good", at)
    decisions.evaluate(shop, good, (PHONE,), "web", dict(GROWN_UP), at)
    log.flush()
    _issue(at + timedelta(minutes=5))

    def shown(person: str) -> tuple[str, str]:
        client = Client(headers={"accept-language": "en"})
        client.post("/demo/customer", {"customer": person})
        client.post("/cart/", {"sku": "cg-15"})
        return (
            client.get(f"/announcements/{name}/").content.decode(),
            client.get("/checkout/").content.decode(),
        )

    for page in shown("good"):
        assert "The price kept for 48 hours · ¥4,999.00" in page
    notice, checkout = shown("new")
    assert 'data-fq-part="grant"' not in notice
    assert 'data-fq-part="granted"' not in checkout

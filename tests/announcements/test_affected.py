"""A customer lies in a published impact if and only if their checkout links that notice: same reason, same until.

The published record is the one side, the engine's checkout the other. Who lies in an impact is worked out here by hand: by
a few lines over the record's plans, channels, regions and times, and a predicate beside each change. No shipped code takes part.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.announcements.changes import CHANGES, Asked, snapshot_with
from tests.api.world import AT

from fenqi.checkout.request import CheckoutRequest, Line

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 11, 24, 12, 0, tzinfo=ZONE)
INSTANTS = tuple(
    datetime(2026, 11, day, hour, minute, second, tzinfo=ZONE)
    for day, hour, minute, second in (
        (24, 11, 59, 59),
        (24, 12, 0, 0),
        (24, 17, 30, 0),
        (24, 19, 59, 59),
        (24, 20, 0, 0),
        (24, 22, 29, 59),
        (24, 22, 30, 0),
        (25, 0, 0, 0),
        (25, 1, 14, 59),
        (25, 1, 15, 0),
    )
)
CARTS = (
    (499_900, frozenset({"goods"})),
    (199_900, frozenset({"goods"})),
    (300_000, frozenset({"goods"})),
    (400_000, frozenset({"goods"})),
    (59_900, frozenset({"blind_box"})),
)
WORLDS = tuple(
    Asked(running, card, amount, kinds, channel, region, coupon)
    for running, (card, region), (amount, kinds), channel, coupon in itertools.product(
        (True, False),
        (("tingchao", "GD"), ("beichen", "SH"), (None, "GX"), ("tingchao", None)),
        CARTS,
        ("web", "app", "mini_program"),
        (True, False),
    )
)


def _request(asked: Asked, at: datetime) -> CheckoutRequest:
    facts = {
        "customer.signed_in": True,
        "customer.age": 30,
        "customer.student": False,
        "customer.real_name_verified": True,
        "customer.overdue": False,
        "customer.consents": frozenset({"hean"}),
        "customer.has_running_contract": asked.running_contract,
        "limit.mall": 2_000_000,
        "limit.mall_available": 2_000_000,
        **{
            f"funder.{funder}.health": "up"
            for funder in ("tingchao", "beichen", "cloudpay", "hean", "acquirer")
        },
    }
    if asked.card_bank is not None:
        facts |= {"card.bank": asked.card_bank, "card.kind": "credit"}
    line = Line("sku", "Thing", "things", next(iter(asked.kinds)), 1, asked.amount_minor, "mall")
    return CheckoutRequest(
        (line,),
        "CNY",
        asked.channel,
        int(at.timestamp()),
        facts,
        None,
        "COUPON" if asked.coupon else None,
        asked.region,
    )


def _lies_in(impact, asked: Asked, at: datetime) -> bool:
    """By hand: where and when. For whom stands beside the change."""
    epoch = int(at.timestamp())
    if impact.channels and asked.channel not in impact.channels:
        return False
    if impact.regions and asked.region not in impact.regions:
        return False
    if epoch < impact.start or (impact.end is not None and epoch >= impact.end):
        return False
    if impact.daily is not None:
        minute, (first, last) = at.hour * 60 + at.minute, impact.daily
        return first <= minute < last if first < last else minute >= first or minute < last
    return True


def _until(impact, at: datetime) -> int | None:
    """By hand: when it ends for somebody who asks now."""
    if impact.daily is None:
        return impact.end
    ends = at.replace(hour=impact.daily[1] // 60, minute=impact.daily[1] % 60, second=0)
    return int((ends if ends > at else ends + timedelta(days=1)).timestamp())


def _expected(document, change, asked: Asked, at: datetime) -> set[tuple[str, str, int | None]]:
    return {
        (plan, impact.code, _until(impact, at))
        for impact in document.impacts
        if impact.act == "buy" and _lies_in(impact, asked, at) and change.hits(asked)
        for plan in impact.plans
    }


def _linked(evaluation, notice: str) -> set[tuple[str, str, int | None]]:
    from fenqi_server.announcements.affected import links_of

    return {(link.plan, link.code, link.until.at) for link in links_of(evaluation) if link.notice == notice}


def _publish(mall, change, folder):
    from fenqi_server.announcements import lifecycle
    from fenqi_server.policies import service as policies

    policies.publish(mall.shop, snapshot_with(change, folder), AT, "staff:ann", silent_reason="a test")
    return lifecycle.latest(mall.shop)[change.id].document


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_a_customer_lies_in_a_published_impact_exactly_when_their_checkout_links_it(mall, tmp_path, change):
    from fenqi.checkout.evaluation import evaluate
    from fenqi_server.policies import service as policies

    document = _publish(mall, change, tmp_path)
    hit = missed = 0
    for at in INSTANTS:
        policy = policies.current(mall.shop.id, at)
        for asked in WORLDS:
            found = _linked(evaluate(policy, _request(asked, at)), change.id)
            expected = _expected(document, change, asked, at)
            assert found == expected, f"{asked} at {at}"
            hit, missed = hit + bool(expected), missed + (not expected)
    assert hit, "nobody was hit: nothing was tested"
    assert missed, "everybody was hit: nothing was tested"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_the_recorded_checkout_of_the_service_links_what_the_record_says(mall, tmp_path, change):
    """The same through the service: its own facts, its own record, read back."""
    from fenqi_server import clock
    from fenqi_server.decisions import service as decisions

    document = _publish(mall, change, tmp_path)
    told = {"customer.age": 30, "customer.student": False, "customer.real_name_verified": True}
    for at, asked in zip(itertools.cycle(INSTANTS), WORLDS[::17], strict=False):
        if asked.running_contract:
            continue  # this shop's customer has none
        asserted = dict(told)
        if asked.card_bank is not None:
            asserted |= {"card.bank": asked.card_bank, "card.kind": "credit"}
        line = Line("sku", "Thing", "things", next(iter(asked.kinds)), 1, asked.amount_minor, "mall")
        with clock.pinned(at.astimezone(UTC)):
            made = decisions.evaluate(
                mall.shop,
                mall.customer_id,
                (line,),
                asked.channel,
                asserted,
                at.astimezone(UTC),
                coupon="COUPON" if asked.coupon else None,
                ship_to=asked.region,
            )
        expected = _expected(document, change, asked, at)
        assert _linked(made.evaluation, change.id) == expected
        assert _linked(decisions.load(made.public_id, shop=mall.shop).evaluation, change.id) == expected

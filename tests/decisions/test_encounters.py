"""Who met which reason, where they went, and who was left with nothing: each shopper once."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.api.world import AT, GROWN_UP, PHONE, World, make_world
from tests.engine.contracts.made import FLAT_12
from tests.servicing.opened import open_one

from fenqi_server.customers import service as customers
from fenqi_server.decisions import encounters, log
from fenqi_server.decisions import service as decisions
from fenqi_server.funders import handoffs
from fenqi_server.ids import anonymous_party, uuid7
from fenqi_server.policies import service as policies

HOUR = timedelta(hours=1)


@pytest.fixture
def mall(db: Any, at: datetime) -> World:
    """A shop whose records are made up here, for their verdicts alone: nothing of them could be decided again."""
    return make_world()


BLOCKED = ("unavailable", "pending")


class Shoppers:
    """A shop's shoppers, with what they saw and did at chosen instants."""

    def __init__(self, world: World) -> None:
        self.shop = world.shop
        self.digest = policies.current(world.shop.id, AT).digest
        self.records: list[log.Record] = []
        self.took: list[tuple[UUID, datetime, str, str]] = []

    def one(self, name: str) -> UUID:
        return customers.ensure(self.shop, name, AT, limit_minor=5_000_000)

    def saw(self, who: UUID, at: datetime, **verdicts: tuple[str, list[str]]) -> None:
        record = log.Record(
            self.shop.id, who, uuid7(at), at, "checkout", self.digest, 1, "CNY",
            msgspec.Raw(b"{}"), msgspec.Raw(msgspec.json.encode(verdicts)),
        )  # fmt: skip
        log.insert([record])
        self.records.append(record)

    def agreed(self, who: UUID, at: datetime) -> None:
        open_one(self.shop, who, FLAT_12, at=at, order_ref=uuid4().hex)
        self.took.append((who, at, "confirmed", FLAT_12.family))

    def went_on(self, who: UUID, at: datetime, family: str) -> None:
        handoffs.start(
            self.shop, who, uuid7(at), at, funder=family, plan=f"{family}_12", family=family, amount_minor=100,
            currency="CNY", order_ref=uuid4().hex, decision_id=uuid4(), quote_id=uuid4(),
        )  # fmt: skip
        self.took.append((who, at, "handed_off", family))


@pytest.fixture
def shoppers(mall: World) -> Shoppers:
    return Shoppers(mall)


OPEN = ("available", list[str]())


def test_a_reason_met_on_five_pages_is_met_once_and_they_went_where_they_went_last(
    shoppers: Shoppers,
) -> None:
    ann, bo, cy = (shoppers.one(name) for name in ("ann", "bo", "cy"))
    shut = ("unavailable", ["AGREEMENT_EXPIRED", "AMOUNT_LOW"])
    for minute in range(5):
        shoppers.saw(ann, AT + timedelta(minutes=minute), mall_12=shut, mall_6=shut, card_full=OPEN)
    shoppers.saw(bo, AT, mall_12=shut, card_full=OPEN)
    shoppers.saw(cy, AT, mall_12=("unavailable", ["AMOUNT_LOW"]), card_full=OPEN)
    shoppers.went_on(ann, AT + timedelta(minutes=2), "tingchao")
    shoppers.agreed(ann, AT + timedelta(minutes=7))
    shoppers.went_on(bo, AT + timedelta(minutes=3), "tingchao")
    found = encounters.between(shoppers.shop, AT, AT + HOUR)
    assert (found.shoppers, found.unnamed, found.left_without) == (3, 0, 3)
    assert found.met == (
        encounters.Met(
            "AMOUNT_LOW",
            3,
            0,
            (
                encounters.Went("confirmed", FLAT_12.family, 1),
                encounters.Went("handed_off", "tingchao", 1),
                encounters.Went("nothing", "", 1),
            ),
        ),
        encounters.Met(
            "AGREEMENT_EXPIRED",
            2,
            0,
            (encounters.Went("confirmed", FLAT_12.family, 1), encounters.Went("handed_off", "tingchao", 1)),
        ),
    )


def test_what_they_agreed_to_before_they_met_it_is_not_where_they_went(shoppers: Shoppers) -> None:
    ann = shoppers.one("ann")
    shoppers.agreed(ann, AT + timedelta(minutes=1))
    shoppers.saw(ann, AT + timedelta(minutes=2), mall_12=("unavailable", ["LINE_INSUFFICIENT"]))
    (met,) = encounters.between(shoppers.shop, AT, AT + HOUR).met
    assert met.went == (encounters.Went("nothing", "", 1),)


def test_the_latest_decision_says_whether_anything_is_left(shoppers: Shoppers) -> None:
    ann, bo = shoppers.one("ann"), shoppers.one("bo")
    shut = ("unavailable", ["LINE_INSUFFICIENT"])
    shoppers.saw(ann, AT, mall_12=shut, card_full=OPEN)
    shoppers.saw(ann, AT + timedelta(minutes=1), mall_12=OPEN, card_full=OPEN)
    shoppers.saw(bo, AT, mall_12=OPEN)
    shoppers.saw(bo, AT + timedelta(minutes=1), mall_12=("pending", ["PREQUAL_PENDING"]), card_full=OPEN)
    found = encounters.between(shoppers.shop, AT, AT + HOUR)
    assert (found.shoppers, found.left_without) == (2, 1)
    shoppers.saw(bo, AT + timedelta(minutes=2), tingchao_12=("funder_decides", []))
    assert encounters.between(shoppers.shop, AT, AT + HOUR).left_without == 0


def test_visitors_not_signed_in_are_told_apart_as_decisions(shoppers: Shoppers) -> None:
    nobody = anonymous_party(shoppers.shop.id)
    for minute in range(3):
        shoppers.saw(
            nobody, AT + timedelta(minutes=minute), mall_12=("unavailable", ["UNDERAGE", "AMOUNT_LOW"])
        )
    found = encounters.between(shoppers.shop, AT, AT + HOUR)
    assert (found.shoppers, found.unnamed, found.left_without) == (0, 3, 0)
    assert [(met.code, met.shoppers, met.unnamed, met.went) for met in found.met] == [
        ("AMOUNT_LOW", 0, 3, ()),
        ("UNDERAGE", 0, 3, ()),
    ]


def test_another_shop_s_shoppers_and_another_hour_s_are_not_counted(shoppers: Shoppers, at: datetime) -> None:
    other = Shoppers(make_world("corner"))
    shut = ("unavailable", ["AMOUNT_LOW"])
    other.saw(other.one("ann"), AT, mall_12=shut)
    ann = shoppers.one("ann")
    shoppers.saw(ann, AT - timedelta(milliseconds=1), mall_12=shut)
    shoppers.saw(ann, AT + HOUR, mall_12=shut)
    assert encounters.between(shoppers.shop, AT, AT + HOUR).met == ()
    assert encounters.between(shoppers.shop, AT - HOUR, AT + 2 * HOUR).met[0].shoppers == 1


def test_what_a_real_checkout_met_is_what_it_was_told(mall: World) -> None:
    decision = decisions.evaluate(
        mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP | {"customer.student": True}, AT
    )
    log.flush()
    told = {
        reason.code
        for option in decision.evaluation.options
        if not option.offered
        for reason in option.verdict.reasons
    }
    found = encounters.between(mall.shop, AT, AT + HOUR)
    assert told
    assert {met.code for met in found.met} == told
    instalments = [
        option
        for option in decision.evaluation.offers
        if decision.policy.plans[decision.policy.plan_index[option.plan]].periods > 1
    ]
    assert found.left_without == (0 if instalments else 1)


@pytest.mark.parametrize("seed", range(6))
def test_it_counts_as_counting_by_hand_does(shoppers: Shoppers, seed: int) -> None:
    dice = random.Random(seed)
    names = [shoppers.one(f"s{number}") for number in range(8)] + [anonymous_party(shoppers.shop.id)]
    plans, codes = (
        ("mall_12", "mall_6", "tingchao_12", "card_full"),
        ("AMOUNT_LOW", "UNDERAGE", "OVERDUE_EXISTS"),
    )

    def minute() -> datetime:
        return AT + timedelta(minutes=dice.randrange(-20, 80), seconds=dice.randrange(60))

    for _ in range(60):
        verdicts = {}
        for plan in plans:
            if dice.random() < 0.6:
                verdicts[plan] = (dice.choice(BLOCKED), dice.sample(codes, dice.randrange(1, 3)))
            else:
                verdicts[plan] = (dice.choice(("available", "funder_decides")), [])
        shoppers.saw(dice.choice(names), minute(), **verdicts)
    for _ in range(12):
        who = dice.choice(names[:-1])
        dice.choice([shoppers.agreed, lambda who, at: shoppers.went_on(who, at, "tingchao")])(who, minute())
    _hold_to_hand_counts(shoppers, lambda at: AT <= at < AT + HOUR)


def _hold_to_hand_counts(shoppers: Shoppers, inside: Callable[[datetime], bool]) -> None:
    nobody = anonymous_party(shoppers.shop.id)
    instalments = {plan.id for plan in policies.by_digest(shoppers.digest).plans if plan.periods > 1}
    seen = sorted((r for r in shoppers.records if inside(r.recorded_at)), key=lambda r: r.decision_id)
    read: Callable[[log.Record], dict[str, Any]] = lambda r: msgspec.json.decode(r.verdicts)  # noqa: E731
    first: dict[tuple[str, UUID], datetime] = {}
    unnamed: dict[str, int] = {}
    latest: dict[UUID, log.Record] = {}
    for record in seen:
        here = {code for state, why in read(record).values() if state in BLOCKED for code in why}
        for code in here:
            if record.customer_id == nobody:
                unnamed[code] = unnamed.get(code, 0) + 1
            else:
                key = (code, record.customer_id)
                first[key] = min(first.get(key, record.recorded_at), record.recorded_at)
        if record.customer_id != nobody:
            latest[record.customer_id] = record
    expected: dict[str, dict[tuple[str, str], int]] = {code: {} for code in unnamed}
    for (code, who), at in first.items():
        after = [
            (when, way, family)
            for w, when, way, family in shoppers.took
            if w == who and at <= when < AT + HOUR
        ]
        where = max(after)[1:] if after else ("nothing", "")
        lines = expected.setdefault(code, {})
        lines[where] = lines.get(where, 0) + 1
    found = encounters.between(shoppers.shop, AT, AT + HOUR)
    assert {
        met.code: {(went.way, went.family): went.shoppers for went in met.went} for met in found.met
    } == expected
    assert {met.code: met.unnamed for met in found.met if met.unnamed} == unnamed
    assert found.shoppers == len(latest)
    assert found.left_without == sum(
        not any(state not in BLOCKED and plan in instalments for plan, (state, _) in read(record).items())
        for record in latest.values()
    )

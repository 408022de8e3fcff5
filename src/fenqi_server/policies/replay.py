"""Before a change is published: what would it have done to the shoppers of late?

Recorded checkouts are decided again, under the policy that is and under the one that is to be, by the same engine and with
the same facts, as if they were asked at the instant of the change. So the answer is a count of real carts, not of made-up
ones: how many would gain a way to pay, how many would lose it and where they would go, how many would be left with no
instalment. Nothing of a customer leaves the database: a witness is a decision's id, which opens only to who may see it.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

import msgspec
from django.db import connection

from fenqi.calendars import to_epoch
from fenqi.checkout.evaluation import Evaluation, evaluate
from fenqi.checkout.request import RequestError
from fenqi.policy.compile import Policy
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import public_id
from fenqi_server.shops.models import Shop

__all__ = ["Outcome", "PlanCount", "replay"]

SAMPLE: Final = 1_000
WITNESSES: Final = 3


class PlanCount(msgspec.Struct, frozen=True):
    """One plan: how many carts gain it and how many lose it. `goes`: the first alternative of those who lose, by family."""

    plan: str
    gained: int
    lost: int
    goes: tuple[tuple[str, int], ...]
    witnesses: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True):
    """`looked`: recorded checkouts that were decided again; `failed`: those that could not be, under one of the two."""

    looked: int
    failed: int
    plans: tuple[PlanCount, ...]
    without_before: int
    without_after: int


def replay(shop: Shop, before: Policy, after: Policy, at: datetime, *, sample: int = SAMPLE) -> Outcome:
    """Decide the latest `sample` checkouts again under both policies, as if asked at `at`."""
    now = to_epoch(at)
    looked = failed = without_before = without_after = 0
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    goes: dict[str, Counter[str]] = {}
    witnesses: dict[str, list[str]] = {}
    for name, record in _latest(shop, sample):
        request = msgspec.structs.replace(decisions.asked_of(record), at=now)
        try:
            was, is_now = evaluate(before, request), evaluate(after, request)
        except RequestError:
            failed += 1
            continue
        looked += 1
        offered_before, offered_after = _offered(was), _offered(is_now)
        without_before += not _instalments(before, offered_before)
        without_after += not _instalments(after, offered_after)
        for plan in offered_after - offered_before:
            gained[plan] += 1
        for plan in offered_before - offered_after:
            lost[plan] += 1
            goes.setdefault(plan, Counter())[_next(is_now, plan)] += 1
            if len(witnesses.setdefault(plan, [])) < WITNESSES:
                witnesses[plan].append(name)
    order = [*dict.fromkeys([*(plan.id for plan in after.plans), *(plan.id for plan in before.plans)])]
    plans = tuple(
        PlanCount(
            plan,
            gained[plan],
            lost[plan],
            tuple(goes.get(plan, Counter()).most_common()),
            tuple(witnesses.get(plan, ())),
        )
        for plan in order
        if gained[plan] or lost[plan]
    )
    return Outcome(looked, failed, plans, without_before, without_after)


def _latest(shop: Shop, sample: int) -> list[tuple[str, log.Record]]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT shop_id, customer_id, decision_id, recorded_at, source, policy_digest, amount_minor, currency,"
            " input::text, verdicts::text FROM decisions_decision WHERE shop_id = %s AND source <> 'confirm'"
            " ORDER BY decision_id DESC LIMIT %s",
            [shop.id, sample],
        )
        records = [
            log.Record(*row[:8], msgspec.Raw(row[8].encode()), msgspec.Raw(row[9].encode()))
            for row in cursor.fetchall()
        ]
    return [(public_id("dc", record.customer_id, record.decision_id), record) for record in records]


def _offered(evaluation: Evaluation) -> set[str]:
    return {option.plan for option in evaluation.options if option.offered}


def _instalments(policy: Policy, plans: set[str]) -> set[str]:
    return {plan for plan in plans if policy.plan(plan).periods > 1}


def _next(evaluation: Evaluation, plan: str) -> str:
    """The family of the first alternative to a plan that is lost; empty where there is none."""
    try:
        alternatives = evaluation.option(plan).alternatives
    except KeyError:
        return ""
    return evaluation.option(alternatives[0].plan).family if alternatives else ""

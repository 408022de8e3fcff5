"""Back: only when the engine really offers it again.

That a window has ended is a date, not a fact about the checkout: the funder may be down, another pause may have begun. So when
an announcement ends, the job asks the engine the same questions again: recorded checkouts that would have had the way
to pay but for this announcement, with what is known of funders now, and beside them a visitor of whom nothing is known. Only
where nothing that is the same for everybody stands in the way any more is `restored` said, in the words approved beforehand, with
what got better. Otherwise an alarm is raised, once, and the job looks again later.

What is one customer's own (a line that is used up meanwhile) keeps it from them and not from the public.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date, to_epoch
from fenqi.checkout.evaluation import Evaluation, evaluate
from fenqi.money import CURRENCIES
from fenqi.policy.compile import Policy
from fenqi.policy.difference import betterments
from fenqi.policy.verdict import Reason
from fenqi.texts import Text
from fenqi_server import facts as fact_sources
from fenqi_server.announcements.affected import links_of
from fenqi_server.announcements.alarms import raise_alarm
from fenqi_server.announcements.document import BettermentRecord, Document
from fenqi_server.announcements.guide import EXAMPLE_MAJOR, example_evaluation, off_for_everybody
from fenqi_server.announcements.lifecycle import Revision, append_revision, latest
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import anonymous_party, first_uuid7, public_id
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop

__all__ = ["STOCK", "in_the_way", "run_due"]

SAMPLE: Final = 20
LOOKED_AT: Final = 400
"""How many recorded checkouts are looked through for that sample, the newest first."""
AGAIN_SECONDS: Final = 20.0

STOCK: Final = Text("现已恢复使用。", "It can be used again.")
"""What is said where the notice brought no sentence of its own for the day it is back."""

_tried: dict[tuple[UUID, str, int], float] = {}


def run_due(now: datetime) -> int:
    """Say of every announcement whose end has come that it is over, or back; how many revisions. A job of the worker."""
    return sum(
        _end(shop, revision, now)
        for shop in Shop.objects.order_by("created_at")
        for revision in latest(shop).values()
        if revision.state not in ("resolved", "retracted") and revision.document.over(to_epoch(now))
    )


def _end(shop: Shop, revision: Revision, now: datetime) -> int:
    document = revision.document
    plans = _was_to_return(document)
    if not plans:
        return _append(shop, revision, "resolved", msgspec.structs.replace(document, changes=()), now)
    key = (shop.id, revision.announcement, revision.number)
    if time.monotonic() < _tried.get(key, 0.0):
        return 0
    try:
        policy = policies.current(shop.id, now)
    except policies.NoPolicy:
        return 0
    known = tuple(plan for plan in plans if plan in policy.plan_index)
    reasons = tuple(in_the_way(shop, policy, revision, known, now)) if known else ()
    if reasons or not known:
        _tried[key] = time.monotonic() + AGAIN_SECONDS
        assert document.until is not None, "only what has an end ends"
        detail = {"plans": list(plans), "codes": sorted({reason.code for reason in reasons}) or ["withdrawn"]}
        raise_alarm(shop, revision, "not_back", datetime.fromtimestamp(document.until, UTC), now, detail)
        return 0
    _tried.pop(key, None)
    said = msgspec.structs.replace(
        document,
        changes=(),
        note=document.restored or STOCK,
        policy_digest=policy.digest,
        betterments=_better(shop, policy, document, known, now),
    )
    return _append(shop, revision, "restored", said, now)


def _better(
    shop: Shop, policy: Policy, document: Document, plans: tuple[str, ...], now: datetime
) -> tuple[BettermentRecord, ...]:
    """What is better than under the policy of the moment before it began, for the example's amount."""
    try:
        before = policies.current(shop.id, datetime.fromtimestamp(document.since - 1, UTC))
    except policies.NoPolicy:
        return ()
    amount = EXAMPLE_MAJOR * 10 ** CURRENCIES[shop.currency]
    found = betterments(before, policy, plans, amount_minor=amount, on=local_date(now, shop.time_zone))
    return tuple(
        BettermentRecord(
            plan=each.plan,
            what=each.what,
            after=each.after,
            before=each.before,
            amount_minor=each.amount_minor,
        )
        for each in found
    )


def _append(shop: Shop, revision: Revision, kind: Any, document: Document, now: datetime) -> int:
    made = in_transaction(lambda: append_revision(shop, revision, kind, document, now, "engine"))
    return made is not None


def _was_to_return(document: Document) -> tuple[str, ...]:
    """The plans that were paused or limited for new orders: what everybody waits for."""
    plans = [
        plan
        for impact in document.impacts
        if impact.act == "buy" and impact.effect in ("paused", "limited")
        for plan in impact.plans
    ]
    return tuple(dict.fromkeys(plans))


def in_the_way(
    shop: Shop, policy: Policy, revision: Revision, plans: tuple[str, ...], now: datetime
) -> Iterator[Reason]:
    """What is the same for everybody and keeps these plans from those who wait for them, at this instant."""
    sampled: set[str] = set()
    for request, would_have_had in _sample(shop, revision, plans):
        evaluation = _asked_again(shop, request, now)
        for plan in would_have_had:
            if not any(option.plan == plan for option in evaluation.options):
                continue
            sampled.add(plan)
            yield from off_for_everybody(evaluation.option(plan))
    # Nobody asked for it, or nobody who would have had it: a visitor of whom nothing is known stands for them.
    rest = [plan for plan in plans if plan not in sampled]
    if rest:
        amount = EXAMPLE_MAJOR * 10 ** CURRENCIES[shop.currency]
        evaluation = example_evaluation(shop, policy, amount, now)
        for plan in rest:
            yield from _not_of_the_example(off_for_everybody(evaluation.option(plan)))


def _not_of_the_example(reasons: Iterable[Reason]) -> Iterator[Reason]:
    return (reason for reason in reasons if reason.change not in ("cart", "customer"))


def _sample(
    shop: Shop, revision: Revision, plans: tuple[str, ...]
) -> Iterator[tuple[decisions.Decision, tuple[str, ...]]]:
    """Recorded checkouts that the announcement alone kept from some of the plans, with those plans; the newest first."""
    document = revision.document
    since = datetime.fromtimestamp(document.since, UTC)
    until = datetime.fromtimestamp(document.until or document.since, UTC)
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_id, decision_id FROM decisions_decision WHERE shop_id = %s"
            " AND decision_id >= %s AND decision_id < %s AND customer_id <> %s"
            " ORDER BY decision_id DESC LIMIT %s",
            [shop.id, first_uuid7(since), first_uuid7(until), anonymous_party(shop.id), LOOKED_AT],
        )
        rows = cursor.fetchall()
    found = 0
    for customer_id, decision_id in rows:
        decision = decisions.load(public_id("dc", customer_id, decision_id), shop=shop)
        had = tuple(
            plan for plan in plans if _only_for_this(decision.evaluation, plan, revision.announcement)
        )
        if had:
            yield decision, had
            found += 1
            if found == SAMPLE:
                return


def _only_for_this(evaluation: Evaluation, plan: str, announcement: str) -> bool:
    if not any(link.notice == announcement and link.plan == plan for link in links_of(evaluation)):
        return False
    option = next((each for each in evaluation.options if each.plan == plan), None)
    return option is not None and all(reason.notice == announcement for reason in option.verdict.reasons)


def _asked_again(shop: Shop, decision: decisions.Decision, now: datetime) -> Evaluation:
    """The recorded question under this customer's policy of now, with what is known of funders and the customer now."""
    policy = policies.current(shop.id, now, decision.customer_id)
    live = fact_sources.gather_dated(shop, decision.customer_id, {}, policy, now)
    kept = {
        name: value
        for name, value in decision.request.facts.items()
        if not name.startswith(("funder.", "budget.")) and name in policy.vocabulary
    }
    ages = {name: instant for name, instant in decision.request.as_of.items() if name in kept}
    request = msgspec.structs.replace(
        decision.request,
        at=to_epoch(now),
        facts={**kept, **live.facts},
        as_of={**ages, **live.as_of},
        overrides=(),
    )
    return evaluate(policy, request)

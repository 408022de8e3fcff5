"""The three causes are publications: who loses it, who keeps it, until when, and what is better when it is back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from fenqi.calendars import to_epoch, zone_of

pytestmark = pytest.mark.usefixtures("mall")

SHANGHAI = zone_of("Asia/Shanghai")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


MORNING = _at("2026-11-23T10:00:00")


def _shop() -> Any:
    from fenqi_server.shops import service as shops

    return shops.only_shop()


def _asked(ref: str, sku: str, at: datetime) -> Any:
    from fenqi_server.budgets import service as budgets
    from fenqi_server.customers import service as customers
    from fenqi_server.decisions import service as decisions
    from fenqi_server.demo.catalogue import PRODUCT_BY_SKU
    from fenqi_server.demo.people import PERSON_BY_REF, shop_facts
    from fenqi_server.storefront import cart

    budgets.forget_caches()
    shop, person = _shop(), PERSON_BY_REF[ref]
    customer_id = customers.ensure(shop, ref, at, limit_minor=person.limit_minor)
    lines = cart.lines_of((cart.CartItem(PRODUCT_BY_SKU[sku], 1),))
    facts = shop_facts(person)
    return decisions.evaluate(
        shop,
        customer_id,
        lines,
        person.channel,
        facts,
        at,
        source="checkout",
        last_used_family=person.last_used_family,
    ).evaluation


def _codes(evaluation: Any, plan: str) -> list[tuple[str, int | None]]:
    return [(reason.code, reason.until.at) for reason in evaluation.option(plan).verdict.reasons]


def test_a_new_agreement_closes_it_to_those_without_a_running_contract_with_news_on_friday() -> None:
    from fenqi_server.announcements.lifecycle import latest
    from fenqi_server.demo import causes

    shop, at = _shop(), MORNING + timedelta(minutes=10)
    causes.begin(shop, "agreement", at)
    later = at + timedelta(seconds=1)
    for plan in ("mall_3", "mall_6", "mall_12"):
        assert _codes(_asked("good", "cg-15", later), plan) == [("AGREEMENT_ADJUST", None)], plan
        assert _codes(_asked("running", "cg-15", later), plan) == [], plan
    # Zhao Xue has a running contract, so this is not what keeps it from her: her line is.
    assert [code for code, _ in _codes(_asked("over_limit", "cg-15", later), "mall_12")] == [
        "LINE_INSUFFICIENT"
    ]
    option = _asked("good", "cg-15", later).option("mall_12")
    assert option.verdict.reasons[0].since == to_epoch(at)
    said = latest(shop)[option.verdict.reasons[0].notice].document
    assert (said.until, said.next_update) == (None, to_epoch(_at("2026-11-27T10:00:00")))
    assert [terms.hours for terms in said.compensation] == [48]


def test_the_maintenance_closes_it_but_not_in_the_app() -> None:
    from fenqi_server.demo import causes

    shop, night = _shop(), _at("2026-11-23T22:05:00")
    standing = causes.in_force(shop, MORNING)
    assert standing is not None
    assert standing.cause == "maintenance"
    end = to_epoch(_at("2026-11-24T02:00:00"))
    assert _codes(_asked("good", "cg-15", night), "mall_12") == [("MAINTENANCE", end)]
    assert _codes(_asked("running", "cg-15", night), "mall_12") == []


def test_the_spent_budget_takes_the_interest_free_terms_until_december_from_what_it_no_longer_pays_for() -> (
    None
):
    from fenqi_server.demo import causes

    shop, at = _shop(), MORNING + timedelta(minutes=10)
    causes.begin(shop, "budget", at)
    later = at + timedelta(seconds=1)
    renews = to_epoch(_at("2026-12-01T00:00:00"))
    page = _asked("good", "cg-15", later)
    assert _codes(page, "mall_3") == _codes(page, "mall_6") == [("SUBSIDY_SPENT", renews)]
    assert _codes(page, "mall_12") == []
    # ¥2,500 less one Lite phone of ¥1,999 leaves ¥501: earphones of ¥499 still fit.
    assert _codes(_asked("over_limit", "cg-buds", later), "mall_3") == []
    # Chosen again in the same month, it is spent already, and nobody buys a second phone for it.
    causes.start_over(shop, later)
    causes.begin(shop, "budget", later + timedelta(seconds=1))
    assert _codes(_asked("over_limit", "cg-buds", later + timedelta(seconds=2)), "mall_3") == []
    assert _codes(_asked("good", "cg-15", later + timedelta(seconds=2)), "mall_3") == [
        ("SUBSIDY_SPENT", renews)
    ]


@pytest.mark.parametrize("cause", ["agreement", "maintenance", "budget"])
def test_two_hours_more_move_what_is_said(cause: Any) -> None:
    from fenqi_server.announcements.lifecycle import latest
    from fenqi_server.demo import causes

    shop, at = _shop(), MORNING + timedelta(minutes=10)
    if cause != "maintenance":
        causes.begin(shop, cause, at)
    standing = causes.in_force(shop, at)
    assert standing is not None
    before = latest(shop)[standing.notice]
    causes.later(shop, at + timedelta(minutes=5), "staff:lin")
    after = latest(shop)[standing.notice]
    assert after.number == before.number + 1
    assert after.actor == "staff:lin"
    field = "next_update" if cause == "agreement" else "until"
    assert getattr(after.document, field) == getattr(before.document, field) + 2 * 3600
    assert {change.field for change in after.document.changes} >= {field}


@pytest.mark.parametrize("cause", ["agreement", "maintenance", "budget"])
def test_it_comes_back_better_and_says_so(cause: Any) -> None:
    from fenqi_server.announcements import recovery
    from fenqi_server.announcements.lifecycle import latest
    from fenqi_server.demo import causes

    shop, at = _shop(), MORNING + timedelta(minutes=10)
    if cause != "maintenance":
        causes.begin(shop, cause, at)
    standing = causes.in_force(shop, at)
    assert standing is not None
    assert standing.cause == cause
    begins = causes.come_back(shop, at + timedelta(minutes=5), "staff:he")
    assert begins == (_at("2026-11-24T02:00:00") if cause == "maintenance" else at + timedelta(minutes=5))
    now = begins + timedelta(minutes=5)
    recovery.run_due(now)
    last = latest(shop)[standing.notice]
    assert (last.kind, last.state) == ("restored", "resolved")
    better = {(each.plan, each.what): (each.before, each.after) for each in last.document.betterments}
    if cause != "budget":
        # Of the ¥3,000 that the pages reckon with: 12 x 0.6 % is ¥216.00, 12 x 0.5 % is ¥180.00.
        assert better["mall_12", "fee"] == (21_600, 18_000)
    assert better["mall_24", "new_term"][1] == 24
    page = _asked("good", "cg-15", now)
    for plan in ("mall_3", "mall_6", "mall_12", "mall_24"):
        assert _codes(page, plan) == [], plan
    # ¥4,999.00 x 0.5 % x 12 = ¥299.94, and x 24 = ¥599.88.
    assert page.option("mall_12").cost.fee_minor == 29_994
    assert page.option("mall_24").cost.fee_minor == 59_988


def test_started_over_in_the_night_the_maintenance_is_tomorrows() -> None:
    from fenqi_server.announcements.lifecycle import latest
    from fenqi_server.demo import causes

    shop, at = _shop(), _at("2026-11-24T09:00:00")
    causes.start_over(shop, at)
    standing = causes.in_force(shop, at)
    assert standing is not None
    assert (standing.since, standing.until) == (_at("2026-11-24T22:00:00"), _at("2026-11-25T02:00:00"))
    said = latest(shop)[standing.notice].document
    assert "11 月 26 日" in said.unaffected.zh_cn
    assert "26 November" in said.unaffected.en

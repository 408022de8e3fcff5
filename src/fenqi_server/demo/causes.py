"""The three causes for which a familiar way to pay goes missing, each put in force as an operator would do it.

A cause is never a switch in a page: it is a policy that is published, with its notice in both languages. `begin`
publishes the mall's own policy with one of them, `later` is what an operator does who needs more time, `come_back` is the
end, with what is better than before, and `start_over` publishes the mall's own policy again. What is in force is read from
the policy itself (`in_force`), so that a change made by anybody else is seen too.

1. The agreement moves from own-7 to own-8: nothing new is taken from customers who have no contract of the mall's running;
   the end is unknown, the next word comes on Friday at ten.
2. The system is maintained from 22:00 to 02:00; the app, which speaks to the new system already, stays open.
3. The money for interest-free instalments is spent, until the first of the next month. It is spent by an order, as
   everywhere; a smaller cart can still be paid from what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec
from django.db import transaction

from fenqi.calendars import local_date, zone_of
from fenqi.policy.document import files_in, read_policy
from fenqi_server.budgets import service as budgets
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.demo.catalogue import PRODUCT_BY_SKU
from fenqi_server.demo.people import PERSON_BY_REF, READ_FOR, shop_facts
from fenqi_server.facts.asserted import may_assert
from fenqi_server.policies import acts, edits
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.storefront import cart, orders

__all__ = [
    "BUDGET",
    "CAUSES",
    "KEEPS",
    "WINDOW",
    "Cause",
    "Standing",
    "begin",
    "come_back",
    "in_force",
    "later",
    "own_files",
    "start_over",
    "tonight",
]

Cause = Literal["agreement", "maintenance", "budget"]
CAUSES: Final[tuple[Cause, ...]] = ("agreement", "maintenance", "budget")
FOLDER: Final = Path(__file__).resolve().parent / "policy"
WINDOW: Final = "maintenance.mall"
"""The rule of the maintenance."""
BUDGET: Final = "interest_free"
OWN_8: Final = "own-8"
BUDGET_TOTAL_MINOR: Final = 250_000
"""¥2,500 of orders: one Lite phone at ¥1,999 leaves ¥501, which a pair of earphones still fits."""
LONGER: Final = timedelta(hours=2)
KEEPS: Final[dict[Cause, tuple[str, str]]] = {
    "agreement": ("running", "cg-15"),
    "maintenance": ("running", "cg-15"),
    "budget": ("over_limit", "cg-buds"),
}
"""Who still has it under each cause, and with what in the cart."""

_PRICE_48H: Final = {
    "id": "price-48h",
    "kind": "price_protection",
    "hours": "48",
    "name": {"zh-CN": "48 小时保价", "en": "Your price kept for 48 hours"},
}
_LATE: Final = {
    "code": "late_interest",
    "name": {"zh-CN": "逾期违约金", "en": "Late charge"},
    "basis": {
        "zh-CN": "逾期本金每日0.03%，前3天不收",
        "en": "0.03% a day of the principal that is late; the first 3 days are free",
    },
    "payee": "mall",
}
_SERVICING: Final = {
    "payoff": {"fees": "to_period_end"},
    "late": {
        "annual_rate": "10.95%",
        "code": "late_interest",
        "year_days": "365",
        "grace_days": "3",
        "cap_rate": "12%",
        "cap_basis": "一年期LPR的四倍，2026年11月",
    },
    "returns": {"settles": "from_last", "paid_fee": "returned"},
}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy in force says of the causes: which one is on or planned, its notice, and whether it is better already."""

    cause: Cause
    notice: str
    better: bool
    since: datetime | None = None
    until: datetime | None = None


def own_files() -> dict[str, str]:
    """The mall's own policy, as it stands in this folder."""
    files: dict[str, str] = files_in(FOLDER)[0]
    return files


def in_force(shop: Shop, at: datetime) -> Standing | None:
    """Which cause the policy in force says; None where it says none of them, as after one has come to its end."""
    snapshot = policies.current(shop.id, at).snapshot
    zone = zone_of(shop.time_zone)

    def instant(epoch: int | None) -> datetime | None:
        return None if epoch is None else datetime.fromtimestamp(epoch, zone)

    better = any(plan.id == "mall_24" for plan in snapshot.plans)
    by_id = {notice.id: notice for notice in snapshot.notices}
    mall = next(funder for funder in snapshot.funders if funder.id == "mall")
    own_8 = next((one for one in mall.agreements if one.version == OWN_8), None)
    budget = next((one for one in snapshot.budgets if one.id == BUDGET), None)
    window = next((rule for rule in snapshot.rules if rule.id == WINDOW), None)
    cause: Cause
    if own_8 is not None:
        cause, name = "agreement", own_8.notice
    elif budget is not None and budget.notice is not None:
        cause, name = "budget", budget.notice
    elif window is not None:
        cause, name = "maintenance", window.notice
    else:
        return None
    notice = by_id.get(name or "")
    if notice is None:
        return None
    return Standing(
        cause=cause,
        notice=notice.id,
        better=better,
        since=instant(notice.since),
        until=instant(notice.until),
    )


def begin(shop: Shop, cause: Cause, at: datetime, actor: str = "demo") -> policies.Publication:
    """Publish the mall's own policy with one cause, and nothing left of the others."""
    files, _ = _with(shop, cause, at)
    made = _publish(shop, files, at, actor, reason=f"the story's cause: {cause}", silent=_OVER)
    if cause == "budget":
        _spend(shop, at)
    return made


def start_over(shop: Shop, at: datetime, actor: str = "demo") -> policies.Publication:
    """The mall as it began: its own policy, with a maintenance planned for the evening."""
    return begin(shop, "maintenance", at, actor)


def later(shop: Shop, at: datetime, actor: str) -> policies.Publication:
    """Two hours more, by an operator: the window's end, the next word about the terms, or the budget's new beginning."""
    standing = _standing(shop, at)
    reason = "two hours more are needed"
    if standing.cause == "maintenance":
        assert standing.until is not None, "a maintenance has an end"
        return acts.extend(shop, WINDOW, standing.until + LONGER, actor, at, reason=reason)
    base, files = acts.files_in_force(shop, at)
    said = edits.entry(files, "notices", standing.notice) or {}
    if standing.cause == "agreement":
        moved = datetime.fromisoformat(said["next_update"]) + LONGER
        files = edits.change(files, "notices", standing.notice, {"next_update": _written(moved)})
    else:
        moved = datetime.fromisoformat(said["until"]) + LONGER
        files = edits.change(files, "notices", standing.notice, {"until": _written(moved)})
        files = edits.change(files, "budgets", BUDGET, {"renews": _written(moved)})
    return acts.publish_files(shop, files, at, actor, base=base, kind="window", reason=reason)


def come_back(shop: Shop, at: datetime, actor: str) -> datetime:
    """Publish the end, and what is better then: 12 instalments for less, and 24 as new terms. The instant of the end.

    A maintenance ends by itself, so what is better begins with its end; the other two end now.
    """
    standing = _standing(shop, at)
    base, files = acts.files_in_force(shop, at)
    begins = at
    if standing.cause == "maintenance":
        if standing.until is not None and standing.until > at:
            begins = standing.until
    elif standing.cause == "agreement":
        mall = edits.entry(files, "funders", "mall") or {}
        kept = [one for one in mall["agreements"] if one["version"] != OWN_8]
        files = edits.change(files, "funders", "mall", {"agreements": kept})
        files = edits.remove(files, "notices", standing.notice)
    else:
        # New money, no end in sight: the budget stays, with enough in it.
        files = edits.change(files, "budgets", BUDGET, {"total": "¥2,000,000", "notice": None})
        files = edits.remove(files, "notices", standing.notice)
    files = _better(files, begins, shop)
    _publish(
        shop,
        files,
        at,
        actor,
        base=base,
        valid_from=begins,
        reason="the cause is over; terms got better",
        silent="the cause's own notice says that it is back, and what is better, once the engine offers it again",
    )
    return begins


_OVER: Final = "the demo's story starts over"


def _with(shop: Shop, cause: Cause, at: datetime) -> tuple[dict[str, str], str]:
    files = own_files()
    if cause == "maintenance":
        return tonight(files, shop, at)
    if cause == "agreement":
        return _own_8(files, shop, at)
    return _spent(files, shop, at)


def tonight(files: Mapping[str, str], shop: Shop, at: datetime) -> tuple[dict[str, str], str]:
    """The maintenance as the files have it; where that is over, tonight's, or tomorrow's if tonight's has begun."""
    held = edits.entry(files, "rules", WINDOW)
    assert held is not None, "the mall's policy has its maintenance"
    zone = zone_of(shop.time_zone)
    notice = str(held["notice"])
    if datetime.fromisoformat(held["blocked"]["from"]).replace(tzinfo=zone) > at:
        return dict(files), notice
    start = at.astimezone(zone).replace(hour=22, minute=0, second=0, microsecond=0)
    while start <= at:
        start += timedelta(days=1)
    end = start + timedelta(hours=4)
    due = local_date(end, shop.time_zone) + timedelta(days=1)
    said = edits.entry(files, "notices", notice)
    assert said is not None, "the maintenance has its notice"
    new = _free(shop, f"mall-maintenance-{local_date(start, shop.time_zone).isoformat()}")
    unaffected = said["unaffected"]
    made = edits.change(
        files, "rules", WINDOW, {"blocked": {"from": _written(start), "to": _written(end)}, "notice": new}
    )
    return edits.change(
        made,
        "notices",
        notice,
        {
            "id": new,
            "since": _written(start),
            "until": _written(end),
            "repayment": {"from": _written(start), "to": _written(end), "due_moves_to": due.isoformat()},
            "unaffected": {
                "zh-CN": unaffected["zh-CN"].replace("11 月 25 日", f"{due.month} 月 {due.day} 日"),
                "en": unaffected["en"].replace("25 November", f"{due.day} {due:%B}"),
            },
        },
    ), new


def _own_8(files: Mapping[str, str], shop: Shop, at: datetime) -> tuple[dict[str, str], str]:
    name = _free(shop, f"mall-own-8-{local_date(at, shop.time_zone).isoformat()}")
    local = at.astimezone(zone_of(shop.time_zone))
    mall = edits.entry(files, "funders", "mall") or {}
    own_8 = {
        "version": OWN_8,
        "from": _written(local),
        "for": "customer.has_running_contract is no",
        "paused": "yes",
        "cost_ceiling": "15%",
        "notice": name,
    }
    made = edits.change(files, "funders", "mall", {"agreements": [*mall["agreements"], own_8]})
    return edits.add(
        made,
        "notices",
        {
            "id": name,
            "title": {
                "zh-CN": "商城分期暂停受理新顾客",
                "en": "Mall instalments take no new customers for now",
            },
            "reason": {
                "zh-CN": "商城分期的合作协议由第7版改为第8版，新顾客的条款尚未议定。恢复时间尚未确定，本周五给出下一次进展。",
                "en": "The agreement behind mall instalments moves from version 7 to version 8, and the terms for new "
                "customers are not settled yet. When this ends is not known; the next word comes on Friday.",
            },
            "affected": {
                "zh-CN": "没有进行中商城分期合同的顾客，不能用商城分期（3、6、12期）新下单。",
                "en": "Customers without a running contract of mall instalments cannot place new orders on them (3, 6, 12).",
            },
            "unaffected": {
                "zh-CN": "有进行中合同的顾客照常可用；已生效的合同、还款、提前结清和退货都不变；其他支付与分期方式不受影响。",
                "en": "Customers with a running contract keep it. Contracts in force, repayments, paying off early and "
                "returns do not change. All other ways to pay go on as usual.",
            },
            "since": _written(local),
            "next_update": _written(_friday(local)),
            "restored": {
                "zh-CN": "新条款已议定，商城分期重新对所有顾客开放。",
                "en": "The new terms are settled: mall instalments are open to all customers again.",
            },
            "compensation": [_PRICE_48H],
            "plans": ["mall_3", "mall_6", "mall_12"],
        },
        file="50-notices.yaml",
    ), name


def _spent(files: Mapping[str, str], shop: Shop, at: datetime) -> tuple[dict[str, str], str]:
    local = at.astimezone(zone_of(shop.time_zone))
    month = local.date().replace(day=1)
    following = (month + timedelta(days=32)).replace(day=1)
    name = _free(shop, f"mall-interest-free-{local.date().isoformat()}")
    renews = f"{following.isoformat()}T00:00"
    made = edits.add(
        files,
        "budgets",
        {
            "id": BUDGET,
            "name": {"zh-CN": "免息补贴", "en": "Interest-free subsidy"},
            "total": f"¥{BUDGET_TOTAL_MINOR // 100:,}",
            "applies": {"plans": ["mall_3", "mall_6"]},
            "from": f"{month.isoformat()}T00:00",
            "renews": renews,
            "notice": name,
        },
    )
    return edits.add(
        made,
        "notices",
        {
            "id": name,
            "title": {
                "zh-CN": "本月免息补贴已用完",
                "en": "This month's interest-free instalments are used up",
            },
            "reason": {
                "zh-CN": f"商城分期3期、6期的利息由商城承担，本月的预算已用完，{following.month}月{following.day}日重新开始。",
                "en": "The mall bears the interest of 3 and 6 mall instalments. This month's money for it is spent; "
                f"there is new money on {following.day} {following:%B}.",
            },
            "affected": {
                "zh-CN": "想用商城分期3期或6期付款、金额超过剩余补贴的新订单。",
                "en": "New orders in 3 or 6 mall instalments for more than what is left of it.",
            },
            "unaffected": {
                "zh-CN": "商城分期12期照常可用；已生效的合同继续免息；其他支付与分期方式不受影响。",
                "en": "12 mall instalments go on as usual; contracts in force stay interest-free; so do all other ways to pay.",
            },
            "since": _written(local),
            "until": renews,
            "restored": {
                "zh-CN": "免息补贴已重新开始，商城分期3期、6期可照常使用。",
                "en": "There is new money: 3 and 6 interest-free mall instalments can be used again.",
            },
            "compensation": [_PRICE_48H],
            "plans": ["mall_3", "mall_6"],
        },
        file="50-notices.yaml",
    ), name


def _better(files: Mapping[str, str], begins: datetime, shop: Shop) -> dict[str, str]:
    """12 instalments at 0.5 % a period instead of 0.6 %, and 24 as new terms at the same price, said by a notice."""
    if edits.entry(files, "plans", "mall_24") is not None:
        return dict(files)
    name = _free(shop, f"mall-better-{local_date(begins, shop.time_zone).isoformat()}")
    price = {"kind": "flat_fee", "rate_per_period": "0.5%"}
    made = edits.change(files, "plans", "mall_12", {"pricing": price})
    made = edits.add(
        made,
        "plans",
        {
            "id": "mall_24",
            "family": "mall",
            "periods": "24",
            "pricing": price,
            "contingent": [_LATE],
            "servicing": _SERVICING,
        },
        file="20-funders.yaml",
    )
    return edits.add(
        made,
        "notices",
        {
            "id": name,
            "title": {
                "zh-CN": "商城分期：12期费用降低，新增24期",
                "en": "Mall instalments: 12 cost less, and 24 are new",
            },
            "reason": {
                "zh-CN": "新的分期系统降低了我们的成本：12期每期手续费由0.6%降为0.5%，并新增24期，每期同为0.5%。",
                "en": "The instalments cost us less to keep than before: the fee of 12 falls from 0.6% to 0.5% a period, and "
                "24 are new, at 0.5% a period too.",
            },
            "affected": {
                "zh-CN": "想用商城分期12期或24期付款的新订单。",
                "en": "New orders in 12 or 24 mall instalments.",
            },
            "unaffected": {
                "zh-CN": "已生效的合同按原条款；3期、6期仍免息。",
                "en": "Contracts in force keep their terms; 3 and 6 stay interest-free.",
            },
            "since": _written(begins.astimezone(zone_of(shop.time_zone))),
            "plans": ["mall_3", "mall_6", "mall_12", "mall_24"],
        },
        file="50-notices.yaml",
    )


def _spend(shop: Shop, at: datetime) -> None:
    """An order takes from the budget what it takes: a customer with room in the line buys a Lite phone over 3 months."""
    policy = policies.current(shop.id, at)
    left = cast(int, budgets.facts(shop, policy, at, fresh=True)[f"budget.{BUDGET}.left"])
    product = PRODUCT_BY_SKU["cg-lite"]
    if left < product.price_minor:
        return  # it was spent before, in the same month: what is spent stays spent
    person = PERSON_BY_REF["running"]
    customer_id = customers.ensure(shop, person.external_ref, at, limit_minor=person.limit_minor)
    asserted = {
        name: value
        for name, value in shop_facts(person).items()
        if name in policy.vocabulary and may_assert(policy.vocabulary[name])
    }
    items = (cart.CartItem(product, 1),)
    shown_at = at - READ_FOR
    decision = decisions.evaluate(
        shop, customer_id, cart.lines_of(items), person.channel, asserted, shown_at, source="checkout"
    )
    option, quote = decision.evaluation.option("mall_3"), decision.quotes.get("mall_3")
    assert quote is not None, f"the budget is there, the line is too: {option}"
    begun = decisions.begin_reading(shop, customer_id, quote.token, shown_at)
    name, reference = orders.new_name(at)
    with transaction.atomic():
        confirmed = decisions.confirm(
            shop, customer_id, quote.token, reference, begun.digest, at, reading=begun.note
        )
        assert isinstance(confirmed, decisions.Confirmed), "the mall decides this plan itself"
        orders.record(
            shop,
            customer_id,
            name,
            reference=reference,
            items=items,
            currency=shop.currency,
            plan="mall_3",
            policy_digest=decision.policy.digest,
            contract=confirmed.contract_id,
            hand_off=None,
            at=at,
        )
    budgets.forget_caches()


def _publish(
    shop: Shop,
    files: Mapping[str, str],
    at: datetime,
    actor: str,
    *,
    reason: str,
    base: str | None = None,
    valid_from: datetime | None = None,
    silent: str = "",
) -> policies.Publication:
    result = read_policy(files)
    if result.snapshot is None:
        raise acts.Refused(
            "the story's policy",
            "its files",
            "; ".join(str(problem) for problem in result.problems),
            "mend the policy in force, or start the story over",
        )
    return policies.publish(
        shop,
        result.snapshot,
        at,
        actor,
        sets=result.sets,
        files=files,
        valid_from=valid_from,
        reason=reason,
        base=base,
        silent_reason=silent,
    )


def _standing(shop: Shop, at: datetime) -> Standing:
    standing = in_force(shop, at)
    if standing is None:
        raise acts.Refused("cause", "none", "one of the three causes in force", "choose one first")
    return standing


def _free(shop: Shop, name: str) -> str:
    """A notice's name that was never used: what was said under an old one stays as it was said."""
    from fenqi_server.announcements.lifecycle import latest

    known = latest(shop)
    number, free = 1, name
    while free in known:
        number += 1
        free = f"{name}-{number}"
    return free


def _friday(local: datetime) -> datetime:
    friday = local.replace(hour=10, minute=0, second=0, microsecond=0) + timedelta(
        days=(4 - local.weekday()) % 7
    )
    return friday if friday > local else friday + timedelta(days=7)


def _written(local: datetime) -> str:
    wall: Any = local.replace(tzinfo=None, microsecond=0)
    return str(wall.isoformat(timespec="seconds" if wall.second else "minutes"))

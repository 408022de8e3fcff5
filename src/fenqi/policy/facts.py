"""Facts: what is known about one checkout, under names whose types are fixed beforehand.

The vocabulary says which names there are, what kind of value each holds, where it comes from and whether the
customer can change it. A fact that is absent is *unknown*, which is neither true nor false; there is no null.
Facts are coarse (an age, never a birth date) and flat, so that a recorded set of them replays for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Literal, TypeGuard

import msgspec

from fenqi.calendars import zone_of
from fenqi.money import MAX_MINOR
from fenqi.problems import Problem
from fenqi.texts import Text

__all__ = [
    "CLOCK_FACTS",
    "EARLIEST",
    "LATEST",
    "MAX_NAME",
    "VOCABULARY",
    "FactKind",
    "FactSource",
    "FactType",
    "FactValue",
    "Facts",
    "check_facts",
    "clock_facts",
    "freeze_facts",
    "funder_facts",
    "stale_facts",
    "vocabulary_for",
]

FactKind = Literal["int", "money", "rate", "enum", "set", "bool", "text", "instant", "time"]
"""money: minor units of the shop's currency. rate: 1e-12 (0.24 is 240_000_000_000). set: names.
instant: epoch seconds. time: minute of the shop's day."""

FactSource = Literal["cart", "customer", "card", "channel", "funder", "clock", "ours", "offer"]

FactValue = int | bool | str | frozenset[str]

MAX_NAME: Final = 100
MAX_NAMES: Final = 500
MAX_WHOLE: Final = 10**18
EARLIEST: Final = 946_684_800  # 2000-01-01: seconds handed in as milliseconds, or the reverse, fall outside
LATEST: Final = 7_258_118_400  # 2200-01-01
Facts = Mapping[str, FactValue]


class FactType(msgspec.Struct, frozen=True, kw_only=True):
    """One name of the vocabulary.

    `values` are the names an enum (or a set, where given) may hold. `changeable`: the customer can change it at
    the checkout. `personal`: seen by that customer only. `value_labels` name the values for people. `max_age_seconds`: what was
    found longer ago than that counts as unknown.
    """

    name: str
    type: FactKind
    source: FactSource
    label: Text
    values: tuple[str, ...] = ()
    value_labels: dict[str, Text] = {}
    changeable: bool = False
    personal: bool = False
    max_age_seconds: int | None = None


CLOCK_FACTS: Final = ("clock.now", "clock.time", "clock.weekday")

_KIND_NAMES: Final = {
    "goods": Text("普通商品", "goods"),
    "blind_box": Text("盲盒", "blind box"),
    "pledge": Text("众筹", "pledge"),
    "recurring": Text("定期订购", "recurring order"),
}
_CHANNELS: Final = {
    "web": Text("网页", "the web shop"),
    "app": Text("App", "the app"),
    "store": Text("门店", "a store"),
    "mini_program": Text("小程序", "the mini program"),
}
_CARD_KINDS: Final = {"debit": Text("借记卡", "debit card"), "credit": Text("信用卡", "credit card")}
_BANKS: Final = {
    "cmb": Text("招商银行", "China Merchants Bank"),
    "ccb": Text("建设银行", "China Construction Bank"),
    "icbc": Text("工商银行", "ICBC"),
}


def _fact(
    name: str,
    type_: FactKind,
    source: FactSource,
    zh_cn: str,
    en: str,
    *,
    labels: dict[str, Text] | None = None,
    changeable: bool = False,
    personal: bool = False,
) -> FactType:
    return FactType(
        name=name,
        type=type_,
        source=source,
        label=Text(zh_cn, en),
        values=tuple(labels or ()),
        value_labels=labels or {},
        changeable=changeable,
        personal=personal,
    )


VOCABULARY: Final[dict[str, FactType]] = {
    fact.name: fact
    for fact in (
        _fact("cart.amount", "money", "cart", "订单金额", "order amount", changeable=True),
        _fact("cart.currency", "text", "cart", "币种", "currency"),
        _fact("cart.categories", "set", "cart", "商品类目", "product categories", changeable=True),
        _fact("cart.kinds", "set", "cart", "商品形式", "kinds of item", labels=_KIND_NAMES, changeable=True),
        _fact("cart.sellers", "set", "cart", "卖家", "sellers", changeable=True),
        _fact("cart.skus", "set", "cart", "商品编号", "item numbers", changeable=True),
        _fact("cart.has_coupon", "bool", "cart", "使用优惠券", "coupon used", changeable=True),
        _fact("cart.line_count", "int", "cart", "商品行数", "number of lines", changeable=True),
        _fact("region.ship_to", "text", "cart", "收货地区", "delivery region", changeable=True),
        _fact("channel.kind", "enum", "channel", "下单渠道", "channel", labels=_CHANNELS, changeable=True),
        # A key of ours, never a name or a number of theirs: who they are among all (`fenqi.policy.rollout`).
        _fact("customer.id", "text", "ours", "客户编号", "customer's key", personal=True),
        _fact("customer.signed_in", "bool", "customer", "已登录", "signed in", changeable=True),
        _fact("customer.age", "int", "customer", "年龄", "age", personal=True),
        _fact("customer.student", "bool", "customer", "在校学生", "student", personal=True),
        _fact(
            "customer.real_name_verified",
            "bool",
            "customer",
            "已实名认证",
            "identity verified",
            personal=True,
        ),
        _fact("customer.account_days", "int", "customer", "注册天数", "days since joining", personal=True),
        _fact("customer.tier", "int", "customer", "会员等级", "membership tier", personal=True),
        _fact("customer.credit_score", "int", "customer", "信用分", "credit score", personal=True),
        _fact(
            "customer.consents",
            "set",
            "customer",
            "已授权的资方",
            "funders consented to",
            changeable=True,
            personal=True,
        ),
        _fact(
            "customer.last_used_family", "text", "customer", "上次使用的方式", "way last used", personal=True
        ),
        _fact("customer.overdue", "bool", "ours", "有逾期账单", "a bill is overdue", personal=True),
        # Not personal: an agreement may be for those who have one, and say so in public.
        _fact(
            "customer.has_running_contract",
            "bool",
            "ours",
            "有进行中的本店分期",
            "own instalments are running",
        ),
        _fact("limit.mall_available", "money", "ours", "商城可用额度", "mall credit left", personal=True),
        _fact("limit.mall", "money", "ours", "商城总额度", "mall credit line", personal=True),
        _fact("card.bank", "enum", "card", "发卡银行", "card's bank", labels=_BANKS, changeable=True),
        _fact("card.kind", "enum", "card", "卡种", "kind of card", labels=_CARD_KINDS, changeable=True),
        _fact("clock.now", "instant", "clock", "当前时间", "the present moment"),
        _fact("clock.time", "time", "clock", "当前时刻", "time of day"),
        _fact("clock.weekday", "int", "clock", "星期", "day of the week (1 to 7)"),
        _fact("offer.annual_cost", "rate", "offer", "年化成本", "annual cost"),
        _fact("offer.annual_cost_compounded", "rate", "offer", "年化成本（复利）", "annual cost, compounded"),
        _fact("offer.financed", "money", "offer", "分期本金", "amount financed"),
        _fact("offer.instalment_min", "money", "offer", "最低每期", "smallest instalment"),
        _fact("offer.instalment_max", "money", "offer", "最高每期", "largest instalment"),
        _fact("offer.fee", "money", "offer", "费用合计", "total fee"),
        _fact("offer.total", "money", "offer", "总支付额", "total to pay"),
        _fact("offer.periods", "int", "offer", "期数", "number of instalments"),
        _fact("offer.paid_at_start", "money", "offer", "首日支付", "paid at the start"),
        _fact("offer.fee_at_start", "money", "offer", "首日费用", "fee paid at the start"),
        # Of leases alone (`fenqi.terms.rent.LeaseFigures`); unknown of anything else.
        _fact("offer.owns", "bool", "offer", "期满归客户所有", "the customer's at the end"),
        _fact("offer.rent_total", "money", "offer", "租金合计", "all rents"),
        _fact("offer.buyout", "money", "offer", "买断价", "buyout"),
        _fact("offer.buyout_ratio", "rate", "offer", "买断价与商品价之比", "buyout over the price"),
        _fact(
            "offer.own_ratio", "rate", "offer", "租金加买断价与商品价之比", "rents and buyout over the price"
        ),
        _fact(
            "offer.yearly_ratio",
            "rate",
            "offer",
            "年租金加买断价与商品价之比",
            "a year's rents and buyout over the price",
        ),
        _fact("offer.deposit", "money", "offer", "押金", "deposit"),
        _fact("offer.deposit_days", "int", "offer", "押金退还天数", "days until the deposit is back"),
        _fact("offer.goods_used", "bool", "offer", "二手商品", "used goods"),
        _fact("offer.renews_silently", "bool", "offer", "到期自动续租", "renewed without being asked"),
        _fact("offer.overdue_sale", "bool", "offer", "逾期自动转为购买", "arrears turn it into a sale"),
    )
}
"""The facts that every shop has. `offer.*` exist only in the second pass, for one priced plan at a time."""

_HEALTH: Final = {
    "up": Text("正常", "working"),
    "degraded": Text("不稳定", "degraded"),
    "checking": Text("确认中", "being checked"),
    "down": Text("不可用", "down"),
}
_PREQUAL: Final = {
    "approved": Text("已通过", "approved"),
    "declined": Text("未通过", "declined"),
    "pending": Text("评估中", "being assessed"),
}


def funder_facts(funder: str, name: Text) -> tuple[FactType, ...]:
    """The live facts that each funder brings: its health, what is left of its quota, and its answer about this customer."""
    zh_cn, en = name.zh_cn, name.en
    return (
        _fact(
            f"funder.{funder}.health", "enum", "funder", f"{zh_cn}服务状态", f"{en} service", labels=_HEALTH
        ),
        _fact(f"funder.{funder}.connected", "bool", "ours", f"{zh_cn}已接通", f"{en} is connected"),
        _fact(
            f"funder.{funder}.health_since",
            "instant",
            "funder",
            f"{zh_cn}服务状态起始",
            f"{en} service, since",
        ),
        _fact(
            f"funder.{funder}.health_deadline",
            "instant",
            "funder",
            f"{zh_cn}服务确认截止",
            f"{en} service, known by",
        ),
        _fact(
            f"funder.{funder}.quota_left", "money", "ours", f"{zh_cn}当日剩余额度", f"{en}'s quota left today"
        ),
        _fact(
            f"funder.{funder}.quota_renews", "instant", "ours", f"{zh_cn}额度恢复时间", f"{en}'s quota renews"
        ),
        _fact(
            f"funder.{funder}.prequal",
            "enum",
            "funder",
            f"{zh_cn}评估结果",
            f"{en}'s assessment",
            labels=_PREQUAL,
            personal=True,
        ),
        _fact(
            f"funder.{funder}.prequal_deadline",
            "instant",
            "funder",
            f"{zh_cn}评估截止",
            f"{en}'s assessment due",
            personal=True,
        ),
    )


def budget_facts(budget: str, name: Text) -> tuple[FactType, ...]:
    """The live facts of a budget: how much can still be financed out of it, and when it is there anew."""
    zh_cn, en = name.zh_cn, name.en
    return (
        _fact(f"budget.{budget}.left", "money", "ours", f"{zh_cn}剩余", f"left of {en}"),
        _fact(f"budget.{budget}.renews", "instant", "ours", f"{zh_cn}恢复时间", f"{en} renews"),
    )


def vocabulary_for(
    funders: Iterable[tuple[str, Text]] = (),
    own: Iterable[FactType] = (),
    budgets: Iterable[tuple[str, Text]] = (),
) -> dict[str, FactType]:
    """The whole vocabulary of one policy: the built-in facts, those of its funders and budgets, and its own.

    >>> vocab = vocabulary_for([("wallet", Text("钱包", "Wallet"))])
    >>> vocab["funder.wallet.health"].values
    ('up', 'degraded', 'checking', 'down')
    """
    vocabulary = dict(VOCABULARY)
    for funder, name in funders:
        for fact in funder_facts(funder, name):
            vocabulary[fact.name] = fact
    for budget, name in budgets:
        for fact in budget_facts(budget, name):
            vocabulary[fact.name] = fact
    for fact in own:
        vocabulary[fact.name] = fact
    return vocabulary


@lru_cache(maxsize=1024)
def _clock_of_minute(minute: int, zone: str) -> tuple[int, int]:
    # A minute of UTC, not a second: checkouts of one minute share the answer.
    local = (_EPOCH + timedelta(minutes=minute)).astimezone(zone_of(zone))
    return local.hour * 60 + local.minute, local.isoweekday()


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def clock_facts(at: int, zone: str) -> dict[str, FactValue]:
    """The facts of an instant (epoch seconds) in the shop's zone.

    >>> clock_facts(1795370400, "Asia/Shanghai")
    {'clock.now': 1795370400, 'clock.time': 120, 'clock.weekday': 1}
    """
    time, weekday = _clock_of_minute(at // 60, zone)
    return {"clock.now": at, "clock.time": time, "clock.weekday": weekday}


def stale_facts(max_ages: Mapping[str, int], as_of: Mapping[str, int], at: int) -> frozenset[str]:
    """The facts that at an instant are older than they may be: they count as unknown. Ages are in seconds.

    >>> stale_facts({"customer.tier": 60}, {"customer.tier": 1795370400}, 1795370461)
    frozenset({'customer.tier'})
    """
    return frozenset(
        name for name, seconds in max_ages.items() if name in as_of and at - as_of[name] > seconds
    )


def freeze_facts(facts: Mapping[str, object]) -> dict[str, object]:
    """The same facts with lists and sets of names made frozensets, and nulls left out, as JSON brings them.

    A list that holds anything but names stays a list, for `check_facts` to refuse as it was written.
    """
    return {
        name: frozenset(value) if _is_names(value) else value
        for name, value in facts.items()
        if value is not None
    }


def _is_names(value: object) -> TypeGuard[list[str] | tuple[str, ...] | set[str]]:
    return isinstance(value, (list, tuple, set)) and all(isinstance(item, str) for item in value)


def check_facts(vocabulary: Mapping[str, FactType], facts: Mapping[str, object]) -> list[Problem]:
    """Everything wrong with a set of facts: unknown names, values of another type or outside their domain.

    Inside the engine facts are right by their types; this is the check at the edge.

    >>> [p.sentence for p in check_facts(VOCABULARY, {"customer.age": "17"})]
    ['customer.age is 17: expected a whole number']
    """
    found: list[Problem] = []
    for name, value in facts.items():
        fact = vocabulary.get(name)
        if fact is None:
            found.append(
                Problem(name, str(value), "a fact of the policy's vocabulary", _nearest(name, vocabulary))
            )
            continue
        expected = _misfit(fact, value)
        if expected:
            shown = ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
            found.append(Problem(name, shown, expected))
    return found


def _nearest(name: str, vocabulary: Mapping[str, FactType]) -> str:
    close = get_close_matches(name, vocabulary, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _misfit(fact: FactType, value: object) -> str:
    """What was expected instead of `value`; empty where it fits."""
    kind = fact.type
    if kind == "bool":
        return "" if isinstance(value, bool) else "true or false"
    if kind in ("enum", "text"):
        if not isinstance(value, str):
            return "a text"
        if kind == "enum" and value not in fact.values:
            return "one of " + ", ".join(fact.values)
        return "" if len(value) <= MAX_NAME else f"at most {MAX_NAME} characters"
    if kind == "set":
        if not isinstance(value, frozenset) or not all(isinstance(item, str) for item in value):
            return "a set of names"
        if fact.values and not value.issubset(fact.values):
            return "names out of " + ", ".join(fact.values)
        if len(value) > MAX_NAMES or any(len(item) > MAX_NAME for item in value):
            return f"at most {MAX_NAMES} names of at most {MAX_NAME} characters"
        return ""
    if type(value) is not int:
        return {
            "money": "a whole number of minor units",
            "rate": "a whole number of 1e-12",
            "instant": "epoch seconds",
            "time": "a minute of the day",
        }.get(kind, "a whole number")
    if kind == "money" and not 0 <= value <= MAX_MINOR:
        return f"0 to {MAX_MINOR} minor units"
    if kind == "instant" and not EARLIEST <= value < LATEST:
        return "an instant of the years 2000 to 2199, in epoch seconds"
    if abs(value) > MAX_WHOLE:
        return f"a whole number of at most {MAX_WHOLE}"
    if kind == "time" and not 0 <= value < 1440:
        return "0 to 1439"
    return ""

"""What the public is told of an act that somebody does in a hurry: the reason in their words, the rest from the policy.

The command line and the console both say it through here, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from fenqi.calendars import local_date
from fenqi.policy.compile import Policy
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.policies.acts import Told
from fenqi_server.shops.models import Shop

__all__ = ["UNAFFECTED", "plan_names", "told_of"]

UNAFFECTED: Final = Text(
    "已生效的合同、还款、提前结清和退货照常；其他付款方式不受影响。",
    "Contracts in force, repayments, paying off early and returns go on as usual; so do all other ways to pay.",
)


def told_of(
    kind: Literal["pause", "maintenance"],
    shop: Shop,
    policy: Policy,
    plans: Sequence[str],
    start: datetime,
    reason: Text,
    next_update: datetime | None,
) -> tuple[str, Told]:
    """The rule's id, not taken yet, and what the public is told. Raises `BadInput` for no plan, or a reason left empty."""
    if not plans:
        raise BadInput("plans", "none", "at least one plan", "choose what it is about")
    for plan in plans:
        if plan not in policy.plan_index:
            raise BadInput(
                "plans", plan, f"one of {', '.join(policy.plan_index)}", "look at the policy's plans"
            )
    for language, given in (("zh-CN", reason.zh_cn), ("en", reason.en)):
        if not given.strip():
            raise BadInput(
                f"reason in {language}", given, "the reason in plain words, in both languages", "write it"
            )
    zh, en = plan_names(policy, plans, "zh-CN"), plan_names(policy, plans, "en")
    day = f"{local_date(start, shop.time_zone):%Y%m%d}"
    rule, number = f"{kind}.{plans[0]}.{day}", 2
    while rule in policy.rule_index:
        rule, number = f"{kind}.{plans[0]}.{day}-{number}", number + 1
    title = (
        Text(f"{zh}系统维护", f"{en}: maintenance")
        if kind == "maintenance"
        else Text(f"{zh}暂停", f"{en}: paused")
    )
    return rule, Told(
        id=rule.replace(".", "-").replace("_", "-"),
        title=title,
        reason=reason,
        affected=Text(f"想用{zh}付款的新订单。", f"New orders that would be paid by {en}."),
        unaffected=UNAFFECTED,
        restored=Text(f"{zh}已恢复。", f"{en}: back."),
        next_update=next_update,
        plans=tuple(plans),
    )


def plan_names(policy: Policy, plans: Sequence[str], locale: str) -> str:
    """Families with their terms, in one language."""
    terms: dict[str, list[str]] = {}
    for name in plans:
        plan = policy.plan(name)
        of_family = terms.setdefault(policy.families[plan.family].name.in_(locale), [])
        if plan.legal_form != "full_payment":
            of_family.append(str(plan.periods))
    if locale == "zh-CN":
        return "、".join(f"{family}{'、'.join(each)}期" if each else family for family, each in terms.items())
    return ", ".join(f"{family} × {'/'.join(each)}" if each else family for family, each in terms.items())

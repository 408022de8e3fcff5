"""A first draft of the announcement that a change of policy still lacks, in both languages.

It is made from the semantic difference, so what it says of plans and times is right; why it is so only people know, and the
draft says so in its place. It is a proposal: it goes into the policy's files, is edited and reviewed there, and is
published with the change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from fenqi.policy.compile import Policy
from fenqi.policy.difference import Change, Difference, announced, change_text
from fenqi.policy.snapshot import Notice
from fenqi.texts import Text

__all__ = ["CAUSES", "Proposal", "draft_of"]

CAUSES: Final = {
    "law": Text("法律法规要求调整。", "A law or a supervisor's rule requires it."),
    "compliance": Text("依据监管与合规要求调整。", "It is required by rules that the shop has to keep."),
    "agreement": Text("合作机构调整了与本店的合作条款。", "The funder's terms with the shop have changed."),
    "maintenance": Text("系统维护。", "A system is being maintained."),
    "health": Text("合作机构的服务暂时不可用。", "The funder's service cannot be reached for now."),
    "strategy": Text("本店调整了经营安排。", "The shop has changed what it offers."),
}
"""What is said of the cause until somebody says more. Risk and the customer's own are never announced."""

_STOCK: Final = Text("支付方式安排有调整。", "What is offered has changed.")
_EFFECTS: Final = {
    "paused": Text("暂停", "paused"),
    "limited": Text("使用受限", "limited"),
    "demoted": Text("位置下移", "moved down"),
    "changed": Text("有变化", "changed"),
    "promoted": Text("位置上移", "moved up"),
    "restored": Text("恢复", "back"),
    "new": Text("新增", "new"),
    "withdrawn": Text("停止提供", "no longer offered"),
}
_UNAFFECTED: Final = Text(
    "已生效的合同、还款、提前结清和退货照常；其他支付方式不受影响。",
    "Contracts in force, repayments, paying off early and returns go on as usual; so do all other ways to pay.",
)
_SILENT: Final = frozenset({"risk", "customer"})


class Proposal(msgspec.Struct, frozen=True):
    """A notice to be edited, and the rules and placements that are to link it."""

    notice: Notice
    rules: tuple[str, ...]
    placements: tuple[str, ...]


def draft_of(before: Policy | None, after: Policy, difference: Difference, at: int) -> tuple[Proposal, ...]:
    """One proposal for each thing that changes and is not announced; what belongs together is one."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in difference.availability:
        if change.layer in _SILENT or announced(change, before, after) or not change.plans:
            continue
        groups.setdefault((change.layer, change.effect, change.since, change.until), []).append(change)
    return tuple(
        _proposal(before, after, changes, number, at) for number, changes in enumerate(groups.values(), 1)
    )


def _proposal(before: Policy | None, after: Policy, changes: list[Change], number: int, at: int) -> Proposal:
    first = changes[0]
    policy = after if all(plan in after.plan_index for plan in first.plans) or before is None else before
    plans = tuple(dict.fromkeys(plan for change in changes for plan in change.plans))
    since = first.since if first.since is not None and first.since > at else at
    effect = _EFFECTS.get(first.effect, _EFFECTS["changed"])
    names = _names(policy, plans)
    rules = tuple(dict.fromkeys(change.rule for change in changes if change.rule is not None))
    return Proposal(
        Notice(
            id=f"{first.layer or first.kind}-{_slug(rules or plans)}-{number}",
            title=Text(f"{names.zh_cn}{effect.zh_cn}", f"{names.en}: {effect.en}"),
            reason=CAUSES.get(first.layer or "", _STOCK),
            affected=Text(
                *(
                    " ".join(change_text(before, after, change, locale) for change in changes)
                    for locale in ("zh-CN", "en")
                )
            ),
            unaffected=_UNAFFECTED,
            since=since,
            until=first.until,
            confidence="unknown"
            if first.until is None
            else "estimate"
            if first.layer == "health"
            else "fixed",
            rules=rules,
            plans=tuple(plan for plan in plans if plan in after.plan_index),
        ),
        rules,
        tuple(dict.fromkeys(change.name for change in changes if change.kind == "placement")),
    )


def _names(policy: Policy, plans: Iterable[str]) -> Text:
    terms: dict[str, list[int]] = {}
    for plan_id in plans:
        if plan_id in policy.plan_index:
            plan = policy.plan(plan_id)
            terms.setdefault(plan.family, [])
            if plan.legal_form != "full_payment":
                terms[plan.family].append(plan.periods)
    zh_cn, en = [], []
    for family_id, periods in terms.items():
        family = policy.families[family_id]
        shown = [str(n) for n in sorted(periods)]
        whole = len(periods) == sum(plan.family == family_id for plan in policy.plans)
        zh_cn.append(family.name.zh_cn + ("" if whole or not shown else f"{'、'.join(shown)}期"))
        en.append(family.name.en + ("" if whole or not shown else f" × {', '.join(shown)}"))
    return Text("、".join(zh_cn), ", ".join(en))


def _slug(names: Iterable[str]) -> str:
    return next(iter(names), "change").replace("_", "-").replace(".", "-")[:40]

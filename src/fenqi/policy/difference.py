"""What one policy changes against another: plan by plan, rule by rule, place by place, as values and in plain words.

It compares what the policies *say*, not what they answer to some sample, so nothing is missed because nobody asked. Whatever
can change an answer or a place is a change of `availability`; a text, an owner or a source is not. The list is what
people review, what must be announced, and what the announcement is drafted from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from fenqi.calendars import CalendarError
from fenqi.policy.compile import facts_of_rule
from fenqi.policy.impacts import affected_by, condition_text, lower
from fenqi.policy.placement import Placed, place
from fenqi.policy.rollout import PREFIX
from fenqi.policy.snapshot import Layer, Notice, Placement, Rule, Selector, Window, selects, versions_of
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import Plan, TermsError
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text, fill

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "Betterment",
    "Change",
    "Difference",
    "FieldChange",
    "Kind",
    "announced",
    "betterments",
    "change_text",
    "compare",
    "review_layers",
]

Kind = Literal[
    "rule", "waiver", "plan", "placement", "funder", "family", "notice", "budget", "fact", "calendar", "shop"
]
Effect = Literal[
    "paused", "limited", "demoted", "promoted", "changed", "restored", "new", "withdrawn", "said"
]
"""`said`: only words changed, and no answer."""

REVIEWED: Final[frozenset[Layer]] = frozenset({"law", "compliance", "risk"})
"""What somebody else than its author has to look at before it is published."""


class FieldChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field that says something else. Before and after are as the snapshot's encoding has them; None: it is not there."""

    path: str
    before: object = None
    after: object = None


class Change(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One thing that changed, with the plans it is about.

    `since` and `until` are when it holds (epoch seconds; None: from now on, or not known), `was_until` when it held until.
    `notice` is the one that tells of it. `name` is the id of the rule, place, plan, funder that changed.
    """

    kind: Kind
    effect: Effect
    name: str
    plans: tuple[str, ...] = ()
    layer: Layer | None = None
    rule: str | None = None
    since: int | None = None
    until: int | None = None
    was_until: int | None = None
    notice: str | None = None
    fields: tuple[FieldChange, ...] = ()
    availability: bool = False


class Difference(msgspec.Struct, frozen=True):
    """All changes: those of availability first, by layer."""

    changes: tuple[Change, ...] = ()

    @property
    def availability(self) -> tuple[Change, ...]:
        """The changes that can change an answer, a figure or a place."""
        return tuple(change for change in self.changes if change.availability)


# What of a rule can change an answer. `valid`, `blocked` and `daily` do too, while they are not over.
_ANSWERS: Final = (
    "layer",
    "reason",
    "applies",
    "when",
    "require",
    "unknown",
    "pending",
    "until_fact",
    "public",
    "change",
)
_WINDOWS: Final = ("blocked", "valid", "daily")


def compare(before: Policy | None, after: Policy, at: int) -> Difference:
    """What `after` changes against `before`, for somebody who asks at `at` (epoch seconds) or later.

    A window that is over by then changes nothing any more. Without a `before` everything is new.
    """
    found = [
        *_plans(before, after),
        *_rules(before, after, at),
        *_waivers(before, after),
        *_placements(before, after, at),
        *_amounts(before, after, at),
        *_known(before, after),
        *_others(before, after),
    ]
    order = (
        "law",
        "compliance",
        "agreement",
        "risk",
        "maintenance",
        "health",
        "strategy",
        "cart",
        "customer",
    )
    ranks = {layer: rank for rank, layer in enumerate(order)}
    found.sort(key=lambda change: (not change.availability, ranks.get(change.layer or "", len(order))))
    return Difference(tuple(found))


def review_layers(difference: Difference) -> frozenset[Layer]:
    """The layers of which somebody else has to agree before this is published."""
    found: set[Layer] = set()
    for change in difference.availability:
        # What moves every rule moves those of law.
        layers: list[object] = ["law"] if change.kind == "shop" else [change.layer]
        # Nobody takes a rule out of its reviewers' hands by giving it another layer.
        layers += [field.before for field in change.fields if field.path == "layer"]
        found.update(layer for layer in REVIEWED if layer in layers)
    return frozenset(found)


def announced(change: Change, before: Policy | None, after: Policy) -> bool:
    """Whether the public is told of a change: by the notice that it links, or by a new or changed notice about its plans."""
    if change.notice is not None:
        return True
    known = {} if before is None else before.notices
    told: set[str] = set()
    for notice in after.notices.values():
        if known.get(notice.id) != notice:
            told.update(notice.plans)
            told.update(plan for rule in notice.rules for plan in _plans_of_rule(after, rule))
    return bool(change.plans) and set(change.plans) <= told


def _plans_of_rule(policy: Policy, name: str) -> tuple[str, ...]:
    index = policy.rule_index.get(name)
    return () if index is None else _selected(policy, policy.rules[index].applies)


def _selected(policy: Policy, selector: Selector) -> tuple[str, ...]:
    return tuple(plan.id for plan in policy.plans if selects(selector, plan))


def _same_plans(before: Policy, was: Rule, after: Policy, rule: Rule) -> bool:
    """Whether a rule is about the same plans of those that both policies have: a plan that is new, or gone, is a change of
    its own and not one of every rule that speaks of all plans."""
    then = {plan for plan in _selected(before, was.applies) if plan in after.plan_index}
    return then == {plan for plan in _selected(after, rule.applies) if plan in before.plan_index}


def _fields(before: object, after: object, names: Iterable[str]) -> tuple[FieldChange, ...]:
    found = []
    for name in names:
        was, now = getattr(before, name, None), getattr(after, name, None)
        if was != now:
            found.append(FieldChange(name, _plainly(was), _plainly(now)))
    return tuple(found)


def _plainly(value: object) -> object:
    return msgspec.to_builtins(value, str_keys=True)


def _all_fields(value: msgspec.Struct) -> tuple[str, ...]:
    return value.__struct_fields__


# --------------------------------------------------------------------------------------------------- plans


_PLAN_WORDS: Final = frozenset({"contingent", "indicative_basis", "fee_code", "fee_payee"})


def _plans(before: Policy | None, after: Policy) -> Iterable[Change]:
    known = {} if before is None else {plan.id: plan for plan in before.plans}
    for plan in after.plans:
        was = known.pop(plan.id, None)
        if was is None:
            yield Change(kind="plan", effect="new", name=plan.id, plans=(plan.id,), availability=True)
        elif was != plan:
            fields = _fields(was, plan, _all_fields(plan))
            said = all(field.path in _PLAN_WORDS for field in fields)
            yield Change(
                kind="plan",
                effect="said" if said else "changed",
                name=plan.id,
                plans=(plan.id,),
                fields=fields,
                availability=not said,
            )
    for gone in known.values():
        yield Change(kind="plan", effect="withdrawn", name=gone.id, plans=(gone.id,), availability=True)
    if before is not None:
        for plan in after.plans:
            was_by, is_by = before.funders.get(plan.funder), after.funders[plan.funder]
            if was_by is not None and plan.id in before.plan_index and was_by.decides != is_by.decides:
                yield Change(
                    kind="funder",
                    effect="changed",
                    name=plan.funder,
                    plans=(plan.id,),
                    fields=_fields(was_by, is_by, ("decides",)),
                    availability=True,
                )


# --------------------------------------------------------------------------------------------------- rules


def _rules(before: Policy | None, after: Policy, at: int) -> Iterable[Change]:
    known = {} if before is None else {rule.id: rule for rule in before.rules}
    still = {rule.id for rule in after.rules}
    # A rule made from an agreement is named after its version: one that only got another name says what it said.
    renamed = {_unnamed(rule): rule.id for rule in known.values() if rule.id not in still}
    for rule in after.rules:
        was = known.pop(rule.id, None)
        plans = _selected(after, rule.applies)
        if was is None and before is not None:
            name = renamed.get(_unnamed(rule))
            if name in known and _same_plans(before, known[name], after, rule):
                del known[name]
                yield Change(
                    kind="rule", effect="said", name=rule.id, plans=plans, layer=rule.layer, rule=rule.id
                )
                continue
        if was is None:
            if _over(rule, at) or not plans:
                yield _rule_change(rule, plans, "said", availability=False)
            else:
                yield _rule_change(rule, plans, "paused" if _unconditional(rule) else "limited")
            continue
        if before is not None and (was != rule or not _same_plans(before, was, after, rule)):
            yield from _changed_rule(before, was, after, rule, plans, at)
    for gone in known.values():
        assert before is not None, "a rule that is gone was there"
        plans = tuple(plan for plan in _selected(before, gone.applies) if plan in after.plan_index)
        moves = bool(plans) and not _over(gone, at)
        yield _rule_change(
            gone,
            plans,
            "restored" if moves else "said",
            was_until=_end(gone),
            availability=moves,
            until=None,
        )


def _waivers(before: Policy | None, after: Policy) -> Iterable[Change]:
    """Who need not leave a deposit: no answer about the lease itself, and yet what it asks for."""
    known = {} if before is None else {rule.id: rule for rule in before.snapshot.waivers}
    now = {rule.id: rule for rule in after.snapshot.waivers}
    leased = () if after.waivers is None else after.waivers.plans
    for name in dict.fromkeys((*known, *now)):
        was, rule = known.get(name), now.get(name)
        one = rule or was
        if was == rule or one is None:
            continue
        fields = _fields(was, rule, _all_fields(one)) if was is not None and rule is not None else ()
        yield Change(
            kind="waiver",
            effect="new" if was is None else "withdrawn" if rule is None else "changed",
            name=name,
            plans=tuple(plan.id for plan in leased if selects(one.applies, plan)),
            layer=one.layer,
            fields=fields,
            availability=True,
        )


def _changed_rule(
    before: Policy, was: Rule, after: Policy, rule: Rule, plans: tuple[str, ...], at: int
) -> Iterable[Change]:
    fields = _fields(was, rule, _all_fields(rule))
    over_before, over_after = _over(was, at), _over(rule, at)
    moved_plans = _selected(before, was.applies)
    answers = any(field.path in _ANSWERS for field in fields) or not _same_plans(before, was, after, rule)
    windows = any(field.path in _WINDOWS for field in fields)
    availability = (answers or windows) and not (over_before and over_after)
    effect: Effect = "said"
    if availability:
        start_before, start_after = _start(was), _start(rule)
        if over_after and not over_before:
            effect = "restored"
        elif over_before and not over_after:
            effect = "paused" if _unconditional(rule) else "limited"
        elif not answers and start_before == start_after and _sooner(_end(rule), _end(was)):
            effect = "restored" if (_end(rule) or 0) <= at else "changed"
        else:
            effect = "changed"
    touched = tuple(plan.id for plan in before.plans if plan.id in {*moved_plans, *plans}) + tuple(
        plan for plan in plans if plan not in before.plan_index
    )
    yield _rule_change(rule, touched, effect, was_until=_end(was), fields=fields, availability=availability)


def _rule_change(
    rule: Rule,
    plans: tuple[str, ...],
    effect: Effect,
    *,
    was_until: int | None = None,
    fields: tuple[FieldChange, ...] = (),
    availability: bool = True,
    **more: int | None,
) -> Change:
    return Change(
        kind="budget" if rule.id.startswith("budget.") else "rule",
        effect=effect,
        name=rule.id,
        plans=plans,
        layer=rule.layer,
        rule=rule.id,
        since=_start(rule),
        until=more["until"] if "until" in more else _end(rule),
        was_until=was_until,
        notice=rule.notice,
        fields=fields,
        availability=availability,
    )


def _unnamed(rule: Rule) -> Rule:
    return msgspec.structs.replace(rule, id="")


def _windows(rule: Rule) -> Iterable[Window]:
    return (window for window in (rule.valid, rule.blocked) if window is not None)


def _start(rule: Rule) -> int | None:
    return max((window.start for window in _windows(rule) if window.start is not None), default=None)


def _end(rule: Rule) -> int | None:
    return min((window.end for window in _windows(rule) if window.end is not None), default=None)


def _over(rule: Rule, at: int) -> bool:
    end, start = _end(rule), _start(rule)
    return end is not None and (end <= at or (start is not None and end <= start))


def _sooner(one: int | None, other: int | None) -> bool:
    return one is not None and (other is None or one < other)


def _unconditional(rule: Rule) -> bool:
    return rule.when is None and rule.require is None


# -------------------------------------------------------------------------------------------------- places


def _placements(before: Policy | None, after: Policy, at: int) -> Iterable[Change]:
    """Which plans stand elsewhere, at `at` or at any later change of place, and which placement moved them."""
    if before is None:
        return
    instants = sorted({at, *(i for p in (before, after) for i in p.placements.since if i > at)})
    moved: dict[str, tuple[int, Placed, Placed]] = {}
    for instant in instants:
        was, now = place(before.placements, instant), place(after.placements, instant)
        for plan in after.plans:
            if plan.id in moved or plan.id not in was:
                continue
            old, new = was[plan.id], now[plan.id]
            if (old.group, old.rank, old.collapsed) != (new.group, new.rank, new.collapsed):
                moved[plan.id] = (instant, old, new)
    # Who is told of it is told by what moved the plan, not by whatever else says where it stands.
    causes = [
        placement
        for _, was_said, is_said in _paired(before.snapshot.placements, after.snapshot.placements)
        for placement in (is_said, was_said)
        if placement is not None and was_said != is_said
    ]
    by_cause: dict[tuple[str, str | None, int | None, Effect], list[str]] = {}
    for plan_id, (instant, old, new) in moved.items():
        effect: Effect = "demoted" if lower(old, new) else "promoted" if lower(new, old) else "changed"
        name = new.placement or old.placement or ""
        since = new.since if new.since is not None else instant if instant != at else None
        plan = after.plan(plan_id)
        notice = next((each.notice for each in causes if each.notice and selects(each.applies, plan)), None)
        by_cause.setdefault((name, notice, since, effect), []).append(plan_id)
    for (name, notice, since, effect), plans in by_cause.items():
        yield Change(
            kind="placement",
            effect=effect,
            name=name,
            plans=tuple(plans),
            since=since,
            notice=notice,
            fields=_placement_fields(before, after, name),
            availability=True,
        )
    touched = {name for name, *_ in by_cause}
    for name, was_placed, is_placed in _paired(before.snapshot.placements, after.snapshot.placements):
        if name not in touched and was_placed != is_placed:
            yield Change(kind="placement", effect="said", name=name)


def _paired(
    before: Sequence[Placement], after: Sequence[Placement]
) -> Iterable[tuple[str, Placement | None, Placement | None]]:
    was = {placement.id: placement for placement in before}
    now = {placement.id: placement for placement in after}
    for name in dict.fromkeys((*was, *now)):
        yield name, was.get(name), now.get(name)


def _placement_fields(before: Policy, after: Policy, name: str) -> tuple[FieldChange, ...]:
    for found, was, now in _paired(before.snapshot.placements, after.snapshot.placements):
        if found == name:
            one = was or now
            return () if one is None else _fields(was, now, _all_fields(one))
    return ()


# ------------------------------------------------------------------------------------------------- amounts

_SPENT_BY: Final = ("total_minor", "share", "renews")


def _amounts(before: Policy | None, after: Policy, at: int) -> Iterable[Change]:
    """How much there is of what is used up: budgets and daily quotas, of which the rules only ask what is left."""
    if before is None:
        return
    budgets = {budget.id: budget for budget in before.snapshot.budgets}
    for budget in after.snapshot.budgets:
        was = budgets.get(budget.id)
        fields = () if was is None else _fields(was, budget, _SPENT_BY)
        if fields and (budget.end is None or budget.end > at):
            yield Change(
                kind="budget",
                effect="changed",
                name=budget.id,
                layer="strategy",
                plans=_selected(after, budget.applies),
                until=budget.end,
                notice=budget.notice,
                fields=fields,
                availability=True,
            )
    for funder in after.funders.values():
        old = before.funders.get(funder.id)
        quotas = {} if old is None else {one.version: one.daily_quota_minor for one in versions_of(old)}
        for version in versions_of(funder):
            had, has = quotas.get(version.version), version.daily_quota_minor
            # Where there was none, or is none, the rule itself comes or goes.
            if had is None or has is None or had == has:
                continue
            if version.valid_to is None or version.valid_to > at:
                yield Change(
                    kind="funder",
                    effect="changed",
                    name=funder.id,
                    layer="agreement",
                    plans=_selected(after, Selector(funders=(funder.id,))),
                    until=version.valid_to,
                    notice=version.notice,
                    fields=(FieldChange("daily_quota_minor", had, has),),
                    availability=True,
                )


# --------------------------------------------------------------------------------------------- what is known


def _known(before: Policy | None, after: Policy) -> Iterable[Change]:
    """How facts come to be known: how old they may be, and by what a share of the customers is told."""
    if before is None:
        return
    was = {**before.max_ages, **{PREFIX + each.salt: each.by for each in before.rollouts}}
    now = {**after.max_ages, **{PREFIX + each.salt: each.by for each in after.rollouts}}
    for name in dict.fromkeys((*was, *now)):
        # One that is new, or gone, is told by the rule that asks about it.
        if was.get(name) == now.get(name) or (name.startswith(PREFIX) and not (name in was and name in now)):
            continue
        asking = [rule for rule in after.rules if name in facts_of_rule(rule)]
        plans = tuple(plan.id for plan in after.plans if any(selects(rule.applies, plan) for rule in asking))
        yield Change(
            kind="fact",
            effect="changed" if plans else "said",
            name=name,
            plans=plans,
            # The rules are in order of their layers: what is known of law has to be reviewed as law is.
            layer=asking[0].layer if asking else None,
            fields=(
                FieldChange("by" if name.startswith(PREFIX) else "max_age", was.get(name), now.get(name)),
            ),
            availability=bool(plans),
        )


# -------------------------------------------------------------------------------------------------- others


def _others(before: Policy | None, after: Policy) -> Iterable[Change]:
    """What changes no answer: names, notices, and what agreements and budgets say beside their rules. And the shop."""
    if before is None:
        return
    for kind, was_all, now_all in (
        ("funder", before.funders, after.funders),
        ("family", before.families, after.families),
        ("notice", before.notices, after.notices),
        ("budget", {b.id: b for b in before.snapshot.budgets}, {b.id: b for b in after.snapshot.budgets}),
        ("fact", {f.name: f for f in before.snapshot.facts}, {f.name: f for f in after.snapshot.facts}),
    ):
        for name in dict.fromkeys((*was_all, *now_all)):
            was, now = was_all.get(name), now_all.get(name)
            if was != now:
                one = now if now is not None else was
                assert one is not None, "a name of one of the two"
                yield Change(
                    kind=kind,  # type: ignore[arg-type]  # one of the words above
                    effect="said",
                    name=name,
                    plans=_plans_of_notice(after, now) if isinstance(now, Notice) else (),
                    notice=name if kind == "notice" else None,
                    fields=_fields(was, now, _all_fields(one)),
                )
    yield from _calendars(before, after)
    if before.shop != after.shop:
        # Another zone is another day, another currency another price: every rule with an hour or an amount moves.
        moves = (before.shop.time_zone, before.shop.currency) != (after.shop.time_zone, after.shop.currency)
        yield Change(
            kind="shop",
            effect="changed" if moves else "said",
            name=after.shop.id,
            plans=tuple(plan.id for plan in after.plans) if moves else (),
            fields=_fields(before.shop, after.shop, _all_fields(after.shop)),
            availability=moves,
        )


def _calendars(before: Policy, after: Policy) -> Iterable[Change]:
    """Other business days move the due dates of the plans that go by them."""
    for name in dict.fromkeys((*before.calendars, *after.calendars)):
        was, now = before.calendars.get(name), after.calendars.get(name)
        one = now or was
        if was == now or one is None:
            continue
        plans = tuple(
            plan.id for plan in after.plans if plan.calendar == name and plan.id in before.plan_index
        )
        yield Change(
            kind="calendar",
            effect="changed" if plans else "said",
            name=name,
            plans=plans,
            fields=_fields(was, now, _all_fields(one)),
            availability=bool(plans),
        )


def _plans_of_notice(policy: Policy, notice: Notice) -> tuple[str, ...]:
    return tuple(plan for plan in notice.plans if plan in policy.plan_index)


# ------------------------------------------------------------------------------------------------ betterment


class Betterment(msgspec.Struct, frozen=True):
    """One thing that is better than before for one plan: fees and amounts in minor units, yearly cost in 1e-12.

    `fee` and `annual_cost` are of an order of `amount_minor`; a `new_term` has no before.
    """

    plan: str
    what: Literal["fee", "annual_cost", "max", "min", "new_term"]
    after: int
    before: int | None = None
    amount_minor: int | None = None


def betterments(
    before: Policy, after: Policy, plans: Iterable[str], *, amount_minor: int, on: date
) -> tuple[Betterment, ...]:
    """What got better for these plans and their families, for an order of `amount_minor` agreed on a day."""
    named = [after.plan(plan) for plan in plans if plan in after.plan_index]
    families = {plan.family for plan in named}
    found: list[Betterment] = []
    for plan in named:
        if plan.id not in before.plan_index:
            continue
        was, now = (
            _figures(before.plan(plan.id), before, amount_minor, on),
            _figures(plan, after, amount_minor, on),
        )
        if was is None or now is None:
            continue
        if now[0] < was[0]:
            found.append(Betterment(plan.id, "fee", now[0], was[0], amount_minor))
        if now[1] is not None and was[1] is not None and now[1] < was[1]:
            found.append(Betterment(plan.id, "annual_cost", now[1], was[1], amount_minor))
    found += [
        Betterment(plan.id, "new_term", plan.periods)
        for plan in after.plans
        if plan.family in families and plan.id not in before.plan_index
    ]
    for funder in dict.fromkeys(plan.funder for plan in named):
        found += _limits(before, after, funder, next(plan.id for plan in named if plan.funder == funder))
    return tuple(found)


def _figures(plan: Plan, policy: Policy, amount_minor: int, on: date) -> tuple[int, int | None] | None:
    try:
        schedule = build_schedule(plan, amount_minor, policy.currency, on, policy.calendars)
    except (TermsError, CalendarError):
        return None
    return schedule.fee_minor, cost_of(schedule, plan).simple_e12


def _limits(before: Policy, after: Policy, funder: str, plan: str) -> Iterable[Betterment]:
    was = versions_of(before.funders[funder]) if funder in before.funders else ()
    now = versions_of(after.funders[funder])
    if not was or not now:
        return
    old, new = was[-1], now[-1]
    if (
        old.max_amount_minor is not None
        and new.max_amount_minor is not None
        and new.max_amount_minor > old.max_amount_minor
    ):
        yield Betterment(plan, "max", new.max_amount_minor, old.max_amount_minor)
    if (
        old.min_amount_minor is not None
        and new.min_amount_minor is not None
        and new.min_amount_minor < old.min_amount_minor
    ):
        yield Betterment(plan, "min", new.min_amount_minor, old.min_amount_minor)


# -------------------------------------------------------------------------------------------------- in words

_SAYS: Final[dict[tuple[str, bool, bool], Text]] = {
    # effect, whether a beginning is known, whether an end is known
    ("paused", True, True): Text(
        "{plans}：{since:instant}至{until:instant}暂停（{who}）",
        "{plans}: paused from {since:instant} to {until:instant} ({who})",
    ),
    ("paused", True, False): Text(
        "{plans}：{since:instant}起暂停，结束时间未知（{who}）",
        "{plans}: paused from {since:instant}, end not known ({who})",
    ),
    ("paused", False, True): Text(
        "{plans}：暂停至{until:instant}（{who}）", "{plans}: paused until {until:instant} ({who})"
    ),
    ("paused", False, False): Text("{plans}：暂停（{who}）", "{plans}: paused ({who})"),
    ("limited", True, True): Text(
        "{plans}：{since:instant}至{until:instant}对部分订单不可用（{who}）",
        "{plans}: from {since:instant} to {until:instant} not for some ({who})",
    ),
    ("limited", True, False): Text(
        "{plans}：{since:instant}起对部分订单不可用（{who}）",
        "{plans}: from {since:instant} not for some ({who})",
    ),
    ("limited", False, True): Text(
        "{plans}：至{until:instant}对部分订单不可用（{who}）",
        "{plans}: until {until:instant} not for some ({who})",
    ),
    ("limited", False, False): Text("{plans}：对部分订单不可用（{who}）", "{plans}: not for some ({who})"),
    ("restored", False, False): Text(
        "{plans}：恢复，规则“{name}”不再生效", "{plans}: back, the rule {name} no longer counts"
    ),
    ("changed", False, False): Text(
        "{plans}：规则“{name}”改变（{who}）", "{plans}: the rule {name} changes ({who})"
    ),
    ("new", False, False): Text("{plans}：新增", "{plans}: new"),
    ("withdrawn", False, False): Text("{plans}：下线", "{plans}: taken down"),
    ("demoted", True, False): Text(
        "{plans}：{since:instant}起在页面上的位置靠后", "{plans}: lower on the page from {since:instant}"
    ),
    ("demoted", False, False): Text("{plans}：在页面上的位置靠后", "{plans}: lower on the page"),
    ("promoted", True, False): Text(
        "{plans}：{since:instant}起在页面上的位置靠前", "{plans}: higher on the page from {since:instant}"
    ),
    ("promoted", False, False): Text("{plans}：在页面上的位置靠前", "{plans}: higher on the page"),
}
_PLAN_CHANGED: Final = Text("{plans}：费用或期次改变", "{plans}: its price or terms change")
_PLAN_CHANGED_IN: Final = Text("{plans}：{what}改变", "{plans}: what changes: {what}")
_CALENDAR_CHANGED: Final = Text(
    "{plans}：工作日历“{name}”改变，还款日随之变动",
    "{plans}: the business calendar {name} changes, and due dates with it",
)
# What a plan's fields are called. A plan that goes over to another family, funder or form is told in general words.
_PARTS: Final[dict[str, Text]] = {
    "periods": Text("期数", "number of instalments"),
    "pricing": Text("计费方式", "how it is priced"),
    "unit": Text("还款周期", "length of a period"),
    "every": Text("还款周期", "length of a period"),
    "down_payment": Text("首付", "down payment"),
    "defer_periods": Text("首期延后的期数", "periods put off at the start"),
    "deferral_interest": Text("延后期间的利息", "interest while it is put off"),
    "authority": Text("以谁的数字为准", "whose figures are binding"),
    "residue": Text("除不尽的部分归入哪一期", "which instalment takes what does not divide"),
    "conventions": Text("计息与取整惯例", "conventions of interest and rounding"),
    "due_day": Text("每月还款日", "day of the month on which it is due"),
    "min_first_days": Text("距首个还款日的最少天数", "least days before the first due date"),
    "odd_first": Text("首期天数不足或超出时的计息", "interest of a first period of another length"),
    "grace_principal": Text("只还息不还本的期数", "instalments of interest alone"),
    "grace_interest": Text("暂不付息的期数", "instalments without interest yet"),
    "interest_free_periods": Text("免息期数", "periods without interest"),
    "holiday": Text("节假日还款日顺延规则", "where due dates move off holidays"),
    "calendar": Text("工作日历", "business calendar"),
    "bearers": Text("费用由谁承担", "who bears the charge"),
    "fees": Text("其他费用", "fees beside the pricing"),
    "fee_code": Text("费用代码", "code of the charge"),
    "fee_payee": Text("收费方", "who receives the charge"),
    "contingent": Text("或有费用", "contingent costs"),
    "indicative_basis": Text("测算依据", "basis of the figures"),
    "servicing": Text(
        "提前结清、逾期、退货与加速到期的约定",
        "what is agreed for payoff, lateness, returns and acceleration",
    ),
}
_PRICING_PARTS: Final[dict[str, Text]] = {
    "timing": Text("手续费收取时间", "when the fee is charged"),
    "minimum_minor": Text("最低手续费", "least fee"),
    "balloon": Text("尾款", "final payment"),
    "borne_by": Text("费用由谁承担", "who bears the charge"),
    "rent": Text("租金", "rent"),
    "paid": Text("租金支付时点", "when the rent is paid"),
    "goods": Text("商品成色", "condition of the goods"),
    "statement": Text("成色说明", "what is said of the goods' condition"),
    "minimum_periods": Text("最短租期", "shortest term"),
    "deposit": Text("押金", "deposit"),
    "buyout": Text("买断", "buyout"),
    "renewal": Text("续租", "renewal"),
    "return_shipping_minor": Text("归还运费", "what sending the goods back costs"),
    "overdue": Text("逾期后果", "what follows from arrears"),
    "success_on": Text("众筹成功日", "day of success"),
    "hold_days": Text("预授权保留天数", "how long an authorisation stands"),
}
_RATES: Final[dict[str, Text]] = {
    "rate_per_period": Text(
        "{plans}：每期费率由{rate_was:rate}改为{rate_now:rate}",
        "{plans}: the fee of each instalment goes from {rate_was:rate} to {rate_now:rate} of the amount",
    ),
    "total_rate": Text(
        "{plans}：总费率由{rate_was:rate}改为{rate_now:rate}",
        "{plans}: the whole fee goes from {rate_was:rate} to {rate_now:rate} of the amount",
    ),
    "annual_rate": Text(
        "{plans}：年利率由{rate_was:rate}改为{rate_now:rate}",
        "{plans}: the annual rate goes from {rate_was:rate} to {rate_now:rate}",
    ),
}
_WHO_CHANGED: Final = Text(
    "{plans}：不可用的情形由“{was_who}”改为“{who}”",
    "{plans}: left out is now whoever meets ({who}); before, ({was_who})",
)
_TOTAL_CHANGED: Final = Text(
    "{plans}：预算“{name}”由{was_minor:money}改为{now_minor:money}",
    "{plans}: the budget {name} goes from {was_minor:money} to {now_minor:money}",
)
_BUDGET_CHANGED: Final = Text(
    "{plans}：预算“{name}”的计法或续期改变", "{plans}: how the budget {name} is spent or renewed changes"
)
_QUOTA_CHANGED: Final = Text(
    "{plans}：资方每日额度由{was_minor:money}改为{now_minor:money}",
    "{plans}: the funder's daily quota goes from {was_minor:money} to {now_minor:money}",
)
_DEPOSIT_CHANGED: Final = Text(
    "{plans}：可免押金的条件改变（{name}）", "{plans}: who need not leave a deposit changes ({name})"
)
_SHOP_CHANGED: Final = Text(
    "全部方式：店铺的时区或币种改变", "every way to pay: the shop's time zone or currency changes"
)
_FUNDER_CHANGED: Final = Text("{plans}：由谁作出决定改变", "{plans}: who decides changes")
_PLACE_CHANGED: Final = Text("{plans}：在页面上的位置改变", "{plans}: another place on the page")
_KNOWN_CHANGED: Final = Text(
    "{plans}：判断所依据的信息（{name}）的要求改变",
    "{plans}: what is asked of the data behind it ({name}) changes",
)
_END_MOVED: Final = Text(
    "{plans}：结束时间由{was:instant}改为{until:instant}（{who}）",
    "{plans}: its end moves from {was:instant} to {until:instant} ({who})",
)
_END_OPEN: Final = Text(
    "{plans}：结束时间由{was:instant}改为未知（{who}）",
    "{plans}: its end, {was:instant} before, is no longer known ({who})",
)
_END_SET: Final = Text(
    "{plans}：结束时间定为{until:instant}（{who}）", "{plans}: its end is set to {until:instant} ({who})"
)
_SAID: Final[dict[str, Text]] = {
    "rule": Text("规则“{name}”有不影响任何答复的改动", "the rule {name} changes in what alters no answer"),
    "waiver": Text("免押条件“{name}”改变", "the waiver {name} changes"),
    "plan": Text("“{name}”的说明改变", "what is said of {name} changes"),
    "placement": Text("位置“{name}”的说明改变", "what is said of the place {name} changes"),
    "funder": Text("资方“{name}”的信息改变", "what is said of the funder {name} changes"),
    "family": Text("方式“{name}”的名称或归属改变", "the name or funder of {name} changes"),
    "notice": Text("公告“{name}”的内容改变", "the notice {name} changes"),
    "budget": Text("预算“{name}”的信息改变", "what is said of the budget {name} changes"),
    "fact": Text("事实“{name}”的定义改变", "the fact {name} is described otherwise"),
    "calendar": Text("工作日历“{name}”改变", "the business calendar {name} changes"),
    "shop": Text("店铺信息改变", "what is said of the shop changes"),
}
_EVERYBODY: Final = Text("所有客户", "everybody")


def change_text(before: Policy | None, after: Policy, change: Change, locale: str) -> str:
    """A change in one line of plain words: which ways to pay, for whom, from when to when, from what to what."""
    params: dict[str, int | str | Text] = {
        "plans": _names(before, after, change.plans, locale),
        "name": change.name,
        "who": _who(after, change, locale),
        "was_who": _who(before, change, locale),
    }
    for gap, value in (("since", change.since), ("until", change.until), ("was", change.was_until)):
        if value is not None:
            params[gap] = value
    for field in change.fields:
        if isinstance(field.before, int) and isinstance(field.after, int):
            params["was_minor"], params["now_minor"] = field.before, field.after
    params["what"] = _parts(change, locale)
    rates = _rates(change)
    if rates is not None:
        _, params["rate_was"], params["rate_now"] = rates
    return fill(_template(change), params, locale, currency=after.currency, zone=after.zone)


def _rates(change: Change) -> tuple[str, str, str] | None:
    """Where all that changes of a plan is one rate of its price: which, and its old and new value."""
    if [field.path for field in change.fields] != ["pricing"]:
        return None
    was, now = change.fields[0].before, change.fields[0].after
    if not isinstance(was, dict) or not isinstance(now, dict):
        return None
    differing = [name for name in {*was, *now} if was.get(name) != now.get(name)]
    if len(differing) != 1 or differing[0] not in _RATES:
        return None
    name = differing[0]
    return (name, was[name], now[name]) if was.get(name) and now.get(name) else None


def _parts(change: Change, locale: str) -> str:
    """What of a plan changes, named; empty where the names do not say it all."""
    if change.kind != "plan":
        return ""
    named: list[str] = []
    for field in change.fields:
        parts = [_PARTS.get(field.path)]
        if field.path == "pricing" and isinstance(field.before, dict) and isinstance(field.after, dict):
            was, now = field.before, field.after
            if was.get("kind") == now.get("kind"):
                differing = [name for name in {**was, **now} if was.get(name) != now.get(name)]
                # A rate says more than that the pricing changes only where nothing else does (`_rates`).
                parts = [_PRICING_PARTS.get(name, _PARTS["pricing"]) for name in differing]
        for part in parts:
            if part is None:
                return ""
            named.append(part.in_(locale))
    return ("、" if locale == "zh-CN" else ", ").join(dict.fromkeys(named))


def _template(change: Change) -> Text:
    if change.effect == "said":
        return _SAID[change.kind]
    if change.kind == "waiver":
        return _DEPOSIT_CHANGED
    if change.effect == "changed":
        return _changed_template(change)
    dated = change.effect in ("paused", "limited", "demoted", "promoted")
    began = dated and change.since is not None
    ends = dated and change.until is not None and change.effect in ("paused", "limited")
    return _SAYS[change.effect, began, ends]


def _changed_template(change: Change) -> Text:
    paths = {field.path for field in change.fields}
    if change.kind == "shop":
        return _SHOP_CHANGED
    if change.kind == "plan":
        rates = _rates(change)
        if rates is not None:
            return _RATES[rates[0]]
        return _PLAN_CHANGED_IN if _parts(change, "en") else _PLAN_CHANGED
    if change.kind == "calendar":
        return _CALENDAR_CHANGED
    if change.kind == "funder":
        return _QUOTA_CHANGED if "daily_quota_minor" in paths else _FUNDER_CHANGED
    if change.kind == "placement":
        return _PLACE_CHANGED
    if change.kind == "fact":
        return _KNOWN_CHANGED
    if change.rule is None:
        return _TOTAL_CHANGED if "total_minor" in paths else _BUDGET_CHANGED
    if paths <= {"blocked", "valid"} and change.until != change.was_until:
        if change.was_until is None:
            return _END_SET
        return _END_OPEN if change.until is None else _END_MOVED
    if paths & {"when", "require"}:
        return _WHO_CHANGED
    return _SAYS["changed", False, False]


def _who(policy: Policy | None, change: Change, locale: str) -> str:
    index = None if policy is None else policy.rule_index.get(change.rule or "")
    if policy is None or index is None:
        return _EVERYBODY.in_(locale)
    rule = policy.rules[index]
    if _unconditional(rule):
        return _EVERYBODY.in_(locale)
    return condition_text(policy, affected_by(rule), locale)


def _names(before: Policy | None, after: Policy, plans: Sequence[str], locale: str) -> str:
    """Families with their terms: "Mall instalments × 3, 6, 12"."""
    terms: dict[str, list[str]] = {}
    for plan_id in plans:
        policy = after if plan_id in after.plan_index else before
        if policy is None:
            continue
        plan = policy.plan(plan_id)
        name = policy.families[plan.family].name.in_(locale)
        terms.setdefault(name, [])
        if plan.legal_form != "full_payment":
            terms[name].append(str(plan.periods))
    join = "、" if locale == "zh-CN" else ", "
    return join.join(name if not each else f"{name} × {'/'.join(each)}" for name, each in terms.items())

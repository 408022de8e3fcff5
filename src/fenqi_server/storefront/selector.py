"""The selector: one evaluation, told to its customer.

It decides nothing. What is offered, in which order and group, what is missing and why is the evaluation's; here it
becomes words, and the terms of one family that are missing for the same reasons become one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext

from fenqi.calendars import local_date
from fenqi.checkout.evaluation import Evaluation, Option
from fenqi.policy.compile import Policy
from fenqi.policy.reasons import reason_texts
from fenqi.policy.snapshot import Family
from fenqi.policy.verdict import Override, Reason, Until, Verdict, for_customer
from fenqi.terms.cost import COMPOUNDED, SIMPLE, Cost
from fenqi.terms.disclosure import SUM_OF_ITEMS, rates_of
from fenqi.terms.rent import LeaseFigures
from fenqi.terms.schedule import RowKind, Schedule
from fenqi_server.storefront.leases import deposit_text, end_text, rents_text, sums_text
from fenqi_server.storefront.voice import Voice

__all__ = [
    "REGULAR",
    "AskView",
    "FamilyView",
    "GroupView",
    "MissingView",
    "ReasonView",
    "TermView",
    "WayView",
    "card_asks",
    "compared_with",
    "difference_text",
    "group_views",
    "leading_rate",
    "legal_form_name",
    "method_name",
    "missing_view",
    "open_ways",
    "option_name",
    "per_text",
    "reason_view",
    "row_name",
    "until_text",
]

MAX_WAYS: Final = 3
"""How many alternatives stand beside a way that is missing; all of them stand in the list itself."""


class TermView(msgspec.Struct, frozen=True):
    """One offer as its radio button says it."""

    plan: str
    per: str
    odd: str
    fee: str
    total: str
    cost: str
    method: str
    decides: str
    chosen: str
    chosen_total: str
    special: str = ""
    """Until when a special case keeps it open; empty where none does."""
    end: str = ""
    deposit: str = ""
    why_deposit: str = ""
    """Of a lease: what happens at its end, its deposit, and why that is asked for where it might not be."""


class ReasonView(msgspec.Struct, frozen=True):
    """One reason in the reader's words."""

    code: str
    title: str
    detail: str
    fix: str
    when: str


class WayView(msgspec.Struct, frozen=True):
    """Another way to pay, one tap away."""

    plan: str
    name: str
    difference: str
    url: str


class ChoiceView(msgspec.Struct, frozen=True):
    value: str
    label: str


class AskView(msgspec.Struct, frozen=True):
    """Something that we do not know and the customer can tell."""

    id: str
    fact: str
    label: str
    choices: tuple[ChoiceView, ...]


class MissingView(msgspec.Struct, frozen=True):
    """Terms of one family that are missing for the same reasons, with the four ways on."""

    plan: str
    plans: str
    family: str
    terms: str
    name: str
    until: str
    tone: str
    price: str
    reasons: tuple[ReasonView, ...]
    ask: bool
    consent: str
    consent_text: str
    instead: tuple[WayView, ...]
    notice: str
    support: str
    notify: str


class FamilyView(msgspec.Struct, frozen=True):
    """One way to pay, with what is open of it and what is not."""

    id: str
    name: str
    about: str
    last_used: bool
    placed: str
    placed_notice: str
    basis: str
    terms: tuple[TermView, ...]
    missing: tuple[MissingView, ...]
    fold: str


class GroupView(msgspec.Struct, frozen=True):
    """Loans, or payment tools: two headed groups, never one list (rule of 2026-09-30)."""

    id: str
    title: str
    about: str
    placed: str
    placed_notice: str
    asks: tuple[AskView, ...]
    asks_about: str
    none: str
    shown: tuple[FamilyView, ...]
    collapsed: tuple[FamilyView, ...]
    collapsed_title: str
    missing: tuple[FamilyView, ...]
    missing_title: str
    open: bool


def group_views(
    policy: Policy,
    evaluation: Evaluation,
    voice: Voice,
    decision: str,
    *,
    overrides: tuple[Override, ...] = (),
) -> tuple[GroupView, ...]:
    """The page's two groups. Families stand in the evaluation's order, and nothing is preselected.

    `overrides` are those of the request: an offer that rests on one says until when.
    """
    ends = {override.id: override.until for override in overrides}
    views = []
    for group in evaluation.groups:
        common = _common_place([option for option in evaluation.options if option.group == group.id])
        shown: list[FamilyView] = []
        collapsed: list[FamilyView] = []
        missing: list[FamilyView] = []
        for family_id in group.families:
            options = [
                option
                for option in evaluation.options
                if option.family == family_id and option.group == group.id
            ]
            if not options:
                continue
            view = _family_view(
                policy,
                evaluation,
                policy.families[family_id],
                options,
                voice,
                decision,
                common=common,
                ends=ends,
            )
            if view.last_used:
                shown.append(view)  # its place is kept even while it is missing
            elif not view.terms:
                missing.append(view)
            elif all(option.collapsed for option in options if option.offered):
                collapsed.append(view)
            else:
                shown.append(view)
        asked = [
            option for option in evaluation.options if option.group == group.id and card_asks(option.verdict)
        ]
        views.append(
            _group_view(
                group.id,
                shown,
                collapsed,
                missing,
                forms=frozenset(
                    option.legal_form for option in evaluation.options if option.group == group.id
                ),
                placed=_placed(common, voice),
                asks=_group_asks(policy, asked, voice),
                asks_about=_asks_about(policy, asked, voice),
            )
        )
    return tuple(views)


def _common_place(options: list[Option]) -> Option | None:
    """The option whose reason for its place is that of most families of its group, where several share one."""
    families: dict[tuple[Any, ...], set[str]] = {}
    for option in options:
        if option.placement_reason is not None:
            key = (option.placement_reason, option.placement_since, option.placement_notice)
            families.setdefault(key, set()).add(option.family)
    best = max(families.items(), key=lambda item: len(item[1]), default=None)
    if best is None or len(best[1]) < 2:
        return None
    return next(
        option
        for option in options
        if (option.placement_reason, option.placement_since, option.placement_notice) == best[0]
    )


def _placed(option: Option | None, voice: Voice) -> tuple[str, str]:
    """Why something stands where it stands, and the address of the notice about it."""
    if option is None or option.placement_reason is None:
        return "", ""
    text = voice.text(option.placement_reason)
    if option.placement_since is not None:
        text = gettext("Since %(since)s: %(reason)s") % {
            "since": voice.day(local_date(option.placement_since, voice.zone)),
            "reason": text,
        }
    notice = option.placement_notice
    return text, reverse("announcements:notice", args=[notice]) if notice else ""


def card_asks(verdict: Verdict) -> bool:
    """Whether only the customer's word about their card is wanting."""
    return any(fact.startswith("card.") for fact in verdict.asks)


def _group_asks(policy: Policy, options: list[Option], voice: Voice) -> tuple[AskView, ...]:
    facts = dict.fromkeys(
        fact for option in options for fact in option.verdict.asks if fact.startswith("card.")
    )
    return tuple(_ask_view(policy, fact, voice) for fact in facts)


def _asks_about(policy: Policy, options: list[Option], voice: Voice) -> str:
    names = dict.fromkeys(voice.text(policy.families[option.family].name) for option in options)
    return pgettext("between names", ", ").join(names)


def _group_view(
    id: str,
    shown: list[FamilyView],
    collapsed: list[FamilyView],
    missing: list[FamilyView],
    *,
    forms: frozenset[str],
    placed: tuple[str, str],
    asks: tuple[AskView, ...],
    asks_about: str,
) -> GroupView:
    if id == "instalment":
        title, about = gettext("Instalments and loans"), gettext("You owe until the last instalment is paid.")
        if forms & {"operating_lease", "finance_lease"}:
            title = gettext("Instalments, loans and rentals")
            about = gettext("You owe until the last instalment or rent is paid.")
        none = gettext("No instalments are open for this order now. Each reason stands below.")
    else:
        title, about = gettext("Payment"), gettext("You pay the whole price now and owe nothing after.")
        if "pledge" in forms:
            about = gettext(
                "You pay the whole price, now or when a campaign succeeds, and owe nothing after."
            )
        none = gettext("No payment tool is open now. Each reason stands below.")
    return GroupView(
        id=id,
        title=title,
        about=about,
        placed=placed[0],
        placed_notice=placed[1],
        asks=asks,
        asks_about=asks_about,
        none=none,
        shown=tuple(shown),
        collapsed=tuple(collapsed),
        collapsed_title=ngettext("%(n)s more way", "%(n)s more ways", len(collapsed)) % {"n": len(collapsed)},
        missing=tuple(missing),
        missing_title=ngettext(
            "%(n)s way is missing: why, until when, what instead",
            "%(n)s ways are missing: why, until when, what instead",
            len(missing),
        )
        % {"n": len(missing)},
        open=not any(family.terms for family in shown),
    )


def _family_view(
    policy: Policy,
    evaluation: Evaluation,
    family: Family,
    options: list[Option],
    voice: Voice,
    decision: str,
    *,
    common: Option | None,
    ends: Mapping[str, int],
) -> FamilyView:
    funder = policy.funders[family.funder]
    name = voice.text(family.name)
    offered = [option for option in options if option.offered]
    lacking = [option for option in options if not option.offered]
    moved = next((option for option in options if option.placement_reason is not None), None)
    if moved is not None and common is not None and moved.placement_reason == common.placement_reason:
        moved = None  # said once, for the whole group
    placed, placed_notice = _placed(moved, voice)
    basis = next(
        (option.disclosure.indicative_basis for option in offered if option.disclosure is not None), None
    )
    rows = _missing_rows(policy, evaluation, family, lacking, voice, decision)
    return FamilyView(
        id=family.id,
        name=name,
        about=_about(voice.text(funder.name), name, family),
        last_used=any(option.last_used for option in options),
        placed=placed,
        placed_notice=placed_notice,
        basis=voice.text(basis) if basis is not None else "",
        terms=tuple(
            msgspec.structs.replace(
                _term_view(policy, family, option, voice), special=_special(option, ends, voice)
            )
            for option in offered
        ),
        missing=rows,
        fold=_fold_title(lacking, policy, voice) if offered else "",
    )


def _about(funder: str, family: str, family_terms: Family) -> str:
    form = legal_form_name(family_terms.legal_form)
    if funder == family:
        return form
    return gettext("%(form)s · from %(funder)s") % {"form": form, "funder": funder}


def legal_form_name(form: str) -> str:
    """What a way to pay is in law, in short."""
    return {
        "loan": pgettext("legal form", "Loan"),
        "card_instalment": pgettext("legal form", "Card instalments"),
        "instalment_sale": pgettext("legal form", "Instalment sale, owed to the mall"),
        "operating_lease": pgettext("legal form", "Rental"),
        "finance_lease": pgettext("legal form", "Finance lease"),
        "pledge": pgettext("legal form", "Pledge"),
        "full_payment": pgettext("legal form", "Full payment"),
    }.get(form, form)


def _fold_title(lacking: list[Option], policy: Policy, voice: Voice) -> str:
    if not lacking:
        return ""
    terms = voice.terms(sorted(_periods(policy, option.plan) for option in lacking))
    return gettext("%(terms)s: not open, and why") % {"terms": terms}


def _periods(policy: Policy, plan: str) -> int:
    return policy.plans[policy.plan_index[plan]].periods


_AT_ONCE: Final = ("full_payment", "pledge")


def option_name(policy: Policy, plan_id: str, voice: Voice) -> str:
    """A plan as people call it: its family, and its term."""
    plan = policy.plans[policy.plan_index[plan_id]]
    return voice.named(
        voice.text(policy.families[plan.family].name), plan.periods, at_once=plan.legal_form in _AT_ONCE
    )


def method_name(method: str) -> str:
    """How a yearly cost was worked out, in short; it stands beside every figure, at 0 % too."""
    return {
        SIMPLE: gettext("simple, IRR × 12"),
        COMPOUNDED: gettext("compounded, IRR"),
        SUM_OF_ITEMS: gettext("sum of each cost’s yearly level"),
    }.get(method, method)


def leading_rate(option: Option, voice: Voice) -> tuple[str, str]:
    """The yearly figure that leads in an option's table, and how it was worked out; of one without a table, the simple rate."""
    if option.disclosure is not None:
        leading = rates_of(option.disclosure.annual_cost)[0]
        return voice.rate(leading.rate_e12), method_name(leading.method)
    if option.cost is None:
        return voice.rate(None), ""
    return voice.rate(option.cost.simple_e12), method_name(option.cost.method)


REGULAR: Final = ("instalment", "payment", "rent")
"""The rows that recur: what is paid at the start, for owning, or comes back is told beside them."""


def per_text(schedule: Any, voice: Voice) -> tuple[str, str]:
    """ "¥434.08 × 12", and how the first or last instalment differs from it."""
    rows = [row for row in schedule.rows if row.kind in REGULAR]
    usual = rows[len(rows) // 2].total_minor if len(rows) > 2 else rows[-1].total_minor
    per = gettext("%(amount)s × %(n)s") % {"amount": voice.money(usual), "n": len(rows)}
    odd = []
    if rows[0].total_minor != usual:
        odd.append(gettext("first %(amount)s") % {"amount": voice.money(rows[0].total_minor)})
    if len(rows) > 1 and rows[-1].total_minor != usual:
        odd.append(gettext("last %(amount)s") % {"amount": voice.money(rows[-1].total_minor)})
    at_start = sum(row.total_minor for row in schedule.rows if not row.number)
    if at_start:
        odd.append(gettext("%(amount)s now") % {"amount": voice.money(at_start)})
    return per, " · ".join(odd)


def row_name(kind: RowKind, number: int) -> str:
    """What a row of a schedule is called: an instalment by its number, everything else by its word."""
    words: dict[RowKind, str] = {
        "down_payment": pgettext("row", "Down payment"),
        "up_front": pgettext("row", "At the start"),
        "deposit": pgettext("row", "Deposit"),
        "rent": gettext("Rent %(number)s") % {"number": number},
        "buyout": pgettext("row", "Buyout"),
        "goods_return": pgettext("row", "Giving back"),
        "deposit_return": pgettext("row", "Deposit back"),
        "extra": pgettext("row", "Further charges"),
    }
    return words.get(kind, str(number))


def _term_view(policy: Policy, family: Family, option: Option, voice: Voice) -> TermView:
    schedule, cost = option.schedule, option.cost
    assert schedule is not None, f"an offer of {option.plan} has no schedule"
    assert cost is not None, f"an offer of {option.plan} has no cost"
    annual, method = leading_rate(option, voice)
    decides = gettext("Decided on the funder’s page") if option.verdict.state == "funder_decides" else ""
    name = voice.text(family.name)
    total = voice.money(schedule.total_minor)
    if option.legal_form == "pledge":
        day = voice.day(schedule.rows[-1].due_on)
        return TermView(
            plan=option.plan,
            per=total,
            odd="",
            fee=gettext("no fee from us"),
            total=gettext("authorised now, taken on %(day)s if the campaign succeeds, else released in full")
            % {"day": day},
            cost=gettext("Annual cost %(rate)s") % {"rate": annual},
            method=method,
            decides=decides,
            chosen=name,
            chosen_total=gettext("%(total)s, taken on %(day)s if the campaign succeeds")
            % {"total": total, "day": day},
        )
    if schedule.lease is not None:
        return _lease_term(policy, option, schedule, schedule.lease, cost, name, voice)
    if option.legal_form == "full_payment":
        return TermView(
            plan=option.plan,
            per=total,
            odd="",
            fee=gettext("no fee from us"),
            total=gettext("paid at once, on its own page"),
            cost=gettext("Annual cost %(rate)s") % {"rate": annual},
            method=method,
            decides="",
            chosen=name,
            chosen_total=gettext("%(total)s, paid at once") % {"total": total},
        )
    per, odd = per_text(schedule, voice)
    fee = (
        gettext("fee %(fee)s") % {"fee": voice.money(cost.fee_minor)} if cost.fee_minor else gettext("no fee")
    )
    return TermView(
        plan=option.plan,
        per=per,
        odd=odd,
        fee=fee,
        total=gettext("total %(total)s") % {"total": total},
        cost=gettext("Annual cost %(rate)s") % {"rate": annual},
        method=method,
        decides=decides,
        chosen=gettext("%(name)s: %(per)s") % {"name": name, "per": per},
        chosen_total=gettext("Total %(total)s · %(fee)s · annual cost %(rate)s")
        % {"total": total, "fee": fee, "rate": annual},
    )


def _lease_term(
    policy: Policy,
    option: Option,
    schedule: Schedule,
    figures: LeaseFigures,
    cost: Cost,
    name: str,
    voice: Voice,
) -> TermView:
    """A lease: its rents, what owning comes to or that nothing is owned, its deposit, its end."""
    annual, method = leading_rate(option, voice)
    total = voice.money(schedule.total_minor)
    per = rents_text(policy.plan(option.plan), figures, voice)
    fee = sums_text(figures, cost.fee_minor, voice)
    deposit, why = deposit_text(policy, option, voice)
    if figures.owns:
        in_all = gettext("%(total)s to own it") % {"total": total}
        cost_text = gettext("Annual cost %(rate)s") % {"rate": annual}
        chosen = gettext("To own it %(total)s · %(fee)s · annual cost %(rate)s") % {
            "total": total,
            "fee": fee,
            "rate": annual,
        }
    else:
        in_all = gettext("%(total)s in all") % {"total": total}
        # What is not owned was not lent: there is no yearly cost, which is not 0.
        cost_text, method = gettext("No annual cost"), gettext("nothing is bought")
        chosen = gettext("Rents %(total)s · it goes back") % {"total": total}
    return TermView(
        plan=option.plan,
        per=per,
        odd="",
        fee=fee,
        total=in_all,
        cost=cost_text,
        method=method,
        decides=gettext("Decided on the funder’s page") if option.verdict.state == "funder_decides" else "",
        chosen=gettext("%(name)s: %(per)s") % {"name": name, "per": per},
        chosen_total=chosen,
        end=end_text(figures, voice),
        deposit=deposit,
        why_deposit=why,
    )


def _special(option: Option, ends: Mapping[str, int], voice: Voice) -> str:
    """Until when a special case keeps an offer open: it ends with the first of those that it rests on."""
    used = [ends[override] for override in option.verdict.overrides if override in ends]
    return gettext("open to you until %(at)s") % {"at": voice.instant(min(used))} if used else ""


def _missing_rows(
    policy: Policy,
    evaluation: Evaluation,
    family: Family,
    options: list[Option],
    voice: Voice,
    decision: str,
) -> tuple[MissingView, ...]:
    """One row for terms that are missing alike: same state, same rules, same end."""

    def likeness(option: Option) -> tuple[Any, ...]:
        verdict = option.verdict
        return (
            verdict.state,
            tuple((reason.rule, reason.code, reason.unknown) for reason in verdict.reasons),
            verdict.until,
            verdict.asks,
        )

    rows = []
    kinds: dict[tuple[Any, ...], list[Option]] = {}
    for option in options:
        kinds.setdefault(likeness(option), []).append(option)
    for alike in kinds.values():
        rows.append(missing_view(policy, evaluation, family, alike, voice, decision))
    return tuple(rows)


def missing_view(
    policy: Policy,
    evaluation: Evaluation,
    family: Family,
    alike: list[Option],
    voice: Voice,
    decision: str,
) -> MissingView:
    """Why these terms of a family are missing, until when, and the four ways on."""
    first = alike[0]
    verdict = first.verdict
    name, terms = voice.text(family.name), ""
    if first.legal_form not in _AT_ONCE:
        terms = voice.terms([_periods(policy, option.plan) for option in alike])
        name = gettext("%(family)s, %(terms)s") % {"family": name, "terms": terms}
    price = ""
    if (
        len(alike) == 1
        and first.schedule is not None
        and first.cost is not None
        and first.cost.fee_minor >= 0
    ):
        per, _ = per_text(first.schedule, voice)
        price = gettext("It would be %(per)s, total %(total)s.") % {
            "per": per,
            "total": voice.money(first.schedule.total_minor),
        }
    notice = next((reason.notice for reason in verdict.reasons if reason.notice), None)
    lacks_consent = any(reason.code == "CONSENT_MISSING" for reason in verdict.reasons)
    about = urlencode({"decision": decision, "plan": first.plan})
    return MissingView(
        plan=first.plan,
        plans=" ".join(option.plan for option in alike),
        family=voice.text(family.name),
        terms=terms,
        name=name,
        until=until_text(verdict, voice),
        tone="" if verdict.state == "pending" or only_asks(verdict) else "warn",
        price=price,
        reasons=tuple(reason_view(policy, reason, voice) for reason in verdict.reasons),
        ask=card_asks(verdict),
        consent=family.funder if lacks_consent else "",
        consent_text=gettext(
            "I agree that the mall passes this order to %(funder)s, so that it can assess it"
        )
        % {"funder": voice.text(policy.funders[family.funder].name)},
        instead=_instead(policy, evaluation, alike, voice, decision),
        notice=f"{reverse('announcements:notice', args=[notice])}?{about}" if notice else "",
        support=f"{reverse('support:new')}?{about}",
        notify=f"{reverse('subscriptions:ask')}?{about}",
    )


def reason_view(policy: Policy, reason: Reason, voice: Voice, audience: str = "customer") -> ReasonView:
    """A reason in words, with since when and until when."""
    if audience == "customer":
        reason = for_customer(reason)
    texts = reason_texts(policy, reason, audience, voice.locale, year=voice.year)
    return ReasonView(reason.code, texts.title, texts.detail, texts.fix, _when(reason, voice))


def _when(reason: Reason, voice: Voice) -> str:
    parts = []
    if reason.since is not None:
        parts.append(gettext("since %(at)s") % {"at": voice.instant(reason.since)})
    parts.append(_reason_until(reason, voice))
    return " · ".join(parts)


def _reason_until(reason: Reason, voice: Voice) -> str:
    if reason.pending:
        return gettext("an answer is on its way")
    return _until(reason.until, voice)


def _until(until: Until, voice: Voice) -> str:
    if until.kind == "instant" and until.at is not None:
        return gettext("until %(at)s") % {"at": voice.instant(until.at)}
    if until.kind == "unknown":
        return gettext("until: unknown")
    return gettext("does not end by itself")


def only_asks(verdict: Verdict) -> bool:
    """Whether nothing stands in the way but something that the customer can tell us."""
    return bool(verdict.asks) and all(reason.unknown for reason in verdict.reasons)


def until_text(verdict: Verdict, voice: Voice) -> str:
    """When a missing way opens again by itself, all its reasons together."""
    if only_asks(verdict):
        return gettext("Open as soon as we know")
    if verdict.state == "pending":
        if verdict.deadline is not None:
            return gettext("Answer by %(at)s") % {"at": voice.instant(verdict.deadline)}
        return gettext("An answer is on its way")
    if verdict.until.kind == "instant" and verdict.until.at is not None:
        return gettext("Back on %(at)s") % {"at": voice.instant(verdict.until.at)}
    if verdict.until.kind == "unknown":
        return gettext("Return: unknown")
    return gettext("Does not return by itself")


def _ask_view(policy: Policy, fact: str, voice: Voice) -> AskView:
    kind = policy.vocabulary[fact]
    if kind.type == "bool":
        choices = (ChoiceView("true", gettext("yes")), ChoiceView("false", gettext("no")))
    else:
        choices = tuple(
            ChoiceView(value, voice.text(kind.value_labels[value]) if value in kind.value_labels else value)
            for value in kind.values
        )
    return AskView(fact.replace(".", "-"), fact, voice.text(kind.label), choices)


def _instead(
    policy: Policy, evaluation: Evaluation, alike: list[Option], voice: Voice, decision: str
) -> tuple[WayView, ...]:
    """Alternatives with their difference: several for one term, the nearest for each of several terms."""
    ways: list[WayView] = []
    taken: set[str] = set()
    per_option = MAX_WAYS if len(alike) == 1 else 1
    for option in alike:
        found = 0
        for alternative in option.alternatives:
            if found == per_option or len(ways) == MAX_WAYS:
                break
            if alternative.plan in taken:
                continue
            taken.add(alternative.plan)
            found += 1
            other = evaluation.option(alternative.plan)
            difference = difference_text(option, other, voice)
            if len(alike) > 1:
                difference = gettext("instead of %(n)s: %(difference)s") % {
                    "n": voice.terms([_periods(policy, option.plan)]),
                    "difference": difference,
                }
            ways.append(_way(policy, evaluation, alternative.plan, difference, voice, decision))
    return tuple(ways)


def _way(
    policy: Policy, evaluation: Evaluation, plan: str, difference: str, voice: Voice, decision: str
) -> WayView:
    name = option_name(policy, plan, voice)
    option = next((found for found in evaluation.options if found.plan == plan), None)
    if option is not None and option.schedule is not None and option.legal_form not in _AT_ONCE:
        per, _ = per_text(option.schedule, voice)
        name = gettext("%(name)s: %(per)s") % {
            "name": name.rpartition(" × ")[0] if " × " in name else name,
            "per": per,
        }
    url = f"{reverse('storefront:sheet')}?{urlencode({'decision': decision, 'plan': plan})}"
    return WayView(plan, name, difference, url)


def difference_text(missing: Option, option: Option, voice: Voice) -> str:
    """What another way costs against the one that is missing; where the two do not buy the same, what it is and costs."""
    if option.schedule is None:
        return ""
    if missing.owns == option.owns:
        if missing.schedule is None:
            return voice.difference(None)
        return voice.difference(option.schedule.total_minor - missing.schedule.total_minor)
    total = voice.money(option.schedule.total_minor)
    if option.owns:
        return gettext("to own it, %(total)s in all") % {"total": total}
    return gettext("rent only, it goes back, %(total)s in all") % {"total": total}


def compared_with(policy: Policy, evaluation: Evaluation, plan: str, voice: Voice) -> str:
    """What the differences of `open_ways` are differences to, in a sentence; empty where it gives totals."""
    missing = next((option for option in evaluation.options if option.plan == plan), None)
    if missing is None or missing.schedule is None:
        return ""
    return gettext("Compared with %(name)s.") % {"name": option_name(policy, plan, voice)}


def open_ways(
    policy: Policy,
    evaluation: Evaluation,
    voice: Voice,
    decision: str,
    *,
    than: str | None = None,
    without: Iterable[str] = (),
) -> tuple[WayView, ...]:
    """The best offer of every family that is open, with its difference to the plan `than`."""
    left_out = set(without)
    missing = next((option for option in evaluation.options if option.plan == than), None)
    ways = []
    by_family = groupby(
        (option for option in evaluation.options if option.offered and option.plan not in left_out),
        key=lambda option: option.family,
    )
    for _, options in by_family:
        offers = list(options)
        best = offers[0]
        if missing is not None:
            wanted = _periods(policy, missing.plan)
            best = min(offers, key=lambda option: abs(_periods(policy, option.plan) - wanted))
        difference = (
            difference_text(missing, best, voice)
            if missing is not None and missing.schedule is not None and best.schedule is not None
            else gettext("total %(total)s") % {"total": voice.money(best.schedule.total_minor)}
            if best.schedule is not None
            else ""
        )
        ways.append(_way(policy, evaluation, best.plan, difference, voice, decision))
    return tuple(ways)

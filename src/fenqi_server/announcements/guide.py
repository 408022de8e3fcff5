"""The shopper's guide: why a way to pay can be missing or stand lower, cause by cause and way by way, as it is now.

Nothing on the page is written by hand for a funder or a date. The causes are the layers of the policy's rules; what is
off now is what the engine answers to a visitor of whom nothing is known, for an example amount; the terms, limits and
yearly costs are those of the policy in force. So the guide cannot be out of date: it has no text of its own to update.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fenqi.calendars import to_epoch
from fenqi.checkout.evaluation import Evaluation, Option, evaluate
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.money import CURRENCIES, MoneyError, parse_money
from fenqi.policy.catalogue import CATALOGUE, Entry
from fenqi.policy.compile import Policy
from fenqi.policy.snapshot import Family, Layer, Notice, Rule, selects
from fenqi.policy.verdict import Reason
from fenqi_server import clock
from fenqi_server import facts as fact_sources
from fenqi_server.policies import service as policies
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import (
    ReasonView,
    legal_form_name,
    method_name,
    option_name,
    per_text,
    reason_view,
)
from fenqi_server.storefront.voice import Voice, locale_now

__all__ = ["EXAMPLE_MAJOR", "example_amount", "example_evaluation", "guide", "off_for_everybody"]

EXAMPLE_MAJOR: Final = 3_000
"""The example's amount in whole units of the shop's currency, where the reader names none."""
_EVERYBODY: Final[frozenset[Layer]] = frozenset(
    {"law", "compliance", "agreement", "maintenance", "health", "strategy"}
)
"""Reasons of these layers, known without knowing the customer, are nobody's own."""


class NowView(msgspec.Struct, frozen=True):
    """A notice in force, or one that is coming."""

    title: str
    url: str
    when: str


class CauseView(msgspec.Struct, frozen=True):
    """One kind of cause: what it is, how it ends, what to do, and what of it is the case now."""

    id: str
    title: str
    about: str
    ends: str
    do: str
    now: tuple[NowView, ...]
    off: tuple[str, ...]


class TermLine(msgspec.Struct, frozen=True):
    """One term for the example: what is paid each time, in all, and a year."""

    name: str
    per: str
    total: str
    annual: str
    state: str
    tone: str


class AskLine(msgspec.Struct, frozen=True):
    """Why this way may be missing for one reader and not for another, and what that one can do."""

    title: str
    fix: str


class WayLine(msgspec.Struct, frozen=True):
    """One way to pay, as it is now."""

    id: str
    name: str
    about: str
    limits: str
    state: str
    tone: str
    terms: tuple[TermLine, ...]
    method: str
    indicative: str
    reasons: tuple[ReasonView, ...]
    asks: tuple[AskLine, ...]
    notices: tuple[NowView, ...]


@never_cache
@require_safe
def guide(request: HttpRequest) -> HttpResponse:
    """The guide's page. `?amount=` changes the example."""
    at = clock.now()
    shop, policy, query = _in_force(request, at)
    voice = Voice(locale_now(), shop.currency, shop.time_zone, to_epoch(at))
    written = request.GET.get("amount", "").strip()
    amount, error = example_amount(written, shop.currency)
    evaluation = example_evaluation(shop, policy, amount, at)
    context = {
        "shop": shop,
        "amount": voice.money(amount),
        "written": written,
        "error": error,
        "shop_code": request.GET.get("shop", ""),
        "at": voice.instant(at),
        "causes": _causes(policy, evaluation, voice, query),
        "ways": [
            _way(policy, evaluation, family, voice, query)
            for group in evaluation.groups
            for family in (policy.families[id] for id in group.families)
        ],
        "notices": reverse("announcements:index") + query,
        "support": shop.support_zh_cn if voice.locale == "zh-CN" else shop.support_en,
    }
    return render(request, "announcements/guide.html", context, status=422 if error else 200)


def off_for_everybody(option: Option) -> tuple[Reason, ...]:
    """The reasons that keep an option from anybody at all, in an evaluation of a visitor of whom nothing is known."""
    return tuple(
        reason
        for reason in option.verdict.reasons
        if reason.layer in _EVERYBODY and not reason.unknown and not reason.personal
    )


def _in_force(request: HttpRequest, at: datetime) -> tuple[Shop, Policy, str]:
    code = request.GET.get("shop", "")
    try:
        shop = shops.by_code(code) if code else shops.only_shop()
        return shop, policies.current(shop.id, at), "?" + urlencode({"shop": code}) if code else ""
    except (Shop.DoesNotExist, policies.NoPolicy):
        raise Http404("no such shop, or none with a policy in force") from None


def example_amount(written: str, currency: str) -> tuple[int, str]:
    usual = EXAMPLE_MAJOR * 10 ** CURRENCIES[currency]
    if not written:
        return usual, ""
    try:
        amount = parse_money(written, currency)
    except MoneyError:
        amount = 0
    if amount <= 0:
        return usual, gettext("Write an amount above zero, such as 3000 or 4,999.00.")
    return amount, ""


def example_evaluation(shop: Shop, policy: Policy, amount: int, at: datetime) -> Evaluation:
    """The checkout's own evaluation, of an order of ordinary goods by a visitor of whom nothing is known."""
    return evaluate(
        policy,
        CheckoutRequest(
            lines=(Line("example", "example", "example", "goods", 1, amount, shop.code),),
            currency=shop.currency,
            channel="web",
            at=to_epoch(at),
            facts=fact_sources.gather(shop, None, {}, policy, at),
        ),
    )


# ---------------------------------------------------------------------------------------------------- by cause


def _causes(policy: Policy, evaluation: Evaluation, voice: Voice, query: str) -> list[CauseView]:
    views = []
    for id, layers, title, about, ends, do in _words():
        if not any(rule.layer in layers for rule in policy.rules):
            continue
        off = [
            option_name(policy, option.plan, voice)
            for option in evaluation.options
            if any(reason.layer in layers for reason in off_for_everybody(option))
        ]
        notices = [
            _now(notice, voice, query)
            for notice in policy.notices.values()
            if _stands(notice, voice.at) and _layers(policy, notice) & set(layers)
        ]
        views.append(CauseView(id, title, about, ends, do, tuple(notices), tuple(off)))
    return views


def _words() -> tuple[tuple[str, tuple[Layer, ...], str, str, str, str], ...]:
    return (
        (
            "agreement",
            ("agreement",),
            gettext("A funder’s terms changed"),
            gettext(
                "Each way to pay rests on a dated agreement between the shop and whoever puts up the money. "
                "It says for which amounts, cards, channels and customers the way is open."
            ),
            gettext("It ends when the agreement changes again. Where a date is known, the notice says it."),
            gettext("Read the notice, use another term or another way, or ask to be told when it is back."),
        ),
        (
            "maintenance",
            ("maintenance",),
            gettext("A system is being maintained"),
            gettext(
                "For a stretch of time no new orders are taken this way. It is announced beforehand, with its purpose."
            ),
            gettext("It ends by itself at the hour that stands beside the option."),
            gettext("Wait until then, or pay another way now. Contracts in force go on as usual."),
        ),
        (
            "health",
            ("health",),
            gettext("A funder’s service does not answer"),
            gettext(
                "We notice it by real requests that fail or stay unanswered, and ask the service again at short intervals."
            ),
            gettext("Nobody knows when. The option opens again as soon as the service answers reliably."),
            gettext("Pay another way, or ask to be told. Do not place the order twice to try."),
        ),
        (
            "strategy",
            ("strategy",),
            gettext("The shop changed course"),
            gettext(
                "The shop pauses an offer, spends a budget for interest-free instalments, or gives ways another place on the page."
            ),
            gettext("It ends on the date that the notice gives, or when the shop decides again."),
            gettext("Read the notice: it names the date, and what the shop offers meanwhile."),
        ),
        (
            "rules",
            ("law", "compliance"),
            gettext("A law or a supervisor’s rule"),
            gettext(
                "Some goods may not be bought on credit, some customers may not be lent to, and no offer may cost more than its ceiling."
            ),
            gettext("It stands until the rule changes. Nobody at the shop can lift it."),
            gettext("Pay at once, or order the goods concerned by themselves."),
        ),
        (
            "order",
            ("cart",),
            gettext("This order"),
            gettext("The amount, a coupon, or one item in the cart does not go with this way."),
            gettext("It ends when the order changes; the option says what would do."),
            gettext("Look at what the option says: the least amount, the item, the coupon."),
        ),
        (
            "you",
            ("customer", "risk"),
            gettext("Your own account"),
            gettext(
                "Signing in, a consent, a line of credit, or an answer that only you and the funder know. Nobody else sees it."
            ),
            gettext("It ends when that changes. An assessment can be looked at again by a person."),
            gettext(
                "Sign in and open the checkout: it says what is missing. Or ask support, who see the same reasons."
            ),
        ),
    )


def _layers(policy: Policy, notice: Notice) -> set[Layer]:
    found: set[Layer] = {
        rule.layer for rule in policy.rules if rule.notice == notice.id or rule.id in notice.rules
    }
    if not found and any(place.notice == notice.id for place in policy.snapshot.placements):
        found.add("strategy")
    return found


def _stands(notice: Notice, at: int) -> bool:
    return notice.until is None or at < notice.until


def _now(notice: Notice, voice: Voice, query: str) -> NowView:
    if voice.at < notice.since:
        when = gettext("from %(at)s") % {"at": voice.instant(notice.since)}
    elif notice.until is not None:
        when = gettext("until %(at)s") % {"at": voice.instant(notice.until)}
    elif notice.next_update is not None:
        when = gettext("end not known, next news by %(at)s") % {"at": voice.instant(notice.next_update)}
    else:
        when = gettext("no end is set")
    return NowView(voice.text(notice.title), reverse("announcements:notice", args=[notice.id]) + query, when)


# ------------------------------------------------------------------------------------------------------ by way


def _way(policy: Policy, evaluation: Evaluation, family: Family, voice: Voice, query: str) -> WayLine:
    options = [option for option in evaluation.options if option.family == family.id]
    plans = [policy.plan(option.plan) for option in options]
    off = [option for option in options if off_for_everybody(option)]
    reasons = {reason.rule: reason for option in off for reason in off_for_everybody(option)}
    rules = [rule for rule in policy.rules if any(selects(rule.applies, plan) for plan in plans)]
    if len(off) < len(options):
        state, tone = (
            (gettext("open"), "good") if not off else (gettext("some terms are off for now"), "warn")
        )
    else:
        state, tone = gettext("off for everybody now"), "warn"
    cost = next((option.cost for option in options if option.cost is not None), None)
    notices = [
        _now(notice, voice, query)
        for notice in policy.notices.values()
        if _stands(notice, voice.at) and _concerns(policy, notice, family, rules)
    ]
    # Which plan is a funder's own figure is said once a family: its plans share their basis.
    indicative = next((plan.indicative_basis for plan in plans if plan.indicative_basis is not None), None)
    return WayLine(
        id=family.id,
        name=voice.text(family.name),
        about=_about(policy, family, voice),
        limits=_limits(policy, family, voice),
        state=state,
        tone=tone,
        terms=tuple(_term(policy, option, voice) for option in options),
        method=method_name(cost.method) if cost is not None else "",
        indicative=voice.text(indicative) if indicative is not None else "",
        reasons=tuple(reason_view(policy, reason, voice) for reason in reasons.values()),
        asks=_asks(rules, {reason.code for reason in reasons.values()}, voice),
        notices=tuple(notices),
    )


def _about(policy: Policy, family: Family, voice: Voice) -> str:
    return gettext("%(form)s · from %(funder)s") % {
        "form": legal_form_name(family.legal_form),
        "funder": voice.text(policy.funders[family.funder].name),
    }


def _limits(policy: Policy, family: Family, voice: Voice) -> str:
    """The amounts of the agreement in force, as its rules have them."""
    agreement = policy.funders[family.funder].agreement
    if agreement is None:
        return ""
    low, high = agreement.min_amount_minor, agreement.max_amount_minor
    if low is not None and high is not None:
        return gettext("orders of %(low)s to %(high)s") % {"low": voice.money(low), "high": voice.money(high)}
    if high is not None:
        return gettext("orders up to %(high)s") % {"high": voice.money(high)}
    return gettext("orders of %(low)s or more") % {"low": voice.money(low)} if low is not None else ""


def _term(policy: Policy, option: Option, voice: Voice) -> TermLine:
    plan = policy.plan(option.plan)
    name = voice.terms([plan.periods]) if plan.legal_form != "full_payment" else gettext("paid at once")
    per = total = annual = ""
    if option.schedule is not None and option.cost is not None:
        per = per_text(option.schedule, voice)[0] if plan.legal_form != "full_payment" else ""
        total = voice.money(option.schedule.total_minor)
        annual = voice.rate(option.cost.simple_e12)
    reasons = off_for_everybody(option)
    if reasons:
        return TermLine(name, per, total, annual, _back(reasons, voice), "warn")
    return TermLine(name, per, total, annual, gettext("open"), "good")


def _back(reasons: tuple[Reason, ...], voice: Voice) -> str:
    """When what is everybody's has ended. What is one reader's own is not in it: the checkout adds that."""
    ends = [reason.until.at for reason in reasons]
    kinds = {"unknown" if reason.pending else reason.until.kind for reason in reasons}
    if kinds == {"instant"}:
        return gettext("Back on %(at)s") % {"at": voice.instant(max(end for end in ends if end is not None))}
    return gettext("Does not return by itself") if "none" in kinds else gettext("Return: unknown")


def _asks(rules: list[Rule], known: set[str], voice: Voice) -> tuple[AskLine, ...]:
    """What may keep this way from one reader and not from another, each said once and in general words."""
    entries: dict[str, Entry] = {}
    for rule in rules:
        code = rule.reason if rule.public == "full" else "ACCOUNT_RISK"
        if code not in known and rule.layer not in ("maintenance", "health", "strategy"):
            entries[code] = CATALOGUE[code]
    return tuple(AskLine(voice.text(entry.title), voice.text(entry.fix)) for entry in entries.values())


def _concerns(policy: Policy, notice: Notice, family: Family, rules: list[Rule]) -> bool:
    if any(policy.plan(plan).family == family.id for plan in notice.plans if plan in policy.plan_index):
        return True
    return any(rule.notice == notice.id for rule in rules)

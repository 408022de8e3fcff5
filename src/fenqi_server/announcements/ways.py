"""What is open instead, and what is open at all: asked of the engine when the page is read.

A known customer's question is a decision like any other, and is recorded, so that support finds what they saw. For a reader of
whom nothing is known the same engine answers without their facts; what then depends only on them is said to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from django.http import HttpRequest
from django.utils.translation import gettext

from fenqi.checkout.evaluation import Evaluation, Option, evaluate
from fenqi.money import CURRENCIES
from fenqi.policy.compile import Policy
from fenqi_server.announcements.affected import links_of
from fenqi_server.announcements.guide import EXAMPLE_MAJOR, example_evaluation, off_for_everybody
from fenqi_server.announcements.lifecycle import Revision
from fenqi_server.announcements.reader import Reader
from fenqi_server.announcements.reading import phase_of
from fenqi_server.decisions import service as decisions
from fenqi_server.demo.catalogue import PRODUCTS
from fenqi_server.policies import service as policies
from fenqi_server.storefront import cart
from fenqi_server.storefront.selector import WayView, compared_with, difference_text, open_ways, option_name
from fenqi_server.storefront.views import decide_cart
from fenqi_server.storefront.visitor import Visitor
from fenqi_server.storefront.voice import Voice

__all__ = ["Alternatives", "affecting", "alternatives_now", "own_decision"]


class Alternatives(msgspec.Struct, frozen=True):
    """Ways that are open now, how that was asked, and the decision if one was recorded for a cart."""

    ways: tuple[WayView, ...]
    checked: str
    decision: decisions.Decision | None = None
    missing: bool = False


def own_decision(request: HttpRequest, visitor: Visitor, source: str) -> tuple[decisions.Decision, bool]:
    """The visitor's decision of now: about their cart (True), or about an example where it is empty."""
    if cart.items(request.session):
        return decide_cart(request, visitor, source=source)[0], True
    decision = decisions.evaluate(
        visitor.shop,
        visitor.customer_id,
        cart.lines_of((cart.CartItem(PRODUCTS[0], 1),)),
        visitor.channel,
        visitor.asserted,
        visitor.at,
        source=source,
    )
    return decision, False


def alternatives_now(
    request: HttpRequest, reader: Reader, about: str, without: Iterable[str]
) -> Alternatives:
    """What can be used instead of the plan `about`; plans in `without` are no alternative."""
    without = tuple(without)
    if reader.visitor is None:
        return _for_anybody(reader, about, without)
    voice = reader.voice
    decision, own = own_decision(request, reader.visitor, "notice")
    evaluation = decision.evaluation
    ways = open_ways(
        reader.policy, evaluation, voice, decision.public_id, than=about or None, without=without
    )
    compared = compared_with(reader.policy, evaluation, about, voice)
    if own:
        checked = gettext("Checked just now for you and the order in your cart.")
        missing = bool(about) and not evaluation.option(about).offered
        return Alternatives(ways, f"{checked} {compared}".rstrip(), decision, missing)
    plain = tuple(msgspec.structs.replace(way, url="") for way in ways)
    checked = gettext("Checked just now for you, with %(product)s as an example.") % {
        "product": voice.text(PRODUCTS[0].title)
    }
    return Alternatives(plain, f"{checked} {compared}".rstrip())


def _for_anybody(reader: Reader, about: str, without: tuple[str, ...]) -> Alternatives:
    voice = reader.voice
    amount = EXAMPLE_MAJOR * 10 ** CURRENCIES[reader.shop.currency]
    evaluation = example_evaluation(reader.shop, reader.policy, amount, reader.at)
    missing = next((option for option in evaluation.options if option.plan == about), None)
    best: dict[str, Option] = {}
    for option in evaluation.options:
        if option.plan in without or off_for_everybody(option) or not _may_be_open(option):
            continue
        known = best.get(option.family)
        if known is None or _apart(reader.policy, option, missing) < _apart(reader.policy, known, missing):
            best[option.family] = option
    checked = gettext(
        "Checked just now for an order of %(amount)s of ordinary goods. Your own checkout decides for you."
    ) % {"amount": voice.money(amount)}
    compared = compared_with(reader.policy, evaluation, about, voice) if about else ""
    ways = tuple(_way(reader.policy, option, missing, voice) for option in best.values())
    return Alternatives(ways, f"{checked} {compared}".rstrip())


def _may_be_open(option: Option) -> bool:
    """Whether only the customer's own facts, which nobody asked for here, stand in the way."""
    return all(reason.unknown or reason.layer == "customer" for reason in option.verdict.reasons)


def _apart(policy: Policy, option: Option, missing: Option | None) -> int:
    return abs(policy.plan(option.plan).periods - (policy.plan(missing.plan).periods if missing else 1))


def _way(policy: Policy, option: Option, missing: Option | None, voice: Voice) -> WayView:
    difference = ""
    if option.schedule is not None:
        difference = (
            difference_text(missing, option, voice)
            if missing is not None and missing.schedule is not None
            else gettext("total %(total)s") % {"total": voice.money(option.schedule.total_minor)}
        )
    return WayView(option.plan, option_name(policy, option.plan, voice), difference, "")


def affecting(request: HttpRequest, reader: Reader, revisions: Iterable[Revision]) -> frozenset[str]:
    """The ids of those announcements that this visitor's checkout links: now, or when what is coming has begun.

    What is coming is asked of the policy that is in force then, with everything else as it is now.
    """
    assert reader.visitor is not None, "only a known customer can be affected in particular"
    decision, _ = own_decision(request, reader.visitor, "notices")
    found = {link.notice for link in links_of(decision.evaluation)}
    for revision in revisions:
        if phase_of(revision, reader.now) == "coming":
            found |= _linked_at(reader, decision, revision.document.since)
    return frozenset(found)


def _linked_at(reader: Reader, decision: decisions.Decision, at: int) -> set[str]:
    policy = policies.current(reader.shop.id, datetime.fromtimestamp(at, UTC), decision.customer_id)
    evaluation: Evaluation = evaluate(policy, msgspec.structs.replace(decision.request, at=at))
    return {link.notice for link in links_of(evaluation)}

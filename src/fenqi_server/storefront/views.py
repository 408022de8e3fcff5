"""The mall: products, cart, the selector, and the step where one of its offers is agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fenqi.calendars import to_epoch, zone_of
from fenqi.checkout.evaluation import Evaluation, evaluate
from fenqi.checkout.request import CheckoutRequest
from fenqi.policy.verdict import Override
from fenqi_server import facts as fact_sources
from fenqi_server.announcements import compensation
from fenqi_server.decisions import service as decisions
from fenqi_server.decisions.quotes import BadToken, read_quote
from fenqi_server.demo.catalogue import PRODUCT_BY_SKU, PRODUCTS, Product
from fenqi_server.disclosures import service as disclosures
from fenqi_server.disclosures.pages import table_pages
from fenqi_server.funders import consents
from fenqi_server.storefront import cart, orders, shown
from fenqi_server.storefront.disclosed import table_view
from fenqi_server.storefront.leases import LeaseView, lease_view
from fenqi_server.storefront.pictures import picture_of
from fenqi_server.storefront.selector import (
    GroupView,
    group_views,
    leading_rate,
    missing_view,
    open_ways,
    option_name,
    reason_view,
    until_text,
)
from fenqi_server.storefront.visitor import TELLABLE, Visitor, tell, visitor_of
from fenqi_server.storefront.voice import Voice
from fenqi_server.support import overrides

# ------------------------------------------------------------------------------------------------- the shelves


class MonthlyView(msgspec.Struct, frozen=True):
    """The smallest monthly payment that is open to this visitor for one product."""

    per: str = ""
    name: str = ""
    periods: int = 0
    annual_cost: str = ""
    method: str = ""
    indicative: bool = False


class MissingLine(msgspec.Struct, frozen=True):
    """A family without an offer for this product: until when, and why first of all."""

    plan: str
    name: str
    until: str
    why: str


class ProductView(msgspec.Struct, frozen=True):
    sku: str
    name: str
    tagline: str
    price: str
    url: str
    picture: str
    picture_alt: str
    monthly: MonthlyView
    missing: tuple[MissingLine, ...]


@never_cache
@require_safe
def mall(request: HttpRequest) -> HttpResponse:
    """All products, each with what it costs a month at least."""
    visitor = visitor_of(request)
    known = fact_sources.gather(
        visitor.shop, visitor.customer_id, visitor.asserted, visitor.policy, visitor.at
    )
    special = overrides.active(visitor.shop, visitor.customer_id, visitor.at)
    products = [
        _product_view(product, visitor, _evaluated(product, visitor, known, special)) for product in PRODUCTS
    ]
    return render(request, "storefront/mall.html", {"products": products})


@never_cache
@require_safe
def product(request: HttpRequest, sku: str) -> HttpResponse:
    """One product: its price, what it costs a month, and which ways are not open for it."""
    found = PRODUCT_BY_SKU.get(sku)
    if found is None:
        raise Http404("no such product")
    visitor = visitor_of(request)
    # Recorded as a checkout's is, for a customer asks about what they saw here too; nobody is bound by it, so no offer
    # is signed.
    decision = decisions.evaluate(
        visitor.shop,
        visitor.customer_id,
        cart.lines_of((cart.CartItem(found, 1),)),
        visitor.channel,
        visitor.asserted,
        visitor.at,
        source="product",
        signed=False,
    )
    view = _product_view(found, visitor, decision.evaluation)
    return render(request, "storefront/product.html", {"product": view, "decision": decision.public_id})


def _evaluated(product: Product, visitor: Visitor, known: Any, special: tuple[Override, ...]) -> Evaluation:
    """The checkout's own evaluation, of a cart with this one product, for a shelf with many: not recorded each time."""
    return evaluate(
        visitor.policy,
        CheckoutRequest(
            lines=cart.lines_of((cart.CartItem(product, 1),)),
            currency=visitor.shop.currency,
            channel=visitor.channel,
            at=to_epoch(visitor.at),
            facts=known,
            overrides=special,
        ),
    )


def _product_view(product: Product, visitor: Visitor, evaluation: Evaluation) -> ProductView:
    voice = visitor.voice
    name = voice.text(product.title)
    return ProductView(
        sku=product.sku,
        name=name,
        tagline=voice.text(product.about),
        price=voice.money(product.price_minor),
        url=reverse("storefront:product", args=[product.sku]),
        picture=picture_of(product.sku),
        picture_alt=gettext("Drawing of %(name)s") % {"name": name},
        monthly=_monthly(visitor, evaluation, voice),
        missing=tuple(_missing_lines(visitor, evaluation, voice)),
    )


def _missing_lines(visitor: Visitor, evaluation: Evaluation, voice: Voice) -> Iterator[MissingLine]:
    offered = {option.family for option in evaluation.offers}
    first = {option.family: option for option in reversed(evaluation.options)}
    for family in dict.fromkeys(option.family for option in evaluation.options):
        verdict = first[family].verdict
        if family not in offered and verdict.reasons:
            yield MissingLine(
                first[family].plan,
                voice.text(visitor.policy.families[family].name),
                until_text(verdict, voice),
                reason_view(visitor.policy, verdict.reasons[0], voice).title,
            )


def _monthly(visitor: Visitor, evaluation: Evaluation, voice: Voice) -> MonthlyView:
    best = None
    for option in evaluation.offers:
        plan = visitor.policy.plan(option.plan)
        # What a month of renting costs is no price of a month of buying.
        if (
            option.schedule is None
            or option.schedule.lease is not None
            or plan.periods < 2
            or plan.unit != "month"
            or plan.every != 1
        ):
            continue
        # The largest payment: nobody pays more than this in any month.
        largest = max(row.total_minor for row in option.schedule.rows)
        if best is None or largest < best[0]:
            best = (largest, option, plan)
    if best is None:
        return MonthlyView()
    largest, option, plan = best
    annual_cost, method = leading_rate(option, voice)
    return MonthlyView(
        per=voice.money(largest),
        name=voice.text(visitor.policy.families[option.family].name),
        periods=plan.periods,
        annual_cost=annual_cost,
        method=method,
        indicative=plan.authority == "funder",
    )


# ---------------------------------------------------------------------------------------------------- the cart


class LineView(msgspec.Struct, frozen=True):
    sku: str
    name: str
    quantity: int
    unit_price: str
    total: str
    url: str
    picture: str


class CartView(msgspec.Struct, frozen=True):
    lines: tuple[LineView, ...]
    total: str


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def cart_page(request: HttpRequest) -> HttpResponse:
    """The cart; a posted article is added, or its quantity set."""
    visitor = visitor_of(request)
    if request.method == "POST":
        written = request.POST.get("quantity", "")
        quantity = int(written) if written.isdecimal() and len(written) < 4 else None
        sku, buy_now = request.POST.get("sku", ""), request.POST.get("go") == "checkout"
        try:
            # "Buy now" on what is in the cart already, as after a refusal, must not order it twice.
            if not (buy_now and any(item.product.sku == sku for item in cart.items(request.session))):
                cart.put(request.session, sku, quantity)
        except KeyError:
            raise Http404("no such product") from None
        target = "storefront:checkout" if buy_now else "storefront:cart"
        return HttpResponseRedirect(reverse(target))
    voice = visitor.voice
    found = cart.items(request.session)
    total = voice.money(sum(item.total_minor for item in found))
    return render(request, "storefront/cart.html", {"cart": CartView(_line_views(found, voice), total)})


@never_cache
@require_safe
def cart_name(request: HttpRequest) -> HttpResponse:
    """The name of the cart as it is now, for a page that wonders whether it is stale."""
    name = cart.digest(request.session, visitor_of(request).shop.currency)
    return HttpResponse(name, content_type="text/plain; charset=utf-8")


def _line_views(items: tuple[cart.CartItem, ...], voice: Voice) -> tuple[LineView, ...]:
    return tuple(
        LineView(
            item.product.sku,
            voice.text(item.title),
            item.quantity,
            voice.money(item.product.price_minor),
            voice.money(item.total_minor),
            reverse("storefront:product", args=[item.product.sku]),
            picture_of(item.product.sku),
        )
        for item in items
    )


# ------------------------------------------------------------------------------------------------ the selector


class CheckoutView(msgspec.Struct, frozen=True):
    decision: str
    cart_digest: str
    total: str
    quoted_until: str
    expires_in: int
    lines: tuple[LineView, ...]
    groups: tuple[GroupView, ...]
    changes: tuple[shown.ChangeView, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    granted: tuple[tuple[str, str, str], ...] = ()
    """What the customer was granted for an announcement and can still use: its name, until when, and the notice."""


def decide_cart(
    request: HttpRequest, visitor: Visitor, *, source: str = "checkout"
) -> tuple[decisions.Decision, dict[str, shown.Shown]]:
    """Evaluate the cart for this visitor, and keep what was offered."""
    decision = decisions.evaluate(
        visitor.shop,
        visitor.customer_id,
        cart.lines(request.session),
        visitor.channel,
        visitor.asserted,
        visitor.at,
        source=source,
    )
    return decision, shown.remember(request.session, decision)


@never_cache
@require_safe
def checkout(request: HttpRequest) -> HttpResponse:
    """How this cart can be paid, and what is missing and why."""
    visitor = visitor_of(request)
    if not cart.items(request.session):
        return HttpResponseRedirect(reverse("storefront:cart"))
    return _selector(request, visitor, error=request.GET.get("choose") == "none")


def _selector(request: HttpRequest, visitor: Visitor, *, error: bool = False) -> HttpResponse:
    voice = visitor.voice
    before = request.GET.get("seen", "")
    decision, offers = decide_cart(request, visitor)
    changes: list[shown.ChangeView] = []
    notes = []
    if before:
        notes.append(gettext("These are new offers. What changed stands below; nothing was chosen for you."))
        for plan, offer in offers.items():
            for change in shown.changes_between(shown.find(request.session, before, plan), offer, voice):
                name = option_name(visitor.policy, plan, voice)
                changes.append(
                    shown.ChangeView(f"{name}{gettext(': ')}{change.name}", change.before, change.after)
                )
        if not changes:
            notes = [gettext("These are new offers; their figures are the same as before.")]
    expires = min((offer.expires for offer in offers.values()), default=to_epoch(visitor.at))
    found = cart.items(request.session)
    view = CheckoutView(
        decision=decision.public_id,
        cart_digest=cart.digest(request.session, visitor.shop.currency),
        total=voice.money(decision.evaluation.amount_minor),
        quoted_until=voice.instant(expires),
        expires_in=max(0, expires - to_epoch(visitor.at)),
        lines=_line_views(found, voice),
        groups=group_views(
            visitor.policy,
            decision.evaluation,
            voice,
            decision.public_id,
            overrides=decision.request.overrides,
        ),
        changes=tuple(changes),
        granted=tuple(
            (
                compensation.name_line(grant, voice),
                compensation.state_line(grant, voice),
                reverse("announcements:notice", args=[grant.announcement]),
            )
            for grant in compensation.of_customer(visitor.shop, visitor.customer_id)
            if grant.state(visitor.at) == "open"
        ),
        notes=tuple(notes),
        error=gettext("Choose one of the ways below first.") if error else "",
    )
    return render(request, "storefront/checkout.html", {"page": view}, status=422 if error else 200)


@require_POST
def tell_us(request: HttpRequest) -> HttpResponse:
    """The customer says which card they would use, or agrees that a funder may be asked; then we look again."""
    visitor = visitor_of(request)
    told = {name: request.POST.get(name, "") for name in TELLABLE}
    tell(
        request,
        {name: value for name, value in told.items() if value in visitor.policy.vocabulary[name].values},
    )
    funder = request.POST.get("consent", "")
    if funder in visitor.policy.funders:
        consents.record(visitor.shop, visitor.customer_id, funder, visitor.at)
    return HttpResponseRedirect(reverse("storefront:checkout"))


# ---------------------------------------------------------------------------------------------- the cost sheet


class ConsentView(msgspec.Struct, frozen=True):
    funder: str
    text: str
    ticked: bool


class SheetView(msgspec.Struct, frozen=True):
    """The table of one offer, and the form that agrees to it."""

    title: str
    plan: str
    decision: str
    cart_digest: str
    digest: str
    attempt: str
    table: Any
    acknowledge: str
    agree: str
    after: str
    until: str
    seconds: int
    """How long the table is read at least before it can be agreed to; how much of that is left, and whether the box below
    it was ticked on the page before."""
    seconds_left: int
    ticked: bool
    pages: dict[str, str]
    consent: ConsentView | None = None
    changes: tuple[shown.ChangeView, ...] = ()
    error: str = ""
    lease: LeaseView | None = None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sheet(request: HttpRequest) -> HttpResponse:
    """Every cost and every date of one offer, before it is agreed to."""
    visitor = visitor_of(request)
    if not cart.items(request.session):
        return HttpResponseRedirect(reverse("storefront:cart"))
    asked = request.POST if request.method == "POST" else request.GET
    plan, decision_id = asked.get("plan", ""), asked.get("decision", "")
    if not plan:
        return HttpResponseRedirect(f"{reverse('storefront:checkout')}?choose=none")
    offer = shown.find(request.session, decision_id, plan)
    now_digest = cart.digest(request.session, visitor.shop.currency)
    stale = asked.get("cart", now_digest) != now_digest
    if request.method == "POST" and offer is not None and not stale:
        return _agree(request, visitor, plan, decision_id, offer)
    if offer is None or stale or offer.expires <= to_epoch(visitor.at):
        return _requote(request, visitor, plan, offer)
    return render(
        request, "storefront/sheet.html", {"sheet": _sheet_view(request, visitor, plan, decision_id, offer)}
    )


def _sheet_view(
    request: HttpRequest,
    visitor: Visitor,
    plan_id: str,
    decision_id: str,
    offer: shown.Shown,
    *,
    changes: tuple[shown.ChangeView, ...] = (),
    error: str = "",
) -> SheetView:
    """The offer as it was quoted: under the policy, at the figures and from the day that the quote names."""
    voice = visitor.voice
    try:
        quoted = decisions.offer_of(read_quote(offer.token))
    except BadToken:
        raise Http404("no such offer") from None
    policy, disclosure = quoted.policy, quoted.disclosure
    funder = policy.funders[quoted.plan.funder]
    names = {found.id: voice.text(found.name) for found in policy.funders.values()}
    table = table_view(disclosure, quoted.schedule.rows, voice, names)
    name_of_table = disclosures.keep(visitor.shop, disclosure, visitor.at)
    note = shown.reading_of(request.session, decision_id, plan_id)
    if not note:
        note = disclosures.begin(read_quote(offer.token), name_of_table, visitor.at)
        shown.keep_reading(request.session, decision_id, plan_id, note)
    seconds_left = disclosures.left(disclosures.read(note), disclosure.reading_seconds, visitor.at)
    lease = lease_view(policy, quoted.plan, quoted.schedule, quoted.cost, voice)
    name = voice.text(funder.name)
    consent = None
    if funder.own_book:
        agree = gettext("Agree and place the order")
        after = gettext("Your order is placed and the contract begins at once.")
    else:
        agree = gettext("Agree and go on to %(funder)s") % {"funder": name}
        after = gettext(
            "%(funder)s decides on its own page; until then nothing is owed and nothing is paid."
        ) % {"funder": name}
        if not consents.given(visitor.shop, visitor.customer_id, funder.id):
            consent = ConsentView(
                funder.id,
                gettext(
                    "I agree that %(mall)s passes this order (goods, amount, order number) to %(funder)s, so that it "
                    "can decide on it and be paid."
                )
                % {"mall": voice.text(visitor.shop.name), "funder": name},
                request.POST.get("consent") == funder.id,
            )
    return SheetView(
        title=option_name(policy, plan_id, voice),
        plan=plan_id,
        decision=decision_id,
        cart_digest=cart.digest(request.session, visitor.shop.currency),
        digest=name_of_table,
        pages=table_pages(name_of_table),
        seconds=disclosure.reading_seconds,
        seconds_left=seconds_left,
        ticked=request.POST.get("read") == "yes",
        attempt=request.POST.get("attempt") or orders.new_name(visitor.at)[0].hex,
        table=table,
        acknowledge=gettext("I have read the table of all costs and what to know before renting, above.")
        if lease is not None
        else gettext("I have read the table of all costs above and the dates on which I pay.")
        if not table.full
        else gettext("I have read the table above: I pay %(total)s once and nothing else.")
        % {"total": table.total},
        agree=agree,
        after=after,
        until=voice.instant(offer.expires),
        consent=consent,
        changes=changes,
        error=error,
        lease=lease,
    )


def _agree(
    request: HttpRequest, visitor: Visitor, plan: str, decision_id: str, offer: shown.Shown
) -> HttpResponse:
    """Confirm the offer, and write the order down with it: both or neither."""
    if request.POST.get("read") != "yes":
        return _sheet_again(
            request,
            visitor,
            plan,
            decision_id,
            offer,
            gettext("Read the table and tick the box below it first."),
        )
    try:
        name = UUID(hex=request.POST.get("attempt", ""))
    except ValueError:
        name = orders.new_name(visitor.at)[0]
    reference = orders.reference_of(name, visitor.at.astimezone(zone_of(visitor.shop.time_zone)))
    agreed_to = request.POST.get("consent", "")
    found = cart.items(request.session)
    order_id = orders.public_name(visitor.customer_id, name)
    address = reverse("portal:order", args=[order_id])
    try:
        with transaction.atomic():
            if agreed_to and agreed_to in visitor.policy.funders:
                consents.record(visitor.shop, visitor.customer_id, agreed_to, visitor.at)
            confirmed = decisions.confirm(
                visitor.shop,
                visitor.customer_id,
                offer.token,
                reference,
                request.POST.get("disclosure") or offer.disclosure,
                visitor.at,
                lines=cart.lines(request.session),
                asserted=visitor.asserted,
                reading=shown.reading_of(request.session, decision_id, plan) or None,
                return_url=address,
                source="checkout",
            )
            contract = confirmed.contract_id if isinstance(confirmed, decisions.Confirmed) else None
            hand_off = confirmed.hand_off_id if isinstance(confirmed, decisions.HandedOff) else None
            orders.record(
                visitor.shop,
                visitor.customer_id,
                name,
                reference=reference,
                items=found,
                currency=visitor.shop.currency,
                plan=plan,
                policy_digest=read_quote(offer.token).policy,
                contract=contract,
                hand_off=hand_off,
                at=visitor.at,
            )
    except decisions.Refused as refused:
        return _refused(request, visitor, plan, decision_id, offer, refused, order_id)
    if isinstance(confirmed, decisions.HandedOff):
        # The cart stays until the funder has said yes: after a no, the customer goes on with it.
        return HttpResponseRedirect(confirmed.url)
    cart.clear(request.session)
    return HttpResponseRedirect(f"{reverse('portal:contract', args=[confirmed.contract_id])}?fresh=1")


def _sheet_again(
    request: HttpRequest,
    visitor: Visitor,
    plan: str,
    decision_id: str,
    offer: shown.Shown,
    error: str,
    status: int = 422,
) -> HttpResponse:
    """The same form, with what was ticked: the reading goes on where it was."""
    view = _sheet_view(request, visitor, plan, decision_id, offer, error=error)
    return render(request, "storefront/sheet.html", {"sheet": view}, status=status)


_READ_FIRST: Final = ("reading_too_short", "disclosure_not_shown")
"""Refusals after which the same table is read on, or for the first time, and agreed to with the same form."""


class ChangedView(msgspec.Struct, frozen=True):
    """Why an offer was not confirmed, and what to do now."""

    title: str
    detail: str
    changes: tuple[shown.ChangeView, ...]
    missing: tuple[Any, ...]
    ways: tuple[Any, ...]
    same: str
    support: str


def _refused(
    request: HttpRequest,
    visitor: Visitor,
    plan: str,
    decision_id: str,
    offer: shown.Shown,
    refused: decisions.Refused,
    order_id: str,
) -> HttpResponse:
    if refused.code == "quote_reused":
        # The same form, sent twice: the first one counted, and this is where it led.
        try:
            order = orders.get(visitor.shop, order_id)
        except orders.NoOrder:
            pass
        else:
            if order.contract:
                return HttpResponseRedirect(reverse("portal:contract", args=[order.contract]))
            return HttpResponseRedirect(reverse("portal:order", args=[order_id]))
    if refused.code in ("consent_missing", *_READ_FIRST):
        status = 422 if refused.code == "consent_missing" else 409
        detail = visitor.voice.text(refused.detail)
        return _sheet_again(request, visitor, plan, decision_id, offer, detail, status)
    voice = visitor.voice
    return _changed(request, visitor, plan, offer, voice.text(refused.title), voice.text(refused.detail))


def _requote(request: HttpRequest, visitor: Visitor, plan: str, offer: shown.Shown | None) -> HttpResponse:
    """The offer asked for is no longer the one shown: show the new one with what changed, or why there is none."""
    decision, offers = decide_cart(request, visitor, source="requote")
    fresh = offers.get(plan)
    if fresh is None:
        return _changed(
            request,
            visitor,
            plan,
            offer,
            gettext("This way to pay is not open now"),
            gettext("What stands in its way, and what you can do instead:"),
        )
    changes = shown.changes_between(offer, fresh, visitor.voice)
    if not changes and offer is not None:
        changes = (
            shown.ChangeView(
                gettext("This offer holds until"),
                visitor.voice.instant(offer.expires),
                visitor.voice.instant(fresh.expires),
            ),
        )
    view = _sheet_view(request, visitor, plan, decision.public_id, fresh, changes=changes)
    return render(request, "storefront/sheet.html", {"sheet": view})


def _changed(
    request: HttpRequest,
    visitor: Visitor,
    plan: str,
    offer: shown.Shown | None,
    title: str,
    detail: str,
) -> HttpResponse:
    """409: what changed, the alternatives, one tap to any of them."""
    voice = visitor.voice
    decision, offers = decide_cart(request, visitor, source="requote")
    option = next((found for found in decision.evaluation.options if found.plan == plan), None)
    same, missing, changes = "", (), ()
    if option is not None and option.offered:
        changes = shown.changes_between(offer, offers.get(plan), voice)
        same = f"{reverse('storefront:sheet')}?decision={decision.public_id}&plan={plan}"
    elif option is not None:
        family = visitor.policy.families[option.family]
        missing = (
            missing_view(visitor.policy, decision.evaluation, family, [option], voice, decision.public_id),
        )
    view = ChangedView(
        title=title,
        detail=detail,
        changes=changes,
        missing=missing,
        ways=open_ways(visitor.policy, decision.evaluation, voice, decision.public_id, than=plan),
        same=same,
        support=f"{reverse('support:new')}?decision={decision.public_id}&plan={plan if option else ''}",
    )
    return render(request, "storefront/changed.html", {"page": view}, status=409)

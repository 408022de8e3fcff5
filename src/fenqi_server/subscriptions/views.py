"""The pages of whoever wants to be told: the wish, the subscription with its question and its end, and the demo's mailbox.

Following changes is open to everybody; a wish about one's own order needs a customer, whom only the demo's mall
signs in by itself. A link from a message opens exactly what it is about, to whoever has it. Nothing happens by opening a
page: mail scanners open every link, so that confirming and leaving are buttons. Leaving is also what a mail program's own
button does: one POST to the link, without a cookie, as RFC 8058 wants it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from fenqi.calendars import to_epoch
from fenqi.policy.compile import Policy
from fenqi.policy.facts import VOCABULARY
from fenqi_server import clock
from fenqi_server.announcements.wording import channel_word
from fenqi_server.customers import service as customers
from fenqi_server.policies import service as policies
from fenqi_server.portal.visitor import PortalVisitor, customer_page, portal_visitor
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.selector import ReasonView, option_name, reason_view
from fenqi_server.storefront.visitor import own_decision, visitor_of
from fenqi_server.storefront.voice import Voice, locale_now
from fenqi_server.subscriptions import letters, mailbox, ports, subscription, wishes
from fenqi_server.subscriptions.addresses import BadAddress, Channel, masked
from fenqi_server.subscriptions.confirmation import Expired
from fenqi_server.subscriptions.subscription import BadScope, NoSubscription, Scope, Subscription
from fenqi_server.subscriptions.wishes import NoWish, Wish

MAX_REGIONS = 50


class Place(msgspec.Struct, frozen=True):
    """Whose page it is: a shop now, under its policy, and its visitor where one is known."""

    shop: Shop
    at: datetime
    policy: Policy
    visitor: PortalVisitor | None
    query: str

    @property
    def voice(self) -> Voice:
        return Voice(locale_now(), self.shop.currency, self.shop.time_zone, to_epoch(self.at))

    @property
    def index_url(self) -> str:
        return reverse("announcements:index") + self.query


def _place(request: HttpRequest) -> Place:
    at, code = clock.now(), request.GET.get("shop", "")
    visitor = portal_visitor(request)
    if visitor is not None and code in ("", visitor.shop.code):
        policy = visitor.policy
        if policy is None:
            raise Http404("no policy in force")
        return Place(visitor.shop, visitor.at, policy, visitor, "")
    try:
        shop = shops.by_code(code) if code else shops.only_shop()
        policy = policies.current(shop.id, at)
    except (Shop.DoesNotExist, policies.NoPolicy):
        raise Http404("no such shop, or none with a policy in force") from None
    return Place(shop, at, policy, None, "?" + urlencode({"shop": code}) if code else "")


def _said(problem: BadAddress | BadScope) -> str:
    return problem.text.in_(locale_now())


# ------------------------------------------------------------------------------------------ the wish to be told


class TermChoice(msgspec.Struct, frozen=True):
    plan: str
    name: str
    asked: bool


class NotifyView(msgspec.Struct, frozen=True):
    name: str
    decision: str
    terms: tuple[TermChoice, ...]
    reasons: tuple[ReasonView, ...]
    personal: bool


class WishView(msgspec.Struct, frozen=True):
    title: str
    text: str
    name: str
    address: str
    asked: str
    at_night: bool
    state: str
    tone: str
    open: bool


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def ask(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """The form to be told, and its answer."""
    asked = request.POST if request.method == "POST" else request.GET
    decision = own_decision(visitor, asked.get("decision", ""))
    plan = asked.get("plan", "")
    if decision is None or plan not in decision.policy.plan_index:
        raise Http404("no such decision of this customer")
    error, email = "", customers.private(visitor.shop, visitor.customer_id).email
    at_night = request.POST.get("at_night") == "yes"
    if request.method == "POST":
        email = request.POST.get("email", "")
        try:
            made = wishes.request_back(
                visitor.shop,
                visitor.customer_id,
                decision.public_id,
                plan,
                email,
                locale_now(),
                visitor.at,
                at_night=at_night,
            )
        except BadAddress as bad:
            error = _said(bad)
        else:
            return HttpResponseRedirect(reverse("subscriptions:wish", args=[made.public_id]))
    voice = visitor.voice
    option = decision.evaluation.option(plan)
    reasons = option.verdict.reasons
    # Terms that are missing stand together on the page: here the customer says which one they mean.
    terms = [
        found.plan
        for found in decision.evaluation.options
        if found.plan == plan or (found.family == option.family and not found.offered)
    ]
    view = NotifyView(
        voice.text(decision.policy.families[option.family].name),
        decision.public_id,
        tuple(TermChoice(term, option_name(decision.policy, term, voice), term == plan) for term in terms),
        tuple(reason_view(decision.policy, reason, voice) for reason in reasons),
        any(reason.until.kind == "none" for reason in reasons),
    )
    return render(
        request,
        "subscriptions/ask.html",
        {"notify": view, "error": error, "email": email, "at_night": at_night},
        status=422 if error else 200,
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def wish_page(request: HttpRequest, wish_id: str) -> HttpResponse:
    """What is kept of a wish, and its end. Open to its customer, and to whoever has the mail's link."""
    place = _place(request)
    try:
        found = wishes.get(place.shop, wish_id)
    except NoWish:
        raise Http404("no such request") from None
    own = place.visitor is not None and found.customer_id == place.visitor.customer_id
    if not own and not wishes.opened_by(found, request.GET.get("t", "")):
        raise Http404("no such request")
    if request.method == "POST":
        wishes.cancel(place.shop, found, place.at)
        return HttpResponseRedirect(request.get_full_path())
    title, text, state, tone = _wish_words(found)
    view = WishView(
        title=title,
        text=text,
        name=_wish_about(found, place),
        address=found.address if own else masked(found.address) if found.address else "",
        asked=place.voice.instant(found.asked_at),
        at_night=found.at_night,
        state=state,
        tone=tone,
        open=found.open,
    )
    return render(
        request,
        "subscriptions/wish.html",
        {"wish": view, "shop": place.shop, "demo": settings.FENQI_DEMO},
    )


def _wish_about(found: Wish, place: Place) -> str:
    if found.announcement:
        return _notice_title(found.announcement, place)
    return (
        option_name(place.policy, found.plan, place.voice)
        if found.plan in place.policy.plan_index
        else found.plan
    )


def _notice_title(announcement: str, place: Place) -> str:
    notice = place.policy.notices.get(announcement)
    return place.voice.text(notice.title) if notice is not None else announcement


def _wish_words(found: Wish) -> tuple[str, str, str, str]:
    if found.state == "unconfirmed":
        return (
            gettext("One more step"),
            gettext(
                "We have sent one message to the address. Open the link in it within 48 hours and press the button: "
                "until then nothing else is sent."
            ),
            gettext("not confirmed yet"),
            "warn",
        )
    if found.state in ("waiting", "telling"):
        if found.announcement:
            text = gettext(
                "Once it is over, you get one message, and your address is deleted. It is deleted after %(days)s days "
                "at the latest."
            )
        else:
            text = gettext(
                "Once it is open to you again, you get one mail, and your address is deleted. It is deleted after "
                "%(days)s days at the latest."
            )
        return (
            gettext("We will tell you"),
            text % {"days": wishes.KEPT_DAYS},
            gettext("waiting") if found.state == "waiting" else gettext("the message is on its way"),
            "",
        )
    if found.state == "told":
        return (
            gettext("You have been told"),
            gettext("The mail was sent and your address deleted. You get no other mail about it."),
            gettext("told"),
            "good",
        )
    return (
        gettext("Request cancelled"),
        gettext("Your address is deleted, and you get no mail."),
        gettext("cancelled"),
        "",
    )


# ---------------------------------------------------------------------------------------------- subscribing


class Choice(msgspec.Struct, frozen=True):
    value: str
    label: str
    chosen: bool


class FormView(msgspec.Struct, frozen=True, kw_only=True):
    families: tuple[Choice, ...]
    plans: tuple[Choice, ...]
    funders: tuple[Choice, ...]
    sales_channels: tuple[Choice, ...]
    regions: str
    narrowed: bool
    channels: tuple[Choice, ...]
    address: str
    locale: str
    at_night: bool
    announcement: str
    announcement_title: str
    what: str


def _form(
    place: Place,
    scope: Scope,
    *,
    channel: str = "email",
    address: str = "",
    locale: str = "",
    at_night: bool = False,
    what: str = "once",
) -> FormView:
    voice, policy = place.voice, place.policy
    return FormView(
        families=tuple(
            Choice(name, voice.text(family.name), name in scope.families)
            for name, family in policy.families.items()
        ),
        # A plan that somebody came for stands beside the families; all of them would be a page of boxes.
        plans=tuple(
            Choice(name, option_name(policy, name, voice), True)
            for name in scope.plans
            if name in policy.plan_index
        ),
        funders=tuple(
            Choice(name, voice.text(funder.name), name in scope.funders)
            for name, funder in policy.funders.items()
        ),
        sales_channels=tuple(
            Choice(value, channel_word(policy, value, voice), value in scope.sales_channels)
            for value in VOCABULARY["channel.kind"].values
        ),
        regions=", ".join(scope.regions),
        narrowed=bool(scope.funders or scope.sales_channels or scope.regions),
        channels=tuple(
            Choice(name, label, name == channel)
            for name, label in (
                ("email", gettext("E-mail address")),
                ("sms", gettext("Text message")),
                ("push", gettext("Push message")),
                ("webhook", gettext("Webhook of a program")),
            )
            if ports.offered(name)
        ),
        address=address[:1_000],
        locale=locale or locale_now(),
        at_night=at_night,
        announcement=scope.announcement,
        announcement_title=_notice_title(scope.announcement, place) if scope.announcement else "",
        what=what,
    )


def _scope_of(data: Any) -> Scope:
    regions = [part.strip() for part in data.get("region", "").split(",") if part.strip()]
    return Scope(
        tuple(dict.fromkeys(data.getlist("funder"))),
        tuple(dict.fromkeys(data.getlist("family"))),
        tuple(dict.fromkeys(data.getlist("plan"))),
        tuple(dict.fromkeys(data.getlist("sales_channel"))),
        tuple(dict.fromkeys(regions)),
        data.get("announcement", ""),
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def subscribe(request: HttpRequest) -> HttpResponse:
    """The form to follow changes, or one announcement, and its answer. `?plan=`, `?family=`, `?announcement=` fill it in."""
    place = _place(request)
    if request.method != "POST":
        return _subscribe_form(request, place, _known(place, _scope_of(request.GET)))
    data = request.POST
    scope, address = _scope_of(data), data.get("address", "")
    locale = data.get("locale") if data.get("locale") in letters.DJANGO_LANGUAGE else locale_now()
    assert locale is not None
    at_night = data.get("at_night") == "yes"
    channel: Channel = data.get("channel", "email")  # type: ignore[assignment]  # looked up in the next line
    if channel not in ("email", "webhook", "sms", "push") or not ports.offered(channel):
        raise Http404("no message goes out that way here")
    once = bool(scope.announcement) and data.get("what", "once") != "follow"
    secret = None
    try:
        if once:
            subscription.checked_scope(place.policy, scope)
            wishes.request_over(
                place.shop,
                scope.announcement,
                address,
                locale,
                place.at,
                at_night=at_night,
                channel=channel,
            )
        else:
            made = subscription.subscribe(
                place.shop,
                place.policy,
                channel,
                address,
                locale,
                scope,
                place.at,
                customer_id=place.visitor.customer_id if place.visitor else None,
                quiet=not at_night,
            )
            secret = made.secret
    except (BadAddress, BadScope, NoWish) as bad:
        error = gettext("This notice is over.") if isinstance(bad, NoWish) else _said(bad)
        return _subscribe_form(
            request,
            place,
            _known(place, scope),
            error=error,
            channel=channel,
            address=address,
            locale=locale,
            at_night=at_night,
            what="once" if once else "follow",
        )
    if secret is not None:
        return render(
            request,
            "subscriptions/asked.html",
            {"secret": secret, "shop": place.shop, "index_url": place.index_url},
        )
    # The same answer whether the address was known or not: who follows what is nobody else's business.
    return HttpResponseRedirect(reverse("subscriptions:asked") + place.query)


def _subscribe_form(
    request: HttpRequest, place: Place, scope: Scope, *, error: str = "", **kept: Any
) -> HttpResponse:
    form = _form(place, scope, **kept)
    if not form.channels:
        raise Http404("this installation sends no messages")
    return render(
        request,
        "subscriptions/subscribe.html",
        {"form": form, "error": error, "shop": place.shop, "index_url": place.index_url},
        status=422 if error else 200,
    )


def _known(place: Place, scope: Scope) -> Scope:
    """What the form can show of a scope that an address asked for."""
    policy = place.policy
    return Scope(
        tuple(name for name in scope.funders if name in policy.funders),
        tuple(name for name in scope.families if name in policy.families),
        tuple(name for name in scope.plans if name in policy.plan_index)[:MAX_REGIONS],
        scope.sales_channels,
        scope.regions[:MAX_REGIONS],
        scope.announcement if scope.announcement in policy.notices else "",
    )


@never_cache
@require_safe
def asked(request: HttpRequest) -> HttpResponse:
    """What is next: the question in the mail."""
    place = _place(request)
    return render(request, "subscriptions/asked.html", {"shop": place.shop, "index_url": place.index_url})


# -------------------------------------------------------------------------------------- behind a message's links


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    text: str
    what: str = ""
    address: str = ""
    button: str = ""
    manage_url: str = ""


def _behind(place: Place, request: HttpRequest, public_id: str) -> Subscription | Wish:
    """What a message's link is about, to whoever has the link."""
    token = request.GET.get("t", "")
    try:
        if public_id.startswith("sb_"):
            return subscription.get(place.shop, public_id, token)
        found = wishes.get(place.shop, public_id)
    except (NoSubscription, NoWish):
        raise Http404("no such subscription") from None
    if not wishes.opened_by(found, token):
        raise Http404("no such subscription")
    return found


def _about(found: Subscription | Wish, place: Place) -> str:
    if isinstance(found, Wish):
        return _wish_about(found, place)
    if found.announcement:
        return _notice_title(found.announcement, place)
    return letters.scope_text(place.policy, found.scope, place.voice)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, public_id: str) -> HttpResponse:
    """The question's answer: a button on the page confirms, opening the page does not."""
    place = _place(request)
    found = _behind(place, request, public_id)
    if request.method == "POST":
        try:
            if isinstance(found, Wish):
                found = wishes.confirm(place.shop, found, place.at)
            else:
                found = subscription.confirm(place.shop, found, place.at)
        except Expired:
            return _page(request, place, _expired(), 410)
        if found.state not in ("active", "waiting", "telling"):
            return _page(request, place, _ended())
        manage = "" if isinstance(found, Wish) else reverse("subscriptions:manage", args=[public_id])
        return _page(
            request,
            place,
            PageView(
                title=gettext("Confirmed"),
                text=gettext("You are told from now on. Every message has a link to leave."),
                what=_about(found, place),
                address=masked(found.address),
                manage_url=f"{manage}?{request.GET.urlencode()}" if manage else "",
            ),
        )
    if found.state == "unconfirmed" and found.confirm_until is not None and place.at >= found.confirm_until:
        return _page(request, place, _expired(), 410)
    if isinstance(found, Subscription) and found.ended_why == "not_confirmed":
        return _page(request, place, _expired(), 410)
    if found.state == "unconfirmed":
        view = PageView(
            title=gettext("Do you want these messages?"),
            text=gettext("Nothing is sent before you say so here."),
            what=_about(found, place),
            address=masked(found.address),
            button=gettext("Yes, tell me"),
        )
        return _page(request, place, view)
    if found.state in ("active", "waiting", "telling"):
        return _page(
            request,
            place,
            PageView(title=gettext("Confirmed"), text=gettext("This is confirmed already.")),
        )
    return _page(request, place, _ended())


def _expired() -> PageView:
    return PageView(
        title=gettext("This link has run out"),
        text=gettext(
            "It stood for 48 hours, and the address is deleted. Ask again, and you get a new message."
        ),
    )


def _ended() -> PageView:
    return PageView(
        title=gettext("Nothing is sent any more"),
        text=gettext("This has ended, and the address is deleted."),
    )


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def off(request: HttpRequest, public_id: str) -> HttpResponse:
    """Leaving. A POST is enough, from a mail program or from the button on the page; opening the page leaves nothing."""
    place = _place(request)
    found = _behind(place, request, public_id)
    if request.method == "POST":
        if isinstance(found, Wish):
            wishes.cancel(place.shop, found, place.at)
        else:
            subscription.end(place.shop, found, place.at)
        view = PageView(
            title=gettext("Unsubscribed"),
            text=gettext("Nothing more is sent, and your address is deleted."),
        )
        return _page(request, place, view)
    closed = found.state in ("ended", "suspended", "told", "cancelled")
    if closed:
        return _page(request, place, _ended())
    view = PageView(
        title=gettext("Stop these messages?"),
        text=gettext("One tap ends them and deletes your address."),
        what=_about(found, place),
        address=masked(found.address),
        button=gettext("Unsubscribe"),
    )
    return _page(request, place, view)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def manage(request: HttpRequest, public_id: str) -> HttpResponse:
    """What somebody follows, changed by its owner: whoever has the link of a message, or is signed in as that customer."""
    place = _place(request)
    found = _behind(place, request, public_id)
    if not isinstance(found, Subscription):
        raise Http404("a wish has a page of its own")
    error = ""
    form = _form(
        place,
        _known(place, found.scope),
        locale=found.locale,
        at_night=not found.quiet,
    )
    if request.method == "POST":
        if request.POST.get("act") == "end":
            subscription.end(place.shop, found, place.at)
            return HttpResponseRedirect(request.get_full_path())
        scope = msgspec.structs.replace(_scope_of(request.POST), announcement=found.announcement)
        locale = request.POST.get("locale", "")
        locale = locale if locale in letters.DJANGO_LANGUAGE else found.locale
        try:
            subscription.change(
                place.shop, place.policy, found, scope, request.POST.get("at_night") != "yes", locale
            )
        except BadScope as bad:
            error = _said(bad)
            form = _form(
                place,
                _known(place, scope),
                locale=locale,
                at_night=request.POST.get("at_night") == "yes",
            )
        else:
            return HttpResponseRedirect(request.get_full_path())
    state, tone = _subscription_state(found)
    return render(
        request,
        "subscriptions/manage.html",
        {
            "form": form,
            "error": error,
            "shop": place.shop,
            "what": _about(found, place),
            "address": masked(found.address) if found.address else gettext("deleted"),
            "since": place.voice.instant(found.confirmed_at or found.created_at),
            "state": state,
            "tone": tone,
            "open": found.state in ("unconfirmed", "active"),
        },
        status=422 if error else 200,
    )


def _subscription_state(found: Subscription) -> tuple[str, str]:
    if found.state == "active":
        return gettext("active"), "good"
    if found.state == "unconfirmed":
        return gettext("not confirmed yet"), "warn"
    if found.state == "suspended":
        return gettext("ended: the address refused our mail"), "bad"
    return gettext("ended"), ""


def _page(request: HttpRequest, place: Place, view: PageView, status: int = 200) -> HttpResponse:
    return render(
        request,
        "subscriptions/confirm.html",
        {"page": view, "shop": place.shop, "index_url": place.index_url},
        status=status,
    )


# ------------------------------------------------------------------------------------------------- one's own


class ItemView(msgspec.Struct, frozen=True):
    url: str
    what: str
    address: str
    since: str
    state: str
    tone: str


@require_safe
@customer_page
def mine(request: HttpRequest, visitor: PortalVisitor) -> HttpResponse:
    """The signed-in customer's open wishes, and what they follow."""
    place = _place(request)
    waiting = []
    for found in wishes.of_customer(visitor.shop, visitor.customer_id):
        _, _, state, tone = _wish_words(found)
        waiting.append(
            ItemView(
                reverse("subscriptions:wish", args=[found.public_id]),
                _wish_about(found, place),
                found.address,
                place.voice.instant(found.asked_at),
                state,
                tone,
            )
        )
    followed = []
    for each in subscription.of_customer(visitor.shop, visitor.customer_id):
        state, tone = _subscription_state(each)
        # Signed in or not, an unconfirmed one is its address's owner's to open, not that of whoever typed it.
        link = "" if each.state == "unconfirmed" else "?" + urlencode({"t": each.token})
        followed.append(
            ItemView(
                reverse("subscriptions:manage", args=[each.public_id]) + link if link else "",
                _about(each, place),
                masked(each.address),
                place.voice.instant(each.created_at),
                state,
                tone,
            )
        )
    return render(
        request,
        "subscriptions/mine.html",
        {"wishes": waiting, "subscriptions": followed, "shop": visitor.shop},
    )


# ------------------------------------------------------------------------------------------------- the mailbox


class MailView(msgspec.Struct, frozen=True):
    subject: str
    sent: str
    to: str
    body: str
    lang: str


@never_cache
@require_safe
def mailbox_page(request: HttpRequest) -> HttpResponse:
    """Every mail of the demo."""
    if not settings.FENQI_DEMO:
        raise Http404("only the demo has a mailbox")
    visitor = visitor_of(request)
    voice = visitor.voice
    views: list[Any] = [
        MailView(mail.subject, voice.instant(mail.sent_at), mail.recipient, mail.body, mail.locale)
        for mail in mailbox.mails(visitor.shop)
    ]
    return render(request, "subscriptions/mailbox.html", {"mails": views})

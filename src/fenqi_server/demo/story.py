"""The three-minute walk through the mall: a familiar way to pay stands lower, is gone, is explained, and comes back better.

Each step says what to look at and has one button, which makes ready what the step needs (whose browser this is, what is in the
cart, how late it is, who of the staff is signed in) and goes to the page. The page says nothing of its own about the cause: what is
in force is read from the policy, and every figure stands on the pages that it leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, cast

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from fenqi.problems import BadInput
from fenqi_server import clock as installation_clock
from fenqi_server.announcements.lifecycle import latest
from fenqi_server.demo import causes
from fenqi_server.demo.moving import go_to
from fenqi_server.demo.people import PERSON_BY_REF
from fenqi_server.demo.staff import enter
from fenqi_server.storefront import cart
from fenqi_server.storefront.visitor import Visitor, shop_as, visitor_of

__all__ = ["begin", "step", "story"]

_PHONE: Final = "cg-15"
_ASKS: Final[dict[causes.Cause, str]] = {"agreement": "new", "maintenance": "over_limit", "budget": "running"}
"""Who is hit too, and asks the desk. Under the spent budget it is somebody whom nothing else keeps from it."""
_NOTICE: Final = "story"
"""Where the browser keeps which notice the story is about: once it is over, no policy has it any more."""


class StepView(msgspec.Struct, frozen=True):
    """One step: what it is called, what to look at, and the words of its button."""

    name: str
    title: str
    look: str
    button: str
    open: bool = True


class CauseView(msgspec.Struct, frozen=True):
    """One of the three causes."""

    name: str
    title: str
    about: str
    current: bool


@never_cache
@require_safe
def story(request: HttpRequest) -> HttpResponse:
    """The steps, for the cause that is in force."""
    return _page(request, visitor_of(request))


def _page(request: HttpRequest, visitor: Visitor, error: str = "") -> HttpResponse:
    standing = causes.in_force(visitor.shop, visitor.at)
    notice = _notice_of(request, visitor, standing)
    cause = _cause_of(notice, standing)
    said = latest(visitor.shop).get(notice) if notice else None
    voice = visitor.voice
    context = {
        "error": error,
        "causes": [
            CauseView(name, *_cause_words(name), cause is not None and name == cause)
            for name in causes.CAUSES
        ],
        "steps": () if cause is None else _steps(cause, visitor, over=standing is None or standing.better),
        "told": None
        if said is None
        else {
            "title": voice.text(said.document.title),
            "url": reverse("announcements:notice", args=[said.announcement]),
            "until": voice.instant(datetime.fromtimestamp(said.document.until, visitor.at.tzinfo))
            if said.document.until is not None
            else "",
            "next": voice.instant(datetime.fromtimestamp(said.document.next_update, visitor.at.tzinfo))
            if said.document.next_update is not None
            else "",
            "resolved": said.state == "resolved",
        },
    }
    return render(request, "demo/story.html", context, status=422 if error else 200)


def _notice_of(request: HttpRequest, visitor: Visitor, standing: causes.Standing | None) -> str:
    kept: str = request.session.get(_NOTICE, "")
    if (standing is None or standing.better) and kept in latest(visitor.shop):
        return kept  # the maintenance that the mall's own policy has for the evening is not what is told here
    return "" if standing is None else standing.notice


def _cause_of(notice: str, standing: causes.Standing | None) -> causes.Cause | None:
    for start, cause in (
        ("mall-own-8-", "agreement"),
        ("mall-interest-free-", "budget"),
        ("mall-maintenance-", "maintenance"),
    ):
        if notice.startswith(start):
            return cast(causes.Cause, cause)
    return None if standing is None else standing.cause


def _cause_words(cause: causes.Cause) -> tuple[str, str]:
    return {
        "agreement": (
            gettext("1. The agreement changes"),
            gettext(
                "From version 7 to version 8: nothing new for customers without a running contract. The end is unknown; "
                "the next word comes on Friday."
            ),
        ),
        "maintenance": (
            gettext("2. Maintenance tonight"),
            gettext("From 22:00 to 02:00, for a reason that is told. The app stays open."),
        ),
        "budget": (
            gettext("3. The interest-free money is spent"),
            gettext(
                "3 and 6 instalments cost the mall their interest. This month's money is gone until the first."
            ),
        ),
    }[cause]


def _steps(cause: causes.Cause, visitor: Visitor, *, over: bool) -> tuple[StepView, ...]:
    keeper = visitor.voice.text(PERSON_BY_REF[causes.KEEPS[cause][0]].name)
    chen = visitor.voice.text(PERSON_BY_REF["good"].name)
    asks = visitor.voice.text(PERSON_BY_REF[_ASKS[cause]].name)
    keeps = {
        "agreement": gettext("%(name)s has a running contract of mall instalments and keeps all of it."),
        "maintenance": gettext(
            "%(name)s shops in the app, which speaks to the new system already, and keeps it."
        ),
        "budget": gettext("%(name)s wants earphones: what is left of the money still pays for those."),
    }[cause] % {"name": keeper}
    longer = {
        "agreement": gettext("The terms need longer: the next word comes two hours later."),
        "maintenance": gettext("The work needs longer: the window ends two hours later."),
        "budget": gettext("The new money comes two hours later."),
    }[cause]
    steps = [
        StepView(
            "lower",
            gettext("It stands lower"),
            gettext(
                "%(name)s last used mall instalments. Since 30 September credit stands apart from payment tools: look at "
                "the line under the heading, and its notice. Her last-used way still comes first there."
            )
            % {"name": chen},
            gettext("Open her checkout"),
            not over,
        ),
        StepView(
            "missing",
            gettext("It is missing, and its place is kept"),
            gettext("Look at the reason, since when, until when or that nobody knows, and four ways on."),
            gettext("Open the checkout now"),
            not over,
        ),
        StepView(
            "keeps", gettext("Another customer still has it"), keeps, gettext("Open that checkout"), not over
        ),
        StepView(
            "notice",
            gettext("The notice"),
            gettext(
                "Why, who is affected and who is not, what does not change, when it is back, what else there is, and "
                "the price that is kept for 48 hours."
            ),
            gettext("Read the notice"),
        ),
        StepView(
            "instead",
            gettext("Another way"),
            gettext(
                "Under the missing way stand others with their difference. Choose a card in 12: the bank's own page "
                "answers, and the order is paid."
            ),
            gettext("Choose another way"),
            not over,
        ),
        StepView(
            "ask",
            gettext("Ask a person"),
            gettext("%(name)s asks why. The decision is kept with the question.") % {"name": asks},
            gettext("Ask as %(name)s") % {"name": asks},
            not over,
        ),
        StepView(
            "agent",
            gettext("The agent sees the same reason"),
            gettext("Open the case, then its diagnosis: each rule's answer, from the record, decided again."),
            gettext("Open the desk"),
        ),
        StepView(
            "special",
            gettext("A special case, approved by somebody else"),
            gettext(
                "From the diagnosis the agent asks; the supervisor approves, for 24 hours. For a rule of law it is "
                "refused, with why."
            ),
            gettext("Be the supervisor"),
        ),
        StepView(
            "tell_me",
            gettext("Wait, and be told"),
            gettext("Leave an address: whoever would get it is told when it is back, and nobody else."),
            gettext("Open her checkout"),
            not over,
        ),
        StepView("longer", gettext("Two hours more"), longer, gettext("Let the operator say so"), not over),
        StepView(
            "back",
            gettext("It is back, and better"),
            gettext(
                "It returns: 12 instalments cost less than before, and 24 are new. Look at before and after on the notice."
            ),
            gettext("Let it come back"),
            not over,
        ),
        StepView(
            "mailbox",
            gettext("The mail"),
            gettext("One mail to whoever can use it again; none to somebody who is still over the limit."),
            gettext("Open the mailbox"),
        ),
        StepView(
            "operator",
            gettext("Who met what"),
            gettext("What is off, what waits, how many shoppers met each reason, and where they went."),
            gettext("Open the operator's page"),
        ),
    ]
    return tuple(steps)


@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    """Publish a cause, with the mall's own policy under it: also how the story starts over."""
    visitor = visitor_of(request)
    cause = request.POST.get("cause", "")
    if cause not in causes.CAUSES:
        return _page(request, visitor, gettext("There is no such cause."))
    causes.begin(visitor.shop, cast(causes.Cause, cause), visitor.at)
    _keep_notice(request, visitor)
    cart.clear(request.session)
    request.session["flash"] = gettext("The story starts. The policy with this cause is published.")
    return HttpResponseRedirect(reverse("demo:story"))


@require_POST
def step(request: HttpRequest) -> HttpResponse:
    """Make ready what a step needs, and go where it happens."""
    visitor = visitor_of(request)
    act = _ACTS.get(request.POST.get("step", ""))
    if act is None:
        raise Http404("the story has no such step")
    try:
        return HttpResponseRedirect(act(request, visitor))
    except BadInput as wrong:
        return _page(request, visitor_of(request), wrong.problem.sentence)


def _keep_notice(request: HttpRequest, visitor: Visitor) -> None:
    standing = causes.in_force(visitor.shop, installation_clock.now())
    if standing is not None:
        request.session[_NOTICE] = standing.notice


def _shopper(request: HttpRequest, ref: str, sku: str = _PHONE) -> str:
    shop_as(request, ref)
    cart.clear(request.session)
    cart.put(request.session, sku, 1)
    return reverse("storefront:checkout")


def _into_the_cause(visitor: Visitor) -> causes.Cause:
    """A planned window has to have begun: the clock goes there, once."""
    standing = causes.in_force(visitor.shop, visitor.at)
    if standing is None:
        return "maintenance"
    if standing.since is not None and standing.since > visitor.at:
        go_to(visitor.shop, standing.since + timedelta(minutes=5))
    return standing.cause


def _lower(request: HttpRequest, visitor: Visitor) -> str:
    return _shopper(request, "good") + "#group-instalment"


def _missing(request: HttpRequest, visitor: Visitor) -> str:
    _into_the_cause(visitor)
    return _shopper(request, "good") + "#family-mall"


def _keeps(request: HttpRequest, visitor: Visitor) -> str:
    cause = _into_the_cause(visitor)
    return _shopper(request, *causes.KEEPS[cause]) + "#family-mall"


def _read(request: HttpRequest, visitor: Visitor) -> str:
    standing = causes.in_force(visitor.shop, visitor.at)
    notice = _notice_of(request, visitor, standing)
    return reverse("announcements:notice", args=[notice]) if notice else reverse("announcements:index")


def _ask(request: HttpRequest, visitor: Visitor) -> str:
    cause = _into_the_cause(visitor)
    return _shopper(request, _ASKS[cause]) + "#family-mall"


def _agent(request: HttpRequest, visitor: Visitor) -> str:
    enter(request, "fang")
    return reverse("console:cases")


def _special(request: HttpRequest, visitor: Visitor) -> str:
    enter(request, "tang")
    return reverse("console:overrides")


def _longer(request: HttpRequest, visitor: Visitor) -> str:
    _keep_notice(request, visitor)
    causes.later(visitor.shop, visitor.at, "staff:lin")
    return _read(request, visitor)


def _back(request: HttpRequest, visitor: Visitor) -> str:
    _keep_notice(request, visitor)
    ends = causes.come_back(visitor.shop, visitor.at, "staff:he")
    go_to(visitor.shop, max(ends, installation_clock.now()) + timedelta(minutes=5))
    return reverse("announcements:notice", args=[request.session[_NOTICE]])


def _mailbox(request: HttpRequest, visitor: Visitor) -> str:
    return reverse("subscriptions:mailbox")


def _operator(request: HttpRequest, visitor: Visitor) -> str:
    enter(request, "he")
    return reverse("console:home")


_ACTS: Final[dict[str, Callable[[HttpRequest, Visitor], str]]] = {
    "lower": _lower,
    "missing": _missing,
    "keeps": _keeps,
    "notice": _read,
    "instead": _missing,
    "ask": _ask,
    "agent": _agent,
    "special": _special,
    "tell_me": _missing,
    "longer": _longer,
    "back": _back,
    "mailbox": _mailbox,
    "operator": _operator,
}

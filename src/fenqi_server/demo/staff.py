"""The mall's staff, ready to be: one click signs in as any of them, in the demo alone.

Their accounts have no password, so that outside this page there is no way into them; an installation that is no demo has
neither the people nor the page.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec
from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.console import people
from fenqi_server.console.access import role_name
from fenqi_server.db import in_transaction
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import locale_now

__all__ = ["STAFF", "Colleague", "enter", "kept_by_the_shopper", "seed_staff", "staff", "staff_in"]


class Colleague(msgspec.Struct, frozen=True):
    """One of the ready people."""

    username: str
    name: Text
    about: Text
    roles: tuple[str, ...]
    layers: tuple[str, ...] = ()


STAFF: Final = (
    Colleague(
        "lin",
        Text("林一", "Lin Yi"),
        Text("支付运营：起草方案、改窗口、写公告", "Payments: drafts changes, windows and announcements"),
        ("author",),
    ),
    Colleague(
        "zhou",
        Text("周衡", "Zhou Heng"),
        Text(
            "法务与风控：审核法律、合规和风险规则的变更",
            "Legal and risk: reviews changes of law, compliance and risk",
        ),
        ("reviewer",),
        ("law", "compliance", "risk"),
    ),
    Colleague(
        "he",
        Text("何畅", "He Chang"),
        Text(
            "发布人：上线、回滚、立即停用",
            "Publisher: puts changes in force, rolls back, stops a way at once",
        ),
        ("publisher",),
    ),
    Colleague(
        "fang",
        Text("方糖", "Fang Tang"),
        Text(
            "客服：回答顾客、查原因、申请特批",
            "Support: answers customers, finds reasons, asks for special cases",
        ),
        ("support",),
    ),
    Colleague(
        "tang",
        Text("唐宁", "Tang Ning"),
        Text("主管：批准特批，也能答复顾客", "Supervisor: approves special cases, and answers customers too"),
        ("supervisor", "support"),
    ),
    Colleague(
        "qian",
        Text("钱进", "Qian Jin"),
        Text("财务：查看账本和结算", "Finance: the books and settlements"),
        ("finance",),
    ),
    Colleague(
        "shen",
        Text("沈明", "Shen Ming"),
        Text("审计：什么都能看，什么都不能改", "Auditor: sees everything, changes nothing"),
        ("auditor",),
    ),
    Colleague(
        "guan",
        Text("关山", "Guan Shan"),
        Text("管理员：管理员工和角色", "Admin: the staff and their roles"),
        ("admin",),
    ),
)

_SHOPPERS: Final = ("person", "cart", "told", "shown", "flash", "report", "story")


def kept_by_the_shopper(request: HttpRequest) -> dict[str, object]:
    """What the same browser keeps as a customer of the mall, whoever of the staff it is."""
    return {key: request.session[key] for key in _SHOPPERS if key in request.session}


def seed_staff(shop: Shop) -> None:
    """Make whoever is missing."""
    at = clock.now()

    def act() -> None:
        for colleague in STAFF:
            user = people.find(colleague.username) or people.add(colleague.username)
            for role in colleague.roles:
                layers = colleague.layers if role == "reviewer" else ()
                people.grant(shop, user, role, at, "demo", layers=layers)

    in_transaction(act)


@never_cache
@require_safe
def staff(request: HttpRequest) -> HttpResponse:
    """Whom one can be."""
    _demo_only()
    locale = locale_now()
    user = cast(User, request.user)
    colleagues = [
        {
            "username": each.username,
            "name": each.name.in_(locale),
            "about": each.about.in_(locale),
            "roles": [role_name(role) for role in each.roles],
            "current": user.is_authenticated and user.get_username() == each.username,
        }
        for each in STAFF
    ]
    return render(request, "demo/staff.html", {"colleagues": colleagues, "next": request.GET.get("next", "")})


@require_POST
def staff_in(request: HttpRequest) -> HttpResponse:
    """Be one of them."""
    _demo_only()
    name = enter(request, request.POST.get("username", ""))
    request.session["flash"] = gettext("You are now %(name)s.") % {"name": name.in_(locale_now())}
    wanted = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        wanted = reverse("console:home")
    return HttpResponseRedirect(wanted)


def enter(request: HttpRequest, username: str) -> Text:
    """Sign this browser in as one of them; their name. What it keeps as a shopper stays."""
    _demo_only()
    user = people.find(username) if username in {each.username for each in STAFF} else None
    if user is None:
        raise Http404("nobody of that name works in the mall")
    kept = kept_by_the_shopper(request)
    login(request, user)
    for key, value in kept.items():
        request.session[key] = value
    record_authentication(request, user, "mfa", type="demo")
    return next(each.name for each in STAFF if each.username == username)


def _demo_only() -> None:
    if not settings.FENQI_DEMO:
        raise Http404("only the demo has ready people")

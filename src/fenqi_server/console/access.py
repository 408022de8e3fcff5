"""Who works here, and what they may do.

A person has *roles* in a *shop*; a view of the console says which roles open it:

    @allowed("author", "publisher")
    def drafts(request): ...
        request.staff.shop      # the shop whose console this is
        actor(request)          # "staff:ann", for the record

| Who asks | Gets |
|---|---|
| nobody signed in | the sign-in |
| signed in with a password alone | the page that sets a second factor up, or asks for it |
| signed in, no role in any shop | 404: there is no console for them |
| another role | 403, with the name of the role that is missing |
| one of the roles | the view |

Nothing under the console's address opens without saying whom it opens to: `ConsoleGuard` refuses a view that carries
neither `allowed` nor `entrance`. A forgotten decorator is a page that nobody sees, never one that everybody sees.

Roles do not contain each other. Whoever runs a shop alone is given several; an admin names the staff and sees no case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import msgspec
from allauth.account.authentication import get_authentication_records
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import pgettext

from fenqi.policy.snapshot import LAYERS
from fenqi_server.policies.service import NoPolicy
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

__all__ = [
    "ROLES",
    "ConsoleGuard",
    "Staff",
    "actor",
    "allowed",
    "choose_shop",
    "entrance",
    "has_second_factor",
    "role_name",
    "roles_of",
    "staff_of",
]

ROLES: Final = ("author", "reviewer", "publisher", "support", "supervisor", "finance", "auditor", "admin")
SHOP_KEY: Final = "console_shop"
"""Where the session keeps the shop in use, for those who work in several."""

_log = logging.getLogger(__name__)
V = TypeVar("V", bound=Callable[..., Any])


class Staff(msgspec.Struct, frozen=True):
    """A person at work in one shop. `layers` is what they may review."""

    user: User
    shop: Shop
    roles: frozenset[str]
    layers: frozenset[str] = frozenset()
    shops: tuple[Shop, ...] = ()

    @property
    def username(self) -> str:
        return str(self.user.get_username())

    @property
    def actor(self) -> str:
        return f"staff:{self.username}"

    def may(self, *roles: str) -> bool:
        """Whether one of these roles is theirs.

        >>> Staff(User(username="ann"), Shop(), frozenset({"author"})).may("author", "publisher")
        True
        """
        return not self.roles.isdisjoint(roles)


def role_name(role: str) -> str:
    """A role, in a word."""
    return {
        "author": pgettext("role", "author"),
        "reviewer": pgettext("role", "reviewer"),
        "publisher": pgettext("role", "publisher"),
        "support": pgettext("role", "support agent"),
        "supervisor": pgettext("role", "supervisor"),
        "finance": pgettext("role", "finance"),
        "auditor": pgettext("role", "auditor"),
        "admin": pgettext("role", "admin"),
    }[role]


def roles_of(user: User) -> dict[UUID, dict[str, frozenset[str]]]:
    """A person's roles by shop, each with the layers it is good for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.shop_id, m.role, m.layers FROM console_membership m JOIN shops_shop s ON s.id = m.shop_id"
            " WHERE m.user_id = %s ORDER BY s.created_at, m.role",
            [user.pk],
        )
        found: dict[UUID, dict[str, frozenset[str]]] = {}
        for shop_id, role, layers in cursor.fetchall():
            found.setdefault(shop_id, {})[role] = frozenset(layers)
    return found


def has_second_factor(request: HttpRequest) -> bool:
    """Whether this session was opened with more than a password: a passkey, a code of an app, a recovery code."""
    user = cast(User, request.user)
    return user.is_authenticated and any(
        record.get("method") == "mfa" for record in get_authentication_records(request, user)
    )


def staff_of(request: HttpRequest) -> Staff | None:
    """Who works here, wholly signed in; None for everybody else. Asked once a request."""
    known = getattr(request, "_staff", ...)
    if known is not ...:
        return cast("Staff | None", known)
    staff = None
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and has_second_factor(request):
        staff = _staff(cast(User, user), request.session.get(SHOP_KEY))
    request._staff = staff  # type: ignore[attr-defined]
    return staff


def _staff(user: User, wanted: object) -> Staff | None:
    found = roles_of(user)
    if not found:
        return None
    chosen = next((shop_id for shop_id in found if shop_id.hex == wanted), next(iter(found)))
    return Staff(
        user=user,
        shop=shops.by_id(chosen),
        roles=frozenset(found[chosen]),
        layers=frozenset().union(*found[chosen].values()) & frozenset(LAYERS),
        shops=tuple(shops.by_id(shop_id) for shop_id in found),
    )


def choose_shop(request: HttpRequest, code: str) -> bool:
    """Work in another of one's shops from now on; False where it is none of theirs."""
    staff = staff_of(request)
    for shop in staff.shops if staff else ():
        if shop.code == code:
            request.session[SHOP_KEY] = shop.id.hex
            return True
    return False


def actor(request: HttpRequest) -> str:
    """How the records name who did this: `staff:<username>`."""
    staff = staff_of(request)
    if staff is None:
        raise RuntimeError("nobody works here: the view is not behind `allowed`")
    return staff.actor


def allowed(*roles: str) -> Callable[[V], V]:
    """Open a view to these roles, and to nobody else; without a role, to everybody who works here."""
    unknown = set(roles) - set(ROLES)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not among the roles {', '.join(ROLES)}")

    def decorate(view: V) -> V:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                response = _refusal(request, frozenset(roles)) or view(request, *args, **kwargs)
            except NoPolicy:
                # Whatever the page is about, it has nothing to say before the first publication.
                response = render(request, "console/no_policy.html", status=409)
            add_never_cache_headers(response)
            return cast(HttpResponse, response)

        guarded.console_roles = frozenset(roles)  # type: ignore[attr-defined]
        return cast(V, guarded)

    return decorate


def entrance(view: V) -> V:
    """Mark a view as one of the sign-in's own, which have to open before anybody is signed in."""

    @wraps(view)
    def opened(*args: Any, **kwargs: Any) -> Any:
        response = view(*args, **kwargs)
        # What stands there is one person's: the secret of an app, their codes.
        add_never_cache_headers(response)
        return response

    opened.console_entrance = True  # type: ignore[attr-defined]
    return cast(V, opened)


def _refusal(request: HttpRequest, roles: frozenset[str]) -> HttpResponse | None:
    user = cast(User, request.user)
    if not user.is_authenticated:
        return redirect_to_login(_back(request))
    staff = staff_of(request)
    if staff is None:
        if not roles_of(user):
            raise Http404("no console for this person")
        return _ask_for_second_factor(request, user)
    request.staff = staff  # type: ignore[attr-defined]
    if roles and not staff.may(*roles):
        missing = [role_name(role) for role in ROLES if role in roles]
        own = [role_name(role) for role in ROLES if role in staff.roles]
        return render(request, "console/refused.html", {"missing": missing, "own": own}, status=403)
    return None


def _ask_for_second_factor(request: HttpRequest, user: User) -> HttpResponse:
    from allauth.mfa.utils import is_mfa_enabled

    if not is_mfa_enabled(user):
        return HttpResponseRedirect(reverse("mfa_index"))
    return redirect_to_login(_back(request), reverse("mfa_reauthenticate"))


def _back(request: HttpRequest) -> str:
    """Where to go once signed in: a form that was sent is not sent again, so its page's address has to do."""
    return request.get_full_path() if request.method in ("GET", "HEAD") else reverse("console:home")


class ConsoleGuard:
    """Refuses every view under the console's address that does not say whom it opens to."""

    PREFIX: Final = "/console/"

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: object, kwargs: object
    ) -> HttpResponse | None:
        if not request.path_info.startswith(self.PREFIX):
            return None
        if hasattr(view, "console_roles") or hasattr(view, "console_entrance"):
            return None
        _log.error(
            "%s.%s says nothing of who may open it: add @allowed(...)", view.__module__, view.__qualname__
        )
        raise Http404("not open to anybody")

"""The console's own pages."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from fenqi_server.console.access import ROLES, allowed, choose_shop, role_name


@allowed()
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Whoever works here, at work."""
    staff = request.staff  # type: ignore[attr-defined]
    return render(
        request,
        "console/home.html",
        {"roles": [role_name(role) for role in ROLES if role in staff.roles]},
    )


@allowed()
@require_POST
def shop(request: HttpRequest) -> HttpResponse:
    """Work in another of one's shops."""
    if not choose_shop(request, request.POST.get("shop", "")):
        raise Http404("no such shop for this person")
    return HttpResponseRedirect(reverse("console:home"))

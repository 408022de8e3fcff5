"""What every page of the console shows around its content."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context

from fenqi_server.console.access import staff_of
from fenqi_server.console.navigation import menu_of
from fenqi_server.storefront.voice import locale_now

register = template.Library()


@register.simple_tag(takes_context=True)
def get_desk(context: Context) -> dict[str, Any]:
    """Who is at work, in which shop, with which menu; empty for a page of the sign-in."""
    request: HttpRequest | None = context.get("request")
    session: Any = getattr(request, "session", {})
    alert = session.pop("alert", "") if "alert" in session else ""
    staff = staff_of(request) if request is not None else None
    if request is None or staff is None:
        return {"user": getattr(request, "user", None), "alert": alert}
    locale = locale_now()
    return {
        "alert": alert,
        "staff": staff,
        "user": staff.user,
        "menu": menu_of(staff, request.path),
        "shop": staff.shop.name.in_(locale),
        "shops": [
            {"code": each.code, "name": each.name.in_(locale), "current": each.id == staff.shop.id}
            for each in staff.shops
        ]
        if len(staff.shops) > 1
        else (),
    }

"""How a customer wants to be reminded."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar, Literal

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.plugins.msgspec import BodyMsgspec

from fenqi_server import clock
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import customer_of
from fenqi_server.api.schemas import Customer
from fenqi_server.reminders.rules import set_wish

__all__ = ["ReminderWishController"]


class ReminderWishIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The customer's language, and whether they refuse reminders by mail. What is left out stays as it is."""

    customer: Customer
    locale: Literal["zh-CN", "en"] | None = None
    refused: bool | None = None


class ReminderWishOut(msgspec.Struct, frozen=True):
    """How the customer is reminded. `refused_at` is null where mails may go."""

    locale: Literal["zh-CN", "en"]
    refused_at: datetime | None


class ReminderWishController(ApiController):
    """A customer's language, and whether they are reminded by mail."""

    scopes: ClassVar[Any] = {"post": "mandates:write"}
    tags: ClassVar[Any] = ["Automatic payment"]

    @validate(ResponseSpec(ReminderWishOut, status_code=HTTPStatus.OK), *problems(400, 401, 403, 413, 422))
    def post(self, parsed_body: BodyMsgspec[ReminderWishIn]) -> HttpResponse:
        """Say in which language a customer is reminded, and whether by mail at all. The same again changes nothing.

        `reminder.due` comes either way, and says whether mail was refused.
        """
        access = access_of(self.request)
        at = clock.now()
        customer_id = customer_of(access, parsed_body.customer, at)
        assert customer_id is not None, "a server names the customer"
        wish = set_wish(access.shop, customer_id, at, locale=parsed_body.locale, refused=parsed_body.refused)
        return answer(self.request, ReminderWishOut(wish.locale, wish.refused_at))  # type: ignore[arg-type]

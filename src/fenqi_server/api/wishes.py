""" "Tell me when it is back" for a shop's own checkout: its server asks for the customer whom it has signed in."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpResponse
from dmr import ResponseSpec, validate
from dmr.components import Path
from dmr.plugins.msgspec import BodyMsgspec

from fenqi_server import clock
from fenqi_server.api.access import Access, access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import anonymous_party, parse_public_id
from fenqi_server.subscriptions import ports, wishes
from fenqi_server.subscriptions.addresses import BadAddress

__all__ = ["WishController", "WishesController"]


class WishIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to tell about which missing way to pay. The evaluation says who the customer is, and what the cart was.

    `confirmed`: the shop knows that the address is this customer's own. Any other is asked first, by one mail with a link.
    `at_night`: also between 22:00 and 8:00.
    """

    evaluation_id: Annotated[str, msgspec.Meta(max_length=60)]
    plan: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    email: Annotated[str, msgspec.Meta(max_length=1_000)]
    locale: Literal["zh-CN", "en"]
    confirmed: bool = False
    at_night: bool = False


class WishOut(msgspec.Struct, frozen=True, kw_only=True):
    """A wish. Its address is not given back. `telling`: the message is on its way."""

    id: str
    plan: str
    state: Literal["unconfirmed", "waiting", "telling", "told", "cancelled"]
    asked_at: datetime
    checked_at: datetime | None
    closed_at: datetime | None


class WishPath(msgspec.Struct, frozen=True):
    """A wish's id."""

    wish_id: str


class WishesController(ApiController):
    """Asking to be told once."""

    scopes: ClassVar[Any] = {"post": "wishes:write"}
    tags: ClassVar[Any] = ["Wishes"]

    @validate(
        ResponseSpec(WishOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 404, 409, 413, 422)
    )
    def post(self, parsed_body: BodyMsgspec[WishIn]) -> HttpResponse:
        """Have the customer told once, when the plan is open to them for that cart again. The same wish twice is one."""
        access = access_of(self.request)
        asked = parsed_body
        if not ports.offered("email"):
            raise ApiProblem(
                409,
                "mail_not_set_up",
                "No mail is sent",
                "This installation has no mail server: set FENQI_SMTP_URL.",
            )
        try:
            customer_id, _ = parse_public_id(asked.evaluation_id, "dc")
            if customer_id == anonymous_party(access.shop.id):
                raise _invalid("/evaluation_id", asked.evaluation_id, "an evaluation made for a customer")
            made = wishes.request_back(
                access.shop,
                customer_id,
                asked.evaluation_id,
                asked.plan,
                asked.email,
                asked.locale,
                clock.now(),
                at_night=asked.at_night,
                vouched=asked.confirmed,
            )
        except BadAddress as bad:
            # Not the address itself: problems are logged by those who ask.
            raise _invalid("/email", "", bad.text.en) from None
        except (ValueError, decisions.NoDecision):
            raise ApiProblem(
                404, "not_found", "Not found", "There is no such evaluation in this shop."
            ) from None
        except KeyError:
            raise _invalid("/plan", asked.plan, "a plan of that evaluation's policy") from None
        return answer(self.request, _wish(made), HTTPStatus.CREATED)


class WishController(ApiController):
    """One wish."""

    scopes: ClassVar[Any] = {"get": "wishes:write", "delete": "wishes:write"}
    tags: ClassVar[Any] = ["Wishes"]

    @validate(ResponseSpec(WishOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[WishPath]) -> HttpResponse:
        """How it stands."""
        access = access_of(self.request)
        return answer(self.request, _wish(_found(access, parsed_path.wish_id)))

    @validate(ResponseSpec(None, status_code=HTTPStatus.NO_CONTENT), *problems(401, 403, 404))
    def delete(self, parsed_path: Path[WishPath]) -> HttpResponse:
        """Cancel it and forget its address. One that is closed stays as it is."""
        access = access_of(self.request)
        wishes.cancel(access.shop, _found(access, parsed_path.wish_id), clock.now())
        return HttpResponse(status=204)


def _found(access: Access, wish_id: str) -> wishes.Wish:
    try:
        return wishes.get(access.shop, wish_id)
    except wishes.NoWish:
        raise ApiProblem(404, "not_found", "Not found", "There is no such wish in this shop.") from None


def _invalid(pointer: str, value: str, expected: str) -> ApiProblem:
    return ApiProblem(
        422,
        "invalid_request",
        "The request cannot be answered",
        f"{pointer}: expected {expected}",
        errors=(FieldError(pointer, value, expected),),
    )


def _wish(found: wishes.Wish) -> WishOut:
    return WishOut(
        id=found.public_id,
        plan=found.plan,
        state=found.state,  # type: ignore[arg-type]  # the table has no other
        asked_at=found.asked_at,
        checked_at=found.checked_at,
        closed_at=found.closed_at,
    )

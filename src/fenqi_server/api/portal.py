"""The customer's own pages: a way in for a customer, and what a payment slip says to the shop's cashier."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from dmr import ResponseSpec, validate
from dmr.plugins.msgspec import BodyMsgspec

from fenqi_server import clock
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.controllers import check_return_url, customer_of, not_found
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import check_text, refused
from fenqi_server.api.schemas import Customer
from fenqi_server.decisions.quotes import MAX_TOKEN_LENGTH
from fenqi_server.portal import entry, slips
from fenqi_server.servicing import payoffs
from fenqi_server.servicing import service as servicing

__all__ = ["LinksController", "SlipsController"]


class LinkIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose pages, and what they open with.

    `contract_id` opens that contract, else everything that is owed. `return_url` is where the pages lead back to: an address on
    one of the shop's origins. `locale` is the language to begin in; without it, the browser's.
    """

    customer: Customer
    contract_id: Annotated[str, msgspec.Meta(max_length=100)] = ""
    locale: Literal["", "zh-CN", "en"] = ""
    return_url: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class LinkOut(msgspec.Struct, frozen=True):
    """Send the customer's browser there, and show the address to nobody else: it works once, until `expires_at`."""

    url: str
    expires_at: datetime


class LinksController(ApiController):
    """The customer's pages."""

    scopes: ClassVar[Any] = {"post": "portal_links:write"}
    tags: ClassVar[Any] = ["Customer pages"]

    @validate(ResponseSpec(LinkOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 404, 413, 422))
    def post(self, parsed_body: BodyMsgspec[LinkIn]) -> HttpResponse:
        """Let a customer in to their own pages: make a link that works once, for ten minutes.

        Ask for it when your signed-in customer asks for their instalments, and redirect them there. Each call makes another
        link; one that is not used runs out.
        """
        access = access_of(self.request)
        shop, at = access.shop, clock.now()
        customer_id = customer_of(access, parsed_body.customer, at)
        assert customer_id is not None, "the schema asks for a customer"
        if parsed_body.contract_id:
            try:
                found = servicing.get(shop, parsed_body.contract_id, at=at)
            except servicing.NoContract:
                raise not_found("contract") from None
            # Another customer's contract answers as one that is not there.
            if found.customer_id != customer_id:
                raise not_found("contract")
        check_return_url(shop, parsed_body.return_url, ours=False)
        made = entry.make_link(
            shop,
            customer_id,
            at,
            contract=parsed_body.contract_id,
            locale=parsed_body.locale,
            return_url=parsed_body.return_url,
        )
        return answer(self.request, LinkOut(made.url, made.expires_at), 201)


class SlipIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A slip as the customer brought it to the cashier."""

    slip: Annotated[str, msgspec.Meta(max_length=MAX_TOKEN_LENGTH)]


class SlipOut(msgspec.Struct, frozen=True):
    """What is to be paid. Book the money to `contract_id` under `payment_ref`, with `settles` where it is not empty.

    `owed_minor` is what is owed of the contract now, `booked` whether this very payment is booked already. `return_url` is
    where the customer goes afterwards.
    """

    contract_id: str
    order_ref: str
    amount_minor: int
    currency: str
    payment_ref: str
    settles: str
    expires_at: datetime
    owed_minor: int
    booked: bool
    return_url: str


class SlipsController(ApiController):
    """Payment slips."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Customer pages"]

    @validate(ResponseSpec(SlipOut, status_code=HTTPStatus.OK), *problems(400, 401, 403, 409, 413, 422))
    def post(self, parsed_body: BodyMsgspec[SlipIn]) -> HttpResponse:
        """Read a slip: what the customer came to your cashier to pay. It changes nothing.

        409 `slip_expired`, and where it is by a payoff quote that does not stand any more `quote_outdated`, `quote_expired` or
        `quote_settled`: send the customer back to choose again. Money that was taken all the same is booked as any other.
        """
        access = access_of(self.request)
        shop, at = access.shop, clock.now()
        written = check_text(parsed_body.slip, "/slip", longest=MAX_TOKEN_LENGTH)
        try:
            slip = slips.read_slip(shop.id, written)
            found = servicing.get(shop, slip.contract, at=at)
        except (slips.BadSlip, servicing.NoContract):
            raise refused(FieldError("/slip", written[:20], "a slip of this shop's pages, whole")) from None
        back = (
            f"{settings.FENQI_ORIGIN}{reverse('portal:contract', args=[slip.contract])}?paid={slip.reference}"
        )
        booked = any(each.payment_id == slip.reference for each in found.state.payments)
        if at >= slip.expires_at and not booked:
            raise ApiProblem(
                409,
                "slip_expired",
                "The slip has run out",
                f"It stood until {slip.expires_at.isoformat()}: send the customer back to {back.partition('?')[0]}.",
            )
        if slip.settles and not booked:
            quote = payoffs.quote_of(shop, slip.contract, slip.settles, at)
            if quote.state != "open":
                raise ApiProblem(
                    409,
                    f"quote_{quote.state}",
                    "The payoff quote does not stand any more",
                    "The contract has changed since the quote, or is paid off: send the customer back to "
                    f"{back.partition('?')[0]}.",
                )
        return answer(
            self.request,
            SlipOut(
                contract_id=slip.contract,
                order_ref=found.order_ref,
                amount_minor=slip.amount_minor,
                currency=found.state.currency,
                payment_ref=slip.reference,
                settles=slip.settles,
                expires_at=slip.expires_at,
                owed_minor=found.state.balance_minor,
                booked=booked,
                return_url=back,
            ),
        )

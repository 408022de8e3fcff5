"""What a customer can do with goods that they rent: buy them, rent on, or give them back.

Buying and renting on are the customer's own acts, each by a button under what it comes to; nothing does them by itself. The reckoning is
`servicing.leases`.
"""

from __future__ import annotations

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods

from fenqi.contracts.contract import ContractState
from fenqi.problems import BadInput
from fenqi_server.portal.act_views import Head, LineView, _done, _head, _refused
from fenqi_server.portal.contract_views import own_contract
from fenqi_server.portal.visitor import PortalVisitor, customer_page
from fenqi_server.servicing import leases
from fenqi_server.servicing.service import ContractView as Contract
from fenqi_server.servicing.service import Refusal
from fenqi_server.servicing.words import awaited_text

__all__ = ["rented"]

MOST_PERIODS = 12
"""How far somebody can rent on at once here."""


class BuyView(msgspec.Struct, frozen=True):
    """What buying today comes to. `price_minor` goes with the button, so that nobody buys at another price."""

    price_minor: int
    lines: tuple[LineView, ...]


class RenewView(msgspec.Struct, frozen=True):
    """What renting on costs for each period, and for how many one may agree at once."""

    rent: str
    choices: tuple[int, ...]


class RentedView(msgspec.Struct, frozen=True):
    """What can be done now. `buy_not` says why the goods cannot be bought today."""

    awaited: str
    term_ends: str
    deposit: str
    buy: BuyView | None
    buy_not: str
    renew: RenewView | None


@require_http_methods(["GET", "HEAD", "POST"])
@customer_page
def rented(request: HttpRequest, visitor: PortalVisitor, contract_id: str) -> HttpResponse:
    """Buy what is rented, or rent on."""
    found = own_contract(visitor, contract_id)
    if found.state.lease is None:
        raise Http404("no lease")
    head = _head(found, visitor, "rented")
    if request.method == "POST":
        try:
            return _act(request, visitor, found, head)
        except Refusal as refusal:
            return _refused(request, head, refusal, visitor)
        except BadInput:
            raise Http404("no such act") from None
    return render(request, "portal/rented.html", {"page": head, "rented": _view(found, visitor)})


def _act(request: HttpRequest, visitor: PortalVisitor, found: Contract, head: Head) -> HttpResponse:
    act, day = request.POST.get("act", ""), found.state.as_of
    number = request.POST.get("number", "")
    if not number.isascii() or not number.isdecimal() or len(number) > 15:
        raise Http404("no such act")
    # Pressed twice on one day, it is the same act.
    consent = f"portal:{act}:{number}:{day}"
    if act == "buy":
        done, _ = leases.buy_out(visitor.shop, found.contract_id, int(number), consent, visitor.at)
        return _done(request, head, _bought(done.view.state, visitor))
    if act == "renew" and 1 <= int(number) <= MOST_PERIODS:
        leases.renew(visitor.shop, found.contract_id, int(number), consent, visitor.at)
        said = ngettext("You rent on for %(n)s period.", "You rent on for %(n)s periods.", int(number))
        return _done(request, head, said % {"n": number})
    raise Http404("no such act")


def _bought(state: ContractState, visitor: PortalVisitor) -> str:
    if state.balance_minor:
        return gettext("The goods are yours. %(amount)s is left to pay.") % {
            "amount": visitor.voice.money(state.balance_minor)
        }
    return gettext("The goods are yours, and nothing is left to pay.")


def _view(found: Contract, visitor: PortalVisitor) -> RentedView:
    lease, voice = found.state.lease, visitor.voice
    assert lease is not None, "the caller has looked"
    buy, buy_not = None, ""
    try:
        buy = _buy(leases.preview_buyout(visitor.shop, found.contract_id, visitor.at), visitor)
    except Refusal as refusal:
        buy_not = voice.text(refusal.detail)
    return RentedView(
        awaited=awaited_text(found.state),
        term_ends=voice.day(lease.term_ends_on),
        deposit=voice.money(lease.deposit_held_minor) if lease.deposit_held_minor else "",
        buy=buy,
        buy_not=buy_not,
        renew=_renew(found, visitor),
    )


def _buy(offer: leases.BuyoutOffer, visitor: PortalVisitor) -> BuyView:
    money = visitor.voice.money
    lines = [LineView(gettext("Price of buying today"), money(offer.price_minor), "price")]
    if offer.deposit_credited_minor:
        lines.append(
            LineView(gettext("Paid by your deposit"), money(-offer.deposit_credited_minor), "credited")
        )
    rest = offer.to_pay_minor - (offer.price_minor - offer.deposit_credited_minor)
    if rest > 0:
        lines.append(LineView(gettext("Rents and charges that are due"), money(rest), "due"))
    elif rest < 0:
        lines.append(LineView(gettext("Paid ahead, and free by it"), money(rest), "ahead"))
    lines.append(LineView(gettext("Left to pay then"), money(offer.to_pay_minor), "to-pay", True))
    if offer.spared_minor:
        lines.append(
            LineView(gettext("Rents to come that you do not owe then"), money(offer.spared_minor), "spared")
        )
    if offer.deposit_back_minor:
        lines.append(
            LineView(gettext("Of your deposit you get back"), money(offer.deposit_back_minor), "back")
        )
    return BuyView(offer.price_minor, tuple(lines))


def _renew(found: Contract, visitor: PortalVisitor) -> RenewView | None:
    """Renting on, where that was agreed and its day has not passed."""
    rent = leases.renewal_rent_minor(found)
    if rent is None:
        return None
    return RenewView(visitor.voice.money(rent), tuple(range(1, MOST_PERIODS + 1)))

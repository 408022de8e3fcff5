"""Who is shopping. The demo's visitor picks one of its customers; a real shop signs its own customers in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest

from fenqi.calendars import to_epoch
from fenqi.policy.compile import Policy
from fenqi.policy.facts import FactValue
from fenqi_server import clock
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.demo.people import PERSON_BY_REF, Person, shop_facts
from fenqi_server.facts.asserted import may_assert
from fenqi_server.ids import parse_public_id
from fenqi_server.policies import service as policies
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice, locale_now

__all__ = ["TELLABLE", "Visitor", "own_decision", "person_of", "shop_as", "tell", "visitor_of"]

_FIRST: Final = "good"
TELLABLE: Final = frozenset({"card.bank", "card.kind"})
"""What a visitor can tell by a form of the selector; anything else is the shop's to say."""


class Visitor(msgspec.Struct, frozen=True):
    """The customer in use, in their shop, at one instant, under the policy of that instant."""

    shop: Shop
    person: Person
    customer_id: UUID
    at: datetime
    policy: Policy
    told: dict[str, str]

    @property
    def voice(self) -> Voice:
        return Voice(locale_now(), self.shop.currency, self.shop.time_zone, to_epoch(self.at))

    @property
    def channel(self) -> str:
        """Through which door they shop: a browser, or the mall's app."""
        return self.person.channel

    @property
    def asserted(self) -> dict[str, FactValue]:
        """What the shop says of this customer, and what they told us about their card."""
        facts = {
            name: value
            for name, value in shop_facts(self.person).items()
            if name in self.policy.vocabulary and may_assert(self.policy.vocabulary[name])
        }
        for name, value in self.told.items():
            if value in self.policy.vocabulary[name].values:
                facts[name] = value
        return facts


def person_of(request: HttpRequest) -> Person:
    """The demo's customer in use."""
    session: Any = getattr(request, "session", {})
    return PERSON_BY_REF.get(session.get("person", _FIRST), PERSON_BY_REF[_FIRST])


def shop_as(request: HttpRequest, ref: str) -> Person:
    """Go on as another of the demo's customers, with the cart as it is. Raises `KeyError`."""
    person = PERSON_BY_REF[ref]
    request.session["person"] = person.external_ref
    for key in ("told", "shown", "portal"):
        request.session.pop(key, None)
    return person


def tell(request: HttpRequest, facts: Mapping[str, str]) -> None:
    """Remember what the visitor says of their card, for this session."""
    known = dict(request.session.get("told", {}))
    known.update({name: value for name, value in facts.items() if name in TELLABLE and value})
    request.session["told"] = known


def visitor_of(request: HttpRequest) -> Visitor:
    """Who is asking, now. Only the demo lets its visitors say who they are: elsewhere there is no such page."""
    if not settings.FENQI_DEMO:
        raise Http404("this installation has no mall of its own")
    at = clock.now()
    shop = shops.only_shop()
    person = person_of(request)
    customer_id = customers.ensure(shop, person.external_ref, at, limit_minor=person.limit_minor)
    return Visitor(
        shop,
        person,
        customer_id,
        at,
        policies.current(shop.id, at, customer_id),
        {name: value for name, value in request.session.get("told", {}).items() if name in TELLABLE},
    )


class Owner(Protocol):
    """Whose decision it has to be: somebody of a shop."""

    @property
    def shop(self) -> Shop: ...
    @property
    def customer_id(self) -> UUID: ...


def own_decision(visitor: Owner, decision_id: str) -> decisions.Decision | None:
    """A recorded decision, if it was made for this customer."""
    try:
        owner, _ = parse_public_id(decision_id, "dc")
        if owner != visitor.customer_id:
            return None
        return decisions.load(decision_id, shop=visitor.shop)
    except (ValueError, decisions.NoDecision):
        return None

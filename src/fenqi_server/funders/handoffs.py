"""Hand-offs: a confirmed offer of another funder, decided on that funder's own page.

    started --> approved | declined | unknown --> approved | declined

We sign nothing of it and service nothing of it. What the browser brings back is never believed: it makes us *ask* the
funder, as the deadline does. Silence is `unknown`, and stays so until the funder is asked and answers; nothing is
started a second time to find out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.db import connection, transaction
from django.urls import reverse

from fenqi_server.db import use_shop
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.funders import pretend
from fenqi_server.ids import parse_public_id, public_id
from fenqi_server.outbox.service import enqueue
from fenqi_server.shops.models import Shop

__all__ = [
    "ANSWER_SECONDS",
    "HandOff",
    "NoHandOff",
    "State",
    "connected",
    "get",
    "page_url",
    "query",
    "query_due",
    "return_link",
    "shop_of_return",
    "start",
]

ANSWER_SECONDS: Final = 900
"""How long a funder's page may stay silent before its hand-off is unknown."""
ASK_AGAIN_SECONDS: Final = 300

State = Literal["started", "approved", "declined", "unknown"]


class NoHandOff(LookupError):
    """No hand-off of this shop has the id."""


class HandOff(msgspec.Struct, frozen=True):
    """One hand-off as we know it."""

    shop_id: UUID
    customer_id: UUID
    id: UUID
    funder: str
    plan: str
    family: str
    amount_minor: int
    currency: str
    order_ref: str
    decision_id: UUID
    quote_id: UUID
    state: State
    return_url: str
    started_at: datetime
    deadline_at: datetime
    queried_at: datetime | None = None
    answered_at: datetime | None = None

    @property
    def public_id(self) -> str:
        return public_id("ho", self.customer_id, self.id)

    @property
    def decision(self) -> str:
        return public_id("dc", self.customer_id, self.decision_id)


_COLUMNS: Final = HandOff.__struct_fields__
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM funders_hand_off"


def connected(shop: Shop) -> bool:
    """Whether there is anybody to hand a customer over to.

    So far there are only the pretend funders, whose pages let whoever opens them decide: a live shop would ship goods
    that nobody pays for.
    """
    return not shop.live


def start(
    shop: Shop,
    customer_id: UUID,
    id: UUID,
    at: datetime,
    *,
    funder: str,
    plan: str,
    family: str,
    amount_minor: int,
    currency: str,
    order_ref: str,
    decision_id: UUID,
    quote_id: UUID,
    return_url: str = "",
) -> HandOff:
    """Begin one, in the caller's transaction, and give the funder its application. The consent is checked before."""
    made = HandOff(
        shop.id,
        customer_id,
        id,
        funder,
        plan,
        family,
        amount_minor,
        currency,
        order_ref,
        decision_id,
        quote_id,
        "started",
        return_url,
        at,
        at + timedelta(seconds=ANSWER_SECONDS),
    )
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO funders_hand_off ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})",
            [getattr(made, name) for name in _COLUMNS],
        )
    pretend.receive(made.public_id, funder, amount_minor, currency, order_ref, return_link(made), at)
    enqueue(shop, customer_id, "hand_off.started", _payload(made), at)
    return made


def get(shop: Shop, hand_off_id: str) -> HandOff:
    """The hand-off with this public id. Raises `NoHandOff`, for another shop's too."""
    try:
        customer_id, name = parse_public_id(hand_off_id, "ho")
    except ValueError:
        raise NoHandOff(hand_off_id) from None
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_SELECT} WHERE customer_id = %s AND id = %s AND shop_id = %s", [customer_id, name, shop.id]
        )
        row = cursor.fetchone()
    if row is None:
        raise NoHandOff(hand_off_id)
    return HandOff(*row)


def query(shop: Shop, hand_off_id: str, at: datetime) -> HandOff:
    """Ask the funder and write down what it says; without an answer after the deadline the state is unknown."""
    with transaction.atomic():
        known = get(shop, hand_off_id)
        with connection.cursor() as cursor:
            # Two askers at once would both tell the shop: the second waits here, and then sees the answer.
            cursor.execute(
                "SELECT state FROM funders_hand_off WHERE customer_id = %s AND id = %s FOR UPDATE",
                [known.customer_id, known.id],
            )
            row = cursor.fetchone()
            if row is None or row[0] in ("approved", "declined"):
                return get(shop, hand_off_id)
            answer = pretend.inquire(known.public_id)
            state: State = answer or ("unknown" if at >= known.deadline_at else row[0])
            cursor.execute(
                "UPDATE funders_hand_off SET state = %s, queried_at = %s, answered_at = %s"
                " WHERE customer_id = %s AND id = %s",
                [state, at, at if answer else None, known.customer_id, known.id],
            )
        now_known = get(shop, hand_off_id)
        if state != row[0]:
            enqueue(shop, known.customer_id, f"hand_off.{state}", _payload(now_known), at)
        return now_known


def query_due(now: datetime) -> int:
    """The worker's job: ask about every hand-off past its deadline, and say how many that were."""
    asked = 0
    for shop in Shop.objects.order_by("created_at"):
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT customer_id, id FROM funders_hand_off WHERE shop_id = %s AND state IN ('started', 'unknown')"
                " AND deadline_at <= %s AND (queried_at IS NULL OR queried_at <= %s) ORDER BY deadline_at LIMIT 200",
                [shop.id, now, now - timedelta(seconds=ASK_AGAIN_SECONDS)],
            )
            found = cursor.fetchall()
        for customer_id, name in found:
            query(shop, public_id("ho", customer_id, name), now)
            asked += 1
    return asked


def page_url(hand_off: HandOff) -> str:
    """Where the customer goes on: the funder's page."""
    return reverse("funders:pretend", args=[hand_off.public_id])


def return_link(hand_off: HandOff) -> str:
    """Where the funder's page sends the customer back to: signed, so that nobody can make us ask about any id.

    The signature says only that the link is ours. What the funder decided is asked of the funder.
    """
    token = seal_token("ret", hand_off.shop_id.bytes + hand_off.public_id.encode())
    return f"{reverse('funders:return', args=[hand_off.public_id])}?{urlencode({'t': token})}"


def shop_of_return(hand_off_id: str, token: str) -> UUID | None:
    """The shop of a return link of ours for this hand-off; None where the link is not ours."""
    try:
        said = open_token("ret", token)
    except BadToken:
        return None
    return UUID(bytes=said[:16]) if said[16:] == hand_off_id.encode() else None


def _payload(hand_off: HandOff) -> dict[str, Any]:
    return {
        "id": hand_off.public_id,
        "state": hand_off.state,
        "funder": hand_off.funder,
        "plan": hand_off.plan,
        "amount_minor": hand_off.amount_minor,
        "currency": hand_off.currency,
        "order_ref": hand_off.order_ref,
        "evaluation_id": hand_off.decision,
        "started_at": hand_off.started_at,
        "answered_at": hand_off.answered_at,
    }

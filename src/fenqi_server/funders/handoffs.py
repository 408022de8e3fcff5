"""Hand-offs: a confirmed offer of another funder, decided on that funder's own page.

    started --> approved | declined | unknown --> approved | declined

We sign nothing of it and service nothing of it. What the browser brings back is never believed: it makes us *ask* the
funder, as the deadline does. Silence is `unknown`, and stays so until the funder is asked and answers; nothing is
started a second time to find out.

A confirmation writes the hand-off and calls nobody. A funder with an adapter is called once, after that commit
(`deliver`), by whoever comes first: the customer on the way to its page, or the worker. That the call is made is
written before it is made, so that a killed process's call is asked about and not repeated. What the funder certainly
did not take is declined with the cause `not_taken`, and what it would have used of a quota goes back.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse

from fenqi_server.budgets import service as budgets
from fenqi_server.db import use_shop
from fenqi_server.decisions.quotes import BadToken, open_token, seal_token
from fenqi_server.funders import health, pretend
from fenqi_server.funders.port import Application, NoAnswer, Refusing, Status, port_of
from fenqi_server.ids import parse_public_id, public_id
from fenqi_server.outbox.service import enqueue
from fenqi_server.shops.models import Shop

__all__ = [
    "ANSWER_SECONDS",
    "HandOff",
    "NoHandOff",
    "State",
    "deliver",
    "deliver_due",
    "get",
    "hand_off_of_link",
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
DELIVER_SECONDS: Final = 5
"""How long the worker leaves the call to the customer who is on the way to the funder's page."""

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
    via: Literal["pretend", "http"] = "pretend"
    called_at: datetime | None = None
    page_url: str = ""
    cause: str = ""

    @property
    def public_id(self) -> str:
        return public_id("ho", self.customer_id, self.id)

    @property
    def decision(self) -> str:
        return public_id("dc", self.customer_id, self.decision_id)


_COLUMNS: Final = HandOff.__struct_fields__
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM funders_hand_off"


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
    """Begin one, in the caller's transaction. The consent is checked before; the funder is called after the commit."""
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
        via="pretend" if port_of(shop, funder) is None else "http",
    )
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO funders_hand_off ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})",
            [getattr(made, name) for name in _COLUMNS],
        )
    if made.via == "pretend":
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


def deliver(shop: Shop, hand_off_id: str, at: datetime) -> HandOff:
    """Give the funder its application, once, and learn the page on which the customer goes on."""
    known = get(shop, hand_off_id)
    port = port_of(shop, known.funder)
    if known.via == "pretend" or known.called_at is not None or known.state != "started" or port is None:
        return known
    with transaction.atomic(), connection.cursor() as cursor:
        use_shop(shop.id)
        cursor.execute(
            "UPDATE funders_hand_off SET called_at = %s WHERE customer_id = %s AND id = %s AND called_at IS NULL"
            " AND state = 'started'",
            [at, known.customer_id, known.id],
        )
        if not cursor.rowcount:
            return get(shop, hand_off_id)
    if not health.may_call(shop, known.funder, at):
        # It went away between the confirmation and now. Nobody was called, so nothing was taken.
        return _write(shop, known, "declined", at, cause="not_taken")
    application = Application(
        known.public_id,
        known.plan,
        known.amount_minor,
        known.currency,
        known.order_ref,
        f"{settings.FENQI_ORIGIN}{return_link(known)}",
        at,
    )
    try:
        page = health.call(shop, known.funder, "start", at, lambda: port.start(application))
    except Refusing:
        return _write(shop, known, "declined", at, cause="not_taken")
    except NoAnswer:
        return _write(shop, known, "unknown", at)
    return _write(shop, known, "started", at, page_url=page)


def deliver_due(now: datetime) -> int:
    """The worker's job: call in the applications whose customers did not come along. Returns how many."""
    delivered, began = 0, time.monotonic()
    for shop in Shop.objects.order_by("created_at"):
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT customer_id, id FROM funders_hand_off WHERE shop_id = %s AND via <> 'pretend'"
                " AND called_at IS NULL AND state = 'started' AND started_at <= %s AND deadline_at > %s"
                " ORDER BY started_at LIMIT 50",
                [shop.id, now - timedelta(seconds=DELIVER_SECONDS), now],
            )
            found = cursor.fetchall()
        for customer_id, name in found:
            if time.monotonic() - began >= health.ROUND_SECONDS:
                return delivered
            deliver(shop, public_id("ho", customer_id, name), now)
            delivered += 1
    return delivered


def query(shop: Shop, hand_off_id: str, at: datetime) -> HandOff:
    """Ask the funder and write down what it says; without an answer after the deadline the state is unknown."""
    known = get(shop, hand_off_id)
    if known.state in ("approved", "declined"):
        return known
    late = at >= known.deadline_at
    said = _ask(shop, known, at)
    if said is not None and said.answer is not None:
        return _write(shop, known, said.answer, at, page_url=said.page_url, cause="funder")
    if said is not None and not said.known and late:
        # Its own word that it never had the application, long after any call of ours could still arrive.
        return _write(shop, known, "declined", at, cause="not_taken")
    page = "" if said is None else said.page_url
    state: State = "unknown" if late else "started" if page and known.state == "unknown" else known.state
    return _write(shop, known, state, at, page_url=page)


def _ask(shop: Shop, known: HandOff, at: datetime) -> Status | None:
    """What the funder says, outside any transaction; None where it could not be asked."""
    if known.via == "pretend":
        return health.call(
            shop, known.funder, "inquire", at, lambda: Status(True, pretend.inquire(known.public_id))
        )
    if known.called_at is None:
        return Status(known=False)
    port = port_of(shop, known.funder)
    if port is None or not health.may_call(shop, known.funder, at):
        # A question is no probe: while the funder rests it waits, and the answer is none the worse for it.
        return None
    try:
        return health.call(shop, known.funder, "inquire", at, lambda: port.inquire(known.public_id))
    except (Refusing, NoAnswer):
        return None


def _write(
    shop: Shop, known: HandOff, state: State, at: datetime, *, page_url: str = "", cause: str = ""
) -> HandOff:
    """Write down what became of a hand-off, unless somebody has written its end meanwhile."""
    answered = state in ("approved", "declined")
    with transaction.atomic():
        use_shop(shop.id)
        with connection.cursor() as cursor:
            # Two askers at once would both tell the shop: the second waits here, and then sees the answer.
            cursor.execute(
                "SELECT state FROM funders_hand_off WHERE customer_id = %s AND id = %s FOR UPDATE",
                [known.customer_id, known.id],
            )
            row = cursor.fetchone()
            if row is None or row[0] in ("approved", "declined"):
                return get(shop, known.public_id)
            cursor.execute(
                "UPDATE funders_hand_off SET state = %s, queried_at = %s, answered_at = %s, cause = %s,"
                " called_at = coalesce(called_at, CASE WHEN %s THEN %s END),"
                " page_url = CASE WHEN %s = '' THEN page_url ELSE %s END WHERE customer_id = %s AND id = %s",
                [
                    state,
                    at,
                    at if answered else None,
                    cause if answered else "",
                    answered and known.via != "pretend",
                    at,
                    page_url,
                    page_url,
                    known.customer_id,
                    known.id,
                ],
            )
        now_known = get(shop, known.public_id)
        if state == "declined":
            budgets.give_back(shop, known.customer_id, known.decision, at)
        if state != row[0]:
            enqueue(shop, known.customer_id, f"hand_off.{state}", _payload(now_known), at)
        return now_known


def query_due(now: datetime) -> int:
    """The worker's job: ask about every hand-off past its deadline, and say how many that were."""
    asked, began = 0, time.monotonic()
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
            if time.monotonic() - began >= health.ROUND_SECONDS:
                return asked
            query(shop, public_id("ho", customer_id, name), now)
            asked += 1
    return asked


def page_url(hand_off: HandOff) -> str:
    """Where the customer goes on: the funder's page, by way of ours where the funder has to be called first."""
    if hand_off.via == "pretend":
        return reverse("funders:pretend", args=[hand_off.public_id])
    token = seal_token("go", hand_off.shop_id.bytes + hand_off.public_id.encode())
    return f"{reverse('funders:go', args=[hand_off.public_id])}?{urlencode({'t': token})}"


def return_link(hand_off: HandOff) -> str:
    """Where the funder's page sends the customer back to: signed, so that nobody can make us ask about any id.

    The signature says only that the link is ours. What the funder decided is asked of the funder.
    """
    token = seal_token("ret", hand_off.shop_id.bytes + hand_off.public_id.encode())
    return f"{reverse('funders:return', args=[hand_off.public_id])}?{urlencode({'t': token})}"


def shop_of_return(hand_off_id: str, token: str) -> UUID | None:
    """The shop of a return link of ours for this hand-off; None where the link is not ours."""
    return hand_off_of_link("ret", hand_off_id, token)


def hand_off_of_link(context: str, hand_off_id: str, token: str) -> UUID | None:
    """The shop that a link of ours (`go` or `ret`) names for this hand-off; None where the link is not ours."""
    try:
        said = open_token(context, token)
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

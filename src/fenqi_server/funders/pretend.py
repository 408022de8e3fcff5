"""The pretend funders: what stands in for other companies in the demo and in tests, and says so on every page.

This module is *their* side. It keeps its own record under the reference that we gave it and knows nothing of our hand-off;
our side asks it as it would ask a company (`receive`, `inquire`) and is told as little (`Answer`, or nothing).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from django.db import connection

__all__ = ["Answer", "Application", "decide", "find", "inquire", "receive"]

Answer = Literal["approved", "declined"]


class Application(msgspec.Struct, frozen=True):
    """An application in the funder's books. `answer` is None while it has not decided."""

    reference: str
    funder: str
    amount_minor: int
    currency: str
    order_ref: str
    return_to: str
    received_at: datetime
    answer: Answer | None
    answered_at: datetime | None


def receive(
    reference: str,
    funder: str,
    amount_minor: int,
    currency: str,
    order_ref: str,
    return_to: str,
    at: datetime,
) -> None:
    """The funder takes an application in, and learns where to send the customer back to.

    The same reference again is the same application.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO funders_pretend_application (reference, funder, amount_minor, currency, order_ref,"
            " return_to, received_at) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [reference, funder, amount_minor, currency, order_ref, return_to, at],
        )


def find(reference: str) -> Application | None:
    """The application as the funder's own page shows it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reference, funder, amount_minor, currency, order_ref, return_to, received_at, answer, answered_at"
            " FROM funders_pretend_application WHERE reference = %s",
            [reference],
        )
        row = cursor.fetchone()
    return Application(*row) if row else None


def decide(reference: str, answer: Answer, at: datetime) -> Application | None:
    """The funder decides, once: a second answer changes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE funders_pretend_application SET answer = %s, answered_at = %s"
            " WHERE reference = %s AND answer IS NULL",
            [answer, at, reference],
        )
    return find(reference)


def inquire(reference: str) -> Answer | None:
    """What the funder says when asked: its answer, or None while it has none."""
    found = find(reference)
    return found.answer if found else None

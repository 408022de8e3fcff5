"""What is known of one customer: arrears, exposure and limits from real contracts; consents; funders' assessments.

All of one customer's come in one round trip. A funder's word has an age: older than it may be, it is left out, and what
is left out is unknown, never false. What a funder thinks of this customer is asked only where the customer has
agreed to be asked about.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from django.db import OperationalError, connection

from fenqi.calendars import local_date
from fenqi.policy.compile import Policy
from fenqi.policy.facts import FactValue
from fenqi_server.db import use_shop
from fenqi_server.servicing.service import STANDING_SQL
from fenqi_server.shops.models import Shop

__all__ = ["record_prequal", "standing"]

PREQUAL_MAX_AGE: Final = timedelta(days=30)

_STANDING: Final = f"""
SELECT s.limit_minor, s.exposure_minor, s.overdue, s.running,
       (SELECT array_agg(a.recipient) FROM (
            SELECT DISTINCT ON (recipient, purpose) recipient, given FROM funders_consent
             WHERE customer_id = %(customer)s ORDER BY recipient, purpose, recorded_at DESC, id DESC) AS a
         WHERE a.given),
       (SELECT jsonb_agg(jsonb_build_array(p.funder, p.state, extract(epoch FROM p.deadline_at)::bigint,
                                           extract(epoch FROM p.as_of)::bigint))
          FROM funders_prequal AS p WHERE p.customer_id = %(customer)s AND p.as_of > %(oldest)s),
       -- Ids are in order of time: the newest contract or approved hand-off is the last of its key.
       (SELECT u.family FROM (
            (SELECT contract_id AS id, terms -> 'plan' ->> 'family' AS family FROM servicing_contract
              WHERE customer_id = %(customer)s ORDER BY contract_id DESC LIMIT 1)
            UNION ALL
            (SELECT id, family FROM funders_hand_off
              WHERE customer_id = %(customer)s AND state = 'approved' ORDER BY id DESC LIMIT 1)) AS u
         ORDER BY u.id DESC LIMIT 1)
  FROM ({STANDING_SQL}) AS s
"""


def standing(
    shop: Shop, customer_id: UUID, policy: Policy, at: datetime, *, as_of: dict[str, int] | None = None
) -> dict[str, FactValue]:
    """What is known of this customer, in one round trip. The caller has no say in it.

    Into `as_of` goes when funders said what they think, where the policy lets that count for a time only.
    """
    use_shop(shop.id)
    today = local_date(at, shop.time_zone)
    asked = {"customer": customer_id, "on": today, "oldest": at - PREQUAL_MAX_AGE}
    try:
        row = _one_row(asked)
    except OperationalError:
        # The database was restarted under an idle connection: outside a transaction nothing is lost by asking again.
        if connection.in_atomic_block:
            raise
        connection.close()
        use_shop(shop.id)
        row = _one_row(asked)
    facts: dict[str, FactValue] = {}
    if row is None:
        return facts
    limit, exposure, overdue, running, consents, prequals, last_used = row
    facts["customer.overdue"] = bool(overdue)
    facts["customer.has_running_contract"] = bool(running)
    if limit is not None:
        facts["limit.mall"] = limit
        facts["limit.mall_available"] = max(0, limit - exposure)
    if last_used is not None:
        facts["customer.last_used_family"] = last_used
    agreed = frozenset(consents or ())
    facts["customer.consents"] = agreed
    if isinstance(prequals, str):  # Django has psycopg leave JSON as it is written
        prequals = msgspec.json.decode(prequals)
    for funder, state, deadline, said in prequals or ():
        if funder not in agreed or funder not in policy.funders:
            continue
        facts[f"funder.{funder}.prequal"] = state
        if as_of is not None and f"funder.{funder}.prequal" in policy.max_ages:
            as_of[f"funder.{funder}.prequal"] = said
        if deadline is not None:
            facts[f"funder.{funder}.prequal_deadline"] = deadline
    return facts


def _one_row(asked: dict[str, object]) -> tuple[Any, ...] | None:
    # Prepared on the server: planning this query costs more than running it, and every evaluation runs it.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_STANDING, asked, prepare=True)
        return cursor.fetchone()


def record_prequal(
    shop_id: UUID,
    customer_id: UUID,
    funder: str,
    state: str,
    as_of: datetime,
    *,
    deadline_at: datetime | None = None,
) -> None:
    """What a funder said of a customer who agreed to be asked about."""
    use_shop(shop_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO funders_prequal (shop_id, customer_id, funder, state, deadline_at, as_of)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (customer_id, funder)"
            " DO UPDATE SET state = excluded.state, deadline_at = excluded.deadline_at, as_of = excluded.as_of",
            [shop_id, customer_id, funder, state, deadline_at, as_of],
        )

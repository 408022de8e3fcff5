"""What was decided alone before, and counts with what is asked now: a large amount is not several small ones."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from fenqi.calendars import local_date
from fenqi_server.autopay.asking import midnight
from fenqi_server.ids import house_party
from fenqi_server.servicing import outgoing, unapplied
from fenqi_server.servicing.asked import GIVEN_AWAY, Kind
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = ["alone_before", "sent_back_before"]


def alone_before(contract: Stored, kind: Kind, at: datetime) -> int:
    """What counts with another act of a kind: what was given away on the contract without a second person, at any time;
    or what was sent out of it, taken back or charged today without one.
    """
    values: dict[str, object] = {"customer": contract.customer_id, "contract": contract.contract_id}
    with connection.cursor() as cursor:
        if kind in GIVEN_AWAY:
            cursor.execute(
                # Of write-offs of before the amount stands with the stake alone.
                "SELECT coalesce(sum(coalesce(nullif((r.body ->> 'amount_minor')::bigint, 0), r.at_stake_minor)), 0)::bigint"
                " FROM servicing_request AS r JOIN servicing_request_decision AS d USING (customer_id, request_id)"
                " WHERE r.customer_id = %(customer)s AND r.contract_id = %(contract)s AND r.kind = ANY (%(kinds)s)"
                " AND d.verdict = 'approved' AND r.at_stake_minor <= r.limit_minor",
                {**values, "kinds": list(GIVEN_AWAY)},
            )
            return int(cursor.fetchone()[0])
        cursor.execute(
            "SELECT d.event_seq FROM servicing_request AS r JOIN servicing_request_decision AS d USING (customer_id, request_id)"
            " WHERE r.customer_id = %(customer)s AND r.contract_id = %(contract)s AND d.event_seq IS NOT NULL",
            values,
        )
        by_two = {seq for (seq,) in cursor.fetchall()}
    return outgoing.done_on(contract, kind, local_date(at, contract.terms.zone), by_two)


def sent_back_before(shop: Shop, at: datetime) -> int:
    """What counts with sending back money of no contract: what was sent back so today without a second person."""
    today = local_date(at, shop.time_zone)
    sent = unapplied.sent_back_on(shop, today)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum((r.body ->> 'amount_minor')::bigint), 0)::bigint"
            " FROM servicing_request AS r JOIN servicing_request_decision AS d USING (customer_id, request_id)"
            " WHERE r.customer_id = %s AND r.kind = 'unmatched_refund' AND d.verdict = 'approved'"
            " AND d.decided_at >= %s AND d.decided_at < %s",
            [
                house_party(shop.id, "suspense"),
                midnight(today, shop),
                midnight(today + timedelta(days=1), shop),
            ],
        )
        return sent - int(cursor.fetchone()[0])

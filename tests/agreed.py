"""Agreeing to an offer as a customer does: its table was shown, read for as long as it has to be, and named."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

__all__ = ["agree", "agreed_to", "read_of"]


def agreed_to(quote_token: str, at: datetime, *, read_seconds: int = 10) -> dict[str, str]:
    """What is handed in beside a quote at `at`: the name of its table and the note of a reading that began before.

    Nothing beside what is no quote, or one that its figures do not fit: that is refused for itself.
    """
    from fenqi.terms.disclosure import digest
    from fenqi_server.decisions import service as decisions
    from fenqi_server.decisions.quotes import BadToken, read_quote
    from fenqi_server.disclosures import service as disclosures

    try:
        claims = read_quote(quote_token)
        table = digest(decisions.offer_of(claims).disclosure)
    except (BadToken, decisions.Refused):
        return {}
    note = disclosures.begin(claims, table, at - timedelta(seconds=read_seconds))
    return {"acknowledged_disclosure": table, "reading": note}


def read_of(offer: dict[str, Any], at: datetime, *, read_seconds: int = 10) -> dict[str, str]:
    """The same for an offer as `POST /v1/evaluations` gave it, without asking a database."""
    from fenqi_server.decisions.quotes import read_quote
    from fenqi_server.disclosures import service as disclosures

    table = offer["disclosure"]["digest"]
    note = disclosures.begin(read_quote(offer["quote"]["token"]), table, at - timedelta(seconds=read_seconds))
    return {"acknowledged_disclosure": table, "reading": note}


def agree(shop: Any, customer_id: UUID, quote_token: str, order_ref: str, at: datetime, **more: Any) -> Any:
    """`decisions.confirm` by a customer who has read the table."""
    from fenqi_server.decisions import service as decisions

    said = agreed_to(quote_token, at)
    return decisions.confirm(
        shop,
        customer_id,
        quote_token,
        order_ref,
        said.get("acknowledged_disclosure"),
        at,
        reading=said.get("reading"),
        **more,
    )

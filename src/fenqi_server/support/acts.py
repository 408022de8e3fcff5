"""Who did what at the desk: one line for each act, in the service's log.

What is written names the act, the actor and the subject, never the words of a customer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from fenqi_server.shops.models import Shop

__all__ = ["record"]

_log = logging.getLogger(__name__)


def record(
    shop: Shop,
    actor: str,
    act: str,
    subject: str,
    at: datetime,
    *,
    reason: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Write down an act."""
    _log.info(
        "%s %s %s in %s at %s: %s -> %s",
        actor,
        act,
        subject,
        shop.code,
        at.isoformat(),
        dict(before or {}),
        dict(after or {}),
        extra={"act": act, "actor": actor, "subject": subject},
    )

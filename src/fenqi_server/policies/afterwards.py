"""What one person did alone and in a hurry, looked at by someone else afterwards.

A stop, or a step back that touches law, is one person's act at any hour. It stays on a list until a second person has said
whether it was right. The one who did it cannot close it: the database refuses the row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from fenqi.problems import BadInput
from fenqi_server.db import use_shop
from fenqi_server.policies import audit
from fenqi_server.policies import service as policies
from fenqi_server.policies.service import Publication
from fenqi_server.shops.models import Shop

__all__ = ["close", "waiting"]

MAX_REASON = 2_000


def waiting(shop: Shop) -> tuple[Publication, ...]:
    """What nobody else has looked at yet, the oldest first; `review_by` says until when somebody should."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id FROM policies_publication p WHERE p.shop_id = %s AND p.review_by IS NOT NULL AND NOT EXISTS"
            " (SELECT FROM policies_after_review r WHERE r.shop_id = p.shop_id AND r.publication_id = p.id)",
            [shop.id],
        )
        found = {row[0] for row in cursor.fetchall()}
    made = [each for each in policies.publications(shop.id) if each.id in found]
    return tuple(sorted(made, key=lambda each: each.recorded_at))


def close(
    shop: Shop,
    publication_id: UUID,
    reviewer: str,
    verdict: Literal["right", "wrong"],
    reason: str,
    at: datetime,
) -> None:
    """Say whether it was right. Raises `BadInput`, also for whoever did it."""
    why = reason.strip()
    if verdict not in ("right", "wrong"):
        raise BadInput("verdict", verdict, "right or wrong", "say which")
    if not 1 <= len(why) <= MAX_REASON:
        raise BadInput("reason", why, f"why, in 1 to {MAX_REASON} characters", "say it for the record")
    made = next((each for each in waiting(shop) if each.id == publication_id), None)
    if made is None:
        raise BadInput(
            "publication", str(publication_id), "one that waits to be looked at", "look at the list again"
        )
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO policies_after_review (shop_id, publication_id, actor, verdict, reviewer, reason,"
                " reviewed_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [shop.id, publication_id, made.actor, verdict, reviewer, why, at],
            )
            audit.record(
                shop,
                reviewer,
                "policy.review_afterwards",
                f"publication:{publication_id}",
                at,
                reason=why,
                after={"verdict": verdict},
            )
    except IntegrityError as problem:
        if "policies_after_review_by_someone_else" not in str(problem):
            raise
        raise BadInput(
            "reviewer", reviewer, "someone else than who did it", "ask a colleague who may review"
        ) from None

"""Pilots: a policy that a share of the customers gets first, compared with what the others got, then widened or ended.

Who is in the share is told by the publication's salt and the customer's key, so that everybody stays where they are
while it grows. What is compared comes from the decision log, by the digest under which each decision was made: what was
offered, and what was confirmed. Visitors who are not signed in are in no share and are not counted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi.policy.compile import Policy
from fenqi.problems import BadInput
from fenqi_server.db import use_shop
from fenqi_server.ids import anonymous_party, first_uuid7
from fenqi_server.policies import service as policies
from fenqi_server.policies.service import Publication
from fenqi_server.shops.models import Shop

__all__ = ["NoPilot", "Pilot", "PlanFigures", "Side", "end", "running", "widen"]


class NoPilot(LookupError):
    """No pilot of this id runs in the shop."""


class PlanFigures(msgspec.Struct, frozen=True):
    """How often a plan was asked about, and how often it was offered."""

    plan: str
    asked: int
    offered: int


class Side(msgspec.Struct, frozen=True):
    """What one of the two policies came to. `served`: decisions with an instalment on offer."""

    digest: str
    customers: int
    decisions: int
    served: int
    confirmations: int
    plans: tuple[PlanFigures, ...]


class Pilot(msgspec.Struct, frozen=True):
    """A publication for a share of the customers that nothing for everybody has overtaken yet."""

    publication: Publication
    since: datetime
    base: str
    with_it: Side
    without_it: Side


def _open(shop: Shop, at: datetime) -> list[Publication]:
    """The partial publications in force, the last of each digest: those after the last one for everybody."""
    found: dict[str, Publication] = {}
    for made in policies.publications(shop.id):
        if made.valid_from > at:
            continue
        if made.percent == 100:
            found.clear()
        else:
            found[made.digest] = made
    return list(found.values())


def running(shop: Shop, at: datetime) -> tuple[Pilot, ...]:
    """The shop's pilots with what each side came to since the pilot began."""
    pilots = []
    for made in _open(shop, at):
        began = min(
            each.valid_from
            for each in policies.publications(shop.id)
            if each.digest == made.digest and each.salt == made.salt
        )
        base = _base(shop, made, at)
        if base is None:
            continue
        sides = {name: _side(shop, name, began, at) for name in (made.digest, base)}
        pilots.append(Pilot(made, began, base, sides[made.digest], sides[base]))
    return tuple(pilots)


def _base(shop: Shop, made: Publication, at: datetime) -> str | None:
    """What those outside the share get: the newest publication for everybody."""
    whole = [each for each in policies.publications(shop.id) if each.percent == 100 and each.valid_from <= at]
    return whole[-1].digest if whole else made.base


_ASKED: Final = """
SELECT d.customer_id, d.decision_id, d.verdicts, q.quote_id IS NOT NULL AS confirmed
  FROM decisions_decision AS d
  LEFT JOIN decisions_quote_use AS q ON q.customer_id = d.customer_id AND q.became = d.decision_id::text
 WHERE d.shop_id = %(shop)s AND d.policy_digest = %(digest)s AND d.decision_id >= %(first)s
   AND d.decision_id < %(last)s AND d.customer_id <> %(anonymous)s
"""


def _side(shop: Shop, digest: str, since: datetime, until: datetime) -> Side:
    policy = policies.by_digest(digest, shop.id)
    asked = {
        "shop": shop.id,
        "digest": digest,
        "first": first_uuid7(since),
        # The first id of the next moment: what was decided at this very one counts.
        "last": UUID(int=first_uuid7(until).int + (1 << 80)),
        "anonymous": anonymous_party(shop.id),
        "instalments": _instalments(policy),
    }
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH d AS ({_ASKED})
            SELECT count(DISTINCT customer_id), count(*) FILTER (WHERE NOT confirmed),
                   count(*) FILTER (WHERE NOT confirmed AND EXISTS (
                       SELECT FROM jsonb_each(verdicts) AS v
                        WHERE v.key = ANY(%(instalments)s) AND v.value ->> 0 IN ('available', 'funder_decides'))),
                   count(*) FILTER (WHERE confirmed) FROM d""",
            asked,
        )
        customers, decisions, served, confirmations = cursor.fetchone()
        cursor.execute(
            f"""WITH d AS ({_ASKED})
            SELECT v.key, count(*), count(*) FILTER (WHERE v.value ->> 0 IN ('available', 'funder_decides'))
              FROM d, jsonb_each(d.verdicts) AS v WHERE NOT d.confirmed GROUP BY v.key""",
            asked,
        )
        figures = {plan: PlanFigures(plan, met, offered) for plan, met, offered in cursor.fetchall()}
    plans = tuple(figures[plan.id] for plan in policy.plans if plan.id in figures)
    return Side(digest, customers, decisions, served, confirmations, plans)


def _instalments(policy: Policy) -> list[str]:
    return [plan.id for plan in policy.plans if plan.legal_form != "full_payment"]


def widen(
    shop: Shop, publication_id: UUID, percent: int, actor: str, reason: str, at: datetime
) -> Publication:
    """Give the pilot to a larger share: whoever had it keeps it. 100 gives it to everybody, and the pilot is over.

    Raises `NoPilot`, and `BadInput` for a share that is not larger.
    """
    with transaction.atomic():
        made = _find(shop, publication_id, at)
        if not made.percent < percent <= 100:
            raise BadInput(
                "percent",
                percent,
                f"a whole number from {made.percent + 1} to 100",
                "a share only grows: end the pilot to take it back",
            )
        policy = policies.by_digest(made.digest, shop.id)
        return policies.publish(
            shop,
            policy.snapshot,
            at,
            actor,
            sets=policy.sets,
            tested=False,
            files=policies.files_of(shop, made.digest),
            kind="pilot",
            reason=reason,
            percent=percent,
            salt=made.salt,
            silent_reason=made.silent_reason,
        )


def end(shop: Shop, publication_id: UUID, actor: str, reason: str, at: datetime) -> Publication:
    """Take the pilot back: everybody gets again what those outside it had. Raises `NoPilot`."""
    with transaction.atomic():
        made = _find(shop, publication_id, at)
        base = _base(shop, made, at)
        if base is None:
            raise NoPilot(str(publication_id))
        return policies.publish_again(
            shop, base, at, actor, reason=reason, silent_reason=made.silent_reason or reason
        )


def _find(shop: Shop, publication_id: UUID, at: datetime) -> Publication:
    # Two who widen at once would each publish from what the other has overtaken.
    policies.audit.hold(shop)
    for made in _open(shop, at):
        if made.id == publication_id:
            return made
    raise NoPilot(str(publication_id))

"""Which reasons shoppers met, where they went from there, and who was left with nothing to pay over time with.

Everything is counted from what was recorded: the decisions that shoppers saw, the contracts they made, the funders they
went on to. Nobody is counted twice in one line: a shopper who met a reason on five pages met it once, and went where
they went last. Whoever was not signed in has no name to be counted by; those decisions are told apart, as decisions.

| Question | Counted |
|---|---|
| who met a reason | shoppers of whose decisions at least one named it for a way that was not open |
| where they went | what each of them agreed to after having met it: a contract of the shop's own, or a hand-off; or nothing |
| left with no instalment | shoppers whose latest decision offered no plan of more than one payment |
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec
from django.db import connection

from fenqi_server.db import use_shop
from fenqi_server.ids import anonymous_party, first_uuid7
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop

__all__ = ["Encounters", "Met", "Went", "between"]

Way = Literal["confirmed", "handed_off", "nothing"]


class Went(msgspec.Struct, frozen=True):
    """Where shoppers went: a contract of the shop's own or a hand-off, by family; or nothing, and then no family."""

    way: Way
    family: str
    shoppers: int


class Met(msgspec.Struct, frozen=True):
    """One reason: how many shoppers met it, and where they went. `unnamed` counts decisions of visitors not signed in."""

    code: str
    shoppers: int
    unnamed: int
    went: tuple[Went, ...]


class Encounters(msgspec.Struct, frozen=True):
    """A stretch of time: `shoppers` who asked at all, the reasons they met, and how many were left with no instalment."""

    start: datetime
    end: datetime
    shoppers: int
    unnamed: int
    left_without: int
    met: tuple[Met, ...]


_OFFERED: Final = ["available", "funder_decides"]

# `seen` is read once, by the index over shop and id. What a shopper did afterwards is looked up by the shopper's key, which
# comes first in every key of contracts and hand-offs.
_SEEN: Final = """
WITH seen AS MATERIALIZED (
    SELECT customer_id, decision_id, recorded_at, policy_digest, verdicts FROM decisions_decision
    WHERE shop_id = %(shop)s AND decision_id >= %(first)s AND decision_id < %(last)s
)
"""
_MET: Final = (
    _SEEN
    + """
, met AS (
    SELECT code, customer_id, min(recorded_at) AS at, count(DISTINCT decision_id) AS decisions
    FROM seen, jsonb_each(verdicts) AS v (plan, verdict), jsonb_array_elements_text(verdict -> 1) AS code
    WHERE verdict ->> 0 <> ALL (%(offered)s)
    GROUP BY code, customer_id
)
SELECT code, coalesce(went.way, 'nothing'), coalesce(went.family, ''),
       count(*) FILTER (WHERE met.customer_id <> %(nobody)s),
       coalesce(sum(met.decisions) FILTER (WHERE met.customer_id = %(nobody)s), 0)
FROM met LEFT JOIN LATERAL (
    SELECT way, family FROM (
        SELECT 'confirmed' AS way, terms -> 'plan' ->> 'family' AS family, created_at AS at, contract_id AS id
        FROM servicing_contract
        WHERE customer_id = met.customer_id AND created_at >= met.at AND created_at < %(end)s
        UNION ALL
        SELECT 'handed_off', family, started_at, id FROM funders_hand_off
        WHERE customer_id = met.customer_id AND started_at >= met.at AND started_at < %(end)s
    ) AS took ORDER BY at DESC, id DESC LIMIT 1
) AS went ON met.customer_id <> %(nobody)s
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
)
_DIGESTS: Final = _SEEN + "SELECT DISTINCT policy_digest FROM seen"
_LEFT: Final = (
    _SEEN
    + """
, latest AS (
    SELECT DISTINCT ON (customer_id) customer_id, policy_digest, verdicts FROM seen
    WHERE customer_id <> %(nobody)s ORDER BY customer_id, decision_id DESC
)
SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (
           SELECT FROM jsonb_each(verdicts) AS v (plan, verdict)
           WHERE verdict ->> 0 = ANY (%(offered)s) AND (%(instalments)s::jsonb -> policy_digest) ? plan)),
       (SELECT count(*) FROM seen WHERE customer_id = %(nobody)s)
FROM latest
"""
)


def between(shop: Shop, start: datetime, end: datetime) -> Encounters:
    """What shoppers of this shop met from `start` to before `end`; the most often met first."""
    use_shop(shop.id)
    asked: dict[str, object] = {
        "shop": shop.id,
        "first": first_uuid7(start),
        "last": first_uuid7(end),
        "end": end,
        "offered": _OFFERED,
        "nobody": anonymous_party(shop.id),
    }
    with connection.cursor() as cursor:
        cursor.execute(_DIGESTS, asked)
        asked["instalments"] = msgspec.json.encode(
            {digest: _instalments(digest) for (digest,) in cursor.fetchall()}
        ).decode()
        cursor.execute(_LEFT, asked)
        shoppers, left_without, unnamed = cursor.fetchone()
        cursor.execute(_MET, asked)
        rows = cursor.fetchall()
    lines: dict[str, list[tuple[Went, int]]] = {}
    for code, way, family, count, unnamed_decisions in rows:
        lines.setdefault(code, []).append((Went(way, family, count), int(unnamed_decisions)))
    met = [
        Met(
            code,
            sum(went.shoppers for went, _ in found),
            sum(unnamed for _, unnamed in found),
            tuple(
                sorted(
                    (went for went, _ in found if went.shoppers),
                    key=lambda went: (went.way == "nothing", -went.shoppers, went.family),
                )
            ),
        )
        for code, found in lines.items()
    ]
    met.sort(key=lambda each: (-each.shoppers, -each.unnamed, each.code))
    return Encounters(start, end, shoppers, unnamed, left_without, tuple(met))


def _instalments(digest: str) -> list[str]:
    """The plans of a policy that are paid in more than one payment."""
    return [plan.id for plan in policies.by_digest(digest).plans if plan.periods > 1]

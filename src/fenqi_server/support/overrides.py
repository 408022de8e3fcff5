"""Special cases (特批): one rule, set aside for one customer, up to an amount, until an instant.

A rule is the shop's or its funder's, and now and then the right answer to one customer is an exception to it. So that an
exception stays one, it has a shape that cannot be stretched: it names the rule and the customer, the most that the
order may come to, and an end at most 72 hours after it was approved, by someone other than the one who asked. A rule
of law has no exceptions, and no route around that: the database refuses the row, the engine ignores such an override
even if it is handed one.

Nothing is changed in place. What was asked is one row; approving, refusing, withdrawing and revoking are others. What is
in force is read off them at each decision, so that a revocation counts from the next decision on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
import psycopg
from django.db import IntegrityError, connection, transaction

from fenqi.policy.snapshot import selects
from fenqi.policy.verdict import Override
from fenqi.texts import Text
from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7
from fenqi_server.policies import audit
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop

__all__ = [
    "MAX_HOURS",
    "NoOverride",
    "Refusal",
    "SpecialCase",
    "Use",
    "active",
    "approve",
    "ask",
    "expired_of",
    "forget_caches",
    "get",
    "listed",
    "of_customer",
    "refuse",
    "revoke",
    "use",
    "uses",
    "withdraw",
]

MAX_HOURS: Final = 72
MAX_REASON: Final = 2000
MAX_OPEN: Final = 20
"""How many special cases one customer may have waiting or in force: more than that is a rule to change."""

CHECK_SECONDS: Final = 1.0

State = Literal["asked", "approved", "refused", "withdrawn", "revoked", "expired"]


class NoOverride(LookupError):
    """No special case of this shop has the id."""


class Refusal(Exception):
    """The special case cannot be asked for, or not be decided so, and nothing was written. `code` says why.

    law_rule, unknown_rule, unknown_plan, no_customer, bad_amount, bad_hours, bad_reason, too_many, own_request,
    not_yours, not_waiting, not_in_force.
    """

    def __init__(self, code: str, text: Text, *, field: str = "") -> None:
        super().__init__(f"{code}: {text.en}")
        self.code = code
        self.text = text
        self.field = field


class SpecialCase(msgspec.Struct, frozen=True, kw_only=True):
    """One special case with all that became of it. `plan` is empty where it counts for every plan that the rule is about.

    `max_amount_minor` and `expires_at` are the approved ones once it is approved; until then the amount is the one
    asked for, and there is no expiry.
    """

    customer_id: UUID
    id: UUID
    rule: str
    layer: str
    plan: str
    asked_max_minor: int
    hours: int
    reason: str
    decision_id: UUID | None
    case_id: UUID | None
    asked_by: str
    asked_at: datetime
    decided: str | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    note: str = ""
    approved_max_minor: int | None = None
    expires_at: datetime | None = None
    revoked_by: str = ""
    revoked_at: datetime | None = None
    revoked_note: str = ""

    @property
    def public_id(self) -> str:
        return public_id("ov", self.customer_id, self.id)

    @property
    def number(self) -> str:
        """What people call it: the end of its id."""
        return self.id.hex[-8:].upper()

    @property
    def max_amount_minor(self) -> int:
        return self.asked_max_minor if self.approved_max_minor is None else self.approved_max_minor

    @property
    def decision(self) -> str | None:
        return None if self.decision_id is None else public_id("dc", self.customer_id, self.decision_id)

    @property
    def case(self) -> str | None:
        return None if self.case_id is None else public_id("cs", self.customer_id, self.case_id)

    def state(self, at: datetime) -> State:
        """Where it stands at `at`."""
        if self.decided is None:
            return "asked"
        if self.decided == "refuse":
            return "refused"
        if self.decided == "withdraw":
            return "withdrawn"
        if self.revoked_at is not None:
            return "revoked"
        assert self.expires_at is not None, "the table has an expiry for everything approved"
        return "approved" if at < self.expires_at else "expired"


class Use(msgspec.Struct, frozen=True):
    """One order agreed to under a special case; `decision` is the recorded one of its confirmation."""

    decision: str
    amount_minor: int
    order_ref: str
    used_at: datetime


def ask(
    shop: Shop,
    customer_id: UUID,
    rule: str,
    *,
    actor: str,
    reason: str,
    max_amount_minor: int,
    hours: int,
    at: datetime,
    plan: str = "",
    decision: str | None = None,
    case: str | None = None,
) -> SpecialCase:
    """Ask that a rule be set aside for one customer. Nothing changes for them until someone else approves it.

    `hours` count from the approval. `decision` and `case` say what it was asked about; both have to be this
    customer's. Raises `Refusal`.
    """
    layer = _layer(shop, customer_id, rule, plan, at)
    if layer == "law":
        raise _law(rule)
    body = _written(reason, "reason", required=True)
    _check_amount(max_amount_minor)
    if type(hours) is not int or not 1 <= hours <= MAX_HOURS:
        raise Refusal(
            "bad_hours",
            Text(
                f"有效时长为 {hours} 小时：须为 1 至 {MAX_HOURS} 的整数。更久的例外应改规则本身。",
                f"It would last {hours} hours; a special case lasts 1 to {MAX_HOURS}. For longer, change the rule.",
            ),
            field="hours",
        )
    decision_id = _own_id(decision, "dc", customer_id, "decision")
    case_id = _own_id(case, "cs", customer_id, "case")
    made = SpecialCase(
        customer_id=customer_id,
        id=uuid7(at),
        rule=rule,
        layer=layer,
        plan=plan,
        asked_max_minor=max_amount_minor,
        hours=hours,
        reason=body,
        decision_id=decision_id,
        case_id=case_id,
        asked_by=actor,
        asked_at=at,
    )
    with transaction.atomic():
        use_shop(shop.id)
        try:
            customers.lock(shop, customer_id)
        except customers.NoCustomer:
            raise Refusal(
                "no_customer",
                Text(
                    "没有这位顾客：特批只给已登录的本店顾客。",
                    "There is no such customer: a special case is for one customer of this shop who is signed in.",
                ),
                field="customer",
            ) from None
        waiting = [
            found for found in of_customer(shop, customer_id) if found.state(at) in ("asked", "approved")
        ]
        if len(waiting) >= MAX_OPEN:
            raise Refusal(
                "too_many",
                Text(
                    f"此顾客已有 {MAX_OPEN} 个待批或有效的特批：先处理其中一些，或改规则。",
                    f"This customer has {MAX_OPEN} special cases waiting or in force: settle some, or change the rule.",
                ),
            )
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO support_override (shop_id, customer_id, id, rule, layer, plan, max_amount_minor, hours,"
                " reason, decision_id, case_id, asked_by, asked_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    shop.id, customer_id, made.id, rule, layer, plan, max_amount_minor, hours,
                    body, decision_id, case_id, actor, at,
                ],
            )  # fmt: skip
        audit.record(
            shop,
            actor,
            "override.ask",
            made.public_id,
            at,
            reason=body,
            after={
                "rule": rule,
                "layer": layer,
                "plan": plan,
                "max_amount_minor": max_amount_minor,
                "hours": hours,
            },
        )
    return made


def approve(
    shop: Shop,
    override: str,
    *,
    actor: str,
    at: datetime,
    note: str = "",
    max_amount_minor: int | None = None,
    hours: int | None = None,
) -> SpecialCase:
    """Approve it, for at most what was asked: from now on it counts at every decision, until it ends.

    Raises `Refusal` `own_request` where the asker approves, and `NoOverride`.
    """
    found = _waiting(shop, override, at)
    if actor.lower() == found.asked_by.lower():
        raise _own_request()
    # The rule may have become one of law since it was asked.
    layer = _layer(shop, found.customer_id, found.rule, found.plan, at)
    if layer == "law":
        raise _law(found.rule)
    amount = found.asked_max_minor if max_amount_minor is None else max_amount_minor
    lasts = found.hours if hours is None else hours
    _check_amount(amount, most=found.asked_max_minor)
    if type(lasts) is not int or not 1 <= lasts <= found.hours:
        raise Refusal(
            "bad_hours",
            Text(
                f"批准 {lasts} 小时：须为 1 至申请的 {found.hours} 小时。",
                f"Approved for {lasts} hours; it has to be 1 to the {found.hours} that were asked for.",
            ),
            field="hours",
        )
    expires = at + timedelta(hours=lasts)
    return _act(
        shop,
        found,
        "approve",
        actor,
        at,
        _written(note, "note"),
        max_amount_minor=amount,
        expires_at=expires,
    )


def refuse(shop: Shop, override: str, *, actor: str, at: datetime, note: str) -> SpecialCase:
    """Refuse it, saying why."""
    found = _waiting(shop, override, at)
    if actor.lower() == found.asked_by.lower():
        raise _own_request()
    return _act(shop, found, "refuse", actor, at, _written(note, "note", required=True))


def withdraw(shop: Shop, override: str, *, actor: str, at: datetime, note: str = "") -> SpecialCase:
    """Take one's own request back before it is decided."""
    found = _waiting(shop, override, at)
    if actor != found.asked_by:
        raise Refusal(
            "not_yours",
            Text(
                "只有申请人能撤回申请。",
                "Only the one who asked can withdraw the request; refuse it instead.",
            ),
        )
    return _act(shop, found, "withdraw", actor, at, _written(note, "note"))


def revoke(shop: Shop, override: str, *, actor: str, at: datetime, note: str) -> SpecialCase:
    """End it now: no decision from this instant on counts it."""
    found = get(shop, override)
    if found.state(at) != "approved":
        raise Refusal(
            "not_in_force",
            Text("此特批不在有效期内，无需撤销。", "It is not in force, so there is nothing to revoke."),
        )
    return _act(shop, found, "revoke", actor, at, _written(note, "note", required=True))


def get(shop: Shop, override: str) -> SpecialCase:
    """One special case. Raises `NoOverride`, for another shop's too."""
    try:
        customer_id, name = parse_public_id(override, "ov")
    except ValueError:
        raise NoOverride(override) from None
    found = _many(shop, "o.customer_id = %s AND o.id = %s", [customer_id, name])
    if not found:
        raise NoOverride(override)
    return found[0]


def of_customer(shop: Shop, customer_id: UUID) -> tuple[SpecialCase, ...]:
    """A customer's special cases, newest first."""
    return _many(shop, "o.customer_id = %s ORDER BY o.id DESC LIMIT 100", [customer_id])


def listed(shop: Shop, *, limit: int = 200) -> tuple[SpecialCase, ...]:
    """The shop's special cases: those that wait for a decision first, then the newest."""
    return _many(shop, "true ORDER BY (d.act IS NULL) DESC, o.id DESC LIMIT %s", [limit])


def active(shop: Shop, customer_id: UUID | None, at: datetime) -> tuple[Override, ...]:
    """What counts for this customer at `at`, as the engine takes it. Nothing for a visitor not signed in.

    Most shops have no special case in force at most times: then this costs no question to the database. That none
    is in force is believed for a second at most; that one is, is asked each time. The amount is what is left of the
    approved one after the orders that used it.
    """
    if customer_id is None or at >= _latest_expiry(shop.id):
        return ()
    use_shop(shop.id)
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_ACTIVE, [customer_id, at, at, shop.id], prepare=True)
        return tuple(
            [
                Override(
                    id=public_id("ov", customer_id, name),
                    rule=rule,
                    until=int(expires.timestamp()),
                    max_amount_minor=amount,
                    plan=plan or None,
                )
                for name, rule, plan, amount, expires in cursor.fetchall()
                if amount > 0
            ]
        )


def use(
    shop: Shop,
    customer_id: UUID,
    overrides: Iterable[str],
    decision_id: UUID,
    amount_minor: int,
    order_ref: str,
    at: datetime,
) -> None:
    """Write down that an order was agreed to under these: its amount counts against theirs.

    Part of the confirmation's transaction, which holds the customer: two orders at once cannot both have what is left.
    """
    with connection.cursor() as cursor:
        for override in overrides:
            _, name = parse_public_id(override, "ov")
            cursor.execute(
                "INSERT INTO support_override_use"
                " (shop_id, customer_id, override_id, decision_id, amount_minor, order_ref, used_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [shop.id, customer_id, name, decision_id, amount_minor, order_ref, at],
            )


def uses(shop: Shop, found: SpecialCase) -> tuple[Use, ...]:
    """The orders that were agreed to under a special case."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT decision_id, amount_minor, order_ref, used_at FROM support_override_use"
            " WHERE customer_id = %s AND override_id = %s AND shop_id = %s ORDER BY used_at, decision_id",
            [found.customer_id, found.id, shop.id],
        )
        return tuple(
            Use(public_id("dc", found.customer_id, decision), amount, order_ref, used_at)
            for decision, amount, order_ref, used_at in cursor.fetchall()
        )


def expired_of(shop: Shop, overrides: tuple[str, ...], at: datetime) -> tuple[SpecialCase, ...]:
    """Of these, those that counted once and do not at `at`: they expired or were revoked."""
    gone = []
    for override in overrides:
        found = get(shop, override)
        if found.state(at) in ("expired", "revoked"):
            gone.append(found)
    return tuple(gone)


_ACTIVE: Final = """
SELECT o.id, o.rule, o.plan,
       d.max_amount_minor - coalesce((SELECT sum(u.amount_minor) FROM support_override_use u
                                       WHERE u.customer_id = o.customer_id AND u.override_id = o.id), 0)::bigint,
       d.expires_at
  FROM support_override o
  JOIN support_override_act d ON d.customer_id = o.customer_id AND d.override_id = o.id AND d.act = 'approve'
  LEFT JOIN support_override_act e ON e.customer_id = o.customer_id AND e.override_id = o.id AND e.step = 'end'
 WHERE o.customer_id = %s AND d.done_at <= %s AND d.expires_at > %s AND e.override_id IS NULL AND o.shop_id = %s
 ORDER BY o.id
"""
_SELECT: Final = """
SELECT o.customer_id, o.id, o.rule, o.layer, o.plan, o.max_amount_minor AS asked_max_minor, o.hours, o.reason,
       o.decision_id, o.case_id, o.asked_by, o.asked_at, d.act AS decided, coalesce(d.done_by, '') AS decided_by,
       d.done_at AS decided_at, coalesce(d.note, '') AS note, d.max_amount_minor AS approved_max_minor, d.expires_at,
       coalesce(e.done_by, '') AS revoked_by, e.done_at AS revoked_at, coalesce(e.note, '') AS revoked_note
  FROM support_override o
  LEFT JOIN support_override_act d ON d.customer_id = o.customer_id AND d.override_id = o.id AND d.step = 'decision'
  LEFT JOIN support_override_act e ON e.customer_id = o.customer_id AND e.override_id = o.id AND e.step = 'end'
 WHERE o.shop_id = %s AND
"""
_NEVER: Final = datetime.fromisoformat("0001-01-02T00:00:00+00:00")
_latest: dict[UUID, tuple[float, datetime]] = {}


def _latest_expiry(shop_id: UUID) -> datetime:
    known = _latest.get(shop_id)
    now = time.monotonic()
    if known is None or known[0] <= now:
        use_shop(shop_id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT max(expires_at) FROM support_override_act WHERE shop_id = %s AND act = 'approve'",
                [shop_id],
            )
            (found,) = cursor.fetchone()
        known = _latest[shop_id] = (now + CHECK_SECONDS, found or _NEVER)
    return known[1]


def forget_caches() -> None:
    """Read anew whether any special case is in force."""
    _latest.clear()


def _many(shop: Shop, condition: str, values: list[object]) -> tuple[SpecialCase, ...]:
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(f"{_SELECT} {condition}", [shop.id, *values])
        names = [column.name for column in cursor.description]
        return tuple(SpecialCase(**dict(zip(names, row, strict=True))) for row in cursor.fetchall())


def _waiting(shop: Shop, override: str, at: datetime) -> SpecialCase:
    found = get(shop, override)
    if found.state(at) != "asked":
        raise _not_waiting()
    return found


def _act(
    shop: Shop,
    found: SpecialCase,
    act: str,
    actor: str,
    at: datetime,
    note: str,
    *,
    max_amount_minor: int | None = None,
    expires_at: datetime | None = None,
) -> SpecialCase:
    try:
        with transaction.atomic():
            use_shop(shop.id)
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO support_override_act (shop_id, customer_id, override_id, act, asked_by,"
                    " asked_max_minor, asked_hours, done_by, done_at, note, max_amount_minor, expires_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    [
                        shop.id, found.customer_id, found.id, act, found.asked_by, found.asked_max_minor,
                        found.hours, actor, at, note, max_amount_minor, expires_at,
                    ],
                )  # fmt: skip
            after: dict[str, object] = {"state": act}
            if expires_at is not None:
                after |= {"max_amount_minor": max_amount_minor, "expires_at": expires_at.isoformat()}
            audit.record(
                shop,
                actor,
                f"override.{act}",
                found.public_id,
                at,
                reason=note,
                before={"state": found.state(at), "rule": found.rule, "asked_by": found.asked_by},
                after=after,
            )
            # Another thread may have read the latest expiry a moment ago: what commits here is to be seen at once.
            transaction.on_commit(lambda: _latest.pop(shop.id, None))
    except IntegrityError as error:
        if "support_override_act_pkey" in str(error):
            # Two people decided at once: the first one's word stands.
            raise _not_waiting() from None
        raise
    _latest.pop(shop.id, None)
    return get(shop, found.public_id)


def _layer(shop: Shop, customer_id: UUID, rule: str, plan: str, at: datetime) -> str:
    # The policy that is in force for this customer: another share of customers may have another.
    policy = policies.current(shop.id, at, customer_id)
    index = policy.rule_index.get(rule)
    if index is None:
        raise Refusal(
            "unknown_rule",
            Text(
                f"现行策略中没有规则「{rule[:80]}」。请从诊断页的原因申请特批。",
                f"The policy in force has no rule {rule[:80]!r}. Ask from a reason of a diagnosis.",
            ),
            field="rule",
        )
    found = policy.rules[index]
    if plan and (plan not in policy.plan_index or not selects(found.applies, policy.plan(plan))):
        raise Refusal(
            "unknown_plan",
            Text(
                f"方案「{plan[:80]}」不存在，或不受此规则约束。",
                f"There is no plan {plan[:80]!r} that this rule is about. Leave it out for every plan of the rule.",
            ),
            field="plan",
        )
    return found.layer


def _law(rule: str) -> Refusal:
    return Refusal(
        "law_rule",
        Text(
            f"「{rule}」是法律法规的要求，任何人都无权特批：数据库会拒绝这条记录，判定时也不会采用。请改用其他支付方式。",
            f"{rule!r} is a rule of law. Nobody may set it aside: the database refuses such a row and the decision"
            " would ignore it. Offer another way to pay.",
        ),
        field="rule",
    )


def _own_request() -> Refusal:
    return Refusal(
        "own_request",
        Text(
            "申请人不能审批自己的特批，请由另一位有审批权限的同事处理。",
            "Who asked for a special case cannot decide it: another person with that right has to.",
        ),
    )


def _not_waiting() -> Refusal:
    return Refusal(
        "not_waiting",
        Text("此特批已经处理过了，请刷新查看。", "It has been decided already: load the page again."),
    )


def _check_amount(amount: int, *, most: int | None = None) -> None:
    if (
        type(amount) is not int
        or amount <= 0
        or amount > MAX_AMOUNT_MINOR
        or (most is not None and amount > most)
    ):
        wanted = MAX_AMOUNT_MINOR if most is None else most
        raise Refusal(
            "bad_amount",
            Text(
                f"金额上限为 {amount}（最小货币单位）：须为 1 至 {wanted} 的整数。",
                f"The most that the order may come to is {amount} minor units; it has to be 1 to {wanted}.",
            ),
            field="max_amount_minor",
        )


MAX_AMOUNT_MINOR: Final = 100_000_000_000


def _written(text: str, field: str, *, required: bool = False) -> str:
    body = text.replace("\x00", "").strip()
    if (required and not body) or len(body) > MAX_REASON:
        raise Refusal(
            "bad_reason",
            Text(
                f"请写明理由，最多 {MAX_REASON} 字（现有 {len(body)} 字）。",
                f"Say why, in at most {MAX_REASON} characters (there are {len(body)}).",
            ),
            field=field,
        )
    return body


def _own_id(text: str | None, prefix: str, customer_id: UUID, field: str) -> UUID | None:
    if not text:
        return None
    try:
        owner, name = parse_public_id(text, prefix)
    except ValueError:
        owner, name = None, None
    if owner != customer_id:
        raise Refusal(
            "no_customer",
            Text("所引用的记录不属于这位顾客。", f"The {field} is not this customer's: {text[:80]!r}."),
            field=field,
        )
    return name

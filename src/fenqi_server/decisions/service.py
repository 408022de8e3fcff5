"""Evaluating a cart, and confirming one of the offers it was shown.

Every path through here asks the same engine: `evaluate` for the page, `confirm` again at the moment of agreement, `load` for
whoever has to explain later what a customer saw.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection, transaction

from fenqi.calendars import zone_of
from fenqi.checkout.alternatives import Alternative
from fenqi.checkout.evaluation import Evaluation, Option, disclosed, is_waived
from fenqi.checkout.evaluation import evaluate as evaluate_cart
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.facts import FactValue, freeze_facts
from fenqi.policy.verdict import Override, Reason, State, Verdict
from fenqi.terms.cost import Cost, cost_of
from fenqi.terms.disclosure import Disclosure, digest
from fenqi.terms.plan import Plan
from fenqi.terms.rent import Lease
from fenqi.terms.schedule import Schedule, build_schedule
from fenqi.texts import Text
from fenqi_server import facts as fact_sources
from fenqi_server.budgets import service as budgets
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions.quotes import (
    QUOTE_SECONDS,
    BadToken,
    Claims,
    Quote,
    cart_digest,
    read_quote,
    sign_quote,
)
from fenqi_server.disclosures import service as disclosures
from fenqi_server.funders import consents, handoffs
from fenqi_server.funders import health as funder_health
from fenqi_server.ids import anonymous_party, parse_public_id, public_id, uuid7
from fenqi_server.outbox.service import enqueue
from fenqi_server.policies import service as policies
from fenqi_server.servicing import service as servicing
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop
from fenqi_server.support import overrides as special_cases

__all__ = [
    "HONOURED_LAYERS",
    "BegunReading",
    "Changed",
    "Confirmed",
    "Decision",
    "HandedOff",
    "NoDecision",
    "QuotedOffer",
    "Refused",
    "asked_of",
    "begin_reading",
    "confirm",
    "decision_of",
    "evaluate",
    "figures_of",
    "is_honoured",
    "load",
    "offer_of",
    "request_of",
]

HONOURED_LAYERS: Final = frozenset({"strategy"})
"""What a live quote is honoured through, together with any change of price: the shop's own change of mind. Everything
else (law, compliance, agreement, risk, maintenance, health, cart, customer) is asked again and counts."""
SPENT: Final = frozenset({"SUBSIDY_SPENT"})
"""No change of mind: the money is not there any more, and a quote does not bring it back."""


def is_honoured(layer: str, code: str) -> bool:
    """Whether a live quote is honoured although this reason has come up since."""
    return layer in HONOURED_LAYERS and code not in SPENT


class NoDecision(LookupError):
    """No decision of this shop has the id; or it was lost with a process that was killed within its last second."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: what was asked and known (`request`), what was answered, and the offers as signed.

    A decision that was loaded has no quotes: those went to whoever asked, and are stored nowhere.
    """

    id: UUID
    shop_id: UUID
    customer_id: UUID
    at: datetime
    source: str
    policy: Policy
    request: CheckoutRequest
    evaluation: Evaluation
    quotes: dict[str, Quote] = field(default_factory=dict)
    disclosures: dict[str, str] = field(default_factory=dict)
    """The digest of each offer's table of costs: what the customer acknowledges."""

    @property
    def public_id(self) -> str:
        return public_id("dc", self.customer_id, self.id)

    @property
    def facts(self) -> Mapping[str, FactValue]:
        return self.evaluation.facts


class Changed(msgspec.Struct, frozen=True):
    """What became of an offer: the state it was quoted in, the verdict now, and which of its reasons stand in the way."""

    plan: str
    was: State
    now: State
    reasons: tuple[Reason, ...]
    verdict: Verdict


class Refused(Exception):  # a refusal is an answer that undoes the transaction, not a fault
    """The offer is not confirmed, and nothing was written. `code` says why; texts are for the customer.

    quote_malformed, quote_tampered, quote_unknown_key, quote_foreign, quote_expired, quote_reused,
    decision_unknown, disclosure_not_acknowledged, disclosure_differs, disclosure_not_shown, reading_malformed,
    reading_tampered, reading_unknown_key, reading_foreign, reading_too_short (`seconds_left`), figures_changed, consent_missing, funder_not_connected, plan_withdrawn,
    verdict_changed, override_ended.
    """

    def __init__(
        self,
        code: str,
        title: Text,
        detail: Text,
        *,
        changed: Changed | None = None,
        alternatives: tuple[Alternative, ...] = (),
        evaluation: Evaluation | None = None,
        policy: Policy | None = None,
        field_name: str = "quote",
        seconds_left: int = 0,
    ) -> None:
        super().__init__(f"{code}: {detail.en}")
        self.code = code
        self.title = title
        self.detail = detail
        self.changed = changed
        self.alternatives = alternatives
        self.evaluation = evaluation
        self.policy = policy
        self.field_name = field_name
        self.seconds_left = seconds_left


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A contract of the shop's own was opened."""

    contract_id: str
    decision_id: str


@dataclass(frozen=True, slots=True)
class HandedOff:
    """The customer goes on to the funder's page at `url`."""

    hand_off_id: str
    url: str
    state: str
    decision_id: str


def evaluate(
    shop: Shop,
    customer_id: UUID | None,
    lines: Sequence[Line],
    channel: str,
    asserted: Mapping[str, object],
    at: datetime,
    *,
    source: str = "api",
    last_used_family: str | None = None,
    coupon: str | None = None,
    ship_to: str | None = None,
    as_of: Mapping[str, int] | None = None,
    signed: bool = True,
) -> Decision:
    """How this cart can be paid: decided, recorded (within a second), each offer signed.

    Without `signed` nothing can be confirmed by it: for a product's page, which asks for nobody's agreement and is
    recorded all the same, so that what it said can be found. `as_of` says when facts that are asserted were found out, where
    that was not just now. `customer_id` None is a visitor not signed in. Raises `fenqi.checkout.request.RequestError` and
    `fenqi_server.facts.BadFacts` where the request is wrong.
    """
    policy = policies.current(shop.id, at, customer_id)
    known = fact_sources.gather_dated(shop, customer_id, asserted, policy, at, as_of=as_of)
    request = CheckoutRequest(
        tuple(lines),
        shop.currency,
        channel,
        int(at.timestamp()),
        known.facts,
        last_used_family,
        coupon,
        ship_to,
        overrides=special_cases.active(shop, customer_id, at),
        as_of=known.as_of,
    )
    evaluation = evaluate_cart(policy, request)
    decision = Decision(
        uuid7(at),
        shop.id,
        customer_id or anonymous_party(shop.id),
        at,
        source,
        policy,
        request,
        evaluation,
    )
    if signed:
        _sign_offers(decision)
    log.append(_record(decision))
    return decision


def _sign_offers(decision: Decision) -> None:
    evaluation, request = decision.evaluation, decision.request
    issued = request.at
    # Not cut short where a window opens sooner: what a quote is not honoured through is asked again at confirmation.
    expires = issued + QUOTE_SECONDS
    cart = cart_digest(request.lines, request.currency, request.coupon or "")
    customer, shop, name = decision.customer_id.bytes, decision.shop_id.bytes, decision.id.bytes
    start_on = evaluation.start_on.isoformat()
    first_id = decision.id.int + 1
    for index, option in enumerate(evaluation.options):
        if option.disclosure is None or option.schedule is None:
            continue
        name_of_table = decision.disclosures[option.plan] = digest(option.disclosure)
        decision.quotes[option.plan] = sign_quote(
            Claims(
                # The n-th quote of a decision: as unique as the decision, at no cost of randomness.
                ((first_id + index) & _UUID_MASK).to_bytes(16, "big"),
                customer,
                shop,
                name,
                option.plan,
                evaluation.policy_digest,
                evaluation.currency,
                evaluation.amount_minor,
                start_on,
                cart,
                figures_of(option.schedule, name_of_table),
                issued,
                expires,
            )
        )


_UUID_MASK: Final = (1 << 128) - 1
_json = msgspec.json.Encoder().encode


def figures_of(schedule: Schedule, disclosure_digest: str) -> bytes:
    """One name for all figures of an offer: every instalment, and every line of the table of costs."""
    return sha256(disclosure_digest.encode() + _json(schedule)).digest()


def _record(decision: Decision) -> log.Record:
    evaluation = decision.evaluation
    verdicts = {
        option.plan: (option.verdict.state, [reason.code for reason in option.verdict.reasons])
        for option in evaluation.options
    }
    return log.Record(
        decision.shop_id,
        decision.customer_id,
        decision.id,
        decision.at,
        decision.source,
        evaluation.policy_digest,
        evaluation.amount_minor,
        evaluation.currency,
        msgspec.Raw(_json(decision.request)),
        msgspec.Raw(_json(verdicts)),
    )


class _Written(msgspec.Struct, frozen=True):
    """A recorded request as JSON has it: sets are lists there."""

    lines: tuple[Line, ...]
    currency: str
    channel: str
    at: int
    facts: dict[str, Any] = {}
    last_used_family: str | None = None
    coupon: str | None = None
    ship_to: str | None = None
    overrides: tuple[Override, ...] = ()
    as_of: dict[str, int] = {}


_written: Final = msgspec.json.Decoder(_Written).decode


def load(decision_public_id: str, *, shop: Shop | None = None) -> Decision:
    """A recorded decision, decided again from its record: the same policy, the same facts, the same answer.

    `shop` defaults to the installation's only one. Raises `NoDecision`, for another shop's decisions too.
    """
    shop = shop or only_shop()
    try:
        customer_id, name = parse_public_id(decision_public_id, "dc")
    except ValueError:
        raise NoDecision(decision_public_id) from None
    return _load(shop, customer_id, name)


def _load(shop: Shop, customer_id: UUID, name: UUID) -> Decision:
    use_shop(shop.id)
    record = log.read(customer_id, name)
    if record is None or record.shop_id != shop.id:
        raise NoDecision(public_id("dc", customer_id, name))
    return decision_of(shop, record)


def decision_of(shop: Shop, record: log.Record) -> Decision:
    """A record, decided again: the same policy, the same facts, the same special cases."""
    request = request_of(record)
    policy = policies.by_digest(record.policy_digest)
    return Decision(
        record.decision_id,
        shop.id,
        record.customer_id,
        record.recorded_at,
        record.source,
        policy,
        request,
        evaluate_cart(policy, request),
    )


def request_of(record: log.Record) -> CheckoutRequest:
    """What was asked and known, as it was recorded."""
    written = _written(record.input)
    return CheckoutRequest(
        written.lines,
        written.currency,
        written.channel,
        written.at,
        freeze_facts(written.facts),  # type: ignore[arg-type]  # they were facts when they were written
        written.last_used_family,
        written.coupon,
        written.ship_to,
        overrides=written.overrides,
        as_of=written.as_of,
    )


def asked_of(record: log.Record) -> CheckoutRequest:
    """As `request_of`, with who asked: for deciding it under another policy, which may be for a share of the customers."""
    request = request_of(record)
    if record.customer_id == anonymous_party(record.shop_id):
        return request
    facts = {**request.facts, "customer.id": record.customer_id.hex}
    return msgspec.structs.replace(request, facts=facts)


def confirm(
    shop: Shop,
    customer_id: UUID,
    quote_token: str,
    order_ref: str,
    acknowledged_disclosure: str | None,
    at: datetime,
    *,
    lines: Sequence[Line] | None = None,
    asserted: Mapping[str, object] | None = None,
    as_of: Mapping[str, int] | None = None,
    reading: str | None = None,
    return_url: str = "",
    source: str = "confirm",
) -> Confirmed | HandedOff:
    """The customer agrees to an offer: everything of it in one transaction, or nothing.

    The customer is locked, the facts gathered again, and the same function decides again under the policy of now. A
    live quote is honoured at its figures through changes of price and strategy; any other new reason is a `Refused`
    with what changed. What is owed over time is confirmed only with the name of the table that was agreed to
    (`acknowledged_disclosure`) and the note of its reading (`reading`), once its time has passed. `lines` and `asserted`, where given, are the cart and the shop's facts as they are now; otherwise
    those of the decision count.
    """
    claims = _read(quote_token)
    _check_owner(claims, shop, customer_id)
    with transaction.atomic():
        use_shop(shop.id)
        servicing.lock_customer(shop, customer_id)
        confirmation = uuid7(at)
        _use_quote(shop, claims, confirmation, at)
        shown = _shown(shop, claims, at)
        _check_cart(claims, lines, shown.request)
        quoted = offer_of(claims)
        read = _read_by(claims, quoted.disclosure, acknowledged_disclosure, reading, at)
        decision, used = _decide_and_take(
            shop, customer_id, shown, quoted.plan, lines, asserted, as_of, confirmation, at, source
        )
        if decision.policy.digest != shown.policy.digest:
            # The policy of now with the plan as it was quoted was never published; its decision has to replay too.
            policies.keep(shop, decision.policy.snapshot, decision.policy.sets, at)
        log.insert([_record(shown), _record(decision)])
        if read is not None:
            disclosures.acknowledge(
                shop, customer_id, decision.id, read, quoted.disclosure.reading_seconds, at
            )
        special_cases.use(shop, customer_id, used, decision.id, claims.amount_minor, order_ref, at)
        if quoted.policy.funders[quoted.plan.funder].own_book:
            contract = servicing.open_contract(
                shop,
                customer_id,
                plan=quoted.plan,
                schedule=quoted.schedule,
                disclosure=quoted.disclosure,
                policy_digest=claims.policy,
                order_ref=order_ref,
                decision_id=decision.public_id,
                at=at,
            )
            enqueue(
                shop,
                customer_id,
                "contract.opened",
                {
                    "contract_id": contract,
                    "order_ref": order_ref,
                    "plan": claims.plan,
                    "financed_minor": quoted.schedule.financed_minor,
                    "total_minor": quoted.schedule.total_minor,
                    "currency": claims.currency,
                    "evaluation_id": shown.public_id,
                },
                at,
            )
            return Confirmed(contract, decision.public_id)
        if not funder_health.connected(shop, quoted.plan.funder):
            raise Refused(
                "funder_not_connected",
                Text("此机构尚未接通", "This funder is not connected"),
                Text(
                    "本店尚未与该机构接通，未做任何扣款或签约。请选择其他方式。",
                    "This shop has no connection to the funder yet. Nothing was agreed or charged: choose another way.",
                ),
            )
        if not consents.given(shop, customer_id, quoted.plan.funder):
            raise Refused(
                "consent_missing",
                Text("需要您的授权", "Your consent is needed"),
                Text(
                    "将订单信息提供给该机构前，需要您先同意。",
                    "Before the order is passed to this funder, you have to agree to it.",
                ),
                field_name="consents",
            )
        started = handoffs.start(
            shop,
            customer_id,
            uuid7(at),
            at,
            funder=quoted.plan.funder,
            plan=claims.plan,
            family=quoted.plan.family,
            amount_minor=claims.amount_minor,
            currency=claims.currency,
            order_ref=order_ref,
            decision_id=decision.id,
            quote_id=claims.quote_id,
            return_url=return_url,
        )
        return HandedOff(started.public_id, handoffs.page_url(started), started.state, decision.public_id)


def _read(quote_token: str) -> Claims:
    try:
        return read_quote(quote_token)
    except BadToken as bad:
        raise Refused(f"quote_{bad.code}", *_BAD_TOKEN[bad.code]) from None


def _check_owner(claims: Claims, shop: Shop, customer_id: UUID) -> None:
    for found, expected, what in (
        (claims.shop, shop.id.bytes, Text("另一家店铺", "another shop")),
        (claims.customer, customer_id.bytes, Text("另一位客户", "another customer")),
    ):
        if found != expected:
            raise Refused(
                "quote_foreign",
                Text("报价不属于此处", "The quote belongs elsewhere"),
                Text(f"此报价是给{what.zh_cn}的。", f"This quote was given to {what.en}."),
            )


def _check_cart(claims: Claims, lines: Sequence[Line] | None, shown: CheckoutRequest) -> None:
    if lines is not None and cart_digest(tuple(lines), claims.currency, shown.coupon or "") != claims.cart:
        raise Refused(
            "quote_foreign",
            Text("报价不属于此购物车", "The quote belongs to another cart"),
            Text(
                "购物车已变化，请重新查看支付方式。", "The cart has changed: ask for the ways to pay again."
            ),
            field_name="lines",
        )


def _use_quote(shop: Shop, claims: Claims, confirmation: UUID, at: datetime) -> None:
    """Once per customer: the row and the contract are written together or not at all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO decisions_quote_use (shop_id, customer_id, quote_id, used_at, became)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [shop.id, claims.customer_id, claims.quote_id, at, str(confirmation)],
        )
        if cursor.rowcount == 0:
            raise Refused(
                "quote_reused",
                Text("报价已使用", "The quote was used"),
                Text("此报价已经确认过一次。", "This quote has been confirmed once already."),
            )
    _check_expiry(claims, at)


def _check_expiry(claims: Claims, at: datetime) -> None:
    if at.timestamp() >= claims.expires:
        raise Refused(
            "quote_expired",
            Text("报价已过期", "The quote has expired"),
            Text(
                f"此报价有效至 {claims.expires_at:%Y-%m-%d %H:%M:%S} UTC，请重新查看支付方式。",
                f"This quote stood until {claims.expires_at:%Y-%m-%d %H:%M:%S} UTC: ask for the ways to pay again.",
            ),
        )


def _shown(shop: Shop, claims: Claims, at: datetime) -> Decision:
    # Another process may still hold the record of what it showed a moment ago: it writes within a second.
    patience = _PATIENCE if at.timestamp() - claims.issued < _FRESH_SECONDS else 0
    while True:
        try:
            return _load(shop, claims.customer_id, claims.decision_id)
        except NoDecision:
            if patience == 0:
                break
        patience -= 1
        time.sleep(_PAUSE_SECONDS)
    raise Refused(
        "decision_unknown",
        Text("请重新查看支付方式", "Ask for the ways to pay again"),
        Text(
            "未找到此报价所依据的记录，请重新查看支付方式。",
            "The record that this quote rests on is not there: ask for the ways to pay again.",
        ),
    )


_FRESH_SECONDS: Final = 5
_PAUSE_SECONDS: Final = 0.1
_PATIENCE: Final = 12


@dataclass(frozen=True, slots=True)
class QuotedOffer:
    """An offer as it was quoted, computed anew from the snapshot that its quote names."""

    policy: Policy
    plan: Plan
    schedule: Schedule
    cost: Cost
    disclosure: Disclosure


def offer_of(claims: Claims) -> QuotedOffer:
    """The offer that a quote stands for. Raises `Refused` (figures_changed) where it comes to other figures now."""
    policy = policies.by_digest(claims.policy)
    plan = policy.plan(claims.plan)
    # Whether a lease's deposit was waived is in no claim of its own: the figures say it.
    for waived in (False, True) if isinstance(plan.pricing, Lease) else (False,):
        schedule = build_schedule(
            plan,
            claims.amount_minor,
            claims.currency,
            claims.start,
            policy.calendars,
            deposit_waived=waived,
        )
        cost = cost_of(schedule, plan)
        disclosure = disclosed(policy, plan, schedule, cost, claims.issued)
        if figures_of(schedule, digest(disclosure)) == claims.figures:
            return QuotedOffer(policy, plan, schedule, cost, disclosure)
    # Only another version of the engine can get here; the customer was shown other figures than we would book.
    raise Refused(
        "figures_changed",
        Text("费用计算已更新", "The figures are worked out anew"),
        Text("请重新查看支付方式。", "Ask for the ways to pay again."),
    )


@dataclass(frozen=True, slots=True)
class BegunReading:
    """A table that is being read: its name, what it says, and the note that is handed in with the agreement."""

    digest: str
    disclosure: Disclosure
    note: str


def begin_reading(shop: Shop, customer_id: UUID, quote_token: str, at: datetime) -> BegunReading:
    """The table of a quote is shown to its customer from now on. It is kept under its name. Raises `Refused`."""
    claims = _read(quote_token)
    _check_owner(claims, shop, customer_id)
    _check_expiry(claims, at)
    table = offer_of(claims).disclosure
    name = disclosures.keep(shop, table, at)
    return BegunReading(name, table, disclosures.begin(claims, name, at))


def _read_by(
    claims: Claims, table: Disclosure, acknowledged: str | None, note: str | None, at: datetime
) -> disclosures.Reading | None:
    """The reading that the agreement rests on; None where nothing is owed after the start and none was handed in."""
    name = digest(table)
    if acknowledged is None and table.is_credit:
        raise Refused(
            "disclosure_not_acknowledged",
            Text("尚未确认费用明示表", "The table of costs was not acknowledged"),
            Text(
                "签约前需展示综合融资成本明示表，并由客户确认。",
                "The table of all costs is shown and acknowledged before anything is signed: send the digest of this "
                "quote's table.",
            ),
            field_name="acknowledged_disclosure",
        )
    if acknowledged is not None and acknowledged != name:
        raise Refused(
            "disclosure_differs",
            Text("确认的费用明细与报价不一致", "Another table of costs was acknowledged"),
            Text(
                "请确认此报价的费用明细。",
                "The table of costs acknowledged is not the one of this quote: show this quote's table.",
            ),
            field_name="acknowledged_disclosure",
        )
    if note is None:
        if not table.is_credit:
            return None
        raise Refused(
            "disclosure_not_shown",
            Text("尚未展示费用明示表", "The table of costs was not shown"),
            Text(
                "未收到费用明示表的展示记录，请先展示该表。",
                "There is no word of the table having been shown: begin a reading when it is shown, and send its note.",
            ),
            field_name="reading",
        )
    try:
        reading = disclosures.read(note)
    except BadToken as bad:
        raise Refused(
            f"reading_{bad.code}",
            Text("展示记录无法读取", "The note of the reading cannot be read"),
            Text(
                "请重新展示费用明示表。",
                "Show the table again, and send the note of that reading as it was given.",
            ),
            field_name="reading",
        ) from None
    if (reading.quote, reading.customer, reading.shop, reading.table) != (
        claims.quote,
        claims.customer,
        claims.shop,
        name,
    ):
        raise Refused(
            "reading_foreign",
            Text("展示记录不属于此报价", "The reading is of another quote"),
            Text(
                "请展示此报价的费用明示表。",
                "It was begun for another quote or table: show this quote's table.",
            ),
            field_name="reading",
        )
    seconds = disclosures.left(reading, table.reading_seconds, at)
    if seconds:
        raise Refused(
            "reading_too_short",
            Text("阅读时间未到", "The table has not been read for long enough"),
            Text(
                f"费用明示表至少需阅读{table.reading_seconds}秒，还剩{seconds}秒。",
                f"The table of costs is read for at least {table.reading_seconds} seconds: {seconds} are left.",
            ),
            field_name="reading",
            seconds_left=seconds,
        )
    return reading


def _decide_and_take(
    shop: Shop,
    customer_id: UUID,
    shown: Decision,
    plan: Plan,
    lines: Sequence[Line] | None,
    asserted: Mapping[str, object] | None,
    as_of: Mapping[str, int] | None,
    name: UUID,
    at: datetime,
    source: str,
) -> tuple[Decision, tuple[str, ...]]:
    """Decide again, and take what the confirmation uses of the funder's quota and of the shop's budgets.

    Another confirmation may have taken it between the two. Then the engine is asked once more, with what is left by
    now, and its answer is the refusal: there is no second judgement of what is enough. Returns the special cases used
    too: what one grants comes on top of any budget.
    """
    for _ in range(_TAKE_ATTEMPTS):
        decision = _decide_again(shop, customer_id, shown, plan, lines, asserted, as_of, name, at, source)
        used = _check_verdict(shop, decision, plan.id, shown)
        try:
            with transaction.atomic():
                budgets.reserve(
                    shop,
                    customer_id,
                    decision.public_id,
                    decision.policy,
                    plan,
                    decision.evaluation.amount_minor,
                    at,
                    lifted=frozenset([each.rule for each in decision.request.overrides if each.id in used]),
                )
        except budgets.Spent:
            continue
        return decision, used
    raise Refused(
        "verdict_changed",
        Text("此支付方式现在不可用", "This way to pay is no longer available"),
        Text(
            "名额正被其他订单占用，未做任何扣款或签约。请稍后再试或选择其他方式。",
            "Other orders are taking what is left. Nothing was agreed or charged: try again, or choose another way.",
        ),
        evaluation=decision.evaluation,
        policy=decision.policy,
    )


_TAKE_ATTEMPTS: Final = 3


def _decide_again(
    shop: Shop,
    customer_id: UUID,
    shown: Decision,
    plan: Plan,
    lines: Sequence[Line] | None,
    asserted: Mapping[str, object] | None,
    as_of: Mapping[str, int] | None,
    name: UUID,
    at: datetime,
    source: str,
) -> Decision:
    policy = _with_plan(policies.current(shop.id, at, customer_id), shown.policy, plan)
    told = asserted
    if told is None:
        vocabulary = policy.vocabulary
        told = {
            fact: value
            for fact, value in shown.request.facts.items()
            if fact in vocabulary and fact_sources.may_assert(vocabulary[fact])
        }
    # What is told now is of now, if nothing else is said of it; what is only repeated is as old as it was.
    ages = (shown.request.as_of if asserted is None else as_of) or {}
    ages = {fact: instant for fact, instant in ages.items() if fact in told}
    known = fact_sources.gather_dated(shop, customer_id, told, policy, at, as_of=ages, fresh=True)
    request = msgspec.structs.replace(
        shown.request,
        at=int(at.timestamp()),
        facts=known.facts,
        as_of=known.as_of,
        lines=tuple(lines) if lines is not None else shown.request.lines,
        # Asked again as every other fact is: one that ended since the quote does not count any more.
        overrides=special_cases.active(shop, customer_id, at),
    )
    return Decision(name, shop.id, customer_id, at, source, policy, request, evaluate_cart(policy, request))


def _with_plan(policy: Policy, quoted: Policy, plan: Plan) -> Policy:
    """The policy of now, with the plan as it was quoted: so its rules judge the figures that will be booked.

    A plan that is no longer sold is judged by the rules about its funder and family. One whose funder is gone has no
    agreement to stand on: then the policy stays as it is, and the plan is missing from it.
    """
    if policy.digest == quoted.digest:
        return policy
    index = policy.plan_index.get(plan.id)
    if index is not None and policy.plans[index] == plan:
        return policy
    return _patched(policy, quoted, plan)


@lru_cache(maxsize=64)
def _patched(policy: Policy, quoted: Policy, plan: Plan) -> Policy:
    snapshot = policy.snapshot
    if plan.funder not in policy.funders:
        return policy
    plans = tuple([plan if each.id == plan.id else each for each in snapshot.plans])
    if plan.id not in policy.plan_index:
        plans = (*snapshot.plans, plan)
    families = snapshot.families
    if plan.family not in policy.families:
        families = (*families, quoted.families[plan.family])
    return compile_policy(msgspec.structs.replace(snapshot, plans=plans, families=families), policy.sets)


def _check_verdict(shop: Shop, decision: Decision, plan: str, shown: Decision) -> tuple[str, ...]:
    """That the offer stands, and the special cases that it stands on. Raises `Refused`."""
    try:
        option = decision.evaluation.option(plan)
    except KeyError:
        raise Refused(
            "plan_withdrawn",
            Text("此支付方式已下线", "This way to pay is no longer sold"),
            Text(
                "与该机构的合作已结束，未做任何扣款或签约。请选择其他方式。",
                "The agreement with its funder is over. Nothing was agreed or charged: choose another way.",
            ),
            evaluation=decision.evaluation,
            policy=decision.policy,
        ) from None
    verdict = option.verdict
    before = shown.evaluation.option(plan).verdict
    # What a special case had set aside was never the shop's promise to everybody: it is not honoured past its end.
    lifted = {override.rule for override in shown.request.overrides if override.id in before.overrides}
    against = tuple(
        [
            reason
            for reason in verdict.reasons
            if not is_honoured(reason.layer, reason.code) or reason.rule in lifted
        ]
    )
    if verdict.offered or not against:
        _check_deposit(decision, option, shown.evaluation.option(plan))
        return verdict.overrides
    was = before.state
    if lifted.intersection(reason.rule for reason in against):
        raise Refused(
            "override_ended",
            *_ended(shop, before.overrides, decision.at),
            changed=Changed(plan, was, verdict.state, against, verdict),
            alternatives=option.alternatives,
            evaluation=decision.evaluation,
            policy=decision.policy,
        )
    raise Refused(
        "verdict_changed",
        Text("此支付方式现在不可用", "This way to pay is no longer available"),
        Text(
            "自报价以来情况有变，未做任何扣款或签约。请查看原因和其他方式。",
            "Something changed since the quote. Nothing was agreed or charged: see why, and what else there is.",
        ),
        changed=Changed(plan, was, verdict.state, against, verdict),
        alternatives=option.alternatives,
        evaluation=decision.evaluation,
        policy=decision.policy,
    )


def _check_deposit(decision: Decision, option: Option, shown: Option) -> None:
    """That a deposit which was waived is not asked for by now, for a reason that a quote is not honoured through."""
    before, verdict = shown.deposit_verdict, option.deposit_verdict
    if not is_waived(before) or before is None or verdict is None or is_waived(verdict):
        return
    against = tuple([reason for reason in verdict.reasons if not is_honoured(reason.layer, reason.code)])
    if against:
        raise Refused(
            "verdict_changed",
            Text("押金现在不能免除", "The deposit is no longer waived"),
            Text(
                "自报价以来情况有变，未做任何扣款或签约。请重新查看押金和其他方式。",
                "Something changed since the quote. Nothing was agreed or charged: see the deposit anew, and what else "
                "there is.",
            ),
            changed=Changed(option.plan, before.state, verdict.state, against, verdict),
            alternatives=option.alternatives,
            evaluation=decision.evaluation,
            policy=decision.policy,
        )


def _ended(shop: Shop, overrides: tuple[str, ...], at: datetime) -> tuple[Text, Text]:
    """Title and detail for a customer whose special case does not carry the order any more, and why not."""
    title = Text("特批已失效", "The special case is over")
    rest = Text(
        "未做任何扣款或签约。请查看原因和其他方式，或联系客服。",
        "Nothing was agreed or charged: see why, what else there is, or ask support.",
    )
    for found in special_cases.expired_of(shop, overrides, at):
        if found.revoked_at is not None:
            return title, Text(
                f"为您开通的特批已于 {_moment(shop, found.revoked_at)} 撤销，{rest.zh_cn}",
                f"The special case made for you was revoked at {_moment(shop, found.revoked_at)}. {rest.en}",
            )
        if found.expires_at is not None:
            return title, Text(
                f"为您开通的特批有效至 {_moment(shop, found.expires_at)}，现已到期，{rest.zh_cn}",
                f"The special case made for you stood until {_moment(shop, found.expires_at)} and has expired. {rest.en}",
            )
    return title, Text(
        f"为您开通的特批不足以覆盖此订单的金额，{rest.zh_cn}",
        f"What is left of the special case made for you does not cover this order. {rest.en}",
    )


def _moment(shop: Shop, at: datetime) -> str:
    return f"{at.astimezone(zone_of(shop.time_zone)):%Y-%m-%d %H:%M}"


_BAD_TOKEN: Final = {
    "malformed": (
        Text("报价无法读取", "The quote cannot be read"),
        Text(
            "报价格式不正确。", "It is not a quote: send back the token of an offer exactly as it was given."
        ),
    ),
    "unknown_key": (
        Text("报价的签名密钥未知", "The quote was signed with an unknown key"),
        Text("此报价不是由本服务签发，或密钥已停用。", "It was not signed here, or its key is retired."),
    ),
    "tampered": (
        Text("报价被改动", "The quote was tampered with"),
        Text("报价内容与其签名不符。", "What it says does not fit its signature."),
    ),
}

"""What is kept of a customer: all of it as one file, and forgetting what need not be kept.

A file that left something out without saying so would be a wrong answer: every table with a customer's key is either in
`EXPORTED` or in `LEFT_OUT` with its reason, and a test holds the two against the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import local_date
from fenqi.money import format_money
from fenqi.policy.verdict import for_customer
from fenqi.texts import Text
from fenqi_server.autopay import mandates
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import public_id
from fenqi_server.policies import audit
from fenqi_server.policies import service as policies
from fenqi_server.portal import entry
from fenqi_server.servicing import requests
from fenqi_server.servicing import service as servicing
from fenqi_server.shops.models import Shop
from fenqi_server.subscriptions import subscription, wishes
from fenqi_server.support import cases

__all__ = ["EXPORTED", "LEFT_OUT", "Erased", "NotYet", "erase", "file_of", "in_the_way"]

DECISIONS_A_PAGE: Final = 200
"""So many are held at a time while a file is made."""

EXPORTED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "names_in_the_shop": ("customers_alias", ()),
    "customer": ("customers_customer", ()),
    "private": ("customers_private", ()),
    "contracts": ("servicing_contract", ()),
    "events": ("servicing_event", ()),
    "standing": ("servicing_state", ()),
    "requests": ("servicing_request", ("taken_by",)),
    "request_answers": ("servicing_request_decision", ("decided_by",)),
    "mandates": ("autopay_mandate", ("tool_token",)),
    "mandates_withdrawn": ("autopay_withdrawal", ()),
    "automatic_payments": ("autopay_attempt", ()),
    "consents": ("funders_consent", ()),
    "assessments": ("funders_prequal", ()),
    "hand_offs": ("funders_hand_off", ()),
    "quotes_used": ("decisions_quote_use", ()),
    "tables_of_costs_read": ("disclosures_acknowledgement", ()),
    "compensations": ("announcements_grant", ()),
    "asked_to_be_told": ("subscriptions_wish", ("token",)),
    "subscriptions": ("subscriptions_subscription", ("token", "sealed_secret")),
    "reminders_wished": ("reminders_wish", ()),
    "reminders": ("reminders_notice", ()),
    "cases": ("support_case", ()),
    "case_messages": ("support_message", ("actor",)),
    "orders": ("storefront_order", ()),
    "visits": ("portal_link", ("return_url",)),
    "booked": ("books_transaction", ()),
}
"""Part of the file: its table, and the columns that are a secret or somebody else's name."""

LEFT_OUT: Final[dict[str, str]] = {
    "decisions_decision": "in the file as `decisions`, with the reasons as the customer may read them",
    "support_note": "what colleagues tell each other about a case",
    "support_override": "working papers of the desk; what came of them stands in the decisions",
    "support_override_act": "as support_override",
    "support_override_use": "as support_override",
    "autopay_due": "work that waits, deleted when it is done; what it asks for stands in the contract",
    "autopay_outcome": "what stands in `automatic_payments`, as it was told",
    "budgets_consumption": "the shop's own money spent on an offer; the offer stands in the contract",
    "outbox_message": "messages to the shop that wait; what they say stands in the file",
    "outbox_delivery": "when such a message was delivered",
    "reconciliation_break": "lines of a bank's statement that finance looks into",
    "reconciliation_match": "which line of a bank's statement a payment was",
    "servicing_month_end": "how far the end of a month has come; nothing of the customer stands there",
    "servicing_watch": "which days a contract has to be looked at next",
    "reminders_term": "when a customer is reminded next that a rental ends",
    "reminders_message": "reminders that wait; what they are about stands in `reminders`",
    "reminders_outcome": "when such a reminder was sent, without its address",
    "servicing_close_failure": "a day's close that has to be repeated",
    "servicing_idempotency": "the answers to the shop's own calls, kept a day",
    "subscriptions_message": "messages that wait; to whom and about what stands in the file",
    "subscriptions_delivery": "when such a message was sent, without its address",
    "support_mail": "a reply that waits to be mailed; it stands in `case_messages`",
    "support_mail_outcome": "when it was mailed, without its address",
}
"""Tables with a customer's key that are not in the file as they are, and why."""


class NotYet(Exception):  # an answer, and nothing was written
    """Why a customer cannot be forgotten now: each reason with its way out."""

    def __init__(self, reasons: tuple[Text, ...]) -> None:
        super().__init__("; ".join(reason.en for reason in reasons))
        self.reasons = reasons


class Erased(msgspec.Struct, frozen=True):
    """What was forgotten, by kind."""

    private: bool
    subscriptions: int
    wishes: int
    texts: int
    mandates: int
    visits: int


def file_of(shop: Shop, customer_id: UUID, at: datetime) -> Iterator[bytes]:
    """All that is kept of a customer as one JSON object, a part at a time: nobody's file is too long to be made."""
    kept = {
        "format": "fenqi/customer@1",
        "shop": {"code": shop.code, "name": {"zh-CN": shop.name_zh_cn, "en": shop.name_en}},
        "made_at": at.isoformat(),
        **_tables(shop, customer_id),
        "contracts_now": [
            {
                "contract_id": view.contract_id,
                "order_ref": view.order_ref,
                "state": {
                    name: value
                    for name, value in msgspec.to_builtins(view.state).items()
                    if name != "movements"
                },
                "balance_minor": view.state.balance_minor,
            }
            for view in servicing.contracts_of(shop, customer_id, local_date(at, shop.time_zone))
        ],
        "left_out": LEFT_OUT,
    }
    # The decisions come last: the object is left open for them.
    yield (
        msgspec.json.format(msgspec.json.encode(kept), indent=1).removesuffix(b"\n}") + b',\n "decisions": ['
    )
    between = b"\n"
    for one in _decisions(shop, customer_id):
        yield between + b"  " + msgspec.json.encode(one)
        between = b",\n"
    yield b"\n ]\n}\n"


def _tables(shop: Shop, customer_id: UUID) -> dict[str, Any]:
    use_shop(shop.id)
    parts: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for part, (table, without) in EXPORTED.items():
            minus = "".join(f" - '{column}'" for column in ("shop_id", "customer_id", *without))
            cursor.execute(
                f"SELECT coalesce(jsonb_agg(to_jsonb(t){minus} ORDER BY t.ctid), '[]')::text FROM {table} AS t"
                " WHERE t.customer_id = %s AND t.shop_id = %s",
                [customer_id, shop.id],
            )
            parts[part] = msgspec.json.decode(cursor.fetchone()[0])
    return parts


def _decisions(shop: Shop, customer_id: UUID) -> Iterator[dict[str, Any]]:
    """Every decision, the newest first."""
    before: UUID | None = None
    while True:
        use_shop(shop.id)
        page = log.newest_of(customer_id, DECISIONS_A_PAGE, before)
        for record in page:
            if record.shop_id == shop.id:
                yield _decision(shop, record)
        if len(page) < DECISIONS_A_PAGE:
            return
        before = page[-1].decision_id


def _decision(shop: Shop, record: log.Record) -> dict[str, Any]:
    one: dict[str, Any] = {
        "decision": public_id("dc", record.customer_id, record.decision_id),
        "at": record.recorded_at.isoformat(),
        "where": record.source,
        "asked": msgspec.json.decode(record.input),
    }
    try:
        options = decisions.decision_of(shop, record).evaluation.options
    except policies.NoPolicy:
        one["answers"] = "the policy of that time is not kept here"
    else:
        # What a customer may not read of a reason (which signal of risk it was) is not in their file either.
        one["answers"] = {
            option.plan: {
                "state": option.verdict.state,
                "reasons": [for_customer(reason).code for reason in option.verdict.reasons],
            }
            for option in options
        }
    return one


def in_the_way(shop: Shop, customer_id: UUID, at: datetime) -> tuple[Text, ...]:
    """Why a customer cannot be forgotten now; empty where nothing is in the way."""
    reasons = []
    currency = shop.currency
    contracts = servicing.contracts_of(shop, customer_id, local_date(at, shop.time_zone))
    states = [view.state for view in contracts]
    running = {view.contract_id for view in contracts if view.state.status == "active"}
    owed = sum(state.balance_minor for state in states if state.status == "active")
    claimed = sum(max(state.written_off_minor - state.recovered_minor, 0) for state in states)
    kept = sum(state.refund_due_minor + state.unapplied_minor for state in states)
    if any(state.status == "active" for state in states):
        amount = format_money(owed, currency)
        reasons.append(
            Text(
                f"有合同尚在履行，还应还{amount}。全部还清后可以删除。",
                f"A contract is running, and {amount} is owed. Once everything is paid, it can be done.",
            )
        )
    if claimed:
        amount = format_money(claimed, currency)
        reasons.append(
            Text(
                f"有{amount}虽已作坏账处理但仍需偿还。请与商城联系。",
                f"{amount} is owed still, though the shop gave it up in its book. Ask the shop.",
            )
        )
    if kept:
        amount = format_money(kept, currency)
        reasons.append(
            Text(
                f"商城还有{amount}应退还给您。退还后可以删除。",
                f"{amount} is still to be paid back to you. Once you have it, it can be done.",
            )
        )
    if any(
        # Help with paying is waited for no more where nothing is owed.
        each.state == "open" and (each.kind != "hardship" or each.contract_id in running)
        for each in requests.of_customer(shop, customer_id)
    ):
        reasons.append(
            Text(
                "您有一项申请尚未处理。请等待结果，或先撤回。",
                "Something that you asked for is not decided. Wait for the answer, or take it back.",
            )
        )
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM funders_hand_off WHERE customer_id = %s AND shop_id = %s"
            " AND state IN ('started', 'unknown')), EXISTS (SELECT FROM autopay_attempt WHERE customer_id = %s"
            " AND shop_id = %s AND state IN ('asked', 'sent', 'unknown'))",
            [customer_id, shop.id, customer_id, shop.id],
        )
        handed_off, asked = cursor.fetchone()
    if handed_off:
        reasons.append(
            Text(
                "有一笔订单正在等待资方答复。",
                "An order waits for a funder's answer: wait until it is known.",
            )
        )
    if asked:
        reasons.append(
            Text(
                "有一笔自动扣款尚无结果。",
                "An automatic payment is under way: wait until it is known whether it arrived.",
            )
        )
    return tuple(reasons)


def erase(shop: Shop, customer_id: UUID, at: datetime, *, actor: str = "customer") -> Erased:
    """Forget who the customer is and what they wrote, in one transaction, and write down that it was done.

    What the law has the shop keep stays under a key that means nothing: contracts, events, the book, decisions, consents, mandates
    that were given. Raises `NotYet` where something is in the way.
    """

    def act() -> Erased:
        customers.lock(shop, customer_id)
        reasons = in_the_way(shop, customer_id, at)
        if reasons:
            raise NotYet(reasons)
        ended = 0
        while followed := subscription.of_customer(shop, customer_id):
            for each in followed:
                subscription.end(shop, each, at)
            ended += len(followed)
        wished = 0
        while waiting := wishes.of_customer(shop, customer_id):
            for wish in waiting:
                wishes.cancel(shop, wish, at)
            wished += len(waiting)
        for request in requests.of_customer(shop, customer_id):
            if request.state == "open":
                requests.withdraw(shop, request.request_id, at)
        standing = [each for each in mandates.mandates_of(shop, customer_id) if each.stands]
        for mandate in standing:
            mandates.withdraw(shop, mandate.mandate_id, at)
        done = Erased(
            private=customers.erase_private(shop, customer_id),
            subscriptions=ended,
            wishes=wished,
            texts=cases.forget_words(shop, customer_id) + requests.forget_words(shop, customer_id),
            mandates=len(standing),
            visits=entry.end_all(shop, customer_id, at),
        )
        audit.record(
            shop,
            actor,
            "customer.erase",
            f"customer:{customer_id}",
            at,
            after=msgspec.to_builtins(done),
        )
        return done

    return in_transaction(act)

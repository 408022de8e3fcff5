"""The shop's own contracts: opening one, paying it, letting its due dates come, and what a customer owes in all.

Each act is one database transaction: events, postings, the cached row and the message to the shop happen together or
not at all. Locks are taken in one order everywhere: the request's key, the customer, the contract.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID, uuid5

import msgspec
from django.db import connection

from fenqi.calendars import format_date, local_date, to_epoch
from fenqi.contracts.contract import ContractState, PaidPart
from fenqi.contracts.events import (
    Confirmed,
    DueMoved,
    DueReached,
    Event,
    PaymentFailed,
    PaymentReceived,
    PaymentReversed,
    PayoffQuoted,
    Recovered,
    Shipped,
)
from fenqi.contracts.terms import Allocation, ContractTerms, pin
from fenqi.ledger.accounts import IN_TRANSIT, UNAPPLIED_CASH
from fenqi.ledger.entries import Entries
from fenqi.money import check_minor, format_money
from fenqi.problems import BadInput
from fenqi.terms.agreed import AccelerationTerms, LateTerms, PayoffTerms, ReturnTerms
from fenqi.terms.disclosure import Disclosure
from fenqi.terms.plan import Plan
from fenqi.terms.schedule import Schedule
from fenqi.texts import Text
from fenqi_server.books.posting import post
from fenqi_server.customers import service as customers
from fenqi_server.days import FIRST
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import parse_public_id, public_id, uuid7
from fenqi_server.outbox.service import enqueue
from fenqi_server.servicing import storage
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = [
    "LEAVE_A_QUOTE",
    "MATCHED",
    "STANDING_SQL",
    "ContractView",
    "DueReport",
    "NoContract",
    "PaymentKind",
    "PaymentResult",
    "Refusal",
    "Standing",
    "arrears",
    "book_payment",
    "contracts_of",
    "customer_of",
    "exposure",
    "get",
    "lock_customer",
    "open_contract",
    "parsed",
    "pay",
    "put_off",
    "reached_by",
    "reference_reused",
    "reverse",
    "standing",
    "tell_reversed",
    "unsettles",
    "view_of",
]

log = logging.getLogger(__name__)

PaymentKind = Literal["request", "received"]
"""`request`: asked of us, and refused above the debt. `received`: it has arrived, and is booked whatever it is for."""

DUE_BATCH: Final = 200
MAX_REFERENCE: Final = 200
MATCHED: Final = "matched:"
"""How the settlement of a payment begins that named no contract and was matched to one (`fenqi_server.servicing.unapplied`)."""


class NoContract(LookupError):
    """No contract of this shop has the id."""


class Refusal(Exception):  # an answer, and nothing was written
    """A request that was not done, and why: `code` for programs, the rest for people in both languages.

    `owed_minor` is what could be paid now; `asked_minor` what was asked. Of an act that cannot follow the state, `state`, `rule`
    and `way_out` say each by itself what `detail` says together.
    """

    def __init__(
        self,
        code: str,
        title: Text,
        detail: Text,
        *,
        asked_minor: int = 0,
        owed_minor: int = 0,
        currency: str = "",
        state: Text | None = None,
        rule: Text | None = None,
        way_out: Text | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail.en}")
        self.code = code
        self.title = title
        self.detail = detail
        self.asked_minor = asked_minor
        self.owed_minor = owed_minor
        self.currency = currency
        self.state = state
        self.rule = rule
        self.way_out = way_out


class ContractView(msgspec.Struct, frozen=True, kw_only=True):
    """A contract with its state on a day: what pages and the API show."""

    contract_id: str
    customer_id: UUID
    order_ref: str
    decision_id: str
    created_at: datetime
    terms: ContractTerms
    state: ContractState
    events: tuple[Event, ...]

    @property
    def plan(self) -> Plan:
        return self.terms.plan


class PaymentResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of money.

    `contract` is None where it could not be told whose it is: then all of it is unapplied, in the shop's suspense.
    `repeated` says that this payment was booked before, and nothing was done now.
    """

    payment_id: str
    amount_minor: int
    applied_minor: int
    unapplied_minor: int
    currency: str
    parts: tuple[PaidPart, ...]
    contract: ContractView | None
    repeated: bool = False


class DueReport(msgspec.Struct, frozen=True):
    """What a run over due dates did: closing a day, or putting dates off. `failed` names contracts that could not be done; running again retries them.

    Closing a day also says for how many contracts it asked for payment and how much, how many reminders it queued, and what it
    charged for being late.
    """

    contracts: int
    rows: int
    failed: tuple[str, ...] = ()
    asked: int = 0
    asked_minor: int = 0
    reminders: int = 0
    late_charges: int = 0
    late_charged_minor: int = 0


class Standing(msgspec.Struct, frozen=True):
    """What a customer owes the shop itself, on a day.

    `exposure_minor` is the principal not paid back yet, `arrears_minor` what is past its due date. `limit_minor` is None
    where no limit was set.
    """

    limit_minor: int | None
    exposure_minor: int
    arrears_minor: int
    late_since: date | None

    @property
    def overdue(self) -> bool:
        return self.late_since is not None

    @property
    def available_minor(self) -> int | None:
        """What may still be lent; None where no limit was set."""
        return None if self.limit_minor is None else max(0, self.limit_minor - self.exposure_minor)


def lock_customer(shop: Shop, customer_id: UUID) -> customers.Customer:
    """Hold the customer until the transaction ends. Raises `customers.service.NoCustomer`."""
    return customers.lock(shop, customer_id)


def open_contract(
    shop: Shop,
    customer_id: UUID,
    *,
    plan: Plan,
    schedule: Schedule,
    disclosure: Disclosure,
    policy_digest: str,
    order_ref: str,
    at: datetime,
    decision_id: str = "",
    for_other_sellers_minor: int = 0,
    allocation: Allocation | None = None,
    payoff: PayoffTerms | None = None,
    late: LateTerms | None = None,
    returns: ReturnTerms | None = None,
    acceleration: AccelerationTerms | None = None,
) -> str:
    """Make a contract in the caller's transaction, book it, and return its public id.

    The caller holds the customer (`lock_customer`), and has decided. `payoff`, `late`, `returns` and `acceleration` are what is agreed
    for when things go otherwise (`fenqi.terms.agreed`). Raises `fenqi.contracts.terms.TermsMismatch` where
    schedule and disclosure disagree.
    """
    assert connection.in_atomic_block, "a contract is opened inside the transaction that confirms it"
    use_shop(shop.id)
    terms = pin(
        plan,
        schedule,
        disclosure,
        zone=shop.time_zone,
        policy_digest=policy_digest,
        for_other_sellers_minor=for_other_sellers_minor,
        allocation=allocation,
        payoff=payoff,
        late=late,
        returns=returns,
        acceleration=acceleration,
    )
    today = local_date(at, shop.time_zone)
    contract = Stored(
        shop_id=shop.id,
        customer_id=customer_id,
        contract_id=uuid7(at),
        order_ref=order_ref,
        decision_id=decision_id,
        created_at=at,
        terms=terms,
        events=[],
        booked={},
    )
    storage.create(contract, terms.currency)
    recorded_at = to_epoch(at)
    events: list[Event] = [Confirmed(seq=1, occurred_on=today, recorded_at=recorded_at)]
    # A down payment falls due as it is agreed.
    events += reached_by(today, contract, recorded_at, after=1)
    storage.append(contract, events, at, today)
    return contract.public_id


def get(
    shop: Shop,
    contract: str,
    as_of: date | None = None,
    *,
    at: datetime | None = None,
    known_at: datetime | None = None,
) -> ContractView:
    """A contract as of the end of a day: `as_of`, or the shop's day at `at`. Raises `NoContract`.

    `known_at` asks what was believed at an instant, before later news.
    """
    if as_of is None:
        if at is None:
            raise TypeError("get needs a day (as_of) or an instant (at)")
        as_of = local_date(at, shop.time_zone)
    use_shop(shop.id)
    customer_id, contract_id = parsed(contract)
    stored = storage.load(customer_id, contract_id)
    if stored is None or stored.shop_id != shop.id:
        raise NoContract(contract)
    return view_of(stored, stored.state(as_of, None if known_at is None else to_epoch(known_at)))


def customer_of(shop: Shop, contract: str) -> UUID:
    """Whose a contract is, without reading it. Raises `NoContract`."""
    use_shop(shop.id)
    customer_id, contract_id = parsed(contract)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM servicing_contract WHERE customer_id = %s AND contract_id = %s AND shop_id = %s",
            [customer_id, contract_id, shop.id],
        )
        if cursor.fetchone() is None:
            raise NoContract(contract)
    return customer_id


def contracts_of(shop: Shop, customer_id: UUID, as_of: date) -> list[ContractView]:
    """A customer's contracts, newest first."""
    use_shop(shop.id)
    return [view_of(stored, stored.state(as_of)) for stored in storage.load_many(customer_id)]


def pay(
    shop: Shop,
    contract: str,
    amount_minor: int,
    kind: PaymentKind,
    payment_ref: str,
    at: datetime,
    *,
    occurred_on: date | None = None,
    channel: str = "bank",
    settlement: str | None = None,
    operator: str = "",
    settles: str = "",
) -> PaymentResult:
    """Money for a contract. `payment_ref` is the payer's or the bank's number of the payment, and is booked once.

    A `request` above what is owed raises `Refusal` with the amount owed, and for a contract that is not there,
    `NoContract`. Money `received` is always booked: what nothing is owed for, and what names no contract of ours, is
    unapplied cash; under its number with " (2)", where the contract knows that number as something else. The same payment again (same reference, same amount) returns the first result with `repeated`.

    `settles` names the payoff quote by which it pays everything off (`fenqi_server.servicing.payoffs`). A request by one that does
    not stand any more, or of less than it says, raises `Refusal`; money received by it is an ordinary payment then.

    Raises `fenqi.problems.BadInput` where amount, date or reference cannot be used.
    """
    check_minor(amount_minor, shop.currency)
    if amount_minor == 0:
        raise BadInput("amount_minor", amount_minor, "more than 0")
    if not payment_ref or len(payment_ref) > MAX_REFERENCE:
        raise BadInput("payment_ref", payment_ref, f"1 to {MAX_REFERENCE} characters")
    if kind not in ("request", "received"):
        raise BadInput("kind", kind, "request or received")
    today = local_date(at, shop.time_zone)
    on = occurred_on or today
    if not FIRST <= on <= today:
        raise BadInput(
            "occurred_on", on.isoformat(), f"{FIRST} to {today}", "money arrives on a day that has come"
        )
    payment = PaymentReceived(
        seq=0,
        occurred_on=on,
        recorded_at=to_epoch(at),
        payment_id=payment_ref,
        amount_minor=amount_minor,
        settlement=settlement or f"{channel}:{today}",
        channel=channel,
        operator=operator,
        settles=settles,
    )

    def act() -> PaymentResult:
        use_shop(shop.id)
        try:
            stored = storage.load_for_update(*parsed(contract))
        except NoContract:
            stored = None
        if stored is None or stored.shop_id != shop.id:
            if kind == "request":
                raise NoContract(contract)
            return _keep_in_suspense(shop, payment, contract, at)
        return book_payment(shop, stored, payment, kind, at, today)

    return in_transaction(act)


def book_payment(
    shop: Shop, contract: Stored, payment: PaymentReceived, kind: PaymentKind, at: datetime, today: date
) -> PaymentResult:
    """Add a payment to a contract that is held, in the caller's transaction, and tell the shop. Raises `Refusal`."""
    number = storage.free_number(contract, payment.payment_id)
    if number != payment.payment_id:
        if kind == "request":
            raise _number_taken(payment, contract.latest(today).balance_minor, contract.terms.currency)
        payment = msgspec.structs.replace(payment, payment_id=number)
    booked = storage.amount_of(contract, payment.payment_id)
    if booked is not None:
        state = contract.latest(today)
        if booked != payment.amount_minor:
            raise reference_reused(payment, state.balance_minor, contract.terms.currency)
        return _payment_result(contract, state, payment.payment_id, repeated=True)
    if kind == "request":
        state = contract.latest(today)
        owed = state.balance_minor
        if payment.settles:
            owed = _by_quote(contract, state, payment, today)
        if payment.amount_minor > owed:
            raise _above_debt(payment.amount_minor, owed, contract.terms.currency)
    event = msgspec.structs.replace(payment, seq=len(contract.events) + 1)
    state = storage.append(contract, [event], at, today)
    result = _payment_result(contract, state, payment.payment_id, repeated=False)
    enqueue(
        shop,
        contract.customer_id,
        "contract.payment_booked",
        {
            "contract_id": contract.public_id,
            "payment_ref": payment.payment_id,
            "amount_minor": result.amount_minor,
            "applied_minor": result.applied_minor,
            "unapplied_minor": result.unapplied_minor,
            "balance_minor": state.balance_minor,
            "currency": contract.terms.currency,
            "status": state.status,
        },
        at,
    )
    return result


def _by_quote(contract: Stored, state: ContractState, payment: PaymentReceived, today: date) -> int:
    """What may be asked for by a payoff quote. Raises `Refusal` where the quote does not stand, or more is to be paid."""
    currency = contract.terms.currency
    quote = next((each for each in state.quotes if each.quote_id == payment.settles), None)
    if quote is None:
        raise Refusal(
            "quote_unknown",
            Text("没有这个结清报价", "No such payoff quote"),
            Text(
                "本合同没有这个结清报价。请重新获取报价。",
                "The contract has no such payoff quote. Ask for a new one.",
            ),
            asked_minor=payment.amount_minor,
            owed_minor=state.balance_minor,
            currency=currency,
        )
    if payment.occurred_on < quote.occurred_on:
        # Booked under its own day it would be an ordinary payment, and leave owed what the quote spares.
        given_zh, given_en = (format_date(quote.occurred_on, locale) for locale in ("zh-CN", "en"))
        raise Refusal(
            "quote_unknown",
            Text("付款早于结清报价", "The payment is older than the quote"),
            Text(
                f"结清报价于{given_zh}给出，付款日期不能更早。请更正日期，或不按报价付款。",
                f"The payoff quote was given on {given_en}, after the day of the payment. Put the day right, or pay without the quote.",
            ),
            asked_minor=payment.amount_minor,
            owed_minor=state.balance_minor,
            currency=currency,
        )
    until_zh, until_en = (format_date(quote.valid_until, locale) for locale in ("zh-CN", "en"))
    if payment.occurred_on > quote.valid_until or today > quote.valid_until:
        raise Refusal(
            "quote_expired",
            Text("结清报价已过期", "The payoff quote has expired"),
            Text(
                f"结清报价有效至{until_zh}。请重新获取报价，再按新报价付款。",
                f"The payoff quote stood until {until_en}. Ask for a new one and pay that.",
            ),
            asked_minor=payment.amount_minor,
            owed_minor=state.balance_minor,
            currency=currency,
        )
    if unsettles(contract.events, quote):
        raise Refusal(
            "quote_outdated",
            Text("结清报价已不适用", "The payoff quote does not fit any more"),
            Text(
                "报价之后合同有了变化。请重新获取报价，再按新报价付款。",
                "The contract has changed since the quote. Ask for a new one and pay that.",
            ),
            asked_minor=payment.amount_minor,
            owed_minor=state.balance_minor,
            currency=currency,
        )
    needed = quote.amount_minor - state.unapplied_minor
    if payment.amount_minor < needed:
        shown = format_money(needed, currency)
        raise Refusal(
            "below_quote",
            Text("少于结清金额", "Less than settles it"),
            Text(
                f"结清需要{shown}。请付这个金额，或不按报价付款。",
                f"{shown} settles the contract. Pay that, or pay without the quote.",
            ),
            asked_minor=payment.amount_minor,
            owed_minor=needed,
            currency=currency,
        )
    return needed


LEAVE_A_QUOTE: Final = (DueReached, PayoffQuoted, PaymentFailed, Shipped)
"""What may happen after a quote without making it another."""


def unsettles(events: Sequence[Event], quote: PayoffQuoted) -> bool:
    """Whether something happened since a quote that makes it another. A payment that came since and was taken back whole did not."""
    after = [event for event in events if event.seq > quote.seq]
    came = {event.payment_id for event in after if isinstance(event, PaymentReceived)}
    back = {event.payment_id for event in after if isinstance(event, PaymentReversed)} & came
    return any(
        not (isinstance(event, PaymentReceived | PaymentReversed) and event.payment_id in back)
        and not isinstance(event, LEAVE_A_QUOTE)
        for event in after
    )


def _keep_in_suspense(shop: Shop, payment: PaymentReceived, contract: str, at: datetime) -> PaymentResult:
    """Money that names no contract of ours: it is booked as the house's debt to whoever it turns out to be from."""
    party = customers.house(shop, "suspense", at)
    customers.lock(shop, party)
    # As with a contract, the number counts for what it was paid for: two payers may both have written "1".
    event_id = uuid5(shop.id, f"received:{payment.payment_id}\n{contract}")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT amounts FROM books_transaction WHERE customer_id = %s AND event_id = %s",
            [party, event_id],
        )
        row = cursor.fetchone()
    if row is not None:
        if row[0][0] != payment.amount_minor:
            raise reference_reused(payment, 0, shop.currency)
    else:
        post(
            shop_id=shop.id,
            customer_id=party,
            event_id=event_id,
            event_kind="unmatched_money",
            entries=Entries((IN_TRANSIT, UNAPPLIED_CASH), (payment.amount_minor, -payment.amount_minor)),
            currency=shop.currency,
            occurred_on=payment.occurred_on,
            recorded_at=at,
            # No book is older than its shop, whatever a bank writes.
            booked_on=max(payment.occurred_on, local_date(shop.created_at, shop.time_zone)),
            settlement=payment.settlement,
            reference=f"{payment.payment_id} for {contract}"[:400],
        )
    return PaymentResult(
        payment_id=payment.payment_id,
        amount_minor=payment.amount_minor,
        applied_minor=0,
        unapplied_minor=payment.amount_minor,
        currency=shop.currency,
        parts=(),
        contract=None,
        repeated=row is not None,
    )


def reverse(
    shop: Shop,
    contract: str,
    payment_ref: str,
    reason: Literal["charged_back", "bounced", "booked_in_error"],
    at: datetime,
    *,
    settlement: str | None = None,
) -> ContractView:
    """A payment was taken back whole. What it paid is owed again, and later payments are applied anew.

    Reversing twice is one reversal. Raises `NoContract`, `fenqi.contracts.contract.EventRefused`, and `Refusal`: `no_money` of what pays
    and is no money (goodwill, a deposit), `matched` of money that was matched in error: its match is undone.
    """
    today = local_date(at, shop.time_zone)

    def act() -> ContractView:
        use_shop(shop.id)
        stored = storage.load_for_update(*parsed(contract))
        if stored is None or stored.shop_id != shop.id:
            raise NoContract(contract)
        if any(isinstance(e, PaymentReversed) and e.payment_id == payment_ref for e in stored.events):
            return view_of(stored, stored.latest(today))
        amount = storage.amount_of(stored, payment_ref)
        if amount is None and storage.names_no_money(stored, payment_ref):
            raise _no_money(payment_ref, stored.terms.currency)
        paid = storage.has_payment(stored, payment_ref)
        if reason == "booked_in_error" and paid is not None and paid.settlement.startswith(MATCHED):
            # The money is here still: taken back as if it had gone, it could neither be matched again nor sent back.
            raise _was_matched(payment_ref, amount or 0, stored.terms.currency)
        event = PaymentReversed(
            seq=len(stored.events) + 1,
            occurred_on=today,
            recorded_at=to_epoch(at),
            payment_id=payment_ref,
            settlement=settlement or _out_of(paid, today),
            reason=reason,
        )
        state = storage.append(stored, [event], at, today)
        tell_reversed(shop, stored, event, amount or 0, state, at)
        return view_of(stored, state)

    return in_transaction(act)


def _out_of(paid: PaymentReceived | Recovered | None, today: date) -> str:
    """The batch that money leaves with today: cash goes out of the till that it went into."""
    if not isinstance(paid, PaymentReceived):
        return f"bank:{today}"
    kind, _, rest = paid.settlement.partition(":")
    till = rest.rpartition(":")[0] if kind == "cash" else ""
    return f"cash:{till}:{today}" if till else f"{paid.channel}:{today}"


def tell_reversed(
    shop: Shop, stored: Stored, event: PaymentReversed, amount_minor: int, state: ContractState, at: datetime
) -> None:
    """Tell the shop that a payment was taken back, in the caller's transaction."""
    enqueue(
        shop,
        stored.customer_id,
        "contract.payment_reversed",
        {
            "contract_id": stored.public_id,
            "payment_ref": event.payment_id,
            "reason": event.reason,
            "amount_minor": amount_minor,
            "balance_minor": state.balance_minor,
            "currency": stored.terms.currency,
            "status": state.status,
        },
        at,
    )


def reached_by(on: date, contract: Stored, recorded_at: int, *, after: int) -> list[Event]:
    """The due dates of a contract that come by `on` and are not recorded yet, as events that follow the `after`-th."""
    # Nothing falls due before it is agreed: an offer may have been made the day before.
    agreed_on = local_date(contract.created_at, contract.terms.zone)
    # Dates move, and rows are added: what waits is what stands now, not what was agreed.
    waiting = [row for row in contract.latest(on).rows if not row.reached and row.due_on <= on]
    return [
        DueReached(
            seq=after + index,
            occurred_on=max(row.due_on, agreed_on),
            recorded_at=recorded_at,
            row=row.number,
        )
        for index, row in enumerate(waiting, 1)
    ]


def put_off(
    shop: Shop,
    first: date,
    last: date,
    to: date,
    announcement: str,
    basis: str,
    at: datetime,
    *,
    plans: frozenset[str] | None = None,
) -> DueReport:
    """Move the due dates from `first` to `last` to the day `to`, for nothing, of whatever is still to be paid.

    For an outage during which nobody could pay. Each contract is a transaction of its own; a second run with the same
    announcement and day finds nothing to do. Paid rows, and rows due on `to` or later, stay as they are; so do contracts
    of other plans than `plans`, where those are given. A row is never put off past the one after it: such a contract is
    named in `failed`.
    """
    if to <= first:
        raise BadInput("to", to.isoformat(), f"a day after {first.isoformat()}")
    contracts = rows = 0
    failed: list[str] = []
    after: tuple[UUID, UUID] = (UUID(int=0), UUID(int=0))
    until = min(last, to - timedelta(days=1))
    while True:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT customer_id, contract_id FROM servicing_state WHERE shop_id = %s AND status = 'active'"
                " AND EXISTS (SELECT FROM unnest(open_due_on) AS due (day) WHERE due.day BETWEEN %s AND %s)"
                " AND (customer_id, contract_id) > (%s, %s) ORDER BY customer_id, contract_id LIMIT %s",
                [shop.id, first, until, *after, DUE_BATCH],
            )
            found = cursor.fetchall()
        if not found:
            return DueReport(contracts, rows, tuple(failed))
        after = found[-1]
        for customer_id, contract_id in found:
            try:
                done = _put_off_of(
                    shop, customer_id, contract_id, (first, until), to, announcement, basis, at, plans
                )
            except Exception:
                name = public_id("ct", customer_id, contract_id)
                log.exception("due dates of contract %s could not be put off", name)
                failed.append(name)
                continue
            contracts += done > 0
            rows += done


def _put_off_of(
    shop: Shop,
    customer_id: UUID,
    contract_id: UUID,
    days: tuple[date, date],
    to: date,
    announcement: str,
    basis: str,
    at: datetime,
    plans: frozenset[str] | None,
) -> int:
    today = local_date(at, shop.time_zone)

    def act() -> int:
        use_shop(shop.id)
        stored = storage.load_for_update(customer_id, contract_id)
        if stored is None or (plans is not None and stored.terms.plan.id not in plans):
            return 0
        # Rows put off before by this announcement may be put off further, when the outage is extended.
        rows = [
            row
            for row in stored.latest(today).rows
            if row.outstanding_minor and days[0] <= row.due_on <= days[1] and row.due_on < to
        ]
        new: list[Event] = [
            DueMoved(
                seq=len(stored.events) + index,
                occurred_on=today,
                recorded_at=to_epoch(at),
                row=row.number,
                to=to,
                basis=basis,
                announcement=announcement,
            )
            # The last first: no row is ever due after the one that follows it, not even in between.
            for index, row in enumerate(reversed(rows), 1)
        ]
        if new:
            storage.append(stored, new, at, today)
            enqueue(
                shop,
                customer_id,
                "contract.due_moved",
                {
                    "contract_id": stored.public_id,
                    "order_ref": stored.order_ref,
                    "announcement": announcement,
                    "rows": [
                        {"number": row.number, "from": row.due_on.isoformat(), "to": to.isoformat()}
                        for row in rows
                    ],
                },
                at,
            )
        return len(new)

    return in_transaction(act)


STANDING_SQL: Final = """
SELECT c.limit_minor,
       coalesce(sum(s.principal_outstanding_minor), 0)::bigint AS exposure_minor,
       coalesce(sum(late.minor), 0)::bigint AS arrears_minor,
       min(late.since) AS late_since,
       min(late.since) IS NOT NULL AS overdue,
       count(s.contract_id) > 0 AS running
  FROM (SELECT %(customer)s::uuid AS customer_id) AS k
  LEFT JOIN customers_customer AS c USING (customer_id)
  LEFT JOIN servicing_state AS s ON s.customer_id = k.customer_id AND s.status = 'active'
  LEFT JOIN LATERAL (
       SELECT sum(o.minor) AS minor, min(o.due_on) AS since
         FROM unnest(s.open_due_on, s.open_minor) AS o (due_on, minor)
        WHERE o.due_on < %(on)s) AS late ON true
 GROUP BY c.limit_minor
"""
"""What one customer owes the shop itself: one row, from one index. `on` is the shop's day; for use inside a larger query."""


def standing(shop: Shop, customer_id: UUID, on: date) -> Standing:
    """Limit, exposure and arrears of a customer on the shop's day `on`, in one query."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(STANDING_SQL, {"customer": customer_id, "on": on})
        row = cursor.fetchone()
    return Standing(*row[:4])


def exposure(shop: Shop, customer_id: UUID) -> int:
    """The principal that the customer has not paid back yet: the same on any day."""
    return standing(shop, customer_id, date.min).exposure_minor


def arrears(shop: Shop, customer_id: UUID, on: date) -> int:
    """What is past its due date on the shop's day `on`."""
    return standing(shop, customer_id, on).arrears_minor


def parsed(contract: str) -> tuple[UUID, UUID]:
    """The customer's key and the contract's own. Raises `NoContract`."""
    try:
        return parse_public_id(contract, "ct")
    except ValueError:
        raise NoContract(contract) from None


def view_of(stored: Stored, state: ContractState) -> ContractView:
    """A stored contract with its state, for pages and the API."""
    return ContractView(
        contract_id=stored.public_id,
        customer_id=stored.customer_id,
        order_ref=stored.order_ref,
        decision_id=stored.decision_id,
        created_at=stored.created_at,
        terms=stored.terms,
        state=state,
        events=tuple(stored.events),
    )


def _payment_result(
    stored: Stored, state: ContractState, payment_id: str, *, repeated: bool
) -> PaymentResult:
    paid = next(payment for payment in state.payments if payment.payment_id == payment_id)
    return PaymentResult(
        payment_id=payment_id,
        amount_minor=paid.amount_minor,
        applied_minor=sum(part.total_minor for part in paid.parts),
        unapplied_minor=paid.unapplied_minor,
        currency=state.currency,
        parts=paid.parts,
        contract=view_of(stored, state),
        repeated=repeated,
    )


def _above_debt(asked_minor: int, owed_minor: int, currency: str) -> Refusal:
    asked, owed = format_money(asked_minor, currency), format_money(owed_minor, currency)
    return Refusal(
        "above_debt",
        Text("超过应还金额", "More than is owed"),
        Text(f"应还{owed}，不能支付{asked}。", f"{owed} is owed, so {asked} cannot be taken."),
        asked_minor=asked_minor,
        owed_minor=owed_minor,
        currency=currency,
    )


def _number_taken(payment: PaymentReceived, owed_minor: int, currency: str) -> Refusal:
    return Refusal(
        "payment_ref_reused",
        Text("付款编号已使用", "The payment's number was used"),
        Text(
            f"编号{payment.payment_id}在本合同中不是付款。请换一个编号。",
            f"{payment.payment_id} names something else in the contract. Choose another number.",
        ),
        asked_minor=payment.amount_minor,
        owed_minor=owed_minor,
        currency=currency,
    )


def _no_money(name: str, currency: str) -> Refusal:
    return Refusal(
        "no_money",
        Text("这不是付款", "This is no payment"),
        Text(
            f"编号{name}不是客户付的钱，不能按付款撤销。",
            f"{name} is no money that a customer paid, so it is not taken back as a payment.",
        ),
        currency=currency,
        state=Text("这是减免、押金或退货，不是付款", "it is goodwill, a deposit or goods, and no payment"),
        rule=Text("只有付款可以撤销", "only a payment is taken back"),
        way_out=Text(
            "按各自的方式办理", "what was granted stands; a deposit is reversed as the payment that held it"
        ),
    )


def _was_matched(name: str, amount_minor: int, currency: str) -> Refusal:
    return Refusal(
        "matched",
        Text("这笔付款来自匹配", "The payment was matched"),
        Text(
            f"付款{name}是匹配到本合同的款项。如匹配有误，请撤销匹配：款项会重新等待匹配。",
            f"Payment {name} is money that was matched to the contract. If that was wrong, undo the match: the money waits again.",
        ),
        asked_minor=amount_minor,
        currency=currency,
        state=Text("这笔付款来自匹配", "the payment was matched to the contract"),
        rule=Text("误匹配的款项按匹配撤销", "what was matched in error is not a payment that left"),
        way_out=Text("撤销匹配", "undo the match"),
    )


def reference_reused(payment: PaymentReceived, owed_minor: int, currency: str) -> Refusal:
    """The answer to a payment whose number is booked already, with something else."""
    return Refusal(
        "payment_ref_reused",
        Text("付款编号已使用", "The payment's number was used"),
        Text(
            f"付款编号{payment.payment_id}已记账，且金额不同。",
            f"Payment {payment.payment_id} is booked already, with another amount.",
        ),
        asked_minor=payment.amount_minor,
        owed_minor=owed_minor,
        currency=currency,
    )

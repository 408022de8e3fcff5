"""What customers ask for, and what one of the staff asks another to agree to.

A customer asks to return goods, or for help with paying. Somebody of the shop approves, which does it in the same transaction, or
declines and says why. Until then whoever asked may take it back. What staff give away (`concede`), send out, take back or charge (`ask`)
beyond `FENQI_CONCESSION_LIMIT_MINOR` waits here for a second person; the database refuses the row of whoever agrees with themselves.
What was decided alone before counts with it (`alone_before`): a large amount is not several small ones.

A shop run by one person alone (`single_operator`) has nobody else. There the asker may agree once the request has waited a day, visibly.

What was asked is one row, what was decided another; neither changes. Money that belongs to no contract is asked about under the
house's party that holds it.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection

from fenqi.calendars import local_date, to_epoch
from fenqi.contracts.contract import ContractState
from fenqi.contracts.events import Event, EventRefused, Paused, ReAged, ReAmortised
from fenqi.contracts.explanation import Difference, explain
from fenqi.money import format_money
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.ids import house_party, parse_public_id, public_id, uuid7
from fenqi_server.outbox.service import enqueue
from fenqi_server.policies import audit
from fenqi_server.servicing import acts, outgoing, returns, unapplied
from fenqi_server.servicing.acts import MAX_REASON, Acted
from fenqi_server.servicing.asked import (
    CUSTOMER,
    Act,
    Asked,
    Concession,
    HardshipAsked,
    HardshipReason,
    Help,
    Kind,
    Pause,
    ReAge,
    ReAmortise,
    Request,
    RequestPage,
    ReturnAsked,
    ReturnLine,
    ReturnReason,
    State,
    Taken,
)
from fenqi_server.servicing.limits import alone_before, sent_back_before
from fenqi_server.servicing.outgoing import (
    ChargeAsked,
    HeldRefundAsked,
    OfContract,
    PayBackAsked,
    RefundAsked,
    ReversalAsked,
    UnmatchedRefundAsked,
    done_meanwhile,
)
from fenqi_server.servicing.refusals import refusal_of
from fenqi_server.servicing.request_records import (
    MAX_PAGE,
    PREFIX,
    NoRequest,
    count_open,
    get,
    list_requests,
    of_contract,
    of_customer,
    of_money,
    rows,
)
from fenqi_server.servicing.service import Refusal
from fenqi_server.servicing.storage import Stored
from fenqi_server.shops.models import Shop

__all__ = [
    "CUSTOMER",
    "MAX_PAGE",
    "Act",
    "Concession",
    "HardshipAsked",
    "HardshipReason",
    "Help",
    "NoRequest",
    "Pause",
    "ReAge",
    "ReAmortise",
    "Request",
    "RequestPage",
    "ReturnAsked",
    "ReturnLine",
    "ReturnReason",
    "Taken",
    "alone_before",
    "approve",
    "ask",
    "ask_for_unmatched",
    "concede",
    "count_open",
    "decline",
    "forget_words",
    "get",
    "list_requests",
    "of_contract",
    "of_customer",
    "of_money",
    "open_request",
    "preview_help",
    "withdraw",
]

MAX_MONTHS: Final = 12


# ------------------------------------------------------------------------------------------------ asking


def open_request(
    shop: Shop,
    contract: str,
    asked: ReturnAsked | HardshipAsked,
    at: datetime,
    *,
    said: str = "",
    taken_by: str = "",
    reason: str = "",
) -> Request:
    """A customer asks. `said` is what they write beside it, in their own words.

    `taken_by` is who of the staff wrote it down for a caller, and `reason` what the audit log keeps of that.
    The same again while it is open is that one; another of its kind meanwhile raises `Refusal` (`request_open`). Raises
    `NoContract`, `BadInput`.
    """
    if len(said) > MAX_REASON:
        raise BadInput("said", said[:80], f"at most {MAX_REASON} characters")
    kind: Kind = "return" if isinstance(asked, ReturnAsked) else "hardship"
    if isinstance(asked, ReturnAsked):
        _check_return(shop, asked)
    elif not 1 <= asked.months <= MAX_MONTHS:
        raise BadInput("months", asked.months, f"1 to {MAX_MONTHS}")

    def act() -> Request:
        stored = acts.hold(shop, contract)
        state = stored.latest(local_date(at, shop.time_zone))
        for each in _open_of(_of_contract(stored), kind):
            if each.asked == asked and each.by_customer:
                return each
            raise _is_open(stored.terms.currency)
        if isinstance(asked, ReturnAsked):
            # Refused now rather than when the parcel is here.
            returns.preview_return(
                shop, contract, asked.amount_minor, at, for_other_sellers_minor=asked.for_other_sellers_minor
            )
        elif state.status != "active":
            raise _nothing_owed(stored)
        made = _insert(shop, _of_contract(stored), kind, asked, said, 0, CUSTOMER, at, taken_by=taken_by)
        if taken_by:
            after = {"contract": stored.public_id, "for": CUSTOMER}
            subject = f"request:{made.request_id}"
            audit.record(shop, taken_by, f"request.{kind}", subject, at, reason=reason, after=after)
        return made

    return in_transaction(act)


def concede(shop: Shop, contract: str, asked: Concession, at: datetime, *, actor: str) -> Request:
    """Give something away: at once up to the limit, above it when somebody else agrees. Raises as the act itself does.

    The limit is for all that one person gives away of the contract.
    """
    acts.by_whom(actor, asked.reason)
    acts.named(asked.reference, "reference")
    if actor == CUSTOMER:
        raise BadInput("actor", actor, "one of the staff")
    if asked.kind != "write_off":
        acts.money(asked.amount_minor, shop.currency)
    elif asked.amount_minor:
        raise BadInput("amount_minor", asked.amount_minor, "nothing: all that is owed is written off")
    if (asked.kind == "waiver") != (asked.part is not None):
        raise BadInput("part", asked.part or "nothing", "fee, penalty or interest for a waiver, nothing else")

    def act() -> Request:
        stored = acts.hold(shop, contract)
        state = stored.latest(local_date(at, shop.time_zone))
        minor = state.balance_minor if asked.kind == "write_off" else asked.amount_minor
        for each in rows(
            "WHERE r.customer_id = %s AND r.contract_id = %s AND r.body ->> 'reference' = %s",
            [stored.customer_id, stored.contract_id, asked.reference],
        ):
            if _as_said(each.asked) != asked or each.asked_by != actor:
                raise acts.reference_used(asked.reference, stored.terms.currency)
            return each
        if _open_of(_of_contract(stored), asked.kind):
            raise _is_open(stored.terms.currency)
        if state.status != "active":
            raise _nothing_owed(stored)
        if minor > state.balance_minor:
            raise acts.more_than_owed(minor, state.balance_minor, stored.terms.currency)
        stake = minor + alone_before(stored, asked.kind, at)
        what = msgspec.structs.replace(asked, amount_minor=minor)
        made = _insert(shop, _of_contract(stored), asked.kind, what, "", stake, actor, at)
        if made.needs_second:
            # What stands in its way is said now, not to whoever agrees.
            outgoing.foreseen(lambda: _perform(shop, made, None, at, actor, asked.reason))
            return made
        return approve(shop, made.request_id, at, actor=actor)

    return in_transaction(act)


def _as_said(asked: Asked) -> Asked:
    """As it was asked for: of a write-off nobody says how much, which is kept with it."""
    if isinstance(asked, Concession) and asked.kind == "write_off":
        return msgspec.structs.replace(asked, amount_minor=0)
    return asked


def ask(
    shop: Shop, contract: str, asked: OfContract, at: datetime, *, actor: str, on: date | None = None
) -> Acted | Request:
    """Send money out, take a payment back or charge: done at once up to the limit; above it, asked for, and done when another agrees.

    The same again while it waits is that request; what was done before is told as `repeated`. Of a reversal the amount is the
    payment's. `on` is the day on which a refund was paid; what waits is paid on the day of the agreement. Raises as the act itself does,
    and `Refusal` (`request_open`).
    """
    acts.named(asked.reference, "reference")
    if not actor or actor == CUSTOMER:
        raise BadInput("actor", actor or "nobody", "one of the staff")

    def act() -> Acted | Request:
        stored = acts.hold(shop, contract)
        subject = _of_contract(stored)
        what = asked
        if isinstance(what, ReversalAsked):
            minor = outgoing.amount_of(shop, contract, what.reference)
            what = msgspec.structs.replace(what, amount_minor=minor)
        kind = outgoing.kind_of(what)
        stake = what.amount_minor + alone_before(stored, kind, at)
        if stake <= settings.FENQI_CONCESSION_LIMIT_MINOR:
            return outgoing.perform(shop, contract, what, at, actor=actor, on=on)
        foretold = outgoing.foreseen(lambda: outgoing.perform(shop, contract, what, at, actor=actor))
        if foretold.repeated:
            return foretold
        acts.by_whom(actor, what.reason)
        return _waiting(subject, kind, what, actor) or _insert(
            shop, subject, kind, what, "", stake, actor, at
        )

    return in_transaction(act)


def ask_for_unmatched(
    shop: Shop,
    unapplied_id: str,
    refund_id: str,
    at: datetime,
    *,
    settlement: str = "",
    channel: Literal["bank", "wallet", "cash"] = "bank",
    actor: str,
    reason: str,
) -> unapplied.Unmatched | Request:
    """Send back money that named no contract: at once up to the limit, above it when another agrees.

    The limit is for all such money that was sent back today without a second person. Raises as `unapplied.refund_unmatched`, and `Refusal` (`request_open`).
    """

    def send_back() -> unapplied.Unmatched:
        return unapplied.refund_unmatched(
            shop,
            unapplied_id,
            refund_id,
            at,
            settlement=settlement or None,
            channel=channel,
            actor=actor,
            reason=reason,
        )

    def act() -> unapplied.Unmatched | Request:
        # Held before it is counted what went already: two at once do not count past each other.
        customers.lock(shop, house_party(shop.id, "suspense"))
        if unapplied.find(shop, unapplied_id).refunded_by == refund_id:
            return send_back()
        found = outgoing.foreseen(send_back)
        stake = found.amount_minor + sent_back_before(shop, at)
        if stake <= settings.FENQI_CONCESSION_LIMIT_MINOR:
            return send_back()
        asked = UnmatchedRefundAsked(
            unapplied_id=unapplied_id,
            reference=refund_id,
            amount_minor=found.amount_minor,
            reason=reason,
            channel=channel,
            settlement=settlement,
        )
        for each in of_money(shop, unapplied_id):
            if each.state == "open":
                if each.asked == asked and each.asked_by == actor:
                    return each
                raise _is_open(found.currency)
        return _insert(
            shop,
            _of_money(shop, found.currency),
            "unmatched_refund",
            asked,
            "",
            stake,
            actor,
            at,
        )

    return in_transaction(act)


def _waiting(subject: _Subject, kind: Kind, asked: Asked, actor: str) -> Request | None:
    """The same request, if it waits already. Raises `Refusal` where another of its kind does."""
    for each in _open_of(subject, kind):
        if each.asked == asked and each.asked_by == actor:
            return each
        raise _is_open(subject.currency)
    return None


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is about, held: a contract, or money of none (`contract_id` is None)."""

    customer_id: UUID
    contract_id: UUID | None
    public_id: str
    order_ref: str
    currency: str


def _of_contract(stored: Stored) -> _Subject:
    return _Subject(
        customer_id=stored.customer_id,
        contract_id=stored.contract_id,
        public_id=stored.public_id,
        order_ref=stored.order_ref,
        currency=stored.terms.currency,
    )


def _of_money(shop: Shop, currency: str) -> _Subject:
    party = house_party(shop.id, "suspense")
    # Whoever acts on money of no contract holds this party: see `unapplied`.
    customers.lock(shop, party)
    return _Subject(customer_id=party, contract_id=None, public_id="", order_ref="", currency=currency)


def _hold(shop: Shop, request: Request) -> _Subject:
    if request.contract_id:
        return _of_contract(acts.hold(shop, request.contract_id))
    return _of_money(shop, shop.currency)


def _check_return(shop: Shop, asked: ReturnAsked) -> None:
    acts.money(asked.amount_minor, shop.currency)
    if not 0 <= asked.for_other_sellers_minor <= asked.amount_minor:
        raise BadInput("for_other_sellers_minor", asked.for_other_sellers_minor, f"0 to {asked.amount_minor}")
    if not asked.lines:
        return
    if sum(line.amount_minor for line in asked.lines) != asked.amount_minor:
        raise BadInput("amount_minor", asked.amount_minor, "the sum of the lines")
    others = sum(line.amount_minor for line in asked.lines if line.other_seller)
    if others != asked.for_other_sellers_minor:
        raise BadInput(
            "for_other_sellers_minor", asked.for_other_sellers_minor, f"{others}, the other sellers' lines"
        )


def _open_of(subject: _Subject, kind: str) -> list[Request]:
    return rows(
        "WHERE r.customer_id = %s AND r.contract_id = %s AND r.kind = %s AND d.verdict IS NULL",
        [subject.customer_id, subject.contract_id, kind],
    )


def _insert(
    shop: Shop,
    subject: _Subject,
    kind: Kind,
    asked: Asked,
    said: str,
    stake: int,
    by: str,
    at: datetime,
    *,
    taken_by: str = "",
) -> Request:
    name = uuid7(at)
    limit = settings.FENQI_CONCESSION_LIMIT_MINOR
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_request (customer_id, request_id, shop_id, contract_id, kind, body, said, at_stake_minor,"
            " limit_minor, asked_by, asked_at, alone, taken_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                subject.customer_id,
                name,
                shop.id,
                subject.contract_id,
                kind,
                msgspec.json.encode(asked).decode(),
                said,
                stake,
                limit,
                by,
                at,
                shop.single_operator,
                taken_by,
            ],
        )
    made = get(shop, public_id(PREFIX, subject.customer_id, name))
    _tell(shop, subject, made, "request.opened", at)
    if by != CUSTOMER:
        audit.record(
            shop,
            by,
            f"request.{kind}",
            f"request:{made.request_id}",
            at,
            reason=asked.reason,
            after={"contract": subject.public_id or None, "at_stake_minor": stake},
        )
    return made


def _tell(shop: Shop, subject: _Subject, request: Request, event: str, at: datetime) -> None:
    # The customer's own words stay here.
    enqueue(
        shop,
        subject.customer_id,
        event,
        {
            "request_id": request.request_id,
            "contract_id": subject.public_id or None,
            "order_ref": subject.order_ref,
            "kind": request.kind,
            "asked": msgspec.to_builtins(request.asked),
            "state": request.state,
            "note": request.note,
        },
        at,
    )


# ------------------------------------------------------------------------------------------------ deciding


def preview_help(
    shop: Shop, contract: str, act: Help, at: datetime
) -> tuple[ContractState, ContractState, Difference]:
    """The contract before and after a kind of help, and what is other, row by row. Nothing is written. Raises `Refusal`."""
    today = local_date(at, shop.time_zone)
    stored = acts.seen(shop, contract)
    dates = {"seq": len(stored.events) + 1, "occurred_on": today, "recorded_at": to_epoch(at)}
    event: Event
    if isinstance(act, Pause):
        event = Paused(**dates, periods=act.periods, interest=act.interest)
    elif isinstance(act, ReAge):
        event = ReAged(**dates, periods=act.periods, first_due_on=act.first_due_on)
    else:
        event = ReAmortised(**dates)
    before = stored.latest(today)
    after = acts.foretold(stored, event, today)
    return before, after, explain(before, after)


def approve(
    shop: Shop, request_id: str, at: datetime, *, actor: str, act: Act | None = None, note: str = ""
) -> Request:
    """Agree, and do it in the same transaction. `act` says how: of hardship which help, of a return what came back.

    Raises `NoRequest`, `Refusal` (`not_open`, `own_request`, or what stands in the way of the act), `BadInput`.
    """
    if not actor or actor == CUSTOMER:
        raise BadInput("actor", actor or "nobody", "one of the staff")

    def do() -> Request:
        subject = _hold(shop, get(shop, request_id))
        request = _still_open(shop, request_id, "approved", actor)
        if request.state != "open":
            return request
        if not request.may_agree(actor, at):
            raise _own_request(request, subject.currency)
        done = act or (Taken() if request.kind == "return" else None)
        seq: int | None = None
        if isinstance(request.asked, UnmatchedRefundAsked):
            _nothing_besides(done)
            _send_back(shop, request.asked, at, actor)
        else:
            seq = _perform(shop, request, done, at, actor, note or _why(request)).event.seq
        return _decide(shop, subject, request, "approved", actor, at, note, done, seq)

    return in_transaction(do)


def decline(shop: Shop, request_id: str, at: datetime, *, actor: str, note: str) -> Request:
    """Say no, and why. Raises `NoRequest`, `Refusal` (`not_open`), `BadInput`."""
    acts.by_whom(actor, note)

    def do() -> Request:
        subject = _hold(shop, get(shop, request_id))
        request = _still_open(shop, request_id, "declined", actor)
        if request.state != "open":
            return request
        return _decide(shop, subject, request, "declined", actor, at, note.strip())

    return in_transaction(do)


def withdraw(shop: Shop, request_id: str, at: datetime, *, by: str = CUSTOMER) -> Request:
    """Take a request back before it is decided: only whoever asked, or wrote it down for the customer. Raises `NoRequest`, `Refusal` (`not_open`)."""

    def do() -> Request:
        asked = get(shop, request_id)
        if by not in (asked.asked_by, asked.taken_by):
            raise NoRequest(request_id)
        subject = _hold(shop, asked)
        request = _still_open(shop, request_id, "withdrawn", by)
        if request.state != "open":
            return request
        return _decide(shop, subject, request, "withdrawn", by, at, "")

    return in_transaction(do)


def forget_words(shop: Shop, customer_id: UUID) -> int:
    """Blank what a customer wrote in their own words, in every request; how many had any. What was asked and done stays."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE servicing_request SET said = '' WHERE customer_id = %s AND shop_id = %s AND said <> ''",
            [customer_id, shop.id],
        )
        return int(cursor.rowcount)


def _why(request: Request) -> str:
    return request.asked.reason


def _perform(shop: Shop, request: Request, act: Act | None, at: datetime, actor: str, reason: str) -> Acted:
    asked, contract = request.asked, request.contract_id
    by = {"actor": actor, "reason": reason}
    if isinstance(asked, RefundAsked | HeldRefundAsked | PayBackAsked | ReversalAsked | ChargeAsked):
        _nothing_besides(act)
        if isinstance(asked, ChargeAsked) and asked.due_on is not None:
            # Nobody is late before somebody has agreed.
            asked = msgspec.structs.replace(asked, due_on=max(asked.due_on, local_date(at, shop.time_zone)))
        try:
            done = outgoing.perform(shop, contract, asked, at, actor=actor)
        except EventRefused as problem:
            raise refusal_of(problem, "payment_reversed", shop.currency) from None
        if done.repeated:
            raise done_meanwhile(shop.currency)
        return done
    if isinstance(asked, Concession):
        _nothing_besides(act)
        by["reason"] = asked.reason
        if asked.kind == "goodwill":
            return acts.goodwill(shop, contract, request.request_id, asked.amount_minor, at, **by)
        if asked.kind == "waiver":
            assert asked.part is not None
            return acts.waive(
                shop, contract, request.request_id, asked.part, asked.amount_minor, at, row=asked.row, **by
            )
        return acts.write_off(shop, contract, at, **by)
    if isinstance(asked, ReturnAsked):
        if not isinstance(act, Taken):
            raise BadInput("act", "another", "taken: what came back")
        amount = asked.amount_minor if act.amount_minor is None else act.amount_minor
        others = act.for_other_sellers_minor
        if others is None:
            others = asked.for_other_sellers_minor
        return returns.act_of_return(
            shop, contract, request.request_id, amount, at, for_other_sellers_minor=others, on=act.on, **by
        )
    if isinstance(act, Pause):
        return acts.pause(shop, contract, act.periods, at, interest=act.interest, **by)
    if isinstance(act, ReAge):
        return acts.re_age(shop, contract, act.periods, act.first_due_on, at, **by)
    if isinstance(act, ReAmortise):
        return acts.re_amortise(shop, contract, at, **by)
    raise BadInput("act", "nothing", "pause, re_age or re_amortise", "decline it where none of them helps")


def _nothing_besides(act: Act | None) -> None:
    if act is not None:
        raise BadInput("act", act.__struct_config__.tag, "nothing: what is done was said when it was asked")


def _send_back(shop: Shop, asked: UnmatchedRefundAsked, at: datetime, actor: str) -> None:
    if unapplied.find(shop, asked.unapplied_id).refunded_by == asked.reference:
        raise done_meanwhile(shop.currency)
    unapplied.refund_unmatched(
        shop,
        asked.unapplied_id,
        asked.reference,
        at,
        settlement=asked.settlement or None,
        channel=asked.channel,
        actor=actor,
        reason=asked.reason,
    )


def _still_open(shop: Shop, request_id: str, wanted: State, actor: str) -> Request:
    """The request, as it is once its contract is held; as decided where this person decided so before."""
    request = get(shop, request_id)
    if request.state == "open" or (request.state == wanted and request.decided_by == actor):
        return request
    words = {
        "approved": Text("这项申请已批准。", "The request was approved already."),
        "declined": Text(
            "这项申请已被拒绝。如情况有变，请重新申请。",
            "The request was declined. If things have changed, ask again.",
        ),
        "withdrawn": Text(
            "这项申请已撤回。需要时请重新申请。", "The request was withdrawn. Ask again if it is needed."
        ),
    }
    raise Refusal("not_open", Text("申请已处理", "The request is decided"), words[request.state])


def _decide(
    shop: Shop,
    subject: _Subject,
    request: Request,
    verdict: State,
    by: str,
    at: datetime,
    note: str,
    done: Act | None = None,
    event_seq: int | None = None,
) -> Request:
    if len(note) > MAX_REASON:
        raise BadInput("note", note[:80], f"at most {MAX_REASON} characters")
    _, name = parse_public_id(request.request_id, PREFIX)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO servicing_request_decision (customer_id, request_id, shop_id, kind, asked_by, asked_at, alone,"
            " at_stake_minor, limit_minor, verdict, body, event_seq, decided_by, decided_at, note)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                subject.customer_id,
                name,
                shop.id,
                request.kind,
                request.asked_by,
                request.asked_at,
                request.alone,
                request.at_stake_minor,
                request.limit_minor,
                verdict,
                None if done is None else msgspec.json.encode(done).decode(),
                event_seq,
                by,
                at,
                note,
            ],
        )
    decided = get(shop, request.request_id)
    _tell(shop, subject, decided, f"request.{verdict}", at)
    if by != CUSTOMER:
        audit.record(
            shop,
            by,
            f"request.{verdict}",
            f"request:{request.request_id}",
            at,
            reason=note,
            before={"asked_by": request.asked_by, "kind": request.kind},
            after={
                "contract": subject.public_id or None,
                "act": None if done is None else msgspec.to_builtins(done),
            },
        )
    return decided


def _is_open(currency: str) -> Refusal:
    return Refusal(
        "request_open",
        Text("已有待处理的申请", "A request is open"),
        Text(
            "已有一项同类申请在等待处理。请等待结果，或先撤回它。",
            "A request of this kind is waiting already. Wait for the answer, or withdraw it first.",
        ),
        currency=currency,
    )


def _nothing_owed(stored: Stored) -> Refusal:
    return Refusal(
        "cannot_follow",
        Text("没有欠款", "Nothing is owed"),
        Text("合同没有欠款，无需办理。", "Nothing is owed, so nothing is to be done."),
        currency=stored.terms.currency,
        state=Text("合同已结清", "the contract is closed"),
        rule=Text("合同须有欠款", "something has to be owed"),
    )


def _own_request(request: Request, currency: str) -> Refusal:
    stake, limit = format_money(request.at_stake_minor, currency), format_money(request.limit_minor, currency)
    if request.before_minor:
        detail = Text(
            f"连同此前由一人决定的，合计{stake}，超过一人可决定的{limit}，须由另一人审批。",
            f"With what one person decided before it comes to {stake}, more than the {limit} that one person decides: somebody else has to "
            "agree.",
        )
        alone = Text(
            f"连同此前由一人决定的，合计{stake}，超过一人可决定的{limit}，须由另一人审批；只有一名员工的店铺须等待24小时。",
            f"With what one person decided before it comes to {stake}, more than the {limit} that one person decides: somebody else has to "
            "agree, or, in a shop of one person, a day has to go by.",
        )
    else:
        detail = Text(
            f"金额{stake}超过一人可决定的{limit}，须由另一人审批。",
            f"{stake} is more than the {limit} that one person decides: somebody else has to agree.",
        )
        alone = Text(
            f"金额{stake}超过一人可决定的{limit}，须由另一人审批；只有一名员工的店铺须等待24小时。",
            f"{stake} is more than the {limit} that one person decides: somebody else has to agree, or, in a shop of one person, a day "
            "has to go by.",
        )
    return Refusal(
        "own_request",
        Text("须由另一人审批", "Somebody else has to agree"),
        alone if request.alone else detail,
        asked_minor=request.at_stake_minor,
        owed_minor=request.limit_minor,
        currency=currency,
    )

"""The endpoints of /v1/. Each reads, asks a service, and answers; what it decides is decided there."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from django.http import HttpResponse
from dmr import HeaderSpec, ResponseSpec, validate
from dmr.components import Headers, Path, Query
from dmr.plugins.msgspec import BodyMsgspec

from fenqi.calendars import local_date
from fenqi.checkout.document import EvaluationDocument
from fenqi.checkout.request import CheckoutRequest, Line, checked_ages, checked_amount
from fenqi.problems import BadInput
from fenqi.terms.disclosure import loan_cost_fields
from fenqi.texts import LOCALES
from fenqi_server import clock
from fenqi_server import facts as fact_sources
from fenqi_server.api.access import SESSION_SECONDS, Access, ClientClaims, access_of, client_token
from fenqi_server.api.base import ApiController, answer, problems
from fenqi_server.api.once import idempotency_key, once
from fenqi_server.api.problems import ApiProblem, FieldError
from fenqi_server.api.reading import check_text, refused
from fenqi_server.api.rendering import changed_out, contract_out, evaluation_out, hand_off_out, payment_out
from fenqi_server.api.schemas import (
    ConfirmationIn,
    ConfirmationOut,
    ContractOut,
    ContractsOut,
    Customer,
    DisclosureOut,
    EndpointIn,
    EndpointOut,
    EndpointsOut,
    EvaluationIn,
    HandOffOut,
    MatchIn,
    PaymentIn,
    PaymentOut,
    ReadingIn,
    ReadingOut,
    SessionIn,
    SessionOut,
    UnappliedOut,
)
from fenqi_server.customers import service as customers
from fenqi_server.days import FIRST, read_day, read_instant
from fenqi_server.decisions import service as decisions
from fenqi_server.decisions.quotes import MAX_TOKEN_LENGTH, BadToken, cart_digest, read_quote
from fenqi_server.disclosures import service as disclosures
from fenqi_server.disclosures.pages import table_pages
from fenqi_server.funders import consents, handoffs
from fenqi_server.ids import house_party, uuid7
from fenqi_server.outbox import service as outbox
from fenqi_server.outbox.addresses import RefusedAddress
from fenqi_server.papers.addresses import address_of
from fenqi_server.policies import service as policies
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing import unapplied
from fenqi_server.servicing.listing import Asked, list_contracts
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import Shop

MAX_NAME: Final = 100
MAX_WRITTEN: Final = 300


def customer_of(access: Access, named: Customer | None, at: datetime) -> UUID | None:
    """The customer that the request is about. A client token's is fixed; naming one beside it is refused."""
    if access.client is not None:
        if named is not None:
            raise refused(FieldError("/customer", "given", "nothing: the client token says whose cart it is"))
        return access.customer_id
    if named is None:
        return None
    return _known_customer(access.shop, check_text(named.ref, "/customer/ref", longest=MAX_NAME), at)


# A shop's name for a customer is never taken back (the table grants no UPDATE), so what was found once holds.
_aliases: dict[tuple[UUID, str], UUID] = {}
MAX_ALIASES: Final = 100_000


def _known_customer(shop: Shop, ref: str, at: datetime) -> UUID:
    known = _aliases.get((shop.id, ref))
    if known is None:
        if len(_aliases) >= MAX_ALIASES:
            _aliases.clear()
        known = _aliases[shop.id, ref] = customers.ensure(shop, ref, at)
    return known


def in_shops_currency(shop: Shop, currency: str, pointer: str = "/currency") -> None:
    """One shop, one currency: anything else is refused before it is looked at."""
    if currency != shop.currency:
        raise refused(
            FieldError(
                pointer, currency, f"{shop.currency}, the shop's currency", "amounts are never converted"
            )
        )


class EvaluationController(ApiController):
    """Ways to pay for one cart."""

    scopes: ClassVar[Any] = {"post": "evaluations:write"}
    browsers: ClassVar[Any] = ("post",)
    tags: ClassVar[Any] = ["Evaluations"]

    @validate(ResponseSpec(EvaluationDocument, status_code=HTTPStatus.OK), *problems(400, 401, 403, 413, 422))
    def post(self, parsed_body: BodyMsgspec[EvaluationIn]) -> HttpResponse:
        """Ask how a cart can be paid.

        Every way comes back, in the order of the page: offers with a signed quote, and what is missing with all its
        reasons, until when, and what to use instead. That nothing is available is an answer (200), not an error.
        """
        access = access_of(self.request)
        at = clock.now()
        shop, client = access.shop, access.client
        in_shops_currency(shop, parsed_body.currency)
        customer_id = customer_of(access, parsed_body.customer, at)
        if client is None:
            decision = decisions.evaluate(
                shop,
                customer_id,
                parsed_body.lines,
                parsed_body.channel,
                parsed_body.facts,
                at,
                last_used_family=parsed_body.last_used_family,
                coupon=parsed_body.coupon,
                ship_to=parsed_body.ship_to,
                as_of=checked_ages(parsed_body.as_of, parsed_body.facts, int(at.timestamp())),
            )
        else:
            _same_cart(client, _cart(client, parsed_body.lines, parsed_body.currency))
            if parsed_body.as_of:
                raise refused(FieldError("/as_of", "told by a browser", "nothing: what it tells is of now"))
            told = _customers_own(shop, parsed_body.facts, at)
            decision = decisions.evaluate(
                shop,
                customer_id,
                parsed_body.lines,
                client.channel,
                {**client.facts, **told},
                at,
                source="browser",
                last_used_family=client.last_used_family,
                coupon=client.coupon,
                ship_to=client.ship_to,
                as_of={name: instant for name, instant in client.as_of.items() if name not in told},
            )
        return answer(self.request, evaluation_out(decision))


def _cart(client: ClientClaims, lines: list[Line], currency: str) -> bytes:
    return cart_digest(tuple(lines), currency, client.coupon or "")


def _same_cart(client: ClientClaims, cart: bytes, pointer: str = "/lines") -> None:
    if cart != client.cart:
        raise ApiProblem(
            403,
            "cart_differs",
            "Another cart",
            "The client token is bound to another cart: have the shop's server open a new session.",
            errors=(FieldError(pointer, "another cart", "the lines that the session was opened for"),),
        )


def _customers_own(shop: Shop, told: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Of what a browser tells, only what its customer may choose: the card, say, and not the customer's age."""
    if not told:
        return {}
    vocabulary = policies.current(shop.id, at).vocabulary
    for name in told:
        fact = vocabulary.get(name)
        if fact is None or not fact.changeable or fact.source != "card":
            escaped = name.replace("~", "~0").replace("/", "~1")
            raise refused(
                FieldError(
                    f"/facts/{escaped}",
                    "told by a browser",
                    "a fact that the customer chooses, such as card.bank",
                    "let the shop's server tell it when it opens the session",
                )
            )
    return told


class SessionController(ApiController):
    """Checkout sessions."""

    scopes: ClassVar[Any] = {"post": "sessions:write"}
    tags: ClassVar[Any] = ["Checkout sessions"]

    @validate(ResponseSpec(SessionOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 413, 422))
    def post(self, parsed_body: BodyMsgspec[SessionIn]) -> HttpResponse:
        """Open a session for the browser.

        The client token may ask for this customer's and this cart's ways to pay and confirm one, from pages of this
        origin alone, for fifteen minutes. Facts given here are fixed: the browser cannot change them.
        """
        access = access_of(self.request)
        shop, at = access.shop, clock.now()
        if not shops.is_allowed(shop.id, parsed_body.origin):
            raise refused(
                FieldError(
                    "/origin",
                    parsed_body.origin[:120],
                    "an origin on the shop's list, such as https://mall.example",
                )
            )
        in_shops_currency(shop, parsed_body.currency)
        lines = tuple(parsed_body.lines)
        checked_amount(CheckoutRequest(lines, parsed_body.currency, parsed_body.channel, int(at.timestamp())))
        fact_sources.accept(policies.current(shop.id, at), parsed_body.facts)
        customer_id = customer_of(access, parsed_body.customer, at)
        expires = int(at.timestamp()) + SESSION_SECONDS
        claims = ClientClaims(
            uuid7(at).bytes,
            shop.id.bytes,
            b"" if customer_id is None else customer_id.bytes,
            cart_digest(lines, parsed_body.currency, parsed_body.coupon or ""),
            parsed_body.origin,
            expires,
            parsed_body.channel,
            dict(parsed_body.facts),
            parsed_body.last_used_family,
            parsed_body.coupon,
            parsed_body.ship_to,
            checked_ages(parsed_body.as_of, parsed_body.facts, int(at.timestamp())),
        )
        token = client_token(claims)
        if len(token) > MAX_TOKEN_LENGTH:
            raise refused(
                FieldError(
                    "/facts",
                    f"{len(parsed_body.facts)} facts that make a token of {len(token)} characters",
                    f"a token of at most {MAX_TOKEN_LENGTH}",
                    "tell fewer or shorter facts: the browser sends the token as a header",
                )
            )
        return answer(self.request, SessionOut(token, datetime.fromtimestamp(expires, UTC)), 201)


class IdempotencyHeaders(msgspec.Struct, frozen=True):
    """The request's own key."""

    idempotency_key: str | None = msgspec.field(default=None, name="Idempotency-Key")


REPLAYED: Final = {
    "Idempotent-Replayed": HeaderSpec(
        description="`true` when this is the first answer again", required=False, skip_validation=True
    )
}


class ReadingsController(ApiController):
    """Showing a table of costs."""

    scopes: ClassVar[Any] = {"post": "contracts:write"}
    browsers: ClassVar[Any] = ("post",)
    tags: ClassVar[Any] = ["Contracts"]

    @validate(
        ResponseSpec(ReadingOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 404, 409, 413, 422)
    )
    def post(self, parsed_body: BodyMsgspec[ReadingIn]) -> HttpResponse:
        """Say that the table of costs of an offer is on the customer's screen now.

        Call it when the table is shown, not before: the reading time counts from here, by this service's clock. The note
        in the answer is handed in with the confirmation.
        """
        access = access_of(self.request)
        at, shop = clock.now(), access.shop
        customer_id = customer_of(access, parsed_body.customer, at)
        if customer_id is None:
            raise refused(
                FieldError("/customer", "missing", "the customer who reads", "sign the visitor in first")
            )
        try:
            begun = decisions.begin_reading(shop, customer_id, parsed_body.quote, at)
        except decisions.Refused as refusal:
            raise _refusal(refusal) from None
        out = ReadingOut(
            begun.note,
            begun.digest,
            at,
            begun.disclosure.reading_seconds,
            at + timedelta(seconds=begun.disclosure.reading_seconds),
            _pages(shop, begun.digest),
        )
        return answer(self.request, out, 201)


def _pages(shop: Shop, table: str) -> dict[str, str]:
    return table_pages(table, "" if shop.id == shops.only_shop().id else shop.code)


class DisclosurePath(msgspec.Struct, frozen=True):
    """A table's name: `sha256:` and 64 hexadecimal digits."""

    digest: str


class DisclosureController(ApiController):
    """One table of costs."""

    scopes: ClassVar[Any] = {"get": "contracts:read"}
    tags: ClassVar[Any] = ["Contracts"]

    @validate(ResponseSpec(DisclosureOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[DisclosurePath]) -> HttpResponse:
        """Read a table that was shown, by its name: it is kept as it was for good."""
        access = access_of(self.request)
        try:
            table = disclosures.find(access.shop, parsed_path.digest)
        except disclosures.NoTable:
            raise not_found("table of costs") from None
        out = DisclosureOut(
            parsed_path.digest,
            table,
            {locale: loan_cost_fields(table, locale) for locale in LOCALES},
            _pages(access.shop, parsed_path.digest),
        )
        return answer(self.request, out)


class ContractsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which contracts. `after` is the `after` of the page before; `limit` is 1 to 100 (25)."""

    status: str | None = None
    customer: str | None = None
    order_ref: str | None = None
    overdue: str | None = None
    due_before: str | None = None
    unapplied: str | None = None
    refund_due: str | None = None
    after: str | None = None
    limit: str | None = None


class ConfirmationController(ApiController):
    """Contracts: the shop's own, and confirming an offer."""

    scopes: ClassVar[Any] = {"get": "contracts:read", "post": "contracts:write"}
    browsers: ClassVar[Any] = ("post",)
    tags: ClassVar[Any] = ["Contracts"]

    @validate(ResponseSpec(ContractsOut, status_code=HTTPStatus.OK), *problems(401, 403, 422))
    def get(self, parsed_query: Query[ContractsQuery]) -> HttpResponse:
        """List the shop's contracts, newest first, with what is owed and what is overdue today.

        `status` (`unconfirmed`, `active`, `closed`), `customer` (the shop's own name), `order_ref`, `overdue` (`true`,
        `false`), `due_before` (a date: something not paid is due before it), `unapplied` (`true`: it holds money beyond
        what was owed) and `refund_due` (`true`: something is to be paid out to the customer) narrow the list; all that are
        given hold. Pages stay as they are while contracts are made: what is new is in front of them.
        """
        access = access_of(self.request)
        query = parsed_query
        asked = Asked(
            status=one_of(query.status, ("unconfirmed", "active", "closed"), "/status"),  # type: ignore[arg-type]
            customer=_named(query.customer, "/customer"),
            order_ref=_named(query.order_ref, "/order_ref"),
            overdue=_yes_or_no(query.overdue, "/overdue"),
            unapplied=_yes_or_no(query.unapplied, "/unapplied"),
            refund_due=_yes_or_no(query.refund_due, "/refund_due"),
            due_before=day_of(query.due_before, "/due_before"),
        )
        today = local_date(clock.now(), access.shop.time_zone)
        try:
            page = list_contracts(
                access.shop,
                asked,
                today,
                after=query.after or "",
                limit=limit_of(query.limit),
            )
        except BadInput as problem:
            raise bad_page(problem, query.limit) from None
        return answer(self.request, ContractsOut(today, page.contracts, page.after))

    @validate(
        ResponseSpec(ConfirmationOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self, parsed_body: BodyMsgspec[ConfirmationIn], parsed_headers: Headers[IdempotencyHeaders]
    ) -> HttpResponse:
        """Take an offer: a contract of the shop's own, or a hand-off to the funder's page.

        Needs `Idempotency-Key`: the same key with the same body gives the first answer again. The offer is decided
        again; it is honoured through the shop's changes of price and strategy, and refused with 409 and what
        changed for anything else. Then nothing was written.

        Whatever is owed after the start is confirmed only with the digest of its table of costs and the note of a
        reading of it (`POST /v1/readings`); before the reading time has passed, the answer is 409 with `seconds_left`.
        """
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()
        shop, client = access.shop, access.client
        customer_id = customer_of(access, parsed_body.customer, at)
        if customer_id is None:
            raise refused(
                FieldError("/customer", "missing", "the customer who agrees", "sign the visitor in first")
            )
        order_ref = check_text(parsed_body.order_ref, "/order_ref", longest=MAX_NAME)
        lines, told = parsed_body.lines, parsed_body.facts
        ages: dict[str, int] = {}
        if client is not None:
            with suppress(BadToken):  # what is no quote is refused below, with what is wrong with it
                _same_cart(client, read_quote(parsed_body.quote).cart, "/quote")
            if lines is not None:
                _same_cart(client, _cart(client, lines, shop.currency))
            ages = {name: instant for name, instant in client.as_of.items() if name not in (told or {})}
            told = None if told is None else {**client.facts, **_customers_own(shop, told, at)}
        check_return_url(shop, parsed_body.return_url)

        def act() -> tuple[int, Any]:
            for consent in parsed_body.consents:
                consents.record(
                    shop, customer_id, consent.recipient, at, purpose=consent.purpose, version=consent.version
                )
            done = decisions.confirm(
                shop,
                customer_id,
                parsed_body.quote,
                order_ref,
                parsed_body.acknowledged_disclosure,
                at,
                lines=lines,
                asserted=told,
                as_of=ages,
                reading=parsed_body.reading,
                return_url=parsed_body.return_url,
                source="confirm" if client is None else "confirm_browser",
            )
            if isinstance(done, decisions.Confirmed):
                return 201, ConfirmationOut("contract", done.decision_id, contract_id=done.contract_id)
            return 201, ConfirmationOut(
                "hand_off", done.decision_id, hand_off=hand_off_out(handoffs.get(shop, done.hand_off_id))
            )

        try:
            return once(self.request, access, customer_id, key, at, act)
        except decisions.Refused as refusal:
            raise _refusal(refusal) from None


def check_return_url(shop: Shop, url: str, *, ours: bool = True) -> None:
    """Back to a page of `ours`, or to an origin on the shop's list: never an open redirect."""
    if not url or (ours and url.startswith("/") and not url.startswith(("//", "/\\")) and url.isprintable()):
        return
    scheme, _, rest = url.partition("://")
    origin = f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"
    if not url.isprintable() or "\\" in url or not shops.is_allowed(shop.id, origin):
        known = "an address on one of the shop's origins"
        raise refused(
            FieldError(
                "/return_url",
                url[:120],
                f"a path, or {known}" if ours else known,
                "`fenqi shop origin` names one",
            )
        )


_TOKEN_FAULTS: Final = (
    "quote_malformed",
    "quote_tampered",
    "quote_unknown_key",
    "quote_foreign",
    "disclosure_not_acknowledged",
    "disclosure_differs",
    "disclosure_not_shown",
    "reading_malformed",
    "reading_tampered",
    "reading_unknown_key",
    "reading_foreign",
)


def _refusal(refusal: decisions.Refused) -> ApiProblem:
    status = 422 if refusal.code in _TOKEN_FAULTS else 409
    changed = None if refusal.changed is None else changed_out(refusal, refusal.changed)
    errors = (
        (FieldError(f"/{refusal.field_name}", refusal.code.removeprefix("quote_"), refusal.detail.en),)
        if refusal.changed is None
        else ()
    )
    return ApiProblem(
        status,
        refusal.code,
        refusal.title.en,
        refusal.detail.en,
        errors=errors,
        headers={"Retry-After": str(refusal.seconds_left)} if refusal.seconds_left else None,
        changed=changed,
        seconds_left=refusal.seconds_left or None,
    )


def one_of(written: str | None, known: tuple[str, ...], pointer: str) -> str | None:
    """A word of a query that is one of those known, or left out. Raises `ApiProblem` 422."""
    if written is not None and written not in known:
        raise refused(FieldError(pointer, written[:40] or "empty", "one of " + ", ".join(known), in_="query"))
    return written


def _yes_or_no(written: str | None, pointer: str) -> bool | None:
    return {"true": True, "false": False}.get(one_of(written, ("true", "false"), pointer) or "")


def limit_of(written: str | None) -> int:
    """How many a page has: 25 where nothing is said, and 0, which no list takes, for what is no number."""
    if written is None:
        return 25
    return int(written) if written.isdecimal() and len(written) < 9 else 0


def bad_page(problem: BadInput, limit: str | None) -> ApiProblem:
    """The answer to a `limit` or an `after` that cannot be used."""
    told = problem.problem
    value = (limit or "")[:40] if told.place == "limit" else told.value
    return refused(FieldError(f"/{told.place}", value, told.expected, in_="query"))


def _named(written: str | None, pointer: str) -> str | None:
    return None if written is None else check_text(written, pointer, longest=MAX_NAME, where="query")


class ContractPath(msgspec.Struct, frozen=True):
    """A contract's public id."""

    contract_id: str


class AsOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The day to look at, today in the shop's zone if left out; and the instant whose knowledge counts, now if left out."""

    as_of: str | None = None
    known_at: str | None = None


def day_of(written: str | None, pointer: str) -> date | None:
    """A day of a query, if it is there. Raises `ApiProblem` 422."""
    if written is None:
        return None
    try:
        return read_day(written)
    except ValueError:
        raise refused(FieldError(pointer, written[:40], "a date such as 2026-12-01", in_="query")) from None


def instant_of(written: str | None, pointer: str) -> datetime | None:
    """An instant of a query, if it is there. Raises `ApiProblem` 422."""
    if written is None:
        return None
    with suppress(ValueError, OverflowError):
        at = read_instant(written)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    raise refused(
        FieldError(
            pointer, written[:40], "an instant with its offset, such as 2026-12-01T10:00:00Z", in_="query"
        )
    )


class ContractController(ApiController):
    """One contract."""

    scopes: ClassVar[Any] = {"get": "contracts:read"}
    tags: ClassVar[Any] = ["Contracts"]

    @validate(ResponseSpec(ContractOut, status_code=HTTPStatus.OK), *problems(401, 403, 404, 422))
    def get(self, parsed_path: Path[ContractPath], parsed_query: Query[AsOf]) -> HttpResponse:
        """What is owed, row by row, as of a day (`?as_of=2026-12-01`), and what each payment paid.

        `known_at` asks what was believed at an instant, before later news: a payment of Monday that was learnt of on Friday
        is not in what was known on Wednesday.
        """
        access = access_of(self.request)
        known_at = instant_of(parsed_query.known_at, "/known_at")
        try:
            view = servicing.get(
                access.shop,
                parsed_path.contract_id,
                day_of(parsed_query.as_of, "/as_of"),
                at=clock.now(),
                known_at=known_at,
            )
        except servicing.NoContract:
            raise not_found("contract") from None
        out = msgspec.structs.replace(
            contract_out(view, known_at),
            statement_url=address_of(access.shop.id, view.contract_id),
            calendar_url=address_of(access.shop.id, view.contract_id, "due-dates"),
        )
        return answer(self.request, out)


class PaymentController(ApiController):
    """Payments for a contract."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Contracts"]

    @validate(
        ResponseSpec(PaymentOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self,
        parsed_path: Path[ContractPath],
        parsed_body: BodyMsgspec[PaymentIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Book a payment.

        `received`: the money is here, and is booked whatever is owed; what is too much goes to unapplied cash. `request`:
        ask first; more than is owed is refused with the amount owed. With `settles` it pays everything off by a payoff quote: a request
        by one that does not stand is refused with the way out, and money by one is an ordinary payment then.
        """
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()
        in_shops_currency(access.shop, parsed_body.currency)
        reference = check_text(parsed_body.payment_ref, "/payment_ref", longest=MAX_NAME)
        # What a payer wrote beside a transfer may stand here, and is kept with the money.
        contract = check_text(
            parsed_path.contract_id, "/contract_id", longest=MAX_WRITTEN, where="path", any_script=True
        )
        try:
            party = servicing.customer_of(access.shop, contract)
        except servicing.NoContract:
            if parsed_body.kind == "request":
                raise not_found("contract") from None
            # Money that arrived is never refused: the house keeps what it cannot match.
            party = house_party(access.shop.id, "suspense")

        channel: str = parsed_body.channel
        settlement: str | None = None
        operator = ""
        today = local_date(at, access.shop.time_zone)
        if parsed_body.cash is not None:
            till = check_text(parsed_body.cash.till, "/cash/till", longest=MAX_NAME)
            operator = check_text(
                parsed_body.cash.operator, "/cash/operator", longest=MAX_NAME, any_script=True
            )
            # What lies in one till at the end of a day is counted and taken to the bank together.
            channel, settlement = "cash", f"cash:{till}:{today}"
        if parsed_body.occurred_on is not None and not FIRST <= parsed_body.occurred_on <= today:
            raise refused(
                FieldError("/occurred_on", parsed_body.occurred_on.isoformat(), f"{FIRST} to {today}")
            )

        def act() -> tuple[int, Any]:
            done = servicing.pay(
                access.shop,
                contract,
                parsed_body.amount_minor,
                parsed_body.kind,
                reference,
                at,
                occurred_on=parsed_body.occurred_on,
                channel=channel,
                settlement=settlement,
                operator=operator,
                settles=parsed_body.settles,
            )
            return 201, payment_out(done)

        try:
            return once(self.request, access, party, key, at, act)
        except servicing.Refusal as refusal:
            raise _not_paid(refusal, reference) from None


def _not_paid(refusal: servicing.Refusal, reference: str) -> ApiProblem:
    error = {
        "above_debt": FieldError("/amount_minor", str(refusal.asked_minor), f"at most {refusal.owed_minor}"),
        "below_quote": FieldError("/amount_minor", str(refusal.asked_minor), f"{refusal.owed_minor}"),
        "already_matched": FieldError("/contract_id", "another contract", "the one it is booked to"),
        "payment_ref_reused": FieldError(
            "/payment_ref", reference, "a number not booked with another amount"
        ),
    }.get(refusal.code)
    if error is None and refusal.code.startswith("quote_"):
        error = FieldError("/settles", refusal.title.en, "a payoff quote that stands", "ask for a new one")
    return refusal_problem(refusal, *(() if error is None else (error,)))


def refusal_problem(refusal: servicing.Refusal, *errors: FieldError) -> ApiProblem:
    """What cannot be done as things are: 409 with the state, the rule and what can be done."""
    return ApiProblem(
        409,
        refusal.code,
        refusal.title.en,
        refusal.detail.en,
        errors=errors,
        owed_minor=refusal.owed_minor,
        currency=refusal.currency,
        state=refusal.state.en if refusal.state else "",
        rule=refusal.rule.en if refusal.rule else "",
        way_out=refusal.way_out.en if refusal.way_out else "",
        messages={locale: refusal.detail.in_(locale) for locale in LOCALES},
    )


class UnappliedQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page. `after` is the `after` of the page before; `limit` is 1 to 100 (25)."""

    after: str | None = None
    limit: str | None = None


class UnappliedController(ApiController):
    """Money that named no contract."""

    scopes: ClassVar[Any] = {"get": "contracts:read"}
    tags: ClassVar[Any] = ["Contracts"]

    @validate(ResponseSpec(UnappliedOut, status_code=HTTPStatus.OK), *problems(401, 403, 422))
    def get(self, parsed_query: Query[UnappliedQuery]) -> HttpResponse:
        """List the money that arrived, named no contract of the shop, and was not matched yet: newest first.

        What a contract holds beyond its debt is in its own `unapplied_minor`: `GET /v1/contracts?unapplied=true`.
        """
        access = access_of(self.request)
        try:
            page = unapplied.unmatched(
                access.shop, after=parsed_query.after or "", limit=limit_of(parsed_query.limit)
            )
        except BadInput as problem:
            raise bad_page(problem, parsed_query.limit) from None
        return answer(self.request, UnappliedOut(page.money, page.after))


class UnappliedPath(msgspec.Struct, frozen=True):
    """The id of money that named no contract."""

    unapplied_id: str


class MatchController(ApiController):
    """Matching money to its contract."""

    scopes: ClassVar[Any] = {"post": "payments:write"}
    tags: ClassVar[Any] = ["Contracts"]

    @validate(
        ResponseSpec(PaymentOut, status_code=HTTPStatus.CREATED, headers=REPLAYED),
        *problems(400, 401, 403, 404, 409, 413, 422),
    )
    def post(
        self,
        parsed_path: Path[UnappliedPath],
        parsed_body: BodyMsgspec[MatchIn],
        parsed_headers: Headers[IdempotencyHeaders],
    ) -> HttpResponse:
        """Book the money into the contract it was for, as of the day it arrived, under its own number.

        The contract is then as if the payment had named it: what was late meanwhile is not. Needs `Idempotency-Key`.
        """
        access = access_of(self.request)
        key = idempotency_key(self.request)
        at = clock.now()

        def act() -> tuple[int, Any]:
            done = unapplied.match(access.shop, parsed_path.unapplied_id, parsed_body.contract_id, at)
            return 201, payment_out(done)

        try:
            return once(self.request, access, house_party(access.shop.id, "suspense"), key, at, act)
        except unapplied.NoMoney:
            raise not_found("money that named no contract") from None
        except servicing.NoContract:
            raise refused(
                FieldError("/contract_id", parsed_body.contract_id, "a contract of the shop")
            ) from None
        except servicing.Refusal as refusal:
            raise _not_paid(refusal, "of the money") from None


class HandOffPath(msgspec.Struct, frozen=True):
    """A hand-off's public id."""

    hand_off_id: str


def _hand_off(access: Access, hand_off_id: str) -> handoffs.HandOff:
    try:
        found = handoffs.get(access.shop, hand_off_id)
    except handoffs.NoHandOff:
        raise not_found("hand-off") from None
    if access.client is not None and found.customer_id != access.customer_id:
        raise not_found("hand-off")
    return found


def not_found(what: str) -> ApiProblem:
    """The same answer for what does not exist and for what is another's."""
    return ApiProblem(404, "not_found", "Not found", f"There is no such {what} in this shop.")


class HandOffController(ApiController):
    """One hand-off."""

    scopes: ClassVar[Any] = {"get": "hand_offs:read"}
    browsers: ClassVar[Any] = ("get",)
    tags: ClassVar[Any] = ["Hand-offs"]

    @validate(ResponseSpec(HandOffOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def get(self, parsed_path: Path[HandOffPath]) -> HttpResponse:
        """What is known of a hand-off, without asking the funder."""
        access = access_of(self.request)
        return answer(self.request, hand_off_out(_hand_off(access, parsed_path.hand_off_id)))


class HandOffQueryController(ApiController):
    """Asking the funder."""

    scopes: ClassVar[Any] = {"post": "hand_offs:write"}
    tags: ClassVar[Any] = ["Hand-offs"]

    @validate(ResponseSpec(HandOffOut, status_code=HTTPStatus.OK), *problems(401, 403, 404))
    def post(self, parsed_path: Path[HandOffPath]) -> HttpResponse:
        """Ask the funder what became of it. Only this turns `unknown` into an answer."""
        access = access_of(self.request)
        found = _hand_off(access, parsed_path.hand_off_id)
        return answer(self.request, hand_off_out(handoffs.query(access.shop, found.public_id, clock.now())))


class EndpointsController(ApiController):
    """Webhook endpoints."""

    scopes: ClassVar[Any] = {"get": "webhooks:manage", "post": "webhooks:manage"}
    tags: ClassVar[Any] = ["Webhooks"]

    @validate(ResponseSpec(EndpointsOut, status_code=HTTPStatus.OK), *problems(401, 403))
    def get(self) -> HttpResponse:
        """List the shop's endpoints, without their secrets."""
        access = access_of(self.request)
        return answer(self.request, EndpointsOut([_endpoint(e) for e in outbox.endpoints(access.shop)]))

    @validate(
        ResponseSpec(EndpointOut, status_code=HTTPStatus.CREATED), *problems(400, 401, 403, 409, 413, 422)
    )
    def post(self, parsed_body: BodyMsgspec[EndpointIn]) -> HttpResponse:
        """Have events sent to an address. The answer shows the secret that signs them, this once."""
        access = access_of(self.request)
        for number, event in enumerate(parsed_body.events):
            if event not in outbox.EVENTS:
                raise refused(
                    FieldError(f"/events/{number}", event[:60], "one of " + ", ".join(outbox.EVENTS))
                )
        try:
            made = outbox.add_endpoint(
                access.shop, parsed_body.url, tuple(dict.fromkeys(parsed_body.events)), clock.now()
            )
        except RefusedAddress as error:
            raise refused(FieldError("/url", parsed_body.url[:120], str(error))) from None
        except outbox.TooManyEndpoints as error:
            raise ApiProblem(409, "too_many_endpoints", "Too many endpoints", str(error)) from None
        return answer(self.request, _endpoint(made), 201)


class EndpointPath(msgspec.Struct, frozen=True):
    """An endpoint's id."""

    endpoint_id: str


class EndpointController(ApiController):
    """One webhook endpoint."""

    scopes: ClassVar[Any] = {"delete": "webhooks:manage"}
    tags: ClassVar[Any] = ["Webhooks"]

    @validate(ResponseSpec(None, status_code=HTTPStatus.NO_CONTENT), *problems(401, 403, 404))
    def delete(self, parsed_path: Path[EndpointPath]) -> HttpResponse:
        """Send nothing more there; what waits for it is dropped."""
        access = access_of(self.request)
        if not outbox.remove_endpoint(access.shop, parsed_path.endpoint_id):
            raise not_found("webhook endpoint")
        return HttpResponse(status=204)


def _endpoint(endpoint: outbox.Endpoint) -> EndpointOut:
    return EndpointOut(endpoint.id, endpoint.url, endpoint.events, endpoint.created_at, endpoint.secret)

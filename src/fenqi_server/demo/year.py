"""A year in the mall: what five customers agreed to, and what they do on which day.

The diary below is the script, in the order of its days. Nothing of it is written into a contract: on its day each entry asks
the same services that the pages, the API and the staff use, under the demo's clock. Instalments fall due, are asked for by mandate and settle
by the jobs of the worker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from fenqi.calendars import add_months, local_date
from fenqi.policy.document import read_policy
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.autopay import mandates
from fenqi_server.autopay.rules import retry_days
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.demo import clock
from fenqi_server.demo.catalogue import PRODUCT_BY_SKU
from fenqi_server.demo.causes import own_files
from fenqi_server.demo.people import PERSON_BY_REF, YEAR_PEOPLE
from fenqi_server.demo.seed import buy, enrol
from fenqi_server.policies import service as policies
from fenqi_server.servicing import leases, payoffs, requests, returns
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.requests import ReturnAsked, ReturnLine
from fenqi_server.shops.models import Shop
from fenqi_server.storefront import cart

__all__ = [
    "DIARY",
    "Entry",
    "Happened",
    "act",
    "began_on",
    "begin",
    "contract_of",
    "days_between",
    "happened",
]


class Entry(msgspec.Struct, frozen=True):
    """On the day so many months and days after the beginning, a person does something. `said` is what a reader is told of it."""

    person: str
    months: int
    days: int
    act: str
    said: Text

    def on(self, began: date) -> date:
        """Its day, in the shop's zone."""
        return add_months(began, self.months) + timedelta(days=self.days)


class Happened(msgspec.Struct, frozen=True):
    """An entry that has happened, and when."""

    entry: Entry
    at: datetime


def _pays(person: str, *months: int) -> tuple[Entry, ...]:
    said = Text("按期还款", "pays the instalment on its day")
    return tuple(Entry(person, month, 0, "pay_due", said) for month in months)


_TOLD: Final = (
    Entry("year_autopay", 0, 0, "buy_phone", Text("买手机，12 期", "buys a phone in 12 instalments")),
    Entry("year_autopay", 0, 1, "mandate", Text("签约自动还款", "allows automatic payment from a card")),
    Entry("year_return", 0, 0, "buy_two", Text("买两部手机，12 期", "buys two phones in 12 instalments")),
    *_pays("year_return", 1, 2),
    Entry("year_return", 2, 5, "ask_return", Text("申请退一部手机", "asks to return one of the two")),
    Entry("year_return", 2, 8, "take_return", Text("商城收到退货", "the mall has the parcel")),
    Entry("year_return", 2, 9, "refund", Text("商城退款", "the mall pays the refund")),
    *_pays("year_return", 3, 4, 5, 6),
    Entry("year_payoff", 0, 0, "buy_phone", Text("买手机，12 期", "buys a phone in 12 instalments")),
    *_pays("year_payoff", 1, 2, 3, 4),
    Entry("year_payoff", 4, 10, "pay_off", Text("询价并提前结清", "asks for a payoff quote and pays it")),
    Entry("year_late", 0, 0, "buy_phone", Text("买手机，12 期", "buys a phone in 12 instalments")),
    *_pays("year_late", 1, 2),
    Entry("year_late", 4, 20, "catch_up", Text("补齐两期欠款", "pays everything that is late")),
    *_pays("year_late", 5, 6, 7, 8, 9, 10, 11, 12),
    Entry("year_rent", 0, 0, "rent", Text("租手机，12 个月", "rents a phone for 12 months")),
    Entry("year_rent", 0, 0, "pay_due", Text("交押金和首期租金", "pays the deposit and the first rent")),
    Entry("year_rent", 0, 1, "hand_over", Text("拿到手机", "gets the phone")),
    *_pays("year_rent", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
    Entry(
        "year_rent",
        12,
        0,
        "buy_out",
        Text("租满买下，押金抵扣", "buys it at the end; the deposit pays part of it"),
    ),
    Entry("year_rent", 12, 0, "pay_due", Text("付清买断余款", "pays the rest of the price")),
)
DIARY: Final = tuple(sorted(_TOLD, key=lambda entry: (entry.months, entry.days)))
"""Everything that people do in the year. What only falls due is not in it."""

_PHONE: Final = "cg-15"
_OF_TWO: Final = "cg-lite"
_PLAN: Final = "mall_12"
_LOOKED_AT: Final = timedelta(minutes=1)
_RENTAL: Final = "rent_12"
_COST_MINOR: Final = 420_000
"""What the rented phone cost the mall, and below, what it is to be worth after the term."""
_RESIDUAL_MINOR: Final = 130_000
_RENTAL_FILE: Final = Path(__file__).resolve().parent / "rental" / "60-rental.yaml"


def began_on(shop: Shop) -> date | None:
    """The day on which the year began; None before."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT began_on FROM demo_year WHERE id = 1")
        row = cursor.fetchone()
    return None if row is None else row[0]


def happened(shop: Shop) -> list[Happened]:
    """What has happened so far, in its order."""
    use_shop(shop.id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT entry, happened_at FROM demo_diary ORDER BY entry")
        return [Happened(DIARY[number], at) for number, at in cursor.fetchall()]


def begin(shop: Shop, at: datetime) -> None:
    """Let the year begin: its people come in, and buy. Does nothing where it has begun.

    Raises `BadInput` where the mall's instalments are not offered at this instant.
    """
    if began_on(shop) is not None:
        return

    _offer_rental(shop, at)
    # They look at it before they buy: a minute later.
    at += _LOOKED_AT
    clock.move_to(at)

    def start() -> None:
        for person in YEAR_PEOPLE:
            enrol(shop, person, at)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO demo_year (id, began_on) VALUES (1, %s)", [local_date(at, shop.time_zone)]
            )
        act(shop, at)

    try:
        in_transaction(start)
    except ValueError as cannot:
        raise BadInput(
            "instant", at.isoformat(), "a time at which mall instalments are offered", str(cannot)[:200]
        ) from cannot


def act(shop: Shop, at: datetime) -> int:
    """Do everything of the diary whose day has come: how much that was."""
    began = began_on(shop)
    if began is None:
        return 0
    today = local_date(at, shop.time_zone)
    done = {DIARY.index(each.entry) for each in happened(shop)}
    count = 0
    for number, entry in enumerate(DIARY):
        if number in done or entry.on(began) > today:
            continue

        def step(number: int = number, entry: Entry = entry) -> None:
            use_shop(shop.id)
            _ACTS[entry.act](shop, entry, at)
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO demo_diary (entry, happened_at) VALUES (%s, %s)", [number, at])

        in_transaction(step)
        count += 1
    return count


def days_between(shop: Shop, today: date, target: datetime) -> list[date]:
    """The days after `today` and up to an instant on which the clock stops: something falls due, or is in the diary."""
    began = began_on(shop)
    last = local_date(target, shop.time_zone)
    if began is None:
        return []
    days = {entry.on(began) for entry in DIARY}
    for person in YEAR_PEOPLE:
        contract = contract_of(shop, person.external_ref)
        if contract is None:
            continue
        for row in servicing.get(shop, contract, today).terms.rows:
            days.add(row.due_on)
            days.update(row.due_on + timedelta(days=after) for after in retry_days(shop))
    return sorted(day for day in days if today <= day <= last)


def contract_of(shop: Shop, ref: str) -> str | None:
    """The contract that a person of the year has; None before it was made."""
    customer_id = customers.find(shop, ref)
    if customer_id is None:
        return None
    found = servicing.contracts_of(shop, customer_id, date.max)
    return next((each.contract_id for each in found if each.order_ref == _reference(ref)), None)


# ---------------------------------------------------------------------------------------------------- the acts


def _reference(ref: str) -> str:
    return f"Y-{ref.removeprefix('year_').upper()}"


def _customer(shop: Shop, ref: str) -> UUID:
    customer_id = customers.find(shop, ref)
    assert customer_id is not None, "the year's people come in when it begins"
    return customer_id


def _contract(shop: Shop, ref: str) -> str:
    contract = contract_of(shop, ref)
    assert contract is not None, "nobody pays before they bought"
    return contract


def _buy(shop: Shop, entry: Entry, at: datetime, sku: str, quantity: int, plan: str = _PLAN) -> None:
    items = (cart.CartItem(PRODUCT_BY_SKU[sku], quantity),)
    person = PERSON_BY_REF[entry.person]
    buy(shop, _customer(shop, entry.person), person, items, plan, _reference(entry.person), at)


def _pay(shop: Shop, entry: Entry, at: datetime, minor: int, *, settles: str = "") -> None:
    name = f"{_reference(entry.person)}-{entry.months}-{entry.days}"
    servicing.pay(shop, _contract(shop, entry.person), minor, "received", name, at, settles=settles)


def _pay_due(shop: Shop, entry: Entry, at: datetime) -> None:
    """What is due by today: for a contract in order, the instalment."""
    today = local_date(at, shop.time_zone)
    state = servicing.get(shop, _contract(shop, entry.person), today).state
    due = sum(row.outstanding_minor for row in state.rows if row.due_on <= today)
    if due:
        _pay(shop, entry, at, due)


def _mandate(shop: Shop, entry: Entry, at: datetime) -> None:
    """Of the debits of its card, the fourth and its second try find too little money; the third try does not."""
    mandates.give(
        shop,
        _customer(shop, entry.person),
        mandates.Tool("pretend:ok,ok,ok,insufficient,insufficient,ok", "UnionPay", "6217"),
        200_000,
        "autopay-2026-11",
        at,
        contract=_contract(shop, entry.person),
    )


def _ask_return(shop: Shop, entry: Entry, at: datetime) -> None:
    product = PRODUCT_BY_SKU[_OF_TWO]
    line = ReturnLine(
        sku=product.sku, title=product.title.zh_cn, quantity=1, amount_minor=product.price_minor
    )
    asked = ReturnAsked(amount_minor=product.price_minor, lines=(line,), reason="unwanted")
    requests.open_request(shop, _contract(shop, entry.person), asked, at)


def _take_return(shop: Shop, entry: Entry, at: datetime) -> None:
    for each in requests.of_contract(shop, _contract(shop, entry.person)):
        if each.state == "open" and each.kind == "return":
            requests.approve(shop, each.request_id, at, actor="warehouse", note="parcel checked in")


def _refund(shop: Shop, entry: Entry, at: datetime) -> None:
    contract = _contract(shop, entry.person)
    due = servicing.get(shop, contract, at=at).state.refund_due_minor
    if due:
        returns.refund_paid(
            shop, contract, f"{_reference(entry.person)}-refund", due, at, actor="finance", reason="return"
        )


def _pay_off(shop: Shop, entry: Entry, at: datetime) -> None:
    quote = payoffs.payoff_quote(shop, _contract(shop, entry.person), at)
    _pay(shop, entry, at, quote.to_pay_minor, settles=quote.quote_id)


def _hand_over(shop: Shop, entry: Entry, at: datetime) -> None:
    leases.hand_over(
        shop,
        _contract(shop, entry.person),
        at,
        cost_minor=_COST_MINOR,
        residual_minor=_RESIDUAL_MINOR,
        actor="warehouse",
    )


def _buy_out(shop: Shop, entry: Entry, at: datetime) -> None:
    contract = _contract(shop, entry.person)
    offer = leases.preview_buyout(shop, contract, at)
    leases.buy_out(shop, contract, offer.price_minor, f"{_reference(entry.person)}-buys", at)


def _offer_rental(shop: Shop, at: datetime) -> None:
    """Publish the mall's own policy with phones for rent."""
    files = {**own_files(), _RENTAL_FILE.name: _RENTAL_FILE.read_text(encoding="utf-8")}
    found = read_policy(files)
    assert found.snapshot is not None, found.problems
    policies.publish(
        shop,
        found.snapshot,
        at,
        "demo",
        sets=found.sets,
        files=files,
        reason="the demo's year: phones for rent",
        silent_reason="a way to pay that is new on the page; nothing that was there is paused, limited or gone",
    )


_ACTS: Final[dict[str, Callable[[Shop, Entry, datetime], None]]] = {
    "buy_phone": lambda shop, entry, at: _buy(shop, entry, at, _PHONE, 1),
    "rent": lambda shop, entry, at: _buy(shop, entry, at, _PHONE, 1, _RENTAL),
    "hand_over": _hand_over,
    "buy_out": _buy_out,
    "buy_two": lambda shop, entry, at: _buy(shop, entry, at, _OF_TWO, 2),
    "mandate": _mandate,
    "pay_due": _pay_due,
    "catch_up": _pay_due,
    "ask_return": _ask_return,
    "take_return": _take_return,
    "refund": _refund,
    "pay_off": _pay_off,
}

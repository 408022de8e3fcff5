"""An act of staff as data: who may, what is asked for, what is done, and how it is undone.

The doing itself is the services' (`acts`, `returns`, `requests`, `service`); a preview is the same doing, taken back (`tried`), so that
what is shown beforehand is what will happen, its refusals with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec

from fenqi.contracts.contract import ContractState
from fenqi.contracts.events import EventRefused
from fenqi_server.servicing import acts, outgoing, requests
from fenqi_server.servicing.outgoing import OfContract
from fenqi_server.servicing.refusals import refusal_of
from fenqi_server.servicing.service import ContractView
from fenqi_server.servicing.staff_acts.form import Field
from fenqi_server.shops.models import Shop
from fenqi_server.storefront.voice import Voice

__all__ = [
    "DESK_ROLES",
    "MAX_REASON",
    "MONEY_ROLES",
    "Doing",
    "StaffAct",
    "asked_or_done",
    "late",
    "running",
    "seen_alone",
    "sold",
    "the_amount",
    "tried",
]

MAX_REASON: Final = acts.MAX_REASON
MONEY_ROLES: Final = ("supervisor", "finance")
DESK_ROLES: Final = ("support", "supervisor", "finance")
T = TypeVar("T")


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """An act to be done: by whom, when, with what. `given` are the fields as they were read."""

    shop: Shop
    contract: str
    given: dict[str, Any]
    at: datetime
    actor: str
    reason: str


class StaffAct(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `fits` says of which contracts it is offered; `done` returns the request where somebody else has to agree.

    `preview` is `do` where it is left out. `guard` says what the law or the contract asks for first. `stake` is the amount, by the
    contract and what was given, above which somebody else has to agree; None: one person does it whatever the amount.
    """

    name: str
    roles: tuple[str, ...]
    group: Literal["calls", "money", "help", "goods", "loss"]
    title: str
    about: str
    way_back: str
    fields: Callable[[Shop, ContractView, Voice, datetime], tuple[Field, ...]]
    fits: Callable[[ContractState], bool]
    do: Callable[[Doing], requests.Request | None]
    preview: Callable[[Doing], object] | None = None
    guard: Callable[[ContractView, Voice], str] | None = None
    stake: Callable[[ContractView, dict[str, Any]], int] | None = None


def tried(act: Callable[[], T], then: Callable[[], Any] = lambda: None) -> tuple[T, Any]:
    """Do an act and look (`then`), and take it all back: nothing of it is kept, and nobody hears of it."""
    return outgoing.foreseen(lambda: (act(), then()))


def asked_or_done(doing: Doing, asked: OfContract) -> requests.Request | None:
    """Do it, or ask for it where somebody else has to agree."""
    try:
        done = requests.ask(
            doing.shop, doing.contract, asked, doing.at, actor=doing.actor, on=doing.given.get("on")
        )
    except EventRefused as problem:
        raise refusal_of(problem, "payment_reversed", doing.shop.currency) from None
    return done if isinstance(done, requests.Request) else None


def seen_alone(doing: Doing, asked: OfContract) -> object:
    """Do it alone, which is only looked at."""
    on = doing.given.get("on")
    try:
        return outgoing.perform(doing.shop, doing.contract, asked, doing.at, actor=doing.actor, on=on)
    except EventRefused as problem:
        raise refusal_of(problem, "payment_reversed", doing.shop.currency) from None


def the_amount(_found: ContractView, given: dict[str, Any]) -> int:
    """The stake of an act that asks for an amount."""
    amount: int = given["amount"]
    return amount


def running(state: ContractState) -> bool:
    """Something is owed, and the claim stands in the book."""
    return state.status == "active" and state.written_off_on is None


def sold(state: ContractState) -> bool:
    """A price is paid back: no lease, and no pledge that is not captured yet."""
    captured = state.pledge is None or state.pledge.stage == "captured"
    return running(state) and state.lease is None and captured


def late(state: ContractState) -> bool:
    """A price is paid back, and some of it is past due."""
    return sold(state) and state.overdue_minor > 0

"""Who collects: the shop's payment provider, behind one small port.

Most shops are asked by webhook: `autopay.collect_requested` carries our key (the attempt's id), the tool's token and the amount, and the
answer comes to `POST /v1/autopay-attempts/{id}/outcome`. The message is in the outbox exactly when the attempt is made.

A collector inside the process is a class named in `FENQI_AUTOPAY_COLLECTOR`:

    class MyCollector:
        def collect(self, ask: Ask) -> Answer: ...
        def query(self, ask: Ask) -> Answer: ...

`collect` is called once for a key and never again, whatever became of it: where it raises `NotAnswered`, or the process dies in it, the
outcome is *unknown*, and `query` is asked until it knows. Give the key to the provider as its idempotency key.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec
from django.conf import settings
from django.utils.module_loading import import_string

from fenqi_server.autopay.mandates import Tool
from fenqi_server.outbox.service import listening
from fenqi_server.shops.models import Shop

__all__ = ["ASKED", "Answer", "Ask", "Collector", "NotAnswered", "Way", "in_process", "way_of"]

ASKED = "autopay.collect_requested"
"""The event by which a shop's own server is asked."""

Result = Literal["collected", "failed", "unknown"]
Way = Literal["process", "webhook", "none"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One debit. `key` is its own and no other's; `nth` counts the debits by this mandate, from 0."""

    key: str
    tool: Tool
    amount_minor: int
    currency: str
    nth: int


class Answer(msgspec.Struct, frozen=True):
    """What is known of a debit. `reason` is for what failed: see `fenqi_server.autopay.rules.REASONS`."""

    result: Result
    reason: str = ""
    amount_minor: int | None = None


class NotAnswered(Exception):
    """No answer in time: whether money moved is not known."""


class Collector(Protocol):
    """What every collector inside the process does."""

    def collect(self, ask: Ask) -> Answer:
        """Debit the tool. Raises `NotAnswered`."""
        ...

    def query(self, ask: Ask) -> Answer:
        """Say what became of a debit, without moving money. Raises `NotAnswered`."""
        ...


def in_process() -> Collector | None:
    """The installation's own collector, where one is named."""
    name = settings.FENQI_AUTOPAY_COLLECTOR
    if not name:
        return None
    collector: Collector = import_string(name)()
    return collector


def way_of(shop: Shop) -> Way:
    """How the shop's debits are asked for; `none` where nobody would hear it."""
    if settings.FENQI_AUTOPAY_COLLECTOR:
        return "process"
    return "webhook" if listening(shop, ASKED) else "none"

"""What falls due when the demo's clock has moved: the same jobs that the worker runs, now, with their counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
from django.utils.module_loading import import_string

from fenqi_server.db import in_transaction

__all__ = ["JOBS", "Ran", "run_due"]

JOBS: Final = {
    "due": "fenqi_server.servicing.closing.run_due",
    "autopay": "fenqi_server.autopay.attempts.act_due",
    "settled": "fenqi_server.books.settlement.run_settlements",
    "hand_offs": "fenqi_server.funders.handoffs.query_due",
    "assessments": "fenqi_server.demo.jobs.answer_assessments",
    "put_off": "fenqi_server.announcements.repayment.move_due",
    "back": "fenqi_server.announcements.recovery.run_due",
    "overdue": "fenqi_server.announcements.alarms.raise_overdue",
    "compensation": "fenqi_server.announcements.compensation.issue_due",
    "revisions": "fenqi_server.subscriptions.fanout.expand_due",
    "told": "fenqi_server.subscriptions.wishes.fulfil_due",
    "reminders": "fenqi_server.reminders.sending.send_due",
    "messages": "fenqi_server.subscriptions.queue.deliver_due",
}
"""In this order: a due date may free a line, an answer may open a way, and then whoever waits is told."""


class Ran(msgspec.Struct, frozen=True):
    """One job and how much it did."""

    job: str
    count: int


def run_due(now: datetime) -> tuple[Ran, ...]:
    """Run everything due at `now`."""
    ran = []
    for name, path in JOBS.items():
        job: Callable[[datetime], int] = import_string(path)
        ran.append(Ran(name, job(now)))
    return tuple(ran)


def answer_assessments(now: datetime) -> int:
    """The pretend funders answer the assessments whose time has come; how many answers are new."""
    from fenqi_server.customers import service as customers
    from fenqi_server.demo.people import PEOPLE
    from fenqi_server.demo.seed import assess
    from fenqi_server.shops.service import only_shop

    shop = only_shop()

    def act() -> int:
        count = 0
        for person in PEOPLE:
            customer_id = customers.find(shop, person.external_ref)
            if customer_id is not None:
                count += assess(shop, customer_id, person, now)
        return count

    return in_transaction(act)

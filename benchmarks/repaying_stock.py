"""What the measurements of repayments run as the service, each in a process of its own; each prints JSON.

python -m benchmarks.repaying_stock template     a contract with four months behind it and the fifth late, and what one payment
                                                 of it runs in the database, statement by statement
python -m benchmarks.repaying_stock opened       a contract that was just made, and a key of its shop
python -m benchmarks.repaying_stock month_end    book the end of its first month
python -m benchmarks.repaying_stock prove        prove the book, and replay some of the contracts that were paid
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import django

SHOP: Final = "bench"
PAYMENT: Final = "bank-5"
AT: Final = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
LATE_DAYS: Final = 4
PENALTY_MINOR: Final = 2_500
EXTRA_MINOR: Final = 1_000
"""What the payment brings beyond the fifth month: it goes to the fee of the sixth, which is earned with it."""


def _open() -> tuple[Any, Any, Any, str]:
    """A shop with a customer and a contract: the shop, its bill, the customer's key, the contract's id."""
    from django.db import transaction

    from fenqi.terms.cost import cost_of
    from fenqi.terms.disclosure import disclose
    from fenqi.terms.plan import ContingentCost, FlatFee, Plan
    from fenqi.terms.schedule import build_schedule
    from fenqi.texts import Text
    from fenqi_server.customers import service as customers
    from fenqi_server.servicing import service
    from fenqi_server.shops import service as shops

    late = ContingentCost("late", Text("违约金", "Late charge"), Text("逾期时", "When late"), "shop")
    plan = Plan(
        "mall_12", "mall", "shop", "instalment_sale", 12, FlatFee(Decimal("0.006")), contingent=(late,)
    )
    shop = shops.create_shop(SHOP, name_zh_cn="基准商城", name_en="Bench Mall", at=AT)
    bill = build_schedule(plan, 600_000, "CNY", AT.date())
    table = disclose(plan, bill, cost_of(bill, plan), Text("商城", "The mall"))
    customer_id = customers.ensure(shop, "template", AT)
    with transaction.atomic():
        service.lock_customer(shop, customer_id)
        contract = service.open_contract(
            shop,
            customer_id,
            plan=plan,
            schedule=bill,
            disclosure=table,
            policy_digest="sha256:" + "0" * 64,
            order_ref="template",
            at=AT,
        )
    return shop, bill, customer_id, contract


def template() -> dict[str, object]:
    """The keys of what is to be multiplied, and the statements of `service.pay` with their values."""
    from fenqi_server.servicing import closing, service

    shop, bill, customer_id, contract = _open()
    for row in bill.rows[:5]:
        at = datetime.combine(row.due_on, AT.timetz())
        closing.close_day(shop, row.due_on, at)
        if row.number < 5:
            service.pay(
                shop, contract, row.principal_minor + row.fee_minor, "received", f"bank-{row.number}", at
            )
    at += timedelta(days=LATE_DAYS)
    _charge(shop.id, contract, at.date(), at)
    fifth = bill.rows[4]
    paid_minor = fifth.principal_minor + fifth.fee_minor + PENALTY_MINOR + EXTRA_MINOR
    service.get(shop, contract, at=at)  # the session has named its shop, as a serving one has
    statements = recorded(lambda: service.pay(shop, contract, paid_minor, "received", PAYMENT, at))
    return {
        "shop_id": str(shop.id),
        "customer_id": str(customer_id),
        "contract_id": str(service.parsed(contract)[1]),
        "amount_minor": paid_minor,
        "at": at.isoformat(),
        "statements": statements,
    }


def opened() -> dict[str, object]:
    """The keys of what is to be multiplied: a contract in its first month."""
    from fenqi_server.servicing import service
    from fenqi_server.shops import service as shops

    shop, _, customer_id, contract = _open()
    return {
        "shop_id": str(shop.id),
        "customer_id": str(customer_id),
        "contract_id": str(service.parsed(contract)[1]),
        "key": shops.create_key(shop, "benchmark", at=AT),
    }


def end_month() -> dict[str, object]:
    """The seconds that the end of the first month takes, and what it books."""
    import os
    import time

    from fenqi_server.servicing import month_end
    from fenqi_server.shops import service as shops

    shop = shops.by_code(SHOP)
    began, used = time.perf_counter(), os.times()
    done = month_end.run(shop, date(2026, 1, 31), datetime(2026, 2, 1, 2, 0, tzinfo=UTC))
    seconds, after = time.perf_counter() - began, os.times()
    if done.ended_at is None:
        raise SystemExit("the month has not ended")
    return {
        "seconds": seconds,
        "own_cpu_seconds": after.user + after.system - used.user - used.system,
        "contracts": done.contracts,
        "replayed": done.replayed,
        "accrued_minor": done.accrued_minor,
    }


class _Undone(Exception):
    """Raised to roll back what was only looked at."""


def recorded(act: Callable[[], object]) -> list[dict[str, Any]]:
    """The statements that an act runs, each with its values as PostgreSQL reads them; what it did is rolled back.

    BEGIN and COMMIT are not among them: an act is one transaction.
    """
    from django.db import connection, transaction

    found: list[dict[str, Any]] = []

    def note(execute: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        assert not many, "one statement, one set of values"
        found.append({"sql": " ".join(sql.split()), "values": [text_of(value) for value in values or ()]})
        return execute(sql, values, many, context)

    try:
        with transaction.atomic(), connection.execute_wrapper(note):
            act()
            raise _Undone
    except _Undone:
        return found


def text_of(value: Any) -> str | None:
    """A value as PostgreSQL reads it from a text, whatever its type.

    >>> text_of([date(2026, 1, 15), None]), text_of(True), text_of(None)
    ('{"2026-01-15",NULL}', 'true', None)
    """
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return "{" + ",".join(map(_member, value)) + "}"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def _member(value: Any) -> str:
    text = text_of(value)
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _charge(shop_id: UUID, contract: str, on: date, at: datetime) -> None:
    """A late charge for the row that is late."""
    from django.db import transaction

    from fenqi.calendars import to_epoch
    from fenqi.contracts.events import Charged
    from fenqi_server.db import use_shop
    from fenqi_server.servicing import service, storage

    with transaction.atomic():
        use_shop(shop_id)
        stored = storage.load_for_update(*service.parsed(contract))
        assert stored is not None, "the contract was just made"
        charged = Charged(
            seq=len(stored.events) + 1,
            occurred_on=on,
            recorded_at=to_epoch(at),
            charge_id="late-5",
            part="penalty",
            amount_minor=PENALTY_MINOR,
            due_on=on,
            code="late",
        )
        storage.append(stored, [charged], at, on)


def prove() -> dict[str, object]:
    """Whether the book holds, contracts that were paid among it."""
    from django.db import connection

    from fenqi_server.books.proof import prove_contracts, prove_sums
    from fenqi_server.db import use_shop
    from fenqi_server.shops import service as shops

    use_shop(shops.by_code(SHOP).id)
    report = prove_sums(connection).with_contracts(prove_contracts(connection, seconds=2.0))
    return {
        "problems": [problem.sentence for problem in report.problems[:5]],
        "transactions": report.transactions,
        "contracts": report.contracts,
        "replayed": report.replayed,
    }


WORDS: Final = {"template": template, "opened": opened, "month_end": end_month, "prove": prove}


def main() -> None:
    """Run what is named, and print it."""
    django.setup()
    print(json.dumps(WORDS[sys.argv[1]]()))


if __name__ == "__main__":
    main()

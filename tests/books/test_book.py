"""The book keeps itself: PostgreSQL refuses what does not balance, and whoever wants to change what is booked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import Error, IntegrityError, connection, transaction
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, TODAY, after, make_customer, make_shop, on, open_one

from fenqi.ledger.accounts import CHART
from fenqi.ledger.entries import Entries
from fenqi.money import Money
from fenqi.problems import BadInput
from fenqi_server.books.posting import balances_of, convert, post
from fenqi_server.books.proof import prove, prove_shop
from fenqi_server.books.settlement import in_transit, run_settlements, settle, settle_due
from fenqi_server.db import sqlstate, use_shop
from fenqi_server.ids import parse_public_id, uuid7
from fenqi_server.servicing import closing, service
from fenqi_server.shops.models import Shop


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(Error) as problem, transaction.atomic():
        yield
    assert sqlstate(problem.value) == code, problem.value


def write(shop: Shop, accounts: object, amounts: object, **change: Any) -> None:
    use_shop(shop.id)
    columns = {
        "customer_id": UUID(int=1),
        "transaction_id": uuid7(AT),
        "shop_id": shop.id,
        "event_id": uuid7(AT),
        "event_kind": "test",
        "settlement": "bank:1",
        "currency": "CNY",
        "accounts": accounts,
        "amounts": amounts,
        "occurred_on": TODAY,
        "recorded_at": AT,
        "booked_on": TODAY,
    } | change
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO books_transaction ({', '.join(columns)}) VALUES ({', '.join('%s' for _ in columns)})",
            list(columns.values()),
        )


def test_what_balances_is_taken(shop: Shop) -> None:
    write(shop, [1020, 1110], [5, -5])
    write(shop, [1020, 1110, 4110], [5, -3, -2])
    assert prove_shop(shop).totals[0].sum_minor == 0


class TestEachWayToBeUnbalanced:
    def check(self, shop: Shop, accounts: object, amounts: object) -> None:
        with refused("23514"):
            write(shop, accounts, amounts)

    def test_no_legs(self, shop: Shop) -> None:
        self.check(shop, "{}", "{}")

    def test_no_amounts(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110], "{}")

    def test_one_leg(self, shop: Shop) -> None:
        self.check(shop, [1020], [5])

    def test_one_leg_of_zero(self, shop: Shop) -> None:
        self.check(shop, [1020], [0])

    def test_a_null_amount(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110, 4110], "{5,-5,NULL}")

    def test_a_null_account(self, shop: Shop) -> None:
        self.check(shop, "{1020,NULL}", [5, -5])

    def test_a_leg_of_zero(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110, 4110], [5, -5, 0])

    def test_more_accounts_than_amounts(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110, 4110], [5, -5])

    def test_more_amounts_than_accounts(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110], [5, -4, -1])

    def test_off_by_one(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110], [5, -4])

    def test_a_sum_that_would_overflow_back_to_zero(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110, 4110, 4010], [2**62, 2**62, 2**62, 2**62])

    def test_an_unknown_account(self, shop: Shop) -> None:
        self.check(shop, [1020, 9999], [5, -5])

    def test_arrays_of_two_dimensions(self, shop: Shop) -> None:
        self.check(shop, "{{1020,1110},{1020,1110}}", "{{5,-5},{5,-5}}")

    def test_accounts_of_two_dimensions(self, shop: Shop) -> None:
        self.check(shop, "{{1020,1110}}", [5, -5])

    def test_amounts_of_two_dimensions(self, shop: Shop) -> None:
        self.check(shop, [1020, 1110], "{{5,-5}}")

    def test_an_account_and_an_amount_that_are_missing_together(self, shop: Shop) -> None:
        self.check(shop, "{1020,1110,NULL}", "{5,-5,NULL}")

    def test_no_arrays_at_all(self, shop: Shop) -> None:
        with refused("23502"):
            write(shop, None, None)

    def test_money_in_transit_without_its_settlement(self, shop: Shop) -> None:
        with refused("23514"):
            write(shop, [1020, 1110], [5, -5], settlement=None)

    def test_a_currency_that_is_none(self, shop: Shop) -> None:
        with refused("23514"):
            write(shop, [1020, 1110], [5, -5], currency="yuan")


_SUM = "(SELECT sum(amount) FROM unnest(amounts) AS amount) = 0"
# What each clause alone refuses. Without it the row would be taken.
_ONLY_BY: dict[str, tuple[str, str, str | None, str]] = {
    "array_ndims(amounts) = 1": ("{{1020,1110},{1020,1110}}", "{{5,-5},{5,-5}}", "s", "CNY"),
    "array_dims(accounts) = array_dims(amounts)": ("{1020,1110,4110}", "{5,-5}", "s", "CNY"),
    "0::bigint <> ALL (amounts)": ("{1020,1110,4110}", "{5,-5,NULL}", "s", "CNY"),
    "accounts <@ '{": ("{1020,9999}", "{5,-5}", "s", "CNY"),
    "(settlement IS NOT NULL": ("{1020,1110}", "{5,-5}", None, "CNY"),
    "currency ~ ": ("{1020,1110}", "{5,-5}", "s", "cny"),
    _SUM: ("{1020,1110}", "{5,-4}", "s", "CNY"),
}


def test_every_clause_of_the_check_refuses_what_the_others_would_take(
    shop: Shop, as_owner: psycopg.Connection[Any]
) -> None:
    (source,) = as_owner.execute(
        "SELECT prosrc FROM pg_proc WHERE proname = 'books_transaction_ok'"
    ).fetchone()  # type: ignore[misc]
    told = "\n".join(line for line in source.splitlines() if not line.strip().startswith("--"))
    looked_at = told.partition("IF (")[2].partition(") IS NOT TRUE THEN")[0]
    clauses = [clause.strip() for clause in looked_at.split("\n        AND ")]
    # The last one is a loop there.
    assert " ".join(told.split()).endswith(
        "FOREACH amount IN ARRAY amounts LOOP total := total + amount; END LOOP; RETURN total = 0; END"
    )
    clauses.append(_SUM)
    assert len(clauses) == len(_ONLY_BY)
    for name, row in _ONLY_BY.items():
        (clause,) = [each for each in clauses if each.startswith(name)]
        others = " AND ".join(each for each in clauses if each != clause)
        asked = (
            "SELECT ({}) IS TRUE FROM (SELECT %s::smallint[] AS accounts, %s::bigint[] AS amounts,"
            " %s::text AS settlement, %s::text AS currency) AS row"
        )
        assert as_owner.execute(asked.format(others), row).fetchone() == (True,), name
        assert as_owner.execute(asked.format(" AND ".join(clauses)), row).fetchone() == (False,), name


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE books_transaction SET reference = 'changed'",
        "DELETE FROM books_transaction",
        "TRUNCATE books_transaction",
        "ALTER TABLE books_transaction DROP CONSTRAINT books_transaction_ok",
        "ALTER TABLE books_transaction DISABLE ROW LEVEL SECURITY",
        "DROP TABLE books_transaction CASCADE",
        "CREATE OR REPLACE FUNCTION books_transaction_ok(accounts smallint[], amounts bigint[], settlement text, currency text)"
        " RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
        "INSERT INTO books_account (code, name, class) VALUES (9999, 'mine', 'asset')",
        "UPDATE books_account SET name = 'mine'",
        "UPDATE servicing_event SET occurred_on = '2020-01-01'",
        "DELETE FROM servicing_event",
        "TRUNCATE servicing_event",
        "UPDATE servicing_contract SET terms = '{}'",
        "DELETE FROM servicing_contract",
        "DELETE FROM customers_alias",
    ],
)
def test_the_service_s_role_cannot_change_a_record(shop: Shop, statement: str) -> None:
    open_one(shop, make_customer(shop))
    with refused("42501"), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("fenqi_service",)
        cursor.execute(statement)


def test_entries_are_a_view_that_cannot_be_written(shop: Shop) -> None:
    with refused("55000"), connection.cursor() as cursor:
        cursor.execute("UPDATE books_entry SET amount_minor = 0")


@pytest.mark.parametrize("contract", [None, UUID(int=2)], ids=["of the house", "of a contract"])
def test_an_event_books_once(shop: Shop, contract: UUID | None) -> None:
    event = uuid7(AT)
    name = {"transaction_id": event} if contract else {}
    write(shop, [1020, 1110], [5, -5], event_id=event, contract_id=contract, **name)
    with refused("23505"):
        write(shop, [1020, 1110], [5, -5], event_id=event, contract_id=contract, **name)


def test_what_a_contract_s_event_books_has_the_event_s_name(shop: Shop) -> None:
    with refused("42501"):
        write(shop, [1020, 1110], [5, -5], contract_id=UUID(int=2))
    # The end of a month is no event of a contract: its name says which month of which contract, and is there once.
    for kind in ("accrued", "accrual_reversed"):
        event = uuid7(AT)
        write(shop, [1170, 4110], [5, -5], contract_id=UUID(int=2), event_kind=kind, event_id=event)
        with refused("23505"):
            write(shop, [1170, 4110], [5, -5], contract_id=UUID(int=2), event_kind=kind, event_id=event)


def test_nothing_is_written_for_a_shop_that_was_not_named(shop: Shop) -> None:
    other = make_shop("other")
    with refused("42501"):
        write(shop, [1020, 1110], [5, -5], shop_id=other.id)


def test_the_chart_is_the_same_in_the_engine_the_table_and_the_check(shop: Shop) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT code, name, class FROM books_account ORDER BY code")
        table = cursor.fetchall()
        assert table == sorted((a.code, a.name, a.account_class) for a in CHART.values())
        for code in range(10_000):
            if code % 10 == 0 or code in CHART:
                cursor.execute(
                    "SELECT books_transaction_ok(%s::smallint[], '{1,-1}', 'a', 'CNY')", [[code, code]]
                )
                assert cursor.fetchone() == (code in CHART,), code


def test_the_function_that_checks_is_immutable_and_every_table_has_its_shop_and_customer(shop: Shop) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT provolatile FROM pg_proc WHERE proname = 'books_transaction_ok'")
        assert cursor.fetchall() == [("i",)]
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity, count(t.tgname) FILTER (WHERE NOT t.tgisinternal)"
            "  FROM pg_class AS c LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid"
            " WHERE c.relkind = 'r' AND c.relname ~ '^(books_transaction|servicing_|customers_)' GROUP BY c.oid"
        )
        tables = cursor.fetchall()
        assert {name for name, _, _ in tables} == {
            "books_transaction",
            *("customers_customer", "customers_alias", "customers_private"),
            *("servicing_contract", "servicing_event", "servicing_state", "servicing_idempotency"),
            *("servicing_close_run", "servicing_close_failure", "servicing_watch", "servicing_month_end"),
            *("servicing_request", "servicing_request_decision", "servicing_till_count"),
        }
        for name, secured, triggers in tables:
            assert secured, name
            assert triggers == 0, name


def test_a_transaction_has_three_dates(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 100, "received", "late-news", after(9, 60), occurred_on=on(4))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT occurred_on, recorded_at, booked_on FROM books_entry WHERE reference = 'late-news'"
        )
        assert cursor.fetchall() == [(on(4), after(9, 60), on(4))]
    customer_id, contract_id = parse_public_id(contract)
    assert balances_of(customer_id, contract_id) == {1020: 100, 1110: 600_000, 4010: -600_000, 4110: -100}


class TestConversion:
    """One currency a transaction: what was given in one and got in another are two, linked."""

    def change(self, shop: Shop, given: Money, got: Money) -> tuple[UUID, UUID]:
        use_shop(shop.id)
        return convert(
            shop_id=shop.id,
            customer_id=UUID(int=1),
            event_id=UUID(int=7),
            given=given,
            got=got,
            occurred_on=TODAY,
            recorded_at=AT,
            booked_on=TODAY,
            reference="fx-1",
        )

    def test_two_linked_rows_each_of_which_balances(self, shop: Shop) -> None:
        first, second = self.change(shop, Money(10_000, "USD"), Money(70_950, "CNY"))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT transaction_id, currency, accounts, amounts, linked_id FROM books_transaction ORDER BY linked_id NULLS FIRST"
            )
            assert cursor.fetchall() == [
                (first, "USD", [1030, 1010], [10_000, -10_000], None),
                (second, "CNY", [1010, 1030], [70_950, -70_950], first),
            ]
        report = prove_shop(shop)
        assert report.ok
        assert {each.currency: each.sum_minor for each in report.totals} == {"CNY": 0, "USD": 0}

    def test_it_books_once(self, shop: Shop) -> None:
        self.change(shop, Money(10_000, "USD"), Money(70_950, "CNY"))
        with pytest.raises(IntegrityError), transaction.atomic():
            self.change(shop, Money(10_000, "USD"), Money(70_950, "CNY"))

    @pytest.mark.parametrize(
        ("given", "got", "place"),
        [
            (Money(1, "CNY"), Money(1, "CNY"), "got"),
            (Money(0, "USD"), Money(1, "CNY"), "given"),
            (Money(1, "USD"), Money(-1, "CNY"), "got"),
        ],
    )
    def test_what_is_no_conversion_is_refused(self, shop: Shop, given: Money, got: Money, place: str) -> None:
        with pytest.raises(BadInput) as bad:
            self.change(shop, given, got)
        assert bad.value.problem.place == place

    def test_a_link_leads_to_a_transaction_of_the_same_customer(self, shop: Shop) -> None:
        first, _ = self.change(shop, Money(10_000, "USD"), Money(70_950, "CNY"))
        for customer, linked in ((1, UUID(int=99)), (2, first)):
            with refused("42501"):
                write(shop, [1010, 4010], [5, -5], customer_id=UUID(int=customer), linked_id=linked)


class TestSettlement:
    def test_a_batch_of_many_customers_arrives_as_one_transaction_of_the_house(self, shop: Shop) -> None:
        for number in range(3):
            contract = open_one(shop, make_customer(shop, f"c-{number}"))
            service.pay(shop, contract, 1_000, "received", f"p{number}", AT, settlement="bank:1")
        assert in_transit(shop.id, "bank:1") == {"CNY": 3_000}
        assert settle(shop, "bank:1", after(1)) == {"CNY": 3_000}
        assert settle(shop, "bank:1", after(1)) == {}
        assert in_transit(shop.id, "bank:1") == {}
        report = prove_shop(shop)
        assert report.ok
        assert (report.totals[0].in_transit_minor, report.totals[0].accounts["bank"]) == (0, 3_000)

    def test_a_late_joiner_is_settled_by_the_next_time(self, shop: Shop) -> None:
        contract = open_one(shop, make_customer(shop))
        service.pay(shop, contract, 1_000, "received", "a", AT, settlement="bank:1")
        settle(shop, "bank:1", after(1))
        service.pay(shop, contract, 500, "received", "b", after(1, 60), settlement="bank:1")
        assert prove_shop(shop).ok
        assert settle(shop, "bank:1", after(2)) == {"CNY": 500}

    def test_a_day_s_batch_arrives_the_next_day_and_one_taken_back_with_it(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contract = open_one(shop, make_customer(shop))
        service.pay(shop, contract, 1_000, "received", "a", AT)
        assert settle_due(shop, after(0, 3600)) == 0
        assert settle_due(shop, after(1)) == 1
        service.reverse(shop, contract, "a", "charged_back", after(2))
        assert run_settlements(after(3)) == 0, "outside the demo, a statement says what arrived"
        monkeypatch.setattr(settings, "FENQI_DEMO", True)
        assert run_settlements(after(3)) == 1
        report = prove_shop(shop)
        assert report.ok
        assert report.totals[0].accounts["bank"] == 0


class TestProof:
    """What the database cannot see in one row, the proof sees in the whole."""

    pytestmark = pytest.mark.usefixtures("committed_db")

    @pytest.fixture
    def shop(self, committed_db: object) -> Shop:
        return make_shop()

    @pytest.fixture
    def contract(self, shop: Shop) -> str:
        contract = open_one(shop, make_customer(shop))
        service.pay(shop, contract, 53_600, "received", "a", AT)
        service.pay(shop, open_one(shop, make_customer(shop), FREE_3), 600_000, "received", "b", AT)
        closing.run_due(after(31))
        return contract

    def test_a_book_that_was_only_added_to_is_proven(
        self, shop: Shop, contract: str, as_owner: psycopg.Connection[Any]
    ) -> None:
        report = prove_shop(shop)
        assert report.ok, report.problems
        assert (report.contracts, report.transactions) == (2, 4)
        (cny,) = report.totals
        assert (cny.currency, cny.sum_minor) == ("CNY", 0)
        assert sum(cny.accounts.values()) == 0
        assert prove(as_owner) == report, "the owner sees every shop's book"

    @pytest.mark.parametrize(
        ("tampering", "place"),
        [
            (
                "UPDATE books_transaction SET amounts = ARRAY[amounts[1] - 1, amounts[2] + 1] WHERE cardinality(amounts) = 2",
                "principal_receivable",
            ),
            ("DELETE FROM books_transaction WHERE reference = 'a'", "in_transit"),
            ("DELETE FROM servicing_event WHERE reference = 'a'", "event of a contract"),
            (
                "UPDATE servicing_event SET body = (body::jsonb || '{\"amount_minor\": 53599}')::json WHERE reference = 'a'",
                "in_transit",
            ),
            ("UPDATE servicing_state SET status = 'active' WHERE status = 'closed'", "cached status"),
            ("UPDATE servicing_state SET booked_amounts = '{}', booked_accounts = '{}'", "cached balances"),
            ("DELETE FROM servicing_state", "no cached state"),
            (
                "UPDATE servicing_contract SET terms = jsonb_set(terms::jsonb, '{disclosure,items}', '[]')::json",
                "fee",
            ),
            (
                "ALTER TABLE books_transaction DROP CONSTRAINT books_transaction_ok;"
                " UPDATE books_transaction SET amounts[1] = amounts[1] + 1 WHERE reference = 'a'",
                "sum in CNY",
            ),
        ],
    )
    def test_what_an_owner_altered_is_found(
        self, shop: Shop, contract: str, as_owner: psycopg.Connection[Any], tampering: str, place: str
    ) -> None:
        assert prove_shop(shop).ok
        as_owner.execute(tampering)
        report = prove_shop(shop)
        assert not report.ok
        assert any(place in problem.sentence for problem in report.problems), report.problems


def test_a_posting_goes_through_one_door(shop: Shop) -> None:
    use_shop(shop.id)
    name = post(
        shop_id=shop.id,
        customer_id=UUID(int=1),
        event_id=UUID(int=2),
        event_kind="test",
        entries=Entries((1010, 4010), (5, -5)),
        currency="CNY",
        occurred_on=date(2026, 1, 1),
        recorded_at=AT,
        booked_on=TODAY,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line, account, amount_minor FROM books_entry WHERE transaction_id = %s", [name]
        )
        assert cursor.fetchall() == [(1, 1010, 5), (2, 4010, -5)]

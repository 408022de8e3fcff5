"""The trial balance of any day, as known at any instant; an account's statement; the shop's own accounts, and a month in them."""

from __future__ import annotations

import csv
import io
import threading
from datetime import date
from typing import Any

import pytest
from django.db import connection, transaction
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.ledger.accounts import CHART
from fenqi.problems import BadInput
from fenqi_server.books import mapping, periods
from fenqi_server.books.journal import COLUMNS, write_month
from fenqi_server.books.mapping import Unmapped, map_account
from fenqi_server.books.reading import Balance, lines, statement, trial_balance
from fenqi_server.books.settlement import settle
from fenqi_server.policies import audit
from fenqi_server.servicing import closing, service
from fenqi_server.shops.models import Shop

IN_TRANSIT = 1020


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def contract(shop: Shop) -> str:
    """Sold on 23 November; ¥536 on the 24th and ¥500 on 2 December; the first has arrived on the 25th."""
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 53_600, "received", "=first", after(1), settlement="bank:1")
    settle(shop, "bank:1", after(2))
    service.pay(shop, contract, 50_000, "received", "second", after(9), settlement="bank:2")
    return contract


def nets(shop: Shop, **bounds: Any) -> dict[int, int]:
    return {
        each.account: each.debit_minor - each.credit_minor
        for each in trial_balance(shop, **bounds)
        if each.debit_minor != each.credit_minor
    }


class TestTrialBalance:
    def test_of_any_day(self, shop: Shop, contract: str) -> None:
        assert nets(shop, as_of=on(-1)) == {}
        assert nets(shop, as_of=on(0)) == {1110: 600_000, 4010: -600_000}
        assert nets(shop, as_of=on(1)) == {1020: 53_600, 1110: 550_000, 4010: -600_000, 4110: -3_600}
        assert nets(shop, as_of=on(2)) == {1010: 53_600, 1110: 550_000, 4010: -600_000, 4110: -3_600}
        assert nets(shop) == nets(shop, as_of=on(9))
        assert sum(nets(shop).values()) == 0

    def test_as_it_was_known_at_any_instant(self, shop: Shop, contract: str) -> None:
        assert nets(shop, known_at=after(0)) == {1110: 600_000, 4010: -600_000}
        assert nets(shop, known_at=after(1, -1)) == {1110: 600_000, 4010: -600_000}
        assert nets(shop, as_of=on(30), known_at=after(1)) == nets(shop, as_of=on(1))
        assert nets(shop, as_of=on(0), known_at=after(9)) == {1110: 600_000, 4010: -600_000}

    def test_debits_and_credits_stand_apart(self, shop: Shop, contract: str) -> None:
        found = {each.account: each for each in trial_balance(shop, as_of=on(2))}
        assert found[IN_TRANSIT] == Balance("CNY", IN_TRANSIT, 53_600, 53_600)


class TestStatement:
    def test_every_entry_with_what_the_account_came_to(self, shop: Shop, contract: str) -> None:
        found = statement(shop, IN_TRANSIT, "CNY")
        assert (found.opening_minor, found.closing_minor, found.more) == (0, 50_000, None)
        assert [(each.booked_on, each.event_kind, each.amount_minor, each.balance_minor) for each in found.lines] == [
            (on(1), "payment_received", 53_600, 53_600),
            (on(2), "settlement", -53_600, 0),
            (on(9), "payment_received", 50_000, 50_000),
        ]  # fmt: skip

    def test_between_days_it_opens_with_what_was_before(self, shop: Shop, contract: str) -> None:
        found = statement(shop, IN_TRANSIT, "CNY", first_on=on(2), last_on=on(5))
        assert (found.opening_minor, found.closing_minor) == (53_600, 0)
        assert [each.balance_minor for each in found.lines] == [0]
        december = statement(shop, 1110, "CNY", first_on=date(2026, 12, 1))
        assert (december.opening_minor, december.closing_minor) == (550_000, nets(shop)[1110])

    def test_what_was_recorded_later_is_left_out(self, shop: Shop, contract: str) -> None:
        found = statement(shop, IN_TRANSIT, "CNY", known_at=after(1))
        assert (found.closing_minor, len(found.lines)) == (53_600, 1)

    def test_another_currency_or_account_has_its_own(self, shop: Shop, contract: str) -> None:
        assert statement(shop, IN_TRANSIT, "USD").lines == ()
        assert statement(shop, 5010, "CNY").closing_minor == 0

    def test_pages_lead_on_and_what_is_added_meanwhile_moves_nothing(self, shop: Shop, contract: str) -> None:
        for number in range(7):
            service.pay(shop, contract, 100 + number, "received", f"p{number}", after(10, number))
        whole = statement(shop, IN_TRANSIT, "CNY", limit=100).lines
        first = statement(shop, IN_TRANSIT, "CNY", limit=4)
        assert first.more is not None
        service.pay(shop, contract, 9_999, "received", "late", after(11))
        rest = statement(shop, IN_TRANSIT, "CNY", limit=100, after=first.more)
        assert rest.opening_minor == first.lines[-1].balance_minor
        assert (*first.lines, *rest.lines)[:-1] == whole
        assert [each.reference for each in lines(shop, IN_TRANSIT, "CNY")][-1] == "late"
        assert (
            rest.lines[-1].balance_minor
            == rest.closing_minor
            == statement(shop, IN_TRANSIT, "CNY").closing_minor
        )

    @pytest.mark.parametrize("place", ["x", "2026-11-24~x~y~1", "~~~", "2026-11-24"])
    def test_a_place_that_is_none(self, shop: Shop, place: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            statement(shop, IN_TRANSIT, "CNY", after=place)

    def test_another_shop_s_entries_are_not_in_it(self, shop: Shop, contract: str) -> None:
        assert statement(make_shop("other"), IN_TRANSIT, "CNY").lines == ()


class TestMapping:
    def test_a_change_is_a_new_version_and_recorded(self, shop: Shop) -> None:
        first = map_account(shop, 1010, " 1002 ", "银行存款", "staff:fin", AT)
        assert (first.version, first.code, first.name) == (1, "1002", "银行存款")
        assert map_account(shop, 1010, "1002", "银行存款", "staff:other", after(1)) == first
        second = map_account(shop, 1010, "100201", "招商银行", "staff:fin", after(2))
        assert second.version == 2
        assert mapping.mapping(shop) == {1010: second}
        assert mapping.mapping(shop, at=after(1)) == {1010: first}
        assert mapping.mapping(shop, at=after(-1)) == {}
        assert mapping.versions(shop, 1010) == (second, first)
        newest, oldest = audit.entries(shop, act="books.map")
        assert (newest.subject, newest.before, newest.after) == (
            "account:bank",
            {"code": "1002", "name": "银行存款"},
            {"code": "100201", "name": "招商银行"},
        )
        assert oldest.before is None

    @pytest.mark.parametrize(
        ("account", "code", "name", "place"),
        [
            (9999, "1", "n", "account"),
            (1010, " ", "n", "code"),
            (1010, "1" * 41, "n", "code"),
            (1010, "1\n2", "n", "code"),
            (1010, "1", "", "name"),
            (1010, "1", "n" * 81, "name"),
        ],
    )
    def test_what_cannot_be_is_named(
        self, shop: Shop, account: int, code: str, name: str, place: str
    ) -> None:
        with pytest.raises(BadInput) as bad:
            map_account(shop, account, code, name, "staff:fin", AT)
        assert bad.value.problem.place == place
        assert mapping.mapping(shop) == {}

    def test_another_shop_has_its_own(self, shop: Shop) -> None:
        map_account(shop, 1010, "1002", "b", "staff:fin", AT)
        assert mapping.mapping(make_shop("other")) == {}

    @pytest.mark.parametrize(
        "statement",
        ["UPDATE books_mapping SET code = 'x'", "DELETE FROM books_mapping", "TRUNCATE books_mapping"],
    )
    def test_a_version_is_never_changed(self, shop: Shop, statement: str) -> None:
        map_account(shop, 1010, "1002", "b", "staff:fin", AT)
        with (
            pytest.raises(Exception, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_two_who_name_an_account_at_once_make_two_versions(committed_db: object) -> None:
    shop = make_shop()
    problems: list[BaseException] = []

    def name(code: str) -> None:
        try:
            map_account(shop, 1010, code, "b", "staff:fin", AT)
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=name, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert problems == []
    assert sorted(each.version for each in mapping.versions(shop, 1010)) == [1, 2, 3, 4, 5, 6]


class TestMonth:
    OWN = {1010: "1002", 1020: "1012", 1110: "1122", 4010: "6001", 4110: "6051"}

    def name_all(self, shop: Shop) -> None:
        for account, code in self.OWN.items():
            map_account(shop, account, code, CHART[account].title.zh_cn, "staff:fin", AT)

    def written(self, shop: Shop, period: str, **more: Any) -> tuple[list[dict[str, str]], Any]:
        out = io.StringIO(newline="")
        done = write_month(shop, period, out, **more)
        return list(csv.DictReader(io.StringIO(out.getvalue(), newline=""))), done

    def test_one_line_an_entry_in_the_shop_s_own_accounts(self, shop: Shop, contract: str) -> None:
        self.name_all(shop)
        rows, done = self.written(shop, "2026-11")
        assert tuple(rows[0]) == COLUMNS
        assert [(row["date"], row["account_code"], row["debit"], row["credit"]) for row in rows] == [
            ("2026-11-23", "1122", "6000.00", ""),
            ("2026-11-23", "6001", "", "6000.00"),
            ("2026-11-24", "1012", "536.00", ""),
            ("2026-11-24", "1122", "", "500.00"),
            ("2026-11-24", "6051", "", "36.00"),
            ("2026-11-25", "1002", "536.00", ""),
            ("2026-11-25", "1012", "", "536.00"),
        ]
        assert rows[0]["contract"] == contract
        assert rows[0]["account_name"] == "应收分期本金"
        assert (rows[2]["settlement"], rows[2]["reference"]) == ("bank:1", "'=first"), (
            "a payer's words are no formula"
        )
        assert (done.transactions, done.lines, done.debit_minor, done.closed) == (
            3,
            7,
            {"CNY": 707_200},
            False,
        )
        december, _ = self.written(shop, "2026-12")
        assert {row["date"] for row in december} == {"2026-12-02"}
        assert self.written(shop, "2026-10")[0] == []

    def test_an_account_without_a_name_is_named_and_nothing_is_written(
        self, shop: Shop, contract: str
    ) -> None:
        out = io.StringIO()
        for account, code in list(self.OWN.items())[:3]:
            map_account(shop, account, code, "n", "staff:fin", AT)
        with pytest.raises(Unmapped, match="4010 sales, 4110 fee_income") as refused:
            write_month(shop, "2026-11", out)
        assert refused.value.accounts == (4010, 4110)
        assert out.getvalue() == ""
        # Only what the month uses is needed.
        map_account(shop, 4010, "6001", "n", "staff:fin", AT)
        map_account(shop, 4110, "6051", "n", "staff:fin", AT)
        assert self.written(shop, "2026-11")[1].lines == 7

    def test_with_the_accounts_as_they_were_at_an_instant(self, shop: Shop, contract: str) -> None:
        self.name_all(shop)
        map_account(shop, 4010, "600199", "n", "staff:fin", after(20))
        assert self.written(shop, "2026-11")[0][1]["account_code"] == "600199"
        assert self.written(shop, "2026-11", mapped_at=after(19))[0][1]["account_code"] == "6001"
        with pytest.raises(Unmapped):
            self.written(shop, "2026-11", mapped_at=after(-1))

    def test_a_closed_month_says_so_and_stays_as_it_is(self, shop: Shop, contract: str) -> None:
        self.name_all(shop)
        closing.run_due(after(9))
        periods.close(shop, "2026-11", "staff:fin", after(9))
        before = self.written(shop, "2026-11")
        service.pay(shop, contract, 100, "received", "late", after(10), occurred_on=on(3))
        assert before[1].closed
        assert self.written(shop, "2026-11") == before

    def test_a_month_that_is_none(self, shop: Shop) -> None:
        with pytest.raises(BadInput, match="a month such as"):
            self.written(shop, "2026-11-01")

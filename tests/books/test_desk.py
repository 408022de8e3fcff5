"""Finance's pages of the book, in both languages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from tests.servicing.opened import AT, after, make_customer, make_shop, open_one

from fenqi.ledger.accounts import CHART
from fenqi_server import clock
from fenqi_server.books import desk, mapping, periods, proofs
from fenqi_server.db import use_shop
from fenqi_server.servicing import service
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches

PAGES = ("balance/", "months/", "accounts/", "accounts/1110/", "proofs/")


@pytest.fixture
def shop(db: object) -> Iterator[Shop]:
    with clock.pinned(after(8)):
        yield make_shop()
    forget_caches()


@pytest.fixture
def contract(shop: Shop) -> str:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 53_600, "received", "bank-1", after(1))
    return contract


@pytest.fixture
def finance(shop: Shop, as_staff: Callable[..., Client]) -> Client:
    return as_staff("finance", shop=shop)


def page(client: Client, path: str, status: int = 200, **query: str) -> str:
    answer = client.get(f"/console/books/{path}", query)
    assert answer.status_code == status, answer.status_code
    return answer.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_empty_and_filled_in_both_languages(
    shop: Shop, as_staff: Callable[..., Client], path: str
) -> None:
    english, chinese = (as_staff("auditor", shop=shop, language=language) for language in ("en", "zh"))
    titles = []
    for _ in range(2):
        titles = [
            re.search(r"<h1>(.*?)</h1>", page(client, path), re.DOTALL)[1]  # type: ignore[index]
            for client in (english, chinese)
        ]
        open_one(shop, make_customer(shop))
    assert titles[0] != titles[1]
    assert re.search(r"[\u4e00-\u9fff]", titles[1])
    assert not re.search(r"[\u4e00-\u9fff]", titles[0])


def test_another_shop_s_finance_sees_nothing_of_it(contract: str, as_staff: Callable[..., Client]) -> None:
    client = as_staff("finance", shop=make_shop("corner"))
    assert "¥6,000.00" not in page(client, "balance/")
    assert "¥6,000.00" not in page(client, "accounts/1110/")


class TestBalance:
    def test_of_a_day_and_as_known_at_an_instant(self, contract: str, finance: Client) -> None:
        assert "¥5,500.00" in page(finance, "balance/")
        on_the_day = page(finance, "balance/", as_of="2026-11-23")
        assert "¥6,000.00" in on_the_day
        assert "At the end of 2026-11-23" in on_the_day
        known = page(finance, "balance/", known_at="2026-11-24T09:59")
        assert "¥6,000.00" in known
        assert "what was recorded later is left out" in known
        assert "¥5,500.00" in page(finance, "balance/", known_at="2026-11-24T10:00")

    @pytest.mark.parametrize("wrong", [{"as_of": "soon"}, {"known_at": "soon"}])
    def test_a_day_that_is_none_is_said(self, contract: str, finance: Client, wrong: dict[str, str]) -> None:
        assert "¥5,500.00" in page(finance, "balance/", 404, **wrong)


class TestStatement:
    def test_every_entry_and_what_the_account_came_to(self, contract: str, finance: Client) -> None:
        shown = page(finance, "accounts/1110/")
        assert re.findall(r'data-figure="(?:opening|closing)">([^<]*)<', shown) == ["¥0.00", "¥5,500.00"]
        assert "bank-1" in shown
        later = page(finance, "accounts/1110/", **{"from": "2026-11-24"})
        assert re.findall(r'data-figure="(?:opening|closing)">([^<]*)<', later) == ["¥6,000.00", "¥5,500.00"]

    def test_pages_lead_on(
        self, shop: Shop, contract: str, finance: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk, "PAGE", 3)
        for number in range(6):
            service.pay(shop, contract, 100 + number, "received", f"p{number}", after(2, number))
        url, seen = "/console/books/accounts/1020/", []
        while url:
            shown = finance.get(url).content.decode()
            seen += re.findall(r"<code>(bank-1|p\d)</code>", shown)
            more = re.search(r'href="(\?[^"]*after=[^"]*)"', shown)
            url = "/console/books/accounts/1020/" + more[1].replace("&amp;", "&") if more else ""
        assert seen == ["bank-1", "p0", "p1", "p2", "p3", "p4", "p5"]

    def test_what_is_no_account_day_or_place(self, contract: str, finance: Client) -> None:
        page(finance, "accounts/9999/", 404)
        page(finance, "accounts/1110/", 404, currency="XXX")
        assert "bank-1" in page(finance, "accounts/1110/", 404, after="<script>")
        page(finance, "accounts/1110/", 404, to="soon")


class TestMonths:
    def close(self, client: Client, period: str = "2026-11") -> Any:
        return client.post("/console/books/months/close", {"period": period})

    def test_finance_closes_a_month_and_the_auditor_reads_it(
        self, shop: Shop, contract: str, finance: Client, as_staff: Callable[..., Client]
    ) -> None:
        auditor = as_staff("auditor", shop=shop)
        assert "Close 2026-11 for good" in page(finance, "months/")
        assert "Close 2026-11 for good" not in page(auditor, "months/")
        assert self.close(auditor).status_code == 403
        assert periods.periods(shop) == ()
        answer = self.close(finance)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/console/books/months/")
        (closed,) = periods.periods(shop)
        assert closed.begun_by == "staff:finance"
        shown = page(auditor, "months/")
        assert 'data-month="2026-11"' in shown
        assert closed.digest is not None
        assert closed.digest in shown
        assert re.search(r'data-figure="next-month">2026-12<', shown)
        assert "It is not over yet." in shown

    def test_what_stands_in_the_way_is_said_and_stays_said(
        self, shop: Shop, contract: str, finance: Client
    ) -> None:
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE servicing_state SET booked_amounts[1] = booked_amounts[1] + 1")
        answer = self.close(finance)
        assert answer.status_code == 409
        assert "cached balances" in answer.content.decode()
        assert periods.periods(shop) == ()
        again = page(finance, "months/")
        assert "cached balances" in again
        assert "this stands in the way" in again

    def test_a_large_book_is_closed_by_the_worker(
        self, shop: Shop, contract: str, finance: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk, "AT_ONCE_CONTRACTS", 0)
        assert self.close(finance).status_code == 302
        assert "2026-11 is being closed" in page(finance, "months/")
        assert periods.finish_due(after(8)) == 1
        assert 'data-month="2026-11"' in page(finance, "months/")

    @pytest.mark.parametrize("period", ["2026-12", "2026-10", "soon", ""])
    def test_another_month_is_refused(self, contract: str, finance: Client, period: str) -> None:
        assert self.close(finance, period).status_code == 409

    def test_a_month_is_a_file_once_every_account_has_a_name(
        self, shop: Shop, contract: str, finance: Client
    ) -> None:
        refused = finance.get("/console/books/months/2026-11.csv")
        assert refused.status_code == 409
        assert "1110 Principal receivable" in refused.content.decode()
        for account in (1020, 1110, 4010, 4110):
            mapping.map_account(shop, account, f"x{account}", CHART[account].title.zh_cn, "a:1", AT)
        answer = finance.get("/console/books/months/2026-11.csv")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="mall-2026-11.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert [row["account_code"] for row in rows] == ["x1110", "x4010", "x1020", "x1110", "x4110"]
        assert finance.get("/console/books/months/soon.csv").status_code == 404

    def test_a_large_month_is_left_to_the_terminal(
        self, contract: str, finance: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk, "MAX_CSV_TRANSACTIONS", 1)
        answer = finance.get("/console/books/months/2026-11.csv")
        assert answer.status_code == 409
        assert "fenqi books export" in answer.content.decode()


class TestAccounts:
    def test_finance_names_an_account_and_the_auditor_reads_every_version(
        self, shop: Shop, contract: str, finance: Client, as_staff: Callable[..., Client]
    ) -> None:
        auditor = as_staff("auditor", shop=shop)
        assert "4 accounts that are used have no names of yours" in page(auditor, "accounts/")
        url = "/console/books/accounts/1110/name"
        assert auditor.post(url, {"code": "1122", "name": "应收账款"}).status_code == 403
        assert finance.post(url, {"code": "1122", "name": "应收账款"}).status_code == 302
        assert finance.post(url, {"code": "112201", "name": "应收分期款"}).status_code == 302
        shown = page(auditor, "accounts/")
        assert "3 accounts that are used" in shown
        assert "<code>112201</code> 应收分期款" in shown
        assert "1122 应收账款" in shown
        assert [each.actor for each in mapping.versions(shop, 1110)] == ["staff:finance"] * 2

    def test_words_that_cannot_be_are_refused(self, shop: Shop, finance: Client) -> None:
        for sent in ({"code": "", "name": "n"}, {"code": "1", "name": "n" * 81}, {}):
            answer = finance.post("/console/books/accounts/1110/name", sent)
            assert answer.status_code == 400
            assert "A code has 1 to 40 characters" in answer.content.decode()
        assert (
            finance.post("/console/books/accounts/9999/name", {"code": "1", "name": "n"}).status_code == 404
        )
        assert mapping.mapping(shop) == {}


class TestProofs:
    def test_what_was_found_is_listed_and_one_may_be_asked_for(
        self, shop: Shop, contract: str, finance: Client
    ) -> None:
        assert "None yet: the first one comes tonight at three." in page(finance, "proofs/")
        assert finance.post("/console/books/proofs/").status_code == 302
        (proof,) = proofs.latest(shop)
        assert (proof.kind, proof.actor, proof.ok) == ("asked", "staff:finance", True)
        assert "1 / 1" in page(finance, "proofs/")
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE servicing_state SET booked_amounts[1] = booked_amounts[1] + 1")
        finance.post("/console/books/proofs/")
        shown = page(finance, "proofs/")
        assert 'data-fq-part="standing"' in shown
        assert shown.count("cached balances of in_transit") == 2

    def test_the_newest_hash_is_shown(self, shop: Shop, contract: str, finance: Client) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO books_seal (number, version, from_xact, to_xact, shops, counts, digests, leaves, rows, sealed_at,"
                " previous, digest, key_id, seal) VALUES (1, 1, 0, 1, '{}', '{}', '{}', '{}', 7, %s, '', %s, 'test', %s)",
                [AT, "a" * 64, "b" * 64],
            )
        assert "a" * 64 in page(finance, "proofs/")

    def test_a_large_book_is_proven_at_a_terminal(
        self, contract: str, finance: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk, "AT_ONCE_CONTRACTS", 0)
        assert "prove it at a terminal" in page(finance, "proofs/")

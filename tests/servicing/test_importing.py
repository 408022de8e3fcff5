"""Contracts of another system: refused whole with line numbers, or there with the balance that the file states, once."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import connection
from tests.servicing.opened import AT, TODAY, after, make_shop, on

from fenqi_server.books.proof import prove_shop
from fenqi_server.customers import service as customers
from fenqi_server.servicing import service
from fenqi_server.servicing.closing import close_day
from fenqi_server.servicing.importing import BadFile, import_contracts
from fenqi_server.servicing.listing import Asked, list_contracts
from fenqi_server.shops.models import Shop

pytestmark = pytest.mark.usefixtures("db")

HEAD = "contract,customer,agreed_on,number,due_on,price,fee,paid,paid_on,balance\n"
# On 23 November 2026: 3 x (500 + 36) agreed on 1 September. The first was paid on time, of the second 100 late; 972 are left.
A = (
    "A,u-1,2026-09-01,1,2026-10-01,500.00,36.00,536.00,2026-10-01,972.00\n"
    "A,u-1,2026-09-01,2,2026-11-01,500.00,36.00,100.00,2026-11-20,972.00\n"
    "A,u-1,2026-09-01,3,2026-12-01,500.00,36.00,,,972.00\n"
)
# 200 down and 2 x 400 without a fee; only the 200 were paid.
B = (
    "B,u-2,2026-11-20,0,2026-11-20,200,0,200,2026-11-20,800\n"
    "B,u-2,2026-11-20,1,2026-12-20,400,0,,,800\n"
    "B,u-2,2026-11-20,2,2027-01-20,400,0,,,800\n"
)


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


def bring(shop: Shop, text: str, at: Any = AT, **more: Any) -> Any:
    return import_contracts(shop, text.encode(), at, **more)


def count() -> list[int]:
    found = []
    with connection.cursor() as cursor:
        for table in ("servicing_contract", "servicing_event", "books_transaction", "customers_customer"):
            cursor.execute(f"SELECT count(*) FROM {table}")
            found.append(cursor.fetchone()[0])
    return found


def contracts(shop: Shop) -> dict[str, Any]:
    page = list_contracts(shop, Asked(), TODAY)
    return {each.order_ref: each for each in page.contracts}


def test_contracts_are_there_with_the_files_balances_and_the_old_books_keep_what_was_before(
    shop: Shop,
) -> None:
    report = bring(shop, HEAD + A + B)
    assert (report.contracts, report.imported, report.already) == (2, 2, 0)
    # 1,500 + 1,000 sold, 108 of fees; 636 + 200 paid; 972 + 800 left.
    assert (report.price_minor, report.fee_minor, report.paid_minor) == (250_000, 10_800, 83_600)
    assert report.balance_minor == 177_200
    there = contracts(shop)
    assert {name: each.balance_minor for name, each in there.items()} == {"A": 97_200, "B": 80_000}
    assert list(there) == ["B", "A"]  # newest first, by the day they were agreed

    state = service.get(shop, there["A"].contract_id, TODAY).state
    assert (state.overdue_minor, state.days_past_due) == (43_600, 22)  # 536 less 100, since 1 November
    assert [(p.occurred_on, p.amount_minor) for p in state.payments] == [
        (date(2026, 10, 1), 53_600),
        (date(2026, 11, 20), 10_000),
    ]
    proof = prove_shop(shop)
    assert proof.ok, proof.problems
    # Of A's second row, 100 paid the fee of 36 and 64 of the price: 436 are left of it, 500 of the third, whose fee is not
    # earned yet; and 800 of B. Nothing else is left of what was before.
    assert {name: minor for name, minor in proof.totals[0].accounts.items() if minor} == {
        "principal_receivable": 173_600,
        "opening_balances": -173_600,
    }


def test_an_imported_contract_goes_on_like_any_other(shop: Shop) -> None:
    bring(shop, HEAD + A)
    name = contracts(shop)["A"].contract_id
    close_day(shop, date(2026, 12, 1), after(8))
    paid = service.pay(shop, name, 97_200, "request", "p-1", after(9))
    assert paid.contract is not None
    assert paid.contract.state.status == "closed"
    proof = prove_shop(shop)
    assert proof.ok, proof.problems
    assert proof.totals[0].accounts["in_transit"] == 97_200
    assert proof.totals[0].accounts["fee_income"] == -3_600


def test_importing_again_is_one_import_also_after_payments(shop: Shop) -> None:
    bring(shop, HEAD + A)
    service.pay(shop, contracts(shop)["A"].contract_id, 5_000, "received", "p-1", after(1))
    before = count()
    report = bring(shop, HEAD + A, after(2))
    assert (report.imported, report.already) == (0, 1)
    assert count() == before
    report = bring(shop, HEAD + A + B, after(2))
    assert (report.imported, report.already) == (1, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("u-1", "u-9"),
        ("500.00,36.00,,", "500.01,35.99,,"),
        ("2026-11-20,972", "2026-11-19,972"),
        ("2026-09-01", "2026-09-02"),
    ],
)
def test_a_contract_that_was_imported_with_other_figures_is_refused(shop: Shop, old: str, new: str) -> None:
    bring(shop, HEAD + A)
    before = count()
    with pytest.raises(BadFile) as refused:
        bring(shop, HEAD + B + A.replace(old, new), after(1))
    assert refused.value.problem.place == "line 5, contract"
    assert count() == before


def test_a_dry_run_says_the_same_and_writes_nothing(shop: Shop) -> None:
    before = count()
    said = bring(shop, HEAD + A + B, dry_run=True)
    assert count() == before
    assert customers.find(shop, "u-1") is None
    assert bring(shop, HEAD + A + B) == said


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("contract,customer", "contract,who", "line 1"),
        ("2026-11-01,500.00", "2026-11-31,500.00", "line 3, due_on"),
        ("3,2026-12-01,500.00", "3,2026-12-01,five", "line 4, price"),
        ("500.00,36.00,536.00", "500.00,36.00,537.00", "line 2, paid"),
        ("100.00,2026-11-20", "100.00,", "line 3, paid_on"),
        ("100.00,2026-11-20", "100.00,2026-11-24", "line 3, paid_on"),
        ("A,u-1,2026-09-01,3", "A,u-1,2026-09-01,2", "line 4, number"),
        ("A,u-1,2026-09-01,3", "A,u-7,2026-09-01,3", "line 4, customer"),
        ("36.00,,,972.00", "36.00,,,971.99", "line 4, balance"),
        ("36.00,,,972.00", "36.00,,972.00", "line 4"),
        ("972.00", "971.99", "line 2, balance"),
        # The third was paid while the second is open.
        ("36.00,,,972.00", "36.00,50.00,2026-11-21,972.00", "line 3, paid"),
        ("A,u-1,2026-09-01,2", "\x01,u-1,2026-09-01,2", "line 3, contract"),
        ("A,u-1,2026-09-01,2", "A,u\0,2026-09-01,2", "line 3, customer"),
        ("A,u-1,2026-09-01,2", "A,4111111111111111,2026-09-01,2", "line 3, customer"),
        ("A,u-1,2026-09-01,2", "4111 1111 1111 1111,u-1,2026-09-01,2", "line 3, contract"),
        ("A,u-1,2026-09-01,2", "A,u-1,0001-01-01,2", "line 3, agreed_on"),
        ("3,2026-12-01", "3,9999-12-31", "line 4, due_on"),
        ("3,2026-12-01", "3,2066-09-02", "line 4, due_on"),
    ],
)
def test_one_wrong_line_refuses_the_whole_file_and_is_named(
    shop: Shop, old: str, new: str, place: str
) -> None:
    before = count()
    with pytest.raises(BadFile) as refused:
        bring(shop, (HEAD + A).replace(old, new) + B)
    assert place in [each.place for each in refused.value.problems]
    assert "4111" not in str(refused.value)
    assert count() == before


@pytest.mark.parametrize(
    ("head", "way_out"),
    [
        (HEAD.replace(",fee,", ",fees,"), "add fee and leave out fees"),
        (HEAD.replace("contract,", "", 1), "add contract"),
        (HEAD.replace("\n", ",note,note\n"), "leave out note, note"),
        (HEAD.replace("\n", ",fee\n"), "name only once fee"),
        (HEAD.replace("\n", ",\n"), "give every column its name"),
        (HEAD.replace(",", ";"), "separate the columns by commas"),
        (HEAD.replace(",", "\t"), "separate the columns by commas"),
    ],
)
def test_a_wrong_head_is_told_which_columns_are_wrong(shop: Shop, head: str, way_out: str) -> None:
    with pytest.raises(BadFile) as refused:
        bring(shop, head + A)
    assert (refused.value.problem.place, refused.value.problem.way_out) == ("line 1", way_out)


def test_every_wrong_line_is_named_at_once_and_another_encoding_too(shop: Shop) -> None:
    with pytest.raises(BadFile) as refused:
        bring(shop, HEAD + A.replace("2026-12-01", "soon") + B.replace("2027-01-20", "later"))
    # And nothing that only follows from them.
    assert [each.place for each in refused.value.problems] == ["line 4, due_on", "line 7, due_on"]
    with pytest.raises(BadFile) as refused:
        import_contracts(shop, (HEAD + A.replace("A,u-1", "合,u-1")).encode("gb18030"), AT)
    assert refused.value.problem.place == "line 2"
    with pytest.raises(BadFile):
        bring(shop, HEAD)
    assert contracts(shop) == {}


def test_an_unpaid_contract_of_today_has_its_whole_price_left(shop: Shop) -> None:
    day, due = TODAY.isoformat(), on(30).isoformat()
    bring(shop, f"{HEAD}C,u-3,{day},1,{due},100,0,,,100\n")
    proof = prove_shop(shop)
    assert proof.ok, proof.problems
    assert proof.totals[0].accounts["opening_balances"] == -10_000


def test_the_command_says_what_it_would_do_does_it_and_names_wrong_lines(
    shop: Shop, tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from fenqi_server import clock
    from fenqi_server.cli import main

    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")
    file = tmp_path / "running.csv"
    words = ["contracts", "import", str(file), "--shop", shop.code]

    def run(*more: str) -> int:
        with clock.pinned(AT):
            return main([*words, *more])

    file.write_text(HEAD + A.replace("2026-12-01", "soon"))
    assert run() == 2
    assert "line 4, due_on is soon" in capsys.readouterr().err
    file.write_text(HEAD + A)
    assert run("--dry-run") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["dry_run"], said["imported"], said["balance_minor"]) == (True, 1, 97_200)
    assert contracts(shop) == {}
    assert run() == 0
    assert list(contracts(shop)) == ["A"]

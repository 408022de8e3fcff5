"""The exported book of a year, before Beancount's own checker."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from tests.books.year import live_a_year
from tests.servicing.opened import make_shop

from fenqi.ledger.accounts import CHART
from fenqi.money import CURRENCIES
from fenqi_server.books import periods
from fenqi_server.books.beancount import Written, account_name, write_book
from fenqi_server.books.mapping import map_account
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.reading import trial_balance
from fenqi_server.shops.models import Shop


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


def bean_check(file: Path) -> tuple[int, str]:
    """The `bean-check` of the development environment."""
    done = subprocess.run(
        [sys.executable, "-m", "beancount.scripts.check", "--no-cache", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_year_with_its_balances_is_accepted_and_a_fen_more_is_not(shop: Shop, tmp_path: Path) -> None:
    at = live_a_year(shop)
    report = prove_shop(shop)
    assert report.ok, report.problems
    map_account(shop, 1010, "100201", '招商银行 "main"', "cli:ann", at)
    out = io.StringIO()
    written = write_book(shop, out)
    text = out.getvalue()
    assert written.transactions == report.transactions > 100
    kinds = set(re.findall(r'^\S+ \* "(\w+)"', text, re.MULTILINE))
    assert kinds == {
        "accrued",
        "accrual_reversed",
        "confirmed", "due_reached", "payment_received", "payment_reversed", "settlement", "unmatched_money", "converted",
    }  # fmt: skip
    assert len(periods.periods(shop)) >= 10, "months that are closed, and after them some that are open"
    ends = set(re.findall(r"^(\d{4}-\d\d-01) balance", text, re.MULTILINE))
    assert {f"2026-{month:02}-01" for month in range(2, 13)} < ends
    file = tmp_path / "book.beancount"
    file.write_text(text, encoding="utf-8")
    assert bean_check(file) == (0, "")

    # What Beancount adds up is what our trial balance says, to the fen.
    from beancount import loader
    from beancount.core import realization
    from beancount.core.data import Open, Transaction

    entries, errors, _ = loader.load_file(str(file))
    assert errors == []
    assert sum(isinstance(entry, Transaction) for entry in entries) == written.transactions
    root = realization.realize(entries)
    for each in trial_balance(shop):
        real = realization.get(root, account_name(each.account))
        assert real is not None
        units = real.balance.get_currency_units(each.currency)
        minor = units.number.scaleb(CURRENCIES[each.currency])
        assert minor == Decimal(each.debit_minor - each.credit_minor), each
    bank = next(e for e in entries if isinstance(e, Open) and e.account == "Assets:Bank")
    assert (bank.meta["code"], bank.meta["own-code"], bank.meta["own-name"]) == (
        "1010",
        "100201",
        '招商银行 "main"',
    )
    quoted = next(e for e in entries if isinstance(e, Transaction) and e.payee == "converted")
    assert quoted.narration == 'fx "1" \\ two'

    # It is a check: a fen more in one place is found, in a transaction and in a balance.
    amounts = list(re.finditer(r"^  \S+  (\d+\.\d\d) CNY$", text, re.MULTILINE))
    balances = list(re.finditer(r"^\S+ balance \S+  (\d+\.\d\d) ~ 0 CNY$", text, re.MULTILINE))
    for match in (amounts[0], amounts[len(amounts) // 2], balances[0], balances[-1]):
        more = f"{Decimal(match[1]) + Decimal('0.01')}"
        file.write_text(text[: match.start(1)] + more + text[match.end(1) :], encoding="utf-8")
        code, said = bean_check(file)
        assert code == 1, match[0]
        assert "does not balance" in said or "Balance failed" in said


def test_an_empty_book_is_accepted(shop: Shop, tmp_path: Path) -> None:
    out = io.StringIO()
    assert write_book(shop, out) == Written(0, 0)
    (tmp_path / "empty.beancount").write_text(out.getvalue(), encoding="utf-8")
    assert bean_check(tmp_path / "empty.beancount") == (0, "")


def test_every_account_of_the_chart_has_a_name_of_its_own() -> None:
    names = [account_name(code) for code in CHART]
    assert len(set(names)) == len(CHART)
    assert all(
        re.fullmatch(r"(Assets|Liabilities|Equity|Income|Expenses):[A-Z][A-Za-z]+", name) for name in names
    )

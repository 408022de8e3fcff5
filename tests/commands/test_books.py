"""`fenqi books`: what finance does at a terminal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from tests.servicing.opened import AT, after, make_customer, make_shop, open_one

from fenqi_server import clock
from fenqi_server.books import proofs
from fenqi_server.cli import main
from fenqi_server.db import use_shop
from fenqi_server.servicing import closing, service
from fenqi_server.shops.models import Shop

DECEMBER = after(8)


class Finance:
    """Runs `fenqi books` at an instant: JSON on standard output, messages on standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.said = ""

    def runs(self, *words: str, code: int = 0, at: Any = DECEMBER) -> Any:
        with clock.pinned(at):
            assert main(["books", *words]) == code
        caught = self._capsys.readouterr()
        self.said = caught.err
        return json.loads(caught.out) if caught.out else None


@pytest.fixture
def finance(
    db: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Finance:
    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")
    return Finance(capsys)


@pytest.fixture
def shop(finance: Finance) -> Shop:
    return make_shop("corner")


class TestClosing:
    def test_a_month_closes_and_is_listed(self, shop: Shop, finance: Finance) -> None:
        open_one(shop, make_customer(shop))
        assert finance.runs("periods", "--shop", "corner") == {
            "shop": "corner",
            "next": "2026-11",
            "periods": [],
        }
        closed = finance.runs("close", "2026-11", "--shop", "corner", "--actor", "ann")
        assert closed["digest"].startswith("sha256:")
        assert {key: closed[key] for key in ("shop", "period", "closed", "closed_by", "transactions")} == {
            "shop": "corner",
            "period": "2026-11",
            "closed": True,
            "closed_by": "cli:ann",
            # The contract, and what of its first row the month had earned by its end.
            "transactions": 2,
        }
        del closed["shop"]
        assert finance.runs("periods", "--shop", "corner") == {
            "shop": "corner",
            "next": "2026-12",
            "periods": [closed],
        }

    def test_what_stands_in_the_way_is_named_and_the_exit_code_is_1(
        self, shop: Shop, finance: Finance
    ) -> None:
        open_one(shop, make_customer(shop), at=AT - timedelta(days=28))
        finance.runs("close", "2026-10", "--shop", "corner", "--actor", "ann")
        answer = finance.runs("close", "2026-11", "--shop", "corner", "--actor", "ann", code=1)
        assert answer["closed"] is False
        (problem,) = answer["problems"]
        assert "not run for its due date 2026-11-26" in problem
        closing.run_due(after(8))
        assert finance.runs("close", "2026-11", "--shop", "corner", "--actor", "ann")["closed"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("2026-12",), "2026-11, which closes next"),
            (("soon",), "a month such as 2026-11"),
        ],
    )
    def test_another_month_is_bad_input(
        self, shop: Shop, finance: Finance, words: tuple[str, ...], said: str
    ) -> None:
        open_one(shop, make_customer(shop))
        assert finance.runs("close", *words, "--shop", "corner", "--actor", "ann", code=2) is None
        assert said in finance.said

    def test_a_shop_or_an_actor_that_is_none_is_bad_input(self, shop: Shop, finance: Finance) -> None:
        finance.runs("close", "2026-11", "--shop", "nowhere", "--actor", "ann", code=2)
        assert "nowhere" in finance.said
        finance.runs("close", "2026-11", "--shop", "corner", "--actor", "  ", code=2)
        assert "--actor" in finance.said


class TestProving:
    def test_every_shop_is_proven_and_what_was_found_is_kept(self, shop: Shop, finance: Finance) -> None:
        other = make_shop("other")
        open_one(shop, make_customer(shop))
        answer = finance.runs("prove")
        assert answer["ok"] is True
        assert [each["shop"] for each in answer["shops"]] == ["corner", "other"]
        (found, _) = answer["shops"]
        assert (found["transactions"], found["contracts"], found["replayed"]) == (1, 1, 1)
        assert (found["sums"], found["problems"]) == ({"CNY": 0}, [])
        assert [(each.kind, each.actor, each.ok) for each in proofs.latest(shop)] == [("asked", "cli", True)]
        assert len(proofs.latest(other)) == 1

    def test_the_sums_alone(self, shop: Shop, finance: Finance) -> None:
        open_one(shop, make_customer(shop))
        (found,) = finance.runs("prove", "--shop", "corner", "--sums")["shops"]
        assert (found["contracts"], found["replayed"]) == (1, 0)

    def test_a_broken_book_ends_with_1_and_says_where(self, shop: Shop, finance: Finance) -> None:
        open_one(shop, make_customer(shop))
        use_shop(shop.id)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE servicing_state SET booked_amounts[1] = booked_amounts[1] + 1")
        answer = finance.runs("prove", "--shop", "corner", code=1)
        assert answer["ok"] is False
        (problem,) = answer["shops"][0]["problems"]
        assert "cached balances of principal_receivable" in problem
        assert proofs.standing_problems(shop) == (problem,)


class TestHeads:
    def test_the_newest_hash_is_printed_and_the_book_held_to_it(
        self, shop: Shop, finance: Finance, tmp_path: Path
    ) -> None:
        assert finance.runs("heads") == {"formula": 1, "heads": []}
        open_one(shop, make_customer(shop))
        file = tmp_path / "heads.json"
        # In this test everything is in a transaction that still runs: a seal waits for its end.
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO books_seal (number, version, from_xact, to_xact, shops, counts, digests, leaves, rows, sealed_at,"
                " previous, digest, key_id, seal) VALUES (1, 1, 0, 1, '{}', '{}', '{}', '{}', 0, %s, '', %s, 'test', %s)",
                [AT, "a" * 64, "b" * 64],
            )
        answer = finance.runs("heads", "--days", "30")
        (head,) = answer["heads"]
        assert (head["number"], head["digest"], head["rows"], head["key_id"]) == (1, "a" * 64, 0, "test")
        file.write_text(json.dumps({"heads": [head, {**head, "digest": "c" * 64}]}))
        checked = finance.runs("heads", "--check", str(file), code=1)
        assert checked["checked"] == 2
        assert f"seal 1 is {'a' * 64}: expected {'c' * 64}, as noted" in checked["problems"]
        assert "seal 1 is altered: expected what was sealed" in checked["problems"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "wrote"),
            ("[]", "wrote"),
            ('{"heads": []}', "a head or more"),
            ('{"heads": [{"number": 1}]}', "wrote"),
        ],
    )
    def test_a_file_that_is_none_is_bad_input(
        self, shop: Shop, finance: Finance, tmp_path: Path, text: str, said: str
    ) -> None:
        file = tmp_path / "heads.json"
        file.write_text(text)
        finance.runs("heads", "--check", str(file), code=2)
        assert said in finance.said
        finance.runs("heads", "--check", str(tmp_path / "nowhere.json"), code=2)
        finance.runs("heads", "--days", "0", code=2)


class TestReading:
    @pytest.fixture
    def contract(self, shop: Shop) -> str:
        contract = open_one(shop, make_customer(shop))
        service.pay(shop, contract, 53_600, "received", "bank-1", after(1))
        return contract

    def test_the_trial_balance_of_a_day_as_known_at_an_instant(
        self, shop: Shop, contract: str, finance: Finance
    ) -> None:
        answer = finance.runs("balance", "--shop", "corner", "--as-of", "2026-11-23")
        assert answer["balances"] == [
            {"account": 1110, "name": "principal_receivable", "currency": "CNY", "debit": "6000.00", "credit": "0.00", "balance": "6000.00"},
            {"account": 4010, "name": "sales", "currency": "CNY", "debit": "0.00", "credit": "6000.00", "balance": "-6000.00"},
        ]  # fmt: skip
        # The shop's clock: the payment was recorded at 10:00 on the 24th.
        for known_at, accounts in (
            ("2026-11-24T09:59", 2),
            ("2026-11-24T10:00", 4),
            ("2026-11-24T02:00Z", 4),
        ):
            found = finance.runs("balance", "--shop", "corner", "--known-at", known_at)
            assert len(found["balances"]) == accounts
        finance.runs("balance", "--shop", "corner", "--as-of", "soon", code=2)
        finance.runs("balance", "--shop", "corner", "--known-at", "soon", code=2)

    def test_an_account_s_statement_is_a_table(
        self, shop: Shop, contract: str, finance: Finance, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with clock.pinned(DECEMBER):
            assert main(["books", "statement", "in_transit", "--shop", "corner", "--from", "2026-11-24"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split() for line in lines] == [
            ["day", "event", "reference", "debit", "credit", "balance"],
            ["opening", "balance", "0.00"],
            ["2026-11-24", "payment_received", "bank-1", "536.00", "536.00"],
            ["closing", "balance", "536.00"],
        ]
        finance.runs("statement", "nonsense", "--shop", "corner", code=2)
        assert "by its code or name" in finance.said
        finance.runs("statement", "1020", "--shop", "corner", "--currency", "XXX", code=2)


class TestExport:
    @pytest.fixture
    def contract(self, shop: Shop) -> str:
        return open_one(shop, make_customer(shop))

    def test_a_month_in_the_shop_s_own_accounts(
        self, shop: Shop, contract: str, finance: Finance, tmp_path: Path
    ) -> None:
        file = tmp_path / "november.csv"
        words = ("export", "--csv", "--shop", "corner", "--period", "2026-11", "-o", str(file))
        finance.runs(*words, code=2)
        assert "1110 principal_receivable, 4010 sales" in finance.said
        assert [each for each in tmp_path.iterdir() if each.name != ".fenqi"] == [], "nothing is left behind"
        mapped = ("map", "--shop", "corner", "--actor", "ann")
        finance.runs(*mapped, "principal_receivable", "1122", "应收账款")
        listed = finance.runs(*mapped, "4010", "6001", "主营业务收入")["accounts"]
        assert [(each["account"], each["code"], each["version"]) for each in listed] == [
            (1110, "1122", 1),
            (4010, "6001", 1),
        ]
        answer = finance.runs(*words)
        assert (answer["lines"], answer["closed"], answer["debit_minor"]) == (2, False, {"CNY": 600_000})
        assert "is not closed" in finance.said
        text = file.read_bytes()
        assert text.startswith(b"\xef\xbb\xbfdate,voucher,line,")
        assert "应收账款".encode() in text
        assert [each for each in tmp_path.iterdir() if each.name != ".fenqi"] == [file]

    def test_the_whole_book_for_beancount(
        self, shop: Shop, contract: str, finance: Finance, tmp_path: Path
    ) -> None:
        file = tmp_path / "book.beancount"
        answer = finance.runs("export", "--beancount", "--shop", "corner", "-o", str(file))
        assert (answer["transactions"], answer["assertions"]) == (1, 2)
        assert "balance Assets:PrincipalReceivable  6000.00 ~ 0 CNY" in file.read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--csv",), "--period is missing"),
            (("--beancount", "--period", "2026-11"), "exported with --csv"),
            (("--csv", "--period", "soon"), "a month such as"),
        ],
    )
    def test_words_that_do_not_fit(
        self, shop: Shop, finance: Finance, tmp_path: Path, words: tuple[str, ...], said: str
    ) -> None:
        finance.runs("export", *words, "--shop", "corner", "-o", str(tmp_path / "f"), code=2)
        assert said in finance.said
        assert [each for each in tmp_path.iterdir() if each.name != ".fenqi"] == []

    def test_a_file_that_cannot_be_written(
        self, shop: Shop, contract: str, finance: Finance, tmp_path: Path
    ) -> None:
        file = tmp_path / "nowhere" / "f"
        finance.runs("export", "--beancount", "--shop", "corner", "-o", str(file), code=1)
        assert "cannot be written" in finance.said

    def test_naming_an_account_needs_three_words_and_an_actor(self, shop: Shop, finance: Finance) -> None:
        finance.runs("map", "--shop", "corner", "--actor", "ann", "1010", code=2)
        finance.runs("map", "--shop", "corner", "1010", "1002", "Bank", code=2)
        assert "--actor" in finance.said
        assert finance.runs("map", "--shop", "corner")["accounts"] == []

"""The chain over the book: every change of what was booked shows, and no row is skipped however many write."""

from __future__ import annotations

import hashlib
import struct
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import Error, connection, transaction
from tests.servicing.opened import AT, TODAY, after, make_customer, make_shop, open_one

from fenqi.ledger.entries import Entries
from fenqi_server.books import sealing
from fenqi_server.books.posting import post
from fenqi_server.books.proof import prove, prove_shop
from fenqi_server.books.sealing import COLUMNS, ERA, Head, heads, seal, seal_due, verify
from fenqi_server.db import sqlstate, use_shop
from fenqi_server.ids import uuid7
from fenqi_server.servicing import service
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches


@pytest.fixture
def shop(committed_db: object) -> Iterator[Shop]:
    yield make_shop()
    forget_caches()


@pytest.fixture
def other(shop: Shop) -> Shop:
    return make_shop("other")


def book(shop: Shop, minor: int, *, customer: int = 1, reference: str = "") -> UUID:
    with transaction.atomic():
        use_shop(shop.id)
        return post(
            shop_id=shop.id,
            customer_id=UUID(int=customer),
            event_id=uuid7(AT),
            event_kind="test",
            entries=Entries((1020, 1110, 4110), (minor, 1 - minor, -1)),
            terms=None,
            currency="CNY",
            settlement="bank:1",
            reference=reference,
            occurred_on=TODAY,
            recorded_at=AT,
            booked_on=TODAY,
        )


@pytest.fixture(autouse=True)
def _without_disclosures(monkeypatch: pytest.MonkeyPatch) -> None:
    """These rows belong to no contract."""
    monkeypatch.setattr("fenqi_server.books.posting.check_fees", lambda entries, terms: None)


def found(shop: Shop, noted: tuple[tuple[int, str], ...] = ()) -> list[str]:
    use_shop(shop.id)
    return [problem.sentence for problem in verify(connection, noted=noted)]


class TestSealing:
    def test_what_was_added_is_sealed_once_every_shop_in_one_chain(self, shop: Shop, other: Shop) -> None:
        assert seal(AT) is None, "nothing is there"
        for number in range(1, 4):
            book(shop, number * 10)
        book(other, 70)
        first = seal(AT)
        assert first is not None
        assert (first.number, first.rows) == (1, 4)
        assert seal(AT) is None
        book(other, 80)
        second = seal(after(0, 5))
        assert second is not None
        assert (second.number, second.rows) == (2, 5)
        assert heads() == (second,)
        assert found(shop) == found(other) == []
        with connection.cursor() as cursor:
            cursor.execute("SELECT number, counts, previous, digest FROM books_seal ORDER BY number")
            rows = cursor.fetchall()
        assert [(number, sorted(counts)) for number, counts, _, _ in rows] == [(1, [1, 3]), (2, [1])]
        assert [previous for _, _, previous, _ in rows] == ["", rows[0][3]]

    def test_batches_are_bounded_and_never_part_a_transaction(
        self, shop: Shop, other: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sealing, "BATCH_ROWS", 3)
        monkeypatch.setattr(sealing, "BATCHES_PER_ROUND", 2)
        for number in range(1, 5):
            book(shop, number * 10)
        with transaction.atomic():
            for number in range(1, 6):
                book(other, number * 10)
        book(shop, 99)
        assert seal_due(AT) == 2
        assert seal_due(AT) == 1, "a full batch does not make the next one wait"
        with connection.cursor() as cursor:
            cursor.execute("SELECT (SELECT sum(n) FROM unnest(counts) AS n) FROM books_seal ORDER BY number")
            assert [int(n) for (n,) in cursor.fetchall()] == [3, 6, 1]
        assert found(shop) == found(other) == []

    def test_a_quiet_shop_has_a_seal_a_minute(self, shop: Shop) -> None:
        book(shop, 10)
        assert seal_due(AT) == 1
        book(shop, 20)
        assert seal_due(after(0, 59)) == 0
        assert seal_due(after(0, 60)) == 1

    def test_a_row_is_encoded_and_hashed_as_the_formula_says(
        self, shop: Shop, as_owner: psycopg.Connection[Any]
    ) -> None:
        """Worked out here from PostgreSQL's documented binary forms, without PostgreSQL."""
        book(shop, 10, reference="付款 1")
        assert seal(AT)
        row = as_owner.execute(f"SELECT {', '.join(COLUMNS)} FROM books_transaction").fetchone()
        assert row is not None
        encoded = _record(dict(zip(COLUMNS, row, strict=True)))
        digests, leaves = as_owner.execute("SELECT digests, leaves FROM books_seal").fetchone()  # type: ignore[misc]
        assert digests == [hashlib.sha256(encoded).digest()]
        assert leaves == [hashlib.sha256(encoded).digest()[:8]]

    def test_every_column_there_is_is_hashed(self, shop: Shop, as_owner: psycopg.Connection[Any]) -> None:
        there = as_owner.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = 'books_transaction'::regclass AND attnum > 0"
            " AND NOT attisdropped"
        ).fetchall()
        assert sorted(COLUMNS) == sorted(name for (name,) in there), (
            "a new column needs a new version of the formula"
        )


def _record(row: dict[str, Any]) -> bytes:
    types = {
        "xact": 20, "accounts": 1005, "amounts": 1016, "recorded_at": 1184,
        **dict.fromkeys(("event_kind", "settlement", "reference", "currency"), 25),
        **dict.fromkeys(("occurred_on", "booked_on"), 1082),
    }  # fmt: skip
    fields = []
    for name, value in row.items():
        kind = types.get(name, 2950)
        if value is None:
            fields.append(struct.pack(">Ii", kind, -1))
            continue
        match kind:
            case 20:
                raw = struct.pack(">q", value)
            case 25:
                raw = value.encode()
            case 1005 | 1016:
                element, form = (21, ">ih") if kind == 1005 else (20, ">iq")
                raw = struct.pack(">iiIii", 1, 0, element, len(value), 1)
                raw += b"".join(struct.pack(form, struct.calcsize(form) - 4, each) for each in value)
            case 1082:
                raw = struct.pack(">i", (value - date(2000, 1, 1)).days)
            case 1184:
                raw = struct.pack(
                    ">q", (value - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
                )
            case _:
                raw = value.bytes
        fields.append(struct.pack(">Ii", kind, len(raw)) + raw)
    return struct.pack(">i", len(fields)) + b"".join(fields)


class TestWhatAnOwnerAlters:
    """Each is found, by the shop's own proof, and says where."""

    @pytest.fixture
    def rows(self, shop: Shop, other: Shop) -> list[UUID]:
        made = [book(shop, number * 10, reference=f"r{number}") for number in range(1, 6)]
        book(other, 70)
        assert seal(AT)
        made += [book(shop, number * 10, reference=f"r{number}") for number in range(6, 9)]
        assert seal(after(0, 60))
        assert found(shop) == []
        return made

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("xact", "xact + 1"),
            ("customer_id", "gen_random_uuid()"),
            ("transaction_id", "gen_random_uuid()"),
            ("event_id", "gen_random_uuid()"),
            ("event_kind", "'teste'"),
            ("contract_id", "gen_random_uuid()"),
            ("settlement", "'bank:2'"),
            ("reference", "reference || ' '"),
            ("currency", "'USD'"),
            ("accounts", "'{1020,1120,4110}'"),
            ("amounts", "ARRAY[amounts[1] + 1, amounts[2] - 1, amounts[3]]"),
            ("occurred_on", "occurred_on - 1"),
            ("recorded_at", "recorded_at - interval '1 microsecond'"),
            ("booked_on", "booked_on - 1"),
            ("linked_id", "transaction_id"),
        ],
    )
    def test_any_field_of_any_row(
        self, shop: Shop, rows: list[UUID], as_owner: psycopg.Connection[Any], column: str, value: str
    ) -> None:
        change = f"UPDATE books_transaction SET {column} = {value} WHERE reference = %s"
        for reference in ("r1", "r4", "r8"):
            with as_owner.transaction(force_rollback=True):
                as_owner.execute(change, [reference])
                problems = [problem.sentence for problem in verify(as_owner)]
                (name,) = as_owner.execute(
                    "SELECT transaction_id FROM books_transaction WHERE reference LIKE %s", [reference + "%"]
                ).fetchone()  # type: ignore[misc]
                assert problems, (column, reference)
                if column != "xact":
                    assert any(str(name) in problem for problem in problems), problems

    def test_the_shop_of_a_row(self, shop: Shop, other: Shop, rows: list[UUID], as_owner: Any) -> None:
        as_owner.execute(
            "UPDATE books_transaction SET shop_id = %s WHERE transaction_id = %s", [other.id, rows[2]]
        )
        assert any("row 3 of 5 is missing, 4 are there" in each for each in found(shop))
        assert any(f"transaction {rows[2]}" in each for each in found(other))

    @pytest.mark.parametrize("row", [0, 3, 7])
    def test_a_row_that_is_gone(self, shop: Shop, rows: list[UUID], as_owner: Any, row: int) -> None:
        as_owner.execute("DELETE FROM books_transaction WHERE transaction_id = %s", [rows[row]])
        (problem,) = found(shop)
        assert "missing" in problem
        assert f"row {row % 5 + 1} of" in problem

    @pytest.mark.parametrize("place", ["lowest", "first", "middle", "last", "to come"])
    def test_a_row_that_was_put_in_between(
        self, shop: Shop, rows: list[UUID], as_owner: Any, place: str
    ) -> None:
        at = {
            "lowest": "min(-9223372036854775807)",
            "first": "min(xact) - 1",
            "middle": "min(xact) + 2",
            "last": "max(xact)",
            "to come": "max(xact) + 100000",
        }[place]
        as_owner.execute(
            "INSERT INTO books_transaction (xact, customer_id, transaction_id, shop_id, event_id, event_kind, currency, accounts,"
            f" amounts, occurred_on, recorded_at, booked_on) SELECT {at}, %s, %s, %s, %s, 'test', 'CNY', '{{1010,4010}}', '{{5,-5}}',"
            " %s, %s, %s FROM books_transaction",
            [UUID(int=1), UUID(int=9), shop.id, UUID(int=9), TODAY, AT, TODAY],
        )
        said = {
            "lowest": "1 rows before the first seal",
            "to come": f"transaction {UUID(int=9)} is of a time to come",
        }.get(place, f"transaction {UUID(int=9)} is not what was sealed, or added")
        assert any(said in each for each in found(shop)), found(shop)

    def test_two_rows_in_another_order(self, shop: Shop, rows: list[UUID], as_owner: Any) -> None:
        first, second = (
            as_owner.execute(
                "SELECT xact FROM books_transaction WHERE transaction_id = %s", [name]
            ).fetchone()[0]
            for name in rows[:2]
        )
        for name, xact in zip(rows[:2], (second, first), strict=True):
            as_owner.execute("UPDATE books_transaction SET xact = %s WHERE transaction_id = %s", [xact, name])
        assert found(shop)

    def test_a_row_moved_to_another_batch_or_behind_the_last(
        self, shop: Shop, rows: list[UUID], as_owner: Any
    ) -> None:
        for xact in ("(SELECT max(xact) FROM books_transaction)", "xact + 1000000", "0", "-1"):
            with as_owner.transaction(force_rollback=True):
                as_owner.execute(
                    f"UPDATE books_transaction SET xact = {xact} WHERE transaction_id = %s", [rows[0]]
                )
                assert verify(as_owner), xact

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("DELETE FROM books_seal WHERE number = 1", "seal 1 is missing"),
            ("UPDATE books_seal SET counts[1] = counts[1] + 1 WHERE number = 2", "seal 2 is"),
            ("UPDATE books_seal SET to_xact = to_xact + 1 WHERE number = 2", "seal 2 is altered"),
            ("UPDATE books_seal SET from_xact = from_xact - 1 WHERE number = 2", "seal 2 is out of its place"),
            ("UPDATE books_seal SET sealed_at = sealed_at + interval '1 second' WHERE number = 1", "seal 1 is altered"),
            ("UPDATE books_seal SET rows = rows + 1 WHERE number = 2", "seal 2 is"),
            ("UPDATE books_seal SET leaves[1] = substr(leaves[1], 9) WHERE number = 2", "seal 2 is altered"),
            ("UPDATE books_seal SET digests[1] = sha256('') WHERE number = 2", "seal 2 is altered"),
            ("UPDATE books_seal SET version = 2 WHERE number = 2", "seal 2 is of version 2"),
            ("UPDATE books_seal SET seal = repeat('0', 64) WHERE number = 2", "seal 2 is not sealed by this service"),
            ("UPDATE books_seal SET key_id = 'other' WHERE number = 2", "by the key other"),
            ("UPDATE books_seal SET previous = repeat('0', 64) WHERE number = 2", "seal 2 is out of its place"),
        ],
    )  # fmt: skip
    def test_the_seals_themselves(
        self, shop: Shop, rows: list[UUID], as_owner: Any, change: str, said: str
    ) -> None:
        as_owner.execute(change)
        assert any(said in each for each in found(shop)), found(shop)

    def test_hashing_everything_anew_does_not_help_without_the_key(
        self, shop: Shop, rows: list[UUID], as_owner: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The owner alters a row, throws the chain away, and makes one that fits, with the formula and a key of their own."""
        as_owner.execute("UPDATE books_transaction SET occurred_on = occurred_on - 1 WHERE reference = 'r1'")
        as_owner.execute("DELETE FROM books_seal")
        with monkeypatch.context() as theirs:
            theirs.setattr(settings, "FENQI_SIGNING_KEYS", {settings.FENQI_SIGNING_KEY_ID: b"x" * 32})
            assert seal(AT)
            assert found(shop) == []
        assert found(shop) == ["seal 1 is not sealed by this service: expected a seal of its signing key"]

    def test_a_chain_cut_off_at_its_end_is_found_by_a_head_that_was_noted(
        self, shop: Shop, rows: list[UUID], as_owner: Any
    ) -> None:
        (head,) = heads()
        noted = ((head.number, head.digest),)
        assert found(shop, noted) == []
        as_owner.execute("DELETE FROM books_transaction WHERE reference >= 'r6'")
        as_owner.execute("DELETE FROM books_seal WHERE number = 2")
        assert found(shop) == []
        assert found(shop, noted) == [f"seal 2 is missing: expected {head.digest}, as noted"]

    def test_the_nightly_proof_looks_at_the_chain(self, shop: Shop, rows: list[UUID], as_owner: Any) -> None:
        before = {problem.sentence for problem in prove_shop(shop).problems}
        as_owner.execute("UPDATE books_transaction SET reference = 'x' WHERE reference = 'r2'")
        new = {problem.sentence for problem in prove_shop(shop).problems} - before
        assert len(new) == 1
        assert f"transaction {rows[1]}" in new.pop()


def test_the_keys_that_sealed_are_kept_behind_the_new_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(shop, 10)
    assert seal(AT)
    old = settings.FENQI_SIGNING_KEY_ID
    keys = {"new": b"n" * 32, old: settings.FENQI_SIGNING_KEYS[old]}
    monkeypatch.setattr(settings, "FENQI_SIGNING_KEYS", keys)
    monkeypatch.setattr(settings, "FENQI_SIGNING_KEY_ID", "new")
    book(shop, 20)
    second = seal(after(1))
    assert second is not None
    assert second.key_id == "new"
    assert found(shop) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE books_seal SET sealed_at = now()",
        "DELETE FROM books_seal",
        "TRUNCATE books_seal",
        "UPDATE books_cell SET era = 9",
        "INSERT INTO books_cell (era, system_identifier) VALUES (2, 1)",
        "INSERT INTO books_transaction (customer_id, transaction_id, shop_id, event_id, event_kind, currency, accounts, amounts,"
        " occurred_on, recorded_at, booked_on, xact) SELECT customer_id, gen_random_uuid(), shop_id, gen_random_uuid(), event_kind,"
        " currency, accounts, amounts, occurred_on, recorded_at, booked_on, 1 FROM books_transaction",
    ],
)
def test_the_service_s_role_can_neither_change_a_seal_nor_choose_a_row_s_place(
    shop: Shop, statement: str
) -> None:
    book(shop, 10)
    assert seal(AT)
    with pytest.raises(Error) as problem, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert sqlstate(problem.value) == "42501"


class TestManyAtOnce:
    def test_a_row_that_commits_late_is_not_skipped(self, shop: Shop) -> None:
        """The trap of every order but this one: a transaction that began first and ends last."""
        began, go_on = threading.Event(), threading.Event()

        def slow() -> None:
            with transaction.atomic():
                book(shop, 10, reference="slow")
                began.set()
                go_on.wait(20)
            connection.close()

        writer = threading.Thread(target=slow)
        writer.start()
        assert began.wait(10)
        for number in range(2, 5):
            book(shop, number * 10, customer=2)
        early = seal(AT)
        go_on.set()
        writer.join(10)
        assert early is None, "all that is there was written after something that still runs"
        head = seal(AT)
        assert head is not None
        assert head.rows == 4
        assert found(shop) == []

    def test_no_row_is_skipped_or_sealed_twice_under_eight_writers(
        self, shop: Shop, other: Shop, as_owner: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sealing, "BATCH_ROWS", 7)
        until = time.monotonic() + 3
        problems: list[BaseException] = []

        def write(number: int) -> None:
            mine, made = (shop, other)[number % 2], 0
            try:
                while time.monotonic() < until:
                    made += 1
                    if made % 5 == 0:
                        with transaction.atomic():
                            # One that takes its number and is overtaken, and one in ten of them that is undone.
                            book(mine, 10 + made, customer=number)
                            time.sleep(0.01)
                            if made % 10 == 0:
                                transaction.set_rollback(True)
                    else:
                        book(mine, 10 + made, customer=number)
            except BaseException as problem:
                problems.append(problem)
            finally:
                connection.close()

        def keep_sealing() -> None:
            try:
                while time.monotonic() < until:
                    seal(AT)
            except BaseException as problem:
                problems.append(problem)
            finally:
                connection.close()

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        threads += [threading.Thread(target=keep_sealing) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert problems == []
        under_load = heads()[0].number
        assert under_load > 5
        while seal(AT):
            pass
        (count,) = as_owner.execute("SELECT count(*) FROM books_transaction").fetchone()  # type: ignore[misc]
        assert count > 100
        assert heads()[0].rows == count
        assert verify(as_owner) == []
        assert found(shop) == found(other) == []

    def test_two_workers_make_one_chain(self, shop: Shop, as_owner: psycopg.Connection[Any]) -> None:
        book(shop, 10)
        with as_owner.transaction():
            as_owner.execute("SELECT pg_advisory_xact_lock(%s)", [sealing._LOCK])
            assert seal(AT) is None
        assert seal(AT)


class TestRestored:
    """A restored database counts its transactions from the start again: a new era keeps the chain going."""

    def move(self, as_owner: psycopg.Connection[Any]) -> None:
        as_owner.execute("UPDATE books_cell SET system_identifier = 1 WHERE era = 1")

    def test_nothing_is_sealed_in_another_database_before_the_era_is_begun(
        self, shop: Shop, as_owner: psycopg.Connection[Any]
    ) -> None:
        from fenqi_server.migration import unapplied

        book(shop, 10)
        assert unapplied() == []
        self.move(as_owner)
        assert unapplied() == ["books.era"], "the service does not start"
        with pytest.raises(RuntimeError, match="`fenqi migrate` begins a new era"):
            seal(AT)
        assert sealing.begin_era(as_owner) == 2
        assert sealing.begin_era(as_owner) is None
        assert unapplied() == []

    def test_what_was_not_sealed_before_is_sealed_first_and_the_chain_goes_on(
        self, shop: Shop, as_owner: psycopg.Connection[Any]
    ) -> None:
        book(shop, 10)
        assert seal(AT)
        book(shop, 20)
        # The old database had counted further than this one has.
        as_owner.execute("UPDATE books_transaction SET xact = xact + 1000000 WHERE amounts[1] = 20")
        self.move(as_owner)
        sealing.begin_era(as_owner)
        book(shop, 30)
        head = seal(after(1))
        assert head is not None
        assert (head.number, head.rows) == (2, 3)
        lowest = as_owner.execute("SELECT amounts[1] FROM books_transaction ORDER BY xact").fetchall()
        assert lowest == [(10,), (20,), (30,)]
        (newest,) = as_owner.execute("SELECT max(xact) FROM books_transaction").fetchone()  # type: ignore[misc]
        assert 2 * ERA < newest < 3 * ERA
        assert found(shop) == []


def test_a_real_book_is_sealed_and_proven(shop: Shop, as_owner: psycopg.Connection[Any]) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 53_600, "received", "a", AT)
    head = seal(AT)
    assert isinstance(head, Head)
    assert head.rows == 2
    assert prove(as_owner).ok
    assert prove_shop(shop).ok

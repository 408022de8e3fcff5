"""Backup, restore with its proof, and the way from one PostgreSQL major to the next."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from fenqi_server.embedded import Binaries, EmbeddedError, acquire, find_binaries, upgrade
from fenqi_server.embedded.binaries import inspect_binaries, system_folders
from fenqi_server.embedded.cluster import create_database


def _fenqi(database, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fenqi_server", *words],
        env={
            **os.environ,
            "FENQI_DATABASE_URL": database.service_url,
            "FENQI_OWNER_URL": database.owner_url,
            "FENQI_HOME": str(tmp_path / ".fenqi"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def mall(committed_db):
    """The demo mall's data: contracts, payments and their book."""
    done = subprocess.run(
        [sys.executable, "-m", "fenqi_server.preparation", "--seed-demo"],
        env={**os.environ, "FENQI_DATABASE_URL": committed_db.service_url, "FENQI_DEMO": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return committed_db


@pytest.fixture
def empty(postgres):
    database = postgres.database("fenqi_empty")
    with psycopg.connect(postgres.cluster.superuser_url, autocommit=True) as session:
        create_database(session, database.name)
    yield database
    postgres.drop(database)


def _rows(url: str) -> dict[str, int]:
    with psycopg.connect(url) as session:
        names = [
            row[0]
            for row in session.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            )
        ]
        return {name: session.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_a_backup_is_restored_whole_and_its_book_is_proved(mall, empty, tmp_path):
    file = tmp_path / "mall.dump"
    backed_up = _fenqi(mall, tmp_path, "backup", str(file))
    assert backed_up.returncode == 0, backed_up.stderr
    assert json.loads(backed_up.stdout)["bytes"] == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    restored = _fenqi(empty, tmp_path, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["proof"] == {"ok": True, "problems": []}
    assert _rows(empty.owner_url) == _rows(mall.owner_url)
    assert _rows(empty.owner_url)["books_transaction"] > 0


def test_what_the_service_may_not_do_it_may_not_do_after_a_restore(mall, empty, tmp_path):
    file = tmp_path / "mall.dump"
    _fenqi(mall, tmp_path, "backup", str(file))
    assert _fenqi(empty, tmp_path, "restore", str(file)).returncode == 0
    for statement in (
        "UPDATE books_transaction SET booked_on = booked_on",
        "DELETE FROM servicing_event",
        "TRUNCATE decisions_decision",
        "CREATE TABLE mine (x int)",
    ):
        with (
            psycopg.connect(empty.service_url) as session,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            session.execute(statement)
    from tools import lint_schema

    with psycopg.connect(empty.owner_url) as session:
        assert list(lint_schema.problems(session)) == []


def test_a_book_that_was_tampered_with_does_not_prove(mall, empty, tmp_path):
    with psycopg.connect(mall.owner_url) as session:
        for (name,) in session.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'books_transaction'::regclass AND contype = 'c'"
        ).fetchall():
            session.execute(f'ALTER TABLE books_transaction DROP CONSTRAINT "{name}"')
        session.execute("UPDATE books_transaction SET amounts[1] = amounts[1] + 1")
    file = tmp_path / "tampered.dump"
    assert _fenqi(mall, tmp_path, "backup", str(file)).returncode == 0
    restored = _fenqi(empty, tmp_path, "restore", str(file))
    assert restored.returncode == 1
    proof = json.loads(restored.stdout)["proof"]
    assert not proof["ok"]
    assert proof["problems"]


def test_a_database_with_anything_in_it_is_not_restored_into(committed_db, tmp_path):
    file = tmp_path / "a.dump"
    assert _fenqi(committed_db, tmp_path, "backup", str(file)).returncode == 0
    refused = _fenqi(committed_db, tmp_path, "restore", str(file))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "expected an empty one" in refused.stderr


def test_a_damaged_backup_leaves_the_database_empty(committed_db, empty, tmp_path):
    file = tmp_path / "a.dump"
    assert _fenqi(committed_db, tmp_path, "backup", str(file)).returncode == 0
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refused = _fenqi(empty, tmp_path, "restore", str(file))
    assert refused.returncode == 1
    assert _rows(empty.owner_url) == {}


def test_files_that_cannot_be_meant_are_refused(committed_db, tmp_path):
    (tmp_path / "there.dump").write_text("an earlier backup")
    for words, said in (
        (("backup", str(tmp_path / "there.dump")), "never overwritten"),
        (("backup", str(tmp_path / "nowhere" / "a.dump")), "a folder that exists"),
        (("restore", str(tmp_path / "none.dump")), "`fenqi backup` wrote"),
        (("restore", str(tmp_path / "there.dump")), "begins differently"),
    ):
        refused = _fenqi(committed_db, tmp_path, *words)
        assert refused.returncode == 2, words
        assert said in refused.stderr
    assert (tmp_path / "there.dump").read_text() == "an earlier backup"


def test_without_the_owners_address_nothing_is_migrated(committed_db, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fenqi_server", "migrate"],
        env={**os.environ, "FENQI_DATABASE_URL": committed_db.service_url, "FENQI_HOME": str(tmp_path / "h")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "FENQI_OWNER_URL" in done.stderr


# ----------------------------------------------------------------------------------------- from major to major


@pytest.fixture
def older() -> Binaries:
    """An older PostgreSQL than the wheel's; `.ci/run` has Debian's 15."""
    for folder in system_folders():
        found = inspect_binaries(folder)
        if found.major < find_binaries().major:
            return found
    pytest.skip("no older PostgreSQL on this system; .ci/run installs one")


@pytest.fixture
def old_data(place: Path, older: Binaries) -> Path:
    """A state folder whose data an older PostgreSQL wrote."""
    with acquire(place / ".fenqi", binaries=older, environ={}, root_home=place / "root") as cluster:
        assert cluster.owner_url is not None
        with psycopg.connect(cluster.owner_url) as session:
            session.execute("CREATE TABLE kept (x int)")
            session.execute("INSERT INTO kept VALUES (7)")
            session.execute("GRANT SELECT, INSERT ON kept TO fenqi_service")
    return place / ".fenqi"


def _check_kept(state_dir: Path, place: Path) -> None:
    with (
        acquire(state_dir, environ={}, root_home=place / "root") as cluster,
        psycopg.connect(cluster.service_url, autocommit=True) as session,
    ):
        assert session.info.server_version // 10_000 == find_binaries().major
        assert session.execute("SELECT x FROM kept").fetchone() == (7,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("DELETE FROM kept")


def test_data_moves_to_the_new_major_and_the_old_folder_stays(old_data, older, place):
    old_major, new_major, kept = upgrade(old_data, old_binaries=older, root_home=place / "root")
    assert (old_major, new_major) == (older.major, find_binaries().major)
    assert kept is not None
    assert (kept / "PG_VERSION").read_text().strip() == str(older.major)
    _check_kept(old_data, place)
    assert upgrade(old_data, root_home=place / "root")[2] is None, "a second upgrade has nothing to do"
    assert not (old_data / "upgrade.dump").exists()


def test_an_upgrade_killed_before_its_last_step_is_completed_by_the_next_start(old_data, older, place):
    _old, _new, kept = upgrade(old_data, old_binaries=older, root_home=place / "root")
    assert kept is not None
    data = kept.with_name("data")
    data.rename(data.with_name("data.upgraded"))
    _check_kept(old_data, place)


def test_an_upgrade_without_the_old_programs_says_what_to_install_and_changes_nothing(
    old_data, older, place, monkeypatch
):
    monkeypatch.setenv("FENQI_OLD_POSTGRES_BIN", str(place))
    with pytest.raises(EmbeddedError, match=f"Install PostgreSQL {older.major}"):
        upgrade(old_data, root_home=place / "root")
    with acquire(old_data, binaries=older, environ={}, root_home=place / "root") as cluster:
        assert cluster.owner_url is not None
        with psycopg.connect(cluster.owner_url) as session:
            assert session.execute("SELECT x FROM kept").fetchone() == (7,)


def test_a_running_server_is_not_upgraded_under_its_users(old_data, older, place):
    with (
        acquire(old_data, binaries=older, environ={}, root_home=place / "root"),
        pytest.raises(EmbeddedError, match="stop what uses it"),
    ):
        upgrade(old_data, old_binaries=older, root_home=place / "root")

"""The fixtures themselves: what isolates one test from the next."""

import psycopg
import pytest
from django.db import connection


def _sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_session")
        return cursor.fetchone()[0]


def _add_session(key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_session VALUES (%s, '', now())", [key])


@pytest.mark.parametrize("run", [1, 2])
def test_what_a_test_writes_is_gone_in_the_next(db, run):
    assert _sessions() == 0
    _add_session("one")
    assert _sessions() == 1


@pytest.mark.parametrize("run", [1, 2])
def test_a_database_of_its_own_shows_commits_to_others_and_is_dropped(committed_db, run):
    assert _sessions() == 0
    _add_session("one")
    with psycopg.connect(committed_db.service_url) as other:
        assert other.execute("SELECT count(*) FROM django_session").fetchone() == (1,)


def test_a_test_that_did_not_ask_for_the_database_cannot_reach_it():
    with pytest.raises(RuntimeError, match="ask for `db`"):
        _sessions()


def test_tests_work_as_the_services_role_without_ddl(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("fenqi_service",)
        with pytest.raises(Exception, match="permission denied"):
            cursor.execute("CREATE TABLE mine (x int)")

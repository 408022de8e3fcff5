"""Each lint is seen to fail on what it forbids, and to pass on what it allows."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tools import lint_engine, lint_schema, lint_text

ROOT = Path(__file__).resolve().parents[2]


def _engine(tmp_path: Path, source: str, name: str = "terms/plan.py") -> list[str]:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return list(lint_engine.engine_problems(tmp_path))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import random", "randomness"),
        ("import uuid", "ids come in"),
        ("from time import monotonic", "instants come in"),
        ("import os\nos.environ['X']", "no environment"),
        ("from urllib.request import urlopen", "no network"),
        ("import django.db", "no framework"),
        ("import fenqi_server", "never the other way"),
        ("import datetime\ndatetime.datetime.now()", "asks the clock"),
        ("from datetime import date\ndate.today()", "asks the clock"),
        ("open('x')", "touches files"),
        ("def f(p):\n    return p.read_text()", "touches files"),
        ("rate = 0.5", "has the float 0.5"),
        ("x = float('1')", "makes a float"),
        ("def f(a: int, b: int):\n    return a / b", "divides"),
        ("import math\nmath.exp(1)", "math.exp"),
        ("import math as m\nm.exp(1)", "math.exp"),
        ("from math import sqrt", "math.sqrt"),
        ("make = float", "makes a float"),
        ("float.fromhex('1')", "makes a float"),
        ("from datetime import datetime as dt\ndt.now()", "asks the clock"),
        ("from datetime import datetime\nnow = datetime.now", "asks the clock"),
        ("import importlib", "says what it imports"),
        ("__import__('random')", "uses __import__"),
        ("eval('0.5')", "uses eval"),
    ],
)
def test_the_engine_is_refused(tmp_path, source, said):
    assert any(said in problem for problem in _engine(tmp_path, source))


@pytest.mark.parametrize(
    "source",
    [
        "from fractions import Fraction\nx = Fraction(1, 3) / 4",
        "from fractions import Fraction\ndef f(rate: Fraction):\n    return rate * 3 / 12",
        "from fractions import Fraction\ndef g() -> Fraction: ...\ndef f():\n    x = g()\n    y = (1 + x) ** 3\n    return y / (y - 1)",
        "x = 7 // 2",
        "from difflib import get_close_matches\nget_close_matches('a', ['b'], cutoff=0.6)",
        "from urllib.parse import quote",
    ],
)
def test_the_engine_may(tmp_path, source):
    assert _engine(tmp_path, source) == []


def test_floats_live_where_rates_are_solved_and_files_in_another_module(tmp_path):
    assert _engine(tmp_path, "x = 0.5 / 3", "terms/cost.py") == []
    assert _engine(tmp_path, "x = 0.5 / 3", "terms/rates.py") == []
    assert _engine(tmp_path, "x = 0.5 / 3", "terms/columns.py") == []
    assert _engine(tmp_path, "def f(p):\n    return p.read_text()", "policy/document.py") == []


def test_only_one_module_of_the_service_asks_the_clock(tmp_path):
    for name in ("clock.py", "servicing.py"):
        (tmp_path / name).write_text("from datetime import UTC, datetime\ndatetime.now(UTC)")
    assert [problem.split(":")[0].rpartition("/")[2] for problem in lint_engine.clock_problems(tmp_path)] == [
        "servicing.py"
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.md", "see /" + "home/ann/fenqi", "absolute path"),
        ("a.py", "# TO" + "DO: later", "do it later"),
        ("a.py", "<" * 7 + " HEAD\n", "merge"),
        ("a.html", '<p style="color:red">', "inline style"),
        ("a.html", '<button onclick="x()">', "inline handler"),
        ("a.html", '<div hx-on:click="x()">', "hx-on"),
        ("a.html", "<script>1</script>", "inline script"),
        ("a.html", "{{ name|safe }}", "unescaped"),
        ("a.js", "eval('1')", "evaluates text"),
    ],
)
def test_a_text_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    assert any(said in problem for problem in lint_text.problems_of(tmp_path / name, tmp_path))


def test_a_page_as_it_should_be_is_accepted(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<script src="/static/a.js" defer></script><p class="note" data-once="1">{{ name }}</p>')
    assert list(lint_text.problems_of(page, tmp_path)) == []


_SHARDED = (
    "CREATE TABLE servicing_new (shop_id uuid, customer_id uuid, id uuid, PRIMARY KEY (customer_id, id));"
)
_SECURED = (
    "ALTER TABLE servicing_new ENABLE ROW LEVEL SECURITY; CREATE POLICY shop ON servicing_new"
    " USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);"
)


@pytest.fixture
def schema(_shared_database):
    """The owner's session in a transaction that is rolled back: DDL is PostgreSQL's like anything else."""
    with psycopg.connect(_shared_database.owner_url) as session:
        yield session
        session.rollback()


def test_the_schema_as_it_is_holds(schema):
    assert list(lint_schema.problems(schema)) == []


def test_a_new_table_by_the_rules_is_accepted(schema):
    schema.execute(_SHARDED + _SECURED)
    assert list(lint_schema.problems(schema)) == []


@pytest.mark.parametrize(
    ("ddl", "said"),
    [
        ("CREATE TABLE elsewhere_new (id uuid)", "has no place"),
        ("CREATE TABLE books_new (shop_id uuid, id uuid PRIMARY KEY)", "has no customer_id"),
        (
            _SHARDED + "CREATE UNIQUE INDEX ON servicing_new (id)",
            "customer_id is not first in the unique key",
        ),
        (
            _SHARDED
            + "ALTER TABLE servicing_new ADD FOREIGN KEY (id) REFERENCES customers_customer (customer_id)",
            "customer_id is not first in the foreign key",
        ),
        ("CREATE TABLE policies_new (id uuid PRIMARY KEY)", "has no shop_id"),
        (_SHARDED, "no row-level security"),
        (_SHARDED + "ALTER TABLE servicing_new ENABLE ROW LEVEL SECURITY", "no policy"),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER t BEFORE INSERT ON books_transaction FOR EACH ROW EXECUTE FUNCTION f()",
            "has the trigger t",
        ),
        (
            _SHARDED + "ALTER TABLE servicing_new ADD EXCLUDE USING btree (customer_id WITH =)",
            "exclusion constraint",
        ),
        (
            _SHARDED + "ALTER TABLE servicing_new ADD UNIQUE (customer_id, shop_id) DEFERRABLE",
            "is deferrable",
        ),
        ("GRANT UPDATE ON books_transaction TO fenqi_service", "has UPDATE on it"),
        ("GRANT UPDATE (customer_id) ON servicing_event TO fenqi_service", "has UPDATE on it"),
        ("GRANT DELETE ON decisions_decision TO fenqi_service", "has DELETE on it"),
        ("GRANT TRUNCATE ON servicing_state TO fenqi_service", "has TRUNCATE on it"),
        ("GRANT SELECT ON decisions_decision_default TO fenqi_service", "may use the partition itself"),
        ("CREATE VIEW all_of_them AS SELECT * FROM books_transaction", "reads as its owner"),
        ("GRANT CREATE ON SCHEMA public TO fenqi_service", "may make tables"),
    ],
)
def test_a_schema_is_refused(schema, ddl, said):
    schema.execute(ddl)
    assert any(said in problem for problem in lint_schema.problems(schema))


def test_an_arrow_that_the_plan_does_not_have_is_refused(tmp_path):
    for package in ("src/fenqi/terms", "src/fenqi/policy", "src/fenqi/contracts", "src/fenqi_server"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    for package in ("checkout", "ledger"):
        (tmp_path / "src/fenqi" / package).mkdir()
        (tmp_path / "src/fenqi" / package / "__init__.py").touch()
    for module in ("__init__", "money", "calendars", "business_days", "texts", "problems"):
        (tmp_path / "src/fenqi" / f"{module}.py").touch()
    (tmp_path / "src/fenqi/terms/plan.py").write_text("import fenqi.policy\n")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode != 0
    assert "terms imports no other room BROKEN" in said.stdout
    assert "policy -> terms KEPT" in said.stdout


@pytest.mark.no_db
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_the_lint_of_the_schema_leaves_nothing_where_it_is_ended(asked):
    lint = subprocess.Popen(
        [sys.executable, "tools/lint_schema.py"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        # Whoever runs the tests behind a shell's `&` passes on that SIGINT is not heard.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        _until(lambda: any(list(home.rglob("postmaster.pid")) for home in _homes(lint.pid)))
        lint.send_signal(asked)
        assert lint.wait(timeout=60) != 0
    finally:
        lint.kill()
        lint.wait(timeout=60)
    assert _homes(lint.pid) == []


def _homes(pid: int) -> list[Path]:
    return list(Path("/tmp").glob(f"fenqi-lint-{pid}-*"))


def _until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)

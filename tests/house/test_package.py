"""What `pip install fenqi` brings: the engine with three libraries, quick to import, and nothing of the service."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_db

# Whatever else is installed here, a shop's own process has only these.
_ALONE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from fenqi_server.cli import main
raise SystemExit(main({words}))
"""
_BLOCKED = {
    "allauth", "babel", "django", "dmr", "granian", "numpy", "polars", "psycopg", "reportlab", "whitenoise", "z3",
}  # fmt: skip


def test_the_engine_needs_three_libraries() -> None:
    needed = [line for line in requires("fenqi") or [] if "extra ==" not in line]
    assert sorted(line.split(">")[0].replace(".", "-") for line in needed) == [
        "cryptography",
        "msgspec",
        "ruamel-yaml",
    ]


def test_the_engine_is_imported_within_150_ms() -> None:
    def once() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import fenqi"], check=True)
        return time.perf_counter() - began

    # The quickest of some: a busy machine slows single runs, never all of them.
    assert min(once() for _ in range(8)) <= 0.150


@pytest.mark.parametrize(
    "words",
    [
        ["schedule", "--amount", "6000", "--periods", "12", "--flat-fee", "0.006", "--start", "2026-11-23"],
        ["cost", "--advance", "6000", "--payment", "536x12"],
        ["compare", "--price", "6999", "--rent", "499x12", "--start", "2026-11-23"],
        ["policy", "check", "src/fenqi_server/demo/policy"],
        ["policy", "explain", "src/fenqi_server/demo/policy", "examples/phone.json"],
        ["policy", "explain", "src/fenqi_server/demo/policy", "{facts}"],
        ["policy", "diff", "src/fenqi_server/demo/policy", "src/fenqi_server/demo/policy"],
        ["policy", "test", "src/fenqi_server/demo/policy"],
        ["evaluate", "--policy", "src/fenqi_server/demo/policy", "examples/phone.json"],
        ["policy", "pack", "test", "cn-mainland"],
        ["policy", "diff", "benchmarks/policy", "src/fenqi_server/demo/policy"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_the_engines_commands_run_without_the_service(words: list[str], tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text('{"cart.amount": "¥6,000"}', encoding="utf-8")
    words = [word.format(facts=facts) for word in words]
    done = subprocess.run(
        [sys.executable, "-c", _ALONE.format(blocked=_BLOCKED, words=words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_an_extra_brings_is_asked_for_by_its_name() -> None:
    words = ["policy", "prove", "src/fenqi_server/demo/policy"]
    done = subprocess.run(
        [sys.executable, "-c", _ALONE.format(blocked=_BLOCKED, words=words)], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "fenqi[check]" in done.stderr
    assert "Traceback" not in done.stderr

"""`fenqi`: the engine's questions without a server, and the service's start, stop and care.

Results go to standard output (JSON, or tables where a command takes --json), messages to standard error. The exit code is 0, 2 for input that cannot be
used (the message says which, and what was expected), 1 when the work itself failed.

Only the engine is imported here. What needs Django, PostgreSQL or Granian is imported inside its command, so that
`pip install fenqi` alone can evaluate a cart.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from fenqi import __version__
from fenqi.problems import BadInput

__all__ = ["Failure", "main", "note", "print_json"]

# Each offers `add_parser(subparsers)` and sets `run`, a function of the parsed words that returns an exit code.
_COMMANDS = (
    "evaluate",
    "schedule",
    "cost",
    "compare",
    "policy",
    "serve",
    "demo",
    "shop",
    "key",
    "customer",
    "contracts",
    "books",
    "reconcile",
    "staff",
    "decisions",
    "close_day",
    "month_end",
    "migrate",
    "backup",
    "restore",
    "upgrade",
)

_EXAMPLES = """\
examples:
  fenqi demo                                     the sample mall on http://127.0.0.1:8000
  fenqi evaluate --policy policy/ cart.json      how can this cart be paid, and why not otherwise?
  fenqi compare --price 6999 --rent 499x12 --buyout 1600   rent or buy?
  fenqi policy check policy/                     is the folder a policy? what is wrong, and where?
  fenqi shop --help                              a shop of your own: shop, key, policy publish, customer
  fenqi staff --help                             who works in the console, and what they may do
  fenqi schedule --help                          what each command takes, with examples of its own

Results go to standard output: as tables for people where a command takes --json, else as JSON. Messages go to standard error.
Exit codes: 0 done, 1 failed, 2 bad input.
"""


class Failure(Exception):
    """What was asked is fine and did not work: exit code 1."""


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # JSON is UTF-8 wherever it is written; the locale's encoding may not have ¥ at all.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="fenqi",
        description="Pay-over-time for the shop that runs it itself.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fenqi {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    words = sys.argv[1:] if words is None else list(words)
    # One command's module is enough to run it: the others' imports would cost it time.
    asked = [word.replace("-", "_") for word in words[:1]]
    for name in [name for name in _COMMANDS if name in asked] or _COMMANDS:
        importlib.import_module(f"fenqi_server.commands.{name}").add_parser(subparsers)
    arguments = parser.parse_args(words)
    try:
        return int(arguments.run(arguments) or 0)
    except BadInput as problem:
        return _say(problem, 2)
    except Failure as problem:
        return _say(problem, 1)
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] in (
            "django",
            "psycopg",
            "granian",
            "whitenoise",
            "dmr",
            "babel",
            "allauth",
        ):
            return _say(f"this command is a part of the service: pip install 'fenqi[server]' ({problem})", 1)
        if problem.name in ("polars", "numpy"):
            return _say(f"this needs columns of checkouts: pip install 'fenqi[simulate]' ({problem})", 1)
        raise
    except BrokenPipeError:
        # The reader went away, as `| head` does; Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def note(text: str) -> None:
    """A message for a person, on standard error."""
    print(text, file=sys.stderr, flush=True)


def _say(problem: object, code: int) -> int:
    note(f"fenqi: {problem}")
    return code

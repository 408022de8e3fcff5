"""`fenqi policy test`: does the policy say what its authors expected of it?

The tests stand in the policy's own files: on a rule, cases of facts with what that rule has to say of them; at the top level, cases at
an instant with what becomes of each plan. A policy with a test that fails is not published.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from fenqi.checkout.examples import run_examples
from fenqi.policy.compile import compile_policy
from fenqi_server.cli import note, print_json
from fenqi_server.commands.policy_folder import read_folder
from fenqi_server.commands.table import print_table

__all__ = ["add_test"]

TESTS: Final = """\
examples:
  fenqi policy test policy/               every test, and where one that fails stands
  fenqi policy test policy/ --json        for programs

Tests in a policy's files:

  rules:
  - id: law.adult
    require: customer.age >= 18
    ...
    tests:
    - {name: seventeen, facts: {customer.age: 17}, expect: blocked}
    - {facts: {customer.age: 18}, expect: open}
    - {facts: {}, expect: unknown}
  tests:
  - name: a student at ¥6,000
    at: 2026-11-23T10:00
    facts: {cart.amount: "¥6,000", customer.student: yes, customer.age: 20}
    expect: {mall_12: [STUDENT_RESTRICTED], card_full: funder_decides}

Of a rule: open, blocked, unknown (in the way for want of a fact) or pending. Of a plan: its state, or a list of exactly the reasons
that it has.

Exit codes: 0 all pass, 1 some do not, 2 the folder is not a policy."""


def add_test(actions: Any) -> None:
    """Add `test` to what `fenqi policy` can do."""
    parser = actions.add_parser(
        "test",
        help="run the tests that stand in a policy's files",
        description=__doc__,
        epilog=TESTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", help="the policy's folder")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run_test)


def run_test(arguments: argparse.Namespace) -> int:
    """Run every test; 1 where one fails."""
    loaded = read_folder(arguments.folder, as_json=arguments.json)
    if loaded.snapshot is None:
        return 2
    results = run_examples(compile_policy(loaded.snapshot, loaded.sets))
    failed = [result for result in results if not result.passed]
    places = {key: "{}:{}:{}".format(*place) for key, place in loaded.places.items()}
    if arguments.json:
        print_json(
            {
                "ok": not failed,
                "run": len(results),
                "failed": [
                    {
                        "test": result.key,
                        "place": places.get(result.key),
                        "expected": result.expected,
                        "found": result.found,
                    }
                    for result in failed
                ],
            }
        )
    elif failed:
        rows = [(places.get(one.key, ""), one.key, one.expected, one.found) for one in failed]
        print_table(("at", "test", "expected", "found"), rows)
    note(f"{len(results)} tests, {len(failed)} failed" if results else "the policy has no tests")
    return 1 if failed else 0

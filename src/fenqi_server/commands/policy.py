"""`fenqi policy`: is a folder a policy, and if not, what is wrong and where?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fenqi.policy.compile import compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.snapshot import LAYERS

EXAMPLES = """\
examples:
  fenqi policy check policy/                      the policy's digest and what it holds
  fenqi policy check policy/ > /dev/null          only what is wrong, one line each, FILE:LINE:COLUMN first
  fenqi policy check policy/ | jq -r .digest      the name under which it is published

Exit codes: 0 it is a policy, 2 it is not; then "problems" says what is wrong and where."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `policy` and what it can do to the program's commands."""
    parser = subparsers.add_parser(
        "policy",
        help="check a folder of policy files",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="read, type and compile every file; say everything that is wrong",
        description="Read, type and compile every *.yaml file under DIR as one policy.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("folder", metavar="DIR", help="the policy's folder")
    check.set_defaults(run=run_check)


def run_check(arguments: argparse.Namespace) -> int:
    """Print what the folder holds as JSON; 0, or 2 with every problem, also as lines on standard error."""
    folder = Path(arguments.folder)
    if not folder.is_dir():
        print(
            f"fenqi policy check: {folder} is not a folder: expected one with *.yaml files", file=sys.stderr
        )
        return 2
    result = load_policy(folder)
    if result.snapshot is None:
        for problem in result.problems:
            print(problem, file=sys.stderr)
        problems = [
            {
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "text": problem.text,
                "message": problem.message,
                "suggestion": problem.suggestion,
            }
            for problem in result.problems
        ]
        print(json.dumps({"ok": False, "problems": problems}, ensure_ascii=False, indent=2))
        return 2
    policy = compile_policy(result.snapshot)
    layers = {layer: sum(rule.layer == layer for rule in policy.rules) for layer in LAYERS}
    report = {
        "ok": True,
        "digest": policy.digest,
        "shop": policy.shop.id,
        "funders": len(policy.funders),
        "plans": [plan.id for plan in policy.plans],
        "rules": len(policy.rules),
        "rules_by_layer": {layer: count for layer, count in layers.items() if count},
        "placements": len(result.snapshot.placements),
        "notices": len(policy.notices),
        "problems": [],
    }
    print(json.dumps(report, ensure_ascii=False, indent=2))
    return 0

"""`fenqi policy diff`: what one policy changes against another, in plain words, and who loses or gains a plan."""

from __future__ import annotations

import argparse
from typing import Any, Final

from fenqi.policy.cases import NoSolver
from fenqi.policy.difference import change_text, compare
from fenqi.policy.gains import PlanDifference
from fenqi.texts import LOCALES
from fenqi_server.cli import note, print_json
from fenqi_server.commands.policy_prove import (
    add_options,
    difference_document,
    limit_of,
    near,
    print_differences,
    proven_differences,
    span_of,
    whole,
)

__all__ = ["add_diff"]

EXAMPLES: Final = """\
examples:
  fenqi policy diff published/ policy/                 every change in a line, those of what is offered first
  fenqi policy diff published/ policy/ --locale zh-CN  the same in Chinese
  fenqi policy diff published/ policy/ --json          with the fields before and after

The lines say what the policies say otherwise. Below them stands, plan by plan, whether there is any case at all that loses or
gains it, with one such case, or the proof that there is none; that needs pip install 'fenqi[check]'.

A change that is over by --from (now) changes nothing any more. Exit codes: 0 compared, 2 one of them is not a policy."""


def add_diff(actions: Any) -> None:
    """Add `diff` to what `fenqi policy` can do."""
    parser = actions.add_parser(
        "diff",
        help="what one policy changes against another, in plain words",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", metavar="BEFORE", help="the folder of the policy there was")
    parser.add_argument("after", metavar="AFTER", help="the folder of the policy there is to be")
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every change, and the proven losses and gains."""
    limit_ms = limit_of(arguments.time_limit)
    before, after = whole(arguments.before), whole(arguments.after)
    start, end = span_of(arguments, after)
    start = near(start) if arguments.start is None else start
    found = compare(before, after, start)
    moved: tuple[PlanDifference, ...] | None = None
    try:
        moved = proven_differences(before, after, start, end, limit_ms=limit_ms)
    except NoSolver as error:
        note(f"Who loses or gains a plan is not proven: {error.problem.way_out}")
    if arguments.json:
        print_json(
            {
                "before": before.digest,
                "after": after.digest,
                "changes": [
                    {
                        "kind": change.kind,
                        "effect": change.effect,
                        "name": change.name,
                        "plans": change.plans,
                        "layer": change.layer,
                        "availability": change.availability,
                        "text": {locale: change_text(before, after, change, locale) for locale in LOCALES},
                        "fields": [
                            {"path": field.path, "before": field.before, "after": field.after}
                            for field in change.fields
                        ],
                    }
                    for change in found.changes
                ],
                "proven": None if moved is None else [difference_document(each) for each in moved],
            }
        )
        return 0
    for change in found.changes:
        sign = "*" if change.availability else " "
        print(f"{sign} {change_text(before, after, change, arguments.locale)}")
    if not found.changes:
        note("They say the same.")
    if moved:
        if found.changes:
            print()
        print_differences(after, moved, arguments.locale)
    return 0

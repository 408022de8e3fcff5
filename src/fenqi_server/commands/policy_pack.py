"""`fenqi policy pack`: the rules of a jurisdiction that a policy can take in, and what they rest on."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from fenqi.policy.compile import compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.pack_reading import cases_of, refuses, summary_of
from fenqi.policy.packs import Pack, shipped_packs, stage_of
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.cli import print_json

__all__ = ["add_pack"]

EXAMPLES = """\
examples:
  fenqi policy pack list                   which packs come with this version
  fenqi policy pack show cn-mainland       its rules and parameters, each with its source
  fenqi policy pack test cn-mainland       play the allowed and the refused case of every rule

A policy takes a pack in by name:

  packs:
  - id: cn-mainland
    version: 2026-11                       # refused where this Fenqi comes with another: read what is new first
    set: {platform_cost_cap: 20%}          # parameters that counsel has settled
    with: [cn.private_cost]                # optional rules to switch on
    without: [cn.blind_box_no_credit]      # rules to leave out
    notices: {cn.pledge_no_credit: pledge} # notices of the policy that tell the public why

A pack is not legal advice. What is marked "unconfirmed" rests on a text that has not been read."""


def add_pack(actions: Any) -> None:
    """Add `pack` and what it can do to `fenqi policy`."""
    parser = actions.add_parser(
        "pack",
        help="the rules of a jurisdiction, to take into a policy",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    acts = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listed = acts.add_parser("list", help="the packs that come with this version")
    listed.add_argument("--json", action="store_true", help="for programs")
    listed.set_defaults(run=run_list)
    for name, said, run in (
        ("show", "a pack's parameters and rules, with their sources", run_show),
        ("test", "play the allowed and the refused case of each rule", run_test),
    ):
        one = acts.add_parser(
            name, help=said, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        one.add_argument("pack", metavar="PACK", help="as `fenqi policy pack list` names it")
        one.add_argument("--json", action="store_true", help="for programs")
        one.set_defaults(run=run)


def run_list(arguments: argparse.Namespace) -> int:
    """Name every shipped pack."""
    summaries = [summary_of(pack) for pack in shipped_packs().values()]
    if arguments.json:
        print_json([{"id": one.id, "version": one.version, "rules": len(one.rules)} for one in summaries])
        return 0
    for one in summaries:
        print(f"{one.id:<14} {one.version}  {len(one.rules):>2} rules  {one.title.en} / {one.title.zh_cn}")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print a pack's parameters and rules."""
    summary = summary_of(_pack(arguments.pack))
    if arguments.json:
        print_json(msgspec.to_builtins(summary))
        return 0
    print(f"{summary.id} {summary.version}: {summary.title.en} / {summary.title.zh_cn}\n\nParameters")
    for parameter in summary.parameters:
        values = ", ".join(text if start is None else f"{text} (dated)" for start, text in parameter.values)
        print(f"  {parameter.id} = {values}{_unread(parameter.confirmed)}\n      {parameter.source}")
    print("\nRules")
    for rule in summary.rules:
        optional = ", optional" if rule.optional else ""
        print(f"  {rule.id}  ({rule.layer}, {rule.reason}{optional}){_unread(rule.confirmed)}")
        for condition in rule.conditions:
            print(f"      {condition}")
        print(f"      {rule.source}{f', {rule.date}' if rule.date else ''}")
    return 0


def run_test(arguments: argparse.Namespace) -> int:
    """Play a pack's cases; 1 where one does not come out as it was worked by hand."""
    pack = _pack(arguments.pack)
    loaded = load_policy(stage_of(pack))
    if loaded.snapshot is None:
        raise BadInput(f"pack {pack.id}", str(loaded.problems[0]), "a stage that can be read")
    policy = compile_policy(loaded.snapshot)
    now = int(clock.system_now().timestamp())
    played = [(case, refuses(policy, case, now)) for case in cases_of(pack, policy)]
    wrong = [case for case, refused in played if refused is not case.refused]
    if arguments.json:
        print_json(
            [{"rule": case.rule, "expected": case.refused, "refused": refused} for case, refused in played]
        )
    else:
        for case in wrong:
            print(f"{case.rule}: the {'refused' if case.refused else 'allowed'} case came out the other way")
        print(
            f"{pack.id} {pack.version}: {len(played) - len(wrong)} of {len(played)} cases as worked by hand"
        )
    return 1 if wrong else 0


def _unread(confirmed: bool) -> str:
    return "" if confirmed else "  [unconfirmed]"


def _pack(name: str) -> Pack:
    packs = shipped_packs()
    if name not in packs:
        raise BadInput("PACK", name, "one of " + ", ".join(packs))
    return packs[name]

"""`fenqi policy prove`: what holds of a policy in every case that can be, with a case for each thing that is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fenqi.calendars import CalendarError, format_instant
from fenqi.checkout.evaluation import offer_facts
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.policy.document import LoadResult, load_policy
from fenqi.policy.facts import EARLIEST, LATEST, FactValue
from fenqi.policy.gains import PlanDifference, differences
from fenqi.policy.proof import Finding, Proof, Witness, case_text, prove
from fenqi.policy.witness import answer_text, facts_text
from fenqi.problems import BadInput
from fenqi.texts import LOCALES
from fenqi_server import clock
from fenqi_server.cli import note, print_json
from fenqi_server.commands.progress import Progress
from fenqi_server.commands.table import print_table

__all__ = [
    "add_options",
    "add_prove",
    "difference_document",
    "print_differences",
    "proven_differences",
    "read",
]

EXAMPLES: Final = """\
examples:
  fenqi policy prove policy/                           rules that do nothing, dead plans, contradictions, gaps
  fenqi policy prove policy/ --against published/      and which plans anybody loses or gains against another policy
  fenqi policy prove policy/ --from 2026-12-01         of that day and all later ones only
  fenqi policy prove policy/ --json | jq '.findings[] | select(.defect) | .sentence.en'

  $ fenqi policy prove policy/
  dead_plan      hean_24 is never offered, in any case at any time: terms.card, promo.card cannot all be met.
                 card.bank is cmb: terms.card blocks
                 card.bank is ccb: promo.card blocks
  shadowed       The rule wallet.age decides nothing: wherever it blocks, law.adult blocks already.
                 customer.age is 16: law.adult blocks
                 customer.age is 15: wallet.age, law.adult block

Every case has been asked of the same rules as a checkout. Where a question takes longer than --time-limit, the answer is
"not proven", and says what. Prices (offer.*) count as anything until a case is found; then as what the plan really costs.

Exit codes: 0 nothing is wrong and all of it is proven; 1 something is, or is not proven; 2 it is not a policy (what can be read
of it is looked at all the same), or the solver is not installed."""

DEFAULT_LIMIT_MS: Final = 2_000
MAX_LIMIT_MS: Final = 600_000


def add_prove(actions: Any) -> None:
    """Add `prove` to what `fenqi policy` can do."""
    parser = actions.add_parser(
        "prove",
        help="find what is wrong with a policy in cases that nobody thought of",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", help="the policy's folder")
    parser.add_argument(
        "--against", metavar="DIR", help="another policy: who loses or gains a plan against it?"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that asks the solver."""
    parser.add_argument("--from", dest="start", metavar="INSTANT", help="of this time on (all time)")
    parser.add_argument("--to", dest="end", metavar="INSTANT", help="up to this time (all time)")
    parser.add_argument(
        "--time-limit",
        metavar="MS",
        default=str(DEFAULT_LIMIT_MS),
        help=f"milliseconds for each question ({DEFAULT_LIMIT_MS})",
    )
    parser.add_argument("--locale", choices=LOCALES, default="en", help="the language of the table (en)")
    parser.add_argument("--json", action="store_true", help="for programs; both languages, whole cases")


def run(arguments: argparse.Namespace) -> int:
    """Prove a policy, and what it changes against another one."""
    limit_ms = limit_of(arguments.time_limit)
    loaded = read(arguments.folder)
    snapshot = loaded.snapshot or loaded.rest
    for problem in loaded.problems:
        note(str(problem))
    if snapshot is None:
        if arguments.json:
            print_json(_document(loaded, None, None, ()))
        return 2
    policy = compile_policy(snapshot, loaded.sets)
    start, end = span_of(arguments, policy)
    against = None if arguments.against is None else whole(arguments.against)
    with Progress("proving", 1) as bar:
        proof = prove(
            policy,
            start=start,
            end=end,
            near=near(start),
            limit_ms=limit_ms,
            price=offer_facts,
            watch=watching(bar),
        )
    moved = () if against is None else proven_differences(against, policy, start, end, limit_ms=limit_ms)
    if arguments.json:
        print_json(_document(loaded, policy, proof, moved))
    else:
        for finding in proof.findings:
            _show(policy, finding, arguments.locale)
        if not proof.findings:
            note(
                f"Nothing is wrong with the {len(policy.rules)} rules of {len(policy.plans)} plans, in any case."
            )
        print_differences(policy, moved, arguments.locale)
    if loaded.problems:
        return 2
    left_open = proof.open or any("unknown" in (each.loses, each.gains) for each in moved)
    return 1 if proof.defects or left_open else 0


def read(name: str) -> LoadResult:
    """The policy in a folder, or what can be read of it."""
    if not Path(name).is_dir():
        raise BadInput("DIR", f"{name}, which is not a folder", "one with *.yaml files")
    return load_policy(name)


def whole(name: str) -> Policy:
    """The policy in a folder, which is to have no problem."""
    loaded = read(name)
    if loaded.snapshot is None:
        for problem in loaded.problems:
            note(f"{name}: {problem}")
        raise BadInput("DIR", name, "a policy", f"`fenqi policy check {name}` says what is wrong")
    return compile_policy(loaded.snapshot, loaded.sets)


def limit_of(given: str) -> int:
    """`--time-limit`."""
    if not given.isdecimal() or not 0 < int(given) <= MAX_LIMIT_MS:
        raise BadInput("--time-limit", given, f"milliseconds, 1 to {MAX_LIMIT_MS}")
    return int(given)


def span_of(arguments: argparse.Namespace, policy: Policy) -> tuple[int, int]:
    """`--from` and `--to`, on the shop's clock."""
    found = []
    for place, given, default in (("--from", arguments.start, EARLIEST), ("--to", arguments.end, LATEST)):
        if given is None:
            found.append(default)
            continue
        try:
            at = parse_instant(given, policy.zone)
        except (ValueTrouble, CalendarError):
            raise BadInput(
                place, given, f"a date or a time in {policy.zone}", "write it like 2026-12-01"
            ) from None
        if not EARLIEST <= at <= LATEST:
            raise BadInput(place, given, "an instant of the years 2000 to 2199")
        found.append(at)
    start, end = found
    if start >= end:
        raise BadInput("--to", arguments.end or arguments.start, "an instant after --from")
    return start, end


def near(start: int) -> int:
    """An instant about which cases are best shown: the present, or the beginning of what is asked about."""
    return max(start, int(clock.system_now().timestamp()))


def watching(bar: Progress) -> Callable[[int, int], bool]:
    """Draws how far it is."""

    def watch(done: int, total: int) -> bool:
        bar.total = max(total, 1)
        bar.to(done)
        return True

    return watch


def proven_differences(
    before: Policy, after: Policy, start: int, end: int, *, limit_ms: int
) -> tuple[PlanDifference, ...]:
    """What anybody loses or gains, plan by plan, with how far it is on standard error."""
    with Progress("comparing", 1) as bar:
        return differences(
            before,
            after,
            start=start,
            end=end,
            near=near(start),
            limit_ms=limit_ms,
            price=offer_facts,
            watch=watching(bar),
        )


# --- for people -------------------------------------------------------------------------------------------------

_INDENT: Final = " " * 17


def _show(policy: Policy, finding: Finding, locale: str) -> None:
    print(f"{finding.kind:<15}  {finding.sentence.in_(locale)}")
    if finding.because:
        print(
            _INDENT
            + ("原因：" if locale == "zh-CN" else "because of: ")
            + ("；" if locale == "zh-CN" else "; ").join(part.in_(locale) for part in finding.because)
        )
    if finding.start is not None or finding.end is not None:
        edges = [
            "" if at is None else format_instant(at, policy.zone, locale)
            for at in (finding.start, finding.end)
        ]
        print(f"{_INDENT}{edges[0]} .. {edges[1]}")
    for witness in finding.witnesses:
        print(_INDENT + case_text(policy, finding, witness, locale))


def print_differences(policy: Policy, moved: tuple[PlanDifference, ...], locale: str) -> None:
    """The plans that somebody loses or gains, or may; and that of the others nobody does."""
    if not moved:
        return
    words = {
        "en": {"yes": "yes", "no": "proven: none", "unknown": "not proven"},
        "zh-CN": {"yes": "有", "no": "已证明没有", "unknown": "未能证明"},
    }[locale]
    heads = {"en": ("plan", "loses", "gains"), "zh-CN": ("方式", "失去", "得到")}[locale]
    print_table(heads, [(each.plan, words[each.loses], words[each.gains]) for each in moved])
    for each in moved:
        for witness, head in ((each.lost, heads[1]), (each.gained, heads[2])):
            if witness is not None:
                print(f"{each.plan} {head}: {_moved_case(policy, witness, locale)}")


def _moved_case(policy: Policy, witness: Witness, locale: str) -> str:
    said = facts_text(policy, witness.facts, set(witness.facts), locale)
    for figures in witness.offers.values():
        said += facts_text(policy, figures, set(figures), locale)
    return f"{', '.join(said)}" + (f" ({answer_text(policy, witness, locale)})" if witness.blocking else "")


# --- for programs -----------------------------------------------------------------------------------------------


def _document(
    loaded: LoadResult, policy: Policy | None, proof: Proof | None, moved: tuple[PlanDifference, ...]
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ok": not loaded.problems and proof is not None and not proof.defects and not proof.open,
        "digest": None if policy is None or loaded.problems else policy.digest,
        "problems": [
            {
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "text": problem.text,
                "message": problem.message,
                "suggestion": problem.suggestion,
            }
            for problem in loaded.problems
        ],
        "findings": [] if proof is None else [_finding(finding) for finding in proof.findings],
        "questions": 0 if proof is None else proof.questions,
    }
    if moved:
        document["against"] = [difference_document(each) for each in moved]
    return document


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "defect": finding.defect,
        "sentence": {locale: finding.sentence.in_(locale) for locale in LOCALES},
        "rules": finding.rules,
        "plans": finding.plans,
        "family": finding.family,
        "because": [{locale: part.in_(locale) for locale in LOCALES} for part in finding.because],
        "low_minor": finding.low_minor,
        "high_minor": finding.high_minor,
        "from": finding.start,
        "to": finding.end,
        "cases": [_witness(witness) for witness in finding.witnesses],
    }


def _witness(witness: Witness) -> dict[str, Any]:
    return {
        "facts": _plain(witness.facts),
        "offers": {plan: _plain(figures) for plan, figures in witness.offers.items()},
        "blocking": witness.blocking,
        "offered": witness.offered,
    }


def _plain(facts: dict[str, FactValue]) -> dict[str, Any]:
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in sorted(facts.items())
    }


def difference_document(each: PlanDifference) -> dict[str, Any]:
    """What is lost and gained of one plan: "yes" with a case, "no" where it is proven, or "unknown"."""
    return {
        "plan": each.plan,
        "loses": each.loses,
        "gains": each.gains,
        "sentences": [{locale: text.in_(locale) for locale in LOCALES} for text in each.sentences],
        "lost": None if each.lost is None else _witness(each.lost),
        "gained": None if each.gained is None else _witness(each.gained),
    }

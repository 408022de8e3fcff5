"""`fenqi policy simulate`: what a change of policy would have done to recorded checkouts, before it is published."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fenqi.calendars import CalendarError
from fenqi.money import format_money
from fenqi.policy.conditions import ValueTrouble, parse_instant
from fenqi.policy.facts import EARLIEST, LATEST
from fenqi.problems import BadInput
from fenqi.terms.disclosure import percent
from fenqi.texts import LOCALES, Text
from fenqi_server.cli import note, print_json
from fenqi_server.commands.policy_folder import compiled
from fenqi_server.commands.progress import Progress
from fenqi_server.commands.table import print_table

if TYPE_CHECKING:
    import polars as pl

    from fenqi.checkout.simulation import CostChange, PlanDifference, RuleCount, Simulation, Tally, Witness

__all__ = ["add_simulate", "read_table"]

EXAMPLES: Final = """\
examples:
  fenqi policy simulate --before published/ --after policy/ --checkouts week.parquet
  fenqi policy simulate --before published/ --after policy/ --checkouts week.parquet --at 2026-12-01T00:00
  fenqi policy simulate --before published/ --after policy/ --checkouts carts.csv --segment channel.kind --segment customer.student
  fenqi policy simulate --before published/ --after policy/ --checkouts carts.jsonl --json | jq '.plans[] | select(.lost.carts > 0)'

  $ fenqi policy simulate --before published/ --after policy/ --checkouts week.parquet
  plan     offered before  offered after  gained  lost  changed  total to pay  yearly cost
  mall_12          40,131         38,207     211  2,135   37,996        +¥31.07   +0.47 pp

  mall_12, lost: 2,135 checkouts, ¥9,120,000.00
    law.adult stands in the way of 2,135; of 1,990 nothing else does
    customer.tier: 1: 1,204 of 8,000; 2: 931 of 7,000
    such as dc_7f3k (¥4,999.00): available, now unavailable because of law.adult

FILE is .parquet, .csv or .jsonl: a row for each checkout, a column for each fact that was recorded, named as in the policy
(cart.amount in minor units). clock.now is needed: epoch seconds, or text with an offset. decision names the rows. An empty cell
is unknown. In text a set is written gold|phones, and [] where it is empty. A column whose name begins with _ is left aside.
`fenqi decisions export` writes such a file from the service's log.

This is no forecast: customers who left are not in the file, and nobody is asked what they would have chosen instead. Needs
pip install 'fenqi[simulate]'. Exit codes: 0 simulated, 2 bad input."""

MAX_SEGMENTS: Final = 20


def add_simulate(actions: Any) -> None:
    """Add `simulate` to what `fenqi policy` can do."""
    parser = actions.add_parser(
        "simulate",
        help="what a change would have done to recorded checkouts",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", required=True, metavar="DIR", help="the folder of the policy there is")
    parser.add_argument(
        "--after", required=True, metavar="DIR", help="the folder of the policy there is to be"
    )
    parser.add_argument(
        "--checkouts", required=True, metavar="FILE", help="recorded checkouts: .parquet, .csv, .jsonl"
    )
    parser.add_argument(
        "--at",
        metavar="INSTANT",
        help="ask all of them at this time, on the shop's clock (each at its own)",
    )
    parser.add_argument(
        "--segment",
        action="append",
        metavar="FACT",
        help="tell apart by this fact; may be given again (channel.kind, region.ship_to, customer.tier)",
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="take facts and values that neither policy knows as unknown, and count them, instead of refusing the file",
    )
    parser.add_argument("--locale", choices=LOCALES, default="en", help="the language of the table (en)")
    parser.add_argument("--json", action="store_true", help="for programs: every count, segment and witness")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what differs; 2 where a folder is no policy."""
    # First of all: without the extra there is nothing to do.
    from fenqi.checkout.simulation import simulate
    from fenqi.policy.columns import ColumnsError, both_vocabularies, checkouts_of

    if arguments.segment is not None and len(arguments.segment) > MAX_SEGMENTS:
        raise BadInput("--segment", f"{len(arguments.segment)} facts", f"at most {MAX_SEGMENTS}")
    before = compiled(arguments.before, as_json=arguments.json)
    after = before and compiled(arguments.after, as_json=arguments.json)
    if before is None or after is None:
        return 2
    at = None if arguments.at is None else _instant(arguments.at, after.zone)
    table = read_table(arguments.checkouts)
    try:
        checkouts = checkouts_of(
            table, both_vocabularies(before, after), after.zone, lenient=arguments.lenient
        )
    except ColumnsError as error:
        problem = error.problem
        place = f"{arguments.checkouts}: {problem.place}"
        raise BadInput(place, problem.value, problem.expected, problem.way_out) from None
    del table
    with Progress("simulating", len(checkouts)) as bar:
        found = simulate(
            before,
            after,
            checkouts,
            at=at,
            segments=arguments.segment,
            progress=lambda done, _of: bar.to(done),
        )
    if arguments.json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found, arguments.locale)
    return 0


def read_table(name: str) -> pl.DataFrame:
    """The table in a file, as it stands there: text stays text until its fact's type is known."""
    import polars as pl

    path = Path(name)
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv", ".jsonl", ".ndjson"):
        raise BadInput("--checkouts", name, "a .parquet, .csv or .jsonl file")
    try:
        if kind == ".parquet":
            found = pl.read_parquet(path)
        elif kind == ".csv":
            found = pl.read_csv(path, infer_schema=False)
        else:
            found = pl.read_ndjson(path, infer_schema_length=None)
    except OSError as error:
        raise BadInput("--checkouts", name, f"a file that can be read ({error.strerror or error})") from None
    except pl.exceptions.PolarsError as error:
        raise BadInput("--checkouts", name, f"a {kind} file: {str(error).splitlines()[0]}") from None
    if not found.height:
        raise BadInput("--checkouts", f"{name}, which has no rows", "a row for each checkout")
    return found


def _instant(given: str, zone: str) -> int:
    try:
        at = parse_instant(given, zone)
    except ValueTrouble as trouble:
        raise BadInput("--at", given, f"a date or a time in {zone}", trouble.suggestion) from None
    except CalendarError:
        raise BadInput("--at", given, "an instant of the years 2000 to 2199") from None
    if not EARLIEST <= at < LATEST:
        raise BadInput("--at", given, "an instant of the years 2000 to 2199")
    return at


# --- for people ------------------------------------------------------------------------------------------------

_HEADS: Final = {
    "en": (
        "plan",
        "offered before",
        "offered after",
        "gained",
        "lost",
        "changed",
        "total to pay",
        "yearly cost",
    ),
    "zh-CN": ("方式", "原可用", "现可用", "得到", "失去", "变价", "总支付额", "年化成本"),
}
_WORDS: Final = {
    "same": Text("没有任何变化。", "Nothing comes out otherwise."),
    "unchanged": Text("没有变化：{plans}", "unchanged: {plans}"),
    "gained": Text("{plan} 得到：{carts} 笔，{amount}", "{plan}, gained: {carts} checkouts, {amount}"),
    "lost": Text("{plan} 失去：{carts} 笔，{amount}", "{plan}, lost: {carts} checkouts, {amount}"),
    "changed": Text("{plan} 变价：{carts} 笔，{amount}", "{plan}, changed: {carts} checkouts, {amount}"),
    "blocks": Text(
        "{rule} 挡住其中 {carts} 笔，其中 {alone} 笔仅因此",
        "{rule} stands in the way of {carts}; of {alone} nothing else does",
    ),
    "blocked": Text(
        "{rule} 原先挡住其中 {carts} 笔，其中 {alone} 笔仅因此",
        "{rule} stood in the way of {carts}; of {alone} nothing else did",
    ),
    "price": Text("价格条款", "the plan's own terms"),
    "totals": Text(
        "总支付额平均 {mean}（{least} 至 {most}），{dearer} 笔变贵，{cheaper} 笔变便宜",
        "total to pay {mean} on average ({least} to {most}), dearer for {dearer}, cheaper for {cheaper}",
    ),
    "annual": Text(
        "年化成本平均 {mean} 个百分点（{least} 至 {most}）",
        "yearly cost {mean} points on average ({least} to {most})",
    ),
    "witness_gained": Text(
        "例如 {name}（{amount}）：原因 {rules} 为{before}，现为{after}",
        "such as {name} ({amount}): {before} because of {rules}, now {after}",
    ),
    "witness_lost": Text(
        "例如 {name}（{amount}）：原为{before}，现因 {rules} 为{after}",
        "such as {name} ({amount}): {before}, now {after} because of {rules}",
    ),
    "witness_changed": Text(
        "例如 {name}（{amount}）：总支付额由 {before} 变为 {after}",
        "such as {name} ({amount}): {before} to pay, now {after}",
    ),
    "witness_plain": Text(
        "例如 {name}（{amount}）：原为{before}，现为{after}",
        "such as {name} ({amount}): {before}, now {after}",
    ),
    "value": Text("{value}：{size} 笔中 {carts} 笔", "{value}: {carts} of {size}"),
    "not_known": Text("未知", "unknown"),
    "instalments": Text(
        "没有任何分期方式：原 {before} 笔，现 {after} 笔（共 {carts} 笔）",
        "no instalments at all: {before} before, {after} after, of {carts}",
    ),
    "rows": Text(
        "{plan} 的价格无法成列计算，逐个算了 {amounts} 个金额",
        "{plan} was priced one by one, for {amounts} amounts: columns do not know its terms",
    ),
    "unknown": Text(
        "{fact}：{count} 个值不在规则词表中，按未知处理",
        "{fact}: {count} values that neither policy knows count as unknown",
    ),
}
_STATES: Final = {
    "available": Text("可用", "available"),
    "funder_decides": Text("由资方决定", "the funder decides"),
    "pending": Text("等待中", "pending"),
    "unavailable": Text("不可用", "unavailable"),
    None: Text("没有该方式", "no such plan"),
}
_MOST_VALUES: Final = 6
_MOST_WITNESSES: Final = 2


def _show(found: Simulation, locale: str) -> None:
    def say(word: str, **gaps: object) -> str:
        return _WORDS[word].in_(locale).format(**gaps)

    for plan, amounts in found.priced_by_rows.items():
        note(say("rows", plan=plan, amounts=f"{amounts:,}"))
    for fact, count in found.unknown_made.items():
        note(say("unknown", fact=fact, count=f"{count:,}"))
    differing = [plan for plan in found.plans if plan.differs]
    if not differing:
        print(say("same"))
        return
    print_table(_HEADS[locale], [_line(plan, found.currency) for plan in differing], right=tuple(range(1, 8)))
    same = [plan.plan for plan in found.plans if not plan.differs]
    if same:
        print(say("unchanged", plans=", ".join(same)))
    print(
        say(
            "instalments",
            before=f"{found.without_before.carts:,}",
            after=f"{found.without_after.carts:,}",
            carts=f"{found.carts.carts:,}",
        )
    )
    for plan in differing:
        for name, tally, rules, witnesses in (
            ("gained", plan.gained, plan.freed_from, plan.gained_witnesses),
            ("lost", plan.lost, plan.blocked_by, plan.lost_witnesses),
            ("changed", plan.changed, (), plan.changed_witnesses),
        ):
            if tally.carts:
                _show_part(found, plan, name, tally, rules, witnesses, locale)


def _line(plan: PlanDifference, currency: str) -> list[str]:
    counts = (plan.offered_before, plan.offered_after, plan.gained, plan.lost, plan.changed)
    cost = plan.cost
    total = "" if cost is None else _signed_money(cost.total_mean_minor, currency)
    yearly = (
        "" if cost is None or cost.annual_mean_e12 is None else f"{_signed_points(cost.annual_mean_e12)} pp"
    )
    return [plan.plan, *(f"{tally.carts:,}" for tally in counts), total, yearly]


def _show_part(
    found: Simulation,
    plan: PlanDifference,
    name: str,
    tally: Tally,
    rules: tuple[RuleCount, ...],
    witnesses: tuple[Witness, ...],
    locale: str,
) -> None:
    currency = found.currency

    def say(word: str, **gaps: object) -> str:
        return _WORDS[word].in_(locale).format(**gaps)

    money = format_money(tally.amount_minor, currency)
    print("\n" + say(name, plan=plan.plan, carts=f"{tally.carts:,}", amount=money))
    for rule in rules:
        line = say(
            "blocks" if name == "lost" else "blocked",
            rule=rule.rule or _WORDS["price"].in_(locale),
            carts=f"{rule.carts:,}",
            alone=f"{rule.alone:,}",
        )
        print(f"  {line}")
    if name == "changed" and plan.cost is not None:
        _show_cost(plan.cost, currency, locale)
    sizes = {(size.fact, size.value): size.carts for size in found.segments}
    by_fact: dict[str, list[tuple[int, str]]] = {}
    for segment in plan.segments:
        carts = getattr(segment, name).carts
        if carts:
            value = say("not_known") if segment.value is None else segment.value
            size = f"{sizes[segment.fact, segment.value]:,}"
            by_fact.setdefault(segment.fact, []).append(
                (-carts, say("value", value=value, carts=f"{carts:,}", size=size))
            )
    for fact, values in by_fact.items():
        shown = [text for _, text in sorted(values)[:_MOST_VALUES]]
        print(f"  {fact}: {'; '.join(shown)}{'; …' if len(values) > _MOST_VALUES else ''}")
    for witness in witnesses[:_MOST_WITNESSES]:
        gaps = {
            "name": witness.decision,
            "amount": format_money(witness.amount_minor, currency),
            "rules": ", ".join(rule or say("price") for rule in witness.rules),
            "before": _STATES[witness.before].in_(locale),
            "after": _STATES[witness.after].in_(locale),
        }
        word = f"witness_{name}" if witness.rules or name == "changed" else "witness_plain"
        if name == "changed":
            gaps["before"] = _money(witness.total_before_minor, currency)
            gaps["after"] = _money(witness.total_after_minor, currency)
        print(f"  {say(word, **gaps)}")


def _money(minor: int | None, currency: str) -> str:
    return "" if minor is None else format_money(minor, currency)


def _show_cost(cost: CostChange, currency: str, locale: str) -> None:
    print(
        "  "
        + _WORDS["totals"]
        .in_(locale)
        .format(
            mean=_signed_money(cost.total_mean_minor, currency),
            least=_signed_money(cost.total_least_minor, currency),
            most=_signed_money(cost.total_most_minor, currency),
            dearer=f"{cost.dearer:,}",
            cheaper=f"{cost.cheaper:,}",
        )
    )
    figures = (cost.annual_mean_e12, cost.annual_least_e12, cost.annual_most_e12)
    mean, least, most = ("" if figure is None else _signed_points(figure) for figure in figures)
    if mean:
        print("  " + _WORDS["annual"].in_(locale).format(mean=mean, least=least, most=most))


def _signed_money(minor: int, currency: str) -> str:
    return ("+" if minor > 0 else "") + format_money(minor, currency)


def _signed_points(rate_e12: int) -> str:
    shown = percent(rate_e12)
    return shown if rate_e12 <= 0 or shown == "0.00" else f"+{shown}"

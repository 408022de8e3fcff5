"""`fenqi policy explain`: why is a way to pay missing, in full?

Every clause that fails with what was found and what is asked for, since when, until when, the nearest change that the customer could
make, what to use instead, and the notice. For whoever writes a policy: nothing is kept back here, generic rules included.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from fenqi.calendars import CalendarError, from_epoch
from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.explanation import ExplanationDocument, explain, explanation_document
from fenqi.checkout.request import CheckoutRequest, Line, read_request
from fenqi.money import format_money
from fenqi.policy.compile import Policy
from fenqi.policy.conditions import ValueTrouble, parse_fact_value, parse_instant
from fenqi.policy.facts import VOCABULARY, FactType, FactValue, check_facts, freeze_facts
from fenqi.problems import BadInput
from fenqi.texts import LOCALES
from fenqi_server import clock
from fenqi_server.cli import note, print_json
from fenqi_server.commands.policy_folder import compiled
from fenqi_server.commands.policy_snapshot import file_bytes
from fenqi_server.commands.table import print_table

__all__ = ["add_explain"]

MAX_FACTS_BYTES: Final = 1_000_000
_OFFERED: Final = ("available", "funder_decides")
_MADE: Final = frozenset({"cart.line_count", "cart.currency", "cart.skus", "customer.last_used_family"})

EXPLANATIONS: Final = """\
examples:
  fenqi policy explain policy/ facts.json                       every plan that is missing, and why
  fenqi policy explain policy/ facts.json --plan mall_12        one plan, offered or not
  fenqi policy explain policy/ facts.json --at 2026-11-23T02:00 --locale zh-CN
  fenqi policy explain policy/ examples/phone.json --json       a whole request, as `fenqi evaluate` takes it; for programs

Facts, as people write them (what is not said of the cart is one line of ordinary goods; what is not said otherwise is unknown):
  {"cart.amount": "¥6,000", "cart.kinds": ["goods"], "customer.age": 17, "card.bank": "ccb", "cart.has_coupon": true}

Exit codes: 0 answered, 2 the facts or the policy are wrong."""


def add_explain(actions: Any) -> None:
    """Add `explain` to what `fenqi policy` can do."""
    parser = actions.add_parser(
        "explain",
        help="why is a way to pay missing?",
        description=__doc__,
        epilog=EXPLANATIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", help="the policy's folder")
    parser.add_argument("facts", metavar="FACTS.json", help="facts by name, or a whole request")
    parser.add_argument("--plan", action="append", metavar="ID", help="this plan; may stand several times")
    parser.add_argument(
        "--at", metavar="INSTANT", help="when, on the shop's clock (now, or what the request says)"
    )
    parser.add_argument("--locale", choices=LOCALES, default="en", help="the language (en)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run_explain)


def run_explain(arguments: argparse.Namespace) -> int:
    """Print why plans are missing; 2 where the folder is no policy."""
    policy = compiled(arguments.folder, as_json=arguments.json)
    if policy is None:
        return 2
    plans = arguments.plan
    for plan in plans or ():
        if plan not in policy.plan_index:
            raise BadInput("--plan", plan, "one of " + ", ".join(policy.plan_index))
    request = _request(policy, file_bytes(arguments.facts, "FACTS.json", MAX_FACTS_BYTES), arguments.at)
    evaluation = evaluate(policy, request)
    found = [
        explanation_document(policy, each, arguments.locale)
        for each in explain(policy, request, evaluation, plans)
    ]
    if arguments.json:
        print_json(
            {
                "policy": policy.digest,
                "at": from_epoch(request.at, policy.zone).isoformat(),
                "offered": [option.plan for option in evaluation.offers],
                "explained": msgspec.to_builtins(found),
            }
        )
        return 0
    for each in found:
        _print(policy, each)
    offered = ", ".join(option.plan for option in evaluation.offers) or "none"
    note(f"offered: {offered}")
    return 0


def _print(policy: Policy, one: ExplanationDocument) -> None:
    until = one.until.at or {"unknown": "nobody knows when", "none": "not by itself"}.get(one.until.kind, "")
    opens = "" if one.state in _OFFERED else f", opens: {until}"
    print(f"{one.plan} ({one.name}): {one.state}{opens}")
    rows = []
    for reason in one.reasons:
        ends = reason.until.at or reason.until.kind
        what = reason.code + ("*" if reason.generic else "")
        first = (what, reason.rule, reason.since or "", ends)
        sentences = [clause.sentence for clause in reason.clauses] or [reason.title]
        rows.append((*first, sentences[0]))
        rows += [("", "", "", "", sentence) for sentence in sentences[1:]]
    if rows:
        print_table(("reason", "rule", "since", "until", "found and asked for"), rows)
    if any(reason.generic for reason in one.reasons):
        print("* a customer is told general words, and no particulars")
    for name, value in (
        ("nearest change", one.nearest or ("" if one.state in _OFFERED else "none")),
        ("ask for", ", ".join(one.asks)),
        ("notice", ", ".join(dict.fromkeys(reason.notice for reason in one.reasons if reason.notice))),
        ("special case", ", ".join(one.special_cases)),
        (
            "instead",
            "; ".join(
                each.plan
                if each.difference_minor is None
                else f"{each.plan} ({'+' if each.difference_minor >= 0 else '-'}"
                f"{format_money(abs(each.difference_minor), policy.currency)})"
                for each in one.alternatives
            ),
        ),
    ):
        if value:
            print(f"{name}: {value}")
    print()


# --- facts as people write them --------------------------------------------------------------------------------------


def _request(policy: Policy, data: bytes, at: str | None) -> CheckoutRequest:
    """A request: as it is written, or made of facts."""
    try:
        written = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput("FACTS.json", str(error), "a JSON document") from None
    if not isinstance(written, dict):
        raise BadInput("FACTS.json", type(written).__name__, 'facts by name, such as {"customer.age": 17}')
    instant = None if at is None else _instant(policy, at)
    if "lines" in written:
        if instant is not None:
            written["at"] = from_epoch(instant, policy.zone).isoformat()
        return read_request(written, policy)
    now = int(clock.system_now().timestamp()) if instant is None else instant
    return _of_facts(policy, _typed(policy, written), now)


def _instant(policy: Policy, at: str) -> int:
    try:
        return parse_instant(at, policy.zone)
    except (ValueTrouble, CalendarError):
        raise BadInput("--at", at, f"a time in {policy.zone}", "write it like 2026-11-23T10:00") from None


def _typed(policy: Policy, written: Mapping[str, Any]) -> dict[str, FactValue]:
    """The facts with their types: an amount may be written ¥6,000, a rate 24%, a truth yes."""
    found: dict[str, object] = {}
    for name, value in freeze_facts(written).items():
        fact = policy.vocabulary.get(name)
        text = isinstance(value, str) and fact is not None and fact.type not in ("text", "enum", "set")
        found[name] = _read(policy, fact, str(value)) if text and fact is not None else value
    for problem in check_facts(policy.vocabulary, found):
        raise BadInput(problem.place, problem.value, problem.expected, problem.way_out)
    for name in found:
        if name.startswith(("offer.", "clock.")) or name in _MADE - {"customer.last_used_family"}:
            raise BadInput(name, str(found[name]), "to be left out", "it follows from the order and the time")
    return found  # type: ignore[return-value]  # check_facts has just looked at every value


def _read(policy: Policy, fact: FactType, text: str) -> FactValue:
    try:
        return parse_fact_value(fact, text, policy.currency, policy.zone)
    except ValueTrouble as trouble:
        raise BadInput(
            fact.name, text, f"a value of its type: {trouble.message}", trouble.suggestion
        ) from None
    except CalendarError as error:
        raise BadInput(fact.name, text, error.problem.expected) from None


def _of_facts(policy: Policy, facts: Mapping[str, FactValue], at: int) -> CheckoutRequest:
    """An order whose facts are these: as many lines as it takes, and the whole amount in the first."""
    amount = facts.get("cart.amount")
    if type(amount) is not int:
        raise BadInput("cart.amount", "missing", "the order's amount", 'write "cart.amount": "¥6,000"')
    names = {
        name: sorted(value) if isinstance(value := facts.get(name), frozenset) and value else [usual]
        for name, usual in (
            ("cart.categories", "goods"),
            ("cart.kinds", "goods"),
            ("cart.sellers", policy.shop.id or "shop"),
        )
    }
    count = max(map(len, names.values()))
    lines = tuple(
        Line(
            f"line-{number + 1}",
            f"line {number + 1}",
            _at(names["cart.categories"], number),
            _at(names["cart.kinds"], number),
            1,
            0 if number else amount,
            _at(names["cart.sellers"], number),
        )
        for number in range(count)
    )
    ship_to, family = facts.get("region.ship_to"), facts.get("customer.last_used_family")
    return CheckoutRequest(
        lines,
        policy.currency,
        str(facts.get("channel.kind", "web")),
        at,
        {name: value for name, value in facts.items() if not _is_of_request(name)},
        last_used_family=family if isinstance(family, str) else None,
        coupon="coupon" if facts.get("cart.has_coupon") else None,
        ship_to=ship_to if isinstance(ship_to, str) else None,
    )


def _is_of_request(name: str) -> bool:
    """Whether a fact is one that a request's own fields bring."""
    known = VOCABULARY.get(name)
    return known is not None and (known.source in ("cart", "channel", "clock") or name in _MADE)


def _at(names: Sequence[str], number: int) -> str:
    return names[number % len(names)]

"""The engine's other questions: a decision alone, one under many rules, why something is missing, and a policy's arrival.

Carts are drawn anew for each run, so that what is measured is the mean over carts of all kinds and not one that is remembered.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator
from itertools import cycle
from random import Random

import msgspec

from benchmarks.engine import FACTS, START_AT, bench_policy, request_number, times_ns
from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.explanation import explain
from fenqi.checkout.request import CheckoutRequest, Line, cart_facts
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import All, Any, Clause, Condition, Not, Range, parse_instant
from fenqi.policy.facts import FactValue, clock_facts
from fenqi.policy.signing import encode_signed, load, private_key, public_key, sign
from fenqi.policy.snapshot import Rule
from fenqi.policy.verdict import decide

__all__ = ["decide_1800", "decide_alone", "explain_mean", "random_request", "snapshot_load"]

# A noon at which no window of the bench's policy is open.
QUIET_AT = parse_instant("2026-12-05T12:00", "Asia/Shanghai")
MANY_RULES = 1_800
CARTS = 512
REPEATS = 5


def decide_alone() -> Iterator[dict[str, object]]:
    """Microseconds of one decision over all plans where nothing is in the way: the compiled rules and the plans' masks."""
    policy = bench_policy()
    facts = _facts(policy, QUIET_AT)
    if not all(verdict.offered for verdict in decide(policy, facts[0]).values()):
        raise SystemExit("something is in the way of a plan: expected none")
    times = times_ns(lambda number: decide(policy, facts[number % CARTS]))
    yield {
        "name": "decide.alone",
        "value": round(statistics.median(times) / 1000, 1),
        "unit": "us",
        "plans": len(policy.plans),
        "rules": len(policy.rules),
    }


def decide_1800() -> Iterator[dict[str, object]]:
    """Microseconds of one decision under 1,800 rules, four plans blocked with all their reasons."""
    few = bench_policy()
    policy = many_rules(few, MANY_RULES)
    facts = _facts(policy, START_AT)
    answer, known = decide(policy, facts[0]), decide(few, facts[0])
    blocked = [plan for plan, verdict in answer.items() if not verdict.offered]
    if len(blocked) != 4 or {p: v.state for p, v in answer.items()} != {p: v.state for p, v in known.items()}:
        raise SystemExit(
            f"{len(blocked)} plans are blocked: expected the four that the bench's policy blocks"
        )
    times = times_ns(lambda number: decide(policy, facts[number % CARTS]))
    yield {
        "name": "decide_1800.p50",
        "value": round(statistics.median(times) / 1000, 1),
        "unit": "us",
        "plans": len(policy.plans),
        "blocked": len(blocked),
        "rules": len(policy.rules),
    }


def explain_mean() -> Iterator[dict[str, object]]:
    """Microseconds a blocked plan: every failing clause, since when, until when, the nearest change, what instead."""
    policy = bench_policy()
    chance = Random(1)
    requests = [random_request(chance) for _ in range(CARTS)]
    known = [evaluate(policy, request) for request in requests]
    blocked = sum(not option.offered for evaluation in known for option in evaluation.options)
    changes = 0
    for request, evaluation in zip(requests, known, strict=True):
        changes += sum(each.nearest is not None for each in explain(policy, request, evaluation))
    gc.collect()
    spent = 0
    for request, evaluation in zip(requests, known, strict=True):
        facts = evaluation.facts
        # The quickest of a few: the mean is to be of the work, not of what else the machine had to do.
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter_ns()
            # The verdicts anew, since theirs are the clauses and the dates; then the search for a change.
            decide(policy, facts)
            explain(policy, request, evaluation)
            times.append(time.perf_counter_ns() - began)
        spent += min(times)
    yield {
        "name": "explain.mean",
        "value": round(spent / blocked / 1000, 1),
        "unit": "us",
        "blocked": blocked,
        "with_a_change": changes,
        "carts": CARTS,
    }


def snapshot_load() -> Iterator[dict[str, object]]:
    """Milliseconds from a signed file's bytes to a policy that decides: verified, read, compiled."""
    policy = bench_policy()
    key = private_key(bytes(32))
    data, trusted = encode_signed(sign(policy.snapshot, policy.sets, key)), [public_key(key)]
    times = []
    for _ in range(50):
        began = time.perf_counter_ns()
        loaded = load(data, trusted)
        times.append(time.perf_counter_ns() - began)
        if loaded.digest != policy.digest:
            raise SystemExit("the file holds another policy")
    yield {
        "name": "snapshot.load",
        "value": round(statistics.median(times) / 1_000_000, 1),
        "unit": "ms",
        "rules": len(policy.rules),
        "bytes": len(data),
    }


def _facts(policy: Policy, at: int) -> list[dict[str, FactValue]]:
    return [
        {**FACTS, **cart_facts(request_number(n), 400_000 + n), **clock_facts(at + n, policy.zone)}
        for n in range(CARTS)
    ]


def random_request(chance: Random) -> CheckoutRequest:
    """A cart of any kind: small or large, with or without a coupon, of a customer of whom more or less is known."""
    facts: dict[str, FactValue] = {
        **FACTS,
        "customer.age": chance.choice((16, 22, 34, 71)),
        "customer.student": chance.random() < 0.1,
        "customer.signed_in": chance.random() < 0.8,
        "card.bank": chance.choice(("east", "north", "other")),
        "card.kind": chance.choice(("credit", "debit")),
        "limit.mall_available": chance.choice((100_000, 1_500_000)),
        "funder.lender.prequal": chance.choice(("approved", "declined")),
        "region.ship_to": chance.choice(("SH", "SH", "XZ")),
    }
    for name in chance.sample(sorted(facts), chance.choice((0, 0, 2))):
        del facts[name]
    lines = [Line("phone", "Phone", "phones", "goods", 1, chance.randrange(10_000, 1_500_000), "mall")]
    if chance.random() < 0.1:
        lines.append(Line("box", "Box", "toys", "blind_box", 1, 9_900, "mall"))
    return CheckoutRequest(
        tuple(lines),
        "CNY",
        chance.choice(("web", "app", "store")),
        START_AT + chance.randrange(86_400 * 20),
        facts,
        last_used_family="mall",
        coupon="c" if chance.random() < 0.3 else None,
        ship_to="SH",
    )


def many_rules(policy: Policy, count: int) -> Policy:
    """The policy with so many rules: its own again and again, each a little laxer, so that none says more than before."""
    snapshot = policy.snapshot
    rules = list(snapshot.rules)
    plain = [
        rule for rule in rules if rule.blocked is None and rule.daily is None and rule.require is not None
    ]
    for number, rule in enumerate(cycle(plain)):
        if len(rules) + len(policy.rules) - len(snapshot.rules) >= count:
            break
        rules.append(_laxer(rule, number))
    return compile_policy(msgspec.structs.replace(snapshot, rules=tuple(rules)), policy.sets)


def _laxer(rule: Rule, number: int) -> Rule:
    assert rule.require is not None, "only such are taken"
    return msgspec.structs.replace(rule, id=f"{rule.id}.{number}", require=_eased(rule.require, number))


def _eased(condition: Condition, number: int) -> Condition:
    if isinstance(condition, Clause):
        value = condition.value
        if type(value) is int and condition.op in (">=", ">"):
            value -= number
        elif type(value) is int and condition.op in ("<=", "<"):
            value += number
        elif isinstance(value, Range) and condition.op == "in" and not condition.open_end:
            value = Range(value.low - number, value.high + number)
        elif isinstance(value, frozenset) and condition.op in ("in", "has any of"):
            value = value | {f"more_{number}"}
        return msgspec.structs.replace(condition, value=value)
    if isinstance(condition, Not):
        return condition
    parts = tuple(_eased(part, number) for part in condition.parts)
    return All(parts) if isinstance(condition, All) else Any(parts)

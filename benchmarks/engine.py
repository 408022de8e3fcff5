"""The engine in process: one decision, and one whole evaluation.

Every run gets another amount and another second, so that nothing but what holds for any cart can be remembered.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.request import CheckoutRequest, Line, cart_facts
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import parse_instant
from fenqi.policy.document import load_policy
from fenqi.policy.facts import FactValue, clock_facts
from fenqi.policy.verdict import decide

__all__ = [
    "FACTS",
    "POLICY_FOLDER",
    "START_AT",
    "bench_policy",
    "decide_p50",
    "evaluate_quantiles",
    "request_number",
    "times_ns",
]

POLICY_FOLDER = Path(__file__).parent / "policy"
RUNS = 20_000
WARM_UP = 2_000

# 22:10 in the shop: the maintenance and the pause of the bench's policy are on.
START_AT = parse_instant("2026-11-23T22:10", "Asia/Shanghai")

FACTS: dict[str, FactValue] = {
    "customer.signed_in": True,
    "customer.age": 34,
    "customer.student": False,
    "customer.real_name_verified": True,
    "customer.account_days": 800,
    "customer.tier": 2,
    "customer.consents": frozenset({"lender"}),
    "customer.overdue": False,
    "limit.mall": 2_000_000,
    "limit.mall_available": 1_500_000,
    "card.bank": "other",
    "card.kind": "credit",
    "region.ship_to": "SH",
    "funder.lender.prequal": "approved",
    **{f"funder.{name}.health": "up" for name in ("wallet", "east", "north", "lender", "acquirer")},
}


def bench_policy() -> Policy:
    """The compiled policy of the measurements."""
    loaded = load_policy(POLICY_FOLDER)
    if loaded.snapshot is None:
        raise SystemExit("\n".join(map(str, loaded.problems)))
    return compile_policy(loaded.snapshot, loaded.sets)


def request_number(number: int) -> CheckoutRequest:
    """The cart of one run: two lines, another price and another second each time."""
    lines = (
        Line("phone", "Phone", "phones", "goods", 1, 300_000 + number * 7 % 400_000, "mall"),
        Line("case", "Case", "accessories", "goods", 1 + number % 2, 9_900, "mall"),
    )
    return CheckoutRequest(lines, "CNY", "web", START_AT + number % 3_000, FACTS, last_used_family="mall")


def check_shape(policy: Policy) -> dict[str, object]:
    """What is measured has to be what is claimed: ten plans, four of them blocked with a date and alternatives."""
    answer = evaluate(policy, request_number(0))
    blocked = [option for option in answer.options if not option.offered]
    if len(answer.options) != 10 or len(blocked) != 4:
        raise SystemExit(f"{len(answer.options)} plans, {len(blocked)} blocked: expected 10 and 4")
    if not all(option.verdict.until.at and option.alternatives for option in blocked):
        raise SystemExit("a blocked plan has no date or no alternative")
    if not all(option.disclosure for option in answer.offers):
        raise SystemExit("an offer has no disclosure")
    return {"plans": 10, "blocked": 4, "rules": len(policy.rules), "runs": RUNS}


def times_ns(run: Callable[[int], object]) -> list[int]:
    for number in range(WARM_UP):
        run(number)
    times: list[int] = []
    now = time.perf_counter_ns
    gc.collect()
    for number in range(RUNS):
        began = now()
        run(number)
        times.append(now() - began)
    times.sort()
    return times


def decide_p50() -> Iterator[dict[str, object]]:
    """Microseconds of one decision over all plans, from facts at hand, every reason included."""
    policy = bench_policy()
    shape = check_shape(policy)
    facts = [
        {**FACTS, **cart_facts(request_number(n), 400_000 + n), **clock_facts(START_AT + n, policy.zone)}
        for n in range(512)
    ]
    times = times_ns(lambda number: decide(policy, facts[number % 512]))
    yield {"name": "decide.p50", "value": round(statistics.median(times) / 1000, 1), "unit": "us", **shape}


def evaluate_quantiles() -> Iterator[dict[str, object]]:
    """Microseconds of one whole evaluation: checked, priced, decided, disclosed, laid out, with alternatives."""
    policy = bench_policy()
    shape = check_shape(policy)
    requests = [request_number(number) for number in range(512)]
    times = times_ns(lambda number: evaluate(policy, requests[number % 512]))
    yield {"name": "evaluate.p50", "value": round(statistics.median(times) / 1000, 1), "unit": "us", **shape}
    at = len(times) * 99 // 100
    yield {"name": "evaluate.p99", "value": round(times[at] / 1000, 1), "unit": "us", **shape}

"""Whole columns: a million recorded checkouts decided again, the difference of two policies over them, a million prices.

The checkouts are in memory, as they are after reading a file. Each figure is the median of some runs, `least` the quickest of them, `cpu_ms` the
processor time of all threads, which other work on the machine does not stretch.
`frame_mb` is what the columns take; `peak_mb` the most that the whole process held while it worked, libraries included.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from benchmarks.engine import START_AT, bench_policy
from fenqi.checkout.columns import decide_columns
from fenqi.checkout.simulation import simulate
from fenqi.policy.columns import Checkouts, checkouts_of, rule_outcomes, states_of
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import Clause
from fenqi.terms.columns import price_columns
from fenqi.terms.plan import FlatFee

__all__ = ["decide_1m", "diff_1m", "price_1m", "recorded_checkouts", "recorded_table"]

ROWS = 1_000_000
RUNS = 7
_DAY = 86_400


def recorded_checkouts(policy: Policy, rows: int = ROWS) -> Checkouts:
    """The columns of `recorded_table`."""
    return checkouts_of(recorded_table(rows), policy.vocabulary, policy.zone)


def recorded_table(rows: int = ROWS, seed: int = 1) -> pl.DataFrame:
    """Checkouts of sixty days around the bench's maintenance, 3 % of each fact unknown; amounts hardly ever occur twice."""
    chance = np.random.default_rng(seed)

    def known(values: object) -> pl.Series:
        series = pl.Series(values)
        return pl.select(pl.when(pl.Series(chance.random(rows) > 0.03)).then(series)).to_series()

    def some(*names: str) -> np.ndarray:
        return np.array(names)[chance.integers(0, len(names), rows)]

    def yes(share: float) -> np.ndarray:
        return chance.random(rows) < share

    now = START_AT + chance.integers(-30 * _DAY, 30 * _DAY, rows)
    sellers = ("mall", "seller_wallet_a", "seller_east_b", *(f"seller_{number}" for number in range(300)))
    columns = {
        "clock.now": now,
        "cart.amount": chance.integers(10_000, 3_000_000, rows),
        "cart.categories": some("phones", "phones|accessories", "books", "gold", "gift_cards|phones"),
        "cart.kinds": some("goods", "goods", "goods", "goods|blind_box", "pledge"),
        "cart.sellers": some(*sellers),
        "cart.has_coupon": yes(0.2),
        "cart.line_count": chance.integers(1, 120, rows),
        "region.ship_to": known(some("SH", "BJ", "GD", "ZJ", "XZ", "overseas")),
        "channel.kind": some("web", "app", "app", "store", "mini_program"),
        "customer.signed_in": known(yes(0.95)),
        "customer.age": known(chance.integers(16, 75, rows)),
        "customer.student": known(yes(0.1)),
        "customer.real_name_verified": known(yes(0.95)),
        "customer.account_days": known(chance.integers(0, 3_000, rows)),
        "customer.tier": known(chance.integers(0, 5, rows)),
        "customer.consents": known(some("lender", "[]", "lender|wallet")),
        "customer.overdue": known(yes(0.05)),
        "limit.mall": known(chance.integers(0, 4_000_000, rows)),
        "limit.mall_available": known(chance.integers(0, 4_000_000, rows)),
        "card.bank": known(some("east", "north", "other")),
        "card.kind": known(some("debit", "credit", "credit")),
        "funder.lender.prequal": known(some("approved", "approved", "declined", "pending")),
        "funder.lender.prequal_deadline": known(now + chance.integers(-3_600, 3_600, rows)),
        **{
            f"funder.{name}.health": known(some("up", "up", "up", "degraded", "down"))
            for name in ("wallet", "east", "north", "lender", "acquirer")
        },
    }
    return pl.DataFrame(columns)


def changed_policy(policy: Policy) -> Policy:
    """Three rules and two prices otherwise: an age, a ceiling, a pause, a dearer and a cheaper plan."""
    snapshot = policy.snapshot
    rules = {rule.id: rule for rule in snapshot.rules}
    rules["law.adult"] = msgspec.structs.replace(rules["law.adult"], require=Clause("customer.age", ">=", 20))
    rules["compliance.cap"] = msgspec.structs.replace(
        rules["compliance.cap"], require=Clause("offer.annual_cost", "<=", 160_000_000_000)
    )
    del rules["strategy.north"]
    prices = {
        "wallet_6": FlatFee(total_rate=Decimal("0.049")),
        "east_12": FlatFee(rate_per_period=Decimal("0.005")),
    }
    plans = tuple(
        msgspec.structs.replace(plan, pricing=prices[plan.id]) if plan.id in prices else plan
        for plan in snapshot.plans
    )
    return compile_policy(msgspec.structs.replace(snapshot, rules=tuple(rules.values()), plans=plans))


def _times_ms(
    run: Callable[[], object], runs: int = RUNS, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    run()  # the first one warms up
    times = []
    for _ in range(runs):
        began = clock()
        run()
        times.append(round((clock() - began) * 1_000, 1))
    return sorted(times)


def _measured(name: str, run: Callable[[], object], runs: int = RUNS) -> dict[str, object]:
    times = _times_ms(run, runs)
    return {
        "name": name,
        "value": statistics.median(times),
        "unit": "ms",
        "least": times[0],
        "cpu_ms": statistics.median(_times_ms(run, 3, time.process_time)),
        "peak_mb": _peak_mb(run),
    }


def _peak_mb(run: Callable[[], object]) -> int:
    """The process's highest resident memory while it runs, not while its input was made. Linux tells it."""
    Path("/proc/self/clear_refs").write_text("5")
    run()
    status = Path("/proc/self/status").read_text()
    return round(
        int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    )


def decide_1m() -> Iterator[dict[str, object]]:
    """Milliseconds for a million checkouts: every rule over facts, the three bit sets, every plan's state.

    `with_prices_ms` is both passes: ten plans priced for each of them, and the rules over prices too.
    """
    policy = bench_policy()
    checkouts = recorded_checkouts(policy)

    def decided() -> None:
        outcomes = rule_outcomes(policy, checkouts)
        for which in ("violated", "unknown", "pending"):
            outcomes.words(which)
        states_of(policy, outcomes)

    def decided_with_prices() -> None:
        # In slices, as a simulation does it: ten plans' prices of a million carts at once would take a gigabyte.
        for start in range(0, ROWS, 131_072):
            _ = decide_columns(policy, checkouts.slice(start, 131_072)).states

    yield {
        **_measured("columns.decide_1m", decided),
        "rows": ROWS,
        "rules": len(policy.rules),
        "plans": len(policy.plans),
        "frame_mb": round(checkouts.size_bytes / 1e6),
        "with_prices_ms": statistics.median(_times_ms(decided_with_prices, 3)),
    }


def diff_1m() -> Iterator[dict[str, object]]:
    """Milliseconds for the difference of two policies over a million checkouts: counts, amounts, segments, reasons, costs."""
    before = bench_policy()
    after = changed_policy(before)
    checkouts = recorded_checkouts(before)
    found = simulate(before, after, checkouts)
    recorded = rule_outcomes(before, checkouts)
    yield {
        **_measured("columns.diff_1m", lambda: simulate(before, after, checkouts), 5),
        "rows": ROWS,
        "rules": found.rules,
        "rules_asked": found.rules_asked,
        "gained": sum(plan.gained.carts for plan in found.plans),
        "lost": sum(plan.lost.carts for plan in found.plans),
        "changed": sum(plan.changed.carts for plan in found.plans),
        "frame_mb": round(checkouts.size_bytes / 1e6),
        "recorded_bits_ms": statistics.median(
            _times_ms(lambda: simulate(before, after, checkouts, recorded=recorded), 3)
        ),
    }


def price_1m() -> Iterator[dict[str, object]]:
    """Milliseconds to price a million (amount, plan) pairs exactly: first, rest, last, total, fee, and both yearly rates.

    A tenth of the pairs for each of the bench's ten plans; every amount is worked out, also one that occurs twice.
    `dearest_ms` is a million of the plan that takes longest.
    """
    policy = bench_policy()
    amounts = np.random.default_rng(2).integers(10_000, 3_000_000, ROWS)
    share = ROWS // len(policy.plans)
    parts = [
        (plan, amounts[number * share : (number + 1) * share]) for number, plan in enumerate(policy.plans)
    ]

    def priced() -> None:
        for plan, some in parts:
            price_columns(plan, some)

    whole = {
        plan.id: statistics.median(_times_ms(lambda plan=plan: price_columns(plan, amounts), 3))
        for plan in policy.plans
    }
    yield {
        **_measured("price_1m", priced),
        "pairs": ROWS,
        "distinct_amounts": len(np.unique(amounts)),
        "left_to_schedules": sum(int(price_columns(plan, some).careful.sum()) for plan, some in parts),
        "dearest_plan": max(whole, key=lambda plan: whole[plan]),
        "dearest_ms": max(whole.values()),
    }

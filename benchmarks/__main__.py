"""`python -m benchmarks [ONLY]`: run the measurements whose name begins with ONLY, quickest first.

Results are JSON on standard output, one object a line; what is going on is said on standard error.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator

from benchmarks.book import proof_1m
from benchmarks.closing import day_close, day_close_mandates
from benchmarks.columns import decide_1m, diff_1m, price_1m
from benchmarks.engine import decide_p50, evaluate_quantiles
from benchmarks.explaining import decide_1800, decide_alone, explain_mean, snapshot_load
from benchmarks.month_ending import month_end_1m
from benchmarks.paying import http_payments
from benchmarks.proof import prove_60
from benchmarks.repaying import posted
from benchmarks.replaying import back_dated, replay_p50
from benchmarks.service import http_evaluations

Measurement = Callable[[], Iterator[dict[str, object]]]

MEASUREMENTS: tuple[tuple[tuple[str, ...], Measurement], ...] = (
    (("decide.p50",), decide_p50),
    (("evaluate.p50", "evaluate.p99"), evaluate_quantiles),
    (("decide.alone",), decide_alone),
    (("replay.p50",), replay_p50),
    (("replay.back_dated",), back_dated),
    (("decide_1800.p50",), decide_1800),
    (("explain.mean",), explain_mean),
    (("snapshot.load",), snapshot_load),
    (("prove_60",), prove_60),
    (("price_1m",), price_1m),
    (("columns.decide_1m",), decide_1m),
    (("columns.diff_1m",), diff_1m),
    (("proof.1m",), proof_1m),
    (("http.evaluations",), http_evaluations),
    (("http.payments",), http_payments),
    (("repayments.posted", "repayments.handled", "hot_account.cost"), posted),
    (("month_end.1m",), month_end_1m),
    (("day_close.mandates",), day_close_mandates),
    (("day_close.1m", "day_close.100k", "day_close.ratio"), day_close),
)


def main(words: list[str] | None = None) -> int:
    """Run what was asked for; 2 where no measurement has such a name."""
    names = [name for some, _ in MEASUREMENTS for name in some]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("prefix", nargs="?", metavar="ONLY", default="", help=", ".join(names))
    parser.add_argument("--only", metavar="ONLY", default="", help="the same")
    arguments = parser.parse_args(words)
    only = arguments.only or arguments.prefix
    if not any(name.startswith(only) for name in names):
        print(f"ONLY is {only}: expected the beginning of one of {', '.join(names)}", file=sys.stderr)
        return 2
    # Ended by `kill` or `timeout`, a measurement still stops its server and removes its folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for some, measure in MEASUREMENTS:
        if any(name.startswith(only) for name in some):
            for result in measure():
                if str(result["name"]).startswith(only):
                    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The end of a month over a million contracts, in one pass, durable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from benchmarks.repaying import child, stocked

__all__ = ["month_end_1m"]

CONTRACTS: Final = 1_000_000


def month_end_1m() -> Iterator[dict[str, object]]:
    """Seconds of booking what belongs to a month of a million rows that run: two transactions for each, by one process."""
    with stocked(CONTRACTS, "opened") as (_, environ, _made):
        done = child(environ, "month_end")
        proved = child(environ, "prove")
    if proved["problems"]:
        raise SystemExit("\n".join(proved["problems"]))
    if done["contracts"] != CONTRACTS + 1:
        raise SystemExit(f"{done['contracts']} contracts were looked at instead of {CONTRACTS + 1}")
    yield {
        "name": "month_end.1m",
        "value": round(done["seconds"], 1),
        "unit": "s",
        **{name: done[name] for name in ("contracts", "replayed", "accrued_minor")},
        "proved": proved["transactions"],
        "load": round(os.getloadavg()[0], 1),
    }

"""Moving the demo's clock: what falls due on the way happens, each on its own day.

Without a year that runs, one step is enough: what was missed is caught up under its own dates. With one, its people act on
days of their own, so that the clock stops at ten each morning on which somebody does something or something falls due.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fenqi.calendars import at_local, local_date
from fenqi_server import clock as installation_clock
from fenqi_server.demo import clock, jobs, year
from fenqi_server.demo.jobs import Ran
from fenqi_server.shops.models import Shop

__all__ = ["go_to"]


def go_to(shop: Shop, target: datetime) -> tuple[Ran, ...]:
    """Move the clock forward to an instant, and run what is due on the way. Raises `clock.Backwards`."""
    sums: dict[str, int] = {}
    now = installation_clock.now()
    if target >= now and year.began_on(shop) is not None:
        for day in year.days_between(shop, local_date(now, shop.time_zone), target):
            morning = datetime.fromtimestamp(at_local(day, 10 * 60, shop.time_zone), UTC)
            if now < morning <= target:
                clock.move_to(morning)
                _run(morning, sums)
                year.act(shop, morning)
                # What somebody has just done may ask for more: a payment settles, a mandate is taken up.
                _run(morning + timedelta(minutes=1), sums)
    clock.move_to(target)
    _run(installation_clock.now(), sums)
    return tuple(Ran(job, count) for job, count in sums.items())


def _run(at: datetime, sums: dict[str, int]) -> None:
    for ran in jobs.run_due(at):
        sums[ran.job] = sums.get(ran.job, 0) + ran.count

"""Business days as shipped data: the calendars that a plan can name without an operator's doing.

The mainland's holidays and the weekend days worked instead (调休) are arranged each year by a notice of the State
Council's General Office, usually in November of the year before. A year is here once its notice is out, and never by
guess; an operator adds a new year under `calendars` in the policy before a new version ships it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final

from fenqi.calendars import BusinessCalendar

__all__ = ["SHIPPED", "days_of"]

# 国务院办公厅关于各年部分节假日安排的通知, with 2020's extension of the Spring Festival. The latest: 国办发明电〔2025〕7号
# of 2025-11-04, for 2026. Checked day by day against two independent lists (chinesecalendar, holidays).
_MAINLAND: Final = """
2019 off 01-01 02-04..02-10 04-05..04-07 05-01..05-04 06-07..06-09 09-13..09-15 10-01..10-07
2019 work 02-02 02-03 04-28 05-05 09-29 10-12
2020 off 01-01 01-24..02-02 04-04..04-06 05-01..05-05 06-25..06-27 10-01..10-08
2020 work 01-19 04-26 05-09 06-28 09-27 10-10
2021 off 01-01..01-03 02-11..02-17 04-03..04-05 05-01..05-05 06-12..06-14 09-19..09-21 10-01..10-07
2021 work 02-07 02-20 04-25 05-08 09-18 09-26 10-09
2022 off 01-01..01-03 01-31..02-06 04-03..04-05 04-30..05-04 06-03..06-05 09-10..09-12 10-01..10-07 12-31
2022 work 01-29 01-30 04-02 04-24 05-07 10-08 10-09
2023 off 01-01..01-02 01-21..01-27 04-05 04-29..05-03 06-22..06-24 09-29..10-06 12-30..12-31
2023 work 01-28 01-29 04-23 05-06 06-25 10-07 10-08
2024 off 01-01 02-10..02-17 04-04..04-06 05-01..05-05 06-10 09-15..09-17 10-01..10-07
2024 work 02-04 02-18 04-07 04-28 05-11 09-14 09-29 10-12
2025 off 01-01 01-28..02-04 04-04..04-06 05-01..05-05 05-31..06-02 10-01..10-08
2025 work 01-26 02-08 04-27 09-28 10-11
2026 off 01-01..01-03 02-15..02-23 04-04..04-06 05-01..05-05 06-19..06-21 09-25..09-27 10-01..10-07
2026 work 01-04 02-14 02-28 05-09 09-20 10-10
"""


def days_of(first_on: date, last_on: date) -> tuple[date, ...]:
    """Every day from the first through the last.

    >>> [day.day for day in days_of(date(2026, 2, 27), date(2026, 3, 1))]
    [27, 28, 1]
    """
    return tuple(first_on + timedelta(days=past) for past in range((last_on - first_on).days + 1))


def _listed(kind: str) -> frozenset[date]:
    found: list[date] = []
    for line in _MAINLAND.strip().splitlines():
        year, of, *spans = line.split()
        for span in spans if of == kind else ():
            first, _, last = span.partition("..")
            found += days_of(
                date.fromisoformat(f"{year}-{first}"), date.fromisoformat(f"{year}-{last or first}")
            )
    return frozenset(found)


SHIPPED: Final[Mapping[str, BusinessCalendar]] = MappingProxyType(
    {
        "cn": BusinessCalendar(
            id="cn",
            version="2026",
            known_from=date(2019, 1, 1),
            confirmed_through=date(2026, 12, 31),
            holidays=_listed("off"),
            workdays=_listed("work"),
        )
    }
)
"""The calendars that come with Fenqi, by id. `cn`: mainland China."""

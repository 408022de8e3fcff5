"""The shipped calendars: as the State Council's notices tell them."""

from __future__ import annotations

import re
from datetime import date

import chinese_calendar

from fenqi.business_days import SHIPPED, days_of
from fenqi.calendars import check_calendar, is_business_day

CN = SHIPPED["cn"]

# 国务院办公厅关于2026年部分节假日安排的通知 (国办发明电〔2025〕7号), 2025-11-04, its seven paragraphs.
NOTICE_2026 = """
一、元旦：1月1日（周四）至3日（周六）放假调休，共3天。1月4日（周日）上班。
二、春节：2月15日（农历腊月二十八、周日）至23日（农历正月初七、周一）放假调休，共9天。2月14日（周六）、2月28日（周六）上班。
三、清明节：4月4日（周六）至6日（周一）放假，共3天。
四、劳动节：5月1日（周五）至5日（周二）放假调休，共5天。5月9日（周六）上班。
五、端午节：6月19日（周五）至21日（周日）放假，共3天。
六、中秋节：9月25日（周五）至27日（周日）放假，共3天。
七、国庆节：10月1日（周四）至7日（周三）放假调休，共7天。9月20日（周日）、10月10日（周六）上班。
"""


def test_every_calendar_that_is_shipped_is_sound() -> None:
    for name, calendar in SHIPPED.items():
        assert calendar.id == name
        assert check_calendar(calendar) == []


def test_2026_is_the_notices_to_the_day() -> None:
    off: set[date] = set()
    worked: set[date] = set()
    for line in NOTICE_2026.strip().splitlines():
        month, first, last, days = (
            int(each)
            for each in re.findall(r"：(\d+)月(\d+)日（.*?）至(\d+)日（.*?）放假(?:调休)?，共(\d+)天", line)[
                0
            ]
        )
        assert last - first + 1 == days
        off |= {date(2026, month, day) for day in range(first, last + 1)}
        _, _, after = line.partition("天。")
        worked |= {date(2026, int(month), int(day)) for month, day in re.findall(r"(\d+)月(\d+)日", after)}
    assert {on for on in CN.holidays if on.year == 2026} == off
    assert {on for on in CN.workdays if on.year == 2026} == worked
    assert (len(off), len(worked)) == (33, 6)


def test_the_known_years_are_whole_and_nothing_is_said_of_2027() -> None:
    assert (CN.known_from, CN.confirmed_through) == (date(2019, 1, 1), date(2026, 12, 31))


def test_as_many_weekdays_are_free_as_the_law_gives_days_off() -> None:
    # 全国年节及纪念日放假办法: 11 days a year, 13 since 2025; one that falls on a weekend is made good, and every other
    # weekday off is worked on a weekend instead. 2020 alone gave two days more (the longer Spring Festival).
    for year in range(2019, 2027):
        weekdays_off = sum(on.year == year and on.isoweekday() < 6 for on in CN.holidays)
        weekends_worked = sum(on.year == year for on in CN.workdays)
        assert weekdays_off - weekends_worked == (13 if year in (2020, 2025, 2026) else 11), year


def test_every_day_is_what_an_independent_list_says() -> None:
    days = days_of(CN.known_from, CN.confirmed_through)
    assert len(days) == 2922
    assert [on for on in days if is_business_day(on, CN) != chinese_calendar.is_workday(on)] == []


def test_in_2020_the_spring_festival_was_made_longer() -> None:
    # 国办发明电〔2020〕1号: off through Sunday 2 February, back on Monday the 3rd; Saturday 1 February is not worked after all.
    assert not is_business_day(date(2020, 1, 31), CN)
    assert not is_business_day(date(2020, 2, 1), CN)
    assert is_business_day(date(2020, 2, 3), CN)

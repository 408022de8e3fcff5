"""The rows of a schedule in words: what is paid at the start has a name, and an instalment its number."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from fenqi.terms.cost import cost_of
from fenqi.terms.disclosure import disclose
from fenqi.terms.plan import DownPayment, FlatFee, Plan
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text
from fenqi_server.storefront.disclosed import table_view
from fenqi_server.storefront.selector import per_text, row_name
from fenqi_server.storefront.voice import Voice

pytestmark = pytest.mark.no_db

# ¥6,000 in 12 of ¥500, and the fee of ¥432 at the start.
UP_FRONT = Plan(
    "mall_12", "mall", "mall", "instalment_sale", 12, FlatFee(Decimal("0.006"), timing="up_front")
)
# With 30 % down: ¥1,800 and the fee of ¥302.40 on the ¥4,200.
WITH_DOWN = Plan(
    "mall_12_down",
    "mall",
    "mall",
    "instalment_sale",
    12,
    FlatFee(Decimal("0.006"), timing="up_front"),
    down_payment=DownPayment(share=Decimal("0.3")),
)


@pytest.mark.parametrize(
    ("plan", "locale", "language", "per", "odd", "first"),
    [
        (UP_FRONT, "en", "en", "¥500.00 × 12", "¥432.00 now", "At the start"),
        (UP_FRONT, "zh-CN", "zh-hans", "¥500.00 × 12 期", "现付 ¥432.00", "签约时"),
        (WITH_DOWN, "en", "en", "¥350.00 × 12", "¥2,102.40 now", "Down payment"),
        (WITH_DOWN, "zh-CN", "zh-hans", "¥350.00 × 12 期", "现付 ¥2,102.40", "首付"),
    ],
)
def test_what_is_paid_at_the_start_is_told_beside_the_instalments_and_has_a_name(
    plan: Plan, locale: str, language: str, per: str, odd: str, first: str
) -> None:
    schedule = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    disclosure = disclose(plan, schedule, cost_of(schedule, plan), Text("商城", "The mall"))
    with translation.override(language):
        voice = Voice(locale, "CNY", "Asia/Shanghai", 0)
        assert per_text(schedule, voice) == (per, odd)
        view = table_view(disclosure, schedule.rows, voice, {})
    assert [row.number for row in view.rows] == [first, *map(str, range(1, 13))]
    assert view.per == per.removesuffix(" 期")


def test_every_kind_of_row_has_a_name_in_both_languages() -> None:
    for language, names in (
        ("en", ["3", "Deposit", "Rent 3", "Buyout", "Giving back", "Deposit back"]),
        ("zh-hans", ["3", "押金", "第3期租金", "买断款", "归还商品", "退还押金"]),
    ):
        with translation.override(language):
            assert [
                row_name("instalment", 3),
                row_name("deposit", 0),
                row_name("rent", 3),
                row_name("buyout", 13),
                row_name("goods_return", 13),
                row_name("deposit_return", 13),
            ] == names

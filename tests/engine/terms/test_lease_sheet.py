"""The sheet of a lease: what is said of it, worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.terms.cost import cost_of
from fenqi.terms.lease_sheet import LeaseSheet, lease_sheet, sheet_digest
from fenqi.terms.plan import FlatFee, Plan, TermsError
from fenqi.terms.rent import Buyout, Deposit, EarlyBuyout, Lease, Renewal, Rent
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Text

START = date(2026, 11, 23)
DEPOSIT = Deposit(
    amount_minor=100_000,
    at_end="credited",
    inspection_days=2,
    release_days=3,
    lost_when=Text("商品丢失或人为损坏。", "The goods are lost, or broken by you."),
)
PHONE = Lease(
    rent=Rent(49_900),
    paid="in_advance",
    goods="new",
    minimum_periods=6,
    deposit=DEPOSIT,
    buyout=Buyout(160_000, early=EarlyBuyout("maturity_plus_unpaid_rent", last_days=10)),
    renewal=Renewal(Decimal("0.8")),
    return_shipping_minor=3_000,
)


def sheet(
    terms: Lease = PHONE,
    periods: int = 12,
    price: int = 699_900,
    *,
    unit: str = "month",
    waived: bool = False,
    ceiling_e12: int | None = None,
) -> LeaseSheet:
    plan = Plan("p", "f", "lessor", "operating_lease", periods, terms, unit=unit)  # type: ignore[arg-type]
    schedule = build_schedule(plan, price, "CNY", START, deposit_waived=waived)
    return lease_sheet(plan, schedule, cost_of(schedule, plan), ceiling_e12=ceiling_e12)


def says(found: LeaseSheet, code: str, locale: str = "en") -> str:
    return next(point.says.in_(locale) for point in found.points if point.code == code)


def warns(found: LeaseSheet) -> set[str]:
    return {point.code for point in found.points if point.warns}


def test_the_sheet_of_a_phone_by_hand() -> None:
    found = sheet()
    # 12 x 499 = 5988; + 1600 = 7588; 7588 / 6999 = 1.0841548..., rounded up. Giving back: 5988 + 30.
    assert (found.own_minor, found.give_back_minor, found.first_day_minor) == (758_800, 601_800, 149_900)
    assert found.yearly_ratio_e12 == 1_084_154_879_269
    # Ends on 23 November 2027; 2 days to look, 3 to release: the 28th.
    assert says(found, "ratio") == (
        "A year's rents of ¥5,988.00 and the buyout of ¥1,600.00 are 108.42% of the price of ¥6,999.00."
    )
    assert says(found, "own") == (
        "To own the goods on 23 Nov 2027 you pay ¥7,588.00 in all, ¥589.00 more than buying them now. "
        "That is 18.94% a year (simple, IRR x 12)."
    )
    assert says(found, "give_back") == (
        "To rent to the end and give the goods back you pay ¥6,018.00 in all, ¥30.00 of it for sending them back. "
        "They do not become yours."
    )
    assert says(found, "early_buyout") == (
        "Buying early costs the buyout and all rents not yet due: sooner, not cheaper. It is possible from 13 Nov 2027 on."
    )
    assert says(found, "renewal") == (
        "It never renews by itself: you are asked 5 days before the end, each time, and each further period costs ¥399.20."
    )
    assert says(found, "no_sale") == "Being late never turns the lease into a sale."
    assert says(found, "release").startswith("Where you buy, ¥1,000.00 of it pays the buyout.")
    assert "by 28 Nov 2027 where you rent to the end" in says(found, "release")
    assert "最迟2027年11月28日退还" in says(found, "release", "zh-CN")
    assert (
        says(found, "lost")
        == "It is kept, or part of it, in these cases: The goods are lost, or broken by you."
    )
    assert says(found, "ratio", "zh-CN") == (
        "一年的租金¥5,988.00加买断价¥1,600.00，是商品价¥6,999.00的108.42%。"
    )
    assert warns(found) == set()


def test_a_ratio_above_the_ceiling_warns_and_one_at_it_does_not() -> None:
    # 12 x 9.5 % + 16 % = 130 % exactly; a fen more on the buyout is above it.
    at = Lease(rent=Rent(95_000), paid="in_advance", goods="new", buyout=Buyout(160_000))
    above = Lease(rent=Rent(95_000), paid="in_advance", goods="new", buyout=Buyout(160_001))
    ceiling = 1_300_000_000_000
    assert "ratio" not in warns(sheet(at, price=1_000_000, ceiling_e12=ceiling))
    over = sheet(above, price=1_000_000, ceiling_e12=ceiling)
    assert "ratio" in warns(over)
    # Rounded up, so that what is above 130 % is never shown as 130.00 %.
    assert "130.01%" in says(over, "ratio")
    assert "At most 130.00% is allowed." in says(over, "ratio")


def test_what_somebody_elses_contract_says_warns() -> None:
    trap = Lease(
        rent=Rent(50_000),
        paid="in_advance",
        goods="used",
        statement=Text("九成新", "light scratches"),
        renewal=Renewal(Decimal(1), consent="silent"),
        overdue="becomes_sale",
        deposit=Deposit(amount_minor=100_000, at_end="lost", release_days=0),
    )
    found = sheet(trap)
    assert {"renewal", "no_sale", "goods", "release", "minimum"} == warns(found)
    assert says(found, "renewal") == (
        "It renews by itself where the goods are not given back, at ¥500.00 for each period."
    )
    assert says(found, "goods") == "Used goods: light scratches"
    assert says(found, "own") == "The goods cannot be bought; they go back at the end."
    assert found.own_minor is None


def test_when_a_deposit_is_kept_is_stated_or_asked_for() -> None:
    silent = msgspec.structs.replace(
        PHONE, deposit=Deposit(amount_minor=1, at_end="returned", release_days=3)
    )
    assert "lost" in warns(sheet(silent))
    waived = msgspec.structs.replace(PHONE, deposit=msgspec.structs.replace(DEPOSIT, waivable=True))
    found = sheet(waived, waived=True)
    assert says(found, "deposit") == "The deposit of ¥1,000.00 is waived."
    assert says(found, "lost").startswith("You owe compensation in these cases:")
    frozen = msgspec.structs.replace(PHONE, deposit=msgspec.structs.replace(DEPOSIT, form="frozen"))
    assert "is not paid, and you cannot use it meanwhile" in says(sheet(frozen), "deposit")
    covers = msgspec.structs.replace(PHONE, deposit=msgspec.structs.replace(DEPOSIT, covers_rent=True))
    assert says(sheet(covers), "lost").startswith("Late rents may be taken from it. It is kept")


def test_a_two_year_lease_counts_one_years_rents() -> None:
    # 24 x 350 for 6000 and nothing at the end: 4200 a year, 70 %.
    found = sheet(
        Lease(rent=Rent(35_000), paid="in_advance", goods="new", buyout=Buyout(0)), periods=24, price=600_000
    )
    assert says(found, "ratio") == (
        "A year's rents of ¥4,200.00 and the buyout of ¥0.00 are 70.00% of the price of ¥6,000.00."
    )


def test_the_same_sheet_has_the_same_name_and_another_another() -> None:
    assert sheet_digest(sheet()) == sheet_digest(sheet())
    assert sheet_digest(sheet()).startswith("sha256:")
    assert sheet_digest(sheet()) != sheet_digest(sheet(price=699_901))


def test_only_a_lease_has_a_sheet() -> None:
    plan = Plan("m", "m", "mall", "instalment_sale", 12, FlatFee(Decimal("0.006")))
    schedule = build_schedule(plan, 600_000, "CNY", START)
    with pytest.raises(TermsError, match="the schedule of a lease"):
        lease_sheet(plan, schedule, cost_of(schedule, plan))


@given(
    st.integers(1_000, 3_000_000),
    st.integers(1, 300_000),
    st.integers(0, 2_000_000),
    st.sampled_from(["day", "week", "month"]),
    st.integers(1, 80),
)
def test_every_sheet_is_whole_in_both_languages(
    price: int, rent: int, buyout: int, unit: str, periods: int
) -> None:
    terms = msgspec.structs.replace(
        PHONE, rent=Rent(rent), buyout=Buyout(buyout), minimum_periods=None, deposit=DEPOSIT
    )
    found = sheet(terms, periods, price, unit=unit)
    codes = [point.code for point in found.points]
    assert len(codes) == len(set(codes)) == 11
    for point in found.points:
        assert point.says.zh_cn.endswith("。")
        assert point.says.en.endswith(".")

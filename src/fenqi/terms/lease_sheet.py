"""What to know before renting: the sheet of a lease, shown beside the table of all costs.

A lease hides its cost where nobody looks: in how it ends. The sheet says, each in one sentence and with its figures, what a
year's rents and the buyout are of the price, what owning and what giving back come to, that nothing is renewed or
sold by itself, in what condition the goods are, when the deposit is back, and what is lost when. Its digest names it: the
same sheet always has the same name.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from hashlib import sha256
from typing import Final, Literal

import msgspec

from fenqi.calendars import format_date
from fenqi.money import apply_rate, format_money, round_half_even
from fenqi.terms.cost import Cost
from fenqi.terms.disclosure import percent
from fenqi.terms.intervals import periods_per_year
from fenqi.terms.lease import Ending, build_lease, early_buyout_from
from fenqi.terms.plan import Plan, TermsError
from fenqi.terms.rent import Deposit, LeaseFigures
from fenqi.terms.schedule import Schedule
from fenqi.texts import Text

__all__ = ["SHEET_VERSION", "LeaseSheet", "PointCode", "SheetPoint", "lease_sheet", "sheet_digest"]

SHEET_VERSION: Final = "lease-sheet@1"
"""The layout of the sheet."""

PointCode = Literal[
    "ratio",
    "own",
    "give_back",
    "renewal",
    "no_sale",
    "goods",
    "deposit",
    "release",
    "lost",
    "early_buyout",
    "minimum",
]


class SheetPoint(msgspec.Struct, frozen=True):
    """One thing to know: what it is about, what is the case, and whether it is to the customer's cost (`warns`)."""

    code: PointCode
    title: Text
    says: Text
    warns: bool = False


class LeaseSheet(msgspec.Struct, frozen=True, kw_only=True):
    """The sheet of one lease of goods of one price.

    `own_minor` and `buyout_minor` are None where the goods cannot be bought. `give_back_minor` is what renting to the end and giving
    back comes to, the deposit not counted. `first_day_minor` is paid on the first day. `yearly_ratio_e12`: a year's rents and the
    buyout over the price; `ceiling_e12` is the most that it may be, where a rule says so.
    """

    sheet_version: str
    plan_id: str
    currency: str
    price_minor: int
    rent_minor: int
    rents: int
    rent_total_minor: int
    first_day_minor: int
    give_back_minor: int
    own_minor: int | None
    buyout_minor: int | None
    yearly_ratio_e12: int
    ceiling_e12: int | None
    deposit_back_on: date | None
    points: tuple[SheetPoint, ...]


def lease_sheet(plan: Plan, schedule: Schedule, cost: Cost, *, ceiling_e12: int | None = None) -> LeaseSheet:
    """The sheet of a lease, from the schedule that it was offered with and its cost. `ceiling_e12`: the most that a year's
    rents and the buyout may be of the price, in 1e-12, where a rule says so.

    Raises `TermsError` for a schedule that is no lease's.

    >>> from fenqi.terms.cost import cost_of
    >>> from fenqi.terms.rent import Buyout, Lease, Rent
    >>> from fenqi.terms.schedule import build_schedule
    >>> terms = Lease(rent=Rent(49_900), paid="in_advance", goods="new", buyout=Buyout(160_000))
    >>> plan = Plan("phone-12", "phone", "lessor", "operating_lease", 12, terms)
    >>> bill = build_schedule(plan, 699_900, "CNY", date(2026, 11, 23))
    >>> sheet = lease_sheet(plan, bill, cost_of(bill, plan))
    >>> sheet.points[0].says.en
    "A year's rents of ¥5,988.00 and the buyout of ¥1,600.00 are 108.42% of the price of ¥6,999.00."
    """
    figures = schedule.lease
    if figures is None:
        raise TermsError(f"plan {plan.id}", "no lease", "the schedule of a lease")
    start_on = schedule.start_on or schedule.rows[0].due_on
    back = build_lease(
        plan,
        schedule.amount_minor,
        schedule.currency,
        start_on,
        Ending("return"),
        deposit_waived=figures.deposit_form == "waived",
    )
    return _Writer(plan, figures, schedule, back, cost, start_on, ceiling_e12).sheet()


def sheet_digest(sheet: LeaseSheet) -> str:
    """The sheet's name: SHA-256 over its canonical encoding (compact JSON, fields in the struct's order)."""
    return "sha256:" + sha256(msgspec.json.encode(sheet, order="deterministic")).hexdigest()


_TITLES: Final[dict[PointCode, Text]] = {
    "ratio": Text("租金与商品价之比", "Rents and price"),
    "own": Text("租满并买断", "Renting and buying"),
    "give_back": Text("租满归还", "Renting and giving back"),
    "renewal": Text("续租", "Renewal"),
    "no_sale": Text("逾期", "Being late"),
    "goods": Text("商品成色", "Condition of the goods"),
    "deposit": Text("押金", "Deposit"),
    "release": Text("押金何时退还", "When the deposit is back"),
    "lost": Text("押金何时不退", "When the deposit is kept"),
    "early_buyout": Text("提前买断", "Buying early"),
    "minimum": Text("最短租期", "Shortest term"),
}


class _Writer:
    """Writes the points of one sheet, each sentence whole in each language."""

    def __init__(
        self,
        plan: Plan,
        figures: LeaseFigures,
        schedule: Schedule,
        back: Schedule,
        cost: Cost,
        start_on: date,
        ceiling_e12: int | None,
    ) -> None:
        self.plan, self.figures, self.lease = plan, figures, figures.terms
        self.schedule, self.back, self.cost = schedule, back, cost
        self.start_on, self.ceiling = start_on, ceiling_e12

    def sheet(self) -> LeaseSheet:
        figures, schedule = self.figures, self.schedule
        first_on = self.start_on
        return LeaseSheet(
            sheet_version=SHEET_VERSION,
            plan_id=self.plan.id,
            currency=schedule.currency,
            price_minor=schedule.amount_minor,
            rent_minor=figures.rent_minor,
            rents=figures.rents,
            rent_total_minor=figures.rent_total_minor,
            first_day_minor=sum(row.total_minor for row in schedule.rows if row.due_on == first_on),
            give_back_minor=self.back.total_minor,
            own_minor=schedule.total_minor if figures.owns else None,
            buyout_minor=figures.buyout_minor if figures.owns else None,
            yearly_ratio_e12=figures.yearly_ratio_e12,
            ceiling_e12=self.ceiling,
            deposit_back_on=figures.deposit_back_on,
            points=tuple(point for point in self.points() if point is not None),
        )

    def points(self) -> tuple[SheetPoint | None, ...]:
        return (
            self.ratio(),
            self.own(),
            self.give_back(),
            self.early_buyout(),
            self.minimum(),
            self.renewal(),
            self.no_sale(),
            self.goods(),
            *self.of_deposit(),
        )

    def money(self, minor: int) -> str:
        return format_money(minor, self.schedule.currency)

    def days(self, on: date) -> tuple[str, str]:
        return format_date(on, "zh-CN"), format_date(on, "en")

    def ratio(self) -> SheetPoint:
        figures, price = self.figures, self.money(self.schedule.amount_minor)
        # Rounded up, as the ratio itself: 130.001 % is not shown as 130.00 %.
        share = percent(-(-figures.yearly_ratio_e12 // 10**8) * 10**8)
        counted = min(Fraction(figures.rents), periods_per_year(self.plan.unit, self.plan.every))
        year = round_half_even(
            figures.rent_total_minor * counted.numerator, figures.rents * counted.denominator
        )
        rents, buyout = self.money(year), self.money(figures.buyout_minor)
        over = self.ceiling is not None and figures.yearly_ratio_e12 > self.ceiling
        if figures.owns:
            says = Text(
                f"一年的租金{rents}加买断价{buyout}，是商品价{price}的{share}%。",
                f"A year's rents of {rents} and the buyout of {buyout} are {share}% of the price of {price}.",
            )
        else:
            says = Text(
                f"一年的租金{rents}，是商品价{price}的{share}%，商品不归您所有。",
                f"A year's rents of {rents} are {share}% of the price of {price}, and the goods do not become yours.",
            )
        if self.ceiling is not None:
            most = percent(self.ceiling)
            says = Text(f"{says.zh_cn}规定上限为{most}%。", f"{says.en} At most {most}% is allowed.")
        return _point("ratio", says, warns=over)

    def own(self) -> SheetPoint | None:
        if not self.figures.owns:
            return _point(
                "own",
                Text("不能买断，期满须归还商品。", "The goods cannot be bought; they go back at the end."),
            )
        total, price = self.schedule.total_minor, self.schedule.amount_minor
        paid, more = self.money(total), self.money(abs(total - price))
        ends = self.days(self.figures.ends_on)
        rate = self.cost.simple_e12
        if total > price:
            says = Text(
                f"到{ends[0]}买断共付{paid}，比直接购买多{more}。",
                f"To own the goods on {ends[1]} you pay {paid} in all, {more} more than buying them now.",
            )
        elif total < price:
            says = Text(
                f"到{ends[0]}买断共付{paid}，比直接购买少{more}。",
                f"To own the goods on {ends[1]} you pay {paid} in all, {more} less than buying them now.",
            )
        else:
            says = Text(
                f"到{ends[0]}买断共付{paid}，与直接购买相同。",
                f"To own the goods on {ends[1]} you pay {paid} in all, the same as buying them now.",
            )
        if rate is not None:
            shown = percent(rate)
            says = Text(
                f"{says.zh_cn}折合年化成本{shown}%（单利，IRR×12）。",
                f"{says.en} That is {shown}% a year (simple, IRR x 12).",
            )
        return _point("own", says)

    def give_back(self) -> SheetPoint:
        paid, shipping = self.money(self.back.total_minor), self.lease.return_shipping_minor
        with_way = (
            (f"，其中归还运费{self.money(shipping)}", f", {self.money(shipping)} of it for sending them back")
            if shipping
            else ("", "")
        )
        return _point(
            "give_back",
            Text(
                f"租满后归还商品共付{paid}{with_way[0]}，商品不归您所有。",
                f"To rent to the end and give the goods back you pay {paid} in all{with_way[1]}. They do not become yours.",
            ),
        )

    def early_buyout(self) -> SheetPoint | None:
        buyout = self.lease.buyout
        if buyout is None:
            return None
        early = buyout.early
        if early is None:
            return _point(
                "early_buyout", Text("期满前不能买断。", "The goods cannot be bought before the end.")
            )
        if early.formula == "price_less_paid":
            says = Text(
                "提前买断价为商品价减去已付租金和押金，最低为 0。",
                "Buying early costs the price of the goods, less the rents paid and the deposit, and never less than nothing.",
            )
        else:
            says = Text(
                "提前买断须付买断价和全部未到期租金：提前并不更便宜。",
                "Buying early costs the buyout and all rents not yet due: sooner, not cheaper.",
            )
        if early.last_days is not None:
            first = early_buyout_from(self.plan, self.start_on)
            assert first is not None, "there is an early buyout"
            day = self.days(first)
            says = Text(
                f"{says.zh_cn}自{day[0]}起才可提前买断。", f"{says.en} It is possible from {day[1]} on."
            )
        return _point("early_buyout", says)

    def minimum(self) -> SheetPoint:
        least = self.lease.minimum_periods
        whole = self.plan.periods
        if least is None or least == whole:
            return _point(
                "minimum",
                Text(
                    f"须租满全部{whole}期；提前归还不减租金。",
                    f"All {whole} periods are to be rented: giving back before saves no rent.",
                ),
                warns=True,
            )
        return _point(
            "minimum",
            Text(
                f"至少租{least}期，此后可提前归还，已开始的一期照付。",
                f"At least {least} of the {whole} periods are to be rented; after them the goods can go back, and the "
                "period that has begun is paid.",
            ),
        )

    def renewal(self) -> SheetPoint:
        renewal = self.lease.renewal
        if renewal is None:
            return _point("renewal", Text("到期结束，不续租。", "It ends with its term and is not renewed."))
        rent = self.money(apply_rate(self.figures.rent_minor, renewal.coefficient))
        if renewal.consent == "silent":
            return _point(
                "renewal",
                Text(
                    f"到期不归还即自动续租，每期{rent}。",
                    f"It renews by itself where the goods are not given back, at {rent} for each period.",
                ),
                warns=True,
            )
        days = renewal.asked_days_before
        return _point(
            "renewal",
            Text(
                f"不会自动续租。续租须您每次同意，到期前{days}天询问；续租每期{rent}。",
                f"It never renews by itself: you are asked {days} days before the end, each time, and each further period "
                f"costs {rent}.",
            ),
        )

    def no_sale(self) -> SheetPoint:
        if self.lease.overdue == "becomes_sale":
            return _point(
                "no_sale",
                Text("逾期会自动转为购买。", "Being late turns the lease into a sale by itself."),
                warns=True,
            )
        return _point(
            "no_sale", Text("逾期不会自动转为购买。", "Being late never turns the lease into a sale.")
        )

    def goods(self) -> SheetPoint:
        statement = self.lease.statement
        if self.lease.goods == "new":
            says = Text("全新商品。", "New goods.")
            if statement is not None:
                says = Text(f"全新商品：{statement.zh_cn}", f"New goods: {statement.en}")
            return _point("goods", says)
        told = statement or Text("成色未说明", "their condition is not stated")
        return _point("goods", Text(f"二手商品：{told.zh_cn}", f"Used goods: {told.en}"), warns=True)

    def of_deposit(self) -> tuple[SheetPoint, ...]:
        deposit, figures = self.lease.deposit, self.figures
        if deposit is None:
            return (_point("deposit", Text("无押金。", "No deposit.")),)
        if figures.deposit_form == "waived":
            amount = self.money(figures.waived_minor)
            return (
                _point("deposit", Text(f"免押金（原为{amount}）。", f"The deposit of {amount} is waived.")),
                self.lost(deposit, waived=True),
            )
        amount = self.money(figures.deposit_minor)
        if deposit.form == "frozen":
            says = Text(
                f"{amount}在您的账户中冻结，不扣款，冻结期间不能使用。",
                f"{amount} is frozen on your account: it is not paid, and you cannot use it meanwhile.",
            )
        else:
            says = Text(f"首日支付{amount}。", f"{amount} is paid on the first day.")
        kept = [] if deposit.at_end == "lost" else [self.lost(deposit, waived=False)]
        return (_point("deposit", says), self.release(deposit), *kept)

    def release(self, deposit: Deposit) -> SheetPoint:
        figures = self.figures
        if deposit.at_end == "lost":
            return _point("release", Text("押金不退还。", "The deposit is not given back."), warns=True)
        looked, after = deposit.inspection_days, deposit.release_days
        back_on = self.back.lease.deposit_back_on if self.back.lease is not None else None
        day = self.days(back_on) if back_on is not None else ("", "")
        says = Text(
            f"归还商品后{looked}天内验收，验收后{after}天内退还；租满归还的，最迟{day[0]}退还。",
            f"The goods are inspected within {looked} days of coming back, and the deposit is released within {after} days "
            f"after that: by {day[1]} where you rent to the end.",
        )
        if figures.owns and figures.credited_minor:
            credited = self.money(figures.credited_minor)
            says = Text(
                f"买断时押金抵扣买断价{credited}。{says.zh_cn}",
                f"Where you buy, {credited} of it pays the buyout. {says.en}",
            )
        return _point("release", says)

    def lost(self, deposit: Deposit, *, waived: bool) -> SheetPoint:
        cases = deposit.lost_when
        if cases is None:
            return _point(
                "lost",
                Text(
                    "合同未说明押金在何时不退，请先向出租方问清。",
                    "It is not stated when the deposit is kept: ask the lessor first.",
                ),
                warns=True,
            )
        if deposit.covers_rent and not waived:
            return _point(
                "lost",
                Text(
                    f"逾期租金可从押金中扣除。以下情形不退或扣减：{cases.zh_cn}",
                    f"Late rents may be taken from it. It is kept, or part of it, in these cases: {cases.en}",
                ),
            )
        if waived:
            return _point(
                "lost",
                Text(f"以下情形须赔付：{cases.zh_cn}", f"You owe compensation in these cases: {cases.en}"),
            )
        return _point(
            "lost",
            Text(
                f"以下情形不退或扣减：{cases.zh_cn}", f"It is kept, or part of it, in these cases: {cases.en}"
            ),
        )


def _point(code: PointCode, says: Text, *, warns: bool = False) -> SheetPoint:
    return SheetPoint(code, _TITLES[code], says, warns)

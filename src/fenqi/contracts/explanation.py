"""Why a figure changed: two states of one contract side by side, row by row.

A payment that is told late, one that is undone, goods that go back: each makes later rows other than they were said to be. This
says what is other, as values with sentences in both languages, so that nobody has to guess.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

import msgspec

from fenqi.calendars import format_date
from fenqi.contracts.contract import ContractState, PaymentState, RowState
from fenqi.money import format_money
from fenqi.terms.schedule import RowKind
from fenqi.texts import Text

__all__ = ["Difference", "PaymentChange", "RowChange", "explain"]

Figure = Literal[
    "principal",
    "fee",
    "interest",
    "penalty",
    "principal_paid",
    "fee_paid",
    "interest_paid",
    "penalty_paid",
    "rent",
    "rent_paid",
    "deposit",
    "deposit_paid",
]
_FIGURES: Final[tuple[tuple[Figure, str], ...]] = (
    ("principal", "principal_minor"),
    ("fee", "fee_minor"),
    ("interest", "interest_minor"),
    ("penalty", "penalty_minor"),
    ("principal_paid", "principal_paid_minor"),
    ("fee_paid", "fee_paid_minor"),
    ("interest_paid", "interest_paid_minor"),
    ("penalty_paid", "penalty_paid_minor"),
    ("rent", "rent_minor"),
    ("rent_paid", "rent_paid_minor"),
    ("deposit", "deposit_minor"),
    ("deposit_paid", "deposit_paid_minor"),
)
_WORDS: Final[dict[Figure, Text]] = {
    "principal": Text("货款", "price"),
    "fee": Text("手续费", "fee"),
    "interest": Text("利息", "interest"),
    "penalty": Text("逾期费", "charge for lateness"),
    "principal_paid": Text("已还货款", "price paid"),
    "fee_paid": Text("已还手续费", "fee paid"),
    "interest_paid": Text("已还利息", "interest paid"),
    "penalty_paid": Text("已还逾期费", "charge for lateness paid"),
    "rent": Text("租金", "rent"),
    "rent_paid": Text("已付租金", "rent paid"),
    "deposit": Text("押金", "deposit"),
    "deposit_paid": Text("已付押金", "deposit paid"),
}
_ROWS: Final[dict[RowKind, Text]] = {
    "down_payment": Text("首付", "Down payment"),
    "up_front": Text("签约时", "At the start"),
    "deposit": Text("押金", "Deposit"),
    "buyout": Text("买断款", "Buyout"),
    "goods_return": Text("归还商品", "Giving back"),
    "deposit_return": Text("退还押金", "Deposit back"),
    "extra": Text("其他费用", "Further charges"),
}
"""What is no instalment has a name and no number."""


class RowChange(msgspec.Struct, frozen=True):
    """One figure of one row, before and after. None: the row was not there, or is not there any more."""

    row: int
    figure: Figure | Literal["due_on"]
    before: int | date | None
    after: int | date | None
    currency: str
    kind: RowKind = "instalment"

    @property
    def text(self) -> Text:
        """The change in a sentence."""
        zh, en = (self._shown(locale) for locale in ("zh-CN", "en"))
        name = self._name()
        if self.figure == "due_on" and self.before is None:
            return Text(f"新增{name.zh_cn}，{zh[1]}到期。", f"{name.en} is new, and due on {en[1]}.")
        if self.figure == "due_on" and self.after is None:
            return Text(
                f"{name.zh_cn}原于{zh[0]}到期，现已取消。",
                f"{name.en}, due on {en[0]}, is not asked for any more.",
            )
        if self.figure == "due_on":
            return Text(
                f"{name.zh_cn}的到期日由{zh[0]}变为{zh[1]}。", f"{name.en} is due on {en[1]}, not {en[0]}."
            )
        if self.figure == self.kind:
            return Text(f"{name.zh_cn}由{zh[0]}变为{zh[1]}。", f"{name.en} is {en[1]}, not {en[0]}.")
        word = _WORDS[self.figure]
        return Text(
            f"{name.zh_cn}的{word.zh_cn}由{zh[0]}变为{zh[1]}。",
            f"{name.en}: {word.en} is {en[1]}, not {en[0]}.",
        )

    def _name(self) -> Text:
        """What the row is called where rows are listed."""
        if self.kind == "rent":
            return Text(f"第{self.row}期租金", f"Rent {self.row}")
        return _ROWS.get(self.kind) or Text(f"第{self.row}期", f"Instalment {self.row}")

    def _shown(self, locale: str) -> tuple[str, str]:
        def show(value: int | date | None) -> str:
            if value is None:
                return ""
            if isinstance(value, date):
                return format_date(value, locale)
            return format_money(value, self.currency)

        return show(self.before), show(self.after)


class PaymentChange(msgspec.Struct, frozen=True):
    """A payment that paid something else than before: its parts by row, before and after (empty: it was not there)."""

    payment_id: str
    before: tuple[tuple[int, int], ...]
    after: tuple[tuple[int, int], ...]


class Difference(msgspec.Struct, frozen=True):
    """Everything that is other in `after` than in `before`."""

    rows: tuple[RowChange, ...]
    payments: tuple[PaymentChange, ...]
    balance_before_minor: int
    balance_after_minor: int
    unapplied_before_minor: int
    unapplied_after_minor: int

    @property
    def balance_change_minor(self) -> int:
        """How much more is owed."""
        return self.balance_after_minor - self.balance_before_minor


def explain(before: ContractState, after: ContractState) -> Difference:
    """What changed from one state of a contract to another. The two are of one contract, as of one day or of two."""
    old = {row.number: row for row in before.rows}
    new = {row.number: row for row in after.rows}
    numbers = [row.number for row in after.rows]
    numbers += [row.number for row in before.rows if row.number not in new]
    changes: list[RowChange] = []
    for number in numbers:
        changes += _row(number, old.get(number), new.get(number), after.currency)
    paid_before = {payment.payment_id: _parts(payment) for payment in before.payments}
    paid_after = {payment.payment_id: _parts(payment) for payment in after.payments}
    payments = tuple(
        PaymentChange(name, paid_before.get(name, ()), paid_after.get(name, ()))
        for name in [*paid_after, *[name for name in paid_before if name not in paid_after]]
        if paid_before.get(name) != paid_after.get(name)
    )
    return Difference(
        tuple(changes),
        payments,
        before.balance_minor,
        after.balance_minor,
        before.unapplied_minor,
        after.unapplied_minor,
    )


def _row(number: int, old: RowState | None, new: RowState | None, currency: str) -> list[RowChange]:
    changes: list[RowChange] = []
    row = old if new is None else new
    assert row is not None, "a row stands in one of the two"
    dates = (None if old is None else old.due_on, None if new is None else new.due_on)
    if dates[0] != dates[1]:
        changes.append(RowChange(number, "due_on", *dates, currency, row.kind))
    for figure, field in _FIGURES:
        was = 0 if old is None else getattr(old, field)
        now = 0 if new is None else getattr(new, field)
        if was != now:
            changes.append(RowChange(number, figure, was, now, currency, row.kind))
    return changes


def _parts(payment: PaymentState) -> tuple[tuple[int, int], ...]:
    sums: dict[int, int] = {}
    for part in payment.parts:
        sums[part.row] = sums.get(part.row, 0) + part.total_minor
    return tuple(sums.items())

"""The chart of accounts: closed, so that no posting can invent an account.

An amount is signed: a debit is positive, a credit negative. A new account is a new row here and in the database's
check, by a migration; no account is ever removed or given another meaning.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from fenqi.texts import Text

__all__ = [
    "BANK",
    "CHART",
    "CONVERSION",
    "FEE_INCOME",
    "FEE_RECEIVABLE",
    "IN_TRANSIT",
    "MERCHANT_PAYABLE",
    "PRINCIPAL_RECEIVABLE",
    "SALES",
    "UNAPPLIED_CASH",
    "Account",
    "AccountClass",
]

AccountClass = Literal["asset", "liability", "income"]


class Account(msgspec.Struct, frozen=True):
    """One account.

    `zero_at` says when it must come to zero, which balanced books alone do not promise: a contract's receivables when
    the contract is closed, money in transit when its settlement has arrived.
    """

    code: int
    name: str
    account_class: AccountClass
    title: Text
    zero_at: Literal["close", "settlement"] | None = None

    @property
    def normal_side(self) -> Literal["debit", "credit"]:
        """The side on which it grows."""
        return "debit" if self.account_class == "asset" else "credit"


BANK: Final = 1010
IN_TRANSIT: Final = 1020
CONVERSION: Final = 1030
PRINCIPAL_RECEIVABLE: Final = 1110
FEE_RECEIVABLE: Final = 1120
MERCHANT_PAYABLE: Final = 2010
UNAPPLIED_CASH: Final = 2110
SALES: Final = 4010
FEE_INCOME: Final = 4110

CHART: Final[dict[int, Account]] = {
    account.code: account
    for account in (
        Account(BANK, "bank", "asset", Text("银行存款", "Bank")),
        Account(IN_TRANSIT, "in_transit", "asset", Text("在途资金", "Money in transit"), "settlement"),
        # What one currency was given and another got for: neither comes to zero alone.
        Account(CONVERSION, "conversion", "asset", Text("外币兑换", "Currency exchanged")),
        Account(
            PRINCIPAL_RECEIVABLE,
            "principal_receivable",
            "asset",
            Text("应收分期本金", "Principal receivable"),
            "close",
        ),
        Account(
            FEE_RECEIVABLE, "fee_receivable", "asset", Text("应收分期手续费", "Fees receivable"), "close"
        ),
        Account(MERCHANT_PAYABLE, "merchant_payable", "liability", Text("应付商户款", "Payable to sellers")),
        Account(UNAPPLIED_CASH, "unapplied_cash", "liability", Text("待处理收款", "Unapplied cash")),
        Account(SALES, "sales", "income", Text("商品销售收入", "Sales")),
        Account(FEE_INCOME, "fee_income", "income", Text("分期手续费收入", "Fee income")),
    )
}

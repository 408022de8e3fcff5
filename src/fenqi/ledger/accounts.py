"""The chart of accounts: closed, so that no posting can invent an account.

An amount is signed: a debit is positive, a credit negative. A new account is a new row here and in the database's
check, by a migration; no account is ever removed or given another meaning.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from fenqi.texts import Text

__all__ = [
    "ACCRUED_INCOME",
    "ACCUMULATED_DEPRECIATION",
    "BANK",
    "CHART",
    "COLLECTION_COST",
    "CONVERSION",
    "COST_OF_SALES",
    "CREDIT_LOSS",
    "DEFERRED_INCOME",
    "DEPOSITS_HELD",
    "DEPRECIATION",
    "FEE_INCOME",
    "FEE_RECEIVABLE",
    "GOODWILL",
    "INTEREST_INCOME",
    "INTEREST_RECEIVABLE",
    "INVENTORY",
    "IN_TRANSIT",
    "LEASED_ASSETS",
    "LEASE_INCOME",
    "MERCHANT_PAYABLE",
    "OPENING_BALANCES",
    "OTHER_INCOME",
    "PENALTY_INCOME",
    "PENALTY_RECEIVABLE",
    "PRINCIPAL_RECEIVABLE",
    "PROVIDER_FEES",
    "RECOVERIES",
    "REFUND_PAYABLE",
    "RENT_RECEIVABLE",
    "SALES",
    "SALES_RETURNS",
    "SUBSIDY_RECEIVABLE",
    "SUSPENSE",
    "UNAPPLIED_CASH",
    "Account",
    "AccountClass",
]

AccountClass = Literal["asset", "liability", "equity", "income", "expense"]


class Account(msgspec.Struct, frozen=True):
    """One account. `contra`: it grows on the other side than its class, and takes away from another account.

    `zero_at` says when it must come to zero, which balanced books alone do not promise: a contract's receivables, deposits and
    deferred income when the contract is closed, money in transit when its settlement has arrived.
    """

    code: int
    name: str
    account_class: AccountClass
    title: Text
    zero_at: Literal["close", "settlement"] | None = None
    contra: bool = False

    @property
    def normal_side(self) -> Literal["debit", "credit"]:
        """The side on which it grows."""
        return "debit" if (self.account_class in ("asset", "expense")) is not self.contra else "credit"


BANK: Final = 1010
IN_TRANSIT: Final = 1020
CONVERSION: Final = 1030
PRINCIPAL_RECEIVABLE: Final = 1110
FEE_RECEIVABLE: Final = 1120
INTEREST_RECEIVABLE: Final = 1130
PENALTY_RECEIVABLE: Final = 1140
RENT_RECEIVABLE: Final = 1150
SUBSIDY_RECEIVABLE: Final = 1160
ACCRUED_INCOME: Final = 1170
INVENTORY: Final = 1210
LEASED_ASSETS: Final = 1220
ACCUMULATED_DEPRECIATION: Final = 1230
MERCHANT_PAYABLE: Final = 2010
UNAPPLIED_CASH: Final = 2110
REFUND_PAYABLE: Final = 2120
DEPOSITS_HELD: Final = 2130
DEFERRED_INCOME: Final = 2140
SUSPENSE: Final = 2910
OPENING_BALANCES: Final = 3010
SALES: Final = 4010
SALES_RETURNS: Final = 4020
FEE_INCOME: Final = 4110
INTEREST_INCOME: Final = 4120
PENALTY_INCOME: Final = 4130
LEASE_INCOME: Final = 4140
RECOVERIES: Final = 4150
OTHER_INCOME: Final = 4190
COST_OF_SALES: Final = 5010
DEPRECIATION: Final = 5020
CREDIT_LOSS: Final = 5110
GOODWILL: Final = 5120
COLLECTION_COST: Final = 5210
PROVIDER_FEES: Final = 5220

CHART: Final[dict[int, Account]] = {
    account.code: account
    for account in (
        Account(BANK, "bank", "asset", Text("银行存款", "Bank")),
        Account(IN_TRANSIT, "in_transit", "asset", Text("在途资金", "Money in transit"), "settlement"),
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
        Account(
            INTEREST_RECEIVABLE,
            "interest_receivable",
            "asset",
            Text("应收利息", "Interest receivable"),
            "close",
        ),
        Account(
            PENALTY_RECEIVABLE,
            "penalty_receivable",
            "asset",
            Text("应收违约金", "Penalties receivable"),
            "close",
        ),
        Account(RENT_RECEIVABLE, "rent_receivable", "asset", Text("应收租金", "Rents receivable"), "close"),
        Account(
            SUBSIDY_RECEIVABLE, "subsidy_receivable", "asset", Text("应收贴息", "Subsidies due from others")
        ),
        Account(ACCRUED_INCOME, "accrued_income", "asset", Text("应计收入", "Income accrued"), "close"),
        Account(INVENTORY, "inventory", "asset", Text("库存商品", "Inventory")),
        Account(LEASED_ASSETS, "leased_assets", "asset", Text("租出资产", "Leased assets"), "close"),
        Account(
            ACCUMULATED_DEPRECIATION,
            "accumulated_depreciation",
            "asset",
            Text("累计折旧", "Accumulated depreciation"),
            "close",
            contra=True,
        ),
        Account(MERCHANT_PAYABLE, "merchant_payable", "liability", Text("应付商户款", "Payable to sellers")),
        Account(UNAPPLIED_CASH, "unapplied_cash", "liability", Text("待处理收款", "Unapplied cash")),
        Account(REFUND_PAYABLE, "refund_payable", "liability", Text("应付退款", "Refunds payable")),
        Account(DEPOSITS_HELD, "deposits_held", "liability", Text("存入押金", "Deposits held"), "close"),
        Account(
            DEFERRED_INCOME, "deferred_income", "liability", Text("递延收益", "Deferred income"), "close"
        ),
        Account(SUSPENSE, "suspense", "liability", Text("待查款项", "Suspense")),
        Account(OPENING_BALANCES, "opening_balances", "equity", Text("期初余额", "Opening balances")),
        Account(SALES, "sales", "income", Text("商品销售收入", "Sales")),
        Account(SALES_RETURNS, "sales_returns", "income", Text("销售退回", "Sales returned"), contra=True),
        Account(FEE_INCOME, "fee_income", "income", Text("分期手续费收入", "Fee income")),
        Account(INTEREST_INCOME, "interest_income", "income", Text("利息收入", "Interest income")),
        Account(PENALTY_INCOME, "penalty_income", "income", Text("违约金收入", "Penalty income")),
        Account(LEASE_INCOME, "lease_income", "income", Text("租赁收入", "Lease income")),
        Account(RECOVERIES, "recoveries", "income", Text("已核销收回", "Recovered after write-off")),
        Account(OTHER_INCOME, "other_income", "income", Text("其他收入", "Other income")),
        Account(COST_OF_SALES, "cost_of_sales", "expense", Text("商品销售成本", "Cost of goods sold")),
        Account(DEPRECIATION, "depreciation", "expense", Text("折旧", "Depreciation")),
        Account(CREDIT_LOSS, "credit_loss", "expense", Text("信用损失", "Credit losses")),
        Account(GOODWILL, "goodwill", "expense", Text("让利支出", "Goodwill")),
        Account(COLLECTION_COST, "collection_cost", "expense", Text("催收费用", "Cost of collecting")),
        Account(PROVIDER_FEES, "provider_fees", "expense", Text("支付手续费", "Payment providers’ fees")),
    )
}

"""Accounts for interest, penalties, refunds, leases, losses and what collecting costs, and the class of expenses."""

from importlib import import_module

from django.db import migrations

entries_ok = import_module("fenqi_server.books.migrations.0002_periods").entries_ok

_BEFORE = "1010, 1020, 1030, 1110, 1120, 2010, 2110, 4010, 4110"
_NEW = (
    (1130, "interest_receivable", "asset"),
    (1140, "penalty_receivable", "asset"),
    (1150, "rent_receivable", "asset"),
    (1160, "subsidy_receivable", "asset"),
    (1210, "inventory", "asset"),
    (1220, "leased_assets", "asset"),
    (1230, "accumulated_depreciation", "asset"),
    (2120, "refund_payable", "liability"),
    (2130, "deposits_held", "liability"),
    (2140, "deferred_income", "liability"),
    (2910, "suspense", "liability"),
    (4020, "sales_returns", "income"),
    (4120, "interest_income", "income"),
    (4130, "penalty_income", "income"),
    (4140, "lease_income", "income"),
    (4150, "recoveries", "income"),
    (4190, "other_income", "income"),
    (5010, "cost_of_sales", "expense"),
    (5020, "depreciation", "expense"),
    (5110, "credit_loss", "expense"),
    (5120, "goodwill", "expense"),
    (5210, "collection_cost", "expense"),
)
_CODES = ", ".join([_BEFORE, *[str(code) for code, _, _ in _NEW]])
_ROWS = ", ".join(f"({code}, '{name}', '{kind}')" for code, name, kind in _NEW)
_CLASSES = "'asset', 'liability', 'income'"

_UP = f"""
ALTER TABLE books_account DROP CONSTRAINT books_account_class_check;
ALTER TABLE books_account ADD CONSTRAINT books_account_class_check CHECK (class IN ({_CLASSES}, 'expense'));
INSERT INTO books_account (code, name, class) VALUES {_ROWS};
""" + entries_ok(_CODES)

_DOWN = f"""
DELETE FROM books_account WHERE code NOT IN ({_BEFORE});
ALTER TABLE books_account DROP CONSTRAINT books_account_class_check;
ALTER TABLE books_account ADD CONSTRAINT books_account_class_check CHECK (class IN ({_CLASSES}));
""" + entries_ok(_BEFORE)


class Migration(migrations.Migration):
    dependencies = [("books", "0002_periods")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

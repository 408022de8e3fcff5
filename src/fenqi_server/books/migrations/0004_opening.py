"""An account against which balances stand that were there before this book began, and the class of equity."""

from importlib import import_module

from django.db import migrations

entries_ok = import_module("fenqi_server.books.migrations.0002_periods").entries_ok
_BEFORE = import_module("fenqi_server.books.migrations.0003_chart")._CODES
_CLASSES = "'asset', 'liability', 'income', 'expense'"

_UP = f"""
ALTER TABLE books_account DROP CONSTRAINT books_account_class_check;
ALTER TABLE books_account ADD CONSTRAINT books_account_class_check CHECK (class IN ({_CLASSES}, 'equity'));
INSERT INTO books_account (code, name, class) VALUES (3010, 'opening_balances', 'equity');
""" + entries_ok(f"{_BEFORE}, 3010")

_DOWN = f"""
DELETE FROM books_account WHERE code = 3010;
ALTER TABLE books_account DROP CONSTRAINT books_account_class_check;
ALTER TABLE books_account ADD CONSTRAINT books_account_class_check CHECK (class IN ({_CLASSES}));
""" + entries_ok(_BEFORE)


class Migration(migrations.Migration):
    dependencies = [("books", "0003_chart")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

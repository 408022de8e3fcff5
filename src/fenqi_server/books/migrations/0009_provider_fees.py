"""An account for what payment providers keep of what they collect."""

from importlib import import_module

from django.db import migrations

entries_ok = import_module("fenqi_server.books.migrations.0002_periods").entries_ok
_BEFORE = import_module("fenqi_server.books.migrations.0003_chart")._CODES + ", 3010"

_UP = """
INSERT INTO books_account (code, name, class) VALUES (5220, 'provider_fees', 'expense');
""" + entries_ok(f"{_BEFORE}, 5220")
_DOWN = """
DELETE FROM books_account WHERE code = 5220;
""" + entries_ok(_BEFORE)


class Migration(migrations.Migration):
    dependencies = [("books", "0008_shop_asked_once")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

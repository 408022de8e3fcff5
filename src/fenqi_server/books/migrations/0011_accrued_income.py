"""An account for income between two due dates, at the end of a month."""

from importlib import import_module

from django.db import migrations

_checks = import_module("fenqi_server.books.migrations.0010_plain_check")

_UP = """
INSERT INTO books_account (code, name, class) VALUES (1170, 'accrued_income', 'asset');
""" + _checks.entries_ok(f"{_checks.CODES}, 1170")
_DOWN = """
DELETE FROM books_account WHERE code = 1170;
""" + _checks.entries_ok(_checks.CODES)


class Migration(migrations.Migration):
    dependencies = [("books", "0010_plain_check")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

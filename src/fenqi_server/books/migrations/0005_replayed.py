"""A proof says how many contracts it replayed, and where the next night goes on."""

from django.db import migrations

_UP = """
ALTER TABLE books_proof ADD COLUMN replayed bigint NOT NULL DEFAULT 0;
-- The public name of the last contract of a night's share; empty where the next night begins with the first.
ALTER TABLE books_proof ADD COLUMN replayed_to text NOT NULL DEFAULT '';
"""
_DOWN = "ALTER TABLE books_proof DROP COLUMN replayed_to; ALTER TABLE books_proof DROP COLUMN replayed;"


class Migration(migrations.Migration):
    dependencies = [("books", "0004_opening")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

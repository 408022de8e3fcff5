"""The demo's year: when it began, and what of its diary has happened."""

from django.db import migrations

_UP = """
CREATE TABLE demo_year (
    id smallint PRIMARY KEY CHECK (id = 1),
    began_on date NOT NULL
);
CREATE TABLE demo_diary (
    entry smallint PRIMARY KEY,
    happened_at timestamptz NOT NULL
);
GRANT SELECT, INSERT ON demo_year, demo_diary TO fenqi_service;
"""

_DOWN = "DROP TABLE demo_diary; DROP TABLE demo_year;"


class Migration(migrations.Migration):
    dependencies = [("demo", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

"""The demo's one clock: how far it is ahead of the machine's."""

from django.db import migrations

_UP = """
CREATE TABLE demo_clock (
    id smallint PRIMARY KEY CHECK (id = 1),
    ahead interval NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON demo_clock TO fenqi_service;
"""

_DOWN = "DROP TABLE demo_clock;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]

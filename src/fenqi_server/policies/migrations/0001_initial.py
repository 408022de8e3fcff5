"""The record of which policy was in force: two tables that are only ever added to."""

from django.db import migrations

_UP = """
CREATE TABLE policies_snapshot (
    digest text PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    body bytea NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE TABLE policies_publication (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    digest text NOT NULL REFERENCES policies_snapshot,
    valid_from timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    PRIMARY KEY (shop_id, id)
);
-- Append-only by privilege: there is nothing to update in a record of what was published.
GRANT SELECT, INSERT ON policies_snapshot, policies_publication TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON policies_snapshot, policies_publication FROM fenqi_service;
"""

_DOWN = "DROP TABLE policies_publication; DROP TABLE policies_snapshot;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]

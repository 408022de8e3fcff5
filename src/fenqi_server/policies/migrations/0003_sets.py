"""The members of the sets that policies ask about, beside the snapshots that name them by their digest."""

from django.db import migrations

_UP = """
CREATE TABLE policies_set (
    shop_id uuid NOT NULL,
    digest text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    -- In order, each ended by a new line, in UTF-8: what the digest is of.
    members bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, digest)
);
GRANT SELECT, INSERT ON policies_set TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON policies_set FROM fenqi_service;
ALTER TABLE policies_set ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON policies_set
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
"""

_DOWN = "DROP TABLE policies_set;"


class Migration(migrations.Migration):
    dependencies = [("policies", "0002_governance")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

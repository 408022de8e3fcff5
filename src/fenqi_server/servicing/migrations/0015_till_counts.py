"""What was counted in the tills."""

from django.db import migrations

_UP = """
-- A few rows a day of a shop. A count is never changed: a second one is another row.
CREATE TABLE servicing_till_count (
    shop_id uuid NOT NULL,
    count_id uuid NOT NULL,
    day date NOT NULL,
    -- As payments name it; empty where they named none.
    till text NOT NULL CHECK (length(till) <= 100),
    counted_minor bigint NOT NULL CHECK (counted_minor >= 0),
    -- What was booked into it and not given back, when it was counted: negative where more was given back.
    expected_minor bigint NOT NULL,
    counted_by text NOT NULL CHECK (counted_by <> ''),
    counted_at timestamptz NOT NULL,
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    PRIMARY KEY (shop_id, count_id)
);
CREATE INDEX servicing_till_count_day ON servicing_till_count (shop_id, day);
ALTER TABLE servicing_till_count ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON servicing_till_count
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
REVOKE ALL ON servicing_till_count FROM fenqi_service;
GRANT SELECT, INSERT ON servicing_till_count TO fenqi_service;
"""
_DOWN = "DROP TABLE servicing_till_count"


class Migration(migrations.Migration):
    dependencies = [("servicing", "0014_taken_by")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

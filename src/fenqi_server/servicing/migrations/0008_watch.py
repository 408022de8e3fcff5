"""Contracts with something due or late, and when each is looked at again: what is late is found by an index, and payments touch none of it."""

from django.db import migrations

_UP = """
CREATE TABLE servicing_watch (
    customer_id uuid NOT NULL,
    contract_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    look_on date NOT NULL,
    -- Being late costs what was agreed after so many days; NULL: nothing.
    grace_days smallint,
    PRIMARY KEY (customer_id, contract_id),
    FOREIGN KEY (customer_id, contract_id) REFERENCES servicing_contract
);
CREATE INDEX servicing_watch_look ON servicing_watch (shop_id, look_on);

-- What the looks of a day did: late charges and reminders.
ALTER TABLE servicing_close_run ADD COLUMN late_charges integer NOT NULL DEFAULT 0;
ALTER TABLE servicing_close_run ADD COLUMN late_charged_minor bigint NOT NULL DEFAULT 0;

ALTER TABLE servicing_watch ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON servicing_watch USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
REVOKE ALL ON servicing_watch FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON servicing_watch TO fenqi_service;
"""

_DOWN = """
ALTER TABLE servicing_close_run DROP COLUMN late_charges, DROP COLUMN late_charged_minor;
DROP TABLE servicing_watch;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0007_leases")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

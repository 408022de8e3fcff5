"""Tables of all costs, kept under their names; and who was shown one, for how long, before agreeing to it."""

from django.db import migrations

_UP = """
-- A table as it was shown: nobody's in particular, and never changed. Its name is a hash of what it says.
CREATE TABLE disclosures_table (
    shop_id uuid NOT NULL,
    digest text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    table_version text NOT NULL,
    body jsonb NOT NULL,
    kept_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, digest)
);

-- Written in the transaction that confirms, under the confirmation's decision: by it, contract and hand-off find this.
CREATE TABLE disclosures_acknowledgement (
    customer_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    shop_id uuid NOT NULL,
    digest text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    shown_at timestamptz NOT NULL,
    read_seconds integer NOT NULL,
    asked_seconds integer NOT NULL CHECK (asked_seconds >= 0),
    confirmed_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, decision_id),
    CONSTRAINT disclosures_acknowledgement_read CHECK (read_seconds >= asked_seconds AND confirmed_at >= shown_at)
);

ALTER TABLE disclosures_table ENABLE ROW LEVEL SECURITY;
ALTER TABLE disclosures_acknowledgement ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON disclosures_table
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON disclosures_acknowledgement
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON disclosures_table, disclosures_acknowledgement FROM fenqi_service;
-- Records, both.
GRANT SELECT, INSERT ON disclosures_table, disclosures_acknowledgement TO fenqi_service;
"""

# Contracts made before have their tables in their terms: those get an address too.
OF_CONTRACTS = """
INSERT INTO disclosures_table (shop_id, digest, table_version, body, kept_at)
SELECT DISTINCT ON (shop_id, terms ->> 'disclosure_digest')
       shop_id, terms ->> 'disclosure_digest', terms -> 'disclosure' ->> 'table_version', terms -> 'disclosure', created_at
  FROM servicing_contract
 WHERE terms ->> 'disclosure_digest' ~ '^sha256:[0-9a-f]{64}$'
 ORDER BY shop_id, terms ->> 'disclosure_digest', created_at;
"""

_DOWN = """
DROP TABLE disclosures_acknowledgement;
DROP TABLE disclosures_table;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("servicing", "0002_due_moved")]
    operations = [migrations.RunSQL(_UP, _DOWN), migrations.RunSQL(OF_CONTRACTS, migrations.RunSQL.noop)]

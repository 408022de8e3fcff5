"""Customers: a key that means nothing, the shop's names for it, and, apart, what can be erased."""

from django.db import migrations

_UP = """
CREATE TABLE customers_customer (
    customer_id uuid PRIMARY KEY,
    shop_id uuid NOT NULL,
    -- A house party keeps the house's own money under a customer's key, and is nobody.
    kind text NOT NULL CHECK (kind IN ('person', 'house')),
    -- What the shop itself lends this customer at most. NULL: no limit was set, which is not a limit of 0.
    limit_minor bigint CHECK (limit_minor >= 0),
    created_at timestamptz NOT NULL
);

-- The exception to "customer_id first": this is the table that finds the customer's key, and with it the shard. It is a
-- reference table, small in columns, copied to every node.
CREATE TABLE customers_alias (
    shop_id uuid NOT NULL,
    external_ref text NOT NULL CHECK (external_ref <> '' AND length(external_ref) <= 200),
    customer_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, external_ref)
);
CREATE INDEX customers_alias_of ON customers_alias (customer_id);

-- Names, phones and addresses are here and nowhere else: deleting the row forgets the person and breaks no record.
CREATE TABLE customers_private (
    customer_id uuid PRIMARY KEY REFERENCES customers_customer,
    shop_id uuid NOT NULL,
    display_name text NOT NULL DEFAULT '',
    email text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL
);

ALTER TABLE customers_customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE customers_alias ENABLE ROW LEVEL SECURITY;
ALTER TABLE customers_private ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON customers_customer
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON customers_alias
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON customers_private
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

REVOKE ALL ON customers_customer, customers_alias, customers_private FROM fenqi_service;
-- UPDATE is also what locking a row asks for.
GRANT SELECT, INSERT, UPDATE ON customers_customer TO fenqi_service;
GRANT SELECT, INSERT ON customers_alias TO fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON customers_private TO fenqi_service;
"""

_DOWN = "DROP TABLE customers_private; DROP TABLE customers_alias; DROP TABLE customers_customer;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]

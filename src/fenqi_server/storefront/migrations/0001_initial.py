"""The demo mall's own orders: which cart was paid for in which way."""

from django.db import migrations

_UP = """
CREATE TABLE storefront_order (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    reference text NOT NULL CHECK (reference <> ''),
    lines jsonb NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    plan text NOT NULL,
    policy_digest text NOT NULL,
    -- Exactly one of the two: a contract of the mall's own, or a hand-off to another funder's page.
    contract text,
    hand_off text,
    placed_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, id),
    UNIQUE (customer_id, reference),
    CHECK ((contract IS NULL) <> (hand_off IS NULL))
);

ALTER TABLE storefront_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON storefront_order USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT ON storefront_order TO fenqi_service;
"""

_DOWN = "DROP TABLE storefront_order;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP, _DOWN)]

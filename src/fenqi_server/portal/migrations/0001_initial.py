"""Links that let a customer in once, and the visit that each of them began."""

from django.db import migrations

_UP = """
-- A link is used once: `used_at` is set by whoever comes first, and what it began is the visit of this row. The link itself
-- is signed and not stored; of a row nobody can make one.
CREATE TABLE portal_link (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    -- What the page opens with; empty: the overview.
    contract text NOT NULL DEFAULT '' CHECK (length(contract) <= 100),
    locale text NOT NULL DEFAULT '' CHECK (locale IN ('', 'zh-CN', 'en')),
    -- Where in the shop the customer came from.
    return_url text NOT NULL DEFAULT '' CHECK (length(return_url) <= 2000),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    seen_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (customer_id, id),
    CHECK (expires_at > created_at),
    CHECK ((used_at IS NULL) = (seen_at IS NULL)),
    CHECK (used_at IS NULL OR used_at < expires_at)
);
CREATE INDEX portal_link_old ON portal_link (shop_id, created_at);

ALTER TABLE portal_link ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON portal_link USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON portal_link TO fenqi_service;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("customers", "0001_initial")]
    operations = [migrations.RunSQL(_UP, "DROP TABLE portal_link;")]

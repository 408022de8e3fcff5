"""Who may do what in the console, and the counts that slow down guessing at the sign-in."""

from django.conf import settings
from django.db import migrations

_UP = """
-- One row is one role of one person in one shop. Taking a role away deletes its row; the audit log remembers it.
CREATE TABLE console_membership (
    shop_id uuid NOT NULL REFERENCES shops_shop (id),
    user_id integer NOT NULL REFERENCES auth_user (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN
        ('author', 'reviewer', 'publisher', 'support', 'supervisor', 'finance', 'auditor', 'admin')),
    -- Whose changes a reviewer may approve; every other role has none.
    layers text[] NOT NULL DEFAULT '{}' CHECK (layers <@ ARRAY
        ['law', 'compliance', 'agreement', 'risk', 'maintenance', 'health', 'strategy', 'cart', 'customer']),
    granted_at timestamptz NOT NULL,
    granted_by text NOT NULL CHECK (granted_by <> ''),
    PRIMARY KEY (shop_id, user_id, role),
    CHECK ((role = 'reviewer') = (cardinality(layers) > 0))
);
CREATE INDEX console_membership_of_a_person ON console_membership (user_id);

-- Django's cache: shared by every process, so that a limit of ten tries is ten and not ten a process.
CREATE TABLE console_cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY,
    value text NOT NULL,
    expires timestamptz NOT NULL
);
CREATE INDEX console_cache_expires ON console_cache (expires);

GRANT SELECT, INSERT, UPDATE, DELETE ON console_membership TO fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON console_cache TO fenqi_service;
"""

_DOWN = "DROP TABLE console_cache; DROP TABLE console_membership;"


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("shops", "0001_initial"),
    ]
    operations = [migrations.RunSQL(_UP, _DOWN)]

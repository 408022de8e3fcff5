"""Who vouches for what is published: a signed header beside each publication, where the service has a key for it."""

from django.db import migrations

_UP = """
ALTER TABLE policies_publication
    -- The bytes that were signed, which name the snapshot and the key; and the signature over them.
    ADD COLUMN signed_header bytea,
    ADD COLUMN signature bytea,
    ADD CONSTRAINT policies_publication_signed CHECK ((signed_header IS NULL) = (signature IS NULL));
"""

_DOWN = """
ALTER TABLE policies_publication DROP CONSTRAINT policies_publication_signed,
    DROP COLUMN signed_header, DROP COLUMN signature;
"""


class Migration(migrations.Migration):
    dependencies = [("policies", "0003_sets")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

"""A difference that nobody will claim becomes a cost or an income of the shop's own."""

from django.db import migrations

_NAME = "reconciliation_clearing_action_check"
_BEFORE = "'accept', 'link', 'suspend', 'release'"


def _allow(actions: str) -> str:
    return f"""
ALTER TABLE reconciliation_clearing DROP CONSTRAINT {_NAME};
ALTER TABLE reconciliation_clearing ADD CONSTRAINT {_NAME} CHECK (action IN ({actions}));
"""


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0001_initial")]
    operations = [migrations.RunSQL(_allow(f"{_BEFORE}, 'absorb'"), _allow(_BEFORE))]

"""The day that a shop of one person waits instead of a second one: as for requests, in servicing's 0012_outgoing."""

from django.db import migrations

_UNIQUE = "reconciliation_clearing_shop_id_break_id_number_asked_by_at_key"
_FOREIGN = "reconciliation_decision_shop_id_break_id_number_asked_by_a_fkey"
_OTHER = "verdict <> 'approve' OR at_stake_minor <= limit_minor OR lower(decided_by) <> lower(asked_by)"

_UP = f"""
ALTER TABLE reconciliation_clearing ADD COLUMN alone boolean NOT NULL DEFAULT false;
ALTER TABLE reconciliation_decision ADD COLUMN asked_at timestamptz, ADD COLUMN alone boolean NOT NULL DEFAULT false;
UPDATE reconciliation_decision AS d SET asked_at = c.asked_at
  FROM reconciliation_clearing AS c WHERE c.shop_id = d.shop_id AND c.break_id = d.break_id AND c.number = d.number;
ALTER TABLE reconciliation_decision ALTER COLUMN asked_at SET NOT NULL, ALTER COLUMN alone DROP DEFAULT;
ALTER TABLE reconciliation_clearing ALTER COLUMN alone DROP DEFAULT;

-- The decision repeats what its check has to see; the key keeps it to what was asked.
ALTER TABLE reconciliation_decision DROP CONSTRAINT {_FOREIGN};
ALTER TABLE reconciliation_clearing DROP CONSTRAINT {_UNIQUE};
ALTER TABLE reconciliation_clearing ADD CONSTRAINT reconciliation_clearing_as_asked
    UNIQUE (shop_id, break_id, number, asked_by, asked_at, at_stake_minor, limit_minor, alone);
ALTER TABLE reconciliation_decision ADD CONSTRAINT reconciliation_decision_as_asked
    FOREIGN KEY (shop_id, break_id, number, asked_by, asked_at, at_stake_minor, limit_minor, alone)
    REFERENCES reconciliation_clearing (shop_id, break_id, number, asked_by, asked_at, at_stake_minor, limit_minor, alone);
ALTER TABLE reconciliation_decision DROP CONSTRAINT reconciliation_decision_two_people;
ALTER TABLE reconciliation_decision ADD CONSTRAINT reconciliation_decision_two_people
    CHECK ({_OTHER} OR (alone AND decided_at - asked_at >= interval '24 hours'));
"""

# Where somebody agreed alone the older schema cannot keep it; undoing fails then.
_DOWN = f"""
ALTER TABLE reconciliation_decision DROP CONSTRAINT reconciliation_decision_two_people;
ALTER TABLE reconciliation_decision ADD CONSTRAINT reconciliation_decision_two_people CHECK ({_OTHER});
ALTER TABLE reconciliation_decision DROP CONSTRAINT reconciliation_decision_as_asked;
ALTER TABLE reconciliation_clearing DROP CONSTRAINT reconciliation_clearing_as_asked;
ALTER TABLE reconciliation_clearing ADD CONSTRAINT {_UNIQUE}
    UNIQUE (shop_id, break_id, number, asked_by, at_stake_minor, limit_minor);
ALTER TABLE reconciliation_decision ADD CONSTRAINT {_FOREIGN}
    FOREIGN KEY (shop_id, break_id, number, asked_by, at_stake_minor, limit_minor)
    REFERENCES reconciliation_clearing (shop_id, break_id, number, asked_by, at_stake_minor, limit_minor);
ALTER TABLE reconciliation_decision DROP COLUMN asked_at, DROP COLUMN alone;
ALTER TABLE reconciliation_clearing DROP COLUMN alone;
"""


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0002_absorb")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

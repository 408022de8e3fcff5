"""A second person for what is sent out, taken back or charged; the day that a shop of one person waits instead."""

from django.db import migrations

_UP = """
ALTER TABLE servicing_request ADD COLUMN alone boolean NOT NULL DEFAULT false;
ALTER TABLE servicing_request_decision ADD COLUMN kind text;
ALTER TABLE servicing_request_decision ADD COLUMN asked_at timestamptz;
ALTER TABLE servicing_request_decision ADD COLUMN alone boolean NOT NULL DEFAULT false;
UPDATE servicing_request_decision AS d SET kind = r.kind, asked_at = r.asked_at
  FROM servicing_request AS r WHERE r.customer_id = d.customer_id AND r.request_id = d.request_id;
ALTER TABLE servicing_request_decision ALTER COLUMN kind SET NOT NULL, ALTER COLUMN asked_at SET NOT NULL,
    ALTER COLUMN alone DROP DEFAULT;
ALTER TABLE servicing_request ALTER COLUMN alone DROP DEFAULT;

ALTER TABLE servicing_request DROP CONSTRAINT servicing_request_kind_check;
ALTER TABLE servicing_request ADD CONSTRAINT servicing_request_kind_check CHECK (kind IN (
    'return', 'hardship', 'goodwill', 'waiver', 'write_off', 'refund', 'held_refund', 'unmatched_refund', 'reversal', 'charge'));
-- Money that named no contract lies with a house party: what is asked about it names none either.
ALTER TABLE servicing_request ALTER COLUMN contract_id DROP NOT NULL;
ALTER TABLE servicing_request ADD CONSTRAINT servicing_request_contract_named
    CHECK ((kind = 'unmatched_refund') = (contract_id IS NULL));

-- The decision repeats what its check has to see; the key keeps it to what was asked.
ALTER TABLE servicing_request_decision DROP CONSTRAINT servicing_request_decision_customer_id_request_id_asked_by_fkey;
ALTER TABLE servicing_request DROP CONSTRAINT servicing_request_customer_id_request_id_asked_by_at_stake__key;
ALTER TABLE servicing_request ADD CONSTRAINT servicing_request_as_asked
    UNIQUE (customer_id, request_id, kind, asked_by, asked_at, at_stake_minor, limit_minor, alone);
ALTER TABLE servicing_request_decision ADD CONSTRAINT servicing_request_decision_as_asked
    FOREIGN KEY (customer_id, request_id, kind, asked_by, asked_at, at_stake_minor, limit_minor, alone)
    REFERENCES servicing_request (customer_id, request_id, kind, asked_by, asked_at, at_stake_minor, limit_minor, alone);
ALTER TABLE servicing_request_decision DROP CONSTRAINT servicing_request_decision_check;
ALTER TABLE servicing_request_decision ADD CONSTRAINT servicing_request_decision_event
    CHECK ((verdict = 'approved' AND kind <> 'unmatched_refund') = (event_seq IS NOT NULL));
ALTER TABLE servicing_request_decision DROP CONSTRAINT servicing_request_two_people;
ALTER TABLE servicing_request_decision ADD CONSTRAINT servicing_request_two_people
    CHECK (verdict <> 'approved' OR at_stake_minor <= limit_minor OR lower(decided_by) <> lower(asked_by)
           OR (alone AND decided_at - asked_at >= interval '24 hours'));
"""

# Requests of the new kinds cannot be kept by the older schema; undoing fails where there are any.
_DOWN = """
ALTER TABLE servicing_request_decision DROP CONSTRAINT servicing_request_two_people;
ALTER TABLE servicing_request_decision DROP CONSTRAINT servicing_request_decision_event;
ALTER TABLE servicing_request_decision DROP CONSTRAINT servicing_request_decision_as_asked;
ALTER TABLE servicing_request DROP CONSTRAINT servicing_request_as_asked;
ALTER TABLE servicing_request DROP CONSTRAINT servicing_request_contract_named;
ALTER TABLE servicing_request ALTER COLUMN contract_id SET NOT NULL;
ALTER TABLE servicing_request DROP CONSTRAINT servicing_request_kind_check;
ALTER TABLE servicing_request ADD CONSTRAINT servicing_request_kind_check
    CHECK (kind IN ('return', 'hardship', 'goodwill', 'waiver', 'write_off'));
ALTER TABLE servicing_request ADD UNIQUE (customer_id, request_id, asked_by, at_stake_minor, limit_minor);
ALTER TABLE servicing_request_decision ADD FOREIGN KEY (customer_id, request_id, asked_by, at_stake_minor, limit_minor)
    REFERENCES servicing_request (customer_id, request_id, asked_by, at_stake_minor, limit_minor);
ALTER TABLE servicing_request_decision ADD CONSTRAINT servicing_request_decision_check
    CHECK ((verdict = 'approved') = (event_seq IS NOT NULL));
ALTER TABLE servicing_request_decision ADD CONSTRAINT servicing_request_two_people
    CHECK (verdict <> 'approved' OR at_stake_minor <= limit_minor OR lower(decided_by) <> lower(asked_by));
ALTER TABLE servicing_request_decision DROP COLUMN kind, DROP COLUMN asked_at, DROP COLUMN alone;
ALTER TABLE servicing_request DROP COLUMN alone;
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0011_month_end")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

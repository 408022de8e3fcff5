"""Statements, what of them is matched, and what is broken.

What a provider states and what people decide is only ever added. A break is a row whose state moves: the money that is in
question, and the limit above which somebody else has to agree, are fixed with it, so that the checks below hold whatever the
service believes.
"""

from django.db import migrations

_TABLES = ("statement", "line", "match", "break", "clearing", "decision")

_UP = """
CREATE TABLE reconciliation_statement (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    settlement text NOT NULL CHECK (settlement <> '' AND length(settlement) <= 200),
    layout text NOT NULL CHECK (layout <> ''),
    file_name text NOT NULL CHECK (length(file_name) <= 200),
    digest text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    lines integer NOT NULL CHECK (lines > 0),
    amount_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    first_on date NOT NULL,
    last_on date NOT NULL CHECK (last_on >= first_on),
    imported_by text NOT NULL CHECK (imported_by <> ''),
    imported_at timestamptz NOT NULL,
    -- When its money was booked as arrived at the bank.
    arrived_at timestamptz,
    PRIMARY KEY (shop_id, id),
    CONSTRAINT reconciliation_statement_once UNIQUE (shop_id, digest)
);
CREATE INDEX reconciliation_statement_settlement ON reconciliation_statement (shop_id, settlement);

CREATE TABLE reconciliation_line (
    shop_id uuid NOT NULL,
    statement_id uuid NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    reference text NOT NULL CHECK (length(reference) <= 200),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    fee_minor bigint NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    happened_on date NOT NULL,
    party text NOT NULL,
    PRIMARY KEY (shop_id, statement_id, number),
    FOREIGN KEY (shop_id, statement_id) REFERENCES reconciliation_statement (shop_id, id)
);
CREATE INDEX reconciliation_line_reference ON reconciliation_line (shop_id, reference);

-- A line of theirs and a transaction of ours, each in one pair at most.
CREATE TABLE reconciliation_match (
    shop_id uuid NOT NULL,
    statement_id uuid NOT NULL,
    number integer NOT NULL,
    customer_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    matched_by text NOT NULL CHECK (matched_by IN ('reference', 'amount', 'person')),
    matched_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, statement_id, number),
    UNIQUE (shop_id, customer_id, transaction_id),
    FOREIGN KEY (shop_id, statement_id, number) REFERENCES reconciliation_line (shop_id, statement_id, number)
);

CREATE TABLE reconciliation_break (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    settlement text NOT NULL CHECK (settlement <> ''),
    kind text NOT NULL CHECK (kind IN ('missing_ours', 'missing_theirs', 'amount', 'date', 'duplicate', 'one_fen')),
    statement_id uuid,
    number integer,
    customer_id uuid,
    transaction_id uuid,
    ours_minor bigint NOT NULL,
    theirs_minor bigint NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    at_stake_minor bigint NOT NULL GENERATED ALWAYS AS (abs(theirs_minor - ours_minor)) STORED,
    limit_minor bigint NOT NULL CHECK (limit_minor >= 0),
    opened_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'asked', 'cleared', 'resolved')),
    closed_at timestamptz,
    cleared_by_number integer,
    cleared_verdict text GENERATED ALWAYS AS (CASE WHEN cleared_by_number IS NOT NULL THEN 'approve' END) STORED,
    PRIMARY KEY (shop_id, id),
    UNIQUE (shop_id, id, at_stake_minor, limit_minor),
    CHECK ((statement_id IS NULL) = (number IS NULL)),
    CHECK ((customer_id IS NULL) = (transaction_id IS NULL)),
    CHECK (statement_id IS NOT NULL OR transaction_id IS NOT NULL),
    CHECK ((state IN ('cleared', 'resolved')) = (closed_at IS NOT NULL)),
    -- Nothing is cleared but by a decision.
    CONSTRAINT reconciliation_break_decided CHECK ((state = 'cleared') = (cleared_by_number IS NOT NULL)),
    FOREIGN KEY (shop_id, statement_id, number) REFERENCES reconciliation_line (shop_id, statement_id, number)
);
-- A line is in one break at a time.
CREATE UNIQUE INDEX reconciliation_break_line ON reconciliation_break (shop_id, statement_id, number)
    WHERE state <> 'resolved' AND statement_id IS NOT NULL;
CREATE UNIQUE INDEX reconciliation_break_transaction ON reconciliation_break (shop_id, customer_id, transaction_id)
    WHERE state <> 'resolved' AND transaction_id IS NOT NULL;
CREATE INDEX reconciliation_break_desk ON reconciliation_break (shop_id, state, opened_at, id);

-- How somebody asks to clear a break, and what becomes of it. The second row repeats who asked and how much it is about.
CREATE TABLE reconciliation_clearing (
    shop_id uuid NOT NULL,
    break_id uuid NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    action text NOT NULL CHECK (action IN ('accept', 'link', 'suspend', 'release')),
    other_id uuid,
    reason text NOT NULL CHECK (reason <> '' AND length(reason) <= 2000),
    at_stake_minor bigint NOT NULL,
    limit_minor bigint NOT NULL,
    asked_by text NOT NULL CHECK (asked_by <> ''),
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, break_id, number),
    UNIQUE (shop_id, break_id, number, asked_by, at_stake_minor, limit_minor),
    CHECK ((action = 'link') = (other_id IS NOT NULL)),
    FOREIGN KEY (shop_id, break_id, at_stake_minor, limit_minor)
        REFERENCES reconciliation_break (shop_id, id, at_stake_minor, limit_minor),
    FOREIGN KEY (shop_id, other_id) REFERENCES reconciliation_break (shop_id, id)
);
CREATE TABLE reconciliation_decision (
    shop_id uuid NOT NULL,
    break_id uuid NOT NULL,
    number integer NOT NULL,
    asked_by text NOT NULL,
    at_stake_minor bigint NOT NULL,
    limit_minor bigint NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('approve', 'refuse')),
    decided_by text NOT NULL CHECK (decided_by <> ''),
    decided_at timestamptz NOT NULL,
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    PRIMARY KEY (shop_id, break_id, number),
    UNIQUE (shop_id, break_id, number, verdict),
    FOREIGN KEY (shop_id, break_id, number, asked_by, at_stake_minor, limit_minor)
        REFERENCES reconciliation_clearing (shop_id, break_id, number, asked_by, at_stake_minor, limit_minor),
    CONSTRAINT reconciliation_decision_two_people
        CHECK (verdict <> 'approve' OR at_stake_minor <= limit_minor OR lower(decided_by) <> lower(asked_by))
);
ALTER TABLE reconciliation_break ADD COLUMN cleared_break_id uuid,
    ADD CONSTRAINT reconciliation_break_own_or_linked CHECK ((cleared_break_id IS NULL) = (cleared_by_number IS NULL)),
    ADD CONSTRAINT reconciliation_break_cleared FOREIGN KEY (shop_id, cleared_break_id, cleared_by_number, cleared_verdict)
        REFERENCES reconciliation_decision (shop_id, break_id, number, verdict);
"""
_SECURE = "".join(
    f"""
ALTER TABLE reconciliation_{name} ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON reconciliation_{name} USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
REVOKE ALL ON reconciliation_{name} FROM fenqi_service;
GRANT SELECT, INSERT ON reconciliation_{name} TO fenqi_service;
"""
    for name in _TABLES
)
_GRANTS = """
GRANT UPDATE (arrived_at) ON reconciliation_statement TO fenqi_service;
GRANT UPDATE (state, closed_at, cleared_break_id, cleared_by_number) ON reconciliation_break TO fenqi_service;
"""
_DOWN = """
ALTER TABLE reconciliation_break DROP CONSTRAINT reconciliation_break_cleared;
DROP TABLE reconciliation_decision, reconciliation_clearing, reconciliation_break, reconciliation_match,
    reconciliation_line, reconciliation_statement;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(_UP + _SECURE + _GRANTS, _DOWN)]

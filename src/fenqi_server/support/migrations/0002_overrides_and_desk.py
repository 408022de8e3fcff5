"""Special cases (特批), and what a desk needs: who looks after a case, notes, reply templates, mail.

A special case is asked for in one row and decided in another, so that nothing said is ever changed, and so that the
rules about the two live in the database: no rule of law, never by the one who asked, at most 72 hours, never more
than was asked for. The second row repeats who asked, for how much and how long; the foreign key holds it to the first.
"""

from django.db import migrations

_UP = """
CREATE TABLE support_override (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    rule text NOT NULL CHECK (rule <> '' AND length(rule) <= 200),
    -- What the law asks is never the shop's to forgive.
    layer text NOT NULL CHECK (layer IN ('compliance', 'agreement', 'risk', 'maintenance', 'health', 'strategy', 'cart', 'customer')),
    plan text NOT NULL DEFAULT '',
    max_amount_minor bigint NOT NULL CHECK (max_amount_minor > 0),
    hours integer NOT NULL CHECK (hours BETWEEN 1 AND 72),
    reason text NOT NULL CHECK (reason <> '' AND length(reason) <= 2000),
    decision_id uuid,
    case_id uuid,
    asked_by text NOT NULL CHECK (asked_by <> ''),
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, id),
    UNIQUE (customer_id, id, asked_by, max_amount_minor, hours)
);
CREATE INDEX support_override_desk ON support_override (shop_id, id);

-- Decided once, ended once.
CREATE TABLE support_override_act (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    override_id uuid NOT NULL,
    act text NOT NULL CHECK (act IN ('approve', 'refuse', 'withdraw', 'revoke')),
    step text NOT NULL GENERATED ALWAYS AS (CASE act WHEN 'revoke' THEN 'end' ELSE 'decision' END) STORED,
    asked_by text NOT NULL,
    asked_max_minor bigint NOT NULL,
    asked_hours integer NOT NULL,
    done_by text NOT NULL CHECK (done_by <> ''),
    done_at timestamptz NOT NULL,
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    max_amount_minor bigint,
    expires_at timestamptz,
    PRIMARY KEY (customer_id, override_id, step),
    FOREIGN KEY (customer_id, override_id, asked_by, asked_max_minor, asked_hours)
        REFERENCES support_override (customer_id, id, asked_by, max_amount_minor, hours),
    CONSTRAINT support_override_two_people CHECK (act <> 'approve' OR lower(done_by) <> lower(asked_by)),
    CONSTRAINT support_override_own_to_withdraw CHECK (act <> 'withdraw' OR done_by = asked_by),
    CONSTRAINT support_override_within CHECK ((act = 'approve') = (max_amount_minor IS NOT NULL)
        AND (act = 'approve') = (expires_at IS NOT NULL)
        AND (max_amount_minor IS NULL OR (max_amount_minor > 0 AND max_amount_minor <= asked_max_minor))
        AND (expires_at IS NULL OR (expires_at > done_at
            AND extract(epoch FROM expires_at - done_at) <= least(asked_hours, 72) * 3600)))
);
CREATE INDEX support_override_in_force ON support_override_act (shop_id, expires_at) WHERE act = 'approve';

-- What was agreed to under it: the approved amount is for all of it together.
CREATE TABLE support_override_use (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    override_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    order_ref text NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, override_id, decision_id),
    FOREIGN KEY (customer_id, override_id) REFERENCES support_override (customer_id, id)
);

ALTER TABLE support_case DROP CONSTRAINT support_case_state_check;
ALTER TABLE support_case ADD CONSTRAINT support_case_state_check CHECK (state IN ('open', 'answered', 'closed'));
ALTER TABLE support_case
    ADD COLUMN came_from text NOT NULL DEFAULT 'checkout'
        CHECK (came_from IN ('checkout', 'notice', 'portal', 'email', 'api')),
    ADD COLUMN subject text NOT NULL DEFAULT '' CHECK (length(subject) <= 200),
    ADD COLUMN notice text NOT NULL DEFAULT '',
    ADD COLUMN assignee text NOT NULL DEFAULT '';

ALTER TABLE support_message
    ADD COLUMN actor text NOT NULL DEFAULT '',
    ADD COLUMN via text NOT NULL DEFAULT 'page' CHECK (via IN ('page', 'email', 'api')),
    -- A mail that a gateway hands over twice is one message.
    ADD COLUMN mail_id text,
    ADD CONSTRAINT support_message_mail_once UNIQUE (customer_id, mail_id);

-- What agents tell each other stands apart from what the customer reads: no query for one can bring the other.
CREATE TABLE support_note (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    case_id uuid NOT NULL,
    id uuid NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    body text NOT NULL CHECK (body <> ''),
    written_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, case_id, id),
    FOREIGN KEY (customer_id, case_id) REFERENCES support_case (customer_id, id)
);

CREATE TABLE support_template (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL CHECK (name <> '' AND length(name) <= 80),
    body_zh_cn text NOT NULL CHECK (body_zh_cn <> '' AND length(body_zh_cn) <= 2000),
    body_en text NOT NULL CHECK (body_en <> '' AND length(body_en) <= 2000),
    -- Of the versions that share a name the newest counts; one that is retired has none in use.
    retired boolean NOT NULL DEFAULT false,
    actor text NOT NULL CHECK (actor <> ''),
    written_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id)
);

-- How a case is found by the address that its customer answers to, an order by the shop's number, a person by phone or mail.
CREATE INDEX support_case_by_id ON support_case (shop_id, id);
CREATE INDEX servicing_contract_by_order ON servicing_contract (shop_id, order_ref);
CREATE INDEX funders_hand_off_by_order ON funders_hand_off (shop_id, order_ref);
CREATE INDEX customers_private_by_phone
    ON customers_private (shop_id, (right(regexp_replace(phone, '[^0-9]', '', 'g'), 11))) WHERE phone <> '';
CREATE INDEX customers_private_by_email ON customers_private (shop_id, lower(email)) WHERE email <> '';

ALTER TABLE support_override ENABLE ROW LEVEL SECURITY;
ALTER TABLE support_override_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE support_override_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE support_note ENABLE ROW LEVEL SECURITY;
ALTER TABLE support_template ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON support_override USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON support_override_act USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON support_override_use USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON support_note USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON support_template USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT ON support_override, support_override_act, support_override_use, support_note, support_template
    TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON support_override, support_override_act, support_override_use, support_note,
    support_template FROM fenqi_service;
"""

_DOWN = """
DROP INDEX support_case_by_id; DROP INDEX servicing_contract_by_order; DROP INDEX funders_hand_off_by_order;
DROP INDEX customers_private_by_phone; DROP INDEX customers_private_by_email;
DROP TABLE support_template; DROP TABLE support_note; DROP TABLE support_override_use; DROP TABLE support_override_act;
DROP TABLE support_override;
ALTER TABLE support_message DROP COLUMN actor, DROP COLUMN via, DROP COLUMN mail_id;
ALTER TABLE support_case DROP COLUMN came_from, DROP COLUMN subject, DROP COLUMN notice, DROP COLUMN assignee;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("support", "0001_initial"),
        ("customers", "0001_initial"),
        ("funders", "0001_initial"),
        ("servicing", "0001_initial"),
    ]
    operations = [migrations.RunSQL(_UP, _DOWN)]

"""What the public was told, revision by revision; the alarms about it; and what was granted to those it hit."""

from django.db import migrations

_UP = """
-- One row for each notice that a policy of the shop ever had. A cache of its newest revision, held while the next one
-- is made, so that numbers have no gap and no double.
CREATE TABLE announcements_announcement (
    shop_id uuid NOT NULL,
    id text NOT NULL CHECK (id <> ''),
    first_at timestamptz NOT NULL,
    last_number integer NOT NULL CHECK (last_number >= 0),
    last_at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('published', 'updated', 'resolved', 'restored', 'retracted')),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    next_update_at timestamptz,
    PRIMARY KEY (shop_id, id)
);

CREATE TABLE announcements_revision (
    shop_id uuid NOT NULL,
    announcement text NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    kind text NOT NULL CHECK (kind IN ('published', 'updated', 'resolved', 'restored', 'retracted')),
    state text NOT NULL CHECK (state IN ('scheduled', 'published', 'updated', 'resolved', 'retracted')),
    published_at timestamptz NOT NULL,
    -- None where the engine's own answer made it (an option that is back), and no publication did.
    publication_id uuid,
    actor text NOT NULL CHECK (actor <> ''),
    -- Everything that was said, in both languages, by value: a page of then can be shown as it was.
    document jsonb NOT NULL,
    PRIMARY KEY (shop_id, announcement, number),
    FOREIGN KEY (shop_id, announcement) REFERENCES announcements_announcement,
    CHECK ((number = 1) = (kind = 'published')),
    CHECK (kind IN ('published', 'updated') OR state = CASE kind WHEN 'retracted' THEN 'retracted' ELSE 'resolved' END),
    CHECK (publication_id IS NOT NULL OR kind IN ('resolved', 'restored')),
    CHECK (length(document #>> '{title,zh-CN}') > 0 AND length(document #>> '{title,en}') > 0),
    CHECK (length(document #>> '{reason,zh-CN}') > 0 AND length(document #>> '{reason,en}') > 0)
);
CREATE INDEX announcements_revision_newest ON announcements_revision (shop_id, published_at DESC);

-- Raised once for each deadline; over when the announcement has a newer revision than the one it is about.
CREATE TABLE announcements_alarm (
    shop_id uuid NOT NULL,
    announcement text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('update_overdue', 'not_back')),
    deadline timestamptz NOT NULL,
    number integer NOT NULL,
    raised_at timestamptz NOT NULL,
    -- What stands in the way, as codes and plans; nothing of a customer.
    detail jsonb NOT NULL,
    PRIMARY KEY (shop_id, announcement, kind, deadline)
);

-- How far a job has read the decision log for an announcement: read again from there, nothing is granted twice.
CREATE TABLE announcements_scan (
    shop_id uuid NOT NULL,
    announcement text NOT NULL,
    job text NOT NULL,
    reached uuid NOT NULL,
    PRIMARY KEY (shop_id, announcement, job)
);

CREATE TABLE announcements_grant (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    announcement text NOT NULL,
    number integer NOT NULL,
    terms text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('price_protection', 'voucher', 'fee_waiver')),
    name jsonb NOT NULL,
    amount_minor bigint CHECK (amount_minor > 0),
    currency text NOT NULL,
    -- The recorded checkout that linked the announcement.
    decision_id uuid NOT NULL,
    affected_at timestamptz NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz,
    redeemed_at timestamptz,
    redeemed_for text,
    PRIMARY KEY (customer_id, id),
    CONSTRAINT announcements_grant_once UNIQUE (customer_id, announcement, terms),
    CHECK ((redeemed_at IS NULL) = (redeemed_for IS NULL)),
    CHECK (kind <> 'voucher' OR amount_minor IS NOT NULL)
);

ALTER TABLE announcements_announcement ENABLE ROW LEVEL SECURITY;
ALTER TABLE announcements_revision ENABLE ROW LEVEL SECURITY;
ALTER TABLE announcements_alarm ENABLE ROW LEVEL SECURITY;
ALTER TABLE announcements_scan ENABLE ROW LEVEL SECURITY;
ALTER TABLE announcements_grant ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON announcements_announcement
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON announcements_revision
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON announcements_alarm
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON announcements_scan
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON announcements_grant
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON announcements_announcement, announcements_scan TO fenqi_service;
GRANT SELECT, INSERT ON announcements_revision, announcements_alarm TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON announcements_revision, announcements_alarm FROM fenqi_service;
-- What was granted is a record; only whether it was used changes, once.
GRANT SELECT, INSERT, UPDATE (redeemed_at, redeemed_for) ON announcements_grant TO fenqi_service;
"""

_DOWN = """
DROP TABLE announcements_grant; DROP TABLE announcements_scan; DROP TABLE announcements_alarm;
DROP TABLE announcements_revision; DROP TABLE announcements_announcement;
"""


class Migration(migrations.Migration):
    dependencies = [("announcements", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

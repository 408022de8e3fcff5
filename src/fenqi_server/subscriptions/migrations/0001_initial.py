"""Who wants to be told, of what, where; what waits to be sent; and what became of it."""

from django.db import migrations

_UP = """
-- The wish to be told once, which lay with the announcements before. A customer's has the checkout as it was asked, so
-- that the same question is asked again; an anonymous one names the announcement it waits for.
ALTER TABLE announcements_request RENAME TO subscriptions_wish;
ALTER TABLE subscriptions_wish RENAME COLUMN email TO address;
ALTER INDEX announcements_request_once RENAME TO subscriptions_wish_once_old;
ALTER INDEX announcements_request_pkey RENAME TO subscriptions_wish_pkey;
DROP INDEX subscriptions_wish_once_old;
DROP INDEX announcements_request_waiting;
ALTER TABLE subscriptions_wish
    DROP CONSTRAINT announcements_request_state_check,
    DROP CONSTRAINT announcements_request_plan_check,
    DROP CONSTRAINT announcements_request_locale_check,
    DROP CONSTRAINT announcements_request_check,
    DROP CONSTRAINT announcements_request_check1,
    ALTER COLUMN decision_id DROP NOT NULL,
    ALTER COLUMN checkout DROP NOT NULL,
    ADD COLUMN announcement text NOT NULL DEFAULT '',
    ADD COLUMN channel text NOT NULL DEFAULT 'email',
    -- Also between ten in the evening and eight in the morning.
    ADD COLUMN at_night boolean NOT NULL DEFAULT false,
    -- What a mail's links carry, so that its reader needs no account.
    ADD COLUMN token text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    ADD COLUMN confirm_until timestamptz,
    ADD CONSTRAINT subscriptions_wish_state CHECK (state IN ('unconfirmed', 'waiting', 'telling', 'told', 'cancelled')),
    ADD CONSTRAINT subscriptions_wish_channel CHECK (channel IN ('email', 'sms', 'push')),
    ADD CONSTRAINT subscriptions_wish_locale CHECK (locale IN ('zh-CN', 'en')),
    ADD CONSTRAINT subscriptions_wish_token CHECK (length(token) >= 20),
    -- An address is kept no longer than its purpose.
    ADD CONSTRAINT subscriptions_wish_address CHECK ((state IN ('unconfirmed', 'waiting', 'telling')) = (address <> '')),
    ADD CONSTRAINT subscriptions_wish_length CHECK (length(address) <= 200),
    ADD CONSTRAINT subscriptions_wish_closed CHECK ((state IN ('told', 'cancelled')) = (closed_at IS NOT NULL)),
    ADD CONSTRAINT subscriptions_wish_confirm CHECK (state <> 'unconfirmed' OR confirm_until IS NOT NULL),
    ADD CONSTRAINT subscriptions_wish_asked CHECK (
        CASE WHEN announcement = '' THEN plan <> '' AND decision_id IS NOT NULL AND checkout IS NOT NULL
             ELSE plan = '' AND decision_id IS NULL AND checkout IS NULL END);
ALTER TABLE subscriptions_wish ALTER COLUMN token DROP DEFAULT;
-- The same wish twice is one wish.
CREATE UNIQUE INDEX subscriptions_wish_once
    ON subscriptions_wish (customer_id, plan, announcement, channel, lower(address))
    WHERE state IN ('unconfirmed', 'waiting', 'telling');
CREATE INDEX subscriptions_wish_waiting ON subscriptions_wish (shop_id, checked_at) WHERE state = 'waiting';
CREATE INDEX subscriptions_wish_anonymous ON subscriptions_wish (shop_id, announcement, customer_id, id)
    WHERE state = 'waiting' AND announcement <> '';
CREATE INDEX subscriptions_wish_unconfirmed ON subscriptions_wish (shop_id, lower(address)) WHERE state = 'unconfirmed';

-- The demo's mailbox.
ALTER TABLE announcements_mail RENAME TO subscriptions_mail;
ALTER INDEX announcements_mail_pkey RENAME TO subscriptions_mail_pkey;
ALTER TABLE subscriptions_mail ADD COLUMN message_id text NOT NULL DEFAULT '';

CREATE TABLE subscriptions_subscription (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'webhook', 'sms', 'push')),
    address text NOT NULL CHECK (length(address) <= 1000),
    -- What signs a webhook's messages, encrypted.
    sealed_secret text,
    locale text NOT NULL CHECK (locale IN ('zh-CN', 'en')),
    -- What it is about: empty lists are everything, otherwise whatever is named in any of them.
    funders text[] NOT NULL,
    families text[] NOT NULL,
    plans text[] NOT NULL,
    -- Where: only what concerns one of these; empty is everywhere.
    sales_channels text[] NOT NULL,
    regions text[] NOT NULL,
    announcement text NOT NULL DEFAULT '',
    quiet boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('unconfirmed', 'active', 'suspended', 'ended')),
    token text NOT NULL CHECK (length(token) >= 20),
    created_at timestamptz NOT NULL,
    confirm_until timestamptz NOT NULL,
    confirmed_at timestamptz,
    ended_at timestamptz,
    ended_why text NOT NULL DEFAULT '' CHECK (ended_why IN ('', 'unsubscribed', 'not_confirmed', 'refused', 'over')),
    PRIMARY KEY (customer_id, id),
    CHECK ((state IN ('unconfirmed', 'active')) = (address <> '')),
    CHECK ((state IN ('suspended', 'ended')) = (ended_at IS NOT NULL)),
    CHECK ((state IN ('suspended', 'ended')) = (ended_why <> '')),
    CHECK (state <> 'active' OR confirmed_at IS NOT NULL),
    CHECK (sealed_secret IS NULL OR (channel = 'webhook' AND address <> '')),
    CHECK (channel <> 'webhook' OR address = '' OR sealed_secret IS NOT NULL)
);
-- One subscription for one address of one customer; its scopes are changed, not added beside it.
CREATE UNIQUE INDEX subscriptions_subscription_once
    ON subscriptions_subscription (customer_id, channel, announcement, lower(address))
    WHERE state IN ('unconfirmed', 'active');
CREATE INDEX subscriptions_subscription_active ON subscriptions_subscription (shop_id, customer_id, id) WHERE state = 'active';
CREATE INDEX subscriptions_subscription_unconfirmed ON subscriptions_subscription (shop_id, lower(address))
    WHERE state = 'unconfirmed';

-- One row for one revision of one announcement, written in the transaction that makes the revision: so that it is fanned
-- out once, whoever says it how often. The worker makes the messages, and remembers how far it came.
CREATE TABLE subscriptions_fanout (
    shop_id uuid NOT NULL,
    announcement text NOT NULL CHECK (announcement <> ''),
    number integer NOT NULL CHECK (number >= 1),
    kind text NOT NULL CHECK (kind IN ('published', 'updated', 'resolved', 'restored', 'retracted')),
    said jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    stage text NOT NULL CHECK (stage IN ('subscriptions', 'wishes', 'done')),
    reached_customer uuid,
    reached uuid,
    PRIMARY KEY (shop_id, announcement, number),
    CHECK ((reached_customer IS NULL) = (reached IS NULL))
);
CREATE INDEX subscriptions_fanout_open ON subscriptions_fanout (shop_id, created_at) WHERE stage <> 'done';

-- One row for one message to one address, deleted once its outcome stands in subscriptions_delivery. Its id is computed
-- from what it is about, and so is its Message-ID. The address is read when it is sent: whoever leaves before gets nothing.
CREATE TABLE subscriptions_message (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    target uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('confirm', 'revision', 'back', 'over')),
    about text NOT NULL CHECK (about IN ('subscription', 'wish')),
    channel text NOT NULL CHECK (channel IN ('email', 'webhook', 'sms', 'push')),
    announcement text NOT NULL DEFAULT '',
    number integer,
    content jsonb NOT NULL,
    -- When the engine said it of this customer; what has waited long since is asked again.
    asked_at timestamptz,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    PRIMARY KEY (customer_id, id),
    CHECK ((kind IN ('revision', 'over')) = (number IS NOT NULL)),
    CHECK ((kind = 'back') = (asked_at IS NOT NULL)),
    CHECK ((kind IN ('back', 'over')) <= (about = 'wish')),
    CHECK (kind <> 'revision' OR about = 'subscription')
);
CREATE INDEX subscriptions_message_due ON subscriptions_message (shop_id, (kind = 'confirm'), due_at);
CREATE INDEX subscriptions_message_target ON subscriptions_message (customer_id, target);

-- What became of each attempt. No address, no words.
CREATE TABLE subscriptions_delivery (
    shop_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    message_id uuid NOT NULL,
    attempt integer NOT NULL,
    target uuid NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL,
    announcement text NOT NULL DEFAULT '',
    number integer,
    at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN
        ('delivered', 'retry', 'unknown', 'refused', 'given_up', 'withdrawn', 'superseded')),
    -- The server's answer, where it gave one.
    code integer,
    PRIMARY KEY (customer_id, message_id, attempt)
);
CREATE INDEX subscriptions_delivery_at ON subscriptions_delivery (shop_id, at);

-- Addresses that their own server refused for good, by a keyed digest: written to no more for a while.
CREATE TABLE subscriptions_suspension (
    shop_id uuid NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    since timestamptz NOT NULL,
    until timestamptz NOT NULL CHECK (until > since),
    code integer,
    PRIMARY KEY (shop_id, digest)
);

-- When the shop's next message may go, so that those who are told do not come all at once.
CREATE TABLE subscriptions_pace (
    shop_id uuid NOT NULL PRIMARY KEY,
    next_at timestamptz NOT NULL
);

ALTER TABLE subscriptions_subscription ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions_fanout ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions_message ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions_suspension ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions_pace ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop ON subscriptions_subscription
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON subscriptions_fanout
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON subscriptions_message
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON subscriptions_delivery
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON subscriptions_suspension
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);
CREATE POLICY shop ON subscriptions_pace
    USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON subscriptions_subscription, subscriptions_fanout, subscriptions_suspension,
    subscriptions_pace TO fenqi_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions_message TO fenqi_service;
GRANT SELECT, INSERT ON subscriptions_delivery TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON subscriptions_delivery FROM fenqi_service;
"""

_DOWN = """
DROP TABLE subscriptions_pace; DROP TABLE subscriptions_suspension; DROP TABLE subscriptions_delivery;
DROP TABLE subscriptions_message; DROP TABLE subscriptions_fanout; DROP TABLE subscriptions_subscription;
ALTER TABLE subscriptions_mail DROP COLUMN message_id;
ALTER TABLE subscriptions_mail RENAME TO announcements_mail;
ALTER INDEX subscriptions_mail_pkey RENAME TO announcements_mail_pkey;
DELETE FROM subscriptions_wish WHERE announcement <> '' OR state IN ('unconfirmed', 'telling');
DROP INDEX subscriptions_wish_once; DROP INDEX subscriptions_wish_waiting;
DROP INDEX subscriptions_wish_anonymous; DROP INDEX subscriptions_wish_unconfirmed;
ALTER TABLE subscriptions_wish
    DROP CONSTRAINT subscriptions_wish_state,
    DROP CONSTRAINT subscriptions_wish_locale,
    DROP CONSTRAINT subscriptions_wish_address,
    DROP CONSTRAINT subscriptions_wish_length,
    DROP CONSTRAINT subscriptions_wish_closed,
    DROP CONSTRAINT subscriptions_wish_asked,
    DROP COLUMN announcement, DROP COLUMN channel, DROP COLUMN at_night, DROP COLUMN token, DROP COLUMN confirm_until,
    ALTER COLUMN decision_id SET NOT NULL,
    ALTER COLUMN checkout SET NOT NULL,
    ADD CONSTRAINT announcements_request_plan_check CHECK (plan <> ''),
    ADD CONSTRAINT announcements_request_locale_check CHECK (locale IN ('zh-CN', 'en')),
    ADD CONSTRAINT announcements_request_state_check CHECK (state IN ('waiting', 'told', 'cancelled')),
    ADD CONSTRAINT announcements_request_check CHECK ((state = 'waiting') = (address <> '')),
    ADD CONSTRAINT announcements_request_check1 CHECK ((state = 'waiting') = (closed_at IS NULL));
ALTER TABLE subscriptions_wish RENAME COLUMN address TO email;
ALTER INDEX subscriptions_wish_pkey RENAME TO announcements_request_pkey;
ALTER TABLE subscriptions_wish RENAME TO announcements_request;
CREATE UNIQUE INDEX announcements_request_once ON announcements_request (customer_id, plan, email)
    WHERE state = 'waiting';
CREATE INDEX announcements_request_waiting ON announcements_request (shop_id, asked_at) WHERE state = 'waiting';
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("announcements", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

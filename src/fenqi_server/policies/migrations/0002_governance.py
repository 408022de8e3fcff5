"""The life of a change of policy: draft, revisions, submissions, reviews, publication; and the audit log.

Who wrote something stands in the key that reviews refer to, so that a reviewer who is the author is refused by the
database, whatever the service believes and whatever author the row claims.
"""

from django.db import migrations

_SECURED = (
    "policies_draft",
    "policies_draft_revision",
    "policies_submission",
    "policies_review",
    "policies_source",
    "policies_after_review",
    "policies_audit",
    "policies_audit_head",
)
_LAYERS = "'law', 'compliance', 'agreement', 'risk', 'maintenance', 'health', 'strategy', 'cart', 'customer'"

_UP = f"""
CREATE TABLE policies_draft (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    title text NOT NULL CHECK (title <> ''),
    author text NOT NULL CHECK (author <> ''),
    -- The policy that the draft began from; none where the shop had none.
    base text,
    created_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_by text,
    PRIMARY KEY (shop_id, id),
    UNIQUE (shop_id, id, author),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL))
);
CREATE TABLE policies_draft_revision (
    shop_id uuid NOT NULL,
    draft_id uuid NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    author text NOT NULL,
    -- The files as typed, comments included; and what is wrong with them, each with its place.
    files jsonb NOT NULL CHECK (jsonb_typeof(files) = 'object'),
    problems jsonb NOT NULL CHECK (jsonb_typeof(problems) = 'array'),
    -- Of the policy that the files say; none while they have problems.
    digest text CHECK (digest ~ '^sha256:[0-9a-f]{{64}}$'),
    -- The policy that the revision is compared with. It moves when the author takes a newer one as the base.
    base text,
    silent_reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, draft_id, number),
    UNIQUE (shop_id, draft_id, number, digest, author),
    FOREIGN KEY (shop_id, draft_id, author) REFERENCES policies_draft (shop_id, id, author),
    CHECK ((digest IS NULL) = (jsonb_array_length(problems) > 0))
);
CREATE TABLE policies_submission (
    shop_id uuid NOT NULL,
    draft_id uuid NOT NULL,
    revision integer NOT NULL,
    digest text NOT NULL,
    author text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    submitted_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, draft_id, revision),
    FOREIGN KEY (shop_id, draft_id, revision, digest, author)
        REFERENCES policies_draft_revision (shop_id, draft_id, number, digest, author)
);
CREATE TABLE policies_review (
    shop_id uuid NOT NULL,
    id uuid NOT NULL,
    draft_id uuid NOT NULL,
    revision integer NOT NULL,
    digest text NOT NULL,
    author text NOT NULL,
    layer text NOT NULL CHECK (layer IN ({_LAYERS})),
    verdict text NOT NULL CHECK (verdict IN ('approved', 'returned')),
    reviewer text NOT NULL CHECK (reviewer <> ''),
    reason text NOT NULL DEFAULT '',
    reviewed_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, id),
    -- One revision of one author: an edit after the approval is another revision, which nobody has approved.
    FOREIGN KEY (shop_id, draft_id, revision, digest, author)
        REFERENCES policies_draft_revision (shop_id, draft_id, number, digest, author),
    CONSTRAINT policies_review_by_someone_else CHECK (reviewer <> author),
    CHECK (verdict = 'approved' OR reason <> '')
);
CREATE INDEX policies_review_of_draft ON policies_review (shop_id, draft_id, revision);

ALTER TABLE policies_publication
    ADD COLUMN kind text NOT NULL DEFAULT 'publish'
        CHECK (kind IN ('publish', 'rollback', 'stop', 'window', 'pilot', 'seed')),
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN percent integer NOT NULL DEFAULT 100 CHECK (percent BETWEEN 1 AND 100),
    -- With the subject, it decides who is in a share of the customers; widening keeps it, so that those in stay in.
    ADD COLUMN salt text NOT NULL DEFAULT '',
    ADD COLUMN draft_id uuid,
    ADD COLUMN base text,
    -- Whether availability or prominence changes for somebody, and whether a notice says so.
    ADD COLUMN needs_notice boolean NOT NULL DEFAULT false,
    ADD COLUMN announced boolean NOT NULL DEFAULT false,
    ADD COLUMN silent_reason text NOT NULL DEFAULT '',
    -- Until when someone else looks at what was done in a hurry.
    ADD COLUMN review_by timestamptz,
    ADD CONSTRAINT policies_publication_of_draft FOREIGN KEY (shop_id, draft_id) REFERENCES policies_draft (shop_id, id),
    ADD CONSTRAINT policies_publication_salted CHECK (percent = 100 OR salt <> ''),
    ADD CONSTRAINT policies_publication_announced CHECK (NOT needs_notice OR announced OR silent_reason <> ''),
    ADD CONSTRAINT policies_publication_by UNIQUE (shop_id, id, actor);

CREATE TABLE policies_source (
    shop_id uuid NOT NULL,
    publication_id uuid NOT NULL,
    digest text NOT NULL,
    files jsonb NOT NULL CHECK (jsonb_typeof(files) = 'object'),
    PRIMARY KEY (shop_id, publication_id),
    FOREIGN KEY (shop_id, publication_id) REFERENCES policies_publication (shop_id, id)
);
CREATE INDEX policies_source_of_digest ON policies_source (shop_id, digest);
CREATE TABLE policies_after_review (
    shop_id uuid NOT NULL,
    publication_id uuid NOT NULL,
    actor text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('right', 'wrong')),
    reviewer text NOT NULL CHECK (reviewer <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    reviewed_at timestamptz NOT NULL,
    PRIMARY KEY (shop_id, publication_id),
    FOREIGN KEY (shop_id, publication_id, actor) REFERENCES policies_publication (shop_id, id, actor),
    CONSTRAINT policies_after_review_by_someone_else CHECK (reviewer <> actor)
);

CREATE TABLE policies_audit (
    shop_id uuid NOT NULL,
    number bigint NOT NULL CHECK (number >= 1),
    at timestamptz NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    act text NOT NULL CHECK (act ~ '^[a-z_]+([.][a-z_]+)+$'),
    subject text NOT NULL CHECK (subject <> ''),
    reason text NOT NULL,
    -- As text: the bytes that were hashed are the bytes that are kept.
    before text,
    after text,
    previous text NOT NULL,
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{{64}}$'),
    PRIMARY KEY (shop_id, number),
    CHECK ((number = 1) = (previous = ''))
);
CREATE INDEX policies_audit_of_subject ON policies_audit (shop_id, subject, number);
-- The newest entry's place in the chain, sealed with a key that the database does not hold; held while the next is added.
CREATE TABLE policies_audit_head (
    shop_id uuid PRIMARY KEY,
    number bigint NOT NULL CHECK (number >= 0),
    digest text NOT NULL,
    key_id text NOT NULL,
    seal text NOT NULL
);

GRANT SELECT, INSERT, UPDATE (withdrawn_at, withdrawn_by) ON policies_draft TO fenqi_service;
GRANT SELECT, INSERT ON policies_draft_revision, policies_submission, policies_review, policies_source,
    policies_after_review, policies_audit TO fenqi_service;
REVOKE UPDATE, DELETE, TRUNCATE ON policies_draft_revision, policies_submission, policies_review, policies_source,
    policies_after_review, policies_audit FROM fenqi_service;
GRANT SELECT, INSERT, UPDATE ON policies_audit_head TO fenqi_service;
""" + "".join(
    f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY shop ON {table}"
    " USING (shop_id = nullif(current_setting('fenqi.shop_id', true), '')::uuid);\n"
    for table in _SECURED
)

_DOWN = """
DROP TABLE policies_audit_head; DROP TABLE policies_audit; DROP TABLE policies_after_review; DROP TABLE policies_source;
ALTER TABLE policies_publication DROP CONSTRAINT policies_publication_by,
    DROP COLUMN kind, DROP COLUMN reason, DROP COLUMN percent, DROP COLUMN salt, DROP COLUMN draft_id, DROP COLUMN base,
    DROP COLUMN needs_notice, DROP COLUMN announced, DROP COLUMN silent_reason, DROP COLUMN review_by;
DROP TABLE policies_review; DROP TABLE policies_submission; DROP TABLE policies_draft_revision; DROP TABLE policies_draft;
"""


class Migration(migrations.Migration):
    dependencies = [("policies", "0001_initial")]
    operations = [migrations.RunSQL(_UP, _DOWN)]

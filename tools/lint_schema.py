"""Holds the migrated schema to what lets it grow past one machine, and to who may do what.

    python tools/lint_schema.py          migrates a throw-away database of its own and checks it

- Sharded tables: `customer_id` comes first in every primary, unique and foreign key.
- Every table carries `shop_id`, under row-level security by it.
- No triggers, no exclusion constraints; no deferrable constraints outside the control plane.
- The service's role adds to append-only tables and does nothing else there; it truncates nothing, makes nothing, and
  reads no partition past its parent's row-level security.

Every table has a place below. A table with an exception has its reason beside it; a new table without a place is a
finding, so that the question is asked while the table is new.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.rows import namedtuple_row

SERVICE = "fenqi_service"

# Longest prefix first. *sharded*: a customer's rows live on one node. *reference*: small, copied to every node.
# *control*: one node, the ORM's; its foreign keys are deferrable because Django makes them so.
PLACES = {
    "autopay_setting": "reference",  # a shop's own rules of trying again
    "autopay_": "sharded",
    "reminders_setting": "reference",
    "reminders_scan": "reference",  # a few rows a day of a shop
    "reminders_": "sharded",
    "books_account": "reference",  # the closed chart of accounts
    "books_mapping": "reference",  # the shop's own names of its accounts
    "books_period": "reference",  # a row a month
    "books_proof": "reference",  # a row a night
    "books_cell": "control",  # which database this is
    "books_seal": "control",  # the cell's own chain over its rows
    "funders_health": "reference",
    "funders_outcome": "control",  # how each call to a funder ended: the house's, and nobody's in particular
    "funders_transition": "reference",
    "funders_agreement_warning": "reference",
    "funders_pretend_": "control",  # what the pretend funders themselves remember: another company's database
    "outbox_endpoint": "reference",
    "announcements_announcement": "reference",
    "announcements_revision": "reference",
    "announcements_alarm": "reference",
    "announcements_scan": "reference",
    "announcements_": "sharded",
    "budgets_consumption": "sharded",
    "budgets_": "control",  # the shop's own money, leased to its processes in slices
    "console_": "control",
    "account_": "control",
    "mfa_": "control",
    "subscriptions_mail": "control",  # the demo's mailbox
    "subscriptions_pace": "control",
    "subscriptions_fanout": "reference",  # a row for each revision, of which there are few
    "subscriptions_suspension": "control",  # addresses, which belong to no customer
    "subscriptions_": "sharded",
    "books_": "sharded",
    "customers_": "sharded",
    "decisions_": "sharded",
    "disclosures_table": "control",  # the library of tables that were shown, by their names: read by anyone who has one
    "disclosures_": "sharded",
    "funders_": "sharded",
    "outbox_": "sharded",
    "servicing_close_run": "reference",  # a row for each day of a shop
    "servicing_month_end": "reference",  # a row a month
    "servicing_till_count": "reference",  # a few rows a day of a shop: the house's own cash, and no customer's
    "servicing_": "sharded",
    "storefront_": "sharded",
    "portal_": "sharded",
    "support_template": "reference",  # a shop's few ready-made replies
    "support_": "sharded",
    "reconciliation_": "control",  # what providers state of the house's own money; a line of it belongs to no customer
    "policies_": "reference",
    "shops_": "control",
    "demo_": "control",
    "auth_": "control",
    "django_": "control",
}
KEY_EXCEPTIONS = {
    "customers_alias": "the directory that finds a customer's key from the shop's own reference for it",
}
WITHOUT_SHOP = {
    "auth_": "staff of the installation, not of one shop",
    "account_": "as auth_: allauth's addresses of staff, of which we keep none",
    "mfa_": "as auth_: staff's passkeys, authenticator apps and recovery codes",
    "console_cache": "counts of tries at the sign-in, by address of the caller",
    "django_": "the framework's own",
    "shops_shop": "it is the shop",
    "books_account": "one chart for every shop",
    "books_cell": "the database itself",
    "books_seal": "one chain for the whole cell; it holds hashes alone",
    "policies_snapshot": "a value named by its digest; which shop publishes it stands in policies_publication",
    "funders_pretend_": "a pretend funder's own memory: it does not know our shops",
    "demo_clock": "one clock for the whole demo",
    "demo_year": "one year for the whole demo",
    "demo_diary": "what of the one year has happened",
}
WITHOUT_ROW_SECURITY = {
    "shops_": "read to find out which shop asks",
    "console_membership": "read to find out in which shops somebody works; holds nothing of a customer",
    "policies_publication": "read to load every shop's policy before any request; holds nothing of a customer",
}
APPEND_ONLY = (
    "announcements_alarm",
    "announcements_revision",
    "autopay_mandate",
    "autopay_outcome",
    "autopay_withdrawal",
    "books_cell",
    "books_mapping",
    "books_proof",
    "books_seal",
    "books_transaction",
    "customers_alias",
    "decisions_decision",
    "decisions_quote_use",
    "disclosures_acknowledgement",
    "disclosures_table",
    "funders_consent",
    "funders_outcome",
    "funders_transition",
    "outbox_delivery",
    "policies_after_review",
    "policies_audit",
    "policies_draft_revision",
    "policies_publication",
    "policies_review",
    "policies_set",
    "policies_snapshot",
    "policies_source",
    "policies_submission",
    "reconciliation_clearing",
    "reconciliation_decision",
    "reconciliation_line",
    "reconciliation_match",
    "reminders_outcome",
    "servicing_contract",
    "servicing_event",
    "servicing_request_decision",
    "servicing_till_count",
    "subscriptions_delivery",
    "support_mail_outcome",
    "support_message",
    "support_note",
    "support_override",
    "support_override_act",
    "support_override_use",
    "support_template",
)

_TABLES = """
SELECT c.oid, c.relname AS name, c.relispartition AS is_partition, c.relrowsecurity AS secured,
       array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
       array(SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = c.oid AND polcmd = '*') AS policies
FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname
"""
_VIEWS_OF_THE_OWNER = """
SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
   AND NOT coalesce(reloptions && array['security_invoker=true', 'security_invoker=on'], false)
"""
_KEYS = """
SELECT i.indexrelid::regclass::text AS name, 'unique key' AS kind,
       (SELECT attname FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = i.indkey[0]) AS first, NULL AS first_there
FROM pg_index i WHERE i.indrelid = %(table)s AND i.indisunique
UNION ALL
SELECT conname, 'foreign key',
       (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]),
       (SELECT attname FROM pg_attribute WHERE attrelid = confrelid AND attnum = confkey[1])
FROM pg_constraint WHERE conrelid = %(table)s AND contype = 'f'
"""


def problems(session: psycopg.Connection[object]) -> Iterator[str]:
    """What the schema does that its rules forbid, each with the table's name first."""
    cursor = session.cursor(row_factory=namedtuple_row)
    tables = cursor.execute(_TABLES).fetchall()
    for table in tables:
        if table.is_partition:
            if cursor.execute(_MAY_ANYTHING, [SERVICE, table.oid]).fetchone().may:
                yield f"{table.name}: {SERVICE} may use the partition itself, past its parent's row-level security"
            continue
        place = _of(table.name, PLACES)
        if place is None:
            yield f"{table.name}: has no place; say in tools/lint_schema.py whether it is sharded, reference or control"
            continue
        if place == "sharded" and table.name not in KEY_EXCEPTIONS:
            yield from _key_problems(cursor, table)
        if _of(table.name, WITHOUT_SHOP) is None:
            if "shop_id" not in table.columns:
                yield f"{table.name}: has no shop_id"
            elif _of(table.name, WITHOUT_ROW_SECURITY) is None:
                if not table.secured:
                    yield f"{table.name}: has shop_id and no row-level security"
                elif not any("fenqi.shop_id" in policy for policy in table.policies):
                    yield f"{table.name}: has no policy for every command by fenqi.shop_id"
        yield from _constraint_problems(cursor, table, place)
        yield from _right_problems(cursor, table)
    for (name,) in cursor.execute(_VIEWS_OF_THE_OWNER).fetchall():
        yield f"{name}: is a view that reads as its owner, past row-level security; WITH (security_invoker = true)"
    missing = set(APPEND_ONLY) - {table.name for table in tables}
    for name in sorted(missing):
        yield f"{name}: is named append-only in tools/lint_schema.py and is not there"
    yield from _role_problems(cursor)


_MAY_ANYTHING = "SELECT has_table_privilege(%s, %s::oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') AS may"


def _key_problems(cursor: psycopg.Cursor[object], table: object) -> Iterator[str]:
    if "customer_id" not in table.columns:
        yield f"{table.name}: is sharded and has no customer_id"
        return
    keys = cursor.execute(_KEYS, {"table": table.oid}).fetchall()
    if not keys:
        yield f"{table.name}: has no primary key"
    for key in keys:
        if key.first != "customer_id":
            yield f"{table.name}: customer_id is not first in the {key.kind} {key.name} (it is {key.first})"
        elif key.kind == "foreign key" and key.first_there != "customer_id":
            yield f"{table.name}: the foreign key {key.name} points past customer_id (at {key.first_there})"


def _constraint_problems(cursor: psycopg.Cursor[object], table: object, place: str) -> Iterator[str]:
    for (name,) in cursor.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s AND NOT tgisinternal", [table.oid]
    ).fetchall():
        yield f"{table.name}: has the trigger {name}; distributed engines refuse it"
    for name, kind, deferrable in cursor.execute(
        "SELECT conname, contype::text, condeferrable FROM pg_constraint WHERE conrelid = %s", [table.oid]
    ).fetchall():
        if kind == "x":
            yield f"{table.name}: has the exclusion constraint {name}; distributed engines refuse it"
        if deferrable and place != "control":
            yield f"{table.name}: the constraint {name} is deferrable; distributed engines refuse it"


def _right_problems(cursor: psycopg.Cursor[object], table: object) -> Iterator[str]:
    append_only = table.name in APPEND_ONLY
    for right in ("UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
        if right in ("UPDATE", "DELETE") and not append_only:
            continue
        asked = "has_table_privilege(%(role)s, %(table)s::oid, %(right)s)"
        if right == "UPDATE":
            asked += " OR has_any_column_privilege(%(role)s, %(table)s::oid, %(right)s)"
        found = cursor.execute(
            f"SELECT {asked} AS may", {"role": SERVICE, "table": table.oid, "right": right}
        ).fetchone()
        if found.may:
            kind = "append-only, and" if append_only else "not the service's to keep:"
            yield f"{table.name}: is {kind} {SERVICE} has {right} on it"


def _role_problems(cursor: psycopg.Cursor[object]) -> Iterator[str]:
    role = cursor.execute(
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication AS strong,"
        " has_schema_privilege(rolname, 'public', 'CREATE') AS makes,"
        " has_database_privilege(rolname, current_database(), 'CREATE, TEMPORARY') AS makes_more,"
        " EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) AS owns FROM pg_roles r WHERE rolname = %s",
        [SERVICE],
    ).fetchone()
    if role.strong:
        yield f"{SERVICE}: has an attribute that passes by grants or row-level security"
    if role.makes or role.makes_more:
        yield f"{SERVICE}: may make tables or schemas"
    if role.owns:
        yield f"{SERVICE}: owns a table, and an owner passes by row-level security"


def _of(name: str, table: dict[str, str]) -> str | None:
    """The entry for a table: by its whole name, else by the longest prefix (one that ends in `_`)."""
    if name in table:
        return table[name]
    prefixes = [prefix for prefix in table if prefix.endswith("_") and name.startswith(prefix)]
    return table[max(prefixes, key=len)] if prefixes else None


def main() -> int:
    from fenqi_server.embedded import acquire

    # Ended by `kill` or `timeout`, it still stops its server and removes its folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    home = Path(tempfile.mkdtemp(prefix=f"fenqi-lint-{os.getpid()}-", dir="/tmp"))
    home.chmod(0o711)
    try:
        with acquire(home / ".fenqi", environ={}, root_home=home / "root", durable=False) as cluster:
            assert cluster.owner_url is not None
            environ = {
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "fenqi_server.settings",
                "FENQI_DATABASE_URL": cluster.owner_url,
                "FENQI_MIGRATING": "1",
                "FENQI_SECRET_KEY": secrets.token_urlsafe(48),
                "FENQI_SIGNING_KEYS": f"lint:{secrets.token_hex(32)}",
            }
            done = subprocess.run(
                [sys.executable, "-m", "fenqi_server", "migrate"],
                env=environ,
                stdout=subprocess.DEVNULL,
                check=False,
            )
            if done.returncode:
                print("the migrations do not apply; see above")
                return 1
            with psycopg.connect(cluster.owner_url) as session:
                found = list(problems(session))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The audit log finds what was changed, removed or put in another order, and the service's role can do none of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.api.world import AT


def _acts(shop, count=4):
    from fenqi_server.policies import audit

    for number in range(count):
        audit.record(
            shop,
            "staff:ann",
            "policy.edit",
            f"draft:{number}",
            AT + timedelta(minutes=number),
            after={"n": number},
        )


def test_an_entry_says_who_what_when_why_before_and_after(mall):
    from fenqi_server.policies import audit

    made = audit.record(
        mall.shop, "staff:ann", "policy.stop", "plan:mall_6", AT, reason="停", before={"a": 1}, after={"a": 2}
    )
    found = audit.entries(mall.shop)[0]
    assert found == made
    assert (found.reason, found.before, found.after) == ("停", {"a": 1}, {"a": 2})
    assert audit.entries(mall.shop, act="policy")
    assert not audit.entries(mall.shop, act="pol")
    assert not audit.entries(mall.shop, actor="staff:bob")
    assert not audit.entries(mall.shop, before=found.number, subject="plan:mall_6")


def test_publishing_is_recorded_with_what_was_before(mall):
    from tests.api.world import demo_snapshot

    from fenqi_server.policies import audit, service

    made = service.publish(mall.shop, demo_snapshot(), AT, "staff:ann", reason="again")
    entry = audit.entries(mall.shop, subject=f"publication:{made.id}")[0]
    assert (entry.act, entry.actor, entry.reason) == ("policy.publish", "staff:ann", "again")
    assert entry.before == {"digest": made.base}
    assert entry.after["digest"] == made.digest


def test_an_untouched_log_is_whole_and_names_its_head(mall):
    from fenqi_server.policies import audit

    _acts(mall.shop)
    head = audit.verify(mall.shop)
    assert isinstance(head, audit.Head)
    assert head.digest == audit.entries(mall.shop)[0].digest
    assert audit.verify(mall.shop, noted=head) == head


_FORGERIES = {
    "another word": "UPDATE policies_audit SET reason = 'x' WHERE number = 3",
    "another actor": "UPDATE policies_audit SET actor = 'staff:bob' WHERE number = 3",
    "another instant": "UPDATE policies_audit SET at = at + interval '1 microsecond' WHERE number = 3",
    "another after": "UPDATE policies_audit SET after = '{\"n\":9}' WHERE number = 3",
    "one taken out": "DELETE FROM policies_audit WHERE number = 3",
    "the first taken out": "DELETE FROM policies_audit WHERE number = 1",
    "one taken out and the rest moved up": (
        "DELETE FROM policies_audit WHERE number = 3;"
        "UPDATE policies_audit SET number = number - 1 WHERE number > 3"
    ),
    "two in another order": (
        "UPDATE policies_audit SET number = 99 WHERE number = 2;"
        "UPDATE policies_audit SET number = 2 WHERE number = 3; UPDATE policies_audit SET number = 3 WHERE number = 99"
    ),
    "the end cut off": "DELETE FROM policies_audit WHERE number > 3",
    "the end cut off and the head moved back": (
        "DELETE FROM policies_audit WHERE number > 3;"
        "UPDATE policies_audit_head SET number = 3, digest = (SELECT digest FROM policies_audit WHERE number = 3)"
    ),
    "all of it taken out": "DELETE FROM policies_audit; DELETE FROM policies_audit_head",
    "one added": (
        "INSERT INTO policies_audit SELECT shop_id, number + 1, at, actor, act, subject, reason, before, after, digest,"
        " repeat('0', 64) FROM policies_audit ORDER BY number DESC LIMIT 1"
    ),
}


@pytest.mark.parametrize("forgery", _FORGERIES)
def test_what_the_owner_changes_is_found(committed_mall, as_owner, forgery):
    from fenqi_server.policies import audit

    _acts(committed_mall.shop)
    noted = audit.verify(committed_mall.shop)
    assert isinstance(noted, audit.Head)
    as_owner.execute(_FORGERIES[forgery])
    found = audit.verify(committed_mall.shop, noted=noted)
    assert isinstance(found, audit.Break), forgery


def test_a_chain_hashed_anew_by_the_owner_does_not_fit_its_seal(committed_mall, as_owner):
    """Whoever owns the database can compute every digest; the seal needs a key that the database does not hold."""
    from fenqi_server.policies import audit

    _acts(committed_mall.shop)
    shop = committed_mall.shop
    as_owner.execute("UPDATE policies_audit SET reason = 'forged' WHERE number = 3")
    previous = as_owner.execute("SELECT digest FROM policies_audit WHERE number = 2").fetchone()[0]
    rows = as_owner.execute(
        f"SELECT {audit._COLUMNS} FROM policies_audit WHERE number >= 3 ORDER BY number"
    ).fetchall()
    for row in rows:
        digest = audit._digest(shop, *row[:8], previous)
        as_owner.execute(
            "UPDATE policies_audit SET previous = %s, digest = %s WHERE number = %s",
            [previous, digest, row[0]],
        )
        previous = digest
    as_owner.execute("UPDATE policies_audit_head SET digest = %s", [previous])
    found = audit.verify(shop)
    assert isinstance(found, audit.Break)
    assert "not sealed by this service" in found.what


@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET shop_id = shop_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
@pytest.mark.parametrize(
    "table",
    [
        "policies_audit",
        "policies_draft_revision",
        "policies_submission",
        "policies_review",
        "policies_source",
        "policies_after_review",
    ],
)
def test_the_service_can_only_add(mall, statement, table):
    from django.db import ProgrammingError, connection, transaction

    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(statement.format(table))

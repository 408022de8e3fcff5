"""Drafts: checked, looked at by somebody else, published once, and never approved by who wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from tests.api.world import AT, GROWN_UP, PHONE, forget_caches

from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.policies import audit, drafts, replay
from fenqi_server.policies import service as policies
from fenqi_server.policies.drafts import Refusal
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import create_shop

ANN, BOB, EVE = "staff:ann", "staff:bob", "staff:eve"
LATER = AT + timedelta(hours=1)


@pytest.fixture
def shop(db: Any) -> Iterator[Shop]:
    from fenqi.policy.document import files_in, read_policy
    from fenqi_server.demo.seed import POLICY_FOLDER

    forget_caches()
    with clock.pinned(AT):
        made = create_shop("mall", name_zh_cn="商城", name_en="The mall", at=AT - timedelta(days=365))
        files = files_in(POLICY_FOLDER)[0]
        snapshot = read_policy(files).snapshot
        assert snapshot is not None
        policies.publish(made, snapshot, AT - timedelta(days=300), "test", files=files, kind="seed")
        yield made
    forget_caches()


def with_(files: dict[str, str], name: str, old: str, new: str) -> dict[str, str]:
    assert old in files[name]
    return {**files, name: files[name].replace(old, new)}


def of_strategy(files: dict[str, str]) -> dict[str, str]:
    """A change of strategy alone, told by its notice."""
    later = with_(files, "30-rules.yaml", "to: 2026-12-01T00:00}", "to: 2026-12-03T00:00}")
    return with_(later, "50-notices.yaml", "until: 2026-12-01T00:00", "until: 2026-12-03T00:00")


def of_law(files: dict[str, str]) -> dict[str, str]:
    return with_(files, "30-rules.yaml", "require: customer.age >= 18", "require: customer.age >= 20")


def begin(shop: Shop, change: Any = of_strategy, *, author: str = ANN, silent: str = "") -> drafts.Standing:
    made = drafts.create(shop, "Two days more", author, AT)
    return drafts.edit(
        shop, made.draft.id, author, change(made.revision.files), AT, silent_reason=silent or None
    )


def submitted(shop: Shop, change: Any = of_strategy, **more: Any) -> drafts.Standing:
    standing = begin(shop, change, **more)
    return drafts.submit(shop, standing.draft.id, ANN, "The bank asked for it", AT)


def refused(code: str, act: Any, *words: Any, **more: Any) -> str:
    with pytest.raises(Refusal) as told:
        act(*words, **more)
    assert told.value.code == code
    return told.value.sentence


def test_a_draft_begins_as_the_policy_in_force_and_says_what_it_changes(shop: Shop) -> None:
    made = drafts.create(shop, "Two days more", ANN, AT)
    base = policies.current(shop.id, AT)
    assert (made.state, made.revision.digest, made.revision.base) == ("editing", base.digest, base.digest)
    assert drafts.difference_of(made, AT)[2].changes == ()
    standing = begin(shop)
    before, after, difference = drafts.difference_of(standing, AT)
    assert before is not None
    assert before.digest == base.digest
    assert after.digest == standing.revision.digest != base.digest
    assert {change.name for change in difference.availability} == {"strategy.beichen_24"}
    assert standing.needed == ()


def test_every_edit_is_kept_with_what_is_wrong_in_it_and_where(shop: Shop) -> None:
    made = drafts.create(shop, "Typo", ANN, AT)
    broken = with_(made.revision.files, "30-rules.yaml", "customer.age >= 18", "customer.agee >= 18")
    standing = drafts.edit(shop, made.draft.id, ANN, broken, AT)
    assert (standing.state, standing.revision.digest) == ("broken", None)
    trouble = standing.revision.problems[0]
    assert trouble.file == "30-rules.yaml"
    assert broken["30-rules.yaml"].splitlines()[trouble.line - 1].strip().startswith("require: customer.agee")
    assert _code(drafts.submit, shop, made.draft.id, ANN, "why", AT) == "not_checked"
    mended = drafts.edit(shop, made.draft.id, ANN, of_strategy(made.revision.files), AT)
    assert mended.state == "editing"
    assert [each.number for each in drafts.revisions(shop, made.draft.id)] == [3, 2, 1]


def _code(act: Any, *words: Any, **more: Any) -> str:
    with pytest.raises(Refusal) as told:
        act(*words, **more)
    return told.value.code


def test_only_the_author_edits_and_nothing_else_is_submitted(shop: Shop) -> None:
    standing = begin(shop)
    name = standing.draft.id
    assert _code(drafts.edit, shop, name, BOB, of_law(standing.revision.files), AT) == "not_author"
    assert _code(drafts.submit, shop, name, BOB, "mine now", AT) == "not_author"
    assert _code(drafts.submit, shop, name, ANN, "  ", AT) == "bad_value"
    assert _code(drafts.edit, shop, name, ANN, standing.revision.files, AT) == "unchanged"
    assert _code(drafts.publish, shop, name, ANN, AT) == "not_submitted"
    unchanged = drafts.create(shop, "Nothing", ANN, AT)
    assert _code(drafts.submit, shop, unchanged.draft.id, ANN, "why", AT) == "unchanged"


def test_strategy_needs_no_second_pair_of_eyes_and_is_published_with_its_reason(shop: Shop) -> None:
    standing = submitted(shop)
    assert standing.state == "ready"
    made = drafts.publish(shop, standing.draft.id, BOB, LATER)
    assert (made.actor, made.reason, made.draft_id) == (BOB, "The bank asked for it", standing.draft.id)
    assert policies.current(shop.id, LATER).digest == standing.revision.digest
    assert policies.files_of(shop, made.digest) == standing.revision.files
    assert drafts.get(shop, standing.draft.id, LATER).state == "published"
    assert _code(drafts.publish, shop, standing.draft.id, BOB, LATER) == "published"
    assert (
        _code(drafts.edit, shop, standing.draft.id, ANN, of_law(standing.revision.files), AT) == "published"
    )


def test_law_needs_somebody_else_layer_by_layer(shop: Shop) -> None:
    standing = submitted(shop, of_law, silent="a stricter reading of the law, told by the checkout")
    name = standing.draft.id
    assert (standing.state, standing.needed, standing.missing) == ("waiting", ("law",), ("law",))
    assert "law" in refused("not_reviewed", drafts.publish, shop, name, BOB, LATER)
    drafts.approve(shop, name, BOB, ["risk"], AT)
    assert _code(drafts.publish, shop, name, BOB, LATER) == "not_reviewed", "another layer's yes is none"
    assert drafts.approve(shop, name, BOB, ["law"], AT).state == "ready"
    assert drafts.publish(shop, name, EVE, LATER).digest == standing.revision.digest


def test_nobody_approves_their_own_and_the_database_is_who_says_so(shop: Shop) -> None:
    standing = submitted(shop, of_law)
    assert _code(drafts.approve, shop, standing.draft.id, ANN, ["law"], AT) == "own_change"
    assert _code(drafts.send_back, shop, standing.draft.id, ANN, ["law"], AT, reason="x") == "own_change"
    row = {
        "shop": shop.id, "id": uuid4(), "draft": standing.draft.id, "number": standing.revision.number,
        "digest": standing.revision.digest, "at": AT,
    }  # fmt: skip
    insert = (
        "INSERT INTO policies_review (shop_id, id, draft_id, revision, digest, author, layer, verdict, reviewer, reviewed_at)"
        " VALUES (%(shop)s, %(id)s, %(draft)s, %(number)s, %(digest)s, %(author)s, 'law', 'approved', %(who)s, %(at)s)"
    )
    with (
        pytest.raises(IntegrityError, match="by_someone_else"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(insert, {**row, "author": ANN, "who": ANN})
    # A row that lies about who wrote it refers to nothing.
    with (
        pytest.raises(IntegrityError, match="foreign key"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(insert, {**row, "author": BOB, "who": ANN})
    assert drafts.get(shop, standing.draft.id, AT).reviews == ()


def test_an_edit_after_the_approval_has_to_be_looked_at_again(shop: Shop) -> None:
    standing = submitted(shop, of_law)
    name = standing.draft.id
    drafts.approve(shop, name, BOB, ["law"], AT)
    stricter = with_(standing.revision.files, "30-rules.yaml", "customer.age >= 20", "customer.age >= 21")
    drafts.edit(shop, name, ANN, stricter, AT)
    again = drafts.submit(shop, name, ANN, "stricter still", AT)
    assert (again.state, again.missing) == ("waiting", ("law",))
    assert _code(drafts.publish, shop, name, BOB, LATER) == "not_reviewed"


def test_what_was_sent_back_is_not_published_until_it_is_another_revision(shop: Shop) -> None:
    standing = submitted(shop)
    name = standing.draft.id
    assert _code(drafts.send_back, shop, name, BOB, ["strategy"], AT, reason=" ") == "bad_value"
    assert drafts.send_back(shop, name, BOB, ["strategy"], AT, reason="Say until when").state == "returned"
    assert _code(drafts.publish, shop, name, EVE, LATER) == "not_reviewed"
    drafts.edit(shop, name, ANN, of_law(of_strategy(drafts.create(shop, "x", ANN, AT).revision.files)), AT)
    assert drafts.submit(shop, name, ANN, "with its date", AT).state == "waiting"


def test_a_shop_of_one_waits_a_day_for_law_and_says_so(shop: Shop) -> None:
    Shop.objects.filter(id=shop.id).update(single_operator=True)
    alone = Shop.objects.get(id=shop.id)
    standing = submitted(alone, of_law, silent="told by the checkout")
    name = standing.draft.id
    assert standing.waits_until == AT + timedelta(hours=24)
    assert (AT + timedelta(hours=24)).isoformat() in refused(
        "not_reviewed", drafts.publish, alone, name, ANN, AT + timedelta(hours=23, minutes=59)
    )
    assert _code(drafts.approve, alone, name, ANN, ["law"], AT) == "own_change"
    day_after = AT + timedelta(hours=24)
    assert _code(drafts.publish, alone, name, BOB, day_after) == "not_reviewed", (
        "it is the author's own to wait for"
    )
    assert drafts.get(alone, name, day_after).state == "ready"
    assert drafts.publish(alone, name, ANN, day_after).actor == ANN


def test_a_base_that_moved_is_refused_and_taken_anew(shop: Shop) -> None:
    mine, theirs = submitted(shop), submitted(shop)
    drafts.publish(shop, theirs.draft.id, BOB, AT + timedelta(minutes=1))
    other = begin(shop, of_law, silent="told by the checkout")
    assert other.revision.base == mine.revision.base, "both begin at AT"
    drafts.submit(shop, other.draft.id, ANN, "why", AT)
    drafts.approve(shop, other.draft.id, BOB, ["law"], AT)
    with pytest.raises(policies.MovedBase):
        drafts.publish(shop, other.draft.id, BOB, LATER)
    assert policies.current(shop.id, LATER).digest == theirs.revision.digest, "nothing half-done"
    moved = drafts.take_base(shop, other.draft.id, ANN, LATER)
    assert moved.revision.base == theirs.revision.digest
    assert moved.reviews == (), "what was approved was another difference"
    names = {change.name for change in drafts.difference_of(moved, LATER)[2].availability}
    assert "strategy.beichen_24" in names, "that it would undo the other change is there to be seen"


def test_a_share_of_the_customers_first_and_then_everybody(shop: Shop) -> None:
    standing = submitted(shop)
    first = drafts.publish(shop, standing.draft.id, BOB, LATER, percent=10)
    assert (first.kind, first.percent) == ("pilot", 10)
    assert policies.current(shop.id, LATER).digest != standing.revision.digest, (
        "nobody in particular is not in it"
    )
    assert _code(drafts.publish, shop, standing.draft.id, BOB, LATER, percent=5) == "published"
    wider = drafts.publish(shop, standing.draft.id, BOB, LATER + timedelta(minutes=1), percent=50)
    assert wider.salt == first.salt
    whole = drafts.publish(shop, standing.draft.id, BOB, LATER + timedelta(minutes=2))
    assert whole.percent == 100
    assert policies.current(shop.id, LATER + timedelta(minutes=2)).digest == standing.revision.digest


def test_a_withdrawn_draft_and_another_shop_s(shop: Shop) -> None:
    standing = submitted(shop)
    drafts.withdraw(shop, standing.draft.id, ANN, AT)
    assert drafts.get(shop, standing.draft.id, AT).state == "withdrawn"
    assert _code(drafts.publish, shop, standing.draft.id, BOB, AT) == "withdrawn"
    other = create_shop("corner", name_zh_cn="街角", name_en="Corner", at=AT)
    with pytest.raises(drafts.NoDraft):
        drafts.get(other, standing.draft.id, AT)
    assert drafts.listed(other, AT) == ()
    assert _code(drafts.create, other, "Nothing to begin from", ANN, AT) == "no_files"


@pytest.mark.parametrize(
    ("files", "title"),
    [({}, "x"), ({"../evil.yaml": ""}, "x"), ({"a.txt": ""}, "x"), ({"a.yaml": "x" * 200_001}, "x"), ({"a.yaml": ""}, " ")],
)  # fmt: skip
def test_what_cannot_be_a_draft_is_refused(shop: Shop, files: dict[str, str], title: str) -> None:
    assert _code(drafts.create, shop, title, ANN, AT, files=files) == "bad_value"
    assert drafts.listed(shop, AT) == ()


def test_every_act_is_in_the_log(shop: Shop) -> None:
    standing = submitted(shop, of_law, silent="told by the checkout")
    name = standing.draft.id
    drafts.send_back(shop, name, BOB, ["law"], AT, reason="no")
    drafts.approve(shop, name, EVE, ["law"], AT + timedelta(minutes=1))
    drafts.publish(shop, name, EVE, LATER)
    acts = [(entry.act, entry.actor) for entry in reversed(audit.entries(shop, subject=f"draft:{name}"))]
    assert acts == [
        ("draft.create", ANN), ("draft.edit", ANN), ("draft.submit", ANN), ("draft.send_back", BOB), ("draft.approve", EVE),
    ]  # fmt: skip
    assert not isinstance(audit.verify(shop), audit.Break)


def test_a_change_that_the_public_is_not_told_of_is_refused_or_has_its_reason(shop: Shop) -> None:
    standing = begin(shop, of_law)
    name = standing.draft.id
    drafts.submit(shop, name, ANN, "why", AT)
    drafts.approve(shop, name, BOB, ["law"], AT)
    try:
        made = drafts.publish(shop, name, EVE, LATER)
    except BadInput:
        drafts.edit(shop, name, ANN, standing.revision.files, AT, silent_reason="told by the checkout itself")
        drafts.submit(shop, name, ANN, "why", AT)
        drafts.approve(shop, name, BOB, ["law"], AT)
        made = drafts.publish(shop, name, EVE, LATER)
        assert made.silent_reason == "told by the checkout itself"
    assert made.announced or made.silent_reason or not made.needs_notice


def test_a_replay_counts_who_would_gain_and_lose_and_where_they_would_go(shop: Shop) -> None:
    from fenqi_server.customers import service as customers

    for number in range(6):
        who = customers.ensure(shop, f"u-{number}", AT, limit_minor=2_000_000)
        decisions.evaluate(
            shop, who, [PHONE], "web", GROWN_UP | {"customer.age": 19 + number}, AT, source="checkout"
        )
    log.flush()
    standing = begin(
        shop, lambda files: with_(files, "30-rules.yaml", "customer.age >= 18", "customer.age >= 21")
    )
    before, after, _ = drafts.difference_of(standing, AT)
    assert before is not None
    outcome = replay.replay(shop, before, after, AT)
    assert (outcome.looked, outcome.failed) == (6, 0)
    counts = {each.plan: each for each in outcome.plans}
    # Those of 19 and 20 lose every way that leaves a debt; paying at once stays, and is where they would go.
    lost = counts["mall_12"]
    assert (lost.gained, lost.lost, sum(n for _, n in lost.goes)) == (0, 2, 2)
    assert outcome.without_after - outcome.without_before == 2
    assert all(name.startswith("dc_") for name in lost.witnesses)
    assert "card" not in counts
    back = replay.replay(shop, after, before, AT)
    assert {each.plan: each.gained for each in back.plans} == {each.plan: each.lost for each in outcome.plans}

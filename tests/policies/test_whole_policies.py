"""Policies with tables, sets and tests of their own: kept whole, published only where they say what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from tests.api.world import AT, GROWN_UP, PHONE, forget_caches

from fenqi.policy.document import LoadResult, files_in, read_policy
from fenqi.policy.sets import MissingSet, encode_members
from fenqi_server import clock
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.demo.seed import POLICY_FOLDER
from fenqi_server.policies import acts, drafts
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import create_shop

MORE = """\
facts:
- {name: merchant.id, type: text, source: cart, label: {zh-CN: 商户, en: seller}}
tables:
- id: bands
  layer: strategy
  owner: me
  reason: TERM_UNAVAILABLE
  applies: {family: mall}
  over: {cart.amount: ">= ¥0"}
rules:
- id: vip
  layer: strategy
  owner: me
  reason: STRATEGY_PAUSE
  applies: {plan: mall_6}
  require: merchant.id in set vip
  tests:
  - {name: one of them, facts: {merchant.id: m-1}, expect: open}
  - {name: another, facts: {merchant.id: m-9}, expect: blocked}
"""
BESIDE = {
    "more.yaml": MORE,
    "tables/bands.csv": 'cart.amount,periods\n"[¥0, ¥1,000)",3\n"[¥1,000, *)",*\n',
    "sets/vip.txt": "m-1\nm-2\n",
}


def demo_files() -> dict[str, str]:
    return files_in(POLICY_FOLDER)[0]


def whole(changed: dict[str, str] | None = None) -> tuple[dict[str, str], LoadResult]:
    files = {**demo_files(), **BESIDE, **(changed or {})}
    result = read_policy(files)
    assert result.problems == ()
    return files, result


@pytest.fixture
def shop(db: Any) -> Iterator[Shop]:
    forget_caches()
    with clock.pinned(AT):
        made = create_shop("mall", name_zh_cn="商城", name_en="The mall", at=AT - timedelta(days=365))
        snapshot = read_policy(demo_files()).snapshot
        assert snapshot is not None
        policies.publish(made, snapshot, AT - timedelta(days=300), "test", files=demo_files(), kind="seed")
        yield made
    forget_caches()


def publish(shop: Shop, files: dict[str, str], result: LoadResult, **more: Any) -> policies.Publication:
    assert result.snapshot is not None
    return policies.publish(
        shop, result.snapshot, AT, "staff:ann", sets=result.sets, files=files, silent_reason="a test", **more
    )


def asked(shop: Shop, merchant: str) -> decisions.Decision:
    return decisions.evaluate(shop, None, [PHONE], "web", {**GROWN_UP, "merchant.id": merchant}, AT)


def in_the_way(decision: decisions.Decision, plan: str) -> set[str]:
    return {reason.rule for reason in decision.evaluation.option(plan).verdict.reasons}


def test_sets_are_kept_beside_the_snapshot_and_old_digests_keep_working(shop: Shop) -> None:
    first = publish(shop, *whole())
    old = asked(shop, "m-2")
    log.flush()
    second = publish(shop, *whole({"sets/vip.txt": "m-1\nm-3\n"}))
    assert first.digest != second.digest
    policies.forget_caches()
    assert "vip" not in in_the_way(asked(shop, "m-3"), "mall_6")
    assert "vip" in in_the_way(asked(shop, "m-2"), "mall_6")
    # What was decided under the first list is decided again under that one.
    policies.forget_caches()
    assert "vip" not in in_the_way(decisions.load(old.public_id, shop=shop), "mall_6")
    again = policies.publish_again(
        shop, first.digest, AT + timedelta(minutes=1), "staff:ann", silent_reason="back"
    )
    assert again.digest == first.digest
    policies.forget_caches()
    assert policies.current(shop.id, AT + timedelta(minutes=2)).digest == first.digest
    # The members are there, and not in the snapshot's bytes.
    with connection.cursor() as cursor:
        cursor.execute("SELECT members FROM policies_set ORDER BY recorded_at, digest")
        assert {bytes(row[0]) for row in cursor.fetchall()} == {
            encode_members({"m-1", "m-2"}),
            encode_members({"m-1", "m-3"}),
        }
        cursor.execute("SELECT count(*) FROM policies_snapshot WHERE position('m-2'::bytea IN body) > 0")
        assert cursor.fetchone() == (0,)


def test_a_set_that_is_not_brought_is_refused_unless_it_is_kept(shop: Shop) -> None:
    _, result = whole()
    assert result.snapshot is not None
    with pytest.raises(MissingSet, match="vip"):
        policies.publish(shop, result.snapshot, AT, "staff:ann", silent_reason="a test")
    publish(shop, *whole())
    policies.publish(shop, result.snapshot, AT, "staff:ann", silent_reason="a test")


def test_a_policy_one_of_whose_tests_fails_is_not_published(shop: Shop) -> None:
    before = policies.publications(shop.id)
    files, result = whole(
        {"more.yaml": MORE.replace("merchant.id in set vip\n", "merchant.id not in set vip\n")}
    )
    with pytest.raises(policies.FailedTests) as raised:
        publish(shop, files, result)
    assert "vip: one of them: expected open, found blocked" in str(raised.value)
    assert policies.publications(shop.id) == before


def test_what_is_stopped_now_does_not_wait_for_a_test_that_expects_it(shop: Shop) -> None:
    expects = (
        MORE
        + """\
tests:
- name: three months for everybody
  at: 2027-11-23T10:00
  facts: {cart.amount: "¥2,000", customer.age: 30, customer.student: no, customer.signed_in: yes}
  expect: {mall_3: [STRATEGY_PAUSE]}
"""
    )
    files, result = whole({"more.yaml": expects})
    # The test expects what only a stop brings: the policy is not published as it is, a stop of it is.
    with pytest.raises(policies.FailedTests):
        publish(shop, files, result)
    publish(shop, files, result, tested=False)
    stopped = acts.stop_now(shop, "mall_12", "staff:ann", "a wrong fee is shown", AT)
    assert stopped.kind == "stop"
    assert policies.current(shop.id, AT).sets == result.sets


def test_a_draft_carries_tables_and_sets_and_says_which_test_fails(shop: Shop) -> None:
    made = drafts.create(shop, "Bands", "staff:ann", AT)
    files = {**made.revision.files, **BESIDE}
    edited = drafts.edit(shop, made.draft.id, "staff:ann", files, AT)
    assert edited.state == "editing"
    assert "table.bands.mall_12" in drafts.policy_of(edited.revision).rule_index
    wrong = {**files, "more.yaml": MORE.replace("merchant.id: m-9", "merchant.id: m-2")}
    broken = drafts.edit(shop, made.draft.id, "staff:ann", wrong, AT)
    assert broken.state == "broken"
    (trouble,) = broken.revision.problems
    assert (trouble.file, trouble.line, trouble.message) == (
        "more.yaml",
        19,
        "the test vip: another: expected blocked, found open",
    )
    gap = {**files, "tables/bands.csv": 'cart.amount,periods\n"[¥0, ¥1,000)",3\n"[¥2,000, *)",*\n'}
    (trouble,) = drafts.edit(shop, made.draft.id, "staff:ann", gap, AT).revision.problems
    assert (trouble.file, trouble.line) == ("tables/bands.csv", 2)
    assert "no line holds for cart.amount [¥1,000.00, ¥2,000.00)" in trouble.message
    with pytest.raises(drafts.Refusal, match=r"sets/banned\.txt"):
        drafts.edit(shop, made.draft.id, "staff:ann", {**files, "notes.txt": "x"}, AT)


def test_an_edit_of_the_yaml_leaves_tables_and_sets_as_they_are(shop: Shop) -> None:
    files, result = whole()
    publish(shop, files, result)
    acts.stop_now(shop, "mall_12", "staff:ann", "a wrong fee is shown", AT)
    kept = policies.files_of(shop, policies.current(shop.id, AT).digest)
    assert kept is not None
    assert {name: kept[name] for name in BESIDE} == BESIDE


def test_a_rollout_is_simulated_for_those_whom_it_would_reach(shop: Shop) -> None:
    """Recorded before anybody thought of it: who asked is known from the record's own key."""
    from fenqi.policy.compile import compile_policy
    from fenqi.policy.rollout import bucket_of
    from fenqi_server.customers import service as customers
    from fenqi_server.policies import replay

    asking = [customers.ensure(shop, f"u-{number}", AT, limit_minor=2_000_000) for number in range(12)]
    for customer in asking:
        decisions.evaluate(shop, customer, [PHONE], "web", GROWN_UP, AT)
    decisions.evaluate(shop, None, [PHONE], "web", GROWN_UP, AT)
    log.flush()
    before = policies.current(shop.id, AT)
    assert "mall_6" in {
        option.plan
        for option in decisions.evaluate(shop, asking[0], [PHONE], "web", GROWN_UP, AT).evaluation.offers
    }
    files = demo_files()
    name = next(name for name, text in files.items() if "- id: mall_6\n" in text)
    started = files[name].replace("- id: mall_6\n", "- id: mall_6\n    rollout: {percent: 50, salt: half}\n")
    rolled = {**files, name: started}
    assert rolled != files
    result = read_policy(rolled)
    assert result.snapshot is not None, result.problems
    log.flush()
    outcome = replay.replay(shop, before, compile_policy(result.snapshot), AT)
    outside = [each for each in [*asking, asking[0]] if bucket_of("half", each.hex) >= 5_000]
    assert 0 < len(outside) < 13
    (plan,) = [each for each in outcome.plans if each.plan == "mall_6"]
    # A visitor who is nobody in particular had no line of credit to begin with.
    assert plan.lost == len(outside)

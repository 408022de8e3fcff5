"""One act, one publication with its announcement; what cannot be is refused with the way out, and nothing is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from tests.api.world import AT, GROWN_UP, PHONE
from tests.policies.test_edits import FILES

from fenqi.calendars import to_epoch
from fenqi.policy.document import read_policy
from fenqi.problems import BadInput
from fenqi.texts import Text
from fenqi_server.announcements import lifecycle
from fenqi_server.decisions import service as decisions
from fenqi_server.policies import acts, audit, edits
from fenqi_server.policies import service as policies
from fenqi_server.policies.acts import Told

HOUR = timedelta(hours=1)


@pytest.fixture
def shop(mall: Any) -> Any:
    """A shop whose policy in force was published with its files."""
    snapshot = read_policy(FILES).snapshot
    assert snapshot is not None
    policies.publish(mall.shop, snapshot, AT - HOUR, "test", files=FILES, kind="seed")
    return mall


def option(world: Any, plan: str, at: datetime = AT) -> Any:
    decision = decisions.evaluate(world.shop, world.customer_id, [PHONE], "web", GROWN_UP, at)
    return decision.evaluation.option(plan)


def rows(world: Any) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM policies_publication")
        publications = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM announcements_revision")
        return publications, cursor.fetchone()[0]


def told(name: str = "n", **more: Any) -> Told:
    texts = {
        key: Text(f"{key}中", f"{key} in English") for key in ("title", "reason", "affected", "unaffected")
    }
    return Told(id=name, **(texts | {"plans": ("mall_12",)} | more))


def test_stop_now_is_one_act_with_its_reason_its_notice_and_a_review_to_come(shop: Any) -> None:
    assert option(shop, "mall_12").offered
    made = acts.stop_now(shop.shop, "mall_12", "staff:li", "the ledger drops entries", AT)
    missing = option(shop, "mall_12")
    (reason,) = missing.verdict.reasons
    assert (reason.code, reason.layer, reason.since, reason.until.kind) == (
        "STRATEGY_PAUSE",
        "strategy",
        to_epoch(AT),
        "unknown",
    )
    document = lifecycle.latest(shop.shop)[reason.notice].document
    assert (document.title.zh_cn, document.title.en) == ("商城分期12期暂停", "Mall instalments × 12: paused")
    assert document.next_update == to_epoch(AT + timedelta(hours=24))
    assert (made.kind, made.review_by) == ("stop", AT + timedelta(hours=24))
    assert option(shop, "mall_6").offered, "the other terms stay"
    newest = next(iter(audit.entries(shop.shop)))
    assert (newest.actor, newest.act, newest.reason) == (
        "staff:li",
        "policy.stop",
        "the ledger drops entries",
    )


def test_a_stop_is_rolled_back_in_one_act(shop: Any) -> None:
    was = policies.current(shop.shop.id, AT).digest
    acts.stop_now(shop.shop, "mall_12", "staff:li", "a fault", AT)
    acts.roll_back(shop.shop, was, "staff:wang", "the fault is mended", AT + HOUR)
    assert policies.current(shop.shop.id, AT + HOUR).digest == was
    assert option(shop, "mall_12", AT + HOUR).offered


def test_a_window_is_extended_with_its_notice_and_tonight_s_due_dates(shop: Any) -> None:
    until = datetime.fromisoformat("2026-11-24T19:00:00+08:00")
    acts.open_window(
        shop.shop,
        "w.mall",
        {"plan": "mall_12"},
        "staff:li",
        AT,
        told(repayment={"from": "2026-11-24T18:00", "to": "2026-11-24T19:00", "due_moves_to": "2026-11-25"}),
        start=until - HOUR,
        end=until,
    )
    at = until - HOUR / 2
    acts.extend(shop.shop, "w.mall", until + 5 * HOUR, "staff:li", at)
    verdict = option(shop, "mall_12", at).verdict
    assert verdict.until.at == to_epoch(until + 5 * HOUR)
    notice = policies.current(shop.shop.id, at).notices["n"]
    assert notice.until == to_epoch(until + 5 * HOUR)
    # Until midnight: the 25th is still the first day after it.
    assert notice.repayment is not None
    assert (notice.repayment.end, notice.repayment.due_moves_to.isoformat()) == (notice.until, "2026-11-25")
    acts.extend(shop.shop, "w.mall", until + 6 * HOUR, "staff:li", at + HOUR / 6)
    moved = policies.current(shop.shop.id, at + HOUR / 6).notices["n"].repayment
    assert moved is not None
    assert moved.due_moves_to.isoformat() == "2026-11-26"


def test_a_window_ends_early_and_one_that_has_not_begun_goes_with_its_notice(shop: Any) -> None:
    for name, start in (("running", AT - HOUR / 2), ("coming", AT + HOUR)):
        acts.open_window(
            shop.shop,
            name,
            {"plan": "mall_12"},
            "staff:li",
            AT - HOUR / 2,
            told(name),
            start=start,
            end=AT + 3 * HOUR,
        )
    acts.end_now(shop.shop, "running", "staff:li", AT)
    assert option(shop, "mall_12").offered
    acts.end_now(shop.shop, "coming", "staff:li", AT + HOUR / 2)
    policy = policies.current(shop.shop.id, AT + HOUR / 2)
    assert "coming" not in policy.rule_index
    assert "coming" not in policy.notices
    assert option(shop, "mall_12", AT + 2 * HOUR).offered


def test_a_pause_for_one_channel_says_so_and_leaves_the_others(shop: Any) -> None:
    acts.pause(
        shop.shop,
        "pause.web",
        {"plan": "mall_12"},
        "staff:li",
        AT,
        told(),
        end=AT + HOUR,
        when="channel.kind is web",
        instead=("mall_6",),
    )
    assert option(shop, "mall_12").verdict.reasons[0].instead == ("mall_6",)
    app = decisions.evaluate(shop.shop, shop.customer_id, [PHONE], "app", GROWN_UP, AT)
    assert app.evaluation.option("mall_12").offered


def test_a_lower_place_and_a_new_version_of_the_terms(shop: Any) -> None:
    acts.move(
        shop.shop,
        "mall.lower",
        {"family": "mall"},
        "staff:li",
        AT,
        told("lower", next_update=AT + HOUR),
        why=Text("位置靠后", "It stands lower"),
        rank=190,
    )
    assert option(shop, "mall_12").rank == 190
    version = {
        "version": "own-8",
        "from": "2026-11-24T10:00",
        "for": "customer.has_running_contract is no",
        "paused": "yes",
    }
    acts.new_agreement_version(
        shop.shop, "mall", version, "staff:li", AT, told("v8", next_update=AT + 72 * HOUR)
    )
    versions = policies.current(shop.shop.id, AT).funders["mall"].agreements
    assert [one.version for one in versions] == ["own-7", "own-8"]
    assert (versions[1].paused, versions[1].notice) == (True, "v8")


@pytest.mark.parametrize(
    ("act", "place"),
    [
        (lambda s: acts.stop_now(s, "mall_99", "a", "why", AT), "plan"),
        (lambda s: acts.stop_now(s, "mall_12", "a", " ", AT), "reason"),
        (lambda s: acts.extend(s, "nothing", AT + HOUR, "a", AT), "rule"),
        (lambda s: acts.extend(s, "strategy.beichen_24", AT - HOUR, "a", AT), "until"),
        (lambda s: acts.extend(s, "strategy.beichen_24", None, "a", AT), "until"),
        (lambda s: acts.end_now(s, "maintenance.mall", "a", AT), "rule"),
        (lambda s: acts.end_now(s, "cart.mixed", "a", AT), "rule"),
        (
            lambda s: acts.open_window(s, "w", {"plan": "mall_12"}, "a", AT, told(), start=AT + HOUR, end=AT),
            "end",
        ),
        (lambda s: acts.pause(s, "p", {"plan": "mall_12"}, "a", AT, told()), "next_update"),
        (
            lambda s: acts.pause(s, "p", {"plan": "mall_99"}, "a", AT, told(), end=AT + HOUR),
            "90-changes.yaml:",
        ),
        (lambda s: acts.move(s, "p", {"plan": "mall_12"}, "a", AT, told(), why=Text("一", "b")), "rank"),
        (lambda s: acts.new_agreement_version(s, "bank", {"version": "1"}, "a", AT, told()), "funder"),
        (lambda s: acts.roll_back(s, "sha256:" + "0" * 64, "a", "", AT), "reason"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(shop: Any, act: Any, place: str) -> None:
    before = rows(shop)
    with pytest.raises(BadInput) as refused:
        act(shop.shop)
    assert str(refused.value).startswith(place)
    assert refused.value.problem.way_out
    assert rows(shop) == before


def test_a_plan_that_is_stopped_is_not_stopped_twice(shop: Any) -> None:
    acts.stop_now(shop.shop, "mall_12", "staff:li", "a fault", AT)
    with pytest.raises(BadInput, match="stops it already"):
        acts.stop_now(shop.shop, "mall_12", "staff:li", "a fault", AT + HOUR)


def test_a_policy_published_without_its_files_says_how_it_can_be_edited(mall: Any) -> None:
    with pytest.raises(BadInput, match="publish its folder once"):
        acts.stop_now(mall.shop, "mall_12", "staff:li", "a fault", AT)


def test_an_act_on_a_base_that_moved_meanwhile_is_refused(shop: Any) -> None:
    base, files = acts.files_in_force(shop.shop, AT)
    acts.stop_now(shop.shop, "mall_3", "staff:li", "a fault", AT)
    with pytest.raises(policies.MovedBase):
        acts.publish_files(shop.shop, files, AT, "staff:wang", base=base)


def test_law_is_not_changed_in_one_act(shop: Any) -> None:
    lasting = edits.change(
        FILES, "rules", "law.student_loan", {"blocked": {"from": "2026-11-01", "to": "2026-12-31"}}
    )
    snapshot = read_policy(lasting).snapshot
    assert snapshot is not None
    policies.publish(shop.shop, snapshot, AT, "test", files=lasting, silent_reason="a test")
    before = rows(shop)
    with pytest.raises(acts.Refused) as refused:
        acts.extend(shop.shop, "law.student_loan", AT + HOUR, "staff:li", AT, reason="x")
    assert (refused.value.problem.place, refused.value.problem.value) == ("layer", "law")
    assert "draft" in refused.value.problem.way_out
    assert rows(shop) == before


def test_a_notice_with_a_dot_in_its_name_has_its_page(shop: Any, call: Any) -> None:
    acts.pause(
        shop.shop,
        "pause.dotted",
        {"plan": "mall_12"},
        "staff:li",
        AT,
        told("v1.2"),
        end=AT + HOUR,
        reason="x",
    )
    assert lifecycle.latest(shop.shop)["v1.2"].kind == "published"
    answer = call("GET", "/announcements/v1.2/?shop=mall")
    assert answer.status_code == 200

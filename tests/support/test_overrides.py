"""Special cases: one rule, one customer, an amount, an end; never a rule of law, never by one person alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from tests.agreed import agree, agreed_to
from tests.api.world import AT, GROWN_UP, PHONE

from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.decisions import service as decisions
from fenqi_server.ids import uuid7
from fenqi_server.policies import service as policies
from fenqi_server.shops import service as shops
from fenqi_server.support import overrides

PAUSED = "strategy.beichen_24"
MINOR = "law.adult"
BEICHEN: dict[str, Any] = {**GROWN_UP, "card.bank": "beichen"}
LINE = "customer.line"


def shown(mall: Any, at: Any = AT, *, customer: Any = None, facts: Any = None) -> decisions.Decision:
    who = mall.customer_id if customer is None else customer
    return decisions.evaluate(mall.shop, who, [PHONE], "web", facts or BEICHEN, at)


def asked(mall: Any, rule: str = PAUSED, **changes: Any) -> overrides.SpecialCase:
    wanted: dict[str, Any] = {
        "actor": "staff:li",
        "reason": "A customer of many years, and the pause ends next week",
        "max_amount_minor": 600_000,
        "hours": 24,
        "at": AT,
    }
    return overrides.ask(mall.shop, changes.pop("customer", mall.customer_id), rule, **(wanted | changes))


def approved(mall: Any, rule: str = PAUSED, **changes: Any) -> overrides.SpecialCase:
    found = asked(mall, rule, **changes)
    return overrides.approve(mall.shop, found.public_id, actor="staff:wang", at=changes.get("at", AT))


# ---------------------------------------------------------------------------------------- what it does, and to whom


def test_what_was_paused_is_open_once_it_is_approved_and_not_before(mall):
    assert shown(mall).evaluation.option("beichen_24").verdict.state == "unavailable"
    found = asked(mall)
    assert shown(mall).evaluation.option("beichen_24").verdict.state == "unavailable"
    overrides.approve(mall.shop, found.public_id, actor="staff:wang", at=AT)
    verdict = shown(mall).evaluation.option("beichen_24").verdict
    assert (verdict.state, verdict.overrides) == ("funder_decides", (found.public_id,))


def test_the_decision_that_used_it_records_it_and_replays_identically(mall):
    found = approved(mall)
    decision = shown(mall)
    (recorded,) = decisions.load(decision.public_id, shop=mall.shop).request.overrides
    assert (recorded.id, recorded.rule, recorded.max_amount_minor) == (found.public_id, PAUSED, 600_000)
    assert recorded.until == int((AT + timedelta(hours=24)).timestamp())
    again = decisions.load(decision.public_id, shop=mall.shop)
    assert again.evaluation == decision.evaluation
    # And it still does when the special case is long over.
    overrides.revoke(mall.shop, found.public_id, actor="staff:wang", at=AT, note="the funder objects")
    assert decisions.load(decision.public_id, shop=mall.shop).evaluation == decision.evaluation


def test_another_customer_is_not_touched_by_it(mall):
    other = customers.ensure(mall.shop, "u-2", AT, limit_minor=2_000_000)
    approved(mall)
    decision = shown(mall, customer=other)
    assert decision.request.overrides == ()
    assert decision.evaluation.option("beichen_24").verdict.state == "unavailable"
    nobody = decisions.evaluate(mall.shop, None, [PHONE], "web", BEICHEN, AT)
    assert nobody.request.overrides == ()


def test_only_the_plan_it_names_is_opened(mall):
    approved(mall, LINE, plan="mall_12", max_amount_minor=3_000_000)
    customers.set_limit(mall.shop, mall.customer_id, 100_000)
    option = shown(mall).evaluation.option
    assert option("mall_12").offered
    assert not option("mall_6").offered


def test_an_order_above_its_amount_gains_nothing(mall):
    approved(mall, max_amount_minor=499_899)
    assert not shown(mall).evaluation.option("beichen_24").offered


def test_it_ends_at_its_instant(mall):
    approved(mall, hours=2)
    assert shown(mall, AT + timedelta(hours=2, seconds=-1)).evaluation.option("beichen_24").offered
    assert not shown(mall, AT + timedelta(hours=2)).evaluation.option("beichen_24").offered


def test_a_revocation_counts_from_the_next_decision(mall):
    found = approved(mall)
    assert shown(mall).evaluation.option("beichen_24").offered
    overrides.revoke(mall.shop, found.public_id, actor="staff:zhao", at=AT, note="asked for by mistake")
    assert not shown(mall).evaluation.option("beichen_24").offered
    with pytest.raises(overrides.Refusal, match="not_in_force"):
        overrides.revoke(mall.shop, found.public_id, actor="staff:zhao", at=AT, note="again")


def test_a_rule_of_law_stays_where_it_is_even_if_an_override_is_forced_into_the_request(mall):
    from fenqi.checkout.evaluation import evaluate
    from fenqi.policy.verdict import Override

    decision = shown(mall, facts=BEICHEN | {"customer.age": 17})
    forced = msgspec.structs.replace(
        decision.request, overrides=(Override(id="ov_forced", rule=MINOR, until=decision.request.at + 3600),)
    )
    for option in evaluate(decision.policy, forced).options:
        assert option.verdict.overrides == ()
        before = decision.evaluation.option(option.plan).verdict
        assert [reason.code for reason in option.verdict.reasons] == [
            reason.code for reason in before.reasons
        ]
    assert "UNDERAGE" in [reason.code for reason in decision.evaluation.option("mall_12").verdict.reasons]


# ------------------------------------------------------------------------------------------ what the service refuses


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"rule": MINOR}, "law_rule", "rule of law"),
        ({"rule": "no.such.rule"}, "unknown_rule", "no rule 'no.such.rule'"),
        ({"plan": "tingchao_24"}, "unknown_plan", "that this rule is about"),
        ({"hours": 73}, "bad_hours", "1 to 72"),
        ({"hours": 0}, "bad_hours", "1 to 72"),
        ({"max_amount_minor": 0}, "bad_amount", "minor units"),
        ({"reason": "  "}, "bad_reason", "Say why"),
        ({"reason": "x" * 2001}, "bad_reason", "2001"),
    ],
)
def test_what_cannot_be_asked_for(mall, changes, code, said):
    with pytest.raises(overrides.Refusal) as refused:
        asked(mall, changes.pop("rule", PAUSED), **changes)
    assert refused.value.code == code
    assert said in refused.value.text.en
    assert refused.value.text.zh_cn
    assert overrides.of_customer(mall.shop, mall.customer_id) == ()


def test_a_visitor_not_signed_in_or_of_another_shop_is_no_customer(mall):
    from tests.api.world import make_world

    from fenqi_server.ids import anonymous_party

    other = make_world("other")
    for nobody in (anonymous_party(mall.shop.id), uuid7(AT), other.customer_id):
        with pytest.raises(overrides.Refusal, match="no_customer"):
            asked(mall, customer=nobody)


def test_the_asker_cannot_decide_however_the_name_is_written(mall):
    found = asked(mall)
    for me in ("staff:li", "staff:LI"):
        with pytest.raises(overrides.Refusal, match="own_request"):
            overrides.approve(mall.shop, found.public_id, actor=me, at=AT)
    with pytest.raises(overrides.Refusal, match="own_request"):
        overrides.refuse(mall.shop, found.public_id, actor="staff:li", at=AT, note="no")
    with pytest.raises(overrides.Refusal, match="not_yours"):
        overrides.withdraw(mall.shop, found.public_id, actor="staff:wang", at=AT)
    assert overrides.withdraw(mall.shop, found.public_id, actor="staff:li", at=AT).state(AT) == "withdrawn"


def test_the_approver_may_give_less_and_never_more(mall):
    found = asked(mall)
    for more in ({"max_amount_minor": 600_001}, {"hours": 25}):
        with pytest.raises(overrides.Refusal):
            overrides.approve(mall.shop, found.public_id, actor="staff:wang", at=AT, **more)
    done = overrides.approve(
        mall.shop, found.public_id, actor="staff:wang", at=AT, max_amount_minor=500_000, hours=1
    )
    assert (done.max_amount_minor, done.expires_at) == (500_000, AT + timedelta(hours=1))
    with pytest.raises(overrides.Refusal, match="not_waiting"):
        overrides.refuse(mall.shop, found.public_id, actor="staff:zhao", at=AT, note="too late")


def test_another_shops_special_case_is_not_there(mall):
    from tests.api.world import make_world

    found = asked(mall)
    other = make_world("other")
    for act in (
        lambda: overrides.get(other.shop, found.public_id),
        lambda: overrides.approve(other.shop, found.public_id, actor="staff:wang", at=AT),
    ):
        with pytest.raises(overrides.NoOverride):
            act()


# ----------------------------------------------------------------------------------------- what the database refuses


ASK = """INSERT INTO support_override (shop_id, customer_id, id, rule, layer, max_amount_minor, hours, reason, asked_by,
    asked_at) VALUES (%(shop)s, %(customer)s, %(id)s, %(rule)s, %(layer)s, 600000, %(hours)s, 'why', 'staff:li', %(at)s)"""
ACT = """INSERT INTO support_override_act (shop_id, customer_id, override_id, act, asked_by, asked_max_minor, asked_hours,
    done_by, done_at, max_amount_minor, expires_at) VALUES (%(shop)s, %(customer)s, %(id)s, 'approve', %(asked_by)s,
    %(asked)s, %(hours)s, %(by)s, %(at)s, %(amount)s, %(until)s)"""


def _refused(sql: str, values: dict[str, Any], constraint: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("fenqi_service",)
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            cursor.execute(sql, values)


def test_the_database_refuses_a_rule_of_law(mall):
    use_shop(mall.shop.id)
    values = {
        "shop": mall.shop.id,
        "customer": mall.customer_id,
        "id": uuid7(AT),
        "rule": MINOR,
        "layer": "law",
        "hours": 24,
        "at": AT,
    }
    _refused(ASK, values, "support_override_layer_check")
    _refused(ASK, values | {"layer": "strategy", "hours": 73}, "support_override_hours_check")


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"by": "staff:li"}, "support_override_two_people"),
        ({"by": "staff:Li"}, "support_override_two_people"),
        # Saying that somebody else had asked does not help: what was asked is one row, and this one has to name it.
        ({"by": "staff:li", "asked_by": "staff:nobody"}, "violates foreign key"),
        ({"asked": 900_000, "amount": 900_000}, "violates foreign key"),
        ({"hours": 72, "until": AT + timedelta(hours=72)}, "violates foreign key"),
        ({"until": AT + timedelta(hours=24, seconds=1)}, "support_override_within"),
        ({"until": AT}, "support_override_within"),
        ({"until": None}, "support_override_within"),
        ({"amount": 600_001}, "support_override_within"),
        ({"amount": None}, "support_override_within"),
    ],
)
def test_the_database_refuses_an_approval(mall, changes, constraint):
    found = asked(mall)
    use_shop(mall.shop.id)
    good = {
        "shop": mall.shop.id,
        "customer": mall.customer_id,
        "id": found.id,
        "asked_by": "staff:li",
        "asked": 600_000,
        "hours": 24,
        "by": "staff:wang",
        "at": AT,
        "amount": 600_000,
        "until": AT + timedelta(hours=24),
    }
    _refused(ACT, good | changes, constraint)
    with connection.cursor() as cursor:
        cursor.execute(ACT, good)


def test_nothing_said_about_a_special_case_can_be_changed_or_removed(mall):
    approved(mall)
    for table in ("support_override", "support_override_act", "support_override_use"):
        for statement in (f"UPDATE {table} SET shop_id = shop_id", f"DELETE FROM {table}"):
            with (
                pytest.raises(ProgrammingError, match="permission denied"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(statement)


# ------------------------------------------------------------------------------------------------------ confirming


def _line_too_small(mall: Any, **changes: Any) -> tuple[overrides.SpecialCase, decisions.Decision]:
    """A customer whose line is too small for the phone, with a special case that lets them."""
    customers.set_limit(mall.shop, mall.customer_id, 300_000)
    assert not shown(mall).evaluation.option("mall_12").offered
    found = approved(mall, LINE, **changes)
    decision = shown(mall)
    assert decision.evaluation.option("mall_12").verdict.overrides == (found.public_id,)
    return found, decision


def confirm(mall: Any, decision: decisions.Decision, plan: str, at: Any, order: str = "o-1") -> Any:
    return agree(mall.shop, mall.customer_id, decision.quotes[plan].token, order, at)


def test_an_offer_under_a_special_case_is_confirmed_and_both_decisions_name_it(mall):
    found, decision = _line_too_small(mall)
    done = confirm(mall, decision, "mall_12", AT + timedelta(minutes=5))
    again = decisions.load(done.decision_id, shop=mall.shop)
    assert again.evaluation.option("mall_12").verdict.overrides == (found.public_id,)
    (use,) = overrides.uses(mall.shop, found)
    assert (use.decision, use.amount_minor, use.order_ref) == (done.decision_id, 499_900, "o-1")


def test_the_amount_is_for_all_orders_under_it_together(mall):
    _, decision = _line_too_small(mall, max_amount_minor=600_000)
    second = shown(mall)
    confirm(mall, decision, "mall_12", AT)
    (left,) = overrides.active(mall.shop, mall.customer_id, AT)
    assert left.max_amount_minor == 100_100
    with pytest.raises(decisions.Refused) as refused:
        confirm(mall, second, "mall_12", AT, "o-2")
    assert refused.value.code == "override_ended"
    assert "does not cover" in refused.value.detail.en


def test_one_that_expired_meanwhile_is_refused_saying_so(mall):
    _, decision = _line_too_small(mall, hours=1)
    late = AT + timedelta(minutes=59)
    decision = shown(mall, late)
    with pytest.raises(decisions.Refused) as refused:
        confirm(mall, decision, "mall_12", AT + timedelta(hours=1, seconds=1))
    assert refused.value.code == "override_ended"
    assert "stood until 2026-11-24 11:00 and has expired" in refused.value.detail.en
    assert "有效至 2026-11-24 11:00，现已到期" in refused.value.detail.zh_cn
    assert [reason.code for reason in refused.value.changed.reasons] == ["LINE_INSUFFICIENT"]


def test_one_that_was_revoked_meanwhile_is_refused_saying_so(mall):
    found, decision = _line_too_small(mall)
    overrides.revoke(mall.shop, found.public_id, actor="staff:wang", at=AT, note="a mistake")
    with pytest.raises(decisions.Refused) as refused:
        confirm(mall, decision, "mall_12", AT + timedelta(minutes=1))
    assert refused.value.code == "override_ended"
    assert "revoked at 2026-11-24 10:00" in refused.value.detail.en


def test_a_pause_that_a_quote_would_be_honoured_through_counts_where_a_special_case_had_lifted_it(mall):
    """A strategy's change after the quote is honoured; the pause that was there before it is not forgiven twice."""
    approved(mall, hours=1)
    decision = shown(mall, AT + timedelta(minutes=59))
    with pytest.raises(decisions.Refused) as refused:
        confirm(mall, decision, "beichen_24", AT + timedelta(hours=1))
    assert refused.value.code == "override_ended"


def test_over_http_an_expired_special_case_is_a_409_with_what_changed(mall, call, at):
    from fenqi_server import clock

    _, _ = _line_too_small(mall, hours=1)
    with clock.pinned(AT + timedelta(minutes=58)):
        answer = call("POST", "/v1/evaluations", mall.body(), key=mall.key).json()
        offers = {offer["plan"]: offer for offer in answer["offers"]}
        assert offers["mall_12"]["special_case"] == {"until": "2026-11-24T11:00:00+08:00"}
        assert offers["tingchao_12"]["special_case"] is None
        quote = offers["mall_12"]["quote"]["token"]
    with clock.pinned(AT + timedelta(minutes=61)):
        refused = call(
            "POST",
            "/v1/contracts",
            {"quote": quote, "order_ref": "o-1", "customer": {"ref": "u-1"}} | agreed_to(quote, AT),
            key=mall.key,
            headers={"Idempotency-Key": "one"},
        )
    assert refused.status_code == 409
    body = refused.json()
    assert body["code"] == "override_ended"
    assert body["changed"]["plan"] == "mall_12"
    assert [reason["code"] for reason in body["changed"]["reasons"]] == ["LINE_INSUFFICIENT"]


# ------------------------------------------------------------------------------------------------- audit, and cost


def test_every_act_is_in_the_audit_log(mall, acted):
    first = approved(mall)
    overrides.revoke(mall.shop, first.public_id, actor="staff:wang", at=AT, note="a mistake")
    second = asked(mall)
    overrides.refuse(mall.shop, second.public_id, actor="staff:wang", at=AT, note="not this time")
    third = asked(mall)
    overrides.withdraw(mall.shop, third.public_id, actor="staff:li", at=AT)
    assert sorted(acted("override.")) == sorted(
        [
            ("override.ask", "staff:li", first.public_id),
            ("override.approve", "staff:wang", first.public_id),
            ("override.revoke", "staff:wang", first.public_id),
            ("override.ask", "staff:li", second.public_id),
            ("override.refuse", "staff:wang", second.public_id),
            ("override.ask", "staff:li", third.public_id),
            ("override.withdraw", "staff:li", third.public_id),
        ]
    )


def test_a_shop_without_any_in_force_is_not_asked_again_within_the_second(mall):
    from django.test.utils import CaptureQueriesContext

    assert overrides.active(mall.shop, mall.customer_id, AT) == ()
    with CaptureQueriesContext(connection) as asked_of:
        assert overrides.active(mall.shop, mall.customer_id, AT) == ()
    assert len(asked_of) == 0


def test_a_policy_that_made_the_rule_one_of_law_meanwhile_stops_the_approval(mall):
    found = asked(mall)
    snapshot = policies.current(mall.shop.id, AT).snapshot
    rules = tuple(
        msgspec.structs.replace(rule, layer="law") if rule.id == PAUSED else rule for rule in snapshot.rules
    )
    policies.publish(
        mall.shop, msgspec.structs.replace(snapshot, rules=rules), AT, "test", silent_reason="a test"
    )
    with pytest.raises(overrides.Refusal, match="law_rule"):
        overrides.approve(mall.shop, found.public_id, actor="staff:wang", at=AT)


def test_a_customer_has_so_many_at_most(mall, monkeypatch):
    monkeypatch.setattr(overrides, "MAX_OPEN", 2)
    asked(mall)
    asked(mall, LINE)
    with pytest.raises(overrides.Refusal, match="too_many"):
        asked(mall)
    assert shops.by_code("mall") is not None


# --------------------------------------------------------------------------------------------------- many at once


def _in_threads(act: Any, many: int) -> list[Any]:
    barrier = threading.Barrier(many)

    def run(number: int) -> Any:
        barrier.wait()
        try:
            return act(number)
        except (overrides.Refusal, decisions.Refused) as refusal:
            return refusal.code
        finally:
            connection.close()

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(run, range(many)))


def test_of_ten_orders_at_once_only_so_many_as_the_amount_covers(committed_mall):
    mall = committed_mall
    customers.set_limit(mall.shop, mall.customer_id, 300_000)
    found = approved(mall, LINE, max_amount_minor=1_200_000)
    quotes = [shown(mall) for _ in range(10)]
    answers = _in_threads(lambda number: confirm(mall, quotes[number], "mall_12", AT, f"o-{number}"), 10)
    assert sum(isinstance(answer, decisions.Confirmed) for answer in answers) == 2
    assert answers.count("override_ended") == 8
    assert [use.amount_minor for use in overrides.uses(mall.shop, found)] == [499_900, 499_900]


def test_of_eight_who_decide_at_once_one_word_stands(committed_mall):
    mall = committed_mall
    found = asked(mall)

    def decide(number: int) -> Any:
        who = f"staff:boss-{number}"
        if number % 2:
            return overrides.refuse(mall.shop, found.public_id, actor=who, at=AT, note="no")
        return overrides.approve(mall.shop, found.public_id, actor=who, at=AT)

    answers = _in_threads(decide, 8)
    assert sum(isinstance(answer, overrides.SpecialCase) for answer in answers) == 1
    assert answers.count("not_waiting") == 7

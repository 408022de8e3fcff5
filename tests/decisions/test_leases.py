"""A partner's lease and a pledge through the service: quoted, read, confirmed, handed off; and its deposit, which may change."""

from __future__ import annotations

import msgspec
import pytest
from tests.agreed import agree, agreed_to
from tests.api.world import AT, GROWN_UP, PHONE, decoded, demo_snapshot
from tests.engine.checkout.leasing import PLANS, SHOP, WAIVERS, loaded

GOOD = {**GROWN_UP, "customer.credit_score": 650}
POOR = {**GROWN_UP, "customer.credit_score": 550}


@pytest.fixture
def mall(committed_mall):
    """The demo's policy, with a lessor, its leases and a pledge beside it."""
    publish()
    return committed_mall


def publish(waivers: str = WAIVERS) -> None:
    from fenqi_server.policies import service as policies
    from fenqi_server.shops import service as shops

    theirs = loaded(SHOP, PLANS, waivers).snapshot
    assert theirs is not None
    ours = demo_snapshot()
    added = {"lessor", "scorer"}
    families = {"phone_rent", "cloud_rent", "pledge"}
    snapshot = msgspec.structs.replace(
        ours,
        funders=(*ours.funders, *(one for one in theirs.funders if one.id in added)),
        families=(*ours.families, *(one for one in theirs.families if one.id in families)),
        plans=(*ours.plans, *(one for one in theirs.plans if one.family in families)),
        waivers=theirs.waivers,
    )
    shop = shops.by_code("mall")
    assert shop is not None
    policies.publish(shop, snapshot, AT, "test", silent_reason="a test")


def evaluate(mall, facts=None):
    from fenqi_server.decisions import service as decisions

    return decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", facts or GOOD, AT)


@pytest.mark.parametrize("facts", [GOOD, POOR])
def test_a_lease_is_agreed_to_and_handed_to_its_lessor(mall, facts):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents, handoffs

    shown = evaluate(mall, facts)
    option = shown.evaluation.option("rent_12")
    assert option.offered
    assert option.schedule.lease.deposit_form == ("waived" if facts is GOOD else "frozen")
    token = shown.quotes["rent_12"].token
    with pytest.raises(decisions.Refused) as refused:
        agree(mall.shop, mall.customer_id, token, "o-1", AT)
    assert refused.value.code == "consent_missing"
    consents.record(mall.shop, mall.customer_id, "lessor", AT)
    done = agree(mall.shop, mall.customer_id, token, "o-1", AT)
    assert isinstance(done, decisions.HandedOff)
    hand_off = handoffs.get(mall.shop, done.hand_off_id)
    assert (hand_off.funder, hand_off.plan, hand_off.amount_minor) == ("lessor", "rent_12", 499_900)


def test_a_lease_is_confirmed_only_after_its_table_was_read(mall):
    from fenqi_server.decisions import service as decisions

    token = evaluate(mall).quotes["rent_12"].token
    said = agreed_to(token, AT, read_seconds=3)
    with pytest.raises(decisions.Refused) as refused:
        decisions.confirm(
            mall.shop,
            mall.customer_id,
            token,
            "o-1",
            said["acknowledged_disclosure"],
            AT,
            reading=said["reading"],
        )
    assert refused.value.code == "reading_too_short"


def test_a_waived_deposit_is_asked_for_anew_where_the_risk_has_changed(mall):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents

    consents.record(mall.shop, mall.customer_id, "lessor", AT)
    token = evaluate(mall).quotes["rent_12"].token
    with pytest.raises(decisions.Refused) as refused:
        agree(mall.shop, mall.customer_id, token, "o-1", AT, asserted=POOR)
    assert refused.value.code == "verdict_changed"
    assert refused.value.title.en == "The deposit is no longer waived"
    assert [reason.rule for reason in refused.value.changed.reasons] == ["deposit.score"]


def test_a_waived_deposit_is_honoured_where_only_the_shops_mind_has_changed(mall):
    from fenqi_server.funders import consents

    consents.record(mall.shop, mall.customer_id, "lessor", AT)
    token = evaluate(mall).quotes["rent_12"].token
    publish(
        WAIVERS.replace("layer: risk", "layer: strategy").replace(
            "customer.credit_score >= 600", "customer.credit_score >= 700"
        )
    )
    assert agree(mall.shop, mall.customer_id, token, "o-1", AT).hand_off_id
    again = evaluate(mall).evaluation.option("rent_12")
    assert again.deposit_verdict.state == "unavailable"


def test_the_api_tells_the_lease_its_deposit_and_what_changed_of_it(mall, call):
    def post(path, body, **headers):
        return call("POST", path, body, key=mall.key, headers=headers)

    answer = decoded(post("/v1/evaluations", mall.body(facts=GOOD)))
    assert [group["title"]["en"] for group in answer["groups"] if group["id"] == "instalment"] == [
        "Instalments, loans and rentals"
    ]
    offers = {offer["plan"]: offer for offer in answer["offers"]}
    lease = offers["rent_12"]["lease"]
    # For 4999: 12 x 499 + 1600 = 7588, which is 151.79 % of it, rounded up.
    assert (lease["path"], lease["own_percent"]) == ("buy_out", "151.80")
    assert (lease["deposit"]["form"], lease["deposit"]["verdict"]) == ("waived", "available")
    assert {point["code"] for point in lease["sheet"]["points"]} >= {
        "ratio",
        "own",
        "give_back",
        "no_sale",
        "lost",
    }
    assert offers["rent_12"]["schedule"][0] == {
        "number": 1,
        "kind": "rent",
        "due_on": "2026-11-24",
        "principal_minor": 0,
        "fee_minor": 0,
        "total_minor": 49_900,
        "rent_minor": 49_900,
    }
    assert offers["rent_only"]["cost"]["percent"] is None
    assert offers["rent_only"]["cost"]["undefined"] == "no_ownership"
    pledge = offers["pledge"]
    assert [(row["kind"], row["due_on"]) for row in pledge["schedule"]] == [("payment", "2027-01-31")]

    post("/v1/consents", {"customer": {"ref": "u-1"}, "funder": "lessor"})
    token = offers["rent_12"]["quote"]["token"]
    body = {
        "quote": token,
        "order_ref": "o-1",
        "customer": {"ref": "u-1"},
        "facts": POOR,
        **agreed_to(token, AT),
    }
    refused = post("/v1/contracts", body, **{"Idempotency-Key": "k-1"})
    assert refused.status_code == 409
    changed = decoded(refused)["changed"]
    assert (changed["plan"], changed["was"], changed["now"]) == ("rent_12", "available", "unavailable")
    assert changed["reasons"][0]["code"] == "DEPOSIT_SCORE_LOW"


def test_a_pledge_goes_to_the_acquirer_without_a_reading(mall):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.funders import consents

    consents.record(mall.shop, mall.customer_id, "acquirer", AT)
    token = evaluate(mall).quotes["pledge"].token
    done = decisions.confirm(mall.shop, mall.customer_id, token, "o-1", None, AT)
    assert isinstance(done, decisions.HandedOff)


def test_a_lease_and_a_pledge_of_the_shops_own_become_contracts_of_ours(committed_mall):
    from fenqi_server.books.proof import prove_shop
    from fenqi_server.decisions import service as decisions
    from fenqi_server.policies import service as policies
    from fenqi_server.servicing import leases, service

    mall = committed_mall
    own = SHOP.replace("kind: lessor}", "kind: shop, own_book: yes}").replace(
        "funder: acquirer, name: {zh-CN: 众筹", "funder: lessor, name: {zh-CN: 众筹"
    )
    theirs = loaded(own, PLANS.replace("form: frozen, waivable", "waivable"), WAIVERS).snapshot
    assert theirs is not None
    ours = demo_snapshot()
    families = {"phone_rent", "pledge"}
    plans = [
        msgspec.structs.replace(one, authority="shop", indicative_basis=None)
        for one in theirs.plans
        if one.family in families
    ]
    snapshot = msgspec.structs.replace(
        ours,
        funders=(*ours.funders, *(one for one in theirs.funders if one.id == "lessor")),
        families=(*ours.families, *(one for one in theirs.families if one.id in families)),
        plans=(*ours.plans, *plans),
        waivers=theirs.waivers,
    )
    policies.publish(mall.shop, snapshot, AT, "test", silent_reason="a test")

    shown = evaluate(mall, POOR)
    done = agree(mall.shop, mall.customer_id, shown.quotes["rent_12"].token, "o-1", AT)
    assert isinstance(done, decisions.Confirmed)
    state = service.get(mall.shop, done.contract_id, at=AT).state
    # Deposit 1,000, and the first of 12 rents of 499 in advance; nothing is owed for the goods.
    assert (state.deposit_outstanding_minor, state.rent_outstanding_minor) == (100_000, 12 * 49_900)
    assert (state.principal_outstanding_minor, state.lease.awaits) == (0, "hand_over")
    # Who need not leave a deposit owes none.
    free = evaluate(mall, GOOD)
    waived = agree(mall.shop, mall.customer_id, free.quotes["rent_12"].token, "o-2", AT)
    lease = service.get(mall.shop, waived.contract_id, at=AT).state.lease
    assert (lease.deposit_form, lease.deposit_held_minor) == ("waived", 0)
    leases.hand_over(mall.shop, waived.contract_id, AT, cost_minor=400_000)
    pledged = agree(mall.shop, mall.customer_id, free.quotes["pledge"].token, "o-3", AT)
    state = service.get(mall.shop, pledged.contract_id, at=AT).state
    assert (state.balance_minor, state.pledge.stage) == (0, "agreed")
    assert service.standing(mall.shop, mall.customer_id, AT.date()).exposure_minor == 0
    assert prove_shop(mall.shop).problems == ()

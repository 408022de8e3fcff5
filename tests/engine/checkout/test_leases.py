"""Leases and pledges at the checkout: the deposit's own verdict, the figures, and what rules can ask of them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.engine.checkout.leasing import NOON, PLANS, SHOP, WAIVERS, answer, loaded, policy, told

from fenqi.checkout.columns import decide_columns
from fenqi.checkout.document import evaluation_document
from fenqi.checkout.evaluation import evaluate, priced_facts
from fenqi.checkout.leases import ratio_ceiling
from fenqi.checkout.nearest import nearest_change
from fenqi.checkout.request import CheckoutRequest, Line, facts_of
from fenqi.contracts.terms import TermsMismatch, pin
from fenqi.policy.columns import columns_of
from fenqi.policy.compile import compile_policy
from fenqi.policy.difference import change_text, compare, review_layers
from fenqi.policy.facts import VOCABULARY
from fenqi.policy.reasons import reason_texts
from fenqi.policy.snapshot import SnapshotError, decode, digest, encode
from fenqi.policy.verdict import Override
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import Plan
from fenqi.terms.rent import Buyout, Deposit, Lease, Rent
from fenqi.terms.schedule import build_schedule

DAY = 86_400


def test_a_deposit_is_waived_from_a_score_and_says_why_not_below_it() -> None:
    good = answer(policy(), customer__credit_score=600).option("rent_12")
    assert good.deposit_verdict is not None
    assert good.deposit_verdict.state == "available"
    assert good.schedule is not None
    assert good.schedule.lease is not None
    assert (good.schedule.lease.deposit_form, good.schedule.lease.waived_minor) == ("waived", 100_000)

    poor = answer(policy(), customer__credit_score=599).option("rent_12")
    # The lease itself is there; only its deposit is asked for.
    assert poor.verdict.state == "available"
    assert poor.deposit_verdict is not None
    assert poor.deposit_verdict.state == "unavailable"
    assert poor.schedule is not None
    assert poor.schedule.lease is not None
    assert (poor.schedule.lease.deposit_form, poor.schedule.lease.deposit_minor) == ("frozen", 100_000)
    (reason,) = poor.deposit_verdict.reasons
    assert (reason.code, reason.rule, reason.personal) == ("DEPOSIT_SCORE_LOW", "deposit.score", True)
    waivers = policy().waivers
    assert waivers is not None
    said = reason_texts(waivers, reason, "customer", "en")
    assert said.detail == "The deposit is waived from a credit score of 600; yours is 599."
    assert (
        reason_texts(waivers, reason, "customer", "zh-CN").detail == "信用分达到 600 可免押金，当前为 599。"
    )


def test_an_unknown_score_asks_for_the_deposit_and_for_the_score() -> None:
    option = answer(policy()).option("rent_12")
    assert option.verdict.state == "available"
    assert option.deposit_verdict is not None
    assert option.deposit_verdict.state == "unavailable"
    assert option.deposit_verdict.asks == ("customer.credit_score",)
    assert option.deposit_verdict.reasons[0].unknown


def test_a_deposit_that_the_funder_judges_on_its_page_is_asked_for_until_then() -> None:
    option = answer(policy(), customer__credit_score=700).option("cloud_12")
    assert option.verdict.state == "funder_decides"
    assert option.deposit_verdict is not None
    assert option.deposit_verdict.state == "funder_decides"
    assert option.schedule is not None
    # 20 % of 6999
    assert option.schedule.rows[0].deposit_minor == 139_980


def test_a_special_case_waives_a_deposit_too() -> None:
    line = Line("phone", "Phone", "phones", "goods", 1, 699_900, "mall")
    granted = Override(id="o1", rule="deposit.score", until=NOON + DAY)
    request = CheckoutRequest(
        (line,), "CNY", "web", NOON, {"customer.credit_score": 500}, overrides=(granted,)
    )
    option = evaluate(policy(), request).option("rent_12")
    assert option.deposit_verdict is not None
    assert (option.deposit_verdict.state, option.deposit_verdict.overrides) == ("available", ("o1",))
    # It says nothing about the lease.
    assert option.verdict.overrides == ()


def test_a_waiver_that_ends_ends_the_answer() -> None:
    ends = """\
waivers:
- id: deposit.autumn
  layer: strategy
  owner: operations
  reason: DEPOSIT_REQUIRED
  applies: {plan: rent_12}
  blocked: {from: 2026-11-23T18:00}
"""
    evaluation = answer(policy(ends), customer__credit_score=650)
    assert evaluation.valid_until == NOON + 6 * 3600
    later = answer(policy(ends), at=NOON + 6 * 3600, customer__credit_score=650).option("rent_12")
    assert later.deposit_verdict is not None
    assert later.deposit_verdict.state == "unavailable"


def test_a_lease_is_priced_to_ownership_where_it_can_be_had() -> None:
    evaluation = answer(policy(), customer__credit_score=650)
    option = evaluation.option("rent_12")
    assert option.schedule is not None
    assert option.cost is not None
    assert option.disclosure is not None
    # 12 x 499 + 1600 = 7588 for 6999; 14.40 % a year with its deposit waived.
    assert option.schedule.total_minor == 758_800
    assert option.instalment_minor == 49_900
    assert option.disclosure.annual_cost.shown_percent == "14.40"
    assert option.disclosure.total_repayment_minor == 758_800
    only = evaluation.option("rent_only")
    assert only.cost is not None
    assert only.disclosure is not None
    # 6 x 8 % of 6999 = 6 x 559.92
    assert only.cost.total_minor == 335_952
    assert only.disclosure.annual_cost.shown_percent is None
    assert only.disclosure.annual_cost.undefined == "no_ownership"


def test_leases_stand_with_what_is_owed_over_time_and_pledges_with_payment() -> None:
    evaluation = answer(policy(), customer__credit_score=650)
    groups = {group.id: group.families for group in evaluation.groups}
    assert set(groups["instalment"]) == {"phone_rent", "cloud_rent", "mall"}
    assert set(groups["payment"]) == {"pledge", "card"}


def test_a_pledge_costs_nothing_and_closes_with_its_campaign() -> None:
    option = answer(policy()).option("pledge")
    assert option.offered
    assert option.schedule is not None
    assert [(row.due_on, row.total_minor) for row in option.schedule.rows] == [(date(2027, 1, 31), 699_900)]
    # 1 February 2027, noon in Shanghai: 70 days later.
    closed = answer(policy(), at=NOON + 70 * DAY).option("pledge")
    assert closed.verdict.state == "unavailable"
    assert [reason.code for reason in closed.verdict.reasons] == ["PLEDGE_CLOSED"]
    assert nearest_change(policy(), _request(at=NOON + 70 * DAY), "pledge") is None
    # 90 days are how long the authorisation stands; 91 before the end it would lapse.
    early = NOON + 69 * DAY - 91 * DAY
    assert [reason.code for reason in answer(policy(), at=early).option("pledge").verdict.reasons] == [
        "PLEDGE_CLOSED"
    ]


def _request(at: int = NOON) -> CheckoutRequest:
    line = Line("phone", "Phone", "phones", "goods", 1, 699_900, "mall")
    return CheckoutRequest((line,), "CNY", "web", at, {})


def test_a_missing_lease_is_compared_with_what_is_there_by_what_owning_costs() -> None:
    blocked = """\
rules:
- id: strategy.no_rent
  layer: strategy
  owner: operations
  reason: STRATEGY_PAUSE
  applies: {plan: rent_12}
  blocked: {from: 2026-11-01}
"""
    option = answer(policy(blocked), customer__credit_score=650).option("rent_12")
    found = {other.plan: other.difference_minor for other in option.alternatives}
    # 12 x 0.6 % of 6999 is 503.93: 7502.93, against 7588.00; the same lease by the other partner costs the same.
    assert found["mall_12"] == 750_293 - 758_800
    assert found["cloud_12"] == 0


# --- what rules can ask ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        # (5988 + 1600) / 6999 = 1.084154879...
        ("offer.own_ratio <= 108.4155%", True),
        ("offer.own_ratio <= 108.4154%", False),
        ("offer.yearly_ratio <= 130%", True),
        ("offer.buyout >= ¥1,600.00", True),
        ("offer.buyout_ratio > 22.86%", True),
        ("offer.buyout_ratio > 22.87%", False),
        ("offer.deposit <= ¥0", True),
        ("offer.deposit_days <= 5", True),
        ("offer.deposit_days <= 4", False),
        ("offer.owns is yes", True),
        ("offer.rent_total <= ¥5,988.00", True),
        ("offer.paid_at_start <= ¥499.00", True),
        ("offer.goods_used is no", True),
        ("offer.renews_silently is no", True),
        ("offer.overdue_sale is no", True),
        ("offer.annual_cost <= 14.41%", True),
        ("offer.annual_cost <= 14.40%", False),
    ],
)
def test_rules_over_what_a_lease_comes_to(asked: str, offered: bool) -> None:
    rule = f"""\
rules:
- id: law.lease
  layer: law
  owner: legal
  reason: LEASE_TERMS
  applies: {{plan: rent_12}}
  require: "{asked}"
  unknown: block
"""
    assert answer(policy(rule), customer__credit_score=650).option("rent_12").offered is offered


def test_every_priced_fact_of_a_lease_is_in_the_vocabulary() -> None:
    deposit = Deposit(amount_minor=100_000, at_end="returned", release_days=3)
    terms = Lease(rent=Rent(49_900), paid="in_advance", goods="new", deposit=deposit, buyout=Buyout(160_000))
    plan = Plan("p", "f", "l", "operating_lease", 12, terms)
    schedule = build_schedule(plan, 699_900, "CNY", date(2026, 11, 23))
    facts = priced_facts(schedule, cost_of(schedule, plan), 12)
    assert set(facts) <= set(VOCABULARY)
    # Paid on the first day: deposit and first rent.
    assert facts["offer.paid_at_start"] == 149_900
    assert facts["offer.deposit"] == 100_000
    assert {name for name in VOCABULARY if name.startswith("offer.")} == set(facts)


def test_a_waived_deposit_is_waived_in_columns_too() -> None:
    # With the deposit paid in cash 1000 + 499 are due on the first day; without it 499.
    cash = PLANS.replace("form: frozen", "form: cash")
    rule = """\
rules:
- id: strategy.first_day
  layer: strategy
  owner: operations
  reason: LEASE_TERMS
  applies: {plan: rent_12}
  require: offer.paid_at_start <= ¥600.00
"""
    snapshot = loaded(SHOP, cash, WAIVERS, rule).snapshot
    assert snapshot is not None
    made = compile_policy(snapshot)
    scores = (None, 500, 599, 600, 720)
    requests = [
        msgspec.structs.replace(_request(), facts={} if score is None else {"customer.credit_score": score})
        for score in scores
    ]
    by_row = [evaluate(made, request).option("rent_12").verdict.state for request in requests]
    assert by_row == ["unavailable", "unavailable", "unavailable", "available", "available"]
    facts = [facts_of(request, 699_900, made.zone) for request in requests]
    decided = decide_columns(made, columns_of(facts, made.vocabulary, made.zone))
    assert decided.states["rent_12"].to_list() == by_row


# --- the document ---------------------------------------------------------------------------------------------------------


def test_the_document_tells_what_a_lease_comes_to_and_why_its_deposit_is_asked_for() -> None:
    ceiling = """\
rules:
- id: law.ratio
  layer: law
  owner: legal
  reason: LEASE_TERMS
  applies: {legal_form: operating_lease}
  require: ["offer.yearly_ratio <= 130%", "offer.overdue_sale is no"]
  unknown: block
"""
    made = policy(ceiling)
    assert ratio_ceiling(made, made.plan("rent_12")) == 1_300_000_000_000
    assert ratio_ceiling(made, made.plan("mall_12")) is None
    evaluation = answer(made, customer__credit_score=500)
    told = evaluation_document(made, evaluation, locale="en")
    offer = next(one for one in told.offers if one.plan == "rent_12")
    lease = offer.lease
    assert lease is not None
    assert (lease.path, lease.owns, lease.ends_on, lease.rents) == ("buy_out", True, date(2027, 11, 23), 12)
    assert (lease.rent_total_minor, lease.buyout_minor, lease.give_back_minor) == (598_800, 160_000, 601_800)
    assert (lease.own_percent, lease.yearly_percent) == ("108.42", "108.42")
    assert lease.deposit is not None
    assert (lease.deposit.form, lease.deposit.amount_minor, lease.deposit.credited_minor) == (
        "frozen",
        100_000,
        100_000,
    )
    assert lease.deposit.verdict == "unavailable"
    (reason,) = lease.deposit.reasons
    assert reason.detail == {"en": "The deposit is waived from a credit score of 600; yours is 500."}
    points = {point.code: point for point in lease.sheet.points}
    assert points["ratio"].says["en"].endswith("At most 130.00% is allowed.")
    assert points["lost"].warns
    assert lease.sheet.digest.startswith("sha256:")
    # Rows say their rent; a frozen deposit is in none.
    assert [(row.kind, row.rent_minor, row.total_minor) for row in offer.schedule][-2:] == [
        ("rent", 49_900, 49_900),
        ("buyout", 0, 160_000),
    ]
    written = msgspec.json.decode(msgspec.json.encode(told))
    rows = next(one for one in written["offers"] if one["plan"] == "mall_12")["schedule"]
    assert set(rows[0]) == {"number", "kind", "due_on", "principal_minor", "fee_minor", "total_minor"}
    assert next(one for one in told.offers if one.plan == "mall_12").lease is None


def test_a_waived_deposit_is_told_as_one() -> None:
    evaluation = answer(policy(), customer__credit_score=650)
    told = evaluation_document(policy(), evaluation)
    lease = next(one for one in told.offers if one.plan == "rent_12").lease
    assert lease is not None
    assert lease.deposit is not None
    assert (lease.deposit.form, lease.deposit.verdict, lease.deposit.waived_minor) == (
        "waived",
        "available",
        100_000,
    )
    assert lease.deposit.reasons == ()


def test_the_mainlands_pack_holds_a_lease_to_its_ceiling_and_the_sheet_says_so() -> None:
    made = policy("packs:\n- {id: cn-mainland, version: 2026-11}\n")
    assert ratio_ceiling(made, made.plan("rent_12")) == 1_300_000_000_000
    known = {"customer__age": 30, "customer__credit_score": 650, "customer__consents": frozenset({"lessor"})}
    assert answer(made, 699_900, **known).option("rent_12").offered
    # 7588 / 4999 = 151.79 %; 7588 / 5836.92 = 130.00007 %.
    for price in (499_900, 583_692):
        option = answer(made, price, **known).option("rent_12")
        assert [reason.rule for reason in option.verdict.reasons] == ["cn.lease_ratio"]
    # 7588 / 1.3 = 5836.923...
    assert answer(made, 583_693, **known).option("rent_12").offered


# --- writing them ---------------------------------------------------------------------------------------------------------


def test_leases_are_read_as_they_are_written_and_survive_their_encoding() -> None:
    snapshot = policy().snapshot
    plan = next(found for found in snapshot.plans if found.id == "rent_12")
    terms = plan.pricing
    assert isinstance(terms, Lease)
    assert terms.rent == Rent(49_900)
    assert terms.renewal is not None
    assert (terms.renewal.coefficient, terms.renewal.asked_days_before) == (Decimal("0.8"), 5)
    assert terms.deposit == Deposit(
        release_days=3,
        at_end="credited",
        amount_minor=100_000,
        form="frozen",
        waivable=True,
        inspection_days=2,
    )
    assert terms.buyout is not None
    assert terms.buyout.early is not None
    assert (terms.buyout.early.formula, terms.buyout.early.last_days) == ("maturity_plus_unpaid_rent", 10)
    assert digest(decode(encode(snapshot))) == digest(snapshot)
    assert decode(encode(snapshot)) == snapshot


def test_a_year_is_twelve_months() -> None:
    yearly = """\
plans:
- {id: y, family: phone_rent, periods: 2, unit: year, pricing: {kind: lease, rent: "¥5,000.00", paid: in_arrears, goods: new}}
"""
    snapshot = loaded(SHOP, yearly).snapshot
    assert snapshot is not None
    assert (snapshot.plans[0].unit, snapshot.plans[0].every) == ("month", 12)


def _lease(more: str) -> str:
    return f"""\
plans:
- id: r
  family: phone_rent
  periods: 12
  pricing: {{kind: lease, rent: ¥499.00, paid: in_advance, goods: new, {more}}}
"""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "renewal: {coefficient: 80%, consent: silent}",
            "renewal.consent is silent: expected asked: a lease is renewed",
        ),
        (
            "overdue: becomes_sale",
            "overdue is becomes_sale: expected stays_lease: being late never turns a lease",
        ),
        ("deposit: {amount: ¥100}", "deposit has no at_end"),
        (
            "deposit: {amount: ¥100, share: 10%, at_end: returned, release_days: 3}",
            "pricing.deposit is amount_minor and share: expected exactly one of the two",
        ),
        (
            "deposit: {amount: ¥100, at_end: kept, release_days: 3}",
            "at_end is kept: not one of credited, returned, lost",
        ),
        ("buyout: {last_days: 10, amount: ¥1}", "last_days has no meaning without early"),
        (
            "buyout: {early: cheaply}",
            "early is cheaply: not one of maturity_plus_unpaid_rent, price_less_paid",
        ),
        ("buyout: {early: maturity_plus_unpaid_rent}", "pricing.buyout is neither amount_minor nor share"),
        ("minimum_periods: 13", "pricing.minimum_periods is 13: expected 1 to the 12 periods of the plan"),
        ("annual_rate: 5%", "annual_rate has no meaning in lease pricing"),
    ],
)
def test_what_is_wrong_with_a_lease_is_said(more: str, message: str) -> None:
    problems = told(SHOP, _lease(more))
    assert any(message in problem for problem in problems), problems


def test_a_lease_needs_its_rent_and_when_it_is_paid() -> None:
    bare = "plans:\n- {id: r, family: phone_rent, periods: 12, pricing: {kind: lease, goods: new}}\n"
    assert {"pricing has no rent", "pricing has no paid"} <= set(told(SHOP, bare))


def test_a_lease_may_be_kept_in_the_shops_own_book_and_a_finance_lease_not() -> None:
    own = SHOP.replace("funder: lessor, name: {zh-CN: 青禾租机", "funder: mall, name: {zh-CN: 青禾租机")
    assert told(own, PLANS, WAIVERS) == []
    snapshot = loaded(
        own, PLANS.replace("waivable: yes", "waivable: yes, covers_rent: yes"), WAIVERS
    ).snapshot
    assert snapshot is not None
    lease = snapshot.plans[0].pricing
    assert isinstance(lease, Lease)
    assert lease.deposit is not None
    assert lease.deposit.covers_rent
    problems = told(own.replace("operating_lease", "finance_lease"), PLANS, WAIVERS)
    expected = "legal_form is finance_lease: expected operating_lease in an own book"
    assert any(one.startswith(expected) for one in problems), problems


def test_a_snapshot_made_otherwise_is_held_to_the_same() -> None:
    snapshot = policy().snapshot
    trap = Lease(rent=Rent(49_900), paid="in_advance", goods="new", overdue="becomes_sale")
    plans = tuple(
        msgspec.structs.replace(plan, pricing=trap) if plan.id == "rent_12" else plan
        for plan in snapshot.plans
    )
    with pytest.raises(SnapshotError, match="becomes_sale"):
        compile_policy(msgspec.structs.replace(snapshot, plans=plans))
    funders = tuple(
        msgspec.structs.replace(funder, own_book=True) if funder.id == "lessor" else funder
        for funder in snapshot.funders
    )
    compile_policy(msgspec.structs.replace(snapshot, funders=funders))
    finance = tuple(
        msgspec.structs.replace(plan, legal_form="finance_lease") if plan.id == "rent_12" else plan
        for plan in snapshot.plans
    )
    with pytest.raises(SnapshotError, match="what a finance lease books"):
        compile_policy(msgspec.structs.replace(snapshot, funders=funders, plans=finance))


def test_a_waivable_deposit_needs_somebody_who_judges_it() -> None:
    problems = told(SHOP, PLANS)
    assert problems == [
        "the deposit of rent_12 is waivable, and no waiver says from whom it is asked all the same"
    ]
    idle = WAIVERS.replace("{family: phone_rent}", "{plan: rent_only}")
    assert "deposit.score is about no deposit that can be waived" in told(SHOP, PLANS, idle)


def test_a_waiver_cannot_ask_what_follows_from_the_deposit() -> None:
    circular = WAIVERS.replace("customer.credit_score >= 600", '"offer.deposit <= ¥100"')
    assert any(
        "which follows from the deposit that it decides about" in one for one in told(SHOP, PLANS, circular)
    )


def test_a_lease_that_was_offered_makes_a_contract_of_ours_with_its_rents() -> None:
    option = answer(policy(), customer__credit_score=650).option("cloud_12")
    assert option.schedule is not None
    assert option.disclosure is not None
    plan = policy().plan("cloud_12")
    terms = pin(plan, option.schedule, option.disclosure, zone="Asia/Shanghai", policy_digest="sha256:00")
    assert terms.rows == option.schedule.rows
    finance = msgspec.structs.replace(plan, legal_form="finance_lease")
    with pytest.raises(TermsMismatch, match="what a finance lease books"):
        pin(finance, option.schedule, option.disclosure, zone="Asia/Shanghai", policy_digest="sha256:00")


def test_who_need_not_leave_a_deposit_is_a_change_that_a_reviewer_sees() -> None:
    before = policy()
    stricter = loaded(SHOP, PLANS, WAIVERS.replace("600", "650")).snapshot
    assert stricter is not None
    after = compile_policy(stricter)
    difference = compare(before, after, NOON)
    (change,) = difference.availability
    assert (change.kind, change.effect, change.plans) == ("waiver", "changed", ("rent_12",))
    assert change_text(before, after, change, "en") == (
        "Qinghe phone rental × 12: who need not leave a deposit changes (deposit.score)"
    )
    assert review_layers(difference) == {"risk"}
    assert digest(before.snapshot) != digest(after.snapshot)


def test_the_page_about_leases_is_a_policy_that_can_be_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "leases.md").read_text(encoding="utf-8")
    leases, rules = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    shop = SHOP.replace("id: lessor,", "id: qinghe,").replace("funder: lessor,", "funder: qinghe,")
    shop = shop.replace("id: phone_rent,", "id: other_rent,")
    assert told(shop, leases, f"rules:\n{rules}") == []
    # Every fact that rules can ask of a lease is named.
    of_leases = set(re.findall(r"`(offer\.[a-z_]+)`", page))
    assert {name for name in VOCABULARY if name.startswith("offer.")} - of_leases <= {
        "offer.annual_cost_compounded",
        "offer.financed",
        "offer.instalment_min",
        "offer.instalment_max",
        "offer.fee",
        "offer.total",
        "offer.periods",
        "offer.paid_at_start",
        "offer.fee_at_start",
    }

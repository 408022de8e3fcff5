"""Whole answers in columns: states, reasons and prices are those that `evaluate` gives one cart at a time."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import polars as pl
import pytest

from fenqi.business_days import SHIPPED
from fenqi.checkout.columns import decide_columns, price_offers
from fenqi.checkout.evaluation import Evaluation, evaluate, is_dated, priced_facts
from fenqi.checkout.request import CheckoutRequest, Line, facts_of
from fenqi.policy.columns import AS_OF, Checkouts, ColumnsError, checkouts_of, columns_of
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import MaxAge, Snapshot
from fenqi.policy.verdict import Override
from fenqi.terms.columns import in_columns
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import (
    Annuity,
    Balloon,
    Bearer,
    Conventions,
    DownPayment,
    FlatFee,
    FlatInterest,
    InterestOnly,
    Plan,
)
from fenqi.terms.rent import Buyout, Deposit, Lease, Rent
from fenqi.terms.schedule import build_schedule

BENCH = Path(__file__).parents[3] / "benchmarks" / "policy"
DAY = 86_400
AT = 1_795_442_400  # 2026-11-23 22:00 in Shanghai, when the bench's maintenance begins

# Plans of every sort that the columns leave to the schedules, and one that small carts cannot have.
OTHERS = (
    Plan("mall_interest", "mall", "mall", "instalment_sale", 12, InterestOnly(Decimal("0.12"))),
    Plan("mall_flat", "mall", "mall", "instalment_sale", 6, FlatInterest(Decimal("0.08"))),
    Plan("mall_balloon", "mall", "mall", "instalment_sale", 12, Annuity(Decimal("0.1"), Balloon(share=Decimal("0.3")))),
    Plan(
        "mall_days",
        "mall",
        "mall",
        "instalment_sale",
        6,
        Annuity(Decimal("0.15")),
        conventions=Conventions(day_count="act/365"),
        due_day=15,
        odd_first="by_days",
    ),
    Plan(
        "mall_shared",
        "mall",
        "mall",
        "instalment_sale",
        12,
        FlatFee(rate_per_period=Decimal("0.006"), timing="up_front"),
        bearers=(Bearer("customer", Decimal("0.5")), Bearer("shop", Decimal("0.5"))),
    ),
    Plan(
        "mall_down",
        "mall",
        "mall",
        "instalment_sale",
        12,
        FlatFee(total_rate=Decimal("0.07")),
        down_payment=DownPayment(amount_minor=150_000),
    ),
    # Due dates that move by a calendar, confirmed for the first of the two terms and for no day of the second.
    Plan("mall_cal", "mall", "mall", "instalment_sale", 1, FlatFee(total_rate=Decimal("0.01")), holiday="following", calendar="cn"),
    Plan("mall_cals", "mall", "mall", "instalment_sale", 2, FlatFee(total_rate=Decimal("0.02")), holiday="following", calendar="cn"),
    Plan(
        "mall_lease",
        "mall",
        "acquirer",
        "operating_lease",
        12,
        Lease(
            rent=Rent(19_900),
            paid="in_advance",
            goods="new",
            deposit=Deposit(share=Decimal("0.2"), at_end="returned", release_days=0),
            buyout=Buyout(160_000),
        ),
    ),
)  # fmt: skip


AGES = (MaxAge("funder.wallet.health", 60), MaxAge("limit.mall_available", 3_600))


def policy() -> Policy:
    loaded = load_policy(BENCH)
    assert loaded.snapshot is not None
    snapshot = loaded.snapshot
    return compile_policy(
        msgspec.structs.replace(
            snapshot, plans=(*snapshot.plans, *OTHERS), calendars=(SHIPPED["cn"],), max_ages=AGES
        )
    )


def requests_of(policy: Policy, count: int, chance: Random) -> list[CheckoutRequest]:
    """Carts around the bench's maintenance, a third of their facts unknown, some with special cases."""
    rules = (
        "maintenance.mall",
        "customer.opened",
        "strategy.north",
        "health.wallet",
        "law.adult",
        "compliance.cap",
        "gone.rule",
    )
    found = []
    for number in range(count):
        lines = tuple(
            Line(
                f"sku{line}",
                "Thing",
                chance.choice(("phones", "gold", "books", "phones", "phones")),
                chance.choice(("goods", "goods", "goods", "goods", "pledge")),
                chance.randint(1, 3),
                # Few enough prices that amounts occur again, as in a shop.
                chance.choice((3_900, 29_900, 99_900, 499_900, 599_900, 999_900)),
                chance.choice(("mall", "mall", "seller_wallet_a")),
            )
            for line in range(chance.randint(1, 2))
        )
        facts: dict[str, FactValue] = {
            "customer.signed_in": chance.random() < 0.95,
            "customer.age": chance.randint(16, 60),
            "customer.student": chance.random() < 0.1,
            "customer.real_name_verified": chance.random() < 0.9,
            "customer.account_days": chance.randint(0, 800),
            "customer.tier": chance.randint(0, 4),
            "customer.consents": frozenset(chance.sample(("lender", "wallet"), chance.randint(0, 2))),
            "customer.overdue": chance.random() < 0.05,
            "limit.mall": chance.choice((0, 2_000_000)),
            "limit.mall_available": chance.randint(0, 2_000_000),
            "card.bank": chance.choice(("east", "north", "other")),
            "card.kind": chance.choice(("credit", "credit", "debit")),
            "funder.lender.prequal": chance.choice(("approved", "pending", "declined")),
            **{
                f"funder.{name}.health": chance.choice(("up", "up", "down"))
                for name in ("wallet", "east", "lender")
            },
        }
        at = AT + chance.randint(-3 * DAY, 3 * DAY)
        if facts["funder.lender.prequal"] == "pending":
            facts["funder.lender.prequal_deadline"] = at + chance.randint(-60, 600)
        known = {name: value for name, value in facts.items() if chance.random() < 0.9}
        as_of = {
            age.fact: at - chance.choice((0, 59, 60, 61, 3_600, 3_601))
            for age in AGES
            if chance.random() < 0.7
        }
        overrides = tuple(
            Override(
                id=f"case-{number}-{case}",
                rule=chance.choice(rules),
                until=at + chance.choice((-1, 3_600)),
                max_amount_minor=chance.choice((None, 500_000)),
                plan=chance.choice((None, "mall_12", "wallet_6")),
            )
            for case in range(chance.choice((0, 0, 0, 4)))
        )
        found.append(
            CheckoutRequest(
                lines,
                "CNY",
                chance.choice(("web", "app", "mini_program")),
                at,
                known,
                overrides=overrides,
                as_of=as_of,
            )
        )
    return found


def recorded(request: CheckoutRequest, policy: Policy) -> dict[str, FactValue]:
    """What is kept of a request: everything told, and when it was learnt."""
    told = facts_of(
        request, sum(line.quantity * line.unit_price_minor for line in request.lines), policy.zone
    )
    return {**told, **{AS_OF + name: at for name, at in request.as_of.items()}}


def columns_for(policy: Policy, requests: list[CheckoutRequest]) -> tuple[Checkouts, list[Evaluation]]:
    answers = [evaluate(policy, request) for request in requests]
    checkouts = columns_of(
        [recorded(request, policy) for request in requests], policy.vocabulary, policy.zone
    )
    overrides = tuple((row, one) for row, request in enumerate(requests) for one in request.overrides)
    return dataclasses.replace(checkouts, overrides=overrides), answers


def test_states_and_reasons_in_columns_are_those_of_one_cart_at_a_time() -> None:
    made = policy()
    checkouts, answers = columns_for(made, requests_of(made, 1_200, Random(41)))
    decided = decide_columns(made, checkouts)
    states = decided.states
    seen: set[str] = set()
    lifted = 0
    for plan in made.plans:
        verdicts = [answer.option(plan.id).verdict for answer in answers]
        assert states[plan.id].to_list() == [verdict.state for verdict in verdicts], plan.id
        found = decided.in_the_way(plan.id)
        for row, verdict in enumerate(verdicts):
            expected = {reason.rule for reason in verdict.reasons}
            got = {rule for rule, where in found.items() if where[row]}
            if "" in got and "" not in expected:
                # A reason of the same code stands there already, so the answer does not repeat it.
                assert any(reason.code in ("AMOUNT_LOW", "TERM_UNAVAILABLE") for reason in verdict.reasons)
                got.remove("")
            assert got == expected, (plan.id, row)
        seen |= {verdict.state for verdict in verdicts}
        lifted += sum(verdict.offered and bool(verdict.overrides) for verdict in verdicts)
    assert seen == {"available", "funder_decides", "pending", "unavailable"}
    assert lifted > 10  # special cases that made the difference
    assert decided.by_rows["mall_12"] == 0
    assert 0 < decided.by_rows["mall_interest"] < 400


def test_prices_in_columns_are_the_facts_that_rules_over_prices_get() -> None:
    made = policy()
    checkouts, answers = columns_for(made, requests_of(made, 400, Random(47)))
    for plan in made.plans:
        offers = price_offers(made, plan, checkouts)
        for row, answer in enumerate(answers):
            option = answer.option(plan.id)
            assert offers.priced[row] is (option.schedule is not None)
            got = {
                name: value for name, value in offers.frame.row(row, named=True).items() if value is not None
            }
            if option.schedule is None or option.cost is None:
                assert got == {}
                continue
            totals = [line.total_minor for line in option.schedule.rows if line.number]
            expected = {
                **priced_facts(option.schedule, option.cost, plan.periods),
                "first": totals[0],
                "rest": totals[min(1, len(totals) - 1)],
                "last": totals[-1],
            }
            # A rate of more digits than a column holds is as large as a column holds: it compares alike.
            expected = {
                name: value if isinstance(value, bool) else min(value, 2**63 - 1)
                for name, value in expected.items()
            }
            for name in ("offer.annual_cost", "offer.annual_cost_compounded"):
                close = got.get(name), expected.get(name)
                if None not in close and abs(close[0] - close[1]) <= 1:  # type: ignore[operator]
                    got[name] = expected[name]
            assert got == expected, (plan.id, row)
        assert (offers.by_rows == 0) is in_columns(plan)


def test_the_day_of_a_purchase_changes_nothing_of_plans_that_are_priced_once_for_all_days() -> None:
    for plan in (*OTHERS, *policy().plans):
        if is_dated(plan):
            assert plan.id in ("mall_days", "mall_cal", "mall_cals", "mall_lease")
            continue
        told = set()
        for start_on in (date(2026, 1, 31), date(2026, 11, 23), date(2028, 2, 29)):
            bill = build_schedule(plan, 600_000, "CNY", start_on)
            facts = priced_facts(bill, cost_of(bill, plan), plan.periods)
            told.add(tuple(sorted(facts.items())))
        assert len(told) == 1, plan.id


def test_a_plan_that_days_count_in_is_priced_for_each_day() -> None:
    made = policy()
    two = columns_of(
        [{"clock.now": AT, "cart.amount": 600_000}, {"clock.now": AT + 5 * DAY, "cart.amount": 600_000}],
        made.vocabulary,
        made.zone,
    )
    offers = price_offers(made, made.plan("mall_days"), two)
    assert offers.by_rows == 2
    assert offers.frame["offer.fee"][0] != offers.frame["offer.fee"][1]


def test_a_cart_of_unknown_amount_is_not_offered_at_any_price() -> None:
    made = policy()
    one = columns_of([{"clock.now": AT, "cart.amount": None}], made.vocabulary, made.zone)  # type: ignore[dict-item]
    decided = decide_columns(made, one)
    assert set(decided.states.row(0)) == {"unavailable"}
    with pytest.raises(ColumnsError, match=r"column cart\.amount is missing"):
        decide_columns(made, columns_of([{"clock.now": AT}], made.vocabulary, made.zone))


def test_what_no_rule_blocks_and_no_price_fits_is_not_offered() -> None:
    full = policy().snapshot
    plan = next(plan for plan in full.plans if plan.id == "mall_down")
    funders = tuple(
        msgspec.structs.replace(funder, agreement=None) for funder in full.funders if funder.id == "mall"
    )
    families = tuple(family for family in full.families if family.id == "mall")
    bare = compile_policy(Snapshot(shop=full.shop, funders=funders, families=families, plans=(plan,)))
    # ¥1,500 down: nothing would be left to pay over time.
    two = columns_of(
        [{"clock.now": AT, "cart.amount": 150_000}, {"clock.now": AT, "cart.amount": 150_001}],
        bare.vocabulary,
        bare.zone,
    )
    decided = decide_columns(bare, two)
    assert decided.states["mall_down"].to_list() == ["unavailable", "available"]
    assert decided.in_the_way("mall_down")[""].to_list() == [True, False]


def test_special_cases_are_read_from_their_column() -> None:
    made = policy()
    case = Override(id="c1", rule="cart.floor", until=AT + 9)
    table = pl.DataFrame(
        {
            "clock.now": [AT, AT],
            "overrides": [None, msgspec.json.encode([case]).decode()],
            "cart.amount": [1, 1],
        }
    )
    assert checkouts_of(table, made.vocabulary, made.zone).overrides == ((1, case),)
    with pytest.raises(ColumnsError, match="column overrides, row 1"):
        checkouts_of(pl.DataFrame({"clock.now": [AT], "overrides": ["{}"]}), made.vocabulary, made.zone)
    with pytest.raises(ColumnsError, match="it follows from the plan's terms"):
        checkouts_of(pl.DataFrame({"clock.now": [AT], "offer.fee": [1]}), made.vocabulary, made.zone)


def test_facts_of_a_request_are_what_is_recorded_and_replayed() -> None:
    made = policy()
    request = requests_of(made, 1, Random(1))[0]
    answer = evaluate(made, msgspec.structs.replace(request, as_of={}))
    assert answer.facts == facts_of(request, answer.amount_minor, made.zone)

"""A funder's terms have dated versions, some for some customers only; quotas and budgets end by a told instant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import parse_instant
from fenqi.policy.difference import compare
from fenqi.policy.document import read_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import decode, encode
from fenqi.policy.verdict import Until, Verdict, decide

SHOP = """\
format: fenqi/policy@1
shop: {id: m, name: {zh-CN: 商城, en: Mall}, time_zone: Asia/Shanghai, currency: CNY}
families: [{id: own, funder: own, legal_form: instalment_sale, name: {zh-CN: 分期, en: Instalments}}]
plans:
- {id: own_3, family: own, periods: 3, pricing: {kind: zero_interest, borne_by: shop}}
- {id: own_12, family: own, periods: 12, pricing: {kind: flat_fee, rate_per_period: 0.6%}}
notices:
- id: v8
  title: {zh-CN: 调整, en: Changed}
  reason: {zh-CN: 条款调整, en: The terms changed}
  affected: {zh-CN: 新客户, en: New customers}
  unaffected: {zh-CN: 已有合同, en: Running contracts}
  since: 2026-11-23T12:00
"""
FUNDER = """\
funders:
- id: own
  name: {zh-CN: 商城, en: Mall}
  kind: shop
  own_book: yes
"""
TWO = (
    FUNDER
    + """\
  agreements:
  - {version: own-7, from: 2026-01-01, max: "¥20,000", terms: [3, 12]}
  - {version: own-8, from: 2026-11-23T12:00, for: customer.has_running_contract is no, paused: yes, notice: v8}
"""
)


def at(text: str) -> int:
    return parse_instant(text, "Asia/Shanghai")


NOON = at("2026-11-23T12:00")


def policy(text: str) -> Policy:
    result = read_policy({"a.yaml": SHOP + text})
    assert result.problems == ()
    assert result.snapshot is not None
    assert decode(encode(result.snapshot)) == result.snapshot
    return compile_policy(result.snapshot)


def verdict(found: Policy, now: int, plan: str = "own_3", **facts: FactValue) -> Verdict:
    known: dict[str, FactValue] = {"clock.now": now, "cart.amount": 100_000}
    known |= {name.replace("__", "."): value for name, value in facts.items()}
    return decide(found, known)[plan]


def test_a_new_version_pauses_those_whom_it_is_for_from_its_instant_on() -> None:
    found = policy(TWO)
    assert verdict(found, NOON - 1, customer__has_running_contract=False).offered
    new = verdict(found, NOON, customer__has_running_contract=False)
    (reason,) = new.reasons
    assert (reason.code, reason.layer, reason.notice, reason.since) == (
        "AGREEMENT_ADJUST",
        "agreement",
        "v8",
        NOON,
    )
    assert reason.until == new.until == Until("unknown")
    assert verdict(found, NOON, customer__has_running_contract=True).offered


def test_the_version_before_still_binds_those_whom_the_new_one_is_not_for() -> None:
    found = policy(TWO)
    (reason,) = verdict(found, NOON, customer__has_running_contract=True, cart__amount=2_000_001).reasons
    assert (reason.code, reason.params["max"]) == ("AMOUNT_HIGH", 2_000_000)
    # The paused version is the one that counts for a new customer: the old one's limit is no reason beside it.
    codes = [
        r.code
        for r in verdict(found, NOON, customer__has_running_contract=False, cart__amount=2_000_001).reasons
    ]
    assert codes == ["AGREEMENT_ADJUST"]


def test_an_unknown_audience_never_fails_open() -> None:
    assert not verdict(policy(TWO), NOON).offered


def test_a_pause_and_its_notice_say_the_same_end() -> None:
    def found(more: str, shop: str = SHOP) -> list[str]:
        return [str(problem) for problem in read_policy({"a.yaml": shop + TWO + more}).problems]

    assert found("") == []
    ended = SHOP.replace("since: 2026-11-23T12:00", "since: 2026-11-23T12:00\n  until: 2026-12-05T00:00")
    (problem,) = found("", ended)
    assert "agreement.own.own-8.paused has no end and its notice v8 5 Dec 2026 00:00" in problem
    # A version that takes over ends the pause as well as its own end does.
    over = "  - {version: own-9, from: 2026-12-05}\n"
    assert found(over, ended) == []
    assert len(found(over)) == 1


def test_versions_that_follow_each_other_hand_over_at_the_instant() -> None:
    found = policy(
        FUNDER
        + """\
  agreements:
  - {version: own-7, from: 2026-01-01, to: 2026-11-30, max: "¥2,000"}
  - {version: own-8, from: 2026-12-01, to: 2027-05-31, max: "¥1,000"}
"""
    )
    turn = at("2026-12-01T00:00")
    assert verdict(found, turn - 1, cart__amount=150_000).offered
    (reason,) = verdict(found, turn, cart__amount=150_000).reasons
    assert (reason.code, reason.params["max"]) == ("AMOUNT_HIGH", 100_000)
    assert verdict(found, at("2027-06-01T00:00")).reasons[0].code == "AGREEMENT_EXPIRED"
    assert verdict(found, at("2025-12-31T00:00")).until == Until("instant", at("2026-01-01T00:00"))


def test_between_two_versions_nothing_is_agreed() -> None:
    found = policy(
        FUNDER
        + """\
  agreements:
  - {version: own-7, from: 2026-01-01, to: 2026-11-30}
  - {version: own-8, from: 2026-12-10}
"""
    )
    between = verdict(found, at("2026-12-05T00:00"))
    assert [reason.code for reason in between.reasons] == ["AGREEMENT_ADJUST"]
    assert between.until == Until("instant", at("2026-12-10T00:00"))


def test_a_single_version_makes_the_rules_that_it_always_made() -> None:
    one = FUNDER + '  agreement: {version: own-7, from: 2026-01-01, max: "¥2,000", terms: [3]}\n'
    assert [rule.id for rule in policy(one).rules] == [
        "agreement.own.start",
        "agreement.own.amount_max",
        "agreement.own.terms",
    ]


def test_a_list_of_one_keeps_its_names_when_another_version_joins_it() -> None:
    def found(second: str) -> Policy:
        return policy(
            FUNDER + '  agreements:\n  - {version: own-7, from: 2026-01-01, max: "¥2,000"}\n' + second
        )

    one, two = found(""), found("  - {version: own-8, from: 2026-12-01, max: ¥1000}\n")
    assert [rule.id for rule in one.rules] == ["agreement.own.start", "agreement.own.own-7.amount_max"]
    assert {rule.id for rule in one.rules} < {rule.id for rule in two.rules}
    # Written in short, the same terms make the same rules under shorter names: nothing changes.
    short = policy(FUNDER + '  agreement: {version: own-7, from: 2026-01-01, max: "¥2,000"}\n')
    assert compare(short, one, NOON).availability == compare(one, short, NOON).availability == ()


def test_a_daily_quota_ends_when_it_renews_and_is_open_where_nothing_is_known_of_it() -> None:
    found = policy(FUNDER + '  agreement: {version: own-7, daily_quota: "¥100,000"}\n')
    assert verdict(found, NOON).offered
    assert verdict(found, NOON, funder__own__quota_left=100_000).offered
    spent = verdict(found, NOON, funder__own__quota_left=99_999, funder__own__quota_renews=NOON + 43_200)
    assert (spent.reasons[0].code, spent.until) == ("QUOTA_EXHAUSTED", Until("instant", NOON + 43_200))


BUDGET = (
    FUNDER
    + """\
budgets:
- {id: free, name: {zh-CN: 免息, en: Interest-free}, total: "¥2,000,000", applies: {plan: own_3}, from: 2026-11-01, notice: v8}
"""
)


def test_a_spent_budget_takes_what_it_pays_for_and_nothing_else() -> None:
    found = policy(BUDGET)
    known = {"budget__free__left": 99_999, "budget__free__renews": NOON + 86_400}
    spent = verdict(found, NOON, **known)
    assert (spent.reasons[0].code, spent.reasons[0].notice, spent.until) == (
        "SUBSIDY_SPENT",
        "v8",
        Until("instant", NOON + 86_400),
    )
    assert verdict(found, NOON, "own_12", **known).offered
    assert verdict(found, NOON, budget__free__left=100_000).offered
    assert not verdict(found, NOON).offered  # what is left is not known


@settings(deadline=None)
@given(
    starts=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    lengths=st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=3, max_size=3),
    restricted=st.lists(st.booleans(), min_size=3, max_size=3),
    day=st.integers(0, 15),
    running=st.booleans(),
)
def test_exactly_the_last_version_begun_and_meant_for_the_customer_counts(
    starts: list[int], lengths: list[int | None], restricted: list[bool], day: int, running: bool
) -> None:
    """Against the sentence itself: of the versions that have begun, not ended and are for them, the last one."""
    lines, made = [], []
    for number, start in enumerate(sorted(set(starts))):
        length, some = lengths[number], restricted[number]
        end = None if length is None else start + length
        limit = (number + 1) * 100
        made.append((start, end, some, limit))
        lines.append(
            f'  - {{version: v{number}, from: 2026-12-{start + 1:02}, max: "¥{limit}"'
            + (f", to: 2026-12-{end:02}" if end is not None else "")
            + (", for: customer.has_running_contract is no" if some else "")
            + "}"
        )
    found = policy(FUNDER + "  agreements:\n" + "\n".join(lines) + "\n")
    counting = [
        limit
        for start, end, some, limit in made
        if start <= day and (end is None or day < end) and not (some and running)
    ]
    now = at(f"2026-12-{day + 1:02}T12:00")
    for amount in (10_000, 10_001, 20_000, 20_001, 30_000, 30_001):
        offered = verdict(found, now, customer__has_running_contract=running, cart__amount=amount).offered
        assert offered == (bool(counting) and amount <= counting[-1] * 100), (lines, amount)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "  agreements: [{version: a, from: 2026-01-01}, {version: a, from: 2026-02-01}]",
            "version a stands twice",
        ),
        (
            "  agreements: [{version: a, from: 2026-02-01}, {version: b, from: 2026-01-01}]",
            "begins before the one",
        ),
        ("  agreements: [{version: a}, {version: b}]", "version b has no from"),
        ("  agreement: {version: a}\n  agreements: [{version: b}]", "one agreement, or a list"),
        ("  agreement: {version: a, for: customer.age >= 18}", "not a fact that says in public"),
        (
            "budgets: [{id: b, name: {zh-CN: 一, en: B}, total: 5, applies: all}]",
            "an amount needs its currency",
        ),
        (
            "budgets: [{id: b, name: {zh-CN: 一, en: B}, total: ¥5, applies: all, share: 120%}]",
            "at most 100%",
        ),
        (
            "budgets: [{id: b, name: {zh-CN: 一, en: B}, total: ¥5, applies: all, from: 2026-02-01, to: 2026-01-01}]",
            "ends before",
        ),
    ],
)
def test_what_is_wrong_is_said(written: str, said: str) -> None:
    result = read_policy({"a.yaml": SHOP + FUNDER + written + "\n"})
    assert result.snapshot is None
    assert any(said in str(problem) for problem in result.problems), result.problems


NOTICE = """\
rules:
- {id: pause, layer: strategy, owner: o, reason: STRATEGY_PAUSE, applies: all, blocked: {from: 2026-11-23}, notice: n}
notices:
- id: n
  title: {zh-CN: 公告, en: Notice}
  reason: {zh-CN: 升级, en: An upgrade}
  affected: {zh-CN: 新订单, en: New orders}
  unaffected: {zh-CN: 合同, en: Contracts}
  since: 2026-11-23T22:00
"""


def notice(more: str, ends: str = "") -> Any:
    shop = SHOP.partition("notices:")[0]
    written = NOTICE.replace("{from: 2026-11-23}", f"{{from: 2026-11-23, to: {ends}}}") if ends else NOTICE
    return read_policy({"a.yaml": shop + FUNDER + written + more})


def test_a_notice_says_how_sure_its_end_is_what_it_is_for_and_what_those_affected_get() -> None:
    result = notice(
        """\
  until: 2026-11-24T02:00
  purpose: {zh-CN: 升级账务, en: New accounts}
  restored: {zh-CN: 已恢复, en: It is back}
  instead: [own_12]
  repayment: {from: 2026-11-23T22:00, to: 2026-11-24T02:00, due_moves_to: 2026-11-25}
  compensation: [{id: price, kind: price_protection, hours: 48, name: {zh-CN: 保价, en: Price kept}}]
""",
        ends="2026-11-24T02:00",
    )
    assert result.problems == ()
    found = result.snapshot.notices[0]
    assert (found.certainty, found.instead, found.compensation[0].hours) == ("fixed", ("own_12",), 48)
    assert (found.repayment.due_moves_to.isoformat(), found.repayment.end) == (
        "2026-11-25",
        at("2026-11-24T02:00"),
    )
    assert decode(encode(result.snapshot)) == result.snapshot
    assert notice("").snapshot.notices[0].certainty == "unknown"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("  until: 2026-11-23T21:00", "the notice ends before it begins"),
        ("  until: 2026-11-25", "pause has no end and its notice n 26 Nov 2026 00:00"),
        ("  confidence: fixed", "confidence is fixed of no until"),
        ("  until: 2026-11-24T02:00\n  confidence: unknown", "and there is an until"),
        (
            "  repayment: {from: 2026-11-23T22:00, to: 2026-11-23T22:00, due_moves_to: 2026-11-25}",
            "ends before it begins",
        ),
        (
            "  repayment: {from: 2026-11-23T22:00, to: 2026-11-24T02:00, due_moves_to: 2026-11-24}",
            "not after the outage",
        ),
        ("  repayment: {from: 2026-11-23T22:00, to: 2026-11-24T02:00, due_moves_to: soon}", "not a date"),
        (
            "  compensation: [{id: v, kind: voucher, name: {zh-CN: 券, en: Voucher}}]",
            "a voucher has no amount",
        ),
        ("  purpose: {zh-CN: 低利率, en: Cheap}", "says 低利率"),
    ],
)
def test_a_notice_that_cannot_be_so_is_refused(more: str, said: str) -> None:
    result = notice(more + "\n")
    assert result.snapshot is None
    assert any(said in str(problem) for problem in result.problems), result.problems


@pytest.mark.parametrize(
    "rule",
    [
        "{id: r, layer: risk, owner: o, reason: ACCOUNT_RISK, applies: all, require: cart.amount >= ¥1, unknown: block, notice: n}",
        "{id: r, layer: customer, owner: o, reason: LOGIN_REQUIRED, applies: all, require: cart.amount >= ¥1, notice: n}",
        "{id: r, layer: cart, owner: o, reason: AMOUNT_LOW, applies: all, require: customer.tier >= 1, notice: n}",
        "{id: r, layer: cart, owner: o, reason: AMOUNT_LOW, applies: all, require: cart.amount >= ¥1, public: generic, notice: n}",
    ],
)
def test_what_is_one_customer_s_own_never_links_a_notice(rule: str) -> None:
    shop = SHOP.partition("notices:")[0]
    result = read_policy({"a.yaml": shop + FUNDER + NOTICE.replace("notices:", f"- {rule}\nnotices:")})
    assert result.snapshot is None
    assert any("a notice is public: leave it out" in str(problem) for problem in result.problems)

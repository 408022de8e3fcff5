from __future__ import annotations

import re

import pytest

from fenqi.policy.reasons import CATALOGUE, PARAMETERS, clause_text, reason_texts
from fenqi.policy.snapshot import AudienceText, DailyWindow, Pending, Window
from fenqi.policy.verdict import Failing, decide, for_customer
from fenqi.texts import Text, placeholders

from .policies import HOUR, NOON, clause, mall_policy, policy_of, rule, words

CODES = [
    "SHOP_NOT_ENABLED",
    "SHOP_RECEIPT_LIMIT",
    "SHOP_BLOCKED",
    "SUBSIDY_NOT_ACTIVE",
    "SUBSIDY_SPENT",
    "ITEM_EXCLUDED",
    "ITEM_BLIND_BOX",
    "ITEM_PLEDGE",
    "PLEDGE_CLOSED",
    "DEPOSIT_REQUIRED",
    "DEPOSIT_SCORE_LOW",
    "LEASE_TERMS",
    "CART_MIXED",
    "AMOUNT_LOW",
    "AMOUNT_HIGH",
    "TERM_UNAVAILABLE",
    "TRADE_TERM_LOCKED",
    "COUPON_CONFLICT",
    "CHANNEL_UNSUPPORTED",
    "REGION_UNSUPPORTED",
    "LOGIN_REQUIRED",
    "REALNAME_REQUIRED",
    "UNDERAGE",
    "GUARDIAN_CONSENT",
    "STUDENT_RESTRICTED",
    "CREDIT_NOT_OPENED",
    "LINE_INSUFFICIENT",
    "LINE_FROZEN",
    "OVERDUE_EXISTS",
    "ACCOUNT_RISK",
    "DAY_LIMIT",
    "MONTH_LIMIT",
    "CARD_UNSUPPORTED",
    "CONSENT_MISSING",
    "PREQUAL_DECLINED",
    "MAINTENANCE",
    "FUNDER_OUTAGE",
    "TIMEOUT",
    "QUOTA_EXHAUSTED",
    "AGREEMENT_ADJUST",
    "AGREEMENT_EXPIRED",
    "FUNDER_NOT_CONNECTED",
    "FUNDER_NOT_LISTED",
    "COST_OVER_CAP",
    "DISCLOSURE_MISSING",
    "RULE_CHANGE",
    "STRATEGY_PAUSE",
    "CANARY_OFF",
    "LEASE_UNLICENSED",
    "DATA_STALE",
]
BANNED = (
    "低风险",
    "低门槛",
    "秒到账",
    "高收益",
    "低利率",
    "无成本",
    "risk-free",
    "free of cost",
    "instant cash",
)


def test_the_catalogue_has_every_code() -> None:
    assert sorted(CATALOGUE) == sorted(CODES)


def _texts(code: str) -> list[Text]:
    entry = CATALOGUE[code]
    return [entry.title, *entry.details, entry.fix, entry.behind, entry.help, entry.act]


@pytest.mark.parametrize("code", CODES)
def test_every_text_stands_in_both_languages_with_the_same_gaps(code: str) -> None:
    for text in _texts(code):
        assert re.search(r"[\u4e00-\u9fff]", text.zh_cn)
        assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", text.en)
        assert placeholders(text.zh_cn) == placeholders(text.en)
        assert set(placeholders(text.en)) <= set(PARAMETERS)
        assert not [word for word in BANNED if word in text.zh_cn + text.en]


@pytest.mark.parametrize("code", CODES)
def test_the_last_detail_and_all_else_need_no_figures(code: str) -> None:
    entry = CATALOGUE[code]
    for text in (entry.title, entry.details[-1], entry.fix, entry.behind, entry.help, entry.act):
        assert not placeholders(text.zh_cn)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("audience", ["customer", "agent", "operator"])
def test_every_code_speaks_to_everyone_even_without_figures(code: str, audience: str) -> None:
    policy = mall_policy(rule("a", reason=code, blocked=Window()))
    reason = decide(policy, {"clock.now": NOON})["mall_3"].reasons[0]
    for locale in ("zh-CN", "en"):
        said = reason_texts(policy, reason, audience, locale)  # type: ignore[arg-type]
        assert said.title
        assert said.detail
        assert said.fix


def _customer(policy, facts, locale="zh-CN"):  # type: ignore[no-untyped-def]
    reason = decide(policy, {"clock.now": NOON, **facts})["mall_3"].reasons[0]
    return reason_texts(policy, reason, "customer", locale, year=2026)


def test_figures_are_filled_in_as_the_shop_writes_them() -> None:
    low = mall_policy(rule("low", "cart", reason="AMOUNT_LOW", require="cart.amount >= ¥300"))
    said = _customer(low, {"cart.amount": 19_999})
    assert (said.title, said.detail) == ("金额不足", "满 ¥300.00 可用，当前为 ¥199.99。")
    assert said.clauses == ("订单金额：¥199.99，需不低于 ¥300.00",)
    assert (
        _customer(low, {"cart.amount": 19_999}, "en").detail
        == "Available from ¥300.00; this order is ¥199.99."
    )
    pause = mall_policy(rule("m", "maintenance", reason="MAINTENANCE", blocked=Window(None, NOON + HOUR)))
    assert _customer(pause, {}).detail == "系统维护中，预计 11月23日 13:00 恢复。"
    assert _customer(pause, {}, "en").detail == "Under maintenance; expected back 23 Nov 13:00."


def test_a_sentence_without_figures_stands_in_where_they_are_missing_or_of_another_kind() -> None:
    age = mall_policy(rule("a", "law", reason="AMOUNT_LOW", require="customer.age >= 18"))
    assert _customer(age, {"customer.age": 17}).detail == "订单金额未达到这种方式的下限。"
    open_end = mall_policy(rule("m", reason="MAINTENANCE", blocked=Window(NOON, None)))
    assert _customer(open_end, {}).detail == "系统维护中，恢复时间待定。"


def test_an_unknown_fact_is_named_and_asked_for() -> None:
    asked = mall_policy(rule("a", "law", reason="UNDERAGE", require="customer.age >= 18", unknown="ask"))
    said = _customer(asked, {})
    assert said.detail == "还缺少一项信息，暂时无法判断：年龄。"
    assert said.fix == "请补充这项信息，或换一种付款方式。"
    assert said.clauses == ("年龄：未知，需不低于 18",)


def test_a_rules_own_texts_win_for_those_they_are_for() -> None:
    own = rule(
        "a",
        reason="STRATEGY_PAUSE",
        daily=DailyWindow(11 * 60, 13 * 60),
        title=AudienceText(words("Lunch break")),
        detail=AudienceText(
            words("Closed {from:time} to {to:time}, until {until:instant}"), agent=words("Cook is out")
        ),
        fix=AudienceText(words("Come back {max:money}")),
    )
    policy = mall_policy(own)
    reason = decide(policy, {"clock.now": NOON})["mall_3"].reasons[0]
    said = reason_texts(policy, reason, "customer", "en", year=2026)
    assert (said.title, said.detail) == ("Lunch break", "Closed 11:00 to 13:00, until 23 Nov 13:00")
    # Its fix needs a figure that this case has not.
    assert said.fix == CATALOGUE["STRATEGY_PAUSE"].fix.en
    assert reason_texts(policy, reason, "agent", "en").detail == "Cook is out"


def test_a_generic_reason_says_nothing_particular_to_the_customer_and_everything_to_staff() -> None:
    secret = rule(
        "velocity",
        "risk",
        reason="DAY_LIMIT",
        require="customer.tier >= 3",
        public="generic",
        detail=AudienceText(words("velocity signal")),
    )
    policy = mall_policy(secret)
    reason = decide(policy, {"clock.now": NOON, "customer.tier": 1})["mall_3"].reasons[0]
    for shown in (reason, for_customer(reason)):
        said = reason_texts(policy, shown, "customer", "zh-CN")
        assert said.title == "暂时无法使用"
        assert said.clauses == ()
        assert "velocity" not in f"{said}"
    staff = reason_texts(policy, reason, "operator", "en")
    assert staff.detail == "velocity signal"
    assert staff.clauses == ("membership tier: 1; should be at least 3",)


def test_clauses_are_written_with_the_names_people_know() -> None:
    policy = policy_of()

    def said(clause: Failing, locale: str = "zh-CN") -> str:
        return clause_text(policy, clause, locale, year=2026)

    assert (
        said(Failing("card.bank", "in", "icbc", frozenset({"ccb", "cmb"})))
        == "发卡银行：工商银行，需在 建设银行、招商银行 之内"
    )
    assert said(
        Failing("cart.kinds", "has none of", frozenset({"blind_box"}), frozenset({"blind_box"})), "en"
    ) == ("kinds of item: blind box; should include none of blind box")
    assert said(Failing("customer.consents", "has any of", frozenset(), frozenset({"ccb"})), "en") == (
        "funders consented to: none; should include one of CCB"
    )
    assert said(Failing("customer.student", "is", True, False), "en") == "student: yes; should be no"
    assert (
        said(Failing("limit.mall_available", ">=", 1, 2, "cart.amount"))
        == "商城可用额度：¥0.01，需不低于 订单金额（¥0.02）"
    )
    assert (
        said(Failing("offer.annual_cost", "<=", 250_000_000_000, 240_000_000_000))
        == "年化成本：25%，需不高于 24%"
    )
    assert said(Failing("clock.now", ">=", NOON, NOON + HOUR), "en") == (
        "the present moment: 23 Nov 12:00; should be at least 23 Nov 13:00"
    )


def test_what_is_not_known_is_never_said_to_be_the_case() -> None:
    own = AudienceText(Text("您未满 18 岁", "You are under 18"))
    policy = mall_policy(
        rule("age", "law", require="customer.age >= 18", reason="UNDERAGE", title=own, detail=own),
        rule("overdue", "risk", require="customer.overdue is no", reason="OVERDUE_EXISTS"),
        rule("line", "customer", require="limit.mall_available >= cart.amount", reason="LINE_INSUFFICIENT"),
    )
    facts = {"clock.now": NOON, "limit.mall_available": 100}
    said = [
        reason_texts(policy, reason, "customer", locale)
        for reason in decide(policy, facts)["mall_3"].reasons
        for locale in ("zh-CN", "en")
    ]
    assert {text.title for text in said} == {"暂时无法判断", "Cannot be decided yet"}
    assert [text.detail for text in said] == [
        "还缺少一项信息，暂时无法判断：年龄。",
        "One thing is not known yet, so it cannot be decided: age.",
        "还缺少一项信息，暂时无法判断：是否有逾期账单。",
        "One thing is not known yet, so it cannot be decided: “a bill is overdue”, yes or no.",
        "还缺少一项信息，暂时无法判断：订单金额。",
        "One thing is not known yet, so it cannot be decided: order amount.",
    ]


def test_an_answer_on_its_way_is_not_said_to_be_no() -> None:
    waits = Pending(clause("funder.mall.prequal is pending"), "funder.mall.prequal_deadline")
    policy = mall_policy(
        rule(
            "asked",
            "risk",
            require="funder.mall.prequal is approved",
            reason="PREQUAL_DECLINED",
            pending=waits,
            detail=AudienceText(Text("未通过", "Declined")),
        )
    )
    facts = {
        "clock.now": NOON,
        "funder.mall.prequal": "pending",
        "funder.mall.prequal_deadline": NOON + HOUR,
    }
    reason = decide(policy, facts)["mall_3"].reasons[0]
    for audience in ("customer", "agent", "operator"):
        said = reason_texts(policy, reason, audience, "en")
        assert said.title == "Waiting for an answer"
        assert said.detail == "An answer is on its way; this is updated when it arrives."


def test_a_gap_that_says_no_kind_is_never_filled_with_minor_units_or_seconds() -> None:
    bare = AudienceText(Text("满{min}，{until}", "From {min}, {until}"))
    policy = mall_policy(
        rule("amount", "cart", require="cart.amount >= ¥300", reason="AMOUNT_LOW", detail=bare)
    )
    reason = decide(policy, {"clock.now": NOON, "cart.amount": 20_000})["mall_3"].reasons[0]
    said = reason_texts(policy, reason, "customer", "en")
    assert said.detail == "Available from ¥300.00; this order is ¥200.00."


def test_what_must_not_be_yes_is_said_as_what_it_should_be() -> None:
    policy = policy_of()
    forbidden = Failing("cart.has_coupon", "is not", True, True)
    assert clause_text(policy, forbidden, "en") == "coupon used: yes; should be no"
    assert clause_text(policy, forbidden, "zh-CN") == "使用优惠券：是，需为 否"

"""One case for each reason that a shopper of the demo mall can meet, written by hand from the policy's words.

Every figure was worked out on paper: fees are the rate times the price, half a fen to the even one; the consumer-finance loan is an
annuity of 1.5 % a month in whole fen, whose last payment clears it. Every sentence was copied from the catalogue of
reasons with its gaps filled by hand. Nothing here is the program's output.

A case says: who (one of the demo's customers, with what is otherwise), which cart, where and when, under which policy (the
demo's, or it with one thing changed), and about which plan. Then all reasons in the order of the page, each with since,
until (an instant as people write it in the shop's zone, `unknown`, or `none` where time does not change it), its notice and its words
in both languages; when the plan opens by itself; the nearest change; and the first alternatives with the difference in fen.

Totals of ¥4,999.00: mall_3, mall_6 4999.00; mall_12 5358.93 (+7.2 %); tingchao_3 5081.48 (+1.65 %), _6 5163.97 (+3.3 %), _12 5328.93
(+6.6 %), _24 5658.87 (+13.2 %); beichen_6 5178.96 (+3.6 %), _12 5358.93, _24 5718.86 (+14.4 %); cloudpay_3 5113.98 (+2.3 %), _6 5223.96 (+4.5 %: 224.955
goes up to 22496 fen), _12 5373.92 (+7.5 %: 374.925 is 37492.5 fen, to the even one); hean_12 5499.71.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["CASES", "POLICIES", "Case", "Told"]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One reason as a shopper is told it: (title, detail, what to do) in Chinese and in English."""

    code: str
    zh: tuple[str, str, str]
    en: tuple[str, str, str]
    until: str = "none"
    since: str | None = None
    notice: str | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One shopper, one cart, one plan that is missing."""

    who: str
    plan: str
    reasons: tuple[Told, ...]
    instead: tuple[tuple[str, int], ...]
    cart: str = "phone"
    at: str = "2026-11-23T10:00"
    channel: str = "web"
    coupon: str | None = None
    facts: dict[str, Any] = {}
    policy: str = "the demo's"
    state: str = "unavailable"
    until: str = "none"
    nearest: tuple[tuple[str, str, Any], ...] | None = None


POLICIES: Final = (
    "the demo's",
    "tingchao may cost 10 % at most",
    "tingchao has no 24 terms",
    "cloudpay has a daily quota",
    "a budget pays for the mall's interest-free terms",
    "the card acquirer is not on the partner list",
    "the wallet's agreement is paused",
)

_FULL = (
    "请选择全额支付。",
    "Choose full payment.",
)
_OTHER = ("请换一种付款方式。", "Choose another way to pay.")

_BLIND_BOX = Told(
    code="ITEM_BLIND_BOX",
    notice="blind-box-credit",
    zh=("盲盒不可分期", "盲盒需一次付清，不提供分期。", _FULL[0]),
    en=(
        "Blind boxes cannot be paid in instalments",
        "Blind boxes are paid in full; instalments are not offered.",
        _FULL[1],
    ),
)

CASES: Final[dict[str, Case]] = {
    # --------------------------------------------------------------------------------------------------- law
    "UNDERAGE": Case(
        who="good",
        facts={"customer.age": 17},
        plan="tingchao_12",
        until="unknown",
        reasons=(
            Told(
                code="UNDERAGE",
                until="unknown",
                zh=("未满 18 岁", "这种方式仅面向年满 18 周岁的客户。", _FULL[0]),
                en=("Under 18", "This way is for customers aged 18 or over.", _FULL[1]),
            ),
        ),
        instead=(("card_full", -32_993), ("cloudpay_full", -32_993)),
    ),
    "STUDENT_RESTRICTED": Case(
        who="good",
        facts={"customer.student": True},
        plan="cloudpay_12",
        reasons=(
            Told(
                code="STUDENT_RESTRICTED",
                zh=("学生身份限制", "按照规定，这种贷款不面向在校学生。", _OTHER[0]),
                en=(
                    "Not offered to students",
                    "By regulation this loan is not offered to students.",
                    _OTHER[1],
                ),
            ),
        ),
        # The other twelves, the cheaper first; then the nearest number of payments.
        instead=(("tingchao_12", -4_499), ("mall_12", -1_499), ("mall_6", -37_492)),
    ),
    # ---------------------------------------------------------------------------------------------- compliance
    "COST_OVER_CAP": Case(
        who="good",
        policy="tingchao may cost 10 % at most",
        plan="tingchao_12",
        until="unknown",
        reasons=(
            Told(
                code="COST_OVER_CAP",
                until="unknown",
                # 12 payments of ¥444.08 for ¥4,999.00 are 0.99722 % a month: 11.97 % a year.
                zh=(
                    "综合成本超过上限",
                    "这笔订单的年化成本 11.97% 超过上限 10%，因此不提供。",
                    "请选择其他期数或付款方式。",
                ),
                en=(
                    "The cost is above the ceiling",
                    "At 11.97% a year this order's cost is above the ceiling of 10%, so it is not offered.",
                    "Choose another term or another way to pay.",
                ),
            ),
        ),
        # The two twelves that are dearer, and one that costs no more, so that nobody is led into a dearer way unawares.
        instead=(("mall_12", 3_000), ("cloudpay_12", 4_499), ("mall_6", -32_993)),
    ),
    "ITEM_BLIND_BOX": Case(
        who="good",
        cart="blind_box",
        plan="mall_3",
        reasons=(_BLIND_BOX,),
        instead=(("card_full", 0), ("cloudpay_full", 0)),
    ),
    "ITEM_PLEDGE": Case(
        who="good",
        cart="pledge",
        plan="mall_6",
        reasons=(
            Told(
                code="ITEM_PLEDGE",
                zh=("众筹不可分期", "众筹成功前不能分期付款。", "请选择全额支付；众筹失败会原路退回。"),
                en=(
                    "Pledges cannot be paid in instalments",
                    "A pledge cannot be paid in instalments before the campaign succeeds.",
                    "Pay in full; if the campaign fails, all of it is returned the way it came.",
                ),
            ),
        ),
        instead=(("card_full", 0), ("cloudpay_full", 0)),
    ),
    "REALNAME_REQUIRED": Case(
        who="good",
        facts={"customer.real_name_verified": False},
        plan="mall_12",
        reasons=(
            Told(
                code="REALNAME_REQUIRED",
                zh=("需要实名认证", "完成实名认证后才能使用这种方式。", "请先完成实名认证。"),
                en=(
                    "Identity check needed",
                    "This way needs a completed identity check.",
                    "Complete the identity check first.",
                ),
            ),
        ),
        instead=(("tingchao_12", -3_000), ("cloudpay_12", 1_499), ("tingchao_6", -19_496)),
    ),
    "CONSENT_MISSING": Case(
        who="good",
        facts={"customer.consents": frozenset()},
        plan="hean_12",
        # What somebody agrees to is theirs alone: it is asked of them, and never suggested.
        reasons=(
            Told(
                code="CONSENT_MISSING",
                zh=(
                    "未授权",
                    "需要您同意将必要信息提供给资方后才能判断。",
                    "查看授权内容并确认，或换一种付款方式。",
                ),
                en=(
                    "Consent is missing",
                    "It can be decided once you agree that the funder receives the necessary data.",
                    "Read what is passed on and agree, or choose another way to pay.",
                ),
            ),
        ),
        instead=(("tingchao_12", -17_078), ("mall_12", -14_078), ("cloudpay_12", -12_579)),
    ),
    # ----------------------------------------------------------------------------------------------- agreement
    "AGREEMENT_ADJUST": Case(
        who="good",
        plan="cloudpay_3",
        until="unknown",
        reasons=(
            Told(
                code="AGREEMENT_ADJUST",
                since="2026-11-15T00:00",
                until="unknown",
                notice="cloudpay-2026-11",
                zh=(
                    "合作调整中",
                    "与资方的合作正在调整，恢复时间以公告为准。",
                    "请换一种付款方式，并留意公告。",
                ),
                en=(
                    "The partnership is being changed",
                    "The partnership with the funder is being changed; the notice will say when it is back.",
                    "Choose another way to pay, and watch the notice.",
                ),
            ),
        ),
        instead=(("mall_3", -11_498), ("tingchao_3", -3_250), ("mall_6", -11_498)),
    ),
    "AGREEMENT_ADJUST of a whole agreement": Case(
        who="good",
        policy="the wallet's agreement is paused",
        plan="cloudpay_12",
        until="unknown",
        reasons=(
            Told(
                code="AGREEMENT_ADJUST",
                # The version that is paused is the one in force since the first of January.
                since="2026-01-01T00:00",
                until="unknown",
                zh=(
                    "合作调整中",
                    "与资方的合作正在调整，恢复时间以公告为准。",
                    "请换一种付款方式，并留意公告。",
                ),
                en=(
                    "The partnership is being changed",
                    "The partnership with the funder is being changed; the notice will say when it is back.",
                    "Choose another way to pay, and watch the notice.",
                ),
            ),
        ),
        instead=(("tingchao_12", -4_499), ("mall_12", -1_499), ("hean_12", 12_579)),
    ),
    "AGREEMENT_EXPIRED": Case(
        who="good",
        at="2027-01-05T10:00",
        plan="tingchao_12",
        until="unknown",
        reasons=(
            Told(
                code="AGREEMENT_EXPIRED",
                # Its last day was the 31st of December.
                since="2027-01-01T00:00",
                until="unknown",
                zh=(
                    "合作已到期",
                    "与资方的合作已到期，这种方式不再提供新订单。",
                    "请换一种付款方式；已有分期照常还款。",
                ),
                en=(
                    "The partnership has ended",
                    "The partnership with the funder has ended; this way takes no new orders.",
                    "Choose another way to pay; running instalments go on as agreed.",
                ),
            ),
        ),
        instead=(("mall_12", 3_000), ("cloudpay_12", 4_499), ("mall_6", -32_993)),
    ),
    "CARD_UNSUPPORTED": Case(
        who="good",
        plan="beichen_12",
        nearest=(("card.bank", "is", "beichen"),),
        reasons=(
            Told(
                code="CARD_UNSUPPORTED",
                zh=("该卡不支持", "所选银行卡不支持这种方式。", "换用北辰银行信用卡"),
                en=(
                    "This card is not supported",
                    "The chosen card cannot be used this way.",
                    "Use a Beichen Bank credit card",
                ),
            ),
        ),
        instead=(("tingchao_12", -3_000), ("mall_12", 0), ("cloudpay_12", 1_499)),
    ),
    "CHANNEL_UNSUPPORTED": Case(
        who="good",
        channel="mini_program",
        plan="cloudpay_full",
        nearest=(("channel.kind", "is", "web"),),
        reasons=(
            Told(
                code="CHANNEL_UNSUPPORTED",
                zh=(
                    "当前渠道不支持",
                    "这种方式在当前下单渠道不可用。",
                    "请在支持的渠道下单，或换一种付款方式。",
                ),
                en=(
                    "Not available in this channel",
                    "This way is not available in the channel you are using.",
                    "Order in a channel that supports it, or choose another way to pay.",
                ),
            ),
        ),
        instead=(("card_full", 0), ("mall_3", 0), ("tingchao_3", 8_248)),
    ),
    "AMOUNT_HIGH": Case(
        who="good",
        cart="foldable",
        channel="app",
        plan="cloudpay_12",
        nearest=(("cart.amount", "at_most", 800_000),),
        reasons=(
            Told(
                code="AMOUNT_HIGH",
                zh=("金额超限", "最高支持 ¥8,000.00，当前为 ¥9,999.00。", _OTHER[0]),
                en=("Above the maximum", "Available up to ¥8,000.00; this order is ¥9,999.00.", _OTHER[1]),
            ),
        ),
        # Of ¥9,999.00: the wallet's twelve 10748.92, 听潮 10658.93, the shop's own 10718.93, the loan 11000.48.
        instead=(("tingchao_12", -8_999), ("mall_12", -2_999), ("hean_12", 25_156)),
    ),
    "TERM_UNAVAILABLE": Case(
        who="good",
        policy="tingchao has no 24 terms",
        plan="tingchao_24",
        reasons=(
            Told(
                code="TERM_UNAVAILABLE",
                zh=("该期数不可选", "这种方式目前没有这个期数。", "请选择其他期数。"),
                en=(
                    "This term is not available",
                    "This way is not offered for this number of instalments at present.",
                    "Choose another term.",
                ),
            ),
        ),
        instead=(("tingchao_12", -32_994), ("mall_12", -29_994), ("cloudpay_12", -28_495)),
    ),
    "QUOTA_EXHAUSTED": Case(
        who="good",
        policy="cloudpay has a daily quota",
        facts={
            "funder.cloudpay.quota_left": 499_800,
            "funder.cloudpay.quota_renews": "2026-11-24T00:00",
        },
        plan="cloudpay_12",
        until="2026-11-24T00:00",
        nearest=(("cart.amount", "at_most", 499_800),),
        reasons=(
            Told(
                code="QUOTA_EXHAUSTED",
                until="2026-11-24T00:00",
                zh=(
                    "资方当日额度用尽",
                    "资方今天的放款名额已用完，11月24日 00:00 恢复。",
                    "请明天再试，或换一种付款方式。",
                ),
                en=(
                    "The funder's quota for today is used up",
                    "The funder's quota for today is used up; it is back on 24 Nov 00:00.",
                    "Try again tomorrow, or choose another way to pay.",
                ),
            ),
        ),
        instead=(("tingchao_12", -4_499), ("mall_12", -1_499), ("hean_12", 12_579)),
    ),
    "FUNDER_NOT_LISTED": Case(
        who="good",
        policy="the card acquirer is not on the partner list",
        plan="card_full",
        until="unknown",
        reasons=(
            Told(
                code="FUNDER_NOT_LISTED",
                since="2026-01-01T00:00",
                until="unknown",
                zh=("不在合作名单内", "该资方目前不在公示的合作名单内。", _OTHER[0]),
                en=(
                    "Not on the public partner list",
                    "The funder is not on the published list of partners at present.",
                    _OTHER[1],
                ),
            ),
        ),
        instead=(("cloudpay_full", 0), ("mall_3", 0), ("tingchao_3", 8_248)),
    ),
    "FUNDER_NOT_CONNECTED": Case(
        who="good",
        facts={"funder.tingchao.connected": False},
        plan="tingchao_12",
        until="unknown",
        reasons=(
            Told(
                code="FUNDER_NOT_CONNECTED",
                until="unknown",
                zh=("尚未接通", "本店尚未与该资方接通。", _OTHER[0]),
                en=("Not connected yet", "This shop has no connection to the funder yet.", _OTHER[1]),
            ),
        ),
        instead=(("mall_12", 3_000), ("cloudpay_12", 4_499), ("mall_6", -32_993)),
    ),
    # ---------------------------------------------------------------------------------------------------- risk
    "OVERDUE_EXISTS": Case(
        who="overdue",
        plan="mall_12",
        reasons=(
            Told(
                code="OVERDUE_EXISTS",
                zh=("存在逾期账单", "您有逾期未还的账单，还清后可继续使用。", "请先还清逾期账单。"),
                en=(
                    "A bill is overdue",
                    "A bill of yours is overdue; once it is paid, this way is open again.",
                    "Pay the overdue bill first.",
                ),
            ),
        ),
        instead=(("beichen_12", 0), ("cloudpay_12", 1_499), ("beichen_6", -17_997)),
    ),
    "ACCOUNT_RISK": Case(
        who="good",
        facts={"customer.account_check": "held"},
        plan="mall_12",
        reasons=(
            Told(
                code="ACCOUNT_RISK",
                zh=(
                    "暂时无法使用",
                    "这种方式暂时不能用于这笔订单。",
                    "请换一种付款方式；如有疑问请联系客服。",
                ),
                en=(
                    "Not available for now",
                    "This way cannot be used for this order for now.",
                    "Choose another way to pay; ask support if you have a question.",
                ),
            ),
        ),
        instead=(("card_full", -35_993), ("cloudpay_full", -35_993)),
    ),
    "PREQUAL_DECLINED": Case(
        who="good",
        facts={"funder.hean.prequal": "declined"},
        plan="hean_12",
        until="unknown",
        reasons=(
            Told(
                code="PREQUAL_DECLINED",
                until="unknown",
                zh=(
                    "综合评估未通过",
                    "资方综合评估后，目前不能提供这种方式。",
                    "请换一种付款方式；可向资方了解详情。",
                ),
                en=(
                    "Not approved by the funder",
                    "After its assessment the funder cannot offer this way at present.",
                    "Choose another way to pay; the funder can tell you more.",
                ),
            ),
        ),
        instead=(("tingchao_12", -17_078), ("mall_12", -14_078), ("cloudpay_12", -12_579)),
    ),
    # --------------------------------------------------------------------------------------------- maintenance
    "MAINTENANCE": Case(
        who="good",
        at="2026-11-23T22:30",
        plan="mall_3",
        until="2026-11-24T02:00",
        # The app already speaks to the new system.
        nearest=(("channel.kind", "is", "app"),),
        reasons=(
            Told(
                code="MAINTENANCE",
                since="2026-11-23T22:00",
                until="2026-11-24T02:00",
                notice="mall-maintenance-2026-11-23",
                zh=(
                    "系统维护",
                    "系统维护中，预计 11月24日 02:00 恢复。",
                    "可先换一种付款方式，或登记恢复提醒。",
                ),
                en=(
                    "System maintenance",
                    "Under maintenance; expected back 24 Nov 02:00.",
                    "Choose another way for now, or ask to be told when it is back.",
                ),
            ),
        ),
        instead=(("tingchao_3", 8_248), ("tingchao_6", 16_497), ("card_full", 0)),
    ),
    "MAINTENANCE of every night": Case(
        who="overdue",
        at="2026-11-23T23:45",
        plan="beichen_12",
        until="2026-11-24T00:30",
        reasons=(
            Told(
                code="MAINTENANCE",
                since="2026-11-23T23:30",
                until="2026-11-24T00:30",
                notice="beichen-nightly",
                zh=(
                    "系统维护",
                    "系统维护中，预计 11月24日 00:30 恢复。",
                    "可先换一种付款方式，或登记恢复提醒。",
                ),
                en=(
                    "System maintenance",
                    "Under maintenance; expected back 24 Nov 00:30.",
                    "Choose another way for now, or ask to be told when it is back.",
                ),
            ),
        ),
        # Nothing of twelve but the wallet's is open to him; then its six, and one that costs no more is among them.
        instead=(("cloudpay_12", 1_499), ("cloudpay_6", -13_497), ("card_full", -35_993)),
    ),
    # -------------------------------------------------------------------------------------------------- health
    "FUNDER_OUTAGE": Case(
        who="good",
        facts={"funder.tingchao.health": "down", "funder.tingchao.health_since": "2026-11-23T09:40"},
        plan="tingchao_12",
        until="unknown",
        reasons=(
            Told(
                code="FUNDER_OUTAGE",
                since="2026-11-23T09:40",
                until="unknown",
                zh=(
                    "资方服务异常",
                    "资方服务出现异常，正在恢复，时间待定。",
                    "可先换一种付款方式，或登记恢复提醒。",
                ),
                en=(
                    "The funder's service is disturbed",
                    "The funder's service is disturbed and being restored; when is not known yet.",
                    "Choose another way for now, or ask to be told when it is back.",
                ),
            ),
        ),
        instead=(("mall_12", 3_000), ("cloudpay_12", 4_499), ("mall_6", -32_993)),
    ),
    # ------------------------------------------------------------------------------------------------ strategy
    "STRATEGY_PAUSE": Case(
        who="overdue",
        plan="beichen_24",
        # The pause ends at midnight, while the bank settles its accounts until half past.
        until="2026-12-01T00:30",
        reasons=(
            Told(
                code="STRATEGY_PAUSE",
                since="2026-11-10T00:00",
                until="2026-12-01T00:00",
                notice="beichen-24-pause",
                zh=(
                    "暂停提供",
                    "因经营调整暂停提供，预计 12月1日 00:00 恢复。",
                    "请换一种付款方式，或登记恢复提醒。",
                ),
                en=(
                    "Paused by the shop",
                    "Paused for business reasons; expected back 1 Dec 00:00.",
                    "Choose another way to pay, or ask to be told when it is back.",
                ),
            ),
        ),
        # tingchao_24 is named first by the rule, but his card is another bank's.
        instead=(("beichen_12", -35_993), ("cloudpay_12", -34_494), ("beichen_6", -53_990)),
    ),
    "SUBSIDY_SPENT": Case(
        who="good",
        policy="a budget pays for the mall's interest-free terms",
        facts={"budget.interest_free.left": 100_000, "budget.interest_free.renews": "2026-12-01T00:00"},
        plan="mall_3",
        until="2026-12-01T00:00",
        nearest=(("cart.amount", "at_most", 100_000),),
        reasons=(
            Told(
                code="SUBSIDY_SPENT",
                until="2026-12-01T00:00",
                zh=(
                    "免息预算已用完",
                    "本期免息预算已用完，12月1日 00:00 恢复。",
                    "请选择其他期数或付款方式，或在恢复后再来。",
                ),
                en=(
                    "The interest-free budget is spent",
                    "The budget for interest-free instalments is spent; it is back on 1 Dec 00:00.",
                    "Choose another term or way to pay, or come back when it is restored.",
                ),
            ),
        ),
        instead=(("tingchao_3", 8_248), ("tingchao_6", 16_497), ("card_full", 0)),
    ),
    # ---------------------------------------------------------------------------------------------------- cart
    "AMOUNT_LOW": Case(
        who="good",
        cart="accessory",
        plan="mall_3",
        nearest=(("cart.amount", "at_least", 30_000),),
        reasons=(
            Told(
                code="AMOUNT_LOW",
                zh=("金额不足", "满 ¥300.00 可用，当前为 ¥149.00。", "请换一种付款方式，或调整购物车。"),
                en=(
                    "Below the minimum",
                    "Available from ¥300.00; this order is ¥149.00.",
                    "Choose another way to pay, or change the cart.",
                ),
            ),
        ),
        # 4.5 % of ¥149.00 is 670.5 fen, 7.5 % is 1117.5: each to the even one.
        instead=(("cloudpay_6", 670), ("cloudpay_12", 1_118), ("card_full", 0)),
    ),
    "COUPON_CONFLICT": Case(
        who="good",
        coupon="AUTUMN",
        plan="mall_3",
        nearest=(("cart.has_coupon", "is", False),),
        reasons=(
            Told(
                code="COUPON_CONFLICT",
                zh=(
                    "与优惠不同享",
                    "当前使用的优惠券不能与这种方式同享。",
                    "取消优惠券后可用，或换一种付款方式。",
                ),
                en=(
                    "Cannot be combined with the offer",
                    "The coupon in use cannot be combined with this way to pay.",
                    "Remove the coupon to use it, or choose another way to pay.",
                ),
            ),
        ),
        instead=(("tingchao_3", 8_248), ("tingchao_6", 16_497), ("card_full", 0)),
    ),
    "CART_MIXED": Case(
        who="good",
        cart="mixed",
        plan="mall_12",
        nearest=(("cart.kinds", "without", frozenset({"blind_box"})),),
        reasons=(
            _BLIND_BOX,
            Told(
                code="CART_MIXED",
                zh=(
                    "含不支持的商品",
                    "购物车里有部分商品不支持这种方式。",
                    "这些商品可以换一种方式单独购买。",
                ),
                en=(
                    "The cart mixes eligible and other items",
                    "Some of the items in the cart cannot be paid this way.",
                    "Those items can be bought on their own in another way.",
                ),
            ),
        ),
        # 7.2 % of ¥5,598.00 is ¥403.06.
        instead=(("card_full", -40_306), ("cloudpay_full", -40_306)),
    ),
    # ------------------------------------------------------------------------------------------------ customer
    "LOGIN_REQUIRED": Case(
        who="good",
        facts={"customer.signed_in": False},
        plan="mall_12",
        nearest=(("customer.signed_in", "is", True),),
        reasons=(
            Told(
                code="LOGIN_REQUIRED",
                zh=("需要登录", "登录后才能确认是否可用。", "请登录。"),
                en=("Sign-in needed", "Sign in to see whether it is available.", "Sign in."),
            ),
        ),
        instead=(("tingchao_12", -3_000), ("cloudpay_12", 1_499), ("tingchao_6", -19_496)),
    ),
    "CREDIT_NOT_OPENED": Case(
        who="good",
        facts={"limit.mall": 0, "limit.mall_available": 0},
        plan="mall_12",
        reasons=(
            Told(
                code="CREDIT_NOT_OPENED",
                zh=("尚未开通", "您还没有开通这项服务。", "请先开通该方式的额度，或换一种付款方式。"),
                en=(
                    "Not opened yet",
                    "You have not opened this service yet.",
                    "Open a credit line for it first, or choose another way to pay.",
                ),
            ),
        ),
        instead=(("tingchao_12", -3_000), ("cloudpay_12", 1_499), ("hean_12", 14_078)),
    ),
    "LINE_INSUFFICIENT": Case(
        who="over_limit",
        plan="mall_12",
        reasons=(
            Told(
                code="LINE_INSUFFICIENT",
                zh=(
                    "额度不足",
                    "可用额度 ¥2,001.00，这笔订单需要 ¥4,999.00。",
                    "还款后额度会恢复；也可换一种付款方式。",
                ),
                en=(
                    "Credit line too low",
                    "¥2,001.00 of your line is left; this order needs ¥4,999.00.",
                    "The line is restored as you repay; or choose another way to pay.",
                ),
            ),
        ),
        instead=(("tingchao_12", -3_000), ("cloudpay_12", 1_499), ("tingchao_6", -19_496)),
    ),
    # ------------------------------------------------------------------------------------ an answer on its way
    "PREQUAL_DECLINED pending": Case(
        who="over_limit",
        plan="hean_12",
        state="pending",
        until="2026-11-23T18:00",
        reasons=(
            Told(
                code="PREQUAL_DECLINED",
                # The answer is due by then; whether it opens the way nobody knows.
                until="unknown",
                zh=("等待答复", "正在等待答复，结果出来后会更新。", "请稍后再试，或换一种付款方式。"),
                en=(
                    "Waiting for an answer",
                    "An answer is on its way; this is updated when it arrives.",
                    "Try again a little later, or choose another way to pay.",
                ),
            ),
        ),
        instead=(("tingchao_12", -17_078), ("cloudpay_12", -12_579), ("tingchao_6", -33_574)),
    ),
    "FUNDER_OUTAGE pending": Case(
        who="good",
        facts={
            "funder.tingchao.health": "checking",
            "funder.tingchao.health_since": "2026-11-23T09:58",
            "funder.tingchao.health_deadline": "2026-11-23T10:02",
        },
        plan="tingchao_12",
        state="pending",
        until="2026-11-23T10:02",
        reasons=(
            Told(
                code="FUNDER_OUTAGE",
                since="2026-11-23T09:58",
                until="unknown",
                zh=("等待答复", "正在等待答复，结果出来后会更新。", "请稍后再试，或换一种付款方式。"),
                en=(
                    "Waiting for an answer",
                    "An answer is on its way; this is updated when it arrives.",
                    "Try again a little later, or choose another way to pay.",
                ),
            ),
        ),
        instead=(("mall_12", 3_000), ("cloudpay_12", 4_499), ("mall_6", -32_993)),
    ),
}

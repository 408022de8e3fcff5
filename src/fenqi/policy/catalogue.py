"""The catalogue of reasons: every code, who can change it, how it usually ends, and its words for three readers.

The customer's words say what is the matter and what to do; the agent's and the operator's say what stands behind it
and what each of them can do. Where a code has two detail sentences, the first has figures and is used when the reason
has them. No sentence promises anything, urges anybody to borrow, or tells how to get round a limit.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from fenqi.policy.snapshot import Change
from fenqi.texts import Text

__all__ = ["CATALOGUE", "PARAMETERS", "Entry", "Recovery", "Who"]

Who = Literal["shop", "customer", "funder", "operator", "regulator"]
Recovery = Literal[
    "now",
    "minutes",
    "window_end",
    "health_probe",
    "next_day",
    "next_month",
    "days",
    "announced",
    "case",
    "change",
    "none",
]
"""How it usually ends: `window_end` at a known instant, `announced` when a notice says so, `case` through a person,
`change` when the customer changes something, `none` not by itself."""

PARAMETERS: Final = ("min", "max", "current", "since", "until", "from", "to")
"""The gaps that a reason's texts may have. min, max and current are of the first failing clause's type."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One code. `details` and `fix` are the customer's; `behind` is staff's detail; `help` and `act` are what an agent
    and an operator can do."""

    code: str
    who: Who
    recovery: Recovery
    change: Change
    title: Text
    details: tuple[Text, ...]
    fix: Text
    behind: Text
    help: Text
    act: Text


_Pair = tuple[str, str]
_ENTRIES: list[Entry] = []


def _reason(
    code: str,
    who: Who,
    recovery: Recovery,
    change: Change,
    title: _Pair,
    details: _Pair | tuple[_Pair, ...],
    fix: _Pair,
    behind: _Pair,
    help_: _Pair,
    act: _Pair,
) -> None:
    pairs: tuple[_Pair, ...] = details if isinstance(details[0], tuple) else (details,)
    _ENTRIES.append(
        Entry(
            code=code,
            who=who,
            recovery=recovery,
            change=change,
            title=Text(*title),
            details=tuple(Text(*pair) for pair in pairs),
            fix=Text(*fix),
            behind=Text(*behind),
            help=Text(*help_),
            act=Text(*act),
        )
    )


_reason(
    "SHOP_NOT_ENABLED",
    "shop",
    "days",
    "shop",
    ("店铺未开通", "The shop does not offer it yet"),
    ("本店还没有开通这种付款方式。", "This shop has not opened this way to pay yet."),
    ("请换一种付款方式，或订阅开通提醒。", "Choose another way to pay, or ask to be told when it opens."),
    ("商户尚未向资方完成开通。", "The shop's enrolment with the funder is not complete."),
    ("告知客户开通时间未定，可登记提醒。", "Say that no date is set, and offer the reminder."),
    ("在资方平台完成商户开通后更新策略。", "Complete the enrolment with the funder, then publish."),
)
_reason(
    "SHOP_RECEIPT_LIMIT",
    "shop",
    "next_day",
    "time",
    ("商户收款超限", "The shop has reached a receiving limit"),
    (
        (
            "本店这种方式的收款额度已用完，{until:instant} 恢复。",
            "The shop's receiving limit for this way is used up; it is back on {until:instant}.",
        ),
        ("本店这种方式的收款额度暂时用完。", "The shop's receiving limit for this way is used up for now."),
    ),
    ("请换一种付款方式，或在恢复后再来。", "Choose another way to pay, or come back when it is restored."),
    (
        "资方对商户的收款限额已满（BEYOND_PAY_RESTRICTION）。",
        "The funder's receiving limit for this shop is full (BEYOND_PAY_RESTRICTION).",
    ),
    (
        "说明与客户个人无关，推荐其他方式。",
        "Say that it has nothing to do with the customer; offer another way.",
    ),
    ("向资方申请调高收款限额。", "Ask the funder to raise the limit."),
)
_reason(
    "SHOP_BLOCKED",
    "shop",
    "case",
    "shop",
    ("商户收款暂停", "Receiving is suspended for the shop"),
    (
        "本店的这种收款方式已被暂停，正在处理。",
        "Receiving this way is suspended for the shop and is being dealt with.",
    ),
    ("请换一种付款方式。", "Choose another way to pay."),
    (
        "资方冻结了商家账号（SELLER_BEEN_BLOCKED）。",
        "The funder has frozen the shop's account (SELLER_BEEN_BLOCKED).",
    ),
    (
        "不要猜测原因；推荐其他方式并登记提醒。",
        "Do not guess at the cause; offer another way and the reminder.",
    ),
    ("联系资方客户经理，提交解冻材料。", "Contact the funder's account manager and file for release."),
)
_reason(
    "SUBSIDY_NOT_ACTIVE",
    "shop",
    "announced",
    "shop",
    ("免息活动未生效", "The promotion is not active"),
    (
        "本期数的免息活动未生效或已结束。",
        "The interest-free promotion for this term is not active or has ended.",
    ),
    ("请选择其他期数，或等待下一次活动。", "Choose another term, or wait for the next promotion."),
    ("贴息未激活或活动已过期。", "The subsidy is not activated, or its campaign has expired."),
    ("告知活动起止日期，推荐其他期数。", "Give the promotion's dates; offer another term."),
    ("核对贴息活动的报名、预算与起止时间。", "Check the campaign's enrolment, budget and dates."),
)
_reason(
    "SUBSIDY_SPENT",
    "shop",
    "announced",
    "time",
    ("免息预算已用完", "The interest-free budget is spent"),
    (
        (
            "本期免息预算已用完，{until:instant} 恢复。",
            "The budget for interest-free instalments is spent; it is back on {until:instant}.",
        ),
        ("本期免息预算已用完。", "The budget for interest-free instalments is spent."),
    ),
    (
        "请选择其他期数或付款方式，或在恢复后再来。",
        "Choose another term or way to pay, or come back when it is restored.",
    ),
    ("免息预算余额不足以覆盖本单。", "What is left of the budget does not cover this order."),
    (
        "说明与客户个人无关，可推荐其他期数或登记提醒。",
        "Say that it is not about the customer; offer another term or the reminder.",
    ),
    ("追加预算，或等下一预算期。", "Add to the budget, or wait for its next period."),
)
_reason(
    "ITEM_EXCLUDED",
    "shop",
    "none",
    "cart",
    ("商品不支持", "This item is not eligible"),
    ("购物车里有不支持这种方式的商品。", "The cart holds an item that cannot be paid this way."),
    ("请换一种付款方式。", "Choose another way to pay."),
    ("商品类目被规则排除。", "A rule excludes the item's category."),
    ("指出是哪一类商品，推荐可用的方式。", "Name the category; offer a way that works."),
    ("如需支持，修改规则的类目清单。", "To allow it, change the rule's list of categories."),
)
_reason(
    "ITEM_BLIND_BOX",
    "operator",
    "none",
    "cart",
    ("盲盒不可分期", "Blind boxes cannot be paid in instalments"),
    ("盲盒需一次付清，不提供分期。", "Blind boxes are paid in full; instalments are not offered."),
    ("请选择全额支付。", "Choose full payment."),
    ("平台规定：盲盒不提供任何分期或贷款。", "House policy: no credit of any kind for blind boxes."),
    ("说明这是对所有人一样的规定。", "Say that the rule is the same for everyone."),
    ("该规则属合规层，修改须合规负责人同意。", "A compliance rule: changing it needs the compliance owner."),
)
_reason(
    "ITEM_PLEDGE",
    "operator",
    "none",
    "cart",
    ("众筹不可分期", "Pledges cannot be paid in instalments"),
    ("众筹成功前不能分期付款。", "A pledge cannot be paid in instalments before the campaign succeeds."),
    (
        "请选择全额支付；众筹失败会原路退回。",
        "Pay in full; if the campaign fails, all of it is returned the way it came.",
    ),
    ("众筹仅支持全额支付或预授权。", "Pledges take full payment or an authorisation only."),
    ("说明失败全额退回的规则。", "Explain the full refund on failure."),
    ("该规则属合规层，修改须合规负责人同意。", "A compliance rule: changing it needs the compliance owner."),
)
_reason(
    "PLEDGE_CLOSED",
    "operator",
    "none",
    "nobody",
    ("众筹已截止", "The campaign does not take this now"),
    (
        "众筹已结束，或离结束太久，预授权无法保留到那一天。",
        "The campaign is over, or ends so late that an authorisation would not stand until then.",
    ),
    ("请选择全额支付，或稍后再来。", "Pay in full, or come back later."),
    (
        "下单日晚于众筹成功日，或早于预授权能保留的天数。",
        "The order is after the day of success, or earlier than an authorisation stands.",
    ),
    ("告知众筹截止日。", "Give the campaign's last day."),
    ("核对方案的 success_on 与 hold_days。", "Check the plan's success_on and hold_days."),
)
_reason(
    "DEPOSIT_REQUIRED",
    "customer",
    "none",
    "nobody",
    ("需要押金", "A deposit is asked for"),
    ("这次租用暂不能免押金。", "The deposit of this lease is not waived this time."),
    (
        "可以支付或冻结押金后租用；押金按页面所示期限退还。",
        "You can leave the deposit, which is released by the day shown, or choose another way.",
    ),
    ("不满足免押条件。", "A condition for waiving the deposit is not met."),
    ("说明押金何时退还，何时不退。", "Say when the deposit comes back, and when it does not."),
    ("免押条件见策略的 waivers。", "The conditions are the policy's waivers."),
)
_reason(
    "DEPOSIT_SCORE_LOW",
    "customer",
    "none",
    "nobody",
    ("信用分未达免押要求", "Credit score below what waives the deposit"),
    (
        (
            "信用分达到 {min} 可免押金，当前为 {current}。",
            "The deposit is waived from a credit score of {min}; yours is {current}.",
        ),
        ("信用分未达到免押金的要求。", "The credit score does not reach what waives the deposit."),
    ),
    (
        "可以支付或冻结押金后租用；押金按页面所示期限退还。",
        "You can leave the deposit, which is released by the day shown, or choose another way.",
    ),
    ("信用分低于免押要求。", "The credit score is below what the waiver asks."),
    (
        "说明押金何时退还；不要代客户查询信用分。",
        "Say when the deposit comes back; never look up a score for them.",
    ),
    ("免押分数见策略的 waivers。", "The score is in the policy's waivers."),
)
_reason(
    "LEASE_TERMS",
    "regulator",
    "none",
    "nobody",
    ("租赁条款不符合规定", "The lease's terms are not allowed"),
    ("这种租赁的条款不符合规定，暂不提供。", "A term of this lease is not allowed, so it is not offered."),
    ("请换一种方式。", "Choose another way."),
    (
        "租赁条款触及规则：租金与买断价过高、自动续租、逾期自动转购买，或押金退还不明。",
        "A term of the lease meets a rule: rents and buyout too high, renewal without being asked, arrears that become a "
        "sale, or a deposit whose return is not stated.",
    ),
    ("说明这是规定，推荐其他方式。", "Say that it is a rule; offer another way."),
    ("修改租赁条款后重新发布。", "Change the lease's terms, then publish."),
)
_reason(
    "CART_MIXED",
    "customer",
    "change",
    "cart",
    ("含不支持的商品", "The cart mixes eligible and other items"),
    ("购物车里有部分商品不支持这种方式。", "Some of the items in the cart cannot be paid this way."),
    ("这些商品可以换一种方式单独购买。", "Those items can be bought on their own in another way."),
    ("同一订单混有支持与不支持的商品。", "One order mixes eligible and other items."),
    ("指出不支持的商品。", "Name the items that are not eligible."),
    ("如需支持，修改规则的商品范围。", "To allow it, change the rule's range of items."),
)
_reason(
    "AMOUNT_LOW",
    "customer",
    "change",
    "cart",
    ("金额不足", "Below the minimum"),
    (
        (
            "满 {min:money} 可用，当前为 {current:money}。",
            "Available from {min:money}; this order is {current:money}.",
        ),
        ("订单金额未达到这种方式的下限。", "The order is below this way's minimum."),
    ),
    ("请换一种付款方式，或调整购物车。", "Choose another way to pay, or change the cart."),
    ("金额低于协议或规则的下限。", "The amount is below the agreement's or rule's minimum."),
    ("告知下限和当前金额。", "Give the minimum and the present amount."),
    ("下限来自资方协议，调整须更新协议。", "The minimum comes from the agreement; amend that to change it."),
)
_reason(
    "AMOUNT_HIGH",
    "customer",
    "change",
    "cart",
    ("金额超限", "Above the maximum"),
    (
        (
            "最高支持 {max:money}，当前为 {current:money}。",
            "Available up to {max:money}; this order is {current:money}.",
        ),
        ("订单金额超过这种方式的上限。", "The order is above this way's maximum."),
    ),
    ("请换一种付款方式。", "Choose another way to pay."),
    ("金额高于协议或规则的上限。", "The amount is above the agreement's or rule's maximum."),
    ("告知上限；不要建议拆分订单。", "Give the maximum; do not suggest splitting the order."),
    ("上限来自资方协议，调整须更新协议。", "The maximum comes from the agreement; amend that to change it."),
)
_reason(
    "TERM_UNAVAILABLE",
    "funder",
    "change",
    "cart",
    ("该期数不可选", "This term is not available"),
    ("这种方式目前没有这个期数。", "This way is not offered for this number of instalments at present."),
    ("请选择其他期数。", "Choose another term."),
    ("资方协议不含此期数。", "The funder's agreement does not include this term."),
    ("推荐协议内的期数。", "Offer the terms that the agreement has."),
    ("与资方签约该期数后更新协议。", "Contract the term with the funder, then update the agreement."),
)
_reason(
    "TRADE_TERM_LOCKED",
    "customer",
    "change",
    "cart",
    ("已按其他期数下单", "The order is placed with another term"),
    (
        "这笔订单已按另一期数发起付款，不能直接改期数。",
        "Payment of this order has begun with another term, which cannot be changed in place.",
    ),
    ("请取消这次付款后重新选择。", "Cancel that payment, then choose again."),
    (
        "同一支付单号不能更换期数，须新单号。",
        "One payment number keeps its term; another term needs a new number.",
    ),
    ("帮客户关闭原支付单后重新下单。", "Close the old payment for the customer, then let them choose again."),
    (
        "无需处理；如频繁出现，检查支付单关闭流程。",
        "Nothing to do; if frequent, check how payments are closed.",
    ),
)
_reason(
    "COUPON_CONFLICT",
    "customer",
    "change",
    "cart",
    ("与优惠不同享", "Cannot be combined with the offer"),
    ("当前使用的优惠券不能与这种方式同享。", "The coupon in use cannot be combined with this way to pay."),
    ("取消优惠券后可用，或换一种付款方式。", "Remove the coupon to use it, or choose another way to pay."),
    ("规则不允许优惠券与该方式叠加。", "A rule keeps coupons and this way apart."),
    ("帮客户比较两种选择的总支付额。", "Compare the total of both choices for the customer."),
    ("如需叠加，修改规则并核算成本。", "To combine them, change the rule and work out its cost."),
)
_reason(
    "CHANNEL_UNSUPPORTED",
    "customer",
    "change",
    "cart",
    ("当前渠道不支持", "Not available in this channel"),
    ("这种方式在当前下单渠道不可用。", "This way is not available in the channel you are using."),
    (
        "请在支持的渠道下单，或换一种付款方式。",
        "Order in a channel that supports it, or choose another way to pay.",
    ),
    ("规则限定了下单渠道。", "A rule limits the channels."),
    ("告知支持的渠道。", "Name the channels that support it."),
    (
        "如需支持，确认资方在该渠道可用后修改规则。",
        "Confirm with the funder that the channel works, then change the rule.",
    ),
)
_reason(
    "REGION_UNSUPPORTED",
    "operator",
    "none",
    "cart",
    ("地区不支持", "Not available in this region"),
    ("收货地区暂不支持这种方式。", "This way is not available for the delivery region."),
    ("请换一种付款方式。", "Choose another way to pay."),
    ("规则或资方限定了地区。", "A rule or the funder limits the regions."),
    ("说明地区限制，推荐其他方式。", "Explain the limit; offer another way."),
    ("与资方确认地区范围后修改规则。", "Confirm the regions with the funder, then change the rule."),
)
_reason(
    "LOGIN_REQUIRED",
    "customer",
    "minutes",
    "customer",
    ("需要登录", "Sign-in needed"),
    ("登录后才能确认是否可用。", "Sign in to see whether it is available."),
    ("请登录。", "Sign in."),
    ("客户未登录，无法判断。", "The customer is not signed in, so it cannot be decided."),
    ("请客户登录后重试。", "Ask the customer to sign in and try again."),
    ("无需处理。", "Nothing to do."),
)
_reason(
    "REALNAME_REQUIRED",
    "customer",
    "minutes",
    "customer",
    ("需要实名认证", "Identity check needed"),
    ("完成实名认证后才能使用这种方式。", "This way needs a completed identity check."),
    ("请先完成实名认证。", "Complete the identity check first."),
    (
        "客户认证等级不足（CERTIFY_LEVEL_LIMIT）。",
        "The customer's verification level is too low (CERTIFY_LEVEL_LIMIT).",
    ),
    ("引导客户到账户页认证，不要代收证件。", "Point to the account page; never take documents yourself."),
    ("无需处理；认证服务异常时查看其状态。", "Nothing to do; if checks fail, look at that service."),
)
_reason(
    "UNDERAGE",
    "customer",
    "none",
    "time",
    ("未满 18 岁", "Under 18"),
    (
        ("这种方式仅面向年满 {min} 周岁的客户。", "This way is for customers aged {min} or over."),
        ("这种方式仅面向成年客户。", "This way is for adults."),
    ),
    ("请选择全额支付。", "Choose full payment."),
    (
        "年龄未达到法定要求（民法典 17–19 条）。",
        "The customer's age is below the law's requirement (Civil Code 17–19).",
    ),
    ("推荐全额支付；不要索取出生日期。", "Offer full payment; do not ask for the date of birth."),
    ("法律层规则，不可豁免。", "A rule of law; no override is possible."),
)
_reason(
    "GUARDIAN_CONSENT",
    "customer",
    "change",
    "customer",
    ("需监护人同意", "A guardian's consent is needed"),
    ("购买这件商品需要监护人同意。", "Buying this item needs a guardian's consent."),
    ("请监护人完成同意确认。", "Ask a guardian to confirm their consent."),
    ("未成年人购买，缺少经验证的监护人同意。", "A minor's purchase lacks a verified guardian's consent."),
    ("说明同意流程，不要代为确认。", "Explain the procedure; never confirm for them."),
    ("法律层规则，不可豁免。", "A rule of law; no override is possible."),
)
_reason(
    "STUDENT_RESTRICTED",
    "regulator",
    "none",
    "nobody",
    ("学生身份限制", "Not offered to students"),
    ("按照规定，这种贷款不面向在校学生。", "By regulation this loan is not offered to students."),
    ("请换一种付款方式。", "Choose another way to pay."),
    ("监管要求：不得向大学生发放此类贷款。", "Regulation: no loans of this class to university students."),
    ("说明这是监管规定，推荐其他方式。", "Say that it is a regulation; offer another way."),
    ("法律层规则，不可豁免。", "A rule of law; no override is possible."),
)
_reason(
    "CREDIT_NOT_OPENED",
    "customer",
    "minutes",
    "customer",
    ("尚未开通", "Not opened yet"),
    ("您还没有开通这项服务。", "You have not opened this service yet."),
    (
        "请先开通该方式的额度，或换一种付款方式。",
        "Open a credit line for it first, or choose another way to pay.",
    ),
    ("客户未在资方开通。", "The customer has not opened it with the funder."),
    ("告知开通入口；是否开通由资方决定。", "Name the page; whether it opens is the funder's decision."),
    ("无需处理。", "Nothing to do."),
)
_reason(
    "LINE_INSUFFICIENT",
    "customer",
    "change",
    "customer",
    ("额度不足", "Credit line too low"),
    (
        (
            "可用额度 {current:money}，这笔订单需要 {min:money}。",
            "{current:money} of your line is left; this order needs {min:money}.",
        ),
        ("可用额度不足以支付这笔订单。", "What is left of your line does not cover this order."),
    ),
    (
        "还款后额度会恢复；也可换一种付款方式。",
        "The line is restored as you repay; or choose another way to pay.",
    ),
    ("可用额度低于订单金额。", "The line left is below the order's amount."),
    ("告知当前额度；不要建议拆分订单。", "Give the line left; do not suggest splitting the order."),
    (
        "额度由风险策略决定，个案走额度申请流程。",
        "Lines come from risk policy; single cases go through a line request.",
    ),
)
_reason(
    "LINE_FROZEN",
    "funder",
    "case",
    "funder",
    ("额度暂不可用", "The line cannot be used for now"),
    ("您的额度目前不可使用。", "Your credit line cannot be used at present."),
    ("请联系客服，或换一种付款方式。", "Contact support, or choose another way to pay."),
    (
        "资方冻结了客户额度，原因由资方掌握。",
        "The funder has frozen the line; the cause is known to the funder.",
    ),
    ("请客户联系资方客服核实。", "Ask the customer to check with the funder's support."),
    ("无需处理；大面积出现时联系资方。", "Nothing to do; if widespread, contact the funder."),
)
_reason(
    "OVERDUE_EXISTS",
    "customer",
    "change",
    "customer",
    ("存在逾期账单", "A bill is overdue"),
    (
        "您有逾期未还的账单，还清后可继续使用。",
        "A bill of yours is overdue; once it is paid, this way is open again.",
    ),
    ("请先还清逾期账单。", "Pay the overdue bill first."),
    ("客户名下有逾期分期。", "The customer has an overdue instalment."),
    ("告知逾期账单和还款入口，语气平和。", "Name the bill and where to pay it, kindly."),
    ("无需处理；还款入账后自动恢复。", "Nothing to do; it opens again once the payment is booked."),
)
_reason(
    "ACCOUNT_RISK",
    "funder",
    "case",
    "nobody",
    ("暂时无法使用", "Not available for now"),
    ("这种方式暂时不能用于这笔订单。", "This way cannot be used for this order for now."),
    (
        "请换一种付款方式；如有疑问请联系客服。",
        "Choose another way to pay; ask support if you have a question.",
    ),
    ("风险检查未通过，具体信号不对外说明。", "A risk check did not pass; which one is never disclosed."),
    (
        "只说明暂不可用并记录申诉，不透露信号。",
        "Say only that it is not available, record the appeal, disclose no signal.",
    ),
    ("在风险系统复核；申诉由人工处理。", "Review in the risk system; a person answers appeals."),
)
_reason(
    "DAY_LIMIT",
    "customer",
    "next_day",
    "time",
    ("超过当日限额", "Today's limit is reached"),
    (
        (
            "当日限额 {max:money}，这笔订单会超出。",
            "The limit for a day is {max:money}; this order would pass it.",
        ),
        ("当日限额已用完。", "The limit for today is used up."),
    ),
    ("请明天再试，或换一种付款方式。", "Try again tomorrow, or choose another way to pay."),
    ("客户当日累计超过限额。", "The customer's total for the day passes the limit."),
    ("告知限额按日恢复。", "Say that the limit is restored daily."),
    ("限额来自协议或风险策略。", "The limit comes from an agreement or from risk policy."),
)
_reason(
    "MONTH_LIMIT",
    "customer",
    "next_month",
    "time",
    ("超过当月限额", "This month's limit is reached"),
    (
        (
            "当月限额 {max:money}，这笔订单会超出。",
            "The limit for a month is {max:money}; this order would pass it.",
        ),
        ("当月限额已用完。", "The limit for this month is used up."),
    ),
    ("请下月再试，或换一种付款方式。", "Try again next month, or choose another way to pay."),
    ("客户当月累计超过限额。", "The customer's total for the month passes the limit."),
    ("告知限额按月恢复。", "Say that the limit is restored monthly."),
    ("限额来自协议或风险策略。", "The limit comes from an agreement or from risk policy."),
)
_reason(
    "CARD_UNSUPPORTED",
    "customer",
    "change",
    "customer",
    ("该卡不支持", "This card is not supported"),
    ("所选银行卡不支持这种方式。", "The chosen card cannot be used this way."),
    ("请换一张卡，或换一种付款方式。", "Use another card, or choose another way to pay."),
    ("卡种或发卡银行不符合要求。", "The card's kind or bank does not meet the rule."),
    ("告知支持的银行与卡种。", "Name the banks and kinds of card that work."),
    ("支持范围来自与银行的协议。", "What is supported comes from the agreement with the bank."),
)
_reason(
    "CONSENT_MISSING",
    "customer",
    "now",
    "customer",
    ("未授权", "Consent is missing"),
    (
        "需要您同意将必要信息提供给资方后才能判断。",
        "It can be decided once you agree that the funder receives the necessary data.",
    ),
    (
        "查看授权内容并确认，或换一种付款方式。",
        "Read what is passed on and agree, or choose another way to pay.",
    ),
    (
        "缺少客户向该资方提供信息的单独同意（个保法 23 条）。",
        "The customer's separate consent for this funder is missing (PIPL 23).",
    ),
    ("说明用途与接收方，由客户自行确认。", "Explain purpose and recipient; the customer decides."),
    ("无需处理；授权文本变更须重新取得同意。", "Nothing to do; a changed text needs a new consent."),
)
_reason(
    "PREQUAL_DECLINED",
    "funder",
    "days",
    "funder",
    ("综合评估未通过", "Not approved by the funder"),
    (
        "资方综合评估后，目前不能提供这种方式。",
        "After its assessment the funder cannot offer this way at present.",
    ),
    ("请换一种付款方式；可向资方了解详情。", "Choose another way to pay; the funder can tell you more."),
    (
        "资方预审未通过，原因由资方掌握。",
        "The funder's pre-assessment declined; the cause is known to the funder.",
    ),
    ("不解释资方评估，告知其客服渠道。", "Do not explain the funder's assessment; name its support."),
    ("无需处理；通过率异常时联系资方。", "Nothing to do; if the approval rate is odd, contact the funder."),
)
_reason(
    "MAINTENANCE",
    "funder",
    "window_end",
    "time",
    ("系统维护", "System maintenance"),
    (
        ("系统维护中，预计 {until:instant} 恢复。", "Under maintenance; expected back {until:instant}."),
        ("系统维护中，恢复时间待定。", "Under maintenance; when it is back is not known yet."),
    ),
    (
        "可先换一种付款方式，或登记恢复提醒。",
        "Choose another way for now, or ask to be told when it is back.",
    ),
    ("资方或平台的计划维护。", "Planned maintenance of the funder or of the platform."),
    ("告知维护时段和不受影响的还款。", "Give the window, and say that repayment is not affected."),
    ("维护延长时更新时段和公告。", "If it takes longer, update the window and its notice."),
)
_reason(
    "FUNDER_OUTAGE",
    "funder",
    "health_probe",
    "funder",
    ("资方服务异常", "The funder's service is disturbed"),
    (
        "资方服务出现异常，正在恢复，时间待定。",
        "The funder's service is disturbed and being restored; when is not known yet.",
    ),
    (
        "可先换一种付款方式，或登记恢复提醒。",
        "Choose another way for now, or ask to be told when it is back.",
    ),
    ("健康检查判定资方不可用。", "The health check finds the funder unavailable."),
    (
        "说明与客户个人无关，不给出未确认的时间。",
        "Say that it is not about the customer; give no unconfirmed time.",
    ),
    ("联系资方值班，发布公告。", "Call the funder's duty desk and publish a notice."),
)
_reason(
    "TIMEOUT",
    "funder",
    "minutes",
    "funder",
    ("资方响应超时", "The funder did not answer in time"),
    (
        "资方没有及时答复，暂时无法判断。",
        "The funder did not answer in time, so it cannot be decided for now.",
    ),
    ("请稍后再试，或换一种付款方式。", "Try again a little later, or choose another way to pay."),
    ("调用资方超时，结果未知。", "A call to the funder timed out; its outcome is unknown."),
    ("请客户稍后重试，不要重复提交付款。", "Ask the customer to try later and not to submit payment twice."),
    ("查看资方接口耗时，必要时切到降级。", "Look at the funder's latency; mark it degraded if need be."),
)
_reason(
    "QUOTA_EXHAUSTED",
    "funder",
    "next_day",
    "funder",
    ("资方当日额度用尽", "The funder's quota for today is used up"),
    (
        (
            "资方今天的放款名额已用完，{until:instant} 恢复。",
            "The funder's quota for today is used up; it is back on {until:instant}.",
        ),
        ("资方今天的放款名额已用完。", "The funder's quota for today is used up."),
    ),
    ("请明天再试，或换一种付款方式。", "Try again tomorrow, or choose another way to pay."),
    ("资方当日总额度用尽。", "The funder's total for the day is used up."),
    ("说明与客户个人无关，可登记提醒。", "Say that it is not about the customer; offer the reminder."),
    ("与资方协商追加当日额度。", "Ask the funder for more quota."),
)
_reason(
    "AGREEMENT_ADJUST",
    "operator",
    "announced",
    "shop",
    ("合作调整中", "The partnership is being changed"),
    (
        (
            "与资方的合作正在调整，{until:instant} 起可用。",
            "The partnership with the funder is being changed; available from {until:instant}.",
        ),
        (
            "与资方的合作正在调整，恢复时间以公告为准。",
            "The partnership with the funder is being changed; the notice will say when it is back.",
        ),
    ),
    ("请换一种付款方式，并留意公告。", "Choose another way to pay, and watch the notice."),
    ("协议条款变更期间暂停。", "Paused while the agreement's terms change."),
    ("引导查看公告；已有分期不受影响。", "Point to the notice; running contracts are not affected."),
    ("新协议生效后更新条款与公告。", "Update terms and notice once the new agreement is in force."),
)
_reason(
    "AGREEMENT_EXPIRED",
    "operator",
    "none",
    "shop",
    ("合作已到期", "The partnership has ended"),
    (
        "与资方的合作已到期，这种方式不再提供新订单。",
        "The partnership with the funder has ended; this way takes no new orders.",
    ),
    (
        "请换一种付款方式；已有分期照常还款。",
        "Choose another way to pay; running instalments go on as agreed.",
    ),
    ("资方协议已过有效期。", "The funder's agreement is past its validity."),
    (
        "说明已有合同不受影响，推荐其他方式。",
        "Say that running contracts are not affected; offer another way.",
    ),
    ("续签后更新协议有效期；不续签则下线。", "Renew and update the dates, or take the way down."),
)
_reason(
    "FUNDER_NOT_CONNECTED",
    "operator",
    "none",
    "shop",
    ("尚未接通", "Not connected yet"),
    ("本店尚未与该资方接通。", "This shop has no connection to the funder yet."),
    ("请换一种付款方式。", "Choose another way to pay."),
    (
        "没有配置通往该资方的接口，无法转交客户。",
        "No adapter to this funder is set up, so no customer can be handed over.",
    ),
    ("推荐其他方式。", "Offer another way."),
    ("在 FENQI_FUNDERS 中配置该资方后恢复。", "Set the funder up in FENQI_FUNDERS to offer it."),
)
_reason(
    "FUNDER_NOT_LISTED",
    "operator",
    "none",
    "shop",
    ("不在合作名单内", "Not on the public partner list"),
    ("该资方目前不在公示的合作名单内。", "The funder is not on the published list of partners at present."),
    ("请换一种付款方式。", "Choose another way to pay."),
    (
        "名单制管理：平台或资方不在公示名单。",
        "Partner lists: platform or funder is not on the published one.",
    ),
    ("推荐其他方式。", "Offer another way."),
    ("与资方确认名单公示后恢复。", "Restore it once the funder's list names us."),
)
_reason(
    "COST_OVER_CAP",
    "operator",
    "announced",
    "shop",
    ("综合成本超过上限", "The cost is above the ceiling"),
    (
        (
            "这笔订单的年化成本 {current:rate} 超过上限 {max:rate}，因此不提供。",
            "At {current:rate} a year this order's cost is above the ceiling of {max:rate}, so it is not offered.",
        ),
        (
            "这笔订单的年化成本超过上限，因此不提供。",
            "This order's annual cost is above the ceiling, so it is not offered.",
        ),
    ),
    ("请选择其他期数或付款方式。", "Choose another term or another way to pay."),
    (
        "综合融资成本超过协议或法规上限。",
        "The total cost of finance passes the agreement's or the law's ceiling.",
    ),
    ("说明这是为保护客户设置的上限。", "Say that the ceiling protects the customer."),
    ("重新定价，或下线该期数。", "Reprice, or take the term down."),
)
_reason(
    "DISCLOSURE_MISSING",
    "operator",
    "announced",
    "shop",
    ("费用明示不完整", "The cost sheet is incomplete"),
    (
        "这种方式的费用明示信息不完整，补齐前不提供。",
        "This way's table of costs is incomplete; it is not offered until that is put right.",
    ),
    ("请换一种付款方式。", "Choose another way to pay."),
    ("综合融资成本明示表缺少必填项。", "The cost disclosure lacks a required field."),
    ("推荐其他方式，可登记提醒。", "Offer another way and the reminder."),
    ("向资方补齐明示表字段后恢复。", "Get the missing fields from the funder, then restore it."),
)
_reason(
    "RULE_CHANGE",
    "regulator",
    "announced",
    "time",
    ("监管规则变化", "The rules have changed"),
    (
        (
            "因监管规则变化暂停，预计 {until:instant} 恢复。",
            "Paused because the rules have changed; expected back {until:instant}.",
        ),
        ("因监管规则变化，这种方式暂停提供。", "Paused because the rules have changed."),
    ),
    ("请换一种付款方式，并留意公告。", "Choose another way to pay, and watch the notice."),
    ("新规生效，现有方式需要调整。", "A new rule is in force and this way has to be adapted."),
    ("引导查看公告；已有分期不受影响。", "Point to the notice; running contracts are not affected."),
    ("完成合规调整并经法务确认后恢复。", "Restore it after the change is made and confirmed by counsel."),
)
_reason(
    "STRATEGY_PAUSE",
    "operator",
    "announced",
    "shop",
    ("暂停提供", "Paused by the shop"),
    (
        (
            "因经营调整暂停提供，预计 {until:instant} 恢复。",
            "Paused for business reasons; expected back {until:instant}.",
        ),
        (
            "因经营调整暂停提供，恢复时间以公告为准。",
            "Paused for business reasons; the notice will say when it is back.",
        ),
    ),
    ("请换一种付款方式，或登记恢复提醒。", "Choose another way to pay, or ask to be told when it is back."),
    ("经营策略暂停。", "Paused as a business decision."),
    ("引导查看公告；已有分期不受影响。", "Point to the notice; running contracts are not affected."),
    ("恢复时更新规则与公告。", "To restore it, update the rule and its notice."),
)
_reason(
    "CANARY_OFF",
    "operator",
    "announced",
    "shop",
    ("尚未向您开放", "Not open to you yet"),
    (
        "这种方式正在逐步开放，目前还没有轮到您。",
        "This way is being opened step by step and has not reached you yet.",
    ),
    ("请换一种付款方式，或登记开放提醒。", "Choose another way to pay, or ask to be told when it opens."),
    ("灰度未覆盖该客户。", "The gradual rollout does not cover this customer."),
    ("说明开放与个人信用无关。", "Say that the rollout has nothing to do with anyone's credit."),
    ("扩大灰度比例即可开放。", "Widen the rollout to open it."),
)
_reason(
    "LEASE_UNLICENSED",
    "operator",
    "none",
    "shop",
    ("租赁形式需许可", "This form of lease needs a licence"),
    (
        "这种租赁形式需要相应许可，目前不提供。",
        "This form of lease needs a licence and is not offered at present.",
    ),
    ("请换一种付款方式。", "Choose another way to pay."),
    (
        "合同结构可能构成融资租赁，缺少许可。",
        "The contract may amount to a finance lease, for which a licence is missing.",
    ),
    ("推荐购买或其他方式。", "Offer buying, or another way."),
    ("调整租赁结构或取得许可。", "Change the lease's structure, or obtain the licence."),
)
_reason(
    "DATA_STALE",
    "operator",
    "minutes",
    "shop",
    ("数据更新中", "Data is being updated"),
    ("判断所需的数据正在更新。", "The data needed to decide is being updated."),
    ("请几分钟后再试，或换一种付款方式。", "Try again in a few minutes, or choose another way to pay."),
    ("所需事实超过时效，按未知处理。", "A fact is older than allowed and counts as unknown."),
    ("请客户几分钟后重试。", "Ask the customer to try again in a few minutes."),
    ("检查该事实的数据源。", "Check the fact's source."),
)

CATALOGUE: Final[dict[str, Entry]] = {entry.code: entry for entry in _ENTRIES}
"""Every reason code of the product."""

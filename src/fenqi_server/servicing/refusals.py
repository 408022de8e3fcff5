"""What stands in the way of an act, in the words of people: the state, the rule, and what can be done instead.

The core refuses with a few English phrases and bare amounts (`fenqi.contracts.acts`). Here each phrase has its whole sentence in
both languages, amounts and dates written as people read them. A phrase that is not known is said in general words in Chinese and
as it stands in English: a test asks the core for every refusal it has.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from fenqi.calendars import format_date
from fenqi.contracts.events import EventRefused
from fenqi.money import format_money
from fenqi.texts import Text
from fenqi_server.servicing.service import Refusal

__all__ = ["TITLES", "phrase", "refusal_of"]

TITLES: Final[dict[str, Text]] = {
    "accelerated": Text("不能要求一次性还清", "Everything cannot be called due"),
    "bought_out": Text("不能买断", "The goods cannot be bought"),
    "captured": Text("不能扣款", "The pledge cannot be captured"),
    "deposit_applied": Text("不能用押金抵租金", "The deposit cannot pay rents"),
    "deposit_held": Text("不能登记押金冻结", "The deposit cannot be held"),
    "deposit_released": Text("不能退还押金", "The deposit cannot be released"),
    "handed_over": Text("不能交付商品", "The goods cannot be handed over"),
    "inspected": Text("不能登记验收", "The inspection cannot be recorded"),
    "lease_returned": Text("不能办理归还", "The goods cannot be taken back"),
    "pledge_released": Text("不能解除众筹授权", "The pledge cannot be released"),
    "pledged": Text("不能登记众筹授权", "The pledge cannot be authorised"),
    "renewed": Text("不能续租", "It cannot be renewed"),
    "allocated_by_instruction": Text("不能这样分配这笔付款", "The payment cannot be allocated so"),
    "cancelled": Text("不能取消", "It cannot be cancelled"),
    "charged": Text("不能收取", "It cannot be charged"),
    "due_day_changed": Text("不能更改还款日", "The due day cannot be changed"),
    "due_moved": Text("不能推迟到期日", "The due date cannot be moved"),
    "goods_returned": Text("不能办理退货", "The goods cannot be returned"),
    "goodwill": Text("不能减免", "Goodwill cannot be granted"),
    "paused": Text("不能暂停还款", "It cannot be paused"),
    "payoff_quoted": Text("不能提前结清", "It cannot be paid off"),
    "paid_back": Text("不能退还付款", "The payment cannot be given back"),
    "payment_reversed": Text("不能撤销这笔付款", "The payment cannot be reversed"),
    "re_aged": Text("不能重新分期", "It cannot be spread over new rows"),
    "re_amortised": Text("不能把逾期部分摊入后续各期", "What is late cannot be spread over later rows"),
    "recovered": Text("不能记为回收款", "It cannot be booked as recovered"),
    "refund_paid": Text("不能退款", "It cannot be refunded"),
    "shipped": Text("不能标记发货", "It cannot be marked as shipped"),
    "unapplied_refunded": Text("不能退还多付的钱", "The money cannot be given back"),
    "waived": Text("不能免除", "It cannot be waived"),
    "written_off": Text("不能核销", "It cannot be written off"),
}

# Groups: m… is an amount in minor units, d… a day, anything else is put as it stands.
_PHRASES: Final[tuple[tuple[str, str, str], ...]] = (
    # States.
    ("not confirmed", "合同尚未确认", "the contract is not confirmed"),
    ("closed", "合同已结清", "the contract is closed"),
    (r"cancelled on (?P<d1>\S+)", "合同已于{d1}取消", "the contract was cancelled on {d1}"),
    (r"written off on (?P<d1>\S+)", "合同已于{d1}核销", "the contract was written off on {d1}"),
    (r"shipped on (?P<d1>\S+)", "商品已于{d1}发出", "the goods were shipped on {d1}"),
    ("goods were returned", "已有商品退回", "goods were returned already"),
    (
        r"goods of (?P<m1>-?\d+) \((?P<m2>-?\d+) of them of other sellers\)",
        "退回的商品价值{m1}（其中其他卖家的{m2}）",
        "goods of {m1} go back ({m2} of them of other sellers)",
    ),
    (r"(?P<m1>-?\d+) to be refunded", "应退{m1}", "{m1} is to be refunded"),
    (r"(?P<m1>-?\d+) unapplied", "多付的钱为{m1}", "{m1} is held that nothing is owed for"),
    (r"(?P<m1>-?\d+) paid that does not go back otherwise", "已付且不会另行退还的为{m1}", "{m1} was paid that does not go back otherwise"),
    (r"(?P<m1>-?\d+) paid", "已付{m1}", "{m1} was paid"),
    (r"a payment of (?P<m1>-?\d+)", "这笔付款为{m1}", "the payment is of {m1}"),
    (r"(?P<p>fee|penalty|interest|rent) of (?P<m1>-?\d+) owed", "尚欠的该项金额为{m1}", "of it {m1} is owed"),
    (r"penalties of (?P<m1>-?\d+) so far", "已收违约金{m1}", "penalties come to {m1} so far"),
    (r"rows of every \w+", "各期不是按月到期", "the rows are not due by the month"),
    (r"row (?P<n1>\d+) spread over new rows", "第{n1}期已并入新的分期", "row {n1} was spread over new rows"),
    (r"row (?P<n1>\d+) due on (?P<d1>\S+)", "第{n1}期于{d1}到期", "row {n1} is due on {d1}"),
    ("every row has fallen due", "各期均已到期", "every row has fallen due"),
    ("nothing past due", "没有逾期款项", "nothing is past due"),
    ("no row to come", "没有未到期的期次", "no row is still to come"),
    ("not written off", "合同没有核销", "the contract was not written off"),
    (r"due at once since (?P<d1>\S+)", "自{d1}起已要求一次性还清", "everything is due since {d1}"),
    (
        r"(?P<m1>-?\d+) past due of a price of (?P<m2>-?\d+)",
        "总价{m2}中逾期{m1}",
        "{m1} is past due of a price of {m2}",
    ),
    (r"demanded on (?P<d1>\S+)", "已于{d1}催告", "it was demanded on {d1}"),
    ("interest runs daily", "利息按日计算", "interest runs daily"),
    ("no lease", "这不是租赁合同", "it is no lease"),
    ("a lease", "这是租赁合同", "it is a lease"),
    ("no pledge", "这不是众筹合同", "it is no pledge"),
    (r"returned on (?P<d1>\S+)", "商品已于{d1}归还", "the goods came back on {d1}"),
    (r"bought out on (?P<d1>\S+)", "商品已于{d1}买断", "the goods were bought on {d1}"),
    (r"lost on (?P<d1>\S+)", "商品已于{d1}按未归还处理", "the goods were given up on {d1}"),
    ("not handed over", "商品尚未交付", "the goods were not handed over"),
    (r"handed over on (?P<d1>\S+)", "商品已于{d1}交付", "the goods were handed over on {d1}"),
    (
        r"(?P<m1>-?\d+) of the deposit of (?P<m2>-?\d+) held",
        "押金{m2}中已收{m1}",
        "{m1} of the deposit of {m2} is held",
    ),
    ("no deposit", "合同没有押金", "there is no deposit"),
    ("a deposit cash", "押金以现金支付", "the deposit is paid in cash"),
    ("a deposit waived", "押金已免除", "the deposit was waived"),
    (r"(?P<m1>-?\d+) frozen", "已冻结{m1}", "{m1} is frozen already"),
    ("a deposit for the goods", "押金只担保商品", "the deposit is for the goods"),
    (
        r"(?P<m1>-?\d+) due of rents that the deposit could pay",
        "押金可抵的到期租金为{m1}",
        "of rents that are due the deposit could pay {m1}",
    ),
    ("a lease that runs", "租期尚未结束", "the lease has not ended"),
    ("goods that were not looked at", "商品尚未验收", "the goods were not inspected"),
    ("no deposit held", "没有在押的押金", "no deposit is held"),
    ("no consent", "没有客户的同意", "the customer did not agree"),
    (
        r"consent (?P<s1>.+), by which it was renewed before",
        "此前已凭“{s1}”续租",
        "it was renewed by {s1} before",
    ),
    ("no act of the customer", "没有客户本人的操作", "there is no act of the customer"),
    ("no renewal agreed", "合同没有约定续租", "no renewal was agreed"),
    (r"a term that ended on (?P<d1>\S+)", "租期已于{d1}届满", "the term ended on {d1}"),
    (r"(?P<d1>\S+), before the end of the term", "{d1}在租期届满之前", "{d1} is before the end of the term"),
    ("an end that was not agreed", "合同没有约定这样结束", "it was not agreed to end so"),
    (r"inspected on (?P<d1>\S+)", "商品已于{d1}验收", "the goods were inspected on {d1}"),
    ("goods that are not back", "商品尚未归还", "the goods are not back"),
    ("cancelled", "合同已取消", "the contract was cancelled"),
    ("bought out", "商品已买断", "the goods were bought"),
    ("a deduction without reason or evidence", "扣减没有理由或凭证", "the deduction has no reason or no evidence"),
    (r"(?P<m1>-?\d+) of the deposit", "押金为{m1}", "the deposit comes to {m1}"),
    (r"released on (?P<d1>\S+)", "授权已于{d1}解除", "the pledge was released on {d1}"),
    (r"captured on (?P<d1>\S+)", "已于{d1}扣款", "the pledge was captured on {d1}"),
    ("a pledge that is agreed", "众筹尚未授权", "the pledge is not authorised yet"),
    ("a pledge that is pledged", "众筹尚未扣款", "the pledge is not captured yet"),
    ("a pledge that is released", "众筹授权已解除", "the pledge was released"),
    ("nothing authorised", "尚无授权", "nothing is authorised"),
    (r"authorised until (?P<d1>\S+)", "授权有效至{d1}", "it is authorised until {d1}"),
    ("authorised", "已取得授权", "it is authorised"),
    (r"a campaign until (?P<d1>\S+)", "众筹至{d1}结束", "the campaign runs until {d1}"),
    # Rules.
    ("a contract of a lease", "须是租赁合同", "it has to be a lease"),
    ("a contract of a pledge", "须是众筹合同", "it has to be a pledge"),
    ("a contract that pays a price back", "须是分期付款的合同", "it has to be a contract that pays a price back"),
    ("a lease that has not ended", "租赁须尚未结束", "the lease must not have ended"),
    ("a lease whose goods did not go out", "商品须尚未交付", "the goods must not have gone out"),
    ("goods that were handed over", "商品须已交付", "the goods have to be handed over"),
    ("goods that are still here", "商品须尚未交付", "the goods have to be here still"),
    (
        "a deposit that is held before the goods go out",
        "交付前须收到押金",
        "the deposit has to be held before the goods go out",
    ),
    ("a deposit that is frozen", "押金须以冻结方式提供", "the deposit has to be one that is frozen"),
    ("a deposit that is not held yet", "押金须尚未冻结", "the deposit must not be held already"),
    (
        r"a deposit that was agreed to pay rents too \(covers_rent\)",
        "须约定押金可抵租金",
        "it has to be agreed that the deposit pays rents too",
    ),
    ("one that has ended", "租赁须已结束", "the lease has to have ended"),
    ("a deposit whose goods were inspected", "商品须已验收", "the goods have to be inspected"),
    ("a deposit that is held", "须有在押的押金", "a deposit has to be held"),
    (
        r"a renewal that the customer agreed to, this time \((?P<s1>.*)\)",
        "每次续租须经客户同意（{s1}）",
        "the customer has to agree to each renewal ({s1})",
    ),
    (
        "a lease becomes a sale only by the customer's own act, never by being late",
        "租赁只能由客户本人买断，不因逾期转为购买",
        "a lease becomes a sale only by the customer's own act, never by being late",
    ),
    ("a lease that can be renewed", "合同须可续租", "the lease has to be one that can be renewed"),
    ("consent by the last day of the term", "须在租期最后一日前同意", "consent has to come by the last day of the term"),
    (
        r"(?P<d1>\S+) or later, when the minimum term is over",
        "{d1}最短租期满后才可以",
        "it is possible from {d1} on, when the minimum term is over",
    ),
    (
        r"(?P<d1>\S+) or later, when the goods can be bought",
        "{d1}起才可买断",
        "the goods can be bought from {d1} on",
    ),
    (
        r"a day from (?P<d1>\S+) up to (?P<d2>\S+), when the term ends",
        "须在{d1}至{d2}的租期内",
        "it has to be a day from {d1} up to {d2}, when the term ends",
    ),
    ("return, since the goods cannot be bought", "商品不能买断，只能归还", "the goods cannot be bought, only given back"),
    ("a lease with an early buyout, and its day", "须约定可提前买断", "an early buyout has to be agreed"),
    ("a lease with a renewal, to its end", "续租须租满", "a renewal runs to its end"),
    ("0 to 600", "续租期数过多", "there are too many periods"),
    ("goods that came back, inspected once", "商品须已归还，且只验收一次", "goods are inspected once, when they are back"),
    (
        r"a reason, and the reference of what shows it \((?P<s1>.*)\)",
        "扣减须有理由和凭证（{s1}）",
        "a deduction needs a reason, and the reference of what shows it ({s1})",
    ),
    (
        r"a deduction of no more than that, not (?P<m1>-?\d+)",
        "扣减不能超过这个金额，{m1}过多",
        "no more than that is deducted: {m1} is too much",
    ),
    (
        r"(?P<m1>-?\d+), what the agreed formula comes to",
        "按约定公式为{m1}",
        "by the agreed formula it is {m1}",
    ),
    (r"(?P<m1>-?\d+), the agreed deposit", "约定的押金为{m1}", "the agreed deposit is {m1}"),
    (r"(?P<m1>-?\d+), the whole price", "全价为{m1}", "the whole price is {m1}"),
    (r"0 to (?P<m1>-?\d+), what they cost", "须为零至成本{m1}", "it has to be 0 to {m1}, what they cost"),
    ("the reference of what was frozen", "须有冻结的凭证号", "what was frozen has to have a reference"),
    ("the authorisation's reference", "须有授权的凭证号", "the authorisation has to have a reference"),
    ("the batch that what is taken of the deposit comes with", "须有结算批次", "it has to name the batch that it comes with"),
    ("what was found", "须写明验收结果", "what was found has to be said"),
    ("0 or more", "不能为负", "it cannot be less than 0"),
    ("1 or more", "须至少为一", "it has to be 1 or more"),
    (r"row (?P<n1>\d+) to be reached once", "第{n1}期只到期一次", "row {n1} falls due once"),
    (r"(?P<d1>\d{4}-\d\d-\d\d) or later", "须在{d1}或之后", "it has to be {d1} or later"),
    (r"(?P<d1>\d{4}-\d\d-\d\d) or before", "须在{d1}或之前", "it has to be {d1} or before"),
    (
        "a pledge that was not released: its authorisation is void",
        "须未解除授权：授权已失效",
        "it must not have been released: its authorisation is void",
    ),
    ("a pledge that was not captured", "须尚未扣款", "it must not have been captured"),
    ("a pledge that was captured", "须已扣款", "it has to have been captured"),
    (
        "an authorisation that has lapsed before another follows it",
        "原授权失效后才能重新授权",
        "another authorisation follows only one that has lapsed",
    ),
    ("a price that is authorised", "价款须已授权", "the price has to be authorised"),
    (r"an authorisation that stands on (?P<d1>\S+)", "授权须在{d1}有效", "the authorisation has to stand on {d1}"),
    (
        r"a day from (?P<d1>\S+) on, as was disclosed",
        "按明示须在{d1}或之后",
        "it has to be {d1} or later, as was disclosed",
    ),
    (
        r"(?P<p>rent|interest), fee or penalty, of which such a contract consists",
        "此类合同没有这一项",
        "such a contract has no part of that name",
    ),
    (r"a number that is not booked yet", "编号须未使用过", "its number must not be used already"),
    ("a contract that is confirmed", "合同须已确认", "the contract has to be confirmed"),
    (
        "a contract that was confirmed and not cancelled",
        "合同须已确认且未取消",
        "the contract has to be confirmed and not cancelled",
    ),
    ("a contract that was not cancelled", "合同须未取消", "the contract must not be cancelled"),
    ("a contract that was not written off", "合同须未核销", "the contract must not be written off"),
    ("a contract that was written off", "合同须已核销", "the contract has to be written off"),
    ("a contract of which nothing was shipped", "商品须尚未发出", "nothing may have been shipped"),
    ("a contract with nothing returned", "须没有退货", "nothing may have been returned"),
    ("a contract with something owed", "合同须有欠款", "something has to be owed"),
    ("a contract that is not", "合同须尚未要求一次性还清", "everything must not be due already"),
    ("a contract whose rows are fixed", "各期金额须固定", "its rows have to be fixed"),
    (
        r"no more than was bought and not returned yet: (?P<m1>-?\d+) \((?P<m2>-?\d+) of other sellers\)",
        "不超过已购且未退的金额{m1}（其中其他卖家的{m2}）",
        "no more than was bought and not returned yet: {m1} ({m2} of other sellers)",
    ),
    (
        r"no more than that, not (?P<m1>-?\d+)",
        "不能超过这个金额，{m1}过多",
        "no more than that: {m1} is too much",
    ),
    (
        r"parts that come to no more than that, not (?P<m1>-?\d+)",
        "各部分合计不能超过这个金额，{m1}过多",
        "the parts come to no more than that: {m1} is too much",
    ),
    (
        r"no more than (?P<m1>-?\d+) in all by then, as the law has it: (?P<s1>.*)",
        "依法到该日合计不超过{m1}（{s1}）",
        "no more than {m1} in all by then, as the law has it ({s1})",
    ),
    ("rows that are due by the month", "各期须按月到期", "the rows have to be due by the month"),
    ("a row that still runs", "须从仍有效的期次开始", "it begins with a row that still runs"),
    (r"a row that is due after (?P<d1>\S+)", "须从{d1}之后到期的期次开始", "it begins with a row due after {d1}"),
    ("rows past due and rows to come", "须既有逾期款项又有未到期的期次", "it takes rows past due and rows to come"),
    (
        r"arrears of 1/(?P<n1>\d+) of the price or more \((?P<s1>.*)\)",
        "逾期须达到总价的1/{n1}（{s1}）",
        "arrears have to come to 1/{n1} of the price ({s1})",
    ),
    (
        r"a demand that was not met within (?P<n1>\d+) days: after (?P<d1>\S+) \((?P<s1>.*)\)",
        "催告后{n1}天内未还、即{d1}之后才可以（{s1}）",
        "a demand has to stay unmet for {n1} days, until after {d1} ({s1})",
    ),
    ("a cost that the disclosure named as one that may arise", "须是费用明示表列出的或有费用", "it has to be a cost that the table of costs names as one that may arise"),
    ("more than 0", "金额须大于零", "it has to be more than 0"),
    (r"(?P<n1>\d+) to (?P<n2>\d+)(?: \(31 is a month's last day\))?", "须为{n1}至{n2}", "it has to be {n1} to {n2}"),
    (
        r"(?P<d1>\d{4}-\d\d-\d\d) to (?P<d2>\d{4}-\d\d-\d\d)",
        "须在{d1}至{d2}之间",
        "it has to be between {d1} and {d2}",
    ),
    (r"a day after (?P<d1>\S+)", "须晚于{d1}", "it has to be after {d1}"),
    ("a payment received on or before that day", "须是该日或之前收到的付款", "it has to be a payment received by that day"),
    ("a payment received before that stands", "须是已收到且未撤销的付款", "it has to be a payment that was received and stands"),
    ("a payment that was not reversed before", "付款须未撤销", "the payment must not be reversed already"),
    ("a (?:payment|charge|return|quote|attempt) that is not (?:booked|known) yet", "编号须未使用过", "its number must not be used already"),
    (r"a row of the contract.*", "须是合同的一期", "it has to be a row of the contract"),
    (r"a date after (?P<d1>\S+), when it is due", "须晚于原到期日{d1}", "it has to be after {d1}, when it is due"),
    (
        r"at most (?P<d1>\S+), when the next row is due",
        "不能晚于下一期的到期日{d1}",
        "it cannot be after {d1}, when the next row is due",
    ),
    ("a contract that is not confirmed yet", "合同须尚未确认", "the contract must not be confirmed yet"),
    # Ways out.
    ("end it as was agreed, or at the end of its term", "按约定结束，或到租期届满时", "end it as was agreed, or at the end of its term"),
    ("hand them over first", "先交付商品", "hand them over first"),
    ("hand the goods over", "交付商品", "hand the goods over"),
    ("have it frozen first", "先冻结押金", "have it frozen first"),
    ("let it be paid first", "先收押金", "let it be paid first"),
    ("ask for it, and name what was said", "征求客户同意并记下凭证", "ask for it, and name what was said"),
    ("ask the customer, and name what was said", "由客户本人决定并记下凭证", "ask the customer, and name what was said"),
    ("take the goods back, sell them, or make a contract of its own", "收回商品、由客户买断，或另立合同", "take the goods back, let the customer buy them, or make a contract of its own"),
    ("one in cash is held by being paid, a waived one not at all", "现金押金付款即收，免押不收", "one in cash is held by being paid, a waived one not at all"),
    ("collect the rent; the deposit stays where it is", "催收租金，押金不动", "collect the rent; the deposit stays where it is"),
    ("apply that much", "按这个金额抵扣", "apply that much"),
    ("take the goods back first", "先收回商品", "take the goods back first"),
    ("inspect them first", "先验收", "inspect them first"),
    ("name both, or deduct nothing", "写明两项，或不扣减", "name both, or deduct nothing"),
    ("deduct less", "减少扣减", "deduct less"),
    ("take the goods of the lease back", "办理租赁归还", "take the goods of the lease back"),
    ("reverse the payment, or release the deposit", "撤销付款，或退还押金", "reverse the payment, or release the deposit"),
    ("buy the goods out, or give them back", "买断或归还商品", "buy the goods out, or give them back"),
    ("put a due date off", "推迟到期日", "put a due date off"),
    ("put a due date off, or waive a rent", "推迟到期日，或免一期租金", "put a due date off, or waive a rent"),
    (
        "collect what is due: rents of a time that has not come are not called due",
        "催收到期租金；未到期的租金不能要求提前支付",
        "collect what is due: rents of a time that has not come are not called due",
    ),
    ("release the pledge", "解除众筹授权", "release the pledge"),
    ("release the pledge, and make another", "解除后重新众筹", "release the pledge, and make another"),
    ("capture it first", "先扣款", "capture it first"),
    ("capture it, or release the pledge", "扣款，或解除众筹授权", "capture it, or release the pledge"),
    ("nothing is owed before it is captured", "扣款前不欠款", "nothing is owed before it is captured"),
    ("make a contract of its own, and have it authorised", "另立合同并重新授权", "make a contract of its own, and have it authorised"),
    ("take the goods back, or reverse the payment", "办理退货，或撤销付款", "take the goods back, or reverse the payment"),
    ("have it authorised first", "先取得授权", "have it authorised first"),
    ("have it authorised anew", "重新取得授权", "have it authorised anew"),
    ("capture it then", "到时再扣款", "capture it then"),
    ("confirm it first", "先确认合同", "confirm it first"),
    ("make a contract of its own", "另立合同", "make a contract of its own"),
    ("make a contract of its own for what is bought besides", "为加购另立合同", "make a contract of its own for what is bought besides"),
    ("book what still comes as recovered", "后续款项记为回收款", "book what still comes as recovered"),
    ("book it as a payment", "按付款记账", "book it as a payment"),
    ("take the goods back instead", "改为办理退货", "take the goods back instead"),
    ("take the rest back too", "把其余商品也退回", "take the rest back too"),
    ("check the contract", "核对合同", "check the contract"),
    ("return what was bought, at the price it was bought for", "按购买时的价格退回所购商品", "return what was bought, at the price it was bought for"),
    ("refund what is due", "按应退金额退款", "refund what is due"),
    ("refund what nothing is owed for", "只退还多付的部分", "refund what nothing is owed for"),
    ("reverse the payment, or refund what nothing is owed for", "撤销付款，或退还多付的部分", "reverse the payment, or refund what nothing is owed for"),
    ("pay that back", "按已付金额退还", "pay that back"),
    ("say what so much of it is for", "按这个金额说明用途", "say what so much of it is for"),
    ("waive what is owed", "按尚欠金额免除", "waive what is owed"),
    (r"charge (?P<m1>-?\d+)", "收取{m1}", "charge {m1}"),
    ("pause instead", "改为暂停还款", "pause instead"),
    ("begin with one of the new rows", "从新的分期开始", "begin with one of the new rows"),
    ("begin with a later row", "从后面的期次开始", "begin with a later row"),
    ("spread what is owed over new rows", "把欠款重新分期", "spread what is owed over new rows"),
    ("spread everything over new rows", "把全部欠款重新分期", "spread everything over new rows"),
    ("nothing is to be done", "无需操作", "nothing is to be done"),
    ("nothing is to be paid off", "没有需要结清的款项", "nothing is to be paid off"),
    ("collect", "催收", "collect"),
    ("collect what is past due", "催收逾期款项", "collect what is past due"),
    ("wait for the time that was given", "等待宽限的时间过去", "wait for the time that was given"),
)  # fmt: skip
_COMPILED: Final = tuple((re.compile(pattern), zh, en) for pattern, zh, en in _PHRASES)


def phrase(said: str, currency: str) -> Text | None:
    """A phrase of the core in both languages; None where it is not known.

    >>> phrase("130000 to be refunded", "CNY")
    Text(zh_cn='应退¥1,300.00', en='¥1,300.00 is to be refunded')
    """
    for pattern, zh, en in _COMPILED:
        found = pattern.fullmatch(said)
        if found is not None:
            return Text(
                zh.format(**_filled(found.groupdict(), currency, "zh-CN")),
                en.format(**_filled(found.groupdict(), currency, "en")),
            )
    return None


def _filled(groups: dict[str, str], currency: str, locale: str) -> dict[str, str]:
    return {name: _shown(name, value, currency, locale) for name, value in groups.items()}


def _shown(name: str, value: str, currency: str, locale: str) -> str:
    if name.startswith("m"):
        return format_money(int(value), currency)
    if name.startswith("d"):
        try:
            return format_date(date.fromisoformat(value), locale)
        except ValueError:
            return value
    return value


def refusal_of(problem: EventRefused, act: str, currency: str) -> Refusal:
    """The core's refusal of an event (`act`, its kind) as an answer to whoever asked. Its `code` is `cannot_follow`."""
    said = problem.problem
    known = TITLES.get(act) or Text("无法办理", "It cannot be done")
    of_state = said.place in TITLES
    state = phrase(said.value, currency) if of_state else None
    rule = phrase(said.expected, currency)
    way_out = phrase(said.way_out, currency) if said.way_out else None
    state = state or (
        Text("合同当前的状态不允许", said.value)
        if of_state
        else Text(f"所给的是{said.value}", f"{said.value} was given")
    )
    rule = rule or Text("不符合合同约定", said.expected)
    end = way_out or (Text("请核对合同", said.way_out) if said.way_out else None)
    detail = Text(
        f"{state.zh_cn}；{rule.zh_cn}。" + (f"可以：{end.zh_cn}。" if end else ""),
        f"{_capital(state.en)}; {rule.en}." + (f" What can be done: {end.en}." if end else ""),
    )
    return Refusal("cannot_follow", known, detail, currency=currency, state=state, rule=rule, way_out=end)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

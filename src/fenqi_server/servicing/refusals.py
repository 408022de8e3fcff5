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
    (r"(?P<m1>-?\d+) paid", "已付{m1}", "{m1} was paid"),
    (r"a payment of (?P<m1>-?\d+)", "这笔付款为{m1}", "the payment is of {m1}"),
    (r"(?P<p>fee|penalty|interest) of (?P<m1>-?\d+) owed", "尚欠的该项金额为{m1}", "of it {m1} is owed"),
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
    # Rules.
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
    (r"a day after (?P<d1>\S+)", "须晚于{d1}", "it has to be after {d1}"),
    ("a payment received on or before that day", "须是该日或之前收到的付款", "it has to be a payment received by that day"),
    ("a payment received before that stands", "须是已收到且未撤销的付款", "it has to be a payment that was received and stands"),
    ("a payment that was not reversed before", "付款须未撤销", "the payment must not be reversed already"),
    ("a (?:payment|charge|return|quote|attempt) that is not (?:booked|known) yet", "编号须未使用过", "its number must not be used already"),
    (r"a row of the contract.*", "须是合同的一期", "it has to be a row of the contract"),
    # Ways out.
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

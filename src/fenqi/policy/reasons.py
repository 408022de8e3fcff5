"""A reason in words: title, detail and what to do, for the customer, the agent and the operator, in two languages."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from fenqi.calendars import format_instant, format_minute
from fenqi.money import format_money, format_rate
from fenqi.policy.catalogue import CATALOGUE, PARAMETERS, Entry
from fenqi.policy.conditions import RATE_ONE, Constant, Op, Range
from fenqi.policy.facts import FactType
from fenqi.policy.rollout import PREFIX
from fenqi.policy.snapshot import AudienceText
from fenqi.policy.verdict import STALE, Failing, Reason, for_customer
from fenqi.texts import Text, fill, placeholders

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "CATALOGUE",
    "GAP_KINDS",
    "PARAMETERS",
    "Audience",
    "ReasonText",
    "clause_text",
    "reason_texts",
    "set_text",
    "value_text",
]

Audience = Literal["customer", "agent", "operator"]

GAP_KINDS: Final = {"since": "instant", "until": "instant", "from": "time", "to": "time"}
"""How a parameter is written in a text, where that does not follow from the failing clause."""


class ReasonText(msgspec.Struct, frozen=True):
    """A reason for one reader. `clauses` say, one by one, what was found and what is asked for."""

    title: str
    detail: str
    fix: str
    clauses: tuple[str, ...] = ()


_NOT_REACHED: Final = "CANARY_OFF"
"""Whoever is nobody in particular has not been reached either: nothing is missing to say so."""
_UNKNOWN: Final = Text(
    "还缺少一项信息，暂时无法判断：{fact}。", "One thing is not known yet, so it cannot be decided: {fact}."
)
# A label such as "a bill is overdue" would read as the answer where it is the question.
_UNKNOWN_YES_OR_NO: Final = Text(
    "还缺少一项信息，暂时无法判断：是否{fact}。",
    "One thing is not known yet, so it cannot be decided: “{fact}”, yes or no.",
)
_UNKNOWN_PLAIN: Final = Text(
    "还缺少一项信息，暂时无法判断。", "One thing is not known yet, so it cannot be decided."
)
_TELL: Final = Text("请补充这项信息，或换一种付款方式。", "Tell us, or choose another way to pay.")
_WAIT: Final = Text(
    "请稍后再试，或换一种付款方式。", "Try again a little later, or choose another way to pay."
)
_UNKNOWN_TITLE: Final = Text("暂时无法判断", "Cannot be decided yet")
_PENDING_TITLE: Final = Text("等待答复", "Waiting for an answer")
_PENDING: Final = Text(
    "正在等待答复，结果出来后会更新。", "An answer is on its way; this is updated when it arrives."
)


def reason_texts(
    policy: Policy, reason: Reason, audience: Audience, locale: str, *, year: int | None = None
) -> ReasonText:
    """The reason's words. The rule's own texts win over the catalogue's where their gaps can be filled.

    To a customer a generic reason is said in general words, without its clauses. `year` is the reader's present one:
    instants in it are written without it.
    """
    if audience == "customer":
        reason = for_customer(reason)
    entry = CATALOGUE[reason.code]
    # A reason already made general for the customer has no rule any more, nor any text of the rule's.
    index = policy.rule_index.get(reason.rule)
    rule = policy.rules[index] if index is not None else None
    own_title, own_detail, own_fix = (rule.title, rule.detail, rule.fix) if rule else (None, None, None)
    if reason.code == STALE:
        titles, details = [entry.title], [entry.details[0] if audience == "customer" else entry.behind]
    elif reason.pending or (reason.unknown and reason.code != _NOT_REACHED):
        # Title and detail say that something is the case; here nobody knows that yet.
        titles = [_PENDING_TITLE if reason.pending else _UNKNOWN_TITLE]
        details = _undecided(policy, reason)
    else:
        titles = [*_own(own_title, audience), entry.title]
        details = [*_own(own_detail, audience)]
        details += entry.details if audience == "customer" else (entry.behind,)
    fixes = [
        *_own(own_fix if reason.code != STALE else None, audience),
        *_fixes(reason, entry, audience, asked=bool(rule and rule.unknown == "ask")),
    ]
    show_clauses = audience != "customer" or reason.public == "full"

    def say(choices: list[Text]) -> str:
        return _say(policy, reason, choices, locale, year)

    return ReasonText(
        title=say(titles),
        detail=say(details),
        fix=say(fixes),
        clauses=tuple(clause_text(policy, clause, locale, year=year) for clause in reason.clauses)
        if show_clauses
        else (),
    )


def _own(text: AudienceText | None, audience: Audience) -> list[Text]:
    if text is None:
        return []
    chosen = {"customer": text.customer, "agent": text.agent, "operator": text.operator}[audience]
    return [chosen or text.customer]


def _undecided(policy: Policy, reason: Reason) -> list[Text]:
    if reason.pending:
        return [_PENDING]
    missing = _missing(reason)
    if missing is not None and policy.vocabulary[missing].type == "bool":
        return [_UNKNOWN_YES_OR_NO]
    return [_UNKNOWN, _UNKNOWN_PLAIN]


def _missing(reason: Reason) -> str | None:
    """The first fact for want of which it cannot be decided."""
    for clause in reason.clauses:
        if clause.actual is None:
            # A place in a rollout has a name for us alone.
            return None if clause.fact.startswith(PREFIX) else clause.fact
        if clause.other is not None and clause.bound is None:
            return clause.other
    return None


def _fixes(reason: Reason, entry: Entry, audience: Audience, *, asked: bool) -> list[Text]:
    if audience == "agent":
        return [entry.help]
    if audience == "operator":
        return [entry.act]
    if reason.code == STALE:
        return [entry.fix]
    if reason.pending:
        return [_WAIT]
    if reason.unknown and reason.code != _NOT_REACHED:
        return [_TELL if asked else _WAIT]
    return [entry.fix]


def _say(policy: Policy, reason: Reason, choices: list[Text], locale: str, year: int | None) -> str:
    """The first of the texts whose gaps all have a parameter of their kind."""
    kinds, params = _kinds(policy, reason), dict[str, int | str | Text](reason.params)
    missing = _missing(reason)
    if missing is not None:
        params["fact"] = policy.vocabulary[missing].label
    for text in choices:
        gaps = placeholders(text.in_(locale))
        if all(name in params and kinds.get(name) == kind for name, kind in gaps.items()):
            return fill(text, params, locale, currency=policy.currency, zone=policy.zone, year=year)
    # A rule's own text may need figures that this case has not; the catalogue's last one never does.
    return CATALOGUE[reason.code].title.in_(locale)


def _kinds(policy: Policy, reason: Reason) -> dict[str, str]:
    kinds = {**GAP_KINDS, "fact": "plain"}
    if reason.clauses:
        kind = policy.vocabulary[reason.clauses[0].fact].type
        kinds.update(dict.fromkeys(("min", "max", "current"), "plain" if kind == "int" else kind))
    return kinds


_SHOULD: Final[dict[Op, Text]] = {
    "is": Text("{fact}：{actual}，需为 {bound}", "{fact}: {actual}; should be {bound}"),
    "is not": Text("{fact}：{actual}，不可为 {bound}", "{fact}: {actual}; should not be {bound}"),
    "<": Text("{fact}：{actual}，需小于 {bound}", "{fact}: {actual}; should be less than {bound}"),
    "<=": Text("{fact}：{actual}，需不高于 {bound}", "{fact}: {actual}; should be at most {bound}"),
    ">": Text("{fact}：{actual}，需大于 {bound}", "{fact}: {actual}; should be more than {bound}"),
    ">=": Text("{fact}：{actual}，需不低于 {bound}", "{fact}: {actual}; should be at least {bound}"),
    "in": Text("{fact}：{actual}，需在 {bound} 之内", "{fact}: {actual}; should be within {bound}"),
    "not in": Text("{fact}：{actual}，需在 {bound} 之外", "{fact}: {actual}; should be outside {bound}"),
    "has any of": Text(
        "{fact}：{actual}，需含 {bound} 之一", "{fact}: {actual}; should include one of {bound}"
    ),
    "has all of": Text("{fact}：{actual}，需包含 {bound}", "{fact}: {actual}; should include {bound}"),
    "has none of": Text(
        "{fact}：{actual}，不可含 {bound}", "{fact}: {actual}; should include none of {bound}"
    ),
    "lacks some of": Text(
        "{fact}：{actual}，不可同时含 {bound}", "{fact}: {actual}; should not include all of {bound}"
    ),
}
_NOT_KNOWN: Final = Text("未知", "unknown")
_YES: Final = Text("是", "yes")
_NO: Final = Text("否", "no")
_NOTHING: Final = Text("无", "none")


def clause_text(policy: Policy, clause: Failing, locale: str, *, year: int | None = None) -> str:
    """One failing clause as a sentence: the fact, what was found, what it should be."""
    if isinstance(clause.bound, bool) and clause.op == "is not" and clause.other is None:
        # "Should not be no" is a riddle where "should be yes" is a sentence.
        clause = msgspec.structs.replace(clause, op="is", bound=not clause.bound)
    fact = policy.vocabulary[clause.fact]
    if clause.members is not None and clause.bound is None:
        bound = set_text(policy, clause.members, locale)
    else:
        bound = value_text(policy, fact, clause.bound, locale, year)
    if clause.other is not None:
        label = policy.vocabulary[clause.other].label.in_(locale)
        bound = f"{label}（{bound}）" if locale == "zh-CN" else f"{label} ({bound})"
    params: dict[str, Text | str] = {
        "fact": fact.label,
        "actual": value_text(policy, fact, clause.actual, locale, year),
        "bound": bound,
    }
    return fill(_SHOULD[clause.op], params, locale, currency=policy.currency, zone=policy.zone)


_SET: Final = Text("名单“{name}”", "the list “{name}”")


def set_text(policy: Policy, name: str, locale: str) -> str:
    """What a set is called: by its label, or by its name where it has none."""
    info = next((each for each in policy.snapshot.sets if each.name == name), None)
    shown = info.label.in_(locale) if info is not None and info.label is not None else name
    return fill(_SET, {"name": shown}, locale, currency=policy.currency, zone=policy.zone)


def value_text(policy: Policy, fact: FactType, value: Constant | None, locale: str, year: int | None) -> str:
    """A value of a fact as people write it: names, amounts, instants in the shop's zone; None as "unknown"."""
    if value is None:
        return _NOT_KNOWN.in_(locale)
    if isinstance(value, Range):
        low, high = (value_text(policy, fact, end, locale, year) for end in (value.low, value.high))
        return f"{low}–{high}"
    if isinstance(value, frozenset):
        names = [value_text(policy, fact, name, locale, year) for name in sorted(value)]
        return ("、" if locale == "zh-CN" else ", ").join(names) or _NOTHING.in_(locale)
    if isinstance(value, bool):
        return (_YES if value else _NO).in_(locale)
    if isinstance(value, str):
        label = fact.value_labels.get(value)
        if label is None and value in policy.funders:
            label = policy.funders[value].name
        return label.in_(locale) if label else value
    if fact.type == "money":
        return format_money(value, policy.currency)
    if fact.type == "time":
        return format_minute(value)
    if fact.type == "instant":
        return format_instant(value, policy.zone, locale, year=year)
    if fact.type == "rate":
        return format_rate(Fraction(value, RATE_ONE))
    return str(value)

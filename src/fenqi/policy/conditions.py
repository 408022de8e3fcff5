"""Conditions: what a rule asks about facts, as a tree of clauses with three outcomes.

A clause compares one fact with a constant or with another fact; `All`, `Any` and `Not` join clauses. An unknown
fact makes its clause unknown, and Kleene's logic carries that upwards: `Any` is true as soon as one part is, `All`
false as soon as one part is, whatever is unknown beside it. Nothing is computed (no sums, no division, no order of
texts): whatever needs arithmetic is a fact with a provider and tests of its own.

`parse` reads the one-line form that people write; `evaluate_plain` is the plain meaning, against which the
compiled form (`fenqi.policy.compile`) is tested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Final, Literal

import msgspec

from fenqi.calendars import CalendarError, at_local, to_epoch, zone_of
from fenqi.money import MoneyError, format_money, parse_money
from fenqi.policy.facts import Facts, FactType, FactValue

__all__ = [
    "RATE_ONE",
    "All",
    "Any",
    "Clause",
    "Condition",
    "ConditionError",
    "Constant",
    "Dialect",
    "Members",
    "Not",
    "Op",
    "Range",
    "ValueTrouble",
    "clauses_of",
    "compare",
    "evaluate_plain",
    "facts_of",
    "negated",
    "parse",
    "parse_fact_value",
    "parse_instant",
    "parse_minute",
    "parse_ratio",
]

Op = Literal[
    "is",
    "is not",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "not in",
    "has any of",
    "has all of",
    "has none of",
    "lacks some of",
]
"""`lacks some of` is what remains to be asked where `has all of` is forbidden; people write `not:` instead."""

RATE_ONE: Final = 10**12
"""A rate inside conditions is an integer of 1e-12, so that comparing is exact."""


class Range(msgspec.Struct, frozen=True):
    """`low..high`. Of amounts, numbers and rates both ends belong to it; of times and instants the high end does not.

    A range of times whose high end is before its low one goes past midnight.
    """

    low: int
    high: int


Constant = int | bool | str | frozenset[str] | Range


class Members(msgspec.Struct, frozen=True):
    """A set of names that is kept beside the policy: what it is called, and the digest of what is in it."""

    name: str
    digest: str


class Clause(msgspec.Struct, frozen=True, tag_field="is", tag="clause", omit_defaults=True):
    """One comparison: of `fact` with `value`, with the fact named `other`, or with the names in the set `members`.

    `open_end`: the range's high end does not belong to it (times and instants). Compiling puts the names themselves into
    `value` (`fenqi.policy.sets.resolved`); before that a clause about a set cannot be evaluated.
    """

    fact: str
    op: Op
    value: Constant | None = None
    other: str | None = None
    open_end: bool = False
    members: Members | None = None


class All(msgspec.Struct, frozen=True, tag_field="is", tag="all"):
    """True when every part is."""

    parts: tuple[Condition, ...]


class Any(msgspec.Struct, frozen=True, tag_field="is", tag="any"):
    """True when some part is."""

    parts: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True, tag_field="is", tag="not"):
    """True when its part is false."""

    part: Condition


Condition = All | Any | Not | Clause

_NEGATED: Final[dict[Op, Op]] = {
    "is": "is not",
    "is not": "is",
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "in": "not in",
    "not in": "in",
    "has any of": "has none of",
    "has none of": "has any of",
    "has all of": "lacks some of",
    "lacks some of": "has all of",
}


def negated(op: Op) -> Op:
    """The operator that is true exactly where `op` is false."""
    return _NEGATED[op]


def compare(op: Op, actual: FactValue, bound: Constant, open_end: bool = False) -> bool:
    """Whether a known value satisfies an operator and a bound of the right type.

    >>> compare("in", 60, Range(1320, 120), open_end=True)
    True
    """
    if op == "is":
        return actual == bound
    if op == "is not":
        return actual != bound
    if op in ("in", "not in"):
        if isinstance(bound, Range):
            inside = _inside(actual, bound, open_end)
        else:
            inside = actual in _names(bound)
        return inside if op == "in" else not inside
    if op == "has any of":
        return not _names(actual).isdisjoint(_names(bound))
    if op == "has all of":
        return _names(bound) <= _names(actual)
    if op == "has none of":
        return _names(actual).isdisjoint(_names(bound))
    if op == "lacks some of":
        return not _names(bound) <= _names(actual)
    if not isinstance(actual, int) or not isinstance(bound, int):
        raise TypeError(f"{actual!r} {op} {bound!r}: only numbers have an order")
    if op == "<":
        return actual < bound
    if op == "<=":
        return actual <= bound
    if op == ">":
        return actual > bound
    return actual >= bound


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, frozenset):
        raise TypeError(f"{value!r}: expected a set of names")
    return value


def _inside(actual: FactValue, bound: Range, open_end: bool) -> bool:
    if not isinstance(actual, int):
        raise TypeError(f"{actual!r}: only numbers lie in a range")
    if not open_end:
        return bound.low <= actual <= bound.high
    if bound.low <= bound.high:
        return bound.low <= actual < bound.high
    return actual >= bound.low or actual < bound.high


def evaluate_plain(condition: Condition, facts: Facts) -> bool | None:
    """The condition's outcome under Kleene's logic: true, false, or None where it is unknown.

    >>> adult = Clause("customer.age", ">=", 18)
    >>> [evaluate_plain(adult, known) for known in ({"customer.age": 18}, {"customer.age": 17}, {})]
    [True, False, None]
    """
    if isinstance(condition, Clause):
        actual = facts.get(condition.fact)
        bound = condition.value if condition.other is None else facts.get(condition.other)
        if actual is not None and bound is None and condition.members is not None:
            raise ValueError(
                f"the set {condition.members.name} is not there: compile the policy with its sets"
            )
        if actual is None or bound is None:
            return None
        return compare(condition.op, actual, bound, condition.open_end)
    if isinstance(condition, Not):
        outcome = evaluate_plain(condition.part, facts)
        return None if outcome is None else not outcome
    decisive = isinstance(condition, Any)
    unknown = False
    for part in condition.parts:
        outcome = evaluate_plain(part, facts)
        if outcome is None:
            unknown = True
        elif outcome is decisive:
            return decisive
    return None if unknown else not decisive


def clauses_of(condition: Condition) -> Iterator[Clause]:
    """Every clause of the tree, in the order written."""
    if isinstance(condition, Clause):
        yield condition
    elif isinstance(condition, Not):
        yield from clauses_of(condition.part)
    else:
        for part in condition.parts:
            yield from clauses_of(part)


def facts_of(condition: Condition) -> frozenset[str]:
    """The names of all facts that the condition reads."""
    return frozenset(
        name for clause in clauses_of(condition) for name in (clause.fact, clause.other) if name is not None
    )


# --- reading what people write -------------------------------------------------------------------------------


class Dialect(msgspec.Struct, frozen=True):
    """What a clause's words mean here: the vocabulary, the shop's currency and its zone, and the sets there are."""

    vocabulary: Mapping[str, FactType]
    currency: str
    zone: str
    sets: Mapping[str, Members] = {}


class ConditionError(ValueError):
    """A clause that cannot be read: where in its text (`offset`, `length`), why, and what was perhaps meant."""

    def __init__(self, offset: int, length: int, message: str, suggestion: str = "") -> None:
        super().__init__(message + (f"; {suggestion}" if suggestion else ""))
        self.offset = offset
        self.length = length
        self.message = message
        self.suggestion = suggestion


class _Word(msgspec.Struct, frozen=True):
    text: str
    at: int


_TOKEN: Final = re.compile(
    r"""
    \s+
    | (?P<string>"[^"]*"|'[^']*')
    | (?P<op><=|>=|==|!=|<|>|=|\[|\]|,(?!\d))
    | (?P<dots>\.\.)
    | (?P<word>(?:(?!\.\.)[^\s<>=!\[\],"']|,(?=\d))+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ARITHMETIC: Final = ("+", "*", "/", "%", "-")
_FACT_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z0-9_][a-z0-9_-]*)+")
_ORDERED: Final = frozenset({"int", "money", "rate", "instant", "time"})
_COMPARISONS: Final[dict[str, Op]] = {
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "==": "is",
    "=": "is",
    "!=": "is not",
}
_TYPE_WORDS: Final = {
    "int": "a whole number",
    "money": "an amount of money",
    "rate": "a rate",
    "enum": "a name out of a list",
    "set": "a set of names",
    "bool": "yes or no",
    "text": "a text",
    "instant": "an instant",
    "time": "a time of day",
}


def parse(text: str, dialect: Dialect) -> Clause:
    """Read one clause, typed against the vocabulary.

    >>> from fenqi.policy.facts import VOCABULARY
    >>> here = Dialect(VOCABULARY, "CNY", "Asia/Shanghai")
    >>> parse("cart.amount >= ¥300", here)
    Clause(fact='cart.amount', op='>=', value=30000, other=None, open_end=False, members=None)
    >>> parse("card.bank is cbc", here)
    Traceback (most recent call last):
        ...
    fenqi.policy.conditions.ConditionError: card.bank is cbc: not one of cmb, ccb, icbc; did you mean icbc?
    """
    return _Parser(text, dialect).clause()


class _Parser:
    """Reads: FACT OPERATOR (VALUE | LIST | RANGE | FACT | set NAME)."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text = text
        self.dialect = dialect
        self.words = self._split(text)
        self.next = 0

    def _split(self, text: str) -> list[_Word]:
        words: list[_Word] = []
        for found in _TOKEN.finditer(text):
            if found.lastgroup is None:
                continue
            if found.lastgroup == "other":
                raise ConditionError(
                    found.start(), 1, f"{text}: {found[0]} has no meaning in a condition", _WAYS
                )
            words.append(_Word(found[0], found.start()))
        return words

    def _wrong(self, word: _Word, message: str, suggestion: str = "") -> ConditionError:
        return ConditionError(word.at, len(word.text), message, suggestion)

    def _take(self, expected: str) -> _Word:
        if self.next >= len(self.words):
            raise ConditionError(
                len(self.text), 0, f"{self.text or 'nothing'}: ends where {expected} is expected"
            )
        word = self.words[self.next]
        self.next += 1
        return word

    def _peek(self) -> str:
        return self.words[self.next].text if self.next < len(self.words) else ""

    def clause(self) -> Clause:
        first = self._take("a fact's name")
        fact = self._fact(first)
        op, op_word = self._operator(fact)
        self._fits(fact, op, op_word)
        clause = self._bound(fact, op)
        if self.next < len(self.words):
            extra = self.words[self.next]
            if extra.text in ("and", "or", "&&", "||"):
                kind = "all" if extra.text in ("and", "&&") else "any"
                raise self._wrong(
                    extra,
                    f"{extra.text} has no place inside a clause",
                    f"write the clauses as a list under {kind}:",
                )
            if extra.text in _ARITHMETIC:
                raise self._wrong(extra, f"{self.text}: conditions do not calculate", _WAYS)
            raise self._wrong(extra, f"{extra.text} is more than one comparison holds", "one clause a line")
        return clause

    def _fact(self, word: _Word) -> FactType:
        known = self.dialect.vocabulary.get(word.text)
        if known is not None:
            return known
        if any(sign in word.text for sign in "/*+%"):
            raise self._wrong(word, f"{self.text}: conditions do not calculate", _WAYS)
        raise self._wrong(word, f"{word.text} is not a fact", _meant(word.text, self.dialect.vocabulary))

    def _operator(self, fact: FactType) -> tuple[Op, _Word]:
        word = self._take("an operator such as is, >=, in, has any of")
        if word.text in _COMPARISONS:
            return _COMPARISONS[word.text], word
        if word.text == "is":
            if self._peek() == "not":
                self.next += 1
                return "is not", word
            return "is", word
        if word.text == "in":
            return "in", word
        if word.text == "not" and self._peek() == "in":
            self.next += 1
            return "not in", word
        if word.text == "has":
            quantity = self._take("any of, all of or none of")
            of = self._take("of")
            ops: dict[str, Op] = {"any": "has any of", "all": "has all of", "none": "has none of"}
            if quantity.text in ops and of.text == "of":
                return ops[quantity.text], word
            raise self._wrong(
                quantity, f"has {quantity.text} is not an operator", "has any of, has all of or has none of"
            )
        if word.text in _ARITHMETIC:
            raise self._wrong(word, f"{self.text}: conditions do not calculate", _WAYS)
        raise self._wrong(
            word,
            f"{word.text} is not an operator",
            "operators are is, is not, <, <=, >, >=, in, not in, has any of, has all of, has none of",
        )

    def _fits(self, fact: FactType, op: Op, word: _Word) -> None:
        if op.startswith("has"):
            if fact.type != "set":
                raise self._wrong(word, f"{fact.name} is {_TYPE_WORDS[fact.type]}, not a set", "use is or in")
        elif fact.type == "set":
            raise self._wrong(
                word, f"{fact.name} is a set of names", "use has any of, has all of or has none of"
            )
        elif op in ("<", "<=", ">", ">=") and fact.type not in _ORDERED:
            raise self._wrong(
                word, f"{fact.name} is {_TYPE_WORDS[fact.type]}, which has no order", "use is or in"
            )

    def _bound(self, fact: FactType, op: Op) -> Clause:
        if self._peek() == "set" and (op in ("in", "not in") or op.startswith("has")):
            return self._set(fact, op)
        if op in ("in", "not in"):
            if self._peek() == "[":
                if fact.type not in ("enum", "text"):
                    raise self._wrong(
                        self.words[self.next],
                        f"{fact.name} is {_TYPE_WORDS[fact.type]}, which a list cannot hold",
                        "write a range as low..high",
                    )
                return Clause(fact.name, op, self._list(fact))
            return self._range(fact, op)
        if op.startswith("has"):
            if self._peek() != "[":
                word = self._take("a list such as [a, b]")
                raise self._wrong(word, f"{word.text} is not a list", f"write [{word.text}]")
            return Clause(fact.name, op, self._list(fact))
        word = self._take(_TYPE_WORDS[fact.type])
        other = self.dialect.vocabulary.get(word.text)
        if other is not None:
            if other.name == fact.name:
                raise self._wrong(
                    word,
                    f"{fact.name} is compared with itself",
                    "compare it with a value or with another fact",
                )
            if other.type != fact.type:
                raise self._wrong(
                    word,
                    f"{fact.name} is {_TYPE_WORDS[fact.type]} and {other.name} is {_TYPE_WORDS[other.type]}: "
                    "they cannot be compared",
                )
            return Clause(fact.name, op, None, other.name)
        if (
            fact.type not in ("text", "enum")
            and _FACT_NAME.fullmatch(word.text)
            and not word.text[0].isdigit()
        ):
            raise self._wrong(word, f"{word.text} is not a fact", _meant(word.text, self.dialect.vocabulary))
        if word.text in ("[", "]", ","):
            raise self._wrong(word, f"{word.text} stands where {_TYPE_WORDS[fact.type]} is expected")
        return Clause(fact.name, op, self._value(fact, word))

    def _set(self, fact: FactType, op: Op) -> Clause:
        word = self._take("set")
        if fact.type not in ("text", "set") or fact.values:
            raise self._wrong(
                word,
                f"{fact.name} is {_TYPE_WORDS[fact.type]}, of which there is no set",
                "write the few values as a list: [a, b]" if fact.values else "write a value",
            )
        if op == "has all of":
            raise self._wrong(
                word,
                f"{fact.name} would have to hold a whole set",
                "write has any of set, or has none of set",
            )
        named = self._take("a set's name")
        known = self.dialect.sets.get(named.text)
        if known is None:
            raise self._wrong(
                named,
                f"{named.text} is not a set: there is no file sets/{named.text}.txt",
                _meant(named.text, self.dialect.sets),
            )
        return Clause(fact.name, op, members=known)

    def _list(self, fact: FactType) -> frozenset[str]:
        self._take("[")
        names: set[str] = set()
        while True:
            word = self._take("a name or ]")
            if word.text == "]":
                break
            if word.text == ",":
                continue
            value = self._value(fact, word)
            assert isinstance(value, str), "a list holds names"
            if value in names:
                raise self._wrong(word, f"{value} is in the list twice")
            names.add(value)
        if not names:
            raise ConditionError(0, len(self.text), f"{self.text}: the list is empty")
        return frozenset(names)

    def _range(self, fact: FactType, op: Op) -> Clause:
        low_word = self._take("a list such as [a, b] or a range such as low..high")
        if fact.type not in _ORDERED:
            raise self._wrong(low_word, f"{low_word.text} is not a list", f"write [{low_word.text}]")
        dots = self._take("..")
        if dots.text != "..":
            raise self._wrong(dots, f"{dots.text} stands where .. is expected", "a range is low..high")
        high_word = self._take("the range's high end")
        low, high = self._value(fact, low_word), self._value(fact, high_word)
        assert isinstance(low, int), "an ordered fact's constants are integers"
        assert isinstance(high, int), "an ordered fact's constants are integers"
        if low == high and fact.type in ("time", "instant"):
            raise self._wrong(high_word, f"{low_word.text}..{high_word.text} holds nothing")
        if high < low and fact.type != "time":
            raise self._wrong(
                high_word,
                f"{low_word.text}..{high_word.text} holds nothing",
                f"write {high_word.text}..{low_word.text}",
            )
        return Clause(fact.name, op, Range(low, high), open_end=fact.type in ("time", "instant"))

    def _value(self, fact: FactType, word: _Word) -> int | bool | str:
        try:
            # An operator has set it apart already; "is cbc" reads better in the message than the word alone.
            return parse_fact_value(fact, _unquoted(word.text), self.dialect.currency, self.dialect.zone)
        except ValueTrouble as trouble:
            raise self._wrong(word, trouble.message, trouble.suggestion) from None


_WAYS: Final = "whatever is calculated is a fact of its own"


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0] else text


def _meant(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


class ValueTrouble(ValueError):
    """A constant that does not read as its type: what is wrong with it, and what was perhaps meant."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


def parse_fact_value(fact: FactType, text: str, currency: str, zone: str) -> int | bool | str:
    """Read one constant as the fact's type. Raises `ValueTrouble`."""
    return _READERS[fact.type](fact, text, currency, zone)


def _read_int(fact: FactType, text: str, currency: str, zone: str) -> int:
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    if re.search(r"[¥￥$€£₩元円]", text):
        raise ValueTrouble(f"{fact.name} is a number and {text} is money: they cannot be compared")
    raise ValueTrouble(f"{fact.name} is {text}: not a whole number")


def _read_money(fact: FactType, text: str, currency: str, zone: str) -> int:
    if re.fullmatch(r"-?[0-9][0-9,]*(\.[0-9]+)?", text):
        try:
            suggestion = f"write {format_money(parse_money(text, currency), currency)}"
        except MoneyError:
            suggestion = ""
        raise ValueTrouble(
            f"{fact.name} is money and {text} is a number: they cannot be compared", suggestion
        )
    try:
        return parse_money(text, currency)
    except MoneyError as error:
        raise ValueTrouble(
            f"{fact.name} is {text}: expected {error.problem.expected}", error.problem.way_out
        ) from None


def _read_rate(fact: FactType, text: str, currency: str, zone: str) -> int:
    ratio = parse_ratio(text)
    if ratio is None:
        raise ValueTrouble(f"{fact.name} is {text}: not a rate", "write it like 24% or 15.5%")
    scaled = ratio * RATE_ONE
    if scaled != scaled.to_integral_value():
        raise ValueTrouble(f"{fact.name} is {text}: finer than 0.0000000001 %")
    return int(scaled)


def _read_enum(fact: FactType, text: str, currency: str, zone: str) -> str:
    if text in fact.values:
        return text
    raise ValueTrouble(
        f"{fact.name} is {text}: not one of {', '.join(fact.values)}", _meant(text, fact.values)
    )


def _read_text(fact: FactType, text: str, currency: str, zone: str) -> str:
    if fact.values:
        return _read_enum(fact, text, currency, zone)
    return text


def _read_bool(fact: FactType, text: str, currency: str, zone: str) -> bool:
    if text in ("yes", "true"):
        return True
    if text in ("no", "false"):
        return False
    raise ValueTrouble(f"{fact.name} is {text}: not yes or no")


def _read_instant(fact: FactType, text: str, currency: str, zone: str) -> int:
    return parse_instant(text, zone)


def _read_time(fact: FactType, text: str, currency: str, zone: str) -> int:
    return parse_minute(text)


_READERS: Final[dict[str, Callable[[FactType, str, str, str], int | bool | str]]] = {
    "int": _read_int,
    "money": _read_money,
    "rate": _read_rate,
    "enum": _read_enum,
    "set": _read_text,
    "text": _read_text,
    "bool": _read_bool,
    "instant": _read_instant,
    "time": _read_time,
}


def parse_ratio(text: str) -> Decimal | None:
    """A rate as people write it, as a ratio; None where it is none.

    >>> parse_ratio("15.5%"), parse_ratio("0.6 %"), parse_ratio("1.5"), parse_ratio("24")
    (Decimal('0.155'), Decimal('0.006'), None, None)
    """
    found = re.fullmatch(r"([0-9]{1,4}(?:\.[0-9]{1,12})?)\s*[%％]", text)
    if found is None:
        return None
    try:
        ratio = Decimal(found[1]).scaleb(-2)
    except InvalidOperation:
        return None
    # normalize() alone would write ten as 1E+1.
    return Decimal(format(ratio.normalize(), "f"))


def parse_minute(text: str) -> int:
    """A time of day as its minute; 24:00 is the day's end.

    >>> parse_minute("07:30")
    450
    """
    found = re.fullmatch(r"([01][0-9]|2[0-4]):([0-5][0-9])", text)
    if found is None or (found[1] == "24" and found[2] != "00"):
        raise ValueTrouble(f"{text} is not a time of day", "write it like 07:30")
    return int(found[1]) * 60 + int(found[2])


_INSTANT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?\s*(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


def parse_instant(text: str, zone: str, *, end: bool = False) -> int:
    """A date or a date with a time, as epoch seconds. Without an offset it is the shop's wall clock.

    A bare date is its beginning; as the `end` of something it is the day's end, since "to 12-20" includes the 20th.
    A wall-clock time that the shop's zone skips, or has twice, is refused. Raises `ValueTrouble`.

    >>> parse_instant("2026-11-23T02:00", "Asia/Shanghai")
    1795370400
    >>> parse_instant("2026-11-22T18:00Z", "Asia/Shanghai")
    1795370400
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueTrouble(f"{text} is not a date or a time", "write it like 2026-11-23 or 2026-11-23T02:00")
    if not 1900 <= int(found[1]) <= 2999:
        raise ValueTrouble(f"{text} is not of the years 1900 to 2999", "leave out an end that is not known")
    try:
        on = date(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return at_local(on + timedelta(days=1) if end else on, 0, zone)
        if found[7] is not None:
            offset = "+00:00" if found[7] == "Z" else found[7]
            return to_epoch(datetime.fromisoformat(f"{on}T{found[4]}:{found[5]}:{found[6] or '00'}{offset}"))
        wall = datetime.combine(on, time(int(found[4]), int(found[5]), int(found[6] or 0)))
    except CalendarError:
        raise
    except (ValueError, OverflowError):
        raise ValueTrouble(f"{text} is not in the calendar") from None
    early, late = (wall.replace(tzinfo=zone_of(zone), fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        back = datetime.fromtimestamp(to_epoch(early), zone_of(zone)).replace(tzinfo=None)
        what = "comes twice" if back == wall else "does not come"
        raise ValueTrouble(
            f"{text} {what} in {zone}", f"write the offset, such as {early.isoformat(timespec='minutes')}"
        )
    return to_epoch(early)

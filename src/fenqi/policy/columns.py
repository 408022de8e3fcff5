"""Columns: the verdicts of many recorded checkouts at once, one Polars column for each fact.

`decide` answers one checkout in microseconds; a change of policy is judged by what it would have done to millions.
The same conditions that `fenqi.policy.compile` writes as a Python function are written here as Polars expressions.
A fact that is not known is null, and Polars' comparisons and its `&`, `|`, `~` over null are Kleene's logic, so there is
one meaning: tests compare both engines bit by bit.

Needs the extra `simulate` (`pip install 'fenqi[simulate]'`); nothing else of the engine imports this module.

- A number, an amount, a rate, an instant and a time of day are Int64; yes or no is Boolean.
- An enum and a text are an Enum: a code for each value that occurs.
- A set is a bit mask (Int64) while at most 63 names can occur, else a list of codes; `Checkouts.names` tells the names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import reduce
from operator import and_, or_
from typing import Any as Anything
from typing import Final, Literal

import msgspec

from fenqi.calendars import CalendarError, to_epoch, zone_of
from fenqi.money import MAX_MINOR
from fenqi.policy.compile import Policy, is_priced
from fenqi.policy.conditions import All, Clause, Condition, Not, Range, ValueTrouble, facts_of, parse_instant
from fenqi.policy.facts import (
    EARLIEST,
    LATEST,
    MAX_NAME,
    MAX_NAMES,
    Facts,
    FactType,
    FactValue,
)
from fenqi.policy.rollout import PREFIX, bucket_of, rollout_fact
from fenqi.policy.snapshot import KNOWN_SEMANTICS, Rule
from fenqi.policy.verdict import Override
from fenqi.problems import BadInput

try:
    import numpy as np
    import polars as pl
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"columns of checkouts need Polars and NumPy: pip install 'fenqi[simulate]' ({missing})",
        name=missing.name,
    ) from missing

__all__ = [
    "AS_OF",
    "OVERRIDES",
    "ROW_NAME",
    "STATES",
    "WORD_BITS",
    "Checkouts",
    "ColumnsError",
    "Outcomes",
    "both_vocabularies",
    "checkouts_of",
    "columns_of",
    "condition_expr",
    "facts_at",
    "local_days",
    "outcomes_of_words",
    "pack_words",
    "rule_outcomes",
    "states_of",
]

ROW_NAME: Final = "decision"
"""The optional column that names each row, for witnesses: a decision's id, an order's number."""

OVERRIDES: Final = "overrides"
"""The optional column of the special cases granted to each row's customer: a JSON list of `Override`, as text."""

AS_OF: Final = "as_of:"
"""What the name of a column begins with that tells, for the fact named after it, when that was learnt. Optional."""

WORD_BITS: Final = 63
"""Rules in one word of a bit set: an Int64 without its sign."""

STATES: Final = ("available", "funder_decides", "pending", "unavailable")
"""A plan's states, as the Enum of a column of states."""

_ORDERED: Final = frozenset({"int", "money", "rate", "instant", "time"})
_MASK_NAMES: Final = 63
_INT64: Final = 2**63 - 1


class ColumnsError(BadInput):
    """A table of checkouts that cannot be read: which column, which row, what was expected."""


@dataclasses.dataclass(frozen=True, eq=False)
class Checkouts:
    """Recorded checkouts, one row each, as typed columns named by their facts; null is unknown.

    `names` has, for a set, the name that each bit or code stands for. `row_names` name the rows, where the table did.
    `unknown_made` counts, by fact, the values outside the vocabulary that were read as unknown. `overrides` are the
    special cases, each with the number of its row.
    """

    frame: pl.DataFrame
    names: Mapping[str, tuple[str, ...]]
    vocabulary: Mapping[str, FactType]
    zone: str
    row_names: pl.Series | None = None
    unknown_made: Mapping[str, int] = dataclasses.field(default_factory=dict)
    overrides: tuple[tuple[int, Override], ...] = ()
    first_row: int = 0
    """How many rows of the whole table come before this part of it."""

    def __len__(self) -> int:
        return self.frame.height

    @property
    def size_bytes(self) -> int:
        """What the columns take in memory."""
        return int(self.frame.estimated_size())

    def row_name(self, row: int) -> str:
        """What a witness is called: the name that the table gives it, else the row's number from 1."""
        return str(self.first_row + row + 1) if self.row_names is None else str(self.row_names[row])

    def slice(self, start: int, rows: int) -> Checkouts:
        """Some rows of it; no column is copied."""
        return dataclasses.replace(
            self,
            frame=self.frame.slice(start, rows),
            first_row=self.first_row + start,
            row_names=None if self.row_names is None else self.row_names.slice(start, rows),
            overrides=tuple((row - start, one) for row, one in self.overrides if start <= row < start + rows),
        )

    def at(self, instant: int) -> Checkouts:
        """The same checkouts as if all were asked at one instant (epoch seconds): live facts are as they were, and as old."""
        now = pl.Series("clock.now", [instant], dtype=pl.Int64).new_from_index(0, self.frame.height)
        moved = [
            series + (now - self.frame["clock.now"]) for series in self.frame if series.name.startswith(AS_OF)
        ]
        return dataclasses.replace(self, frame=_with_clock(self.frame.with_columns(now, *moved), self.zone))


# --- reading ---------------------------------------------------------------------------------------------------


def columns_of(rows: Iterable[Facts], vocabulary: Mapping[str, FactType], zone: str) -> Checkouts:
    """Columns of facts at hand, as `fenqi.checkout.request.facts_of` gives them. Each needs its `clock.now`.

    >>> from fenqi.policy.facts import VOCABULARY
    >>> two = columns_of([{"clock.now": 1795370400, "customer.age": 17}, {"clock.now": 1795370400}], VOCABULARY, "Asia/Shanghai")
    >>> two.frame["customer.age"].to_list(), two.frame["clock.time"].to_list()
    ([17, None], [120, 120])
    """
    table = list(rows)
    columns: dict[str, pl.Series] = {}
    for name in dict.fromkeys(name for row in table for name in row):
        kind = vocabulary[name].type if name in vocabulary else "text"
        kind = "instant" if name.startswith(AS_OF) else kind
        values: list[object] = [row.get(name) for row in table]
        if kind == "set":
            lists = [None if value is None else sorted(value) for value in values]  # type: ignore[call-overload]
            columns[name] = pl.Series(name, lists, dtype=pl.List(pl.String))
        else:
            dtype = pl.Boolean if kind == "bool" else pl.Int64 if kind in _ORDERED else pl.String
            try:
                columns[name] = pl.Series(name, values, dtype=dtype, strict=True)
            except (TypeError, pl.exceptions.PolarsError) as trouble:
                raise ColumnsError(name, str(trouble), _expected(kind)) from None
    if not table:
        columns["clock.now"] = pl.Series("clock.now", [], dtype=pl.Int64)
    return checkouts_of(pl.DataFrame(columns), vocabulary, zone)


def checkouts_of(
    frame: pl.DataFrame, vocabulary: Mapping[str, FactType], zone: str, *, lenient: bool = False
) -> Checkouts:
    """A table of recorded checkouts as typed columns, checked. Raises `ColumnsError`.

    Each column is named by its fact; `decision` names the rows, `as_of:FACT` tells when a fact was learnt, and a column whose
    name begins with `_` is left aside.
    Text is read as the fact's type (whole numbers, true or false, `a|b` for a set, an instant with its offset), so that
    a CSV file needs no types. `clock.now` is needed in every row; the other facts of the clock follow from it.

    A fact that the vocabulary does not have, or a value outside a fact's own, is refused; `lenient` takes it for unknown instead,
    and counts it: rules of before may have known a bank that those of now do not.
    """
    zone_of(zone)
    columns: list[pl.Series] = []
    names: dict[str, tuple[str, ...]] = {}
    made: dict[str, int] = {}
    row_names: pl.Series | None = None
    overrides: tuple[tuple[int, Override], ...] = ()
    for series in frame.get_columns():
        name = series.name
        if name == OVERRIDES:
            overrides = _read_overrides(series)
            continue
        if name == ROW_NAME:
            row_names = series.cast(pl.String)
            continue
        if name.startswith("_") or name in ("clock.time", "clock.weekday"):
            continue
        if name.startswith(AS_OF) and name.removeprefix(AS_OF) in vocabulary:
            columns.append(_read_whole(series, vocabulary["clock.now"], zone))
            continue
        fact = vocabulary.get(name)
        if fact is None and lenient:
            made[name] = series.len() - series.null_count()
            continue
        if fact is None:
            close = get_close_matches(name, [*vocabulary, ROW_NAME, OVERRIDES], n=1)
            way_out = f"did you mean {close[0]}?" if close else "begin its name with _ to leave it aside"
            raise ColumnsError("column", name, "a fact of the policy's vocabulary", way_out)
        if fact.source == "offer":
            raise ColumnsError("column", name, "no price: it follows from the plan's terms", "leave it out")
        column, known, outside = _read_column(series, fact, zone, lenient)
        if outside:
            made[name] = outside
        if known is not None:
            names[name] = known
        columns.append(column)
    if not any(column.name == "clock.now" for column in columns):
        raise ColumnsError(
            "column clock.now", "missing", "the instant of every checkout, in epoch seconds or with an offset"
        )
    typed = pl.DataFrame(columns)
    gap = typed["clock.now"].is_null().arg_true()
    if len(gap):
        raise ColumnsError(f"column clock.now, row {gap[0] + 1}", "empty", "the instant of the checkout")
    return Checkouts(_with_clock(typed, zone), names, vocabulary, zone, row_names, made, overrides)


def facts_at(checkouts: Checkouts, row: int) -> dict[str, FactValue]:
    """One row as the facts that it was made of: what `decide` takes."""
    facts: dict[str, FactValue] = {}
    for name, value in checkouts.frame.row(row, named=True).items():
        if value is None or name.startswith(AS_OF):
            continue
        known = checkouts.names.get(name)
        if known is None:
            facts[name] = value
        elif isinstance(value, int):
            facts[name] = frozenset(each for bit, each in enumerate(known) if value >> bit & 1)
        else:
            facts[name] = frozenset(known[code] for code in value)
    return facts


def _expected(kind: str) -> str:
    return {
        "int": "whole numbers",
        "money": f"whole numbers of minor units from 0 to {MAX_MINOR}",
        "rate": "whole numbers of 1e-12",
        "instant": "instants: epoch seconds, or text with an offset such as 2026-11-23T10:00:00+08:00",
        "time": "minutes of the day, 0 to 1439",
        "bool": "true or false",
        "enum": "names",
        "text": f"texts of at most {MAX_NAME} characters",
        "set": "lists of names, or text such as gold|phones ([] for none)",
    }[kind]


def _refused(series: pl.Series, bad: pl.Series, expected: str, way_out: str = "") -> ColumnsError:
    row = int(bad.arg_true()[0])
    return ColumnsError(f"column {series.name}, row {row + 1}", str(series[row]), expected, way_out)


def _read_column(
    series: pl.Series, fact: FactType, zone: str, lenient: bool
) -> tuple[pl.Series, tuple[str, ...] | None, int]:
    """The column in its type, the names behind a set's bits or codes, and how many values were made unknown."""
    if fact.type in _ORDERED:
        return _read_whole(series, fact, zone), None, 0
    if fact.type == "bool":
        return _read_bool(series, fact), None, 0
    if fact.type == "set":
        return _read_set(series, fact, lenient)
    column, outside = _read_names(series, fact, lenient)
    return column, None, outside


# Works the type out while the module is imported, once: see `fenqi.policy.snapshot`.
_granted: Final = msgspec.json.Decoder(tuple[Override, ...]).decode


def _read_overrides(series: pl.Series) -> tuple[tuple[int, Override], ...]:
    if series.dtype not in (pl.String, pl.Null):
        raise ColumnsError(f"column {series.name}", str(series.dtype), "texts of JSON")
    found: list[tuple[int, Override]] = []
    for row in series.is_not_null().arg_true():
        if not series[row]:
            continue
        try:
            found += [(row, one) for one in _granted(series[row])]
        except msgspec.DecodeError as trouble:
            raise ColumnsError(
                f"column {series.name}, row {row + 1}",
                str(series[row]),
                f"a JSON list of special cases: {trouble}",
            ) from None
    return tuple(found)


def _read_whole(series: pl.Series, fact: FactType, zone: str) -> pl.Series:
    dtype = series.dtype
    if dtype == pl.Null:
        return series.cast(pl.Int64)
    if isinstance(dtype, pl.Datetime) and fact.type == "instant" and dtype.time_zone is not None:
        series = series.dt.epoch("s")
    elif dtype == pl.String:
        series = _read_text_whole(series, fact, zone)
    elif not dtype.is_integer():
        way_out = "give whole numbers a whole type (Int64)" if dtype.is_float() else ""
        raise ColumnsError(f"column {series.name}", str(dtype), _expected(fact.type), way_out)
    try:
        whole = series.cast(pl.Int64)
    except pl.exceptions.InvalidOperationError:
        bad = series.cast(pl.Int64, strict=False).is_null() & series.is_not_null()
        raise _refused(series, bad, _expected(fact.type)) from None
    low, high = {
        "money": (0, MAX_MINOR),
        "instant": (EARLIEST, LATEST - 1),
        "time": (0, 1439),
    }.get(fact.type, (-(10**18), 10**18))
    outside = ~whole.is_between(low, high).fill_null(True)
    if outside.any():
        raise _refused(whole, outside, _expected(fact.type))
    return whole


def _read_text_whole(series: pl.Series, fact: FactType, zone: str) -> pl.Series:
    text = series.str.strip_chars()
    text = text.set(text == "", None)
    whole = text.str.contains(r"^-?[0-9]{1,18}$")
    rest = (~whole).fill_null(False)
    if not rest.any():
        return text.cast(pl.Int64)
    if fact.type != "instant":
        way_out = "write ¥12.34 as the integer 1234" if fact.type == "money" else ""
        raise _refused(series, rest, _expected(fact.type), way_out)
    numbers: dict[str, int] = {}
    for value in text.filter(rest).unique():
        try:
            written = datetime.fromisoformat(value)
            numbers[value] = parse_instant(value, zone) if written.tzinfo is None else to_epoch(written)
        except (ValueError, ValueTrouble, CalendarError):
            raise _refused(series, text == value, _expected(fact.type)) from None
    return text.replace_strict(numbers, default=text.cast(pl.Int64, strict=False), return_dtype=pl.Int64)


def _read_bool(series: pl.Series, fact: FactType) -> pl.Series:
    if series.dtype in (pl.Boolean, pl.Null):
        return series.cast(pl.Boolean)
    if series.dtype != pl.String:
        raise ColumnsError(f"column {series.name}", str(series.dtype), _expected("bool"))
    text = series.str.strip_chars().str.to_lowercase()
    text = text.set(text == "", None)
    bad = ~text.is_in(["true", "false", "yes", "no"]).fill_null(True)
    if bad.any():
        raise _refused(series, bad, _expected("bool"))
    return text.is_in(["true", "yes"])


def _read_names(series: pl.Series, fact: FactType, lenient: bool) -> tuple[pl.Series, int]:
    """An enum or a text, as an Enum over the values that occur (an enum's: over all of its vocabulary)."""
    dtype = series.dtype
    if dtype == pl.Null:
        return series.cast(pl.Enum(fact.values)), 0
    if not (dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum))):
        raise ColumnsError(f"column {series.name}", str(dtype), _expected(fact.type))
    text = series.cast(pl.String)
    if fact.type == "text":
        values = text.drop_nulls().unique().sort().to_list()
        if any(len(value) > MAX_NAME for value in values):
            raise _refused(series, text.str.len_chars() > MAX_NAME, _expected("text"))
        return text.cast(pl.Enum(values)), 0
    text = text.set(text == "", None)
    strangers = [value for value in text.drop_nulls().unique().sort() if value not in fact.values]
    if strangers and not lenient:
        close = get_close_matches(strangers[0], fact.values, n=1)
        raise _refused(
            series,
            text == strangers[0],
            "one of " + ", ".join(fact.values),
            f"did you mean {close[0]}?" if close else "read it leniently to count it as unknown",
        )
    outside = int(text.is_in(strangers).sum() or 0) if strangers else 0
    return text.cast(pl.Enum(fact.values), strict=False), outside


def _read_set(
    series: pl.Series, fact: FactType, lenient: bool
) -> tuple[pl.Series, tuple[str, ...] | None, int]:
    dtype = series.dtype
    if dtype == pl.String:
        text = series.str.strip_chars()
        lists = text.set(text == "", None).replace("[]", "|").str.split("|")
    elif dtype == pl.Null or (isinstance(dtype, pl.List) and dtype.inner in (pl.String, pl.Null)):
        lists = series.cast(pl.List(pl.String))
    else:
        raise ColumnsError(f"column {series.name}", str(dtype), _expected("set"))
    known = lists.is_not_null()
    # Flat from here on: each name with the number of its row.
    flat = lists.explode(empty_as_null=False, keep_nulls=False)
    rows = np.repeat(np.arange(len(lists)), lists.list.len().fill_null(0).to_numpy())
    if flat.null_count():
        raise _refused(lists, _rows_of(rows[flat.is_null().to_numpy()], known), "names, none of them empty")
    if dtype == pl.String:
        flat = flat.str.strip_chars()
        some = flat != ""
        flat, rows = flat.filter(some), rows[some.to_numpy()]
    found = flat.unique().sort().to_list()
    outside = 0
    strangers = [name for name in found if name not in fact.values] if fact.values else []
    if strangers:
        strange = flat.is_in(strangers).to_numpy()
        where = _rows_of(rows[strange], known)
        if not lenient:
            close = get_close_matches(strangers[0], fact.values, n=1)
            way_out = f"did you mean {close[0]}?" if close else "read it leniently to count it as unknown"
            raise _refused(lists, where, "names out of " + ", ".join(fact.values), way_out)
        outside = int(where.sum() or 0)
        known &= ~where
        flat, rows = flat.filter(pl.Series(~strange)), rows[~strange]
    names = fact.values or tuple(found)
    codes = flat.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)
    # In order of row and name, each once. Sorting is quick here; NumPy's `unique` would hash.
    order = np.sort(rows * max(len(names), 1) + codes)
    order = order[np.diff(order, prepend=-1) != 0]
    rows, codes = order // max(len(names), 1), order % max(len(names), 1)
    counts = np.bincount(rows, minlength=len(lists))
    long = counts > MAX_NAMES
    if long.any():
        raise _refused(lists, pl.Series(long), f"at most {MAX_NAMES} names")
    if any(len(name) > MAX_NAME for name in found):
        wide = _rows_of(rows[np.array([len(name) > MAX_NAME for name in names])[codes]], known)
        raise _refused(lists, wide, f"names of at most {MAX_NAME} characters")
    if len(names) <= _MASK_NAMES:
        bits = np.zeros(len(lists), dtype=np.int64)
        begins = np.flatnonzero(np.diff(rows, prepend=-1))
        if len(begins):
            bits[rows[begins]] = np.bitwise_or.reduceat(np.int64(1) << codes, begins)
        column = pl.Series(bits)
    else:
        grouped = pl.DataFrame({"row": rows, "codes": codes.astype(np.uint32)})
        listed = grouped.group_by("row", maintain_order=True).agg("codes")
        every = pl.DataFrame({"row": np.arange(len(lists))}).join(
            listed, on="row", how="left", maintain_order="left"
        )
        column = every["codes"].fill_null(pl.Series([[]], dtype=pl.List(pl.UInt32)))
    return pl.select(pl.when(known).then(column)).to_series().alias(series.name), names, outside


def _rows_of(rows: np.ndarray[Anything, Anything], like: pl.Series) -> pl.Series:
    where = np.zeros(len(like), dtype=np.bool_)
    where[rows] = True
    return pl.Series(where)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER_DAY: Final = 21_600


def local_days(checkouts: Checkouts) -> np.ndarray[Anything, np.dtype[np.int64]]:
    """The shop's date of every row, as days since 1970-01-01."""
    days: np.ndarray[Anything, np.dtype[np.int64]] = _local_minutes(checkouts.frame, checkouts.zone) // 1440
    return days


def _local_minutes(frame: pl.DataFrame, zone: str) -> np.ndarray[Anything, np.dtype[np.int64]]:
    """The wall clock's minutes since its 1970-01-01T00:00, in every row.

    By Python's zones, as `clock_facts` reads them: Polars brings a zone table of its own, of another year perhaps. A
    zone keeps its offset for a quarter of a day, or turns inside it and is asked minute by minute.
    """
    now = frame["clock.now"].to_numpy()
    tz = zone_of(zone)

    def offset_minutes(second: int) -> int:
        offset = (_EPOCH + timedelta(seconds=second)).astimezone(tz).utcoffset()
        assert offset is not None, "an aware datetime has an offset"
        return offset // timedelta(minutes=1)

    quarters, where = np.unique(now // _QUARTER_DAY, return_inverse=True)
    starts = np.array([offset_minutes(int(quarter) * _QUARTER_DAY) for quarter in quarters], dtype=np.int64)
    ends = [offset_minutes(int(quarter) * _QUARTER_DAY + _QUARTER_DAY - 1) for quarter in quarters]
    offsets = starts[where]
    turning = starts != np.array(ends, dtype=np.int64)
    for row in np.flatnonzero(turning[where]) if turning.any() else ():
        offsets[row] = offset_minutes(int(now[row]) // 60 * 60)
    local: np.ndarray[Anything, np.dtype[np.int64]] = now // 60 + offsets
    return local


def _with_clock(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The frame with `clock.time` and `clock.weekday`, which follow from `clock.now` in the shop's zone."""
    local = _local_minutes(frame, zone)
    return frame.with_columns(
        pl.Series("clock.time", local % 1440, dtype=pl.Int64),
        # The first of January 1970 was a Thursday.
        pl.Series("clock.weekday", (local // 1440 + 3) % 7 + 1, dtype=pl.Int64),
    )


# --- conditions as expressions ---------------------------------------------------------------------------------


def condition_expr(condition: Condition, checkouts: Checkouts) -> pl.Expr:
    """The condition over the columns: true, false, or null where it is unknown, as `evaluate_plain` answers.

    >>> from fenqi.policy.facts import VOCABULARY
    >>> rows = [{"clock.now": 1795370400, "customer.age": 17}, {"clock.now": 1795370400}]
    >>> known = columns_of(rows, VOCABULARY, "Asia/Shanghai")
    >>> known.frame.select(adult=condition_expr(Clause("customer.age", ">=", 18), known))["adult"].to_list()
    [False, None]
    """
    return _Translator(checkouts).condition(condition)


class _Translator:
    """Builds expressions over one set of columns. A fact that there is no column of is unknown in every row."""

    def __init__(self, checkouts: Checkouts) -> None:
        self.schema = checkouts.frame.schema
        self.names = checkouts.names
        self.vocabulary = checkouts.vocabulary

    def condition(self, condition: Condition) -> pl.Expr:
        if isinstance(condition, Clause):
            return self._clause(condition)
        if isinstance(condition, Not):
            return ~self.condition(condition.part)
        joint = and_ if isinstance(condition, All) else or_
        if not condition.parts:
            return pl.lit(isinstance(condition, All))
        return reduce(joint, [self.condition(part) for part in condition.parts])

    def _clause(self, clause: Clause) -> pl.Expr:
        if clause.fact not in self.schema or (clause.other is not None and clause.other not in self.schema):
            return _UNKNOWN
        fact = self._fact(clause.fact)
        if clause.op.startswith(("has", "lacks")):
            return self._set(clause)
        if fact.type == "set":
            raise _no_meaning(clause, fact)
        column = pl.col(clause.fact)
        if clause.op in ("in", "not in"):
            inside = self._inside(column, clause, fact)
            return inside if clause.op == "in" else ~inside
        if clause.other is not None:
            return self._compared(clause, fact)
        value = clause.value
        if fact.type in _ORDERED:
            if type(value) is not int:
                raise _no_meaning(clause, fact)
            if abs(value) > _INT64:
                return self._beyond(column, clause.op, value)
            return _COMPARED[clause.op](column, pl.lit(value, dtype=pl.Int64))
        if clause.op not in ("is", "is not"):
            raise _no_meaning(clause, fact)
        if fact.type == "bool":
            if type(value) is not bool:
                raise _no_meaning(clause, fact)
            return column if value is (clause.op == "is") else ~column
        same = self._is_one_of(column, clause.fact, frozenset({value}) if isinstance(value, str) else None)
        return same if clause.op == "is" else ~same

    def _fact(self, name: str) -> FactType:
        fact = self.vocabulary.get(name)
        if fact is None:
            raise ColumnsError("condition", name, "a fact of the vocabulary that the columns were read by")
        return fact

    def _inside(self, column: pl.Expr, clause: Clause, fact: FactType) -> pl.Expr:
        bound = clause.value
        if isinstance(bound, Range):
            if fact.type not in _ORDERED:
                raise _no_meaning(clause, fact)
            low, high = (
                pl.lit(max(min(end, _INT64), -_INT64), dtype=pl.Int64) for end in (bound.low, bound.high)
            )
            if not clause.open_end:
                return (column >= low) & (column <= high)
            if bound.low <= bound.high:
                return (column >= low) & (column < high)
            return (column >= low) | (column < high)
        if not isinstance(bound, frozenset) or fact.type not in ("enum", "text"):
            raise _no_meaning(clause, fact)
        return self._is_one_of(column, clause.fact, bound)

    def _is_one_of(self, column: pl.Expr, name: str, values: frozenset[str] | None) -> pl.Expr:
        dtype = self.schema[name]
        assert isinstance(dtype, pl.Enum), "enums and texts are read as Enums"
        there = [value for value in dtype.categories if values is not None and value in values]
        if not there:
            return _never(column)
        if len(there) <= _FEW:
            return reduce(or_, [column == pl.lit(value, dtype=dtype) for value in there])
        return column.is_in(pl.Series(there, dtype=dtype).implode())

    def _compared(self, clause: Clause, fact: FactType) -> pl.Expr:
        """One fact with another of its type."""
        assert clause.other is not None, "there is another fact"
        one, other = pl.col(clause.fact), pl.col(clause.other)
        other_type = self._fact(clause.other).type
        if fact.type in _ORDERED and other_type in _ORDERED:
            return _COMPARED[clause.op](one, other)
        if clause.op not in ("is", "is not") or fact.type in _ORDERED or other_type != fact.type:
            raise _no_meaning(clause, fact)
        if self.schema[clause.fact] != self.schema[clause.other]:
            one, other = one.cast(pl.String), other.cast(pl.String)
        return _COMPARED[clause.op](one, other)

    def _beyond(self, column: pl.Expr, op: str, value: int) -> pl.Expr:
        """Compared with a number that no column holds: the same answer wherever the fact is known."""
        known = _never(column)
        holds = op == "is not" or op in (("<", "<=") if value > 0 else (">", ">="))
        return ~known if holds else known

    def _set(self, clause: Clause) -> pl.Expr:
        fact = self._fact(clause.fact)
        if fact.type != "set" or (clause.other is not None and self._fact(clause.other).type != "set"):
            raise _no_meaning(clause, fact)
        all_of = clause.op in ("has all of", "lacks some of")
        if clause.other is not None:
            outcome = self._two_sets(clause.fact, clause.other, all_of)
        elif isinstance(clause.value, frozenset):
            outcome = self._has(clause.fact, clause.value, all_of)
        else:
            raise _no_meaning(clause, fact)
        return ~outcome if clause.op in ("has none of", "lacks some of") else outcome

    def _has(self, name: str, bound: frozenset[str], all_of: bool) -> pl.Expr:
        column, known = pl.col(name), self.names[name]
        there = [number for number, each in enumerate(known) if each in bound]
        if all_of and len(there) < len(bound):
            return _never(column)
        if self.schema[name] == pl.Int64:
            mask = pl.lit(sum(1 << bit for bit in there), dtype=pl.Int64)
            return (column & mask) == mask if all_of else (column & mask) != 0
        if not there and not all_of:
            return _never(column)
        hits = column.list.eval(pl.element().is_in(pl.Series(there, dtype=pl.UInt32).implode()))
        return hits.list.sum() == len(there) if all_of else hits.list.any()

    def _two_sets(self, one: str, other: str, all_of: bool) -> pl.Expr:
        first, second = (self._as_names(name) for name in (one, other))
        shared = first.list.set_intersection(second).list.len()
        return shared == second.list.len() if all_of else shared > 0

    def _as_names(self, name: str) -> pl.Expr:
        """A set's column as lists of names, for the rare case that two of them are compared."""
        known = self.names[name]
        if self.schema[name] != pl.Int64:
            return pl.col(name).list.eval(
                pl.element().replace_strict(dict(enumerate(known)), return_dtype=pl.String)
            )
        flags = [pl.when(pl.col(name) & (1 << bit) != 0).then(pl.lit(each)) for bit, each in enumerate(known)]
        listed = pl.concat_list(flags).list.drop_nulls() if flags else pl.lit([], dtype=pl.List(pl.String))
        return pl.when(pl.col(name).is_not_null()).then(listed)


_UNKNOWN: Final = pl.lit(None, dtype=pl.Boolean)
_FEW: Final = 4
_COMPARED: Final[Mapping[str, Callable[[pl.Expr, pl.Expr], pl.Expr]]] = {
    "is": lambda a, b: a == b,
    "is not": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _never(column: pl.Expr) -> pl.Expr:
    """False wherever the fact is known, and unknown where it is not."""
    return pl.when(column.is_not_null()).then(pl.lit(False))


def _no_meaning(clause: Clause, fact: FactType) -> ColumnsError:
    bound = clause.other if clause.other is not None else clause.value
    return ColumnsError(
        "condition", f"{clause.fact} {clause.op} {bound}", f"a comparison that {fact.type} facts have"
    )


# --- rules and plans -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Outcomes:
    """What some rules of a policy say of every row: the bit sets of `policy.first`, each rule's bit as a column.

    In `frame`, `v7` is true where the rule at position 7 is violated, null where an unknown fact decided and the
    rule says that this blocks, false where it passes; `p7`, where there is such a column, is true where its answer is
    on its way. A column of bits takes an eighth of a byte a row.
    """

    policy: Policy
    rules: tuple[int, ...]
    frame: pl.DataFrame
    asked: tuple[int, ...] = ()
    """The rules that were worked out; what the others say was known already."""
    lifted: Mapping[tuple[int, str | None], pl.Series] = dataclasses.field(default_factory=dict)
    """Where a special case takes a rule out of the way: of one plan, or of all (None). The columns above tell without."""

    def __len__(self) -> int:
        return self.frame.height

    def slice(self, start: int, rows: int) -> Outcomes:
        """Those of some rows; no column is copied."""
        lifted = {key: where.slice(start, rows) for key, where in self.lifted.items()}
        return dataclasses.replace(self, frame=self.frame.slice(start, rows), lifted=lifted)

    def violated(self, plan: str, index: int) -> pl.Expr:
        """Over `frame`: whether a rule is violated (unknown counts) and no special case lifts it for the plan."""
        return self._standing(pl.col(f"v{index}").fill_null(True), plan, index)

    def pending(self, plan: str, index: int) -> pl.Expr | None:
        """Over `frame`: whether a rule's answer is on its way; None where the rule waits for none."""
        if f"p{index}" not in self.frame.columns:
            return None
        return self._standing(pl.col(f"p{index}"), plan, index)

    def _standing(self, expr: pl.Expr, plan: str, index: int) -> pl.Expr:
        for key in ((index, None), (index, plan)):
            if key in self.lifted:
                expr &= ~pl.lit(self.lifted[key])
        return expr

    def trouble(self, plan: str, rules: Iterable[int]) -> tuple[pl.Expr, pl.Expr]:
        """Over `frame`: whether any of the rules is violated for the plan, and whether any is pending."""
        some = tuple(rules)
        violated = [self.violated(plan, index) for index in some]
        pending = [found for index in some if (found := self.pending(plan, index)) is not None]
        return reduce(or_, violated, pl.lit(False)), reduce(or_, pending, pl.lit(False))

    def words(self, which: Literal["violated", "unknown", "pending"]) -> list[np.ndarray[Anything, Anything]]:
        """The bit set as Int64 words: rule `i` is bit `i % 63` of word `i // 63`, as bit `1 << i` is in `Bits`."""
        columns: dict[int, pl.Series] = {}
        for index in self.rules:
            if which == "pending":
                if f"p{index}" in self.frame.columns:
                    columns[index] = self.frame[f"p{index}"]
                continue
            violated = self.frame[f"v{index}"]
            if which == "violated":
                columns[index] = violated.fill_null(True)
            elif violated.null_count():
                columns[index] = violated.is_null()
        return pack_words(columns, len(self.policy.rules), len(self))


def outcomes_of_words(
    policy: Policy,
    words: Mapping[Literal["violated", "unknown", "pending"], Sequence[np.ndarray[Anything, Anything]]],
) -> Outcomes:
    """The outcomes of the policy's rules over facts from their bit sets, as `Outcomes.words` gave them and they were kept.

    What special cases lift is no part of them.
    """
    columns = [pl.Series("rows", [True]).new_from_index(0, len(words["violated"][0]))]
    rules = _first_rules(policy)
    for index in rules:
        word, bit = divmod(index, WORD_BITS)
        violated, unknown, pending = (
            pl.Series((words[which][word] >> bit & 1).astype(np.bool_))
            for which in ("violated", "unknown", "pending")
        )
        column = pl.select(pl.when(~unknown).then(violated)).to_series()
        columns.append(column.alias(f"v{index}"))
        if policy.rules[index].pending is not None:
            columns.append(pending.alias(f"p{index}"))
    return Outcomes(policy, rules, pl.DataFrame(columns))


def both_vocabularies(before: Policy, after: Policy) -> dict[str, FactType]:
    """The facts of two policies, and of a fact that both have the values of either.

    Raises `ColumnsError` where a fact is of another type in each.
    """
    found = dict(before.vocabulary)
    for name, fact in after.vocabulary.items():
        known = found.get(name, fact)
        if known.type != fact.type:
            raise ColumnsError(
                "fact", f"{name}, {known.type} before and {fact.type} after", "the same type in both"
            )
        open_set = not known.values or not fact.values
        values = () if open_set else tuple(dict.fromkeys((*known.values, *fact.values)))
        found[name] = msgspec.structs.replace(fact, values=values)
    return found


def pack_words(
    columns: Mapping[int, pl.Series], bits: int, rows: int
) -> list[np.ndarray[Anything, Anything]]:
    """Boolean columns without nulls, by bit number, as Int64 words of 63 bits each.

    >>> [word.tolist() for word in pack_words({0: pl.Series([True, False]), 64: pl.Series([True, True])}, 65, 2)]
    [[1, 0], [2, 2]]
    """
    words: list[np.ndarray[Anything, Anything]] = []
    for first in range(0, max(bits, 1), WORD_BITS):
        # Eight bits at a time stay in the processor's cache; whole words of 64 would not.
        octets = np.zeros((rows, 8), dtype=np.uint8)
        for octet in range(8):
            end = min(first + octet * 8 + 8, first + WORD_BITS)
            some = [number for number in range(first + octet * 8, end) if number in columns]
            if not some:
                continue
            packed = np.zeros(rows, dtype=np.uint8)
            for number in some:
                packed |= columns[number].to_numpy().view(np.uint8) << (number - first - octet * 8)
            octets[:, octet] = packed
        words.append(octets.view("<i8")[:, 0])
    return words


def rule_outcomes(
    policy: Policy,
    checkouts: Checkouts,
    rules: Sequence[int] | None = None,
    *,
    known: Outcomes | None = None,
) -> Outcomes:
    """What rules say of every checkout; all rules over facts where none are named.

    `known` are outcomes over the same checkouts, under this policy or another: a rule that asks what one of its rules
    asked is not asked again.
    """
    if policy.snapshot.semantics not in KNOWN_SEMANTICS:
        raise ColumnsError(
            "snapshot.semantics", policy.snapshot.semantics, f"one of {sorted(KNOWN_SEMANTICS)}"
        )
    if rules is None:
        rules = _first_rules(policy)
    before = {} if known is None else {_asked(known.policy, index): index for index in known.rules}
    checkouts = _as_known(policy, checkouts)
    translator = _Translator(checkouts)
    exprs: list[pl.Expr] = []
    asked: list[int] = []
    columns: dict[str, pl.Series] = {}
    for index in rules:
        same = before.get(_asked(policy, index))
        if known is not None and same is not None:
            for prefix in "vp":
                if f"{prefix}{same}" in known.frame.columns:
                    columns[f"{prefix}{index}"] = known.frame[f"{prefix}{same}"].alias(f"{prefix}{index}")
            continue
        violated, pending = _rule_exprs(policy.resolved[index], translator)
        asked.append(index)
        exprs.append(violated.alias(f"v{index}"))
        if pending is not None:
            exprs.append(pending.alias(f"p{index}"))
    # The clock's column makes sure of the height: a rule may look at no column at all.
    answers = checkouts.frame.select("clock.now", *exprs)
    columns |= {series.name: series for series in answers.drop("clock.now")}
    rows = pl.Series("rows", [True]).new_from_index(0, len(checkouts))
    return Outcomes(
        policy,
        tuple(rules),
        pl.DataFrame([rows, *columns.values()]),
        tuple(asked),
        _lifted(policy, checkouts),
    )


def _lifted(policy: Policy, checkouts: Checkouts) -> dict[tuple[int, str | None], pl.Series]:
    """Where special cases take which rules out of which plan's way, as `decide` lifts them."""
    rows: dict[tuple[int, str | None], list[int]] = {}
    now = checkouts.frame["clock.now"]
    amounts = checkouts.frame["cart.amount"] if "cart.amount" in checkouts.frame.columns else None
    for row, one in checkouts.overrides:
        index = policy.rule_index.get(one.rule)
        # Nobody can grant away a rule of law.
        if index is None or policy.rules[index].layer == "law" or now[row] >= one.until:
            continue
        amount = None if amounts is None else amounts[row]
        if one.max_amount_minor is None or (amount is not None and amount <= one.max_amount_minor):
            rows.setdefault((index, one.plan), []).append(row)
    return {key: _rows_of(np.array(some), now) for key, some in rows.items()}


def _as_known(policy: Policy, checkouts: Checkouts) -> Checkouts:
    """The checkouts as the policy lets them count, as `fenqi.checkout.request.known_facts` does one.

    What is older than the policy lets it be is not known, and everybody's place in its rollouts is.
    """
    frame = checkouts.frame
    vocabulary = dict(checkouts.vocabulary)
    found: list[pl.Series] = []
    for name, seconds in policy.max_ages.items():
        told = AS_OF + name
        if name in frame.columns and told in frame.columns:
            fresh = (frame["clock.now"] - frame[told] <= seconds).fill_null(True)
            found.append(pl.select(pl.when(fresh).then(frame[name])).to_series().alias(name))
    frame = frame.with_columns(found)
    places: list[pl.Series] = []
    for rollout in policy.rollouts:
        name = PREFIX + rollout.salt
        if name in frame.columns or rollout.by not in frame.columns:
            continue
        who = frame[rollout.by]
        buckets = {each: bucket_of(rollout.salt, str(each)) for each in who.drop_nulls().unique()}
        if who.dtype != pl.Int64:
            who = who.cast(pl.String)
        places.append(who.replace_strict(buckets, default=None, return_dtype=pl.Int64).alias(name))
        vocabulary[name] = rollout_fact(rollout.salt)
    if not found and not places:
        return checkouts
    return dataclasses.replace(checkouts, frame=frame.with_columns(places), vocabulary=vocabulary)


def _first_rules(policy: Policy) -> tuple[int, ...]:
    """The rules of the first pass: those that look at no price."""
    return tuple(index for index, rule in enumerate(policy.rules) if not is_priced(rule))


def _asked(policy: Policy, index: int) -> tuple[object, ...]:
    """What decides a rule's outcome, whatever it is called and whomever it is about."""
    rule = policy.resolved[index]
    names = set() if rule.pending is None else {rule.pending.deadline}
    for tree in (rule.when, rule.require, None if rule.pending is None else rule.pending.when):
        names |= set() if tree is None else facts_of(tree)
    told_by = {PREFIX + rollout.salt: rollout.by for rollout in policy.rollouts}
    names |= {told_by[name] for name in names if name in told_by}
    counts = tuple(sorted((name, policy.max_ages.get(name), told_by.get(name, "")) for name in names))
    return (rule.when, rule.require, rule.blocked, rule.daily, rule.valid, rule.unknown, rule.pending, counts)


def _rule_exprs(rule: Rule, translator: _Translator) -> tuple[pl.Expr, pl.Expr | None]:
    """The rule's outcome (true: violated; null: unknown, and that blocks), and where its answer is on its way."""
    now, minute = pl.col("clock.now"), pl.col("clock.time")
    tests: list[pl.Expr] = []
    for window in (rule.valid, rule.blocked):
        if window is not None:
            tests += [] if window.start is None else [now >= pl.lit(window.start, dtype=pl.Int64)]
            tests += [] if window.end is None else [now < pl.lit(window.end, dtype=pl.Int64)]
    if rule.daily is not None:
        after, before = minute >= rule.daily.start, minute < rule.daily.end
        tests.append(after & before if rule.daily.start <= rule.daily.end else after | before)
    when = None if rule.when is None else translator.condition(rule.when)
    parts = [*tests]
    if when is not None:
        parts.append(when)
    if rule.require is not None:
        parts.append(~translator.condition(rule.require))
    outcome = reduce(and_, parts, pl.lit(True))
    if rule.unknown == "allow":
        outcome = outcome.fill_null(False)
    if rule.pending is None:
        return outcome, None
    asked = reduce(and_, tests, pl.lit(True))
    if when is not None:
        asked &= when.fill_null(True)
    asked &= translator.condition(rule.pending.when).fill_null(False)
    deadline = rule.pending.deadline
    in_time = (now < pl.col(deadline)).fill_null(False) if deadline in translator.schema else pl.lit(False)
    late = pl.lit(False) if rule.unknown == "allow" else _UNKNOWN
    outcome = pl.when(asked).then(pl.when(in_time).then(pl.lit(False)).otherwise(late)).otherwise(outcome)
    return outcome, asked & in_time


def states_of(policy: Policy, outcomes: Outcomes) -> pl.DataFrame:
    """Every plan's state in every row, by the rules over facts: an Enum column named by the plan's id."""
    frame = outcomes.frame
    answers: list[pl.Expr] = []
    for index, plan in enumerate(policy.plans):
        mask = policy.masks[index]
        violated, pending = outcomes.trouble(plan.id, (rule for rule in outcomes.rules if mask >> rule & 1))
        answers.append(state_expr(policy, plan.id, violated, pending).alias(plan.id))
    return frame.select("rows", *answers).drop("rows")


def state_expr(policy: Policy, plan: str, violated: pl.Expr, pending: pl.Expr) -> pl.Expr:
    """A plan's state where some rule is violated, where none is but one is pending, and elsewhere."""
    dtype = pl.Enum(STATES)
    opened = policy.open_verdicts[policy.plan_index[plan]].state
    return (
        pl.when(violated)
        .then(pl.lit("unavailable", dtype=dtype))
        .when(pending)
        .then(pl.lit("pending", dtype=dtype))
        .otherwise(pl.lit(opened, dtype=dtype))
    )

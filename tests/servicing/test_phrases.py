"""Every refusal of the core has its sentence in both languages, amounts and dates as people write them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

import pytest

from fenqi.contracts.acts import agreement, charging, dates, distress, goods, leasing, money, pledging
from fenqi.contracts.events import EventRefused
from fenqi_server.servicing.refusals import TITLES, phrase, refusal_of

MODULES = (agreement, charging, dates, distress, goods, leasing, money, pledging)
_SAMPLES = (
    ("outcome", "returned"),
    ("basis", "民法典634"),
    ("part_of_price", "5"),
    ("part", "fee"),
    ("unit", "week"),
    ("_on", "2026-11-23"),
    ("due_on", "2026-11-23"),
    ("earliest", "2026-11-23"),
    ("reason", "x"),
)


def said(node: ast.expr) -> Iterator[str]:
    """The texts that an argument may be, its gaps filled with samples."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from said(node.body)
        yield from said(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        text = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
            else:
                source = ast.unparse(part.value)  # type: ignore[attr-defined]
                text += next((sample for name, sample in _SAMPLES if name in source), "123")
        yield text


def phrases() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        tree = ast.parse(inspect.getsource(module))
        assigned = {
            ast.unparse(node.targets[0]): node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "refused":
                for argument in node.args[1:]:
                    value = (
                        assigned.get(ast.unparse(argument), argument)
                        if isinstance(argument, ast.Name)
                        else argument
                    )
                    # What is all gaps is what another room said, and is told in general words.
                    for text in (text for text in said(value) if re.search("[a-z]", text)):
                        yield module.__name__.rpartition(".")[2], text


FOUND = sorted(set(phrases()))


def test_there_are_refusals_to_be_found() -> None:
    assert len(FOUND) > 60
    assert {module for module, _ in FOUND} == {module.__name__.rpartition(".")[2] for module in MODULES}


@pytest.mark.parametrize(("module", "text"), FOUND)
def test_a_phrase_of_the_core_is_said_in_both_languages(module: str, text: str) -> None:
    told = phrase(text, "CNY")
    assert told is not None, f"{module} says {text!r}: give it a sentence in refusals.py"
    # No English is left in the Chinese, and no bare amount in either.
    assert not re.search(r"[A-Za-z]{2,}", told.zh_cn), told.zh_cn
    assert "{" not in told.zh_cn + told.en


def test_a_refusal_says_state_rule_and_way_out_with_amounts_and_dates_as_people_write_them() -> None:
    told = refusal_of(
        EventRefused("refund_paid", "123 to be refunded", "no more than that, not 200", "refund what is due"),
        "refund_paid",
        "CNY",
    )
    assert told.title == TITLES["refund_paid"]
    assert (
        told.detail.en
        == "¥1.23 is to be refunded; no more than that: ¥2.00 is too much. What can be done: refund what is due."
    )
    assert told.detail.zh_cn == "应退¥1.23；不能超过这个金额，¥2.00过多。可以：按应退金额退款。"


def test_what_is_not_known_is_said_in_general_words_and_never_lost() -> None:
    told = refusal_of(EventRefused("cancelled", "something new", "another rule", "a way"), "cancelled", "CNY")
    assert told.detail.en == "Something new; another rule. What can be done: a way."
    assert not re.search(r"[A-Za-z]", told.detail.zh_cn)

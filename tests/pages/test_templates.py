"""What every template and static file has to be: nothing inline, everything translated, small."""

from __future__ import annotations

import gzip
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "src" / "fenqi_server"
STATIC = SOURCES / "static" / "fenqi"
TEMPLATES = sorted(path for path in SOURCES.rglob("*.html"))

_INLINE = {
    "a style attribute": re.compile(r"\sstyle\s*=", re.I),
    "a style element": re.compile(r"<style\b", re.I),
    "an event attribute": re.compile(r"\son[a-z]+\s*=", re.I),
    "an htmx expression": re.compile(r"hx-on|\bjs:", re.I),
    "a script of its own": re.compile(r"<script\b(?![^>]*\bsrc=)", re.I),
    "a javascript: address": re.compile(r"javascript:", re.I),
    "an address elsewhere": re.compile(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", re.I),
    "text that is not escaped": re.compile(r"\|\s*safe\b|autoescape off", re.I),
}
_BANNED = ("低风险", "低门槛", "秒到账", "高收益", "低利率", "无成本")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_a_template_holds_nothing_inline_and_leaves_nothing_unescaped(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text())
    found = [what for what, pattern in _INLINE.items() if pattern.search(text)]
    assert not found, f"{path.name} has {', '.join(found)}"


def _gzipped(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9))


def test_the_widget_stays_within_its_budget() -> None:
    assert _gzipped(STATIC / "options.js") <= 5_000
    assert _gzipped(STATIC / "options.css") <= 3_000


def test_the_widget_does_no_arithmetic_on_money_and_needs_no_evaluation() -> None:
    script = (STATIC / "options.js").read_text()
    for word in (
        "eval(",
        "new Function",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "toFixed",
    ):
        assert word not in script, word


def test_every_style_of_the_widget_lies_in_its_own_layer() -> None:
    sheet = re.sub(r"/\*.*?\*/", "", (STATIC / "options.css").read_text(), flags=re.S).strip()
    assert sheet.startswith("@layer fenqi-options {")
    depth = 0
    for at, letter in enumerate(sheet):
        depth += (letter == "{") - (letter == "}")
        if depth == 0 and letter == "}":
            assert not sheet[at + 1 :].strip(), "something stands outside of the layer"


def test_every_message_is_translated_and_the_catalogue_is_compiled() -> None:
    spec = importlib.util.spec_from_file_location("messages", ROOT / "tools" / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    messages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(messages)
    assert messages.problems() == []


def test_no_page_promises_what_the_advertising_rules_forbid() -> None:
    """金融产品网络营销管理办法, article 10: words that make credit sound harmless."""
    written = "".join(path.read_text() for path in (*TEMPLATES, *SOURCES.rglob("*.po")))
    assert [word for word in _BANNED if word in written] == []

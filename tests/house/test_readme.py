"""The README shows a real answer: each figure in it is what the demo mall's service says."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def holds(answer: Any, shown: Any, at: str = "") -> list[str]:
    """Where `shown` says something that `answer` does not; a list shown may leave members out."""
    if type(answer) is not type(shown):
        return [f"{at}: the README says {shown!r}, the service {answer!r}"]
    if isinstance(shown, dict):
        missing = [f"{at}/{name} is not in the answer" for name in shown if name not in answer]
        return missing + [
            line
            for name, value in shown.items()
            if name in answer
            for line in holds(answer[name], value, f"{at}/{name}")
        ]
    if isinstance(shown, list):
        found = []
        for index, value in enumerate(shown):
            tries = [holds(member, value, f"{at}/{index}") for member in answer]
            found += min(tries, key=len, default=[f"{at}/{index}: the answer is empty"])
        return found
    return [] if answer == shown else [f"{at}: the README says {shown!r}, the service {answer!r}"]


def test_a_wrong_figure_is_noticed() -> None:
    assert holds({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}) == []
    assert holds({"a": [{"b": 1}]}, {"a": [{"b": 2}]})
    assert holds({"a": []}, {"a": [1]})
    assert holds({}, {"a": 1})


@pytest.fixture(scope="module")
def shown() -> dict[str, dict[str, Any]]:
    pages = {}
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        block = re.search(r"```json\n(.*?)```", text, re.DOTALL)
        assert block is not None, f"{name} shows no answer"
        pages[name] = json.loads(block[1])
    return pages


def test_the_answer_in_both_readmes_is_the_services_own(
    serve: Any, demo_site: None, shown: dict[str, dict[str, Any]]
) -> None:
    from fenqi_server.demo.seed import seed

    key = seed()["api_key"]
    server = serve(demo=True)
    asked = urllib.request.Request(
        f"{server.url}/v1/evaluations",
        data=(ROOT / "examples" / "api" / "evaluation.json").read_bytes(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answered:
        answer = json.load(answered)
    for name, page in shown.items():
        assert holds(answer, page) == [], name


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_link_of_the_readme_leads_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []

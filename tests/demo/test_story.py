"""The guided walk: each step makes ready what it needs, and leads to a page that shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

Visit = Callable[..., Any]


def _page(client: Any) -> str:
    answer = client.get("/demo/story/")
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("cause", ["agreement", "maintenance", "budget"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_step_leads_somewhere_and_it_can_be_started_over(
    visit: Visit, cause: str, language: str
) -> None:
    client = visit("good", language)
    assert client.post("/demo/story/begin", {"cause": cause}).status_code == 302
    page = _page(client)
    steps = re.findall(r'name="step" value="(\w+)"', page)
    assert (steps[0], steps[-1], len(steps)) == ("lower", "operator", 13)
    assert re.findall(r'person current" data-cause="(\w+)"', page) == [cause]
    for name in steps:
        answer = client.post("/demo/story/step", {"step": name})
        assert answer.status_code == 302, (name, answer.content.decode()[:400])
        assert client.get(answer["Location"]).status_code == 200, (name, answer["Location"])
    page = _page(client)
    assert {"en": "It is over.", "zh": "已结束。"}[language] in page
    assert "lower" not in re.findall(r'name="step" value="(\w+)"', page)
    assert client.post("/demo/story/begin", {"cause": cause}).status_code == 302
    page = _page(client)
    assert {"en": "It is over.", "zh": "已结束。"}[language] not in page
    assert re.findall(r'name="step" value="(\w+)"', page) == steps


def test_no_such_cause_and_no_such_step(visit: Visit) -> None:
    client = visit("good", "en")
    assert client.post("/demo/story/begin", {"cause": "weather"}).status_code == 422
    assert client.post("/demo/story/step", {"step": "dance"}).status_code == 404

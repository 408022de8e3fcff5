"""Reply templates: a frame around the checkout's own sentences."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.world import AT, GROWN_UP, PHONE

from fenqi.texts import LOCALES, Text
from fenqi_server.customers import service as customers
from fenqi_server.decisions import service as decisions
from fenqi_server.support import replies
from fenqi_server.support.diagnosis import customer_words


def test_the_ready_made_ones_say_what_the_checkout_says(mall: Any) -> None:
    customers.set_limit(mall.shop, mall.customer_id, 300_000)
    decision = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    for locale in LOCALES:
        words = customer_words(decision, "mall_12", locale)
        text = replies.fill_in(
            replies.READY_MADE[0], locale, case="1A2B3C4D", words=words, notice="https://x.example/n"
        )
        assert "1A2B3C4D" in text
        assert "https://x.example/n" in text
        assert words.state in text
        for reason in words.reasons:
            assert reason.title in text
            assert reason.when in text
        for way in words.instead:
            assert way.name in text


def test_a_gap_with_nothing_in_it_says_none() -> None:
    for template in replies.READY_MADE:
        for locale in LOCALES:
            text = replies.fill_in(template, locale, case="1")
            assert "{" not in text
            assert ("无" if locale == "zh-CN" else "none") in text or "{option}" not in template.body.en


def test_a_shop_writes_replaces_and_retires(mall: Any) -> None:
    def named() -> dict[str, str]:
        return {template.name: template.body.en for template in replies.templates(mall.shop)}

    ready = set(named())
    replies.save(mall.shop, "hello", Text("您好 {case}", "Hello {case}"), actor="staff:li", at=AT)
    replies.save(mall.shop, "hello", Text("您好！{case}", "Hello! {case}"), actor="staff:li", at=AT)
    assert named()["hello"] == "Hello! {case}"
    replies.retire(mall.shop, "hello", actor="staff:li", at=AT)
    replies.retire(mall.shop, "law", actor="staff:li", at=AT)
    assert set(named()) == ready - {"law"}
    replies.save(mall.shop, "law", Text("法", "Law"), actor="staff:li", at=AT)
    assert named()["law"] == "Law"


@pytest.mark.parametrize(
    ("name", "zh", "en", "said"),
    [
        ("", "好", "Well", "name"),
        ("x" * 81, "好", "Well", "name"),
        ("a", "", "Well", "Chinese text has 0"),
        ("a", "好", "", "English text has 0"),
        ("a", "好", "x" * 2001, "2001"),
        ("a", "好", "Until {untill}", "{untill}"),
        ("a", "{case:money}", "Well", "{case}"),
        ("a", "好", "{", "cannot be filled"),
    ],
)
def test_what_cannot_be_kept(mall: Any, name: str, zh: str, en: str, said: str) -> None:
    with pytest.raises(replies.BadTemplate, match="expected") as refused:
        replies.save(mall.shop, name, Text(zh, en), actor="staff:li", at=AT)
    assert said in refused.value.text.en
    assert refused.value.text.zh_cn != refused.value.text.en


def test_none_of_the_ready_made_ones_recommends_or_compares_credit() -> None:
    for template in replies.READY_MADE:
        for word in ("recommend", "best", "cheap", "better", "推荐", "最优", "划算", "更好", "优惠"):
            assert word not in template.body.en.lower()
            assert word not in template.body.zh_cn

"""What a customer can use and why: the checkout's own answer, with what the shop last said of them, and what nobody said unknown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.api.world import AT, GROWN_UP, PHONE, World, make_world
from tests.pages.page import Node, parse
from tests.portal.shop import RealShop, real_shop
from tests.servicing.opened import open_one

from fenqi_server.customers import service as customers
from fenqi_server.db import use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.portal.ways_views import _told

BEFORE = AT - timedelta(hours=1)


@pytest.fixture
def world(db: Any, at: Any) -> World:
    return make_world()


def browser(world: World, language: str = "en") -> Any:
    mall = RealShop(world.shop, world.key, world.customer_id, "")
    return mall.signed_in(world.customer_ref, language)


def page_of(client: Any, **asked: str) -> Node:
    answer = client.get("/account/ways/", asked)
    assert answer.status_code == 200, answer.content
    return parse(answer.content)


def families(page: Node) -> dict[str, Node]:
    return {node["data-family"]: node for node in page.all("li", data_fq_part="family")}


def tell(world: World, **facts: Any) -> decisions.Decision:
    return decisions.evaluate(
        world.shop, world.customer_id, (PHONE,), "web", dict(GROWN_UP) | facts, BEFORE, source="api"
    )


@pytest.mark.parametrize(
    ("language", "words"), [("en", "What I can use, and why"), ("zh", "我可用的付款方式及原因")]
)
def test_the_page_is_there_in_both_languages(world: World, language: str, words: str) -> None:
    page = page_of(browser(world, language))
    assert page.one("h1").text == words
    assert len(families(page)) == len(decisions.policies.current(world.shop.id, AT).families)


def test_it_says_what_the_checkout_would_say(world: World) -> None:
    tell(world)
    page = page_of(browser(world), amount="4999")
    use_shop(world.shop.id)
    (record, *_) = log.newest_of(world.customer_id, 1)
    assert record.source == "portal"
    evaluation = decisions.decision_of(world.shop, record).evaluation
    offered = {option.plan for option in evaluation.offers}
    assert offered
    assert {node["data-plan"] for node in page.all("li") if "data-plan" in node.attributes} == offered
    missing = {
        plan for node in page.all("div", data_fq_part="missing") for plan in node["data-plans"].split()
    }
    assert missing == {option.plan for option in evaluation.options} - offered


def test_a_seventeen_year_old_reads_why_and_what_instead(world: World) -> None:
    tell(world, **{"customer.age": 17})
    mall = families(page_of(browser(world)))["mall"]
    assert "not open" in mall.text
    assert mall.all("li", data_code="UNDERAGE")
    assert "Instead:" in mall.text


def test_whoever_the_shop_said_nothing_of_reads_that_it_is_not_known(world: World) -> None:
    page = page_of(browser(world))
    assert "The shop has told us nothing of you yet" in page.one("main").text
    mall = families(page)["mall"]
    assert "not known" in mall.text


def test_what_was_told_keeps_its_date_however_often_it_is_looked_at(world: World) -> None:
    told = tell(world)
    client = browser(world)
    page_of(client)
    page_of(client)
    use_shop(world.shop.id)
    newest = log.newest_of(world.customer_id, 5)
    assert [record.source for record in newest[:2]] == ["portal", "portal"]
    from fenqi_server.portal.visitor import PortalVisitor

    visitor = PortalVisitor(world.shop, world.customer_id, AT)
    found = _told(None, visitor, visitor.policy)  # type: ignore[arg-type]  # no request is looked at outside the demo
    assert found.at == told.request.at
    assert set(found.as_of.values()) == {told.request.at}


def test_an_amount_is_asked_about_and_nonsense_is_said_to_be_none(world: World) -> None:
    tell(world)
    client = browser(world)
    assert families(page_of(client, amount="10"))["mall"].all("li", data_code="AMOUNT_LOW")
    for wrong in ("much", "-1", "0", "1.005"):
        answer = client.get("/account/ways/", {"amount": wrong})
        assert answer.status_code == 422
        assert parse(answer.content).one("input", id="amount")["aria-invalid"] == "true"


def test_a_shop_without_a_policy_says_so(db: Any, at: Any) -> None:
    client = real_shop().signed_in()
    assert "no policy in force" in page_of(client).one("main").text


def test_support_and_the_wish_to_be_told_open_from_here(world: World) -> None:
    tell(world, **{"customer.age": 17})
    client = browser(world)
    links = [a["href"] for a in families(page_of(client))["mall"].all("a")]
    support = next(link for link in links if link.startswith("/support/new/"))
    answer = client.get(support)
    assert answer.status_code == 200
    sent = client.post(
        "/support/new/",
        {"message": "Why?", "decision": parse(answer.content).one("input", name="decision")["value"]},
    )
    assert sent.status_code == 302
    assert "Why?" in client.get(sent.headers["Location"]).content.decode()
    assert "Why?" not in browser(world, "en").get("/support/").content.decode()


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "Of the shop’s own line of ¥20,000.00, ¥14,000.00 is left for you."),
        ("zh", "商城自有额度¥20,000.00，您目前还可用¥14,000.00"),
    ],
)
def test_what_is_left_of_the_line_is_said_before_anything_is_asked(
    world: World, language: str, line: str
) -> None:
    # 20,000.00 may be owed; 6,000.00 of price are.
    open_one(world.shop, world.customer_id, at=BEFORE)
    said = page_of(browser(world, language)).one("p", data_fq_part="line").text
    assert line in said


def test_where_no_line_was_given_none_is_spoken_of(world: World) -> None:
    customers.set_limit(world.shop, world.customer_id, None)
    assert page_of(browser(world)).all("p", data_fq_part="line") == []


@pytest.mark.parametrize(
    ("language", "where"),
    [("en", "You agree to that at the checkout of an order"), ("zh", "您在结算订单时授权")],
)
def test_where_a_consent_is_missing_it_is_said_where_it_is_given(
    world: World, language: str, where: str
) -> None:
    tell(world)
    lacking = [
        node
        for node in page_of(browser(world, language)).all("div", data_fq_part="missing")
        if node.all("li", data_code="CONSENT_MISSING")
    ]
    assert lacking
    assert all(where in node.one("p", data_fq_part="consent").text for node in lacking)


def test_what_does_not_come_back_by_itself_is_not_promised_to_be_told_of(
    world: World, demo_site: None
) -> None:
    tell(world, **{"customer.age": 17})
    found = page_of(browser(world)).all("div", data_fq_part="missing")
    told = {
        ("Does not return by itself" in node.text): bool([a for a in node.all("a") if "Tell me" in a.text])
        for node in found
    }
    assert told[True] is False

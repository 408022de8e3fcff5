"""Leases and a pledge on the pages: rent, deposit, buyout and the end in the selector, the sheet to read before renting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from django.test import Client
from tests.engine.checkout.leasing import PLANS, SHOP, WAIVERS, loaded
from tests.pages.page import Node, parse
from tests.pages.test_walk import _agree, _form

Visit = Callable[..., Client]
TIER = WAIVERS.replace("customer.credit_score >= 600", "customer.tier >= 3").replace("SCORE_LOW", "REQUIRED")


def publish_leases() -> None:
    """Add a lessor, its leases and a pledge to the demo: the deposit is waived from the third tier on."""
    import fenqi_server.demo.seed as seed
    from fenqi.policy.document import load_policy
    from fenqi_server.demo import clock
    from fenqi_server.policies import service as policies
    from fenqi_server.shops import service as shops

    theirs = loaded(SHOP, PLANS, TIER).snapshot
    ours = load_policy(Path(seed.__file__).parent / "policy").snapshot
    assert theirs is not None
    assert ours is not None
    families = {"phone_rent", "pledge"}
    snapshot = msgspec.structs.replace(
        ours,
        funders=(*ours.funders, *(one for one in theirs.funders if one.id == "lessor")),
        families=(*ours.families, *(one for one in theirs.families if one.id in families)),
        plans=(*ours.plans, *(one for one in theirs.plans if one.family in families)),
        waivers=theirs.waivers,
    )
    shop = shops.by_code("mall")
    assert shop is not None
    policies.publish(shop, snapshot, clock.now(), "test", silent_reason="a test")


@pytest.fixture
def leased(visit: Visit) -> Visit:
    publish_leases()
    return visit


def _checkout(client: Client) -> Node:
    client.post("/cart/", {"sku": "cg-15"})
    answer = client.get("/checkout/")
    assert answer.status_code == 200
    return parse(answer.content)


def _part(term: Node, part: str) -> str:
    return term.one(data_fq_part=part).text


def test_the_selector_tells_rent_deposit_buyout_and_the_end(leased: Visit) -> None:
    page = _checkout(leased("student", "en"))
    # A phone for ¥4,999.00: 12 x 499 = 5988, 1600 to own it, 7588 in all.
    term = page.one("label", id="term-rent_12")
    assert _part(term, "per") == "¥499.00 a month × 12"
    assert _part(term, "fee") == "¥2,589.00 above the price · ¥7,588.00 to own it"
    assert _part(term, "end") == "At the end, on 23 Nov 2027: yours for ¥1,600.00 more, or it goes back."
    assert _part(term, "deposit") == "Deposit ¥1,000.00 frozen, not paid; it pays part of the buyout"
    assert _part(term, "why-deposit") == "The deposit of this lease is not waived this time."
    only = page.one("label", id="term-rent_only")
    # 8 % of 4999 is 399.92, six times.
    assert _part(only, "per") == "¥399.92 a month × 6"
    assert _part(only, "fee") == "rent only, not yours · ¥2,399.52 in all"
    assert _part(only, "cost") == "No annual cost nothing is bought"
    assert _part(only, "end") == "At the end, on 23 May 2027: it goes back."
    headings = [heading.text for heading in page.one("form", id="choose").all("h2")]
    assert "Instalments, loans and rentals" in headings
    assert page.one("section", aria_labelledby="group-instalment").text.count("rent_12") == 0


def test_in_chinese_too_and_waived_for_those_who_need_none(leased: Visit) -> None:
    page = _checkout(leased("good", "zh"))
    term = page.one("label", id="term-rent_12")
    assert _part(term, "per") == "每月 ¥499.00 × 12 期"
    assert _part(term, "fee") == "比商品价多 ¥2,589.00 · 买断共 ¥7,588.00"
    assert _part(term, "end") == "期满（2027年11月23日）：再付 ¥1,600.00 归您所有，或归还商品。"
    assert _part(term, "deposit") == "已免押金 ¥1,000.00"
    assert not term.all(data_fq_part="why-deposit")
    assert "分期、贷款与租赁" in [heading.text for heading in page.one("form", id="choose").all("h2")]


def test_a_pledge_is_a_way_of_paying_that_says_when_it_takes_the_money(leased: Visit) -> None:
    page = _checkout(leased("good", "en"))
    term = page.one("label", id="term-pledge")
    assert _part(term, "per") == "¥4,999.00"
    assert "taken on 31 Jan 2027 if the campaign succeeds, else released in full" in _part(term, "fee")


def _sheet(client: Client, plan: str) -> Node:
    page = _checkout(client)
    answer = client.get("/checkout/sheet", {**_form(page.one("form", id="choose")), "plan": plan})
    assert answer.status_code == 200, answer.content.decode()[:2000]
    return parse(answer.content)


@pytest.mark.parametrize(
    ("language", "title", "ratio", "sale"),
    [
        (
            "en",
            "Before you rent",
            "A year's rents of ¥5,988.00 and the buyout of ¥1,600.00 are 151.80% of the price of ¥4,999.00.",
            "Being late never turns the lease into a sale.",
        ),
        (
            "zh",
            "租前须知",
            "一年的租金¥5,988.00加买断价¥1,600.00，是商品价¥4,999.00的151.80%。",
            "逾期不会自动转为购买。",
        ),
    ],
)
def test_what_to_know_before_renting_stands_above_the_button(
    leased: Visit, language: str, title: str, ratio: str, sale: str
) -> None:
    page = _sheet(leased("student", language), "rent_12")
    section = page.one("section", data_fq_part="lease-sheet")
    assert section.one("h2").text == title
    points = {
        point.attributes["data-point"]: point.one("dd").text
        for point in section.all("div")
        if "data-point" in point.attributes
    }
    assert points["ratio"] == ratio
    assert points["no_sale"] == sale
    assert len(points) == 11
    table = page.one("table", class_="dense")
    rows = [row.all("td") for row in table.one("tbody").all("tr")]
    # 12 rents and the buyout, from which nothing of a frozen deposit is missing.
    assert len(rows) == 13
    assert rows[-1][0].text in ("Buyout", "买断款")
    assert "¥1,600.00" in rows[-1][4].text
    assert page.one("dd", data_figure="per").text.startswith("¥499.00 × 12")


def test_a_lease_is_agreed_to_and_goes_on_to_its_lessor(leased: Visit) -> None:
    client = leased("good", "en")
    sheet = _sheet(client, "rent_12")
    assert "what to know before renting" in sheet.one("form", id="agree").text
    answer = _agree(client, sheet)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    assert answer["Location"].startswith("/funders/pretend/")


def test_the_product_page_does_not_sell_a_rent_as_an_instalment(leased: Visit) -> None:
    answer = leased("good", "en").get("/product/cg-15/")
    assert answer.status_code == 200
    # The dearest month of the lease, ¥499 or ¥1,600, and of renting, ¥399.92: none of them is a price of a month of buying.
    assert not {"¥399.92", "¥499.00", "¥1,600.00"} & set(parse(answer.content).text.split())

"""The whole story without a script: buying, paying, handing off, and the four ways on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from tests.pages.page import Node, parse

from fenqi.money import format_money
from fenqi.terms.disclosure import digest
from fenqi_server.books.proof import prove
from fenqi_server.decisions import service as decisions
from fenqi_server.demo import clock
from fenqi_server.servicing import returns
from fenqi_server.servicing import service as servicing
from fenqi_server.shops import service as shops

Visit = Callable[..., Client]


def _form(form: Node) -> dict[str, str]:
    return {
        field["name"]: field["value"]
        for field in form.all("input")
        if field.attributes.get("type") == "hidden" and "name" in field.attributes
    }


def _sheet(client: Client, plan: str, sku: str = "cg-15") -> Node:
    client.post("/cart/", {"sku": sku})
    page = parse(client.get("/checkout/").content)
    answer = client.get("/checkout/sheet", {**_form(page.one("form", id="choose")), "plan": plan})
    assert answer.status_code == 200, answer.content.decode()[:2000]
    return parse(answer.content)


def _read(seconds: int = 10) -> None:
    """Time passes while the table is read."""
    clock.move_to(clock.now() + timedelta(seconds=seconds))


def _agree(client: Client, sheet: Node, *, seconds: int = 10, **further: str) -> Any:
    """Read the table, tick what is to be ticked, and agree."""
    _read(seconds)
    form = sheet.one("form", id="agree")
    consent = [box["value"] for box in form.all("input", name="consent")]
    data = {**_form(form), "read": "yes", **({"consent": consent[0]} if consent else {}), **further}
    return client.post("/checkout/sheet", data)


def _move(client: Client, to: str) -> Node:
    return parse(client.post("/demo/clock", {"to": to}, follow=True).content)


def test_the_good_customer_buys_a_phone_over_twelve_months_and_pays_the_first(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "mall_12")
    decision = decisions.load(_form(sheet.one("form", id="agree"))["decision"])
    option = decision.evaluation.option("mall_12")
    assert option.schedule is not None
    assert option.disclosure is not None
    shown = [node.text for node in sheet.all("strong", data_figure="row-total")]
    assert shown == [format_money(row.total_minor, "CNY") for row in option.schedule.rows]
    assert "checked" not in sheet.one("input", name="read").attributes
    assert "Late charge" in sheet.text
    assert "nothing but what is listed here will be charged" in sheet.text
    assert _form(sheet.one("form", id="agree"))["disclosure"] == digest(option.disclosure)

    answer = _agree(client, sheet)
    assert answer.status_code == 302
    page = parse(client.get(answer["location"]).content)
    owed = [node.text for node in page.all("span", data_figure="due")]
    assert owed == shown
    assert page.one(data_figure="balance").text == format_money(option.schedule.total_minor, "CNY")
    assert parse(client.get("/cart/").content).text.count("Your cart is empty") == 1

    pay = next(form for form in page.all("form") if form["action"].endswith("/pay/"))
    bank = client.post(pay["action"], _form(pay), follow=True)
    page = parse(bank.content)
    assert "This bank is pretend" in page.text
    assert page.one(data_figure="amount").text == shown[0]
    form = page.one("form", class_="card")
    paid = client.post(form["action"], {**_form(form), "answer": "pay"}, follow=True)
    again = client.post(form["action"], {**_form(form), "answer": "pay"}, follow=True)
    for answer in (paid, again):
        page = parse(answer.content)
        assert page.all("td", data_figure="paid")[0].text == shown[0]
        left = option.schedule.total_minor - option.schedule.rows[0].total_minor
        assert page.one(data_figure="balance").text == format_money(left, "CNY")
    assert f"{shown[0]} received" in page.text
    report = prove(connection)
    assert report.ok, report

    disclosure = parse(client.get(f"{pay['action'].removesuffix('pay/')}disclosure/").content)
    assert [node.text for node in disclosure.all("strong", data_figure="row-total")] == shown


def test_an_order_whose_goods_went_back_says_so(visit: Visit) -> None:
    client = visit("good")
    address = _agree(client, _sheet(client, "mall_12"))["location"]
    made = address.removeprefix("/contracts/").partition("/")[0]
    shop = shops.only_shop()

    def state() -> str:
        row = next(row for row in parse(client.get("/orders/").content).all("tr") if "4,999.00" in row.text)
        assert client.get(row.one("a")["href"]).status_code == 200
        return row.one("span", class_="state").text

    price = sum(row.principal_minor for row in servicing.get(shop, made, at=clock.now()).terms.rows)
    before = state()
    returns.confirm_return(shop, made, "R-1", price // 2, clock.now())
    half = state()
    returns.confirm_return(shop, made, "R-2", price - price // 2, clock.now())
    assert (before, half, state()) == ("placed", "went back in part", "went back")


def test_without_the_tick_nothing_is_agreed(visit: Visit) -> None:
    client = visit("good")
    answer = _agree(client, _sheet(client, "mall_12"), read="")
    assert answer.status_code == 422
    assert "tick the box" in answer.content.decode()
    assert "No orders yet" not in client.get("/orders/").content.decode()
    assert len(parse(client.get("/orders/").content).all("tbody")[0].all("tr")) == 1


def test_the_same_form_sent_twice_is_one_order(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "mall_3")
    first, second = _agree(client, sheet), None
    client.post("/cart/", {"sku": "cg-15"})
    second = _agree(client, sheet)
    assert first.status_code == second.status_code == 302
    assert second["location"].split("?")[0] == first["location"].split("?")[0]


def test_a_cart_changed_elsewhere_shows_old_beside_new(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "mall_12")
    client.post("/cart/", {"sku": "cg-case"})
    answer = _agree(client, sheet)
    page = parse(answer.content)
    assert "What changed" in page.text
    assert "¥4,999.00" in page.text
    assert "¥5,148.00" in page.text
    assert _agree(client, page).status_code == 302


def test_an_offer_that_ran_out_is_made_again_and_says_so(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "mall_12")
    _move(client, "hour")
    answer = _agree(client, sheet)
    assert answer.status_code == 409
    page = parse(answer.content)
    assert "Nothing was ordered and nothing was charged" in page.text
    again = next(link["href"] for link in page.all("a") if link.text == "See the new offer")
    assert _agree(client, parse(client.get(again).content)).status_code == 302


def test_an_offer_that_closed_meanwhile_answers_409_with_what_else_there_is(visit: Visit) -> None:
    client = visit("good")
    client.post("/demo/clock", {"instant": "2026-11-23T21:55"})
    sheet = _sheet(client, "mall_12")
    client.post("/demo/clock", {"instant": "2026-11-23T22:05"})
    answer = _agree(client, sheet)
    assert answer.status_code == 409
    page = parse(answer.content)
    assert [item["data-code"] for item in page.one(class_="fq-reasons").all("li")] == ["MAINTENANCE"]
    way = page.all(data_fq_part="instead")[0]["href"]
    assert client.get(way).status_code == 200


def test_in_its_maintenance_the_last_used_way_keeps_its_place(visit: Visit) -> None:
    client = visit("good")
    client.post("/cart/", {"sku": "cg-15"})
    before = [node["id"] for node in parse(client.get("/checkout/").content).all("fieldset")]
    _move(client, "maintenance")
    page = parse(client.get("/checkout/").content)
    after = [node["id"] for node in page.all("fieldset")]
    assert after.index("family-mall") == before.index("family-mall")
    family = page.one("fieldset", id="family-mall")
    assert "You used this last time" in family.text
    assert not family.all("input", type="radio")
    row = family.one("div", class_="fq-missing")
    assert row["data-plans"] == "mall_3 mall_6 mall_12"
    assert row.one(data_fq_part="until").text == "Back on 24 Nov 02:00"
    parents = []
    node: Node | None = row
    while node is not None:
        parents.append(node.tag)
        node = node.parent
    assert "details" not in parents, "what the customer usually takes is not folded away"
    for way in ("notice", "support", "notify"):
        assert client.get(row.one(data_fq_part=way)["href"]).status_code == 200
    assert client.get(row.all(data_fq_part="instead")[0]["href"]).status_code == 200


def _hand_off(client: Client, plan: str, answer: str) -> Node:
    response = _agree(client, _sheet(client, plan))
    assert response.status_code == 302, response.content.decode()[:3000]
    page = parse(client.get(response["location"]).content)
    assert "pretend" in page.text
    response = client.post(response["location"], {"answer": answer})
    if response.status_code == 302:
        return parse(client.get(client.get(response["location"])["location"]).content)
    return parse(client.get("/orders/").content)


def test_a_hand_off_that_is_approved_is_a_paid_order(visit: Visit) -> None:
    client = visit("good")
    page = _hand_off(client, "tingchao_12", "approved")
    assert page.one(data_fq_part="state").text == "paid"
    assert "Your cart is empty" in client.get("/cart/").content.decode()


def test_a_hand_off_that_is_declined_leads_to_what_else_there_is(visit: Visit) -> None:
    client = visit("good")
    page = _hand_off(client, "tingchao_12", "declined")
    assert page.one(data_fq_part="state").text == "declined"
    ways = page.all(data_fq_part="instead")
    assert ways
    assert not [way for way in ways if "plan=tingchao" in way["href"]]
    assert _agree(client, parse(client.get(ways[0]["href"]).content)).status_code == 302


def test_silence_is_unknown_until_the_funder_is_asked(visit: Visit) -> None:
    client = visit("good")
    orders = _hand_off(client, "card_full", "silent_approved")
    link = orders.all("tbody")[0].all("a")[0]["href"]
    assert "waiting for the funder" in orders.text
    client.post("/demo/clock", {"instant": "2026-11-23T11:00"})
    page = parse(client.get(link).content)
    assert page.one(data_fq_part="state").text in ("paid", "unknown")
    client.post(f"{link}ask/")
    assert parse(client.get(link).content).one(data_fq_part="state").text == "paid"


def test_no_order_goes_to_a_funder_without_the_customers_word(visit: Visit) -> None:
    client = visit("good")
    sheet = _sheet(client, "tingchao_12")
    answer = _agree(client, sheet, consent="")
    assert answer.status_code == 422
    assert "agree" in answer.content.decode()


def test_a_notice_says_what_the_policy_says(visit: Visit) -> None:
    page = parse(visit("good").get("/announcements/cloudpay-2026-11/").content)
    facts = page.one("dl", class_="facts").text
    for words in (
        "CloudPay changed its terms",
        "15 Nov 00:00",
        "not known yet",
        "3 instalments",
        "1 Dec 10:00",
    ):
        assert words in facts
    assert page.all(class_="fq-instead")[0].all("li")


def _ask_back(client: Client, email: str) -> Any:
    page = parse(client.get("/checkout/").content)
    row = next(node for node in page.all("div", class_="fq-missing") if "mall_12" in node["data-plans"])
    form = next(
        form
        for form in parse(client.get(row.one(data_fq_part="notify")["href"]).content).all("form")
        if form["action"] == "/notify/"
    )
    return client.post(
        "/notify/", {**_form(form), "plan": "mall_12", "email": email, "at_night": "yes"}, follow=True
    )


def test_who_asked_is_told_once_when_it_is_back_for_them_and_nobody_else_is(visit: Visit) -> None:
    good, over = visit("good", "en"), visit("over_limit", "zh")
    for client in (good, over):
        client.post("/cart/", {"sku": "cg-15"})
    _move(good, "maintenance")
    assert "We will tell you" in _ask_back(good, "chen.jing@example.com").content.decode()
    assert _ask_back(good, "chen.jing@example.com").status_code == 200
    assert _ask_back(over, "zhao.xue@example.com").status_code == 200
    assert "mailbox is empty" in good.get("/mailbox/").content.decode()

    report = _move(good, "after").one(data_fq_part="report").text
    assert "Customers told that a way is back: 1" in report
    box = parse(good.get("/mailbox/").content)
    assert len(box.all("div", class_="mail")) == 1
    assert "chen.jing@example.com" in box.text
    assert "zhao.xue@example.com" not in box.text
    assert "Mall instalments × 12" in box.text
    link = next(a["href"] for a in box.one("div", class_="mail").all("a") if "/notify/" in a["href"])
    address = "/" + link.split("/", 3)[3]
    assert "You have been told" in visit("new").get(address).content.decode()
    assert visit("new").get(address.split("?")[0]).status_code == 404

    _move(good, "hour")
    assert len(parse(good.get("/mailbox/").content).all("div", class_="mail")) == 1


def test_a_wish_can_be_taken_back_and_its_address_goes(visit: Visit) -> None:
    client = visit("good")
    client.post("/cart/", {"sku": "cg-15"})
    _move(client, "maintenance")
    address = _ask_back(client, "chen.jing@example.com").redirect_chain[-1][0]
    page = client.post(address, follow=True).content.decode()
    assert "Request cancelled" in page
    assert "chen.jing@example.com" not in page
    _move(client, "after")
    assert "mailbox is empty" in client.get("/mailbox/").content.decode()


@pytest.mark.parametrize("email", ["", "nobody", "a@b", "x" * 300 + "@example.com"])
def test_an_address_that_is_none_is_said_to_be_none(visit: Visit, email: str) -> None:
    client = visit("good")
    client.post("/cart/", {"sku": "cg-15"})
    _move(client, "maintenance")
    answer = _ask_back(client, email)
    assert answer.status_code == 422
    assert parse(answer.content).one("input", id="email")["aria-describedby"].startswith("email-error")


def test_a_case_carries_its_decision_and_the_agent_reads_the_same_reasons(visit: Visit) -> None:
    client = visit("overdue")
    client.post("/cart/", {"sku": "cg-15"})
    page = parse(client.get("/checkout/").content)
    row = next(node for node in page.all("div", class_="fq-missing") if "mall_12" in node["data-plans"])
    codes = [item["data-code"] for item in row.one(class_="fq-reasons").all("li")]
    assert "OVERDUE_EXISTS" in codes
    form = next(
        form
        for form in parse(client.get(row.one(data_fq_part="support")["href"]).content).all("form")
        if form["action"] == "/support/new/"
    )
    answer = client.post(
        "/support/new/", {**_form(form), "message": "Why can I not use it? <b>"}, follow=True
    )
    case = answer.redirect_chain[-1][0]
    assert [
        item["data-code"] for item in parse(answer.content).one("ul", data_fq_part="reasons").all("li")
    ] == codes

    agent = visit("new")
    agent.post("/demo/staff/in", {"username": "fang"})
    desk = parse(agent.get("/console/cases/").content)
    link = desk.all("tbody")[0].all("a")[0]["href"]
    page = parse(agent.get(link).content)
    assert [
        item["data-code"] for item in page.one("ol", data_fq_part="reasons").all("li", class_="stack-s")
    ] == codes
    diagnosis = next(
        found["href"] for found in page.all("a") if found["href"].startswith("/console/diagnosis/")
    )
    page = parse(agent.get(diagnosis).content)
    assert "identical with the record" in page.text
    assert [note["data-code"] for note in page.all(class_="note") if "data-code" in note.attributes] == codes
    # Which figures of risk it was is for those whose work it is.
    assert "risk.overdue" not in page.text
    assert "Who may see them" in page.text
    agent.post(f"{link}reply", {"message": "Pay the November instalment and it opens at once."})
    page = parse(client.get(case).content)
    assert "Pay the November instalment" in page.text
    assert "answered" in page.text
    assert visit("good").get(case).status_code == 404


def test_a_case_knows_where_it_came_from(visit: Visit) -> None:
    from fenqi_server.shops.service import only_shop
    from fenqi_server.support import cases

    client = visit("good")

    def asks(link: str) -> cases.Case:
        form = next(
            form for form in parse(client.get(link).content).all("form") if form["action"] == "/support/new/"
        )
        answer = client.post("/support/new/", {**_form(form), "message": "Why?"})
        return cases.get(only_shop(), answer["location"].rstrip("/").rpartition("/")[2])[0]

    notice = parse(client.get("/announcements/beichen-nightly/").content)
    link = next(found["href"] for found in notice.all("a") if found["href"].startswith("/support/new/"))
    from_notice = asks(link)
    assert (from_notice.came_from, from_notice.notice) == ("notice", "beichen-nightly")
    assert asks("/support/new/").came_from == "portal"
    client.post("/cart/", {"sku": "cg-15"})
    _move(client, "maintenance")
    row = next(
        node
        for node in parse(client.get("/checkout/").content).all("div", class_="fq-missing")
        if "mall_12" in node["data-plans"]
    )
    from_checkout = asks(row.one(data_fq_part="support")["href"])
    assert (from_checkout.came_from, from_checkout.plan in row["data-plans"].split()) == ("checkout", True)


def test_what_a_product_page_said_is_recorded_and_found_from_its_own_link(visit: Visit) -> None:
    client = visit("over_limit")
    page = parse(client.get("/product/cg-15-pro/").content)
    link = next(
        found["href"] for found in page.all("a") if found["href"].startswith("/support/new/?decision=")
    )
    form = next(
        form for form in parse(client.get(link).content).all("form") if form["action"] == "/support/new/"
    )
    client.post("/support/new/", {**_form(form), "message": "Why is it missing here?"})
    client.post("/demo/staff/in", {"username": "fang"})
    found = parse(client.post("/console/cases/find/", {"asked": page.all("code")[-1].text}).content)
    assert "product page" in found.one("tbody").text
    diagnosis = client.get(found.one("tbody").one("a")["href"])
    assert "identical with the record" in parse(diagnosis.content).text


def test_a_special_case_is_shown_at_the_checkout_with_its_end_and_ends(visit: Visit) -> None:
    """Asked for by one, approved by another, shown to its customer and to nobody else."""
    from datetime import timedelta

    from fenqi_server import clock
    from fenqi_server.customers import service as customers
    from fenqi_server.shops.service import only_shop
    from fenqi_server.support import overrides

    client, shop = visit("over_limit"), only_shop()
    client.post("/cart/", {"sku": "cg-15"})
    assert not parse(client.get("/checkout/").content).all(data_fq_part="special")
    owner = customers.find(shop, "over_limit")
    assert owner is not None
    at = clock.now()
    asked = overrides.ask(
        shop,
        owner,
        "customer.line",
        actor="staff:a",
        reason="why",
        max_amount_minor=2_000_000,
        hours=24,
        at=at,
    )
    overrides.approve(shop, asked.public_id, actor="staff:b", at=at)
    page = parse(client.get("/checkout/").content)
    badges = page.one(id="family-mall").all(data_fq_part="special")
    assert badges
    assert all("Special case open to you until 24 Nov 10:00" in badge.text for badge in badges)
    zh = visit("over_limit", "zh")
    zh.post("/cart/", {"sku": "cg-15"})
    assert "特批" in parse(zh.get("/checkout/").content).one(id="family-mall").text
    others = visit("good")
    others.post("/cart/", {"sku": "cg-15"})
    assert not parse(others.get("/checkout/").content).all(data_fq_part="special")
    sheet = client.get("/checkout/sheet", {**_form(page.one("form", id="choose")), "plan": "mall_12"})
    overrides.revoke(shop, asked.public_id, actor="staff:b", at=at + timedelta(minutes=1), note="over")
    refused = parse(_agree(client, parse(sheet.content)).content)
    assert "The special case made for you was revoked" in refused.text
    assert "Nothing was agreed or charged" in refused.text
    assert not parse(client.get("/checkout/").content).all(data_fq_part="special")


def test_the_clock_only_goes_forward(visit: Visit) -> None:
    client = visit("good")
    answer = client.post("/demo/clock", {"instant": "2026-11-01T00:00"})
    assert answer.status_code == 422
    assert "only goes forward" in answer.content.decode()
    assert client.post("/demo/clock", {"instant": "soon"}).status_code == 422
    assert client.post("/demo/clock", {"instant": "2029-01-01T00:00"}).status_code == 422


def test_the_next_due_date_comes_by_the_clock_and_is_reported(visit: Visit) -> None:
    client = visit("over_limit")
    report = _move(client, "due").one(data_fq_part="report").text
    assert "30 Nov" in report
    assert "Instalments that came due: 1" in report


def test_overdue_is_so_because_of_the_contract_and_ends_when_it_is_paid(visit: Visit) -> None:
    client = visit("overdue")
    client.post("/cart/", {"sku": "cg-lite"})
    link = parse(client.get("/contracts/").content).one("main").all("h2")[0].all("a")[0]["href"]
    page = parse(client.get(link).content)
    assert "past due" in page.text
    assert not parse(client.get("/checkout/").content).all("label", id="term-mall_3")
    pay = next(form for form in page.all("form") if form["action"].endswith("/pay/"))
    form = parse(client.post(pay["action"], _form(pay), follow=True).content).one("form", class_="card")
    client.post(form["action"], {**_form(form), "answer": "pay"})
    assert parse(client.get("/checkout/").content).all("label", id="term-mall_3")


@pytest.mark.parametrize("amount", ["0", "-5", "99999999", "1.5", "much"])
def test_more_than_is_owed_is_refused_before_any_money_moves(visit: Visit, amount: str) -> None:
    client = visit("overdue")
    link = parse(client.get("/contracts/").content).one("main").all("h2")[0].all("a")[0]["href"]
    answer = client.post(f"{link}pay/", {"amount": amount})
    assert answer.status_code == 422
    assert "No money has moved" in answer.content.decode()


def test_seeding_twice_changes_nothing_but_the_key(mall: None) -> None:
    from fenqi_server.demo.seed import seed
    from fenqi_server.shops.service import caller_of, forget_caches

    with connection.cursor() as cursor:

        def counts() -> list[int]:
            found = []
            for table in (
                "servicing_contract",
                "storefront_order",
                "books_transaction",
                "customers_customer",
            ):
                cursor.execute(f"SELECT count(*) FROM {table}")
                found.append(cursor.fetchone()[0])
            return found

        before = counts()
        first, second = seed()["api_key"], seed()["api_key"]
        assert counts() == before
    forget_caches()
    now = datetime(2026, 11, 23, 3, tzinfo=UTC)
    assert caller_of(second, now) is not None
    assert caller_of(first, now) is None

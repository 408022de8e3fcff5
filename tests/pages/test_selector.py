"""The selector tells an evaluation whole: figures to the fen, every reason, an end or "unknown", and four ways on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from tests.pages.page import Node, parse

from fenqi.money import format_money
from fenqi.terms.disclosure import percent
from fenqi_server.decisions import service as decisions

Visit = Callable[..., Client]


def _checkout(client: Client, sku: str = "cg-15") -> Node:
    client.post("/cart/", {"sku": sku})
    answer = client.get("/checkout/")
    assert answer.status_code == 200
    return parse(answer.content)


def _decision(page: Node) -> decisions.Decision:
    return decisions.load(page.one("form", id="choose").one("input", name="decision")["value"])


def _yuan(minor: int) -> str:
    return format_money(minor, "CNY")


@pytest.mark.parametrize("person", ["new", "student", "good", "overdue", "over_limit"])
@pytest.mark.parametrize("sku", ["cg-15", "cg-fold", "cg-case"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_figure_of_every_offer_is_the_engines_to_the_fen(
    visit: Visit, person: str, sku: str, language: str
) -> None:
    page = _checkout(visit(person, language), sku)
    evaluation = _decision(page).evaluation
    radios = page.all("input", type="radio")
    assert {radio["value"] for radio in radios} == {option.plan for option in evaluation.offers}
    for option in evaluation.offers:
        assert option.schedule is not None
        assert option.cost is not None
        term = page.one("label", id=f"term-{option.plan}")
        rows = option.schedule.rows
        if option.legal_form == "full_payment":
            assert term.one(data_fq_part="per").text == _yuan(option.schedule.total_minor)
            continue
        usual = rows[len(rows) // 2].total_minor
        assert term.one(data_fq_part="per").text.startswith(f"{_yuan(usual)} × {len(rows)}")
        for row in (rows[0], rows[-1]):
            if row.total_minor != usual:
                assert _yuan(row.total_minor) in term.one(data_fq_part="odd").text
        fee = term.one(data_fq_part="fee").text
        assert _yuan(option.schedule.total_minor) in fee
        assert (_yuan(option.cost.fee_minor) in fee) is bool(option.cost.fee_minor)
        cost = term.one(data_fq_part="cost").text
        shown = "0%" if option.cost.simple_e12 == 0 else percent(option.cost.simple_e12 or 0) + "%"
        assert f" {shown} " in f" {cost} "
        assert "IRR" in cost, "the method stands beside every figure, at 0 % too"


def test_loans_and_payment_tools_are_two_headed_groups_and_nothing_is_chosen(visit: Visit) -> None:
    page = _checkout(visit("good"))
    assert [heading.text for heading in page.one("form", id="choose").all("h2")][:2] == [
        "Payment",
        "Instalments and loans",
    ]
    radios = page.all("input", type="radio")
    assert radios
    assert {radio["name"] for radio in radios} == {"plan"}
    assert not [radio for radio in radios if "checked" in radio.attributes]
    assert not [node for node in page.all("input") if "disabled" in node.attributes]


def test_enter_in_the_form_can_only_mean_its_one_button(visit: Visit) -> None:
    page = _checkout(visit("new"))
    form = page.one("form", id="choose")
    own = [button for button in form.all("button") if button.attributes.get("form", "choose") == "choose"]
    assert [button["data-fq-part"] for button in own] == ["next"]
    assert not form.all("form"), "a form within a form"


@pytest.mark.parametrize("person", ["new", "student", "good", "overdue", "over_limit"])
@pytest.mark.parametrize("sku", ["cg-15-pro", "figures-12", "cg-case"])
def test_whatever_is_missing_says_every_reason_and_offers_four_ways_on(
    visit: Visit, person: str, sku: str
) -> None:
    page = _checkout(visit(person), sku)
    evaluation = _decision(page).evaluation
    missing = [option for option in evaluation.options if not option.offered]
    rows = {plan: row for row in page.all("div", class_="fq-missing") for plan in row["data-plans"].split()}
    assert set(rows) == {option.plan for option in missing}
    for option in missing:
        row = rows[option.plan]
        assert [item["data-code"] for item in row.one(class_="fq-reasons").all("li")] == [
            reason.code for reason in option.verdict.reasons
        ]
        assert row.one(data_fq_part="until").text
        assert row.all(data_fq_part="instead") or "No other way" in row.text
        noticed = any(reason.notice for reason in option.verdict.reasons)
        assert bool(row.all(data_fq_part="notice")) is noticed
        assert noticed or "Notice: none yet" in row.text
        assert row.one(data_fq_part="support")["href"].startswith("/support/new/?decision=dc_")
        assert row.one(data_fq_part="notify")["href"].startswith("/notify/?decision=dc_")
        shown = {link["data-plan"] for link in row.all(data_fq_part="instead")}
        assert shown <= {offer.plan for offer in evaluation.offers}


def test_the_difference_of_an_alternative_is_the_engines(visit: Visit) -> None:
    page = _checkout(visit("good"), "cg-15-pro")
    evaluation = _decision(page).evaluation
    row = page.one("div", id="missing-cloudpay_3")
    option = evaluation.option("cloudpay_3")
    by_plan = {link["data-plan"]: link.text for link in row.all(data_fq_part="instead")}
    assert list(by_plan) == [alternative.plan for alternative in option.alternatives]
    for alternative in option.alternatives:
        difference = alternative.difference_minor
        assert difference is not None
        words = (
            "same total"
            if not difference
            else f"{_yuan(abs(difference))} {'more' if difference > 0 else 'less'}"
        )
        assert words in by_plan[alternative.plan]


def test_a_way_that_was_moved_says_why_since_when_and_where_to_read_it(visit: Visit) -> None:
    page = _checkout(visit("good"))
    place = page.one("fieldset", id="family-cloudpay").one(data_fq_part="placement")
    assert "CloudPay changed its terms" in place.text
    assert "15 Nov" in place.text
    assert place.one("a")["href"] == "/announcements/cloudpay-2026-11/"


def test_indicative_figures_say_on_what_basis(visit: Visit) -> None:
    page = _checkout(visit("good"))
    assert "statement day" in page.one("fieldset", id="family-tingchao").one(data_fq_part="basis").text
    assert not page.one("fieldset", id="family-mall").all(data_fq_part="basis")


def test_an_unknown_card_is_asked_for_and_the_answer_opens_what_it_opens(visit: Visit) -> None:
    client = visit("new")
    page = _checkout(client)
    ask = page.one("div", id="ask")
    assert {select["name"] for select in ask.all("select")} == {"card.bank", "card.kind"}
    assert {control["form"] for control in (*ask.all("select"), *ask.all("button"))} == {"tell"}
    assert not page.all("label", id="term-beichen_12")
    client.post("/checkout/tell", {"card.bank": "beichen", "card.kind": "credit"})
    page = parse(client.get("/checkout/").content)
    assert page.one("label", id="term-beichen_12")
    assert not page.all("div", id="ask")
    client.post("/checkout/tell", {"card.bank": "<b>", "customer.age": "99"})
    assert page.one("label", id="term-beichen_12")


def test_what_a_product_costs_a_month_is_the_checkouts_own_smallest(visit: Visit) -> None:
    client = visit("good")
    evaluation = _decision(_checkout(client, "cg-15-pro")).evaluation
    smallest = min(
        max(row.total_minor for row in option.schedule.rows)
        for option in evaluation.offers
        if option.schedule is not None and len(option.schedule.rows) > 1
    )
    for address in ("/", "/product/cg-15-pro/"):
        page = parse(client.get(address).content)
        assert f"from {_yuan(smallest)} a month" in [node.text for node in page.all(data_fq_part="from")]


def test_what_an_operator_wrote_is_text_and_nothing_else(visit: Visit, monkeypatch: Any) -> None:
    import msgspec

    from fenqi.policy.compile import compile_policy
    from fenqi.texts import Text
    from fenqi_server.policies import service as policies

    evil = Text("<script>alert(1)</script>", "<script>alert(1)</script>")
    real = policies.current

    def with_evil(*args: Any) -> Any:
        snapshot = real(*args).snapshot
        notices = tuple(
            msgspec.structs.replace(notice, title=evil, reason=evil, affected=evil)
            for notice in snapshot.notices
        )
        families = tuple(msgspec.structs.replace(family, name=evil) for family in snapshot.families)
        evil_one = msgspec.structs.replace(snapshot, notices=notices, families=families)
        policies.keep(args[0], evil_one, {}, args[1])  # what is decided by it has to replay
        return compile_policy(evil_one)

    client = visit("good")
    client.post("/cart/", {"sku": "cg-15"})
    monkeypatch.setattr(policies, "current", with_evil)
    for address in ("/", "/checkout/", "/announcements/", "/announcements/beichen-24-pause/"):
        body = client.get(address).content.decode()
        assert "<script>alert" not in body, address
        assert "&lt;script&gt;alert" in body, address

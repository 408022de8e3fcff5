"""What a customer can have done: each shown first, done by a form, and refused with a way out. In a real shop."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from tests.engine.contracts.made import FLAT_12
from tests.pages.page import Node, parse
from tests.portal.shop import AT, RealShop, real_shop
from tests.servicing.opened import open_one

from fenqi.checkout.request import Line
from fenqi.terms.agreed import PayoffTerms, ReturnTerms
from fenqi.terms.plan import ContingentCost
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.customers import service as customers
from fenqi_server.servicing import acts, payoffs, requests, returns
from fenqi_server.servicing import service as servicing
from fenqi_server.shops import service as shops

PAGES = ("pay", "pay-off", "return", "due-day", "help")


@pytest.fixture
def mall(db: Any, at: Any) -> RealShop:
    return real_shop()


def page_of(client: Any, mall: RealShop, what: str, **asked: str) -> Node:
    answer = client.get(f"/contracts/{mall.contract}/{what}/", asked)
    assert answer.status_code == 200, answer.content
    return parse(answer.content)


def figures(page: Node) -> dict[str, str]:
    return {
        node["data-figure"]: node.text for node in page.one("main").all() if "data-figure" in node.attributes
    }


def state(mall: RealShop) -> Any:
    return servicing.get(mall.shop, mall.contract, at=clock.now()).state


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("what", PAGES)
def test_each_act_s_page_is_there_in_both_languages(mall: RealShop, what: str, language: str) -> None:
    client = mall.signed_in(language=language)
    answer = client.get(f"/contracts/{mall.contract}/{what}/")
    page = parse(answer.content)
    assert answer.status_code == 200
    assert len(page.all("h1")) == 1
    assert "no-store" in answer.headers["Cache-Control"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not page.all("script")
    # A way back out, to the contract.
    assert f"/contracts/{mall.contract}/" in [link["href"] for link in page.one("main").all("a")]


@pytest.mark.parametrize("what", [*PAGES, "take-back", "parcel"])
def test_nobody_does_anything_to_another_customer_s_contract(mall: RealShop, what: str) -> None:
    other = customers.ensure(mall.shop, "c-2", AT)
    theirs = open_one(mall.shop, other, at=AT, order_ref="order-2")
    client = mall.signed_in()
    sent = {
        "act": "confirm",
        "amount": "100",
        "day": "5",
        "reason": "income",
        "months": "2",
        "request": "rq_x",
    }
    assert client.post(f"/contracts/{theirs}/{what}/", sent).status_code == 404
    assert servicing.get(mall.shop, theirs, at=AT).state.balance_minor == 643_200
    assert requests.of_customer(mall.shop, other) == []


@pytest.mark.parametrize("what", [*PAGES, "take-back"])
def test_a_form_from_elsewhere_does_nothing(mall: RealShop, what: str) -> None:
    client = mall.browser(enforce_csrf_checks=True)
    link = mall.link()
    form = parse(client.get(link).content).one("form", action="/portal/in/")
    assert client.post("/portal/in/", {f["name"]: f["value"] for f in form.all("input")}).status_code == 302
    sent = {"act": "confirm", "amount": "100", "day": "5", "reason": "income", "months": "2"}
    assert client.post(f"/contracts/{mall.contract}/{what}/", sent).status_code == 403
    assert requests.of_customer(mall.shop, mall.owner) == []


# ------------------------------------------------------------------------------------------------------- paying off


def test_a_payoff_is_quoted_with_what_it_saves_and_paid_by_its_slip(mall: RealShop) -> None:
    client = mall.signed_in()
    shown = figures(page_of(client, mall, "pay-off"))
    # Twelve times 500.00 of price; the fees of rows not begun are spared, and the saving is what is left out.
    assert shown["principal"] == "¥6,000.00"
    assert shown["scheduled"] == "¥6,432.00"
    answer = client.post(f"/contracts/{mall.contract}/pay-off/", {"act": "quote"}, follow=True)
    quoted = parse(answer.content)
    assert figures(quoted)["amount"] == shown["amount"]
    slip = parse_qs(urlsplit(quoted.one("a", data_fq_part="cashier")["href"]).query)["slip"][0]
    said = json.loads(mall.api("/v1/payment-slips", {"slip": slip}).content)
    assert said["settles"].startswith("pq_")
    paid = {name: said[name] for name in ("amount_minor", "currency", "payment_ref", "settles")}
    booked = mall.api(
        f"/v1/contracts/{mall.contract}/payments",
        {"kind": "received", **paid},
        **{"Idempotency-Key": "payoff"},
    )
    assert booked.status_code == 201, booked.content
    assert state(mall).status == "closed"
    page = client.get(f"/contracts/{mall.contract}/").content.decode()
    assert "You paid off early, with" in page


def test_a_quote_that_ran_out_says_so_and_offers_another(mall: RealShop) -> None:
    client = mall.signed_in()
    url = client.post(f"/contracts/{mall.contract}/pay-off/", {"act": "quote"}).headers["Location"]
    with clock.pinned(AT + timedelta(days=20)):
        client = mall.signed_in()
        page = parse(client.get(url).content)
    assert "This quote has run out." in page.one("main").text
    assert not page.all("a", data_fq_part="cashier")
    assert page.one("input", name="act")["value"] == "quote"


@pytest.fixture
def sparing(db: Any, at: Any) -> RealShop:
    """A contract that spares the fees of months that have not begun when it is paid off."""
    return real_shop(payoff=PayoffTerms("to_period_end"))


@pytest.mark.parametrize(
    ("language", "later", "why"),
    [
        ("en", "From 25 Nov on it costs ¥36.00 more.", "The fee of the period that has begun is owed"),
        ("zh", "自11月25日起结清将多付¥36.00。", "已开始的一期手续费仍需支付"),
    ],
)
def test_a_payoff_says_from_when_on_it_costs_more_and_why(
    sparing: RealShop, language: str, later: str, why: str
) -> None:
    # On the first day of a month its fee of 36.00 is not owed yet; a day later it is.
    page = page_of(sparing.signed_in(language=language), sparing, "pay-off")
    assert page.one("strong", data_fq_part="later").text == later
    assert why in page.one("main").text


def test_a_figure_that_stays_the_same_is_not_said_to_rise(mall: RealShop) -> None:
    page = page_of(mall.signed_in(), mall, "pay-off")
    assert not page.all("strong", data_fq_part="later")
    assert "The fees of all instalments are owed" in page.one("main").text


@pytest.mark.parametrize(
    ("language", "same"),
    [("en", "It costs the same as paying each instalment on its day."), ("zh", "与按期偿还各期的总额相同。")],
)
def test_a_payoff_that_spares_nothing_promises_no_saving(mall: RealShop, language: str, same: str) -> None:
    page = page_of(mall.signed_in(language=language), mall, "pay-off")
    assert same in page.one("main").text
    assert figures(page)["saving"] == "¥0.00"
    assert not page.all("p", class_="good")


def test_a_quote_is_found_again_from_the_contract_while_it_stands(sparing: RealShop) -> None:
    client = sparing.signed_in()
    url = client.post(f"/contracts/{sparing.contract}/pay-off/", {"act": "quote"}).headers["Location"]
    note = parse(client.get(f"/contracts/{sparing.contract}/").content).one("p", data_fq_part="quote")
    assert "You have a quote: ¥6,000.00 pays everything off until the end of 24 Nov." in note.text
    assert note.one("a")["href"] == url
    with clock.pinned(AT + timedelta(days=1)):
        later = parse(sparing.signed_in().get(f"/contracts/{sparing.contract}/").content)
    assert not later.all("p", data_fq_part="quote")


def test_a_quote_that_was_paid_by_does_not_compare_any_more(sparing: RealShop) -> None:
    client = sparing.signed_in()
    url = client.post(f"/contracts/{sparing.contract}/pay-off/", {"act": "quote"}).headers["Location"]
    quote = parse_qs(urlsplit(url).query)["quote"][0]
    assert figures(parse(client.get(url).content))["scheduled"] == "¥6,432.00"
    servicing.pay(sparing.shop, sparing.contract, 600_000, "received", "off", AT, settles=quote)
    page = parse(client.get(url).content)
    assert "You have paid this off." in page.one("main").text
    assert not {"scheduled", "saving"} & figures(page).keys()
    assert "You save" not in page.one("main").text


def test_a_quote_stands_again_where_the_payment_by_it_bounced(sparing: RealShop) -> None:
    client = sparing.signed_in()
    url = client.post(f"/contracts/{sparing.contract}/pay-off/", {"act": "quote"}).headers["Location"]
    quote = parse_qs(urlsplit(url).query)["quote"][0]
    servicing.pay(sparing.shop, sparing.contract, 600_000, "received", "off", AT, settles=quote)
    servicing.reverse(sparing.shop, sparing.contract, "off", "bounced", AT)
    page = parse(client.get(url).content)
    assert "paid this off" not in page.one("main").text
    assert page.all("a", data_fq_part="cashier")
    assert figures(page)["scheduled"] == "¥6,432.00"
    with clock.pinned(AT + timedelta(days=20)):
        later = parse(sparing.signed_in().get(url).content)
    assert "This quote has run out." in later.one("main").text
    assert figures(later)["owed"] == "¥6,432.00"
    # It is worth what it was: paying by it again settles the contract.
    servicing.pay(sparing.shop, sparing.contract, 600_000, "request", "again", AT, settles=quote)
    assert state(sparing).status == "closed"
    assert "You have paid this off." in client.get(url).content.decode()


def test_a_quote_that_a_payment_of_before_undoes_is_settled_no_more(sparing: RealShop) -> None:
    client = sparing.signed_in()
    servicing.pay(sparing.shop, sparing.contract, 53_600, "received", "first", AT)
    url = client.post(f"/contracts/{sparing.contract}/pay-off/", {"act": "quote"}).headers["Location"]
    quote = parse_qs(urlsplit(url).query)["quote"][0]
    owed = payoffs.quote_of(sparing.shop, sparing.contract, quote, AT).to_pay_minor
    servicing.pay(sparing.shop, sparing.contract, owed, "received", "off", AT, settles=quote)
    assert "You have paid this off." in client.get(url).content.decode()
    servicing.reverse(sparing.shop, sparing.contract, "first", "charged_back", AT)
    page = parse(client.get(url).content)
    assert "this quote does not fit any more" in page.one("main").text
    assert figures(page)["owed"] == f"¥{state(sparing).balance_minor / 100:,.2f}" != "¥0.00"


def test_a_payoff_that_rises_only_after_its_quote_has_ended_says_so_too(sparing: RealShop) -> None:
    # On 5 December the month to 24 December runs, whose fee is owed; the next begins with the day after it.
    with clock.pinned(AT + timedelta(days=12)):
        page = page_of(sparing.signed_in(), sparing, "pay-off")
    assert page.one("strong", data_fq_part="later").text == "From 25 Dec on it costs ¥36.00 more."


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "If you pay off early: The fee of the period"),
        ("zh", "提前结清时：已开始的一期手续费仍需支付"),
    ],
)
def test_what_a_contract_costs_says_what_paying_off_spares(
    sparing: RealShop, language: str, said: str
) -> None:
    client = sparing.signed_in(language=language)
    page = parse(client.get(f"/contracts/{sparing.contract}/").content)
    assert page.one("p", data_fq_part="payoff-rule").text.startswith(said)
    servicing.pay(sparing.shop, sparing.contract, 643_200, "received", "all", AT)
    page = parse(client.get(f"/contracts/{sparing.contract}/").content)
    assert not page.all("p", data_fq_part="payoff-rule")


def test_a_quote_of_another_contract_is_not_there(mall: RealShop) -> None:
    other = customers.ensure(mall.shop, "c-2", AT)
    theirs = open_one(mall.shop, other, at=AT, order_ref="order-2")
    client = mall.signed_in("c-2")
    url = client.post(f"/contracts/{theirs}/pay-off/", {"act": "quote"}).headers["Location"]
    answer = mall.signed_in().get(f"/contracts/{mall.contract}/pay-off/?{urlsplit(url).query}")
    assert answer.status_code == 404


def test_a_contract_that_is_paid_says_that_nothing_is_to_be_paid_off(mall: RealShop) -> None:
    servicing.pay(mall.shop, mall.contract, 643_200, "received", "all", AT)
    answer = mall.signed_in().get(f"/contracts/{mall.contract}/pay-off/")
    assert answer.status_code == 409
    assert "nothing is to be paid off" in answer.content.decode()


def test_without_a_cashier_a_quote_is_given_and_paying_it_refused(mall: RealShop) -> None:
    shops.say(mall.shop, pay_url="")
    client = mall.signed_in()
    answer = client.post(f"/contracts/{mall.contract}/pay-off/", {"act": "quote"}, follow=True)
    assert "Paying here is not possible." in answer.content.decode()


# ----------------------------------------------------------------------------------------------------- sending back


def test_a_return_is_shown_asked_for_taken_back_and_asked_for_again(mall: RealShop) -> None:
    client = mall.signed_in()
    # The contract's order is not known here, so the price is written. 1,000.00 settles the last two rows with their fees.
    shown = figures(page_of(client, mall, "return", amount="1000"))
    assert (shown["returned"], shown["settled"], shown["fee-let-go"]) == ("¥1,000.00", "¥1,000.00", "¥72.00")
    assert (shown["before"], shown["after"]) == ("¥6,432.00", "¥5,360.00")
    assert state(mall).balance_minor == 643_200
    sent = {"act": "confirm", "amount": "1000.00", "reason": "unwanted", "said": "too big"}
    answer = client.post(f"/contracts/{mall.contract}/return/", sent, follow=True)
    assert "Your return is asked for." in answer.content.decode()
    (request,) = requests.of_contract(mall.shop, mall.contract)
    assert (request.asked_by, request.said, request.state) == ("customer", "too big", "open")
    assert state(mall).balance_minor == 643_200

    client.post(f"/contracts/{mall.contract}/take-back/", {"request": request.request_id})
    assert requests.get(mall.shop, request.request_id).state == "withdrawn"
    client.post(f"/contracts/{mall.contract}/return/", sent)
    (again,) = [each for each in requests.of_contract(mall.shop, mall.contract) if each.state == "open"]
    requests.approve(mall.shop, again.request_id, AT, actor="ann")
    page = parse(client.get(f"/contracts/{mall.contract}/").content)
    assert page.one("p", data_figure="balance").text == "¥5,360.00"
    changes = page.one("section", data_fq_part="changes").text
    assert "Goods for ¥1,000.00 went back." in changes
    assert "You owe ¥1,072.00 less." in changes
    assert "Instalment 12: price is ¥0.00, not ¥500.00." in changes


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("¥12.00 was refunded to you.", "Goods for ¥1,000.00 went back.")),
        ("zh", ("已向您退款¥12.00。", "退货¥1,000.00。")),
    ],
)
def test_what_was_refunded_stands_on_the_contract_and_is_no_cost(
    db: Any, at: Any, language: str, said: tuple[str, str]
) -> None:
    mall = real_shop(returns=ReturnTerms("from_last", "returned"))
    # Two rows are paid, 72.00 of them fee. Goods for a sixth of the price go back, and a sixth of that fee: 12.00.
    servicing.pay(mall.shop, mall.contract, 107_200, "received", "two", AT)
    returns.confirm_return(mall.shop, mall.contract, "R-1", 100_000, AT)
    returns.refund_paid(mall.shop, mall.contract, "RF-1", 1_200, AT)
    page = parse(mall.signed_in(language=language).get(f"/contracts/{mall.contract}/").content)
    changes = page.one("section", data_fq_part="changes").text
    for words in said:
        assert words in changes
    costs = figures(page)
    # 6,000.00 less 1,000.00 of goods; fees of ten rows, 360.00, less what was given back.
    assert (costs["fees"], costs["given-back"], costs["cost"]) == ("¥360.00", "-¥12.00", "¥5,348.00")


def test_goods_that_were_paid_for_go_back_with_all_their_money(db: Any, at: Any) -> None:
    mall = real_shop(returns=ReturnTerms("from_last", "returned"))
    servicing.pay(mall.shop, mall.contract, 643_200, "received", "all", AT)
    returns.confirm_return(mall.shop, mall.contract, "R-1", 600_000, AT)
    page = parse(mall.signed_in().get(f"/contracts/{mall.contract}/").content)
    assert "¥6,432.00 is to be refunded to you." in page.one("section", data_fq_part="changes").text
    returns.refund_paid(mall.shop, mall.contract, "RF-1", 643_200, AT)
    page = parse(mall.signed_in().get(f"/contracts/{mall.contract}/").content)
    assert "¥6,432.00 was refunded to you." in page.one("section", data_fq_part="changes").text
    assert figures(page)["cost"] == "¥0.00"
    assert "Everything went back, and nothing is owed." in page.one("main").text
    assert "Thank you" not in page.one("main").text


def goods(monkeypatch: pytest.MonkeyPatch, *lines: tuple[str, str, int]) -> None:
    """What the contract paid for: each with its title, how many of it, at 1,000.00."""
    made = tuple(
        Line(sku, title, "phones", "goods", quantity, 100_000, "mall") for sku, title, quantity in lines
    )
    for place in ("goods", "telling"):
        monkeypatch.setattr(f"fenqi_server.portal.{place}.bought", lambda *_: made)


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        ((("p-1", "A phone", 1),), "A phone"),
        ((("p-1", "A phone", 2),), "A phone × 2"),
        ((("p-1", "A phone", 2), ("p-2", "A case", 1)), "A phone × 2 and 1 more"),
        ((("p-1", "A phone", 1), ("p-2", "A case", 3)), "A phone and 3 more"),
    ],
)
def test_a_contract_is_called_by_its_goods_and_how_many_they_are(
    mall: RealShop, monkeypatch: pytest.MonkeyPatch, lines: tuple[tuple[str, str, int], ...], title: str
) -> None:
    goods(monkeypatch, *lines)
    page = parse(mall.signed_in().get(f"/contracts/{mall.contract}/").content)
    assert page.one("h1").text == title


@pytest.mark.parametrize(
    ("language", "said", "gone"),
    [
        (
            "en",
            "You asked to return 3 of A phone, but only 2 can go back.",
            "None of A phone can go back any more",
        ),
        ("zh", "您要退3件A phone，但还能退的只有2件。", "A phone已全部退回或已申请退货"),
    ],
)
def test_more_pieces_than_are_left_are_refused_and_never_made_fewer(
    mall: RealShop, monkeypatch: pytest.MonkeyPatch, language: str, said: str, gone: str
) -> None:
    goods(monkeypatch, ("p-1", "A phone", 2), ("p-2", "A case", 1))
    client = mall.signed_in(language=language)
    url = f"/contracts/{mall.contract}/return/"
    for asked in (
        client.get(url, {"n-p-1": "3", "n-p-2": "0"}),
        client.post(url, {"act": "confirm", "n-p-1": "3"}),
    ):
        assert asked.status_code == 422
        assert said in asked.content.decode()
    assert requests.of_contract(mall.shop, mall.contract) == []
    assert client.get(url, {"n-p-1": "two"}).status_code == 422
    # Two of two go back, as a Chinese keyboard writes them.
    assert client.get(url, {"n-p-1": "２"}).status_code == 200
    client.post(url, {"act": "confirm", "n-p-1": "2"})
    (request,) = requests.of_contract(mall.shop, mall.contract)
    assert request.asked.amount_minor == 200_000
    requests.approve(mall.shop, request.request_id, AT, actor="ann")
    again = client.get(url, {"n-p-1": "1"})
    assert again.status_code == 422
    assert gone in again.content.decode()


def test_more_than_was_bought_does_not_go_back(mall: RealShop) -> None:
    answer = mall.signed_in().get(f"/contracts/{mall.contract}/return/", {"amount": "6000.01"})
    assert answer.status_code == 409
    assert requests.of_contract(mall.shop, mall.contract) == []


@pytest.mark.parametrize("amount", ["", "0", "much", "-1"])
def test_what_is_no_price_is_said_to_be_none(mall: RealShop, amount: str) -> None:
    answer = mall.signed_in().get(f"/contracts/{mall.contract}/return/", {"amount": amount})
    assert answer.status_code == 422


def test_a_real_shop_has_no_pretend_warehouse(mall: RealShop) -> None:
    client = mall.signed_in()
    client.post(f"/contracts/{mall.contract}/return/", {"act": "confirm", "amount": "1000"})
    (request,) = requests.of_contract(mall.shop, mall.contract)
    answer = client.post(f"/contracts/{mall.contract}/parcel/", {"request": request.request_id})
    assert answer.status_code == 404
    assert requests.get(mall.shop, request.request_id).state == "open"


# ------------------------------------------------------------------------------------------------------ the due day


def test_the_due_day_is_moved_after_it_was_shown_what_moves(mall: RealShop) -> None:
    client = mall.signed_in()
    page = page_of(client, mall, "due-day", day="5")
    rows = [row.text for row in page.one("tbody").all("tr")]
    assert len(rows) == 12
    assert "It costs nothing." in page.one("main").text
    before = [row.due_on for row in state(mall).rows]
    answer = client.post(f"/contracts/{mall.contract}/due-day/", {"day": "5"}, follow=True)
    assert "Your due day is now day 5 of the month." in answer.content.decode()
    after = [row.due_on for row in state(mall).rows]
    assert {day.day for day in after} == {5}
    assert before != after
    refused = client.get(f"/contracts/{mall.contract}/due-day/")
    assert refused.status_code == 409
    assert "It was changed lately" in refused.content.decode()


def test_whoever_is_late_reads_what_to_do_first(mall: RealShop) -> None:
    with clock.pinned(AT + timedelta(days=45)):
        answer = mall.signed_in().get(f"/contracts/{mall.contract}/due-day/")
    assert answer.status_code == 409
    assert "is past due. Pay that first" in answer.content.decode()


@pytest.mark.parametrize("day", ["0", "29", "32", "x", ""])
def test_a_day_that_is_none_moves_nothing(mall: RealShop, day: str) -> None:
    mall.signed_in().post(f"/contracts/{mall.contract}/due-day/", {"day": day})
    assert {row.due_on.day for row in state(mall).rows} != {0}
    assert len(servicing.get(mall.shop, mall.contract, at=AT).events) == 1


# --------------------------------------------------------------------------------------------------------- hardship


def test_help_is_asked_for_and_its_answer_stands_on_the_contract(mall: RealShop) -> None:
    client = mall.signed_in()
    page = page_of(client, mall, "help", reason="illness", months="2")
    assert "Illness or an accident" in page.one("main").text
    # Due on the 24th of each month from December on; two periods later the first is due in February.
    assert "(¥536.00) would be due on 24 Feb 2027" in page.one("main").text
    sent = {"reason": "illness", "months": "2", "said": "in hospital"}
    answer = client.post(f"/contracts/{mall.contract}/help/", sent, follow=True)
    assert "You asked for help." in answer.content.decode()
    (request,) = requests.of_contract(mall.shop, mall.contract)
    assert (request.kind, request.said) == ("hardship", "in hospital")
    requests.decline(mall.shop, request.request_id, AT, actor="ann", note="Please send us the letter first.")
    shown = client.get(f"/contracts/{mall.contract}/").content.decode()
    assert "Please send us the letter first." in shown


@pytest.mark.parametrize(
    "sent", [{"reason": "x", "months": "2"}, {"reason": "income", "months": "99"}, {"months": "2"}]
)
def test_help_without_a_reason_or_a_time_is_not_asked_for(mall: RealShop, sent: dict[str, str]) -> None:
    answer = mall.signed_in().post(f"/contracts/{mall.contract}/help/", sent)
    assert answer.status_code == 422
    assert requests.of_contract(mall.shop, mall.contract) == []


def test_help_that_was_granted_is_said_to_be_what_it_is(mall: RealShop) -> None:
    client = mall.signed_in()
    client.post(f"/contracts/{mall.contract}/help/", {"reason": "illness", "months": "2"})
    (request,) = requests.of_contract(mall.shop, mall.contract)
    requests.approve(mall.shop, request.request_id, AT, actor="ann", act=requests.Pause(periods=2))
    page = parse(client.get(f"/contracts/{mall.contract}/").content).one("main").text
    # Due on the 24th of each month from December on; two periods later the first is due in February.
    assert "The shop agreed to a pause of 2 periods." in page
    assert "The next payment, of ¥536.00, is due on 24 Feb 2027." in page
    badges = parse(client.get(f"/contracts/{mall.contract}/").content).all("span")
    states = [badge.text for badge in badges if "state" in badge.attributes.get("class", "").split()]
    assert states[0] == "paused"
    zh = mall.signed_in(language="zh").get(f"/contracts/{mall.contract}/").content.decode()
    assert "商城已同意暂停还款2期。" in zh


def test_help_that_is_needed_no_more_is_not_waited_for(mall: RealShop) -> None:
    client = mall.signed_in()
    client.post(f"/contracts/{mall.contract}/help/", {"reason": "illness", "months": "2"})
    servicing.pay(mall.shop, mall.contract, 643_200, "received", "all", AT)
    page = client.get(f"/contracts/{mall.contract}/").content.decode()
    assert "Nothing is owed any more, so there is nothing to ease." in page
    assert "answers here" not in page
    (request,) = requests.of_contract(mall.shop, mall.contract)
    client.post(f"/contracts/{mall.contract}/take-back/", {"request": request.request_id})
    assert requests.get(mall.shop, request.request_id).state == "withdrawn"


@pytest.mark.parametrize(("language", "title"), [("en", "A phone × 1"), ("zh", "一部手机 × 1")])
def test_goods_that_go_back_are_told_in_the_reader_s_language(
    mall: RealShop, monkeypatch: pytest.MonkeyPatch, language: str, title: str
) -> None:
    line = requests.ReturnLine(sku="p-1", title="一部手机", quantity=1, amount_minor=100_000)
    wish = requests.ReturnAsked(amount_minor=100_000, lines=(line,))
    requests.open_request(mall.shop, mall.contract, wish, AT)
    # The mall's own order knows its goods in both languages.
    known = SimpleNamespace(
        lines=(SimpleNamespace(sku="p-1", title=Text("一部手机", "A phone"), quantity=1),)
    )
    monkeypatch.setattr("fenqi_server.portal.telling.orders.by_contract", lambda *_: known)
    page = parse(mall.signed_in(language=language).get(f"/contracts/{mall.contract}/").content)
    assert title in page.one("section", data_fq_part="asked").text


@pytest.mark.parametrize(
    ("language", "present", "again"),
    [
        (
            "en",
            "Your due day is day 24 of the month now.",
            "After that it cannot be moved again before 23 May 2027.",
        ),
        ("zh", "您目前的还款日是每月24日。", "更改后，2027年5月23日之前不能再次更改。"),
    ],
)
def test_the_due_day_begins_at_the_present_one_and_says_what_an_earlier_one_means(
    mall: RealShop, language: str, present: str, again: str
) -> None:
    client = mall.signed_in(language=language)
    page = page_of(client, mall, "due-day")
    assert page.one("p", data_fq_part="present").text == present
    (chosen,) = [option for option in page.all("option") if "selected" in option.attributes]
    assert chosen["value"] == "24"
    # 180 days after 24 November: 6 + 31 + 31 + 28 + 31 + 30 + 23.
    moved = page_of(client, mall, "due-day", day="10")
    assert again in moved.one("main").text
    # 24 December to 10 December.
    assert "14" in moved.one("strong", data_fq_part="sooner").text
    later = page_of(client, mall, "due-day", day="28")
    assert not later.all("strong", data_fq_part="sooner")


@pytest.mark.parametrize(("language", "word"), [("en", "past due"), ("zh", "逾期")])
def test_what_is_late_is_what_is_to_be_paid_next(mall: RealShop, language: str, word: str) -> None:
    # Two rows of 536.00 are late on 1 February; the third is due on 24 February.
    with clock.pinned(AT + timedelta(days=69)):
        page = parse(mall.signed_in(language=language).get("/account/").content)
    following = page.one("dd", data_figure="next").text
    assert following.startswith("¥1,072.00")
    assert word in following
    assert "¥536.00" not in page.one("main").text
    assert f"/contracts/{mall.contract}/pay/?choice=late" in [link["href"] for link in page.all("a")]


def test_a_charge_for_lateness_says_how_it_is_reckoned(db: Any, at: Any) -> None:
    cost = ContingentCost(
        "late",
        Text("逾期利息", "Late interest"),
        Text("逾期本金日万分之三", "0.03% a day of late principal"),
        "mall",
    )
    mall = real_shop(plan=msgspec.structs.replace(FLAT_12, contingent=(cost,)))
    acts.charge(mall.shop, mall.contract, "ch-1", "penalty", 1_080, "late", AT, actor="ann", reason="late")
    page = parse(mall.signed_in().get(f"/contracts/{mall.contract}/").content)
    assert page.one("p", data_fq_part="basis").text == "Late interest: 0.03% a day of late principal"
    # What is charged beside the rows is no instalment.
    assert "0 of 12 instalments paid" in page.one("main").text

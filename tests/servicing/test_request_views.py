"""Requests in the console: what waits, beside its contract, with what deciding would do, decided with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from tests.servicing.opened import AT, after, make_customer, make_shop, open_one
from tests.servicing.test_act_views import seen
from tests.servicing.test_desk import part, text_of

from fenqi_server import clock
from fenqi_server.servicing import requests
from fenqi_server.servicing import service as servicing
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches

HOME = "/console/requests/"
Staff = Callable[..., Client]


@pytest.fixture
def shop(db: object) -> Iterator[Shop]:
    with clock.pinned(AT):
        yield make_shop()
    forget_caches()


@pytest.fixture
def contract(shop: Shop) -> str:
    return open_one(shop, make_customer(shop))


@pytest.fixture
def sun(shop: Shop, as_staff: Staff) -> Client:
    return as_staff("supervisor", shop=shop, username="sun")


def hardship(shop: Shop, contract: str) -> str:
    asked = requests.HardshipAsked(reason="illness", months=2)
    return requests.open_request(shop, contract, asked, AT, said="I was in hospital.").request_id


def test_the_queue_says_what_waits_and_how_long(shop: Shop, contract: str, sun: Client) -> None:
    hardship(shop, contract)
    with clock.pinned(after(5)):
        page = part(sun.get(HOME), "requests")
        assert "Help with paying" in page
        assert "the customer" in page
        assert "5 days" in page
        assert "Requests to decide" in text_of(sun.get("/console/"))
    assert "Nothing here." in text_of(sun.get(HOME, {"state": "approved"}))


def test_help_is_seen_before_it_is_given(shop: Shop, contract: str, sun: Client) -> None:
    here = f"{HOME}{hardship(shop, contract)}/"
    page = text_of(sun.get(here))
    for words in ("illness", "2 months", "I was in hospital.", "Order order-1", "¥6,432.00"):
        assert words in page, words
    pause = {"way": "pause", "pause-periods": "2", "pause-interest": "runs", "note": "agreed"}
    pause |= seen(sun, here)
    preview = sun.post(f"{here}decide", {"step": "preview", **pause})
    # Due a month after the agreement; two months later then.
    assert "1 Due on 23 Dec 23 Feb 2027" in text_of(preview)
    assert requests.get(shop, here.split("/")[-2]).state == "open"
    done = sun.post(f"{here}decide", {"step": "approve", **pause}, follow=True)
    assert "Approved, and done." in text_of(done)
    assert "approved by sun" in text_of(done)
    assert servicing.get(shop, contract, at=AT).state.rows[0].due_on.isoformat() == "2027-02-23"
    again = sun.post(f"{here}decide", {"step": "decline", "note": "no"})
    assert again.status_code == 409
    assert "The request was approved already." in part(again, "refused")


def test_declining_takes_a_reason_that_the_customer_reads(shop: Shop, contract: str, sun: Client) -> None:
    name = hardship(shop, contract)
    answer = sun.post(f"{HOME}{name}/decide", {"step": "decline", "note": ""})
    assert answer.status_code == 400
    assert "Say why, in 1 to 2000 characters." in text_of(answer)
    assert sun.post(f"{HOME}{name}/decide", {"step": "decline", "note": "paid in full"}).status_code == 302
    assert requests.get(shop, name).note == "paid in full"


def test_nothing_is_chosen_for_whoever_decides(shop: Shop, contract: str, sun: Client) -> None:
    here = f"{HOME}{hardship(shop, contract)}/"
    assert " checked" not in sun.get(here).content.decode()
    answer = sun.post(f"{here}decide", {"step": "approve", "note": "yes", **seen(sun, here)})
    assert answer.status_code == 400
    assert "Choose one of those shown." in text_of(answer)


def test_a_return_is_booked_as_what_came_back(shop: Shop, contract: str, sun: Client) -> None:
    asked = requests.ReturnAsked(amount_minor=100_000, reason="defective")
    here = f"{HOME}{requests.open_request(shop, contract, asked, AT).request_id}/"
    assert "Why defective" in text_of(sun.get(here))
    sent = {"way": "taken", "taken-amount": "500", "taken-on": "2026-11-23", "note": "one of two came"}
    sent |= seen(sun, here)
    # 500.00 of price is the last instalment, with its fee of 36.00.
    preview = sun.post(f"{here}decide", {"step": "preview", **sent})
    assert "Left to pay ¥6,432.00 ¥5,896.00" in part(preview, "preview")
    assert sun.post(f"{here}decide", {"step": "approve", **sent}).status_code == 302
    assert servicing.get(shop, contract, at=AT).state.balance_minor == 589_600


def test_a_contract_that_changed_meanwhile_is_shown_once_more(shop: Shop, contract: str, sun: Client) -> None:
    here = f"{HOME}{hardship(shop, contract)}/"
    sent = {"way": "pause", "pause-periods": "1", "pause-interest": "runs", "note": "yes", **seen(sun, here)}
    servicing.pay(shop, contract, 53_600, "received", "p-1", AT)
    answer = sun.post(f"{here}decide", {"step": "approve", **sent})
    assert "The contract has changed meanwhile, and nothing was done." in text_of(answer)
    assert requests.get(shop, here.split("/")[-2]).state == "open"


def test_who_reads_and_who_decides(shop: Shop, contract: str, as_staff: Staff) -> None:
    here = f"{HOME}{hardship(shop, contract)}/"
    for role in ("support", "auditor"):
        client = as_staff(role, shop=shop, username=role)
        page = client.get(here)
        assert page.status_code == 200
        assert "/decide" not in page.content.decode()
        assert client.post(f"{here}decide", {"step": "decline", "note": "no"}).status_code == 403
    # A customer's own words are for those who answer them.
    assert "hospital" not in as_staff("auditor", shop=shop, username="auditor").get(here).content.decode()
    assert as_staff("supervisor", shop=shop, username="x").post(f"{here}withdraw").status_code == 404


def test_the_pages_speak_chinese(shop: Shop, contract: str, as_staff: Staff) -> None:
    here = f"{HOME}{hardship(shop, contract)}/"
    li = as_staff("supervisor", shop=shop, username="li", language="zh")
    assert "还款帮扶" in text_of(li.get(HOME))
    page = text_of(li.get(here))
    for words in ("疾病", "2个月", "顾客原话", "暂停还款", "全部重新分期"):
        assert words in page, words


def test_one_person_alone_reads_from_when_on_they_may_agree(
    shop: Shop, contract: str, as_staff: Staff
) -> None:
    Shop.objects.filter(id=shop.id).update(single_operator=True)
    forget_caches()
    one = as_staff("supervisor", "finance", shop=shop, username="one")
    address = f"/console/contracts/{contract}/goodwill/"
    sent = {"step": "confirm", "reason": "late", "amount": "600", **seen(one, address)}
    here = one.post(address, sent).headers["Location"]
    page = one.get(here)
    assert "you can agree to it yourself from" in text_of(page)
    assert "/decide" not in page.content.decode()
    with clock.pinned(after(1)):
        carried = seen(one, here)
        assert "Requests to decide" in text_of(one.get("/console/"))
        assert one.post(f"{here}decide", {"step": "approve", "note": "yes", **carried}).status_code == 302
    assert servicing.get(shop, contract, at=after(1)).state.balance_minor == 583_200

"""What a customer asks for by phone, written down by support: theirs on their pages, decided like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from tests.servicing.opened import AT, make_customer, make_shop, open_one
from tests.servicing.test_act_views import act
from tests.servicing.test_desk import part, text_of

from fenqi.checkout.request import Line
from fenqi_server import clock
from fenqi_server.policies import audit
from fenqi_server.portal import goods
from fenqi_server.servicing import requests
from fenqi_server.servicing import service as servicing
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches

HOME = "/console/contracts/"
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
def ann(shop: Shop, as_staff: Staff) -> Client:
    return as_staff("support", shop=shop, username="ann")


@pytest.fixture
def lamps(monkeypatch: pytest.MonkeyPatch) -> None:
    lamp = Line("lamp", "Lamp", "home", "goods", 2, 60_000, "mall")
    monkeypatch.setattr(goods, "bought", lambda found, shop: (lamp,))


@pytest.mark.usefixtures("lamps")
def test_a_caller_s_return_is_chosen_from_the_order_and_waits_as_their_own(
    shop: Shop, contract: str, ann: Client, as_staff: Staff
) -> None:
    wish = {"because": "defective", "said": "My card is 4111 1111 1111 1111, the shade is torn."}
    preview = act(ann, contract, "ask-return", step="preview", **wish, **{"item-0": "1"})
    # 600.00 of price: the last instalment of 500.00 with its 36.00, and 100/500 of the one before it, 100.00 and 7.20.
    assert "Left to pay ¥6,432.00 ¥5,788.80" in part(preview, "preview")
    assert requests.of_contract(shop, contract) == []
    done = act(ann, contract, "ask-return", **wish, **{"item-0": "1"})
    page = text_of(ann.get(done.headers["Location"]))
    assert "Written down. It waits to be decided" in page
    assert "the customer, written down by ann" in page
    assert "the shade is torn" in page
    assert "4111" not in page
    (asked,) = requests.of_contract(shop, contract)
    assert (asked.by_customer, asked.taken_by, asked.at_stake_minor) == (True, "staff:ann", 0)
    assert requests.of_customer(shop, asked.customer_id) == [asked], "the customer has it on their pages"
    assert servicing.get(shop, contract, at=AT).state.balance_minor == 643_200
    entry = next(iter(audit.entries(shop)))
    assert (entry.actor, entry.act, entry.reason) == ("staff:ann", "request.return", "they asked")
    twice = act(ann, contract, "ask-return", **wish, **{"item-0": "1"})
    assert asked.request_id in twice.headers["Location"], "the same again is that one"
    again = act(ann, contract, "ask-return", **wish | {"because": "late", "item-0": "1"})
    assert again.status_code == 409
    assert "A request of this kind is waiting already." in part(again, "refused")
    requests.approve(shop, asked.request_id, AT, actor="wu")
    assert servicing.get(shop, contract, at=AT).state.balance_minor == 578_880


@pytest.mark.usefixtures("lamps")
def test_nothing_chosen_and_more_than_there_is_are_refused(shop: Shop, contract: str, ann: Client) -> None:
    nothing = act(ann, contract, "ask-return", because="late", **{"item-0": "0"})
    assert (nothing.status_code, "at least one thing" in part(nothing, "refused")) == (409, True)
    more = act(ann, contract, "ask-return", because="late", **{"item-0": "3"})
    assert more.status_code == 400
    assert requests.of_contract(shop, contract) == []


def test_where_the_order_is_not_known_its_price_is_asked_for(shop: Shop, contract: str, ann: Client) -> None:
    refused = act(ann, contract, "ask-return", because="late", amount="6000.01")
    assert refused.status_code == 409
    assert act(ann, contract, "ask-return", because="late", amount="100").status_code == 302
    assert requests.of_contract(shop, contract)[0].asked == requests.ReturnAsked(
        amount_minor=10_000, reason="late"
    )


def test_a_caller_s_need_is_written_down_and_taken_back_by_whoever_wrote_it(
    shop: Shop, contract: str, ann: Client, as_staff: Staff
) -> None:
    assert "For a caller" in text_of(ann.get(f"{HOME}{contract}/"))
    here = act(ann, contract, "ask-help", because="illness", months="3").headers["Location"]
    asked = requests.of_contract(shop, contract)[0]
    assert asked.asked == requests.HardshipAsked(reason="illness", months=3)
    bo = as_staff("support", shop=shop, username="bo")
    assert bo.post(f"{here}withdraw").status_code == 404
    assert ann.post(f"{here}withdraw").status_code == 302
    gone = requests.get(shop, asked.request_id)
    assert (gone.state, gone.decided_by) == ("withdrawn", "staff:ann")


def test_a_contract_that_owes_nothing_needs_no_help(shop: Shop, contract: str, ann: Client) -> None:
    servicing.pay(shop, contract, 643_200, "received", "p-1", AT)
    assert "/ask-help/" not in ann.get(f"{HOME}{contract}/").content.decode()
    assert "has no use for this" in text_of(ann.get(f"{HOME}{contract}/ask-help/"))

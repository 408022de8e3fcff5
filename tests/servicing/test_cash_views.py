"""Money that named no contract, and the tills: matched and undone, sent back, counted; each seen first and with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one
from tests.servicing.test_act_views import act
from tests.servicing.test_desk import figure, part, text_of

from fenqi_server import clock
from fenqi_server.ids import uuid7
from fenqi_server.policies import audit
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing import tills, unapplied
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches

HOME = "/console/unapplied/"
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
def qian(shop: Shop, as_staff: Staff) -> Client:
    return as_staff("finance", shop=shop, username="qian")


def arrived(shop: Shop, named: str = "for order-1 please", minor: int = 53_600) -> str:
    """Money for nobody knows what; its page's address."""
    servicing.pay(shop, named, minor, "received", "wire-1", AT, occurred_on=on(-3))
    return f"{HOME}{unapplied.unmatched(shop).money[0].unapplied_id}/"


def send(client: Client, here: str, what: str, **sent: Any) -> Any:
    return client.post(f"{here}{what}", {"reason": "their words say so", **sent})


def seen(answer: Any) -> str:
    found = re.search(r'name="seen" value="(\d+)"', answer.content.decode())
    assert found is not None, text_of(answer)
    return found[1]


def balance(shop: Shop, contract: str) -> int:
    return servicing.get(shop, contract, at=clock.now()).state.balance_minor


def test_the_list_says_what_waits_how_long_and_in_whose_words(shop: Shop, qian: Client) -> None:
    arrived(shop)
    with clock.pinned(after(7)):
        page = part(qian.get(HOME), "money")
        for words in ("wire-1", "for order-1 please", "20 Nov", "10 days", "¥536.00"):
            assert words in page, words
        assert "Money to match to its contract" in text_of(qian.get("/console/"))
    assert "Nothing here." in text_of(qian.get(HOME, {"done": "1"}))


def test_money_is_matched_by_its_payer_s_words_and_the_match_undone(
    shop: Shop, contract: str, qian: Client
) -> None:
    here = arrived(shop)
    page = qian.get(here).content.decode()
    assert f'value="{contract}"' in page
    assert " checked" not in page
    preview = send(qian, here, "match", step="preview", contract=contract)
    assert "Left to pay ¥6,432.00 ¥5,896.00" in part(preview, "preview")
    assert balance(shop, contract) == 643_200
    done = send(qian, here, "match", step="confirm", contract=contract, seen=seen(preview))
    assert done.status_code == 302
    assert balance(shop, contract) == 589_600
    assert "matched" in part(qian.get(HOME, {"done": "1"}), "money")
    assert "Nothing here." in text_of(qian.get(HOME))
    assert "Money to match to its contract" not in text_of(qian.get("/console/"))
    # It counts from the day on which it arrived.
    assert "20 Nov" in part(qian.get(f"/console/contracts/{contract}/"), "payments")
    preview = send(qian, here, "undo", step="preview")
    assert "Left to pay ¥5,896.00 ¥6,432.00" in part(preview, "preview")
    assert send(qian, here, "undo", step="confirm", seen=seen(preview)).status_code == 302
    assert balance(shop, contract) == 643_200
    assert "wire-1" in part(qian.get(HOME), "money")
    told = [(entry.actor, entry.act, entry.reason) for entry in audit.entries(shop)]
    assert told[:2] == [
        ("staff:qian", "unapplied.undo_match", "their words say so"),
        ("staff:qian", "unapplied.match", "their words say so"),
    ]


def test_a_contract_is_searched_for_where_the_words_lead_nowhere(
    shop: Shop, contract: str, qian: Client
) -> None:
    here = arrived(shop, named="thanks")
    assert "The payer’s words lead to no contract" in text_of(qian.get(here))
    assert contract in qian.get(here, {"customer": "c-1"}).content.decode()
    assert contract not in qian.get(here, {"order": "order-9"}).content.decode()


def test_it_is_sent_back_once_and_matched_no_more(shop: Shop, contract: str, qian: Client) -> None:
    here = arrived(shop, minor=50_000)
    assert send(qian, here, "refund", channel="bank", reference="").status_code == 400
    assert send(qian, here, "refund", channel="bank", reference="t-1").status_code == 302
    page = text_of(qian.get(here))
    assert "sent back (t-1)" in page
    assert "Match it to a contract" not in page
    answer = send(qian, here, "match", step="preview", contract=contract)
    assert answer.status_code == 409
    assert "This money went back by refund t-1." in part(answer, "refused")


def test_more_than_one_person_sends_back_is_asked_for_and_agreed_to_beside_the_money(
    shop: Shop, qian: Client, as_staff: Staff
) -> None:
    here = arrived(shop)
    assert "¥536.00 is above ¥500.00" in text_of(qian.get(here))
    request = send(qian, here, "refund", channel="bank", reference="t-1").headers["Location"]
    assert "/console/requests/rq_" in request
    page = qian.get(here)
    assert "waits for somebody else to agree" in part(page, "waits")
    assert "Ask to send it back" not in text_of(page)
    page = text_of(qian.get(request))
    for words in ("Sending money without a contract back", "for order-1 please", "t-1", "their words say so"):
        assert words in page, words
    assert "You asked for it, so somebody else has to decide." in page
    own = qian.post(f"{request}decide", {"step": "approve", "note": "mine"})
    assert "somebody else has to agree" in part(own, "refused")
    sun = as_staff("supervisor", shop=shop, username="sun")
    assert "Requests to decide" in text_of(sun.get("/console/"))
    assert sun.post(f"{request}decide", {"step": "approve", "note": ""}).status_code == 400
    assert sun.post(f"{request}decide", {"step": "approve", "note": "checked"}).status_code == 302
    assert "approved by sun" in text_of(sun.get(request))
    assert "sent back (t-1)" in text_of(qian.get(here))


@pytest.mark.parametrize(
    ("what", "sent", "status", "told"),
    [
        ("match", {"contract": ""}, 400, "Choose the contract that the money is for."),
        ("match", {"contract": "ct_nothing"}, 400, "No contract is called that."),
        ("match", {"contract": "CONTRACT", "reason": ""}, 400, "Say why, in 1 to 2000 characters."),
        ("undo", {}, 409, "This money is matched to no contract."),
        ("refund", {"channel": "pigeon", "reference": "t-1"}, 400, "Choose one of those shown."),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_done(
    shop: Shop, contract: str, qian: Client, what: str, sent: dict[str, str], status: int, told: str
) -> None:
    here = arrived(shop)
    sent = {name: contract if value == "CONTRACT" else value for name, value in sent.items()}
    answer = send(qian, here, what, step="confirm", **sent)
    assert (answer.status_code, told in text_of(answer)) == (status, True), text_of(answer)
    assert balance(shop, contract) == 643_200


def test_a_contract_that_changed_meanwhile_is_shown_once_more(
    shop: Shop, contract: str, qian: Client
) -> None:
    here = arrived(shop)
    preview = send(qian, here, "match", step="preview", contract=contract)
    servicing.pay(shop, contract, 100, "received", "p-1", AT)
    answer = send(qian, here, "match", step="confirm", contract=contract, seen=seen(preview))
    assert "The contract has changed meanwhile, and nothing was done." in text_of(answer)
    assert balance(shop, contract) == 643_100


def test_who_reads_matches_and_pays_out(shop: Shop, contract: str, as_staff: Staff) -> None:
    here = arrived(shop)
    for role, forms in (("support", 0), ("auditor", 0), ("supervisor", 2), ("finance", 3)):
        client = as_staff(role, shop=shop, username=role)
        main = client.get(here).content.decode().partition("<main")[2].partition("</main>")[0]
        assert main.count("<form") == forms, role
    supervisor = as_staff("supervisor", shop=shop, username="supervisor")
    assert send(supervisor, here, "refund", channel="bank", reference="t-1").status_code == 403
    support = as_staff("support", shop=shop, username="support")
    assert send(support, here, "match", step="confirm", contract=contract).status_code == 403


def test_what_a_contract_holds_beyond_its_debt_goes_back(shop: Shop, contract: str, qian: Client) -> None:
    servicing.pay(shop, contract, 650_000, "received", "p-1", AT)
    page = qian.get(f"/console/contracts/{contract}/")
    assert figure(page, "unapplied") == "¥68.00"
    assert "order-1" in text_of(qian.get("/console/contracts/", {"unapplied": "1"}))
    answer = act(qian, contract, "give-back", step="preview", amount="68.01", channel="bank", reference="t-1")
    assert answer.status_code == 409
    assert act(qian, contract, "give-back", amount="68", channel="bank", reference="t-1").status_code == 302
    assert servicing.get(shop, contract, at=AT).state.unapplied_minor == 0


# ------------------------------------------------------------------------------------------------------------- tills


def test_a_till_s_day_is_what_each_person_took_less_what_went_back(
    shop: Shop, contract: str, qian: Client, as_staff: Staff
) -> None:
    ann = as_staff("support", shop=shop, username="ann")
    bo = as_staff("support", shop=shop, username="bo")
    assert act(ann, contract, "cash", amount="100", till="front", receipt="R-1").status_code == 302
    assert act(bo, contract, "cash", amount="50", till="front", receipt="R-2").status_code == 302
    assert act(bo, contract, "cash", amount="7", till="back: left", receipt="R-3").status_code == 302
    servicing.pay(shop, contract, 999, "received", "wire", AT)
    assert act(qian, contract, "reverse", payment="R-2", why="booked_in_error").status_code == 302
    assert tills.takings(shop, on(0)) == (
        tills.Taking("back: left", "staff:bo", 1, 700, 0),
        tills.Taking("front", "", 0, 0, 5_000),
        tills.Taking("front", "staff:ann", 1, 10_000, 0),
        tills.Taking("front", "staff:bo", 1, 5_000, 0),
    )
    page = qian.get("/console/tills/")
    assert re.findall(r'data-figure="till">([^<]*)<', page.content.decode()) == ["¥7.00", "¥100.00"]
    assert "All tills: ¥107.00" in text_of(page)
    assert "No cash was taken on 22 Nov." in text_of(qian.get("/console/tills/", {"day": "2026-11-22"}))


def count(client: Client, till: str, counted: str, *, day: str = "", key: str = "", note: str = "") -> Any:
    sent = {"day": day or f"{on(0)}", "till": till, "counted": counted, "note": note}
    return client.post("/console/tills/count", {**sent, "key": key or uuid7(clock.now()).hex})


def cash(shop: Shop, contract: str, minor: int, reference: str) -> None:
    servicing.pay(
        shop, contract, minor, "received", reference, AT, channel="cash", settlement=f"cash:front:{on(0)}"
    )


@pytest.mark.parametrize(
    ("counted", "told", "off"),
    [
        ("100", "What was counted is what was booked.", 0),
        ("99.50", "¥0.50 is missing.", 1),
        ("101", "¥1.00 too much.", 1),
    ],
)
def test_a_count_is_kept_beside_what_was_booked_then(
    shop: Shop, contract: str, qian: Client, counted: str, told: str, off: int
) -> None:
    cash(shop, contract, 10_000, "R-1")
    assert count(qian, "front", counted, note="two of us").status_code == 302
    page = part(qian.get("/console/tills/"), "count")
    for words in (f"¥{float(counted):.2f} counted by qian", told, "two of us"):
        assert words in page, words
    (kept,) = tills.counts_of(shop, on(0))
    assert (kept.expected_minor, kept.counted_by, kept.counted_at) == (10_000, "staff:qian", AT)
    assert len(tills.list_counts(shop, off=True).counts) == off
    assert told in part(qian.get("/console/tills/counts/"), "counts")
    entry = next(iter(audit.entries(shop)))
    assert (entry.actor, entry.act, entry.reason) == ("staff:qian", "till.counted", "two of us")
    # What is booked later changes no count, and is said beside it.
    cash(shop, contract, 500, "R-2")
    assert "¥100.00 was booked then, and is ¥105.00 now." in part(qian.get("/console/tills/"), "count")
    assert tills.counts_of(shop, on(0)) == (kept,)


def test_a_till_is_counted_again_and_a_form_sent_twice_counts_once(
    shop: Shop, contract: str, qian: Client
) -> None:
    cash(shop, contract, 10_000, "R-1")
    key = uuid7(AT).hex
    for counted in ("90", "95"):
        assert count(qian, "front", counted, key=key).status_code == 302
    assert count(qian, "front", "100").status_code == 302
    # Nothing was booked into this one.
    assert count(qian, "", "3", day=f"{on(-1)}").status_code == 302
    counts = tills.list_counts(shop).counts
    assert sorted((each.till, each.counted_minor, each.difference_minor) for each in counts) == [
        ("", 300, 300),
        ("front", 9_000, -1_000),
        ("front", 10_000, 0),
    ]
    first = tills.list_counts(shop, limit=2)
    second = tills.list_counts(shop, limit=2, after=first.after)
    assert (*first.counts, *second.counts) == counts
    assert second.after == ""
    assert "no till named" in text_of(qian.get("/console/tills/", {"day": f"{on(-1)}"}))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"counted": "some"}, "Write an amount such as 500.00."),
        ({"counted": "1", "day": "2026-11-24"}, "A day that has not come cannot be counted."),
        ({"counted": "1", "till": "x" * 101}, "At most 100 characters."),
    ],
)
def test_what_cannot_be_counted_is_said_and_nothing_is_kept(
    shop: Shop, qian: Client, sent: dict[str, str], told: str
) -> None:
    answer = count(qian, **{"till": "front", **sent})
    assert (answer.status_code, told in text_of(answer)) == (400, True)
    assert tills.list_counts(shop).counts == ()


def test_a_count_is_not_changed_and_another_shop_sees_none(shop: Shop, qian: Client) -> None:
    assert count(qian, "front", "1").status_code == 302
    for change in ("UPDATE servicing_till_count SET counted_minor = 2", "DELETE FROM servicing_till_count"):
        refused = pytest.raises(ProgrammingError, match="permission denied")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    assert tills.list_counts(make_shop("other")).counts == ()


def test_the_pages_speak_chinese(shop: Shop, as_staff: Staff) -> None:
    here = arrived(shop)
    li = as_staff("finance", shop=shop, username="li", language="zh")
    assert "付款人附言" in text_of(li.get(HOME))
    assert "匹配到合同" in text_of(li.get(here))
    assert "11月23日没有收取现金。" in text_of(li.get("/console/tills/"))

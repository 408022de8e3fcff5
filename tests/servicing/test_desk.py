"""The console's pages of contracts: what is owed, what each payment paid, what each event changed, and as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.api.world import demo_snapshot
from tests.engine.contracts.made import FLAT_12
from tests.engine.contracts.test_leases import PHONE
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.terms.plan import Plan
from fenqi_server import clock
from fenqi_server.policies import audit
from fenqi_server.policies import service as policies
from fenqi_server.servicing import acts, closing, leases
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
def ann(shop: Shop, as_staff: Staff) -> Client:
    return as_staff("support", shop=shop, username="ann")


def text_of(answer: Any) -> str:
    """The words of a page, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def part(answer: Any, name: str) -> str:
    """One part of a page, by its mark."""
    found = re.search(rf'data-fq-part="{name}".*?</(?:table|section)>', answer.content.decode(), re.S)
    assert found is not None, f"the page has no {name}"
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def figure(answer: Any, name: str) -> str:
    found = re.search(rf'data-figure="{name}">([^<]*)<', answer.content.decode())
    assert found is not None, f"the page has no figure {name}"
    return found[1]


def test_the_list_finds_by_customer_order_lateness_due_date_and_state(shop: Shop, ann: Client) -> None:
    first = open_one(shop, make_customer(shop, "c-1"), order_ref="order-1")
    open_one(shop, make_customer(shop, "c-2"), order_ref="order-2", at=after(seconds=1))
    servicing.pay(shop, first, 53_600, "received", "p-1", AT)

    def orders(**asked: str) -> list[str]:
        return re.findall(r">(order-\d)<", ann.get(HOME, asked).content.decode())

    assert orders() == ["order-2", "order-1"]
    assert orders(customer="c-1") == ["order-1"]
    assert orders(order="order-2") == ["order-2"]
    # The first instalment is due on 2026-12-23; the first contract has paid it.
    assert orders(due_before="2026-12-24") == ["order-2"]
    assert orders(status="closed") == []
    assert orders(unapplied="1") == []
    with clock.pinned(after(40)):
        assert orders(late="yes") == ["order-2"]
        assert orders(late="no") == ["order-1"]
    assert ann.get(HOME, {"order": first}).headers["Location"] == f"{HOME}{first}/"
    assert ann.get(HOME, {"due_before": "soon"}).status_code == 400
    assert ann.get(HOME, {"after": "ct_made-up"}).status_code == 400


def test_a_page_of_the_list_goes_on_where_it_ended(
    shop: Shop, ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = make_customer(shop)
    for number in range(27):
        open_one(shop, customer, order_ref=f"o-{number:02}", at=AT + timedelta(seconds=number))
    page = ann.get(HOME, {"status": "active"}).content.decode()
    assert re.findall(r">(o-\d\d)<", page) == [f"o-{number:02}" for number in range(26, 1, -1)]
    link = re.search(r'href="(\?status=active&amp;after=[^"]+)"', page)
    assert link is not None
    rest = ann.get(HOME + link[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r">(o-\d\d)<", rest) == ["o-01", "o-00"]


def test_a_plan_has_its_name_from_the_policy_by_which_it_was_agreed(shop: Shop, ann: Client) -> None:
    """However many contracts there are, and whatever is in force now: here, nothing."""
    digest = policies.publish(shop, demo_snapshot(), after(400), "test").digest
    open_one(shop, make_customer(shop, "c-0"), policy_digest=digest)
    ann.get(HOME)
    with CaptureQueriesContext(connection) as one:
        page = text_of(ann.get(HOME))
    assert FLAT_12.id not in page
    assert "order-1 Mall instalments × 12 c-0" in page
    for number in range(1, 20):
        open_one(shop, make_customer(shop, f"c-{number}"), policy_digest=digest, order_ref=f"o-{number}")
    open_one(shop, make_customer(shop, "c-20"), order_ref="of-no-policy")
    with CaptureQueriesContext(connection) as many:
        page = text_of(ann.get(HOME))
    assert FLAT_12.id in page, "a policy that never was names nothing"
    assert len(many) == len(one) + 1, "one asks for the policy that never was"


@pytest.mark.parametrize(
    ("language", "said", "fell_due"),
    [
        (
            "en",
            (
                "Deposit: deposit ¥1,000.00",
                "Buyout: price ¥1,000.00",
                "from the deposit",
                "automatic payment",
            ),
            ("Deposit fell due.", "Rent 1 fell due."),
        ),
        (
            "zh-hans",
            ("押金：押金 ¥1,000.00", "买断款：价款 ¥1,000.00", "押金抵付", "自动还款"),
            ("押金到期。", "第1期租金到期。"),
        ),
    ],
)
def test_what_paid_a_lease_is_told_by_the_names_of_its_rows(
    shop: Shop, ann: Client, language: str, said: tuple[str, ...], fell_due: tuple[str, ...]
) -> None:
    plan = Plan("rent_12", "rent", "mall", "operating_lease", 12, PHONE)
    contract = open_one(shop, make_customer(shop), plan, 490_000)
    servicing.pay(shop, contract, 100_000, "received", "d-1", AT)
    leases.hand_over(shop, contract, AT)
    closing.close_day(shop, on(40), after(40))
    servicing.pay(shop, contract, 40_000, "received", "aa_1", after(41), channel="autopay")
    with clock.pinned(after(200)):
        offer = leases.preview_buyout(shop, contract, after(200))
        leases.buy_out(shop, contract, offer.price_minor, "agreed", after(200))
        ann.cookies["fenqi_language"] = language
        page = ann.get(f"{HOME}{contract}/")
        paid, happened = part(page, "payments"), part(page, "events")
    for words in said:
        assert words in paid
    assert not re.search(r"instalment (0|13)|第 ?(0|13) ?期|deposit \d", paid)
    for words in fell_due:
        assert words in happened
    assert not re.search(r"Instalment \d|第 ?0 ?期", happened)


@pytest.mark.parametrize(("language", "said"), [("en", "nothing to pay"), ("zh-hans", "无须支付")])
def test_a_row_that_came_to_nothing_is_not_said_to_be_paid(
    shop: Shop, ann: Client, language: str, said: str
) -> None:
    contract = open_one(shop, make_customer(shop))
    assert said not in ann.get(f"{HOME}{contract}/").content.decode()
    acts.re_age(shop, contract, 6, on(90), after(40), actor="ann", reason="ill")
    ann.cookies["fenqi_language"] = language
    with clock.pinned(after(40)):
        page = ann.get(f"{HOME}{contract}/")
    assert part(page, "rows").count(said) == 12


def test_a_contract_shows_what_is_owed_and_what_each_payment_paid(shop: Shop, ann: Client) -> None:
    contract = open_one(shop, make_customer(shop))
    # 12 × 536.00, of it 500.00 price and 36.00 fee: 600.00 pays the first row and 64.00 of the second's, the fee first.
    servicing.pay(shop, contract, 60_000, "received", "p-1", AT, channel="cash", operator="staff:li")
    page = ann.get(f"{HOME}{contract}/")
    assert figure(page, "balance") == "¥5,832.00"
    assert figure(page, "paid") == "¥600.00"
    paid = part(page, "payments")
    assert "instalment 1: price ¥500.00, fee ¥36.00" in paid
    assert "instalment 2: price ¥28.00, fee ¥36.00" in paid
    assert "cash at the till, taken by li" in paid
    events = part(page, "events")
    assert "¥600.00 in cash was taken at the till by li, receipt p-1." in events
    assert "The contract was agreed." in events


def test_a_late_told_payment_shows_what_it_changed_and_what_was_believed_before(
    shop: Shop, ann: Client
) -> None:
    contract = open_one(shop, make_customer(shop))
    servicing.pay(shop, contract, 53_600, "received", "p-2", after(35))
    # It arrived on the day of the agreement, and is told 50 days later: the payment of before it pays the second row now.
    servicing.pay(shop, contract, 53_600, "received", "p-1", after(50), occurred_on=on(0))
    with clock.pinned(after(51)):
        page = ann.get(f"{HOME}{contract}/")
        seqs = re.findall(r'href="\?event=(\d+)#changed">', page.content.decode())
        changed = part(ann.get(f"{HOME}{contract}/", {"event": seqs[0]}), "change")
        assert "¥536.00 arrived by bank (p-1)." in changed
        # Two rows are paid where one was; 12 × 536.00 − 536.00, and once more.
        assert "2 paid of the price ¥0.00 ¥500.00" in changed
        assert "¥5,896.00 ¥5,360.00" in changed
        whole = text_of(ann.get(f"{HOME}{contract}/", {"event": seqs[0]}))
        assert "p-2 instalment 1: ¥536.00 instalment 2: ¥536.00" in whole
        before = ann.get(f"{HOME}{contract}/", {"known_at": "2027-01-10T10:00"})
        assert figure(before, "balance") == "¥5,896.00"
        assert "p-1" not in part(before, "events")
        # On the day of the agreement nothing was paid as far as anybody knew; now it is known that a row was.
        assert figure(ann.get(f"{HOME}{contract}/", {"as_of": "2026-11-23"}), "balance") == "¥5,896.00"
        then = {"as_of": "2026-11-23", "known_at": "2026-11-23T12:00"}
        assert figure(ann.get(f"{HOME}{contract}/", then), "balance") == "¥6,432.00"


def test_a_day_that_is_none_is_said_and_the_present_shown(shop: Shop, ann: Client) -> None:
    contract = open_one(shop, make_customer(shop))
    answer = ann.get(f"{HOME}{contract}/", {"as_of": "yesterday"})
    assert answer.status_code == 400
    assert "Write a day like 2026-11-30" in text_of(answer)
    assert figure(answer, "balance") == "¥6,432.00"


def test_the_book_is_linked_for_those_who_may_read_it(shop: Shop, ann: Client, as_staff: Staff) -> None:
    contract = open_one(shop, make_customer(shop))
    assert "/console/books/?contract=" not in ann.get(f"{HOME}{contract}/").content.decode()
    qian = as_staff("finance", shop=shop, username="qian")
    page = qian.get(f"{HOME}{contract}/").content.decode()
    link = re.search(r'href="(/console/books/\?contract=[^"]+)"', page)
    assert link is not None
    assert qian.get(link[1]).status_code == 200
    statement = re.search(r'href="(/papers/[^"]+/)"', page)
    assert statement is not None
    assert ann.get(statement[1]).status_code == 200


def test_the_pages_speak_chinese(shop: Shop, as_staff: Staff) -> None:
    contract = open_one(shop, make_customer(shop))
    servicing.pay(shop, contract, 60_000, "received", "p-1", AT)
    li = as_staff("support", shop=shop, username="li", language="zh")
    assert "商城自营分期的合同" in text_of(li.get(HOME))
    page = text_of(li.get(f"{HOME}{contract}/"))
    for said in ("第 1 期：价款 ¥500.00、手续费 ¥36.00", "银行收到¥600.00（p-1）。", "合同签订。"):
        assert said in page, said


def test_a_link_for_the_customer_is_made_once_and_stands_in_the_log(
    shop: Shop, ann: Client, as_staff: Staff
) -> None:
    contract = open_one(shop, make_customer(shop))
    page = ann.post(f"{HOME}{contract}/portal-link")
    link = re.search(r'data-fq-part="link">([^<]+)<', page.content.decode())
    assert link is not None
    assert "/enter" in link[1] or "?t=" in link[1]
    assert [(each.actor, each.act) for each in audit.entries(shop)] == [("staff:ann", "portal.link")]
    assert ann.get(f"{HOME}{contract}/portal-link").status_code == 405
    qian = as_staff("finance", shop=shop, username="qian")
    assert qian.post(f"{HOME}{contract}/portal-link").status_code == 403
    assert "portal-link" not in qian.get(f"{HOME}{contract}/").content.decode()

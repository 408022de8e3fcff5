"""Reconciliation in the console: a file in, a break cleared by two people, the settlement booked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.reconciliation.test_reconciling import BATCH, booked, line, pay
from tests.reconciliation.test_statement import own
from tests.servicing.opened import AT, make_customer, make_shop, open_one

from fenqi.ledger.accounts import BANK
from fenqi_server import clock
from fenqi_server.policies import audit
from fenqi_server.reconciliation import clearing
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches

HOME = "/console/reconciliation/"


@pytest.fixture
def shop(db: object) -> Iterator[Shop]:
    with clock.pinned(AT):
        yield make_shop()
    forget_caches()


@pytest.fixture
def ann(shop: Shop, as_staff: Callable[..., Client]) -> Client:
    return as_staff("finance", shop=shop, username="ann")


@pytest.fixture
def bo(shop: Shop, as_staff: Callable[..., Client]) -> Client:
    return as_staff("finance", shop=shop, username="bo")


def send(client: Client, *rows: str, act: str = "take", layout: str = "own", **more: Any) -> Any:
    file = SimpleUploadedFile("bill.csv", own(*rows))
    return client.post(
        f"{HOME}import",
        {"file": file, "layout": layout, "settlement": BATCH, "act": act, **more},
        follow=True,
    )


def test_in_a_shop_of_one_person_the_page_says_from_when_on(shop: Shop, ann: Client) -> None:
    Shop.objects.filter(id=shop.id).update(single_operator=True)
    forget_caches()
    send(ann, line("lost"))
    (each,) = clearing.breaks(shop)
    address = f"{HOME}breaks/{each.id}/"
    page = ann.get(address).content.decode()
    assert (
        "above ¥100.00: as one person runs the shop, you can agree to it yourself a day after you asked"
        in page
    )
    with clock.pinned(AT):
        asked = ann.post(
            f"{address}ask", {"way": "release", "reason": "not ours"}, follow=True
        ).content.decode()
    assert "You can agree to it yourself in a day." in asked
    assert "you can agree to it yourself from" in asked
    assert "/decide" not in asked
    with clock.pinned(AT + timedelta(days=1)):
        assert "/decide" in ann.get(address).content.decode()
        assert ann.post(f"{address}decide", {"verdict": "approve"}).status_code == 302
    assert clearing.break_of(shop, each.id).state == "cleared"


def test_from_the_file_to_the_bank_by_two_people(shop: Shop, ann: Client, bo: Client) -> None:
    contract = open_one(shop, make_customer(shop))
    pay(shop, contract, "p-1")
    assert "1 break" in send(ann, line("p-1"), line("lost"), act="try").content.decode()
    assert clearing.breaks(shop) == []
    page = send(ann, line("p-1"), line("lost")).content.decode()
    assert "2 lines read, 1 matched, 1 break open" in page
    assert "It arrived at the bank" not in page
    (each,) = clearing.breaks(shop)
    address = f"{HOME}breaks/{each.id}/"
    assert "The amount is above ¥100.00: somebody else has to agree." in ann.get(address).content.decode()
    assert ann.post(f"{address}ask", {"way": "release", "reason": ""}).status_code == 409
    asked = ann.post(f"{address}ask", {"way": "release", "reason": "not ours"}, follow=True).content.decode()
    assert "You asked for it, so somebody else has to decide." in asked
    assert "/decide" not in asked
    assert ann.post(f"{address}decide", {"verdict": "approve"}).status_code == 409
    assert ann.post(f"{HOME}settlement", {"settlement": BATCH, "act": "arrive"}).status_code == 409
    assert bo.post(f"{address}decide", {"verdict": "approve"}).status_code == 302
    assert "approved by bo" in ann.get(address).content.decode()
    assert "Cleared" not in ann.get(HOME).content.decode()
    assert "cleared" in ann.get(HOME, {"done": "1"}).content.decode()
    done = ann.post(f"{HOME}settlement", {"settlement": BATCH, "act": "arrive"}, follow=True).content.decode()
    assert "Booked: the bank got ¥500.00." in done
    assert booked(shop, BANK) == 50_000
    recorded = {(entry.actor, entry.act) for entry in audit.entries(shop)}
    assert recorded >= {
        ("staff:ann", "statement.import"),
        ("staff:ann", "break.ask"),
        ("staff:bo", "break.approve"),
        ("staff:ann", "settlement.arrive"),
    }


def test_two_breaks_of_one_payment_are_linked_from_the_page(shop: Shop, ann: Client, bo: Client) -> None:
    contract = open_one(shop, make_customer(shop))
    pay(shop, contract, "p-1", 5_000)
    send(ann, line("typo", 5_000))
    theirs = next(each for each in clearing.breaks(shop) if each.statement_id)
    address = f"{HOME}breaks/{theirs.id}/"
    found = re.search(r'value="(link:[0-9a-f-]+)"', ann.get(address).content.decode())
    assert found is not None
    assert ann.post(f"{address}ask", {"way": found[1], "reason": "a typo"}).status_code == 302
    assert clearing.breaks(shop) == []


def test_a_wrong_file_is_refused_with_its_lines_and_a_declared_layout_is_read(
    shop: Shop, ann: Client
) -> None:
    answer = send(ann, line("p-1"), "p-2,x,CNY,2026-11-23,,")
    assert answer.status_code == 400
    assert "line 3, amount" in answer.content.decode()
    assert send(ann, line("p-1"), layout="paypal").status_code == 400
    assert ann.post(f"{HOME}import", {"settlement": BATCH, "layout": "own"}).status_code == 400
    declared = (
        b'{"name":"x","date":"date","date_format":"%Y-%m-%d",'
        b'"kinds":[{"reference":"reference","amount":"amount"}],"amount_unit":"minor"}'
    )
    send(ann, "p-1,50000,CNY,2026-11-23,,", declared=SimpleUploadedFile("x.json", declared))
    assert [each.theirs_minor for each in clearing.breaks(shop)] == [50_000]


def test_the_auditor_reads_and_acts_on_nothing(
    shop: Shop, ann: Client, as_staff: Callable[..., Client]
) -> None:
    send(ann, line("p-1"))
    (each,) = clearing.breaks(shop)
    auditor = as_staff("auditor", shop=shop, username="eve")
    for address in (HOME, f"{HOME}breaks/{each.id}/"):
        page = auditor.get(address)
        assert page.status_code == 200
        main = page.content.decode().partition("<main")[2]
        assert "<form" not in main.partition("</main>")[0]
    assert auditor.post(f"{HOME}breaks/{each.id}/ask", {"way": "accept", "reason": "x"}).status_code == 403


def test_the_pages_speak_chinese(shop: Shop, ann: Client, as_staff: Callable[..., Client]) -> None:
    send(ann, line("p-1"))
    (each,) = clearing.breaks(shop)
    client = as_staff("finance", shop=shop, username="li", language="zh")
    assert "对方有、我方无" in client.get(HOME).content.decode()
    assert "金额超过 ¥100.00，须由另一人审批。" in client.get(f"{HOME}breaks/{each.id}/").content.decode()


def test_what_waits_counts_no_request_of_one_s_own(shop: Shop, ann: Client, bo: Client) -> None:
    send(ann, line("p-1"))
    (each,) = clearing.breaks(shop)
    assert (clearing.count_for(shop, "staff:ann", AT), clearing.count_for(shop, "staff:bo", AT)) == (1, 1)
    clearing.ask(shop, each.id, "accept", "why", actor="staff:ann", at=AT)
    assert (clearing.count_for(shop, "staff:ann", AT), clearing.count_for(shop, "staff:bo", AT)) == (0, 1)
    assert "Breaks of statements to clear" in bo.get("/console/").content.decode()

"""All that is kept of a customer as one file, and forgetting what need not be kept."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction
from tests.api.world import GROWN_UP, PHONE, make_world
from tests.pages.page import parse
from tests.portal.shop import AT, RealShop, real_shop
from tests.servicing.opened import make_shop

from fenqi_server import clock
from fenqi_server.autopay import mandates
from fenqi_server.autopay.mandates import Tool
from fenqi_server.customers import service as customers
from fenqi_server.customers.service import Private
from fenqi_server.db import use_shop
from fenqi_server.funders import consents
from fenqi_server.policies import audit
from fenqi_server.portal import personal
from fenqi_server.servicing import requests
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing.requests import HardshipAsked
from fenqi_server.support import cases


@pytest.fixture
def mall(db: object, at: object) -> RealShop:
    return real_shop()


def test_every_table_with_a_customer_s_key_is_in_the_file_or_said_not_to_be(mall: RealShop) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE a.attname = 'customer_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace = 'public'::regnamespace"
        )
        found = {name for (name,) in cursor.fetchall()}
    told = {table for table, _ in personal.EXPORTED.values()}
    assert found - told == set(personal.LEFT_OUT), "say in portal/personal.py what becomes of these"
    assert told <= found


def fill(mall: RealShop) -> None:
    """Something of everything that a customer leaves behind."""
    at = clock.now()
    customers.set_private(mall.shop, mall.owner, Private("Lin Xiao", "lin@example.com", "13800138000"), at)
    case = cases.open_case(mall.shop, mall.owner, "My ring size is 52", at, locale="en", subject="Ring")
    cases.write(mall.shop, case.public_id, "agent", "Dear Lin Xiao", at, actor="ann")
    cases.note(mall.shop, case.public_id, "ann", "Lin Xiao sounded upset", at)
    consents.record(mall.shop, mall.owner, "hean", at)
    mandates.give(mall.shop, mall.owner, Tool("tok_secret", "UnionPay", "4242"), 100_000, "v1", at)
    asked = HardshipAsked(reason="illness", months=2)
    request = requests.open_request(mall.shop, mall.contract, asked, at, said="in hospital")
    requests.withdraw(mall.shop, request.request_id, at)


def everything_kept(of: RealShop) -> str:
    """Every row of every table that holds anything of the customer, as text."""
    kept = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE a.attname = 'customer_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t WHERE customer_id = %s", [of.owner])
            kept += [row for (row,) in cursor.fetchall()]
    return "\n".join(kept)


def in_file(world: Any) -> Any:
    return json.loads(b"".join(personal.file_of(world.shop, world.customer_id, AT)))


def paid(mall: RealShop) -> None:
    servicing.pay(mall.shop, mall.contract, 643_200, "received", "all", clock.now())


def test_the_file_holds_what_is_kept_and_no_secret_of_anybody_else(mall: RealShop) -> None:
    fill(mall)
    client = mall.signed_in()
    answer = client.get("/account/data/file.json")
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "no-store" in answer.headers["Cache-Control"]
    found = json.loads(text := answer.getvalue().decode())
    assert found["private"][0]["email"] == "lin@example.com"
    assert [event["kind"] for event in found["events"]] == ["confirmed"]
    assert found["contracts_now"][0]["balance_minor"] == 643_200
    assert [message["body"] for message in found["case_messages"]] == ["My ring size is 52", "Dear Lin Xiao"]
    assert found["consents"][0]["recipient"] == "hean"
    assert found["requests"][0]["said"] == "in hospital"
    assert found["mandates"][0]["tool_last4"] == "4242"
    for secret in ("tok_secret", "sounded upset", '"ann"'):
        assert secret not in text


def test_the_file_is_one_customer_s(mall: RealShop) -> None:
    fill(mall)
    mall.link("c-2")
    theirs = mall.signed_in("c-2").get("/account/data/file.json").getvalue().decode()
    for mine in ("lin@example.com", mall.contract, "ring", "order-1"):
        assert mine not in theirs


def test_decisions_are_in_the_file_with_the_reasons_as_a_customer_reads_them(db: Any, at: Any) -> None:
    world = make_world()
    from fenqi_server.decisions import service as decisions

    asked = dict(GROWN_UP) | {"customer.age": 17}
    decisions.evaluate(world.shop, world.customer_id, (PHONE,), "web", asked, AT)
    (one,) = in_file(world)["decisions"]
    assert one["asked"]["facts"]["customer.age"] == 17
    assert one["answers"]["mall_12"] == {"state": "unavailable", "reasons": ["UNDERAGE"]}


@pytest.mark.parametrize("written", [0, 4, 7])
def test_the_file_holds_every_decision_however_many_there_are(
    db: Any, at: Any, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    world = make_world()
    from fenqi_server.decisions import log
    from fenqi_server.decisions import service as decisions

    monkeypatch.setattr(personal, "DECISIONS_A_PAGE", 2)
    made = []
    for n in range(7):
        if n == written:
            log.flush()  # the others wait in this process still
        made.append(
            decisions.evaluate(
                world.shop, world.customer_id, (PHONE,), "web", GROWN_UP, AT + timedelta(seconds=n)
            ).public_id
        )
    if written == 7:
        log.flush()
    assert [one["decision"] for one in in_file(world)["decisions"]] == made[::-1]


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "A contract is running, and ¥6,432.00 is owed."), ("zh", "有合同尚在履行，还应还¥6,432.00。")],
)
def test_while_a_contract_runs_nothing_is_erased_and_why_is_said(
    mall: RealShop, language: str, words: str
) -> None:
    fill(mall)
    before = everything_kept(mall)
    client = mall.signed_in(language=language)
    assert words in client.get("/account/data/erase/").content.decode()
    answer = client.post("/account/data/erase/", {"token": "x", "sure": "yes"})
    assert answer.status_code == 409
    assert words in answer.content.decode()
    assert "lin@example.com" in before
    assert "lin@example.com" in everything_kept(mall)


def test_money_that_is_to_go_back_is_in_the_way(mall: RealShop) -> None:
    paid(mall)
    assert personal.in_the_way(mall.shop, mall.owner, AT) == ()
    servicing.pay(mall.shop, mall.contract, 100, "received", "twice", AT)
    (reason,) = personal.in_the_way(mall.shop, mall.owner, AT)
    assert "¥1.00 is still to be paid back to you" in reason.en
    with pytest.raises(personal.NotYet):
        personal.erase(mall.shop, mall.owner, AT)


def test_help_that_nothing_is_owed_for_is_not_waited_for(mall: RealShop) -> None:
    asked = HardshipAsked(reason="illness", months=2)
    request = requests.open_request(mall.shop, mall.contract, asked, AT)
    assert "is not decided" in " ".join(each.en for each in personal.in_the_way(mall.shop, mall.owner, AT))
    paid(mall)
    assert personal.in_the_way(mall.shop, mall.owner, AT) == ()
    personal.erase(mall.shop, mall.owner, AT)
    # Nobody of the shop is left with it.
    assert requests.get(mall.shop, request.request_id).state == "withdrawn"


def test_erasing_is_asked_twice_and_forgets_what_need_not_be_kept(mall: RealShop) -> None:
    fill(mall)
    paid(mall)
    client, other = mall.signed_in(), mall.signed_in()
    first = parse(client.get("/account/data/erase/").content)
    assert not first.all("input", name="token")
    second = parse(client.post("/account/data/erase/").content)
    token = second.one("input", name="token")["value"]
    assert "checked" not in second.one("input", name="sure").attributes
    unsure = client.post("/account/data/erase/", {"token": token})
    assert unsure.status_code == 422
    assert "lin@example.com" in everything_kept(mall)
    done = client.post("/account/data/erase/", {"token": token, "sure": "yes"})
    assert "It is erased" in done.content.decode()

    kept = everything_kept(mall)
    for gone in ("lin@example.com", "Lin Xiao", "13800138000", "ring size", "upset", "in hospital", "Ring"):
        assert gone not in kept
    # What has to stay: the contract, its payment, the book, what was agreed to.
    assert servicing.get(mall.shop, mall.contract, at=AT).state.paid_minor == 643_200
    assert consents.given(mall.shop, mall.owner, "hean")
    (mandate,) = mandates.mandates_of(mall.shop, mall.owner)
    assert not mandate.stands
    # Signed out everywhere, and written down without a word of who it was.
    assert client.get("/account/").status_code == 403
    assert other.get("/account/").status_code == 403
    entry = next(each for each in audit.entries(mall.shop) if each.act == "customer.erase")
    assert (entry.actor, entry.subject) == ("customer", f"customer:{mall.owner}")
    assert entry.after["texts"] == 5
    assert "lin" not in json.dumps(entry.after).lower()


def test_another_customer_s_second_question_is_not_an_answer(mall: RealShop) -> None:
    customers.ensure(mall.shop, "c-2", AT)
    theirs = parse(mall.signed_in("c-2").post("/account/data/erase/").content)
    token = theirs.one("input", name="token")["value"]
    paid(mall)
    customers.set_private(mall.shop, mall.owner, Private("Lin Xiao"), AT)
    client = mall.signed_in()
    answer = client.post("/account/data/erase/", {"token": token, "sure": "yes"})
    assert "Erase it for good?" in answer.content.decode()
    assert customers.private(mall.shop, mall.owner).display_name == "Lin Xiao"
    with clock.pinned(AT + timedelta(minutes=11)):
        own = parse(client.post("/account/data/erase/").content).one("input", name="token")["value"]
    with clock.pinned(AT + timedelta(minutes=22)):
        answer = client.post("/account/data/erase/", {"token": own, "sure": "yes"})
    assert customers.private(mall.shop, mall.owner).display_name == "Lin Xiao"


def test_the_service_blanks_messages_of_its_own_shop_alone_and_changes_none(mall: RealShop) -> None:
    fill(mall)
    other = make_shop("corner")
    assert cases.forget_words(other, mall.owner) == 0
    use_shop(mall.shop.id)
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE support_message SET body = 'something else'")
    assert cases.forget_words(mall.shop, mall.owner) == 4

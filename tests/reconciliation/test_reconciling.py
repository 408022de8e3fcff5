"""Statements against a real book: what is written, what is booked, who may clear what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from tests.reconciliation.test_statement import own
from tests.servicing.opened import AT, make_customer, make_shop, open_one

from fenqi.ledger.accounts import BANK, IN_TRANSIT, OTHER_INCOME, PROVIDER_FEES, SUSPENSE
from fenqi.problems import BadInput
from fenqi_server import clock
from fenqi_server.books.proof import prove_shop
from fenqi_server.books.reading import trial_balance
from fenqi_server.customers import service as customers
from fenqi_server.policies import audit
from fenqi_server.reconciliation import clearing, importing
from fenqi_server.reconciliation.clearing import BreakRow, Refusal
from fenqi_server.reconciliation.layouts import LAYOUTS
from fenqi_server.reconciliation.statement import StatementRefused
from fenqi_server.servicing import service as servicing
from fenqi_server.servicing import unapplied
from fenqi_server.shops.models import Shop

BATCH = "wallet:2026-11-23"
OWN = LAYOUTS["own"]


@pytest.fixture
def shop(db: object) -> Iterator[Shop]:
    with clock.pinned(AT):
        yield make_shop()


@pytest.fixture
def contract(shop: Shop) -> str:
    return open_one(shop, make_customer(shop))


def pay(shop: Shop, contract: str, reference: str, minor: int = 50_000, settlement: str = BATCH) -> None:
    servicing.pay(
        shop, contract, amount_minor=minor, payment_ref=reference, kind="received",
        channel="wallet", at=AT, settlement=settlement,
    )  # fmt: skip


def line(reference: str, minor: int = 50_000, fee: int = 0, on: str = "2026-11-23", party: str = "") -> str:
    return f"{reference},{minor / 100:.2f},CNY,{on},{party},{fee / 100:.2f}"


def take(shop: Shop, *rows: str, settlement: str = BATCH) -> importing.Imported:
    return importing.import_statement(shop, own(*rows), OWN, settlement, actor="staff:ann", at=AT)


def waiting(shop: Shop) -> list[BreakRow]:
    return clearing.breaks(shop)


def ask(
    shop: Shop, each: BreakRow, action: str, other: UUID | None = None, by: str = "staff:ann"
) -> BreakRow:
    return clearing.ask(shop, each.id, action, "looked into", actor=by, at=AT, other=other)


def booked(shop: Shop, account: int) -> int:
    return sum(
        each.debit_minor - each.credit_minor for each in trial_balance(shop) if each.account == account
    )


def in_transit(shop: Shop, settlement: str = BATCH) -> int:
    rows = [each for each in clearing.settlements(shop) if each.settlement == settlement]
    return rows[0].in_transit_minor if rows else -1


def test_what_matches_arrives_whole_and_leaves_nothing_in_transit(shop: Shop, contract: str) -> None:
    pay(shop, contract, "p-1")
    pay(shop, contract, "p-2")
    done = take(shop, line("p-1", fee=300), line("p-2", fee=300))
    assert (done.lines, done.matched, done.breaks, done.fee_minor) == (2, 2, {}, 600)
    # 100,000 came in, of which the provider kept 600.
    assert clearing.arrive(shop, BATCH, actor="staff:ann", at=AT) == 99_400
    assert (booked(shop, BANK), booked(shop, IN_TRANSIT), booked(shop, PROVIDER_FEES)) == (99_400, 0, 600)
    assert booked(shop, SUSPENSE) == 0
    with pytest.raises(Refusal, match="nothing_arrived"):
        clearing.arrive(shop, BATCH, actor="staff:ann", at=AT)
    assert prove_shop(shop).ok
    assert {each.act for each in audit.entries(shop)} == {"statement.import", "settlement.arrive"}


def test_the_same_file_twice_is_one_import_and_a_dry_run_is_none(shop: Shop, contract: str) -> None:
    pay(shop, contract, "p-1")
    rows = [line("p-1"), line("unknown")]
    tried = importing.preview(shop, own(*rows), OWN, BATCH)
    assert (tried.statement_id, tried.matched, tried.breaks) == (None, 1, {"missing_ours": 1})
    assert clearing.settlements(shop) == []
    first = take(shop, *rows)
    again = take(shop, *rows)
    assert again.repeated
    assert again.statement_id == first.statement_id
    assert importing.preview(shop, own(*rows), OWN, BATCH).repeated
    assert len(waiting(shop)) == 1
    assert booked(shop, SUSPENSE) == -50_000


@pytest.mark.parametrize("bad", ["p-2,x,CNY,2026-11-23,,", "p-2,1.00,USD,2026-11-23,,"])
def test_a_file_with_one_wrong_line_leaves_nothing_behind(shop: Shop, contract: str, bad: str) -> None:
    pay(shop, contract, "p-1")
    with pytest.raises(StatementRefused, match="line 3"):
        take(shop, line("p-1"), bad)
    assert clearing.settlements(shop) == []
    with pytest.raises(BadInput, match="settlement"):
        take(shop, line("p-1"), settlement=" ")


def test_stated_money_that_nobody_knows_waits_in_suspense_until_it_is_linked(
    shop: Shop, contract: str
) -> None:
    pay(shop, contract, "p-1")
    take(shop, line("typo-1"))
    theirs, ours = sorted(waiting(shop), key=lambda each: each.kind)
    assert (theirs.kind, ours.kind) == ("missing_ours", "missing_theirs")
    # Ours is in transit, and so is theirs, which we owe to nobody yet.
    assert (in_transit(shop), booked(shop, SUSPENSE)) == (100_000, -50_000)
    assert [each.id for each in clearing.partners_of(shop, theirs)] == [ours.id]
    asked = ask(shop, theirs, "link", ours.id)
    assert asked.state == "asked", "¥500 is above the limit of ¥100"
    with pytest.raises(Refusal, match="own_request"):
        clearing.decide(shop, theirs.id, "approve", actor="staff:Ann", at=AT)
    with pytest.raises(Refusal, match="breaks_open"):
        clearing.arrive(shop, BATCH, actor="staff:ann", at=AT)
    assert clearing.decide(shop, theirs.id, "approve", actor="staff:bo", at=AT).state == "cleared"
    assert waiting(shop) == []
    assert (in_transit(shop), booked(shop, SUSPENSE)) == (50_000, 0)
    assert clearing.arrive(shop, BATCH, actor="staff:ann", at=AT) == 50_000
    assert prove_shop(shop).ok


def test_ours_that_they_do_not_have_leaves_transit_for_suspense(shop: Shop, contract: str) -> None:
    pay(shop, contract, "p-1")
    pay(shop, contract, "p-2", 5_000)
    take(shop, line("p-1"))
    (lost,) = waiting(shop)
    assert (lost.kind, lost.our_reference) == ("missing_theirs", "p-2")
    with pytest.raises(Refusal, match="bad_action"):
        ask(shop, lost, "accept")
    assert ask(shop, lost, "suspend").state == "cleared", "¥50 is within the limit"
    assert (in_transit(shop), booked(shop, SUSPENSE)) == (50_000, 5_000)
    assert clearing.arrive(shop, BATCH, actor="staff:ann", at=AT) == 50_000
    assert prove_shop(shop).ok


def test_a_line_of_theirs_that_is_wrong_is_taken_out_again(shop: Shop, contract: str) -> None:
    pay(shop, contract, "p-1")
    take(shop, line("p-1"), line("p-1", on="2026-11-24"))
    (twice,) = waiting(shop)
    assert (twice.kind, twice.difference_minor, in_transit(shop)) == ("duplicate", 50_000, 100_000)
    ask(shop, twice, "release")
    clearing.decide(shop, twice.id, "approve", actor="staff:bo", at=AT)
    assert (in_transit(shop), booked(shop, SUSPENSE)) == (50_000, 0)


def test_a_fen_that_is_accepted_stays_in_suspense(shop: Shop, contract: str) -> None:
    pay(shop, contract, "p-1")
    take(shop, line("p-1", 49_999))
    (fen,) = waiting(shop)
    assert (fen.kind, fen.difference_minor, in_transit(shop)) == ("one_fen", -1, 49_999)
    ask(shop, fen, "accept")
    assert clearing.arrive(shop, BATCH, actor="staff:ann", at=AT) == 49_999
    assert (booked(shop, BANK), booked(shop, SUSPENSE), booked(shop, IN_TRANSIT)) == (49_999, 1, 0)


@pytest.mark.parametrize(("stated", "cost", "income"), [(49_999, 1, 0), (49_400, 600, 0), (50_700, 0, -700)])
def test_a_difference_that_is_absorbed_leaves_nothing_in_suspense(
    shop: Shop, contract: str, stated: int, cost: int, income: int
) -> None:
    pay(shop, contract, "p-1")
    take(shop, line("p-1", stated))
    (each,) = waiting(shop)
    assert "absorb" in clearing.actions_for(each)
    done = ask(shop, each, "absorb")
    assert done.state == "cleared"
    assert clearing.arrive(shop, BATCH, actor="staff:ann", at=AT) == stated
    assert (booked(shop, BANK), booked(shop, SUSPENSE), booked(shop, IN_TRANSIT)) == (stated, 0, 0)
    assert (booked(shop, PROVIDER_FEES), booked(shop, OTHER_INCOME)) == (cost, income)
    assert prove_shop(shop).ok


def test_money_that_only_they_state_is_nobodys_to_absorb(shop: Shop, contract: str) -> None:
    take(shop, line("p-9"))
    (each,) = waiting(shop)
    with pytest.raises(Refusal, match="bad_action"):
        ask(shop, each, "absorb")


def test_a_payment_that_is_booked_later_mends_its_break_and_empties_suspense(
    shop: Shop, contract: str
) -> None:
    take(shop, line("p-1"))
    (missing,) = waiting(shop)
    ask(shop, missing, "accept")
    pay(shop, contract, "p-1")
    found = importing.match_again(shop, BATCH, actor="staff:ann", at=AT + timedelta(seconds=1))
    assert (len(found.matches), found.breaks) == (1, ())
    assert clearing.break_of(shop, missing.id).state == "resolved"
    assert (in_transit(shop), booked(shop, SUSPENSE)) == (50_000, 0)
    with pytest.raises(Refusal, match="not_asked"):
        clearing.decide(shop, missing.id, "approve", actor="staff:bo", at=AT)


def test_a_payment_booked_to_the_day_before_moves_to_the_batch_that_states_it(
    shop: Shop, contract: str
) -> None:
    pay(shop, contract, "p-1")
    pay(shop, contract, "p-2")
    take(shop, line("p-1"))
    assert [each.kind for each in waiting(shop)] == ["missing_theirs"]
    done = take(shop, line("p-2", on="2026-11-24"), settlement="wallet:2026-11-24")
    assert (done.matched, done.breaks) == (1, {})
    assert waiting(shop) == []
    assert (in_transit(shop), in_transit(shop, "wallet:2026-11-24")) == (50_000, 50_000)
    assert booked(shop, SUSPENSE) == 0


def test_a_line_stated_again_on_another_day_is_a_duplicate(shop: Shop, contract: str) -> None:
    pay(shop, contract, "p-1")
    take(shop, line("p-1"))
    assert take(shop, line("p-1", on="2026-11-24"), settlement="wallet:2026-11-24").breaks == {"duplicate": 1}


def test_money_that_names_no_contract_is_matched_by_its_number(shop: Shop, contract: str) -> None:
    pay(shop, "ct_nobody", "p-9")
    pay(shop, "ct_nobody", "rent for May", 7_000)
    assert take(shop, line("p-9"), line("rent for May", 7_000)).breaks == {}


def test_a_line_without_a_reference_is_known_by_the_shop_s_name_for_who_paid(
    shop: Shop, contract: str
) -> None:
    other = open_one(shop, make_customer(shop, "c-2"), order_ref="order-2")
    pay(shop, contract, "p-1")
    pay(shop, other, "p-2")
    done = take(shop, line("", party="c-2"), line("", party="c-1"), line("", 7_000, party="c-1"))
    assert (done.matched, done.breaks) == (2, {"missing_ours": 1})


def test_a_refused_request_leaves_the_break_open(shop: Shop, contract: str) -> None:
    take(shop, line("p-1"))
    (each,) = waiting(shop)
    ask(shop, each, "release")
    with pytest.raises(Refusal, match="bad_reason"):
        clearing.decide(shop, each.id, "refuse", actor="staff:bo", at=AT)
    clearing.decide(shop, each.id, "refuse", actor="staff:bo", at=AT, note="call them first")
    assert clearing.break_of(shop, each.id).state == "open"
    with pytest.raises(Refusal, match="bad_reason"):
        clearing.ask(shop, each.id, "accept", " ", actor="staff:ann", at=AT)
    assert ask(shop, each, "accept").ask_number == 2


def test_the_database_itself_refuses_whoever_agrees_with_themselves(shop: Shop, contract: str) -> None:
    take(shop, line("p-1"))
    (each,) = waiting(shop)
    asked = ask(shop, each, "accept")
    row = [
        shop.id,
        each.id,
        asked.ask_number,
        "staff:ann",
        50_000,
        10_000,
        "approve",
        "staff:ANN",
        AT,
        AT,
        False,
    ]
    insert = (
        "INSERT INTO reconciliation_decision (shop_id, break_id, number, asked_by, at_stake_minor, limit_minor, verdict,"
        " decided_by, decided_at, asked_at, alone) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    )
    with (
        pytest.raises(IntegrityError, match="two_people"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(insert, row)
    # Nor by another limit than the break was opened under, nor by saying that somebody else asked, or in a shop of one person, or long ago.
    for place, value in ((5, 90_000), (3, "staff:eve"), (4, 1), (10, True), (9, AT - timedelta(days=2))):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(insert, [*row[:place], value, *row[place + 1 :]])
    for sql in (
        "UPDATE reconciliation_break SET state = 'cleared', closed_at = now()",
        "UPDATE reconciliation_break SET state = 'cleared', closed_at = now(), cleared_break_id = id, cleared_by_number = 1",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    for sql in ("UPDATE reconciliation_break SET limit_minor = 90000", "DELETE FROM reconciliation_clearing"):
        with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)


def test_one_person_alone_agrees_a_day_later_and_not_before(shop: Shop, contract: str) -> None:
    Shop.objects.filter(id=shop.id).update(single_operator=True)
    shop.refresh_from_db()
    take(shop, line("p-1"))
    (each,) = waiting(shop)
    asked = ask(shop, each, "release")
    assert (asked.state, asked.waits_until) == ("asked", AT + timedelta(hours=24))
    soon = AT + timedelta(hours=23, minutes=59)
    day_later = AT + timedelta(hours=24)
    assert [clearing.count_for(shop, "staff:ann", at) for at in (soon, day_later)] == [0, 1]
    with pytest.raises(Refusal, match="own_request") as early:
        clearing.decide(shop, each.id, "approve", actor="staff:ann", at=soon)
    assert "a day has to go by" in early.value.text.en
    assert clearing.decide(shop, each.id, "approve", actor="staff:ann", at=day_later).state == "cleared"
    assert prove_shop(shop).ok


def test_who_asked_while_others_were_there_does_not_agree_alone_later(shop: Shop, contract: str) -> None:
    take(shop, line("p-1"))
    (each,) = waiting(shop)
    ask(shop, each, "release")
    Shop.objects.filter(id=shop.id).update(single_operator=True)
    shop.refresh_from_db()
    with pytest.raises(Refusal, match="own_request"):
        clearing.decide(shop, each.id, "approve", actor="staff:ann", at=AT + timedelta(days=9))
    # It is refused and asked for again.
    clearing.decide(shop, each.id, "refuse", actor="staff:ann", at=AT + timedelta(days=9), note="again")
    later = AT + timedelta(days=9)
    clearing.ask(shop, each.id, "release", "theirs", actor="staff:ann", at=later)
    done = clearing.decide(shop, each.id, "approve", actor="staff:ann", at=later + timedelta(days=1))
    assert done.state == "cleared"


def test_another_shop_sees_none_of_it(shop: Shop, contract: str) -> None:
    take(shop, line("p-1"))
    (each,) = waiting(shop)
    corner = make_shop("corner")
    assert clearing.breaks(corner) == []
    assert clearing.settlements(corner) == []
    with pytest.raises(clearing.NoBreak):
        clearing.break_of(corner, each.id)
    assert customers.find(corner, "c-1") is None


@pytest.mark.parametrize("stated_first", [True, False])
def test_money_matched_to_its_contract_is_reconciled_in_the_batch_it_came_with(
    shop: Shop, contract: str, stated_first: bool
) -> None:
    pay(shop, "order-9", "p-9")
    (money,) = unapplied.unmatched(shop).money
    if stated_first:
        take(shop, line("p-9"))
    unapplied.match(shop, money.unapplied_id, contract, AT)
    if not stated_first:
        assert take(shop, line("p-9")).matched == 1
    take(
        shop, line("p-10"), settlement="wallet:2026-11-24"
    )  # and another statement finds nothing of it either
    assert [each.kind for each in waiting(shop)] == ["missing_ours"]
    assert clearing.arrive(shop, BATCH, actor="staff:ann", at=AT) == 50_000
    assert prove_shop(shop).ok


def test_what_joined_the_batch_since_the_last_look_stops_its_arrival_and_is_named(
    shop: Shop, contract: str
) -> None:
    pay(shop, contract, "p-1")
    with pytest.raises(Refusal, match="unknown_settlement"):
        clearing.arrive(shop, BATCH, actor="staff:ann", at=AT)
    with pytest.raises(BadInput, match="one that a statement was imported for"):
        importing.match_again(shop, BATCH, actor="staff:ann", at=AT)
    take(shop, line("p-1"))
    pay(shop, contract, "p-2")
    with pytest.raises(Refusal, match="breaks_open"):
        clearing.arrive(shop, BATCH, actor="staff:ann", at=AT)
    assert [(each.kind, each.our_reference) for each in waiting(shop)] == [("missing_theirs", "p-2")]
    assert booked(shop, BANK) == 0

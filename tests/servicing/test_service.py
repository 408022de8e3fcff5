"""A contract's life in the database: opened, due, paid, overpaid, reversed, and never half-written."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection, transaction
from tests.engine.contracts.made import DOWN_6, FLAT_12, FREE_3, offer
from tests.servicing.opened import AT, TODAY, after, make_customer, make_shop, on, open_one

from fenqi.contracts.contract import EventRefused
from fenqi.contracts.terms import TermsMismatch
from fenqi.problems import BadInput
from fenqi_server.books.proof import prove_shop
from fenqi_server.db import use_shop
from fenqi_server.ids import parse_public_id, public_id
from fenqi_server.servicing import at_once, closing, service, storage
from fenqi_server.shops.models import Shop

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


def rows(sql: str, *values: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def test_a_contract_opened_is_shown_signed_and_booked_alike(shop: Shop) -> None:
    customer = make_customer(shop)
    contract = open_one(shop, customer)
    view = service.get(shop, contract, TODAY)
    bill, table = offer(FLAT_12, 600_000)
    assert view.terms.rows == bill.rows
    assert view.terms.disclosure == table
    assert (view.state.status, view.state.balance_minor, view.order_ref) == ("active", 643_200, "order-1")
    assert rows("SELECT accounts, amounts FROM books_transaction") == [([1110, 4010], [600_000, -600_000])]
    assert prove_shop(shop).ok


def test_a_disclosure_with_another_fee_opens_nothing(shop: Shop) -> None:
    customer = make_customer(shop)
    bill, _ = offer(FLAT_12, 600_000)
    _, other = offer(FLAT_12, 600_100)
    with pytest.raises(TermsMismatch), transaction.atomic():
        service.open_contract(
            shop,
            customer,
            plan=FLAT_12,
            schedule=bill,
            disclosure=other,
            policy_digest="",
            order_ref="o",
            at=AT,
        )
    assert rows("SELECT count(*) FROM servicing_contract") == [(0,)]


def test_a_down_payment_is_due_on_the_day_it_is_agreed(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), DOWN_6)
    state = service.get(shop, contract, TODAY).state
    assert (state.rows[0].reached, state.rows[0].status) == (True, "due")


def test_a_down_payment_offered_before_midnight_is_due_when_it_is_agreed(shop: Shop) -> None:
    customer = make_customer(shop)
    bill, table = offer(DOWN_6, 600_000, TODAY)
    with transaction.atomic():
        contract = service.open_contract(
            shop,
            customer,
            plan=DOWN_6,
            schedule=bill,
            disclosure=table,
            policy_digest="",
            order_ref="o",
            at=after(1),
        )
    state = service.get(shop, contract, on(1)).state
    assert (state.rows[0].due_on, state.rows[0].reached, state.overdue) == (on(1), True, False)
    assert not service.standing(shop, customer, on(1)).overdue
    assert prove_shop(shop).ok


def test_paying_an_instalment_allocates_posts_and_answers(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    paid = service.pay(shop, contract, 53_600, "request", "bank-1", after(1))
    assert [(part.row, part.fee_minor, part.principal_minor) for part in paid.parts] == [(1, 3_600, 50_000)]
    assert paid.contract is not None
    assert (paid.contract.state.balance_minor, paid.contract.state.next_row) == (589_600, 2)
    assert rows(
        "SELECT accounts, amounts, settlement, reference, occurred_on, booked_on FROM books_transaction"
        " WHERE event_kind = 'payment_received'"
    ) == [([1020, 1110, 4110], [53_600, -50_000, -3_600], "bank:2026-11-24", "bank-1", on(1), on(1))]
    assert prove_shop(shop).ok


def test_a_request_above_the_debt_is_refused_with_what_is_owed_and_changes_nothing(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    with pytest.raises(service.Refusal) as refused:
        service.pay(shop, contract, 643_201, "request", "bank-1", AT)
    assert (refused.value.code, refused.value.owed_minor, refused.value.asked_minor) == (
        "above_debt",
        643_200,
        643_201,
    )
    assert "6,432.00" in refused.value.detail.en
    assert len(service.get(shop, contract, TODAY).events) == 1


def test_money_that_has_arrived_is_booked_even_above_the_debt(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop), FREE_3)
    paid = service.pay(shop, contract, 600_700, "received", "bank-1", AT)
    assert (paid.applied_minor, paid.unapplied_minor) == (600_000, 700)
    more = service.pay(shop, contract, 300, "received", "bank-2", AT)
    assert (more.applied_minor, more.unapplied_minor) == (0, 300)
    with pytest.raises(service.Refusal) as refused:
        service.pay(shop, contract, 300, "request", "bank-3", AT)
    assert refused.value.owed_minor == 0
    assert prove_shop(shop).totals[0].accounts["unapplied_cash"] == -1_000


@pytest.mark.parametrize(
    "unknown", ["ct_nothing", "order-77", "", public_id("ct", *[__import__("uuid").UUID(int=5)] * 2)]
)
def test_money_that_names_no_contract_goes_to_suspense_and_a_request_does_not(
    shop: Shop, unknown: str
) -> None:
    paid = service.pay(shop, unknown, 5_000, "received", "bank-1", AT)
    assert (paid.contract, paid.unapplied_minor, paid.repeated) == (None, 5_000, False)
    assert service.pay(shop, unknown, 5_000, "received", "bank-1", AT).repeated
    with pytest.raises(service.Refusal) as refused:
        service.pay(shop, unknown, 6_000, "received", "bank-1", AT)
    assert refused.value.code == "payment_ref_reused"
    with pytest.raises(service.NoContract):
        service.pay(shop, unknown, 5_000, "request", "bank-2", AT)
    assert rows("SELECT accounts, amounts FROM books_transaction") == [([1020, 2110], [5_000, -5_000])]


def test_money_that_names_two_unknown_contracts_is_twice_money_though_its_number_is_the_same(
    shop: Shop,
) -> None:
    for unknown in ("order-77", "order-78"):
        paid = service.pay(shop, unknown, 5_000, "received", "1", AT)
        assert (paid.unapplied_minor, paid.repeated) == (5_000, False)
    assert service.pay(shop, "order-79", 6_000, "received", "1", AT).unapplied_minor == 6_000
    assert prove_shop(shop).totals[0].accounts["unapplied_cash"] == -16_000


def test_the_same_payment_twice_is_booked_once(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    first = service.pay(shop, contract, 53_600, "received", "bank-1", AT)
    second = service.pay(shop, contract, 53_600, "received", "bank-1", after(1))
    assert (first.repeated, second.repeated) == (False, True)
    assert second.parts == first.parts
    with pytest.raises(service.Refusal) as refused:
        service.pay(shop, contract, 53_601, "received", "bank-1", AT)
    assert refused.value.code == "payment_ref_reused"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 10**16}, "amount_minor"),
        ({"amount_minor": 1.5}, "amount_minor"),
        ({"payment_ref": ""}, "payment_ref"),
        ({"payment_ref": "x" * 201}, "payment_ref"),
        ({"kind": "maybe"}, "kind"),
        ({"occurred_on": on(1)}, "occurred_on"),
    ],
)
def test_a_payment_that_makes_no_sense_is_named(shop: Shop, change: dict[str, object], place: str) -> None:
    contract = open_one(shop, make_customer(shop))
    given = {"amount_minor": 100, "kind": "received", "payment_ref": "bank-1", "at": AT} | change
    with pytest.raises(BadInput) as bad:
        service.pay(shop, contract, **given)  # type: ignore[arg-type]
    assert bad.value.problem.place == place


def test_a_due_date_earns_its_fee_once(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    assert closing.close_day(shop, date(2026, 12, 22), after(29)).rows == 0
    assert closing.close_day(shop, date(2026, 12, 23), after(30)) == service.DueReport(1, 1)
    assert closing.close_day(shop, date(2026, 12, 23), after(30)) == service.DueReport(0, 0)
    assert rows(
        "SELECT accounts, amounts, occurred_on FROM books_transaction WHERE event_kind = 'due_reached'"
    ) == [([1120, 4110], [3_600, -3_600], date(2026, 12, 23))]
    assert service.get(shop, contract, date(2026, 12, 24)).state.overdue
    assert prove_shop(shop).ok


def test_due_dates_inside_an_outage_are_put_off_for_exactly_the_contracts_that_have_one(shop: Shop) -> None:
    hit = open_one(shop, make_customer(shop, "hit"))
    paid = open_one(shop, make_customer(shop, "paid"), order_ref="order-2")
    service.pay(shop, paid, 53_600, "received", "bank-1", after(1))
    other = open_one(shop, make_customer(shop, "other"), at=after(3), order_ref="order-3")
    day, to = date(2026, 12, 23), date(2026, 12, 25)

    def put_off() -> service.DueReport:
        return service.put_off(shop, day, day, to, "night", "outage", after(20))

    assert put_off() == service.DueReport(1, 1)
    assert put_off() == service.DueReport(0, 0)
    due = {
        name: service.get(shop, contract, date(2026, 12, 24)).state.rows[0].due_on
        for name, contract in {"hit": hit, "paid": paid, "other": other}.items()
    }
    assert due == {"hit": to, "paid": day, "other": date(2026, 12, 26)}
    assert service.arrears(shop, make_customer(shop, "hit"), date(2026, 12, 24)) == 0
    # Its due date comes on the new day, and what it earns is what it would have earned.
    assert (
        closing.close_day(shop, date(2026, 12, 24), after(31)).rows == 1
    )  # the paid one's, whose date stayed
    assert closing.close_day(shop, date(2026, 12, 25), after(32)).rows == 1
    assert rows(
        "SELECT amounts, occurred_on FROM books_transaction WHERE event_kind = 'due_reached' AND occurred_on = %s",
        to,
    ) == [([3_600, -3_600], to)]
    assert rows("SELECT 1 FROM books_transaction WHERE event_kind = 'due_moved'") == []
    assert prove_shop(shop).ok


def test_an_outage_that_goes_on_puts_a_date_off_further(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    day = date(2026, 12, 23)
    service.put_off(shop, day, day, date(2026, 12, 24), "night", "outage", after(20))
    assert (
        service.put_off(shop, day, date(2026, 12, 24), date(2026, 12, 26), "night", "outage", after(21)).rows
        == 1
    )
    row = service.get(shop, contract, date(2026, 12, 24)).state.rows[0]
    assert (row.due_on, row.moved_from) == (date(2026, 12, 26), day)
    with pytest.raises(BadInput):
        service.put_off(shop, day, day, day, "night", "outage", after(21))


def test_only_contracts_of_the_announced_plans_are_put_off_and_the_shop_is_told(shop: Shop) -> None:
    from fenqi_server.outbox import service as outbox

    outbox.add_endpoint(shop, "https://93.184.215.14/hook", ("contract.due_moved",), AT)
    flat = open_one(shop, make_customer(shop))
    open_one(shop, make_customer(shop, "c-2"), FREE_3, order_ref="order-2")
    day, to = date(2026, 12, 23), date(2026, 12, 24)
    plans = frozenset({FLAT_12.id})
    assert service.put_off(shop, day, day, to, "night", "outage", after(20), plans=plans).contracts == 1
    assert rows("SELECT body::jsonb #> '{data,rows}' FROM outbox_message") == [
        ('[{"to": "2026-12-24", "from": "2026-12-23", "number": 1}]',)
    ]
    assert service.get(shop, flat, date(2026, 12, 24)).state.rows[0].moved_by == "night"


def test_a_row_is_never_put_off_past_the_next_one(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    first, late = date(2026, 12, 23), date(2027, 1, 24)
    assert service.put_off(shop, first, first, late, "long", "outage", after(20)).failed == (contract,)
    both = service.put_off(shop, first, date(2027, 1, 23), late, "long", "outage", after(20))
    assert (both.rows, both.failed) == (2, ())
    assert {row.due_on for row in service.get(shop, contract, first).state.rows[:2]} == {late}


def test_missed_days_are_caught_up_under_their_own_dates(shop: Shop) -> None:
    open_one(shop, make_customer(shop))
    assert closing.run_due(after(100)) == 3
    assert rows(
        "SELECT occurred_on, booked_on FROM books_transaction WHERE event_kind = 'due_reached' ORDER BY occurred_on"
    ) == [(day, day) for day in (date(2026, 12, 23), date(2027, 1, 23), date(2027, 2, 23))]
    with pytest.raises(BadInput):
        closing.close_day(shop, on(101), after(100))


def test_a_run_that_stumbles_over_one_contract_does_the_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = open_one(shop, make_customer(shop, "bad"))
    open_one(shop, make_customer(shop, "good"))
    append = storage.append

    def failing(contract: storage.Stored, *rest: object) -> object:
        if contract.public_id == bad:
            raise ValueError("broken on purpose")
        return append(contract, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(storage, "append", failing)
    monkeypatch.setattr(at_once, "read_off", lambda *_: None)
    report = closing.close_day(shop, date(2026, 12, 23), after(30))
    assert (report.rows, report.failed) == (1, (bad,))
    monkeypatch.undo()
    assert closing.close_day(shop, date(2026, 12, 23), after(30)).rows == 1


def test_a_back_dated_payment_books_its_consequence_on_its_own_day(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    closing.run_due(after(40))
    assert service.standing(shop, parse_public_id(contract)[0], on(40)).overdue
    service.pay(shop, contract, 53_600, "received", "late-news", after(40), occurred_on=on(20))
    assert rows(
        "SELECT occurred_on, booked_on FROM books_transaction WHERE event_kind = 'payment_received'"
    ) == [(on(20), on(20))]
    assert service.get(shop, contract, on(25)).state.rows[0].status == "paid"
    believed = service.get(shop, contract, on(35), known_at=after(35))
    assert believed.state.overdue, "what was believed then stays answerable"
    assert prove_shop(shop).ok


def test_a_reversed_payment_is_owed_again_and_its_money_leaves_transit(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 643_200, "received", "bank-1", AT)
    assert service.get(shop, contract, TODAY).state.status == "closed"
    view = service.reverse(shop, contract, "bank-1", "bounced", after(3))
    assert (view.state.status, view.state.balance_minor) == ("active", 643_200)
    service.reverse(shop, contract, "bank-1", "bounced", after(4))
    report = prove_shop(shop)
    assert report.ok
    assert report.totals[0].accounts["fee_income"] == 0
    with pytest.raises(EventRefused):
        service.reverse(shop, contract, "no-such", "bounced", after(4))


def test_around_midnight_a_request_of_the_old_day_does_not_unbook_one_of_the_new(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    service.pay(shop, contract, 1_000, "received", "new-day", after(1))
    service.pay(shop, contract, 2_000, "received", "old-day", AT)
    assert prove_shop(shop).ok
    assert service.get(shop, contract, on(1)).state.paid_minor == 3_000


def test_standing_is_what_contracts_say(shop: Shop) -> None:
    customer = make_customer(shop, limit_minor=800_000)
    assert service.standing(shop, customer, TODAY) == service.Standing(800_000, 0, 0, None)
    first = open_one(shop, customer)
    open_one(shop, customer, FREE_3, 100_000, at=after(0, 1))
    assert service.exposure(shop, customer) == 700_000
    standing = service.standing(shop, customer, TODAY)
    assert (standing.available_minor, standing.overdue) == (100_000, False)
    service.pay(shop, first, 53_600, "received", "bank-1", AT)
    late = service.standing(shop, customer, on(31))
    assert (late.exposure_minor, late.arrears_minor, late.late_since) == (650_000, 33_334, on(30))
    assert service.arrears(shop, customer, on(31)) == 33_334
    assert [view.contract_id for view in service.contracts_of(shop, customer, TODAY)][-1] == first


def test_a_customer_without_contract_or_row_owes_nothing(shop: Shop) -> None:
    import uuid

    assert service.standing(shop, uuid.UUID(int=9), TODAY) == service.Standing(None, 0, 0, None)


def test_the_cached_row_is_what_events_and_book_say(shop: Shop) -> None:
    customer = make_customer(shop)
    contracts = [open_one(shop, customer), open_one(shop, customer, FREE_3), open_one(shop, customer, DOWN_6)]
    service.pay(shop, contracts[0], 60_000, "received", "a", after(1))
    service.pay(shop, contracts[1], 700_000, "received", "b", after(2))
    closing.run_due(after(70))
    service.reverse(shop, contracts[0], "a", "charged_back", after(71))
    everything = "SELECT * FROM servicing_state ORDER BY customer_id, contract_id"
    kept = rows(everything)
    assert len(kept) == 3
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE servicing_state SET last_seq = 0, status = 'unconfirmed', principal_outstanding_minor = -1,"
            " balance_minor = -1, open_due_on = '{}', open_minor = '{}', next_due_on = NULL, booked_accounts = '{}',"
            " booked_amounts = '{}'"
        )
    assert not prove_shop(shop).ok
    for contract in contracts:
        storage.rebuild(*parse_public_id(contract))
    assert rows(everything) == kept
    assert prove_shop(shop).ok


def test_another_shop_sees_nothing_of_it(shop: Shop) -> None:
    contract = open_one(shop, make_customer(shop))
    other = make_shop("other")
    with pytest.raises(service.NoContract):
        service.get(other, contract, TODAY)
    with pytest.raises(service.NoContract):
        service.pay(other, contract, 100, "request", "x", AT)
    for table in (
        "servicing_contract",
        "servicing_event",
        "servicing_state",
        "books_transaction",
        "books_entry",
    ):
        use_shop(other.id)
        assert rows(f"SELECT count(*) FROM {table}") == [(0,)]
        use_shop(shop.id)
        assert rows(f"SELECT count(*) > 0 FROM {table}") == [(True,)]

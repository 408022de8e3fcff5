"""A contract's statement as page, print and file, and its due dates for a calendar: every figure is the replay's."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

import msgspec
import pytest
from django.test import Client
from icalendar import Calendar
from pypdf import PdfReader
from tests.engine.contracts.made import FREE_3
from tests.servicing.opened import AT, after, make_customer, make_shop, on, open_one

from fenqi.money import format_money
from fenqi.terms.agreed import LateTerms, ReturnTerms
from fenqi.terms.plan import ContingentCost
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.papers.addresses import address_of, token_of
from fenqi_server.servicing import acts, closing, returns, service, storage
from fenqi_server.shops.models import Shop

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def shop(db: object) -> Shop:
    return make_shop()


@pytest.fixture
def contract(shop: Shop) -> str:
    """600,000 over twelve rows of 53,600, the first due on 23 December; 60,000 came on 30 November."""
    made = open_one(shop, make_customer(shop), order_ref="77")
    service.pay(shop, made, 60_000, "received", "=bank-1", after(7))
    return made


@pytest.fixture
def get(shop: Shop, contract: str) -> Callable[..., Any]:
    def ask(what: str = "", query: str = "", *, at: Any = None, token: str | None = None) -> Any:
        with clock.pinned(at or after(40)):
            return Client().get(f"/papers/{token or token_of(shop.id, contract)}/{what}?{query}")

    return ask


def close(text: str) -> str:
    return re.sub(r"\s+", "", text)


def printed(data: bytes) -> str:
    return close("".join(page.extract_text() for page in PdfReader(BytesIO(data)).pages))


@pytest.mark.parametrize("day", [on(6), on(8), on(40)])
@pytest.mark.parametrize("lang", ["zh-CN", "en"])
def test_page_print_and_file_say_what_replay_says(
    shop: Shop, contract: str, get: Callable[..., Any], lang: str, day: date
) -> None:
    state = service.get(shop, contract, day).state
    # 643,200 in all, 60,000 of it from 30 November on; the row of 23 December is late on 2 January but for 0: it is paid.
    assert state.balance_minor == (643_200 if day < on(7) else 583_200)
    query = f"as_of={day}&lang={lang}"
    page, pdf = get("", query), get("statement.pdf", query)
    assert (page.status_code, pdf.status_code, pdf["content-type"]) == (200, 200, "application/pdf")
    whole, print_ = close(re.sub(r"<[^>]+>", " ", page.content.decode())), printed(pdf.content)
    amounts = [state.balance_minor, state.paid_minor, state.overdue_minor]
    for row in state.rows:
        amounts += [
            row.principal_minor,
            row.fee_minor,
            row.total_minor,
            row.paid_minor,
            row.outstanding_minor,
        ]
        assert row.due_on.isoformat() in whole
        assert row.due_on.isoformat() in print_
    for minor in amounts:
        assert close(format_money(minor, "CNY")) in whole
        assert close(format_money(minor, "CNY")) in print_
    # A statement is read in other years too.
    said = {"zh-CN": f"{day.year}年{day.month}月{day.day}日", "en": f"{day.day}{day:%b}{day.year}"}[lang]
    assert said in whole
    assert said in print_
    word = {"zh-CN": "账单明细", "en": "Statementofaccount"}[lang]
    assert word in whole
    assert word in print_
    lines = list(csv.reader(StringIO(get("statement.csv", query).content.decode("utf-8-sig"))))
    kind = {"zh-CN": "分期", "en": "Instalment"}[lang]
    rows = [line for line in lines if line[0] == kind]
    assert [line[1:8] for line in rows] == [
        [str(row.number), row.due_on.isoformat()]
        + [
            f"{minor // 100}.{minor % 100:02}"
            for minor in (
                row.principal_minor,
                row.fee_minor,
                row.total_minor,
                row.paid_minor,
                row.outstanding_minor,
            )
        ]
        for row in state.rows
    ]
    payments = [line for line in lines if line[0] == {"zh-CN": "付款", "en": "Payment"}[lang]]
    # What a payer wrote is no formula.
    assert [line[1:4] for line in payments] == (
        [[on(7).isoformat(), "'=bank-1", "600.00"]] if day >= on(7) else []
    )


def test_what_a_payment_paid_stands_beside_it(get: Callable[..., Any]) -> None:
    # 600.00 fill the first row of 536.00, and 64.00 of the second.
    for text in (get("", "lang=en").content.decode(), printed(get("statement.pdf", "lang=en").content)):
        assert "instalment1:¥536.00" in close(text)
        assert "instalment2:¥64.00" in close(text)


def returned(shop: Shop) -> str:
    """A contract whose goods go back in part: 600,000 of price, 43,200 of fee; two rows were paid, 72.00 of them fee.

    Goods for 1,000.00 take the last two rows with their fees off; of the fee that was paid a sixth goes back, 12.00.
    """
    made = open_one(
        shop,
        make_customer(shop, "c-2"),
        order_ref="78",
        returns=ReturnTerms("from_last", "returned"),
    )
    service.pay(shop, made, 107_200, "received", "two", after(7))
    returns.confirm_return(shop, made, "R-1", 100_000, after(8))
    returns.refund_paid(shop, made, "RF-1", 1_200, after(9))
    return made


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "en",
            (
                "Returns and refunds",
                "Goods that went back, at their price",
                "Refunded to you",
                "Fee given back",
            ),
        ),
        ("zh-CN", ("退货与退款", "退回的商品，按购买价", "退还给您", "退还的手续费")),
    ],
)
def test_what_went_back_stands_on_all_three(
    shop: Shop, get: Callable[..., Any], lang: str, words: tuple[str, ...]
) -> None:
    token, query = token_of(shop.id, returned(shop)), f"lang={lang}"
    page = re.sub(r"<[^>]+>", " ", get("", query, token=token).content.decode())
    file = get("statement.csv", query, token=token).content.decode("utf-8-sig")
    print_ = printed(get("statement.pdf", query, token=token).content)
    for text in (close(page), close(file), print_):
        for word in (*words, "R-1", "RF-1"):
            assert close(word) in text
    lines = [line for line in csv.reader(StringIO(file)) if line[2:3] in (["R-1"], ["RF-1"])]
    assert [line[1:4] for line in lines] == [
        [on(8).isoformat(), "R-1", "1000.00"],
        [on(9).isoformat(), "RF-1", "12.00"],
    ]
    # Numbers that others gave may be of any length, and break rather than run over the side.
    assert '<td class="wrap-ok">R-1</td>' in get("", query, token=token).content.decode()
    # The day before, neither was known of.
    assert "RF-1" not in get("", f"{query}&as_of={on(7)}", token=token).content.decode()


def test_a_row_that_came_to_nothing_was_not_paid(shop: Shop, get: Callable[..., Any]) -> None:
    made = returned(shop)
    token = token_of(shop.id, made)
    file = get("statement.csv", "lang=en", token=token).content.decode("utf-8-sig")
    states = {line[1]: line[8] for line in csv.reader(StringIO(file)) if line[0] == "Instalment"}
    assert (states["1"], states["3"], states["12"]) == ("paid", "to come", "nothing to pay")
    said = {
        name.partition("@")[0].rpartition("-")[2]: str(event["SUMMARY"])
        for name, event in events(get("due-dates.ics", "lang=en", token=token).content).items()
    }
    assert said["12"] == "Nothing to pay (order 78, instalment 12)"
    assert said["1"].startswith("Paid: ")


def test_an_address_is_private_and_only_ours(shop: Shop, contract: str, get: Callable[..., Any]) -> None:
    page = get()
    assert "no-store" in page.headers["Cache-Control"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    token = token_of(shop.id, contract)
    other = make_shop("other")
    for wrong in (
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        "nonsense",
        contract,
        token_of(other.id, contract),
    ):
        for what in ("", "statement.pdf", "statement.csv", "due-dates.ics"):
            assert get(what, token=wrong).status_code == 404
    for query in (f"as_of={on(41)}", "as_of=soon", "lang=fr"):
        assert get("", query).status_code == 404


@pytest.mark.parametrize("asked", [str(on(41)), "soon", "2026-02-30"])
@pytest.mark.parametrize(
    ("lang", "said"), [("en", "is no day that has come. A statement says"), ("zh-CN", "还没有到，或不是日期")]
)
def test_a_day_that_has_not_come_is_said_to_be_that_and_today_s_paper_is_offered(
    get: Callable[..., Any], asked: str, lang: str, said: str
) -> None:
    for what in ("", "statement.pdf", "statement.csv", "due-dates.ics"):
        answer = get(what, f"as_of={asked}&lang={lang}")
        page = answer.content.decode()
        assert answer.status_code == 404
        assert said in page
        assert asked in page
        assert f"?as_of={on(40)}" in page
        assert answer.headers["X-Robots-Tag"] == "noindex"
    assert "no day that has come" not in get("", f"as_of={asked}", token="nonsense").content.decode()


def events(body: bytes) -> dict[str, Any]:
    return {str(event["UID"]): event for event in Calendar.from_ical(body).walk("VEVENT")}


def test_a_calendar_has_a_day_for_each_row_and_a_moved_one_keeps_its_name(
    shop: Shop, contract: str, get: Callable[..., Any]
) -> None:
    response = get("due-dates.ics", "lang=en", at=after(8))
    assert response["content-type"] == "text/calendar; charset=utf-8"
    assert all(len(line) <= 75 for line in response.content.split(b"\r\n"))
    before = events(response.content)
    state = service.get(shop, contract, on(8)).state
    assert len(before) == 12
    assert sorted(event["DTSTART"].dt for event in before.values()) == [row.due_on for row in state.rows]
    assert {event["SEQUENCE"] for event in before.values()} == {0}
    host = "localhost" if "localhost" in address_of(shop.id, contract) else None
    first, second = (f"{contract}-{n}@" for n in (1, 2))
    (paid,) = [event for name, event in before.items() if name.startswith(first)]
    (open_,) = [event for name, event in before.items() if name.startswith(second)]
    assert str(paid["SUMMARY"]) == "Paid: ¥536.00 (order 77, instalment 1)"
    # 536.00 less the 64.00 that came beyond the first row.
    assert str(open_["SUMMARY"]) == "Pay ¥472.00 (order 77, instalment 2)"
    assert host is None or all(name.endswith(f"@{host}") for name in before)

    due = open_["DTSTART"].dt
    service.put_off(shop, due, due, due + timedelta(days=2), "night", "outage", after(20))
    moved = events(get("due-dates.ics", "lang=en", at=after(21)).content)
    assert moved.keys() == before.keys()
    changed = {name for name in moved if moved[name]["DTSTART"].dt != before[name]["DTSTART"].dt}
    assert changed == {name for name in moved if name.startswith(second)}
    (name,) = changed
    assert (moved[name]["DTSTART"].dt, moved[name]["SEQUENCE"]) == (due + timedelta(days=2), 1)
    assert {moved[other]["SEQUENCE"] for other in moved if other != name} == {0}
    assert moved[name]["LAST-MODIFIED"].dt > before[name]["LAST-MODIFIED"].dt


def test_another_due_day_and_a_pause_are_news_to_whoever_put_the_dates_into_a_calendar(
    shop: Shop, contract: str, get: Callable[..., Any]
) -> None:
    def drawn(at: Any) -> dict[int, tuple[int, date]]:
        found = events(get("due-dates.ics", "lang=en", at=at).content)
        return {
            int(name.partition("@")[0].rpartition("-")[2]): (event["SEQUENCE"], event["DTSTART"].dt)
            for name, event in found.items()
        }

    acts.change_due_day(shop, contract, 8, after(8))
    moved = drawn(after(9))
    # From the row of 23 January on, each is due on the 8th; the first stays where it was.
    assert moved[2] == (1, date(2027, 1, 8))
    assert {sequence for number, (sequence, _) in moved.items() if number > 1} == {1}
    acts.pause(shop, contract, 2, after(10), actor="ann", reason="ill")
    assert drawn(after(11))[2] == (2, date(2027, 3, 8))
    assert drawn(after(9))[2] == (1, date(2027, 1, 8)), "what had happened by that day"


def test_a_row_that_was_dated_to_the_end_of_time_before_that_was_refused_is_in_the_calendar_and_closes(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop("old")
    late = LateTerms(Decimal("0.1"), "late", Decimal("0.24"), "法发〔2017〕22号", grace_days=3)
    letter = ContingentCost("late", Text("费用", "A cost"), Text("逾期", "If late"), "shop")
    plan = msgspec.structs.replace(FREE_3, contingent=(letter,))
    made = open_one(shop, make_customer(shop), plan=plan, late=late)
    with monkeypatch.context() as before_the_rule:
        before_the_rule.setattr(storage, "check_days", lambda _: None)
        acts.charge(
            shop, made, "c", "fee", 100, "late", after(1), due_on=date.max, actor="wu", reason="a slip"
        )
    drawn = events(get("due-dates.ics", at=after(8), token=token_of(shop.id, made)).content)
    assert date.max in [event["DTSTART"].dt for event in drawn.values()]
    # The first row falls due on 23 December; by February it costs something that it is late.
    report = closing.close_day(shop, on(75), after(75))
    assert (report.rows, report.failed, closing.failures_of(shop)) == (2, (), [])
    assert service.get(shop, made, on(75)).state.penalty_outstanding_minor > 0


def test_the_same_news_is_the_same_calendar(get: Callable[..., Any]) -> None:
    assert get("due-dates.ics", at=after(8)).content == get("due-dates.ics", at=after(9)).content


def test_before_anything_was_paid_the_statement_says_so(shop: Shop, get: Callable[..., Any]) -> None:
    page = get("", f"as_of={AT.date()}&lang=en").content.decode()
    assert "None." in page

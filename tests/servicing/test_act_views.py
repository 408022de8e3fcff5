"""Acts on a contract from the console: seen first, done with a reason, refused in words, and shared between two people above a limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from django.test import Client
from tests.engine.contracts.made import FREE_3
from tests.engine.contracts.test_leases import DESK
from tests.servicing.opened import AT, after, make_customer, make_shop, open_one
from tests.servicing.test_desk import figure, part, text_of
from tests.servicing.test_leases import opened as rented

from fenqi.terms.plan import ContingentCost
from fenqi.texts import Text
from fenqi_server import clock
from fenqi_server.policies import audit
from fenqi_server.servicing import leases, requests, unapplied
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
    """12 × 536.00, of it 500.00 price and 36.00 fee: 6,432.00 in all."""
    return open_one(shop, make_customer(shop))


@pytest.fixture
def sun(shop: Shop, as_staff: Staff) -> Client:
    return as_staff("supervisor", shop=shop, username="sun")


@pytest.fixture
def ann(shop: Shop, as_staff: Staff) -> Client:
    return as_staff("support", shop=shop, username="ann")


@pytest.fixture
def qian(shop: Shop, as_staff: Staff) -> Client:
    return as_staff("finance", shop=shop, username="qian")


def seen(client: Client, address: str) -> dict[str, str]:
    """What a form carries along: the last event seen, and a number of its own."""
    page = client.get(address).content.decode()
    found = dict(re.findall(r'<input type="hidden" name="(seen|key)" value="([^"]*)">', page))
    assert "seen" in found, text_of(client.get(address))
    return found


def act(client: Client, contract: str, name: str, *, step: str = "confirm", **sent: Any) -> Any:
    """Send an act's form, with what the form itself carries."""
    address = f"{HOME}{contract}/{name}/"
    return client.post(address, {"step": step, "reason": "they asked", **seen(client, address), **sent})


def balance(shop: Shop, contract: str) -> int:
    return servicing.get(shop, contract, at=clock.now()).state.balance_minor


def test_cash_is_seen_first_then_taken_and_its_receipt_counts_once(
    shop: Shop, contract: str, ann: Client
) -> None:
    cash = {"amount": "536.00", "till": "front", "receipt": "R-1"}
    preview = act(ann, contract, "cash", step="preview", **cash)
    assert "Left to pay ¥6,432.00 ¥5,896.00" in part(preview, "preview")
    assert balance(shop, contract) == 643_200
    done = act(ann, contract, "cash", **cash)
    assert done.status_code == 302
    page = ann.get(done.headers["Location"])
    assert figure(page, "balance") == "¥5,896.00"
    assert "Done: Take cash at the till." in text_of(page)
    assert "¥536.00 in cash was taken at the till by ann, receipt R-1." in part(page, "change")
    assert "they asked" in part(page, "events")
    again = act(ann, contract, "cash", **cash)
    assert "It was done before, and nothing was done now." in text_of(ann.get(again.headers["Location"]))
    assert balance(shop, contract) == 589_600
    entry = next(iter(audit.entries(shop, subject=f"contract:{contract}")))
    assert (entry.actor, entry.act, entry.reason) == (
        "staff:ann",
        "contract.payment_received",
        "they asked",
    )


def test_more_cash_than_is_owed_is_refused_in_words(shop: Shop, contract: str, ann: Client) -> None:
    answer = act(ann, contract, "cash", step="preview", amount="7000", till="front", receipt="R-1")
    assert answer.status_code == 409
    assert "¥6,432.00 is owed, so ¥7,000.00 cannot be taken." in part(answer, "refused")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"amount": "much"}, "Write an amount such as 500.00."),
        ({"amount": ""}, "Fill in “Amount”."),
        ({"till": ""}, "Fill in “Till”."),
        ({"receipt": "x" * 201}, "At most 200 characters."),
        ({"reason": " "}, "Say why, in 1 to 2000 characters."),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field_and_nothing_is_done(
    shop: Shop, contract: str, ann: Client, sent: dict[str, str], told: str
) -> None:
    cash = {"amount": "536.00", "till": "front", "receipt": "R-1", **sent}
    answer = act(ann, contract, "cash", **cash)
    assert answer.status_code == 400
    assert told in text_of(answer)
    assert balance(shop, contract) == 643_200


def test_a_contract_that_changed_meanwhile_is_shown_once_more(shop: Shop, contract: str, ann: Client) -> None:
    address = f"{HOME}{contract}/cash/"
    carried = seen(ann, address)
    servicing.pay(shop, contract, 53_600, "received", "p-1", AT)
    sent = {"step": "confirm", "reason": "why", "amount": "10", "till": "a", "receipt": "R-1", **carried}
    answer = ann.post(address, sent)
    assert "The contract has changed meanwhile, and nothing was done." in text_of(answer)
    assert balance(shop, contract) == 589_600


def test_a_payment_is_taken_back_and_owed_again(shop: Shop, contract: str, qian: Client) -> None:
    servicing.pay(shop, contract, 50_000, "received", "p-1", AT)
    sent = {"payment": "p-1", "why": "bounced"}
    assert "¥5,932.00 ¥6,432.00" in part(act(qian, contract, "reverse", step="preview", **sent), "preview")
    done = act(qian, contract, "reverse", **sent)
    page = qian.get(done.headers["Location"])
    assert "Payment p-1 was taken back: bounced." in part(page, "events")
    assert balance(shop, contract) == 643_200
    # There is nothing left to take back: the act is not offered, and its form says so.
    assert "/reverse/" not in page.content.decode()
    assert "has no use for this" in text_of(qian.get(f"{HOME}{contract}/reverse/"))


def test_small_goodwill_is_one_person_s_and_more_takes_a_second(
    shop: Shop, contract: str, ann: Client, sun: Client, as_staff: Staff
) -> None:
    assert act(ann, contract, "goodwill", amount="500.00").headers["Location"].startswith(f"{HOME}{contract}")
    assert balance(shop, contract) == 593_200
    preview = act(ann, contract, "goodwill", step="preview", amount="500.01")
    assert (
        "With ¥500.00 that one person decided before it comes to ¥1,000.01, above ¥500.00: it is asked for, and"
        in text_of(preview)
    )
    asked = act(ann, contract, "goodwill", amount="500.01")
    here = asked.headers["Location"]
    assert balance(shop, contract) == 593_200
    page = text_of(ann.get(here))
    assert "Amount ¥500.01" in page
    assert (
        "With what one person decided before it comes to ¥1,000.01, above ¥500.00, so two people decide."
        in page
    )
    assert "You asked for it, so somebody else has to decide." in page
    assert ann.post(f"{here}decide", {"step": "approve", "note": "mine"}).status_code == 403
    carried = seen(sun, here)
    preview = sun.post(f"{here}decide", {"step": "preview", "note": "agreed", **carried})
    assert "Left to pay ¥5,932.00 ¥5,431.99" in part(preview, "preview")
    done = sun.post(f"{here}decide", {"step": "approve", "note": "agreed", **carried})
    assert done.status_code == 302
    assert balance(shop, contract) == 543_199
    assert "approved by sun" in text_of(ann.get(here))


def test_what_is_sent_out_above_the_limit_takes_a_second_person(
    shop: Shop, contract: str, qian: Client, sun: Client
) -> None:
    servicing.pay(shop, contract, 643_200 + 50_001, "received", "p-1", AT)
    back = {"amount": "500.01", "channel": "bank", "reference": "t-1"}
    preview = act(qian, contract, "give-back", step="preview", **back)
    assert "Unapplied ¥500.01 ¥0.00" in part(preview, "preview")
    assert (
        "¥500.01 is above ¥500.00: it is asked for, and somebody else has to agree. Do not send it"
        in text_of(preview)
    )
    here = act(qian, contract, "give-back", **back).headers["Location"]
    assert servicing.get(shop, contract, at=AT).state.unapplied_minor == 50_001
    page = text_of(qian.get(here))
    for words in ("Sending unapplied money back", "t-1", "You asked for it, so somebody else has to decide."):
        assert words in page, words
    answer = qian.post(f"{here}decide", {"step": "approve", "note": "mine", "seen": "2"})
    assert "somebody else has to agree" in part(answer, "refused")
    carried = seen(sun, here)
    unapplied.refund_held(shop, contract, "t-0", 1, AT)
    moved = sun.post(f"{here}decide", {"step": "approve", "note": "agreed", **carried})
    assert moved.status_code == 409
    assert "¥500.00" in part(moved, "refused")
    assert servicing.get(shop, contract, at=AT).state.unapplied_minor == 50_000
    declined = sun.post(f"{here}decide", {"step": "decline", "note": "one fen less"})
    assert "Declined." in text_of(sun.get(declined.headers["Location"]))
    assert "the customer is told why" not in text_of(sun.get(declined.headers["Location"]))


def test_what_was_paid_goes_back_by_finance_and_is_owed_again(
    shop: Shop, contract: str, qian: Client, sun: Client
) -> None:
    assert "/pay-back/" not in qian.get(f"{HOME}{contract}/").content.decode(), "nothing was paid"
    servicing.pay(shop, contract, 53_600, "received", "p-1", AT)
    back = {"amount": "500", "channel": "bank", "reference": "t-1"}
    assert sun.get(f"{HOME}{contract}/pay-back/").status_code == 403
    assert "¥5,896.00 ¥6,396.00" in part(act(qian, contract, "pay-back", step="preview", **back), "preview")
    page = qian.get(act(qian, contract, "pay-back", **back).headers["Location"])
    assert "¥500.00 that had been paid went back to the customer (t-1)." in part(page, "events")
    assert balance(shop, contract) == 639_600
    answer = act(qian, contract, "pay-back", step="preview", amount="37", channel="bank", reference="t-2")
    assert answer.status_code == 409


def test_nobody_agrees_with_themselves_whatever_their_roles(
    shop: Shop, contract: str, as_staff: Staff
) -> None:
    both = as_staff("support", "supervisor", "finance", shop=shop, username="both")
    here = act(both, contract, "write-off").headers["Location"]
    page = both.get(here)
    assert "You asked for it, so somebody else has to decide." in text_of(page)
    assert "/decide" not in page.content.decode()
    answer = both.post(f"{here}decide", {"step": "approve", "note": "mine", "seen": "1"})
    assert answer.status_code == 409
    assert "somebody else has to agree" in part(answer, "refused")
    assert servicing.get(shop, contract, at=clock.now()).state.written_off_on is None
    # Whoever asked may take it back.
    assert both.post(f"{here}withdraw").status_code == 302
    assert requests.list_requests(shop, state="withdrawn").requests[0].asked_by == "staff:both"


def test_a_waiver_takes_the_oldest_fee_and_cannot_take_more_than_is_owed(
    shop: Shop, contract: str, ann: Client
) -> None:
    assert act(ann, contract, "waive", part="fee", amount="50").status_code == 302
    rows = servicing.get(shop, contract, at=AT).state.rows
    assert [row.fee_minor - row.fee_paid_minor for row in rows[:3]] == [0, 2_200, 3_600]
    answer = act(ann, contract, "waive", step="preview", part="fee", amount="432")
    assert answer.status_code == 409
    assert "Of it ¥382.00 is owed; no more than that: ¥432.00 is too much." in part(answer, "refused")
    assert act(ann, contract, "waive", part="interest", amount="1").status_code == 400


def test_help_is_the_supervisor_s(shop: Shop, contract: str, sun: Client, ann: Client) -> None:
    assert ann.get(f"{HOME}{contract}/pause/").status_code == 403
    preview = act(sun, contract, "pause", step="preview", periods="2", interest="runs")
    assert "1 Due on 23 Dec 23 Feb 2027" in text_of(preview)
    assert act(sun, contract, "pause", periods="2", interest="runs").status_code == 302
    page = text_of(sun.get(f"{HOME}{contract}/"))
    assert "Paused for 2 periods." in page
    assert act(sun, contract, "re-age", periods="3", first_due_on="2027-01-23").status_code == 302
    assert len([row for row in servicing.get(shop, contract, at=AT).state.rows if row.outstanding_minor]) == 3
    answer = act(sun, contract, "pause", step="preview", periods="99", interest="runs")
    assert answer.status_code in (400, 409)
    assert "1 to 24" in text_of(answer)


def test_what_is_late_is_spread_and_the_due_day_moved(shop: Shop, contract: str, sun: Client) -> None:
    with clock.pinned(after(40)):
        assert act(sun, contract, "re-amortise").status_code == 302
        # 500.00 over 11 rows is 45.45, and 45.50 in the first; 36.00 is 3.27, and 3.30: 48.72 more each, 48.80 in the first.
        rows = servicing.get(shop, contract, at=after(40)).state.rows
        assert [row.outstanding_minor for row in rows] == [0, 58_480, *[58_472] * 10]
        assert act(sun, contract, "due-day", day="5").status_code == 302
        rows = servicing.get(shop, contract, at=after(40)).state.rows
        assert {row.due_on.day for row in rows[1:]} == {5}


def test_calling_everything_due_says_what_is_missing(shop: Shop, contract: str, sun: Client) -> None:
    with clock.pinned(after(40)):
        # One instalment of 536.00 is late; a fifth of the price of 6,000.00 is 1,200.00.
        page = part_of_guard(sun.get(f"{HOME}{contract}/accelerate/"))
        assert "Arrears of ¥1,200.00 are needed and ¥536.00 are there: ¥664.00 are missing" in page
        answer = act(sun, contract, "accelerate", step="preview", demanded_on="2026-12-24")
        assert answer.status_code == 409
        assert "arrears have to come to 1/5 of the price" in part(answer, "refused")
    with clock.pinned(after(100)):
        assert "enough" in part_of_guard(sun.get(f"{HOME}{contract}/accelerate/"))
        # 2027-03-03; demanded the day before.
        answer = act(sun, contract, "accelerate", step="preview", demanded_on="2027-03-02")
        assert "a demand has to stay unmet for 15 days" in part(answer, "refused")
        assert act(sun, contract, "accelerate", demanded_on="2027-02-10").status_code == 302
        state = servicing.get(shop, contract, at=after(100)).state
        # Everything is due today: what was late before, is.
        assert (state.accelerated_on is not None, state.next_due_minor > 0) == (True, True)
        assert "called due" in text_of(sun.get(f"{HOME}{contract}/"))


def part_of_guard(answer: Any) -> str:
    found = re.search(r'data-fq-part="guard">(.*?)</p>', answer.content.decode(), re.S)
    assert found is not None, text_of(answer)
    return found[1]


def test_writing_off_takes_two_and_what_still_comes_is_recovered(
    shop: Shop, contract: str, qian: Client, sun: Client
) -> None:
    here = act(qian, contract, "write-off").headers["Location"]
    carried = seen(sun, here)
    assert sun.post(f"{here}decide", {"step": "approve", "note": "gone", **carried}).status_code == 302
    page = qian.get(f"{HOME}{contract}/")
    assert figure(page, "written-off") == "¥6,432.00" or "written off" in text_of(page)
    done = act(qian, contract, "recover", amount="100", reference="c-1", on="2026-11-23", cost="20")
    assert done.status_code == 302
    assert figure(qian.get(f"{HOME}{contract}/"), "recovered") == "¥100.00"


def test_a_sale_is_called_off_and_what_was_paid_refunded(
    shop: Shop, contract: str, ann: Client, qian: Client
) -> None:
    servicing.pay(shop, contract, 50_000, "received", "p-1", AT)
    assert act(ann, contract, "cancel").status_code == 302
    page = qian.get(f"{HOME}{contract}/")
    assert figure(page, "refund-due") == "¥500.00"
    assert "called off" in text_of(page)
    refund = {"channel": "bank", "reference": "t-1", "on": "2026-11-23"}
    answer = act(qian, contract, "refund", step="preview", amount="600", **refund)
    assert answer.status_code == 409
    assert "¥500.00 is to be refunded" in part(answer, "refused")
    assert act(qian, contract, "refund", amount="500", **refund).status_code == 302
    assert "A refund of ¥500.00 was paid out (t-1)." in text_of(qian.get(f"{HOME}{contract}/"))


def test_goods_that_were_shipped_come_back_and_are_not_called_off(
    shop: Shop, contract: str, ann: Client
) -> None:
    assert act(ann, contract, "ship", reference="SF-1", on="2026-11-23").status_code == 302
    assert "/cancel/" not in ann.get(f"{HOME}{contract}/").content.decode()
    assert "has no use for this" in text_of(ann.get(f"{HOME}{contract}/cancel/"))
    back = {"amount": "1000", "others": "", "reference": "RT-1", "on": "2026-11-23"}
    # 1,000.00 of price is the last two instalments, whose fee of 2 × 36.00 goes with it.
    preview = part(act(ann, contract, "return", step="preview", **back), "preview")
    assert "Left to pay ¥6,432.00 ¥5,360.00" in preview
    assert act(ann, contract, "return", **back).status_code == 302
    assert balance(shop, contract) == 536_000
    answer = act(ann, contract, "return", step="preview", **(back | {"amount": "5001", "reference": "RT-2"}))
    assert answer.status_code == 409
    assert "no more than was bought and not returned yet: ¥5,000.00" in part(answer, "refused")


def test_paying_everything_off_is_quoted_and_taken_at_the_till(
    shop: Shop, contract: str, ann: Client
) -> None:
    assert "¥6,432.00 settles everything today" in part_of_guard(ann.get(f"{HOME}{contract}/payoff/"))
    assert act(ann, contract, "payoff").status_code == 302
    quoted = text_of(ann.get(f"{HOME}{contract}/"))
    assert "Paying everything off was quoted at ¥6,432.00, good until 30 Nov." in quoted
    form = ann.get(f"{HOME}{contract}/cash/").content.decode()
    quote = re.search(r'<option value="(pq_[^"]+)">everything, as quoted: ¥6,432.00 until 30 Nov<', form)
    assert quote is not None
    cash = {"amount": "6432", "till": "front", "receipt": "R-9", "settles": quote[1]}
    less = act(ann, contract, "cash", step="preview", **(cash | {"amount": "6000"}))
    assert less.status_code == 409
    assert "¥6,432.00 settles the contract." in part(less, "refused")
    assert act(ann, contract, "cash", **cash).status_code == 302
    assert servicing.get(shop, contract, at=AT).state.status == "closed"
    assert part_of(ann, contract, "payoff") == ""


def part_of(client: Client, contract: str, name: str) -> str:
    """Whether an act is offered on the contract's page: its address, or nothing."""
    found = re.search(
        rf'href="({HOME}{contract}/{name}/)"', client.get(f"{HOME}{contract}/").content.decode()
    )
    return found[1] if found else ""


def test_a_rented_phone_goes_out_comes_back_and_its_deposit_is_settled(
    shop: Shop, ann: Client, qian: Client, as_staff: Staff
) -> None:
    contract = rented(shop, make_customer(shop, "c-2"))
    servicing.pay(shop, contract, 100_000, "request", "deposit", AT)
    everything = as_staff("support", "supervisor", "finance", shop=shop, username="all")

    def offered() -> set[str]:
        page = everything.get(f"{HOME}{contract}/").content.decode()
        return set(re.findall(rf'href="{HOME}{contract}/([a-z-]+)/"', page))

    # What only a sale can do is not offered.
    assert offered() & {"ship", "return", "due-day", "pause", "re-age", "accelerate", "payoff"} == set()
    assert "hand-over" in offered()
    out = {"cost": "4800", "residual": "1200", "on": "2026-11-23"}
    assert act(ann, contract, "hand-over", **out).status_code == 302
    assert "take-back" in offered()
    assert "hand-over" not in offered()
    with clock.pinned(after(400)):
        assert act(ann, contract, "take-back", on="2027-12-28").status_code == 302
        found = {"finding": "a scratch", "deduction": "120", "evidence": ""}
        answer = act(qian, contract, "inspect", step="preview", **found)
        assert answer.status_code == 400
        assert "evidence" in part(answer, "refused")
        found["evidence"] = "photo-7"
        assert act(qian, contract, "inspect", **found).status_code == 302
        assert "deposit-release" in offered()
        assert act(qian, contract, "deposit-release").status_code == 302
        assert "inspect" not in offered()
        assert ann.get(f"{HOME}{contract}/inspect/").status_code == 403


def test_a_pledge_is_released_and_nothing_was_owed(shop: Shop, ann: Client, qian: Client) -> None:
    plan = msgspec.structs.replace(DESK, funder="mall")
    contract = open_one(shop, make_customer(shop, "c-2"), plan, 59_900, order_ref="o-1")
    leases.pledge(shop, contract, "a-1", 59_900, AT)
    answer = act(qian, contract, "capture", step="preview", reference="cap", on="2026-11-23")
    assert answer.status_code == 409
    assert "The campaign runs until" in part(answer, "refused")
    assert part_of(ann, contract, "ship") == ""
    assert act(ann, contract, "pledge-release").status_code == 302
    assert "The pledge was released: nothing was ever owed." in text_of(ann.get(f"{HOME}{contract}/"))
    assert part_of(ann, contract, "pledge-release") == ""


def test_only_a_cost_that_was_disclosed_can_be_charged(shop: Shop, contract: str, qian: Client) -> None:
    page = qian.get(f"{HOME}{contract}/charge/")
    assert "There is nothing to choose for “What for”" in text_of(page)
    cost = ContingentCost("dunning", Text("催收费", "Dunning fee"), Text("催收时", "When demanded"), "shop")
    plan = msgspec.structs.replace(FREE_3, contingent=(cost,))
    other = open_one(shop, make_customer(shop, "other"), plan, order_ref="order-2")
    # By its name, as the customer read it.
    assert "fee · Dunning fee" in text_of(qian.get(f"{HOME}{other}/charge/"))


def test_what_a_person_may_do_is_offered_and_nothing_else(
    shop: Shop, contract: str, ann: Client, sun: Client, as_staff: Staff
) -> None:
    def offered(client: Client) -> set[str]:
        return set(
            re.findall(
                rf'href="{HOME}{contract}/([a-z-]+)/"', client.get(f"{HOME}{contract}/").content.decode()
            )
        )

    assert offered(ann) == {
        "ask-return",
        "ask-help",
        "cash",
        "payoff",
        "goodwill",
        "waive",
        "due-day",
        "ship",
        "return",
        "cancel",
    }
    assert offered(sun) == offered(ann) | {"pause", "re-age", "charge", "write-off"}
    auditor = as_staff("auditor", shop=shop, username="eve")
    assert offered(auditor) == set()
    # The past is looked at, and not acted upon.
    assert "/cash/" not in ann.get(f"{HOME}{contract}/", {"as_of": "2026-11-23"}).content.decode()


def test_the_pages_speak_chinese(shop: Shop, contract: str, as_staff: Staff) -> None:
    li = as_staff("support", "supervisor", shop=shop, username="li", language="zh")
    page = text_of(li.get(f"{HOME}{contract}/cash/"))
    for word in ("柜台收取现金", "收据编号", "先看结果"):
        assert word in page, word
    answer = act(li, contract, "cash", step="preview", amount="7000", till="a", receipt="R-1")
    assert "应还¥6,432.00，不能支付¥7,000.00。" in part(answer, "refused")

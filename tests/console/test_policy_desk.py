"""A change of policy through the console's pages, by the people whose work each step is."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from fenqi_server import clock
from fenqi_server.policies import drafts
from fenqi_server.policies import service as policies
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import only_shop


@pytest.fixture
def shop(mall: None) -> Shop:
    return only_shop()


class People:
    def __init__(self, shop: Shop, as_staff: Callable[..., Client]) -> None:
        self.shop = shop
        self.ann = as_staff("author", "reviewer", "publisher", shop=shop, username="ann")
        self.bob = as_staff("reviewer", shop=shop, username="bob", layers=("law",))
        self.eve = as_staff("publisher", shop=shop, username="eve")
        self.shen = as_staff("auditor", shop=shop, username="shen")

    def begin(self, old: str, new: str, *, silent: str = "") -> UUID:
        """A draft of Ann's, with one thing changed."""
        there = self.ann.post("/console/policy/drafts/new", {"title": "A change"}).headers["Location"]
        name = UUID(there.split("/")[-3])
        files = drafts.get(self.shop, name, clock.now()).revision.files
        assert any(old in text for text in files.values())
        sent = {f"file:{file}": text.replace(old, new).replace("\n", "\r\n") for file, text in files.items()}
        self.saved = self.ann.post(there, {**sent, "silent_reason": silent})
        return name

    def see(self, name: UUID, who: Client | None = None, query: str = "") -> str:
        answer = (who or self.ann).get(f"/console/policy/drafts/{name}/{query}")
        assert answer.status_code == 200
        return answer.content.decode()

    def do(self, who: Client, name: UUID, act: str, **sent: Any) -> Any:
        return who.post(f"/console/policy/drafts/{name}/{act}", sent)


@pytest.fixture
def people(shop: Shop, as_staff: Callable[..., Client]) -> Iterator[People]:
    return People(shop, as_staff)


def alert(answer: Any) -> str:
    found = re.search(r'role="alert">(.*?)</', answer.content.decode(), re.S)
    return found[1].strip() if found else ""


# The rule's window and its notice's end: they have to agree.
LONGER = ("2026-12-01T00:00", "2026-12-03T00:00")
AGE = ("require: customer.age >= 18", "require: customer.age >= 20")


def test_written_by_one_agreed_to_by_another_put_in_force_by_a_third(people: People) -> None:
    name = people.begin(*AGE, silent="a stricter reading of the law; the checkout says so")
    assert people.saved.status_code == 302
    page = people.see(name)
    assert "law.adult" in page or "18" in page
    assert "being written" in page
    assert people.do(people.ann, name, "submit", reason="Counsel asked for it").status_code == 302
    assert "waits for review" in people.see(name)
    # Ann has the role, and may not: it is hers.
    assert "Approve" not in people.see(name)
    refused = people.do(people.ann, name, "review", layer="law", verdict="approved")
    assert (refused.status_code, alert(refused)) == (409, "Nobody reviews what they wrote themselves.")
    early = people.do(people.eve, name, "publish", percent="100")
    assert early.status_code == 409
    assert "Somebody else has to agree first" in alert(early)
    assert "1</b> Drafts to review" in people.bob.get("/console/").content.decode()
    # Bob reviews law alone: what he says of risk is not heard.
    assert people.do(people.bob, name, "review", layer="risk", verdict="approved").status_code == 409
    assert people.do(people.bob, name, "review", layer="law", verdict="approved").status_code == 302
    assert "1</b> Drafts ready to publish" in people.eve.get("/console/").content.decode()
    assert people.do(people.eve, name, "publish").status_code == 302
    standing = drafts.get(people.shop, name, clock.now())
    assert policies.current(people.shop.id, clock.now()).digest == standing.revision.digest
    history = people.shen.get("/console/policy/history/").content.decode()
    assert "staff:eve" in history
    assert "Counsel asked for it" in history
    audit = people.shen.get("/console/audit/?verify=1").content.decode()
    assert "The log is whole" in audit
    assert list(re.findall(r"<code>(draft\.\w+|policy\.\w+)</code>", audit))[:5] == [
        "policy.publish", "draft.approve", "draft.submit", "draft.edit", "draft.create",
    ]  # fmt: skip


def test_what_is_wrong_is_said_with_its_place_and_nothing_typed_is_lost(people: People) -> None:
    name = people.begin("customer.age >= 18", "customer.agee >= 18 # <script>alert(1)</script>")
    assert people.saved.status_code == 422
    page = people.saved.content.decode()
    assert re.search(r"30-rules\.yaml:\d+:\d+", page)
    assert "customer.agee" in page
    assert "<script>alert" not in page
    page = people.see(name)
    assert "has problems" in page
    assert people.do(people.ann, name, "submit", reason="x").status_code == 409


def test_what_a_browser_sends_is_what_was_typed(people: People) -> None:
    name = people.begin(*AGE)
    files = drafts.get(people.shop, name, clock.now()).revision.files
    assert not any("\r" in text for text in files.values())
    again = people.ann.get(f"/console/policy/drafts/{name}/edit/").content.decode()
    assert "customer.age &gt;= 20" in again


def test_replay_says_who_would_lose_it(people: People, visit: Callable[..., Any]) -> None:
    from fenqi_server.decisions import log

    shopper = visit("good")
    shopper.post("/cart/", {"sku": "cg-15"})
    shopper.get("/checkout/")
    log.flush()
    name = people.begin("require: customer.age >= 18", "require: customer.age >= 99")
    page = people.see(name, query="?replay=1")
    assert "Mall instalments × 12" in page
    assert re.search(r"Of the latest \d+ checks", page)
    assert "?replay=1" in people.see(name)


# The one channel or the other, never both: whoever comes, the lender's plan is not there.
BOTH = ("require: channel.kind in [web, app]", "require: [channel.kind is web, channel.kind is app]")


def test_a_plan_that_nobody_could_have_any_more_is_told_with_an_order(
    people: People, as_staff: Callable[..., Client]
) -> None:
    name = people.begin(*BOTH)
    page = people.see(name)
    assert "hean_12 is never offered, in any case at any time: terms.hean_channel always blocks." in page
    assert "The rule terms.hean_channel always blocks while it is in force: nothing can meet it." in page
    assert re.search(r"<code>channel.kind is \w+: terms.hean_channel blocks</code>", page)
    chinese = as_staff("author", shop=people.shop, language="zh").get(f"/console/policy/drafts/{name}/")
    page = chinese.content.decode()
    assert "对每一笔订单都成立" in page
    assert "“hean_12”在任何情况下都不会提供：规则“terms.hean_channel”总是拦下。" in page
    # It is said, and keeps nobody from anything.
    assert people.do(people.ann, name, "submit", reason="x").status_code == 302


def test_of_a_sound_draft_it_is_said_that_it_is_proven(people: People) -> None:
    assert "proven, of every order from today on" in people.see(people.begin(*AGE))


def test_without_the_solver_the_page_is_as_ever(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "z3", None)
    page = people.see(people.begin("require: customer.age >= 18", "require: customer.age >= 19"))
    assert "every order" not in page
    assert "What it changes" in page


def test_what_the_time_does_not_suffice_for_is_told(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fenqi_server.policies.proofs.TOTAL", timedelta(0))
    page = people.see(people.begin("require: customer.age >= 18", "require: customer.age >= 21"))
    assert "Not proven in the time there is" in page
    assert "Not proven: whether mall_3 is ever offered." in page


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"percent": "0"}, "whole number from 1 to 100"),
        ({"percent": "a lot"}, "whole number from 1 to 100"),
        ({"percent": "１０"}, "whole number from 1 to 100"),
        ({"from": "tomorrow"}, "such as 2026-12-01T10:00"),
        ({"from": "2020-01-01T00:00"}, "never in the past"),
    ],
)
def test_what_cannot_be_published_so_is_said(people: People, sent: dict[str, str], said: str) -> None:
    name = people.begin(*LONGER, silent="a test")
    people.do(people.ann, name, "submit", reason="why")
    answer = people.do(people.eve, name, "publish", **sent)
    assert answer.status_code == 409
    assert said in alert(answer)
    assert drafts.get(people.shop, name, clock.now()).publications == ()


def test_published_for_later_it_waits_for_its_hour(people: People) -> None:
    name = people.begin(*LONGER, silent="a test")
    people.do(people.ann, name, "submit", reason="why")
    people.do(people.eve, name, "publish", **{"from": "2026-11-25T09:00"})
    (made,) = drafts.get(people.shop, name, clock.now()).publications
    assert made.valid_from.isoformat() == "2026-11-25T01:00:00+00:00", "the shop's clock, not the server's"
    assert "to come" in people.eve.get("/console/policy/history/").content.decode()
    assert "another policy comes into force" in people.eve.get("/console/").content.decode()


def test_rolling_back_shows_what_it_changes_and_is_one_act(people: People) -> None:
    first = policies.current(people.shop.id, clock.now()).digest
    name = people.begin(*LONGER, silent="a test")
    people.do(people.ann, name, "submit", reason="why")
    people.do(people.eve, name, "publish")
    page = people.eve.get("/console/policy/history/").content.decode()
    (there,) = re.findall(r'href="(/console/policy/history/[^"]+/roll-back/)"', page)
    assert "roll-back" not in people.shen.get("/console/policy/history/").content.decode()
    shown = people.eve.get(there).content.decode()
    assert "What that changes now" in shown
    base = re.search(r'name="base" value="([^"]+)"', shown)[1]  # type: ignore[index]
    assert people.eve.post(there, {"reason": " ", "base": base}).status_code == 409
    moved = people.eve.post(
        there, {"reason": "wrong", "base": "sha256:" + "0" * 64, "silent_reason": "a test"}
    )
    assert moved.status_code == 409
    assert "Another policy came into force" in alert(moved)
    assert (
        people.eve.post(there, {"reason": "wrong", "base": base, "silent_reason": "a test"}).status_code
        == 302
    )
    assert policies.current(people.shop.id, clock.now()).digest == first


def test_another_shop_s_draft_is_not_there(people: People, as_staff: Callable[..., Client]) -> None:
    from tests.servicing.opened import make_shop

    name = people.begin(*AGE)
    other = as_staff("author", "reviewer", "publisher", shop=make_shop("corner"), username="elsewhere")
    for path in ("", "edit/"):
        assert other.get(f"/console/policy/drafts/{name}/{path}").status_code == 404
    for act in ("submit", "review", "publish", "withdraw", "base"):
        answer = people.do(other, name, act, reason="x", layer="law", verdict="approved")
        assert answer.status_code == 404, act


def test_the_log_is_filtered_and_escaped(people: People) -> None:
    people.ann.post("/console/policy/drafts/new", {"title": "<b>bold</b>"})
    page = people.shen.get("/console/audit/?actor=staff:ann&act=draft").content.decode()
    assert "draft.create" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "policy.seed" not in page
    assert people.shen.get("/console/audit/?before=nonsense&actor=%00").status_code in (200, 400)

"""The console's pages of announcements: what is said, what is late, what was granted, and saying it better."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.announcements.test_feeds import HOSTILE
from tests.pages.page import parse

NAME = "beichen-24-pause"


@pytest.fixture
def shop(db, demo_site):
    from fenqi_server import facts
    from fenqi_server.demo.seed import seed
    from fenqi_server.policies import service as policies
    from fenqi_server.shops import service as shops

    for module in (shops, policies, facts):
        module.forget_caches()
    seed()
    yield shops.only_shop()
    for module in (shops, policies, facts):
        module.forget_caches()


def _form(**changes: str) -> dict[str, str]:
    from fenqi_server import clock
    from fenqi_server.policies import service as policies
    from fenqi_server.shops.service import only_shop

    notice = policies.current(only_shop().id, clock.now()).notices[NAME]
    form = {}
    for field in ("title", "reason", "affected", "unaffected", "purpose", "restored"):
        text = getattr(notice, field)
        form |= {f"{field}_zh": text.zh_cn if text else "", f"{field}_en": text.en if text else ""}
    return form | {"next_update": ""} | changes


@pytest.mark.parametrize("language", ["zh", "en"])
def test_everything_announced_is_listed_with_its_state(shop, as_staff, language):
    page = parse(as_staff("auditor", shop=shop, language=language).get("/console/announcements/").content)
    links = [link["href"] for link in page.one("main").all("a")]
    assert f"/console/announcements/{NAME}/" in links
    assert page.one("main").text.count("2026") or page.one("main").text


def test_one_announcement_shows_every_revision_with_a_post_and_a_picture_in_both_languages(shop, as_staff):
    page = parse(as_staff("auditor", shop=shop).get(f"/console/announcements/{NAME}/").content)
    text = page.one("main").text
    assert "STRATEGY_PAUSE" in text
    assert "公告" in text
    assert "Notice:" in text
    cards = [link["href"] for link in page.all("a") if "card." in link["href"]]
    assert len(cards) == 2
    client = as_staff("auditor", shop=shop)
    assert all(client.get(card).status_code == 200 for card in cards)


def test_late_news_is_shown_until_news_comes(shop, as_staff):
    from fenqi_server import clock
    from fenqi_server.announcements.alarms import raise_overdue

    client = as_staff("author", shop=shop)
    assert "none came" not in client.get("/console/announcements/").content.decode()
    raise_overdue(clock.now() + timedelta(days=365))
    assert "none came" in client.get("/console/announcements/").content.decode()


def test_an_author_says_it_otherwise_and_gets_a_draft_of_the_policy(shop, as_staff):
    from fenqi_server import clock
    from fenqi_server.policies import drafts

    client = as_staff("author", shop=shop)
    assert client.get(f"/console/announcements/{NAME}/edit/").status_code == 200
    form = _form(reason_zh="新的原因。", reason_en="A new reason.", next_update="2026-11-27T10:00")
    answer = client.post(f"/console/announcements/{NAME}/edit/", form)
    assert answer.status_code == 302
    (standing,) = drafts.listed(shop, clock.now())
    assert answer["Location"].endswith(f"/{standing.draft.id}/")
    assert standing.revision.problems == ()
    _, after, difference = drafts.difference_of(standing, clock.now())
    assert after.notices[NAME].reason.en == "A new reason."
    assert after.notices[NAME].next_update is not None
    assert difference.availability == (), "only words changed"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title_en": ""}, "title_en"),
        ({"restored_zh": "恢复了"}, "restored_en"),
        ({"reason_zh": "低利率分期，秒到账"}, "reason_zh"),
        ({"next_update": "tomorrow"}, "next_update"),
        ({"reason_en": "x" * 2_001}, "reason_en"),
    ],
)
def test_what_cannot_be_announced_is_refused_at_its_field_and_nothing_is_written(
    shop, as_staff, changes, field
):
    from fenqi_server import clock
    from fenqi_server.policies import drafts

    answer = as_staff("author", shop=shop).post(f"/console/announcements/{NAME}/edit/", _form(**changes))
    assert answer.status_code == 422
    page = parse(answer.content)
    (wrong,) = [each for each in page.all() if each.attributes.get("id") == f"{field}-error"]
    assert wrong.text
    assert drafts.listed(shop, clock.now()) == ()


def test_nothing_said_otherwise_makes_no_draft(shop, as_staff):
    from fenqi_server import clock
    from fenqi_server.policies import drafts

    answer = as_staff("author", shop=shop).post(f"/console/announcements/{NAME}/edit/", _form())
    assert answer.status_code == 422
    assert drafts.listed(shop, clock.now()) == ()


@pytest.mark.parametrize("text", HOSTILE[:6], ids=range(6))
def test_what_an_author_writes_comes_back_as_text(shop, as_staff, text):
    answer = as_staff("author", shop=shop).post(
        f"/console/announcements/{NAME}/edit/", _form(title_en="", reason_en=text)
    )
    assert answer.status_code == 422
    page = parse(answer.content)
    assert not page.one("main").all("script")
    assert not page.one("main").all("img")


def test_a_draft_whose_change_is_not_announced_gets_its_announcement_from_the_difference(shop, as_staff):
    from fenqi.policy.difference import announced
    from fenqi_server import clock
    from fenqi_server.policies import acts, drafts, edits

    at = clock.now()
    _, files = acts.files_in_force(shop, at)
    rule = {
        "id": "strategy.tingchao_24",
        "layer": "strategy",
        "owner": "business",
        "reason": "STRATEGY_PAUSE",
        "applies": {"plan": "tingchao_24"},
        "blocked": {"from": "2026-11-25T00:00", "to": "2026-11-26T00:00"},
    }
    client = as_staff("author", shop=shop, username="ann")
    made = drafts.create(shop, "A pause", "staff:ann", at, files=edits.add(files, "rules", rule))
    before, after, difference = drafts.difference_of(made, at)
    assert not all(announced(change, before, after) for change in difference.availability)
    answer = client.post(f"/console/policy/drafts/{made.draft.id}/announce")
    assert answer.status_code == 302
    standing = drafts.get(shop, made.draft.id, at)
    assert standing.revision.problems == ()
    before, after, difference = drafts.difference_of(standing, at)
    assert all(announced(change, before, after) for change in difference.availability)
    linked = next(each for each in after.rules if each.id == "strategy.tingchao_24").notice
    assert after.notices[linked].until is not None

"""The console's pages of causes: who may open them, what they show, and what their forms do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.agreed import agree
from tests.api.world import AT, GROWN_UP, PHONE
from tests.budgets.policies import with_purses
from tests.funders.test_pilots import customers, pilot  # noqa: F401

from fenqi_server import clock

PAGES = ("agreements/", "health/", "health/tingchao/", "calendar/", "budgets/", "pilots/")


@pytest.fixture
def desk(mall, as_staff):
    return lambda *roles, language="en": as_staff(*roles, shop=mall.shop, language=language)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_in_both_languages_without_script_or_inline_style(desk, page, language):
    answer = desk("author", "publisher", language=language).get(f"/console/{page}")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert text.count("<h1") == 1
    assert "<script" not in text
    assert "style=" not in text
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in text


@pytest.mark.parametrize(
    ("page", "roles"),
    [
        ("agreements/", {"author", "reviewer", "publisher", "finance", "auditor"}),
        ("budgets/", {"author", "reviewer", "publisher", "finance", "auditor"}),
        ("pilots/", {"author", "reviewer", "publisher", "auditor"}),
        ("health/", None),
        ("health/tingchao/", None),
        ("calendar/", None),
    ],
)
def test_who_may_open_what(desk, page, roles):
    from fenqi_server.console.access import ROLES

    for role in ROLES:
        opened = desk(role).get(f"/console/{page}").status_code == 200
        assert opened is (roles is None or role in roles), role


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("agreements/seen", {"author", "publisher"}),
        ("health/tingchao/override", {"publisher"}),
        ("health/tingchao/override/end", {"publisher"}),
        ("pilots/00000000-0000-0000-0000-000000000001/widen", {"publisher"}),
        ("pilots/00000000-0000-0000-0000-000000000001/end", {"publisher"}),
    ],
)
def test_who_may_do_what(desk, path, roles):
    from fenqi_server.console.access import ROLES

    for role in ROLES:
        refused = desk(role).post(f"/console/{path}", {}).status_code == 403
        assert refused is (role not in roles), role
        assert desk("publisher").get(f"/console/{path}").status_code == 405


def test_a_publisher_sets_a_funders_health_by_hand_and_lets_it_go(mall, desk):
    from fenqi_server import facts
    from fenqi_server.decisions import service as decisions
    from fenqi_server.policies import audit

    def state():
        facts.forget_caches()
        shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
        return shown.evaluation.option("tingchao_12").verdict.state

    client = desk("publisher")
    form = {"state": "down", "until": "2026-11-24T12:30", "reason": "their duty desk called <b>"}
    answer = client.post("/console/health/tingchao/override", form)
    assert answer.status_code == 302
    assert state() == "unavailable"
    page = client.get(answer["Location"]).content.decode()
    assert "not available" in page
    assert "their duty desk called &lt;b&gt;" in page
    assert "24 Nov 12:30" in page
    assert audit.entries(mall.shop)[0].act == "health.override"
    client.post("/console/health/tingchao/override/end", {"reason": "over"})
    assert state() == "funder_decides"
    assert audit.entries(mall.shop)[0].act == "health.override_end"
    audit.verify(mall.shop)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"until": "2026-11-24T09:59"}, "Write an instant after now"),
        ({"until": "soon"}, "Write an instant after now"),
        ({"until": "2027-11-24T10:00"}, "at most 14 days ahead"),
        ({"reason": " "}, "Say why"),
        ({"state": "odd"}, "Choose one of the states"),
    ],
)
def test_a_form_that_cannot_be_keeps_what_was_written_and_says_what_is_wrong(mall, desk, change, said):
    from fenqi_server.funders import health

    form = {"state": "down", "until": "2026-11-24T12:30", "reason": "they called"} | change
    answer = desk("publisher").post("/console/health/tingchao/override", form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert said in text
    assert 'aria-invalid="true"' in text
    if "reason" not in change:
        assert "they called" in text
    assert not health.history(mall.shop, AT - timedelta(days=1))


def test_our_own_book_and_a_stranger_are_no_funders_to_override(desk):
    for funder in ("mall", "nobody"):
        assert desk("publisher").get(f"/console/health/{funder}/").status_code == 404
        assert desk("publisher").post(f"/console/health/{funder}/override", {}).status_code == 404


def test_the_calendar_shows_nightly_and_planned_windows_and_refuses_a_day_that_is_none(desk):
    client = desk("support")
    page = client.get("/console/calendar/").content.decode()
    assert page.count("every day") >= 27
    assert "data-rule=" in page
    wrong = client.get("/console/calendar/?from=yesterday")
    assert wrong.status_code == 422
    assert "Write a day such as" in wrong.content.decode()


def test_budgets_show_what_is_used_and_when_it_is_full_again(mall, desk):
    from fenqi_server.decisions import service as decisions
    from fenqi_server.policies import service as policies

    snapshot = with_purses(quota={"tingchao": 500_000}, total_minor=1_000_000)
    policies.publish(mall.shop, snapshot, AT - timedelta(hours=1), "test", silent_reason="a test")
    policies.forget_caches()
    shown = decisions.evaluate(mall.shop, mall.customer_id, [PHONE], "web", GROWN_UP, AT)
    agree(mall.shop, mall.customer_id, shown.quotes["mall_3"].token, "o", AT)
    page = desk("finance").get("/console/budgets/").content.decode()
    for said in ("¥4,999.00", "¥5,001.00", "49% used", "25 Nov 00:00", "does not renew"):
        assert said in page, said


def test_a_pilot_is_widened_and_ended_from_its_page(mall, desk, pilot, customers):  # noqa: F811
    from fenqi_server.funders import pilots

    client = desk("publisher")
    page = client.get("/console/pilots/").content.decode()
    assert "40% of the customers have" in page
    wrong = client.post(f"/console/pilots/{pilot.id}/widen", {"percent": "30", "reason": "no"})
    assert wrong.status_code == 422
    assert "Write a whole number from 41 to 100" in wrong.content.decode()
    assert (
        client.post(f"/console/pilots/{pilot.id}/widen", {"percent": "60", "reason": "yes"}).status_code
        == 302
    )
    (found,) = pilots.running(mall.shop, AT)
    assert found.publication.actor == "staff:publisher"
    later = AT + timedelta(minutes=1)
    with clock.pinned(later):
        answer = client.post(f"/console/pilots/{found.publication.id}/end", {"reason": "no"})
        assert answer.status_code == 302
        assert pilots.running(mall.shop, later) == ()
        assert "No pilot runs" in client.get("/console/pilots/").content.decode()
        assert client.post(f"/console/pilots/{pilot.id}/end", {"reason": "no"}).status_code == 404


def test_an_agreements_end_waits_at_home_until_it_is_noted(mall, desk):
    from tests.funders.test_agreements import _midnight, _publish

    from fenqi.policy.snapshot import Agreement
    from fenqi_server.funders import agreements

    _publish(mall, Agreement(version="b-9", valid_to=_midnight(29)))
    agreements.warn_due(AT)
    client = desk("publisher")
    assert "Agreements to renew" in client.get("/console/").content.decode()
    assert "Take note of b-9" in client.get("/console/agreements/").content.decode()
    client.post("/console/agreements/seen", {"funder": "beichen", "version": "b-9"})
    assert "Agreements to renew" not in client.get("/console/").content.decode()
    assert client.post("/console/agreements/seen", {"funder": "beichen", "version": "b-9"}).status_code == 404

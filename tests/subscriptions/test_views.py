"""The pages: asking to be told, saying yes, changing, leaving; and one POST without anything that leaves too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from tests.api.world import AT
from tests.pages.page import parse

PAUSE = "beichen-24-pause"


def _rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _run(at=AT):
    from fenqi_server.subscriptions import fanout, queue

    fanout.expire_due(at)
    fanout.expand_due(at)
    return queue.deliver_due(at)


@pytest.fixture
def strict(mall, post, settled):
    """A browser that has to send its tokens, in the installation without the demo."""
    return Client(enforce_csrf_checks=True, headers={"accept-language": "en"})


@pytest.fixture
def browser(mall, post, settled):
    return Client(headers={"accept-language": "en"})


def _ask(browser, **changes):
    data = {"address": "ann@example.com", "channel": "email", "locale": "en", **changes}
    return browser.post("/notify/subscribe/", data)


def test_from_the_form_over_the_question_to_the_message_and_out_again(browser, mall, post):
    form = parse(browser.get("/notify/subscribe/?family=beichen").content)
    assert [box["value"] for box in form.all("input", name="family") if "checked" in box.attributes] == [
        "beichen"
    ]
    answer = _ask(browser, family=["beichen"])
    assert answer.status_code == 302
    assert "Open the link in it within 48 hours" in browser.get(answer["Location"]).content.decode()
    _run()
    link = post.link("confirm")

    page = browser.get(link)
    assert "Do you want these messages?" in page.content.decode()
    assert "a…n@example.com" in page.content.decode()
    assert _rows("SELECT state FROM subscriptions_subscription") == [("unconfirmed",)], (
        "opening confirms nothing"
    )
    assert "Confirmed" in browser.post(link).content.decode()
    assert _rows("SELECT state FROM subscriptions_subscription") == [("active",)]
    assert "Confirmed" in browser.post(link).content.decode(), "twice is once"

    from tests.subscriptions.test_subscription import _move

    _move(mall, 99)
    _run(AT + timedelta(minutes=1))
    assert post.mails[-1][1]["Subject"].startswith("Changed: ")
    manage = post.link("manage")
    page = parse(browser.get(manage).content)
    assert [box["value"] for box in page.all("input", name="family") if "checked" in box.attributes] == [
        "beichen"
    ]
    answer = browser.post(manage, {"act": "change", "family": ["mall"], "locale": "zh-CN", "at_night": "yes"})
    assert answer.status_code == 302
    assert _rows("SELECT families, locale, quiet FROM subscriptions_subscription") == [
        (["mall"], "zh-CN", False)
    ]
    off = post.link("off")
    assert "Unsubscribed" in browser.post(off).content.decode()
    assert _rows("SELECT state, address FROM subscriptions_subscription") == [("ended", "")]
    for address in (link, manage, off):
        assert browser.get(address).status_code == 200
        assert "ann@example.com" not in browser.get(address).content.decode()


def _one_click(post, index=-1):
    (_, mail) = post.mails[index]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    return "/" + mail["List-Unsubscribe"].strip("<>").split("/", 3)[3]


def test_one_click_leaves_without_a_cookie_or_a_token_and_twice_is_once(strict, mall, post, follow):
    found = follow("ann@example.com")
    from tests.subscriptions.test_subscription import _move

    _move(mall, 99)
    _run()
    link = _one_click(post)
    for _ in range(2):
        answer = strict.post(
            link, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code == 200
        assert not strict.cookies.get("fenqi_session")
    ((state, address, why, ended),) = _rows(
        "SELECT state, address, ended_why, ended_at FROM subscriptions_subscription WHERE id = %s", found.id
    )
    assert (state, address, why) == ("ended", "", "unsubscribed")
    multipart = Client(enforce_csrf_checks=True).post(link, {"List-Unsubscribe": "One-Click"})
    assert multipart.status_code == 200
    assert _rows("SELECT ended_at FROM subscriptions_subscription WHERE id = %s", found.id) == [(ended,)]
    _move(mall, 98, AT + timedelta(minutes=1))
    post.mails.clear()
    _run(AT + timedelta(minutes=2))
    assert post.mails == []


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_a_mail_scanner_that_opens_every_link_changes_nothing(strict, mall, post, follow, method):
    follow("ann@example.com")
    from tests.subscriptions.test_subscription import _move

    _move(mall, 99)
    _run()
    before = _rows("SELECT state, families, quiet, locale FROM subscriptions_subscription")
    for link in (_one_click(post), post.link("off"), post.link("manage")):
        getattr(strict, method)(link)
    assert _rows("SELECT state, families, quiet, locale FROM subscriptions_subscription") == before


@pytest.mark.parametrize("view", ["off", "confirm", "manage"])
def test_a_link_with_another_token_is_not_there(browser, mall, post, view, follow):
    found = follow("ann@example.com")
    for token in ("", "x" * 32, "é", found.token[:-1]):
        for method in (browser.get, browser.post):
            assert method(f"/notify/{view}/{found.public_id}/?t={token}").status_code == 404
    assert browser.post(f"/notify/{view}/sb_nonsense/?t={found.token}").status_code == 404
    assert _rows("SELECT state FROM subscriptions_subscription") == [("active",)]


def test_a_link_that_ran_out_says_so_and_the_way_on(browser, mall, post):
    from fenqi_server import clock

    _ask(browser)
    _run()
    link = post.link("confirm")
    with clock.pinned(AT + timedelta(hours=48)):
        for method in (browser.get, browser.post):
            answer = method(link)
            assert answer.status_code == 410
            assert "Ask again" in answer.content.decode()
        _run(AT + timedelta(hours=48))
        assert browser.post(link).status_code == 410
    assert _rows("SELECT state, address FROM subscriptions_subscription") == [("ended", "")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": "nobody"}, "Write an e-mail address"),
        ({"address": "x" * 300 + "@example.com"}, "at most 200 characters"),
        ({"address": "ann\u0001@example.com"}, "invisible character"),
        ({"family": "no_such"}, "there is no"),
        ({"channel": "webhook", "address": "https://169.254.169.254/"}, "open internet"),
        ({"channel": "webhook", "address": "https://[::ffff:10.0.0.1]/"}, "open internet"),
    ],
)
def test_a_form_that_is_wrong_says_what_and_keeps_what_was_typed(browser, post, changes, said):
    answer = _ask(browser, **changes)
    assert answer.status_code == 422
    page = parse(answer.content)
    assert said in page.one("p", id="form-error").text
    assert page.one("input", id="address")["aria-invalid"] == "true"
    assert _rows("SELECT count(*) FROM subscriptions_subscription") == [(0,)]
    assert _rows("SELECT count(*) FROM subscriptions_message") == [(0,)]


def test_the_form_needs_its_token(strict):
    assert _ask(strict).status_code == 403


def test_whether_an_address_follows_something_is_nobody_elses_business(browser, mall, post, follow):
    follow("known@example.com")
    known, new = _ask(browser, address="known@example.com"), _ask(browser, address="new@example.com")
    assert (known.status_code, known["Location"]) == (new.status_code, new["Location"])


def test_a_channel_that_this_installation_has_not_is_not_offered(browser):
    page = parse(browser.get("/notify/subscribe/").content)
    assert [option["value"] for option in page.one("select", id="channel").all("option")] == [
        "email",
        "webhook",
    ]
    assert _ask(browser, channel="sms", address="+8613800000000").status_code == 404


def test_without_a_mail_server_no_mail_is_offered(browser):
    from django.test import override_settings

    with override_settings(FENQI_SMTP_URL=""):
        page = parse(browser.get("/notify/subscribe/").content)
        assert page.one("input", name="channel")["value"] == "webhook"
        assert _ask(browser).status_code == 404


def test_one_announcement_is_followed_to_its_end_or_once(browser, mall, post):
    page = parse(browser.get(f"/notify/subscribe/?announcement={PAUSE}").content)
    assert page.one("input", name="announcement")["value"] == PAUSE
    assert _ask(browser, announcement=PAUSE, what="once").status_code == 302
    _run()
    browser.post(post.link("confirm"))
    assert _rows("SELECT state, announcement, plan FROM subscriptions_wish") == [("waiting", PAUSE, "")]
    keep = "/" + post.mails[0][1]["List-Unsubscribe"].strip("<>").split("/", 3)[3].replace(
        "/off/", "/", 1
    ).lstrip("/")
    page = browser.get(keep.replace("notify/", "notify/", 1))
    assert page.status_code == 200
    assert "We will tell you" in page.content.decode()
    assert "ann@example.com" not in page.content.decode()
    assert _ask(browser, announcement=PAUSE, what="follow", address="bob@example.com").status_code == 302
    _run()
    assert _rows("SELECT announcement FROM subscriptions_subscription") == [(PAUSE,)]
    assert _ask(browser, announcement="no-such", what="once").status_code == 422


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_is_whole_in_both_languages(mall, post, settled, follow, language):
    found = follow("ann@example.com")
    client = Client(headers={"accept-language": language})
    _ask(client, address="new@example.com")
    _run()
    for address in (
        "/notify/subscribe/",
        f"/notify/subscribe/?announcement={PAUSE}",
        "/notify/asked/",
        f"/notify/manage/{found.public_id}/?t={found.token}",
        f"/notify/off/{found.public_id}/?t={found.token}",
        f"/notify/confirm/{found.public_id}/?t={found.token}",
        post.link("confirm"),
    ):
        answer = client.get(address)
        assert answer.status_code == 200, address
        page = parse(answer.content)
        assert len(page.all("h1")) == 1
        assert f'<html lang="{language}">' in answer.content.decode()
        for node in page.all():
            assert "style" not in node.attributes
            assert not [name for name in node.attributes if name.startswith("on")]
        for field in [*page.all("input"), *page.all("select")]:
            if field.attributes.get("type") not in ("hidden", "checkbox", "radio"):
                assert page.all("label", for_=field["id"]), field.attributes
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_another_shops_link_opens_nothing_here(browser, mall, post, follow):
    from tests.api.world import make_world

    found = follow("ann@example.com")
    make_world("other")
    address = f"/notify/off/{found.public_id}/?t={found.token}"
    assert browser.get(f"{address}&shop=other").status_code == 404
    assert browser.get(address).status_code == 200


def test_what_the_operator_wrote_is_escaped_on_the_page(mall, post, settled, browser):
    import msgspec
    from tests.announcements.policies import changed_notice
    from tests.api.world import demo_snapshot
    from tests.subscriptions.test_wishes import _publish

    from fenqi.texts import Text

    evil = "<script>alert(1)</script>"
    snapshot = changed_notice(demo_snapshot(), PAUSE, title=Text(evil, evil))
    _publish(mall, msgspec.structs.replace(snapshot), AT)
    text = browser.get(f"/notify/subscribe/?announcement={PAUSE}").content.decode()
    assert evil not in text
    assert "&lt;script&gt;" in text

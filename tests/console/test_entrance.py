"""The way in: a password opens nothing by itself, guesses are slowed down, and a lost way in ends the old one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from tests.servicing.opened import AT, make_shop

from fenqi_server.console import people
from fenqi_server.console.entrance import SESSION_SECONDS, SecondFactors
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches

PASSWORD = "a horse that is correct"


@pytest.fixture
def shop(committed_db: object) -> Iterator[Shop]:
    # allauth says what happened once it is committed.
    yield make_shop()
    forget_caches()


@pytest.fixture
def ann(shop: Shop) -> User:
    user = User.objects.create_user("ann", password=PASSWORD)
    people.grant(shop, user, "author", AT, "cli:root")
    return user


def browser() -> Client:
    return Client(headers={"accept-language": "en"})


def sign_in(client: Client, password: str = PASSWORD, name: str = "ann") -> str:
    """Sends name and password; where it leads."""
    answer = client.post("/console/sign-in/", {"login": name, "password": password})
    return answer.headers.get("Location", f"{answer.status_code}")


@pytest.fixture(autouse=True)
def _one_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The authenticator's clock stands still: a code that changes while a busy machine works is another code."""
    monkeypatch.setattr(totp, "time", SimpleNamespace(time=lambda: AT.timestamp()))


def code(secret: str) -> str:
    """What an authenticator app shows now (RFC 6238)."""
    count = struct.pack(">Q", int(totp.time.time()) // 30)
    mac = hmac.new(base64.b32decode(secret), count, hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(int.from_bytes(mac[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def enrol(client: Client) -> tuple[str, list[str]]:
    """Sets an authenticator app up: its secret, and the recovery codes."""
    shown = client.get("/console/me/app/")
    assert "no-store" in shown.headers["Cache-Control"], "the secret stands in the page"
    page = shown.content.decode()
    secret = re.search(r"<code data-secret>(\w+)<", page)[1]  # type: ignore[index]
    answer = client.post("/console/me/app/", {"code": code(secret)})
    assert answer.headers["Location"] == "/console/me/codes/"
    codes = re.findall(r"<code>(\d+)</code>", client.get("/console/me/codes/").content.decode())
    cache.clear()  # a code is good once: forget that this one was used, for the tests go faster than its half minute
    return secret, codes


def test_a_password_leads_to_setting_up_a_second_factor_and_only_then_to_the_console(ann: User) -> None:
    client = browser()
    assert sign_in(client) == "/console/"
    assert client.get("/console/").headers["Location"] == "/console/me/"
    assert "One more step" in client.get("/console/me/").content.decode()
    _, codes = enrol(client)
    assert len(codes) == 10
    assert client.get("/console/").status_code == 200


def test_whoever_has_a_second_factor_is_asked_for_it_every_time(ann: User) -> None:
    secret, codes = enrol_anew(ann)
    client = browser()
    assert sign_in(client) == "/console/sign-in/second/"
    assert client.get("/console/").headers["Location"].startswith("/console/sign-in/")
    wrong = client.post("/console/sign-in/second/", {"code": "000000"})
    assert "The code is not right" in wrong.content.decode()
    assert client.post("/console/sign-in/second/", {"code": code(secret)}).headers["Location"] == "/console/"
    assert client.get("/console/").status_code == 200
    # The same code a second time, in another browser: it was used already.
    other = browser()
    sign_in(other)
    assert "used already" in other.post("/console/sign-in/second/", {"code": code(secret)}).content.decode()
    # A recovery code, once.
    assert other.post("/console/sign-in/second/", {"code": codes[0]}).headers["Location"] == "/console/"
    third = browser()
    sign_in(third)
    assert third.post("/console/sign-in/second/", {"code": codes[0]}).status_code == 200
    assert third.get("/console/").status_code == 302


def enrol_anew(user: User) -> tuple[str, list[str]]:
    client = browser()
    sign_in(client)
    return enrol(client)


def test_a_session_from_before_the_second_factor_cannot_add_one_of_its_own(ann: User) -> None:
    before = browser()
    sign_in(before)
    enrol_anew(ann)
    for address in ("/console/me/", "/console/me/app/", "/console/me/passkeys/add/", "/console/me/password/"):
        answer = before.get(address)
        assert answer.headers["Location"] == f"/console/sign-in/again/code/?next={address}", address
    assert before.get("/console/").headers["Location"].startswith("/console/sign-in/again/code/")


def test_the_only_second_factor_stays(ann: User) -> None:
    client = browser()
    sign_in(client)
    enrol(client)
    assert "only second factor" in client.get("/console/me/app/remove/").content.decode()
    assert "only second factor" in client.post("/console/me/app/remove/").content.decode()
    assert Authenticator.objects.filter(user=ann, type="totp").count() == 1


def test_a_changed_password_ends_every_other_session(ann: User) -> None:
    here, there = browser(), browser()
    sign_in(here)
    _, codes = enrol(here)
    sign_in(there)
    there.post("/console/sign-in/second/", {"code": codes[1]})
    assert there.get("/console/").status_code == 200
    new = {"oldpassword": PASSWORD, "password1": "another one entirely", "password2": "another one entirely"}
    assert here.post("/console/me/password/", {**new, "oldpassword": "wrong"}).status_code == 200
    assert there.get("/console/").status_code == 200
    assert here.post("/console/me/password/", new).headers["Location"] == "/console/me/"
    assert "Everywhere else you are signed out" in here.get("/console/me/").content.decode()
    assert here.get("/console/").status_code == 200
    assert there.get("/console/").headers["Location"].startswith("/console/sign-in/?")


def test_a_session_lasts_a_working_day(ann: User) -> None:
    client = browser()
    sign_in(client)
    assert client.session.get_expiry_age() == SESSION_SECONDS == settings.ACCOUNT_SESSION_COOKIE_AGE


def test_guessing_is_slowed_down_for_the_name_in_every_process(ann: User) -> None:
    for _ in range(5):
        assert sign_in(browser(), "wrong") == "200"
    answer = browser().post("/console/sign-in/", {"login": "ann", "password": PASSWORD})
    assert "Too many wrong attempts" in answer.content.decode()
    # The counts are in the database, which every process shares.
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM console_cache WHERE cache_key LIKE %s", ["%login_failed%"])
        assert cursor.fetchone()[0] >= 1
    # Somebody else signs in from the same place as before.
    other = User.objects.create_user("bob", password=PASSWORD)
    assert other.is_active
    assert sign_in(browser(), PASSWORD, "bob") == "/console/"


def test_guessing_second_factors_is_slowed_down_too(ann: User) -> None:
    secret, _ = enrol_anew(ann)
    client = browser()
    sign_in(client)
    for _ in range(5):
        client.post("/console/sign-in/second/", {"code": "000000"})
    answer = client.post("/console/sign-in/second/", {"code": code(secret)})
    assert "Too many wrong attempts" in answer.content.decode()
    assert client.get("/console/").status_code == 302


def test_a_name_that_nobody_has_is_answered_as_a_wrong_password_is(ann: User) -> None:
    def told(name: str) -> str:
        page = browser().post("/console/sign-in/", {"login": name, "password": "wrong"}).content.decode()
        return re.findall(r'role="alert">\s*<p>([^<]*)', page)[0]

    assert told("ann") == told("nobody") == "The name or the password is not right."


def test_the_link_of_an_invitation_sets_a_password_once(shop: Shop) -> None:
    user = people.add("li")
    people.grant(shop, user, "finance", AT, "cli:root")
    path = people.link_of(user).removeprefix(settings.FENQI_ORIGIN)
    client = browser()
    form = client.get(path).headers["Location"]
    page = client.get(form)
    assert "Welcome, li" in page.content.decode()
    weak = client.post(form, {"new_password1": "short", "new_password2": "short"})
    assert "too short" in weak.content.decode()
    answer = client.post(form, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert answer.headers["Location"] == "/console/sign-in/"
    assert "The password is set" in client.get("/console/sign-in/").content.decode()
    assert sign_in(client, name="li") == "/console/"
    again = browser().get(path, follow=True)
    assert "opens nothing any more" in again.content.decode()


def test_a_closed_account_and_one_without_roles_get_nowhere(shop: Shop, ann: User) -> None:
    path = people.link_of(ann).removeprefix(settings.FENQI_ORIGIN)
    client = browser()
    sign_in(client)
    enrol(client)
    people.close(ann)
    assert client.get("/console/").headers["Location"].startswith("/console/sign-in/?")
    assert sign_in(browser()) == "/console/sign-in/inactive/"
    assert "opens nothing any more" in browser().get(path, follow=True).content.decode()
    people.open_again(ann)
    people.take_away(shop, ann, "author")
    assert "opens nothing any more" in browser().get(path, follow=True).content.decode()


def test_a_reset_ends_password_second_factor_and_session(ann: User) -> None:
    client = browser()
    sign_in(client)
    enrol(client)
    people.reset(User.objects.get(pk=ann.pk))
    assert client.get("/console/").headers["Location"].startswith("/console/sign-in/?")
    assert not Authenticator.objects.filter(user=ann).exists()
    assert sign_in(browser()) == "200"


def test_secrets_of_second_factors_are_not_kept_in_the_clear(ann: User) -> None:
    secret, codes = enrol_anew(ann)
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(data::text, ' ') FROM mfa_authenticator")
        kept = cursor.fetchone()[0]
    assert secret not in kept
    assert not any(code in kept for code in codes)
    adapter = SecondFactors()
    assert adapter.decrypt(adapter.encrypt(secret)) == secret
    encrypted = adapter.encrypt(secret)
    with (
        override_settings(SECRET_KEY="another secret key of this installation"),
        pytest.raises(ValueError, match="another FENQI_SECRET_KEY"),
    ):
        adapter.decrypt(encrypted)


@pytest.mark.parametrize(
    "address", ["signup/", "password/reset/", "email/", "login/code/", "sign-in/signup/", "2fa/"]
)
def test_there_is_no_sign_up_and_no_reset_by_mail(shop: Shop, address: str) -> None:
    assert Client().get(f"/console/{address}").status_code == 404
    assert Client().get(f"/accounts/{address}").status_code == 404


def test_the_sign_in_leads_nowhere_else(ann: User) -> None:
    client = browser()
    answer = client.post(
        "/console/sign-in/", {"login": "ann", "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert answer.headers["Location"] == "/console/"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_pages_of_the_way_in_need_nothing_inline(ann: User, language: str) -> None:
    client = Client(headers={"accept-language": language})
    pages = [client.get("/console/sign-in/")]
    sign_in(client)
    enrol(client)
    for address in (
        "me/", "me/app/remove/", "me/passkeys/", "me/passkeys/add/", "me/codes/", "me/codes/new/", "me/password/",
        "sign-out/", "sign-in/again/", "sign-in/again/code/",
    ):  # fmt: skip
        pages.append(client.get(f"/console/{address}"))
        assert pages[-1].status_code == 200, address
        assert "no-store" in pages[-1].headers["Cache-Control"], address
    for page in pages:
        text = page.content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*(?:src=|application/json))", text)
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert ('<html lang="en">' in text) == (language == "en")

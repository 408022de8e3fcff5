"""The console in a real browser: a passkey's whole ceremony, and every page for everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.browser.test_access import _AXE, _SHORT_PRIMARY, _SMALL, _UNFOLD

Visit = Callable[..., Any]
PASSWORD = "a horse that is correct"


@pytest.fixture
def stranger(visit: Visit) -> Any:
    """A browser at `localhost`: a passkey belongs to a name, and 127.0.0.1 is none."""
    visitor = visit("good", "en")
    visitor.site = visitor.site.replace("127.0.0.1", "localhost")
    return visitor


@pytest.fixture
def device(stranger: Any) -> Iterator[Any]:
    """A virtual authenticator that keeps passkeys and recognises its owner."""
    session = stranger.page.context.new_cdp_session(stranger.page)
    session.send("WebAuthn.enable")
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    yield lambda: session.send("WebAuthn.getCredentials", {"authenticatorId": made["authenticatorId"]})[
        "credentials"
    ]
    session.detach()


def _invited(name: str, *roles: str) -> str:
    """A new account's link, without its origin."""
    from django.conf import settings

    from fenqi_server import clock
    from fenqi_server.console import people
    from fenqi_server.shops.service import only_shop

    user = people.add(name)
    for role in roles:
        people.grant(only_shop(), user, role, clock.now(), "cli:tests")
    return people.link_of(user).removeprefix(settings.FENQI_ORIGIN)


def test_from_the_link_to_the_console_and_back_in_with_a_passkey_alone(
    stranger: Any, device: Callable[[], list[Any]]
) -> None:
    page = stranger.page
    stranger.go(_invited("wei", "finance"))
    page.fill("#id_new_password1", PASSWORD)
    page.fill("#id_new_password2", PASSWORD)
    stranger.follow("main button.primary")
    assert "The password is set" in page.inner_text("[role=status]")

    page.fill("#id_login", "wei")
    page.fill("#id_password", PASSWORD)
    stranger.follow("main button.primary")
    assert "One more step" in page.inner_text("main"), "a password alone does not open the console"

    stranger.follow("a[href$='/passkeys/add/']")
    stranger.follow("#passkey-button")
    assert len(device()) == 1
    assert page.locator("main code").count() == 10
    stranger.follow("a.primary")
    assert "wei" in page.inner_text("h1")

    stranger.follow(".desk-head form[action$='/sign-out/'] button")
    stranger.follow("#passkey-button")
    assert "wei" in page.inner_text("h1"), "a passkey that knows its owner is both factors"

    # After the password it is the second factor.
    stranger.follow(".desk-head form[action$='/sign-out/'] button")
    page.fill("#id_login", "wei")
    page.fill("#id_password", PASSWORD)
    stranger.follow("main button.primary")
    assert page.url.endswith("/console/sign-in/second/")
    stranger.follow("#passkey-button")
    assert "wei" in page.inner_text("h1")


def test_a_passkey_that_does_not_answer_is_said_on_the_page(stranger: Any) -> None:
    page = stranger.page
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    stranger.go("/console/sign-in/")
    assert not page.locator("[data-passkey-problem]").is_visible()
    page.evaluate(
        "() => { navigator.credentials.get = () => Promise.reject(new DOMException('no', 'NotAllowedError')) }"
    )
    page.click("#passkey-button")
    page.wait_for_selector("[data-passkey-problem]:visible")
    assert "Try again" in page.inner_text("[data-passkey-problem]")


def _addresses() -> list[str]:
    """Every page of the menu, and those of the way in."""
    from django.urls import reverse

    from fenqi_server.console.navigation import ENTRIES

    return [
        *(reverse(entry.url) for entry in ENTRIES),
        "/console/health/tingchao/",
        "/console/me/",
        "/console/me/passkeys/",
        "/demo/staff/",
    ]


def _at_work(visitor: Any) -> None:
    """One of the demo's people, for this test in every role."""
    from fenqi.policy.snapshot import LAYERS
    from fenqi_server import clock
    from fenqi_server.console import people
    from fenqi_server.console.access import ROLES
    from fenqi_server.shops.service import only_shop

    user = people.find("lin")
    assert user is not None
    for role in ROLES:
        people.grant(
            only_shop(), user, role, clock.now(), "cli:tests", layers=LAYERS if role == "reviewer" else ()
        )
    visitor.go("/demo/staff/")
    visitor.follow("form:has(input[value=lin]) button")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    visit: Visit, axe: str, language: str, dark: bool
) -> None:
    visitor = visit("good", language, dark=dark)
    page = visitor.page
    wrong: list[str] = []

    def look(address: str) -> None:
        for width in (320, 375, 768, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert visitor.go(address).status == 200, address
            page.evaluate(_UNFOLD)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{address} at {width}: scrolls sideways")
            if width in (320, 768):
                continue
            page.evaluate(axe)
            wrong.extend(f"{address} at {width}: {line}" for line in page.evaluate(_AXE))
            wrong.extend(f"{address} at {width}: small target {line}" for line in page.evaluate(_SMALL))
            wrong.extend(f"{address} at {width}: low button {line}" for line in page.evaluate(_SHORT_PRIMARY))

    look("/console/sign-in/")
    _at_work(visitor)
    for address in _addresses():
        look(address)
    assert wrong == []


def test_the_console_works_without_javascript_and_by_keyboard(visit: Visit) -> None:
    visitor = visit("good", "en", script=False)
    page = visitor.page
    visitor.go("/demo/staff/?next=/console/books/")
    visitor.follow("form:has(input[value=qian]) button")
    assert page.url.endswith("/console/books/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")

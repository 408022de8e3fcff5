"""A seeded demo mall on the real server, and real Chromium to walk through it.

A missing browser or axe-core is a failure, never a skip: pages that were not looked at have not passed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
_LOCALES = {"zh": "zh-CN", "en": "en-US"}

# Playwright's synchronous face runs an event loop in this thread, which Django takes for an asynchronous caller.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

# What the Content-Security-Policy stops is told to the page: here it becomes a line of its console.
_TELL_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    assert program, "Chromium is not installed: run `make test-browser`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    assert AXE.exists(), "axe-core is not installed: run `make test-browser`"
    return AXE.read_text()


@pytest.fixture
def site(serve: Callable[..., Any]) -> str:
    """The address of a freshly seeded demo, with its worker."""
    from fenqi_server import facts
    from fenqi_server.demo.seed import seed
    from fenqi_server.policies import service as policies
    from fenqi_server.shops import service as shops

    for module in (shops, policies, facts):
        module.forget_caches()
    seed()
    server = serve(demo=True, worker=True)
    return str(server.url)


@dataclass
class Visitor:
    """A browser window of one customer, and everything that its console complained about."""

    page: Any
    site: str
    script: bool = True
    complaints: list[str] = field(default_factory=list)

    def go(self, address: str) -> Any:
        return self.page.goto(self.site + address)

    def follow(self, target: Any) -> None:
        """Click what leads to another page, and be there: what is read next is the new page's."""
        one = self.page.locator(target).first if isinstance(target, str) else target
        with self.page.expect_navigation():
            one.click()

    def agree(self) -> None:
        """Read the table of costs on the screen for as long as it has to be, tick what is to be ticked, and agree."""
        self.page.wait_for_selector("#agree")
        for box in self.page.locator("#agree input[type=checkbox]").all():
            box.check()
        if self.script:
            self.page.wait_for_selector("#agree button.primary:enabled", timeout=20_000)
        else:
            from fenqi_server.demo import clock

            clock.move_to(clock.now() + timedelta(seconds=10))
        self.follow("#agree button.primary")

    def work_as(self, username: str) -> None:
        """Sign in as one of the demo's staff."""
        self.go("/demo/staff/")
        self.follow(f"form:has(input[name=username][value={username}]) button")

    def become(self, person: str) -> None:
        self.go("/demo/")
        self.follow(f"button[name=customer][value={person}]")

    def move(self, to: str) -> str:
        """Move the demo's clock by one of the panel's buttons; what the panel reports."""
        self.go("/demo/")
        self.follow(f"button[name=to][value={to}]")
        return str(self.page.inner_text("[data-fq-part=report]"))

    def put(self, sku: str) -> None:
        self.go(f"/product/{sku}/")
        self.follow("button[name=go][value=cart]")

    @property
    def decision(self) -> Any:
        """The evaluation that the selector on the screen shows, from its record."""
        from fenqi_server.decisions import service as decisions

        name = self.page.get_attribute("#choose input[name=decision]", "value")
        for _ in range(40):
            try:
                return decisions.load(name)
            except decisions.NoDecision:
                self.page.wait_for_timeout(50)  # it is written within a second
        raise AssertionError(f"{name} was not recorded")


@pytest.fixture
def visit(chromium: Any, site: str) -> Iterator[Callable[..., Visitor]]:
    """`visit("good", "en", width=375, script=True, dark=False)`; what it complained about fails the test at its end."""
    opened: list[tuple[Any, Visitor]] = []

    def start(
        person: str = "good",
        language: str = "en",
        *,
        width: int = 1280,
        height: int = 800,
        script: bool = True,
        dark: bool = False,
    ) -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            locale=_LOCALES[language],
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        if script:
            context.add_init_script(_TELL_VIOLATIONS)
        visitor = Visitor(context.new_page(), site, script)
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitor.page.on("console", lambda message: _note(visitor, message))
        opened.append((context, visitor))
        if person != "good":
            visitor.become(person)
        return visitor

    yield start
    complaints = [line for _, visitor in opened for line in visitor.complaints]
    for context, _ in opened:
        context.close()
    assert complaints == []


def _note(visitor: Visitor, message: Any) -> None:
    # A page that answers 404, 409 or 422 is logged as a failed load; the tests ask for those answers.
    if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
        visitor.complaints.append(message.text)

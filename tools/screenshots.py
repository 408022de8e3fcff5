"""Take the guides' pictures from a running demo that has just begun: `tools/screenshots.py http://127.0.0.1:8000`.

Run by hand, in a checkout with the browser of `make test-browser`. It walks the story's second cause, so the demo is not
as it was afterwards.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"


def main(site: str) -> int:
    program = next(found for name in ("chromium", "google-chrome") if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1000, "height": 760}, locale="en-US").new_page()

        def step(name: str) -> None:
            page.goto(f"{site}/demo/story/")
            with page.expect_navigation():
                page.click(f"button[name=step][value={name}]")

        def keep(name: str, target: Any = None) -> None:
            (target or page).screenshot(path=FOLDER / f"guide-{name}.png")

        page.goto(f"{site}/demo/story/")
        with page.expect_navigation():
            page.click("button[name=cause][value=maintenance]")
        step("missing")
        step("longer")
        keep("extended")
        step("operator")
        page.goto(f"{site}/console/")
        keep("home")
        page.goto(f"{site}/console/calendar/")
        keep("calendar")
        page.goto(f"{site}/console/health/")
        keep("health")
        page.goto(f"{site}/demo/staff/")
        with page.expect_navigation():
            page.click("form:has(input[value=he]) button")
        page.goto(f"{site}/console/policy/acts/")
        keep("acts")
        page.goto(f"{site}/console/policy/acts/stop/mall_12/")
        keep("stop")
        page.goto(f"{site}/console/policy/history/")
        with page.expect_navigation():
            page.click("a[href*=roll-back]")
        keep("roll-back")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].rstrip("/")))

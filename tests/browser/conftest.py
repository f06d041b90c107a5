"""A window of headless Chromium, at the size of a phone and of a desk."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright import sync_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from example_project.demo.site import DemoSite

CHROMIUM = (
    os.environ.get("SCALEKIT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt install chromium, or set SCALEKIT_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(request, chromium, demo_site: DemoSite) -> Iterator[sync_api.Page]:
    """A window in which anything the browser complains about fails the test."""
    context = chromium.new_context(base_url=demo_site.url, viewport=SIZES[request.param])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.extend(failures(request)))
    page.on(
        "response",
        lambda response: (
            complaints.append(f"{response.url} {response.status}")
            if response.status >= 400
            else None
        ),
    )
    yield page
    context.close()
    assert complaints == []


def failures(request: sync_api.Request) -> list[str]:
    """A request that the browser gave up itself, as it left for the next page, is no failure."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.url} {request.failure}"]

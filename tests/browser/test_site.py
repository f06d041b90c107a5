"""The site on the whole ladder, in headless Chromium, at the size of a phone and of a desk."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from typing import TYPE_CHECKING

import pytest

from example_project.photos.samples import PHOTOGRAPHS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from example_project.demo.site import DemoSite

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(180)]

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


def sign_up(page: sync_api.Page) -> str:
    name = "visitor_" + secrets.token_hex(4)
    page.goto("/join/")
    page.fill("[name=username]", name)
    page.fill("[name=name]", "A Visitor")
    page.fill("[name=password]", secrets.token_urlsafe(12))
    page.get_by_role("button", name="Create my account").click()
    page.wait_for_url("**/")
    return name


def test_a_visitor_signs_up_shares_a_photo_and_comments(page):
    name = sign_up(page)
    page.goto("/photos/new/")
    page.set_input_files("[name=image]", PHOTOGRAPHS / "espresso.jpg")
    page.fill("[name=caption]", "Monday")
    page.get_by_role("button", name="Share", exact=True).click()
    page.wait_for_url(re.compile(r"/photos/\d+/"))
    page.fill("[name=text]", "The first of many.")
    page.get_by_role("button", name=re.compile("comment|post|send", re.IGNORECASE)).click()
    sync_api.expect(page.get_by_text("The first of many.")).to_be_visible()
    page.goto(f"/@{name}/")
    picture = page.locator("main img[src*='/media/']").first
    sync_api.expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth > 100)")


def test_a_visitor_follows_and_likes(page):
    sign_up(page)
    page.goto("/@ada/")
    page.get_by_role("button", name="Follow", exact=True).click()
    sync_api.expect(page.get_by_role("button", name="Following")).to_be_visible()
    page.goto("/")
    page.get_by_role("button", name="Like").first.click()
    sync_api.expect(page.get_by_role("button", name="Like").first).to_have_attribute(
        "aria-pressed", "true"
    )
    page.reload()
    sync_api.expect(page.get_by_role("button", name="Like").first).to_have_attribute(
        "aria-pressed", "true"
    )


def test_no_page_is_wider_than_the_window(page):
    sign_up(page)
    for path in ["/", "/explore/", "/@ada/", "/photos/new/", "/settings/"]:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_a_file_that_is_no_photo_is_a_form_error(page, tmp_path):
    fake = tmp_path / "photo.jpg"
    fake.write_bytes(b"no image at all")
    sign_up(page)
    page.goto("/photos/new/")
    page.set_input_files("[name=image]", fake)
    page.get_by_role("button", name="Share", exact=True).click()
    sync_api.expect(page.locator("main")).to_contain_text(
        re.compile("not an image|no photo|not a photo", re.IGNORECASE)
    )


def test_style_and_scripts_come_from_the_edge(page, demo_site):
    page.goto("/explore/")
    sources = page.evaluate(
        "[...document.querySelectorAll('link[rel=stylesheet], script[src]')].map(e => e.href || e.src)"
    )
    assert sources
    assert all(source.startswith(demo_site.cdn_url) for source in sources)

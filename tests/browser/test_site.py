"""The site on the whole ladder, in headless Chromium."""

from __future__ import annotations

import re

import pytest
from playwright import sync_api

from example_project.photos.samples import PHOTOGRAPHS
from tests.browser.visiting import sign_up

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(180)]


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

"""What WhiteNoise says of our files, and what is said of files that are not there."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from whitenoise.middleware import WhiteNoiseMiddleware

from scalekit.cdn.headers import is_immutable
from scalekit.cdn.middleware import MissingAssetMiddleware

FOREVER = "max-age=315360000, public, immutable"
HASHED = "a.aa676972bbd2.css"


@pytest.fixture
def get(tmp_path, settings):
    settings.DEBUG = False
    settings.STATIC_URL, settings.STATIC_ROOT = "/static/", tmp_path
    settings.WHITENOISE_IMMUTABLE_FILE_TEST = is_immutable
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False
    for name in ("a.css", HASHED, "b.202611241200.css"):
        (tmp_path / name).write_bytes(b"body{}")
    site = WhiteNoiseMiddleware(lambda request: HttpResponse(status=404))
    middleware = MissingAssetMiddleware(site)

    def get(path):
        response = middleware(RequestFactory().get(path))
        for close in response._resource_closers:  # not close(): its signal is for the database
            close()
        return response

    return get


def test_hashed_names_are_kept_for_ever_though_no_manifest_knows_them(get):
    response = get(f"/static/{HASHED}")
    assert (response.status_code, response["Cache-Control"]) == (200, FOREVER)


@pytest.mark.parametrize("name", ["a.css", "b.202611241200.css"])
def test_other_names_are_kept_for_a_minute(get, name):
    response = get(f"/static/{name}")
    assert response["Cache-Control"] == "max-age=60, public"


def test_a_missing_asset_is_remembered_by_nobody(get):
    assert get("/static/a.000000000000.css")["Cache-Control"] == "no-store"


def test_other_missing_pages_are_none_of_our_business(get):
    assert "Cache-Control" not in get("/nowhere/")


def test_a_site_below_a_prefix(settings):
    settings.STATIC_URL = "/shop/static/"
    middleware = MissingAssetMiddleware(lambda request: HttpResponse(status=404))
    request = RequestFactory().get("/static/a.css", SCRIPT_NAME="/shop")
    assert middleware(request)["Cache-Control"] == "no-store"

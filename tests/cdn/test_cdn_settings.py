from __future__ import annotations

import pytest

from scalekit.cdn.checks import check_cdn
from scalekit.cdn.conf import settings as cdn_settings
from scalekit.cdn.storage import CdnMediaStorage
from scalekit.core.exceptions import SettingInvalid

CDN_STORAGE = {"staticfiles": {"BACKEND": "scalekit.cdn.storage.CdnStaticFilesStorage"}}


def ids(messages) -> list[str]:
    return [message.id for message in messages]


@pytest.mark.parametrize(
    "url",
    ["cdn.example.com", "//cdn.example.com", "https://cdn.example.com/", "https://x/y", "https://"],
)
def test_anything_but_scheme_and_host_is_refused(settings, url):
    settings.SCALEKIT_CDN_URL = url
    with pytest.raises(SettingInvalid, match="SCALEKIT_CDN_URL"):
        cdn_settings.URL  # noqa: B018


@pytest.mark.parametrize("url", ["", "https://cdn.example.com", "http://127.0.0.1:8080"])
def test_scheme_and_host_are_taken(settings, url):
    settings.SCALEKIT_CDN_URL = url
    assert url == cdn_settings.URL


def test_nothing_configured_nothing_checked_nothing_changed(tmp_path):
    assert check_cdn() == []
    assert CdnMediaStorage(location=tmp_path, base_url="/media/").url("a") == "/media/a"


def test_url_without_the_storage_is_noticed(settings):
    settings.SCALEKIT_CDN_URL = "https://cdn.example.com"
    assert ids(check_cdn()) == ["scalekit.cdn.W001"]


def test_static_url_with_a_host_is_noticed(settings):
    settings.SCALEKIT_CDN_URL = "https://cdn.example.com"
    settings.STORAGES = {**settings.STORAGES, **CDN_STORAGE}
    assert check_cdn() == []
    settings.STATIC_URL = "https://elsewhere.example.com/"
    assert ids(check_cdn()) == ["scalekit.cdn.W002"]


def test_plain_http_under_https_is_noticed(settings):
    settings.SCALEKIT_CDN_URL = "http://cdn.example.com"
    settings.STORAGES = {**settings.STORAGES, **CDN_STORAGE}
    settings.SECURE_SSL_REDIRECT = True
    assert ids(check_cdn()) == ["scalekit.cdn.W003"]

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from scalekit.observability.exposition import forget_the_dead

REQUEST = "scalekit.observability.middleware.RequestMiddleware"
TOKEN = "a-token-of-some-length"


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = "tests.observability.sample_site"
    settings.DEBUG = False
    settings.MIDDLEWARE = [REQUEST]
    return settings


def scrape(client=None, **options):
    return (client or Client()).get("/metrics", **options)


def bearer(token):
    return {"headers": {"authorization": f"Bearer {token}"}}


def test_closed_by_default():
    assert scrape().status_code == 404
    assert scrape(**bearer("")).status_code == 404


def test_the_token_opens_it(site):
    site.SCALEKIT_METRICS_TOKEN = TOKEN
    assert scrape(**bearer(TOKEN)).status_code == 200
    assert scrape(headers={"authorization": f"bearer  {TOKEN} "}).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer \u00e9\udc80",
        f"Bearer {TOKEN[:-1]}",
    ],
)
def test_anything_but_the_token_finds_nothing(site, authorization):
    site.SCALEKIT_METRICS_TOKEN = TOKEN
    assert scrape(headers={"authorization": authorization}).status_code == 404


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("2001:db8::7", 200),
        ("11.0.0.1", 404),
        ("::1", 404),
        ("", 404),
        ("unix:", 404),
        ("10.1.2.3, 11.0.0.1", 404),
    ],
)
def test_the_networks_open_it_to_their_machines(site, address, status):
    site.SCALEKIT_METRICS_NETWORKS = ["10.0.0.0/8", "2001:db8::/32"]
    assert scrape(REMOTE_ADDR=address).status_code == status


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
def test_who_comes_through_a_proxy_does_not_borrow_its_address(site, header):
    site.SCALEKIT_METRICS_NETWORKS = ["127.0.0.0/8"]
    assert scrape().status_code == 200
    assert scrape(headers={header: "203.0.113.9"}).status_code == 404


def test_a_page_for_machines_only(site):
    site.SCALEKIT_METRICS_TOKEN = TOKEN
    response = scrape(**bearer(TOKEN))
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert Client().post("/metrics", **bearer(TOKEN)).status_code == 405
    assert reverse("scalekit_observability:metrics") == "/metrics"


def test_it_needs_no_login(site):
    site.SCALEKIT_METRICS_TOKEN = TOKEN
    site.MIDDLEWARE = [
        REQUEST,
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert scrape(**bearer(TOKEN)).status_code == 200


def test_a_scrape_is_no_traffic(site, lines):
    site.SCALEKIT_METRICS_TOKEN = TOKEN
    body = scrape(**bearer(TOKEN)).content.decode() + scrape(**bearer(TOKEN)).content.decode()
    assert lines.requests == []
    assert 'route="/metrics",status="200"' not in body
    assert "scalekit_http_requests_in_progress 0.0" in body


def test_a_refused_scrape_is_logged(lines):
    scrape()
    assert [line["status"] for line in lines.requests] == [404]


def test_two_scrapes_may_forget_the_same_process(tmp_path, monkeypatch):
    (tmp_path / "gauge_livesum_4194305.db").touch()  # of a pid beyond the largest
    look = glob.glob

    def look_and_come_second(pattern):
        found = look(pattern)
        for file in found:
            Path(file).unlink()
        return found

    monkeypatch.setattr(glob, "glob", look_and_come_second)
    forget_the_dead(tmp_path)
    assert list(tmp_path.iterdir()) == []

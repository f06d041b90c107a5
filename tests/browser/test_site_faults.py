"""What a member sees, in headless Chromium, while the servers behind the site die one after the other."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright import sync_api

from tests.browser.visiting import sign_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.testing.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(180)]


@contextmanager
def killed(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()
        server.wait_ready()


def look_around(page: sync_api.Page) -> None:
    """Be a member to both web servers."""
    for _ in range(4):
        page.goto("/explore/")
        sync_api.expect(page.get_by_role("link", name="You", exact=True)).to_be_visible()


@pytest.mark.parametrize("victim", ["web server", "Valkey", "session database"])
def test_a_login_survives_the_death_of_a_server(page, demo_site, victim):
    servers = {
        "web server": demo_site.webs[0],
        "Valkey": demo_site.valkey,
        "session database": demo_site.primary,
    }
    sign_up(page)
    for replica in demo_site.replicas:
        replica.catch_up()  # what no replica has, nobody can be shown without the primary
    look_around(page)
    with killed(servers[victim]):
        look_around(page)
    page.goto("/settings/")
    sync_api.expect(page.locator("[name=name]")).to_have_value("A Visitor")

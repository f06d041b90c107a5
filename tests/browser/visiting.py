"""What visitors of the site do in several tests."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright import sync_api


def sign_up(page: sync_api.Page) -> str:
    name = "visitor_" + secrets.token_hex(4)
    page.goto("/join/")
    page.fill("[name=username]", name)
    page.fill("[name=name]", "A Visitor")
    page.fill("[name=password]", secrets.token_urlsafe(12))
    page.get_by_role("button", name="Create my account").click()
    page.wait_for_url("**/")
    return name

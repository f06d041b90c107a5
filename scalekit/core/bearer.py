"""Bearer tokens of machines: a scraper's, a probe's (RFC 6750, section 2.1)."""

from __future__ import annotations

from secrets import compare_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest


def bears(request: HttpRequest, token: str) -> bool:
    """Tell whether the request carries ``Authorization: Bearer <token>``; nobody carries an empty one."""
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if not token or scheme.lower() != "bearer":
        return False
    return compare_digest(given.strip().encode("utf-8", "replace"), token.encode())

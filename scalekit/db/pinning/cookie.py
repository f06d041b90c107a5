from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings as django_settings

from scalekit.db.pinning.base import Pinning
from scalekit.db.tokens import seal, unseal_or_refuse

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.db.pins import Pins


class CookiePinning(Pinning):
    """Remember in a signed cookie, which any web server reads without asking anybody.

    `name` is the cookie's name. It lives as long as the pin and shares domain, path and the secure flag
    with the session's cookie.
    """

    def __init__(self, alias: str, *, name: str = "scalekit_pin") -> None:
        super().__init__(alias)
        self.name = name

    def recall(self, request: HttpRequest) -> Pins:
        return unseal_or_refuse(request.COOKIES.get(self.name), "cookie")

    def remember(self, request: HttpRequest, response: HttpResponseBase, pins: Pins) -> None:  # noqa: ARG002 - the contract's
        response.set_cookie(
            self.name,
            seal(pins),
            max_age=max(1, round(max(pin.expiry for pin in pins.values()) - time.time())),
            domain=django_settings.SESSION_COOKIE_DOMAIN,
            path=django_settings.SESSION_COOKIE_PATH,
            secure=django_settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite=django_settings.SESSION_COOKIE_SAMESITE or None,
        )

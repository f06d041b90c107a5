from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.core import signing
from django.core.cache import caches
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from scalekit.db.conf import settings
from scalekit.db.events import PINNING_FAILED
from scalekit.db.pinning.cookie import CookiePinning
from scalekit.db.pins import merged
from scalekit.db.tokens import seal, unseal_or_refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from scalekit.db.pins import Pins

SALT = "scalekit.db.pinning.cache"
TRIES = 3


class CachePinning(CookiePinning):
    """Remember by user as well, in a cache, so that a user's other devices see what one of them wrote.

    `cache` is an alias of CACHES that all web servers share. The user must be known before sessions are read,
    whose first query needs the pin already: by a signed cookie `user_cookie`, which a logged-in visitor gets
    with their first write (a login is one). For API clients, `identify` is the dotted path of a function
    ``request -> str`` that names their user, as from a header; "" for nobody. It is asked before the request
    is authenticated, so what it returns demands something and allows nothing.
    """

    waits = True

    def __init__(
        self,
        alias: str,
        *,
        name: str = "scalekit_pin",
        cache: str = "default",
        user_cookie: str = "scalekit_user",
        identify: str = "",
    ) -> None:
        super().__init__(alias, name=name)
        self.cache, self.user_cookie = cache, user_cookie
        self._identify = import_string(identify) if identify else self._who_came
        self._is_custom = bool(identify)

    def recall(self, request: HttpRequest) -> Pins:
        own, who = super().recall(request), self._identify(request)
        return merged(own, self._read(who)) if who else own

    def remember(self, request: HttpRequest, response: HttpResponseBase, pins: Pins) -> None:
        super().remember(request, response, pins)
        who = self._identify(request) if self._is_custom else self._who_left(request, response)
        if who:
            self._write(who, pins)

    def _who_came(self, request: HttpRequest) -> str:
        try:
            return signing.Signer(salt=SALT).unsign(request.COOKIES.get(self.user_cookie, ""))
        except signing.BadSignature:
            return ""

    def _who_left(self, request: HttpRequest, response: HttpResponseBase) -> str:
        """Return the user after the request, which may have been a login or logout, and keep the cookie so."""
        user = getattr(request, "user", None)
        who = str(user.pk) if user is not None and user.is_authenticated else ""
        if who and who != self._who_came(request):
            sealed = signing.Signer(salt=SALT).sign(who)
            response.set_cookie(
                self.user_cookie,
                sealed,
                max_age=django_settings.SESSION_COOKIE_AGE,
                domain=django_settings.SESSION_COOKIE_DOMAIN,
                path=django_settings.SESSION_COOKIE_PATH,
                secure=django_settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite=django_settings.SESSION_COOKIE_SAMESITE or None,
            )
        elif not who and self.user_cookie in request.COOKIES:
            response.delete_cookie(
                self.user_cookie,
                path=django_settings.SESSION_COOKIE_PATH,
                domain=django_settings.SESSION_COOKIE_DOMAIN,
            )
        return who

    def _read(self, who: str) -> Pins:
        token = None
        with _surviving():
            token = caches[self.cache].get(_key(who))
        return unseal_or_refuse(token if isinstance(token, str) else None, "cache")

    def _write(self, who: str, pins: Pins) -> None:
        """Move what is kept forward. Read again after writing: another device may have written meanwhile."""
        for _ in range(TRIES):
            known = self._read(who)
            wanted = merged(known, pins)
            if wanted == known:
                return
            with _surviving():
                caches[self.cache].set(_key(who), seal(wanted), timeout=settings.PIN_SECONDS)


@contextmanager
def _surviving() -> Iterator[None]:
    """Go on without the cache: nothing is known of other devices then, and a visitor's own cookie holds."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - each backend has errors of its own
        PINNING_FAILED.emit(error=str(error))


def _key(who: str) -> str:
    return f"scalekit:pin:{salted_hmac(SALT, who, algorithm='sha256').hexdigest()}"

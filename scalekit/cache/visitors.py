"""Who a page is for: what its key says of its visitor, and what was asked of them before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db.models import Model
from django.utils.functional import LazyObject, empty

from scalekit.cache.cookies import Cookies
from scalekit.cache.keys import path_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.http import HttpRequest

NOTHING: frozenset[str] = frozenset()
GUEST = frozenset({"user"})  # all guests are the same nobody
ALL = frozenset({"user", "session", "cookies"})
_OF_THE_FRAMEWORK = ("_auth_user_", "_csrftoken", "_messages", "_session_expiry")


def whose(
    request: HttpRequest, user: Any, values: Collection[Any]
) -> tuple[object, frozenset[str]]:
    """Return what a key says of the visitor beside `values`, and what may then be taken from them.

    A visitor is named by a value that is the user, their primary key or the key of their session. What
    names them is part of the key by itself: a photo of the same number must not be taken for its visitor.
    """
    if getattr(user, "is_authenticated", False):
        if any(_names(value, user) for value in values):
            return ("user", path_of(user.__class__), user.pk), ALL
        return "member", NOTHING
    key = getattr(known(getattr(request, "session", None)), "session_key", None)
    return (("session", key), ALL) if key and key in values else ("guest", GUEST)


def known(found: Any) -> Any:
    """Return the user or session of a request if somebody has asked for it already, else None.

    To ask for the user takes the session, and to ask at all is noticed by the watch of a page around.
    """
    while issubclass(type(found), LazyObject):  # isinstance() would ask
        found = found.__dict__["_wrapped"]  # the framework offers no other look
    return None if found is empty else found


def is_nobody(value: Any) -> bool:
    """Return whether a value is the user whom nobody is."""
    return getattr(value, "is_anonymous", False) is True


def are_somebody(values: Collection[Any]) -> bool:
    """Return whether each of the values that are said to name a visitor is one: many lack a token."""
    return bool(values) and not any(value in (None, "") or is_nobody(value) for value in values)


def listed(value: Any) -> tuple[Any, ...]:
    """Return the values that stand in a tuple or list, or the one."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _names(value: Any, user: Any) -> bool:
    if isinstance(value, Model):
        return bool(value == user)
    return value is not None and type(value) is type(user.pk) and bool(value == user.pk)


def is_read(request: HttpRequest) -> bool:
    """Return whether somebody has read what the visitor's session holds of its own.

    They may have left it where a view finds it, as ``request.cart``. Who is logged in, the messages and the
    token are the framework's, and looked after.
    """
    session = getattr(request, "session", None)
    if session is None or not session.accessed:
        return False
    return not all(str(name).startswith(_OF_THE_FRAMEWORK) for name in session.keys())  # noqa: SIM118 - no dict


class Asked:
    """What is asked of a visitor before a view runs: the session by others, cookies by `vary` in the block."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._names: set[object] = set()
        self.session = is_read(request)

    def __enter__(self) -> Self:
        self._before = self._request.COOKIES
        self._request.COOKIES = Cookies(self._before, self._names.add)  # type: ignore[assignment]  # a mapping
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._request.COOKIES = self._before

    def cookies_of(self, values: Collection[Any]) -> frozenset[str]:
        """Return the cookies that `vary` asked for and whose text it returned in `values`, or that are none."""
        sent = self._request.COOKIES
        return frozenset(
            name
            for name in self._names
            if isinstance(name, str) and (name not in sent or sent[name] in values)
        )

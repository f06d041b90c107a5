"""Consistency tokens: what a visitor must be able to see, sealed so that nobody can make one up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core import signing

from scalekit.db.conf import settings
from scalekit.db.events import PIN_EXPIRED, PIN_REFUSED
from scalekit.db.exceptions import TokenRefused
from scalekit.db.pins import load_pins

if TYPE_CHECKING:
    from scalekit.db.pins import Pins

SALT = "scalekit.db.tokens"
MAX_LENGTH = 3000  # bytes, of the 4096 that a browser gives to a cookie


def seal(pins: Pins) -> str:
    """Return a signed token of the pins, without the oldest where they would not fit into a cookie."""
    newest_first = sorted(pins.items(), key=lambda item: item[1].expiry, reverse=True)
    while len(token := _signed(dict(newest_first))) > MAX_LENGTH:
        newest_first.pop()
    return token


def unseal(token: str) -> Pins:
    """Return the pins of a token that are still alive. Raises `TokenRefused` for a token not ours."""
    if len(token) > MAX_LENGTH:
        raise TokenRefused("too long")
    try:
        payload = signing.Signer(salt=SALT).unsign_object(token)
    except Exception as error:  # a forged token may break any layer below
        raise TokenRefused("bad signature") from error
    try:
        return load_pins(payload, now=time.time(), life=settings.PIN_SECONDS)
    except (TypeError, ValueError) as error:
        raise TokenRefused("absurd") from error


def unseal_or_refuse(token: str | None, source: str) -> Pins:
    """Return a token's pins, or none: what is not ours is announced and otherwise ignored."""
    if not token:
        return {}
    try:
        pins = unseal(token)
    except TokenRefused as refusal:
        PIN_REFUSED.emit(source=source, reason=str(refusal))
        return {}
    if not pins:
        PIN_EXPIRED.emit(source=source)
    return pins


def _signed(payload: dict[str, Any]) -> str:
    return signing.Signer(salt=SALT).sign_object(payload, compress=True)

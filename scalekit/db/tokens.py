"""Consistency tokens: what a visitor must be able to see, sealed so that nobody can make one up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core import signing

from scalekit.db.events import PIN_REFUSED
from scalekit.db.exceptions import TokenRefused
from scalekit.db.facts import load_pins

if TYPE_CHECKING:
    from scalekit.db.facts import Pins

SALT = "scalekit.db.tokens"
MAX_LENGTH = 1024  # bytes; a site with more shards than fit here needs another kind of token


def seal(pins: Pins) -> str:
    """Return a signed token."""
    return signing.Signer(salt=SALT).sign_object({a: round(e, 3) for a, e in pins.items()})


def unseal(token: str) -> Pins:
    """Return the pins of a token that are still alive. Raises `TokenRefused` for a token not ours."""
    if len(token) > MAX_LENGTH:
        raise TokenRefused("too long")
    try:
        payload = signing.Signer(salt=SALT).unsign_object(token)
    except Exception as error:  # a forged token may break any layer below
        raise TokenRefused("bad signature") from error
    try:
        return load_pins(payload)
    except (TypeError, ValueError) as error:
        raise TokenRefused("absurd") from error


def unseal_or_refuse(token: str | None, source: str) -> Pins:
    """Return a token's pins, or none: what is not ours is announced and otherwise ignored."""
    if not token:
        return {}
    try:
        return unseal(token)
    except TokenRefused as refusal:
        PIN_REFUSED.emit(source=source, reason=str(refusal))
        return {}

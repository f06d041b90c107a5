"""Message authentication codes of stored entries: only bytes that this project signed are read.

The digest is the one in the settings, never one that an entry names for itself, and what an entry belongs
to is signed with it: no entry can be moved under another key.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac

from scalekit.cache.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 16  # bytes of a code: 128 bits, which nobody can guess
_END = b"\0"  # of the key, which has none: what is signed can be cut in one way alone
_SALT = "scalekit.cache.signatures"


class Signer(Protocol):
    """Called with an entry's key and bytes, returns its code of `SIZE` bytes."""

    def __call__(self, key: str, entry: bytes | memoryview, /) -> bytes: ...


def keyed_blake2b(secret: bytes) -> Signer:
    """Return a signer by BLAKE2b in its keyed mode (RFC 7693): a third of the time of HMAC."""
    keyed = blake2b(key=secret, digest_size=SIZE)

    def sign(key: str, entry: bytes | memoryview) -> bytes:
        code = keyed.copy()
        code.update(key.encode() + _END)
        code.update(entry)
        return code.digest()

    return sign


def hmac_sha256(secret: bytes) -> Signer:
    """Return a signer by HMAC-SHA-256 (RFC 2104), for those whose auditors ask for it."""

    def sign(key: str, entry: bytes | memoryview) -> bytes:
        return hmac.digest(secret, key.encode() + _END + entry, "sha256")[:SIZE]

    return sign


_DIGESTS: dict[str, Callable[[bytes], Signer]] = {
    "blake2b": keyed_blake2b,
    "hmac-sha256": hmac_sha256,
}
_signers: list[Signer] = []


def sign(key: str, entry: bytes | memoryview) -> bytes:
    """Return the code of `entry`, stored under `key`, by SECRET_KEY."""
    return (_signers or _make())[0](key, entry)


def is_signed(key: str, entry: bytes | memoryview, code: bytes) -> bool:
    """Return whether SECRET_KEY, or one of SECRET_KEY_FALLBACKS, made this code."""
    for signer in _signers or _make():  # noqa: SIM110 - any() costs half as much as the digest
        if compare_digest(signer(key, entry), code):
            return True
    return False


def _make() -> list[Signer]:
    digest = _DIGESTS[settings.DIGEST]
    secrets = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    made = [
        digest(salted_hmac(_SALT, b"", secret=secret, algorithm="sha256").digest())
        for secret in secrets
    ]
    _signers[:] = made
    return made


def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "SCALEKIT_CACHE_DIGEST"}:
        _signers.clear()


setting_changed.connect(_forget, dispatch_uid="scalekit.cache.signatures")

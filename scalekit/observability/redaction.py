"""Keep secrets out of log lines: by the name of a field, and by how they look inside a text.

A safety net, not a licence: what has no telling name and no telling shape passes.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_WORDS = (
    r"passw|passphrase|secret|token|credential|cookie|csrf|authori[sz]ation|certificate|signature|crypt"
    r"|(?:api|access|private|session)_?-?key|session_?id"
)
_SHORT_WORDS = r"(?<![^\W_])(?:pwd|otp|ssn|cvv|cvc|dsn|sig|salt)(?![^\W_])"
_SECRET_NAME = re.compile(rf"{_WORDS}|{_SHORT_WORDS}", re.IGNORECASE)
_NAMED_VALUE = re.compile(
    rf"""(?P<name>(?<![\w-])[\w-]*(?:{_WORDS}|{_SHORT_WORDS})[\w-]*+["']?\s*[=:]\s*)"""
    r"""(?:"[^"]*"|'[^']*'|(?:(?:Bearer|Basic|Token|Digest)\s+)?[^\s"'&,;)}]+)""",
    re.IGNORECASE,
)
_SCHEME_VALUE = re.compile(r"\b(?P<scheme>Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?P<user>\w://[^\s/:@]*):[^\s/@]+@")


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name should never be shown."""
    return _SECRET_NAME.search(name) is not None


def scrub(text: str) -> str:
    """Return `text` without the passwords, tokens and credentials that can be told by their shape."""
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<user>:{REDACTED}@", text)
    if "=" in text or ":" in text:
        text = _NAMED_VALUE.sub(rf"\g<name>{REDACTED}", text)
    if " " in text:
        text = _SCHEME_VALUE.sub(rf"\g<scheme> {REDACTED}", text)
    return text

"""Keep secrets out of log lines: by the name of a field, and by how they look inside a text.

A safety net, not a licence: what has no telling name and no telling shape passes.

The texts are chosen by others, so every pattern takes time in proportion to the text: nothing it has passed
is looked at again. And a text may end inside a secret: the rest of it is taken for the secret's.
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
_ESCAPED = r"\\++.?"  # `\"`, and `\\"` where the text is another's repr
_QUOTED = rf"""(?:"(?:[^"\\]|{_ESCAPED})*+"?|'(?:[^'\\]|{_ESCAPED})*+'?)++"""
_BARE = rf"""(?:[^\s"'&,;)}}\\]|{_ESCAPED})++"""
_NAMED_VALUE = re.compile(
    rf"""(?P<name>(?<![\w-])(?=[\w-]*?(?:{_WORDS}|{_SHORT_WORDS}))[\w-]++\\*+["']?\s*+[=:]\s*+)"""
    rf"""(?:[bru\\]{{0,3}}{_QUOTED}|(?:(?:Bearer|Basic|Token|Digest)\s++)?{_BARE})""",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME_VALUE = re.compile(r"\b(?P<scheme>Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_PORT = r"\d{1,5}+(?:/|\Z|[^\w\s@](?![^\s/@]*+@))"
_URL_PASSWORD = re.compile(
    rf"(?P<user>\w://[^\s/:@\[]*+):(?!{_PORT})(?:[^\s@:]|:(?!//))++(?:@(?:[^\s/@]*+@)*+|\Z)"
)


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

"""Keep secrets out of log lines: by the name of a field, and by how they look inside a text.

A safety net, not a licence: what has no telling name and no telling shape passes.

The texts are chosen by others, so every pattern takes time in proportion to the text: nothing it has passed
is looked at again. And a text may end inside a secret: the rest of it is taken for the secret's.
"""

from __future__ import annotations

import re
from typing import Any

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
MIN_PATH_SECRET = 4  # characters; shorter ones would be found in any text


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


def redacted_path(request: Any) -> str:
    """Return the path without what a pattern such as ``<token>`` took from it."""
    path = str(request.path)
    for secret in _path_secrets(request):
        path = path.replace(secret, REDACTED)
    return path


def without_path_secrets(text: str, request: Any) -> str:
    """Return what was said of a request, its path as `redacted_path` has it; `request` may be anything."""
    secrets = _path_secrets(request)
    if secrets:
        text = text.replace(request.path, redacted_path(request))
    for secret in secrets:
        # Django logs a path with its odd characters escaped.
        for form in {secret, secret.encode("unicode_escape").decode()}:
            text = text.replace(form, REDACTED) if len(form) >= MIN_PATH_SECRET else text
    return text


def _path_secrets(request: Any) -> list[str]:
    taken = getattr(getattr(request, "resolver_match", None), "kwargs", None)
    if not isinstance(taken, dict):
        return []
    return [str(value) for name, value in taken.items() if is_secret_name(name) and value]

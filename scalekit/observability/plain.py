"""Turn any Python value into one that JSON can hold: finite, bounded, in Unicode, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any

from scalekit.observability.redaction import REDACTED, is_secret_name, scrub

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = 256  # characters
SLACK = 256  # characters looked at beyond a limit


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a value is kept: characters of a text, items of a collection, levels of nesting."""

    characters: int = 2048
    items: int = 64
    depth: int = 5


def plain(value: Any, limits: Limits, depth: int = 0) -> Any:
    """Return `value` as JSON knows it. Never raises, however odd the value."""
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value, limits)
    if depth >= limits.depth:
        return "..."
    try:
        return _composed(value, limits, depth)
    except Exception as error:  # noqa: BLE001 - a value's own code may fail in any way
        return f"<{type(value).__name__}: {type(error).__name__} when shown>"


def safe_text(text: str, limits: Limits) -> str:
    """Return `text` scrubbed, bounded, and without surrogates, which are no Unicode.

    Cut after it is scrubbed, for half a secret may have no shape to be told by; and with some slack before,
    for a text without bounds must not take time without bounds.
    """
    kept = limits.characters
    if len(text) <= min(kept, SHORT):
        return _short_text(text)
    scrubbed = scrub(text[: kept + SLACK])
    is_whole = len(text) <= kept + SLACK and len(scrubbed) <= kept
    return _unicode(scrubbed if is_whole else scrubbed[:kept] + "...")


@lru_cache(maxsize=4096)
def _short_text(text: str) -> str:
    # Log lines repeat themselves: routes, levels, outcomes, names of tasks.
    return _unicode(scrub(text))


def safe_trace(text: str, limits: Limits) -> str:
    """Return the last lines of a traceback: they say most. Of a last line that is too long, the beginning."""
    kept, text = limits.characters, text.rstrip()
    fits = len(text) <= kept + SLACK
    # Whole lines only: the end of a secret cannot be told for what it is.
    lines = text if fits else text[-(kept + SLACK) :].partition("\n")[2]
    if not lines:
        return safe_text(text.rpartition("\n")[2], limits)
    scrubbed = scrub(lines)
    return _unicode(scrubbed if fits and len(scrubbed) <= kept else "..." + scrubbed[-kept:])


def _unicode(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _composed(value: Any, limits: Limits, depth: int) -> Any:
    if isinstance(value, Mapping):
        return plain_mapping(value, limits, depth + 1)
    if isinstance(value, (list, tuple, AbstractSet)):
        items = list(islice(value, limits.items))
        missing = len(value) - len(items)
        kept = [plain(item, limits, depth + 1) for item in items]
        return [*kept, f"... {missing} more"] if missing else kept
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    return safe_text(str(value), limits)


def plain_mapping(value: Mapping[Any, Any], limits: Limits, depth: int = 0) -> dict[str, Any]:
    """Return a mapping's first items, the secret ones without their values."""
    fields: dict[str, Any] = {}
    for key, item in islice(value.items(), limits.items):
        name = safe_text(str(key), limits)
        fields[name] = REDACTED if _is_secret(name) else plain(item, limits, depth)
    return fields


_is_secret = lru_cache(maxsize=4096)(is_secret_name)


def _itself(value: Any, _: Limits) -> Any:
    return value


def _int(value: int, _: Limits) -> int | str:
    # Python refuses to print very long ones, and few readers of JSON take what 64 bits cannot hold.
    fits = -(2**63) <= value < 2**64
    return value if fits else f"int of {value.bit_length()} bits"


def _float(value: float, _: Limits) -> float | str:
    return value if isfinite(value) else str(value)


_SCALARS: dict[type, Callable[[Any, Limits], Any]] = {
    type(None): _itself,
    bool: _itself,
    str: safe_text,
    int: _int,
    float: _float,
}

"""The names under which values end: stamps' keys in a cache.

tag                     scalekit:tag:user:42
any row of a model      scalekit:model:shop.photo
one row                 scalekit:row:shop.photo:i1:7     together with
rows nobody can name    scalekit:rows:shop.photo
"""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.cache.backends.base import default_key_func
from django.core.signals import setting_changed

from scalekit.cache.exceptions import UncacheableArgument
from scalekit.cache.keys import encode
from scalekit.cache.store import store_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_READABLE = 100  # characters; memcached allows 250 in all
_DIGEST = 20  # bytes: tags may come from visitors, who must not find two that meet


def tag_name(tag: object) -> str:
    """Return the name of a tag. Raises `UncacheableArgument`."""
    if not isinstance(tag, str):
        msg = f"The tag {tag!r} is no string. Write f'user:{{user_id}}', or str(...)."
        raise UncacheableArgument(msg)
    if len(tag) <= _READABLE and tag.isascii() and tag.isprintable() and " " not in tag:
        return f"scalekit:tag:{tag}"
    return f"scalekit:tag#{_digest(tag)}"


def model_name(label: str) -> str:
    """Return the name that ends with every write to the model."""
    return f"scalekit:model:{label}"


def rows_name(label: str) -> str:
    """Return the name that ends with every write of which nobody can say which rows it changed."""
    return f"scalekit:rows:{label}"


def row_name(label: str, pk: Any) -> str:
    """Return the name of one row; `pk` as the primary key's field has it in Python."""
    text = encode(_comparable(pk))
    plain = text.isascii() and text.isprintable() and " " not in text and len(text) <= _READABLE
    return f"scalekit:row:{label}:{text}" if plain else f"scalekit:row:{label}#{_digest(text)}"


def _comparable(pk: Any) -> Any:
    """Return one value for all that a database may take for the same key.

    Collations may ignore case, accents and trailing spaces; two rows that share a name end together.
    """
    if isinstance(pk, str):
        decomposed = unicodedata.normalize("NFKD", pk.casefold())
        return "".join(c for c in decomposed if not unicodedata.combining(c)).rstrip()
    return pk.normalize() if isinstance(pk, Decimal) else pk


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).hexdigest()


def on_server(alias: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of `names` as the server of CACHES[alias] sees them."""
    prefix = prefix_of(alias)
    if prefix:
        return tuple([prefix + name for name in names])
    made_key = store_of(alias).made_key
    return tuple([made_key(name) for name in names])


def prefix_of(alias: str) -> str:
    """Return what the server sees before every key; empty where KEY_FUNCTION may decide each time anew."""
    prefix = _prefixes.get(alias)
    if prefix is None:
        prefix = _prefixes[alias] = _prefix(alias)
    return prefix


def _prefix(alias: str) -> str:
    cache = caches[alias]
    if getattr(cache, "key_func", None) is not default_key_func:
        return ""
    sample = "scalekit:sample"
    made = store_of(alias).made_key(sample)
    return made.removesuffix(sample) if made.endswith(sample) else ""


_prefixes: dict[str, str] = {}


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        _prefixes.clear()


setting_changed.connect(_forget, dispatch_uid="scalekit.cache.naming")

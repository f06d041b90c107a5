"""A value as the index has it: a digest of its text, always as long, from which the value cannot be read."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from scalekit.db.exceptions import LookupUnsupported

if TYPE_CHECKING:
    from django.db.models import Field


def digest_of(field: Field[Any, Any], value: Any) -> str | None:
    """Return 64 characters that tell a value from all others, None for NULL, which is never the same.

    Equal is what is the same text once the field has prepared it for the database. Raises
    `LookupUnsupported` for a value that only the database can tell.
    """
    if hasattr(value, "resolve_expression"):
        msg = (
            f"{field} is in shard_lookups, so its value must be known before the row is written; {value!r} is "
            "computed by the database. Compute it in Python."
        )
        raise LookupUnsupported(msg)
    prepared = field.get_prep_value(field.to_python(value))
    return None if prepared is None else blake2b(str(prepared).encode(), digest_size=32).hexdigest()


def lock_number(model: str, field: str = "", digest: str = "") -> int:
    """Return the number of the advisory lock of a value, or of all of a model's: 64 bits with a sign."""
    text = f"{model} {field} {digest}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), signed=True)

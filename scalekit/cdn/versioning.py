"""Names that say what is in the file: ``css/site.3f4e5d6c7b8a.css``. Free of Django.

The scheme is that of Django's ManifestStaticFilesStorage: 12 hex digits of the MD5 of the content.
"""

from __future__ import annotations

import re
from hashlib import md5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HASHED = re.compile(r"\.([0-9a-f]{12})(?:\.[^./]+)?$")


def hash_in(name: str) -> str | None:
    """Return what stands in a name where a hash of the content would."""
    found = _HASHED.search(name)
    return found and found[1]


def content_hash(chunks: Iterable[bytes]) -> str:
    hasher = md5(usedforsecurity=False)
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.hexdigest()[:12]


def names_its_content(name: str, chunks: Iterable[bytes]) -> bool:
    """Return whether the hash in `name` is that of the content, so that another content has another name.

    A date may look like a hash (``report.202611241200.pdf``); only the content tells them apart.
    """
    hashed = hash_in(name)
    return hashed is not None and hashed == content_hash(chunks)

"""Which files browsers and the CDN may keep for ever.

WhiteNoise takes the function itself; it would read a dotted path as a regular expression:

    from scalekit.cdn.headers import is_immutable
    WHITENOISE_IMMUTABLE_FILE_TEST = is_immutable
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scalekit.cdn.versioning import hash_in, names_its_content

if TYPE_CHECKING:
    from os import PathLike


def is_immutable(path: str | PathLike[str], url: str) -> bool:
    """Return whether the file at `path` has the hash of its content in `url`.

    WhiteNoise's own test knows the current manifest alone; this one holds for the files of every release
    that is still there. The file is read once, when WhiteNoise starts.
    """
    if hash_in(url) is None:
        return False
    with open(path, "rb") as file:  # noqa: PTH123 - a str or a Path, as WhiteNoise likes
        return names_its_content(url, iter(partial(file.read, 1 << 16), b""))

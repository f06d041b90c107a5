"""Storages whose URLs are on the CDN."""

from __future__ import annotations

import os
import posixpath
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.files.storage import FileSystemStorage

from scalekit.cdn.conf import settings
from scalekit.cdn.versioning import hash_in, names_its_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.base import File


class CdnStaticFilesStorage(ManifestStaticFilesStorage):
    """Hashed names on the CDN, for pages of any release that still runs.

    Differs from Django's in what `collectstatic` does to files that a live page may ask for: a hashed file
    once published is neither rewritten nor deleted (``--clear`` included), no file is ever seen half
    written, and the manifest is replaced in one step after everything that it names. With DEBUG the names
    and the host are plain, as with Django.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._unpublished: set[str] = set()
        super().__init__(*args, **kwargs)

    def url(self, name: str | None, force: bool = False) -> str:
        """Return the URL of a file; `force` ignores DEBUG."""
        url = super().url(name, force)  # type: ignore[arg-type]  # the stubs disagree with each other
        return url if django_settings.DEBUG and not force else on_cdn(url)

    def post_process(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Give the files their hashed names, then write the manifest."""
        self._unpublished.clear()
        yield from super().post_process(*args, **kwargs)
        self._unpublished.clear()

    def delete(self, name: str) -> None:
        """Delete a file, unless a live page may ask for it: Django deletes those to write them again."""
        if name != self.manifest_name and not self._is_published(name):
            super().delete(name)

    def _is_published(self, name: str) -> bool:
        if hash_in(name) is None or name in self._unpublished or not self.exists(name):
            return False
        if not os.path.isfile(self.path(name)):  # noqa: PTH113 - Django's storages speak str
            return False
        with self.open(name) as file:
            return names_its_content(name, file.chunks())

    def _save(self, name: str, content: File[Any]) -> str:
        """Write beside the place and rename; leave alone what is the same already."""
        if self._holds(name, content):
            return name
        folder, base = posixpath.split(name.replace("\\", "/"))
        draft_name = posixpath.join(folder, f".{base}.{token_hex(8)}")
        draft = super()._save(draft_name, content)  # type: ignore[misc]  # not in the stubs
        os.replace(self.path(draft), self.path(name))  # noqa: PTH105 - the storage gives text
        self._unpublished.add(name)
        return name

    def _holds(self, name: str, content: File[Any]) -> bool:
        if not self.exists(name):
            return False
        content.seek(0)
        new = b"".join(content.chunks())
        content.seek(0)
        with self.open(name) as file:
            return bool(file.read() == new)


class CdnMediaStorage(FileSystemStorage):
    """Uploaded files, kept as Django keeps them, shown from the CDN."""

    def url(self, name: str | None) -> str:
        """Return the URL of a file."""
        return on_cdn(super().url(name))


def on_cdn(url: str) -> str:
    """Return a URL of this site on the CDN instead, if there is one; others as they are."""
    is_ours = url.startswith("/") and not url.startswith("//")
    return settings.URL + url if is_ours else url

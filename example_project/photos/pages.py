"""Photos page by page, newest first, each page found by the id that the last one ended with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .conf import limit
from .models import Like, Photo
from .people import attach_owners, followed_ids

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Page:
    photos: list[Photo]
    next_before: int | None  # id to go on from; None on the last page


def read_before(value: str | None) -> int | None:
    """Return the id in ``?before=``; None, which is the first page, if it is no id."""
    if value and value.isascii() and value.isdecimal() and len(value) < 20:  # noqa: PLR2004
        return min(int(value), LARGEST_ID)
    return None


def page(photos: Any, before: int | None, size: int | None = None) -> Page:
    """Cut one page out of `photos`, a query set of one shard or of all."""
    size = size or limit("PHOTOS_PAGE_SIZE")
    if before is not None:
        photos = photos.filter(id__lt=before)
    rows = list(photos.order_by("-id")[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    return Page(rows, rows[-1].pk if more else None)


def photos_of(owner_id: int, before: int | None = None, size: int | None = None) -> Page:
    return page(Photo.objects.filter(owner_id=owner_id), before, size)


def explore(before: int | None = None, size: int | None = None) -> Page:
    found = page(Photo.objects.scatter(), before, size)
    return Page(attach_owners(found.photos), found.next_before)


def feed(user_id: int, before: int | None = None) -> Page:
    """Return photos of the people whom `user_id` follows, and their own."""
    owners = [user_id, *followed_ids(user_id)]
    found = page(Photo.objects.scatter().filter(owner_id__in=owners), before)
    return Page(mark_liked(attach_owners(found.photos), user_id), found.next_before)


def mark_liked(photos: list[Photo], user_id: int) -> list[Photo]:
    """Tell each photo whether `user_id` likes it, in one query for all."""
    ids = [photo.pk for photo in photos]
    mine = Like.objects.scatter().filter(author_id=user_id, photo_id__in=ids)
    liked = set(mine.values_list("photo_id", flat=True)) if ids else set()
    for photo in photos:
        photo.is_liked = photo.pk in liked
    return photos

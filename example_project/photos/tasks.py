"""Work that a visitor need not wait for."""

from __future__ import annotations

from scalekit.queue import task

from . import images
from .conf import limit
from .models import Photo


@task()
def make_thumbnail(photo_id: int) -> None:
    """Make the square that grids show; nothing to do if it is there or the photo has gone."""
    photo = Photo.objects.filter(pk=photo_id).first()
    if photo is None or photo.thumbnail:
        return
    with photo.image.open("rb") as file:
        content = images.make_thumbnail(file, limit("PHOTOS_THUMBNAIL_SIDE"))
    photo.thumbnail.save("thumbnail.jpg", content, save=False)
    Photo.objects.filter(pk=photo.pk, owner_id=photo.owner_id).update(
        thumbnail=photo.thumbnail.name
    )

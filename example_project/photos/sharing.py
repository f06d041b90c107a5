"""Upload, delete, like and comment: each a transaction on the shard of the photo's owner."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, router, transaction
from django.db.models import F
from django.utils import timezone

from .conf import limit
from .models import Comment, Like, Photo
from .people import forget_cards
from .tasks import make_thumbnail

if TYPE_CHECKING:
    from .images import CleanImage


def shard_of(photo: Photo) -> str:
    return router.db_for_write(Photo, instance=photo)


def share(owner_id: int, image: CleanImage, **about: Any) -> Photo:
    """Store a photo and have its thumbnail made; both, or neither."""
    with transaction.atomic(using=shard_of(Photo(owner_id=owner_id))):
        photo = store(owner_id, image, **about)
        make_thumbnail.enqueue(photo.pk)
    return photo


def store(owner_id: int, image: CleanImage, **about: Any) -> Photo:
    """Write the file and the row; no row, no file."""
    photo = Photo(owner_id=owner_id, width=image.width, height=image.height, **about)
    photo.image.save("photo.jpg", image.content, save=False)
    try:
        photo.save(force_insert=True)
    except Exception:
        photo.image.delete(save=False)
        raise
    forget_cards(owner_id)
    return photo


def remove(photo: Photo) -> None:
    """Delete a photo with all that hangs on it; its files go when the rows have gone."""
    using, owner_id = shard_of(photo), photo.owner_id
    with transaction.atomic(using=using):
        mine = {"owner_id": owner_id, "photo_id": photo.pk}
        Like.objects.filter(**mine).delete()
        Comment.objects.filter(**mine).delete()
        Photo.objects.filter(owner_id=owner_id, pk=photo.pk).delete()
        for file in filter(None, (photo.image, photo.thumbnail)):
            transaction.on_commit(partial(file.storage.delete, file.name), using=using)
        forget_cards(owner_id)


def likes_of(photo: Photo) -> int:
    return Like.objects.filter(owner_id=photo.owner_id, photo_id=photo.pk).count()


def is_liked(photo: Photo, user_id: int | None) -> bool:
    if user_id is None:
        return False
    return Like.objects.filter(
        owner_id=photo.owner_id, photo_id=photo.pk, author_id=user_id
    ).exists()


def like(photo: Photo, user_id: int) -> None:
    """Like once; a second like, also one that races the first, changes nothing."""
    if is_liked(photo, user_id):
        return
    try:
        with transaction.atomic(using=shard_of(photo)):
            Like.objects.create(owner_id=photo.owner_id, photo_id=photo.pk, author_id=user_id)
            count(photo, like_count=+1)
    except IntegrityError:
        return
    forget_cards(photo.owner_id)


def unlike(photo: Photo, user_id: int) -> None:
    with transaction.atomic(using=shard_of(photo)):
        gone, _ = Like.objects.filter(
            owner_id=photo.owner_id, photo_id=photo.pk, author_id=user_id
        ).delete()
        if gone:
            count(photo, like_count=-1)
            forget_cards(photo.owner_id)


def comment(photo: Photo, user_id: int, text: str, **about: Any) -> Comment:
    with transaction.atomic(using=shard_of(photo)):
        made = Comment.objects.create(
            owner_id=photo.owner_id, photo_id=photo.pk, author_id=user_id, text=text, **about
        )
        count(photo, comment_count=+1)
    return made


def remove_comment(photo: Photo, comment_id: int) -> None:
    with transaction.atomic(using=shard_of(photo)):
        gone, _ = Comment.objects.filter(
            owner_id=photo.owner_id, photo_id=photo.pk, pk=comment_id
        ).delete()
        if gone:
            count(photo, comment_count=-1)


def count(photo: Photo, **steps: int) -> None:
    changes = {name: F(name) + step for name, step in steps.items()}
    Photo.objects.filter(owner_id=photo.owner_id, pk=photo.pk).update(**changes)


def uploads_too_often(owner_id: int) -> bool:
    hour_ago = timezone.now() - timedelta(hours=1)
    recent = Photo.objects.filter(owner_id=owner_id, created_at__gte=hour_ago).count()
    return recent >= limit("PHOTOS_MAX_UPLOADS_PER_HOUR")


def comments_too_often(photo: Photo, user_id: int) -> bool:
    minute_ago = timezone.now() - timedelta(minutes=1)
    recent = Comment.objects.filter(
        owner_id=photo.owner_id, photo_id=photo.pk, author_id=user_id, created_at__gte=minute_ago
    ).count()
    return recent >= limit("PHOTOS_MAX_COMMENTS_PER_MINUTE")

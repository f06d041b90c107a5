"""Eight shapes of queries, each cached, and nineteen ways to write that change what they give."""

from __future__ import annotations

from django.db import connection
from django.db.models import Exists, F, OuterRef, Sum

from scalekit.cache import cached
from tests.cache.shop.models import Comment, Owner, Photo, Tag


def rows():
    return list(Photo.objects.order_by("title").values_list("title", "likes"))


def count():
    return Photo.objects.count()


def exists():
    return Photo.objects.filter(title="sea", likes=0).exists()


def one():
    return Photo.objects.filter(title="sea").values("title", "likes", "owner_id").first()


def joined():
    return [photo.owner and photo.owner.name for photo in _photos().select_related("owner")]


def subquery():
    commented = Comment.objects.filter(photo=OuterRef("pk"))
    return list(_photos().filter(Exists(commented)).values_list("title", "likes"))


def total():
    return Photo.objects.aggregate(Sum("likes"))["likes__sum"]


def tagged():
    return [[tag.word for tag in photo.tags.all()] for photo in _photos().prefetch_related("tags")]


def _photos():
    return Photo.objects.order_by("title")


DEPENDS_ON = {
    rows: [Photo],
    count: [Photo],
    exists: [Photo],
    one: [Photo],
    joined: [Photo, Owner],
    subquery: [Photo, Comment],
    total: [Photo],
    tagged: [Photo, Tag],
}
SHAPES = {shape: cached(ttl=600, depends_on=models)(shape) for shape, models in DEPENDS_ON.items()}


def everything():
    """Return what all shapes give, uncached."""
    return [shape() for shape in SHAPES]


def stock():
    """Fill empty tables so that every write below changes something."""
    ann, bob = (Owner.objects.create(name=name) for name in ("Ann", "Bob"))
    blue, sun = (Tag.objects.create(word=word) for word in ("blue", "sun"))
    Tag.objects.create(word="far")
    sea = Photo.objects.create(title="sea", owner=ann)
    sky = Photo.objects.create(title="sky", owner=bob, likes=3)
    sea.tags.add(blue)
    sky.tags.add(blue, sun)
    Comment.objects.create(photo=sea, text="!")


def _sea():
    return Photo.objects.get(title="sea")


def save():
    photo = _sea()
    photo.likes = 7
    photo.save()


def save_fields():
    photo = _sea()
    photo.likes = 8
    photo.save(update_fields=["likes"])


def create():
    Photo.objects.create(title="new", likes=1)


def get_or_create():
    Photo.objects.get_or_create(title="new", defaults={"likes": 2})


def update_or_create():
    Photo.objects.update_or_create(title="sea", defaults={"likes": 9})


def delete():
    _sea().delete()


def delete_queryset():
    Photo.objects.filter(likes__gte=3).delete()


def update():
    Photo.objects.filter(title="sea").update(likes=4)


def update_with_f():
    Photo.objects.update(likes=F("likes") + 1)


def bulk_create():
    Photo.objects.bulk_create([Photo(title="a"), Photo(title="b", likes=5)])


def bulk_update():
    photo = _sea()
    photo.likes = 6
    Photo.objects.bulk_update([photo], ["likes"])


def upsert():
    Photo.objects.bulk_create(
        [Photo(title="sea", likes=11), Photo(title="new")],
        update_conflicts=True,
        unique_fields=["title"],
        update_fields=["likes"],
    )


def add():
    _sea().tags.add(Tag.objects.get(word="far"))


def remove():
    Tag.objects.get(word="blue").photos.remove(_sea())


def set_them():
    _sea().tags.set(Tag.objects.filter(word="sun"))


def clear():
    _sea().tags.clear()


def raw():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE gallery_photo SET likes = likes + %s", [5])


def cascade():
    Owner.objects.get(name="Ann").delete()


def rename_related():
    Owner.objects.filter(name="Ann").update(name="Anna")


WRITES = [
    *(save, save_fields, create, get_or_create, update_or_create, delete, delete_queryset),
    *(update, update_with_f, bulk_create, bulk_update, upsert, add, remove, set_them, clear),
    *(raw, cascade, rename_related),
]

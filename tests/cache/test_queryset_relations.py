"""`CachedQuerySet` through related objects: whose objects the rows hold, and what the managers of others read."""

from __future__ import annotations

import pickle

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models import Prefetch
from django.test.utils import CaptureQueriesContext

from scalekit.cache.queries import reading_of
from scalekit.cache.queryset import CachedQuerySet
from scalekit.testing.cache import assert_hits
from tests.cache.shop.models import Album, Comment, OfAna, Owner, Photo, Print

SECRET = "only the caller may have this"
albums = CachedQuerySet(Album)


@pytest.fixture
def ana(photos):
    owner = Owner.objects.create(name="ana")
    Photo.objects.create(title="sea", owner=owner)
    owner.password = SECRET
    return owner


def through(owner):
    """Return the queryset that ``owner.photos`` is, were it the model's manager."""
    asked = owner.photos.all()
    found = CachedQuerySet(Photo, query=asked.query, hints=asked._hints)
    found._known_related_objects = asked._known_related_objects
    return found


@pytest.fixture
def kept(monkeypatch):
    """Collect all that is written to the cache, unpacked or not."""
    written = []
    dumps = pickle.dumps

    def spy(value, *args, **kwargs):
        packed = dumps(value, *args, **kwargs)
        written.append(packed)
        return packed

    monkeypatch.setattr(pickle, "dumps", spy)
    return lambda: b"".join(written)


def test_the_object_that_was_asked_stays_out_of_the_cache(ana, kept):
    (row,) = through(ana).cached(60)
    assert row.owner is ana
    assert b"sea" in kept()
    assert SECRET.encode() not in kept()


def test_nor_does_a_prefetch_bring_it_in(ana, kept):
    inner = Prefetch("photos", through(ana), to_attr="found")
    (row,) = CachedQuerySet(Owner).prefetch_related(inner).cached(60)
    assert [photo.title for photo in row.found] == ["sea"]
    assert SECRET.encode() not in kept()


def test_rows_hold_the_object_of_whoever_asks(ana):
    through(ana).cached(60)
    again = Owner.objects.get(pk=ana.pk)
    again.name = "the caller's"
    with assert_hits(2):
        (row,) = through(again).cached(60)
        (arow,) = async_to_sync(through(again).acached)(60)
    assert row.owner is arow.owner is again


def test_plain_values_hold_none(ana):
    assert through(ana).values("title").cached(60) == [{"title": "sea"}]


def test_a_deferred_key_is_not_asked_for(ana):
    through(ana).only("title").cached(60)
    with CaptureQueriesContext(connection) as queries:
        through(ana).only("title").cached(60)
    assert len(queries) == 0


@pytest.fixture
def album(photos):
    album = Album.objects.create(name="sea")
    Print._base_manager.create(album=album, owner=Owner.objects.create(name="ana"))
    return album


def prints():
    (row,) = albums.prefetch_related("prints").cached(60)
    return len(row.prints.all())


def test_rows_end_with_a_table_that_the_manager_of_the_prefetched_joins(album):
    assert prints() == 1
    Owner.objects.update(name="eva")
    assert prints() == 0


def test_a_single_object_is_prefetched_by_the_base_manager(photos):
    assert reading_of(CachedQuerySet(Comment).prefetch_related("photo")).models == {Comment, Photo}
    assert Owner in reading_of(albums.prefetch_related("prints")).models


def test_a_prefetch_that_finds_nothing_is_no_empty_answer(album):
    nothing = Prefetch("prints", Print.objects.none())
    (row,) = albums.prefetch_related(nothing).cached(60)
    assert list(row.prints.all()) == []


def test_what_a_manager_filters_by_is_part_of_the_key(album, monkeypatch):
    def place():
        return reading_of(albums.prefetch_related("prints")).place

    before = place()
    monkeypatch.setattr(OfAna, "whose", "eva")
    assert place() != before


def test_managers_that_prefetch_each_other_are_followed_once(photos, monkeypatch):
    def of_albums(manager):
        return super(OfAna, manager).get_queryset().prefetch_related("album__prints")

    monkeypatch.setattr(OfAna, "get_queryset", of_albums)
    query = albums.prefetch_related("prints")
    assert list(query) == query.cached(60) == []
    assert reading_of(query).models == {Album, Print}

"""`CachedQuerySet` on a real PostgreSQL and Valkey: right after every kind of write, whatever its parameters."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.cache import caches
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Exists, JSONField, OuterRef, Prefetch, Value
from django.test.utils import CaptureQueriesContext
from psycopg.types.range import Range

from scalekit.cache.queries import reading_of
from scalekit.cache.queryset import CachedQuerySet
from tests.cache.shop import shapes
from tests.cache.shop.database import photos_in, valkey_cache
from tests.cache.shop.models import Comment, Owner, Photo, Tag

pytestmark = pytest.mark.servers
DATABASE = "kept_queries"

photos = CachedQuerySet(Photo).order_by("title")
QUERIES = [
    photos.values_list("title", "likes"),
    photos.filter(title="sea", likes=0).values("pk"),
    photos.values_list("title", "owner__name"),
    photos.filter(Exists(Comment.objects.filter(photo=OuterRef("pk")))).values_list(
        "title", "likes"
    ),
    photos.filter(tags__word="blue").values_list("title", "tags__word"),
    photos.values_list("title").union(Owner.objects.values_list("name")).order_by("title"),
]


@pytest.fixture(scope="module")
def gallery(postgres_primary, django_db_blocker):
    postgres_primary.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    postgres_primary.create_database(DATABASE)
    entry = postgres_primary.django_settings(NAME=DATABASE, CONN_MAX_AGE=None)
    with django_db_blocker.unblock(), photos_in({"default": entry}):
        yield


@pytest.fixture(autouse=True)
def stocked(gallery, valkey, settings):
    settings.CACHES = {"default": valkey_cache(valkey.url)}
    settings.SCALEKIT_CACHE_MODELS = ["gallery"]
    caches["default"].clear()
    tables = [m._meta.db_table for m in (Photo.tags.through, Comment, Photo, Tag, Owner)]
    flush = connection.ops.sql_flush(no_style(), tables, reset_sequences=True, allow_cascade=True)
    connection.ops.execute_sql_flush(flush)
    shapes.stock()


def prefetched(read):
    """Return what `read` gives of photos with the tags and the owners that were prefetched."""
    lookups = ("owner", Prefetch("tags", Tag.objects.order_by("word")))
    found = list(read(photos.prefetch_related(*lookups)))
    with CaptureQueriesContext(connection) as queries:
        told = [
            (p.title, p.likes, p.owner and p.owner.name, [t.word for t in p.tags.all()])
            for p in found
        ]
    assert len(queries) == 0
    return told


def everything(read):
    return [*(list(read(query)) for query in QUERIES), prefetched(read)]


def kept(query):
    return query.cached(600)


@pytest.mark.parametrize("write", shapes.WRITES, ids=lambda write: write.__name__)
def test_no_rows_are_stale_after_a_write(write):
    before = everything(kept)
    with CaptureQueriesContext(connection) as queries:
        assert everything(kept) == before == everything(lambda query: query.cached(600))
    assert len(queries) == 0
    write()
    after = everything(lambda query: query.all())
    assert after != before
    assert everything(kept) == after


PARAMETERS = [
    1, 2**40, "1", True, 1.5, Decimal("1.5"), b"1", datetime(2026, 11, 26, tzinfo=UTC), [1, 2], ["1", "2"],
    Range(1, 5), Range(1, 6), Range(1, 5, "[]"), Range(None, 5),
]  # fmt: skip
DOCUMENTS = [{"a": 1}, {"a": "1"}, {"a": {"b": [1, None]}}, ["a" * 100 + "b"], ["a" * 100 + "c"]]


def test_every_parameter_of_postgresql_has_its_own_rows():
    queries = [photos.annotate(x=Value(value)).values("x") for value in PARAMETERS[:8]]
    queries += [photos.extra(select={"x": "%s"}, select_params=[value]) for value in PARAMETERS[8:]]
    queries += [photos.annotate(x=Value(value, JSONField())).values("x") for value in DOCUMENTS]
    places = {repr(reading_of(query).place) for query in queries}
    assert len(places) == len(PARAMETERS) + len(DOCUMENTS)
    assert places == {repr(reading_of(query.all()).place) for query in queries}


@pytest.mark.parametrize("value", DOCUMENTS, ids=lambda value: str(value)[:12])
def test_documents_are_kept_by_what_they_say(value):
    query = photos.annotate(x=Value(value, JSONField())).values("x")
    assert query.cached(60) == query.cached(60) == [{"x": value}] * 2

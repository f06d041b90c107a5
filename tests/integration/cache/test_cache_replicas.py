"""Loads from replicas on a real PostgreSQL cluster whose replay is paused: nothing stale is kept."""

from __future__ import annotations

import threading

import pytest
from django.core.cache import caches
from django.db import connections, transaction

from scalekit.cache import MISSING, cached, invalidate_models
from scalekit.core.context import unit_of_work
from scalekit.db import using_replica
from tests.cache.shop.database import photos_in, valkey_cache
from tests.cache.shop.models import Photo
from tests.db.databases import ROUTER, replica_of

pytestmark = pytest.mark.servers

DATABASE, LAG = "gallery", 3.0
loaded_from: list[str] = []


@cached(ttl=600, depends_on=[Photo])
def titles():
    photos = Photo.objects.order_by("title")
    loaded_from.append(photos.db)
    return [photo.title for photo in photos]


class OldFashionedRouter:
    """What projects had before: reads from a replica, always."""

    def db_for_read(self, model, **hints):
        return "replica_1"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, one, other, **hints):
        return True


@pytest.fixture(scope="module")
def gallery(postgres_primary, django_db_blocker):
    postgres_primary.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    postgres_primary.create_database(DATABASE)
    entries = {"default": postgres_primary.django_settings(NAME=DATABASE)}
    with django_db_blocker.unblock(), photos_in(entries):
        return postgres_primary


@pytest.fixture(params=[True], ids=["scalekit.db"])
def cluster(request, gallery, postgres_replicas, valkey, settings, django_db_blocker):
    """A primary with a replica of which `scalekit.db` knows, or with one that another router reads from."""
    replica = postgres_replicas[0]
    engine = "scalekit.db.backends.postgresql" if request.param else "django.db.backends.postgresql"
    extra = {"NAME": DATABASE, "ENGINE": engine, "CONN_MAX_AGE": 60}
    role = {"SCALEKIT": replica_of("default")} if request.param else {}
    entries = {
        "default": gallery.django_settings(**extra),
        "replica_1": replica.django_settings(**extra, **role),
    }
    settings.CACHES = {"default": valkey_cache(valkey.url)}
    settings.SCALEKIT_CACHE_MODELS = ["gallery"]
    settings.SCALEKIT_CACHE_REPLICA_LAG = LAG
    with django_db_blocker.unblock(), photos_in(entries, routers=ROUTER, empty=False):
        Photo.objects.all().delete()
        Photo.objects.create(title="old")
        replica.catch_up()
        caches["default"].clear()  # what the fixture has written demands nothing of the tests
        loaded_from.clear()
        yield replica


def wait(seconds):
    threading.Event().wait(seconds)


def visit(function=titles):
    """Call as a request of a visitor who has written nothing."""
    with unit_of_work():
        return function()


def uncached():
    return [photo.title for photo in Photo.objects.order_by("title")]


def write_in_a_request():
    with unit_of_work(), transaction.atomic():
        Photo.objects.update(title="new")


def write_in_a_request_and_autocommit():
    with unit_of_work():
        Photo.objects.update(title="new")


def write_in_a_command():
    with transaction.atomic():
        Photo.objects.update(title="new")


def write_in_a_command_and_autocommit():
    Photo.objects.update(title="new")


@pytest.mark.parametrize(
    "write",
    [
        write_in_a_request,
        write_in_a_request_and_autocommit,
        write_in_a_command,
        write_in_a_command_and_autocommit,
    ],
)
def test_a_load_is_not_behind_the_write_that_emptied_the_cache(cluster, write):
    assert visit() == ["old"]
    with cluster.replay_paused():
        write()
        assert visit(uncached) == ["old"]  # the replica shows nothing of it
        assert visit() == visit() == ["new"]
    assert loaded_from == ["replica_1", "default"]


def test_a_replica_is_loaded_from_again_afterwards(cluster):
    with cluster.replay_paused():
        write_in_a_request()
        assert visit() == ["new"]
    cluster.catch_up()
    wait(LAG)
    assert visit(titles.refresh) == ["new"]
    assert loaded_from == ["default", "replica_1"]


def test_a_request_that_has_read_from_a_lagging_replica_loads_from_the_primary(cluster):
    with cluster.replay_paused():
        write_in_a_command()
        with unit_of_work():
            assert uncached() == ["old"]
            assert titles() == ["new"]
            assert uncached() == ["old"]  # it goes on as it began
    assert loaded_from == ["default"]


def test_a_caller_that_accepts_stale_rows_keeps_none_for_others(cluster):
    with cluster.replay_paused():
        write_in_a_command()
        with unit_of_work(), using_replica():
            assert uncached() == ["old"]
            assert titles() == ["new"]


def test_a_load_writes_for_its_visitor_as_ever(cluster):
    """What a load writes is read back by the request that caused it."""

    @cached(ttl=600, depends_on=[Photo], key=lambda: 1)
    def made():
        return Photo.objects.get_or_create(title="made")[0].title

    with cluster.replay_paused():
        write_in_a_command()
        with unit_of_work():
            assert made() == "made"
            assert "made" in uncached()


def test_a_write_of_which_no_fact_tells_is_not_loaded_over_for_as_long_as_replicas_lag(cluster):
    """Another program writes, and says so by hand."""
    assert visit() == ["old"]
    with cluster.replay_paused():
        write_past_django()
        invalidate_models(Photo)
        assert visit() == ["old"]
        assert titles.peek() is MISSING
    cluster.catch_up()
    wait(LAG)
    assert visit() == visit() == ["new"]


def write_past_django():
    connections["default"].ensure_connection()
    with connections["default"].connection.cursor() as cursor:
        cursor.execute("UPDATE gallery_photo SET title = 'new'")


@pytest.mark.parametrize("cluster", [False], ids=["another router"], indirect=True)
def test_under_another_router_nothing_is_kept_for_as_long_as_replicas_lag(cluster, settings):
    settings.DATABASE_ROUTERS = [f"{__name__}.OldFashionedRouter"]
    assert visit() == ["old"]
    with cluster.replay_paused():
        write_in_a_command()
        assert visit() == ["old"]
        assert titles.peek() is MISSING
    cluster.catch_up()
    wait(LAG)
    assert visit() == visit() == ["new"]
    assert set(loaded_from) == {"replica_1"}

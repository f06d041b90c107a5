"""Values that depend on models, on a real Valkey and a real PostgreSQL: fresh after every kind of write."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.core.management.color import no_style
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F
from psycopg import IsolationLevel

from scalekit.cache import MISSING, cached, store
from tests.cache.shop import shapes
from tests.cache.shop.database import photos_in, valkey_cache
from tests.cache.shop.models import Comment, Owner, Photo, Tag
from tests.cache.shop.shapes import SHAPES, WRITES
from tests.db.databases import Interruption, rolled_back

pytestmark = pytest.mark.servers

DATABASE = "gallery"
loads: list[object] = []


@cached(ttl=600, depends_on=[Photo, Owner, Tag, Comment])
def all_of_it():
    loads.append("all")
    found = shapes.everything()
    pause()
    return found


@cached(ttl=600, depends_on=lambda pk: [(Photo, pk)])
def likes_of(pk):
    loads.append(pk)
    return Photo.objects.filter(pk=pk).values_list("likes", flat=True).first()


@cached(ttl=600, depends_on=lambda pk: [(Photo, pk)])
async def likes_of_async(pk):
    return await Photo.objects.filter(pk=pk).values_list("likes", flat=True).afirst()


@cached(ttl=600, depends_on=[Photo])
def titles():
    loads.append("titles")
    found = sorted(Photo.objects.values_list("title", flat=True))
    pause()
    return found


@cached(ttl=600, depends_on=[Photo])
def count_in_snapshot():
    return Photo.objects.using("snapshots").count()


class Pause:
    """Between the reading of a load and its storing, where a race is decided."""

    def __init__(self):
        self.armed = False
        self.reached, self.over = threading.Event(), threading.Event()

    def __call__(self):
        if self.armed:
            self.armed = False
            self.reached.set()
            assert self.over.wait(20)


pause = Pause()


@pytest.fixture(scope="module")
def gallery(postgres_primary, django_db_blocker):
    postgres_primary.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    postgres_primary.create_database(DATABASE)
    entry = postgres_primary.django_settings(NAME=DATABASE, CONN_MAX_AGE=None)
    options = {"isolation_level": IsolationLevel.REPEATABLE_READ}
    with django_db_blocker.unblock():
        with photos_in({"default": entry}):
            pass
        both = {"default": entry, "snapshots": {**entry, "OPTIONS": options}}
        with photos_in(both, empty=False):
            yield entry


@pytest.fixture(autouse=True)
def stocked(gallery, valkey, settings):
    settings.CACHES = {"default": valkey_cache(valkey.url)}
    settings.SCALEKIT_CACHE_MODELS = ["gallery"]
    caches["default"].clear()
    tables = [m._meta.db_table for m in (Photo.tags.through, Comment, Photo, Tag, Owner)]
    flush = connection.ops.sql_flush(no_style(), tables, reset_sequences=True, allow_cascade=True)
    connection.ops.execute_sql_flush(flush)
    shapes.stock()
    pause.__init__()
    loads.clear()


def in_thread(function, *args):
    """Run in a thread with connections of its own."""

    def run():
        try:
            return function(*args)
        finally:
            connections.close_all()

    executor = ThreadPoolExecutor(1)
    future = executor.submit(run)
    executor.shutdown(wait=False)
    return future


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_no_query_is_stale_after_a_write(write):
    before = [kept() for kept in SHAPES.values()]
    assert before == [kept.peek() for kept in SHAPES.values()] == shapes.everything()
    write()
    after = shapes.everything()
    assert after != before
    assert [kept() for kept in SHAPES.values()] == after


@pytest.mark.parametrize("mode", [transaction.atomic, nullcontext], ids=["atomic", "autocommit"])
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_a_load_that_a_write_races_is_not_kept(write, mode):
    pause.armed = True
    reader = in_thread(all_of_it)
    assert pause.reached.wait(20)
    with mode():
        write()
    pause.over.set()
    old = reader.result(20)
    now = shapes.everything()
    assert old != now
    assert all_of_it() == now
    assert in_thread(all_of_it).result(20) == now


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_what_is_loaded_while_a_transaction_is_open_is_not_kept(write):
    with transaction.atomic():
        write()
        old = in_thread(all_of_it).result(20)
    now = shapes.everything()
    assert old != now
    assert all_of_it() == now


def test_a_value_is_kept_again_after_a_write():
    titles()
    shapes.create()
    assert titles() == titles() == ["new", "sea", "sky"]
    assert loads == ["titles"] * 2


def test_other_rows_stay_when_one_is_written():
    sea, sky = (Photo.objects.get(title=title) for title in ("sea", "sky"))
    assert (likes_of(sea.pk), likes_of(sky.pk)) == (0, 3)
    shapes.save()
    Photo.objects.create(title="new")
    sea.tags.clear()
    Photo.objects.filter(pk=sea.pk).update(likes=5)
    assert (likes_of(sea.pk), likes_of(sky.pk)) == (5, 3)
    assert loads == [sea.pk, sky.pk, sea.pk]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_no_row_is_stale_after_a_write(write):
    keys = [*Photo.objects.values_list("pk", flat=True), 3, 4]
    before = {pk: likes_of(pk) for pk in keys}
    write()
    now = dict(Photo.objects.values_list("pk", "likes"))
    assert set(before) >= set(now)
    assert {pk: likes_of(pk) for pk in keys} == {pk: now.get(pk) for pk in keys}


def test_a_row_that_was_missing_is_found_once_it_is_there():
    assert likes_of(99) is None
    Photo.objects.create(pk=99, title="new", likes=2)
    assert likes_of(99) == 2
    following = Photo.objects.order_by("-pk").values_list("pk", flat=True)[0] + 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('gallery_photo_id_seq', %s, false)", [following])
    assert likes_of(following) is None
    assert Photo.objects.create(title="x", likes=4).pk == following
    assert likes_of(following) == 4
    assert likes_of(following + 1) is None
    Photo.objects.bulk_create([Photo(title="y", likes=6)])
    assert likes_of(following + 1) == 6


def test_a_rollback_keeps_what_was_kept():
    kept = titles()
    with rolled_back():
        shapes.create()
        assert titles() == ["new", "sea", "sky"]  # its own reads show it
    assert titles() == kept
    assert loads == ["titles"] * 2
    with transaction.atomic(), rolled_back():
        shapes.create()
    assert titles() == kept
    assert loads == ["titles"] * 2


def test_two_writers_of_one_name_and_only_one_commits():
    titles()
    begun, end = threading.Event(), threading.Event()

    def other():
        with rolled_back():
            Photo.objects.create(title="never")
            begun.set()
            assert end.wait(20)

    writer = in_thread(other)
    assert begun.wait(20)
    shapes.create()
    assert titles() == ["new", "sea", "sky"]
    end.set()
    writer.result(20)
    loads.clear()
    assert titles() == titles() == ["new", "sea", "sky"]
    assert loads == ["titles"]


def test_two_writers_of_one_name_and_the_last_commits():
    titles()
    begun, end = threading.Event(), threading.Event()

    def other():
        with transaction.atomic():
            Photo.objects.create(title="late")
            begun.set()
            assert end.wait(20)

    writer = in_thread(other)
    assert begun.wait(20)
    with rolled_back():
        shapes.create()
    assert titles() == ["sea", "sky"]
    end.set()
    writer.result(20)
    assert titles() == titles() == ["late", "sea", "sky"]


def test_a_connection_lost_in_a_commit_ends_what_it_may_have_written():
    titles()
    with pytest.raises(OperationalError):
        write_and_lose_the_connection()
    connection.close()
    loads.clear()
    assert titles() == ["sea", "sky"]
    assert loads == ["titles"]


@transaction.atomic
def write_and_lose_the_connection():
    shapes.create()
    in_thread(terminate, connection.connection.info.backend_pid).result(20)


def terminate(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


def test_a_snapshot_keeps_nothing():
    with transaction.atomic("snapshots"):
        assert count_in_snapshot() == 2
        in_thread(shapes.create).result(20)
        assert count_in_snapshot() == 2
    assert count_in_snapshot() == count_in_snapshot.peek() == 3


WRITER = Path(__file__).with_name("dying_writer.py")


@pytest.mark.parametrize("mode", ["atomic", "autocommit"])
def test_a_writer_killed_between_its_commit_and_its_release_leaves_nothing_stale(
    gallery, valkey, mode
):
    assert titles() == ["sea", "sky"]
    died = write_elsewhere(gallery, valkey, mode)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert titles.peek() is MISSING
    assert titles() == ["killed", "sea", "sky"]
    wait_for_the_hold(titles)
    assert titles() == titles.peek() == ["killed", "sea", "sky"]


def write_elsewhere(gallery, valkey, mode):
    """Write a photo in another process, which has imported no cached function."""
    command = [sys.executable, WRITER, json.dumps(gallery), valkey.url, mode]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def wait_for_the_hold(kept):
    """Ask until what is loaded is kept again."""
    tick, end = threading.Event(), threading.Event()
    timer = threading.Timer(15, end.set)
    timer.start()
    while kept.peek() is MISSING and not end.is_set():
        kept()
        tick.wait(0.1)
    timer.cancel()


def test_a_command_that_knows_no_cached_function_ends_their_values(gallery, valkey):
    titles()
    assert write_elsewhere(gallery, valkey, "command").returncode == 0
    assert titles() == ["killed", "sea", "sky"]


def test_all_names_of_a_transaction_are_one_round_trip(monkeypatch):
    asked = []
    server = store.store_of("default").server
    run = type(server).run
    monkeypatch.setattr(
        type(server), "run", lambda self, request: asked.append(request) or run(self, request)
    )
    with transaction.atomic():
        shapes.create()
        shapes.save()
        shapes.rename_related()
        before = len(asked)
    assert len(asked) - before == 1


class Counter:
    """What has been committed for certain, by the time somebody asks."""

    def __init__(self, pk):
        self.pk, self.floor, self.stale, self.reads = pk, 0, 0, 0

    def write(self, times):
        for number in range(times):
            with suppress(Interruption), transaction.atomic():
                Photo.objects.filter(pk=self.pk).update(likes=F("likes") + 1)
                likes = Photo.objects.get(pk=self.pk).likes
                if number % 3 == 0:
                    raise Interruption
            if number % 3:
                self.floor = max(self.floor, likes)
            if number % 5 == 0:
                Photo.objects.filter(pk=self.pk).update(likes=F("likes") + 1)

    def read(self, times):
        for _ in range(times):
            floor = self.floor
            self.note(likes_of(self.pk), floor)

    async def gather(self, times):
        async def one():
            floor = self.floor
            self.note(await likes_of_async(self.pk), floor)

        for _ in range(times // 5):
            await asyncio.gather(*[one() for _ in range(5)])

    def note(self, likes, floor):
        self.reads += 1
        self.stale += likes < floor


def test_nobody_who_asks_after_a_commit_gets_what_was_before_it():
    counter = Counter(Photo.objects.create(title="count").pk)
    jobs = [in_thread(counter.write, 60), in_thread(counter.write, 60)]
    jobs += [in_thread(counter.read, 150) for _ in range(3)]
    jobs += [in_thread(async_to_sync(counter.gather), 100)]
    for job in jobs:
        job.result(60)
    assert counter.floor > 60
    assert (counter.stale, counter.reads) == (0, 550)
    assert likes_of(counter.pk) == Photo.objects.get(pk=counter.pk).likes

"""When the names that a transaction writes are held, and when they end."""

from __future__ import annotations

import gc
import threading
import unittest
from contextlib import nullcontext, suppress

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.test import TestCase

from scalekit.cache import ainvalidate_tags, invalidate_models, invalidate_tags, store
from scalekit.cache.invalidation.base import is_dirty, sees_commits
from scalekit.core.events import events
from tests.cache.shop.database import files_in, photos_in
from tests.cache.shop.models import Owner, Photo, Tag
from tests.cache.shop.recorder import Recorder
from tests.db.databases import Interruption, rolled_back

pytestmark = pytest.mark.usefixtures("photos")

PHOTO = ":1:scalekit:model:gallery.photo"
TAG = ":1:scalekit:model:gallery.tag"


def test_a_commit_releases_all_names_at_once(told):
    with transaction.atomic():
        photo = Photo.objects.create(title="sea")
        Tag.objects.create(word="blue")
        photo.save()
        assert "changed" not in told.words
    assert told.words[-1:] == ["changed"]
    assert told.words.count("changed") == 1
    assert {"model:gallery.photo", "model:gallery.tag", "row:gallery.photo:1"} < told.ended


def test_a_name_is_held_before_its_first_write_and_once(told):
    with transaction.atomic():
        for title in "abc":
            Photo.objects.create(title=title)
    assert told.words == ["hold", "changed"]


def test_a_transaction_that_writes_many_rows_soon_names_them_together(told):
    photos = Photo.objects.bulk_create([Photo(title=str(n)) for n in range(400)])
    told.forget()
    with transaction.atomic():
        for photo in Photo.objects.filter(title__in=[photo.title for photo in photos]):
            photo.save()
    assert len(told.told) < 310
    assert "rows:gallery.photo" in told.ended


def test_a_rollback_ends_the_hold_and_nothing_else(told):
    with rolled_back():
        Photo.objects.create(title="sea")
    assert told.words == ["hold", "unchanged"]
    assert told.ended == set()


def test_a_rollback_to_a_savepoint_ends_what_was_written_since(told):
    with transaction.atomic():
        Tag.objects.create(word="blue")
        with rolled_back():
            Photo.objects.create(title="sea")
        assert told.words == ["hold", "hold", "unchanged"]
        assert not is_dirty([PHOTO])
        assert is_dirty([TAG])
    assert told.words[-1] == "changed"
    assert "model:gallery.photo" not in told.ended


def test_what_was_written_before_a_savepoint_ends_although_that_rolls_back(told):
    with transaction.atomic():
        Photo.objects.create(title="sea")
        with rolled_back():
            Photo.objects.create(title="sun")
    assert "model:gallery.photo" in told.ended


def test_what_a_released_savepoint_has_written_goes_with_the_outer_one(told):
    with rolled_back(), transaction.atomic():
        Photo.objects.create(title="sea")
    assert told.ended == set()
    with transaction.atomic(), transaction.atomic():
        Photo.objects.create(title="sea")
    assert "model:gallery.photo" in told.ended


def test_written_again_after_a_savepoint_rolled_back_is_held_again(told):
    with transaction.atomic():
        with rolled_back():
            Photo.objects.create(title="sea")
        Photo.objects.create(title="sea")
    assert told.words == ["hold", "unchanged", "hold", "changed"]


def test_the_names_have_ended_when_other_hooks_of_the_commit_run(told):
    seen = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.extend(told.words))
        Photo.objects.create(title="sea")
    assert seen == ["hold", "changed"]


def test_a_hook_that_fails_keeps_nothing_from_ending(told):
    def fail():
        raise Interruption

    with suppress(Interruption), transaction.atomic():
        transaction.on_commit(fail)
        Photo.objects.create(title="sea")
    assert told.words == ["hold", "changed"]


def test_own_reads_are_dirty_until_the_transaction_ends(told):
    assert not is_dirty([PHOTO])
    with transaction.atomic():
        assert not is_dirty([PHOTO])
        Photo.objects.create(title="sea")
        assert is_dirty([PHOTO, "other"])
        assert not is_dirty(["other"])
    assert not is_dirty([PHOTO])


def test_another_thread_s_transaction_is_not_ours(told):
    found = []
    with transaction.atomic():
        Photo.objects.create(title="sea")
        thread = threading.Thread(target=lambda: found.append(is_dirty([PHOTO])))
        thread.start()
        thread.join()
    assert found == [False]


def test_async_code_inside_a_transaction_is_dirty_too(told):
    async def ask():
        return is_dirty([PHOTO])

    with transaction.atomic():
        Photo.objects.create(title="sea")
        assert async_to_sync(ask)()
    assert not async_to_sync(ask)()


def test_a_thread_that_ends_in_a_transaction_ends_its_holds(told):
    def write():
        transaction.set_autocommit(True)
        block = transaction.atomic()
        block.__enter__()
        Photo.objects.create(title="sea")
        connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    gc.collect()
    assert told.words == ["hold", "unchanged"]


def test_tags_end_on_commit(told):
    with transaction.atomic():
        invalidate_tags("user:42", "user:43")
        assert told.words == ["hold"]
    assert told.ended == {"tag:user:42", "tag:user:43"}
    assert told.words == ["hold", "changed"]


def test_tags_end_at_once_outside_transactions(told):
    invalidate_tags("user:42")
    assert told.told == [("changed", {"tag:user:42"})]


def test_tags_of_a_rollback_end_since_what_was_written_under_them_may_be_kept(told):
    with rolled_back():
        Photo.objects.create(title="sea")
        invalidate_tags("user:42")
    assert told.words == ["hold", "hold", "unchanged", "changed"]
    assert told.ended == {"tag:user:42"}


def test_tags_of_a_savepoint_end_with_its_rollback(told):
    with transaction.atomic():
        with rolled_back():
            invalidate_tags("user:42")
        assert told.ended == {"tag:user:42"}


def test_a_name_that_was_held_already_ends_with_a_rollback_if_it_is_ended_by_hand(told):
    with rolled_back():
        Photo.objects.create(title="sea")
        invalidate_models(Photo)
    assert "model:gallery.photo" in told.ended


def test_tags_end_in_async_code_too(told):
    async_to_sync(ainvalidate_tags)("user:42")
    assert told.ended == {"tag:user:42"}


def test_models_and_rows_end_by_hand(told):
    invalidate_models(Photo, (Tag, 7), "gallery.owner")
    assert told.ended == {
        *("model:gallery.photo", "rows:gallery.photo"),
        *("model:gallery.tag", "row:gallery.tag:7"),
        *("model:gallery.owner", "rows:gallery.owner"),
    }
    assert len(told.told) == 1


def test_no_tags_tell_nothing(told):
    invalidate_tags()
    assert told.told == []


def test_each_database_has_its_own_transaction(tmp_path):
    files = files_in(tmp_path, "default", "other")
    files["default"]["NAME"] += ".again"
    with photos_in(files):
        told = store._stores["default"] = Recorder()
        with transaction.atomic("default"), rolled_back("other"):
            Photo.objects.using("default").create(title="sea")
            Tag.objects.using("other").create(word="blue")
    assert "model:gallery.photo" in told.ended
    assert "model:gallery.tag" not in told.ended


def test_with_autocommit_off_the_hold_ends_by_itself(told):
    transaction.set_autocommit(False)
    try:
        for title in "ab":
            Photo.objects.create(title=title)
            invalidate_tags("a")
            transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert told.words == ["hold"] * 4


def as_test_case(function):
    """Run `function` as the body of a `TestCase`'s test."""

    class Case(TestCase):
        def runTest(self):  # noqa: N802 - unittest's name
            function(self)

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert result.wasSuccessful(), [*result.errors, *result.failures]


def test_a_test_case_captures_the_release(told):
    def body(case):
        with case.captureOnCommitCallbacks(execute=True) as callbacks:
            Photo.objects.create(title="sea")
            assert is_dirty([PHOTO])
        assert len(callbacks) == 1
        assert told.words == ["hold", "changed"]
        assert not is_dirty([PHOTO])

    as_test_case(body)


def test_a_test_case_captures_the_release_of_what_it_has_written_before(told):
    def body(case):
        photo = Photo.objects.create(title="sea")
        for block in (nullcontext, transaction.atomic, transaction.atomic):
            assert is_dirty([PHOTO])
            with case.captureOnCommitCallbacks(execute=True) as callbacks, block():
                photo.save()
            assert len(callbacks) == 1
            assert not is_dirty([PHOTO])
            photo.save()

    as_test_case(body)


def test_a_test_case_that_captures_nothing_ends_nothing(told):
    def body(case):
        Photo.objects.create(title="sea")
        assert is_dirty([PHOTO])

    as_test_case(body)
    assert told.words == ["hold", "unchanged"]
    assert not is_dirty([PHOTO])


def test_only_a_snapshot_is_older_than_its_stamps(told):
    assert sees_commits()
    with transaction.atomic():
        assert not sees_commits()  # SQLite shows one moment


def test_the_transaction_of_a_test_case_is_no_snapshot(told):
    def body(case):
        assert sees_commits()
        with transaction.atomic():
            assert not sees_commits()

    as_test_case(body)


def test_an_event_tells_what_ended(told, heard):
    payloads = heard("cache_names_ended")
    with transaction.atomic():
        Owner.objects.create(name="Ann")
    assert payloads == [{"alias": "default", "names": 2}]
    assert "cache_names_ended" in events


def test_a_write_in_async_code_ends_its_names(told):
    async def write():
        await sync_to_async(Photo.objects.create)(title="sea")
        await Photo.objects.acreate(title="sun")

    async_to_sync(write)()
    assert told.words == ["hold", "changed"] * 2

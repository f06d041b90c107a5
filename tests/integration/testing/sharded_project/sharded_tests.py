from __future__ import annotations

from django.db import connections
from django.test import TestCase, TransactionTestCase

from scalekit.db.conf import schemes
from tests.db.diary.models import Entry, Sticker, Writer

SHARDS = {"shard_0", "shard_1"}


def home(key):
    return schemes["users"].shard_for(key)


def texts():
    """Return alias -> texts, as the databases themselves say."""
    found = {}
    for alias in sorted(SHARDS):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT text FROM diary_entry")
            found[alias] = sorted(row[0] for row in cursor.fetchall())
    return found


def first():
    return {
        alias: ["the first"] * sum(home(key) == alias for key in range(1, 7)) for alias in SHARDS
    }


class Written:
    def test_rows_go_to_their_shards_and_are_found_there(self):
        for key in range(1, 7):
            entry = Entry.objects.create(writer_id=key, text=f"{key}")
            assert entry._state.db == home(key)
            assert Entry.objects.get(pk=entry.pk, writer_id=key) == entry
        expected = [f"{key}" for key in range(1, 7)]
        found = Entry.objects.scatter().exclude(text="the first").order_by("writer_id")
        assert [entry.text for entry in found] == expected

    def test_nothing_of_another_test_is_there(self):
        assert not any(text.isdigit() for found in texts().values() for text in found)
        Entry.objects.create(writer_id=1, text="1")
        Entry.objects.create(writer_id=5, text="5")
        Writer.objects.create(name="Ann")


class InATransaction(Written, TestCase):
    databases = "__all__"


class SetUpOnce(TestCase):
    databases = "__all__"

    @classmethod
    def setUpTestData(cls):
        cls.entries = [Entry.objects.create(writer_id=key, text="set up") for key in range(1, 7)]

    def test_rows_of_several_shards_are_set_up_once(self):
        assert Entry.objects.scatter().filter(text="set up").count() == 6
        self.entries[0].text = "changed"
        self.entries[0].save()

    def test_and_changed_by_no_other_test(self):
        assert {Entry.objects.get(pk=entry.pk).text for entry in self.entries} == {"set up"}


class WithAFixture(TestCase):
    databases = "__all__"
    fixtures = ("diary.json",)

    def test_each_row_of_a_fixture_is_where_it_belongs(self):
        for key in range(1, 7):
            assert Entry.objects.get(writer_id=key, text="from the fixture")._state.db == home(key)
            assert Sticker.objects.filter(writer_id=key).count() == 1
        assert Writer.objects.get().name == "Ann"


class OnDefaultAlone(TestCase):
    def test_a_shard_that_the_test_does_not_name_is_not_asked(self):
        with self.assertRaisesMessage(AssertionError, "Add 'shard_"):
            Entry.objects.create(writer_id=1, text="x")
        Writer.objects.create(name="Ann")


class Flushed(Written, TransactionTestCase):
    databases = "__all__"

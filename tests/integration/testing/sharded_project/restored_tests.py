from __future__ import annotations

from django.test import TransactionTestCase
from sharded_tests import first, texts

from tests.db.diary.models import Entry


class Restored(TransactionTestCase):
    databases = "__all__"
    serialized_rollback = True

    def test_what_a_migration_wrote_is_there(self):
        assert texts() == first()
        Entry.objects.scatter().delete()

    test_before_every_test = test_what_a_migration_wrote_is_there

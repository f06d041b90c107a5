from __future__ import annotations

import unittest

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, connection, connections, transaction
from django.test import TestCase, TransactionTestCase

from scalekit.db import using_replica
from scalekit.db.exceptions import WriteOnReplica
from scalekit.testing.fakes import captured_events
from scalekit.testing.replicas import ReplicasUntestable, visible_replicas


class Visible:
    def setUp(self):
        Group.objects.create(name="written by the test")
        self.reads = self.enterContext(visible_replicas())

    def from_replicas(self):
        return self.reads["replica_1"] + self.reads["replica_2"]

    def test_a_page_reads_from_replicas_what_the_test_wrote(self):
        assert self.client.get("/names").content == b"written by the test"
        assert (self.from_replicas(), self.reads["default"]) == (1, 0)

    def test_a_request_reads_from_one_replica(self):
        self.client.force_login(User.objects.create(username="ann"))
        self.reads.clear()
        assert self.client.get("/who").content == b"ann"
        assert sorted(self.reads.values()) in ([2], [0, 2], [0, 0, 2])

    def test_reads_outside_requests_stay_on_the_primary(self):
        Group.objects.count()
        assert (self.from_replicas(), self.reads["default"]) == (0, 1)

    def test_using_replica_needs_no_request(self):
        with using_replica():
            assert Group.objects.count() == 1
        assert self.from_replicas() == 1

    def test_a_page_reads_from_the_primary_after_a_write(self):
        for page in ("/add/x", "/add-in-transaction/x2"):
            self.reads.clear()
            assert b"x" in self.client.get(page).content
            assert self.from_replicas() == 0

    def test_a_visitor_who_wrote_is_pinned(self):
        for page in ("/add/x", "/add-in-transaction/x2"):
            self.client.cookies.clear()
            assert "scalekit_pin" in self.client.get(page).cookies
            self.reads.clear()
            self.client.get("/names")
            assert (self.from_replicas(), self.reads["default"]) == (0, 1)

    def test_a_rolled_back_write_pins_nobody(self):
        response = self.client.get("/take-back/x")
        assert response.content == b"written by the test"
        assert response.cookies == {}
        self.reads.clear()
        self.client.get("/names")
        assert self.from_replicas() == 1

    def test_a_transaction_of_the_page_reads_from_the_primary(self):
        self.client.get("/within")
        assert (self.from_replicas(), self.reads["default"]) == (0, 1)

    def test_a_write_through_a_replica_fails(self):
        with pytest.raises(WriteOnReplica):
            Group.objects.using("replica_1").create(name="x")
        with pytest.raises(WriteOnReplica):
            Group.objects.using("replica_2").update(name="x")
        with pytest.raises(WriteOnReplica), transaction.atomic(using="replica_1"):
            Group.objects.using("replica_1").create(name="x")
        assert Group.objects.get().name == "written by the test"

    @unittest.skipUnless(connection.vendor == "postgresql", "other version: SQLite has no locks")
    def test_locks_through_a_replica_fail(self):
        with pytest.raises(WriteOnReplica), transaction.atomic(using="replica_1"):
            Group.objects.using("replica_1").select_for_update().get()
        for sql in ("SELECT pg_advisory_lock(1)", "SELECT nextval('auth_group_id_seq')"):
            with pytest.raises(WriteOnReplica), connections["replica_1"].cursor() as cursor:
                cursor.execute(sql)

    def test_queries_are_logged_under_the_alias_that_was_asked(self):
        with self.assertNumQueries(1, using="replica_1"), self.assertNumQueries(0):
            list(Group.objects.using("replica_1"))

    def test_server_side_cursors_of_both_do_not_meet(self):
        Group.objects.create(name="second")
        pairs = zip(
            Group.objects.iterator(1), Group.objects.using("replica_1").iterator(1), strict=True
        )
        assert sum(one == other for one, other in pairs) == 2

    def test_a_transaction_on_a_replica_is_a_savepoint_of_the_test(self):
        with transaction.atomic(using="replica_1"):
            assert Group.objects.using("replica_1").count() == 1
        with pytest.raises(IntegrityError), transaction.atomic():
            Group.objects.create(name="written by the test")
        assert Group.objects.using("replica_1").count() == 1

    def test_the_reason_can_be_asserted(self):
        with captured_events("db_read_routed") as events:
            self.client.get("/names")
        assert events.named("db_read_routed")[0]["reason"] == "balanced"

    async def test_async_pages_too(self):
        response = await self.async_client.get("/names")
        assert response.content == b"written by the test"


class InTestCase(Visible, TestCase):
    pass


class InTransactionTestCase(Visible, TransactionTestCase):
    pass


class WithoutTheHelper(TestCase):
    def test_replicas_are_hidden(self):
        with self.assertRaisesMessage(Exception, "not allowed"):
            Group.objects.using("replica_1").count()
        assert self.client.get("/names").content == b""

    def test_nothing_is_left_behind(self):
        before = connections["replica_1"]
        with visible_replicas("replica_1") as reads:
            self.client.get("/names")
        assert connections["replica_1"] is before
        assert reads["replica_1"] == 1

    @visible_replicas()
    def test_the_decorator_shows_them(self):
        assert Group.objects.using("replica_1").count() == 0

    def test_a_name_that_is_no_replica_is_refused(self):
        with (
            self.assertRaisesMessage(ReplicasUntestable, "REPLICA_OF"),
            visible_replicas("default"),
        ):
            pass

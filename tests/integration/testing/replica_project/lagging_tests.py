from __future__ import annotations

import unittest

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction
from django.test import TestCase, TransactionTestCase

from scalekit.db import using_replica
from scalekit.testing.replicas import ReplicasUntestable, lagging_replicas, visible_replicas

POSTGRESQL = connection.vendor == "postgresql"


class Lagging:
    def setUp(self):
        Group.objects.create(name="before")

    def test_replicas_show_what_was_there_before_the_block(self):
        with lagging_replicas(), using_replica():
            Group.objects.create(name="inside")
            assert [group.name for group in Group.objects.all()] == ["before"]
        with visible_replicas(), using_replica():
            assert Group.objects.count() == 2

    def test_visitors_see_what_they_wrote_and_others_do_not_yet(self):
        with lagging_replicas():
            self.client.get("/add/x")
            assert self.client.get("/names").content == b"before,x"
            assert self.client_class().get("/names").content == b"before"

    def test_a_login_of_before_holds(self):
        self.client.force_login(User.objects.create(username="ann"))
        with lagging_replicas():
            assert self.client.get("/who").content == b"ann"

    def test_one_replica_may_lag_alone(self):
        with lagging_replicas("replica_2"):
            Group.objects.create(name="inside")
            counts = [Group.objects.using(f"replica_{i}").count() for i in (1, 2)]
        assert counts == [2, 1]

    def test_reads_are_counted(self):
        with lagging_replicas() as reads:
            self.client.get("/names")
        assert reads["default"] == 0
        assert reads["replica_1"] + reads["replica_2"] == 1

    def test_a_lagging_replica_refuses_writes_and_takes_savepoints(self):
        with lagging_replicas():
            with pytest.raises(DatabaseError):
                Group.objects.using("replica_1").create(name="x")
            with transaction.atomic(using="replica_1"):
                assert Group.objects.using("replica_1").count() == 1


@unittest.skipIf(POSTGRESQL, "other version: the next class")
class InTestCase(Lagging, TestCase):
    pass


@unittest.skipUnless(POSTGRESQL, "other version: the class above")
class InTestCaseOfPostgreSQL(TestCase):
    def test_it_is_refused_and_the_error_says_what_to_type(self):
        with (
            self.assertRaisesMessage(ReplicasUntestable, "TransactionTestCase"),
            lagging_replicas(),
        ):
            pass


class InTransactionTestCase(Lagging, TransactionTestCase):
    pass


@pytest.mark.django_db
def test_the_fixture_makes_replicas_visible(scalekit_replicas, client):
    client.get("/names")
    assert scalekit_replicas["default"] == 0
    assert sum(scalekit_replicas.values()) == 1


@pytest.mark.django_db(transaction=True)
def test_the_fixture_works_without_a_transaction(scalekit_replicas, client):
    client.get("/names")
    assert scalekit_replicas["default"] == 0

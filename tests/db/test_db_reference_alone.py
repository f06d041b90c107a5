"""Reference models where no shard has copies: before there are shards, and where Citus spreads the rows."""

from __future__ import annotations

import unittest
from contextlib import contextmanager
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps

from scalekit.db.checks import check_reference_models
from scalekit.db.sharding.reference.checks import faults_of_publication
from scalekit.db.sharding.reference.fanout import by_replication, shards
from tests.db.databases import create_tables, databases, sqlite


@pytest.fixture
def unsharded_market(tmp_path):
    apps = [*settings.INSTALLED_APPS, "tests.db.market"]
    with (
        override_settings(INSTALLED_APPS=apps),
        databases({"default": sqlite(tmp_path / "default.sqlite3")}),
    ):
        create_tables("default", app="market")  # and no tables of the library
        yield


def test_without_shards_a_write_costs_what_that_of_an_ordinary_model_does(unsharded_market):
    from tests.db.market.models import Currency, Region

    with isolate_apps("tests.db.market"):

        class Plain(models.Model):
            name = models.CharField(max_length=20)

            class Meta:
                app_label = "market"
                db_table = Region._meta.db_table

    def statements(model):
        with CaptureQueriesContext(connections["default"]) as queries:
            row = model.objects.create(name="north")
            row.name = "south"
            row.save()
            model.objects.filter(pk=row.pk).update(name="west")
            model.objects.bulk_create([model(name="east")])
        return [query["sql"] for query in queries]

    plain = statements(Plain)
    Region.objects.all().delete()
    assert len(statements(Region)) == len(plain)
    assert Currency.objects.create(code="EUR").delete() == (1, {"market.Currency": 1})


def test_without_shards_its_migrations_are_complete(unsharded_market):
    """What a migration says of it makes the same model again, and writes there."""
    from tests.db.market.models import Region

    state = ProjectState()
    state.add_model(ModelState.from_model(Region))
    historical = state.apps.get_model("market", "Region")
    row = historical.objects.create(name="north")
    row.refresh_from_db()
    again = ProjectState()
    again.add_model(ModelState.from_model(Region))
    assert MigrationAutodetector(state, again)._detect_changes() == {}


def test_without_shards_a_test_case_is_as_ever(unsharded_market):
    from tests.db.market.models import Currency

    class Case(TestCase):
        def runTest(self):  # noqa: N802 - unittest's name
            with self.assertNumQueries(1):
                Currency.objects.create(code="EUR")

    result = unittest.TestResult()
    unittest.TestSuite([Case()]).run(result)
    assert not [*result.errors, *result.failures]
    assert not Currency.objects.exists()


CITUS = "scalekit.db.sharding.citus.Citus"


@contextmanager
def on_citus(coordinator, **extra):
    """Servers that are not there: whoever asks one fails."""
    server = {"ENGINE": "django.db.backends.postgresql", "NAME": "none", "HOST": "127.0.0.1"}
    entries = {"default": {**server, "PORT": 1}, "citus": {**server, "PORT": 1}}
    group = {"users": {"BACKEND": CITUS, "OPTIONS": {"coordinator": coordinator}}}
    apps = [*settings.INSTALLED_APPS, "tests.db.market"]
    with (
        override_settings(INSTALLED_APPS=apps),
        databases(entries, SCALEKIT_DB_SHARDING=group, **extra),
    ):
        yield


def test_beside_citus_the_outbox_carries_the_rows():
    with on_citus("citus"):
        assert shards() == ["citus"]
        assert not by_replication()
        assert check_reference_models() == []


def test_replication_past_citus_is_refused_by_a_check():
    with on_citus("citus", SCALEKIT_DB_REFERENCE_FANOUT="replication"):
        assert not by_replication()
        assert [fault.id for fault in check_reference_models()] == ["scalekit.db.E055"]


@pytest.mark.parametrize("action", ["setup", "status", "verify", "repair", "drop"])
def test_where_citus_is_default_there_is_nothing_to_carry(action):
    out = StringIO()
    with on_citus("default"):
        call_command("reference_tables", action, stdout=out)
        assert list(faults_of_publication()) == []
    assert "nothing to do" in out.getvalue()

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db import connections
from django.test import override_settings

from scalekit.queue.database_checks import database_flaws
from scalekit.queue.exceptions import DependencyMissing
from scalekit.queue.frameworks import framework
from tests.queue.conftest import MEMORY, TASKS

pytestmark = pytest.mark.django_db  # Django asks the database whether it knows JSON

REDIS = "scalekit.queue.brokers.redis.RedisBroker"


def problems():
    found = [m for m in run_checks() if str(m.id).startswith("scalekit.queue.")]
    return {message.id: f"{message.msg} {message.hint}" for message in found}


def test_nothing_configured_is_fine():
    assert problems() == {}


@override_settings(TASKS=TASKS, SCALEKIT_QUEUE_BROKER=MEMORY)
def test_well_configured_is_fine():
    assert problems() == {}


@override_settings(TASKS={"mail": {"BACKEND": "django.core.nothing"}}, SCALEKIT_QUEUE_BROKER={})
def test_backends_of_others_are_not_our_business():
    from scalekit.queue.checks import check_queue

    assert check_queue() == []


@override_settings(TASKS=TASKS)
def test_backend_without_a_broker_says_what_to_write():
    assert "SCALEKIT_QUEUE_BROKER = {" in problems()["scalekit.queue.E001"]


@override_settings(TASKS=TASKS, SCALEKIT_QUEUE_BROKER=MEMORY)
def test_django_without_a_tasks_framework_is_told_what_to_install(monkeypatch):
    def missing():
        raise DependencyMissing

    monkeypatch.setattr("scalekit.queue.checks.framework", missing)
    assert "pip install django-tasks" in problems()["scalekit.queue.E005"]


@override_settings(SCALEKIT_QUEUE_BROKER={"default": {"BACKEND": REDIS}})
def test_broker_without_its_url_is_named():
    assert "url" in problems()["scalekit.queue.E002"]


@override_settings(SCALEKIT_QUEUE_BROKER={"default": {"BACKEND": REDIS, "OPTIONS": {"url": "x"}}})
def test_broker_with_a_url_that_is_none_is_named():
    assert "url" in problems()["scalekit.queue.E002"].lower()


@override_settings(
    TASKS={"default": {**TASKS["default"], "QUEUES": ["default", "two words"]}},
    SCALEKIT_QUEUE_BROKER=MEMORY,
)
def test_queue_that_dramatiq_cannot_name():
    assert "two words" in problems()["scalekit.queue.E003"]


@override_settings(TASKS=TASKS, SCALEKIT_QUEUE_BROKER=MEMORY, INSTALLED_APPS=[])
def test_backend_whose_app_is_not_installed():
    (message,) = framework().task_backends["default"].check()
    assert message.id == "scalekit.queue.E004"


@override_settings(SCALEKIT_QUEUE_BROKER={**MEMORY, "spare": MEMORY["default"]})
def test_broker_that_nothing_reads():
    assert "spare" in problems()["scalekit.queue.W001"]


@override_settings(SCALEKIT_QUEUE_MAX_RETRIES=-1)
def test_setting_out_of_its_range_is_refused():
    assert any(m.id == "scalekit.core.E002" for m in run_checks())


@pytest.fixture
def flaws_of(monkeypatch):
    """Give a function that finds the flaws of a database in which jobs are stored."""

    def find(host, engine="django.db.backends.postgresql", *, is_used=True, **options):
        entry = {"ENGINE": engine, "NAME": "jobs", "HOST": host, "OPTIONS": options}
        monkeypatch.setitem(connections.settings, "default", entry)
        return [f"{flaw.id} {flaw.msg} {flaw.hint}" for flaw in database_flaws(is_used=is_used)]

    return find


@pytest.mark.parametrize("host", ["db.internal", "10.0.0.7", "pg-1,pg-2", "localhost,pg-2"])
def test_database_whose_end_a_worker_would_not_notice_is_named_with_what_it_lacks(flaws_of, host):
    [flaw] = flaws_of(host, connect_timeout=2)
    assert "scalekit.queue.W002 DATABASES['default']" in flaw
    assert "no keepalives_idle, tcp_user_timeout in" in flaw
    assert '"tcp_user_timeout": 10000' in flaw


def test_postgis_is_a_postgresql(flaws_of):
    assert len(flaws_of("db.internal", engine="django.contrib.gis.db.backends.postgis")) == 1


def test_database_whose_waits_have_an_end_is_fine(flaws_of):
    bounds = {"connect_timeout": 2, "keepalives_idle": 5, "tcp_user_timeout": 10000}
    assert flaws_of("db.internal", **bounds) == []


@pytest.mark.parametrize(
    "host", ["", "/var/run/postgresql", "@pg", "localhost", "127.0.0.1", "::1"]
)
def test_database_on_this_machine_cannot_be_cut_off(flaws_of, host):
    assert flaws_of(host) == []


def test_waits_of_a_database_are_not_our_business_while_there_is_no_queue(flaws_of):
    assert flaws_of("db.internal", is_used=False) == []


def test_engine_of_another_kind_has_no_such_options(flaws_of):
    assert flaws_of("db.internal", engine="django.db.backends.mysql") == []

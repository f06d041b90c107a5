from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from scalekit.queue.exceptions import DependencyMissing
from tests.queue.sample_tasks import shout

WITHOUT = """
import sys
sys.modules["dramatiq"] = sys.modules["redis"] = None
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["scalekit.queue"], {settings})
django.setup()
from django.core.checks import run_checks
print([m.id for m in run_checks()], [m.msg for m in run_checks()])
{then}
"""


def without_dramatiq(settings="", then=""):
    code = WITHOUT.format(settings=settings, then=then)
    argv = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_app_with_nothing_configured_needs_no_dramatiq():
    assert without_dramatiq() == "[] []\n"


def test_task_needs_no_dramatiq():
    assert "function" in without_dramatiq(then="from scalekit.queue import task; print(task)")


def test_missing_dramatiq_is_named_with_the_line_to_type():
    broker = '{"default": {"BACKEND": "scalekit.queue.brokers.redis.RedisBroker"}}'
    output = without_dramatiq(f"SCALEKIT_QUEUE_BROKER={broker}")
    assert "scalekit.queue.E002" in output
    assert 'pip install "django-scalekit[queue]"' in output


def test_import_of_nothing_known_is_an_attribute_error():
    import scalekit.queue

    with pytest.raises(AttributeError, match="nonsense"):
        scalekit.queue.nonsense  # noqa: B018 - the access is what is tested


def test_dependency_missing_is_an_import_error():
    assert issubclass(DependencyMissing, ImportError)


@override_settings(SCALEKIT_QUEUE_BROKER={})
def test_workers_without_a_broker_say_so():
    with pytest.raises(CommandError, match="no such alias"):
        call_command("run_workers")


def test_workers_of_a_queue_that_is_misspelt_say_which_there_are(broker):
    with pytest.raises(CommandError, match="no queue nowhere"):
        call_command("run_workers", "--single", "--queues", "nowhere")


@pytest.fixture
def not_migrated(db):
    """Take the table of jobs away for the test."""
    rename = "ALTER TABLE {} RENAME TO {}"
    with connection.cursor() as cursor:
        cursor.execute(rename.format("scalekit_queue_taskrecord", "elsewhere"))
        yield
        if not connection.features.can_rollback_ddl:
            cursor.execute(rename.format("elsewhere", "scalekit_queue_taskrecord"))


@pytest.mark.usefixtures("not_migrated")
@pytest.mark.parametrize("command", [["run_workers"], ["run_workers", "--single"], ["run_relay"]])
def test_a_database_that_was_not_migrated_is_named_with_the_command_to_type(broker, command):
    with pytest.raises(CommandError, match="migrate scalekit_queue --database=default"):
        call_command(*command)


def test_help_says_how_it_ends(capsys):
    with pytest.raises(SystemExit):
        call_command("run_workers", "--help")
    assert "manage.py run_workers --queues mail slow" in capsys.readouterr().out


def test_actor_of_a_taken_name_is_refused(broker):
    from scalekit.queue.actors import QueueActor

    shout.send("first")
    twin = QueueActor.__new__(QueueActor)
    twin.__dict__.update(shout.__dict__)
    with pytest.raises(ValueError, match="actor_name of its own"):
        twin.send("second")


def test_actor_with_an_option_that_nothing_reads_is_refused(broker, monkeypatch):
    monkeypatch.setitem(shout.options, "max_retreats", 3)
    with pytest.raises(ValueError, match="max_retreats"):
        shout.send("hey")

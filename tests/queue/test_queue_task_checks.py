"""The system checks of tasks."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from django.test import override_settings

from scalekit.queue.checks import check_queue
from tests.queue.conftest import MEMORY, TASKS

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("with_a_backend"),
]


@pytest.fixture
def with_a_backend(settings):
    settings.TASKS, settings.SCALEKIT_QUEUE_BROKER = TASKS, MEMORY


def problems():
    return {message.id: f"{message.msg} {message.hint}" for message in check_queue()}


@pytest.mark.parametrize("name", ["mail.high", "mail.low"])
def test_queue_with_the_name_of_a_lane(settings, name):
    settings.TASKS = {"default": {**TASKS["default"], "QUEUES": ["mail", name]}}
    assert f"{name!r}, which is the name of a lane of 'mail'" in problems()["scalekit.queue.E010"]


@override_settings(SCALEKIT_QUEUE_MIN_BACKOFF=60, SCALEKIT_QUEUE_MAX_BACKOFF=30)
def test_backoff_whose_limit_is_below_its_start():
    assert "every retry comes after 30 seconds" in problems()["scalekit.queue.W010"]


@pytest.fixture
def app(settings, tmp_path, monkeypatch):
    """Give a function that installs an app whose module `tasks` has this code."""

    def install(code):
        package = tmp_path / "checked_shop"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "tasks.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "checked_shop"]

    yield install
    for name in [name for name in sys.modules if name.startswith("checked_shop")]:
        del sys.modules[name]


def test_task_with_a_wrong_keyword_is_named_with_what_to_write(app):
    app(
        "from __future__ import annotations\n"
        "from scalekit.queue import task\n"
        "@task(unique_for='1h')\n"
        "def mail(): ...\n"
    )
    problem = problems()["scalekit.queue.E011"]
    assert "checked_shop.tasks.mail: unique_for = '1h': expected a number of seconds" in problem


def test_sound_tasks_are_fine(app):
    app("from scalekit.queue import task\n@task(unique_for=60)\ndef mail(): ...\n")
    assert problems() == {}
    assert isinstance(sys.modules["checked_shop.tasks"], ModuleType)

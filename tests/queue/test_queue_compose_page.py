"""The code of docs/howto/compose_jobs.md works as it stands, from top to bottom."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scalekit.queue.models import TaskRecord
from tests.queue.playing import succeed, waiting

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "compose_jobs.md"


@pytest.fixture
def page(broker, db, monkeypatch, capsys):
    """Give the page as a module, run up to its end."""
    module = ModuleType("compose_jobs_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), vars(module))
    return module


def test_group_of_the_page_is_enqueued_and_shown(page, capsys):
    assert len(waiting("resize")) == 2
    assert (page.found.size, page.found.pending, page.same) == (2, 2, page.found)


def test_pipeline_of_the_page_publishes_what_was_resized(page):
    TaskRecord.objects.all().delete()
    page.make_thumbnails(3, [7, 8], 1)
    for row in waiting("resize"):
        succeed(row, value=page.resize.func(*row.args))
    files = ["7-200.jpg", "7-800.jpg", "8-200.jpg", "8-800.jpg"]
    assert [row.args for row in waiting("publish")] == [[files, 3]]


def test_job_that_the_page_cancels_has_failed(page):
    assert TaskRecord.objects.get(path__endswith="fetch").status == "FAILED"


def test_progress_of_the_page_is_shown(page):
    result = page.load.enqueue(400)
    assert page.show(result) == "not begun"
    TaskRecord.objects.filter(pk=result.id).update(
        progress={"done": 100, "total": 400, "message": "Loading"}
    )
    assert page.show(result) == "25% Loading"

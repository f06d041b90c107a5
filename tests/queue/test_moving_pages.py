"""The pages about moving from other queues: what they say comes after, runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from scalekit.queue import workers
from scalekit.testing.queue import captured_jobs

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PAGES = ["move_from_celery.md", "move_from_django_dramatiq.md"]


def code_of(page):
    """Return the blocks of a page, unindented."""
    found = re.findall(
        r"^( *)```python\n(.*?)^ *```", (HOWTO / page).read_text(), re.MULTILINE | re.DOTALL
    )
    return [re.sub(f"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def after(page):
    (block,) = [b for b in code_of(page) if "from scalekit" in b and "def " in b]
    return block


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_python(page):
    for block in code_of(page):
        ast.parse(block)


@pytest.fixture
def names(monkeypatch, broker):
    """Give a function that runs a block as if it were the module of an app."""
    import sys
    from types import ModuleType

    before = list(workers.actors)

    def run(source):
        module = ModuleType("shop_tasks")
        monkeypatch.setitem(sys.modules, "shop_tasks", module)
        exec(compile(source, "shop_tasks", "exec", dont_inherit=True), vars(module))
        return module

    yield run
    workers.actors[:] = before


def test_a_task_that_came_from_celery_leaves_with_its_transaction(names, db):
    module = names(after("move_from_celery.md"))
    with captured_jobs() as jobs:
        result = module.join("ada")
    assert [(job.task, job.id) for job in jobs] == [("shop_tasks.welcome", result.id)]


def test_an_actor_stays_and_a_task_stands_beside_it(names, db):
    module = names(after("move_from_django_dramatiq.md"))
    with captured_jobs() as jobs:
        module.order(7)
    assert [job.task for job in jobs] == ["remind", "shop_tasks.send_invoice"]
    assert jobs[0].queue_name == "mail"

"""The tests of a project with replicas, run as its author would: by pytest and by Django's runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.testing.projects import DJANGO, PYTEST, write_snippets

PROJECT = Path(__file__).parent / "replica_project"
RUNNERS = {
    "pytest": [*PYTEST, "-o", "python_files=*_tests.py"],
    "django": [*DJANGO, "-p", "visible_tests.py"],
}


@pytest.mark.parametrize("runner", RUNNERS)
def test_replicas_can_be_tested_on_sqlite(passes, runner):
    passes(RUNNERS[runner])


@pytest.mark.servers
@pytest.mark.parametrize("runner", RUNNERS)
def test_replicas_can_be_tested_on_postgresql(passes, postgres_primary, runner):
    server = postgres_primary
    passes(RUNNERS[runner], DATABASE_PORT=str(server.port), DATABASE_PASSWORD=server.password)


def test_the_how_to_s_snippets_run(passes, tmp_path):
    for name in ("settings.py", "urls.py"):
        (tmp_path / name).write_text((PROJECT / name).read_text())
    write_snippets("test_with_replicas.md", tmp_path)
    passes(PYTEST, tmp_path)

"""The tests of a project with jobs, run as its author would: by pytest and by Django's runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.testing.projects import DJANGO, PYTEST, write_snippets

PROJECT = Path(__file__).parent / "jobs_project"


def test_jobs_can_be_tested_without_any_server(passes):
    passes([*DJANGO, "-p", "*_tests.py"])


@pytest.mark.servers
def test_jobs_can_be_tested_on_postgresql_and_by_a_worker_process(passes, postgres_primary, valkey):
    server = postgres_primary
    passes(
        [*PYTEST, "capture_tests.py", "inline_tests.py", "worker_tests.py"],
        DATABASE_PORT=str(server.port),
        DATABASE_PASSWORD=server.password,
        QUEUE_URL=valkey.url,
    )


@pytest.mark.servers
def test_the_how_to_s_snippets_run(passes, tmp_path, postgres_primary, valkey):
    for path in PROJECT.glob("**/*.py"):
        if not path.name.endswith("_tests.py"):
            copy = tmp_path / path.relative_to(PROJECT)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(path.read_text())
    write_snippets("test_jobs.md", tmp_path)
    passes(
        PYTEST,
        tmp_path,
        DATABASE_PORT=str(postgres_primary.port),
        DATABASE_PASSWORD=postgres_primary.password,
        QUEUE_URL=valkey.url,
    )

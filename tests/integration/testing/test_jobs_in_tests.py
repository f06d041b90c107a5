"""The tests of a project with jobs, run as its author would: by pytest and by Django's runner."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "jobs_project"
ROOT = PROJECT.parents[3]
PAGE = ROOT / "docs" / "howto" / "test_jobs.md"
PYTEST = ["-m", "pytest", "-c", "/dev/null", "-W", "error", "-p", "scalekit.testing.plugin"]
PYTEST += ["-p", "pytest_django.plugin", "-p", "no:cacheprovider", "--rootdir", "."]
DJANGO = ["-W", "error", "-m", "django", "test", "--shuffle"]
QUIET = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def passes(environment):
    def passes(arguments, project=PROJECT, **extra):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=project,
            env={**environment, "DJANGO_SETTINGS_MODULE": "settings", **QUIET, **extra},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return passes


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
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    for path in PROJECT.glob("**/*.py"):
        if not path.name.endswith("_tests.py"):
            copy = tmp_path / path.relative_to(PROJECT)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(path.read_text())
    for number, snippet in enumerate(snippets):
        (tmp_path / f"test_snippet_{number}.py").write_text(snippet)
    passes(
        PYTEST,
        tmp_path,
        DATABASE_PORT=str(postgres_primary.port),
        DATABASE_PASSWORD=postgres_primary.password,
        QUEUE_URL=valkey.url,
    )

"""The tests of a project with replicas, run as its author would: by pytest and by Django's runner."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "replica_project"
ROOT = PROJECT.parents[3]
PAGE = ROOT / "docs" / "howto" / "test_with_replicas.md"
PYTEST = ["-m", "pytest", "-c", "/dev/null", "-W", "error", "-p", "scalekit.testing.plugin"]
PYTEST += ["-p", "pytest_django.plugin"]
QUIET = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PYTEST += ["-p", "no:cacheprovider", "--rootdir", "."]
RUNNERS = {
    "pytest": [*PYTEST, "-o", "python_files=*_tests.py"],
    "django": ["-W", "error", "-m", "django", "test", "-p", "visible_tests.py", "--shuffle"],
}


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


@pytest.mark.parametrize("runner", RUNNERS)
def test_replicas_can_be_tested_on_sqlite(passes, runner):
    passes(RUNNERS[runner])


@pytest.mark.servers
@pytest.mark.parametrize("runner", RUNNERS)
def test_replicas_can_be_tested_on_postgresql(passes, postgres_primary, runner):
    server = postgres_primary
    passes(RUNNERS[runner], DATABASE_PORT=str(server.port), DATABASE_PASSWORD=server.password)


def test_the_how_to_s_snippets_run(passes, tmp_path):
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    for name in ("settings.py", "urls.py"):
        (tmp_path / name).write_text((PROJECT / name).read_text())
    for number, snippet in enumerate(snippets):
        (tmp_path / f"test_snippet_{number}.py").write_text(snippet)
    passes(PYTEST, tmp_path)

"""The tests of a project with shards, run as its author would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "sharded_project"
DJANGO = ["-W", "error", "-m", "django", "test", "-p", "sharded_tests.py"]
PYTEST = ["-m", "pytest", "-c", "/dev/null", "-W", "error", "-p", "pytest_django.plugin"]
PYTEST += ["-p", "no:cacheprovider", "--rootdir", ".", "-o", "python_files=*_tests.py"]
RUNNERS = {
    "django": [*DJANGO, "--shuffle", "--parallel=2"],
    "django restores": [*DJANGO, "-p", "restored_tests.py"],
    "pytest": PYTEST,
}


@pytest.fixture
def passes(environment):
    def passes(arguments, **extra):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env={
                **environment,
                "DJANGO_SETTINGS_MODULE": "settings",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                **extra,
            },
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return passes


@pytest.mark.parametrize("runner", RUNNERS)
def test_shards_can_be_tested_on_sqlite(passes, runner):
    passes(RUNNERS[runner])


@pytest.mark.servers
def test_shards_can_be_tested_on_postgresql_and_its_databases_kept(passes, postgres_primary):
    server = postgres_primary
    where = {"DATABASE_PORT": str(server.port), "DATABASE_PASSWORD": server.password}
    passes([*DJANGO, "--keepdb"], **where)
    passes([*DJANGO, "--keepdb", "--parallel=2"], **where)

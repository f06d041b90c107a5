"""Django's own tests of databases pass with scalekit's router and a replica, as they do without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = ["multiple_database", "basic", "queries", "transactions"]
ALL = 700  # tests there are at least

# What may fail, and why. Hidden replicas are what a project's tests meet; visible ones answer reads.
EXPECTED = {
    "hidden": set(),
    "visible": {
        # Asserts that a manager's `db` is "default", which is what a router is there to change.
        "multiple_database.tests.QueryTestCase.test_db_selection",
    },
}


def run(django_tests, tmp_path, **extra):
    """Run the suites in a process of their own; return their report."""
    report = tmp_path / "report.json"
    path = os.pathsep.join([str(HERE.parents[2]), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDEVMODE"}
    done = subprocess.run(
        [sys.executable, "runtests.py", "--settings=suite_settings", "--parallel=1", *SUITES],
        cwd=django_tests,
        env={**environment, "PYTHONPATH": path, "SUITE_REPORT": str(report), **extra},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return json.loads(report.read_text()) | {"output": done.stderr}


def judge(report, replicas):
    assert report["run"] > ALL
    assert set(report["failed"]) == EXPECTED[replicas], report["output"]
    assert (report["from_replica"] > ALL / 2) == (replicas == "visible")


@pytest.mark.parametrize("replicas", EXPECTED)
def test_suites_pass_on_sqlite(django_tests, tmp_path, replicas):
    judge(run(django_tests, tmp_path, SUITE_REPLICAS=replicas), replicas)


@pytest.mark.servers
@pytest.mark.parametrize("replicas", EXPECTED)
def test_suites_pass_on_postgresql(django_tests, tmp_path, scalekit_topology, replicas):
    server = scalekit_topology.postgres(f"suites_{replicas}")
    access = {"DATABASE_PORT": str(server.port), "DATABASE_PASSWORD": server.password}
    try:
        judge(run(django_tests, tmp_path, SUITE_REPLICAS=replicas, **access), replicas)
    finally:
        server.stop()

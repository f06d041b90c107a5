"""Django's own tests of the Tasks framework pass on our backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django import VERSION

HERE = Path(__file__).parent
OPTIONS = ("--settings=task_suite_settings", "--parallel=1", "tasks")


# What is left out, and why.
DUMMY, IMMEDIATE = "tasks.test_dummy_backend", "tasks.test_immediate_backend"
COMMITTING = f"{IMMEDIATE}.ImmediateBackendTransactionTestCase"
LEFT_OUT = {
    # They change a result in the memory of Django's dummy; ours lies in the database.
    f"{DUMMY}.DummyBackendTestCase.test_refresh_result",
    f"{DUMMY}.DummyBackendTestCase.test_refresh_result_async",
    "tasks.test_tasks.TaskTestCase.test_refresh_result",
    "tasks.test_tasks.TaskTestCase.test_refresh_result_async",
    # They assert that the backend cannot do what ours can.
    f"{IMMEDIATE}.ImmediateBackendTestCase.test_cannot_get_result",
    f"{IMMEDIATE}.ImmediateBackendTestCase.test_cannot_refresh_result",
    f"{IMMEDIATE}.ImmediateBackendTestCase.test_cannot_pass_run_after",
    # It asserts that a job runs before its transaction has committed.
    f"{COMMITTING}.test_doesnt_wait_until_transaction_commit_by_default",
    # It presses Ctrl-C in the thread that runs the job; in a worker's thread that is a failure.
    f"{IMMEDIATE}.ImmediateBackendTestCase.test_throws_keyboard_interrupt",
}
UNSAFE = {"DJANGO_ALLOW_ASYNC_UNSAFE": "1"}  # coroutines of the tests look into the dummy's memory
ALL = 70  # tests there are at least, in the oldest Django that has them


@pytest.mark.skipif(VERSION < (6,), reason="other version: Django has no Tasks framework")
def test_suite_of_tasks_passes_on_our_backend(django_tests, tmp_path):
    report = tmp_path / "report.json"
    path = os.pathsep.join([str(HERE.parents[2]), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDEVMODE"}
    done = subprocess.run(
        [sys.executable, "runtests.py", *OPTIONS],
        cwd=django_tests,
        env={**environment, "PYTHONPATH": path, "SUITE_REPORT": str(report), **UNSAFE},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert result["run"] > ALL
    assert set(result["failed"]) <= LEFT_OUT, done.stderr

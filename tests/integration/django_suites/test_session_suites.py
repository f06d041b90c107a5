"""Django's own tests of what lives on sessions pass on each of our engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = ["sessions_tests", "csrf_tests", "messages_tests", "test_client", "test_client_regress"]
AUTH = ("admin_multidb", "auth_backends", "basic", "decorators", "forms", "login", "middleware")
AUTH = (*AUTH, "mixins", "models", "remote_user", "signals", "templates", "tokens", "views")
OPTIONS = ("--settings=session_suite_settings", "--parallel=1")
ALL = 1700  # tests there are at least

# What may fail, and why.
READS_DJANGO_S_TABLE = "sessions_tests.tests.SessionMiddlewareTests.test_empty_session_saved"
EXPECTS_A_QUERY = (
    "auth_tests.test_middleware.TestLoginRequiredMiddleware."
    "test_protected_view_logged_in_performance"
)
EXPECTED = {
    "redis": {READS_DJANGO_S_TABLE, EXPECTS_A_QUERY},
    "database": {READS_DJANGO_S_TABLE},
    "hybrid": {READS_DJANGO_S_TABLE},
}


@pytest.mark.servers
@pytest.mark.parametrize("engine", EXPECTED)
def test_suites_pass_on_our_session_engines(django_tests, tmp_path, valkey, engine):
    report = tmp_path / "report.json"
    path = os.pathsep.join([str(HERE.parents[2]), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDEVMODE"}
    auth = [f"auth_tests.test_{name}" for name in AUTH]
    done = subprocess.run(
        [sys.executable, "runtests.py", *OPTIONS, *SUITES, *auth],
        cwd=django_tests,
        env={
            **environment,
            "PYTHONPATH": path,
            "SUITE_REPORT": str(report),
            "SUITE_ENGINE": f"scalekit.sessions.{engine}",
            "SUITE_REDIS": valkey.url,
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert result["run"] > ALL
    assert set(result["failed"]) <= EXPECTED[engine], done.stderr

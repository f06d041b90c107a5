from __future__ import annotations

import subprocess
import sys

import pytest

TESTS = """
def test_session(valkey): assert valkey.running
def test_fresh(scalekit_servers): assert scalekit_servers.valkey().running
def test_without(): pass
"""


@pytest.fixture
def run_pytest(tmp_path, environment):
    def run_pytest(**extra):
        (tmp_path / "test_user.py").write_text(TESTS)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-rs",
            "-c",
            "/dev/null",
            "--rootdir",
            str(tmp_path),
        ]
        plugins = ["-p", "scalekit.testing.plugin"]
        environment.pop("CI", None)
        return subprocess.run(
            [*command, *plugins, str(tmp_path)],
            env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **extra},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run_pytest


def test_fixtures_give_running_servers(run_pytest):
    assert "3 passed" in run_pytest().stdout


def test_missing_program_skips_with_one_line(run_pytest, tmp_path):
    done = run_pytest(SCALEKIT_VALKEY_BIN=str(tmp_path))
    assert "1 passed, 2 skipped" in done.stdout
    assert "SCALEKIT_VALKEY_BIN is" in done.stdout
    assert done.returncode == 0


def test_missing_program_fails_in_ci(run_pytest, tmp_path):
    done = run_pytest(SCALEKIT_VALKEY_BIN=str(tmp_path), CI="true")
    assert "1 failed, 1 passed, 1 error" in done.stdout


def test_plugin_imports_neither_django_nor_the_servers(environment):
    check = "import sys, scalekit.testing.plugin; print({'django', 'scalekit.testing.servers'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", check], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_servers_import_no_configured_django(environment):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, scalekit.testing.servers; print('django.conf' in sys.modules)",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"

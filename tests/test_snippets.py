"""The lines that the README and the quickstart tell people to add: they work as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = """\
SECRET_KEY = "a project that was there before"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "primary.internal", "NAME": "shop"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
"""


def blocks(page: str) -> list[str]:
    """Return the page's Python, which people copy from top to bottom."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_an_existing_project_takes_the_lines(page, tmp_path):
    settings, code = blocks(page)[:2]
    (tmp_path / "shop_settings.py").write_text(PROJECT + settings)
    (tmp_path / "shop_code.py").write_text(code)
    script = "import django; django.setup(); import shop_code; from django.core.management import call_command; call_command('check', fail_level='WARNING')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_keeps_to_its_fifteen_lines():
    settings, _ = blocks("README.md")[:2]
    statements = re.findall(r"^\S", settings.replace("}", ""), re.MULTILINE)
    assert len(statements) <= 15

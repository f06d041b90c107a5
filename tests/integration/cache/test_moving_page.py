"""The page on moving from other caches: what stands before and after does the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "howto" / "move_to_scalekit_cache.md"
SECTIONS = [part for part in PAGE.read_text().split("\n## ") if "```python" in part]
PROJECT = """\
import os

SECRET_KEY = "a project that was there before"
APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
INSTALLED_APPS = []
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["CACHE_URL"]}}
"""
CLOSING = """
INSTALLED_APPS = APPS + [name for name in INSTALLED_APPS if name is not ...]
if "CACHEOPS_REDIS" in globals():
    CACHEOPS_REDIS = os.environ["CACHE_URL"]
"""
VISIT = """
import django

django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

import code_of_the_page as page

call_command("migrate", verbosity=0)
ana = User.objects.create(username="ana").pk
assert page.profile(ana) == {"name": "ana", "groups": 0}
with CaptureQueriesContext(connection) as queries:
    assert page.profile(ana) == {"name": "ana", "groups": 0}
assert not len(queries), "it was cached"
page.rename(ana, "bea")
assert page.profile(ana)["name"] == "bea"
"""


def projects():
    """Yield an id, the settings and the code of each block that defines `profile`."""
    for section in SECTIONS:
        settings = ""
        for block in re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL):
            if block.startswith("# settings.py"):
                settings = block
                continue
            when = "after" if "scalekit" in block else "before"
            yield pytest.param(settings, block, id=f"{section.splitlines()[0]}: {when}")
            settings = ""


@pytest.mark.servers
@pytest.mark.parametrize(("settings", "code"), [*projects()])
def test_before_and_after_do_the_same(settings, code, tmp_path, valkey):
    valkey.flush()
    (tmp_path / "settings_of_the_page.py").write_text(PROJECT + settings + CLOSING)
    (tmp_path / "code_of_the_page.py").write_text(code)
    (tmp_path / "visit.py").write_text(VISIT)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "visit.py")],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
            "DJANGO_SETTINGS_MODULE": "settings_of_the_page",
            "CACHE_URL": valkey.url,
            "PYTHONDEVMODE": "",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

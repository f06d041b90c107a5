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
BEGINNING = """
import django

django.setup()

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

import code_of_the_page as page

call_command("migrate", verbosity=0)
"""
VISIT = """
ana = User.objects.create(username="ana").pk
assert page.profile(ana) == {"name": "ana", "groups": 0}
with CaptureQueriesContext(connection) as queries:
    assert page.profile(ana) == {"name": "ana", "groups": 0}
assert not len(queries), "it was cached"
page.rename(ana, "bea")
assert page.profile(ana)["name"] == "bea"
"""

JOIN = """
ana, group = User.objects.create(username="ana").pk, Group.objects.create(name="staff").pk
assert page.all_members() == {group: 0}
assert page.largest() == 0
with CaptureQueriesContext(connection) as queries:
    assert page.largest() == 0
assert not len(queries), "it was cached"
page.join(ana, group)
assert page.largest() == 1
assert page.all_members() == {group: 1}
"""


def projects():
    """Yield the settings and the code of each block of the page, and what a visitor then does."""
    for section in SECTIONS:
        settings = ""
        for block in re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL):
            if block.startswith("# settings.py"):
                settings = block
                continue
            visit = VISIT if "def profile" in block else JOIN
            when = "after" if "scalekit" in block else "before"
            which = "" if visit is VISIT else ", the rest"
            yield pytest.param(
                settings, block, visit, id=f"{section.splitlines()[0]}: {when}{which}"
            )
            settings = "" if when == "before" else settings


@pytest.mark.servers
@pytest.mark.parametrize(("settings", "code", "visit"), [*projects()])
def test_before_and_after_do_the_same(settings, code, visit, tmp_path, valkey):
    valkey.flush()
    (tmp_path / "settings_of_the_page.py").write_text(PROJECT + settings + CLOSING)
    (tmp_path / "code_of_the_page.py").write_text(code)
    (tmp_path / "visit.py").write_text(BEGINNING + visit)
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

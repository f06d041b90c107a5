"""Django's own tests, from the sdist of the version that is installed; kept in pytest's cache."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

VERSION = django.get_version()
DOWNLOAD = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]


@pytest.fixture(scope="session")
def django_tests(pytestconfig) -> Path:
    """The folder of runtests.py."""
    cache = Path(pytestconfig.cache.mkdir("django_sdist"))
    folder = cache / f"django-{VERSION}" / "tests"
    if not (folder / "runtests.py").exists():
        _unpack(cache)
    return folder


# Python 3.11.4 has learned to refuse archives that reach outside; older ones have no such argument.
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _unpack(cache: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", *DOWNLOAD, cache, f"django=={VERSION}"],
        check=True,
        timeout=100,
    )
    archive = next(cache.glob(f"[dD]jango-{VERSION}.tar.gz"))
    with tarfile.open(archive) as sdist:
        members = [m for m in sdist if m.name.partition("/")[2].startswith("tests/")]
        root = members[0].name.partition("/")[0]
        sdist.extractall(cache / "new", members, **SAFELY)
    archive.unlink()
    (cache / "new" / root).rename(cache / f"django-{VERSION}")

"""Django's own tests of cache backends pass on `TieredCache` and on `FailoverCache`, also while it fails over."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLASSES = 3
ALL = 50 * CLASSES  # tests there are at least
CULLING = 3 * CLASSES  # of caches that evict by themselves


@pytest.mark.servers
def test_caches_over_caches_pass_django_s_own_tests(django_tests, scalekit_topology):
    cache, gutter = (scalekit_topology.valkey(f"layers_{name}") for name in ("cache", "gutter"))
    path = os.pathsep.join([str(HERE.parents[2]), str(HERE), str(django_tests)])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDEVMODE"}
    done = subprocess.run(
        [sys.executable, "-m", "django", "test", "cache_layers", f"--parallel={CLASSES}"],
        cwd=django_tests,
        env={
            **environment,
            "PYTHONPATH": path,
            "DJANGO_SETTINGS_MODULE": "cache_layers.settings",
            "CACHE_URL": cache.url,
            "GUTTER_URL": gutter.url,
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    cache.stop()
    gutter.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"Ran (\d+) tests", done.stderr)[1]) > ALL
    assert int(re.search(r"skipped=(\d+)", done.stderr)[1]) == CULLING

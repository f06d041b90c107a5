from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.servers

pytest.importorskip("gevent")
SITE = Path(__file__).with_name("gevent_site.py")


def test_greenlets_load_once_and_a_killed_one_leaves_no_lease(scalekit_servers):
    server = scalekit_servers.valkey("cache")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, str(SITE), server.url],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

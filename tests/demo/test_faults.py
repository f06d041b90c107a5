"""``make demo`` when something is wrong: one clear line, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from example_project.demo.site import ROOT

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture
def start(tmp_path):
    """Start the demonstration in a folder of its own; end it, whatever happens."""
    running = []

    def begin(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "example_project", "demo", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def outcome(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    output, _ = process.communicate(timeout=120)
    return process.returncode, output.strip().splitlines()


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of living processes that name the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def test_a_taken_port_is_one_line_that_names_another(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, lines = outcome(start("--port", str(port)))
    assert status == 1
    assert len(lines) == 1
    assert f"Port {port} is taken" in lines[0]
    assert "--port" in lines[0]


def test_a_second_demo_beside_the_first_is_refused(start, tmp_path):
    first = start("--port", "0")
    wait_for(tmp_path / ".demo" / "primary", first)
    status, lines = outcome(start("--port", "0"))
    assert status == 1
    assert len(lines) == 1
    assert str(first.pid) in lines[0]
    assert first.poll() is None


def test_a_missing_server_is_one_line_that_says_what_to_install(start, tmp_path):
    status, lines = outcome(start("--tour", SCALEKIT_POSTGRES_BIN=str(tmp_path / "nowhere")))
    assert status == 1
    assert len(lines) == 1
    assert "SCALEKIT_POSTGRES_BIN" in lines[0]


@pytest.mark.parametrize("moment", ["primary", "replica_2", "valkey", "web_1"])
def test_ctrl_c_in_the_middle_of_start_up_leaves_nothing_behind(start, tmp_path, moment):
    process = start("--tour")
    wait_for(tmp_path / ".demo" / moment, process)
    process.send_signal(signal.SIGINT)
    status, lines = outcome(process)
    assert status == 130
    assert lines[-1] == "Stopped; nothing is left running."
    assert processes_in(tmp_path) == []
    assert not (tmp_path / ".demo").exists()


def test_what_a_killed_demo_left_is_cleared_by_the_next(start, tmp_path):
    killed = start("--tour")
    wait_for(tmp_path / ".demo" / "valkey", killed)
    killed.kill()
    killed.communicate()
    process = start("--port", "0")
    wait_for(tmp_path / ".demo" / "cdn", process)  # the last that is started
    process.send_signal(signal.SIGINT)
    _, lines = outcome(process)
    assert lines[-1] == "Stopped; nothing is left running.", "\n".join(lines)
    assert processes_in(tmp_path) == []


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_python_too_old_is_named_before_anything_is_made(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\ncase $1 in --version) echo Python 3.9.2;; *) exit 1;; esac\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "-C", ROOT, "demo", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Python 3.9.2 is too old: scalekit needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()

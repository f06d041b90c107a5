from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scalekit.testing.servers import (
    FolderInUse,
    NotEnoughDisk,
    PortTaken,
    ServerError,
    Topology,
    Waits,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# Starts one of each, with a frozen standby and a process that has a child of its own, and says when it is done.
SITE = """
import signal, sys, time
from scalekit.testing.servers import Topology
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and stays so
with Topology() as t:
    primary = t.postgres()
    t.postgres_replica(primary, "replica_1").freeze()
    t.valkey()
    t.process("shell", ["/bin/sh", "-c", "sleep 300 & sleep 300"], cwd=t.folder)
    t.load_balancer("lb", ["127.0.0.1:1"])
    print(t.folder, *(pid for server in t.servers.values() for pid in server.pids), flush=True)
    {then}
"""


def belongs(process, folder):
    try:
        cwd, words = str((process / "cwd").readlink()), (process / "cmdline").read_bytes().decode()
    except OSError:
        return False
    return cwd.startswith(str(folder)) or str(folder) in words


def left_behind(folder):
    """The processes that run in, or were told of, `folder`; zombies have neither."""
    return [p.name for p in Path("/proc").iterdir() if p.name.isdigit() and belongs(p, folder)]


@pytest.fixture
def other_python(tmp_path, environment):
    """Run a script in another Python that keeps its temporary files under `tmp_path`."""
    started = []

    def other_python(script):
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**environment, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield other_python
    for process in started:
        process.kill()
        process.communicate()


def gone(folder):
    return Waits().happens(lambda: not left_behind(folder), 20)


@pytest.fixture
def site(other_python):
    process = other_python(SITE.format(then="time.sleep(300)"))
    line = process.stdout.readline().split()
    assert line[1:], process.stdout.read()
    return process, Path(line[0]), [int(pid) for pid in line[1:]]


def test_kill_of_the_parent_leaves_no_process_not_even_a_frozen_one(site):
    process, folder, pids = site
    assert len(left_behind(folder)) >= len(pids) > 10
    process.kill()
    assert gone(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_removes_the_folder(site, number):
    process, folder, _ = site
    process.send_signal(number)
    assert process.wait(30) == -number
    assert not left_behind(folder)
    assert not folder.exists()


@pytest.mark.parametrize("end", ["pass", "raise RuntimeError", "sys.exit(3)"])
def test_end_of_the_block_leaves_nothing(other_python, end):
    process = other_python(SITE.format(then=end))
    folder = Path(process.stdout.readline().split()[0])
    process.wait(30)
    assert not left_behind(folder)
    assert not folder.exists()


def test_topology_that_was_never_closed_ends_with_the_program(other_python):
    process = other_python(
        "from scalekit.testing.servers import Topology; t = Topology().open(); t.valkey(); print(t.folder)"
    )
    folder = Path(process.stdout.readline().strip())
    assert process.wait(30) == 0
    assert not left_behind(folder)
    assert not folder.exists()


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("milliseconds", [5, 60, 150, 250, 400, 600, 800, 1000])
def test_interrupted_start_leaves_nothing(other_python, tmp_path, milliseconds, number):
    process = other_python(f"""
import os, signal
from scalekit.testing.servers import Topology
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.{number}))
signal.setitimer(signal.ITIMER_REAL, {milliseconds / 1000})
{SITE.format(then="time.sleep(300)")}""")
    assert process.wait(60) == -getattr(signal, number)
    assert not left_behind(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_second_interrupt_does_not_break_the_tidying_up(other_python, tmp_path):
    process = other_python(f"""
import signal
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
{SITE.format(then="signal.setitimer(signal.ITIMER_REAL, 0.001, 0.02); time.sleep(300)")}""")
    assert process.stdout.readline()
    process.wait(60)
    assert not left_behind(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_program_that_handles_sigterm_itself_keeps_its_handler(other_python):
    process = other_python("""
import signal
from scalekit.testing.servers import Topology
signal.signal(signal.SIGTERM, lambda *_: print("mine"))
with Topology() as t:
    t.valkey()
    signal.raise_signal(signal.SIGTERM)
    print(t["valkey"].running)
""")
    assert process.communicate(timeout=30)[0].split() == ["mine", "True"]


def test_signals_have_their_default_again_afterwards(other_python):
    process = other_python("""
import signal
from scalekit.testing.servers import Topology
def default(): return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
with Topology():
    with Topology(): print(default())
    print(default())
print(default())
""")
    assert process.communicate(timeout=30)[0].split() == ["False", "False", "True"]


def test_forked_child_stops_nothing(other_python):
    process = other_python("""
import os, signal, sys
from scalekit.testing.servers import Topology
with Topology() as t:
    valkey = t.valkey()
    for ending in (t.close, lambda: sys.exit(0), lambda: signal.raise_signal(signal.SIGTERM)):
        if (child := os.fork()) == 0:
            ending()
            os._exit(0)
        os.waitpid(child, 0)
    print(valkey.is_ready(), t.folder.exists())
""")
    assert process.communicate(timeout=30)[0].split()[-2:] == ["True", "True"]


def test_server_outlives_the_thread_that_started_it(scalekit_servers):
    with ThreadPoolExecutor(1) as pool:
        valkey = pool.submit(scalekit_servers.valkey).result()
    assert not valkey.waits.happens(lambda: not valkey.is_ready(), 0.3)


def test_folder_has_one_owner_at_a_time(tmp_path):
    with Topology(tmp_path), pytest.raises(FolderInUse, match=f"in use by process {os.getpid()}"):
        Topology(tmp_path).open()
    with Topology(tmp_path):
        pass


def test_refused_topology_leaves_the_owners_servers_alone(tmp_path):
    with Topology(tmp_path, keep=False) as topology:
        valkey = topology.valkey()
        with pytest.raises(FolderInUse):
            Topology(tmp_path, keep=False).open()
        assert valkey.is_ready()


def test_folder_that_was_made_goes_and_one_that_was_there_stays(tmp_path):
    for folder, keep in ((tmp_path, None), (tmp_path / "kept", True), (tmp_path / "made", None)):
        with Topology(folder, keep=keep) as topology:
            (topology.folder / "file").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "file", "kept"]


def test_full_disk_is_said_before_anything_starts(tmp_path):
    with pytest.raises(NotEnoughDisk, match="999999999 MB are needed"):
        Topology(tmp_path / "new", space=999_999_999).open()
    assert list(tmp_path.iterdir()) == []


def test_taken_port_is_said_with_its_number(scalekit_servers):
    taken = scalekit_servers.valkey()
    with pytest.raises(PortTaken, match=f"other cannot start: port {taken.port} "):
        scalekit_servers.valkey("other", port=taken.port)
    assert taken.is_ready()
    assert scalekit_servers.valkey("other").running


def test_ports_are_given_out_once_even_to_two_topologies():
    with Topology() as one, Topology() as two:
        ports = [topology.free_port() for topology in (one, two) for _ in range(100)]
    assert len(set(ports)) == 200


def test_names_are_used_once_and_are_plain(scalekit_servers):
    scalekit_servers.valkey("cache")
    with pytest.raises(ServerError, match="a server cache already"):
        scalekit_servers.valkey("cache")
    for name in ("../up", "Big", "", "a b", "1st"):
        with pytest.raises(ServerError, match="is no name for a server"):
            scalekit_servers.valkey(name)


def test_closed_topology_says_how_to_open_it():
    with pytest.raises(ServerError, match='"with" statement'):
        Topology().valkey()

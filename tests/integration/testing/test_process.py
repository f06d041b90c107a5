from __future__ import annotations

import sys

import pytest

from scalekit.testing.servers import ServerDidNotStart, ServerError, Topology, Waits, processes

LISTEN = "import socket; s = socket.create_server(('127.0.0.1', {port})); print('listening'); s.accept(); s.accept()"


@pytest.fixture
def impatient():
    with Topology(waits=Waits(start=0.3, stop=0.3)) as topology:
        yield topology


def python(topology, script, **options):
    return topology.process("own", [sys.executable, "-c", script], **options)


def test_process_is_ready_when_its_port_answers(scalekit_servers):
    port = scalekit_servers.free_port()
    own = python(scalekit_servers, LISTEN.format(port=port), port=port)
    assert own.address == f"127.0.0.1:{port}"
    assert own.pids == {own.pid}
    assert own.log.read_text().startswith("listening\n")


def test_process_is_ready_when_the_callable_says_so(scalekit_servers):
    mark = scalekit_servers.folder / "mark"
    python(
        scalekit_servers,
        "import os, time; open(os.environ['MARK'], 'w'); time.sleep(300)",
        env={"MARK": str(mark)},
        ready=mark.exists,
    )
    assert mark.exists()


def test_process_runs_in_the_folder_it_was_given(scalekit_servers, tmp_path):
    mark = tmp_path / "here"
    python(
        scalekit_servers,
        "open('here', 'w'); import time; time.sleep(300)",
        cwd=tmp_path,
        ready=mark.exists,
    )


def test_process_that_ends_early_is_quoted(scalekit_servers):
    with pytest.raises(ServerDidNotStart, match=r"own ended(?s:.*)ValueError: my reason"):
        python(scalekit_servers, "raise ValueError('my reason')", ready=lambda: False)
    assert not scalekit_servers.servers


def test_process_that_never_answers_is_given_up_and_killed(impatient):
    with pytest.raises(
        ServerDidNotStart, match=r"did not answer within 0.3 s(?s:.*)nothing was written"
    ):
        python(impatient, "import time; time.sleep(300)", port=impatient.free_port())
    assert not impatient.servers


def test_error_quotes_this_start_only(scalekit_servers, tmp_path):
    mark = tmp_path / "mark"
    script = f"""
import os, sys, time
if os.path.exists({str(mark)!r}): sys.exit("second")
print("first", flush=True)
open({str(mark)!r}, "w")
time.sleep(300)"""
    answers = [mark.exists]
    own = python(scalekit_servers, script, ready=lambda: all(answer() for answer in answers))
    own.stop()
    answers.append(lambda: False)
    with pytest.raises(ServerDidNotStart, match="second") as error:
        own.start()
    assert "first" not in str(error.value)


def test_process_that_ignores_an_orderly_stop_is_killed_with_its_children(impatient, tmp_path):
    mark = tmp_path / "mark"
    script = f"trap '' TERM; sleep 300 & touch {mark}; while :; do sleep 300; done"
    own = impatient.process("own", ["/bin/sh", "-c", script], ready=mark.exists)
    pid = own.pid
    assert len(own.pids) > 1
    own.stop()
    assert not own.running
    assert processes.family(pid) == set()


def test_program_that_does_not_exist_is_named(scalekit_servers):
    with pytest.raises(ServerError, match="/nowhere/program"):
        scalekit_servers.process("own", ["/nowhere/program"])


def test_stopped_server_cannot_be_frozen(scalekit_servers):
    own = python(scalekit_servers, "import time; time.sleep(300)")
    own.stop()
    with pytest.raises(ServerError, match="own does not run"):
        own.freeze()
    own.stop()
    own.kill()

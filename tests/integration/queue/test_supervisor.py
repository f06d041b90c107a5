"""`run_workers` as the process that starts, replaces and ends the others."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import hoard, note, work_as

pytestmark = pytest.mark.servers


def alive(pid):
    """Tell whether a process runs, and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def family(pid):
    """Return the pids of the children of a process."""
    return {
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if _parent(path) == pid and alive(path.parent.name)
    }


def _parent(stat):
    with suppress(OSError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return None


@pytest.fixture
def start_alone(start_workers):
    """Give a function that starts a supervisor without a relay: one process fewer to wait for."""
    return lambda *args, **env: start_workers("--no-relay", *args, **env)


@pytest.fixture
def begun(journal):
    """Give a function that returns the pid that has begun a job, once one has."""

    def pid(name):
        mark = f"{name} begun "
        assert eventually(lambda: any(line.startswith(mark) for line in journal()), 40)
        return next(int(line.removeprefix(mark)) for line in journal() if line.startswith(mark))

    return pid


def test_one_command_runs_jobs_and_relays(broker, start_workers, journal, rows):
    workers = start_workers("--min=2").ready()
    note.enqueue("done")
    assert eventually(lambda: journal() == ["done"])
    assert eventually(lambda: rows("status") == [("SUCCESSFUL",)])
    assert len(family(workers.process.pid)) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_drain_before_it_ends(broker, start_workers, journal, begun, number):
    workers = start_workers().ready()
    for name in ("a", "b"):
        work_as.enqueue(name, 1)
    children = family(workers.process.pid)
    for name in ("a", "b"):
        begun(name)
    workers.process.send_signal(number)
    assert workers.wait() == 0, workers.output
    assert sum("finished" in line for line in journal()) == 2
    assert not any(map(alive, children))


def test_stopped_while_its_workers_start_it_leaves_no_job_unfinished(broker, start_workers):
    workers = start_workers()
    assert eventually(lambda: family(workers.process.pid))
    workers.process.terminate()
    assert workers.wait() == 0, workers.output


def test_job_that_does_not_finish_in_time_makes_it_end_with_1(broker, start_alone, begun):
    workers = start_alone(QUEUE_DRAIN="0.3").ready()
    work_as.enqueue("long", 60)
    begun("long")
    workers.process.terminate()
    assert workers.wait() == 1
    assert "another worker will run them again" in workers.output


def test_second_interrupt_ends_all_at_once(broker, start_alone, begun):
    workers = start_alone(QUEUE_DRAIN="600").ready()
    work_as.enqueue("long", 600)
    pid = begun("long")
    workers.process.send_signal(signal.SIGINT)
    workers.says("Stopping")
    workers.process.send_signal(signal.SIGINT)
    assert workers.wait() == 130
    assert eventually(lambda: not alive(pid))


def test_supervisor_killed_takes_its_processes_along_after_their_jobs(
    broker, start_workers, journal, begun
):
    workers = start_workers().ready()
    children = family(workers.process.pid)
    work_as.enqueue("a", 2)
    begun("a")
    workers.process.kill()
    assert eventually(lambda: not any(map(alive, children)), 30)
    assert sum("finished" in line for line in journal()) == 1


def test_killed_worker_is_replaced_and_its_sibling_works_on(
    broker, start_workers, journal, begun, rows
):
    """The job of the dead one is run again within 30 seconds."""
    workers = start_workers("--min=2", "--threads=1").ready()
    work_as.enqueue("a", 3)
    work_as.enqueue("b", 3)
    victim, sibling = begun("a"), begun("b")
    assert victim != sibling
    before = family(workers.process.pid)
    os.kill(victim, signal.SIGKILL)
    workers.says("was killed by SIGKILL")
    assert eventually(lambda: len(family(workers.process.pid)) == 3)
    assert sibling in family(workers.process.pid)
    assert before - family(workers.process.pid) == {victim}
    assert eventually(lambda: sum("a begun" in line for line in journal()) == 2, 30)
    assert eventually(lambda: rows("status") == [("SUCCESSFUL",)] * 2)
    assert f"b finished {sibling}" in journal()
    assert sum("b begun" in line for line in journal()) == 1


def test_worker_that_grew_too_large_is_replaced_and_finishes_what_it_does(
    broker, start_alone, journal, begun
):
    workers = start_alone("--max-memory=256M").ready()
    work_as.enqueue("a", 4)
    large = begun("a")
    hoard.enqueue(256)
    workers.says("it is replaced")
    assert eventually(lambda: f"a finished {large}" in journal())
    assert eventually(lambda: not alive(large))
    work_as.enqueue("b", 0)
    assert begun("b") != large


def test_worker_that_ran_so_many_jobs_is_replaced(broker, start_alone, begun):
    workers = start_alone("--max-jobs=5").ready()
    work_as.enqueue("first", 0)
    old = begun("first")
    for number in range(5):
        note.enqueue(number)
    workers.says("has run")
    assert eventually(lambda: not alive(old))
    work_as.enqueue("later", 0)
    assert begun("later") != old


def test_hangup_replaces_every_process_and_cuts_off_no_job(broker, start_workers, journal, begun):
    workers = start_workers().ready()
    work_as.enqueue("a", 4)
    old = family(workers.process.pid)
    begun("a")
    workers.process.send_signal(signal.SIGHUP)
    for number in range(50):
        note.enqueue(number)
    assert eventually(lambda: not any(map(alive, old)), 40)
    assert sum(line.startswith("a finished") for line in journal()) == 1
    assert eventually(lambda: len(family(workers.process.pid)) == 2)
    assert eventually(lambda: len(journal()) == 52)
    workers.process.terminate()
    assert workers.wait() == 0


def test_release_that_does_not_start_costs_no_worker(broker, start_alone, tmp_path, begun):
    broken = tmp_path / "broken"
    workers = start_alone(BROKEN_RELEASE=str(broken)).ready()
    work_as.enqueue("before", 0)
    old = begun("before")
    broken.touch()
    workers.process.send_signal(signal.SIGHUP)
    workers.says("2 in a row that did not live long")
    work_as.enqueue("meanwhile", 0)
    assert begun("meanwhile") == old
    broken.unlink()
    assert eventually(lambda: not alive(old), 40), workers.output


def test_worker_that_cannot_start_is_tried_again_ever_slower(
    broker, start_alone, tmp_path, journal, begun
):
    broken = tmp_path / "broken"
    workers = start_alone(BROKEN_RELEASE=str(broken)).ready()
    work_as.enqueue("before", 0)
    pid = begun("before")
    broken.touch()
    os.kill(pid, signal.SIGKILL)
    workers.says("in a row that did not live long: the next one starts in")
    assert "this release does not start" in workers.output
    broken.unlink()
    note.enqueue("after")
    assert eventually(lambda: "after" in journal(), 40), workers.output


def test_release_that_never_started_is_refused_at_the_start(start_workers, tmp_path):
    broken = tmp_path / "broken"
    broken.touch()
    workers = start_workers(BROKEN_RELEASE=str(broken))
    assert workers.wait(30) == 1
    assert "this release does not start" in workers.output


def test_queue_that_no_worker_knows_is_refused_in_words(start_alone):
    workers = start_alone("--queues", "nowhere")
    assert workers.wait() == 1
    assert "There is no queue nowhere. Known are default, mail" in workers.output
    assert "Traceback" not in workers.output

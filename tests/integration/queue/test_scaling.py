"""A supervisor under a burst of jobs: more processes at once, fewer when it is over, no job harmed."""

from __future__ import annotations

import json
import os
import re
import signal
from itertools import pairwise
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from scalekit.queue import enqueue_many
from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import nap, note, work_as

pytestmark = pytest.mark.servers

JOBS, SECONDS = (2000, 0.05) if os.environ.get("SCALEKIT_LONG_TESTS") else (400, 0.08)

CUT_OFF = {"QUEUE_DRAIN": "0"}  # jobs end with their test


def steps(output):
    """Return the numbers of processes that the supervisor went through."""
    changes = re.findall(r"^(\d+) -> (\d+) processes", output, re.MULTILINE)
    assert all(a[1] == b[0] for a, b in pairwise(changes))
    return [int(changes[0][0]), *(int(to) for _, to in changes)] if changes else []


def test_burst_is_met_with_more_processes_and_left_with_one(broker, start_workers, journal, rows):
    workers = start_workers(
        "--min=1", "--max=4", "--target-latency=1", "--cooldown=5", "--no-relay"
    ).ready()
    enqueue_many(nap, [(SECONDS, number) for number in range(JOBS)])
    assert eventually(lambda: len(journal()) == JOBS, 90), workers.output
    assert eventually(lambda: steps(workers.output)[-1:] == [1], 30), workers.output
    numbers = steps(workers.output)
    turn = numbers.index(max(numbers))
    assert max(numbers) == 4
    assert numbers == [*sorted(numbers[: turn + 1]), *sorted(numbers[turn + 1 :], reverse=True)]
    assert sorted(journal(), key=int) == [str(number) for number in range(JOBS)]
    assert set(rows("status", "attempt")) == {("SUCCESSFUL", 1)}


def test_few_slow_jobs_are_shared_among_processes(broker, start_workers, journal):
    """No process holds jobs that another could run: they wait in the broker, where that is seen."""
    start_workers("--max=2", "--target-latency=0.5", "--no-relay", **CUT_OFF).ready()
    enqueue_many(work_as, [(number, 600) for number in range(4)])
    assert eventually(lambda: len(journal()) == 4), journal()
    pids = [line.rpartition(" ")[2] for line in journal()]
    assert [pids.count(pid) for pid in set(pids)] == [2, 2]


def ask(workers, path):
    port = re.search(r"Probes are answered on port (\d+)", workers.output)[1]
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.read().decode()


def test_port_tells_what_to_scale_on(broker, start_workers, rows):
    options = ("--queues", "mail", "--health-port=127.0.0.1:0", "--no-relay")
    workers = start_workers(*options, **CUT_OFF).ready()
    enqueue_many(nap.using(queue_name="mail"), [(600, number) for number in range(5)])
    note.enqueue("of a queue that is not ours")
    seen = {}

    def is_seen():
        seen.update(json.loads(ask(workers, "/scale")))
        return seen["depth"] == 3 and seen["running"] == 2 and seen["latency_seconds"] > 1

    assert eventually(is_seen), seen
    assert seen["processes"] == 1
    assert list(seen["queues"]) == ["mail"]
    assert 'scalekit_queue_jobs{queue="mail",state="waiting"} 3\n' in ask(workers, "/metrics")
    assert ask(workers, "/readyz") == ask(workers, "/livez") == "ok\n"


def test_port_says_when_it_drains(broker, start_workers):
    workers = start_workers("--health-port=127.0.0.1:0", "--no-relay", QUEUE_DRAIN="600").ready()
    nap.enqueue(600, 1)
    assert eventually(lambda: json.loads(ask(workers, "/scale"))["running"] == 1)
    assert ask(workers, "/readyz") == "ok\n"
    workers.process.terminate()
    workers.says("Stopping")
    with pytest.raises(HTTPError, match="503"):
        ask(workers, "/readyz")
    assert ask(workers, "/livez") == "ok\n"
    workers.process.send_signal(signal.SIGINT)
    assert workers.wait() == 130

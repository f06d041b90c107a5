"""A supervisor under a burst of jobs: more processes at once, fewer when it is over, no job harmed."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from scalekit.queue import enqueue_many
from tests.integration.queue.conftest import eventually
from tests.integration.queue.project.tasks import nap, note

pytestmark = pytest.mark.servers

JOBS, SECONDS = (2000, 0.05) if os.environ.get("SCALEKIT_LONG_TESTS") else (400, 0.08)


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
    workers = start_workers(
        "--max=2", "--threads=2", "--target-latency=0.5", "--cooldown=60", "--no-relay"
    ).ready()
    enqueue_many(nap, [(4, number) for number in range(4)])
    workers.says("1 -> 2 processes")
    assert eventually(lambda: len(journal()) == 4, 7.5), journal()


def ask(workers, path):
    port = re.search(r"Probes are answered on port (\d+)", workers.output)[1]
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.read().decode()


def test_port_tells_what_to_scale_on(broker, start_workers, rows):
    workers = start_workers("--queues", "mail", "--health-port=127.0.0.1:0", "--threads=2")
    workers.ready()
    enqueue_many(nap.using(queue_name="mail"), [(6, number) for number in range(5)])
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


def test_port_says_when_it_drains(broker, start_workers, journal):
    workers = start_workers("--health-port=127.0.0.1:0").ready()
    nap.enqueue(3, 1)
    assert eventually(lambda: json.loads(ask(workers, "/scale"))["running"] == 1)
    assert ask(workers, "/readyz") == "ok\n"
    workers.process.terminate()
    workers.says("Stopping")
    with pytest.raises(HTTPError, match="503"):
        ask(workers, "/readyz")
    assert ask(workers, "/livez") == "ok\n"
    assert workers.wait() == 0
    assert journal() == ["1"]

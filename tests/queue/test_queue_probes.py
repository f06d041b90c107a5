from __future__ import annotations

import json
import socket
from urllib.request import urlopen

import pytest

from scalekit.queue.brokers.base import QueueStats
from scalekit.queue.supervisor.figures import Figures
from scalekit.queue.supervisor.gauges import announce
from scalekit.queue.supervisor.probes import PortTaken, answer, serve
from scalekit.queue.supervisor.sights import Rows

SEEN = Figures(
    queues={"mail": QueueStats(ready=3, delayed=2, in_flight=4, dead=1, waited=7.5)},
    rows=Rows({"mail": 5}, 12.0),
    ready=2,
    starting=1,
    wanted=3,
    running=4,
    threads=8,
)


@pytest.mark.parametrize(
    ("path", "figures", "alive", "status"),
    [
        ("/livez", Figures(), True, 200),
        ("/livez", SEEN, False, 503),
        ("/readyz", Figures(), True, 503),
        ("/readyz", SEEN, True, 200),
        ("/readyz", Figures(ready=2, stopping=True), True, 503),
        ("/readyz?verbose", SEEN, True, 200),
        ("/scale", Figures(), True, 200),
        ("/metrics", Figures(), True, 200),
        ("/", SEEN, True, 404),
        ("/../etc/passwd", SEEN, True, 404),
    ],
)
def test_status(path, figures, alive, status):
    assert answer(path, figures, alive=alive)[0] == status


def test_scale_says_what_to_scale_on():
    said = json.loads(answer("/scale", SEEN, alive=True)[2])
    assert (
        said.items()
        >= {
            "latency_seconds": 7.5,
            "depth": 3,
            "processes": 3,
            "wanted_processes": 3,
            "threads": 8,
            "running": 4,
            "outbox_age_seconds": 12.0,
        }.items()
    )
    assert said["queues"]["mail"]["dead"] == 6


def test_what_cannot_be_seen_is_null_and_not_nothing():
    said = json.loads(answer("/scale", Figures(), alive=True)[2])
    assert (said["latency_seconds"], said["depth"]) == (None, None)


def test_metrics_are_prometheus_text():
    parser = pytest.importorskip("prometheus_client.parser")
    text = answer("/metrics", SEEN, alive=True)[2]
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["scalekit_queue_jobs", "mail", "waiting"] == 3
    assert found["scalekit_queue_jobs", "mail", "dead"] == 6
    assert found["scalekit_queue_latency_seconds", "mail"] == 7.5
    assert found["scalekit_queue_outbox_age_seconds",] == 12
    assert found["scalekit_queue_worker_processes", "starting"] == 1


def test_name_of_a_queue_cannot_break_the_text():
    figures = Figures(queues={'a"} 1\nb': QueueStats(ready=1, waited=1.0)})
    lines = answer("/metrics", figures, alive=True)[2].splitlines()
    assert not any(line.startswith("b") for line in lines)


def test_gauges_are_announced_for_who_observes(heard):
    jobs, processes = heard("queue_jobs"), heard("queue_worker_processes")
    announce(SEEN)
    assert {"queue": "mail", "state": "in_flight", "jobs": 4} in jobs
    assert {"state": "ready", "processes": 2} in processes


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        *([("", "[::1]")] if socket.has_dualstack_ipv6() else []),
    ],
)
def test_port_answers_where_it_was_asked_to(host, asked):
    port = serve((host, 0), lambda: (SEEN, True))
    with urlopen(f"http://{asked}:{port}/livez", timeout=5) as response:
        assert response.read() == b"ok\n"


def test_port_that_is_taken_is_said_in_words():
    port = serve(("127.0.0.1", 0), lambda: (SEEN, True))
    with pytest.raises(PortTaken, match=f"--health-port 127.0.0.1:{port} cannot be had"):
        serve(("127.0.0.1", port), lambda: (SEEN, True))

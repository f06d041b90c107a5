"""Metrics of several processes, one of which is killed, are one sum that never falls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from socket import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.servers
SERVED = "scalekit_http_request_duration_seconds_count"


class WebServer:
    """One gunicorn with its workers, counting into a folder that others share."""

    def __init__(self, folder, log, *options):
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.integration.observability.site_settings",
            "PROMETHEUS_MULTIPROC_DIR": str(folder),
        }
        address = f"127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "gunicorn", "--bind", address, "--timeout=120", *options]
        self.log = log.open("w")
        self.process = subprocess.Popen(
            [*command, "django.core.wsgi:get_wsgi_application()"],
            env=environment,
            stderr=self.log,
        )

    def get(self, path, **headers):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.get("/livez")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        pytest.fail("the web server does not answer")

    def workers(self):
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}")
        return [int(pid) for pid in (task / "children").read_text().split()]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

    def scrape(self):
        status, text = self.get("/metrics", Authorization="Bearer a-token-for-tests")
        assert status == 200
        return [sample for f in text_string_to_metric_families(text) for sample in f.samples]

    def served(self, route):
        samples = [s for s in self.scrape() if s.name == SERVED and s.labels["route"] == route]
        return sum(sample.value for sample in samples)

    def in_progress(self):
        name = "scalekit_http_requests_in_progress"
        return [s.value for s in self.scrape() if s.name == name]


@pytest.fixture
def fleet(tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    servers = [
        WebServer(folder, tmp_path / "web-1.log", "--workers=2"),
        WebServer(folder, tmp_path / "web-2.log", "--workers=2", "--preload"),
    ]
    try:
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.stop()


def ask(fleet, times, path="/hello"):
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(fleet[i % len(fleet)].get, path) for i in range(times)]
        assert {reply.result()[0] for reply in asked} == {200}


def test_any_process_tells_the_sum_of_all(fleet):
    ask(fleet, 200)
    assert [server.served("/hello") for server in fleet] == [200, 200]
    assert [server.in_progress() for server in fleet] == [[0], [0]]


def test_killed_worker_takes_no_count_with_it_and_leaves_nothing_in_progress(fleet):
    first, second = fleet
    ask(fleet, 100)
    with ThreadPoolExecutor(1) as pool:
        caught = pool.submit(first.get, "/hangs")
        _eventually(lambda: second.in_progress() == [1])
        for pid in first.workers():
            os.kill(pid, signal.SIGKILL)
        assert isinstance(caught.exception(timeout=60), OSError)
    _eventually(lambda: second.in_progress() == [0])
    assert second.served("/hello") == 100
    first.wait()  # with new workers
    ask(fleet, 100)
    assert {server.served("/hello") for server in fleet} == {200}


def test_every_request_is_one_line_of_json_on_the_servers_output(fleet):
    ask(fleet, 50)
    for server in fleet:
        server.stop()
    lines = []
    for server in fleet:
        written = Path(server.log.name).read_text().splitlines()
        lines += [json.loads(line) for line in written if line.startswith("{")]
    requests = [line for line in lines if line["logger"] == "scalekit.request"]
    assert len(requests) == 50
    assert len({line["request_id"] for line in requests}) == 50


def test_command_that_counts_nothing_leaves_no_file(tmp_path):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.integration.observability.site_settings",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


def _eventually(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

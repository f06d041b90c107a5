"""Web servers go and come under load, by the samples of the documentation, and no visitor notices."""

from __future__ import annotations

import shlex
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.health.fleet import KINDS, HAProxy, NginxFree, Web
from tests.integration.health.load import Visitors

pytestmark = pytest.mark.servers


def pair(topology, kind):
    return [Web(topology, f"web_{number}", kind) for number in (1, 2)]


@pytest.mark.parametrize(("kind", "restarts"), [("gunicorn", 3), ("uvicorn", 2), ("granian", 2)])
def test_rolling_restarts_behind_haproxy_cost_no_request(scalekit_servers, kind, restarts):
    webs = pair(scalekit_servers, kind)
    balancer = HAProxy(scalekit_servers, webs)
    with Visitors(balancer.port, keep_alive=True).asking() as visitors:
        for number in range(restarts):
            index = number % 2
            webs[index].drain_file.touch()
            balancer.wait(index + 1, "DOWN")
            webs[index].process.stop()
            webs[index].drain_file.unlink(missing_ok=True)
            webs[index].process.start()
            balancer.wait(index + 1, "UP")
    assert visitors.failed == []
    assert visitors.sent > 100


def test_rolling_restart_behind_free_nginx_costs_no_request(scalekit_servers, tmp_path):
    webs = pair(scalekit_servers, "gunicorn")
    balancer = NginxFree(scalekit_servers, webs)
    with (
        ThreadPoolExecutor(1) as pool,
        Visitors(balancer.port, keep_alive=False).asking() as visitors,
    ):
        for web in webs:
            stopped, started = tmp_path / f"{web.name}.stop", tmp_path / f"{web.name}.start"
            wait = f"import os, time\nopen({str(stopped)!r}, 'w')\nwhile not os.path.exists({str(started)!r}): time.sleep(0.02)"
            script = pool.submit(balancer.restart, web, shlex.join([sys.executable, "-c", wait]))
            scalekit_servers.waits.until(stopped.exists, "the script to take the server out", 30)
            web.process.restart()  # what systemctl does
            started.touch()
            script.result(60)
    assert visitors.failed == []
    assert visitors.sent > 100
    assert " down" not in balancer.list.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_in_flight_is_finished_before_the_server_ends(scalekit_servers, tmp_path, kind):
    web = Web(scalekit_servers, "web", kind, WAIT_FOLDER=str(tmp_path))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(web.ask, "/waits", "POST")
        scalekit_servers.waits.until((tmp_path / "arrived").exists, "the request to arrive", 20)
        web.process._running_child().send(signal.SIGTERM)
        scalekit_servers.waits.until(lambda: refuses(web), "the server to take no more", 20)
        (tmp_path / "go_on").touch()
        assert answer.result(20)[:2] == (200, b"done")
    scalekit_servers.waits.until(lambda: not web.process.running, "the server to end", 20)


def refuses(web):
    try:
        web.ask("/livez", timeout=2)
    except OSError:
        return True
    return False


def test_the_command_drains_and_undoes_it(scalekit_servers):
    web = Web(scalekit_servers, "web")
    web.drain()
    assert web.ask("/readyz")[:2] == (503, b'{"status": "draining"}')
    assert web.ask("/__lbheartbeat__")[0] == 503
    assert [web.ask(path)[0] for path in ("/livez", "/echo")] == [200, 200]
    web.drain("--undo")
    assert web.ask("/readyz")[0] == 200


def test_a_server_that_starts_anew_has_left_the_drain_behind(scalekit_servers):
    web = Web(scalekit_servers, "web")
    web.drain_file.touch()
    assert web.ask("/readyz")[0] == 503
    web.process.restart()
    assert web.ask("/readyz")[0] == 200

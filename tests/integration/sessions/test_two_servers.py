"""Two web servers, of which one dies: the visitor does not notice, and nothing is counted twice or lost."""

from __future__ import annotations

import sys
from itertools import cycle
from pathlib import Path

import httpx
import pytest
from django.contrib.auth.models import User

from scalekit.sessions.checks import DATABASE, ENGINE, HYBRID
from tests.integration.sessions.conftest import NAME

pytestmark = pytest.mark.servers

FOLDER = "tests.integration.sessions"
ROOT = Path(__file__).parents[3]


@pytest.fixture(params=[ENGINE, DATABASE, HYBRID])
def servers(request, scalekit_servers, database, store, use_store, valkey):
    """Give two gunicorns."""
    use_store(valkey, request.param)
    environment = {
        "DJANGO_SETTINGS_MODULE": f"{FOLDER}.site_settings",
        "DATABASE_PORT": str(database.port),
        "DATABASE_PASSWORD": database.password,
        "DATABASE_NAME": NAME,
        "SESSION_ENGINE": request.param,
        "SESSION_URL": valkey.url,
        "PYTHONPATH": str(ROOT),
        "PYTHONDEVMODE": "",
        "PYTHONWARNINGS": "",
    }
    return [start(scalekit_servers, name, environment) for name in ("web_1", "web_2")]


def start(topology, name, environment):
    port = topology.free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--threads", "4", "--no-control-socket"]
    argv = [sys.executable, "-m", "gunicorn", f"{FOLDER}.site_wsgi", *options]
    return topology.process(name, argv, port=port, env=environment, cwd=ROOT)


def ask(client, server, page):
    """Return what the server answers; None if it is gone."""
    try:
        return client.get(f"http://{server.address}{page}")
    except httpx.TransportError:
        return None


def test_a_killed_server_loses_no_count_and_no_login(servers):
    User.objects.create_user("ana")
    turns, counted = cycle(servers), 0
    with httpx.Client(timeout=20) as client:
        assert ask(client, next(turns), "/enter/").text == "in"
        for number in range(120):
            if number == 50:
                servers[0].kill()
            response = ask(client, next(turns), "/count/")
            counted += response is not None and response.status_code == 200
        assert counted >= 120 - 35
        assert ask(client, servers[1], "/count/").text == str(counted + 1)
        assert ask(client, servers[1], "/who/").text == "ana"


@pytest.mark.parametrize("servers", [HYBRID], indirect=True)
def test_a_password_change_on_one_server_ends_the_sessions_on_the_other(servers):
    ana = User.objects.create_user("ana", password="sunprint")
    with httpx.Client(timeout=20) as client:
        ask(client, servers[1], "/enter/")
        assert ask(client, servers[1], "/who/").text == "ana"
        ana.set_password("cyanotype")
        ana.save()
        assert ask(client, servers[1], "/who/").text == ""
        assert ask(client, servers[0], "/who/").text == ""

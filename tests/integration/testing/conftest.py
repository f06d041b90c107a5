from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.testing.projects import QUIET

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@pytest.fixture
def fetch():
    """Ask a server: `fetch(server, path, method, **headers)`."""

    def fetch(server, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    return fetch


@pytest.fixture
def origin(scalekit_servers):
    """Start a web server that says what it was sent: `origin("web_1")`."""

    def origin(name):
        port = scalekit_servers.free_port()
        return scalekit_servers.process(
            name, [sys.executable, HERE / "origin.py", name, str(port)], port=port
        )

    return origin


@pytest.fixture
def table():
    return f"t_{uuid.uuid4().hex}"


@pytest.fixture
def environment():
    """The environment for another Python that uses scalekit from this checkout."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def passes(environment, request):
    """Give a function that runs tests in the module's PROJECT, or in another folder, and fails where they do."""

    def passes(arguments, project=None, **extra):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=project or request.module.PROJECT,
            env={**environment, "DJANGO_SETTINGS_MODULE": "settings", **QUIET, **extra},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return passes

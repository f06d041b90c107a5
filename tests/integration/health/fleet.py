"""Web servers and load balancers that run the samples of the documentation, on ports of this machine."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from string import Template

from scalekit.testing.servers.binaries import Program

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "docs" / "samples" / "load_balancer"
SITE = "tests.integration.health.photos"
HOST = {"Host": "photos.example.org"}
KINDS = ["gunicorn", "uvicorn", "granian"]
HAPROXY = Program(
    title="HAProxy (apt install haproxy)",
    names=("haproxy",),
    variable="SCALEKIT_HAPROXY_BIN",
    wheel="haproxy",
    inside="bin",
    system=("usr/sbin", "usr/local/sbin"),
)
ASK = "import sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=2)\n"
STATISTICS = Template("""
frontend statistics
    bind $address
    stats enable
    stats uri /
""")


def variables(sample):
    """Return what a sample's environment file sets."""
    lines = (SAMPLES / sample).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def command(kind, port):
    """Return how a sample says to start a web server, and the environment that it needs; one process, on our port."""
    python = [sys.executable, "-m", kind]
    if kind == "gunicorn":
        config = SAMPLES / "gunicorn.conf.py"
        more = ["--config", str(config), "--no-control-socket"]
        return [*python, f"{SITE}.wsgi", *more], {
            "BIND": f"127.0.0.1:{port}",
            "WEB_CONCURRENCY": "1",
        }
    prefix = kind.upper()
    ours = {"HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "1"}
    given = {**variables(f"{kind}.env"), **{f"{prefix}_{k}": v for k, v in ours.items()}}
    return [*python, f"{SITE}.asgi:application"], given


class Web:
    """One web server of the site."""

    def __init__(self, topology, name, kind="gunicorn", *, ready="/startupz", **environment):
        self.name, self.port, self.ready = name, topology.free_port(), ready
        self.drain_file = topology.folder / f"{name}.drain"
        argv, given = command(kind, self.port)
        self.environment = {
            "DJANGO_SETTINGS_MODULE": f"{SITE}.settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONDEVMODE": "",  # its checks slow a server down, and uvloop warns
            "PYTHONWARNINGS": "",
            "DRAIN_FILE": str(self.drain_file),
            "SERVER": name,
            **given,
            **environment,
        }
        self.process = topology.process(
            name, argv, port=self.port, env=self.environment, cwd=ROOT, ready=self.is_ready
        )

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def ask(self, path, method="GET", timeout=30, **headers):
        """Return status, body and headers of one request on a connection of its own."""
        return ask(self.port, path, method, timeout, **headers)

    def is_ready(self):
        try:
            return self.ask(self.ready)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def drain(self, *arguments):
        """Run ``manage.py drain``."""
        subprocess.run(
            [sys.executable, "-m", "django", "drain", *arguments],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            check=True,
            timeout=60,
        )


def ask(port, path, method="GET", timeout=30, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, headers={**HOST, **headers})
        response = connection.getresponse()
        return response.status, response.read(), {k.title(): v for k, v in response.getheaders()}
    finally:
        connection.close()


class HAProxy:
    """HAProxy with the sample's configuration and a page that says what it thinks of its servers."""

    def __init__(self, topology, webs):
        self.waits, self.port, self.statistics = (
            topology.waits,
            topology.free_port(),
            topology.free_port(),
        )
        text = (SAMPLES / "haproxy.cfg").read_text()
        for address, web in zip(("10.0.0.11:8000", "10.0.0.12:8000"), webs, strict=True):
            text = text.replace(address, web.address)
        text = text.replace("0.0.0.0:80", f"127.0.0.1:{self.port}").replace(
            "inter 1s", "inter 200ms"
        )
        text += STATISTICS.substitute(address=f"127.0.0.1:{self.statistics}")
        self.config = topology.folder / "haproxy.cfg"
        self.config.write_text(text)
        argv = [HAPROXY.find(), "-db", "-f", self.config]
        self.process = topology.process("haproxy", argv, port=self.port)
        for number in (1, 2):
            self.wait(number, "UP")

    def state(self, number):
        """Return UP or DOWN, as the checks of server ``web-<number>`` have it."""
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.statistics}/;csv", timeout=5)
        with page:
            rows = csv.DictReader(io.StringIO(page.read().decode().removeprefix("# ")))
        [state] = [r["status"] for r in rows if r["svname"] == f"web-{number}"]
        return state.partition(" ")[0]

    def wait(self, number, state):
        self.waits.until(lambda: self.state(number) == state, f"web-{number} {state}", 30)


class NginxFree:
    """nginx with the sample's configuration and the list of servers that the sample's script rewrites."""

    def __init__(self, topology, webs):
        self.list = topology.folder / "web_servers.conf"
        text = (SAMPLES / "web_servers.conf").read_text()
        for address, web in zip(("10.0.0.11:8000", "10.0.0.12:8000"), webs, strict=True):
            text = text.replace(address, web.address)
        self.list.write_text(text)
        program = topology.folder / "ask.py"  # in place of curl, which is not everywhere
        program.write_text(ASK)
        self.ask = f"{sys.executable} {program}"
        config = (SAMPLES / "nginx.conf").read_text()
        config = config.replace("/etc/nginx/web_servers.conf", str(self.list))
        config = config.replace("listen 0.0.0.0:80;", "listen @{address};")
        self.process = topology.nginx("nginx", config)
        self.port = self.process.port

    def restart(self, web, how):
        """Run the sample's script, which runs `how`."""
        script = [str(SAMPLES / "restart_behind_nginx.sh"), web.address, how]
        reload = f"kill -HUP {self.process.pid}"
        given = {"LIST": str(self.list), "RELOAD": reload, "ASK": self.ask, "PAUSE": "1"}
        subprocess.run(script, env={**os.environ, **given}, check=True, timeout=60)


def databases(postgres):
    return json.dumps({"default": postgres.django_settings()})

"""The whole ladder on one machine: which servers there are, and how they find each other."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from example_project.demo.steps import DemoFailed
from scalekit.testing.servers.ports import is_free

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from scalekit.testing.servers import Postgres, Process, Server, Topology

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = "example_project.settings.stage_11_shards"
PASSWORD = "sunprint-demo"
DATABASE = "photos"


class DemoSite:
    """The servers of the top stage, started in order, and what a visitor needs to know of them."""

    login = "ada"
    password = PASSWORD

    def __init__(self, topology: Topology, *, port: int = 0) -> None:
        self.topology = topology
        self.port = port or topology.free_port()
        self.cdn_port = topology.free_port()
        self.metrics_token = secrets.token_urlsafe(16)
        self._secret_key = secrets.token_urlsafe(40)
        self.databases: list[Postgres] = []
        self.webs: list[Process] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cdn_url(self) -> str:
        return f"http://127.0.0.1:{self.cdn_port}"

    @property
    def servers(self) -> list[Server]:
        """Every server, in the order in which a request meets them."""
        edge = [self.cdn, self.lb, *self.webs]
        return [*edge, *self.databases, self.valkey, self.worker]

    def start(self, console: Console) -> None:
        """Start every server. Raises `DemoFailed` or a `ServerError`."""
        self._require_port()
        self._forget_the_last_time()
        with console.status("Starting") as status:
            for what, step in self._steps():
                status.update(f"{what} ...")
                step()
        console.print("[green]Started[/] " + ", ".join(server.name for server in self.servers))

    def fill(self, *, people: int, photos: int) -> None:
        """Make up people who share photos, with a progress bar."""
        self.manage(
            "seed_photos", f"--people={people}", f"--photos={photos}", f"--password={PASSWORD}",
            quiet=False,
        )  # fmt: skip

    def _require_port(self) -> None:
        if not is_free(self.port):
            other = self.topology.free_port()
            raise DemoFailed(
                f"Port {self.port} is taken: stop what listens there, "
                f'or choose another: make demo ARGS="--port {other}"'
            )

    def _forget_the_last_time(self) -> None:
        """Remove what a demonstration that was killed has left."""
        for path in self.topology.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("PostgreSQL: primary, two replicas, two shards", self._start_databases),
            ("Valkey: cache, sessions, queue", self._start_valkey),
            ("Tables on the primary", lambda: self.manage("migrate")),
            ("Tables on the shards", lambda: self.manage("migrate_shards")),
            ("Static files under hashed names", lambda: self.manage("collectstatic", "--noinput")),
            ("Two web servers and a worker", self._start_programs),
            ("Load balancer and CDN edge", self._start_edge),
        ]

    def _start_databases(self) -> None:
        self.primary = self._database("primary")
        self.replicas = [
            self.topology.postgres_replica(self.primary, f"replica_{n}") for n in (1, 2)
        ]
        self.shards = [self._database(f"shard_{n}") for n in (0, 1)]
        self.databases = [self.primary, *self.replicas, *self.shards]

    def _database(self, name: str) -> Postgres:
        server = self.topology.postgres(name)
        server.create_database(DATABASE)
        return server

    def _start_valkey(self) -> None:
        self.valkey = self.topology.valkey("valkey")

    def _start_programs(self) -> None:
        self.webs = [self._start_web(f"web_{n}") for n in (1, 2)]
        argv = [*self._manage, "run_workers", "--min=1", "--max=2", "--threads=2"]
        self.worker = self.topology.process("worker", argv, env=self.environment, cwd=ROOT)

    def _start_web(self, name: str) -> Process:
        port = self.topology.free_port()
        argv = [
            sys.executable, "-m", "gunicorn", "example_project.wsgi",
            f"--bind=127.0.0.1:{port}", "--worker-class=gthread", "--threads=4",
            "--no-control-socket",
        ]  # fmt: skip
        return self.topology.process(name, argv, port=port, env=self.environment, cwd=ROOT)

    def _start_edge(self) -> None:
        upstreams = [web.address for web in self.webs]
        self.lb = self.topology.load_balancer("lb", upstreams=upstreams, port=self.port)
        self.cdn = self.topology.cdn_edge(
            "cdn", origin=self.lb.address, prefixes=["/static/", "/media/"], port=self.cdn_port
        )

    @property
    def _manage(self) -> list[str]:
        return [sys.executable, "-m", "example_project.manage"]

    def manage(self, *arguments: str, quiet: bool = True) -> None:
        """Run a management command under the site's settings."""
        done = subprocess.run(
            [*self._manage, *arguments],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            check=False,
            capture_output=quiet,
            text=True,
        )
        if done.returncode:
            said = "\n".join((done.stderr or "see above").strip().splitlines()[-12:])
            raise DemoFailed(f"manage.py {arguments[0]} failed: {said}")

    @property
    def environment(self) -> dict[str, str]:
        """Return what the settings of every stage read; each stage takes what it knows."""
        files = Path(self.topology.folder)
        return {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONPATH": str(ROOT),
            "SECRET_KEY": self._secret_key,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "TRUSTED_PROXIES": "127.0.0.1",
            "DATABASE_URL": address(self.primary),
            "DATABASE_REPLICA_URLS": ",".join(address(server) for server in self.replicas),
            "DATABASE_SHARD_URLS": ",".join(address(server) for server in self.shards),
            "CACHE_URL": f"redis://{self.valkey.address}/0",
            "SESSION_URL": f"redis://{self.valkey.address}/1",
            "QUEUE_URL": f"redis://{self.valkey.address}/2",
            "CDN_URL": self.cdn_url,
            "REGION": "eu-1",
            "METRICS_TOKEN": self.metrics_token,
            "PROMETHEUS_MULTIPROC_DIR": str(folder(files / "metrics")),
            "PHOTOS_DATA": str(folder(files / "data")),
            "PHOTOS_STATIC_ROOT": str(folder(files / "static")),
            "PHOTOS_MEDIA_ROOT": str(folder(files / "media")),
        }


def address(server: Postgres, database: str = DATABASE) -> str:
    """Return the URL of one of its databases; by default the site's."""
    return server.url.rpartition("/")[0] + f"/{database}"


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()

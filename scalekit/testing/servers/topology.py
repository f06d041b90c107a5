"""A whole topology under one folder: started piece by piece, and gone with the `with` block."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from . import exits
from .base import Server
from .exceptions import ServerError
from .folders import FolderLock, make_temporary_folder, require_space
from .interrupts import deferred
from .nginx import CdnEdge, LoadBalancer, Nginx
from .ports import Ports
from .postgres import Postgres
from .process import Command, Process
from .spawning import end_tools
from .valkey import Valkey
from .waiting import Waits

AnyServer = TypeVar("AnyServer", bound=Server)
Settings = Mapping[str, str | float]


class Topology:
    """Real servers in one folder, as a context manager.

    Every method that adds a server starts it and returns when it answers. On exit all are stopped, the last one
    first; a folder that was made here is removed (`keep` decides otherwise), and one that was there keeps its data,
    so that the next topology in it goes on from there. `templates` is where initialised clusters are kept for
    copying: topologies that share it run initdb once. `space` is how many megabytes must be free.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        keep: bool | None = None,
        templates: Path | None = None,
        waits: Waits | None = None,
        space: int = 500,
    ) -> None:
        """Describe a topology; nothing happens before `with` or `open`."""
        self._chosen = None if folder is None else Path(folder).absolute()
        self._keep, self._templates, self._space = keep, templates, space
        self.waits = waits or Waits()
        self.servers: dict[str, Server] = {}
        self._ports = Ports()
        self._folder: Path | None = None
        self._lock: FolderLock | None = None
        self._remove = False
        self._owner = 0

    @property
    def folder(self) -> Path:
        """The folder with everything in it."""
        if self._folder is None:
            raise ServerError('the topology is not open: use it in a "with" statement')
        return self._folder

    def open(self) -> Self:
        """Take the folder. Raises `FolderInUse` or `NotEnoughDisk`."""
        self._owner = os.getpid()
        exits.remember(self)
        try:
            with deferred():
                self._take_folder()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Stop every server, the last one first, and tidy up.

        A second time, or in a forked child, nothing happens.
        """
        if self._owner != os.getpid():
            return
        try:
            with deferred():
                self._stop_all()
        finally:
            self._owner = 0
            exits.forget(self)

    def __enter__(self) -> Self:
        """Open it."""
        return self.open()

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __getitem__(self, name: str) -> Server:
        """Return a server by its name."""
        return self.servers[name]

    def free_port(self) -> int:
        """Return a free port of 127.0.0.1; no port is given out twice, nor to two topologies of this machine."""
        return self._ports.take()

    def postgres(
        self, name: str = "primary", *, port: int | None = None, settings: Settings | None = None
    ) -> Postgres:
        """Start a PostgreSQL primary; call it again for every shard. `settings` go into postgresql.conf."""
        return self._add(self._new_postgres(name, port, settings))

    def postgres_replica(
        self,
        primary: Postgres,
        name: str,
        *,
        port: int | None = None,
        settings: Settings | None = None,
    ) -> Postgres:
        """Add a hot standby that streams from `primary`, which must run; also while it is in use."""
        replica = self._new_postgres(name, port, settings)
        replica.upstream = primary
        self._add(replica).wait_streaming()
        return replica

    def valkey(
        self, name: str = "valkey", *, port: int | None = None, appendonly: bool = False
    ) -> Valkey:
        """Start a Valkey (or Redis); with `appendonly` its data outlives it."""
        return self._add(Valkey(*self._place(name, port), appendonly=appendonly, waits=self.waits))

    def process(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        ready: Callable[[], bool] | None = None,
    ) -> Process:
        """Start a command of your own; it is ready when `port` answers, or when `ready()` is true if that is given.

        `env` is added to our environment.
        """
        command = Command(tuple(argv), env or {}, Path(cwd) if cwd else None, ready)
        return self._add(Process(name, self._room(name), port, command, waits=self.waits))

    def nginx(self, name: str, http: str, *, port: int | None = None) -> Nginx:
        """Start nginx with what goes into its `http { }` block; `@{address}` in it is where it must listen."""
        return self._add(Nginx(*self._place(name, port), http, waits=self.waits))

    def load_balancer(
        self,
        name: str,
        upstreams: Sequence[str],
        *,
        port: int | None = None,
        read_timeout: int = 60,
        retry_after: int = 2,
    ) -> LoadBalancer:
        """Start a load balancer in front of `upstreams` (`host:port`)."""
        return self._add(
            LoadBalancer(
                *self._place(name, port),
                upstreams,
                read_timeout=read_timeout,
                retry_after=retry_after,
                waits=self.waits,
            )
        )

    def cdn_edge(
        self,
        name: str,
        origin: str,
        *,
        prefixes: Sequence[str] = ("/static/", "/media/"),
        port: int | None = None,
        origin_host: str | None = None,
    ) -> CdnEdge:
        """Start a caching edge in front of `origin` (`host:port`) for the paths under `prefixes`."""
        return self._add(
            CdnEdge(
                *self._place(name, port),
                origin,
                prefixes=prefixes,
                origin_host=origin_host,
                waits=self.waits,
            )
        )

    def _new_postgres(self, name: str, port: int | None, settings: Settings | None) -> Postgres:
        templates = self._templates or self.folder / ".templates"
        server = Postgres(*self._place(name, port), templates=templates, waits=self.waits)
        server.settings.update(settings or {})
        return server

    def _place(self, name: str, port: int | None) -> tuple[str, Path, int]:
        return name, self._room(name), port or self.free_port()

    def _room(self, name: str) -> Path:
        if name in self.servers:
            raise ServerError(f"there is a server {name} already: choose another name")
        return self.folder / name

    def _add(self, server: AnyServer) -> AnyServer:
        self.servers[server.name] = server
        try:
            server.start()
        except ServerError:
            server.kill()
            del self.servers[server.name]
            raise
        return server

    def _take_folder(self) -> None:
        self._folder, made = self._make_folder()
        self._remove = made if self._keep is None else not self._keep
        self._lock = FolderLock(self._folder)
        require_space(self._folder, self._space)

    def _make_folder(self) -> tuple[Path, bool]:
        """Return the folder and whether it is new."""
        if self._chosen is None:
            return make_temporary_folder(), True
        there = self._chosen.exists()
        self._chosen.mkdir(parents=True, exist_ok=True)
        return self._chosen, not there

    def _stop_all(self) -> None:
        """Stop what can be stopped, give everything up, then raise the first error."""
        errors = []
        if self._folder:
            end_tools(self._folder, self.waits)
        while self.servers:
            _, server = self.servers.popitem()
            try:
                server.stop()
            except ServerError as error:
                errors.append(error)
        self._give_up_folder()
        if errors:
            raise errors[0]

    def _give_up_folder(self) -> None:
        self._ports.close()
        folder, self._folder = self._folder, None
        if folder and self._lock:
            if self._remove:
                shutil.rmtree(folder, ignore_errors=True)
            self._lock.release()
            self._lock = None

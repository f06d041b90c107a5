"""Servers that live under one folder, and end together."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Self, TypeVar

from . import exits
from .base import Server
from .exceptions import ServerError
from .folders import FolderLock, make_temporary_folder, require_space
from .interrupts import deferred
from .ports import Ports
from .spawning import end_tools
from .waiting import Waits

AnyServer = TypeVar("AnyServer", bound=Server)


class ServerGroup:
    """Owns a folder and the servers in it; `topology.Topology` adds the words that start them."""

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

    @property
    def templates(self) -> Path:
        """The folder with initialised clusters for copying."""
        return self._templates or self.folder / ".templates"

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

    def place(self, name: str, port: int | None) -> tuple[str, Path, int]:
        """Return name, folder and port of a server to be."""
        return name, self.room(name), port or self.free_port()

    def room(self, name: str) -> Path:
        """Return the folder of a server to be. Raises `ServerError` if the name is taken."""
        if name in self.servers:
            raise ServerError(f"there is a server {name} already: choose another name")
        return self.folder / name

    def add(self, server: AnyServer) -> AnyServer:
        """Start a server and keep it; one that does not start is forgotten."""
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

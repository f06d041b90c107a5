"""The contract of a server: one process, with its children, on one port of this machine."""

from __future__ import annotations

import contextlib
import re
import signal
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from .exceptions import PortTaken, ServerDidNotStart, ServerError
from .interrupts import deferred
from .ports import HOST, is_free
from .privileges import Account
from .spawning import Child, tail
from .waiting import Waits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9_]{0,50}")


class Server(ABC):
    """A server that can be started, stopped, killed and frozen; a subclass says which one it is.

    `folder` is the server's own: configuration, data and log lie in it. The processes die with this Python process.
    """

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    host = HOST

    def __init__(self, name: str, folder: Path, port: int, *, waits: Waits | None = None) -> None:
        """Describe a server without starting it. Raises `ServerError` for a name that is no plain identifier."""
        if not _NAME.fullmatch(name):
            raise ServerError(
                f"{name!r} is no name for a server: use small letters, digits and underscores"
            )
        self.name, self.folder, self.port = name, folder, port
        self.waits = waits or Waits()
        self.account = Account()
        self._child: Child | None = None
        self._log_begin = 0

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the program and its arguments; it must stay in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether the server answers now; called only while it runs."""

    def prepare(self) -> None:  # noqa: B027 - not every server reads something
        """Write what the server reads when it starts."""

    def environment(self) -> Mapping[str, str] | None:
        """Return the environment of the server, or None for our own."""
        return None

    def working_folder(self) -> Path:
        """Return the folder in which the server runs."""
        return self.folder

    def __repr__(self) -> str:
        """Show the name and where it listens."""
        return f"<{type(self).__name__} {self.name} on {self.address}>"

    @property
    def address(self) -> str:
        """Where it listens: `127.0.0.1:port`."""
        return f"{self.host}:{self.port}"

    @property
    def log(self) -> Path:
        """The file with everything the server has printed."""
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        """Whether its main process exists, frozen or not."""
        return self._child is not None and self._child.returncode is None

    @property
    def pid(self) -> int | None:
        """The id of its main process, or None when it does not run."""
        return self._child.pid if self._child and self.running else None

    @property
    def pids(self) -> set[int]:
        """The ids of all its living processes."""
        return self._child.pids() if self._child else set()

    def start(self) -> Self:
        """Start it and return when it answers; nothing happens if it runs already.

        Raises `PortTaken`, `ServerBinaryMissing` or `ServerDidNotStart`, which quotes the end of the log.
        """
        if not self.running:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.require_port()
            self.prepare()
            self._spawn()
            self.wait_ready()
        return self

    def wait_ready(self, seconds: float | None = None) -> None:
        """Return when the server answers, at most after `seconds` (default: `waits.start`); else kill it and raise."""
        limit = self.waits.start if seconds is None else seconds
        ended_or_ready = self.waits.happens(lambda: not self.running or self.is_ready(), limit)
        if ended_or_ready and self.running:
            return
        how = (
            f"did not answer within {limit:g} s" if self.running else "ended while it was starting"
        )
        self.kill()
        raise ServerDidNotStart(f"{self.name} {how}; {tail(self.log, self._log_begin)}")

    def stop(self) -> None:
        """End it in order; what is left after `waits.stop` seconds is killed."""
        if self._child:
            self._child.stop(self.stop_signal, self.waits)
            self._child = None

    def restart(self) -> Self:
        """Stop it in order and start it again on the same port with the same data."""
        self.stop()
        return self.start()

    def kill(self) -> None:
        """End all its processes with SIGKILL, as a power cut would, and wait until they are gone."""
        if self._child:
            self._child.kill(self.waits)
            self._child = None

    def freeze(self) -> None:
        """Stop all its processes where they stand (SIGSTOP): connections stay open, nothing answers."""
        self._running_child().freeze(self.waits)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._running_child().thaw()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[Self]:
        """Freeze it for the length of a `with` block."""
        self.freeze()
        try:
            yield self
        finally:
            if self.running:
                self.thaw()

    def require_port(self) -> None:
        """Raise `PortTaken` when another process listens on the port."""
        if not is_free(self.port):
            raise PortTaken(
                f"{self.name} cannot start: port {self.port} of {self.host} is taken; "
                f"stop the process that listens there, or choose another port"
            )

    def _spawn(self) -> None:
        with deferred():
            self._log_begin = self.log.stat().st_size if self.log.exists() else 0
            self._child = Child(
                self.command(),
                self.log,
                account=self.account,
                environment=self.environment(),
                folder=self.working_folder(),
            )

    def _running_child(self) -> Child:
        if self._child is None or not self.running:
            raise ServerError(f"{self.name} does not run")
        return self._child

"""Start a child that dies with us, and handle it together with all it has started."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from . import processes
from .exceptions import ServerDidNotStart, ToolFailed
from .guard import guard
from .interrupts import deferred
from .privileges import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .waiting import Waits

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_tools: dict[Child, Path] = {}


class Child:
    """A process in a session of its own, with its descendants."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        account: Account = Account(),  # noqa: B008 - frozen
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start `command` in `folder`; what it prints is appended to `log`."""
        with deferred(), log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    [*account.prefix, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=folder,
                    user=account.user,
                    group=account.group,
                    extra_groups=None if account.user is None else [],
                    start_new_session=True,  # Ctrl-C is ours alone: we stop our children in order
                    preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one prctl, looked up before
                )
            except OSError as error:
                raise ServerDidNotStart(f"{command[0]} could not be run: {error}") from error
            self.pid = self._process.pid
            guard.watch(self.pid)

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    def pids(self) -> set[int]:
        """Return the living processes of this child, itself included."""
        return processes.family(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child alone."""
        if self.returncode is None:
            processes.send([self.pid], number)

    def freeze(self, waits: Waits) -> None:
        """Stop every process of this child where it stands (SIGSTOP)."""
        stopped: set[int] = set()

        def stop_more() -> bool:
            more = self.pids() - stopped
            guard.watch(
                self.pid, stopped | more
            )  # a frozen process does not notice the death of its parent
            processes.send(sorted(more), signal.SIGSTOP)
            stopped.update(more)
            return not more

        waits.until(stop_more, f"freezing process {self.pid}")

    def thaw(self) -> None:
        """Let every process of this child go on (SIGCONT)."""
        processes.send(self.pids(), signal.SIGCONT)
        guard.watch(self.pid)

    def stop(self, number: signal.Signals, waits: Waits) -> None:
        """Ask for an orderly end; kill what is left after `waits.stop` seconds."""
        if self.returncode is None:
            self.send(number)
            self.thaw()
            waits.happens(lambda: self.returncode is not None, waits.stop)
        self.kill(waits)

    def kill(self, waits: Waits) -> None:
        """End every process of this child at once (SIGKILL) and wait until none is left."""
        seen: set[int] = set()

        def none_left() -> bool:
            # Parents have the lower number, as a rule, and go first; what one forked meanwhile goes in the next round.
            seen.update(self.pids())
            processes.send(sorted(seen), signal.SIGKILL)
            return self.returncode is not None and not any(map(processes.alive, seen))

        waits.until(none_left, f"the end of the killed process {self.pid}")
        guard.forget(self.pid)


def run(command: Sequence[str | Path], log: Path, *, account: Account, waits: Waits) -> None:
    """Run a tool to its end, within `waits.act` seconds. Raises `ToolFailed` with what it said last."""
    begin = log.stat().st_size if log.exists() else 0
    name = Path(command[0]).name
    tool: Child | None = None
    try:
        with deferred():
            tool = Child(command, log, account=account)
            _tools[tool] = log
        waits.until(lambda: tool.returncode is not None, f"{name} to finish")
    finally:
        with deferred():
            _end_tool(tool, waits)
    if tool.returncode:
        raise ToolFailed(f"{name} failed ({tool.returncode}); {tail(log, begin)}")


def end_tools(folder: Path, waits: Waits) -> None:
    """Kill the tools that work for a server in `folder`: a signal handler may close it in the middle of its start."""
    for tool in [tool for tool, log in _tools.items() if log.is_relative_to(folder)]:
        _end_tool(tool, waits)


def _end_tool(tool: Child | None, waits: Waits) -> None:
    if tool and _tools.pop(tool, None):
        tool.kill(waits)


def tail(log: Path, begin: int = 0, lines: int = 15) -> str:
    """Return the last `lines` of a log from byte `begin` on, with its path."""
    with log.open("rb") as file:
        file.seek(begin)
        last = file.read().decode(errors="replace").strip().splitlines()[-lines:]
    return "\n  ".join([f"the end of {log}:", *(last or ["(nothing was written)"])])


def _die_with_parent() -> Callable[[], None] | None:
    """Return what the child runs before exec so that it is killed when we die; see `guard` for the rest.

    Linux sends the signal when the spawning *thread* ends, so from any other thread it must not be asked for.
    """
    if _libc is None or threading.current_thread() is not threading.main_thread():
        return None
    prctl, parent = _libc.prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the line above
            os._exit(1)

    return ask

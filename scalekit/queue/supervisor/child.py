"""One child process, as its supervisor sees it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalekit.queue.supervisor.commands import environment
from scalekit.queue.supervisor.link import RETIRE, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_LINE = 1 << 20  # bytes that are kept of a line without an end


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker said of itself `at` a time of its own clock: counts since its start, and what it does right now.

    `busy` (of all its threads) and `cpu` are seconds since its start.
    """

    at: float = 0.0
    done: int = 0
    running: int = 0
    held: int = 0
    busy: float = 0.0
    cpu: float = 0.0


class Child:
    """A process that was started here, and its end of the link.

    `ready` once it has said so, `leaving` once it was told to go, `outdated` when it is to be replaced,
    `silent` when it has closed its end of the link, as the kernel does for the dead; `refusal` is why it cannot do what it was asked for, in words for the user.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                env=environment(**{VARIABLE: str(theirs.fileno())}),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C is the supervisor's, who drains us in order
            )
        self.socket, self._unread = ours, b""
        self.began = time.monotonic()
        self.ready = self.leaving = self.outdated = self.silent = False
        self.refusal = ""
        self.queues: tuple[str, ...] = ()
        self.report = Report()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs, a negative number if a signal has ended it."""
        return self.process.poll()

    @property
    def lived(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.began

    def read(self) -> None:
        """Take in what it has told us by now."""
        try:
            while data := self.socket.recv(65536):
                self._unread += data
            self.silent = True
        except BlockingIOError:
            pass
        except ConnectionError:
            self.silent = True
        *lines, self._unread = self._unread.split(b"\n")
        self._unread = self._unread[-LONGEST_LINE:]
        for line in lines:
            self._hear(json.loads(line))

    def _hear(self, facts: dict[str, Any]) -> None:
        self.ready = self.ready or bool(facts.get("ready"))
        self.refusal = facts.get("refused", self.refusal)
        self.queues = tuple(facts.get("queues", self.queues))
        if "done" in facts:
            self.report = Report(**facts)

    def retire(self) -> None:
        """Let it finish what it has begun, however long that takes, and end."""
        self.leaving = True
        with suppress(OSError):
            self.socket.sendall(f"{RETIRE}\n".encode())

    def terminate(self) -> None:
        """Let it finish within the drain time, and end."""
        self.leaving = True
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.leaving = True
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def close(self) -> None:
        """Let go of what we hold of a process that has ended."""
        self.socket.close()
        self.process.wait()

    @property
    def memory(self) -> int | None:
        """Bytes of real memory that it has now (RSS); None where that cannot be told."""
        with suppress(OSError, ValueError, IndexError):
            return _resident_pages(self.pid) * os.sysconf("SC_PAGE_SIZE")
        with suppress(OSError, ValueError):  # macOS, the BSDs
            said = subprocess.run(
                ["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, check=False
            )
            return int(said.stdout) * 1024
        return None


def _resident_pages(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])

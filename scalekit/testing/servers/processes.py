"""The process table: who is alive, and who belongs to whom."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator

_PROC = Path("/proc")
_LINUX = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Entry:
    """A living process; one that has ended and waits to be reaped is not in the table."""

    pid: int
    parent: int
    session: int


def table() -> dict[int, Entry]:
    """Read every living process of this machine that this user may see."""
    rows = _from_proc() if _LINUX else _from_ps()
    return {row.pid: row for row in rows}


def family(pid: int) -> set[int]:
    """Return `pid`, its descendants and the rest of its session, as far as they are alive.

    The session counts because a child whose own parent has ended hangs under init.
    """
    rows = table()
    found = {row.pid for row in rows.values() if pid in (row.pid, row.session)}
    while more := {row.pid for row in rows.values() if row.parent in found} - found:
        found |= more
    return found


def alive(pid: int) -> bool:
    """Tell whether `pid` runs; one that has ended and only waits to be reaped does not."""
    if _LINUX:
        return _stat(pid) is not None
    return pid in table()


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send the signal to each of `pids`; one that has ended meanwhile is no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def title(pid: int) -> str:
    """Return the command line of a process as it shows itself, or nothing when it is gone."""
    if _LINUX:
        with contextlib.suppress(OSError):
            return (
                (_PROC / str(pid) / "cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode(errors="replace")
            )
        return ""
    return _ps("-o", "command=", "-p", str(pid)).strip()


def _from_proc() -> Iterator[Entry]:
    for name in os.listdir(_PROC):  # noqa: PTH208 - a Path for each of hundreds of entries, many times a second
        if name.isdigit() and (entry := _stat(int(name))):
            yield entry


def _stat(pid: int) -> Entry | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    state, parent, _group, session = text.rpartition(")")[2].split()[:4]
    return None if state in "ZX" else Entry(pid, int(parent), int(session))


def _from_ps() -> Iterator[Entry]:
    # The group stands in for the session: ps of macOS prints no session id.
    for line in _ps("-axo", "pid=,ppid=,pgid=,stat=").splitlines():
        pid, parent, group, state = line.split()
        if not state.startswith("Z"):
            yield Entry(int(pid), int(parent), int(group))


def _ps(*arguments: str) -> str:
    done = subprocess.run(
        ["ps", *arguments], capture_output=True, text=True, check=False, timeout=10
    )
    return done.stdout

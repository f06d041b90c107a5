"""What has to be done again and again, by whichever relay process is there.

    @duty("sweep_lost", every=5)
    def sweep_lost(database: str) -> None: ...

`scalekit.queue.relaying` runs them, each on its own schedule; ``manage.py run_relay`` is the command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scalekit.queue.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    Run = Callable[[str], object]
    Wait = Callable[[str, float, Event], object]

duties: dict[str, Duty] = {}


@dataclass(frozen=True, slots=True)
class Duty:
    """One of them. An `exclusive` one is done by one process at a time, which holds its row of `Lease`."""

    name: str
    every: float  # seconds from the end of one run to the beginning of the next
    exclusive: bool
    databases: Literal["all", "first"]
    run: Run  # returns True where there is more to do at once
    wait: Wait

    def places(self) -> list[str]:
        """Return the aliases of the databases that it is done for."""
        listed = list(settings.DATABASES)
        return listed if self.databases == "all" else listed[:1]


def duty(
    name: str,
    *,
    every: float,
    exclusive: bool = True,
    databases: Literal["all", "first"] = "all",
    wait: Wait = lambda _database, seconds, stop: stop.wait(seconds),
) -> Callable[[Run], Run]:
    """Declare a duty: a function that is called with the alias of a database, every so many seconds.

    It is called again at once where it returns True, and after a while where it raises, which is announced.
    It must bear being run twice at the same time, also where it is `exclusive`: a process that was frozen
    may wake up and go on. `wait` is how to pass the time between two runs.
    """

    def declare(run: Run) -> Run:
        duties[name] = Duty(name, every, exclusive, databases, run, wait)
        return run

    return declare
